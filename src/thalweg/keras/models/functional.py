"""Functional: a model drawn between inputs and outputs."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras import ops, tree
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.function import Function, node_of
from thalweg.keras.layers.calling import is_tensor
from thalweg.keras.layers.core.input_layer import Input, InputLayer, is_input_keras_tensor
from thalweg.keras.layers.input_spec import InputSpec, assert_input_compatibility
from thalweg.keras.layers.layer import Layer, mask_of
from thalweg.keras.models.model import Model
from thalweg.keras.operation import Node, Operation
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import (
    deserialize_keras_object,
    keras_tensor_record,
    serialize_keras_object,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.trainers.trainer import Trainer
from thalweg.keras.variable import tensor


class Functional(Function, Model):
    """A model from nested KerasTensors to nested KerasTensors; `Model(inputs, outputs)` makes it.

    Inputs in the middle of another model's graph are allowed: the part behind them is drawn anew.
    """

    _serialized_as = ("keras.src.models.functional", "Functional")

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        trainable = kwargs.pop("trainable", None)
        Trainer.__init__(self)
        Layer.__init__(self, name=name, **kwargs)
        for what, given in (("inputs", inputs), ("outputs", outputs)):
            for leaf in tree.flatten(given):
                if not isinstance(leaf, KerasTensor):
                    raise ArgumentError(
                        explain(
                            type(self).__name__,
                            f"KerasTensors; All `{what}` values must be KerasTensors",
                            f"{what}={given!r:.80} including invalid value {leaf!r:.60} of type "
                            f"{type(leaf)}",
                            "Make inputs with keras.Input(shape=...).",
                        )
                    )
        _check_connected(inputs, outputs)
        if not all(is_input_keras_tensor(each) for each in tree.flatten(inputs)):
            inputs, outputs = _drawn_anew(inputs, outputs)
        self.__dict__["_inputs_struct"] = None
        self._set_graph(inputs, outputs)
        _warn_of_names(inputs)
        for layer in self.layers:
            self._tracker.track(layer)
        self._layers[:] = self.layers
        self._allow_non_tensor_positional_args = True
        self._convert_input_args = False
        output_layers = [symbol._keras_history.operation for symbol in self._outputs]
        self.output_names = _unique([layer.name for layer in output_layers])
        self._build_shapes_dict = {"input_shape": None}
        self.built = True
        self._post_build()
        if trainable is not None:
            # Of the model alone: its layers may be frozen one by one.
            self._trainable = trainable

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        super()._set_graph(inputs, outputs)
        # Nestings and nodes are not state: kept out of tracking.
        for name in ("_inputs_struct", "_outputs_struct", "_inputs", "_outputs", "_operations"):
            self.__dict__[name] = _untracked(self.__dict__[name])

    def _lock_state(self) -> None:
        """A functional model may be given further state at any time."""

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs first."""
        return [each for each in self._operations if isinstance(each, Layer)]

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(
            "`Model.layers` attribute is reserved and should not be used. Please use another name."
        )

    @property
    def input(self) -> Any:
        """The input symbols, in their nesting."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The output symbols, in their nesting."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or a list of several."""
        return _one_or_all([symbol.shape for symbol in self._inputs])

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or a list of several."""
        return _one_or_all([symbol.shape for symbol in self._outputs])

    @property
    def _input_names(self) -> list[str]:
        return [symbol._keras_history.operation.name for symbol in self._inputs]

    @property
    def input_spec(self) -> Any:
        """What each input must be, from the shapes that the model was drawn with."""
        if self.__dict__.get("_manual_input_spec") is not None:
            return self._manual_input_spec
        if not isinstance(self._inputs_struct, (dict, list, tuple)):
            return [_spec(self._inputs_struct)]
        if isinstance(self._inputs_struct, dict):
            if all(isinstance(each, KerasTensor) for each in self._inputs_struct.values()):
                return [_spec(self._inputs_struct[key], key) for key in sorted(self._inputs_struct)]
            return None
        if all(isinstance(each, KerasTensor) for each in self._inputs_struct):
            return [_spec(each) for each in self._inputs_struct]
        return None

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        self.__dict__["_manual_input_spec"] = value

    def build(self, input_shape: Any = None) -> None:
        """Nothing: the model was built when it was drawn."""
        self._build_shapes_dict = {"input_shape": input_shape}
        self.built = True

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Nothing: the model was built when it was drawn."""

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """The outputs for values of the inputs, given nested, flat, or as a dict by name."""
        flat = self._standardize_inputs(inputs)
        if self.__dict__.get("_manual_input_spec") is not None:
            assert_input_compatibility(self._manual_input_spec, flat, self.name)
        if mask is not None:
            for value, each in zip(flat, tree.flatten(mask), strict=True):
                if each is not None:
                    value._keras_mask = each
        context = {"training": training, **kwargs}
        return self._run_through_graph(flat, lambda operation: _with_context(operation, context))

    def compute_output_spec(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        given = tree.flatten(inputs)
        wanted = self._inputs
        if len(given) == len(wanted) and all(
            tuple(a.shape) == tuple(b.shape) for a, b in zip(given, wanted, strict=True)
        ):
            return tree.map_structure(
                lambda x: KerasTensor(x.shape, dtype=x.dtype), self._outputs_struct
            )
        return Operation.compute_output_spec(self, inputs, training=training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return Function.compute_output_shape(self, input_shape)

    def _assert_input_compatibility(self, inputs: Any) -> None:
        """Checked in `call`, where inputs have been put in order."""

    def _standardize_inputs(self, inputs: Any) -> list[Any]:
        flat = self._in_order(inputs)
        return [
            self._adjusted(value, symbol, index)
            for index, (value, symbol) in enumerate(zip(flat, self._inputs, strict=True))
        ]

    def _in_order(self, inputs: Any) -> list[Any]:
        """The inputs flat: a dict by the names of the inputs, any other nesting as it is."""
        struct = self._inputs_struct
        if isinstance(inputs, dict):
            if isinstance(struct, dict):
                missing = [key for key in struct if key not in inputs]
                if missing:
                    raise ArgumentError(
                        explain(
                            self.name,
                            f"a dict of inputs with the keys {sorted(struct)}",
                            f'Missing data for input "{missing[0]}". You passed a data dictionary '
                            f"with keys {list(inputs)}",
                        )
                    )
                if set(inputs) != set(struct):
                    self._warn_of_structure(inputs)
                return tree.flatten({key: inputs[key] for key in struct})
            names = self._input_names
            if all(name in inputs for name in names):
                if set(inputs) != set(names):
                    self._warn_of_structure(inputs)
                return [inputs[name] for name in names]
        flat = tree.flatten(inputs)
        self._check_count(flat, inputs)
        if isinstance(struct, dict) is not isinstance(inputs, dict):
            # Without names a list is taken in the order of the keys, which may not be that of the
            # model's own dict: then nobody can know what was meant.
            is_ambiguous = isinstance(struct, dict) and list(struct) != sorted(struct)
            self._warn_of_structure(inputs, is_error=is_ambiguous)
        return flat

    def _warn_of_structure(self, inputs: Any, is_error: bool = False) -> None:
        if self.__dict__.get("_has_warned") and not is_error:
            return
        self.__dict__["_has_warned"] = True
        wanted = tree.map_structure(lambda x: x.name, self._inputs_struct)
        found = tree.map_structure(
            lambda x: x if x is None else f"Tensor(shape={tuple(x.shape)})", inputs
        )
        text = "The structure of `inputs` doesn't match the expected structure"
        if is_error:
            raise ArgumentError(explain(self.name, f"inputs as {wanted}. {text}", str(found)))
        warnings.warn(
            f"{text}.\nExpected: {wanted}\nReceived: inputs={found}", stacklevel=outer_level()
        )

    def _check_count(self, flat: list[Any], inputs: Any) -> None:
        if len(flat) == len(self._inputs):
            return
        if isinstance(self._inputs_struct, dict):
            wanted = f"{len(self._inputs)} named input(s) with keys {sorted(self._inputs_struct)}"
        else:
            wanted = f"{len(self._inputs)} input(s)"
        shapes = [tuple(getattr(each, "shape", ())) for each in flat]
        raise ArgumentError(
            explain(
                self.name,
                f'{wanted}; Function "{self.name}" expects {wanted}',
                f"{len(flat)} input(s) of shapes {shapes}",
            )
        )

    def _adjusted(self, value: Any, symbol: KerasTensor, index: int) -> Any:
        """A value in the type of its input, and with an axis of size 1 more or less if needed."""
        layer = symbol._keras_history.operation  # type: ignore[attr-defined]
        if value is None:
            if not getattr(layer, "optional", False):
                raise ArgumentError(
                    explain(
                        self.name,
                        f"a value for the input '{symbol.name}', which is not optional",
                        "None",
                    )
                )
            return None
        if not is_tensor(value):
            value = tensor(value, symbol.dtype)
        elif not isinstance(value, KerasTensor) and standardize_dtype(value.dtype) != symbol.dtype:
            mask = mask_of(value)
            value = ops.cast(value, symbol.dtype)
            if mask is not None:
                value._keras_mask = mask
        return self._of_rank(value, symbol, index)

    def _of_rank(self, value: Any, symbol: KerasTensor, index: int) -> Any:
        given, wanted = len(value.shape), len(symbol.shape)
        mask = mask_of(value)
        if given == wanted + 1 and value.shape[-1] == 1:
            value = ops.squeeze(value, axis=-1)
        elif given == wanted - 1 and symbol.shape[-1] == 1:
            value = ops.expand_dims(value, axis=-1)
        elif given != wanted:
            paths = [
                ".".join(map(str, path)) for path, _ in tree.flatten_with_path(self._inputs_struct)
            ]
            raise ArgumentError(
                explain(
                    self.name,
                    f"shape {symbol.shape}; Invalid input shape for input with name "
                    f"'{symbol.name}' and path '{paths[index]}'",
                    f"shape {tuple(value.shape)}",
                )
            )
        elif (
            # A batch size that was given holds for nothing but the drawing.
            not _fits(value.shape[1:], symbol.shape[1:])
            and self.__dict__.get("_manual_input_spec") is None
        ):
            raise ArgumentError(
                explain(
                    self.name,
                    f"Input {index} of model '{self.name}' ('{symbol.name}') to fit: expected "
                    f"shape={symbol.shape}, found shape={tuple(value.shape)}",
                    f"shape {tuple(value.shape)}",
                )
            )
        if mask is not None and mask_of(value) is None:
            value._keras_mask = mask
        return value

    def get_config(self) -> dict[str, Any]:
        if not functional_like_constructor(type(self)):
            return Model.get_config(self)
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        kept = self._kept_nodes()
        layers = []
        for operation in self.operations:
            nodes = [
                serialize_node(node, kept) for node in operation._inbound_nodes if id(node) in kept
            ]
            record = serialize_keras_object(operation)
            record["name"] = operation.name
            record["inbound_nodes"] = [] if isinstance(operation, InputLayer) else nodes
            layers.append(record)
        config["layers"] = layers

        def place(symbol: KerasTensor) -> list[Any]:
            history = symbol._keras_history  # type: ignore[attr-defined]
            node = history.operation._inbound_nodes[history.node_index]
            return [history.operation.name, kept[id(node)], history.tensor_index]

        for key, struct in (
            ("input_layers", self._inputs_struct),
            ("output_layers", self._outputs_struct),
        ):
            config[key] = tree.map_structure(place, struct)
        return config

    def _kept_nodes(self) -> dict[int, int]:
        """The nodes of this model, and which call of their operation each is."""
        own = {id(node) for node in self._nodes}
        kept: dict[int, int] = {}
        for operation in self.operations:
            inside = [node for node in operation._inbound_nodes if id(node) in own]
            kept.update((id(node), index) for index, node in enumerate(inside))
        return kept

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        if not {"layers", "input_layers", "output_layers"} <= set(config):
            return Layer.from_config.__func__(cls, config)  # type: ignore[attr-defined]
        return functional_from_config(cls, config, custom_objects)


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _untracked(value: Any) -> Any:
    """Plain lists and dicts again, where tracking had made its own of them."""
    if isinstance(value, dict):
        return {key: _untracked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_untracked(each) for each in value]
    return value


def _fits(shape: Any, wanted: Any) -> bool:
    return all(
        want is None or not isinstance(have, int) or have == want
        for have, want in zip(shape, wanted, strict=True)
    )


def _spec(symbol: KerasTensor, key: str | None = None) -> InputSpec:
    layer = symbol._keras_history.operation  # type: ignore[attr-defined]
    shape = (None, *symbol.shape[1:]) if symbol.shape else ()
    return InputSpec(
        shape=shape,
        allow_last_axis_squeeze=True,
        name=key or layer.name,
        optional=getattr(layer, "optional", False),
    )


def _with_context(operation: Operation, context: dict[str, Any]) -> Callable:
    names = getattr(operation, "_call_names", ())
    values = {key: value for key, value in context.items() if value is not None and key in names}
    if not values:
        return operation
    return lambda *args, **kwargs: operation(*args, **{**kwargs, **values})


def _unique(names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        count = sum(1 for each in found if each == name or each.startswith(f"{name}_"))
        found.append(f"{name}_{count}" if name in found else name)
    return found


def _check_connected(inputs: Any, outputs: Any) -> None:
    ends = {id(symbol) for symbol in tree.flatten(inputs)}
    for path, output in tree.flatten_with_path(outputs):
        if not _is_reached(output, ends):
            text = ".".join(map(str, path))
            raise ArgumentError(
                explain(
                    "Model",
                    "outputs that follow from `inputs`",
                    f"Output with path `{text}` is not connected to `inputs`",
                    "Add the missing keras.Input to `inputs`.",
                )
            )


def _is_reached(output: KerasTensor, ends: set[int]) -> bool:
    """True if a way leads back from the output to one of the inputs."""
    pending = [output]
    seen: set[int] = set()
    while pending:
        symbol = pending.pop()
        if id(symbol) in ends:
            return True
        if id(symbol) in seen or getattr(symbol, "_keras_history", None) is None:
            continue
        seen.add(id(symbol))
        pending.extend(node_of(symbol).input_tensors)
    return False


def _warn_of_names(inputs: Any) -> None:
    if not isinstance(inputs, dict):
        return
    for key, symbol in inputs.items():
        if isinstance(symbol, KerasTensor) and key != symbol.name and not isinstance(key, int):
            warnings.warn(
                "When providing `inputs` as a dict, all keys in the dict must match the names of "
                f"the corresponding tensors. Received key '{key}' mapping to value {symbol} which "
                f"has name '{symbol.name}'. Change the tensor name to '{key}' (via "
                f"`Input(..., name='{key}')`)",
                stacklevel=outer_level(),
            )


def _drawn_anew(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """The graph behind inputs in the middle of another one, with real inputs in their place."""
    values: dict[int, KerasTensor] = {}

    def start(symbol: KerasTensor) -> KerasTensor:
        if is_input_keras_tensor(symbol):
            new = symbol
        else:
            new = Input(batch_shape=symbol.shape, dtype=symbol.dtype, name=None)
        values[id(symbol)] = new
        return new

    inputs = tree.map_structure(start, inputs)
    pending = [(node_of(symbol), False) for symbol in tree.flatten(outputs)][::-1]
    done: set[int] = set()
    while pending:
        node, is_ready = pending.pop()
        if id(node) in done or all(id(each) in values for each in node.outputs):
            continue
        if not is_ready:
            pending.append((node, True))
            pending.extend(
                (node_of(each), False) for each in node.input_tensors if id(each) not in values
            )
            continue
        done.add(id(node))
        if node.is_input:
            raise ArgumentError(
                explain(
                    "Model",
                    "outputs that follow from the inputs; `inputs` not connected to `outputs`",
                    f"the output depends on {node.operation.name}, which is not among `inputs`",
                )
            )
        args, kwargs = node.arguments.fill_in(values)
        copies = [
            KerasTensor(each.shape, dtype=each.dtype, name=each.name) for each in node.outputs
        ]
        Node(node.operation, args, kwargs, copies)
        values.update((id(old), new) for old, new in zip(node.outputs, copies, strict=True))
    return inputs, tree.map_structure(lambda symbol: values[id(symbol)], outputs)


# Files --------------------------------------------------------------------------------------------


def functional_like_constructor(cls: type) -> bool:
    """True for a class that is made like `Functional(inputs, outputs)`."""
    wanted = inspect.getfullargspec(Functional.__init__)
    found = inspect.getfullargspec(cls.__init__)  # type: ignore[misc]
    takes_all = found.varargs is not None and found.varkw is not None
    return found.args[1:3] == wanted.args[1:3] or takes_all


def serialize_node(node: Node, kept: dict[int, int]) -> dict[str, Any]:
    """A call as plain data: its arguments with KerasTensors by where they come from."""

    def record(symbol: KerasTensor) -> Any:
        found = keras_tensor_record(symbol)
        history = getattr(symbol, "_keras_history", None)
        if history is not None:
            source = history.operation._inbound_nodes[history.node_index]
            place = [history.operation.name, kept[id(source)], history.tensor_index]
            found["config"]["keras_history"] = place
        return found

    args, kwargs = node.arguments.convert(record)
    return {
        "args": [_plain(value) for value in args],
        "kwargs": {key: _plain(value) for key, value in kwargs.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return value
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return serialize_keras_object(value)


def functional_from_config(cls: Any, config: dict[str, Any], custom_objects: Any = None) -> Any:
    """A functional model from its config: the layers first, then their calls in order."""
    made: dict[str, Operation] = {}
    waiting: dict[str, list[tuple[int, Any]]] = {}
    for record in config["layers"]:
        operation = _operation_of(record, custom_objects)
        name = record.get("name") or operation.name
        made[name] = operation
        calls = list(enumerate(record.get("inbound_nodes", ())))
        if calls:
            waiting[name] = calls
    progress = True
    outputs: dict[tuple[str, int], list[Any]] = {
        (name, 0): [operation.output]
        for name, operation in made.items()
        if isinstance(operation, InputLayer)
    }
    while waiting and progress:
        progress = False
        for name in list(waiting):
            calls = waiting[name]
            while calls and _is_ready(calls[0][1], outputs):
                index, call = calls.pop(0)
                outputs[name, index] = _called(made[name], call, outputs)
                progress = True
            if not calls:
                del waiting[name]
    if waiting:
        raise _never_made(waiting, made)

    def symbol_of(place: Any) -> Any:
        name, node, index = place
        return outputs[name, node][index]

    inputs = _map_places(config["input_layers"], symbol_of)
    results = _map_places(config["output_layers"], symbol_of)
    rest = {
        key: config[key]
        for key in config
        if key not in ("layers", "input_layers", "output_layers", "name", "trainable")
    }
    model = cls(inputs=inputs, outputs=results, name=config.get("name"), **rest)
    if config.get("trainable") is not None:
        model._trainable = config["trainable"]
    return model


def _never_made(waiting: dict[str, list[tuple[int, Any]]], made: dict[str, Any]) -> ArgumentError:
    """The error for calls that wait for what no call gives, or for one another."""
    needed = [name for calls in waiting.values() for _, call in calls for name, _ in _sources(call)]
    missing = [name for name in needed if name not in made or name not in waiting]
    if missing:
        received = f"Missing node: {missing[0]}, which calls of {', '.join(waiting)} wait for"
    else:
        received = f"a loop: calls of {', '.join(waiting)} that wait for one another"
    wanted = "calls whose inputs are made by other calls"
    return ArgumentError(explain("Functional.from_config", wanted, received))


def _operation_of(record: dict[str, Any], custom_objects: Any) -> Operation:
    if "module" in record:
        return deserialize_keras_object(record, custom_objects=custom_objects)
    # Files of Keras 2 name no module.
    inner = dict(record, module="keras.layers", registered_name=None)
    return deserialize_keras_object(inner, custom_objects=custom_objects)


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and isinstance(value[2], int)
    )


def _map_places(value: Any, function: Callable) -> Any:
    if _is_place(value):
        return function(value)
    if isinstance(value, dict):
        return {key: _map_places(each, function) for key, each in value.items()}
    return type(value)(_map_places(each, function) for each in value)


def _places(value: Any) -> list[tuple[str, int]]:
    """The calls that the arguments of a call refer to."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            history = value["config"]["keras_history"]
            return [(history[0], history[1])]
        return [place for each in value.values() for place in _places(each)]
    if isinstance(value, (list, tuple)):
        return [place for each in value for place in _places(each)]
    return []


def _sources(call: Any) -> list[tuple[str, int]]:
    """The calls that a call's inputs come from; files of Keras 2 list them without a dict."""
    return _places(call) if isinstance(call, dict) else [(name, node) for name, node, *_ in call]


def _is_ready(call: Any, outputs: dict[tuple[str, int], list[Any]]) -> bool:
    return all(place in outputs for place in _sources(call))


def _called(
    operation: Operation, call: Any, outputs: dict[tuple[str, int], list[Any]]
) -> list[Any]:
    if isinstance(call, dict):
        args = [_filled(each, outputs) for each in call["args"]]
        kwargs = {key: _filled(each, outputs) for key, each in call["kwargs"].items()}
    else:
        symbols = [outputs[name, node][index] for name, node, index, *_ in call]
        kwargs = dict(call[0][3]) if len(call[0]) > 3 else {}
        args = [symbols[0] if len(symbols) == 1 else symbols]
    if type(operation).__name__ == "GetItem":
        # JSON has no tuples, and an index of several parts is one.
        args = [tuple(each) if isinstance(each, list) else each for each in args]
    before = len(operation._inbound_nodes)
    operation(*args, **kwargs)
    return operation._inbound_nodes[before].outputs


def _filled(value: Any, outputs: dict[tuple[str, int], list[Any]]) -> Any:
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            name, node, index = value["config"]["keras_history"]
            return outputs[name, node][index]
        if "class_name" in value and "config" in value:
            return deserialize_keras_object(value)
        return {key: _filled(each, outputs) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(each, outputs) for each in value]
    return value


register_builtins("keras.src.models.functional", {"Functional": Functional})
register_builtins("keras", {"Functional": Functional})

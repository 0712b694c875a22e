"""Layer: weights and a computation, with everything that Keras promises around a call.

    layer(x)  =  find the arguments -> build once -> cast -> call -> losses and masks

A subclass writes `__init__`, `build(input_shape)` and `call(inputs)`; shapes of results follow from
`call` itself.
"""

import contextlib
import functools
import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from thalweg.base.errors import ArgumentError, ThalwegError, explain
from thalweg.base.frames import outer_level
from thalweg.engine.context import in_layer, outside
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable as EngineVariable
from thalweg.keras import (
    dtype_policies,
    naming,
    ops,
    regularizers,
    rematerialization,
    tree,
)
from thalweg.keras.dtypes import is_float_dtype, standardize_dtype
from thalweg.keras.layers import calling
from thalweg.keras.layers.calling import CallContext, CallSpec
from thalweg.keras.layers.input_spec import assert_input_compatibility
from thalweg.keras.layers.policy import LayerTypes
from thalweg.keras.layers.quantization import LayerQuantization
from thalweg.keras.layers.state import LayerState
from thalweg.keras.operation import (
    Node,
    Operation,
    constructor_arguments,
    infer,
    is_automatic,
)
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import serialize_keras_object
from thalweg.keras.symbol import KerasTensor, any_symbolic
from thalweg.keras.variable import AutocastScope, StatelessScope, Variable, stateless_scope

NOT_BUILT = object()
"""What a `build` returns that could not do its work yet."""


def _building(build: Any) -> Any:
    """A `build` that names its weights after the layer, notes its shapes, and closes the state."""

    @functools.wraps(build)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        depth = self.__dict__.get("_build_depth", 0)
        self.__dict__["_build_depth"] = depth + 1
        try:
            if depth:
                return build(self, *args, **kwargs)
            if self._path is None:
                self._path = self.path
            with outside(), naming.scope_path(self._path):
                if build(self, *args, **kwargs) is NOT_BUILT:
                    return None
            if self._build_shapes_dict is None:
                self._build_shapes_dict = _named_shapes(build, args, kwargs)
            self.built = True
            self._post_build()
            self._lock_state()
        finally:
            self.__dict__["_build_depth"] = depth
        return None

    return wrapper


def _named_shapes(build: Any, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    names = list(inspect.signature(build).parameters)[1:]
    return {**dict(zip(names, args, strict=False)), **kwargs}


class Layer(LayerState, LayerTypes, LayerQuantization, Operation):
    """A computation with weights: subclass it, or use one of those in `keras.layers`.

    `trainable` says whether optimizers change its weights, `dtype` is a type, the name of a policy
    or a DTypePolicy, `autocast` casts float inputs to the policy's compute type.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> "Layer":
        instance: Any = super().__new__(cls)
        instance.__dict__["_arguments"] = (args, kwargs)
        return instance

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _building(vars(cls)["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        shape = _input_shape_argument(kwargs)
        if shape is not None:
            self._input_shape_arg = shape
        if kwargs:
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "known arguments",
                    f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}",
                )
            )
        if not isinstance(trainable, bool):
            raise ArgumentError(
                explain(
                    type(self).__name__, "`trainable` to be a boolean", f"trainable={trainable!r}"
                )
            )
        self._path: str | None = None
        self.built = False
        self.autocast = autocast
        self._input_spec: Any = None
        self._called = False
        self.supports_jit = True
        self._trainable = trainable
        self._losses: list[Any] = []
        self._losses_override: list[Any] = []
        self._call_signature = inspect.signature(self.call)
        self._call_names = set(self._call_signature.parameters)
        self._call_has_training_arg = "training" in self._call_names
        self._call_has_mask_arg = "mask" in self._call_names
        self._call_context_args: set[str] = {"training"}
        self._supports_masking = _overrides(self, "compute_mask", Layer)
        self._convert_input_args = True
        self._allow_non_tensor_positional_args = False
        self._build_shapes_dict: Any = None
        self._remat_mode = rematerialization.current_mode()
        self._dtype_policy = dtype_policies.get(dtype)

    # Building ------------------------------------------------------------------------------------

    @_building
    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of a shape; by default, of the layers that `call` calls."""
        self._check_super_called()
        if _overrides(self, "call", Layer) and _has_unbuilt(self) and _is_shapes(input_shape):
            self._build_by_running_call(input_shape)

    def _build_by_running_call(self, input_shape: Any) -> None:
        symbols = tree.map_shape_structure(
            lambda shape: KerasTensor(shape, dtype=self.compute_dtype), input_shape
        )
        try:
            self.compute_output_spec(symbols)
        except Exception as error:
            raise ArgumentError(
                explain(
                    self.name,
                    "a layer that can be built by running its call on symbols",
                    f"{type(error).__name__}: {error}",
                    f"Add build(input_shape) to {type(self).__name__}, or call it on data.",
                )
            ) from error

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the layer was built with, for files."""
        shapes = self._build_shapes_dict
        if shapes is None:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with the shapes of `get_build_config`."""
        if not config:
            return
        if "input_shape" in config:
            self.build(_as_shapes(config["input_shape"]))
        elif "shapes_dict" in config:
            self.build(**{key: _as_shapes(shape) for key, shape in config["shapes_dict"].items()})

    def _build_at_init(self) -> None:
        """Build a layer whose weights need no input shape, unless a subclass has its own build."""
        if _is_default_build(self):
            self.built = True
            self._lock_state()
            self._post_build()

    def _post_build(self) -> None:
        """What a subclass does once it is built."""

    # Calling -------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation: tensors to tensors."""
        self._check_super_called()
        raise self._not_implemented_error("call")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check_super_called()
        self._called = True
        if self._convert_input_args:
            args = tuple(self._converted(arg) for arg in args)
            kwargs = {key: self._converted(value) for key, value in kwargs.items()}
        if not self._allow_non_tensor_positional_args:
            for arg in tree.flatten(args):
                if not calling.is_tensor(arg) and arg is not None:
                    raise ArgumentError(
                        explain(
                            self.name,
                            "tensors as positional arguments; Only input tensors may be passed as "
                            "positional arguments",
                            f"{arg!r:.60} (of type {type(arg)})",
                            "Pass the others by keyword.",
                        )
                    )
        context_values = {
            name: kwargs.pop(name)
            for name in list(kwargs)
            if name in self._call_context_args
            and name not in self._call_names
            and not self._call_takes_any()
        }
        spec = CallSpec(self._call_signature, args, kwargs, self.name)
        assert_input_compatibility(self._input_spec, spec.first, self.name)
        with self._in_context() as context:
            for name in self._call_context_args:
                self._settle(name, spec, kwargs, context_values.get(name), context)
            self._fill_masks(spec, kwargs)
            masks = tree.map_structure(mask_of, spec.first)
            self._maybe_build(spec)
            outputs = self._run(args, kwargs)
            self._after(outputs, spec, masks)
        return outputs

    def _call_takes_any(self) -> bool:
        kinds = (each.kind for each in self._call_signature.parameters.values())
        return inspect.Parameter.VAR_KEYWORD in kinds

    def _converted(self, value: Any) -> Any:
        if value.__class__ is Tensor or isinstance(value, (Tensor, KerasTensor, EngineVariable)):
            return self._convert_one(value)
        if isinstance(value, (list, tuple, dict)):
            return tree.map_structure(self._convert_one, value)
        return self._convert_one(value)

    def _convert_one(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, EngineVariable):
            value = value.value
        if isinstance(value, (int, float)):
            return value
        return self.dtype_policy.convert_input(value, self.autocast, self.input_dtype)

    @contextmanager
    def _in_context(self) -> Iterator[CallContext]:
        former = calling.local.context
        if former is None:
            self._clear_losses()
        values = dict(former.values) if former is not None else {}
        calling.local.context = context = CallContext(values)
        try:
            yield context
        finally:
            calling.local.context = former

    def _settle(
        self, name: str, spec: CallSpec, kwargs: dict[str, Any], given: Any, context: CallContext
    ) -> None:
        """Settle an argument such as `training`: as given, else as around, else by default."""
        value = spec.arguments.get(name) if name in spec.given else given
        if value is None:
            value = context.values.get(name)
        if value is None:
            value = spec.arguments.get(name)
        if value is None:
            return
        context.values[name] = value
        if name in self._call_names:
            kwargs[name] = spec.arguments[name] = value

    def _register_call_context_args(self, *names: str) -> None:
        """Hand these arguments, like `training`, to all calls within a call."""
        if self._called:
            raise RuntimeError("Cannot add call-context args after the layer has been called.")
        self._call_context_args = self._call_context_args | set(names)

    def _fill_masks(self, spec: CallSpec, kwargs: dict[str, Any]) -> None:
        """Where `call` takes masks and none is given, take those that ride on the inputs.

        A `mask` of one input is handed over even if it is None: files list the argument.
        """
        tensors = [name for name in spec.tensors if name != "mask" and not name.endswith("_mask")]
        if self._call_has_mask_arg and len(tensors) == 1:
            wanted = {"mask": tensors[0]}
        else:
            wanted = {
                f"{name}_mask": name for name in tensors if f"{name}_mask" in self._call_names
            }
        for key, name in wanted.items():
            if spec.arguments.get(key) is not None:
                continue
            if key not in spec.given or key in kwargs:
                masks = tree.map_structure(mask_of, spec.tensors[name])
                is_listed = key == "mask" and masks is None
                if is_listed or any(each is not None for each in tree.flatten(masks)):
                    kwargs[key] = spec.arguments[key] = masks

    def _maybe_build(self, spec: CallSpec) -> None:
        if self.built:
            return
        shapes = calling.shapes_of(spec)
        with outside():
            if not _is_default_build(self):
                own = calling.fitting_shapes(self.build, shapes, spec, type(self).__name__)
                self.build(**own)
                self.built = True
            else:
                self._build_default(shapes, spec)

    def _build_default(self, shapes: dict[str, Any], spec: CallSpec) -> None:
        """Build the layers that `call` calls, by running it on symbols."""
        self._path = self.path
        self._build_shapes_dict = shapes
        if _has_unbuilt(self):
            arguments = {
                name: tree.map_structure(_symbol_of, value) if name in spec.tensors else value
                for name, value in spec.arguments.items()
            }
            args, kwargs = _by_signature(self._call_signature, arguments)
            # What cannot be run on symbols is built when the values come; its error comes then too.
            around = naming.scope_path(self._path)
            with _no_losses(self), around, contextlib.suppress(Exception):
                infer(self.call, args, kwargs)
        self.built = True
        self._post_build()
        self._lock_state()

    def _run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        self._path = self.path
        with naming.scope_path(self._path), in_layer(self._path):
            if any_symbolic(args, kwargs):
                return self.symbolic_call(*args, **kwargs)
            try:
                with AutocastScope(self._autocast_dtype()):
                    call = self._active_call()
                    if self._remat_mode is not None:
                        call = self.rematerialized_call(call, *args, **kwargs)
                    return call(*args, **kwargs)
            except ThalwegError as error:
                self._name_in(error)
                raise

    def _name_in(self, error: ThalwegError) -> None:
        """Say in an error which layer it comes from: the innermost one."""
        if error.args and ", in layer " not in str(error.args[0]):
            error.args = (f"{error.args[0]}, in layer {self.path}", *error.args[1:])

    def _autocast_dtype(self) -> str | None:
        dtype = self.compute_dtype
        return dtype if self.autocast and is_float_dtype(dtype) else None

    def _after(self, outputs: Any, spec: CallSpec, masks: Any) -> None:
        """Note the loss of the activity and the masks of the outputs."""
        leaves = [leaf for leaf in tree.flatten(outputs) if calling.is_tensor(leaf)]
        if self.activity_regularizer is not None:
            for leaf in leaves:
                if isinstance(leaf, Tensor):
                    self.add_loss(self._activity_loss(leaf))
        given = spec.arguments.get("mask")
        if given is not None and calling.is_tensor_or_nested(given):
            masks = given
        has_masks = any(each is not None for each in tree.flatten(masks))
        if not self.supports_masking:
            if has_masks and not self._call_has_mask_arg:
                warnings.warn(
                    f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with "
                    "a mask attached to it. However, this layer does not support masking and will "
                    "therefore destroy the mask information. Downstream layers will not see the "
                    "mask.",
                    stacklevel=outer_level(),
                )
            return
        if all(mask_of(leaf) is not None for leaf in leaves):
            return
        found = self.compute_mask(spec.first, masks)
        if found is None:
            return
        for leaf, mask in zip(leaves, tree.flatten(found), strict=False):
            if mask is not None and mask_of(leaf) is None:
                leaf._keras_mask = mask

    def _activity_loss(self, output: Tensor) -> Any:
        loss = self.activity_regularizer(output)
        count = output.shape[0] if output.ndim else 1
        if isinstance(count, int):
            return loss / max(count, 1)
        return loss / ops.maximum(ops.cast(ops.shape(output)[0], loss.dtype), 1)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the output: that of the input, for layers that support masking."""
        return previous_mask

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The KerasTensors that a call gives, recorded in the graph."""
        cast_args, cast_kwargs = tree.map_structure(self._cast_symbol, (args, kwargs))
        outputs = self.compute_output_spec(*cast_args, **cast_kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The KerasTensors for the results, from `compute_output_shape` if a subclass has it."""
        self._check_super_called()
        if not _overrides(self, "compute_output_shape", Layer):
            args, kwargs = tree.map_structure(self._cast_symbol, (args, kwargs))
            with AutocastScope(self._autocast_dtype()), _no_losses(self):
                return Operation.compute_output_spec(self, *args, **kwargs)
        spec = CallSpec(self._call_signature, args, kwargs, self.name)
        shapes = calling.shapes_of(spec)
        own = calling.fitting_shapes(self.compute_output_shape, shapes, spec, type(self).__name__)
        found = self.compute_output_shape(**own)
        return _symbols_of_shapes(found, self.compute_dtype)

    def _cast_symbol(self, value: Any) -> Any:
        """A float KerasTensor in the type that its values will be cast to."""
        if not isinstance(value, KerasTensor) or not is_float_dtype(value.dtype):
            return value
        if not self.autocast or value.dtype == self.input_dtype:
            return value
        found = KerasTensor(value.shape, dtype=self.input_dtype, name=value.name)
        if mask_of(value) is not None:
            found._keras_mask = mask_of(value)  # type: ignore[attr-defined]
        return found

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes of the results for those of the inputs."""
        if not _overrides(self, "call", Layer):
            raise self._not_implemented_error("compute_output_shape")
        symbols = [
            tree.map_shape_structure(lambda shape: KerasTensor(shape, self.compute_dtype), each)
            for each in args
        ]
        named = {
            key.removesuffix("_shape"): tree.map_shape_structure(
                lambda shape: KerasTensor(shape, self.compute_dtype), each
            )
            for key, each in kwargs.items()
        }
        if set(named) == {"input"} and "input" not in self._call_names:
            symbols, named = [named["input"]], {}
        return tree.map_structure(lambda x: x.shape, self.compute_output_spec(*symbols, **named))

    def rematerialized_call(self, layer_call: Any, *args: Any, **kwargs: Any) -> Any:
        """A `call` of which the gradient computes the inner values again, not keeping them."""
        return rematerialization.wrapped(self, layer_call, args, kwargs)

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The outputs with the given values of the state, and the new non-trainable state.

        Returns (outputs, non_trainable_variables), and the losses last if `return_losses`.
        """
        self._check_super_called()
        if not self.built:
            raise ArgumentError(
                explain(
                    self.name,
                    "to be built first",
                    f"To call stateless_call, {type(self).__name__} must be built (i.e. its "
                    "variables must have been already created).",
                    "Call it once on data, or build it.",
                )
            )
        pairs = [
            *self._paired("trainable_variables", trainable_variables),
            *self._paired("non_trainable_variables", non_trainable_variables),
        ]
        with StatelessScope(state_mapping=pairs, collect_losses=return_losses) as scope:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
        state = []
        for variable in self.non_trainable_variables:
            found = scope.get_current_value(variable)
            state.append(found if found is not None else variable.value)
        return (outputs, state, losses) if return_losses else (outputs, state)

    def _paired(self, name: str, values: Sequence[Any]) -> list[tuple[Variable, Any]]:
        own = getattr(self, name)
        if len(values) != len(own):
            raise ArgumentError(
                explain(
                    f"stateless_call of {self.name}",
                    f"Argument `{name}` must be a list of tensors corresponding 1:1 to "
                    f"{type(self).__name__}().{name}",
                    f"list with length {len(values)}, but expected {len(own)} variables",
                )
            )
        return list(zip(own, values, strict=True))

    # Losses --------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar, or several, to what training minimises; for one call."""
        for each in tree.flatten(loss):
            if not calling.is_tensor(each) and not isinstance(each, (int, float)):
                raise ArgumentError(
                    explain(
                        f"add_loss of {self.name}",
                        "tensors; `add_loss()` should be given tensors of the layer's call",
                        f"{each!r:.60} (of type {type(each)})",
                        "Give weight.regularizer for losses of weights.",
                    )
                )
        scope = stateless_scope()
        for each in tree.flatten(loss):
            if scope is None:
                self._losses.append(each)
            elif scope.collect_losses:
                scope.add_loss(each, owner=self)

    @property
    def losses(self) -> list[Any]:
        """The losses of the last call and of the weights' regularizers, scalars."""
        if self._losses_override:
            return list(self._losses_override)
        found: list[Any] = []
        scope = stateless_scope()
        for layer in self._flatten_layers():
            found.extend(layer._losses if scope is None else scope.losses_of(layer))
        for variable in self.trainable_weights:
            if variable.regularizer is not None:
                found.append(variable.regularizer(variable))
        return found

    def _clear_losses(self) -> None:
        scope = stateless_scope()
        if scope is not None:
            scope.forget_losses(self)
        self._losses.clear()
        self._losses_override.clear()
        for layer in self._layers:
            layer._clear_losses()

    # Saving --------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make the layer again, without its weights."""
        self._check_super_called()
        policy = self._dtype_policy
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(policy),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if not is_automatic(type(self)):
            return config
        return {**self._constructor_config(), **config}

    get_config.is_automatic = True  # type: ignore[attr-defined]

    def _constructor_config(self) -> dict[str, Any]:
        """The constructor's arguments, where they are plain values or serializable objects."""
        given = constructor_arguments(self) or {}
        parameters = inspect.signature(type(self).__init__).parameters
        found = {}
        for name, value in given.items():
            if name not in parameters:
                continue
            try:
                found[name] = serialize_keras_object(value)
            except (TypeError, ValueError):
                raise NotImplementedError(
                    explain(
                        f"{type(self).__name__}.get_config",
                        "arguments of the constructor that can be written to a file",
                        f"Object {self.name} was created by passing non-serializable argument "
                        f"values in `__init__()`, and therefore the object must override "
                        f"`get_config()`: {name}={value!r:.60}",
                        "Return a dict with all arguments from a get_config of your own.",
                    )
                ) from None
        return found

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Layer":
        """The layer of a config."""
        config = dict(config)
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            policy: Any = dtype_policies.deserialize(dtype)
            if not isinstance(policy, dtype_policies.DTypePolicyMap) and (
                policy.quantization_mode is None
            ):
                policy = policy.name
            config["dtype"] = policy
        parameters = inspect.signature(cls.__init__).parameters
        if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            # A constructor of the user's own need not take what all layers have.
            for name in ("name", "trainable", "dtype", "activity_regularizer", "autocast"):
                if name not in parameters:
                    config.pop(name, None)
        return super().from_config(config)  # type: ignore[return-value]

    def __reduce__(self) -> tuple:
        compiled = self.get_compile_config() if hasattr(self, "get_compile_config") else None
        weights = self.get_weights() if self.built else None
        build = self.get_build_config()
        return _unpickled, (type(self), self.get_config(), build, compiled, weights)

    def _check_super_called(self) -> None:
        if "_losses" not in self.__dict__:
            raise RuntimeError(
                explain(
                    type(self).__name__,
                    "super().__init__() first",
                    f"In layer '{type(self).__name__}', you forgot to call `super().__init__()` "
                    "as the first statement in the `__init__()` method.",
                    "Begin your __init__ with super().__init__().",
                )
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def mask_of(value: Any) -> Any:
    """The mask that rides on a tensor, or None."""
    return getattr(value, "_keras_mask", None)


def _overrides(layer: Layer, method: str, base: type) -> bool:
    return getattr(type(layer), method) is not getattr(base, method)


def _is_default_build(layer: Layer) -> bool:
    return not _overrides(layer, "build", Layer)


def _has_unbuilt(layer: Layer) -> bool:
    """True where a call may build layers within: only then is it run on symbols first."""
    return any(not each.built for each in layer._flatten_layers(include_self=False))


def _input_shape_argument(kwargs: dict[str, Any]) -> Any:
    shape = kwargs.pop("input_shape", None)
    dim = kwargs.pop("input_dim", None)
    return (dim,) if shape is None and dim is not None else shape


def _is_shapes(value: Any) -> bool:
    return value is not None and isinstance(value, (list, tuple, dict))


def _as_shapes(value: Any) -> Any:
    """Shapes from JSON: lists of sizes become tuples."""
    if isinstance(value, (list, tuple)):
        if all(each is None or isinstance(each, int) for each in value):
            return tuple(value)
        return [_as_shapes(each) for each in value]
    if isinstance(value, dict):
        return {key: _as_shapes(each) for key, each in value.items()}
    return value


def _symbol_of(value: Any) -> Any:
    if not calling.is_tensor(value):
        return value
    from_shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    found = KerasTensor(from_shape, dtype=standardize_dtype(value.dtype))
    mask = mask_of(value)
    if mask is not None:
        found._keras_mask = _symbol_of(mask)  # type: ignore[attr-defined]
    return found


def _symbols_of_shapes(shapes: Any, dtype: str) -> Any:
    return tree.map_shape_structure(lambda shape: KerasTensor(shape, dtype=dtype), shapes)


def _by_signature(signature: inspect.Signature, arguments: dict[str, Any]) -> tuple[list, dict]:
    args: list[Any] = []
    kwargs = dict(arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL and name in kwargs:
            args.extend(kwargs.pop(name))
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            if name not in kwargs:
                break
            args.append(kwargs.pop(name))
    return args, kwargs


@contextmanager
def _no_losses(layer: Layer) -> Iterator[None]:
    """Within this block losses of symbols are forgotten."""
    before = [(each, list(each._losses)) for each in layer._flatten_layers()]
    try:
        yield
    finally:
        for each, losses in before:
            each._losses[:] = losses


def _unpickled(cls: Any, config: Any, build: Any, compiled: Any, weights: Any) -> Any:
    made = cls.from_config(config)
    if build and not made.built:
        made.build_from_config(build)
    if compiled and hasattr(made, "compile_from_config"):
        made.compile_from_config(compiled)
    if weights is not None:
        made.set_weights(weights)
    return made


register_builtins("keras", {"Layer": Layer})

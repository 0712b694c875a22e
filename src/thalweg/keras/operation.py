"""Operation: what can be called on tensors now, or on KerasTensors to draw a graph.

A symbolic call makes a `Node`: the operation, its arguments, and KerasTensors for its results.
Their shapes and types come from running the operation on tensors without values, in which every
size that is not known (None) is one and the same named size.
"""

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ThalwegError, explain
from thalweg.engine.context import Trace, current_trace
from thalweg.engine.tape import pause, resume
from thalweg.engine.tensor import Tensor, wrap
from thalweg.engine.variable import Variable as EngineVariable
from thalweg.ir.dim import Dim, named
from thalweg.ir.types import as_dtype, tensor_type
from thalweg.keras import naming, tree
from thalweg.keras.saving.registration import register_builtins, register_maker
from thalweg.keras.saving.serialization import (
    ConfigError,
    deserialize_keras_object,
    serialize_dict,
)
from thalweg.keras.symbol import KerasHistory, KerasTensor, any_symbolic, symbols_in

UNKNOWN = "n"
"""The named size that stands for None while shapes are worked out."""


class Node:
    """One symbolic call: the operation, its arguments, and the KerasTensors it gave."""

    def __init__(
        self,
        operation: "Operation",
        call_args: Sequence[Any] = (),
        call_kwargs: dict[str, Any] | None = None,
        outputs: Any = None,
    ):
        self.operation = operation
        self.arguments = SymbolicArguments(*call_args, **(call_kwargs or {}))
        self.outputs = tree.flatten(outputs) if outputs is not None else []
        # A KerasTensor made by hand has no history: it is a place where a graph begins.
        histories = [getattr(each, "_keras_history", None) for each in self.input_tensors]
        self.parent_nodes = [
            history.operation._inbound_nodes[history.node_index]
            for history in histories
            if history is not None
        ]
        operation._inbound_nodes.append(self)
        index = len(operation._inbound_nodes) - 1
        for parent in self.parent_nodes:
            parent.operation._outbound_nodes.append(self)
        for position, symbol in enumerate(self.outputs):
            if symbol is not None:
                symbol._keras_history = KerasHistory(operation, index, position)

    @property
    def input_tensors(self) -> list[KerasTensor]:
        """The KerasTensors among the arguments."""
        return self.arguments.keras_tensors

    @property
    def output_tensors(self) -> list[KerasTensor]:
        """The KerasTensors that the call gave."""
        return self.outputs

    @property
    def is_input(self) -> bool:
        """True where a graph begins."""
        return not self.arguments.keras_tensors

    def __repr__(self) -> str:
        return f"<Node operation={self.operation}, id={id(self)}>"


class SymbolicArguments:
    """The arguments of a symbolic call, in which KerasTensors are places to fill."""

    def __init__(self, *args: Any, **kwargs: Any):
        self.args = args
        self.kwargs = kwargs
        self.keras_tensors = list(symbols_in((args, kwargs)))
        is_single = len(args) == 1 and not kwargs and isinstance(args[0], KerasTensor)
        self._single = args[0] if is_single else None

    def fill_in(self, values: dict[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with values in their places; `values` is keyed by the symbols' ids."""
        if self._single is not None:
            return (values[id(self._single)],), {}
        return _replace(self.args, values), _replace(self.kwargs, values)

    def convert(self, function: Callable[[KerasTensor], Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments with `function` of each KerasTensor in its place."""
        values = {id(symbol): function(symbol) for symbol in self.keras_tensors}
        return _replace(self.args, values), _replace(self.kwargs, values)


def _replace(value: Any, values: dict[int, Any]) -> Any:
    if isinstance(value, KerasTensor):
        return values[id(value)]
    if isinstance(value, dict):
        return {key: _replace(each, values) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        found = [_replace(each, values) for each in value]
        if isinstance(value, list):
            return found
        return type(value)(*found) if hasattr(value, "_fields") else tuple(found)
    return value


class Operation:
    """A computation with a name and settings. Subclasses write `call`.

    The constructor's arguments are kept, so that `get_config` and `from_config` need not be
    written where they are plain values.
    """

    _inbound_nodes: list[Node]
    _outbound_nodes: list[Node]

    def __init__(self, name: str | None = None):
        name = name or naming.auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "`name` to be a string without slashes; Argument `name` must be a string and "
                    "cannot contain character `/`",
                    f"name={name} (of type {type(name)})",
                )
            )
        self.name = name
        self._inbound_nodes = []
        self._outbound_nodes = []

    def __new__(cls, *args: Any, **kwargs: Any) -> "Operation":
        instance = super().__new__(cls)
        instance.__dict__["_arguments"] = (args, kwargs)
        return instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """The KerasTensors that a call gives; the call becomes part of their history."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation itself, on tensors."""
        raise NotImplementedError(
            explain(type(self).__name__, "a method `call`", "a class without one")
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The KerasTensors for the results of a call."""
        try:
            return infer(self.call, args, kwargs)
        except ThalwegError:
            raise
        except Exception as error:
            raise type_of(error)(
                explain(
                    f"{self.name} ({type(self).__name__})",
                    "a `call` whose results follow from shapes and types; could not automatically "
                    "infer the output shape / dtype of it",
                    f"{type(error).__name__}: {error}",
                    f"Add a method compute_output_spec() or compute_output_shape() to "
                    f"{type(self).__name__}.",
                )
            ) from error

    def get_config(self) -> dict[str, Any]:
        """The name and the constructor's arguments, as plain data.

        Raises NotImplementedError for arguments that cannot be written, where a class needs its
        own.
        """
        if not is_automatic(type(self)):
            return {"name": self.name}
        settings = constructor_arguments(self)
        try:
            config = None if settings is None else serialize_dict(settings)
        except (TypeError, ValueError):
            config = None
        if config is None:
            raise NotImplementedError(
                explain(
                    f"{type(self).__name__}.get_config",
                    "named arguments of the constructor that can be written to a file",
                    f"Object {self.name} was created by passing others",
                    "Return a dict with all arguments from a get_config of your own.",
                )
            )
        return {**config, "name": self.name} if _takes_name(type(self)) else config

    get_config.is_automatic = True  # type: ignore[attr-defined]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Operation":
        """The operation of a config."""
        config = dict(config)
        parameters = inspect.signature(cls.__init__).parameters
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        name = config.get("name")
        if not takes_any and "name" not in parameters:
            config.pop("name", None)
        if is_automatic(cls):
            config = {
                key: deserialize_keras_object(each) if _is_record(each) else each
                for key, each in config.items()
            }
        try:
            made = cls(**config)
        except (TypeError, ValueError) as error:
            reason = getattr(error, "message", error)
            raise ConfigError(
                explain(
                    f"{cls.__name__}.from_config",
                    "a config that fits the constructor",
                    f"config={config!r:.300}. Exception encountered: {reason}",
                )
            ) from error
        if name and made.name != name and "name" not in parameters:
            made.name = name
        return made

    @property
    def input(self) -> Any:
        """The KerasTensor that the operation was first called with, or a list of several."""
        inputs = self._first_node("input").input_tensors
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self) -> Any:
        """The KerasTensors that the operation's first call gave."""
        outputs = self._first_node("output").outputs
        return outputs[0] if len(outputs) == 1 else outputs

    def _first_node(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                explain(
                    self.name,
                    "to be called first",
                    f"The layer {self.name} has never been called and thus has no defined {what}.",
                )
            )
        return self._inbound_nodes[0]

    def __repr__(self) -> str:
        return f"<Operation name={self.name}>"


def type_of(error: BaseException) -> type[ThalwegError]:
    """Our error that the same `except` clauses catch."""
    return ArgumentTypeError if isinstance(error, TypeError) else ArgumentError


def is_automatic(cls: type) -> bool:
    """True for a class that leaves `get_config` to its base, so that the base undoes it too."""
    return getattr(cls.get_config, "is_automatic", False)  # type: ignore[attr-defined]


def _takes_name(cls: type) -> bool:
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return "name" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and "class_name" in value and "config" in value


def constructor_arguments(instance: Any) -> dict[str, Any] | None:
    """The arguments that an object was made with, by name and with defaults.

    None where they have no names.
    """
    args, kwargs = instance.__dict__.get("_arguments", ((), {}))
    init = type(instance).__init__
    try:
        bound = inspect.signature(init).bind(instance, *args, **kwargs)
    except (TypeError, ValueError):
        return None
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return None
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(bound.arguments[name])
        else:
            found[name] = bound.arguments[name]
    return found


class _Symbolic(threading.local):
    depth = 0


_symbolic = _Symbolic()


class SymbolicScope:
    """Within this block a model is being worked out on symbols; `in_symbolic_scope` says so."""

    def __enter__(self) -> "SymbolicScope":
        _symbolic.depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        _symbolic.depth -= 1


def in_symbolic_scope() -> bool:
    """True within a SymbolicScope."""
    return _symbolic.depth > 0


# Shapes and types of results ----------------------------------------------------------------------


@contextmanager
def without_values(name: str) -> Iterator[Trace]:
    """Within this block tensors have types only, and changes of variables are forgotten."""
    trace = Trace(name, current_trace(), holds_state=True)
    recorder = pause()
    try:
        with trace:
            yield trace
    finally:
        resume(recorder)


def infer(function: Callable, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The results of a function of tensors as KerasTensors, from KerasTensors as arguments."""
    try:
        return _infer(function, args, kwargs, {})
    except ThalwegError as first:
        known = _aligned_sizes(tree.flatten([args, kwargs]))
        if not known:
            raise
        try:
            return _infer(function, args, kwargs, known)
        except ThalwegError:
            raise first from None


def _infer(
    function: Callable, args: Sequence[Any], kwargs: dict[str, Any], known: dict[int, tuple]
) -> Any:
    unknown = named(UNKNOWN)
    with without_values(getattr(function, "__name__", "call")) as trace:

        def stand_in(symbol: KerasTensor) -> Tensor:
            shape = known.get(id(symbol), symbol.shape)
            sizes = tuple(unknown if size is None else size for size in shape)
            kind = tensor_type(as_dtype(symbol.dtype), sizes)
            found = wrap(trace.parameter("x", kind))
            mask = getattr(symbol, "_keras_mask", None)
            if isinstance(mask, KerasTensor):
                found._keras_mask = stand_in(mask)  # type: ignore[attr-defined]
            return found

        arguments = SymbolicArguments(*args, **kwargs)
        values, named_values = arguments.convert(stand_in)
        return tree.map_structure(as_symbol, function(*values, **named_values))


def _aligned_sizes(operands: Sequence[Any]) -> dict[int, tuple]:
    """Shapes in which None took the size that another operand has at its place, from the right."""
    sizes: dict[int, int] = {}
    for operand in operands:
        shape = getattr(operand, "shape", ())
        for place, size in enumerate(reversed(known_shape(shape if type(shape) is tuple else ()))):
            if size is not None and size != 1:
                sizes.setdefault(place, size)
    symbols = [each for each in operands if isinstance(each, KerasTensor)]
    found = {}
    for symbol in symbols:
        if None in symbol.shape:
            places = range(len(symbol.shape) - 1, -1, -1)
            pairs = zip(places, symbol.shape, strict=True)
            found[id(symbol)] = tuple(
                sizes.get(place) if size is None else size for place, size in pairs
            )
    return found if any(found[id(s)] != s.shape for s in symbols if id(s) in found) else {}


def as_symbol(value: Any) -> Any:
    """A KerasTensor of a tensor's shape and type; other values stay."""
    if isinstance(value, EngineVariable):
        value = value.value
    if not isinstance(value, Tensor):
        return value
    return KerasTensor(known_shape(value.shape), value.dtype.name)


def known_shape(shape: Sequence[Any]) -> tuple[int | None, ...]:
    """A shape with None for sizes that are named or unknown."""
    return tuple(None if isinstance(size, Dim) or size is None else int(size) for size in shape)


# Operations of public functions -------------------------------------------------------------------

DATA = frozenset(
    (
        "x", "x1", "x2", "xs", "y", "inputs", "kernel", "condition", "array", "a", "b", "indices",
        "values", "target", "output", "images", "operands", "predictions", "targets", "updates",
        "start_indices", "query", "key", "value", "bias", "mask", "loop_vars", "init_val", "elems",
        "elements", "data", "segment_ids", "variable", "q",
    )
)  # fmt: skip
"""Names of arguments that are data where an op does not say which are."""


class OpCall(Operation):
    """A call of one of the public ops as part of a graph: the op's settings, applied to data."""

    definition: "Definition"
    _serialized_as: tuple[str, str]

    def __init__(self, *, name: str | None = None, **settings: Any):
        super().__init__(name)
        self._settings = settings
        if "name" in settings:
            raise ArgumentError(explain(self.name, "settings of its own", "name twice"))

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.definition.apply(self.definition.function, args, kwargs, self._settings)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        spec = self.definition.spec
        if spec is not None:
            return self.definition.apply(spec, args, kwargs, self._settings)
        return super().compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **serialize_dict(self._settings)}

    get_config.is_automatic = True  # type: ignore[attr-defined]


class Definition:
    """A public op: its function, which of its arguments are data, and its name in files.

    There are hundreds of ops, and a program calls few of them on KerasTensors: what that takes is
    made at the first such call.
    """

    def __init__(
        self,
        function: Callable,
        data: Sequence[str] | None,
        name: str | None,
        spec: Callable | None,
        home: str | None,
    ):
        self.function = function
        self.spec = spec
        self._data = data
        self._class_name = name or "".join(map(str.capitalize, function.__name__.split("_")))
        # thalweg.keras.ops.numpy.reductions -> keras.src.ops.numpy
        self._home = home or f"keras.src.ops.{function.__module__.split('.')[3]}"
        register_maker(self._home, self._class_name, lambda: self.operation)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The arguments of the function."""
        return inspect.signature(self.function)

    @functools.cached_property
    def data(self) -> list[str]:
        """The names of the arguments that are data. Raises ArgumentError for one there is not."""
        names = list(self.signature.parameters)
        if self._data is None:
            return [each for each in names if each in DATA]
        unknown = set(self._data) - set(names)
        if unknown:
            where = self.function.__name__
            raise ArgumentError(explain(where, f"data among {names}", str(unknown)))
        return list(self._data)

    @functools.cached_property
    def star(self) -> str | None:
        """The name of the argument that takes any number of values, if there is one."""
        kinds = {each.name: each.kind for each in self.signature.parameters.values()}
        return next((name for name, kind in kinds.items() if kind.name == "VAR_POSITIONAL"), None)

    @functools.cached_property
    def operation(self) -> type[OpCall]:
        """The class of a call as part of a graph."""
        members = {"definition": self, "_serialized_as": (self._home, self._class_name)}
        made = type(self._class_name, (OpCall,), members)
        register_builtins(self._home, {self._class_name: made})
        return made

    def symbolic(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The KerasTensors of a call with KerasTensors among its arguments."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        settings = {k: v for k, v in bound.arguments.items() if k not in self.data}
        given: list[Any] = []
        by_name: dict[str, Any] = {}
        for each in self.data:
            value = bound.arguments[each]
            if _is_keywords(self.signature, each):
                by_name = value
                continue
            given.extend(value) if each == self.star else given.append(value)
        if self.star not in self.data:
            while (
                len(given) > 1
                and given[-1] is self.signature.parameters[self.data[len(given) - 1]].default
            ):
                given.pop()
        keywords = {k: settings.pop(k) for k in list(settings) if _is_keywords(self.signature, k)}
        operation = self.operation(**settings, **keywords.get("kwargs", {}))
        return operation.symbolic_call(*given, **by_name)

    def apply(
        self, function: Callable, args: Sequence[Any], kwargs: dict[str, Any], settings: dict
    ) -> Any:
        """The function on data given in the order of `data`, and on settings by name."""
        values = dict(settings)
        if self.star in self.data:
            plain = self.data[: self.data.index(self.star)]
            named_values = dict(zip(plain, args, strict=False))
            before = [
                named_values[name] if name in named_values else values.pop(name)
                for name in self._before_star()
            ]
            return function(*before, *args[len(plain) :], **values, **kwargs)
        values.update(zip(self.data, args, strict=False))
        return function(**values, **kwargs)

    def _before_star(self) -> list[str]:
        names = list(self.signature.parameters)
        assert self.star is not None
        return names[: names.index(self.star)]


def _is_keywords(signature: inspect.Signature, name: str) -> bool:
    return signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD


def op(
    function: Callable | None = None,
    *,
    data: Sequence[str] | None = None,
    name: str | None = None,
    spec: Callable | None = None,
    home: str | None = None,
) -> Any:
    """Make a function of tensors one of KerasTensors as well; also a decorator with settings.

    `data` names the arguments that are data, the others are settings; `name` is the class name in
    files where it is not the function's in capitals, and `home` the module there, where it is not
    that of the function's chapter; `spec` gives the KerasTensors by hand.
    """
    if function is None:
        return functools.partial(op, data=data, name=name, spec=spec, home=home)
    definition = Definition(function, data, name, spec, home)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            return definition.symbolic(args, kwargs)
        return function(*args, **kwargs)

    wrapper.definition = definition  # type: ignore[attr-defined]
    return wrapper


register_builtins("keras", {"Operation": Operation})

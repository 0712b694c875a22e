"""How a call reads its arguments: signatures, tensors among them, and the calls around it."""

import inspect
import threading
from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import tree
from thalweg.keras.operation import known_shape
from thalweg.keras.symbol import KerasTensor


class CallContext:
    """What the calls around hand to all calls within them, such as `training`."""

    def __init__(self, values: dict[str, Any]):
        self.values = values


class _Local(threading.local):
    context: CallContext | None = None


local = _Local()


def is_tensor(value: Any) -> bool:
    """True for tensors with or without a value."""
    return isinstance(value, (Tensor, KerasTensor))


def is_tensor_or_nested(value: Any) -> bool:
    """True for a tensor, or for a nesting of which every leaf is a tensor or None."""
    if is_tensor(value):
        return True
    if not isinstance(value, (list, tuple, dict)):
        return False
    leaves = tree.flatten(value)
    return any(map(is_tensor, leaves)) and all(is_tensor(leaf) or leaf is None for leaf in leaves)


class CallSpec:
    """The arguments of one call by name, and which of them hold tensors."""

    def __init__(
        self,
        signature: inspect.Signature,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        layer_name: str,
    ):
        names = signature.parameters
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            wanted = ", ".join(str(each) for each in names.values())
            raise ArgumentTypeError(
                explain(
                    layer_name, f"the arguments of its call({wanted})", f"a call for which {error}"
                )
            ) from error
        self.bound = bound
        self.arguments: dict[str, Any] = dict(bound.arguments)
        self.given = frozenset(bound.arguments)
        for key, parameter in names.items():
            if parameter.kind is parameter.VAR_KEYWORD and key in self.arguments:
                self.arguments.update(self.arguments.pop(key))
            elif key not in self.arguments and parameter.default is not parameter.empty:
                self.arguments[key] = parameter.default
        self.tensors = {
            key: value for key, value in self.arguments.items() if is_tensor_or_nested(value)
        }
        first = next(iter(self.arguments), None)
        self.first = self.arguments[first] if first is not None else None


def shapes_of(spec: CallSpec) -> dict[str, Any]:
    """The shapes of the tensor arguments, by the name of the argument and `_shape`."""
    found: dict[str, Any] = {}
    for name, value in spec.tensors.items():
        if name == "mask":
            continue
        if name in ("kwargs", "args"):
            for key, each in value.items() if isinstance(value, dict) else enumerate(value):
                found[f"{key}_shape"] = shape_structure(each)
        else:
            found[f"{name}_shape"] = shape_structure(value)
    return found


def shape_structure(value: Any) -> Any:
    """The shapes of nested tensors; None for a leaf without one."""
    return tree.map_structure(
        lambda leaf: known_shape(leaf.shape) if hasattr(leaf, "shape") else None, value
    )


def fitting_shapes(
    method: Any, shapes: dict[str, Any], spec: CallSpec, owner: str
) -> dict[str, Any]:
    """The shapes that a `build` or `compute_output_shape` asks for, by its arguments' names.

    A method with one argument gets the shape of the first tensor, whatever its name. Raises
    ArgumentError for names that do not end in `_shape` or that `call` does not have.
    """
    parameters = inspect.signature(method).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return shapes
    plain = [
        each.name
        for each in parameters.values()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    if len(plain) == 1:
        first = f"{next(iter(spec.arguments), '')}_shape"
        value = shapes[first] if first in shapes else next(iter(shapes.values()), None)
        return {plain[0]: value}
    found = {}
    for name in plain:
        if not name.endswith("_shape"):
            raise ArgumentError(
                explain(
                    f"{owner}.{method.__name__}",
                    "arguments named after those of call(), with `_shape` added",
                    f"argument `{name}`, which does not end in `_shape`",
                )
            )
        source = name.removesuffix("_shape")
        if source not in spec.arguments:
            raise ArgumentError(
                explain(
                    f"{owner}.{method.__name__}",
                    "arguments named after those of call(), with `_shape` added",
                    f"`{name}`, but `call()` does not have argument `{source}`",
                )
            )
        if name in shapes:
            found[name] = shapes[name]
        elif parameters[name].default is parameters[name].empty:
            found[name] = None
    return found

"""Operators and methods of tensors and variables; importing this chapter installs them.

    x + y   2 * x   x @ y   x < y   x & y   x[i, :]   abs(x)     functions of the other chapters
    v += 1                                                      assigns to a variable, returns it
    x[i] = y                                                    refused: write x.at[i].set(y)
    array + x   np.exp(x)                                       NumPy on the left gives tensors too

An operand that is no tensor, variable, array, number, size or list is left to its own operator.
`==` compares element by element while `hash` is that of the handle, so tensors and variables can be
keys of a dictionary; a search by value (`list.index`, `in` on a list, a weak dictionary) asks `==`
for one truth value and meets the error for several.

A function of NumPy that has one of ours gives what ours gives, traced and recorded; its other
functions compute on the values and give arrays.
"""

import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array import data_types, elementwise, manipulation, searching, statistical, utility
from thalweg.array.indexing import At, get_item
from thalweg.array.inspection import API_VERSIONS
from thalweg.array.linalg import matmul
from thalweg.array.operands import Number, check_device
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim

OPERANDS = (Tensor, Variable, *Number, Dim, np.ndarray, np.generic, list, tuple)

BINARY: dict[str, Callable[[Any, Any], Tensor]] = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "matmul": matmul,
    "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide,
    "mod": elementwise.remainder,
    "pow": elementwise.pow,
    "and": elementwise.bitwise_and,
    "or": elementwise.bitwise_or,
    "xor": elementwise.bitwise_xor,
    "lshift": elementwise.bitwise_left_shift,
    "rshift": elementwise.bitwise_right_shift,
}
"""Operators with a reflected form and, for variables, an assigning one."""

COMPARISONS: dict[str, Callable[[Any, Any], Tensor]] = {
    "eq": elementwise.equal,
    "ne": elementwise.not_equal,
    "lt": elementwise.less,
    "le": elementwise.less_equal,
    "gt": elementwise.greater,
    "ge": elementwise.greater_equal,
}

UNARY: dict[str, Callable[[Any], Tensor]] = {
    "neg": elementwise.negative,
    "pos": elementwise.positive,
    "abs": elementwise.abs,
    "invert": elementwise.bitwise_invert,
}

REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "sum": statistical.sum,
    "mean": statistical.mean,
    "prod": statistical.prod,
    "min": statistical.min,
    "max": statistical.max,
    "std": statistical.std,
    "var": statistical.var,
    "all": utility.all,
    "any": utility.any,
    "argmin": searching.argmin,
    "argmax": searching.argmax,
}

UFUNCS: dict[np.ufunc, Callable[..., Tensor]] = {
    ufunc: getattr(elementwise, name)
    for name in dir(elementwise)
    if isinstance(ufunc := getattr(np, name, None), np.ufunc)
} | {np.matmul: matmul, np.rint: elementwise.round, np.bitwise_count: elementwise.population_count}
"""NumPy's functions that have one of ours under the same name, and three that have another."""

# Operators ----------------------------------------------------------------------------------------


def _forward(function: Callable) -> Callable:
    return lambda self, other: (
        function(self, other) if isinstance(other, OPERANDS) else NotImplemented
    )


def _reflected(function: Callable) -> Callable:
    return lambda self, other: (
        function(other, self) if isinstance(other, OPERANDS) else NotImplemented
    )


def _assigning(function: Callable) -> Callable:
    return lambda self, other: (
        self.assign(function(self, other)) if isinstance(other, OPERANDS) else NotImplemented
    )


def _divmod(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    return elementwise.floor_divide(x, y), elementwise.remainder(x, y)


def _array_ufunc(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """NumPy's functions on tensors: ours where there is one, else NumPy's on the values."""
    outputs = options.get("out", ())
    if any(isinstance(each, (Tensor, Variable)) for each in outputs):
        raise ArgumentTypeError(
            explain(ufunc.__name__, "a NumPy array as out", "a tensor", "Tensors never change.")
        )
    if method == "__call__" and ufunc in UFUNCS and not options:
        return UFUNCS[ufunc](*inputs)
    plain = [np.asarray(x) if isinstance(x, (Tensor, Variable)) else x for x in inputs]
    return getattr(ufunc, method)(*plain, **options)


# Methods ------------------------------------------------------------------------------------------


def _reduction(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Any, axis: Any = None, *, out: None = None, **options: Any) -> Tensor:
        if out is not None:
            raise ArgumentTypeError(explain(name, "no out", type(out).__name__, "Use the result."))
        # NumPy's own functions call this with its words and with None for what was not said.
        if "ddof" in options:
            options["correction"] = options.pop("ddof")
        given = {key: value for key, value in options.items() if value is not None}
        return function(self, axis=axis, **given)

    method.__doc__ = function.__doc__
    return method


def _astype(self: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """The same values in another element type."""
    return data_types.astype(self, dtype, copy=copy, device=device)


def _reshape(self: Any, *shape: Any) -> Tensor:
    """The same values under another shape: x.reshape(2, 3) or x.reshape((2, 3)); one may be -1."""
    return manipulation.reshape(self, shape[0] if len(shape) == 1 else shape)


def _transpose(self: Any, *axes: Any) -> Tensor:
    """The axes in another order, or reversed: x.transpose(1, 0) or x.transpose((1, 0))."""
    order: Sequence[int] | None = axes or None
    if len(axes) == 1 and not hasattr(axes[0], "__index__"):
        order = axes[0]
    return manipulation.transpose(self, order)


def _flatten(self: Any) -> Tensor:
    """All elements along one axis."""
    return manipulation.flatten(self)


def _squeeze(self: Any, axis: Any = None) -> Tensor:
    """Without axes of size one: all of them, or those named."""
    return manipulation.squeeze(self, axis)


def _to_device(self: Any, device: Any, /, *, stream: Any = None) -> Tensor:
    """The tensor on a device; there is only the CPU."""
    check_device("to_device", device)
    if stream is not None:
        raise ArgumentError(explain("to_device", "no stream on the CPU", repr(stream)))
    return self if isinstance(self, Tensor) else self.value


def _array_namespace(self: Any, /, *, api_version: str | None = None) -> Any:
    """The module that holds the functions of the Python Array API standard."""
    if api_version is not None and api_version not in API_VERSIONS:
        known = ", ".join(API_VERSIONS)
        raise ArgumentError(
            explain("__array_namespace__", f"a version among {known}", repr(api_version))
        )
    return sys.modules["thalweg"]


def _matrix_transposed(self: Any) -> Tensor:
    """The matrix with rows and columns exchanged. Raises ShapeError unless there are two axes."""
    if self.ndim != 2:
        raise ShapeError(
            explain(
                "T",
                "a matrix",
                f"a tensor of {self.ndim} axes",
                "Write x.mT for the last two axes, or x.transpose() to reverse all.",
            )
        )
    return manipulation.swapaxes(self, 0, 1)


def _last_transposed(self: Any) -> Tensor:
    """The last two axes exchanged. Raises ShapeError for fewer than two."""
    if self.ndim < 2:
        raise ShapeError(explain("mT", "two axes or more", f"a tensor of {self.ndim} axes"))
    return manipulation.swapaxes(self, -2, -1)


def _at(self: Any) -> At:
    """Places to change in a copy: x.at[index].set(value), add, multiply, min, max."""
    return At(self)


def _refuse_set_item(self: Tensor, key: Any, value: Any) -> None:
    raise ArgumentTypeError(
        explain(
            "x[index] = value",
            "a variable, as tensors never change",
            f"a tensor of {self._cell.node.type}",
            "Write x = x.at[index].set(value).",
        )
    )


def _assign_item(self: Variable, key: Any, value: Any) -> None:
    self.assign(At(self)[key].set(value))


def _assign_add(self: Variable, value: Any, /) -> Variable:
    """Refer to the sum of the variable and a value; returns the variable."""
    return self.assign(elementwise.add(self, value))


def _assign_sub(self: Variable, value: Any, /) -> Variable:
    """Refer to the difference of the variable and a value; returns the variable."""
    return self.assign(elementwise.subtract(self, value))


def _contains(self: Any, value: Any) -> bool:
    return bool(utility.any(elementwise.equal(self, value)))


METHODS: dict[str, Any] = {
    "__contains__": _contains,
    "__divmod__": _forward(_divmod),
    "__rdivmod__": _reflected(_divmod),
    "__getitem__": lambda self, key: get_item(self, key),
    "__array_ufunc__": _array_ufunc,
    "__array_namespace__": _array_namespace,
    "T": property(_matrix_transposed),
    "mT": property(_last_transposed),
    "at": property(_at),
    "astype": _astype,
    "reshape": _reshape,
    "transpose": _transpose,
    "flatten": _flatten,
    "squeeze": _squeeze,
    "to_device": _to_device,
}

SHARED = ("size", "itemsize", "nbytes", "device", "is_traced")
"""Properties that a variable has from its tensor, as it has the methods named below."""

SHARED_METHODS = ("item", "tolist", "__complex__", "__dlpack__", "__dlpack_device__")


def _of_value(name: str) -> Callable:
    return lambda self, *args, **options: getattr(self.value, name)(*args, **options)


# Installing ---------------------------------------------------------------------------------------


def _install(cls: type) -> None:
    """Give a class what tensors and variables have in common."""
    _add(cls, {f"__{name}__": _forward(function) for name, function in BINARY.items()})
    _add(cls, {f"__r{name}__": _reflected(function) for name, function in BINARY.items()})
    _add(cls, {f"__{name}__": _forward(function) for name, function in COMPARISONS.items()})
    _add(cls, {f"__{name}__": _only(function) for name, function in UNARY.items()})
    _add(cls, {name: _reduction(name, function) for name, function in REDUCTIONS.items()})
    _add(cls, METHODS)


def _only(function: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    return lambda self: function(self)


def _add(cls: type, members: dict[str, Any]) -> None:
    for name, member in members.items():
        if not isinstance(member, property):
            member.__name__ = member.__qualname__ = name
        setattr(cls, name, member)


_install(Tensor)
_install(Variable)
_add(Tensor, {"__setitem__": _refuse_set_item})
_add(Variable, {"__setitem__": _assign_item})
_add(Variable, {f"__i{name}__": _assigning(function) for name, function in BINARY.items()})
_add(Variable, {"assign_add": _assign_add, "assign_sub": _assign_sub})
_add(Variable, {name: property(operator.attrgetter(f"value.{name}")) for name in SHARED})
_add(Variable, {name: _of_value(name) for name in SHARED_METHODS})

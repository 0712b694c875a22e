"""The operators of KerasTensor and Variable: each is the public op of its name."""

from collections.abc import Callable
from typing import Any

from thalweg.array.operators import OPERANDS
from thalweg.keras.ops import core, numpy
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import Variable

BINARY: dict[str, Callable] = {
    "add": numpy.add,
    "sub": numpy.subtract,
    "mul": numpy.multiply,
    "truediv": numpy.true_divide,
    "floordiv": numpy.floor_divide,
    "mod": numpy.mod,
    "pow": numpy.power,
    "matmul": numpy.matmul,
    "and": numpy.logical_and,
    "or": numpy.logical_or,
    "xor": numpy.logical_xor,
    "divmod": lambda x, y: (numpy.floor_divide(x, y), numpy.mod(x, y)),
}
COMPARISONS: dict[str, Callable] = {
    "lt": numpy.less,
    "le": numpy.less_equal,
    "gt": numpy.greater,
    "ge": numpy.greater_equal,
    "ne": numpy.not_equal,
}
UNARY: dict[str, Callable] = {
    "neg": numpy.negative,
    "abs": numpy.absolute,
    "invert": numpy.logical_not,
}


def _forward(function: Callable) -> Callable:
    return lambda self, other: function(self, other)


def _reflected(function: Callable) -> Callable:
    return lambda self, other: function(other, self)


def _where_known(method: Callable) -> Callable:
    """The operator for what is a tensor or becomes one; other operands have their own."""
    known = (*OPERANDS, KerasTensor)

    def operator(self: Any, other: Any) -> Any:
        return method(self, other) if isinstance(other, known) else NotImplemented

    return operator


def _unary(function: Callable) -> Callable:
    return lambda self: function(self)


def _install() -> None:
    for name, function in BINARY.items():
        setattr(KerasTensor, f"__{name}__", _forward(function))
        setattr(KerasTensor, f"__r{name}__", _reflected(function))
        setattr(Variable, f"__{name}__", _where_known(_forward(function)))
        setattr(Variable, f"__r{name}__", _where_known(_reflected(function)))
    for name, function in COMPARISONS.items():
        setattr(KerasTensor, f"__{name}__", _forward(function))
    for name, function in UNARY.items():
        setattr(KerasTensor, f"__{name}__", _unary(function))
    members: dict[str, Any] = {
        "__getitem__": lambda self, key: numpy.get_item(self, key),
        "__round__": lambda self, digits=None: numpy.round(self, decimals=digits or 0),
        "reshape": lambda self, *shape: numpy.reshape(
            self, shape[0] if len(shape) == 1 and isinstance(shape[0], (list, tuple)) else shape
        ),
        "squeeze": lambda self, axis=None: numpy.squeeze(self, axis=axis),
        "astype": lambda self, dtype: core.cast(self, dtype),
    }
    for name, member in members.items():
        setattr(KerasTensor, name, member)
    for name in ("__invert__", "__round__"):
        setattr(Variable, name, getattr(KerasTensor, name))


_install()

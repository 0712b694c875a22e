"""The operators of KerasTensor and Variable: each is the public op of its name.

The op is looked up when its operator is used, so that its module is imported only then.
"""

from collections.abc import Callable
from typing import Any

from thalweg.keras.saving.registration import namespace

BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
    "and": "logical_and",
    "or": "logical_or",
    "xor": "logical_xor",
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "ne": "not_equal",
}
UNARY = {
    "neg": "negative",
    "abs": "absolute",
    "invert": "logical_not",
}


def _op(name: str) -> Callable:
    return getattr(namespace("keras.ops"), name)


def _forward(name: str) -> Callable:
    return lambda self, other: _op(name)(self, other)


def _reflected(name: str) -> Callable:
    return lambda self, other: _op(name)(other, self)


def _unary(name: str) -> Callable:
    return lambda self: _op(name)(self)


def _divmod(x: Any, y: Any) -> tuple[Any, Any]:
    return _op("floor_divide")(x, y), _op("mod")(x, y)


METHODS: dict[str, tuple[Callable, Callable]] = {
    **{name: (_forward(function), _reflected(function)) for name, function in BINARY.items()},
    "divmod": (_divmod, lambda self, other: _divmod(other, self)),
}
"""Of operators of two operands, the method and the reflected one."""


def _round(self: Any, digits: int | None = None) -> Any:
    return _op("round")(self, decimals=digits or 0)


def _reshape(self: Any, *shape: Any) -> Any:
    is_whole = len(shape) == 1 and isinstance(shape[0], (list, tuple))
    return _op("reshape")(self, shape[0] if is_whole else shape)


def for_symbols(cls: type) -> type:
    """Give a class of symbolic tensors its operators; a decorator."""
    for name, (forward, reflected) in METHODS.items():
        setattr(cls, f"__{name}__", forward)
        setattr(cls, f"__r{name}__", reflected)
    for name, function in COMPARISONS.items():
        setattr(cls, f"__{name}__", _forward(function))
    for name, function in UNARY.items():
        setattr(cls, f"__{name}__", _unary(function))
    members: dict[str, Callable] = {
        "__getitem__": lambda self, key: _op("get_item")(self, key),
        "__round__": _round,
        "reshape": _reshape,
        "squeeze": lambda self, axis=None: _op("squeeze")(self, axis=axis),
        "astype": lambda self, dtype: _op("cast")(self, dtype),
    }
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


def for_variables(operands: tuple[type, ...]) -> Callable[[type], type]:
    """Give a class of variables its operators, for operands of these types; a decorator.

    Other operands have their own.
    """

    def known(method: Callable) -> Callable:
        def operator(self: Any, other: Any) -> Any:
            return method(self, other) if isinstance(other, operands) else NotImplemented

        return operator

    def install(cls: type) -> type:
        for name, (forward, reflected) in METHODS.items():
            setattr(cls, f"__{name}__", known(forward))
            setattr(cls, f"__r{name}__", known(reflected))
        for name, method in (("invert", _unary(UNARY["invert"])), ("round", _round)):
            setattr(cls, f"__{name}__", method)
        return cls

    return install

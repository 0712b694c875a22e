"""Kinds of attributes: the hashable metadata of a node, each with one normal form.

A kind turns what a caller gives into the normal form or refuses it. Because a kind fixes the Python
type of its attribute, values that compare equal across types (1, 1.0, True) never meet in one slot.

    Integer    7                   Flag     true
    Text       "add"               Element  f32
    Sizes      integers and named sizes, nested in tuples: 3, (b,784), ((0,1),(2,2))
    Value      a literal array     Kept     a Function, a host function or a tag, by its own hash
    Types      tensor types, in a tuple
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.ir.dim import Dim
from thalweg.ir.types import DTYPES, Literal, TensorType, as_dtype


class Required:
    """Marks an attribute that has no default."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = Required()


@dataclass(frozen=True, slots=True)
class Hole:
    """Stands for any value of an attribute in a rewrite pattern."""

    name: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of attribute, and its default: what `normalise` is not asked about."""

    default: Any = REQUIRED

    wanted = "a value"
    advice = ""

    def normalise(self, value: Any) -> Any:
        raise TypeError


class Integer(Kind):
    wanted = "an integer"

    def normalise(self, value: Any) -> int:
        if type(value) is int:
            return value
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return value.__index__()


class Flag(Kind):
    wanted = "True or False"

    def normalise(self, value: Any) -> bool:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        raise TypeError


class Text(Kind):
    wanted = "a string"

    def normalise(self, value: Any) -> str:
        if isinstance(value, str):
            return str(value)
        raise TypeError


class Element(Kind):
    wanted = "an element type"
    advice = f"Write one of {', '.join(dtype.name for dtype in DTYPES)}."

    def normalise(self, value: Any) -> Any:
        return as_dtype(value)


class Sizes(Kind):
    wanted = "integers or named sizes, in tuples or lists"

    def normalise(self, value: Any) -> Any:
        kind = type(value)
        if kind is int or kind is Dim:
            return value
        if kind is tuple or kind is list:
            return tuple([self.normalise(item) for item in value])
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        if isinstance(value, np.ndarray) and value.ndim:
            return self.normalise(value.tolist())
        return value.__index__()


class Value(Kind):
    wanted = "a literal value"

    def normalise(self, value: Any) -> Literal:
        if isinstance(value, Literal):
            return value
        raise TypeError


class Types(Kind):
    wanted = "tensor types in a tuple"

    def normalise(self, value: Any) -> Any:
        if isinstance(value, TensorType):
            return value
        if isinstance(value, (tuple, list)):
            return tuple([self.normalise(item) for item in value])
        raise TypeError


class Kept(Kind):
    wanted = "a Function or another hashable object"
    advice = "Attributes are compared and hashed: give numbers, strings or tuples of them."

    def normalise(self, value: Any) -> Any:
        if isinstance(value, list):
            value = tuple(value)
        hash(value)
        return value


def normalise(op_name: str, name: str, kind: Kind, value: Any) -> Any:
    """The normal form of an attribute, or an error that names the op and the attribute."""
    if isinstance(value, Hole) or value is kind.default:
        return value
    try:
        return kind.normalise(value)
    except (TypeError, AttributeError):
        do = kind.advice
        if type(value).__name__ == "Tensor":
            do = "A tensor is data, not metadata: pass a Python value, or mark it static."
        raise ArgumentTypeError(
            explain(
                op_name, f"{kind.wanted} for {name}", f"{value!r} of {type(value).__name__}", do
            )
        ) from None

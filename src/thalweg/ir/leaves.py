"""The ops that a graph cannot be written without: its inputs, its constants, and one of several.

parameter(name=..., type=...)   an input of a Function; `name` is a string, or a Tag while the
                                function is traced or for data that lives outside any function
constant(value=..., shape=...)  a literal; a scalar literal fills the whole shape
item(x, index=...)              one result of an op that has several
hole(name=...)                  stands for any node in a rewrite pattern
"""

import functools
import itertools
from typing import Any

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Integer, Kept, Sizes, Types, Value
from thalweg.ir.node import ANY, Node, make
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DType,
    Literal,
    Shape,
    TensorType,
    bool_,
    shape_text,
    tensor_type,
)

_serial = itertools.count()


def next_serial() -> int:
    """A number above those of all tags made so far."""
    return next(_serial)


class Tag:
    """A name that is equal to no other: it keeps parameters of different traces apart.

    `owner` is the value that a parameter stands for. It must not lead back to the parameter: the
    interning table holds the tag for as long as the node lives.
    """

    __slots__ = ("__weakref__", "name", "owner", "serial")

    def __init__(self, name: str, owner: Any = None):
        self.name = name
        self.owner = owner
        self.serial = next(_serial)

    def __repr__(self) -> str:
        return f"{self.name}#{self.serial}"


def _no_value(**attrs):
    raise AssertionError("a parameter has no value of its own: the interpreter binds it")


parameter: Op = declare(
    Op(
        name="parameter",
        doc="An input of a function.",
        infer=lambda *, name, type: type,
        evaluate=_no_value,
        arity=0,
        attributes={"name": Kept(), "type": Types()},
        gradient=Absent("a leaf"),
        batch=Absent("a leaf"),
        cost=lambda *, result, name, type: 0,
        samples=Absent("bound by the interpreter"),
        refuses=Absent("takes any type"),
        family="leaf",
    )
)


def _infer_constant(*, value: Literal, shape: Shape) -> TensorType:
    if value.shape and value.shape != shape:
        received = f"{shape_text(value.shape)} for {shape_text(shape)}"
        raise ShapeError(
            explain("constant", "a scalar literal, or one of the same shape", received)
        )
    return tensor_type(value.dtype, shape)


def _evaluate_constant(*, value: Literal, shape: tuple[int, ...]) -> np.ndarray:
    array = value.numpy()
    return array if array.shape == shape else np.full(shape, array, array.dtype)


def _sample_constants():
    yield Sample((), {"value": Literal.from_numpy(np.float32(2.5)), "shape": ()})
    yield Sample((), {"value": Literal.from_numpy(np.float32(-0.0)), "shape": (2, 0, 3)})
    yield Sample((), {"value": Literal.from_numpy(np.arange(6).reshape(2, 3)), "shape": (2, 3)})


constant: Op = declare(
    Op(
        name="constant",
        doc="A literal value; a scalar literal fills the whole shape.",
        infer=_infer_constant,
        evaluate=_evaluate_constant,
        arity=0,
        attributes={"value": Value(), "shape": Sizes()},
        gradient=Absent("a leaf"),
        batch=Absent("a leaf"),
        cost=lambda *, result, value, shape: 0,
        samples=_sample_constants,
        refuses=lambda: [
            Refusal((), {"value": Literal.from_numpy(np.arange(6)), "shape": (2, 3)}, "same shape")
        ],
        family="leaf",
    )
)


def _infer_item(types: Any, *, index: int) -> TensorType:
    if not isinstance(types, tuple):
        raise ShapeError(explain("item", "an operation with several results", str(types)))
    if not 0 <= index < len(types):
        raise ShapeError(explain("item", f"an index from 0 to {len(types) - 1}", f"{index}"))
    return types[index]


item: Op = declare(
    Op(
        name="item",
        doc="One result of an op that has several.",
        infer=_infer_item,
        evaluate=lambda values, *, index: values[index],
        arity=1,
        attributes={"index": Integer()},
        gradient=Absent("reverse mode collects the items of a node itself"),
        batch=Absent("batching takes the item of the batched node itself"),
        cost=lambda types, *, result, index: 0,
        samples=Absent("tested with the ops that have several results"),
        refuses=lambda: [
            Refusal((tensor_type(bool_, ()),), {"index": 0}, "an operation with several results")
        ],
        family="leaf",
    )
)

hole: Op = declare(
    Op(
        name="hole",
        doc="Any node, in a rewrite pattern.",
        infer=lambda *, name: ANY,
        evaluate=_no_value,
        arity=0,
        attributes={"name": Kept()},
        gradient=Absent("a pattern has no derivative"),
        batch=Absent("a pattern is not run"),
        cost=Absent("a pattern is not run"),
        samples=Absent("a pattern is not run"),
        refuses=Absent("a pattern is not run"),
        family="leaf",
    )
)


def full(value: Any, dtype: DType, shape: Shape = ()) -> Node:
    """A constant of one number everywhere."""
    if value.__class__ in _PLAIN:
        number = _number(value, str(value)[0] == "-", dtype)
        return make(constant, (), (number, _SHAPE.normalise(shape)))
    return constant(value=Literal.from_numpy(value, dtype), shape=shape)


_PLAIN = (float, int, bool)
_SHAPE = Sizes()


@functools.lru_cache(maxsize=4096, typed=True)
def _number(value: Any, is_negative: bool, dtype: DType) -> Literal:
    # The sign is part of the key because 0.0 and -0.0 are equal to Python.
    return Literal.from_numpy(value, dtype)


def full_like(node: Node, value: Any) -> Node:
    """A constant of one number with the type of `node`; in a pattern, of any type."""
    if node.type is ANY:
        return hole(name=Literal.from_numpy(value))
    return full(value, node.type.dtype, node.type.shape)


def literal(array: Any, dtype: DType | None = None) -> Node:
    """A constant with the values of a small array."""
    value = Literal.from_numpy(array, dtype)
    return constant(value=value, shape=value.shape)


def items(node: Node) -> tuple[Node, ...]:
    """All results of a node: its items, or the node itself alone."""
    if isinstance(node.type, tuple):
        return tuple(item(node, index=index) for index in range(len(node.type)))
    return (node,)


def splat(node: Node) -> Any:
    """The one number that a constant holds everywhere, or None."""
    if node.op is constant and node.attrs[0].is_scalar:
        return node.attrs[0].scalar()
    return None

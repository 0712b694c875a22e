"""Rules for ops that move values: compositions collapse, moves that do nothing disappear.

All are exact. Constants of one number absorb every move.
"""

from collections.abc import Sequence

from thalweg.ir.leaves import constant
from thalweg.ir.node import Node
from thalweg.ir.rewrite import Rules, weight
from thalweg.ir.types import Literal, float32
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.movement import concatenate, pad, reshape, reverse, slice, transpose

X = "f32[2,3,4]"
VALUE = Literal.from_numpy(2.5, float32)


def measure(nodes: Sequence[Node]) -> int:
    return weight(nodes)


rules = Rules("movement", "exact", measure)


@rules.equation(((X,), {"shape": (2, 3, 4)}))
def reshape_to_same(x, *, shape):
    yield reshape(x, shape=shape)
    if x.shape == shape:
        yield x


@rules.equation(((X,), {"inner": (6, 4), "outer": (4, 6)}))
def reshape_twice(x, *, inner, outer):
    yield reshape(reshape(x, shape=inner), shape=outer)
    yield reshape(x, shape=outer)


@rules.equation(((X,), {"axes": (0, 1, 2)}))
def transpose_nothing(x, *, axes):
    yield transpose(x, axes=axes)
    if axes == tuple(range(len(axes))):
        yield x


@rules.equation(((X,), {"inner": (2, 0, 1), "outer": (1, 0, 2)}))
def transpose_twice(x, *, inner, outer):
    yield transpose(transpose(x, axes=inner), axes=outer)
    yield transpose(x, axes=tuple(inner[axis] for axis in outer))


@rules.equation(((X,), {"shape": (2, 3, 4), "axes": (0, 1, 2)}))
def broadcast_nothing(x, *, shape, axes):
    yield broadcast(x, shape=shape, axes=axes)
    if len(axes) == len(shape):
        yield x


@rules.equation(
    (("f32[3]",), {"middle": (2, 3), "inner": (1,), "shape": (2, 5, 3), "outer": (0, 2)})
)
def broadcast_twice(x, *, middle, inner, shape, outer):
    yield broadcast(broadcast(x, shape=middle, axes=inner), shape=shape, axes=outer)
    yield broadcast(x, shape=shape, axes=tuple(outer[axis] for axis in inner))


@rules.equation(((), {"value": VALUE, "inner": (3,), "shape": (2, 3), "axes": (1,)}))
def broadcast_constant(*, value, inner, shape, axes):
    yield broadcast(constant(value=value, shape=inner), shape=shape, axes=axes)
    if value.is_scalar:
        yield constant(value=value, shape=shape)


@rules.equation(((), {"value": VALUE, "inner": (2, 3), "shape": (6,)}))
def reshape_constant(*, value, inner, shape):
    yield reshape(constant(value=value, shape=inner), shape=shape)
    if value.is_scalar:
        yield constant(value=value, shape=shape)


@rules.equation(((), {"value": VALUE, "inner": (2, 3), "axes": (1, 0)}))
def transpose_constant(*, value, inner, axes):
    yield transpose(constant(value=value, shape=inner), axes=axes)
    if value.is_scalar:
        yield constant(value=value, shape=tuple(inner[axis] for axis in axes))


@rules.equation(((X,), {"start": (0, 0, 0), "limit": (2, 3, 4), "stride": (1, 1, 1)}))
def slice_everything(x, *, start, limit, stride):
    yield slice(x, start=start, limit=limit, stride=stride)
    if not any(start) and limit == x.shape and all(step == 1 for step in stride):
        yield x


@rules.equation(
    (("f32[9]",), {"a": (1,), "b": (9,), "c": (2,), "d": (1,), "e": (4,), "f": (2,)}),
    (("f32[9]",), {"a": (2,), "b": (9,), "c": (3,), "d": (0,), "e": (1,), "f": (1,)}),
)
def slice_twice(x, *, a, b, c, d, e, f):
    yield slice(slice(x, start=a, limit=b, stride=c), start=d, limit=e, stride=f)
    start = tuple(one + first * step for one, first, step in zip(a, d, c, strict=True))
    limit = tuple(
        # One past the last element taken, which may lie short of limit * stride.
        one + first * step if first is last or first == last else one + (last - 1) * step + 1
        for one, first, last, step in zip(a, d, e, c, strict=True)
    )
    stride = tuple(one * other for one, other in zip(c, f, strict=True))
    yield slice(x, start=start, limit=limit, stride=stride)


@rules.equation((("f32[3]", "f32[]"), {"low": (0,), "high": (0,), "interior": (0,)}))
def pad_nothing(x, value, *, low, high, interior):
    yield pad(x, value, low=low, high=high, interior=interior)
    if not any((*low, *high, *interior)):
        yield x


@rules.equation(((X,), {"axes": ()}))
def reverse_nothing(x, *, axes):
    yield reverse(x, axes=axes)
    if not axes:
        yield x


@rules.equation(((X,), {"axes": (0, 2)}))
def reverse_twice(x, *, axes):
    yield reverse(reverse(x, axes=axes), axes=axes)
    yield x


@rules.equation(((X,), {"axis": 1}))
def concatenate_one(x, *, axis):
    yield concatenate(x, axis=axis)
    yield x


@rules.equation(((X,), {"axes": ()}))
def sum_nothing(x, *, axes):
    yield sum_op(x, axes=axes)
    if not axes:
        yield x

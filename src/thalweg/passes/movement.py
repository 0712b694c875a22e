"""Rules for ops that move values: compositions collapse, moves that do nothing disappear.

All are exact. Constants of one number absorb every move.
"""

from collections.abc import Sequence

from thalweg.ir.dim import is_known_at_least, is_known_equal, named
from thalweg.ir.leaves import constant
from thalweg.ir.node import Node
from thalweg.ir.rewrite import Rules, weight
from thalweg.ir.types import Literal, Size, float32, size_of
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.movement import concatenate, pad, reshape, reverse, slice, transpose

X = "f32[2,3,4]"
VALUE = Literal.from_numpy(2.5, float32)
B = named("b")


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
    # Two sizes that are known to equal a third need not be known to be equal.
    if is_known_equal(size_of(outer), x.type.size):
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
    if x.shape == shape:
        yield x


@rules.equation(
    (("f32[3]",), {"middle": (2, 3), "inner": (1,), "shape": (2, 5, 3), "outer": (0, 2)})
)
def broadcast_twice(x, *, middle, inner, shape, outer):
    yield broadcast(broadcast(x, shape=middle, axes=inner), shape=shape, axes=outer)
    axes = tuple(outer[axis] for axis in inner)
    if all(is_known_equal(size, shape[axis]) for size, axis in zip(x.shape, axes, strict=True)):
        yield broadcast(x, shape=shape, axes=axes)


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
    is_whole = all(low == 0 for low in start) and limit == x.shape
    if is_whole and all(step == 1 for step in stride):
        yield x


def _part_of_part(a: Size, b: Size, c: Size, d: Size, e: Size) -> tuple[Size, Size] | None:
    """The start and limit of places d to e among the elements a, a + c, ... below b.

    None with gaps (c > 1) and named sizes, where it is not known whether anything is left to take.
    """
    if c == 1:
        return a + d, a + e
    if any(type(size) is not int for size in (a, b, c, d, e)):
        return None
    # Place e may lie past the limit: the last element taken need not be a whole stride before it.
    limit = min(a + e * c, b)
    return min(a + d * c, limit), limit


@rules.equation(
    (("f32[9]",), {"a": (1,), "b": (9,), "c": (2,), "d": (1,), "e": (4,), "f": (2,)}),
    (("f32[9]",), {"a": (2,), "b": (9,), "c": (3,), "d": (0,), "e": (1,), "f": (1,)}),
    (("f32[9]",), {"a": (0,), "b": (5,), "c": (3,), "d": (2,), "e": (2,), "f": (1,)}),
    (("f32[9]",), {"a": (4,), "b": (4,), "c": (2,), "d": (0,), "e": (0,), "f": (3,)}),
    (("f32[b,9]",), {"a": (0, 1), "b": (B, 8), "c": (1, 3), "d": (0, 0), "e": (B, 3),
                     "f": (2, 2)}),
)  # fmt: skip
def slice_twice(x, *, a, b, c, d, e, f):
    yield slice(slice(x, start=a, limit=b, stride=c), start=d, limit=e, stride=f)
    parts = [_part_of_part(*each) for each in zip(a, b, c, d, e, strict=True)]
    if all(
        part is not None
        and is_known_at_least(part[0], 0)
        and is_known_at_least(part[1] - part[0], 0)
        and is_known_at_least(size - part[1], 0)
        for part, size in zip(parts, x.shape, strict=True)
    ):
        start, limit = zip(*parts, strict=True) if parts else ((), ())
        stride = tuple(one * other for one, other in zip(c, f, strict=True))
        yield slice(x, start=start, limit=limit, stride=stride)


@rules.equation((("f32[3]", "f32[]"), {"low": (0,), "high": (0,), "interior": (0,)}))
def pad_nothing(x, value, *, low, high, interior):
    yield pad(x, value, low=low, high=high, interior=interior)
    if all(size == 0 for size in (*low, *high, *interior)):
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

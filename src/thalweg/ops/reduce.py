"""Reductions over axes, positions of extrema, and running results along one axis.

    product(x, axes=...)  max  min  any  all         axes leave the shape; `sum` is in broadcast.py
    argmax(x, axis=..., dtype=i64)  argmin           the first extremum; a NaN counts as one
    cumsum(x, axis=..., reverse=false)  cumprod  cummax  cummin  cumlogsumexp
    linear_recurrence(a, b, axis=..., reverse=false) y[k] = a[k] * y[k-1] + b[k], from y[-1] = 0

`reverse` runs from the last element to the first. A sum or product of nothing is 0 or 1, `any` is
false and `all` is true. A max of nothing is refused where the size is known to be 0; where a named
size turns out to be 0, it is the lowest value of the type, and its position is 0.

16-bit floats accumulate in float32 and each result is rounded once. Integers wrap around.

Derivatives hold for every order. That of a product is made of the products of the other factors,
never of a quotient, so factors may be zero. Tied extrema share the cotangent equally; a running
extremum passes it to the first element that attained it. The linear recurrence is the adjoint of
cumprod, cummax, cummin and cumlogsumexp, and of itself.
"""

import builtins
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Element, Flag, Integer, Sizes
from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DEFAULT_INT,
    DTYPES,
    FLOATS,
    INEXACT,
    INTEGERS,
    NUMERIC,
    DType,
    Size,
    TensorType,
    bool_,
    float32,
    float64,
    int32,
)
from thalweg.ops.broadcast import broadcast, check_axes
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.elementwise import (
    DISCRETE,
    ORDERED,
    add,
    cast,
    check_elements,
    conjugate,
    divide,
    equal,
    exp,
    front,
    greater,
    greater_equal,
    isnan,
    less,
    less_equal,
    logical_not,
    logical_or,
    multiply,
    select,
    subtract,
)
from thalweg.ops.movement import concatenate, iota, pad, slice
from thalweg.ops.samples import a_type, special, values

# What the families share --------------------------------------------------------------------------


def widen(x: np.ndarray) -> np.ndarray:
    """16-bit floats as float32, in which they accumulate and compare; other values as they are."""
    is_short = x.dtype.itemsize == 2 and x.dtype.kind not in "iu"
    return x.astype(np.float32) if is_short else x


def check_axis(op: str, type: TensorType, axis: int) -> None:
    """Refuse an axis that is out of range or negative."""
    if not 0 <= axis < type.rank:
        wanted = f"an axis from 0 to {type.rank - 1}" if type.rank else "an operand with an axis"
        raise ShapeError(explain(op, wanted, f"axis {axis} for {type}"))


def check_positions(op: str, dtype: DType, last: Size) -> None:
    """Refuse an element type that cannot hold the positions from 0 to `last`."""
    if not dtype.is_integer:
        raise DTypeError(
            explain(op, "an integer type for positions", str(dtype), "Write dtype='int64'.")
        )
    if is_known_at_least(last, np.iinfo(dtype.numpy).max + 1):
        raise DTypeError(
            explain(op, f"a type that holds positions up to {last}", str(dtype), "Take 'int64'.")
        )


def _others(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(axis for axis in range(rank) if axis not in axes)


def _restore(y: Node, x: Node, axes: Sequence[int]) -> Node:
    """A reduced value repeated along the axes that were reduced away."""
    return broadcast(y, shape=x.shape, axes=_others(axes, x.type.rank))


def _former(x: Node, start: float, axis: int, reverse: bool) -> Node:
    """At each place what stands one step before it along the run; `start` at the first place."""
    low, high = [0] * x.type.rank, [0] * x.type.rank
    low[axis], high[axis] = (-1, 1) if reverse else (1, -1)
    none = (0,) * x.type.rank
    return pad(x, full(start, x.dtype), low=tuple(low), high=tuple(high), interior=none)


def _next(x: Node, end: float, axis: int, reverse: bool) -> Node:
    """At each place what stands one step after it along the run; `end` at the last place."""
    return _former(x, end, axis, not reverse)


# Reductions ---------------------------------------------------------------------------------------


def _reduction(
    name: str,
    doc: str,
    evaluate: Callable,
    dtypes: Sequence[DType],
    gradient: Callable | Absent,
    more: Callable[[], Iterable[Sample]],
    *,
    of_nothing: bool = True,
    tolerance: float = 0,
) -> Op:
    """Declare a reduction over any axes, its result of the operand's element type.

    `of_nothing` says that it has a value for no elements; `more` are samples beyond the regular.
    """

    def infer(x: TensorType, *, axes: tuple[int, ...]) -> TensorType:
        check_axes(name, x, axes)
        check_elements(name, dtypes, x)
        if not of_nothing and builtins.any(is_known_equal(x.shape[axis], 0) for axis in axes):
            raise ShapeError(
                explain(
                    name,
                    "at least one element along the axes to reduce",
                    f"{x} with axes {axes}",
                    f"A {name} of nothing has no value: check the size, or concatenate a first "
                    "value.",
                )
            )
        return x.with_shape(tuple(x.shape[axis] for axis in _others(axes, x.rank)))

    def samples():
        for dtype in dtypes:
            yield Sample((values((2, 3), dtype),), {"axes": (0,)})
            yield Sample((values((2, 3, 2), dtype),), {"axes": (0, 2)})
        for dtype in [dtype for dtype in dtypes if dtype in (bool_, float32, float64)]:
            yield Sample((values((2, 3), dtype),), {"axes": (0, 1)})
            yield Sample((values((2, 3), dtype),), {"axes": ()})
            yield Sample((values((), dtype),), {"axes": ()})
            yield Sample((values((2, 1), dtype),), {"axes": (1,)})
            yield Sample((values((0, 3), dtype),), {"axes": (1,)})
            if of_nothing:
                yield Sample((values((0, 3), dtype),), {"axes": (0,)})
        yield from more()

    def refuses():
        short = dtypes[-1].short
        wrong = next(dtype.short for dtype in DTYPES[::-1] + DTYPES if dtype not in dtypes)
        yield Refusal((a_type(f"{short}[3]"),), {"axes": (1,)}, "distinct axes in order")
        yield Refusal((a_type(f"{short}[3,4]"),), {"axes": (1, 0)}, "distinct axes in order")
        yield Refusal((a_type(f"{wrong}[3]"),), {"axes": (0,)}, f"[{name}] wants ")
        if not of_nothing:
            empty = a_type(f"{short}[0,3]")
            yield Refusal((empty,), {"axes": (0,)}, f"A {name} of nothing has no value")

    op = Op(
        name=name,
        doc=doc,
        infer=infer,
        evaluate=evaluate,
        arity=1,
        attributes={"axes": Sizes()},
        gradient=gradient,
        batch=lambda size, mapped, x, *, axes: op(x, axes=tuple(axis + 1 for axis in axes)),
        cost=lambda x, *, result, axes: x.size,
        samples=samples,
        refuses=refuses,
        tolerance=tolerance,
        family="reduction",
    )
    return declare(op)


def _evaluate_product(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    wide = widen(x)
    return np.prod(wide, axis=axes, dtype=wide.dtype).astype(x.dtype)


def _product_of_others(x: Node, axis: int) -> Node:
    """At each place the product of all the other factors along an axis."""
    before = _former(cumprod(x, axis=axis), 1, axis, reverse=False)
    after = _former(cumprod(x, axis=axis, reverse=True), 1, axis, reverse=True)
    return multiply(before, after)


def _differentiate_product(dy: Node, y: Node, x: Node, *, axes: tuple[int, ...]):
    if not axes:
        return (dy,)
    # A product of products: one axis after another, the last one innermost.
    last = axes[-1:]
    (dy,) = _differentiate_product(dy, y, product(x, axes=last), axes=axes[:-1])
    return (multiply(_restore(dy, x, last), conjugate(_product_of_others(x, last[0]))),)


def _sample_zero_factors():
    for zeros in ([2], [0, 2], [0, 1, 2, 3]):
        x = values((4,), float64)
        x[zeros] = 0
        yield Sample((x,), {"axes": (0,)}, name=f"{len(zeros)} zeros")
    x = values((3, 2), float64)
    x[0, 0] = x[2, 1] = 0
    yield Sample((x,), {"axes": (0, 1)}, name="zeros")
    yield Sample((special(float32),), {"axes": (0,)}, name="special", differentiable=False)


product = _reduction(
    "product", "Product of the values along some axes.", _evaluate_product, NUMERIC,
    _differentiate_product, _sample_zero_factors, tolerance=8,
)  # fmt: skip


def lowest(dtype: np.dtype) -> bool | int | float:
    """The value that no other of a NumPy type is below."""
    if dtype.kind == "b":
        return False
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def highest(dtype: np.dtype) -> bool | int | float:
    """The value that no other of a NumPy type is above."""
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).max if dtype.kind in "iu" else np.inf


def _evaluate_max(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    wide = widen(x)
    return np.max(wide, axis=axes, initial=lowest(wide.dtype)).astype(x.dtype)


def _evaluate_min(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    wide = widen(x)
    return np.min(wide, axis=axes, initial=highest(wide.dtype)).astype(x.dtype)


def _differentiate_extremum(dy: Node, y: Node, x: Node, *, axes: tuple[int, ...]):
    attains = logical_or(equal(x, _restore(y, x, axes)), isnan(x))
    # Counted in float32 at least: 16 bits do not hold every count.
    wide = float32 if x.dtype.bits < 32 else x.dtype
    count = sum_op(cast(attains, dtype=wide), axes=axes)
    share = cast(divide(cast(dy, dtype=wide), count), dtype=x.dtype)
    return (select(attains, _restore(share, x, axes), full_like(x, 0)),)


def _sample_extrema():
    for dtype in FLOATS:
        row = special(dtype)
        yield Sample((row,), {"axes": (0,)}, name=f"{dtype.short} special", differentiable=False)
        numbers = row[row == row]
        yield Sample((numbers,), {"axes": (0,)}, name=f"{dtype.short} no NaN", differentiable=False)
    tied = np.array([[1.0, 2.0, 2.0], [2.0, 0.0, 2.0]], np.float64)
    yield Sample((tied,), {"axes": (1,)}, name="ties", differentiable=False)


max = _reduction(
    "max", "The largest value along some axes; NaN if any is.", _evaluate_max, ORDERED,
    _differentiate_extremum, _sample_extrema, of_nothing=False,
)  # fmt: skip
min = _reduction(
    "min", "The smallest value along some axes; NaN if any is.", _evaluate_min, ORDERED,
    _differentiate_extremum, _sample_extrema, of_nothing=False,
)  # fmt: skip
any = _reduction(
    "any", "True where a value along some axes is true.",
    lambda x, *, axes: np.any(x, axis=axes), (bool_,), DISCRETE, lambda: (),
)  # fmt: skip
all = _reduction(
    "all", "True where every value along some axes is true.",
    lambda x, *, axes: np.all(x, axis=axes), (bool_,), DISCRETE, lambda: (),
)  # fmt: skip

# Positions ----------------------------------------------------------------------------------------


def _position(name: str, doc: str, function: Callable) -> Op:
    """Declare the position of an extremum along one axis."""

    def infer(x: TensorType, *, axis: int, dtype: DType) -> TensorType:
        check_axis(name, x, axis)
        check_elements(name, ORDERED, x)
        if is_known_equal(x.shape[axis], 0):
            raise ShapeError(
                explain(
                    name,
                    "at least one element along the axis",
                    f"{x} with axis {axis}",
                    f"An {name} of nothing has no value: check the size first.",
                )
            )
        check_positions(name, dtype, x.shape[axis] - 1)
        shape = tuple(x.shape[other] for other in _others((axis,), x.rank))
        return x.with_shape(shape).with_dtype(dtype)

    def evaluate(x: np.ndarray, *, axis: int, dtype: DType) -> np.ndarray:
        if not x.shape[axis]:
            return np.zeros(x.shape[:axis] + x.shape[axis + 1 :], dtype.numpy)
        return np.asarray(function(widen(x), axis=axis)).astype(dtype.numpy)

    def samples():
        for dtype in ORDERED:
            yield Sample((values((3, 4), dtype),), {"axis": 1})
        for dtype in INTEGERS:
            yield Sample((values((3, 2), float32),), {"axis": 0, "dtype": dtype})
        for dtype in FLOATS:
            yield Sample((special(dtype),), {"axis": 0}, name=f"{dtype.short} special")
        yield Sample((values((0, 3), float64),), {"axis": 1})
        yield Sample((values((2, 1, 3), float64),), {"axis": 1})
        yield Sample((np.array([[1, 3, 3, 1], [0, 0, 0, 0]], np.int32),), {"axis": 1}, name="ties")

    def refuses():
        x = a_type("f32[3]")
        yield Refusal((x,), {"axis": 1}, "an axis from 0 to 0")
        yield Refusal((x,), {"axis": -1}, "an axis from 0 to 0")
        yield Refusal((a_type("f32[]"),), {"axis": 0}, "an operand with an axis")
        yield Refusal((a_type("c64[3]"),), {"axis": 0}, "booleans or real numbers")
        yield Refusal((a_type("f32[2,0]"),), {"axis": 1}, f"An {name} of nothing has no value")
        yield Refusal((x,), {"axis": 0, "dtype": float32}, "an integer type for positions")
        long = a_type("f32[129]")
        yield Refusal((long,), {"axis": 0, "dtype": "int8"}, "a type that holds positions up to")

    op = Op(
        name=name,
        doc=doc,
        infer=infer,
        evaluate=evaluate,
        arity=1,
        attributes={"axis": Integer(), "dtype": Element(DEFAULT_INT)},
        gradient=DISCRETE,
        batch=lambda size, mapped, x, *, axis, dtype: op(x, axis=axis + 1, dtype=dtype),
        cost=lambda x, *, result, axis, dtype: x.size,
        samples=samples,
        refuses=refuses,
        tolerance=0,
        family="reduction",
    )
    return declare(op)


argmax = _position(
    "argmax", "The position of the first largest value along an axis; of the first NaN if any.",
    np.argmax,
)  # fmt: skip
argmin = _position(
    "argmin", "The position of the first smallest value along an axis; of the first NaN if any.",
    np.argmin,
)  # fmt: skip

# Running results ----------------------------------------------------------------------------------


def _along(function: Callable) -> Callable:
    """Run along an axis, forward or in reverse; 16-bit floats in float32, each rounded once."""

    def evaluate(*args: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
        wide = [np.moveaxis(widen(arg), axis, 0) for arg in args]
        if reverse:
            wide = [arg[::-1] for arg in wide]
        result = function(*wide)
        if reverse:
            result = result[::-1]
        return np.moveaxis(result, 0, axis).astype(args[0].dtype)

    return evaluate


def _cumulative(
    name: str,
    doc: str,
    evaluate: Callable,
    dtypes: Sequence[DType],
    gradient: Callable,
    more: Callable[[], Iterable[Sample]],
    *,
    laws: Sequence[str] = (),
    tolerance: float = 0,
    flops: int = 1,
) -> Op:
    """Declare a running result along one axis; `evaluate` runs along axis 0 of an array."""

    def infer(x: TensorType, *, axis: int, reverse: bool) -> TensorType:
        check_axis(name, x, axis)
        check_elements(name, dtypes, x)
        return x

    def samples():
        for dtype in dtypes:
            yield Sample((values((2, 3), dtype),), {"axis": 1})
            yield Sample((values((3, 2), dtype, seed=1),), {"axis": 0, "reverse": True})
        for dtype in (float32, float64):
            yield Sample((values((2, 4, 3), dtype),), {"axis": 1})
            yield Sample((values((2, 1), dtype),), {"axis": 1, "reverse": True})
            yield Sample((values((2, 0), dtype),), {"axis": 1})
            yield Sample((values((0, 3), dtype),), {"axis": 1, "reverse": True})
        yield Sample((special(float32),), {"axis": 0}, name="special", differentiable=False)
        yield from more()

    def refuses():
        wrong = next(dtype.short for dtype in DTYPES[::-1] + DTYPES if dtype not in dtypes)
        yield Refusal((a_type("f32[3]"),), {"axis": 1}, "an axis from 0 to 0")
        yield Refusal((a_type("f32[3]"),), {"axis": -1}, "an axis from 0 to 0")
        yield Refusal((a_type("f32[]"),), {"axis": 0}, "an operand with an axis")
        yield Refusal((a_type(f"{wrong}[3]"),), {"axis": 0}, f"[{name}] wants ")

    op = Op(
        name=name,
        doc=doc,
        infer=infer,
        evaluate=_along(evaluate),
        arity=1,
        attributes={"axis": Integer(), "reverse": Flag(False)},
        gradient=gradient,
        batch=lambda size, mapped, x, *, axis, reverse: op(x, axis=axis + 1, reverse=reverse),
        cost=lambda x, *, result, axis, reverse: flops * x.size,
        laws=frozenset(laws),
        samples=samples,
        refuses=refuses,
        tolerance=tolerance,
        family="cumulative",
    )
    return declare(op)


def _differentiate_cumprod(dy: Node, y: Node, x: Node, *, axis: int, reverse: bool):
    # dx[j] = (x[0] ... x[j-1]) * sum over k >= j of dy[k] * (x[j+1] ... x[k]).
    before = _former(conjugate(y), 1, axis, reverse)
    following = _next(conjugate(x), 0, axis, reverse)
    rest = linear_recurrence(following, dy, axis=axis, reverse=not reverse)
    return (multiply(before, rest),)


def _differentiate_running_extremum(dy: Node, y: Node, x: Node, *, axis: int, reverse: bool):
    # Stretches of equal y belong to their first element, where the extremum was attained. Once
    # NaN, always NaN: that stretch begins at the first NaN.
    lasts = logical_or(equal(y, _next(y, 0, axis, reverse)), isnan(y))
    total = linear_recurrence(cast(lasts, dtype=dy.dtype), dy, axis=axis, reverse=not reverse)
    is_first = logical_not(_former(lasts, False, axis, reverse))
    return (select(is_first, total, full_like(x, 0)),)


def _differentiate_cumlogsumexp(dy: Node, y: Node, x: Node, *, axis: int, reverse: bool):
    # dx[j] = sum over k >= j of dy[k] * exp(x[j] - y[k]); as y rises along the run, each step from
    # y[k] to y[k+1] has a factor of at most 1 and nothing overflows. A sum of no weight (-inf)
    # counts as 0 here, so that its elements weigh nothing instead of exp(-inf + inf).
    base = select(equal(y, full_like(y, -np.inf)), full_like(y, 0), y)
    decay = exp(subtract(y, _next(base, np.inf, axis, reverse)))
    total = linear_recurrence(decay, dy, axis=axis, reverse=not reverse)
    return (multiply(exp(subtract(x, base)), total),)


def _sample_zero_runs():
    for zeros in ([2], [0], [1, 3]):
        x = values((4,), float64)
        x[zeros] = 0
        yield Sample((x,), {"axis": 0}, name=f"zeros at {zeros}")
        yield Sample((x,), {"axis": 0, "reverse": True}, name=f"zeros at {zeros}, reverse")


def _sample_running_ties():
    tied = np.array([[1.0, 2.0, 2.0, 1.0], [0.0, -0.0, -1.0, 0.0]], np.float64)
    yield Sample((tied,), {"axis": 1}, name="ties", differentiable=False)
    for dtype in FLOATS:
        row = np.roll(special(dtype), 3)
        attrs = {"axis": 0, "reverse": True}
        yield Sample((row,), attrs, name=f"{dtype.short} special", differentiable=False)


def _sample_wide_range():
    x = values((5,), float64, -300, 300)
    yield Sample((x,), {"axis": 0}, name="wide range")
    yield Sample((x,), {"axis": 0, "reverse": True}, name="wide range, reverse")
    masked = np.array([-np.inf, -np.inf, 1.0, -np.inf, 2.0])
    yield Sample((masked,), {"axis": 0}, name="masked", differentiable=False)


cumsum: Op = _cumulative(
    "cumsum", "The running sum along an axis.",
    lambda x: np.cumsum(x, axis=0, dtype=x.dtype), NUMERIC,
    lambda dy, y, x, *, axis, reverse: (cumsum(dy, axis=axis, reverse=not reverse),),
    lambda: (), laws=("linear",), tolerance=8,
)  # fmt: skip
cumprod = _cumulative(
    "cumprod", "The running product along an axis.",
    lambda x: np.cumprod(x, axis=0, dtype=x.dtype), NUMERIC, _differentiate_cumprod,
    _sample_zero_runs, tolerance=8,
)  # fmt: skip
cummax = _cumulative(
    "cummax", "The largest value so far along an axis; NaN from the first NaN on.",
    lambda x: np.maximum.accumulate(x, axis=0), ORDERED, _differentiate_running_extremum,
    _sample_running_ties,
)  # fmt: skip
cummin = _cumulative(
    "cummin", "The smallest value so far along an axis; NaN from the first NaN on.",
    lambda x: np.minimum.accumulate(x, axis=0), ORDERED, _differentiate_running_extremum,
    _sample_running_ties,
)  # fmt: skip
cumlogsumexp = _cumulative(
    "cumlogsumexp", "The logarithm of the running sum of exp(x) along an axis, without overflow.",
    lambda x: np.logaddexp.accumulate(x, axis=0), FLOATS, _differentiate_cumlogsumexp,
    _sample_wide_range, tolerance=16, flops=20,
)  # fmt: skip

# The linear recurrence ----------------------------------------------------------------------------


def _infer_recurrence(a: TensorType, b: TensorType, *, axis: int, reverse: bool) -> TensorType:
    check_elements("linear_recurrence", INEXACT, a, b)
    check_axis("linear_recurrence", a, axis)
    return a


@_along
def _evaluate_recurrence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    y = b.copy()
    for k in range(1, len(y)):
        y[k] += a[k] * y[k - 1]
    return y


def _differentiate_recurrence(dy: Node, y: Node, a: Node, b: Node, *, axis: int, reverse: bool):
    following = _next(conjugate(a), 0, axis, reverse)
    db = linear_recurrence(following, dy, axis=axis, reverse=not reverse)
    return multiply(db, _former(conjugate(y), 0, axis, reverse)), db


def _expand_recurrence(a: Node, b: Node, *, axis: int, reverse: bool) -> Node:
    dtype = b.dtype
    if dtype.bits == 16:
        a, b = cast(a, dtype=float32), cast(b, dtype=float32)
    size = b.shape[axis]
    if isinstance(size, int):
        y = _expand_by_doubling(a, b, size, axis, reverse)
    else:
        y = _expand_by_triangle(a, b, size, axis, reverse)
    return cast(y, dtype=dtype) if dtype.bits == 16 else y


def _expand_by_doubling(a: Node, b: Node, size: int, axis: int, reverse: bool) -> Node:
    """In ceil(log2(size)) rounds, each of which doubles how far back every element reaches."""

    def cut(x: Node, start: int, limit: int) -> Node:
        if reverse:
            start, limit = size - limit, size - start
        low, high = [0] * x.type.rank, list(x.shape)
        low[axis], high[axis] = start, limit
        return slice(x, start=tuple(low), limit=tuple(high), stride=(1,) * x.type.rank)

    def join(first: Node, rest: Node) -> Node:
        return concatenate(*((rest, first) if reverse else (first, rest)), axis=axis)

    # After each round y[k] = a[k] * y[k - reach] + b[k], where k - reach < 0 adds nothing.
    reach = 1
    while reach < size:
        factor, kept = cut(a, reach, size), cut(b, 0, reach)
        b = join(kept, add(cut(b, reach, size), multiply(factor, cut(b, 0, size - reach))))
        a = join(cut(a, 0, reach), multiply(factor, cut(a, 0, size - reach)))
        reach *= 2
    return b


def _expand_by_triangle(a: Node, b: Node, size: Size, axis: int, reverse: bool) -> Node:
    """y[k] = sum over j <= k of b[j] * (a[j+1] ... a[k]): size*size products, for any size."""
    rank = b.type.rank
    shape = (*b.shape[: axis + 1], *b.shape[axis:])
    k = iota(dtype=int32, shape=shape, axis=axis)
    j = iota(dtype=int32, shape=shape, axis=axis + 1)
    after, from_there = (less, less_equal) if reverse else (greater, greater_equal)
    factors = broadcast(a, shape=shape, axes=_others((axis + 1,), rank + 1))
    terms = broadcast(b, shape=shape, axes=_others((axis,), rank + 1))
    factors = select(after(k, j), factors, full_like(factors, 1))
    weighted = multiply(cumprod(factors, axis=axis, reverse=reverse), terms)
    return sum_op(select(from_there(k, j), weighted, full_like(weighted, 0)), axes=(axis + 1,))


def _sample_recurrence():
    for dtype in INEXACT:
        for shape, axis, reverse in (((2, 3), 1, False), ((5, 2), 0, True), ((7,), 0, False)):
            pair = values(shape, dtype, -1, 1, seed="a"), values(shape, dtype, seed="b")
            yield Sample(pair, {"axis": axis, "reverse": reverse})
    for sizes in ((2, 1), (2, 0), (0, 3), (2, 4, 2)):
        pair = values(sizes, float64, seed="a"), values(sizes, float64, seed="b")
        yield Sample(pair, {"axis": 1})
        yield Sample(pair, {"axis": 1, "reverse": True})
    a = np.array([2.0, 0.0, 3.0, 0.0, 0.5])
    yield Sample((a, values((5,), float64)), {"axis": 0}, name="zero factors")


def _refuse_recurrence():
    x = a_type("f32[3]")
    yield Refusal((x, a_type("f32[4]")), {"axis": 0}, "operands of equal shape")
    yield Refusal((x, a_type("f64[3]")), {"axis": 0}, "operands of equal element type")
    yield Refusal((a_type("i32[3]"),) * 2, {"axis": 0}, "float or complex elements")
    yield Refusal((x, x), {"axis": 1}, "an axis from 0 to 0")
    yield Refusal((a_type("f32[]"),) * 2, {"axis": 0}, "an operand with an axis")


linear_recurrence: Op = declare(
    Op(
        name="linear_recurrence",
        doc="y[k] = a[k] * y[k-1] + b[k] along an axis, where y[-1] is 0 and a[0] is not read.",
        infer=_infer_recurrence,
        evaluate=_evaluate_recurrence,
        arity=2,
        attributes={"axis": Integer(), "reverse": Flag(False)},
        gradient=_differentiate_recurrence,
        batch=lambda size, mapped, a, b, *, axis, reverse: linear_recurrence(
            *front(size, mapped, (a, b)), axis=axis + 1, reverse=reverse
        ),
        cost=lambda a, b, *, result, axis, reverse: 2 * result.size,
        expand=_expand_recurrence,
        samples=_sample_recurrence,
        refuses=_refuse_recurrence,
        tolerance=8,
        family="cumulative",
    )
)

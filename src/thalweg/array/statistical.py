"""Statistics: sums, means, extremes and quantiles over axes, and running ones along an axis.

Names, argument order and results are those of the Python Array API standard 2024.12, section
"Statistical functions"; what stands after the headline "Beyond the standard" follows NumPy.

`axis` is one axis, several, or None for all; `keepdims` leaves the axes in place with size 1. Sums
and products of integers and booleans have type int64, of unsigned integers uint64. Means and what
is made of them turn integers and booleans into float32 first. 16-bit floats are computed in float32
and rounded once.

Where there is nothing to compute from, the result is NaN: a mean of no elements, a variance of no
more elements than its correction. The standard deviation of equal elements is 0 and so is its
derivative there, where it has none.
"""

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.array.manipulation import expand, known_values, operand, size_node, transposed
from thalweg.array.operands import (
    MOST_LITERAL,
    axes_of,
    axis_of,
    cast_array,
    from_array,
    is_weak,
    refuse_real,
    same_dtype,
    to_dtype,
    to_tensor,
)
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, is_known_equal
from thalweg.ir.leaves import full, full_like, items, literal
from thalweg.ir.node import Node
from thalweg.ir.op import Op
from thalweg.ir.types import (
    DEFAULT_INT,
    FLOATS,
    DType,
    Size,
    as_dtype,
    bool_,
    float32,
    float64,
    int64,
    size_of,
    uint64,
)
from thalweg.ops import elementwise as ew
from thalweg.ops import reduce
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.index import take, take_along
from thalweg.ops.linalg import diagonal
from thalweg.ops.movement import concatenate, pad, reshape
from thalweg.ops.sort import sort

Axis = int | Sequence[int] | None

# What the chapters on numbers share ---------------------------------------------------------------


def floats(name: str, x: Any) -> Node:
    """The node of x; integers and booleans become the default float type."""
    if x.__class__ is Tensor and not x._weak and x.dtype.is_inexact:
        return node_of(x)
    return same_dtype(name, x, floats=True)[0]


def in_dtype(node: Node, dtype: DType) -> Node:
    """The node in an element type."""
    return node if node.dtype is dtype else ew.cast(node, dtype=dtype)


def widened(node: Node) -> Node:
    """The node, 16-bit floats as float32."""
    return in_dtype(node, float32) if node.dtype.is_float and node.dtype.bits == 16 else node


def number_like(value: Size | float, like: Node) -> Node:
    """A number or a size, named or not, in every element of a type like that of a node."""
    if isinstance(value, Dim):
        return broadcast(size_node(value, like.dtype), shape=like.shape, axes=())
    return full_like(like, value)


def others(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """The axes that are not among `axes`."""
    return tuple(axis for axis in range(rank) if axis not in axes)


def restored(node: Node, like: Node, axes: Sequence[int]) -> Node:
    """A reduced value repeated along the axes that were reduced away."""
    return broadcast(node, shape=like.shape, axes=others(axes, like.type.rank))


def squared_magnitude(x: Node) -> Node:
    """|x|**2, real for complex numbers."""
    if not x.dtype.is_complex:
        return ew.square(x)
    return ew.add(ew.square(ew.real(x)), ew.square(ew.imag(x)))


def root(x: Node) -> Node:
    """The square root, whose slope at 0 counts as 0."""
    is_zero = ew.equal(x, full_like(x, 0))
    safe = ew.select(is_zero, full_like(x, 1), x)
    return ew.select(is_zero, full_like(x, 0), ew.sqrt(safe))


def total(name: str, node: Node, axes: Sequence[int], dtype: Any = None) -> Node:
    """The sum over axes in the element type that the standard says, or in a given one."""
    return sum_op(_accumulating(name, node, dtype), axes=tuple(axes))


def _accumulating(name: str, node: Node, dtype: Any) -> Node:
    """The node in the element type of its sum or product."""
    if dtype is not None:
        wanted = as_dtype(dtype)
        refuse_real(name, node.dtype, wanted)
        return in_dtype(node, wanted)
    wide = {"bool": DEFAULT_INT, "int": int64, "uint": uint64}
    return in_dtype(node, wide.get(node.dtype.kind, node.dtype))


def _number_of(node: Node, axes: Sequence[int]) -> Size:
    return size_of(tuple(node.shape[axis] for axis in axes))


def _kept(node: Node, axes: Sequence[int], keepdims: bool) -> Tensor:
    return wrap(expand(node, axes) if keepdims else node)


def _check_some(name: str, node: Node, axes: Sequence[int]) -> None:
    if builtins.any(is_known_equal(node.shape[axis], 0) for axis in axes):
        raise ShapeError(
            explain(
                name,
                "at least one element along the axes to reduce",
                f"{node.type} with axes {tuple(axes)}",
                f"A {name} of nothing has no value: check the size first.",
            )
        )


# The standard -------------------------------------------------------------------------------------


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """The product of the elements so far along an axis, which may be left out if x has one only.

    With `include_initial` the result begins with 1 and is longer by one. Types as of `prod`.
    """
    return _accumulated("cumulative_prod", reduce.cumprod, x, axis, dtype, include_initial, 1)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """The sum of the elements so far along an axis, which may be left out if x has one only.

    With `include_initial` the result begins with 0 and is longer by one. Types as of `sum`.
    """
    return _accumulated("cumulative_sum", reduce.cumsum, x, axis, dtype, include_initial, 0)


def max(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over some axes, or of all; NaN if any is.

    Real numbers and booleans. Raises ShapeError where there is no element.
    """
    return _extreme("max", reduce.max, x, axis, keepdims)


def mean(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over some axes, or of all. (B, T, C) over axis 1 -> (B, C)."""
    node = floats("mean", x)
    axes = axes_of("mean", axis, node.type.rank)
    return _kept(in_dtype(_mean(widened(node), axes), node.dtype), axes, keepdims)


def min(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over some axes, or of all; NaN if any is.

    Real numbers and booleans. Raises ShapeError where there is no element.
    """
    return _extreme("min", reduce.min, x, axis, keepdims)


def prod(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The product over some axes, or of all; 1 for no elements.

    Integers and booleans become int64 (unsigned ones uint64) first, or `dtype` where it is given.
    """
    node = operand("prod", x)
    axes = axes_of("prod", axis, node.type.rank)
    found = reduce.product(_accumulating("prod", node, dtype), axes=axes)
    return _kept(found, axes, keepdims)


def std(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The standard deviation over some axes, or of all: the square root of `var`."""
    node = floats("std", x)
    axes = axes_of("std", axis, node.type.rank)
    found = root(_variance("std", widened(node), axes, correction))
    return _kept(in_dtype(found, node.dtype.real), axes, keepdims)


def sum(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The sum over some axes, or of all; 0 for no elements.

    Integers and booleans become int64 (unsigned ones uint64) first, or `dtype` where it is given.
    """
    node = operand("sum", x)
    axes = axes_of("sum", axis, node.type.rank)
    return _kept(total("sum", node, axes, dtype), axes, keepdims)


def var(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The variance over some axes, or of all: the squared distances from the mean, added up and
    divided by their number less `correction`; NaN where that is not positive.

    Real for complex numbers.
    """
    node = floats("var", x)
    axes = axes_of("var", axis, node.type.rank)
    found = _variance("var", widened(node), axes, correction)
    return _kept(in_dtype(found, node.dtype.real), axes, keepdims)


def _extreme(name: str, op: Op, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    node = operand(name, x)
    axes = axes_of(name, axis, node.type.rank)
    _check_some(name, node, axes)
    return _kept(op(node, axes=axes), axes, keepdims)


def _accumulated(
    name: str, op: Op, x: Any, axis: int | None, dtype: Any, include_initial: bool, initial: int
) -> Tensor:
    node = operand(name, x)
    axis = _one_axis(name, node, axis)
    return wrap(_running(op, _accumulating(name, node, dtype), axis, include_initial, initial))


def _running(op: Op, node: Node, axis: int, include_initial: bool, initial: float) -> Node:
    found = op(node, axis=axis)
    if not include_initial:
        return found
    none = (0,) * found.type.rank
    low = tuple(int(each == axis) for each in range(found.type.rank))
    return pad(found, full(initial, found.dtype), low=low, high=none, interior=none)


def _one_axis(name: str, node: Node, axis: int | None) -> int:
    """The axis to run along; it may be left out where there is one only."""
    rank = node.type.rank
    if axis is None and rank != 1:
        do = "Write axis=0 or another, or flatten it first." if rank else "Write reshape(x, (1,))."
        raise ShapeError(
            explain(name, "an axis to run along, where x has not just one", str(node.type), do)
        )
    return axis_of(name, 0 if axis is None else axis, rank)


def _mean(x: Node, axes: Sequence[int]) -> Node:
    found = sum_op(x, axes=tuple(axes))
    return ew.divide(found, number_like(_number_of(x, axes), found))


def _variance(name: str, x: Node, axes: Sequence[int], correction: Any) -> Node:
    taken = _correction(name, correction)
    centred = ew.subtract(x, restored(_mean(x, axes), x, axes))
    found = sum_op(squared_magnitude(centred), axes=tuple(axes))
    count = _number_of(x, axes)
    if isinstance(count, Dim):
        return ew.divide(found, _freedom(number_like(count, found), taken))
    left = count - taken
    return ew.divide(found, full_like(found, left if left > 0 else math.nan))


def _correction(name: str, correction: Any) -> float:
    if isinstance(correction, (bool, Tensor, Variable)) or not hasattr(correction, "__float__"):
        do = "A correction is no data: write a Python number, such as correction=1."
        raise ArgumentTypeError(explain(name, "a number as correction", repr(correction), do))
    return float(correction)


def _freedom(count: Node, correction: float) -> Node:
    """A number of elements less a correction; NaN where that is not positive."""
    left = ew.subtract(count, full_like(count, correction)) if correction else count
    return ew.select(ew.greater(left, full_like(left, 0)), left, full_like(left, math.nan))


# Beyond the standard: without NaN -----------------------------------------------------------------


def nansum(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The sum over some axes, or of all, NaN counting as 0."""
    node = _with_nan_as(operand("nansum", x), 0)
    axes = axes_of("nansum", axis, node.type.rank)
    return _kept(total("nansum", node, axes, dtype), axes, keepdims)


def nanprod(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """The product over some axes, or of all, NaN counting as 1."""
    node = _with_nan_as(operand("nanprod", x), 1)
    axes = axes_of("nanprod", axis, node.type.rank)
    found = reduce.product(_accumulating("nanprod", node, dtype), axes=axes)
    return _kept(found, axes, keepdims)


def nanmean(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of the elements that are not NaN over some axes, or of all; NaN where none is."""
    node = floats("nanmean", x)
    axes = axes_of("nanmean", axis, node.type.rank)
    found = _mean_of_numbers(widened(node), axes)
    return _kept(in_dtype(found, node.dtype), axes, keepdims)


def nanvar(
    x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False
) -> Tensor:
    """The variance of the elements that are not NaN over some axes, or of all; see `var`."""
    node = floats("nanvar", x)
    axes = axes_of("nanvar", axis, node.type.rank)
    found = _variance_of_numbers("nanvar", widened(node), axes, correction)
    return _kept(in_dtype(found, node.dtype.real), axes, keepdims)


def nanstd(
    x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False
) -> Tensor:
    """The standard deviation of the elements that are not NaN over some axes, or of all."""
    node = floats("nanstd", x)
    axes = axes_of("nanstd", axis, node.type.rank)
    found = root(_variance_of_numbers("nanstd", widened(node), axes, correction))
    return _kept(in_dtype(found, node.dtype.real), axes, keepdims)


def nanmax(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element that is not NaN over some axes, or of all; NaN where none is."""
    return _extreme_of_numbers("nanmax", reduce.max, -math.inf, x, axis, keepdims)


def nanmin(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element that is not NaN over some axes, or of all; NaN where none is."""
    return _extreme_of_numbers("nanmin", reduce.min, math.inf, x, axis, keepdims)


def nanargmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first largest element that is not NaN; -1 where all are NaN."""
    return _position_of_number("nanargmax", reduce.max, -math.inf, x, axis, keepdims)


def nanargmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first smallest element that is not NaN; -1 where all are NaN."""
    return _position_of_number("nanargmin", reduce.min, math.inf, x, axis, keepdims)


def nancumsum(x: Any, /, *, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The sum of the elements so far along an axis, NaN counting as 0."""
    node = _with_nan_as(operand("nancumsum", x), 0)
    axis = _one_axis("nancumsum", node, axis)
    return wrap(reduce.cumsum(_accumulating("nancumsum", node, dtype), axis=axis))


def nancumprod(x: Any, /, *, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The product of the elements so far along an axis, NaN counting as 1."""
    node = _with_nan_as(operand("nancumprod", x), 1)
    axis = _one_axis("nancumprod", node, axis)
    return wrap(reduce.cumprod(_accumulating("nancumprod", node, dtype), axis=axis))


def _is_nan(node: Node) -> Node:
    return ew.isnan(node) if node.dtype.is_inexact else full(False, bool_, node.shape)


def _with_nan_as(node: Node, value: float) -> Node:
    if not node.dtype.is_inexact:
        return node
    return ew.select(ew.isnan(node), full_like(node, value), node)


def _count_of_numbers(x: Node, axes: Sequence[int], dtype: DType) -> Node:
    return sum_op(in_dtype(ew.logical_not(ew.isnan(x)), dtype), axes=tuple(axes))


def _mean_of_numbers(x: Node, axes: Sequence[int]) -> Node:
    found = sum_op(_with_nan_as(x, 0), axes=tuple(axes))
    return ew.divide(found, _count_of_numbers(x, axes, x.dtype))


def _variance_of_numbers(name: str, x: Node, axes: Sequence[int], correction: Any) -> Node:
    taken = _correction(name, correction)
    known = _with_nan_as(x, 0)
    centred = ew.subtract(known, restored(_mean_of_numbers(x, axes), x, axes))
    centred = ew.select(ew.isnan(x), full_like(x, 0), centred)
    count = _count_of_numbers(x, axes, x.dtype.real)
    found = sum_op(squared_magnitude(centred), axes=tuple(axes))
    return ew.divide(found, _freedom(count, taken))


def _extreme_of_numbers(
    name: str, op: Op, neutral: float, x: Any, axis: Axis, keepdims: bool
) -> Tensor:
    node = operand(name, x)
    axes = axes_of(name, axis, node.type.rank)
    _check_some(name, node, axes)
    ew.check_elements(name, ew.ORDERED, node.type)
    return _kept(_best_number(op, neutral, node, axes), axes, keepdims)


def _best_number(op: Op, neutral: float, node: Node, axes: Sequence[int]) -> Node:
    found = op(_with_nan_as(node, neutral), axes=tuple(axes))
    if not node.dtype.is_inexact:
        return found
    is_empty = reduce.all(ew.isnan(node), axes=tuple(axes))
    return ew.select(is_empty, full_like(found, math.nan), found)


def _position_of_number(
    name: str, op: Op, neutral: float, x: Any, axis: int | None, keepdims: bool
) -> Tensor:
    node = operand(name, x)
    rank = node.type.rank
    reduced = tuple(range(rank)) if axis is None else (axis_of(name, axis, rank),)
    _check_some(name, node, reduced)
    ew.check_elements(name, ew.ORDERED, node.type)
    rows = reshape(node, shape=(node.type.size,)) if axis is None else node
    along = 0 if axis is None else reduced[0]
    best = _best_number(op, neutral, rows, (along,))
    # A NaN equals nothing, so the first element that equals the best is a number.
    found = reduce.argmax(ew.equal(rows, restored(best, rows, (along,))), axis=along)
    is_empty = reduce.all(_is_nan(rows), axes=(along,))
    return _kept(ew.select(is_empty, full_like(found, -1), found), reduced, keepdims)


# Beyond the standard: order -----------------------------------------------------------------------

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    x: Any, q: Any, /, *, axis: Axis = None, keepdims: bool = False, method: str = "linear"
) -> Tensor:
    """The values that the fractions q of the sorted elements lie below; NaN where one is NaN.

    q is a number from 0 to 1, or an array of them whose axes come first in the result. With the
    axis of size n sorted, the place q*(n-1) may lie between two elements a and b:

        linear   a + (b - a) * rest      lower   a      higher   b      midpoint   (a + b) / 2
        nearest  the nearer of the two; the one at the even place if it lies in the middle

    A q that is data is not looked at: outside of 0 to 1 it gives NaN. Of no elements every quantile
    is NaN.
    """
    return _quantile("quantile", x, q, 1, axis, keepdims, method, False)


def percentile(
    x: Any, q: Any, /, *, axis: Axis = None, keepdims: bool = False, method: str = "linear"
) -> Tensor:
    """The quantile q/100 for each q from 0 to 100; see `quantile`."""
    return _quantile("percentile", x, q, 100, axis, keepdims, method, False)


def median(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle of the sorted elements, or the mean of the two there; NaN if one is NaN."""
    return _quantile("median", x, 0.5, 1, axis, keepdims, "linear", False)


def nanquantile(
    x: Any, q: Any, /, *, axis: Axis = None, keepdims: bool = False, method: str = "linear"
) -> Tensor:
    """The quantiles of the elements that are not NaN; see `quantile`."""
    return _quantile("nanquantile", x, q, 1, axis, keepdims, method, True)


def nanpercentile(
    x: Any, q: Any, /, *, axis: Axis = None, keepdims: bool = False, method: str = "linear"
) -> Tensor:
    """The percentiles of the elements that are not NaN; see `quantile`."""
    return _quantile("nanpercentile", x, q, 100, axis, keepdims, method, True)


def nanmedian(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The median of the elements that are not NaN; NaN where none is."""
    return _quantile("nanmedian", x, 0.5, 1, axis, keepdims, "linear", True)


def _quantile(
    name: str,
    x: Any,
    q: Any,
    whole: int,
    axis: Axis,
    keepdims: bool,
    method: str,
    skips_nan: bool,
) -> Tensor:
    if method not in METHODS:
        raise ArgumentError(explain(name, f"a method among {', '.join(METHODS)}", repr(method)))
    node = floats(name, x)
    ew.check_elements(name, FLOATS, node.type)
    fractions = _fractions(name, q, whole)
    rank, axes = node.type.rank, axes_of(name, axis, node.type.rank)
    kept = others(axes, rank)
    lead = tuple(node.shape[each] for each in kept)
    rows = reshape(transposed(node, (*kept, *axes)), shape=(*lead, _number_of(node, axes)))
    wanted = reshape(fractions, shape=(fractions.type.size,))
    found = _quantiles(rows, wanted, method, skips_nan)
    found = transposed(found, (len(lead), *range(len(lead))))
    found = reshape(found, shape=(*fractions.shape, *lead))
    return _kept(found, [fractions.type.rank + each for each in axes], keepdims)


def _fractions(name: str, q: Any, whole: int) -> Node:
    """q as fractions of 1 in float64; refused outside of it where q is known."""
    given = None if isinstance(q, (Tensor, Variable)) else known_values(name, q)
    if given is not None:
        given = cast_array(name, given, float64)
        if not ((given >= 0) & (given <= whole)).all():
            do = "Write percentile(x, q) for q from 0 to 100." if whole == 1 else ""
            raise ArgumentError(explain(name, f"a q from 0 to {whole}", f"{q!r:.80}", do))
        given = given / whole
        return literal(given) if given.size <= MOST_LITERAL else node_of(from_array(given))
    # A traced number is taken as wide as it came: 0.7 in float32 lies below 7/10.
    fraction = to_dtype(name, q if is_weak(q) else to_tensor(q, name), float64)
    if whole != 1:
        fraction = ew.divide(fraction, full_like(fraction, whole))
    zero, one = full_like(fraction, 0), full_like(fraction, 1)
    inside = ew.logical_and(ew.less_equal(zero, fraction), ew.less_equal(fraction, one))
    return ew.select(inside, fraction, full_like(fraction, math.nan))


def _quantiles(rows: Node, fractions: Node, method: str, skips_nan: bool) -> Node:
    """The quantiles of each row: [..., n] and k fractions -> [..., k]."""
    last = rows.type.rank - 1
    lead = tuple(range(last))
    shape = (*rows.shape[:-1], fractions.shape[0])
    (ordered,) = items(sort(rows, axis=last))
    if skips_nan:
        # NaN are sorted to the end: the numbers of a row are its first elements.
        fractions = broadcast(fractions, shape=shape, axes=(last,))
        count = _count_of_numbers(rows, (last,), float64)
        count = broadcast(count, shape=shape, axes=lead)
    else:
        count = number_like(rows.shape[-1], fractions)
    place = ew.multiply(fractions, ew.subtract(count, full_like(count, 1)))

    def element(place: Node) -> Node:
        # A row of no numbers is read outside, or at a NaN: either gives NaN.
        read = take_along if skips_nan else take
        return read(ordered, in_dtype(place, int64), last)

    def spread(node: Node) -> Node:
        return node if skips_nan else broadcast(node, shape=shape, axes=(last,))

    if method in _PLACES:
        found = element(_PLACES[method](place))
    else:
        low, high = ew.floor(place), ew.ceil(place)
        rest = ew.subtract(place, low)
        if method == "midpoint":
            is_between = ew.not_equal(low, high)
            rest = ew.select(is_between, full_like(rest, 0.5), full_like(rest, 0))
        found = _between(element(low), element(high), spread(rest))
    missing = ew.isnan(spread(fractions))
    if not skips_nan:
        any_nan = reduce.any(ew.isnan(rows), axes=(last,))
        missing = ew.logical_or(missing, broadcast(any_nan, shape=shape, axes=lead))
    return ew.select(missing, full_like(found, math.nan), found)


_PLACES: dict[str, Callable[[Node], Node]] = {
    "lower": ew.floor,
    "higher": ew.ceil,
    "nearest": ew.round,
}


def _between(low: Node, high: Node, rest: Node) -> Node:
    """low + (high - low) * rest; between equal infinities there is no distance."""
    dtype = low.dtype
    low, high = widened(low), widened(high)
    endless = ew.logical_and(ew.isinf(low), ew.equal(low, high))
    gap = ew.select(endless, full_like(low, 0), ew.subtract(high, low))
    return in_dtype(ew.add(low, ew.multiply_no_nan(gap, in_dtype(rest, gap.dtype))), dtype)


def ptp(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest less the smallest element over some axes, or of all."""
    node = operand("ptp", x)
    axes = axes_of("ptp", axis, node.type.rank)
    _check_some("ptp", node, axes)
    found = ew.subtract(reduce.max(node, axes=axes), reduce.min(node, axes=axes))
    return _kept(found, axes, keepdims)


def cummax(x: Any, /, *, axis: int | None = None) -> Tensor:
    """The largest element so far along an axis, which may be left out if x has one only."""
    node = operand("cummax", x)
    return wrap(reduce.cummax(node, axis=_one_axis("cummax", node, axis)))


def cummin(x: Any, /, *, axis: int | None = None) -> Tensor:
    """The smallest element so far along an axis, which may be left out if x has one only."""
    node = operand("cummin", x)
    return wrap(reduce.cummin(node, axis=_one_axis("cummin", node, axis)))


def cumulative_logsumexp(
    x: Any, /, *, axis: int | None = None, include_initial: bool = False
) -> Tensor:
    """log of the sum of exp(x) so far along an axis, which may be left out if x has one only.

    With `include_initial` the result begins with -inf, the logarithm of 0.
    """
    node = floats("cumulative_logsumexp", x)
    axis = _one_axis("cumulative_logsumexp", node, axis)
    ew.check_elements("cumulative_logsumexp", FLOATS, node.type)
    return wrap(_running(reduce.cumlogsumexp, node, axis, include_initial, -math.inf))


# Beyond the standard: weights and covariance ------------------------------------------------------


def average(
    x: Any, /, *, axis: Axis = None, weights: Any | None = None, keepdims: bool = False
) -> Tensor:
    """The weighted mean over some axes, or of all: sum(x * weights) / sum(weights).

    `weights` have the shape of x, or the sizes of the axes in the order in which `axis` names them.
    """
    if weights is None:
        return mean(x, axis=axis, keepdims=keepdims)
    node, weight = same_dtype("average", x, weights, floats=True)
    axes = axes_of("average", axis, node.type.rank)
    dtype = node.dtype
    node, weight = widened(node), _weight_of(node, widened(weight), axis, axes)
    weighted = sum_op(ew.multiply(node, weight), axes=axes)
    return _kept(in_dtype(ew.divide(weighted, sum_op(weight, axes=axes)), dtype), axes, keepdims)


def _weight_of(node: Node, weight: Node, axis: Axis, axes: tuple[int, ...]) -> Node:
    """Weights with the shape of what they weigh."""
    if _is_shape(weight, node.shape):
        return weight
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    order = [axis_of("average", each, node.type.rank) for each in given if each is not None]
    if not order or not _is_shape(weight, tuple(node.shape[each] for each in order)):
        raise ShapeError(
            explain(
                "average",
                "weights of the shape of x, or of the axes to average over",
                f"weights {weight.type} for {node.type} and axis {axis}",
                "" if order else "Write axis=... to say which axes the weights belong to.",
            )
        )
    ranked = sorted(range(len(order)), key=order.__getitem__)
    return broadcast(transposed(weight, ranked), shape=node.shape, axes=axes)


def _is_shape(node: Node, shape: Sequence[Size]) -> bool:
    return node.type.rank == len(shape) and builtins.all(map(is_known_equal, node.shape, shape))


def cov(
    x: Any,
    /,
    y: Any | None = None,
    *,
    rowvar: bool = True,
    correction: float = 1,
    fweights: Any | None = None,
    aweights: Any | None = None,
) -> Tensor:
    """The covariances of variables, one a row (one a column with `rowvar=False`): (V, N) -> (V, V).

    A single variable gives its variance, without axes. `y` holds more variables. `fweights` says
    how often each observation occurs, `aweights` how much it counts: both (N,). NaN where there are
    no more observations than `correction`.
    """
    return wrap(_covariance("cov", x, y, rowvar, correction, fweights, aweights))


def corrcoef(x: Any, /, y: Any | None = None, *, rowvar: bool = True) -> Tensor:
    """The correlation coefficients of variables, one a row (column): (V, N) -> (V, V).

    A single variable gives one number, without axes. NaN for a variable that does not vary.
    """
    wanted = same_dtype("corrcoef", *(each for each in (x, y) if each is not None), floats=True)
    found = widened(_covariance("corrcoef", x, y, rowvar, 1, None, None))
    if not found.type.rank:
        return wrap(in_dtype(ew.divide(found, found), wanted[0].dtype))
    variances = diagonal(found)
    deviations = ew.sqrt(ew.real(variances) if found.dtype.is_complex else variances)
    deviations = in_dtype(deviations, found.dtype)
    for axis in (0, 1):
        found = ew.divide(found, broadcast(deviations, shape=found.shape, axes=(axis,)))
    if found.dtype.is_complex:
        found = ew.complex_of(_clipped(ew.real(found)), _clipped(ew.imag(found)))
    else:
        found = _clipped(found)
    return wrap(in_dtype(found, wanted[0].dtype))


def _clipped(x: Node) -> Node:
    return ew.clamp(full_like(x, -1), x, full_like(x, 1))


def _covariance(
    name: str, x: Any, y: Any, rowvar: bool, correction: Any, fweights: Any, aweights: Any
) -> Node:
    nodes = same_dtype(name, *(each for each in (x, y) if each is not None), floats=True)
    dtype = nodes[0].dtype
    parts = [_variables(name, widened(node), rowvar) for node in nodes]
    if len(parts) == 2 and not is_known_equal(parts[0].shape[1], parts[1].shape[1]):
        received = f"{nodes[0].type} and {nodes[1].type}"
        raise ShapeError(explain(name, "as many observations in y as in x", received))
    rows = parts[0] if len(parts) == 1 else concatenate(*parts, axis=0)
    weights = [
        _observation_weights(name, each, rows) for each in (fweights, aweights) if each is not None
    ]
    weight = full(1, rows.dtype, (rows.shape[1],))
    for each in weights:
        weight = ew.multiply(weight, each)
    scalar = full(0, rows.dtype.real)
    count = number_like(rows.shape[1], scalar)
    if weights:
        count = sum_op(ew.real(weight) if weight.dtype.is_complex else weight, axes=(0,))
    taken = _correction(name, correction)
    if aweights is not None:
        squared = sum_op(ew.multiply(weight, weights[-1]), axes=(0,))
        squared = ew.real(squared) if squared.dtype.is_complex else squared
        # An observation that counts more says less about the spread: the correction grows.
        lost = ew.multiply(ew.divide(squared, count), full_like(count, taken))
        freedom = _freedom(ew.subtract(count, lost), 0)
    else:
        freedom = _freedom(count, taken)
    mass = broadcast(weight, shape=rows.shape, axes=(1,))
    sums = sum_op(ew.multiply(rows, mass), axes=(1,))
    means = ew.divide(sums, broadcast(in_dtype(count, rows.dtype), shape=sums.shape, axes=()))
    centred = ew.subtract(rows, broadcast(means, shape=rows.shape, axes=(0,)))
    found = dot(ew.multiply(centred, mass), ew.conjugate(centred), contract=((1,), (1,)))
    found = ew.divide(found, broadcast(in_dtype(freedom, rows.dtype), shape=found.shape, axes=()))
    if is_known_equal(rows.shape[0], 1):
        found = reshape(found, shape=())
    return in_dtype(found, dtype)


def _variables(name: str, node: Node, rowvar: bool) -> Node:
    """One variable a row."""
    rank = node.type.rank
    if rank > 2:
        do = f"Write vmap({name}) for a stack of them."
        raise ShapeError(explain(name, "at most two axes", str(node.type), do))
    if rank < 2:
        return reshape(node, shape=(1, node.type.size))
    return node if rowvar else transposed(node, (1, 0))


def _observation_weights(name: str, weights: Any, rows: Node) -> Node:
    node = operand(name, weights)
    if not _is_shape(node, rows.shape[1:]):
        received = f"{node.type} for {rows.shape[1]} observations"
        raise ShapeError(explain(name, "one weight for each observation", received))
    refuse_real(name, node.dtype, rows.dtype.real)
    return in_dtype(node, rows.dtype)

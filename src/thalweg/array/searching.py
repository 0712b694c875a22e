"""Searching: positions of extrema, of what is true, and of values among others; counting.

Names, argument order and results are those of the Python Array API standard 2024.12, section
"Searching functions"; what stands after the headline "Beyond the standard" follows NumPy. Positions
are int64. Where a shape would depend on data (`nonzero`, `argwhere`, `bincount`) a size can be
given; without it the values are computed, and refused while they are traced.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.array.indexing import places
from thalweg.array.manipulation import (
    expand,
    flat,
    known_values,
    mirrored,
    operand,
    operands_of,
    size_node,
    values_now,
)
from thalweg.array.operands import (
    axes_of,
    axis_of,
    broadcast_shapes,
    number,
    same_dtype,
    same_shape,
    shape_of,
    to_dtype,
    to_tensor,
)
from thalweg.array.operands import broadcast_to as stretch
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ShapeError,
    explain,
)
from thalweg.engine.tensor import Tensor, wrap
from thalweg.ir.dim import is_known_equal
from thalweg.ir.leaves import full, full_like, items
from thalweg.ir.node import Node
from thalweg.ir.op import Op
from thalweg.ir.types import DEFAULT_FLOAT, INTEGERS, Size, bool_, float64, int64, promote
from thalweg.ops import elementwise as ew
from thalweg.ops import reduce, sort
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.index import scatter, take
from thalweg.ops.movement import concatenate, iota, reshape, slice


def truth(name: str, x: Any) -> Node:
    """Which elements are true: booleans as they are, numbers where they are not 0."""
    node = operand(name, x)
    return node if node.dtype is bool_ else ew.not_equal(node, full_like(node, 0))


# The standard -------------------------------------------------------------------------------------


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first largest value along an axis, or in the flattened array.

    A NaN counts as the largest. Raises ShapeError where there is no element.
    """
    return _position("argmax", reduce.argmax, x, axis, keepdims)


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first smallest value along an axis, or in the flattened array.

    A NaN counts as the smallest. Raises ShapeError where there is no element.
    """
    return _position("argmin", reduce.argmin, x, axis, keepdims)


def _position(name: str, op: Op, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    node = operand(name, x)
    rank = node.type.rank
    if axis is None:
        found = op(flat(node), axis=0)
        return wrap(expand(found, range(rank)) if keepdims else found)
    axis = axis_of(name, axis, rank)
    found = op(node, axis=axis)
    return wrap(expand(found, (axis,)) if keepdims else found)


def count_nonzero(
    x: Any, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> Tensor:
    """How many elements along some axes, or in all, are not 0."""
    node = truth("count_nonzero", x)
    axes = axes_of("count_nonzero", axis, node.type.rank)
    found = sum_op(ew.cast(node, dtype=int64), axes=axes)
    return wrap(expand(found, axes) if keepdims else found)


def nonzero(
    x: Any, /, *, size: Size | None = None, fill_value: int | None = None
) -> tuple[Tensor, ...]:
    """The places of elements that are not 0, in row-major order: for each axis their positions.

    Their number depends on data. With `size` there are that many: the first ones, and `fill_value`
    where there are fewer; by default the size of the axis, which is outside, so that reading there
    gives NaN and writing does nothing.
    """
    node = truth("nonzero", x)
    if not node.type.rank:
        raise ShapeError(
            explain("nonzero", "an array with axes", str(node.type), "Write nonzero(x[None]).")
        )
    if size is None:
        values = values_now(
            "nonzero",
            x,
            "Write where(condition, x, y) to keep the shape, or nonzero(x, size=n) for the first "
            "n places.",
        )
        return tuple(to_tensor(found.astype(np.int64)) for found in values.nonzero())
    (length,) = shape_of("nonzero", size)
    mask = flat(node)
    serial = reduce.cumsum(ew.cast(mask, dtype=int64), axis=0)
    # A write at -1 is dropped, and so is one past the size.
    target = ew.select(mask, ew.subtract(serial, full_like(serial, 1)), full_like(serial, -1))
    result = []
    for axis, extent in enumerate(node.shape):
        filler = size_node(extent) if fill_value is None else number("nonzero", fill_value, int64)
        start = broadcast(filler, shape=(length,), axes=())
        position = flat(iota(dtype=int64, shape=node.shape, axis=axis))
        result.append(wrap(scatter(start, position, target, axes=(0,), mode="set")))
    return tuple(result)


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any | None = None) -> Tensor:
    """Where the values x2 would stand in the ascending x1, of shape (N,); the shape of x2.

    Before its equals with side "left", after them with "right". `sorter` holds the positions that
    sort x1, as argsort(x1) gives them.
    """
    sequence, values = same_dtype("searchsorted", x1, x2)
    if sequence.type.rank != 1:
        raise ShapeError(explain("searchsorted", "an x1 with one axis", str(sequence.type)))
    if sorter is not None:
        sequence = take(sequence, places(to_tensor(sorter), sequence.type, 0), 0)
    return wrap(_searched(sequence, values, side))


def _searched(sequence: Node, values: Node, side: str) -> Node:
    found = sort.searchsorted(sequence, flat(values), side=side)
    return found if values.type.rank == 1 else reshape(found, shape=values.shape)


def where(condition: Any, x1: Any = None, x2: Any = None, /) -> Any:
    """x1 where the condition is true, x2 elsewhere; shapes broadcast, element types promote.

    With the condition alone, the places where it is true: `nonzero(condition)`.
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ArgumentTypeError(
            explain("where", "both x1 and x2, or neither", "one of them",
                    "Write where(condition, x1, x2).")
        )  # fmt: skip
    chosen = [truth("where", condition), *same_dtype("where", x1, x2)]
    return wrap(ew.select(*same_shape("where", chosen)))


# Beyond the standard ------------------------------------------------------------------------------


def argwhere(x: Any, /, *, size: Size | None = None, fill_value: int | None = None) -> Tensor:
    """The places of elements that are not 0, a row for each: (K, N) for an x with N axes.

    `size` and `fill_value` are those of `nonzero`.
    """
    if not to_tensor(x).ndim:
        count = count_nonzero(x)
        rows = values_now("argwhere", count, "Write argwhere(x[None], size=1).")
        return to_tensor(np.zeros((int(rows), 0), np.int64))
    columns = operands_of("argwhere", nonzero(x, size=size, fill_value=fill_value))
    return wrap(concatenate(*(expand(column, (1,)) for column in columns), axis=1))


def digitize(x: Any, bins: Any, /, *, right: bool = False) -> Tensor:
    """For each value the bin i with bins[i-1] <= x < bins[i], or bins[i-1] < x <= bins[i].

    The first comparison is that of `right=False`. Bins ascend or descend; for descending ones both
    turn around: bins[i-1] > x >= bins[i]. The result has the shape of x; 0 and len(bins) stand for
    what is outside.
    """
    values, edges = same_dtype("digitize", x, bins)
    if edges.type.rank != 1:
        raise ShapeError(explain("digitize", "bins with one axis", str(edges.type)))
    known = known_values("digitize", bins)
    if known is not None and not (
        np.all(known[1:] >= known[:-1]) or np.all(known[1:] <= known[:-1])
    ):
        raise ArgumentError(explain("digitize", "bins that ascend or descend", f"{known}"))
    side = "left" if right else "right"
    if known is not None:
        if np.all(known[1:] >= known[:-1]):
            return wrap(_searched(edges, values, side))
        return wrap(_from_end(edges, values, side))
    if is_known_equal(edges.shape[0], 0):
        return wrap(_searched(edges, values, side))
    # Which way unknown bins run is data too.
    first, last = (
        reshape(slice(edges, start=(at,), limit=(at + 1,), stride=(1,)), shape=())
        for at in (0, edges.shape[0] - 1)
    )
    falls = broadcast(ew.greater(first, last), shape=values.shape, axes=())
    return wrap(ew.select(falls, _from_end(edges, values, side), _searched(edges, values, side)))


def _from_end(edges: Node, values: Node, side: str) -> Node:
    """Places in descending edges."""
    found = _searched(mirrored(edges, 0), values, side)
    length = broadcast(size_node(edges.shape[0]), shape=found.shape, axes=())
    return ew.subtract(length, found)


def bincount(
    x: Any, /, weights: Any | None = None, minlength: int = 0, *, length: Size | None = None
) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in x, or the sum of its weights; x of shape (N,).

    The result is as long as the largest value asks for, at least `minlength`: that depends on data.
    With `length` it is that long, and larger values are not counted. Negative values are refused
    where they are known, and not counted where they are not.
    """
    node = operand("bincount", x)
    if node.type.rank != 1 or not node.dtype.is_integer:
        raise DTypeError(explain("bincount", "integers along one axis", str(node.type)))
    advice = "Write bincount(x, length=n) for the counts of 0 to n - 1."
    known = known_values("bincount", x) if length is not None else values_now("bincount", x, advice)
    if known is not None and known.size and known.min() < 0:
        raise ArgumentError(explain("bincount", "integers of 0 or more", f"{known.min()}"))
    if length is None:
        assert known is not None
        length = max(int(known.max()) + 1 if known.size else 0, minlength)
    (extent,) = shape_of("bincount", length)
    return wrap(_counted("bincount", node, extent, weights))


def _counted(name: str, place: Node, length: Size, weights: Any | None) -> Node:
    """The number, or the sum of the weights, of what is at each place; places outside are left."""
    if weights is None:
        amounts = full(1, int64, place.shape)
    else:
        amounts = operand(name, weights)
        if amounts.type.rank != 1 or not is_known_equal(amounts.shape[0], place.shape[0]):
            raise ShapeError(
                explain(name, f"a weight for each of {place.type.size} values", str(amounts.type))
            )
        if amounts.dtype is bool_:
            amounts = ew.cast(amounts, dtype=int64)
    return scatter(full(0, amounts.dtype, (length,)), amounts, place, axes=(0,), mode="add")


def histogram(
    x: Any,
    /,
    bins: Any = 10,
    range: Sequence[Any] | None = None,
    weights: Any | None = None,
    density: bool = False,
) -> tuple[Tensor, Tensor]:
    """How many values lie in each bin, or the sum of their weights, and the edges of the bins.

    `bins` is a number of equal bins between the ends of `range`, by default the smallest and the
    largest value, or the ascending edges themselves. A bin holds its lower edge, and the last one
    its upper edge too. With `density` the integral over all bins is 1.
    """
    node = flat(operand("histogram", x))
    dtype = node.dtype
    if not dtype.is_float:
        # float32 does not hold every integer of more than 24 bits.
        wide = dtype in INTEGERS and dtype.bits >= 32
        dtype = float64 if wide else DEFAULT_FLOAT
    if weights is not None:
        weights = wrap(flat(operand("histogram", weights)))
    if isinstance(bins, (int, np.integer)):
        node = ew.cast(node, dtype=dtype) if node.dtype is not dtype else node
        edges = _equal_edges(node, int(bins), range)
    else:
        edges = operand("histogram", bins)
        if edges.type.rank != 1 or is_known_equal(edges.shape[0], 0):
            raise ShapeError(
                explain("histogram", "a number of bins, or edges along one axis", str(edges.type))
            )
        known = known_values("histogram", bins)
        if known is not None and np.any(known[1:] < known[:-1]):
            raise ArgumentError(explain("histogram", "edges that ascend", f"{known}"))
        node, edges = same_dtype("histogram", wrap(node), wrap(edges))
    count = edges.shape[0] - 1
    place = ew.subtract(_searched(edges, node, "right"), full(1, int64, node.shape))
    last = slice(edges, start=(count,), limit=(count + 1,), stride=(1,))
    last = broadcast(reshape(last, shape=()), shape=node.shape, axes=())
    inner = ew.subtract(place, full_like(place, 1))
    place = ew.select(ew.equal(node, last), inner, place)
    result = _counted("histogram", place, count, weights)
    if density:
        widths = ew.subtract(
            slice(edges, start=(1,), limit=(count + 1,), stride=(1,)),
            slice(edges, start=(0,), limit=(count,), stride=(1,)),
        )
        common = promote(widths.dtype, result.dtype)
        common = common if common.is_inexact else DEFAULT_FLOAT
        result, widths = (to_dtype("histogram", wrap(each), common) for each in (result, widths))
        total = broadcast(sum_op(result, axes=(0,)), shape=result.shape, axes=())
        result = ew.divide(ew.divide(result, widths), total)
    return wrap(result), wrap(edges)


def _equal_edges(node: Node, bins: int, range: Sequence[Any] | None) -> Node:
    """The bins + 1 edges of equal bins, in the element type of the node."""
    dtype = node.dtype
    if bins < 1:
        raise ArgumentError(explain("histogram", "at least one bin", f"{bins}"))
    if range is not None:
        if len(range) != 2:
            raise ArgumentError(explain("histogram", "a range (low, high)", f"{range}"))
        first, second = (known_values("histogram", each) for each in range)
        if first is not None and second is not None and not first <= second:
            raise ArgumentError(explain("histogram", "a range with low <= high", f"{range}"))
        low, high = (ew.cast(operand("histogram", each), dtype=dtype) for each in range)
    elif is_known_equal(node.shape[0], 0):
        low, high = full(0, dtype), full(1, dtype)
    else:
        low, high = reduce.min(node, axes=(0,)), reduce.max(node, axes=(0,))
    half = full(0.5, dtype)
    is_point = ew.equal(low, high)
    low, high = (
        ew.select(is_point, ew.subtract(low, half), low),
        ew.select(is_point, ew.add(high, half), high),
    )
    shape = (bins + 1,)
    step = ew.divide(ew.subtract(high, low), full(bins, dtype))
    serial = iota(dtype=dtype, shape=shape, axis=0)
    low, high, step = (broadcast(each, shape=shape, axes=()) for each in (low, high, step))
    inner = ew.add(ew.multiply(serial, step), low)
    return ew.select(ew.equal(serial, full_like(serial, bins)), high, inner)


def isin(x: Any, values: Any, /, *, invert: bool = False) -> Tensor:
    """Which elements of x are among the values, or with `invert` are not. NaN equals nothing."""
    elements, others = same_dtype("isin", x, values)
    others = flat(others)
    if elements.dtype.is_complex:
        # Complex numbers have no order to search in: each is compared with each.
        column = expand(elements, (elements.type.rank,))
        shape = broadcast_shapes("isin", [column.type, others.type])
        matches = ew.equal(stretch(column, shape), stretch(others, shape))
        found = reduce.any(matches, axes=(elements.type.rank,))
    elif is_known_equal(others.shape[0], 0):
        found = full(False, bool_, elements.shape)
    else:
        (ascending,) = items(sort.sort(others, axis=0))
        place = _searched(ascending, elements, "left")
        # Past the end gather reads NaN or another value of its own: the last place is as good.
        last = broadcast(size_node(others.shape[0] - 1), shape=place.shape, axes=())
        nearest = take(ascending, ew.minimum(place, last), 0)
        found = ew.equal(nearest, elements)
    return wrap(ew.logical_not(found) if invert else found)

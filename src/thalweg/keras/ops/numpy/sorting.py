"""Sorting: values and positions in order, places of values among others, distinct values.

Every order is stable; NaN stands last. Positions and counts are int32.
"""

import math
import operator
from typing import Any

import numpy as np

from thalweg.array import (
    elementwise,
    indexing,
    manipulation,
    searching,
    sorting,
    statistical,
    utility,
)
from thalweg.array.creation import arange, full, zeros
from thalweg.array.sets import unique as distinct
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_equal
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import Size, as_int32, axis_of, common_dtype, count, like, shape_of
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor


def _along(name: str, x: Any, axis: int | None) -> tuple[Tensor, int | None]:
    """The tensor and its axis counted from the front; None stays."""
    x = tensor(x)
    return x, None if axis is None else axis_of(name, axis, x.ndim)


@op
def sort(x: Any, axis: int | None = -1) -> Tensor:
    """The values in ascending order along an axis, or of the flattened x for `axis=None`."""
    x, axis = _along("sort", x, axis)
    return sorting.sort(x, axis=axis)


@op
def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """The positions that sort x along an axis, or the flattened x for `axis=None`; int32.

    Of a number it is [0].
    """
    x = tensor(x)
    x, axis = _along("argsort", x, axis if x.ndim else None)
    return as_int32(sorting.argsort(x, axis=axis))


def _argpartition_spec(x: Any, kth: int, axis: int | None = -1) -> KerasTensor:
    _check_kth(kth)
    shape = shape_of(x)
    return like(x, (count(shape),) if axis is None else shape, "int32")


@op(data=("x",), spec=_argpartition_spec)
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """The positions that put the element at `kth` where it belongs, smaller ones before it; int32.

    Raises ArgumentError for a `kth` that is no integer or outside of the axis.
    """
    _check_kth(kth)
    x, axis = _along("argpartition", x, axis)
    return as_int32(sorting.argpartition(x, kth, axis=axis))


def _check_kth(kth: Any) -> None:
    if isinstance(kth, bool) or not hasattr(kth, "__index__"):
        raise ArgumentError(explain("argpartition", "an integer as kth", f"kth={kth!r}"))


# Places among others ------------------------------------------------------------------------------


def _searchsorted_spec(sorted_sequence: Any, values: Any, side: str = "left") -> KerasTensor:
    shape = shape_of(sorted_sequence)
    _check_vector("searchsorted", "sorted_sequence", len(shape), shape)
    # A sequence of unknown length may need wide positions.
    is_short = shape[0] is not None and shape[0] <= np.iinfo(np.int32).max
    return like(values, shape_of(values), "int32" if is_short else "int64")


@op(data=("sorted_sequence", "values"), name="SearchSorted", spec=_searchsorted_spec)
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where values would stand in an ascending sequence (N,): before their equals, or after them
    with `side="right"`. It has the shape of the values and type int32."""
    sequence, wanted = tensor(sorted_sequence), tensor(values)
    _check_vector("searchsorted", "sorted_sequence", sequence.ndim, sequence.shape)
    dtype = common_dtype(sequence, wanted)
    sequence, wanted = tensor(sequence, dtype), tensor(wanted, dtype)
    return as_int32(searching.searchsorted(sequence, wanted, side=side))


def _check_vector(name: str, argument: str, rank: int, shape: Any) -> None:
    if rank != 1:
        do = "Write keras.ops.vectorized_map for several sequences."
        wanted = f"{argument} to have one axis; it only supports 1-D"
        raise ShapeError(explain(name, wanted, f"{argument}.shape={tuple(shape)}", do))


def _digitize_spec(x: Any, bins: Any) -> KerasTensor:
    shape = shape_of(bins)
    _check_vector("digitize", "bins", len(shape), shape)
    return like(x, shape_of(x), "int32")


@op(data=("x", "bins"), spec=_digitize_spec)
def digitize(x: Any, bins: Any) -> Tensor:
    """For each value the bin i with bins[i-1] <= x < bins[i], bins of shape (N,); int32.

    For descending bins the comparisons turn around.
    """
    edges = tensor(bins)
    _check_vector("digitize", "bins", edges.ndim, edges.shape)
    dtype = common_dtype(x, edges)
    return as_int32(searching.digitize(tensor(x, dtype), tensor(edges, dtype)))


def _isin_spec(x1: Any, x2: Any, **_: Any) -> KerasTensor:
    return like(x1, shape_of(x1), "bool")


@op(data=("x1", "x2"), name="IsIn", spec=_isin_spec)
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which elements of x1 are among those of x2, or with `invert` are not; the shape of x1.

    `assume_unique` changes nothing.
    """
    dtype = common_dtype(x1, x2)
    return searching.isin(tensor(x1, dtype), tensor(x2, dtype), invert=bool(invert))


# Distinct values ----------------------------------------------------------------------------------


def _unique_spec(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    shape = shape_of(x)
    values: tuple[Size, ...] = (size,)
    inverse = shape
    if axis is not None:
        place = axis_of("unique", axis, len(shape))
        values = (*shape[:place], size, *shape[place + 1 :])
        inverse = (shape[place],)
    found = [
        like(x, values),
        like(x, (size,), "int32") if return_index else None,
        like(x, inverse, "int32") if return_inverse else None,
        like(x, (size,), "int32") if return_counts else None,
    ]
    return _asked_for(found)


def _asked_for(found: list[Any]) -> Any:
    kept = [each for each in found if each is not None]
    return kept[0] if len(kept) == 1 else tuple(kept)


@op(data=("x",), spec=_unique_spec)
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The distinct values of the flattened x, or its distinct slices along an axis, ascending.

    With options a tuple: the values, where each stands first, which of them stands at each place of
    x, and how often each occurs; int32. How many there are depends on data. With `size` there are
    that many: the first ones, and where there are fewer `fill_value` or the first value again, with
    the first position and count 0. A NaN equals no other. `sorted=False` changes nothing.
    """
    x = tensor(x)
    along = None if axis is None else axis_of("unique", axis, x.ndim)
    if size is None:
        found = list(distinct(x, True, True, True, axis=along, equal_nan=False))
    else:
        found = _distinct_of_size(x, along, operator.index(size), fill_value)
    wanted = (return_index, return_inverse, return_counts)
    extra = [
        as_int32(each) if is_wanted else None
        for each, is_wanted in zip(found[1:], wanted, strict=True)
    ]
    return _asked_for([found[0], *extra])


def _distinct_of_size(x: Tensor, axis: int | None, size: int, fill_value: Any) -> list[Tensor]:
    """Values, first positions, inverse and counts in a fixed number, so that x may be traced."""
    table = manipulation.ravel(x) if axis is None else manipulation.moveaxis(x, axis, 0)
    length = table.shape[0]
    if is_known_equal(length, 0):
        values = full((size, *table.shape[1:]), fill_value or 0, dtype=x.dtype)
        nothing = zeros((size,), dtype="int32")
        found = [values, nothing, zeros((0,), dtype="int32"), nothing]
    else:
        found = _groups(table, size)
        if fill_value is not None:
            is_spare = elementwise.equal(found[3], 0)
            shape = (size, *[1] * (table.ndim - 1))
            fill = tensor(fill_value, x.dtype)
            found[0] = searching.where(manipulation.reshape(is_spare, shape), fill, found[0])
    if axis is None:
        found[2] = manipulation.reshape(found[2], x.shape)
    else:
        found[0] = manipulation.moveaxis(found[0], 0, axis)
    return found


def _groups(table: Tensor, size: int) -> list[Tensor]:
    """The distinct slices of the first axis, where each stands first, the group of each slice, and
    the sizes of the groups: slices are sorted, and one that differs from its neighbour begins a
    group. Beyond the last group the first slice stands again."""
    length = table.shape[0]
    rows: Any = manipulation.reshape(table, (length, math.prod(table.shape[1:])))
    place: Any = arange(length)
    if is_known_equal(rows.shape[1], 0):
        order, begins = place, place == 0
    else:
        columns = [rows[:, column] for column in range(rows.shape[1])]
        order = sorting.lexsort(columns[::-1])
        ordered = indexing.take(rows, order, axis=0)
        before = indexing.take(ordered, elementwise.maximum(place - 1, 0), axis=0)
        begins = utility.any(elementwise.not_equal(ordered, before), axis=1) | (place == 0)
    group: Any = statistical.cumulative_sum(begins, axis=0)
    group = group - 1
    (starts,) = searching.nonzero(begins, size=size, fill_value=0)
    first = indexing.take(order, starts)
    inverse = indexing.at(group)[order].set(group)
    counts = indexing.at(zeros((size,), dtype="int64"))[group].add(1)
    return [indexing.take(table, first, axis=0), first, inverse, counts]

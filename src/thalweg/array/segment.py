"""Segments: rows that carry the same number, reduced to one row.

    data [N..., rest...], segment_ids [N...] -> [num_segments, rest...]

Numbers may come in any order and repeat; rows whose number is below 0 or not below `num_segments`
are dropped. `num_segments` may be a named size. Without it the largest number decides, so the
numbers must have values: while a function is traced, give it. `sorted` may say that the numbers do
not decrease; nothing here is faster for it.

A segment without rows has the value that changes nothing: 0 in a sum, 1 in a product, the lowest
or the highest value of the type in a max or min (an infinity for floats), 0 as a mean. Rows are
combined in order, 16-bit floats in float32. A max or min shares its cotangent equally among the
rows that attain it.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.array.manipulation import operand, values_now
from thalweg.array.operands import shape_of
from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, wrap
from thalweg.ir.dim import is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DEFAULT_FLOAT,
    NUMERIC,
    REAL,
    DType,
    Size,
    TensorType,
    float32,
    int64,
    size_of,
)
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import cast, check_elements, divide, maximum
from thalweg.ops.index import scatter
from thalweg.ops.movement import reshape
from thalweg.ops.reduce import highest, lowest


def segment_sum(
    data: Any, segment_ids: Any, num_segments: Any = None, *, sorted: bool = False
) -> Tensor:
    """The sum of the rows of each segment.

    >>> import thalweg as tw
    >>> tw.segment_sum(tw.asarray([1.0, 2.0, 4.0]), tw.asarray([1, 0, 1]), 3)
    Tensor([2., 5., 0.], dtype=float32)
    """
    rows, ids, count = _segments("segment_sum", data, segment_ids, num_segments, NUMERIC)
    return wrap(_combined(rows, ids, count, "add", 0))


def segment_prod(
    data: Any, segment_ids: Any, num_segments: Any = None, *, sorted: bool = False
) -> Tensor:
    """The product of the rows of each segment."""
    rows, ids, count = _segments("segment_prod", data, segment_ids, num_segments, NUMERIC)
    return wrap(_combined(rows, ids, count, "multiply", 1))


def segment_max(
    data: Any, segment_ids: Any, num_segments: Any = None, *, sorted: bool = False
) -> Tensor:
    """The largest of the rows of each segment, element by element."""
    rows, ids, count = _segments("segment_max", data, segment_ids, num_segments, REAL)
    return wrap(_combined(rows, ids, count, "max", lowest(rows.dtype.numpy)))


def segment_min(
    data: Any, segment_ids: Any, num_segments: Any = None, *, sorted: bool = False
) -> Tensor:
    """The smallest of the rows of each segment, element by element."""
    rows, ids, count = _segments("segment_min", data, segment_ids, num_segments, REAL)
    return wrap(_combined(rows, ids, count, "min", highest(rows.dtype.numpy)))


def segment_mean(
    data: Any, segment_ids: Any, num_segments: Any = None, *, sorted: bool = False
) -> Tensor:
    """The mean of the rows of each segment; float32 for integers."""
    rows, ids, count = _segments("segment_mean", data, segment_ids, num_segments, NUMERIC)
    result = rows.dtype if rows.dtype.is_inexact else DEFAULT_FLOAT
    wide = float32 if result.bits == 16 else result
    total = _combined(cast(rows, dtype=wide), ids, count, "add", 0)
    met = _combined(full(1, int64, ids.shape), ids, count, "add", 0)
    met = cast(maximum(met, full_like(met, 1)), dtype=wide)
    mean = divide(total, broadcast(met, shape=total.shape, axes=(0,)))
    return wrap(mean if result is wide else cast(mean, dtype=result))


def _segments(
    name: str, data: Any, segment_ids: Any, num_segments: Any, dtypes: Sequence[DType]
) -> tuple[Node, Node, Size]:
    """Rows along one axis, one number for each, and the number of segments."""
    node, ids = operand(name, data), operand(name, segment_ids)
    check_elements(name, dtypes, node.type)
    if not ids.dtype.is_integer:
        raise DTypeError(
            explain(
                name,
                "integers as segment_ids",
                str(ids.type),
                "Cast first: segment_ids.astype('int64').",
            )
        )
    _check_rows(name, node.type, ids.type)
    if num_segments is None:
        known = values_now(name, segment_ids, f"Write {name}(data, segment_ids, num_segments).")
        count: Size = max(0, int(known.max(initial=-1)) + 1)
    else:
        (count,) = shape_of(name, (num_segments,))
    if ids.type.rank != 1:
        total = size_of(ids.shape)
        node = reshape(node, shape=(total, *node.shape[ids.type.rank :]))
        ids = reshape(ids, shape=(total,))
    return node, ids, count


def _check_rows(name: str, data: TensorType, ids: TensorType) -> None:
    """Refuse numbers that are not one for each row of the data."""
    lead = data.shape[: ids.rank]
    if not ids.rank or ids.rank > data.rank or not all(map(is_known_equal, lead, ids.shape)):
        raise ShapeError(
            explain(
                name,
                "one number for each row: segment_ids whose axes are the first of data",
                f"data {data}, segment_ids {ids}",
            )
        )


def _combined(rows: Node, ids: Node, count: Size, mode: str, nothing: Any) -> Node:
    """The rows of each segment combined with a value that changes nothing."""
    start = full(nothing, rows.dtype, (count, *rows.shape[1:]))
    return scatter(start, rows, ids, axes=(0,), mode=mode)

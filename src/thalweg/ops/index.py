"""Reading and writing at places that are data: two adjoint pairs.

    gather(x, *indices, axes=(0,), batch=0)         x: f32[9,4], i32[5] -> f32[5,4]
    scatter(x, updates, *indices, axes=(0,), batch=0, mode="add")
                                                    x: f32[9,4], f32[5,4], i32[5] -> f32[9,4]
    dynamic_slice(x, *starts, sizes=(2,3))          x: f32[9,4], i32[], i32[] -> f32[2,3]
    dynamic_update_slice(x, updates, *starts)       x: f32[9,4], f32[2,3], i32[], i32[] -> f32[9,4]

`axes` names the axes of x that are indexed, in increasing order, and each has one index array; all
index arrays have one integer type and one shape. The first `batch` axes of x and of the indices run
together. The result of gather has the batch axes, the other axes of the indices, and the axes of x
that are left, each group in order; the updates of scatter have that shape too.

An index below 0 or past the end is outside: no index counts from the end. Reading outside gives NaN
for floats and complex numbers, the smallest value of a signed integer, the largest of an unsigned
one, and True for booleans; a write outside is dropped. Starts of slices are held inside instead.

Writes to one place combine in the row-major order of the indices.

    take(x, indices, axis)          whole rows of an axis      x: f32[2,9,4], i32[5] -> f32[2,5,4]
    take_along(x, indices, axis)    one element each           x: f32[2,9], i32[2,5] -> f32[2,5]
"""

from collections.abc import Sequence
from functools import reduce
from math import prod

import numpy as np

from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.ir.attribute import Integer, Sizes, Text
from thalweg.ir.dim import Dim, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DTYPES,
    FLOATS,
    INTEGERS,
    NUMERIC,
    REAL,
    DType,
    Shape,
    Size,
    TensorType,
    as_dtype,
    bool_,
    complex128,
    float32,
    float64,
    int32,
    int64,
    shape_text,
    size_of,
    uint64,
)
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import (
    add,
    cast,
    check_elements,
    conjugate,
    divide,
    equal,
    front,
    greater_equal,
    less,
    logical_and,
    maximum,
    minimum,
    multiply,
    select,
    subtract,
)
from thalweg.ops.movement import inverse_permutation, iota, reshape, transpose
from thalweg.ops.movement import size as size_op
from thalweg.ops.samples import a_type, values

# Shapes and places --------------------------------------------------------------------------------


def _infer_places(
    op: str, x: TensorType, indices: Sequence[TensorType], axes: tuple[int, ...], batch: int
) -> Shape:
    """The shape of what is read or written; refuses indices and axes that do not fit."""
    if not indices or len(indices) != len(axes):
        raise ShapeError(
            explain(
                op,
                "one index array for each of axes, and at least one",
                f"{len(indices)} index arrays for axes {axes} of {x}",
            )
        )
    if not (0 <= batch <= axes[0] and list(axes) == sorted(set(axes)) and axes[-1] < x.rank):
        raise ShapeError(
            explain(
                op,
                f"axes in increasing order from batch to {x.rank - 1}",
                f"axes {axes} and batch {batch} for {x}",
            )
        )
    first = indices[0]
    received = " and ".join(map(str, indices))
    for index in indices:
        if not index.dtype.is_integer:
            raise DTypeError(
                explain(op, "indices that are integers", received, "Cast first: i.astype('int64').")
            )
        if index.dtype is not first.dtype:
            raise DTypeError(explain(op, "indices of one integer type", received))
        if index is not first:
            raise ShapeError(explain(op, "indices of one shape", received))
    fits = first.rank >= batch and all(map(is_known_equal, x.shape[:batch], first.shape[:batch]))
    if not fits:
        raise ShapeError(
            explain(op, f"x and the indices to share their first {batch} axes", f"{x} and {first}")
        )
    return (*first.shape, *(x.shape[axis] for axis in _left(x.rank, axes, batch)))


def _left(rank: int, axes: Sequence[int], batch: int) -> tuple[int, ...]:
    """The axes that are neither shared nor indexed."""
    return tuple(axis for axis in range(batch, rank) if axis not in axes)


def _rows(
    shape: Sequence[int], indices: Sequence[np.ndarray], axes: Sequence[int], batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each place the row of the table (batch and indexed axes, axes left), and if it is inside.

    Both are flat; the row of a place outside means nothing.
    """
    # An unsigned index that does not fit becomes negative, which is outside as well.
    wide = [index.astype(np.int64) for index in indices]
    inside = np.ones(indices[0].shape, bool)
    for index, axis in zip(wide, axes, strict=True):
        inside &= (index >= 0) & (index < shape[axis])
    place = np.zeros(indices[0].shape, np.int64)
    for index, axis in zip(wide, axes, strict=True):
        place = place * shape[axis] + np.where(inside, index, 0)
    examples = prod(shape[:batch])
    rows = place.reshape(examples, prod(indices[0].shape[batch:]))
    rows += np.arange(examples)[:, None] * prod(shape[axis] for axis in axes)
    return rows.reshape(-1), inside.reshape(-1)


def _table(x: np.ndarray, axes: Sequence[int], batch: int) -> np.ndarray:
    """x as a matrix of one row for each place that can be indexed."""
    left = _left(x.ndim, axes, batch)
    rows = prod(x.shape[:batch]) * prod(x.shape[axis] for axis in axes)
    columns = prod(x.shape[axis] for axis in left)
    return np.transpose(x, (*range(batch), *axes, *left)).reshape(rows, columns)


def _is_single(index: TensorType, batch: int) -> bool:
    """True when each example has a single place, so that no two writes can meet."""
    return all(is_known_equal(size, 1) for size in index.shape[batch:])


def _spread(places: Node, type: TensorType) -> Node:
    """A value for each place, repeated along the axes left."""
    if places.type.rank == type.rank:
        return places
    return broadcast(places, shape=type.shape, axes=tuple(range(places.type.rank)))


def _is_inside(x: Node, indices: Sequence[Node], axes: Sequence[int]) -> Node:
    """Which places are inside x: booleans of the shape of the indices."""
    tests = []
    for index, axis in zip(indices, axes, strict=True):
        extent = x.shape[axis]
        if isinstance(extent, Dim):
            index = cast(index, dtype=int64)
            end = broadcast(size_op(dim=extent, dtype=int64), shape=index.shape, axes=())
            tests.append(less(index, end))
        elif extent <= np.iinfo(index.dtype.numpy).max:
            tests.append(less(index, full_like(index, extent)))
        if index.dtype.kind == "int":
            tests.append(greater_equal(index, full_like(index, 0)))
    if not tests:
        return full(True, bool_, indices[0].shape)
    return reduce(logical_and, tests)


def _is_last(x: Node, indices: Sequence[Node], axes: Sequence[int], batch: int) -> Node:
    """Which places are inside x and met by no later write."""
    type = indices[0].type
    if _is_single(type, batch):
        return _is_inside(x, indices, axes)
    count = size_of(type.shape[batch:])
    narrow = not isinstance(count, Dim) and count < 2**31
    serial = iota(dtype=int32 if narrow else int64, shape=(count,), axis=0)
    if type.rank != batch + 1:
        serial = reshape(serial, shape=type.shape[batch:])
    if batch:
        serial = broadcast(serial, shape=type.shape, axes=tuple(range(batch, type.rank)))
    extents = (*x.shape[:batch], *(x.shape[axis] for axis in axes))
    attrs = {"axes": tuple(range(batch, len(extents))), "batch": batch}
    latest = scatter(full(-1, serial.dtype, extents), serial, *indices, mode="max", **attrs)
    # Outside, gather reads the smallest integer, which is no serial number.
    return equal(gather(latest, *indices, **attrs), serial)


# Gather -------------------------------------------------------------------------------------------


def outside_value(dtype: DType) -> np.generic:
    """What gather reads outside of x."""
    if dtype.is_inexact:
        return dtype.numpy.type(np.nan)
    if dtype is bool_:
        return np.bool_(True)
    info = np.iinfo(dtype.numpy)
    return dtype.numpy.type(info.min if dtype.kind == "int" else info.max)


def _infer_gather(
    x: TensorType, *indices: TensorType, axes: tuple[int, ...], batch: int
) -> TensorType:
    return x.with_shape(_infer_places("gather", x, indices, axes, batch))


def _evaluate_gather(
    x: np.ndarray, *indices: np.ndarray, axes: tuple[int, ...], batch: int
) -> np.ndarray:
    rows, inside = _rows(x.shape, indices, axes, batch)
    table = _table(x, axes, batch)
    if inside.all():
        found = np.take(table, rows, axis=0)
    else:
        found = np.empty((rows.size, table.shape[1]), x.dtype)
        found[~inside] = outside_value(as_dtype(x.dtype))
        found[inside] = table[rows[inside]]
    left = (x.shape[axis] for axis in _left(x.ndim, axes, batch))
    return found.reshape((*indices[0].shape, *left))


def _differentiate_gather(dy: Node, y: Node, x: Node, *indices: Node, axes, batch: int):
    dx = scatter(full_like(x, 0), dy, *indices, axes=axes, batch=batch, mode="add")
    return (dx, *(None for _ in indices))


def _batch_gather(size: Size, mapped: Sequence[bool], x: Node, *indices: Node, axes, batch: int):
    indices = tuple(front(size, mapped[1:], indices))
    if mapped[0]:
        return gather(x, *indices, axes=tuple(axis + 1 for axis in axes), batch=batch + 1)
    # x is the same for all examples: their axis is one more axis of the indices.
    indices = tuple(_move(index, 0, batch) for index in indices)
    return _move(gather(x, *indices, axes=axes, batch=batch), batch, 0)


def _move(x: Node, source: int, target: int) -> Node:
    """x with one axis at another position."""
    if source == target:
        return x
    order = [axis for axis in range(x.type.rank) if axis != source]
    order.insert(target, source)
    return transpose(x, axes=tuple(order))


# One row a case: the shape of x, that of the indices, axes, batch.
_CASES = {
    "rows": ((4, 3), (3,), (0,), 0),
    "matrix of rows": ((4, 3), (2, 2), (0,), 0),
    "points": ((4, 3), (2, 2), (0, 1), 0),
    "last axis": ((2, 4), (3,), (1,), 0),
    "middle axis": ((2, 4, 2), (3,), (1,), 0),
    "outer axes": ((3, 2, 3), (4,), (0, 2), 0),
    "one index": ((4, 3), (), (0,), 0),
    "one point": ((4, 3), (), (0, 1), 0),
    "shared axis": ((2, 4, 2), (2, 3), (1,), 1),
    "shared axis, last axis": ((2, 2, 4), (2, 1, 3), (2,), 1),
    "shared axis, points": ((2, 3, 4), (2, 3), (1, 2), 1),
    "shared axis, one index": ((2, 4), (2,), (1,), 1),
    "two shared axes": ((2, 1, 4), (2, 1, 3), (2,), 2),
    "no place": ((4, 3), (0,), (0,), 0),
    "rows of nothing": ((4, 0), (3,), (0,), 0),
    "no example": ((0, 4), (0, 2), (1,), 1),
}  # fmt: skip


def _sample_indices(case: str, dtype: DType = int32) -> tuple:
    """Indices for a case, inside and with repeats."""
    shape, places, axes, _ = _CASES[case]
    return tuple(values(places, dtype, 0, shape[axis] - 1, seed=f"{case} {axis}") for axis in axes)


_OUTSIDE = (np.array([3, -1, 0, 4, 3, 100], np.int32),)


def _sample_gather():
    attrs = {"axes": (0,), "batch": 0}
    for dtype in DTYPES:
        x = values((4, 3), dtype)
        name = f"{dtype.short} outside"
        yield Sample((x, *_sample_indices("matrix of rows")), attrs)
        yield Sample((x, *_OUTSIDE), attrs, name, differentiable=False)
    for dtype in INTEGERS:
        yield Sample((values((4, 3), float64), *_sample_indices("rows", dtype)), attrs)
    for case, (shape, _, axes, batch) in _CASES.items():
        for dtype in (float32, float64) if batch == 1 else (float64,):
            given = {"axes": axes, "batch": batch}
            yield Sample((values(shape, dtype), *_sample_indices(case)), given, case)
    x = values((4, 3), complex128)
    yield Sample((x, *_sample_indices("points")), {"axes": (0, 1), "batch": 0}, "complex points")
    nothing = (values((0, 3), float32), np.array([0, 1], np.int32))
    yield Sample(nothing, attrs, "from nothing", differentiable=False)


def _refuse_gather():
    x, i = a_type("f32[4,3]"), a_type("i32[2]")
    one = {"axes": (0,), "batch": 0}
    two = {"axes": (0, 1), "batch": 0}
    yield Refusal((x,), {"axes": (), "batch": 0}, "one index array for each of axes")
    yield Refusal((x, i), two, "one index array for each of axes")
    yield Refusal((x, i), one | {"axes": (2,)}, "axes in increasing order from batch to 1")
    yield Refusal((x, i, i), two | {"axes": (1, 0)}, "axes in increasing order")
    yield Refusal((x, i), one | {"batch": 1}, "axes in increasing order from batch")
    yield Refusal((x, i), one | {"batch": -1}, "axes in increasing order from batch")
    yield Refusal((x, a_type("f32[2]")), one, "indices that are integers")
    yield Refusal((x, i, a_type("i64[2]")), two, "indices of one integer type")
    yield Refusal((x, i, a_type("i32[3]")), two, "indices of one shape")
    yield Refusal((x, i), {"axes": (1,), "batch": 1}, "share their first 1 axes")
    yield Refusal((x, a_type("i32[]")), {"axes": (1,), "batch": 1}, "share their first 1 axes")


gather = declare(
    Op(
        name="gather",
        doc="The values of x at indices along some axes; outside NaN, the smallest signed or the "
        "largest unsigned integer, or True.",
        infer=_infer_gather,
        evaluate=_evaluate_gather,
        arity=None,
        attributes={"axes": Sizes(), "batch": Integer(0)},
        gradient=_differentiate_gather,
        batch=_batch_gather,
        cost=lambda x, *indices, result, axes, batch: 0,
        samples=_sample_gather,
        refuses=_refuse_gather,
        family="indexing",
    )
)


def _gather_inside(x: Node, *indices: Node, axes: Sequence[int], batch: int) -> Node:
    """What gather reads, and 0 outside."""
    found = gather(x, *indices, axes=axes, batch=batch)
    inside = _spread(_is_inside(x, indices, axes), found.type)
    return select(inside, found, full_like(found, 0))


def take(x: Node, indices: Node, axis: int) -> Node:
    """Whole rows of x along one axis: the axes before it, those of the indices, those after it."""
    found = gather(x, indices, axes=(axis,))
    if not axis:
        return found
    rank = indices.type.rank
    before, after = range(rank, rank + axis), range(rank + axis, found.type.rank)
    return _transposed(found, (*before, *range(rank), *after))


def take_along(x: Node, indices: Node, axis: int) -> Node:
    """One element of x for each index along one axis; x and the indices agree on the others."""
    last = x.type.rank - 1
    x, indices = _move(x, axis, last), _move(indices, axis, last)
    return _move(gather(x, indices, axes=(last,), batch=last), last, axis)


def _transposed(x: Node, axes: tuple[int, ...]) -> Node:
    return x if axes == tuple(range(x.type.rank)) else transpose(x, axes=axes)


# Scatter ------------------------------------------------------------------------------------------

# How an update is combined with what is there, for which elements.
_MODES = {
    "set": (None, DTYPES),
    "add": (np.add, NUMERIC),
    "multiply": (np.multiply, NUMERIC),
    "min": (np.minimum, REAL),
    "max": (np.maximum, REAL),
}


def _infer_scatter(
    x: TensorType,
    *args: TensorType,
    axes: tuple[int, ...],
    batch: int,
    mode: str,
) -> TensorType:
    if mode not in _MODES:
        raise ArgumentError(explain("scatter", f"a mode among {', '.join(_MODES)}", repr(mode)))
    if not args:
        raise ShapeError(explain("scatter", "x, updates and indices", "x alone"))
    updates, *indices = args
    shape = _infer_places("scatter", x, indices, axes, batch)
    if updates.dtype is not x.dtype:
        raise DTypeError(
            explain("scatter", f"updates of {x.dtype}, as x has", f"{updates} for {x}")
        )
    check_elements("scatter", _MODES[mode][1], x)
    if updates.rank != len(shape) or not all(map(is_known_equal, updates.shape, shape)):
        raise ShapeError(
            explain(
                "scatter",
                f"updates of shape {shape_text(shape)}, which gather would read",
                f"{updates} for {x} at {indices[0]} on axes {axes} with batch {batch}",
            )
        )
    return x


def _evaluate_scatter(
    x: np.ndarray,
    updates: np.ndarray,
    *indices: np.ndarray,
    axes: tuple[int, ...],
    batch: int,
    mode: str,
) -> np.ndarray:
    rows, inside = _rows(x.shape, indices, axes, batch)
    ufunc = _MODES[mode][0]
    # 16-bit floats combine in float32, as every backend does, and round once.
    is_narrow = ufunc is not None and x.dtype.itemsize == 2 and x.dtype.kind not in "iu"
    wide = float32.numpy if is_narrow else x.dtype
    table = np.array(_table(x, axes, batch), wide, order="C")
    columns = table.shape[1]
    rows, changes = rows[inside], updates.reshape(rows.size, columns)[inside].astype(wide)
    if ufunc is None:
        last = _last_of_each(rows)
        table[rows[last]] = changes[last]
    else:
        flat = rows[:, None] * columns + np.arange(columns)
        ufunc.at(table.reshape(-1), flat.reshape(-1), changes.reshape(-1))
    order = (*range(batch), *axes, *_left(x.ndim, axes, batch))
    ordered = table.astype(x.dtype, copy=False).reshape([x.shape[axis] for axis in order])
    return np.transpose(ordered, inverse_permutation(order))


def _last_of_each(rows: np.ndarray) -> np.ndarray:
    """The position of the last occurrence of each value."""
    order = np.argsort(rows, kind="stable")
    is_last = np.ones(rows.size, bool)
    is_last[:-1] = rows[order[1:]] != rows[order[:-1]]
    return order[is_last]


def _differentiate_scatter(
    dy: Node, y: Node, x: Node, updates: Node, *indices: Node, axes, batch: int, mode: str
):
    attrs = {"axes": axes, "batch": batch}
    nothing = tuple(None for _ in indices)
    if mode == "add":
        return (dy, _gather_inside(dy, *indices, **attrs), *nothing)
    if mode == "set":
        zeros = full_like(updates, 0)
        last = _spread(_is_last(x, indices, axes, batch), updates.type)
        dx = scatter(dy, zeros, *indices, **attrs, mode="set")
        return (dx, select(last, gather(dy, *indices, **attrs), zeros), *nothing)
    if mode == "multiply":
        return (*_differentiate_product(dy, x, updates, indices, attrs), *nothing)
    return (*_differentiate_extremum(dy, y, x, updates, indices, attrs), *nothing)


def _differentiate_product(dy: Node, x: Node, updates: Node, indices: Sequence[Node], attrs):
    """Each update gets dy * x * (product of the other updates of its place).

    The other updates are the product of all divided by one, unless that is zero. For a zero they
    are the product of all that are not zero, times the other zeros, of which zeros are counted: the
    product of none is 1, of one that one itself (the sum of all less this one), of more 0. Written
    so, the derivatives of this rule are right as well: to every order with up to two zeros at a
    place, and to the second order with more.
    """

    def combined(start: Node, changes: Node, mode: str) -> Node:
        return scatter(start, changes, *indices, **attrs, mode=mode)

    def read(values: Node) -> Node:
        return _gather_inside(values, *indices, **attrs)

    one, zero = full_like(x, 1), full_like(x, 0)
    product = combined(one, updates, "multiply")
    dx = multiply(dy, conjugate(product))
    scale = multiply(dy, conjugate(x))
    if _is_single(indices[0].type, attrs["batch"]):
        return dx, read(scale)
    nothing = full_like(updates, 0)
    is_zero = equal(updates, nothing)
    zeros = select(is_zero, updates, nothing)
    others = select(is_zero, full_like(updates, 1), updates)
    scale_of_zeros = multiply(scale, conjugate(combined(one, others, "multiply")))
    count = combined(full(0, int32, x.shape), cast(is_zero, dtype=int32), "add")
    is_alone, is_pair = equal(count, full_like(count, 1)), equal(count, full_like(count, 2))
    both = combined(zero, zeros, "add")
    rest = select(is_alone, one, select(is_pair, both, zero))
    itself = multiply(read(select(is_pair, scale_of_zeros, zero)), conjugate(zeros))
    of_zero = subtract(read(multiply(scale_of_zeros, conjugate(rest))), itself)
    of_other = divide(read(multiply(scale, conjugate(product))), conjugate(others))
    return dx, select(is_zero, of_zero, of_other)


def _differentiate_extremum(
    dy: Node, y: Node, x: Node, updates: Node, indices: Sequence[Node], attrs
):
    """All that attain the extremum of a place share the cotangent equally."""
    # Outside, gather reads NaN, which equals nothing.
    is_x = equal(x, y)
    is_update = equal(updates, gather(y, *indices, **attrs))
    mine, theirs = cast(is_x, dtype=dy.dtype), cast(is_update, dtype=dy.dtype)
    count = scatter(mine, theirs, *indices, **attrs, mode="add")
    # Where NaN is the extremum nothing attains it, and nobody gets a share.
    share = divide(dy, maximum(count, full_like(count, 1)))
    found = gather(share, *indices, **attrs)
    return (
        select(is_x, share, full_like(x, 0)),
        select(is_update, found, full_like(updates, 0)),
    )


def _batch_scatter(
    size: Size, mapped: Sequence[bool], *args: Node, axes: tuple[int, ...], batch: int, mode: str
) -> Node:
    axes = tuple(axis + 1 for axis in axes)
    return scatter(*front(size, mapped, args), axes=axes, batch=batch + 1, mode=mode)


def _scatter_sample(dtype: DType, mode: str, case: str, indices: tuple = ()) -> Sample:
    shape, _, axes, batch = _CASES[case]
    indices = indices or _sample_indices(case)
    left = tuple(shape[axis] for axis in _left(len(shape), axes, batch))
    args = (
        values(shape, dtype, seed="x"),
        values((*indices[0].shape, *left), dtype, seed="updates"),
        *indices,
    )
    return Sample(
        args,
        {"axes": axes, "batch": batch, "mode": mode},
        f"{mode} {dtype.short} {case}",
        tolerance=None if mode in ("add", "multiply") else 0,
    )


def _sample_scatter():
    for mode, (_, dtypes) in _MODES.items():
        for dtype in dtypes:
            yield _scatter_sample(dtype, mode, "rows", _OUTSIDE)
    for case in _CASES:
        yield _scatter_sample(float64, "add", case)
    for mode in ("set", "multiply", "min", "max"):
        yield _scatter_sample(float64, mode, "points")
        yield _scatter_sample(float64, mode, "shared axis")
        yield _scatter_sample(float64, mode, "one index")
    attrs = {"axes": (0,), "batch": 0, "mode": "add"}
    nothing = (values((0, 3), float64), values((2, 3), float64), np.array([0, 1], np.int32))
    yield Sample(nothing, attrs, "into nothing")


def _refuse_scatter():
    x, updates, i = a_type("f32[4,3]"), a_type("f32[2,3]"), a_type("i32[2]")
    attrs = {"axes": (0,), "batch": 0, "mode": "add"}
    yield Refusal((x, updates, i), attrs | {"mode": "mean"}, "a mode among set, add, multiply")
    yield Refusal((x,), attrs, "x, updates and indices")
    yield Refusal((x, updates), attrs, "one index array for each of axes")
    yield Refusal((x, a_type("f64[2,3]"), i), attrs, "updates of float32, as x has")
    yield Refusal((x, a_type("f32[2,4]"), i), attrs, "updates of shape [2,3]")
    yield Refusal((x, a_type("f32[2]"), i), attrs, "updates of shape [2,3]")
    yield Refusal((a_type("bool[4]"), a_type("bool[2]"), i), attrs, "[scatter] wants numbers")
    complex_args = (a_type("c64[4]"), a_type("c64[2]"), i)
    yield Refusal(complex_args, attrs | {"mode": "max"}, "[scatter] wants real numbers")
    yield Refusal((x, updates, a_type("f32[2]")), attrs, "indices that are integers")


scatter = declare(
    Op(
        name="scatter",
        doc="x with updates set, added, multiplied or compared in at indices; writes to one place "
        "combine in order, the last one set stays, and writes outside are dropped.",
        infer=_infer_scatter,
        evaluate=_evaluate_scatter,
        arity=None,
        attributes={"axes": Sizes(), "batch": Integer(0), "mode": Text("set")},
        gradient=_differentiate_scatter,
        batch=_batch_scatter,
        cost=lambda x, updates, *indices, result, axes, batch, mode: (
            0 if mode == "set" else updates.size
        ),
        samples=_sample_scatter,
        refuses=_refuse_scatter,
        tolerance=8,
        family="indexing",
    )
)

# Slices at starts that are data -------------------------------------------------------------------


def _check_window(op: str, x: TensorType, starts: Sequence[TensorType], sizes: Shape) -> None:
    """Refuse starts that are not one integer an axis, and sizes that are larger than x."""
    received = ", ".join(map(str, starts)) or "none"
    if len(starts) != x.rank or any(start.rank for start in starts):
        raise ShapeError(
            explain(op, f"one start, a scalar, for each axis of {x}", f"starts {received}")
        )
    if any(not start.dtype.is_integer or start is not starts[0] for start in starts):
        raise DTypeError(explain(op, "starts of one integer type", received))
    fits = len(sizes) == x.rank and all(
        is_known_at_least(size, 0) and is_known_at_least(extent - size, 0)
        for size, extent in zip(sizes, x.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            explain(op, "a slice no larger than x on every axis", f"{shape_text(sizes)} of {x}")
        )


def _window(
    shape: Sequence[int], starts: Sequence[np.ndarray], sizes: Sequence[int]
) -> tuple[slice, ...]:
    """The slices that starts and sizes stand for, held inside."""
    cut = []
    for extent, start, size in zip(shape, starts, sizes, strict=True):
        first = min(max(int(start), 0), extent - size)
        cut.append(slice(first, first + size))
    return tuple(cut)


def _first(start: Node, limit: Size) -> Node:
    """Starts held between 0 and a limit, as int64."""
    if start.dtype is uint64:
        start = minimum(start, full_like(start, np.iinfo(np.int64).max))
    start = cast(start, dtype=int64)
    if isinstance(limit, Dim):
        end = broadcast(size_op(dim=limit, dtype=int64), shape=start.shape, axes=())
    else:
        end = full_like(start, limit)
    return minimum(maximum(start, full_like(start, 0)), end)


def _window_indices(
    size: Size, mapped: Sequence[bool], starts: Sequence[Node], shape: Shape, sizes: Shape
) -> tuple[tuple[int, ...], list[Node]]:
    """The axes that are cut, and for each the indices of every example's window.

    The indices have the batch axis, then one axis for each axis that is cut.
    """
    axes = tuple(axis for axis in range(len(shape)) if not is_known_equal(shape[axis], sizes[axis]))
    places = (size, *(sizes[axis] for axis in axes))
    firsts = front(size, mapped, starts)
    indices = []
    for position, axis in enumerate(axes):
        first = _first(firsts[axis], shape[axis] - sizes[axis])
        offset = iota(dtype=int64, shape=places, axis=position + 1)
        indices.append(add(broadcast(first, shape=places, axes=(0,)), offset))
    return axes, indices


def _order(rank: int, axes: Sequence[int]) -> tuple[int, ...]:
    """The batch axis, the axes that are cut, the others."""
    others = (axis for axis in range(rank) if axis not in axes)
    return (0, *(axis + 1 for axis in axes), *(axis + 1 for axis in others))


def _zero_start(starts: Sequence[Node]) -> Node:
    return full(0, starts[0].dtype if starts else int32)


def _infer_dynamic_slice(x: TensorType, *starts: TensorType, sizes: Shape) -> TensorType:
    _check_window("dynamic_slice", x, starts, sizes)
    return x.with_shape(sizes)


def _differentiate_dynamic_slice(dy: Node, y: Node, x: Node, *starts: Node, sizes: Shape):
    return (dynamic_update_slice(full_like(x, 0), dy, *starts), *(None for _ in starts))


def _batch_dynamic_slice(
    size: Size, mapped: Sequence[bool], x: Node, *starts: Node, sizes: Shape
) -> Node:
    if not any(mapped[1:]):
        return dynamic_slice(x, _zero_start(starts), *starts, sizes=(size, *sizes))
    batch = int(mapped[0])
    shape = x.shape[batch:]
    axes, indices = _window_indices(size, mapped[1:], starts, shape, sizes)
    if not axes:
        return front(size, mapped[:1], (x,))[0]
    found = gather(x, *indices, axes=tuple(axis + batch for axis in axes), batch=batch)
    return _transposed(found, inverse_permutation(_order(len(shape), axes)))


# One row a case: the shape of x, the starts, the sizes.
_WINDOWS = (
    ((5, 4), (1, 2), (2, 2)),
    ((5, 4), (1, 0), (3, 4)),
    ((5, 4), (4, -3), (3, 2)),
    ((3, 2, 4), (0, 1, 9), (3, 1, 2)),
    ((4,), (2,), (0,)),
    ((0, 3), (0, 1), (0, 2)),
    ((), (), ()),
)


def _starts(starts: Sequence[int], dtype: DType = int32) -> tuple:
    return tuple(np.array(start, dtype.numpy) for start in starts)


def _sample_dynamic_slice():
    for dtype in DTYPES:
        yield Sample((values((5, 4), dtype), *_starts((1, 7))), {"sizes": (2, 3)})
    for dtype in INTEGERS:
        yield Sample((values((5,), float64), *_starts((3,), dtype)), {"sizes": (4,)})
    for dtype in FLOATS:
        for shape, starts, sizes in _WINDOWS:
            yield Sample((values(shape, dtype), *_starts(starts)), {"sizes": sizes})


def _refuse_dynamic_slice():
    x, i = a_type("f32[5,4]"), a_type("i32[]")
    good = {"sizes": (2, 3)}
    yield Refusal((x, i), good, "one start, a scalar, for each axis of f32[5,4]")
    yield Refusal((x, i, a_type("i32[1]")), good, "one start, a scalar, for each axis")
    yield Refusal((x, i, a_type("i64[]")), good, "starts of one integer type")
    yield Refusal((x, a_type("f32[]"), a_type("f32[]")), good, "starts of one integer type")
    yield Refusal((x, i, i), {"sizes": (2, 5)}, "a slice no larger than x on every axis")
    yield Refusal((x, i, i), {"sizes": (-1, 2)}, "a slice no larger than x on every axis")
    yield Refusal((x, i, i), {"sizes": (2,)}, "a slice no larger than x on every axis")


dynamic_slice = declare(
    Op(
        name="dynamic_slice",
        doc="The slice of x with given sizes at starts that are data, moved inside where it "
        "would leave x.",
        infer=_infer_dynamic_slice,
        evaluate=lambda x, *starts, sizes: x[_window(x.shape, starts, sizes)],
        arity=None,
        attributes={"sizes": Sizes()},
        gradient=_differentiate_dynamic_slice,
        batch=_batch_dynamic_slice,
        cost=lambda x, *starts, result, sizes: 0,
        samples=_sample_dynamic_slice,
        refuses=_refuse_dynamic_slice,
        family="indexing",
    )
)


def _infer_dynamic_update_slice(x: TensorType, *args: TensorType) -> TensorType:
    if not args:
        raise ShapeError(explain("dynamic_update_slice", "x, updates and starts", "x alone"))
    updates, *starts = args
    if updates.dtype is not x.dtype:
        raise DTypeError(
            explain("dynamic_update_slice", f"updates of {x.dtype}, as x has", f"{updates} for {x}")
        )
    _check_window("dynamic_update_slice", x, starts, updates.shape)
    return x


def _evaluate_dynamic_update_slice(
    x: np.ndarray, updates: np.ndarray, *starts: np.ndarray
) -> np.ndarray:
    result = np.array(x)
    result[_window(x.shape, starts, updates.shape)] = updates
    return result


def _differentiate_dynamic_update_slice(dy: Node, y: Node, x: Node, updates: Node, *starts: Node):
    return (
        dynamic_update_slice(dy, full_like(updates, 0), *starts),
        dynamic_slice(dy, *starts, sizes=updates.shape),
        *(None for _ in starts),
    )


def _batch_dynamic_update_slice(
    size: Size, mapped: Sequence[bool], x: Node, updates: Node, *starts: Node
) -> Node:
    x, updates = front(size, mapped[:2], (x, updates))
    if not any(mapped[2:]):
        return dynamic_update_slice(x, updates, _zero_start(starts), *starts)
    axes, indices = _window_indices(size, mapped[2:], starts, x.shape[1:], updates.shape[1:])
    if not axes:
        return updates
    updates = _transposed(updates, _order(x.type.rank - 1, axes))
    inner = tuple(axis + 1 for axis in axes)
    return scatter(x, updates, *indices, axes=inner, batch=1, mode="set")


def _sample_dynamic_update_slice():
    for dtype in DTYPES:
        args = (values((5, 4), dtype, seed=1), values((2, 3), dtype, seed=2), *_starts((1, 7)))
        yield Sample(args)
    for dtype in INTEGERS:
        x, updates = values((5,), float64, seed=1), values((4,), float64, seed=2)
        yield Sample((x, updates, *_starts((3,), dtype)))
    for dtype in FLOATS:
        for shape, starts, sizes in _WINDOWS:
            x, updates = values(shape, dtype, seed=1), values(sizes, dtype, seed=2)
            yield Sample((x, updates, *_starts(starts)))


def _refuse_dynamic_update_slice():
    x, updates, i = a_type("f32[5,4]"), a_type("f32[2,3]"), a_type("i32[]")
    yield Refusal((x,), {}, "x, updates and starts")
    yield Refusal((x, a_type("f64[2,3]"), i, i), {}, "updates of float32, as x has")
    yield Refusal((x, a_type("f32[6,3]"), i, i), {}, "a slice no larger than x on every axis")
    yield Refusal((x, a_type("f32[3]"), i, i), {}, "a slice no larger than x on every axis")
    yield Refusal((x, updates, i), {}, "one start, a scalar, for each axis")
    yield Refusal((x, updates, i, a_type("i64[]")), {}, "starts of one integer type")


dynamic_update_slice = declare(
    Op(
        name="dynamic_update_slice",
        doc="x with a slice replaced by updates at starts that are data, moved inside where it "
        "would leave x.",
        infer=_infer_dynamic_update_slice,
        evaluate=_evaluate_dynamic_update_slice,
        arity=None,
        gradient=_differentiate_dynamic_update_slice,
        batch=_batch_dynamic_update_slice,
        cost=lambda x, updates, *starts, result: 0,
        samples=_sample_dynamic_update_slice,
        refuses=_refuse_dynamic_update_slice,
        family="indexing",
    )
)

"""Ops that place values elsewhere and compute nothing, and the two that make positions and sizes.

    reshape(x, shape=...)                    row-major order kept
    transpose(x, axes=...)                   result axis i is axis axes[i] of x
    slice(x, start=..., limit=..., stride=...)     from start up to limit, every stride-th; all >= 0
    pad(x, value, low=..., high=..., interior=...) value before, after and between; negative crops
    concatenate(x, ..., axis=...)
    reverse(x, axes=...)
    iota(dtype=..., shape=..., axis=...)     0, 1, 2, ... along one axis
    size(dim=..., dtype=...)                 a size as a number

Slice and pad are an adjoint pair, as are concatenate and slice.
"""

import builtins
from collections.abc import Sequence

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Element, Integer, Sizes
from thalweg.ir.dim import ceil_div, dim_max, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DTYPES,
    FLOATS,
    NUMERIC,
    DType,
    Shape,
    Size,
    TensorType,
    bool_,
    float32,
    int32,
    shape_text,
    size_of,
    tensor_type,
)
from thalweg.ops.broadcast import broadcast, check_axes
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.elementwise import check_elements, front, select
from thalweg.ops.samples import a_type, values

# Reshape and transpose ----------------------------------------------------------------------------


def _infer_reshape(x: TensorType, *, shape: Shape) -> TensorType:
    if not is_known_equal(size_of(shape), x.size):
        raise ShapeError(
            explain(
                "reshape",
                f"a shape of {x.size} elements, as many as x has",
                f"{shape_text(shape)} with {size_of(shape)} for {x}",
            )
        )
    return x.with_shape(shape)


def _sample_reshape():
    for dtype in DTYPES:
        yield Sample((values((2, 3), dtype),), {"shape": (3, 2)})
    for dtype in FLOATS:
        yield Sample((values((2, 3), dtype),), {"shape": (1, 6, 1)})
        yield Sample((values((), dtype),), {"shape": (1, 1)})
        yield Sample((values((0, 3), dtype),), {"shape": (5, 0)})


reshape: Op = declare(
    Op(
        name="reshape",
        doc="The same values in row-major order under another shape.",
        infer=_infer_reshape,
        evaluate=lambda x, *, shape: x.reshape(shape),
        arity=1,
        attributes={"shape": Sizes()},
        gradient=lambda dy, y, x, *, shape: (reshape(dy, shape=x.shape),),
        batch=lambda size, mapped, x, *, shape: reshape(x, shape=(size, *shape)),
        cost=lambda x, *, result, shape: 0,
        laws=frozenset({"linear"}),
        samples=_sample_reshape,
        refuses=lambda: [
            Refusal((a_type("f32[2,3]"),), {"shape": (4,)}, "a shape of 6 elements"),
        ],
        family="movement",
    )
)


def _infer_transpose(x: TensorType, *, axes: tuple[int, ...]) -> TensorType:
    if sorted(axes) != list(range(x.rank)):
        raise ShapeError(
            explain("transpose", f"a permutation of the {x.rank} axes of x", f"{axes} for {x}")
        )
    return x.with_shape(tuple(x.shape[axis] for axis in axes))


def inverse_permutation(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    result = [0] * len(axes)
    for position, axis in enumerate(axes):
        result[axis] = position
    return tuple(result)


def _sample_transpose():
    for dtype in DTYPES:
        yield Sample((values((2, 3), dtype),), {"axes": (1, 0)})
    for dtype in FLOATS:
        yield Sample((values((2, 3, 4), dtype),), {"axes": (2, 0, 1)})
        yield Sample((values((), dtype),), {"axes": ()})
        yield Sample((values((0, 3), dtype),), {"axes": (1, 0)})


transpose: Op = declare(
    Op(
        name="transpose",
        doc="The axes in another order: result axis i is axis axes[i].",
        infer=_infer_transpose,
        evaluate=lambda x, *, axes: np.transpose(x, axes),
        arity=1,
        attributes={"axes": Sizes()},
        gradient=lambda dy, y, x, *, axes: (transpose(dy, axes=inverse_permutation(axes)),),
        batch=lambda size, mapped, x, *, axes: transpose(x, axes=(0, *(axis + 1 for axis in axes))),
        cost=lambda x, *, result, axes: 0,
        laws=frozenset({"linear"}),
        samples=_sample_transpose,
        refuses=lambda: [
            Refusal((a_type("f32[2,3]"),), {"axes": (0,)}, "a permutation of the 2 axes"),
            Refusal((a_type("f32[2,3]"),), {"axes": (0, 0)}, "a permutation of the 2 axes"),
        ],
        family="movement",
    )
)

# Slice and pad ------------------------------------------------------------------------------------


def _infer_slice(x: TensorType, *, start: Shape, limit: Shape, stride: tuple[int, ...]):
    if not len(start) == len(limit) == len(stride) == x.rank:
        raise ShapeError(
            explain("slice", f"{x.rank} starts, limits and strides", f"{start}, {limit}, {stride}")
        )
    shape = []
    for low, high, step, size in zip(start, limit, stride, x.shape, strict=True):
        fits = (
            step >= 1
            and is_known_at_least(low, 0)
            and is_known_at_least(high - low, 0)
            and is_known_at_least(size - high, 0)
        )
        if not fits:
            raise ShapeError(
                explain(
                    "slice",
                    "0 <= start <= limit <= size and stride >= 1 on every axis",
                    f"start {low}, limit {high}, stride {step} on an axis of {size} of {x}",
                )
            )
        shape.append(ceil_div(high - low, step))
    return x.with_shape(tuple(shape))


def _evaluate_slice(x: np.ndarray, *, start, limit, stride) -> np.ndarray:
    cut = [builtins.slice(a, b, c) for a, b, c in zip(start, limit, stride, strict=True)]
    return x[tuple(cut)]


def _differentiate_slice(dy: Node, y: Node, x: Node, *, start, limit, stride):
    # Between the last element taken and the limit lie (size taken so far) elements to fill.
    high = []
    for low, size, step, taken in zip(start, x.shape, stride, dy.shape, strict=True):
        high.append(size - low - taken - _gaps(taken) * (step - 1))
    interior = tuple(step - 1 for step in stride)
    return (pad(dy, full(0, dy.dtype), low=start, high=tuple(high), interior=interior),)


def _sample_slice():
    for dtype in DTYPES:
        yield Sample((values((5, 4), dtype),), {"start": (1, 0), "limit": (4, 4), "stride": (2, 1)})
    for dtype in FLOATS:
        x = values((7,), dtype)
        yield Sample((x,), {"start": (0,), "limit": (7,), "stride": (3,)})
        yield Sample((x,), {"start": (1,), "limit": (7,), "stride": (4,)})
        yield Sample((x,), {"start": (3,), "limit": (3,), "stride": (2,)})
        yield Sample((values((), dtype),), {"start": (), "limit": (), "stride": ()})
        yield Sample((values((0,), dtype),), {"start": (0,), "limit": (0,), "stride": (1,)})


def _refuse_slice():
    x = a_type("f32[5]")
    for low, high, step in ((0, 6, 1), (3, 2, 1), (-1, 2, 1), (0, 5, 0)):
        yield Refusal((x,), {"start": (low,), "limit": (high,), "stride": (step,)}, "0 <= start")


slice: Op = declare(
    Op(
        name="slice",
        doc="The elements from start up to limit, every stride-th, on each axis.",
        infer=_infer_slice,
        evaluate=_evaluate_slice,
        arity=1,
        attributes={"start": Sizes(), "limit": Sizes(), "stride": Sizes()},
        gradient=_differentiate_slice,
        batch=lambda size, mapped, x, *, start, limit, stride: slice(
            x, start=(0, *start), limit=(size, *limit), stride=(1, *stride)
        ),
        cost=lambda x, *, result, start, limit, stride: 0,
        laws=frozenset({"linear"}),
        samples=_sample_slice,
        refuses=_refuse_slice,
        family="movement",
    )
)


def _padded_size(size: Size, low: Size, high: Size, interior: int) -> Size:
    return low + size + _gaps(size) * interior + high


def _gaps(size: Size) -> Size:
    """The places between neighbours."""
    return size - 1 if is_known_at_least(size, 1) else dim_max(size - 1, 0)


def _infer_pad(x: TensorType, value: TensorType, *, low, high, interior) -> TensorType:
    if value is not tensor_type(x.dtype, ()):
        raise ShapeError(explain("pad", f"one {x.dtype} number to pad with", f"{value} for {x}"))
    fits = len(low) == len(high) == len(interior) == x.rank and all(
        type(each) is int and each >= 0 for each in interior
    )
    if not fits:
        raise ShapeError(
            explain(
                "pad",
                f"{x.rank} paddings before, after and between, those between at least 0",
                f"{low}, {high}, {interior} for {x}",
            )
        )
    shape = tuple(map(_padded_size, x.shape, low, high, interior))
    if not all(is_known_at_least(size, 0) for size in shape):
        raise ShapeError(
            explain("pad", "to leave no less than nothing", f"{low}, {high}, {interior} for {x}")
        )
    return x.with_shape(shape)


def _evaluate_pad(x: np.ndarray, value: np.ndarray, *, low, high, interior) -> np.ndarray:
    shape = tuple(map(_padded_size, x.shape, low, high, interior))
    result = np.full(shape, value, x.dtype)
    target, source = [], []
    for size, before, gap, extent in zip(x.shape, low, interior, shape, strict=True):
        step = gap + 1
        # The first and one past the last element of x whose place lies inside the result.
        first = max(0, -(before // step)) if before < 0 else 0
        last = min(size, (extent - 1 - before) // step + 1) if extent else first
        last = max(first, last)
        begin = before + first * step
        target.append(builtins.slice(begin, begin + max(0, (last - first - 1) * step + 1), step))
        source.append(builtins.slice(first, last))
    if all(part.stop > part.start for part in source):
        result[tuple(target)] = x[tuple(source)]
    return result


def _differentiate_pad(dy: Node, y: Node, x: Node, value: Node, *, low, high, interior):
    mask = pad(
        full(False, bool_, x.shape), full(True, bool_), low=low, high=high, interior=interior
    )
    everywhere = tuple(range(dy.type.rank))
    dvalue = sum_op(select(mask, dy, full_like(dy, 0)), axes=everywhere)
    cropped = pad(
        dy,
        full(0, dy.dtype),
        low=tuple(-each for each in low),
        high=tuple(-each for each in high),
        interior=(0,) * len(interior),
    )
    if not any(interior):
        return cropped, dvalue
    taken = slice(
        cropped,
        start=(0,) * len(interior),
        limit=cropped.shape,
        stride=tuple(each + 1 for each in interior),
    )
    return taken, dvalue


def _batch_pad(size, mapped, x: Node, value: Node, *, low, high, interior):
    attrs = {"low": (0, *low), "high": (0, *high), "interior": (0, *interior)}
    if not mapped[1]:
        return pad(x, value, **attrs)
    # One padding value for each example: pad with zeros, then choose.
    x = front(size, (mapped[0],), (x,))[0]
    inside = pad(full(True, bool_, x.shape), full(False, bool_), **attrs)
    padded = pad(x, full(0, x.dtype), **attrs)
    return select(inside, padded, broadcast(value, shape=padded.shape, axes=(0,)))


def _sample_pad():
    plain = {"low": (1, 0), "high": (0, 2), "interior": (0, 1)}
    for dtype in DTYPES:
        yield Sample((values((2, 3), dtype), values((), dtype, seed=1)), plain)
    rows = ((-1, 2, 0), (2, -2, 1), (-1, -1, 2), (-2, 0, 1), (0, 0, 0), (-3, 4, 0))
    for dtype in FLOATS:
        for low, high, interior in rows:
            attrs = {"low": (low,), "high": (high,), "interior": (interior,)}
            yield Sample((values((4,), dtype), values((), dtype, seed=1)), attrs)
        attrs = {"low": (1,), "high": (2,), "interior": (3,)}
        yield Sample((values((0,), dtype), values((), dtype, seed=1)), attrs)
        none = {"low": (), "high": (), "interior": ()}
        yield Sample((values((), dtype), values((), dtype, seed=1)), none)


def _refuse_pad():
    x, zero = a_type("f32[3]"), a_type("f32[]")
    good = {"low": (0,), "high": (0,), "interior": (0,)}
    yield Refusal((x, a_type("f32[1]")), good, "one float32 number to pad with")
    yield Refusal((x, a_type("i32[]")), good, "one float32 number to pad with")
    yield Refusal((x, zero), good | {"low": (-4,)}, "no less than nothing")
    yield Refusal((x, zero), good | {"interior": (-1,)}, "at least 0")
    yield Refusal((x, zero), good | {"low": (0, 0)}, "1 paddings")


pad: Op = declare(
    Op(
        name="pad",
        doc="One value before, after and between the elements of each axis; negative crops.",
        infer=_infer_pad,
        evaluate=_evaluate_pad,
        arity=2,
        attributes={"low": Sizes(), "high": Sizes(), "interior": Sizes()},
        gradient=_differentiate_pad,
        batch=_batch_pad,
        cost=lambda x, value, *, result, low, high, interior: 0,
        laws=frozenset({"linear"}),
        samples=_sample_pad,
        refuses=_refuse_pad,
        family="movement",
    )
)

# Concatenate and reverse --------------------------------------------------------------------------


def _infer_concatenate(*types: TensorType, axis: int) -> TensorType:
    if not types:
        raise ShapeError(explain("concatenate", "at least one operand", "none"))
    first = types[0]
    if any(type.dtype is not first.dtype for type in types):
        check_elements("concatenate", DTYPES, *types)
    if not 0 <= axis < first.rank:
        raise ShapeError(explain("concatenate", f"an axis below {first.rank}", f"{axis}"))
    for type in types:
        same = type.rank == first.rank and all(
            each == axis or is_known_equal(type.shape[each], first.shape[each])
            for each in range(first.rank)
        )
        if not same:
            raise ShapeError(
                explain(
                    "concatenate",
                    f"operands of equal shape but for axis {axis}",
                    " and ".join(map(str, types)),
                )
            )
    total = types[0].shape[axis]
    for type in types[1:]:
        total = total + type.shape[axis]
    return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _differentiate_concatenate(dy: Node, y: Node, *xs: Node, axis: int):
    result = []
    offset: Size = 0
    for x in xs:
        start: list[Size] = [0] * x.type.rank
        limit = list(dy.shape)
        start[axis], limit[axis] = offset, offset + x.shape[axis]
        offset = limit[axis]
        result.append(slice(dy, start=tuple(start), limit=tuple(limit), stride=(1,) * x.type.rank))
    return result


def _sample_concatenate():
    for dtype in DTYPES:
        parts = (values((2, 3), dtype, seed=1), values((1, 3), dtype, seed=2))
        yield Sample(parts, {"axis": 0})
    for dtype in FLOATS:
        three = tuple(values((2, size), dtype, seed=size) for size in (1, 0, 3))
        yield Sample(three, {"axis": 1})
        yield Sample(three[:1], {"axis": 1})


def _refuse_concatenate():
    one, two = a_type("f32[2,3]"), a_type("f32[3,3]")
    yield Refusal((), {"axis": 0}, "at least one operand")
    yield Refusal((one, two), {"axis": 1}, "operands of equal shape but for axis 1")
    yield Refusal((one, a_type("f32[2]")), {"axis": 0}, "operands of equal shape but for axis 0")
    yield Refusal((one, a_type("i32[2,3]")), {"axis": 0}, "operands of equal element type")
    yield Refusal((one, one), {"axis": 2}, "an axis below 2")


concatenate: Op = declare(
    Op(
        name="concatenate",
        doc="The operands one after another along an axis.",
        infer=_infer_concatenate,
        evaluate=lambda *xs, axis: np.concatenate(xs, axis),
        arity=None,
        attributes={"axis": Integer()},
        gradient=_differentiate_concatenate,
        batch=lambda size, mapped, *xs, axis: concatenate(*front(size, mapped, xs), axis=axis + 1),
        cost=lambda *xs, result, axis: 0,
        laws=frozenset({"linear"}),
        samples=_sample_concatenate,
        refuses=_refuse_concatenate,
        family="movement",
    )
)


def _infer_reverse(x: TensorType, *, axes: tuple[int, ...]) -> TensorType:
    check_axes("reverse", x, axes)
    return x


def _sample_reverse():
    for dtype in DTYPES:
        yield Sample((values((2, 3), dtype),), {"axes": (1,)})
    for dtype in FLOATS:
        yield Sample((values((2, 3, 2), dtype),), {"axes": (0, 2)})
        yield Sample((values((), dtype),), {"axes": ()})
        yield Sample((values((0, 2), dtype),), {"axes": (0,)})


reverse: Op = declare(
    Op(
        name="reverse",
        doc="The elements in opposite order along some axes.",
        infer=_infer_reverse,
        evaluate=lambda x, *, axes: np.flip(x, axes),
        arity=1,
        attributes={"axes": Sizes()},
        gradient=lambda dy, y, x, *, axes: (reverse(dy, axes=axes),),
        batch=lambda size, mapped, x, *, axes: reverse(x, axes=tuple(axis + 1 for axis in axes)),
        cost=lambda x, *, result, axes: 0,
        laws=frozenset({"linear", "involution"}),
        samples=_sample_reverse,
        refuses=lambda: [
            Refusal((a_type("f32[2]"),), {"axes": (1,)}, "distinct axes in order"),
        ],
        family="movement",
    )
)

# Positions and sizes ------------------------------------------------------------------------------


def _infer_iota(*, dtype: DType, shape: Shape, axis: int) -> TensorType:
    if not 0 <= axis < len(shape):
        raise ShapeError(explain("iota", f"an axis of {shape_text(shape)}", f"{axis}"))
    result = tensor_type(dtype, shape)
    check_elements("iota", NUMERIC, result)
    return result


def _evaluate_iota(*, dtype: DType, shape: tuple[int, ...], axis: int) -> np.ndarray:
    row = np.arange(shape[axis]).astype(dtype.numpy)
    inner = [1] * len(shape)
    inner[axis] = shape[axis]
    return np.broadcast_to(row.reshape(inner), shape)


def _sample_iota():
    for dtype in NUMERIC:
        yield Sample((), {"dtype": dtype, "shape": (3, 4), "axis": 1})
    yield Sample((), {"dtype": int32, "shape": (0,), "axis": 0})
    yield Sample((), {"dtype": float32, "shape": (2, 3, 2), "axis": 0})


iota: Op = declare(
    Op(
        name="iota",
        doc="Positions 0, 1, 2, ... along one axis.",
        infer=_infer_iota,
        evaluate=_evaluate_iota,
        arity=0,
        attributes={"dtype": Element(), "shape": Sizes(), "axis": Integer()},
        gradient=Absent("a constant"),
        batch=Absent("has no operands to map"),
        cost=lambda *, result, dtype, shape, axis: 0,
        samples=_sample_iota,
        refuses=lambda: [
            Refusal((), {"dtype": float32, "shape": (3,), "axis": 1}, "an axis of [3]"),
            Refusal((), {"dtype": bool_, "shape": (3,), "axis": 0}, "[iota] wants numbers"),
        ],
        family="movement",
    )
)

size: Op = declare(
    Op(
        name="size",
        doc="A size, named or not, as a number.",
        infer=lambda *, dim, dtype: tensor_type(dtype, ()),
        evaluate=lambda *, dim, dtype: np.asarray(dim, dtype.numpy),
        arity=0,
        attributes={"dim": Sizes(), "dtype": Element()},
        gradient=Absent("a constant"),
        batch=Absent("has no operands to map"),
        cost=lambda *, result, dim, dtype: 0,
        samples=lambda: [Sample((), {"dim": 7, "dtype": dtype}) for dtype in NUMERIC],
        refuses=Absent("takes any size"),
        family="movement",
    )
)

"""Order along an axis: sorting, the k largest, and places in a sorted sequence.

    sort(x, ..., axis=..., keys=1, descending=false)   all of them, ordered by the first `keys`
    top_k(x, k=...)                                    x: f32[2,9] -> f32[2,k], i32[2,k]
    searchsorted(sequence, values, side=..., dtype=...)    f32[2,9], f32[2,4] -> i64[2,4]
    argsort(x, axis)                                   the permutation that sorts x

One order serves all of them. It is stable: what is equal stays as it was, whichever the direction.
-0.0 equals 0.0, false comes before true, and a complex number is ordered by its real, then its
imaginary part. NaN (for a complex number, in either part) stands last, ascending and descending;
all NaN are equal. A later key decides between elements whose earlier keys are equal.
"""

from collections.abc import Sequence

import numpy as np

from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.ir.attribute import Element, Flag, Integer, Sizes, Text
from thalweg.ir.dim import is_known_at_least, is_known_equal, named
from thalweg.ir.leaves import full_like, items
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DEFAULT_INT,
    DTYPES,
    FLOATS,
    INTEGERS,
    DType,
    Size,
    TensorType,
    complex64,
    float32,
    float64,
    int32,
    int64,
    shape_text,
)
from thalweg.ops.elementwise import DISCRETE, ORDERED, check_elements, front
from thalweg.ops.index import scatter
from thalweg.ops.movement import inverse_permutation, iota, transpose
from thalweg.ops.reduce import check_axis, check_positions, widen
from thalweg.ops.samples import a_type, special, values

# The order ----------------------------------------------------------------------------------------


def _ranks(x: np.ndarray, descending: bool) -> list[np.ndarray]:
    """Arrays without NaN whose plain ascending order, the first one first, is the order of x."""
    if x.dtype.kind in "biu":
        # Turning every bit reverses the order of integers and cannot overflow.
        return [~x if descending else x]
    x = widen(x)
    missing = np.isnan(x)
    parts = (x.real, x.imag) if x.dtype.kind == "c" else (x,)
    numbers = [np.where(missing, 0, part) for part in parts]
    return [missing, *(-number if descending else number for number in numbers)]


def permutation(keys: Sequence[np.ndarray], axis: int, descending: bool) -> np.ndarray:
    """The positions along an axis in the stable order of the keys."""
    ranks = [rank for key in keys for rank in _ranks(key, descending)]
    return np.lexsort(ranks[::-1], axis=axis)


def _rounds(size: Size) -> int:
    """How often an axis can be halved; a named size counts as 65536."""
    return size.bit_length() if isinstance(size, int) else 16


# Sort ---------------------------------------------------------------------------------------------


def _infer_sort(*operands: TensorType, axis: int, keys: int, descending: bool):
    if not operands:
        raise ShapeError(explain("sort", "at least one operand", "none"))
    first = operands[0]
    check_axis("sort", first, axis)
    for each in operands:
        fits = each.rank == first.rank and all(map(is_known_equal, each.shape, first.shape))
        if not fits:
            received = " and ".join(map(str, operands))
            raise ShapeError(explain("sort", "operands of equal shape", received))
    if not 1 <= keys <= len(operands):
        raise ArgumentError(
            explain("sort", f"a number of keys from 1 to {len(operands)}", f"{keys}")
        )
    return operands


def _has_no_ties(x: np.ndarray) -> bool:
    """True where equal elements are the same bits, so that an unstable sort is stable."""
    if x.dtype.kind == "f":
        return not (np.isnan(x) | (np.signbit(x) & (x == 0))).any()
    return x.dtype.kind in "biu"


def _evaluate_sort(*operands: np.ndarray, axis: int, keys: int, descending: bool):
    if len(operands) == 1 and _has_no_ties(operands[0]):
        (x,) = operands
        if not descending:
            return (np.sort(x, axis),)
        return (-np.sort(-x, axis),) if x.dtype.kind == "f" else (~np.sort(~x, axis),)
    order = permutation(operands[:keys], axis, descending)
    return tuple(np.take_along_axis(operand, order, axis) for operand in operands)


def _positions(type: TensorType, axis: int, dtype: DType | None = None) -> Node:
    """0, 1, 2, ... along an axis; by default of the narrower type that holds them."""
    if dtype is None:
        dtype = int64 if is_known_at_least(type.shape[axis], 2**31) else int32
    return iota(dtype=dtype, shape=type.shape, axis=axis)


def _is_payload(operand: Node, axis: int) -> bool:
    """True for positions along the axis, which a sort turns into its permutation."""
    if operand.op is not iota:
        return False
    return operand.dtype in (int32, int64) and operand.attributes["axis"] == axis


def _order_of(
    y: Sequence[Node], operands: Sequence[Node], axis: int, keys: int, descending: bool
) -> Node:
    """The permutation of a sort: a result of it if it sorted positions along, or of another."""
    for result, operand in zip(y, operands, strict=True):
        if _is_payload(operand, axis):
            return result
    payload = _positions(operands[0].type, axis)
    attrs = {"axis": axis, "keys": keys, "descending": descending}
    return items(sort(*operands[:keys], payload, **attrs))[-1]


def _put_along(updates: Node, indices: Node, x: Node, axis: int) -> Node:
    """Zeros like x with updates added in at indices along one axis: the adjoint of taking there."""
    last = x.type.rank - 1
    order = (*(each for each in range(last + 1) if each != axis), axis)
    zeros = full_like(x, 0)
    attrs = {"axes": (last,), "batch": last, "mode": "add"}
    if axis == last:
        return scatter(zeros, updates, indices, **attrs)
    moved = [transpose(each, axes=order) for each in (zeros, updates, indices)]
    return transpose(scatter(*moved, **attrs), axes=inverse_permutation(order))


def _differentiate_sort(dy, y, *operands: Node, axis: int, keys: int, descending: bool):
    order = _order_of(y, operands, axis, keys, descending)
    return [
        _put_along(each, order, operand, axis) if operand.dtype.is_inexact else None
        for each, operand in zip(dy, operands, strict=True)
    ]


def _batch_sort(
    size: Size, mapped: Sequence[bool], *operands: Node, axis: int, keys: int, descending: bool
) -> Node:
    operands = tuple(front(size, mapped, operands))
    return sort(*operands, axis=axis + 1, keys=keys, descending=descending)


def _sample_sort():
    for dtype in DTYPES:
        yield Sample((values((2, 5), dtype),), {"axis": 1})
        yield Sample((values((4, 2), dtype, seed=1),), {"axis": 0, "descending": True})
    for dtype in (*FLOATS, *INTEGERS):
        row = np.repeat(special(dtype), 2)
        ranks = np.arange(len(row), dtype=np.int32)
        for descending in (False, True):
            attrs = {"axis": 0, "descending": descending}
            name = f"{dtype.short} special{' descending' * descending}"
            yield Sample((row, ranks), attrs, name, differentiable=False)
    first = np.array([[2, 1, 2, 1], [0, 0, 0, 0]], np.int32)
    second, payload = values((2, 4), float64), values((2, 4), float64, seed="payload")
    yield Sample((first, second, payload), {"axis": 1, "keys": 2}, "two keys")
    attrs = {"axis": 1, "keys": 2, "descending": True}
    yield Sample((first, second, payload), attrs, "two keys descending")
    yield Sample((second, payload, first), {"axis": 0}, "payloads")
    yield Sample((values((2, 3, 2), float64), values((2, 3, 2), complex64)), {"axis": 1})
    for shape, axis in (((0, 3), 0), ((0, 3), 1), ((2, 1), 1), ((1,), 0)):
        yield Sample((values(shape, float64),), {"axis": axis})


def _refuse_sort():
    x = a_type("f32[2,3]")
    yield Refusal((), {"axis": 0}, "at least one operand")
    yield Refusal((x,), {"axis": 2}, "an axis from 0 to 1")
    yield Refusal((x,), {"axis": -1}, "an axis from 0 to 1")
    yield Refusal((a_type("f32[]"),), {"axis": 0}, "an operand with an axis")
    yield Refusal((x, a_type("f32[3,2]")), {"axis": 0}, "operands of equal shape")
    yield Refusal((x, a_type("f32[2]")), {"axis": 0}, "operands of equal shape")
    yield Refusal((x, x), {"axis": 0, "keys": 3}, "a number of keys from 1 to 2")
    yield Refusal((x,), {"axis": 0, "keys": 0}, "a number of keys from 1 to 1")


sort = declare(
    Op(
        name="sort",
        doc="All operands along an axis in the stable order of the first `keys` of them.",
        infer=_infer_sort,
        evaluate=_evaluate_sort,
        arity=None,
        attributes={"axis": Integer(), "keys": Integer(1), "descending": Flag(False)},
        gradient=_differentiate_sort,
        batch=_batch_sort,
        cost=lambda *operands, result, axis, keys, descending: (
            keys * operands[0].size * _rounds(operands[0].shape[axis])
        ),
        samples=_sample_sort,
        refuses=_refuse_sort,
        tolerance=0,
        family="sort",
    )
)


def argsort(x: Node, axis: int, descending: bool = False, dtype: DType = DEFAULT_INT) -> Node:
    """The positions that sort x along an axis, with its shape."""
    payload = _positions(x.type, axis, dtype)
    return items(sort(x, payload, axis=axis, descending=descending))[1]


# The k largest ------------------------------------------------------------------------------------


def _infer_top_k(x: TensorType, *, k: Size) -> tuple[TensorType, TensorType]:
    check_elements("top_k", ORDERED, x)
    if not x.rank:
        raise ShapeError(explain("top_k", "an operand with an axis", str(x)))
    size = x.shape[-1]
    if isinstance(k, tuple) or not (is_known_at_least(k, 0) and is_known_at_least(size - k, 0)):
        raise ShapeError(explain("top_k", f"a k from 0 to the last axis' {size}", f"k={k} for {x}"))
    check_positions("top_k", int32, size - 1)
    result = x.with_shape((*x.shape[:-1], k))
    return result, result.with_dtype(int32)


def _evaluate_top_k(x: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = permutation([x], -1, descending=True)[..., :k]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def _sample_top_k():
    for dtype in ORDERED:
        yield Sample((values((2, 5), dtype),), {"k": 2})
    for dtype in FLOATS:
        yield Sample((special(dtype),), {"k": 9}, f"{dtype.short} special", differentiable=False)
    for k in (0, 1, 5):
        yield Sample((values((2, 5), float64),), {"k": k}, f"k={k}")
    yield Sample((values((2, 2, 4), float64),), {"k": 3})
    yield Sample((values((0, 3), float64),), {"k": 2})
    yield Sample((values((3, 0), float64),), {"k": 0})
    yield Sample((np.array([1, 3, 3, 2, 3], np.int32),), {"k": 4}, "ties")


def _refuse_top_k():
    x = a_type("f32[2,3]")
    yield Refusal((x,), {"k": 4}, "a k from 0 to the last axis' 3")
    yield Refusal((x,), {"k": -1}, "a k from 0 to the last axis' 3")
    yield Refusal((x,), {"k": (1,)}, "a k from 0 to the last axis' 3")
    yield Refusal((a_type("f32[]"),), {"k": 0}, "an operand with an axis")
    yield Refusal((a_type("c64[3]"),), {"k": 1}, "booleans or real numbers")


top_k: Op = declare(
    Op(
        name="top_k",
        doc="The k largest values along the last axis, largest first, and their positions; of "
        "equal values the first ones.",
        infer=_infer_top_k,
        evaluate=_evaluate_top_k,
        arity=1,
        attributes={"k": Sizes()},
        gradient=lambda dy, y, x, *, k: (_put_along(dy[0], y[1], x, x.type.rank - 1),),
        batch=lambda size, mapped, x, *, k: top_k(x, k=k),
        cost=lambda x, *, result, k: x.size * _rounds(k),
        samples=_sample_top_k,
        refuses=_refuse_top_k,
        tolerance=0,
        family="sort",
    )
)

# Places in a sorted sequence ----------------------------------------------------------------------


def _infer_searchsorted(
    sequence: TensorType, values: TensorType, *, side: str, dtype: DType
) -> TensorType:
    received = f"{sequence} and {values}"
    if sequence.dtype is not values.dtype:
        raise DTypeError(explain("searchsorted", "operands of equal element type", received))
    check_elements("searchsorted", ORDERED, sequence)
    fits = sequence.rank == values.rank >= 1 and all(
        map(is_known_equal, sequence.shape[:-1], values.shape[:-1])
    )
    if not fits:
        shape = shape_text((*sequence.shape[:-1], named("m")))
        wanted = f"values of shape {shape}" if sequence.rank else "a sequence with an axis"
        raise ShapeError(explain("searchsorted", wanted, received))
    if side not in ("left", "right"):
        raise ArgumentError(explain("searchsorted", 'side "left" or "right"', repr(side)))
    check_positions("searchsorted", dtype, sequence.shape[-1])
    return values.with_dtype(dtype)


def _evaluate_searchsorted(
    sequence: np.ndarray, values: np.ndarray, *, side: str, dtype: DType
) -> np.ndarray:
    result = np.empty(values.shape, dtype.numpy)
    sequence, values = widen(sequence), widen(values)
    for place in np.ndindex(values.shape[:-1]):
        row, wanted = sequence[place], values[place]
        result[place] = np.searchsorted(row, wanted, "left" if side == "left" else "right")
    return result


def _ascending(x: np.ndarray) -> np.ndarray:
    order = permutation([x], -1, descending=False)
    return np.take_along_axis(x, order, -1)


def _sample_searchsorted():
    for dtype in ORDERED:
        sequence = _ascending(values((2, 6), dtype))
        for side in ("left", "right"):
            yield Sample((sequence, values((2, 4), dtype, -3, 3, seed="values")), {"side": side})
    for dtype in FLOATS:
        row = special(dtype)
        for side in ("left", "right"):
            name = f"{dtype.short} special {side}"
            yield Sample((_ascending(np.repeat(row, 2)), row), {"side": side}, name)
    edges, inner = _ascending(values((5,), float32)), values((3,), float32, seed="values")
    for dtype in INTEGERS:
        yield Sample((edges, inner), {"dtype": dtype})
    for left, right in (((0,), (3,)), ((3,), (0,)), ((0, 2), (0, 3)), ((2, 2, 3), (2, 2, 1))):
        pair = _ascending(values(left, float64)), values(right, float64, seed="values")
        yield Sample(pair)


def _refuse_searchsorted():
    x, scalar = a_type("f32[2,3]"), a_type("f32[]")
    yield Refusal((x, a_type("f64[2,3]")), {}, "operands of equal element type")
    yield Refusal((x, a_type("f32[3]")), {}, "values of shape [2,m]")
    yield Refusal((x, a_type("f32[3,3]")), {}, "values of shape [2,m]")
    yield Refusal((scalar, scalar), {}, "a sequence with an axis")
    yield Refusal((a_type("c64[3]"),) * 2, {}, "booleans or real numbers")
    yield Refusal((x, x), {"side": "middle"}, 'side "left" or "right"')
    yield Refusal((x, x), {"dtype": float32}, "an integer type for positions")
    yield Refusal((a_type("f32[128]"),) * 2, {"dtype": "int8"}, "a type that holds positions up to")


searchsorted: Op = declare(
    Op(
        name="searchsorted",
        doc="Where values would stand in an ascending sequence: before its equals on the left, "
        "after them on the right.",
        infer=_infer_searchsorted,
        evaluate=_evaluate_searchsorted,
        arity=2,
        attributes={"side": Text("left"), "dtype": Element(DEFAULT_INT)},
        gradient=DISCRETE,
        batch=lambda size, mapped, sequence, values, *, side, dtype: searchsorted(
            *front(size, mapped, (sequence, values)), side=side, dtype=dtype
        ),
        cost=lambda sequence, values, *, result, side, dtype: (
            values.size * _rounds(sequence.shape[-1])
        ),
        samples=_sample_searchsorted,
        refuses=_refuse_searchsorted,
        tolerance=0,
        family="sort",
    )
)

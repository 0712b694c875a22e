"""Sums of products: `dot` over any axes, and `conv`, the dot of a kernel with every window.

    dot(lhs, rhs, contract=((1,),(0,)), batch=((),()), dtype=None)
        f32[2,3], f32[3,4] -> f32[2,4]: batch axes, then the free axes of lhs, then those of rhs
    conv(x, kernel, strides=(1,1), padding=((0,0),(0,0)), input_dilation=(1,1),
         kernel_dilation=(1,1), feature_groups=1, batch_groups=1, dtype=None)
        x       [N, spatial..., C]
        kernel  [spatial..., C/feature_groups, O]      not flipped: a cross-correlation
        result  [N/batch_groups, spatial..., O]

Operands have one element type. `dtype` is the type of the result where it is a wider one of the
same kind; products are summed in the type of the result, 16-bit floats in float32 and rounded once.
Integers wrap around.

With feature groups, group g of the outputs sees group g of the channels; with batch groups it sees
group g of the batch. That pair closes under differentiation: the kernel's gradient of the one is
the other. What padding and dilation add is 0: where the kernel is infinite, a backend may or may
not read NaN there.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.ir.attribute import Element, Sizes
from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    NUMERIC,
    DType,
    Shape,
    Size,
    TensorType,
    bfloat16,
    bool_,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int32,
    promote,
    shape_text,
    size_of,
    tensor_type,
    uint8,
)
from thalweg.ops.elementwise import cast, conjugate
from thalweg.ops.movement import inverse_permutation, reshape, reverse, transpose
from thalweg.ops.samples import a_type, values
from thalweg.ops.window_sizes import (
    Sweep,
    check_options,
    check_sweeps,
    paddings,
    place,
    sweeps_of,
    windows_along,
)

Axes = tuple[tuple[int, ...], tuple[int, ...]]

# Element types ------------------------------------------------------------------------------------


def _result_dtype(op: str, lhs: TensorType, rhs: TensorType, dtype: DType | None) -> DType:
    """The element type of the result; refuses operands and results that do not go together."""
    if bool_ in (lhs.dtype, rhs.dtype):
        raise DTypeError(
            explain(
                op,
                "numbers",
                f"{lhs} and {rhs}",
                "Cast first, x.astype('int32'), or write any(logical_and(x, y)).",
            )
        )
    if lhs.dtype is not rhs.dtype:
        raise DTypeError(
            explain(
                op,
                "operands of equal element type",
                f"{lhs} and {rhs}",
                f"Cast one of them, for instance to '{lhs.dtype}'.",
            )
        )
    if dtype is None:
        return lhs.dtype
    kinds = (lhs.dtype.kind, dtype.kind)
    if (kinds[0] == kinds[1] or kinds == ("uint", "int")) and promote(lhs.dtype, dtype) is dtype:
        return dtype
    raise DTypeError(
        explain(
            op,
            f"a result of {lhs.dtype} or a wider type of that kind",
            f"dtype={dtype} for {lhs} and {rhs}",
            f"Cast the result instead: {op}(...).astype('{dtype}').",
        )
    )


# float64 holds every integer up to 2**53: that many products of two 16-bit integers are exact.
_EXACT_COUNT = 2**20


def _sum_dtype(operand: np.dtype, dtype: DType | None, count: int) -> np.dtype:
    """The type in which the reference sums `count` products."""
    result = operand if dtype is None else dtype.numpy
    if operand.kind in "iu":
        # Matrix products of integers have no fast path in NumPy; the sums are the same.
        is_exact = operand.itemsize <= 2 and count <= _EXACT_COUNT
        return np.dtype(np.float64) if is_exact else result
    return np.dtype(np.float32) if result.itemsize == 2 else result


def _as_result(sums: np.ndarray, operand: np.dtype, dtype: DType | None) -> np.ndarray:
    result = operand if dtype is None else dtype.numpy
    if result.kind in "iu" and sums.dtype.kind == "f":
        sums = sums.astype(np.int64)
    return sums.astype(result, copy=False)


def _flops(result: TensorType, count: Size) -> Size:
    return result.size * count * (8 if result.dtype.is_complex else 2)


def _in_dtype_of(y: Node, x: Node) -> Node:
    return x if x.dtype is y.dtype else cast(x, dtype=y.dtype)


def _transposed(x: Node, axes: tuple[int, ...]) -> Node:
    return x if axes == tuple(range(len(axes))) else transpose(x, axes=axes)


def _reshaped(x: Node, shape: Shape) -> Node:
    return x if x.shape == shape else reshape(x, shape=shape)


# Dot ----------------------------------------------------------------------------------------------


def _free(rank: int, *taken: Sequence[int]) -> tuple[int, ...]:
    """The axes that are in none of the sequences, in order."""
    return tuple(axis for axis in range(rank) if not any(axis in axes for axes in taken))


def _check_dot_axes(lhs: TensorType, rhs: TensorType, contract: Axes, batch: Axes) -> None:
    for name, pair in (("contract", contract), ("batch", batch)):
        fits = (
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(isinstance(axes, tuple) for axes in pair)
            and all(type(axis) is int for axes in pair for axis in axes)
            and len(pair[0]) == len(pair[1])
        )
        if not fits:
            raise ShapeError(
                explain("dot", f"{name} of as many axes of lhs as of rhs", f"{name}={pair}",
                        f"Write for instance {name}=((1,), (0,)).")
            )  # fmt: skip
    for side, (name, operand) in enumerate((("lhs", lhs), ("rhs", rhs))):
        axes = (*contract[side], *batch[side])
        if len(set(axes)) != len(axes) or not all(0 <= axis < operand.rank for axis in axes):
            raise ShapeError(
                explain(
                    "dot",
                    f"distinct axes of {name}, each at least 0 and below {operand.rank}",
                    f"contract {contract[side]} and batch {batch[side]} for {operand}",
                )
            )


def _infer_dot(lhs: TensorType, rhs: TensorType, *, contract, batch, dtype) -> TensorType:
    result = _result_dtype("dot", lhs, rhs, dtype)
    _check_dot_axes(lhs, rhs, contract, batch)
    for name, pair in (("contracted", contract), ("batch", batch)):
        for i, j in zip(*pair, strict=True):
            if not is_known_equal(lhs.shape[i], rhs.shape[j]):
                raise ShapeError(
                    explain(
                        "dot",
                        f"{name} axes of equal size",
                        f"axis {i} of lhs {lhs} with axis {j} of rhs {rhs}",
                        _other_axes(lhs, rhs, i, j, contract, batch),
                    )
                )
    stack = (lhs.shape[axis] for axis in batch[0])
    rows = (lhs.shape[axis] for axis in _free(lhs.rank, contract[0], batch[0]))
    columns = (rhs.shape[axis] for axis in _free(rhs.rank, contract[1], batch[1]))
    return tensor_type(result, (*stack, *rows, *columns))


def _other_axes(lhs: TensorType, rhs: TensorType, i: int, j: int, contract, batch) -> str:
    """Axes that would have fitted."""
    right = [
        axis
        for axis in _free(rhs.rank, contract[1], batch[1])
        if is_known_equal(rhs.shape[axis], lhs.shape[i])
    ]
    left = [
        axis
        for axis in _free(lhs.rank, contract[0], batch[0])
        if is_known_equal(lhs.shape[axis], rhs.shape[j])
    ]
    if right:
        return f"Did you mean axis {right[0]} of rhs?"
    return f"Did you mean axis {left[0]} of lhs?" if left else ""


def _evaluate_dot(lhs: np.ndarray, rhs: np.ndarray, *, contract, batch, dtype) -> np.ndarray:
    rows = _free(lhs.ndim, contract[0], batch[0])
    columns = _free(rhs.ndim, contract[1], batch[1])

    def sizes(x: np.ndarray, axes: Sequence[int]) -> tuple[int, ...]:
        return tuple(x.shape[axis] for axis in axes)

    stack, m, n = sizes(lhs, batch[0]), sizes(lhs, rows), sizes(rhs, columns)
    count = prod(sizes(lhs, contract[0]))
    wide = _sum_dtype(lhs.dtype, dtype, count)
    left = lhs.transpose((*batch[0], *rows, *contract[0])).reshape(prod(stack), prod(m), count)
    right = rhs.transpose((*batch[1], *contract[1], *columns)).reshape(prod(stack), count, prod(n))
    sums = np.matmul(left.astype(wide, copy=False), right.astype(wide, copy=False))
    return _as_result(sums, lhs.dtype, dtype).reshape((*stack, *m, *n))


def _differentiate_dot(dy: Node, y: Node, lhs: Node, rhs: Node, *, contract, batch, dtype):
    rows = _free(lhs.type.rank, contract[0], batch[0])
    columns = _free(rhs.type.rank, contract[1], batch[1])
    stack = tuple(range(len(batch[0])))
    rows_of_dy = tuple(range(len(stack), len(stack) + len(rows)))
    columns_of_dy = tuple(range(len(stack) + len(rows), dy.type.rank))
    # Each gradient lists the contracted axes in the order in which the other operand has them.
    partner_of_rhs = dict(zip(contract[1], contract[0], strict=True))
    partner_of_lhs = dict(zip(contract[0], contract[1], strict=True))
    dlhs = dot(dy, _in_dtype_of(y, conjugate(rhs)), contract=(columns_of_dy, columns),
               batch=(stack, batch[1]))  # fmt: skip
    drhs = dot(_in_dtype_of(y, conjugate(lhs)), dy, contract=(rows, rows_of_dy),
               batch=(batch[0], stack))  # fmt: skip
    axes_of_dlhs = (*batch[0], *rows, *(partner_of_rhs[axis] for axis in sorted(contract[1])))
    axes_of_drhs = (*batch[1], *(partner_of_lhs[axis] for axis in sorted(contract[0])), *columns)
    dlhs = _transposed(dlhs, inverse_permutation(axes_of_dlhs))
    drhs = _transposed(drhs, inverse_permutation(axes_of_drhs))
    return _in_dtype_of(lhs, dlhs), _in_dtype_of(rhs, drhs)


def _batch_dot(size, mapped, lhs: Node, rhs: Node, *, contract, batch, dtype):
    def shifted(pair: Axes) -> Axes:
        left, right = (
            tuple(axis + is_mapped for axis in axes)
            for axes, is_mapped in zip(pair, mapped, strict=True)
        )
        return left, right

    contract, batch = shifted(contract), shifted(batch)
    if all(mapped):
        batch = ((0, *batch[0]), (0, *batch[1]))
        return dot(lhs, rhs, contract=contract, batch=batch, dtype=dtype)
    y = dot(lhs, rhs, contract=contract, batch=batch, dtype=dtype)
    new = len(batch[0]) if mapped[0] else lhs.type.rank - len(contract[0])
    return _transposed(y, (new, *_free(y.type.rank, (new,))))


def _sample_dot():
    def sample(dtype, left, right, contract, batch=((), ()), result=None):
        attrs = {"contract": contract, "batch": batch, "dtype": result}
        return Sample((values(left, dtype, seed=1), values(right, dtype, seed=2)), attrs)

    for dtype in NUMERIC:
        yield sample(dtype, (2, 3), (3, 4), ((1,), (0,)))
        yield sample(dtype, (2, 2, 3), (3, 2, 2), ((2,), (0,)), ((0,), (1,)))
    for dtype in (float32, float64, complex128):
        yield sample(dtype, (3,), (3,), ((0,), (0,)))
        yield sample(dtype, (), (), ((), ()))
        yield sample(dtype, (2,), (3,), ((), ()))
        yield sample(dtype, (2, 0), (0, 3), ((1,), (0,)))
        yield sample(dtype, (0, 2), (2, 3), ((1,), (0,)))
        # Axes in every order, several of each sort.
        yield sample(dtype, (2, 3, 4, 5), (5, 2, 3), ((3, 1), (0, 2)))
        yield sample(dtype, (4, 2, 3, 2), (2, 4, 3, 2), ((2, 3), (2, 0)), ((1, 0), (3, 1)))
        yield sample(dtype, (3, 2), (2, 3), ((), ()), ((1, 0), (0, 1)))
    for dtype, result in ((float16, float32), (bfloat16, float32), (int8, int32), (uint8, int32),
                          (float32, float64)):  # fmt: skip
        yield sample(dtype, (2, 3), (3, 4), ((1,), (0,)), result=result)
    full = np.full((1, 300), 127, np.int8)
    yield Sample((full, full), {"contract": ((1,), (1,)), "dtype": int32})
    yield Sample((full, full), {"contract": ((1,), (1,))}, name="int8 wraps around")


def _refuse_dot():
    x, y, b = a_type("f32[2,3]"), a_type("f32[4,3]"), a_type("bool[2,3]")
    good = {"contract": ((1,), (1,))}
    yield Refusal((b, b), good, "any(logical_and(x, y))")
    yield Refusal((x, a_type("f64[4,3]")), good, "operands of equal element type")
    yield Refusal((x, y), good | {"dtype": float16}, "a result of float32 or a wider type")
    yield Refusal((a_type("i32[3]"),) * 2, {"contract": ((0,), (0,)), "dtype": float32}, "Cast")
    yield Refusal((x, y), {"contract": ((1,), (0,))}, "Did you mean axis 1 of rhs?")
    yield Refusal((a_type("f32[3,2]"), y), {"contract": ((1,), (1,))}, "mean axis 0 of lhs?")
    yield Refusal((x, y), {"contract": ((1,), (1,)), "batch": ((0,), (0,))}, "batch axes of equal")
    yield Refusal(
        (x, y), {"contract": ((2,), (1,))}, "distinct axes of lhs, each at least 0 and below 2"
    )
    yield Refusal(
        (x, y), {"contract": ((1,), (-1,))}, "distinct axes of rhs, each at least 0 and below 2"
    )
    yield Refusal((x, x), {"contract": ((1,), (1,)), "batch": ((1,), (0,))}, "distinct axes of lhs")
    yield Refusal((x, y), {"contract": ((1,), ())}, "as many axes of lhs as of rhs")
    yield Refusal((x, y), {"contract": (1, 1)}, "Write for instance contract=((1,), (0,))")


dot: Op = declare(
    Op(
        name="dot",
        doc="Sums of products over pairs of axes; the result has the batch axes, then the free "
        "axes of lhs, then those of rhs.",
        infer=_infer_dot,
        evaluate=_evaluate_dot,
        arity=2,
        attributes={"contract": Sizes(), "batch": Sizes(((), ())), "dtype": Element(None)},
        gradient=_differentiate_dot,
        batch=_batch_dot,
        cost=lambda lhs, rhs, *, result, contract, batch, dtype: _flops(
            result, size_of(tuple(lhs.shape[axis] for axis in contract[0]))
        ),
        samples=_sample_dot,
        refuses=_refuse_dot,
        tolerance=16,
        family="contraction",
    )
)

# Convolution --------------------------------------------------------------------------------------


def _sweeps(x: Any, kernel: Any, strides, padding, input_dilation, kernel_dilation) -> list[Sweep]:
    """The sweeps of the spatial axes of two types, nodes or arrays."""
    return sweeps_of(
        x.shape[1:-1], kernel.shape[:-2], strides, padding, input_dilation, kernel_dilation
    )


def _check_channels(x: TensorType, kernel: TensorType, groups: Size) -> None:
    channels, depth, outputs = x.shape[-1], kernel.shape[-2], kernel.shape[-1]
    if not is_known_equal(channels, depth * groups):
        raise ShapeError(
            explain(
                "conv",
                "as many channels in x as the kernel takes, times feature_groups",
                f"x {x} with {channels} channels, kernel {kernel} with {depth}, "
                f"feature_groups={groups}",
                _fitting_groups(x, kernel, groups),
            )
        )
    if not is_known_equal(outputs % groups, 0):
        raise ShapeError(
            explain(
                "conv",
                f"a number of outputs that feature_groups={groups} divides",
                f"kernel {kernel} with {outputs} outputs for x {x}",
            )
        )


def _fitting_groups(x: TensorType, kernel: TensorType, groups: Size) -> str:
    channels, depth, outputs = x.shape[-1], kernel.shape[-2], kernel.shape[-1]
    are_known = all(type(size) is int for size in (channels, depth, outputs, groups))
    fitting = channels // depth if are_known and depth else 0
    if fitting and channels == fitting * depth and outputs % fitting == 0:
        return f"feature_groups={fitting} would fit."
    if are_known and channels % groups == 0 and outputs % groups == 0:
        wanted = (*kernel.shape[:-2], channels // groups, outputs)
        return f"A kernel of shape {shape_text(wanted)} would fit."
    if are_known:
        return f"No kernel fits: feature_groups={groups} must divide the {channels} channels."
    return ""


def _infer_conv(x: TensorType, kernel: TensorType, *, strides, padding, input_dilation,
                kernel_dilation, feature_groups, batch_groups, dtype) -> TensorType:  # fmt: skip
    if x.rank < 2 or kernel.rank != x.rank:
        raise ShapeError(
            explain(
                "conv",
                "x [N, spatial..., C] and a kernel [spatial..., C, O] with as many axes",
                f"x {x} and kernel {kernel}",
            )
        )
    result = _result_dtype("conv", x, kernel, dtype)
    check_options("conv", x, x.rank - 2, strides=strides, padding=padding,
                  input_dilation=input_dilation, kernel_dilation=kernel_dilation)  # fmt: skip
    groups = (feature_groups, batch_groups)
    fits = (
        not any(isinstance(each, tuple) for each in groups)
        and all(is_known_at_least(each, 1) for each in groups)
        and any(is_known_equal(each, 1) for each in groups)
    )
    if not fits:
        raise ShapeError(
            explain(
                "conv",
                "groups of at least 1, and feature groups or batch groups but not both",
                f"feature_groups={feature_groups}, batch_groups={batch_groups}",
            )
        )
    _check_channels(x, kernel, feature_groups)
    count, outputs = x.shape[0], kernel.shape[-1]
    for name, size in (("the batch", count), ("the number of outputs", outputs)):
        if not is_known_equal(size % batch_groups, 0):
            raise ShapeError(
                explain(
                    "conv",
                    f"{name} to be a multiple of batch_groups={batch_groups}",
                    f"{size} in x {x} and kernel {kernel}",
                )
            )
    if any(is_known_equal(size, 0) for size in kernel.shape[:-2]):
        raise ShapeError(explain("conv", "a kernel of at least one place", f"kernel {kernel}"))
    sweeps = _sweeps(x, kernel, strides, padding, input_dilation, kernel_dilation)
    positions = check_sweeps("conv", sweeps, x, first=1, word="kernel")
    return tensor_type(result, (count // batch_groups, *positions, outputs))


# The copy of the windows of one block of the result stays below this. Measured: more leaves the
# caches, less makes the products of a kernel's gradient too thin.
_BLOCK_BYTES = 2**24


def _blocks(sizes: Sequence[int], place_bytes: int) -> Iterator[tuple[slice, ...]]:
    """The places of some axes cut into blocks below the limit, or of one place each."""
    if not sizes:
        yield ()
        return
    inner = prod(sizes[1:]) * place_bytes
    step = max(1, _BLOCK_BYTES // inner)
    for begin in range(0, sizes[0], step):
        first = slice(begin, begin + step)
        if inner <= _BLOCK_BYTES:
            yield (first,)
        else:
            yield from ((first, *rest) for rest in _blocks(sizes[1:], place_bytes))


def _evaluate_conv(x: np.ndarray, kernel: np.ndarray, *, strides, padding, input_dilation,
                   kernel_dilation, feature_groups, batch_groups, dtype) -> np.ndarray:  # fmt: skip
    sweeps = _sweeps(x, kernel, strides, padding, input_dilation, kernel_dilation)
    positions: list[Any] = [sweep.positions for sweep in sweeps]
    *window, depth, outputs = kernel.shape
    n, rank, count = x.shape[0] // batch_groups, len(sweeps), prod(window) * depth
    groups = feature_groups * batch_groups
    width = outputs // groups
    wide = _sum_dtype(x.dtype, dtype, count)
    sums = np.zeros((n, *positions, groups, width), wide)
    if sums.size and count:
        # [N, positions..., C, window...] -> [group, n, positions..., window..., channel], a view;
        # one of the two numbers of groups is 1.
        view = place(x.astype(wide, copy=False), sweeps, 0, first=1)
        for axis, sweep in enumerate(sweeps, 1):
            view = windows_along(view, sweep, axis)
        view = view.reshape(batch_groups, n, *positions, feature_groups, depth, *window)
        view = np.moveaxis(view, (rank + 2, rank + 3), (1, -1))
        view = view[:, 0] if batch_groups > 1 else view[0]
        weights = kernel.astype(wide, copy=False).reshape(count, groups, width).transpose(1, 0, 2)
        for block in _blocks((n, *positions), groups * count * wide.itemsize):
            part = view[(slice(None), *block)]
            sizes = part.shape[1 : rank + 2]
            # (group, n and position, window and channel) @ (group, window and channel, output)
            product = np.matmul(part.reshape(groups, prod(sizes), count), weights)
            sums[block] = np.moveaxis(product.reshape(groups, *sizes, width), 0, -2)
    return _as_result(sums.reshape(n, *positions, outputs), x.dtype, dtype)


def _conv_in(y: Node, x: Node, kernel: Node, sweeps: Sequence[Sweep], feature_groups: Size = 1,
             batch_groups: Size = 1) -> Node:  # fmt: skip
    """A convolution by sweeps, of operands in the type of y."""
    return conv(
        _in_dtype_of(y, x),
        _in_dtype_of(y, kernel),
        strides=tuple(each.stride for each in sweeps),
        padding=paddings(sweeps),
        input_dilation=tuple(each.input_dilation for each in sweeps),
        kernel_dilation=tuple(each.window_dilation for each in sweeps),
        feature_groups=feature_groups,
        batch_groups=batch_groups,
    )


def _differentiate_conv(dy: Node, y: Node, x: Node, kernel: Node, *, strides, padding,
                        input_dilation, kernel_dilation, feature_groups, batch_groups,
                        dtype):  # fmt: skip
    sweeps = _sweeps(x, kernel, strides, padding, input_dilation, kernel_dilation)
    if any(is_known_equal(sweep.size, 0) for sweep in sweeps):
        return full_like(x, 0), full_like(kernel, 0)
    dx = _conv_in(
        y,
        dy,
        _adjoint_kernel(conjugate(kernel), feature_groups * batch_groups),
        [sweep.adjoint() for sweep in sweeps],
        feature_groups=feature_groups * batch_groups,
    )
    # [n, spatial..., group and channel] -> [group and n, spatial..., channel]
    dx = _moved_groups(dx, batch_groups, x.type.rank - 1, 0)
    # Channels stand for the batch, the batch for channels, and dy for the kernel.
    last = x.type.rank - 1
    spatial = tuple(range(1, last))
    dkernel = _conv_in(
        y,
        transpose(conjugate(x), axes=(last, *spatial, 0)),
        transpose(dy, axes=(*spatial, 0, last)),
        [sweep.correlation() for sweep in sweeps],
        feature_groups=batch_groups,
        batch_groups=feature_groups,
    )
    dkernel = transpose(dkernel, axes=(*spatial, 0, last))
    return _in_dtype_of(x, dx), _in_dtype_of(kernel, dkernel)


def _adjoint_kernel(kernel: Node, groups: Size) -> Node:
    """The kernel of the input's gradient: reversed in space, outputs and channels swapped.

    [spatial..., C, group and output] -> [spatial..., output, group and C]
    """
    rank = kernel.type.rank
    spatial = tuple(range(rank - 2))
    if spatial:
        kernel = reverse(kernel, axes=spatial)
    kernel = _moved_groups(kernel, groups, rank - 1, rank - 2)
    return transpose(kernel, axes=(*spatial, rank - 1, rank - 2))


def _merged(x: Node, axis: int, groups: Size = 1) -> Node:
    """The leading axis as a slow part of another: [size, ..., (groups, n), ...] ->
    [..., (groups, size, n), ...]; `axis` counts without the leading one.
    """
    size, *shape = x.shape
    lead = () if is_known_equal(groups, 1) else (groups,)
    rest = shape[axis] // groups
    x = _reshaped(x, (size, *shape[:axis], *lead, rest, *shape[axis + 1 :]))
    middle = 1 + axis + len(lead)
    x = _transposed(x, (*range(1, middle), 0, *range(middle, x.type.rank)))
    return _reshaped(x, (*shape[:axis], size * shape[axis], *shape[axis + 1 :]))


def _parted(x: Node, axis: int, size: Size, groups: Size = 1) -> Node:
    """The inverse of `_merged`: [..., (groups, size, n), ...] -> [size, ..., (groups, n), ...]."""
    shape = x.shape
    lead = () if is_known_equal(groups, 1) else (groups,)
    total = shape[axis] // size
    x = _reshaped(x, (*shape[:axis], *lead, size, total // groups, *shape[axis + 1 :]))
    middle = axis + len(lead)
    x = _transposed(x, (middle, *_free(x.type.rank, (middle,))))
    return _reshaped(x, (size, *shape[:axis], total, *shape[axis + 1 :]))


def _moved_groups(x: Node, groups: Size, source: int, target: int) -> Node:
    """Groups, the slow part of one axis, made the slow part of another axis."""
    return x if is_known_equal(groups, 1) else _merged(_parted(x, source, groups), target)


def _batch_conv(size, mapped, x: Node, kernel: Node, *, feature_groups, batch_groups,
                **attrs):  # fmt: skip
    if is_known_equal(size, 0):
        types = (
            arg.type.with_shape(arg.shape[is_mapped:])
            for arg, is_mapped in zip((x, kernel), mapped, strict=True)
        )
        one = _infer_conv(*types, feature_groups=feature_groups, batch_groups=batch_groups, **attrs)
        return full(0, one.dtype, (0, *one.shape))
    last = kernel.type.rank - mapped[1] - 1
    if not mapped[1]:
        x = _merged(x, 0, batch_groups)
        y = conv(x, kernel, feature_groups=feature_groups, batch_groups=batch_groups, **attrs)
        return _parted(y, 0, size)
    if not mapped[0]:
        groups = feature_groups * batch_groups
        kernel = _merged(kernel, last, groups)
        y = conv(x, kernel, feature_groups=feature_groups, batch_groups=batch_groups, **attrs)
        return _parted(y, last, size, groups)
    # Each example is a group of its own.
    if is_known_equal(batch_groups, 1):
        x = _merged(x, last)
        feature_groups = size * feature_groups
    else:
        x = _merged(x, 0)
        batch_groups = size * batch_groups
    kernel = _merged(kernel, last)
    y = conv(x, kernel, feature_groups=feature_groups, batch_groups=batch_groups, **attrs)
    return _parted(y, last, size)


def _conv_attrs(rank: int, **given):
    """The attributes of a plain convolution, but for those given."""
    ones = (1,) * rank
    return {
        "strides": ones,
        "padding": ((0, 0),) * rank,
        "input_dilation": ones,
        "kernel_dilation": ones,
    } | given


def _sample_conv():
    def sample(element, x, kernel, name="", **given):
        args = (values(x, element, seed=1), values(kernel, element, seed=2))
        return Sample(args, _conv_attrs(len(x) - 2, **given), name=name)

    for dtype in NUMERIC:
        yield sample(dtype, (2, 5, 2), (3, 2, 3), padding=((1, 1),), strides=(2,))
    for dtype, result in ((float16, float32), (bfloat16, float32), (int8, int32), (uint8, int32)):
        yield sample(dtype, (2, 4, 2), (2, 2, 1), dtype=result)
    for dtype in (float32, float64, complex128):
        yield sample(dtype, (2, 3), (3, 4), "rank 0")
        yield sample(dtype, (1, 4, 5, 2), (3, 2, 2, 3), padding=((1, 1), (0, 1)))
        yield sample(dtype, (2, 4, 4, 2), (1, 1, 2, 3), "1x1")
        yield sample(dtype, (0, 4, 2), (3, 2, 3), "no examples")
        yield sample(dtype, (2, 4, 0), (3, 0, 3), "no channels")
        yield sample(dtype, (2, 4, 2), (3, 2, 0), "no outputs")
        yield sample(dtype, (2, 5, 4), (2, 2, 6), "groups", padding=((1, 0),), feature_groups=2)
        yield sample(dtype, (4, 5, 2), (2, 2, 6), "batch groups", batch_groups=2)
    for dtype in (float64,):
        yield sample(dtype, (1, 3, 4, 3, 1), (2, 2, 2, 1, 2), padding=((1, 0), (0, 0), (0, 1)))
        yield sample(dtype, (1, 6, 7, 1), (2, 3, 1, 2), "remainder", strides=(3, 2))
        yield sample(dtype, (1, 5, 4, 1), (2, 3, 1, 1), "cropped", padding=((-1, 2), (0, -1)))
        yield sample(dtype, (1, 7, 6, 1), (3, 2, 1, 1), "spread", kernel_dilation=(2, 3))
        yield sample(dtype, (1, 3, 2, 1), (3, 2, 1, 1), "transposed", input_dilation=(2, 3),
                     padding=((2, 1), (-1, 1)))  # fmt: skip
        yield sample(dtype, (2, 4, 2), (3, 2, 2), "everything", input_dilation=(3,), strides=(2,),
                     kernel_dilation=(2,), padding=((-2, 3),))  # fmt: skip
        yield sample(dtype, (2, 4, 3), (2, 1, 6), "depthwise", feature_groups=3, strides=(2,))
        yield sample(dtype, (6, 4, 1), (2, 1, 3), "batch by batch", batch_groups=3, strides=(2,))
        yield sample(dtype, (2, 4, 2), (3, 2, 1), "far padding", padding=((5, -3),))
        yield sample(dtype, (1, 0, 2), (1, 2, 1), "empty axis", padding=((1, 1),))
        yield sample(dtype, (1, 0, 2), (3, 2, 1), "empty result")


def _refuse_conv():
    def refusal(x, kernel, message, rank=1, **given):
        return Refusal((a_type(x), a_type(kernel)), _conv_attrs(rank, **given), message)

    x, kernel = "f32[2,8,6]", "f32[3,6,4]"
    yield refusal("bool[2,8,6]", "bool[3,6,4]", "any(logical_and(x, y))")
    yield refusal(x, "f64[3,6,4]", "operands of equal element type")
    yield refusal(x, kernel, "a result of float32 or a wider type", dtype=float16)
    yield refusal("f32[6]", "f32[6]", "x [N, spatial..., C]")
    yield refusal(x, "f32[3,3,6,4]", "with as many axes")
    yield refusal(x, "f32[3,3,4]", "feature_groups=2 would fit")
    yield refusal(x, "f32[3,4,4]", "A kernel of shape [3,6,4] would fit")
    yield refusal(x, "f32[3,2,8]", "feature_groups=4 must divide the 6", feature_groups=4)
    yield refusal(x, "f32[3,2,4]", "outputs that feature_groups=3 divides", feature_groups=3)
    yield refusal(x, kernel, "but not both", feature_groups=2, batch_groups=2)
    yield refusal(x, kernel, "groups of at least 1", feature_groups=0)
    yield refusal(x, kernel, "the batch to be a multiple of batch_groups=4", batch_groups=4)
    yield refusal(x, "f32[3,6,3]", "outputs to be a multiple of batch_groups=2", batch_groups=2)
    yield refusal(x, kernel, "strides to hold sizes of at least 1", strides=(0,))
    yield refusal(x, kernel, "one for each axis that is swept: 1", strides=(1, 1))
    yield refusal(x, kernel, "padding to hold pairs (low, high)", padding=(1,))
    yield refusal(x, kernel, "Write for instance kernel_dilation=(1,)", kernel_dilation=2)
    yield refusal(x, "f32[0,6,4]", "a kernel of at least one place")
    yield refusal(x, "f32[9,6,4]", "Use padding 'same', a smaller kernel")
    yield refusal(x, kernel, "reaches over 9 places, on axis 1", kernel_dilation=(4,))


conv: Op = declare(
    Op(
        name="conv",
        doc="Sums of products of a kernel with every window of x: a cross-correlation over any "
        "number of spatial axes, with strides, padding, dilation and groups.",
        infer=_infer_conv,
        evaluate=_evaluate_conv,
        arity=2,
        attributes={
            "strides": Sizes(),
            "padding": Sizes(),
            "input_dilation": Sizes(),
            "kernel_dilation": Sizes(),
            "feature_groups": Sizes(1),
            "batch_groups": Sizes(1),
            "dtype": Element(None),
        },
        gradient=_differentiate_conv,
        batch=_batch_conv,
        cost=lambda x, kernel, *, result, **attrs: _flops(result, size_of(kernel.shape[:-1])),
        samples=_sample_conv,
        refuses=_refuse_conv,
        tolerance=16,
        family="contraction",
    )
)

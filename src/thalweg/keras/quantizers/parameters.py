"""Scales and zeros: the straight line between floats and small integers, for a whole array, for
each row, or for each group in a row.

    q = round(x * scale)            by the largest |x|, symmetric
    q = round(x / scale + zero)     by the least and the largest x, with a zero point
"""

import math
from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import ops, settings

EPSILON = settings.epsilon()
LEAST_SCALE = 1e-8


def abs_max_quantize(
    inputs: Any,
    axis: int | Sequence[int],
    value_range: Sequence[int] = (-127, 127),
    dtype: str = "int8",
    epsilon: float = EPSILON,
    to_numpy: bool = False,
) -> tuple[Tensor, Tensor]:
    """Integers of type `dtype` in `value_range`, and the scale to divide them by.

    x (any shape) -> values (the same), scale (1 along `axis`, of the inputs' type). The largest
    |x| along `axis` becomes the end of the range. `to_numpy` changes nothing: values are on the
    host already.
    """
    x = ops.convert_to_tensor(inputs)
    largest = ops.max(ops.abs(x), axis=axis, keepdims=True)
    scale = ops.cast(ops.divide(value_range[1], ops.add(largest, epsilon)), x.dtype)
    values = ops.clip(ops.round(ops.multiply(x, scale)), value_range[0], value_range[1])
    return ops.cast(values, dtype), scale


def compute_quantization_parameters(
    x: Any,
    *,
    bits: int,
    symmetric: bool = False,
    per_channel: bool = False,
    group_size: int = -1,
    compute_dtype: str = "float32",
    epsilon: float = 0.0,
    signed: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The scale, the zero and the largest level for weights of shape (outputs, inputs).

    Scale and zero have shape (outputs, groups): one group of all inputs, or with `per_channel`
    groups of `group_size`, the last filled up with zeros; without `per_channel` all outputs share
    one scale. Zeros are uint8, or int8 with `signed`, where levels begin at -2**(bits - 1).
    Raises ArgumentError for no weights, ShapeError for those of less than two axes.
    """
    x = _weights(x)
    outputs, inputs = x.shape[0], x.shape[1]
    is_grouped = per_channel and 0 < group_size < inputs
    if is_grouped:
        groups = math.ceil(inputs / group_size)
        rows = ops.pad(x, [[0, 0], [0, groups * group_size - inputs]])
        rows = ops.reshape(rows, (outputs, groups, group_size))
    else:
        rows = ops.reshape(x, (outputs if per_channel else 1, 1, -1))
    least, largest = ops.min(rows, axis=-1), ops.max(rows, axis=-1)
    if symmetric:
        largest = ops.maximum(ops.abs(least), largest)
        least = ops.where(ops.less(least, 0), ops.negative(largest), least)
    # All values equal: one step to each side keeps them within reach.
    is_flat = ops.equal(least, largest)
    least = ops.where(is_flat, ops.subtract(least, 1), least)
    largest = ops.where(is_flat, ops.add(largest, 1), largest)

    levels = 2**bits - 1
    span = ops.subtract(largest, least)
    if epsilon > 0:
        span = ops.add(span, epsilon)
    scale = ops.divide(span, ops.cast(levels, compute_dtype))
    scale = ops.where(ops.less_equal(scale, 0), LEAST_SCALE, scale)
    first = -(2 ** (bits - 1)) if signed else 0
    if symmetric:
        zero = ops.full_like(scale, (levels + 1) / 2 + first)
    else:
        zero = ops.add(ops.round(ops.divide(ops.negative(least), scale)), first)
    if signed:
        zero = ops.clip(zero, first, first + levels)
    if not per_channel:
        scale, zero = ops.tile(scale, (outputs, 1)), ops.tile(zero, (outputs, 1))
    maxq = ops.cast(levels, compute_dtype)
    return scale, ops.cast(zero, "int8" if signed else "uint8"), maxq


def _weights(x: Any) -> Tensor:
    if x is None:
        raise ArgumentError(
            explain(
                "compute_quantization_parameters",
                "weights (outputs, inputs); Input tensor None cannot be None.",
                "x=None",
            )
        )
    x = ops.convert_to_tensor(x)
    if x.ndim < 2:
        raise ShapeError(
            explain(
                "compute_quantization_parameters",
                "weights (outputs, inputs); Input weight tensor must have a rank of at least 2, "
                f"but got rank {x.ndim}.",
                f"shape {tuple(x.shape)}",
            )
        )
    if 0 in x.shape:
        raise ArgumentError(
            explain(
                "compute_quantization_parameters",
                "some weights; Input tensor 'x' cannot be empty.",
                f"shape {tuple(x.shape)}",
            )
        )
    return x


def abs_max_quantize_grouped_with_zero_point(
    inputs: Any,
    block_size: int,
    value_range: Sequence[int] = (-8, 7),
    dtype: str = "int8",
    epsilon: float = EPSILON,
    to_numpy: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Integers of a matrix whose columns have a scale and a zero for each block of rows.

    x (inputs, outputs) -> values (inputs, outputs) of type `dtype`, scale and zero (blocks,
    outputs), zero int8; x is about (values - zero) * scale. `value_range` has a power of two of
    integers and begins at minus half of it. `to_numpy` counts the rows that a single block lacks as
    zeros, as those that the last of several lacks.
    """
    x = ops.convert_to_tensor(inputs)
    first, last = value_range
    missing = -x.shape[0] % block_size if to_numpy else 0
    scale, zero, _ = compute_quantization_parameters(
        ops.transpose(ops.pad(x, [[0, missing], [0, 0]])),
        bits=int(math.log2(last - first + 1)),
        per_channel=True,
        group_size=block_size,
        compute_dtype=x.dtype.name,
        epsilon=epsilon,
        signed=True,
    )
    scale, zero = ops.cast(ops.transpose(scale), x.dtype), ops.transpose(zero)
    block = ops.floor_divide(ops.arange(x.shape[0]), block_size)
    steps = ops.round(ops.divide(x, ops.take(scale, block, axis=0)))
    values = ops.add(steps, ops.cast(ops.take(zero, block, axis=0), steps.dtype))
    return ops.cast(ops.clip(values, first, last), dtype), scale, zero


def quantize_with_zero_point(x: Any, scale: Any, zero: Any, maxq: Any) -> Tensor:
    """The levels round(x / scale + zero), from 0 to `maxq`, as floats."""
    x, scale = ops.convert_to_tensor(x), ops.convert_to_tensor(scale)
    safe = ops.where(ops.equal(scale, 0), ops.cast(LEAST_SCALE, scale.dtype), scale)
    levels = ops.round(ops.add(ops.divide(x, safe), ops.cast(zero, scale.dtype)))
    return ops.clip(levels, 0, maxq)


def dequantize_with_zero_point(levels: Any, scale: Any, zero: Any) -> Tensor:
    """The values (levels - zero) * scale."""
    scale = ops.convert_to_tensor(scale)
    return ops.multiply(scale, ops.subtract(levels, ops.cast(zero, scale.dtype)))


def quantize_with_sz_map(
    weights_matrix: Any, scale: Any, zero: Any, g_idx: Any, maxq: Any, group_axis: int = -1
) -> Tensor:
    """The levels of weights, as floats; `g_idx` gives the group of each place along `group_axis`.

    weights (outputs, inputs), scale and zero (outputs, groups), g_idx (inputs,).
    """
    scale, zero = _of_places((scale, zero), g_idx, group_axis)
    return quantize_with_zero_point(weights_matrix, scale, zero, maxq)


def dequantize_with_sz_map(
    weights_matrix: Any, scale: Any, zero: Any, g_idx: Any, group_axis: int = -1
) -> Tensor:
    """The weights of levels; `g_idx` gives the group of each place along `group_axis`.

    levels (outputs, inputs), scale and zero (outputs, groups), g_idx (inputs,).
    """
    scale, zero = _of_places((scale, zero), g_idx, group_axis)
    return dequantize_with_zero_point(weights_matrix, scale, zero)


def _of_places(parameters: Sequence[Any], g_idx: Any, axis: int) -> list[Tensor]:
    """Parameters of groups as those of the places in them."""
    places = ops.cast(g_idx, "int32")
    return [ops.take(each, places, axis=axis) for each in parameters]

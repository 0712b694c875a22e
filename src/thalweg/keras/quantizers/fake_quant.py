"""Fake quantization: floats rounded to the levels that integers would have, with derivatives."""

from collections.abc import Callable
from typing import Any

from thalweg.engine.tensor import Tensor
from thalweg.keras import ops
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import axis_of
from thalweg.keras.symbol import KerasTensor


def _spec(inputs: Any, *_: Any, **__: Any) -> KerasTensor:
    return KerasTensor(inputs.shape, dtype=inputs.dtype)


@op(spec=_spec)
def fake_quant_with_min_max_vars(
    inputs: Any,
    min_vals: Any,
    max_vals: Any,
    num_bits: int = 8,
    narrow_range: bool = False,
    axis: int | None = None,
) -> Tensor:
    """The inputs rounded to 2**num_bits levels from `min_vals` to `max_vals`, as floats.

    x (any shape) -> the same shape and type. The ends are moved a little so that 0 is a level; they
    are numbers, or one for each place along `axis`. `narrow_range` leaves out the lowest level.
    Derivatives: that of what is within the ends goes to x, of what is beyond to the ends.
    """
    x = ops.convert_to_tensor(inputs)
    place = None if axis is None else axis_of("fake_quant_with_min_max_vars", axis, x.ndim)
    levels = (1 if narrow_range else 0, 2 ** int(num_bits) - 1)
    function = _rounding(levels, place)
    return ops.custom_gradient(function)(
        x, ops.convert_to_tensor(min_vals), ops.convert_to_tensor(max_vals)
    )


def _rounding(levels: tuple[int, int], axis: int | None) -> Callable:
    """The function of x and the ends, with its derivative, for `ops.custom_gradient`."""
    first, last = levels

    def rounded(x: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Callable]:
        wide = ops.cast(x, "float64" if x.dtype.name == "float64" else "float32")
        ends = [_along(ops.cast(each, wide.dtype), axis, x.ndim) for each in (low, high)]
        span = ops.subtract(ends[1], ends[0])
        scale = ops.divide(span, last - first)
        steps = ops.divide(last - first, span)
        zero = ops.clip(ops.subtract(first, ops.divide(ends[0], scale)), first, last)
        zero = ops.round(zero)
        nudged_low = ops.multiply(ops.subtract(first, zero), scale)
        nudged_high = ops.multiply(ops.subtract(last, zero), scale)
        clamped = ops.clip(wide, nudged_low, nudged_high)
        # Half a step up and cut off: halves go up, on either side of zero.
        level_of_zero = ops.floor(ops.add(ops.multiply(ops.negative(nudged_low), steps), 0.5))
        level = ops.multiply(ops.subtract(clamped, nudged_low), steps)
        level = ops.floor(ops.add(ops.subtract(level, level_of_zero), 0.5))
        result = ops.cast(ops.multiply(level, scale), x.dtype)

        def gradient(dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            is_low = ops.less_equal(wide, nudged_low)
            is_high = ops.greater_equal(wide, nudged_high)
            # At the ends themselves both x and the end have the derivative.
            is_within = ops.logical_and(
                ops.greater_equal(wide, nudged_low), ops.less_equal(wide, nudged_high)
            )
            return (
                _where(is_within, dy),
                _sum_like(low, _where(is_low, dy), axis),
                _sum_like(high, _where(is_high, dy), axis),
            )

        return result, gradient

    return rounded


def _where(condition: Tensor, x: Tensor) -> Tensor:
    return ops.where(condition, x, ops.zeros_like(x))


def _along(end: Tensor, axis: int | None, rank: int) -> Tensor:
    """An end in a shape that broadcasts with x: its values stand along the axis."""
    if axis is None:
        return ops.reshape(end, ())
    return ops.reshape(end, [-1 if each == axis else 1 for each in range(rank)])


def _sum_like(end: Tensor, x: Tensor, axis: int | None) -> Tensor:
    rest = [each for each in range(x.ndim) if each != axis]
    return ops.reshape(ops.sum(x, axis=rest), ops.shape(end))

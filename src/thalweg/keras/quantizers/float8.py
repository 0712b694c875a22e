"""Training with operands of eight bits: numbers rounded to float8 and back, and scales that follow
the largest values of the last steps.

    e4m3fn   four bits of exponent, three of fraction, to 448     values
    e5m2     five and two, to 57344                               derivatives

There is no tensor of float8: values are rounded to what it can hold and stay in the type they are
computed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import ops

EXPONENT_BITS = 0x7F800000
"""Where the exponent stands in the 32 bits of a float32."""


@dataclass(frozen=True)
class Float8:
    """A type of eight bits: its largest number, its least normal one, its bits of fraction."""

    largest: float
    least_normal: float
    fraction_bits: int


FLOAT8 = {
    "float8_e4m3fn": Float8(448.0, 2.0**-6, 3),
    "float8_e5m2": Float8(57344.0, 2.0**-14, 2),
}


def compute_float8_scale(amax: Any, scale: Any, dtype_max: Any, margin: int = 0) -> Tensor:
    """The scale by which values up to `amax` fill float8: amax / dtype_max * 2**margin.

    Where `amax` is 0 or not finite, the former `scale`.
    """
    amax = ops.convert_to_tensor(amax)
    found = ops.multiply(ops.divide(amax, dtype_max), 2.0**margin)
    is_usable = ops.logical_and(ops.greater(amax, 0), ops.isfinite(amax))
    return ops.where(is_usable, found, ops.cast(scale, found.dtype))


def compute_float8_amax_history(x: Any, amax_history: Any) -> Tensor:
    """The history a step on: the largest |x| first, the others moved up by one. (steps,)."""
    history = ops.convert_to_tensor(amax_history)
    largest = ops.cast(ops.max(ops.abs(x)), history.dtype)
    moved = ops.roll(history, shift=-1)
    return ops.concatenate([ops.reshape(largest, (1,)), moved[1:]], axis=0)


def quantize_and_dequantize(
    inputs: Any, scale: Any, quantized_dtype: str, compute_dtype: str
) -> Tensor:
    """inputs / scale rounded to what float8 holds, times scale, in `compute_dtype`.

    `quantized_dtype` is "float8_e4m3fn" or "float8_e5m2"; what is too large becomes its largest.
    Raises ArgumentError for other types.
    """
    kind = FLOAT8.get(str(quantized_dtype))
    if kind is None:
        raise ArgumentError(
            explain(
                "quantize_and_dequantize",
                f"one of {sorted(FLOAT8)}",
                f"quantized_dtype={quantized_dtype!r}",
            )
        )
    scale = ops.cast(scale, compute_dtype)
    x = ops.clip(ops.divide(inputs, scale), -kind.largest, kind.largest)
    return ops.multiply(ops.cast(rounded(x, kind), compute_dtype), scale)


def rounded(x: Tensor, kind: Float8) -> Tensor:
    """x, within the type's range, rounded to its nearest number, halves to even. -> float32."""
    x = ops.cast(x, "float32")
    # The power of two below |x|: its bits without sign and fraction.
    bits = ops.bitwise_and(ops.view(x, "int32"), EXPONENT_BITS)
    power = ops.maximum(ops.view(bits, "float32"), kind.least_normal)
    step = ops.multiply(power, 2.0**-kind.fraction_bits)
    return ops.multiply(ops.round(ops.divide(x, step)), step)


def rounded_operand(x: Any, scale: Any, history: Any, dtype: str, training: bool | None) -> Tensor:
    """An operand of a product, as float8 e4m3fn would hold it.

    Its derivative passes as it is. Those of `scale` () and `history` (steps,) are no derivatives
    but the next values: their variables are overwritten with them.
    """

    def function(x: Tensor, scale: Tensor, history: Tensor) -> tuple[Tensor, Callable]:
        updates = _next("float8_e4m3fn", x, scale, history) if training else (scale, history)
        result = quantize_and_dequantize(x, scale, "float8_e4m3fn", dtype)
        return result, lambda dy: (dy, *updates)

    return ops.custom_gradient(function)(*map(ops.convert_to_tensor, (x, scale, history)))


def rounded_derivative(y: Any, scale: Any, history: Any, dtype: str) -> Tensor:
    """y itself, whose derivative is rounded to what float8 e5m2 would hold.

    As in `rounded_operand`, `scale` () and `history` (steps,) get their next values.
    """

    def function(y: Tensor, scale: Tensor, history: Tensor) -> tuple[Tensor, Callable]:
        def gradient(dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            result = quantize_and_dequantize(dy, scale, "float8_e5m2", dtype)
            return result, *_next("float8_e5m2", dy, scale, history)

        return y, gradient

    return ops.custom_gradient(function)(*map(ops.convert_to_tensor, (y, scale, history)))


def _next(name: str, x: Tensor, scale: Tensor, history: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and history after a step in which x came."""
    largest = FLOAT8[name].largest
    new_scale = compute_float8_scale(ops.max(history, axis=0), scale, largest)
    return new_scale, compute_float8_amax_history(x, history)

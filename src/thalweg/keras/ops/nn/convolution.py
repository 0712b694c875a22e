"""Convolutions: plain and grouped, depthwise, separable, transposed; any number of spatial axes.

inputs [N, spatial..., C], or [N, C, spatial...] with channels first; kernels stand as the layers
keep them, [spatial..., C, O] and, transposed, [spatial..., O, C]. `padding` is "valid" or "same".
Operands meet in one element type.
"""

from collections.abc import Callable
from typing import Any

from thalweg.array import nn
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.keras.operation import infer, op
from thalweg.keras.ops.operands import shape_of, tensors
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.symbol import KerasTensor, is_keras_tensor

Sizes = int | tuple[int, ...]


def standardize_padding(name: str, padding: Any) -> str:
    """The padding in lower case. Raises ArgumentError for other than "valid" and "same"."""
    found = padding.lower() if isinstance(padding, str) else padding
    if found not in ("valid", "same"):
        raise ArgumentError(
            explain(name, "`padding` to be 'valid' or 'same'", f"Invalid padding {padding!r}")
        )
    return found


def _with_channels(function: Callable, kernel: str, axis: int) -> Callable:
    """The rule of a convolution: inputs of unknown channels have those of a kernel's axis."""

    def spec(**values: Any) -> Any:
        inputs = values["inputs"]
        is_last = standardize_data_format(values.get("data_format")) == "channels_last"
        place = -1 if is_last else 1
        if is_keras_tensor(inputs) and len(inputs.shape) > 2 and inputs.shape[place] is None:
            shape = list(inputs.shape)
            shape[place] = shape_of(values[kernel])[axis]
            values["inputs"] = KerasTensor(shape, dtype=inputs.dtype)
        return infer(function, (), values)

    return spec


def _groups(x: Tensor, kernel: Tensor, layout: str) -> Any:
    """How often the kernel's channels go into those of x; 1 where they do not."""
    if x.ndim < 3 or kernel.ndim < 2:
        return 1
    channels, depth = x.shape[-1 if layout == "channels_last" else 1], kernel.shape[-2]
    divides = is_known_at_least(depth, 1) and is_known_equal(channels % depth, 0)
    return channels // depth if divides else 1


def _conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    padding, layout = standardize_padding("conv", padding), standardize_data_format(data_format)
    x, weights = tensors(inputs, kernel)
    groups = _groups(x, weights, layout)
    return nn.conv(x, weights, strides, padding, layout, dilation_rate, groups)


@op(data=("inputs", "kernel"), spec=_with_channels(_conv, "kernel", -2))
def conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """The cross-correlation with a kernel [spatial..., C / groups, O].

    The number of groups follows from the channels; each group of outputs sees its own channels.
    Raises ShapeError where the kernel's channels do not go into those of the inputs.
    """
    return _conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def _depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    padding = standardize_padding("depthwise_conv", padding)
    layout = standardize_data_format(data_format)
    x, weights = tensors(inputs, kernel)
    return nn.depthwise_conv(x, weights, strides, padding, layout, dilation_rate)


@op(data=("inputs", "kernel"), spec=_with_channels(_depthwise_conv, "kernel", -2))
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """Each channel with M kernels of its own, [spatial..., C, M]: C * M channels."""
    return _depthwise_conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def _separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    padding = standardize_padding("separable_conv", padding)
    layout = standardize_data_format(data_format)
    x, depthwise, pointwise = tensors(inputs, depthwise_kernel, pointwise_kernel)
    return nn.separable_conv(x, depthwise, pointwise, strides, padding, layout, dilation_rate)


@op(
    data=("inputs", "depthwise_kernel", "pointwise_kernel"),
    spec=_with_channels(_separable_conv, "depthwise_kernel", -2),
)
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """A depthwise convolution, then one that mixes channels, with a kernel [1..., C * M, O]."""
    return _separable_conv(
        inputs, depthwise_kernel, pointwise_kernel, strides, padding, data_format, dilation_rate
    )


def _conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    padding = standardize_padding("conv_transpose", padding)
    layout = standardize_data_format(data_format)
    x, weights = tensors(inputs, kernel)
    return nn.conv_transpose(x, weights, strides, padding, output_padding, layout, dilation_rate)


@op(data=("inputs", "kernel"), spec=_with_channels(_conv_transpose, "kernel", -1))
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """The adjoint of a convolution, with a kernel [spatial..., O, C].

    For a size n, a stride s and a kernel that reaches over k places the result has the size
    (n - 1) s + max(k, s) for "valid" and n s for "same"; with an `output_padding` p it has
    (n - 1) s + k + p and (n - 1) s + k % 2 + p.
    """
    return _conv_transpose(
        inputs, kernel, strides, padding, output_padding, data_format, dilation_rate
    )

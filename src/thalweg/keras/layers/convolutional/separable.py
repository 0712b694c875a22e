"""SeparableConv1D, SeparableConv2D: a convolution of each channel, then one across channels."""

from typing import Any

from thalweg.keras import ops
from thalweg.keras.layers.convolutional.convolution import Convolution
from thalweg.keras.layers.convolutional.settings import multiplier_of
from thalweg.keras.symbol import KerasTensor


class _SeparableConv(Convolution):
    WEIGHTS = ("depthwise", "pointwise")
    SETTINGS = (
        "depth_multiplier", "filters", "kernel_size", "strides", "padding", "data_format",
        "dilation_rate",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = filters
        self._check_filters(filters)
        self.depth_multiplier = multiplier_of(type(self).__name__, depth_multiplier)
        self._set_up(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, given
        )

    def _kernel_shape_for(self, input_shape: Any) -> tuple:
        return (*self.kernel_size, self._channels(input_shape), self.depth_multiplier)

    def _pointwise_shape(self, channels: int) -> tuple:
        return (*[1] * self.rank, self.depth_multiplier * channels, self.filters)

    def build(self, input_shape: Any) -> None:
        shape = self._kernel_shape_for(input_shape)
        self.depthwise_kernel = self._weight("depthwise", shape, "depthwise_kernel")
        self.pointwise_kernel = self._weight(
            "pointwise", self._pointwise_shape(shape[-2]), "pointwise_kernel"
        )
        self._make_bias(self.filters)
        self.compute_output_shape(input_shape)

    def _convolved(self, inputs: Any, kernel: Any, padding: str) -> Any:
        pointwise = getattr(self, "pointwise_kernel", None)
        if pointwise is None:
            pointwise = KerasTensor(self._pointwise_shape(kernel.shape[-2]), self.compute_dtype)
        return ops.separable_conv(
            inputs,
            kernel,
            pointwise,
            strides=self.strides,
            padding=padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def call(self, inputs: Any) -> Any:
        return self._finished(self._convolved(inputs, self.depthwise_kernel, self.padding))


class SeparableConv1D(_SeparableConv):
    """A depthwise convolution of (batch, steps, channels), then one of size 1 over channels."""

    rank = 1


class SeparableConv2D(_SeparableConv):
    """A depthwise convolution of images, then one of size 1 over channels."""

    rank = 2

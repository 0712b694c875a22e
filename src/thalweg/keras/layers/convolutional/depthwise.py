"""DepthwiseConv1D, DepthwiseConv2D: a kernel of its own for each channel."""

from typing import Any

from thalweg.keras import ops
from thalweg.keras.layers.convolutional.convolution import Convolution
from thalweg.keras.layers.convolutional.settings import multiplier_of


class _DepthwiseConv(Convolution):
    WEIGHTS = ("depthwise",)
    SETTINGS = (
        "depth_multiplier", "kernel_size", "strides", "padding", "data_format", "dilation_rate",
    )  # fmt: skip

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = multiplier_of(type(self).__name__, depth_multiplier)
        self._set_up(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, given
        )

    def _kernel_shape_for(self, input_shape: Any) -> tuple:
        return (*self.kernel_size, self._channels(input_shape), self.depth_multiplier)

    def build(self, input_shape: Any) -> None:
        shape = self._kernel_shape_for(input_shape)
        self.kernel = self._weight("depthwise", shape, "kernel")
        self._make_bias(self.depth_multiplier * shape[-2])
        self.compute_output_shape(input_shape)

    def _convolved(self, inputs: Any, kernel: Any, padding: str) -> Any:
        return ops.depthwise_conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def call(self, inputs: Any) -> Any:
        return self._finished(self._convolved(inputs, self.kernel, self.padding))


class DepthwiseConv1D(_DepthwiseConv):
    """A kernel of its own for each channel of (batch, steps, channels)."""

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """A kernel of its own for each channel of images."""

    rank = 2

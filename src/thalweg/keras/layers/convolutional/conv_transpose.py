"""Conv1DTranspose, Conv2DTranspose, Conv3DTranspose: the transposes of convolutions."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops
from thalweg.keras.layers.convolutional.convolution import Convolution
from thalweg.keras.layers.convolutional.settings import sizes


class _ConvTranspose(Convolution):
    SETTINGS = (
        "filters", "kernel_size", "strides", "padding", "output_padding", "data_format",
        "dilation_rate",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = filters
        self._check_filters(filters)
        self._set_up(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, given
        )
        self.output_padding = self._output_padding(output_padding)

    def _output_padding(self, value: Any) -> Any:
        if value is None:
            return None
        name = type(self).__name__
        found = sizes("output_padding", value, self.rank, name, allow_zero=True)
        if any(more >= stride for more, stride in zip(found, self.strides, strict=True)):
            raise ArgumentError(
                explain(
                    name,
                    "less output padding than strides",
                    "`output_padding` must be strictly less than `strides`. Received: "
                    f"output_padding={found} and strides={self.strides}",
                )
            )
        return found

    def _kernel_shape_for(self, input_shape: Any) -> tuple:
        return (*self.kernel_size, self.filters, self._channels(input_shape))

    def build(self, input_shape: Any) -> None:
        self.kernel = self._weight("kernel", self._kernel_shape_for(input_shape))
        self._make_bias(self.filters)

    def _convolved(self, inputs: Any, kernel: Any, padding: str) -> Any:
        return ops.conv_transpose(
            inputs,
            kernel,
            strides=list(self.strides),
            padding=padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def call(self, inputs: Any) -> Any:
        return self._finished(self._convolved(inputs, self.kernel, self.padding))


class Conv1DTranspose(_ConvTranspose):
    """The transpose of a convolution over (batch, steps, channels)."""

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """The transpose of a convolution over images."""

    rank = 2


class Conv3DTranspose(_ConvTranspose):
    """The transpose of a convolution over volumes."""

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        *args: Any,
        **kwargs: Any,
    ):
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, *args, **kwargs
        )

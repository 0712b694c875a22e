"""Conv1D, Conv2D, Conv3D: a kernel moved over one to three spatial axes."""

from typing import Any

from thalweg.base.errors import ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.layers.convolutional.convolution import Convolution
from thalweg.keras.layers.weights.low_rank import LowRank


class _Conv(LowRank, Convolution):
    ALLOWS_CAUSAL = True
    SETTINGS = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
    )  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._set_low_rank(lora_rank, lora_alpha)
        self.filters = filters
        self.groups = groups
        self._check_filters(filters, groups)
        self._set_up(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, given
        )

    def _kernel_shape_for(self, input_shape: Any) -> tuple:
        return (*self.kernel_size, self._channels(input_shape) // self.groups, self.filters)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                explain(
                    self.name,
                    "The number of input channels must be evenly divisible by the number of groups",
                    f"groups={self.groups}, but the input has {channels} channels (full input "
                    f"shape is {input_shape})",
                )
            )
        self._kernel = self._weight("kernel", self._kernel_shape_for(input_shape))
        self._make_bias(self.filters)
        self.compute_output_shape(input_shape)

    @property
    def kernel(self) -> Any:
        """The kernel, (*kernel_size, channels // groups, filters), as adapted."""
        return self._readable_main()

    def _convolved(self, inputs: Any, kernel: Any, padding: str) -> Any:
        return ops.conv(
            inputs,
            kernel,
            strides=list(self.strides),
            padding=padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def call(self, inputs: Any) -> Any:
        padded, padding = self._padded(inputs)
        return self._finished(self._convolved(padded, self.kernel, padding))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._low_rank_config()}


class Conv1D(_Conv):
    """Convolution over (batch, steps, channels); padding may be "causal"."""

    rank = 1


class Conv2D(_Conv):
    """Convolution over images (batch, height, width, channels)."""

    rank = 2


class Conv3D(_Conv):
    """Convolution over volumes (batch, depth, height, width, channels)."""

    rank = 3

"""Convolutions: plain, transposed, depthwise and separable, of one to three spatial axes."""

from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import activations, constraints, initializers, ops, regularizers
from thalweg.keras.layers.convolutional.settings import padding_of, sizes
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.symbol import KerasTensor


class Convolution(Layer):
    """What all convolutions share: sizes, padding, bias, activation, weights and config.

    `WEIGHTS` lists the kinds of weights by the start of their arguments' names, `SETTINGS` the
    arguments before them in configs.
    """

    rank: int
    WEIGHTS: tuple[str, ...] = ("kernel",)
    SETTINGS: tuple[str, ...] = ()
    ALLOWS_CAUSAL = False

    def _set_up(
        self,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        data_format: Any,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        settings: dict[str, Any],
    ) -> None:
        name = type(self).__name__
        self.kernel_size = sizes("kernel_size", kernel_size, self.rank, name)
        self.strides = sizes("strides", strides, self.rank, name)
        self.dilation_rate = sizes("dilation_rate", dilation_rate, self.rank, name)
        self.padding = padding_of(padding, name, self.ALLOWS_CAUSAL and self.rank == 1)
        self.data_format = standardize_data_format(data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        for kind in (*self.WEIGHTS, "bias"):
            setattr(self, f"{kind}_initializer", initializers.get(settings[f"{kind}_initializer"]))
            setattr(self, f"{kind}_regularizer", regularizers.get(settings[f"{kind}_regularizer"]))
            setattr(self, f"{kind}_constraint", constraints.get(settings[f"{kind}_constraint"]))
        self.input_spec = InputSpec(min_ndim=self.rank + 2)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                explain(
                    name,
                    "strides or dilation",
                    "`strides > 1` not supported in conjunction with `dilation_rate > 1`. Received: "
                    f"strides={self.strides} and dilation_rate={self.dilation_rate}",
                )
            )
        if self.padding == "causal" and self.data_format == "channels_first":
            raise ArgumentError(
                explain(
                    name, "channels_last for causal padding", "padding='causal', channels_first"
                )
            )

    def _check_filters(self, filters: Any, groups: int = 1) -> None:
        name = type(self).__name__
        if filters is not None and (not isinstance(filters, int) or filters <= 0):
            raise ArgumentError(
                explain(
                    name,
                    "a number of filters above 0",
                    "Invalid value for argument `filters`. Expected a strictly positive value. "
                    f"Received filters={filters}.",
                )
            )
        if groups <= 0:
            raise ArgumentError(
                explain(
                    name,
                    "a number of groups above 0",
                    f"The number of groups must be a positive integer. Received: groups={groups}.",
                )
            )
        if filters is not None and filters % groups:
            raise ArgumentError(
                explain(
                    name,
                    "groups of equal size",
                    "The number of filters must be evenly divisible by the number of groups. "
                    f"Received: groups={groups}, filters={filters}.",
                )
            )

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _channels(self, input_shape: Any) -> int:
        channels = input_shape[self._channel_axis]
        if channels is None:
            raise ShapeError(
                explain(
                    self.name,
                    "a known number of channels; The channel dimension of the inputs should be "
                    "defined",
                    f"The input_shape received is {input_shape}, where axis {self._channel_axis} "
                    "(0-based) is the channel dimension, which found to be `None`.",
                )
            )
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self._channel_axis: channels})
        return channels

    def _weight(self, kind: str, shape: tuple[int, ...], name: str | None = None) -> Any:
        return self.add_weight(
            name=name or kind,
            shape=shape,
            initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

    def _make_bias(self, filters: int) -> None:
        self.bias = self._weight("bias", (filters,)) if self.use_bias else None

    def _finished(self, outputs: Any) -> Any:
        """With bias and activation."""
        if self.bias is not None:
            if self.data_format == "channels_last":
                outputs = ops.add(outputs, self.bias)
            else:
                outputs = ops.add(outputs, ops.reshape(self.bias, (1, -1, *[1] * self.rank)))
        return outputs if self.activation is None else self.activation(outputs)

    def _padded(self, inputs: Any) -> tuple[Any, str]:
        """The inputs and the padding that is left, with causal zeros put before."""
        if self.padding != "causal":
            return inputs, self.padding
        before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
        return ops.pad(inputs, ((0, 0), (before, 0), (0, 0))), "valid"

    def compute_output_shape(self, input_shape: Any) -> tuple:
        symbol = KerasTensor(input_shape, dtype=self.compute_dtype)
        shape, dtype = self._kernel_shape_for(input_shape), self.compute_dtype
        padded, padding = self._padded(symbol)
        try:
            return self._convolved(padded, KerasTensor(shape, dtype=dtype), padding).shape
        except ShapeError as error:
            raise ShapeError(
                explain(
                    self.name,
                    "an input that the kernel fits into. Computed output size would be zero or "
                    "negative.",
                    f"input_shape={tuple(input_shape)}, kernel_size={self.kernel_size}, "
                    f"dilation_rate={self.dilation_rate}: {error.message}",
                )
            ) from None

    def _kernel_shape_for(self, input_shape: Any) -> tuple:
        raise NotImplementedError

    def _convolved(self, inputs: Any, kernel: Any, padding: str) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in self.SETTINGS:
            config[name] = getattr(self, name)
        config["activation"] = activations.serialize(self.activation)
        config["use_bias"] = self.use_bias
        kinds = (*self.WEIGHTS, "bias")
        parts = (
            ("initializer", initializers),
            ("regularizer", regularizers),
            ("constraint", constraints),
        )
        for part, module in parts:
            for kind in kinds:
                config[f"{kind}_{part}"] = module.serialize(getattr(self, f"{kind}_{part}"))
            if part == "regularizer":
                config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config


class _Conv(Convolution):
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
        **kwargs: Any,
    ):
        given = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
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
        """The kernel, (*kernel_size, channels // groups, filters)."""
        return self._kernel

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


class Conv1D(_Conv):
    """Convolution over (batch, steps, channels); padding may be "causal"."""

    rank = 1


class Conv2D(_Conv):
    """Convolution over images (batch, height, width, channels)."""

    rank = 2


class Conv3D(_Conv):
    """Convolution over volumes (batch, depth, height, width, channels)."""

    rank = 3


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
        return sizes("output_padding", value, self.rank, type(self).__name__, allow_zero=True)

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
        self.depth_multiplier = _multiplier(type(self).__name__, depth_multiplier)
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


def _multiplier(layer: str, value: Any) -> int:
    if value is None or value <= 0:
        raise ArgumentError(
            explain(
                layer,
                "a multiplier above 0",
                "Invalid value for argument `depth_multiplier`. Expected a strictly positive value. "
                f"Received depth_multiplier={value}.",
            )
        )
    return value


class DepthwiseConv1D(_DepthwiseConv):
    """A kernel of its own for each channel of (batch, steps, channels)."""

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """A kernel of its own for each channel of images."""

    rank = 2


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
        self.depth_multiplier = _multiplier(type(self).__name__, depth_multiplier)
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

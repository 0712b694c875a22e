"""Convolution: what the plain, transposed, depthwise and separable convolutions share."""

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
                    "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
                    f"Received: strides={self.strides} and dilation_rate={self.dilation_rate}",
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
                    "Invalid value for argument `filters`. Expected a strictly positive "
                    f"value. Received filters={filters}.",
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

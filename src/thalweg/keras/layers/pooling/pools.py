"""Pooling: the greatest or the mean of windows, of everything, or of a given number of parts."""

from collections.abc import Callable
from typing import Any

from thalweg.keras import ops
from thalweg.keras.layers.convolutional.settings import padding_of, sizes
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.symbol import KerasTensor


class _Pooling(Layer):
    rank: int
    op: Callable

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        layer = type(self).__name__
        self.pool_size = sizes("pool_size", pool_size, self.rank, layer)
        given = pool_size if strides is None else strides
        self.strides = sizes("strides", given, self.rank, layer)
        self.padding = padding_of(padding, layer, allow_causal=False)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return type(self).op(
            inputs,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return self.call(KerasTensor(input_shape, dtype=self.compute_dtype)).shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class MaxPooling1D(_Pooling):
    """The greatest of windows of (batch, steps, channels)."""

    rank = 1
    op = ops.max_pool

    def __init__(self, pool_size: Any = 2, *args: Any, **kwargs: Any):
        super().__init__(pool_size, *args, **kwargs)


class MaxPooling2D(_Pooling):
    """The greatest of windows of images."""

    rank = 2
    op = ops.max_pool

    def __init__(self, pool_size: Any = (2, 2), *args: Any, **kwargs: Any):
        super().__init__(pool_size, *args, **kwargs)


class MaxPooling3D(_Pooling):
    """The greatest of windows of volumes."""

    rank = 3
    op = ops.max_pool

    def __init__(self, pool_size: Any = (2, 2, 2), *args: Any, **kwargs: Any):
        super().__init__(pool_size, *args, **kwargs)


class AveragePooling1D(_Pooling):
    """The mean of windows of (batch, steps, channels); padding does not count."""

    rank = 1
    op = ops.average_pool


class AveragePooling2D(_Pooling):
    """The mean of windows of images; padding does not count."""

    rank = 2
    op = ops.average_pool


class AveragePooling3D(_Pooling):
    """The mean of windows of volumes; padding does not count."""

    rank = 3
    op = ops.average_pool


class _GlobalPooling(Layer):
    rank: int
    op: Callable

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    @property
    def _axes(self) -> tuple[int, ...]:
        start = 1 if self.data_format == "channels_last" else 2
        return tuple(range(start, start + self.rank))

    def call(self, inputs: Any) -> Any:
        return type(self).op(inputs, axis=self._axes, keepdims=self.keepdims)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        kept = [1 if axis in self._axes else size for axis, size in enumerate(input_shape)]
        if self.keepdims:
            return tuple(kept)
        return tuple(size for axis, size in enumerate(kept) if axis not in self._axes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over the steps of (batch, steps, channels), of those that the mask keeps."""

    rank = 1
    op = ops.mean

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        axis = self._axes[0]
        mask = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if axis == 1 else 1)
        total = ops.sum(inputs * mask, axis=axis, keepdims=self.keepdims)
        return total / ops.sum(mask, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over height and width of images."""

    rank = 2
    op = ops.mean


class GlobalAveragePooling3D(_GlobalPooling):
    """The mean over the spatial axes of volumes."""

    rank = 3
    op = ops.mean


class GlobalMaxPooling1D(_GlobalPooling):
    """The greatest over the steps of (batch, steps, channels)."""

    rank = 1
    op = ops.max


class GlobalMaxPooling2D(_GlobalPooling):
    """The greatest over height and width of images."""

    rank = 2
    op = ops.max


class GlobalMaxPooling3D(_GlobalPooling):
    """The greatest over the spatial axes of volumes."""

    rank = 3
    op = ops.max


class _AdaptivePooling(Layer):
    rank: int
    op: Callable

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = sizes("output_size", output_size, self.rank, type(self).__name__)
        self.data_format = standardize_data_format(data_format)

    def call(self, inputs: Any) -> Any:
        return type(self).op(inputs, output_size=self.output_size, data_format=self.data_format)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        if self.data_format == "channels_last":
            return (input_shape[0], *self.output_size, input_shape[-1])
        return (input_shape[0], input_shape[1], *self.output_size)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "data_format": self.data_format,
        }


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The means of `output_size` parts of the steps."""

    rank = 1
    op = ops.adaptive_average_pool


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """The means of `output_size` parts of images."""

    rank = 2
    op = ops.adaptive_average_pool


class AdaptiveAveragePooling3D(_AdaptivePooling):
    """The means of `output_size` parts of volumes."""

    rank = 3
    op = ops.adaptive_average_pool


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """The greatest of `output_size` parts of the steps."""

    rank = 1
    op = ops.adaptive_max_pool


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """The greatest of `output_size` parts of images."""

    rank = 2
    op = ops.adaptive_max_pool


class AdaptiveMaxPooling3D(_AdaptivePooling):
    """The greatest of `output_size` parts of volumes."""

    rank = 3
    op = ops.adaptive_max_pool

"""Layers that take rows off the borders, add zeros there, or repeat elements."""

from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer
from thalweg.keras.settings import standardize_data_format

Pairs = tuple[tuple[int, int], ...]
INTERPOLATIONS = ("nearest", "bilinear", "lanczos3", "lanczos5", "bicubic")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _pairs(layer: str, name: str, value: Any, rank: int) -> Pairs:
    """What is taken or added before and behind each spatial axis.

    n -> n everywhere; (a, b, ...) -> as much on both sides of each axis; ((a, b), ...) as given.
    """
    if _is_count(value):
        return ((value, value),) * rank
    if isinstance(value, (list, tuple)) and len(value) == rank:
        found = [(each, each) if _is_count(each) else each for each in value]
        if all(
            isinstance(each, (list, tuple)) and len(each) == 2 and all(map(_is_count, each))
            for each in found
        ):
            return tuple((int(a), int(b)) for a, b in found)
    if hasattr(value, "__len__") and len(value) != rank:
        text = f"`{name}` should have {'two' if rank == 2 else rank} elements. "
    else:
        text = f"`{name}` should be either an int, a tuple of {rank} ints, or a tuple of {rank} "
        text += "tuples of 2 ints. "
    raise ArgumentError(
        explain(
            layer,
            f"a count, {rank} counts or {rank} pairs of counts, none negative; {text}",
            f"{name}={value}",
        )
    )


def _line(layer: str, name: str, value: Any) -> tuple[int, int]:
    """The same for one axis: n or (before, behind)."""
    if _is_count(value):
        return (value, value)
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_count, value)):
        return (value[0], value[1])
    raise ArgumentError(
        explain(
            layer,
            f"a count or a pair of counts; The `{name}` argument must be a tuple of 2 integers",
            f"{name}={value}",
        )
    )


class _Spatial(Layer):
    """A layer over the spatial axes of (batch, *spatial, channels), or channels first."""

    rank: int

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _start(self) -> int:
        return 2 if self.data_format == "channels_first" else 1

    def _with_sizes(self, shape: Any, function: Any) -> tuple:
        """The shape with the spatial sizes changed: `function(index, size)`."""
        found = list(shape)
        for index in range(self.rank):
            axis = index + self._start
            if found[axis] is not None:
                found[axis] = function(index, found[axis])
        return tuple(found)


class _Cropping(_Spatial):
    cropping: Any
    TOO_MUCH = (
        "Values in `cropping` argument should be smaller than the corresponding spatial dimension "
        "of the input."
    )

    def _crop(self) -> Pairs:
        return self.cropping

    def compute_output_shape(self, input_shape: Any) -> tuple:
        kind = type(self).__name__

        def cropped(index: int, size: int) -> int:
            rest = size - sum(self._crop()[index])
            if rest <= 0:
                raise ShapeError(
                    explain(
                        self.name,
                        f"to leave something of each axis; `cropping` parameter of `{kind}` layer "
                        "must be smaller than the input shape",
                        "Values in `cropping` argument should be smaller than the corresponding "
                        f"spatial dimension of the input. input_shape={tuple(input_shape)}, "
                        f"cropping={self.cropping}",
                    )
                )
            return rest

        return self._with_sizes(input_shape, cropped)

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape(
            tuple(size if isinstance(size, int) else None for size in inputs.shape)
        )
        parts: list[Any] = [slice(None)] * len(inputs.shape)
        for index, (before, behind) in enumerate(self._crop()):
            parts[index + self._start] = slice(before, -behind if behind else None)
        return inputs[tuple(parts)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class Cropping1D(_Cropping):
    """(batch, steps, channels) without `cropping` steps at the ends."""

    rank = 1
    TOO_MUCH = "`cropping` parameter of `Cropping1D` layer must be smaller than the input's steps."

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__("channels_last", **kwargs)
        self.cropping = _line("Cropping1D", "cropping", cropping)

    def _crop(self) -> Pairs:
        return (self.cropping,)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("data_format")
        return config


class Cropping2D(_Cropping):
    """Images without `cropping` rows and columns at the borders."""

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: Any = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.cropping = _pairs("Cropping2D", "cropping", cropping, 2)


class Cropping3D(_Cropping):
    """Volumes without `cropping` slices at the borders."""

    rank = 3

    def __init__(
        self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: Any = None, **kwargs: Any
    ):
        super().__init__(data_format, **kwargs)
        self.cropping = _pairs("Cropping3D", "cropping", cropping, 3)


class _ZeroPadding(_Spatial):
    padding: Any

    def _pad(self) -> Pairs:
        return self.padding

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return self._with_sizes(input_shape, lambda index, size: size + sum(self._pad()[index]))

    def call(self, inputs: Any) -> Any:
        pairs = [(0, 0)] * len(inputs.shape)
        pairs[self._start : self._start + self.rank] = self._pad()
        return ops.pad(inputs, tuple(pairs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class ZeroPadding1D(_ZeroPadding):
    """(batch, steps, channels) with `padding` zeros at the ends."""

    rank = 1

    def __init__(self, padding: Any = 1, data_format: Any = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.padding = _line("ZeroPadding1D", "padding", padding)

    def _pad(self) -> Pairs:
        return (self.padding,)


class ZeroPadding2D(_ZeroPadding):
    """Images with `padding` rows and columns of zeros at the borders."""

    rank = 2

    def __init__(self, padding: Any = (1, 1), data_format: Any = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.padding = _pairs("ZeroPadding2D", "padding", padding, 2)


class ZeroPadding3D(_ZeroPadding):
    """Volumes with `padding` slices of zeros at the borders."""

    rank = 3

    def __init__(
        self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: Any = None, **kwargs: Any
    ):
        super().__init__(data_format, **kwargs)
        self.padding = _pairs("ZeroPadding3D", "padding", padding, 3)


class _UpSampling(_Spatial):
    size: Any

    def _sizes(self) -> Sequence[int]:
        return self.size

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return self._with_sizes(input_shape, lambda index, size: size * self._sizes()[index])

    def call(self, inputs: Any) -> Any:
        for index, times in enumerate(self._sizes()):
            inputs = ops.repeat(inputs, times, axis=index + self._start)
        return inputs


def _sizes(layer: str, size: Any, rank: int) -> tuple[int, ...]:
    found = (size,) * rank if isinstance(size, int) else tuple(size)
    if len(found) != rank or not all(isinstance(each, int) and each > 0 for each in found):
        raise ArgumentError(
            explain(layer, f"{rank} size(s); `size` should be a positive integer", f"size={size}")
        )
    return found


class UpSampling1D(_UpSampling):
    """Each step `size` times."""

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__("channels_last", **kwargs)
        if not isinstance(size, int) or isinstance(size, bool):
            given = f"size={size!r} of {type(size).__name__}"
            raise ArgumentTypeError(
                explain("UpSampling1D", "an integer. Expected an integer value for `size`", given)
            )
        self.size = _sizes("UpSampling1D", size, 1)[0]

    def _sizes(self) -> Sequence[int]:
        return (self.size,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


class UpSampling2D(_UpSampling):
    """Images `size` times as high and wide, each pixel repeated or interpolated."""

    rank = 2

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: Any = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(data_format, **kwargs)
        self.size = _sizes("UpSampling2D", size, 2)
        self.interpolation = str(interpolation).lower()
        if self.interpolation not in INTERPOLATIONS:
            raise ArgumentError(
                explain(
                    "UpSampling2D",
                    f"`interpolation` argument should be one of {INTERPOLATIONS}",
                    f"interpolation={interpolation}",
                )
            )

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        start = self._start
        sizes = inputs.shape[start : start + 2]
        wanted = tuple(size * times for size, times in zip(sizes, self.size, strict=True))
        return ops.image.resize(
            inputs, wanted, data_format=self.data_format, interpolation=self.interpolation
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }


class UpSampling3D(_UpSampling):
    """Volumes `size` times as large, each element repeated."""

    rank = 3

    def __init__(self, size: Any = (2, 2, 2), data_format: Any = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.size = _sizes("UpSampling3D", size, 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}

"""What image ops ask of their arguments, for tensors and for KerasTensors alike."""

from collections.abc import Collection
from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras.dtypes import is_float_dtype
from thalweg.keras.ops.operands import Size, Sizes, shape_of
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.variable import tensor


def check_images(name: str, images: Any, data_format: Any) -> tuple[Sizes, str]:
    """The shape of one image or a batch, None where unknown, and the data format."""
    layout = standardize_data_format(data_format)
    shape = shape_of(images)
    if len(shape) not in (3, 4):
        raise ShapeError(
            explain(
                name,
                "an image of rank 3 or a batch of rank 4. Invalid images rank: expected rank 3 "
                "(single image) or rank 4 (batch of images)",
                f"images.shape={shape}",
                "Write images[..., None] for a single channel." if len(shape) == 2 else "",
            )
        )
    return shape, layout


def places(rank: int, data_format: str) -> tuple[int, int, int]:
    """The axes of rows, columns and channels."""
    first = rank - 3
    if data_format == "channels_first":
        return first + 1, first + 2, first
    return first, first + 1, first + 2


def check_colours(name: str, images: Any, data_format: Any) -> tuple[Sizes, str]:
    """As check_images, for float images with three channels."""
    shape, layout = check_images(name, images, data_format)
    dtype = images.dtype if hasattr(images, "dtype") else tensor(images).dtype
    if not is_float_dtype(dtype):
        raise ArgumentError(
            explain(
                name,
                "images of floats, from 0 to 1. Invalid images dtype: expected float dtype",
                f"images.dtype={dtype}",
                "Write keras.ops.cast(images, 'float32') / 255.",
            )
        )
    channels = shape[places(len(shape), layout)[2]]
    if channels not in (3, None):
        raise ShapeError(
            explain(
                name,
                "colour images. Input images must have 3 channels, but received images with "
                f"{channels} channels",
                f"images.shape={shape}, data_format={layout!r}",
            )
        )
    return shape, layout


def check_choice(name: str, argument: str, value: Any, among: Collection[str]) -> None:
    """One of several words. Raises ArgumentError."""
    if value not in among:
        raise ArgumentError(
            explain(
                name,
                f"`{argument}` among {', '.join(map(repr, among))}",
                f"Invalid value for argument `{argument}`: {argument}={value!r}",
            )
        )


def resized(shape: Sizes, data_format: str, height: Size, width: Size) -> Sizes:
    """The shape with another height and width."""
    found = list(shape)
    rows, columns, _ = places(len(shape), data_format)
    found[rows], found[columns] = height, width
    return tuple(found)

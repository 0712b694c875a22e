"""Images of another size: resized, cropped, padded, cut into patches."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.array import image
from thalweg.array.creation import arange, size
from thalweg.array.data_types import astype
from thalweg.array.elementwise import add, clip, round
from thalweg.array.indexing import take
from thalweg.array.manipulation import pad
from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import Dim, dim_max, dim_min
from thalweg.keras.operation import op
from thalweg.keras.ops.image.checks import check_choice, check_images, places, resized
from thalweg.keras.ops.operands import like
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

INTERPOLATIONS = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")

# Resizing -----------------------------------------------------------------------------------------


def _check_resize(
    images: Any,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> tuple[tuple, str, tuple[int, int]]:
    name = "resize"
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ArgumentError(
            explain(name, "`size` to be a tuple of 2 integers, (height, width)", f"size={size!r}")
        )
    height, width = (operator.index(each) for each in size)
    if height <= 0 or width <= 0:
        raise ArgumentError(
            explain(
                name,
                "a height and a width of at least 1; `size` must have positive height and width",
                f"size={tuple(size)}",
            )
        )
    shape, layout = check_images(name, images, data_format)
    check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
    check_choice(name, "fill_mode", fill_mode, ("constant",))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError(
            explain(
                name,
                "only one of `pad_to_aspect_ratio` and `crop_to_aspect_ratio` to be True",
                "both",
            )
        )
    return shape, layout, (height, width)


def _resize_spec(images: Any, size: Any, **settings: Any) -> KerasTensor:
    shape, layout, (height, width) = _check_resize(images, size, **settings)
    return like(images, resized(shape, layout, height, width))


@op(data=("images",), spec=_resize_spec)
def resize(
    images: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """The images at another size (height, width): (B, H, W, C) -> (B, h, w, C).

    `interpolation` is "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5"; with `antialias`
    no pixel is left out where images shrink. To keep the proportions, `crop_to_aspect_ratio` first
    cuts off what is too much at both ends, `pad_to_aspect_ratio` first adds `fill_value` there. The
    element type stays; integers are rounded and held within their type.
    """
    _, layout, target = _check_resize(
        images, size, interpolation, antialias, crop_to_aspect_ratio, pad_to_aspect_ratio,
        fill_mode, fill_value, data_format,
    )  # fmt: skip
    x = tensor(images)
    if crop_to_aspect_ratio:
        x = _cropped_to(x, layout, *target)
    elif pad_to_aspect_ratio:
        x = _padded_to(x, layout, *target, fill_value)
    found = image.resize(
        x, target, interpolation=interpolation, antialias=bool(antialias), data_format=layout
    )
    return _like(found, x)


def _like(found: Tensor, x: Tensor) -> Tensor:
    """Floats in the element type of x: integers are rounded and held within their type."""
    if found.dtype is x.dtype:
        return found
    if x.dtype.is_integer:
        limits = np.iinfo(x.dtype.numpy)
        found = clip(round(found), float(limits.min), float(limits.max))
    return astype(found, x.dtype)


def _cropped_to(x: Tensor, layout: str, height: int, width: int) -> Tensor:
    """The largest part in the middle that has the proportions of a target."""
    rows, columns, _ = places(x.ndim, layout)
    old_height, old_width = x.shape[rows], x.shape[columns]
    new_height = dim_max(dim_min(old_height, old_width * height // width), 1)
    new_width = dim_max(dim_min(old_width, old_height * width // height), 1)
    x = _middle(x, rows, old_height, new_height)
    return _middle(x, columns, old_width, new_width)


def _middle(x: Tensor, axis: int, old: Any, new: Any) -> Tensor:
    if isinstance(old, int) and isinstance(new, int):
        start = (old - new) // 2
        key = (slice(None),) * axis + (slice(start, start + new),)
        return x[key] if new != old else x
    # Named sizes: which places these are is computed.
    start = (old - new) // 2
    first = size(start) if isinstance(start, Dim) else start
    return take(x, add(arange(new), first), axis=axis)


def _padded_to(x: Tensor, layout: str, height: int, width: int, fill: Any) -> Tensor:
    """The images in the middle of the smallest ground that has the proportions of a target."""
    rows, columns, _ = places(x.ndim, layout)
    old_height, old_width = x.shape[rows], x.shape[columns]
    above = (dim_max(old_height, old_width * height // width) - old_height) // 2
    left = (dim_max(old_width, old_height * width // height) - old_width) // 2
    widths: list[tuple[Any, Any]] = [(0, 0)] * x.ndim
    widths[rows], widths[columns] = (above, above), (left, left)
    return pad(x, widths, constant_values=astype(tensor(fill), x.dtype))


# Cropping and padding -----------------------------------------------------------------------------


def _edges(
    name: str, what: str, sides: tuple[str, str, str], given: tuple[Any, Any, Any], size: Any
) -> tuple[Any, Any, Any]:
    """Before, after and target along an axis, of which two are given; any may stay unknown.

    `what` is "padding", which adds up to the target, or "cropping", which is taken off.
    """
    before, after, target = given
    if sum(each is None for each in given) != 1:
        names = f"{sides[0]}_{what}, {sides[1]}_{what}, target_{sides[2]}"
        raise ArgumentError(
            explain(
                name,
                f"two numbers of three along an axis. Must specify exactly two of {names}",
                f"{sides[0]}_{what}={before}, {sides[1]}_{what}={after}, "
                f"target_{sides[2]}={target}",
            )
        )
    labels = (f"{sides[0]}_{what}", f"{sides[1]}_{what}", f"target_{sides[2]}")
    _check_positive(name, labels, given, size)
    if size is None:
        return given
    sign = 1 if what == "padding" else -1
    if target is None:
        target = size + sign * (before + after)
    elif before is None:
        before = sign * (target - size) - after
    else:
        after = sign * (target - size) - before
    _check_positive(name, labels, (before, after, target), size)
    return before, after, target


def _check_positive(name: str, labels: Sequence[str], values: Sequence[Any], size: Any) -> None:
    for label, value in zip(labels, values, strict=True):
        if isinstance(value, int) and value < 0:
            raise ArgumentError(
                explain(
                    name,
                    f"edges and sizes of zero or more; {label} must be >= 0",
                    f"{label}={value} for {size} pixels",
                )
            )


HEIGHT, WIDTH = ("top", "bottom", "height"), ("left", "right", "width")


def _pad_spec(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> KerasTensor:
    name = "pad_images"
    shape, layout = check_images(name, images, data_format)
    rows, columns, _ = places(len(shape), layout)
    given = (top_padding, bottom_padding, target_height)
    height = _edges(name, "padding", HEIGHT, given, shape[rows])[2]
    given = (left_padding, right_padding, target_width)
    width = _edges(name, "padding", WIDTH, given, shape[columns])[2]
    return like(images, resized(shape, layout, height, width))


@op(data=("images",), spec=_pad_spec)
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """The images with zeros around: (B, H, W, C) -> (B, height, width, C).

    Of `top_padding`, `bottom_padding` and `target_height` two are given, and two of those for the
    width. Raises ArgumentError for negative ones.
    """
    name = "pad_images"
    x = tensor(images)
    _, layout = check_images(name, x, data_format)
    rows, columns, _ = places(x.ndim, layout)
    given = (top_padding, bottom_padding, target_height)
    top, bottom, _ = _edges(name, "padding", HEIGHT, given, x.shape[rows])
    given = (left_padding, right_padding, target_width)
    left, right, _ = _edges(name, "padding", WIDTH, given, x.shape[columns])
    widths: list[tuple[Any, Any]] = [(0, 0)] * x.ndim
    widths[rows], widths[columns] = (top, bottom), (left, right)
    return pad(x, widths)


def _crop_spec(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> KerasTensor:
    name = "crop_images"
    shape, layout = check_images(name, images, data_format)
    rows, columns, _ = places(len(shape), layout)
    found = []
    for axis, sides, given in (
        (rows, HEIGHT, (top_cropping, bottom_cropping, target_height)),
        (columns, WIDTH, (left_cropping, right_cropping, target_width)),
    ):
        target = _edges(name, "cropping", sides, given, shape[axis])[2]
        if target is None:
            raise ArgumentError(
                explain(
                    name,
                    f"a target_{sides[2]}. When the {sides[2]} of the images is unknown, "
                    f"`target_{sides[2]}` must be given",
                    f"images.shape={shape}, target_{sides[2]}=None",
                )
            )
        found.append(target)
    return like(images, resized(shape, layout, *found))


@op(data=("images",), spec=_crop_spec)
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """The images without their margins: (B, H, W, C) -> (B, height, width, C).

    Of `top_cropping`, `bottom_cropping` and `target_height` two are given, and two of those for the
    width. Raises ArgumentError for negative ones.
    """
    name = "crop_images"
    x = tensor(images)
    _, layout = check_images(name, x, data_format)
    rows, columns, _ = places(x.ndim, layout)
    given = (top_cropping, bottom_cropping, target_height)
    top, _, height = _edges(name, "cropping", HEIGHT, given, x.shape[rows])
    given = (left_cropping, right_cropping, target_width)
    left, _, width = _edges(name, "cropping", WIDTH, given, x.shape[columns])
    return image.crop(x, top, left, height, width, data_format=layout)


# Patches ------------------------------------------------------------------------------------------


def _whole(value: Any) -> Any:
    """An integer, or a tuple of them, of Python."""
    if isinstance(value, (tuple, list)):
        return tuple(operator.index(each) for each in value)
    return operator.index(value)


def _patches(
    name: str, images: Any, size: Any, strides: Any, rate: Any, padding: str, layout: str
) -> Tensor:
    check_choice(name, "padding", padding, ("valid", "same"))
    steps = None if strides is None else _whole(strides)
    return image.extract_patches(
        tensor(images), _whole(size), steps, dilation_rate=_whole(rate), padding=padding,
        data_format=layout,
    )  # fmt: skip


@op(data=("images",))
def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of images or volumes, their pixels one after another as channels.

    (B, H, W, C) -> (B, rows, columns, h * w * C) for patches of a size (h, w), or of one integer,
    which begin `strides` apart, by default side by side; their pixels lie `dilation_rate` apart. A
    size of three integers cuts volumes. `padding` is "valid" or "same".
    """
    name = "extract_patches"
    if not isinstance(size, (int, tuple, list)) or isinstance(size, bool):
        raise ArgumentTypeError(
            explain(
                name,
                "`size` as one number or several. Expected an int or a tuple",
                f"size={size!r} of type {type(size).__name__}",
            )
        )
    if not isinstance(size, int) and len(size) not in (2, 3):
        raise ArgumentError(
            explain(
                name,
                "2 numbers for images, 3 for volumes. Expected a tuple of length 2 or 3",
                f"size={size}",
            )
        )
    layout = standardize_data_format(data_format)
    return _patches(name, images, size, strides, dilation_rate, padding, layout)


@op(data=("volumes",))
def extract_patches_3d(
    volumes: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of volumes, (B, D, H, W, C) -> (B, planes, rows, columns, d * h * w * C).

    As `extract_patches`; one integer as `size` stands for three.
    """
    name = "extract_patches_3d"
    whole = (size,) * 3 if isinstance(size, int) else size
    if not isinstance(whole, (tuple, list)) or len(whole) != 3:
        raise ArgumentTypeError(
            explain(
                name,
                "`size` as one number or three. Expected an int or a tuple of length 3",
                f"size={size!r}",
            )
        )
    layout = standardize_data_format(data_format)
    return _patches(name, volumes, whole, strides, dilation_rate, padding, layout)

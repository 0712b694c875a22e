"""Pictures: reading and writing files, and conversion between Pillow's images and arrays.

Arrays are (height, width, channels), or (channels, height, width) for "channels_first".
"""

import io
import os
import pathlib
from typing import Any

import numpy as np

from thalweg.array.creation import asarray
from thalweg.array.image import resize
from thalweg.array.manipulation import expand_dims, squeeze
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim
from thalweg.keras import door, settings
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.utils.messages import warn

RESAMPLING = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
COLOR_MODES = {"grayscale": 1, "rgb": 3, "rgba": 4}
RESIZE_METHODS = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")


def _data_format(where: str, data_format: str | None) -> str:
    if data_format is not None and data_format not in settings.DATA_FORMATS:
        raise ArgumentError(
            explain(
                where,
                f"The `data_format` argument to be one of {settings.DATA_FORMATS}",
                f"data_format={data_format}",
            )
        )
    return data_format or settings.image_data_format()


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """The Pillow image of an array (height, width, 1, 3 or 4), grey, RGB or RGBA.

    With `scale` the values are spread over 0 to 255; without, they are taken as they are, and a
    grey image with values above 255 has 32 bits a pixel. `dtype` is the type to compute in.

    Errors: ShapeError for another rank or number of channels; MissingLibraryError without Pillow.
    """
    image = door.pillow_image("array_to_img")
    data_format = _data_format("array_to_img", data_format)
    x = np.asarray(x, _numpy_dtype(dtype))
    if x.ndim != 3:
        raise ShapeError(
            explain(
                "array_to_img",
                "Expected image array to have rank 3 (single image)",
                f"shape {x.shape}",
                "Convert the images of a batch one by one: [array_to_img(each) for each in x].",
            )
        )
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - np.min(x)
        highest = np.max(x)
        x = (x / highest if highest != 0 else x) * 255
    channels = x.shape[2]
    if channels == 1:
        grey = x[..., 0]
        if np.max(grey) > 255:
            return image.fromarray(grey.astype(np.int32))
        return image.fromarray(grey.astype(np.int64).astype(np.uint8))
    if channels not in (3, 4):
        raise ShapeError(
            explain("array_to_img", "1, 3 or 4 channels", f"Unsupported channel number: {channels}")
        )
    return image.fromarray(x.astype(np.int64).astype(np.uint8))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """The array (height, width, channels) of a Pillow image or array; floatx by default.

    Errors: ShapeError for an image of another rank than 2 or 3.
    """
    data_format = _data_format("img_to_array", data_format)
    x = np.asarray(img).astype(_numpy_dtype(dtype))
    if x.ndim == 3:
        return x.transpose(2, 0, 1) if data_format == "channels_first" else x
    if x.ndim == 2:
        return x[None] if data_format == "channels_first" else x[..., None]
    raise ShapeError(
        explain("img_to_array", "an image of rank 2 or 3", f"Unsupported image shape: {x.shape}")
    )


def _numpy_dtype(dtype: Any) -> np.dtype:
    return np.dtype(standardize_dtype(dtype))


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as a picture; the format follows the file's ending where it is not given.

    JPEG has no transparency: an RGBA image is written as RGB, with a warning. Further arguments go
    to Pillow's `save`.
    """
    image = array_to_img(x, _data_format("save_img", data_format), scale)
    if file_format is None and isinstance(path, str | os.PathLike):
        ending = pathlib.Path(path).suffix[1:].lower()
    else:
        ending = (file_format or "").lower()
    if image.mode == "RGBA" and ending in ("jpg", "jpeg"):
        warn("The JPEG format does not support RGBA images, converting to RGB.")
        image = image.convert("RGB")
    if file_format is not None:
        file_format = "jpeg" if file_format.lower() == "jpg" else file_format
    image.save(path, format=file_format, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """The Pillow image in a file, converted to "grayscale", "rgb" or "rgba".

    With `target_size` (height, width) it is resized; with `keep_aspect_ratio` cropped in the middle
    before that. `path` is a path or an `io.BytesIO`. Grey images of 16 or 32 bits stay so.

    Errors: ArgumentError for an unknown colour mode or interpolation, and for a file that is no
    picture; ArgumentTypeError for another kind of path; FileNotFoundError.
    """
    image = door.pillow_image("load_img")
    if color_mode not in COLOR_MODES:
        raise ArgumentError(
            explain(
                "load_img",
                'color_mode must be "grayscale", "rgb", or "rgba"',
                f"color_mode={color_mode!r}",
            )
        )
    if target_size is not None and interpolation not in RESAMPLING:
        raise ArgumentError(
            explain(
                "load_img",
                f"an interpolation among {', '.join(RESAMPLING)}",
                f"Invalid interpolation method {interpolation} specified",
            )
        )
    img = _converted(_opened(image, path), color_mode)
    if target_size is None:
        return img
    height, width = _size("load_img", target_size)
    if (img.width, img.height) == (width, height):
        return img
    resample = getattr(image.Resampling, interpolation.upper())
    box = None
    if keep_aspect_ratio:
        top, left, kept_height, kept_width = crop_box(img.height, img.width, height, width)
        box = (left, top, left + kept_width, top + kept_height)
    return img.resize((width, height), resample, box)


def _opened(image: Any, path: Any) -> Any:
    if isinstance(path, io.BytesIO):
        source = path
    elif isinstance(path, str | os.PathLike):
        source = io.BytesIO(pathlib.Path(path).read_bytes())
    else:
        raise ArgumentTypeError(
            explain(
                "load_img",
                "path should be path-like or io.BytesIO",
                f"{path!r:.100} of type {type(path).__name__}",
            )
        )
    try:
        img = image.open(source)
        img.load()
    except image.UnidentifiedImageError as error:
        raise ArgumentError(explain("load_img", "a picture", f"{path}: {error}")) from error
    return img


def _converted(img: Any, color_mode: str) -> Any:
    if color_mode == "grayscale":
        return img if img.mode in ("L", "I;16", "I") else img.convert("L")
    mode = color_mode.upper()
    return img if img.mode == mode else img.convert(mode)


def _size(where: str, size: Any) -> tuple[int, int]:
    try:
        height, width = list(size)[:2]
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            explain(where, "a size (height, width)", f"{size!r}", f"Write ({size}, {size}).")
        ) from error
    return int(height), int(width)


def crop_box(
    height: int, width: int, target_height: int, target_width: int
) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest middle part with the proportions of the target."""
    kept_height = max(1, min(height, int(float(width * target_height) / target_width)))
    kept_width = max(1, min(width, int(float(height * target_width) / target_height)))
    return (height - kept_height) // 2, (width - kept_width) // 2, kept_height, kept_width


def pad_box(
    height: int, width: int, target_height: int, target_width: int
) -> tuple[int, int, int, int]:
    """Top, left, height and width of the smallest frame with the proportions of the target.

    The picture lies in the frame with its corner at (top, left).
    """
    full_height = max(height, int(float(width * target_height) / target_width))
    full_width = max(width, int(float(height * target_width) / target_height))
    return (full_height - height) // 2, (full_width - width) // 2, full_height, full_width


def smart_resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    **kwargs: Any,
) -> Any:
    """Images resized to (height, width) without distortion: the middle part that fits is taken.

    One image or a batch, as float32; an array gives an array, a tensor a tensor.

    Errors: ArgumentError for an unknown interpolation, data format or size; ShapeError for another
    rank than 3 or 4.
    """
    kwargs.pop("backend_module", None)
    if kwargs:
        raise ArgumentTypeError(
            explain(
                "smart_resize",
                "the arguments x, size, interpolation and data_format",
                f"unexpected keyword arguments: {list(kwargs)}",
            )
        )
    if interpolation not in RESIZE_METHODS:
        raise ArgumentError(
            explain(
                "smart_resize",
                f"an interpolation among {RESIZE_METHODS}; Invalid value for argument"
                " `interpolation`",
                f"interpolation={interpolation}",
            )
        )
    if not hasattr(size, "__len__") or len(size) != 2:
        raise ArgumentError(
            explain("smart_resize", "Expected `size` to be a tuple of 2 integers", f"{size}")
        )
    data_format = _data_format("smart_resize", data_format)
    shape = tuple(x.shape) if hasattr(x, "shape") else np.shape(x)
    if len(shape) not in (3, 4):
        raise ShapeError(
            explain(
                "smart_resize",
                "Expected an image array with shape `(height, width, channels)`, or `(batch_size,"
                " height, width, channels)`",
                f"incorrect rank, of shape {shape}",
            )
        )
    is_tensor = isinstance(x, Tensor | Variable)
    result = _smart_resized(asarray(x, dtype="float32"), size, interpolation, data_format)
    return result if is_tensor else result.numpy()


def _smart_resized(x: Any, size: Any, interpolation: str, data_format: str) -> Tensor:
    vertical, horizontal = (-3, -2) if data_format == "channels_last" else (-2, -1)
    sizes = x.shape[vertical], x.shape[horizontal]
    if any(isinstance(each, Dim) for each in sizes):
        raise ShapeError(
            explain("smart_resize", "images whose height and width are known", f"{x.shape}")
        )
    top, left, height, width = crop_box(*sizes, *size)
    index: list[Any] = [slice(None)] * len(x.shape)
    index[vertical] = slice(top, top + height)
    index[horizontal] = slice(left, left + width)
    x = x[tuple(index)]
    is_single = len(x.shape) == 3
    x = expand_dims(x, axis=0) if is_single else x
    x = resize(
        x,
        tuple(int(each) for each in size),
        interpolation=interpolation,
        data_format=data_format,
        antialias=False,
    )
    return squeeze(x, axis=0) if is_single else x

"""Images in other colour spaces, and what differs in them: edges, likeness."""

from typing import Any

from thalweg.array import image
from thalweg.array.data_types import astype
from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import op
from thalweg.keras.ops.image.checks import check_colours, check_images, places
from thalweg.keras.ops.operands import common_dtype, floats, like
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor


def _check_grey(images: Any, data_format: Any) -> tuple[tuple, str, int]:
    name = "rgb_to_grayscale"
    shape, layout = check_images(name, images, data_format)
    axis = places(len(shape), layout)[2]
    if shape[axis] not in (1, 3, None):
        raise ShapeError(
            explain(
                name,
                "colour images. Invalid channel size: expected 3 (RGB) or 1 (Grayscale)",
                f"images.shape={shape}, data_format={layout!r}",
            )
        )
    return shape, layout, axis


def _grey_spec(images: Any, data_format: str | None = None) -> KerasTensor:
    shape, _, axis = _check_grey(images, data_format)
    return like(images, (*shape[:axis], 1, *shape[axis + 1 :]))


@op(spec=_grey_spec, name="RGBToGrayscale")
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """0.2989 red + 0.587 green + 0.114 blue: (B, H, W, 3) -> (B, H, W, 1).

    The element type stays, integers are rounded toward 0. Images with one channel come back as they
    are. Raises ShapeError for other numbers of channels.
    """
    shape, layout, axis = _check_grey(images, data_format)
    x = tensor(images)
    if shape[axis] == 1:
        return x
    return astype(image.rgb_to_grayscale(floats(x), data_format=layout), x.dtype)


def _colour_spec(name: str) -> Any:
    def spec(images: Any, data_format: str | None = None) -> KerasTensor:
        shape, _ = check_colours(name, images, data_format)
        return like(images, shape)

    return spec


@op(spec=_colour_spec("rgb_to_hsv"), name="RGBToHSV")
def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value of colour images with floats from 0 to 1; all three from 0 to 1.

    Raises ArgumentError for integers and ShapeError for other than three channels.
    """
    _, layout = check_colours("rgb_to_hsv", images, data_format)
    return image.rgb_to_hsv(tensor(images), data_format=layout)


@op(spec=_colour_spec("hsv_to_rgb"), name="HSVToRGB")
def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue from hue, saturation and value: the inverse of `rgb_to_hsv`."""
    _, layout = check_colours("hsv_to_rgb", images, data_format)
    return image.hsv_to_rgb(tensor(images), data_format=layout)


def _edges_spec(images: Any, data_format: str | None = None) -> KerasTensor:
    shape, _ = check_images("sobel_edges", images, data_format)
    return like(images, (*shape, 2))


@op(spec=_edges_spec)
def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """How steeply images rise downward and to the right: (B, H, W, C) -> (B, H, W, C, 2).

    Sobel's operator; zeros lie around the images. The element type stays.
    """
    _, layout = check_images("sobel_edges", images, data_format)
    x = tensor(images)
    found = image.sobel_edges(x, outside="zero", data_format=layout)
    return astype(found, x.dtype)


def _likeness_spec(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> KerasTensor:
    shape, _ = check_images("ssim", image1, data_format)
    check_images("ssim", image2, data_format)
    dtype = common_dtype(image1, image2, float)
    return like(image1, shape[: len(shape) - 3], dtype)


@op(data=("image1", "image2"), spec=_likeness_spec, name="SSIM")
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """The structural similarity of two images, one number an image: 1 where they are equal.

    Means, variances and covariance are those under a Gaussian window at every place where it fits;
    `max_val` is the distance of the largest from the smallest possible value. Raises ShapeError
    for images smaller than the window.
    """
    _, layout = check_images("ssim", image1, data_format)
    check_images("ssim", image2, data_format)
    return image.ssim(
        tensor(image1),
        tensor(image2),
        max_val,
        filter_size=filter_size,
        filter_sigma=filter_sigma,
        k1=k1,
        k2=k2,
        data_format=layout,
    )

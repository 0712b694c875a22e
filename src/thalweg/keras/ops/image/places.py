"""Images seen at other places: moved, turned, bent, blurred."""

from typing import Any

import numpy as np

from thalweg.array import elementwise as array
from thalweg.array import image, random
from thalweg.array.creation import arange, ones_like, zeros_like
from thalweg.array.data_types import astype
from thalweg.array.linalg import solve
from thalweg.array.manipulation import concat, expand_dims, reshape, squeeze, stack
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import op
from thalweg.keras.ops.image.checks import check_choice, check_images, places
from thalweg.keras.ops.operands import like, shape_of
from thalweg.keras.random.seed_generator import draw_seed
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")

METHODS = {
    "linear": "bilinear", "bilinear": "bilinear", "trilinear": "bilinear", "cubic": "bicubic",
    "bicubic": "bicubic", "tricubic": "bicubic", "lanczos3": "lanczos3", "lanczos5": "lanczos5",
}  # fmt: skip
"""Methods of scale_and_translate, and what they are called in the array floor."""


def _like_images(name: str) -> Any:
    """The rule of what keeps the images' shape."""

    def spec(**values: Any) -> KerasTensor:
        shape, _ = check_images(name, values["images"], values.get("data_format"))
        return like(values["images"], shape)

    return spec


# Transforms ---------------------------------------------------------------------------------------


def _check_transform(images: Any, transform: Any, data_format: Any) -> tuple[tuple, str]:
    shape, layout = check_images("affine_transform", images, data_format)
    rank = len(shape_of(transform))
    if rank not in (1, 2):
        raise ShapeError(
            explain(
                "affine_transform",
                "8 numbers, or 8 for each image. Invalid transform rank: expected rank 1 (single "
                "transform) or rank 2 (batch of transforms)",
                f"transform.shape={shape_of(transform)}",
            )
        )
    return shape, layout


def _affine_spec(images: Any, transform: Any, **values: Any) -> KerasTensor:
    shape, _ = _check_transform(images, transform, values.get("data_format"))
    return like(images, shape)


@op(data=("images", "transform"), spec=_affine_spec)
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """The images seen through transforms (B, 8), or (8,) for all; shape and type stay.

    A row (a0, a1, a2, b0, b1, b2, c0, c1) says which place the pixel (x, y) of the result shows, x
    counting columns and y rows: ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with
    k = c0 x + c1 y + 1. `interpolation` is "bilinear" or "nearest"; outside the images are
    continued as `fill_mode` says, see `map_coordinates`.
    """
    name = "affine_transform"
    _, layout = _check_transform(images, transform, data_format)
    check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
    check_choice(name, "fill_mode", fill_mode, FILL_MODES)
    return image.affine_transform(
        tensor(images),
        tensor(transform),
        interpolation=interpolation,
        fill_mode=fill_mode,
        fill_value=fill_value,
        data_format=layout,
    )


def _check_points(images: Any, start: Any, end: Any, data_format: Any) -> tuple[tuple, str]:
    name = "perspective_transform"
    shape, layout = check_images(name, images, data_format)
    for what, points in (("start_points", start), ("end_points", end)):
        found = shape_of(points)
        if len(found) not in (2, 3) or found[-2:] != (4, 2):
            raise ShapeError(
                explain(
                    name,
                    f"four corners (x, y). Invalid {what} shape: expected (4,2) for a single image "
                    "or (N,4,2) for a batch",
                    f"{what}.shape={found}",
                )
            )
    if len(shape_of(start)) != len(shape_of(end)):
        raise ShapeError(
            explain(
                name,
                "start_points and end_points of the same shape",
                f"{shape_of(start)} and {shape_of(end)}",
            )
        )
    return shape, layout


def _perspective_spec(
    images: Any, start_points: Any, end_points: Any, **values: Any
) -> KerasTensor:
    shape, _ = _check_points(images, start_points, end_points, values.get("data_format"))
    return like(images, shape)


@op(data=("images", "start_points", "end_points"), spec=_perspective_spec)
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """The images bent so that four points (x, y) come to four others; shape and type stay.

    Points are (4, 2) or, one set for each image, (B, 4, 2).
    """
    name = "perspective_transform"
    _, layout = _check_points(images, start_points, end_points, data_format)
    check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
    start, end = (astype(tensor(each), "float32") for each in (start_points, end_points))
    return image.affine_transform(
        tensor(images),
        _homography(start, end),
        interpolation=interpolation,
        fill_value=fill_value,
        data_format=layout,
    )


def _homography(start: Tensor, end: Tensor) -> Tensor:
    """The eight numbers of the projective transform that shows start points at end points."""
    x, y = end[..., 0], end[..., 1]
    one, zero = ones_like(x), zeros_like(x)
    rows = []
    for place, blank in ((start[..., 0], False), (start[..., 1], True)):
        own, other = (x, y, one), (zero, zero, zero)
        first, second = (other, own) if blank else (own, other)
        rows.append(stack([*first, *second, -place * x, -place * y], axis=-1))
    target = concat([start[..., 0], start[..., 1]], axis=-1)
    return squeeze(solve(concat(rows, axis=-2), expand_dims(target, axis=-1)), -1)


# Places that are data -----------------------------------------------------------------------------


def _check_coordinates(inputs: Any, coordinates: Any) -> tuple:
    name = "map_coordinates"
    rank, shape = len(shape_of(inputs)), shape_of(coordinates)
    if not shape or shape[0] not in (rank, None):
        raise ShapeError(
            explain(
                name,
                "a row of coordinates for each axis. First dim of `coordinates` must be the same "
                "as the rank of `inputs`",
                f"inputs of shape {shape_of(inputs)}, coordinates of shape {shape}",
            )
        )
    if len(shape) < 2:
        raise ShapeError(
            explain(
                name,
                "places beside one another. Invalid coordinates rank: expected at least rank 2",
                f"coordinates of shape {shape}",
            )
        )
    return shape


def _map_spec(inputs: Any, coordinates: Any, **_: Any) -> KerasTensor:
    return like(inputs, _check_coordinates(inputs, coordinates)[1:])


@op(data=("inputs", "coordinates"), spec=_map_spec)
def map_coordinates(
    inputs: Any,
    coordinates: Any,
    order: int,
    fill_mode: str = "constant",
    fill_value: float = 0,
) -> Tensor:
    """The values at places that are data: (S...) and (rank, P...) -> (P...).

    With order 1 the values around a place are mixed linearly, with order 0 the nearest is taken;
    integers are rounded. Outside the values are continued as `fill_mode` says:

        constant   k k k k | a b c d | k k k k      mirror    d c b | a b c d | c b a
        nearest    a a a a | a b c d | d d d d      reflect   d c b a | a b c d | d c b a
        wrap       a b c d | a b c d | a b c d
    """
    name = "map_coordinates"
    x, where = tensor(inputs), tensor(coordinates)
    _check_coordinates(x, where)
    check_choice(name, "fill_mode", fill_mode, FILL_MODES)
    if order not in (0, 1):
        raise ArgumentError(
            explain(name, "`order` to be 0 or 1", f"Invalid value for argument `order`: {order!r}")
        )
    return image.map_coordinates(x, where, int(order), fill_mode=fill_mode, fill_value=fill_value)


@op(data=("images",), spec=_like_images("gaussian_blur"))
def gaussian_blur(
    images: Any,
    kernel_size: Any = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """The images blurred by a Gaussian; zeros lie around them.

    `kernel_size` and `sigma` are those along the width first, then along the height. Integers give
    float32.
    """
    _, layout = check_images("gaussian_blur", images, data_format)
    wide, high = (int(each) for each in np.broadcast_to(_values(kernel_size), (2,)))
    x = tensor(images)
    across, down = _pair(sigma)
    return image.gaussian_blur(x, (high, wide), (down, across), data_format=layout)


def _values(x: Any) -> np.ndarray:
    return np.asarray(x.numpy() if isinstance(x, Tensor) else x)


def _pair(sigma: Any) -> tuple[Any, Any]:
    """One sigma for each axis, from one or two numbers or a tensor."""
    if isinstance(sigma, (int, float)):
        return sigma, sigma
    if isinstance(sigma, (tuple, list)) and all(isinstance(each, (int, float)) for each in sigma):
        return (sigma[0], sigma[-1])
    found = reshape(tensor(sigma), (-1,))
    return found[0], found[-1]


@op(data=("images",), spec=_like_images("elastic_transform"))
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """The images shaken: each pixel shows a place that lies a smooth random distance away.

    The distances are normal numbers times `sigma`, blurred by a Gaussian of that width, times
    `alpha`; they are the same along both axes. `seed` is that of `keras.random`. The element type
    stays.
    """
    name = "elastic_transform"
    _, layout = check_images(name, images, data_format)
    check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
    check_choice(name, "fill_mode", fill_mode, FILL_MODES)
    x = tensor(images)
    rows, columns, _ = places(x.ndim, layout)
    height, width = x.shape[rows], x.shape[columns]
    lead = x.shape[: x.ndim - 3]
    # 16 bits could not tell the columns of a large image apart.
    dtype = x.dtype if x.dtype.name == "float64" else "float32"
    noise = random.normal((*(lead or (1,)), height, width), dtype=dtype, key=draw_seed(seed))
    noise = expand_dims(array.multiply(noise, astype(tensor(sigma), dtype)), axis=-1)
    reach = int(6 * float(_values(sigma))) | 1
    noise = squeeze(image.gaussian_blur(noise, reach, _pair(sigma)), -1)
    noise = reshape(array.multiply(noise, astype(tensor(alpha), dtype)), (*lead, height, width))
    down = array.add(expand_dims(arange(height, dtype=dtype), axis=-1), noise)
    across = array.add(arange(width, dtype=dtype), noise)
    found = image.remap(
        x,
        down,
        across,
        interpolation=interpolation,
        fill_mode=fill_mode,
        fill_value=fill_value,
        data_format=layout,
    )
    return astype(found, x.dtype)


def _scaled_spec(images: Any, output_shape: Any, **_: Any) -> KerasTensor:
    return like(images, tuple(output_shape))


@op(data=("images", "output_shape", "scale", "translation"), spec=_scaled_spec)
def scale_and_translate(
    images: Any,
    output_shape: Any,
    scale: Any,
    translation: Any,
    spatial_dims: Any,
    method: str,
    antialias: bool = True,
) -> Tensor:
    """Some axes of an array scaled and moved by amounts that are data: x (...) -> output_shape.

    Place p along the axis `spatial_dims[i]` comes to `scale[i] * p + translation[i]`, edges of
    pixels counted from 0. `method` is "linear", "cubic", "lanczos3" or "lanczos5". As in JAX.
    """
    check_choice("scale_and_translate", "method", method, METHODS)
    x = tensor(images)
    known = zip(output_shape, x.shape, strict=False)
    return image.scale_and_translate(
        x,
        tuple(own if wanted is None else wanted for wanted, own in known),
        tensor(scale),
        tensor(translation),
        tuple(spatial_dims),
        interpolation=METHODS[method],
        antialias=bool(antialias),
    )

"""Images: size, place, colour, filters, and how much two images differ.

    [H, W, C] or [B, H, W, C]      data_format="channels_last", as everywhere by default
    [C, H, W] or [B, C, H, W]      data_format="channels_first"

A pixel is a square, and its value stands for its centre: pixel i of an axis reaches from i to
i + 1. `resize` keeps the edges of an image where they are. Coordinates that are data, those of
`map_coordinates` and `affine_transform`, count centres instead: 0 is the centre of the first pixel.

Functions that mix values (`resize`, filters, measures) take integers as float32 and give float32.
Functions that change colours give back the element type they get: integers stand for fractions of
the type's largest value, and the result is rounded and held within the type. 16-bit floats are
computed in float32 and rounded once. All sizes may be named; everything has derivatives but
`non_max_suppression`, whose results are positions.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from thalweg.array.manipulation import converted, cut, join, operand, size_node, transposed
from thalweg.array.operands import (
    axis_of,
    broadcast_shapes,
    broadcast_to,
    from_array,
    shape_of,
    to_dtype,
    to_operand,
)
from thalweg.array.patches import cut_windows
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, ceil_div, dim_max, is_known_at_least, is_known_equal
from thalweg.ir.function import build
from thalweg.ir.leaves import full, full_like, items
from thalweg.ir.node import Node
from thalweg.ir.types import (
    REAL,
    DType,
    Shape,
    Size,
    TensorType,
    float32,
    float64,
    int32,
    int64,
    promote,
    shape_text,
    size_of,
)
from thalweg.ops import control, movement, reduce
from thalweg.ops import elementwise as ops
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.index import dynamic_slice, gather, take
from thalweg.ops.window_sizes import span
from thalweg.transforms.evaluate import run

DATA_FORMATS = ("channels_last", "channels_first")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area")
FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")

# What images have in common -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """Which axis of an image is which."""

    rank: int
    rows: int
    columns: int
    channels: int

    @property
    def of_one(self) -> tuple[int, ...]:
        """The axes of one image of a batch."""
        return tuple(range(self.rank - 3, self.rank))

    @property
    def is_batched(self) -> bool:
        return self.rank == 4


def _choice(name: str, what: str, value: Any, among: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in among:
        wanted = f"{what} among {', '.join(map(repr, among))}"
        raise ArgumentError(explain(name, wanted, repr(value)))


def _layout(name: str, type: TensorType, data_format: str) -> Layout:
    _choice(name, "data_format", data_format, DATA_FORMATS)
    if type.rank not in (3, 4):
        one = "[H, W, C]" if data_format == "channels_last" else "[C, H, W]"
        do = "Write expand_dims(x, -1) for one channel." if type.rank == 2 else ""
        wanted = f"an image {one}, or a batch of them with one axis more"
        raise ShapeError(explain(name, wanted, str(type), do))
    first = type.rank - 3
    if data_format == "channels_first":
        return Layout(type.rank, first + 1, first + 2, first)
    return Layout(type.rank, first, first + 1, first + 2)


def _images(name: str, images: Any, data_format: str) -> tuple[Node, Layout]:
    """The node of images, and which axis is which."""
    node = operand(name, images)
    return node, _layout(name, node.type, data_format)


def _pair(name: str, what: str, value: Any, least: int = 1) -> tuple[int, int]:
    """One integer for rows and columns, or one for each."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(given) != 2 or any(type(each) is not int or each < least for each in given):
        wanted = f"{what} of one integer of at least {least}, or one for rows and one for columns"
        raise ArgumentError(explain(name, wanted, repr(value)))
    return given


def _wide(node: Node) -> Node:
    """Integers and 16-bit floats as float32."""
    is_wide = node.dtype.is_float and node.dtype.bits > 16
    return node if is_wide else ops.cast(node, dtype=float32)


def _back(result: Node, dtype: DType) -> Node:
    """A result computed from `_wide`: rounded to a float type; left as it is for integers."""
    return ops.cast(result, dtype=dtype) if dtype.is_float else result


def _spread(value: Node, like: Node, axes: Sequence[int] = ()) -> Node:
    """A value repeated in the shape of another node, its own axes standing at `axes`."""
    return broadcast(value, shape=like.shape, axes=tuple(axes))


def _mean(x: Node, axes: Sequence[int]) -> Node:
    """The mean over some axes, which leave the shape."""
    total = sum_op(x, axes=tuple(axes))
    count = size_of(tuple(x.shape[axis] for axis in axes))
    return ops.divide(total, _spread(size_node(count, x.dtype), total))


# Resizing -----------------------------------------------------------------------------------------


def resize(
    images: Any,
    size: Any,
    *,
    interpolation: str = "bilinear",
    antialias: bool = False,
    data_format: str = "channels_last",
) -> Tensor:
    """The images at another size: [B, H, W, C] with size (h, w) -> [B, h, w, C].

    `size` holds one size for each spatial axis: two for images, but one for sequences [B, T, C] or
    three for volumes do as well. Sizes may be named, the old ones and the new ones.

    A place of the result takes the pixels around the same place of the image, with weights that
    fall off with the distance: "bilinear" (a triangle), "bicubic" (Keys' cubic with a = -1/2),
    "lanczos3" and "lanczos5" (windowed sinc); pixels beyond the edges do not count and the weights
    add up to 1. "nearest" copies the pixel that a place lies in and keeps the element type, "area"
    is the mean over what a place covers. With `antialias` the first four widen with the step where
    the image shrinks, so no pixel is left out. The result is that of TensorFlow 2, Keras 3 and JAX
    (half-pixel centres); integers give float32, but for "nearest".

    The weights are a matrix for each axis, so the derivative is its transpose.
    """
    node = operand("resize", images)
    ops.check_elements("resize", REAL, node.type)
    _choice("resize", "interpolation", interpolation, INTERPOLATIONS)
    wanted = shape_of("resize", size)
    axes = _spatial_axes("resize", node.type, wanted, data_format)
    for axis, target in zip(axes, wanted, strict=True):
        if not is_known_at_least(node.shape[axis], 1) and not is_known_equal(target, 0):
            raise ShapeError(explain("resize", "images of at least one pixel", str(node.type)))
    if interpolation == "nearest":
        for axis, target in zip(axes, wanted, strict=True):
            if not is_known_equal(node.shape[axis], target):
                node = take(node, _nearest(node.shape[axis], target), axis)
        return wrap(node)
    x = _wide(node)
    # A contraction takes one axis out and puts its successor last.
    order = list(range(x.type.rank))
    for axis, target in zip(axes, wanted, strict=True):
        if not is_known_equal(node.shape[axis], target):
            weights = _weights(node.shape[axis], target, interpolation, antialias, x.dtype)
            place = order.index(axis)
            x = dot(x, weights, contract=((place,), (1,)))
            order.append(order.pop(place))
    x = transposed(x, [order.index(axis) for axis in range(x.type.rank)])
    return wrap(_back(x, node.dtype))


def _spatial_axes(name: str, type: TensorType, size: Shape, data_format: str) -> tuple[int, ...]:
    """The axes that sizes are about: all but the channels and, where there is one, the batch."""
    _choice(name, "data_format", data_format, DATA_FORMATS)
    count = len(size)
    if not count or type.rank not in (count + 1, count + 2):
        raise ShapeError(
            explain(
                name,
                f"{count + 1} or {count + 2} axes for a size of {count}: channels, perhaps a batch",
                f"{type} with size {size}",
                "Write expand_dims(x, -1) for one channel." if type.rank == count else "",
            )
        )
    is_first = data_format == "channels_first"
    start = type.rank - count - (0 if is_first else 1)
    return tuple(range(start, start + count))


def _nearest(source: Size, target: Size) -> Node:
    """For each new place the old pixel that its centre lies in, exactly."""
    place = movement.iota(dtype=int64, shape=(target,), axis=0)
    old, new = (_spread(size_node(size), place) for size in (source, target))
    twice = ops.add(ops.add(place, place), full_like(place, 1))
    return ops.floor_divide(ops.multiply(twice, old), ops.add(new, new))


def _weights(source: Size, target: Size, interpolation: str, antialias: bool, dtype: DType) -> Node:
    """The weight of each old pixel in each new one: [target, source]."""
    if isinstance(source, Dim) or isinstance(target, Dim):
        return _weight_nodes(source, target, interpolation, antialias, dtype)
    found = _fixed_weights(source, target, interpolation, bool(antialias))
    return node_of(from_array(found.astype(dtype.numpy)))


@functools.lru_cache(maxsize=64)
def _fixed_weights(source: int, target: int, interpolation: str, antialias: bool) -> np.ndarray:
    """The weights for sizes that are numbers, in float64."""

    def weights() -> Node:
        return _weight_nodes(source, target, interpolation, antialias, float64)

    return run(build("weights", [], weights))[0]


def _weight_nodes(
    source: Size, target: Size, interpolation: str, antialias: bool, dtype: DType
) -> Node:
    """The weights from positions and sizes.

    All distances are whole numbers of half a pixel of both grids until they are divided once, so
    they are as exact for large images as for small ones.
    """
    shape = (target, source)
    i, j = (movement.iota(dtype=int64, shape=shape, axis=axis) for axis in (0, 1))
    old, new = (_spread(size_node(size), i) for size in (source, target))
    one = full_like(i, 1)
    left, start = ops.multiply(i, old), ops.multiply(j, new)
    right, end = ops.add(left, old), ops.add(start, new)
    if interpolation == "area":
        covered = ops.subtract(ops.minimum(right, end), ops.maximum(left, start))
        covered = ops.maximum(covered, full_like(covered, 0))
        return ops.divide(ops.cast(covered, dtype=dtype), ops.cast(old, dtype=dtype))
    # Twice the distance of two centres, in units of 1 / new of an old pixel.
    gap = ops.subtract(ops.add(left, right), ops.add(start, end))
    unit = _spread(size_node(dim_max(source, target)), i) if antialias else new
    unit = ops.maximum(unit, one)
    distance = ops.divide(
        ops.cast(ops.abs(gap), dtype=dtype), ops.cast(ops.add(unit, unit), dtype=dtype)
    )
    weights = _KERNELS[interpolation](distance)
    total = sum_op(weights, axes=(1,))
    return ops.divide(weights, _spread(total, weights, (0,)))


def _polynomial(x: Node, *coefficients: float) -> Node:
    """Coefficients from the highest power down."""
    result = full_like(x, coefficients[0])
    for each in coefficients[1:]:
        result = ops.add(ops.multiply(result, x), full_like(x, each))
    return result


def _triangle(distance: Node) -> Node:
    return ops.maximum(_polynomial(distance, -1, 1), full_like(distance, 0))


def _cubic(distance: Node) -> Node:
    """R. G. Keys, Cubic convolution interpolation for digital image processing, 1981; a = -1/2."""
    near = _polynomial(distance, 1.5, -2.5, 0, 1)
    far = _polynomial(distance, -0.5, 2.5, -4, 2)
    far = ops.select(ops.less(distance, full_like(distance, 2)), far, full_like(distance, 0))
    return ops.select(ops.less(distance, full_like(distance, 1)), near, far)


def _lanczos(radius: int) -> Callable[[Node], Node]:
    """sinc(x) sinc(x / radius) within the radius; sinc(x) is sin(pi x) / (pi x)."""

    def kernel(distance: Node) -> Node:
        angle = ops.multiply(distance, full_like(distance, np.pi))
        is_centre = ops.equal(angle, full_like(angle, 0))
        safe = ops.select(is_centre, full_like(angle, 1), angle)
        slow = ops.divide(safe, full_like(safe, radius))
        waves = ops.multiply(ops.sin(safe), ops.sin(slow))
        value = ops.divide(waves, ops.multiply(safe, slow))
        value = ops.select(is_centre, full_like(value, 1), value)
        is_inside = ops.less(distance, full_like(distance, radius))
        return ops.select(is_inside, value, full_like(value, 0))

    return kernel


_KERNELS: dict[str, Callable[[Node], Node]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}

# Colours ------------------------------------------------------------------------------------------

LUMA = (0.299, 0.587, 0.114)
"""The share of red, green and blue in brightness: ITU-R BT.601."""

_CHROMA = (0.492111, 0.877283)
"""The scales of U = b (B - Y) and V = r (R - Y): ITU-R BT.470."""


def _in_floats(node: Node) -> Node:
    """Colours as floats, integers as fractions of their largest value."""
    x = _wide(node)
    if node.dtype.is_float:
        return x
    largest = float(np.iinfo(node.dtype.numpy).max)
    return ops.divide(x, full_like(x, largest))


def _from_floats(x: Node, dtype: DType) -> Node:
    """Colours from floats: integers are rounded, and held within their type by the cast."""
    if dtype.is_float:
        return ops.cast(x, dtype=dtype)
    largest = float(np.iinfo(dtype.numpy).max)
    return ops.cast(ops.round(ops.multiply(x, full_like(x, largest))), dtype=dtype)


def _channels(name: str, x: Node, layout: Layout) -> list[Node]:
    """The three channels of colour images, each with its axis of size 1."""
    axis = layout.channels
    if not is_known_equal(x.shape[axis], 3):
        raise ShapeError(
            explain(
                name,
                f"three channels on axis {axis}",
                str(x.type),
                "Did you mean data_format='channels_first'?"
                if is_known_equal(x.shape[layout.rank - 3], 3)
                else "",
            )
        )
    return [cut(x, axis, channel, channel + 1) for channel in range(3)]


def _recoloured(
    name: str, images: Any, data_format: str, change: Callable[[Node, Layout], Node]
) -> Tensor:
    """Images whose colours a function of floats changes."""
    node, layout = _images(name, images, data_format)
    ops.check_elements(name, REAL, node.type)
    return wrap(_from_floats(change(_in_floats(node), layout), node.dtype))


def _converted(
    name: str, images: Any, data_format: str, convert: Callable[..., Sequence[Node]]
) -> Tensor:
    """Images in another colour space; floats only, as an integer is no fraction there."""
    node, layout = _images(name, images, data_format)
    if not node.dtype.is_float:
        largest = np.iinfo(node.dtype.numpy).max if node.dtype.is_integer else 1
        do = f"Write x.astype('float32') / {largest}." if node.dtype.is_integer else ""
        raise ArgumentTypeError(explain(name, "images of floats, from 0 to 1", str(node.type), do))
    parts = convert(*_channels(name, _wide(node), layout))
    return wrap(_back(join(parts, layout.channels), node.dtype))


def _weighted(parts: Sequence[Node], weights: Sequence[float]) -> Node:
    """The sum of parts, each times a number."""
    terms = [
        ops.multiply(part, full_like(part, weight))
        for part, weight in zip(parts, weights, strict=True)
        if weight
    ]
    return functools.reduce(ops.add, terms)


def rgb_to_grayscale(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """The brightness of colour images, one channel: 0.2989 red + 0.587 green + 0.114 blue."""

    def change(x: Node, layout: Layout) -> Node:
        return _weighted(_channels("rgb_to_grayscale", x, layout), (0.2989, 0.587, 0.114))

    return _recoloured("rgb_to_grayscale", images, data_format, change)


def rgb_to_hsv(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """Hue, saturation and value of colour images with floats from 0 to 1; all three from 0 to 1.

    Grey has hue 0, black also saturation 0. Raises ArgumentTypeError for integers.
    """
    return _converted("rgb_to_hsv", images, data_format, _hsv_of)


def hsv_to_rgb(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """Red, green and blue from hue, saturation and value; a hue counts modulo 1."""
    return _converted("hsv_to_rgb", images, data_format, _rgb_of)


def _hsv_of(red: Node, green: Node, blue: Node) -> tuple[Node, Node, Node]:
    value = ops.maximum(ops.maximum(red, green), blue)
    lowest = ops.minimum(ops.minimum(red, green), blue)
    spread = ops.subtract(value, lowest)
    zero, one = full_like(value, 0), full_like(value, 1)
    is_lit, is_coloured = ops.greater(value, zero), ops.greater(spread, zero)
    saturation = ops.divide(spread, ops.select(is_lit, value, one))
    saturation = ops.select(is_lit, saturation, zero)
    sixth = ops.multiply(ops.select(is_coloured, spread, one), full_like(value, 6))

    def turned(first: Node, second: Node, start: float) -> Node:
        part = ops.divide(ops.subtract(first, second), sixth)
        return ops.add(part, full_like(part, start))

    hue = ops.select(ops.equal(value, green), turned(blue, red, 1 / 3), turned(red, green, 2 / 3))
    from_red = turned(green, blue, 0)
    from_red = ops.select(ops.less(from_red, zero), ops.add(from_red, one), from_red)
    hue = ops.select(ops.equal(value, red), from_red, hue)
    return ops.select(is_coloured, hue, zero), saturation, value


def _rgb_of(hue: Node, saturation: Node, value: Node) -> tuple[Node, ...]:
    six = full_like(hue, 6)
    zero, one = full_like(hue, 0), full_like(hue, 1)
    turn = ops.multiply(ops.subtract(hue, ops.floor(hue)), six)

    def channel(centre: int) -> Node:
        # How far the hue is from the colour: up to one sixth it is full, beyond two it is gone.
        away = ops.abs(ops.subtract(turn, full_like(turn, centre)))
        away = ops.minimum(away, ops.subtract(six, away))
        amount = ops.clamp(zero, ops.subtract(full_like(away, 2), away), one)
        return ops.multiply(
            value, ops.subtract(one, ops.multiply(saturation, ops.subtract(one, amount)))
        )

    return tuple(channel(centre) for centre in (0, 2, 4))


def rgb_to_yuv(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """Brightness Y and the colour differences U and V, of floats; U and V lie around 0."""
    blue_scale, red_scale = _CHROMA

    def convert(red: Node, green: Node, blue: Node) -> tuple[Node, Node, Node]:
        y = _weighted((red, green, blue), LUMA)
        u, v = ops.subtract(blue, y), ops.subtract(red, y)
        u = ops.multiply(u, full_like(u, blue_scale))
        return y, u, ops.multiply(v, full_like(v, red_scale))

    return _converted("rgb_to_yuv", images, data_format, convert)


def yuv_to_rgb(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """Red, green and blue from Y, U and V: the inverse of `rgb_to_yuv`."""
    blue_scale, red_scale = _CHROMA

    def convert(y: Node, u: Node, v: Node) -> tuple[Node, Node, Node]:
        blue = ops.add(y, ops.divide(u, full_like(u, blue_scale)))
        red = ops.add(y, ops.divide(v, full_like(v, red_scale)))
        of_red, of_green, of_blue = LUMA
        rest = _weighted((y, red, blue), (1, -of_red, -of_blue))
        return red, ops.divide(rest, full_like(rest, of_green)), blue

    return _converted("yuv_to_rgb", images, data_format, convert)


def _amount(name: str, value: Any, x: Node) -> Node:
    """A number, or a tensor that broadcasts to images, in the type of these."""
    node = to_dtype(name, to_operand(value, name), x.dtype)
    shape = broadcast_shapes(name, [x.type, node.type])
    if len(shape) != x.type.rank or not all(map(is_known_equal, shape, x.shape)):
        raise ShapeError(
            explain(
                name,
                "a number, or one that broadcasts to the images",
                f"{node.type} for images {x.type}",
            )
        )
    return broadcast_to(node, shape)


def adjust_brightness(images: Any, delta: Any, *, data_format: str = "channels_last") -> Tensor:
    """The images with a number added to every value, a fraction of the range for integers.

    `delta` may be a tensor that broadcasts to the images, for instance one number an image.
    """

    def change(x: Node, layout: Layout) -> Node:
        return ops.add(x, _amount("adjust_brightness", delta, x))

    return _recoloured("adjust_brightness", images, data_format, change)


def adjust_contrast(images: Any, factor: Any, *, data_format: str = "channels_last") -> Tensor:
    """The images with each channel's distance from its mean times a factor, image by image."""

    def change(x: Node, layout: Layout) -> Node:
        spatial = (layout.rows, layout.columns)
        others = [axis for axis in range(layout.rank) if axis not in spatial]
        mean = _spread(_mean(x, spatial), x, others)
        apart = ops.multiply(ops.subtract(x, mean), _amount("adjust_contrast", factor, x))
        return ops.add(mean, apart)

    return _recoloured("adjust_contrast", images, data_format, change)


def adjust_saturation(images: Any, factor: Any, *, data_format: str = "channels_last") -> Tensor:
    """The images with their saturation times a factor, held from 0 to 1."""

    def change(x: Node, layout: Layout) -> Node:
        hue, saturation, value = _hsv_of(*_channels("adjust_saturation", x, layout))
        scaled = ops.multiply(saturation, _amount("adjust_saturation", factor, saturation))
        held = ops.clamp(full_like(scaled, 0), scaled, full_like(scaled, 1))
        return join(_rgb_of(hue, held, value), layout.channels)

    return _recoloured("adjust_saturation", images, data_format, change)


def adjust_hue(images: Any, delta: Any, *, data_format: str = "channels_last") -> Tensor:
    """The images with their hue turned by a fraction of the whole circle."""

    def change(x: Node, layout: Layout) -> Node:
        hue, saturation, value = _hsv_of(*_channels("adjust_hue", x, layout))
        turned = ops.add(hue, _amount("adjust_hue", delta, hue))
        return join(_rgb_of(turned, saturation, value), layout.channels)

    return _recoloured("adjust_hue", images, data_format, change)


# Places -------------------------------------------------------------------------------------------


def flip_left_right(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """The images mirrored, left and right exchanged."""
    node, layout = _images("flip_left_right", images, data_format)
    return wrap(movement.reverse(node, axes=(layout.columns,)))


def flip_up_down(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """The images mirrored, top and bottom exchanged."""
    node, layout = _images("flip_up_down", images, data_format)
    return wrap(movement.reverse(node, axes=(layout.rows,)))


def rot90(images: Any, k: int = 1, *, data_format: str = "channels_last") -> Tensor:
    """The images turned by k quarters of a circle, counter-clockwise."""
    node, layout = _images("rot90", images, data_format)
    if type(k) is not int:
        raise ArgumentTypeError(explain("rot90", "an integer number of quarter turns", repr(k)))
    quarters = k % 4
    if quarters % 2:
        order = list(range(layout.rank))
        order[layout.rows], order[layout.columns] = layout.columns, layout.rows
        node = transposed(node, order)
    turned = {0: (), 1: (layout.rows,), 2: (layout.rows, layout.columns), 3: (layout.columns,)}
    axes = turned[quarters]
    return wrap(movement.reverse(node, axes=axes) if axes else node)


def crop(
    images: Any,
    top: Any,
    left: Any,
    height: Any,
    width: Any,
    *,
    data_format: str = "channels_last",
) -> Tensor:
    """The part of the images from row `top` and column `left` on: [B, height, width, C].

    Sizes are integers or named sizes. `top` and `left` may also be integer tensors without axes;
    the part is then moved inside where it would reach out. Otherwise that raises ShapeError.
    """
    node, layout = _images("crop", images, data_format)
    sizes = shape_of("crop", (height, width))
    axes = (layout.rows, layout.columns)
    if any(isinstance(each, (Tensor, Variable)) for each in (top, left)):
        return wrap(_cropped_by(node, axes, (top, left), sizes))
    starts = shape_of("crop", (top, left))
    for axis, start, size in zip(axes, starts, sizes, strict=True):
        if not is_known_at_least(node.shape[axis] - start - size, 0):
            raise ShapeError(
                explain(
                    "crop",
                    f"a part within the {node.shape[axis]} pixels of axis {axis}",
                    f"{size} pixels from {start} on, of {node.type}",
                )
            )
        node = cut(node, axis, start, start + size)
    return wrap(node)


def _cropped_by(
    node: Node, axes: Sequence[int], starts: Sequence[Any], sizes: Sequence[Size]
) -> Node:
    """The part that begins where data says."""
    shape = list(node.shape)
    firsts = [full(0, int64)] * len(shape)
    for axis, start, size in zip(axes, starts, sizes, strict=True):
        first = operand("crop", start)
        if first.type.rank or not first.dtype.is_integer:
            wanted = "integers as top and left, numbers or tensors without axes"
            raise ArgumentError(explain("crop", wanted, str(first.type)))
        firsts[axis], shape[axis] = ops.cast(first, dtype=int64), size
    return dynamic_slice(node, *firsts, sizes=tuple(shape))


def central_crop(images: Any, fraction: float, *, data_format: str = "channels_last") -> Tensor:
    """The middle of the images: this fraction of the rows and of the columns, at least.

    As many pixels are cut off on both sides of an axis of n: (n - n * fraction) / 2, rounded down.
    """
    node, layout = _images("central_crop", images, data_format)
    if not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
        raise ArgumentError(
            explain("central_crop", "a fraction above 0 and at most 1", repr(fraction))
        )
    # The decimal number that is written: 0.3 of 10 pixels is 3 of them.
    exact = Fraction(repr(fraction)) if isinstance(fraction, float) else Fraction(fraction)
    lost, whole = exact.denominator - exact.numerator, exact.denominator
    for axis in (layout.rows, layout.columns):
        size = node.shape[axis]
        off = size * lost // (2 * whole)
        node = cut(node, axis, off, size - off)
    return wrap(node)


def pad_to(
    images: Any,
    height: Any,
    width: Any,
    *,
    top: Any = None,
    left: Any = None,
    value: Any = 0,
    data_format: str = "channels_last",
) -> Tensor:
    """The images on a larger ground of one value: [B, height, width, C].

    The first row and column of the image stand at `top` and `left`; without them the image stands
    in the middle, an odd pixel of ground on the right or the bottom.
    """
    node, layout = _images("pad_to", images, data_format)
    sizes = shape_of("pad_to", (height, width))
    low: list[Size] = [0] * layout.rank
    high: list[Size] = [0] * layout.rank
    axes = (layout.rows, layout.columns)
    for axis, size, before in zip(axes, sizes, (top, left), strict=True):
        room = size - node.shape[axis]
        low[axis] = room // 2 if before is None else shape_of("pad_to", (before,))[0]
        high[axis] = room - low[axis]
        if not (is_known_at_least(low[axis], 0) and is_known_at_least(high[axis], 0)):
            raise ShapeError(
                explain(
                    "pad_to",
                    f"a ground that holds the {node.shape[axis]} pixels of axis {axis}",
                    f"{size} pixels, of which the image begins at {low[axis]}, for {node.type}",
                    "Crop the images first." if before is None else "",
                )
            )
    fill = _fill("pad_to", value, node.dtype)
    interior = (0,) * layout.rank
    return wrap(movement.pad(node, fill, low=tuple(low), high=tuple(high), interior=interior))


def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    *,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
) -> Tensor:
    """Patches of the images, their pixels one after another as channels.

    [B, H, W, C] -> [B, rows, columns, h * w * C] for patches of size (h, w), which begin `strides`
    apart, by default side by side; their pixels lie `dilation_rate` apart. With "same" padding
    there is a patch for every stride, zeros around the images. `size` holds one size for each
    spatial axis: two for images (as one number does), three for volumes.
    """
    name = "extract_patches"
    node = operand(name, images)
    _choice(name, "padding", padding, ("valid", "same"))
    count = len(size) if isinstance(size, (tuple, list)) else 2
    axes = _spatial_axes(name, node.type, (1,) * count, data_format)
    sizes = _integers(name, "a size", size, count)
    steps = sizes if strides is None else _integers(name, "strides", strides, count)
    rates = _integers(name, "a dilation rate", dilation_rate, count)
    first = node.type.rank - count - 1
    is_last = data_format == "channels_last"
    if not is_last:
        node = transposed(node, (*range(first), *axes, first))
    for axis, (length, step, rate) in enumerate(zip(sizes, steps, rates, strict=True), first):
        node = _padded_for(name, node, axis, length, step, rate, padding == "same")
    # Each spatial axis becomes two: [B, H, W, C] -> [B, rows, h, columns, w, C].
    for place, (length, step, rate) in enumerate(zip(sizes, steps, rates, strict=True)):
        node = cut_windows(node, first + 2 * place, length, step, rate)
    rows = [first + 2 * place for place in range(count)]
    node = transposed(node, (*range(first), *rows, *(row + 1 for row in rows), first + 2 * count))
    lead = node.shape[: first + count]
    found = movement.reshape(node, shape=(*lead, node.shape[-1] * int(np.prod(sizes))))
    if not is_last:
        found = transposed(found, (*range(first), first + count, *range(first, first + count)))
    return wrap(found)


def _integers(name: str, what: str, value: Any, count: int) -> tuple[int, ...]:
    """One integer of at least 1 for all spatial axes, or one for each."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(given) != count or any(type(each) is not int or each < 1 for each in given):
        wanted = f"{what} of one integer of at least 1, or one for each of {count} axes"
        raise ArgumentError(explain(name, wanted, repr(value)))
    return given


def _padded_for(
    name: str, x: Node, axis: int, length: int, step: int, rate: int, is_same: bool
) -> Node:
    """Zeros around an axis so that a window begins at every step, or a check that one fits."""
    size = x.shape[axis]
    reach: Any = span(length, rate)
    if is_same:
        missing = dim_max(0, (ceil_div(size, step) - 1) * step + reach - size)
        if is_known_equal(missing, 0):
            return x
        low, high = [0] * x.type.rank, [0] * x.type.rank
        low[axis], high[axis] = missing // 2, missing - missing // 2
        interior = (0,) * x.type.rank
        return movement.pad(
            x, full(0, x.dtype), low=tuple(low), high=tuple(high), interior=interior
        )
    if is_known_at_least(reach, size + 1):
        raise ShapeError(
            explain(
                name,
                f"images of at least {reach} pixels on axis {axis}",
                str(x.type),
                "Write padding='same', or take smaller patches.",
            )
        )
    return x


# Values between pixels ----------------------------------------------------------------------------


def _limit(index: Node, size: Size) -> tuple[Node, Node]:
    """The size of an axis and its last index, for every index."""
    count = _spread(size_node(size), index)
    return count, ops.subtract(count, full_like(index, 1))


def _held(index: Node, size: Size) -> Node:
    """Indices outside moved to the nearest pixel."""
    _, last = _limit(index, size)
    return ops.clamp(full_like(index, 0), index, last)


def _wrapped(index: Node, size: Size) -> Node:
    """a b c d | a b c d | a b c d"""
    count, _ = _limit(index, size)
    return ops.remainder(index, count)


def mirrored_index(index: Node, size: Size) -> Node:
    """d c b | a b c d | c b a"""
    _, last = _limit(index, size)
    turn = ops.maximum(last, full_like(last, 1))
    place = ops.remainder(index, ops.add(turn, turn))
    place = ops.subtract(turn, ops.abs(ops.subtract(place, turn)))
    # One pixel has no other to be mirrored.
    return ops.minimum(place, last)


def _reflected(index: Node, size: Size) -> Node:
    """d c b a | a b c d | d c b a"""
    count, _ = _limit(index, size)
    place = ops.remainder(index, ops.add(count, count))
    back = ops.subtract(ops.add(count, count), ops.add(place, full_like(place, 1)))
    return ops.minimum(place, back)


# What stands outside of an axis, in place of an index. With a constant the index is not used.
_OUTSIDE: dict[str, Callable[[Node, Size], Node]] = {
    "constant": _held,
    "nearest": _held,
    "wrap": _wrapped,
    "mirror": mirrored_index,
    "reflect": _reflected,
}


def _read(
    x: Node,
    indices: Sequence[Node],
    axes: Sequence[int],
    batch: int,
    fill_mode: str,
    fill: Node,
) -> Node:
    """x at whole places, which may lie outside."""
    fix = _OUTSIDE[fill_mode]
    inner = [fix(index, x.shape[axis]) for index, axis in zip(indices, axes, strict=True)]
    found = gather(x, *inner, axes=tuple(axes), batch=batch)
    if fill_mode != "constant":
        return found
    # Outside is where holding an index inside has changed it.
    inside = functools.reduce(ops.logical_and, map(ops.equal, indices, inner))
    inside = _spread(inside, found, range(inside.type.rank))
    return ops.select(inside, found, _spread(fill, found))


def _sample(
    name: str,
    x: Node,
    places: Sequence[Node],
    axes: Sequence[int],
    batch: int,
    order: int,
    fill_mode: str,
    fill_value: Any,
    never: Node | None = None,
) -> Node:
    """x at places between its values, as `gather` shapes them; the fill value where `never`."""
    ops.check_elements(name, REAL, x.type)
    _choice(name, "fill_mode", fill_mode, FILL_MODES)
    dtype = x.dtype
    if order == 0:
        half = full_like(places[0], 0.5)
        whole = [ops.cast(ops.floor(ops.add(each, half)), dtype=int64) for each in places]
        fill = _fill(name, fill_value, dtype)
        return _filled(_read(x, whole, axes, batch, fill_mode, fill), fill, never)
    wide = promote(_wide(x).dtype, places[0].dtype)
    x = ops.cast(x, dtype=wide)
    fill = _fill(name, fill_value, wide)
    lower, shares = [], []
    for each in places:
        each = ops.cast(each, dtype=wide)
        floor = ops.floor(each)
        above = ops.subtract(each, floor)
        lower.append(ops.cast(floor, dtype=int64))
        shares.append((ops.subtract(full_like(above, 1), above), above))
    terms = []
    for corner in np.ndindex(*(2,) * len(places)):
        indices = [ops.add(low, full_like(low, up)) for low, up in zip(lower, corner, strict=True)]
        found = _read(x, indices, axes, batch, fill_mode, fill)
        share = functools.reduce(
            ops.multiply, [pair[up] for pair, up in zip(shares, corner, strict=True)]
        )
        terms.append(ops.multiply(found, _spread(share, found, range(share.type.rank))))
    mixed = _filled(functools.reduce(ops.add, terms), fill, never)
    return ops.cast(mixed if dtype.is_float else ops.round(mixed), dtype=dtype)


def _fill(name: str, value: Any, dtype: DType) -> Node:
    """One value for what lies outside."""
    node = converted(name, value, dtype)
    if node.type.rank:
        raise ShapeError(explain(name, "one number to fill with", str(node.type)))
    return node


def _filled(found: Node, fill: Node, never: Node | None) -> Node:
    if never is None:
        return found
    return ops.select(_spread(never, found, range(never.type.rank)), _spread(fill, found), found)


def map_coordinates(
    x: Any,
    coordinates: Any,
    order: int = 1,
    *,
    fill_mode: str = "constant",
    fill_value: Any = 0,
) -> Tensor:
    """The values of x at coordinates that are data: [S...] and [rank, P...] -> [P...].

    `coordinates` holds the places along each axis of x, counted in elements from 0. With order 1
    the values around a place are mixed linearly, with order 0 the nearest is taken (halfway the
    one above). Outside of x its values are continued as `fill_mode` says:

        constant   k k k k | a b c d | k k k k      mirror    d c b | a b c d | c b a
        nearest    a a a a | a b c d | d d d d      reflect   d c b a | a b c d | d c b a
        wrap       a b c d | a b c d | a b c d

    The element type of x is kept; integers are mixed in floats and rounded. With order 1 there is
    a derivative with respect to the coordinates too.
    """
    name = "map_coordinates"
    node, places = operand(name, x), _coordinates(name, operand(name, coordinates))
    if order not in (0, 1) or isinstance(order, bool):
        raise ArgumentError(explain(name, "an order of 0 or 1", repr(order)))
    rank = node.type.rank
    if not rank or not places.type.rank or not is_known_equal(places.shape[0], rank):
        raise ShapeError(
            explain(
                name,
                f"coordinates with a first axis of {rank}, one entry for each axis of x",
                f"coordinates {places.type} for x {node.type}",
            )
        )
    rest = places.shape[1:]
    each = [movement.reshape(cut(places, 0, axis, axis + 1), shape=rest) for axis in range(rank)]
    return wrap(_sample(name, node, each, range(rank), 0, order, fill_mode, fill_value))


def _coordinates(name: str, node: Node) -> Node:
    """Places as float32 or float64."""
    ops.check_elements(name, REAL, node.type)
    return _wide(node)


def affine_transform(
    images: Any,
    transforms: Any,
    *,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: Any = 0,
    data_format: str = "channels_last",
) -> Tensor:
    """The images seen through projective transforms, [B, 8] or [8] for all: shape as before.

    A row (a0, a1, a2, b0, b1, b2, c0, c1) says which place of the image the pixel (x, y) of the
    result shows, x counting columns and y rows from 0:

        ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k)      k = c0 x + c1 y + 1

    so affine transforms have c0 = c1 = 0. A pixel with k = 0 shows `fill_value`. `interpolation` is
    "bilinear" or "nearest"; `fill_mode` is that of `map_coordinates`. There is a derivative with
    respect to the transforms too, for "bilinear".
    """
    name = "affine_transform"
    node, layout = _images(name, images, data_format)
    _choice(name, "interpolation", interpolation, ("nearest", "bilinear"))
    rows = _coordinates(name, operand(name, transforms))
    if not layout.is_batched:
        node = movement.reshape(node, shape=(1, *node.shape))
    shift = 0 if layout.is_batched else 1
    axes = (layout.rows + shift, layout.columns + shift)
    count = node.shape[0]
    if rows.type.rank == 1:
        rows = movement.reshape(rows, shape=(1, *rows.shape))
    fits = (
        rows.type.rank == 2
        and is_known_equal(rows.shape[1], 8)
        and (is_known_equal(rows.shape[0], count) or is_known_equal(rows.shape[0], 1))
    )
    if not fits:
        raise ShapeError(
            explain(
                name,
                f"8 numbers for each of {count} images, or 8 for all",
                f"transforms {rows.type} for images {node.type}",
            )
        )
    x, y, scale = _projected(rows, (count, *(node.shape[axis] for axis in axes)))
    never = ops.equal(scale, full_like(scale, 0))
    safe = ops.select(never, full_like(scale, 1), scale)
    places = (ops.divide(y, safe), ops.divide(x, safe))
    order = INTERPOLATIONS.index(interpolation)
    found = _sample(name, node, places, axes, 1, order, fill_mode, fill_value, never)
    if data_format == "channels_first":
        found = transposed(found, (0, 3, 1, 2))
    return wrap(found if layout.is_batched else movement.reshape(found, shape=found.shape[1:]))


def remap(
    images: Any,
    rows: Any,
    columns: Any,
    *,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: Any = 0,
    data_format: str = "channels_last",
) -> Tensor:
    """The images seen at places that are data: [B, H, W, C] and twice [B, h, w] -> [B, h, w, C].

    `rows` and `columns` hold the place that each pixel of the result shows, the same one for all
    channels, counted in pixels from 0; without a batch [H, W, C] and [h, w] -> [h, w, C]. The other
    arguments are those of `affine_transform`. Has a derivative with respect to the places too, for
    "bilinear".
    """
    name = "remap"
    node, layout = _images(name, images, data_format)
    _choice(name, "interpolation", interpolation, ("nearest", "bilinear"))
    places = [_coordinates(name, operand(name, each)) for each in (rows, columns)]
    lead = node.shape[: layout.rank - 3]
    types = [each.type for each in places]
    fits = all(
        type.rank == layout.rank - 1
        and all(map(is_known_equal, type.shape, (*lead, *types[0].shape[-2:])))
        for type in types
    )
    if not fits:
        wanted = "rows and columns of one shape, [B, h, w] as the images' batch is"
        received = f"rows {types[0]} and columns {types[1]} for images {node.type}"
        raise ShapeError(explain(name, wanted, received))
    axes = (layout.rows, layout.columns)
    order = INTERPOLATIONS.index(interpolation)
    found = _sample(name, node, places, axes, len(lead), order, fill_mode, fill_value)
    if data_format == "channels_first":
        found = transposed(
            found, (*range(len(lead)), layout.rank - 1, *range(len(lead), layout.rank - 1))
        )
    return wrap(found)


def scale_and_translate(
    images: Any,
    shape: Any,
    scale: Any,
    translation: Any,
    axes: Sequence[int],
    *,
    interpolation: str = "bilinear",
    antialias: bool = True,
) -> Tensor:
    """Some axes of an array scaled and moved by amounts that are data: x [..] -> shape.

    Place p along an axis comes to `scale * p + translation`, edges of pixels counted from 0; there
    is one number of each for each of `axes`, [n]. Other axes keep their sizes. Interpolations are
    those of `resize` but for "nearest" and "area"; places beyond the edges are 0. As in JAX.
    """
    name = "scale_and_translate"
    node = operand(name, images)
    ops.check_elements(name, REAL, node.type)
    _choice(name, "interpolation", interpolation, tuple(_KERNELS))
    wanted = shape_of(name, shape)
    rank = node.type.rank
    along = [axis_of(name, axis, rank) for axis in axes]
    kept = [axis for axis in range(rank) if axis not in along]
    is_shape = len(wanted) == rank and all(is_known_equal(wanted[i], node.shape[i]) for i in kept)
    if not is_shape or len(set(along)) != len(along):
        raise ShapeError(
            explain(name, f"a shape that differs from x on the axes {tuple(axes)} only",
                    f"{node.type} and shape {shape_text(wanted)}")
        )  # fmt: skip
    x = _wide(node)
    amounts = [to_dtype(name, to_operand(each, name), x.dtype) for each in (scale, translation)]
    if any(each.type.rank != 1 or each.shape[0] != len(along) for each in amounts):
        raise ShapeError(
            explain(name, f"a scale and a translation for each of {len(along)} axes",
                    f"scale {amounts[0].type}, translation {amounts[1].type}")
        )  # fmt: skip
    order = list(range(rank))
    for number, axis in enumerate(along):
        factor, offset = (movement.reshape(cut(each, 0, number, number + 1), shape=())
                          for each in amounts)  # fmt: skip
        weights = _moved_weights(
            node.shape[axis], wanted[axis], factor, offset, _KERNELS[interpolation], antialias
        )
        place = order.index(axis)
        x = dot(x, weights, contract=((place,), (1,)))
        order.append(order.pop(place))
    x = transposed(x, [order.index(axis) for axis in range(rank)])
    return wrap(_back(x, node.dtype))


def _moved_weights(
    source: Size,
    target: Size,
    scale: Node,
    translation: Node,
    kernel: Callable[[Node], Node],
    antialias: bool,
) -> Node:
    """The weight of each old pixel in each new one: [target, source]."""
    dtype, shape = scale.dtype, (target, source)
    new, old = (movement.iota(dtype=dtype, shape=shape, axis=axis) for axis in (0, 1))
    half = full_like(new, 0.5)
    step = ops.divide(full_like(scale, 1), scale)
    stretch = ops.maximum(step, full_like(step, 1)) if antialias else full_like(step, 1)
    step, stretch, offset = (_spread(each, new) for each in (step, stretch, translation))
    # The place of the old image, counted in centres, that a new pixel shows.
    place = ops.subtract(ops.multiply(ops.subtract(ops.add(new, half), offset), step), half)
    weights = kernel(ops.divide(ops.abs(ops.subtract(place, old)), stretch))
    total = _spread(sum_op(weights, axes=(1,)), weights, (0,))
    nothing = full_like(total, 0)
    # Weights that all but cancel say nothing.
    is_some = ops.greater(ops.abs(total), full_like(total, 1000 * float(np.finfo(np.float32).eps)))
    weights = ops.divide(weights, ops.select(is_some, total, full_like(total, 1)))
    last = ops.subtract(_spread(size_node(source, dtype), place), half)
    is_inside = ops.logical_and(
        ops.greater_equal(place, ops.negative(half)), ops.less_equal(place, last)
    )
    return ops.select(ops.logical_and(is_some, is_inside), weights, nothing)


def _projected(rows: Node, shape: Shape) -> tuple[Node, Node, Node]:
    """Where each pixel [B, H, W] of the result looks, before the division by the third."""
    dtype = rows.dtype
    y, x = (movement.iota(dtype=dtype, shape=shape, axis=axis) for axis in (1, 2))
    numbers = []
    for position in range(8):
        column = cut(rows, 1, position, position + 1)
        if is_known_equal(rows.shape[0], shape[0]):
            column = movement.reshape(column, shape=(shape[0],))
            numbers.append(broadcast(column, shape=shape, axes=(0,)))
        else:
            numbers.append(broadcast(movement.reshape(column, shape=()), shape=shape, axes=()))

    def line(a: Node, b: Node, c: Node) -> Node:
        return ops.add(ops.add(ops.multiply(a, x), ops.multiply(b, y)), c)

    a0, a1, a2, b0, b1, b2, c0, c1 = numbers
    return line(a0, a1, a2), line(b0, b1, b2), line(c0, c1, full_like(x, 1))


# Filters ------------------------------------------------------------------------------------------


def gaussian_blur(
    images: Any,
    kernel_size: int | tuple[int, int] = (3, 3),
    sigma: Any = (1.0, 1.0),
    *,
    data_format: str = "channels_last",
) -> Tensor:
    """The images blurred by a Gaussian of so many rows and columns; zeros lie around them.

    `sigma` is its standard deviation in pixels, one for both axes or one for each; numbers above 0
    or tensors without axes. The weights of the kernel add up to 1.
    """
    name = "gaussian_blur"
    node, layout = _images(name, images, data_format)
    ops.check_elements(name, REAL, node.type)
    x = _wide(node)
    sizes = _pair(name, "a kernel_size", kernel_size)
    given = sigma if isinstance(sigma, (tuple, list)) else (sigma, sigma)
    if len(given) != 2:
        wanted = "one sigma, or one for rows and one for columns"
        raise ArgumentError(explain(name, wanted, repr(sigma)))
    kernels = [
        _gaussian(name, size, each, x.dtype) for size, each in zip(sizes, given, strict=True)
    ]
    paddings = [((size - 1) // 2, size // 2) for size in sizes]
    return wrap(_back(_filtered(x, layout, kernels, paddings), node.dtype))


def _gaussian(name: str, size: int, sigma: Any, dtype: DType) -> Node:
    """The weights of a Gaussian over so many pixels: [size]."""
    if isinstance(sigma, (int, float)) and not sigma > 0:
        raise ArgumentError(explain(name, "a sigma above 0", repr(sigma)))
    node = to_dtype(name, to_operand(sigma, name), dtype)
    if node.type.rank:
        raise ShapeError(explain(name, "a sigma without axes", str(node.type)))
    place = movement.iota(dtype=dtype, shape=(size,), axis=0)
    place = ops.subtract(place, full_like(place, (size - 1) / 2))
    place = ops.divide(place, _spread(node, place))
    weights = ops.exp(ops.multiply(ops.square(place), full_like(place, -0.5)))
    return ops.divide(weights, _spread(sum_op(weights, axes=(0,)), weights))


def _filtered(
    x: Node, layout: Layout, kernels: Sequence[Node], paddings: Sequence[tuple[int, int]]
) -> Node:
    """Each channel filtered along rows and columns, by one kernel [k] for each."""
    shape = x.shape if layout.is_batched else (1, *x.shape)
    shift = len(shape) - layout.rank
    order = [0, *(axis + shift for axis in (layout.rows, layout.columns, layout.channels))]
    x = transposed(movement.reshape(x, shape=shape), order)
    channels = x.shape[-1]
    for axis, (kernel, padding) in enumerate(zip(kernels, paddings, strict=True)):
        size = kernel.shape[0]
        window = (size, 1) if axis == 0 else (1, size)
        wide = broadcast(kernel, shape=(*window, 1, channels), axes=(axis,))
        x = conv(
            x,
            wide,
            strides=(1, 1),
            padding=(padding, (0, 0)) if axis == 0 else ((0, 0), padding),
            input_dilation=(1, 1),
            kernel_dilation=(1, 1),
            feature_groups=channels,
        )
    x = transposed(x, [order.index(axis) for axis in range(4)])
    return x if layout.is_batched else movement.reshape(x, shape=x.shape[1:])


def sobel_edges(
    images: Any, *, outside: str = "mirror", data_format: str = "channels_last"
) -> Tensor:
    """How steeply each channel rises downward and to the right: [B, H, W, C] -> [B, H, W, C, 2].

    Sobel's operator: differences over two pixels, weighted 1, 2, 1 across. Outside the images are
    mirrored at their edges, as in TensorFlow, or zero for `outside="zero"`. (I. Sobel and
    G. Feldman, 1968.)
    """
    node, layout = _images("sobel_edges", images, data_format)
    ops.check_elements("sobel_edges", REAL, node.type)
    _choice("sobel_edges", "outside", outside, ("mirror", "zero"))
    x = _wide(node)
    axes = (layout.rows, layout.columns)
    if outside == "zero":
        edges = tuple(int(axis in axes) for axis in range(layout.rank))
        none = (0,) * layout.rank
        x = movement.pad(x, full(0, x.dtype), low=edges, high=edges, interior=none)
    else:
        for axis in axes:
            size = x.shape[axis]
            index = movement.iota(dtype=int64, shape=(size + 2,), axis=0)
            index = ops.subtract(index, full_like(index, 1))
            x = take(x, mirrored_index(index, size), axis)

    def along(x: Node, axis: int, weights: Sequence[float]) -> Node:
        size = x.shape[axis] - 2
        return _weighted([cut(x, axis, k, k + size) for k in range(3)], weights)

    rising = (-1, 0, 1)
    smooth = (1, 2, 1)
    found = [
        along(along(x, axes[0], of_rows), axes[1], of_columns)
        for of_rows, of_columns in ((rising, smooth), (smooth, rising))
    ]
    parts = [movement.reshape(each, shape=(*each.shape, 1)) for each in found]
    return wrap(_back(join(parts, layout.rank), node.dtype))


# Measures -----------------------------------------------------------------------------------------


def _two(name: str, x: Any, y: Any, data_format: str) -> tuple[Node, Node, Layout, DType]:
    """Two images of one shape in one wide float type, and the type of the result."""
    a, layout = _images(name, x, data_format)
    b = operand(name, y)
    for node in (a, b):
        ops.check_elements(name, REAL, node.type)
    if a.type.rank != b.type.rank or not all(map(is_known_equal, a.shape, b.shape)):
        raise ShapeError(explain(name, "two images of one shape", f"{a.type} and {b.type}"))
    floats = [node.dtype if node.dtype.is_float else float32 for node in (a, b)]
    result = promote(*floats)
    wide = promote(*(_wide(node).dtype for node in (a, b)))
    return ops.cast(a, dtype=wide), ops.cast(b, dtype=wide), layout, result


def psnr(x: Any, y: Any, max_val: float, *, data_format: str = "channels_last") -> Tensor:
    """The peak signal-to-noise ratio of two images in decibels, one number an image.

    10 log10(max_val**2 / mean((x - y)**2)), infinite for equal images; `max_val` is the distance
    of the largest from the smallest possible value.
    """
    a, b, layout, result = _two("psnr", x, y, data_format)
    noise = _mean(ops.square(ops.subtract(a, b)), layout.of_one)
    peak = full_like(noise, 20 * np.log10(_positive("psnr", max_val)))
    ratio = ops.subtract(peak, ops.multiply(ops.log10(noise), full_like(noise, 10)))
    return wrap(_back(ratio, result))


def _positive(name: str, max_val: Any) -> float:
    if not isinstance(max_val, (int, float)) or not max_val > 0:
        raise ArgumentError(explain(name, "a max_val above 0", repr(max_val)))
    return float(max_val)


def ssim(
    x: Any,
    y: Any,
    max_val: float,
    *,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str = "channels_last",
) -> Tensor:
    """The structural similarity of two images, one number an image: 1 where they are equal.

    Means, variances and covariance are those under a Gaussian window, at every place where it
    fits; the result is the mean over places and channels. (Z. Wang, A. C. Bovik, H. R. Sheikh,
    E. P. Simoncelli, Image quality assessment: from error visibility to structural similarity,
    2004.) Images smaller than the window raise ShapeError; where named sizes turn out smaller the
    result is NaN, the mean of nothing.
    """
    a, b, layout, result = _two("ssim", x, y, data_format)
    (size, _) = _pair("ssim", "a filter_size", filter_size)
    for axis in (layout.rows, layout.columns):
        if is_known_at_least(size, a.shape[axis] + 1):
            raise ShapeError(
                explain(
                    "ssim",
                    f"images of at least filter_size={size} pixels on axis {axis}",
                    str(a.type),
                    "Pass a smaller filter_size.",
                )
            )
    kernel = _gaussian("ssim", size, filter_sigma, a.dtype)

    def blurred(x: Node) -> Node:
        return _filtered(x, layout, (kernel, kernel), ((0, 0), (0, 0)))

    peak = _positive("ssim", max_val)
    mean_a, mean_b = blurred(a), blurred(b)
    product = ops.multiply(mean_a, mean_b)
    squares = ops.add(ops.square(mean_a), ops.square(mean_b))
    covariance = ops.subtract(blurred(ops.multiply(a, b)), product)
    variances = ops.subtract(blurred(ops.add(ops.square(a), ops.square(b))), squares)

    def ratio(twice: Node, total: Node, k: float) -> Node:
        small = full_like(total, (k * peak) ** 2)
        return ops.divide(ops.add(ops.add(twice, twice), small), ops.add(total, small))

    local = ops.multiply(ratio(product, squares, k1), ratio(covariance, variances, k2))
    return wrap(_back(_mean(local, layout.of_one), result))


def total_variation(images: Any, *, data_format: str = "channels_last") -> Tensor:
    """The sum of the absolute differences of neighbouring pixels, one number an image."""
    node, layout = _images("total_variation", images, data_format)
    ops.check_elements("total_variation", REAL, node.type)
    x = _wide(node)
    totals = []
    for axis in (layout.rows, layout.columns):
        size = x.shape[axis]
        if not is_known_at_least(size, 1):
            raise ShapeError(
                explain("total_variation", "images of at least one pixel", str(node.type))
            )
        step = ops.subtract(cut(x, axis, 1, size), cut(x, axis, 0, size - 1))
        totals.append(sum_op(ops.abs(step), axes=layout.of_one))
    return wrap(_back(ops.add(*totals), node.dtype))


# Detection ----------------------------------------------------------------------------------------


def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output: int,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"),
) -> tuple[Tensor, Tensor]:
    """The boxes with the best scores that do not overlap, and how many they are.

    `boxes` is [N, 4], each box (y1, x1, y2, x2) with two opposite corners; `scores` is [N]. From
    the best box on, a box is kept unless its overlap with a kept one, as intersection over union,
    exceeds `iou_threshold`, or its score does not exceed `score_threshold`. Of equal scores the
    first counts as better; a score of NaN counts as none.

    Returns positions, i32[max_output], best first and -1 where there are no more, and their number,
    i32[]. The size is fixed, so it may be part of a traced function; it takes max_output steps.
    """
    name = "non_max_suppression"
    corners, live = operand(name, boxes), operand(name, scores)
    for node in (corners, live):
        ops.check_elements(name, REAL, node.type)
    fits = (
        corners.type.rank == 2
        and live.type.rank == 1
        and is_known_equal(corners.shape[1], 4)
        and is_known_equal(corners.shape[0], live.shape[0])
    )
    if not fits:
        raise ShapeError(
            explain(name, "boxes [N, 4] and scores [N]", f"{corners.type} and {live.type}")
        )
    (count,) = shape_of(name, (max_output,))
    if is_known_equal(live.shape[0], 0) or is_known_equal(count, 0):
        return wrap(full(-1, int32, (count,))), wrap(full(0, int32))
    sides = _sides(_wide(corners))
    live = _wide(live)
    worst = full_like(live, -np.inf)
    is_known = ops.greater(live, full_like(live, float(score_threshold)))
    live = ops.select(is_known, live, worst)
    position = movement.iota(dtype=int32, shape=live.shape, axis=0)

    def step(*inner: Node) -> tuple[Node, ...]:
        own, places, left = inner[:5], inner[5], inner[6]
        best = reduce.argmax(left, axis=0, dtype=int32)
        is_box = ops.greater(gather(left, best, axes=(0,)), full(-np.inf, left.dtype))
        overlap = _overlap(own, [_spread(gather(side, best, axes=(0,)), side) for side in own])
        is_gone = ops.logical_or(
            ops.greater(overlap, full_like(overlap, float(iou_threshold))),
            ops.equal(places, _spread(best, places)),
        )
        kept = ops.select(is_box, best, full(-1, int32))
        return ops.select(is_gone, full_like(left, -np.inf), left), kept

    constants = (*sides, position)
    types = [node.type for node in (*constants, live)]
    _, kept = items(
        control.scan(
            *constants,
            live,
            body=build("suppress", types, step),
            constants=len(constants),
            carries=1,
            length=count,
        )
    )
    is_box = ops.cast(ops.greater_equal(kept, full_like(kept, 0)), dtype=int32)
    return wrap(kept), wrap(sum_op(is_box, axes=(0,)))


def _sides(corners: Node) -> tuple[Node, ...]:
    """Top, left, bottom, right and the area of boxes."""
    count = corners.shape[0]
    y1, x1, y2, x2 = (
        movement.reshape(cut(corners, 1, side, side + 1), shape=(count,)) for side in range(4)
    )
    top, left = ops.minimum(y1, y2), ops.minimum(x1, x2)
    bottom, right = ops.maximum(y1, y2), ops.maximum(x1, x2)
    area = ops.multiply(ops.subtract(bottom, top), ops.subtract(right, left))
    return top, left, bottom, right, area


def _overlap(a: Sequence[Node], b: Sequence[Node]) -> Node:
    """Intersection over union; 0 where both areas are 0."""
    zero = full_like(a[0], 0)
    height = ops.subtract(ops.minimum(a[2], b[2]), ops.maximum(a[0], b[0]))
    width = ops.subtract(ops.minimum(a[3], b[3]), ops.maximum(a[1], b[1]))
    common = ops.multiply(ops.maximum(height, zero), ops.maximum(width, zero))
    union = ops.subtract(ops.add(a[4], b[4]), common)
    is_any = ops.greater(union, zero)
    return ops.select(
        is_any, ops.divide(common, ops.select(is_any, union, full_like(union, 1))), zero
    )

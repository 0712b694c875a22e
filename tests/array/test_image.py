"""Images: against loops over pixels, SciPy, PyTorch and colorsys; derivatives; named sizes."""

import colorsys
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pytest
import scipy.ndimage

from thalweg.array import image
from thalweg.array.derivatives import vjp
from thalweg.array.operands import to_tensor
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ShapeError,
    ThalwegError,
)
from thalweg.engine.trace import function
from thalweg.ir.types import as_dtype
from thalweg.ops.samples import values

SMOOTH = ("bilinear", "bicubic", "lanczos3", "lanczos5")
FORMATS = ("channels_last", "channels_first")


def real(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    return values(shape, as_dtype("float64"), low, high, seed=seed)


def to_first(x: np.ndarray) -> np.ndarray:
    """Channels from the last axis to where "channels_first" has them."""
    return np.moveaxis(x, -1, x.ndim - 3)


def check_derivative(compute: Callable, *args: np.ndarray, rtol: float = 1e-6) -> None:
    """The pullback of a random cotangent agrees with central differences in a random direction."""
    steps = [1e-6 * real(*arg.shape, seed=10 + place) for place, arg in enumerate(args)]
    ahead = compute(*(arg + step for arg, step in zip(args, steps, strict=True))).numpy()
    behind = compute(*(arg - step for arg, step in zip(args, steps, strict=True))).numpy()
    y, pull = vjp(compute, *args)
    weights = real(*y.shape, seed=20)
    found = sum(
        np.sum(darg.numpy() * step) for darg, step in zip(pull(weights), steps, strict=True)
    )
    wanted = np.sum(weights * (ahead - behind)) / 2
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-14)


def refuse(kind: type[ThalwegError], text: str, call: Callable, *args, **kwargs) -> None:
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    assert text in str(caught.value)


# Resizing -----------------------------------------------------------------------------------------


def kernel(name: str, x: float) -> float:
    """The weight of a pixel at a distance."""
    x = abs(x)
    if name == "bilinear":
        return max(0.0, 1 - x)
    if name == "bicubic":
        if x < 1:
            return ((1.5 * x - 2.5) * x) * x + 1
        return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0
    radius = int(name[-1])
    return float(np.sinc(x) * np.sinc(x / radius)) if x < radius else 0.0


def resize_axis(x: np.ndarray, axis: int, size: int, name: str, antialias: bool) -> np.ndarray:
    """One axis resized, place by place."""
    x = np.moveaxis(x, axis, 0)
    old = len(x)
    rows = []
    for i in range(size):
        centre = (i + 0.5) * old / size
        if name == "nearest":
            rows.append(x[int(centre)])
            continue
        if name == "area":
            begin, end = i * old / size, (i + 1) * old / size
            weights = [max(0.0, min(end, j + 1) - max(begin, j)) for j in range(old)]
        else:
            width = max(1.0, old / size) if antialias else 1.0
            weights = [kernel(name, (centre - (j + 0.5)) / width) for j in range(old)]
        rows.append(np.tensordot(np.array(weights) / np.sum(weights), x, 1))
    return np.moveaxis(np.array(rows).reshape(size, *x.shape[1:]), 0, axis)


def naive_resize(x, size, name, antialias, axes):
    for axis, new in zip(axes, size, strict=True):
        x = resize_axis(x, axis, new, name, antialias)
    return x


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", image.INTERPOLATIONS)
def test_resize_is_a_weighted_mean_of_pixels(interpolation, antialias):
    for old, new in (((5, 9), (9, 5)), ((12, 4), (3, 4)), ((1, 7), (3, 1)), ((6, 6), (0, 13))):
        for shape, axes in ((old, (0, 1)), ((2, *old), (1, 2))):
            x = real(*shape, 3)
            options = {"interpolation": interpolation, "antialias": antialias}
            wanted = naive_resize(x, new, interpolation, antialias, axes)
            found = image.resize(x, new, **options).numpy()
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
            first = image.resize(to_first(x), new, data_format="channels_first", **options)
            np.testing.assert_allclose(first.numpy(), to_first(found), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("interpolation", image.INTERPOLATIONS)
def test_any_number_of_spatial_axes_is_resized(interpolation):
    line = real(7, 2)
    found = image.resize(line, (4,), interpolation=interpolation).numpy()
    np.testing.assert_allclose(found, naive_resize(line, (4,), interpolation, False, (0,)))
    volume = real(2, 3, 4, 5, 2)
    found = image.resize(volume, (5, 2, 3), interpolation=interpolation, antialias=True).numpy()
    wanted = naive_resize(volume, (5, 2, 3), interpolation, True, (1, 2, 3))
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", image.INTERPOLATIONS)
def test_a_flat_image_stays_flat_and_a_same_size_the_same(interpolation, antialias):
    options = {"interpolation": interpolation, "antialias": antialias}
    flat = image.resize(np.full((5, 7, 1), 3.0), (8, 4), **options).numpy()
    np.testing.assert_allclose(flat, 3.0, rtol=1e-14)
    x = real(4, 5, 2)
    np.testing.assert_array_equal(image.resize(x, (4, 5), **options).numpy(), x)


@pytest.mark.parametrize("size", [(9, 5), (3, 11), (10, 14), (4, 4)])
@pytest.mark.parametrize(
    ("interpolation", "mode", "antialias"),
    [
        ("nearest", "nearest-exact", False),
        ("bilinear", "bilinear", False),
        ("bilinear", "bilinear", True),
        ("bicubic", "bicubic", True),
    ],
)
def test_resize_is_that_of_torch(interpolation, mode, antialias, size):
    torch = pytest.importorskip("torch")
    x = real(2, 5, 7, 3)
    # Without antialias, PyTorch's cubic has a = -3/4.
    options = {"antialias": antialias} if mode in ("bilinear", "bicubic") else {}
    given = torch.from_numpy(np.ascontiguousarray(to_first(x)))
    wanted = torch.nn.functional.interpolate(given, size, mode=mode, **options).numpy()
    found = image.resize(x, size, interpolation=interpolation, antialias=antialias).numpy()
    np.testing.assert_allclose(to_first(found), wanted, rtol=1e-6, atol=1e-6)


def test_area_is_that_of_torch_where_sizes_divide():
    torch = pytest.importorskip("torch")
    x = real(2, 6, 8, 3)
    given = torch.from_numpy(np.ascontiguousarray(to_first(x)))
    wanted = torch.nn.functional.interpolate(given, (2, 4), mode="area").numpy()
    found = image.resize(x, (2, 4), interpolation="area").numpy()
    np.testing.assert_allclose(to_first(found), wanted, rtol=1e-12)


def test_element_types_of_resize():
    pixels = np.array([[[0], [255]]], np.uint8)
    assert image.resize(pixels, (1, 4), interpolation="nearest").numpy().ravel().tolist() == [
        0,
        0,
        255,
        255,
    ]
    mixed = image.resize(pixels, (1, 4))
    assert mixed.dtype == "float32"
    assert mixed.numpy().ravel().tolist() == [0, 63.75, 191.25, 255]
    x = values((5, 6, 2), as_dtype("float32"))
    for dtype in (np.float16, ml_dtypes.bfloat16):
        short = x.astype(dtype)
        found = image.resize(short, (3, 4), interpolation="bicubic", antialias=True).numpy()
        exact = naive_resize(short.astype(float), (3, 4), "bicubic", True, (0, 1))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.astype(float), exact, rtol=ml_dtypes.finfo(dtype).eps / 2)


def test_nearest_is_exact_for_large_images():
    # (i + 1/2) * 49 / 98 is whole for every odd i... and a rounded product may fall below it.
    x = np.arange(3 * 49.0).reshape(1, 147, 1)
    for size in (98, 147, 294, 49 * 1000):
        found = image.resize(x, (1, size), interpolation="nearest").numpy().ravel()
        wanted = [(2 * i + 1) * 147 // (2 * size) for i in range(size)]
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("interpolation", image.INTERPOLATIONS)
def test_one_trace_resizes_every_size(interpolation):
    @function
    def traced(x, like):
        return image.resize(
            x, like.shape, interpolation=interpolation, antialias=interpolation != "bilinear"
        )

    for old, new in (((5, 4), (7, 3)), ((6, 9), (2, 12)), ((3, 3), (9, 4)), ((8, 2), (3, 11))):
        x = real(2, *old, 1)
        wanted = image.resize(
            x, new, interpolation=interpolation, antialias=interpolation != "bilinear"
        )
        found = traced(x, np.zeros(new)).numpy()
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-12, atol=1e-12)
    assert len(traced.variants) == 2


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("interpolation", image.INTERPOLATIONS)
def test_resize_has_a_derivative(interpolation, antialias):
    def resized(x):
        return image.resize(x, (3, 8), interpolation=interpolation, antialias=antialias)

    check_derivative(resized, real(2, 5, 4, 2))


def test_refusals_of_resize():
    x = real(2, 4, 4, 3)
    refuse(ArgumentError, "interpolation among 'nearest', 'bil", image.resize, x, (2, 2),
           interpolation="cubic")  # fmt: skip
    refuse(ArgumentError, "data_format among 'channels_last'", image.resize, x, (2, 2),
           data_format="NHWC")  # fmt: skip
    refuse(ShapeError, "3 or 4 axes for a size of 2", image.resize, x[0, 0], (2, 2))
    refuse(ShapeError, "Write expand_dims(x, -1)", image.resize, x[0, 0], (2, 2))
    refuse(ShapeError, "at least one pixel", image.resize, np.zeros((0, 4, 3)), (2, 2))
    refuse(ShapeError, "sizes of zero or more", image.resize, x, (-1, 2))
    refuse(DTypeError, "[resize] wants real numbers", image.resize, x > 0, (2, 2))


# Colours ------------------------------------------------------------------------------------------


def colours(*shape: int, seed: int = 0) -> np.ndarray:
    return real(*shape, 3, low=0.0, high=1.0, seed=seed)


def each_pixel(x: np.ndarray, convert: Callable) -> np.ndarray:
    rows = [convert(*pixel) for pixel in x.reshape(-1, 3)]
    return np.array(rows).reshape(x.shape)


# Grey, black, white, the pure colours and ties between two channels.
CORNERS = np.array(
    [[r, g, b] for r in (0, 0.5, 1) for g in (0, 0.5, 1) for b in (0, 0.5, 1)], float
).reshape(1, 27, 3)


@pytest.mark.parametrize("x", [colours(4, 5), colours(2, 3, 4), CORNERS])
def test_hsv_is_that_of_colorsys(x):
    hsv = image.rgb_to_hsv(x).numpy()
    np.testing.assert_allclose(hsv, each_pixel(x, colorsys.rgb_to_hsv), atol=1e-14)
    np.testing.assert_allclose(image.hsv_to_rgb(hsv).numpy(), x, atol=1e-14)
    np.testing.assert_allclose(
        image.hsv_to_rgb(x).numpy(), each_pixel(x, colorsys.hsv_to_rgb), atol=1e-14
    )
    first = image.rgb_to_hsv(to_first(x), data_format="channels_first").numpy()
    np.testing.assert_array_equal(first, to_first(hsv))


def test_a_hue_counts_modulo_one():
    x = colours(4, 5)
    turned = x + np.array([3.0, 0, 0])
    np.testing.assert_allclose(
        image.hsv_to_rgb(turned).numpy(), image.hsv_to_rgb(x).numpy(), atol=1e-14
    )


def test_yuv_is_brightness_and_two_differences():
    x = colours(2, 3, 4)
    y, u, v = np.moveaxis(image.rgb_to_yuv(x).numpy(), -1, 0)
    red, green, blue = np.moveaxis(x, -1, 0)
    np.testing.assert_allclose(y, 0.299 * red + 0.587 * green + 0.114 * blue)
    np.testing.assert_allclose(u, 0.492111 * (blue - y), atol=1e-15)
    np.testing.assert_allclose(v, 0.877283 * (red - y), atol=1e-15)
    np.testing.assert_allclose(image.yuv_to_rgb(image.rgb_to_yuv(x)).numpy(), x, atol=1e-14)
    grey = image.rgb_to_yuv(np.full((1, 1, 3), 0.25)).numpy().ravel()
    np.testing.assert_allclose(grey, [0.25, 0, 0], atol=1e-15)


def test_grayscale_keeps_the_type_and_one_channel():
    x = colours(2, 3, 4)
    wanted = x @ np.array([0.2989, 0.587, 0.114])
    found = image.rgb_to_grayscale(x).numpy()
    np.testing.assert_allclose(found, wanted[..., None])
    first = image.rgb_to_grayscale(to_first(x), data_format="channels_first").numpy()
    np.testing.assert_array_equal(first, to_first(found))
    bytes_ = np.round(x * 255).astype(np.uint8)
    found = image.rgb_to_grayscale(bytes_).numpy()
    assert found.dtype == np.uint8
    exact = bytes_ @ np.array([0.2989, 0.587, 0.114])
    np.testing.assert_array_equal(found[..., 0], np.rint(exact))


def test_brightness_is_added_and_integers_stay_in_range():
    x = colours(2, 3, 4)
    np.testing.assert_allclose(image.adjust_brightness(x, 0.25).numpy(), x + 0.25)
    bytes_ = np.array([[[0, 100, 250]]], np.uint8)
    assert image.adjust_brightness(bytes_, 0.1).numpy().ravel().tolist() == [26, 126, 255]
    assert image.adjust_brightness(bytes_, -0.5).numpy().ravel().tolist() == [0, 0, 122]
    each = np.array([0.0, 0.5]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(image.adjust_brightness(x, each).numpy(), x + each)


@pytest.mark.parametrize("data_format", FORMATS)
def test_contrast_is_about_the_mean_of_each_channel(data_format):
    x = colours(2, 3, 4)
    mean = x.mean((1, 2), keepdims=True)
    wanted = mean + 1.5 * (x - mean)
    given, wanted = (x, wanted) if data_format == "channels_last" else map(to_first, (x, wanted))
    found = image.adjust_contrast(given, 1.5, data_format=data_format).numpy()
    np.testing.assert_allclose(found, wanted)
    np.testing.assert_allclose(image.adjust_contrast(x[0], 0).numpy()[1, 2], mean[0, 0, 0])


def test_saturation_and_hue():
    x = colours(2, 3, 4)

    def saturated(red, green, blue, factor):
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        return colorsys.hsv_to_rgb(hue, min(max(saturation * factor, 0), 1), value)

    for factor in (0.5, 3.0):
        wanted = each_pixel(x, lambda r, g, b, factor=factor: saturated(r, g, b, factor))
        np.testing.assert_allclose(image.adjust_saturation(x, factor).numpy(), wanted, atol=1e-14)
    grey = image.adjust_saturation(x, 0).numpy()
    np.testing.assert_allclose(grey, np.repeat(x.max(-1, keepdims=True), 3, -1))
    third = image.adjust_hue(x, 1 / 3).numpy()
    np.testing.assert_allclose(third, np.roll(x, 1, -1), atol=1e-14)
    np.testing.assert_allclose(image.adjust_hue(x, -1.0).numpy(), x, atol=1e-14)
    bytes_ = np.round(x * 255).astype(np.uint8)
    np.testing.assert_array_equal(image.adjust_hue(bytes_, 1 / 3).numpy(), np.roll(bytes_, 1, -1))
    first = image.adjust_hue(to_first(x), 0.1, data_format="channels_first").numpy()
    np.testing.assert_array_equal(first, to_first(image.adjust_hue(x, 0.1).numpy()))


def test_colours_have_derivatives():
    x = colours(3, 4)
    for change in (
        image.rgb_to_hsv,
        image.hsv_to_rgb,
        image.rgb_to_yuv,
        image.yuv_to_rgb,
        image.rgb_to_grayscale,
        lambda x: image.adjust_contrast(x, 1.5),
    ):
        check_derivative(change, x)
    for change in (image.adjust_brightness, image.adjust_hue, image.adjust_saturation):
        check_derivative(change, x, np.array(0.3))


def test_no_nan_comes_from_grey_or_black():
    x = np.array([[[0.0, 0, 0], [0.5, 0.5, 0.5]]])
    y, pull = vjp(lambda x: image.adjust_saturation(x, 2.0), x)
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(pull(np.ones(x.shape))[0].numpy()).all()


def test_refusals_of_colours():
    refuse(ArgumentTypeError, "Write x.astype('float32') / 255.", image.rgb_to_hsv,
           np.zeros((2, 2, 3), np.uint8))  # fmt: skip
    refuse(ShapeError, "three channels on axis 2", image.rgb_to_hsv, np.zeros((2, 2, 4)))
    refuse(ShapeError, "Did you mean data_format='channels_first'?", image.rgb_to_grayscale,
           np.zeros((3, 2, 4)))  # fmt: skip
    refuse(ShapeError, "an image [H, W, C], or a batch", image.adjust_hue, np.zeros((2, 2)), 0.1)
    refuse(ShapeError, "an image [C, H, W], or a batch", image.adjust_hue, np.zeros(2), 0.1,
           data_format="channels_first")  # fmt: skip
    refuse(ShapeError, "one that broadcasts to the images", image.adjust_brightness,
           np.zeros((1, 2, 2, 3)), np.zeros((5, 1, 1, 1)))  # fmt: skip


# Places -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 4, 2), (2, 3, 4, 2)])
@pytest.mark.parametrize("data_format", FORMATS)
def test_flips_and_quarter_turns(shape, data_format):
    x = real(*shape)
    given, back = (
        (x, lambda y: y)
        if data_format == "channels_last"
        else (to_first(x), lambda y: np.moveaxis(y, y.ndim - 3, -1))
    )
    rows, columns = len(shape) - 3, len(shape) - 2
    options = {"data_format": data_format}
    np.testing.assert_array_equal(
        back(image.flip_left_right(given, **options).numpy()), np.flip(x, columns)
    )
    np.testing.assert_array_equal(
        back(image.flip_up_down(given, **options).numpy()), np.flip(x, rows)
    )
    for k in range(-2, 6):
        found = back(image.rot90(given, k, **options).numpy())
        np.testing.assert_array_equal(found, np.rot90(x, k, (rows, columns)))
    refuse(ArgumentTypeError, "an integer number of quarter turns", image.rot90, x, 0.5)


@pytest.mark.parametrize("data_format", FORMATS)
def test_crop(data_format):
    x = real(2, 5, 6, 3)
    given = x if data_format == "channels_last" else to_first(x)
    wanted = x[:, 1:4, 2:6] if data_format == "channels_last" else to_first(x)[:, :, 1:4, 2:6]
    np.testing.assert_array_equal(
        image.crop(given, 1, 2, 3, 4, data_format=data_format).numpy(), wanted
    )
    traced = function(lambda x, top, left: image.crop(x, top, left, 3, 4, data_format=data_format))
    np.testing.assert_array_equal(traced(given, 1, 2).numpy(), wanted)
    np.testing.assert_array_equal(
        traced(given, 9, 2).numpy(),
        image.crop(given, 2, 2, 3, 4, data_format=data_format).numpy(),
    )
    assert len(traced.variants) == 1


def test_refusals_of_crop():
    x = real(5, 6, 3)
    refuse(ShapeError, "within the 5 pixels of axis 0", image.crop, x, 3, 0, 3, 2)
    refuse(ShapeError, "sizes of zero or more", image.crop, x, -1, 0, 3, 2)
    refuse(ArgumentError, "integers as top and left", image.crop, x, to_tensor(1.0), 0, 3, 2)


def test_central_crop():
    x = real(2, 7, 10, 3)
    np.testing.assert_array_equal(image.central_crop(x, 0.5).numpy(), x[:, 1:6, 2:8])
    np.testing.assert_array_equal(image.central_crop(x, 1.0).numpy(), x)
    # 10 - 10 * 0.3 is 7 pixels, though 10 * 0.3 as a float is not 3.
    assert image.central_crop(x, 0.3).shape == (2, 3, 4, 3)
    assert image.central_crop(x, 0.8).shape == (2, 7, 8, 3)
    traced = function(lambda x: image.central_crop(x, 0.5), shapes={"x": ("h", "w", 3)})
    for height, width in ((7, 10), (4, 5), (1, 1)):
        y = real(height, width, 3)
        np.testing.assert_array_equal(traced(y).numpy(), image.central_crop(y, 0.5).numpy())
    refuse(ArgumentError, "a fraction above 0", image.central_crop, x, 0.0)
    refuse(ArgumentError, "a fraction above 0", image.central_crop, x, 1.5)


@pytest.mark.parametrize("data_format", FORMATS)
def test_pad_to(data_format):
    x = real(2, 3, 4, 2)
    given = x if data_format == "channels_last" else to_first(x)

    def padded(low, high, value=0):
        y = np.pad(x, ((0, 0), *zip(low, high, strict=True), (0, 0)), constant_values=value)
        return y if data_format == "channels_last" else to_first(y)

    options = {"data_format": data_format}
    np.testing.assert_array_equal(
        image.pad_to(given, 6, 6, **options).numpy(), padded((1, 1), (2, 1))
    )
    np.testing.assert_array_equal(
        image.pad_to(given, 5, 9, top=0, left=5, value=7, **options).numpy(),
        padded((0, 5), (2, 0), 7),
    )
    assert image.pad_to(np.zeros((2, 2, 1), np.uint8), 3, 3, value=255).dtype == "uint8"


def test_refusals_of_pad_to():
    x = real(3, 4, 2)
    refuse(ShapeError, "a ground that holds the 3 pixels of axis 0", image.pad_to, x, 2, 4)
    refuse(ShapeError, "a ground that holds the 4 pixels of axis 1", image.pad_to, x, 3, 5, left=2)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("size", "strides", "rate"),
    [(2, None, 1), ((2, 3), (1, 2), 1), (3, 2, (2, 1)), (1, 3, 4), ((3, 1), 1, (2, 5))],
)
def test_patches_are_those_of_a_loop(padding, size, strides, rate):
    x = real(2, 7, 8, 3)
    found = image.extract_patches(x, size, strides, dilation_rate=rate, padding=padding).numpy()
    (h, w), (dy, dx) = (each if isinstance(each, tuple) else (each, each) for each in (size, rate))
    steps = strides or size
    sy, sx = steps if isinstance(steps, tuple) else (steps, steps)
    reach = ((h - 1) * dy + 1, (w - 1) * dx + 1)
    y = x
    if padding == "same":
        pads = [(0, 0)]
        for extent, step, need in zip((7, 8), (sy, sx), reach, strict=True):
            total = max(0, (-(-extent // step) - 1) * step + need - extent)
            pads.append((total // 2, total - total // 2))
        y = np.pad(x, (*pads, (0, 0)))
    rows = range(0, y.shape[1] - reach[0] + 1, sy)
    columns = range(0, y.shape[2] - reach[1] + 1, sx)
    wanted = np.array(
        [
            [y[:, i : i + reach[0] : dy, j : j + reach[1] : dx].reshape(2, -1) for j in columns]
            for i in rows
        ]
    )
    np.testing.assert_array_equal(found, np.moveaxis(wanted, 2, 0))
    options = {"dilation_rate": rate, "padding": padding}
    first = image.extract_patches(
        to_first(x), size, strides, data_format="channels_first", **options
    )
    np.testing.assert_array_equal(first.numpy(), to_first(found))
    one = image.extract_patches(x[1], size, strides, **options)
    np.testing.assert_array_equal(one.numpy(), found[1])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_patches_of_named_sizes_and_their_derivative(padding):
    def patches(x):
        return image.extract_patches(x, 3, 2, padding=padding)

    traced = function(patches)
    for shape in ((1, 7, 8, 2), (2, 9, 8, 2), (3, 4, 8, 2), (5, 2, 8, 2)):
        x = real(*shape)
        if padding == "valid" and shape[1] < 3:
            assert traced(x).shape == (5, 0, 3, 18)
        else:
            np.testing.assert_array_equal(traced(x).numpy(), patches(x).numpy())
    assert len(traced.variants) == 2
    check_derivative(patches, real(1, 7, 8, 2))


def test_refusals_of_patches():
    x = real(4, 4, 1)
    refuse(ShapeError, "at least 5 pixels on axis 0", image.extract_patches, x, 5)
    refuse(ArgumentError, "a size of one integer", image.extract_patches, x, 0)
    refuse(ArgumentError, "padding among 'valid', 'same'", image.extract_patches, x, 2,
           padding="full")  # fmt: skip


# Values between pixels ----------------------------------------------------------------------------

# The names that SciPy has for what lies outside.
SCIPY_MODES = {
    "constant": "grid-constant",
    "nearest": "nearest",
    "wrap": "grid-wrap",
    "mirror": "mirror",
    "reflect": "reflect",
}


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("fill_mode", image.FILL_MODES)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (1, 3), (2, 3, 4)])
def test_coordinates_are_looked_up_as_scipy_does(shape, fill_mode, order):
    x = real(*shape)
    places = real(len(shape), 6, 7, low=-9, high=12)
    found = image.map_coordinates(x, places, order, fill_mode=fill_mode, fill_value=2.5).numpy()
    wanted = scipy.ndimage.map_coordinates(
        x, places, order=order, mode=SCIPY_MODES[fill_mode], cval=2.5, prefilter=False
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_element_types_of_coordinates():
    x = np.array([0, 10, 21], np.int16)
    found = image.map_coordinates(x, [[0.25, 0.5, 1.5, 1.9, 5.0]])
    assert found.dtype == "int16"
    assert found.numpy().tolist() == [2, 5, 16, 20, 0]
    assert image.map_coordinates(x, [[0.5, 1.4]], 0).numpy().tolist() == [10, 10]
    assert image.map_coordinates(x, [[0, 2]]).numpy().tolist() == [0, 21]
    half = image.map_coordinates(x.astype(np.float16), [[0.25]])
    assert half.dtype == "float16"
    assert half.numpy().tolist() == [2.5]


@pytest.mark.parametrize("fill_mode", image.FILL_MODES)
def test_coordinates_have_derivatives(fill_mode):
    x, places = real(4, 5), real(2, 9, low=-6, high=9)

    def looked_up(x, places):
        return image.map_coordinates(x, places, fill_mode=fill_mode, fill_value=0.5)

    check_derivative(looked_up, x, places)
    check_derivative(lambda x: image.map_coordinates(x, places, 0, fill_mode=fill_mode), x)


@pytest.mark.parametrize("fill_mode", image.FILL_MODES)
def test_one_trace_looks_up_in_every_size(fill_mode):
    traced = function(lambda x, p: image.map_coordinates(x, p, fill_mode=fill_mode))
    for shape, count in (((4, 5), 3), ((3, 7), 5), ((6, 2), 4)):
        x, places = real(*shape), real(2, count, low=-6, high=9)
        wanted = image.map_coordinates(x, places, fill_mode=fill_mode).numpy()
        np.testing.assert_allclose(traced(x, places).numpy(), wanted)
    assert len(traced.variants) == 2


def test_refusals_of_coordinates():
    x = real(4, 5)
    refuse(ShapeError, "a first axis of 2", image.map_coordinates, x, real(3, 4))
    refuse(ArgumentError, "an order of 0 or 1", image.map_coordinates, x, real(2, 4), 3)
    refuse(ArgumentError, "fill_mode among 'constant'", image.map_coordinates, x, real(2, 4),
           fill_mode="edge")  # fmt: skip
    refuse(DTypeError, "[map_coordinates] wants real numbers", image.map_coordinates, x > 0,
           real(2, 4))  # fmt: skip


def naive_affine(x: np.ndarray, rows: np.ndarray, order: int, mode: str, value: float):
    """Each pixel of each image, looked up by SciPy."""
    result = np.empty(x.shape)
    for example, (a0, a1, a2, b0, b1, b2, c0, c1) in enumerate(np.broadcast_to(rows, (len(x), 8))):
        i, j = np.indices(x.shape[1:3])
        k = c0 * j + c1 * i + 1
        places = [(b0 * j + b1 * i + b2) / k, (a0 * j + a1 * i + a2) / k]
        for channel in range(x.shape[3]):
            result[example, ..., channel] = scipy.ndimage.map_coordinates(
                x[example, ..., channel], places, order=order, mode=SCIPY_MODES[mode],
                cval=value, prefilter=False,
            )  # fmt: skip
    return result


# No place falls on a pixel, or halfway between two, where the result is not smooth.
ROWS = np.array(
    [
        [1.2173, -0.3219, 0.4391, 0.2437, 0.9311, -1.1393, 0, 0],
        [0.7103, 0.7351, -2.0471, -0.7207, 0.7333, 2.5791, 0.0113, 0.0231],
    ]
)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", image.FILL_MODES)
def test_transforms_look_where_they_say(interpolation, fill_mode):
    x = real(2, 5, 6, 3)
    order = 1 if interpolation == "bilinear" else 0
    options = {"interpolation": interpolation, "fill_mode": fill_mode, "fill_value": 0.5}
    for rows in (ROWS, ROWS[:1], ROWS[0]):
        wanted = naive_affine(x, rows, order, fill_mode, 0.5)
        found = image.affine_transform(x, rows, **options).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    first = image.affine_transform(to_first(x), ROWS[0], data_format="channels_first", **options)
    np.testing.assert_array_equal(first.numpy(), to_first(found))
    one = image.affine_transform(x[1], ROWS[0], **options)
    np.testing.assert_array_equal(one.numpy(), found[1])


def test_transforms_that_are_known():
    x = real(1, 4, 4, 2)
    identity = [1.0, 0, 0, 0, 1, 0, 0, 0]
    np.testing.assert_array_equal(image.affine_transform(x, identity).numpy(), x)
    right = image.affine_transform(x, [1.0, 0, -1, 0, 1, 0, 0, 0]).numpy()
    np.testing.assert_array_equal(right[:, :, 1:], x[:, :, :-1])
    assert np.all(right[:, :, 0] == 0)
    # On the line x = 2 the division by k = 1 - x / 2 is one by 0.
    horizon = image.affine_transform(x, [1.0, 0, 0, 0, 1, 0, -0.5, 0], fill_value=9.0).numpy()
    assert np.all(horizon[:, :, 2] == 9)
    assert np.all(np.isfinite(horizon))
    _, pull = vjp(image.affine_transform, x, np.array([1.0, 0, 0, 0, 1, 0, -0.5, 0]))
    assert all(np.isfinite(each.numpy()).all() for each in pull(np.ones(x.shape)))
    bytes_ = (x > 0).astype(np.uint8)
    assert image.affine_transform(bytes_, identity).dtype == "uint8"


def test_transforms_have_derivatives_and_named_sizes():
    x = real(2, 4, 5, 2)
    check_derivative(lambda x, rows: image.affine_transform(x, rows), x, ROWS)
    traced = function(image.affine_transform)
    for shape in ((2, 4, 5, 2), (2, 6, 7, 2), (2, 3, 3, 2)):
        y = real(*shape)
        wanted = image.affine_transform(y, ROWS).numpy()
        np.testing.assert_allclose(traced(y, ROWS).numpy(), wanted, atol=1e-12)
    assert len(traced.variants) == 2


def test_refusals_of_transforms():
    x = real(2, 4, 4, 1)
    refuse(ShapeError, "one number to fill with", image.affine_transform, x, ROWS,
           fill_value=np.zeros(2))  # fmt: skip
    refuse(DTypeError, "a value that fits int64", image.affine_transform, x.astype(int), ROWS,
           interpolation="nearest", fill_value=0.5)  # fmt: skip
    refuse(ShapeError, "8 numbers for each of 2 images", image.affine_transform, x, np.zeros(6))
    refuse(ShapeError, "8 numbers for each of 2 images", image.affine_transform, x,
           np.zeros((3, 8)))  # fmt: skip
    refuse(ArgumentError, "interpolation among 'nearest', 'bilinear'", image.affine_transform, x,
           ROWS, interpolation="bicubic")  # fmt: skip


# Filters ------------------------------------------------------------------------------------------


def gaussian(size: int, sigma: float) -> np.ndarray:
    weights = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    return weights / weights.sum()


@pytest.mark.parametrize(
    ("size", "sigma"), [(3, 1.0), ((5, 3), (0.7, 2.0)), ((4, 1), 1.5), ((1, 6), (1.0, 3.0))]
)
def test_blur_is_a_correlation_with_a_gaussian(size, sigma):
    x = real(2, 7, 8, 3)
    found = image.gaussian_blur(x, size, sigma).numpy()
    wanted = x
    sizes, sigmas = (each if isinstance(each, tuple) else (each, each) for each in (size, sigma))
    for axis, (length, width) in enumerate(zip(sizes, sigmas, strict=True), 1):
        # SciPy's window of an even length begins one place earlier.
        origin = 0 if length % 2 else -1
        wanted = scipy.ndimage.correlate1d(
            wanted, gaussian(length, width), axis, mode="constant", origin=origin
        )
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    first = image.gaussian_blur(to_first(x), size, sigma, data_format="channels_first").numpy()
    np.testing.assert_allclose(first, to_first(found), rtol=1e-12, atol=1e-14)
    bytes_ = image.gaussian_blur((x > 0).astype(np.uint8), size, sigma)
    assert bytes_.dtype == "float32"
    one = image.gaussian_blur(x[0], size, sigma).numpy()
    np.testing.assert_allclose(one, found[0], rtol=1e-12, atol=1e-14)


def test_blur_has_derivatives_in_sigma_too():
    x = real(1, 5, 6, 2)

    def blurred(x, rows, columns):
        return image.gaussian_blur(x, (3, 5), (rows, columns))

    check_derivative(blurred, x, np.array(0.8), np.array(1.3))
    refuse(ArgumentError, "a sigma above 0", image.gaussian_blur, x, 3, 0.0)
    refuse(ArgumentError, "a kernel_size of one integer", image.gaussian_blur, x, (3, 0))
    refuse(ArgumentError, "one sigma, or one for rows", image.gaussian_blur, x, 3, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("shape", [(5, 6, 2), (2, 4, 3, 1), (1, 1, 4, 1), (2, 2, 1)])
def test_edges_are_those_of_sobel(shape):
    x = real(*shape)
    found = image.sobel_edges(x).numpy()
    assert found.shape == (*shape, 2)
    rows = len(shape) - 3
    for place, (across, along) in enumerate(((rows + 1, rows), (rows, rows + 1))):
        wanted = scipy.ndimage.correlate1d(x, [-1, 0, 1], along, mode="mirror")
        wanted = scipy.ndimage.correlate1d(wanted, [1, 2, 1], across, mode="mirror")
        np.testing.assert_allclose(found[..., place], wanted, atol=1e-12)
    first = image.sobel_edges(to_first(x), data_format="channels_first").numpy()
    np.testing.assert_array_equal(first[..., 0], to_first(found[..., 0]))
    check_derivative(image.sobel_edges, x)
    assert image.sobel_edges(x.astype(np.int8)).dtype == "float32"


# Measures -----------------------------------------------------------------------------------------


def naive_ssim(x, y, peak, size=11, sigma=1.5, k1=0.01, k2=0.03):
    """Every window of every channel of one image pair."""
    window = np.outer(gaussian(size, sigma), gaussian(size, sigma))
    c1, c2 = (k1 * peak) ** 2, (k2 * peak) ** 2
    found = []
    for channel in range(x.shape[-1]):
        for i in range(x.shape[0] - size + 1):
            for j in range(x.shape[1] - size + 1):
                a = x[i : i + size, j : j + size, channel]
                b = y[i : i + size, j : j + size, channel]
                mean_a, mean_b = np.sum(window * a), np.sum(window * b)
                var_a = np.sum(window * (a - mean_a) ** 2)
                var_b = np.sum(window * (b - mean_b) ** 2)
                both = np.sum(window * (a - mean_a) * (b - mean_b))
                top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
                found.append(top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))
    return np.mean(found)


def test_similarity_is_that_of_a_loop_over_windows():
    x, y = colours(2, 12, 14), colours(2, 12, 14, seed=1)
    wanted = [naive_ssim(a, b, 1.0) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(image.ssim(x, y, 1.0).numpy(), wanted, rtol=1e-10)
    options = {"filter_size": 4, "filter_sigma": 1.0, "k1": 0.05, "k2": 0.1}
    one = image.ssim(x[0], y[0], 2.0, **options)
    assert one.shape == ()
    np.testing.assert_allclose(one.numpy(), naive_ssim(x[0], y[0], 2.0, 4, 1.0, 0.05, 0.1))
    first = image.ssim(to_first(x), to_first(y), 1.0, data_format="channels_first").numpy()
    np.testing.assert_allclose(first, wanted, rtol=1e-10)
    np.testing.assert_allclose(image.ssim(x, x, 1.0).numpy(), [1, 1])
    bytes_ = np.round(x * 255).astype(np.uint8)
    assert image.ssim(bytes_, bytes_, 255).dtype == "float32"
    check_derivative(lambda x, y: image.ssim(x, y, 1.0, **options), x[:, :6, :5], y[:, :6, :5])


def test_noise_ratio():
    x, y = colours(2, 4, 5), colours(2, 4, 5, seed=1)
    wanted = 10 * np.log10(4 / np.mean((x - y) ** 2, (1, 2, 3)))
    np.testing.assert_allclose(image.psnr(x, y, 2.0).numpy(), wanted)
    np.testing.assert_allclose(image.psnr(x[0], y[0], 2.0).numpy(), wanted[0])
    assert image.psnr(x[0], x[0], 1.0).numpy() == np.inf
    check_derivative(lambda x, y: image.psnr(x, y, 1.0), x, y)


def test_total_variation():
    x = real(2, 4, 5, 3)
    wanted = np.abs(np.diff(x, axis=1)).sum((1, 2, 3)) + np.abs(np.diff(x, axis=2)).sum((1, 2, 3))
    np.testing.assert_allclose(image.total_variation(x).numpy(), wanted)
    np.testing.assert_allclose(image.total_variation(x[1]).numpy(), wanted[1])
    first = image.total_variation(to_first(x), data_format="channels_first")
    np.testing.assert_allclose(first.numpy(), wanted)
    traced = function(image.total_variation)
    for shape in ((2, 4, 5, 3), (2, 7, 3, 3), (2, 1, 4, 3)):
        y = real(*shape)
        np.testing.assert_allclose(traced(y).numpy(), image.total_variation(y).numpy())
    check_derivative(image.total_variation, x)


def test_refusals_of_measures():
    x = real(4, 4, 1)
    refuse(ShapeError, "two images of one shape", image.psnr, x, real(4, 5, 1), 1.0)
    refuse(ShapeError, "at least filter_size=11 pixels on axis 0", image.ssim, x, x, 1.0)
    refuse(ShapeError, "at least filter_size=5 pixels", image.ssim, x, x, 1.0, filter_size=5)
    assert image.ssim(x, x, 1.0, filter_size=4).numpy() == 1
    refuse(ArgumentError, "a max_val above 0", image.psnr, x, x, 0)


# Detection ----------------------------------------------------------------------------------------


def naive_suppression(boxes, scores, most, overlap=0.5, least=-np.inf):
    def area(box):
        return (box[2] - box[0]) * (box[3] - box[1])

    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]
    kept: list[int] = []
    for place in sorted(range(len(scores)), key=lambda place: -scores[place]):
        if len(kept) == most or not scores[place] > least:
            break
        box = boxes[place]
        worst = 0.0
        for other in (boxes[each] for each in kept):
            height = min(box[2], other[2]) - max(box[0], other[0])
            width = min(box[3], other[3]) - max(box[1], other[1])
            common = max(height, 0) * max(width, 0)
            union = area(box) + area(other) - common
            worst = max(worst, common / union if union > 0 else 0)
        if worst <= overlap:
            kept.append(place)
    return kept + [-1] * (most - len(kept)), len(kept)


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5, 1.0])
def test_suppression_is_that_of_a_loop(overlap):
    rng = np.random.default_rng(3)
    for count in (1, 7, 30):
        corners = rng.uniform(0, 3, (count, 4))
        scores = rng.permutation(count) / count
        for most in (1, 5, 40):
            found, number = image.non_max_suppression(
                corners, scores, most, iou_threshold=overlap, score_threshold=0.1
            )
            wanted = naive_suppression(corners, scores, most, overlap, 0.1)
            assert (found.numpy().tolist(), number.numpy()) == wanted
            assert found.dtype == number.dtype == "int32"


def test_suppression_of_ties_nan_and_nothing():
    box = [0.0, 0, 1, 1]
    far = [5.0, 5, 6, 6]
    found, count = image.non_max_suppression([box, far, box, far], [1.0, 1.0, 1.0, np.nan], 4)
    assert found.numpy().tolist() == [0, 1, -1, -1]
    assert count.numpy() == 2
    for boxes, scores, most in (([], [], 2), ([box], [1.0], 0)):
        found, count = image.non_max_suppression(np.reshape(boxes, (-1, 4)), scores, most)
        assert found.numpy().tolist() == [-1] * most
        assert count.numpy() == 0
    flat = [[0.0, 0, 0, 1], [0.0, 0, 0, 1]]
    assert image.non_max_suppression(flat, [1.0, 0.5], 2)[1].numpy() == 2


def test_suppression_in_a_trace_serves_every_number_of_boxes():
    traced = function(lambda boxes, scores: image.non_max_suppression(boxes, scores, 4))
    rng = np.random.default_rng(5)
    for count in (6, 9, 12):
        boxes, scores = rng.uniform(0, 3, (count, 4)), rng.random(count)
        found, number = traced(boxes, scores)
        assert (found.numpy().tolist(), number.numpy()) == naive_suppression(boxes, scores, 4)
    assert len(traced.variants) == 2
    refuse(ShapeError, "boxes [N, 4] and scores [N]", image.non_max_suppression, real(3, 4),
           real(2), 2)  # fmt: skip


# Places that are data, other windows --------------------------------------------------------------


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_remap_reads_each_image_at_its_places(layout, interpolation):
    x = real(2, 5, 6, 3)
    rows, columns = real(2, 4, 7, low=-2, high=7), real(2, 4, 7, low=-2, high=8, seed=1)
    given = to_first(x) if layout == "channels_first" else x
    found = image.remap(
        given, rows, columns, interpolation=interpolation, fill_value=0.5, data_format=layout
    ).numpy()
    found = np.moveaxis(found, 1, -1) if layout == "channels_first" else found
    order = ("nearest", "bilinear").index(interpolation)
    for number in range(2):
        for channel in range(3):
            wanted = image.map_coordinates(
                x[number, :, :, channel], np.stack([rows[number], columns[number]]), order,
                fill_value=0.5,
            )  # fmt: skip
            np.testing.assert_allclose(found[number, :, :, channel], wanted.numpy(), rtol=1e-12)
    one = image.remap(given[1], rows[1], columns[1], interpolation=interpolation, fill_value=0.5,
                      data_format=layout).numpy()  # fmt: skip
    np.testing.assert_array_equal(np.moveaxis(one, 0, -1) if given is not x else one, found[1])


def test_remap_has_derivatives_and_refuses_other_shapes():
    x, rows, columns = real(2, 5, 6, 2), real(2, 3, 3, low=0, high=4), real(2, 3, 3, low=0, high=5)
    check_derivative(lambda *args: image.remap(*args, fill_mode="reflect"), x, rows, columns)
    refuse(ShapeError, "rows and columns of one shape", image.remap, x, rows[:1], columns[:1])
    refuse(ShapeError, "rows and columns of one shape", image.remap, x, rows, columns[:, :2])
    refuse(ArgumentError, "interpolation", image.remap, x, rows, columns, interpolation="cubic")


@pytest.mark.parametrize("interpolation", SMOOTH)
@pytest.mark.parametrize("antialias", [True, False])
def test_scaling_without_moving_resizes(interpolation, antialias):
    x = real(2, 6, 9, 2)
    sizes = {"interpolation": interpolation, "antialias": antialias}
    found = image.scale_and_translate(x, (2, 9, 3, 2), [1.5, 1 / 3], [0.0, 0.0], (1, -2), **sizes)
    wanted = image.resize(x, (9, 3), **sizes)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-6, atol=1e-6)


def test_moving_shows_zeros_and_has_derivatives():
    x = real(1, 5, 6, 1)
    found = image.scale_and_translate(x, (1, 5, 6, 1), [1.0, 1.0], [2.0, -1.0], (1, 2)).numpy()
    wanted = np.zeros_like(x)
    wanted[:, 2:, :5] = x[:, :3, 1:]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    scale, offset = np.array([1.37, 0.71]), np.array([-0.43, 0.91])

    def moved(x, scale, offset):
        return image.scale_and_translate(x, (1, 4, 7, 1), scale, offset, (1, 2))

    check_derivative(moved, x, scale, offset, rtol=1e-4)
    assert moved(x.astype("int32"), scale, offset).dtype == "float32"
    refuse(ShapeError, "on the axes (1, 2) only", image.scale_and_translate, x, (2, 5, 6, 1),
           scale, offset, (1, 2))  # fmt: skip
    refuse(ShapeError, "for each of 1 axes", image.scale_and_translate, x, (1, 4, 6, 1), scale,
           offset, (1,))  # fmt: skip


def test_zeros_around_edges():
    x = real(1, 4, 5, 2)
    found = image.sobel_edges(x, outside="zero").numpy()
    wanted = image.sobel_edges(np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))).numpy()
    np.testing.assert_allclose(found, wanted[:, 2:-2, 2:-2], rtol=1e-12)
    refuse(ArgumentError, "outside among", image.sobel_edges, x, outside="wrap")


def test_patches_of_volumes():
    x = real(2, 5, 6, 7, 3)
    found = image.extract_patches(x, (2, 3, 2), (1, 3, 2)).numpy()
    assert found.shape == (2, 4, 2, 3, 36)
    np.testing.assert_array_equal(found[1, 2, 1, 1], x[1, 2:4, 3:6, 2:4].ravel())
    first = np.moveaxis(x, -1, 1)
    first = image.extract_patches(first, (2, 3, 2), (1, 3, 2), data_format="channels_first")
    np.testing.assert_array_equal(np.moveaxis(first.numpy(), 1, -1), found)
    same = image.extract_patches(x[0], (2, 3, 2), (1, 3, 2), padding="same")
    assert same.shape == (5, 2, 4, 36)
    refuse(ShapeError, "4 or 5 axes", image.extract_patches, real(2, 5, 6), (2, 2, 2))

"""keras.ops.image: colours and sizes against real Keras; named sizes, classes, refusals."""

import inspect
from importlib import import_module

import ml_dtypes
import numpy as np
import pytest
from tests.keras.ops.gradients import Case, Oracle, close, numbers
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError
from thalweg.keras import settings
from thalweg.keras.ops import image
from thalweg.keras.symbol import KerasTensor

LAST, FIRST = "channels_last", "channels_first"
X = numbers(2, 7, 6, 3, low=0.0)
Y = numbers(2, 7, 6, 3, seed=1, low=0.0)
WIDE = numbers(2, 14, 13, 2, low=0.0)
BYTES = np.random.default_rng(0).integers(0, 256, (2, 7, 6, 3)).astype("uint8")


def first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, -3))


def colours():
    for name in ("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb"):
        yield Case(name, (X,), tolerance=1e-4)
        yield Case(name, (X[0],), of=(), symbols=())
        yield Case(name, (first(X),), {"data_format": FIRST}, of=())
        yield Case(name, (X.astype(ml_dtypes.bfloat16),), of=())
    yield Case("rgb_to_grayscale", (BYTES,), of=())
    yield Case("rgb_to_grayscale", (X[..., :1],))
    yield Case("sobel_edges", (X,))
    yield Case("sobel_edges", (first(X),), {"data_format": FIRST})
    yield Case("sobel_edges", (BYTES.astype("int32"),), of=())
    pair = WIDE, WIDE[::-1].copy()
    yield Case("ssim", pair, of=(0, 1), symbols=(0, 1), tolerance=1e-4)
    yield Case("ssim", pair, {"max_val": 2.0, "filter_size": 7, "filter_sigma": 1.0, "k1": 0.02,
                              "k2": 0.05}, of=(), symbols=(0, 1))  # fmt: skip
    yield Case("ssim", (first(WIDE)[0], first(WIDE)[1]), {"data_format": FIRST}, of=(), symbols=())


def sizes():
    for method in ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"):
        for size, antialias in (((4, 9), False), ((5, 4), True)):
            yield Case("resize", (X, size), {"interpolation": method, "antialias": antialias},
                       of=(0,) if antialias else ())  # fmt: skip
    yield Case("resize", (first(X), (9, 4)), {"data_format": FIRST}, of=())
    yield Case("resize", (X[0], [3, 3]), of=(), symbols=())
    yield Case("resize", (X.astype("float16"), (3, 3)), of=())
    for ratio in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        for size in ((4, 4), (3, 9), (9, 3), (14, 12)):
            yield Case("resize", (X, size), {ratio: True}, of=(0,) if size == (3, 9) else ())
        yield Case("resize", (first(X), (3, 9)), {ratio: True, "data_format": FIRST}, of=())
        yield Case("resize", (X[1], (9, 3)), {ratio: True}, of=(), symbols=())
    yield Case("resize", (X, (3, 9)), {"pad_to_aspect_ratio": True, "fill_value": 0.25}, of=())
    for args in ((1, 2, 3, 4), (1, 2, None, None, 9, 9), (None, None, 1, 2, 9, 9), (0, 0, 0, 0)):
        yield Case("pad_images", (X, *args))
    yield Case("pad_images", (first(X), 1, None, 2, 1, None, 8), {"data_format": FIRST}, of=())
    for args in ((1, 2, 3, 0), (1, 2, None, None, 4, 3), (None, None, 1, 2, 4, 3), (0, 0, 0, 0)):
        yield Case("crop_images", (X, *args), symbols=())
    yield Case("crop_images", (first(X)[0], 1, None, 2, 1, None, 4), {"data_format": FIRST}, of=(),
               symbols=())  # fmt: skip
    for settings_ in (
        {}, {"strides": 1}, {"strides": (2, 1), "padding": "same"}, {"dilation_rate": 2},
        {"dilation_rate": 2, "strides": 1, "padding": "same"},
    ):  # fmt: skip
        yield Case("extract_patches", (X, (3, 2)), settings_, of=(0,) if settings_ else ())
        yield Case("extract_patches", (first(X), 2), {**settings_, "data_format": FIRST}, of=())
    cube = numbers(1, 5, 4, 6, 2)
    yield Case("extract_patches_3d", (cube, 2))
    yield Case("extract_patches_3d", (cube, (2, 1, 3)), {"strides": (1, 2, 2), "padding": "same"})
    yield Case("extract_patches_3d", (first_of_volume(cube), 2), {"data_format": FIRST}, of=())
    yield Case("extract_patches", (cube, (2, 2, 2)), {"strides": 1}, of=())


def first_of_volume(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


ORACLE = Oracle(
    *(
        Case(f"image.{each.name}", each.args, each.settings, each.of, each.symbols, each.tolerance)
        for group in (colours(), sizes())
        for each in group
    )
)


@pytest.mark.parametrize("case", ORACLE.cases, ids=str)
def test_as_in_keras(case):
    ORACLE.check(getattr(image, case.name.split(".")[-1]), case)


def test_integers_are_rounded_and_held():
    x = np.array([0, 1, 254, 255], "uint8").reshape(1, 2, 2, 1)
    wide = image.resize(x, (4, 4))
    wanted = [[0, 0, 1, 1], [64, 64, 64, 64], [190, 191, 191, 192], [254, 254, 255, 255]]
    close(wide[0, :, :, 0], np.array(wanted, "uint8"))
    steep = image.resize(x, (4, 4), "bicubic").numpy()[0, :, :, 0]
    assert steep[0].max() == 0 and steep[-1].min() == 255
    assert image.resize(x, (4, 4), "nearest").dtype.name == "uint8"


def test_cut_and_padded_to_named_sizes():
    crop = tw.function(lambda x: image.resize(x, (4, 6), crop_to_aspect_ratio=True))
    pad = tw.function(lambda x: image.resize(x, (4, 6), pad_to_aspect_ratio=True))
    patches = tw.function(lambda x: image.extract_patches(x, 2, padding="same"))
    blur = tw.function(lambda x: image.gaussian_blur(x, 3))
    for height, width in ((5, 8), (8, 5), (11, 11), (7, 20)):
        x = numbers(1, height, width, 2)
        close(crop(x), image.resize(x, (4, 6), crop_to_aspect_ratio=True).numpy(), 1e-5)
        close(pad(x), image.resize(x, (4, 6), pad_to_aspect_ratio=True).numpy(), 1e-5)
        close(patches(x), image.extract_patches(x, 2, padding="same").numpy())
        close(blur(x), image.gaussian_blur(x, 3).numpy(), 1e-5)


def test_unknown_sizes():
    images, one = KerasTensor((None, None, None, 3)), KerasTensor((None, None, 3))
    for settings_ in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
        assert image.resize(images, (15, 10), **settings_).shape == (None, 15, 10, 3)
        assert image.resize(one, (15, 10), **settings_).shape == (15, 10, 3)
    assert image.pad_images(images, 2, 3, 2, 3).shape == (None, None, None, 3)
    padded = image.pad_images(images, 2, 3, target_height=20, target_width=30)
    assert padded.shape == (None, 20, 30, 3)
    cropped = image.crop_images(images, 2, 3, target_height=20, target_width=30)
    assert cropped.shape == (None, 20, 30, 3)
    assert image.rgb_to_grayscale(images).shape == (None, None, None, 1)
    assert image.rgb_to_hsv(KerasTensor((None, None, None))).shape == (None, None, None)
    assert image.sobel_edges(images).shape == (None, None, None, 3, 2)
    assert image.ssim(images, images).shape == (None,)
    assert image.affine_transform(images, KerasTensor((None, 8))).shape == images.shape
    assert image.extract_patches(images, 4).shape == (None, None, None, 48)
    where = KerasTensor((3, 15, None))
    assert image.map_coordinates(one, where, 1).shape == (15, None)
    found = image.scale_and_translate(
        images, (None, 25, 24, 3), KerasTensor((2,)), KerasTensor((2,)), (1, 2), "linear"
    )
    assert found.shape == (None, 25, 24, 3)
    assert image.gaussian_blur(images, KerasTensor((2,)), KerasTensor((2,))).shape == images.shape


def test_the_default_data_format():
    x = first(X)
    settings.set_image_data_format(FIRST)
    try:
        close(image.gaussian_blur(x), first(image.gaussian_blur(X, data_format=LAST).numpy()))
        assert image.resize(x, (3, 4)).shape == (2, 3, 3, 4)
        assert image.rgb_to_grayscale(KerasTensor((None, 3, 4, 4))).shape == (None, 1, 4, 4)
    finally:
        settings.set_image_data_format(LAST)


def test_every_op_has_the_class_that_files_name():
    module = import_module("keras.src.ops.image")
    for name in image.__all__:
        definition = getattr(image, name).definition
        where, class_name = definition.operation._serialized_as
        assert where == "keras.src.ops.image"
        if name == "extract_patches_3d":  # not a class of its own there
            continue
        theirs = getattr(module, class_name)
        assert definition.data == list(inspect.signature(theirs.call).parameters)[1:], name
        made = inspect.signature(theirs.__init__).parameters
        wanted = [each for each in made if each not in ("self", "name")]
        given = [each for each in definition.signature.parameters if each not in definition.data]
        assert given == wanted, name


def test_signatures():
    for name in image.__all__:
        theirs = inspect.signature(getattr(real.ops.image, name))
        ours = inspect.signature(getattr(image, name))
        assert [(each.name, each.default) for each in ours.parameters.values()] == [
            (each.name, each.default) for each in theirs.parameters.values()
        ], name


FLAT, POINTS = numbers(5, 5), numbers(4, 2)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        *(
            (lambda function=function, x=x: function(x), ShapeError,
             "Invalid images rank: expected rank 3")
            for x in (FLAT, KerasTensor((5, 5)))
            for function in (
                image.rgb_to_grayscale, image.rgb_to_hsv, image.hsv_to_rgb, image.sobel_edges,
                image.gaussian_blur, image.elastic_transform,
                lambda x: image.resize(x, (2, 2)),
                lambda x: image.affine_transform(x, np.zeros(8)),
                lambda x: image.perspective_transform(x, POINTS, POINTS),
                lambda x: image.pad_images(x, 0, 0, 0, 0),
                lambda x: image.crop_images(x, 0, 0, 0, 0),
            )
        ),
        (lambda: image.rgb_to_grayscale(WIDE), ShapeError,
         "Invalid channel size: expected 3 (RGB) or 1 (Grayscale)."),
        (lambda: image.rgb_to_hsv(WIDE), ShapeError, "received images with 2 channels."),
        (lambda: image.hsv_to_rgb(BYTES), ArgumentError, "expected float dtype."),
        (lambda: image.resize(X, 4), ArgumentError, "tuple of 2 integers"),
        (lambda: image.resize(X, (0, 4)), ArgumentError, "must have positive height and width"),
        (lambda: image.resize(X, (2, 4), "area"), ArgumentError, "`interpolation` among"),
        (lambda: image.resize(X, (2, 4), fill_mode="wrap"), ArgumentError, "`fill_mode` among"),
        (lambda: image.resize(X, (2, 4), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
         ArgumentError, "only one of"),
        (lambda: image.pad_images(X, 0, 0, 0, target_height=9, target_width=9), ArgumentError,
         "Must specify exactly two of top_padding, bottom_padding, target_height"),
        (lambda: image.pad_images(X, -1, 0, None, None, 9, 9), ArgumentError,
         "top_padding must be >= 0"),
        (lambda: image.pad_images(KerasTensor((None, None, 3)), 0, 0, None, None, -1, 5),
         ArgumentError, "target_height must be >= 0"),
        (lambda: image.crop_images(X, 0, 4, 0, 4), ArgumentError, "target_width must be >= 0"),
        (lambda: image.crop_images(X, None, 0, 1, 0, 12), ArgumentError,
         "top_cropping must be >= 0"),
        (lambda: image.crop_images(KerasTensor((None, 10, 3)), 2, 3, 4, 5), ArgumentError,
         "When the height of the images is unknown"),
        (lambda: image.extract_patches(X, "5"), ArgumentTypeError, "Expected an int or a tuple"),
        (lambda: image.extract_patches(X, (1, 2, 3, 4)), ArgumentError, "length 2 or 3"),
        (lambda: image.extract_patches(X, 20), ShapeError, "at least 20 pixels"),
        (lambda: image.extract_patches_3d(X, (4, 4)), ArgumentTypeError, "length 3"),
        (lambda: image.extract_patches_3d(numbers(1, 4, 4, 4, 1), 2, (2, 2)), ArgumentError,
         "one for each of 3 axes"),
        (lambda: image.affine_transform(X, np.zeros((1, 1, 8))), ShapeError,
         "Invalid transform rank: expected rank 1"),
        (lambda: image.affine_transform(X, np.zeros(8), "cubic"), ArgumentError,
         "`interpolation` among"),
        (lambda: image.perspective_transform(X, POINTS[:3], POINTS), ShapeError,
         "Invalid start_points shape: expected"),
        (lambda: image.perspective_transform(X, POINTS, POINTS[None]), ShapeError,
         "of the same shape"),
        (lambda: image.map_coordinates(X, FLAT, 0), ShapeError,
         "must be the same as the rank of `inputs`"),
        (lambda: image.map_coordinates(FLAT, np.zeros(2), 0), ShapeError,
         "expected at least rank 2"),
        (lambda: image.map_coordinates(FLAT, np.zeros((2, 1)), 2), ArgumentError, "0 or 1"),
        (lambda: image.map_coordinates(FLAT, np.zeros((2, 1)), 1, "edge"), ArgumentError,
         "`fill_mode` among"),
        (lambda: image.scale_and_translate(X, (2, 9, 9, 3), [1.0, 1.0], [0.0, 0.0], (1, 2), "area"),
         ArgumentError, "`method` among"),
        (lambda: image.scale_and_translate(X, (3, 9, 9, 3), [1.0, 1.0], [0.0, 0.0], (1, 2),
                                           "linear"), ShapeError, "differs from x on the axes"),
        (lambda: image.scale_and_translate(X, (2, 9, 9, 3), [1.0], [0.0, 0.0], (1, 2), "linear"),
         ShapeError, "a scale and a translation for each of 2 axes"),
        (lambda: image.ssim(X, X), ShapeError, "at least filter_size=11"),
    ],
)  # fmt: skip
def test_refusals(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)

"""Pictures as arrays and back, against real Keras."""

import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras import door, preprocessing, settings, utils


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Pictures of every usual mode."""
    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "rgb.png")
    Image.fromarray(pixels(20, 30, 3)).save(tmp_path / "rgb.jpg")
    Image.fromarray(pixels(20, 30, 4)).save(tmp_path / "rgba.png")
    Image.fromarray(pixels(20, 30)).save(tmp_path / "grey.png")
    Image.fromarray(pixels(20, 30).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(pixels(20, 30)).convert("P").save(tmp_path / "palette.gif")
    return tmp_path


NAMES = ["rgb.png", "rgb.jpg", "rgba.png", "grey.png", "deep.png", "palette.gif"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
def test_load_img(folder, name, mode):
    for kwargs in (
        {},
        {"target_size": (5, 7)},
        {"target_size": (9, 9), "interpolation": "bicubic", "keep_aspect_ratio": True},
        {"target_size": (40, 8), "interpolation": "lanczos", "keep_aspect_ratio": True},
        {"target_size": (20, 30)},
    ):
        ours, theirs = (
            module.utils.load_img(folder / name, color_mode=mode, **kwargs)
            for module in (tw.keras, real)
        )
        assert ours.mode == theirs.mode
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_load_img_from_memory(folder):
    data = io.BytesIO((folder / "rgb.png").read_bytes())
    np.testing.assert_array_equal(np.asarray(utils.load_img(data)), pixels(20, 30, 3))


@pytest.mark.parametrize(
    ("path", "kwargs", "kind", "message"),
    [
        ("rgb.png", {"color_mode": "bgr"}, ValueError, "color_mode must be"),
        ("rgb.png", {"target_size": (5, 5), "interpolation": "area"}, ValueError, "Invalid interp"),
        ("rgb.png", {"target_size": 5}, ValueError, r"a size \(height, width\)(.|\n)*\(5, 5\)"),
        ("none.png", {}, FileNotFoundError, "none.png"),
        (3, {}, TypeError, r"path should be path-like or io.BytesIO"),
        ("text.png", {}, ValueError, "a picture"),
    ],
)
def test_load_img_says_what_is_wrong(folder, path, kwargs, kind, message):
    (folder / "text.png").write_text("no picture")
    with pytest.raises(kind, match=message):
        utils.load_img(folder / path if isinstance(path, str) else path, **kwargs)


FLOATS = st.sampled_from([0.0, 1.0, 0.25, 255.0, 300.0, -3.0, 17.7])


@given(
    data=st.data(),
    channels=st.sampled_from([1, 3, 4]),
    data_format=st.sampled_from([None, "channels_first", "channels_last"]),
    scale=st.booleans(),
    dtype=st.sampled_from([None, "float64", "float16"]),
)
def test_array_to_img(data, channels, data_format, scale, dtype):
    shape = (channels, 2, 3) if data_format == "channels_first" else (2, 3, channels)
    x = np.array(data.draw(st.lists(FLOATS, min_size=6 * channels, max_size=6 * channels)))
    if not scale:
        x = np.abs(x) % 256 if channels > 1 else np.abs(x)
    x = x.reshape(shape)
    ours, theirs = (
        module.utils.array_to_img(x, data_format, scale, dtype) for module in (tw.keras, real)
    )
    assert ours.mode == theirs.mode
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    back, other = (
        module.utils.img_to_array(ours, data_format, dtype) for module in (tw.keras, real)
    )
    assert back.dtype == other.dtype
    np.testing.assert_array_equal(back, other)


def test_tensors_are_pictures_too():
    x = pixels(4, 5, 3)
    assert utils.array_to_img(tw.asarray(x), scale=False).size == (5, 4)
    np.testing.assert_array_equal(
        utils.img_to_array(utils.array_to_img(tw.asarray(x), scale=False)), x
    )


def test_the_default_data_format_holds():
    settings.set_image_data_format("channels_first")
    try:
        assert utils.array_to_img(np.ones((3, 4, 5))).size == (5, 4)
        assert utils.img_to_array(Image.new("L", (5, 4))).shape == (1, 4, 5)
    finally:
        settings.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("function", "x", "message"),
    [
        ("array_to_img", np.zeros((2, 3)), "Expected image array to have rank 3"),
        ("array_to_img", np.zeros((2, 3, 2)), "Unsupported channel number: 2"),
        ("img_to_array", np.zeros((2, 3, 4, 5)), r"Unsupported image shape: \(2, 3, 4, 5\)"),
        ("img_to_array", 5, r"Unsupported image shape: \(\)"),
    ],
)
def test_arrays_that_are_no_pictures(function, x, message):
    with pytest.raises(ValueError, match=message):
        getattr(utils, function)(x)
    with pytest.raises(ValueError, match="The `data_format` argument to be one of"):
        getattr(utils, function)(x, data_format="channels")


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.jpg"])
def test_save_img(tmp_path, name):
    x = pixels(6, 5, 3)
    utils.save_img(tmp_path / name, x, scale=False)
    loaded = utils.img_to_array(utils.load_img(tmp_path / name), dtype="uint8")
    assert loaded.shape == x.shape
    if not name.endswith("jpg"):
        np.testing.assert_array_equal(loaded, x)


def test_save_img_elsewhere(tmp_path):
    buffer = io.BytesIO()
    utils.save_img(buffer, pixels(6, 5, 1), file_format="png", scale=False)
    assert Image.open(buffer).mode == "L"
    utils.save_img(str(tmp_path / "x.bin"), pixels(6, 5, 3), file_format="JPG", quality=5)
    assert (tmp_path / "x.bin").read_bytes().startswith(b"\xff\xd8\xff")
    for kwargs in ({}, {"file_format": "jpg"}, {"file_format": "jpeg"}):
        with pytest.warns(UserWarning, match="JPEG format does not support RGBA"):
            utils.save_img(tmp_path / "x.jpg", pixels(6, 5, 4), **kwargs)
    assert utils.load_img(tmp_path / "x.jpg").mode == "RGB"


@pytest.mark.parametrize(
    ("source", "size", "batch", "data_format"),
    [
        ((20, 30), (5, 5), (), "channels_last"),
        ((7, 13), (3, 11), (2,), "channels_last"),
        ((13, 4), (2, 9), (), "channels_first"),
        ((1, 9), (4, 4), (2,), "channels_first"),
    ],
)
def test_smart_resize(source, size, batch, data_format):
    shape = (*batch, *source, 2) if data_format == "channels_last" else (*batch, 2, *source)
    x = pixels(*shape).astype("float32")
    ours = preprocessing.image.smart_resize(x, size, data_format=data_format)
    theirs = real.preprocessing.image.smart_resize(x, size, data_format=data_format)
    assert isinstance(ours, np.ndarray)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("interpolation", ["nearest", "bicubic", "lanczos3", "lanczos5"])
def test_smart_resize_methods(interpolation):
    x = pixels(11, 17, 3)
    ours = preprocessing.image.smart_resize(tw.asarray(x), (7, 9), interpolation)
    theirs = real.preprocessing.image.smart_resize(x, (7, 9), interpolation)
    assert isinstance(ours, tw.Tensor)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((np.ones((4, 3)), (5, 5)), ValueError, "incorrect rank, of shape"),
        ((np.ones((4, 4, 3)), 5), ValueError, "Expected `size` to be a tuple of 2 integers"),
        ((np.ones((4, 4, 3)), (5, 5, 3)), ValueError, "tuple of 2 integers"),
        ((np.ones((4, 4, 3)), (5, 5), "cubic"), ValueError, "Invalid value for argument `interp"),
        ((np.ones((4, 4, 3)), (5, 5), "nearest", "last"), ValueError, "The `data_format` argument"),
    ],
)
def test_smart_resize_says_what_is_wrong(arguments, kind, message):
    with pytest.raises(kind, match=message):
        preprocessing.image.smart_resize(*arguments)
    with pytest.raises(TypeError, match="unexpected keyword arguments: \\['antialias'\\]"):
        preprocessing.image.smart_resize(np.ones((4, 4, 3)), (5, 5), antialias=True)


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"the library PIL(.|\n)*pip install 'thalweg\[image\]'"):
        utils.load_img("x.png")
    assert issubclass(door.MissingLibraryError, ImportError)

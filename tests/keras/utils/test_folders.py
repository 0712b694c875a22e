"""Data sets from folders: pictures, texts, sounds. The order of files is that of real Keras."""

import os
import struct

import numpy as np
import pytest
from PIL import Image
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras import preprocessing, settings, utils
from thalweg.keras.utils import audio_dataset

index_directory = pytest.importorskip("keras.src.utils.dataset_utils").index_directory


def fill(folder, write, count=12, classes=("cat", "dog"), deep=False):
    """Files in subfolders, in turn; some in folders below them where `deep`."""
    places = [
        p for name in classes for p in ([name, f"{name}/x", f"{name}/x/y"] if deep else [name])
    ]
    for place in places:
        (folder / place).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        write(folder / places[i % len(places)], i)
    return folder


def write_picture(place, i):
    x = np.full((6, 8, 3), i, np.uint8)
    Image.fromarray(x).save(place / f"{i}.{'PNG' if i % 2 else 'bmp'}")


def write_text(place, i):
    (place / f"{i}.txt").write_bytes(f"text {i}\r\nnaïve".encode())


def write_sound(place, i, length=20):
    samples = np.full(length, i * 1000, "<i2")
    (place / f"{i}.wav").write_bytes(wav(samples.tobytes(), 1, 1, 8000, 16))


def wav(body, kind, channels, rate, bits, extra=b""):
    frame = channels * bits // 8
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits) + extra
    chunks = [(b"LIST", b"odd"), (b"fmt ", head), (b"data", body)]
    packed = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(packed) + 4) + b"WAVE" + packed


def values_of(batch):
    """The number that each picture is filled with."""
    return batch[..., 0, 0, 0].numpy().astype(int).tolist()


def all_values(dataset):
    return [value for batch in dataset for value in values_of(batch)]


# ---- which files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"shuffle": False},
        {"shuffle": True, "seed": 3},
        {"shuffle": False, "class_names": ["dog", "cat"]},
        {"shuffle": True, "seed": 3, "labels": None, "label_mode": None},
        {"shuffle": True, "seed": 3, "labels": [5, 2] * 6},
    ],
    ids=str,
)
def test_files_and_labels_are_those_of_keras(tmp_path, kwargs, deep):
    fill(tmp_path, write_picture, deep=deep)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "cat" / "notes.md").write_text("no picture")
    dataset = utils.image_dataset_from_directory(
        tmp_path, image_size=(6, 8), batch_size=None, verbose=False, format="grain", **kwargs
    )
    arguments = {k: v for k, v in kwargs.items() if k != "label_mode"}
    arguments["labels"] = kwargs.get("labels", "inferred")
    if isinstance(arguments["labels"], list):
        arguments["labels"] = list(arguments["labels"])  # Keras shuffles the caller's list
    paths, labels, names = index_directory(
        str(tmp_path), formats=(".png", ".bmp"), verbose=False, **arguments
    )
    assert [str(path) for path in dataset.file_paths] == paths
    assert dataset.class_names == names
    by_value = {
        int(os.path.basename(path).partition(".")[0]): None if labels is None else int(labels[i])
        for i, path in enumerate(paths)
    }
    if labels is None:
        assert sorted(values_of(x[None])[0] for x in dataset) == sorted(by_value)
    else:
        assert {values_of(x[None])[0]: int(y) for x, y in dataset} == by_value


def test_training_and_validation_share_no_file(tmp_path, capsys):
    fill(tmp_path, write_picture, count=10)
    arguments = {"image_size": (6, 8), "validation_split": 0.3, "seed": 7, "labels": None}
    parts = [
        utils.image_dataset_from_directory(tmp_path, subset=subset, **arguments)
        for subset in ("training", "validation")
    ]
    assert capsys.readouterr().out == (
        "Found 10 files.\nUsing 7 files for training.\nFound 10 files.\nUsing 3 files for"
        " validation.\n"
    )
    both = utils.image_dataset_from_directory(tmp_path, subset="both", **arguments)
    assert [part.file_paths for part in both] == [part.file_paths for part in parts]
    assert sorted(all_values(parts[0]) + all_values(parts[1])) == list(range(10))
    paths, _, _ = index_directory(
        str(tmp_path), None, (".png", ".bmp"), shuffle=True, seed=7, verbose=False
    )
    assert [str(path) for path in parts[0].file_paths] == paths[:7]


def test_links_are_followed_when_asked(tmp_path):
    fill(tmp_path / "a", write_picture, count=2, classes=("cat",))
    fill(tmp_path / "b", write_picture, count=5, classes=("more",))
    (tmp_path / "a" / "cat" / "link").symlink_to(tmp_path / "b")
    for follow, count in ((False, 2), (True, 7)):
        dataset = utils.image_dataset_from_directory(
            tmp_path / "a", label_mode=None, image_size=(6, 8), follow_links=follow, verbose=False
        )
        assert len(dataset.file_paths) == len(all_values(dataset)) == count


# ---- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label_mode", "shape", "dtype"),
    [("int", (8,), "int32"), ("binary", (8, 1), "float32"), ("categorical", (8, 2), "float32")],
)
def test_batches_of_pictures(tmp_path, label_mode, shape, dtype):
    fill(tmp_path, write_picture)
    dataset = preprocessing.image_dataset_from_directory(
        tmp_path, label_mode=label_mode, batch_size=8, image_size=(6, 8), verbose=False
    )
    assert len(dataset) == 2
    x, y = next(iter(dataset))
    assert isinstance(x, tw.Tensor)
    assert isinstance(y, tw.Tensor)
    assert tuple(x.shape) == (8, 6, 8, 3)
    assert x.dtype.name == "float32"
    assert tuple(y.shape) == shape
    assert y.dtype.name == dtype
    numbers = y.numpy()
    numbers = numbers.argmax(-1) if label_mode == "categorical" else numbers.ravel()
    assert [value % 2 for value in values_of(x)] == numbers.astype(int).tolist()


def test_each_epoch_has_another_order(tmp_path):
    fill(tmp_path, write_picture)
    arguments = {"label_mode": None, "image_size": (6, 8), "verbose": False, "seed": 1}
    dataset = utils.image_dataset_from_directory(tmp_path, **arguments)
    first, second = all_values(dataset), all_values(dataset)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(12))
    again = utils.image_dataset_from_directory(tmp_path, **arguments)
    assert [all_values(again), all_values(again)] == [first, second]
    fixed = utils.image_dataset_from_directory(tmp_path, **arguments, format="grain")
    assert all_values(fixed) == all_values(fixed) == first
    sorted_ = utils.image_dataset_from_directory(tmp_path, **arguments, shuffle=False)
    assert all_values(sorted_) == [0, 10, 2, 4, 6, 8, 1, 11, 3, 5, 7, 9]


@pytest.mark.parametrize(("mode", "channels"), [("rgb", 3), ("rgba", 4), ("grayscale", 1)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_colours_and_layouts(tmp_path, mode, channels, data_format):
    fill(tmp_path, write_picture, count=2)
    arguments = {"color_mode": mode, "image_size": 5, "label_mode": None, "verbose": False}
    x = next(
        iter(utils.image_dataset_from_directory(tmp_path, data_format=data_format, **arguments))
    )
    shape = (2, 5, 5, channels) if data_format == "channels_last" else (2, channels, 5, 5)
    assert tuple(x.shape) == shape
    settings.set_image_data_format(data_format)
    try:
        x = next(iter(utils.image_dataset_from_directory(tmp_path, **arguments)))
    finally:
        settings.set_image_data_format("channels_last")
    assert tuple(x.shape) == shape


def test_pictures_are_stretched_cropped_or_padded(tmp_path):
    (tmp_path / "a").mkdir()
    gradient = np.tile(np.arange(0, 120, 10, dtype=np.uint8), (6, 1))  # 6 high, 12 wide
    Image.fromarray(gradient).save(tmp_path / "a" / "x.png")

    def row(**kwargs):
        dataset = utils.image_dataset_from_directory(
            tmp_path, color_mode="grayscale", image_size=(6, 6), batch_size=None, verbose=False,
            label_mode=None, **kwargs,
        )  # fmt: skip
        return next(iter(dataset))[:, :, 0].numpy()

    np.testing.assert_allclose(row()[0], [5, 25, 45, 65, 85, 105], atol=1e-4)
    np.testing.assert_allclose(row(crop_to_aspect_ratio=True)[0], [30, 40, 50, 60, 70, 80])
    padded = row(pad_to_aspect_ratio=True)
    assert (padded[0] == 0).all()
    np.testing.assert_allclose(padded[3], [5, 25, 45, 65, 85, 105], atol=1e-4)
    np.testing.assert_allclose(row(interpolation="NEAREST")[0], [10, 30, 50, 70, 90, 110])
    with pytest.raises(ValueError, match="Only one of"):
        row(crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)


def test_resizing_is_that_of_keras(tmp_path):
    (tmp_path / "a").mkdir()
    x = np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)
    Image.fromarray(x).save(tmp_path / "a" / "x.png")
    for kwargs in ({}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}):
        dataset = utils.image_dataset_from_directory(
            tmp_path, image_size=(9, 7), label_mode=None, verbose=False, **kwargs
        )
        expected = real.ops.image.resize(x.astype("float32"), (9, 7), antialias=False, **kwargs)
        np.testing.assert_allclose(next(iter(dataset)).numpy()[0], expected, atol=1e-3)


# ---- texts ---------------------------------------------------------------------------------------


def test_batches_of_texts(tmp_path):
    fill(tmp_path, write_text, count=6)
    dataset = preprocessing.text_dataset_from_directory(
        tmp_path, batch_size=4, shuffle=False, verbose=False
    )
    x, y = next(iter(dataset))
    assert x.shape == (4,)
    assert utils.standardize_dtype(x.dtype) == "string"
    assert x[0] == x.numpy()[0] == "text 0\r\nnaïve"
    assert y.tolist() == [0, 0, 0, 1]
    assert type(x.numpy()) is np.ndarray
    shortened = utils.text_dataset_from_directory(
        tmp_path, max_length=9, label_mode=None, shuffle=False, verbose=False
    )
    assert next(iter(shortened)).tolist()[:2] == ["text 0\r\nn", "text 2\r\nn"]


def test_single_texts(tmp_path):
    fill(tmp_path, write_text, count=4)
    arguments = {"batch_size": None, "shuffle": False, "verbose": False}
    x, y = next(iter(utils.text_dataset_from_directory(tmp_path, label_mode="binary", **arguments)))
    assert x.shape == ()
    assert str(x) == "text 0\r\nnaïve"
    assert y.tolist() == [0]
    dataset = utils.text_dataset_from_directory(
        tmp_path, label_mode=None, format="grain", **arguments
    )
    assert next(iter(dataset)) == "text 0\r\nnaïve"


# ---- sounds --------------------------------------------------------------------------------------


def test_batches_of_sounds(tmp_path):
    fill(tmp_path, write_sound, count=6)
    dataset = utils.audio_dataset_from_directory(
        tmp_path, batch_size=4, output_sequence_length=30, shuffle=False, verbose=False,
        label_mode="categorical",
    )  # fmt: skip
    x, y = next(iter(dataset))
    assert tuple(x.shape) == (4, 30, 1)
    assert x.dtype.name == "float32"
    np.testing.assert_allclose(x[:, 0, 0].numpy(), np.array([0, 2, 4, 1]) * 1000 / 2**15)
    assert (x[:, 20:].numpy() == 0).all()
    assert y.numpy().tolist() == [[1, 0], [1, 0], [1, 0], [0, 1]]


def test_sounds_of_several_lengths_are_filled_up(tmp_path):
    fill(tmp_path, lambda place, i: write_sound(place, i, 10 + i), count=4)
    arguments = {"label_mode": None, "shuffle": False, "verbose": False}
    (x,) = utils.audio_dataset_from_directory(tmp_path, **arguments)
    assert tuple(x.shape) == (4, 13, 1)
    single = utils.audio_dataset_from_directory(tmp_path, batch_size=None, ragged=True, **arguments)
    assert [tuple(x.shape) for x in single] == [(10, 1), (12, 1), (11, 1), (13, 1)]


def test_sounds_at_another_rate(tmp_path):
    (tmp_path / "a").mkdir()
    seconds = np.arange(8000) / 8000
    tone = np.round(np.sin(2 * np.pi * 440 * seconds) * 20000).astype("<i2")
    (tmp_path / "a" / "x.wav").write_bytes(wav(tone.tobytes(), 1, 1, 8000, 16))
    for rate in (16000, 11025, 4000, 8000):
        dataset = utils.audio_dataset_from_directory(
            tmp_path, sampling_rate=rate, label_mode=None, batch_size=None, verbose=False
        )
        x = next(iter(dataset)).numpy()[:, 0]
        assert len(x) == rate
        expected = np.sin(2 * np.pi * 440 * np.arange(rate) / rate) * 20000 / 2**15
        middle = slice(rate // 10, -rate // 10)
        np.testing.assert_allclose(x[middle], expected[middle], atol=2e-4)


def test_resampling_takes_away_what_the_new_rate_cannot_hold():
    tone = np.sin(2 * np.pi * 3500 * np.arange(8000) / 8000)[:, None].astype("float32")
    found = audio_dataset.resample(tone, 8000, 4000)
    assert np.abs(found[200:-200]).max() < 1e-3
    assert audio_dataset.resample(np.ones((100, 2), "float32"), 100, 33).shape == (33, 2)
    steady = audio_dataset.resample(np.ones((1000, 1), "float32"), 44100, 16000)
    np.testing.assert_allclose(steady[20:-20], 1, atol=1e-6)


SAMPLES = np.array([[-1.0, 0.5], [0.25, -0.125], [0, 0.75]])


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("extensible", [False, True])
def test_wav_files_of_integers(tmp_path, bits, extensible):
    scaled = np.round(SAMPLES * 2.0 ** (bits - 1)).astype(np.int64)
    if bits == 8:
        body = (scaled + 128).astype(np.uint8).tobytes()
    else:
        body = b"".join(int(n).to_bytes(bits // 8, "little", signed=True) for n in scaled.ravel())
    extra = struct.pack("<HHIH14s", 22, bits, 3, 1, b"\0" * 14) if extensible else b""
    path = tmp_path / "x.wav"
    path.write_bytes(wav(body, 0xFFFE if extensible else 1, 2, 22050, bits, extra))
    found, rate = audio_dataset.read_wav(str(path))
    assert rate == 22050
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, SAMPLES)


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_wav_files_of_floats(tmp_path, dtype):
    path = tmp_path / "x.wav"
    data = wav(SAMPLES.astype(dtype).tobytes(), 3, 2, 8000, int(dtype[-1]) * 8)
    path.write_bytes(data)
    np.testing.assert_array_equal(audio_dataset.read_wav(str(path))[0], SAMPLES)
    path.write_bytes(data[:-3])  # cut in the last frame: what is whole is kept
    np.testing.assert_array_equal(audio_dataset.read_wav(str(path))[0], SAMPLES[:2])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF____AVI ",
        wav(b"", 1, 1, 8000, 16)[:20],
        wav(b"ab", 2, 1, 8000, 16),
        wav(b"ab", 1, 0, 8000, 16),
        wav(b"ab", 1, 1, 0, 16),
        wav(b"ab", 1, 1, 8000, 12),
        wav(b"ab", 3, 1, 8000, 16),
    ],
)
def test_files_that_are_no_wav_files(tmp_path, data):
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"WAV files with integer samples(.|\n)*x.wav"):
        audio_dataset.read_wav(str(path))


# ---- what goes wrong -----------------------------------------------------------------------------

WRITERS = {"image": write_picture, "text": write_text, "audio": write_sound}
ERRORS = [
    ({"labels": "other"}, "`labels` argument should be"),
    ({"label_mode": "other"}, "`label_mode` argument must be"),
    ({"labels": [0] * 5, "class_names": ["a"]}, 'only pass `class_names` if `labels="inferred"`'),
    ({"labels": [0] * 4}, "Expected the lengths of `labels` to match the number of files"),
    ({"labels": None, "class_names": ["a"]}, "`class_names` cannot be specified"),
    ({"class_names": ["cat", "cow"]}, "`class_names` passed did not match"),
    ({"label_mode": "binary"}, "there must be exactly 2"),
    ({"validation_split": 2}, "`validation_split` must be between 0 and 1"),
    ({"validation_split": 0.2, "subset": "other"}, '`subset` must be either "training", "valid'),
    ({"validation_split": 0.0, "subset": "training"}, "`validation_split` must be set"),
    ({"validation_split": 0.2}, "`validation_split` must be set"),
    ({"validation_split": 0.2, "subset": "training"}, "must provide a `seed`"),
    (
        {"validation_split": 0.1, "subset": "both", "seed": 1},
        "No validation (images|.* files) found",
    ),
]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(("kwargs", "message"), ERRORS, ids=str)
def test_settings_that_do_not_go_together(tmp_path, kind, kwargs, message):
    fill(tmp_path, WRITERS[kind], count=5, classes=("cat", "cow2", "dog"))
    with pytest.raises(ValueError, match=message):
        getattr(utils, f"{kind}_dataset_from_directory")(tmp_path, verbose=False, **kwargs)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("image", "No images found."),
        ("text", "No text files found"),
        ("audio", "No audio files found in directory"),
    ],
)
def test_empty_folders(tmp_path, kind, message):
    (tmp_path / "cat").mkdir()
    make = getattr(utils, f"{kind}_dataset_from_directory")
    with pytest.raises(ValueError, match=message):
        make(tmp_path, verbose=False)
    with pytest.raises(FileNotFoundError):
        make(tmp_path / "nowhere", verbose=False)


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        ("image", {"color_mode": "other"}, "`color_mode` must be one of"),
        ("image", {"image_size": (3,)}, "Expected a tuple of 2 integers"),
        ("image", {"interpolation": "gaussian"}, "`interpolation` should be one of"),
        ("image", {"format": "other"}, '`format` should be either "tf" or "grain"'),
        ("image", {"data_format": "other"}, "`data_format` to be"),
        ("text", {"format": "other"}, '`format` should be either "tf" or "grain"'),
        ("audio", {"ragged": True, "output_sequence_length": 3}, "Cannot set both `ragged`"),
        ("audio", {"ragged": True}, "no ragged tensors"),
        ("audio", {"sampling_rate": 1.5}, "`sampling_rate` should have an integer value"),
        ("audio", {"sampling_rate": 0}, "`sampling_rate` should be higher than 0"),
    ],
)
def test_settings_of_one_kind(tmp_path, kind, kwargs, message):
    fill(tmp_path, WRITERS[kind], count=5)
    with pytest.raises(ValueError, match=message):
        getattr(utils, f"{kind}_dataset_from_directory")(tmp_path, verbose=False, **kwargs)


def test_a_damaged_picture_is_named(tmp_path):
    fill(tmp_path, write_picture, count=2)
    (tmp_path / "cat" / "bad.png").write_bytes(b"no picture")
    dataset = utils.image_dataset_from_directory(tmp_path, verbose=False)
    with pytest.raises(ValueError, match=r"a picture(.|\n)*bad.png"):
        list(dataset)

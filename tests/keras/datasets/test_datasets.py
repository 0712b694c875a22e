"""`keras.datasets`: made-up files of the published formats, read as real Keras reads them."""

import gzip
import importlib
import json
import os
import pickle

import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg.keras import datasets, settings
from thalweg.keras.datasets import fashion_mnist, idx, places
from thalweg.keras.utils.files import DownloadError

REAL_SHARED = os.environ.get("THALWEG_DATA", "")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that THALWEG_DATA names; the cache is another, empty one."""
    monkeypatch.setenv("THALWEG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def from_keras(monkeypatch, name, path, *args, **kwargs):
    """What the real loader makes of the file or folder at `path`."""
    module = importlib.import_module(f"keras.src.datasets.{name}")
    monkeypatch.setattr(module, "get_file", lambda *_, **__: str(path))
    return module.load_data(*args, **kwargs)


def assert_same(ours, theirs):
    for mine, other in zip(
        [x for pair in ours for x in pair], [x for pair in theirs for x in pair], strict=True
    ):
        assert mine.dtype == other.dtype
        if mine.dtype == object:
            assert [list(row) for row in mine] == [list(row) for row in other]
        else:
            np.testing.assert_array_equal(mine, other)


def ragged(count, seed):
    rng = np.random.default_rng(seed)
    rows = np.empty(count, dtype=object)
    for i in range(count):
        rows[i] = rng.integers(1, 60, rng.integers(1, 12)).tolist()
    return rows


# ---- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", [{}, {"test_split": 0.5, "seed": 3}, {"test_split": 0}])
def test_boston_housing(folder, monkeypatch, kwargs):
    rng = np.random.default_rng(0)
    np.savez(folder / "boston_housing.npz", x=rng.normal(size=(37, 13)), y=rng.normal(size=37))
    theirs = from_keras(monkeypatch, "boston_housing", folder / "boston_housing.npz", **kwargs)
    assert_same(datasets.boston_housing.load_data(**kwargs), theirs)


@pytest.mark.parametrize("version", ["large", "small"])
def test_california_housing(folder, monkeypatch, version):
    rng = np.random.default_rng(0)
    path = folder / "california_housing.npz"
    np.savez(path, x=rng.normal(size=(700, 8)).astype("float32"), y=rng.normal(size=700))
    theirs = from_keras(monkeypatch, "california_housing", path, version)
    assert_same(datasets.california_housing.load_data(version), theirs)


def test_wrong_arguments(folder):
    with pytest.raises(ValueError, match="Invalid `test_split` argument: 1"):
        datasets.boston_housing.load_data(test_split=1)
    with pytest.raises(ValueError, match=r"one of 'small', 'large'.\nReceived version=tiny"):
        datasets.california_housing.load_data("tiny")
    with pytest.raises(ValueError, match="`label_mode` must be one of"):
        datasets.cifar100.load_data("rough")
    with pytest.raises(TypeError, match="Unrecognized keyword arguments"):
        datasets.imdb.load_data(words=3)


# ---- words ---------------------------------------------------------------------------------------

WORD_ARGUMENTS = [
    {},
    {"num_words": 20, "skip_top": 6},
    {"num_words": 20, "oov_char": None},
    {"maxlen": 8, "seed": 5},
    {"start_char": None},
    {"start_char": None, "index_from": None, "oov_char": 7, "num_words": 10},
]


@pytest.mark.parametrize("kwargs", WORD_ARGUMENTS)
def test_imdb(folder, monkeypatch, kwargs):
    path = folder / "imdb.npz"
    labels = np.arange(40) % 2
    np.savez(path, x_train=ragged(40, 0), y_train=labels, x_test=ragged(30, 1), y_test=labels[:30])
    theirs = from_keras(monkeypatch, "imdb", path, **kwargs)
    assert_same(datasets.imdb.load_data(**kwargs), theirs)


@pytest.mark.parametrize("kwargs", [*WORD_ARGUMENTS, {"test_split": 0.5}])
def test_reuters(folder, monkeypatch, kwargs):
    path = folder / "datasets" / "reuters.npz"
    path.parent.mkdir()
    np.savez(path, x=ragged(50, 0), y=np.arange(50) % 46)
    theirs = from_keras(monkeypatch, "reuters", path, **kwargs)
    assert_same(datasets.reuters.load_data(**kwargs), theirs)


def test_reviews_that_are_all_too_long(folder):
    rows = ragged(5, 0)
    np.savez(folder / "imdb.npz", x_train=rows, y_train=np.ones(5), x_test=rows, y_test=np.ones(5))
    with pytest.raises(ValueError, match=r"shorter than maxlen=1, no sequence(.|\n)*Increase"):
        datasets.imdb.load_data(maxlen=1)


def test_reviews_of_equal_length_stay_lists(folder):
    rows = np.empty(4, dtype=object)
    for i in range(4):
        rows[i] = [1, 2, 3]
    np.savez(folder / "imdb.npz", x_train=rows, y_train=np.ones(4), x_test=rows, y_test=np.ones(4))
    (x, _), _ = datasets.imdb.load_data(num_words=10)
    assert x.shape == (4,)
    assert x[0] == [1, 4, 5, 6]


def test_the_older_name_of_num_words(folder):
    rows = ragged(4, 0)
    np.savez(folder / "imdb.npz", x_train=rows, y_train=np.ones(4), x_test=rows, y_test=np.ones(4))
    with pytest.warns(UserWarning, match="renamed `num_words`"):
        (x, _), _ = datasets.imdb.load_data(nb_words=5)
    assert max(max(row) for row in x) < 5


def test_word_indices_and_topics(folder):
    for name, module in (("imdb", datasets.imdb), ("reuters", datasets.reuters)):
        (folder / f"{name}_word_index.json").write_text(json.dumps({"naïve": 1}), encoding="utf-8")
        assert module.get_word_index() == {"naïve": 1}
    assert datasets.reuters.get_label_names() == real.datasets.reuters.get_label_names()


# ---- pictures ------------------------------------------------------------------------------------


def write_idx(path, array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(head + array.tobytes()) if path.suffix == ".gz" else head)
    if path.suffix != ".gz":
        path.write_bytes(head + array.tobytes())


def pictures(count, *shape):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)


def test_mnist(folder, monkeypatch):
    x, y = pictures(7, 28, 28), np.arange(7, dtype=np.uint8)
    path = folder / "mnist.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    assert_same(datasets.mnist.load_data(), from_keras(monkeypatch, "mnist", path))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist_from_the_original_files(folder, ending):
    x, y = pictures(7, 28, 28), np.arange(7, dtype=np.uint8)
    for part, count in (("train", 7), ("t10k", 3)):
        write_idx(folder / "mnist" / f"{part}-images-idx3-ubyte{ending}", x[:count])
        write_idx(folder / "mnist" / f"{part}-labels-idx1-ubyte{ending}", y[:count])
    assert_same(datasets.mnist.load_data(), ((x, y), (x[:3], y[:3])))


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion-mnist", "datasets/fashion-mnist"])
def test_fashion_mnist(folder, name):
    x, y = pictures(5, 28, 28), np.arange(5, dtype=np.uint8)
    assert not fashion_mnist.is_local()
    (folder / name).mkdir(parents=True)
    for file in fashion_mnist.FILES:
        write_idx(folder / name / file, x if "images" in file else y)
    (x_train, y_train), test = datasets.fashion_mnist.load_data()
    assert_same(((x_train, y_train), test), ((x, y), (x, y)))
    x_train[0] = 0  # the arrays belong to the caller
    assert fashion_mnist.is_local() == ("datasets" not in name)


def test_the_sample_of_fashion_mnist():
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_sample()
    assert x_train.shape == (6000, 28, 28)
    assert x_test.shape == (1000, 28, 28)
    assert x_train.dtype == x_test.dtype == y_train.dtype == np.uint8
    assert np.bincount(y_train).tolist() == [600] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert abs(x_train.mean() / 255 - 0.286) < 0.01
    assert len(fashion_mnist.CLASS_NAMES) == 10


@pytest.mark.skipif(not REAL_SHARED, reason="THALWEG_DATA names no folder")
def test_the_sample_is_from_the_full_set(monkeypatch):
    monkeypatch.setenv("THALWEG_DATA", REAL_SHARED)
    if not fashion_mnist.is_local():
        pytest.skip("the folder in THALWEG_DATA has no fashion_mnist")
    (x, y), _ = fashion_mnist.load_data()
    (sample, labels), _ = fashion_mnist.load_sample()
    known = {(row.tobytes(), int(label)) for row, label in zip(x, y, strict=True)}
    assert all(
        (row.tobytes(), int(label)) in known for row, label in zip(sample, labels, strict=True)
    )


def write_batch(path, data, labels, **others):
    found = {b"data": data, b"filenames": [b"a.png"], b"batch_label": b"batch", **others}
    found |= {key.encode(): value for key, value in labels.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(found, protocol=3))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("below", ["", "cifar-10-batches-py-target"])
def test_cifar10(folder, data_format, below):
    # The arithmetic of the published format, as the authors state it: 1024 red bytes, then green,
    # then blue, each in row order. Real Keras allocates all 60,000 pictures and is no help here.
    data = pictures(6, 3072)
    for i in range(1, 6):
        path = folder / below / "cifar-10-batches-py" / f"data_batch_{i}"
        write_batch(path, data[i - 1 : i], {"labels": [i]})
    write_batch(folder / below / "cifar-10-batches-py" / "test_batch", data[5:], {"labels": [9]})
    settings.set_image_data_format(data_format)
    try:
        (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    finally:
        settings.set_image_data_format("channels_last")
    if data_format == "channels_first":
        x_train, x_test = x_train.transpose(0, 2, 3, 1), x_test.transpose(0, 2, 3, 1)
    assert x_train.shape == (5, 32, 32, 3)
    assert y_train.tolist() == [[1], [2], [3], [4], [5]]
    assert y_test.tolist() == [[9]]
    assert y_train.dtype == x_train.dtype == np.uint8
    assert x_train[2, 7, 11].tolist() == data[2].reshape(3, 32, 32)[:, 7, 11].tolist()
    assert x_test[0, 31, 0, 2] == data[5, 2048 + 31 * 32]


@pytest.mark.parametrize("mode", ["fine", "coarse"])
def test_cifar100(folder, monkeypatch, mode):
    data = pictures(6, 3072)
    inner = folder / "cifar-100-python"
    labels = {"fine_labels": [1, 99, 3, 4, 5, 6], "coarse_labels": [0, 19, 2, 3, 4, 5]}
    write_batch(inner / "train", data, labels)
    write_batch(inner / "test", data[::-1], labels)
    theirs = from_keras(monkeypatch, "cifar100", folder, mode)
    ours = datasets.cifar100.load_data(mode)
    np.testing.assert_array_equal(ours[0][0], theirs[0][0])
    np.testing.assert_array_equal(ours[1][0], theirs[1][0])
    np.testing.assert_array_equal(ours[0][1], theirs[0][1])


def test_a_batch_of_another_kind(folder):
    inner = folder / "cifar-100-python"
    write_batch(inner / "train", pictures(2, 3000), {"fine_labels": [1, 2]})
    with pytest.raises(ValueError, match="3072 bytes a picture"):
        datasets.cifar100.load_data()
    write_batch(inner / "train", pictures(2, 3072), {"fine_labels": [1, 256]})
    with pytest.raises(ValueError, match="as many numbers of fine_labels"):
        datasets.cifar100.load_data()


# ---- damaged files, and none ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x0d\1\0\0\0\1abcd",
        b"\0\0\x08\2\0\0\0\2",
        b"\0\0\x08\1\0\0\0\4abc",
        b"\0\0\x08\1\0\0\0\4abcde",
        b"\0\0\x08\3" + b"\xff" * 12,
    ],
    ids=["empty", "type", "head", "short", "long", "huge"],
)
def test_damaged_idx_files(tmp_path, content):
    for path, data in ((tmp_path / "a", content), (tmp_path / "a.gz", gzip.compress(content))):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="unsigned bytes in the idx file a"):
            idx.read_idx(path)


def test_a_cut_gzip_file(tmp_path):
    path = tmp_path / "a.gz"
    whole = gzip.compress(b"\0\0\x08\1\0\0\4\0" + os.urandom(1024))
    for data in (whole[:-30], b"no gzip at all"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="unsigned bytes"):
            idx.read_idx(path)


def test_without_a_network_the_message_says_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(places, "STORE", (folder / "nowhere").as_uri() + "/")
    with pytest.raises(DownloadError, match=r"URL fetch failure(.|\n)*put the file there"):
        datasets.mnist.load_data()

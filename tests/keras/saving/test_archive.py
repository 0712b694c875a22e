"""save_model, load_model, save_weights, load_weights: formats, arguments and what goes wrong."""

import builtins
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from thalweg import keras
from thalweg.base.errors import ArgumentError
from thalweg.keras.saving.files import FileError
from thalweg.keras.saving.safetensors import SafetensorsReader, write_safetensors

Dense = keras.layers.Dense


def small(units: int = 3, **kwargs: Any) -> Any:
    return keras.Sequential([keras.Input((4,)), Dense(5), Dense(units)], name="small", **kwargs)


def same(one: Any, other: Any) -> None:
    assert len(one.weights) == len(other.weights) > 0
    for a, b in zip(one.weights, other.weights, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()


# ---- models --------------------------------------------------------------------------------------


def test_the_members_of_an_archive(tmp_path: Path) -> None:
    small().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        metadata = json.loads(archive.read("metadata.json"))
    assert list(metadata) == ["keras_version", "date_saved"]
    assert metadata["keras_version"] == keras.__version__


@pytest.mark.parametrize("name", ["m.keras", "folder", "m.h5"])
@pytest.mark.filterwarnings("ignore:HDF5 files of whole models")
def test_training_goes_on_where_it_stopped(name: str, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(16, 4)).astype("float32")
    y = x[:, :3]
    model = small()
    model.compile(keras.optimizers.Adam(0.1), "mse", metrics=["mae"])
    model.fit(x, y, batch_size=4, verbose=0, shuffle=False)
    model.save(tmp_path / name, zipped=None if "." in name else False)
    loaded = keras.models.load_model(tmp_path / name)
    assert loaded.compiled
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for each in (model, loaded):
        each.fit(x, y, batch_size=4, verbose=0, shuffle=False)
    same(model, loaded)
    assert model.evaluate(x, y, verbose=0) == loaded.evaluate(x, y, verbose=0)


def test_a_model_may_stay_uncompiled(tmp_path: Path) -> None:
    model = small()
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.keras")
    assert not keras.models.load_model(tmp_path / "m.keras", compile=False).compiled


def test_open_files(tmp_path: Path) -> None:
    model = small()
    memory = io.BytesIO()
    model.save(memory)
    memory.seek(0)
    same(keras.models.load_model(memory), model)
    with open(tmp_path / "any name", "w+b") as file:
        model.save(file)
        file.seek(0)
        same(keras.models.load_model(file), model)


def test_paths_of_every_type(tmp_path: Path) -> None:
    model = small()
    for path in (
        tmp_path / "m.keras",
        str(tmp_path / "m.keras"),
        os.fsencode(tmp_path / "m.keras"),
    ):
        model.save(path)
        same(keras.models.load_model(path), model)


def test_large_weights_go_by_way_of_a_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("thalweg.keras.saving.containers.IN_MEMORY", 0)
    model = small()
    model.save(tmp_path / "m.keras")
    same(keras.models.load_model(tmp_path / "m.keras"), model)
    assert os.listdir(tmp_path) == ["m.keras"]


def test_a_folder_keeps_its_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    model = small()
    model.save(folder, zipped=False)
    same(keras.models.load_model(folder), model)
    assert sorted(os.listdir(folder)) == [
        "README.md", "config.json", "metadata.json", "model.weights.h5",
    ]  # fmt: skip


def test_weights_as_npz_in_an_archive(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.npz")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    del members["model.weights.h5"]
    members["model.weights.npz"] = (tmp_path / "m.weights.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    same(keras.models.load_model(tmp_path / "m.keras"), model)


def test_optimizers_are_known_by_their_class(tmp_path: Path) -> None:
    """Keras on PyTorch names modules of its own for its optimizers."""
    model = small()
    model.compile("adam", "mse")
    path = tmp_path / "m.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["compile_config"]["optimizer"].update(
        module="keras.src.backend.torch.optimizers.torch_adam", registered_name="Adam"
    )
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert type(keras.models.load_model(path).optimizer) is keras.optimizers.Adam


def test_an_optimizer_that_has_not_begun_is_loaded_without_a_word(tmp_path: Path) -> None:
    for optimizer in (
        keras.optimizers.Adam(0.5),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5, momentum=0.9)),
    ):
        model = small()
        model.compile(optimizer, "mse")
        model.save(tmp_path / "m.keras")
        loaded = keras.models.load_model(tmp_path / "m.keras")
        assert loaded.optimizer.built
        assert float(loaded.optimizer.learning_rate) == 0.5


class Words(keras.layers.Layer):
    """Keeps a list of words beside its weights."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.words: list[str] = []

    def call(self, x: Any) -> Any:
        return x

    def save_assets(self, folder: str) -> None:
        Path(folder, "words.txt").write_text("\n".join(self.words), encoding="utf-8")

    def load_assets(self, folder: str) -> None:
        self.words = Path(folder, "words.txt").read_text(encoding="utf-8").split("\n")


@pytest.mark.parametrize("name", ["m.keras", "folder"])
def test_assets(name: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), Words(), Dense(2), Words()])
    model.layers[0].words, model.layers[2].words = ["strøm", "elv"], ["bekk"]
    model.save(tmp_path / name, zipped=name != "folder")
    loaded = keras.models.load_model(tmp_path / name, {"Words": Words})
    assert [layer.words for layer in loaded.layers[::2]] == [["strøm", "elv"], ["bekk"]]
    if name == "m.keras":
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.namelist()[3:] == [
                "assets/layers/words/words.txt",
                "assets/layers/words_1/words.txt",
            ]
    else:
        os.unlink(tmp_path / name / "assets/layers/words_1/words.txt")
        with pytest.raises(ArgumentError, match=r"layers/words_1 \(Words 'words_\d+'\)"):
            keras.models.load_model(tmp_path / name, {"Words": Words})


class Count(keras.layers.Layer):
    """Chooses itself what it stores."""

    def build(self, shape: Any) -> None:
        self.table = np.arange(3)

    def call(self, x: Any) -> Any:
        return x

    def save_own_variables(self, store: Any) -> None:
        store["gone"] = np.zeros(2)
        del store["gone"]
        store["table"] = self.table
        store["half"] = np.ones(2, ml_dtypes.bfloat16)
        store["flags"] = np.array([True, False])
        store["bytes"] = np.array([b"ab", b"c"])
        assert "table" in store
        assert "gone" not in store
        assert len(store) == 4
        assert store["table"].tolist() == self.table.tolist()

    def load_own_variables(self, store: Any) -> None:
        assert sorted(store.keys()) == ["bytes", "flags", "half", "table"]
        assert "gone" not in store
        self.table = np.array(store["table"])
        assert store["half"].dtype == ml_dtypes.bfloat16
        assert store["flags"].dtype == bool
        assert store["bytes"].tolist() == [b"ab", b"c"]


@pytest.mark.parametrize("ending", ["weights.h5", "weights.json", "weights.npz"])
def test_layers_choose_what_they_store(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{ending}"
    model = keras.Sequential([keras.Input((4,)), Count()])
    model.layers[0].table = np.array([7, 8, 9])
    model.save_weights(path, max_shard_size=1e-7 if "json" in ending else None)
    loaded = keras.Sequential([keras.Input((4,)), Count()])
    loaded.load_weights(path)
    assert loaded.layers[0].table.tolist() == [7, 8, 9]


def test_objects_are_no_weights(tmp_path: Path) -> None:
    class Odd(Count):
        def save_own_variables(self, store: Any) -> None:
            store["text"] = np.array(["a"])

    model = keras.Sequential([keras.Input((4,)), Odd()])
    for ending in ("weights.h5", "weights.npz", "safetensors"):
        with pytest.raises(ArgumentError, match="layers/odd/vars/text"):
            model.save_weights(tmp_path / f"m.{ending}")
    assert os.listdir(tmp_path) == []


# ---- weights -------------------------------------------------------------------------------------

ENDINGS = ["weights.h5", "weights.json", "safetensors", "weights.npz", "keras"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_weights_with_the_state_of_the_optimizer(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{ending}"
    models = [small(), small()]
    for model in models:
        model.compile(keras.optimizers.SGD(momentum=0.9), "mse")
    models[0].fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    models[1].optimizer.build(models[1].trainable_variables)
    if ending == "keras":
        models[0].save(path)
    else:
        models[0].save_weights(path, max_shard_size=2e-7 if ending == "weights.json" else None)
    models[1].load_weights(path)
    same(*models)
    for a, b in zip(*(model.optimizer.variables for model in models), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("ending", ENDINGS[:4])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_types_of_weights(ending: str, dtype: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{ending}"
    model = keras.Sequential([keras.Input((4,)), Dense(3, dtype=dtype)])
    model.save_weights(path, max_shard_size=1 if ending == "weights.json" else None)
    other = keras.Sequential([keras.Input((4,)), Dense(3, dtype=dtype)])
    other.load_weights(path)
    same(other, model)
    wider = keras.Sequential([keras.Input((4,)), Dense(3)])
    wider.load_weights(path)
    np.testing.assert_array_equal(
        wider.weights[0].numpy(), model.weights[0].numpy().astype("float32")
    )


def test_shards(tmp_path: Path) -> None:
    model = small()
    index = tmp_path / "m.weights.json"
    with pytest.warns(UserWarning, match=r"ends in `.json`"):
        model.save_weights(tmp_path / "m.weights.h5", max_shard_size=8.5e-8)
    names = [f"m_{number:05}.weights.h5" for number in range(3)]
    assert sorted(os.listdir(tmp_path)) == ["m.weights.json", *names]
    content = json.loads(index.read_text())
    assert content == {
        "metadata": {"total_size": 4 * (20 + 5 + 15 + 3)},
        "weight_map": {"/layers/dense/vars": names[:2], "/layers/dense_1/vars": names[1:]},
    }
    other = small()
    other.load_weights(index)
    same(other, model)
    # A later save with fewer files takes away what only the older one had.
    model.save_weights(index, max_shard_size=1)
    assert sorted(os.listdir(tmp_path)) == ["m.weights.json", names[0]]
    with pytest.raises(ArgumentError, match="80 bytes, which exceeds the maximum shard size"):
        model.save_weights(index, max_shard_size=5e-8)
    other.load_weights(index)


def test_safetensors_as_others_write_and_read_them(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6, dtype="float32").reshape(2, 3),
        "b": np.ones(3, ml_dtypes.bfloat16),
        "c": np.array(True),
        "d": np.zeros((0, 4), "int64"),
        "e": np.asfortranarray(np.arange(6, dtype="uint8").reshape(2, 3)),
        "f": np.arange(3, dtype=">f8"),
    }
    file = io.BytesIO()
    write_safetensors(file, arrays, {"format": "keras"})
    data = file.getvalue()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert header["__metadata__"] == {"format": "keras"}
    assert header["a"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 48]}
    assert (8 + length) % 8 == 0
    reader = SafetensorsReader(io.BytesIO(data), "here")
    for name, array in arrays.items():
        found = reader.read(name)
        assert found.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, array)
    # The format's own example, of one tensor.
    text = b'{"weight":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}'
    example = len(text).to_bytes(8, "little") + text + b"\1\0\2\0"
    assert SafetensorsReader(io.BytesIO(example), "here").read("weight").tolist() == [1, 2]


def test_some_objects_may_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    model, other = small(), small()
    keras.saving.save_weights(model, path, objects_to_skip=[model.layers[0]])
    with h5py.File(path) as file:
        assert list(file["layers"]) == ["dense_1"]
    kept = other.layers[0].kernel.numpy()
    keras.saving.load_weights(other, path, objects_to_skip=[other.layers[0]])
    np.testing.assert_array_equal(other.layers[0].kernel.numpy(), kept)
    np.testing.assert_array_equal(other.layers[1].kernel.numpy(), model.layers[1].kernel.numpy())


# ---- what does not fit ---------------------------------------------------------------------------


def test_other_shapes(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    model, other = small(3), small(4)
    model.save_weights(path)
    with pytest.raises(ArgumentError, match="must match") as caught:
        other.load_weights(path)
    message = str(caught.value)
    assert "a total of 1 objects could not be loaded" in message
    assert "- layers/dense_1 (Dense " in message
    assert "0 (5, 3), 1 (3,)" in message
    assert "shape (5, 4)" in message
    assert "skip_mismatch=True" in message
    kept = other.layers[1].kernel.numpy()
    with pytest.warns(UserWarning, match="must match"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.layers[0].kernel.numpy(), model.layers[0].kernel.numpy())
    np.testing.assert_array_equal(other.layers[1].kernel.numpy(), kept)


def test_other_layers(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    keras.Sequential(
        [keras.Input((4,)), Dense(5), keras.layers.BatchNormalization(), Dense(3)]
    ).save_weights(path)
    other = keras.Sequential([keras.Input((4,)), *(Dense(5) for _ in range(9))])
    with pytest.raises(ArgumentError, match="received 0 variables") as caught:
        other.load_weights(path)
    message = str(caught.value)
    assert "a total of 8 objects" in message
    assert "- and 3 more: Dense" in message
    assert "loaded by nothing: layers/batch_normalization/vars/0" in message
    assert len(message.split("\n")) <= 15


def test_classes_that_nobody_registered(tmp_path: Path) -> None:
    class Mine(Dense):
        pass

    model = keras.Sequential([keras.Input((4,)), Mine(2)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match=r"custom_objects=\{'Mine': Mine\}"):
        keras.models.load_model(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Mine": Mine})
    assert type(loaded.layers[0]) is Mine
    with keras.saving.custom_object_scope({"Mine": Mine}):
        keras.models.load_model(tmp_path / "m.keras")


def test_models_that_are_not_built(tmp_path: Path) -> None:
    model = keras.Sequential([Dense(2)])
    with pytest.warns(UserWarning, match="has not yet been built"):
        model.save(tmp_path / "m.keras")
    assert not keras.models.load_model(tmp_path / "m.keras").built
    with pytest.raises(ValueError, match="You are saving a model that has not yet been built"):
        model.save_weights(tmp_path / "m.weights.h5")
    small().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="You are loading weights into a model that has not yet"):
        model.load_weights(tmp_path / "m.weights.h5")


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("m", {}, "Invalid filepath extension.*Write model.save\\('m.keras'\\)"),
        ("m.png", {}, "Invalid filepath extension for saving"),
        ("m.keras", {"zipped": False}, "should not end in `.keras`"),
        ("m", {"save_format": "keras"}, "`save_format` argument is deprecated"),
        ("m.keras", {"colour": "red"}, "argument\\(s\\) are not supported: \\['colour'\\]"),
        ("gs://bucket/m.keras", {}, "a path of this machine"),
        (3, {}, "a path, or an open binary file"),
    ],
)
def test_paths_and_arguments_of_save(path: Any, arguments: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        small().save(path, **arguments)


def test_an_old_argument_that_says_nothing(tmp_path: Path) -> None:
    small().save(tmp_path / "m.keras", save_format="keras")


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("m.h5", {}, "must end in `.weights.h5`"),
        ("m.keras", {"max_shard_size": 1}, "must end in `.weights.json`"),
        ("m.weights.npz", {"max_shard_size": 1}, "must end in `.weights.json`"),
    ],
)
def test_paths_of_save_weights(path: str, arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        small().save_weights(path, **arguments)


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("m.pkl", {}, "File format not supported"),
        ("m.keras", {"by_name": True}, "only supports loading legacy '.h5' or '.hdf5' files"),
        ("m.weights.h5", {"by_name": True}, "only supports loading legacy"),
        ("m.keras", {"objects_to_skip": []}, "only supports loading '.weights.h5' files"),
        ("m.h5", {"objects_to_skip": []}, "only supports loading '.weights.h5' files"),
        ("m.weights.h5", {"colour": 1}, "Invalid keyword arguments: {'colour': 1}"),
    ],
)
def test_paths_and_arguments_of_load_weights(path: str, arguments: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        small().load_weights(path, **arguments)


def test_paths_of_load_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)File not found.*ensure the file is an accessible"):
        keras.models.load_model("nothing.keras")
    for name in ("m.pkl", str(tmp_path), "m"):
        with pytest.raises(ValueError, match="File format not supported"):
            keras.models.load_model(name)
    (tmp_path / "m.keras").write_bytes(b"no zip")
    with pytest.raises(FileError, match="no whole zip archive"):
        keras.models.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("what", ["model", "weights"])
def test_the_user_is_asked_before_a_file_is_replaced(
    what: str, tmp_path: Path, monkeypatch: Any
) -> None:
    path = tmp_path / ("m.keras" if what == "model" else "m.weights.h5")
    path.write_bytes(b"old")
    asked = []

    def answer(question: str) -> str:
        asked.append(question)
        return answers.pop(0)

    monkeypatch.setattr(builtins, "input", answer)
    save = small().save if what == "model" else small().save_weights
    answers = ["what?", "n"]
    save(path, overwrite=False)
    assert path.read_bytes() == b"old"
    assert len(asked) == 2
    assert str(path) in asked[0]
    answers = ["y"]
    save(path, overwrite=False)
    assert path.read_bytes() != b"old"
    save(path)
    assert len(asked) == 3


def test_public_names() -> None:
    names = set(keras.saving.__all__)
    assert {
        "CustomObjectScope", "KerasFileEditor", "custom_object_scope", "deserialize_keras_object",
        "get_custom_objects", "get_registered_name", "get_registered_object", "load_model",
        "load_weights", "register_keras_serializable", "save_model", "save_weights",
        "serialize_keras_object",
    } <= names  # fmt: skip
    assert keras.models.load_model is keras.saving.load_model
    assert keras.models.save_model is keras.saving.save_model

"""Files that are damaged, and files made to do harm: each is refused, and nothing else happens."""

import io
import json
import os
import random
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from thalweg import keras
from thalweg.base.errors import ThalwegError
from thalweg.keras.saving import containers, texts, zips
from thalweg.keras.saving.files import FileError, MissingFileError


def small() -> Any:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d")], name="small")


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.keras"
    small().save(path)
    return path


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.weights.h5"
    small().save_weights(path)
    return path


def rewritten(path: Path, change: Callable[[dict[str, Any]], None], deflate: str = "") -> Path:
    """The archive with other members; `deflate` names one to pack."""
    with zipfile.ZipFile(path) as archive:
        members: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            kind = zipfile.ZIP_DEFLATED if name == deflate else zipfile.ZIP_STORED
            archive.writestr(name, data, kind)
    return path


def changed_config(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    def apply(members: dict[str, Any]) -> None:
        config = json.loads(members["config.json"])
        change(config)
        members["config.json"] = json.dumps(config)

    return rewritten(path, apply)


# ---- damaged -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["keras", "weights.h5", "h5", "safetensors", "weights.npz"])
def test_damaged_files_are_said_to_be_so(ending: str, tmp_path: Path) -> None:
    """Cut, flipped, overwritten: a whole model, an error of ours, or other numbers; no crash."""
    path = tmp_path / f"model.{ending}"
    if ending == "h5":
        with pytest.warns(UserWarning, match="legacy"):
            small().save(path)
    elif ending == "keras":
        small().save(path)
    else:
        small().save_weights(path)
    whole = path.read_bytes()
    numbers = random.Random(11)
    model = small()
    for round_number in range(60):
        data = bytearray(whole)
        if round_number % 3 == 0:
            data = data[: numbers.randrange(len(data))]
        elif round_number % 3 == 1:
            data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
        else:
            begin = numbers.randrange(len(data))
            data[begin : begin + 40] = bytes(len(data[begin : begin + 40]))
        path.write_bytes(data)
        try:
            if ending in ("keras", "h5"):
                keras.saving.load_model(path, compile=False)
            else:
                model.load_weights(path)
        except ThalwegError:
            assert len(data) < len(whole) or bytes(data) != whole
        else:
            assert len(data) == len(whole), "a cut file was taken for a whole one"


def test_flipped_weights_in_an_archive_are_noticed(model_file: Path) -> None:
    kernel = keras.saving.load_model(model_file).layers[0].kernel.numpy()
    data = model_file.read_bytes()
    begin = data.index(kernel.tobytes())
    model_file.write_bytes(data[:begin] + bytes([data[begin] ^ 1]) + data[begin + 1 :])
    with pytest.raises(FileError, match=r"model\.weights\.h5.*CRC"):
        keras.saving.load_model(model_file)


def test_missing_parts_are_named(model_file: Path) -> None:
    rewritten(model_file, lambda members: members.pop("model.weights.h5"))
    with pytest.raises(FileError, match=r"neither model\.weights\.h5 nor model\.weights\.npz"):
        keras.saving.load_model(model_file)
    rewritten(model_file, lambda members: members.pop("config.json"))
    with pytest.raises(FileError, match=r"no config\.json, but metadata\.json"):
        keras.saving.load_model(model_file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[1, 2]", "describes no object"),
        ("{}", "describes no object"),
        ('{"class_name": "Dense", "config": {}}', "units"),
        ('{"class_name": ["Dense"], "config": {}}', "the name of a class"),
        ('{"class_name": "Zeros", "module": "keras.initializers", "config": {}}', "no model"),
        ('{"class_name": "Nobody", "config": {}}', "could not locate class 'Nobody'"),
        ("[" * 100_000 + "]" * 100_000, "no JSON|describes no object"),
    ],
)
def test_settings_that_make_no_model(model_file: Path, text: str, message: str) -> None:
    rewritten(model_file, lambda members: members.update({"config.json": text}))
    with pytest.raises(ThalwegError, match=message):
        keras.saving.load_model(model_file)


def test_settings_within_settings() -> None:
    config: Any = 1
    for _ in range(5000):
        inner = {"name": "a", "layers": [config]}
        config = {"class_name": "Sequential", "module": "keras", "config": inner}
    with pytest.raises(FileError, match="settings within settings"):
        containers.model_of(config, None, True, "here")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for name in ("a.keras", "a.h5"):
        with pytest.raises(MissingFileError):
            keras.saving.load_model(tmp_path / name)
    for name in ("a.weights.h5", "a.weights.json", "a.safetensors", "a.weights.npz", "a.keras"):
        with pytest.raises(FileNotFoundError):
            small().load_weights(tmp_path / name)


# ---- settings that want more than settings may ---------------------------------------------------


def test_a_class_is_never_imported(model_file: Path) -> None:
    def ask(config: dict[str, Any]) -> None:
        layer = config["config"]["layers"][1]
        layer.update(module="antigravity", class_name="Dense2", registered_name="x>Dense2")

    changed_config(model_file, ask)
    with pytest.raises(ThalwegError, match="register_keras_serializable"):
        keras.saving.load_model(model_file)
    assert "antigravity" not in sys.modules


class Twice(keras.layers.Layer):
    """A class of the program's own that nothing registers."""

    def call(self, x: Any) -> Any:
        return 2 * x


class Dense(Twice):
    """One that has the name of one of Keras' own."""


class Plain:
    """One that is no part of Keras."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Plain":
        raise AssertionError("a file had an object of another kind made")


@pytest.mark.parametrize("cls", [Twice, Dense])
def test_a_layer_of_an_imported_module_is_found(cls: type, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((4,)), cls()]).save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert type(loaded.layers[0]) is cls


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (__name__, "Plain"),
        (__name__, "Path"),
        (__name__, "keras"),
        ("subprocess", "Popen"),
        ("os", "system"),
        ("thalweg.keras.layers", "ThreadPool"),
    ],
)
def test_other_things_of_imported_modules_are_not(model_file: Path, module: str, name: str) -> None:
    def ask(config: dict[str, Any]) -> None:
        config["config"]["layers"][1].update(module=module, class_name=name)

    changed_config(model_file, ask)
    with pytest.raises(ThalwegError, match="register_keras_serializable"):
        keras.saving.load_model(model_file)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "keras.utils.get_file", "keras.saving.load_model"]
)
def test_a_function_is_one_that_models_use(model_file: Path, name: str) -> None:
    module, _, function = name.rpartition(".")

    def ask(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"]["activation"] = {
            "module": module,
            "class_name": "function",
            "config": function,
            "registered_name": function,
        }

    changed_config(model_file, ask)
    with pytest.raises(ThalwegError, match=f"Unknown object '{function}'"):
        keras.saving.load_model(model_file)


@pytest.mark.parametrize("safe_mode", [True, False])
def test_code_in_a_file_is_not_run(model_file: Path, safe_mode: bool) -> None:
    def ask(config: dict[str, Any]) -> None:
        config["config"]["layers"][1] = {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}},
        }

    changed_config(model_file, ask)
    with pytest.raises(ThalwegError, match="arbitrary code execution"):
        keras.saving.load_model(model_file, safe_mode=safe_mode)


# ---- archives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["assets/../../out", "assets//out", "assets/a\\..\\out"])
def test_members_stay_in_their_folder(model_file: Path, name: str) -> None:
    rewritten(model_file, lambda members: members.update({name: b"x"}))
    with pytest.raises(FileError, match="leaves its folder"):
        keras.saving.load_model(model_file)


def test_absolute_members_are_not_looked_at(model_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    rewritten(model_file, lambda members: members.update({str(target): b"x"}))
    keras.saving.load_model(model_file)
    assert not target.exists()


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "assets/vocabulary.txt"])
def test_links_in_an_archive(model_file: Path, name: str) -> None:
    with zipfile.ZipFile(model_file) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members[name] = b"/etc/passwd"
    with zipfile.ZipFile(model_file, "w") as archive:
        for each, data in members.items():
            info = zipfile.ZipInfo(each)
            info.external_attr = (0o120777 if each == name else 0o100600) << 16
            archive.writestr(info, data)
    with pytest.raises(FileError, match="link or a device"):
        keras.saving.load_model(model_file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(model_file: Path) -> None:
    with zipfile.ZipFile(model_file, "a") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(FileError, match="two members of one name"):
        keras.saving.load_model(model_file)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "assets/a.txt"])
def test_decompression_bombs(model_file: Path, name: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(zips, "FLOOR", 1000)
    rewritten(model_file, lambda members: members.update({name: bytes(400_000)}), deflate=name)
    with pytest.raises(FileError, match="decompression bomb"):
        keras.saving.load_model(model_file)


def test_a_member_that_grows_beyond_what_it_declares(model_file: Path) -> None:
    name = "config.json"
    rewritten(model_file, lambda members: None, deflate=name)
    data = bytearray(model_file.read_bytes())
    with zipfile.ZipFile(model_file) as archive:
        info = archive.getinfo(name)
    for place in (
        info.header_offset + 22,
        data.rfind(name.encode(), 0, len(data)) - 46 + 24,
    ):
        data[place : place + 4] = struct.pack("<I", 10)
    model_file.write_bytes(data)
    with pytest.raises(FileError):
        keras.saving.load_model(model_file)


def test_a_packed_archive_is_read(model_file: Path) -> None:
    model = keras.saving.load_model(model_file)
    for name in ("config.json", "model.weights.h5"):
        rewritten(model_file, lambda members: None, deflate=name)
        loaded = keras.saving.load_model(model_file)
        np.testing.assert_array_equal(loaded.layers[0].kernel.numpy(), model.layers[0].kernel)


def test_texts_have_a_size(model_file: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(zips, "MOST_TEXT", 100)
    with pytest.raises(FileError, match=r"config.json of .* KiB"):
        keras.saving.load_model(model_file)


def test_links_out_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    small().save(folder, zipped=False)
    outside = tmp_path / "outside.json"
    (folder / "config.json").rename(outside)
    (folder / "config.json").symlink_to(outside)
    with pytest.raises(FileError, match="outside of the folder"):
        keras.saving.load_model(folder)


# ---- HDF5 ----------------------------------------------------------------------------------------

PLACE = "layers/dense/vars"


def refuses(path: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().load_weights(path)
    with pytest.raises(ValueError, match=message):
        keras.saving.KerasFileEditor(path)


@pytest.mark.parametrize("place", ["layers", "layers/dense", PLACE, f"{PLACE}/0"])
@pytest.mark.parametrize("kind", ["soft", "external"])
def test_links_in_weights(weights_file: Path, tmp_path: Path, place: str, kind: str) -> None:
    other = tmp_path / "other.weights.h5"
    small().save_weights(other)
    with h5py.File(weights_file, "r+") as file:
        file.move(place, "elsewhere")
        link = h5py.SoftLink("/elsewhere")
        file[place] = link if kind == "soft" else h5py.ExternalLink(str(other), place)
    refuses(weights_file, {"soft": "SoftLink", "external": "ExternalLink"}[kind])


def test_an_external_link_is_not_even_opened(weights_file: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with h5py.File(weights_file, "r+") as file:
        del file["layers"]
        file["layers"] = h5py.ExternalLink(str(pipe), "/layers")
    # Opening a pipe that nobody writes to would wait for ever.
    refuses(weights_file, "ExternalLink")


def replaced(path: Path, make: Callable[[Any], Any]) -> None:
    with h5py.File(path, "r+") as file:
        del file[f"{PLACE}/0"]
        make(file[PLACE])


def test_datasets_whose_data_is_elsewhere(weights_file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(48))
    replaced(
        weights_file,
        lambda group: group.create_dataset("0", (4, 3), "f4", external=[(str(secret), 0, 48)]),
    )
    refuses(weights_file, "external dataset")

    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "d", shape=(4, 3))
    replaced(weights_file, lambda group: group.create_virtual_dataset("0", layout))
    refuses(weights_file, "virtual dataset")


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((2**50,), {"chunks": (1024,), "compression": "gzip"}),
        ((2**30, 4), {"chunks": (1024, 4), "compression": "gzip"}),
        ((2**40,), {"chunks": (1024,)}),
        ((4, 3), {"chunks": (2**14, 2**14), "maxshape": (None, None)}),
        ((2**40,), {}),
    ],
)
def test_shapes_beyond_the_file(weights_file: Path, shape: Any, settings: Any) -> None:
    replaced(weights_file, lambda group: group.create_dataset("0", shape, "f8", **settings))
    assert weights_file.stat().st_size < 1 << 20
    refuses(weights_file, "shape bomb")


def test_compressed_weights_are_read(weights_file: Path) -> None:
    kernel = np.zeros((4, 3), "float32")
    replaced(
        weights_file,
        lambda group: group.create_dataset("0", data=kernel, compression="gzip", shuffle=True),
    )
    model = small()
    model.load_weights(weights_file)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), kernel)


@pytest.mark.parametrize(
    "value",
    [
        np.array([["text"] * 3] * 4, dtype=h5py.string_dtype()),
        np.zeros((4, 3), [("a", "f4"), ("b", "f4")]),
        np.zeros((4, 3), "V7"),
        h5py.Empty("f4"),
    ],
)
def test_arrays_of_other_things(weights_file: Path, value: Any) -> None:
    replaced(weights_file, lambda group: group.create_dataset("0", data=value))
    refuses(weights_file, "not of numbers|no shape")


def test_unknown_filters_are_not_loaded(weights_file: Path) -> None:
    def make(group: Any) -> None:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((4, 3))
        settings.set_filter(300, h5py.h5z.FLAG_OPTIONAL, (1,))
        space = h5py.h5s.create_simple((4, 3))
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, settings)

    replaced(weights_file, make)
    refuses(weights_file, "unknown filters")


def test_groups_within_themselves(weights_file: Path) -> None:
    with h5py.File(weights_file, "r+") as file:
        file["layers/dense/again"] = file["layers"]
    with pytest.raises(FileError, match="within itself"):
        keras.saving.KerasFileEditor(weights_file)
    small().load_weights(weights_file)  # which goes its own way


def test_a_dataset_in_the_place_of_a_group(weights_file: Path) -> None:
    with h5py.File(weights_file, "r+") as file:
        del file["layers/dense"]
        file["layers/dense"] = np.zeros(3)
    with pytest.raises(ValueError, match="received 0 variables"):
        small().load_weights(weights_file)


# ---- other formats -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["/tmp/x.weights.h5", "../x.weights.h5", "a/x.weights.h5", "..", "a\\b.h5", 3, None]
)
def test_shards_lie_beside_their_index(tmp_path: Path, name: Any) -> None:
    index = tmp_path / "m.weights.json"
    small().save_weights(index, max_shard_size=1)
    content = json.loads(index.read_text())
    content["weight_map"]["/layers/dense/vars"] = name
    index.write_text(json.dumps(content))
    with pytest.raises(FileError, match="not beside the index"):
        small().load_weights(index)


@pytest.mark.parametrize("text", ["[]", "{}", '{"weight_map": 3}', "{"])
def test_an_index_of_another_form(tmp_path: Path, text: str) -> None:
    index = tmp_path / "m.weights.json"
    index.write_text(text)
    with pytest.raises(FileError):
        small().load_weights(index)


def test_pickles_are_refused(tmp_path: Path, model_file: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "harm"),))

    array = np.empty((), object)
    array[()] = Harm()
    data = io.BytesIO()
    np.savez(data, **{"layers/dense/vars/0": array, "layers/dense/vars/1": np.zeros(3)})
    path = tmp_path / "m.weights.npz"
    path.write_bytes(data.getvalue())
    with pytest.raises(ValueError, match="a pickled object"):
        small().load_weights(path)

    def swap(members: dict[str, Any]) -> None:
        del members["model.weights.h5"]
        members["model.weights.npz"] = data.getvalue()

    with pytest.raises(ValueError, match="a pickled object"):
        keras.saving.load_model(rewritten(model_file, swap))
    assert not (tmp_path / "harm").exists()


def test_arrays_that_declare_more_than_they_have(tmp_path: Path) -> None:
    header = io.BytesIO()
    content = {"descr": "<f8", "fortran_order": False, "shape": (2**50,)}
    np.lib.format.write_array_header_1_0(header, content)
    path = tmp_path / "m.weights.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("layers/dense/vars/0.npy", header.getvalue())
        archive.writestr("layers/dense/vars/1.npy", header.getvalue())
    with pytest.raises(ValueError, match="decompression bomb"):
        small().load_weights(path)


KERNEL = "layers/dense/vars/0"


def safetensors(header: Any, data: bytes = bytes(60)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: Any, begin: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\1",
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 50) + b"{}",
        safetensors(b"[]", b""),
        safetensors(b"{", b""),
        safetensors({KERNEL: entry([4, 3], 0, 48)}),
        safetensors({KERNEL: entry([15], 0, 48)}),
        safetensors({KERNEL: entry([2**60], 0, 2**62)}),
        safetensors({KERNEL: entry([-15], 0, -60)}),
        safetensors({KERNEL: entry([15.0], 0, 60)}),
        safetensors({KERNEL: entry([15], 0, 60, "F99")}),
        safetensors({KERNEL: entry([15], 0, 60, ["F32"])}),
        safetensors({KERNEL: 5}),
        safetensors({KERNEL: entry([10], 0, 40), "b": entry([10], 20, 60)}),
        safetensors({KERNEL: entry([5], 0, 20), "b": entry([5], 40, 60)}),
        safetensors({KERNEL: entry("15", 0, 60)}),
    ],
)
def test_safetensors_that_do_not_add_up(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileError):
        small().load_weights(path)


def test_a_text_that_is_too_long(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(texts, "MOST_TEXT", 10)
    index = tmp_path / "m.weights.json"
    index.write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(FileError, match="a text of"):
        small().load_weights(index)

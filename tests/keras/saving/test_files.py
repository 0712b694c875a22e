"""Files are whole or not there: errors, full disks and killed programs leave the old one."""

import os
import random
import signal
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg import keras
from thalweg.keras.saving import files
from thalweg.keras.saving.files import MissingFileError, new_file, new_files


@pytest.fixture(params=["nameless", "named"])
def way(request: Any, monkeypatch: Any) -> str:
    """Both ways to begin a file: without a name, and with one where systems have no other way."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no files without names")
    return request.param


def test_a_file_appears_when_it_is_complete(way: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with new_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_leaves_the_old_file_and_nothing_else(way: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), new_file(path) as file:
        file.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old"
    with pytest.raises(KeyError), new_file(tmp_path / "other"):
        raise KeyError
    assert os.listdir(tmp_path) == ["file"]


def test_several_files_appear_together_or_not_at_all(way: str, tmp_path: Path) -> None:
    with pytest.raises(KeyError), new_files() as begin:
        begin(tmp_path / "a").write(b"1")
        begin(tmp_path / "b").write(b"2")
        raise KeyError
    assert os.listdir(tmp_path) == []
    with new_files() as begin:
        begin(tmp_path / "a").write(b"1")
        begin(tmp_path / "b").write(b"2")
        assert not (tmp_path / "a").exists()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(way: str, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError), new_file(tmp_path / "file") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_written_through_and_modes_are_kept(way: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"old")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    with new_file(tmp_path / "link") as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_mode(way: str, tmp_path: Path) -> None:
    with new_file(tmp_path / "new") as file:
        file.write(b"new")
    (tmp_path / "usual").write_bytes(b"")
    modes = {each.stat().st_mode for each in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no folder") as caught, new_file(tmp_path / "a/b"):
        pass
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, ValueError)


def test_everything_is_on_the_disk_before_the_name_changes(
    way: str, tmp_path: Path, monkeypatch: Any
) -> None:
    done = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def noted(*args: Any, name: str = name, original: Any = original) -> Any:
            done.append(name)
            return original(*args)

        monkeypatch.setattr(files.os, name, noted)
    with new_file(tmp_path / "file") as file:
        file.write(b"new")
    # The file, perhaps once more when it is named, and at last the folder that has the name.
    assert done[0] == "fsync"
    assert done[-2:] == ["replace", "fsync"]


# ---- whole models --------------------------------------------------------------------------------


def model_of(seed: int) -> Any:
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(300), keras.layers.Dense(3)])
    for weight in model.weights:
        weight.assign(np.full(weight.shape, seed, "float32"))
    return model


FORMATS = ["model.keras", "model.h5", "folder", "m.weights.h5", "m.weights.json", "m.safetensors"]


def save(model: Any, path: Path) -> None:
    if path.suffix == ".json":
        model.save_weights(path, max_shard_size=3e-5)
    elif path.name.startswith("m."):
        model.save_weights(path)
    elif path.suffix == ".h5":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(path)
    else:
        model.save(path, zipped=path.name != "folder")


def load(path: Path) -> set[float]:
    """The values of all the weights in a file."""
    if path.name.startswith("m."):
        model = model_of(0)
        model.load_weights(path)
    else:
        model = keras.saving.load_model(path, compile=False)
    return {float(value) for weight in model.weights for value in np.unique(weight.numpy())}


def tree_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_while_saving_leaves_the_old_model(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    save(model_of(1), path)
    before = tree_of(tmp_path)
    broken = model_of(2)

    def fail(store: Any) -> None:
        raise RuntimeError("no")

    broken.layers[-1].save_own_variables = fail
    broken.layers[-1].get_weights = fail
    if name == "model.h5":
        # The legacy format asks for values only.
        broken.layers[-1].kernel.numpy = fail.__get__(broken)
    with pytest.raises(RuntimeError):
        save(broken, path)
    assert tree_of(tmp_path) == before


FULL = """
import resource, signal, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = {paths!r}
from pathlib import Path
from tests.keras.saving.test_files import FORMATS, model_of, save
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
model = model_of(2)
for weight in model.weights:
    weight.numpy()
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
for name in FORMATS:
    try:
        save(model, Path({folder!r}) / name)
    except OSError as error:
        print(name, type(error).__name__, flush=True)
"""


def test_a_full_disk_leaves_the_old_models(tmp_path: Path) -> None:
    for name in FORMATS:
        save(model_of(1), tmp_path / name)
    before = tree_of(tmp_path)
    program = FULL.format(paths=sys.path, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == [word for name in FORMATS for word in (name, "OSError")]
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ignored" not in done.stderr
    assert tree_of(tmp_path) == before


KILLED = """
import sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = {paths!r}
from tests.keras.saving.test_files import model_of
models = [model_of(1), model_of(2)]
for model in models:
    for weight in model.weights:
        weight.numpy()
print("ready", flush=True)
for count in range(100000):
    model = models[count % 2]
    model.save({folder!r} + "/model.keras")
    model.save({folder!r} + "/model.h5")
    model.save({folder!r} + "/folder", zipped=False)
    model.save_weights({folder!r} + "/m.weights.h5")
    model.save_weights({folder!r} + "/m.safetensors")
"""


def test_a_killed_program_leaves_whole_files(tmp_path: Path) -> None:
    program = KILLED.format(paths=sys.path, folder=str(tmp_path))
    numbers = random.Random(4)
    names = ["model.keras", "model.h5", "m.weights.h5", "m.safetensors", "folder"]
    for _ in range(4):
        running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        first = time.monotonic()
        while not (tmp_path / "m.safetensors").exists() and time.monotonic() < first + 60:
            time.sleep(0.01)
        time.sleep(numbers.uniform(0, 0.3))
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        running.stdout.close()
        for name in names:
            if name == "folder":
                # Each of its files is whole; that they are of one save, a folder cannot promise.
                assert load(tmp_path / name) <= {1.0, 2.0}
            else:
                assert load(tmp_path / name) in ({1.0}, {2.0}), name
        if hasattr(os, "O_TMPFILE"):
            # Between a file's first name and its last there is an instant.
            assert sum(name.endswith(".part") for name in os.listdir(tmp_path)) <= 1

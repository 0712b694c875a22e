"""Files beside real Keras: what it writes is loaded here and the other way round, bit for bit."""

import importlib.util
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tests.keras.saving.real_side import NOT_LOADED, dump, flat, read, state_of, weights_of
from tests.keras.saving.zoo import OPTIMIZERS, SHARD, ZOO, inputs_of, made, optimized

from thalweg import keras

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """A folder of files, ours and theirs, and of what real Keras found in ours."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("keras is not installed")
    place: Path = tmp_path_factory.mktemp("files")
    for name in ZOO:
        model = made(keras, name)
        model.save(place / f"{name}.ours.keras")
        model.save(place / f"{name}.ours", zipped=False)
        model.save_weights(place / f"{name}.ours.weights.h5")
        model.save_weights(place / f"{name}.ours.weights.json", max_shard_size=SHARD)
        if name != "subclassed":
            with pytest.warns(UserWarning, match="legacy format"):
                model.save(place / f"{name}.ours.h5")
        dump(place / f"{name}.ours.npz", weights_of(model))
    for name in OPTIMIZERS:
        optimized(keras, name).save(place / f"{name}.ours.keras")
    command = [sys.executable, "-m", "tests.keras.saving.real_side", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return place


def same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


def arrays_in(path: Path) -> dict[str, Any]:
    """Every group and array of the weights in a file, with its type, attributes and bytes."""
    source: Any = path
    if path.suffix == ".keras":
        source = io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5"))
    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        attributes = {key: str(value) for key, value in item.attrs.items()}
        if isinstance(item, h5py.Dataset):
            found[name] = item.dtype.str, item.shape, item[()].tobytes(), attributes
        else:
            found[name] = attributes

    with h5py.File(source) as file:
        file.visititems(note)
    return found


@pytest.mark.parametrize("name", ZOO)
def test_weights_have_the_same_paths_names_types_and_bytes(folder: Path, name: str) -> None:
    same(read(folder / f"{name}.ours.npz"), read(folder / f"{name}.weights.npz"))
    for ending in ("keras", "weights.h5"):
        ours, theirs = (folder / f"{name}.{side}.{ending}" for side in ("ours", "theirs"))
        assert arrays_in(ours) == arrays_in(theirs)
    shards = sorted(folder.glob(f"{name}.ours_*.weights.h5"))
    assert shards
    for ours in shards:
        assert arrays_in(ours) == arrays_in(Path(str(ours).replace(".ours_", ".theirs_")))


def endings(name: str, *several: str) -> list[str]:
    """Those of the endings that a kind has: legacy files hold no subclassed models."""
    return [each for each in several if (name, each) != ("subclassed", "h5")]


@pytest.mark.parametrize("name", ZOO)
def test_keras_loads_what_we_save(folder: Path, name: str) -> None:
    wanted = read(folder / f"{name}.ours.npz")
    for ending in endings(name, "keras", "folder", "h5", "weights.h5", "weights.json"):
        if (name, ending) in NOT_LOADED:
            continue
        same(read(folder / f"{name}.from-{ending}.npz"), wanted)


@pytest.mark.parametrize("name", ZOO)
def test_we_load_models_of_keras(folder: Path, name: str) -> None:
    for ending in endings(name, "keras", "folder", "h5"):
        path = folder / f"{name}.theirs{'' if ending == 'folder' else '.' + ending}"
        model = keras.saving.load_model(path, compile=ending != "h5")
        same(weights_of(model), read(folder / f"{name}.weights.npz"))
        found = flat(model.predict(inputs_of(name), verbose=0))
        for a, b in zip(found, read(folder / f"{name}.outputs.npz"), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-2 if name == "mixed" else 1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ZOO)
def test_we_load_weights_of_keras(folder: Path, name: str) -> None:
    model = made(keras, name)
    for ending in endings(name, "weights.h5", "weights.json", "keras", "h5"):
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        model.load_weights(folder / f"{name}.theirs.{ending}")
        same(weights_of(model), read(folder / f"{name}.weights.npz"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_their_state(folder: Path, name: str) -> None:
    assert arrays_in(folder / f"{name}.ours.keras") == arrays_in(folder / f"{name}.theirs.keras")
    wanted = read(folder / f"{name}.state.npz")
    loaded = keras.saving.load_model(folder / f"{name}.theirs.keras")
    same(state_of(loaded.optimizer), wanted)
    same(read(folder / f"{name}.from-keras.npz"), wanted)
    assert type(loaded.optimizer).__module__.startswith("thalweg.")

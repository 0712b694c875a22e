"""Quantized and adapted models beside real Keras: weights, outputs, configs and files both ways."""

import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.keras.quantization.real_side import arrays
from tests.keras.quantization.zoo import CASES, OURS, inputs_of, listed, made

from thalweg import keras

ROOT = Path(__file__).resolve().parents[3]
MODELS: dict[str, Any] = {}
THEIRS = [case for case in CASES if case not in OURS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """A folder of files, ours and theirs, and of what real Keras found in ours."""
    if importlib.util.find_spec("keras") is None:
        pytest.skip("keras is not installed")
    place: Path = tmp_path_factory.mktemp("files")
    for case in CASES:
        keras.backend.clear_session()
        with warnings.catch_warnings():
            # Normalizations have no quantized form.
            warnings.filterwarnings("ignore", "Layer norm keeps its float weights")
            MODELS[case] = made(keras, case)
        MODELS[case].save(place / f"{case}.ours.keras")
    command = [sys.executable, "-m", "tests.keras.quantization.real_side", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return place


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        assert ours[name].shape == value.shape
        if value.dtype.kind in "iu" and name != "outputs":
            np.testing.assert_array_equal(ours[name], value, name)
        else:
            np.testing.assert_allclose(ours[name], value, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("case", THEIRS)
def test_weights_outputs_and_configs(folder: Path, case: str) -> None:
    model = MODELS[case]
    theirs, config = json.loads((folder / f"{case}.json").read_text())
    assert listed(model) == theirs
    assert json.loads(json.dumps(model.get_config(), default=str)) == config
    same(arrays(model, inputs_of(case)), read(folder / f"{case}.npz"))


@pytest.mark.parametrize("case", THEIRS)
def test_we_load_models_of_keras(folder: Path, case: str) -> None:
    loaded = keras.saving.load_model(folder / f"{case}.theirs.keras")
    same(arrays(loaded, inputs_of(case)), read(folder / f"{case}.loaded.npz"))


@pytest.mark.parametrize("case", CASES)
def test_keras_loads_what_we_save(folder: Path, case: str) -> None:
    theirs, x = read(folder / f"{case}.loaded.npz"), inputs_of(case)
    same(arrays(keras.saving.load_model(folder / f"{case}.ours.keras"), x), theirs)
    if not case.endswith(("int8-lora", "int4-lora")):  # rounded anew, with the product
        np.testing.assert_allclose(MODELS[case](x), theirs["outputs"], 1e-4)

"""Files beside real Keras: what it writes is loaded here and the other way round, bit for bit."""

import io
import warnings
import zipfile
from typing import Any

import h5py
import numpy as np
import pytest
from tests.keras.oracle import keras as real
from tests.keras.saving.zoo import ZOO, inputs_of, made

from thalweg import keras

# Its variables do not know NumPy's newest protocol.
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")


def quietly(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Real Keras warns of much that does not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def flat(values: Any) -> list[np.ndarray]:
    if isinstance(values, dict):
        values = [values[key] for key in sorted(values)]
    if not isinstance(values, (list, tuple)):
        values = [values]
    return [np.asarray(each, "float32") for each in values]


def predicted(model: Any, name: str) -> list[np.ndarray]:
    return flat(quietly(model.predict, inputs_of(name), verbose=0))


def arrays_in(path: Any) -> dict[str, Any]:
    """Every group and array of the weights in a file, with its type, attributes and bytes."""
    source = path
    if str(path).endswith(".keras"):
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


def same_weights(one: Any, other: Any) -> None:
    assert len(one.weights) == len(other.weights)
    for a, b in zip(one.weights, other.weights, strict=True):
        assert np.asarray(a.numpy()).tobytes() == np.asarray(b.numpy()).tobytes(), a.path


@pytest.mark.parametrize("name", ZOO)
def test_files_of_each_are_loaded_by_the_other(name: str, tmp_path: Any) -> None:
    ours, theirs = tmp_path / "ours.keras", tmp_path / "theirs.keras"
    model = made(keras, name)
    model.save(ours)
    original = made(real, name)
    quietly(original.save, theirs)
    assert arrays_in(ours) == arrays_in(theirs)

    loaded = keras.saving.load_model(theirs)
    same_weights(loaded, original)
    revived = quietly(real.saving.load_model, ours)
    same_weights(revived, model)

    wanted = predicted(original, name)
    tolerance = 2e-2 if name == "mixed" else 1e-5
    for each in (model, loaded):
        for a, b in zip(predicted(each, name), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=1e-6)

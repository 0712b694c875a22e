"""What real Keras does with a folder of files: a program of its own, on Keras' NumPy backend.

    python -m tests.keras.saving.real_side FOLDER

writes FOLDER/{kind}.theirs.* with outputs and weights, and of each FOLDER/{kind}.ours.* that it
can load, the weights. The backend compiles nothing, so that all kinds take seconds.
"""

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tests.keras.saving.zoo import OPTIMIZERS, SHARD, ZOO, inputs_of, made, optimized

NOT_LOADED = {("attention", "h5"), ("mixed", "h5")}
"""Kinds that real Keras does not load from legacy files, its own included."""


def flat(values: Any) -> list[np.ndarray]:
    """Outputs as a list of arrays of one type."""
    if isinstance(values, dict):
        values = [values[key] for key in sorted(values)]
    if not isinstance(values, (list, tuple)):
        values = [values]
    return [np.asarray(each, "float32") for each in values]


def weights_of(model: Any) -> list[np.ndarray]:
    """All weights, each as bytes: NumPy files have no bfloat16."""
    return [np.frombuffer(np.asarray(each.numpy()).tobytes(), "u1") for each in model.weights]


def state_of(optimizer: Any) -> list[np.ndarray]:
    """All variables of an optimizer."""
    return [np.asarray(each.numpy()) for each in optimizer.variables]


def dump(path: Path, arrays: list[np.ndarray]) -> None:
    """Write arrays in their order."""
    np.savez(path, **{f"{index:04}": each for index, each in enumerate(arrays)})


def read(path: Path) -> list[np.ndarray]:
    """The arrays of `dump`."""
    with np.load(path) as file:
        return [file[key] for key in sorted(file)]


def main(folder: Path) -> None:
    """Write their files, read ours."""
    os.environ["KERAS_BACKEND"] = "numpy"
    keras = importlib.import_module("keras")
    for name in ZOO:
        model = made(keras, name)
        model.save(folder / f"{name}.theirs.keras")
        model.save(folder / f"{name}.theirs", zipped=False)
        model.save_weights(folder / f"{name}.theirs.weights.h5")
        model.save_weights(folder / f"{name}.theirs.weights.json", max_shard_size=SHARD)
        if name != "subclassed":
            model.save(folder / f"{name}.theirs.h5")
        dump(folder / f"{name}.outputs.npz", flat(model.predict(inputs_of(name), verbose=0)))
        dump(folder / f"{name}.weights.npz", weights_of(model))
        for ending in ("keras", "folder", "h5"):
            path = folder / f"{name}.ours{'' if ending == 'folder' else '.' + ending}"
            if path.exists() and (name, ending) not in NOT_LOADED:
                dump(
                    folder / f"{name}.from-{ending}.npz", weights_of(keras.models.load_model(path))
                )
        for ending in ("weights.h5", "weights.json"):
            for weight in model.weights:
                weight.assign(np.zeros(weight.shape))
            model.load_weights(folder / f"{name}.ours.{ending}")
            dump(folder / f"{name}.from-{ending}.npz", weights_of(model))
    for name in OPTIMIZERS:
        model = optimized(keras, name)
        model.save(folder / f"{name}.theirs.keras")
        dump(folder / f"{name}.state.npz", state_of(model.optimizer))
        loaded = keras.models.load_model(folder / f"{name}.ours.keras")
        dump(folder / f"{name}.from-keras.npz", state_of(loaded.optimizer))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(Path(sys.argv[1]))

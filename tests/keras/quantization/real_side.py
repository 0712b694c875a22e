"""What real Keras does with the zoo: a program of its own, on Keras' NumPy backend.

    python -m tests.keras.quantization.real_side FOLDER

writes FOLDER/{case}.theirs.keras and what is in FOLDER/{case}.json and .npz: weights, outputs and
configs, of models of its own and of those it loads from FOLDER/{case}.ours.keras.
"""

import importlib
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tests.keras.quantization.zoo import CASES, OURS, inputs_of, listed, made


def arrays(model: Any, x: Any) -> dict[str, np.ndarray]:
    """The outputs, and the weights by number."""
    found = {f"{place:03}": np.asarray(w.numpy()) for place, w in enumerate(model.weights)}
    return {**found, "outputs": np.asarray(model(x))}


def main(folder: Path) -> None:
    """Write their files, read ours."""
    os.environ["KERAS_BACKEND"] = "numpy"
    keras = importlib.import_module("keras")
    for case in CASES:
        x = inputs_of(case)
        if case not in OURS:
            model = made(keras, case)
            np.savez(folder / f"{case}.npz", **arrays(model, x))
            text = json.dumps([listed(model), model.get_config()], default=str)
            (folder / f"{case}.json").write_text(text)
            model.save(folder / f"{case}.theirs.keras")
        loaded = keras.saving.load_model(folder / f"{case}.ours.keras")
        np.savez(folder / f"{case}.loaded.npz", **arrays(loaded, x))


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(Path(sys.argv[1]))

"""All that a run of `fit` needs to go on as if it had not stopped, in one file.

    {path of each object}/vars     weights and optimizer, as in every `.weights.h5`
    training_state/vars/text       JSON: epoch, batch, and whatever else is given
    training_state/vars/0, 1, ..   the arrays that the JSON refers to as {"array": number}

Beside what the caller gives, that is the variables that files of weights leave out (random
generators of layers, metrics) and the generators of the process: those of keras.random and
thalweg.random, NumPy's, and Python's. `load_weights` reads such a file too.
"""

import contextlib
import json
import os
import random
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.generator import default_generator
from thalweg.keras.random.seed_generator import global_seed_generator
from thalweg.keras.saving.files import NewFile, damaged
from thalweg.keras.saving.hdf5 import H5Reader, H5Writer, open_h5
from thalweg.keras.saving.walk import load_state, save_state

PLACE = "training_state"
TEXT = "text"


def save_training_state(model: Any, path: str, given: dict[str, Any], keep: str = "") -> None:
    """Write the state of a run; the file at `path` is replaced when the new one is complete.

    The one that was there is renamed to `keep`, if given. Raises ArgumentTypeError for values that
    are neither numbers, texts, arrays nor lists, tuples and dicts of them.
    """
    new = NewFile(path)
    try:
        writer = H5Writer(new.file)
        try:
            save_state(model, writer)
            state = {
                **given,
                "variables": [variable.numpy() for variable in _left_out(model)],
                "generators": _generators(),
            }
            arrays: list[np.ndarray] = []
            text = json.dumps(_packed(state, arrays, "state"))
            entry = writer.make(PLACE)
            entry[TEXT] = np.frombuffer(text.encode(), np.uint8)
            for number, array in enumerate(arrays):
                entry[str(number)] = array
        finally:
            writer.close()
        new.flush()
        if keep and os.path.exists(path):
            os.replace(path, keep)
        new.commit()
    finally:
        new.discard()


def load_training_state(model: Any, path: str) -> dict[str, Any]:
    """Give a model, and the generators of the process, the state in a file; returns the rest of it.

    That is {} for a file of weights alone. Errors: FileError for a file that is missing or damaged,
    ArgumentError for one of another model.
    """
    with contextlib.closing(open_h5(path)) as source:
        reader = H5Reader(source)
        loading = load_state(model, reader)
        if loading.failures:
            raise loading.report(path)
        entry = reader.get(PLACE)
        if TEXT not in entry:
            return {}
        try:
            state = _unpacked(json.loads(entry[TEXT].tobytes()), entry)
            values, generators = state.pop("variables"), state.pop("generators")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(path, f"a training state that cannot be read: {error!r}") from None
    own = _left_out(model)
    if [variable.shape for variable in own] != [value.shape for value in values]:
        raise ArgumentError(
            explain(
                f"load {path}",
                "the state of a run with the same model, metrics and random layers",
                f"{len(values)} variables beside the weights, not the {len(own)} that there are",
                "Compile the model as it was, or delete the backup to begin anew.",
            )
        )
    for variable, value in zip(own, values, strict=True):
        variable.assign(value)
    _set_generators(generators)
    return state


def _left_out(model: Any) -> list[Any]:
    """The variables that files of weights leave out."""
    kept = set(map(id, model.weights))
    return [
        variable
        for variable in (*model.variables, *model.metrics_variables)
        if id(variable) not in kept
    ]


def _generators() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    return {
        "keras": global_seed_generator().state.numpy(),
        "thalweg": default_generator().key.numpy(),
        "numpy": np.random.get_state(),
        "python": (version, np.array(words, np.uint32), gauss),
    }


def _set_generators(values: dict[str, Any]) -> None:
    global_seed_generator().state.assign(values["keras"])
    default_generator().key.assign(values["thalweg"])
    np.random.set_state(values["numpy"])
    version, words, gauss = values["python"]
    random.setstate((version, tuple(words.tolist()), gauss))


# ---- values as JSON and arrays -------------------------------------------------------------------


def _packed(value: Any, arrays: list[np.ndarray], where: str) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        found = [_packed(each, arrays, where) for each in value]
        return {"tuple": found} if isinstance(value, tuple) else found
    if isinstance(value, dict):
        return {
            "dict": {key: _packed(each, arrays, f"{where}.{key}") for key, each in value.items()}
        }
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufcV":
        arrays.append(value)
        return {"array": len(arrays) - 1}
    raise ArgumentTypeError(
        explain(
            where,
            "numbers, texts, arrays, or lists and dicts of them",
            f"{value!r:.60} of type {type(value).__name__}",
            "Leave it out of state_attributes.",
        )
    )


def _unpacked(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(each, arrays) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "array":
        return arrays[str(inner)]
    if kind == "tuple":
        return tuple(_unpacked(each, arrays) for each in inner)
    return {key: _unpacked(each, arrays) for key, each in inner.items()}

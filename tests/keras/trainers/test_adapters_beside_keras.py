"""The same data, step for step, in real Keras."""

import itertools
import warnings

import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg.keras import tree
from thalweg.keras.trainers.adapters import get_data_adapter
from thalweg.keras.trainers.epoch_iterator import EpochIterator

ROWS = np.arange(34, dtype="float32")
DENSE = np.repeat(ROWS[:, None], 4, axis=1)
X = {"a": DENSE.astype("float64"), "b": [ROWS, ROWS.astype("uint8")]}
WEIGHT = np.abs(np.sin(ROWS))

DATA = {
    "x": {"x": X},
    "all three": {"x": X, "y": (ROWS, DENSE[:, :1]), "sample_weight": WEIGHT},
    "classes": {"x": DENSE, "y": ROWS % 3, "class_weight": {0: 2.0, 2: 0.5}},
    "steps": {"x": [DENSE], "steps_per_epoch": 3},
    "one in a tuple": {"x": (DENSE,), "y": ROWS, "batch_size": 7},
}


@pytest.mark.parametrize("name", DATA)
def test_batches(name):
    ours = get_data_adapter(**DATA[name])
    theirs = real.src.trainers.data_adapters.get_data_adapter(**DATA[name])
    for fact in ("num_batches", "batch_size", "has_partial_batch", "partial_batch_size"):
        assert getattr(ours, fact) == getattr(theirs, fact)
    pairs = zip(ours.get_numpy_iterator(), theirs.get_numpy_iterator(), strict=True)
    for batch, expected in pairs:
        tree.assert_same_structure(batch, expected)
        for a, b in zip(tree.flatten(batch), tree.flatten(expected), strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b)


def generator(count):
    for number in range(count):
        yield (np.full((2, 1), number),)


def steps(iterator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            (begin, end, [int(tree.flatten(batch)[0][0, 0]) for batch in taken])
            for begin, end, taken in itertools.islice(iterator, 20)
        ]


@pytest.mark.parametrize("kind", ["arrays", "generator"])
@pytest.mark.parametrize("steps_per_epoch", [None, 2, 3, 7, 9])
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_steps(kind, steps_per_epoch, steps_per_execution):
    def epochs(make):
        iterator = make(
            DENSE if kind == "arrays" else generator(7),
            batch_size=5,
            steps_per_epoch=steps_per_epoch,
            steps_per_execution=steps_per_execution,
        )
        count = 5 if kind == "arrays" else 7 // (steps_per_epoch or 7) or 1
        return [steps(iterator) for _ in range(count)]

    assert epochs(EpochIterator) == epochs(real.src.trainers.epoch_iterator.EpochIterator)

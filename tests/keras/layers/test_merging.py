"""The contract of the layers that make one tensor of several."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.keras.layers.contract import Case, checks, quiet
from tests.keras.oracle import keras as real

from thalweg import keras

SAME = [(3, 4, 5), (3, 4, 5), (3, 4, 5)]
PAIR = [(3, 4, 5), (3, 4, 5)]
SPREAD = [(3, 1, 5), (3, 4, 1), (3, 4, 5)]
RANKS = [(3, 4, 5), (3, 5)]
FOLDS = ("Add", "Multiply", "Average", "Maximum", "Minimum")

CASES = [
    *(
        Case(name, shapes, unknown=unknown, masked=masked)
        for name in FOLDS
        for shapes, unknown, masked in (
            (SAME, (0, 1), None),
            (SPREAD, (0,), None),
            (RANKS, (0,), None),
            (PAIR, (0,), 2),
        )
    ),
    Case("Add", [(3, 4)]),
    Case("Subtract", PAIR, unknown=(0, 2)),
    Case("Subtract", [(3, 1, 5), (3, 4, 5)]),
    Case("Subtract", PAIR, masked=2),
    Case("Concatenate", SAME, unknown=(0, 1)),
    Case("Concatenate", [(3, 4, 2), (3, 1, 2)], {"axis": 1}),
    Case("Concatenate", PAIR, {"axis": 1}, unknown=(0, 1)),
    Case("Concatenate", PAIR, {"axis": -1}, masked=2),
    Case("Concatenate", PAIR, {"axis": 1}, masked=2),
    Case("Dot", [(3, 4), (3, 4)], {"axes": 1}),
    Case("Dot", [(3, 4), (3, 4)], {"axes": -1, "normalize": True}),
    Case("Dot", [(3, 2, 4), (3, 4, 5)], {"axes": (2, 1)}, unknown=(0,)),
    Case("Dot", [(3, 4, 2), (3, 4, 5)], {"axes": [1, 1]}),
    Case("Dot", [(3, 2, 4), (3, 6, 4, 5)], {"axes": (2, 2)}),
    Case("Dot", [(3, 2, 4, 6), (3, 4)], {"axes": (2, 1), "normalize": True}),
]


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()


NAMES = ("add", "subtract", "multiply", "average", "maximum", "minimum", "concatenate", "dot")


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_calls_of_the_layers(name: str) -> None:
    found = {}
    for package in (keras, real):
        inputs = [package.KerasTensor((None, 4)), package.KerasTensor((None, 4))]
        more = {"axes": 1} if name == "dot" else {}
        with quiet():
            output = getattr(package.layers, name)(inputs, name=f"my_{name}", **more)
        operation = output._keras_history.operation
        found[package] = (output.shape, type(operation).__name__, operation.name)
    assert found[keras] == found[real]


def test_a_mask_of_all_axes_is_taken_as_it_is() -> None:
    x = [keras.Input((4, 5)), keras.Input((4, 5))]
    masks = np.random.default_rng(0).integers(0, 2, (2, 3, 4, 5))
    given = [keras.ops.convert_to_tensor(masks[0]), keras.Variable(masks[1], dtype="float32")]
    found = keras.layers.Concatenate(axis=-1).compute_mask(x, given)
    np.testing.assert_array_equal(found.numpy(), masks.any(axis=(0, 3)))

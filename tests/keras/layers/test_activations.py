"""The contract of the layers of one activation each."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.keras.layers.contract import Case, checks

from thalweg import keras

LINE, IMAGE = (3, 5), (2, 4, 3, 2)
NAMES = (
    "relu", "softmax", "gelu", "silu", "tanh", "sigmoid", "elu", "selu", "softplus", "mish",
    "hard_sigmoid", "log_softmax", "linear", "relu6", "leaky_relu", "exponential", "softsign",
)  # fmt: skip

CASES = [
    *(Case("Activation", LINE, {"activation": name}, unknown=(0, 1)) for name in NAMES),
    Case("Activation", (3, 5, 2), {"activation": "relu"}, masked=2),
    Case("ReLU", LINE),
    Case("ReLU", IMAGE, {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.3}),
    Case("ReLU", LINE, {"threshold": 0.5}, unknown=(0, 1)),
    Case("LeakyReLU", LINE),
    Case("LeakyReLU", IMAGE, {"negative_slope": 0.01}),
    Case("PReLU", LINE),
    Case("PReLU", IMAGE, {"shared_axes": [1, 2]}),
    Case("PReLU", IMAGE, {"shared_axes": 3, "alpha_initializer": "ones"}),
    Case("PReLU", LINE, {"alpha_regularizer": "l2", "alpha_constraint": "non_neg"}),
    Case("ELU", LINE),
    Case("ELU", IMAGE, {"alpha": 0.3}),
    Case("Softmax", LINE, unknown=(0, 1)),
    Case("Softmax", IMAGE, {"axis": 1}),
    Case("Softmax", IMAGE, {"axis": (1, 2)}),
    Case("Softmax", IMAGE, {"axis": [-1]}),
    Case("Softmax", LINE, masked=2),
    Case("Softmax", LINE, {"axis": 0}, policies=("mixed_float16", "float16"), masked=2),
]


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ReLU", {"max_value": -1.0}),
        ("ReLU", {"negative_slope": None}),
        ("ReLU", {"threshold": -0.5}),
        ("LeakyReLU", {"negative_slope": -0.1}),
        ("LeakyReLU", {"negative_slope": None}),
    ],
)
def test_bad_settings_are_refused(name: str, settings: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        getattr(keras.layers, name)(**settings)


def test_softmax_refuses_masks_that_do_not_fit() -> None:
    x = np.ones((2, 3), "float32")
    for mask in (np.ones((2, 2), bool), np.ones((1, 2, 3), bool)):
        with pytest.raises(ValueError, match="mask"):
            keras.layers.Softmax()(x, mask=mask)

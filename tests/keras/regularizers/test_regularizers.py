"""Regularizers: values, derivatives, configs and names against real Keras."""

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError
from thalweg.keras import regularizers
from thalweg.keras.saving.serialization import deserialize_keras_object
from thalweg.keras.variable import Variable

MADE = [
    ("L1", {}), ("L1", {"l1": 0.3}), ("L2", {}), ("L2", {"l2": 0.3}), ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}), ("L1L2", {"l1": 0.1}), ("L1L2", {"l2": None}),
    ("OrthogonalRegularizer", {}), ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]  # fmt: skip


def pair(name, settings):
    return getattr(regularizers, name)(**settings), getattr(real.regularizers, name)(**settings)


@pytest.mark.parametrize(("name", "settings"), MADE)
def test_values_and_derivatives(name, settings):
    ours, theirs = pair(name, settings)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    for value in (x, np.abs(x), 30 * x):
        found = ours(Variable(value))
        np.testing.assert_allclose(found, theirs(real.ops.convert_to_tensor(value)), rtol=1e-5)
        assert found.shape == () and found.dtype.name == "float32"
        slope = tw.grad(lambda x: ours(x))(tw.asarray(value))
        np.testing.assert_allclose(slope, jax.grad(theirs)(value), rtol=1e-4, atol=1e-6)
    assert ours(x.astype("float16")).dtype.name == "float16"
    assert ours(np.ones((2, 2), "int32")).dtype.name == "float32"
    assert ours(np.zeros((2, 3), "float32")).item() == 0.0


@pytest.mark.parametrize(("name", "settings"), MADE)
def test_configs(name, settings):
    ours, theirs = pair(name, settings)
    record = regularizers.serialize(ours)
    assert record == real.regularizers.serialize(theirs)
    for again in (regularizers.deserialize(record), deserialize_keras_object(record)):
        assert type(again) is type(ours) and again.get_config() == ours.get_config()
    assert real.regularizers.deserialize(record).get_config() == ours.get_config()


def test_all_names_and_get():
    assert {name for name in dir(real.regularizers) if not name.startswith("_")} == set(
        regularizers.__all__
    )
    for name in ("l1", "L1", "l2", "l1l2", "L1L2", "orthogonal_regularizer"):
        assert type(regularizers.get(name)).__name__ == type(real.regularizers.get(name)).__name__
    assert type(regularizers.get("l1_l2")) is regularizers.L1L2 is regularizers.l1_l2
    assert regularizers.get(None) is None and regularizers.get(abs) is abs
    assert type(regularizers.get(regularizers.L2)) is regularizers.L2
    assert regularizers.get({"class_name": "L1", "config": {"l1": 0.3}}).l1 == 0.3
    for wrong in ("typo", 3, {"class_name": "Nope", "config": {}}):
        with pytest.raises(ArgumentError, match="Could not interpret regularizer identifier"):
            regularizers.get(wrong)
    with pytest.raises(NotImplementedError):
        regularizers.Regularizer().get_config()
    assert regularizers.Regularizer()(np.ones(2)).item() == 0.0


def test_a_single_row_has_no_angle():
    assert regularizers.OrthogonalRegularizer()(np.ones((1, 3), "float32")).item() == 0.0


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "0.1", [0.1]])
@pytest.mark.parametrize(("name", "argument"), [("L1", "l1"), ("L2", "l2"), ("L1L2", "l2")])
def test_factors(name, argument, wrong):
    with pytest.raises(ArgumentError, match=f"argument {argument}: expected a non-negative float"):
        getattr(regularizers, name)(**{argument: wrong})


def test_orthogonal_regularizer_refuses():
    with pytest.raises(ArgumentError, match="Invalid value for argument `mode`"):
        regularizers.OrthogonalRegularizer(mode="diagonals")
    with pytest.raises(ArgumentError, match="must have rank 2"):
        regularizers.OrthogonalRegularizer()(np.ones(3))

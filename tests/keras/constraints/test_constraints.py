"""Constraints: values, configs and names against real Keras."""

import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError
from thalweg.keras import constraints
from thalweg.keras.saving.serialization import deserialize_keras_object
from thalweg.keras.variable import Variable

MADE = [
    ("Constraint", {}), ("NonNeg", {}), ("MaxNorm", {}), ("MaxNorm", {"max_value": 0.5, "axis": 1}),
    ("MaxNorm", {"axis": [0, 1, 2]}), ("UnitNorm", {}), ("UnitNorm", {"axis": [0, 1]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 0.5, "max_value": 2.0, "rate": 0.3, "axis": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), MADE)
def test_values_and_configs(name, settings):
    ours = getattr(constraints, name)(**settings)
    theirs = getattr(real.constraints, name)(**settings)
    w = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32") * 3
    w[0] = 0
    w[1, 0] = -0.0
    for value in (w, w.astype("float16")):
        found = ours(Variable(value))
        np.testing.assert_allclose(found, theirs(value), rtol=2e-3 if value is not w else 1e-5)
        assert found.dtype.name == value.dtype.name and found.shape == value.shape
    np.testing.assert_allclose(tw.function(lambda x: ours(x))(w), ours(w), rtol=1e-6)
    record = constraints.serialize(ours)
    assert record == real.constraints.serialize(theirs)
    for again in (constraints.deserialize(record), deserialize_keras_object(record)):
        assert type(again) is type(ours) and again.get_config() == ours.get_config()


def test_all_names_and_get():
    assert {name for name in dir(real.constraints) if not name.startswith("_")} == set(
        constraints.__all__
    )
    for name in ("max_norm", "MaxNorm", "non_neg", "unit_norm", "min_max_norm", "constraint"):
        assert type(constraints.get(name)).__name__ == type(real.constraints.get(name)).__name__
    assert constraints.get(None) is None and constraints.get(abs) is abs
    assert type(constraints.get(constraints.NonNeg)) is constraints.NonNeg
    assert constraints.get({"class_name": "MaxNorm", "config": {"max_value": 1}}).max_value == 1
    for wrong in ("typo", 3):
        with pytest.raises(ArgumentError, match="Could not interpret constraint identifier"):
            constraints.get(wrong)
    with pytest.raises(ArgumentError, match="Did you mean 'max_norm'"):
        constraints.get("maxnorm")


def test_values_that_are_not_numbers_stay_so():
    assert np.isnan(constraints.NonNeg()([np.nan, -1.0]).numpy()).tolist() == [True, False]

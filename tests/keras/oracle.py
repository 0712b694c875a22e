"""Real Keras on JAX, the oracle of the tests of `thalweg.keras`: `from oracle import keras`."""

import os
import warnings

import pytest

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras")

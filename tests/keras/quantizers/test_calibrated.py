"""GPTQ and AWQ on single matrices, beside their definitions."""

import itertools
from typing import Any

import numpy as np
import pytest

from thalweg import keras
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.keras.quantizers.awq import LargestInputs
from thalweg.keras.quantizers.calibrated import Calibrated, group_parameters
from thalweg.keras.quantizers.gptq import SecondMoments, damped

GPTQ, AWQ = keras.quantizers.GPTQConfig, keras.quantizers.AWQConfig
INPUTS, OUTPUTS = 134, 5  # more inputs than are corrected at once


def weights_and_inputs() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    mixed = generator.standard_normal((INPUTS, INPUTS)) * np.geomspace(0.1, 3, INPUTS)
    x = generator.standard_normal((400, INPUTS)) @ mixed
    return generator.standard_normal((INPUTS, OUTPUTS)).astype("float32"), x.astype("float32")


def floats_of(found: Calibrated) -> np.ndarray:
    """The weights (inputs, outputs) that integers stand for."""
    groups = found.groups.astype(int)
    back = (found.levels - found.zero.astype("f8")[:, groups]) * found.scale[:, groups]
    return (back if found.input_scales is None else back / found.input_scales).T


def rounded(weights: np.ndarray, bits: int, group_size: int, symmetric: bool = False) -> np.ndarray:
    """Each weight as its nearest level."""
    scale, zero = (
        each.astype("f8") for each in group_parameters(weights.T, bits, group_size, symmetric)
    )
    groups = np.arange(len(weights)) // (len(weights) if group_size == -1 else group_size)
    levels = np.round(weights.T / scale[:, groups] + zero[:, groups]).clip(0, 2**bits - 1)
    return ((levels - zero[:, groups]) * scale[:, groups]).T


def eliminated(weights: np.ndarray, moments: np.ndarray, config: Any) -> np.ndarray:
    """GPTQ as it is defined: after each input the inverse of the moments of those that are left."""
    w, order = weights.T.astype("f8"), np.arange(len(weights))
    if config.activation_order:
        order = np.argsort(-np.diag(moments), kind="stable")
    w, moments, found = w[:, order], moments[np.ix_(order, order)], []
    size = len(order) if config.group_size == -1 else config.group_size
    for j in range(len(order)):
        if j % size == 0:
            scale, zero = (
                each[:, 0].astype("f8")
                for each in group_parameters(
                    w[:, j : j + size], config.weight_bits, symmetric=config.symmetric
                )
            )
        level = np.round(w[:, j] / scale + zero).clip(0, 2**config.weight_bits - 1)
        found.append((level - zero) * scale)
        inverse = np.linalg.inv(moments[j:, j:])
        w[:, j:] -= np.outer((w[:, j] - found[-1]) / inverse[0, 0], inverse[0])
    return np.array(found)[np.argsort(order)]


@pytest.mark.parametrize(
    "settings",
    [
        {"group_size": -1},
        {"group_size": 30, "weight_bits": 3},
        {"group_size": 32, "activation_order": True},
        {"group_size": -1, "weight_bits": 8, "symmetric": True},
    ],
)
def test_gptq_is_elimination_and_better_than_rounding(settings: dict) -> None:
    config = GPTQ(None, None, **settings)
    weights, x = weights_and_inputs()
    seen = SecondMoments(INPUTS, config)
    for part in np.split(x, 4):
        seen.see(part.reshape(2, -1, INPUTS))
    moments = 2 * x.astype("f8").T @ x / len(x)
    np.testing.assert_allclose(seen.moments, moments, rtol=1e-9)
    found = floats_of(seen.calibrated(weights))
    wanted = eliminated(weights, damped(moments, config.hessian_damping), config)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    plain = rounded(weights, config.weight_bits, config.group_size, config.symmetric)
    error, more = (np.square(x @ (weights - each)).mean() for each in (found, plain))
    assert error < more


@pytest.mark.parametrize("group_size", [-1, 32])
def test_awq_tries_powers_of_the_inputs_sizes(group_size: int) -> None:
    config = AWQ(None, None, group_size=group_size, num_grid_points=4)
    weights, x = weights_and_inputs()
    x[:, 3] = 0
    seen = LargestInputs(INPUTS, config)
    for part in np.split(x, 4):
        seen.see(part)
    largest = abs(x).max(axis=0)
    np.testing.assert_array_equal(seen.largest, largest)
    found = seen.calibrated(weights)
    largest = np.where(largest == 0, 1, largest)
    errors, scales = [], []
    for power in (0, 0.25, 0.5, 0.75, 1):
        scale = largest**power
        scale = scale / np.sqrt(scale.max() * scale.min())
        back = rounded(weights * scale[:, None], 4, group_size) / scale[:, None]
        errors.append(np.square((back - weights) * largest[:, None]).mean())
        scales.append(scale)
    best = int(np.argmin(errors))
    np.testing.assert_allclose(found.input_scales, scales[best], rtol=1e-5)
    error = np.square((floats_of(found) - weights) * largest[:, None]).mean()
    np.testing.assert_allclose(error, errors[best], rtol=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_weights_of_one_sign_are_not_cut_off(sign: int) -> None:
    weights = sign * (5 + np.random.default_rng(0).random((6, 3)))
    for symmetric, group_size in itertools.product((False, True), (-1, 4)):
        scale, zero = group_parameters(weights.T, 8, group_size, symmetric)
        groups = np.arange(6) // (6 if group_size == -1 else 4)
        levels = np.round(weights.T / scale[:, groups] + zero.astype("f8")[:, groups])
        assert levels.min() >= -1 and levels.max() <= 256  # an end may round past the last level
        back = (levels.clip(0, 255) - zero.astype("f8")[:, groups]) * scale[:, groups]
        np.testing.assert_allclose(back, weights.T, atol=0.05)


def test_inputs_have_to_be_there_and_fit() -> None:
    for seen in (SecondMoments(3, GPTQ(None, None)), LargestInputs(3, AWQ(None, None))):
        with pytest.raises(ArgumentError, match="Input tensor cannot be None"):
            seen.see(None)
        with pytest.raises(ArgumentError, match="Input tensor cannot be empty"):
            seen.see(np.zeros((0, 3)))
        with pytest.raises(ShapeError, match="3 features"):
            seen.see(np.zeros((2, 4)))

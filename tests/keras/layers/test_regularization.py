"""The contract of the layers that act in training only, and what they do then."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.keras.layers.contract import Case, checks

from thalweg import keras

LINE, IMAGE, VOLUME = (2, 5, 4), (2, 5, 4, 3), (2, 3, 4, 2, 3)
FIRST = {"data_format": "channels_first"}

CASES = [
    Case("Dropout", LINE, {"rate": 0.4}, unknown=(0, 1), random=True),
    Case("Dropout", LINE, {"rate": 0.4, "seed": 3, "noise_shape": (None, 1, 4)}, random=True),
    Case("Dropout", LINE, {"rate": 0}, masked=2),
    Case("SpatialDropout1D", LINE, {"rate": 0.4, "seed": 3}, random=True),
    Case("SpatialDropout2D", IMAGE, {"rate": 0.4}, unknown=(0, 1), random=True),
    Case("SpatialDropout2D", IMAGE, {"rate": 0.4, **FIRST}, random=True),
    Case("SpatialDropout3D", VOLUME, {"rate": 0.4, "seed": 1, **FIRST}, random=True),
    Case("AlphaDropout", LINE, {"rate": 0.4, "noise_shape": (2, 1, 4)}, random=True),
    Case("AlphaDropout", LINE, {"rate": 0.0}),
    Case("GaussianDropout", LINE, {"rate": 0.4, "seed": 5}, random=True),
    Case("GaussianNoise", LINE, {"stddev": 0.3}, random=True),
    Case("GaussianNoise", LINE, {"stddev": 0.0}),
    Case("ActivityRegularization", LINE, {"l1": 0.1, "l2": 0.02}),
    Case("ActivityRegularization", LINE, {"l2": 0.5}, masked=2),
]


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()


SIZE = 40_000


def train(name: str, x: np.ndarray, **settings: object) -> np.ndarray:
    layer = getattr(keras.layers, name)(seed=11, **settings)
    return layer(x, training=True).numpy()


def test_dropout_keeps_the_mean() -> None:
    found = train("Dropout", np.ones((SIZE,), "float32"), rate=0.3)
    assert set(np.round(np.unique(found), 4)) == {0.0, np.float32(round(1 / 0.7, 4))}
    assert abs((found == 0).mean() - 0.3) < 0.01


def test_noise_shape_drops_together() -> None:
    found = train("Dropout", np.ones((6, 50, 7), "float32"), rate=0.5, noise_shape=(6, 1, 7))
    assert all(len(set(column)) == 1 for sample in found for column in sample.T)
    assert len(np.unique(found)) == 2


@pytest.mark.parametrize(
    ("name", "shape", "settings", "axes"),
    [
        ("SpatialDropout1D", (8, 9, 6), {}, (1,)),
        ("SpatialDropout2D", (8, 3, 4, 6), {}, (1, 2)),
        ("SpatialDropout2D", (8, 6, 3, 4), FIRST, (2, 3)),
        ("SpatialDropout3D", (8, 2, 3, 2, 6), {}, (1, 2, 3)),
        ("SpatialDropout3D", (8, 6, 2, 3, 2), FIRST, (2, 3, 4)),
    ],
)
def test_spatial_dropout_takes_whole_channels(
    name: str, shape: tuple, settings: dict, axes: tuple
) -> None:
    found = train(name, np.ones(shape, "float32"), rate=0.5, **settings)
    np.testing.assert_array_equal(found.max(axes), found.min(axes))
    assert 0.2 < (found.max(axes) == 0).mean() < 0.8


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(0).standard_normal(SIZE).astype("float32")
    found = train("AlphaDropout", x, rate=0.3)
    assert abs(found.mean()) < 0.03 and abs(found.std() - 1) < 0.03


def test_gaussian_noises_have_their_deviation() -> None:
    x = np.full((SIZE,), 2.0, "float32")
    found = train("GaussianDropout", x, rate=0.2)
    assert abs(found.mean() - 2) < 0.02 and abs(found.std() - 2 * 0.5) < 0.02
    found = train("GaussianNoise", x, stddev=0.4)
    assert abs(found.mean() - 2) < 0.02 and abs(found.std() - 0.4) < 0.01


def test_a_seed_gives_the_same_numbers_and_goes_on() -> None:
    x = np.ones((50,), "float32")
    first, second = (keras.layers.Dropout(0.5, seed=4) for _ in range(2))
    one, two = first(x, training=True).numpy(), first(x, training=True).numpy()
    assert (one != two).any()
    np.testing.assert_array_equal(second(x, training=True).numpy(), one)
    np.testing.assert_array_equal(second(x, training=True).numpy(), two)


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"])
@pytest.mark.parametrize("value", [-0.1, 1.5, "a", None])
def test_bad_rates_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        getattr(keras.layers, name)(value)

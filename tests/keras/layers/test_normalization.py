"""The contract of the normalisations."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.keras.layers.contract import Case, Of, checks

from thalweg import keras

ROWS, STEPS, IMAGE = (4, 5), (3, 4, 5), (2, 4, 3, 6)
WEIGHTS = {
    "beta_initializer": "ones",
    "gamma_initializer": "random_normal",
    "beta_regularizer": "l2",
    "gamma_regularizer": "l1",
    "beta_constraint": "non_neg",
    "gamma_constraint": "max_norm",
}
CLIPPED = {"renorm": True, "renorm_clipping": {"rmax": 1.5, "rmin": 0.5, "dmax": 0.3}}
SPECTRAL = "SpectralNormalization"

CASES = [
    Case("BatchNormalization", ROWS),
    Case("BatchNormalization", IMAGE, {"momentum": 0.7, "epsilon": 0.01}, unknown=(0, 1)),
    Case("BatchNormalization", IMAGE, {"axis": 1}, unknown=(0, 2)),
    Case("BatchNormalization", STEPS, {"center": False}),
    Case("BatchNormalization", STEPS, {"scale": False}),
    Case("BatchNormalization", ROWS, {"trainable": False}),
    Case("BatchNormalization", STEPS, WEIGHTS),
    Case("BatchNormalization", STEPS, {"momentum": 0.5}, masked=2),
    Case("BatchNormalization", STEPS, {"renorm": True, "renorm_momentum": 0.8}),
    Case("BatchNormalization", STEPS, CLIPPED),
    Case("BatchNormalization", STEPS, {"moving_mean_initializer": "ones"}, policies=("float16",)),
    Case("LayerNormalization", ROWS),
    Case("LayerNormalization", STEPS, {"axis": 1}),
    Case("LayerNormalization", IMAGE, {"axis": [1, -1], "epsilon": 0.1}, unknown=(0, 2)),
    Case("LayerNormalization", IMAGE, {"axis": (3, 2)}),
    Case("LayerNormalization", STEPS, {"center": False}, unknown=(0, 1)),
    Case("LayerNormalization", STEPS, {"scale": False, **WEIGHTS}),
    Case("LayerNormalization", STEPS, masked=2),
    Case("GroupNormalization", IMAGE, {"groups": 3}, unknown=(0, 1)),
    Case("GroupNormalization", IMAGE, {"groups": -1}),
    Case("GroupNormalization", IMAGE, {"groups": 2, "axis": 1, "center": False}),
    Case("GroupNormalization", STEPS, {"groups": 5, "scale": False}),
    Case("GroupNormalization", IMAGE, {"groups": 6, "epsilon": 0.1, **WEIGHTS}),
    Case("RMSNormalization", ROWS),
    Case("RMSNormalization", IMAGE, {"axis": [3, 2], "epsilon": 0.1}, unknown=(0, 1)),
    Case("UnitNormalization", ROWS),
    Case("UnitNormalization", IMAGE, {"axis": (1, 2)}, unknown=(0, 1)),
    # A kernel that is assigned while it trains has one derivative on JAX, another on TensorFlow.
    Case(
        SPECTRAL, ROWS,
        {"layer": Of(lambda keras: keras.layers.Dense(3, name="in"))},
        random=True,
    ),
    Case(
        SPECTRAL, IMAGE,
        {"layer": Of(lambda keras: keras.layers.Conv2D(3, 2, name="in")), "power_iterations": 3},
        random=True,
    ),
]  # fmt: skip


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("axis", [1, [1, 2], (0, 3)])
def test_root_mean_square_over_inner_axes(axis: object) -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 6)).astype("float32")
    layer = keras.layers.RMSNormalization(axis=axis)
    layer.build(x.shape)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    scale = np.random.default_rng(1).uniform(1, 2, [x.shape[each] for each in axes])
    layer.scale.assign(scale)
    spread = scale.reshape([x.shape[each] if each in axes else 1 for each in range(4)])
    wanted = x / np.sqrt((x**2).mean(axes, keepdims=True) + 1e-6) * spread
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-5)


def test_spectral_normalization_makes_the_greatest_singular_value_one() -> None:
    layer = keras.layers.SpectralNormalization(keras.layers.Dense(5), power_iterations=300)
    x = np.random.default_rng(0).standard_normal((4, 7)).astype("float32")
    layer(x, training=True)
    values = np.linalg.svd(layer.layer.kernel.numpy(), compute_uv=False)
    assert abs(values[0] - 1) < 1e-3


@pytest.mark.parametrize(
    ("name", "settings", "shape", "match"),
    [
        ("BatchNormalization", {"axis": 1}, (2, None, 3), "None"),
        ("BatchNormalization", {"axis": 5}, (2, 3), "axis|index"),
        ("BatchNormalization", {"renorm": True, "renorm_clipping": {"r": 1}}, (2, 3), "keys"),
        (
            "BatchNormalization",
            {"renorm": True, "renorm_clipping": {"rmax": 1.0, "rmin": 2.0}},
            (2, 3),
            "rmax should be greater than rmin",
        ),
        (
            "BatchNormalization",
            {"renorm": True, "renorm_clipping": {"dmax": -1.0}},
            (2, 3),
            "dmax should be non-negative",
        ),
        ("LayerNormalization", {"axis": "1"}, (2, 3), "axis"),
        ("UnitNormalization", {"axis": 1.5}, (2, 3), "axis"),
        ("GroupNormalization", {"groups": 0}, (2, 3), "groups"),
        ("GroupNormalization", {"groups": 4}, (2, 3), "cannot be more than"),
        ("GroupNormalization", {"groups": 2}, (2, 3), "must be a multiple"),
        ("GroupNormalization", {"groups": 2}, (2, None), "defined dimension"),
    ],
)
def test_bad_settings_are_refused(name: str, settings: dict, shape: tuple, match: str) -> None:
    with pytest.raises((ValueError, TypeError, IndexError), match=match):
        getattr(keras.layers, name)(**settings).build(shape)

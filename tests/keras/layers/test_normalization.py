"""The contract of the normalisations."""

from collections.abc import Callable

from tests.keras.layers.contract import Case, Of, checks

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
    Case("BatchNormalization", STEPS, {"moving_mean_initializer": "ones", "synchronized": True}),
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
    Case("RMSNormalization", STEPS, {"axis": 1, "epsilon": 0.1}),
    Case("RMSNormalization", IMAGE, {"axis": [1, 2]}),
    Case("UnitNormalization", ROWS),
    Case("UnitNormalization", IMAGE, {"axis": (1, 2)}, unknown=(0, 1)),
    Case(SPECTRAL, ROWS, {"layer": Of(lambda keras: keras.layers.Dense(3, name="in"))}),
    Case(
        SPECTRAL,
        IMAGE,
        {"layer": Of(lambda keras: keras.layers.Conv2D(3, 2, name="in")), "power_iterations": 3},
    ),
]


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()

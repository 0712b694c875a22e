"""Several steps of every optimizer, with every argument, against real Keras on the same numbers."""

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras import naming, optimizers
from thalweg.keras.variable import Variable

SHAPES = {"dense/kernel": (4, 3), "dense/bias": (3,), "scale": (), "conv/kernel": (2, 3, 4)}
STEPS = 5

OWN = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"rho": 0.8, "momentum": 0.5}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "epsilon": 1e-3}),
    ("Adam", {}),
    ("Adam", {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4, "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True}),
    ("Adamax", {}),
    ("Adamax", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Nadam", {}),
    ("Nadam", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Adagrad", {}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "epsilon": 1e-3}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "epsilon": 1e-3}),
    ("Adafactor", {}),
    ("Adafactor", {"beta_2_decay": -0.5, "clip_threshold": 0.5, "relative_step": False}),
    ("Adafactor", {"learning_rate": 0.9, "epsilon_1": 1e-8, "epsilon_2": 0.1}),
    ("Ftrl", {}),
    (
        "Ftrl",
        {
            "learning_rate_power": -0.7,
            "initial_accumulator_value": 0.3,
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03,
            "beta": 0.1,
        },
    ),
    ("Lion", {}),
    ("Lion", {"beta_1": 0.5, "beta_2": 0.7}),
    ("Lamb", {}),
    ("Lamb", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Muon", {}),
    ("Muon", {"nesterov": False, "rms_rate": None, "weight_decay": None, "ns_steps": 2}),
    ("Muon", {"exclude_layers": ["dense"], "adam_lr_ratio": 0.5, "adam_weight_decay": 0.1}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"warmup_steps": 4, "beta_2": 0.9, "weight_decay": 0.1}),
]

COMMON = [
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.7},
    {"use_ema": True, "ema_momentum": 0.6},
    {"use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 3},
    {"loss_scale_factor": 8.0},
    {"gradient_accumulation_steps": 3},
    {
        "gradient_accumulation_steps": 2,
        "use_ema": True,
        "ema_momentum": 0.5,
        "ema_overwrite_frequency": 2,
        "weight_decay": 0.1,
        "clipnorm": 0.4,
    },
]


def data(seed=0):
    random = np.random.default_rng(seed)
    weights = [random.normal(size=shape).astype("float32") for shape in SHAPES.values()]
    gradients = [
        [random.normal(size=shape).astype("float32") for shape in SHAPES.values()]
        for _ in range(STEPS)
    ]
    return weights, gradients


def made(module, scope, weights, dtype="float32"):
    """Variables of the model, made by either package."""
    variables = []
    for path, weight in zip(SHAPES, weights, strict=True):
        *folder, name = path.split("/")
        if folder:
            with scope(folder[0]):
                variables.append(module(weight, dtype=dtype, name=name))
        else:
            variables.append(module(weight, dtype=dtype, name=name))
    return variables


def of_real(optimizer, weights, gradients):
    variables = made(real.Variable, real.name_scope, weights)
    if not optimizer.gradient_accumulation_steps:
        for each in gradients:
            optimizer.apply([real.ops.convert_to_tensor(g) for g in each], variables)
        return variables
    # Branches outside of a jitted function are compiled at every step.
    optimizer.build(variables)
    step = jax.jit(optimizer.stateless_apply)
    values = [each.value for each in variables]
    own = [each.value for each in optimizer.variables]
    for each in gradients:
        values, own = step(own, each, values)
    for variable, value in zip([*variables, *optimizer.variables], [*values, *own], strict=True):
        variable.assign(value)
    return variables


def of_ours(optimizer, weights, gradients, dtype="float32", traced=True):
    variables = made(Variable, naming.name_scope, weights, dtype)

    def step(*given):
        optimizer.apply(given, variables)

    run = tw.function(step) if traced else step
    for each in gradients:
        run(*(None if g is None else tw.asarray(g, dtype=dtype) for g in each))
    return variables


def compare(ours, theirs, optimizer, other, rtol=2e-5, atol=2e-6):
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            np.float32(mine.numpy()), np.float32(wanted.value), rtol, atol, err_msg=mine.path
        )
    for mine, wanted in zip(optimizer.variables, other.variables, strict=True):
        # Each package counts its unnamed variables by itself.
        if not wanted.name.startswith("variable"):
            assert (mine.name, mine.shape, str(mine.dtype)) == (
                wanted.name,
                wanted.shape,
                str(wanted.dtype),
            )
        np.testing.assert_allclose(
            np.float32(mine.numpy()), np.float32(wanted.value), rtol, atol, err_msg=mine.path
        )


def both(name, settings):
    return getattr(optimizers, name)(**settings), getattr(real.optimizers, name)(**settings)


@pytest.mark.parametrize(("name", "settings"), OWN, ids=lambda value: str(value))
def test_every_optimizer(name, settings):
    weights, gradients = data()
    optimizer, other = both(name, {"learning_rate": 0.05, **settings})
    theirs = of_real(other, weights, gradients)
    compare(of_ours(optimizer, weights, gradients), theirs, optimizer, other)
    # The formula too, not its limits only: the variables have moved in every element.
    for before, after in zip(weights, theirs, strict=True):
        assert np.all(before != np.asarray(after.value))


@pytest.mark.parametrize("common", COMMON, ids=lambda value: str(value))
@pytest.mark.parametrize("name", ["Adam", "Muon"])
def test_common_arguments(name, common):
    weights, gradients = data(1)
    optimizer, other = both(name, {"learning_rate": 0.05, **common})
    theirs = of_real(other, weights, gradients)
    compare(of_ours(optimizer, weights, gradients), theirs, optimizer, other)


@pytest.mark.parametrize("name", sorted({name for name, _ in OWN}))
def test_outside_of_a_trace(name):
    weights, gradients = data(2)
    common = {"clipnorm": 1.0, "gradient_accumulation_steps": 2, "weight_decay": 0.01}
    optimizers_ = [getattr(optimizers, name)(**common, name="same") for _ in range(2)]
    first = of_ours(optimizers_[0], weights, gradients, traced=False)
    second = of_ours(optimizers_[1], weights, gradients)
    for mine, other in zip(
        [*first, *optimizers_[0].variables], [*second, *optimizers_[1].variables], strict=True
    ):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), 1e-6, 1e-7)

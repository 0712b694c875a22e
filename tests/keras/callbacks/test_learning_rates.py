"""Callbacks that set learning rates, with one optimizer and with several, beside real Keras."""

import numpy as np
import pytest
from tests.keras.layers.contract import quiet
from tests.keras.oracle import keras as real

from thalweg import keras

X, Y = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")


def several(package, first="a", second="b"):
    optimizers = package.optimizers
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.SGD(0.01, name=second), {".*first/.*": optimizers.SGD(0.1, name=first)}
        )
    )


def scaled(package):
    # A scale of 1, so that no step is skipped while the scale is being found.
    return package.optimizers.LossScaleOptimizer(
        package.optimizers.SGD(0.1, name="a"), initial_scale=1.0
    )


def course(package, optimizer, make):
    """What a callback leaves in the history and says, and the rates in the end."""
    layers = package.layers
    settings = {"kernel_initializer": "ones", "use_bias": False}
    model = package.Sequential(
        [
            package.Input((1,)),
            layers.Dense(2, name="first", **settings),
            layers.Dense(1, name="second", **settings),
        ]
    )
    model.compile(optimizer, "mse")
    with quiet():
        history = model.fit(
            X, Y, epochs=3, shuffle=False, verbose=0, callbacks=[make(package.callbacks)]
        )
    return {name: values for name, values in history.history.items() if name != "loss"}


CALLBACKS = {
    "of the rate": lambda c: c.LearningRateScheduler(lambda _, rate: rate * 0.5, verbose=1),
    "of the epoch": lambda c: c.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch), verbose=1),
    "plateau": lambda c: c.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, mode="max", verbose=1, min_lr=0.008
    ),
}


@pytest.mark.parametrize("make", CALLBACKS.values(), ids=CALLBACKS)
@pytest.mark.parametrize("optimizer", [several, scaled])
def test_as_real_keras(optimizer, make, capsys):
    found = []
    for package in (keras, real):
        history = course(package, optimizer(package), make)
        found.append((history, capsys.readouterr().out.replace("\n", "")))
    (ours, said), (theirs, theirs_said) = found
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    assert said == theirs_said


def test_optimizers_of_one_name_are_told_apart():
    ours = course(keras, several(keras, "a", "a"), CALLBACKS["of the rate"])
    assert list(ours) == ["learning_rate_a", "learning_rate_a_1"]
    np.testing.assert_allclose(ours["learning_rate_a_1"], [0.005, 0.0025, 0.00125], rtol=1e-6)


@pytest.mark.parametrize("make", CALLBACKS.values(), ids=CALLBACKS)
def test_a_schedule_within_several_is_refused(make):
    optimizers = keras.optimizers
    decay = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    within = optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(decay)))
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        course(keras, within, make)


def test_the_curve_of_several_rates_is_drawn_last():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    optimizer = several(keras)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="first")])
    model.compile(optimizer, "mse")
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    figure = model.fit(X, Y, verbose=0, callbacks=[schedule]).plot()
    assert len(figure.axes) == 3
    pyplot.close(figure)

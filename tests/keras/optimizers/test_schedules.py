"""Learning-rate schedules against real Keras over whole runs of steps, in and out of a trace."""

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError
from thalweg.keras import optimizers
from thalweg.keras.optimizers import schedules
from thalweg.keras.variable import Variable

CASES = [
    ("ExponentialDecay", (0.1, 10, 0.9)),
    ("ExponentialDecay", (0.1, 7, 0.5, True)),
    ("InverseTimeDecay", (0.1, 10, 0.9)),
    ("InverseTimeDecay", (0.1, 7, 0.5, True)),
    ("PolynomialDecay", (0.1, 20)),
    ("PolynomialDecay", (0.1, 20, 0.01, 2.0)),
    ("PolynomialDecay", (0.1, 8, 0.01, 0.5, True)),
    ("PiecewiseConstantDecay", ([3, 9, 21], [1.0, 0.5, 0.25, 0.1])),
    ("PiecewiseConstantDecay", ([3.0, 9.0], [3, 2, 1])),
    ("CosineDecay", (0.1, 20)),
    ("CosineDecay", (0.01, 15, 0.1, "warm", 0.2, 5)),
    ("CosineDecayRestarts", (0.1, 4)),
    ("CosineDecayRestarts", (0.1, 4, 1.0, 0.9, 0.1)),
    ("CosineDecayRestarts", (0.1, 5, 1.5, 0.8)),
    ("CosineDecayRestarts", (0.1, 3, 3.0)),
]
STEPS = range(40)

# Real Keras' variables with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda value: str(value))
def test_every_step(name, arguments):
    schedule = getattr(schedules, name)(*arguments)
    other = getattr(real.optimizers.schedules, name)(*arguments)
    wanted = np.asarray(real.ops.vectorized_map(other, real.ops.arange(len(STEPS))))
    np.testing.assert_allclose([float(schedule(step)) for step in STEPS], wanted, 2e-5, 1e-7)
    counter = Variable(0, dtype="int32", trainable=False)

    @tw.function
    def step():
        rate = schedule(counter)
        counter.assign_add(1)
        return rate

    np.testing.assert_allclose([float(step()) for _ in STEPS], wanted, 2e-5, 1e-7)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda value: str(value))
def test_config(name, arguments):
    schedule = getattr(schedules, name)(*arguments)
    other = getattr(real.optimizers.schedules, name)(*arguments)
    assert schedule.get_config() == other.get_config()
    written = schedules.serialize(schedule)
    assert written == real.optimizers.schedules.serialize(other)
    again = schedules.deserialize(written)
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()


def test_rates_of_other_types():
    assert schedules.ExponentialDecay(1, 10, 0.5)(10).dtype.name == "float32"
    rate = Variable(0.5, dtype="float64")
    found = schedules.PolynomialDecay(rate, 4)(2)
    assert found.dtype.name == "float64"
    np.testing.assert_allclose(float(found), 0.5 * (0.5 + 1e-4), 1e-12)
    assert float(schedules.PiecewiseConstantDecay([], [0.25])(7)) == 0.25


def test_whole_steps_stay_apart_beyond_the_floats():
    schedule = schedules.PiecewiseConstantDecay([2**24], [1.0, 2.0])
    assert [float(schedule(2**24 + more)) for more in (0, 1)] == [1.0, 2.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.ExponentialDecay(0.1, 0, 0.5),
        lambda: schedules.InverseTimeDecay(0.1, -1, 0.5),
        lambda: schedules.PolynomialDecay(0.1, 0),
        lambda: schedules.CosineDecay(0.1, 0),
        lambda: schedules.CosineDecayRestarts(0.1, 0),
        lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(ArgumentError, match=r"must be > 0|should be 1 less"):
        make()


def test_own_schedule():
    class Half(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 1.0 / (2 + 0 * tw.astype(tw.asarray(step), "float32"))

    x = Variable([1.0, 2.0])
    optimizer = optimizers.SGD(Half())
    optimizer.apply([np.ones(2, "float32")], [x])
    np.testing.assert_allclose(x.numpy(), [0.5, 1.5])
    assert [each.name for each in optimizer.variables] == ["iteration"]
    with pytest.raises(NotImplementedError, match="must override `get_config"):
        Half().get_config()
    with pytest.raises(NotImplementedError, match="must override `__call__"):
        schedules.LearningRateSchedule()(0)


def test_a_schedule_drives_an_optimizer():
    """It counts all calls, also those that only add gradients up."""
    arguments = {"gradient_accumulation_steps": 2, "weight_decay": 0.1}
    ours = optimizers.SGD(schedules.InverseTimeDecay(0.5, 2, 1.0), **arguments)
    theirs = real.optimizers.SGD(
        real.optimizers.schedules.InverseTimeDecay(0.5, 2, 1.0), **arguments
    )
    x, y = Variable([1.0, 2.0]), real.Variable([1.0, 2.0])
    theirs.build([y])
    apply_theirs = jax.jit(theirs.stateless_apply)
    own, values = [each.value for each in theirs.variables], [y.value]

    @tw.function
    def step(gradient):
        ours.apply([gradient], [x])

    for gradient in np.random.default_rng(0).normal(size=(6, 2)).astype("float32"):
        step(gradient)
        values, own = apply_theirs(own, [gradient], values)
        np.testing.assert_allclose(x.numpy(), np.asarray(values[0]), 1e-6)
    assert float(ours.learning_rate) == pytest.approx(0.5 / 4)

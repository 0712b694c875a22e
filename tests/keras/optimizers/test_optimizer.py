"""What all optimizers have in common: building, missing gradients, state, saving, errors."""

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError
from thalweg.ir.walk import postorder
from thalweg.keras import naming, optimizers
from thalweg.keras.optimizers.optimizer import Optimizer
from thalweg.keras.optimizers.state import ForgottenInitError
from thalweg.keras.variable import Variable

# Real Keras' variables with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = [
    "SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta", "Adafactor",
    "Ftrl", "Lion", "Lamb", "Muon", "ScheduleFreeAdamW",
]  # fmt: skip


def ones(*shape):
    return np.ones(shape, "float32")


# Building and tracing -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_built_within_the_step(name):
    """The first call, which is traced, makes the variables; the graph does not make them again."""
    make = getattr(optimizers, name)
    weights = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    within, before = [make(0.1, use_ema=True, name="same") for _ in range(2)]
    x, y = Variable(weights, name="x"), Variable(weights, name="x")
    before.build([y])

    @tw.function
    def step(gradient):
        within.apply([gradient], [x])
        before.apply([gradient], [y])

    for _ in range(3):
        step(ones(3, 2))
    np.testing.assert_array_equal(x.numpy(), y.numpy())
    for mine, other in zip(within.variables, before.variables, strict=True):
        # The automatic name of an unnamed one counts on.
        assert mine.path == other.path or mine.name.startswith("variable")
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


def test_one_step_is_one_trace_with_few_nodes():
    """What is the same for all variables is computed once: 40 variables cost 40 updates only."""

    def nodes(count):
        variables = [Variable(ones(3), name=f"x{index}") for index in range(count)]
        optimizer = optimizers.Adam(
            optimizers.schedules.CosineDecay(0.1, 10), weight_decay=0.1, name="adam"
        )
        optimizer.build(variables)

        @tw.function
        def step(gradients):
            optimizer.apply(gradients, variables)

        gradients = [ones(3)] * count
        step(gradients)
        return len(postorder(step.trace(gradients).results))

    few, many = nodes(1), nodes(41)
    assert (many - few) / 40 < 30


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_element_types(name, dtype):
    weights = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    gradients = np.random.default_rng(2).normal(size=(4, 4, 3)).astype("float32")
    found = {}
    for kind in (dtype, "float32"):
        x = Variable(weights, dtype=kind, name="x")
        optimizer = (
            getattr(optimizers, name)(0.05, weight_decay=0.1, epsilon=1e-3)
            if hasattr(getattr(optimizers, name)(), "epsilon")
            else getattr(optimizers, name)(0.05, weight_decay=0.1)
        )
        optimizer.build([x])
        for gradient in gradients:
            optimizer.apply([tw.asarray(gradient, dtype=kind)])
        assert all(str(each.dtype) in (kind, "float32", "int32") for each in optimizer.variables)
        found[kind] = x.numpy().astype("float64")
    tolerance = {"bfloat16": 0.06, "float16": 0.01, "float64": 1e-5}[dtype]
    np.testing.assert_allclose(found[dtype], found["float32"], tolerance, tolerance)


def test_gradients_of_another_element_type():
    x = Variable([1.0, 2.0])
    optimizers.SGD(0.5).apply([np.array([1.0, 2.0])], [x])
    assert x.dtype == "float32"
    np.testing.assert_allclose(x.numpy(), [0.5, 1.0])


def test_variables_of_the_engine():
    x = tw.Variable([1.0, 2.0], name="x")
    optimizer = optimizers.SGD(0.5, momentum=0.5)
    optimizer.apply([ones(2)], [x])
    np.testing.assert_allclose(x.numpy(), [0.5, 1.5])
    assert optimizer.variables[2].path == f"{optimizer.name}/x_momentum"


# Gradients ----------------------------------------------------------------------------------------


def test_missing_gradients():
    x, y = Variable([1.0], name="x"), Variable([1.0], name="y")
    optimizer = optimizers.SGD(0.5, use_ema=True)
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['y'\]") as seen:
        optimizer.apply([ones(1), None], [x, y])
    assert seen[0].filename == __file__
    assert (float(x.value[0]), float(y.value[0])) == (0.5, 1.0)
    with pytest.raises(ValueError, match=r"No gradients provided for any variable."):
        optimizer.apply([None, None], [x, y])
    assert optimizer.apply([], []) is None
    assert int(optimizer.iterations) == 1


def test_some_of_the_variables():
    x, y = Variable([1.0]), Variable([1.0])
    optimizer = optimizers.Adam(0.5)
    optimizer.build([x, y])
    optimizer.apply([ones(1)], [y])
    assert float(x.value[0]) == 1.0
    assert float(y.value[0]) == pytest.approx(0.5, 1e-4)
    np.testing.assert_array_equal(optimizer.variables[2].numpy(), [0.0])


def test_constraints_come_last():
    x = Variable([1.0, -1.0])
    x.constraint = lambda value: tw.maximum(value.value, 0.0)
    optimizer = optimizers.SGD(1.0)
    optimizer.apply([np.array([0.5, 0.5], "float32")], [x])
    np.testing.assert_allclose(x.numpy(), [0.5, 0.0])


@pytest.mark.parametrize("steps", [None, 2])
def test_overwrite_with_gradient(steps):
    arguments = {"momentum": 0.5, "gradient_accumulation_steps": steps, "loss_scale_factor": 4.0}
    optimizer, other = optimizers.SGD(0.5, **arguments), real.optimizers.SGD(0.5, **arguments)
    pairs = [
        (Variable(value, name=name), real.Variable(value, name=name))
        for name, value in (("x", [1.0, 2.0]), ("y", [3.0, 4.0]))
    ]
    for each in pairs[0]:
        each.overwrite_with_gradient = True
    mine, theirs = [list(each) for each in zip(*pairs, strict=True)]
    other.build(theirs)
    step = jax.jit(other.stateless_apply)
    values, own = [each.value for each in theirs], [each.value for each in other.variables]
    for gradients in np.random.default_rng(0).normal(size=(5, 2, 2)).astype("float32"):
        optimizer.apply(list(gradients), mine)
        values, own = step(own, list(gradients), values)
        for variable, value in zip([*mine, *optimizer.variables], [*values, *own], strict=True):
            np.testing.assert_allclose(variable.numpy(), np.asarray(value), 1e-6)
    assert [v.path for v in optimizer.variables] == [
        v.path.replace(other.name, optimizer.name) for v in other.variables
    ]


def test_only_overwritten_variables():
    x = Variable([1.0])
    x.overwrite_with_gradient = True
    optimizer = optimizers.Adafactor()
    optimizer.apply([np.array([5.0], "float32")], [x])
    assert float(x.value[0]) == 5.0
    assert int(optimizer.iterations) == 1


def test_clipping_of_extreme_gradients():
    optimizer = optimizers.SGD(global_clipnorm=1.0)
    big, none, small = optimizer._clip_gradients(
        [tw.asarray([3e4, 4e4], dtype="float16"), None, tw.asarray([0.0])]
    )
    assert none is None
    np.testing.assert_allclose(big.numpy().astype("float32"), [0.6, 0.8], 1e-2)
    assert big.dtype.name == "float16"
    assert float(small[0]) == 0.0
    found = optimizer._clip_gradients([tw.asarray([1.0, np.inf])])[0].numpy()
    assert np.isnan(found).all()
    zero = optimizers.SGD(clipnorm=1.0)._clip_gradients([tw.zeros(3)])[0]
    np.testing.assert_array_equal(zero.numpy(), np.zeros(3))


def test_exclusion_from_weight_decay():
    kernel, bias, other = [Variable([2.0], name=name) for name in ("kernel", "bias", "other")]
    optimizer = optimizers.AdamW(1.0, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=[other], var_names=["bias"])
    optimizer.apply([np.zeros(1, "float32")] * 3, [kernel, bias, other])
    np.testing.assert_allclose(
        [float(each.value[0]) for each in (kernel, bias, other)], [1.8, 2.0, 2.0], 1e-6
    )


# State --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("name", NAMES)
def test_stateless_apply(name, steps):
    arguments = {"use_ema": True, "ema_overwrite_frequency": 2, "clipnorm": 1.0, "name": "same"}
    optimizer, other = [
        getattr(optimizers, name)(0.1, gradient_accumulation_steps=steps, **arguments)
        for _ in range(2)
    ]
    weights = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    x, y = Variable(weights, name="x"), Variable(weights, name="x")
    optimizer.build([x])
    own = [each.value for each in optimizer.variables]
    values = [x.value]

    @tw.function
    def step(own, gradients, values):
        return optimizer.stateless_apply(own, gradients, values)

    for gradient in np.random.default_rng(1).normal(size=(4, 3, 2)).astype("float32"):
        values, own = step(own, [gradient], values)
        other.apply([gradient], [y])
    np.testing.assert_array_equal(x.numpy(), weights)
    assert int(optimizer.iterations) == 0
    np.testing.assert_allclose(values[0].numpy(), y.numpy(), 1e-5, 1e-6)
    for value, variable in zip(own, other.variables, strict=True):
        np.testing.assert_allclose(value.numpy(), variable.numpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_saving_and_loading(name):
    arguments = {"use_ema": True, "gradient_accumulation_steps": 2}
    optimizer, fresh = [getattr(optimizers, name)(0.1, **arguments) for _ in range(2)]
    weights, gradients = ones(3, 2), np.random.default_rng(1).normal(size=(6, 3, 2))
    x = Variable(weights, name="x")
    for gradient in gradients[:3]:
        optimizer.apply([gradient], [x])
    store: dict = {}
    optimizer.save_own_variables(store)
    assert list(store) == [str(number) for number in range(len(optimizer.variables))]
    y = Variable(x.numpy(), name="x")
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        fresh.load_own_variables(store)
    fresh.build([y])
    fresh.load_own_variables(store)
    for gradient in gradients[3:]:
        optimizer.apply([gradient], [x])
        fresh.apply([gradient], [y])
    np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_set_weights():
    x = Variable([1.0, 2.0])
    first, second = optimizers.Adam(), optimizers.Adam()
    first.apply([ones(2)], [x])
    with pytest.raises(ValueError, match="You are calling `set_weights"):
        second.set_weights(first.variables)
    second.build([x])
    second.set_weights(first.variables)
    for mine, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
    with pytest.raises(ValueError, match="4 weights"):
        second.set_weights([0])
    with pytest.raises(ShapeError, match="not compatible"):
        second.set_weights([0, 0.1, ones(3), ones(2)])


def test_averages_at_the_end():
    x, y = Variable([1.0], name="x"), Variable([4.0], name="y")
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    optimizer.build([x, y])
    for _ in range(2):
        optimizer.apply([ones(1)], [x])
    optimizer.finalize_variable_values([x, y])
    # x went from 1 to 0 to -1; the average starts at the value after the first step.
    assert (float(x.value[0]), float(y.value[0])) == (-0.5, 4.0)
    with pytest.raises(ArgumentError, match="the 2 variables"):
        optimizer.finalize_variable_values([x])


def test_learning_rate_can_be_set():
    optimizer = optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    schedule = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    optimizer.learning_rate = schedule
    assert [each.name for each in optimizer.variables] == ["iteration"]
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        optimizer.learning_rate = 0.3
    optimizer.learning_rate = lambda: 0.7
    assert optimizer.learning_rate == 0.7
    with pytest.raises(ArgumentTypeError, match="not settable"):
        optimizer.learning_rate = 0.3


# Own optimizers -----------------------------------------------------------------------------------


class Sum(Optimizer):
    """Keeps variables in every way that a program may."""

    def __init__(self, learning_rate=0.5, **arguments):
        super().__init__(learning_rate, **arguments)
        self.count = Variable(0, dtype="int32", name="count")
        self.pair = {"low": Variable(0.0, name="low")}

    def build(self, variables):
        super().build(variables)
        self.sums = []
        for variable in variables:
            self.sums.append(Variable(ones(*variable.shape), name="sum"))
        self.slots = [self.add_variable_from_reference(each, "slot") for each in variables]
        self.given = variables

    def update_step(self, gradient, variable, learning_rate):
        total = self.sums[self._get_variable_index(variable)]
        self.assign_add(total, gradient)
        self.assign_sub(variable, learning_rate * total)


def test_own_optimizer():
    x = Variable([1.0, 2.0], name="x")
    optimizer = Sum(0.5, name="own")
    optimizer.apply([ones(2)], [x])
    np.testing.assert_allclose(x.numpy(), [0.0, 1.0])
    names = [each.name for each in optimizer.variables]
    assert sorted(names) == ["count", "iteration", "learning_rate", "low", "sum", "x_slot"]
    assert names[:4] == ["iteration", "learning_rate", "count", "low"]
    again = Sum.from_config(optimizer.get_config())
    assert again.name == "own"
    assert float(again.learning_rate) == 0.5


def test_multipliers_of_the_learning_rate():
    """A subclass may change the rate for some variables; shared scalars follow it."""

    class Slower(optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            factor = 0.5 if variable.name == "slow" else 1.0
            super().update_step(gradient, variable, learning_rate * factor)

    slow, fast = Variable([1.0], name="slow"), Variable([1.0], name="fast")
    Slower(0.5).apply([ones(1), ones(1)], [slow, fast])
    np.testing.assert_allclose([slow.numpy()[0], fast.numpy()[0]], [0.75, 0.5], 1e-5)


def test_own_optimizer_without_super():
    class Forgetful(Optimizer):
        def __init__(self):
            self.rate = 0.1

    with pytest.raises(RuntimeError, match="you forgot to call `super") as error:
        Forgetful()
    assert isinstance(error.value, ForgottenInitError)
    with pytest.raises(NotImplementedError, match="its own update_step"):
        Optimizer(0.1).apply([ones(1)], [Variable([1.0])])


def test_several_initializers():
    x = Variable(ones(2), name="x")
    optimizer = optimizers.SGD(name="sgd")
    low, high = optimizer.add_optimizer_variables([x], ["low", "high"], ["zeros", "ones"])
    assert (low[0].path, high[0].path) == ("sgd/x_low", "sgd/x_high")
    np.testing.assert_array_equal(high[0].numpy(), ones(2))
    assert optimizer.add_optimizer_variables([x], "more", "ones")[0].numpy().tolist() == [1, 1]
    with pytest.raises(ValueError, match="number of provided names must match"):
        optimizer.add_optimizer_variables([x], ["a", "b"], ["zeros"])
    plain = optimizer.add_variable((2,), name="plain")
    assert (plain.path, plain.dtype, plain.trainable) == ("sgd/plain", "float32", False)


def test_names_within_a_scope():
    with naming.name_scope("outer"):
        optimizer = optimizers.SGD(name="sgd")
    assert optimizer.variables[0].path == "outer/sgd/iteration"


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: optimizers.SGD(1),
            r"`learning_rate` should be float.*\n.*\nWrite learning_rate=1.0",
        ),
        (lambda: optimizers.SGD("0.1"), r"Received learning_rate='0.1' of str"),
        (lambda: optimizers.SGD(momentum=2.0), r"`momentum` must be a float between \[0, 1\]"),
        (lambda: optimizers.SGD(moment=0.9), r"Argument\(s\) not recognized: {'moment': 0.9}"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), "an integer >= 2"),
        (lambda: optimizers.SGD(use_ema=True, ema_momentum=2.0), r"in the range \[0, 1\]"),
        (
            lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=2.5),
            "`ema_overwrite_frequency`",
        ),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "Only one of `clipnorm`"),
        (lambda: optimizers.AdamW(weight_decay=None), "`weight_decay` must be a float"),
        (lambda: optimizers.Lion(beta_1=0.0), "degenerates to SignSGD"),
        (
            lambda: optimizers.Ftrl(beta=0.0, learning_rate_power=0.5),
            "^`learning_rate_power` needs",
        ),
        (lambda: optimizers.SGD().apply([ones(1)]), "Call optimizer.build"),
        (lambda: optimizers.SGD().stateless_apply([], [], []), "must be built"),
        (lambda: optimizers.Muon().zeropower_via_newtonschulz5(ones(3), 5), "at least 2 dim"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_old_arguments():
    with pytest.warns(UserWarning, match="`decay` is no longer supported"):
        optimizers.SGD(decay=0.1)


def test_bad_gradients():
    x, y = Variable(ones(2, 3), name="x"), Variable(ones(3), name="y")
    optimizer = optimizers.SGD()
    optimizer.build([x])
    with pytest.raises(ArgumentError, match="Unknown variable: y"):
        optimizer.apply([ones(3)], [y])
    with pytest.raises(ArgumentError, match="2 gradients for 1"):
        optimizer.apply([ones(3), ones(3)])
    with pytest.raises(ArgumentError, match="1 gradients for 2"):
        optimizers.SGD().apply([ones(3)], [x, y])
    with pytest.raises(ShapeError, match=r"a gradient of shape \(2, 3\) for x.*\n.*\(3, 2\)"):
        optimizer.apply([ones(3, 2)])
    with pytest.raises(ArgumentError, match="list with length 1"):
        optimizer.stateless_apply([0], [ones(2, 3)], [ones(2, 3)])
    with pytest.raises(ArgumentError, match="list with length 0"):
        optimizer.stateless_apply([0, 0.1], [ones(2, 3)], [])

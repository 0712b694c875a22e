"""LossScaleOptimizer and MultiOptimizer, against real Keras where it can do the same."""

import jax
import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, ArgumentTypeError
from thalweg.keras import naming, optimizers
from thalweg.keras.variable import Variable

# Real Keras' variables with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def pair(module, variable, scope):
    with scope("dense"):
        kernel = variable(np.full((2, 3), 2.0, "float32"), name="kernel")
    return [kernel, variable(np.ones(3, "float32"), name="bias")]


def ours_and_theirs(make):
    return (
        make(optimizers),
        make(real.optimizers),
        pair(optimizers, Variable, naming.name_scope),
        pair(real, real.Variable, real.name_scope),
    )


def gradients(steps, bad=()):
    random = np.random.default_rng(0)
    for step in range(steps):
        found = [random.normal(size=shape).astype("float32") for shape in ((2, 3), (3,))]
        if step in bad:
            found[step % 2][0] = np.inf if step % 3 else np.nan
        yield [8 * each for each in found]


# Loss scale ---------------------------------------------------------------------------------------

INNER = [
    lambda module: module.SGD(0.1, momentum=0.5),
    lambda module: module.AdamW(0.1, use_ema=True, ema_overwrite_frequency=2),
    lambda module: module.RMSprop(0.1, gradient_accumulation_steps=2, clipnorm=1.0),
]


@pytest.mark.parametrize("inner", INNER)
def test_loss_scale(inner):
    optimizer, other, mine, theirs = ours_and_theirs(
        lambda module: module.LossScaleOptimizer(inner(module), 8.0, dynamic_growth_steps=3)
    )
    optimizer.build(mine)
    other.build(theirs)
    own = [each.value for each in other.variables]
    values = [each.value for each in theirs]
    apply_theirs = jax.jit(other.stateless_apply)

    @tw.function
    def step(given):
        optimizer.apply(given, mine)
        return optimizer.scale_loss(1.0)

    for given in gradients(9, bad=(2, 6, 7)):
        scale = step(given)
        values, own = apply_theirs(own, given, values)
        for variable, value in zip([*mine, *optimizer.variables], [*values, *own], strict=True):
            np.testing.assert_allclose(
                variable.numpy(), np.asarray(value), 2e-5, 2e-6, err_msg=variable.path
            )
        assert float(scale) == float(own[3])
    assert int(optimizer.iterations) == int(own[4]) // (
        optimizer.inner_optimizer.gradient_accumulation_steps or 1
    )
    assert [each.name for each in optimizer.variables] == [each.name for each in other.variables]


def test_loss_scale_stateless_and_outside_of_a_trace():
    optimizer, _, mine, _ = ours_and_theirs(
        lambda module: module.LossScaleOptimizer(module.Adam(0.1), 8.0, dynamic_growth_steps=2)
    )
    optimizer.build(mine)
    own, values = [v.value for v in optimizer.variables], [v.value for v in mine]
    steps = list(gradients(6, bad=(3,)))
    for given in steps:
        values, own = optimizer.stateless_apply(own, given, values)
    assert all(int(each.numpy().max()) in (1, 2) for each in mine)
    for given in steps:
        optimizer.apply(given)
    for value, variable in zip([*values, *own], [*mine, *optimizer.variables], strict=True):
        np.testing.assert_array_equal(value.numpy(), variable.numpy())


def test_loss_scale_keeps_overwritten_values():
    x = Variable([1.0])
    x.overwrite_with_gradient = True
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.5))
    optimizer.apply([np.array([5.0], "float32")], [x])
    assert float(x.value[0]) == 5.0


def test_loss_scale_before_it_is_built():
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.5, loss_scale_factor=3.0), 4.0)
    assert float(optimizer.scale_loss(2.0)) == 8.0
    assert optimizer.inner_optimizer.loss_scale_factor is None
    optimizer.learning_rate = 0.25
    assert float(optimizer.inner_optimizer.learning_rate) == 0.25
    assert float(optimizer.learning_rate) == 0.25
    with pytest.raises(ArgumentError, match=r"Call optimizer\.build"):
        optimizer.apply([np.ones(1)])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"dynamic": False}, "set `loss_scale_factor`"),
        ({"clipnorm": 0.5}, "on the `inner_optimizer`"),
        ({"use_ema": True}, "on the `inner_optimizer`"),
        ({"foo": 1, "bar": 2}, "arguments: `foo`, `bar`"),
    ],
)
def test_loss_scale_refuses(arguments, match):
    with pytest.raises(ValueError, match=match):
        optimizers.LossScaleOptimizer(optimizers.SGD(), **arguments)
    optimizers.LossScaleOptimizer(optimizers.SGD(), dynamic=True, clipnorm=None, ema_momentum=0.99)


# Several optimizers -------------------------------------------------------------------------------


def several(module):
    chosen = module.OptimizerMap(module.Adam(0.1), {".*kernel": module.SGD(0.5, momentum=0.5)})
    return module.MultiOptimizer(chosen, loss_scale_factor=4.0)


def test_several_optimizers():
    optimizer, other, mine, theirs = ours_and_theirs(several)

    @tw.function
    def step(given):
        optimizer.apply(given, mine)

    for given in gradients(4):
        step(given)
        other.apply([real.ops.convert_to_tensor(g) for g in given], theirs)
    pairs = zip([*mine, *optimizer.variables], [*theirs, *other.variables], strict=True)
    for variable, wanted in pairs:
        assert variable.name == wanted.name
        np.testing.assert_allclose(variable.numpy(), np.asarray(wanted.value), 1e-5, 1e-6)
    assert int(optimizer.iterations) == 4
    assert float(optimizer.scale_loss(2.0)) == 8.0
    optimizer.loss_scale_factor = None
    assert [each.loss_scale_factor for each in optimizer.optimizers] == [None, None]
    assert not hasattr(optimizer, "learning_rate")
    with pytest.raises(AttributeError, match="Learning rate cannot be set"):
        optimizer.learning_rate = 0.1


def test_several_optimizers_stateless():
    optimizer, _, mine, _ = ours_and_theirs(several)
    optimizer.build(mine)
    own, values = [v.value for v in optimizer.variables], [v.value for v in mine]
    steps = list(gradients(3))
    for given in steps:
        values, own = optimizer.stateless_apply(own, given, values)
    for given in steps:
        optimizer.apply(given)
    for value, variable in zip([*values, *own], [*mine, *optimizer.variables], strict=True):
        np.testing.assert_array_equal(value.numpy(), variable.numpy())


def test_several_optimizers_chosen_by_a_function():
    first, second = optimizers.SGD(0.5), optimizers.SGD(0.25, use_ema=True)
    x, y = Variable([1.0], name="x"), Variable([1.0], name="y")
    optimizer = optimizers.MultiOptimizer(lambda v: first if v.name == "x" else second)
    store: dict = {}
    for _ in range(2):
        optimizer.apply([np.ones(1, "float32")] * 2, [x, y])
    assert optimizer.optimizers == [first, second]
    assert (float(x.value[0]), float(y.value[0])) == (0.0, 0.5)
    optimizer.save_own_variables(store)
    weights = [each.numpy() for each in optimizer.variables]
    optimizer.finalize_variable_values([x, y])
    assert float(y.value[0]) == pytest.approx(0.7475)
    optimizer.apply([np.ones(1, "float32")] * 2, [x, y])
    optimizer.set_weights(weights)
    assert int(first.iterations) == 2
    optimizer.load_own_variables(store)
    assert int(optimizer.iterations) == 2


def test_several_optimizers_with_one_loss_scale():
    inner = optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.5), {"x": optimizers.SGD(0.25)})
    )
    optimizer = optimizers.LossScaleOptimizer(inner, 8.0)
    x, y = Variable([1.0], name="x"), Variable([1.0], name="y")
    optimizer.apply([np.full(1, 8.0, "float32")] * 2, [x, y])
    optimizer.apply([np.full(1, 8.0, "float32"), np.full(1, np.nan, "float32")], [x, y])
    assert (float(x.value[0]), float(y.value[0])) == (0.75, 0.5)
    assert float(optimizer.scale_loss(1.0)) == 4.0
    assert int(inner.iterations) == 1


def test_map():
    adam, sgd, rest = optimizers.Adam(), optimizers.SGD(), optimizers.Lion()
    chosen = optimizers.OptimizerMap(rest)
    chosen["encoder/.*"] = adam
    chosen["decoder"] = sgd
    assert chosen["encoder/dense"] is adam
    assert chosen["decoder"] is sgd
    assert chosen["decoder/dense"] is rest
    assert (len(chosen), list(chosen)) == (2, ["encoder/.*", "decoder"])
    chosen[".*/dense"] = sgd
    with pytest.raises(ValueError, match="Multiple optimizers assigned to variable encoder/dense"):
        chosen["encoder/dense"]
    del chosen[".*/dense"]
    assert chosen["encoder/dense"] is adam


@pytest.mark.parametrize(
    ("key", "optimizer", "match"),
    [
        ("taken", optimizers.SGD(), "already exists in the OptimizerMap"),
        (3, optimizers.SGD(), "key must be a string"),
        ("x", "sgd", "optimizer must be a Keras Optimizer instance"),
        ("x", optimizers.LossScaleOptimizer(optimizers.SGD()), "cannot be LossScaleOptimizer."),
        ("x", optimizers.MultiOptimizer(optimizers.SGD()), "cannot be MultiOptimizer."),
    ],
)
def test_map_refuses(key, optimizer, match):
    chosen = optimizers.OptimizerMap(optimizers.SGD(), {"taken": optimizers.SGD()})
    with pytest.raises(ArgumentError, match=match):
        chosen[key] = optimizer


def test_bad_maps():
    with pytest.raises(ArgumentTypeError, match="default_optimizer must be"):
        optimizers.OptimizerMap("sgd")
    with pytest.raises(ArgumentTypeError, match="optimizer_map must be a dictionary"):
        optimizers.OptimizerMap(optimizers.SGD(), ["x"])
    x = Variable([1.0], name="x")
    for bad in (optimizers.LossScaleOptimizer(optimizers.SGD()), "sgd"):
        with pytest.raises(ArgumentError, match=r"cannot be used inside|not an Optimizer instance"):
            optimizers.MultiOptimizer(lambda _, bad=bad: bad).build([x])

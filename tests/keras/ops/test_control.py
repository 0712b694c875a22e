"""Branches and loops: against real Keras, with state, traced, symbolic, and refused."""

import operator

import numpy as np
import pytest
from tests.keras.ops.gradients import close
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg import keras
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError
from thalweg.keras import random
from thalweg.keras.ops import core as ops
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import StatelessScope, Variable

theirs = real.ops
X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


# Values -------------------------------------------------------------------------------------------


def test_cond_runs_one_branch_where_the_choice_has_a_value():
    ran = []

    def branch(name):
        ran.append(name)
        return name == "a"

    for choice in (True, np.array(True), ops.convert_to_tensor(1), Variable(1.0)):
        assert ops.cond(choice, lambda: branch("a"), lambda: branch("b")).item() is True
    assert ran == ["a"] * 4
    assert ops.cond(False, lambda: None, lambda: None) is None
    assert ops.cond(True, lambda: 1, lambda: 2).dtype.name == "int32"


def test_cond_in_a_traced_function():
    @tw.function
    def chosen(x):
        return ops.cond(x > 0, lambda: {"y": x * 2, "n": 1}, lambda: {"y": x - 1, "n": 0})

    for x, y, n in ((3.0, 6.0, 1), (-3.0, -4.0, 0)):
        found = chosen(tw.asarray(x))
        assert (found["y"].item(), found["n"].item()) == (y, n)
    half = tw.function(lambda x: ops.cond(x.sum() > 0, lambda: x, lambda: 0.0))
    assert half(tw.asarray(2.0, dtype="float16")).dtype.name == "float16"
    slope = tw.grad(lambda x: ops.cond(x > 0, lambda: x * x, lambda: x))(tw.asarray(3.0))
    assert slope.item() == 6.0


def test_switch():
    branches = [operator.add, operator.sub, operator.mul]
    for index in (-7, 0, 1, 2, 9):
        wanted = theirs.switch(index, branches, X, X[0])
        close(ops.switch(index, branches, X, X[0]), wanted)
        close(ops.switch(ops.convert_to_tensor(index), branches, X, X[0]), wanted)
        traced = tw.function(lambda i: ops.switch(i, branches, X, X[0]))
        close(traced(np.int32(index)), wanted)


def test_while_loop():
    def goes_on(i, x):
        return i < 5

    def body(i, x):
        return i + 1, x * 2

    for limit in (None, 3, 9):
        wanted = theirs.while_loop(goes_on, body, (0, X), limit)
        close(ops.while_loop(goes_on, body, (0, X), limit), wanted)
        close(ops.while_loop(goes_on, body, [0, X], limit), wanted)
    single = ops.while_loop(lambda x: x < 10, lambda x: x + 3, 1)
    assert single.item() == 10 and single.dtype.name == "int32"
    assert ops.while_loop(lambda x: x < 10, lambda x: x + 3.5, 0).item() == 10.5
    named = ops.while_loop(lambda s: s["i"] < 3, lambda s: {"i": s["i"] + 1}, {"i": 0})
    assert named["i"].item() == 3
    slope = tw.grad(lambda x: ops.while_loop(goes_on, body, (0, x), 4)[1])(tw.asarray(1.0))
    assert slope.item() == 16.0


def test_fori_loop():
    close(ops.fori_loop(2, 5, lambda i, x: x + i, X), theirs.fori_loop(2, 5, lambda i, x: x + i, X))
    assert ops.fori_loop(0, 4, lambda i, x: x + i, 1).dtype.name == "int32"
    assert ops.fori_loop(0, 4, lambda i, x: x + 0.5, 1).item() == 3.0
    assert ops.fori_loop(5, 2, lambda i, x: x + 1, 1).item() == 1
    data = tw.function(lambda n, x: ops.fori_loop(0, n, lambda i, x: x * 2, x))
    assert data(np.int32(3), np.float32(1)).item() == 8.0


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse):
    def step(carry, x):
        return carry + x["a"], {"sum": carry, "b": x["b"] * 2}

    xs = {"a": X, "b": X[:, 0]}
    found = ops.scan(step, X[0], xs, reverse=reverse, unroll=2)
    close(found[0], theirs.scan(step, X[0], xs, reverse=reverse)[0])
    wanted = theirs.scan(step, X[0], xs, reverse=reverse)[1]
    for name in ("sum", "b"):
        close(found[1][name], wanted[name])


def test_scan_without_sequences_and_from_numbers():
    carry, ys = ops.scan(lambda c, _: (c * 2, None), 1.0, length=5)
    assert carry.item() == 32.0 and ys is None
    carry, ys = ops.scan(lambda c, x: (c + x, c), 0, np.array([0.5, 1.5], "float32"))
    assert carry.item() == 2.0 and ys.tolist() == [0.0, 0.5]
    slope = tw.grad(lambda x: ops.scan(lambda c, y: (c * y, c), 1.0, x)[0])(tw.asarray([2.0, 3, 4]))
    assert slope.tolist() == [12.0, 8.0, 6.0]


def test_map_and_vectorized_map():
    def function(x):
        return {"square": x["a"] ** 2, "sum": x["a"] + x["b"]}

    xs = {"a": X, "b": X[:, 1]}
    for mine, other in ((ops.map, theirs.map), (ops.vectorized_map, theirs.vectorized_map)):
        found, wanted = mine(function, xs), other(function, xs)
        for name in wanted:
            close(found[name], wanted[name])
    pairs = ops.vectorized_map(lambda pair: pair[0] @ pair[1], [X, X])
    np.testing.assert_allclose(pairs, (X * X).sum(1), rtol=1e-5)


@keras.saving.register_keras_serializable(package="test_control")
def doubled(x):
    return x + x


def test_a_model_with_a_mapped_function_is_made_again_from_its_config():
    inputs = keras.Input((3,))
    made = keras.Model(inputs, ops.vectorized_map(doubled, inputs))
    again = keras.Model.from_config(made.get_config())
    np.testing.assert_array_equal(again(X[:, :3]).numpy(), made(X[:, :3]).numpy())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_associative_scan(reverse, axis):
    def combine(a, b):
        return a[0] * b[0], a[1] * b[0] + b[1]

    pair = (X, X[:, ::-1].copy())
    wanted = theirs.associative_scan(combine, pair, reverse, axis)
    close(ops.associative_scan(combine, pair, reverse, axis), wanted, 1e-4)
    close(ops.associative_scan(combine, pair, reverse, axis - 2), wanted, 1e-4)


@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan_of_an_unknown_size(reverse):
    traced = tw.function(lambda x: ops.associative_scan(operator.add, x, reverse, axis=1))
    for size in (3, 1, 5):
        x = np.random.default_rng(size).normal(size=(2, size, 3)).astype("float32")
        turned = x[:, ::-1] if reverse else x
        wanted = np.cumsum(turned, axis=1)
        np.testing.assert_allclose(traced(x), wanted[:, ::-1] if reverse else wanted, rtol=1e-5)


# State --------------------------------------------------------------------------------------------


def test_bodies_may_assign_variables():
    total, steps = Variable(np.zeros(2, "float32")), Variable(0)

    @tw.function
    def run(x):
        ops.cond(x > 0, lambda: total.assign_add([1.0, 1.0]), lambda: total.assign(total * 2))

        def body(i, y):
            steps.assign_add(1)
            return y * 2

        y = ops.fori_loop(0, 4, body, x)

        def count(x):
            return ops.cast(steps, "float32") < 20

        def more(x):
            steps.assign_add(5)
            return x + 1

        z = ops.while_loop(count, more, y)
        _, seen = ops.scan(lambda c, x: (c, steps.assign_add(1)), 0.0, np.zeros(3, "float32"))
        ops.switch(ops.cast(x, "int32"), [lambda: steps.assign(0), lambda: steps.assign_add(100)])
        return y, z, seen

    y, z, seen = run(tw.asarray(1.0))
    assert (y.item(), z.item(), seen.tolist()) == (16.0, 20.0, [25, 26, 27])
    assert (total.numpy().tolist(), steps.numpy().item()) == ([1.0, 1.0], 127)
    run(tw.asarray(-1.0))
    assert (total.numpy().tolist(), steps.numpy().item()) == ([2.0, 2.0], 0)


def test_bodies_assign_in_eager_loops_and_stateless_scopes():
    steps = Variable(0)

    def body(i, x):
        steps.assign_add(i)
        return x

    ops.fori_loop(0, 4, body, 0.0)
    assert steps.numpy() == 6
    with StatelessScope() as scope:
        ops.fori_loop(0, 4, body, 0.0)
        assert scope.get_current_value(steps).numpy() == 12
    assert steps.numpy() == 6


def test_bodies_draw_random_numbers():
    generator = random.SeedGenerator(3)

    @tw.function
    def draw():
        return ops.map(lambda x: x + random.uniform((2,), seed=generator), np.zeros(4, "float32"))

    first, second = draw().numpy(), draw().numpy()
    assert len(np.unique(np.concatenate([first, second]))) == 16
    assert generator.state.numpy().tolist() == [3, 8]
    wanted = [random.uniform((2,), seed=np.array([3, i], "uint32")).numpy() for i in range(4)]
    np.testing.assert_array_equal(first, wanted)


# Symbols and refusals -----------------------------------------------------------------------------


def test_symbols():
    x, y = KerasTensor((None, 5)), KerasTensor((None,), "int32")
    assert ops.map(lambda pair: pair[0] * 2, (x, y)).shape == (None, 5)
    assert ops.vectorized_map(lambda row: row.sum(), x).shape == (None,)
    assert ops.fori_loop(0, 3, lambda i, x: x + i, x).shape == (None, 5)
    carry, ys = ops.scan(lambda c, x: (c + x, c), KerasTensor((5,)), x)
    assert carry.shape == (5,) and ys.shape == (None, 5)
    assert ops.associative_scan(operator.add, x, axis=0).shape == (None, 5)
    assert ops.while_loop(lambda x: True, lambda x: x, y).dtype == "int32"
    flag = KerasTensor((), "bool")
    assert ops.cond(flag, lambda: {"a": 1.0}, lambda: {"a": 2.0})["a"].dtype == "float32"
    assert ops.switch(KerasTensor((), "int32"), [operator.add], x, 1.0).shape == (None, 5)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.cond(True, None, lambda: 1), ArgumentTypeError, "`true_fn` should be"),
        (lambda: ops.switch(0, []), ArgumentTypeError, "a list of functions"),
        (lambda: ops.while_loop(1, 2, 3), ArgumentTypeError, "`cond` should be a callable"),
        (lambda: ops.scan(1, 2, [3]), ArgumentTypeError, "`f` should be a callable"),
        (lambda: ops.scan(operator.add, 0.0), ArgumentError, "no values to scan over and"),
        (lambda: ops.scan(operator.add, 0.0, X, unroll=0), ArgumentError, "`unroll` must be"),
        (lambda: ops.scan(operator.add, 0.0, X, length=3), ShapeError, "disagrees"),
        (lambda: ops.scan(operator.add, 0.0, np.float32(1)), ShapeError, "no leading axis"),
        (lambda: ops.scan(lambda c, x: c, 0.0, X), ArgumentError, "returns .carry, y."),
        (lambda: ops.map(len, (X, X[:2])), ShapeError, "different leading axis sizes: 6, 2"),
        (lambda: ops.associative_scan(max, (X, X[:2])), ShapeError, "first dimension"),
        (lambda: ops.associative_scan(max, X, axis=2), ShapeError, "axis 2 is out of bounds"),
        (
            lambda: ops.cond(KerasTensor((), "bool"), lambda: X, lambda: X[0]),
            ShapeError,
            "same types",
        ),
        (
            lambda: ops.cond(KerasTensor((), "bool"), lambda: KerasTensor((2,)), lambda: X),
            ArgumentError,
            "uses a KerasTensor from outside",
        ),
        (
            lambda: ops.cond(KerasTensor((3,), "bool"), lambda: X, lambda: X),
            ShapeError,
            "one number to choose by",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()

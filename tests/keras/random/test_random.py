"""Random numbers and seed generators: against real Keras on JAX, and what seeds promise."""

import random as pythons

import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.keras import random
from thalweg.keras.random.seed_generator import (
    draw_seed,
    global_seed_generator,
    make_default_seed,
    set_random_seed,
)
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def theirs(name, *args, **kwargs):
    return np.asarray(getattr(real.random, name)(*args, **kwargs))


def same(ours, other):
    np.testing.assert_allclose(ours.numpy(), other, rtol=1e-5, atol=1e-6)
    assert ours.dtype.name == other.dtype.name


@pytest.mark.parametrize("seed", [0, 1337, 2**32 - 1])
def test_equal_seeds_give_the_numbers_of_keras_on_jax(seed):
    logits = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    for name, args in {
        "normal": ((5, 3), 1.0, 2.0),
        "truncated_normal": ((5, 3), 1.0, 2.0),
        "uniform": ((5, 3), -1.0, 3.0),
        "randint": ((40,), -5, 1000),
        "categorical": (logits, 9),
        "shuffle": (np.arange(20, dtype="int32"),),
    }.items():
        same(getattr(random, name)(*args, seed=seed), theirs(name, *args, seed=seed))


def test_a_seed_generator_goes_the_way_of_keras():
    ours, other = random.SeedGenerator(7), real.random.SeedGenerator(7)
    for _ in range(3):
        same(random.normal((4,), seed=ours), theirs("normal", (4,), seed=other))
    assert ours.state.numpy().tolist() == np.asarray(other.state.value).tolist() == [7, 3]
    assert ours.state.dtype == "uint32" and not ours.state.trainable
    assert ours.state.name == other.state.name
    assert ours.state.path == f"{ours.name}/seed_generator_state"


def test_an_integer_gives_the_same_numbers_and_a_generator_others():
    for name, args in (("normal", ((3,),)), ("gamma", ((3,), 2.0)), ("dropout", (np.ones(9), 0.5))):
        draw = getattr(random, name)
        first, second = draw(*args, seed=5).numpy(), draw(*args, seed=5).numpy()
        np.testing.assert_array_equal(first, second)
        generator = random.SeedGenerator(5)
        np.testing.assert_array_equal(draw(*args, seed=generator).numpy(), first)
        assert (draw(*args, seed=generator).numpy() != first).any()
        assert (draw(*args).numpy() != draw(*args).numpy()).any()


def test_state_in_a_traced_function():
    generator = random.SeedGenerator(3)

    @tw.function
    def draw():
        return random.uniform((2,), seed=generator), random.uniform((2,), seed=generator)

    found = [each.numpy().tolist() for _ in range(2) for each in draw()]
    eager = random.SeedGenerator(3)
    assert found == [random.uniform((2,), seed=eager).numpy().tolist() for _ in range(4)]
    assert generator.state.numpy().tolist() == [3, 4]
    generator.state.assign([3, 0])
    assert draw()[0].numpy().tolist() == found[0]


def test_a_long_series_of_draws_keeps_no_history():
    generator = random.SeedGenerator(1)
    for _ in range(3000):
        generator.next()
    assert generator.next().numpy().tolist() == [1, 3000]


def test_the_global_generator():
    set_random_seed(11)
    pair = random.normal((3,)).numpy(), random.normal((3,)).numpy()
    numbers = pythons.random(), np.random.random(), make_default_seed()
    state = global_seed_generator().state.numpy().tolist()
    set_random_seed(11)
    assert state == [11, 2]
    np.testing.assert_array_equal(random.normal((3,)), pair[0])
    np.testing.assert_array_equal(random.normal((3,)), pair[1])
    assert (pythons.random(), np.random.random(), make_default_seed()) == numbers
    assert global_seed_generator() is global_seed_generator()
    with pytest.raises(ArgumentError, match="an integer"):
        set_random_seed("1")


def test_seeds():
    assert draw_seed(2**32 - 1).numpy().tolist() == [2**32 - 1, 0]
    assert draw_seed(2**32 + 5).numpy().tolist() == [5, 0]
    assert draw_seed(np.int64(3)).numpy().tolist() == [3, 0]
    assert draw_seed(np.array([1, 2], "uint32")).numpy().tolist() == [1, 2]
    assert random.SeedGenerator(np.int64(4)).state.numpy().tolist() == [4, 0]
    for wrong in ("1", 1.5, [1]):
        with pytest.raises(ArgumentError, match="must be either an integer or an instance"):
            random.normal((2,), seed=wrong)
    with pytest.raises(ArgumentError, match="Argument `seed` must be an integer"):
        random.SeedGenerator("1")
    with pytest.raises(ArgumentError, match="Unrecognized keyword arguments"):
        random.SeedGenerator(1, other=2)


def test_a_seed_generator_in_a_file():
    made = random.SeedGenerator(42, name="noise")
    record = serialize_keras_object(made)
    assert record == real.saving.serialize_keras_object(real.random.SeedGenerator(42, name="noise"))
    again = deserialize_keras_object(record)
    assert again.get_config() == made.get_config() == {"seed": 42, "name": "noise"}
    assert random.SeedGenerator().get_config()["seed"] is None


@pytest.mark.parametrize("dtype", FLOATS)
def test_float_types(dtype):
    for name, args in {
        "normal": (), "uniform": (), "truncated_normal": (), "gamma": (2.0,), "beta": (2.0, 3.0),
        "binomial": (10, 0.5),
    }.items():  # fmt: skip
        found = getattr(random, name)((50, 2), *args, dtype=dtype, seed=1)
        assert found.dtype.name == dtype and found.shape == (50, 2), name
        values = found.numpy().astype("float64")
        assert np.isfinite(values).all() and len(np.unique(values)) > 4, name
    x = random.dropout(np.ones((100,), dtype if dtype != "bfloat16" else "float32"), 0.5, seed=1)
    assert set(np.unique(x.numpy().astype("float64"))) == {0.0, 2.0}


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_types(dtype):
    found = random.randint((500,), 3, 9, dtype, seed=1)
    assert found.dtype.name == dtype and set(found.tolist()) == set(range(3, 9))
    found = random.categorical(np.zeros((2, 3)), 50, dtype, seed=1)
    assert found.dtype.name == dtype and set(found.numpy().ravel().tolist()) == {0, 1, 2}


def test_moments():
    size = (40_000,)
    for found, mean, deviation in (
        (random.normal(size, 2.0, 3.0, seed=1), 2.0, 3.0),
        (random.uniform(size, 2.0, 6.0, seed=1), 4.0, 4 / 12**0.5),
        (random.truncated_normal(size, 1.0, 2.0, seed=1), 1.0, 2 * 0.8796),
        (random.gamma(size, 3.0, seed=1), 3.0, 3**0.5),
        (random.beta(size, 2.0, 3.0, seed=1), 0.4, 0.2),
        (random.binomial(size, 20, 0.3, seed=1), 6.0, (20 * 0.3 * 0.7) ** 0.5),
    ):
        assert abs(found.numpy().mean() - mean) < 0.02 * deviation
        assert abs(found.numpy().std() - deviation) < 0.02 * deviation
    assert abs(random.truncated_normal(size, seed=1).numpy()).max() <= 2
    drawn = random.categorical(np.log([[0.2, 0.5, 0.3]]), 40_000, seed=1).numpy()
    np.testing.assert_allclose(np.bincount(drawn[0]) / 40_000, [0.2, 0.5, 0.3], atol=0.01)


def test_parameters_stretch():
    found = random.gamma((10_000, 2), [1.0, 50.0], seed=1).numpy().mean(0)
    np.testing.assert_allclose(found, [1, 50], rtol=0.05)
    found = random.beta((10_000, 2), [[1.0, 30.0]], [[1.0, 10.0]], seed=1).numpy().mean(0)
    np.testing.assert_allclose(found, [0.5, 0.75], rtol=0.05)
    found = random.binomial((3, 2), [10, 1000], 0.5, seed=1).numpy()
    assert (found[:, 0] <= 10).all() and (found[:, 1] > 300).all()
    assert np.isnan(random.binomial((2,), -1, 0.5, seed=1)).all()


def test_dropout():
    x = np.random.default_rng(0).normal(size=(4, 5, 6)).astype("float32")
    np.testing.assert_array_equal(random.dropout(x, 0.0, seed=1), x)
    assert not random.dropout(x, 1.0, seed=1).numpy().any()
    found = random.dropout(np.ones((100, 100)), 0.3, seed=1).numpy()
    assert abs((found == 0).mean() - 0.3) < 0.02 and np.allclose(found.max(), 1 / 0.7)
    found = random.dropout(np.ones((4, 5, 6)), 0.5, noise_shape=(None, 1, 6), seed=1).numpy()
    assert (found == found[:, :1]).all() and set(np.unique(found)) == {0.0, 2.0}
    slope = tw.grad(lambda x: random.dropout(x, 0.5, seed=1).sum())(tw.ones((50,)))
    np.testing.assert_array_equal(slope, random.dropout(np.ones(50, "float32"), 0.5, seed=1))


def test_shuffle_keeps_slices_together():
    x = np.arange(24).reshape(4, 6)
    for axis in (0, 1, -1):
        found = random.shuffle(x, axis=axis, seed=5).numpy()
        moved, original = np.moveaxis(found, axis, 0), np.moveaxis(x, axis, 0)
        assert sorted(map(tuple, moved)) == sorted(map(tuple, original))
        assert (found != x).any()
    assert sorted(random.shuffle([3, 1, 2], seed=1).tolist()) == [1, 2, 3]


def test_shapes_with_named_sizes():
    traced = tw.function(lambda x: random.uniform(x.shape, seed=1) + 0 * x)
    for size in (3, 5):
        found = traced(np.ones((size, 2), "float32"))
        np.testing.assert_array_equal(found, random.uniform((size, 2), seed=1))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: random.randint((2,), 0, 5, "float32"),
            ArgumentError,
            "requires an integer `dtype`",
        ),
        (lambda: random.randint((2,), 5, 5), ArgumentError, "maxval itself is not drawn"),
        (lambda: random.uniform((2,), dtype="int32"), ArgumentError, "requires a floating point"),
        (lambda: random.gamma((2,), 1.0, "int32"), ArgumentError, "`keras.random.gamma` requires"),
        (lambda: random.categorical(np.ones(5), 2), ShapeError, "should be a 2-D tensor"),
        (lambda: random.dropout(np.ones(5), 1.5), ArgumentError, "a rate from 0 to 1"),
        (lambda: random.normal((2, -1)), ValueError, "-1"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()

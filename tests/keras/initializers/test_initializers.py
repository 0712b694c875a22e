"""Initializers: values, moments, seeds, configs and files against real Keras."""

import numpy as np
import pytest
import scipy.signal
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.keras import initializers, random
from thalweg.keras.initializers import numbers, windows
from thalweg.keras.initializers.random import fans
from thalweg.keras.saving.registration import CustomObjectScope
from thalweg.keras.saving.serialization import deserialize_keras_object
from thalweg.keras.variable import Variable

CLASSES = [
    name
    for name in dir(real.initializers)
    if isinstance(getattr(real.initializers, name), type) and name[0].isupper()
]
RANDOM = [
    name for name in CLASSES if hasattr(getattr(initializers, name, None)(), "seed")
]  # fmt: skip
SETTINGS = {
    "Constant": {"value": 3.5},
    "RandomNormal": {"mean": 1.0, "stddev": 0.5, "seed": 3},
    "RandomUniform": {"minval": -2.0, "maxval": 1.0, "seed": 3},
    "TruncatedNormal": {"mean": 1.0, "stddev": 0.5, "seed": 3},
    "VarianceScaling": {"scale": 2.0, "mode": "fan_avg", "distribution": "normal", "seed": 3,
                        "input_axes": [0], "output_axes": [1, 2]},
    "Orthogonal": {"gain": 2.0, "seed": 3},
    "STFT": {"side": "imag", "window": "hamming", "scaling": None, "periodic": True},
    "HeNormal": {"seed": 3, "input_axes": [0], "output_axes": [1]},
}  # fmt: skip


def test_all_names_of_keras():
    wanted = {name for name in dir(real.initializers) if not name.startswith("_")}
    assert wanted - {"absolute_import"} == set(initializers.__all__)
    assert len(initializers.__all__) == 39
    for name in initializers.__all__:
        mine, other = getattr(initializers, name), getattr(real.initializers, name)
        assert mine.__name__ == other.__name__, name


@pytest.mark.parametrize("name", CLASSES)
def test_configs_are_those_of_keras(name):
    mine, other = getattr(initializers, name), getattr(real.initializers, name)
    for settings in ({}, SETTINGS.get(mine.__name__, {})):
        made = mine(**settings)
        record = initializers.serialize(made)
        assert record == real.initializers.serialize(other(**settings))
        again = initializers.deserialize(record)
        assert type(again) is mine and again.get_config() == made.get_config()
        assert type(deserialize_keras_object(record)) is mine
        assert type(real.initializers.deserialize(record)) is other
        assert made.clone().get_config() == made.get_config()


def test_the_gain_of_an_identity_survives_a_file():
    made = initializers.deserialize(initializers.serialize(initializers.Identity(3.0)))
    assert made.gain == 3.0


@pytest.mark.parametrize(
    "identifier",
    [
        "zeros", "Zeros", "zero", "one", "uniform", "normal", "he_normal", "HeNormal", "identity",
        "IdentityInitializer", "orthogonal", "OrthogonalInitializer", "stft", "STFTInitializer",
        "glorot_uniform", "lecun_normal", "variance_scaling", "truncated_normal",
        {"class_name": "HeNormal", "config": {"seed": 3}}, {"class_name": "zeros", "config": {}},
    ],
)  # fmt: skip
def test_get(identifier):
    found, wanted = initializers.get(identifier), real.initializers.get(identifier)
    assert type(found).__name__ == type(wanted).__name__
    assert found.get_config() == wanted.get_config()


def test_get_of_other_things():
    assert initializers.get(None) is None
    assert type(initializers.get(initializers.Ones)) is initializers.Ones
    made = initializers.HeNormal()
    assert initializers.get(made) is made

    def mine(shape, dtype=None):
        return tw.ones(shape)

    assert initializers.get(mine) is mine
    with CustomObjectScope({"mine": mine}):
        assert initializers.get("mine") is mine
    value = np.arange(4.0)
    for given in (value, tw.asarray(value), Variable(value)):
        assert initializers.get(given)((4,), "float32").tolist() == [0, 1, 2, 3]
        with pytest.raises(ShapeError, match=r"Expected `shape` to be \(4,\)"):
            initializers.get(given)((2, 2))
    for wrong in ("typo", 3, {"class_name": "Nope", "config": {}}, {"a": 1}):
        with pytest.raises(ArgumentError, match="Could not interpret initializer identifier"):
            initializers.get(wrong)
    with pytest.raises(ArgumentError, match="Did you mean 'he_normal'"):
        initializers.get("he_norml")


def test_variables_know_initializers_by_name():
    assert Variable("ones", (2,)).numpy().tolist() == [1.0, 1.0]
    assert Variable(initializers.Constant([1, 2]), (2, 2), "int8").numpy().tolist() == [[1, 2]] * 2


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    cls = getattr(initializers, name)
    draw = cls(seed=7)
    first = draw((30, 20)).numpy()
    np.testing.assert_array_equal(draw((30, 20)), first)
    np.testing.assert_array_equal(cls(seed=7)((30, 20)), first)
    assert (cls(seed=8)((30, 20)).numpy() != first).any()
    unseeded = cls()
    np.testing.assert_array_equal(unseeded((4, 4)), unseeded((4, 4)))
    assert (unseeded((4, 4)).numpy() != unseeded.clone()((4, 4)).numpy()).any()
    assert unseeded.get_config()["seed"] is None
    stream = cls(seed=random.SeedGenerator(7))
    np.testing.assert_array_equal(stream((30, 20)), first)
    assert (stream((30, 20)).numpy() != first).any()
    again = cls.from_config(stream.get_config())
    np.testing.assert_array_equal(again((30, 20)), first)
    with pytest.raises(ArgumentError, match="`seed` argument should be an instance of"):
        cls(seed="7")


@pytest.mark.parametrize("name", [each for each in RANDOM if "Orthogonal" not in each])
@pytest.mark.parametrize("shape", [(700,), (300, 200), (3, 5, 40, 60)])
def test_moments_are_those_of_keras(name, shape):
    ours = getattr(initializers, name)(seed=1)(shape).numpy().astype("float64")
    theirs = np.asarray(getattr(real.initializers, name)(seed=1)(shape), "float64")
    deviation = theirs.std()
    chance = 6 / ours.size**0.5
    assert abs(ours.mean() - theirs.mean()) < chance * deviation
    assert abs(ours.std() - deviation) < chance * deviation
    assert (
        abs(np.abs(ours).max() - np.abs(theirs).max())
        < (1.2 if "Random" in name else 0.2) * deviation
    )


def test_distributions_and_modes():
    shape = (200, 300)
    for mode, count in (("fan_in", 200), ("fan_out", 300), ("fan_avg", 250)):
        for kind, reach in (
            ("uniform", 3**0.5),
            ("truncated_normal", 2 / 0.8796),
            ("untruncated_normal", 9),
        ):
            made = initializers.VarianceScaling(3.0, mode, kind, seed=2)
            values = made(shape).numpy()
            deviation = (3.0 / count) ** 0.5
            assert abs(values.std() / deviation - 1) < 0.02
            assert np.abs(values).max() <= reach * deviation * 1.0001
    assert initializers.VarianceScaling(distribution="NORMAL").distribution == "truncated_normal"


def test_fans():
    from_keras = pytest.importorskip("keras.src.initializers.random_initializers").compute_fans
    for shape in ((), (5,), (2, 3), (2, 3, 4), (2, 3, 4, 5)):
        assert fans(shape) == from_keras(shape)
    for axes in (([0], [1, 2]), ([0, 1], [2]), ([-1], [0]), (None, [0]), ([0], None)):
        assert fans((6, 3, 4), *axes) == from_keras((6, 3, 4), *axes)
    with pytest.raises(ShapeError, match="axis 3"):
        initializers.VarianceScaling(input_axes=[3], output_axes=[0])((2, 3))


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (2, 3, 4, 8)])
def test_orthogonal(shape):
    values = initializers.Orthogonal(gain=2.0, seed=3)(shape).numpy().reshape(-1, shape[-1])
    values = values if values.shape[0] >= values.shape[1] else values.T
    np.testing.assert_allclose(values.T @ values, 4 * np.eye(values.shape[1]), atol=1e-5)
    mean = np.mean([initializers.Orthogonal(seed=i)((2, 2)).numpy() for i in range(400)], axis=0)
    assert np.abs(mean).max() < 0.15


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_types(dtype):
    for name in RANDOM:
        found = getattr(initializers, name)(seed=1)((6, 4), dtype)
        assert found.dtype.name == dtype and found.shape == (6, 4)
    for name in ("Zeros", "Ones", "Constant", "Identity"):
        assert getattr(initializers, name)()((3, 3), dtype).dtype.name == dtype
    assert initializers.Ones()((2,), "int32").tolist() == [1, 1]
    assert initializers.Zeros()((2,), "bool").tolist() == [False, False]
    with pytest.raises(ArgumentError, match="a float type for random values"):
        initializers.HeNormal()((2, 2), "int32")


def test_doubles_are_drawn_as_doubles():
    values = initializers.RandomUniform(seed=1)((100,), "float64").numpy()
    assert (values != values.astype("float32")).any()


def test_large_weights_do_not_depend_on_threads(monkeypatch):
    shape = (1100, 1000)
    made = initializers.HeNormal(seed=5)
    several = made(shape).numpy()
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    np.testing.assert_array_equal(made(shape), several)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    np.testing.assert_array_equal(made(shape), several)
    assert len(np.unique(several[:, 0])) > 1000
    for size in (0, 1, 2**18, 2**18 + 1):
        assert made((size, 1)).shape == (size, 1)


def test_a_failure_in_a_thread_is_raised():
    def fill(generator, block):
        raise MemoryError("none left")

    with pytest.raises(MemoryError, match="none left"):
        numbers.filled((2**19,), (1, 0), False, fill)


def test_constants():
    for value in (2.5, [1, 2, 3], np.array([[1.0], [2.0]]), True):
        found = initializers.Constant(value)((2, 3)).numpy()
        np.testing.assert_array_equal(found, real.initializers.Constant(value)((2, 3)))
        record = initializers.serialize(initializers.Constant(value))
        assert record == real.initializers.serialize(real.initializers.Constant(value))
        np.testing.assert_array_equal(initializers.deserialize(record)((2, 3)), found)
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), 2 * np.eye(2, 3))
    for made, shape, text in (
        (initializers.Constant([1, 2]), (3,), "stretches to"),
        (initializers.Identity(), (2, 2, 2), "can only be used for 2D matrices"),
        (initializers.Orthogonal(), (3,), "must be at least two-dimensional"),
        (initializers.STFT(), (3, 3), "frame length"),
        (initializers.Zeros(), (2, None), "None|integers"),
    ):
        with pytest.raises((ShapeError, ArgumentError, TypeError), match=text):
            made(shape)
    with pytest.raises(NotImplementedError):
        initializers.Initializer()((2,))


@pytest.mark.parametrize("side", ["real", "imag"])
@pytest.mark.parametrize("scaling", ["density", "spectrum", None])
@pytest.mark.parametrize("window", ["hann", "tukey", None, [1.0, 2, 3, 4, 5, 6, 7, 8]])
def test_stft(side, scaling, window):
    settings = (side, window, scaling, True)
    ours = initializers.STFT(*settings)((8, 1, 5))
    theirs = np.asarray(real.initializers.STFT(*settings)((8, 1, 5)))
    np.testing.assert_allclose(ours, theirs, atol=3e-5)
    several = initializers.STFT(*settings)((8, 3, 5)).numpy()
    assert several.shape == (8, 3, 5) and (several == ours.numpy()).all()


@pytest.mark.parametrize("name", windows.WINDOWS)
def test_windows_are_those_of_scipy(name):
    parameter = {"gaussian": 1.7, "kaiser": 4.0, "general_hamming": 0.7}.get(name)
    window = name if parameter is None else (name, parameter)
    for length in (1, 2, 3, 8, 9, 64):
        for periodic in (True, False):
            found = windows.window_weights("test", window, length, periodic)
            wanted = scipy.signal.get_window(window, length, periodic)
            np.testing.assert_allclose(found, wanted, atol=1e-12)
    for alias in (each for each, known in windows.ALIASES.items() if known == name):
        given = alias if parameter is None else (alias, parameter)
        wanted = scipy.signal.get_window(given, 9)
        np.testing.assert_allclose(
            windows.window_weights("test", given, 9, True), wanted, atol=1e-12
        )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: initializers.VarianceScaling(scale=0.0), "must be positive float"),
        (lambda: initializers.VarianceScaling(mode="fan"), "Invalid `mode` argument:"),
        (
            lambda: initializers.VarianceScaling(distribution="x"),
            "Invalid `distribution` argument:",
        ),
        (lambda: initializers.STFT("imaginary"), "side to be"),
        (lambda: initializers.STFT(scaling="l2"), "scaling to be"),
        (lambda: initializers.STFT(window="unknown"), "a window among"),
        (lambda: initializers.STFT(window="kaiser"), "with its parameter"),
        (lambda: initializers.STFT(window=[1.0])((4, 1, 3)), "4 weights as window"),
    ],
)
def test_refusals(call, text):
    with pytest.raises(ValueError, match=text):
        call()

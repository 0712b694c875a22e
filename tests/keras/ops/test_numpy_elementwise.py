"""Element-wise functions against real Keras: values and types over all element types, symbols."""

import itertools
import math

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, FLOATS, S, array, check, check_symbols, same

import thalweg as tw
from thalweg.base.errors import ArgumentTypeError, DTypeError, ShapeError
from thalweg.keras import settings
from thalweg.keras.ops.numpy import elementwise as ops
from thalweg.keras.symbol import KerasTensor

FLOATING = (
    ops.fabs, ops.sqrt, ops.cbrt, ops.reciprocal, ops.angle, ops.exp, ops.exp2, ops.expm1, ops.log,
    ops.log10, ops.log1p, ops.log2, ops.sin, ops.cos, ops.tan, ops.arcsin, ops.arccos, ops.arctan,
    ops.sinh, ops.cosh, ops.tanh, ops.arcsinh, ops.arccosh, ops.arctanh, ops.deg2rad, ops.rad2deg,
    ops.sinc, ops.i0, ops.ceil, ops.floor,
)  # fmt: skip
KEEPING = (
    ops.absolute, ops.abs, ops.negative, ops.sign, ops.square, ops.conjugate, ops.conj, ops.real,
    ops.imag, ops.trunc, ops.round, ops.nan_to_num,
)  # fmt: skip
NOT_OF_BOOLEANS = {ops.negative, ops.sign, ops.round}
MEETING = (
    ops.add, ops.subtract, ops.multiply, ops.floor_divide, ops.mod, ops.fmod, ops.power,
    ops.maximum, ops.minimum, ops.fmax, ops.fmin,
)  # fmt: skip
FLOATING_PAIRS = (
    ops.divide, ops.true_divide, ops.divide_no_nan, ops.arctan2, ops.hypot, ops.heaviside,
    ops.logaddexp, ops.logaddexp2, ops.nextafter,
)  # fmt: skip


NARROW_IN_NUMPY = {
    ops.cbrt, ops.reciprocal, ops.rad2deg, ops.i0, ops.conjugate, ops.conj, ops.hypot,
    ops.logaddexp2, ops.nextafter,
}  # fmt: skip
"""Real Keras on NumPy computes them in other types or less exactly than on JAX."""
WITHOUT_NUMBERS = (ops.hypot, ops.heaviside)
"""Real Keras has no symbols of them for Python numbers, and a wrong type for booleans."""
PROMOTED_TWICE = (ops.arctan2, ops.logaddexp, ops.logaddexp2, ops.nextafter)
"""Real Keras takes a Python number for a float32 here, or for nothing, depending on the way."""


def named(functions):
    return {"argvalues": functions, "ids": [each.__name__ for each in functions]}


@pytest.mark.parametrize("function", **named(FLOATING + KEEPING))
def test_every_type(function):
    for dtype in DTYPES:
        if dtype == "bool" and function in NOT_OF_BOOLEANS:
            continue
        if dtype.startswith("uint") and function is ops.negative:
            continue
        check(function, array((3, 4), dtype), on_jax=function in NARROW_IN_NUMPY)


@pytest.mark.parametrize("function", **named(FLOATING + KEEPING))
def test_edges(function):
    x = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 1e-30, -2.5, 3e5], "float32")
    if function is ops.i0:
        x = x[np.isfinite(x)]  # real Keras has i0(inf) = NaN
    check(function, x)
    check(function, x[:0])
    check(function, x[2])
    check_symbols(function, S(None, 3))
    check_symbols(function, S())


@pytest.mark.parametrize("function", **named((ops.negative, ops.sign, ops.subtract)))
def test_refused_of_booleans(function):
    x = array((3,), "bool")
    with pytest.raises(DTypeError, match=function.__name__):
        function(x, x) if function is ops.subtract else function(x)


@pytest.mark.parametrize("function", **named(MEETING + FLOATING_PAIRS))
def test_types_of_every_pair(function):
    for pair in itertools.product(DTYPES, DTYPES):
        if pair != ("bool", "bool"):
            check_symbols(function, *(S(2, dtype=dtype) for dtype in pair))
    if function in WITHOUT_NUMBERS + PROMOTED_TWICE:
        return
    for dtype, number in itertools.product(DTYPES, (True, 2, 1.5)):
        if (dtype, number) != ("bool", True):
            check_symbols(function, S(2, dtype=dtype), number)
            check_symbols(function, number, S(2, dtype=dtype))


@pytest.mark.parametrize("function", **named(WITHOUT_NUMBERS + PROMOTED_TWICE))
@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_take_the_type_that_they_meet(function, dtype):
    x = array((3,), dtype)
    for number in (True, 2, 1.5):
        assert function(x, number).dtype.name == function(number, x).dtype.name == dtype
        assert function(KerasTensor((3,), dtype), number).dtype == dtype


@pytest.mark.parametrize("function", **named(MEETING + FLOATING_PAIRS))
def test_values(function):
    for one, two in (
        ("float32", "float32"), ("int32", "int32"), ("uint8", "int8"), ("float16", "float32"),
        ("bfloat16", "bfloat16"), ("float16", "float16"), ("int32", "float32"), ("bool", "int16"),
    ):  # fmt: skip
        x, y = array((3, 1, 4), one, seed=1), array((5, 1), two, seed=2, low=1)
        check(function, x, y, on_jax=function in NARROW_IN_NUMPY)
    check(function, array((3,)), 2)
    check(function, 2, array((3,), low=1))
    check(function, array((3,)), 2.5)


@pytest.mark.parametrize("function", **named([f for f in MEETING if f is not ops.subtract]))
def test_values_of_booleans(function):
    check(function, array((8,), "bool", seed=1), np.ones(8, bool), on_jax=True)


@pytest.mark.parametrize("function", **named(MEETING + FLOATING_PAIRS))
def test_nan_and_infinities(function):
    edges = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan], "float32")
    if function in (ops.floor_divide, ops.mod):
        edges = edges[2:4]  # what is left of infinity is NaN there, and infinite here
    check(function, edges[:, None], edges)


@pytest.mark.parametrize("function", **named(MEETING + FLOATING_PAIRS))
def test_shapes(function):
    check_symbols(function, S(None, 3), S(2, None))
    check_symbols(
        function,
        S(None, 1),
        S(
            3,
        ),
    )
    check_symbols(function, S(None, None, 3), S(None, 1))
    check_symbols(function, S(2, 3), S(2, 3, 4))
    if function not in WITHOUT_NUMBERS:
        check_symbols(function, S(None, 3), 2)
    with pytest.raises(ShapeError, match=r"2,3.*2,3,4"):
        function(np.ones((2, 3)), np.ones((2, 3, 4)))


def test_wide_types_stay():
    for dtype in ("int64", "uint64", "float64"):
        x = tw.asarray(np.arange(1, 4), dtype=dtype)
        assert ops.add(x, x).dtype.name == dtype
        assert ops.add(x, 1).dtype.name == dtype
        assert ops.absolute(x).dtype.name == dtype
        assert ops.exp(x).dtype.name == ("float64" if dtype == "float64" else "float32")
        assert ops.divide(x, x).dtype.name == ("float64" if dtype == "float64" else "float32")
    assert ops.add(2**40, tw.asarray(np.array([1]))).item() == 2**40 + 1


def test_numbers_among_themselves():
    for function, pair, dtype in (
        (ops.add, (1, 2), "int32"), (ops.add, (1, 2.0), "float32"), (ops.add, (True, True), "bool"),
        (ops.divide, (1, 2), "float32"), (ops.power, (True, True), "int32"),
        (ops.maximum, (1, True), "int32"), (ops.multiply, (1j, 2), "complex64"),
    ):  # fmt: skip
        assert function(*pair).dtype.name == dtype, (function.__name__, pair)
    assert ops.add(1, 2).item() == 3
    assert ops.power(2, 3.0).item() == 8.0


def test_default_float_type():
    settings.set_floatx("float16")
    try:
        assert ops.exp(tw.asarray([1, 2])).dtype.name == "float16"
        assert ops.divide(tw.asarray([1, 2]), 2).dtype.name == "float16"
        assert ops.add(np.ones(2, "int32"), 1.5).dtype.name == "float16"
        assert ops.exp(KerasTensor((2,), "int32")).dtype == "float16"
    finally:
        settings.set_floatx("float32")


def test_complex_numbers():
    x = np.array([1 + 2j, -0.5 - 1j, 0, 3j], "complex64")
    for function in (
        ops.absolute, ops.conjugate, ops.real, ops.imag, ops.negative, ops.exp, ops.square,
        ops.sqrt, ops.sin, ops.cos, ops.tanh, ops.angle, ops.reciprocal,
    ):  # fmt: skip
        check(function, x[:2])
    for function in (ops.add, ops.subtract, ops.multiply, ops.divide):
        check(function, x, x[::-1] + 1)
    with pytest.raises(ArgumentTypeError, match="fabs"):
        ops.fabs(x)


@pytest.mark.parametrize("decimals", [0, 1, 2, -1, -2])
def test_round(decimals):
    check(ops.round, np.array([1.25, 2.345, -3.5, 12345.678, 0.5, 155.0], "float32"), decimals)
    check(ops.round, np.array([125, 115, -250, 7, 99], "int32"), decimals=decimals)
    check_symbols(ops.round, S(None, 2, dtype="int32"), decimals)


def test_round_keeps_large_integers():
    x = np.array([2**31 - 8, -(2**31) + 7], "int32")
    assert ops.round(x, -1).numpy().tolist() == [2147483640, -2147483640]


@pytest.mark.parametrize("dtype", DTYPES)
def test_clip(dtype):
    # NumPy's bounds widen the type and Keras' do not.
    x = array((3, 4), dtype)
    wanted = "int32" if dtype == "bool" else dtype
    found = ops.clip(x, 1, 2)
    assert found.dtype.name == wanted
    assert (found.numpy() == np.clip(x.astype("float64"), 1, 2)).all()
    assert ops.clip(x, None, 2).numpy().max() <= 2
    assert ops.clip(x, 1, None).numpy().min() >= 1
    check_symbols(ops.clip, S(None, 3, dtype=dtype), 1, 2)


def test_clip_of_other_bounds():
    x = array((3, 4))
    low, high = np.zeros(4, "float32"), np.ones((3, 1), "float32")
    same(ops.clip(x, low, high), np.clip(x, low, high), "clip")
    same(ops.clip(x, high, low), np.clip(x, high, low), "clip")
    same(ops.clip(np.array([5, 0], "int32"), 0.5, 2.5), np.array([2.5, 0.5], "float32"), "clip")
    same(ops.clip(np.array([5, 0], "uint8"), -300, 300), np.array([5, 0], "uint8"), "clip")


def test_nan_to_num():
    x = np.array([1.0, np.nan, np.inf, -np.inf], "float32")
    check(ops.nan_to_num, x)
    check(ops.nan_to_num, x, nan=2, posinf=3, neginf=4.5)
    same(ops.nan_to_num(x.astype("float16"))[2], np.float16(65504), "nan_to_num")
    check_symbols(ops.nan_to_num, S(None, 4), nan=1.0)


def test_ldexp():
    x = np.array([1.5, -0.25, 0.0, np.inf, 1e-38, 3e38, 1e-30], "float32")
    n = np.array([3, -2, 100, 4, 200, -250, 126], "int32")
    check(ops.ldexp, x, n)
    check(ops.ldexp, array((3,), "int32"), array((3,), "int8"))
    check(ops.ldexp, array((2, 3), "float16"), 2)
    for pair in itertools.product(DTYPES, [each for each in DTYPES if "int" in each]):
        check_symbols(ops.ldexp, *(S(2, dtype=dtype) for dtype in pair))
    with pytest.raises(ArgumentTypeError, match="ldexp exponent must be an integer type"):
        ops.ldexp(x, 2.0)


def test_derivatives():
    x = tw.asarray([-2.0, 0.1, 0.3, 2.0])
    slope = tw.grad(lambda x: tw.sum(ops.power(ops.clip(ops.exp(x), 0.5, 2.0), 3)))(x).numpy()
    wanted = [0.0, 3 * math.exp(0.3), 3 * math.exp(0.9), 0.0]
    np.testing.assert_allclose(slope, wanted, rtol=1e-5)


def test_nested_lists():
    same(ops.add([[1, 2], [3, 4]], [10, 20]), np.array([[11, 22], [13, 24]], "int32"), "add")
    same(ops.exp([0.0, 0.0]), np.ones(2, "float32"), "exp")

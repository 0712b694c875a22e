"""Bits and divisors against real Keras: values, types and symbols."""

import itertools
import math

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, S, array, check, check_symbols, same

import thalweg as tw
from thalweg.base.errors import DTypeError, ShapeError
from thalweg.keras.ops.numpy import integers as ops
from thalweg.keras.symbol import KerasTensor

INTEGERS = [each for each in DTYPES if "int" in each]
BITWISE = (ops.bitwise_and, ops.bitwise_or, ops.bitwise_xor)
SHIFTS = (
    ops.bitwise_left_shift, ops.left_shift, ops.bitwise_right_shift, ops.right_shift,
)  # fmt: skip
DIVISORS = (ops.gcd, ops.lcm)


def named(functions):
    return {"argvalues": functions, "ids": [each.__name__ for each in functions]}


@pytest.mark.parametrize("function", **named(BITWISE + SHIFTS + DIVISORS))
def test_types_of_every_pair(function):
    for one, two in itertools.product(INTEGERS, INTEGERS):
        check_symbols(function, S(2, dtype=one), S(2, dtype=two))
    for dtype in INTEGERS:
        # Real Keras has symbols of numbers for some of them only, and of another type for some.
        assert function(KerasTensor((None, 3), dtype), 2).dtype == dtype
        x, y = array((3, 1, 4), dtype, seed=1, low=-60, high=60), array((5, 1), "int8", low=0)
        check(function, x, y, on_jax=dtype == "uint32")
        number = np.array(3, dtype)
        same(function(x, 3), function(x, number).numpy(), function.__name__)
        same(function(3, x), function(number, x).numpy(), function.__name__)


@pytest.mark.parametrize("function", **named(BITWISE + SHIFTS + DIVISORS))
def test_shapes(function):
    # Real Keras lets the shape of x stand for both here.
    x, y = KerasTensor((None, 3), "int32"), KerasTensor((2, None), "int32")
    assert function(x, y).shape == function(y, x).shape == (2, 3)
    assert function(x, 2).shape == (None, 3)
    check_symbols(function, S(None, 3, dtype="int32"), S(None, 3, dtype="int32"))
    with pytest.raises(ShapeError, match=r"2,3.*2,3,4"):
        function(np.ones((2, 3), "int32"), np.ones((2, 3, 4), "int32"))


@pytest.mark.parametrize("function", **named(BITWISE))
def test_booleans_are_bits(function):
    check(function, array((8,), "bool", seed=1), array((8,), "bool", seed=2))


@pytest.mark.parametrize("function", **named(SHIFTS))
def test_shifted_booleans_are_integers(function):
    x = np.array([True, False])
    same(function(x, True), np.array([2 if "left" in function.__name__ else 0, 0], "int32"), "")


@pytest.mark.parametrize("function", **named((ops.bitwise_invert, ops.bitwise_not)))
def test_invert(function):
    for dtype in ("bool", *INTEGERS):
        check(function, array((3, 4), dtype))
    check_symbols(function, S(None, 3, dtype="uint8"))
    with pytest.raises(DTypeError, match="bitwise"):
        function(array((3,)))


@pytest.mark.parametrize("function", **named(BITWISE + SHIFTS + DIVISORS))
def test_floats_are_refused(function):
    with pytest.raises(DTypeError, match=function.__name__.removeprefix("bitwise_")):
        function(array((3,)), array((3,)))


def test_divisors_of_large_and_of_negative_numbers():
    generator = np.random.default_rng(3)
    for dtype, high in (("int32", 2**31 - 1), ("int64", 2**62), ("uint8", 255)):
        x, y = generator.integers(-high if dtype[0] == "i" else 0, high, (2, 50)).astype(dtype)
        wanted = [math.gcd(int(a), int(b)) for a, b in zip(x, y, strict=True)]
        same(ops.gcd(x, y), np.array(wanted, dtype), "gcd")
    # The most steps come from neighbours among Fibonacci's numbers.
    a, b = 1, 1
    while a + b < 2**31:
        a, b = a + b, a
    assert ops.gcd(np.array([a], "int32"), b).item() == 1
    same(ops.gcd([0, 0, -4], [0, 6, 6]), np.array([0, 6, 2], "int32"), "gcd")
    same(ops.lcm([0, 4, -4], [0, 6, 6]), np.array([0, 12, 12], "int32"), "lcm")
    assert ops.gcd(12, 18).item() == 6


def test_divisors_in_a_traced_function():
    @tw.function
    def both(x, y):
        return ops.gcd(x, y), ops.lcm(x, y)

    found = both(tw.asarray([12, 7]), tw.asarray([18, 21]))
    assert [each.numpy().tolist() for each in found] == [[6, 7], [36, 21]]

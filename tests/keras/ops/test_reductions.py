"""Reductions against real Keras: values and types over all element types, symbols, errors."""

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, FLOATS, S, array, check, check_symbols, with_nan

from thalweg.base.errors import ShapeError
from thalweg.keras.ops.numpy import reductions as ops
from thalweg.keras.symbol import KerasTensor

PLAIN = (
    ops.sum, ops.prod, ops.max, ops.min, ops.amax, ops.amin, ops.mean, ops.var, ops.std, ops.all,
    ops.any,
)  # fmt: skip
WITHOUT_NAN = (
    ops.nansum, ops.nanprod, ops.nanmax, ops.nanmin, ops.nanmean, ops.nanvar, ops.nanstd,
)  # fmt: skip
POSITIONS = (ops.argmax, ops.argmin, ops.nanargmax, ops.nanargmin)
RUNNING = (ops.cumsum, ops.cumprod, ops.nancumsum, ops.nancumprod)


def named(functions):
    return {"argvalues": functions, "ids": [each.__name__ for each in functions]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", **named(PLAIN + WITHOUT_NAN + POSITIONS + RUNNING))
def test_every_type(function, dtype):
    check(function, array((2, 3, 4), dtype))
    check(function, array((2, 3, 4), dtype), axis=1)


@pytest.mark.parametrize("function", **named(PLAIN + WITHOUT_NAN + (ops.ptp,)))
@pytest.mark.parametrize("axis", [0, -1, (0, 2), (-1, 1), (), None], ids=str)
def test_axes_and_keepdims(function, axis):
    x = array((2, 3, 4))
    if function in WITHOUT_NAN:
        x = with_nan(x)
        x[0, :, 1] = np.nan
    check(function, x, axis=axis)
    check(function, x, axis=axis, keepdims=True)
    check(function, x[0, 0, 0], axis=None)


@pytest.mark.parametrize("dtype", [each for each in DTYPES if each != "bool"])
def test_ptp_of_every_type(dtype):
    check(ops.ptp, array((2, 3, 4), dtype), axis=1)


@pytest.mark.parametrize("function", **named(WITHOUT_NAN))
@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_is_left_out(function, dtype):
    x = with_nan(array((3, 5), dtype))
    is_unknown_to_numpy = dtype == "bfloat16"
    check(function, x, axis=1, on_jax=is_unknown_to_numpy)
    x[1] = np.nan
    check(function, x, axis=1, on_jax=is_unknown_to_numpy)


@pytest.mark.parametrize("function", **named((ops.nanargmax, ops.nanargmin)))
def test_positions_without_nan(function):
    x = with_nan(array((3, 5)), every=2)
    check(function, x)
    check(function, x, axis=0, keepdims=True)
    x[1] = np.nan
    check(function, x, axis=1)
    # NumPy puts infinities in the place of NaN and so finds a NaN here.
    found = function(np.array([np.nan, np.inf, -np.inf, np.inf], "float32"))
    assert found.item() == {"nanargmax": 1, "nanargmin": 2}[function.__name__]
    assert ops.nanargmax(np.array([np.nan, -np.inf], "float32")).item() == 1


@pytest.mark.parametrize("function", **named((ops.argmax, ops.argmin)))
def test_positions(function):
    x = array((3, 4, 5))
    for axis in (None, 0, -2):
        check(function, x, axis=axis)
        check(function, x, axis=axis, keepdims=True)
    check(function, with_nan(x), axis=1)


@pytest.mark.parametrize("function", **named(RUNNING))
def test_running(function):
    x = array((2, 3, 4), high=3)
    for axis in (None, 0, -1):
        check(function, x, axis=axis)
    check(function, x, axis=1, dtype="int32")
    check(function, array((2, 3), "int8"), axis=1, dtype="float32")
    if "nan" in function.__name__:
        check(function, with_nan(x), axis=2)
    np.testing.assert_array_equal(function(x, axis=(1,)), function(x, axis=1))
    np.testing.assert_array_equal(function(x, axis=()), x)


@pytest.mark.parametrize("function", **named((ops.max, ops.min)))
def test_initial(function):
    check(function, array((2, 3)), axis=1, initial=1.5)
    check(function, array((2, 3), "int32"), initial=1)
    check(function, array((2, 3), "bool"), axis=0, initial=1)
    check(function, array((2, 3), "bool"), axis=0, initial=0)
    check(function, array((0, 3)), axis=0, initial=2.0)
    check(function, array((2, 0)), axis=1, keepdims=True, initial=-3)
    with pytest.raises(ShapeError, match="at least one element"):
        function(array((0, 3)))


def test_prod_in_another_type():
    check(ops.prod, array((2, 3), "int8"), dtype="float16")
    check(ops.prod, array((2, 3), "float32"), axis=1, dtype="int32")


def test_count_nonzero():
    for dtype in DTYPES:
        check(ops.count_nonzero, array((2, 3, 4), dtype), axis=(0, 2))
    check(ops.count_nonzero, array((2, 3)))


def test_wide_types_stay():
    for dtype in ("int64", "uint64", "float64"):
        x = array((2, 3), dtype)
        assert ops.sum(x).dtype.name == dtype
        assert ops.cumsum(x, axis=0).dtype.name == dtype
        assert ops.max(x).dtype.name == dtype
        assert ops.sum(x).item() == x.sum()
    assert ops.mean(array((2,), "int64")).dtype.name == "float32"
    assert ops.var(array((2,), "float64")).dtype.name == "float64"
    assert ops.argmax(array((2, 3), "int64")).dtype.name == "int32"


def test_moments_of_half_floats_do_not_overflow():
    x = np.full((3,), 65504, "float16")
    check(ops.mean, x)
    check(ops.var, x)


def test_python_numbers_and_lists():
    assert ops.sum([1, 2, 3]).item() == 6
    assert ops.sum([1, 2, 3]).dtype.name == "int32"
    assert ops.mean([[1.0, 2.0]], axis=1).tolist() == [1.5]
    assert ops.sum(4).item() == 4


SHAPES = [S(None, 3, 4), S(None, None), S(2, None, 3, dtype="int8"), S(3, dtype="bool")]


@pytest.mark.parametrize("function", **named(PLAIN + WITHOUT_NAN + (ops.ptp,)))
def test_symbols(function):
    for x in SHAPES:
        if x.dtype == "bool" and function is ops.ptp:
            continue
        for axis in (None, 0, -1):
            check_symbols(function, x, axis=axis)
            check_symbols(function, x, axis=axis, keepdims=True)
    check_symbols(function, S(None, 3, 4), axis=(1, 2))
    check_symbols(function, S(None, 3, 4), axis=(0, -1), keepdims=True)


@pytest.mark.parametrize("function", **named(POSITIONS + RUNNING + (ops.count_nonzero,)))
def test_symbols_of_positions_and_running(function):
    for x in SHAPES:
        for axis in (None, 0, -1):
            check_symbols(function, x, axis=axis)
        if function in (ops.nancumsum, ops.nancumprod):
            check_symbols(function, x, axis=(0,))
            check_symbols(function, x, axis=())


@pytest.mark.parametrize("function", **named(PLAIN + WITHOUT_NAN + POSITIONS + RUNNING))
def test_no_such_axis(function):
    for x in (np.ones((2, 3), "float32"), KerasTensor((None, 3))):
        with pytest.raises(ShapeError, match="axis 7 is out of bounds"):
            function(x, axis=7)

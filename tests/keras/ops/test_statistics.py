"""Statistics against real Keras: averages, quantiles, correlations, differences, counts in bins."""

import itertools

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, S, array, check, check_symbols, same, with_nan

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError
from thalweg.keras.ops.numpy import statistics as ops
from thalweg.keras.symbol import KerasTensor

QUANTILES = (ops.quantile, ops.nanquantile, ops.percentile, ops.nanpercentile)
PAIRS = list(itertools.combinations(DTYPES, 2))


def q_of(function, *fractions):
    whole = 100 if "percentile" in function.__name__ else 1
    return [each * whole for each in fractions]


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantiles_of_every_type(dtype):
    x = array((3, 7), dtype)
    # NumPy computes quantiles of bfloat16 in that type; ours are rounded once.
    on_jax = dtype == "bfloat16"
    for function in (ops.median, ops.nanmedian):
        check(function, x, axis=1, on_jax=on_jax)
    for function in QUANTILES:
        check(function, x, np.array(q_of(function, 0.25), "float32"), axis=0, on_jax=on_jax)


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("function", QUANTILES, ids=lambda f: f.__name__)
def test_quantiles_by_method(function, method):
    x = array((3, 6))
    for q in (0.3, 0.0, 1.0, 0.5):
        check(function, x, np.array(q_of(function, q), "float32"), axis=1, method=method)
    check(function, x, np.array(q_of(function, 0.1, 0.8), "float32"), method=method)


@pytest.mark.parametrize("function", QUANTILES, ids=lambda f: f.__name__)
def test_quantiles_over_axes(function):
    x = array((2, 3, 4))
    if "nan" in function.__name__:
        x = with_nan(x, 5)
    q = np.array(q_of(function, 0.25, 0.75), "float32")
    for axis in (None, 1, (0, 2)):
        check(function, x, q, axis=axis)
        check(function, x, q, axis=axis, keepdims=True)
        check(function, x, q[0], axis=axis, keepdims=True)
    direct = function(x, q_of(function, 0.25, 0.75), axis=1)
    np.testing.assert_allclose(direct, function(x, q, axis=1), rtol=1e-6)
    with pytest.raises(ArgumentError, match="method"):
        function(x, 0.5, method="cubic")


@pytest.mark.parametrize("function", [ops.median, ops.nanmedian], ids=lambda f: f.__name__)
def test_medians(function):
    x = array((3, 4, 5))
    if function is ops.nanmedian:
        x = with_nan(x)
    for axis in (None, 0, (1, 2)):
        check(function, x, axis=axis)
        check(function, x, axis=axis, keepdims=True)


def test_average():
    for one, two in PAIRS:
        check(ops.average, array((2, 3), one), weights=array((2, 3), two, low=1, high=3))
    x = array((2, 3, 4))
    check(ops.average, x, axis=1)
    check(ops.average, x)
    check(ops.average, x, axis=1, weights=array((3,), low=1))
    check(ops.average, x, axis=-1, weights=array((2, 3, 4), low=1, seed=4))
    for pair in ((x, array((5,))), (KerasTensor((None, 3, 4)), KerasTensor((5,)))):
        with pytest.raises(ShapeError, match="weights"):
            ops.average(pair[0], axis=1, weights=pair[1])


def test_corrcoef():
    for dtype in DTYPES:
        x = array((3, 6), dtype, high=7)
        found = ops.corrcoef(x)
        with np.errstate(all="ignore"):
            wanted = np.corrcoef(x.astype("float64"))
        np.testing.assert_allclose(found.numpy().astype("float64"), wanted, atol=2e-2)
        assert found.dtype.name == ("float32" if "float" not in dtype else dtype)
        assert ops.corrcoef(KerasTensor((3, 6), dtype)).dtype == found.dtype.name
    assert ops.corrcoef(KerasTensor((3, 6))).shape == (3, 3)
    assert ops.corrcoef(KerasTensor((3, None))).shape == (3, None)
    assert ops.corrcoef(array((4,))).shape == ops.corrcoef(KerasTensor((4,))).shape == ()


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_correlate(mode):
    for sizes in ((3, 3), (5, 2), (2, 5), (4, 1)):
        check(ops.correlate, array((sizes[0],)), array((sizes[1],), seed=1), mode=mode)
    for one, two in PAIRS:
        x, y = array((5,), one), array((3,), two, seed=1)
        check(ops.correlate, x, y, mode=mode)
    check_symbols(ops.correlate, S(3), S(5), mode=mode)
    check_symbols(ops.correlate, S(3), S(3, 4), mode=mode)
    assert ops.correlate(KerasTensor((None,)), KerasTensor((3,)), mode=mode).shape == (None,)
    with pytest.raises(ArgumentError, match="mode"):
        ops.correlate(KerasTensor((3,)), KerasTensor((3,)), mode="best")


@pytest.mark.parametrize("dtype", DTYPES)
def test_diff(dtype):
    x = array((4, 5), dtype)
    check(ops.diff, x)
    check(ops.diff, x, n=2, axis=0)
    check(ops.diff, x, n=6, axis=0)
    check_symbols(ops.diff, S(None, 3, dtype=dtype), n=2)
    check_symbols(ops.diff, S(None, 3, dtype=dtype), n=2, axis=0)
    check_symbols(ops.diff, S(None, 3, dtype=dtype), n=7, axis=1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_trapezoid(dtype):
    y = array((3, 4), dtype)
    if dtype != "bool":  # which NumPy adds as booleans, and JAX as floats
        check(ops.trapezoid, y)
        check(ops.trapezoid, y, dx=0.5, axis=0)
    if dtype == "float32":
        check(ops.trapezoid, y, x=array((4,), seed=1))
        check(ops.trapezoid, y, x=array((3, 4), seed=1), axis=0)
    check_symbols(ops.trapezoid, S(None, 3, dtype=dtype))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16", "uint32"])
def test_bincount(dtype):
    x = np.array([1, 1, 2, 3, 2, 4, 4, 6], dtype)
    check(ops.bincount, x)
    check(ops.bincount, x, minlength=9)
    check(ops.bincount, x, weights=array((8,)))
    check(ops.bincount, x, weights=array((8,), "float16"))
    check(ops.bincount, x, weights=array((8,), dtype), minlength=3)
    check_symbols(ops.bincount, S(None, dtype=dtype))
    check_symbols(ops.bincount, S(2, 5, dtype=dtype), weights=array((2, 5)))


def test_bincount_of_a_batch():
    x = np.array([[1, 1, 2], [0, 4, 0]], "int32")
    weights = array((2, 3))
    wanted = [np.bincount(row, minlength=5) for row in x]
    np.testing.assert_array_equal(ops.bincount(x), wanted)
    wanted = [np.bincount(*pair, minlength=6) for pair in zip(x, weights, strict=True)]
    np.testing.assert_allclose(ops.bincount(x, weights=weights, minlength=6), wanted)
    assert ops.bincount(KerasTensor((3, None), "int32", sparse=True)).sparse
    with pytest.raises(ShapeError, match="integers"):
        ops.bincount(np.ones((3,), "float32"))
    with pytest.raises(ShapeError, match="weight"):
        ops.bincount(x, weights=np.ones(3))
    with pytest.raises(ArgumentError, match="0 or more"):
        ops.bincount(np.array([-1]))


def test_histogram():
    x = array((20,))
    for options in ({}, {"bins": 5}, {"bins": 4, "range": (-1.0, 3.0)}, {"bins": 3, "range": ()}):
        plain = {key: value for key, value in options.items() if value != ()}
        counts, edges = np.histogram(x, **plain)
        found = ops.histogram(x, **options)
        same(found, (counts.astype("float32"), edges.astype("float32")), f"{options}")
    for dtype in DTYPES:
        counts, edges = ops.histogram(array((9,), dtype), bins=3)
        wanted = dtype if "float" in dtype else "float32"
        assert counts.dtype.name == edges.dtype.name == wanted
    check_symbols(ops.histogram, S(None))
    check_symbols(ops.histogram, S(7), bins=4)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"bins": -5}, ArgumentError, "Argument `bins` should be a non-negative integer"),
        ({"bins": 2.5}, ArgumentTypeError, "Argument `bins` must be of type `int`"),
        ({"range": (1,)}, ArgumentError, "Argument `range` must be a tuple of two elements"),
        ({"range": [1, 2]}, ArgumentError, "Argument `range` must be a tuple of two elements"),
        ({"range": (5, 1)}, ArgumentError, "The second element of `range` must be greater"),
    ],
)
def test_histogram_refuses(options, error, text):
    for x in (np.ones(3, "float32"), KerasTensor((None,))):
        with pytest.raises(error, match=text):
            ops.histogram(x, **options)
    for x in (np.ones((3, 4), "float32"), KerasTensor((None, 4))):
        with pytest.raises(ShapeError, match="Input tensor must be 1-dimensional"):
            ops.histogram(x)


def test_symbols():
    for x in (S(None, 3, 4), S(2, None, dtype="int8"), S(None, None, dtype="bfloat16")):
        for axis in (None, 0, -1):
            for keepdims in (False, True):
                check_symbols(ops.median, x, axis=axis, keepdims=keepdims)
                check_symbols(ops.nanmedian, x, axis=axis, keepdims=keepdims)
                for function in QUANTILES:
                    check_symbols(function, x, S(), axis=axis, keepdims=keepdims)
                    check_symbols(function, x, S(2), axis=axis, keepdims=keepdims)
                    check_symbols(function, x, [0.1, 0.2], axis=axis, keepdims=keepdims)
            check_symbols(ops.average, x, axis=axis)
    check_symbols(ops.average, S(None, 3), weights=S(None, 3))
    check_symbols(ops.average, S(None, 3), axis=1, weights=S(3))
    check_symbols(ops.average, S(None, 3, 3), weights=S(None, 4))
    check_symbols(ops.average, S(None, 3, 3), axis=0, weights=S(2, dtype="float16"))


@pytest.mark.parametrize("function", [ops.median, ops.average, ops.diff, ops.trapezoid])
def test_no_such_axis(function):
    for x in (np.ones((2, 3), "float32"), KerasTensor((None, 3))):
        with pytest.raises(ShapeError, match="axis 7 is out of bounds"):
            function(x, axis=7)

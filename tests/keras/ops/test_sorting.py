"""Order and sets against real Keras: values, types, symbols, traced and refused calls."""

import numpy as np
import pytest
from tests.keras.ops.against import (
    DTYPES,
    S,
    array,
    check,
    check_symbols,
    computed,
    fits,
    same,
    with_nan,
)

import thalweg as tw
from thalweg.base.errors import ArgumentError, ShapeError, TraceError
from thalweg.keras.ops.numpy import sorting as ops
from thalweg.keras.symbol import KerasTensor


@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_of_every_type(dtype):
    x = array((3, 7), dtype)
    check(ops.sort, x)
    check(ops.sort, x, axis=0)
    check(ops.sort, x, axis=None)
    order = ops.argsort(x, axis=0)
    assert order.dtype.name == "int32"
    np.testing.assert_array_equal(order, np.argsort(x, axis=0, kind="stable"))
    places = ops.argpartition(x, 2, axis=1)
    assert places.dtype.name == "int32"
    parted = np.take_along_axis(x, places.numpy(), axis=1)
    np.testing.assert_array_equal(parted[:, 2], np.sort(x, axis=1)[:, 2])
    assert (parted[:, :2] <= parted[:, 2:3]).all() and (parted[:, 3:] >= parted[:, 2:3]).all()


def test_sort_of_nan_and_numbers():
    x = with_nan(array((4, 5)))
    check(ops.sort, x, axis=1)
    np.testing.assert_array_equal(ops.argsort(x), np.argsort(x, kind="stable"))
    np.testing.assert_array_equal(ops.argsort(x, axis=None), np.argsort(x, None, kind="stable"))
    with pytest.raises(ShapeError, match="axis -1 is out of bounds"):
        ops.sort(3.0)
    assert ops.argsort(3).tolist() == [0]
    assert ops.argpartition(np.array([3, 1, 2]), 1, axis=None).tolist() == [1, 2, 0]


@pytest.mark.parametrize("kth", [(1, 3), "1", True, 7])
def test_argpartition_refuses(kth):
    with pytest.raises(ArgumentError):
        ops.argpartition(np.array([3, 1, 2]), kth)
    if kth != 7:
        with pytest.raises(ArgumentError, match="kth="):
            ops.argpartition(KerasTensor((None, 3)), kth)


@pytest.mark.parametrize("dtype", [each for each in DTYPES if each != "bool"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(dtype, side):
    sequence = np.sort(array((6,), dtype))
    check(ops.searchsorted, sequence, array((2, 3), dtype, seed=1), side=side)


def test_searchsorted_of_mixed_types_and_shapes():
    check(ops.searchsorted, np.array([1, 2, 4], "int32"), np.array([0.5, 2.5, 9], "float32"))
    assert ops.searchsorted([1, 2, 3], 2).item() == 1
    for x in (np.ones((2, 2)), KerasTensor((2, 2))):
        with pytest.raises(ShapeError, match="only supports 1-D"):
            ops.searchsorted(x, np.ones(3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_digitize(dtype):
    edges = np.unique(array((9,), dtype))
    check(ops.digitize, array((3, 4), dtype, seed=2), edges)


def test_digitize_between_types():
    check(ops.digitize, np.array([0.5, 2, 9], "float32"), np.array([1, 2, 3], "int32"))
    check(ops.digitize, np.array([0.5, 2, 9], "float32"), np.array([3.0, 2, 1], "float32"))
    with pytest.raises(ShapeError, match="one axis"):
        ops.digitize(KerasTensor((2, 3)), KerasTensor((2, 3, 4)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_isin(dtype):
    x = array((3, 4), dtype)
    check(ops.isin, x, array((3,), dtype, seed=1))
    check(ops.isin, x, array((2, 2), "int8", seed=1), invert=True)
    check(ops.isin, x, np.zeros((0,), dtype="float32"), assume_unique=True)


UNIQUE = [
    {},
    {"return_index": True},
    {"return_inverse": True, "return_counts": True},
    {"return_index": True, "return_inverse": True, "return_counts": True},
]


def check_unique(x, **options):
    found = ops.unique(x, **options)
    wanted = computed.unique(x, **options)
    if isinstance(wanted, tuple):  # NumPy's positions have 64 bits
        wanted = (wanted[0], *(each.astype("int32") for each in wanted[1:]))
    same(found, wanted, f"unique {options}")
    fits(ops.unique(KerasTensor(x.shape, x.dtype.name), **options), found, f"unique {options}")


@pytest.mark.parametrize("options", UNIQUE, ids=lambda each: ",".join(each) or "values")
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("dtype", ["int32", "float32", "bool", "uint8"])
def test_unique(dtype, axis, options):
    x = array((4, 3), dtype, low=0, high=2)
    check_unique(x, axis=axis, **options)


@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("fill_value", [None, 7])
def test_unique_of_a_size(size, axis, fill_value):
    x = np.array([[2, 1, 2], [0, 1, 0], [2, 1, 2], [5, 5, 5]], "int32")
    options = dict.fromkeys(("return_index", "return_inverse", "return_counts"), True)
    options.update(axis=axis, size=size, fill_value=fill_value)
    if size < 6:  # beyond the last value Keras' NumPy backend puts position 1
        check_unique(x, **options)
    elif (axis, fill_value) in ((None, None), (-1, 7)):
        check(ops.unique, x, on_jax=True, **options)
    traced = tw.function(lambda x: ops.unique(x, **options))
    for one, two in zip(traced(x), ops.unique(x, **options), strict=True):
        np.testing.assert_array_equal(one, two)


def test_unique_of_nan_and_nothing():
    x = np.array([1, np.nan, 2, np.nan], "float32")
    for size in (None, 4):
        values, counts = ops.unique(x, size=size, return_counts=True)
        np.testing.assert_array_equal(values, [1, 2, np.nan, np.nan])
        np.testing.assert_array_equal(counts, [1, 1, 1, 1])
    assert ops.unique(np.zeros((0,), "float32")).shape == (0,)
    assert ops.unique(np.zeros((0, 3), "float32"), axis=0).shape == (0, 3)
    values, first, inverse, counts = ops.unique(
        np.zeros((0, 3), "float32"), True, True, True, True, axis=0, size=2, fill_value=4
    )
    assert values.tolist() == [[4.0] * 3] * 2
    assert (first.tolist(), inverse.tolist(), counts.tolist()) == ([0, 0], [], [0, 0])
    rows = ops.unique(np.zeros((3, 0), "float32"), return_counts=True, axis=0, size=1)
    assert (rows[0].shape, rows[1].tolist()) == ((1, 0), [3])


def test_unique_without_a_size_cannot_be_traced():
    with pytest.raises(TraceError, match="depends on data"):
        tw.function(lambda x: ops.unique(x))(np.ones(3))


def test_symbols():
    for x in (S(None, 3), S(2, 3, dtype="int8"), S(None, None, 4)):
        for axis in (0, -1, None):
            check_symbols(ops.sort, x, axis=axis)
            check_symbols(ops.argsort, x, axis=axis)
            check_symbols(ops.argpartition, x, 1, axis=axis)
            for options in UNIQUE:
                check_symbols(ops.unique, x, axis=axis, **options)
                check_symbols(ops.unique, x, axis=axis, size=5, **options)
        check_symbols(ops.isin, x, S(4))
        check_symbols(ops.digitize, x, S(None))
        check_symbols(ops.searchsorted, S(None), x)
        check_symbols(ops.searchsorted, S(7), x)
        check_symbols(ops.searchsorted, x, S(7))


@pytest.mark.parametrize("function", [ops.sort, ops.argsort, ops.unique], ids=lambda f: f.__name__)
def test_no_such_axis(function):
    for x in (np.ones((2, 3), "float32"), KerasTensor((None, 3))):
        with pytest.raises(ShapeError, match="axis 7 is out of bounds"):
            function(x, axis=7)

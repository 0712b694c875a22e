"""Comparisons, logic, tests and choices against real Keras: values, types and symbols."""

import itertools

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, S, array, check, check_symbols, same

import thalweg as tw
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError
from thalweg.keras.ops.numpy import comparison as ops
from thalweg.keras.symbol import KerasTensor

COMPARISONS = (
    ops.equal, ops.not_equal, ops.less, ops.less_equal, ops.greater, ops.greater_equal,
)  # fmt: skip
LOGICAL = (ops.logical_and, ops.logical_or, ops.logical_xor)
TESTS = (
    ops.isfinite, ops.isinf, ops.isnan, ops.isneginf, ops.isposinf, ops.isreal, ops.signbit,
    ops.logical_not,
)  # fmt: skip
EDGES = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan], "float32")


def named(functions):
    return {"argvalues": functions, "ids": [each.__name__ for each in functions]}


@pytest.mark.parametrize("function", **named((*COMPARISONS, *LOGICAL, ops.isclose)))
def test_every_pair(function):
    for one, two in itertools.product(DTYPES, DTYPES):
        check_symbols(function, S(2, dtype=one), S(2, dtype=two))
    for dtype in DTYPES:
        x, y = array((3, 1, 4), dtype, seed=1), array((5, 1), "int8", seed=2, low=0)
        if "bfloat16" in dtype and function is ops.isclose:
            continue  # NumPy's isclose does not know the type
        check(function, x, y)
        check(function, y, x)
        check(function, x, 1)
        check(function, 1, x)


@pytest.mark.parametrize("function", **named((*COMPARISONS, *LOGICAL, ops.isclose)))
def test_edges_and_shapes(function):
    check(function, EDGES[:, None], EDGES)
    check_symbols(function, S(None, 3), S(2, None))
    check_symbols(function, S(None, None, 3), S(None, 1))
    check_symbols(function, S(2, 3), S(2, 3, 4))
    with pytest.raises(ShapeError, match=r"2,3.*2,3,4"):
        function(np.ones((2, 3)), np.ones((2, 3, 4)))


def test_integers_are_compared_exactly():
    large = tw.asarray(np.array([2**32 - 1], "uint32"))
    assert ops.greater(large, tw.asarray(np.array([-1], "int32"))).item()
    assert not ops.equal(large, tw.asarray(np.array([-1], "int32"))).item()
    assert ops.less(np.array([3], "uint8"), 300).item()
    assert ops.less(-1, np.array([3], "uint8")).item()
    wide = np.array([2**63 + 5], "uint64")
    assert ops.greater(wide, np.array([-1], "int64")).item()
    assert ops.equal(2, 2.0).item()


def test_closeness():
    x = np.array([1.0, 1.00001, 2.0, np.nan, np.inf, -np.inf], "float32")
    y = np.array([1.0, 1.0, 2.1, np.nan, np.inf, np.inf], "float32")
    for options in ({}, {"equal_nan": True}, {"rtol": 0.1}, {"atol": 0.2, "rtol": 0.0}):
        check(ops.isclose, x, y, **options)
        check(ops.allclose, x, y, **options)
        check(ops.allclose, x[:3], y[:3], **options)
    check(ops.allclose, np.array([1], "int32"), np.array([2], "int32"), rtol=0.1)
    check_symbols(ops.allclose, S(None, 3), S(2, None))
    assert ops.isclose(x, y, tw.asarray(0.1)).numpy()[2]


@pytest.mark.parametrize("function", **named(TESTS))
def test_single_elements(function):
    for dtype in DTYPES:
        # NumPy answers for bfloat16 only in part; the answers are those of float32.
        x = array((3, 4), dtype)
        if dtype == "bfloat16":
            same(function(x), function(x.astype("float32")).numpy(), function.__name__)
        elif not (dtype == "bool" and function is ops.signbit):
            check(function, x)
    check(function, EDGES)
    check_symbols(function, S(None, 3))


def test_signs_of_booleans_and_of_complex_numbers():
    assert not ops.signbit(np.array([True, False])).numpy().any()
    x = np.array([1 + 2j, np.inf, 3 + 0j], "complex64")
    for function in (ops.isfinite, ops.isinf, ops.isnan, ops.isreal, ops.logical_not):
        check(function, x)
    for function in (ops.isneginf, ops.isposinf):
        with pytest.raises(DTypeError, match=function.__name__):
            function(x)


def test_where():
    condition = array((3, 4), "bool")
    for one, two in itertools.product(DTYPES, DTYPES):
        check_symbols(ops.where, S(2, dtype="bool"), S(2, dtype=one), S(2, dtype=two))
    for dtype in DTYPES:
        check(ops.where, condition, array((3, 1), dtype, seed=1), array((4,), "int8", seed=2))
        check(ops.where, array((3, 4), dtype), array((3, 4)), 0)
        for number in (2, 1.5):
            check_symbols(ops.where, S(2, dtype="bool"), S(2, dtype=dtype), number)
    assert ops.where(condition, 1, 0).dtype.name == "int32"
    assert ops.where(condition, 1.0, 0).dtype.name == "float32"
    check_symbols(ops.where, S(None, 3), S(2, None), S(1, 3))
    check_symbols(ops.where, S(2, 3), S(2, 3), S(4, 3))


def test_places_where_true():
    rows, columns = ops.where(np.array([[0, 2], [3, 0]]))
    same(rows, np.array([0, 1], "int32"), "rows")
    same(columns, np.array([1, 0], "int32"), "columns")
    check_symbols(ops.where, S(2, 3))


def test_choices_of_numbers():
    assert ops.where(True, 1, 2).item() == 1
    assert ops.where(False, np.ones(2, "int8"), 2).dtype.name == "int8"


def test_where_wants_both_choices():
    for choices in ((1, None), (None, 1)):
        with pytest.raises(ArgumentError, match="either both should be `None`"):
            ops.where(np.array([True]), *choices)
        with pytest.raises(ArgumentError, match="either both should be `None`"):
            ops.where(KerasTensor((2,)), *choices)

"""Distinct values against NumPy: every option, NaN, derivatives, traces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.array.derivatives import grad
from thalweg.array.elementwise import multiply
from thalweg.array.operands import to_tensor
from thalweg.array.sets import unique, unique_all, unique_counts, unique_inverse, unique_values
from thalweg.base.errors import ShapeError, TraceError
from thalweg.engine.tensor import node_of, wrap
from thalweg.engine.trace import function
from thalweg.ir.types import DTYPES
from thalweg.ops.broadcast import sum as sum_op

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def same(found, wanted, dtype=None):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert dtype is None or found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), wanted)


@given(SHAPES, st.data())
@settings(max_examples=60)
def test_all_that_is_known_of_distinct_values(shape, data):
    x = data.draw(hnp.arrays(np.int8, shape, elements=st.integers(-3, 3))).astype(np.float32)
    values, indices, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True
    )
    found = unique_all(x)
    same(found.values, values, "float32")
    same(found.indices, indices, "int64")
    same(found.inverse_indices, inverse.reshape(shape), "int64")
    same(found.counts, counts, "int64")
    same(unique_values(x), values)
    same(unique_counts(x).values, values)
    same(unique_counts(x).counts, counts)
    same(unique_inverse(x).values, values)
    same(unique_inverse(x).inverse_indices, inverse.reshape(shape))


def test_unique_with_options():
    x = np.array([[1, 0, 1], [2, 0, 2], [1, 0, 1]])
    same(unique(x), [0, 1, 2])
    names = ("return_index", "return_inverse", "return_counts")
    for mask in range(1, 8):
        options = {name: bool(mask >> place & 1) for place, name in enumerate(names)}
        for axis in (None, 0, 1, -1):
            found, wanted = unique(x, axis=axis, **options), np.unique(x, axis=axis, **options)
            assert isinstance(found, tuple) and len(found) == len(wanted)
            for one, other in zip(found, wanted, strict=True):
                same(one, other)
    with pytest.raises(ShapeError, match=r"\[unique\] wants an axis from -2 to 1"):
        unique(x, axis=2)


def test_nan_and_zero():
    x = np.array([np.nan, 0.0, -0.0, np.nan, 1.0])
    same(unique_values(x), [0, 1, np.nan, np.nan])
    same(unique_all(x).counts, [2, 1, 1, 1])
    same(unique(x), [0, 1, np.nan])
    same(unique(x, equal_nan=False), [0, 1, np.nan, np.nan])


def test_every_element_type():
    for dtype in DTYPES:
        x = np.array([1, 0, 1]).astype(dtype.numpy)
        assert unique_values(x).dtype is dtype
        same(unique_values(x), np.array([0, 1]).astype(dtype.numpy))


def test_a_traced_array_is_refused():
    for each in (unique, unique_all, unique_counts, unique_inverse, unique_values):
        with pytest.raises(TraceError, match="a shape that depends on data"):
            function(each)(np.ones(3))
    outer = to_tensor([2, 1, 2])
    same(function(lambda x: multiply(x, unique_values(outer)))(2), [2, 4])


def test_values_are_looked_up_in_x():
    def loss(x):
        values, counts = unique_counts(x)
        return wrap(sum_op(node_of(multiply(values, counts)), axes=(0,)))

    same(grad(loss)(np.array([2.0, 1.0, 2.0])), [2, 1, 0])

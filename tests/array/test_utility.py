"""All, any and diff against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.array.utility import all as all_of
from thalweg.array.utility import any as any_of
from thalweg.array.utility import diff
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.engine.trace import function

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def same(found, wanted, dtype=None):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert dtype is None or found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), wanted)


def drawn(data, shape, dtype):
    return data.draw(hnp.arrays(np.int8, shape, elements=st.integers(0, 3))).astype(dtype)


@given(SHAPES, st.data())
@settings(max_examples=60)
def test_all_and_any(shape, data):
    x = drawn(data, shape, data.draw(st.sampled_from([np.bool_, np.float32, np.complex64])))
    axes = data.draw(st.none() | st.sets(st.integers(0, max(len(shape) - 1, 0))).map(tuple))
    axes = axes if shape else None
    keepdims = data.draw(st.booleans())
    same(all_of(x, axis=axes, keepdims=keepdims), np.all(x, axis=axes, keepdims=keepdims), "bool")
    same(any_of(x, axis=axes, keepdims=keepdims), np.any(x, axis=axes, keepdims=keepdims), "bool")


def test_nan_is_true():
    assert bool(all_of([np.nan, 1.0])) and bool(any_of([np.nan, 0.0]))


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4), st.data())
@settings(max_examples=80)
def test_diff(shape, data):
    x = drawn(data, shape, data.draw(st.sampled_from([np.bool_, np.int64, np.float32])))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = data.draw(st.integers(0, 3))
    ends = {}
    for name in ("prepend", "append"):
        kind = data.draw(st.sampled_from(["none", "scalar", "array"]))
        if kind == "scalar":
            ends[name] = x.dtype.type(1)
        elif kind == "array":
            size = data.draw(st.integers(0, 2))
            axis_at = axis % len(shape)
            ends[name] = drawn(data, (*shape[:axis_at], size, *shape[axis_at + 1 :]), x.dtype)
    same(diff(x, axis=axis, n=n, **ends), np.diff(x, n, axis, **ends), x.dtype)


def test_diff_promotes_refuses_and_takes_named_sizes():
    assert diff(np.int8([1, 2]), prepend=np.float16(0)).dtype == "float16"
    assert diff(np.float16([1, 2]), append=0.5).dtype == "float16"
    for n in (-1, 0.5, True):
        with pytest.raises(ArgumentError, match="an n of 0 or more"):
            diff([1, 2], n=n)
    with pytest.raises(ShapeError, match="no axis: a scalar"):
        diff(1.0)
    with pytest.raises(ShapeError, match="operands of equal shape but for axis 1"):
        diff(np.zeros((2, 3)), prepend=np.zeros((3, 1)))
    traced = function(lambda x: diff(x, n=3, prepend=1.0), shapes={"x": ("b",)})
    for size in (1, 2, 3, 7):
        x = np.arange(size) ** 3.0
        same(traced(x), np.diff(x, 3, prepend=1.0))
    assert len(traced.variants) == 1

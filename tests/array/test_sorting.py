"""Sorting against NumPy: every type, both directions, ties, NaN, several keys, derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.array.derivatives import grad
from thalweg.array.elementwise import multiply
from thalweg.array.indexing import take_along_axis
from thalweg.array.manipulation import ravel
from thalweg.array.operands import to_tensor
from thalweg.array.sorting import argpartition, argsort, lexsort, partition, sort, top_k
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from thalweg.engine.tensor import node_of, wrap
from thalweg.engine.trace import function
from thalweg.ir.types import DTYPES
from thalweg.ops.broadcast import sum as sum_op

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)


def same(found, wanted, dtype=None):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert dtype is None or found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), wanted)


def drawn(data, shape):
    return data.draw(hnp.arrays(np.int8, shape, elements=st.integers(-3, 3))).astype(np.float32)


def order_of(x, axis, descending):
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


@given(SHAPES, st.data())
@settings(max_examples=80)
def test_sort_and_argsort(shape, data):
    x, rank = drawn(data, shape), len(shape)
    axis = data.draw(st.integers(-rank, rank - 1))
    options = {"descending": data.draw(st.booleans()), "stable": data.draw(st.booleans())}
    order = order_of(x, axis, options["descending"])
    same(argsort(x, axis=axis, **options), order, "int64")
    same(sort(x, axis=axis, **options), np.take_along_axis(x, order, axis), "float32")
    same(take_along_axis(x, argsort(x, axis=axis), axis=axis), np.sort(x, axis))
    same(sort(x, axis=None), np.sort(x, None))
    same(argsort(x, axis=None), np.argsort(x, None, kind="stable"))


def test_every_element_type():
    for dtype in DTYPES:
        x = np.array([[3, 1, 0, 2, 1]]).astype(dtype.numpy)
        wide = x if x.dtype.kind != "V" else x.astype(np.float32)
        assert sort(x).dtype is dtype
        same(sort(x), np.sort(wide))
        same(sort(x, descending=True), np.sort(wide)[:, ::-1])
        same(argsort(x), np.argsort(wide, kind="stable"))


def test_nan_stands_last_whichever_the_direction():
    x = np.array([np.nan, 1.0, -np.inf, np.inf, -0.0, 0.0])
    same(sort(x), [-np.inf, -0.0, 0.0, 1.0, np.inf, np.nan])
    same(sort(x, descending=True), [np.inf, 1.0, -0.0, 0.0, -np.inf, np.nan])
    same(argsort(x, descending=True), [3, 1, 4, 5, 2, 0])


def test_an_array_without_axes_is_not_sorted():
    for each in (sort, argsort):
        with pytest.raises(ShapeError, match="no axis: a scalar"):
            each(1.0)
    with pytest.raises(ShapeError, match=r"\[sort\] wants an axis from -1 to 0"):
        sort([1.0], axis=1)


@given(SHAPES, st.data())
@settings(max_examples=60)
def test_top_k(shape, data):
    x, rank = drawn(data, shape), len(shape)
    axis = data.draw(st.integers(-rank, rank - 1))
    k = data.draw(st.integers(0, shape[axis]))
    order = np.take(order_of(x, axis, True), np.arange(k), axis)
    found = top_k(x, k, axis=axis)
    same(found.indices, order, "int64")
    same(found.values, np.take_along_axis(x, order, axis))
    values, indices = found
    assert values is found.values and indices is found.indices


def test_top_k_refuses():
    with pytest.raises(ShapeError, match="a k from 0 to the last axis' 2"):
        top_k([1.0, 2.0], 3)
    with pytest.raises(DTypeError, match="booleans or real numbers"):
        top_k(np.array([1j]), 1)
    with pytest.raises(ArgumentTypeError, match="integer sizes"):
        top_k([1.0, 2.0], 1.5)


@given(SHAPES, st.data())
@settings(max_examples=40)
def test_partition_puts_each_place_in_order(shape, data):
    x, axis = drawn(data, shape), data.draw(st.integers(0, len(shape) - 1))
    size = shape[axis]
    if not size:
        return
    kth = data.draw(st.integers(-size, size - 1))
    found = partition(x, kth, axis=axis)
    place = np.take(np.partition(x, kth, axis), [kth], axis)
    same(to_tensor(np.take(found.numpy(), [kth], axis)), place)
    positions = argpartition(x, [kth, 0], axis=axis)
    same(take_along_axis(x, positions, axis=axis), found.numpy())


def test_partition_refuses():
    for each in (partition, argpartition):
        with pytest.raises(ArgumentError, match="places inside an axis of 2"):
            each([1.0, 2.0], 2)
        with pytest.raises(ArgumentTypeError, match="integers as places"):
            each([1.0, 2.0], 0.5)


@given(st.integers(1, 3), SHAPES, st.data())
@settings(max_examples=40)
def test_lexsort(count, shape, data):
    keys = [drawn(data, shape) for _ in range(count)]
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    same(lexsort(keys, axis=axis), np.lexsort(keys, axis), "int64")
    same(lexsort(np.stack(keys), axis=axis), np.lexsort(keys, axis))


def test_lexsort_of_keys_of_several_types():
    keys = (np.array([1, 0, 1, 0], np.int8), np.array([2.5, 2.5, 0.5, 2.5]))
    same(lexsort(keys), np.lexsort(keys))
    with pytest.raises(ShapeError, match="keys of one shape"):
        lexsort([[1, 2], [1, 2, 3]])
    with pytest.raises(ArgumentError, match="at least one key"):
        lexsort([])


def test_named_sizes():
    traced = function(lambda x: (sort(x, axis=0), argsort(x, axis=0, descending=True), top_k(x, 2)),
                      shapes={"x": ("b", 3)})  # fmt: skip
    for size in (1, 2, 5):
        x = np.random.default_rng(size).normal(size=(size, 3))
        ascending, order, (values, _) = traced(x)
        same(ascending, np.sort(x, 0))
        same(order, order_of(x, 0, True))
        same(values, -np.sort(-x, 1)[:, :2])
    assert len(traced.variants) == 1


def test_derivatives_return_to_where_the_values_stood():
    x = np.array([[3.0, 1.0, 2.0], [0.5, 0.25, 4.0]])
    weights = np.array([1.0, 10.0, 100.0, 2.0, 20.0, 200.0])

    def slope(body, count):
        def loss(x):
            product = multiply(ravel(body(x)), weights[:count])
            return wrap(sum_op(node_of(product), axes=(0,)))

        return grad(loss)(x)

    same(slope(sort, 6), [[100, 1, 10], [20, 2, 200]])
    same(slope(lambda x: sort(x, descending=True), 6), [[1, 100, 10], [20, 200, 2]])
    same(slope(lambda x: top_k(x, 1).values, 2), [[1, 0, 0], [0, 0, 10]])

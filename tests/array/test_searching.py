"""Searching against NumPy: extrema, what is true, places among others, counts; traced and not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.array.derivatives import grad
from thalweg.array.elementwise import add, multiply
from thalweg.array.indexing import at, get_item
from thalweg.array.operands import to_tensor
from thalweg.array.searching import (
    argmax,
    argmin,
    argwhere,
    bincount,
    count_nonzero,
    digitize,
    histogram,
    isin,
    nonzero,
    searchsorted,
    where,
)
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    OutOfRangeError,
    ShapeError,
    TraceError,
)
from thalweg.engine.tensor import node_of, wrap
from thalweg.engine.trace import function
from thalweg.ir.types import DTYPES
from thalweg.ops.broadcast import sum as sum_op

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
SMALL = st.integers(-3, 3)


def same(found, wanted, dtype=None):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert dtype is None or found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), wanted)


def drawn(data, shape, dtype=np.float32):
    return data.draw(hnp.arrays(np.int8, shape, elements=SMALL)).astype(dtype)


# The standard -------------------------------------------------------------------------------------


@given(SHAPES, st.data())
@settings(max_examples=60)
def test_argmax_argmin_count_nonzero(shape, data):
    x, rank = drawn(data, shape), len(shape)
    keepdims = data.draw(st.booleans())
    axis = data.draw(st.none() | st.integers(-rank, rank - 1)) if rank else None
    same(count_nonzero(x, axis=axis, keepdims=keepdims),
         np.count_nonzero(x, axis=axis, keepdims=keepdims), "int64")  # fmt: skip
    if not (x.size if axis is None else x.shape[axis]):
        with pytest.raises(ShapeError, match="at least one element along the axis"):
            argmax(x, axis=axis)
        return
    for ours, theirs in ((argmax, np.argmax), (argmin, np.argmin)):
        same(
            ours(x, axis=axis, keepdims=keepdims), theirs(x, axis=axis, keepdims=keepdims), "int64"
        )


def test_extrema_with_nan_and_other_types():
    assert int(argmax([1.0, np.nan, 9.0, np.nan])) == 1
    assert int(argmin([1.0, np.nan, -9.0])) == 1
    assert int(argmax([False, True, True])) == 1
    with pytest.raises(DTypeError, match="booleans or real numbers"):
        argmax(np.array([1j]))
    same(count_nonzero([1j, 0, np.nan]), 2)
    same(count_nonzero(np.eye(3), axis=(0, 1)), 3)


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4), st.data())
@settings(max_examples=40)
def test_nonzero(shape, data):
    x = drawn(data, shape)
    wanted = np.nonzero(x)
    found = nonzero(x)
    assert isinstance(found, tuple) and len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        same(one, other, "int64")
    same(argwhere(x), np.argwhere(x), "int64")
    for one, other in zip(where(x), wanted, strict=True):
        same(one, other)
    size, filler = data.draw(st.integers(0, 9)), data.draw(st.none() | st.integers(-5, 5))
    found = nonzero(x, size=size, fill_value=filler)
    for axis, (one, other) in enumerate(zip(found, wanted, strict=True)):
        rest = np.full(max(size - len(other), 0), x.shape[axis] if filler is None else filler)
        same(one, np.concatenate([other[:size], rest]), "int64")
    rows = argwhere(x, size=size, fill_value=filler)
    same(rows, np.stack([each.numpy() for each in found], 1))


def test_nonzero_without_axes_and_while_traced():
    with pytest.raises(ShapeError, match=r"an array with axes.*\n.*\nWrite nonzero\(x\[None\]\)"):
        nonzero(1.0)
    for scalar in (0.0, 1.0):
        same(argwhere(scalar), np.argwhere(scalar))
    with pytest.raises(TraceError, match="a shape that depends on data") as caught:
        function(nonzero)(np.ones(3))
    assert "where(condition, x, y)" in str(caught.value) and "size=n" in str(caught.value)

    def first_two(x):
        (places,) = nonzero(x, size=2)
        return get_item(x, places), at(x)[places].set(0.0)

    traced = function(first_two, shapes={"x": ("b",)})
    for x in ([0.0, 5, 0, 7], [3.0, 4, 5], [0.0, 8]):
        kept, cleared = traced(np.array(x))
        wanted = [each for each in x if each][:2]
        np.testing.assert_array_equal(kept.numpy(), wanted + [np.nan] * (2 - len(wanted)))
        np.testing.assert_array_equal(cleared.numpy(), [0 if v in wanted else v for v in x])
    assert len(traced.variants) == 1


def test_where():
    condition = np.array([[True], [False]])
    same(where(condition, [1, 2, 3], 0.5), np.where(condition, [1, 2, 3], 0.5), "float32")
    same(where([1.5, 0.0, np.nan], 1, 2), [1, 2, 1], "int64")
    assert where(condition, np.float16(1), 2.0).dtype == "float16"
    assert where(True, np.int8(1), np.uint8(2)).dtype == "int16"
    assert function(lambda c, x, y: where(c, x, y))(np.array(True), 1.0, 2).dtype == "float32"
    with pytest.raises(ArgumentTypeError, match="both x1 and x2, or neither"):
        where(condition, 1)
    with pytest.raises(ShapeError, match=r"\[where\] wants shapes that broadcast"):
        where([True, False], [1, 2, 3], 0)
    slope = grad(lambda x: wrap(sum_op(node_of(where(np.array([True, False]), x, 0.0)), axes=(0,))))
    same(slope(np.ones(2)), [1, 0])


@given(st.data())
@settings(max_examples=60)
def test_searchsorted(data):
    sequence = drawn(data, data.draw(st.integers(0, 6)))
    values = drawn(data, data.draw(SHAPES), data.draw(st.sampled_from([np.float32, np.float64])))
    side = data.draw(st.sampled_from(["left", "right"]))
    order = np.argsort(sequence, kind="stable")
    same(searchsorted(sequence[order], values, side=side),
         np.searchsorted(sequence[order], values, side), "int64")  # fmt: skip
    same(searchsorted(sequence, values, side=side, sorter=order),
         np.searchsorted(sequence, values, side, order))  # fmt: skip


def test_searchsorted_refuses():
    with pytest.raises(ShapeError, match="an x1 with one axis"):
        searchsorted(np.ones((2, 2)), 1)
    with pytest.raises(ArgumentError, match='side "left" or "right"'):
        searchsorted([1, 2], 1, side="middle")
    with pytest.raises(OutOfRangeError):
        searchsorted([1, 2], 1, sorter=[0, 2])


# Beyond the standard ------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=60)
def test_digitize(data):
    bins = np.sort(drawn(data, data.draw(st.integers(0, 5))))
    if data.draw(st.booleans()):
        bins = bins[::-1].copy()
    x, right = drawn(data, data.draw(SHAPES)), data.draw(st.booleans())
    wanted = np.digitize(x, bins, right)
    same(digitize(x, bins, right=right), wanted, "int64")
    # Bins whose values are not known.
    same(digitize(x, add(bins, 0), right=right), wanted)


def test_digitize_refuses():
    with pytest.raises(ArgumentError, match="bins that ascend or descend"):
        digitize([1, 2], [1, 3, 2])
    with pytest.raises(ShapeError, match="bins with one axis"):
        digitize([1, 2], 1)


def test_bincount():
    x, weights = np.array([1, 3, 1, 0, 3, 3]), np.arange(6) / 4
    same(bincount(x), np.bincount(x), "int64")
    same(bincount(x, weights), np.bincount(x, weights), "float64")
    same(bincount(x, minlength=6), np.bincount(x, minlength=6))
    same(bincount(np.zeros(0, int), minlength=2), [0, 0])
    same(bincount(np.zeros(0, int)), [])
    same(bincount(x, length=3), [1, 2, 0])
    same(bincount(np.uint8([1, 255]), length=2), [0, 1])
    traced = function(lambda x: bincount(x, length=4), shapes={"x": ("b",)})
    for size in (1, 4, 6):
        same(traced(x[:size]), np.bincount(x[:size], minlength=4))
    assert len(traced.variants) == 1
    with pytest.raises(
        TraceError, match=r"(?s)a shape that depends on data.*bincount\(x, length=n\)"
    ):
        function(bincount)(x)
    with pytest.raises(ArgumentError, match="integers of 0 or more"):
        bincount([-1, 2])
    with pytest.raises(DTypeError, match="integers along one axis"):
        bincount([0.5])
    with pytest.raises(ShapeError, match="a weight for each of 6 values"):
        bincount(x, [1.0, 2.0])
    slope = grad(lambda w: wrap(sum_op(node_of(multiply(bincount(x, w, length=4), np.arange(4.0))),
                                       axes=(0,))))  # fmt: skip
    same(slope(weights), x)


@given(st.data())
@settings(max_examples=60)
def test_histogram(data):
    x = drawn(data, data.draw(SHAPES), np.float64) + data.draw(st.sampled_from([0.0, 0.3]))
    bins = data.draw(st.integers(1, 8) | st.just([-2.0, -1.0, 0.5, 2.0]))
    limits = data.draw(st.sampled_from([None, (-2.0, 2.5), (1.0, 1.0)]))
    weights = data.draw(st.sampled_from([None, np.arange(x.size).reshape(x.shape) / 8]))
    density = data.draw(st.booleans())
    given_bins = {"bins": bins} if isinstance(bins, list) else {"bins": bins, "range": limits}
    found, edges = histogram(x, weights=weights, density=density, **given_bins)
    with np.errstate(all="ignore"):
        wanted, wanted_edges = np.histogram(x, weights=weights, density=density, **given_bins)
    np.testing.assert_allclose(edges.numpy(), wanted_edges, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)
    assert density or weights is not None or found.dtype == "int64"


def test_histogram_types_and_traces():
    x = np.array([2**40, 2**40 + 1, 2**40 + 3])
    found, edges = histogram(x, 3)
    same(found, [1, 1, 1])
    assert edges.dtype == "float64"
    assert histogram(np.int8([1, 2]))[1].dtype == "float32"
    assert histogram(np.float32([1, 2]), density=True)[0].dtype == "float32"
    traced = function(lambda x: histogram(x, 4), shapes={"x": ("b",)})
    for size in (1, 3, 9):
        values = np.arange(size, dtype=np.float64)
        same(traced(values)[0], np.histogram(values, 4)[0])
    assert len(traced.variants) == 1
    for arguments, error, message in (
        (([1.0], 0), ArgumentError, "at least one bin"),
        (([1.0], [2.0, 1.0]), ArgumentError, "edges that ascend"),
        (([1.0], 3, (2, 1)), ArgumentError, "a range with low <= high"),
        (([1.0], 3, (2,)), ArgumentError, r"a range \(low, high\)"),
        (([1.0], 1.5), ShapeError, "a number of bins, or edges along one axis"),
        (([1.0], 3, None, [1.0, 2.0]), ShapeError, "a weight for each of 1 values"),
    ):
        with pytest.raises(error, match=message):
            histogram(*arguments)


@given(st.data())
@settings(max_examples=60)
def test_isin(data):
    dtype = data.draw(st.sampled_from([np.float32, np.int8, np.complex64, np.bool_]))
    x, values = drawn(data, data.draw(SHAPES), dtype), drawn(data, data.draw(SHAPES), dtype)
    invert = data.draw(st.booleans())
    same(isin(x, values, invert=invert), np.isin(x, values, invert=invert), "bool")


def test_isin_with_special_values():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])
    for values in ([np.nan], [np.inf, 1.0], [0.0], [-0.0, np.nan], [-np.inf]):
        same(isin(x, values), np.isin(x, values))
    for dtype in DTYPES:
        if dtype.is_integer:
            info = np.iinfo(dtype.numpy)
            x = np.array([info.min, info.max, 1], dtype.numpy)
            same(isin(x, x[:2]), [True, True, False])
            same(isin(to_tensor(x[:2]), x[2:]), [False, False])

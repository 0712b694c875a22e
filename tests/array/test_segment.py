"""Segment reductions: against loops over rows, empty segments, numbers outside, derivatives."""

import numpy as np
import pytest

from thalweg.array.derivatives import vjp
from thalweg.array.operands import to_tensor
from thalweg.array.segment import (
    segment_max,
    segment_mean,
    segment_min,
    segment_prod,
    segment_sum,
)
from thalweg.base.errors import ArgumentTypeError, DTypeError, ShapeError, TraceError
from thalweg.engine.trace import function
from thalweg.ir.types import as_dtype
from thalweg.ops.samples import values

IDS = np.array([2, 0, -1, 2, 5, 0, 2, 4], np.int32)
NAIVE = {
    segment_sum: (lambda rows: np.sum(rows, 0), 0),
    segment_prod: (lambda rows: np.prod(rows, 0), 1),
    segment_max: (lambda rows: np.max(rows, 0), -np.inf),
    segment_min: (lambda rows: np.min(rows, 0), np.inf),
    segment_mean: (lambda rows: np.mean(rows, 0), 0),
}
FUNCTIONS = list(NAIVE)


def naive(reduce, data, ids, count):
    combine, nothing = NAIVE[reduce]
    data = data.reshape(ids.size, *data.shape[ids.ndim :])
    result = np.full((count, *data.shape[1:]), nothing, float)
    for number in range(count):
        rows = data[ids.ravel() == number]
        if len(rows):
            result[number] = combine(rows.astype(float))
    return result


@pytest.mark.parametrize("reduce", FUNCTIONS)
@pytest.mark.parametrize("shape", [(8,), (8, 3), (8, 2, 2), (8, 0)])
def test_values_are_those_of_a_loop(reduce, shape):
    for dtype in ("float32", "float64"):
        data = values(shape, as_dtype(dtype))
        found = reduce(data, IDS, 5)
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), naive(reduce, data, IDS, 5), rtol=1e-6)


@pytest.mark.parametrize("reduce", FUNCTIONS)
def test_numbers_may_have_several_axes(reduce):
    data = values((2, 4, 3), as_dtype("float64"))
    ids = IDS.reshape(2, 4)
    np.testing.assert_allclose(reduce(data, ids, 4).numpy(), naive(reduce, data, ids, 4))


@pytest.mark.parametrize("reduce", FUNCTIONS)
def test_the_largest_number_decides_without_a_count(reduce):
    data = values((8, 2), as_dtype("float64"))
    np.testing.assert_allclose(reduce(data, IDS).numpy(), naive(reduce, data, IDS, 6))
    np.testing.assert_array_equal(reduce(data, IDS, sorted=True).numpy(), reduce(data, IDS).numpy())
    assert reduce(np.zeros((0, 2)), np.zeros(0, int)).shape == (0, 2)
    assert reduce(np.zeros((2, 2)), [-1, -3]).shape == (0, 2)


def test_integers_keep_their_type_and_empty_segments_hold_its_ends():
    data = np.array([3, 7, 5], np.int8)
    ids = [1, 1, 3]
    assert segment_sum(data, ids, 4).numpy().tolist() == [0, 10, 0, 5]
    assert segment_prod(data, ids, 4).numpy().tolist() == [1, 21, 1, 5]
    assert segment_max(data, ids, 4).numpy().tolist() == [-128, 7, -128, 5]
    assert segment_min(data, ids, 4).numpy().tolist() == [127, 3, 127, 5]
    assert segment_sum(data, ids, 4).dtype == "int8"
    mean = segment_mean(data, ids, 4)
    assert mean.dtype == "float32"
    assert mean.numpy().tolist() == [0, 5, 0, 5]


def test_a_mean_of_16_bits_is_rounded_once():
    # In float16 the sum 4096 + 1 + 1 + 1 would be 4096, and the count would stop at 2048.
    data = np.array([4096, 1, 1, 1], np.float16)
    assert segment_mean(data, [0, 0, 0, 0], 1).numpy()[0] == np.float16(4099 / 4)
    many = np.ones(4000, np.float16)
    assert segment_mean(many, np.zeros(4000, int), 1).numpy().tolist() == [1]


@pytest.mark.parametrize("reduce", FUNCTIONS)
def test_derivatives_are_central_differences(reduce):
    data = values((8, 2), as_dtype("float64"))
    step = 1e-6 * values((8, 2), as_dtype("float64"), seed="direction")
    # Empty segments hold infinities that do not move.
    with np.errstate(invalid="ignore"):
        change = reduce(data + step, IDS, 6).numpy() - reduce(data - step, IDS, 6).numpy()
    change = np.where(np.isfinite(change), change, 0.0)
    y, pull = vjp(lambda x: reduce(x, IDS, 6), data)
    weights = values(y.shape, as_dtype("float64"), seed="weights")
    (dx,) = pull(weights)
    np.testing.assert_allclose(np.sum(weights * change), 2 * np.sum(dx.numpy() * step), rtol=1e-6)
    assert np.all(dx.numpy()[2] == 0), "a row outside of all segments has no influence"


def test_a_tie_shares_its_cotangent():
    _, pull = vjp(lambda x: segment_max(x, [0, 0, 0, 1], 2), np.array([2.0, 1.0, 2.0, 0.0]))
    assert pull(np.array([1.0, 1.0]))[0].numpy().tolist() == [0.5, 0, 0.5, 1]


@pytest.mark.parametrize("reduce", FUNCTIONS)
def test_a_traced_function_serves_every_number_of_rows(reduce):
    traced = function(lambda x, ids: reduce(x, ids, 4))
    for rows in (8, 5, 3, 6):
        data, ids = values((rows, 2), as_dtype("float64")), IDS[:rows]
        np.testing.assert_allclose(traced(data, ids).numpy(), naive(reduce, data, ids, 4))
    assert len(traced.variants) == 2


def test_the_count_may_be_a_named_size():
    traced = function(
        lambda x, ids, like: segment_sum(x, ids, like.shape[0]), shapes={"like": ("n",)}
    )
    data = values((8,), as_dtype("float64"))
    for count in (3, 6):
        found = traced(data, IDS, np.zeros(count)).numpy()
        np.testing.assert_allclose(found, naive(segment_sum, data, IDS, count))


def test_refusals():
    x = np.zeros((3, 2), np.float32)
    with pytest.raises(ShapeError, match=r"\[segment_sum\] wants one number for each row"):
        segment_sum(x, [0, 1])
    with pytest.raises(ShapeError, match="one number for each row"):
        segment_sum(x, 1)
    with pytest.raises(DTypeError, match="integers as segment_ids"):
        segment_mean(x, [0.0, 1.0, 2.0])
    with pytest.raises(DTypeError, match=r"\[segment_prod\] wants numbers"):
        segment_prod(x > 0, [0, 1, 2], 3)
    with pytest.raises(DTypeError, match=r"\[segment_max\] wants real numbers"):
        segment_max(x.astype(np.complex64), [0, 1, 2], 3)
    with pytest.raises(ShapeError, match="sizes of zero or more"):
        segment_sum(x, [0, 1, 2], -1)
    with pytest.raises(ArgumentTypeError, match="integer sizes"):
        segment_sum(x, [0, 1, 2], 2.5)
    with pytest.raises(TraceError, match="Write segment_sum\\(data, segment_ids, num_segments\\)"):
        function(lambda ids: segment_sum(to_tensor(x), ids))(np.array([0, 1, 2]))

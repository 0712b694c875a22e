"""Windows of a time series: each is what its definition says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.keras import preprocessing, utils


def windows(count, length, stride, rate, start, end, targets):
    """The steps of each window and its target, by counting."""
    found = []
    for first in range(start, end, stride):
        steps = list(range(first, first + length * rate, rate))
        if steps[-1] >= end or (targets is not None and first >= targets):
            break
        found.append(steps)
    return found


@given(
    count=st.integers(12, 30),
    length=st.integers(1, 5),
    stride=st.integers(1, 4),
    rate=st.integers(1, 3),
    start=st.sampled_from([None, 0, 3]),
    end=st.sampled_from([None, 11]),
    targets=st.sampled_from([None, "as many", "fewer"]),
    batch_size=st.sampled_from([None, 4]),
)
def test_windows(count, length, stride, rate, start, end, targets, batch_size):
    data = np.arange(count)[:, None] * [1, -1]  # (steps, 2)
    number = {None: None, "as many": count, "fewer": count - 4}[targets]
    labels = None if targets is None else np.arange(number) * 10
    dataset = utils.timeseries_dataset_from_array(
        data, labels, length, stride, rate, batch_size, start_index=start, end_index=end
    )
    expected = windows(count, length, stride, rate, start or 0, end or count, number)
    found = list(dataset)
    if batch_size is not None:
        assert len(dataset) == len(found) == -(-len(expected) // batch_size)
        if targets is not None:
            found = [pair for x, y in found for pair in zip(x.numpy(), y.numpy(), strict=True)]
        else:
            found = [x for batch in found for x in batch.numpy()]
    found = (
        [(np.asarray(x), int(y)) for x, y in found] if targets else [np.asarray(x) for x in found]
    )
    assert len(found) == len(expected)
    for pair, steps in zip(found, expected, strict=True):
        x = pair[0] if targets else pair
        np.testing.assert_array_equal(x, data[steps])
        assert not targets or pair[1] == 10 * steps[0]


def test_batches_are_tensors():
    x, y = next(iter(preprocessing.timeseries_dataset_from_array([1.0] * 9, np.ones(9), 3)))
    assert isinstance(x, tw.Tensor)
    assert tuple(x.shape) == (7, 3)
    assert x.numpy().shape == (7, 3)
    assert tuple(y.shape) == (7,)


def test_shuffling():
    def order(dataset):
        return [int(first) for x in dataset for first in x[:, 0]]

    arguments = {"shuffle": True, "seed": 5, "batch_size": 4}
    dataset = utils.timeseries_dataset_from_array(np.arange(30), None, 3, **arguments)
    first, second = order(dataset), order(dataset)
    assert sorted(first) == sorted(second) == list(range(28))
    assert first != second
    again = utils.timeseries_dataset_from_array(np.arange(30), None, 3, **arguments)
    assert order(again) == first
    fixed = utils.timeseries_dataset_from_array(np.arange(30), None, 3, **arguments, format="grain")
    assert order(fixed) == order(fixed)


def test_a_series_that_is_too_short_has_no_window():
    dataset = utils.timeseries_dataset_from_array(np.arange(5), None, 6, shuffle=True)
    assert list(dataset) == []


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"start_index": -1}, "`start_index` must be 0 or greater"),
        ({"start_index": 10}, "`start_index` must be lower.*\n.*length 10"),
        ({"end_index": -1}, "`end_index` must be higher than 0"),
        ({"end_index": 10}, "`end_index` must be lower"),
        ({"start_index": 5, "end_index": 5}, "`end_index` must be higher than `start_index`"),
        ({"sampling_rate": 0}, "`sampling_rate` must be higher than 0"),
        ({"sampling_rate": 10}, "`sampling_rate` must be lower"),
        ({"sequence_stride": 0}, "`sequence_stride` must be higher than 0"),
        ({"sequence_stride": 10}, "`sequence_stride` must be lower"),
        ({"sequence_length": 0}, "`sequence_length` must be higher than 0"),
        ({"format": "other"}, '`format` should be either "tf" or "grain"'),
    ],
)
def test_wrong_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        utils.timeseries_dataset_from_array(np.arange(10), None, **{"sequence_length": 3, **kwargs})

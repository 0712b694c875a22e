"""split_dataset: the first and the last samples of arrays, streams and other libraries' data."""

import random
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import thalweg as tw
from thalweg.data import Dataset
from thalweg.keras.utils import split_dataset

X = np.arange(20).reshape(10, 2)
Y = np.arange(10)


def rows(dataset):
    return [int(np.ravel(x)[0]) // 2 for x in dataset]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (0.2, None, (range(2), range(2, 10))),
        (None, 3, (range(7), range(7, 10))),
        (2, 3, (range(2), range(7, 10))),
        (0.25, 0.5, (range(2), range(5, 10))),
        (9, None, (range(9), range(9, 10))),
    ],
)
def test_sizes(left, right, expected):
    for dataset in (X, tw.asarray(X), Dataset.from_tensor_slices(X), list(X), Numbered()):
        if isinstance(dataset, list):
            dataset = iter(dataset)
        parts = split_dataset(dataset, left, right)
        assert tuple(rows(part) for part in parts) == tuple(map(list, expected))
        assert tuple(len(part) for part in parts) == tuple(map(len, expected))
        assert all(isinstance(part, Dataset) for part in parts)


class Numbered:
    """A data set with a length and items, as PyTorch's have."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return X[index]


def test_shuffling_is_that_of_keras():
    left, right = split_dataset(X, 0.5, shuffle=True, seed=4)
    order = list(range(10))
    random.Random(4).shuffle(order)
    assert rows(left) == order[:5]
    assert rows(right) == order[5:]
    assert rows(left) == order[:5]  # and stays
    assert len(rows(split_dataset(X, 0.5, shuffle=True)[0])) == 5


Pair = namedtuple("Pair", ["x", "y"])


@pytest.mark.parametrize(
    "dataset",
    [
        [X, Y],
        (X, Y),
        ((X, X), Y),
        {"x": X, "y": Y},
        OrderedDict(y=Y, x=X),
        Dataset.from_tensor_slices((X, {"y": Y})),
        [(x, y) for x, y in zip(X, Y, strict=True)].__iter__(),
    ],
    ids=lambda dataset: type(dataset).__name__,
)
def test_nested_samples(dataset):
    left, right = split_dataset(dataset, right_size=0.3)
    first, last = next(iter(left)), list(right)[-1]
    assert len(list(right)) == 3
    for sample, number in ((first, 0), (last, 9)):
        if isinstance(sample, dict):
            x, y = sample["x"], sample["y"]
        else:
            x, y = sample
            x = x[0] if isinstance(x, tuple) else x
            y = y["y"] if isinstance(y, dict) else y
        np.testing.assert_array_equal(x, X[number])
        assert y == number


def test_a_batched_stream_is_split_by_samples():
    batched = Dataset.from_tensor_slices((X, Y)).batch(4)
    left, right = split_dataset(batched, 7)
    assert [len(y) for _, y in left] == [4, 3]
    assert [y.tolist() for _, y in right] == [[7, 8, 9]]


def test_a_stream_that_shuffles_is_read_once():
    stream = Dataset.from_tensor_slices(X).shuffle(10, seed=1)
    left, right = split_dataset(stream, 0.5)
    for _ in range(2):
        assert sorted(rows(left) + rows(right)) == list(range(10))


@pytest.mark.parametrize(
    ("sizes", "kind", "message"),
    [
        ((None, None), ValueError, "At least one of the `left_size` or `right_size`"),
        (("a", None), TypeError, "Invalid `left_size` Type"),
        ((None, True), TypeError, "Invalid `right_size` Type"),
        ((0, 0), ValueError, "Both `left_size` and `right_size` are zero"),
        ((10, None), ValueError, "`left_size` should be either a positive integer smaller than 10"),
        ((None, -1), ValueError, "`right_size` should be either"),
        ((1.5, None), ValueError, r"float within the range `\[0, 1\]`"),
        ((0.7, 0.6), ValueError, "greater than 1"),
        ((7, 6), ValueError, "add up to at most the 10 samples"),
        ((0.01, None), ValueError, "Resulting left side dataset split will be empty"),
        ((0.99, None), ValueError, "Resulting right side dataset split will be empty"),
    ],
)
def test_sizes_that_do_not_fit(sizes, kind, message):
    with pytest.raises(kind, match=message):
        split_dataset(X, *sizes)


@pytest.mark.parametrize(
    ("dataset", "kind", "message"),
    [
        (3, TypeError, "The `dataset` argument to be a data set"),
        ("text", TypeError, "The `dataset` argument to be a data set"),
        ([], ValueError, "Received an empty list dataset"),
        ([X, Y[:3]], ValueError, r"different lengths.\nReceived \(10, 2\), \(3,\)"),
        ([1, 2], ValueError, "arrays of equal length"),
        (iter([]), ValueError, "an empty dataset"),
        (Dataset.range(3).repeat(), ValueError, "a data set that ends"),
        (iter([np.ones(2), np.ones(3)]), ValueError, "one shape|equal shapes|shape"),
    ],
    ids=range(8),
)
def test_what_is_no_data_set(dataset, kind, message):
    with pytest.raises(kind, match=message):
        split_dataset(dataset, 0.5)


class TestTorch:
    """With PyTorch's data sets, where it is installed."""

    @pytest.fixture(autouse=True)
    def torch(self):
        return pytest.importorskip("torch")

    def test_its_data_sets_give_subsets(self, torch):
        dataset = torch.utils.data.TensorDataset(torch.from_numpy(X.copy()), torch.arange(10))
        left, right = split_dataset(dataset, 0.2)
        assert isinstance(left, torch.utils.data.Subset)
        assert [int(y) for _, y in left] == [0, 1]
        assert [int(y) for _, y in right] == list(range(2, 10))
        left, right = split_dataset(dataset, 0.5, shuffle=True, seed=1)
        assert sorted([int(y) for _, y in left] + [int(y) for _, y in right]) == list(range(10))

    def test_arrays_become_its_data_sets(self, torch):
        left, right = split_dataset((X, Y), 0.2, preferred_backend="torch")
        assert isinstance(left, torch.utils.data.TensorDataset)
        assert len(left) == 2
        assert len(right) == 8
        assert [int(y) for _, y in left] == [0, 1]
        assert split_dataset(torch.from_numpy(X.copy()), 0.2)[0].cardinality() == 2

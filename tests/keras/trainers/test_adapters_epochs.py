"""EpochIterator: what an epoch holds, over data that is longer, shorter or endless."""

import itertools
import warnings

import numpy as np
import pytest

from thalweg.data import Dataset
from thalweg.keras import settings
from thalweg.keras.trainers.epoch_iterator import EpochIterator
from thalweg.keras.utils.py_dataset import PyDataset

X = np.arange(100.0, dtype="float32")[:, None]
RAN_OUT = "Your input ran out of data"


def steps(iterator):
    """An epoch's steps, (first, last, the number in each batch's first row), and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [
            (begin, end, [int(_first(batch)) for batch in taken]) for begin, end, taken in iterator
        ]
    return found, [str(each.message)[: len(RAN_OUT)] for each in caught]


def _first(batch):
    return (batch[0] if isinstance(batch, tuple) else batch)[0, 0]


def yielding(count):
    for number in range(count):
        yield (np.full((2, 1), number),)


def batches_of_100(**options):
    """Seven batches, of rows 0, 16, 32, 48, 64, 80 and 96."""
    return EpochIterator(X, batch_size=16, **options)


@pytest.mark.parametrize("take", [iter, lambda iterator: iterator.enumerate_epoch()])
def test_steps(take):
    iterator = EpochIterator(X, X, X[:, 0], batch_size=16, shuffle=True)
    found = list(take(iterator))
    assert [(begin, end) for begin, end, _ in found] == [(i, i) for i in range(7)]
    for _, _, (batch,) in found:
        assert len(batch) == 3 and type(batch[0]) is np.ndarray
    assert iterator.num_batches == 7


def test_several_batches_in_a_step():
    iterator = batches_of_100(steps_per_execution=2)
    expected = [(0, 1, [0, 16]), (2, 3, [32, 48]), (4, 5, [64, 80]), (6, 7, [96])]
    for _ in range(2):
        assert steps(iterator) == (expected, [])


def test_epochs_shorter_than_the_data_go_on_in_it():
    iterator = batches_of_100(steps_per_epoch=3)
    assert iterator.num_batches == 3
    assert steps(iterator) == ([(0, 0, [0]), (1, 1, [16]), (2, 2, [32])], [])
    assert steps(iterator) == ([(0, 0, [48]), (1, 1, [64]), (2, 2, [80])], [])
    assert steps(iterator) == ([(0, 0, [96])], [RAN_OUT])
    assert steps(iterator)[0][0] == (0, 0, [0])


def test_an_epoch_that_ends_with_the_data_needs_no_more():
    iterator = batches_of_100(steps_per_epoch=7)
    for _ in range(2):
        found, warned = steps(iterator)
        assert len(found) == 7 and not warned


@pytest.mark.parametrize("steps_per_execution", [1, 2, 3])
def test_data_shorter_than_the_epoch(steps_per_execution):
    iterator = batches_of_100(steps_per_epoch=9, steps_per_execution=steps_per_execution)
    for _ in range(2):
        found, warned = steps(iterator)
        assert sum(len(taken) for _, _, taken in found) == 7 and warned == [RAN_OUT]


def test_a_generator_is_as_long_as_it_is():
    iterator = EpochIterator(yielding(5))
    assert iterator.num_batches is None
    assert steps(iterator) == ([(i, i, [i]) for i in range(5)], [])
    assert iterator.num_batches == 5
    assert steps(iterator) == ([(0, 0, [0])], [RAN_OUT])


def test_a_generator_in_epochs():
    iterator = EpochIterator(yielding(5), steps_per_epoch=2)
    assert steps(iterator) == ([(0, 0, [0]), (1, 1, [1])], [])
    assert steps(iterator) == ([(0, 0, [2]), (1, 1, [3])], [])
    assert steps(iterator) == ([(0, 0, [4])], [RAN_OUT])


def test_a_pipeline_of_unknown_length_may_differ_from_epoch_to_epoch():
    lengths = iter([3, 5, 2])
    dataset = Dataset.from_generator(lambda: yielding(next(lengths)))
    iterator = EpochIterator(dataset)
    assert [len(steps(iterator)[0]) for _ in range(3)] == [3, 5, 2]
    assert iterator.num_batches == 3


def test_an_endless_pipeline_goes_on():
    dataset = Dataset.range(10).map(lambda x: x[None]).batch(2).repeat()
    iterator = EpochIterator(dataset, steps_per_epoch=3)
    assert steps(iterator)[0] == [(0, 0, [0]), (1, 1, [2]), (2, 2, [4])]
    assert steps(iterator)[0] == [(0, 0, [6]), (1, 1, [8]), (2, 2, [0])]


class Told(PyDataset):
    """Notes when its epochs begin and end."""

    def __init__(self, length, **options):
        super().__init__(**options)
        self.length = length
        self.events = []

    @property
    def num_batches(self):
        return self.length

    def __getitem__(self, index):
        return np.full((2, 1), index)

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("length", [None, 4, 20])
def test_data_is_told_of_epochs(length, workers):
    data = Told(length, workers=workers)
    iterator = EpochIterator(data, steps_per_epoch=10)
    for _ in range(5):
        steps(iterator)
    assert data.events == ["begin", "end"] * 5


def test_an_epoch_that_is_left_stops_its_workers():
    data = Told(None, workers=2)
    iterator = EpochIterator(data, steps_per_epoch=10)
    next(iter(iterator))
    assert iterator.data_adapter._workers.executor is not None
    iterator.reset()
    assert iterator.data_adapter._workers.executor is None
    assert data.events == ["begin"]


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_looking_at_the_first_batch_takes_nothing_away(steps_per_execution):
    for make in (
        lambda: EpochIterator(yielding(5), steps_per_execution=steps_per_execution),
        lambda: EpochIterator(Told(5, workers=2), steps_per_execution=steps_per_execution),
        lambda: batches_of_100(shuffle=True, steps_per_execution=steps_per_execution),
    ):
        np.random.seed(0)
        untouched = steps(make())[0]
        np.random.seed(0)
        iterator = make()
        assert int(_first(iterator.peek())) == untouched[0][2][0]
        next(iter(iterator))
        iterator.reset()
        assert steps(iterator)[0] == untouched


@pytest.mark.parametrize("steps_per_execution", [1, 2])
@pytest.mark.parametrize(
    ("kind", "steps_per_epoch"),
    [
        *itertools.product(["arrays", "pipeline", "py dataset"], [None, 3, 7, 9]),
        *itertools.product(["endless"], [3, 7, 9]),  # it has no second epoch without them
    ],
)
def test_a_run_goes_on_at_any_epoch(kind, steps_per_epoch, steps_per_execution):
    def make():
        np.random.seed(5)
        pipeline = Dataset.from_tensor_slices(X).shuffle(100, seed=1).batch(16)
        data = {
            "arrays": X,
            "pipeline": pipeline,
            "endless": pipeline.repeat(),
            "py dataset": Told(7),
        }
        return EpochIterator(
            data[kind],
            batch_size=16,
            shuffle=kind in ("arrays", "py dataset"),
            steps_per_epoch=steps_per_epoch,
            steps_per_execution=steps_per_execution,
        )

    iterator = make()
    epochs = [steps(iterator)[0] for _ in range(6)]
    for epoch in range(6):
        resumed = make()
        resumed.start_at(epoch)
        assert [steps(resumed)[0] for _ in range(6 - epoch)] == epochs[epoch:]


def test_a_generator_stands_where_it_stands():
    iterator = EpochIterator(yielding(100), steps_per_epoch=4)
    iterator.start_at(3)
    assert steps(iterator)[0] == [(i, i, [i]) for i in range(4)]


def test_a_limit_on_the_steps_of_every_epoch():
    settings.set_max_steps_per_epoch(2)
    try:
        with pytest.warns(UserWarning, match="Limiting steps_per_epoch to 2"):
            iterator = batches_of_100(steps_per_epoch=5)
        assert iterator.num_batches == len(steps(iterator)[0]) == 2
    finally:
        settings.set_max_steps_per_epoch(None)

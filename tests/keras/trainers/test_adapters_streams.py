"""Data that comes as batches: generators, PyDatasets, loaders, pipelines."""

import gc
import itertools
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

import thalweg as tw
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.data import Dataset
from thalweg.keras.trainers.adapters import (
    DatasetAdapter,
    GeneratorDataAdapter,
    GrainDatasetAdapter,
    IterableDataAdapter,
    PyDatasetAdapter,
    TFDatasetAdapter,
    TorchDataLoaderAdapter,
    get_data_adapter,
)
from thalweg.keras.utils.py_dataset import PyDataset

X = np.arange(68, dtype="float32").reshape(34, 2)
Y = np.arange(34)


def batches(size=16, count=34):
    for start in range(0, count, size):
        yield X[start : start + size], Y[start : start + size]


def labels(adapter, epoch=None, start=0):
    values = adapter.get_numpy_iterator() if epoch is None else adapter.iterate(epoch, start)
    return [batch[1].tolist() for batch in values]


WHOLE = [list(range(16)), list(range(16, 32)), [32, 33]]


# ---- generators ----------------------------------------------------------------------------------


def test_a_generator():
    adapter = get_data_adapter(batches())
    assert type(adapter) is GeneratorDataAdapter
    assert adapter.num_batches is None and adapter.batch_size is None
    assert adapter.peek()[1].tolist() == WHOLE[0]
    assert labels(adapter) == WHOLE
    assert labels(adapter) == WHOLE[:1]  # what has ended still gives the batch that was looked at


def test_an_endless_generator_is_read_as_far_as_it_is_asked():
    made = []

    def endless():
        for number in itertools.count():
            made.append(number)
            yield (np.full((2, 1), number),)

    adapter = get_data_adapter(endless())
    assert made == [0]
    taken = list(itertools.islice(adapter.get_numpy_iterator(), 3))
    assert [batch[0][0, 0] for batch in taken] == [0, 1, 2] and made == [0, 1, 2]


def test_what_generators_yield_is_converted():
    pandas = pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    tensor = tw.ones((2, 1))

    def mixed():
        yield {"t": tensor, "f": pandas.DataFrame([[1], [2]])}, [sparse.eye(2).tocoo(), None], X[:2]

    x, (one, two), weight = get_data_adapter(mixed()).peek()
    assert x["t"] is tensor and x["f"].tolist() == [[1], [2]]
    assert one.tolist() == [[1.0, 0.0], [0.0, 1.0]] and two is None
    assert weight.base is X or weight is not None


def test_iterators_and_loaders_written_by_hand():
    assert labels(get_data_adapter(iter(list(batches())))) == WHOLE

    class Loader:
        def __iter__(self):
            return batches()

        def __len__(self):
            return 3

    adapter = get_data_adapter(Loader())
    assert type(adapter) is IterableDataAdapter and adapter.num_batches == 3
    assert labels(adapter) == labels(adapter) == WHOLE
    assert labels(adapter, 0, 2) == WHOLE[2:]


# ---- PyDatasets ----------------------------------------------------------------------------------


class Numbers(PyDataset):
    """Batches of four consecutive numbers."""

    def __init__(self, count=8, delay=None, is_endless=False, **options):
        super().__init__(**options)
        self.count = count
        self.delay = delay
        self.is_endless = is_endless
        self.events = []

    @property
    def num_batches(self):
        return None if self.is_endless else self.count

    def __getitem__(self, index):
        if self.delay is not None:
            time.sleep(self.delay(index))
        rows = np.arange(4 * index, 4 * index + 4)
        return rows[:, None].astype("float32"), rows

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


IN_ORDER = [list(range(start, start + 4)) for start in range(0, 32, 4)]
WAYS = {
    "none": {},
    "threads": {"workers": 3, "max_queue_size": 4},
    "one place": {"workers": 2, "max_queue_size": 1},
    "no bound": {"workers": 2, "max_queue_size": 0},
}


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    end = time.monotonic() + 10
    while any(thread.name.startswith("thalweg-batches") for thread in threading.enumerate()):
        assert time.monotonic() < end, "a worker was left"
        time.sleep(0.002)


def unsteady(index):
    """The first batches take longest."""
    return 0.004 * (3 - index % 4)


@pytest.mark.parametrize("way", WAYS)
def test_a_py_dataset_comes_in_order(way):
    adapter = get_data_adapter(Numbers(delay=unsteady, **WAYS[way]))
    assert type(adapter) is PyDatasetAdapter and adapter.num_batches == 8
    for _ in range(2):
        adapter.on_epoch_begin()
        assert labels(adapter) == IN_ORDER
        adapter.on_epoch_end()
    assert adapter.py_dataset.events == ["begin", "end"] * 2
    assert labels(adapter, 3, 5) == IN_ORDER[5:]


@pytest.mark.parametrize("way", ["none", "threads"])
def test_a_py_dataset_shuffled(way):
    np.random.seed(1)
    adapter = get_data_adapter(Numbers(**WAYS[way]), shuffle=True)
    orders = [labels(adapter) for _ in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == IN_ORDER
    assert labels(adapter, 1, 3) == orders[1][3:]
    assert adapter.peek()[1].tolist() == labels(adapter)[0]


@pytest.mark.parametrize("way", WAYS)
def test_an_endless_py_dataset_goes_on_over_epochs(way):
    adapter = get_data_adapter(Numbers(is_endless=True, delay=unsteady, **WAYS[way]), shuffle=True)
    assert adapter.num_batches is None
    iterator = adapter.get_numpy_iterator()
    seen = []
    for _ in range(3):
        adapter.on_epoch_begin()
        seen += [batch[1].tolist() for batch in itertools.islice(iterator, 3)]
        adapter.on_epoch_end()
    assert seen == [list(range(start, start + 4)) for start in range(0, 36, 4)]


def test_batches_after_the_end_of_an_epoch_are_refused():
    adapter = get_data_adapter(Numbers(is_endless=True, workers=2))
    iterator = adapter.get_numpy_iterator()
    next(iterator)
    adapter.on_epoch_end()
    with pytest.raises(ArgumentError, match="Iterator called after `on_epoch_end`"):
        list(itertools.islice(iterator, 20))


def test_no_more_are_in_work_than_the_queue_holds():
    asked = []
    adapter = get_data_adapter(
        Numbers(
            count=100, delay=lambda index: asked.append(index) or 0, workers=2, max_queue_size=3
        )
    )
    iterator = adapter.get_numpy_iterator()
    next(iterator)
    time.sleep(0.05)
    assert sorted(asked) == [0, 1, 2]
    adapter.close()


def test_workers_run_side_by_side():
    together = threading.Barrier(3)
    adapter = get_data_adapter(
        Numbers(count=6, delay=lambda index: together.wait(10) and 0, workers=3, max_queue_size=3)
    )
    assert labels(adapter) == IN_ORDER[:6]


PROGRAM = """
import numpy as np
from thalweg.keras.trainers.adapters import get_data_adapter
from thalweg.keras.utils.py_dataset import PyDataset


class Numbers(PyDataset):
    epoch = 0

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if self.epoch == 2 and index == 2:
            raise LookupError("batch two")
        return np.full((4, 1), 100 * self.epoch + index),

    def on_epoch_end(self):
        self.epoch += 1


data = Numbers(workers=2, use_multiprocessing=True, max_queue_size=3)
adapter = get_data_adapter(data)
for epoch in range(3):
    adapter.on_epoch_begin()
    try:
        for (batch,) in adapter.get_numpy_iterator():
            print(batch[0, 0])
    except LookupError as error:
        print(error)
    adapter.on_epoch_end()
"""


def test_processes_keep_the_order_and_see_what_changed_between_epochs():
    # In a process without the threads of other libraries, which do not like to be forked.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=90
    )
    epochs = [[0, 1, 2, 3, 4], [100, 101, 102, 103, 104], [200, 201, "batch two"]]
    assert done.stdout.split("\n") == [*map(str, itertools.chain(*epochs)), ""], done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_a_py_dataset_are_raised_where_the_batch_is_taken(workers):
    class Failing(Numbers):
        def __getitem__(self, index):
            if index == 2:
                raise LookupError("batch two")
            return super().__getitem__(index)

    iterator = get_data_adapter(Failing(workers=workers)).get_numpy_iterator()
    assert next(iterator)[1].tolist() == IN_ORDER[0]
    next(iterator)
    with pytest.raises(LookupError, match="batch two") as raised:
        next(iterator)
    assert traceback.extract_tb(raised.value.__traceback__)[-1].name == "__getitem__"


def test_forms_of_a_py_datasets_batches():
    class Gives(PyDataset):
        def __init__(self, batch):
            super().__init__()
            self.batch = batch

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return self.batch

    def taken(batch, **options):
        return get_data_adapter(Gives(batch), **options).peek()

    assert type(taken(X)) is tuple and len(taken(X)) == 1
    assert type(taken([X, Y])) is tuple and len(taken([X, Y])) == 2
    assert taken({"a": X})["a"] is X
    assert taken((X, Y % 3), class_weight={1: 7.0})[2].tolist()[:4] == [1.0, 7.0, 1.0, 1.0]
    assert len(taken((X,), class_weight={1: 7.0})) == 1
    for wrong in ("words", (X, Y, Y, Y), None, ()):
        with pytest.raises(ArgumentError, match=r"PyDataset.__getitem__\(\) must return a tuple"):
            taken(wrong)
    with pytest.raises(ArgumentError, match="You cannot `class_weight` and `sample_weight`"):
        taken((X, Y, Y), class_weight={1: 7.0})


# ---- pipelines -----------------------------------------------------------------------------------


def test_a_pipeline():
    dataset = Dataset.from_tensor_slices((X, Y)).shuffle(34, seed=1).batch(16)
    adapter = get_data_adapter(dataset)
    assert type(adapter) is DatasetAdapter
    assert adapter.num_batches == 3 and adapter.batch_size is None
    epochs = [labels(adapter) for _ in range(3)]
    assert epochs[0] != epochs[1]
    assert epochs == [[y.tolist() for _, y in dataset.iterate(epoch)] for epoch in range(3)]
    assert labels(adapter, 1, 2) == epochs[1][2:]
    assert dataset.epoch == 3 and labels(get_data_adapter(dataset)) not in epochs
    assert get_data_adapter(dataset.repeat()).num_batches is None
    assert get_data_adapter(dataset.filter(lambda x, y: True)).num_batches is None
    even = Dataset.from_tensor_slices(X).batch(17, drop_remainder=True)
    assert get_data_adapter(even).batch_size == 17


def test_a_pipeline_with_weights_of_classes():
    pairs = Dataset.from_tensor_slices((X, Y % 3))
    _, _, weight = get_data_adapter(pairs.batch(4), class_weight={1: 7.0}).peek()
    assert weight.tolist() == [1.0, 7.0, 1.0, 1.0]
    with pytest.raises(ArgumentError, match="You cannot `class_weight` and `sample_weight`"):
        get_data_adapter(Dataset.from_tensor_slices((X, Y, Y)).batch(4), class_weight={})
    with pytest.raises(ArgumentError, match="only supported for Models with a single output"):
        get_data_adapter(Dataset.from_tensor_slices((X, (Y, Y))).batch(4), class_weight={})


def test_a_pipeline_without_batches_is_told_so():
    with pytest.raises(ShapeError, match=r"Did you forget \.batch\(32\)\?"):
        get_data_adapter(Dataset.from_tensor_slices((X, Y))).peek()


def test_streams_of_single_numbers_are_told_so():
    for stream in (iter([(1, 2)]), range(3), iter([(X, np.float32(1))])):
        with pytest.raises(ShapeError, match=r"a single number.*\n.*whole batches"):
            get_data_adapter(stream).peek()


class Spec:
    def __init__(self, shape):
        self.shape = shape


class EagerTensor:
    """As much of a TensorFlow tensor as an adapter looks at."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


class SparseTensor:
    __module__ = "tensorflow.python.framework.sparse_tensor"

    def __init__(self, indices, values, shape):
        self.indices, self.values, self.shape = EagerTensor(indices), EagerTensor(values), shape


class RaggedTensor:
    __module__ = "tensorflow.python.ops.ragged.ragged_tensor"

    def __init__(self, array):
        self.array = array

    def to_tensor(self):
        return EagerTensor(self.array)


class DatasetV2:
    """As much of a tf.data.Dataset as an adapter looks at."""

    __module__ = "tensorflow.python.data.ops.dataset_ops"

    def __init__(self, elements, cardinality, spec):
        self.elements, self.element_spec = elements, spec
        self.count = cardinality

    def cardinality(self):
        return EagerNumber(self.count)

    def __iter__(self):
        return iter(self.elements)


class EagerNumber:
    def __init__(self, number):
        self.number = number

    def __int__(self):
        return self.number


def tf_dataset(count=3, parts=2):
    elements = [(EagerTensor(x), EagerTensor(y), EagerTensor(y))[:parts] for x, y in batches()]
    spec = (Spec((None, 2)), Spec((None,)), Spec((None,)))[:parts]
    return DatasetV2(elements, count, spec)


def test_a_dataset_of_tensorflow():
    adapter = get_data_adapter(tf_dataset())
    assert type(adapter) is TFDatasetAdapter
    assert adapter.num_batches == 3 and adapter.batch_size is None
    assert adapter.has_partial_batch is None and adapter.partial_batch_size is None
    assert all(type(part) is np.ndarray for part in adapter.peek())
    assert labels(adapter) == labels(adapter) == WHOLE
    assert labels(adapter, 0, 1) == WHOLE[1:]
    for unknown in (-1, -2):
        assert get_data_adapter(tf_dataset(unknown)).num_batches is None
    weighed = get_data_adapter(tf_dataset(), class_weight={1: 7.0}).peek()
    assert weighed[2].tolist()[:3] == [1.0, 7.0, 1.0]
    with pytest.raises(ArgumentError, match="You cannot `class_weight` and `sample_weight`"):
        get_data_adapter(tf_dataset(parts=3), class_weight={1: 7.0})
    with pytest.raises(ArgumentError, match=r"argument `dataset` to be a tf\.data"):
        TFDatasetAdapter("words")


def test_ragged_and_sparse_tensors_of_tensorflow_become_dense():
    sparse = SparseTensor([[0, 0], [1, 2]], np.array([1.0, 2.0], "float32"), (2, 4))
    ragged = RaggedTensor([[1, 0], [2, 3]])
    adapter = get_data_adapter(DatasetV2([(sparse, ragged)], 1, (Spec((2, 4)), Spec((2, None)))))
    x, y = adapter.peek()
    assert x.tolist() == [[1.0, 0, 0, 0], [0, 0, 2.0, 0]] and y.tolist() == [[1, 0], [2, 3]]


class MapDataset:
    __module__ = "grain._src.python.dataset.dataset"

    def __init__(self, elements):
        self.elements = elements

    def __iter__(self):
        return iter(self.elements)


def test_a_dataset_of_grain():
    adapter = get_data_adapter(MapDataset(list(batches())))
    assert type(adapter) is GrainDatasetAdapter
    assert adapter.num_batches is None and adapter.batch_size == 16
    assert labels(adapter) == WHOLE
    with pytest.raises(ArgumentError, match=r"to be a grain\.MapDataset, grain\.Iter"):
        GrainDatasetAdapter([])


def test_a_loader_of_torch():
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    adapter = get_data_adapter(torch.utils.data.DataLoader(pairs, batch_size=16))
    assert type(adapter) is TorchDataLoaderAdapter
    assert (adapter.num_batches, adapter.batch_size) == (3, 16)
    assert adapter.has_partial_batch is True and adapter.partial_batch_size == 2
    assert all(type(part) is np.ndarray for part in adapter.peek())
    assert labels(adapter) == labels(adapter) == WHOLE

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield from zip(X, Y, strict=True)

    adapter = get_data_adapter(torch.utils.data.DataLoader(Stream(), batch_size=16))
    assert adapter.num_batches is None and adapter.has_partial_batch is None
    assert labels(adapter) == WHOLE

    alone = torch.utils.data.DataLoader(torch.as_tensor(X), batch_size=16)
    assert [batch[0].shape for batch in get_data_adapter(alone).iterate(0)][-1] == (2, 2)
    with pytest.raises(ArgumentError, match="`x` as a torch DataLoader, `y` should"):
        get_data_adapter(alone, Y)
    with pytest.raises(ArgumentError, match="not supported for torch DataLoader"):
        get_data_adapter(alone, class_weight={0: 1.0})


# ---- refusals ------------------------------------------------------------------------------------

SOURCES = {
    "generator": lambda: batches(),
    "PyDataset": Numbers,
    "tf.data.Dataset": tf_dataset,
    "thalweg.data.Dataset": lambda: Dataset.from_tensor_slices((X, Y)).batch(4),
    "grain.Dataset and grain.DataLoader": lambda: MapDataset(list(batches())),
}


@pytest.mark.parametrize("name", SOURCES)
def test_data_that_brings_its_own_targets(name):
    source = SOURCES[name]()
    with pytest.raises(ArgumentError, match=f"When providing `x` as a {name}, `y` should not be"):
        get_data_adapter(source, Y)
    with pytest.raises(ArgumentError, match="`sample_weights` should not be passed"):
        get_data_adapter(source, sample_weight=Y)
    if name != "PyDataset":
        with pytest.warns(UserWarning, match="shuffle='batch' is ignored"):
            get_data_adapter(source, shuffle="batch")


def test_refusals():
    with pytest.raises(ArgumentError, match="Unrecognized data type: x='words' of str"):
        get_data_adapter("words")
    with pytest.raises(ArgumentError, match="the generator must yield at least one batch"):
        get_data_adapter(iter([]))
    with pytest.raises(ArgumentError, match="must return a tuple"):
        get_data_adapter(iter([X]))
    with pytest.raises(ArgumentError, match="not supported for generator"):
        get_data_adapter(batches(), class_weight={0: 1.0})


def test_an_adapter_is_taken_as_it_is():
    adapter = get_data_adapter(X)
    assert get_data_adapter(adapter) is adapter

"""Data that comes as batches already: generators, loaders, pipelines of any library.

class                   takes                                       passes    length
GeneratorDataAdapter    a generator, any iterator                   one       not known
IterableDataAdapter     what can be iterated again and again        many      len(), if it has one
TorchDataLoaderAdapter  torch.utils.data.DataLoader                 many      len(), if it has one
GrainDatasetAdapter     grain's MapDataset, IterDataset, DataLoader many      not known
TFDatasetAdapter        tf.data.Dataset                             many      cardinality()
DatasetAdapter          thalweg.data.Dataset                        many      cardinality()
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import tree
from thalweg.keras.trainers.adapters.adapter import (
    FORGOTTEN,
    DataAdapter,
    as_batch,
    with_batch_axis,
)
from thalweg.keras.trainers.adapters.kinds import is_of
from thalweg.keras.trainers.adapters.sample_weight import check_class_weight, class_weigher
from thalweg.keras.utils.sample_weight import unpack_x_y_sample_weight


class GeneratorDataAdapter(DataAdapter):
    """Batches that a Python generator yields: tuples (x,), (x, y) or (x, y, sample_weight).

    The first is taken at once and comes first in every pass, so that it can be looked at before; a
    generator that has ended still gives it. Errors: ArgumentError for a generator that yields
    nothing, or something else than a tuple.
    """

    starts_anew = False

    def __init__(self, generator: Iterator[Any]):
        self.generator = generator
        self._first = list(itertools.islice(generator, 1))
        if not self._first:
            raise ArgumentError(
                explain(
                    "fit",
                    "a generator of batches",
                    "an empty generator; the generator must yield at least one batch",
                    "A generator that has been used is empty: make a new one.",
                )
            )
        if not isinstance(self._first[0], tuple):
            raise ArgumentError(
                explain(
                    "fit",
                    "a generator of tuples. When passing a Python generator to a Keras model, the "
                    "generator must return a tuple, either (input,) or (inputs, targets) or "
                    "(inputs, targets, sample_weights)",
                    f"{type(self._first[0]).__name__} {_short(self._first[0])}",
                    "Write yield x, y.",
                )
            )

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        batches = itertools.chain(self._first, self.generator)
        return with_batch_axis(map(as_batch, itertools.islice(batches, start, None)))

    def give_back(self, batches: Sequence[Any]) -> None:
        # The first is kept anyway.
        self.generator = itertools.chain(batches[1:], self.generator)


class IterableDataAdapter(DataAdapter):
    """Batches of an object that can be iterated again and again."""

    def __init__(self, batches: Iterable[Any]):
        self._batches = batches

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        batches = itertools.islice(iter(self._batches), start, None)
        return with_batch_axis(map(as_batch, batches))

    @property
    def num_batches(self) -> int | None:
        return len(self._batches) if isinstance(self._batches, Sized) else None


class TorchDataLoaderAdapter(DataAdapter):
    """Batches of a torch DataLoader, as tuples of NumPy arrays that share its memory."""

    def __init__(self, dataloader: Any):
        if not is_torch_dataloader(dataloader):
            raise _other_kind(
                "Expected argument `dataloader`", "`torch.utils.data.DataLoader`", dataloader
            )
        self._loader = dataloader

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        batches = map(_loaded, itertools.islice(iter(self._loader), start, None))
        return with_batch_axis(batches)

    @property
    def num_batches(self) -> int | None:
        return len(self._loader) if hasattr(self._loader.dataset, "__len__") else None

    @property
    def batch_size(self) -> int | None:
        return self._loader.batch_size

    @property
    def has_partial_batch(self) -> bool | None:
        return True if self.partial_batch_size else None

    @property
    def partial_batch_size(self) -> int | None:
        size, dataset = self._loader.batch_size, self._loader.dataset
        return len(dataset) % size if size is not None and hasattr(dataset, "__len__") else None


def _loaded(batch: Any) -> Any:
    batch = as_batch(batch)
    if isinstance(batch, list):
        return tuple(batch)
    return batch if isinstance(batch, (tuple, dict)) else (batch,)


class GrainDatasetAdapter(DataAdapter):
    """Batches of a dataset or loader of grain."""

    def __init__(self, dataset: Any):
        if not is_grain_dataset(dataset):
            kinds = "a grain.MapDataset, grain.IterDataset or grain.DataLoader"
            raise _other_kind("Expected `dataset`", kinds, dataset)
        self._dataset = dataset
        self._batch_size = _first_size(dataset)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        batches = itertools.islice(iter(self._dataset), start, None)
        return with_batch_axis(map(as_batch, batches))

    @property
    def batch_size(self) -> int | None:
        return self._batch_size


def _first_size(batches: Iterable[Any]) -> int | None:
    """The number of samples in the first two batches, if it is the same."""
    shapes: list[Any] = [
        getattr(tree.flatten(batch)[0], "shape", ()) for batch in itertools.islice(batches, 2)
    ]
    sizes = {int(shape[0]) for shape in shapes if len(shape)}
    return sizes.pop() if len(sizes) == 1 and all(map(len, shapes)) else None


class PipelineAdapter(DataAdapter):
    """Batches of a dataset that says how many there are and what they hold, as tf.data's do."""

    def __init__(self, dataset: Any, class_weight: Mapping[int, float] | None = None):
        self._dataset = dataset
        self._weigh = None if class_weight is None else class_weigher(class_weight)
        if class_weight is not None:
            spec = dataset.element_spec
            _, y, sample_weight = unpack_x_y_sample_weight(spec)
            check_class_weight(y, sample_weight)

    def _batches(self, epoch: int, start: int) -> Iterator[Any]:
        raise NotImplementedError

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        batches = self._batches(epoch, start)
        if self._weigh is not None:
            batches = map(self._weigh, batches)
        return with_batch_axis(batches, FORGOTTEN)

    @property
    def num_batches(self) -> int | None:
        cardinality = self._dataset.cardinality
        # A distributed dataset of TensorFlow has a number in place of the method.
        count = int(cardinality() if callable(cardinality) else cardinality)
        return None if count < 0 else count

    @property
    def batch_size(self) -> int | None:
        shape = tree.flatten(self._dataset.element_spec)[0].shape
        return shape[0] if shape is not None and len(shape) else None


class TFDatasetAdapter(PipelineAdapter):
    """Batches of a tf.data.Dataset, as NumPy arrays; TensorFlow itself is not asked for."""

    def __init__(self, dataset: Any, class_weight: Mapping[int, float] | None = None):
        if not is_tf_dataset(dataset):
            raise _other_kind("Expected argument `dataset`", "a tf.data.Dataset", dataset)
        super().__init__(dataset, class_weight)

    def _batches(self, epoch: int, start: int) -> Iterator[Any]:
        return map(as_batch, itertools.islice(iter(self._dataset), start, None))


class DatasetAdapter(PipelineAdapter):
    """Batches of a `thalweg.data.Dataset`: any epoch, from any place on."""

    is_addressable = True

    def __init__(self, dataset: Any, class_weight: Mapping[int, float] | None = None):
        super().__init__(dataset, class_weight)
        self._before = dataset.epoch

    def _batches(self, epoch: int, start: int) -> Iterator[Any]:
        return self._dataset.iterate(self._before + epoch, start)

    def get_numpy_iterator(self, start: int = 0) -> Iterator[Any]:
        batches = super().get_numpy_iterator(start)
        # What iterates the dataset next, `fit` again or a loop, goes on after these epochs.
        self._dataset.epoch = self._before + self.epoch
        return batches


# ---- recognising them ----------------------------------------------------------------------------

TF_DATASETS = ("DatasetV2", "DistributedDataset", "DistributedDatasetsFromFunction")


def is_tf_dataset(value: Any) -> bool:
    """True for tf.data.Dataset and the datasets of its distribution strategies."""
    return is_of(value, "tensorflow", *TF_DATASETS)


def is_torch_dataloader(value: Any) -> bool:
    """True for torch.utils.data.DataLoader."""
    return is_of(value, "torch", "DataLoader")


def is_grain_dataset(value: Any) -> bool:
    """True for grain's MapDataset, IterDataset and DataLoader."""
    return is_of(value, "grain", "MapDataset", "IterDataset", "DataLoader")


def is_thalweg_dataset(value: Any) -> bool:
    """True for `thalweg.data.Dataset`, which this module need not import."""
    return is_of(value, "thalweg", "Dataset")


def is_iterable(value: Any) -> bool:
    """True for an object made to be iterated, which is no plain container."""
    containers = (str, bytes, list, tuple, set, frozenset, Mapping, np.ndarray, Tensor)
    return hasattr(value, "__iter__") and not isinstance(value, containers)


def _other_kind(expected: str, wanted: str, value: Any) -> ArgumentError:
    return ArgumentError(
        explain(
            "fit",
            wanted,
            f"{_short(value)} of type {type(value).__name__}. {expected} to be {wanted}",
        )
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

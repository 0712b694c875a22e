"""Arrays of equal length, cut into batches; and cut in two, for training and validation."""

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import tree
from thalweg.keras.trainers.adapters.adapter import DataAdapter
from thalweg.keras.trainers.adapters.kinds import is_array, part, rows_of
from thalweg.keras.trainers.adapters.sample_weight import (
    check_class_weight,
    class_weight_to_sample_weights,
    spread_sample_weight,
)
from thalweg.keras.utils.sample_weight import pack_x_y_sample_weight

DEFAULT_BATCH_SIZE = 32
NAMES = ("x", "y", "sample_weight")


def can_convert_arrays(arrays: Any) -> bool:
    """True for a nest of arrays, tensors, pandas objects and None."""
    return all(is_array(leaf) for leaf in tree.flatten(arrays))


class ArrayDataAdapter(DataAdapter):
    """Batches of arrays in nests: NumPy, tensors of any library, pandas, sparse matrices.

    Floats come in Keras' float type. `shuffle` mixes all samples anew for every epoch, "batch" only
    those within each batch. Without a `batch_size` there are `steps` batches, or 32 samples in one.
    Orders are drawn from a seed that NumPy's global generator gives when the adapter is made.

    Errors: ArgumentError for what is no array and for settings that exclude one another, ShapeError
    for arrays of different lengths or without samples.
    """

    is_addressable = True

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
    ):
        if not can_convert_arrays((x, y, sample_weight)):
            raise ArgumentError(
                explain(
                    "fit",
                    "arrays as x, y and sample_weight",
                    _first_stranger(x, y, sample_weight),
                    "Expected all elements of `x` to be array-like. Write numpy.array(x).",
                )
            )
        if class_weight is not None:
            check_class_weight(y, sample_weight)
            sample_weight = class_weight_to_sample_weights(y, class_weight)
        inputs = pack_x_y_sample_weight(x, y, spread_sample_weight(y, sample_weight))
        samples = sample_count(dict(zip(NAMES, (x, y, sample_weight), strict=True)))
        size = batch_size
        if size is None:
            size = math.ceil(samples / steps) if steps else DEFAULT_BATCH_SIZE
        self._samples = samples
        self._batch_size = _checked_size(size)
        self._shuffle = _checked_shuffle(shuffle)
        self.seed = int(np.random.randint(2**31 - 1)) if self._shuffle else None
        self._rows = [rows_of(leaf) for leaf in tree.flatten(inputs) if leaf is not None]
        self._build = builder(inputs)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        size, build, samples = self._batch_size, self._build, self._samples
        if not self._shuffle:
            slices = [rows.slice for rows in self._rows]
            for first in range(start * size, samples, size):
                past = min(first + size, samples)
                yield build([slice(first, past) for slice in slices])
            return
        takes = [rows.take for rows in self._rows]
        order = self._order(epoch)
        for first in range(start * size, samples, size):
            places = order[first : first + size]
            yield build([take(places) for take in takes])

    def _order(self, epoch: int) -> np.ndarray:
        """The places of all samples in the order of an epoch."""
        generator = np.random.default_rng([self.seed or 0, epoch])
        if self._shuffle != "batch":
            return generator.permutation(self._samples)
        order = np.arange(self._samples)
        for first in range(0, self._samples, self._batch_size):
            generator.shuffle(order[first : first + self._batch_size])
        return order

    @property
    def num_batches(self) -> int:
        return -(-self._samples // self._batch_size)

    @property
    def batch_size(self) -> int:
        return self._batch_size

    @property
    def has_partial_batch(self) -> bool:
        return self._samples % self._batch_size > 0

    @property
    def partial_batch_size(self) -> int | None:
        return self._samples % self._batch_size or None


def builder(nest: Any) -> Callable[[Sequence[Any]], Any]:
    """A function from the leaves of a nest, those that are not None, to a nest like it."""
    counter = itertools.count()
    numbers = [None if leaf is None else next(counter) for leaf in tree.flatten(nest)]
    numbered = tree.pack_sequence_as(nest, numbers)
    build = _maker(numbered)
    if build is not None:
        return build

    def fill(values: Sequence[Any]) -> Any:
        filled = [None if number is None else values[number] for number in numbers]
        return tree.pack_sequence_as(nest, filled)

    return fill


def _maker(numbered: Any) -> Callable[[Sequence[Any]], Any] | None:
    """The function as closures, which take a tenth of the time; None for unusual containers."""
    kind = type(numbered)
    if numbered is None:
        return lambda values: None
    if kind is int:
        return operator.itemgetter(numbered)
    if kind not in (tuple, list, dict):
        return None
    parts = [_maker(each) for each in (numbered.values() if kind is dict else numbered)]
    makers = [part for part in parts if part is not None]
    if len(makers) < len(parts):
        return None
    if kind is tuple and list(numbered) == list(range(len(numbered))):
        return lambda values: tuple(values[: len(makers)])
    if kind is dict:
        keys = list(numbered)
        return lambda values: dict(zip(keys, [part(values) for part in makers], strict=True))
    if kind is tuple:
        return lambda values: tuple([part(values) for part in makers])
    return lambda values: [part(values) for part in makers]


def sample_count(arrays: Mapping[str, Any]) -> int:
    """The number of samples in arrays, by name. Raises ShapeError when they differ or are none."""
    counts = {
        name: [_length(leaf) for leaf in tree.flatten(value) if leaf is not None]
        for name, value in arrays.items()
    }
    found = {count for each in counts.values() for count in each}
    shown = "; ".join(
        f"{name}: {', '.join(map(str, each))}" for name, each in counts.items() if each
    )
    if len(found) > 1:
        raise ShapeError(
            explain(
                "fit",
                "the same number of samples in all arrays",
                f"the sizes {shown}. Data cardinality is ambiguous",
                "Make sure all arrays contain the same number of samples.",
            )
        )
    if not found:
        raise ArgumentError(explain("fit", "data", "x=None", "Pass arrays or a dataset as x."))
    if found == {0}:
        raise ShapeError(explain("fit", "at least one sample", f"the sizes {shown}"))
    return found.pop()


def _length(array: Any) -> int:
    shape = array.shape
    if not len(shape):
        rows_of(array)  # raises
    return int(shape[0])


def _checked_size(size: Any) -> int:
    if isinstance(size, bool) or not hasattr(size, "__index__") or size.__index__() < 1:
        wanted = "batch_size to be a whole number, 1 or more"
        raise ArgumentError(explain("fit", wanted, f"batch_size={size!r}"))
    return size.__index__()


def _checked_shuffle(shuffle: Any) -> Any:
    if isinstance(shuffle, str) and shuffle != "batch":
        raise ArgumentError(explain("fit", "shuffle=True, False or 'batch'", f"{shuffle!r}"))
    return shuffle if shuffle == "batch" else bool(shuffle)


def _first_stranger(x: Any, y: Any, sample_weight: Any) -> str:
    for name, value in zip(NAMES, (x, y, sample_weight), strict=True):
        for leaf in tree.flatten(value):
            if not is_array(leaf):
                return f"{_short(leaf)} of {type(leaf).__name__} in {name}"
    return "none"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def train_validation_split(arrays: Any, validation_split: float) -> tuple[Any, Any]:
    """The first part of each array, for training, and the last, for validation.

    `validation_split` is the share of the last part, between 0 and 1.
    Errors: ArgumentError for what is no array, and for a share that leaves one part empty.
    """
    leaves = tree.flatten(arrays)
    strangers = [leaf for leaf in leaves if not is_array(leaf)]
    if strangers:
        raise ArgumentError(
            explain(
                "fit",
                "arrays to split. `validation_split` is only supported for tensors or NumPy arrays",
                ", ".join(sorted({type(leaf).__name__ for leaf in strangers})),
                "Split the data yourself and pass validation_data=(x, y).",
            )
        )
    if all(leaf is None for leaf in leaves):
        return arrays, arrays
    parts = arrays if isinstance(arrays, tuple) and len(arrays) <= len(NAMES) else (arrays,)
    samples = sample_count(dict(zip(NAMES, parts, strict=False)))
    bound = math.floor(samples * (1.0 - validation_split))
    if not 0 < bound < samples:
        raise ArgumentError(
            explain(
                "fit",
                "samples in both parts",
                f"validation_split={validation_split} of {samples} samples, which is not sufficient"
                " to split it into a validation and training set",
                "Provide more data, or a different value for the `validation_split` argument.",
            )
        )
    train = tree.map_structure(lambda leaf: part(leaf, 0, bound), arrays)
    return train, tree.map_structure(lambda leaf: part(leaf, bound, samples), arrays)

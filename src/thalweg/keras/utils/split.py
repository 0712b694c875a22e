"""`split_dataset`: the samples of a data set in two parts.

arrays, or lists, tuples and dicts of them    -> two thalweg.data.Dataset
a thalweg.data.Dataset, or anything iterable  -> two thalweg.data.Dataset
a tf.data.Dataset                             -> two tf.data.Dataset
a torch.utils.data.Dataset                    -> two torch.utils.data.Subset
"""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.data import AUTOTUNE, INFINITE_CARDINALITY, Dataset
from thalweg.data.stages import Batched, collate
from thalweg.data.structure import as_array, map_leaves, take_apart
from thalweg.keras import door

WHERE = "split_dataset"


def split_dataset(
    dataset: Any,
    left_size: float | int | None = None,
    right_size: float | int | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Any, Any]:
    """The first samples of a data set and the last ones, as two data sets.

    A size is a share (a float from 0 to 1) or a number of samples; one that is left out is the
    rest. `shuffle` mixes the samples first. A stream is read once and kept in memory; a batched one
    is split by its samples and batched again. "tensorflow" or "torch" as `preferred_backend` makes
    data sets of that library.

    Errors: ArgumentError for sizes that do not fit; ArgumentTypeError for sizes that are no
    numbers, or for what is no data set; ShapeError for arrays of unequal length.
    """
    if left_size is None and right_size is None:
        raise ArgumentError(
            explain(
                WHERE,
                "At least one of the `left_size` or `right_size`",
                "left_size=None and right_size=None",
            )
        )
    library = preferred_backend or _library(dataset)
    if library == "torch" and _library(dataset) == "torch":
        order, left, right = _parts(len(dataset), left_size, right_size, shuffle, seed)
        subset = door.torch(WHERE).utils.data.Subset
        return subset(dataset, order[:left]), subset(dataset, order[len(order) - right :])
    samples, batch_size = _columns(dataset)
    leaves, _ = take_apart(samples)
    order, left, right = _parts(len(leaves[0]), left_size, right_size, shuffle, seed)
    numbers = np.array(order)

    def part(chosen: np.ndarray) -> Any:
        columns = map_leaves(lambda column: column[chosen], samples)
        return _built(library, columns, batch_size)

    return part(numbers[:left]), part(numbers[len(order) - right :])


def _library(dataset: Any) -> str:
    """The library whose data set this is, found without importing it."""
    roots = {cls.__module__.partition(".")[0] for cls in type(dataset).__mro__}
    if "torch" in roots and not hasattr(dataset, "detach"):
        return "torch"
    return "tensorflow" if "tensorflow" in roots and hasattr(dataset, "cardinality") else "thalweg"


# ---- samples -------------------------------------------------------------------------------------


def _columns(dataset: Any) -> tuple[Any, int | None]:
    """All samples as arrays in the nesting of one sample, and the batch size of the stream."""
    if isinstance(dataset, list | tuple | dict) or hasattr(dataset, "__array__"):
        return _arrays(dataset), None
    if _library(dataset) == "tensorflow":
        size = getattr(dataset, "_batch_size", None)
        stream = dataset.unbatch() if size is not None else dataset
        return _stacked(stream.as_numpy_iterator()), None if size is None else int(size)
    if isinstance(dataset, Dataset):
        if dataset.cardinality() == INFINITE_CARDINALITY:
            raise ArgumentError(explain(WHERE, "a data set that ends", "an endless one"))
        stage = dataset._stage
        if isinstance(stage, Batched):
            return _stacked(dataset.unbatch()), stage.size
        return _stacked(dataset), None
    if not isinstance(dataset, str | bytes):
        if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
            return _stacked(dataset[index] for index in range(len(dataset))), None
        if isinstance(dataset, Iterable):
            return _stacked(dataset), None
    raise ArgumentTypeError(
        explain(
            WHERE,
            "The `dataset` argument to be a data set, or a list/tuple of arrays",
            f"dataset={dataset!r:.100} of type {type(dataset).__name__}",
        )
    )


def _arrays(dataset: Any) -> Any:
    """The arrays themselves; a list of them is a tuple of the parts of a sample."""
    if isinstance(dataset, list):
        dataset = tuple(dataset)
    leaves, structure = take_apart(dataset)
    if not leaves:
        raise ArgumentError(
            explain(WHERE, "a non-empty list of arrays", "Received an empty list dataset")
        )
    columns = [as_array(leaf, WHERE) for leaf in leaves]
    lengths = [len(column) if column.ndim else None for column in columns]
    if None in lengths or len(set(lengths)) > 1:
        raise ShapeError(
            explain(
                WHERE,
                "arrays of equal length; these have different lengths",
                ", ".join(str(column.shape) for column in columns),
            )
        )
    return structure.build(columns)


def _stacked(stream: Iterable[Any]) -> Any:
    samples = [_as_parts(sample) for sample in stream]
    if not samples:
        raise ArgumentError(explain(WHERE, "a data set with samples", "an empty dataset"))
    return collate(samples)


def _as_parts(sample: Any) -> Any:
    """A sample with arrays for leaves; a list of parts becomes a tuple."""
    if isinstance(sample, list):
        sample = tuple(sample)
    return map_leaves(lambda leaf: as_array(leaf, WHERE), sample)


def _built(library: str, columns: Any, batch_size: int | None) -> Any:
    """A data set with arrays for columns."""
    if library == "torch":
        torch = door.torch(WHERE)
        tensors = [torch.from_numpy(column.copy()) for column in take_apart(columns)[0]]
        return torch.utils.data.TensorDataset(*tensors)
    if library == "tensorflow":
        tf = door.tensorflow(WHERE)
        dataset = tf.data.Dataset.from_tensor_slices(columns)
        dataset = dataset if batch_size is None else dataset.batch(batch_size)
        return dataset.prefetch(tf.data.AUTOTUNE)
    rows = Dataset.from_tensor_slices(columns)
    return rows if batch_size is None else rows.batch(batch_size).prefetch(AUTOTUNE)


# ---- sizes ---------------------------------------------------------------------------------------


def _parts(
    count: int, left_size: Any, right_size: Any, shuffle: bool, seed: int | None
) -> tuple[list[int], int, int]:
    """The order of the samples, and how many of them go left and right."""
    left, right = _sizes(count, left_size, right_size)
    order = list(range(count))
    if shuffle:
        # Python's generator, as in Keras: a seed gives the same parts.
        random.Random(random.randint(0, 1_000_000) if seed is None else seed).shuffle(order)
    return order, left, right


def _sizes(count: int, left_size: Any, right_size: Any) -> tuple[int, int]:
    for name, size in (("left_size", left_size), ("right_size", right_size)):
        if size is not None and (isinstance(size, bool) or not isinstance(size, int | float)):
            raise ArgumentTypeError(
                explain(
                    WHERE,
                    f"`{name}` to be a number of samples, a share of them or None",
                    f"Invalid `{name}` Type: {name}={size!r} of {type(size).__name__}",
                )
            )
    if left_size == 0 and right_size == 0:
        raise ArgumentError(
            explain(
                WHERE,
                "At least one of the split sizes to be non-zero",
                "Both `left_size` and `right_size` are zero",
            )
        )
    for name, size in (("left_size", left_size), ("right_size", right_size)):
        if size is not None and not 0 < size < (count if isinstance(size, int) else 1):
            raise ArgumentError(
                explain(
                    WHERE,
                    f"`{name}` should be either a positive integer smaller than {count}, or a"
                    " float within the range `[0, 1]`",
                    f"{name}={size!r}",
                )
            )
    left = round(left_size * count) if isinstance(left_size, float) else left_size
    right = round(right_size * count) if isinstance(right_size, float) else right_size
    left = count - right if left is None else left
    right = count - left if right is None else right
    if left + right > count:
        raise ArgumentError(
            explain(
                WHERE,
                f"sizes that add up to at most the {count} samples; The sum of `left_size` and"
                " `right_size` is greater than 1 as a share of them",
                f"left_size={left_size} and right_size={right_size}",
            )
        )
    for side, size in (("left", left), ("right", right)):
        if size == 0:
            raise ArgumentError(
                explain(
                    WHERE,
                    f"samples on both sides of {count}",
                    f"left_size={left_size} and right_size={right_size}: Resulting {side} side"
                    " dataset split will be empty",
                )
            )
    return left, right

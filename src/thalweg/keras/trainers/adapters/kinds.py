"""What counts as an array, and its rows: NumPy, pandas, SciPy, and tensors of any library.

No library is imported to recognise its objects: a class is known by its name and its package.

    dense    an array of any kind as a NumPy array
    Rows     what batches are cut from: an array at hand, one on disk, or a sparse one
"""

from typing import Any, Protocol

import numpy as np

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable
from thalweg.ir.types import as_dtype
from thalweg.keras import settings
from thalweg.keras.dtypes import is_float_dtype


def is_of(value: Any, package: str, *names: str) -> bool:
    """True when the object's class, or one it derives from, has one of these names there."""
    for kind in type(value).__mro__:
        if kind.__name__ in names and kind.__module__.partition(".")[0] == package:
            return True
    return False


def is_sparse(value: Any) -> bool:
    """True for a sparse matrix of SciPy, TensorFlow or JAX."""
    if is_of(value, "tensorflow", "SparseTensor") or is_of(value, "jax", "JAXSparse"):
        return True
    return type(value).__module__.startswith("scipy.sparse") and hasattr(value, "tocoo")


def is_array(value: Any) -> bool:
    """True for what has rows that can be cut into batches."""
    if value is None or isinstance(value, (np.ndarray, Tensor, Variable)):
        return True
    return (
        hasattr(value, "__array__")
        or is_sparse(value)
        or is_of(value, "tensorflow", "RaggedTensor")
    )


# ---- dense arrays --------------------------------------------------------------------------------


def dense(value: Any) -> Any:
    """The NumPy array of an array of any kind; whatever is none stays as it is."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Variable):
        value = value.value
    if isinstance(value, Tensor):
        return value.numpy()
    if is_sparse(value):
        return SparseRows(value).slice(0, value.shape[0])
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()  # a tensor of torch that needs gradients refuses otherwise
    if is_of(value, "tensorflow", "RaggedTensor"):
        value = value.to_tensor()
    if is_of(value, "pandas", "Series"):
        return value.to_numpy()[:, None]
    if hasattr(value, "__array__"):
        return np.asarray(value)
    return value


def in_floatx(array: np.ndarray) -> np.ndarray:
    """The array in Keras' float type if it holds floats of another one."""
    name = array.dtype.name
    if array.dtype.kind in "fV" and name != settings.floatx() and is_float_dtype(array.dtype):
        return array.astype(as_dtype(settings.floatx()).numpy)
    return array


# ---- rows ----------------------------------------------------------------------------------------


class Rows(Protocol):
    """Rows that batches are cut from, as NumPy arrays in Keras' float type."""

    def slice(self, start: int, stop: int) -> np.ndarray:
        """The rows from `start` to before `stop`."""

    def take(self, places: np.ndarray) -> np.ndarray:
        """The rows at these places."""


class DenseRows:
    """Rows of an array at hand: slices are views."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def slice(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop]

    def take(self, places: np.ndarray) -> np.ndarray:
        # Twice as fast as indexing, but it would copy the whole of an array with gaps.
        if self.array.flags.c_contiguous:
            return self.array.take(places, axis=0)
        return self.array[places]


class MappedRows:
    """Rows of an array on disk: each batch is read, and converted, when it is asked for."""

    def __init__(self, array: np.memmap):
        self.array = array

    def slice(self, start: int, stop: int) -> np.ndarray:
        return in_floatx(np.array(self.array[start:stop], subok=False))

    def take(self, places: np.ndarray) -> np.ndarray:
        return in_floatx(np.array(self.array[places], subok=False))


class SparseRows:
    """Rows of a sparse matrix: each batch is a dense array."""

    def __init__(self, matrix: Any):
        places, values, shape = _coordinates(matrix)
        order = np.argsort(places[0], kind="stable")
        self.columns = tuple(axis[order] for axis in places[1:])
        self.values = in_floatx(values[order])
        self.bounds = np.searchsorted(places[0][order], np.arange(shape[0] + 1))
        self.shape = shape

    def slice(self, start: int, stop: int) -> np.ndarray:
        return self.take(np.arange(start, stop))

    def take(self, places: np.ndarray) -> np.ndarray:
        first, past = self.bounds[places], self.bounds[places + 1]
        counts = past - first
        rows = np.repeat(np.arange(len(places)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = np.repeat(first, counts) + within
        result = np.zeros((len(places), *self.shape[1:]), self.values.dtype)
        # Coordinates may come twice: their values are added.
        np.add.at(result, (rows, *(axis[entries] for axis in self.columns)), self.values[entries])
        return result


def _coordinates(matrix: Any) -> tuple[list[np.ndarray], np.ndarray, tuple[int, ...]]:
    if is_of(matrix, "tensorflow", "SparseTensor"):
        shape = tuple(int(size) for size in matrix.shape)
        return list(np.asarray(matrix.indices).T), np.asarray(matrix.values), shape
    if is_of(matrix, "jax", "JAXSparse"):
        if not is_of(matrix, "jax", "BCOO"):
            array = np.asarray(matrix.todense())
            places = np.nonzero(array)
            return list(places), array[places], array.shape
        return list(np.asarray(matrix.indices).T), np.asarray(matrix.data), tuple(matrix.shape)
    found = matrix.tocoo()
    return [np.asarray(found.row), np.asarray(found.col)], np.asarray(found.data), found.shape


def rows_of(value: Any) -> Rows:
    """The rows of an array. Raises ShapeError for a single number, ArgumentError for no array."""
    if is_sparse(value):
        return SparseRows(value)
    array = value if isinstance(value, np.memmap) else dense(value)
    if not isinstance(array, np.ndarray):
        raise ArgumentError(explain("fit", "arrays", f"{value!r} of {type(value).__name__}"))
    if array.ndim == 0:
        raise ShapeError(
            explain(
                "fit",
                "arrays whose first axis is that of the samples",
                f"a single number, {array.dtype}[]",
                "Write x[None] for a batch of one sample.",
            )
        )
    if isinstance(array, np.memmap):
        return MappedRows(array)
    if is_of(value, "pandas", "DataFrame") and _has_floats(value):
        return DenseRows(array.astype(as_dtype(settings.floatx()).numpy))
    return DenseRows(in_floatx(array))


def _has_floats(frame: Any) -> bool:
    # Columns of numbers and truth values together become objects, which no model can take.
    kinds = {dtype.kind for dtype in frame.dtypes}
    return "f" in kinds and kinds <= set("biuf")


def part(value: Any, start: int, stop: int) -> Any:
    """The rows from `start` to before `stop` of an array of any kind, in its own kind."""
    if value is None:
        return None
    if is_of(value, "pandas", "DataFrame", "Series"):
        return value.iloc[start:stop]
    if is_sparse(value):
        return SparseRows(value).slice(start, stop)
    if isinstance(value, Variable):
        value = value.value
    return value[start:stop] if hasattr(value, "__getitem__") else np.asarray(value)[start:stop]

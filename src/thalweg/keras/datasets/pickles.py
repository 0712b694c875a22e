"""Arrays from NumPy's `.npz` files and from old pickles, without running anything in them.

Some data sets were published as pickles. They are read here by a machine that knows three names,
all of which lead to plain records of this file: an array is put together from its record only after
its shape, element type and length have been checked.

    value = int | bytes | str | list of values | dict of values | array
    array = bool, integer or float elements of fixed size | lists of integers (a ragged data set)
"""

import contextlib
import math
import pickle
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain

MOST_BYTES = 4 << 30  # of one array
MOST_INTEGERS = 1 << 28  # in all lists of a ragged array

READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    # Version 3 differs from 2 only in the encoding of field names, which no array here has.
    (3, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: Path, names: Iterable[str]) -> list[np.ndarray]:
    """The arrays of these names in an `.npz` file, numeric ones or lists of integers.

    Errors: ArgumentError for a file that is damaged or holds anything else.
    """
    arrays = []
    with _refusing(path):
        with zipfile.ZipFile(path) as archive:
            for name in names:
                member = archive.getinfo(f"{name}.npy")
                with archive.open(member) as file:
                    arrays.append(_read_array(file, member.file_size, path))
        return arrays


def _read_array(file: IO[bytes], size: int, path: Path) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    if version not in READERS:
        raise _refused(path, f"an array of version {version}")
    shape, is_fortran, dtype = READERS[version](file)
    if dtype.hasobject:
        found = RecordUnpickler(file, path).load()
        return _array(found, path)
    data = _check_plain(shape, dtype, size, path)
    return _shaped(file.read(data), shape, is_fortran, dtype, path)


def _check_plain(shape: tuple, dtype: np.dtype, most: int, path: Path) -> int:
    """The bytes of an array of fixed-size numbers, which are at most `most`."""
    if dtype.kind not in "biufSU" or any(not isinstance(n, int) or n < 0 for n in shape):
        raise _refused(path, f"an array {dtype} of shape {shape}")
    size = math.prod(shape) * dtype.itemsize
    if size > min(most, MOST_BYTES):
        raise _refused(path, f"{size} bytes for an array where {most} are there")
    return size


def _shaped(data: bytes, shape: tuple, is_fortran: bool, dtype: np.dtype, path: Path) -> np.ndarray:
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise _refused(path, f"{len(data)} bytes for the shape {shape}")
    array = np.frombuffer(bytearray(data), dtype)
    return array.reshape(shape[::-1]).transpose() if is_fortran else array.reshape(shape)


# ---- pickles -------------------------------------------------------------------------------------


class ArrayRecord:
    """What a pickle says of an array: shape, element type, order, and bytes or a list."""

    state: tuple | None = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class TypeRecord:
    """What a pickle says of an element type."""

    name = ""
    byte_order = "|"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1:
            self.byte_order = state[1]


class Maker:
    """A callable that a file can call but not change."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]):
        self.make = make

    def __call__(self, *args: Any) -> Any:
        return self.make(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a change of a function")


def _type_record(name: Any, *_: Any) -> TypeRecord:
    record = TypeRecord()
    record.name = name
    return record


ARRAY_MAKER = Maker(lambda *_: ArrayRecord())
KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray",  # only ever an argument of the next
    ("numpy.core.multiarray", "_reconstruct"): ARRAY_MAKER,
    ("numpy._core.multiarray", "_reconstruct"): ARRAY_MAKER,
    ("numpy", "dtype"): Maker(_type_record),
}


class RecordUnpickler(pickle.Unpickler):
    """Reads values and records of arrays; any other name in the file is an error."""

    def __init__(self, file: IO[bytes], path: Path):
        # Pickles of Python 2 hold bytes where newer ones hold text.
        super().__init__(file, encoding="bytes")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for one of the known names."""
        if (module, name) not in KNOWN:
            raise _refused(self.path, f"the name {module}.{name}, which could run code")
        return KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to things outside of the file."""
        raise _refused(self.path, "a reference to something else")


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file, its keys as text and its arrays as arrays.

    Errors: ArgumentError for a file that is damaged or holds anything else.
    """
    with _refusing(path):
        with open(path, "rb") as file:
            found = RecordUnpickler(file, path).load()
        if not isinstance(found, dict):
            raise _refused(path, f"{type(found).__name__} in the place of a dictionary")
        return {
            key.decode() if isinstance(key, bytes) else str(key): (
                _array(value, path) if isinstance(value, ArrayRecord) else value
            )
            for key, value in found.items()
        }


def _array(record: Any, path: Path) -> np.ndarray:
    """The array that a record describes."""
    if not isinstance(record, ArrayRecord) or record.state is None:
        raise _refused(path, f"{type(record).__name__} in the place of an array")
    _, shape, dtype, is_fortran, data = record.state
    if not isinstance(shape, tuple) or not isinstance(dtype, TypeRecord):
        raise _refused(path, "an array without a shape or element type")
    name = dtype.name.decode() if isinstance(dtype.name, bytes) else str(dtype.name)
    if name == "O8":
        return _lists(data, shape, path)
    order = dtype.byte_order
    order = order.decode() if isinstance(order, bytes) else str(order)
    plain = np.dtype(name)
    if order in ("<", ">"):
        plain = plain.newbyteorder("<" if order == "<" else ">")
    if isinstance(data, str):
        data = data.encode("latin-1")
    if not isinstance(data, bytes):
        raise _refused(path, f"{type(data).__name__} in the place of bytes")
    _check_plain(shape, plain, len(data), path)
    return _shaped(data, shape, bool(is_fortran), plain, path)


def _lists(data: Any, shape: tuple, path: Path) -> np.ndarray:
    """A vector of lists of integers."""
    if not isinstance(data, list) or shape != (len(data),):
        raise _refused(path, f"objects of shape {shape}")
    total = 0
    for row in data:
        if type(row) is not list:
            raise _refused(path, f"{type(row).__name__} in the place of a list of integers")
        total += len(row)
        if total > MOST_INTEGERS or not all(type(each) is int for each in row):
            raise _refused(path, "lists that hold other things than integers, or too many")
    return ragged(data)


def ragged(rows: Sequence[list[int]]) -> np.ndarray:
    """A vector of lists, also when all of them are of one length."""
    result = np.empty(len(rows), dtype=object)
    for index, row in enumerate(rows):
        result[index] = row
    return result


# ---- errors --------------------------------------------------------------------------------------


def _refused(path: Path, what: str) -> ArgumentError:
    return ArgumentError(
        explain(
            "datasets",
            f"arrays of numbers in {path.name}",
            what,
            f"Do not trust this file; delete it and load again: {path}",
        )
    )


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Give the errors of damaged files one voice."""
    try:
        yield
    except ArgumentError:
        raise
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, EOFError, KeyError, ValueError, TypeError,
        AttributeError, IndexError, UnicodeError, NotImplementedError, MemoryError, OverflowError,
        RecursionError,
    ) as error:  # fmt: skip
        raise _refused(path, f"{type(error).__name__}: {error}") from error

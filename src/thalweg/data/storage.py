"""Elements kept between passes: in memory, or in a file that any later run can read.

A file is written under a temporary name, flushed, and renamed when the last element is in it, so
that there is either a whole file or none. Nothing in it is code, and every size is checked against
the length of the file before memory is taken.

    file    = "THALWEG CACHE 1\\n" header record* "END\\n" count:u64
    header  = length:u32 JSON, the nesting of an element: "*", [...], {"key": ...}
    record  = one array for each leaf: dtype:(u8 length, name) rank:u8 size:u64 * rank, bytes
"""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.data.structure import LEAF, Structure, as_array, as_numpy_dtype, structure_of

MAGIC = b"THALWEG CACHE 1\n"
END = b"END\n"
MOST_HEADER = 1 << 24  # bytes; a nesting is a few hundred


class MemoryStore:
    """Elements in a list, once a whole pass has been made."""

    def __init__(self) -> None:
        self.elements: list[Any] | None = None

    @property
    def count(self) -> int | None:
        """The number of elements, or None before a whole pass."""
        return None if self.elements is None else len(self.elements)

    def read(self, start: int) -> Iterator[Any] | None:
        """The elements from a place on, or None before a whole pass."""
        return None if self.elements is None else iter(self.elements[start:])

    def write(self, elements: Iterator[Any]) -> Iterator[Any]:
        """Hand the elements on and keep them when the last has come."""
        kept = []
        for element in elements:
            kept.append(element)
            yield element
        self.elements = kept


class FileStore:
    """Elements in a file of their own, as NumPy arrays in plain tuples and dicts."""

    def __init__(self, path: str):
        self.path = Path(path)

    @property
    def count(self) -> int | None:
        """The number of elements, or None before a whole pass."""
        try:
            with self.path.open("rb") as file:
                return _open(file, self.path)[1]
        except FileNotFoundError:
            return None

    def read(self, start: int) -> Iterator[Any] | None:
        """The elements from a place on, or None where there is no file."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return None
        return _read(file, self.path, start)

    def write(self, elements: Iterator[Any]) -> Iterator[Any]:
        """Hand the elements on and write them; the file appears when the last has come."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        name = f"{self.path}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            with open(name, "xb") as file:
                yield from _write(file, elements)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


# ---- writing -------------------------------------------------------------------------------------


def _write(file: IO[bytes], elements: Iterator[Any]) -> Iterator[Any]:
    structure: Structure | None = None
    plain = LEAF
    count = 0
    for element in elements:
        if structure is None:
            structure = structure_of(element)
            plain = structure.plain()
            header = json.dumps(_to_json(plain)).encode()
            file.write(MAGIC + struct.pack("<I", len(header)) + header)
        arrays = [_native(as_array(leaf, "Dataset.cache")) for leaf in structure.leaves(element)]
        for array in arrays:
            _write_array(file, array)
        count += 1
        yield plain.build(arrays)
    if structure is None:
        header = json.dumps("*").encode()
        file.write(MAGIC + struct.pack("<I", len(header)) + header)
    file.write(END + struct.pack("<Q", count))


def _native(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _write_array(file: IO[bytes], array: np.ndarray) -> None:
    if array.dtype.hasobject:
        raise ArgumentTypeError(
            explain(
                "Dataset.cache",
                "arrays of numbers or strings for a file",
                f"an array of {array.dtype}",
                "Write cache() to keep them in memory, or x.astype(str) for strings.",
            )
        )
    name = _dtype_name(array.dtype).encode()
    head = struct.pack("<B", len(name)) + name + struct.pack("<B", array.ndim)
    file.write(head + struct.pack(f"<{array.ndim}Q", *array.shape))
    file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _dtype_name(dtype: np.dtype) -> str:
    # A type of ml_dtypes has no code of its own: its string is that of raw bytes.
    return dtype.name if dtype.isbuiltin == 2 else dtype.str


def _to_json(structure: Structure) -> Any:
    if structure.kind is None:
        return "*"
    children = [_to_json(child) for child in structure.children]
    if structure.kind is not dict:
        return children
    for key in structure.keys:
        if not isinstance(key, str):
            raise ArgumentTypeError(
                explain(
                    "Dataset.cache",
                    "strings as keys for a file",
                    f"the key {key!r} of {type(key).__name__}",
                    "Write cache() to keep the elements in memory.",
                )
            )
    return dict(zip(structure.keys, children, strict=True))


# ---- reading -------------------------------------------------------------------------------------


def _open(file: IO[bytes], path: Path) -> tuple[Structure, int, int]:
    """The nesting, the number of elements, and where the records end; at the first record."""
    length = os.fstat(file.fileno()).st_size
    footer = len(END) + 8
    if length < len(MAGIC) + 4 + footer or file.read(len(MAGIC)) != MAGIC:
        raise _damaged(path, "it does not begin as one")
    (size,) = struct.unpack("<I", file.read(4))
    first = file.tell()
    end = length - footer
    if size > min(MOST_HEADER, end - first):
        raise _damaged(path, "its header is longer than the file")
    file.seek(end)
    if file.read(len(END)) != END:
        raise _damaged(path, "its end is missing")
    (count,) = struct.unpack("<Q", file.read(8))
    file.seek(first)
    try:
        structure = _from_json(json.loads(file.read(size)))
    except (ValueError, RecursionError, KeyError):
        raise _damaged(path, "its header cannot be read") from None
    return structure, count, end


def _from_json(text: Any) -> Structure:
    if text == "*":
        return LEAF
    if isinstance(text, dict):
        return Structure(dict, tuple(text), tuple(_from_json(each) for each in text.values()))
    if isinstance(text, list):
        children = tuple(_from_json(each) for each in text)
        return Structure(tuple, (), children, all(child is LEAF for child in children))
    raise ValueError(text)


def _read(file: IO[bytes], path: Path, start: int) -> Iterator[Any]:
    with file:
        structure, count, end = _open(file, path)
        leaves = structure.count
        for index in range(count):
            if index < start:
                for _ in range(leaves):
                    _, _, size = _read_head(file, path, end)
                    file.seek(size, os.SEEK_CUR)
                continue
            yield structure.build([_read_array(file, path, end) for _ in range(leaves)])


def _read_array(file: IO[bytes], path: Path, end: int) -> np.ndarray:
    dtype, shape, size = _read_head(file, path, end)
    array = np.empty(shape, dtype)
    if file.readinto(array.reshape(-1).view(np.uint8)) != size:  # type: ignore[attr-defined]
        raise _damaged(path, "it is cut short")
    return array


def _read_head(file: IO[bytes], path: Path, end: int) -> tuple[np.dtype, tuple[int, ...], int]:
    try:
        name = file.read(file.read(1)[0]).decode()
        rank = file.read(1)[0]
        shape = struct.unpack(f"<{rank}Q", file.read(8 * rank))
        dtype = as_numpy_dtype(name)
    except (IndexError, struct.error, ValueError, TypeError):
        raise _damaged(path, "an array has no readable type") from None
    size = dtype.itemsize
    for length in shape:
        size *= length
    if dtype.hasobject or size > end - file.tell():
        raise _damaged(path, "an array is larger than the file")
    return dtype, shape, size


def _damaged(path: Path, why: str) -> ArgumentError:
    return ArgumentError(
        explain(
            "Dataset.cache",
            "a file that it wrote itself",
            f"{path}: {why}",
            "Delete the file: it is written again on the next pass.",
        )
    )

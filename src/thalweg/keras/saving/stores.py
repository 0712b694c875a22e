"""What a file of weights is, whatever its format: named arrays by the path of their object.

    store.make(path, name)  ->  a mapping to write the arrays of one object into
    store.get(path)         ->  a mapping to read them from; empty where the file has none
    store.has_path(path)    ->  whether the file has anything at or below a path

The mappings are what `save_own_variables` and `load_own_variables` are given.
"""

import math
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Protocol

import ml_dtypes
import numpy as np

SMALL = 1 << 20
"""Bytes that may always be allocated."""

DEFLATED = 1032
"""Deflate cannot pack more tightly than this."""

EXTRA_DTYPES = {
    name: np.dtype(getattr(ml_dtypes, name))
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
}
"""Element types that NumPy does not have itself: files hold them as plain bytes, with a name."""


class WeightsWriter(Protocol):
    """A file of weights that is being written."""

    def make(self, path: str, name: str | None = None) -> MutableMapping[str, Any]:
        """The place for the arrays of the object at `path`, which is called `name`."""

    def close(self) -> None:
        """Complete the file."""


class WeightsReader(Protocol):
    """A file of weights that can be read."""

    def get(self, path: str) -> Mapping[str, np.ndarray]:
        """The arrays of the object at `path`."""

    def has_path(self, path: str) -> bool:
        """True if the file has anything at or below `path`."""

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The path and shape of each array in the file."""

    def close(self) -> None:
        """Let go of the file."""


def as_array(value: Any) -> np.ndarray:
    """The array of a variable, a tensor, an array or numbers."""
    to_numpy = getattr(value, "numpy", None)
    return np.asarray(to_numpy() if callable(to_numpy) else value)


def size_in_bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """How much memory an array takes; exact for sizes of any height."""
    return math.prod(shape) * dtype.itemsize


def readable_size(count: float) -> str:
    """A number of bytes for people: `1.5 GiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} PiB"


class FlatWriter:
    """Arrays kept by `path/vars/key` until the file is written, for formats without folders."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def make(self, path: str, name: str | None = None) -> MutableMapping[str, Any]:
        """The place for the arrays of one object."""
        return _FlatEntry(self.arrays, prefix_of(path))

    def close(self) -> None:
        """Nothing: subclasses write their file here."""


class _FlatEntry(MutableMapping[str, Any]):
    def __init__(self, arrays: dict[str, np.ndarray], prefix: str):
        self._arrays = arrays
        self._prefix = prefix

    def __setitem__(self, key: str, value: Any) -> None:
        self._arrays[self._prefix + key] = as_array(value)

    def __getitem__(self, key: str) -> np.ndarray:
        return self._arrays[self._prefix + key]

    def __delitem__(self, key: str) -> None:
        del self._arrays[self._prefix + key]

    def __iter__(self) -> Iterator[str]:
        start = len(self._prefix)
        return (key[start:] for key in list(self._arrays) if key.startswith(self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class FlatReader:
    """Reads arrays that are called `path/vars/key`; a subclass says how, in `read`."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        self._shapes = dict(shapes)
        self._keys: dict[str, list[str]] = {}
        for name in self._shapes:
            folder, slash, key = name.rpartition("/")
            self._keys.setdefault(folder + slash, []).append(key)

    def read(self, name: str) -> np.ndarray:
        """The array of that full name."""
        raise NotImplementedError

    def get(self, path: str) -> Mapping[str, np.ndarray]:
        """The arrays of one object."""
        prefix = prefix_of(path)
        return _FlatView(self, prefix, self._keys.get(prefix, []))

    def has_path(self, path: str) -> bool:
        """True if there is anything below a path."""
        return any(name.startswith(f"{path}/") for name in self._shapes)

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The path and shape of each array."""
        return iter(self._shapes.items())

    def close(self) -> None:
        """Nothing: subclasses close their file here."""


class _FlatView(Mapping[str, np.ndarray]):
    def __init__(self, reader: FlatReader, prefix: str, keys: list[str]):
        self._reader = reader
        self._prefix = prefix
        self._own = keys

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self._own:
            raise KeyError(key)
        return self._reader.read(self._prefix + key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def prefix_of(path: str) -> str:
    """How the full names of an object's arrays begin."""
    return f"{path}/vars/" if path else "vars/"

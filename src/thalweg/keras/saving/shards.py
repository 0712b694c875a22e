"""Weights in several HDF5 files, for models larger than a file should be.

base.weights.json           {"metadata": {"total_size": bytes},
                             "weight_map": {"/path/vars": file or list of files}}
base_00000.weights.h5 ...   as in hdf5.py; an object's arrays may go on in the next file
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.saving.files import damaged, refused
from thalweg.keras.saving.hdf5 import H5Entry, H5Reader, H5Writer, open_h5
from thalweg.keras.saving.stores import as_array, readable_size
from thalweg.keras.saving.texts import json_of, read_text
from thalweg.keras.saving.zips import is_plain_name

GIBIBYTE = 1024**3


def index_path(path: Any) -> Path:
    """Where the index is: beside a `.weights.h5` of the same base name, or at a `.json` path."""
    return Path(path).with_suffix(".json")


class ShardWriter:
    """Writes weights to files of at most `most_gigabytes` each, which `begin` opens.

    Raises ArgumentError for an array that is larger than a file may be.
    """

    def __init__(
        self, path: Any, most_gigabytes: float, begin: Callable[[os.PathLike[str]], BinaryIO]
    ):
        self.path = index_path(path)
        self.most_bytes = float(most_gigabytes) * GIBIBYTE
        self.index: dict[str, Any] = {"metadata": {"total_size": 0}, "weight_map": {}}
        self.names: list[str] = []
        self._begin = begin
        self._bytes = 0
        self._writer = self._next()

    def _next(self) -> H5Writer:
        """A writer for one more file."""
        base = self.path.stem.removesuffix(".weights")
        self.names.append(f"{base}_{len(self.names):05}.weights.h5")
        self._bytes = 0
        return H5Writer(self._begin(self.path.with_name(self.names[-1])))

    def room_for(self, name: str, count: int) -> tuple[H5Writer, str]:
        """The file, and its name, that an array of so many bytes goes to."""
        if count > self.most_bytes:
            raise ArgumentError(
                explain(
                    f"save {self.path}",
                    f"arrays of at most max_shard_size, {readable_size(self.most_bytes)}",
                    f"{name} of {readable_size(count)}, which exceeds the maximum shard size",
                    "Give a higher max_shard_size (in gigabytes).",
                )
            )
        if self._bytes + count > self.most_bytes:
            self._writer.close()
            self._writer = self._next()
        self._bytes += count
        self.index["metadata"]["total_size"] += count
        return self._writer, self.names[-1]

    def make(self, path: str, name: str | None = None) -> "ShardEntry":
        """The place for the arrays of one object."""
        if name is not None:
            self._writer.make(path, name)
        return ShardEntry(self, path)

    def close(self) -> None:
        """Complete the last file."""
        self._writer.close()

    def write_index(self) -> None:
        """Write the index, whose file takes its place after those that it names."""
        self._begin(self.path).write(json.dumps(self.index, indent=4).encode())


class ShardEntry(MutableMapping[str, Any]):
    """The arrays of one object, in the files that they went to."""

    def __init__(self, writer: ShardWriter, path: str):
        self._writer = writer
        self._path = path
        self._places: dict[str, tuple[H5Entry, str]] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        array = as_array(value)
        self._places.pop(key, None)
        writer, name = self._writer.room_for(f"{self._path}/vars/{key}", array.nbytes)
        entry = writer.make(self._path)
        entry[key] = array
        self._places[key] = entry, name
        names = list(dict.fromkeys(place for _, place in self._places.values()))
        place = f"/{self._path}/vars" if self._path else "/vars"
        self._writer.index["weight_map"][place] = names[0] if len(names) == 1 else names

    def __getitem__(self, key: str) -> np.ndarray:
        return self._places[key][0][key]

    def __delitem__(self, key: str) -> None:
        entry, _ = self._places.pop(key)
        del entry[key]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._places))

    def __len__(self) -> int:
        return len(self._places)


class ShardReader:
    """Reads weights from the files that an index names. Errors: FileError."""

    def __init__(self, path: Any, most_bytes: int | None = None):
        self.path = index_path(path)
        self._most_bytes = most_bytes
        self._readers: dict[str, H5Reader] = {}
        self._map = _weight_map(self.path)

    def _reader(self, name: str) -> H5Reader:
        if name not in self._readers:
            place = self.path.with_name(name)
            self._readers[name] = H5Reader(open_h5(place, self._most_bytes))
        return self._readers[name]

    def get(self, path: str) -> Mapping[str, np.ndarray]:
        """The arrays of one object."""
        names = self._map.get(f"/{path}/vars" if path else "/vars", ())
        views = [self._reader(name).get(path) for name in names]
        return views[0] if len(views) == 1 else _Joined(views)

    def has_path(self, path: str) -> bool:
        """True if a file has anything at or below a path."""
        place = f"/{path}"
        return any(each == place or each.startswith(f"{place}/") for each in self._map)

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The path and shape of each array."""
        for name in dict.fromkeys(name for names in self._map.values() for name in names):
            yield from self._reader(name).shapes()

    def close(self) -> None:
        """Let go of the files."""
        for each in self._readers.values():
            each.close()


class _Joined(Mapping[str, np.ndarray]):
    def __init__(self, views: list[Mapping[str, np.ndarray]]):
        self._views = {key: view for view in views for key in view}

    def __getitem__(self, key: str) -> np.ndarray:
        return self._views[key][key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


def _weight_map(path: Path) -> dict[str, tuple[str, ...]]:
    index = json_of(read_text(path), path)
    found = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(found, dict):
        raise damaged(path, "an index without `weight_map`")
    places: dict[str, tuple[str, ...]] = {}
    for place, names in found.items():
        each = tuple(names) if isinstance(names, list) else (names,)
        for name in each:
            if not isinstance(name, str) or not is_plain_name(name):
                raise refused(path, f"the name {name!r} of a file, which is not beside the index")
        places[place] = each
    return places


def shards_of(path: Any) -> set[str]:
    """The files that the index at a path names as its own, empty where there is none."""
    place = index_path(path)
    try:
        named = {name for names in _weight_map(place).values() for name in names}
    except ArgumentError:
        return set()
    base = place.stem.removesuffix(".weights")
    return {name for name in named if name.startswith(f"{base}_")}

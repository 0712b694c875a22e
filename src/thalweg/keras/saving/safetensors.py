"""Weights in the safetensors format, which holds plain arrays and nothing else.

    u64, little-endian      length of the header
    header                  JSON: {name: {"dtype", "shape", "data_offsets": [begin, end]}, ...}
                            and, if wanted, "__metadata__": {text: text}
    data                    the arrays, little-endian, one after the other

Arrays are called `{path}/vars/{key}`. The format is a page long, and reading it here lets sizes be
checked before anything is allocated; so the library of that name is not needed.
"""

import json
import os
import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.saving.files import damaged
from thalweg.keras.saving.stores import (
    EXTRA_DTYPES,
    FlatReader,
    FlatWriter,
    readable_size,
    size_in_bytes,
)
from thalweg.keras.saving.texts import json_of

MOST_HEADER = 100_000_000
"""Bytes of a header, as in the format's own definition."""

DTYPES = {
    "BOOL": np.dtype(bool),
    "U8": np.dtype("<u1"), "U16": np.dtype("<u2"), "U32": np.dtype("<u4"), "U64": np.dtype("<u8"),
    "I8": np.dtype("<i1"), "I16": np.dtype("<i2"), "I32": np.dtype("<i4"), "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8"),
    "C64": np.dtype("<c8"),
    "BF16": EXTRA_DTYPES["bfloat16"],
    "F8_E4M3": EXTRA_DTYPES["float8_e4m3fn"], "F8_E5M2": EXTRA_DTYPES["float8_e5m2"],
}  # fmt: skip

NAMES = {dtype.name: name for name, dtype in DTYPES.items()}


class SafetensorsWriter(FlatWriter):
    """Writes weights to an open file. Raises ArgumentError for types that the format lacks."""

    def __init__(self, file: IO[bytes]):
        super().__init__()
        self._file = file

    def close(self) -> None:
        """Write the file."""
        write_safetensors(self._file, self.arrays, {"format": "keras"})


def write_safetensors(
    file: IO[bytes], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write arrays by name; those of the widest elements first, so that all are aligned."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    ordered = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    end = 0
    for name in ordered:
        array = arrays[name]
        if array.dtype.name not in NAMES:
            raise ArgumentError(
                explain(
                    f"save {name}",
                    f"an element type that safetensors has: {', '.join(NAMES)}",
                    f"{array.dtype}",
                    "Save it as `.weights.h5`.",
                )
            )
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)))
    file.write(text)
    for name in ordered:
        array = np.ascontiguousarray(arrays[name], DTYPES[NAMES[arrays[name].dtype.name]])
        file.write(array.reshape(-1).view(np.uint8).data if array.size else b"")


class SafetensorsReader(FlatReader):
    """Reads weights from an open file. Errors: FileError for anything that does not add up."""

    def __init__(self, file: IO[bytes], origin: object, most_bytes: int | None = None):
        self.origin = origin
        self._file = file
        self._places = self._header()
        super().__init__({name: shape for name, (_, shape, _) in self._places.items()})

    def _header(self) -> dict[str, tuple[np.dtype, tuple[int, ...], int]]:
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        head = self._file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else -1
        if not 2 <= length <= min(MOST_HEADER, size - 8):
            raise damaged(self.origin, f"a header of {length} bytes in a file of {size}")
        found = json_of(self._file.read(length), self.origin)
        if not isinstance(found, dict):
            raise damaged(self.origin, "a header that is no dictionary")
        found.pop("__metadata__", None)
        data = size - 8 - length
        places = {name: self._place(name, entry, data) for name, entry in found.items()}
        self._check_cover(places, data)
        return {
            name: (dtype, shape, 8 + length + at) for name, (dtype, shape, at) in places.items()
        }

    def _place(self, name: str, entry: Any, data: int) -> tuple[np.dtype, tuple[int, ...], int]:
        try:
            dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
            begin, end = entry["data_offsets"]
            sizes = (*shape, begin, end)
            is_sound = all(type(each) is int and each >= 0 for each in sizes)
        except (KeyError, TypeError, ValueError):
            raise damaged(
                self.origin, f"an unreadable entry for {name!r:.80}: {entry!r:.80}"
            ) from None
        if not is_sound or not end <= data or end - begin != size_in_bytes(shape, dtype):
            raise damaged(
                self.origin,
                f"{name!r:.80} of shape {shape!s:.80} at {begin} to {end} in {readable_size(data)}",
            )
        return dtype, shape, begin

    def _check_cover(
        self, places: Mapping[str, tuple[np.dtype, tuple[int, ...], int]], data: int
    ) -> None:
        """The arrays must lie side by side, without gaps in which something else could hide."""
        end = 0
        spans = ((at, size_in_bytes(shape, dtype)) for dtype, shape, at in places.values())
        for begin, length in sorted(spans):
            if begin != end:
                raise damaged(self.origin, f"arrays that overlap or leave a gap at byte {end}")
            end = begin + length
        if end != data:
            raise damaged(self.origin, f"{data - end} bytes after the last array")

    def read(self, name: str) -> np.ndarray:
        """The array of that name."""
        dtype, shape, at = self._places[name]
        count = size_in_bytes(shape, dtype)
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) != count:
            raise damaged(self.origin, f"{name} with {len(data)} of {count} bytes")
        found = np.frombuffer(data, dtype).reshape(shape)
        return found if dtype.isnative else found.astype(dtype.newbyteorder("="))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

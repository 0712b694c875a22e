"""Weights as NumPy's `.npz`: a zip of arrays called `{path}/vars/{key}.npy`.

Keras 3 writes such files with pickled objects, which it does not read itself. Nothing is unpickled.
"""

import zipfile
from typing import IO

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.saving.files import damaged, refused
from thalweg.keras.saving.stores import (
    EXTRA_DTYPES,
    SMALL,
    FlatReader,
    FlatWriter,
    readable_size,
    size_in_bytes,
)
from thalweg.keras.saving.zips import MEMBER_ERRORS, check_member

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NpzWriter(FlatWriter):
    """Writes weights to an open file."""

    def __init__(self, file: IO[bytes]):
        super().__init__()
        self._file = file

    def close(self) -> None:
        """Write the file."""
        with zipfile.ZipFile(self._file, "w", allowZip64=True) as archive:
            for name, array in self.arrays.items():
                if array.dtype.name in EXTRA_DTYPES:
                    # NumPy's format has no name for these: one is put into that of the array.
                    name = f"{name}.{array.dtype.name}"
                    array = array.view(f"V{array.dtype.itemsize}")
                elif array.dtype.kind not in "biufcS":
                    raise ArgumentError(
                        explain(f"save {name}", "an array of numbers", f"one of {array.dtype}")
                    )
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)


class NpzReader(FlatReader):
    """Reads weights from an open file. Errors: FileError, also for what needs pickle."""

    def __init__(self, file: IO[bytes], origin: object, most_bytes: int | None = None):
        self.origin = origin
        self.most_bytes = most_bytes
        self._file = file
        try:
            self._archive = zipfile.ZipFile(file)
        except MEMBER_ERRORS as error:
            raise damaged(origin, f"what is no zip file: {error}") from None
        self._members: dict[str, tuple[zipfile.ZipInfo, str | None]] = {}
        shapes = {}
        for info in self._archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            name = info.filename.removesuffix(".npy")
            stem, _, last = name.rpartition(".")
            extra = last if last in EXTRA_DTYPES else None
            name = stem if extra else name
            self._members[name] = info, extra
            shapes[name] = self._header(info)[0]
        super().__init__(shapes)

    def _header(self, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype]:
        with self._open(info) as member:
            return self._header_in(member, info.filename)

    def _open(self, info: zipfile.ZipInfo) -> IO[bytes]:
        check_member(info, self.origin, self.most_bytes)
        try:
            return self._archive.open(info)
        except MEMBER_ERRORS as error:
            raise damaged(self.origin, f"an unreadable {info.filename}: {error}") from None

    def _header_in(self, member: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
        try:
            version = np.lib.format.read_magic(member)
            return HEADERS[version](member)
        except (*MEMBER_ERRORS, KeyError) as error:
            raise damaged(self.origin, f"an unreadable {name}: {error}") from None

    def read(self, name: str) -> np.ndarray:
        """The array of that name."""
        info, extra = self._members[name]
        with self._open(info) as member:
            shape, is_fortran, dtype = self._header_in(member, info.filename)
            if dtype.hasobject:
                raise refused(
                    self.origin,
                    f"{name}, a pickled object, which could run code",
                    "Save the model again as `.keras` or `.weights.h5`.",
                )
            declared = size_in_bytes(shape, dtype)
            if declared > max(SMALL, info.file_size) or any(size < 0 for size in shape):
                raise refused(
                    self.origin,
                    f"{name}, which declares {readable_size(declared)} and has "
                    f"{readable_size(info.file_size)}: a decompression bomb",
                )
            try:
                data = member.read(declared)
            except MEMBER_ERRORS as error:
                raise damaged(self.origin, f"an unreadable {name}: {error}") from None
        if len(data) != declared:
            raise damaged(self.origin, f"{name} with {len(data)} of {declared} bytes")
        found = np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
        return found.view(EXTRA_DTYPES[extra]) if extra else found

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()
        self._file.close()

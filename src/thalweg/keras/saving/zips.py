"""Members of zip archives: found by name, checked for what they claim, read while being checked.

Members are stored or deflated. Stored ones are read where they lie, after one pass that compares
their checksum; deflated ones grow in a temporary file, never beyond what they declared.
"""

import io
import os
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from thalweg.keras.saving.files import damaged, refused
from thalweg.keras.saving.stores import readable_size
from thalweg.keras.saving.texts import MOST_TEXT

MEMBER_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, NotImplementedError,
    RuntimeError, ValueError, OverflowError,
)  # fmt: skip
"""What reading a damaged or encrypted archive raises."""

FLOOR = 256 << 20
"""Bytes to which a deflated member may grow whatever its size in the archive."""

MOST_GROWTH = 100
"""How many times its size in the archive a larger member may have."""

CHUNK = 1 << 20


def open_zip(file: IO[bytes], origin: object) -> zipfile.ZipFile:
    """The archive in an open file. Errors: FileError, also for two members of one name."""
    try:
        archive = zipfile.ZipFile(file)
    except MEMBER_ERRORS as error:
        raise damaged(origin, f"what is no whole zip archive: {error}") from None
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise refused(origin, "two members of one name")
    return archive


def check_member(info: zipfile.ZipInfo, origin: object, most_bytes: int | None = None) -> None:
    """Refuse a member that is no plain file, or declares far more than it has."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        raise refused(origin, f"{info.filename}, which is a link or a device")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refused(origin, f"{info.filename}, packed in the unusual way {info.compress_type}")
    if info.compress_type == zipfile.ZIP_STORED:
        if info.file_size != info.compress_size:
            raise damaged(origin, f"{info.filename}, stored as another size than it has")
        return
    allowed = max(FLOOR, MOST_GROWTH * info.compress_size)
    if most_bytes is not None:
        allowed = min(allowed, max(most_bytes, info.compress_size))
    if info.file_size > allowed:
        raise refused(
            origin,
            f"{info.filename}, which declares {readable_size(info.file_size)} and has "
            f"{readable_size(info.compress_size)} in the archive: a decompression bomb",
        )


def read_member(archive: zipfile.ZipFile, name: str, origin: object) -> bytes:
    """The bytes of a text in an archive. Errors: FileError, also where there is none."""
    info = member(archive, name, origin)
    if info.file_size > MOST_TEXT:
        raise refused(origin, f"{name} of {readable_size(info.file_size)}")
    check_member(info, origin)
    target = io.BytesIO()
    copy_member(archive, info, target, origin)
    return target.getvalue()


def member(archive: zipfile.ZipFile, name: str, origin: object) -> zipfile.ZipInfo:
    """What an archive says of a member. Errors: FileError where it has none of that name."""
    try:
        return archive.getinfo(name)
    except KeyError:
        found = ", ".join(archive.namelist()[:5]) or "nothing"
        raise damaged(origin, f"no {name}, but {found}") from None


def copy_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: IO[bytes], origin: object
) -> None:
    """Write a member to an open file, and not a byte more than it declared."""
    left = info.file_size
    for chunk in _chunks(archive, info, origin):
        left -= len(chunk)
        if left < 0:
            break
        target.write(chunk)
    if left:
        raise damaged(origin, f"{info.filename} of another size than it declares")


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, origin: object) -> Iterator[bytes]:
    """The bytes of a member; at their end its checksum is compared."""
    try:
        with archive.open(info) as source:
            while chunk := source.read(CHUNK):
                yield chunk
    except MEMBER_ERRORS as error:
        raise damaged(origin, f"an unreadable {info.filename}: {error}") from None


def open_member(
    archive: zipfile.ZipFile, file: IO[bytes], name: str, origin: object, most_bytes: int
) -> Any:
    """A member as a file that can be read at any place, its checksum compared."""
    info = member(archive, name, origin)
    check_member(info, origin, most_bytes)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        grown = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            copy_member(archive, info, grown, origin)
        except BaseException:
            grown.close()
            raise
        grown.seek(0)
        return grown
    for _ in _chunks(archive, info, origin):
        pass  # for the checksum alone
    return _Window(file, _begin(file, info, origin), info.file_size)


def _begin(file: IO[bytes], info: zipfile.ZipInfo, origin: object) -> int:
    """Where the data of a member begins: after its local header, which has lengths of its own."""
    file.seek(info.header_offset)
    head = file.read(30)
    if len(head) != 30:
        raise damaged(origin, f"no header for {info.filename}")
    name, extra = struct.unpack("<HH", head[26:30])
    return info.header_offset + 30 + name + extra


class _Window(io.RawIOBase):
    """A stretch of an open file as a file of its own."""

    def __init__(self, file: IO[bytes], begin: int, length: int):
        super().__init__()
        self._source = file
        self._begin = begin
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._length - self._at))
        self._source.seek(self._begin + self._at)
        data = self._source.read(count)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def extract_below(archive: zipfile.ZipFile, folder: str, prefix: str, origin: object) -> None:
    """Write the members whose names begin with `prefix` below a folder, and nowhere else."""
    root = os.path.realpath(folder)
    members = [
        info
        for info in archive.infolist()
        if info.filename.startswith(prefix) and not info.is_dir()
    ]
    allowed = max(FLOOR, MOST_GROWTH * sum(info.compress_size for info in members))
    if sum(info.file_size for info in members) > allowed:
        raise refused(origin, "assets that grow without measure: a decompression bomb")
    for info in members:
        parts = info.filename.split("/")
        if not all(is_plain_name(part) for part in parts):
            raise refused(origin, f"a member that leaves its folder: {info.filename!r}")
        check_member(info, origin)
        place = os.path.join(root, *parts)
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as target:
                copy_member(archive, info, target, origin)
        except (FileExistsError, NotADirectoryError):
            raise refused(origin, f"two members in one place: {info.filename!r}") from None


def is_plain_name(part: str) -> bool:
    """True for one step of a path that stays in its folder on every system."""
    return part not in ("", ".", "..") and not set(part) & set("/\\:\0")

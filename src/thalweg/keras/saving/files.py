"""Files that are whole or not there, and the errors of files that are not what they should be.

    new file, without a name  ->  written  ->  flushed to the disk  ->  named, in place of the old

A name is given only to what is complete: whatever stops the program before, the old file stays as
it was. Where the file system has files without names (Linux), even a killed program leaves nothing
behind; elsewhere such a program leaves a file `.{name}.{random}.part`.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO

from thalweg.base.errors import ArgumentError, explain

PathLike = str | os.PathLike[str]


class FileError(ArgumentError, OSError):
    """A file that is damaged, or that asks for more than a file of weights may."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""


def refused(path: object, what: str, do: str = "") -> FileError:
    """The error for a file that holds what it must not."""
    return FileError(explain(f"load {path}", "a file of plain numbers and settings", what, do))


def damaged(path: object, what: str) -> FileError:
    """The error for a file that is cut or changed."""
    return FileError(
        explain(
            f"load {path}",
            "a whole file, as it was saved",
            what,
            "The file is damaged: copy or download it again, or save it again.",
        )
    )


def missing(path: object) -> MissingFileError:
    """The error for a file that is not there."""
    return MissingFileError(
        explain(f"load {path}", "a file at this path", f"no such file: {os.path.abspath(path)}")  # type: ignore[call-overload]
    )


class NewFile:
    """A file under way to `path`: write to `file`, then `commit`; `discard` forgets it."""

    file: BinaryIO

    def __init__(self, path: PathLike):
        # A link is written through, as `open` would.
        self.path = os.path.realpath(path)
        folder, name = os.path.split(self.path)
        self._folder = folder
        self._part = os.path.join(folder, f".{name}.{secrets.token_hex(6)}.part")
        self._has_name = False
        try:
            descriptor = self._open()
        except FileNotFoundError:
            raise MissingFileError(
                explain(f"save {path}", "a folder that exists", f"no folder {folder}")
            ) from None
        self.file = os.fdopen(descriptor, "w+b")
        with contextlib.suppress(OSError, AttributeError):
            os.fchmod(descriptor, stat.S_IMODE(os.stat(self.path).st_mode))

    def _open(self) -> int:
        if hasattr(os, "O_TMPFILE"):
            # Not every file system has it, and some say so in their own ways.
            with contextlib.suppress(OSError):
                return os.open(self._folder, os.O_TMPFILE | os.O_RDWR, 0o666)
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self._part, flags, 0o666)
        self._has_name = True
        return descriptor

    def flush(self) -> None:
        """Have everything on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def commit(self) -> None:
        """Put the file in the place of the old one."""
        try:
            self.flush()
            if not self._has_name:
                number = self.file.fileno()
                # With a folder given, `link` follows the link that /proc keeps of an open file.
                os.link(f"/proc/self/fd/{number}", self._part, src_dir_fd=number)
                self._has_name = True
            self.file.close()
            os.replace(self._part, self.path)
            self._has_name = False
        finally:
            self.discard()
        _flush_folder(self._folder)

    def discard(self) -> None:
        """Leave nothing behind; after `commit`, nothing is left to do."""
        self.file.close()
        if self._has_name:
            self._has_name = False
            with contextlib.suppress(OSError):
                os.unlink(self._part)


@contextlib.contextmanager
def new_files() -> Iterator[Callable[[PathLike], BinaryIO]]:
    """A function that opens new files; when the block ends well they take their places in turn."""
    files: list[NewFile] = []

    def begin(path: PathLike) -> BinaryIO:
        files.append(NewFile(path))
        return files[-1].file

    try:
        yield begin
        for each in files:
            each.flush()
        for each in files:
            each.commit()
    finally:
        for each in files:
            each.discard()


@contextlib.contextmanager
def new_file(path: PathLike) -> Iterator[BinaryIO]:
    """A file to write and read that takes the place of `path` when the block ends well."""
    with new_files() as begin:
        yield begin(path)


def _flush_folder(folder: str) -> None:
    # Systems on which folders cannot be opened (Windows) keep names without being asked.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

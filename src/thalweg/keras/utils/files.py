"""Files from the network, kept in a cache: `get_file`.

A download goes to a temporary file beside its place, is checked there, and then renamed: what lies
in the cache under its own name is whole and has the hash that was asked for. Archives are unpacked
the same way. Nothing in an archive can leave its folder or fill the disk.

    cache_dir      given, or $KERAS_HOME, or ~/.keras
    file           cache_dir/cache_subdir/fname
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
import urllib.parse
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from thalweg.base.errors import ArgumentError, ThalwegError, explain
from thalweg.keras import door, settings
from thalweg.keras.utils.messages import print_message
from thalweg.keras.utils.progbar import Progbar, is_redrawable

CHUNK = 1 << 20
TIMEOUT_SECONDS = 60  # of silence, not of the whole download

# An archive whose contents are larger than this and than so many times its own size is refused.
BOMB_BYTES = 4 << 30
BOMB_RATIO = 200
MOST_MEMBERS = 2_000_000
MOST_READ = 64 << 20

ALGORITHMS = ("auto", "sha256", "md5")
ARCHIVE_FORMATS = ("tar", "zip")


class DownloadError(ThalwegError, RuntimeError):
    """A file that could not be fetched."""


class ArchiveError(ThalwegError, ValueError):
    """An archive that cannot be unpacked, or that tries to harm."""


def get_file(
    fname: str | os.PathLike | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: str | os.PathLike | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file that is fetched from `origin` unless the cache has it.

    The file is called `fname`, or as in `origin`. With a hash (SHA-256, or MD5; `hash_algorithm`
    names it where its length does not tell) a cached file of another content is fetched again.
    With `extract` (or the older `untar`) the archive, tar or zip, is unpacked, and the path is the
    folder: `fname` itself with the archive as `fname_archive`, or, where `fname` is given with an
    ending, its stem and `_extracted`.

    Errors: ArgumentError without a name or origin, for a name that is a path, for an unknown hash
    or archive format, and when the content does not have the hash; DownloadError when it cannot be
    fetched; ArchiveError when it cannot be unpacked.
    """
    if not origin:
        raise ArgumentError(
            explain("get_file", 'the "origin" argument (URL of the file to download)', "none")
        )
    is_named = bool(fname)
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.urlsplit(origin).path)
    _check_name(name, origin, is_named)
    expected, algorithm = _expected_hash(md5_hash, file_hash, hash_algorithm)
    formats = _archive_formats(archive_format, untar and not extract)
    folder = os.path.join(_cache_folder(cache_dir), cache_subdir)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    archive = path
    if extract or untar:
        if is_named and "." in name:
            path = os.path.join(folder, f"{name[: name.index('.')]}_extracted")
        else:
            archive = f"{path}_archive"
    if force_download or not _is_cached(archive, expected, algorithm):
        _download(origin, archive, expected, algorithm)
        is_new = True
    else:
        is_new = False
    if (extract or untar) and (is_new or not os.path.exists(path)):
        unpack(archive, path, formats)
    return path


def _check_name(name: str, origin: str, is_given: bool) -> None:
    if not name:
        raise ArgumentError(
            explain(
                "get_file",
                "the name of the file",
                f"Can't parse the file name from the origin provided: {origin!r}",
                "Please specify the `fname` argument.",
            )
        )
    if os.path.basename(name) != name or name in (".", "..") or "\\" in name or "\0" in name:
        raise ArgumentError(
            explain(
                "get_file",
                "a name; Paths are no longer accepted as the `fname` argument",
                f"fname={name}",
                "To specify the file's parent directory, use the `cache_dir` argument.",
            )
        )


def _cache_folder(cache_dir: str | os.PathLike | None) -> str:
    """The folder of the cache; one below the temporary folder where the home is read-only."""
    if cache_dir is not None:
        return os.path.expanduser(os.fspath(cache_dir))
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    with contextlib.suppress(OSError):
        os.makedirs(home, exist_ok=True)
    return home if os.access(home, os.W_OK) else os.path.join(tempfile.gettempdir(), ".keras")


# ---- hashes --------------------------------------------------------------------------------------


def _expected_hash(
    md5_hash: str | None, file_hash: str | None, algorithm: str
) -> tuple[str | None, str]:
    if algorithm not in ALGORITHMS:
        raise ArgumentError(
            explain("get_file", f"hash_algorithm to be one of {ALGORITHMS}", f"{algorithm!r}")
        )
    if file_hash is None and md5_hash is not None:
        return md5_hash.lower(), "md5"
    if file_hash is None:
        return None, "sha256"
    if algorithm == "auto":
        algorithm = "sha256" if len(file_hash) == 64 else "md5"
    return file_hash.lower(), algorithm


def hash_file(path: str | os.PathLike, algorithm: str = "sha256", chunk_size: int = CHUNK) -> str:
    """The SHA-256 or MD5 hash of a file, in hexadecimal digits."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(chunk_size):
            digest.update(chunk)
    return digest.hexdigest()


def _is_cached(path: str, expected: str | None, algorithm: str) -> bool:
    if not os.path.isfile(path):
        return False
    if expected is None or hash_file(path, algorithm) == expected:
        return True
    print_message(
        f"The cached file {path} has another {algorithm} hash than {expected}: fetching it again."
    )
    return False


# ---- downloads -----------------------------------------------------------------------------------


def _download(origin: str, path: str, expected: str | None, algorithm: str) -> None:
    print_message(f"Downloading data from {origin}")
    handle, temporary = tempfile.mkstemp(
        prefix=f".{os.path.basename(path)[:100]}.", dir=os.path.dirname(path)
    )
    try:
        with os.fdopen(handle, "wb") as file:
            _fetch(origin, file, path)
            file.flush()
            os.fsync(file.fileno())
        if expected is not None and hash_file(temporary, algorithm) != expected:
            raise ArgumentError(
                explain(
                    "get_file",
                    f"the content whose {algorithm} hash is {expected}",
                    "Incomplete or corrupted file detected. The"
                    f" {algorithm} file hash is {hash_file(temporary, algorithm)}",
                    f"Nothing was kept. Is {origin} the right file?",
                )
            )
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _fetch(origin: str, file: IO[bytes], path: str) -> None:
    """Copy what `origin` gives into a file, with a progress bar where one can be drawn."""
    bar = None
    done, total = 0, None
    for chunk, total in _chunks(origin, path):
        if bar is None and total and is_redrawable() and settings.is_interactive_logging_enabled():
            bar = Progbar(total, unit_name="byte")
        file.write(chunk)
        done += len(chunk)
        if bar is not None:
            bar.update(done)
    if total is not None and done != total:
        raise DownloadError(
            explain(
                "get_file",
                f"{total} bytes of {origin}",
                f"{done}: the connection ended early",
                "Try again; nothing was kept.",
            )
        )


def _chunks(origin: str, path: str) -> Iterator[tuple[bytes, int | None]]:
    """The parts of what `origin` gives, each with the length of the whole where that is known."""
    try:
        with door.request().urlopen(origin, timeout=TIMEOUT_SECONDS) as response:
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            while True:
                chunk = response.read(CHUNK)
                yield chunk, total
                if not chunk:
                    return
    except (OSError, ValueError, door.http_error()) as error:
        # urllib raises URLError (an OSError), HTTPException for a broken answer, and ValueError
        # for what is no URL.
        raise DownloadError(
            explain(
                "get_file",
                f"to fetch {origin}",
                f"URL fetch failure: {error}",
                f"Without a network, put the file there yourself: {path}",
            )
        ) from error


# ---- archives ------------------------------------------------------------------------------------


def _archive_formats(archive_format: str | Iterable[str] | None, tar_only: bool) -> list[str]:
    if tar_only:
        return ["tar"]
    if archive_format == "auto":
        return list(ARCHIVE_FORMATS)
    if archive_format is None:
        return []
    given = [archive_format] if isinstance(archive_format, str) else list(archive_format)
    for name in given:
        if name not in ARCHIVE_FORMATS:
            raise ArgumentError(
                explain("get_file", "archive_format to be auto, tar, zip or None", f"{name!r}")
            )
    return given


def unpack(archive: str, folder: str, formats: Sequence[str] = ARCHIVE_FORMATS) -> None:
    """Unpack an archive into a folder, which appears only once all of it is there.

    Errors: ArchiveError when the file is no archive of these formats, when it is damaged, or when
    something in it points outside of the folder, is no file, folder or link, or is far too large.
    """
    temporary = tempfile.mkdtemp(
        prefix=f".{os.path.basename(folder)[:100]}.", dir=os.path.dirname(folder)
    )
    try:
        if "zip" in formats and zipfile.is_zipfile(archive):
            _unpack_zip(archive, temporary)
        elif "tar" not in formats or not _unpack_tar(archive, temporary):
            raise ArchiveError(
                explain(
                    "get_file",
                    f"an archive of one of the formats {', '.join(formats) or '(none)'}",
                    f"{archive}: Could not extract archive",
                )
            )
        os.chmod(temporary, 0o755)
        _replace_folder(temporary, folder)
    except door.damaged_archive() as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        # bz2 and gzip say so when the data are wrong; an error of the system has a number.
        if error.errno is not None:
            raise
        raise _damaged(archive, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _damaged(archive: str, error: Exception) -> ArchiveError:
    return ArchiveError(
        explain("get_file", "a whole archive", f"{archive}: {error or 'it ends early'}")
    )


def _replace_folder(source: str, target: str) -> None:
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)
    elif os.path.lexists(target):
        os.unlink(target)
    os.replace(source, target)


class _Bounded:
    """A tar stream whose reads are bounded, so that no header is larger than memory."""

    def __init__(self, file: IO[bytes], archive: str):
        self.file = file
        self.archive = archive
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MOST_READ:
            raise _refused(self.archive, "a header", f"{size} bytes long")
        return self.file.read(size)


def _unpack_tar(archive: str, folder: str) -> bool:
    """Unpack a tar archive, compressed or not; False when the file is none."""
    tarfile = door.tarfile()
    with open(archive, "rb") as plain:
        opener = door.decompressor(plain.read(6))
    with contextlib.ExitStack() as open_files:
        stream = open_files.enter_context(opener(archive, "rb"))
        try:
            file = tarfile.open(fileobj=_Bounded(stream, archive), mode="r:")
        except tarfile.ReadError:
            return False
        open_files.enter_context(file)
        budget = _Budget(archive, folder)
        _unpack_members(file, archive, folder, budget)
        # The compressed stream has a checksum at its end, which is checked only when it is read.
        while rest := stream.read(CHUNK):
            budget.take(len(rest))
    return True


def _unpack_members(file: Any, archive: str, folder: str, budget: "_Budget") -> None:
    links: list[tuple[str, str]] = []
    for member in file:
        budget.take(member.size if member.isreg() else 0)
        place = _place(folder, member.name, archive)
        if member.isdir():
            os.makedirs(place, exist_ok=True)
        elif member.isreg():
            _make_room(place, archive)
            with file.extractfile(member) as source, open(place, "xb") as target:
                shutil.copyfileobj(source, target, CHUNK)
            os.chmod(place, 0o755 if member.mode & 0o100 else 0o644)
        elif member.issym():
            links.append((place, member.linkname))
        elif member.islnk():
            source_place = _place(folder, member.linkname, archive)
            if not os.path.isfile(source_place):
                raise _refused(archive, member.name, "a hard link to no file before it")
            _make_room(place, archive)
            shutil.copy2(source_place, place)
        else:
            raise _refused(archive, member.name, "no file, folder or link")
    # Symbolic links come last, so that nothing is ever written through one.
    for place, linkname in links:
        if os.path.isabs(linkname):
            raise _refused(archive, linkname, "a link to an absolute path")
        _make_room(place, archive)
        os.symlink(linkname, place)
    root = os.path.realpath(folder)
    for place, linkname in links:
        if os.path.islink(place) and not _is_inside(os.path.realpath(place), root):
            raise _refused(archive, linkname, "a link that leaves the folder")


def _unpack_zip(archive: str, folder: str) -> None:
    budget = _Budget(archive, folder)
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            budget.take(member.file_size)
            if member.flag_bits & 1:
                raise _refused(archive, member.filename, "encrypted")
            place = _place(folder, member.filename, archive)
            if member.is_dir():
                os.makedirs(place, exist_ok=True)
                continue
            _make_room(place, archive)
            with file.open(member) as source, open(place, "xb") as target:
                shutil.copyfileobj(source, target, CHUNK)


class _Budget:
    """Counts what an archive unpacks to, and refuses one that would fill the disk."""

    def __init__(self, archive: str, folder: str):
        self.archive = archive
        self.bytes_left = min(
            max(BOMB_BYTES, BOMB_RATIO * os.path.getsize(archive)), shutil.disk_usage(folder).free
        )
        self.members_left = MOST_MEMBERS

    def take(self, bytes_needed: int) -> None:
        self.bytes_left -= bytes_needed
        self.members_left -= 1
        if self.bytes_left < 0 or self.members_left < 0:
            raise ArchiveError(
                explain(
                    "get_file",
                    f"an archive that unpacks to at most {BOMB_BYTES >> 30} GiB or"
                    f" {BOMB_RATIO} times its size, in at most {MOST_MEMBERS} files, and fits on"
                    " the disk",
                    f"{self.archive}, which is larger",
                    "Unpack it by hand if you trust it.",
                )
            )


def _place(folder: str, name: str, archive: str) -> str:
    """Where a member goes. Its name is relative and goes down only."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or "\0" in name or ":" in name[:2]:
        raise _refused(archive, name, "outside of the folder")
    return os.path.join(folder, *parts.parts)


def _make_room(place: str, archive: str) -> None:
    """The folder of a member, and no former member of the same name."""
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.lexists(place):
            os.unlink(place)
    except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise _refused(archive, os.path.basename(place), "both a file and a folder") from error


def _is_inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root + os.sep)


def _refused(archive: str, name: str, why: str) -> ArchiveError:
    return ArchiveError(
        explain(
            "get_file",
            "an archive whose members stay in their folder",
            f"{archive}, where {name!r} is {why}",
            "Nothing was unpacked: do not trust this file.",
        )
    )

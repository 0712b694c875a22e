"""Weights in HDF5, the format of `.weights.h5` and of the weights in `.keras` files.

    {path}/vars          a group for each object that can keep variables, attribute `name`
    {path}/vars/0, 1 ..  its arrays; bfloat16 as two bytes, with the attribute dtype="bfloat16"

HDF5 can do far more than hold arrays: point into other files, load filters, claim sizes that it
does not have. Reading goes step by step through plain groups to plain datasets, and everything else
is refused before it is followed or allocated.
"""

import contextlib
import mmap
import os
import struct
from collections.abc import Iterator, Mapping, MutableMapping
from typing import IO, Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import door
from thalweg.keras.saving.files import FileError, damaged, missing, refused
from thalweg.keras.saving.stores import (
    DEFLATED,
    EXTRA_DTYPES,
    SMALL,
    as_array,
    readable_size,
    size_in_bytes,
)

FILTERS = {1, 2, 3, 4, 5, 6, 32000}
"""gzip, shuffle, checksum, szip, n-bit, scale-offset, lzf: others would be loaded as libraries."""

HEAP = b"GCOL\1\0\0\0"
"""How a list of texts begins: the "global heap" of the format's specification."""

MOST_DEPTH = 64
"""Levels of groups that a listing goes down."""


# ---- writing -------------------------------------------------------------------------------------


class H5Writer:
    """Writes weights to a file that is open for reading and writing."""

    def __init__(self, file: IO[bytes]):
        self.root = door.h5py().File(file, "w")

    def make(self, path: str, name: str | None = None) -> "H5Entry":
        """The place for the arrays of one object; its group is made at once if it has a name."""
        return H5Entry(self.root, f"{path}/vars".lstrip("/"), name)

    def close(self) -> None:
        """Complete the file."""
        self.root.close()


class H5Entry(MutableMapping[str, Any]):
    """The arrays of one object in a file that is being written."""

    def __init__(self, root: Any, place: str, name: str | None):
        self._root = root
        self._place = place
        self._group: Any = None
        if name is not None:
            self._made().attrs["name"] = name

    def _made(self) -> Any:
        if self._group is None:
            self._group = self._root.require_group(self._place)
        return self._group

    def __setitem__(self, key: str, value: Any) -> None:
        write_dataset(self._made(), key, as_array(value))

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self:
            raise KeyError(key)
        dataset = self._group[key]
        return as_numbers(dataset, dataset.attrs.get("dtype"))

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        del self._group[key]

    def __contains__(self, key: object) -> bool:
        return self._group is not None and key in self._group

    def __iter__(self) -> Iterator[str]:
        return iter(() if self._group is None else list(self._group))

    def __len__(self) -> int:
        return 0 if self._group is None else len(self._group)


def write_dataset(group: Any, name: str, array: np.ndarray) -> None:
    """Put an array into a group, in place of an older one. Raises ArgumentError for objects."""
    if array.dtype.kind not in "biufcSV":
        raise ArgumentError(
            explain(
                f"save {group.name}/{name}",
                "numbers, booleans or bytes of fixed length",
                f"an array of {array.dtype}",
                "Keep texts in a file of their own, which save_assets(folder) writes.",
            )
        )
    if name in group:
        del group[name]
    dataset = group.create_dataset(name, data=array)
    if array.dtype.name in EXTRA_DTYPES:
        dataset.attrs["dtype"] = array.dtype.name


# ---- reading -------------------------------------------------------------------------------------


DAMAGES = (OSError, RuntimeError, ValueError, KeyError, TypeError, UnicodeError)
"""What h5py raises for a file that is damaged, depending on where."""


class H5File:
    """An HDF5 file that is read with care.

    `most_bytes` bounds what a compressed array may grow to. Errors: FileError for a file that is
    no HDF5, or damaged.
    """

    def __init__(self, file: IO[bytes], origin: object, most_bytes: int | None = None):
        self.origin = origin
        self.most_bytes = most_bytes
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._file = file
        try:
            self.root = door.h5py().File(file, "r")
        except DAMAGES as error:
            file.close()
            raise damaged(origin, f"what is no whole HDF5 file: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self.root.close()
        self._file.close()

    def check_texts(self) -> None:
        """Follow the lists in which texts of any length lie.

        HDF5 reads them when such an attribute is read, and a list with a free piece of no length
        never ends for it. Raises FileError for one that does not end where it says.
        """
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            begin = data.find(HEAP)
            while begin >= 0:
                size = int.from_bytes(data[begin + 8 : begin + 16], "little")
                at, end = begin + 16, begin + size
                while at + 16 <= end <= len(data):
                    number, _, _, length = struct.unpack("<HHIQ", data[at : at + 16])
                    step = 16 + -(-length // 8) * 8 if number else length
                    if not step:
                        raise damaged(self.origin, "a list of texts without an end")
                    at += step
                if at > end or end > len(data):
                    raise damaged(self.origin, "a list of texts with a wrong end")
                begin = data.find(HEAP, begin + 8)

    def group(self, parent: Any, path: str) -> Any:
        """The group at a path below `parent`, or None. Raises FileError for links."""
        found = self._step(parent, path)
        if found is not None and not isinstance(found, door.h5py().Group):
            raise refused(self.origin, f"{path!r} is a {type(found).__name__}, no group")
        return found

    def dataset(self, parent: Any, path: str) -> Any:
        """The dataset at a path below `parent`, or None. Raises FileError for one to mistrust."""
        found = self._step(parent, path)
        if found is None:
            return None
        if not isinstance(found, door.h5py().Dataset):
            raise refused(self.origin, f"{path!r} is a {type(found).__name__}, no dataset")
        self._check(found)
        return found

    def read(self, dataset: Any) -> np.ndarray:
        """The array of a dataset that `dataset` gave."""
        extra = self.attribute(dataset, "dtype") if dataset.dtype.kind == "V" else None
        with self.guarded("array"):
            return as_numbers(dataset, extra)

    def _step(self, parent: Any, path: str) -> Any:
        place = parent
        for part in path.strip("/").split("/"):
            if part in ("", "."):
                raise refused(self.origin, f"the path {path!r}")
            if not isinstance(place, door.h5py().Group) or not self.is_plain(place, part):
                return None
            with self.guarded(f"{part!r:.80}"):
                place = place[part]
        return place

    @contextlib.contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Within this block what h5py says of a damaged file is said as FileError."""
        try:
            yield
        except FileError:
            raise
        except DAMAGES as error:
            raise damaged(self.origin, f"an unreadable {what}: {error}") from None

    def is_plain(self, group: Any, name: str) -> bool:
        """True if a group has a member of that name, False if not. Raises FileError for links."""
        h5py = door.h5py()
        with self.guarded(f"{name!r:.80}"):
            encoded = _encoded(name)
            if not group.id.links.exists(encoded):
                return False
            kind = group.id.links.get_info(encoded).type
        if kind != h5py.h5l.TYPE_HARD:
            named = {h5py.h5l.TYPE_SOFT: "SoftLink", h5py.h5l.TYPE_EXTERNAL: "ExternalLink"}
            raise refused(
                self.origin,
                f"{group.name.rstrip('/')}/{name}, a link ({named.get(kind, 'UserDefinedLink')})",
            )
        return True

    def arrays(self, group: Any) -> list[str]:
        """The names in a group of all that is no group: datasets, and links to who knows what."""
        h5g = door.h5py().h5g
        with self.guarded("group"):
            names = [(name, _encoded(name)) for name in group]
            return [
                name
                for name, encoded in names
                if h5g.get_objinfo(group.id, encoded, False).type != h5g.GROUP
            ]

    def attribute(self, place: Any, name: str) -> Any:
        """The value of an attribute of texts or numbers, or None. Raises FileError for others."""
        h5py, encoded = door.h5py(), name.encode()
        with self.guarded(f"attribute {name}"):
            if not h5py.h5a.exists(place.id, encoded):
                return None
            kind = h5py.h5a.open(place.id, encoded).get_type()
            if isinstance(kind, h5py.h5t.TypeStringID):
                # h5py follows the pointers of texts without a doubt in them.
                is_known = kind.get_cset() in (0, 1) and kind.get_strpad() in (0, 1, 2)
            else:
                is_known = isinstance(kind, (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID))
            if not is_known:
                raise damaged(self.origin, f"an attribute {name} that is no text")
            return place.attrs[name]

    def _check(self, dataset: Any) -> None:
        with self.guarded("array"):
            self._check_storage(dataset)

    def _check_storage(self, dataset: Any) -> None:
        name = dataset.name
        settings = dataset.id.get_create_plist()
        if dataset.external:
            raise refused(self.origin, f"{name}, an external dataset: its data is in other files")
        if dataset.is_virtual:
            raise refused(self.origin, f"{name}, a virtual dataset: its data is in other files")
        count = settings.get_nfilters()
        others = {settings.get_filter(index)[0] for index in range(count)} - FILTERS
        if others:
            raise refused(self.origin, f"{name}, packed by the unknown filters {sorted(others)}")
        dtype = dataset.dtype
        if dtype.kind not in "biufcS" and not _is_extra(dtype):
            raise refused(self.origin, f"{name}, which is of {dtype}, not of numbers")
        if dataset.shape is None:
            raise refused(self.origin, f"{name}, which has no shape")
        declared = size_in_bytes(dataset.shape, dtype)
        if dataset.chunks is not None:
            declared = max(declared, size_in_bytes(dataset.chunks, dtype))
        if declared <= SMALL:
            return
        stored = min(dataset.id.get_storage_size(), self.size)
        allowed = stored
        if count:
            allowed = min(DEFLATED * stored, self.most_bytes or DEFLATED * stored)
        if declared > allowed:
            raise refused(
                self.origin,
                f"{name}, which declares {readable_size(declared)} and has {readable_size(stored)}"
                " in the file: a shape bomb",
            )

    def listing(self, group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
        """All datasets below a group with their paths. Raises FileError for links and cycles."""
        pending = [(group, path, 0)]
        seen: set[Any] = set()
        h5py = door.h5py()
        while pending:
            place, inner, depth = pending.pop()
            with self.guarded("group"):
                number = h5py.h5o.get_info(place.id).addr
                names = [_encoded(name).decode("utf-8", "surrogateescape") for name in place]
            if number in seen or depth > MOST_DEPTH:
                raise refused(self.origin, f"the group {place.name} within itself")
            seen.add(number)
            below = []
            for name in names:
                found = self._step(place, name)
                if isinstance(found, h5py.Group):
                    below.append((found, f"{inner}{name}/", depth + 1))
                elif isinstance(found, h5py.Dataset):
                    yield f"{inner}{name}", found
            pending.extend(reversed(below))


class H5Reader:
    """Reads weights from an HDF5 file."""

    def __init__(self, source: H5File):
        self.source = source
        # Keras 2.13 kept the layers of a model under another name.
        old = "_layer_checkpoint_dependencies"
        self._old_name = old if source.is_plain(source.root, old) else None

    def get(self, path: str) -> Mapping[str, np.ndarray]:
        """The arrays of one object."""
        group = self._variables(path)
        if group is None and self._old_name:
            group = self._variables(path.replace("layers", self._old_name))
        return {} if group is None else H5View(self.source, group)

    def _variables(self, path: str) -> Any:
        return self.source.group(self.source.root, f"{path}/vars")

    def has_path(self, path: str) -> bool:
        """True if there is a group at a path."""
        return self.source.group(self.source.root, path) is not None

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The path and shape of each array."""
        for path, dataset in self.source.listing(self.source.root):
            yield path, dataset.shape

    def close(self) -> None:
        """Let go of the file."""
        self.source.close()


class H5View(Mapping[str, np.ndarray]):
    """The arrays of one object in a file that is being read."""

    def __init__(self, source: H5File, group: Any):
        self._source = source
        self._group = group

    def __getitem__(self, key: str) -> np.ndarray:
        found = self._source.dataset(self._group, key)
        if found is None:
            raise KeyError(key)
        return self._source.read(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.arrays(self._group))

    def __len__(self) -> int:
        return len(self._source.arrays(self._group))


def open_h5(path: Any, most_bytes: int | None = None) -> H5File:
    """An HDF5 file by its path. Errors: FileError."""
    try:
        # Opened here, not by HDF5: its locks fail on read-only and on network file systems.
        file = open(path, "rb")  # noqa: SIM115 - H5File closes it
    except FileNotFoundError:
        raise missing(path) from None
    return H5File(file, path, most_bytes)


def as_numbers(dataset: Any, extra: object = None) -> np.ndarray:
    """The array of a dataset, in this machine's byte order and with its own element type.

    `extra` is the name of one that HDF5 has only as bytes.
    """
    array = np.asarray(dataset[()])
    if array.dtype.kind == "V":
        # Legacy files do not say what the two bytes are.
        return array.view(EXTRA_DTYPES["bfloat16" if extra is None else str(extra)])
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _encoded(name: str) -> bytes:
    """The bytes of a name; TypeError for what h5py has as bytes, for it is no text."""
    return str.encode(name, "utf-8", "surrogateescape")


def _is_extra(dtype: np.dtype) -> bool:
    sizes = {each.itemsize for each in EXTRA_DTYPES.values()}
    is_plain = dtype.kind == "V" and dtype.names is None and dtype.subdtype is None
    return is_plain and dtype.itemsize in sizes

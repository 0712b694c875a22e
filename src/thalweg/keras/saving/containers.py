"""What a saved model is made of, in a zip file or in a folder.

metadata.json       {keras_version, date_saved}, and random_generators, see generators.py
config.json         the model as serialize_keras_object gives it
model.weights.h5    its state, see hdf5.py; older files may have model.weights.npz
assets/{path}/...   what objects keep beside their variables
"""

import contextlib
import datetime
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from thalweg.keras.saving import generators
from thalweg.keras.saving.files import damaged, new_files, refused
from thalweg.keras.saving.formats import READERS, by_ending
from thalweg.keras.saving.hdf5 import H5Writer
from thalweg.keras.saving.registration import builtin
from thalweg.keras.saving.serialization import (
    ObjectSharingScope,
    deserialize_keras_object,
    serialize_keras_object,
)
from thalweg.keras.saving.stores import WeightsReader
from thalweg.keras.saving.texts import read_text
from thalweg.keras.saving.walk import AssetsFolder, save_state
from thalweg.keras.saving.zips import extract_below, open_member, open_zip, read_member

KERAS_VERSION = "3.15.1"
"""The version of Keras that reads and writes the same files."""

METADATA = "metadata.json"
CONFIG = "config.json"
ASSETS = "assets"
WEIGHTS = "model.weights.h5"
WEIGHTS_NPZ = "model.weights.npz"

IN_MEMORY = 64 << 20
"""Weights of so many bytes go into a container by way of memory, larger ones by way of a file."""

GROWTH = 8
"""Compressed arrays may take so many times what the model's variables take: for wider types."""

LEAST_GROWTH = 64 << 20
"""To so many bytes compressed arrays may grow in any case."""


class Parts(NamedTuple):
    """All that goes into a container, complete."""

    metadata: bytes
    config: bytes
    weights: IO[bytes]
    assets: str


@contextlib.contextmanager
def parts_of(model: Any, folder: str | None = None) -> Iterator[Parts]:
    """The parts of a model; what is large is kept in `folder` for the while."""
    with ObjectSharingScope():
        config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata: dict[str, Any] = {"keras_version": KERAS_VERSION, "date_saved": now}
    states = generators.states_of(model)
    if states:
        metadata[generators.NAME] = states
    is_small = bytes_of(model) <= IN_MEMORY
    with (
        tempfile.TemporaryDirectory() as assets,
        io.BytesIO() if is_small else tempfile.TemporaryFile(dir=folder) as weights,
    ):
        writer = H5Writer(weights)
        try:
            save_state(model, writer, AssetsFolder(assets))
        finally:
            writer.close()
        weights.seek(0)
        yield Parts(json.dumps(metadata).encode(), config.encode(), weights, assets)


def bytes_of(model: Any) -> int:
    """The bytes of all variables of a model and of its optimizer."""
    variables = list(getattr(model, "variables", ()))
    variables += getattr(getattr(model, "optimizer", None), "variables", ())
    return sum(variable.nbytes for variable in variables)


def most_bytes_of(model: Any) -> int:
    """What a compressed array in a file for this model may grow to."""
    return max(LEAST_GROWTH, GROWTH * bytes_of(model))


def write_zip(parts: Parts, file: IO[bytes]) -> None:
    """Write the parts to an open file, stored as they are."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(METADATA, parts.metadata)
        archive.writestr(CONFIG, parts.config)
        with archive.open(WEIGHTS, "w", force_zip64=True) as target:
            shutil.copyfileobj(parts.weights, target, 1 << 20)
        for place in files_below(parts.assets):
            archive.write(os.path.join(parts.assets, place), f"{ASSETS}/{place}")


def write_folder(parts: Parts, path: str) -> None:
    """Write the parts as files of a folder: all are complete before the first takes its place."""
    assets = files_below(parts.assets)
    for place in ("", *(f"{ASSETS}/{each}" for each in assets)):
        os.makedirs(os.path.join(path, os.path.dirname(place)), exist_ok=True)
    with new_files() as begin:
        shutil.copyfileobj(parts.weights, begin(os.path.join(path, WEIGHTS)), 1 << 20)
        for place in assets:
            with open(os.path.join(parts.assets, place), "rb") as source:
                shutil.copyfileobj(source, begin(os.path.join(path, ASSETS, place)), 1 << 20)
        begin(os.path.join(path, METADATA)).write(parts.metadata)
        begin(os.path.join(path, CONFIG)).write(parts.config)


def files_below(folder: str) -> list[str]:
    """The files in a folder and those within it, with slashes."""
    found = (each for each in Path(folder).rglob("*") if each.is_file())
    return sorted(each.relative_to(folder).as_posix() for each in found)


# ---- reading -------------------------------------------------------------------------------------


class Container(Protocol):
    """A saved model to read from."""

    origin: object

    def has(self, name: str) -> bool:
        """True if the container has something of that name."""

    def text(self, name: str) -> bytes:
        """A text in the container."""

    def weights(self, most_bytes: int) -> WeightsReader:
        """The state of the model; to be closed."""

    def assets(self) -> contextlib.AbstractContextManager[AssetsFolder | None]:
        """The assets, as long as the block lasts."""


class ZipContainer:
    """A saved model in an open zip file. Errors: FileError."""

    def __init__(self, file: IO[bytes], origin: object):
        self.origin = origin
        self._file = file
        self._archive = open_zip(file, origin)
        self._names = set(self._archive.namelist())

    def has(self, name: str) -> bool:
        """True if there is a member of that name."""
        return name in self._names

    def text(self, name: str) -> bytes:
        """The bytes of a member."""
        return read_member(self._archive, name, self.origin)

    def weights(self, most_bytes: int) -> WeightsReader:
        """The state of the model."""
        name = weights_among(self._names, self.origin)
        file = open_member(self._archive, self._file, name, self.origin, most_bytes)
        return by_ending(name, READERS)(file, self.origin, most_bytes)

    @contextlib.contextmanager
    def assets(self) -> Iterator[AssetsFolder | None]:
        """The assets, unpacked for the while."""
        if not any(name.startswith(f"{ASSETS}/") for name in self._names):
            yield None
            return
        with tempfile.TemporaryDirectory() as folder:
            extract_below(self._archive, folder, f"{ASSETS}/", self.origin)
            yield AssetsFolder(os.path.join(folder, ASSETS))


class FolderContainer:
    """A saved model in a folder. Errors: FileError, also for links that lead out of it."""

    def __init__(self, path: str):
        self.origin = path
        self._root = os.path.realpath(path)

    def _place(self, name: str) -> str:
        place = os.path.realpath(os.path.join(self._root, name))
        if os.path.commonpath([place, self._root]) != self._root:
            raise refused(self.origin, f"{name}, a link to {place}, outside of the folder")
        return place

    def has(self, name: str) -> bool:
        """True if there is a file of that name."""
        return os.path.isfile(self._place(name))

    def text(self, name: str) -> bytes:
        """The bytes of a file."""
        return read_text(self._place(name))

    def weights(self, most_bytes: int) -> WeightsReader:
        """The state of the model."""
        name = weights_among(set(os.listdir(self._root)), self.origin)
        file = open(self._place(name), "rb")  # noqa: SIM115 - the reader closes it
        return by_ending(name, READERS)(file, self.origin, most_bytes)

    @contextlib.contextmanager
    def assets(self) -> Iterator[AssetsFolder | None]:
        """The assets, where they are."""
        folder = self._place(ASSETS)
        if not os.path.isdir(folder):
            yield None
            return
        for inner in Path(folder).rglob("*"):
            self._place(str(inner))
        yield AssetsFolder(folder)


def model_of(config: Any, custom_objects: Any, safe_mode: bool, origin: object) -> Any:
    """The model that a config describes, with new weights."""
    try:
        with ObjectSharingScope():
            model = deserialize_keras_object(config, custom_objects, safe_mode)
    except RecursionError:
        raise damaged(origin, "settings within settings without end") from None
    except (AttributeError, KeyError, IndexError) as error:
        kind = type(error).__name__
        raise damaged(
            origin, f"settings that no model can be made from: {kind}: {error}"
        ) from error
    if not isinstance(model, builtin("keras", "Layer")):
        raise damaged(origin, f"the settings of a {type(model).__name__}, which is no model")
    return model


def weights_among(names: set[str], origin: object) -> str:
    """Which of the names is that of the weights. Errors: FileError if there is none."""
    for name in (WEIGHTS, WEIGHTS_NPZ):
        if name in names:
            return name
    found = ", ".join(sorted(names)[:5]) or "nothing"
    raise damaged(origin, f"neither {WEIGHTS} nor {WEIGHTS_NPZ}, but {found}")

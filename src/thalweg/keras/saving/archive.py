"""Saving and loading models and weights: which file is which.

    model.keras       zip: metadata.json, config.json, model.weights.h5, assets/...
    model/            the same files in a folder (zipped=False)
    *.weights.h5      weights alone; *.weights.json with max_shard_size: several files and an index
    *.safetensors, *.weights.npz      weights alone, in formats that others read
    *.h5, *.hdf5      the legacy format, see legacy_h5.py

Loading makes objects of classes that the program has and puts arrays into them. It runs no code
from a file, and a file cannot make it read, write or allocate anything else.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.base.frames import outer_level
from thalweg.keras.saving import generators, legacy_h5
from thalweg.keras.saving.checkpoints import latest_file
from thalweg.keras.saving.containers import (
    CONFIG,
    METADATA,
    Container,
    FolderContainer,
    ZipContainer,
    model_of,
    most_bytes_of,
    parts_of,
    write_folder,
    write_zip,
)
from thalweg.keras.saving.files import MissingFileError, damaged, missing, new_file, new_files
from thalweg.keras.saving.formats import READERS, WRITERS, by_ending
from thalweg.keras.saving.hdf5 import H5File
from thalweg.keras.saving.shards import ShardReader, ShardWriter, index_path, shards_of
from thalweg.keras.saving.stores import WeightsReader
from thalweg.keras.saving.texts import json_of
from thalweg.keras.saving.walk import Loading, load_state, save_state

LEGACY = (".h5", ".hdf5")


# ---- models --------------------------------------------------------------------------------------


def save_model(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Write a model to a `.keras` file: its layers, its weights, and how it was compiled.

    With `zipped=False` the same goes into a folder; a path that ends in `.h5` takes the legacy
    format, without the optimizer if `include_optimizer=False`. `filepath` may be an open binary
    file. Without `overwrite` the user is asked before a file is replaced. The new file appears
    when it is complete. Raises ArgumentError for other endings.
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    save_format = kwargs.pop("save_format", None)
    if kwargs:
        raise ArgumentError(
            explain(
                "save",
                "filepath, overwrite, zipped and include_optimizer",
                f"others; The following argument(s) are not supported: {list(kwargs)}",
            )
        )
    if isinstance(filepath, io.IOBase):
        _warn_unbuilt(model)
        with parts_of(model) as parts:
            write_zip(parts, filepath)  # type: ignore[arg-type]
        return
    path = _local(filepath, "save")
    _check_path(path, zipped, save_format)
    if not _may_write(path, overwrite):
        return
    _warn_unbuilt(model)
    if zipped is False:
        with parts_of(model) as parts:
            write_folder(parts, path)
    elif path.endswith(LEGACY):
        _warn_legacy()
        with _folder_made(path), new_file(path) as file:
            legacy_h5.save_model(model, file, include_optimizer)
    else:
        with new_file(path) as file, parts_of(model, os.path.dirname(path) or None) as parts:
            write_zip(parts, file)


def load_model(
    filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """The model of a `.keras` file, of such a folder, or of a legacy `.h5` file.

    `custom_objects` gives classes and functions by name, `compile=False` leaves it uncompiled.
    Code in a file is refused, whatever `safe_mode` says. `filepath` may be an open binary file.
    Errors: FileError for a file that is missing, damaged or asks for too much; ArgumentError for
    classes that the program does not have and weights that do not fit.
    """
    if isinstance(filepath, io.IOBase):
        container = ZipContainer(filepath, "the open file")  # type: ignore[arg-type]
        return _read(container, custom_objects, compile, safe_mode)
    path = latest_file(_local(filepath, "load_model"), needs_model=True)
    if os.path.isdir(path) and os.path.exists(os.path.join(path, CONFIG)):
        folder: Any = FolderContainer(path)
        return _read(folder, custom_objects, compile, safe_mode)
    if path.endswith(".keras"):
        with _opened(path) as file:
            return _read(ZipContainer(file, path), custom_objects, compile, safe_mode)
    if path.endswith(LEGACY):
        with _opened(path) as file:
            source = H5File(file, path)
            return legacy_h5.load_model(source, custom_objects, compile, safe_mode)
    raise ArgumentError(
        explain(
            "load_model",
            "a `.keras` file, a folder with config.json, or a legacy `.h5` file",
            f"something else; File format not supported: filepath={path}",
            "SavedModel and Orbax folders are not read: load them with the program that wrote "
            "them, and save with model.save('model.keras').",
        )
    )


def _read(container: Container, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    config = json_of(container.text(CONFIG), container.origin)
    if not isinstance(config, dict) or "class_name" not in config:
        raise damaged(container.origin, f"a {CONFIG} that describes no object")
    if not compile:
        config["compile_config"] = None
    model = model_of(config, custom_objects, safe_mode, container.origin)
    weights = container.weights(most_bytes_of(model))
    with contextlib.closing(weights), container.assets() as assets:
        loading = load_state(model, weights, assets)
        if loading.failures:
            raise loading.report(container.origin)
    if container.has(METADATA):
        metadata = json_of(container.text(METADATA), container.origin)
        if isinstance(metadata, dict) and generators.NAME in metadata:
            generators.set_states(model, metadata[generators.NAME])
    return model


# ---- weights -------------------------------------------------------------------------------------


def save_weights(
    model: Any,
    filepath: Any,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    objects_to_skip: Iterable[Any] | None = None,
) -> None:
    """Write the weights to a `.weights.h5` file, or to several of `max_shard_size` gigabytes.

    `.safetensors` and `.weights.npz` give files that other programs read. Raises ArgumentError
    for other endings, and for a model that is not built.
    """
    path = _local(filepath, "save_weights")
    _check_weights_path(path, max_shard_size)
    _check_built(model, "save_weights", "You are saving a model that has not yet been built.")
    if not _may_write(path, overwrite):
        return
    skip = tuple(objects_to_skip or ())
    if max_shard_size is not None:
        _save_shards(model, path, max_shard_size, skip)
        return
    make_writer = by_ending(path, WRITERS)
    with new_file(path) as file:
        writer = make_writer(file)
        try:
            save_state(model, writer, skip=skip)
        finally:
            writer.close()


def _save_shards(model: Any, path: str, max_shard_size: float, skip: tuple[Any, ...]) -> None:
    index = index_path(path)
    _warn_of_index(path, "Saving")
    older = shards_of(index)
    with new_files() as begin:
        writer = ShardWriter(index, max_shard_size, begin)
        try:
            save_state(model, writer, skip=skip)
        finally:
            writer.close()
        writer.write_index()
    for name in older.difference(writer.names):
        # An older save had more files, which nothing names any longer.
        with contextlib.suppress(OSError):
            os.unlink(index.with_name(name))


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Read the weights of a `.weights.h5`, `.weights.json`, `.safetensors` or `.keras` file.

    `skip_mismatch` leaves what does not fit as it is, with a warning. `objects_to_skip` gives
    layers to leave alone; `by_name=True` matches the layers of a legacy `.h5` file by their names.
    Errors: FileError; ArgumentError for a model that is not built, and for weights that do not fit.
    """
    path = latest_file(_local(filepath, "load_weights"))
    objects_to_skip = kwargs.pop("objects_to_skip", None)
    by_name = kwargs.pop("by_name", None)
    if kwargs:
        raise ArgumentError(
            explain(
                "load_weights",
                "skip_mismatch, objects_to_skip and by_name",
                f"others; Invalid keyword arguments: {kwargs}",
            )
        )
    make_reader = by_ending(path, READERS)
    is_legacy = make_reader is None and path.endswith(LEGACY)
    if by_name is not None and not is_legacy:
        raise _only_for("by_name", "only supports loading legacy '.h5' or '.hdf5' files", path)
    if objects_to_skip is not None and (is_legacy or path.endswith(".keras")):
        raise _only_for("objects_to_skip", "only supports loading '.weights.h5' files", path)
    if is_legacy:
        with _opened(path) as file:
            legacy_h5.load_weights(H5File(file, path), model, skip_mismatch, bool(by_name))
        return
    if make_reader is None and not path.endswith((".keras", ".weights.json")):
        raise ArgumentError(
            explain(
                "load_weights",
                f"a file that ends in {', '.join(READERS)}, .weights.json, .keras or .h5",
                f"something else; File format not supported: filepath={path}",
            )
        )
    _check_built(
        model,
        "load_weights",
        "You are loading weights into a model that has not yet been built.",
    )
    with _reader(path, make_reader, most_bytes_of(model)) as reader:
        loading = load_state(model, reader, skip=objects_to_skip or ())
        _settle(loading, path, skip_mismatch)


@contextlib.contextmanager
def _reader(path: str, make_reader: Callable | None, most_bytes: int) -> Iterator[WeightsReader]:
    if path.endswith(".json"):
        with contextlib.closing(ShardReader(path, most_bytes)) as shards:
            yield shards
        return
    reader: Any
    with _opened(path) as file:
        if make_reader is not None:
            reader = make_reader(file, path, most_bytes)
        else:
            reader = ZipContainer(file, path).weights(most_bytes)
        with contextlib.closing(reader):
            yield reader


def _settle(loading: Loading, path: str, skip_mismatch: bool) -> None:
    if not loading.failures:
        return
    error = loading.report(path)
    if not skip_mismatch:
        raise error
    warnings.warn(error.message, stacklevel=outer_level())


# ---- paths and questions -------------------------------------------------------------------------


def _local(filepath: Any, what: str) -> str:
    try:
        path = os.fspath(filepath)
    except TypeError:
        raise ArgumentTypeError(
            explain(what, "a path, or an open binary file", f"{filepath!r:.80}")
        ) from None
    path = os.fsdecode(path)
    scheme, separator, _ = path.partition("://")
    if separator and len(scheme) > 1:
        raise ArgumentError(
            explain(
                what,
                "a path of this machine",
                f"{path}",
                f"Copy between {scheme}:// and a local path with that system's own tool.",
            )
        )
    return path


def _check_path(path: str, zipped: bool | None, save_format: Any) -> None:
    is_known = path.endswith((".keras", *LEGACY))
    if save_format and not is_known:
        raise ArgumentError(
            explain(
                "save",
                "the format by the ending of the path. The `save_format` argument is deprecated in "
                "Keras 3",
                f"save_format={save_format}",
                "Leave save_format out and end the path in `.keras`.",
            )
        )
    if zipped is False and path.endswith(".keras"):
        raise ArgumentError(
            explain(
                "save",
                "a folder for zipped=False; its `filepath` should not end in `.keras`",
                f"filepath={path}",
                "Leave zipped=False out, or `.keras`.",
            )
        )
    if zipped is not False and not is_known:
        raise ArgumentError(
            explain(
                "save",
                "a path that ends in `.keras`. Invalid filepath extension for saving",
                f"filepath={path}",
                f"Write model.save({Path(path).stem + '.keras'!r}); for other runtimes, "
                "model.export(filepath).",
            )
        )


def _check_weights_path(path: str, max_shard_size: float | None) -> None:
    if max_shard_size is not None and not path.endswith((".weights.h5", ".weights.json")):
        raise ArgumentError(
            explain(
                "save_weights",
                "an index for max_shard_size: The filename must end in `.weights.json`",
                f"filepath={path}",
            )
        )
    if max_shard_size is None and not path.endswith(tuple(WRITERS)):
        raise ArgumentError(
            explain(
                "save_weights",
                "a known ending. The filename must end in `.weights.h5`. (Or "
                f"in one of {', '.join(list(WRITERS)[1:])})",
                f"filepath={path}",
                f"Write {Path(path).stem + '.weights.h5'!r}.",
            )
        )


def _may_write(path: str, overwrite: bool) -> bool:
    """True if there is nothing at the path, or it may be replaced: the user is asked."""
    if overwrite or not os.path.exists(path):
        return True
    question = f"{path} exists. Overwrite it? [y/n] "
    while (answer := input(question).strip().lower()) not in ("y", "n"):
        question = "Please answer y (overwrite) or n (cancel). "
    return answer == "y"


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        if not path.endswith(".keras"):
            raise missing(path) from None
        raise MissingFileError(
            explain(
                "load_model",
                "an accessible `.keras` zip file",
                f"none. File not found: filepath={path}",
                "Please ensure the file is an accessible `.keras` zip file, here: "
                f"{os.path.abspath(path)}.",
            )
        ) from None
    with file:
        yield file


@contextlib.contextmanager
def _folder_made(path: str) -> Iterator[None]:
    """The legacy format makes the folders above a file."""
    os.makedirs(os.path.dirname(path) or os.curdir, exist_ok=True)
    yield


def _warn_legacy() -> None:
    warnings.warn(
        "HDF5 files of whole models are a legacy format, kept for older programs. Write "
        "model.save('model.keras') instead.",
        stacklevel=outer_level(),
    )


def _warn_of_index(path: str, what: str) -> None:
    index = index_path(path)
    if Path(path) != index:
        warnings.warn(
            f"{what} sharded weights requires an index that ends in `.json`: {index} in the place "
            f"of {path}.",
            stacklevel=outer_level(),
        )


def _warn_unbuilt(model: Any) -> None:
    if not model.built:
        warnings.warn(
            "You are saving a model that has not yet been built. It might not contain any weights "
            "yet. Call it on data first, or build it: model.build(input_shape).",
            stacklevel=outer_level(),
        )


def _check_built(model: Any, what: str, received: str) -> None:
    if not model.built:
        raise ArgumentError(
            explain(
                what,
                f"weights in {model.name}, which it makes when it is built",
                f"none. {received}",
                "Call it on data first, or build it: model.build(input_shape).",
            )
        )


def _only_for(argument: str, what: str, path: str) -> ArgumentError:
    return ArgumentError(explain("load_weights", f"no {argument}: it {what}", f"{path}"))

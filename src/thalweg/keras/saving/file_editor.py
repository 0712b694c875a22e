"""KerasFileEditor: look into a file of weights, compare it with a model, change it, save it again.

weights_dict        {object: {object: ... {key: array}}}, as the paths in the file lead
object_metadata     {"/path": {"name": the object's name}}
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.saving.containers import CONFIG, METADATA, ZipContainer
from thalweg.keras.saving.files import missing, new_file, refused
from thalweg.keras.saving.formats import READERS
from thalweg.keras.saving.hdf5 import H5Reader, H5Writer
from thalweg.keras.saving.stores import FlatWriter, as_array
from thalweg.keras.saving.texts import json_of
from thalweg.keras.saving.walk import save_state

MOST_BYTES = 4 << 30
"""What a compressed array may grow to: here no model says how much is to be expected."""


class KerasFileEditor:
    """The weights in a `.keras` or `.weights.h5` file, to be looked at and changed.

    Errors: FileError for a file that is missing or damaged, or that points into other files;
    ArgumentError for other endings, and for names that the file does not have.
    """

    def __init__(self, filepath: Any):
        self.filepath = os.fspath(filepath)
        self.metadata: dict[str, Any] | None = None
        self.config: dict[str, Any] | None = None
        self.weights_dict: dict[str, Any] = {}
        self.object_metadata: dict[str, dict[str, Any]] = {}
        if not self.filepath.endswith((".keras", ".weights.h5")):
            raise ArgumentError(
                explain(
                    "KerasFileEditor",
                    "a file that ends in `.keras` or `.weights.h5`",
                    f"Invalid filename: filepath={self.filepath}",
                )
            )
        try:
            file = open(self.filepath, "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            raise missing(self.filepath) from None
        with file:
            if self.filepath.endswith(".keras"):
                container = ZipContainer(file, self.filepath)
                self.config = json_of(container.text(CONFIG), self.filepath)
                self.metadata = json_of(container.text(METADATA), self.filepath)
                reader = container.weights(MOST_BYTES)
            else:
                reader = READERS[".weights.h5"](file, self.filepath, MOST_BYTES)
            with contextlib.closing(reader):
                if not isinstance(reader, H5Reader):
                    raise refused(self.filepath, "weights that are not HDF5")
                self._read(reader)
        print(f"Keras model file '{self.filepath}'")
        if self.metadata is not None:
            version, date = (self.metadata.get(key) for key in ("keras_version", "date_saved"))
            print(f"Saved with Keras {version} - date: {date}")

    def _read(self, reader: H5Reader) -> None:
        source = reader.source
        for path, found in source.listing(source.root):
            dataset = source.dataset(source.root, path)
            place = self.weights_dict
            *folders, key = path.split("/")
            inner = [each for each in folders if each != "vars"]
            for folder in inner:
                place = place.setdefault(folder, {})
            place[key] = source.read(dataset)
            with source.guarded("group"):
                parent = found.parent
            name = source.attribute(parent, "name")
            if name is not None:
                self.object_metadata["/" + "/".join(inner)] = {"name": str(name)}

    # Looking -------------------------------------------------------------------------------------

    def summary(self) -> None:
        """Print the objects in the file with the shapes of their weights."""
        print("Weights structure")
        for line in _lines(self.weights_dict, self.object_metadata, "", "  "):
            print(line)

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Say where the file and a model differ.

        Returns {"status": "success" or "error", "error_count", "match_count"}.
        """
        print("Running comparison")
        wanted = _spec_of(reference_model)
        faults: list[str] = []
        matches = _compare(self.weights_dict, wanted, "", faults)
        for fault in faults:
            print(f"...{fault}")
        if faults:
            noun = "error" if len(faults) == 1 else "errors"
            print(f"Found {len(faults)} {noun}: the file does not fit the model")
        else:
            noun = "weight" if matches == 1 else "weights"
            print(f"Comparison successful: the file fits the model, {matches} matching {noun}")
        status = "error" if faults else "success"
        return {"status": status, "error_count": len(faults), "match_count": matches}

    # Changing ------------------------------------------------------------------------------------

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object another name: `object_name` is a name or a path, `new_name` a name."""
        if "/" in new_name:
            raise ArgumentError(
                explain(
                    "rename_object",
                    "a name as `new_name`, not a path: it should be a leaf name, not a full path",
                    f"{new_name!r}",
                )
            )
        place, name = self._find(object_name)
        place[new_name] = place.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Take an object with its weights out: `object_name` is a name or a path."""
        place, name = self._find(object_name)
        del place[name]

    def add_object(self, object_path: str, weights: dict[str, Any]) -> None:
        """Put a new object at a path, with weights like `{"0": kernel, "1": bias}`."""
        _check_weights("add_object", weights)
        *folders, name = object_path.split("/")
        place = self.weights_dict
        for folder in folders:
            place = place.get(folder)  # type: ignore[assignment]
            if not isinstance(place, dict):
                raise _not_found("/".join(folders), self.weights_dict)
        place[name] = dict(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Take a weight out of an object."""
        found = self._object(object_name)
        if weight_name not in found:
            raise ArgumentError(
                explain(
                    "delete_weight",
                    f"one of {list(found)}",
                    f"Weight {weight_name} not found in object {object_name}.",
                )
            )
        del found[weight_name]

    def add_weights(self, object_name: str, weights: dict[str, Any]) -> None:
        """Put more weights into an object, like `{"1": bias}`."""
        _check_weights("add_weights", weights)
        self._object(object_name).update(weights)

    def _object(self, name: str) -> dict[str, Any]:
        place, last = self._find(name)
        found = place[last]
        if not isinstance(found, dict):
            raise ArgumentError(explain("KerasFileEditor", "an object", f"the weight {name!r}"))
        return found

    def _find(self, name: str) -> tuple[dict[str, Any], str]:
        """The dictionary that holds an object, and its key there."""
        if "/" in name:
            *folders, last = name.strip("/").split("/")
            place: Any = self.weights_dict
            for folder in folders:
                place = place.get(folder) if isinstance(place, dict) else None
            if not isinstance(place, dict) or last not in place:
                raise _not_found(name, self.weights_dict)
            return place, last
        places = list(_holding(self.weights_dict, name))
        if not places:
            raise _not_found(name, self.weights_dict)
        if len(places) > 1:
            raise ArgumentError(
                explain(
                    "KerasFileEditor",
                    "a name that is there once",
                    f"Name '{name}' occurs more than once in the model",
                    "Give the complete path, with slashes.",
                )
            )
        return places[0], name

    # Saving --------------------------------------------------------------------------------------

    def save(self, filepath: Any) -> None:
        """Write the weights to a `.weights.h5` file."""
        path = os.fspath(filepath)
        if not path.endswith(".weights.h5"):
            raise ArgumentError(
                explain(
                    "KerasFileEditor.save",
                    "a path that ends in `.weights.h5`; Invalid `filepath` argument",
                    f"filepath={path}",
                )
            )
        with new_file(path) as file:
            writer = H5Writer(file)
            self._write(writer, self.weights_dict, "")
            writer.close()

    def resave_weights(self, filepath: Any) -> None:
        """The same as `save`."""
        self.save(filepath)

    def _write(self, writer: H5Writer, weights: dict[str, Any], path: str) -> None:
        name = self.object_metadata.get(f"/{path}", {}).get("name")
        own = {key: each for key, each in weights.items() if not isinstance(each, dict)}
        if own:
            entry = writer.make(path, name)
            for key, value in own.items():
                entry[key] = value
        for key, value in weights.items():
            if isinstance(value, dict):
                self._write(writer, value, f"{path}/{key}" if path else key)


def _check_weights(where: str, weights: Any) -> None:
    if not isinstance(weights, dict):
        raise ArgumentError(
            explain(
                where,
                "Argument `weights` to be a dict of arrays, like {'0': kernel, '1': bias}",
                f"type(weights)={type(weights)}",
            )
        )


def _not_found(name: str, weights: dict[str, Any]) -> ArgumentError:
    known = ", ".join(sorted(_paths(weights, "")))[:300]
    return ArgumentError(
        explain("KerasFileEditor", f"one of {known}", f"Path '{name}' not found in model.")
    )


def _paths(weights: dict[str, Any], path: str) -> Iterator[str]:
    for key, value in weights.items():
        if isinstance(value, dict):
            yield f"{path}{key}"
            yield from _paths(value, f"{path}{key}/")


def _holding(weights: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    if name in weights:
        yield weights
    for value in weights.values():
        if isinstance(value, dict):
            yield from _holding(value, name)


def _lines(
    weights: dict[str, Any], names: dict[str, dict[str, Any]], path: str, indent: str
) -> Iterator[str]:
    for key, value in weights.items():
        place = f"{path}/{key}"
        if isinstance(value, dict):
            name = names.get(place, {}).get("name")
            yield f"{indent}{key}" + (f" ('{name}')" if name else "")
            yield from _lines(value, names, place, f"{indent}  ")
        else:
            array = as_array(value)
            yield f"{indent}{key}: shape={array.shape}, dtype={array.dtype}"


def _spec_of(model: Any) -> dict[str, Any]:
    """The weights that saving the model would write, as an editor has them."""
    writer = FlatWriter()
    save_state(model, writer)
    spec: dict[str, Any] = {}
    for path, array in writer.arrays.items():
        place = spec
        *folders, key = path.split("/")
        for folder in folders:
            if folder != "vars":
                place = place.setdefault(folder, {})
        place[key] = array
    return spec


def _compare(found: dict[str, Any], wanted: dict[str, Any], path: str, faults: list[str]) -> int:
    """The number of weights of equal shape; what differs is added to `faults`."""
    matches = 0
    for key in {**wanted, **found}:
        place = f"{path}/{key}"
        here, there = found.get(key), wanted.get(key)
        if here is None or there is None:
            has, lacks = ("model", "file") if here is None else ("file", "model")
            value = there if here is None else here
            what = "Object" if isinstance(value, dict) else "Weight"
            faults.append(f"{what} {place} in the {has}, missing from the {lacks}")
        elif isinstance(here, dict) and isinstance(there, dict):
            matches += _compare(here, there, place, faults)
        elif isinstance(here, dict) or isinstance(there, dict):
            faults.append(f"{place} is an object in one and a weight in the other")
        elif _shape(here) != _shape(there):
            faults.append(
                f"Weight {place} of shape {_shape(there)} in the model, {_shape(here)} in the file"
            )
        else:
            matches += 1
    return matches


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(np.shape(as_array(value)))

"""The legacy format of whole models and of weights, in HDF5, from before `.keras` files.

    attributes          model_config, training_config (JSON), keras_version, backend
    model_weights       attribute layer_names; files of weights alone have this as their root
      {layer}           attribute weight_names, datasets by the names of the weights
      top_level_model_weights        those of the model itself
    optimizer_weights   attribute weight_names, datasets

Layers are matched by their order, or by their names. A layer's trainable weights come before the
others.
"""

import json
import warnings
from collections.abc import Iterable, Sequence
from typing import IO, Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras import door, settings
from thalweg.keras.saving.containers import KERAS_VERSION, model_of
from thalweg.keras.saving.files import damaged
from thalweg.keras.saving.hdf5 import H5File, write_dataset
from thalweg.keras.saving.legacy_config import legacy, modern
from thalweg.keras.saving.registration import builtin, get_registered_name
from thalweg.keras.saving.serialization import (
    CustomObjectScope,
    SafeModeScope,
    deserialize_keras_object,
)
from thalweg.keras.saving.stores import as_array
from thalweg.keras.saving.texts import json_of

MOST_ATTRIBUTE = 64512
"""Bytes of an attribute in HDF5; longer lists of names go on in name0, name1, ..."""

TOP_LEVEL = "top_level_model_weights"


# ---- writing -------------------------------------------------------------------------------------


def save_model(model: Any, file: IO[bytes], include_optimizer: bool = True) -> None:
    """Write a model to an open file."""
    with door.h5py().File(file, "w") as root:
        root.attrs["keras_version"] = KERAS_VERSION
        root.attrs["backend"] = settings.backend()
        config = {"class_name": type(model).__name__, "config": legacy(model.get_config())}
        root.attrs["model_config"] = json.dumps(config)
        optimizer = getattr(model, "optimizer", None) if include_optimizer else None
        if optimizer is not None and model.compiled:
            root.attrs["training_config"] = json.dumps(_training_config(model))
        _write_layers(root.create_group("model_weights"), model)
        if optimizer is not None:
            _write_weights(root.create_group("optimizer_weights"), optimizer.variables)


def _training_config(model: Any) -> dict[str, Any]:
    config = dict(model.get_compile_config())
    config.pop("optimizer", None)
    optimizer = model.optimizer
    config["optimizer_config"] = {
        "class_name": get_registered_name(type(optimizer)),
        "config": optimizer.get_config(),
    }
    return config


def _write_layers(group: Any, model: Any) -> None:
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    group.attrs["backend"] = settings.backend()
    group.attrs["keras_version"] = KERAS_VERSION
    # In the order of names, so that a name which begins another one comes first.
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        _write_weights(group.require_group(layer.name), weights_of(layer))
    _write_weights(group.require_group(TOP_LEVEL), _own_weights(model))


def _write_weights(group: Any, variables: Iterable[Any]) -> None:
    names: list[str] = []
    for variable in variables:
        name = variable.path
        while name in group:
            name += "_"
        write_dataset(group, name, as_array(variable))
        names.append(name)
    _write_names(group, "weight_names", names)


def _write_names(group: Any, attribute: str, names: Sequence[str]) -> None:
    encoded = np.array([name.encode() for name in names] or np.zeros(0, "S1"))
    if encoded.nbytes <= MOST_ATTRIBUTE:
        group.attrs[attribute] = encoded
        return
    count = MOST_ATTRIBUTE // encoded.itemsize
    if not count:
        raise ArgumentError(
            explain(
                "save as HDF5",
                f"names of at most {MOST_ATTRIBUTE} bytes",
                f"one of {encoded.itemsize}",
                "Save the model as `.keras`.",
            )
        )
    for index in range(-(-len(encoded) // count)):
        group.attrs[f"{attribute}{index}"] = encoded[index * count : (index + 1) * count]


def weights_of(layer: Any) -> list[Any]:
    """The weights of a layer in the order of legacy files."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _own_weights(model: Any) -> list[Any]:
    return [*model._trainable_variables, *model._non_trainable_variables]


# ---- reading -------------------------------------------------------------------------------------


def load_model(source: H5File, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    """The model of a file. Errors: FileError, ArgumentError."""
    source.check_texts()
    config = _json(source, "model_config")
    if config is None:
        raise ArgumentError(
            explain(
                "load_model",
                "a file with a whole model",
                f"{source.origin}; No model config found in the file",
                "For weights alone, make the model and write model.load_weights(path).",
            )
        )
    with CustomObjectScope(custom_objects), SafeModeScope(safe_mode):
        model = model_of(modern(config), custom_objects, safe_mode, source.origin)
        if not isinstance(model, builtin("keras", "Model")):
            raise damaged(source.origin, f"the settings of a {type(model).__name__}, no model")
        _read_weights(source, model)
        if compile:
            _compile(source, model)
    return model


def _json(source: H5File, attribute: str) -> Any:
    text = source.attribute(source.root, attribute)
    if text is None:
        return None
    if not isinstance(text, (str, bytes)):
        raise damaged(source.origin, f"a {attribute} that is no text")
    return json_of(text, source.origin)


def _compile(source: H5File, model: Any) -> None:
    config = _json(source, "training_config")
    if config is None:
        warnings.warn(
            f"The model in {source.origin} was saved without its training configuration and is "
            "not compiled. Call model.compile(...), or load it with compile=False.",
            stacklevel=outer_level(),
        )
        return
    found = {
        "optimizer": deserialize_keras_object(
            modern(config.get("optimizer_config"), "keras.optimizers")
        ),
        "loss": _deserialized(config.get("loss"), "keras.losses"),
        "metrics": _metrics(config.get("metrics")),
        "weighted_metrics": _metrics(config.get("weighted_metrics")),
        "loss_weights": config.get("loss_weights"),
    }
    model.compile(**found)
    optimizer = model.optimizer
    group = source.group(source.root, "optimizer_weights")
    if group is None or optimizer is None:
        return
    optimizer.build(model.trainable_variables)
    values = _values(source, group)
    own = optimizer.variables
    if [value.shape for value in values] != [tuple(each.shape) for each in own]:
        warnings.warn(
            f"The state of the optimizer in {source.origin} does not fit the optimizer, which "
            f"starts anew: {len(values)} arrays for {len(own)} variables.",
            stacklevel=outer_level(),
        )
        return
    optimizer.set_weights(values)


def _metrics(config: Any) -> Any:
    # Keras 2 wrapped the metrics of a single output in one more list.
    if isinstance(config, list) and len(config) == 1 and isinstance(config[0], list):
        config = config[0]
    return _deserialized(config, "keras.metrics")


def _deserialized(config: Any, space: str) -> Any:
    """Losses and metrics: names stay names, for `compile` knows what they mean for an output."""
    if isinstance(config, list):
        return [_deserialized(each, space) for each in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {key: _deserialized(each, space) for key, each in config.items()}
    inner = config.get("config")
    if isinstance(inner, dict):
        if config["class_name"] == "MeanMetricWrapper" and isinstance(inner.get("fn"), str):
            return inner["name"] if inner.get("name") in ("accuracy", "acc") else inner["fn"]
        if inner.get("reduction") == "auto":
            config = {**config, "config": {**inner, "reduction": "sum_over_batch_size"}}
    return deserialize_keras_object(modern(config, space))


def load_weights(
    source: H5File, model: Any, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Read the weights in a file into a model. Errors: FileError, ArgumentError."""
    source.check_texts()
    _read_weights(source, model, skip_mismatch, by_name)


def _read_weights(
    source: H5File, model: Any, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    group = source.root
    if all(source.attribute(group, f"layer_names{each}") is None for each in ("", "0")):
        group = source.group(group, "model_weights") or group
    names = _names(source, group, "layer_names")
    _LegacyWeights(source, group, model, skip_mismatch).load(names, by_name)


class _LegacyWeights:
    def __init__(self, source: H5File, group: Any, model: Any, skip_mismatch: bool):
        self.source = source
        self.group = group
        self.model = model
        self.skip_mismatch = skip_mismatch

    def load(self, names: list[str], by_name: bool) -> None:
        groups = {name: self._group(name) for name in names}
        if by_name:
            pairs = [
                (name, layer) for name in names for layer in self.model.layers if layer.name == name
            ]
        else:
            pairs = self._in_order(groups)
        for index, (name, layer) in enumerate(pairs):
            where = f"layer #{index} (named {layer.name}, {name} in the file)"
            self._set(layer, weights_of(layer), groups[name], where)
        top = self.source.group(self.group, TOP_LEVEL)
        if top is not None:
            self._set(self.model, _own_weights(self.model), top, "top-level weights")

    def _group(self, name: str) -> Any:
        found = self.source.group(self.group, name)
        if found is None:
            raise damaged(self.source.origin, f"no weights for the layer {name!r} that it names")
        return found

    def _in_order(self, groups: dict[str, Any]) -> list[tuple[str, Any]]:
        layers = [layer for layer in self.model.layers if weights_of(layer)]
        names = [
            name for name, group in groups.items() if _names(self.source, group, "weight_names")
        ]
        if len(layers) != len(names):
            raise ArgumentError(
                explain(
                    f"load {self.source.origin}",
                    f"weights for {len(layers)} layers: "
                    f"{', '.join(layer.name for layer in layers)[:200]}",
                    f"{len(names)} layers: {', '.join(names)[:200]}. Layer count mismatch when "
                    "loading weights from file",
                    "With by_name=True, layers of equal names are loaded.",
                )
            )
        return list(zip(names, layers, strict=True))

    def _set(self, layer: Any, variables: list[Any], group: Any, where: str) -> None:
        values = _values(self.source, group)
        if len(values) != len(variables):
            self._mismatch(
                where,
                f"{len(variables)} weights: {[each.path for each in variables]}"[:300],
                f"{len(values)}. Weight count mismatch",
            )
            return
        for variable, value in zip(variables, values, strict=True):
            if tuple(variable.shape) != value.shape:
                self._mismatch(
                    where,
                    f"shape {tuple(variable.shape)} for {variable.path}",
                    f"shape {value.shape}. Shape mismatch",
                )
                continue
            variable.assign(value)
        if variables and hasattr(layer, "finalize_state"):
            layer.finalize_state()

    def _mismatch(self, where: str, wanted: str, received: str) -> None:
        message = explain(f"load {where}", wanted, received, "skip_mismatch=True loads what fits.")
        if not self.skip_mismatch:
            raise ArgumentError(message)
        warnings.warn(f"Skipping loading: {message}", stacklevel=outer_level())


def _values(source: H5File, group: Any) -> list[np.ndarray]:
    found = []
    for name in _names(source, group, "weight_names"):
        dataset = source.dataset(group, name)
        if dataset is None:
            raise damaged(source.origin, f"no array {name!r} in {group.name}, which names it")
        found.append(source.read(dataset))
    return found


def _names(source: H5File, group: Any, attribute: str) -> list[str]:
    values = [source.attribute(group, attribute)]
    if values[0] is None:
        values = []
        while (more := source.attribute(group, f"{attribute}{len(values)}")) is not None:
            values.append(more)
    found = []
    for name in (name for value in values for name in np.atleast_1d(value)):
        if not isinstance(name, (str, bytes)):
            raise damaged(source.origin, f"{attribute} of {group.name} that are no texts")
        with source.guarded(attribute):
            found.append(name.decode() if isinstance(name, bytes) else name)
    return found

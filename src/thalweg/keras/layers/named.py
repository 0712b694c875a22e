"""Layers as plain data."""

from typing import Any

from thalweg.keras.layers.layer import Layer
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object


def serialize(layer: Layer) -> dict[str, Any]:
    """The config of a layer, with its class."""
    return serialize_keras_object(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Layer:
    """The layer of a config from `serialize`."""
    return deserialize_keras_object(config, custom_objects=custom_objects)

"""Quantizers and configs of quantization by their names, and as plain data."""

from collections.abc import Mapping
from typing import Any

from thalweg.keras.lookup import Named, interpreted, places_of_classes
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

_OBJECTS = Named(places_of_classes("thalweg.keras.quantizers"))


def serialize(initializer: Any) -> dict[str, Any]:
    """The config by which `deserialize` makes the quantizer again."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The quantizer of a config. `custom_objects` gives classes by name."""
    return deserialize_keras_object(config, custom_objects, module_objects=_OBJECTS)


def get(identifier: Any, **kwargs: Any) -> Any:
    """The quantizer of a name, config, class or callable; None for None.

    `kwargs` are the arguments for a class or a name of one.
    """
    if isinstance(identifier, str):
        identifier = _OBJECTS.get(identifier, identifier)
    if isinstance(identifier, type):
        return identifier(**kwargs)
    return interpreted("quantizer", identifier, _OBJECTS)

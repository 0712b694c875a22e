"""Metrics by their names, and as plain data."""

from collections.abc import Mapping
from typing import Any

from thalweg.keras.lookup import Named, interpreted, places_of_classes
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

_SHORT = {
    "bce": "BinaryCrossentropy",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "mse": "MeanSquaredError",
    "msle": "MeanSquaredLogarithmicError",
}
_PLACES = places_of_classes("thalweg.keras.metrics")
_PLACES |= {short: _PLACES[name] for short, name in _SHORT.items()}
_PLACES |= {short.upper(): _PLACES[name] for short, name in _SHORT.items()}
_OBJECTS = Named(_PLACES)


def serialize(metric: Any) -> Any:
    """The config by which `deserialize` makes the metric again; of a function, its name."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric of a config. `custom_objects` gives classes and functions by name."""
    return deserialize_keras_object(config, custom_objects, module_objects=_OBJECTS)


def get(identifier: Any) -> Any:
    """The metric of a name ("mse", "mean_squared_error", "MeanSquaredError"), config, class or
    callable; None for None. Raises ArgumentError for a name that there is not.
    """
    return interpreted("metric", identifier, _OBJECTS)

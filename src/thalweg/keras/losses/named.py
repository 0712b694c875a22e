"""Losses by their names, and as plain data."""

from collections.abc import Mapping
from typing import Any

from thalweg.base.demand import places_in
from thalweg.keras.lookup import Named, interpreted
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

_SHORT = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_PLACES = {name: at for name, at in places_in("thalweg.keras.losses").items() if at[0] != __name__}
_PLACES |= {short: _PLACES[name] for short, name in _SHORT.items()}
_PLACES |= {short.upper(): _PLACES[name] for short, name in _SHORT.items()}
_OBJECTS = Named(
    {**_PLACES, "LossFunctionWrapper": ("thalweg.keras.losses.loss", "LossFunctionWrapper")}
)


def serialize(loss: Any) -> Any:
    """The config by which `deserialize` makes the loss again; of a function, its name."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss of a config. `custom_objects` gives classes and functions by name."""
    return deserialize_keras_object(name, custom_objects, module_objects=_OBJECTS)


def get(identifier: Any) -> Any:
    """The loss of a name ("mse", "mean_squared_error", "MeanSquaredError"), config, class or
    callable; None for None. Raises ArgumentError for a name that there is not.
    """
    return interpreted("loss", identifier, _OBJECTS)

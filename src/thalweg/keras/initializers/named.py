"""Initializers by their names, as plain data, and from values."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import variable
from thalweg.keras.initializers.initializer import Initializer
from thalweg.keras.lookup import Named, interpreted, places_of_classes
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

_PLACES = places_of_classes("thalweg.keras.initializers")
_OBJECTS = Named(
    {
        **_PLACES,
        "IdentityInitializer": _PLACES["Identity"],
        "OrthogonalInitializer": _PLACES["Orthogonal"],
        "STFTInitializer": _PLACES["STFT"],
        "normal": _PLACES["RandomNormal"],
        "one": _PLACES["Ones"],
        "uniform": _PLACES["RandomUniform"],
        "zero": _PLACES["Zeros"],
    }
)


def serialize(initializer: Initializer) -> dict[str, Any]:
    """The config by which `deserialize` makes the initializer again."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer of a config. `custom_objects` gives classes by name."""
    return deserialize_keras_object(config, custom_objects, module_objects=_OBJECTS)


def get(identifier: Any) -> Any:
    """The initializer of a name, config, class, callable, or of a value itself; None for None."""
    if isinstance(identifier, (Tensor, variable.Variable, np.ndarray)):
        return _value(identifier)
    return interpreted("initializer", identifier, _OBJECTS)


def _value(given: Any) -> Any:
    """An initializer that gives one value."""

    def initialize(shape: Any, dtype: Any = None) -> Tensor:
        wanted = tuple(given.shape)
        if tuple(shape) != wanted:
            raise ShapeError(
                explain(
                    "initializer",
                    f"the shape of the value. Expected `shape` to be {wanted} for direct tensor as "
                    "initializer",
                    f"shape={shape}",
                )
            )
        return variable.tensor(given, dtype)

    return initialize

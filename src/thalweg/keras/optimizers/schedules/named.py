"""Schedules by their names, and as plain data."""

from collections.abc import Mapping
from typing import Any

from thalweg.base.demand import places_in
from thalweg.keras.lookup import Named
from thalweg.keras.optimizers.schedules.decays import LearningRateSchedule
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

SCHEDULES = Named(
    {
        name: at
        for name, at in places_in("thalweg.keras.optimizers.schedules").items()
        if name[0].isupper()
    }
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """A schedule as plain data that `deserialize` reads."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule that plain data describes; `custom_objects` gives classes by name."""
    return deserialize_keras_object(config, custom_objects=custom_objects, module_objects=SCHEDULES)

"""`keras.optimizers.schedules`: learning rates that change with the steps taken."""

from collections.abc import Mapping
from typing import Any

from thalweg.keras.optimizers.schedules.decays import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRateSchedule,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    schedule.__name__: schedule
    for schedule in (
        LearningRateSchedule,
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
}


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """A schedule as plain data that `deserialize` reads."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The schedule that plain data describes; `custom_objects` gives classes by name."""
    return deserialize_keras_object(config, custom_objects=custom_objects, module_objects=SCHEDULES)


__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay",
    "LearningRateSchedule", "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]  # fmt: skip

register_builtins("keras.optimizers.schedules", SCHEDULES)

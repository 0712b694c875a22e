"""keras.constraints: what optimizers do to a weight after each step."""

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.array import elementwise
from thalweg.array.data_types import astype
from thalweg.array.statistical import sum as total
from thalweg.engine.tensor import Tensor
from thalweg.keras import settings
from thalweg.keras.lookup import interpreted, names_of
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.variable import tensor

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]

Axis = int | Sequence[int] | None


class Constraint:
    """A function from a weight to the weight that training keeps; subclasses write `__call__`.

    >>> from thalweg import keras
    >>> keras.constraints.NonNeg()([1.0, -2.0])
    Tensor([1., 0.], dtype=float32)
    """

    def __call__(self, w: Any) -> Tensor:
        """The weight to keep; here as it is."""
        return tensor(w)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constraint":
        """The constraint of a config."""
        return cls(**config)


def _floats(w: Any) -> Tensor:
    found = tensor(w)
    return found if found.dtype.is_inexact else astype(found, settings.floatx())


def _norms(w: Tensor, axis: Axis) -> Tensor:
    axis = tuple(axis) if isinstance(axis, list) else axis
    return elementwise.sqrt(total(elementwise.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Keep the norm of the weights over `axis` at `max_value` or below."""

    def __init__(self, max_value: float = 2, axis: Axis = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = _floats(w)
        norms = _norms(w, self.axis)
        wanted = elementwise.clip(norms, 0, self.max_value)
        return w * (wanted / (settings.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Move the norm of the weights over `axis` into a range, or by `rate` of the way there."""

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0
    ):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = _floats(w)
        norms = _norms(w, self.axis)
        held = elementwise.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * held + (1 - self.rate) * norms
        return w * (wanted / (settings.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


class UnitNorm(Constraint):
    """Keep the norm of the weights over `axis` at 1."""

    def __init__(self, axis: Axis = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = _floats(w)
        return w / (settings.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class NonNeg(Constraint):
    """Keep the weights at 0 or above."""

    def __call__(self, w: Any) -> Tensor:
        return elementwise.maximum(tensor(w), 0)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_CLASSES = (Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)
_OBJECTS = names_of(_CLASSES)


def serialize(constraint: Constraint) -> dict[str, Any]:
    """The config by which `deserialize` makes the constraint again."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint of a config. `custom_objects` gives classes by name."""
    return deserialize_keras_object(config, custom_objects, module_objects=_OBJECTS)


def get(identifier: Any) -> Any:
    """The constraint of a name, config, class or callable; None for None."""
    return interpreted("constraint", identifier, _OBJECTS)


register_builtins("keras.constraints", {each.__name__: each for each in _CLASSES})

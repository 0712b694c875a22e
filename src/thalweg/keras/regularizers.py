"""keras.regularizers: functions from a weight or an output to a loss that training adds."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.array import elementwise, linalg
from thalweg.array.creation import eye
from thalweg.array.data_types import astype
from thalweg.array.statistical import sum as total
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import settings
from thalweg.keras.lookup import interpreted, names_of
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.variable import tensor

__all__ = [
    "L1",
    "L2",
    "L1L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


class Regularizer:
    """A function of a tensor that gives one number; subclasses write `__call__` and `get_config`.

    >>> from thalweg import keras
    >>> keras.regularizers.L2(0.5)([1.0, 2.0])
    Tensor(2.5, dtype=float32)
    """

    def __call__(self, x: Any) -> Tensor:
        """The loss for a weight or an output."""
        return tensor(0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(
            explain(type(self).__name__, "a method `get_config`", "a class without one")
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Regularizer":
        """The regularizer of a config."""
        return cls(**config)


def _factor(name: str, value: Any) -> float:
    """A factor as a float. Raises ArgumentError unless it is finite and not negative."""
    is_number = isinstance(value, (int, float, np.number))
    if not is_number or not math.isfinite(value) or value < 0:
        raise ArgumentError(
            explain(
                "regularizer",
                f"a finite factor of 0 or more. Invalid value for argument {name}: expected a "
                "non-negative float",
                f"{name}={value!r}",
            )
        )
    return float(value)


def _rounded(value: float) -> float:
    """A factor as Keras keeps it in some configs: rounded to floatx."""
    return float(tensor(value, settings.floatx()).numpy())


def _floats(x: Any) -> Tensor:
    found = tensor(x)
    return found if found.dtype.is_inexact else astype(found, settings.floatx())


class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x**2)."""

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        x = _floats(x)
        loss = tensor(0.0, x.dtype)
        if self.l1:
            loss = loss + self.l1 * total(elementwise.abs(x))
        if self.l2:
            loss = loss + self.l2 * total(elementwise.square(x))
        return loss

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """l1 * sum(|x|)."""

    def __init__(self, l1: float = 0.01):
        self.l1 = _factor("l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Tensor:
        return self.l1 * total(elementwise.abs(_floats(x)))

    def get_config(self) -> dict[str, Any]:
        return {"l1": _rounded(self.l1)}


class L2(Regularizer):
    """l2 * sum(x**2)."""

    def __init__(self, l2: float = 0.01):
        self.l2 = _factor("l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        return self.l2 * total(elementwise.square(_floats(x)))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """factor * the mean |cosine| of the angles between the rows, or columns, of a matrix.

    It is 0 where they are all at right angles, and for a single one.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = _factor("factor", factor)
        if mode not in ("rows", "columns"):
            raise ArgumentError(
                "Invalid value for argument `mode`. Expected one of "
                f'{{"rows", "columns"}}. Received: mode={mode}',
                "",
            )
        self.mode = mode

    def __call__(self, inputs: Any) -> Tensor:
        x = _floats(inputs)
        if x.ndim != 2:
            raise ArgumentError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape="
                f"{tuple(x.shape)}",
                "",
            )
        x = x if self.mode == "rows" else linalg.matrix_transpose(x)
        lengths = linalg.vector_norm(x, axis=1, keepdims=True)
        x = x / elementwise.maximum(lengths, settings.epsilon())
        count = x.shape[0]
        others = 1.0 - eye(count, dtype=x.dtype)
        cosines = elementwise.abs(linalg.matmul(x, linalg.matrix_transpose(x))) * others
        return self.factor * total(cosines) / max(count * (count - 1), 1)

    def get_config(self) -> dict[str, Any]:
        return {"factor": _rounded(self.factor), "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_OBJECTS = names_of((Regularizer, L1, L2, L1L2, OrthogonalRegularizer)) | {"l1_l2": L1L2}


def serialize(regularizer: Regularizer) -> dict[str, Any]:
    """The config by which `deserialize` makes the regularizer again."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer of a config. `custom_objects` gives classes by name."""
    return deserialize_keras_object(config, custom_objects, module_objects=_OBJECTS)


def get(identifier: Any) -> Any:
    """The regularizer of a name, config, class or callable; None for None."""
    return interpreted("regularizer", identifier, _OBJECTS)


register_builtins("keras", {"Regularizer": Regularizer})
register_builtins(
    "keras.regularizers",
    {each.__name__: each for each in (Regularizer, L1, L2, L1L2, OrthogonalRegularizer)},
)

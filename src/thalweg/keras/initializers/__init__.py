"""keras.initializers: the first values of weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import variable
from thalweg.keras.initializers.constant import STFT, Constant, Identity, Ones, Zeros
from thalweg.keras.initializers.initializer import Initializer
from thalweg.keras.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from thalweg.keras.lookup import interpreted, names_of
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

_CLASSES: tuple[type[Initializer], ...] = (
    Initializer,
    Constant,
    Identity,
    Ones,
    STFT,
    Zeros,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

IdentityInitializer = identity = Identity
OrthogonalInitializer = orthogonal = Orthogonal
STFTInitializer = stft = STFT
constant, ones, zeros = Constant, Ones, Zeros
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling = VarianceScaling

_OBJECTS: dict[str, type] = names_of(_CLASSES) | {
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "STFTInitializer": STFT,
    "normal": RandomNormal,
    "one": Ones,
    "uniform": RandomUniform,
    "zero": Zeros,
}

__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]


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


variable.initializer_named = get
register_builtins("keras", {"Initializer": Initializer})
register_builtins("keras.initializers", {each.__name__: each for each in _CLASSES})

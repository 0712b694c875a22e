"""keras.activations: functions of one tensor, by their names in configs and in `activation=`.

Most are the ops of the same names; `relu` has more settings than the op, `gelu` another default.
"""

import difflib
import types
from collections.abc import Mapping
from typing import Any

from thalweg.array import elementwise as array
from thalweg.array import nn as array_nn
from thalweg.array.searching import where
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import op
from thalweg.keras.ops import nn, numpy
from thalweg.keras.ops.nn import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh_shrink,
    threshold,
)
from thalweg.keras.ops.operands import floats
from thalweg.keras.saving.registration import (
    get_registered_name,
    get_registered_object,
    register_builtins,
)
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.variable import tensor

HOME = "keras.src.activations.activations"
"""The module that files name for those activations that are ops of their own."""


@op(data=("x",), name="ReLU", home=HOME)
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """x above `threshold`, at most `max_value`; negative_slope * (x - threshold) below.

    Integers stay integers with the settings as they are, and become float32 with others.
    """
    x = tensor(x)
    if threshold == 0 and max_value is None:
        return nn.leaky_relu(x, negative_slope) if negative_slope else nn.relu(x)
    x = floats(x)
    found = array_nn.relu(x) if threshold == 0 else where(array.greater(x, threshold), x, 0)
    if max_value is not None:
        found = array.clip(found, 0, max_value)
    if negative_slope:
        below = array_nn.relu(array.subtract(threshold, x))
        found = array.subtract(found, array.multiply(below, negative_slope))
    return found


@op(data=("x",), home=HOME)
def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x))."""
    return array_nn.mish(tensor(x))


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution function at x; with `approximate`, by way of tanh."""
    return nn.gelu(x, approximate=approximate)


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return numpy.tanh(x)


def exponential(x: Any) -> Tensor:
    """e to the power x."""
    return numpy.exp(x)


def linear(x: Any) -> Any:
    """x itself."""
    return x


# Names --------------------------------------------------------------------------------------------

FUNCTIONS = {
    each.__name__: each
    for each in (
        celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh,
        leaky_relu, linear, log_sigmoid, log_softmax, mish, relu, relu6, selu, sigmoid, silu,
        soft_shrink, softmax, softplus, softsign, sparse_plus, sparse_sigmoid, sparsemax,
        squareplus, tanh, tanh_shrink, threshold,
    )
}  # fmt: skip
ALIASES = {"swish": silu, "hard_swish": hard_silu}
NAMES = {**FUNCTIONS, **ALIASES}


def serialize(activation: Any) -> Any:
    """The name of an activation of Keras, or the config of a function or object of one's own."""
    if isinstance(activation, types.FunctionType):
        name = activation.__name__
        # An op of the same name, such as keras.ops.relu, means the same.
        if NAMES.get(name) is activation or getattr(nn, name, None) is activation:
            return name
    config = serialize_keras_object(activation)
    if isinstance(config, dict) and config.get("class_name") == "function":
        config["config"] = get_registered_name(activation)
    return config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation of a name or a config; None for None.

    Raises ArgumentError for a name that means none.
    """
    if config is None:
        return None
    if isinstance(config, str):
        found = get_registered_object(config, custom_objects, NAMES)
        if found is None:
            raise _unknown(config)
        return found
    return deserialize_keras_object(config, custom_objects=custom_objects, module_objects=NAMES)


def get(identifier: Any) -> Any:
    """The activation that a name, a config or a function stands for; `linear` for None.

    Raises ArgumentError for what cannot be called, or is not known.
    """
    if identifier is None:
        return linear
    found = deserialize(identifier) if isinstance(identifier, (str, dict)) else identifier
    if not callable(found):
        raise _unknown(identifier)
    return found


def _unknown(identifier: Any) -> ArgumentError:
    near = difflib.get_close_matches(str(identifier), NAMES, n=1)
    return ArgumentError(
        explain(
            "activations.get",
            "an activation, its name or its config. Could not interpret activation function "
            f"identifier: {identifier!r:.200}",
            f"{identifier!r:.80} of type {type(identifier).__name__}",
            f"Did you mean {near[0]!r}?" if near else f"Names: {', '.join(sorted(NAMES))}.",
        )
    )


register_builtins("keras.activations", NAMES)

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid",
    "log_softmax", "mish", "relu", "relu6", "selu", "serialize", "sigmoid", "silu", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh", "tanh_shrink", "threshold",
]  # fmt: skip

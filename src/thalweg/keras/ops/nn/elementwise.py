"""Activations of single elements and of rows, and complex numbers from polar coordinates.

Integers become float32 but where max and min are all there is: those keep them.
"""

import warnings
from typing import Any

from thalweg.array import elementwise as array
from thalweg.array import nn, statistical
from thalweg.array.creation import arange
from thalweg.array.data_types import astype
from thalweg.array.manipulation import reshape
from thalweg.array.searching import where
from thalweg.array.sorting import sort
from thalweg.base.errors import ShapeError
from thalweg.base.frames import outer_level
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_equal
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import (
    axes_of,
    axis_of,
    broadcast,
    floats,
    shape_of,
    tensor_dtype,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

# Single elements ----------------------------------------------------------------------------------


def _integers(x: Tensor) -> Tensor | None:
    """x if it holds integers, booleans as int32; None for floats."""
    if x.dtype.is_inexact:
        return None
    return x if x.dtype.is_integer else astype(x, "int32")


@op
def relu(x: Any) -> Tensor:
    """max(x, 0); the slope at 0 is 0."""
    x = tensor(x)
    whole = _integers(x)
    return nn.relu(x) if whole is None else array.maximum(whole, 0)


@op
def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6); the slopes at 0 and 6 are 0."""
    return nn.relu6(tensor(x))


@op
def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return array.sigmoid(tensor(x))


@op
def sparse_sigmoid(x: Any) -> Tensor:
    """(x + 1) / 2 held between 0 and 1."""
    return nn.sparse_sigmoid(tensor(x))


@op
def softplus(x: Any) -> Tensor:
    """log(1 + exp(x)), without overflow."""
    return nn.softplus(tensor(x))


@op
def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return nn.softsign(tensor(x))


@op
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved toward 0 by the threshold, and 0 where it is nearer than that."""
    return nn.soft_shrink(tensor(x), threshold)


@op
def sparse_plus(x: Any) -> Tensor:
    """(x + 1)**2 / 4 between -1 and 1, 0 below and x above."""
    return nn.sparse_plus(tensor(x))


@op
def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return nn.silu(tensor(x))


@op(data=("x",))
def squareplus(x: Any, b: float = 4) -> Tensor:
    """(x + sqrt(x**2 + b)) / 2."""
    return nn.squareplus(tensor(x), b)


@op
def log_sigmoid(x: Any) -> Tensor:
    """The logarithm of sigmoid(x), without overflow."""
    return nn.log_sigmoid(tensor(x))


@op
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where it is positive, negative_slope * x elsewhere."""
    return nn.leaky_relu(tensor(x), negative_slope)


@op
def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6."""
    return nn.hard_sigmoid(tensor(x))


@op
def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x), also called hard swish."""
    return nn.hard_silu(tensor(x))


@op
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""
    return nn.elu(tensor(x), alpha)


@op
def selu(x: Any) -> Tensor:
    """1.0507 * elu(x, alpha=1.67326), which keeps mean 0 and variance 1."""
    return nn.selu(tensor(x))


@op
def gelu(x: Any, approximate: bool = True) -> Tensor:
    """x times the normal distribution function at x; with `approximate`, by way of tanh."""
    return nn.gelu(tensor(x), bool(approximate))


@op
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere."""
    return nn.celu(tensor(x), alpha)


@op
def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    return nn.tanh_shrink(tensor(x))


@op
def hard_tanh(x: Any) -> Tensor:
    """x held between -1 and 1."""
    x = tensor(x)
    whole = _integers(x)
    if whole is None:
        return nn.hard_tanh(x)
    low = 0 if whole.dtype.kind == "uint" else -1
    return array.clip(whole, low, 1)


@op
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x where |x| is above the threshold, 0 elsewhere."""
    return nn.hard_shrink(tensor(x), threshold)


@op
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x where it is above the threshold, the default value elsewhere."""
    x = tensor(x)
    whole = _integers(x)
    if whole is None:
        return nn.threshold(x, threshold, default_value)
    return where(array.greater(whole, threshold), whole, default_value)


hard_swish = hard_silu
swish = silu


def _polar_spec(abs_: Any, angle: Any) -> KerasTensor:
    """The rule of polar: like Keras' own it lets shapes pass that may not fit."""
    one, two = shape_of(abs_), shape_of(angle)
    try:
        shape = broadcast("polar", one, two)
    except ShapeError:
        shape = one
    is_wide = "float64" in (tensor_dtype(abs_), tensor_dtype(angle))
    return KerasTensor(shape, dtype="complex128" if is_wide else "complex64")


@op(data=("abs_", "angle"), spec=_polar_spec)
def polar(abs_: Any, angle: Any) -> Tensor:
    """The complex numbers of a magnitude and an angle: complex64, or complex128 from float64."""
    turn = array.exp(array.multiply(tensor(angle), 1j))
    return array.multiply(tensor(abs_), turn)


# Rows ---------------------------------------------------------------------------------------------


@op
def glu(x: Any, axis: int = -1) -> Tensor:
    """a * sigmoid(b) for the two halves a and b of x along an axis of even size."""
    x = tensor(x)
    return nn.glu(x, axis_of("glu", axis, x.ndim))


@op
def softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over one axis, several, or all for None.

    Warns where the axis has size 1: the result is 1 whatever x is.
    """
    x = tensor(x)
    axes = axes_of("softmax", axis, x.ndim)
    if isinstance(axes, int) and is_known_equal(x.shape[axes], 1):
        warnings.warn(
            f"You are using a softmax over axis {axis} of a tensor of shape {tuple(x.shape)}. This "
            "axis has size 1. The softmax operation will always return the value 1, which is "
            "likely not what you intended. Did you mean to use a sigmoid instead?",
            stacklevel=outer_level(),
        )
    return nn.softmax(x, axes)


@op
def log_softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Tensor:
    """x - log(sum(exp(x))) over one axis, several, or all for None."""
    x = tensor(x)
    return nn.log_softmax(x, axes_of("log_softmax", axis, x.ndim))


@op
def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """max(x - t, 0) along an axis, where t depends on the largest elements, those that stay.

    t is Keras': with k elements that stay it adds up all their running sums, s[1] to s[k], and is
    (sum(s) - 1) / k. That is the sparsemax of the paper, whose results sum to 1, for k = 1 only;
    `tw.nn.sparsemax` is that of the paper for every k.
    """
    x = floats(x)
    place = axis_of("sparsemax", axis, x.ndim)
    ordered = sort(x, axis=place, descending=True)
    running = statistical.cumulative_sum(ordered, axis=place)
    sizes = [-1 if each == place else 1 for each in range(x.ndim)]
    count = reshape(arange(1, x.shape[place] + 1, dtype=x.dtype), sizes)
    excess = array.divide(array.subtract(running, 1), count)
    stays = array.greater(ordered, excess)
    total = statistical.sum(where(stays, running, 0), axis=place, keepdims=True)
    number = statistical.sum(astype(stays, x.dtype), axis=place, keepdims=True)
    bound = array.divide(array.subtract(total, 1), number)
    return array.maximum(array.subtract(x, bound), 0)

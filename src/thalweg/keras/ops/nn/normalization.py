"""Moments, and what is brought to mean 0 and variance 1, or to length 1."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.array import elementwise as array
from thalweg.array import nn, statistical
from thalweg.array.data_types import astype
from thalweg.array.linalg import norm
from thalweg.array.manipulation import reshape
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.base.frames import outer_level
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_equal
from thalweg.keras import settings
from thalweg.keras.dtypes import is_int_dtype, result_type
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import axes_of, axis_of, common_dtype, floats, shape_of
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

Axes = int | Sequence[int] | None


@op
def moments(
    x: Any, axes: Axes, keepdims: bool = False, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean and the variance over axes, in the element type of x.

    Both are computed in float32 at least; what float16 cannot hold becomes its largest number.
    `synchronized` asks for the moments over all replicas, of which there is one.
    """
    x = floats(x)
    mean, variance = nn.moments(x, axes_of("moments", axes, x.ndim), bool(keepdims))
    if x.dtype.name == "float16":
        largest = float(np.finfo(np.float16).max)
        mean, variance = (array.clip(each, -largest, largest) for each in (mean, variance))
    return astype(mean, x.dtype), astype(variance, x.dtype)


@op(data=("x", "mean", "variance", "offset", "scale"), name="BatchNorm")
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 0.001,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with vectors along an axis.

    Operands meet in one element type. Raises ShapeError for a vector of another length.
    """
    given = {"mean": mean, "variance": variance, "offset": offset, "scale": scale}
    given = {name: value for name, value in given.items() if value is not None}
    dtype = common_dtype(x, *given.values(), float)
    x, *vectors = (tensor(each, dtype) for each in (x, *given.values()))
    place = axis_of("batch_normalization", axis, x.ndim)
    size = x.shape[place]
    for name, vector in zip(given, vectors, strict=True):
        if vector.ndim != 1 or not is_known_equal(vector.shape[0], size):
            raise ShapeError(
                explain(
                    "batch_normalization",
                    f"`{name}` as axis {axis} of x is; `{name}` must be a vector of length {size}",
                    f"{name} of shape {tuple(vector.shape)}, x of shape {tuple(x.shape)}",
                )
            )
    found = dict(zip(given, vectors, strict=True))
    return nn.batch_norm(
        x,
        found["mean"],
        found["variance"],
        found.get("scale"),
        found.get("offset"),
        place,
        epsilon,
    )


def _like_floats(x: Any, **_: Any) -> KerasTensor:
    """The rule of what keeps its shape and gives floats."""
    dtype = result_type(x.dtype, float) if is_int_dtype(x.dtype) else x.dtype
    return KerasTensor(shape_of(x), dtype=dtype)


def _axes(name: str, axis: Axes, rank: int) -> tuple[int, ...]:
    """The axes in order; all for None."""
    found = axes_of(name, axis, rank)
    if found is None:
        return tuple(range(rank))
    return tuple(sorted(set(found))) if isinstance(found, tuple) else (found,)


def _wide(x: Any) -> Tensor:
    """Floats of at least 32 bits."""
    x = floats(x)
    return astype(x, "float32") if x.dtype.bits == 16 else x


def _epsilon(epsilon: float | None) -> float:
    return settings.epsilon() if epsilon is None else epsilon


@op(data=("x", "gamma", "beta"), name="LayerNorm", spec=_like_floats)
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Axes = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with moments over one axis or several.

    gamma and beta have the sizes of these axes, or as many axes as x and broadcast. Computed in
    float32 at least; the result has the type of x. `rms_scaling=True`, which is deprecated, keeps
    the mean and leaves out beta.
    """
    name = "layer_normalization"
    x = floats(x)
    axes = _axes(name, axis, x.ndim)
    small = _epsilon(epsilon)
    if kwargs.pop("rms_scaling", False):
        warnings.warn(
            "You passed `rms_scaling=True`, which is deprecated. Use rms_normalization, which "
            "divides by the root of the mean square.",
            stacklevel=outer_level(),
        )
        wide = _wide(x)
        _, variance = nn.moments(wide, axes, keepdims=True)
        scaled = array.multiply(wide, array.rsqrt(array.add(variance, small)))
        if gamma is not None:
            weight = _row(name, "gamma", x, axes, gamma)
            scaled = array.multiply(scaled, _spread(astype(weight, wide.dtype), wide, axes))
        return astype(scaled, x.dtype)
    rows = [
        None if each is None else _row(name, what, x, axes, each)
        for what, each in (("gamma", gamma), ("beta", beta))
    ]
    if all(row is None or row.ndim == len(axes) for row in rows) and len(axes) < x.ndim:
        return nn.layer_norm(x, rows[0], rows[1], axes, small)
    found = nn.layer_norm(_wide(x), None, None, axes, small)
    for row, apply in zip(rows, (array.multiply, array.add), strict=True):
        if row is not None:
            found = apply(found, astype(_spread(row, x, axes), found.dtype))
    return astype(found, x.dtype)


def _row(name: str, what: str, x: Tensor, axes: Sequence[int], value: Any) -> Tensor:
    """A parameter as it comes if it has as many axes as x, else in the sizes of the axes."""
    found = tensor(value)
    if found.ndim == x.ndim:
        return found
    sizes = tuple(x.shape[axis] for axis in axes)
    if not is_known_equal(math.prod(found.shape), math.prod(sizes)):
        raise ShapeError(
            explain(
                name,
                f"`{what}` of shape {sizes}, the sizes of the axes {tuple(axes)} of x",
                f"{what} of shape {tuple(found.shape)}, x of shape {tuple(x.shape)}",
            )
        )
    return found if found.ndim == len(sizes) == 1 else reshape(found, sizes)


def _spread(row: Tensor, x: Tensor, axes: Sequence[int]) -> Tensor:
    """A parameter with its axes at their places in x."""
    if row.ndim == x.ndim:
        return row
    return reshape(row, tuple(x.shape[axis] if axis in axes else 1 for axis in range(x.ndim)))


@op(data=("x", "scale"), name="RMSNorm", spec=_like_floats)
def rms_normalization(
    x: Any, scale: Any = None, axis: Axes = -1, epsilon: float | None = None
) -> Tensor:
    """x / sqrt(mean(x**2) + epsilon) * scale, with the mean over one axis or several.

    `scale` broadcasts to x. Computed in float32 at least; the result has the type of x.
    """
    name = "rms_normalization"
    x = floats(x)
    axes = _axes(name, axis, x.ndim)
    small = _epsilon(epsilon)
    row = None if scale is None else tensor(scale)
    last = tuple(range(x.ndim - len(axes), x.ndim))
    sizes = tuple(x.shape[axis] for axis in axes)
    fits = row is None or (
        axes == last and row.ndim == len(axes) and all(map(is_known_equal, row.shape, sizes))
    )
    if fits:
        return nn.rms_norm(x, row, axes, small)
    found = nn.rms_norm(_wide(x), None, axes, small)
    return astype(array.multiply(found, astype(row, found.dtype)), x.dtype)


@op
def normalize(x: Any, axis: Axes = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its norm along an axis, or by epsilon where that is larger.

    `order` is that of the vector norm, an integer of at least 1; over two axes other orders than 2
    are those of matrix norms. Raises ArgumentError for another order.
    """
    if not isinstance(order, int) or order < 1:
        raise ArgumentError(
            explain(
                "normalize",
                "`order` to be an integer of 1 or more; Argument `order` must be an int >= 1",
                f"order={order!r}",
            )
        )
    x = floats(x)
    x = reshape(x, (1,)) if not x.ndim else x
    axes = _axes("normalize", axis, x.ndim)
    small = _epsilon(epsilon)
    if order == 2:
        total = statistical.sum(array.square(x), axis=axes, keepdims=True)
        return array.multiply(x, array.rsqrt(array.maximum(total, small * small)))
    along = axes[0] if len(axes) == 1 else axes
    return array.divide(x, array.maximum(norm(x, order, along, keepdims=True), small))

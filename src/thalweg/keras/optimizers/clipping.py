"""Gradients kept within bounds. None, for a variable without a gradient, stays None."""

import functools
from collections.abc import Sequence
from typing import Any

from thalweg.array.data_types import astype
from thalweg.array.elementwise import add, clip, maximum, minimum, sqrt, square
from thalweg.array.statistical import sum as total
from thalweg.engine.tensor import Tensor
from thalweg.keras.variable import tensor

Gradients = list[Tensor | None]


def by_value(gradients: Sequence[Any], limit: float) -> Gradients:
    """Each element between -limit and limit."""
    return [None if each is None else clip(tensor(each), -limit, limit) for each in gradients]


def by_norm(gradients: Sequence[Any], limit: float) -> Gradients:
    """Each gradient scaled down to the norm `limit` where it has a larger one."""
    return [None if each is None else _by_own_norm(tensor(each), limit) for each in gradients]


def _by_own_norm(gradient: Tensor, limit: float) -> Tensor:
    norm = sqrt(_squared_norm(gradient))
    return gradient * astype(limit / maximum(norm, limit), gradient.dtype)


def by_global_norm(gradients: Sequence[Any], limit: float) -> Gradients:
    """All gradients scaled down together to the norm `limit` where theirs is larger.

    A norm that is not finite makes all of them NaN, so that it is seen.
    """
    found = [None if each is None else tensor(each) for each in gradients]
    squares = [_squared_norm(each) for each in found if each is not None]
    if not squares:
        return found
    norm = sqrt(functools.reduce(add, squares))
    scale = limit * minimum(1 / norm, 1 / limit) + (norm - norm)
    return [None if each is None else each * astype(scale, each.dtype) for each in found]


def _squared_norm(gradient: Tensor) -> Tensor:
    """A 16-bit float would overflow at norms beyond 255."""
    wide = astype(gradient, "float32") if gradient.dtype.bits == 16 else gradient
    return total(square(wide))

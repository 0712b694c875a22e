"""Labels as one-hot rows, and vectors of length one."""

import math
from typing import Any

import numpy as np

from thalweg.array.data_types import astype
from thalweg.array.elementwise import abs, divide, maximum, pow, sqrt, square
from thalweg.array.manipulation import squeeze
from thalweg.array.nn import one_hot
from thalweg.array.statistical import max, sum
from thalweg.base.errors import ArgumentError, OutOfRangeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable
from thalweg.keras import settings
from thalweg.keras.variable import tensor


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """One-hot rows (..., num_classes) of integer labels (...) or (..., 1).

    Lists and arrays give a float64 array, a tensor gives a float32 tensor. `num_classes` is the
    largest label plus one when left out.

    Errors: OutOfRangeError for labels outside [0, num_classes), except in a tensor, where they give
    a row of zeros; ArgumentError for labels that are no numbers, or for none without `num_classes`.
    """
    if isinstance(x, Tensor | Variable):
        return _tensor_to_categorical(tensor(x), num_classes)
    try:
        labels = np.asarray(x).astype(np.int64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            explain("to_categorical", "labels that are integers", f"{type(x).__name__} {x!r:.100}")
        ) from error
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if not num_classes:
        if not labels.size:
            raise ArgumentError(explain("to_categorical", "`num_classes` or a label", "neither"))
        num_classes = int(labels.max()) + 1
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise OutOfRangeError(
            explain(
                "to_categorical",
                f"labels from 0 to {num_classes - 1}",
                f"the label {wrong.flat[0]}, which is out of bounds for {num_classes} classes",
                f"Give num_classes={int(labels.max()) + 1}." if labels.min() >= 0 else "",
            )
        )
    rows = np.zeros((labels.size, num_classes))
    rows[np.arange(labels.size), labels.ravel()] = 1
    return rows.reshape(*labels.shape, num_classes)


def _tensor_to_categorical(x: Tensor, num_classes: int | None) -> Tensor:
    if len(x.shape) > 1 and x.shape[-1] == 1:
        x = squeeze(x, axis=-1)
    if not x.dtype.is_integer:
        x = astype(x, "int32")
    if not num_classes:
        num_classes = int(max(x)) + 1
    return one_hot(x, num_classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x` divided by its norm along `axis`; a zero vector stays zero.

    An array gives an array, anything else a tensor. For an array `order` is whatever
    `numpy.linalg.norm` takes, otherwise an integer of at least 1.

    Errors: ArgumentError for another order.
    """
    if isinstance(x, np.ndarray):
        return _normalize_array(x, axis, order)
    if not isinstance(order, int) or order < 1:
        raise ArgumentError(
            explain("normalize", "argument `order` to be an int >= 1", f"order={order!r}")
        )
    x = tensor(x)
    if not x.dtype.is_inexact:
        x = astype(x, settings.floatx())
    axes: Any = axis if x.shape else ()
    if order == 2:
        # The square root of a bounded sum, as in l2_normalize: a gradient exists at zero.
        return x / sqrt(maximum(sum(square(x), axis=axes, keepdims=True), 1e-12))
    size = sum(pow(abs(x), order), axis=axes, keepdims=True)
    norm = size if order == 1 else pow(size, 1 / order)
    return divide(x, maximum(norm, settings.epsilon()))


def _normalize_array(x: np.ndarray, axis: Any, order: Any) -> np.ndarray:
    if order not in (1, 2, 0, math.inf, -math.inf) and not isinstance(order, int | float):
        raise ArgumentError(explain("normalize", "`order` to be a number", f"order={order!r}"))
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)

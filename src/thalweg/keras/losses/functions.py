"""The losses as functions: (y_true, y_pred) -> the loss of each sample.

Unless said otherwise the last axis is the one that is averaged or summed.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras import ops, settings
from thalweg.keras.losses.loss import squeeze_or_expand_to_same_rank


def class_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A loss whose y_true may be class numbers, which are never cast to a half float."""
    function.__dict__["takes_class_numbers"] = True
    return function


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors in the type of the prediction, with equal numbers of axes."""
    y_pred = ops.convert_to_tensor(y_pred)
    if "float" not in str(getattr(y_pred.dtype, "name", y_pred.dtype)):
        y_pred = ops.cast(y_pred, settings.floatx())
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    return squeeze_or_expand_to_same_rank(y_true, y_pred)


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """mean((y_true - y_pred)²)"""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """mean(|y_true - y_pred|)"""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 mean(|(y_true - y_pred) / y_true|)"""
    y_true, y_pred = _pair(y_true, y_pred)
    least = ops.convert_to_tensor(settings.epsilon(), dtype=y_pred.dtype)
    return 100.0 * ops.mean(
        ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), least)), axis=-1
    )


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """mean((log(y_true + 1) - log(y_pred + 1))²)"""
    y_true, y_pred = _pair(y_true, y_pred)
    least = ops.convert_to_tensor(settings.epsilon(), dtype=y_pred.dtype)

    def log(x: Any) -> Any:
        return ops.log(ops.maximum(x, least) + 1.0)

    return ops.mean(ops.square(log(y_true) - log(y_pred)), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """-sum(l2(y_true) l2(y_pred)): -1 for equal directions."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true, y_pred = ops.normalize(y_true, axis=axis), ops.normalize(y_pred, axis=axis)
    return -ops.sum(y_true * y_pred, axis=axis)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Half the square of errors up to `delta`, linear beyond (Huber 1964)."""
    y_true, y_pred = _pair(y_true, y_pred)
    delta = ops.convert_to_tensor(delta, dtype=y_pred.dtype)
    error = ops.abs(y_pred - y_true)
    half = ops.convert_to_tensor(0.5, dtype=y_pred.dtype)
    inner = half * ops.square(error)
    outer = delta * error - half * ops.square(delta)
    return ops.mean(ops.where(error <= delta, inner, outer), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """mean(log(cosh(y_pred - y_true)))"""
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(ops.logaddexp(error, -error) - math.log(2.0), axis=-1)


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """sum(y_true log(y_true / y_pred)), both kept from 0."""
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = ops.clip(y_true, settings.epsilon(), 1.0)
    y_pred = ops.clip(y_pred, settings.epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """mean(y_pred - y_true log(y_pred))"""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + settings.epsilon()), axis=-1)


def _signs(y_true: Any) -> Any:
    """Labels of 0 and 1 as -1 and 1; others stay."""
    is_binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(is_binary, 2 * y_true - 1, y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true y_pred, 0)), labels -1 and 1, or 0 and 1."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """mean(max(1 - y_true y_pred, 0)²), labels -1 and 1, or 0 and 1."""
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(greatest wrong score - right score + 1, 0), y_true one-hot."""
    y_true, y_pred = _pair(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Mean cross entropy of yes or no, from probabilities or logits.

    `label_smoothing` s moves labels towards 0.5: y (1 - s) + s / 2.
    """
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Binary cross entropy with less weight for what is easy: (1 - p)^gamma (Lin et al. 2017)."""
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    entropy = ops.binary_crossentropy(target=y_true, output=y_pred, from_logits=False)
    right = y_true * y_pred + (1 - y_true) * (1 - y_pred)
    found = ops.power(1.0 - right, gamma) * entropy
    if apply_class_balancing:
        found = (y_true * alpha + (1 - y_true) * (1 - alpha)) * found
    return ops.mean(found, axis=axis)


def _check_classes(name: str, y_true: Any, y_pred: Any) -> None:
    if len(y_pred.shape) and y_pred.shape[-1] == 1:
        warnings.warn(
            f"In loss {name}, expected y_pred.shape to be (batch_size, num_classes) with "
            f"num_classes > 1. Received: y_pred.shape={tuple(y_pred.shape)}. Consider using "
            "'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
            stacklevel=outer_level(),
        )


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """-sum(y_true log(y_pred)) along `axis`, y_true one-hot or probabilities.

    `label_smoothing` s spreads labels: y (1 - s) + s / classes.
    """
    if isinstance(axis, bool):
        raise ArgumentError(
            explain(
                "categorical_crossentropy",
                "`axis` must be of type `int`",
                f"axis={axis} of type {type(axis)}",
            )
        )
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    _check_classes("categorical_crossentropy", y_true, y_pred)
    if label_smoothing:
        classes = ops.cast(ops.shape(y_true)[axis], y_pred.dtype)
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross entropy with weight alpha (1 - p)^gamma (Lin et al. 2017)."""
    if isinstance(axis, bool):
        raise ArgumentError(
            explain(
                "categorical_focal_crossentropy",
                "`axis` must be of type `int`",
                f"axis={axis} of type {type(axis)}",
            )
        )
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    _check_classes("categorical_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        classes = ops.cast(ops.shape(y_true)[axis], y_pred.dtype)
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    y_pred = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    y_pred = ops.clip(y_pred, settings.epsilon(), 1.0 - settings.epsilon())
    weight = ops.multiply(ops.power(1.0 - y_pred, gamma), alpha)
    return ops.sum(weight * -y_true * ops.log(y_pred), axis=axis)


@class_numbers
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """-log(y_pred[y_true]) along `axis`, labels as integers; places of `ignore_class` count 0."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), "int32")
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    valid = None
    if ignore_class is not None:
        valid = ops.not_equal(y_true, ignore_class)
        y_true = ops.where(valid, y_true, 0)  # a class that there is
    found = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    if valid is not None:
        found = ops.where(valid, found, ops.zeros_like(found))
        found._keras_mask = valid
    return found


@class_numbers
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """(1 - p^q) / q for the probability p of the label; less moved by wrong labels.

    Source: Zhang and Sabuncu 2018.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.one_hot(ops.cast(y_true, "int32"), num_classes=y_pred.shape[-1])
    p = ops.sum(ops.cast(labels, y_pred.dtype) * y_pred, axis=-1)
    return (1.0 - ops.power(p, q)) / q


@class_numbers
def ctc(y_true: Any, y_pred: Any) -> Any:
    """The CTC loss of labels (batch, length), 0 for none, given logits (batch, time, classes)."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) != 2:
        raise ArgumentError(
            explain(
                "ctc",
                "Targets `y_true` must be a tensor of shape (batch_size, max_length)",
                f"y_true.shape={tuple(y_true.shape)}",
            )
        )
    if len(y_pred.shape) != 3:
        raise ArgumentError(
            explain(
                "ctc",
                "Logits `y_pred` must be a tensor of shape (batch_size, max_length, num_classes)",
                f"y_pred.shape={tuple(y_pred.shape)}",
            )
        )
    batch, time, _ = ops.shape(y_pred)
    lengths = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)
    steps = ops.broadcast_to(ops.cast(time, "int32"), (batch,))
    return ops.ctc_loss(y_true, y_pred, lengths, steps, mask_index=0)


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """1 - 2 sum(y_true y_pred) / (sum y_true + sum y_pred), over `axis`, all for None."""
    y_true, y_pred = _pair(y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    found = ops.divide(
        2.0 * both + settings.epsilon(),
        ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + settings.epsilon(),
    )
    return 1 - found


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """1 - the Tversky index, with weight alpha of missed and beta of false positives."""
    y_true, y_pred = _pair(y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis=axis)
    false = ops.sum((1 - y_true) * y_pred, axis=axis)
    missed = ops.sum(y_true * (1 - y_pred), axis=axis)
    found = ops.divide(
        both + settings.epsilon(),
        both + missed * alpha + false * beta + settings.epsilon(),
    )
    return 1 - found


@class_numbers
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """The circle loss of normalised embeddings (batch, size) with integer labels (Sun et al. 2020).

    Pairs are made with `ref_embeddings`, or within the batch.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.cast(y_true, "int32")
    others = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    other_labels = labels if ref_labels is None else ops.cast(ref_labels, "int32")
    distance = ops.maximum(1 - ops.matmul(y_pred, ops.transpose(others)), 0.0)
    labels, other_labels = ops.reshape(labels, (-1, 1)), ops.reshape(other_labels, (1, -1))
    alike = ops.equal(labels, other_labels)
    unlike = ops.logical_not(alike)
    if remove_diagonal:
        # A row of the batch is no pair with the row of the same number.
        rows, columns = (ops.arange(ops.shape(each)[0]) for each in (y_pred, others))
        apart = ops.not_equal(ops.expand_dims(rows, 1), ops.expand_dims(columns, 0))
        alike = ops.logical_and(alike, apart)
    near = ops.maximum((margin + distance) * ops.cast(alike, y_pred.dtype), 0.0)
    far = ops.maximum((1 + margin - distance) * ops.cast(unlike, y_pred.dtype), 0.0)
    positive = -1 * gamma * near * (margin - distance)
    negative = gamma * far * (1 - margin - distance)
    lowest = ops.convert_to_tensor(float("-inf"), dtype=y_pred.dtype)
    found = ops.softplus(
        ops.logsumexp(ops.where(alike, positive, lowest), axis=1)
        + ops.logsumexp(ops.where(unlike, negative, lowest), axis=1)
    )
    found._keras_mask = found > 0
    return found

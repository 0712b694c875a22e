"""How often predictions are right."""

from typing import Any

from thalweg.keras import ops, settings
from thalweg.keras.losses.loss import squeeze_or_expand_to_same_rank
from thalweg.keras.metrics.reduction import MeanOf, plain


def _right(y_true: Any, y_pred: Any) -> Any:
    return ops.cast(ops.equal(y_true, y_pred), settings.floatx())


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where a prediction equals its label, else 0."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    return _right(*squeeze_or_expand_to_same_rank(y_true, y_pred))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where a prediction is above the threshold and its label 1, or not and 0; else 0."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    return _right(y_true, ops.cast(ops.greater(y_pred, threshold), y_true.dtype))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction (..., classes) is at the largest label, else 0: (...)."""
    return _right(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))


def _sparse(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Class numbers (...), a last axis of size 1 dropped, and scores (..., classes)."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and len(y_true.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    return y_true, y_pred


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction (..., classes) is that of the class number, else 0: (...)."""
    y_true, y_pred = _sparse(y_true, y_pred)
    return _right(y_true, ops.argmax(y_pred, axis=-1))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the label's class is among the k largest predictions, else 0: (...)."""
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k=k)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """1 where the class number is among the k largest predictions, else 0, in its shape.

    With `from_sorted_ids` y_pred holds class numbers themselves, the likeliest first.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), "int32")
    shape = ops.shape(y_true)
    places = ops.reshape(y_true, (-1,))
    scores = ops.reshape(y_pred, (-1, ops.shape(y_pred)[-1]))
    if from_sorted_ids:
        alike = ops.equal(ops.expand_dims(places, -1), ops.cast(scores[:, :k], "int32"))
        found = ops.any(alike, axis=-1)
    else:
        found = ops.in_top_k(places, scores, k)
    return ops.reshape(ops.cast(found, settings.floatx()), shape)


Accuracy = plain(__name__, "Accuracy", accuracy, "accuracy", "up")
CategoricalAccuracy = plain(
    __name__, "CategoricalAccuracy", categorical_accuracy, "categorical_accuracy", "up"
)
SparseCategoricalAccuracy = plain(
    __name__,
    "SparseCategoricalAccuracy",
    sparse_categorical_accuracy,
    "sparse_categorical_accuracy",
    "up",
)


class BinaryAccuracy(MeanOf):
    """The part of predictions that lie on the right side of `threshold`."""

    _direction = "up"

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ):
        super().__init__(binary_accuracy, name, dtype, {"threshold": threshold})
        self.threshold = threshold


class TopKCategoricalAccuracy(MeanOf):
    """The part of samples whose class is among the `k` largest predictions; labels one-hot."""

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ):
        super().__init__(top_k_categorical_accuracy, name, dtype, {"k": k})
        self.k = k


class SparseTopKCategoricalAccuracy(MeanOf):
    """The part of samples whose class number is among the `k` largest predictions.

    With `from_sorted_ids` predictions are class numbers, the likeliest first.
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        rare = {"from_sorted_ids": (from_sorted_ids, False)}
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, {"k": k}, rare)
        self.k = k
        self.from_sorted_ids = from_sorted_ids

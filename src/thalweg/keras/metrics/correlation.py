"""How far labels and predictions vary together."""

from typing import Any

from thalweg.keras import ops, settings
from thalweg.keras.losses.loss import squeeze_or_expand_to_same_rank
from thalweg.keras.metrics.reduction import MeanOf


def _centred(x: Any, axis: Any) -> tuple[Any, Any]:
    mean = ops.mean(x, axis=axis, keepdims=True)
    return x - mean, mean


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_pred = ops.convert_to_tensor(y_pred)
    if "float" not in ops.dtype(y_pred):
        y_pred = ops.cast(y_pred, settings.floatx())
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    return squeeze_or_expand_to_same_rank(y_true, y_pred)


def pearson_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> Any:
    """The linear correlation along `axis`, from -1 to 1; NaN where one of them is constant."""
    y_true, y_pred = _pair(y_true, y_pred)
    (true, _), (predicted, _) = _centred(y_true, axis), _centred(y_pred, axis)
    true = true / ops.sqrt(ops.mean(true * true, axis=axis, keepdims=True))
    predicted = predicted / ops.sqrt(ops.mean(predicted * predicted, axis=axis, keepdims=True))
    return ops.mean(true * predicted, axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> Any:
    """2 cov / (var + var + (mean - mean)²) along `axis`: 1 only where both are equal (Lin 1989)."""
    y_true, y_pred = _pair(y_true, y_pred)
    (true, mean_true), (predicted, mean_predicted) = _centred(y_true, axis), _centred(y_pred, axis)
    apart = ops.mean(ops.square(mean_true - mean_predicted), axis=axis)
    spread = ops.mean(true * true + predicted * predicted, axis=axis) + apart
    return 2 * ops.mean(true * predicted, axis=axis) / (spread + settings.epsilon())


class PearsonCorrelation(MeanOf):
    """The mean linear correlation of labels and predictions along `axis`."""

    _direction = "up"

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: Any = -1):
        super().__init__(pearson_correlation, name, dtype, {"axis": axis})
        self.axis = axis


class ConcordanceCorrelation(MeanOf):
    """The mean concordance of labels and predictions along `axis`."""

    _direction = "up"

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: Any = -1
    ):
        super().__init__(concordance_correlation, name, dtype, {"axis": axis})
        self.axis = axis

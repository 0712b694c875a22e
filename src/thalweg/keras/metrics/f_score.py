"""F scores: the weighted harmonic mean of precision and recall."""

from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.metrics.metric import Metric

AVERAGES = (None, "micro", "macro", "weighted")
STATE = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """(1 + b²) precision recall / (b² precision + recall), b = `beta`, for classes one-hot.

    `average` None gives a score for each class; "micro" counts all classes together, "macro" takes
    the mean over classes, "weighted" by their number of labels. Without `threshold` the largest
    prediction of a row is the positive one. State: true_positives, false_positives,
    false_negatives, intermediate_weights, (classes,) each, made by the first batch.
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if average not in AVERAGES:
            names = "{None, 'micro', 'macro', 'weighted'}"
            raise _invalid("average", f"Expected one of: {names}. Received: average={average}")
        if not isinstance(beta, float):
            kind = f"Received: beta={beta} of type '{type(beta)}'"
            raise _invalid("beta", f"It should be a Python float. {kind}")
        if beta <= 0:
            raise _invalid("beta", f"It should be > 0. Received: beta={beta}")
        if threshold is not None and not isinstance(threshold, float):
            kind = f"Received: threshold={threshold} of type '{type(threshold)}'"
            raise _invalid("threshold", f"It should be a Python float. {kind}")
        if threshold is not None and not 0 < threshold <= 1:
            limits = "It should verify 0 < threshold <= 1."
            raise _invalid("threshold", f"{limits} Received: threshold={threshold}")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, y_true_shape: Sequence[Any], y_pred_shape: Sequence[Any]) -> None:
        wanted = "FBetaScore expects 2D inputs with shape (batch_size, output_dim)"
        shapes = f"y_pred.shape={tuple(y_pred_shape)} and y_true.shape={tuple(y_true_shape)}"
        if None in (y_pred_shape[-1], y_true_shape[-1]):
            wanted += ", with output_dim fully defined (not None)"
        elif len(y_pred_shape) == len(y_true_shape) == 2:
            wanted = ""
        if wanted:
            received = f"{wanted}. Received input shapes: {shapes}"
            raise ShapeError(
                explain(type(self).__name__, "labels and predictions (samples, classes)", received)
            )
        shape = () if self.average == "micro" else (y_pred_shape[-1],)
        for each in STATE:
            setattr(self, each, self.add_variable(shape=shape, initializer="zeros", name=each))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather labels and predictions (N, classes), weighted by (N,)."""
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        if not self._built:
            self._build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            largest = ops.max(y_pred, axis=-1, keepdims=True)
            # A row of zeros has no positive prediction.
            is_positive = ops.logical_and(y_pred >= largest, ops.abs(y_pred) > 1e-9)
        else:
            is_positive = y_pred > self.threshold
        y_pred = ops.cast(is_positive, self.dtype)
        weight = None
        if sample_weight is not None:
            weight = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
            weight = ops.expand_dims(weight, -1) if len(weight.shape) == 1 else weight
        axis = None if self.average == "micro" else 0

        def total(x: Any) -> Any:
            return ops.sum(x if weight is None else x * weight, axis=axis)

        self.true_positives.assign_add(total(y_pred * y_true))
        self.false_positives.assign_add(total(y_pred * (1 - y_true)))
        self.false_negatives.assign_add(total((1 - y_pred) * y_true))
        self.intermediate_weights.assign_add(total(y_true))

    def result(self) -> Any:
        """The score, or one for each class; 0 where there is neither label nor prediction."""
        if not self._built:
            raise ArgumentError(
                explain(type(self).__name__, "a batch before it has a result", "none so far")
            )
        hits = self.true_positives.value
        precision = ops.divide_no_nan(hits, hits + self.false_positives.value)
        recall = ops.divide_no_nan(hits, hits + self.false_negatives.value)
        square = self.beta**2
        score = ops.divide_no_nan(precision * recall * (1 + square), square * precision + recall)
        if self.average == "weighted":
            labels = self.intermediate_weights.value
            return ops.sum(score * ops.divide_no_nan(labels, ops.sum(labels)))
        return ops.mean(score) if self.average is not None else score

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


def _invalid(argument: str, text: str) -> ArgumentError:
    return ArgumentError(
        explain(
            "FBetaScore",
            f"a usable {argument}",
            f"Invalid `{argument}` argument value. {text}",
        )
    )


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall); settings as for `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config

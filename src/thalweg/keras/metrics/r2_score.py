"""The coefficient of determination."""

from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.metrics.metric import Metric

AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """1 - residual / variance of the labels: 1 for perfect predictions, 0 for their mean.

    `class_aggregation` None gives a score for each of the outputs, "uniform_average" their mean,
    "variance_weighted_average" the mean by variance. `num_regressors` p adjusts it for p
    explanatory variables. State: num_samples, then, made by the first batch, squared_sum, sum,
    residual, count, (outputs,) each.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in AGGREGATIONS:
            raise ArgumentError(
                explain(
                    "R2Score",
                    f"class_aggregation among {AGGREGATIONS}",
                    "Invalid value for argument `class_aggregation`: "
                    f"class_aggregation={class_aggregation}",
                )
            )
        if num_regressors < 0:
            raise ArgumentError(
                explain(
                    "R2Score",
                    "num_regressors of 0 or more",
                    f"Invalid value for argument `num_regressors`: num_regressors={num_regressors}",
                )
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable(shape=(), initializer="zeros", name="num_samples")
        self._built = False

    def _build(self, y_true: Any, y_pred: Any) -> None:
        shapes = f"y_pred.shape={tuple(y_pred.shape)} and y_true.shape={tuple(y_true.shape)}"
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ShapeError(
                explain(
                    "R2Score",
                    "labels and predictions of shape (samples, outputs). R2Score expects 2D inputs "
                    "with shape (batch_size, output_dim)",
                    f"input shapes: {shapes}",
                )
            )
        if y_pred.shape[-1] is None or y_pred.shape[-1] != y_true.shape[-1]:
            raise ShapeError(
                explain(
                    "R2Score",
                    "as many predictions as labels. R2Score expects 2D inputs with shape "
                    "(batch_size, output_dim), with output_dim fully defined (not None)",
                    f"input shapes: {shapes}",
                )
            )
        outputs = (y_pred.shape[-1],)
        for each in ("squared_sum", "sum", "residual", "count"):
            variable = self.add_variable(shape=outputs, initializer="zeros", name=each)
            setattr(self, "total_mse" if each == "residual" else each, variable)
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather labels and predictions (N, outputs), weighted by (N,)."""
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        if not self._built:
            self._build(y_true, y_pred)
        weight = 1 if sample_weight is None else sample_weight
        weight = ops.convert_to_tensor(weight, dtype=self.dtype)
        weight = ops.expand_dims(weight, -1) if len(weight.shape) == 1 else weight
        weight = ops.broadcast_to(weight, ops.shape(y_true))
        weighted = y_true * weight
        self.squared_sum.assign_add(ops.sum(y_true * weighted, axis=0))
        self.sum.assign_add(ops.sum(weighted, axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        # Keras counts the labels of all outputs as samples.
        self.num_samples.assign_add(ops.cast(ops.size(y_true), self.dtype))

    def result(self) -> Any:
        """The score, or one for each output."""
        if not self._built:
            raise ArgumentError(explain("R2Score", "a batch before it has a result", "none so far"))
        total, count, residual = self.sum.value, self.count.value, self.total_mse.value
        variance = self.squared_sum.value - total * ops.divide_no_nan(total, count)
        scores = 1 - residual / variance
        # A label that never varies is explained by nothing.
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            score = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            score = ops.sum(scores * (variance / ops.sum(variance)))
        else:
            score = scores
        if self.num_regressors == 0:
            return score
        left = self.num_samples.value - self.num_regressors - 1
        adjusted = 1 - (1 - score) * ops.divide_no_nan(self.num_samples.value - 1, left)
        # With fewer samples than explanatory variables there is nothing to adjust by.
        return ops.where(left > 0, adjusted, score)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }

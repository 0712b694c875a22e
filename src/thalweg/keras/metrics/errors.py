"""Means of losses as metrics: regression, hinge and cross entropies."""

from typing import Any

from thalweg.keras import ops
from thalweg.keras.losses import functions
from thalweg.keras.losses.loss import squeeze_or_expand_to_same_rank
from thalweg.keras.metrics.reduction import Mean, MeanOf, plain

MeanSquaredError = plain(
    __name__, "MeanSquaredError", functions.mean_squared_error, "mean_squared_error"
)
MeanAbsoluteError = plain(
    __name__, "MeanAbsoluteError", functions.mean_absolute_error, "mean_absolute_error"
)
MeanAbsolutePercentageError = plain(
    __name__,
    "MeanAbsolutePercentageError",
    functions.mean_absolute_percentage_error,
    "mean_absolute_percentage_error",
)
MeanSquaredLogarithmicError = plain(
    __name__,
    "MeanSquaredLogarithmicError",
    functions.mean_squared_logarithmic_error,
    "mean_squared_logarithmic_error",
)
LogCoshError = plain(__name__, "LogCoshError", functions.log_cosh, "logcosh")
Hinge = plain(__name__, "Hinge", functions.hinge, "hinge")
SquaredHinge = plain(__name__, "SquaredHinge", functions.squared_hinge, "squared_hinge")
CategoricalHinge = plain(
    __name__, "CategoricalHinge", functions.categorical_hinge, "categorical_hinge"
)
KLDivergence = plain(__name__, "KLDivergence", functions.kl_divergence, "kl_divergence")
Poisson = plain(__name__, "Poisson", functions.poisson, "poisson")


class RootMeanSquaredError(Mean):
    """The square root of the mean of (y_pred - y_true)²."""

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather a batch of one shape."""
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self) -> Any:
        """The root of the mean so far."""
        return ops.sqrt(super().result())


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """sum(l2(y_true) l2(y_pred)): 1 for equal directions, -1 for opposite ones."""
    return -functions.cosine_similarity(y_true, y_pred, axis=axis)


class CosineSimilarity(MeanOf):
    """The mean cosine of the angle between labels and predictions along `axis`."""

    _direction = "up"

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(cosine_similarity, name, dtype, rare={"axis": (axis, -1)})


class BinaryCrossentropy(MeanOf):
    """The mean cross entropy of yes or no, from probabilities or logits."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        config = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(functions.binary_crossentropy, name, dtype, config)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(MeanOf):
    """The mean cross entropy of one-hot labels, from probabilities or logits."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        config = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(functions.categorical_crossentropy, name, dtype, config)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(MeanOf):
    """The mean cross entropy of class numbers, from probabilities or logits."""

    _direction = "down"

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        config = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(functions.sparse_categorical_crossentropy, name, dtype, config)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

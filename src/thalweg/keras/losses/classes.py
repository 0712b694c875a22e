"""The losses as objects, each a function of `functions.py` with its settings."""

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops
from thalweg.keras.losses import functions
from thalweg.keras.losses.loss import LossFunctionWrapper
from thalweg.keras.saving.serialization import serialize_keras_object

REDUCTION = "sum_over_batch_size"


class LossOf(LossFunctionWrapper):
    """A loss of a fixed function, whose settings are attributes and the constructor's arguments.

    `config` holds what `get_config` writes; settings that Keras leaves out of it, `rare`, are
    written only where they are not the default that stands beside them.
    """

    def __init__(
        self,
        fn: Callable,
        reduction: str | None,
        name: str | None,
        dtype: Any,
        config: dict[str, Any] | None = None,
        rare: dict[str, tuple[Any, Any]] | None = None,
    ):
        odd = {key: value for key, (value, default) in (rare or {}).items() if value != default}
        self._settings = {**(config or {}), **odd}
        super().__init__(fn, reduction=reduction, name=name, dtype=dtype, **self._settings)
        self.__dict__.update(self._settings)

    def get_config(self) -> dict[str, Any]:
        settings = serialize_keras_object(self._settings)
        return {"name": self.name, "reduction": self.reduction, **settings}


def _plain(class_name: str, fn: Callable) -> type[LossOf]:
    """The class of a loss function without settings."""
    default = fn.__name__

    def __init__(
        self: Any, reduction: str | None = REDUCTION, name: str | None = default, dtype: Any = None
    ) -> None:
        LossOf.__init__(self, fn, reduction, name, dtype)

    members = {"__init__": __init__, "__doc__": fn.__doc__, "__module__": __name__}
    return type(class_name, (LossOf,), members)


MeanSquaredError = _plain("MeanSquaredError", functions.mean_squared_error)
MeanAbsoluteError = _plain("MeanAbsoluteError", functions.mean_absolute_error)
MeanAbsolutePercentageError = _plain(
    "MeanAbsolutePercentageError", functions.mean_absolute_percentage_error
)
MeanSquaredLogarithmicError = _plain(
    "MeanSquaredLogarithmicError", functions.mean_squared_logarithmic_error
)
LogCosh = _plain("LogCosh", functions.log_cosh)
KLDivergence = _plain("KLDivergence", functions.kl_divergence)
Poisson = _plain("Poisson", functions.poisson)
Hinge = _plain("Hinge", functions.hinge)
SquaredHinge = _plain("SquaredHinge", functions.squared_hinge)
CategoricalHinge = _plain("CategoricalHinge", functions.categorical_hinge)
CTC = _plain("CTC", functions.ctc)


class CosineSimilarity(LossOf):
    """-sum(l2(y_true) l2(y_pred)) along `axis`."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(functions.cosine_similarity, reduction, name, dtype, {"axis": axis})

    def get_config(self) -> dict[str, Any]:
        # As Keras writes it, without the axis.
        return {"name": self.name, "reduction": self.reduction}


class Huber(LossOf):
    """Half the square of errors up to `delta`, linear beyond."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = REDUCTION,
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        rare = {"delta": (delta, 1.0)}
        super().__init__(functions.huber, reduction, name, dtype, rare=rare)


class BinaryCrossentropy(LossOf):
    """Cross entropy of yes or no, from probabilities or logits."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        config = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(functions.binary_crossentropy, reduction, name, dtype, config)


class BinaryFocalCrossentropy(LossOf):
    """Binary cross entropy with less weight for what is easy."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        config = {
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
            "apply_class_balancing": apply_class_balancing,
            "alpha": alpha,
            "gamma": gamma,
        }
        super().__init__(functions.binary_focal_crossentropy, reduction, name, dtype, config)


class CategoricalCrossentropy(LossOf):
    """Cross entropy of one-hot labels, from probabilities or logits."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        config = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(functions.categorical_crossentropy, reduction, name, dtype, config)


class CategoricalFocalCrossentropy(LossOf):
    """Cross entropy of one-hot labels with less weight for what is easy; `alpha` may be a list."""

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        config = {
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
            "alpha": alpha,
            "gamma": gamma,
        }
        super().__init__(functions.categorical_focal_crossentropy, reduction, name, dtype, config)


class SparseCategoricalCrossentropy(LossOf):
    """Cross entropy of class numbers, from probabilities or logits.

    Places whose label is `ignore_class` do not count.
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = REDUCTION,
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        config = {"from_logits": from_logits, "ignore_class": ignore_class}
        rare = {"axis": (axis, -1)}
        super().__init__(
            functions.sparse_categorical_crossentropy, reduction, name, dtype, config, rare
        )


class CategoricalGeneralizedCrossEntropy(LossOf):
    """(1 - p^q) / q for the probability p of the label; `q` between 0 and 1."""

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = REDUCTION,
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        if not 0 < q < 1:
            raise ArgumentError(
                explain(type(self).__name__, "q must be in the interval (0, 1)", f"q={q}")
            )
        fn = functions.categorical_generalized_cross_entropy
        super().__init__(fn, reduction, name, dtype, {"q": q})


class Circle(LossOf):
    """The circle loss of normalised embeddings with integer labels.

    `call` also takes `ref_labels` and `ref_embeddings`, with which pairs are made instead of within
    the batch.
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = REDUCTION,
        name: str | None = "circle",
        dtype: Any = None,
    ):
        config = {"gamma": gamma, "margin": margin, "remove_diagonal": remove_diagonal}
        super().__init__(functions.circle, reduction, name, dtype, config)

    def call(
        self, y_true: Any, y_pred: Any, ref_labels: Any = None, ref_embeddings: Any = None
    ) -> Any:
        """The losses of the rows."""
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true = ops.convert_to_tensor(y_true, dtype="int32")
        return self.fn(y_true, y_pred, ref_labels, ref_embeddings, **self._settings)


class Dice(LossOf):
    """1 - the Dice coefficient over `axis`, all of them for None."""

    def __init__(
        self,
        reduction: str | None = REDUCTION,
        name: str | None = "dice",
        axis: int | Sequence[int] | None = None,
        dtype: Any = None,
    ):
        super().__init__(functions.dice, reduction, name, dtype, {"axis": axis})


class Tversky(LossOf):
    """1 - the Tversky index, with weight alpha of missed and beta of false positives."""

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = REDUCTION,
        name: str | None = "tversky",
        axis: int | Sequence[int] | None = None,
        dtype: Any = None,
    ):
        config = {"alpha": alpha, "beta": beta, "axis": axis}
        super().__init__(functions.tversky, reduction, name, dtype, config)

"""The losses as objects, each a function of `functions.py` with its settings."""

from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops, tree
from thalweg.keras.losses import functions
from thalweg.keras.losses.loss import LossFunctionWrapper, squeeze_or_expand_to_same_rank

REDUCTION = "sum_over_batch_size"


class _Wrapper(LossFunctionWrapper):
    """A loss of a fixed function; its config holds the settings that `CONFIG` names."""

    CONFIG: tuple[str, ...] = ()

    def _config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}

    def get_config(self) -> dict[str, Any]:
        return {**self._config(), **{name: getattr(self, name) for name in self.CONFIG}}


def _plain(cls_name: str, function: Callable, default_name: str) -> type[_Wrapper]:
    """A loss class without settings of its own."""

    def __init__(
        self: Any, reduction: str | None = REDUCTION, name: str = default_name, dtype: Any = None
    ) -> None:
        _Wrapper.__init__(self, function, name=name, reduction=reduction, dtype=dtype)

    text = f"{function.__doc__ or ''}"
    members = {"__init__": __init__, "__doc__": text, "__module__": __name__}
    return type(cls_name, (_Wrapper,), members)


MeanSquaredError = _plain("MeanSquaredError", functions.mean_squared_error, "mean_squared_error")
MeanAbsoluteError = _plain(
    "MeanAbsoluteError", functions.mean_absolute_error, "mean_absolute_error"
)
MeanAbsolutePercentageError = _plain(
    "MeanAbsolutePercentageError",
    functions.mean_absolute_percentage_error,
    "mean_absolute_percentage_error",
)
MeanSquaredLogarithmicError = _plain(
    "MeanSquaredLogarithmicError",
    functions.mean_squared_logarithmic_error,
    "mean_squared_logarithmic_error",
)
LogCosh = _plain("LogCosh", functions.log_cosh, "log_cosh")
KLDivergence = _plain("KLDivergence", functions.kl_divergence, "kl_divergence")
Poisson = _plain("Poisson", functions.poisson, "poisson")
Hinge = _plain("Hinge", functions.hinge, "hinge")
SquaredHinge = _plain("SquaredHinge", functions.squared_hinge, "squared_hinge")
CategoricalHinge = _plain("CategoricalHinge", functions.categorical_hinge, "categorical_hinge")
CTC = _plain("CTC", functions.ctc, "ctc")


class CosineSimilarity(_Wrapper):
    """-sum(l2(y_true) l2(y_pred)) along `axis`."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(
            functions.cosine_similarity, name=name, reduction=reduction, dtype=dtype, axis=axis
        )


class Huber(_Wrapper):
    """Half the square of errors up to `delta`, linear beyond."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = REDUCTION,
        name: str = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(functions.huber, name=name, reduction=reduction, dtype=dtype, delta=delta)


class BinaryCrossentropy(_Wrapper):
    """Cross entropy of yes or no, from probabilities or logits."""

    CONFIG = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.binary_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class BinaryFocalCrossentropy(_Wrapper):
    """Binary cross entropy with less weight for what is easy."""

    CONFIG = (
        "from_logits", "label_smoothing", "axis", "apply_class_balancing", "alpha", "gamma",
    )  # fmt: skip

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.binary_focal_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma


class CategoricalCrossentropy(_Wrapper):
    """Cross entropy of one-hot labels, from probabilities or logits."""

    CONFIG = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.categorical_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class CategoricalFocalCrossentropy(_Wrapper):
    """Cross entropy of one-hot labels with less weight for what is easy."""

    CONFIG = ("from_logits", "label_smoothing", "axis", "alpha", "gamma")

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = REDUCTION,
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.categorical_focal_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis
        self.alpha = alpha
        self.gamma = gamma


class SparseCategoricalCrossentropy(_Wrapper):
    """Cross entropy of integer labels, from probabilities or logits."""

    CONFIG = ("from_logits", "ignore_class")

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = REDUCTION,
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(
            functions.sparse_categorical_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class


class CategoricalGeneralizedCrossEntropy(_Wrapper):
    """(1 - p^q) / q for the probability p of the label; `q` from 0 to 1."""

    CONFIG = ("q",)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = REDUCTION,
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        if not 0 < q < 1:
            raise ArgumentError(
                explain(
                    "CategoricalGeneralizedCrossEntropy",
                    "q must be in the interval (0, 1)",
                    f"q={q}",
                )
            )
        super().__init__(
            functions.categorical_generalized_cross_entropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            q=q,
        )
        self.q = q


class Circle(_Wrapper):
    """The circle loss of normalised embeddings with integer labels."""

    CONFIG = ("gamma", "margin", "remove_diagonal")

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = REDUCTION,
        name: str = "circle",
        dtype: Any = None,
    ):
        super().__init__(
            functions.circle,
            name=name,
            reduction=reduction,
            dtype=dtype,
            gamma=gamma,
            margin=margin,
            remove_diagonal=remove_diagonal,
        )
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def call(
        self, y_true: Any, y_pred: Any, ref_labels: Any = None, ref_embeddings: Any = None
    ) -> Any:
        y_pred = tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.dtype), y_pred)
        y_true = tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.dtype), y_true)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(
            y_true,
            y_pred,
            ref_labels=ref_labels,
            ref_embeddings=ref_embeddings,
            **self._fn_kwargs,
        )


class Dice(_Wrapper):
    """1 - the Dice coefficient, over `axis`, all for None."""

    CONFIG = ("axis",)

    def __init__(
        self,
        reduction: str | None = REDUCTION,
        name: str = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(functions.dice, name=name, reduction=reduction, dtype=dtype, axis=axis)
        self.axis = axis


class Tversky(_Wrapper):
    """1 - the Tversky index, with weight alpha of false and beta of missed positives."""

    CONFIG = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = REDUCTION,
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(
            functions.tversky,
            name=name,
            reduction=reduction,
            dtype=dtype,
            alpha=alpha,
            beta=beta,
            axis=axis,
        )
        self.alpha = alpha
        self.beta = beta
        self.axis = axis

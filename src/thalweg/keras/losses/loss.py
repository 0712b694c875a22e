"""Loss: from true and predicted values to one number, with weights, masks and a reduction."""

import math
from collections.abc import Callable
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import dtype_policies, naming, ops, settings, tree
from thalweg.keras.dtypes import is_int_dtype
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")


class Loss:
    """Subclasses write `call(y_true, y_pred)` -> losses of the samples.

    `reduction` makes one number of them: "sum_over_batch_size" and "mean" their mean, "sum",
    "mean_with_sample_weight" their mean by weight, "none" leaves them. Raises ArgumentError for
    other reductions.
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        self.name = name or naming.auto_name(type(self).__name__)
        if reduction not in REDUCTIONS:
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    f"a reduction among {set(REDUCTIONS)}",
                    f"Invalid value for argument `reduction`. Expected one of {set(REDUCTIONS)}. "
                    f"Received: reduction={reduction}",
                )
            )
        self.reduction = reduction
        self._dtype_policy = dtype_policies.get(dtype or settings.floatx())
        self._dtype = self._dtype_policy.compute_dtype

    @property
    def dtype(self) -> str:
        """The type in which the loss is computed."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        in_mask = getattr(y_pred, "_keras_mask", None)
        y_pred = tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=self.dtype), y_pred)
        losses = self.call(tree.map_structure(self._label, y_true), y_pred)
        out_mask = getattr(losses, "_keras_mask", None)
        mask = in_mask
        if out_mask is not None:
            mask = out_mask if in_mask is None else ops.logical_and(*_same_rank(in_mask, out_mask))
        return reduce_weighted_values(losses, sample_weight, mask, self.reduction, self.dtype)

    def _label(self, y_true: Any) -> Any:
        return ops.convert_to_tensor(y_true, dtype=self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The losses of the samples."""
        raise NotImplementedError(explain(type(self).__name__, "a method `call`", "none"))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Loss":
        """The loss of a config."""
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A function of (y_true, y_pred) with settings as a loss."""

    def __init__(
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if not (tree.is_nested(y_true) or tree.is_nested(y_pred)):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def _label(self, y_true: Any) -> Any:
        # A half float does not hold all class numbers.
        if getattr(self.fn, "takes_class_numbers", False):
            given = ops.convert_to_tensor(y_true)
            if is_int_dtype(given.dtype):
                return ops.cast(given, "int32")
        return super()._label(y_true)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "fn": serialize_keras_object(self.fn)}
        return {**config, **serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LossFunctionWrapper":
        if "fn" in config:
            config = deserialize_keras_object(config)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"


def _same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    while len(a.shape) < len(b.shape):
        a = ops.expand_dims(a, -1)
    while len(b.shape) < len(a.shape):
        b = ops.expand_dims(b, -1)
    return a, b


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Two tensors of which one has a last axis of size 1 more, with equal numbers of axes."""
    a, b = len(x1.shape), len(x2.shape)
    if a == b:
        return x1, x2
    if a == b + 1 and x1.shape[-1] == 1:
        if b == 1 and expand_rank_1:
            return x1, ops.expand_dims(x2, axis=-1)
        return ops.squeeze(x1, axis=-1), x2
    if b == a + 1 and x2.shape[-1] == 1:
        if a == 1 and expand_rank_1:
            return ops.expand_dims(x1, axis=-1), x2
        return x1, ops.squeeze(x2, axis=-1)
    return x1, x2


def reduce_values(values: Any, sample_weight: Any, reduction: str | None) -> Any:
    """One number of losses, or the losses where there is no reduction."""
    if reduction in (None, "none") or len(values.shape) == 0:
        return values
    if reduction in ("sum_over_batch_size", "mean") and 0 not in ops.shape(values):
        return ops.mean(values)
    total = ops.sum(values)
    if reduction == "mean_with_sample_weight":
        weight = ops.sum(ops.ones_like(values) if sample_weight is None else sample_weight)
        return ops.divide_no_nan(total, ops.cast(weight, total.dtype))
    return total


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: Any = None,
) -> Any:
    """One number of losses, weighted, and without the masked places."""
    if reduction not in REDUCTIONS:
        raise ArgumentError(explain("reduction", f"one of {REDUCTIONS}", repr(reduction)))
    dtype = dtype or settings.floatx()
    values = ops.convert_to_tensor(values, dtype=dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    if mask is not None:
        mask = ops.convert_to_tensor(mask, dtype=dtype)
    sample_weight = apply_mask(sample_weight, mask, dtype, reduction)
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, values.dtype)
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        while len(sample_weight.shape) < len(values.shape):
            sample_weight = ops.expand_dims(sample_weight, -1)
        values = values * sample_weight
    return reduce_values(values, sample_weight, reduction)


def apply_mask(sample_weight: Any, mask: Any, dtype: Any, reduction: str | None) -> Any:
    """The weights of samples with 0 where masked.

    For means the others grow, so that dividing by all elements gives the mean of those that count.
    """
    if mask is None:
        return sample_weight
    mask = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        total = ops.cast(math.prod(ops.shape(mask)), dtype)
        # In this order, so that a half float does not overflow where all is masked.
        mask = mask * total / (ops.sum(mask) + settings.epsilon())
    if sample_weight is None:
        return mask
    weight = ops.cast(sample_weight, dtype)
    weight, mask = squeeze_or_expand_to_same_rank(weight, mask)
    return ops.multiply(*_same_rank(weight, mask))


register_builtins("keras", {"Loss": Loss})
register_builtins("keras.src.losses.losses", {"LossFunctionWrapper": LossFunctionWrapper})

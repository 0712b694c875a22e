"""Metrics that add up: Sum, Mean, and the mean of what a function says of each sample."""

from collections.abc import Callable
from typing import Any

from thalweg.keras import ops
from thalweg.keras.losses.loss import apply_mask, squeeze_or_expand_to_same_rank
from thalweg.keras.metrics.metric import Metric
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object


def _over_rest(reduce: Callable, x: Any, first: int) -> Any:
    """The reduction of all axes from `first` on."""
    rank = len(x.shape)
    return reduce(x, axis=tuple(range(first, rank))) if first < rank else x


def spread_weight(weight: Any, x: Any) -> Any:
    """The weights of samples in the shape of x; they match it from the first axis on.

    Raises ShapeError where they do not.
    """
    _, weight = squeeze_or_expand_to_same_rank(x, weight, expand_rank_1=False)
    while 0 < len(weight.shape) < len(x.shape):
        weight = ops.expand_dims(weight, -1)
    return ops.broadcast_to(weight, ops.shape(x))


def samplewise(values: Any, sample_weight: Any, reduce: Callable, dtype: str) -> tuple[Any, Any]:
    """One weighted value for each sample, and the weights of the samples, None for none.

    `reduce` is `ops.sum` or `ops.mean`: it joins the axes after the first one. A mask of the values
    acts on the weights. Raises ShapeError for weights that do not broadcast.
    """
    mask = getattr(values, "_keras_mask", None)
    values = ops.convert_to_tensor(values, dtype=dtype)
    if sample_weight is None:
        return _over_rest(reduce, values, 1), None
    weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    if mask is not None:
        weight = apply_mask(weight, ops.cast(mask, dtype), dtype, "sum")
    values, weight = squeeze_or_expand_to_same_rank(values, weight)
    values = _over_rest(reduce, values, len(weight.shape))
    if tuple(weight.shape) != tuple(values.shape):
        weight = ops.broadcast_to(weight, ops.shape(values))
    values = values * weight
    return _over_rest(reduce, values, 1), _over_rest(reduce, weight, 1)


class Sum(Metric):
    """The sum of all values, weighted. State: total."""

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add `values` of any shape, weighted by what broadcasts to them from the first axis on."""
        values, _ = samplewise(values, sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self) -> Any:
        """The sum so far."""
        return self.total.value


class Mean(Metric):
    """The weighted mean of all values. State: total, count."""

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Gather `values` of any shape, weighted by what broadcasts to them from the first axis on.

        The mean over the axes after the first one is the value of a sample.
        """
        values, weight = samplewise(values, sample_weight, ops.mean, self.dtype)
        if weight is None:
            count = ops.shape(values)[0] if len(values.shape) else 1
        else:
            count = ops.sum(weight) if len(weight.shape) else weight
        self.total.assign_add(ops.sum(values) if len(values.shape) else values)
        self.count.assign_add(count)

    def result(self) -> Any:
        """The mean so far; 0 before the first value."""
        return ops.divide_no_nan(self.total.value, self.count.value)


class MeanMetricWrapper(Mean):
    """The mean of `fn(y_true, y_pred, **kwargs)`, a function of samples."""

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather a batch; a mask of the prediction leaves out what it hides."""
        mask = getattr(y_pred, "_keras_mask", None)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        if mask is not None:
            mask = ops.cast(mask, self.dtype)
            sample_weight = (
                mask
                if sample_weight is None
                else apply_mask(sample_weight, mask, self.dtype, "sum")
            )
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "fn": serialize_keras_object(self._fn)}
        return {**config, **serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MeanMetricWrapper":
        if "fn" in config:
            config = deserialize_keras_object(config)
        return cls(**config)


class MeanOf(MeanMetricWrapper):
    """A mean of a fixed function, whose settings are the constructor's arguments.

    `config` holds what `get_config` writes; settings that Keras leaves out are written only where
    they are not the default, `rare`.
    """

    def __init__(
        self,
        fn: Callable,
        name: str | None,
        dtype: Any,
        config: dict[str, Any] | None = None,
        rare: dict[str, tuple[Any, Any]] | None = None,
    ):
        odd = {key: value for key, (value, default) in (rare or {}).items() if value != default}
        self._settings = {**(config or {}), **odd}
        super().__init__(fn, name=name, dtype=dtype, **self._settings)

    def get_config(self) -> dict[str, Any]:
        return {**Mean.get_config(self), **serialize_keras_object(self._settings)}


def plain(module: str, class_name: str, fn: Callable, default: str, way: str = "down") -> type:
    """The class of the mean of a function without settings; `way` says which way is better."""

    def __init__(self: Any, name: str | None = default, dtype: Any = None) -> None:
        MeanOf.__init__(self, fn, name, dtype)

    members = {
        "__init__": __init__,
        "__doc__": f"The mean of {fn.__doc__}",
        "__module__": module,
        "_direction": way,
    }
    return type(class_name, (MeanOf,), members)

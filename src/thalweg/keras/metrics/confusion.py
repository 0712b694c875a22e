"""Metrics made of true and false positives and negatives, counted at thresholds.

A prediction is positive where it is greater than the threshold, a label where it is not 0. Counts
are (T,) for T thresholds, or (T, L) with L labels apart.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from thalweg.base.errors import ArgumentError, OutOfRangeError, ShapeError, explain
from thalweg.keras import ops, settings
from thalweg.keras.losses.loss import squeeze_or_expand_to_same_rank
from thalweg.keras.metrics.metric import Metric
from thalweg.keras.metrics.reduction import spread_weight

NEVER = -1e10
"""What predictions outside the top k are set to: never above a threshold."""

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
TP, FP, TN, FN = COUNTS


class AUCCurve(Enum):
    """Which curve the area is under."""

    ROC = "ROC"
    PR = "PR"
    PRGAIN = "PRGAIN"


class AUCSummationMethod(Enum):
    """How the area is summed: by trapezoids, or from below or above."""

    INTERPOLATION = "interpolation"
    MAJORING = "majoring"
    MINORING = "minoring"


# Thresholds ---------------------------------------------------------------------------------------


def _thresholds(where: str, given: Any, default: float = 0.5) -> list[float]:
    """The thresholds of an argument: a number, several, or None. Raises ArgumentError."""
    if given is None:
        return [default]
    found = list(given) if isinstance(given, (list, tuple)) else [given]
    bad = [each for each in found if each is None or not 0 <= each <= 1]
    if bad:
        raise ArgumentError(
            explain(
                where,
                "thresholds from 0 to 1",
                f"{found}: Threshold values must be in [0, 1]. Received: {bad}",
            )
        )
    return found


def _inner_steps(count: int) -> list[float]:
    """What divides 0 to 1 into count - 1 equal parts."""
    return [(i + 1) / (count - 1) for i in range(count - 2)]


def _are_even(thresholds: Sequence[float]) -> bool:
    """True for thresholds in equal steps from 0 to 1, ends a little outside included."""
    if len(thresholds) < 3:
        return False
    last = len(thresholds) - 1
    return all(abs(each - i / last) <= 2 * settings.epsilon() for i, each in enumerate(thresholds))


# Counting -----------------------------------------------------------------------------------------


def confusion_counts(
    wanted: Sequence[str],
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    dtype: str,
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    label_weights: Any = None,
    by_label: bool = False,
) -> dict[str, Any]:
    """The counts of a batch by name, (T,), or (T, L) by label.

    y_true and y_pred have one shape, in which sample_weight broadcasts from the first axis on. With
    `top_k` all but the k largest predictions of a row are negative; `class_id` keeps one column of
    (N, L).
    """
    y_true = ops.convert_to_tensor(y_true, dtype=dtype)
    y_pred = ops.convert_to_tensor(y_pred, dtype=dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    if top_k is not None:
        y_pred = _only_largest(y_pred, top_k)
    if class_id is not None:
        y_true, y_pred = _column(y_true, y_pred, class_id)
    weight = _spread(sample_weight, label_weights, y_pred, dtype)
    if not by_label:
        y_true, y_pred = ops.reshape(y_true, (-1,)), ops.reshape(y_pred, (-1,))
        weight = weight if weight is None else ops.reshape(weight, (-1,))
    positive = ops.not_equal(y_true, 0)
    if len(thresholds) > 2 and _are_even(thresholds):
        return _counts_by_step(wanted, positive, y_pred, thresholds, weight, dtype)
    limits = ops.reshape(
        ops.convert_to_tensor(list(thresholds), dtype=dtype), (-1,) + (1,) * len(y_pred.shape)
    )
    above = ops.greater(ops.expand_dims(y_pred, 0), limits)
    found = {}
    for name in wanted:
        is_positive = positive if name in (TP, FN) else ops.logical_not(positive)
        is_above = above if name in (TP, FP) else ops.logical_not(above)
        hits = ops.cast(ops.logical_and(is_positive, is_above), dtype)
        found[name] = ops.sum(hits if weight is None else hits * weight, axis=1)
    return found


def _counts_by_step(
    wanted: Sequence[str],
    positive: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    weight: Any,
    dtype: str,
) -> dict[str, Any]:
    """The counts for thresholds in equal steps: one pass over the data, then running sums."""
    count = len(thresholds)
    # The last threshold that a prediction is above; 0 is above the first only if that is below 0.
    step = ops.ceil(ops.clip(y_pred, 0, 1) * (count - 1)) - 1
    step = ops.cast(ops.relu(step) if thresholds[0] < 0 else step, "int32")
    labels = y_pred.shape[1:]  # () or (L,)
    places = step
    if labels:
        places = ops.reshape(step * labels[0] + ops.arange(labels[0], dtype="int32"), (-1,))
    cells = count * labels[0] if labels else count

    def above(hits: Any) -> tuple[Any, Any]:
        hits = ops.cast(hits, dtype)
        hits = ops.reshape(hits if weight is None else hits * weight, (-1,))
        sums = ops.reshape(ops.segment_sum(hits, places, num_segments=cells), (count, *labels))
        return ops.flip(ops.cumsum(ops.flip(sums, axis=0), axis=0), axis=0), hits

    found = {}
    for name, rest, hits in ((TP, FN, positive), (FP, TN, ops.logical_not(positive))):
        if name not in wanted and rest not in wanted:
            continue
        found[name], flat = above(hits)
        total = ops.sum(ops.reshape(flat, (-1, *labels)), axis=0)
        found[rest] = total - found[name]
    return {name: found[name] for name in wanted}


def _only_largest(y_pred: Any, k: int) -> Any:
    """The k largest predictions of each row, and NEVER for the others."""
    classes = y_pred.shape[-1]
    _, places = ops.top_k(y_pred, k, sorted=False)
    kept = ops.sum(ops.one_hot(places, classes, dtype=y_pred.dtype), axis=-2)
    return ops.where(kept > 0, y_pred, NEVER)


def _column(y_true: Any, y_pred: Any, class_id: int) -> tuple[Any, Any]:
    if len(y_pred.shape) != 2:
        raise ShapeError(
            explain(
                "class_id",
                "When class_id is provided, y_pred must be a 2D array with shape (num_samples, "
                f"num_classes), found shape: {tuple(y_pred.shape)}",
                f"class_id={class_id}",
            )
        )
    classes = y_pred.shape[-1]
    if not -classes <= class_id < classes:
        raise OutOfRangeError(
            explain("class_id", f"a class from 0 to {classes - 1}", f"class_id={class_id}")
        )
    return y_true[..., class_id], y_pred[..., class_id]


def _spread(sample_weight: Any, label_weights: Any, y_pred: Any, dtype: str) -> Any:
    """The weights in the shape of the predictions, or None."""
    weight = None
    if sample_weight is not None:
        weight = spread_weight(ops.convert_to_tensor(sample_weight, dtype=dtype), y_pred)
    if label_weights is not None:
        labels = ops.broadcast_to(
            ops.convert_to_tensor(label_weights, dtype=dtype), ops.shape(y_pred)
        )
        weight = labels if weight is None else weight * labels
    return weight


# Counts as metrics --------------------------------------------------------------------------------


class _ConditionCount(Metric):
    """The weighted number of predictions of one kind. State: accumulator (T,)."""

    COUNT: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = _thresholds(type(self).__name__, thresholds)
        self.accumulator = self.add_variable(
            shape=(len(self.thresholds),), initializer="zeros", name="accumulator"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather a batch of labels and predictions of one shape."""
        found = confusion_counts(
            (self.COUNT,), y_true, y_pred, self.thresholds, self.dtype, sample_weight
        )
        self.accumulator.assign_add(found[self.COUNT])

    def result(self) -> Any:
        """The count; one for each threshold where several were given."""
        return _single(self.accumulator.value, self.thresholds)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


def _single(values: Any, thresholds: Sequence[float]) -> Any:
    return values[0] if len(thresholds) == 1 else values


class TruePositives(_ConditionCount):
    """The number of positive labels that were predicted positive."""

    COUNT = TP


class FalsePositives(_ConditionCount):
    """The number of negative labels that were predicted positive."""

    COUNT = FP


class TrueNegatives(_ConditionCount):
    """The number of negative labels that were predicted negative."""

    COUNT = TN


class FalseNegatives(_ConditionCount):
    """The number of positive labels that were predicted negative."""

    COUNT = FN


class _HitRate(Metric):
    """true positives / (true positives + misses), misses being one kind of error."""

    _direction = "up"
    MISSES: str

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        default = 0.5 if top_k is None else NEVER
        self.thresholds = _thresholds(type(self).__name__, thresholds, default)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape=shape, initializer="zeros", name=TP)
        misses = self.add_variable(shape=shape, initializer="zeros", name=self.MISSES)
        setattr(self, self.MISSES, misses)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather a batch of labels and predictions of one shape."""
        found = confusion_counts(
            (TP, self.MISSES),
            y_true,
            y_pred,
            self.thresholds,
            self.dtype,
            sample_weight,
            self.top_k,
            self.class_id,
        )
        self.true_positives.assign_add(found[TP])
        getattr(self, self.MISSES).assign_add(found[self.MISSES])

    def result(self) -> Any:
        """The rate, 0 where nothing counts; one for each threshold where several were given."""
        hits = self.true_positives.value
        rate = ops.divide_no_nan(hits, hits + getattr(self, self.MISSES).value)
        return _single(rate, self.thresholds)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


class Precision(_HitRate):
    """How many of the positive predictions are right. State: true_positives, false_positives.

    `thresholds` is one or several; with `top_k` only the k largest predictions of a row count, with
    `class_id` only that column.
    """

    MISSES = FP


class Recall(_HitRate):
    """How many of the positive labels are found. State: true_positives, false_negatives.

    Settings as for `Precision`.
    """

    MISSES = FN


# One rate where another is high enough ------------------------------------------------------------


def _sensitivity(counts: dict[str, Any]) -> Any:
    return ops.divide_no_nan(counts[TP], counts[TP] + counts[FN])


def _specificity(counts: dict[str, Any]) -> Any:
    return ops.divide_no_nan(counts[TN], counts[TN] + counts[FP])


def _precision(counts: dict[str, Any]) -> Any:
    return ops.divide_no_nan(counts[TP], counts[TP] + counts[FP])


class _BestWhere(Metric):
    """The largest value of one rate among the thresholds where another is at least `value`.

    State: the four counts, (T,) each.
    """

    _direction = "up"
    RATE: Any
    OTHER: Any
    ARGUMENT: str

    def __init__(
        self, value: float, num_thresholds: int, class_id: int | None, name: Any, dtype: Any
    ):
        super().__init__(name=name, dtype=dtype)
        where = type(self).__name__
        if num_thresholds <= 0:
            raise ArgumentError(
                explain(
                    where,
                    "Argument `num_thresholds` must be an integer > 0",
                    f"num_thresholds={num_thresholds}",
                )
            )
        if not 0 <= value <= 1:
            raise ArgumentError(
                explain(
                    where,
                    f"Argument `{self.ARGUMENT}` must be in the range [0, 1]. ",
                    f"{self.ARGUMENT}={value}",
                )
            )
        self.value = value
        self.class_id = class_id
        self.num_thresholds = num_thresholds
        inner = _inner_steps(num_thresholds) if num_thresholds > 1 else []
        self.thresholds = [0.5] if num_thresholds == 1 else [0.0, *inner, 1.0]
        setattr(self, self.ARGUMENT, value)
        for each in COUNTS:
            variable = self.add_variable(
                shape=(len(self.thresholds),), initializer="zeros", name=each
            )
            setattr(self, each, variable)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather a batch of labels and predictions of one shape."""
        found = confusion_counts(
            COUNTS,
            y_true,
            y_pred,
            self.thresholds,
            self.dtype,
            sample_weight,
            class_id=self.class_id,
        )
        for each in COUNTS:
            getattr(self, each).assign_add(found[each])

    def result(self) -> Any:
        """The best rate, 0 where the other is never high enough."""
        counts = {each: getattr(self, each).value for each in COUNTS}
        is_enough = ops.greater_equal(type(self).OTHER(counts), self.value)
        # Rates are never below 0, so 0 stands for thresholds that do not count.
        return ops.max(ops.where(is_enough, type(self).RATE(counts), 0.0))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self.ARGUMENT: self.value,
        }


class SensitivityAtSpecificity(_BestWhere):
    """The best TP / (TP + FN) among thresholds with TN / (TN + FP) of at least `specificity`."""

    RATE, OTHER, ARGUMENT = _sensitivity, _specificity, "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_BestWhere):
    """The best TN / (TN + FP) among thresholds with TP / (TP + FN) of at least `sensitivity`."""

    RATE, OTHER, ARGUMENT = _specificity, _sensitivity, "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_BestWhere):
    """The best precision among thresholds with a recall of at least `recall`."""

    RATE, OTHER, ARGUMENT = _precision, _sensitivity, "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_BestWhere):
    """The best recall among thresholds with a precision of at least `precision`."""

    RATE, OTHER, ARGUMENT = _sensitivity, _precision, "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)


# The area under a curve ---------------------------------------------------------------------------


def _chosen(kind: type[Enum], what: str, given: Any) -> Any:
    if isinstance(given, kind):
        return given
    for each in kind:
        if isinstance(given, str) and given.lower() == each.value.lower():
            return each
    names = [each.value for each in kind]
    raise ArgumentError(
        explain("AUC", f"one of {names}", f'Invalid {what} value: "{given}". Expected {names}')
    )


class AUC(Metric):
    """The area under a curve through the rates at many thresholds.

    `curve` is "ROC" (recall over false positive rate), "PR" (precision over recall), or "PRGAIN"
    (their gains over always saying yes; Flach and Kull 2015). `summation_method` "interpolation"
    takes trapezoids, for PR the form of Davis and Goadrich 2006; "minoring" and "majoring" sum from
    below and above. `multi_label` takes the mean over the columns of (N, L), weighted by
    `label_weights`. State: the four counts, (T,) or (T, L).
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: Any = "ROC",
        summation_method: Any = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        self.curve = _chosen(AUCCurve, "AUC curve", curve)
        self.summation_method = _chosen(
            AUCSummationMethod, "AUC summation method", summation_method
        )
        super().__init__(name=name, dtype=dtype)
        if thresholds is not None:
            inner = sorted(float(each) for each in thresholds)
        elif num_thresholds is None or num_thresholds <= 1:
            raise ArgumentError(
                explain(
                    "AUC",
                    "Argument `num_thresholds` must be an integer > 1",
                    f"num_thresholds={num_thresholds}",
                )
            )
        else:
            inner = _inner_steps(num_thresholds)
        if num_labels and not multi_label:
            raise ArgumentError(
                explain(
                    "AUC",
                    "`multi_label=True` with `num_labels`; `num_labels` is needed only when "
                    "`multi_label` is True",
                    f"num_labels={num_labels}",
                )
            )
        self._init_from_thresholds = thresholds is not None
        self.num_thresholds = len(inner) + 2
        # The ends lie outside of 0 to 1, so that every prediction is above the first.
        self._thresholds = [-settings.epsilon(), *inner, 1.0 + settings.epsilon()]
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = (
            None if label_weights is None else [float(each) for each in label_weights]
        )
        self._from_logits = from_logits
        self._built = False
        if not multi_label:
            self._build(())
        elif num_labels:
            self._build((num_labels,))

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, from just below 0 to just above 1."""
        return list(self._thresholds)

    def _build(self, labels: tuple[int, ...]) -> None:
        for each in COUNTS:
            variable = self.add_variable(
                shape=(self.num_thresholds, *labels), initializer="zeros", name=each
            )
            setattr(self, each, variable)
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather a batch of labels and predictions of one shape; (N, L) for several labels."""
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        if self.multi_label:
            self._check_labels(y_pred)
        if not self._built:
            self._build((y_pred.shape[-1],))
        if self._from_logits:
            y_pred = ops.sigmoid(y_pred)
        found = confusion_counts(
            COUNTS,
            y_true,
            y_pred,
            self.thresholds,
            self.dtype,
            sample_weight,
            label_weights=None if self.multi_label else self.label_weights,
            by_label=self.multi_label,
        )
        for each in COUNTS:
            getattr(self, each).assign_add(found[each])

    def _check_labels(self, y_pred: Any) -> None:
        shape = tuple(y_pred.shape)
        if len(shape) != 2:
            raise ShapeError(
                explain(
                    "AUC",
                    "`y_pred` must have rank 2 when `multi_label=True`",
                    f"rank {len(shape)}. Full shape received for `y_pred`: {shape}",
                )
            )
        known = [self.true_positives.shape[-1]] if self._built else []
        known += [len(self.label_weights)] if self.label_weights is not None else []
        if any(shape[-1] != labels for labels in known):
            raise ShapeError(
                explain(
                    "AUC",
                    f"predictions of {known[0]} labels, as num_labels, label_weights or former "
                    "batches say",
                    f"y_pred.shape={shape}",
                )
            )

    def result(self) -> Any:
        """The area, from 0 to 1; 0 before the first value."""
        if not self._built:
            raise ArgumentError(
                explain(
                    "AUC",
                    "the number of labels before it has a result",
                    "multi_label=True, but neither num_labels nor a batch",
                )
            )
        is_interpolated = self.summation_method is AUCSummationMethod.INTERPOLATION
        if is_interpolated and self.curve is AUCCurve.PR:
            return self.interpolate_pr_auc()
        x, y = _curve(self.curve, *(getattr(self, each).value for each in COUNTS))
        return self._over_labels((x[:-1] - x[1:]) * _heights(self.summation_method, y))

    def interpolate_pr_auc(self) -> Any:
        """The area under precision over recall, interpolated as Davis and Goadrich 2006 do."""
        counts = (self.true_positives, self.false_positives, self.false_negatives)
        return self._over_labels(_interpolated_precision(*(each.value for each in counts)))

    def _over_labels(self, parts: Any) -> Any:
        """The sum of the parts of an area, and the mean over labels."""
        area = ops.sum(parts, axis=0)
        if not self.multi_label:
            return area
        if self.label_weights is None:
            return ops.mean(area)
        weights = ops.convert_to_tensor(self.label_weights, dtype=area.dtype)
        return ops.divide_no_nan(ops.sum(area * weights), ops.sum(weights))

    def reset_state(self) -> None:
        """Return to counts of 0; with labels still unknown there is nothing to do."""
        if self._built:
            super().reset_state()

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve.value,
            "summation_method": self.summation_method.value,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self._from_logits,
        }
        if self._init_from_thresholds:
            # The ends were added here.
            config["thresholds"] = self._thresholds[1:-1]
        return config


def _curve(curve: AUCCurve, tp: Any, fp: Any, tn: Any, fn: Any) -> tuple[Any, Any]:
    """The points of a curve, from the lowest threshold on."""
    recall = ops.divide_no_nan(tp, tp + fn)
    if curve is AUCCurve.ROC:
        return ops.divide_no_nan(fp, fp + tn), recall
    if curve is AUCCurve.PR:
        return recall, ops.divide_no_nan(tp, tp + fp)
    # Both are 1 - (positives / negatives) (misses / true positives). Without true positives
    # precision gains all and recall nothing, and a recall below that of always saying yes is 0.
    scale = ops.divide_no_nan(tp + fn, tn + fp)
    recall_gain = 1 - scale * ops.divide_no_nan(fn, tp)
    return (
        ops.where(tp > 0, ops.maximum(recall_gain, 0), 0.0),
        1 - scale * ops.divide_no_nan(fp, tp),
    )


def _heights(method: AUCSummationMethod, y: Any) -> Any:
    if method is AUCSummationMethod.INTERPOLATION:
        return (y[:-1] + y[1:]) / 2.0
    choose = ops.minimum if method is AUCSummationMethod.MINORING else ops.maximum
    return choose(y[:-1], y[1:])


def _interpolated_precision(tp: Any, fp: Any, fn: Any) -> Any:
    """The area under precision over recall between neighbouring thresholds.

    Between two points true positives grow linearly with all positives P = TP + FP, with slope dTP,
    so that precision is dTP + (TP - dTP P) / P, integrated over recall. Source: Davis and Goadrich,
    The Relationship Between Precision-Recall and ROC Curves (2006).
    """
    positives = tp + fp
    rise = tp[:-1] - tp[1:]
    run = positives[:-1] - positives[1:]
    slope = ops.divide_no_nan(rise, ops.maximum(run, 0))
    intercept = tp[1:] - slope * positives[1:]
    is_within = ops.logical_and(positives[:-1] > 0, positives[1:] > 0)
    ratio = ops.where(
        is_within, ops.divide_no_nan(positives[:-1], ops.maximum(positives[1:], 0)), 1.0
    )
    return ops.divide_no_nan(
        slope * (rise + intercept * ops.log(ratio)), ops.maximum(tp[1:] + fn[1:], 0)
    )

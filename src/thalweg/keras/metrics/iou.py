"""Intersection over union of classes, from a confusion matrix."""

import warnings
from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras import ops, settings
from thalweg.keras.dtypes import is_float_dtype
from thalweg.keras.metrics.metric import Metric
from thalweg.keras.metrics.reduction import spread_weight


class _IoUBase(Metric):
    """A confusion matrix (label, prediction), as integers unless another dtype is asked for.

    Labels and predictions outside of 0 to num_classes - 1 do not count.
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype=dtype or "int32")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            name="total_confusion_matrix", shape=(num_classes, num_classes), initializer="zeros"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather class numbers of one shape, or scores with an axis of classes where not sparse."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        predicted = ops.reshape(ops.cast(y_pred, "int32"), (-1,))
        counts = ops.cast(self._is_class(true) & self._is_class(predicted), self.dtype)
        if self.ignore_class is not None:
            counts = counts * ops.cast(ops.not_equal(true, self.ignore_class), self.dtype)
        if sample_weight is not None:
            counts = counts * self._weights(sample_weight, y_true)
        # What does not count is put where nothing is added.
        places = ops.clip(true, 0, self.num_classes - 1) * self.num_classes
        places = places + ops.clip(predicted, 0, self.num_classes - 1)
        cells = ops.segment_sum(counts, places, num_segments=self.num_classes**2)
        self.total_cm.assign_add(ops.reshape(cells, (self.num_classes, self.num_classes)))

    def _is_class(self, numbers: Any) -> Any:
        return ops.logical_and(numbers >= 0, numbers < self.num_classes)

    def _weights(self, sample_weight: Any, y_true: Any) -> Any:
        weight = ops.convert_to_tensor(sample_weight)
        if is_float_dtype(weight.dtype) and not is_float_dtype(self.dtype):
            warnings.warn(
                f"{self.name}: the weights of samples are float, the counts {self.dtype}; casting "
                "them from float to int loses what is behind the point. Pass dtype='float32' to "
                f"{type(self).__name__}.",
                stacklevel=outer_level(),
            )
        weight = ops.cast(weight, self.dtype)
        return ops.reshape(spread_weight(weight, y_true), (-1,))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }


class IoU(_IoUBase):
    """The mean over `target_class_ids` of TP / (TP + FP + FN), for classes that occur."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)
        if target_class_ids and max(target_class_ids) >= num_classes:
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "target classes among the classes",
                    f"Target class id {max(target_class_ids)} is out of range, which is "
                    f"[0, {num_classes})",
                )
            )
        # A plain list, as it is in configs.
        self.target_class_ids = list(target_class_ids)

    def result(self) -> Any:
        """The mean so far; 0 before any class occurred."""
        dtype = self.dtype if is_float_dtype(self.dtype) else settings.floatx()
        matrix = ops.cast(self.total_cm.value, dtype)
        both = ops.diagonal(matrix)
        either = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - both
        target = list(self.target_class_ids)
        both, either = ops.take(both, target, axis=0), ops.take(either, target, axis=0)
        occurring = ops.sum(ops.cast(either > 0, dtype))
        return ops.divide_no_nan(ops.sum(ops.divide_no_nan(both, either)), occurring)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_class_ids": list(self.target_class_ids)}


def _without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in names}


class BinaryIoU(IoU):
    """IoU of two classes; a prediction is 1 where it is at least `threshold`."""

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float | None = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes=2, target_class_ids=target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Gather labels 0 and 1, and scores, of one shape."""
        if self.threshold is not None:
            # The threshold in the type of the scores: 0.3 is another number in float64.
            scores = ops.convert_to_tensor(y_pred)
            y_pred = ops.cast(scores >= self.threshold, "int32")
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {
            "target_class_ids": list(self.target_class_ids),
            "threshold": self.threshold,
            "name": self.name,
            "dtype": self.dtype,
        }


class MeanIoU(IoU):
    """The mean over all classes that occur of TP / (TP + FP + FN)."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            list(range(num_classes)),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "target_class_ids")


class OneHotIoU(IoU):
    """IoU of labels that are one-hot, and predictions that are scores (..., classes)."""

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """MeanIoU of labels that are one-hot, and predictions that are scores (..., classes)."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")

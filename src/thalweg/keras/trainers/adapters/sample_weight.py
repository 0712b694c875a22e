"""Weights of samples: from the weights of their classes, and for several outputs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.types import as_dtype
from thalweg.keras import settings, tree
from thalweg.keras.trainers.adapters.kinds import dense
from thalweg.keras.utils.sample_weight import unpack_x_y_sample_weight


def class_weight_to_sample_weights(y: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """floatx[N]: the weight of each sample's class; 1 for a class that has none.

    `y` holds class numbers, [N] or [N,1], or one-hot rows, [N,C].
    Errors: ShapeError for more axes, ArgumentTypeError for weights that are no dict.
    """
    if not isinstance(class_weight, Mapping):
        do = "Write class_weight={0: 1.0, 1: 5.0}."
        received = f"{class_weight!r} of {type(class_weight).__name__}"
        raise ArgumentTypeError(
            explain("class_weight", "a dict from classes to weights", received, do)
        )
    labels = np.asarray(dense(y))
    shape = labels.shape
    if labels.ndim == 2:
        labels = labels[:, 0] if shape[1] == 1 else labels.argmax(axis=1)
    if labels.ndim != 1:
        raise ShapeError(
            explain(
                "class_weight",
                "labels of shape (samples,), (samples, 1) or (samples, classes)",
                f"y of shape {shape}",
                "Pass sample_weight, an array with the weight of every element, instead.",
            )
        )
    labels = np.round(labels).astype(np.int64)
    weights = np.ones(len(labels), as_dtype(settings.floatx()).numpy)
    for number, weight in class_weight.items():
        weights[labels == int(number)] = weight
    return weights


def class_weigher(class_weight: Mapping[int, float]) -> Callable[[Any], Any]:
    """A function of a batch (x, y) that adds the weights of the classes of y."""

    def weigh(batch: Any) -> Any:
        x, y, sample_weight = unpack_x_y_sample_weight(batch)
        check_class_weight(y, sample_weight)
        return x, y, class_weight_to_sample_weights(y, class_weight)

    return weigh


def check_class_weight(y: Any, sample_weight: Any) -> None:
    """Raise ArgumentError where weights of classes cannot be used."""
    if sample_weight is not None:
        raise ArgumentError(
            explain(
                "class_weight",
                "to stand alone",
                "`sample_weight` too. You cannot `class_weight` and `sample_weight` at the same"
                " time",
                "Multiply the weights of the classes into sample_weight.",
            )
        )
    if tree.is_nested(y):
        raise ArgumentError(
            explain(
                "class_weight",
                "one output",
                f"y of {len(y)}. `class_weight` is only supported for Models with a single output",
                "Pass sample_weight with one array for each output.",
            )
        )
    if y is None:
        raise ArgumentError(explain("class_weight", "targets", "y=None", "Pass y as well."))


def spread_sample_weight(y: Any, sample_weight: Any) -> Any:
    """One array of weights for each output: those given, or the one array for all of them.

    Errors: ArgumentError for another structure than that of y, ShapeError for one array that has
    more than one weight for each sample.
    """
    if sample_weight is None or not tree.is_nested(y):
        return sample_weight
    if isinstance(sample_weight, (list, tuple, dict)):
        try:
            tree.assert_same_structure(y, sample_weight)
        except (ValueError, TypeError):
            raise ArgumentError(
                explain(
                    "sample_weight",
                    "the structure of y",
                    f"y {_structure(y)}, sample_weight {_structure(sample_weight)}",
                    "You should provide one `sample_weight` array per output in `y`.",
                )
            ) from None
        return sample_weight
    shape = tuple(sample_weight.shape)
    if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        raise ShapeError(
            explain(
                "sample_weight",
                "one weight for each sample, shape (samples,)",
                f"shape {shape}",
                "For a model with multiple outputs, when providing a single `sample_weight` array,"
                " it has one weight per sample; pass one array per output for more.",
            )
        )
    return tree.map_structure(lambda _: sample_weight, y)


def _structure(value: Any) -> str:
    return str(tree.map_structure(lambda leaf: _Text(_leaf(leaf)), value))


def _leaf(leaf: Any) -> str:
    if isinstance(leaf, Tensor):
        return str(leaf.type)
    return f"{tuple(leaf.shape)}" if hasattr(leaf, "shape") else type(leaf).__name__


class _Text(str):
    """Text that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

"""Cross entropies for each element or row, and the peak signal-to-noise ratio.

Probabilities are held within [epsilon, 1 - epsilon], epsilon that of `keras.config`. While a
function is traced, as in `fit`, the probabilities that softmax or sigmoid gave are taken back to
their logits, as Keras does on TensorFlow: losses keep their slope where a network is sure of itself
and wrong.
"""

import math
from typing import Any

from thalweg.array import elementwise as array
from thalweg.array import nn, statistical
from thalweg.array.data_types import astype
from thalweg.array.manipulation import squeeze
from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_equal
from thalweg.keras import settings
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import axis_of, common_dtype, floats, like
from thalweg.keras.variable import tensor


def _two(name: str, target: Any, output: Any) -> tuple[Tensor, Tensor]:
    """Target and output in one float type. Raises ShapeError where their shapes differ."""
    dtype = common_dtype(target, output, float)
    given = tensor(output)
    t, p = tensor(target, dtype), given if given.dtype.name == dtype else astype(given, dtype)
    if t.ndim != p.ndim or not all(map(is_known_equal, t.shape, p.shape)):
        raise ShapeError(
            explain(
                name,
                "a target as the output; `target` and `output` must have the same shape",
                f"target.shape={tuple(t.shape)}, output.shape={tuple(p.shape)}",
                "Did you mean sparse_categorical_crossentropy, which takes class numbers?"
                if name == "categorical_crossentropy"
                else "",
            )
        )
    return t, p


def _check_rank(name: str, output: Tensor) -> None:
    if not output.ndim:
        raise ShapeError(
            explain(
                name,
                "an axis of classes; `target` and `output` must be at least rank 1",
                "output.shape=()",
            )
        )


@op(data=("target", "output"))
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """-t log(p) - (1 - t) log(1 - p) for each element, p the output or, from logits, its sigmoid.

    Raises ShapeError where the shapes differ.
    """
    t, p = _two("binary_crossentropy", target, output)
    logits = p if from_logits else nn.logits_behind(p)
    if logits is not None:
        return nn.binary_crossentropy(t, logits, from_logits=True)
    return nn.binary_crossentropy(t, p, epsilon=settings.epsilon())


@op(data=("target", "output"))
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """-sum(t log(p)) along an axis of classes; p the output or, from logits, its softmax.

    The target holds a probability for each class. Outputs that are probabilities are divided by
    their sum. Raises ShapeError where the shapes differ.
    """
    name = "categorical_crossentropy"
    t, p = _two(name, target, output)
    _check_rank(name, p)
    place = axis_of(name, axis, p.ndim)
    logits = p if from_logits else nn.logits_behind(p, place)
    if logits is not None:
        return nn.categorical_crossentropy(t, logits, True, place)
    return nn.categorical_crossentropy(t, p, False, place, settings.epsilon())


@op(data=("target", "output"))
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """-log(p[target]) along an axis of classes; p the output or, from logits, its softmax.

    The target holds class numbers: the output's shape without the axis, or with size 1 there. A
    number that is no class gives NaN. Raises ShapeError where the shapes do not fit.
    """
    name = "sparse_categorical_crossentropy"
    labels, p = astype(tensor(target), "int32"), floats(output)
    _check_rank(name, p)
    place = axis_of(name, axis, p.ndim)
    if labels.ndim == p.ndim and is_known_equal(labels.shape[place], 1):
        labels = squeeze(labels, place)
    rows = (*p.shape[:place], *p.shape[place + 1 :])
    if labels.ndim != len(rows) or not all(map(is_known_equal, labels.shape, rows)):
        raise ShapeError(
            explain(
                name,
                "a class number for each row; `target` and `output` must have the same shape up "
                "until the last dimension",
                f"target.shape={tuple(labels.shape)}, output.shape={tuple(p.shape)}",
            )
        )
    logits = p if from_logits else nn.logits_behind(p, place)
    if logits is not None:
        return nn.sparse_categorical_crossentropy(labels, logits, True, place)
    return nn.sparse_categorical_crossentropy(labels, p, False, place, settings.epsilon())


def _number(x1: Any, x2: Any, **_: Any) -> Any:
    return like(x1, (), common_dtype(x1, x2, float))


@op(data=("x1", "x2"), name="PSNR", spec=_number)
def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """The peak signal-to-noise ratio in decibels over all elements: one number.

    20 log10(max_val) - 10 log10(mean((x1 - x2)**2)), infinite for equal tensors. Raises ShapeError
    where the shapes differ.
    """
    dtype = common_dtype(x1, x2, float)
    a, b = tensor(x1, dtype), tensor(x2, dtype)
    if a.ndim != b.ndim or not all(map(is_known_equal, a.shape, b.shape)):
        raise ShapeError(
            explain(
                "psnr",
                "tensors of one shape; input shapes must match",
                f"shapes {tuple(a.shape)} and {tuple(b.shape)}",
            )
        )
    noise = statistical.mean(array.square(array.subtract(a, b)))
    return array.subtract(20 * math.log10(max_val), array.multiply(array.log10(noise), 10))

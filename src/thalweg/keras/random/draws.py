"""Random numbers. For equal seeds those of `normal`, `truncated_normal`, `uniform`, `randint` and
`categorical` are the numbers of Keras on JAX; the others draw streams of their own.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.array import manipulation, nn
from thalweg.array import random as streams
from thalweg.array.data_types import astype
from thalweg.array.searching import argmax, where
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.dtypes import is_float_dtype, is_int_dtype, standardize_dtype
from thalweg.keras.random.seed_generator import draw_seed
from thalweg.keras.variable import tensor

Shape = Sequence[int]


def _float(name: str, dtype: Any) -> str:
    found = standardize_dtype(dtype)
    if not is_float_dtype(found):
        raise ArgumentError(
            explain(
                name,
                f"a float type. `keras.random.{name}` requires a floating point `dtype`",
                f"dtype={dtype}",
                "Write dtype='float32', or keras.random.randint for integers.",
            )
        )
    return found


def _sizes(shape: Any) -> Any:
    return tuple(shape) if isinstance(shape, (list, tuple)) else shape


def normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Normally distributed floats of a shape, floatx by default.

    `seed`, here and below, is an integer, which gives the same numbers every time, a SeedGenerator,
    or None for the global one.
    """
    dtype = _float("normal", dtype)
    return streams.normal(_sizes(shape), mean, stddev, dtype, key=draw_seed(seed))


def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Normally distributed floats within two standard deviations of the mean."""
    dtype = _float("truncated_normal", dtype)
    return streams.truncated_normal(_sizes(shape), mean, stddev, dtype, key=draw_seed(seed))


def uniform(
    shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Tensor:
    """Uniform floats from `minval` up to, and without, `maxval`."""
    dtype = _float("uniform", dtype)
    return streams.uniform(_sizes(shape), minval, maxval, dtype, key=draw_seed(seed))


def randint(
    shape: Shape, minval: int, maxval: int, dtype: Any = "int32", seed: Any = None
) -> Tensor:
    """Uniform integers from `minval` up to, and without, `maxval`."""
    found = standardize_dtype(dtype)
    if not is_int_dtype(found):
        raise ArgumentError(
            explain(
                "randint",
                "an integer type. `keras.random.randint` requires an integer `dtype`",
                f"dtype={dtype}",
                "Write dtype='int32', or keras.random.uniform for floats.",
            )
        )
    low, high = (int(each) if isinstance(each, float) else each for each in (minval, maxval))
    return streams.randint(_sizes(shape), low, high, found, key=draw_seed(seed))


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Tensor:
    """Classes drawn with probabilities softmax(logits): [B, C] -> [B, num_samples]."""
    found = tensor(logits)
    if found.ndim != 2:
        raise ShapeError(
            explain(
                "categorical",
                "rows of logits. `logits` should be a 2-D tensor with shape [batch_size, "
                "num_classes]",
                f"logits of shape {tuple(found.shape)}",
            )
        )
    if not found.dtype.is_float:
        found = astype(found, standardize_dtype(None))
    batch, classes = found.shape
    kind = "float64" if found.dtype.name == "float64" else "float32"
    noise = streams.gumbel((batch, classes, num_samples), dtype=kind, key=draw_seed(seed))
    chosen = argmax(noise + manipulation.expand_dims(astype(found, kind), -1), axis=1)
    return astype(chosen, standardize_dtype(dtype))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """x with its slices along an axis in random order."""
    return streams.shuffle(tensor(x), axis, key=draw_seed(seed))


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    """Each element 0 with probability `rate`, else divided by 1 - rate.

    Elements share their fate along axes where `noise_shape` is 1; None there means the size of the
    inputs.
    """
    return nn.dropout(tensor(inputs), rate, noise_shape, key=draw_seed(seed))


def beta(shape: Shape, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Beta distributed floats in [0, 1]; `alpha`, `beta` > 0 stretch to the shape."""
    dtype = _float("beta", dtype)
    a, b = (tensor(each, "float32") for each in (alpha, beta))
    return streams.beta(a, b, _sizes(shape), dtype, key=draw_seed(seed))


def gamma(shape: Shape, alpha: Any, dtype: Any = None, seed: Any = None) -> Tensor:
    """Gamma distributed floats of shape parameter `alpha` > 0, which stretches to the shape."""
    dtype = _float("gamma", dtype)
    return streams.gamma(tensor(alpha, "float32"), _sizes(shape), dtype, key=draw_seed(seed))


def binomial(
    shape: Shape, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> Tensor:
    """How many of `counts` trials succeed, each with its probability, as floats.

    Both stretch to the shape. NaN where there is no such distribution.
    """
    dtype = _float("binomial", dtype)
    trials, chance = (tensor(each, "float64") for each in (counts, probabilities))
    found = streams.binomial(trials, chance, _sizes(shape), "int64", key=draw_seed(seed))
    return where(found < 0, float("nan"), astype(found, dtype))

"""Initializers by chance.

An initializer with an integer as seed gives the same values at every call; without a seed it takes
one when it is made, and so does too. With a SeedGenerator every call draws another.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor, from_buffer
from thalweg.ir.types import as_dtype
from thalweg.keras.dtypes import is_float_dtype, standardize_dtype
from thalweg.keras.initializers import numbers
from thalweg.keras.initializers.initializer import Initializer
from thalweg.keras.random.seed_generator import SeedGenerator, make_default_seed
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.symbol import standardize_shape

Axes = Sequence[int] | None


class RandomInitializer(Initializer):
    """The base of those that draw: `seed` is an integer, a SeedGenerator, or None."""

    def __init__(self, seed: Any = None):
        self._init_seed = seed
        if seed is None:
            seed = make_default_seed()
        elif isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        if not isinstance(seed, (int, np.integer, SeedGenerator)):
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "a seed. `seed` argument should be an instance of "
                    "`keras.random.SeedGenerator()` or an integer",
                    f"seed={seed!r}",
                )
            )
        self.seed = seed

    def _drawn(self, shape: Any, dtype: Any, fill: numbers.Fill) -> Tensor:
        shape, name = standardize_shape(shape), standardize_dtype(dtype)
        if not is_float_dtype(name):
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "a float type for random values",
                    f"dtype={name}",
                    "Write initializer='zeros' for integers.",
                )
            )
        values = numbers.filled(shape, self._words(), name == "float64", fill)
        return from_buffer(values.astype(as_dtype(name).numpy, copy=False))

    def _words(self) -> Sequence[int]:
        """The two numbers of the seed to draw from."""
        if isinstance(self.seed, SeedGenerator):
            return self.seed.next().numpy().tolist()
        return int(self.seed) % 2**32, 0

    def get_config(self) -> dict[str, Any]:
        return {"seed": serialize_keras_object(self._init_seed)}


class RandomNormal(RandomInitializer):
    """Normally distributed values."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return self._drawn(shape, dtype, numbers.normal(self.mean, self.stddev))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomInitializer):
    """Normally distributed values within two standard deviations of the mean."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return self._drawn(shape, dtype, numbers.truncated_normal(self.mean, self.stddev))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class RandomUniform(RandomInitializer):
    """Uniform values from `minval` up to, and without, `maxval`."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return self._drawn(shape, dtype, numbers.uniform(self.minval, self.maxval))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a standard normal distribution that is cut at 2 and -2."""


class VarianceScaling(RandomInitializer):
    """Values of variance `scale` / n, where n is how many numbers meet in a sum.

    `mode` says which: those that go into an output ("fan_in"), those that an input goes into
    ("fan_out"), or their mean ("fan_avg"). `input_axes` and `output_axes` say which axes of the
    shape these are; by default the last two, times the size of all before.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ):
        if not scale > 0:
            raise ArgumentError(
                explain(
                    "VarianceScaling",
                    "a scale above 0. Argument `scale` must be positive float",
                    f"scale={scale}",
                )
            )
        _check_choice("mode", mode, MODES)
        distribution = distribution.lower()
        distribution = "truncated_normal" if distribution == "normal" else distribution
        _check_choice("distribution", distribution, DISTRIBUTIONS)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        shape = standardize_shape(shape)
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        return self._drawn(shape, dtype, _of_variance(self.distribution, variance))

    def along(self, input_axes: Axes, output_axes: Axes) -> "VarianceScaling":
        """The same with these axes, where it has none of its own."""
        if self.input_axes is not None and self.output_axes is not None:
            return self
        found = copy.copy(self)
        found.input_axes, found.output_axes = input_axes, output_axes
        return found

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


def _of_variance(distribution: str, variance: float) -> numbers.Fill:
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return numbers.uniform(-limit, limit)
    if distribution == "untruncated_normal":
        return numbers.normal(0.0, math.sqrt(variance))
    return numbers.truncated_normal(0.0, math.sqrt(variance) / TRUNCATED_STDDEV)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ArgumentError(
            explain(
                "VarianceScaling",
                f"{name} among {', '.join(map(repr, choices))}",
                f"Invalid `{name}` argument: {value!r}",
            )
        )


def fans(shape: Sequence[int], input_axes: Axes = None, output_axes: Axes = None) -> tuple:
    """How many numbers go into an output of a weight, and how many an input goes into."""
    if input_axes is not None and output_axes is not None:
        for axis in (*input_axes, *output_axes):
            if not -len(shape) <= axis < len(shape):
                raise ShapeError(
                    explain("VarianceScaling", f"axes of a shape {tuple(shape)}", f"axis {axis}")
                )
        one, two = ([shape[axis] for axis in axes] for axes in (input_axes, output_axes))
        return math.prod(one), math.prod(two)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


class _Scaled(VarianceScaling):
    """VarianceScaling with fixed scale, mode and distribution."""

    _settings: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Axes = None, output_axes: Axes = None):
        super().__init__(*self._settings, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict[str, Any]:
        return {
            "seed": serialize_keras_object(self._init_seed),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class GlorotUniform(_Scaled):
    """Uniform values of variance 2 / (fan_in + fan_out) (X. Glorot and Y. Bengio, 2010)."""

    _settings = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal values of variance 2 / (fan_in + fan_out) (X. Glorot, Y. Bengio, 2010)."""

    _settings = (1.0, "fan_avg", "truncated_normal")


class LecunNormal(_Scaled):
    """Truncated normal values of variance 1 / fan_in (Y. LeCun et al., 1998)."""

    _settings = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform values of variance 1 / fan_in (Y. LeCun et al., 1998)."""

    _settings = (1.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal values of variance 2 / fan_in (K. He et al., 2015)."""

    _settings = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform values of variance 2 / fan_in (K. He et al., 2015)."""

    _settings = (2.0, "fan_in", "uniform")


class Orthogonal(RandomInitializer):
    """`gain` times a random orthogonal matrix (A. Saxe et al., 2014).

    A shape of more than two axes counts as the matrix [all but the last, last]; where it is not
    square, its columns or rows are orthonormal, whichever are fewer.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = gain
        super().__init__(seed=seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        shape, name = standardize_shape(shape), standardize_dtype(dtype)
        if len(shape) < 2:
            raise ShapeError(
                explain(
                    "Orthogonal",
                    "a shape of two axes or more. The tensor to initialize must be at least "
                    "two-dimensional",
                    f"shape={shape} of rank {len(shape)}",
                )
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        wide = "float64" if name == "float64" else "float32"
        drawn = self._drawn(tall, wide, numbers.normal(0.0, 1.0)).numpy()
        q, r = np.linalg.qr(drawn)
        # Signs from R make the distribution uniform (F. Mezzadri, 2007).
        q *= np.where(np.diagonal(r) < 0, -1, 1).astype(q.dtype)
        matrix = q.T if rows < columns else q
        values = np.ascontiguousarray(self.gain * matrix).reshape(shape)
        return from_buffer(values.astype(as_dtype(name).numpy, copy=False))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}

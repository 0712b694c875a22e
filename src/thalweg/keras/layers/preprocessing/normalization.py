"""Normalization: features shifted and scaled by the mean and variance that a data set has."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.layers.layer import Layer
from thalweg.keras.utils.py_dataset import PyDataset

EPSILON = 1e-7
"""The least standard deviation that is divided by."""


class Normalization(Layer):
    """(x - mean) / sqrt(variance); with `invert`, back again.

    `axis` names the axes that have means of their own, the last by default; with None there is one
    for all. `adapt` finds mean and variance in data, or both are given. Raises ArgumentError for
    one without the other, ShapeError for axes that the inputs do not have or whose size is unknown.
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ArgumentError(
                explain(
                    "Normalization",
                    "both or none. When setting values directly, both `mean` and `variance` must "
                    "be set",
                    f"mean={mean} and variance={variance}",
                )
            )
        axes = () if axis is None else axis
        self.axis = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
        self.invert = invert
        self.input_mean = None if mean is None else np.asarray(mean, "float64")
        self.input_variance = None if variance is None else np.asarray(variance, "float64")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if any(not -len(shape) <= axis < len(shape) for axis in self.axis):
            raise ShapeError(
                explain(
                    self.name,
                    "axes of its inputs. All `axis` values must be in the range [-ndim, ndim)",
                    f"inputs with ndim={len(shape)}, while axis={self.axis}",
                )
            )
        self._kept = tuple(sorted(axis % len(shape) for axis in self.axis))
        if any(shape[axis] is None for axis in self._kept):
            raise ShapeError(
                explain(
                    self.name,
                    "sizes for its means. All `axis` values to be kept must have a known shape",
                    f"axis={self.axis}, inputs.shape={shape}",
                    "Give the size of that axis: Input((..., 3)).",
                )
            )
        self._wide = tuple(shape[axis] if axis in self._kept else 1 for axis in range(len(shape)))
        if self.input_mean is not None:
            return
        kept = tuple(shape[axis] for axis in self._kept)
        self.adapt_mean = self._add_moment("mean", kept, "zeros")
        self.adapt_variance = self._add_moment("variance", kept, "ones")
        # Nothing reads it; Keras' files have it.
        self.count = self._add_moment("count", (), "zeros", "int32")

    def _add_moment(
        self, name: str, shape: tuple[int, ...], initializer: str, dtype: str | None = None
    ) -> Any:
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=False
        )

    @property
    def mean(self) -> Any:
        """The means, in a shape that broadcasts with the inputs."""
        return self._spread(self.input_mean if self.input_mean is not None else self.adapt_mean)

    @property
    def variance(self) -> Any:
        """The variances, in a shape that broadcasts with the inputs."""
        given = self.input_variance
        return self._spread(given if given is not None else self.adapt_variance)

    def _spread(self, values: Any) -> Any:
        if isinstance(values, np.ndarray):
            values = np.broadcast_to(values, tuple(self._wide[axis] for axis in self._kept))
        return ops.reshape(ops.cast(values, self.compute_dtype), self._wide)

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data.

        `data` is an array, or batches: any iterable of arrays, or of tuples whose first element is
        one. Raises ArgumentError for no data and where mean and variance were given, ShapeError for
        batches of other sizes.
        """
        if self.input_mean is not None:
            raise ArgumentError(
                explain(
                    self.name,
                    "to find mean and variance itself",
                    "a layer that was made with both",
                    "Leave them out: Normalization(axis=-1).",
                )
            )
        count, mean, scatter = 0, np.float64(0), np.float64(0)
        for batch in _batches(data):
            values = self._checked(batch)
            over = tuple(axis for axis in range(values.ndim) if axis not in self._kept)
            size = math.prod(values.shape[axis] for axis in over)
            if not size:
                continue
            own = values.mean(axis=over, keepdims=True)
            # Sums of squares about means of their own can be joined (T. Chan et al., 1979).
            change = own.squeeze(over) - mean
            mean = mean + change * (size / (count + size))
            scatter = scatter + ((values - own) ** 2).sum(axis=over)
            scatter = scatter + change**2 * (count * size / (count + size))
            count += size
        if not count:
            raise ArgumentError(
                explain(self.name, "data to take mean and variance from", "an empty iterable")
            )
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(scatter / count)

    def _checked(self, batch: Any) -> np.ndarray:
        """A batch as float64, for whose shape the layer is built."""
        values = np.asarray(ops.convert_to_numpy(batch), "float64")
        if not self.built:
            self.build(values.shape)
        sizes = tuple(values.shape[axis] for axis in self._kept if axis < values.ndim)
        if values.ndim != len(self._wide) or sizes != tuple(self._wide[i] for i in self._kept):
            built = tuple(
                self._wide[i] if i in self._kept else None for i in range(len(self._wide))
            )
            raise ShapeError(
                explain(
                    self.name,
                    f"data of the shape that it was built with, {built}",
                    f"an incompatible shape, data.shape={values.shape}",
                )
            )
        return values

    def call(self, inputs: Any) -> Any:
        x = ops.convert_to_tensor(inputs, self.compute_dtype)
        deviation = ops.maximum(ops.sqrt(self.variance), EPSILON)
        if self.invert:
            return self.mean + x * deviation
        return (x - self.mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": None if self.input_mean is None else self.input_mean.tolist(),
            "variance": None if self.input_variance is None else self.input_variance.tolist(),
        }


def _batches(data: Any) -> Iterator[Any]:
    """The inputs among data: an array is one batch, the first of a tuple is the inputs."""
    if hasattr(data, "shape"):
        yield data
        return
    if isinstance(data, PyDataset):
        data = map(data.__getitem__, range(_known_count(data)))
    if not isinstance(data, Iterable):
        raise _no_data(data)
    for batch in data:
        inputs = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if not hasattr(inputs, "shape"):
            raise _no_data(inputs)
        yield inputs


def _known_count(data: PyDataset) -> int:
    count = data.num_batches
    if count is None:
        raise ArgumentError(
            explain("Normalization", "data that comes to an end", f"{type(data).__name__} without")
        )
    return count


def _no_data(value: Any) -> ArgumentTypeError:
    return ArgumentTypeError(
        explain(
            "Normalization",
            "an array, or batches that are arrays and have a `.shape`",
            f"{value!r:.80} of {type(value).__name__}",
            "Write adapt(np.asarray(data)).",
        )
    )

"""Layers that give the elements another shape or order: Reshape, Flatten, Permute, RepeatVector."""

import math
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.symbol import KerasTensor


class Reshape(Layer):
    """The elements in another shape, the batch axis kept; one size of the target may be -1."""

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        target = tuple(target_shape)
        if any(not isinstance(size, int) or size < -1 for size in target):
            raise ArgumentError(
                explain(
                    "Reshape",
                    "sizes",
                    f"a size that is no non-negative integer and not -1: target_shape={target}",
                )
            )
        if target.count(-1) > 1:
            raise ArgumentError(
                explain(
                    "Reshape",
                    "at most one -1",
                    f"at most one unknown dimension is allowed: target_shape={target}",
                )
            )
        self.target_shape = target
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], *self._resolved(input_shape[1:]))

    def _resolved(self, shape: Any) -> tuple:
        """The target with its -1 worked out, None where the input does not say."""
        if None in shape:
            return tuple(None if size == -1 else size for size in self.target_shape)
        count = math.prod(shape)
        known = math.prod(size for size in self.target_shape if size != -1)
        fits = count == known if -1 not in self.target_shape else known and count % known == 0
        if not fits:
            raise ShapeError(
                explain(
                    self.name,
                    f"an input of as many elements as {self.target_shape}",
                    "The total size of the tensor must be unchanged. "
                    f"input_shape={tuple(shape)}, target_shape={self.target_shape}",
                )
            )
        return tuple(count // known if size == -1 else size for size in self.target_shape)

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        return KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=inputs.dtype, sparse=inputs.sparse
        )

    def call(self, inputs: Any) -> Any:
        sizes = ops.shape(inputs)
        if all(isinstance(size, int) for size in sizes[1:]):
            return ops.reshape(inputs, (sizes[0], *self._resolved(sizes[1:])))
        return ops.reshape(inputs, (sizes[0], *self.target_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class Flatten(Layer):
    """The elements of each sample in one axis, (batch, ...) -> (batch, size).

    `data_format` "channels_first" moves the channels to the end before.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)
        self._channels_first = self.data_format == "channels_first"
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        if self._channels_first and rank > 1:
            inputs = ops.transpose(inputs, axes=(0, *range(2, rank), 1))
        return ops.reshape(inputs, (ops.shape(inputs)[0], *self._size(inputs.shape[1:])))

    def _size(self, shape: Any) -> tuple:
        return (math.prod(shape),)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        return KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=inputs.dtype, sparse=inputs.sparse
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Permute(Layer):
    """The axes of each sample in another order; `dims` counts them from 1, without the batch."""

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise ArgumentError(
                explain(
                    "Permute",
                    f"each axis from 1 to {len(dims)} once",
                    "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                    f"`dims` must be consecutive and start from 1. dims={dims}",
                )
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def compute_output_spec(self, inputs: Any) -> KerasTensor:
        return KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=inputs.dtype, sparse=inputs.sparse
        )

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, axes=(0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """Each vector `n` times: (batch, features) -> (batch, n, features)."""

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = n
        if isinstance(n, int) and n < 1:
            raise ArgumentError(
                explain("RepeatVector", "a count; `n` should be a positive integer", f"n={n}")
            )
        if not isinstance(n, int):
            raise ArgumentTypeError(
                explain(
                    "RepeatVector", "an integer; Expected an integer value for `n`", f"{type(n)}"
                )
            )
        self.input_spec = InputSpec(ndim=2)
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], self.n, input_shape[1])

    def call(self, inputs: Any) -> Any:
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}

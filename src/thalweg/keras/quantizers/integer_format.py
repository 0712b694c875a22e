"""IntegerFormat: how a weight of floats is kept as integers of eight or four bits.

per output   values = round(w * scale)           w = values / scale
by blocks    values = round(w / scale) + zero    w = (values - zero) * scale
four bits    two values in a byte, along one axis
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.engine.tensor import Tensor
from thalweg.keras import ops
from thalweg.keras.quantizers.nibbles import pack_int4, unpack_int4
from thalweg.keras.quantizers.parameters import (
    abs_max_quantize_grouped_with_zero_point,
    dequantize_with_sz_map,
)
from thalweg.keras.quantizers.quantizer import AbsMaxQuantizer, Quantizer

RANGES = {8: (-127, 127), 4: (-8, 7)}


@dataclass(frozen=True)
class Encoded:
    """A weight as integers: values int8, scale, and by blocks a zero int8; None without."""

    values: Any
    scale: Any
    zero: Any = None


@dataclass(frozen=True)
class IntegerFormat:
    """The integers for a weight of a shape.

    `axes` are those that a scale is shared along; with `block_size` there is one such axis, and
    each block along it has its own scale and zero. `packed_axis` holds two values of four bits in
    a byte.
    Counted from the end, axes also fit rows that were taken from the integers.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    bits: int
    packed_axis: int = -1
    block_size: int | None = None

    @property
    def value_shape(self) -> tuple[int, ...]:
        """The shape of the integers, as they are kept."""
        shape = list(self.shape)
        if self.bits == 4:
            shape[self.packed_axis] = (shape[self.packed_axis] + 1) // 2
        return tuple(shape)

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """The shape of the scale, and of the zero."""
        shape: list[int | None] = list(self.shape)
        for axis in self.axes:
            shape[axis] = self._blocks(self.shape[axis]) if self.block_size else None
        return tuple(size for size in shape if size is not None)

    def _blocks(self, size: int) -> int:
        assert self.block_size is not None
        return math.ceil(size / self.block_size)

    def groups(self) -> np.ndarray:
        """The block of each place along the axis that is divided into blocks, float32."""
        size = self.shape[self.axes[0]]
        return np.arange(size, dtype="float32") // self.block_size

    def encode(self, weight: Any, quantizer: Quantizer | None = None) -> Encoded:
        """The weight as integers. `quantizer` takes the place of AbsMaxQuantizer."""
        weight = ops.convert_to_tensor(weight)
        if self.block_size:
            values, scale, zero = self._by_blocks(weight)
            return Encoded(self._packed(values), scale, zero)
        if quantizer is None:
            quantizer = AbsMaxQuantizer(value_range=RANGES[self.bits])
        if isinstance(quantizer, AbsMaxQuantizer):
            values, scale = quantizer(weight, axis=self.axes)
        else:
            values, scale = quantizer(weight)
        return Encoded(self._packed(values), self.arranged(scale))

    def _by_blocks(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Blocks are of rows: where they are of columns, the matrix is turned before and after."""
        assert self.block_size is not None
        first = self.axes[0] % len(self.shape) == 0
        found = abs_max_quantize_grouped_with_zero_point(
            weight if first else ops.transpose(weight),
            self.block_size,
            RANGES[self.bits],
            to_numpy=True,
        )
        return found if first else tuple(map(ops.transpose, found))

    def _packed(self, values: Tensor) -> Tensor:
        return values if self.bits == 8 else pack_int4(values, axis=self.packed_axis)[0]

    def integers(self, values: Any) -> Any:
        """The integers, one in each byte, in the shape of the weight."""
        return self._unpacked(values)

    def _unpacked(self, values: Any) -> Any:
        if self.bits == 8:
            return values
        return unpack_int4(values, self.shape[self.packed_axis], axis=self.packed_axis)

    def decode(self, encoded: Encoded, groups: Any, dtype: str) -> Tensor:
        """The weight as floats of type `dtype`; `groups` as `groups()` gives it."""
        integers = self._unpacked(encoded.values)
        if self.block_size:
            found = dequantize_with_sz_map(
                ops.cast(integers, dtype), encoded.scale, encoded.zero, groups, self.axes[0]
            )
        else:
            found = ops.divide(ops.cast(integers, dtype), self.spread(encoded.scale))
        return ops.cast(found, dtype)

    def arranged(self, scale: Any) -> Tensor:
        """A scale with 1 along `axes` as it is kept: without them."""
        return ops.squeeze(scale, axis=self.axes)

    def spread(self, scale: Any) -> Tensor:
        """A scale as it is kept, in a shape that broadcasts with the weight."""
        return ops.expand_dims(scale, axis=self.axes)


@dataclass(frozen=True)
class FlatFormat(IntegerFormat):
    """The integers for a weight of shape `whole` that is kept as a matrix of shape `shape`."""

    whole: tuple[int, ...] = ()

    def encode(self, weight: Any, quantizer: Quantizer | None = None) -> Encoded:
        return super().encode(ops.reshape(weight, self.shape), quantizer)

    def integers(self, values: Any) -> Any:
        return ops.reshape(self._unpacked(values), self.whole)

    def decode(self, encoded: Encoded, groups: Any, dtype: str) -> Tensor:
        return ops.reshape(super().decode(encoded, groups, dtype), self.whole)

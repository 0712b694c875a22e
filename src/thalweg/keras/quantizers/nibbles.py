"""Two integers of four bits in a byte: the first of a pair in its low half."""

from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, DTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import ops
from thalweg.keras.dtypes import standardize_dtype

TYPES = ("int8", "uint8")
SIGN = 8
"""The bit that means minus: (n ^ 8) - 8 is n with its sign, 0..7 -> 0..7 and 8..15 -> -8..-1."""


def pack_int4(arr: Any, axis: int = 0, dtype: str = "int8") -> tuple[Tensor, tuple[int, ...], int]:
    """Pairs along an axis packed into bytes; an odd last one is packed with 0.

    arr of type `dtype`, int8 from -8 to 7 or uint8 from 0 to 15 -> the packed tensor, its shape,
    and the size that the axis had. Raises ArgumentError for other types asked for, DTypeError for
    other types given.

    >>> from thalweg import keras
    >>> keras.quantizers.pack_int4(keras.ops.array([-3, 7, 2], "int8"))
    (Tensor([125,   2], dtype=int8), (2,), 3)
    """
    _check_asked("pack_int4", dtype)
    if standardize_dtype(arr.dtype) != dtype:
        raise DTypeError(
            explain("pack_int4", f"an array of type {dtype}", standardize_dtype(arr.dtype))
        )
    rows = np.moveaxis(np.asarray(ops.convert_to_numpy(arr)), axis, 0)
    size = len(rows)
    if size % 2:
        rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    halves = rows.astype("uint8") & 0x0F
    packed = np.moveaxis(halves[::2] | halves[1::2] << 4, 0, axis)
    packed = np.ascontiguousarray(packed).view(dtype)
    return ops.convert_to_tensor(packed), packed.shape, size


def unpack_int4(packed: Any, orig_len: int, axis: int = 0, dtype: str = "int8") -> Tensor:
    """What `pack_int4` packed along an axis of size `orig_len`: signed as int8, from 0 as uint8.

    Raises ArgumentError for other types asked for, DTypeError for other types given.

    >>> from thalweg import keras
    >>> keras.quantizers.unpack_int4(keras.ops.array([125, 2], "int8"), 3)
    Tensor([-3,  7,  2], dtype=int8)
    """
    _check_asked("unpack_int4", dtype)
    packed = ops.convert_to_tensor(packed)
    if packed.dtype.name not in TYPES:
        raise DTypeError(explain("unpack_int4", f"one of {TYPES}", packed.dtype.name))
    axis = axis % packed.ndim
    mask = ops.cast(0x0F, packed.dtype)
    low = ops.bitwise_and(packed, mask)
    high = ops.bitwise_and(ops.right_shift(packed, ops.cast(4, packed.dtype)), mask)
    pairs = ops.cast(ops.stack([low, high], axis=axis + 1), dtype)
    if dtype == "int8":
        sign = ops.cast(SIGN, dtype)
        pairs = ops.subtract(ops.bitwise_xor(pairs, sign), sign)
    shape = tuple(packed.shape)
    merged = ops.reshape(pairs, (*shape[:axis], -1, *shape[axis + 1 :]))
    return merged[(*(slice(None) for _ in range(axis)), slice(orig_len))]


def _check_asked(where: str, dtype: str) -> None:
    if dtype not in TYPES:
        raise ArgumentError(
            explain(where, "dtype to be 'int8' or 'uint8'", f"dtype={dtype!r}, but got '{dtype}'")
        )

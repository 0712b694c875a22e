"""Data that ops are tested with: seeded, tie-free, covering element types and edge shapes."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.ir.op import Sample
from thalweg.ir.types import DType, TensorType, by_short, tensor_type

SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (2, 3), (0, 2), (2, 1, 3))

SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 1e30, -1e-30)


def a_type(text: str) -> TensorType:
    """The type of a text such as `f32[3,4]`, its sizes plain integers."""
    short, _, sizes = text.rstrip("]").partition("[")
    return tensor_type(by_short[short], tuple(int(size) for size in sizes.split(",") if size))


def values(
    shape: Sequence[int], dtype: DType, low: float = -2.0, high: float = 2.0, seed: Any = 0
) -> np.ndarray:
    """Values in (low, high), all different for floats; the same for the same arguments."""
    generator = np.random.default_rng(zlib.crc32(repr((shape, dtype.name, seed)).encode()))
    count = int(np.prod(shape, dtype=int))
    if dtype.kind == "bool":
        return np.asarray(generator.integers(0, 2, shape)).astype(bool)
    if dtype.is_integer:
        bottom = max(int(np.ceil(low)), np.iinfo(dtype.numpy).min)
        if dtype.kind == "uint":
            bottom = max(bottom, 0)
        top = min(int(np.floor(high)), np.iinfo(dtype.numpy).max)
        drawn = generator.integers(bottom, max(top, bottom + 1) + 1, shape)
        return np.asarray(drawn).astype(dtype.numpy)
    grid = (np.arange(count) + 0.3 + 0.4 * generator.random(count)) / max(count, 1)
    array = (low + (high - low) * generator.permutation(grid)).reshape(shape)
    if dtype.is_complex:
        other = (low + (high - low) * generator.permutation(grid)).reshape(shape)
        return np.asarray(array + 1j * other).astype(dtype.numpy)
    return array.astype(dtype.numpy)


def special(dtype: DType) -> np.ndarray:
    """Zeros of both signs, infinities, NaN, the large and the small; extremes for integers."""
    if dtype.kind == "bool":
        return np.array([False, True])
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        return np.array([0, 1, info.max, info.min, info.max - 1], dtype.numpy)
    with np.errstate(all="ignore"):
        return np.array(SPECIAL).astype(dtype.numpy)


def pointwise(
    dtypes: Iterable[DType], count: int, domains: Sequence[tuple[float, float]], edges: bool = True
) -> Iterator[Sample]:
    """Samples for an elementwise op: every type on every shape, and the special values."""
    for dtype in dtypes:
        for shape in SHAPES:
            args = tuple(
                values(shape, dtype, *domains[index], seed=index) for index in range(count)
            )
            yield Sample(args, name=f"{dtype.short}{list(shape)}")
        if not edges or dtype.is_complex:
            continue
        row = special(dtype)
        args = tuple(np.roll(np.repeat(row, 3), index * 4) for index in range(count))
        yield Sample(args, name=f"{dtype.short} special", differentiable=False)

"""Random numbers for first values: fast, on the host, the same for the same seed.

A weight is filled block by block, each from a stream of its own that its place and the seed decide:
so threads may share the work and the numbers do not depend on how many there are. The streams are
NumPy's (SFC64), not those of `keras.random`: initial values are drawn once, and outside of graphs.
"""

import math
import os
from collections.abc import Callable, Sequence
from threading import Thread

import numpy as np

BLOCK = 1 << 18
"""Numbers of a block: about a millisecond's work. Changing it changes what seeds give."""

Fill = Callable[[np.random.Generator, np.ndarray], None]


def filled(shape: Sequence[int], seed: Sequence[int], is_double: bool, fill: Fill) -> np.ndarray:
    """A float32 or float64 array of which `fill(generator, block)` has filled the blocks."""
    size = math.prod(shape)
    values = np.empty(size, np.float64 if is_double else np.float32)

    failures: list[BaseException] = []

    def run(starts: Sequence[int]) -> None:
        try:
            for start in starts:
                words = np.random.SeedSequence((*map(int, seed), start // BLOCK))
                generator = np.random.Generator(np.random.SFC64(words))
                fill(generator, values[start : start + BLOCK])
        except BaseException as error:
            failures.append(error)

    starts = range(0, size, BLOCK)
    count = min(len(starts), os.cpu_count() or 1)
    helpers = [Thread(target=run, args=(starts[index::count],)) for index in range(1, count)]
    for helper in helpers:
        helper.start()
    run(starts[::count] if count else ())
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
    return values.reshape(shape)


def uniform(low: float, high: float) -> Fill:
    """Uniform numbers from `low` up to, and without, `high`."""

    def fill(generator: np.random.Generator, block: np.ndarray) -> None:
        generator.random(dtype=block.dtype, out=block)
        block *= high - low
        block += low
        # Rounding may reach `high`.
        np.minimum(block, np.nextafter(block.dtype.type(high), block.dtype.type(low)), out=block)

    return fill


def normal(mean: float, stddev: float) -> Fill:
    """Normally distributed numbers."""

    def fill(generator: np.random.Generator, block: np.ndarray) -> None:
        generator.standard_normal(dtype=block.dtype, out=block)
        block *= stddev
        block += mean

    return fill


def truncated_normal(mean: float, stddev: float) -> Fill:
    """Normally distributed numbers within two standard deviations, others drawn once more."""

    def fill(generator: np.random.Generator, block: np.ndarray) -> None:
        generator.standard_normal(dtype=block.dtype, out=block)
        outside = np.flatnonzero(np.abs(block) > 2)
        while outside.size:
            again = generator.standard_normal(outside.size, dtype=block.dtype)
            block[outside] = again
            outside = outside[np.abs(again) > 2]
        block *= stddev
        block += mean

    return fill

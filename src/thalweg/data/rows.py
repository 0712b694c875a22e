"""Rows of arrays in some order: what can be shuffled, cut and batched by numbers alone.

A pipeline that starts at arrays keeps, as long as it can, only the order in which their rows come;
a batch is then one gather from each array, or a view where its rows lie side by side.

    order.count             how many rows it names, or INFINITE
    order.blocks(epoch)     their numbers, a block at a time: a range or an array of integers

An order is a pure function of its settings and the epoch.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from thalweg.data.record import Record

INFINITE = -1
UNKNOWN = -2

Block = range | np.ndarray

DRAWS = 4096  # random numbers taken at a time
BLOCK = 16384  # numbers of rows in a block that a small shuffle makes
PASSES = 1 << 32  # passes of an endless repetition that one epoch may have


# ---- randomness ----------------------------------------------------------------------------------


def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """i64[count]: the numbers below `count` in random order."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def shuffled(items: Iterator[Any], size: int, seed: int, epoch: int) -> Iterator[Any]:
    """The items in random order, with at most `size` of them held at a time."""
    held = list(itertools.islice(items, size))
    if len(held) == size:
        for slot, item in zip(_slots(size, seed, epoch), items):  # noqa: B905 - one is endless
            yield held[slot]
            held[slot] = item
    for place in permutation(len(held), seed, epoch).tolist():
        yield held[place]


def _slots(size: int, seed: int, epoch: int) -> Iterator[int]:
    generator = np.random.default_rng((seed, epoch, 1))
    while True:
        yield from generator.integers(size, size=DRAWS).tolist()


def epoch_of_pass(epoch: int, passes: int, index: int) -> int:
    """The epoch that a repetition gives to one of its passes: they count on from epoch to epoch."""
    return epoch * (PASSES if passes == INFINITE else passes) + index


# ---- orders --------------------------------------------------------------------------------------


class Order(Protocol):
    """Which rows come, and in which order."""

    @property
    def count(self) -> int:
        """The number of rows, or INFINITE."""

    def blocks(self, epoch: int) -> Iterator[Block]:
        """The numbers of the rows, in blocks."""


class Straight(Record):
    """Rows as they lie, from the first."""

    count: int

    def blocks(self, epoch: int) -> Iterator[Block]:
        yield range(self.count)


class Shuffled(Record):
    """Rows in random order, as a buffer of `size` of them would mix the stream."""

    inner: Order
    size: int
    seed: int
    reshuffles: bool

    @property
    def count(self) -> int:
        return self.inner.count

    def blocks(self, epoch: int) -> Iterator[Block]:
        blocks = self.inner.blocks(epoch)
        mixing = epoch if self.reshuffles else 0
        if self.count != INFINITE and self.count <= self.size:
            places = permutation(self.count, self.seed, mixing)
            whole = joined(list(blocks))
            is_straight = isinstance(whole, range) and whole == range(self.count)
            yield places if is_straight else np.asarray(whole)[places]
            return
        numbers = itertools.chain.from_iterable(numbers_of(block) for block in blocks)
        mixed = shuffled(numbers, self.size, self.seed, mixing)
        while block := list(itertools.islice(mixed, BLOCK)):
            yield np.array(block)


class Part(Record):
    """Every `step`-th row from place `start` on, before place `stop` (None: to the end)."""

    inner: Order
    start: int
    stop: int | None
    step: int = 1

    @property
    def count(self) -> int:
        inner = self.inner.count
        if inner == INFINITE:
            if self.stop is None:
                return INFINITE
            return len(range(self.start, self.stop, self.step))
        return len(range(inner)[self.start : self.stop : self.step])

    def blocks(self, epoch: int) -> Iterator[Block]:
        place = self.start
        first = 0  # the place of the block's first row
        for block in self.inner.blocks(epoch):
            past = first + len(block)
            stop = past if self.stop is None else min(self.stop, past)
            if place < stop:
                part = block[place - first : stop - first : self.step]
                yield part
                place += len(part) * self.step
            first = past
            if self.stop is not None and place >= self.stop:
                return


class Repeated(Record):
    """The rows again and again, each time in the order of a new epoch."""

    inner: Order
    passes: int

    @property
    def count(self) -> int:
        if self.inner.count == 0 or self.passes == 0:
            return 0
        if INFINITE in (self.passes, self.inner.count):
            return INFINITE
        return self.inner.count * self.passes

    def blocks(self, epoch: int) -> Iterator[Block]:
        if self.count == 0:
            return
        passes = itertools.count() if self.passes == INFINITE else range(self.passes)
        for index in passes:
            yield from self.inner.blocks(epoch_of_pass(epoch, self.passes, index))


def joined(blocks: Sequence[Block]) -> Block:
    """One block of several."""
    if not blocks:
        return range(0)
    if len(blocks) == 1:
        return blocks[0]
    return np.concatenate([np.asarray(block) for block in blocks])


def numbers_of(block: Block) -> Iterable[int]:
    """The numbers of a block as Python integers."""
    return block if isinstance(block, range) else block.tolist()


def pieces(blocks: Iterator[Block], size: int, drop_remainder: bool) -> Iterator[Block]:
    """Blocks of `size` rows each; the last may be smaller, and is left out on demand."""
    held: list[Block] = []
    count = 0
    for block in blocks:
        place = 0
        while count + len(block) - place >= size:
            part = block[place : place + size - count]
            place += len(part)
            yield joined([*held, part]) if held else part
            held.clear()
            count = 0
        if place < len(block):
            held.append(block[place:])
            count += len(block) - place
    if count and not drop_remainder:
        yield joined(held)


# ---- arrays --------------------------------------------------------------------------------------


class Numbers:
    """A column of integers that are computed, not stored: `range` as an array."""

    def __init__(self, values: range, dtype: np.dtype):
        self.values = values
        self.dtype = dtype
        self.shape = (len(values),)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> np.generic:
        return self.dtype.type(self.values[index])

    def block(self, block: Block) -> np.ndarray:
        """The integers at these places."""
        first, step = self.values.start, self.values.step
        if isinstance(block, range):
            taken = self.values[block.start : block.stop : block.step]
            return np.arange(taken.start, taken.stop, taken.step, dtype=self.dtype)
        return (block * step + first).astype(self.dtype)


Column = np.ndarray | Numbers


def gather(column: Column, block: Block) -> np.ndarray:
    """The rows of a block: a view where they lie side by side, else a copy."""
    if isinstance(column, Numbers):
        return column.block(block)
    if isinstance(block, range):
        return column[block.start : block.stop : block.step]
    # Faster than indexing, but it would copy the whole of an array with gaps.
    return column.take(block, axis=0) if column.flags.c_contiguous else column[block]

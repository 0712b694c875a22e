"""What a plan does while it is written: values and their lifetimes, kernels, instructions.

    a value made here       has a place in memory from the step that makes it to the last that reads
    a view                  is a part of another value, at an offset
    a value that moves      is where a word says: a carry of a loop, a slice of a sequence
    a value known           was computed when the plan was made

Values have numbers, those of the program first. Time is counted in steps as they are written; what
a loop reads from outside, and what it carries, lives from its beginning to its end.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.backends.llvm.instructions import ALWAYS, Assembly, Copy, Instruction, Label, Less, Run
from thalweg.backends.llvm.memory import LINE

if TYPE_CHECKING:
    from thalweg.backends.llvm.launch import Launch
    from thalweg.backends.llvm.program import Step

Layout = tuple[tuple[int, ...], np.dtype]
"""A shape and an element type."""
SCRATCH = -2
"""What stands for the memory of a thread's own in the list of a kernel's arrays."""


def size_of(layout: Layout) -> int:
    """Bytes of a value."""
    shape, dtype = layout
    return math.prod(shape) * dtype.itemsize


class Script:
    """The values and instructions of a plan; values from `count` on are its own.

    `makers` says in which step of the program, which is `step` at the time, a value is made.
    """

    def __init__(self, count: int):
        self.count = count
        self.launches: list[Launch] = []
        self.tables: list[list[int]] = []
        self.code: list[Instruction] = []
        self.layouts: dict[int, Layout] = {}
        self.known: dict[int, np.ndarray] = {}
        self.made: set[int] = set()
        self.moving: set[int] = set()
        self.spans: dict[int, list[int]] = {}
        self.makers: dict[int, Step] = {}
        self.step: Step | None = None
        self._views: dict[int, tuple[int, int]] = {}
        self._time = 0
        self._labels = 0

    # Values ---------------------------------------------------------------------------------------

    def number(self) -> int:
        """The number of a new value."""
        self.count += 1
        return self.count - 1

    def make(self, number: int, layout: Layout) -> int:
        """A value that gets a place, from now on."""
        self.layouts[number] = layout
        self.made.add(number)
        if self.step is not None:
            self.makers[number] = self.step
        self.touch([number])
        return number

    def mover(self, layout: Layout | None = None) -> int:
        """A new value that is where a word says, or a counter."""
        number = self.number()
        self.moving.add(number)
        if layout is not None:
            self.layouts[number] = layout
        return number

    def know(self, number: int, array: np.ndarray) -> None:
        """A value that is known."""
        self.known[number] = array
        self.layouts[number] = array.shape, array.dtype

    def let_move(self, number: int) -> None:
        """A value that is made again and again is where a word says, from now on."""
        self.made.discard(number)
        self.moving.add(number)

    def view(self, number: int, of: int, offset: int, layout: Layout) -> int:
        """A value that is a part of another; from now on, should it have been one of its own."""
        self._views[number] = of, offset
        self.layouts[number] = layout
        self.made.discard(number)
        if number in self.spans:
            start, end = self.spans.pop(number)
            root = self.root(of)[0]
            first, last = self.spans.get(root, (start, end))
            self.spans[root] = [min(first, start), max(last, end)]
        return number

    def root(self, number: int) -> tuple[int, int]:
        """The value that another is a part of, and where in it, in bytes."""
        total = 0
        while number in self._views:
            number, offset = self._views[number]
            total += offset
        return number, total

    def is_whole(self, number: int) -> bool:
        """True where a value is all of the one that it is a part of."""
        root, offset = self.root(number)
        return not offset and size_of(self.layouts[number]) == size_of(self.layouts[root])

    # Time -----------------------------------------------------------------------------------------

    def touch(self, numbers: Iterable[int]) -> None:
        """Values are made or read now."""
        for number in numbers:
            root = self.root(number)[0]
            span = self.spans.setdefault(root, [self._time, self._time])
            span[0] = min(span[0], self._time)
            span[1] = max(span[1], self._time)

    def stretch(self, numbers: Iterable[int], end: int) -> None:
        """Values live until a later time."""
        for number in numbers:
            span = self.spans[self.root(number)[0]]
            span[1] = max(span[1], end)

    def tick(self) -> int:
        """The next step begins."""
        self._time += 1
        return self._time

    # Instructions ---------------------------------------------------------------------------------

    def launch(self, launch: "Launch", args: Sequence[int], results: Sequence[int]) -> None:
        """Run a kernel."""
        self.tick()
        self.touch(args)
        for number, layout in zip(results, launch.outputs, strict=True):
            self.make(number, layout)
        self.code.append(Run(len(self.launches)))
        self.launches.append(launch)
        self.tables.append([*args, *results, *([SCRATCH] if launch.scratch else [])])

    def copy(self, target: int, source: int) -> None:
        """Write one value over another."""
        self.touch([target, source])
        size = size_of(self.layouts[target])
        if size and self.root(target) != self.root(source):
            self.code.append(Copy(target, source, size))

    def label(self) -> int:
        """A new place, not yet put anywhere."""
        self._labels += 1
        return self._labels

    def put(self, label: int | None = None) -> int:
        """Put a place, by default a new one, here."""
        label = self.label() if label is None else label
        self.code.append(Label(label))
        return label

    def jump(self, label: int, cost: int = 0) -> None:
        """Go on elsewhere."""
        self.code.append(Less(ALWAYS, 1, label, cost))

    def assembled(self) -> Assembly:
        """All of it as numbers, when nothing will be added any more."""
        slots: dict[int, list[tuple[int, int]]] = {}
        word = 0
        for numbers in self.tables:
            for number in numbers:
                if number != SCRATCH:
                    root, offset = self.root(number)
                    slots.setdefault(root, []).append((word, offset))
                word += 1
        assembly = Assembly(slots, word, self.root)
        assembly.add(self.code)
        return assembly

    # Memory ---------------------------------------------------------------------------------------

    def placed(self, elsewhere: Iterable[int]) -> tuple[dict[int, int], int]:
        """Places in one block for what is made here, but for values that lie elsewhere, and the
        size of the block."""
        left = self.made.difference(elsewhere)
        starting: dict[int, list[int]] = {}
        ending: dict[int, list[int]] = {}
        for number in sorted(left):
            start, end = self.spans[number]
            starting.setdefault(start, []).append(number)
            ending.setdefault(end, []).append(number)
        places: dict[int, int] = {}
        space = Space()
        for time in sorted({*starting, *ending}):
            for number in starting.get(time, ()):
                places[number] = space.take(lines(self.layouts[number]))
            for number in ending.get(time, ()):
                space.give_back(places[number], lines(self.layouts[number]))
        return places, space.size

    def fullest(self, places: Iterable[int]) -> list[int]:
        """Of the values that have places, those that live while most of the memory is in use."""
        order = sorted(places, key=lambda number: self.spans[number][0])
        living: list[int] = []
        found: list[int] = []
        most = 0
        for number in order:
            now = self.spans[number][0]
            living = [each for each in living if self.spans[each][1] >= now] + [number]
            size = sum(lines(self.layouts[each]) for each in living)
            if size > most:
                found, most = living, size
        return found

    @property
    def now(self) -> int:
        """The time."""
        return self._time


def lines(layout: Layout) -> int:
    """Bytes of a value, in whole lines."""
    return -(-size_of(layout) // LINE) * LINE


class Space:
    """Places in a block that grows: the smallest gap that fits is taken first."""

    def __init__(self) -> None:
        self.size = 0
        self.gaps: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        fitting = [gap for gap in self.gaps if gap[1] >= size]
        if fitting:
            place, length = min(fitting, key=lambda gap: gap[1])
            self.gaps.remove((place, length))
            if length > size:
                self.gaps.append((place + size, length - size))
            return place
        place = self.size
        for gap in self.gaps:
            # A gap at the end need only be made longer.
            if gap[0] + gap[1] == self.size:
                self.gaps.remove(gap)
                place = gap[0]
                break
        self.size = place + size
        return place

    def give_back(self, place: int, size: int) -> None:
        start, end = place, place + size
        for gap in list(self.gaps):
            if gap[0] + gap[1] == start:
                start = gap[0]
                self.gaps.remove(gap)
            elif gap[0] == end:
                end = gap[0] + gap[1]
                self.gaps.remove(gap)
        self.gaps.append((start, end - start))

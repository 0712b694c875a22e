"""What each step of a pipeline does to the elements before it.

    stage.cardinality             the number of elements, INFINITE or UNKNOWN
    stage.spec()                  the TensorSpecs of an element; may look at the first one
    stage.iterate(epoch, start)   the elements of one epoch, from place `start` on

A stage never changes. What it yields is a pure function of its settings and the epoch, as far as
the functions that users give it are; so any place of any epoch can be reached again. Starting at a
place costs nothing where elements can be counted without being made (arrays, maps, batches of
them), and a pass over the elements before it elsewhere.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.data import rows
from thalweg.data.background import fetched_ahead, mapped_in_threads
from thalweg.data.record import Record
from thalweg.data.rows import INFINITE, UNKNOWN, Column, Order, gather, pieces
from thalweg.data.storage import FileStore, MemoryStore
from thalweg.data.structure import (
    Structure,
    TensorSpec,
    as_array,
    as_leaf,
    fits,
    map_leaves,
    spec_of,
    spec_text,
    stack,
    structure_of,
    take_apart,
)
from thalweg.engine.tensor import Tensor


class Stage(Record):
    """A step of a pipeline; subclasses are frozen records of what they do."""

    @property
    def cardinality(self) -> int:
        """The number of elements, INFINITE or UNKNOWN."""
        return UNKNOWN

    def spec(self) -> Any:
        """The TensorSpecs of an element; here, those of the first one."""
        for element in self.iterate(0, 0):
            return spec_of(element)
        raise ArgumentError(
            explain("Dataset.element_spec", "a dataset that yields an element", "an empty one")
        )

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        """The elements of an epoch, from place `start` on."""
        raise NotImplementedError


# ---- sources -------------------------------------------------------------------------------------


class Rows(Stage):
    """The rows of arrays of equal length, in some order."""

    columns: tuple[Column, ...]
    structure: Structure
    order: Order

    @property
    def cardinality(self) -> int:
        return self.order.count

    def spec(self) -> Any:
        return self.structure.build(
            [TensorSpec(column.shape[1:], column.dtype) for column in self.columns]
        )

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        columns, build = self.columns, self.structure.build
        for block in self.blocks(epoch, start):
            if len(columns) == 1 and self.structure.kind is None:
                column = columns[0]
                for number in rows.numbers_of(block):
                    yield column[number]
            else:
                for number in rows.numbers_of(block):
                    yield build([column[number] for column in columns])

    def blocks(self, epoch: int, start: int) -> Iterator[rows.Block]:
        """The numbers of the rows from place `start` on."""
        order = rows.Part(self.order, start, None) if start else self.order
        return order.blocks(epoch)

    def gather(self, block: rows.Block) -> Any:
        """One batch: the rows of a block."""
        return self.structure.build([gather(column, block) for column in self.columns])

    @property
    def is_straight(self) -> bool:
        """True when every row comes once, as it lies."""
        return isinstance(self.order, rows.Straight)


class Elements(Stage):
    """Elements at hand, in a sequence."""

    elements: Sequence[Any]

    @property
    def cardinality(self) -> int:
        return len(self.elements)

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return iter(self.elements[start:] if start else self.elements)


class Generated(Stage):
    """What a Python function yields; `signature` says what each element must be, if it is given."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    signature: Any = None

    def spec(self) -> Any:
        return self.signature if self.signature is not None else Stage.spec(self)

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        values = iter(self.function(*self.arguments))
        check = self._checker() if self.signature is not None else None
        for index, value in enumerate(values):
            if index < start:
                continue
            yield map_leaves(as_leaf, value) if check is None else check(value, index)

    def _checker(self) -> Callable[[Any, int], Any]:
        specs, structure = take_apart(self.signature)

        def check(value: Any, index: int) -> Any:
            if isinstance(value, list) and structure.kind is not None:
                value = tuple(value)
            arrays = []
            for spec, leaf in zip(specs, structure.leaves(value), strict=True):
                array = as_array(leaf, "Dataset.from_generator")
                if not fits(spec.shape, array.shape):
                    received = f"shape {array.shape} in element {index}"
                    raise ShapeError(
                        explain(
                            "Dataset.from_generator",
                            f"what the generator yields to be {spec}",
                            received,
                            "Write None in output_signature for a size that varies.",
                        )
                    )
                arrays.append(array if array.dtype == spec.dtype else array.astype(spec.dtype))
            return structure.build(arrays)

        return check


# ---- functions of elements -----------------------------------------------------------------------


def call(function: Callable[..., Any], element: Any) -> Any:
    """A user's function of an element: a tuple is spread over its arguments."""
    return function(*element) if isinstance(element, tuple) else function(element)


def note(error: Exception, step: str, element: Any, place: int) -> None:
    """Say on an error from a user's function which element it was given."""
    error.add_note(f"in Dataset.{step}, at element {place}: {spec_text(spec_of(element))}")


class Mapped(Stage):
    """A function of each element; with `calls`, in that many threads."""

    inner: Stage
    function: Callable[..., Any]
    calls: int | None = None
    is_ordered: bool = True

    @property
    def cardinality(self) -> int:
        return self.inner.cardinality

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        numbered = enumerate(self.inner.iterate(epoch, start), start)
        if self.calls is None:
            return map(self._apply, numbered)
        return mapped_in_threads(self._apply, numbered, self.calls, self.is_ordered)

    def _apply(self, numbered: tuple[int, Any]) -> Any:
        place, element = numbered
        try:
            return map_leaves(as_leaf, call(self.function, element))
        except Exception as error:
            note(error, "map", element, place)
            raise


class Filtered(Stage):
    """The elements for which a function is true."""

    inner: Stage
    function: Callable[..., Any]

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return itertools.islice(self._kept(epoch), start, None)

    def _kept(self, epoch: int) -> Iterator[Any]:
        for place, element in enumerate(self.inner.iterate(epoch, 0)):
            try:
                is_kept = bool(call(self.function, element))
            except Exception as error:
                note(error, "filter", element, place)
                raise
            if is_kept:
                yield element


class TakenWhile(Stage):
    """The elements before the first for which a function is false."""

    inner: Stage
    function: Callable[..., Any]

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        inner = self.inner.iterate(epoch, 0)
        kept = itertools.takewhile(lambda element: bool(call(self.function, element)), inner)
        return itertools.islice(kept, start, None)


class Scanned(Stage):
    """`state, output = function(state, element)`: the outputs."""

    inner: Stage
    initial: Any
    function: Callable[[Any, Any], Any]

    @property
    def cardinality(self) -> int:
        return self.inner.cardinality

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return itertools.islice(self._outputs(epoch), start, None)

    def _outputs(self, epoch: int) -> Iterator[Any]:
        state = self.initial
        for element in self.inner.iterate(epoch, 0):
            state, output = self.function(state, element)
            yield map_leaves(as_leaf, output)


class Interleaved(Stage):
    """Elements of the datasets that a function makes of elements, a block from each in turn.

    `open` makes the stage of an element. `cycle` datasets are open at a time; one that has ended
    gives its place to the next when its turn comes. With `ahead`, each has a thread of its own
    that is so many elements ahead.
    """

    inner: Stage
    open: Callable[[Any, int], Stage]
    cycle: int
    block: int
    ahead: int | None = None

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return itertools.islice(self._interleaved(epoch), start, None)

    def _interleaved(self, epoch: int) -> Iterator[Any]:
        inputs = enumerate(self.inner.iterate(epoch, 0))
        slots: list[Iterator[Any] | None] = [None] * self.cycle
        running = 0
        has_input = True
        turn = 0
        while has_input or running:
            values = slots[turn]
            if values is None and has_input:
                numbered = next(inputs, None)
                if numbered is None:
                    has_input = False
                    continue
                place, element = numbered
                values = slots[turn] = self._start(self.open(element, place), epoch)
                running += 1
            if values is not None:
                count = 0
                for value in itertools.islice(values, self.block):
                    yield value
                    count += 1
                if count < self.block:
                    slots[turn] = None
                    running -= 1
            turn = (turn + 1) % self.cycle

    def _start(self, stage: Stage, epoch: int) -> Iterator[Any]:
        if self.ahead is None:
            return stage.iterate(epoch, 0)
        return fetched_ahead(lambda: stage.iterate(epoch, 0), self.ahead)


# ---- order and number ----------------------------------------------------------------------------


class Shuffled(Stage):
    """The elements in random order, with at most `size` of them held at a time."""

    inner: Stage
    size: int
    seed: int
    reshuffles: bool

    @property
    def cardinality(self) -> int:
        return self.inner.cardinality

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        mixing = epoch if self.reshuffles else 0
        mixed = rows.shuffled(self.inner.iterate(epoch, 0), self.size, self.seed, mixing)
        return itertools.islice(mixed, start, None)


class Part(Stage):
    """Every `step`-th element from place `first` on, before place `stop` (None: to the end)."""

    inner: Stage
    first: int
    stop: int | None
    step: int = 1

    @property
    def cardinality(self) -> int:
        count = self.inner.cardinality
        if count >= 0:
            return len(range(count)[self.first : self.stop : self.step])
        if count == INFINITE and self.stop is not None:
            return len(range(self.first, self.stop, self.step))
        return count

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        first = self.first + start * self.step
        if self.stop is not None and first >= self.stop:
            return iter(())
        length = None if self.stop is None else self.stop - first
        return itertools.islice(self.inner.iterate(epoch, first), 0, length, self.step)


class Repeated(Stage):
    """The elements again and again, each time as in a new epoch."""

    inner: Stage
    passes: int

    @property
    def cardinality(self) -> int:
        count = self.inner.cardinality
        if 0 in (self.passes, count):
            return 0
        if count == UNKNOWN and self.passes != INFINITE:
            return UNKNOWN
        return INFINITE if INFINITE in (self.passes, count) else count * self.passes

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        count = self.inner.cardinality
        if count > 0:
            return self._passes(epoch, *divmod(start, count))
        return itertools.islice(self._passes(epoch, 0, 0), start, None)

    def _passes(self, epoch: int, index: int, start: int) -> Iterator[Any]:
        while self.passes == INFINITE or index < self.passes:
            is_empty = True
            for element in self.inner.iterate(rows.epoch_of_pass(epoch, self.passes, index), start):
                is_empty = False
                yield element
            if is_empty and self.passes == INFINITE:
                return
            index, start = index + 1, 0


class Zipped(Stage):
    """One element of each dataset together, until the shortest ends."""

    stages: tuple[Stage, ...]
    structure: Structure

    @property
    def cardinality(self) -> int:
        counts = [stage.cardinality for stage in self.stages]
        finite = [count for count in counts if count >= 0]
        if UNKNOWN in counts:
            return UNKNOWN
        return min(finite) if finite else INFINITE

    def spec(self) -> Any:
        return self.structure.build([stage.spec() for stage in self.stages])

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        parts = [stage.iterate(epoch, start) for stage in self.stages]
        return map(self.structure.build, zip(*parts, strict=False))


class Concatenated(Stage):
    """The elements of one dataset, then those of another."""

    first: Stage
    second: Stage

    @property
    def cardinality(self) -> int:
        counts = (self.first.cardinality, self.second.cardinality)
        if INFINITE in counts:
            return INFINITE
        return UNKNOWN if UNKNOWN in counts else sum(counts)

    def spec(self) -> Any:
        return self.first.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        count = self.first.cardinality
        if 0 <= count <= start:
            return self.second.iterate(epoch, start - count)
        if count >= 0:
            return itertools.chain(self.first.iterate(epoch, start), Later(self.second, epoch, 0))
        both = itertools.chain(self.first.iterate(epoch, 0), Later(self.second, epoch, 0))
        return itertools.islice(both, start, None)


class Later(Record):
    """A pass that begins when its first element is asked for."""

    stage: Stage
    epoch: int
    start: int

    def __iter__(self) -> Iterator[Any]:
        return self.stage.iterate(self.epoch, self.start)


class Unique(Stage):
    """Each element once, where it comes first."""

    inner: Stage

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return itertools.islice(self._firsts(epoch), start, None)

    def _firsts(self, epoch: int) -> Iterator[Any]:
        seen = set()
        for element in self.inner.iterate(epoch, 0):
            array = as_array(element, "Dataset.unique")
            if array.ndim:
                raise ShapeError(
                    explain(
                        "Dataset.unique", "single numbers or strings", spec_text(spec_of(array))
                    )
                )
            if array.item() not in seen:
                seen.add(array.item())
                yield element


class Chosen(Stage):
    """Elements of several datasets, one at a time, from the one that a stream of numbers names."""

    stages: tuple[Stage, ...]
    choices: Stage
    stops_on_empty: bool

    def spec(self) -> Any:
        return self.stages[0].spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return itertools.islice(self._chosen(epoch), start, None)

    def _chosen(self, epoch: int) -> Iterator[Any]:
        parts: list[Iterator[Any] | None] = [stage.iterate(epoch, 0) for stage in self.stages]
        for choice in self.choices.iterate(epoch, 0):
            number = int(choice)
            if not 0 <= number < len(parts):
                raise ArgumentError(
                    explain(
                        "Dataset.choose_from_datasets",
                        f"choices from 0 to {len(parts) - 1}, one for each dataset",
                        str(number),
                    )
                )
            part = parts[number]
            if part is None:
                continue
            element = next(part, Chosen)
            if element is not Chosen:
                yield element
                continue
            parts[number] = None
            if self.stops_on_empty or all(each is None for each in parts):
                return


class Drawn(Stage):
    """An endless stream of numbers below `len(weights)`, each as often as its weight says."""

    weights: tuple[float, ...]
    seed: int
    redraws: bool

    @property
    def cardinality(self) -> int:
        return INFINITE

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        generator = np.random.default_rng((self.seed, epoch if self.redraws else 0, 2))
        bounds = np.cumsum(self.weights)
        while True:
            drawn = np.searchsorted(bounds, generator.random(rows.DRAWS) * bounds[-1], "right")
            yield from np.minimum(drawn, len(bounds) - 1).tolist()


# ---- batches -------------------------------------------------------------------------------------


def batch_count(count: int, size: int, drop_remainder: bool) -> int:
    """The number of batches of so many elements."""
    if count < 0:
        return count
    return count // size if drop_remainder else -(-count // size)


def with_batch_axis(spec: Any, size: int | None) -> Any:
    """The specification of a batch of elements."""
    return map_leaves(lambda leaf: leaf.batched(size), spec)


class Batched(Stage):
    """`size` elements at a time, as the rows of arrays."""

    inner: Stage
    size: int
    drop_remainder: bool
    calls: int | None = None
    is_ordered: bool = True

    @property
    def cardinality(self) -> int:
        return batch_count(self.inner.cardinality, self.size, self.drop_remainder)

    def spec(self) -> Any:
        return with_batch_axis(self.inner.spec(), self.size if self.drop_remainder else None)

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        groups: Iterator[Any]
        if isinstance(self.inner, Rows):
            join: Callable[[Any], Any] = self.inner.gather
            blocks = self.inner.blocks(epoch, start * self.size)
            groups = pieces(blocks, self.size, self.drop_remainder)
        else:
            join = collate
            elements = self.inner.iterate(epoch, start * self.size)
            groups = grouped(elements, self.size, self.drop_remainder)
        if self.calls is None:
            return map(join, groups)
        return mapped_in_threads(join, groups, self.calls, self.is_ordered)


def grouped(elements: Iterator[Any], size: int, drop_remainder: bool) -> Iterator[list[Any]]:
    """Lists of `size` elements; the last may be shorter, and is left out on demand."""
    while group := list(itertools.islice(elements, size)):
        if len(group) == size or not drop_remainder:
            yield group


def collate(elements: Sequence[Any]) -> Any:
    """One batch of elements of equal shapes."""
    structure = structure_of(elements[0])
    if structure.kind is None:
        return stack(elements, "Dataset.batch")
    parts = zip(*[structure.leaves(element) for element in elements], strict=True)
    return structure.build([stack(values, "Dataset.batch") for values in parts])


class PaddedBatches(Stage):
    """`size` elements at a time, each array filled up to a common shape.

    `shapes` and `fillings` are what the user gave, one structure or value for all the parts.
    """

    inner: Stage
    size: int
    shapes: Any
    fillings: Any
    drop_remainder: bool

    @property
    def cardinality(self) -> int:
        return batch_count(self.inner.cardinality, self.size, self.drop_remainder)

    def spec(self) -> Any:
        leaves, structure = take_apart(self.inner.spec())
        first = self.size if self.drop_remainder else None
        shapes = shapes_of(self.shapes, structure)
        specs = []
        for leaf, shape in zip(leaves, shapes, strict=True):
            if shape is None and leaf.shape is not None:
                shape = (None,) * len(leaf.shape)
            specs.append(TensorSpec(shape, leaf.dtype).batched(first))
        return structure.build(specs)

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        elements = self.inner.iterate(epoch, start * self.size)
        return map(self._join, grouped(elements, self.size, self.drop_remainder))

    def _join(self, elements: Sequence[Any]) -> Any:
        structure = structure_of(elements[0])
        shapes = shapes_of(self.shapes, structure)
        fillings = fillings_of(self.fillings, structure)
        parts = zip(*[structure.leaves(element) for element in elements], strict=True)
        batches = [
            padded(values, shape, filling)
            for values, shape, filling in zip(parts, shapes, fillings, strict=True)
        ]
        return structure.build(batches)


def shapes_of(shapes: Any, structure: Structure) -> list[tuple[int | None, ...] | None]:
    """The shape to pad each leaf to; None leaves every size to the longest in the batch."""
    if shapes is None:
        return [None] * structure.count
    if structure.kind is None:
        return [_as_shape(shapes)]
    return [_as_shape(shape) for shape in _parts(shapes, structure, "padded_shapes")]


def _parts(values: Any, structure: Structure, name: str) -> list[Any]:
    if structure.kind is None:
        return [values]
    if structure.kind is dict:
        fits_well = isinstance(values, dict) and values.keys() == set(structure.keys)
        inner = [values[key] for key in structure.keys] if fits_well else []
    else:
        fits_well = isinstance(values, (tuple, list)) and len(values) == len(structure.children)
        inner = list(values) if fits_well else []
    if not fits_well:
        raise ArgumentError(
            explain(
                "Dataset.padded_batch",
                f"{name} of the structure of the elements, {structure}",
                repr(values),
            )
        )
    pairs = zip(inner, structure.children, strict=True)
    return [part for each, child in pairs for part in _parts(each, child, name)]


def _as_shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape is None:
        return None
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    return tuple(None if size is None or size == -1 else int(size) for size in shape)


def fillings_of(fillings: Any, structure: Structure) -> list[Any]:
    """The value to pad each leaf with; None stands for zero, or for the empty string."""
    if isinstance(fillings, (tuple, list, dict)):
        return _parts(fillings, structure, "padding_values")
    return [fillings] * structure.count


def padded(values: Sequence[Any], shape: tuple[int | None, ...] | None, filling: Any) -> np.ndarray:
    """One array of arrays of different sizes, with `filling` where they are too short."""
    arrays = [as_array(value, "Dataset.padded_batch") for value in values]
    rank = arrays[0].ndim
    if any(array.ndim != rank for array in arrays) or (shape is not None and len(shape) != rank):
        shapes = ", ".join(str(array.shape) for array in arrays[:4])
        wanted = "arrays of equal rank" if shape is None else f"arrays of the rank of {shape}"
        raise ShapeError(explain("Dataset.padded_batch", wanted, f"shapes {shapes}"))
    longest = [max(sizes) for sizes in zip(*(array.shape for array in arrays), strict=True)]
    for axis, size in enumerate(shape or ()):
        if size is None:
            continue
        if longest[axis] > size:
            raise ShapeError(
                explain(
                    "Dataset.padded_batch",
                    f"at most {size} along axis {axis}, as padded_shapes {shape} says",
                    f"an element with {longest[axis]}",
                    "Write None there to pad to the longest in the batch, or cut it in a map.",
                )
            )
        longest[axis] = size
    dtype = arrays[0].dtype
    if dtype.kind in "US":
        dtype = np.result_type(*arrays)
    if filling is None:
        filling = "" if dtype.kind in "US" else 0
    result = np.full((len(arrays), *longest), filling, dtype)
    for row, array in enumerate(arrays):
        corner: Any = (row, *(slice(size) for size in array.shape))
        result[corner] = array
    return result


class Unbatched(Stage):
    """The rows of each element's arrays, one at a time."""

    inner: Stage

    def spec(self) -> Any:
        return map_leaves(TensorSpec.row, self.inner.spec())

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return itertools.islice(self._rows(epoch), start, None)

    def _rows(self, epoch: int) -> Iterator[Any]:
        for element in self.inner.iterate(epoch, 0):
            arrays, structure = batch_arrays(element, "Dataset.unbatch")
            if structure.kind is None:
                yield from arrays[0]
            else:
                for row in zip(*arrays, strict=True):
                    yield structure.build(row)


class Rebatched(Stage):
    """The rows of each element's arrays in batches of other sizes, which take turns."""

    inner: Stage
    sizes: tuple[int, ...]
    drop_remainder: bool

    def spec(self) -> Any:
        size = self.sizes[0] if self.drop_remainder and len(set(self.sizes)) == 1 else None
        return map_leaves(lambda leaf: leaf.row().batched(size), self.inner.spec())

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return itertools.islice(self._batches(epoch), start, None)

    def _batches(self, epoch: int) -> Iterator[Any]:
        sizes = itertools.cycle(self.sizes)
        size = next(sizes)
        held: list[list[np.ndarray]] = []
        count = 0
        structure = None
        for element in self.inner.iterate(epoch, 0):
            arrays, structure = batch_arrays(element, "Dataset.rebatch")
            place, length = 0, len(arrays[0])
            while count + length - place >= size:
                stop = place + size - count
                held.append([array[place:stop] for array in arrays])
                yield self._join(held, structure)
                held, count, place = [], 0, stop
                size = next(sizes)
            if place < length:
                held.append([array[place:] for array in arrays])
                count += length - place
        if held and structure is not None and not self.drop_remainder:
            yield self._join(held, structure)

    def _join(self, held: list[list[np.ndarray]], structure: Structure) -> Any:
        if len(held) == 1:
            return structure.build(held[0])
        columns = zip(*held, strict=True)
        return structure.build([np.concatenate(parts) for parts in columns])


def batch_arrays(element: Any, where: str) -> tuple[list[np.ndarray], Structure]:
    """The arrays of a batch and its nesting. Raises ShapeError when they are not equally long."""
    leaves, structure = take_apart(element)
    arrays = [as_array(leaf, where) for leaf in leaves]
    lengths = {array.shape[0] if array.ndim else None for array in arrays}
    if len(lengths) != 1 or None in lengths:
        raise ShapeError(
            explain(where, "batches: arrays of equal length", spec_text(spec_of(element)))
        )
    return arrays, structure


class Windowed(Stage):
    """`size` elements at a time, `stride` apart, every `shift` elements: datasets of them.

    `make` turns a sequence of leaves into a dataset.
    """

    inner: Stage
    size: int
    shift: int
    stride: int
    drop_remainder: bool
    make: Callable[[Sequence[Any]], Any]

    @property
    def cardinality(self) -> int:
        count = self.inner.cardinality
        if count < 0:
            return count
        if self.drop_remainder:
            return max(0, (count - self.span) // self.shift + 1)
        return -(-count // self.shift)

    @property
    def span(self) -> int:
        """The number of elements from the first of a window to its last."""
        return (self.size - 1) * self.stride + 1

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        inner = self.inner.iterate(epoch, start * self.shift)
        held: deque[Any] = deque(itertools.islice(inner, self.span))
        while held:
            window = list(itertools.islice(held, 0, self.span, self.stride))
            if len(window) < self.size and self.drop_remainder:
                return
            yield self._datasets(window)
            kept = max(0, len(held) - self.shift)
            gap = self.shift - (len(held) - kept)
            while len(held) > kept:
                held.popleft()
            held.extend(itertools.islice(inner, gap, gap + self.span - kept))

    def _datasets(self, window: list[Any]) -> Any:
        structure = structure_of(window[0])
        if structure.kind is None:
            return self.make(window)
        parts = zip(*[structure.leaves(element) for element in window], strict=True)
        return structure.build([self.make(values) for values in parts])


# ---- where and when ------------------------------------------------------------------------------


class Prefetched(Stage):
    """The elements, made in a thread of their own that is at most `size` elements ahead."""

    inner: Stage
    size: int

    @property
    def cardinality(self) -> int:
        return self.inner.cardinality

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        return fetched_ahead(lambda: computed(self.inner.iterate(epoch, start)), self.size)


def computed(elements: Iterator[Any]) -> Iterator[Any]:
    """The elements with their tensors computed, so that nobody waits for them later."""
    for element in elements:
        map_leaves(compute, element)
        yield element


def compute(leaf: Any) -> None:
    """Compute a tensor that has no value yet."""
    if isinstance(leaf, Tensor) and not leaf.is_traced:
        leaf.numpy()


class Cached(Stage):
    """The elements of epoch 0, kept from the first whole pass on."""

    inner: Stage
    store: MemoryStore | FileStore

    @property
    def cardinality(self) -> int:
        count = self.inner.cardinality
        kept = self.store.count if count == UNKNOWN else None
        return count if kept is None else kept

    def spec(self) -> Any:
        return self.inner.spec()

    def iterate(self, epoch: int, start: int) -> Iterator[Any]:
        kept = self.store.read(start)
        if kept is not None:
            return kept
        return itertools.islice(self.store.write(self.inner.iterate(0, 0)), start, None)

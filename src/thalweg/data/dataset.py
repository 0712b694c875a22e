"""Dataset: elements from arrays, functions and files on their way to a training loop.

A dataset is a description; each method returns a new one. Iterating it makes its elements, one
after the other, in bounded memory. Elements are NumPy arrays in nested tuples and dicts. Names and
argument order are those of tf.data, so that programs read alike.

**Epochs.** The n-th time that a dataset is iterated is its epoch n, counted from 0. What comes is a
pure function of the description, its seeds and the epoch (as far as the functions given to it
are): `dataset.iterate(epoch=3)` yields what the fourth `for` loop over it would. So a run goes on
exactly where it stopped: keep `iterator.state`, two integers, and `resume(state)` in a dataset made
by the same program. Give `shuffle` a seed for that, or set one for the process; without either
every process draws its own. `repeat` gives each pass an epoch of its own, and `cache` keeps the
elements of epoch 0.
"""

import functools
import glob
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.data import rows, stages
from thalweg.data.background import AUTOTUNE
from thalweg.data.rows import INFINITE, UNKNOWN, Numbers
from thalweg.data.storage import FileStore, MemoryStore
from thalweg.data.structure import (
    LEAF,
    Structure,
    TensorSpec,
    as_array,
    as_leaf,
    as_numpy_dtype,
    dtype_text,
    map_leaves,
    take_apart,
)
from thalweg.engine.generator import default_generator


class DatasetIterator:
    """One pass over a dataset. `state` is where it stands; `close` stops its threads at once."""

    def __init__(self, stage: stages.Stage, epoch: int, position: int):
        self._values = stage.iterate(epoch, position)
        self._epoch = epoch
        self._position = position

    def __iter__(self) -> "DatasetIterator":
        return self

    def __next__(self) -> Any:
        value = next(self._values)
        self._position += 1
        return value

    @property
    def state(self) -> dict[str, int]:
        """The epoch and the number of its elements that were taken; `Dataset.resume` takes it."""
        return {"epoch": self._epoch, "position": self._position}

    def close(self) -> None:
        """Yield nothing more, and stop what works in the background."""
        self._values = iter(())


class Dataset:
    """A stream of elements; see the file's head. Made by `from_tensor_slices`, `range`, ...

    >>> import thalweg.data as data
    >>> dataset = data.Dataset.range(5).map(lambda number: number * 2).batch(2)
    >>> [batch.tolist() for batch in dataset]
    [[0, 2], [4, 6], [8]]
    """

    def __init__(self, stage: stages.Stage, text: str):
        self._stage = stage
        self._text = text
        self.epoch = 0
        """The epoch of the next iteration; set it to start elsewhere."""

    def _then(self, stage: stages.Stage, step: str, *given: Any, **options: Any) -> "Dataset":
        shown = [_show(value) for value in given]
        shown += [f"{name}={_show(value)}" for name, value in options.items() if value is not None]
        return Dataset(stage, f"{self._text}.{step}({', '.join(shown)})")

    def __repr__(self) -> str:
        return f"<Dataset {self._text}>"

    # Iterating ------------------------------------------------------------------------------------

    def __iter__(self) -> DatasetIterator:
        epoch = self.epoch
        self.epoch = epoch + 1
        return DatasetIterator(self._stage, epoch, 0)

    def iterate(self, epoch: int = 0, start: int = 0) -> DatasetIterator:
        """The elements of an epoch from place `start` on, whatever was iterated before."""
        epoch = _whole("iterate", "epoch", epoch, 0)
        return DatasetIterator(self._stage, epoch, _whole("iterate", "start", start, 0))

    def resume(self, state: dict[str, int]) -> DatasetIterator:
        """Go on from the `state` of an iterator; the next iteration is of the epoch after it."""
        iterator = self.iterate(state["epoch"], state["position"])
        self.epoch = iterator.state["epoch"] + 1
        return iterator

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements with every tensor in them as a NumPy array."""
        return map(_to_numpy, iter(self))

    def get_single_element(self) -> Any:
        """The only element. Raises ArgumentError when there are more or none."""
        elements = [element for _, element in zip(range(2), self, strict=False)]
        if len(elements) != 1:
            received = "one with more" if elements else "an empty one"
            raise ArgumentError(
                explain("Dataset.get_single_element", "a dataset of one element", received)
            )
        return elements[0]

    def cardinality(self) -> int:
        """The number of elements; INFINITE_CARDINALITY (-1) or UNKNOWN_CARDINALITY (-2)."""
        return self._stage.cardinality

    def __len__(self) -> int:
        count = self.cardinality()
        if count < 0:
            why = "an infinite one" if count == INFINITE else "one whose length is not known"
            do = "Count while iterating, or cut it with take(count)."
            raise ArgumentTypeError(explain("len", "a dataset of known length", why, do))
        return count

    def __bool__(self) -> bool:
        return True

    @functools.cached_property
    def element_spec(self) -> Any:
        """The TensorSpecs of an element, in its nesting; None stands for a size that varies.

        After `map`, `flat_map` and sources without a signature, the first element is made to look
        at it; the sizes are then those of that element.
        """
        return self._stage.spec()

    # Sources --------------------------------------------------------------------------------------

    @staticmethod
    def from_tensor_slices(tensors: Any) -> "Dataset":
        """The rows of arrays: nested tuples and dicts of arrays, tensors, pandas columns or lists.

        Shuffling and batching such a dataset gathers whole batches. The arrays are not copied.
        Raises ShapeError when their lengths differ.
        """
        leaves, structure = take_apart(tensors)
        where = "Dataset.from_tensor_slices"
        columns = [_read_only(as_array(leaf, where)) for leaf in leaves]
        shapes = structure.text([_array_text(column) for column in columns])
        if not columns:
            raise ArgumentError(explain(where, "at least one array", repr(tensors)))
        if any(column.ndim == 0 for column in columns):
            do = "Write from_tensors for a single element."
            raise ShapeError(explain(where, "arrays with a first axis to slice", shapes, do))
        if len({len(column) for column in columns}) > 1:
            do = "Cut them to one length first: x[:n]."
            raise ShapeError(explain(where, "arrays with first axes of equal length", shapes, do))
        order = rows.Straight(len(columns[0]))
        stage = stages.Rows(tuple(columns), structure, order)
        return Dataset(stage, f"from_tensor_slices({shapes})")

    @staticmethod
    def from_tensors(tensors: Any) -> "Dataset":
        """A single element."""
        return Dataset(stages.Elements([map_leaves(as_leaf, tensors)]), "from_tensors(...)")

    @staticmethod
    def from_generator(
        generator: Callable[..., Iterable[Any]],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Sequence[Any] | None = None,
        output_signature: Any = None,
    ) -> "Dataset":
        """What a function yields; it is called anew for each epoch, with `args`.

        `output_signature`, TensorSpecs in the nesting of an element, makes every element be checked
        and cast; `output_types` and `output_shapes` are the two halves of one.
        """
        where = "Dataset.from_generator"
        if not callable(generator):
            do = "Write lambda: values, so that every epoch starts anew."
            raise ArgumentTypeError(explain(where, "a function that yields", repr(generator), do))
        if output_types is not None:
            if output_signature is not None:
                both = "output_types and output_signature"
                raise ArgumentError(explain(where, "one description of the elements", both))
            output_signature = _signature(output_types, output_shapes)
        stage = stages.Generated(generator, tuple(args or ()), output_signature)
        return Dataset(stage, f"from_generator({_show(generator)})")

    @staticmethod
    def range(*args: int, output_type: Any = np.int64) -> "Dataset":
        """Integers, as Python's `range` counts them; they are computed, not stored."""
        numbers = range(*[_whole("range", "bound", bound, None) for bound in args])
        column = Numbers(numbers, as_numpy_dtype(output_type))
        stage = stages.Rows((column,), LEAF, rows.Straight(len(numbers)))
        return Dataset(stage, f"range({', '.join(map(str, args))})")

    @staticmethod
    def list_files(
        file_pattern: str | Sequence[str], shuffle: bool | None = None, seed: int | None = None
    ) -> "Dataset":
        """The paths that match a pattern or several, in another random order each epoch.

        With shuffle=False they are sorted. Raises ArgumentError when nothing matches.
        """
        patterns = [file_pattern] if isinstance(file_pattern, str) else list(file_pattern)
        paths = sorted({path for pattern in patterns for path in glob.glob(pattern)})
        if not paths:
            raise ArgumentError(
                explain("Dataset.list_files", "a pattern that matches files", repr(file_pattern))
            )
        dataset = Dataset.from_tensor_slices(np.array(paths))
        return dataset if shuffle is False else dataset.shuffle(len(paths), seed)

    @staticmethod
    def zip(*args: Any, datasets: Any = None) -> "Dataset":
        """One element of each dataset together, until the shortest ends.

        Takes datasets, or one nested tuple or dict of them.
        """
        nested = datasets if datasets is not None else args[0] if len(args) == 1 else args
        if isinstance(nested, list):
            nested = tuple(nested)
        leaves, structure = take_apart(nested)
        for leaf in leaves:
            _expect_dataset("zip", leaf)
        if not leaves:
            raise ArgumentError(explain("Dataset.zip", "at least one dataset", repr(nested)))
        text = f"zip({structure.text([leaf._text for leaf in leaves])})"
        sources = [leaf._stage for leaf in leaves]
        if all(isinstance(source, stages.Rows) and source.is_straight for source in sources):
            return Dataset(_side_by_side(sources, structure), text)
        return Dataset(stages.Zipped(tuple(sources), structure), text)

    @staticmethod
    def sample_from_datasets(
        datasets: Sequence["Dataset"],
        weights: Sequence[float] | None = None,
        seed: int | None = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: bool | None = None,
    ) -> "Dataset":
        """Elements of several datasets, each drawn with a probability in proportion to its weight.

        Goes on until all have ended, or with `stop_on_empty_dataset` until the first has.
        """
        where = "Dataset.sample_from_datasets"
        for dataset in datasets:
            _expect_dataset("sample_from_datasets", dataset)
        shares = [1.0] * len(datasets) if weights is None else [float(share) for share in weights]
        if len(shares) != len(datasets) or not sum(shares) > 0 or min(shares) < 0:
            wanted = f"{len(datasets)} weights of at least zero, not all of them zero"
            raise ArgumentError(explain(where, wanted, repr(weights)))
        redraws = rerandomize_each_iteration is not False
        drawn = stages.Drawn(tuple(shares), _seed(seed), redraws)
        inner = tuple(dataset._stage for dataset in datasets)
        stage = stages.Chosen(inner, drawn, stop_on_empty_dataset)
        return Dataset(stage, f"sample_from_datasets({len(inner)} datasets)")

    @staticmethod
    def choose_from_datasets(
        datasets: Sequence["Dataset"],
        choice_dataset: "Dataset",
        stop_on_empty_dataset: bool = True,
    ) -> "Dataset":
        """Elements of several datasets, each from the one whose number comes next."""
        for dataset in (*datasets, choice_dataset):
            _expect_dataset("choose_from_datasets", dataset)
        inner = tuple(dataset._stage for dataset in datasets)
        stage = stages.Chosen(inner, choice_dataset._stage, stop_on_empty_dataset)
        return Dataset(stage, f"choose_from_datasets({len(inner)} datasets)")

    # Functions of elements ------------------------------------------------------------------------

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
    ) -> "Dataset":
        """A function of each element; a tuple is spread over its arguments.

        It returns arrays, tensors, numbers or lists in nested tuples and dicts. With
        `num_parallel_calls` it runs in that many threads (AUTOTUNE: one for each core); results
        keep their order unless deterministic=False. An error in it says which element it was given.
        """
        calls = _calls("map", num_parallel_calls)
        stage = stages.Mapped(
            self._stage, _function("map", map_func), calls, deterministic is not False
        )
        return self._then(stage, "map", map_func, num_parallel_calls=num_parallel_calls)

    def filter(self, predicate: Callable[..., Any]) -> "Dataset":
        """The elements for which a function is true."""
        stage = stages.Filtered(self._stage, _function("filter", predicate))
        return self._then(stage, "filter", predicate)

    def take_while(self, predicate: Callable[..., Any]) -> "Dataset":
        """The elements before the first for which a function is false."""
        stage = stages.TakenWhile(self._stage, _function("take_while", predicate))
        return self._then(stage, "take_while", predicate)

    def scan(self, initial_state: Any, scan_func: Callable[[Any, Any], Any]) -> "Dataset":
        """`state, output = scan_func(state, element)` for each element: the outputs."""
        stage = stages.Scanned(self._stage, initial_state, _function("scan", scan_func))
        return self._then(stage, "scan", scan_func)

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any]) -> Any:
        """The last state of `state = reduce_func(state, element)` over the elements."""
        return functools.reduce(_function("reduce", reduce_func), iter(self), initial_state)

    def flat_map(self, map_func: Callable[..., "Dataset"]) -> "Dataset":
        """The elements of the datasets that a function makes of each element, one by one."""
        stage = stages.Interleaved(self._stage, _opener("flat_map", map_func), 1, 1)
        return self._then(stage, "flat_map", map_func)

    def interleave(
        self,
        map_func: Callable[..., "Dataset"],
        cycle_length: int | None = None,
        block_length: int | None = None,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
    ) -> "Dataset":
        """Blocks of `block_length` elements, in turn from `cycle_length` datasets at a time.

        A function makes the datasets of the elements. Four are open by default, on every machine,
        so that the order is the same everywhere. With `num_parallel_calls` each is read ahead in a
        thread of its own; the order stays, whatever `deterministic` says.
        """
        cycle = 4 if cycle_length in (None, AUTOTUNE) else cycle_length
        cycle = _whole("interleave", "cycle_length", cycle, 1)
        block = 1 if block_length is None else _whole("interleave", "block_length", block_length, 1)
        ahead = None if _calls("interleave", num_parallel_calls) is None else max(block, 2)
        opener = _opener("interleave", map_func)
        stage = stages.Interleaved(self._stage, opener, cycle, block, ahead)
        return self._then(stage, "interleave", map_func, cycle_length=cycle, block_length=block)

    def apply(self, transformation_func: Callable[["Dataset"], "Dataset"]) -> "Dataset":
        """What a function makes of this dataset."""
        return _expect_dataset("apply", transformation_func(self))

    # Order and number -----------------------------------------------------------------------------

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
    ) -> "Dataset":
        """The elements in random order, as a buffer of `buffer_size` of them mixes the stream.

        A buffer as large as the dataset makes every order equally likely. Each epoch has another
        order, unless reshuffle_each_iteration=False. Without a seed one is drawn from the process'
        generator when the dataset is made.
        """
        size = _whole("shuffle", "buffer_size", buffer_size, 1)
        reshuffles = reshuffle_each_iteration is not False
        stage = self._stage
        shuffled: stages.Stage
        if isinstance(stage, stages.Rows):
            shuffled = _in_order(stage, rows.Shuffled(stage.order, size, _seed(seed), reshuffles))
        else:
            shuffled = stages.Shuffled(stage, size, _seed(seed), reshuffles)
        return self._then(shuffled, "shuffle", size, seed=seed)

    def repeat(self, count: int | None = None) -> "Dataset":
        """The elements `count` times, each time as in a new epoch; endlessly for None and -1."""
        passes = INFINITE if count is None else _whole("repeat", "count", count, -1)
        stage = self._stage
        repeated: stages.Stage
        if isinstance(stage, stages.Rows):
            repeated = _in_order(stage, rows.Repeated(stage.order, passes))
        else:
            repeated = stages.Repeated(stage, passes)
        return self._then(repeated, "repeat", *([] if passes == INFINITE else [passes]))

    def take(self, count: int) -> "Dataset":
        """The first `count` elements; all for -1."""
        count = _whole("take", "count", count, -1)
        return self._then(self._part(0, None if count == -1 else count), "take", count)

    def skip(self, count: int) -> "Dataset":
        """The elements after the first `count`; none for -1."""
        count = _whole("skip", "count", count, -1)
        part = self._part(0, 0) if count == -1 else self._part(count, None)
        return self._then(part, "skip", count)

    def shard(self, num_shards: int, index: int) -> "Dataset":
        """Every `num_shards`-th element from element `index` on: the share of one of several.

        Shard before shuffling, or shuffle with the same seed in each.
        """
        shards = _whole("shard", "num_shards", num_shards, 1)
        index = _whole("shard", "index", index, 0)
        if index >= shards:
            wanted = f"an index below num_shards={shards}"
            raise ArgumentError(explain("Dataset.shard", wanted, f"index={index}"))
        return self._then(self._part(index, None, shards), "shard", shards, index)

    def _part(self, first: int, stop: int | None, step: int = 1) -> stages.Stage:
        stage = self._stage
        if isinstance(stage, stages.Rows):
            return _in_order(stage, rows.Part(stage.order, first, stop, step))
        return stages.Part(stage, first, stop, step)

    def enumerate(self, start: int = 0) -> "Dataset":
        """Pairs of a number, counted from `start`, and an element."""
        start = _whole("enumerate", "start", start, None)
        stage = self._stage
        count = stage.cardinality
        pair = Structure(tuple, (), (LEAF, LEAF), True)
        numbers = Dataset.range(start, start + (count if count >= 0 else 1 << 62))
        if isinstance(stage, stages.Rows) and stage.is_straight:
            numbered: stages.Stage = _side_by_side([numbers._stage, stage], pair)
        else:
            numbered = stages.Zipped((numbers._stage, stage), pair)
        return self._then(numbered, "enumerate", *([start] if start else []))

    def concatenate(self, dataset: "Dataset") -> "Dataset":
        """The elements of this dataset, then those of another."""
        other = _expect_dataset("concatenate", dataset)
        stage = stages.Concatenated(self._stage, other._stage)
        return self._then(stage, "concatenate", dataset)

    def unique(self) -> "Dataset":
        """Each element once, where it comes first; they are single numbers or strings."""
        return self._then(stages.Unique(self._stage), "unique")

    # Batches --------------------------------------------------------------------------------------

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
    ) -> "Dataset":
        """`batch_size` elements at a time, as the rows of arrays.

        The last batch is smaller when the elements do not come out even; `drop_remainder` leaves it
        out. Raises ShapeError, while iterating, when shapes differ.
        """
        size = _whole("batch", "batch_size", batch_size, 1)
        calls = _calls("batch", num_parallel_calls)
        is_ordered = deterministic is not False
        stage = stages.Batched(self._stage, size, bool(drop_remainder), calls, is_ordered)
        return self._then(stage, "batch", size, drop_remainder=drop_remainder or None)

    def padded_batch(
        self,
        batch_size: int,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
    ) -> "Dataset":
        """`batch_size` elements at a time, each array filled up to a common shape.

        `padded_shapes` has a shape for each part, in the nesting of an element; None or -1 in it,
        or no shape, pads to the longest in the batch. `padding_values` is one value or one for each
        part; zero, or the empty string, by default. Raises ShapeError, while iterating, for an
        element that is too long.
        """
        size = _whole("padded_batch", "batch_size", batch_size, 1)
        stage = stages.PaddedBatches(
            self._stage, size, padded_shapes, padding_values, bool(drop_remainder)
        )
        return self._then(stage, "padded_batch", size, padded_shapes=padded_shapes)

    def unbatch(self) -> "Dataset":
        """The rows of each element's arrays, one at a time: undoes `batch`."""
        return self._then(stages.Unbatched(self._stage), "unbatch")

    def rebatch(self, batch_size: int | Sequence[int], drop_remainder: bool = False) -> "Dataset":
        """The rows of each element's arrays in batches of another size.

        Several sizes take turns.
        """
        given = batch_size if isinstance(batch_size, (list, tuple)) else (batch_size,)
        sizes = tuple(_whole("rebatch", "batch_size", size, 1) for size in given)
        if not sizes:
            raise ArgumentError(explain("Dataset.rebatch", "a batch size", repr(batch_size)))
        stage = stages.Rebatched(self._stage, sizes, bool(drop_remainder))
        return self._then(stage, "rebatch", batch_size)

    def window(
        self,
        size: int,
        shift: int | None = None,
        stride: int = 1,
        drop_remainder: bool = False,
    ) -> "Dataset":
        """Datasets of `size` elements, `stride` apart, that begin every `shift` elements.

        Each part of an element becomes a dataset of its own. `shift` is `size` by default. Batch
        them in a `flat_map`: `window(3, shift=1).flat_map(lambda part: part.batch(3))`.
        """
        size = _whole("window", "size", size, 1)
        shift = size if shift is None else _whole("window", "shift", shift, 1)
        stride = _whole("window", "stride", stride, 1)
        stage = stages.Windowed(self._stage, size, shift, stride, bool(drop_remainder), _window)
        return self._then(stage, "window", size, shift, stride)

    # Where and when -------------------------------------------------------------------------------

    def prefetch(self, buffer_size: int) -> "Dataset":
        """The elements, made in a thread of their own that is at most `buffer_size` ahead.

        AUTOTUNE is two ahead. The thread ends when the elements do, or when the loop that takes
        them is left; errors are raised in that loop, with the traceback from where they happened.
        """
        size = _whole("prefetch", "buffer_size", buffer_size, -1)
        if size == 0:
            return self._then(self._stage, "prefetch", 0)
        return self._then(stages.Prefetched(self._stage, size), "prefetch", size)

    def cache(self, filename: str = "") -> "Dataset":
        """The elements, made once and kept: in memory, or in a file that later runs read too.

        They are kept when a whole pass has been made, and are those of epoch 0: shuffle after it,
        not before. A file holds NumPy arrays in plain tuples and dicts, appears whole or not at
        all, and is not checked against the pipeline: delete it when that changes.
        """
        stage = self._stage
        if not filename and isinstance(stage, stages.Rows) and stage.is_straight:
            return self._then(stage, "cache")
        store = FileStore(str(filename)) if filename else MemoryStore()
        cached = stages.Cached(stage, store)
        return self._then(cached, "cache", *([str(filename)] if filename else []))


# ---- arguments -----------------------------------------------------------------------------------


def _whole(step: str, name: str, value: Any, least: int | None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or (least is not None and number < least):
        wanted = f"{name} to be a whole number" + ("" if least is None else f", {least} or more")
        raise ArgumentError(explain(f"Dataset.{step}", wanted, f"{name}={value!r}"))
    return number


def _calls(step: str, calls: int | None) -> int | None:
    if calls is None or calls == AUTOTUNE:
        return calls
    return _whole(step, "num_parallel_calls", calls, 1)


def _function(step: str, function: Any) -> Callable[..., Any]:
    if not callable(function):
        raise ArgumentTypeError(explain(f"Dataset.{step}", "a function", repr(function)))
    return function


def _expect_dataset(step: str, value: Any) -> Dataset:
    if isinstance(value, Dataset):
        return value
    received = f"{_show(value)} of {type(value).__name__}"
    do = "Write Dataset.from_tensor_slices(x) for the rows of an array."
    raise ArgumentTypeError(explain(f"Dataset.{step}", "a Dataset", received, do))


def _opener(step: str, function: Any) -> Callable[[Any, int], stages.Stage]:
    checked = _function(step, function)

    def open(element: Any, place: int) -> stages.Stage:
        try:
            result = stages.call(checked, element)
        except Exception as error:
            stages.note(error, step, element, place)
            raise
        if not isinstance(result, Dataset):
            received = f"{_show(result)} of {type(result).__name__}"
            do = "Write Dataset.from_tensor_slices(x) for the rows of an array."
            wanted = "a function that returns a Dataset"
            raise ArgumentTypeError(explain(f"Dataset.{step}", wanted, received, do))
        return result._stage

    return open


def _seed(seed: int | None) -> int:
    """A seed of at most 64 bits; one drawn from the process' generator for None."""
    if seed is None:
        high, low = default_generator().next_key().numpy().tolist()
        return (high << 32) | low
    return _whole("shuffle", "seed", seed, None) % (1 << 64)


def _signature(types: Any, shapes: Any) -> Any:
    if isinstance(types, list):
        types = tuple(types)
    leaves, structure = take_apart(types)
    parts = stages.shapes_of(shapes, structure)
    return structure.build(
        [TensorSpec(shape, dtype) for shape, dtype in zip(parts, leaves, strict=True)]
    )


# ---- parts of stages -----------------------------------------------------------------------------


def _read_only(array: np.ndarray) -> np.ndarray:
    # A batch may be a view of it, and what a map writes there would change the user's data.
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


def _in_order(stage: stages.Rows, order: rows.Order) -> stages.Rows:
    return stages.Rows(stage.columns, stage.structure, order)


def _side_by_side(sources: Sequence[Any], structure: Structure) -> stages.Rows:
    columns = tuple(column for source in sources for column in source.columns)
    count = min(source.cardinality for source in sources)
    whole = structure.nested([source.structure for source in sources])
    return stages.Rows(columns, whole, rows.Straight(count))


def _window(values: Sequence[Any]) -> Dataset:
    return Dataset(stages.Elements(values), f"window({len(values)} elements)")


def _to_numpy(element: Any) -> Any:
    return map_leaves(lambda leaf: as_array(leaf, "Dataset.as_numpy_iterator"), element)


def _array_text(array: np.ndarray) -> str:
    return f"{dtype_text(array.dtype)}[{','.join(map(str, array.shape))}]"


def _show(value: Any) -> str:
    if isinstance(value, Dataset):
        return value._text
    name = getattr(value, "__name__", None)
    text = name if name is not None and callable(value) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


__all__ = ["INFINITE", "UNKNOWN", "Dataset", "DatasetIterator"]

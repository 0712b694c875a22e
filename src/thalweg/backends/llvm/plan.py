"""A program for one set of shapes: where its values lie in memory, and the calls that fill them.

    values between kernels       places in one block of memory, shared by values that do not meet
    kernels one after another    one native call that runs them all
    an operation without kernel  its NumPy definition, between two such calls

Each kernel finds the addresses of its arrays in a table. Those of the block never change; those of
the arguments, of the results and of what definitions give are entered at each run. Two threads that
run one plan at the same time have a block and a table each.
"""

import ctypes
import functools
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.backends.llvm import jit, objects, threads
from thalweg.backends.llvm.memory import LINE, empty, reserve
from thalweg.ir.function import all_nodes, inner_functions
from thalweg.ir.node import Node
from thalweg.ops.control import callback
from thalweg.passes.families import VIEWS
from thalweg.transforms.evaluate import concrete, prepared

if TYPE_CHECKING:
    from thalweg.backends.llvm.loops import Loop
    from thalweg.backends.llvm.program import Kernel, Step
    from thalweg.loops.nest import Nest

WORTH_THREADS = 1 << 16
"""Steps of the innermost body below which a kernel runs on the calling thread alone. Handing out
tasks takes some microseconds; a worker that sleeps comes when it can, nobody waits for it."""
TILED = 16
"""Steps of a tile that take the time of one elsewhere."""
KEPT_BYTES = 1 << 16
"""Values that need no input are computed once where they are at most so big."""
SCRATCH = -1
"""What stands for the memory of a thread's own in the list of a kernel's arrays."""
WORD = ctypes.sizeof(ctypes.c_void_p)

SHORT = 1 << 16
"""Steps up to which all kernels run within the call that enters addresses, while Python waits:
handing the interpreter to other threads and taking it back takes as long as some thousand."""

Layout = tuple[tuple[int, ...], np.dtype]


@functools.cache
def _chain() -> Callable[..., None]:
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return jit.callable_of("chain", objects.CHAIN, *[pointer] * 4, number, number)


class Launch:
    """A kernel with numbers for its named sizes, and its place in the list of kernels."""

    __slots__ = ("entry", "outputs", "scratch", "sizes", "tasks", "work")

    def __init__(self, kernel: "Kernel", sizes: Mapping[str, int]):
        values = [concrete(size, sizes) for size in kernel.sizes]
        self.entry = kernel.compiled()
        self.sizes = (ctypes.c_int64 * max(1, len(values)))(*values)
        self.tasks: int = concrete(kernel.tasks, sizes)
        self.scratch: int = concrete(kernel.scratch, sizes)
        self.work: int = sum(_work(nest, sizes) for nest in kernel.nests)
        self.outputs: list[Layout] = [
            (concrete(type.shape, sizes), type.dtype.numpy) for type in kernel.outputs
        ]


def _work(nest: "Nest", sizes: Mapping[str, int]) -> int:
    """How often the innermost bodies of a nest run; of a contraction, whose tiles have all that
    they need in registers, a part of that."""
    outer = nest.outer[1:] if nest.parts else nest.outer
    steps = math.prod(concrete(extent, sizes) for _, extent in (*outer, *nest.inner))
    if nest.rows and nest.reductions:
        return steps // TILED
    return steps * max(1, len(nest.reductions), len(nest.stores))


class Plan:
    """What a program does for arrays of one set of shapes.

    `bytes` is the size of the block that holds the values between its kernels, `scratch` what a
    thread needs besides, `defined_bytes` what definitions give at most at one time, and
    `result_bytes` the size of the results: what a run takes besides its arguments.
    """

    def __init__(
        self, steps: Sequence["Step"], inputs: int, results: Sequence[int], sizes: Mapping[str, int]
    ):
        self.results = list(results)
        self.inputs = inputs
        self.known: dict[int, np.ndarray] = {}
        self.layouts: dict[int, Layout] = {}
        self.launches: list[Launch] = []
        self.words: list[list[int]] = []
        self.loops: list[Loop] = []
        self.actions: list[tuple[Step, Callable[..., Any] | None, int]] = []
        for step in steps:
            self._enter(step, sizes)
        self.scratch = max((launch.scratch for launch in self.launches), default=0)
        self.most_work = max((launch.work for launch in self.launches), default=0)
        self.is_big = self.most_work >= WORTH_THREADS
        self.defines = any(definition is not None for _, definition, _ in self.actions)
        last = self._last_uses()
        self.places, self.bytes = self._placed(last)
        self.ending, self.defined_bytes = self._defined(last, sizes)
        self.slots = self._slots()
        self.outputs = [
            number
            for number in dict.fromkeys(self.results)
            if number in self.layouts and number not in self.known
        ]
        self.output_layouts = [self.layouts[number] for number in self.outputs]
        self.result_bytes = sum(map(_size, self.output_layouts))
        self.gives_outputs = self.results == self.outputs
        entered = [self.slots.get(number, []) for number in (*range(inputs), *self.outputs)]
        starts = [*_running(map(len, entered)), sum(map(len, entered))]
        self.starts = (ctypes.c_int64 * len(starts))(*starts)
        words = [word for slots in entered for word in slots]
        self.entered = (ctypes.c_int64 * max(1, len(words)))(*words)
        self._phases: list[tuple[int, int, Any, list[int]]] | None = None
        self._free: list[Workspace] = []
        count = max(1, len(self.launches))
        self.entries = (ctypes.c_void_p * count)(
            *[ctypes.cast(launch.entry, ctypes.c_void_p).value for launch in self.launches]
        )
        self.sizes = (ctypes.c_void_p * count)(
            *[ctypes.addressof(launch.sizes) for launch in self.launches]
        )
        self.tasks = (ctypes.c_int64 * count)(*[launch.tasks for launch in self.launches])
        is_short = not self.defines and sum(launch.work for launch in self.launches) <= SHORT
        self.started = len(self.launches) if is_short else 0
        self.is_plain = self.gives_outputs and self.started > 0

    def _enter(self, step: "Step", sizes: Mapping[str, int]) -> None:
        """Take a step over: as a launch, as a definition, or as a value known once and for all."""
        launch = definition = None
        if step.kernel is not None:
            launch = Launch(step.kernel, sizes)
        else:
            loop = step.loop(sizes)
            if loop is not None:
                self.loops.append(loop)
            definition = loop or prepared(step.node, sizes)
        is_fixed = not step.args and _bytes(step.node, sizes) <= KEPT_BYTES
        if is_fixed and not _calls_host(step.node):
            if launch is not None:
                found: Any = _alone(launch)
            else:
                assert definition is not None
                with np.errstate(all="ignore"):
                    found = definition()
                found = found if isinstance(found, tuple) else (found,)
            self.known |= dict(zip(step.results, map(_contiguous, found), strict=True))
            return
        if launch is None:
            self.actions.append((step, definition, -1))
            return
        self.layouts |= dict(zip(step.results, launch.outputs, strict=True))
        self.actions.append((step, None, len(self.launches)))
        self.launches.append(launch)
        self.words.append([*step.args, *step.results, *([SCRATCH] if launch.scratch else [])])

    def _last_uses(self) -> dict[int, int]:
        """For each value that is no result, the last action that needs it; a definition may give
        views of its arguments, which therefore live as long as what it gives."""
        last: dict[int, int] = {}
        for index, (step, _, _) in enumerate(self.actions):
            for number in (*step.args, *step.results):
                last[number] = index
        for step, definition, _ in reversed(self.actions):
            if definition is not None:
                end = max(last[number] for number in step.results)
                for number in step.args:
                    last[number] = max(last[number], end)
        for number in self.results:
            last.pop(number, None)
        return last

    def _defined(
        self, last: Mapping[int, int], sizes: Mapping[str, int]
    ) -> tuple[dict[int, list[int]], int]:
        """What definitions have given and nobody needs after each action; and how many bytes of
        it there are at most at one time."""
        ending: dict[int, list[int]] = {}
        held: dict[int, int] = {}
        total = most = 0
        for index, (step, definition, _) in enumerate(self.actions):
            if definition is not None:
                # Of several results it is not known which is how large: the first stands for all.
                number = step.results[0]
                held[number] = 0 if step.node.op.name in VIEWS else _bytes(step.node, sizes)
                total += held[number]
                most = max(most, total)
                for each in step.results:
                    if each in last:
                        ending.setdefault(last[each], []).append(each)
            total -= sum(held.pop(number, 0) for number in ending.get(index, ()))
        return ending, most

    def working_bytes(self, workers: int) -> int:
        """What a run by so many threads takes besides its arguments and results."""
        loops = sum(loop.working_bytes(workers) for loop in self.loops)
        return self.bytes + self.scratch * workers + self.defined_bytes + loops

    def largest(self, most: int) -> list[tuple["Step", int]]:
        """Of the values in the block while most of it is in use, the largest, with what makes
        them."""
        last = self._last_uses()
        living: dict[int, tuple[Step, int]] = {}
        fullest: list[tuple[Step, int]] = []
        for index, (step, _, launch) in enumerate(self.actions):
            for number in step.results if launch >= 0 else ():
                if number in self.places:
                    living[number] = step, _size(self.layouts[number])
            found = list(living.values())
            if sum(size for _, size in found) > sum(size for _, size in fullest):
                fullest = found
            living = {number: each for number, each in living.items() if last[number] > index}
        return sorted(fullest, key=lambda each: -each[1])[:most]

    def kept_bytes(self) -> int:
        """What is kept between runs: blocks, and arrays for results."""
        return sum(space.kept_bytes() for space in self._free)

    def _placed(self, last: Mapping[int, int]) -> tuple[dict[int, int], int]:
        """The places in the block of values that only this plan sees, and the block's size.

        A value keeps its place from the step that makes it to the last that needs it.
        """
        places: dict[int, int] = {}
        space = _Space()
        ending: dict[int, list[int]] = {}
        for number, index in last.items():
            ending.setdefault(index, []).append(number)
        for index, (step, _, launch) in enumerate(self.actions):
            if launch >= 0:
                for number in step.results:
                    if number in last:
                        places[number] = space.take(_size(self.layouts[number]))
            for number in ending.get(index, ()):
                if number in places:
                    space.give_back(places[number], _size(self.layouts[number]))
        return places, space.size

    def _slots(self) -> dict[int, list[int]]:
        """Where in the table the address of each value stands that is not in the block."""
        slots: dict[int, list[int]] = {}
        word = 0
        for numbers in self.words:
            for number in numbers:
                if number not in self.places and number != SCRATCH:
                    slots.setdefault(number, []).append(word)
                word += 1
        return slots

    def phases(self) -> list[tuple[int, int, Any, list[int]]]:
        """Ranges of launches, (first, last, None, gone), and (-1, -1, action, gone) for
        definitions; `gone` are the values of definitions that nobody needs any more then."""
        if self._phases is None:
            found: list[tuple[int, int, Any, list[int]]] = []
            start, gone = -1, []
            for index, action in enumerate(self.actions):
                launch, ends = action[2], self.ending.get(index, [])
                if launch >= 0:
                    start = launch if start < 0 else start
                    gone += ends
                    continue
                if start >= 0:
                    found.append((start, self._next(action), None, gone))
                    start, gone = -1, []
                found.append((-1, -1, action, ends))
            if start >= 0:
                found.append((start, len(self.launches), None, gone))
            self._phases = found
        return self._phases

    def _kernels(self, first: int, last: int, space: "Workspace", team: Any, held: Any) -> None:
        """Run some launches in a row, the large ones by the team; `held` owns what they work on."""
        if team is None or not team.march(space.lists, space.blocks, first, last, (space, held)):
            _chain()(*space.lists, first, last)

    def blocks(self, workers: int) -> Any:
        """For each launch how many tasks one of so many threads takes at a time; 0 for all."""
        tasks = [each.tasks if each.work >= WORTH_THREADS else 0 for each in self.launches]
        return threads.blocks(tasks, workers)

    def _next(self, action: tuple) -> int:
        """The first launch after an action."""
        index = self.actions.index(action)
        return next(
            (launch for _, _, launch in self.actions[index:] if launch >= 0), len(self.launches)
        )

    def forget(self) -> None:
        """Let go of the memory that is kept for the next run."""
        self._free.clear()

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The results for arguments of the plan's shapes; those that are new are read-only."""
        team = threads.team() if self.is_big else None
        space = self.workspace(team)
        given, outputs = space.start(list(arrays))
        if self.is_plain:
            results = list(outputs)
            self.give_back(space)
            return results
        values: dict[int, np.ndarray] = self.known | dict(enumerate(given))
        values |= zip(self.outputs, outputs, strict=True)
        for first, last, action, gone in () if self.started else self.phases():
            if action is not None:
                self._define(action, space, values)
            else:
                self._kernels(first, last, space, team, values)
            for number in gone:
                del values[number]
        self.give_back(space)
        return [values[number] for number in self.results]

    def workspace(self, team: Any) -> "Workspace":
        """Memory for one run, by this thread or by a team; `give_back` keeps it for the next."""
        workers = 1 + (team.workers if team else 0)
        space = self._free.pop() if self._free else None
        return space if space and space.workers >= workers else Workspace(self, workers)

    def give_back(self, space: "Workspace") -> None:
        """Keep the memory of a run that has ended."""
        self._free.append(space)

    def timed(self, arrays: Sequence[np.ndarray], rounds: int) -> list[tuple["Step", list[float]]]:
        """The seconds of each step in each of so many runs, steps one after another as in `run`.

        Kernels without arguments whose values are kept are not run again and not listed.
        """
        team = threads.team() if self.is_big else None
        space = Workspace(self, 1 + (team.workers if team else 0))
        found: list[tuple[Step, list[float]]] = [(step, []) for step, _, _ in self.actions]
        for _ in range(rounds):
            given, outputs = space.start(list(arrays))
            values: dict[int, np.ndarray] = self.known | dict(enumerate(given))
            values |= zip(self.outputs, outputs, strict=True)
            for action, (_, seconds) in zip(self.actions, found, strict=True):
                launch = action[2]
                begin = time.perf_counter()
                if launch < 0:
                    self._define(action, space, values)
                else:
                    self._kernels(launch, launch + 1, space, team, values)
                seconds.append(time.perf_counter() - begin)
        return found

    def _define(self, action: tuple, space: "Workspace", values: dict[int, np.ndarray]) -> None:
        step, definition, _ = action
        args = [values[number] if number in values else space.view(number) for number in step.args]
        with np.errstate(all="ignore"):
            found = definition(*args)
        for number, array in zip(
            step.results, found if isinstance(found, tuple) else (found,), strict=True
        ):
            array = _contiguous(array)
            is_view = array.base is not None and number in self.results
            if is_view and np.may_share_memory(array, space.memory):
                # The block will hold something else at the next run.
                array = array.copy()
            values[number] = array
            for slot in self.slots.get(number, ()):
                space.table[slot] = array.ctypes.data


class Workspace:
    """The block and the table of one run of a plan, and arrays for its results; kept for the next.

    Results that nobody holds any more are written again by the run after the next: state is read
    from one set of arrays while the other is written.
    """

    __slots__ = (
        "blocks", "found", "lent", "lists", "memory", "plan", "table", "tables", "views", "words",
        "workers", "zero",
    )  # fmt: skip

    def __init__(self, plan: Plan, workers: int):
        self.plan = plan
        self.workers = workers
        self.memory = reserve(
            plan.bytes + plan.scratch * workers + LINE,
            "the values between the kernels of a program",
            "Use a smaller batch, or keras.remat to compute values again instead.",
        )
        self.zero = -self.memory.ctypes.data % LINE
        base = self.memory.ctypes.data + self.zero
        places = plan.places | {SCRATCH: plan.bytes}
        numbers = [number for numbers in plan.words for number in numbers]
        self.table = (ctypes.c_void_p * max(1, len(numbers)))(
            *[base + places[n] if n in places else 0 for n in numbers]
        )
        for number, array in plan.known.items():
            for slot in plan.slots.get(number, ()):
                self.table[slot] = array.ctypes.data
        address = ctypes.addressof(self.table)
        starts = _running(len(numbers) for numbers in plan.words)
        self.tables = (ctypes.c_void_p * max(1, len(plan.words)))(
            *[address + WORD * start for start in starts]
        )
        self.lists: tuple[Any, ...] = (plan.entries, self.tables, plan.sizes, plan.tasks)
        self.blocks = plan.blocks(workers)
        self.views: dict[int, np.ndarray] = {}
        self.lent: list[objects.Lent] = []
        self.found = (ctypes.c_int64 * (len(plan.outputs) + 1))()
        self.words = objects.words(
            inputs=plan.inputs,
            outputs=len(plan.outputs),
            starts=plan.starts,
            output_starts=ctypes.addressof(plan.starts) + WORD * plan.inputs,
            slots=plan.entered,
            table=self.table,
            found=self.found,
            entries=plan.entries,
            tables=self.tables,
            sizes=plan.sizes,
            tasks=plan.tasks,
            launches=plan.started,
        )

    def kept_bytes(self) -> int:
        """The bytes of the block and of the arrays for results."""
        return self.memory.nbytes + len(self.lent) * self.plan.result_bytes

    def start(self, given: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Enter the arguments and arrays for results, and run the kernels of a short plan.

        Returns both, arguments with gaps copied.
        """
        lent = self._next_lent()
        native = objects.native_start()
        if native is None:
            self._replace(lent, lent.held())
            return self._start_slowly(given, lent)
        lists = id(lent.roots), id(lent.views)
        done = native(self.words, id(given), *lists)
        if done > 0:
            self._replace(lent, self.found[:done])
            done = native(self.words, id(given), *lists)
        if done < 0:
            given = [_contiguous(array) for array in given]
            done = native(self.words, id(given), *lists)
        # A debugger, say, that holds whatever is made: what it holds is written nevertheless.
        return (given, lent.views) if done == 0 else self._start_slowly(given, lent)

    def _start_slowly(self, given: list[np.ndarray], lent: objects.Lent) -> tuple[list, list]:
        """The same where objects can only be asked one by one."""
        plan = self.plan
        given = [_contiguous(array) for array in given]
        for number, array in zip(
            (*range(plan.inputs), *plan.outputs), (*given, *lent.views), strict=True
        ):
            for slot in plan.slots.get(number, ()):
                self.table[slot] = array.ctypes.data
        _chain()(*self.lists, 0, plan.started)
        return given, lent.views

    def _next_lent(self) -> objects.Lent:
        if len(self.lent) < 2:
            self.lent.append(objects.Lent([empty(*layout) for layout in self.plan.output_layouts]))
        else:
            self.lent.reverse()
        return self.lent[-1]

    def _replace(self, lent: objects.Lent, places: Iterable[int]) -> None:
        for place in places:
            lent.replace(place, empty(*self.plan.output_layouts[place]))

    def view(self, number: int) -> np.ndarray:
        """A value in the block as an array."""
        found = self.views.get(number)
        if found is None:
            shape, dtype = self.plan.layouts[number]
            offset = self.zero + self.plan.places[number]
            found = np.ndarray(shape, dtype, self.memory, offset)
            self.views[number] = found
        return found


class _Space:
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


def _alone(launch: Launch) -> list[np.ndarray]:
    """The results of a kernel without arguments."""
    outputs = [empty(*layout) for layout in launch.outputs]
    table = (ctypes.c_void_p * len(outputs))(*[array.ctypes.data for array in outputs])
    launch.entry(table, launch.sizes, 0, launch.tasks, 0)
    return outputs


def _running(counts: Iterable[int]) -> Iterable[int]:
    total = 0
    for count in counts:
        yield total
        total += count


def _size(layout: Layout) -> int:
    """Bytes of a value, in whole lines."""
    shape, dtype = layout
    return -(-math.prod(shape) * dtype.itemsize // LINE) * LINE


def _bytes(node: Node, sizes: Mapping[str, int]) -> int:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    return sum(concrete(type.bytes, sizes) for type in types)


def _calls_host(node: Node) -> bool:
    """True where a Python function runs, which may give something else each time."""
    inner = [each for body in inner_functions(node.attrs) for each in all_nodes(body)]
    return any(each.op is callback for each in (node, *inner))


def _contiguous(array: np.ndarray) -> np.ndarray:
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy(order="C")

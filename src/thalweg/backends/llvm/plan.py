"""A program for one set of shapes: where its values lie in memory, and the calls that fill them.

    values between kernels       places in one block of memory, shared by values that do not meet
    kernels, loops, branches     one native call that follows a list of instructions
    an operation without kernel  its NumPy definition, between two such calls

Each kernel finds the addresses of its arrays in a table. Those of the block never change; those of
the arguments, of the results and of what definitions give are entered at each run; those of what a
loop carries are changed by its instructions. Two threads that run one plan at the same time have a
block and a table each.
"""

import bisect
import ctypes
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.backends.llvm import instructions, loops, objects, threads
from thalweg.backends.llvm.launch import Launch, arrays_of, bytes_of, contiguous
from thalweg.backends.llvm.memory import LINE, empty, reserve
from thalweg.backends.llvm.script import SCRATCH, Script, lines, size_of
from thalweg.passes.families import VIEWS
from thalweg.transforms.evaluate import prepared

if TYPE_CHECKING:
    from thalweg.backends.llvm.program import Step
    from thalweg.backends.llvm.stepwise import Stepwise

WORTH_THREADS = 1 << 16
"""Steps of the innermost body below which a kernel runs on the calling thread alone. Handing out
tasks takes some microseconds; a worker that sleeps comes when it can, nobody waits for it."""
WORD = ctypes.sizeof(ctypes.c_void_p)

SHORT = 1 << 16
"""Steps up to which all kernels run within the call that enters addresses, while Python waits:
handing the interpreter to other threads and taking it back takes as long as some thousand."""


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """A step that is done in every run: by instructions from one place to another, or by its
    definition; `time` is that of the plan's script when it is done."""

    step: "Step"
    definition: Callable[..., Any] | None
    begin: int
    end: int
    time: int


class Plan:
    """What a program does for arrays of one set of shapes.

    `bytes` is the size of the block that holds the values between its kernels, `scratch` what a
    thread needs besides, `defined_bytes` what definitions give at most at one time, and
    `result_bytes` the size of the results: what a run takes besides its arguments. `loops` are
    those that go step by step.
    """

    def __init__(
        self, steps: Sequence["Step"], inputs: int, results: Sequence[int], sizes: Mapping[str, int]
    ):
        self.results = list(results)
        self.inputs = inputs
        count = max([inputs, *(1 + number for step in steps for number in step.results)])
        script = self.script = Script(count)
        self.loops: list[Stepwise] = []
        work, written = 0.0, []
        for step in steps:
            definition: Callable[..., Any] | None = None
            begin = script.put()
            script.step = step
            if loops.is_native(step, sizes):
                work += loops.write(script, step, step.args, step.results, sizes)
            else:
                loop = step.loop(sizes)
                if loop is not None:
                    self.loops.append(loop)
                definition = loop or prepared(step.node, sizes)
                script.tick()
                script.touch([*step.args, *step.results])
            written.append((step, definition, begin, script.put(), script.now))
        script.tick()
        script.touch(self.results)
        for step, definition, *_ in reversed(written):
            if definition is not None:
                # It may give views of its arguments, which therefore live as long.
                end = max((script.spans[number][1] for number in step.results), default=0)
                script.stretch(step.args, end)
        self.known = script.known
        self.layouts = script.layouts
        self.launches = script.launches
        self.outputs = self._outputs()
        self.places, size = script.placed(self.outputs)
        self.bytes = size
        self.scratch = max((launch.scratch for launch in self.launches), default=0)
        self.is_big = any(map(_is_big, self.launches))
        assembly = script.assembled()
        self.slots = assembly.slots
        self.words = assembly.count
        places = assembly.places
        self.end = len(assembly.numbers) - instructions.OPERANDS
        self.actions = []
        for step, definition, begin, end, now in written:
            if definition is not None or places[begin] != places[end]:
                self.actions.append(Action(step, definition, places[begin], places[end], now))
        self.gone, self.defined_bytes = self._defined(sizes)
        self.defines = any(action.definition is not None for action in self.actions)
        self.output_layouts = [self.layouts[number] for number in self.outputs]
        self.result_bytes = sum(map(lines, self.output_layouts))
        self.gives_outputs = self.results == self.outputs
        self._enter_slots()
        self._phases: list[tuple[int, int, Action | None, list[int]]] | None = None
        self._free: list[Workspace] = []
        self._list_kernels(assembly.numbers)
        is_short = not self.defines and work <= SHORT
        self.started = self.end if is_short else 0
        self.is_plain = self.gives_outputs and is_short

    def _outputs(self) -> list[int]:
        """The values made here that results are, or are all of: these have arrays of their own."""
        found: dict[int, None] = {}
        for number in self.results:
            root = self.script.root(number)[0]
            if root in self.script.made and self.script.is_whole(number):
                found[root] = None
        return list(found)

    def _enter_slots(self) -> None:
        """Where the addresses of arguments and results are entered."""
        entered = [self.slots.get(number, []) for number in (*range(self.inputs), *self.outputs)]
        starts = [*_running(map(len, entered)), sum(map(len, entered))]
        self.starts = _numbers(starts)
        self.entered = _numbers([word for slots in entered for word, _ in slots])
        self.offsets = _numbers([offset for slots in entered for _, offset in slots])

    def _list_kernels(self, code: Sequence[int]) -> None:
        """What instructions find kernels by."""
        launches = self.launches
        self.code = _numbers(code)
        self.entries = _numbers(
            [ctypes.cast(launch.entry, ctypes.c_void_p).value or 0 for launch in launches]
        )
        self.sizes = _numbers([ctypes.addressof(launch.sizes) for launch in launches])
        self.tasks = _numbers([launch.tasks for launch in launches])

    def _defined(self, sizes: Mapping[str, int]) -> tuple[list[list[int]], int]:
        """What definitions have given and nobody needs after each action; and how many bytes of
        it there are at most at one time."""
        gone: list[list[int]] = [[] for _ in self.actions]
        times = [action.time for action in self.actions]
        bytes = [0] * (len(self.actions) + 1)
        for index, action in enumerate(self.actions):
            if action.definition is None:
                continue
            ends = []
            for number in action.step.results:
                ends.append(bisect.bisect_left(times, self.script.spans[number][1]))
                if ends[-1] < len(gone):
                    gone[ends[-1]].append(number)
            # Of several results it is not known which is how large: all stay as long as the last.
            size = 0 if action.step.node.op.name in VIEWS else bytes_of(action.step.node, sizes)
            for at in range(index, 1 + min(max(ends), len(self.actions) - 1)):
                bytes[at] += size
        return gone, max(bytes)

    def working_bytes(self, workers: int) -> int:
        """What a run by so many threads takes besides its arguments and results."""
        loops = sum(loop.working_bytes(workers) for loop in self.loops)
        return self.bytes + self.scratch * workers + self.defined_bytes + loops

    def largest(self, most: int) -> list[tuple["Step", int]]:
        """Of the values in the block while most of it is in use, the largest, with what makes
        them."""
        makers = self.script.makers
        found = [(makers[n], lines(self.layouts[n])) for n in self.script.fullest(self.places)]
        return sorted(found, key=lambda each: -each[1])[:most]

    def kept_bytes(self) -> int:
        """What is kept between runs: blocks, and arrays for results."""
        return sum(space.kept_bytes() for space in self._free)

    def phases(self) -> list[tuple[int, int, Action | None, list[int]]]:
        """Ranges of instructions, and definitions with an empty one; and the values of definitions
        that nobody needs any more then."""
        if self._phases is None:
            found: list[tuple[int, int, Action | None, list[int]]] = []
            for action, gone in zip(self.actions, self.gone, strict=True):
                if action.definition is not None:
                    found.append((action.begin, action.begin, action, gone))
                elif found and found[-1][2] is None:
                    begin, _, _, before = found[-1]
                    found[-1] = begin, action.end, None, before + gone
                else:
                    found.append((action.begin, action.end, None, gone))
            self._phases = found
        return self._phases

    def blocks(self, workers: int) -> Any:
        """For each launch how many tasks one of so many threads takes at a time; 0 for all."""
        tasks = [launch.tasks if _is_big(launch) else 0 for launch in self.launches]
        return threads.blocks(tasks, workers, [launch.is_steady for launch in self.launches])

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
        for begin, end, action, gone in () if self.started else self.phases():
            if action is not None:
                self._define(action, space, values)
            else:
                instructions.follow(space.lists, begin, end, team, (space, values))
            for number in gone:
                del values[number]
        results = [space.result(number, values) for number in self.results]
        self.give_back(space)
        return results

    def workspace(self, team: Any) -> "Workspace":
        """Memory for one run, by this thread or by a team; `give_back` keeps it for the next."""
        workers = 1 + (team.workers if team else 0)
        space = self._free.pop() if self._free else None
        return space if space and space.workers >= workers else Workspace(self, workers)

    def give_back(self, space: "Workspace") -> None:
        """Keep the memory of a run that has ended."""
        self._free.append(space)

    def timed(self, arrays: Sequence[np.ndarray], rounds: int) -> list[tuple[Action, list[float]]]:
        """The seconds of each step in each of so many runs, steps one after another as in `run`.

        Kernels without arguments whose values are kept are not run again and not listed.
        """
        team = threads.team() if self.is_big else None
        space = Workspace(self, 1 + (team.workers if team else 0))
        found: list[tuple[Action, list[float]]] = [(action, []) for action in self.actions]
        for _ in range(rounds):
            given, outputs = space.start(list(arrays))
            values: dict[int, np.ndarray] = self.known | dict(enumerate(given))
            values |= zip(self.outputs, outputs, strict=True)
            for action, seconds in found:
                start = time.perf_counter()
                if action.definition is not None:
                    self._define(action, space, values)
                else:
                    instructions.follow(
                        space.lists, action.begin, action.end, team, (space, values)
                    )
                seconds.append(time.perf_counter() - start)
        return found

    def _define(self, action: Action, space: "Workspace", values: dict[int, np.ndarray]) -> None:
        assert action.definition is not None
        args = [space.array(number, values) for number in action.step.args]
        with np.errstate(all="ignore"):
            found = action.definition(*args)
        for number, array in zip(action.step.results, arrays_of(found), strict=True):
            array = contiguous(array)
            values[number] = array
            space.enter(number, array.ctypes.data)


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
        self.table = (ctypes.c_int64 * plan.words)()
        for number, place in plan.places.items():
            self.enter(number, base + place)
        for number, array in plan.known.items():
            self.enter(number, array.ctypes.data)
        tables = plan.script.tables
        word = 0
        for numbers in tables:
            word += len(numbers)
            if numbers[-1:] == [SCRATCH]:
                self.table[word - 1] = base + plan.bytes
        address = ctypes.addressof(self.table)
        self.tables = _numbers([address + WORD * start for start in _running(map(len, tables))])
        self.blocks = plan.blocks(workers)
        self.lists = instructions.lists_of(
            code=plan.code,
            words=self.table,
            entries=plan.entries,
            tables=self.tables,
            sizes=plan.sizes,
            tasks=plan.tasks,
            blocks=self.blocks,
        )
        self.views: dict[int, np.ndarray] = {}
        self.lent: list[objects.Lent] = []
        self.found = (ctypes.c_int64 * (len(plan.outputs) + 1))()
        self.words = objects.words(
            inputs=plan.inputs,
            outputs=len(plan.outputs),
            starts=plan.starts,
            output_starts=ctypes.addressof(plan.starts) + WORD * plan.inputs,
            slots=plan.entered,
            offsets=plan.offsets,
            table=self.table,
            found=self.found,
            perform=instructions.address(),
            lists=self.lists,
            end=plan.started,
        )

    def kept_bytes(self) -> int:
        """The bytes of the block and of the arrays for results."""
        return self.memory.nbytes + len(self.lent) * self.plan.result_bytes

    def enter(self, number: int, address: int) -> None:
        """Write the address of a value wherever it is looked for."""
        for slot, offset in self.plan.slots.get(number, ()):
            self.table[slot] = address + offset

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
            given = [contiguous(array) for array in given]
            done = native(self.words, id(given), *lists)
        # A debugger, say, that holds whatever is made: what it holds is written nevertheless.
        return (given, lent.views) if done == 0 else self._start_slowly(given, lent)

    def _start_slowly(self, given: list[np.ndarray], lent: objects.Lent) -> tuple[list, list]:
        """The same where objects can only be asked one by one."""
        plan = self.plan
        given = [contiguous(array) for array in given]
        for number, array in zip(
            (*range(plan.inputs), *plan.outputs), (*given, *lent.views), strict=True
        ):
            self.enter(number, array.ctypes.data)
        instructions.follow(self.lists, 0, plan.started, None, given)
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

    def array(self, number: int, values: Mapping[int, np.ndarray]) -> np.ndarray:
        """A value as an array: among those that have one, a part of one, or in the block."""
        found = values.get(number)
        if found is not None:
            return found
        root, offset = self.plan.script.root(number)
        shape, dtype = layout = self.plan.layouts[number]
        if root in values:
            bytes = values[root].reshape(-1).view(np.uint8)
            return bytes[offset : offset + size_of(layout)].view(dtype).reshape(shape)
        if number not in self.views:
            start = self.zero + self.plan.places[root] + offset
            self.views[number] = np.ndarray(shape, dtype, self.memory, start)
        return self.views[number]

    def result(self, number: int, values: Mapping[int, np.ndarray]) -> np.ndarray:
        """A value as an array that stays as it is."""
        array = self.array(number, values)
        # The block will hold something else at the next run.
        return array.copy() if np.may_share_memory(array, self.memory) else array


def _is_big(launch: Launch) -> bool:
    """True for a kernel that threads share."""
    return launch.is_shared and (launch.is_steady or launch.work >= WORTH_THREADS)


def _numbers(values: Sequence[int]) -> Any:
    """Numbers or addresses for native code."""
    return (ctypes.c_int64 * max(1, len(values)))(*values)


def _running(counts: Iterable[int]) -> Iterable[int]:
    total = 0
    for count in counts:
        yield total
        total += count

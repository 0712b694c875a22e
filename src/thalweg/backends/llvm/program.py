"""A whole Function as native kernels and the operations between them that have none yet.

Kernels come from `passes/fuse`, are lowered, scheduled, emitted and compiled once each; identical
kernels of any program share their code. What the lowering table does not have (contractions,
windows, linear algebra, control flow) is evaluated by its NumPy definition at the segment between
two kernels. Values live in arrays that are dropped after their last use.
"""

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.backends.llvm import jit, threads
from thalweg.backends.llvm.emit import emit, sizes_of, tasks_of
from thalweg.backends.llvm.memory import empty
from thalweg.backends.llvm.native import is_native
from thalweg.ir.dim import Dim
from thalweg.ir.function import Function, all_nodes, inner_functions
from thalweg.ir.leaves import item, parameter
from thalweg.ir.node import Node
from thalweg.ir.show import show
from thalweg.ir.walk import postorder
from thalweg.loops.lower import lower
from thalweg.loops.nest import Nest
from thalweg.loops.schedule import schedule
from thalweg.ops.control import call, callback
from thalweg.passes.arrange import arrange
from thalweg.passes.fuse import fuse
from thalweg.transforms.evaluate import bind_sizes, concrete, prepared

WORTH_THREADS = 1 << 18
"""Steps of the innermost body below which a kernel runs on the calling thread alone: waking a
worker that sleeps takes 30 microseconds, as long as some 100,000 steps."""
KEPT_BYTES = 1 << 16
"""Values that need no input are computed once where they are at most so big."""
KEPT_PLANS = 64
"""Plans of one program, one for each set of shapes, before the oldest is dropped."""


@dataclass(slots=True)
class Kernel:
    """One native kernel: its loops, its LLVM IR, and once compiled its address."""

    function: Function
    nest: Nest
    text: str
    sizes: list[Dim]
    tasks: Any
    entry: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def compiled(self) -> Any:
        """The native function, compiled when first asked for."""
        if self.entry is None:
            with self.lock:
                if self.entry is None:
                    self.entry = jit.callable_of(
                        self.nest.name, self.text,
                        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                    )  # fmt: skip
        return self.entry

    def launch(self, sizes: Mapping[str, int]) -> "Launch":
        """The kernel with numbers for its named sizes."""
        nest = self.nest
        work = 1
        for _, extent in (*nest.outer, *nest.inner):
            work *= concrete(extent, sizes)
        values = (ctypes.c_int64 * max(1, len(self.sizes)))(
            *[concrete(size, sizes) for size in self.sizes]
        )
        return Launch(
            entry=self.compiled(),
            outputs=[(concrete(type.shape, sizes), type.dtype.numpy) for type in nest.outputs],
            sizes=values,
            tasks=concrete(self.tasks, sizes),
            is_big=work * max(1, len(nest.reductions), len(nest.stores)) >= WORTH_THREADS,
            buffers=ctypes.c_void_p * (len(nest.inputs) + len(nest.outputs)),
        )


@dataclass(slots=True)
class Launch:
    """A kernel ready for arrays of one set of shapes."""

    entry: Any
    outputs: list[tuple[tuple[int, ...], Any]]
    sizes: Any
    tasks: int
    is_big: bool
    buffers: Any

    def run(self, inputs: Sequence[np.ndarray], team: threads.Team | None) -> list[np.ndarray]:
        """The kernel's results for contiguous inputs."""
        outputs = [empty(shape, dtype) for shape, dtype in self.outputs]
        arrays = [*inputs, *outputs]
        buffers = self.buffers(*[array.ctypes.data for array in arrays])
        if (
            team is None
            or not self.is_big
            or self.tasks < 2
            or not team.run(self.entry, buffers, self.sizes, self.tasks, arrays)
        ):
            self.entry(buffers, self.sizes, 0, self.tasks)
        return outputs


_kernels: dict[Function, Kernel] = {}


def kernel_of(function: Function) -> Kernel:
    """The kernel of a Function; equal Functions share one."""
    found = _kernels.get(function)
    if found is None:
        host = jit.machine()
        nest = lower(function)
        bits = max(type.dtype.bits for type in nest.outputs)
        nest = schedule(nest, host.lanes(max(32, bits)), host.registers)
        found = Kernel(function, nest, emit(nest), sizes_of(nest), tasks_of(nest))
        found = _kernels.setdefault(function, found)
    return found


@dataclass(slots=True)
class Step:
    """One step of a program: a kernel, or a node that is evaluated by its definition.

    Values have numbers: those of the arguments, those of the results, and those that are dropped
    after the step. A step with several results has a number for each.
    """

    node: Node
    kernel: Kernel | None
    args: list[int]
    results: list[int]
    dropped: list[int]


@dataclass(slots=True)
class Plan:
    """A program for one set of shapes: the values that never change, and what each step calls."""

    known: dict[int, np.ndarray]
    steps: list[tuple[Step, Launch | None, Callable[..., Any] | None]]
    is_big: bool = False


class Program:
    """A Function ready to run. `fused` is the Function whose calls are the kernels."""

    def __init__(self, function: Function):
        self.function = function
        self.fused = fuse(arrange(function), is_native)
        self.steps: list[Step] = []
        self._plans: dict[Any, Plan] = {}
        numbers: dict[Node, list[int]] = {}
        self._count = 0
        for node in self.fused.parameters:
            numbers[node] = self._numbers(1)
        for node in postorder(self.fused.results):
            if node.op is parameter:
                continue
            args = [each for arg in node.args for each in numbers[arg]]
            if node.op is item:
                numbers[node] = [args[node.attrs[0]]]
                continue
            numbers[node] = self._numbers(len(node.type) if isinstance(node.type, tuple) else 1)
            kernel = kernel_of(node.attrs[0]) if node.op is call else None
            self.steps.append(Step(node, kernel, args, numbers[node], []))
        self._results = [each for node in self.fused.results for each in numbers[node]]
        last = {each: step for step in self.steps for each in (*step.results, *step.args)}
        for each in self._results:
            last.pop(each, None)
        for each, step in last.items():
            step.dropped.append(each)

    def _numbers(self, count: int) -> list[int]:
        """Numbers for so many new values."""
        self._count += count
        return list(range(self._count - count, self._count))

    @property
    def kernels(self) -> list[Kernel]:
        """The program's kernels in the order in which they run."""
        return [step.kernel for step in self.steps if step.kernel is not None]

    def text(self, stage: str) -> str:
        """A stage of the program as text: fused, loops, scheduled, llvm or assembly."""
        if stage == "fused":
            return show(self.fused)
        of_kernel = {
            "loops": lambda kernel: str(lower(kernel.function)),
            "scheduled": lambda kernel: str(kernel.nest),
            "llvm": lambda kernel: kernel.text,
            "assembly": lambda kernel: jit.assembly(kernel.text),
        }[stage]
        return "\n\n".join(map(of_kernel, self.kernels))

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The results for arrays that fit the parameters' types."""
        key = tuple([(array.shape, array.dtype) for array in arrays])
        plan = self._plans.get(key) or self._planned(key, arrays)
        team = threads.team() if plan.is_big else None
        values: list[Any] = [None] * self._count
        for number, array in enumerate(arrays):
            values[number] = _contiguous(array)
        for number, array in plan.known.items():
            values[number] = array
        for step, launch, definition in plan.steps:
            args = [values[number] for number in step.args]
            if launch is not None:
                found: Any = launch.run([_contiguous(arg) for arg in args], team)
            else:
                assert definition is not None
                with np.errstate(all="ignore"):
                    found = definition(*args)
                found = found if isinstance(found, tuple) else (found,)
            for number, value in zip(step.results, found, strict=True):
                values[number] = value
            for number in step.dropped:
                values[number] = None
        return [values[number] for number in self._results]

    def _planned(self, key: Any, arrays: Sequence[np.ndarray]) -> Plan:
        """The plan for arrays of these shapes, made and kept."""
        sizes = bind_sizes(self.function, arrays)
        plan = Plan({}, [])
        for step in self.steps:
            launch = definition = None
            if step.kernel is not None:
                launch = step.kernel.launch(sizes)
            else:
                definition = prepared(step.node, sizes)
            if (
                not step.args
                and _bytes(step.node, sizes) <= KEPT_BYTES
                and not _calls_host(step.node)
            ):
                with np.errstate(all="ignore"):
                    found = launch.run([], None) if launch is not None else definition()  # type: ignore[misc]
                found = found if isinstance(found, (tuple, list)) else (found,)
                plan.known |= dict(zip(step.results, found, strict=True))
            else:
                plan.steps.append((step, launch, definition))
        plan.is_big = any(launch is not None and launch.is_big for _, launch, _ in plan.steps)
        while len(self._plans) >= KEPT_PLANS:
            self._plans.pop(next(iter(self._plans)), None)
        self._plans[key] = plan
        return plan


def _bytes(node: Node, sizes: Mapping[str, int]) -> int:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    return sum(concrete(type.bytes, sizes) for type in types)


def _calls_host(node: Node) -> bool:
    """True where a Python function runs, which may give something else each time."""
    inner = [each for body in inner_functions(node.attrs) for each in all_nodes(body)]
    return any(each.op is callback for each in (node, *inner))


def _contiguous(array: np.ndarray) -> np.ndarray:
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy(order="C")

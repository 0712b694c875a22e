"""A whole Function as native kernels and the operations between them that have none yet.

Kernels come from `passes/fuse`, are lowered, scheduled, emitted and compiled once each; identical
kernels of any program share their code. What the lowering table does not have (contractions,
windows, linear algebra, control flow) is evaluated by its NumPy definition at the segment between
two kernels. Values live in arrays that are dropped after their last use.
"""

import ctypes
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.backends.llvm import jit
from thalweg.backends.llvm.emit import emit, sizes_of, tasks_of
from thalweg.backends.llvm.native import is_native
from thalweg.base.errors import ArgumentError, explain
from thalweg.ir.dim import Dim
from thalweg.ir.function import Function
from thalweg.ir.leaves import item, parameter
from thalweg.ir.node import Node
from thalweg.ir.show import show
from thalweg.ir.walk import postorder
from thalweg.loops.lower import lower
from thalweg.loops.nest import Nest
from thalweg.loops.schedule import schedule
from thalweg.ops.control import call
from thalweg.passes.arrange import arrange
from thalweg.passes.fuse import fuse
from thalweg.transforms.evaluate import bind_sizes, concrete
from thalweg.transforms.evaluate import call as evaluate_node

WORTH_THREADS = 1 << 17
"""Elements below which a kernel runs on the calling thread alone."""


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

    def run(self, inputs: Sequence[np.ndarray], sizes: Mapping[str, int]) -> list[np.ndarray]:
        """The kernel's results for contiguous inputs."""
        outputs = [
            np.empty(concrete(type.shape, sizes), type.dtype.numpy) for type in self.nest.outputs
        ]
        arrays = [*inputs, *outputs]
        buffers = (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
        values = (ctypes.c_int64 * max(1, len(self.sizes)))(
            *[concrete(size, sizes) for size in self.sizes]
        )
        tasks = concrete(self.tasks, sizes) if isinstance(self.tasks, Dim) else self.tasks
        entry = self.compiled()
        work = max((array.size for array in arrays), default=0)
        if tasks < 2 or work < WORTH_THREADS or threads() < 2:
            entry(buffers, values, 0, tasks)
        else:
            _spread(entry, buffers, values, tasks, arrays)
        return outputs


def threads() -> int:
    """How many threads run a kernel: `THALWEG_THREADS`, or every core this process may use."""
    given = os.environ.get("THALWEG_THREADS", "")
    if given:
        if not given.isdigit() or int(given) < 1:
            raise ArgumentError(explain("THALWEG_THREADS", "a whole number of at least 1", given))
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_pool: ThreadPoolExecutor | None = None
_pool_owner: tuple[int, int] | None = None
_pool_lock = threading.Lock()


def _workers(count: int) -> ThreadPoolExecutor:
    # A pool does not survive a fork: the child makes its own.
    global _pool, _pool_owner
    with _pool_lock:
        if _pool is None or _pool_owner != (os.getpid(), count):
            _pool = ThreadPoolExecutor(count, thread_name_prefix="thalweg")
            _pool_owner = (os.getpid(), count)
        return _pool


def _spread(entry: Any, buffers: Any, values: Any, tasks: int, arrays: Sequence) -> None:
    """Run a kernel's tasks in equal shares: the last on this thread, the others on workers."""
    most = threads()
    count = min(most, tasks)
    bounds = [tasks * share // count for share in range(count + 1)]
    pool = _workers(most - 1)
    others = [
        pool.submit(_share, entry, buffers, values, bounds[share], bounds[share + 1], arrays)
        for share in range(count - 1)
    ]
    try:
        entry(buffers, values, bounds[-2], bounds[-1])
    finally:
        wait(others)
    for each in others:
        each.result()


def _share(
    entry: Any, buffers: Any, values: Any, begin: int, end: int, arrays: Sequence
) -> None:
    # Holds the arrays whose addresses are in `buffers`: an interrupt may end the caller's frame
    # while a worker still writes into them.
    entry(buffers, values, begin, end)


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
    """One step of a program: a kernel, or a node that is evaluated by its definition."""

    node: Node
    kernel: Kernel | None
    last_uses: list[Node]


class Program:
    """A Function ready to run. `fused` is the Function whose calls are the kernels."""

    def __init__(self, function: Function):
        self.function = function
        self.fused = fuse(arrange(function), is_native)
        self.steps: list[Step] = []
        order = [node for node in postorder(self.fused.results) if node.op is not parameter]
        last: dict[Node, Node] = {}
        for node in order:
            for arg in node.args:
                last[arg] = node
        for result in self.fused.results:
            last.pop(result, None)
        for node in order:
            kernel = kernel_of(node.attrs[0]) if node.op is call else None
            self.steps.append(Step(node, kernel, []))
        place = {step.node: step for step in self.steps}
        for node, user in last.items():
            place[user].last_uses.append(node)

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
        sizes = bind_sizes(self.function, arrays)
        values: dict[Node, Any] = {}
        for node, array in zip(self.fused.parameters, arrays, strict=True):
            values[node] = _contiguous(array)
        with np.errstate(all="ignore"):
            for step in self.steps:
                node = step.node
                args = [values[arg] for arg in node.args]
                if step.kernel is not None:
                    values[node] = tuple(step.kernel.run(list(map(_contiguous, args)), sizes))
                elif node.op is item:
                    values[node] = args[0][node.attrs[0]]
                else:
                    values[node] = evaluate_node(node, args, sizes)
                for each in step.last_uses:
                    values.pop(each, None)
        return [values[result] for result in self.fused.results]


def _contiguous(array: np.ndarray) -> np.ndarray:
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy(order="C")

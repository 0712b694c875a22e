"""A whole Function as native kernels and the operations between them that have none yet.

Kernels come from `passes/fuse`, are lowered, scheduled, emitted and compiled once each; identical
kernels of any program share their code. What the lowering table does not have (contractions,
windows, linear algebra, control flow) is evaluated by its NumPy definition at the segment between
two kernels. `plan.py` says where values live and makes the calls.
"""

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.backends.llvm import jit
from thalweg.backends.llvm.emit import emit, scratch_of, sizes_of, tasks_of
from thalweg.backends.llvm.native import is_native
from thalweg.backends.llvm.plan import Plan
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
from thalweg.transforms.evaluate import bind_sizes

KEPT_PLANS = 64
"""Plans of one program, one for each set of shapes, before the oldest is dropped."""
KEPT_WORKSPACES = 8
"""The newest plans of a program that keep their memory between runs."""


@dataclass(slots=True)
class Kernel:
    """One native kernel: its loops, its LLVM IR, and once compiled its address."""

    function: Function
    nest: Nest
    text: str
    sizes: list[Dim]
    tasks: Any
    scratch: Any
    entry: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def compiled(self) -> Any:
        """The native function, compiled when first asked for."""
        if self.entry is None:
            with self.lock:
                if self.entry is None:
                    self.entry = jit.callable_of(
                        self.nest.name, self.text,
                        ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3,
                    )  # fmt: skip
        return self.entry


_kernels: dict[Function, Kernel] = {}


def kernel_of(function: Function) -> Kernel:
    """The kernel of a Function; equal Functions share one."""
    found = _kernels.get(function)
    if found is None:
        host = jit.machine()
        nest = lower(function)
        bits = max(type.dtype.bits for type in nest.outputs)
        nest = schedule(nest, host.lanes(max(32, bits)), host.registers)
        found = Kernel(function, nest, emit(nest), sizes_of(nest), tasks_of(nest), scratch_of(nest))
        found = _kernels.setdefault(function, found)
    return found


@dataclass(slots=True)
class Step:
    """One step of a program: a kernel, or a node that is evaluated by its definition.

    Values have numbers: those of the arguments and those of the results. A step with several
    results has a number for each.
    """

    node: Node
    kernel: Kernel | None
    args: list[int]
    results: list[int]


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
            self.steps.append(Step(node, kernel, args, numbers[node]))
        self._results = [each for node in self.fused.results for each in numbers[node]]

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
        return self.plan(arrays).run(arrays)

    def plan(self, arrays: Sequence[np.ndarray]) -> Plan:
        """The plan for arrays of these shapes."""
        key = tuple([(array.shape, array.dtype) for array in arrays])
        return self._plans.get(key) or self._planned(key, arrays)

    def _planned(self, key: Any, arrays: Sequence[np.ndarray]) -> Plan:
        """The plan for arrays of these shapes, made and kept."""
        sizes = bind_sizes(self.function, arrays)
        plan = Plan(self.steps, len(arrays), self._results, sizes)
        plans = list(self._plans.values())
        for former in plans[: -KEPT_WORKSPACES + 1]:
            former.forget()
        while len(self._plans) >= KEPT_PLANS:
            self._plans.pop(next(iter(self._plans), None), None)
        self._plans[key] = plan
        return plan

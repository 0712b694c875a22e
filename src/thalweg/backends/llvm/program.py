"""A whole Function as native kernels and the operations between them that have none yet.

Kernels come from `passes/fuse`, are lowered, scheduled, emitted and compiled once each; identical
kernels of any program share their code. What the lowering table does not have (contractions,
windows, linear algebra, control flow) is evaluated by its NumPy definition at the segment between
two kernels. `plan.py` says where values live and makes the calls.
"""

import ctypes
import functools
import math
import pickle
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg.backends.llvm import jit
from thalweg.backends.llvm.emit import emit, scratch_of, sizes_of, tasks_of
from thalweg.backends.llvm.groups import Group, group_of
from thalweg.backends.llvm.native import is_native
from thalweg.backends.llvm.plan import Plan
from thalweg.backends.llvm.sorting import Operand, Sorting, is_sortable
from thalweg.backends.llvm.stepwise import Stepwise
from thalweg.backends.llvm.targets import Target, host
from thalweg.ir.dim import Dim
from thalweg.ir.function import Function, build, inner_functions
from thalweg.ir.leaves import item, parameter
from thalweg.ir.node import Node
from thalweg.ir.show import show
from thalweg.ir.types import Size, TensorType, int32, int64
from thalweg.ir.walk import postorder
from thalweg.loops.group import Item, grouped
from thalweg.loops.lower import lower
from thalweg.loops.nest import Nest
from thalweg.loops.schedule import keep, schedule
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.control import call, scan, switch, while_
from thalweg.ops.movement import iota
from thalweg.ops.sort import sort
from thalweg.passes.arrange import arrange
from thalweg.passes.fuse import fuse
from thalweg.passes.parts import spell_parts
from thalweg.transforms.evaluate import bind_sizes, concrete

KEPT_PLANS = 64
"""Plans of one program, one for each set of shapes, before the oldest is dropped."""
KEPT_BODIES = 256
"""Bodies of loops whose programs are remembered."""
CONTROL = (while_, scan, switch)
KEPT_WORKSPACES = 8
"""The newest plans of a program that keep their memory between runs."""


class Kernel:
    """One native kernel: its loops, its LLVM IR, and once compiled its address.

    It computes one Function, `loops` and scheduled `nest`, or a group of them.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        nests: Sequence[Nest],
        group: Group | None,
        target: Target,
    ):
        self.functions = tuple(functions)
        self.nests = tuple(nests)
        self.group = group
        self.target = target
        self.entry: Any = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.group.name if self.group else self.nest.name

    @property
    def nest(self) -> Nest:
        """The scheduled loops, of a group the first."""
        return self.nests[0]

    @property
    def function(self) -> Function:
        """The Function, of a group the first."""
        return self.functions[0]

    @functools.cached_property
    def loops(self) -> tuple[Nest, ...]:
        """The loops before they are scheduled."""
        return tuple(map(lower, self.functions))

    @property
    def text(self) -> str:
        """The LLVM IR, written whenever it is asked for: it is long, and compiled once."""
        return self.group.text() if self.group else emit(self.nest, self.target)

    @functools.cached_property
    def sizes(self) -> list[Dim]:
        """The named sizes that the native function is given."""
        return self.group.sizes if self.group else sizes_of(self.nest, self.target)

    @functools.cached_property
    def tasks(self) -> Size:
        """How many tasks threads may share."""
        return self.group.tasks if self.group else tasks_of(self.nest, self.target)

    @functools.cached_property
    def scratch(self) -> Size:
        """Bytes that each thread needs besides."""
        return self.group.scratch if self.group else scratch_of(self.nest, self.target)

    @property
    def inputs(self) -> list[TensorType]:
        """The types of what it reads."""
        if self.group:
            return [self.group.types[number] for number in self.group.args]
        return list(self.nest.inputs)

    @property
    def outputs(self) -> list[TensorType]:
        """The types of the results."""
        if self.group:
            return [self.group.types[number] for number in self.group.results]
        return list(self.nest.outputs)

    def work(self, sizes: Mapping[str, int]) -> int:
        """How often the innermost bodies run, within known sizes."""
        return sum(_work(nest, sizes) for nest in self.nests)

    def compiled(self) -> Any:
        """The native function, compiled when first asked for."""
        if self.entry is None:
            with self._lock:
                if self.entry is None:
                    self.entry = jit.callable_of(
                        self.name, lambda: self.text,
                        ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3,
                        target=self.target, recipe=pickle.dumps((self.nests, self.group), 5),
                    )  # fmt: skip
        return self.entry


TILED = 16
"""Steps of a tile that take the time of one elsewhere."""


def _work(nest: Nest, sizes: Mapping[str, int]) -> int:
    """How often the innermost bodies of a nest run; of a contraction, whose tiles have all that
    they need in registers, a part of that."""
    outer = nest.outer[1:] if nest.parts else nest.outer
    steps = math.prod(concrete(extent, sizes) for _, extent in (*outer, *nest.inner))
    if nest.rows and nest.reductions:
        return steps // TILED
    return steps * max(1, len(nest.reductions), len(nest.stores))


NUMBER = re.compile(r"^k\d+_")
_kernels: dict[Any, Kernel] = {}


def _scheduled(nest: Nest, target: Target, is_inner: bool) -> Nest:
    bits = max(type.dtype.bits for type in nest.outputs)
    return schedule(nest, target.lanes(max(32, bits)), target.registers, is_inner)


def kernel_of(function: Function, target: Target, is_inner: bool = False) -> Kernel:
    """The kernel of a Function; those that differ in their names alone share one.

    `is_inner` is for those inside of loops.
    """
    key = (function.parameters, function.results, target, is_inner)
    found = _kernels.get(key)
    if found is None:
        # The number says where the kernel stands in its program: the code is the same elsewhere.
        function = replace(function, name=NUMBER.sub("", function.name))
        found = Kernel([function], [_scheduled(lower(function), target, is_inner)], None, target)
        found = _kernels.setdefault(key, found)
    return found


@dataclass(slots=True)
class Step:
    """One step of a program: a kernel, or a node that is evaluated by its definition.

    Values have numbers: those of the arguments and those of the results. A step with several
    results has a number for each. `nodes` are what it computes: the calls of a group, or one node.
    """

    nodes: tuple[Node, ...]
    kernel: Kernel | Sorting | None
    args: list[int]
    results: list[int]
    bodies: tuple["Program", ...] = ()

    def loop(self, sizes: Mapping[str, int]) -> Stepwise | None:
        """What runs a loop or switch step by step, within known sizes; None for all else."""
        return Stepwise(self.node, self.bodies, sizes) if self.bodies else None

    @property
    def node(self) -> Node:
        """The node, of a group the first."""
        return self.nodes[0]

    @property
    def name(self) -> str:
        """What the step is called in the text of the stage `fused`; a group has its own name."""
        if self.kernel is None or isinstance(self.kernel, Sorting):
            return self.node.op.name
        return self.kernel.name if self.kernel.group else self.node.attrs[0].name


class Program:
    """A Function ready to run. `fused` is the Function whose calls are the kernels.

    It is for the CPU at hand, or for another target, whose kernels can be read in any case.
    `is_inner` says that it is the body of a loop.
    """

    def __init__(self, function: Function, target: Target | None = None, is_inner: bool = False):
        self.function = function
        self.target = target = target or host()
        self.fused = fuse(
            arrange(spell_parts(function)), functools.partial(is_native, target=target)
        )
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
            kernel = kernel_of(node.attrs[0], target, is_inner) if node.op is call else None
            inner = inner_functions(node.attrs) if node.op in CONTROL else ()
            bodies = tuple([_body(each, target) for each in inner])
            if kernel is not None and kernel.nest.parts:
                parts = self._numbers(1)
                self.steps.append(Step((node,), kernel, args, parts))
                kernel, args = _added_up(kernel), parts
            self.steps.append(Step((node,), kernel, args, numbers[node], bodies))
        self.results = [each for node in self.fused.results for each in numbers[node]]
        self.steps = _needed(self.steps, set(self.results), target)
        self.steps = _by_rows(self.steps, set(self.results), target, is_inner)

    def _numbers(self, count: int) -> list[int]:
        """Numbers for so many new values."""
        self._count += count
        return list(range(self._count - count, self._count))

    @property
    def kernels(self) -> list[Kernel | Sorting]:
        """The program's kernels in the order in which they run, those of loops not among them."""
        return [step.kernel for step in self.steps if step.kernel is not None]

    def text(self, stage: str) -> str:
        """A stage of the program as text: fused, loops, scheduled, llvm or assembly."""
        if stage == "fused":
            return show(self.fused)
        if stage in ("llvm", "assembly"):
            texts = [kernel.text for kernel in self.kernels]
            if stage == "assembly":
                texts = [jit.assembly(text, self.target) for text in texts]
            return "\n\n".join(texts)
        found: list[Nest | Sorting] = []
        for step in self.steps:
            if step.kernel is not None:
                if isinstance(step.kernel, Sorting):
                    found.append(step.kernel)
                    continue
                nests = step.kernel.loops if stage == "loops" else step.kernel.nests
                pairs = zip(nests, step.nodes, strict=True)
                found += [replace(nest, name=node.attrs[0].name) for nest, node in pairs]
        return "\n\n".join(map(str, found))

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The results for arrays that fit the parameters' types."""
        return self.plan(arrays).run(arrays)

    def kept_bytes(self, plan: Plan) -> int:
        """What the plans for other shapes than a plan's keep for the next of their runs."""
        return sum(each.kept_bytes() for each in self._plans.values() if each is not plan)

    def plan(self, arrays: Sequence[np.ndarray]) -> Plan:
        """The plan for arrays of these shapes."""
        key = tuple([(array.shape, array.dtype) for array in arrays])
        return self._plans.get(key) or self._planned(key, arrays)

    def _planned(self, key: Any, arrays: Sequence[np.ndarray]) -> Plan:
        """The plan for arrays of these shapes, made and kept."""
        sizes = bind_sizes(self.function, arrays)
        plan = Plan(self.steps, len(arrays), self.results, sizes)
        plans = list(self._plans.values())
        for former in plans[: -KEPT_WORKSPACES + 1]:
            former.forget()
        while len(self._plans) >= KEPT_PLANS:
            self._plans.pop(next(iter(self._plans), None), None)
        self._plans[key] = plan
        return plan


def _added_up(kernel: Kernel) -> Kernel:
    """The kernel that adds up the sums that another has made in parts."""
    function = build(kernel.name, kernel.outputs, lambda parts: sum_op(parts, axes=(0,)))
    return kernel_of(function, kernel.target)


@functools.lru_cache(maxsize=KEPT_BODIES)
def _body(function: Function, target: Target) -> Program:
    """A Function of a loop or switch as a program."""
    return Program(function, target, is_inner=True)


def _needed(steps: list[Step], results: set[int], target: Target) -> list[Step]:
    """The steps whose results are wanted, with kernels for those that sort.

    Such a kernel neither reads the places along a row nor what goes along for nobody, nor does it
    give what nobody wants.
    """
    wanted = results.copy()
    found = []
    for step in reversed(steps):
        if wanted.isdisjoint(step.results):
            continue
        if is_sortable(step.node):
            _sort(step, wanted, target)
        wanted.update(step.args)
        found.append(step)
    return found[::-1]


def _sort(step: Step, wanted: set[int], target: Target) -> None:
    """Give a step that sorts its kernel."""
    node = step.node
    gives = [index for index, number in enumerate(step.results) if number in wanted]
    operands = []
    for index, arg in enumerate(node.args):
        is_key = node.op is not sort or index < node.attributes["keys"]
        is_read = is_key or (index in gives and not _is_places(arg))
        operands.append(Operand(arg.type, is_read))
    step.kernel = Sorting(node, operands, gives, target)
    step.args = [each for each, given in zip(step.args, operands, strict=True) if given.is_read]
    step.results = [step.results[index] for index in gives]


def _is_places(node: Node) -> bool:
    """True for 0, 1, 2, ... along the last axis, as a fused Function has them."""
    if node.op is item and node.args[0].op is call:
        node = node.args[0].attrs[0].results[node.attrs[0]]
    if node.op is not iota or node.dtype not in (int32, int64):
        return False
    return node.attributes["axis"] == node.type.rank - 1


def _by_rows(steps: list[Step], results: set[int], target: Target, is_inner: bool) -> list[Step]:
    """The steps with those kernels in one that walk the same rows."""
    items = []
    for step in steps:
        # What needs no input is computed once, not in every run.
        nest = step.kernel.loops[0] if isinstance(step.kernel, Kernel) and step.args else None
        items.append(Item(nest, step.args, step.results, step))
    wanted = results.copy()
    ordered = grouped(items)
    for each in ordered:
        wanted.update(each.args)
    return [
        _group_step(each, wanted, target, is_inner) if each.members else each.what
        for each in ordered
    ]


def _group_step(whole: Item, wanted: set[int], target: Target, is_inner: bool) -> Step:
    """The step of a group; of what it makes it gives what is wanted elsewhere."""
    steps: list[Step] = [member.what for member in whole.members]
    kernels = [step.kernel for step in steps if isinstance(step.kernel, Kernel)]
    first = kernels[0].loops[0]
    rows: Size = 1
    for _, extent in first.outer[: whole.depth]:
        rows = rows * extent
    nests = [_scheduled(keep(kernel.loops[0], whole.depth), target, is_inner) for kernel in kernels]
    parts = [(nest, step.args, step.results) for nest, step in zip(nests, steps, strict=True)]
    given = [each for each in whole.results if each in wanted]
    group, args, gives = group_of(parts, given, rows, target)
    functions = tuple(kernel.function for kernel in kernels)
    wiring = tuple((member.args, member.results) for member in group.members)
    key = (functions, wiring, group.results, whole.depth, target)
    kernel = _kernels.get(key) or _kernels.setdefault(key, Kernel(functions, nests, group, target))
    nodes = tuple(node for step in steps for node in step.nodes)
    return Step(nodes, kernel, args, gives)

"""Where the time of a traced function goes: each kernel with what it does to the machine.

profile(function, *args)    runs it and returns a Profile, which prints as a table

A kernel's operations and bytes are those of the graph that it computes: what it reads and writes
once, however often it goes through memory. Beside the ceilings that were measured on this machine,
by as many threads, they say what bounds it and what could be gained.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.backends.door import ceilings
from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.trace import TracedFunction
from thalweg.ir.dim import Dim, substitute
from thalweg.ir.leaves import constant, item, parameter
from thalweg.ir.node import Node
from thalweg.tools.costs import columns, quantity, user_line_and_layer
from thalweg.transforms.cost import cost, cost_of
from thalweg.transforms.evaluate import bind_sizes

if TYPE_CHECKING:
    from thalweg.backends.llvm.plan import Action

MOST_LINES = 2
"""Lines of the user's program named for a kernel, those with most work first."""
CALL = 1e-6
"""Seconds that a single call takes whatever it does: shares of ceilings are not told below it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One step: its name, its ops, median seconds, operations, bytes, and the lines behind it.

    `is_native` is False for an operation that runs by its NumPy definition.
    """

    name: str
    ops: str
    seconds: float
    flops: int
    bytes: int
    lines: tuple[str, ...]
    is_native: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """The steps of a program in the order in which they run, and the ceilings of the machine."""

    name: str
    entries: tuple[Entry, ...]
    flops_ceiling: float
    bytes_ceiling: float
    threads: int

    @property
    def seconds(self) -> float:
        """The time of all steps."""
        return sum(entry.seconds for entry in self.entries)

    def share(self, entry: Entry) -> float:
        """How close a step comes to the nearer of both ceilings, from 0 to 1."""
        least = max(entry.flops / self.flops_ceiling, entry.bytes / self.bytes_ceiling)
        return least / max(entry.seconds, 1e-9)

    def table(self, most: int = 20) -> str:
        """The dearest steps as text."""
        total = self.seconds
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        lines = [
            f"{self.name}: {total * 1e3:.3g} ms in {len(self.entries)} steps, {threads}; ceilings "
            f"{quantity(self.flops_ceiling, 'FLOP/s')}, {quantity(self.bytes_ceiling, 'B/s')}",
            "",
        ]
        rows: list[tuple[str, ...]] = [
            ("step", "µs", "of all", "FLOP/s", "B/s", "of ceiling", "ops", "lines")
        ]
        for entry in sorted(self.entries, key=lambda each: -each.seconds)[:most]:
            per_second = entry.flops / entry.seconds, entry.bytes / entry.seconds
            share = f"{self.share(entry):.0%}" if entry.seconds > CALL else ""
            name = entry.name if entry.is_native else f"{entry.name} (definition)"
            rows.append(
                (
                    name,
                    f"{entry.seconds * 1e6:,.1f}",
                    f"{entry.seconds / total:.1%}",
                    *map(quantity, per_second),
                    share,
                    entry.ops,
                    "; ".join(entry.lines),
                )
            )
        left = len(self.entries) - most
        rest = [f"... and {left} more"] if left > 0 else []
        return "\n".join([*lines, *columns(rows, "<>>>>><<"), *rest])

    __str__ = table

    def __repr__(self) -> str:
        return self.table()


def profile(function: TracedFunction, *args: Any, rounds: int = 9, **kwargs: Any) -> Profile:
    """Run a traced function natively so many times and time each of its kernels.

    Variables keep their values: results are thrown away. Raises ArgumentTypeError for what is not
    a traced function, ArgumentError for no rounds.

    >>> import thalweg as tw
    >>> f = tw.function(lambda x: tw.exp(x) + 1)
    >>> found = tw.profile(f, tw.ones((4, 4)))
    >>> len(found.entries)
    1
    """
    if not isinstance(function, TracedFunction):
        do = "Decorate it with @function."
        raise ArgumentTypeError(
            explain("profile", "a traced function", type(function).__name__, do)
        )
    if rounds < 1:
        raise ArgumentError(explain("profile", "one round or more", f"rounds={rounds}"))
    variant, arrays = function.inputs(*args, **kwargs)
    program = variant.stages.program
    plan = program.plan(arrays)
    plan.timed(arrays, 1)  # compiles, and fills caches
    timed = plan.timed(arrays, rounds)
    sizes = bind_sizes(program.fused, arrays)
    best = ceilings()
    entries = tuple(_entry(action, statistics.median(seconds), sizes) for action, seconds in timed)
    return Profile(function.name, entries, best.flops, best.bytes, best.threads)


def _entry(action: "Action", seconds: float, sizes: Any) -> Entry:
    step, is_native = action.step, action.definition is None
    kernel = step.kernel
    if kernel is None or not kernel.functions:
        node = step.node
        types = [arg.type for arg in node.args]
        types += node.type if isinstance(node.type, tuple) else [node.type]
        name, inner = node.op.name, [node]
        flops = cost_of(node).flops
    else:
        name = step.name
        types = [*kernel.inputs, *kernel.outputs]
        inner = [each for body in kernel.functions for each in body.order()
                 if each.op not in (parameter, item, constant)]  # fmt: skip
        flops = sum((cost(body).flops for body in kernel.functions), 0)
    bytes = sum(_number(type.bytes, sizes) for type in types)
    ops = _listed(dict.fromkeys(each.op.name for each in inner))
    lines = _lines(inner, sizes)
    return Entry(name, ops, seconds, _number(flops, sizes), bytes, lines, is_native)


def _lines(nodes: Iterable[Node], sizes: Any) -> tuple[str, ...]:
    work: dict[str, int] = {}
    for node in nodes:
        line = user_line_and_layer(node)
        if line:
            work[line] = work.get(line, 0) + _number(cost_of(node).flops, sizes)
    return tuple(sorted(work, key=lambda line: -work[line])[:MOST_LINES])


def _listed(ops: Iterable[str], most: int = 5) -> str:
    names = list(ops)
    return " ".join([*names[:most], *(["..."] if len(names) > most else [])])


def _number(value: Any, sizes: Any) -> int:
    return int(substitute(value, sizes) if isinstance(value, Dim) else value)

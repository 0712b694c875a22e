"""What a traced function takes of memory, known before it runs.

memory(function, *args)    a Memory, which prints as a table; nothing is run

Where every value of a program lies is planned for the shapes of a call, so what it takes is a sum:

    arguments     what is passed, captured, and variables that it only reads
    results       two sets, written in turn: the values of variables go to and fro between them
    between       the block for values between kernels, those of loops and branches among them
    threads       what each thread packs and keeps of rows
    loops         the blocks of loops that go step by step, since an operation in them has no kernel
    definitions   what operations without a kernel give, at most at one time
    other sizes   what is kept of calls with other shapes, for the next of them

Not counted is what the definition of an operation takes for itself, and what holds the program:
the interpreter, compiled code, Python's objects.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.backends.door import threads
from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.engine.trace import TracedFunction
from thalweg.tools.costs import columns, quantity, user_line_and_layer

if TYPE_CHECKING:
    from thalweg.backends.llvm.program import Step

MOST_VALUES = 8
"""Values named that take most room where most is taken."""


@dataclass(frozen=True, slots=True)
class Held:
    """A value between kernels while most of them are held: what makes it, its bytes, its line."""

    name: str
    bytes: int
    line: str


@dataclass(frozen=True, slots=True)
class Memory:
    """The bytes that a function takes, by what they are for, and the largest values at its peak."""

    name: str
    threads: int
    arguments: int
    results: int
    between: int
    scratch: int
    loops: int
    definitions: int
    other_sizes: int
    largest: tuple[Held, ...]

    @property
    def peak(self) -> int:
        """All of it: what the process grows by at most, over any number of calls."""
        working = self.between + self.scratch + self.loops + self.definitions
        return self.arguments + self.results + working + self.other_sizes

    def table(self) -> str:
        """The parts as text, and the values that make most of the block."""
        parts = {
            "arguments": self.arguments,
            "results, two sets": self.results,
            "between kernels": self.between,
            f"of {self.threads} threads": self.scratch,
            "loops step by step": self.loops,
            "definitions": self.definitions,
            "kept for other sizes": self.other_sizes,
        }
        head = (f"{self.name}, at its peak", quantity(self.peak, "B"))
        rows = [(part, quantity(size, "B")) for part, size in parts.items() if size]
        lines = columns([head, *rows], "<>")
        if self.largest:
            values = [(each.name, quantity(each.bytes, "B"), each.line) for each in self.largest]
            lines += ["", *columns([("values between kernels", "bytes", "line"), *values], "<><")]
        return "\n".join(lines)

    __str__ = table

    def __repr__(self) -> str:
        return self.table()


def memory(function: TracedFunction, *args: Any, **kwargs: Any) -> Memory:
    """What calls of a traced function with arguments of these shapes take; it is not run.

    It is traced and compiled, where it was not yet; tensors that wait are not computed, so that
    `tw.zeros(shape)` stands for a batch that there is no room for. Raises ArgumentTypeError for
    what is not a traced function.

    >>> import thalweg as tw
    >>> f = tw.function(lambda x: tw.sum(tw.exp(x) @ tw.matrix_transpose(x)))
    >>> print(f"{tw.memory(f, tw.zeros((100_000, 1000))).peak / 1e9:.1f} GB")
    40.8 GB
    """
    if not isinstance(function, TracedFunction):
        do = "Decorate it with @function."
        raise ArgumentTypeError(explain("memory", "a traced function", type(function).__name__, do))
    variant, arrays = function.stand_ins(*args, **kwargs)
    program = variant.stages.program
    plan = program.plan(arrays)
    workers = threads() if plan.is_big else 1
    passed = len(arrays) - len(variant.variables) - len(variant.captured)
    state = {id(each) for each in variant.assigned}
    given = [
        array
        for place, array in enumerate(arrays)
        if not (passed <= place < passed + len(variant.variables))
        or id(variant.variables[place - passed]) not in state
    ]
    return Memory(
        function.name,
        workers,
        sum(each.nbytes for each in given),
        2 * plan.result_bytes,
        plan.bytes,
        plan.scratch * workers,
        sum(loop.working_bytes(workers) for loop in plan.loops),
        plan.defined_bytes,
        program.kept_bytes(plan),
        tuple(Held(step.name, size, _line(step)) for step, size in plan.largest(MOST_VALUES)),
    )


def _line(step: "Step") -> str:
    """The first line of the user's program that a step has to do with."""
    functions = step.kernel.functions if step.kernel else ()
    nodes = [each for body in functions for each in body.order()] or [step.node]
    return next((line for node in reversed(nodes) if (line := user_line_and_layer(node))), "")

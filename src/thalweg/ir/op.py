"""The Op record: everything mathematics knows about an operation, declared once.

    infer(*types, **attrs) -> type                    the only place that raises shape errors
    evaluate(*arrays, **attrs) -> array               NumPy; the living definition
    gradient(dy, y, *args, **attrs) -> cotangents     a node for each of args, None where y is
                                                      constant in it, or Absent(why)
    batch(size, mapped, *args, **attrs) -> y          mapped args and all results carry axis 0
    cost(*types, result, **attrs) -> FLOP             bytes follow from the types
    expand(*args, **attrs) -> y                       a composite spelled out in other ops

Data is positional and metadata is keyword-only, everywhere. Ops with several results take and give
tuples; a composite has one result. `tolerance` is how far a backend may be from `evaluate`, in
units of the result type's epsilon relative to the largest magnitude in the result; 0 means bit for
bit. Ops that hold Functions are `higher_order`: their rules receive the transform itself as the
keyword `run` (evaluate), `differentiate` and `active` (gradient; the second says of which args a
derivative is asked), `batched` and `depends` (batch) or `count` (cost), because a family of ops
never imports a transform.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import REQUIRED, Kind, normalise
from thalweg.ir.node import Node, make

ABSENT = Absent("not declared")
PRIMITIVE = Absent("a primitive")


@dataclass(frozen=True, slots=True)
class Sample:
    """Data and attributes that an op is tested with.

    `args` are NumPy arrays. `differentiable` is False where the point has no derivative (a tie, a
    kink); `tolerance` widens the op's own for this sample.
    """

    args: tuple
    attrs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    differentiable: bool = True
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Types and attributes that an op must refuse, and a part of the message it must give."""

    args: tuple
    attrs: Mapping[str, Any]
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operation of the vocabulary; call it with nodes to get a node."""

    name: str
    doc: str
    infer: Callable
    evaluate: Callable
    arity: int | None
    attributes: Mapping[str, Kind] = field(default_factory=dict)
    gradient: Callable | Absent = ABSENT
    batch: Callable | Absent = ABSENT
    cost: Callable | Absent = ABSENT
    expand: Callable | Absent = PRIMITIVE
    laws: frozenset[str] = frozenset()
    samples: Callable[[], Iterable[Sample]] | Absent = ABSENT
    refuses: Callable[[], Iterable[Refusal]] | Absent = ABSENT
    tolerance: float = 0.0
    higher_order: bool = False
    family: str = ""
    attribute_names: tuple[str, ...] = ()

    def __call__(self, *args: Node, **attrs: Any) -> Node:
        if self.arity is not None and len(args) != self.arity:
            raise ArgumentTypeError(explain(self.name, f"{self.arity} operands", f"{len(args)}"))
        if attrs or self.attributes:
            return make(self, args, self.bind(attrs))
        return make(self, args)

    def bind(self, attrs: dict[str, Any]) -> tuple:
        """Attributes in the declared order and in normal form."""
        values = []
        for name, kind in self.attributes.items():
            value = attrs.pop(name, kind.default)
            if value is REQUIRED:
                raise ArgumentTypeError(explain(self.name, f"the attribute {name}", "none"))
            values.append(normalise(self.name, name, kind, value))
        if attrs:
            known = ", ".join(self.attributes) or "none"
            raise ArgumentTypeError(
                explain(self.name, f"attributes among: {known}", ", ".join(attrs))
            )
        return tuple(values)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self):
        return find, (self.name,)


vocabulary: dict[str, Op] = {}


def declare(op: Op) -> Op:
    """Enter an op into the vocabulary; every name once."""
    if op.name in vocabulary:
        raise ArgumentTypeError(explain("declare", "a new name", f"a second op {op.name!r}"))
    object.__setattr__(op, "attribute_names", tuple(op.attributes))
    vocabulary[op.name] = op
    return op


def find(name: str) -> Op:
    """The op of a name."""
    return vocabulary[name]

"""Marks: copies of a node that stand apart from it.

alias(x, tag=...)          x under a name of its own: what a derivative is taken with respect to
stop_gradient(x)           x, through which no derivative flows
barrier(x)                 x, which no rewrite looks through: keeps a recomputation from merging
                           with the first computation
"""

from collections.abc import Callable

from thalweg.base.table import Absent
from thalweg.ir.attribute import Kept
from thalweg.ir.leaves import Tag
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Sample, declare
from thalweg.ir.types import float32, float64
from thalweg.ops.samples import values


def _identity(name: str, doc: str, gradient: Callable, differentiable: bool) -> Op:
    op = Op(
        name=name,
        doc=doc,
        infer=lambda x: x,
        evaluate=lambda x: x,
        arity=1,
        gradient=gradient,
        batch=lambda size, mapped, x: op(x),
        cost=lambda x, *, result: 0,
        laws=frozenset({"linear"}),
        samples=lambda: [
            Sample((values((2, 3), dtype),), differentiable=differentiable)
            for dtype in (float32, float64)
        ],
        refuses=Absent("takes any type"),
        tolerance=0,
        family="mark",
    )
    return declare(op)


stop_gradient: Op = _identity(
    "stop_gradient", "x, through which no derivative flows.", lambda dy, y, x: (None,), False
)
barrier: Op = _identity(
    "barrier", "x, which no rewrite looks through.", lambda dy, y, x: (barrier(dy),), True
)

alias: Op = declare(
    Op(
        name="alias",
        doc="x under a name of its own, equal to no other node.",
        infer=lambda x, *, tag: x,
        evaluate=lambda x, *, tag: x,
        arity=1,
        attributes={"tag": Kept()},
        gradient=lambda dy, y, x, *, tag: (dy,),
        batch=lambda size, mapped, x, *, tag: mark(x),
        cost=lambda x, *, result, tag: 0,
        laws=frozenset({"linear"}),
        samples=Absent("its tag is made anew each time; removed before anything runs"),
        refuses=Absent("takes any type"),
        tolerance=0,
        family="mark",
    )
)


def mark(x: Node, name: str = "x") -> Node:
    """x under a name of its own."""
    return alias(x, tag=Tag(name))

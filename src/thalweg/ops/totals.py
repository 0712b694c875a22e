"""Sums over all steps of a loop, made at once from what the loop stacks.

    for t:  total += x[t]' dy[t]              total = product of x and dy over steps and samples

One product of everything is faster than many that each read and write the total.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thalweg.ir.node import Node, remake
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.elementwise import add, negative
from thalweg.ops.movement import reshape, transpose

LINEAR = (negative, reshape, transpose)
"""What may as well be done to a sum as to its terms."""


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over steps: the values to stack, and what makes the sum of their stacks."""

    operands: tuple[Node, ...]
    join: Callable[[Sequence[Node]], Node]


def total_over(term: Node) -> Total | None:
    """How to sum a value of a body over all steps; None where it is best added step by step."""
    if term.op is dot:
        attrs = term.attributes
        contract, batch = (
            tuple(tuple(axis + 1 for axis in axes) for axes in attrs[name])
            for name in ("contract", "batch")
        )
        attrs |= {"contract": tuple((0, *axes) for axes in contract), "batch": batch}
        return Total(term.args, lambda stacks: dot(*stacks, **attrs))
    if term.op is sum_op:
        axes = (0, *(axis + 1 for axis in term.attributes["axes"]))
        return Total(term.args, lambda stacks: sum_op(stacks[0], axes=axes))
    if term.op in LINEAR:
        inner = total_over(term.args[0])
        if inner is None:
            return None
        join = inner.join
        return Total(inner.operands, lambda stacks: remake(term, (join(stacks),), term.attrs))
    if term.op is add:
        left, right = map(total_over, term.args)
        if left is None or right is None:
            return None
        count, first, second = len(left.operands), left.join, right.join
        operands = (*left.operands, *right.operands)
        return Total(operands, lambda stacks: add(first(stacks[:count]), second(stacks[count:])))
    return None

"""What a Function takes: floating-point operations, and bytes moved if no two ops are fused.

cost(function) -> Cost(flops, bytes_read, bytes_written), each an integer or a symbolic size
"""

from dataclasses import dataclass
from typing import Any

from thalweg.base.table import Absent
from thalweg.ir.function import Function
from thalweg.ir.leaves import item, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import Size
from thalweg.ir.walk import postorder


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of a node or Function; `bytes` is the sum of both directions."""

    flops: Any = 0
    bytes_read: Any = 0
    bytes_written: Any = 0

    @property
    def bytes(self) -> Any:
        return self.bytes_read + self.bytes_written

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.flops + other.flops,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
        )

    def times(self, count: Size) -> "Cost":
        return Cost(self.flops * count, self.bytes_read * count, self.bytes_written * count)


def cost(function: Function) -> Cost:
    """The cost of all ops of a Function, each reading its operands and writing its results."""
    total = Cost()
    for node in postorder(function.results):
        total = total + cost_of(node)
    return total


def cost_of(node: Node) -> Cost:
    """The cost of one node; loops and branches count their bodies."""
    if node.op is parameter or node.op is item:
        return Cost()
    op = node.op
    types = [arg.type for arg in node.args]
    if isinstance(op.cost, Absent):
        flops: Any = 0
        if op.expand:
            flops = sum((cost_of(each).flops for each in _spelled(node)), 0)
    elif op.higher_order:
        return op.cost(*types, result=node.type, count=cost, **node.attributes)
    else:
        flops = op.cost(*types, result=node.type, **node.attributes)
    results = node.type if isinstance(node.type, tuple) else (node.type,)
    return Cost(
        flops,
        sum((type.bytes for type in types), 0),
        sum((type.bytes for type in results), 0),
    )


def _spelled(node: Node) -> list[Node]:
    """What a composite is computed by; what composites inside of it have in common counts once."""
    seen = set(node.args)
    found = []
    pending = [node]
    while pending:
        each = pending.pop()
        if each in seen:
            continue
        seen.add(each)
        if each.op.expand:
            pending.append(each.op.expand(*each.args, **each.attributes))
        else:
            found.append(each)
            pending.extend(each.args)
    return found

"""What every step of a loop would compute alike, computed once before it.

    hoist(scan)   scan(c, xs, body)  ->  scan(c, transpose(c), xs, body that takes it)

A value that depends on constants alone becomes a constant, unless it is larger than what it is made
of: to read that would cost more than to make it again.
"""

from collections.abc import Sequence

from thalweg.ir.dim import is_known_at_least
from thalweg.ir.function import Function, close, fresh, inline
from thalweg.ir.node import Node
from thalweg.ir.types import TensorType
from thalweg.ir.walk import dependents, substitute, users
from thalweg.ops.control import callback, check, scan

EFFECTS = frozenset((callback, check))
"""Ops that have to happen as often as the step does."""


def hoist(body: Function, args: Sequence[Node], **attrs: int) -> Node | None:
    """The scan of a body over these args with its invariants outside; None where it has none."""
    count = attrs["constants"]
    fixed, moving = body.parameters[:count], body.parameters[count:]
    found = _invariants(body, fixed, moving)
    if not found:
        return None
    values = inline(Function(body.name, fixed, tuple(found)), args[:count])
    known = [fresh(f"known{index}", node.type) for index, node in enumerate(found)]
    results = substitute(body.results, dict(zip(found, known, strict=True)))
    changed = close(body.name, [*fixed, *known, *moving], results)
    attrs |= {"constants": count + len(known)}
    return scan(*args[:count], *values, *args[count:], body=changed, **attrs)


def _invariants(body: Function, fixed: Sequence[Node], moving: Sequence[Node]) -> list[Node]:
    """The largest values that depend on constants alone and are worth a place."""
    order = body.order()
    variant = dependents(order, moving)
    # Without operands there is nothing to read: such values are no dearer inside.
    reached = dependents(order, fixed)
    steady = [node for node in order if node in reached and node not in variant and node.args]
    kept = {node for node in steady if _is_worth_it(node)}
    used = users(order)
    return [
        node
        for node in steady
        if node in kept and (node in body.results or any(user not in kept for user in used[node]))
    ]


def _is_worth_it(node: Node) -> bool:
    if node.op in EFFECTS or node.op.higher_order or not isinstance(node.type, TensorType):
        return False
    if not node.type.is_static:
        return False
    read = sum(arg.type.size for arg in node.args if isinstance(arg.type, TensorType))
    return is_known_at_least(read - node.type.size, 0)

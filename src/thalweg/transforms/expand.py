"""Spell composites out: replace every op that has an `expand` by its definition in other ops."""

from collections.abc import Callable

from thalweg.ir.function import Function
from thalweg.ir.node import Node, make
from thalweg.ir.op import Op
from thalweg.ir.walk import postorder


def expand(function: Function, keep: Callable[[Op], bool] = lambda op: False) -> Function:
    """The Function without composites, except those that `keep` says a backend takes whole."""
    return function.with_results(expand_nodes(function.results, keep))


def expand_nodes(roots, keep: Callable[[Op], bool] = lambda op: False) -> list[Node]:
    """The roots without composites; a composite may expand into others, which expand in turn."""
    new: dict[Node, Node] = {}
    pending = [(root, False) for root in reversed(list(roots))]
    origin: dict[Node, Node] = {}
    while pending:
        node, is_open = pending.pop()
        if node in new:
            continue
        if not is_open:
            pending.append((node, True))
            pending.extend((arg, False) for arg in reversed(node.args) if arg not in new)
            continue
        if node in origin:
            new[node] = new[origin[node]]
            continue
        args = tuple([new[arg] for arg in node.args])
        same = node if args == node.args else make(node.op, args, node.attrs)
        if not node.op.expand or keep(node.op):
            new[node] = same
            continue
        for arg in args:
            new.setdefault(arg, arg)
        inner = node.op.expand(*args, **node.attributes)
        origin[node] = inner
        pending.append((node, True))
        pending.append((inner, False))
    return [new[root] for root in roots]


def is_expanded(function: Function) -> bool:
    """True when no composite is left."""
    return not any(node.op.expand for node in postorder(function.results))

"""Spell composites out: replace every op that has an `expand` by its definition in other ops."""

from collections.abc import Callable, Sequence

from thalweg.ir.function import Function, all_nodes, with_functions
from thalweg.ir.node import Node, made_by, remake
from thalweg.ir.op import Op


def expand(function: Function, keep: Callable[[Op], bool] = lambda op: False) -> Function:
    """The Function without composites, except those that `keep` says a backend takes whole.

    The Functions of its loops and branches are expanded too.
    """
    known: dict[Function, Function] = {}

    def visit(function: Function) -> Function:
        found = known.get(function)
        if found is None:
            found = function.with_results(_expand_nodes(function.results, keep, visit))
            known[function] = known[found] = found
        return found

    return visit(function)


def _expand_nodes(
    roots: Sequence[Node],
    keep: Callable[[Op], bool],
    inner_change: Callable[[Function], Function],
) -> list[Node]:
    # A composite may expand into others, which expand in turn.
    new: dict[Node, Node] = {}
    pending = [(root, False) for root in reversed(roots)]
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
        if not node.op.expand or keep(node.op):
            attrs = node.attrs
            if node.op.higher_order:
                attrs = with_functions(attrs, inner_change)
            new[node] = remake(node, args, attrs)
            continue
        for arg in args:
            new.setdefault(arg, arg)
        with made_by("expand", node):
            inner = node.op.expand(*args, **node.attributes)
        origin[node] = inner
        pending.append((node, True))
        pending.append((inner, False))
    return [new[root] for root in roots]


def is_expanded(function: Function) -> bool:
    """True when no composite is left."""
    return not any(node.op.expand for node in all_nodes(function))

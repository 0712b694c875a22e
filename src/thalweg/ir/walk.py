"""Walks over graphs: all iterative, so depth is bounded by memory and not by Python's stack."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from thalweg.ir.leaves import parameter
from thalweg.ir.node import Node, remake


class Nodes(Protocol):
    """Whatever can tell whether a node is in it: a set, a dictionary, a rule."""

    def __contains__(self, node: Node, /) -> bool: ...


def postorder(roots: Iterable[Node], stop: Nodes = ()) -> list[Node]:
    """Every node that the roots reach, once, each after its args; a canonical order.

    Nodes in `stop` are listed, and what they alone reach is not.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack = list(roots)
    stack.reverse()
    while stack:
        node = stack[-1]
        if node in seen:
            stack.pop()
            continue
        pending = [arg for arg in node.args if arg not in seen]
        if pending and node not in stop:
            pending.reverse()
            stack.extend(pending)
        else:
            seen.add(node)
            order.append(node)
            stack.pop()
    return order


def substitute(roots: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """The roots with some nodes replaced; everything above a replaced node is made anew."""
    changed = dict(replacements)
    for node in postorder(roots, replacements):
        if node in changed or not node.args:
            continue
        args = tuple([changed.get(arg, arg) for arg in node.args])
        if args != node.args:
            changed[node] = remake(node, args, node.attrs)
    return [changed.get(root, root) for root in roots]


def dependents(order: Iterable[Node], on: Iterable[Node]) -> set[Node]:
    """The nodes of a postorder that depend on any of the given nodes, these included."""
    found = set(on)
    for node in order:
        if node not in found and any(arg in found for arg in node.args):
            found.add(node)
    return found


def users(order: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node of a postorder, the nodes that use it, once for each use."""
    found: dict[Node, list[Node]] = {}
    for node in order:
        found.setdefault(node, [])
        for arg in node.args:
            found.setdefault(arg, []).append(node)
    return found


def parameters(order: Iterable[Node]) -> list[Node]:
    """The parameters in a postorder, in the order in which they are met."""
    return [node for node in order if node.op is parameter]


def rebuild(roots: Sequence[Node], visit: Callable[[Node, tuple[Node, ...]], Node]) -> list[Node]:
    """The roots with every node replaced by `visit(node, new_args)`, from the leaves up."""
    new: dict[Node, Node] = {}
    for node in postorder(roots):
        new[node] = visit(node, tuple([new[arg] for arg in node.args]))
    return [new[root] for root in roots]

"""Inlining: calls become the nodes of their Functions, here and inside loop bodies.

A custom derivative and a checkpoint have done their work once a program is differentiated, so
their Functions are inlined like any call. Two scans that walk the same sequence with the same
carry, as a loop and the loop that keeps its history for the derivative do, become one.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.ir.function import Function, change_all, inline, with_functions
from thalweg.ir.leaves import item, splat
from thalweg.ir.node import Node, remake
from thalweg.ir.walk import postorder
from thalweg.ops.control import call, checkpoint, custom_call, scan, switch
from thalweg.ops.movement import reshape

CALLS = (call, checkpoint, custom_call)


def inline_calls(function: Function) -> Function:
    """The Function without calls."""
    return _Inliner().function(function)


class _Inliner:
    def __init__(self) -> None:
        self.known: dict[Function, Function] = {}

    def function(self, function: Function) -> Function:
        found = self.known.get(function)
        if found is None:
            found = function.with_results(self.nodes(function.results))
            self.known[function] = found
        return found

    def nodes(self, roots: Sequence[Node]) -> list[Node]:
        new: dict[Node, Any] = {}
        for node in postorder(roots):
            if node.op is item and isinstance(new[node.args[0]], list):
                found = new[node.args[0]][node.attrs[0]]
                # A size may be written in another way where it is inferred anew.
                is_same = found.type is node.type
                new[node] = found if is_same else reshape(found, shape=node.shape)
                continue
            args = tuple([new[arg] for arg in node.args])
            if node.op in CALLS:
                new[node] = inline(self.function(node.attrs[0]), args)
            elif node.op is switch and splat(args[0]) is not None:
                branches = node.attrs[0]
                taken = min(max(splat(args[0]), 0), len(branches) - 1)
                new[node] = inline(self.function(branches[taken]), args[1:])
            else:
                holds = node.op.higher_order
                attrs = with_functions(node.attrs, self.function) if holds else node.attrs
                new[node] = remake(node, args, attrs)
        return [new[root] for root in roots]


def merge_scans(function: Function) -> Function:
    """The Function with scans that differ only in what they stack joined into one."""
    return change_all(function, _merge_scans)


def _merge_scans(function: Function) -> Function:
    order = postorder(function.results)
    groups: dict[Any, list[Node]] = {}
    for node in order:
        if node.op is scan:
            attrs = node.attributes
            body: Function = attrs.pop("body")
            carries = attrs["carries"]
            key = (node.args, tuple(attrs.values()), body.parameters, body.results[:carries])
            groups.setdefault(key, []).append(node)
    places: dict[Node, tuple[Node, list[int]]] = {}
    for nodes in groups.values():
        if len(nodes) > 1:
            places.update(_join(nodes))
    if not places:
        return function
    new: dict[Node, Node] = {}
    for node in order:
        if node.op is item and node.args[0] in places:
            joined, columns = places[node.args[0]]
            moved = _rebuilt(joined, new)
            new[node] = item(moved, index=columns[node.attrs[0]])
        elif node not in places:
            new[node] = _rebuilt(node, new)
    return function.with_results(new[root] for root in function.results)


def _rebuilt(node: Node, new: dict[Node, Node]) -> Node:
    return remake(node, tuple([new[arg] for arg in node.args]), node.attrs)


def _join(nodes: Sequence[Node]) -> dict[Node, tuple[Node, list[int]]]:
    first = nodes[0].attributes
    body, carries = first["body"], first["carries"]
    results = list(body.results)
    columns: list[list[int]] = []
    for node in nodes:
        own = list(range(carries))
        for y in node.attributes["body"].results[carries:]:
            if y not in results[carries:]:
                results.append(y)
            own.append(carries + results[carries:].index(y))
        columns.append(own)
    attrs = first | {"body": body.with_results(results)}
    joined = remake(nodes[0], nodes[0].args, tuple(attrs.values()))
    return {node: (joined, own) for node, own in zip(nodes, columns, strict=True)}

"""Constant folding: what depends on no parameter and is small is computed while compiling."""

import numpy as np

from thalweg.ir.function import Function, change_all
from thalweg.ir.leaves import constant
from thalweg.ir.node import Node, made_by, make, remake
from thalweg.ir.types import Literal
from thalweg.ir.walk import rebuild
from thalweg.transforms.evaluate import interpret

MOST_ELEMENTS = 64
"""Larger results are left as operations: a constant is text, and text should stay readable."""

IMPURE = frozenset({"callback", "check", "barrier"})


def fold(function: Function) -> Function:
    """The Function with small constant subgraphs replaced by their values, in loops too."""
    return change_all(function, _fold)


def _fold(function: Function) -> Function:
    def visit(node: Node, args: tuple[Node, ...]) -> Node:
        return folded(remake(node, args, node.attrs))

    return function.with_results(rebuild(function.results, visit))


def folded(node: Node) -> Node:
    """The constant that a node of constants computes, or the node itself when it is large.

    A pointwise op of constants that are one number everywhere gives such a constant at any size.
    """
    args = node.args
    if (
        not args
        or any(arg.op is not constant for arg in args)
        or isinstance(node.type, tuple)
        or node.op.name in IMPURE
    ):
        return node
    with made_by("fold", node):
        if node.op.family == "pointwise" and all(arg.attrs[0].is_scalar for arg in args):
            scalars = tuple([constant(value=arg.attrs[0], shape=()) for arg in args])
            return constant(value=_computed(make(node.op, scalars, node.attrs)), shape=node.shape)
        if all(each.type.is_static and each.type.size <= MOST_ELEMENTS for each in (node, *args)):
            return constant(value=_computed(node), shape=node.shape)
    return node


def _computed(node: Node) -> Literal:
    """The value of a node of constants; one number when it is the same everywhere, bit for bit."""
    (value,) = interpret([node], {}, {})
    rows = np.frombuffer(value.tobytes(), np.uint8).reshape(-1, value.dtype.itemsize)
    if len(rows) and (rows == rows[0]).all():
        value = value.reshape(-1)[0]
    return Literal.from_numpy(value, node.dtype)

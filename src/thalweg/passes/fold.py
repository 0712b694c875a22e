"""Constant folding: what depends on no parameter and is small is computed while compiling."""

from thalweg.ir.function import Function
from thalweg.ir.leaves import constant, parameter
from thalweg.ir.node import Node, made_by, make
from thalweg.ir.types import Literal
from thalweg.ir.walk import rebuild
from thalweg.transforms.evaluate import interpret

MOST_ELEMENTS = 64
"""Larger results are left as operations: a constant is text, and text should stay readable."""

IMPURE = frozenset({"callback", "check", "barrier"})


def fold(function: Function) -> Function:
    """The Function with small constant subgraphs replaced by their values."""

    def visit(node: Node, args: tuple[Node, ...]) -> Node:
        same = node if args == node.args else make(node.op, args, node.attrs)
        if not args or not all(arg.op is constant for arg in args):
            return same
        return folded(same)

    return function.with_results(rebuild(function.results, visit))


def folded(node: Node) -> Node:
    """The constant that a node of constants computes, or the node itself when it is large."""
    if (
        isinstance(node.type, tuple)
        or node.op is parameter
        or node.op.name in IMPURE
        or not node.type.is_static
        or node.type.size > MOST_ELEMENTS
        or any(arg.type.size > MOST_ELEMENTS and not arg.attrs[0].is_scalar for arg in node.args)
        or any(not arg.type.is_static for arg in node.args)
    ):
        return node
    with made_by("fold", node):
        (value,) = interpret([node], {}, {})
        literal = Literal.from_numpy(value)
        if value.size and value.ndim and (value == value.flat[0]).all() and value.flat[0] != 0:
            literal = Literal.from_numpy(value.flat[0], node.dtype)
        return constant(value=literal, shape=value.shape)

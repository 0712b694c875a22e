"""Convolutions in the form that one nest of loops computes: no padding, no input dilation.

    conv(x, k, padding=p, input_dilation=d)  ->  conv(pad(x, 0, p, interior=d-1), k)

Exact: the padded places hold zeros, which is what the convolution reads there.
"""

from thalweg.ir.function import Function
from thalweg.ir.leaves import full
from thalweg.ir.node import Node, made_by, make
from thalweg.ir.walk import rebuild
from thalweg.ops.contract import conv
from thalweg.ops.movement import pad


def arrange(function: Function) -> Function:
    """The Function with padded and dilated convolutions of one group spelled out."""

    def visit(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op is not conv or not _is_plain_group(node):
            return node if args == node.args else make(node.op, args, node.attrs)
        with made_by("arrange", node):
            return _spelled(node, *args)

    return function.with_results(rebuild(function.results, visit))


def _is_plain_group(node: Node) -> bool:
    attrs = node.attributes
    return attrs["feature_groups"] == attrs["batch_groups"] == 1


def _spelled(node: Node, x: Node, kernel: Node) -> Node:
    attrs = node.attributes
    padding, dilation = attrs["padding"], attrs["input_dilation"]
    if all(low == high == 0 for low, high in padding) and all(each == 1 for each in dilation):
        return conv(x, kernel, **attrs)
    padded = pad(
        x,
        full(0, x.dtype),
        low=(0, *(low for low, _ in padding), 0),
        high=(0, *(high for _, high in padding), 0),
        interior=(0, *(each - 1 for each in dilation), 0),
    )
    rank = len(padding)
    plain = {"padding": ((0, 0),) * rank, "input_dilation": (1,) * rank}
    return conv(padded, kernel, **(attrs | plain))

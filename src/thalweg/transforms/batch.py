"""Batching: a Function of single examples becomes a Function of batches, op by op.

    batch(function, mapped, size)   args marked in `mapped` gain a leading axis of `size`

Every op's rule takes mapped operands with the batch axis in front and gives results likewise; a
node that depends on no mapped operand stays as it is.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.table import Absent
from thalweg.ir.dim import named, symbols
from thalweg.ir.function import Function, build, own_sizes, with_sizes
from thalweg.ir.leaves import item
from thalweg.ir.node import Node, made_by, remake
from thalweg.ir.types import Size, TensorType
from thalweg.ir.walk import postorder
from thalweg.ops.broadcast import broadcast


def batch(
    function: Function,
    mapped: Sequence[bool],
    size: Size,
    results_mapped: Sequence[bool] | None = None,
) -> Function:
    """The Function over a batch; every result gains a leading axis.

    With `results_mapped`, a result marked False must not depend on a mapped argument and keeps its
    shape.
    """
    function = _apart_from(function, size)
    types = [
        _with_axis(type, size) if is_mapped else type
        for type, is_mapped in zip(function.parameter_types, mapped, strict=True)
    ]

    def body(*args: Node) -> list[Node]:
        flags = dict(zip(function.parameters, mapped, strict=True))
        new = dict(zip(function.parameters, args, strict=True))
        batch_nodes(function.results, new, flags, size)
        wanted = results_mapped or [True] * len(function.results)
        return [
            new[y] if flags[y] or not is_wanted else repeat(new[y], size)
            for y, is_wanted in zip(function.results, wanted, strict=True)
        ]

    return build(f"{function.name}_batched", types, body, function.parameter_names)


def _apart_from(function: Function, size: Size) -> Function:
    """The Function with other names for those of its own sizes that the batch size has too.

    They are the caller's to choose, and the batch size comes from around the caller.
    """
    own = own_sizes(function)
    clashing = sorted(own & symbols(size))
    if not clashing:
        return function
    names = own | symbols(size)
    new_sizes: dict[str, Size] = {}
    for name in clashing:
        other = name
        while other in names:
            other += "_"
        names |= {other}
        new_sizes[name] = named(other)
    new: dict[Node, Node] = {}
    for node in function.order():
        args = tuple([new[arg] for arg in node.args])
        new[node] = remake(node, args, with_sizes(node.attrs, new_sizes))
    parameters = tuple([new[node] for node in function.parameters])
    return Function(function.name, parameters, tuple([new[y] for y in function.results]))


def mapped_results(function: Function, mapped: Sequence[bool]) -> list[bool]:
    """Which results depend on a mapped argument."""
    flags = dict(zip(function.parameters, mapped, strict=True))
    for node in postorder(function.results):
        if node not in flags:
            flags[node] = any(flags[arg] for arg in node.args)
    return [flags[y] for y in function.results]


def batch_nodes(
    roots: Sequence[Node], new: dict[Node, Node], flags: dict[Node, bool], size: Size
) -> None:
    """Fill `new` and `flags` for everything the roots reach; nodes already in `new` are given."""
    for node in postorder(roots, new):
        if node in new:
            continue
        args = tuple([new[arg] for arg in node.args])
        mapped = [flags[arg] for arg in node.args]
        flags[node] = any(mapped)
        if not flags[node] or node.op is item:
            new[node] = remake(node, args, node.attrs)
        else:
            with made_by("batch", node):
                new[node] = batch_node(node, args, mapped, size)


def batch_node(node: Node, args: Sequence[Node], mapped: Sequence[bool], size: Size) -> Node:
    """One node over a batch."""
    op = node.op
    attrs: dict[str, Any] = node.attributes
    if isinstance(op.batch, Absent):
        if op.expand:
            expanded = op.expand(*node.args, **attrs)
            new = dict(zip(node.args, args, strict=True))
            flags = dict(zip(node.args, mapped, strict=True))
            batch_nodes([expanded], new, flags, size)
            return new[expanded] if flags[expanded] else repeat(new[expanded], size)
        raise ArgumentError(
            explain(
                f"vmap of {op.name}",
                "an operation that can be batched",
                f"{node!r}: {op.batch.reason}",
            )
        )
    if op.higher_order:
        attrs |= {"batched": batch, "depends": mapped_results}
    return op.batch(size, tuple(mapped), *args, **attrs)


def repeat(node: Node, size: Size) -> Node:
    """A node with a new leading axis along which it repeats."""
    return broadcast(node, shape=(size, *node.shape), axes=tuple(range(1, node.type.rank + 1)))


def _with_axis(type: TensorType, size: Size) -> TensorType:
    return type.with_shape((size, *type.shape))

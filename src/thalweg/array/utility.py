"""Utility functions: do all or any elements hold, and differences of neighbours.

Names, argument order and results are those of the Python Array API standard 2024.12, section
"Utility functions".
"""

import builtins
from collections.abc import Sequence
from typing import Any

from thalweg.array.manipulation import cut, expand, slice_bounds
from thalweg.array.operands import axes_of, axis_of, same_dtype, same_shape
from thalweg.array.operands import broadcast_to as stretch
from thalweg.array.searching import truth
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor, wrap
from thalweg.ir.node import Node
from thalweg.ir.op import Op
from thalweg.ir.types import bool_
from thalweg.ops import reduce
from thalweg.ops.elementwise import not_equal, subtract
from thalweg.ops.movement import concatenate


def all(x: Any, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """True where every element along some axes, or of all, is true (not 0). All of none are."""
    return _reduced("all", reduce.all, x, axis, keepdims)


def any(x: Any, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """True where an element along some axes, or of all, is true (not 0). None of none is."""
    return _reduced("any", reduce.any, x, axis, keepdims)


def _reduced(name: str, op: Op, x: Any, axis: Any, keepdims: bool) -> Tensor:
    node = truth(name, x)
    axes = axes_of(name, axis, node.type.rank)
    found = op(node, axes=axes)
    return wrap(expand(found, axes) if keepdims else found)


def diff(
    x: Any,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: Any | None = None,
    append: Any | None = None,
) -> Tensor:
    """The differences of neighbours along an axis, taken n times: (B, N) -> (B, N - n).

    `prepend` and `append` are joined to x first; one without axes counts as one element. For
    booleans the difference says whether neighbours differ. With n = 0 it is x itself.
    """
    ends = {"prepend": prepend, "append": append}
    given = {name: end for name, end in ends.items() if end is not None}
    node, *joined = same_dtype("diff", x, *given.values())
    axis = axis_of("diff", axis, node.type.rank)
    if isinstance(n, bool) or not hasattr(n, "__index__") or n.__index__() < 0:
        raise ArgumentError(explain("diff", "an n of 0 or more", f"{n!r}"))
    if not n:
        return wrap(node)
    parts = [node]
    for name, end in zip(given, joined, strict=True):
        parts.insert(0 if name == "prepend" else len(parts), _end(end, node, axis))
    node = concatenate(*parts, axis=axis) if joined else node
    minus = not_equal if node.dtype is bool_ else subtract
    for _ in builtins.range(n):
        size = node.shape[axis]
        later = cut(node, axis, *slice_bounds("diff", size, 1, None))
        earlier = cut(node, axis, *slice_bounds("diff", size, None, -1))
        node = minus(*same_shape("diff", [later, earlier]))
    return wrap(node)


def _end(end: Node, x: Node, axis: int) -> Node:
    if end.type.rank:
        return end
    return stretch(end, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))

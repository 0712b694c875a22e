"""Sorting: values or positions in order along an axis.

Names, argument order and results are those of the Python Array API standard 2024.12, section
"Sorting functions"; what stands after the headline "Beyond the standard" follows NumPy. Every order
is stable, whichever the direction. NaN stands last, ascending and descending; complex numbers are
ordered by their real, then their imaginary part. Positions are int64.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from thalweg.array.manipulation import flat, operand, transposed, unstack
from thalweg.array.operands import axis_of, shape_of, to_tensor
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.ir.dim import is_known_equal
from thalweg.ir.leaves import items
from thalweg.ir.node import Node
from thalweg.ir.types import Size, int64
from thalweg.ops import sort as ops
from thalweg.ops.elementwise import cast
from thalweg.ops.movement import inverse_permutation, iota

# The standard -------------------------------------------------------------------------------------


def argsort(
    x: Any, /, *, axis: int | None = -1, descending: bool = False, stable: bool = True
) -> Tensor:
    """The positions that sort x along an axis: `take_along_axis(x, argsort(x))` is sorted.

    With `axis=None` x is flattened first. The order is stable even if it need not be.
    """
    node, axis = _along("argsort", x, axis)
    return wrap(ops.argsort(node, axis, descending))


def sort(
    x: Any, /, *, axis: int | None = -1, descending: bool = False, stable: bool = True
) -> Tensor:
    """The values of x in order along an axis.

    With `axis=None` x is flattened first. The order is stable even if it need not be.
    """
    node, axis = _along("sort", x, axis)
    return wrap(items(ops.sort(node, axis=axis, descending=descending))[0])


def _along(name: str, x: Any, axis: int | None) -> tuple[Node, int]:
    node = operand(name, x)
    if axis is None:
        return flat(node), 0
    return node, axis_of(name, axis, node.type.rank)


# Beyond the standard ------------------------------------------------------------------------------


class TopK(NamedTuple):
    """The largest values, and where they stand."""

    values: Tensor
    indices: Tensor


def top_k(x: Any, k: Size, /, *, axis: int = -1) -> TopK:
    """The k largest values along an axis, the largest first, and their positions.

    (B, N) -> twice (B, k). Of equal values the first ones; NaN only after all numbers.
    """
    node = operand("top_k", x)
    axis = axis_of("top_k", axis, node.type.rank)
    (count,) = shape_of("top_k", k)
    order = (*(each for each in range(node.type.rank) if each != axis), axis)
    found = items(ops.top_k(transposed(node, order), k=count))
    values, indices = (wrap(transposed(each, inverse_permutation(order))) for each in found)
    return TopK(values, wrap(cast(node_of(indices), dtype=int64)))


def partition(x: Any, kth: Any, /, *, axis: int | None = -1) -> Tensor:
    """The values of x with those at the places `kth` where they stand in order, smaller ones before
    and larger ones after them; the whole is sorted."""
    node, axis = _along("partition", x, axis)
    _check_places("partition", kth, node, axis)
    return wrap(items(ops.sort(node, axis=axis))[0])


def argpartition(x: Any, kth: Any, /, *, axis: int | None = -1) -> Tensor:
    """The positions that partition x at the places `kth`, see `partition`; the whole is sorted."""
    node, axis = _along("argpartition", x, axis)
    _check_places("argpartition", kth, node, axis)
    return wrap(ops.argsort(node, axis))


def _check_places(name: str, kth: Any, node: Node, axis: int) -> None:
    size = node.shape[axis]
    for place in kth if isinstance(kth, (list, tuple)) else [kth]:
        if not hasattr(place, "__index__"):
            raise ArgumentTypeError(explain(name, "integers as places", f"{place!r}"))
        if isinstance(size, int) and not -size <= place.__index__() < size:
            raise ArgumentError(explain(name, f"places inside an axis of {size}", f"{place}"))


def lexsort(keys: Any, /, *, axis: int = -1) -> Tensor:
    """The positions that sort by several keys of one shape; the last key counts first.

    `keys` is a sequence of arrays, or an array whose rows are the keys.
    """
    if not isinstance(keys, (list, tuple)):
        keys = unstack(keys)
    nodes: Sequence[Node] = [node_of(to_tensor(key, "lexsort")) for key in keys]
    if not nodes:
        raise ArgumentError(explain("lexsort", "at least one key", "none"))
    first = nodes[0].type
    for node in nodes:
        if node.type.rank != first.rank or not all(map(is_known_equal, node.shape, first.shape)):
            received = " and ".join(str(each.type) for each in nodes)
            raise ShapeError(explain("lexsort", "keys of one shape", received))
    axis = axis_of("lexsort", axis, first.rank)
    position = iota(dtype=int64, shape=first.shape, axis=axis)
    ordered = ops.sort(*reversed(nodes), position, axis=axis, keys=len(nodes))
    return wrap(items(ordered)[-1])

"""Operations in the forms that one nest of loops computes; every change is exact.

conv(x, k, padding=p, input_dilation=d)   conv(pad(x, 0, p, interior=d-1), k)
dot(x, y) that sums y's last axis         dot(x, transpose(y)), so that neighbours of y are
                                          neighbours of the result
window_max(x, padding=p), ..._min, ..._sum        the same of pad(x, identity, p)
window_max, window_min of windows that touch and do not overlap
                                          max, min over the places of each window
window_scatter, window_pick of windows that touch and do not overlap
                                          the first place of each window that holds its
                                          extremum, found by two reductions: no index arrays
"""

from typing import Any

from thalweg.ir.dim import is_known_at_least
from thalweg.ir.function import Function
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node, made_by, make
from thalweg.ir.types import int32
from thalweg.ir.walk import rebuild
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.elementwise import add, equal, isnan, logical_or, multiply, select
from thalweg.ops.movement import iota, pad, reshape, slice, transpose
from thalweg.ops.reduce import highest, lowest
from thalweg.ops.reduce import max as max_op
from thalweg.ops.reduce import min as min_op
from thalweg.ops.window import window_max, window_min, window_pick, window_scatter, window_sum

REDUCERS = (window_sum, window_max, window_min)


def arrange(function: Function) -> Function:
    """The Function with its contractions and windows in the forms above, where they apply."""

    def visit(node: Node, args: tuple[Node, ...]) -> Node:
        rule = RULES.get(node.op)
        if rule is not None:
            with made_by("arrange", node):
                found = rule(node, *args)
            if found is not None:
                return found
        return node if args == node.args else make(node.op, args, node.attrs)

    return function.with_results(rebuild(function.results, visit))


def _has_elements(x: Node) -> bool:
    """True when no axis is empty: windows leave an empty axis empty, padded or not."""
    return all(is_known_at_least(size, 1) for size in x.shape)


def _convolution(node: Node, x: Node, kernel: Node) -> Node | None:
    attrs = node.attributes
    padding, dilation = attrs["padding"], attrs["input_dilation"]
    is_plain = all(low == high == 0 for low, high in padding) and all(d == 1 for d in dilation)
    if is_plain or attrs["feature_groups"] != 1 or attrs["batch_groups"] != 1:
        return None
    if not _has_elements(x):
        return None
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


def _product(node: Node, lhs: Node, rhs: Node) -> Node | None:
    attrs = node.attributes
    contract, shared = attrs["contract"][1], attrs["batch"][1]
    last = rhs.type.rank - 1
    free = [axis for axis in range(rhs.type.rank) if axis not in (*contract, *shared)]
    if last not in contract or not free:
        return None
    axes = (*shared, *contract, *free)
    place = {axis: position for position, axis in enumerate(axes)}
    moved = {
        "contract": (attrs["contract"][0], tuple(place[axis] for axis in contract)),
        "batch": (attrs["batch"][0], tuple(place[axis] for axis in shared)),
    }
    return dot(lhs, transpose(rhs, axes=axes), **(attrs | moved))


def _reducer(node: Node, x: Node) -> Node | None:
    attrs = node.attributes
    if node.op is not window_sum and _is_tiling(attrs, x):
        # The same node that the gradient asks for, so that it is computed once.
        parts, places = _split(x, attrs["window"])
        return (max_op if node.op is window_max else min_op)(parts, axes=places)
    padding = attrs["padding"]
    is_plain = all(low == high == 0 for low, high in padding)
    if is_plain or not _has_elements(x) or any(each != 1 for each in attrs["input_dilation"]):
        return None
    outside: float = 0
    if node.op is not window_sum:
        outside = lowest(x.dtype.numpy) if node.op is window_max else highest(x.dtype.numpy)
    padded = pad(
        x,
        full(outside, x.dtype),
        low=tuple(low for low, _ in padding),
        high=tuple(high for _, high in padding),
        interior=(0,) * len(padding),
    )
    return node.op(padded, **(attrs | {"padding": ((0, 0),) * len(padding)}))


def _is_tiling(attrs: dict[str, Any], x: Node) -> bool:
    """True for windows that lie side by side: no gap, no overlap, no padding."""
    return (
        attrs["window"] == attrs["strides"]
        and all(low == high == 0 for low, high in attrs["padding"])
        and all(each == 1 for each in (*attrs["input_dilation"], *attrs["window_dilation"]))
        and x.type.is_static
        and x.type.size > 0
    )


def _split(x: Node, window: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    """x with each windowed axis split into (windows, places), and which axes are the places."""
    counts = [size // width for size, width in zip(x.shape, window, strict=True)]
    limit = tuple(count * width for count, width in zip(counts, window, strict=True))
    rank = x.type.rank
    cut = slice(x, start=(0,) * rank, limit=limit, stride=(1,) * rank)
    shape: list[int] = []
    places: list[int] = []
    for count, width in zip(counts, window, strict=True):
        shape.append(count)
        if width > 1:
            places.append(len(shape))
            shape.append(width)
    return reshape(cut, shape=tuple(shape)), tuple(places)


def _is_first(x: Node, places: tuple[int, ...], direction: str) -> Node:
    """Where each window's extremum stands first, in the split shape."""
    kept = tuple(axis for axis in range(x.type.rank) if axis not in places)
    extremum = (max_op if direction == "max" else min_op)(x, axes=places)
    holds = equal(x, broadcast(extremum, shape=x.shape, axes=kept))
    if x.dtype.is_float:
        holds = logical_or(holds, isnan(x))
    position = full(0, int32, x.shape)
    for axis in places:
        step = full(x.shape[axis], int32, x.shape)
        position = add(multiply(position, step), iota(dtype=int32, shape=x.shape, axis=axis))
    far = full(2**31 - 1, int32, x.shape)
    first = min_op(select(holds, position, far), axes=places)
    return equal(position, broadcast(first, shape=x.shape, axes=kept))


def _scatter(node: Node, x: Node, dy: Node) -> Node | None:
    attrs = node.attributes
    if not _is_tiling(attrs, x):
        return None
    window = attrs["window"]
    parts, places = _split(x, window)
    if not places:
        return None
    kept = tuple(axis for axis in range(parts.type.rank) if axis not in places)
    spread = broadcast(dy, shape=parts.shape, axes=kept)
    chosen = select(_is_first(parts, places, attrs["direction"]), spread, full_like(spread, 0))
    whole = tuple(size // width * width for size, width in zip(x.shape, window, strict=True))
    joined = reshape(chosen, shape=whole)
    if whole == x.shape:
        return joined
    high = tuple(size - part for size, part in zip(x.shape, whole, strict=True))
    none = (0,) * x.type.rank
    return pad(joined, full(0, dy.dtype), low=none, high=high, interior=none)


def _pick(node: Node, x: Node, y: Node) -> Node | None:
    attrs = node.attributes
    if not _is_tiling(attrs, x):
        return None
    parts, places = _split(x, attrs["window"])
    if not places:
        return None
    values, _ = _split(y, attrs["window"])
    is_first = _is_first(parts, places, attrs["direction"])
    return sum_op(select(is_first, values, full_like(values, 0)), axes=places)


RULES = {
    conv: _convolution,
    dot: _product,
    window_scatter: _scatter,
    window_pick: _pick,
} | dict.fromkeys(REDUCERS, _reducer)

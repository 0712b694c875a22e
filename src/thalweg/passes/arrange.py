"""Operations in the forms that one nest of loops computes; exact, but for the order of long sums.

conv(x, k, input_dilation=d)              one convolution for each of the d phases of the result;
                                          with strides of its own conv(pad(x, 0, interior=d-1), k)
a kernel's gradient, of few channels       the same with places and channels of a line as one axis
dot(x, y) that sums y's last axis         dot(x, transpose(y)), so that neighbours of y are
                                          neighbours of the result
window_max(x, input_dilation=d), ..._min, ..._sum
                                          the same of pad(x, identity, interior=d-1)
window_max, window_min of windows that touch and do not overlap
                                          max, min over the places of each window
window_scatter of small windows            the place of each extremum, and a sum over places
window_scatter, window_pick of windows that touch and do not overlap
                                          the first place of each window that holds its
                                          extremum, found by two reductions: no index arrays
window_scatter, window_pick of any others  scatter and gather at the least position that holds it
windows and convolutions of nothing        nothing
concatenate of many                        concatenate of concatenations of some
argmax(x), argmin(x)                      min of the places where x is its extremum
scan                                      its body in these forms, less what every step has alike
scatter of 16-bit sums and products       the same in float32, rounded once
sort along another axis than the last     the sort of transposed operands, transposed back
lgamma, digamma, i0e, i1e                  what their definitions compute, spelled out
sum, product, max, min of many to few     of each step of the first axes, and then of those
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from thalweg.ir.dim import ceil_div, is_known_at_least, is_known_equal
from thalweg.ir.function import Function
from thalweg.ir.leaves import full, full_like, item, items
from thalweg.ir.node import Node, made_by, make
from thalweg.ir.op import Op
from thalweg.ir.types import DType, Shape, Size, bool_, float32, float64, int32, int64
from thalweg.ir.walk import rebuild
from thalweg.ops import definitions
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.control import scan
from thalweg.ops.elementwise import (
    add,
    cast,
    digamma,
    equal,
    floor_divide,
    greater_equal,
    i0e,
    i1e,
    isnan,
    less,
    lgamma,
    logical_and,
    logical_or,
    multiply,
    remainder,
    select,
    subtract,
)
from thalweg.ops.index import gather, scatter
from thalweg.ops.movement import (
    concatenate,
    inverse_permutation,
    iota,
    pad,
    reshape,
    slice,
    transpose,
)
from thalweg.ops.movement import size as size_op
from thalweg.ops.reduce import argmax, argmin, highest, lowest, product
from thalweg.ops.reduce import max as max_op
from thalweg.ops.reduce import min as min_op
from thalweg.ops.sort import sort
from thalweg.ops.traced import traced
from thalweg.ops.window import window_max, window_min, window_pick, window_scatter, window_sum
from thalweg.passes.families import strides_of
from thalweg.passes.hoist import hoist

MOST_PLACES = 12
"""Places of a window that are compared one by one: more make more nodes than a kernel takes."""
FEW_CHANNELS = 8
"""Channels from which the gradient of a kernel has rows enough for a tile."""
LONGEST_LINE = 16
"""Places along a line, times channels, up to which they are one axis."""
FEW_RESULTS = 512
"""Results of a reduction up to which it has too few tasks for threads to share."""
LONG_PART = 1024
"""Elements in each part of a reduction that is done in parts."""
FEW_PARTS = 8
"""Parts from which a reduction is done in parts."""
MOST_PARTS = 8
"""Operands of a concatenation among which an element is looked for."""
REDUCERS = (window_sum, window_max, window_min)
WINDOWED = (conv, window_scatter, window_pick, *REDUCERS)


def arrange(function: Function) -> Function:
    """The Function with its contractions and windows in the forms above, where they apply."""

    def visit(node: Node, args: tuple[Node, ...]) -> Node:
        rule = RULES.get(node.op)
        if rule is not None:
            with made_by("arrange", node):
                is_nothing = node.op in WINDOWED and (_is_empty(node) or _is_empty(args[0]))
                found = _nothing(node) if is_nothing else rule(node, *args)
            if found is not None:
                return found
        return node if args == node.args else make(node.op, args, node.attrs)

    return function.with_results(rebuild(function.results, visit))


def _is_empty(x: Node) -> bool:
    return any(is_known_equal(size, 0) for size in x.shape)


def _nothing(node: Node) -> Node:
    """What windows of nothing hold."""
    never = {window_max: lowest, window_min: highest}.get(node.op)
    return full(never(node.dtype.numpy) if never else 0, node.dtype, node.shape)


def _has_elements(x: Node) -> bool:
    """True when no axis is empty: windows leave an empty axis empty, padded or not."""
    return all(is_known_at_least(size, 1) for size in x.shape)


def _convolution(node: Node, x: Node, kernel: Node) -> Node | None:
    attrs = node.attributes
    dilation = attrs["input_dilation"]
    if all(each == 1 for each in dilation):
        return _by_line(node, x, kernel)
    if not _has_elements(x):
        return None
    steps = (*attrs["strides"], *attrs["kernel_dilation"])
    numbers = [*kernel.shape[:-2], *(side for pair in attrs["padding"] for side in pair)]
    if all(step == 1 for step in steps) and all(isinstance(each, int) for each in numbers):
        return _by_phase(node, x, kernel)
    spread = _spread(x, 0, (1, *dilation, 1))
    return conv(spread, kernel, **(attrs | {"input_dilation": (1,) * len(dilation)}))


def _by_line(node: Node, x: Node, kernel: Node) -> Node | None:
    """The gradient of a kernel with few input channels: places along a line with their channels.

    In memory the channels of a place lie beside those of the next, so width and channels are one
    axis, along which the convolution takes steps of as many as there are channels. Then there are
    more rows for a tile.
    """
    attrs = node.attributes
    rank = node.type.rank
    if x.op is not transpose or x.attributes["axes"] != (rank - 1, *range(1, rank - 1), 0):
        return None
    if attrs["strides"][-1] != 1 or attrs["feature_groups"] != 1 or attrs["batch_groups"] != 1:
        return None
    channels, *places, outputs = node.shape
    batch, *space, _ = x.args[0].shape
    low, high = attrs["padding"][-1]
    known = (channels, places[-1], space[-1], low, high)
    if not all(isinstance(each, int) for each in known) or not _has_elements(x.args[0]):
        return None
    if not 1 < channels < FEW_CHANNELS or channels * places[-1] > LONGEST_LINE:
        return None
    wide = reshape(x.args[0], shape=(batch, *space[:-1], space[-1] * channels, 1))
    changed = {
        "padding": (*attrs["padding"][:-1], (low * channels, high * channels)),
        "kernel_dilation": (
            *attrs["kernel_dilation"][:-1],
            attrs["kernel_dilation"][-1] * channels,
        ),
    }
    found = conv(transpose(wide, axes=x.attributes["axes"]), kernel, **(attrs | changed))
    split = reshape(found, shape=(*places, channels, outputs))
    return transpose(split, axes=(rank - 2, *range(rank - 2), rank - 1))


def _turned(node: Node, x: Node) -> Node | None:
    """A transpose of a transpose as one, or none."""
    if x.op is not transpose:
        return None
    axes = tuple(x.attributes["axes"][axis] for axis in node.attributes["axes"])
    return x.args[0] if axes == tuple(range(len(axes))) else transpose(x.args[0], axes=axes)


def _by_phase(node: Node, x: Node, kernel: Node) -> Node:
    """A convolution of spread input as one convolution for each place between its elements.

    y[d*q + r] meets an element of x at every d-th place t of the kernel, first at t = (p - r) % d.
    """
    dilation = node.attributes["input_dilation"]
    counts = [ceil_div(size, each) for size, each in zip(node.shape[1:-1], dilation, strict=True)]
    shape = (node.shape[0], *counts, node.shape[-1])

    def phase(places: tuple[int, ...]) -> Node:
        start, padding = [], []
        for axis, (place, step) in enumerate(zip(places, dilation, strict=True)):
            before, _ = node.attributes["padding"][axis]
            first = (before - place) % step
            width = -(-(kernel.shape[axis] - first) // step)
            if width <= 0:
                return full(0, node.dtype, shape)
            low = (before - place - first) // step
            start.append(first)
            padding.append((low, counts[axis] + width - 1 - low - x.shape[axis + 1]))
        part = slice(
            kernel,
            start=(*start, 0, 0),
            limit=kernel.shape,
            stride=(*dilation, 1, 1),
        )
        plain = {"padding": tuple(padding), "input_dilation": (1,) * len(dilation)}
        return conv(x, part, **(node.attributes | plain))

    def joined(places: tuple[int, ...]) -> Node:
        """[n, q0, r0, q1, r1, ..., c], with the axes of the phases that are given left out."""
        axis = len(places)
        if axis == len(dilation):
            return phase(places)
        parts = []
        for place in range(dilation[axis]):
            part = joined((*places, place))
            at = axis + 2
            parts.append(reshape(part, shape=(*part.shape[:at], 1, *part.shape[at:])))
        return concatenate(*parts, axis=axis + 2) if len(parts) > 1 else parts[0]

    spread = (count * step for count, step in zip(counts, dilation, strict=True))
    whole = reshape(joined(()), shape=(shape[0], *spread, shape[-1]))
    rank = node.type.rank
    return slice(whole, start=(0,) * rank, limit=node.shape, stride=(1,) * rank)


def _spread(x: Node, value: float, dilation: Sequence[int]) -> Node:
    """x with a value between neighbours."""
    none = (0,) * len(dilation)
    interior = tuple(each - 1 for each in dilation)
    return pad(x, full(value, x.dtype), low=none, high=none, interior=interior)


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
    dilation = attrs["input_dilation"]
    if all(each == 1 for each in dilation) or not _has_elements(x):
        return None
    outside: float = 0
    if node.op is not window_sum:
        outside = lowest(x.dtype.numpy) if node.op is window_max else highest(x.dtype.numpy)
    spread = _spread(x, outside, dilation)
    return node.op(spread, **(attrs | {"input_dilation": (1,) * len(dilation)}))


def _in_parts(node: Node, x: Node) -> Node | None:
    """Many elements to few results: a result for each step of the first axes, and then of those."""
    axes = node.attributes["axes"]
    is_short = x.dtype.is_float and x.dtype.bits < 32  # parts would be rounded to it
    if is_short or not isinstance(node.type.size, int) or node.type.size > FEW_RESULTS:
        return None
    for count in range(1, len(axes)):
        outer, inner = axes[:count], axes[count:]
        parts, part = (prod(x.shape[axis] for axis in each) for each in (outer, inner))
        if isinstance(part, int) and part < LONG_PART:
            return None
        if not isinstance(parts, int) or parts >= FEW_PARTS:
            first = node.op(x, axes=inner)
            return node.op(first, axes=outer)  # these come before the inner ones, and stay
    return None


def _position(node: Node, x: Node) -> Node | None:
    """The first place that holds the extremum, which NaN is: two reductions."""
    axis, dtype = node.attributes["axis"], node.dtype
    extent = x.shape[axis]
    kept = tuple(each for each in range(x.type.rank) if each != axis)
    extremum = (max_op if node.op is argmax else min_op)(x, axes=(axis,))
    holds = equal(x, broadcast(extremum, shape=x.shape, axes=kept))
    if x.dtype.is_float:
        holds = logical_or(holds, isnan(x))
    # 32 bits hold the positions of every axis that is not enormous, and are twice as fast.
    is_short = not isinstance(extent, int) or extent < 2**31
    short = int32 if is_short and isinstance(extent, int) else int64
    far = full(highest(short.numpy), short, x.shape)
    first = min_op(select(holds, iota(dtype=short, shape=x.shape, axis=axis), far), axes=(axis,))
    if not is_known_at_least(extent, 1):
        first = select(
            equal(first, full_like(first, highest(short.numpy))), full_like(first, 0), first
        )
    return first if short is dtype else cast(first, dtype=dtype)


def _loop(node: Node, *args: Node) -> Node | None:
    attrs = node.attributes
    body = arrange(attrs.pop("body"))
    return hoist(body, args, **attrs)


def _sort(node: Node, *operands: Node) -> Node | None:
    """The last axis is the one to sort along."""
    axis, last = node.attributes["axis"], node.args[0].type.rank - 1
    if axis == last:
        return None
    axes = _to_the_end(axis, last)
    moved = []
    for each in operands:
        if each.op is iota and each.attributes["axis"] == axis:
            shape = tuple(each.shape[place] for place in axes)
            moved.append(iota(dtype=each.dtype, shape=shape, axis=last))
        else:
            moved.append(transpose(each, axes=axes))
    return sort(*moved, **(node.attributes | {"axis": last}))


def _sorted(node: Node, several: Node) -> Node | None:
    """A result of a sort, along the axis that it was asked for."""
    (before,) = node.args
    if before.op is not sort or before.attributes["axis"] == several.attributes["axis"]:
        return None
    found = items(several)[node.attrs[0]]
    axes = _to_the_end(before.attributes["axis"], several.attributes["axis"])
    return transpose(found, axes=inverse_permutation(axes))


def _to_the_end(axis: int, last: int) -> tuple[int, ...]:
    return (*(each for each in range(last + 1) if each != axis), axis)


def _special(node: Node, x: Node) -> Node:
    """A special function as its definition computes it, in float64 and rounded once."""
    wide = traced(getattr(definitions, node.op.name), cast(x, dtype=float64))
    return cast(wide, dtype=node.dtype)


def _scatter_narrow(node: Node, x: Node, updates: Node, *indices: Node) -> Node | None:
    """Sums and products of 16-bit floats in float32, rounded once."""
    is_narrow = x.dtype.is_float and x.dtype.bits < 32
    if not is_narrow or node.attributes["mode"] not in ("add", "multiply"):
        return None
    wide = [cast(each, dtype=float32) for each in (x, updates)]
    return cast(scatter(*wide, *indices, **node.attributes), dtype=x.dtype)


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
        return _scatter_by_place(node, x, dy)
    window = attrs["window"]
    parts, places = _split(x, window)
    if not places:
        return _scatter_at_positions(node, x, dy)
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


def _scatter_by_place(node: Node, x: Node, dy: Node) -> Node | None:
    """Windows that overlap: the place of each window's extremum, and then a sum over the places.

    At each place of the window, x as the windows see it is a slice of x with padding around it, and
    what a window adds there is dy spread out again by its strides.
    """
    attrs = node.attributes
    window, strides, padding = attrs["window"], attrs["strides"], attrs["padding"]
    steps = (*attrs["input_dilation"], *attrs["window_dilation"])
    numbers = [each for pair in padding for each in pair]
    is_plain = all(each == 1 for each in steps) and all(isinstance(each, int) for each in numbers)
    if prod(window) > MOST_PLACES or not is_plain or not _has_elements(x):
        return _scatter_at_positions(node, x, dy)
    options = {name: attrs[name] for name in window_max.attributes}
    y = (window_max if attrs["direction"] == "max" else window_min)(x, **options)
    low, high = (tuple(pair[side] for pair in padding) for side in (0, 1))
    none = (0,) * x.type.rank
    around = {"low": low, "high": high, "interior": none}
    padded = pad(x, full(0, x.dtype), **around)
    inside = pad(full(True, bool_, x.shape), full(False, bool_), **around)
    places = list(np.ndindex(*window))

    def seen(values: Node, place: tuple[int, ...]) -> Node:
        limit = tuple(
            start + (count - 1) * step + 1
            for start, count, step in zip(place, y.shape, strides, strict=True)
        )
        return slice(values, start=place, limit=limit, stride=strides)

    first = full(len(places), int32, y.shape)
    for number, place in reversed(list(enumerate(places))):
        value = seen(padded, place)
        holds = equal(value, y)
        if x.dtype.is_float:
            holds = logical_or(holds, isnan(value))
        if any(numbers):
            holds = logical_and(holds, seen(inside, place))
        first = select(holds, full(number, int32, y.shape), first)
    total = full(0, dy.dtype, x.shape)
    gaps = tuple(step - 1 for step in strides)
    for number, place in enumerate(places):
        part = select(equal(first, full(number, int32, y.shape)), dy, full_like(dy, 0))
        start = tuple(each - before for each, before in zip(place, low, strict=True))
        after = tuple(
            size - begin - ((count - 1) * step + 1)
            for size, begin, count, step in zip(x.shape, start, y.shape, strides, strict=True)
        )
        spread = pad(part, full(0, dy.dtype), low=start, high=after, interior=gaps)
        total = add(total, spread)
    return total


def _number(size: Size, dtype: DType, shape: Shape) -> Node:
    """A size, named or not, everywhere."""
    if isinstance(size, int):
        return full(size, dtype, shape)
    return broadcast(size_op(dim=size, dtype=dtype), shape=shape, axes=())


def _positions(node: Node, x: Node) -> Node | None:
    """The least position in x, in row-major order, of each window's extremum; -1 for none."""
    if not _has_elements(x):
        return None
    attrs, rank = node.attributes, x.type.rank
    options = {name: attrs[name] for name in window_max.attributes}
    extremum = (window_max if attrs["direction"] == "max" else window_min)(x, **options)
    extremum = _reducer(extremum, x) or extremum
    is_short = x.type.is_static and x.type.size < 2**31
    dtype = int32 if is_short else int64
    shape = (*extremum.shape, *attrs["window"])
    place, is_inside = full(0, dtype, shape), full(True, bool_, shape)
    for axis, (size, stride) in enumerate(zip(x.shape, strides_of(x.shape), strict=True)):
        window, inside = (
            multiply(iota(dtype=dtype, shape=shape, axis=at), full(step, dtype, shape))
            for at, step in (
                (axis, attrs["strides"][axis]),
                (rank + axis, attrs["window_dilation"][axis]),
            )
        )
        at = subtract(add(window, inside), _number(attrs["padding"][axis][0], dtype, shape))
        gap = attrs["input_dilation"][axis]
        if gap != 1:
            step = full(gap, dtype, shape)
            is_inside = logical_and(is_inside, equal(remainder(at, step), full_like(at, 0)))
            at = floor_divide(at, step)
        is_inside = logical_and(is_inside, greater_equal(at, full_like(at, 0)))
        is_inside = logical_and(is_inside, less(at, _number(size, dtype, shape)))
        place = add(place, multiply(at, _number(stride, dtype, shape)))
    place = select(is_inside, place, full_like(place, -1))
    value = gather(reshape(x, shape=(x.type.size,)), place, axes=(0,))
    holds = equal(value, broadcast(extremum, shape=shape, axes=tuple(range(rank))))
    if x.dtype.is_float:
        holds = logical_or(holds, isnan(value))
    far = full(highest(dtype.numpy), dtype, shape)
    found = select(logical_and(holds, is_inside), place, far)
    first = min_op(found, axes=tuple(range(rank, 2 * rank)))
    is_none = equal(first, full_like(first, highest(dtype.numpy)))
    return select(is_none, full_like(first, -1), first)


def _scatter_at_positions(node: Node, x: Node, dy: Node) -> Node | None:
    places = _positions(node, x)
    if places is None:
        return None
    count = places.type.size
    given = (reshape(dy, shape=(count,)), reshape(places, shape=(count,)))
    total = scatter(full(0, dy.dtype, (x.type.size,)), *given, axes=(0,), mode="add")
    total = _scatter_narrow(total, *total.args) or total
    return reshape(total, shape=x.shape)


def _pick_at_positions(node: Node, x: Node, y: Node) -> Node | None:
    places = _positions(node, x)
    if places is None:
        return None
    found = gather(reshape(y, shape=(x.type.size,)), places, axes=(0,))
    return select(less(places, full_like(places, 0)), full_like(found, 0), found)


def _concatenation(node: Node, *parts: Node) -> Node | None:
    """Some at a time, so that no element is looked for among all of them."""
    if not MOST_PARTS < len(parts) <= MOST_PARTS**2:
        return None
    width = -(-len(parts) // MOST_PARTS)
    groups = [parts[start : start + width] for start in range(0, len(parts), width)]
    axis = node.attributes["axis"]
    return concatenate(*(concatenate(*group, axis=axis) for group in groups), axis=axis)


def _pick(node: Node, x: Node, y: Node) -> Node | None:
    attrs = node.attributes
    if not _is_tiling(attrs, x):
        return _pick_at_positions(node, x, y)
    parts, places = _split(x, attrs["window"])
    if not places:
        return _pick_at_positions(node, x, y)
    values, _ = _split(y, attrs["window"])
    is_first = _is_first(parts, places, attrs["direction"])
    return sum_op(select(is_first, values, full_like(values, 0)), axes=places)


RULES: dict[Op, Callable[..., Node | None]] = {
    conv: _convolution,
    transpose: _turned,
    scan: _loop,
    dot: _product,
    window_scatter: _scatter,
    window_pick: _pick,
    argmax: _position,
    argmin: _position,
    scatter: _scatter_narrow,
    sort: _sort,
    item: _sorted,
    concatenate: _concatenation,
    **dict.fromkeys((lgamma, digamma, i0e, i1e), _special),
    **dict.fromkeys(REDUCERS, _reducer),
    **dict.fromkeys((sum_op, max_op, min_op, product), _in_parts),
}

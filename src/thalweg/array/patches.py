"""Windows of an array as data of their own, the sum of such windows, and blocks of pixels.

`cut_windows` and `add_windows` work on nodes and one axis; each is the adjoint of the other:

    cut_windows    [..., N, ...] -> [..., W, L, ...]     W windows of L elements
    add_windows    [..., W, L, ...] -> [..., N, ...]     their sum, each where it was cut

Windows begin `step` elements apart and their elements lie `rate` apart. Windows that lie side by
side are a matter of shape only. Sizes may be named but for the lengths of windows.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

from thalweg.array.manipulation import cut, operand, transposed
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor, wrap
from thalweg.ir.dim import dim_max, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.types import Size, int64
from thalweg.ops import elementwise as ops
from thalweg.ops import movement
from thalweg.ops.index import take
from thalweg.ops.window_sizes import span

Sizes = int | Sequence[int]

# One axis -----------------------------------------------------------------------------------------


def window_count(size: Size, length: int, step: int, rate: int = 1) -> Size:
    """How many whole windows an axis holds."""
    return dim_max(0, (size - span(length, rate)) // step + 1)


def cut_windows(x: Node, axis: int, length: int, step: int, rate: int = 1) -> Node:
    """An axis cut into whole windows, which take its place, their elements on the next axis."""
    count = window_count(x.shape[axis], length, step, rate)
    lead, rest = x.shape[:axis], x.shape[axis + 1 :]
    if step == length and rate == 1:
        x = cut(x, axis, 0, count * length)
        return movement.reshape(x, shape=(*lead, count, length, *rest))
    shape = (count, length)
    begin, offset = (movement.iota(dtype=int64, shape=shape, axis=each) for each in (0, 1))
    begin = ops.multiply(begin, full_like(begin, step))
    offset = ops.multiply(offset, full_like(offset, rate))
    return take(x, ops.add(begin, offset), axis)


def add_windows(x: Node, axis: int, size: Size, step: int, rate: int = 1) -> Node:
    """Windows [..., W, L, ...] added up along an axis of a size, 0 where no window lies."""
    lead, rest = x.shape[:axis], x.shape[axis + 2 :]
    count, length = x.shape[axis], x.shape[axis + 1]
    assert isinstance(length, int)
    if is_known_equal(count, 0):
        return full(0, x.dtype, (*lead, size, *rest))
    if step == length and rate == 1:
        x = movement.reshape(x, shape=(*lead, count * length, *rest))
        return _placed(x, axis, size, 0, 1)
    rows = [
        movement.reshape(cut(x, axis + 1, place, place + 1), shape=(*lead, count, *rest))
        for place in range(length)
    ]
    placed = [_placed(row, axis, size, place * rate, step) for place, row in enumerate(rows)]
    return functools.reduce(ops.add, placed)


def _placed(x: Node, axis: int, size: Size, start: int, step: int) -> Node:
    """Elements of x every `step` places from `start` on along an axis, zeros between."""
    low, high, interior = ([0] * x.type.rank for _ in range(3))
    low[axis], interior[axis] = start, step - 1
    high[axis] = size - start - span(x.shape[axis], step)
    return movement.pad(
        x, full(0, x.dtype), low=tuple(low), high=tuple(high), interior=tuple(interior)
    )


# Several axes -------------------------------------------------------------------------------------


def _each(name: str, what: str, given: Any, count: int, least: int) -> tuple[int, ...]:
    """One integer for all axes, or one for each."""
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,) * count
    if len(sizes) != count or any(type(each) is not int or each < least for each in sizes):
        wanted = f"{what} of one integer of at least {least}, or one for each of {count} axes"
        raise ArgumentError(explain(name, wanted, f"{what}={given!r}"))
    return sizes


def _options(name: str, rank: int, kernel_size, dilation, padding, stride) -> list[tuple[int, ...]]:
    return [
        _each(name, what, given, rank, least)
        for what, given, least in (
            ("kernel_size", kernel_size, 1),
            ("dilation", dilation, 1),
            ("padding", padding, 0),
            ("stride", stride, 1),
        )
    ]


def unfold(
    x: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """The windows of x [N, C, spatial...] as columns: [N, C * K, L].

    L counts the windows, K the elements of one; `padding` zeros lie on both ends of each axis. The
    names and the order are PyTorch's. Raises ShapeError where no window fits.
    """
    name = "unfold"
    node = operand(name, x)
    rank = node.type.rank - 2
    if rank < 1:
        raise ShapeError(explain(name, "x [N, C, spatial...]", str(node.type)))
    sizes, rates, edges, steps = _options(name, rank, kernel_size, dilation, padding, stride)
    if any(edges):
        pads = (0, 0, *edges)
        none = (0,) * (rank + 2)
        node = movement.pad(node, full(0, node.dtype), low=pads, high=pads, interior=none)
    # [N, C, H, W] -> [N, C, rows, h, columns, w]
    for place, (length, step, rate) in enumerate(zip(sizes, steps, rates, strict=True)):
        axis = 2 + 2 * place
        if not is_known_at_least(node.shape[axis], span(length, rate)):
            raise ShapeError(
                explain(name, f"at least {span(length, rate)} places on axis {2 + place}, with "
                        "padding", str(node.type), "Take a smaller kernel_size.")
            )  # fmt: skip
        node = cut_windows(node, axis, length, step, rate)
    counts, elements = range(2, 2 * rank + 2, 2), range(3, 2 * rank + 2, 2)
    node = transposed(node, (0, 1, *elements, *counts))
    depth = node.shape[1] * math.prod(sizes)
    length = math.prod(node.shape[2 + rank :])
    return wrap(movement.reshape(node, shape=(node.shape[0], depth, length)))


def fold(
    x: Any,
    output_size: Any,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The sum of windows where `unfold` cut them: [N, C * K, L] -> [N, C, *output_size].

    Raises ShapeError where K does not divide the second axis, or L is not the number of windows.
    """
    name = "fold"
    node = operand(name, x)
    if node.type.rank != 3:
        raise ShapeError(
            explain(name, "x [N, C * K, L]; the input must be a 3D tensor", str(node.type))
        )
    targets = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    rank = len(targets)
    sizes, rates, edges, steps = _options(name, rank, kernel_size, dilation, padding, stride)
    wide = [size + 2 * edge for size, edge in zip(targets, edges, strict=True)]
    counts = [
        window_count(size, length, step, rate)
        for size, length, step, rate in zip(wide, sizes, steps, rates, strict=True)
    ]
    batch, depth, length = node.shape
    elements = math.prod(sizes)
    if not (is_known_equal(depth % elements, 0) and is_known_equal(length, math.prod(counts))):
        raise ShapeError(
            explain(
                name,
                f"x [N, C * {elements}, {math.prod(counts)}], the windows of {tuple(targets)}",
                str(node.type),
            )
        )
    node = movement.reshape(node, shape=(batch, depth // elements, *sizes, *counts))
    # [N, C, h, w, rows, columns] -> [N, C, rows, h, columns, w]
    pairs = [axis for place in range(rank) for axis in (2 + rank + place, 2 + place)]
    node = transposed(node, (0, 1, *pairs))
    for place, (size, step, rate) in enumerate(zip(wide, steps, rates, strict=True)):
        node = add_windows(node, 2 + place, size, step, rate)
    for place, (edge, size) in enumerate(zip(edges, targets, strict=True)):
        node = cut(node, 2 + place, edge, edge + size) if edge else node
    return wrap(node)


# Blocks of pixels ---------------------------------------------------------------------------------


def _blocks(name: str, x: Any, block_size: Any, data_format: str) -> tuple[Node, bool]:
    """The node of images, and whether their channels stand first."""
    if data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(
            explain(name, 'data_format "channels_last" or "channels_first"', repr(data_format))
        )
    if type(block_size) is not int or block_size < 2:
        raise ArgumentError(
            explain(name, "`block_size` to be an integer; `block_size` must be at least 2",
                    f"block_size={block_size!r}")
        )  # fmt: skip
    node = operand(name, x)
    if node.type.rank != 4:
        raise ShapeError(explain(name, "x [N, H, W, C], or [N, C, H, W]", str(node.type)))
    return node, data_format == "channels_first"


def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Channels laid out as blocks of pixels: [N, H, W, b * b * C] -> [N, b * H, b * W, C].

    The place in a block counts before the channel, as in TensorFlow; with "channels_first" the
    channel counts first, [N, C * b * b, H, W] -> [N, C, b * H, b * W], as in PyTorch.
    """
    name = "depth_to_space"
    node, is_first = _blocks(name, x, block_size, data_format)
    depth = node.shape[1 if is_first else 3]
    area = block_size * block_size
    if not is_known_equal(depth % area, 0):
        raise ShapeError(
            explain(name, f"channels that {area} divides", f"{depth} channels in {node.type}")
        )
    depth = depth // area
    if is_first:
        batch, _, rows, columns = node.shape
        node = movement.reshape(node, shape=(batch, depth, block_size, block_size, rows, columns))
        node = transposed(node, (0, 1, 4, 2, 5, 3))
        shape = (batch, depth, rows * block_size, columns * block_size)
    else:
        batch, rows, columns, _ = node.shape
        node = movement.reshape(node, shape=(batch, rows, columns, block_size, block_size, depth))
        node = transposed(node, (0, 1, 3, 2, 4, 5))
        shape = (batch, rows * block_size, columns * block_size, depth)
    return wrap(movement.reshape(node, shape=shape))


def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Blocks of pixels as channels: [N, b * H, b * W, C] -> [N, H, W, b * b * C].

    The inverse of `depth_to_space`. Raises ShapeError where b does not divide height and width.
    """
    name = "space_to_depth"
    node, is_first = _blocks(name, x, block_size, data_format)
    axes = (2, 3) if is_first else (1, 2)
    if not all(is_known_equal(node.shape[axis] % block_size, 0) for axis in axes):
        raise ShapeError(
            explain(name, f"a height and width that {block_size} divides", str(node.type))
        )
    rows, columns = (node.shape[axis] // block_size for axis in axes)
    batch, depth = node.shape[0], node.shape[1 if is_first else 3]
    if is_first:
        node = movement.reshape(node, shape=(batch, depth, rows, block_size, columns, block_size))
        node = transposed(node, (0, 1, 3, 5, 2, 4))
        shape = (batch, depth * block_size * block_size, rows, columns)
    else:
        node = movement.reshape(node, shape=(batch, rows, block_size, columns, block_size, depth))
        node = transposed(node, (0, 1, 3, 2, 4, 5))
        shape = (batch, rows, columns, depth * block_size * block_size)
    return wrap(movement.reshape(node, shape=shape))

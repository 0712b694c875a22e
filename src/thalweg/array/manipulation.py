"""Manipulation: the same values under another shape, order or number of copies.

Names, argument order and results are those of the Python Array API standard 2024.12, section
"Manipulation functions"; what stands after the headline "Beyond the standard" follows NumPy. No
function computes a value, but for `repeat` with a tensor of repeats, whose shape depends on data.

Element types stay, and where several arrays are joined they promote. Sizes may be named (`b`): what
cannot be decided without their values is refused, never guessed.
"""

import builtins
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.array.operands import (
    WEAK_OF_KIND,
    Number,
    axes_of,
    axis_of,
    from_array,
    is_weak,
    native,
    same_dtype,
    shape_of,
    to_dtype,
    to_tensor,
)
from thalweg.array.operands import broadcast_shapes as common_shape
from thalweg.array.operands import broadcast_to as stretch
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ShapeError,
    TraceError,
    explain,
)
from thalweg.engine.context import leaked
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import (
    Dim,
    UndecidedError,
    ceil_div,
    dim_max,
    dim_min,
    is_known_at_least,
    is_known_equal,
)
from thalweg.ir.leaves import constant, full, full_like
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DType,
    Shape,
    Size,
    TensorType,
    bool_,
    int64,
    promote_weak,
    shape_text,
    size_of,
    tensor_type,
)
from thalweg.ops import movement as ops
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import add, cast, remainder, subtract
from thalweg.ops.index import gather, take

Arrays = Sequence[Any] | Tensor | np.ndarray

# What the chapters of this floor share ------------------------------------------------------------


def operand(name: str, x: Any) -> Node:
    """The node of whatever users pass; a number, traced or not, gets the default type."""
    return node_of(to_tensor(x, name))


def operands_of(name: str, arrays: Any) -> list[Node]:
    """The nodes of a sequence of arrays, their element types promoted; at least one."""
    if isinstance(arrays, (Tensor, Variable, np.ndarray)):
        arrays = unstack(arrays)
    if not isinstance(arrays, (list, tuple)):
        raise ArgumentTypeError(
            explain(
                name,
                "a list or tuple of arrays",
                f"{type(arrays).__name__}",
                f"Write {name}([x, y]).",
            )
        )
    if not arrays:
        raise ArgumentError(explain(name, "at least one array", "none"))
    return same_dtype(name, *arrays)


def known_values(name: str, x: Any) -> np.ndarray | None:
    """The values of x where they are at hand without computing anything, or None."""
    if isinstance(x, Variable):
        x = x.value
    if isinstance(x, Tensor):
        if x._cell.buffer is None and x._cell.node.op is constant and x._cell.node.type.is_static:
            return constant.evaluate(**x._cell.node.attributes)
        return x._cell.buffer
    if not _is_host(x):
        return None
    try:
        array = np.array(x)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind in "OSUmM":
        # Refused with the message that every function gives for what is no array of numbers.
        to_tensor(x, name)
    return native(array)


def _is_host(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_host, value))
    return not isinstance(value, (Tensor, Variable))


def values_now(name: str, x: Any, instead: str) -> np.ndarray:
    """The values of x, which decide a shape and so are computed now; refused while x is traced."""
    found = known_values(name, x)
    if found is not None:
        return found
    tensor = to_tensor(x, name)
    trace = tensor._trace
    if trace is None:
        return tensor.numpy()
    if not trace.is_open:
        raise leaked(tensor)
    node = tensor._cell.node
    raise TraceError(
        explain(
            name,
            "values that are known: it makes a shape that depends on data",
            f"{node.type}, which has no value while {trace.name} is traced",
            instead,
        )
    )


def converted(name: str, value: Any, dtype: DType) -> Node:
    """The node of a value in an element type that is given; refused where its kind would be lost.

    A float fits a narrower float but no integer; a Python number must fit in range. 0 and 1 are
    booleans too.
    """
    if dtype is bool_ and type(value) is int and value in (0, 1):
        value = bool(value)
    if not is_weak(value):
        value = to_tensor(value, name)
    if isinstance(value, Tensor):
        kind = WEAK_OF_KIND[value.dtype.kind]
    else:
        kind = next(kind for kind in Number if isinstance(value, kind))
    if promote_weak(dtype, kind) is not dtype:
        received = str(node_of(value).type) if isinstance(value, Tensor) else repr(value)
        raise DTypeError(
            explain(
                name,
                f"a value that fits {dtype}",
                received,
                f"Cast it first: value.astype({dtype.name!r}).",
            )
        )
    return to_dtype(name, value, dtype)


def size_node(size: Size, dtype: DType = int64) -> Node:
    """A size as a scalar."""
    return ops.size(dim=size, dtype=dtype) if isinstance(size, Dim) else full(size, dtype)


def shaped(node: Node, shape: Shape) -> Node:
    """The same values in row-major order under another shape."""
    return node if node.shape == shape else ops.reshape(node, shape=shape)


def flat(node: Node) -> Node:
    """All values along one axis, in row-major order."""
    return node if node.type.rank == 1 else ops.reshape(node, shape=(node.type.size,))


def expand(node: Node, axes: Sequence[int]) -> Node:
    """The node with axes of size 1 at these positions of the result."""
    shape = list(node.shape)
    for axis in sorted(axes):
        shape.insert(axis, 1)
    return shaped(node, tuple(shape))


def transposed(node: Node, axes: Sequence[int]) -> Node:
    """The node with its axes in another order."""
    axes = tuple(axes)
    return node if axes == tuple(range(len(axes))) else ops.transpose(node, axes=axes)


def cut(node: Node, axis: int, start: Size, limit: Size, stride: int = 1) -> Node:
    """The elements from start up to limit, every stride-th, along one axis."""
    rank = node.type.rank
    first: list[Size] = [0] * rank
    last, step = list(node.shape), [1] * rank
    first[axis], last[axis], step[axis] = start, limit, stride
    return ops.slice(node, start=tuple(first), limit=tuple(last), stride=tuple(step))


def join(parts: Sequence[Node], axis: int) -> Node:
    """The parts one after another, without those that are empty."""
    kept = [part for part in parts if not is_known_equal(part.shape[axis], 0)] or list(parts[:1])
    return kept[0] if len(kept) == 1 else ops.concatenate(*kept, axis=axis)


def mirrored(node: Node, axis: int) -> Node:
    """The elements in opposite order along one axis."""
    return ops.reverse(node, axes=(axis,))


def static_size(name: str, type: TensorType, axis: int, why: str) -> int:
    """The size of an axis that must be a number."""
    size = type.shape[axis]
    if isinstance(size, Dim):
        raise UndecidedError(
            explain(
                name,
                f"a size that is a number along axis {axis}, {why}",
                str(type),
                f"Give {size} a fixed size.",
            )
        )
    return size


# The standard -------------------------------------------------------------------------------------


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """The arrays stretched to their common shape. Raises ShapeError where there is none."""
    nodes = [operand("broadcast_arrays", each) for each in arrays]
    if not nodes:
        return []
    shape = common_shape("broadcast_arrays", [node.type for node in nodes])
    return [wrap(stretch(node, shape)) for node in nodes]


def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """x stretched to a shape: axes are added in front, and axes of size 1 repeated."""
    node = operand("broadcast_to", x)
    wanted = shape_of("broadcast_to", shape)
    own = node.shape
    fits = len(own) <= len(wanted) and all(
        is_known_equal(size, 1) or is_known_equal(size, new)
        for size, new in zip(own, wanted[len(wanted) - len(own) :], strict=True)
    )
    if not fits:
        raise ShapeError(
            explain(
                "broadcast_to",
                "a shape whose last axes are those of x, or stretch an axis of size 1",
                f"{shape_text(wanted)} for {node.type}",
            )
        )
    return wrap(stretch(node, wanted))


def concat(arrays: Arrays, /, *, axis: int | None = 0) -> Tensor:
    """The arrays one after another along an axis; with `axis=None` each is flattened first.

    (B, T) and (B, S) along axis 1 -> (B, T + S). Element types promote.
    """
    nodes = operands_of("concat", arrays)
    if axis is None:
        nodes, axis = [flat(node) for node in nodes], 0
    axis = axis_of("concat", axis, nodes[0].type.rank)
    first = nodes[0].shape
    for node in nodes:
        if node.type.rank != len(first) or not all(
            each == axis or is_known_equal(*sizes)
            for each, sizes in enumerate(zip(node.shape, first, strict=True))
        ):
            raise ShapeError(
                explain(
                    "concat",
                    f"operands of equal shape but for axis {axis}",
                    " and ".join(str(node.type) for node in nodes),
                )
            )
    return wrap(nodes[0] if len(nodes) == 1 else ops.concatenate(*nodes, axis=axis))


def expand_dims(x: Any, /, axis: int | Sequence[int] = 0) -> Tensor:
    """x with a new axis of size 1, or several, at positions of the result."""
    node = operand("expand_dims", x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    return wrap(expand(node, axes_of("expand_dims", axis, node.type.rank + count)))


def flip(x: Any, /, *, axis: int | Sequence[int] | None = None) -> Tensor:
    """The elements in opposite order along one axis, several, or all."""
    node = operand("flip", x)
    return wrap(ops.reverse(node, axes=axes_of("flip", axis, node.type.rank)))


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int], /) -> Tensor:
    """x with some axes at other positions; the others keep their order."""
    node = operand("moveaxis", x)
    rank = node.type.rank
    sources = [axis_of("moveaxis", axis, rank) for axis in _listed(source)]
    targets = [axis_of("moveaxis", axis, rank) for axis in _listed(destination)]
    distinct = len(set(sources)) == len(sources) and len(set(targets)) == len(targets)
    if not distinct or len(sources) != len(targets):
        raise ShapeError(
            explain(
                "moveaxis",
                "as many destinations as sources, each axis once",
                f"{source} to {destination}",
            )
        )
    order = [axis for axis in range(rank) if axis not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return wrap(transposed(node, order))


def permute_dims(x: Any, /, axes: Sequence[int]) -> Tensor:
    """x with its axes in another order: result axis i is axis axes[i] of x."""
    node = operand("permute_dims", x)
    return wrap(transposed(node, _permutation("permute_dims", axes, node.type)))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each element several times in a row: [1, 2] twice is [1, 1, 2, 2].

    `repeats` is an integer, a named size, or one integer for each place along the axis; the latter
    are values, refused while they are traced. `axis=None` flattens x first.
    """
    node = operand("repeat", x)
    if axis is None:
        node, axis = flat(node), 0
    axis = axis_of("repeat", axis, node.type.rank)
    count = _repeats(repeats)
    if not isinstance(count, np.ndarray):
        return wrap(_repeated(node, count, axis))
    size = static_size("repeat", node.type, axis, "as there is a number of repeats for each place")
    if count.shape != (size,):
        raise ShapeError(
            explain(
                "repeat",
                f"one number of repeats, or {size} of them",
                f"repeats of shape {shape_text(count.shape)}",
            )
        )
    return wrap(take(node, node_of(from_array(np.repeat(np.arange(size), count))), axis))


def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Tensor:
    """The same values in row-major order under another shape; one size may be -1, for the rest.

    (B, 28, 28) with (-1, 784) -> (B, 784). Tensors never change, so `copy` makes no difference.
    """
    node = operand("reshape", x)
    return wrap(shaped(node, _whole_shape(node.type, shape)))


def roll(x: Any, /, shift: Any, *, axis: int | Sequence[int] | None = None) -> Tensor:
    """The elements moved along an axis, those pushed out coming in again at the other end.

    `shift` is an integer, an integer tensor without axes, or one of these for each axis. With
    `axis=None` the flattened array is rolled and keeps its shape.
    """
    node = operand("roll", x)
    if axis is None:
        if _is_list(shift):
            raise ArgumentError(explain("roll", "an axis for each shift", f"{shift!r}, no axis"))
        return wrap(ops.reshape(_rolled(flat(node), shift, 0), shape=node.shape))
    axes = _listed(axis)
    shifts = list(shift) if _is_list(shift) else [shift] * len(axes)
    if len(shifts) != len(axes) and len(axes) == 1:
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise ArgumentError(explain("roll", "an axis for each shift", f"{shift!r} and {axis!r}"))
    for each, by in zip(axes, shifts, strict=True):
        node = _rolled(node, by, axis_of("roll", each, node.type.rank))
    return wrap(node)


def squeeze(x: Any, /, axis: int | Sequence[int] | None = None) -> Tensor:
    """x without an axis of size 1, or several; by default without every axis of that size."""
    node = operand("squeeze", x)
    ones = [each for each, size in enumerate(node.shape) if is_known_equal(size, 1)]
    axes = ones if axis is None else axes_of("squeeze", axis, node.type.rank)
    for each in axes:
        if each not in ones:
            raise ShapeError(explain("squeeze", "axes of size 1", f"axis {each} of {node.type}"))
    shape = tuple(size for each, size in enumerate(node.shape) if each not in axes)
    return wrap(shaped(node, shape))


def stack(arrays: Arrays, /, *, axis: int = 0) -> Tensor:
    """Arrays of one shape along a new axis. Two (B, C) along axis 1 -> (B, 2, C)."""
    nodes = operands_of("stack", arrays)
    first = nodes[0].type
    for node in nodes:
        same = node.type.rank == first.rank and all(map(is_known_equal, node.shape, first.shape))
        if not same:
            received = " and ".join(dict.fromkeys(str(each.type) for each in nodes))
            raise ShapeError(
                explain(
                    "stack",
                    "arrays of one shape",
                    received,
                    "Write concat(arrays) to join along an axis that is there.",
                )
            )
    axis = axis_of("stack", axis, first.rank + 1)
    parts = [expand(node, (axis,)) for node in nodes]
    return wrap(parts[0] if len(parts) == 1 else ops.concatenate(*parts, axis=axis))


def tile(x: Any, repetitions: Any, /) -> Tensor:
    """Copies of x side by side: `repetitions` of them along each axis, counted from the last."""
    return wrap(_tiled(operand("tile", x), shape_of("tile", repetitions)))


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of x along an axis, without it. (3, B) -> three times (B,)."""
    node = operand("unstack", x)
    axis = axis_of("unstack", axis, node.type.rank)
    size = static_size("unstack", node.type, axis, "as there is a result for each place")
    shape = node.shape[:axis] + node.shape[axis + 1 :]
    return tuple(
        wrap(ops.reshape(cut(node, axis, place, place + 1), shape=shape)) for place in range(size)
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _listed(value: Any) -> list[Any]:
    return list(value) if _is_list(value) else [value]


def _tiled(node: Node, counts: Shape) -> Node:
    rank = max(node.type.rank, len(counts))
    counts = (1,) * (rank - len(counts)) + counts
    sizes = (1,) * (rank - node.type.rank) + node.shape
    split_shape: list[Size] = []
    kept: list[int] = []
    for count, size in zip(counts, sizes, strict=True):
        split_shape += [count, size]
        kept.append(len(split_shape) - 1)
    kept = kept[rank - node.type.rank :]
    wide = broadcast(node, shape=tuple(split_shape), axes=tuple(kept))
    shape = tuple(count * size for count, size in zip(counts, sizes, strict=True))
    return ops.reshape(wide, shape=shape)


def _permutation(name: str, axes: Any, type: TensorType) -> tuple[int, ...]:
    found = tuple(axis_of(name, axis, type.rank) for axis in axes)
    if sorted(found) != list(range(type.rank)):
        raise ShapeError(
            explain(name, f"each of the {type.rank} axes of x once", f"{tuple(axes)} for {type}")
        )
    return found


def _whole_shape(type: TensorType, shape: Any) -> Shape:
    """A shape with the size for -1 filled in."""
    if isinstance(shape, (np.ndarray, Tensor, Variable)) and shape.ndim == 1:
        shape = to_tensor(shape).tolist()
    given = list(shape) if _is_list(shape) else [shape]
    free = [place for place, size in enumerate(given) if not isinstance(size, Dim) and size == -1]
    if not free:
        return shape_of("reshape", given)
    sizes = list(shape_of("reshape", [1 if place in free else s for place, s in enumerate(given)]))
    received = f"{shape_text(tuple(given))} for {type}"
    if len(free) > 1:
        raise ShapeError(explain("reshape", "at most one size of -1", received))
    rest = size_of(tuple(sizes))
    if is_known_equal(rest, 0):
        raise ShapeError(
            explain(
                "reshape",
                "a size for -1 that is one number: beside an axis of size 0 any would do",
                received,
                "Write the size instead of -1.",
            )
        )
    sizes[free[0]] = type.size // rest
    if not is_known_equal(sizes[free[0]] * rest, type.size):
        is_named = isinstance(rest, Dim) or isinstance(type.size, Dim)
        raise (UndecidedError if is_named else ShapeError)(
            explain(
                "reshape",
                f"a size for -1 that is whole: {type.size} elements by {rest}",
                received,
                "Give the named sizes numbers that divide." if is_named else "",
            )
        )
    return tuple(sizes)


def _repeats(repeats: Any) -> Size | np.ndarray:
    """A number of repeats, or an array of them with one axis."""
    if isinstance(repeats, Dim):
        return repeats
    if type(repeats) is int and repeats >= 0:
        return repeats
    count = values_now(
        "repeat",
        repeats,
        "Pass the repeats as Python numbers, or write where(mask, x, 0) to keep the shape.",
    )
    if count.dtype.kind not in "iu" and count.size:
        raise DTypeError(explain("repeat", "integers as repeats", f"{count.dtype} in {repeats!r}"))
    if count.size and count.min() < 0:
        raise ArgumentError(explain("repeat", "repeats of 0 or more", f"{repeats!r}"))
    if count.size == 1:
        return int(count.reshape(()))
    return count.astype(np.int64)


def _repeated(node: Node, count: Size, axis: int) -> Node:
    shape = node.shape
    wide = (*shape[: axis + 1], count, *shape[axis + 1 :])
    kept = tuple(each for each in range(len(wide)) if each != axis + 1)
    long = (*shape[:axis], shape[axis] * count, *shape[axis + 1 :])
    return ops.reshape(broadcast(node, shape=wide, axes=kept), shape=long)


def _rolled(node: Node, shift: Any, axis: int) -> Node:
    size = node.shape[axis]
    if isinstance(shift, (Tensor, Variable)):
        by = to_tensor(shift)
        if by.ndim or not by.dtype.is_integer:
            raise ArgumentError(
                explain("roll", "integers as shifts, one an axis", str(node_of(by).type))
            )
        return _rolled_by(node, cast(node_of(by), dtype=int64), axis)
    if isinstance(shift, (bool, np.bool_)) or not hasattr(shift, "__index__"):
        raise ArgumentTypeError(explain("roll", "integers as shifts", repr(shift)))
    if is_known_equal(size, 0):
        return node
    if not isinstance(size, Dim) and not isinstance(shift, Dim):
        shift = shift.__index__() % size
    elif not is_known_at_least(size - shift, 0):
        if not is_known_at_least(size + shift, 0) or not is_known_at_least(-shift, 0):
            return _rolled_by(node, size_node(shift), axis)
        shift = size + shift
    elif not is_known_at_least(shift, 0):
        if not is_known_at_least(size + shift, 0):
            return _rolled_by(node, size_node(shift), axis)
        shift = size + shift
    return join([cut(node, axis, size - shift, size), cut(node, axis, 0, size - shift)], axis)


def _rolled_by(node: Node, shift: Node, axis: int) -> Node:
    """Rolled by a number that is data: place i comes from place (i - shift) mod size."""
    size = node.shape[axis]
    place = ops.iota(dtype=int64, shape=(size,), axis=0)
    length, moved = (broadcast(each, shape=(size,), axes=()) for each in (size_node(size), shift))
    return take(node, remainder(subtract(place, moved), length), axis)


# Beyond the standard: order and shape -------------------------------------------------------------


def broadcast_shapes(*shapes: Any) -> Shape:
    """The shape that arrays of these shapes broadcast to. Raises ShapeError where there is none."""
    types = [tensor_type(bool_, shape_of("broadcast_shapes", shape)) for shape in shapes]
    return common_shape("broadcast_shapes", types) if types else ()


def transpose(x: Any, /, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in the order `axes`, by default in opposite order."""
    node = operand("transpose", x)
    rank = node.type.rank
    order = range(rank)[::-1] if axes is None else _permutation("transpose", axes, node.type)
    return wrap(transposed(node, order))


def swapaxes(x: Any, /, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    node = operand("swapaxes", x)
    rank = node.type.rank
    one, two = axis_of("swapaxes", axis1, rank), axis_of("swapaxes", axis2, rank)
    order = list(range(rank))
    order[one], order[two] = two, one
    return wrap(transposed(node, order))


def ravel(x: Any, /) -> Tensor:
    """All values along one axis, in row-major order."""
    return wrap(flat(operand("ravel", x)))


def flatten(x: Any, /) -> Tensor:
    """All values along one axis, in row-major order; the same as `ravel`."""
    return wrap(flat(operand("flatten", x)))


def atleast_1d(*arrays: Any) -> Any:
    """The array with at least one axis; a tuple for several arrays."""
    return _at_least("atleast_1d", arrays, lambda rank: (0,) if rank == 0 else ())


def atleast_2d(*arrays: Any) -> Any:
    """The array with at least two axes, new ones in front; a tuple for several arrays."""
    return _at_least("atleast_2d", arrays, lambda rank: tuple(range(2 - rank)))


def atleast_3d(*arrays: Any) -> Any:
    """The array with at least three axes: (N,) -> (1, N, 1) and (M, N) -> (M, N, 1)."""
    new_axes = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}
    return _at_least("atleast_3d", arrays, lambda rank: new_axes.get(rank, ()))


def _at_least(name: str, arrays: Sequence[Any], new_axes: Any) -> Any:
    found = []
    for each in arrays:
        node = operand(name, each)
        axes = new_axes(node.type.rank)
        found.append(wrap(expand(node, axes) if axes else node))
    return found[0] if len(found) == 1 else tuple(found)


def fliplr(x: Any, /) -> Tensor:
    """The columns in opposite order: flipped along axis 1."""
    return flip(x, axis=1)


def flipud(x: Any, /) -> Tensor:
    """The rows in opposite order: flipped along axis 0."""
    return flip(x, axis=0)


def rot90(x: Any, /, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """x turned by k quarters in the plane of two axes, from the first toward the second."""
    node = operand("rot90", x)
    rank = node.type.rank
    if len(axes) != 2:
        raise ShapeError(explain("rot90", "two axes", f"{tuple(axes)}"))
    one, two = (axis_of("rot90", axis, rank) for axis in axes)
    if one == two:
        raise ShapeError(explain("rot90", "two different axes", f"{tuple(axes)}"))
    order = list(range(rank))
    order[one], order[two] = two, one
    turns = k % 4
    if turns == 2:
        return wrap(ops.reverse(node, axes=tuple(sorted((one, two)))))
    if turns == 1:
        return wrap(ops.transpose(mirrored(node, two), axes=tuple(order)))
    if turns == 3:
        return wrap(mirrored(ops.transpose(node, axes=tuple(order)), two))
    return wrap(node)


def diagonal(x: Any, /, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements at i along axis1 and i + offset along axis2, as a last axis.

    (M, N) -> (min(M, N),) for offset 0; the other axes stay in front.
    """
    node = operand("diagonal", x)
    rank = node.type.rank
    one, two = axis_of("diagonal", axis1, rank), axis_of("diagonal", axis2, rank)
    if one == two:
        raise ShapeError(explain("diagonal", "two different axes", f"{axis1} and {axis2}"))
    front = [axis for axis in range(rank) if axis not in (one, two)]
    node = transposed(node, (*front, one, two))
    *outer, rows, columns = node.shape
    below, above = max(-offset, 0), max(offset, 0)
    if not (is_known_at_least(rows, below) and is_known_at_least(columns, above)):
        if not isinstance(rows, Dim) and not isinstance(columns, Dim):
            return wrap(cut(ops.reshape(node, shape=(*outer, rows * columns)), rank - 2, 0, 0))
        raise UndecidedError(
            explain("diagonal", "an offset inside whatever the sizes", f"{offset} for {node.type}")
        )
    length = dim_min(rows - below, columns - above)
    if isinstance(columns, Dim) or not isinstance(length, int):
        place = ops.iota(dtype=int64, shape=(length,), axis=0)
        indices = [add(place, full_like(place, start)) for start in (below, above)]
        found = gather(node, *indices, axes=(rank - 2, rank - 1))
        return wrap(transposed(found, (*range(1, rank - 1), 0)))
    # In row-major order the elements of a diagonal are one row and one column apart.
    line = ops.reshape(node, shape=(*outer, rows * columns))
    start = below * columns + above if length else 0
    limit = start + (length - 1) * (columns + 1) + 1 if length else 0
    return wrap(cut(line, rank - 2, start, limit, columns + 1))


# Beyond the standard: joining and splitting -------------------------------------------------------


def split(x: Any, /, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """x cut along an axis: into a number of equal sections, or before each of some places."""
    node = operand("split", x)
    axis = axis_of("split", axis, node.type.rank)
    if _is_several(indices_or_sections):
        return _split_at("split", node, indices_or_sections, axis)
    sections = _sections("split", indices_or_sections)
    size = node.shape[axis]
    part = size // sections
    if not is_known_equal(part * sections, size):
        raise (UndecidedError if isinstance(size, Dim) else ShapeError)(
            explain(
                "split",
                f"an axis whose size divides into {sections} equal sections",
                f"axis {axis} of {node.type}",
                f"Write array_split(x, {sections}, axis={axis}) for sections that differ by one.",
            )
        )
    return [wrap(cut(node, axis, i * part, (i + 1) * part)) for i in range(sections)]


def array_split(x: Any, /, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """As `split`; where the size does not divide, the first sections are longer by one."""
    node = operand("array_split", x)
    axis = axis_of("array_split", axis, node.type.rank)
    if _is_several(indices_or_sections):
        return _split_at("array_split", node, indices_or_sections, axis)
    sections = _sections("array_split", indices_or_sections)
    size = static_size("array_split", node.type, axis, "as it decides which sections are longer")
    part, longer = divmod(size, sections)
    result, start = [], 0
    for index in range(sections):
        limit = start + part + (index < longer)
        result.append(wrap(cut(node, axis, start, limit)))
        start = limit
    return result


def _is_several(value: Any) -> bool:
    return _is_list(value) or (isinstance(value, (np.ndarray, Tensor)) and value.ndim > 0)


def _sections(name: str, sections: Any) -> int:
    if isinstance(sections, (bool, np.bool_)) or not hasattr(sections, "__index__"):
        raise ArgumentTypeError(
            explain(name, "a number of sections or a list of places", repr(sections))
        )
    count = sections.__index__()
    if count < 1:
        raise ArgumentError(explain(name, "at least one section", f"{count}"))
    return count


def _split_at(name: str, node: Node, places: Any, axis: int) -> list[Tensor]:
    """The parts between places, which are counted, held inside and ordered as slices are."""
    if isinstance(places, (np.ndarray, Tensor)):
        places = values_now(name, places, "Pass the places as Python numbers.").tolist()
    size = node.shape[axis]
    ends = [0, *places, None]
    result = []
    for start, stop in itertools.pairwise(ends):
        first, limit = slice_bounds(name, size, start, stop)
        result.append(wrap(cut(node, axis, first, limit)))
    return result


def hstack(arrays: Arrays, /) -> Tensor:
    """The arrays side by side: along axis 1, or along axis 0 if they have one axis."""
    nodes = [node if node.type.rank else flat(node) for node in operands_of("hstack", arrays)]
    return wrap(_concatenated(nodes, 0 if nodes[0].type.rank == 1 else 1))


def vstack(arrays: Arrays, /) -> Tensor:
    """The arrays above one another: along axis 0, an array with one axis being a row."""
    nodes = operands_of("vstack", arrays)
    rows = [expand(node, range(2 - node.type.rank)) for node in nodes]
    return wrap(_concatenated(rows, 0))


def dstack(arrays: Arrays, /) -> Tensor:
    """The arrays behind one another: along axis 2, after `atleast_3d`."""
    new_axes = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}
    nodes = operands_of("dstack", arrays)
    deep = [expand(node, new_axes.get(node.type.rank, ())) for node in nodes]
    return wrap(_concatenated(deep, 2))


def column_stack(arrays: Arrays, /) -> Tensor:
    """The arrays side by side along axis 1, an array with one axis being a column."""
    nodes = operands_of("column_stack", arrays)
    wide = [
        ops.reshape(node, shape=(node.type.size, 1)) if node.type.rank < 2 else node
        for node in nodes
    ]
    return wrap(_concatenated(wide, 1))


def _concatenated(nodes: Sequence[Node], axis: int) -> Node:
    return nodes[0] if len(nodes) == 1 else ops.concatenate(*nodes, axis=axis)


# Beyond the standard: padding ---------------------------------------------------------------------

MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def pad(x: Any, /, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Tensor:
    """x with elements added before and after it along each axis.

    `pad_width` is one number, a pair (before, after), a pair for each axis, or a dictionary from
    axes to numbers or pairs. `mode` says what is added, for an axis 1 2 3:

        constant     0 0 | 1 2 3 | 0 0     `constant_values`: one, or given as the widths are
        edge         1 1 | 1 2 3 | 3 3
        reflect      3 2 | 1 2 3 | 2 1     around the outer element; repeated where wider
        symmetric    2 1 | 1 2 3 | 3 2     around the outer edge; repeated where wider
        wrap         2 3 | 1 2 3 | 1 2
    """
    node = operand("pad", x)
    if mode not in MODES:
        raise ArgumentError(explain("pad", f"a mode among {', '.join(MODES)}", repr(mode)))
    widths = _widths(node.type, pad_width)
    if mode == "constant":
        return wrap(_padded_constant(node, widths, constant_values))
    for axis, (before, after) in enumerate(widths):
        if is_known_equal(before, 0) and is_known_equal(after, 0):
            continue
        if not is_known_at_least(node.shape[axis], 1):
            is_named = isinstance(node.shape[axis], Dim)
            raise (UndecidedError if is_named else ShapeError)(
                explain(
                    "pad",
                    f"at least one element along axis {axis} for mode {mode!r}",
                    str(node.type),
                    "Pad with mode='constant', or check the size first.",
                )
            )
        node = _MODES[mode](node, axis, before, after)
    return wrap(node)


def _widths(type: TensorType, pad_width: Any) -> list[tuple[Size, Size]]:
    rank = type.rank
    if isinstance(pad_width, dict):
        rows: list[Any] = [(0, 0)] * rank
        for key, value in pad_width.items():
            rows[axis_of("pad", key, rank)] = value if _is_list(value) else (value, value)
        pad_width = rows
    found = []
    for row in _pairs(type, "widths", pad_width):
        for size in row:
            is_size = isinstance(size, Dim) or hasattr(size, "__index__")
            if not is_size or isinstance(size, (bool, np.bool_)):
                raise ArgumentTypeError(explain("pad", "widths that are integers", repr(size)))
        before, after = (size if isinstance(size, Dim) else size.__index__() for size in row)
        if not (is_known_at_least(before, 0) and is_known_at_least(after, 0)):
            raise ArgumentError(
                explain(
                    "pad", "widths of 0 or more", f"{(before, after)}", "Slice to remove elements."
                )
            )
        found.append((before, after))
    return found


def _pairs(type: TensorType, what: str, given: Any) -> list[list[Any]]:
    """One, a pair, a pair for each axis: as a pair for each axis."""
    if isinstance(given, (Tensor, Variable, np.ndarray)):
        given = values_now("pad", given, "Pass them as Python numbers.").tolist()
    rows = [list(each) if _is_list(each) else each for each in _listed(given)]
    if not any(isinstance(row, list) for row in rows):
        rows = [rows]
    if len(rows) == 1:
        rows = rows * type.rank
    fits = all(isinstance(row, list) and len(row) in (1, 2) for row in rows)
    if len(rows) != type.rank or not fits:
        raise ShapeError(
            explain(
                "pad",
                f"{what}: one, a pair, or a pair for each of the {type.rank} axes",
                f"{given!r} for {type}",
            )
        )
    return [row * 2 if len(row) == 1 else row for row in rows]


def _padded_constant(node: Node, widths: Sequence[tuple[Size, Size]], constants: Any) -> Node:
    rank, dtype = node.type.rank, node.dtype
    none = (0,) * rank
    is_one = not _is_list(constants) and not (
        isinstance(constants, (np.ndarray, Tensor, Variable)) and constants.ndim
    )
    if is_one:
        value = converted("pad", constants, dtype)
        before, after = (tuple(pair[side] for pair in widths) for side in (0, 1))
        if all(is_known_equal(size, 0) for size in (*before, *after)):
            return node
        return ops.pad(node, value, low=before, high=after, interior=none)
    # One axis after another: a corner belongs to the last axis that reaches it.
    for axis, row in enumerate(_pairs(node.type, "constants", constants)):
        for side, number in enumerate(row):
            low: list[Size] = [0] * rank
            high: list[Size] = [0] * rank
            (low, high)[side][axis] = widths[axis][side]
            value = converted("pad", number, dtype)
            node = ops.pad(node, value, low=tuple(low), high=tuple(high), interior=none)
    return node


def _pad_edge(node: Node, axis: int, before: Size, after: Size) -> Node:
    size = node.shape[axis]

    def run(place: Size, count: Size) -> Node:
        return _repeated(cut(node, axis, place, place + 1), count, axis)

    return join([run(0, before), node, run(size - 1, after)], axis)


def _pad_reflect(node: Node, axis: int, before: Size, after: Size) -> Node:
    size = node.shape[axis]
    if is_known_equal(size, 1):
        return _pad_edge(node, axis, before, after)
    if is_known_at_least(size - 1 - before, 0) and is_known_at_least(size - 1 - after, 0):
        first = mirrored(cut(node, axis, 1, 1 + before), axis)
        last = mirrored(cut(node, axis, size - 1 - after, size - 1), axis)
        return join([first, node, last], axis)
    size = static_size("pad", node.type, axis, "or a width below it")
    period = join([node, mirrored(cut(node, axis, 1, size - 1), axis)], axis)
    return _pad_periodic(period, axis, size, before, after)


def _pad_symmetric(node: Node, axis: int, before: Size, after: Size) -> Node:
    size = node.shape[axis]
    if is_known_at_least(size - before, 0) and is_known_at_least(size - after, 0):
        first = mirrored(cut(node, axis, 0, before), axis)
        last = mirrored(cut(node, axis, size - after, size), axis)
        return join([first, node, last], axis)
    size = static_size("pad", node.type, axis, "or a width up to it")
    period = join([node, mirrored(node, axis)], axis)
    return _pad_periodic(period, axis, size, before, after)


def _pad_wrap(node: Node, axis: int, before: Size, after: Size) -> Node:
    size = node.shape[axis]
    if is_known_at_least(size - before, 0) and is_known_at_least(size - after, 0):
        first, last = cut(node, axis, size - before, size), cut(node, axis, 0, after)
        return join([first, node, last], axis)
    size = static_size("pad", node.type, axis, "or a width up to it")
    return _pad_periodic(node, axis, size, before, after)


def _pad_periodic(period: Node, axis: int, size: int, before: Size, after: Size) -> Node:
    """The stretch from -before to size + after of a period repeated without end."""
    length = period.shape[axis]
    phase = -before % length
    extent = before + size + after
    copies: list[Size] = [1] * period.type.rank
    copies[axis] = ceil_div(phase + extent, length)
    return cut(_tiled(period, tuple(copies)), axis, phase, phase + extent)


_MODES = {
    "edge": _pad_edge,
    "reflect": _pad_reflect,
    "symmetric": _pad_symmetric,
    "wrap": _pad_wrap,
}


# Slices, as Python counts them --------------------------------------------------------------------


def slice_bounds(
    name: str, size: Size, start: Size | None, stop: Size | None, mirror: bool = False
) -> tuple[Size, Size]:
    """The first place and the limit of `start:stop` on an axis: counted from the end where negative
    and held inside.

    With `mirror` the slice runs backward, and the places are those of the mirrored axis. Raises
    UndecidedError for a bound that may be negative or not.
    """
    if mirror:
        # Place p is place size - 1 - p of the mirrored axis, counted from the other end.
        start = None if start is None else -1 - start
        stop = None if stop is None else -1 - stop
    if not isinstance(size, Dim) and not isinstance(start, Dim) and not isinstance(stop, Dim):
        low, high, _ = builtins.slice(start, stop).indices(size)
        return low, max(low, high)
    return _named_bounds(name, size, 0 if start is None else start, stop)


def _named_bounds(name: str, size: Size, start: Size, stop: Size | None) -> tuple[Size, Size]:
    """`slice_bounds` where a size is named; equal lengths are written alike where that is known."""
    end = None if stop is None or _is_from_end(name, size, stop) else stop
    left_over = 0 if stop is None else -stop
    if not _is_from_end(name, size, start):
        there = dim_max(size - start, 0)
        low = size - there
        if end is None:
            length = dim_max(size - start - left_over, 0)
        else:
            length = dim_min(there, dim_max(end - start, 0))
    else:
        low = size - dim_min(-start, size)
        if end is None:
            length = dim_min(dim_max(size - left_over, 0), dim_max(-start - left_over, 0))
        else:
            length = dim_max(dim_min(end, size) - low, 0)
    if not is_known_at_least(size - low - length, 0):
        raise UndecidedError(
            explain(
                name,
                "bounds whose order is known",
                f"{start}:{'' if stop is None else stop} on an axis of {size}",
                "Give the named sizes numbers.",
            )
        )
    return low, low + length


def _is_from_end(name: str, size: Size, bound: Size) -> bool:
    if is_known_at_least(bound, 0):
        return False
    if is_known_at_least(-1 - bound, 0):
        return True
    raise UndecidedError(
        explain(
            name,
            "bounds of which it is known whether they count from the end",
            f"{bound}, which may be negative or not, on an axis of {size}",
            "Give the named sizes numbers, or write the bound so that it is never negative.",
        )
    )

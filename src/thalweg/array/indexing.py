"""Indexing: reading and writing parts of a tensor, `x[key]` and `at(x)[key].set(v)`.

A key follows NumPy, element by element:

    integer, size      drops an axis; negative ones count from the end
    integer tensor     without axes, the same, at a place that is data
    slice              part of an axis, held inside, steps of either sign
    ...                as many whole axes as are left
    None               a new axis of size 1
    integer array      places along an axis; several broadcast together and give one group of axes,
                       which stands where they stood if side by side, else in front
    boolean mask       the places where it is true, in row-major order

What is known to be outside raises OutOfRangeError at once: integers, and integer arrays whose
values are at hand. Other values are not computed for that: where such an index is outside, reading
gives NaN (for integers the smallest, for unsigned ones the largest value, for booleans True), and a
write is dropped. A mask decides a shape, so its values are needed: they are computed, and a traced
mask is refused, but for writing a value that is the same at all its places.

    take, take_along_axis                  the standard's section "Indexing functions"
    dynamic_slice, dynamic_update_slice    parts of fixed size at places that are data, held inside
"""

import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.array.manipulation import (
    converted,
    expand,
    known_values,
    operand,
    shaped,
    size_node,
    slice_bounds,
    transposed,
    values_now,
)
from thalweg.array.operands import (
    axis_of,
    broadcast_shapes,
    dtype_of,
    from_array,
    shape_of,
    to_tensor,
)
from thalweg.array.operands import broadcast_to as stretch
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    OutOfRangeError,
    ShapeError,
    explain,
)
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, UndecidedError, dim_max, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.types import Shape, Size, TensorType, bool_, int32, int64, shape_text
from thalweg.ops import index as ops
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import add, cast, less, maximum, minimum, multiply, select
from thalweg.ops.movement import inverse_permutation, pad, reshape, reverse, slice

MOST_CHECKED = 65536
"""The values of an index tensor are looked at, if they are at hand, up to so many of them."""

WHOLE = builtins.slice(None)

# Keys ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cut:
    """The part of x that the integers and slices of a key leave, before arrays are looked up.

    On the axes that are mirrored, start and limit are counted from the end.
    """

    start: list[Size]
    limit: list[Size]
    stride: list[int]
    mirrored: list[int]
    dropped: list[int]

    def is_whole(self, type: TensorType) -> bool:
        """True when nothing is cut away or mirrored."""
        if self.mirrored or any(step != 1 for step in self.stride):
            return False
        if all(low == 0 for low in self.start) and tuple(self.limit) == type.shape:
            return True
        return all(is_known_equal(low, 0) for low in self.start) and all(
            map(is_known_equal, self.limit, type.shape)
        )


@dataclass(slots=True)
class Plan:
    """What a key means for an operand of one type.

    `axes` are those that index arrays look up, counted among the axes that are left after the cut;
    `order` puts the axes of a lookup (the places, then the axes left) in the order of the result,
    and `new` are the result's axes of size 1 that no axis of x gave.
    """

    cut: Cut
    indices: list[Node]
    axes: tuple[int, ...]
    order: tuple[int, ...]
    new: tuple[int, ...]


def _listed(key: Any) -> list[Any]:
    return list(key) if isinstance(key, tuple) else [key]


def _part(part: Any) -> Any:
    """An element of a key as None, Ellipsis, a slice, a size, an integer tensor or a host array."""
    if type(part) is int or part is None or part is Ellipsis:
        return part
    if isinstance(part, (builtins.slice, Dim)):
        return part
    if isinstance(part, Variable):
        part = part.value
    if isinstance(part, (bool, np.bool_)):
        return np.array(part)
    if isinstance(part, Tensor):
        if part.dtype is bool_:
            return _mask_values(part)
        if not part.dtype.is_integer:
            raise _not_an_index(str(node_of(part).type))
        return part
    if isinstance(part, (np.ndarray, np.generic, list, tuple, range)):
        array = known_values("index", part)
        if array is None:
            return _part(to_tensor(part, "index"))
        if not array.size and not hasattr(part, "dtype"):
            array = array.astype(np.int64)
        if array.dtype.kind not in "biu":
            raise _not_an_index(f"{array.dtype} in {part!r:.80}")
        return int(array) if array.ndim == 0 and array.dtype.kind != "b" else array
    if hasattr(part, "__index__"):
        return part.__index__()
    raise _not_an_index(f"{part!r:.80} of {type(part).__name__}")


def _not_an_index(received: str) -> ArgumentTypeError:
    return ArgumentTypeError(
        explain(
            "index",
            "integers, slices, ..., None, and arrays of integers or booleans",
            received,
            "Cast first: i.astype('int64').",
        )
    )


def _mask_values(mask: Tensor) -> np.ndarray:
    return values_now(
        "index",
        mask,
        "Write where(mask, x, 0) to keep the shape, or nonzero(mask, size=n) for the first n "
        "places; at(x)[mask].set(v) works with a v of one value.",
    )


def _span(part: Any) -> int:
    """How many axes of x an element of a key takes."""
    if part is None or part is Ellipsis:
        return 0
    if isinstance(part, np.ndarray) and part.dtype.kind == "b":
        return part.ndim
    return 1


def _parts(key: Any, type: TensorType) -> list[Any]:
    """The elements of a key, whole axes spelled out; a token `...` stays where it stood."""
    parts = [_part(part) for part in _listed(key)]
    taken = sum(map(_span, parts))
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise OutOfRangeError(explain("index", "one ... at most", f"{len(dots)} of them"))
    if taken > type.rank:
        raise OutOfRangeError(
            explain("index", f"at most {type.rank} indices for {type}", f"{taken}")
        )
    whole = [WHOLE] * (type.rank - taken)
    place = dots[0] if dots else len(parts)
    return [*parts[:place], Ellipsis, *whole, *parts[place + 1 :]] if dots else parts + whole


def _with_flags(node: Node, parts: list[Any]) -> tuple[Node, list[Any]]:
    """A boolean without axes takes no axis of x: x gets one of size 1, and it takes that."""
    axes, axis = [], 0
    result = []
    for part in parts:
        if isinstance(part, np.ndarray) and part.ndim == 0:
            axes.append(axis)
            part = np.zeros(int(part), np.int64)
            axis += 1
        else:
            axis += _span(part)
        result.append(part)
    return (expand(node, axes) if axes else node), result


def plan(node: Node, key: Any) -> tuple[Node, Plan]:
    """What a key means for a node. The node comes back, with an axis more for each lone boolean."""
    parts = _parts(key, node.type)
    is_spread = any(isinstance(part, (np.ndarray, Tensor)) for part in parts)
    if is_spread:
        node, parts = _with_flags(node, parts)
    rank = node.type.rank
    cut = Cut([0] * rank, list(node.shape), [1] * rank, [], [])
    lookups: dict[int, Any] = {}
    layout: list[Any] = []  # for each axis of the result: an axis of x, "new", or "place"
    axis = 0
    for part in parts:
        if part is Ellipsis:
            layout.append("...")
        elif part is None:
            layout.append("new")
        elif isinstance(part, builtins.slice):
            if part is not WHOLE:
                _cut_slice(cut, node.type, axis, part)
            layout.append(axis)
            axis += 1
        elif isinstance(part, (int, Dim)):
            _cut_point(cut, node.type, axis, part)
            # Beside an index array an integer counts as one of them.
            layout += ["place"] if is_spread else []
            axis += 1
        elif isinstance(part, np.ndarray) and part.dtype.kind == "b":
            _check_mask(node.type, axis, part)
            for found in part.nonzero():
                lookups[axis] = found
                axis += 1
            layout.append("place")
        else:
            lookups[axis] = part
            layout.append("place")
            axis += 1
    indices = _index_nodes(node.type, lookups)
    left = [each for each in range(rank) if each not in cut.dropped]
    axes = tuple(left.index(each) for each in lookups)
    places = indices[0].type.rank if indices else 0
    order, new = _arrange(layout, [each for each in left if each not in lookups], places)
    return node, Plan(cut, indices, axes, order, new)


def _arrange(
    layout: list[Any], kept: list[int], places: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The order of a lookup's axes in the result, and where the result has new axes."""
    stand = [at for at, entry in enumerate(layout) if entry == "place"]
    together = bool(stand) and stand[-1] - stand[0] + 1 == len(stand)
    order: list[int] = []
    new: list[int] = []
    group = list(range(places))
    if not together:
        order += group
    count = len(order)
    for at, entry in enumerate(layout):
        if entry == "new":
            new.append(count)
            count += 1
        elif entry == "place":
            if together and at == stand[0]:
                order += group
                count += places
        elif entry != "...":
            order.append(places + kept.index(entry))
            count += 1
    return tuple(order), tuple(new)


def _cut_slice(cut: Cut, type: TensorType, axis: int, part: builtins.slice) -> None:
    size = type.shape[axis]
    start, stop, step = (_bound(bound) for bound in (part.start, part.stop, part.step))
    step = 1 if step is None else step
    if isinstance(step, Dim):
        raise UndecidedError(
            explain("index", "a step that is a number", f"{step}", "Give the size a number.")
        )
    if step == 0:
        raise ArgumentError(explain("index", "a step other than 0", "0"))
    low, high = slice_bounds("index", size, start, stop, mirror=step < 0)
    cut.start[axis], cut.limit[axis], cut.stride[axis] = low, high, abs(step)
    if step < 0:
        cut.mirrored.append(axis)


def _bound(bound: Any) -> Any:
    if bound is None or isinstance(bound, Dim) or type(bound) is int:
        return bound
    if isinstance(bound, Variable):
        bound = bound.value
    if not hasattr(bound, "__index__"):
        raise ArgumentTypeError(
            explain("index", "integers in a slice", f"{bound!r} of {type(bound).__name__}")
        )
    return bound.__index__()


def _cut_point(cut: Cut, type: TensorType, axis: int, place: Size) -> None:
    size = type.shape[axis]
    if not isinstance(size, Dim) and not isinstance(place, Dim):
        inside, outside = -size <= place < size, not -size <= place < size
        start: Size = place if place >= 0 else size + place
    elif is_known_at_least(place, 0):
        inside, outside = is_known_at_least(size - place, 1), is_known_at_least(place - size, 0)
        start = place
    else:
        start = size + place
        negative = is_known_at_least(-1 - place, 0)
        inside = negative and is_known_at_least(start, 0)
        outside = negative and is_known_at_least(-1 - start, 0)
    if outside:
        raise _outside(place, axis, type)
    if not inside:
        raise UndecidedError(
            explain(
                "index",
                f"an index of which it is known that it is inside an axis of size {size}",
                f"{place} on axis {axis} of {type}",
                "Give the named size a number, or index with an integer tensor.",
            )
        )
    cut.start[axis], cut.limit[axis] = start, start + 1
    cut.dropped.append(axis)


def _outside(place: Any, axis: int, type: TensorType) -> OutOfRangeError:
    size = type.shape[axis]
    wanted = f"an index from {-size} to {size - 1}" if size else "no index: the axis has size 0,"
    return OutOfRangeError(explain("index", f"{wanted} on axis {axis}", f"{place} for {type}"))


def _check_mask(type: TensorType, axis: int, mask: np.ndarray) -> None:
    covered = type.shape[axis : axis + mask.ndim]
    if not all(map(is_known_equal, covered, mask.shape)):
        raise OutOfRangeError(
            explain(
                "index",
                f"a mask of shape {shape_text(covered)}, as the axes that it covers",
                f"bool{shape_text(mask.shape)} for {type}",
            )
        )


# Index arrays -------------------------------------------------------------------------------------


def _index_nodes(type: TensorType, lookups: dict[int, Any]) -> list[Node]:
    """Index arrays of one element type and one shape, counted from the front."""
    nodes = [places(index, type, axis) for axis, index in lookups.items()]
    if any(node.dtype is not nodes[0].dtype for node in nodes):
        nodes = [cast(node, dtype=int64) for node in nodes]
    if any(node.type is not nodes[0].type for node in nodes):
        shape = broadcast_shapes("index", [node.type for node in nodes])
        nodes = [stretch(node, shape) for node in nodes]
    return nodes


def places(index: Any, type: TensorType, axis: int) -> Node:
    """The node of an integer array or tensor whose places along an axis count from the front.

    Values at hand are checked; raises OutOfRangeError.
    """
    size = type.shape[axis]
    values = known_values("index", index)
    if values is not None and not isinstance(size, Dim):
        is_small = values.size <= MOST_CHECKED or isinstance(index, np.ndarray)
        if values.size and is_small:
            low, high = int(values.min()), int(values.max())
            if low < -size or high >= size:
                raise _outside(low if low < -size else high, axis, type)
    if isinstance(index, np.ndarray):
        return _places_of_array(index, size)
    node = node_of(index)
    if node.dtype.kind == "uint":
        return node
    if isinstance(size, Dim) or size >= 2**31:
        node = cast(node, dtype=int64) if node.dtype is not int64 else node
    elif node.dtype.bits < 32:
        node = cast(node, dtype=int32)
    return _from_front(node, size)


def _places_of_array(index: np.ndarray, size: Size) -> Node:
    index = index.astype(np.int64)
    if not isinstance(size, Dim):
        return node_of(from_array(np.where(index < 0, index + size, index)))
    node = node_of(from_array(index))
    return _from_front(node, size) if index.size and index.min() < 0 else node


def _from_front(node: Node, size: Size) -> Node:
    """Negative places counted from the front."""
    if isinstance(size, Dim):
        length = broadcast(size_node(size, node.dtype), shape=node.shape, axes=())
    else:
        length = full_like(node, size)
    return select(less(node, full_like(node, 0)), add(node, length), node)


# Reading ------------------------------------------------------------------------------------------


def get_item(x: Any, key: Any, /) -> Tensor:
    """x[key], as NumPy has it. Raises OutOfRangeError for an index that is known to be outside."""
    node, found = plan(operand("index", x), key)
    return wrap(_read(node, found))


def _read(node: Node, found: Plan) -> Node:
    window = _window(node, found.cut)
    if not found.indices:
        return shaped(window, _with_new(_left_shape(window, found.cut), found))
    table = shaped(window, _left_shape(window, found.cut))
    result = transposed(ops.gather(table, *found.indices, axes=found.axes), found.order)
    return expand(result, found.new) if found.new else result


def _window(node: Node, cut: Cut) -> Node:
    """What a cut leaves, every axis still there."""
    if cut.is_whole(node.type):
        return node
    if cut.mirrored:
        node = reverse(node, axes=tuple(cut.mirrored))
    return slice(node, start=tuple(cut.start), limit=tuple(cut.limit), stride=tuple(cut.stride))


def _left_shape(window: Node, cut: Cut) -> Shape:
    return tuple(size for axis, size in enumerate(window.shape) if axis not in cut.dropped)


def _with_new(shape: Shape, found: Plan) -> Shape:
    sizes = list(shape)
    for axis in found.new:
        sizes.insert(axis, 1)
    return tuple(sizes)


# Writing ------------------------------------------------------------------------------------------

_COMBINATIONS: dict[str, Callable[[Node, Node], Node]] = {
    "add": add,
    "multiply": multiply,
    "min": minimum,
    "max": maximum,
}


class At:
    """A tensor whose parts can be replaced, giving new tensors: `at(x)[key].set(v)`.

    >>> at([1.0, 2.0, 3.0])[1:].add(1.0)
    Tensor([1., 3., 4.], dtype=float32)
    >>> at([[1, 2], [3, 4]])[[0, 1], [1, 0]].set(0)
    Tensor([[1, 0],
            [0, 4]], dtype=int64)
    """

    __slots__ = ("_tensor",)

    def __init__(self, x: Any, /):
        self._tensor = to_tensor(x, "at")

    def __getitem__(self, key: Any) -> "Place":
        return Place(self._tensor, key)

    def __repr__(self) -> str:
        return f"at({self._tensor!r})"


class Place:
    """A part of a tensor, as `x[key]` names it; its methods return the whole tensor, changed.

    The value broadcasts to the shape of `x[key]` and takes the element type of x; a value of a
    higher kind (a float for integers) is refused. Where an index array names one place more than
    once, `set` keeps the last value and the others combine all of them. What is outside is dropped.
    """

    __slots__ = ("_key", "_tensor")

    def __init__(self, tensor: Tensor, key: Any):
        self._tensor = tensor
        self._key = key

    def get(self) -> Tensor:
        """x[key]."""
        return get_item(self._tensor, self._key)

    def set(self, value: Any, /) -> Tensor:
        """x with the part replaced by the value."""
        return wrap(_written(node_of(self._tensor), self._key, value, "set"))

    def add(self, value: Any, /) -> Tensor:
        """x with the value added to the part."""
        return wrap(_written(node_of(self._tensor), self._key, value, "add"))

    def multiply(self, value: Any, /) -> Tensor:
        """x with the part multiplied by the value."""
        return wrap(_written(node_of(self._tensor), self._key, value, "multiply"))

    def min(self, value: Any, /) -> Tensor:
        """x with the smaller of the part and the value."""
        return wrap(_written(node_of(self._tensor), self._key, value, "min"))

    def max(self, value: Any, /) -> Tensor:
        """x with the larger of the part and the value."""
        return wrap(_written(node_of(self._tensor), self._key, value, "max"))

    def __repr__(self) -> str:
        return f"at({self._tensor!r})[{self._key!r}]"


at = At


def _written(x: Node, key: Any, value: Any, mode: str) -> Node:
    update = converted("at", value, x.dtype)
    masked = _write_masked(x, key, update, mode)
    if masked is not None:
        return masked
    node, found = plan(x, key)
    window = _window(node, found.cut)
    table_shape = _left_shape(window, found.cut)
    if found.indices:
        left = [size for axis, size in enumerate(table_shape) if axis not in found.axes]
        lookup = (*found.indices[0].shape, *left)
    else:
        lookup = table_shape
    shape = tuple(lookup[axis] for axis in found.order)
    update = _fitted(update, _with_new(shape, found), x.type)
    update = transposed(shaped(update, shape), inverse_permutation(found.order))
    if found.indices:
        table = shaped(window, table_shape)
        content = ops.scatter(table, update, *found.indices, axes=found.axes, mode=mode)
        content = shaped(content, window.shape)
    else:
        content = shaped(update, window.shape)
        if mode != "set":
            content = _COMBINATIONS[mode](window, content)
    return shaped(_replaced(node, found.cut, content), x.shape)


def _fitted(update: Node, shape: Shape, type: TensorType) -> Node:
    """A value broadcast to the shape that it is written to; axes of size 1 in front are dropped."""
    extra = update.type.rank - len(shape)
    if extra > 0 and all(is_known_equal(size, 1) for size in update.shape[:extra]):
        update = reshape(update, shape=update.shape[extra:])
    own = update.shape
    fits = len(own) <= len(shape) and all(
        is_known_equal(size, 1) or is_known_equal(size, new)
        for size, new in zip(own, shape[len(shape) - len(own) :], strict=True)
    )
    if not fits:
        raise ShapeError(
            explain(
                "at",
                f"a value that broadcasts to {shape_text(shape)}, the shape of the part",
                f"{update.type} for a part of {type}",
            )
        )
    return stretch(update, shape)


def _replaced(x: Node, cut: Cut, content: Node) -> Node:
    """x with what a cut leaves replaced."""
    if cut.is_whole(x.type):
        return content
    if cut.mirrored:
        axes = tuple(cut.mirrored)
        plain = Cut(cut.start, cut.limit, cut.stride, [], [])
        return reverse(_replaced(reverse(x, axes=axes), plain, content), axes=axes)
    if all(step == 1 for step in cut.stride):
        starts = [size_node(start) for start in cut.start]
        return ops.dynamic_update_slice(x, content, *starts)
    inside = _spread(full(True, bool_, content.shape), cut, x.shape)
    return select(inside, _spread(content, cut, x.shape), x)


def _spread(content: Node, cut: Cut, shape: Shape) -> Node:
    """Elements of a cut at their places, and 0 or False between and around them."""
    high = []
    for extent, low, size, step in zip(shape, cut.start, content.shape, cut.stride, strict=True):
        high.append(extent - low - size - dim_max(size - 1, 0) * (step - 1))
    interior = tuple(step - 1 for step in cut.stride)
    zero = full(0, content.dtype)
    return pad(content, zero, low=tuple(cut.start), high=tuple(high), interior=interior)


def _write_masked(x: Node, key: Any, update: Node, mode: str) -> Node | None:
    """A write through one mask of a value that is the same at all its places: a choice, no index.

    None where the key or the value is of another kind.
    """
    parts = _listed(key)
    if parts and parts[-1] is Ellipsis:
        parts = parts[:-1]
    if len(parts) != 1:
        return None
    mask = parts[0].value if isinstance(parts[0], Variable) else parts[0]
    if not isinstance(mask, (Tensor, np.ndarray)) or dtype_of(mask) is not bool_:
        return None
    rank = mask.ndim
    if rank > x.type.rank or not all(map(is_known_equal, x.shape[:rank], mask.shape)):
        return None
    rest = x.shape[rank:]
    if update.type.rank > len(rest) and not all(
        is_known_equal(size, 1) for size in update.shape[: update.type.rank - len(rest)]
    ):
        return None
    update = stretch(_fitted(update, rest, x.type), x.shape)
    if mode != "set":
        update = _COMBINATIONS[mode](x, update)
    inside = broadcast(operand("at", mask), shape=x.shape, axes=tuple(range(rank)))
    return select(inside, update, x)


# The standard -------------------------------------------------------------------------------------


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Tensor:
    """The slices of x at integer places along an axis: (B, N, C) with (K,) -> (B, K, C).

    Indices may have any number of axes, and count from the end where negative. Without an axis, x
    is flattened first. Raises OutOfRangeError for indices that are known to be outside.
    """
    node = operand("take", x)
    if axis is None:
        node, axis = shaped(node, (node.type.size,)), 0
    axis = axis_of("take", axis, node.type.rank)
    return wrap(ops.take(node, places(_integers("take", indices), node.type, axis), axis))


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Tensor:
    """For each index the element of x at that place along an axis, as `argsort` gives them.

    x and the indices have as many axes, and broadcast on all but this one. Negative indices count
    from the end.
    """
    node = operand("take_along_axis", x)
    axis = axis_of("take_along_axis", axis, node.type.rank)
    index = places(_integers("take_along_axis", indices), node.type, axis)
    if index.type.rank != node.type.rank:
        raise ShapeError(
            explain(
                "take_along_axis",
                f"indices of as many axes as x, {node.type.rank}",
                f"{index.type} for {node.type}",
            )
        )

    def without(type: TensorType) -> TensorType:
        return type.with_shape((*type.shape[:axis], 1, *type.shape[axis + 1 :]))

    shape = broadcast_shapes("take_along_axis", [without(node.type), without(index.type)])

    def fitted(each: Node) -> Node:
        return stretch(each, (*shape[:axis], each.shape[axis], *shape[axis + 1 :]))

    return wrap(ops.take_along(fitted(node), fitted(index), axis))


def _integers(name: str, indices: Any) -> Any:
    """Indices as an integer tensor, or as an integer array if they are no tensor."""
    found: Any = None
    if not isinstance(indices, (Tensor, Variable)):
        found = known_values(name, indices)
        if found is not None and not found.size and isinstance(indices, (list, tuple)):
            return found.astype(np.int64)
    if found is None:
        found = to_tensor(indices, name)
    if not dtype_of(found).is_integer:
        raise DTypeError(
            explain(
                name,
                "indices that are integers",
                str(dtype_of(found)),
                "Cast first: i.astype('int64'), or write x[mask] for a mask.",
            )
        )
    return found


# Beyond the standard ------------------------------------------------------------------------------


def dynamic_slice(x: Any, /, starts: Any, sizes: Any) -> Tensor:
    """The part of x that begins at `starts`, one integer an axis, and has a fixed shape `sizes`.

    Starts may be data; they are not counted from the end but held where the part fits into x.
    """
    node = operand("dynamic_slice", x)
    return wrap(
        ops.dynamic_slice(
            node, *_starts("dynamic_slice", starts, node), sizes=shape_of("dynamic_slice", sizes)
        )
    )


def dynamic_update_slice(x: Any, updates: Any, /, starts: Any) -> Tensor:
    """x with the part that begins at `starts` replaced by `updates`, which has as many axes.

    Starts may be data; they are not counted from the end but held where the part fits into x.
    """
    node = operand("dynamic_update_slice", x)
    value = converted("dynamic_update_slice", updates, node.dtype)
    starts = _starts("dynamic_update_slice", starts, node)
    return wrap(ops.dynamic_update_slice(node, value, *starts))


def _starts(name: str, starts: Any, x: Node) -> list[Node]:
    """One integer scalar for each axis, from a sequence or from a tensor with one axis."""
    if isinstance(starts, (Tensor, Variable, np.ndarray)):
        vector = operand(name, starts)
        if vector.type.rank != 1 or not is_known_equal(vector.shape[0], x.type.rank):
            raise ShapeError(
                explain(name, f"one start for each of the {x.type.rank} axes", str(vector.type))
            )
        parts: Sequence[Any] = [get_item(wrap(vector), axis) for axis in range(x.type.rank)]
    else:
        parts = starts if isinstance(starts, (list, tuple)) else [starts]
    return [size_node(part) if isinstance(part, Dim) else _start(name, part) for part in parts]


def _start(name: str, part: Any) -> Node:
    node = operand(name, part)
    if not node.dtype.is_integer:
        raise DTypeError(explain(name, "starts that are integers", str(node.type)))
    return node if node.dtype is int64 else cast(node, dtype=int64)

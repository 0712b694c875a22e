"""Where ops ask their operands: moves at one other index, and ops that choose among places.

    moved(node, index)                the index at which a move asks its operand
    needs(node, index, data)          the operands of a choosing op and where it asks them
    placed(node, index, values, data) its value, once those are known

`data` gives indices that are no affine expression of the axes names of their own. While the value
of an integer node is not known, `needs` asks for that alone.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from thalweg.ir.dim import Dim, is_known_at_least, is_known_equal
from thalweg.ir.node import Node
from thalweg.ir.types import DType, Shape, Size, bool_, int64, uint32, uint64
from thalweg.loops.values import Affine, Apply, Bound, Choice, Position, Value, number
from thalweg.ops.index import outside_value
from thalweg.passes.families import is_unit_reshape, strides_of

Index = tuple[Affine, ...]
Need = tuple[Node, Index]

COMBINED = {"set": None, "add": "add", "multiply": "multiply", "min": "minimum", "max": "maximum"}
"""The pointwise op behind each mode of a scatter."""


def linear(index: Sequence[Affine], shape: Shape) -> Affine:
    """The row-major position of an index."""
    position = Affine()
    for each, stride in zip(index, strides_of(shape), strict=True):
        position = position + each * stride
    return position


# Moves --------------------------------------------------------------------------------------------


def moved(node: Node, index: Index) -> Index | None:
    """The index at which a move asks its operand; None for a reshape, which asks a position."""
    name, attrs = node.op.name, node.attributes
    if name in ("barrier", "stop_gradient", "alias"):
        return index
    if name == "broadcast":
        return tuple(index[axis] for axis in attrs["axes"])
    if name == "transpose":
        turned = [Affine()] * len(index)
        for position, axis in enumerate(attrs["axes"]):
            turned[axis] = index[position]
        return tuple(turned)
    if name == "slice":
        return tuple(
            each * step + start
            for each, start, step in zip(index, attrs["start"], attrs["stride"], strict=True)
        )
    if name == "reverse":
        return tuple(
            each * -1 + (size - 1) if axis in attrs["axes"] else each
            for axis, (each, size) in enumerate(zip(index, node.shape, strict=True))
        )
    source = node.args[0].shape
    if not is_unit_reshape(source, node.shape):
        return None
    rest = iter([each for each, size in zip(index, node.shape, strict=True) if size != 1])
    return tuple(Affine() if size == 1 else next(rest) for size in source)


# Indices that are data ----------------------------------------------------------------------------


class Data:
    """The indices of a nest that have names: values of integer nodes, and quotients."""

    def __init__(self, known: Mapping[Need, Value]):
        self.known = known
        self.lets: dict[int, tuple[str, Value]] = {}
        self._held: dict[Any, Value] = {}

    def let(self, value: Value) -> Affine:
        """A value as an index; the same value has one name."""
        if id(value) not in self.lets:
            self.lets[id(value)] = (f"j{len(self.lets)}", value)
        return Affine.axis(self.lets[id(value)][0])

    def of(self, node: Node, index: Index) -> Affine | None:
        """An integer node as an index; None while its value is not known."""
        value = self.known.get((node, index))
        return None if value is None else self.let(value)

    def start(self, node: Node, limit: Size) -> Affine | None:
        """A scalar held between 0 and a limit; None while its value is not known."""
        value = self.known.get((node, ()))
        if value is None or is_known_equal(limit, 0):
            return None if value is None else Affine()
        if (node, limit) not in self._held:
            wide = _cast(value, int64)
            if node.dtype is uint64:
                # What does not fit turned negative, and is far past the end.
                far = number((1 << 63) - 1, int64)
                is_far = _apply("less", wide, number(0, int64), dtype=bool_)
                wide = _apply("select", is_far, far, wide, dtype=int64)
            wide = _apply("maximum", wide, number(0, int64), dtype=int64)
            end = Position(Affine((), limit), int64)
            self._held[node, limit] = _apply("minimum", wide, end, dtype=int64)
        return self.let(self._held[node, limit])

    def quotient(self, at: Affine, divisor: int) -> Affine:
        """An index divided by a number, rounded down."""
        if (at, divisor) not in self._held:
            parts = Position(at, int64), number(divisor, int64)
            self._held[at, divisor] = _apply("floor_divide", *parts, dtype=int64)
        return self.let(self._held[at, divisor])


def _apply(op: str, *args: Value, dtype: DType, **attrs: Any) -> Value:
    return Apply(op, args, tuple(attrs.items()), dtype)


def _cast(value: Value, dtype: DType) -> Value:
    return Apply("cast", (value,), (("dtype", dtype),), dtype)


# Choices ------------------------------------------------------------------------------------------


def needs(node: Node, index: Index, data: Data) -> list[Need]:
    """The operands that an op asks for, and where."""
    return _ENTRIES[node.op.name][0](node, index, data)


def placed(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    """The value of an op at an index, given those that `needs` asks for."""
    return _ENTRIES[node.op.name][1](node, index, values, data)


def _is_empty(x: Node) -> bool:
    return any(is_known_equal(size, 0) for size in x.shape)


def _needs_pad(node: Node, index: Index, data: Data) -> list[Need]:
    x, value = node.args
    if _is_empty(x):
        return [(value, ())]
    return [(value, ()), (x, _unpadded(node, index, data)[0])]


def _unpadded(node: Node, index: Index, data: Data) -> tuple[Index, tuple[Bound, ...]]:
    """Where a pad asks its operand, and the bounds of that."""
    attrs = node.attributes
    found, bounds = [], []
    for each, size, low, high, gap in zip(
        index, node.args[0].shape, attrs["low"], attrs["high"], attrs["interior"], strict=True
    ):
        at = place = each + -low
        if gap:
            place = data.quotient(at, gap + 1)
            bounds.append(Bound(at + place * -(gap + 1), 1))
        found.append(place)
        if not (is_known_at_least(-low, 0) and is_known_at_least(-high, 0)):
            bounds.append(Bound(place, size))
    return tuple(found), tuple(bounds)


def _pad(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    if len(values) == 1:
        return values[0]
    outside, inside = values
    bounds = _unpadded(node, index, data)[1]
    return Choice(bounds, inside, outside, node.dtype) if bounds else inside


def _parts(node: Node, index: Index) -> list[tuple[Node, Index, Bound]]:
    """The operands of a concatenation, where each is asked, and where it stands."""
    axis = node.attributes["axis"]
    found: list[tuple[Node, Index, Bound]] = []
    offset: Size = 0
    for x in node.args:
        at = index[axis] + -offset
        if not _is_empty(x):
            moved = (*index[:axis], at, *index[axis + 1 :])
            found.append((x, moved, Bound(at, x.shape[axis])))
        offset = offset + x.shape[axis]
    return found


def _needs_concatenate(node: Node, index: Index, data: Data) -> list[Need]:
    return [(x, at) for x, at, _ in _parts(node, index)]


def _concatenate(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    result: Value = number(0, node.dtype)
    bounds = [bound for _, _, bound in _parts(node, index)]
    if len(values) == 1:
        return values[0]
    for value, bound in reversed(list(zip(values, bounds, strict=True))):
        result = Choice((bound,), value, result, node.dtype)
    return result


def _gathered(node: Node, index: Index, data: Data) -> tuple[list[Need], Index, list[Bound]]:
    """The indices of a gather, then where it asks its operand, and the bounds of that."""
    x, *given = node.args
    axes, batch = node.attributes["axes"], node.attributes["batch"]
    rank = given[0].type.rank
    at = index[:rank]
    wanted = [(each, at) for each in given]
    names = [data.of(each, at) for each in given]
    found = {axis: name for axis, name in zip(axes, names, strict=True) if name is not None}
    if len(found) < len(axes):
        return wanted, (), []
    left = iter(index[rank:])
    place = tuple(
        index[axis] if axis < batch else found[axis] if axis in found else next(left)
        for axis in range(x.type.rank)
    )
    return wanted, place, [Bound(found[axis], x.shape[axis]) for axis in axes]


def _needs_gather(node: Node, index: Index, data: Data) -> list[Need]:
    wanted, place, bounds = _gathered(node, index, data)
    if not bounds or _is_empty(node.args[0]):
        return wanted
    return [*wanted, (node.args[0], place)]


def _gather(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    outside = number(outside_value(node.dtype), node.dtype)
    if _is_empty(node.args[0]):
        return outside
    _, _, bounds = _gathered(node, index, data)
    return Choice(tuple(bounds), values[-1], outside, node.dtype)


def _needs_dynamic_slice(node: Node, index: Index, data: Data) -> list[Need]:
    x, *starts = node.args
    wanted: list[Need] = [(start, ()) for start in starts]
    names = [
        data.start(start, size - taken)
        for start, size, taken in zip(starts, x.shape, node.shape, strict=True)
    ]
    if any(name is None for name in names):
        return wanted
    at = tuple(each + name for each, name in zip(index, names, strict=True) if name)
    return [*wanted, (x, at)]


def _needs_dynamic_update(node: Node, index: Index, data: Data) -> list[Need]:
    x, updates, *starts = node.args
    wanted: list[Need] = [(x, index), *((start, ()) for start in starts)]
    place = _updated(node, index, data)
    return wanted if place is None or _is_empty(updates) else [*wanted, (updates, place)]


def _updated(node: Node, index: Index, data: Data) -> Index | None:
    x, updates, *starts = node.args
    names = [
        data.start(start, size - taken)
        for start, size, taken in zip(starts, x.shape, updates.shape, strict=True)
    ]
    if any(name is None for name in names):
        return None
    return tuple(each + name * -1 for each, name in zip(index, names, strict=True) if name)


def _dynamic_update(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    updates = node.args[1]
    if _is_empty(updates):
        return values[0]
    if not updates.type.rank:
        return values[-1]
    place = _updated(node, index, data)
    assert place is not None
    bounds = tuple(Bound(at, size) for at, size in zip(place, updates.shape, strict=True))
    return Choice(bounds, values[-1], values[0], node.dtype)


# Random bits --------------------------------------------------------------------------------------


def _needs_random(node: Node, index: Index, data: Data) -> list[Need]:
    key, *more = node.args
    lead = index[: key.type.rank - 1]
    return [
        (key, (*lead, Affine())),
        (key, (*lead, Affine((), 1))),
        *((each, lead) for each in more),
    ]


def _words(key: Sequence[Value], high: Value, low: Value, word: str) -> Value:
    return _apply("threefry2x32", *key, high, low, dtype=uint32, word=word)


def _random_bits(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    shape = node.attributes["shape"]
    counter = linear(index[len(index) - len(shape) :], shape)
    low: Value = Position(counter, uint32)
    high: Value = number(0, uint32)
    if any(isinstance(size, Dim) for size in shape) or prod(shape) > 1 << 32:
        whole = Position(counter, uint64)
        high = _cast(_apply("right_shift", whole, number(32, uint64), dtype=uint64), uint32)
    if node.attributes["width"] < 64:
        mixed = _words(values, high, low, "both")
        return mixed if node.dtype is uint32 else _cast(mixed, node.dtype)
    first, second = (_cast(_words(values, high, low, word), uint64) for word in ("first", "second"))
    upper = _apply("left_shift", first, number(32, uint64), dtype=uint64)
    return _apply("bitwise_or", upper, second, dtype=uint64)


def _pair(key: Sequence[Value], low: Value, word: Affine) -> Value:
    """One of the two words of a new key."""
    high = number(0, uint32)
    first, second = (_words(key, high, low, each) for each in ("first", "second"))
    is_first = _apply("equal", Position(word, int64), number(0, int64), dtype=bool_)
    return _apply("select", is_first, first, second, dtype=uint32)


def _split_key(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    return _pair(values, Position(index[-2], uint32), index[-1])


def _fold_in(node: Node, index: Index, values: list[Value], data: Data) -> Value:
    return _pair(values[:2], values[2], index[-1])


_ENTRIES: dict[str, tuple[Callable[..., list[Need]], Callable[..., Value]]] = {
    "pad": (_needs_pad, _pad),
    "concatenate": (_needs_concatenate, _concatenate),
    "gather": (_needs_gather, _gather),
    "dynamic_slice": (_needs_dynamic_slice, lambda node, index, values, data: values[-1]),
    "dynamic_update_slice": (_needs_dynamic_update, _dynamic_update),
    "random_bits": (_needs_random, _random_bits),
    "split_key": (_needs_random, _split_key),
    "fold_in": (_needs_random, _fold_in),
}

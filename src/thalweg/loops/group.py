"""Groups: nests that walk the same rows, so that they can be run together block by block of rows.

    max(x[r, :]), exp(x[r, c] - max[r]), sum(exp[r, :]), exp[r, c] / sum[r]     a softmax
    scores of a head, their softmax, its product with the values                 attention

A row is one step of the first axes of every result. A nest walks rows where each store stays in its
row, and what it reads of the group's own values is of the same row. Run one nest after the other
over a few rows, such values stay in the nearest cache, and those that nobody else reads need no
more memory than the few rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.types import Size
from thalweg.loops.nest import Nest
from thalweg.loops.schedule import is_contraction
from thalweg.loops.values import Affine, Choice, Load, parts

LEAST_ROW = 128
"""Elements of a row from which vectors along the row are worth more than vectors across rows."""
LEAST_TILE = 8
"""Rows and columns of a product in each row of the group from which tiles are worth it."""
MOST_MEMBERS = 16
"""Nests of one group: LLVM's time grows faster than the text that it is given."""
BLOCK_BYTES = 1 << 15
"""Bytes of a block of rows, unless one row has more: a part of the nearest cache."""
LEAST_BLOCKS = 8
"""Blocks at least, where the rows allow it, for threads to share."""


@dataclass(eq=False, slots=True)
class Item:
    """A nest with the numbers of the values that it reads and makes; None for what is no nest."""

    nest: Nest | None
    args: Sequence[int]
    results: Sequence[int]
    what: Any = None
    members: "list[Item]" = field(default_factory=list)
    depth: int = 0
    known: dict[Any, bool] = field(default_factory=dict)

    def walks(self, depth: int) -> bool:
        """`walks_rows` of the nest, found out once."""
        found = self.known.get(depth)
        if found is None:
            found = self.known[depth] = self.nest is not None and walks_rows(self.nest, depth)
        return found

    def reads(self, buffer: int, depth: int) -> bool:
        """`reads_rows` of the nest, found out once."""
        key = buffer, depth
        found = self.known.get(key)
        if found is None:
            found = self.nest is not None and reads_rows(self.nest, buffer, depth)
            self.known[key] = found
        return found


def grouped(items: Iterable[Item]) -> list[Item]:
    """The items in an order in which they can run, those that walk the same rows in one item."""
    waiting = list(items)
    readers: dict[int, list[Item]] = {}
    for item in waiting:
        for number in item.args if item.nest is not None else ():
            readers.setdefault(number, []).append(item)
    done: list[Item] = []
    while waiting:
        first = waiting[0]
        found = _best(waiting, readers) if first.nest is not None else None
        if found is None:
            done.append(waiting.pop(0))
            continue
        members, before, after, depth = found
        made = [number for member in members for number in member.results]
        args = [number for member in members for number in member.args if number not in made]
        whole = Item(None, list(dict.fromkeys(args)), made, None, members, depth)
        waiting = [*before, whole, *after]
    return done


Found = tuple[list[Item], list[Item], list[Item], int]


def _best(waiting: list[Item], readers: dict[int, list[Item]]) -> Found | None:
    """The largest group that begins with the first item; among equals that of most axes.

    `readers` are the nests that read each value.
    """
    nest = waiting[0].nest
    assert nest is not None
    depths = [depth for depth in range(1, len(nest.outer) + 1) if waiting[0].walks(depth)]
    if depths:
        following = {
            id(item): item for each in waiting[0].results for item in readers.get(each, ())
        }
        depths = [
            depth
            for depth in depths
            if any(_follows(item, waiting[0], depth) for item in following.values())
        ]
    # Without a reduction there is no group, and most first axes of a program have none.
    sums = [item for item in waiting if item.nest is not None and item.nest.reductions]
    depths = [depth for depth in depths if any(item.walks(depth) for item in sums)]
    tried = [found for depth in depths if (found := _grown(waiting, depth)) is not None]
    return max(tried, key=lambda found: (len(found[0]), found[3]), default=None)


def _follows(item: Item, first: Item, depth: int) -> bool:
    """True where a nest that reads what the first item makes could join it."""
    assert item.nest is not None and first.nest is not None
    return (
        item.walks(depth)
        and _has_rows(item.nest, [size for _, size in first.nest.outer[:depth]])
        and all(
            item.reads(buffer, depth)
            for buffer, number in enumerate(item.args)
            if number in first.results
        )
    )


def _grown(waiting: list[Item], depth: int) -> Found | None:
    """The items that can join the first, those that then come before it, and the others."""
    first = waiting[0]
    assert first.nest is not None
    extents = [size for _, size in first.nest.outer[:depth]]
    if 0 in extents:
        return None
    members = [first]
    before: list[Item] = []
    after: list[Item] = []
    made, late = set(first.results), set[int]()
    idle: dict[int, Item] = {}  # values of items that could join once a member reads them
    for item in waiting[1:]:
        own = [number for number in item.args if number in made or number in idle]
        joins = (
            item.nest is not None
            and len(members) < MOST_MEMBERS
            and late.isdisjoint(item.args)
            and item.walks(depth)
            and _has_rows(item.nest, extents)
            and all(
                item.reads(buffer, depth)
                for buffer, number in enumerate(item.args)
                if number in own
            )
        )
        if joins and any(number in made for number in own):
            for each in _behind(own, idle):
                members.append(each)
                made.update(each.results)
                for number in each.results:
                    del idle[number]
                before.remove(each)
            members.append(item)
            made.update(item.results)
        elif any(number in made or number in late for number in item.args):
            after.append(item)
            late.update(item.results)
        else:
            before.append(item)
            if joins:
                idle.update(dict.fromkeys(item.results, item))
            elif any(number in idle for number in item.args):
                # It runs before the group, so what it reads cannot be part of it.
                for each in _behind(item.args, idle):
                    for number in each.results:
                        del idle[number]
    # Rows that are only mapped gain nothing from one another.
    if len(members) == 1 or not any(_reduces(member, members) for member in members):
        return None
    # What could have joined, and reads what has joined since it was passed over, comes after.
    moved: set[int] = set()
    early, later = [], []
    for item in before:
        if any(number in made or number in moved for number in item.args):
            later.append(item)
            moved.update(item.results)
        else:
            early.append(item)
    return members, early, [*later, *after], depth


def _behind(numbers: Iterable[int], idle: dict[int, Item]) -> list[Item]:
    """The items that make values, and those that they need, in the order of running."""
    found: dict[Item, None] = {}

    def visit(number: int) -> None:
        item = idle.get(number)
        if item is not None and item not in found:
            for each in item.args:
                visit(each)
            found[item] = None

    for number in numbers:
        visit(number)
    return list(found)


def _reduces(item: Item, members: Sequence[Item]) -> bool:
    """True for a reduction whose result another member reads."""
    is_read = any(number in item.results for member in members for number in member.args)
    return is_read and item.nest is not None and bool(item.nest.reductions)


def _has_rows(nest: Nest, extents: Sequence[Size]) -> bool:
    sizes = [size for _, size in nest.outer[: len(extents)]]
    return len(sizes) == len(extents) and all(map(_is_same, sizes, extents))


def _is_same(a: Size, b: Size) -> bool:
    if isinstance(a, int) or isinstance(b, int):
        return a is b or (isinstance(a, int) and isinstance(b, int) and a == b)
    return a is b or is_known_equal(a, b)


def walks_rows(nest: Nest, depth: int) -> bool:
    """True where the first axes are those of rows: each store stays in its own.

    What is read lies along the rows. Of contractions only those are taken whose tiles share nothing
    with those of other rows: each row has its own matrices, or is multiplied by one vector.
    """
    if nest.update or nest.is_running or len(nest.outer) < depth:
        return False
    if not all(_in_row(nest, store.position, _row_size(nest, type.size, depth), depth)
               for store, type in zip(nest.stores, _stored(nest), strict=True)):  # fmt: skip
        return False
    names = {axis for axis, _ in nest.outer[:depth]}
    loads = [part for part in parts(nest.values()) if isinstance(part, Load)]
    if any(_lies_across(load.position, names) for load in loads):
        return False
    rest = [size for _, size in nest.outer[depth:]]
    if is_contraction(nest):
        product = parts([nest.reductions[0].value])
        loads = [part for part in product if isinstance(part, Load)]
        factors = [names & {name for name, _ in load.position.terms} for load in loads]
        if rest:
            tile = rest[-2:]
            is_large = len(tile) == 2 and all(is_known_at_least(size, LEAST_TILE) for size in tile)
            return is_large and all(each == names for each in factors)
        return any(each == names for each in factors)
    # Short rows are better done across; one element for each row is little beside the rows.
    size = prod((*rest, *(size for _, size in nest.inner)), start=1)
    return is_known_equal(size, 1) or is_known_at_least(size, LEAST_ROW)


def _lies_across(position: Affine, rows: set[str]) -> bool:
    """True where neighbours in memory belong to several rows of more than one element."""
    others = [name for name, _ in position.terms if name not in rows]
    return bool(others) and any(position.stride(axis) == 1 for axis in rows)


def _stored(nest: Nest) -> list[Any]:
    return [nest.outputs[store.buffer] for store in nest.stores]


def reads_rows(nest: Nest, buffer: int, depth: int) -> bool:
    """True where a nest reads of an input only what is in the row that it works on."""
    if any(name for name, _ in nest.lets):
        return False
    size = _row_size(nest, nest.inputs[buffer].size, depth)
    loads = [
        part for part in parts(nest.values()) if isinstance(part, Load) and part.buffer == buffer
    ]
    choices = [part for part in parts(nest.values()) if isinstance(part, Choice)]
    return not choices and all(_in_row(nest, load.position, size, depth) for load in loads)


def _row_size(nest: Nest, size: Size, depth: int) -> int | None:
    """Elements of a value in each row, where that is known."""
    rows = prod((extent for _, extent in nest.outer[:depth]), start=1)
    if is_known_equal(size, rows):
        return 1
    if isinstance(size, int) and isinstance(rows, int):
        return size // rows if rows and size % rows == 0 else None
    whole = size // rows
    return whole if isinstance(whole, int) and is_known_equal(whole * rows, size) else None


def _in_row(nest: Nest, position: Affine, size: int | None, depth: int) -> bool:
    """True where a position lies in the row, of so many elements, that the first axes name."""
    if size is None:
        return False
    stride: Size = size
    for axis, extent in reversed(nest.outer[:depth]):
        if not is_known_equal(position.stride(axis), stride):
            return False
        stride = stride * extent
    names = {axis for axis, _ in nest.outer[:depth]}
    extents = dict((*nest.outer, *nest.inner))
    last = position.constant
    for name, step in position.terms:
        if name in names:
            continue
        steps = extents.get(name)
        if not isinstance(step, int) or not isinstance(steps, int) or step < 0:
            return False
        last = last + step * (steps - 1)
    return isinstance(last, int) and position.constant >= 0 and last < size

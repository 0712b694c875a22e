"""A group of nests as one kernel: block of rows after block of rows, each nest in turn.

What the nests make for one another alone has room for one block, in memory of the thread that runs
it, so it stays in a near cache. A task of the group is a block of rows; within it each nest does
the tasks that these rows are for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from thalweg.backends.llvm.block import Block, Value, function_text, number
from thalweg.backends.llvm.emit import (
    PARAMETERS,
    emit_body,
    joined,
    scratch_of,
    sizes_of,
    tasks_of,
)
from thalweg.backends.llvm.memory import LINE
from thalweg.backends.llvm.targets import Target
from thalweg.ir.dim import Dim, ceil_div, is_known_equal
from thalweg.ir.types import Size, TensorType, int64
from thalweg.loops.group import BLOCK_BYTES, LEAST_BLOCKS
from thalweg.loops.nest import Nest


@dataclass(frozen=True, slots=True)
class Member:
    """A nest of a group, scheduled, with the numbers of the values that it reads and makes."""

    nest: Nest
    args: tuple[int, ...]
    results: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Members in order; values by number: those of `args`, then those of `results` are addresses
    in the list of buffers, all others are the group's own. `rows` is how many rows there are."""

    name: str
    members: tuple[Member, ...]
    args: tuple[int, ...]
    results: tuple[int, ...]
    rows: Size
    target: Target

    @property
    def types(self) -> dict[int, TensorType]:
        """The type of each value."""
        found: dict[int, TensorType] = {}
        for each in self.members:
            found |= zip(each.args, each.nest.inputs, strict=True)
            found |= zip(each.results, each.nest.outputs, strict=True)
        return found

    @property
    def own(self) -> list[int]:
        """The values that nobody else sees."""
        made = [number for each in self.members for number in each.results]
        return [number for number in made if number not in self.results]

    def row_bytes(self, value: int) -> int:
        """Bytes of a value in each row."""
        type = self.types[value]
        size = type.bytes if self.rows == 1 else type.bytes // self.rows
        assert isinstance(size, int)
        return size

    @property
    def block(self) -> int:
        """Rows of a block."""
        most = BLOCK_BYTES // max(1, sum(map(self.row_bytes, (*self.own, *self.results))))
        if isinstance(self.rows, int):
            most = min(most, self.rows // LEAST_BLOCKS)
        return max(1, most)

    @property
    def tasks(self) -> Size:
        """How many blocks there are."""
        return ceil_div(self.rows, self.block)

    def places(self) -> tuple[dict[int, int], int]:
        """Where a block of each own value begins in a thread's memory, and where the last ends."""
        places, end = {}, 0
        for value in self.own:
            places[value] = end
            end += -(-self.row_bytes(value) * self.block // LINE) * LINE
        return places, end

    @property
    def scratch(self) -> Size:
        """Bytes of memory that each thread needs."""
        end: Size = self.places()[1]
        # Members pack one after another, in the same place.
        packed = {scratch_of(each.nest, self.target) for each in self.members}
        known = [size for size in packed if isinstance(size, int)]
        for size in packed:
            end = end if isinstance(size, int) else end + size
        return end + max(known, default=0)

    @property
    def sizes(self) -> list[Dim]:
        """The named sizes that the kernel needs: each member's, then the group's own."""
        found = [size for each in self.members for size in sizes_of(each.nest, self.target)]
        for size in (self.rows, self.scratch, *map(self._tasks_of_a_row, self.members)):
            if isinstance(size, Dim):
                found.append(size)
        return found

    def _tasks_of_a_row(self, member: Member) -> Size:
        nest = member.nest
        if not _divides(nest):
            return 1
        return tasks_of(replace(nest, outer=nest.outer[nest.kept :], kept=0), self.target)

    def text(self) -> str:
        """The LLVM IR of the group."""
        return _Writer(self).text()


def _divides(nest: Nest) -> bool:
    """True where a row is more than one task."""
    return any(axis != nest.vector for axis, _ in nest.outer[nest.kept :])


class _Writer:
    def __init__(self, group: Group):
        self.group = group
        self.block = Block(group.target)
        self.places, self.end = group.places()
        self.sizes = group.sizes

    def text(self) -> str:
        """Every member's body, and the function that calls them."""
        group, block = self.group, self.block
        bodies = []
        for index, member in enumerate(group.members):
            bodies.append(emit_body(replace(member.nest, name=f"m{index}"), group.target))
        pointers = self._pointers()
        rows = self._size(group.rows)
        begin, end = Value("%begin", int64), Value("%end", int64)
        step = number(group.block, int64)
        with block.loop(begin, end, number(1, int64)) as task:
            first = block.multiply(task, step)
            last = block.intrinsic("smin", block.add(first, step), rows)
            here = dict(pointers)
            for value, place in self.places.items():
                here[value] = self._own_pointer(value, place, first)
            offset = 0
            for index, member in enumerate(group.members):
                count = self._size(group._tasks_of_a_row(member))
                given = [here[each] for each in (*member.args, *member.results)]
                if not is_known_equal(scratch_of(member.nest, group.target), 0):
                    given.append(self._moved("%own", number(self.end, int64)))
                given.append(self._moved("%sizes", number(8 * offset, int64)))
                offset += len(sizes_of(member.nest, group.target))
                share = [block.multiply(each, count).typed for each in (first, last)]
                arguments = ", ".join([*(f"ptr {each}" for each in given), *share])
                block.emit(f"call void @m{index}_body({arguments})")
        return joined([*bodies, function_text(group.name, PARAMETERS, block)])

    def _pointers(self) -> dict[int, str]:
        """The addresses in the list of buffers; %own is the thread's memory."""
        group, block = self.group, self.block
        found = {}
        for index, value in enumerate((*group.args, *group.results)):
            found[value] = self._buffer(index)
        if not is_known_equal(group.scratch, 0):
            whole = self._buffer(len(found))
            part = block.multiply(Value("%worker", int64), self._size(group.scratch))
            block.emit(f"%own = getelementptr i8, ptr {whole}, {part.typed}")
        return found

    def _buffer(self, index: int) -> str:
        block = self.block
        address, name = block.name(), block.name()
        block.emit(f"{address} = getelementptr ptr, ptr %buffers, i64 {index}")
        block.emit(f"{name} = load ptr, ptr {address}")
        return name

    def _own_pointer(self, value: int, place: int, first: Value) -> str:
        """Where row 0 of an own value would be, were all rows there: before the thread's memory."""
        block = self.block
        before = block.multiply(first, number(self.group.row_bytes(value), int64))
        offset = block.subtract(number(place, int64), before)
        start, moved, name = block.name(), block.name(), block.name()
        block.emit(f"{start} = ptrtoint ptr %own to i64")
        block.emit(f"{moved} = add i64 {start}, {offset.name}")
        block.emit(f"{name} = inttoptr i64 {moved} to ptr")
        return name

    def _moved(self, pointer: str, bytes: Value) -> str:
        name = self.block.name()
        self.block.emit(f"{name} = getelementptr i8, ptr {pointer}, {bytes.typed}")
        return name

    def _size(self, size: Size) -> Value:
        if not isinstance(size, Dim):
            return number(size, int64)
        block = self.block
        address = block.name()
        # From behind: what several members need stands there several times.
        index = len(self.sizes) - 1 - self.sizes[::-1].index(size)
        block.emit(f"{address} = getelementptr i64, ptr %sizes, i64 {index}")
        return block.assign(f"load i64, ptr {address}", int64)


def group_of(
    parts: Sequence[tuple[Nest, Sequence[int], Sequence[int]]],
    results: Sequence[int],
    rows: Size,
    target: Target,
) -> tuple[Group, list[int], list[int]]:
    """The group of scheduled nests with the values that they read and make, and what it reads and
    gives of these: `results` and no others.

    Within the group values are numbered in the order in which they are met, so that equal groups
    of any program have equal text.
    """
    names: dict[int, int] = {}
    members = []
    made: list[int] = []
    for nest, given, makes in parts:
        for each in (*given, *makes):
            names.setdefault(each, len(names))
        made += makes
        pair = (tuple(names[each] for each in numbers) for numbers in (given, makes))
        members.append(Member(nest, *pair))
    args = [each for each in names if each not in made]
    gives = [each for each in made if each in results]
    ops = "_".join(dict.fromkeys(each.nest.name for each in members))
    given, given_out = (tuple(names[each] for each in those) for those in (args, gives))
    group = Group(f"rows_{ops}"[:60], tuple(members), given, given_out, rows, target)
    return group, args, gives

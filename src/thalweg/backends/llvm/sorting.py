"""sort, top_k and searchsorted as native kernels; a task is a row, or a block of searched values.

    key      an element as an unsigned number whose order is that of the op: NaN last, -0.0 as 0.0
    pair     a key, and in its upper half the place in the row that it is of
    order    pairs by their keys, equal ones as they were

Few pairs are ordered by counting for each how many come before it, a vector of them at a time.
Many are distributed by one digit of the key after the other, from the lowest on; a digit that all
have in common is passed over. Of several keys the last is ordered by first. What is sorted along is
read through the order at the end, as bits.

top_k keeps candidates: what comes before the k-th of them joins, and when there are too many they
are ordered and all but k forgotten. So it reads a row once and orders little, unless k is large.

searchsorted halves the row for a vector of values at a time.

One text serves every shape. The order is stable, so results depend on nothing but the operands.
"""

import ctypes
import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from thalweg.backends.llvm import jit
from thalweg.backends.llvm.block import NAMES, Block, Value, function_text, number
from thalweg.backends.llvm.emit import PARAMETERS, joined
from thalweg.backends.llvm.targets import Target
from thalweg.ir.dim import ceil_div
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DType,
    Size,
    TensorType,
    bool_,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from thalweg.ops.sort import searchsorted, sort, top_k
from thalweg.transforms.evaluate import concrete

FEW_VECTORS = 16
"""Vectors of keys that are ordered by counting: beyond, distributing them takes less time."""
MANY = 1 << 13
"""Pairs from which wide digits pay: their tables are long, but there are fewer of them."""
NARROW, WIDE = 8, 11
"""Bits of a digit."""
ROOM = 128
"""Candidates of top_k besides 2 k."""
BLOCK = 4096
"""Values of one task of searchsorted."""
RAW = {8: uint8, 16: uint16, 32: uint32, 64: uint64}


def is_sortable(node: Node) -> bool:
    """True for a node that a kernel here computes: its keys are numbers that have an order."""
    if node.op not in WRITERS:
        return False
    keys = node.attributes["keys"] if node.op is sort else len(node.args)
    return all(arg.dtype.name in NAMES for arg in node.args[:keys])


@dataclass(frozen=True, slots=True)
class Operand:
    """What a kernel reads: its type, unless it is the places along the row, which nobody reads."""

    type: TensorType
    is_read: bool


class Sorting:
    """A kernel of one of these ops, with what a program asks of its kernels.

    `operands` are all of the node's, `gives` the results that are wanted.
    """

    functions = ()
    nests = ()

    def __init__(
        self, node: Node, operands: Sequence[Operand], gives: Sequence[int], target: Target
    ):
        self.node = node
        self.operands = tuple(operands)
        self.gives = tuple(gives)
        self.target = target
        self.entry: Any = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.node.op.name

    @property
    def key_bits(self) -> int:
        """Bits of a key in a register."""
        keys = self.node.attributes["keys"] if self.node.op is sort else 1
        return 64 if any(each.type.dtype.bits > 32 for each in self.operands[:keys]) else 32

    @property
    def row(self) -> Size:
        """Elements of a row."""
        return self.operands[0].type.shape[-1]

    @property
    def rows(self) -> Size:
        """How many rows there are."""
        return prod(self.operands[0].type.shape[:-1], start=1)

    @property
    def sizes(self) -> list[Size]:
        """What the native function is given as sizes."""
        if self.node.op is sort:
            return [self.row, self.scratch]
        if self.node.op is top_k:
            return [self.row, self.scratch, self.node.attributes["k"], self.candidates]
        values = self.operands[1].type.shape[-1]
        return [self.row, values, ceil_div(values, BLOCK)]

    @property
    def tasks(self) -> Size:
        """How many tasks threads may share."""
        if self.node.op is searchsorted:
            return self.rows * ceil_div(self.operands[1].type.shape[-1], BLOCK)
        return self.rows

    @property
    def candidates(self) -> Size:
        """How many candidates top_k keeps at most."""
        return self.node.attributes["k"] * 2 + ROOM

    @property
    def scratch(self) -> Size:
        """Bytes that each thread needs besides: pairs, in two places."""
        if self.node.op is searchsorted:
            return 0
        pairs = self.row if self.node.op is sort else self.candidates
        # A vector of pairs is written at a time.
        return (pairs + self.target.lanes(self.key_bits)) * (4 * self.key_bits // 8)

    @property
    def inputs(self) -> list[TensorType]:
        """The types of what it reads."""
        return [each.type for each in self.operands if each.is_read]

    @property
    def outputs(self) -> list[TensorType]:
        """The types of the results."""
        type = self.node.type
        types = type if isinstance(type, tuple) else (type,)
        return [types[index] for index in self.gives]

    def work(self, sizes: Mapping[str, int]) -> int:
        """How often the innermost bodies run, within known sizes."""
        rows, row = concrete(self.rows, sizes), concrete(self.row, sizes)
        if self.node.op is searchsorted:
            return rows * concrete(self.operands[1].type.shape[-1], sizes) * row.bit_length()
        return rows * row * (self.key_bits // NARROW if self.node.op is sort else 1)

    @functools.cached_property
    def text(self) -> str:
        """The LLVM IR."""
        return WRITERS[self.node.op](self).text()

    def compiled(self) -> Any:
        """The native function, compiled when first asked for."""
        if self.entry is None:
            with self._lock:
                if self.entry is None:
                    self.entry = jit.callable_of(
                        self.name, self.text,
                        ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3,
                        target=self.target,
                    )  # fmt: skip
        return self.entry

    def __str__(self) -> str:
        read = ", ".join(str(each.type) if each.is_read else "places" for each in self.operands)
        return f"{self.name}({read}) in rows of {self.row}"


# Writing ------------------------------------------------------------------------------------------


class _Pairs(Block):
    """A block that computes with keys and pairs."""

    def __init__(self, target: Target, bits: int):
        super().__init__(target)
        self.bits = bits
        self.key = RAW[bits]
        self.lanes = target.lanes(bits)
        self.pair = f"i{2 * bits}"

    def key_of(self, raw: Value, dtype: DType, descending: bool) -> Value:
        """The key of an element, or of those of a vector, given as bits."""
        bits = dtype.bits if dtype is not bool_ else 8
        widened = self.convert("zext", raw, self.key) if self.bits > raw.dtype.bits else raw
        everything = self.like(widened, (1 << bits) - 1)
        sign = self.like(widened, 1 << (bits - 1))
        if dtype.is_float:
            # As integers the magnitudes of floats have their order.
            magnitude = self.binary("and", widened, self.like(widened, (1 << (bits - 1)) - 1))
            infinity = self.like(widened, INFINITIES[dtype.name])
            is_missing = self.compare("gt", magnitude, infinity)
            is_negative = self.compare("gt", widened, sign)
            turned = self.select(is_negative, everything, sign)
            zero = self.compare("eq", magnitude, self.like(widened, 0))
            widened = self.select(zero, self.like(widened, 0), widened)
            ordered = self.binary("xor", widened, turned)
        elif dtype.kind == "int":
            ordered = self.binary("xor", widened, sign)
        else:
            ordered = widened
        if descending:
            ordered = self.binary("xor", ordered, everything)
        return self.select(is_missing, everything, ordered) if dtype.is_float else ordered

    def at(self, pointer: str, place: Value) -> str:
        """The address of a pair."""
        name = self.name()
        self.emit(f"{name} = getelementptr inbounds {self.pair}, ptr {pointer}, {place.typed}")
        return name

    def read(self, address: str) -> str:
        """A pair."""
        name = self.name()
        self.emit(f"{name} = load {self.pair}, ptr {address}, align 8")
        return name

    def write(self, pair: str, address: str) -> None:
        self.emit(f"store {self.pair} {pair}, ptr {address}, align 8")

    def first(self, pair: str) -> Value:
        """The key of a pair."""
        return self.assign(f"trunc {self.pair} {pair} to i{self.bits}", self.key)

    def second(self, pair: str) -> Value:
        """The place of a pair, as a position."""
        upper = self.name()
        self.emit(f"{upper} = lshr {self.pair} {pair}, {self.bits}")
        if self.bits == 32:
            return Value(upper, int64)
        return self.assign(f"trunc {self.pair} {upper} to i64", int64)

    def joined(self, key: Value, place: str) -> str:
        """The pair of a key and, in its upper half, what a pair has there."""
        wide, name = self.name(), self.name()
        self.emit(f"{wide} = zext {key.typed} to {self.pair}")
        self.emit(f"{name} = or {self.pair} {wide}, {place}")
        return name

    def upper(self, place: Value) -> str:
        """A position as the upper half of a pair."""
        if self.bits == 32:
            wide = place.name
        else:
            wide = self.name()
            self.emit(f"{wide} = zext {place.typed} to {self.pair}")
        name = self.name()
        self.emit(f"{name} = shl {self.pair} {wide}, {self.bits}")
        return name

    def upper_of(self, pair: str) -> str:
        """The upper half of a pair alone."""
        name = self.name()
        self.emit(f"{name} = and {self.pair} {pair}, {(1 << (2 * self.bits)) - (1 << self.bits)}")
        return name

    def write_vector(self, keys: Value, start: Value, address: str) -> None:
        """The pairs of some keys, whose places begin at one and follow one another."""
        first = self.convert("trunc", start, self.key) if self.bits == 32 else start
        begin = Value(first.name, self.key)
        places = self.add(self.splat(begin, keys.lanes), self.steps(keys.lanes, self.key))
        lanes = [each for lane in range(keys.lanes) for each in (lane, keys.lanes + lane)]
        mask = ", ".join(f"i32 {lane}" for lane in lanes)
        name = self.name()
        self.emit(
            f"{name} = shufflevector {keys.typed}, {places.typed}, <{len(lanes)} x i32> <{mask}>"
        )
        self.emit(f"store <{len(lanes)} x i{self.bits}> {name}, ptr {address}, align 8")

    def pointer(self, initial: str) -> str:
        """A place for an address that changes."""
        name = self.name()
        self.lines.insert(0, f"  {name} = alloca ptr")
        self.emit(f"store ptr {initial}, ptr {name}")
        return name

    def address(self, register: str) -> str:
        """The address that such a place has now."""
        name = self.name()
        self.emit(f"{name} = load ptr, ptr {register}")
        return name


INFINITIES = {
    "float16": 0x7C00,
    "bfloat16": 0x7F80,
    "float32": 0x7F80_0000,
    "float64": 0x7FF0_0000_0000_0000,
}
ZERO, ONE = number(0, int64), number(1, int64)


def order_text(target: Target, bits: int, used: int) -> str:
    """The function `order(from, to, count)` of pairs with keys of so many bits, of which the lower
    are used: they are ordered in one of both places, which is returned."""
    block = _Pairs(target, bits)
    count = Value("%count", int64)
    result = block.pointer("%to")
    few = block.compare("le", count, number(FEW_VECTORS * block.lanes, int64))
    with block.when(few):
        _count(block, count)
    with block.when(block.binary("xor", few, block.like(few, True))):
        if used > 2 * NARROW:
            many = block.compare("ge", count, number(MANY, int64))
            with block.when(many):
                _distribute(block, count, result, WIDE, used)
            with block.when(block.binary("xor", many, block.like(many, True))):
                _distribute(block, count, result, NARROW, used)
        else:
            _distribute(block, count, result, NARROW, used)
    found = block.address(result)
    text = function_text("order", ("ptr %from", "ptr %to", "i64 %count"), block)
    text = text.replace("define void", "define internal ptr")
    return text.replace("  ret void\n", f"  ret ptr {found}\n")


def _count(block: _Pairs, count: Value) -> None:
    """Each pair to the place that is the number of those before it."""
    lanes = block.lanes
    like = number(0, block.key, lanes)
    own = number(0, block.key)
    most = (FEW_VECTORS + 1) * lanes
    keys, ranks = block.array(most, own), block.array(most, own)
    with block.loop(ZERO, count, ONE) as place:
        key = block.first(block.read(block.at("%from", place)))
        block.store(key, block.place(keys, place, own), block.key)
    with block.loop(ZERO, count, number(lanes, int64)) as start:
        these = block.load(block.place(keys, start, own), block.key, lanes)
        rank = block.register(like)
        after = block.add(start, number(lanes, int64))
        within = block.intrinsic("smin", after, count)

        def add(begin: Value, end: Value, relation: str) -> None:
            with block.loop(begin, end, ONE) as place:
                other = block.splat(block.load(block.place(keys, place, own), block.key), lanes)
                is_before = block.compare(relation, other, these)
                if begin is start:
                    # Among themselves those that are equal go by their places.
                    offset = block.subtract(place, start)
                    lane = block.splat(block.convert("trunc", offset, uint32), lanes)
                    tie = block.binary(
                        "and",
                        block.compare("eq", other, these),
                        block.compare("lt", lane, block.steps(lanes, uint32)),
                    )
                    is_before = block.binary("or", is_before, tie)
                step = block.convert("zext", is_before, block.key)
                block.set(rank, block.add(block.get(rank, like), step))

        add(ZERO, start, "le")
        add(start, within, "lt")
        add(within, count, "lt")
        block.store(block.get(rank, like), block.place(ranks, start, own), block.key)
    with block.loop(ZERO, count, ONE) as place:
        to = block.load(block.place(ranks, place, own), block.key)
        pair = block.read(block.at("%from", place))
        block.write(pair, block.at("%to", _position(block, to)))


def _position(block: Block, value: Value) -> Value:
    """An unsigned number as a position."""
    if value.dtype.bits < 64:
        return block.convert("zext", value, int64)
    return Value(value.name, int64)


def _distribute(block: _Pairs, count: Value, result: str, width: int, used: int) -> None:
    """To and fro between both places, one digit after the other."""
    table, digits = 1 << width, -(-used // width)
    like = number(0, uint32)
    counts = block.array(table * digits, like)
    block.declarations.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    size = 4 * table * digits
    block.emit(f"call void @llvm.memset.p0.i64(ptr align 64 {counts}, i8 0, i64 {size}, i1 false)")

    def digit(key: Value, at: int) -> str:
        """The address of the counter of a key."""
        shifted = block.binary("lshr", key, block.like(key, at * width)) if at else key
        chosen = block.binary("and", shifted, block.like(key, table - 1))
        place = block.add(_position(block, chosen), number(at * table, int64))
        return block.place(counts, place, like)

    with block.loop(ZERO, count, ONE) as place:
        key = block.first(block.read(block.at("%from", place)))
        for at in range(digits):
            address = digit(key, at)
            block.set(address, block.add(block.get(address, like), block.like(like, 1)))
    here, there = block.pointer("%from"), block.pointer("%to")
    for at in range(digits):
        source, target = block.address(here), block.address(there)
        some = digit(block.first(block.read(block.at(source, ZERO))), at)
        equal = block.convert("zext", block.get(some, like), int64)
        with block.when(block.compare("ne", equal, count)):
            running = block.register(like)
            with block.loop(number(at * table, int64), number((at + 1) * table, int64), ONE) as bin:
                address = block.place(counts, bin, like)
                before = block.get(running, like)
                block.set(running, block.add(before, block.get(address, like)))
                block.set(address, before)
            with block.loop(ZERO, count, ONE) as place:
                pair = block.read(block.at(source, place))
                address = digit(block.first(pair), at)
                to = block.get(address, like)
                block.set(address, block.add(to, block.like(to, 1)))
                block.write(pair, block.at(target, _position(block, to)))
            block.emit(f"store ptr {target}, ptr {here}")
            block.emit(f"store ptr {source}, ptr {there}")
    block.emit(f"store ptr {block.address(here)}, ptr {result}")


class _Writer:
    """What the three kernels have in common: their arrays, sizes and tasks."""

    def __init__(self, kernel: Sorting):
        self.kernel = kernel
        self.block = _Pairs(kernel.target, kernel.key_bits)
        block = self.block
        count = len(kernel.inputs) + len(kernel.outputs)
        pointers = [self._entry("%buffers", "ptr", index) for index in range(count)]
        read = iter(pointers)
        self.given = [next(read) if each.is_read else "" for each in kernel.operands]
        self.results = list(read)
        self.sizes = [
            Value(self._entry("%sizes", "i64", index), int64) for index in range(len(kernel.sizes))
        ]
        self.row = self.sizes[0]
        if kernel.node.op is not searchsorted:
            own = block.multiply(Value("%worker", int64), self.sizes[1])
            self.pairs = block.element(self._entry("%buffers", "ptr", count), uint8, own)
            half = block.binary("lshr", self.sizes[1], ONE)
            self.others = block.element(self.pairs, uint8, half)

    def _entry(self, list: str, type: str, index: int) -> str:
        """An entry of the list of arrays or of sizes."""
        address, name = self.block.name(), self.block.name()
        self.block.emit(f"{address} = getelementptr {type}, ptr {list}, i64 {index}")
        self.block.emit(f"{name} = load {type}, ptr {address}")
        return name

    def text(self) -> str:
        """The whole module."""
        block = self.block
        with block.loop(Value("%begin", int64), Value("%end", int64), ONE) as task:
            self.write(task)
        return joined([self.order(), function_text(self.kernel.name, PARAMETERS, block)])

    def order(self) -> str:
        """The function that orders pairs."""
        kernel = self.kernel
        keys = kernel.node.attributes["keys"] if kernel.node.op is sort else 1
        used = max(8 * each.type.dtype.itemsize for each in kernel.operands[:keys])
        return order_text(kernel.target, kernel.key_bits, used)

    def write(self, task: Value) -> None:
        """One task."""
        raise NotImplementedError

    def element(self, operand: int, start: Value, place: Value) -> str:
        """The address of an element of a row."""
        dtype = _raw(self.kernel.operands[operand].type.dtype)
        return self.block.element(self.given[operand], dtype, self.block.add(start, place))

    def keys(self, operand: int, address: str, lanes: int, descending: bool) -> Value:
        """The keys of neighbours."""
        dtype = self.kernel.operands[operand].type.dtype
        raw = self.block.load(address, _raw(dtype), lanes)
        return self.block.key_of(raw, dtype, descending)

    def fill(self, operand: int, start: Value, count: Value, descending: bool) -> None:
        """The pairs of the first elements of a row."""
        block, lanes = self.block, self.block.lanes
        rest = block.binary("urem", count, number(lanes, int64))
        whole = block.subtract(count, rest)
        with block.loop(ZERO, whole, number(lanes, int64)) as place:
            found = self.keys(operand, self.element(operand, start, place), lanes, descending)
            block.write_vector(found, place, block.at(self.pairs, place))
        with block.loop(whole, count, ONE) as place:
            key = self.keys(operand, self.element(operand, start, place), 1, descending)
            block.write(block.joined(key, block.upper(place)), block.at(self.pairs, place))

    def ordered(self, pairs: str, others: str, count: Value) -> tuple[str, str]:
        """Where some pairs are in order, and the other of both places."""
        here, is_same, there = self.block.name(), self.block.name(), self.block.name()
        self.block.emit(f"{here} = call ptr @order(ptr {pairs}, ptr {others}, {count.typed})")
        self.block.emit(f"{is_same} = icmp eq ptr {here}, {pairs}")
        self.block.emit(f"{there} = select i1 {is_same}, ptr {others}, ptr {pairs}")
        return here, there

    def give(self, pairs: str, start: Value, to: Value, count: Value) -> None:
        """The results from a position on, read through the order from rows that start elsewhere."""
        block, kernel = self.block, self.kernel
        with block.loop(ZERO, count, ONE) as place:
            source = block.second(block.read(block.at(pairs, place)))
            target = block.add(to, place)
            for index, result, type in zip(kernel.gives, self.results, kernel.outputs, strict=True):
                is_place = index >= len(self.given) or not self.given[index]
                if is_place:
                    narrow = type.dtype.bits < 64
                    value = block.convert("trunc", source, type.dtype) if narrow else source
                    block.store(value, block.element(result, type.dtype, target), type.dtype)
                else:
                    self._carry(self.given[index], block.add(start, source), result, target, type)

    def _carry(self, given: str, source: Value, result: str, target: Value, type: TensorType):
        """One element from here to there, whatever it is."""
        block = self.block
        kind, align = f"i{8 * type.dtype.itemsize}", min(8, type.dtype.itemsize)
        here, there, bits = block.name(), block.name(), block.name()
        block.emit(f"{here} = getelementptr inbounds {kind}, ptr {given}, {source.typed}")
        block.emit(f"{bits} = load {kind}, ptr {here}, align {align}")
        block.emit(f"{there} = getelementptr inbounds {kind}, ptr {result}, {target.typed}")
        block.emit(f"store {kind} {bits}, ptr {there}, align {align}")


def _raw(dtype: DType) -> DType:
    """The bits of an element as an unsigned number."""
    return RAW[8 * dtype.itemsize]


class _Sort(_Writer):
    def write(self, task: Value) -> None:
        block, attrs = self.block, self.kernel.node.attributes
        start = block.multiply(task, self.row)
        last = attrs["keys"] - 1
        self.fill(last, start, self.row, attrs["descending"])
        here, there = self.pairs, self.others
        for operand in range(last, -1, -1):
            if operand < last:
                with block.loop(ZERO, self.row, ONE) as place:
                    address = block.at(here, place)
                    pair = block.read(address)
                    element = self.element(operand, start, block.second(pair))
                    key = self.keys(operand, element, 1, attrs["descending"])
                    block.write(block.joined(key, block.upper_of(pair)), address)
            here, there = self.ordered(here, there, self.row)
        self.give(here, start, start, self.row)


class _TopK(_Writer):
    def write(self, task: Value) -> None:
        block = self.block
        _, _, wanted, most = self.sizes
        with block.when(block.compare("lt", ZERO, wanted)):
            start = block.multiply(task, self.row)
            first = block.intrinsic("smin", self.row, most)
            self.fill(0, start, first, True)
            here, there = self.ordered(self.pairs, self.others, first)
            pairs, others = block.pointer(here), block.pointer(there)
            count = block.register(first)
            with block.when(block.compare("lt", first, self.row)):
                self._look_on(start, first, pairs, others, count)
            self.give(block.address(pairs), start, block.multiply(task, wanted), wanted)

    def _look_on(self, start: Value, first: Value, pairs: str, others: str, count: str) -> None:
        """All elements behind the first: those before the last of the wanted are candidates."""
        block, lanes = self.block, self.block.lanes
        _, _, wanted, most = self.sizes
        one = number(0, block.key)
        bar = block.register(one)
        chosen = block.array(lanes, one)
        width = number(lanes, int64)
        full = block.subtract(most, width)

        def forget() -> None:
            """Order the candidates and keep those that are wanted."""
            here, there = self.ordered(
                block.address(pairs), block.address(others), block.get(count, ZERO)
            )
            block.emit(f"store ptr {here}, ptr {pairs}")
            block.emit(f"store ptr {there}, ptr {others}")
            block.set(count, wanted)
            last = block.read(block.at(here, block.subtract(wanted, ONE)))
            block.set(bar, block.first(last))

        def join(key: Value, place: Value) -> None:
            former = block.get(count, ZERO)
            pair = block.joined(key, block.upper(place))
            block.write(pair, block.at(block.address(pairs), former))
            block.set(count, block.add(former, ONE))

        block.set(count, wanted)
        last = block.read(block.at(block.address(pairs), block.subtract(wanted, ONE)))
        block.set(bar, block.first(last))
        rest = block.binary("urem", block.subtract(self.row, first), width)
        whole = block.subtract(self.row, rest)
        with block.loop(first, whole, width) as place:
            found = self.keys(0, self.element(0, start, place), lanes, True)
            is_before = block.compare("lt", found, block.splat(block.get(bar, one), lanes))
            with block.when(block.reduce("or", is_before)):
                block.store(found, chosen, block.key)
                with block.loop(ZERO, width, ONE) as lane:
                    key = block.load(block.place(chosen, lane, one), block.key)
                    with block.when(block.compare("lt", key, block.get(bar, one))):
                        join(key, block.add(place, lane))
                with block.when(block.compare("gt", block.get(count, ZERO), full)):
                    forget()
        with block.loop(whole, self.row, ONE) as place:
            key = self.keys(0, self.element(0, start, place), 1, True)
            with block.when(block.compare("lt", key, block.get(bar, one))):
                join(key, place)
        forget()


class _Search(_Writer):
    def order(self) -> str:
        return ""

    def write(self, task: Value) -> None:
        block, lanes = self.block, self.block.lanes
        row, values, blocks = self.sizes
        line, part = block.binary("udiv", task, blocks), block.binary("urem", task, blocks)
        sequence, start = block.multiply(line, row), block.multiply(line, values)
        first = block.multiply(part, number(BLOCK, int64))
        end = block.intrinsic("smin", block.add(first, number(BLOCK, int64)), values)
        rest = block.binary("urem", block.subtract(end, first), number(lanes, int64))
        whole = block.subtract(end, rest)
        with block.loop(first, whole, number(lanes, int64)) as place:
            self._search(sequence, start, place, lanes)
        with block.loop(whole, end, ONE) as place:
            self._search(sequence, start, place, 1)

    def _search(self, sequence: Value, start: Value, place: Value, lanes: int) -> None:
        """The places of some values, that of each between two that come nearer and nearer."""
        block, row = self.block, self.row
        wanted = self.keys(1, self.element(1, start, place), lanes, False)
        relation = "lt" if self.kernel.node.attributes["side"] == "left" else "le"
        none = number(0, int64, lanes)
        low = block.register(none)

        def is_behind(at: Value) -> Value:
            """Whether values come after the element there."""
            position = block.add(block.splat(sequence, lanes), at)
            dtype = self.kernel.operands[0].type.dtype
            if lanes > 1:
                raw = block.gather(self.given[0], _raw(dtype), position)
            else:
                raw = block.load(block.element(self.given[0], _raw(dtype), position), _raw(dtype))
            return block.compare(relation, block.key_of(raw, dtype, False), wanted)

        def go_on(step: Value, at: Value) -> None:
            found = block.convert("zext", is_behind(at), int64)
            moved = block.multiply(found, block.splat(step, lanes))
            block.set(low, block.add(block.get(low, none), moved))

        with block.when(block.compare("lt", ZERO, row)):
            length = block.register(row)
            before = block.subtract(row, ONE)
            zeros = block.intrinsic("ctlz", before, tail="i1 false")
            with block.loop(ZERO, block.subtract(number(64, int64), zeros), ONE):
                left = block.get(length, ZERO)
                half = block.binary("lshr", left, ONE)
                at = block.add(block.get(low, none), block.splat(half, lanes))
                go_on(half, block.subtract(at, number(1, int64, lanes)))
                block.set(length, block.subtract(left, half))
            go_on(ONE, block.get(low, none))
        dtype = self.kernel.outputs[0].dtype
        found = block.get(low, none)
        if dtype.bits < 64:
            found = block.convert("trunc", found, dtype)
        else:
            found = Value(found.name, dtype, lanes)
        block.store(found, block.element(self.results[0], dtype, block.add(start, place)), dtype)


WRITERS = {sort: _Sort, top_k: _TopK, searchsorted: _Search}

"""From a scheduled nest to LLVM IR with explicit vectors.

    void name(ptr buffers, ptr sizes, i64 begin, i64 end)

`buffers` holds the addresses of the inputs and then the outputs, `sizes` the values of the nest's
named sizes in the order of `sizes_of`, and [begin, end) is the share of the nest's tasks to do. A
task is one step of the outer axes without the vector axis, or a block of the vector axis where it
is the only one. Each element is computed within one task in an order that does not depend on the
share, so results are bit for bit the same however tasks are spread over threads.

Vector loops run over whole vectors and finish with one masked step. A reduction along the vector
axis keeps UNROLL independent vectors, joined in a fixed tree at the end. Where the nest says rows,
a tile of rows and vectors keeps all its sums in registers; a sum of products is a fused
multiply-add.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.backends.llvm.block import Block, Value, function_text, number
from thalweg.backends.llvm.jit import machine
from thalweg.backends.llvm.scalars import lower as lower_scalar
from thalweg.ir.dim import Dim, ceil_div
from thalweg.ir.types import (
    DType,
    Size,
    bfloat16,
    bool_,
    float16,
    float32,
    int64,
)
from thalweg.loops.nest import Affine, Apply, Load, Nest, Number, Position, Register
from thalweg.loops.nest import Value as Expression

UNROLL = 4
TILES = 4
"""Tiles of rows in one task: what they share of the other operand stays in the nearest cache."""
BLOCK = 8192
"""Elements of the vector axis in one task, where no other axis makes tasks."""
REDUCED_BLOCK = 512
"""The same for reductions: each of these elements is many steps."""

PARAMETERS = ("ptr %buffers", "ptr %sizes", "i64 %begin", "i64 %end")


def register_dtype(dtype: DType) -> DType:
    """The type in which a value is computed with."""
    return float32 if dtype in (float16, bfloat16) else dtype


def identity_of(identity: Any, dtype: DType) -> Any:
    """The number that an identity stands for in an element type."""
    if identity not in ("lowest", "highest"):
        return identity
    sign = -1 if identity == "lowest" else 1
    if dtype.is_float:
        return sign * float("inf")
    if dtype is bool_:
        return sign > 0
    info = np.iinfo(dtype.numpy)
    return int(info.min if sign < 0 else info.max)


def sizes_of(nest: Nest) -> list[Dim]:
    """The named sizes, and expressions of them, that a nest needs, in the order of `sizes`."""
    found: dict[Dim, None] = {}
    for axis, extent in (*nest.outer, *nest.inner):
        _note(extent, found)
        if nest.rows and axis == nest.rows[0]:
            _note(ceil_div(extent, nest.rows[1] * TILES), found)
    for access in nest.accesses():
        _note(access.constant, found)
        for _, stride in access.terms:
            _note(stride, found)
    return list(found)


def _note(size: Size, found: dict[Dim, None]) -> None:
    if isinstance(size, Dim):
        found[size] = None


def tasks_of(nest: Nest) -> Size:
    """How many tasks a nest has."""
    total: Size = 1
    rest = [extent for axis, extent in nest.outer if axis != nest.vector]
    for axis, extent in nest.outer:
        if nest.rows and axis == nest.rows[0]:
            total = total * ceil_div(extent, nest.rows[1] * TILES)
        elif axis != nest.vector:
            total = total * extent
    if not rest and nest.vector in dict(nest.outer):
        return ceil_div(dict(nest.outer)[nest.vector], _block(nest))
    return total


def _block(nest: Nest) -> int:
    return REDUCED_BLOCK if nest.reductions else BLOCK


def lanes_of(nest: Nest) -> int:
    """The lanes of a vector: as many as a register holds of the widest element that is moved."""
    bits = [store.dtype.bits for store in nest.stores]
    bits += [reduction.dtype.bits for reduction in nest.reductions]
    return machine().lanes(max(32, *bits)) if nest.vector else 1


def emit(nest: Nest) -> str:
    """The LLVM IR of a nest."""
    return _Emitter(nest).text()


def _entry(name: str, count: int) -> str:
    """The function that is called: it passes the addresses in `buffers` on one by one."""
    block = Block()
    pointers = []
    for index in range(count):
        address = block.name()
        block.emit(f"{address} = getelementptr ptr, ptr %buffers, i64 {index}")
        pointers.append(block.name())
        block.emit(f"{pointers[-1]} = load ptr, ptr {address}")
    given = [f"ptr {each}" for each in (*pointers, "%sizes")]
    block.emit(f"call void @{name}_body({', '.join([*given, *PARAMETERS[2:]])})")
    return function_text(name, PARAMETERS, block)


class _Emitter:
    def __init__(self, nest: Nest):
        self.nest = nest
        self.block = Block()
        self.lanes = lanes_of(nest)
        self.sizes = {size: index for index, size in enumerate(sizes_of(nest))}
        self.size_values: dict[Dim, Value] = {}
        self.pointers: list[str] = []
        self.axes: dict[str, Value] = {}
        # Values of the tile that is being written, by expression and by the row and vector that
        # they depend on.
        self.tile: dict[tuple[int, int, int], Value] = {}

    def text(self) -> str:
        block, nest = self.block, self.nest
        count = len(nest.inputs) + len(nest.outputs)
        self.pointers = [f"%buffer{index}" for index in range(count)]
        for size, index in self.sizes.items():
            address = block.name()
            block.emit(f"{address} = getelementptr i64, ptr %sizes, i64 {index}")
            self.size_values[size] = block.assign(f"load i64, ptr {address}", int64)
        self._tasks()
        # Results are fresh arrays: told so, LLVM computes outside a loop what the loop does not
        # change.
        parameters = [f"ptr noalias {each}" for each in (*self.pointers, "%sizes")]
        body = function_text(f"{nest.name}_body", [*parameters, *PARAMETERS[2:]], block)
        return body.replace("define void", "define internal void") + _entry(nest.name, count)

    # Loops ------------------------------------------------------------------------------------

    def _tasks(self) -> None:
        block, nest = self.block, self.nest
        begin, end = Value("%begin", int64), Value("%end", int64)
        rest = [(axis, extent) for axis, extent in nest.outer if axis != nest.vector]
        outer = dict(nest.outer)
        if not rest and nest.vector in outer:
            assert nest.vector is not None
            length = number(_block(nest), int64)
            start = block.multiply(begin, length)
            whole = self.size(outer[nest.vector])
            limit = block.intrinsic("smin", block.multiply(end, length), whole)
            self._strips(start, limit)
            return
        with block.loop(begin, end, number(1, int64)) as task:
            remaining = task
            for axis, extent in reversed(rest):
                if nest.rows and axis == nest.rows[0]:
                    extent = ceil_div(extent, nest.rows[1] * TILES)
                if axis == rest[0][0]:
                    self.axes[axis] = remaining
                    break
                size = self.size(extent)
                self.axes[axis] = block.binary("urem", remaining, size)
                remaining = block.binary("udiv", remaining, size)
            if nest.rows:
                self._row_block()
            elif nest.vector in outer:
                assert nest.vector is not None
                whole = self.size(outer[nest.vector])
                self._strips(number(0, int64), whole)
            else:
                self._row()

    def _row_block(self) -> None:
        """The tiles of one task: a block of rows along the whole vector axis."""
        block, nest = self.block, self.nest
        assert nest.rows is not None and nest.vector is not None
        axis, rows = nest.rows
        total = dict(nest.outer)[axis]
        start = block.multiply(self.axes[axis], number(rows * TILES, int64))
        limit = block.intrinsic(
            "smin", block.add(start, number(rows * TILES, int64)), self.size(total)
        )
        extent = dict(nest.outer)[nest.vector]
        wide = self.lanes * nest.vectors
        position: Value = number(0, int64)
        if nest.vectors > 1:
            position = self._whole(extent, wide)
            with block.loop(number(0, int64), position, number(wide, int64)) as index:
                self.axes[nest.vector] = index
                self._tiles(start, limit, nest.vectors, None)
            if isinstance(extent, int) and extent % wide == 0:
                return
        narrow = self._whole(extent, self.lanes)
        with block.loop(position, narrow, number(self.lanes, int64)) as index:
            self.axes[nest.vector] = index
            self._tiles(start, limit, 1, None)
        if isinstance(extent, int) and extent % self.lanes == 0:
            return
        end = self.size(extent)
        with block.when(block.compare("lt", narrow, end)):
            self.axes[nest.vector] = narrow
            self._tiles(start, limit, 1, self._mask(narrow, end))

    def _whole(self, extent: Size, step: int) -> Value:
        """The largest multiple of a step that is not above an extent."""
        if isinstance(extent, int):
            return number(extent - extent % step, int64)
        value = self.size(extent)
        return self.block.subtract(value, self.block.binary("urem", value, number(step, int64)))

    def _tiles(self, start: Value, limit: Value, vectors: int, mask: Value | None) -> None:
        """Tiles of all rows from start to limit at the present vectors."""
        block, nest = self.block, self.nest
        assert nest.rows is not None
        axis, rows = nest.rows
        total = dict(nest.outer)[axis]
        length = block.subtract(limit, start)
        whole = block.subtract(length, block.binary("urem", length, number(rows, int64)))
        middle = block.add(start, whole)
        with block.loop(start, middle, number(rows, int64)) as index:
            self.axes[axis] = index
            self._rows(rows, vectors, mask)
        if isinstance(total, int):
            rest = total % rows
            if rest:
                with block.when(block.compare("lt", middle, limit)):
                    self.axes[axis] = middle
                    self._rows(rest, vectors, mask)
            return
        with block.loop(middle, limit, number(1, int64)) as index:
            self.axes[axis] = index
            self._rows(1, vectors, mask)

    def _rows(self, rows: int, vectors: int, mask: Value | None) -> None:
        """One tile: sums of `rows` times `vectors` vectors in registers, then their stores."""
        block, nest = self.block, self.nest
        assert nest.rows is not None and nest.vector is not None
        (reduction,) = nest.reductions
        assert isinstance(reduction.value, Apply)
        cells = [(row, column) for row in range(rows) for column in range(vectors)]
        identity = self._identity(reduction, self.lanes)
        places = {cell: block.register(identity) for cell in cells}
        for place in places.values():
            block.set(place, identity)
        first, left = self.axes[nest.rows[0]], self.axes[nest.vector]

        def at(cell: tuple[int, int]) -> None:
            self.axes[nest.rows[0]] = block.add(first, number(cell[0], int64))  # type: ignore
            offset = number(cell[1] * self.lanes, int64)
            self.axes[nest.vector] = block.add(left, offset)  # type: ignore[index]

        def step() -> None:
            self.tile = {}
            for cell in cells:
                at(cell)
                x, y = (
                    self._in_tile(arg, cell, mask)
                    for arg in reduction.value.args  # type: ignore[union-attr]
                )
                former = block.get(places[cell], identity)
                if former.dtype.is_float:
                    found = block.fma(x, y, former)
                else:
                    found = block.add(former, block.multiply(x, y))
                block.set(places[cell], found)
            self.tile = {}

        self._inner_loops(list(nest.inner), step)
        for cell in cells:
            at(cell)
            self._stores(self.lanes, mask, [block.get(places[cell], identity)])
        self.axes[nest.rows[0]], self.axes[nest.vector] = first, left

    def _in_tile(self, expression: Expression, cell: tuple[int, int], mask: Value | None) -> Value:
        """An operand of a product; what several cells share is loaded once."""
        key = (
            id(expression),
            cell[0] if self._depends(expression, self.nest.rows[0]) else -1,  # type: ignore
            cell[1] if self._depends(expression, self.nest.vector or "") else -1,
        )
        found = self.tile.get(key)
        if found is None:
            (found,) = self.values([expression], self.lanes, mask)
            self.tile[key] = found
        return found

    def _depends(self, expression: Expression, axis: str) -> bool:
        if isinstance(expression, Load):
            return expression.position.stride(axis) != 0
        if isinstance(expression, Position):
            return expression.index.stride(axis) != 0
        if isinstance(expression, Apply):
            return any(self._depends(arg, axis) for arg in expression.args)
        return False

    def _vector_loop(
        self, axis: str, start: Value, limit: Value, body: Callable[[Value | None], None]
    ) -> None:
        """Whole vectors from start, then one masked step for what is left."""
        block = self.block
        lanes = number(self.lanes, int64)
        length = block.subtract(limit, start)
        whole = block.subtract(length, block.binary("urem", length, lanes))
        middle = block.add(start, whole)
        with block.loop(start, middle, lanes) as index:
            self.axes[axis] = index
            body(None)
        with block.when(block.compare("lt", middle, limit)):
            self.axes[axis] = middle
            body(self._mask(middle, limit))

    def _mask(self, index: Value, limit: Value) -> Value:
        block = self.block
        left = block.subtract(limit, index)
        return block.compare("lt", block.steps(self.lanes), block.splat(left, self.lanes))

    def _strips(self, start: Value, limit: Value) -> None:
        """Strips of as many vectors as the nest says, then single vectors."""
        block, nest = self.block, self.nest
        assert nest.vector is not None
        if nest.vectors > 1:
            wide = number(self.lanes * nest.vectors, int64)
            length = block.subtract(limit, start)
            middle = block.add(start, block.subtract(length, block.binary("urem", length, wide)))
            with block.loop(start, middle, wide) as index:
                self.axes[nest.vector] = index
                self._tile(None, nest.vectors)
            start = middle
        self._vector_loop(nest.vector, start, limit, self._tile)

    def _tile(self, mask: Value | None, vectors: int = 1) -> None:
        """Vectors of outputs: the lanes are neighbouring outputs, inner axes run inside."""
        block, nest = self.block, self.nest
        assert nest.vector is not None
        left = self.axes[nest.vector]
        places = [
            [block.register(self._identity(each, self.lanes)) for each in nest.reductions]
            for _ in range(vectors)
        ]
        for column in places:
            self._reset(column)

        def at(position: int) -> None:
            offset = number(position * self.lanes, int64)
            self.axes[nest.vector] = block.add(left, offset)  # type: ignore[index]

        def step() -> None:
            for position, column in enumerate(places):
                at(position)
                values = self.values([each.value for each in nest.reductions], self.lanes, mask)
                for place, reduction, value in zip(column, nest.reductions, values, strict=True):
                    self._combine(place, reduction, value, self.lanes)

        if nest.reductions:
            self._inner_loops(list(nest.inner), step)
        for position, column in enumerate(places):
            at(position)
            registers = [
                block.get(place, self._identity(reduction, self.lanes))
                for place, reduction in zip(column, nest.reductions, strict=True)
            ]
            self._stores(self.lanes, mask, registers)
        self.axes[nest.vector] = left

    def _row(self) -> None:
        """One output: the lanes are neighbouring steps of an inner axis, or there are none."""
        block, nest = self.block, self.nest
        if not nest.reductions:
            self._stores(1, None, [])
            return
        others = [(axis, extent) for axis, extent in nest.inner if axis != nest.vector]
        count = UNROLL if nest.vector else 1
        places = [
            [block.register(self._identity(each, self.lanes)) for each in nest.reductions]
            for _ in range(count)
        ]
        for row in places:
            self._reset(row)

        def step(row: Sequence[str], mask: Value | None) -> None:
            found = self.values([each.value for each in nest.reductions], self.lanes, mask)
            for place, reduction, value in zip(row, nest.reductions, found, strict=True):
                if mask is not None:
                    value = block.select(mask, value, self._identity(reduction, self.lanes))
                self._combine(place, reduction, value, self.lanes)

        def vector_axis() -> None:
            assert nest.vector is not None
            extent = self.size(dict(nest.inner)[nest.vector])
            lanes = self.lanes
            whole = block.subtract(
                extent, block.binary("urem", extent, number(lanes * UNROLL, int64))
            )
            with block.loop(number(0, int64), whole, number(lanes * UNROLL, int64)) as index:
                for position, row in enumerate(places):
                    self.axes[nest.vector] = block.add(index, number(position * lanes, int64))
                    step(row, None)
            self._vector_loop(nest.vector, whole, extent, lambda mask: step(places[0], mask))

        self._inner_loops(others, vector_axis if nest.vector else lambda: step(places[0], None))
        registers = [
            self._joined([row[position] for row in places], reduction)
            for position, reduction in enumerate(nest.reductions)
        ]
        self._stores(1, None, registers)

    def _inner_loops(self, axes: list[tuple[str, Size]], body: Callable[[], None]) -> None:
        if not axes:
            body()
            return
        (axis, extent), rest = axes[0], axes[1:]
        with self.block.loop(number(0, int64), self.size(extent), number(1, int64)) as index:
            self.axes[axis] = index
            self._inner_loops(rest, body)

    # Reductions -------------------------------------------------------------------------------

    def _identity(self, reduction: Any, lanes: int) -> Value:
        dtype = register_dtype(reduction.dtype)
        return number(identity_of(reduction.identity, dtype), dtype, lanes)

    def _reset(self, places: Sequence[str]) -> None:
        for place, reduction in zip(places, self.nest.reductions, strict=True):
            self.block.set(place, self._identity(reduction, self.lanes))

    def _combine(self, place: str, reduction: Any, value: Value, lanes: int) -> None:
        former = self.block.get(place, self._identity(reduction, lanes))
        self.block.set(place, self._apply(reduction, former, value))

    def _apply(self, reduction: Any, x: Value, y: Value) -> Value:
        return lower_scalar(self.block, reduction.op, [x, y], {}, x.dtype)

    def _joined(self, places: Sequence[str], reduction: Any) -> Value:
        """The one number of several vectors: pairs of vectors, then halves of the last."""
        block = self.block
        like = self._identity(reduction, self.lanes)
        values = [block.get(place, like) for place in places]
        while len(values) > 1:
            values = [
                self._apply(reduction, values[i], values[i + 1]) for i in range(0, len(values), 2)
            ]
        (value,) = values
        while value.lanes > 1:
            half = value.lanes // 2
            low, high = (self._part(value, start, half) for start in (0, half))
            value = self._apply(reduction, low, high)
        return value

    def _part(self, value: Value, start: int, count: int) -> Value:
        block = self.block
        if count == 1:
            return block.assign(f"extractelement {value.typed}, i64 {start}", value.dtype, 1)
        mask = ", ".join(f"i32 {start + lane}" for lane in range(count))
        text = f"shufflevector {value.typed}, {value.type} poison, <{count} x i32> <{mask}>"
        return block.assign(text, value.dtype, count)

    # Values -----------------------------------------------------------------------------------

    def size(self, size: Size) -> Value:
        """A size as a number in a register."""
        return self.size_values[size] if isinstance(size, Dim) else number(size, int64)

    def _position(self, affine: Affine) -> Value:
        block = self.block
        total = self.size(affine.constant)
        for axis, stride in affine.terms:
            term = self.axes[axis]
            if stride != 1:
                term = block.multiply(term, self.size(stride))
            total = term if total.name == "0" else block.add(total, term)
        return total

    def _stores(self, lanes: int, mask: Value | None, registers: Sequence[Value]) -> None:
        nest, block = self.nest, self.block
        values = self.values([store.value for store in nest.stores], lanes, mask, registers)
        for store, value in zip(nest.stores, values, strict=True):
            if value.lanes != lanes:
                value = block.splat(value, lanes)
            pointer = self.pointers[len(nest.inputs) + store.buffer]
            address = block.element(pointer, store.dtype, self._position(store.position))
            block.store(value, address, store.dtype, mask)

    def values(
        self,
        expressions: Sequence[Expression],
        lanes: int,
        mask: Value | None,
        registers: Sequence[Value] = (),
    ) -> list[Value]:
        """The values of expressions at the present index; what they share is computed once."""
        known: dict[int, Value] = {}
        pending = list(reversed(expressions))
        while pending:
            expression = pending[-1]
            if id(expression) in known:
                pending.pop()
                continue
            if isinstance(expression, Apply):
                missing = [arg for arg in expression.args if id(arg) not in known]
                if missing:
                    pending.extend(missing)
                    continue
                args = [known[id(arg)] for arg in expression.args]
                dtype = register_dtype(expression.dtype)
                found = lower_scalar(self.block, expression.op, args, dict(expression.attrs), dtype)
            else:
                found = self._leaf(expression, lanes, mask, registers)
            known[id(expression)] = found
            pending.pop()
        return [known[id(expression)] for expression in expressions]

    def _leaf(
        self, leaf: Expression, lanes: int, mask: Value | None, registers: Sequence[Value]
    ) -> Value:
        block = self.block
        if isinstance(leaf, Register):
            return registers[leaf.number]
        if isinstance(leaf, Number):
            dtype = register_dtype(leaf.value.dtype)
            return number(leaf.value.scalar(), dtype, lanes)
        if isinstance(leaf, Position):
            return self._index_value(leaf, lanes)
        assert isinstance(leaf, Load)
        pointer = self.pointers[leaf.buffer]
        stride = leaf.position.stride(self.nest.vector) if self.nest.vector and lanes > 1 else 0
        position = self._position(leaf.position)
        if lanes == 1 or stride == 0:
            one = block.load(block.element(pointer, leaf.dtype, position), leaf.dtype)
            return block.splat(one, lanes)
        if stride == 1:
            address = block.element(pointer, leaf.dtype, position)
            return block.load(address, leaf.dtype, lanes, mask)
        step = block.splat(self.size(stride), lanes)
        offsets = block.add(block.splat(position, lanes), block.multiply(block.steps(lanes), step))
        return block.gather(pointer, leaf.dtype, offsets, mask)

    def _index_value(self, leaf: Position, lanes: int) -> Value:
        block = self.block
        value = block.splat(self._position(leaf.index), lanes)
        if lanes > 1 and self.nest.vector:
            stride = leaf.index.stride(self.nest.vector)
            if stride != 0:
                step = block.splat(self.size(stride), lanes)
                value = block.add(value, block.multiply(block.steps(lanes), step))
        dtype = register_dtype(leaf.dtype)
        if dtype.is_float:
            return block.convert("sitofp", value, dtype)
        if dtype.bits < 64:
            return block.convert("trunc", value, dtype)
        return Value(value.name, dtype, value.lanes)

"""Factors of a contraction copied into memory of their own, in the order in which tiles read them.

    columns    [step of the inner axes][column of the tile]       once for each task and its columns
    rows       [tile][step of the inner axes][row of the tile]    once for each task

Of a sum that is done in slices columns are copied for one slice at a time.

So a tile reads both from one end to the other, whatever their strides are in memory. Strides that
are multiples of large powers of two would put all rows into few places of the nearest cache. Rows
that lie along the steps are turned in registers, a square of as many rows and steps as a vector has
lanes at a time.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from thalweg.backends.llvm.block import Value, number
from thalweg.backends.llvm.expressions import register_dtype
from thalweg.backends.llvm.reductions import Reductions
from thalweg.ir.types import Size, int64
from thalweg.loops.nest import Nest
from thalweg.loops.schedule import factor_along
from thalweg.loops.values import Apply, Load
from thalweg.loops.values import Value as Expression

AHEAD = 24
"""Steps from what is computed to what is asked for: some hundred cycles."""


def steps_of(nest: Nest) -> Size:
    """How many products one sum adds."""
    total: Size = 1
    for _, extent in nest.inner:
        total = total * extent
    return total


def strides_in(nest: Nest) -> list[Size]:
    """How many steps lie between two neighbours along each inner axis."""
    found: list[Size] = []
    total: Size = 1
    for _, extent in reversed(nest.inner):
        found.append(total)
        total = total * extent
    return found[::-1]


def column_bytes(nest: Nest, lanes: int) -> Size:
    """Bytes of one panel of packed columns."""
    if nest.vector not in nest.packed:
        return 0
    steps = nest.slices[1] if nest.slices else steps_of(nest)
    return steps * (nest.vectors * lanes * _factor_bytes(nest))


def scratch_bytes(nest: Nest, lanes: int) -> Size:
    """Bytes that a thread needs for what it packs."""
    total = column_bytes(nest, lanes)
    if nest.rows and nest.rows[0] in nest.packed:
        tile = steps_of(nest) * (row_width(nest, lanes) * _factor_bytes(nest))
        total = total + tile * nest.block[0]
    return total


def row_width(nest: Nest, lanes: int) -> int:
    """Places for the rows of one packed tile, whole vectors of them."""
    assert nest.rows is not None
    return -(-nest.rows[1] // lanes) * lanes


def _factor_bytes(nest: Nest) -> int:
    product = nest.reductions[0].value
    assert isinstance(product, Apply)
    return register_dtype(product.dtype).itemsize


class Packing(Reductions):
    """Writes the copies, and reads them."""

    def start_packing(self) -> None:
        """Find the factors that are packed, and where they go."""
        nest = self.nest
        self._step_sizes = [self.size(each) for each in strides_in(nest)] if nest.packed else []
        self._packed: dict[int, str] = {}
        self.slice_start = number(0, int64)
        if not nest.packed:
            return
        product = nest.reductions[0].value
        assert isinstance(product, Apply)
        self._factor_type = register_dtype(product.dtype)
        for axis in nest.packed:
            place = factor_along(nest, axis)
            assert place is not None
            self._packed[id(product.args[place])] = axis
        block = self.block
        self._rows_at = block.name()
        offset = self.size(column_bytes(nest, self.lanes))
        block.emit(f"{self._rows_at} = getelementptr i8, ptr %scratch, {offset.typed}")

    def packed_axis(self, expression: Expression) -> str | None:
        """The axis along which a factor walks that is read from its copy."""
        return self._packed.get(id(expression))

    def step_number(self) -> Value:
        """The number of the present step of the inner axes."""
        block = self.block
        total = number(0, int64)
        for (axis, _), stride in zip(self.nest.inner, self._step_sizes, strict=True):
            term = self.axes[axis]
            term = term if stride.name == "1" else block.multiply(term, stride)
            total = term if total.name == "0" else block.add(total, term)
        return total

    def column(self, step: Value, vectors: int, position: int) -> Value:
        """A packed vector of columns, of a panel of so many vectors."""
        return self.block.load(
            self._column_address(step, vectors, position), self._factor_type, self.lanes
        )

    def prefetch_rows(self, step: Value, tile: Value) -> None:
        """Ask for the packed rows of a later step: a tile is as long as the nearest cache."""
        block, nest = self.block, self.nest
        if nest.rows is None or nest.rows[0] not in nest.packed:
            return
        later = self._row_place(block.add(step, number(AHEAD, int64)), tile)
        address = block.element(self._rows_at, self._factor_type, later)
        block.prefetch(address)

    def row(self, step: Value, tile: Value, row: Value) -> Value:
        """A packed element: of a row of a tile."""
        block = self.block
        place = block.add(self._row_place(step, tile), row)
        return block.load(block.element(self._rows_at, self._factor_type, place), self._factor_type)

    def pack_columns(self, vectors: int, mask: Value | None, limit: Value) -> None:
        """Copy the columns of all steps at the present vectors; masked-out ones are any numbers."""
        nest, block = self.nest, self.block
        axis = nest.vector
        if axis not in nest.packed:
            return
        assert axis is not None
        factor = self._packed_factor(axis)
        left = self.axes[axis]
        turned = self._turned_axis(factor, axis)

        def store(value: Value, step: Value, position: int) -> None:
            address = self._column_address(step, vectors, position)
            block.store(value, address, self._factor_type)

        def copy() -> None:
            step = self.step_number()
            for position in range(vectors):
                self.axes[axis] = block.add(left, number(position * self.lanes, int64))
                (value,) = self.values([factor], self.lanes, mask)
                store(value, step, position)

        if turned is None:
            self._each_step(copy)
        else:
            for position in range(vectors):
                first = block.add(left, number(position * self.lanes, int64))
                count = block.subtract(limit, first) if mask is not None else None
                keep = functools.partial(store, position=position)
                self._turn(factor, (axis, turned), first, count, self.lanes, keep)
        self.axes[axis] = left

    def pack_rows(self, start: Value, limit: Value) -> None:
        """Copy the rows from start to limit, tile after tile."""
        nest, block = self.nest, self.block
        assert nest.rows is not None
        axis, rows = nest.rows
        if axis not in nest.packed:
            return
        factor = self._packed_factor(axis)
        width = row_width(nest, self.lanes)
        more = block.add(block.subtract(limit, start), number(rows - 1, int64))
        tiles = block.binary("udiv", more, number(rows, int64))
        turned = self._turned_axis(factor, axis)
        with block.loop(number(0, int64), tiles, number(1, int64)) as tile:
            first = block.add(start, block.multiply(tile, number(rows, int64)))
            count = block.intrinsic("smin", block.subtract(limit, first), number(rows, int64))
            for lane in range(0, width, self.lanes):

                def store(value: Value, step: Value, at: int = lane) -> None:
                    self._store_rows(value, step, tile, at)

                here = block.add(first, number(lane, int64))
                left = block.subtract(count, number(lane, int64))
                if turned is None:
                    self._gather(factor, axis, here, left, store)
                else:
                    most = min(self.lanes, rows - lane)
                    self._turn(factor, (axis, turned), here, left, most, store)

    @contextmanager
    def _along(self, axis: str) -> Iterator[None]:
        """Lanes are neighbours along another axis."""
        nest = self.nest
        self.nest = replace(nest, vector=axis)
        yield
        self.nest = nest

    def _packed_factor(self, axis: str) -> Expression:
        product = self.nest.reductions[0].value
        assert isinstance(product, Apply)
        place = factor_along(self.nest, axis)
        assert place is not None
        return product.args[place]

    def _each_step(self, body: Callable[[], None], axes: int | None = None) -> None:
        """Loops over the inner axes, or the first of them."""

        def loops(left: Sequence[tuple[str, Size]]) -> None:
            if not left:
                body()
                return
            (axis, extent), *others = left
            start, limit = self._steps(axis, extent)
            with self.block.loop(start, limit, number(1, int64)) as index:
                self.axes[axis] = index
                loops(others)

        loops(list(self.nest.inner[:axes]))

    def _steps(self, axis: str, extent: Size) -> tuple[Value, Value]:
        """The steps of an inner axis to copy: those of the present slice, or all."""
        return self.ranges.get(axis) or (number(0, int64), self.size(extent))

    def _turned_axis(self, factor: Expression, axis: str) -> str | None:
        """The last inner axis, where a factor's neighbours in memory are its steps."""
        if isinstance(factor, Apply) and factor.op == "cast":
            (factor,) = factor.args
        if not isinstance(factor, Load) or factor.position.stride(axis) == 1:
            return None
        name = self.nest.inner[-1][0]
        return name if factor.position.stride(name) == 1 else None

    def _gather(
        self,
        factor: Expression,
        axis: str,
        first: Value,
        left: Value,
        store: Callable[[Value, Value], None],
    ) -> None:
        """What stands along an axis in each step as one vector."""
        block = self.block
        mask = block.compare("lt", block.steps(self.lanes), block.splat(left, self.lanes))

        def copy() -> None:
            self.axes[axis] = first
            with self._along(axis):
                (value,) = self.values([factor], self.lanes, mask)
            store(value, self.step_number())

        self._each_step(copy)

    def _turn(
        self,
        factor: Expression,
        axes: tuple[str, str],
        first: Value,
        left: Value | None,
        most: int,
        store: Callable[[Value, Value], None],
    ) -> None:
        """Squares of the first axis and of steps along the second, turned in registers.

        `left` is how much there is of the first axis, `most` how much at most; None for so much.
        """
        block, lanes = self.block, self.lanes
        axis, inner = axes
        start, limit = self._steps(*self.nest.inner[-1])

        def square(mask: Value | None) -> None:
            index = self.axes[inner]
            found: list[Value] = []
            for lane in range(most):
                place = number(lane, int64)
                if left is not None:
                    # What lies past the end is read from the last: nobody looks at it.
                    end = block.subtract(left, number(1, int64))
                    place = block.intrinsic("smin", place, end)
                self.axes[axis] = block.add(first, place)
                with self._along(inner):
                    found += self.values([factor], lanes, mask)
            found += [block.like(found[0], 0)] * (lanes - most)
            begin = self.step_number()
            for offset, value in enumerate(block.transposed(found)):
                step = block.add(begin, number(offset, int64))
                if mask is None:
                    store(value, step)
                    continue
                there = block.add(index, number(offset, int64))
                with block.when(block.compare("lt", there, limit)):
                    store(value, step)

        self._each_step(lambda: self.vector_loop(inner, start, limit, square), -1)

    def _store_rows(self, value: Value, step: Value, tile: Value, lane: int) -> None:
        block = self.block
        place = block.add(self._row_place(step, tile), number(lane, int64))
        address = block.element(self._rows_at, self._factor_type, place)
        block.store(value, address, self._factor_type)

    def _row_place(self, step: Value, tile: Value) -> Value:
        block = self.block
        steps = self.size(steps_of(self.nest))
        place = block.add(block.multiply(tile, steps), step)
        return block.multiply(place, number(row_width(self.nest, self.lanes), int64))

    def _column_address(self, step: Value, vectors: int, position: int) -> str:
        block = self.block
        if self.slice_start.name != "0":
            step = block.subtract(step, self.slice_start)
        place = block.multiply(step, number(vectors * self.lanes, int64))
        place = block.add(place, number(position * self.lanes, int64))
        return block.element("%scratch", self._factor_type, place)

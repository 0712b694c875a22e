"""Contractions: tiles of rows and vectors whose sums all stay in registers.

What several rows or vectors of a tile have in common is loaded once. A sum of products is a fused
multiply-add. Without a reduction a tile is a block of what is moved, whose lines stay in the cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thalweg.backends.llvm.block import Value, number
from thalweg.backends.llvm.packing import Packing
from thalweg.ir.types import int64
from thalweg.loops.values import Apply, parts
from thalweg.loops.values import Value as Expression
from thalweg.passes.families import COSTLY

MOST_OPERATIONS = 6
"""Operations on a finished sum that are written out for each vector of a tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of a task by its number, the first of its rows to do, its vectors and their mask.

    `part` says what is done of it: the "whole" sum, to "clear" where it is to stand, or to "add"
    what a slice has.
    """

    number: Value
    first_row: Value
    vectors: int
    mask: Value | None
    part: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One vector of sums in a tile."""

    tile: Tile
    row: int
    column: int


class Tiles(Packing):
    """Writes the tiles of a nest that has rows."""

    def row_block(self) -> None:
        """The tiles of one task: a block of rows, along a block of the vector axis or all of it."""
        block, nest = self.block, self.nest
        assert nest.rows is not None and nest.vector is not None
        axis, rows = nest.rows
        tiles, panels = nest.block
        total = dict(nest.outer)[axis]
        self._column_block = number(0, int64) if panels is None else self.axes[nest.vector]
        start = block.multiply(self.axes[axis], number(rows * tiles, int64))
        limit = block.intrinsic(
            "smin", block.add(start, number(rows * tiles, int64)), self.size(total)
        )
        self.pack_rows(start, limit)
        if nest.slices is None:
            self._panels(start, limit, "whole")
        else:
            self._swept(lambda: self._panels(start, limit, "clear"))
            self._sliced(lambda: self._swept(lambda: self._panels(start, limit, "add")))

    def _sliced(self, body: Callable[[], None]) -> None:
        """The slices of the inner axes around a body."""
        block, nest = self.block, self.nest
        assert nest.slices is not None
        depth, count = nest.slices

        def loops(level: int) -> None:
            axis, extent = nest.inner[level]
            step = count if level == depth - 1 else 1
            start, size = number(0, int64), self.size(extent)
            if nest.parts and level == 0:
                start, size = self._share(size, step)
            with block.loop(start, size, number(step, int64)) as index:
                end = block.intrinsic("smin", block.add(index, number(step, int64)), size)
                self.axes[axis] = index
                if level == depth - 1:
                    self.ranges[axis] = (index, end)
                    self.slice_start = index
                    body()
                    del self.ranges[axis]
                else:
                    loops(level + 1)

        loops(0)

    def _share(self, size: Value, step: int) -> tuple[Value, Value]:
        """The steps of the first inner axis that belong to the task's part, whole slices of it."""
        block = self.block
        slices = number(self.nest.parts * step, int64)
        more = block.add(size, block.subtract(slices, number(1, int64)))
        share = block.multiply(block.binary("udiv", more, slices), number(step, int64))
        start = block.multiply(self.axes["part"], share)
        return start, block.intrinsic("smin", block.add(start, share), size)

    def _swept(self, body: Callable[[], None]) -> None:
        """The outer axes that a task walks itself around a body."""
        extents = dict(self.nest.outer)

        def loops(axes: Sequence[str]) -> None:
            if not axes:
                body()
                return
            size = self.size(extents[axes[0]])
            with self.block.loop(number(0, int64), size, number(1, int64)) as index:
                self.axes[axes[0]] = index
                loops(axes[1:])

        loops(self.nest.swept)

    def _panels(self, start: Value, limit: Value, part: str) -> None:
        """All tiles of a task at the present step of what is around them."""
        block, nest = self.block, self.nest
        assert nest.vector is not None
        _, panels = nest.block
        extent = dict(nest.outer)[nest.vector]
        wide = self.lanes * nest.vectors
        first: Value = number(0, int64)
        last = self.size(extent)
        if panels is not None:
            length = number(wide * panels, int64)
            first = block.multiply(self._column_block, length)
            last = block.intrinsic("smin", block.add(first, length), last)
        position = first
        if nest.vectors > 1:
            position = self._whole(first, last, wide)
            with block.loop(first, position, number(wide, int64)) as index:
                self.axes[nest.vector] = index
                self._panel(start, limit, last, nest.vectors, None, part)
            if isinstance(extent, int) and extent % wide == 0:
                return
        narrow = self._whole(first, last, self.lanes)
        with block.loop(position, narrow, number(self.lanes, int64)) as index:
            self.axes[nest.vector] = index
            self._panel(start, limit, last, 1, None, part)
        if isinstance(extent, int) and extent % self.lanes == 0:
            return
        with block.when(block.compare("lt", narrow, last)):
            self.axes[nest.vector] = narrow
            self._panel(start, limit, last, 1, self.mask(narrow, last), part)

    def _whole(self, first: Value, last: Value, step: int) -> Value:
        """The end of the last whole step between two places."""
        block = self.block
        if first.name == "0" and last.name.isdigit():
            return number(int(last.name) // step * step, int64)
        length = block.subtract(last, first)
        return block.subtract(last, block.binary("urem", length, number(step, int64)))

    def _panel(
        self, start: Value, limit: Value, last: Value, vectors: int, mask: Value | None, part: str
    ) -> None:
        """Tiles of all rows from start to limit at the present vectors; columns end at `last`."""
        block, nest = self.block, self.nest
        assert nest.rows is not None
        axis, rows = nest.rows
        total = dict(nest.outer)[axis]
        if part != "clear":
            self.pack_columns(vectors, mask, last)
        length = block.subtract(limit, start)
        whole = block.subtract(length, block.binary("urem", length, number(rows, int64)))
        middle = block.add(start, whole)
        zero = number(0, int64)

        def tile_at(index: Value, first_row: Value = zero) -> Tile:
            serial = block.binary("udiv", block.subtract(index, start), number(rows, int64))
            return Tile(serial, first_row, vectors, mask, part)

        with block.loop(start, middle, number(rows, int64)) as index:
            self.axes[axis] = index
            self._tile_of_rows(rows, tile_at(index))
        if isinstance(total, int):
            rest = total % rows
            if rest:
                with block.when(block.compare("lt", middle, limit)):
                    self.axes[axis] = middle
                    self._tile_of_rows(rest, tile_at(middle))
            return
        with block.loop(middle, limit, number(1, int64)) as index:
            self.axes[axis] = index
            self._tile_of_rows(1, tile_at(middle, block.subtract(index, middle)))

    def _tile_of_rows(self, rows: int, tile: Tile) -> None:
        """One tile: sums of `rows` times some vectors in registers, then their stores."""
        block, nest = self.block, self.nest
        assert nest.rows is not None and nest.vector is not None
        row_axis, vector_axis = nest.rows[0], nest.vector
        if not nest.reductions:
            first = self.axes[row_axis]
            with block.loop(first, block.add(first, number(rows, int64)), number(1, int64)) as row:
                self.axes[row_axis] = row
                self.stores(self.lanes, tile.mask, ())
            return
        (reduction,) = nest.reductions
        product = reduction.value
        assert isinstance(product, Apply)
        cells = [Cell(tile, row, column) for row in range(rows) for column in range(tile.vectors)]
        identity = self.identity(reduction, self.lanes)
        places = {cell: block.register(identity) for cell in cells}
        for place in places.values():
            block.set(place, identity)
        first, left = self.axes[row_axis], self.axes[vector_axis]
        (store,) = nest.stores if nest.slices else nest.stores[:1]

        def at(cell: Cell) -> None:
            self.axes[row_axis] = block.add(first, number(cell.row, int64))
            self.axes[vector_axis] = block.add(left, number(cell.column * self.lanes, int64))

        def step() -> None:
            known: dict = {}
            for cell in cells:
                at(cell)
                x, y = (self._factor(arg, cell, known) for arg in product.args)
                former = block.get(places[cell], identity)
                block.set(places[cell], block.multiply_add(x, y, former))
            self.axes[row_axis], self.axes[vector_axis] = first, left

        if tile.part == "add":
            for cell in cells:
                at(cell)
                address = self.target(store.buffer, store.position)
                block.set(places[cell], block.load(address, store.dtype, self.lanes, tile.mask))
            self.axes[row_axis], self.axes[vector_axis] = first, left
        if tile.part != "clear":
            depth = nest.slices[0] if nest.slices else 1
            self.may_branch = False
            self.inner_loops(list(nest.inner[depth - 1 :]), step, rows)
            self.may_branch = True
        sums = {cell: block.get(place, identity) for cell, place in places.items()}
        if self._is_long() and tile.part == "whole":
            self._finish_by_rows(sums, rows, tile)
            return
        for cell in cells:
            at(cell)
            self.stores(self.lanes, tile.mask, [sums[cell]])
        self.axes[row_axis], self.axes[vector_axis] = first, left

    def _is_long(self) -> bool:
        """True where what is done to a sum takes more than the registers that a tile leaves."""
        found = [part for part in parts([store.value for store in self.nest.stores])
                 if isinstance(part, Apply)]  # fmt: skip
        return len(found) > MOST_OPERATIONS or any(part.op in COSTLY for part in found)

    def _finish_by_rows(self, sums: dict[Cell, Value], rows: int, tile: Tile) -> None:
        """Put the sums aside and finish row after row, with one text for all of them."""
        block, nest = self.block, self.nest
        assert nest.rows is not None and nest.vector is not None
        row_axis, vector_axis = nest.rows[0], nest.vector
        first, left = self.axes[row_axis], self.axes[vector_axis]
        like = next(iter(sums.values()))
        aside = block.array(rows * tile.vectors, like)
        for cell, value in sums.items():
            index = number(cell.row * tile.vectors + cell.column, int64)
            block.set(block.place(aside, index, like), value)
        with block.loop(number(0, int64), number(rows, int64), number(1, int64)) as row:
            self.axes[row_axis] = block.add(first, row)
            start = block.multiply(row, number(tile.vectors, int64))
            for column in range(tile.vectors):
                self.axes[vector_axis] = block.add(left, number(column * self.lanes, int64))
                index = block.add(start, number(column, int64))
                value = block.get(block.place(aside, index, like), like)
                self.stores(self.lanes, tile.mask, [value])
        self.axes[row_axis], self.axes[vector_axis] = first, left

    def _factor(self, expression: Expression, cell: Cell, known: dict) -> Value:
        """A factor of a product; what several cells have in common is loaded once, when needed."""
        assert self.nest.rows is not None
        names = self.names(expression)
        key = (
            id(expression),
            cell.row if self.nest.rows[0] in names else -1,
            cell.column if self.nest.vector in names else -1,
        )
        if key not in known:
            known[key] = self._loaded(expression, cell, known)
        return known[key]

    def _loaded(self, expression: Expression, cell: Cell, known: dict) -> Value:
        axis = self.packed_axis(expression)
        if axis is None:
            (value,) = self.values([expression], self.lanes, cell.tile.mask)
            return value
        if "step" not in known:
            known["step"] = self.step_number()
        if axis == self.nest.vector:
            if cell.column == 0:
                self.prefetch_rows(known["step"], cell.tile.number)
            return self.column(known["step"], cell.tile.vectors, cell.column)
        row = self.block.add(cell.tile.first_row, number(cell.row, int64))
        return self.block.splat(self.row(known["step"], cell.tile.number, row), self.lanes)

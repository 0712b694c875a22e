"""Contractions: tiles of rows and vectors whose sums all stay in registers.

What several rows or vectors of a tile have in common is loaded once. A sum of products is a fused
multiply-add. Without a reduction a tile is a block of what is moved, whose lines stay in the cache.
"""

from thalweg.backends.llvm.block import Value, number
from thalweg.backends.llvm.reductions import Reductions
from thalweg.ir.types import Size, int64
from thalweg.loops.values import Apply
from thalweg.loops.values import Value as Expression

TILES = 4
"""Tiles of rows in one task: what they share of the other operand stays in the nearest cache."""


class Tiles(Reductions):
    """Writes the tiles of a nest that has rows."""

    def row_block(self) -> None:
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
            self._tiles(start, limit, 1, self.mask(narrow, end))

    def mask(self, index: Value, limit: Value) -> Value:
        """The lanes from an index on that are below a limit."""
        block = self.block
        left = block.subtract(limit, index)
        if any(type.dtype.bits < 32 for type in self.nest.outputs):
            # LLVM 22 stores 32 bits for the one lane of a constant mask on narrower elements,
            # beyond the end of the array: so the number is hidden from it.
            left = block.hidden(left)
        return block.compare("lt", block.steps(self.lanes), block.splat(left, self.lanes))

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
        row_axis, vector_axis = nest.rows[0], nest.vector
        if not nest.reductions:
            first = self.axes[row_axis]
            with block.loop(first, block.add(first, number(rows, int64)), number(1, int64)) as row:
                self.axes[row_axis] = row
                self.stores(self.lanes, mask, ())
            return
        (reduction,) = nest.reductions
        product = reduction.value
        assert isinstance(product, Apply)
        cells = [(row, column) for row in range(rows) for column in range(vectors)]
        identity = self.identity(reduction, self.lanes)
        places = {cell: block.register(identity) for cell in cells}
        for place in places.values():
            block.set(place, identity)
        first, left = self.axes[row_axis], self.axes[vector_axis]

        def at(cell: tuple[int, int]) -> None:
            self.axes[row_axis] = block.add(first, number(cell[0], int64))
            self.axes[vector_axis] = block.add(left, number(cell[1] * self.lanes, int64))

        def step() -> None:
            shared: dict[tuple[int, int, int], Value] = {}
            for cell in cells:
                at(cell)
                x, y = (self._shared(arg, cell, mask, shared) for arg in product.args)
                former = block.get(places[cell], identity)
                if former.dtype.is_float:
                    found = block.fma(x, y, former)
                else:
                    found = block.add(former, block.multiply(x, y))
                block.set(places[cell], found)
            self.axes[row_axis], self.axes[vector_axis] = first, left

        self.may_branch = False
        self.inner_loops(list(nest.inner), step, rows)
        self.may_branch = True
        for cell in cells:
            at(cell)
            self.stores(self.lanes, mask, [block.get(places[cell], identity)])
        self.axes[row_axis], self.axes[vector_axis] = first, left

    def _shared(
        self,
        expression: Expression,
        cell: tuple[int, int],
        mask: Value | None,
        known: dict[tuple[int, int, int], Value],
    ) -> Value:
        """An operand of a product; what several cells have in common is computed once."""
        assert self.nest.rows is not None
        names = self.names(expression)
        key = (
            id(expression),
            cell[0] if self.nest.rows[0] in names else -1,
            cell[1] if self.nest.vector in names else -1,
        )
        if key not in known:
            (known[key],) = self.values([expression], self.lanes, mask)
        return known[key]

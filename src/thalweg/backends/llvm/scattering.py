"""Scatters: what is stored first, then every update in order.

A task is a block of rows: it stores them, walks all updates, and does those that fall on its own
rows. So updates of one place always combine in their order, however tasks are spread over threads.
"""

from collections.abc import Callable, Sequence

from thalweg.backends.llvm.block import Value, number
from thalweg.backends.llvm.expressions import Context
from thalweg.backends.llvm.scalars import lower as lower_scalar
from thalweg.backends.llvm.tiles import Tiles
from thalweg.ir.dim import ceil_div
from thalweg.ir.types import Size, int64
from thalweg.loops.nest import Nest, Update


def scatter_axes(nest: Nest) -> list[tuple[str, Size]]:
    """The axes whose steps are tasks: those before the rows, and the blocks of rows."""
    assert nest.rows is not None
    axis, rows = nest.rows
    names = [name for name, _ in nest.outer]
    shared = list(nest.outer[: names.index(axis)])
    assert nest.update is not None
    shared = [each for each in shared if each[0] not in nest.update.axes]
    return [*shared, (axis, ceil_div(dict(nest.outer)[axis], rows))]


class Scattering(Tiles):
    """Writes the tasks of a nest that scatters."""

    def scatter_block(self) -> None:
        """One task: the rows of its block stored, then changed."""
        block, nest = self.block, self.nest
        update = nest.update
        assert nest.rows is not None and update is not None
        axis, rows = nest.rows
        start = block.multiply(self.axes[axis], number(rows, int64))
        limit = block.intrinsic(
            "smin", block.add(start, number(rows, int64)), self.size(dict(nest.outer)[axis])
        )
        taken = {name for name, _ in scatter_axes(nest)} - {axis}
        ranges = [
            (name, start, limit) if name == axis else (name, number(0, int64), self.size(extent))
            for name, extent in nest.outer
            if name not in taken
        ]
        self._walk(ranges, lambda lanes, mask: self.stores(lanes, mask, ()))

        def step() -> None:
            at = Context()
            row = self.position(update.row, 1, None, at)
            test = self.holds(update.bounds, 1, None, at)
            own = block.binary(
                "and", block.compare("le", start, row), block.compare("lt", row, limit)
            )
            both = self.both(test, own)
            assert both is not None
            with block.when(both):
                self._assuming(
                    update.bounds,
                    lambda: self._walk(
                        [
                            (name, number(0, int64), self.size(extent))
                            for name, extent in nest.outer
                            if name in update.axes
                        ],
                        lambda lanes, mask: self._change(update, lanes, mask),
                    ),
                )

        self.inner_loops(list(nest.inner), step)

    def _walk(
        self,
        ranges: Sequence[tuple[str, Value, Value]],
        body: Callable[[int, Value | None], None],
    ) -> None:
        """Loops over ranges of axes, the vector axis by vectors where it is the last."""
        if not ranges:
            body(1, None)
            return
        (axis, start, limit), *rest = ranges
        if axis == self.nest.vector and not rest:
            self.vector_loop(axis, start, limit, lambda mask: body(self.lanes, mask))
            return
        with self.block.loop(start, limit, number(1, int64)) as index:
            self.axes[axis] = index
            self._walk(rest, body)

    def _change(self, update: Update, lanes: int, mask: Value | None) -> None:
        block = self.block
        (value,) = self.values([update.value], lanes, mask)
        address = self.target(update.buffer, update.position)
        if update.op is not None:
            former = block.load(address, update.dtype, lanes, mask)
            value = lower_scalar(block, update.op, [former, value], {}, value.dtype)
        block.store(value, address, update.dtype, mask)

"""Inner loops: reductions in registers, steps that are left out, and how lanes are joined at last.

A bound of the nest's `where` says where the innermost loop that it depends on begins and ends, or
is tested outside of the loops that it does not depend on. One that differs among the rows of a tile
makes two copies of the loops inside: one for tiles whose rows are all inside, which tests nothing,
and one that chooses for each row.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.backends.llvm.block import Value, number
from thalweg.backends.llvm.expressions import Context, Expressions, register_dtype
from thalweg.backends.llvm.scalars import lower as lower_scalar
from thalweg.backends.llvm.targets import Target
from thalweg.ir.dim import Dim
from thalweg.ir.types import DType, Size, bool_, int64
from thalweg.loops.nest import Nest
from thalweg.loops.values import Bound


def identity_of(identity: Any, dtype: DType) -> Any:
    """The number that an identity stands for in an element type."""
    if identity not in ("lowest", "highest"):
        # Minus zero, which changes nothing, in both parts.
        return complex(identity, identity) if dtype.is_complex and not identity else identity
    sign = -1 if identity == "lowest" else 1
    if dtype.is_float:
        return sign * float("inf")
    if dtype is bool_:
        return sign > 0
    info = np.iinfo(dtype.numpy)
    return int(info.min if sign < 0 else info.max)


class Reductions(Expressions):
    """Writes the inner loops of a nest; `ranges` holds those steps of an axis that a slice has."""

    def __init__(self, nest: Nest, lanes: int, sizes: Sequence[Dim], target: Target):
        super().__init__(nest, lanes, sizes, target)
        self.ranges: dict[str, tuple[Value, Value]] = {}

    def inner_loops(
        self,
        axes: Sequence[tuple[str, Size]],
        body: Callable[[], None],
        rows: int = 1,
        bounds: Sequence[Bound] | None = None,
    ) -> None:
        """Loops over inner axes around a body, with steps left out that change nothing.

        `rows` is how many rows the body does at once.
        """
        block, nest = self.block, self.nest
        bounds = list(nest.where) if bounds is None else bounds
        tile = {each for each in (nest.vector, nest.rows and nest.rows[0]) if each}
        ahead = {axis for axis, _ in axes} | tile
        ready = [each for each in bounds if not self.names_of(each.index) & ahead]
        if ready:
            test = self.holds(ready, 1, None, Context())
            rest = [each for each in bounds if each not in ready]
            assert test is not None
            with block.when(test):
                self._assuming(ready, lambda: self.inner_loops(axes, body, rows, rest))
            return
        ready = [each for each in bounds if self._is_of_rows(each, {axis for axis, _ in axes})]
        if ready:
            rest = [each for each in bounds if each not in ready]
            test = self._all_rows(ready, rows)
            with block.when(test):
                self._assuming(ready, lambda: self.inner_loops(axes, body, rows, rest))
            with block.when(block.binary("xor", test, block.like(test, True))):
                self.inner_loops(axes, body, rows, rest)
            return
        if not axes:
            body()
            return
        (axis, extent), *others = axes
        ahead = {name for name, _ in others} | tile
        clipping = [each for each in bounds if self._clips(each, axis, ahead)]
        start, limit = self.ranges.get(axis) or (number(0, int64), self.size(extent))
        for bound in clipping:
            start, limit = self._clipped(bound, axis, start, limit)
        rest = [each for each in bounds if each not in clipping]
        split = [] if others else [each for each in rest if self._splits(each, axis, ahead)]
        if split:
            for first, last, known in self._pieces(split, axis, start, limit, rows):
                with block.loop(first, last, number(1, int64)) as index:
                    self.axes[axis] = index
                    self._assuming([*clipping, *known], body)
            return
        with block.loop(start, limit, number(1, int64)) as index:
            self.axes[axis] = index
            self._assuming(clipping, lambda: self.inner_loops(others, body, rows, rest))

    def _clips(self, bound: Bound, axis: str, ahead: set[str]) -> bool:
        """True for a bound that says where the loop over an axis begins and ends."""
        names, stride = self.names_of(bound.index), bound.index.stride(axis)
        others = self.names_of(bound.index.without({axis}))
        is_alone = axis in names and axis not in others and not names & ahead
        return is_alone and isinstance(stride, int) and stride > 0

    def _clipped(self, bound: Bound, axis: str, start: Value, limit: Value) -> tuple[Value, Value]:
        """The steps of a loop at which a bound holds."""
        block, zero = self.block, number(0, int64)
        stride = bound.index.stride(axis)
        rest = self.position(bound.index.without({axis}), 1, None, Context())
        ends = [block.subtract(zero, rest), block.subtract(self.size(bound.size), rest)]
        first, last = (block.intrinsic("smax", each, zero) for each in ends)
        if stride != 1:
            step, more = self.size(stride), self.size(stride - 1)
            first, last = (
                block.binary("udiv", block.add(each, more), step) for each in (first, last)
            )
        if start.name != "0":
            first = block.intrinsic("smax", first, start)
        return first, block.intrinsic("smin", last, limit)

    def _splits(self, bound: Bound, axis: str, ahead: set[str]) -> bool:
        """True for a bound that the rows of a tile and the steps of an axis decide, and grow with.

        Then all rows are inside at some steps in a row: those have a loop that tests nothing.
        """
        if self.nest.rows is None:
            return False
        ahead = ahead - {self.nest.rows[0]}
        return self._clips(bound, axis, ahead) and self._is_of_rows(bound, ahead)

    def _pieces(
        self, bounds: list[Bound], axis: str, start: Value, limit: Value, rows: int
    ) -> list[tuple[Value, Value, list[Bound]]]:
        """The steps before all rows are inside, those at which they are, and the steps after.

        Each has the bounds that hold there.
        """
        block, nest = self.block, self.nest
        assert nest.rows is not None
        row = nest.rows[0]
        here = self.axes[row]
        first, last = start, limit
        for bound in bounds:
            first, _ = self._clipped(bound, axis, first, limit)
        self.axes[row] = block.add(here, number(rows - 1, int64))
        for bound in bounds:
            _, last = self._clipped(bound, axis, start, last)
        self.axes[row] = here
        first = block.intrinsic("smin", first, limit)
        last = block.intrinsic("smax", last, first)
        return [(start, first, []), (first, last, bounds), (last, limit, [])]

    def _assuming(self, bounds: Sequence[Bound], write: Callable[[], None]) -> None:
        self.assumed |= set(bounds)
        write()
        self.assumed -= set(bounds)

    def _is_of_rows(self, bound: Bound, ahead: set[str]) -> bool:
        """True for a bound that only the rows of a tile still decide, and grow with."""
        nest = self.nest
        names = self.names_of(bound.index)
        if nest.rows is None or nest.rows[0] not in names or names & (ahead | {nest.vector}):
            return False
        stride = bound.index.stride(nest.rows[0])
        return isinstance(stride, int) and stride > 0

    def _all_rows(self, bounds: Sequence[Bound], rows: int) -> Value:
        """Whether bounds hold in the first row of the tile and in the last."""
        block = self.block
        assert self.nest.rows is not None
        axis = self.nest.rows[0]
        first = self.axes[axis]
        test = self.holds(bounds, 1, None, Context())
        self.axes[axis] = block.add(first, number(rows - 1, int64))
        test = self.both(test, self.holds(bounds, 1, None, Context()))
        self.axes[axis] = first
        assert test is not None
        return test

    def vector_loop(
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
            body(self.mask(middle, limit))

    def mask(self, index: Value, limit: Value) -> Value:
        """The lanes from an index on that are below a limit."""
        block = self.block
        left = block.subtract(limit, index)
        if any(type.dtype.bits != 32 for type in (*self.nest.inputs, *self.nest.outputs)):
            # LLVM 22 stores too many bits for the one lane of a constant mask on elements that are
            # narrower than what they are made of: 32 for 16, 64 for 32. So the number is hidden.
            left = block.hidden(left)
        return block.compare("lt", block.steps(self.lanes), block.splat(left, self.lanes))

    # Registers ------------------------------------------------------------------------------------

    def identity(self, reduction: Any, lanes: int) -> Value:
        """The value that a reduction starts with."""
        dtype = register_dtype(reduction.dtype)
        return number(identity_of(reduction.identity, dtype), dtype, lanes)

    def registers(self, lanes: int) -> list[str]:
        """A place for each reduction, set to where it starts."""
        places = [self.block.register(self.identity(each, lanes)) for each in self.nest.reductions]
        for place, reduction in zip(places, self.nest.reductions, strict=True):
            self.block.set(place, self.identity(reduction, lanes))
        return places

    def read(self, places: Sequence[str], lanes: int) -> list[Value]:
        """What stands in the places."""
        return [
            self.block.get(place, self.identity(reduction, lanes))
            for place, reduction in zip(places, self.nest.reductions, strict=True)
        ]

    def combine(self, places: Sequence[str], lanes: int, mask: Value | None, keep: bool) -> None:
        """One step of every reduction; `keep`: lanes outside of the mask stay as they are."""
        block, reductions = self.block, self.nest.reductions
        found = self.values([each.value for each in reductions], lanes, mask)
        for place, reduction, value in zip(places, reductions, found, strict=True):
            identity = self.identity(reduction, lanes)
            if keep and mask is not None:
                value = block.select(mask, value, identity)
            block.set(place, self.apply(reduction, block.get(place, identity), value))

    def apply(self, reduction: Any, x: Value, y: Value) -> Value:
        """Two values of a reduction combined."""
        return lower_scalar(self.block, reduction.op, [x, y], {}, x.dtype)

    def joined(self, places: Sequence[str], reduction: Any) -> Value:
        """The one number of several vectors: pairs of vectors, then halves of the last."""
        block = self.block
        like = self.identity(reduction, self.lanes)
        values = [block.get(place, like) for place in places]
        while len(values) > 1:
            values = [
                self.apply(reduction, values[i], values[i + 1]) for i in range(0, len(values), 2)
            ]
        (value,) = values
        while value.lanes > 1:
            half = value.lanes // 2
            low, high = (block.part(value, start, half) for start in (0, half))
            value = self.apply(reduction, low, high)
        return value

"""From a scheduled nest to LLVM IR with explicit vectors.

    void name(ptr buffers, ptr sizes, i64 begin, i64 end, i64 worker)

`buffers` holds the addresses of the inputs and then the outputs, `sizes` the values of the nest's
named sizes in the order of `sizes_of`, and [begin, end) is the share of the nest's tasks to do. A
task is one step of the outer axes without the vector axis, or a block of the vector axis where it
is the only one. What a kernel packs goes to memory of the `worker` that runs it, behind the last
address in `buffers`. Each element is computed within one task in an order that does not depend on
the share, so results are bit for bit the same however tasks are spread over threads.

Vector loops run over whole vectors and finish with one masked step. A reduction along the vector
axis keeps UNROLL independent vectors, joined in a fixed tree at the end. Where the nest says rows,
a tile of rows and vectors keeps all its sums in registers.
"""

from collections.abc import Sequence

from thalweg.backends.llvm.block import Block, Value, function_text, number
from thalweg.backends.llvm.packing import column_bytes, scratch_bytes, steps_of, strides_in
from thalweg.backends.llvm.scattering import Scattering, scatter_axes
from thalweg.backends.llvm.targets import Target
from thalweg.ir.dim import Dim, ceil_div, is_known_equal
from thalweg.ir.types import Size, int64, uint8
from thalweg.loops.nest import Nest
from thalweg.loops.values import Choice, parts

UNROLL = 4
BLOCK = 8192
"""Elements of the vector axis in one task, where no other axis makes tasks."""
REDUCED_BLOCK = 512
"""The same for reductions: each of these elements is many steps."""

PARAMETERS = ("ptr %buffers", "ptr %sizes", "i64 %begin", "i64 %end", "i64 %worker")
SHARE = PARAMETERS[2:4]


def sizes_of(nest: Nest, target: Target) -> list[Dim]:
    """The named sizes, and expressions of them, that a nest needs, in the order of `sizes`."""
    found: dict[Dim, None] = {}
    for _, extent in (*nest.outer, *nest.inner, *task_axes(nest, target)):
        _note(extent, found)
    bounds = nest.bounds()
    for value in parts(nest.values()):
        bounds += value.bounds if isinstance(value, Choice) else ()
    for bound in bounds:
        _note(bound.size, found)
    if nest.packed:
        columns = column_bytes(nest, lanes_of(nest, target))
        sizes = (scratch_of(nest, target), steps_of(nest), columns)
        for size in (*sizes, *strides_in(nest)):
            _note(size, found)
    for access in nest.accesses():
        _note(access.constant, found)
        for _, stride in access.terms:
            _note(stride, found)
    return list(found)


def _note(size: Size, found: dict[Dim, None]) -> None:
    if isinstance(size, Dim):
        found[size] = None


def task_axes(nest: Nest, target: Target) -> list[tuple[str, Size]]:
    """The axes whose steps are tasks; none where blocks of the vector axis are."""
    if nest.update:
        return scatter_axes(nest)
    tiles, panels = nest.block
    width = nest.vectors * lanes_of(nest, target)
    steps = {} if panels is None else {nest.vector: panels * width}
    if nest.rows:
        steps[nest.rows[0]] = nest.rows[1] * tiles
    return [
        (axis, ceil_div(extent, steps.get(axis, 1)))
        for axis, extent in nest.outer
        if (axis != nest.vector or panels is not None) and axis not in nest.swept
    ]


def tasks_of(nest: Nest, target: Target) -> Size:
    """How many tasks a nest has."""
    axes = task_axes(nest, target)
    if not axes and nest.vector in dict(nest.outer):
        return ceil_div(dict(nest.outer)[nest.vector], _block(nest))
    total: Size = 1
    for _, extent in axes:
        total = total * extent
    return total


def _block(nest: Nest) -> int:
    return REDUCED_BLOCK if nest.reductions else BLOCK


def scratch_of(nest: Nest, target: Target) -> Size:
    """Bytes of memory that each worker needs besides inputs and outputs."""
    return scratch_bytes(nest, lanes_of(nest, target))


def lanes_of(nest: Nest, target: Target) -> int:
    """The lanes of a vector: as many as a register holds of the widest element that is moved.

    Complex numbers take two registers, as their parts fill one each, but for sums in tiles.
    """
    dtypes = [store.dtype for store in nest.stores]
    dtypes += [reduction.dtype for reduction in nest.reductions]
    bits = [(dtype if nest.rows and nest.reductions else dtype.real).bits for dtype in dtypes]
    return target.lanes(max(32, *bits)) if nest.vector else 1


def emit(nest: Nest, target: Target) -> str:
    """The LLVM IR of a nest, scheduled for a target."""
    return _Emitter(nest, target).text()


def emit_body(nest: Nest, target: Target) -> str:
    """The LLVM IR of the function `name_body`: pointers, `sizes`, and the first task and the end.

    The pointers are those of inputs, outputs, and of scratch memory where `scratch_of` is not 0.
    """
    return _Emitter(nest, target).body()


def joined(texts: Sequence[str]) -> str:
    """Texts in one module, with what they declare once."""
    lines = [line for text in texts for line in text.splitlines()]
    declared = dict.fromkeys(line for line in lines if line.startswith("declare "))
    return "\n".join([*declared, *(line for line in lines if line not in declared)]) + "\n"


def _entry(name: str, count: int, scratch: Size, sizes: Sequence[Dim], target: Target) -> str:
    """The function that is called: it passes the addresses in `buffers` on one by one.

    The last is the worker's own part of the scratch memory, if the kernel needs any.
    """
    block = Block(target)
    pointers = []
    for index in range(count):
        address = block.name()
        block.emit(f"{address} = getelementptr ptr, ptr %buffers, i64 {index}")
        pointers.append(block.name())
        block.emit(f"{pointers[-1]} = load ptr, ptr {address}")
    if not is_known_equal(scratch, 0):
        part = number(scratch, int64) if isinstance(scratch, int) else None
        if part is None:
            address = block.name()
            block.emit(f"{address} = getelementptr i64, ptr %sizes, i64 {sizes.index(scratch)}")
            part = block.assign(f"load i64, ptr {address}", int64)
        offset = block.multiply(Value("%worker", int64), part)
        pointers.append(block.element(pointers.pop(), uint8, offset))
    given = [f"ptr {each}" for each in (*pointers, "%sizes")]
    block.emit(f"call void @{name}_body({', '.join([*given, *SHARE])})")
    return function_text(name, PARAMETERS, block)


class _Emitter(Scattering):
    def __init__(self, nest: Nest, target: Target):
        super().__init__(nest, lanes_of(nest, target), sizes_of(nest, target), target)

    def text(self) -> str:
        """The whole module."""
        nest = self.nest
        scratch = scratch_of(nest, self.block.target)
        count = len(self.pointers) + (not is_known_equal(scratch, 0))
        return self.body() + _entry(nest.name, count, scratch, list(self.sizes), self.block.target)

    def body(self) -> str:
        """The function that does a share of the tasks, given the address of each array."""
        nest = self.nest
        self.load_sizes()
        self.start_packing()
        self._tasks()
        # Results are fresh arrays: told so, LLVM computes outside a loop what the loop does not
        # change.
        pointers = list(self.pointers)
        if not is_known_equal(scratch_of(nest, self.block.target), 0):
            pointers.append("%scratch")
        parameters = [f"ptr noalias {each}" for each in (*pointers, "%sizes")]
        body = function_text(f"{nest.name}_body", [*parameters, *SHARE], self.block)
        return body.replace("define void", "define internal void")

    def _tasks(self) -> None:
        block, nest = self.block, self.nest
        begin, end = Value("%begin", int64), Value("%end", int64)
        axes, outer = task_axes(nest, self.block.target), dict(nest.outer)
        if not axes and nest.vector in outer:
            assert nest.vector is not None
            length = number(_block(nest), int64)
            start = block.multiply(begin, length)
            whole = self.size(outer[nest.vector])
            limit = block.intrinsic("smin", block.multiply(end, length), whole)
            self._strips(start, limit)
            return
        with block.loop(begin, end, number(1, int64)) as task:
            remaining = task
            for axis, extent in reversed(axes):
                if axis == axes[0][0]:
                    self.axes[axis] = remaining
                    break
                size = self.size(extent)
                self.axes[axis] = block.binary("urem", remaining, size)
                remaining = block.binary("udiv", remaining, size)
            if nest.update:
                self.scatter_block()
            elif nest.rows:
                self.row_block()
            elif nest.vector in outer:
                assert nest.vector is not None
                self._strips(number(0, int64), self.size(outer[nest.vector]))
            elif nest.is_running:
                self._run(1, None)
            else:
                self._row()

    def _strips(self, start: Value, limit: Value) -> None:
        """Strips of as many vectors as the nest says, then single vectors."""
        block, nest = self.block, self.nest
        assert nest.vector is not None
        if nest.is_running:
            self.vector_loop(nest.vector, start, limit, lambda mask: self._run(self.lanes, mask))
            return
        if nest.vectors > 1:
            wide = number(self.lanes * nest.vectors, int64)
            length = block.subtract(limit, start)
            middle = block.add(start, block.subtract(length, block.binary("urem", length, wide)))
            with block.loop(start, middle, wide) as index:
                self.axes[nest.vector] = index
                self._tile(None, nest.vectors)
            start = middle
        self.vector_loop(nest.vector, start, limit, self._tile)

    def _tile(self, mask: Value | None, vectors: int = 1) -> None:
        """Vectors of outputs: the lanes are neighbouring outputs, inner axes run inside."""
        block, nest = self.block, self.nest
        assert nest.vector is not None
        axis, left = nest.vector, self.axes[nest.vector]
        places = [self.registers(self.lanes) for _ in range(vectors)]

        def at(position: int) -> None:
            self.axes[axis] = block.add(left, number(position * self.lanes, int64))

        def step() -> None:
            for position, column in enumerate(places):
                at(position)
                self.combine(column, self.lanes, mask, keep=False)
            self.axes[axis] = left

        if nest.reductions:
            self.inner_loops(list(nest.inner), step)
        for position, column in enumerate(places):
            at(position)
            self.stores(self.lanes, mask, self.read(column, self.lanes))
        self.axes[axis] = left

    def _run(self, lanes: int, mask: Value | None) -> None:
        """Stores after every step of the inner axis."""
        places = self.registers(lanes)

        def step() -> None:
            self.combine(places, lanes, mask, keep=False)
            self.stores(lanes, mask, self.read(places, lanes))

        self.inner_loops(list(self.nest.inner), step)

    def _row(self) -> None:
        """One output: the lanes are neighbouring steps of an inner axis, or there are none."""
        block, nest = self.block, self.nest
        if not nest.reductions:
            self.stores(1, None, [])
            return
        others = [(axis, extent) for axis, extent in nest.inner if axis != nest.vector]
        places = [self.registers(self.lanes) for _ in range(UNROLL if nest.vector else 1)]

        def step(row: Sequence[str], mask: Value | None) -> None:
            self.combine(row, self.lanes, mask, keep=True)

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
            self.vector_loop(nest.vector, whole, extent, lambda mask: step(places[0], mask))

        self.inner_loops(others, vector_axis if nest.vector else lambda: step(places[0], None))
        registers = [
            self.joined([row[position] for row in places], reduction)
            for position, reduction in enumerate(nest.reductions)
        ]
        self.stores(1, None, registers)

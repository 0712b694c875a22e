"""Directives: checked rewrites of a nest that change how it runs and not what it computes.

    reorder(nest)            inner loops go from long strides to short
    coalesce(nest)           neighbouring axes that every access walks as one become one
    vectorize(nest, axis)    the axis becomes the lanes of vectors
    widen(nest, vectors)     several vectors of a reduction are done together
    jam(nest, axis, rows, vectors)  several steps of an outer axis, and vectors, are done together
    pack(nest, axis)         a factor is copied into the order in which tiles read it
    slice_sums(nest, ...)    slices of inner axes are walked around tiles, whose sums wait
    divide_sums(nest, parts) tasks share the first inner axis, each with sums of its own
    schedule(nest)           the recipe for nests without a recipe of their own

before -> after of coalesce, for a contiguous map:

    for i0 in 32 parallel                    for i1 in 25088 parallel
      for i1 in 784                            out0[i1] = exp(in0[i1])
        out0[784*i0 + i1] = exp(in0[784*i0 + i1])
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.ir.dim import Dim, is_known_equal
from thalweg.ir.types import Size
from thalweg.loops.nest import Nest
from thalweg.loops.values import (
    Affine,
    Apply,
    Bound,
    Choice,
    Load,
    Position,
    Register,
    Value,
    indices,
    parts,
)
from thalweg.passes.fuse import LONG_SUM

SCATTER_BLOCKS = 16
"""Blocks of rows of a scatter, each one task."""
SCATTER_ROWS = 4096
"""Rows of a block where their number has a name."""
FEW_TILES = 3
"""Tiles in a task from which their columns are packed."""
FEW_PANELS = 4
"""Panels of columns in a task from which their rows are packed."""
MOST_TILES = 16
"""Tiles of a task at most: packed, they stay in the second cache."""
FEW_TASKS = 8
"""Tasks below which columns are divided among them as well."""
SLICE_BYTES = 1 << 18
"""Bytes that the tiles of a slice share at most: a part of the second cache."""
PAGE = 4096
"""Bytes between elements that fall into one set of a nearest cache."""
COLLISION = 2048
"""Bytes between lines of which only two sets of a nearest cache of 4096 have room for."""
PACKED_SLICE = 256
"""Steps of a slice whose columns are packed: half of the nearest cache."""
LEAST_SLICE = 128
"""Steps of a slice at least, so that loading and storing the sums between costs little."""
KEPT_MATRIX = 1 << 19
"""Bytes of a matrix that a loop reads in place: a part of the second cache."""
SOME_TASKS = 6
"""Tasks of a sliced nest: each reads what it shares with others again."""
PARTS = 8
"""Parts of a sum that threads share, where its results make too few tasks."""
MOST_PARTED = 1 << 16
"""Elements of a result up to which there is one of it for each part, of half as many parts where
they are more than a quarter of that: the parts are written and read once more."""
FEW_ROWS = 7
"""Rows below which another axis is taken for them, where one has more."""


def coalesce(nest: Nest) -> Nest:
    """Join neighbouring outer axes, and neighbouring inner axes, that all accesses walk as one.

    Outer axes that are kept join only one another.
    """
    kept, gone = _joined(nest, nest.outer[: nest.kept])
    outer, first = _joined(nest, nest.outer[nest.kept :])
    nest = _renamed(nest, gone | first, outer=(*kept, *outer), kept=len(kept))
    inner, second = _joined(nest, nest.inner)
    return _renamed(nest, second, inner=inner)


def _joined(
    nest: Nest, axes: Sequence[tuple[str, Size]]
) -> tuple[tuple[tuple[str, Size], ...], dict[str, str]]:
    """The axes after joining, and for each axis that went away the one that it became part of."""
    accesses = nest.accesses()
    result = list(axes)
    gone: dict[str, str] = {}
    position = len(result) - 2
    while position >= 0:
        (above, extent), (below, size) = result[position], result[position + 1]
        if all(each.stride(above) == each.stride(below) * size for each in accesses):
            result[position : position + 2] = [(below, extent * size)]
            gone[above] = below
        position -= 1
    return tuple(result), gone


def _renamed(nest: Nest, gone: dict[str, str], **axes: Any) -> Nest:
    if not gone:
        return nest

    def drop(bound: Bound) -> Bound:
        return replace(bound, index=bound.index.without(gone))

    known: dict[int, Value] = {}

    def walk(value: Value) -> Value:
        found = known.get(id(value))
        if found is None:
            if isinstance(value, Load):
                found = replace(value, position=value.position.without(gone))
            elif isinstance(value, Position):
                found = replace(value, index=value.index.without(gone))
            elif isinstance(value, Apply):
                found = replace(value, args=tuple(walk(arg) for arg in value.args))
            elif isinstance(value, Choice):
                found = replace(
                    value,
                    bounds=tuple(map(drop, value.bounds)),
                    inside=walk(value.inside),
                    outside=walk(value.outside),
                )
            else:
                found = value
            known[id(value)] = found
        return found

    return replace(
        nest,
        reductions=tuple(replace(each, value=walk(each.value)) for each in nest.reductions),
        stores=tuple(
            replace(each, position=each.position.without(gone), value=walk(each.value))
            for each in nest.stores
        ),
        lets=tuple((name, walk(value)) for name, value in nest.lets),
        where=tuple(map(drop, nest.where)),
        **axes,
    )


def reorder(nest: Nest) -> Nest:
    """Order the inner loops from long strides to short, so that memory is walked along its lines.

    before                       after, for x[1024*n + p]
    for p in 32                  for n in 8
      for n in 8                   for p in 32
    """
    positions = nest.memory()

    def length(axis: tuple[str, Size]) -> int:
        strides = [position.stride(axis[0]) for position in positions]
        return -sum(abs(each) for each in strides if isinstance(each, int))

    if any(isinstance(each.stride(axis), Dim) for axis, _ in nest.inner for each in positions):
        return nest
    return replace(nest, inner=tuple(sorted(nest.inner, key=length)))


def vectorize(nest: Nest, axis: str) -> Nest:
    """Compute several neighbouring steps of an axis at once, as the lanes of a vector.

    Refused for an axis that a store does not walk by one, unless it is an inner axis.
    """
    if axis in dict(nest.inner):
        return replace(nest, vector=axis)
    if axis not in dict(nest.outer):
        raise ArgumentError(explain("vectorize", "an axis of the nest", axis))
    if any(store.position.stride(axis) != 1 for store in nest.stores):
        raise ArgumentError(explain("vectorize", "an axis that every store walks by one", axis))
    return replace(nest, vector=axis)


def jam(nest: Nest, axis: str, rows: int, vectors: int) -> Nest:
    """Compute `rows` steps of an outer axis and `vectors` vectors at once.

    before                                   after, rows=2
    for i in 8                               for i in 8 by 2
      r = 0                                    r0 = 0; r1 = 0
      for k in 64                              for k in 64
        r += a[i, k] * b[k, vector]              r0 += a[i, k] * b[k, vector]
                                                 r1 += a[i+1, k] * b[k, vector]
    """
    if axis not in dict(nest.outer) or axis == nest.vector:
        raise ArgumentError(explain("jam", "an outer axis other than the vector axis", axis))
    if rows < 1 or vectors < 1:
        raise ArgumentError(explain("jam", "at least one row and vector", f"{rows}, {vectors}"))
    return replace(nest, rows=(axis, rows), vectors=vectors)


def pack(nest: Nest, axis: str) -> Nest:
    """Copy the factor that walks along an axis of a tile, in the order in which tiles read it.

    before                                   after
    for i in 512 rows x8                     for i in 512 rows x8
      for j in 512 vector x2                   for j in 512 vector x2 packed
        for k in 1024                            p[k, 2 vectors] = b[k, j]    once for each task
          r += a[i, k] * b[k, j]                 for k in 1024
                                                   r += a[i, k] * p[k, 2 vectors]
    """
    if nest.rows is None or axis not in (nest.rows[0], nest.vector):
        raise ArgumentError(explain("pack", "the axis of rows or of vectors", axis))
    if factor_along(nest, axis) is None:
        raise ArgumentError(explain("pack", "an axis that one plain factor walks along", axis))
    return replace(nest, packed=(*nest.packed, axis))


def factor_along(nest: Nest, axis: str) -> int | None:
    """Which factor of a contraction walks along an axis of its tiles and could be packed.

    None where both do, or where it is more than an element of memory, or not read in every step.
    """
    if nest.where or nest.lets or not is_contraction(nest) or nest.rows is None:
        return None
    other = nest.rows[0] if axis == nest.vector else nest.vector
    product = nest.reductions[0].value
    assert isinstance(product, Apply) and other is not None
    walking = [
        place
        for place, factor in enumerate(product.args)
        if any(at.stride(axis) != 0 for part in parts([factor]) for at in indices(part))
    ]
    if len(walking) != 1:
        return None
    (place,) = walking
    factor = product.args[place]
    if isinstance(factor, Apply) and factor.op == "cast":
        (factor,) = factor.args
    if not isinstance(factor, Load) or factor.position.stride(other) != 0:
        return None
    return place


def widen(nest: Nest, vectors: int) -> Nest:
    """Reduce several vectors of neighbouring outputs at once.

    before                        after, vectors=2
    for i vector                  for i vector x2
      r = 0                         r0 = 0; r1 = 0
      for k in 64                   for k in 64
        r += a[k, i]                  r0 += a[k, i]
                                      r1 += a[k, i + lanes]
    """
    if nest.vector not in dict(nest.outer) or not nest.reductions or nest.rows:
        raise ArgumentError(explain("widen", "reductions along vectors of outputs", nest.name))
    if vectors < 1:
        raise ArgumentError(explain("widen", "at least one vector", f"{vectors}"))
    return replace(nest, vectors=vectors)


def best_rows(extent: Size, most: int) -> int:
    """The number of rows up to `most` that makes the fewest tiles, and of those the fullest."""
    if not isinstance(extent, int):
        return min(8, most)
    if extent <= most:
        return max(1, extent)
    return min(range(most, most // 2, -1), key=lambda rows: (-(-extent // rows), rows))


def is_contraction(nest: Nest) -> bool:
    """True for a nest whose one reduction sums products."""
    if len(nest.reductions) != 1 or nest.reductions[0].op != "add":
        return False
    value = nest.reductions[0].value
    return isinstance(value, Apply) and value.op == "multiply"


def keep(nest: Nest, axes: int) -> Nest:
    """Make each step of the first outer axes a task by itself, or some tasks in a row."""
    if not 0 < axes <= len(nest.outer):
        raise ArgumentError(explain("keep", f"1 to {len(nest.outer)} outer axes", f"{axes}"))
    return replace(nest, kept=axes)


def schedule(nest: Nest, lanes: int = 16, registers: int = 32, is_inner: bool = False) -> Nest:
    """Coalesce, choose the vector axis, and for contractions the rows that share it.

    `lanes` is how many elements a vector register holds, `registers` how many of them there are;
    `is_inner` says that it is part of a loop, which does it again with the same matrix.
    """
    if nest.update:
        return _schedule_scatter(nest)
    nest = coalesce(reorder(nest) if is_contraction(nest) else nest)
    positions = _walked(nest)

    def neighbours(axis: str) -> int:
        return sum(each.stride(axis) == 1 and axis not in moved for each, moved in positions)

    candidates = [
        axis
        for axis, _ in nest.outer[nest.kept :]
        if all(store.position.stride(axis) == 1 for store in nest.stores)
    ]
    if not nest.is_running:
        candidates += [axis for axis, _ in nest.inner]
    if not candidates:
        return nest
    # Among equals the last: the inner axis of a reduction keeps its lanes busy longest.
    best = max(candidates, key=lambda axis: (neighbours(axis), candidates.index(axis)))
    if not neighbours(best):
        return nest
    if best in dict(nest.inner) and is_contraction(nest):
        best = _turnable(nest, candidates, lanes, registers) or best
    nest = vectorize(nest, best)
    if best not in dict(nest.outer) or nest.is_running:
        return nest
    if not nest.reductions:
        return _by_blocks(nest, lanes)
    if not is_contraction(nest):
        # Wide strips read longer runs of memory; long bodies would make much code of them.
        return widen(nest, 8 if len(positions) <= 3 else 2)
    if len(nest.outer) - nest.kept == 1:
        return widen(nest, 8)
    tiled = _tiled(nest, lanes, registers)
    return _by_tiles(nest, tiled) if is_inner else tiled


def _by_tiles(plain: Nest, tiled: Nest) -> Nest:
    """Tasks of one tile of few rows, which read in place what they share.

    A thread then has the same rows of all that a loop does, and what they share stays in its
    caches from one step to the next.
    """
    assert tiled.rows is not None and tiled.vector is not None
    axis, rows = tiled.rows
    extent = dict(plain.outer)[axis]
    is_few = not isinstance(extent, int) or extent <= rows * MOST_TILES
    lies_along = _lies_along(tiled, [tiled.vector])
    shared = [dict(plain.outer)[tiled.vector], *(size for _, size in plain.inner)]
    bytes = math.prod(shared) * plain.reductions[0].dtype.itemsize
    fits = isinstance(bytes, int) and bytes <= KEPT_MATRIX
    if not is_few or not lies_along or not fits or tiled.slices:
        return tiled
    return replace(tiled, block=(1, None), packed=())


def _turnable(nest: Nest, candidates: Sequence[str], lanes: int, registers: int) -> str | None:
    """An outer axis whose factor is turned while it is packed, where that is done."""
    for axis in candidates:
        if axis in dict(nest.outer) and len(nest.outer) - nest.kept > 1:
            tiled = _tiled(vectorize(nest, axis), lanes, registers)
            if axis in tiled.packed:
                return axis
    return None


def _tiled(nest: Nest, lanes: int, registers: int) -> Nest:
    """A contraction in tiles of rows and vectors that fit the registers."""
    assert nest.vector is not None
    others = [(axis, size) for axis, size in nest.outer[nest.kept :] if axis != nest.vector]
    extent = dict(nest.outer)[nest.vector]
    vectors = _vectors(extent, [size for _, size in others], lanes, registers)
    # One register for each row and vector, the vectors that are loaded, and one broadcast; vectors
    # of complex numbers are there turned, too, and the broadcast is in two parts.
    loaded = 2 if nest.reductions[0].dtype.is_complex else 1
    free = registers - loaded * (vectors + 1) if registers > 16 else 12 - 4 * (loaded - 1)
    most = max(1, free // vectors)
    rows = {axis: best_rows(size, min(most, 28 // vectors)) for axis, size in others}
    # Rows along groups, or a batch, would have nothing in common.
    shared = [each for each in rows if _is_shared(nest, each)] or list(rows)
    axis = shared[-1]
    if rows[axis] < FEW_ROWS:
        # A kernel gradient's last axes are the places of a small kernel: too few to share much.
        axis = max(reversed(shared), key=lambda each: rows[each])
    nest = jam(nest, axis, rows[axis], vectors)
    return _sliced(nest, lanes) or _divided(nest, lanes)


def _is_shared(nest: Nest, axis: str) -> bool:
    """True where a factor of a contraction is the same for all steps of an axis."""
    product = nest.reductions[0].value
    assert isinstance(product, Apply)
    return any(
        all(at.stride(axis) == 0 for part in parts([factor]) for at in indices(part))
        for factor in product.args
    )


def slice_sums(nest: Nest, depth: int, count: int, swept: Sequence[str]) -> Nest:
    """Walk slices of the inner axes around tiles, and some outer axes within each slice.

    before                                after, depth=2, count=8, swept=j
    for j in 3                            for i in 32 rows x8
      for i in 32 rows x8                   for k in 64 sliced
        for k in 64                           for m in 24 sliced by 8
          for m in 24                           for j in 3 swept
            r += a[k, m, i] * b[k, m, j, v]       r = out; 8 steps of r += ...; out = r
        out = r
    """
    if not 1 <= depth <= len(nest.inner) or count < 1:
        raise ArgumentError(explain("slice_sums", "inner axes and some steps", f"{depth}, {count}"))
    others = {axis for axis, _ in nest.outer} - {nest.vector, nest.rows and nest.rows[0]}
    if not set(swept) <= others:
        raise ArgumentError(explain("slice_sums", "outer axes to sweep", ", ".join(swept)))
    if not _holds_sums(nest):
        raise ArgumentError(explain("slice_sums", "sums that are stored as they are", nest.name))
    return replace(nest, slices=(depth, count), swept=tuple(swept))


def divide_sums(nest: Nest, parts: int) -> Nest:
    """Give each part of a sliced sum a result of its own, which another nest has to add up.

    before                            after, parts=8
    for i in 16 rows x8               for part in 8
      for j in 16 vector                for i in 16 rows x8
        for k in 4096 sliced by 128       for j in 16 vector
          r += a[k, i] * b[k, j]            for k in 4096 sliced by 128, 512 for each part
      out[16*i + j] = r                       r += a[k, i] * b[k, j]
                                          out[256*part + 16*i + j] = r
    """
    size = nest.outputs[0].size
    if nest.slices is None or nest.parts or not isinstance(size, int):
        raise ArgumentError(explain("divide_sums", "slices, and a result of known size", nest.name))
    if parts < 2:
        raise ArgumentError(explain("divide_sums", "two parts or more", f"{parts}"))
    (store,), (type,) = nest.stores, nest.outputs
    return replace(
        nest,
        outer=(("part", parts), *nest.outer),
        outputs=(type.with_shape((parts, *type.shape)),),
        stores=(replace(store, position=store.position + Affine.axis("part") * size),),
        parts=parts,
    )


def _holds_sums(nest: Nest) -> bool:
    """True where the output holds the very sums, so that they can wait there."""
    if not is_contraction(nest) or len(nest.stores) != 1 or not nest.rows or not nest.inner:
        return False
    (store,) = nest.stores
    is_packed = bool(nest.packed) and (len(nest.inner) > 1 or nest.rows[0] in nest.packed)
    is_plain = isinstance(store.value, Register) and not is_packed and not nest.lets
    return is_plain and store.dtype is nest.reductions[0].dtype and store.dtype.bits >= 32


def _lies_along(nest: Nest, axes: Sequence[str | None]) -> bool:
    """True where what each factor has for neighbouring steps of its axis lies side by side."""
    loads = [part for part in parts([nest.reductions[0].value]) if isinstance(part, Load)]
    strides = [load.position.stride(axis) for load in loads for axis in axes if axis]
    return all(stride in (0, 1) for stride in strides)


def _collides(nest: Nest) -> bool:
    """True where the rows of one step and of the next fall into few places of the nearest cache."""
    assert nest.rows is not None
    row, step = nest.rows[0], nest.inner[-1][0]
    loads = [part for part in parts([nest.reductions[0].value]) if isinstance(part, Load)]
    strides = [
        load.position.stride(step) * load.dtype.itemsize
        for load in loads
        if load.position.stride(row) == 1
    ]
    return any(not isinstance(each, int) or each % COLLISION == 0 for each in strides)


def _shares_places(nest: Nest) -> bool:
    """True where a step's elements of the rows of a tile fall into one place of a cache's page."""
    assert nest.rows is not None
    loads = [part for part in parts([nest.reductions[0].value]) if isinstance(part, Load)]
    strides = [load.position.stride(nest.rows[0]) * load.dtype.itemsize for load in loads]
    return any(not isinstance(each, int) or (each and each % PAGE == 0) for each in strides)


def _sliced(nest: Nest, lanes: int) -> Nest | None:
    """Slices for long sums along several axes, as gradients of a kernel are; None for others.

    What tiles share then stays in a near cache from one to the next.
    """
    assert nest.rows is not None
    assert nest.vector is not None
    extents, (axis, rows), vector = dict(nest.outer), nest.rows, nest.vector
    if nest.kept or not _holds_sums(nest) or not _lies_along(nest, [vector]):
        return None
    if any(isinstance(size, Dim) for size in extents.values()):
        return None
    if len(nest.inner) == 1:
        if not _lies_along(nest, [axis]) or _collides(nest):
            return None
        if factor_along(nest, vector) is not None:
            nest = pack(nest, vector)
    known = [size for _, size in nest.inner if isinstance(size, int)]
    if len(known) == len(nest.inner) and math.prod(known) < LONG_SUM:
        return None
    item = nest.reductions[0].dtype.itemsize
    most = max(LEAST_SLICE, SLICE_BYTES // (item * (extents[axis] + extents[vector])))
    if nest.packed:
        most = PACKED_SLICE
    depth, inside = len(nest.inner), 1
    while depth > 1 and isinstance(size := nest.inner[depth - 1][1], int) and inside * size <= most:
        inside *= size
        depth -= 1
    count = max(1, most // inside)
    if isinstance(size := nest.inner[depth - 1][1], int):
        count = -(-size // -(-size // min(count, size)))
    # The tasks: columns and rows apart, which are read again in part, then the other axes.
    panels = -(-extents[vector] // (nest.vectors * lanes))
    tiles = -(-extents[axis] // rows)
    parts = min(panels, SOME_TASKS)
    blocks = min(tiles, -(-SOME_TASKS // parts))
    columns, height = -(-panels // parts), -(-tiles // blocks)
    tasks = -(-panels // columns) * -(-tiles // height)
    swept = [name for name, _ in nest.outer if name not in (axis, vector)]
    first = nest.inner[0][1]
    results = math.prod(extents.values())
    shares = PARTS if results <= MOST_PARTED // 4 else PARTS // 2
    is_many = not isinstance(first, int) or first >= shares * (count if depth == 1 else 1)
    if is_many and results <= MOST_PARTED:
        nest = replace(nest, block=(tiles, None))
        return divide_sums(slice_sums(nest, depth, count, swept), shares)
    while swept and tasks < SOME_TASKS:
        tasks *= extents[swept.pop(0)]
    nest = replace(nest, block=(height, None if columns >= panels else columns))
    return slice_sums(nest, depth, count, swept)


def _vectors(extent: Size, others: Sequence[Size], lanes: int, registers: int) -> int:
    """The vectors of a tile: few where rows share them, many where there is but one row."""
    if not isinstance(extent, int):
        return 2
    most = registers // 2 if all(is_known_equal(size, 1) for size in others) else 2
    return max(1, min(most, -(-extent // lanes)))


def _divided(nest: Nest, lanes: int) -> Nest:
    """Divide the work into tasks, and pack what the tiles of one read often enough."""
    assert nest.rows is not None
    assert nest.vector is not None
    axis, rows = nest.rows
    vector = nest.vector
    outer = dict(nest.outer)
    extent, width = outer[vector], nest.vectors * lanes
    if not isinstance(extent, int) or factor_along(nest, vector) is None:
        return nest
    panels = -(-extent // width)
    # Of a size with a name nothing is known: often it is a batch of some dozen rows.
    tiles = -(-size // rows) if isinstance(size := outer[axis], int) else FEW_TILES
    blocks = max(1, -(-tiles // MOST_TILES))
    tasks = blocks
    for name, size in nest.outer:
        if name not in (axis, vector):
            tasks *= size if isinstance(size, int) else FEW_TASKS
    parts = max(1, min(-(-FEW_TASKS // max(1, tasks)), panels // 2 if tiles > 1 else panels))
    columns = -(-panels // parts)
    height = -(-tiles // blocks) if isinstance(outer[axis], int) else MOST_TILES
    nest = replace(nest, block=(max(1, height), None if columns >= panels else columns))
    if tiles >= FEW_TILES and panels > 1:
        nest = pack(nest, vector)
    # Rows that lie side by side are a line for each step, and the lines are far apart.
    lies_along = _lies_along(nest, [axis])
    few = 2 if lies_along else FEW_PANELS
    is_wanted = columns >= few and (lies_along or _shares_places(nest))
    if is_wanted and tiles > 1 and factor_along(nest, axis) is not None:
        nest = pack(nest, axis)
    return nest


def _by_blocks(nest: Nest, lanes: int) -> Nest:
    """Rows for what is turned, so that the lines that a vector touches are read to their end."""
    assert nest.vector is not None
    for position in nest.memory():
        if position.stride(nest.vector) in (0, 1):
            continue
        for axis, _ in nest.outer[nest.kept :]:
            if axis != nest.vector and position.stride(axis) == 1:
                return jam(nest, axis, lanes, 1)
    return nest


def _walked(nest: Nest) -> list[tuple[Affine, set[str]]]:
    """Every position in memory, with the axes along which an index in it moves that is data."""
    lets = dict(nest.lets)
    moved: dict[str, set[str]] = {}
    for name, value in nest.lets:
        found: set[str] = set()
        for at in [each for part in parts([value]) for each in indices(part)]:
            for each, _ in at.terms:
                found |= moved[each] if each in lets else {each}
        moved[name] = found
    return [
        (at, set().union(*(moved[name] for name, _ in at.terms if name in lets)))
        for at in nest.memory()
    ]


def _schedule_scatter(nest: Nest) -> Nest:
    """Blocks of rows, and vectors along the last axis."""
    assert nest.rows is not None and nest.update is not None
    axis = nest.rows[0]
    extent = dict(nest.outer)[axis]
    # Each block looks at every index: many blocks are for updates that are long themselves.
    blocks = SCATTER_BLOCKS if nest.update.axes else 1
    rows = max(1, -(-extent // blocks)) if isinstance(extent, int) else SCATTER_ROWS
    return replace(nest, rows=(axis, rows), vector=nest.outer[-1][0])

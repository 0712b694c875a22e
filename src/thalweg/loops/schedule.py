"""Directives: checked rewrites of a nest that change how it runs and not what it computes.

    reorder(nest)            inner loops go from long strides to short
    coalesce(nest)           neighbouring axes that every access walks as one become one
    vectorize(nest, axis)    the axis becomes the lanes of vectors
    widen(nest, vectors)     several vectors of a reduction are done together
    jam(nest, axis, rows, vectors)  several steps of an outer axis, and vectors, are done together
    schedule(nest)           the recipe for nests without a recipe of their own

before -> after of coalesce, for a contiguous map:

    for i0 in 32 parallel                    for i1 in 25088 parallel
      for i1 in 784                            out0[i1] = exp(in0[i1])
        out0[784*i0 + i1] = exp(in0[784*i0 + i1])
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.ir.dim import Dim
from thalweg.ir.types import Size
from thalweg.loops.nest import Nest
from thalweg.loops.values import (
    Affine,
    Apply,
    Bound,
    Choice,
    Load,
    Position,
    Value,
    indices,
    parts,
)

SCATTER_BLOCKS = 16
"""Blocks of rows of a scatter, each one task."""
SCATTER_ROWS = 4096
"""Rows of a block where their number has a name."""
FEW_ROWS = 7
"""Rows below which another axis is taken for them, where one has more."""


def coalesce(nest: Nest) -> Nest:
    """Join neighbouring outer axes, and neighbouring inner axes, that all accesses walk as one."""
    outer, first = _joined(nest, nest.outer)
    nest = _renamed(nest, first, outer=outer)
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


def schedule(nest: Nest, lanes: int = 16, registers: int = 32) -> Nest:
    """Coalesce, choose the vector axis, and for contractions the rows that share it.

    `lanes` is how many elements a vector register holds, `registers` how many of them there are.
    """
    if nest.update:
        return _schedule_scatter(nest)
    nest = coalesce(reorder(nest) if is_contraction(nest) else nest)
    positions = _walked(nest)

    def neighbours(axis: str) -> int:
        return sum(each.stride(axis) == 1 and axis not in moved for each, moved in positions)

    candidates = [
        axis
        for axis, _ in nest.outer
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
    nest = vectorize(nest, best)
    if best not in dict(nest.outer) or nest.is_running:
        return nest
    if not nest.reductions:
        return _by_blocks(nest, lanes)
    if not is_contraction(nest):
        # Wide strips read longer runs of memory; long bodies would make much code of them.
        return widen(nest, 8 if len(positions) <= 3 else 2)
    others = [(axis, size) for axis, size in nest.outer if axis != best]
    if not others:
        return widen(nest, 8)
    extent = dict(nest.outer)[best]
    vectors = 1 if isinstance(extent, int) and extent <= lanes else 2
    # One register for each row and vector, the vectors that are loaded, and one broadcast.
    most = (registers - vectors - 1) // vectors if registers > 16 else 12 // vectors
    rows = {axis: best_rows(size, min(most, 14)) for axis, size in others}
    axis = others[-1][0]
    if rows[axis] < FEW_ROWS:
        # A kernel gradient's last axes are the places of a small kernel: too few to share much.
        axis = max(reversed(rows), key=lambda each: rows[each])
    return jam(nest, axis, rows[axis], vectors)


def _by_blocks(nest: Nest, lanes: int) -> Nest:
    """Rows for what is turned, so that the lines that a vector touches are read to their end."""
    assert nest.vector is not None
    for position in nest.memory():
        if position.stride(nest.vector) in (0, 1):
            continue
        for axis, _ in nest.outer:
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

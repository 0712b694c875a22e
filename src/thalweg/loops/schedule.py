"""Directives: checked rewrites of a nest that change how it runs and not what it computes.

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
from thalweg.ir.types import Size
from thalweg.loops.nest import Affine, Apply, Load, Nest, Position, Value

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

    def drop(position: Affine) -> Affine:
        terms = tuple((name, stride) for name, stride in position.terms if name not in gone)
        return Affine(terms, position.constant)

    known: dict[int, Value] = {}

    def walk(value: Value) -> Value:
        found = known.get(id(value))
        if found is None:
            if isinstance(value, Load):
                found = replace(value, position=drop(value.position))
            elif isinstance(value, Position):
                found = replace(value, index=drop(value.index))
            elif isinstance(value, Apply):
                found = replace(value, args=tuple(walk(arg) for arg in value.args))
            else:
                found = value
            known[id(value)] = found
        return found

    return replace(
        nest,
        reductions=tuple(replace(each, value=walk(each.value)) for each in nest.reductions),
        stores=tuple(
            replace(each, position=drop(each.position), value=walk(each.value))
            for each in nest.stores
        ),
        **axes,
    )


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
    nest = coalesce(nest)
    accesses = nest.accesses()

    def neighbours(axis: str) -> int:
        return sum(each.stride(axis) == 1 for each in accesses)

    candidates = [
        axis
        for axis, _ in nest.outer
        if all(store.position.stride(axis) == 1 for store in nest.stores)
    ]
    candidates += [axis for axis, _ in nest.inner]
    if not candidates:
        return nest
    # Among equals the last: the inner axis of a reduction keeps its lanes busy longest.
    best = max(candidates, key=lambda axis: (neighbours(axis), candidates.index(axis)))
    if not neighbours(best):
        return nest
    nest = vectorize(nest, best)
    if best not in dict(nest.outer) or not nest.reductions:
        return nest
    if not is_contraction(nest):
        # Wide strips read longer runs of memory; long bodies would make much code of them.
        return widen(nest, 8 if len(accesses) <= 3 else 2)
    others = [(axis, size) for axis, size in nest.outer if axis != best]
    if not others:
        return nest
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

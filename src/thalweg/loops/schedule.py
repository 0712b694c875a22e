"""Directives: checked rewrites of a nest that change how it runs and not what it computes.

    coalesce(nest)           neighbouring axes that every access walks as one become one
    vectorize(nest, axis)    the axis becomes the lanes of vectors
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


def schedule(nest: Nest) -> Nest:
    """Coalesce, and take as lanes the axis along which most accesses are neighbours."""
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
    return vectorize(nest, best) if neighbours(best) else nest

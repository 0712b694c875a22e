"""Nested structures of leaves: lists, tuples, named tuples, dicts, and None, in any mixture.

    leaves, structure = flatten(value);  value == unflatten(structure, leaves)

Dicts are walked in sorted key order where keys sort, else in insertion order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.base.errors import ArgumentError, explain


@dataclass(frozen=True, slots=True)
class Structure:
    """The shape of a nested value without its leaves; hashable."""

    kind: Any
    keys: tuple
    children: tuple["Structure", ...]
    count: int

    def __str__(self) -> str:
        if self.kind is None:
            return "*"
        if self.kind is type(None):
            return "None"
        inner = ", ".join(
            f"{key}: {child}" if self.kind is dict else str(child)
            for key, child in zip(self.keys or self.children, self.children, strict=True)
        )
        opening, closing = {list: ("[", "]"), dict: ("{", "}")}.get(self.kind, ("(", ")"))
        return f"{opening}{inner}{closing}"


LEAF = Structure(None, (), (), 1)
NOTHING = Structure(type(None), (), (), 0)


def flatten(value: Any) -> tuple[list[Any], Structure]:
    """The leaves of a nested value, and its structure."""
    leaves: list[Any] = []
    return leaves, _flatten(value, leaves)


def _flatten(value: Any, leaves: list[Any]) -> Structure:
    kind = type(value)
    if value is None:
        return NOTHING
    if isinstance(value, dict):
        keys = _ordered(value)
        children = tuple([_flatten(value[key], leaves) for key in keys])
        return Structure(dict, tuple(keys), children, sum(child.count for child in children))
    if kind is list or isinstance(value, tuple):
        children = tuple([_flatten(each, leaves) for each in value])
        return Structure(kind, (), children, sum(child.count for child in children))
    leaves.append(value)
    return LEAF


def _ordered(value: dict) -> list:
    try:
        return sorted(value)
    except TypeError:
        return list(value)


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The nested value of a structure and its leaves."""
    if len(leaves) != structure.count:
        raise ArgumentError(
            explain("unflatten", f"{structure.count} leaves for {structure}", f"{len(leaves)}")
        )
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return next(leaves)
    if kind is type(None):
        return None
    children = [_unflatten(child, leaves) for child in structure.children]
    if kind is dict:
        return dict(zip(structure.keys, children, strict=True))
    if hasattr(kind, "_fields"):
        return kind(*children)
    return kind(children)


def map_leaves(function: Callable, value: Any, *others: Any) -> Any:
    """The nested value with `function` applied to its leaves; `others` share its structure."""
    leaves, structure = flatten(value)
    columns = [leaves]
    for other in others:
        found, theirs = flatten(other)
        if theirs != structure:
            raise ArgumentError(
                explain("map_leaves", f"values of equal structure, {structure}", str(theirs))
            )
        columns.append(found)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])

"""`rearrange`: axes by name, split, put together and put in another order."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.array import manipulation
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import Dim, is_known_equal
from thalweg.keras.operation import op
from thalweg.keras.variable import tensor as to_tensor

Group = tuple[str, ...]
"""The names of the axes that one axis of a tensor is made of; none for an axis of size 1."""

_TOKEN = re.compile(r"\s*(\(|\)|\.\.\.|[A-Za-z_]\w*|1\b)")
_REST = "..."


@op(data=("tensor", "pattern", "axes_lengths"))
def rearrange(tensor: Any, pattern: str, **axes_lengths: Any) -> Tensor:
    """A tensor with its axes in another order, split or put together: "b (h w) c -> b c h w".

    `pattern` names the axes before and after; parentheses make one axis of several, "..." stands
    for any number of axes, 1 for an axis of size 1. Of the sizes of a split axis all but one are
    given by name: h=4.
    """
    x = to_tensor(tensor)
    before, after = _parsed(pattern, x.ndim)
    lengths = _lengths(pattern, before, x.shape, axes_lengths)
    names = [name for group in before for name in group]
    x = manipulation.reshape(x, tuple(lengths[name] for name in names))
    order = [names.index(name) for group in after for name in group]
    x = manipulation.permute_dims(x, tuple(order))
    return manipulation.reshape(
        x, tuple(math.prod(lengths[name] for name in group) for group in after)
    )


def _parsed(pattern: str, rank: int) -> tuple[list[Group], list[Group]]:
    sides = pattern.split("->")
    if len(sides) != 2:
        raise _refused(pattern, "one arrow", f"{len(sides) - 1} arrows")
    before, after = (_groups(pattern, side) for side in sides)
    if (_REST,) in before:
        at = before.index((_REST,))
        several = [(f"{_REST}{i}",) for i in range(rank - len(before) + 1)]
        before[at : at + 1] = several
        after = [each for group in after for each in _spread(group, several)]
    if len(before) != rank:
        raise ShapeError(
            explain(
                "rearrange", f"a tensor of {len(before)} axes, as {pattern!r} says", f"{rank} axes"
            )
        )
    names = [[name for group in side for name in group] for side in (before, after)]
    for side in names:
        if len(set(side)) < len(side):
            raise _refused(pattern, "each name once on a side", f"{' '.join(side)}")
    if set(names[0]) != set(names[1]):
        raise _refused(
            pattern,
            "the same names on both sides",
            f"{' '.join(sorted(set(names[0]) ^ set(names[1])))} on one of them",
        )
    return before, after


def _spread(group: Group, several: Sequence[Group]) -> list[Group]:
    """A group in which "..." has become the axes that it stands for."""
    inner = [name for (name,) in several]
    if group == (_REST,):
        return list(several)
    if _REST in group:
        at = group.index(_REST)
        return [(*group[:at], *inner, *group[at + 1 :])]
    return [group]


def _groups(pattern: str, side: str) -> list[Group]:
    found: list[Group] = []
    inner: list[str] | None = None
    position, side = 0, side.rstrip()
    while position < len(side):
        match = _TOKEN.match(side, position)
        if match is None:
            raise _refused(pattern, "names, parentheses, ... and 1", repr(side[position:].strip()))
        position, token = match.end(), match[1]
        if (token == "(") == (inner is not None) and token in "()":
            raise _refused(pattern, "parentheses that match and do not nest", repr(side.strip()))
        if token == "(":
            inner = []
        elif token == ")":
            found.append(tuple(inner or ()))
            inner = None
        else:
            names = () if token == "1" else (token,)
            if inner is None:
                found.append(names)
            else:
                inner.extend(names)
    if inner is not None:
        raise _refused(pattern, "parentheses that match", repr(side.strip()))
    return found


def _lengths(
    pattern: str, before: Sequence[Group], shape: Sequence[Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The size of each name."""
    found = {name: size.__index__() for name, size in given.items() if not isinstance(size, Dim)}
    found |= {name: size for name, size in given.items() if isinstance(size, Dim)}
    for group, size in zip(before, shape, strict=True):
        unknown = [name for name in group if name not in found]
        known = math.prod(found[name] for name in group if name in found)
        if len(unknown) > 1:
            raise _refused(
                pattern,
                f"all but one of the sizes of ({' '.join(group)})",
                f"none for {' and '.join(unknown)}",
                f"Write rearrange(x, {pattern!r}, {unknown[0]}=...).",
            )
        if unknown:
            if known == 0 or not is_known_equal(size % known, 0):
                raise _mismatch(pattern, group, size, found)
            found[unknown[0]] = size // known
        elif not is_known_equal(known, size):
            raise _mismatch(pattern, group, size, found)
    return found


def _mismatch(pattern: str, group: Group, size: Any, found: Mapping[str, Any]) -> ShapeError:
    sizes = ", ".join(f"{name}={found[name]}" for name in group if name in found)
    return ShapeError(
        explain(
            "rearrange",
            f"an axis ({' '.join(group)}) that divides as {pattern!r} says",
            f"an axis of size {size} with {sizes or 'no sizes given'}",
        )
    )


def _refused(pattern: str, wanted: str, received: str, do: str = "") -> ArgumentError:
    return ArgumentError(explain("rearrange", wanted, f"{received} in {pattern!r}", do))

"""The first value that is not finite: found where it arises, and told with the user's line.

The interpreter asks here when the option `stop_at_nonfinite` is on. A NaN stops it wherever one
appears in a result; an infinity only where an operation makes it of finite operands, because one
that was given or written down, as in a mask, is meant. A NaN that was given is told as such.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import CheckError, explain
from thalweg.base.frames import describe
from thalweg.ir.leaves import Tag, constant, item, parameter
from thalweg.ir.node import Node, provenance
from thalweg.ir.types import TensorType


def describe_nonfinite(type: TensorType, array: np.ndarray) -> str:
    """How many values of an array are not finite, and where the first of them stands."""
    is_nan, is_infinite = np.isnan(array), np.isinf(array)
    parts = []
    for count, one, many in (
        (np.count_nonzero(is_nan), "NaN", "NaNs"),
        (np.count_nonzero(is_infinite), "infinity", "infinities"),
    ):
        if count:
            parts.append(f"{count} {one if count == 1 else many}")
    first = tuple(int(place) for place in np.argwhere(is_nan | is_infinite)[0])
    value = array[first]
    if not first:
        return f"{type} that is {value}"
    counted = " and ".join(parts)
    return f"{type} with {counted} among {array.size} values, the first at {list(first)}: {value}"


def check_given(node: Node, array: np.ndarray) -> None:
    """Raise CheckError where a value that the interpreter was given holds NaN."""
    if isinstance(node.type, tuple) or not node.type.dtype.is_inexact or not np.isnan(array).any():
        return
    if node.op is parameter:
        name = node.attrs[0]
        is_tag = isinstance(name, Tag)
        what = f"input {name.name if is_tag else name}"
        do = "The NaN was given, not computed: clean the data first, or write nan_to_num(x)."
        # All of one name and type share the parameter of a Function, so it has no line of its own.
        where = _place(node) if is_tag else None
    else:
        what, where = node.op.name, _place(node)
        do = "It was computed before the check was switched on."
    raise CheckError(
        explain(what, "values without NaN", describe_nonfinite(node.type, array), do), where
    )


def check_made(node: Node, value: Any, args: Sequence[Any]) -> None:
    """Raise CheckError where an operation makes NaN, or an infinity of finite operands.

    What an op that holds Functions returns was made, and checked, inside of it.
    """
    if node.op is constant or node.op is item or node.op.higher_order:
        return
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    found = value if isinstance(node.type, tuple) else (value,)
    for type, array in zip(types, found, strict=True):
        if not type.dtype.is_inexact or np.isfinite(array).all():
            continue
        holed, endless = (
            [position for position, operand in _inexact(node, args) if test(operand).any()]
            for test in (np.isnan, np.isinf)
        )
        if (holed or endless) and not np.isnan(array).any():
            continue
        do = "All its operands are finite: it begins here."
        if holed or endless:
            what = "A NaN that was written down" if holed else "An infinity that was meant"
            operands = " and ".join(f"operand {position}" for position in holed or endless)
            do = f"{what} reached it, by {operands}."
        received = describe_nonfinite(type, array)
        raise CheckError(explain(node.op.name, "a finite result", received, do), _place(node))


def _inexact(node: Node, args: Sequence[Any]) -> Iterator[tuple[int, np.ndarray]]:
    """The operands that can hold what is not finite, by position."""
    for position, (arg, array) in enumerate(zip(node.args, args, strict=True)):
        if arg.type.dtype.is_inexact:
            yield position, array


def _place(node: Node) -> str:
    origin = provenance(node)
    place = describe(origin.place) if origin.place else ""
    return f"{place}, in layer {origin.layer}" if origin.layer else place

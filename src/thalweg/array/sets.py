"""Sets: the distinct values of an array.

Names and results are those of the Python Array API standard 2024.12, section "Set functions";
`unique` follows NumPy. How many values are distinct depends on data: the values are computed, and
refused while they are traced. What is returned of them is looked up in x, so derivatives flow.

Values come in ascending order. For the standard's functions no NaN equals another; 0 equals -0.
Positions and counts are int64.
"""

from typing import Any, NamedTuple

import numpy as np

from thalweg.array.manipulation import flat, operand, values_now
from thalweg.array.operands import axis_of, from_array
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.ops.index import take
from thalweg.ops.reduce import widen

# The standard -------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """The result of `unique_all`."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The result of `unique_counts`."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The result of `unique_inverse`."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Any, /) -> UniqueAll:
    """The distinct values, where each stands first in the flattened x, which of them stands at each
    place of x (its shape), and how often each occurs."""
    return UniqueAll(*_distinct("unique_all", x))


def unique_counts(x: Any, /) -> UniqueCounts:
    """The distinct values and how often each occurs."""
    values, _, _, counts = _distinct("unique_counts", x)
    return UniqueCounts(values, counts)


def unique_inverse(x: Any, /) -> UniqueInverse:
    """The distinct values, and which of them stands at each place of x, with its shape."""
    values, _, inverse, _ = _distinct("unique_inverse", x)
    return UniqueInverse(values, inverse)


def unique_values(x: Any, /) -> Tensor:
    """The distinct values."""
    return _distinct("unique_values", x)[0]


# Beyond the standard ------------------------------------------------------------------------------


def unique(
    x: Any,
    /,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
) -> Any:
    """The distinct values of the flattened x, or its distinct slices along an axis.

    With options a tuple: the values, where each stands first, which of them stands at each place
    (the shape of x, or one number for each slice), and how often each occurs.
    """
    found = _distinct("unique", x, axis, equal_nan)
    wanted = (True, return_index, return_inverse, return_counts)
    kept = tuple(each for each, keep in zip(found, wanted, strict=True) if keep)
    return kept if len(kept) > 1 else kept[0]


def _distinct(
    name: str, x: Any, axis: int | None = None, equal_nan: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    values = values_now(
        name,
        x,
        "Call it outside of the function, or sort(x) and compare neighbours to keep the shape.",
    )
    node = operand(name, x)
    if axis is None:
        shape, table, along = values.shape, flat(node), 0
    else:
        along = axis_of(name, axis, node.type.rank)
        shape, table = (values.shape[along],), node
    _, first, inverse, counts = np.unique(
        widen(values),
        return_index=True,
        return_inverse=True,
        return_counts=True,
        axis=axis,
        equal_nan=equal_nan,
    )
    indices = from_array(np.asarray(first, np.int64))
    inverse_indices = from_array(np.asarray(inverse.reshape(shape), np.int64))
    found = wrap(take(table, node_of(indices), along))
    return found, indices, inverse_indices, from_array(np.asarray(counts, np.int64))

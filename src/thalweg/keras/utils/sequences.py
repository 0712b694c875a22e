"""Sequences of unequal length as one array."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ShapeError, explain

SIDES = ("pre", "post")


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """An array (len(sequences), maxlen, ...) of sequences whose items have equal shapes.

    Shorter sequences are filled up with `value` before ("pre") or after ("post") their items,
    longer ones lose items there. `maxlen` is the longest length when left out. For strings give
    `dtype=object` or a type such as "<U8", and a string as `value`.

    Errors: ArgumentError for sequences that are none, an unknown side, or a value that the element
    type cannot hold; ShapeError for items of unequal shape.
    """
    rows = _checked(sequences)
    for what, side in (("padding", padding), ("truncating", truncating)):
        if side not in SIDES:
            raise ArgumentError(
                explain(
                    "pad_sequences",
                    f"{what} to be one of {SIDES}",
                    f'{what.capitalize()} type "{side}" not understood',
                )
            )
    if maxlen is None:
        maxlen = max((len(row) for row in rows), default=0)
    shape = _item_shape(rows)
    if isinstance(value, str) and np.dtype(dtype).kind not in "OUT":
        raise ArgumentError(
            explain(
                "pad_sequences",
                "an element type that holds the value",
                f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}",
                "Set `dtype=object` for strings of variable length.",
            )
        )
    result = np.full((len(rows), maxlen, *shape), value, dtype)
    for index, row in enumerate(rows):
        if not len(row) or not maxlen:
            continue
        kept = np.asarray(row[-maxlen:] if truncating == "pre" else row[:maxlen], dtype=dtype)
        if kept.shape[1:] != shape:
            raise ShapeError(
                explain(
                    "pad_sequences",
                    f"items of equal shape, {shape}",
                    f"Shape of sample {kept.shape[1:]} of sequence at position {index} is different"
                    f" from expected shape {shape}",
                )
            )
        if padding == "post":
            result[index, : len(kept)] = kept
        else:
            result[index, maxlen - len(kept) :] = kept
    return result


def _checked(sequences: Any) -> list[Sequence]:
    if not hasattr(sequences, "__len__"):
        raise ArgumentError(
            explain(
                "pad_sequences",
                "a list of sequences; `sequences` must be iterable and have a length",
                f"{type(sequences).__name__}",
                "Write list(sequences) for a generator.",
            )
        )
    for row in sequences:
        if not hasattr(row, "__len__"):
            raise ArgumentError(
                explain(
                    "pad_sequences",
                    "a list of sequences; `sequences` must be a list of iterables",
                    f"Found non-iterable: {row!r}",
                    "For one sequence write pad_sequences([sequence]).",
                )
            )
    return list(sequences)


def _item_shape(rows: Sequence[Sequence]) -> tuple[int, ...]:
    """The shape of one item, by the first sequence that has any."""
    return next((np.asarray(row).shape[1:] for row in rows if len(row)), ())


def drop_long_sequences(
    maxlen: int, sequences: Iterable[Any], labels: Iterable[Any]
) -> tuple[list[Any], list[Any]]:
    """The sequences with fewer than `maxlen` items, and their labels."""
    kept = [pair for pair in zip(sequences, labels, strict=True) if len(pair[0]) < maxlen]
    return [row for row, _ in kept], [label for _, label in kept]

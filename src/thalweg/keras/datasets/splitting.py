"""What several data sets share: shuffled splits, and reviews or newswires as lists of words."""

from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.datasets.pickles import ragged

Pair = tuple[np.ndarray, np.ndarray]


def shuffled(x: Any, y: np.ndarray, seed: int | None) -> tuple[Any, np.ndarray]:
    """Both in one random order, that of NumPy's legacy generator: Keras' splits depend on it."""
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    return x[order], y[order]


def split(x: np.ndarray, y: np.ndarray, test_split: float) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test), the last `test_split` of the rows as the test part."""
    count = int(len(x) * (1 - test_split))
    return (x[:count].copy(), y[:count].copy()), (x[count:].copy(), y[count:].copy())


def check_test_split(where: str, test_split: float) -> None:
    """Raise ArgumentError unless 0 <= test_split < 1."""
    if not 0 <= test_split < 1:
        raise ArgumentError(
            explain(
                where,
                "`test_split` to be between 0 and 1 (exclusive of 1)",
                f"Invalid `test_split` argument: {test_split}",
            )
        )


def marked(rows: Any, start_char: int | None, index_from: int | None) -> list[list[int]]:
    """Words counted from `index_from` on, after `start_char` where it is given."""
    if start_char is not None:
        return [[start_char, *(word + index_from for word in row)] for row in rows]
    if index_from:
        return [[word + index_from for word in row] for row in rows]
    return [list(row) for row in rows]


def limited(
    rows: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> np.ndarray:
    """Rows whose words outside [skip_top, num_words) are `oov_char`, or dropped where it is None.

    Without `num_words` the limit is the largest word, which therefore goes as well: as in Keras.
    """
    if not num_words:
        num_words = max(max(row, default=0) for row in rows)
    if oov_char is not None:
        kept = [[w if skip_top <= w < num_words else oov_char for w in row] for row in rows]
    else:
        kept = [[w for w in row if skip_top <= w < num_words] for row in rows]
    return ragged(kept)

"""IMDB: 50,000 film reviews as lists of word numbers, and whether they are positive.

Words are numbered by frequency, 1 for the most frequent one.
"""

import json
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras.datasets.pickles import read_npz
from thalweg.keras.datasets.places import stored_file
from thalweg.keras.datasets.splitting import Pair, limited, marked, shuffled
from thalweg.keras.utils.messages import warn
from thalweg.keras.utils.sequences import drop_long_sequences

HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
INDEX_HASH = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
    **kwargs: Any,
) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x arrays of 25,000 lists of integers, y int64 0 or 1.

    Words are moved up by `index_from`, and every review begins with `start_char`. Of these numbers
    only those from `skip_top` up to below `num_words` stay; others become `oov_char`, or go where
    that is None. Reviews of `maxlen` numbers or more are left out. `path` is the file's name in the
    cache.

    Errors: ArgumentError when no review is short enough, or for a damaged file; DownloadError
    without a network. Source: Maas et al. 2011, https://ai.stanford.edu/~amaas/data/sentiment/
    """
    if "nb_words" in kwargs:
        warn("The `nb_words` argument in `load_data` has been renamed `num_words`.")
        num_words = kwargs.pop("nb_words")
    if kwargs:
        raise ArgumentTypeError(
            explain(
                "imdb.load_data", "known arguments", f"Unrecognized keyword arguments: {kwargs}"
            )
        )
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = read_npz(stored_file(path, "imdb.npz", HASH), names)
    x_train, labels_train = shuffled(arrays[0], arrays[1], seed)
    # The test reviews have an order of their own: the generator goes on where it was.
    x_test, labels_test = _shuffled_next(arrays[2], arrays[3], len(x_train), seed)
    train, test = (marked(rows, start_char, index_from) for rows in (x_train, x_test))
    y_train: Any = labels_train
    y_test: Any = labels_test
    if maxlen:
        train, y_train = drop_long_sequences(maxlen, train, y_train)
        test, y_test = drop_long_sequences(maxlen, test, y_test)
        if not train or not test:
            raise ArgumentError(
                explain(
                    "imdb.load_data",
                    f"reviews with fewer than maxlen={maxlen} words",
                    f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was"
                    " kept",
                    "Increase maxlen.",
                )
            )
    x = limited(train + test, num_words, skip_top, oov_char)
    count = len(train)
    return (x[:count], np.asarray(y_train)), (x[count:], np.asarray(y_test))


def _shuffled_next(
    x: np.ndarray, y: np.ndarray, before: int, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Both in the order that the generator gives after it has shuffled `before` rows."""
    generator = np.random.RandomState(seed)
    generator.shuffle(np.arange(before))
    order = np.arange(len(x))
    generator.shuffle(order)
    return x[order], y[order]


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word, before `index_from` moves it up."""
    found = stored_file(path, "imdb_word_index.json", INDEX_HASH)
    return json.loads(found.read_text(encoding="utf-8"))

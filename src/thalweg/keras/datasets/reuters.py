"""Reuters: 11,228 newswires as lists of word numbers, in 46 topics.

Words are numbered by frequency, 1 for the most frequent one.
"""

import json

import numpy as np

from thalweg.keras.datasets.pickles import read_npz
from thalweg.keras.datasets.places import stored_file
from thalweg.keras.datasets.splitting import Pair, limited, marked, shuffled
from thalweg.keras.utils.sequences import drop_long_sequences

HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
INDEX_HASH = "4d44cc38712099c9e383dc6e5f11a921"
LABEL_NAMES = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply",
    "coffee", "sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi",
    "money-fx", "interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin",
    "strategic-metal", "livestock", "retail", "ipi", "iron-steel", "rubber", "heat", "jobs", "lei",
    "bop", "zinc", "orange", "pet-chem", "dlr", "gas", "silver", "wpi", "hog", "lead",
)  # fmt: skip


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x arrays of lists of integers, y int64 topics 0 to 45.

    Words are moved up by `index_from`, and every newswire begins with `start_char`. Of these
    numbers only those from `skip_top` up to below `num_words` stay; others become `oov_char`, or go
    where that is None. Newswires of `maxlen` numbers or more are left out. `path` is the file's
    name in the cache.

    Errors: ArgumentError for a damaged file; DownloadError without a network.
    """
    x, y = read_npz(stored_file(path, "reuters.npz", HASH), ("x", "y"))
    x, y = shuffled(x, y, seed)
    rows = marked(x, start_char, index_from)
    if maxlen:
        rows, labels = drop_long_sequences(maxlen, rows, y)
        y = np.array(labels)
    x = limited(rows, num_words, skip_top, oov_char)
    count = int(len(x) * (1 - test_split))
    return (x[:count], y[:count]), (x[count:], y[count:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word, before `index_from` moves it up."""
    found = stored_file(path, "reuters_word_index.json", INDEX_HASH)
    return json.loads(found.read_text(encoding="utf-8"))


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, in the order of their labels."""
    return LABEL_NAMES

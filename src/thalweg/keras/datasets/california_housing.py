"""California housing: 20,640 block groups of the 1990 census, 8 features, median house values."""

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.datasets.pickles import read_npz
from thalweg.keras.datasets.places import stored_file
from thalweg.keras.datasets.splitting import Pair, check_test_split, shuffled, split

HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
ROWS = {"small": 600, "large": None}


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x (N, 8), y (N,) in dollars; "small" has 600 rows.

    The features: median income, house age, average rooms, average bedrooms, population, average
    occupancy, latitude, longitude. `path` is the file's name in the cache.

    Errors: ArgumentError for a split outside [0, 1), an unknown version or a damaged file;
    DownloadError without a network. Source: StatLib, Pace and Barry 1997.
    """
    check_test_split("california_housing", test_split)
    if version not in ROWS:
        raise ArgumentError(
            explain(
                "california_housing",
                "Argument `version` to be one of 'small', 'large'",
                f"version={version}",
            )
        )
    x, y = read_npz(stored_file(path, "california_housing.npz", HASH), ("x", "y"))
    rows = ROWS[version]
    return split(*shuffled(x[:rows], y[:rows], seed), test_split)

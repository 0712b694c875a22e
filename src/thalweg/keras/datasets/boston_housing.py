"""Boston housing: 506 districts, 13 attributes, and the median value of the houses."""

from thalweg.keras.datasets.pickles import read_npz
from thalweg.keras.datasets.places import stored_file
from thalweg.keras.datasets.splitting import Pair, check_test_split, shuffled, split

HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x float64 (N, 13), y float64 (N,), in 1000 dollars.

    One attribute, "B", stands on the assumption that segregation moves prices: use the data to
    discuss that, and California housing for anything else. `path` is the file's name in the cache.

    Errors: ArgumentError for a split outside [0, 1) or a damaged file; DownloadError without a
    network. Source: StatLib, Harrison and Rubinfeld 1978.
    """
    check_test_split("boston_housing", test_split)
    x, y = read_npz(stored_file(path, "boston_housing.npz", HASH), ("x", "y"))
    return split(*shuffled(x, y, seed), test_split)

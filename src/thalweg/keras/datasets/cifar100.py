"""CIFAR-100: 60,000 colour pictures of 32 x 32 pixels in 100 classes, by Alex Krizhevsky."""

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.datasets.cifar import load_batches
from thalweg.keras.datasets.places import unpacked_folder
from thalweg.keras.datasets.splitting import Pair

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x uint8 (50000 and 10000, 32, 32, 3), y uint8 (N, 1).

    Labels are the 100 classes for "fine", the 20 groups of them for "coarse". $THALWEG_DATA may
    hold the unpacked folder `cifar-100-python`.

    Errors: ArgumentError for another label mode or a damaged file; DownloadError without a network.
    """
    if label_mode not in ("fine", "coarse"):
        raise ArgumentError(
            explain(
                "cifar100",
                '`label_mode` must be one of `"fine"`, `"coarse"`',
                f"label_mode={label_mode}",
            )
        )
    folder = unpacked_folder("cifar-100-python-target", "cifar-100-python", ORIGIN, HASH)
    key = f"{label_mode}_labels"
    return load_batches([folder / "train"], key), load_batches([folder / "test"], key)

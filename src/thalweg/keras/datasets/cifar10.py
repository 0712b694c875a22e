"""CIFAR-10: 60,000 colour pictures of 32 x 32 pixels in ten classes, by Alex Krizhevsky."""

from thalweg.keras.datasets.cifar import load_batches
from thalweg.keras.datasets.places import unpacked_folder
from thalweg.keras.datasets.splitting import Pair

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x uint8 (50000 and 10000, 32, 32, 3), y uint8 (N, 1).

    Labels 0 to 9: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.
    $THALWEG_DATA may hold the unpacked folder `cifar-10-batches-py`.

    Errors: ArgumentError for a damaged file; DownloadError without a network.
    """
    folder = unpacked_folder("cifar-10-batches-py-target", "cifar-10-batches-py", ORIGIN, HASH)
    train = load_batches([folder / f"data_batch_{i}" for i in range(1, 6)], "labels")
    return train, load_batches([folder / "test_batch"], "labels")

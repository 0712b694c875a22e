"""MNIST: 70,000 handwritten digits in 28 x 28 grey pixels, by Yann LeCun and Corinna Cortes.

The licence is CC BY-SA 3.0.
"""

from thalweg.keras.datasets.idx import read_idx
from thalweg.keras.datasets.pickles import read_npz
from thalweg.keras.datasets.places import local, stored_file
from thalweg.keras.datasets.splitting import Pair

HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x uint8 (60000 and 10000, 28, 28), y uint8 0 to 9.

    $THALWEG_DATA may hold `mnist.npz` or a folder `mnist` with the four original idx files. `path`
    is the file's name in the cache.

    Errors: ArgumentError for a damaged file; DownloadError without a network.
    """
    files = [local(f"mnist/{part}-ubyte.gz", f"mnist/{part}-ubyte") for part in PARTS]
    found = [file for file in files if file is not None]
    if len(found) == len(PARTS):
        x_train, y_train, x_test, y_test = (read_idx(file) for file in found)
    else:
        names = ("x_train", "y_train", "x_test", "y_test")
        x_train, y_train, x_test, y_test = read_npz(stored_file(path, "mnist.npz", HASH), names)
    return (x_train, y_train), (x_test, y_test)

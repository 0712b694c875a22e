"""Fashion-MNIST: 70,000 pictures of clothing in 28 x 28 grey pixels, by Zalando SE (MIT licence).

A sample of them comes with the package: `load_sample()` needs neither files nor a network.
"""

from pathlib import Path

from thalweg.keras.datasets.idx import read_idx
from thalweg.keras.datasets.pickles import read_npz
from thalweg.keras.datasets.places import local, stored_file
from thalweg.keras.datasets.splitting import Pair

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip

# Of the published files, in the order of the result.
FILES = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
}
SAMPLE = Path(__file__).parent / "fashion_mnist_sample.npz"


def load_data() -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): x uint8 (60000 and 10000, 28, 28), y uint8 0 to 9.

    $THALWEG_DATA may hold a folder `fashion_mnist` with the four original idx files. `CLASS_NAMES`
    says what the labels stand for.

    Errors: ArgumentError for a damaged file; DownloadError without a network.
    """
    paths = [
        _local(name) or stored_file(name, name, file_hash, "fashion-mnist")
        for name, file_hash in FILES.items()
    ]
    x_train, y_train, x_test, y_test = (read_idx(path) for path in paths)
    return (x_train, y_train), (x_test, y_test)


def load_sample() -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test) of the sample that comes with the package.

    x uint8 (6000 and 1000, 28, 28), y uint8: the first 600 training and 100 test images of each of
    the ten classes, shuffled.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    x_train, y_train, x_test, y_test = read_npz(SAMPLE, names)
    return (x_train, y_train), (x_test, y_test)


def is_local() -> bool:
    """Whether $THALWEG_DATA holds the full set."""
    return all(_local(name) is not None for name in FILES)


def _local(name: str) -> Path | None:
    plain = name.removesuffix(".gz")
    return local(f"fashion_mnist/{name}", f"fashion_mnist/{plain}", f"fashion-mnist/{name}")

"""Where the programs of this gallery get their data: plain NumPy arrays and text.

$THALWEG_DATA may name a folder with the full sets; without it, what comes with the package and lies
beside this file is used.
"""

import csv
import gzip
import os
from pathlib import Path

import numpy as np

from thalweg.keras.datasets import fashion_mnist

HERE = Path(__file__).parent
CLASS_NAMES = fashion_mnist.CLASS_NAMES


def fashion_images(limit=None):
    """(x_train, y_train), (x_test, y_test): x (N, 28, 28, 1) float32 in [0, 1], y (N,) int32."""
    load = fashion_mnist.load_data if fashion_mnist.is_local() else fashion_mnist.load_sample
    return tuple(
        (x[:limit, ..., None].astype("float32") / 255, y[:limit].astype("int32")) for x, y in load()
    )


def shakespeare(limit=None):
    """So many characters of Shakespeare's plays: a megabyte, or the scenes beside this file."""
    path = _local("text/tinyshakespeare.txt") or HERE / "shakespeare.txt"
    return path.read_text(encoding="utf-8")[:limit]


def table(name):
    """A table as a dictionary of columns: float32 arrays with NaN for gaps, or arrays of strings.

    `penguins` lies beside this file, others in $THALWEG_DATA/tabular. None for one that is absent.
    """
    places = (f"tabular/{name}{ending}" for ending in (".csv", ".csv.gz", ".data.gz"))
    path = next(filter(None, map(_local, places)), HERE / f"{name}.csv")
    if not path.exists():
        return None
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, skipinitialspace=True) if row]
    names = [f"column{i}" for i in range(len(rows[0]))] if ".data" in path.name else rows.pop(0)
    return {key: _column(cells) for key, cells in zip(names, zip(*rows, strict=True), strict=True)}


def _column(cells):
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells], "float32")
    except ValueError:
        return np.array(cells)


def _local(place):
    folder = os.environ.get("THALWEG_DATA")
    path = Path(folder, place) if folder else None
    return path if path and path.exists() else None

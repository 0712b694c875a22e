"""Where the files of a data set are found: a local folder, the cache, the network, in this order.

$THALWEG_DATA/...                     laid out as the loader says, or as in the cache
$KERAS_HOME/datasets/... (~/.keras)   what was fetched before, checked against its hash
the publisher's address               with the hash that the file is known to have
"""

import os
from pathlib import Path

from thalweg.keras.utils.files import get_file

STORE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def local(*places: str) -> Path | None:
    """The first of these places, relative to $THALWEG_DATA, that exists."""
    folder = os.environ.get("THALWEG_DATA")
    if not folder:
        return None
    found = (Path(folder) / place for place in places)
    return next((path for path in found if path.exists()), None)


def stored_file(name: str, origin_name: str, file_hash: str, subfolder: str = "") -> Path:
    """A file of the store, in $THALWEG_DATA, in $THALWEG_DATA/datasets, or fetched once.

    Errors: those of `get_file`.
    """
    place = f"{subfolder}/{name}" if subfolder else name
    found = local(place, f"datasets/{place}")
    if found is not None:
        return found
    folder = os.path.join("datasets", subfolder) if subfolder else "datasets"
    fetched = get_file(name, origin=STORE + origin_name, file_hash=file_hash, cache_subdir=folder)
    return Path(fetched)


def unpacked_folder(name: str, inner: str, origin: str, file_hash: str) -> Path:
    """The folder `inner` of an archive, in $THALWEG_DATA or as the cache holds it.

    Errors: those of `get_file`.
    """
    found = local(inner, f"{name}/{inner}", f"datasets/{name}/{inner}")
    if found is not None:
        return found
    return Path(get_file(name, origin=origin, extract=True, file_hash=file_hash)) / inner

"""What CIFAR-10 and CIFAR-100 share: batches of 32 x 32 colour pictures in Python's old pickles."""

from pathlib import Path
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import settings
from thalweg.keras.datasets.pickles import read_pickle
from thalweg.keras.datasets.splitting import Pair


def load_batches(paths: list[Path], label_key: str) -> Pair:
    """Pictures uint8 (N, 32, 32, 3), in the default data format, and labels uint8 (N, 1).

    Errors: ArgumentError for a damaged file.
    """
    parts = [_load_batch(path, label_key) for path in paths]
    x = np.concatenate([pictures for pictures, _ in parts])
    y = np.concatenate([labels for _, labels in parts])
    if settings.image_data_format() == "channels_last":
        x = x.transpose(0, 2, 3, 1)
    return x, y


def _load_batch(path: Path, label_key: str) -> Pair:
    found = read_pickle(path)
    pictures, labels = found.get("data"), found.get(label_key)
    if not _is_batch(pictures, labels):
        raise ArgumentError(
            explain(
                "cifar",
                f"3072 bytes a picture and as many numbers of {label_key} in {path.name}",
                f"{type(pictures).__name__} and {type(labels).__name__}",
                f"Delete the file and load again: {path}",
            )
        )
    return (
        pictures.reshape(-1, 3, 32, 32),  # type: ignore[union-attr]
        np.array(labels, np.uint8).reshape(-1, 1),
    )


def _is_batch(pictures: Any, labels: Any) -> bool:
    return (
        isinstance(pictures, np.ndarray)
        and pictures.dtype == np.uint8
        and pictures.ndim == 2
        and pictures.shape[1] == 3072
        and isinstance(labels, list)
        and len(labels) == len(pictures)
        and all(type(label) is int and 0 <= label < 256 for label in labels)
    )

"""The formats of weights, by the endings of their files."""

from collections.abc import Callable
from typing import IO, Any, TypeVar

from thalweg.keras.saving.hdf5 import H5File, H5Reader, H5Writer
from thalweg.keras.saving.npz import NpzReader, NpzWriter
from thalweg.keras.saving.safetensors import SafetensorsReader, SafetensorsWriter
from thalweg.keras.saving.stores import WeightsReader, WeightsWriter

Found = TypeVar("Found")

WRITERS: dict[str, Callable[[IO[bytes]], WeightsWriter]] = {
    ".weights.h5": H5Writer,
    ".safetensors": SafetensorsWriter,
    ".weights.npz": NpzWriter,
}
"""What writes to an open file."""

READERS: dict[str, Callable[[IO[bytes], object, int], WeightsReader]] = {
    ".weights.h5": lambda file, origin, most: H5Reader(H5File(file, origin, most)),
    ".safetensors": SafetensorsReader,
    ".weights.npz": NpzReader,
}
"""What reads an open file, given its name for errors and what compressed arrays may grow to."""


def by_ending(path: str, table: dict[str, Found]) -> Found | Any:
    """What a table has for the ending of a path, or None."""
    return next((found for ending, found in table.items() if path.endswith(ending)), None)

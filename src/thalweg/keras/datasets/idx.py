"""The idx format of MNIST: a big-endian head, then one byte a number.

0 0 8 n     the type (8: unsigned bytes) and the number of axes
n x u32     the sizes
bytes       in C order
"""

import gzip
import math
from pathlib import Path

import numpy as np

from thalweg.base.errors import ArgumentError, explain

MOST_BYTES = 4 << 30


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in an idx file, compressed by gzip when its name ends in .gz.

    Errors: ArgumentError for a file that is damaged or of another type.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08":
                raise _damaged(path, f"a file that begins with {head!r}")
            rank = head[3]
            sizes = np.frombuffer(file.read(4 * rank), ">u4").tolist()
            count = math.prod(sizes)
            if len(sizes) != rank or count > MOST_BYTES:
                raise _damaged(path, f"the shape {tuple(sizes)}")
            data = bytearray(file.read(count + 1))
    except (EOFError, gzip.BadGzipFile, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise _damaged(path, str(error)) from error
    if len(data) != count:
        raise _damaged(path, f"{len(data)} bytes or more for the shape {tuple(sizes)}")
    return np.frombuffer(data, np.uint8).reshape(sizes)


def _damaged(path: Path, what: str) -> ArgumentError:
    return ArgumentError(
        explain(
            "datasets",
            f"unsigned bytes in the idx file {path.name}",
            what,
            f"Delete it and load again: {path}",
        )
    )

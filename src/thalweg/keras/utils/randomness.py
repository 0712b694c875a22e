"""`set_random_seed`: all random numbers of a program from one seed."""

import sys
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.random import seed_generator

# Libraries whose own random numbers a program may use beside ours: how each is seeded.
OTHERS = {
    "tensorflow": lambda library, seed: library.random.set_seed(seed),
    "torch": lambda library, seed: library.manual_seed(seed),
}


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and Thalweg's generators, and TensorFlow's and PyTorch's if imported.

    A program that calls this first draws the same numbers in every run.

    Errors: ArgumentError for a seed that is no integer from 0 to 2**32 - 1.
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ArgumentError(
            explain(
                "set_random_seed",
                "Expected `seed` argument to be an integer",
                f"seed={seed!r} (of type {type(seed).__name__})",
            )
        )
    if not 0 <= seed < 2**32:
        raise ArgumentError(
            explain("set_random_seed", "Seed must be between 0 and 2**32 - 1", f"seed={seed}")
        )
    seed_generator.set_random_seed(seed)
    for name, seed_library in OTHERS.items():
        library: Any = sys.modules.get(name)
        if library is not None:
            seed_library(library, seed)

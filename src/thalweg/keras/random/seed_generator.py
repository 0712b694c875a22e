"""SeedGenerator: where random functions take their seeds from; and the one of the process.

A seed is a tensor u32[2], a key of `thalweg.random`. An integer n stands for [n, 0]; a generator
gives [n, 0], [n, 1], [n, 2], ... Its state is the next of them, in a variable: what is drawn in a
traced function advances it at every call, and a state that was saved goes on where it stopped.
"""

import random
import threading
from typing import Any

import numpy as np

from thalweg.array.random import set_seed
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.context import current_trace
from thalweg.engine.tensor import Tensor, from_buffer
from thalweg.keras import naming
from thalweg.keras.variable import Variable, in_stateless_scope, tensor

HIGHEST_DEFAULT = 10**9


def make_default_seed() -> int:
    """A new seed, drawn by Python's own generator, so `random.seed` decides it."""
    return random.randint(1, HIGHEST_DEFAULT)


class SeedGenerator:
    """A stream of seeds from one on; without `seed` from a random one.

    `seed` is an integer, taken modulo 2**32. Pass the generator as `seed=` to random functions and
    layers: each use draws the next seed.

    >>> from thalweg import keras
    >>> keras.random.SeedGenerator(5).next()
    Tensor([5, 0], dtype=uint32)
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        kwargs.pop("backend", None)
        if kwargs:
            raise ArgumentError(
                explain(
                    "SeedGenerator", "seed and name", f"Unrecognized keyword arguments: {kwargs}"
                )
            )
        if seed is not None and not _is_integer(seed):
            raise ArgumentError(
                explain(
                    "SeedGenerator",
                    "an integer to start from. Argument `seed` must be an integer",
                    f"seed={seed}",
                )
            )
        self.name = name if name is not None else naming.auto_name("SeedGenerator")
        self._initial_seed = seed
        start = make_default_seed() if seed is None else seed
        with naming.name_scope(self.name):
            self.state = Variable(
                _words(start),
                dtype="uint32",
                trainable=False,
                autocast=False,
                name="seed_generator_state",
            )

    def next(self, ordered: bool = True) -> Tensor:
        """The next seed, u32[2]; the generator moves on. `ordered` changes nothing here."""
        seed = self.state.value
        if current_trace() is None and not in_stateless_scope() and not seed.is_traced:
            # Computed at once: otherwise the state would hang on all the draws before it.
            words = seed.numpy()
            self.state.assign(from_buffer(words + _STEP, "seed"))
            return seed
        self.state.assign(seed + _STEP)
        return seed

    def get_config(self) -> dict[str, Any]:
        """The seed as it was given, and the name."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SeedGenerator":
        """A generator at its start."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<SeedGenerator name={self.name}, seed={self._initial_seed}>"


_STEP = np.array([0, 1], np.uint32)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer))


def _words(seed: int) -> np.ndarray:
    return np.array([int(seed) % 2**32, 0], np.uint32)


_global: SeedGenerator | None = None
_global_seed: int | None = None
_lock = threading.Lock()


def global_seed_generator() -> SeedGenerator:
    """The generator of the process, from which random functions draw when they are given none."""
    global _global
    with _lock:
        if _global is None:
            _global = SeedGenerator(_global_seed, name="global_seed_generator")
        return _global


def set_random_seed(seed: int) -> None:
    """Start all random numbers of the process at a seed: Python's, NumPy's and these.

    Raises ArgumentError for what is no integer.
    """
    global _global, _global_seed
    if not _is_integer(seed):
        raise ArgumentError(
            explain(
                "set_random_seed",
                "an integer. Expected `seed` argument to be an integer",
                f"seed={seed!r} of type {type(seed).__name__}",
            )
        )
    random.seed(int(seed))
    np.random.seed(int(seed) % 2**32)
    set_seed(int(seed))
    with _lock:
        _global, _global_seed = None, int(seed)


def draw_seed(seed: Any) -> Tensor:
    """The seed u32[2] of an integer, of a generator (its next one), or of None (the global one).

    A tensor u32[2] is a seed itself.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next()
    if _is_integer(seed):
        return tensor(_words(seed))
    if hasattr(seed, "dtype") and tuple(seed.shape) == (2,):
        return tensor(seed, "uint32")
    raise ArgumentError(
        explain(
            "random",
            "a seed to draw from. Argument `seed` must be either an integer or an instance of "
            "`SeedGenerator`",
            f"seed={seed} (of type {type(seed)})",
        )
    )

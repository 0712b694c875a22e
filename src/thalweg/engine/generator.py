"""Generators: where random functions take their keys from when they are given none.

A generator holds one key in a Variable. Every draw splits it: the first new key takes its place,
the others are handed out. Inside a traced function the variable is read as an input and written as
an output, so the state is threaded like any other and each call draws new numbers.

There is one generator for the process, made on first use: from `options().seed` (THALWEG_SEED), or
from the system's entropy where that is not set.
"""

import os
import threading

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, TraceError, explain
from thalweg.base.options import options
from thalweg.engine.context import Trace, current_trace
from thalweg.engine.tensor import Tensor, from_buffer, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.types import Size
from thalweg.ops import definitions
from thalweg.ops.movement import reshape, slice
from thalweg.ops.random import split_key


def seed_words(name: str, seed: object) -> np.ndarray:
    """uint32[2]: the key of a seed, an integer of at most 64 bits; negative ones wrap around."""
    if not hasattr(seed, "__index__") or isinstance(seed, (bool, np.bool_, Tensor)):
        raise ArgumentTypeError(
            explain(name, "an integer as seed", f"{seed!r} of {type(seed).__name__}")
        )
    number = seed.__index__()
    if not -(2**63) <= number < 2**64:
        raise ArgumentError(
            explain(name, "a seed of at most 64 bits", f"{seed}", "Reduce it first: seed % 2**64.")
        )
    return definitions.seed_key(number)


class Generator:
    """A stream of independent random keys that starts at a seed and advances with every draw.

    `seed` is an integer of at most 64 bits; None takes the system's entropy. Equal seeds give equal
    streams, on every machine and backend.

    >>> import thalweg as tw
    >>> tw.random.Generator(7).next_key()
    Tensor([ 195045567, 4062205631], dtype=uint32)
    """

    def __init__(self, seed: int | None = None, name: str = "generator"):
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        self.key = Variable(seed_words("Generator", seed), name=name, trainable=False)
        self._lock = threading.Lock()

    def next_key(self) -> Tensor:
        """A new key, u32[2]; the generator moves on."""
        keys = self.split(1)
        if not keys.is_traced:
            return from_buffer(keys.numpy()[0], "key")
        return wrap(reshape(node_of(keys), shape=(2,)))

    def split(self, count: Size) -> Tensor:
        """`count` new keys, u32[count,2]; the generator moves on once.

        Raises TraceError in a loop body, a branch or a mapped function, where state cannot change.
        """
        trace = current_trace()
        if trace is None:
            return self._split_now(count)
        self._check_holds_state(trace)
        keys = split_key(node_of(self.key.value), count=count + 1)
        first = slice(keys, start=(0, 0), limit=(1, 2), stride=(1, 1))
        rest = slice(keys, start=(1, 0), limit=(count + 1, 2), stride=(1, 1))
        self.key.assign(wrap(reshape(first, shape=(2,))))
        return wrap(rest)

    def _split_now(self, count: Size) -> Tensor:
        if not isinstance(count, int) or count < 0:
            raise ArgumentError(explain("split", "a count of zero or more", f"{count!r}"))
        # Computed at once: a key that waited for its value would hang on all the draws before it.
        with self._lock:
            words = definitions.split_key(self.key.numpy(), count + 1)
            self.key.assign(words[0])
        return from_buffer(words[1:], "keys")

    def _check_holds_state(self, trace: Trace) -> None:
        if not trace.holds_state:
            raise TraceError(
                explain(
                    self.key.name,
                    "to advance outside of loop bodies, branches and mapped functions",
                    f"a draw in {trace.name}, which cannot change state",
                    "Draw the keys before, keys = generator.split(n), hand them in as arguments, "
                    "and pass key=... to the random function.",
                )
            )

    def reset(self, seed: int) -> None:
        """Start again at a seed."""
        self.key.assign(seed_words("reset", seed))

    def __repr__(self) -> str:
        return f"Generator({self.key!r})"


_default: Generator | None = None
_lock = threading.Lock()


def default_generator() -> Generator:
    """The generator of the process, from which random functions draw when they are given none."""
    global _default
    with _lock:
        if _default is None:
            _default = Generator(options().seed, "default_generator")
        return _default


def set_seed(seed: int) -> None:
    """Start the generator of the process again at a seed; functions traced before see it too."""
    default_generator().reset(seed)

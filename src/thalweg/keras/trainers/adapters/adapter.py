"""DataAdapter: batches of training data, whatever form the data has.

    batch = x | (x,) | (x, y) | (x, y, sample_weight)     each a nest of NumPy arrays or tensors

One pass over the data is an epoch. Which batches it yields is a function of the data, the seed and
the number of the epoch, as far as that lies with us, so that a run can go on where it stopped.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import tree
from thalweg.keras.trainers.adapters.kinds import dense


class DataAdapter:
    """Batches of data; the base of one class for each form that data comes in."""

    epoch: int = 0
    """The number of the next pass."""

    starts_anew: bool = True
    """False for data that can be passed over once only."""

    is_addressable: bool = False
    """True for data whose epochs can be entered at any batch, without what comes before."""

    seed: int | None = None
    """What the orders of epochs follow from; None where nothing is mixed here."""

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch, from the one with number `start` on."""
        raise NotImplementedError

    def get_numpy_iterator(self, start: int = 0) -> Iterator[Any]:
        """The batches of the next epoch, from the one with number `start` on."""
        epoch = self.epoch
        self.epoch = epoch + 1
        return self.iterate(epoch, start)

    def peek(self) -> Any:
        """The first batch, without taking it away; None where there is none."""
        return next(self.iterate(self.epoch), None)

    def give_back(self, batches: Sequence[Any]) -> None:
        """Take back the first batches of a pass, which is to begin again."""

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch, or None where that is not known or has no end."""
        return None

    @property
    def batch_size(self) -> int | None:
        """The number of samples in a batch, or None where that is not known."""
        return None

    @property
    def has_partial_batch(self) -> bool | None:
        """True when the last batch is smaller than the others, None where that is not known."""
        return None

    @property
    def partial_batch_size(self) -> int | None:
        """The number of samples in the last batch when it is smaller than the others."""
        return None

    def on_epoch_begin(self) -> None:
        """Called before the first batch of an epoch."""

    def on_epoch_end(self) -> None:
        """Called after the last batch of an epoch."""

    def close(self) -> None:
        """Stop what works in the background; called when an epoch is left before its end."""


def as_batch(batch: Any) -> Any:
    """A batch with every array in it as a NumPy array; tensors of Thalweg stay as they are."""
    if type(batch) is tuple and all(type(part) in READY for part in batch):
        return batch
    return tree.map_structure(as_part, batch)


READY = (np.ndarray, Tensor, type(None))
NUMBERS = (bool, int, float, np.generic)
YIELD_ARRAYS = "Yield whole batches: numpy.array([...])."
FORGOTTEN = "Did you forget .batch(32)?"


def as_part(value: Any) -> Any:
    """The NumPy array of an array of any library; whatever else stays as it is."""
    return value if isinstance(value, READY) else dense(value)


def with_batch_axis(batches: Iterator[Any], do: str = YIELD_ARRAYS) -> Iterator[Any]:
    """The batches; raises ShapeError when the first holds single numbers in place of arrays."""
    first = next(batches, None)
    if first is None:
        return
    for leaf in tree.flatten(first):
        if isinstance(leaf, NUMBERS) or (isinstance(leaf, READY[:2]) and leaf.ndim == 0):
            raise ShapeError(
                explain(
                    "fit",
                    "batches: arrays whose first axis is that of the samples",
                    f"a single number, {leaf!r}",
                    do,
                )
            )
    yield first
    yield from batches

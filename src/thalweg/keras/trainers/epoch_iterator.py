"""EpochIterator: the steps of one epoch after another, over data of any form.

A step takes `steps_per_execution` batches. An epoch has `steps_per_epoch` batches, or as many as
the data gives. With `steps_per_epoch` the next epoch goes on in the data where the last one
stopped, and starts over when the data has come to its end.

    steps_per_epoch   data       an epoch ends
    given             longer     after steps_per_epoch batches; the rest is for the next epoch
    given             shorter    with the data, and a warning
    not given         finite     with the data
    not given         endless    when the loop is left
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from thalweg.keras import settings
from thalweg.keras.trainers.adapters import get_data_adapter
from thalweg.keras.utils.messages import warn

Step = tuple[int, int, list[Any]]


class EpochIterator:
    """Steps of epochs: (number of the first batch, number of the last, the batches).

    Iterating it is one epoch; so is `enumerate_epoch()`. It takes the data arguments of `fit`.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        shuffle: bool | str = False,
        class_weight: Mapping[int, float] | None = None,
        steps_per_execution: int = 1,
    ):
        limit = settings.max_steps_per_epoch()
        if limit and (not steps_per_epoch or limit < steps_per_epoch):
            warn(f"Limiting steps_per_epoch to {limit}")
            steps_per_epoch = limit
        self.steps_per_epoch = steps_per_epoch or None
        self.steps_per_execution = steps_per_execution
        self.data_adapter = get_data_adapter(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
        )
        self._length = self.data_adapter.num_batches
        self._learned: int | None = None  # the length of data that did not say it
        self._batches: Iterator[Any] | None = None  # of the pass that the last epoch left open
        self._taken = 0  # batches of that pass
        self._begun: tuple[int, list[Any]] | None = None  # the pass begun last, its first step
        self._first = 0  # the number of the batch that the next epoch begins with
        self._epoch: Iterator[Step] = iter(())

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch; None while it is not known."""
        return self.steps_per_epoch or self._length or self._learned

    def __iter__(self) -> "EpochIterator":
        self._epoch = self.enumerate_epoch()
        return self

    def __next__(self) -> Step:
        return next(self._epoch)

    def peek(self) -> Any:
        """The first batch of the data, without taking it away; None where there is none."""
        return self.data_adapter.peek()

    def enumerate_epoch(self) -> Iterator[Step]:
        """The steps of the next epoch."""
        adapter = self.data_adapter
        size = self.steps_per_execution
        adapter.on_epoch_begin()
        is_whole = False
        try:
            batches, is_new = self._pass()
            number = adapter.epoch - 1
            limit = self.steps_per_epoch or self._length
            first, self._first = self._first, 0
            step, count = first, 0
            has_ended = False
            while not has_ended and (limit is None or step < limit):
                taken = list(itertools.islice(batches, size))
                has_ended = len(taken) < size
                count += len(taken)
                self._begun = (number, taken) if is_new and step == 0 else None
                if taken:
                    yield step, step + size - 1, taken
                    step += size
            self._taken += count
            if has_ended:
                self._check_length(first + count < (limit or 0))
            if has_ended or self._taken == self._length:
                self._batches = None
            self._begun = None
            is_whole = True
        finally:
            if not is_whole:
                adapter.close()
        adapter.on_epoch_end()

    def _pass(self) -> tuple[Iterator[Any], bool]:
        """The pass over the data that the next epoch takes its batches from; is it a new one."""
        is_open = self.steps_per_epoch is not None or self._first > 0
        if self._batches is not None and is_open:
            return self._batches, False
        self._length = self.data_adapter.num_batches
        self._batches, self._taken = self.data_adapter.get_numpy_iterator(), 0
        return self._batches, True

    def _check_length(self, is_short: bool) -> None:
        """The data has come to its end: say so where more was asked for."""
        if self._length is None and self.steps_per_epoch is None:
            if self._learned is None:
                self._learned = self._taken
            is_short = self._taken < self._learned and not self.data_adapter.starts_anew
        if is_short:
            warn(
                "Your input ran out of data; interrupting training. Make sure that your dataset or "
                "generator can generate at least `steps_per_epoch * epochs` batches. You may need "
                "to use the `.repeat()` function when building your dataset."
            )

    def reset(self) -> None:
        """Begin the next epoch at the start of the data; a first step is taken back."""
        self._epoch = iter(())
        if self._begun is not None:
            self.data_adapter.epoch, first_step = self._begun
            self.data_adapter.give_back(first_step)
            self._begun = None
        self._batches = None
        self._taken = self._first = 0
        self._length = self.data_adapter.num_batches

    @property
    def seed(self) -> int | None:
        """What the orders of all epochs follow from; None for data that are not mixed here."""
        return self.data_adapter.seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self.data_adapter.seed = value

    def start_at(self, epoch: int, batch: int = 0) -> None:
        """Go on as if so many epochs, and batches of the next, had been run: the same orders, at
        the same place.

        So it is with arrays, PyDatasets and pipelines of `thalweg.data`. Generators stand where
        they stand: nothing is read and thrown away. So do the epochs of data of other libraries;
        within an epoch their batches are read again.
        """
        self.reset()
        passes, taken = epoch, 0
        if self.steps_per_epoch is not None and self.data_adapter.is_addressable:
            passes, taken = self._after(epoch, self.steps_per_epoch)
        self.data_adapter.epoch = passes
        self._first = batch
        taken += batch if self.data_adapter.starts_anew else 0
        if taken or batch:
            self._batches, self._taken = self.data_adapter.get_numpy_iterator(taken), taken

    def _after(self, epochs: int, limit: int) -> tuple[int, int]:
        """The pass over the data that so many epochs lead to, and the batches taken from it."""
        size = self.steps_per_execution
        wanted = -(-limit // size) * size
        if self._length is None:
            return 0, epochs * wanted
        passes = taken = 0
        for _ in range(epochs):
            taken += wanted
            if taken >= self._length:
                passes, taken = passes + 1, 0
        return passes, taken

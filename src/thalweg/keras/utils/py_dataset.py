"""PyDataset: data that a program hands out batch by batch, by number."""

import itertools
from collections.abc import Iterator
from typing import Any

from thalweg.keras.utils.messages import warn


class PyDataset:
    """The base of data sets written in Python: `self[index]` is a batch, `len(self)` their number.

    A subclass defines `__getitem__`, which returns `x`, `(x, y)` or `(x, y, sample_weight)`, and
    `__len__`; an endless one defines the property `num_batches` instead, which returns None.
    `on_epoch_begin` and `on_epoch_end` run around each epoch.

    `fit` prepares up to `max_queue_size` batches ahead in `workers` threads, or in processes with
    `use_multiprocessing`; the order of batches does not depend on that. Outside `fit` these
    settings do nothing.
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self._workers = workers
        self._use_multiprocessing = use_multiprocessing
        self._max_queue_size = max_queue_size

    def _setting(self, name: str, default: Any) -> Any:
        """A setting, with a warning where the subclass left out `super().__init__()`."""
        if name not in self.__dict__:
            warn(
                f"{type(self).__name__}.__init__ must call super().__init__(**kwargs), which takes"
                " workers, use_multiprocessing and max_queue_size; they keep their defaults."
            )
            self.__dict__[name] = default
        return self.__dict__[name]

    @property
    def workers(self) -> int:
        """The number of threads or processes that prepare batches."""
        return self._setting("_workers", 1)

    @workers.setter
    def workers(self, value: int) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        """True where processes prepare the batches; the data set must be picklable."""
        return self._setting("_use_multiprocessing", False)

    @use_multiprocessing.setter
    def use_multiprocessing(self, value: bool) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        """The most batches that are prepared ahead."""
        return self._setting("_max_queue_size", 10)

    @max_queue_size.setter
    def max_queue_size(self, value: int) -> None:
        self._max_queue_size = value

    def __getitem__(self, index: int) -> Any:
        """The batch of that number."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index).")

    def __iter__(self) -> Iterator[Any]:
        """The batches in order; an endless data set, or one without a length, gives no end."""
        try:
            count = self.num_batches
        except NotImplementedError:
            count = None
        return map(self.__getitem__, itertools.count() if count is None else range(count))

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch; None for an endless data set."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} must define __len__(self), or the property num_batches, which"
            " is None for an endless data set."
        )

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""

"""PyDataset: batches by number, made ahead by threads or processes, in order.

Up to `max_queue_size` batches are in work or wait to be taken. The workers live for one epoch:
what `on_epoch_end` changes in the data set, those of the next epoch see.
"""

import concurrent.futures
import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from concurrent.futures.thread import ThreadPoolExecutor
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.trainers.adapters.adapter import DataAdapter, as_batch, with_batch_axis
from thalweg.keras.trainers.adapters.kinds import is_array
from thalweg.keras.trainers.adapters.sample_weight import class_weigher
from thalweg.keras.utils.py_dataset import PyDataset


class PyDatasetAdapter(DataAdapter):
    """Batches of a PyDataset; `shuffle` gives those of a finite one another order each epoch.

    An error in the data set's code is raised where its batch is taken. Errors: ArgumentError for a
    batch that is neither an array, nor a tuple of one to three, nor a dict.
    """

    is_addressable = True

    def __init__(
        self,
        x: PyDataset,
        class_weight: Mapping[int, float] | None = None,
        shuffle: bool = False,
    ):
        self.py_dataset = x
        self._weigh = None if class_weight is None else class_weigher(class_weight)
        self.seed = int(np.random.randint(2**31 - 1)) if shuffle else None
        is_parallel = x.workers > 1 or (x.workers > 0 and x.use_multiprocessing)
        self._workers = Workers(x) if is_parallel else None

    def iterate(self, epoch: int, start: int = 0) -> Iterator[Any]:
        numbers = self._numbers(epoch, start)
        if self._workers is None:
            batches: Iterator[Any] = map(self.py_dataset.__getitem__, numbers)
        else:
            batches = self._workers.batches(numbers)
        return with_batch_axis(map(self._standard, batches))

    def peek(self) -> Any:
        return self._standard(self.py_dataset[next(self._numbers(self.epoch, 0))])

    def _numbers(self, epoch: int, start: int) -> Iterator[int]:
        """The numbers of the batches of an epoch, in order."""
        count = self.py_dataset.num_batches
        if count is None:
            return itertools.count(start)
        if self.seed is None:
            return iter(range(start, count))
        order = np.random.default_rng((self.seed, epoch)).permutation(count)
        return iter(order[start:].tolist())

    def _standard(self, batch: Any) -> Any:
        if isinstance(batch, dict) and self._weigh is None:
            return as_batch(batch)
        if is_array(batch) and batch is not None:
            batch = (batch,)
        if isinstance(batch, list):
            batch = tuple(batch)
        if not isinstance(batch, tuple) or not 1 <= len(batch) <= 3:
            length = f" of {len(batch)}" if isinstance(batch, tuple) else ""
            raise ArgumentError(
                explain(
                    "fit",
                    "batches. PyDataset.__getitem__() must return a tuple or a dict. If a tuple, "
                    "it must be ordered either (input,) or (inputs, targets) or "
                    "(inputs, targets, sample_weights)",
                    f"{type(batch).__name__}{length}",
                    "Write return x, y.",
                )
            )
        batch = as_batch(batch)
        # A batch of inputs alone has no classes to weigh.
        return batch if self._weigh is None or len(batch) == 1 else self._weigh(batch)

    @property
    def num_batches(self) -> int | None:
        return self.py_dataset.num_batches

    def on_epoch_begin(self) -> None:
        if self._workers is not None:
            self._workers.start()
        self.py_dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.close()
        self.py_dataset.on_epoch_end()

    def close(self) -> None:
        if self._workers is not None:
            self._workers.stop()


class Workers:
    """Threads or processes that make batches of a PyDataset."""

    def __init__(self, dataset: PyDataset):
        self.dataset = dataset
        self.executor: Executor | None = None
        # Without a bound an endless data set would fill the memory.
        self.most = dataset.max_queue_size or 2 * dataset.workers

    def start(self) -> None:
        """Make the workers ready, unless they are."""
        if self.executor is not None:
            return
        if self.dataset.use_multiprocessing:
            self.executor = concurrent.futures.ProcessPoolExecutor(
                self.dataset.workers, initializer=_adopt, initargs=(self.dataset,)
            )
        else:
            self.executor = ThreadPoolExecutor(self.dataset.workers, "thalweg-batches")

    def stop(self) -> None:
        """Let the batches in work be finished, and the others be."""
        executor, self.executor = self.executor, None
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)

    def batches(self, numbers: Iterator[int]) -> Iterator[Any]:
        """The batches with these numbers, in order; they may go on in another epoch."""
        self.start()
        pending: deque[tuple[int, Future]] = deque()
        try:
            while True:
                for number in itertools.islice(numbers, max(self.most - len(pending), 0)):
                    pending.append((number, self.submit(number)))
                if not pending:
                    break
                number, future = pending[0]
                if future.cancelled():  # by the end of an epoch, before a worker came to it
                    future = self.submit(number)
                batch = future.result()
                pending.popleft()
                yield batch
        except GeneratorExit:
            for _, future in pending:
                future.cancel()
            raise
        except BaseException:
            self.stop()
            raise
        self.stop()

    def submit(self, number: int) -> Future:
        """Ask for a batch."""
        if self.executor is None:
            raise ArgumentError(
                explain(
                    "PyDataset",
                    "its batches to be taken within an epoch",
                    "Iterator called after `on_epoch_end` or before `on_epoch_begin`",
                )
            )
        if self.dataset.use_multiprocessing:
            return self.executor.submit(_adopted_batch, number)
        return self.executor.submit(self.dataset.__getitem__, number)


# ---- in a process of its own ---------------------------------------------------------------------

_adopted: list[PyDataset] = []


def _adopt(dataset: PyDataset) -> None:
    _adopted[:] = [dataset]


def _adopted_batch(number: int) -> Any:
    return _adopted[0][number]

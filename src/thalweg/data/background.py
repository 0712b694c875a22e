"""Work in threads of its own: elements fetched ahead, and functions applied to several at a time.

Whoever takes the elements is a generator; when it is closed, left or dropped, its threads stop
after the element that they are at. Nothing that a thread holds keeps the taker alive.

A queue ends in one of three ways: the elements run out, an error of the producer is raised in the
taker with the traceback from where it happened, or the taker closes it.
"""

import atexit
import itertools
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

AUTOTUNE = -1
AHEAD = 2  # elements fetched ahead when the pipeline is to choose


def worker_count(calls: int) -> int:
    """The number of threads for `num_parallel_calls`; AUTOTUNE takes one for each core."""
    return (os.cpu_count() or 1) if calls == AUTOTUNE else calls


class Channel:
    """A bounded queue between one producing thread and one taker."""

    def __init__(self, size: int):
        self.size = size
        self.items: deque[Any] = deque()
        self.error: BaseException | None = None
        self.has_ended = False
        self.is_closed = False
        self.changed = threading.Condition()
        self.thread: threading.Thread | None = None

    def put(self, item: Any) -> bool:
        """Add an item once there is room; False when nobody will take it any more."""
        with self.changed:
            while len(self.items) >= self.size and not self.is_closed:
                self.changed.wait()
            if self.is_closed:
                return False
            self.items.append(item)
            self.changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """Say that no item follows, because of an error if there is one."""
        with self.changed:
            self.error = error
            self.has_ended = True
            self.changed.notify_all()

    def items_taken(self) -> Iterator[Any]:
        """The items as they come; raises the producer's error after those that came before it."""
        while True:
            with self.changed:
                while not self.items and not self.has_ended and not self.is_closed:
                    self.changed.wait()
                if not self.items:
                    break
                item = self.items.popleft()
                self.changed.notify_all()
            yield item
            del item
        error, self.error = self.error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Tell the producer to stop; it does so after the element that it is at."""
        with self.changed:
            self.is_closed = True
            self.items.clear()
            self.changed.notify_all()


_open: "weakref.WeakSet[Channel]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # A daemon thread inside a library while the interpreter goes away may crash the process.
    channels = list(_open)
    for channel in channels:
        channel.close()
    for channel in channels:
        if channel.thread is not None:
            channel.thread.join(timeout=1.0)


def fetched_ahead(start: Callable[[], Iterator[Any]], size: int) -> Iterator[Any]:
    """The elements of `start()`, made in a thread that is at most `size` elements ahead."""
    channel = Channel(AHEAD if size == AUTOTUNE else size)
    thread = threading.Thread(
        target=_produce, args=(start, channel), name="thalweg-prefetch", daemon=True
    )
    channel.thread = thread
    _open.add(channel)
    thread.start()
    try:
        yield from channel.items_taken()
    finally:
        channel.close()
        _open.discard(channel)


def _produce(start: Callable[[], Iterator[Any]], channel: Channel) -> None:
    values = None
    try:
        values = start()
        for value in values:
            if not channel.put(value):
                break
            del value
    except BaseException as error:
        channel.end(error)
    else:
        channel.end()
    finally:
        close = getattr(values, "close", None)
        if close is not None:
            close()


def mapped_in_threads(
    function: Callable[[Any], Any], items: Iterator[Any], calls: int, is_ordered: bool
) -> Iterator[Any]:
    """`function` of each item, several at a time; results come in order, or as they are ready.

    An error of the items is raised after the results of those that came before it.
    """
    workers = worker_count(calls)
    take = _take_in_order if is_ordered else _take_as_ready
    executor = ThreadPoolExecutor(workers, thread_name_prefix="thalweg-map")
    try:
        # Twice as many as there are workers, so that none waits while a result is taken.
        yield from take(executor, function, items, 2 * workers)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _take_in_order(
    executor: ThreadPoolExecutor, function: Callable[[Any], Any], items: Iterator[Any], most: int
) -> Iterator[Any]:
    pending: deque[Future] = deque()
    error = None
    items = iter(items)
    while True:
        try:
            item = next(items)
        except StopIteration:
            break
        except Exception as raised:
            error = raised
            break
        pending.append(executor.submit(function, item))
        if len(pending) >= most:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
    if error is not None:
        raise error


def _take_as_ready(
    executor: ThreadPoolExecutor, function: Callable[[Any], Any], items: Iterator[Any], most: int
) -> Iterator[Any]:
    ready: queue.SimpleQueue[Future] = queue.SimpleQueue()
    running = 0
    items = iter(items)
    while True:
        for item in itertools.islice(items, most - running):
            executor.submit(function, item).add_done_callback(ready.put)
            running += 1
        if not running:
            return
        yield ready.get().result()
        running -= 1

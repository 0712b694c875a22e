"""Threads: elements fetched ahead and functions run side by side, and how both come to an end."""

import gc
import subprocess
import sys
import textwrap
import threading
import time
import traceback

import numpy as np
import pytest

import thalweg as tw
from thalweg.data import AUTOTUNE, Dataset, stages


def wait_until(condition, seconds=10.0):
    """Poll a condition that another thread brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("thalweg-")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    wait_until(lambda: not workers())


def counted(count=10**9):
    """A generator dataset, and the list of the numbers that it was asked for."""
    made = []

    def numbers():
        for number in range(count):
            made.append(number)
            yield number

    return Dataset.from_generator(numbers), made


@pytest.mark.parametrize("size", [1, 3, AUTOTUNE])
def test_prefetch_yields_the_same(size):
    dataset = Dataset.range(50).map(lambda x: x * x).prefetch(size)
    assert [int(x) for x in dataset] == [int(x) for x in dataset] == [i * i for i in range(50)]


def test_prefetch_runs_ahead_but_not_further_than_its_buffer():
    dataset, made = counted()
    iterator = iter(dataset.prefetch(3))
    next(iterator)
    wait_until(lambda: len(made) == 5)  # one taken, three waiting, one in the hand
    time.sleep(0.02)
    assert len(made) == 5
    next(iterator)
    wait_until(lambda: len(made) == 6)
    iterator.close()


def test_prefetch_stops_when_the_loop_is_left():
    dataset, made = counted()
    for number in dataset.prefetch(2):
        if number == 3:
            break
    wait_until(lambda: not workers())
    length = len(made)
    time.sleep(0.02)
    assert len(made) == length


def test_prefetch_stops_when_the_loop_raises():
    dataset, _ = counted()
    with pytest.raises(ZeroDivisionError):
        for number in dataset.prefetch(2):
            1 / (3 - int(number))


def test_prefetch_closes_the_generator_it_reads():
    closed = threading.Event()

    def numbers():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    iterator = iter(Dataset.from_generator(numbers).batch(2).prefetch(1).map(lambda x: x))
    next(iterator)
    iterator.close()
    assert closed.wait(10)
    assert list(iterator) == []


def test_an_error_arrives_after_what_came_before_it_and_says_where_it_was():
    def fails(x):
        if x == 3:
            raise LookupError("number three")
        return x

    for calls in (None, 2):
        seen = []
        with pytest.raises(LookupError, match="number three") as raised:
            for number in Dataset.range(9).map(fails, calls).prefetch(2):
                seen.append(int(number))
        assert seen == [0, 1, 2]
        names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
        assert "fails" in names
        assert raised.value.__notes__ == ["in Dataset.map, at element 3: i64[]"]


def test_an_error_of_the_source_comes_after_the_results_of_a_parallel_map():
    def numbers():
        yield from range(5)
        raise LookupError("the end")

    for is_ordered in (True, False):
        seen = []
        dataset = Dataset.from_generator(numbers).map(lambda x: x + 1, 3, is_ordered)
        with pytest.raises(LookupError, match="the end"):
            for number in dataset:
                seen.append(int(number))
        if is_ordered:
            assert seen == [1, 2, 3, 4, 5]


def test_a_parallel_map_runs_side_by_side_and_only_so_many():
    together = threading.Barrier(3)
    running, most = [], []

    def meet(x):
        running.append(x)
        most.append(len(running))
        together.wait(10)
        running.remove(x)
        return x

    assert [int(x) for x in Dataset.range(9).map(meet, 3)] == list(range(9))
    assert max(most) == 3


def test_a_parallel_map_does_not_read_far_ahead():
    dataset, made = counted()
    iterator = iter(dataset.map(lambda x: x, 2))
    next(iterator)
    assert len(made) <= 5
    iterator.close()


def test_interleave_with_threads_stops_too():
    dataset = Dataset.range(4).interleave(
        lambda x: counted()[0].map(lambda y: x), cycle_length=2, num_parallel_calls=AUTOTUNE
    )
    assert [int(x) for x in dataset.take(5)] == [0, 1, 0, 1, 0]


def test_two_loops_at_a_time_over_one_dataset():
    dataset = Dataset.range(20).shuffle(20, seed=1).prefetch(2)
    one, two = iter(dataset), iter(dataset)
    pairs = [(int(next(one)), int(next(two))) for _ in range(20)]
    assert [x for x, _ in pairs] != [y for _, y in pairs]
    assert sorted(x for x, _ in pairs) == sorted(y for _, y in pairs) == list(range(20))


def test_tensors_are_computed_in_the_background():
    seen = []

    def double(x):
        seen.append(threading.current_thread().name)
        return tw.asarray(x) * 2

    values = [element.numpy().tolist() for element in Dataset.range(6).map(double).prefetch(2)]
    assert values == [0, 2, 4, 6, 8, 10] and set(seen) == {"thalweg-prefetch"}


def test_a_process_ends_while_threads_wait():
    program = """
    from thalweg.data import Dataset
    iterator = iter(Dataset.range(10**9).map(lambda x: x, 2).prefetch(2))
    print(next(iterator))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_batches_are_single_gathers(monkeypatch):
    """The fast path: one fancy index for each array and batch, none for rows."""
    calls = []
    whole = stages.gather

    def counting(column, block):
        calls.append(len(block))
        return whole(column, block)

    monkeypatch.setattr(stages, "gather", counting)
    x = np.arange(100)
    for (batch,) in Dataset.from_tensor_slices((x,)).shuffle(100, seed=1).repeat(2).batch(32):
        assert batch.flags.owndata
    assert calls == [32] * 6 + [8]
    for batch in Dataset.from_tensor_slices(x).skip(3).batch(32):
        assert np.shares_memory(batch, x)

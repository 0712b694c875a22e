"""Threads that share a kernel's tasks, and the memory that results are lent from."""

import threading

import numpy as np
import pytest

import thalweg as tw
from thalweg.backends.llvm import memory, threads
from thalweg.base.errors import ArgumentError
from thalweg.base.options import set_options

SHAPE = (256, 700)
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal(SHAPE).astype(np.float32)
W = RANDOM.standard_normal((700, 333)).astype(np.float32)


@pytest.fixture(autouse=True)
def native():
    former = set_options(backend="native")
    yield
    set_options(backend=former.backend)


PROGRAMS = {
    "product": lambda x, w: tw.tanh(x @ w),
    "columns": lambda x, w: tw.sum(x, axis=0),
    "rows": lambda x, w: tw.sum(tw.exp(x), axis=1),
    "middle": lambda x, w: tw.max(tw.reshape(x, (8, 32, 700)), axis=1),
    "all": lambda x, w: tw.sum(x),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_do_not_depend_on_the_number_of_threads(name, monkeypatch):
    run = tw.function(PROGRAMS[name])
    found = set()
    for count in ("1", "2", "3", "8"):
        monkeypatch.setenv("THALWEG_THREADS", count)
        found |= {run(X, W).numpy().tobytes() for _ in range(5)}
    assert len(found) == 1


def test_callers_at_the_same_time(monkeypatch):
    monkeypatch.setenv("THALWEG_THREADS", "3")
    run = tw.function(PROGRAMS["product"])
    wanted = run(X, W).numpy().tobytes()
    wrong = []

    def work():
        for _ in range(20):
            if run(X, W).numpy().tobytes() != wanted:
                wrong.append(threading.current_thread().name)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert not wrong


def test_one_team_for_each_number_of_threads(monkeypatch):
    monkeypatch.setenv("THALWEG_THREADS", "2")
    team = threads.team()
    assert team is threads.team()
    assert team.workers == 1
    monkeypatch.setenv("THALWEG_THREADS", "1")
    assert threads.team() is None


@pytest.mark.parametrize("given", ["0", "-1", "two"])
def test_a_wrong_number_of_threads(given, monkeypatch):
    monkeypatch.setenv("THALWEG_THREADS", given)
    with pytest.raises(ArgumentError, match="whole number of at least 1"):
        threads.count()


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 127, 128, 129, 130, 700])
def test_strips_of_columns(columns):
    x = np.ascontiguousarray(X[:, :columns])
    found = tw.function(lambda x: tw.max(x, axis=0))(x).numpy()
    assert np.array_equal(found, x.max(0))


def test_memory_is_lent_again():
    first = memory.empty((512, 256), np.dtype(np.float32))
    address = first.ctypes.data
    assert address % memory.LINE == 0
    view = first[100:]
    del first
    other = memory.empty((512, 256), np.dtype(np.float32))
    assert other.ctypes.data != address, "memory that a view looks at is not free"
    del view
    again = memory.empty((512, 256), np.dtype(np.float32))
    assert again.ctypes.data == address
    assert again.flags.writeable and again.flags.c_contiguous


def test_the_stock_has_a_limit(monkeypatch):
    monkeypatch.setattr(memory, "STOCK", 0)
    before = memory._bytes
    array = memory.empty((1024, 1024), np.dtype(np.float64))
    array[:] = 1
    del array
    assert memory._bytes <= before

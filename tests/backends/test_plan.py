"""Plans: where the values of a program lie, what a run takes, and what runs do to one another."""

import threading

import numpy as np
import pytest

from thalweg.backends.llvm import objects
from thalweg.backends.llvm.memory import LINE, empty, reserve
from thalweg.backends.llvm.program import Program
from thalweg.backends.llvm.script import Space, lines
from thalweg.base.errors import OutOfMemoryError
from thalweg.ir.function import build
from thalweg.ir.leaves import items
from thalweg.ir.types import float32, tensor_type
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.control import HostFunction, callback
from thalweg.ops.elementwise import add, exp, sin
from thalweg.ops.movement import reshape
from thalweg.ops.sort import sort
from thalweg.tools.fuzz import arguments
from thalweg.tools.programs import random_function
from thalweg.transforms.evaluate import run


def matrix(seed, shape=(6, 10)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


HOST = HostFunction("sorted", lambda x: np.sort(x, -1))


@pytest.fixture(params=["a kernel", "a definition"], autouse=True)
def in_order(request, monkeypatch):
    """What lies between two kernels: one that stands alone, or what has none."""
    if request.param == "a definition":
        monkeypatch.setitem(globals(), "last_in_order", on_the_host)


def on_the_host(x):
    return items(callback(x, function=HOST, types=(x.type,)))[0]


def last_in_order(x):
    """The elements of the last axis in order."""
    return items(sort(x, axis=x.type.rank - 1, descending=False))[0]


def chain(steps):
    """Kernels that cannot be fused, each as large as the argument: sorts lie between them."""

    def body(x):
        for _ in range(steps):
            x = sin(last_in_order(exp(sin(x))))
        return x

    return build("chain", [tensor_type(float32, (6, 10))], body)


def plan_of(program, *arrays):
    program.run(*arrays)
    return next(iter(program._plans.values()))


@pytest.mark.parametrize("seed", range(12))
def test_values_that_meet_have_places_apart(seed):
    function = random_function(seed)
    arrays = arguments(function, seed)
    program = Program(function)
    wanted = run(function, *arrays)
    for found, value in zip(program.run(*arrays), wanted, strict=True):
        assert found.shape == value.shape and found.dtype == value.dtype
    plan = next(iter(program._plans.values()))
    spans = {n: plan.script.spans[n] for n in plan.places if lines(plan.layouts[n])}
    for a in spans:
        start, end = plan.places[a], plan.places[a] + lines(plan.layouts[a])
        assert start % LINE == 0 and end <= plan.bytes
        for b in spans:
            if a < b and spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]:
                other = plan.places[b]
                assert end <= other or other + lines(plan.layouts[b]) <= start


def test_a_long_chain_takes_no_more_memory_than_a_short_one():
    x = matrix(0)
    short, long = plan_of(Program(chain(2)), x), plan_of(Program(chain(9)), x)
    assert 0 < long.bytes <= short.bytes
    assert long.result_bytes == lines(((6, 10), np.dtype(np.float32)))
    assert long.defined_bytes <= short.defined_bytes, "what was sorted is let go of"
    assert bool(long.defined_bytes) == long.defines


def test_results_outlive_the_next_run():
    program = Program(chain(3))
    first, second = matrix(1), matrix(2)
    (kept,) = program.run(first)
    before = kept.copy()
    program.run(second)
    assert np.array_equal(kept, before)
    assert np.array_equal(program.run(first)[0], before)


def test_a_result_that_is_a_view_of_a_value_is_its_own():
    def body(x):
        y = last_in_order(exp(x))
        total = sum_op(exp(sin(y)), axes=(1,))
        return reshape(last_in_order(total), shape=(2, 3))

    function = build("view", [tensor_type(float32, (6, 10))], body)
    program = Program(function)
    (kept,) = program.run(matrix(3))
    before = kept.copy()
    program.run(matrix(4))
    assert np.array_equal(kept, before)
    assert np.allclose(kept, run(function, matrix(3))[0], rtol=1e-5)


def test_threads_run_one_plan_at_the_same_time():
    program = Program(chain(4))
    inputs = [matrix(seed) for seed in range(4)]
    wanted = [program.run(x)[0].copy() for x in inputs]
    wrong = []

    def work(index):
        for _ in range(40):
            if not np.array_equal(program.run(inputs[index])[0], wanted[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []
    assert len(plan_of(program, inputs[0])._free) <= 4


def test_gaps_are_joined_and_used_again():
    space = Space()
    a, b, c = space.take(64), space.take(128), space.take(64)
    assert (a, b, c, space.size) == (0, 64, 192, 256)
    space.give_back(a, 64)
    space.give_back(b, 128)
    assert space.gaps == [(0, 192)]
    assert space.take(192) == 0 and space.size == 256
    space.give_back(c, 64)
    assert space.take(128) == 192 and space.size == 320


def test_memory_that_is_not_there_is_asked_for_by_name():
    with pytest.raises(OutOfMemoryError, match=r"wants 1,048,576 MiB for a test(.|\n)*do this"):
        reserve(1 << 40, "a test", "do this")
    with pytest.raises(MemoryError, match=r"wants .* MiB for the result of a program"):
        empty((1 << 57,), np.dtype(np.float32))


# Results are written again when nobody holds them -------------------------------------------------


@pytest.fixture(params=["native", "one by one"])
def objects_read(request, monkeypatch):
    """Both ways to ask objects for their addresses and references."""
    if request.param == "native":
        assert objects.native_start() is not None
    else:
        monkeypatch.setattr(objects, "native_start", lambda: None)
    return request.param


def doubled():
    return Program(build("f", [tensor_type(float32, (6, 10))], lambda x: (add(x, x), x)))


@pytest.mark.usefixtures("objects_read")
@pytest.mark.parametrize("hold", [lambda y: y, lambda y: y[2:], lambda y: memoryview(y), repr])
def test_what_somebody_holds_is_never_written(hold):
    program = doubled()
    x = matrix(0)
    held, wanted = [], []
    for step in range(7):
        y = program.run(x + step)[0]
        held.append(hold(y))
        wanted.append(hold((x + step) * 2))
        del y
    for found, value in zip(held, wanted, strict=True):
        assert found == value if isinstance(found, str) else np.array_equal(found, value)


@pytest.mark.usefixtures("objects_read")
def test_what_nobody_holds_is_written_again():
    program = doubled()
    x = matrix(0)
    addresses = [program.run(x)[0].ctypes.data for _ in range(8)]
    assert len(set(addresses)) == 2
    assert addresses[::2] == addresses[:1] * 4


@pytest.mark.usefixtures("objects_read")
def test_results_cannot_be_written():
    (y, same) = doubled().run(matrix(0))
    with pytest.raises(ValueError, match="read-only"):
        y[0] = 1
    assert np.array_equal(same, matrix(0))


@pytest.mark.usefixtures("objects_read")
def test_arguments_with_gaps_are_copied():
    program = doubled()
    x = matrix(0)
    wide = np.zeros((6, 20), np.float32)
    wide[:, ::2] = x
    turned = np.asfortranarray(x)
    shifted = np.zeros(241, np.uint8)[1:].view(np.float32).reshape(6, 10)
    shifted[:] = x
    for given in (wide[:, ::2], turned, shifted):
        assert np.array_equal(program.run(given)[0], 2 * x)

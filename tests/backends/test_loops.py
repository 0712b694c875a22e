"""Loops and branches as native code: every way in which a value goes from step to step."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm import instructions, loops, plan, threads
from thalweg.backends.llvm.program import Program
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full, items
from thalweg.ir.types import as_dtype, bool_, float32, int32, tensor_type
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.control import HostFunction, callback, scan, switch, while_
from thalweg.ops.elementwise import (
    add,
    cast,
    less,
    logical_and,
    logical_not,
    multiply,
    remainder,
    sin,
    tanh,
)
from thalweg.ops.linalg import cholesky
from thalweg.ops.movement import concatenate, reshape, slice, transpose
from thalweg.ops.sort import sort
from thalweg.transforms.evaluate import run

H, B = 12, 5


def matrix(x, w):
    return dot(x, w, contract=((1,), (0,)), batch=((), ()))


def in_order(x):
    return items(sort(x, axis=1, descending=False))[0]


def rows(x, start, count=None):
    """Some rows: a view that lies in one piece."""
    count = x.shape[0] - start if count is None else count
    return slice(x, start=(start, 0), limit=(start + count, x.shape[1]), stride=(1, 1))


def factor(x):
    """Something without a kernel."""
    size = x.shape[0]
    eye = np.eye(size, dtype=np.float32)
    square = add(multiply(matrix(x, transpose(x, axes=(1, 0))), full(0.0, x.dtype, (size, size))),
                 literal(eye))  # fmt: skip
    return matrix(cholesky(square), x)


def literal(array):
    from_rows = [full(float(each), float32, (1, 1)) for each in array.ravel()]
    return reshape(concatenate(*from_rows, axis=0), shape=array.shape)


# Each: the constants, the carry, the slice of a sequence -> the next carry, what is stacked.
BODIES = {
    "a recurrent layer": lambda w, h, c, x: ([tanh(add(matrix(h, w), x)), add(c, x)], [h]),
    "stacked as it enters": lambda w, h, c, x: ([tanh(add(h, x)), c], [h]),
    "stacked as it leaves": lambda w, h, c, x: (lambda y: ([y, c], [y]))(tanh(add(h, x))),
    "stacked both ways": lambda w, h, c, x: (lambda y: ([y, c], [h, y, y]))(tanh(add(h, x))),
    "stacked twice as it enters": lambda w, h, c, x: ([tanh(add(h, x)), add(c, h)], [h, h, c]),
    "nothing stacked": lambda w, h, c, x: ([tanh(add(h, x)), add(c, h)], []),
    "slices and constants stacked": lambda w, h, c, x: ([add(h, x), c], [x, w, c]),
    "a constant carried": lambda w, h, c, x: ([full(3, x.dtype, h.type.shape), add(c, h)], [h, c]),
    "two leave as one": lambda w, h, c, x: (lambda y: ([y, y], [h, c]))(sin(multiply(c, x))),
    "carries change places": lambda w, h, c, x: ([c, add(h, x)], [c]),
    "carries move along": lambda w, h, c, x: ([add(h, x), h], [c]),
    "carries are exchanged": lambda w, h, c, x: ([c, h], [multiply(h, x)]),
    "a slice is carried": lambda w, h, c, x: ([x, add(h, c)], [h]),
    "a part is carried": lambda w, h, c, x: (
        lambda y: ([rows(y, 0, h.shape[0]), rows(y, c.shape[0])], [c, rows(y, 0, 1)])
    )(concatenate(sin(x), add(h, c), axis=0)),
    "views": lambda w, h, c, x: (
        [reshape(reshape(tanh(add(h, x)), shape=(h.type.size,)), shape=h.shape),
         reshape(c, shape=c.shape)], [reshape(x, shape=(x.type.size,)), rows(h, 1)]),
    "turned": lambda w, h, c, x: (
        [transpose(reshape(transpose(add(h, x), axes=(1, 0)), shape=(x.shape[1], x.shape[0])),
                   axes=(1, 0)), c], [transpose(h, axes=(1, 0))]),
    "no kernel": lambda w, h, c, x: ([h, c], [x]),
    "a sort": lambda w, h, c, x: ([in_order(add(h, x)), c], [h]),
    "an operation without kernel": lambda w, h, c, x: ([factor(add(h, x)), c], [h]),
}  # fmt: skip
STEPWISE = ("an operation without kernel",)


def loop(body, length, batch=B, reverse=False, dtype=float32):
    types = [tensor_type(dtype, (H, H)), tensor_type(dtype, (batch, H)),
             tensor_type(dtype, (batch, H)), tensor_type(dtype, (length, batch, H))]  # fmt: skip
    inner = [*types[:3], types[3].with_shape((batch, H))]

    def flat(*args):
        carry, stacked = body(*args)
        return [*carry, *stacked]

    step = build("step", inner, flat)
    attrs = {"constants": 1, "carries": 2, "length": length, "reverse": reverse}
    return build("loop", types, lambda *args: items(scan(*args, body=step, **attrs)))


def arrays(length, batch=B, dtype=float32):
    generator = np.random.default_rng(0)
    shapes = (H, H), (batch, H), (batch, H), (length, batch, H)
    return [generator.uniform(-1, 1, shape).astype(dtype.numpy) for shape in shapes]


def same(program, given, tolerance=1e-5):
    for found, wanted in zip(program.run(*given), run(program.function, *given), strict=True):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(
            found.astype(np.float64), wanted.astype(np.float64), rtol=tolerance, atol=tolerance
        )


def is_native(program, given):
    """True where Python does nothing between the first kernel and the last."""
    return not program.plan(given).defines


# scan ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 17])
@pytest.mark.parametrize("name", BODIES)
def test_loops(name, length, reverse):
    program = Program(loop(BODIES[name], length, reverse=reverse))
    for _ in range(3):
        same(program, arrays(length))
    assert is_native(program, arrays(length)) == (name not in STEPWISE)


@pytest.mark.parametrize("name", ["float64", "bfloat16", "float16"])
def test_types(name):
    dtype = as_dtype(name)
    program = Program(loop(BODIES["stacked both ways"], 9, dtype=dtype))
    same(program, arrays(9, dtype=dtype), 1e-5 if name == "float64" else 2e-2)


@pytest.mark.parametrize("name", BODIES)
def test_no_steps_at_all(name):
    program = Program(loop(BODIES[name], 0))
    same(program, arrays(0))


def test_one_compile_for_every_length_and_batch():
    program = Program(loop(BODIES["a recurrent layer"], named("t"), named("b")))
    for length, batch in ((1, 1), (7, 3), (20, 2), (2, 33)):
        same(program, arrays(length, batch))
        assert is_native(program, arrays(length, batch))


def test_loops_in_loops():
    inner = loop(BODIES["a recurrent layer"], 4)

    def body(w, h, c, x):
        results = items(scan(w, h, c, x, body=STEP, constants=1, carries=2, length=4,
                             reverse=False))  # fmt: skip
        return results[:2], [results[2]]

    STEP = build(
        "step", [*inner.parameter_types[:3], tensor_type(float32, (B, H))],
        lambda *args: [each for part in BODIES["a recurrent layer"](*args) for each in part],
    )  # fmt: skip
    types = [*inner.parameter_types[:3], tensor_type(float32, (3, 4, B, H))]
    outer_step = build(
        "outer", inner.parameter_types, lambda *args: [e for part in body(*args) for e in part]
    )
    function = build("nested", types, lambda *args: items(scan(
        *args, body=outer_step, constants=1, carries=2, length=3, reverse=False)))  # fmt: skip
    w, h, c, x = arrays(12)
    program = Program(function)
    given = [w, h, c, x.reshape(3, 4, B, H)]
    same(program, given)
    assert is_native(program, given)


def test_large_bodies_are_shared_by_threads_and_give_equal_bits(monkeypatch):
    size = 256
    types = [tensor_type(float32, (size, size)), tensor_type(float32, (size, size)),
             tensor_type(float32, (5, size, size))]  # fmt: skip
    step = build("step", [types[0], types[1], types[1]],
                 lambda w, h, x: (lambda y: [y, y])(tanh(add(matrix(h, w), x))))  # fmt: skip
    function = build("large", types, lambda *args: items(scan(
        *args, body=step, constants=1, carries=1, length=5, reverse=False)))  # fmt: skip
    program = Program(function)
    generator = np.random.default_rng(0)
    given = [generator.uniform(-0.1, 0.1, type.shape).astype(np.float32) for type in types]
    found = []
    for count in (1, 2, 3):
        monkeypatch.setenv("THALWEG_THREADS", str(count))
        found.append(b"".join(each.tobytes() for each in program.run(*given)))
    assert len(set(found)) == 1
    assert program.plan(given).is_big


def test_small_bodies_stay_with_one_thread():
    program = Program(loop(BODIES["a recurrent layer"], 6, batch=600))
    assert not program.plan(arrays(6, 600)).is_big


def test_threads_have_the_same_rows_of_every_kernel_of_a_loop(monkeypatch):
    """Small products over named rows: a tile of rows is a task, and its matrix is read in place."""
    rows, size = named("b"), 128
    types = [tensor_type(float32, shape) for shape in
             ((size, size), (rows, size), (4, rows, size))]  # fmt: skip
    step = build("step", [types[0], types[1], types[1]],
                 lambda w, h, x: (lambda y: [y, y])(tanh(add(matrix(h, w), x))))  # fmt: skip
    program = Program(build("few", types, lambda *args: items(scan(
        *args, body=step, constants=1, carries=1, length=4, reverse=False))))  # fmt: skip
    for count in (1, 3, 33, 64):
        generator = np.random.default_rng(count)
        shapes = (size, size), (count, size), (4, count, size)
        given = [generator.uniform(-0.1, 0.1, shape).astype(np.float32) for shape in shapes]
        wanted = run(program.function, *given)
        found = set()
        for workers in (1, 2, 3, 8):
            monkeypatch.setenv("THALWEG_THREADS", str(workers))
            results = program.run(*given)
            found.add(b"".join(each.tobytes() for each in results))
            np.testing.assert_allclose(results[0], wanted[0], rtol=1e-4, atol=1e-5)
        assert len(found) == 1
        launches = program.plan(given).launches
        assert any(each.is_steady for each in launches) == (count >= 33)
    assert threads.blocks([9, 2, 1, 0], 4, [True, True, True, True])[:4] == [-4, -2, 0, 0]


def test_a_step_waits_for_whoever_is_still_in_the_one_before(monkeypatch):
    """A worker that was put aside in the last kernel of a step finds its table as it was."""
    size, length = 192, 5
    types = [tensor_type(float32, (size, size)), tensor_type(float32, (size, size)),
             tensor_type(float32, (length, size, size))]  # fmt: skip
    step = build("step", [types[0], types[1], types[1]],
                 lambda w, h, x: (lambda y: [y, y])(tanh(add(matrix(h, w), x))))  # fmt: skip
    function = build("waits", types, lambda *args: items(scan(
        *args, body=step, constants=1, carries=1, length=length, reverse=False)))  # fmt: skip
    generator = np.random.default_rng(0)
    given = [generator.uniform(-0.1, 0.1, type.shape).astype(np.float32) for type in types]
    monkeypatch.setenv("THALWEG_THREADS", "2")
    reached, work = [], threads.Team.work

    def with_someone_inside(self, run, first, last, held):
        def one(place):
            self._state[threads.ACTIVE] += 1
            reached.append(run(place))
            while self._state[threads.ACTIVE] > 1:
                time.sleep(1e-5)
            self._state[threads.ACTIVE] -= 1
            return reached[-1]

        return work(self, one, first, last, held)

    monkeypatch.setattr(threads.Team, "work", with_someone_inside)
    same(Program(function), given)
    assert len(reached) == length + 1, "left after the one kernel of each step"


def test_results_outlive_the_next_run():
    program = Program(loop(BODIES["stacked both ways"], 6))
    given = arrays(6)
    first = program.run(*given)
    before = [each.copy() for each in first]
    program.run(*[each + 1 for each in given])
    for found, wanted in zip(first, before, strict=True):
        assert np.array_equal(found, wanted)


def test_numbers_without_axes():
    """As constant, carry and slice: they must not gain an axis on the way."""
    types = [tensor_type(float32, ()), tensor_type(float32, ()), tensor_type(float32, (4,))]
    step = build("step", [types[0], types[1], types[1]],
                 lambda w, h, x: (lambda y: [y, y])(sin(add(multiply(w, h), x))))  # fmt: skip
    function = build("numbers", types, lambda *args: items(scan(
        *args, body=step, constants=1, carries=1, length=4, reverse=True)))  # fmt: skip
    generator = np.random.default_rng(0)
    given = [generator.uniform(-1, 1, type.shape) for type in types]
    same(Program(function), [np.asarray(each, np.float32) for each in given])


def host(x):
    return items(callback(x, function=HostFunction("host", lambda x: x * 2), types=(x.type,)))[0]


def test_numbers_without_axes_step_by_step():
    types = [tensor_type(float32, ()), tensor_type(float32, (3,))]
    step = build("step", [types[0], types[0]], lambda h, x: [x, multiply(sin(host(h)), x)])
    function = build("numbers", types, lambda *args: items(scan(
        *args, body=step, constants=0, carries=1, length=3, reverse=False)))  # fmt: skip
    program = Program(function)
    given = [np.asarray(0.5, np.float32), np.arange(3, dtype=np.float32)]
    same(program, given)
    assert not is_native(program, given)


# while --------------------------------------------------------------------------------------------

I32 = tensor_type(int32, ())


def counted(body, types, inner=None):
    """body(limit, count, *state) while count < limit."""
    return build("counted", [I32, I32, *types], lambda *args: items(while_(
        *args,
        condition=build("goes_on", [I32, I32, *types], lambda n, i, *rest: less(i, n)),
        body=build("step", [I32, I32, *types], lambda n, i, *rest: [
            add(i, full(1, int32)), *body(n, i, *rest)]),
        constants=1,
    )))  # fmt: skip


STATES = {
    "one": lambda n, i, x, y: [sin(add(x, y)), y],
    "both": lambda n, i, x, y: [sin(add(x, y)), multiply(x, y)],
    "exchanged": lambda n, i, x, y: [y, x],
    "along": lambda n, i, x, y: [add(x, y), x],
    "as one": lambda n, i, x, y: (lambda z: [z, z])(sin(add(x, y))),
    "constant": lambda n, i, x, y: [full(3, x.dtype, x.shape), add(x, y)],
    "nothing": lambda n, i, x, y: [x, y],
    "views": lambda n, i, x, y: [
        reshape(reshape(add(x, y), shape=(x.type.size,)), shape=x.shape),
        rows(concatenate(y, sin(x), axis=0), x.shape[0])],
    "no kernel": lambda n, i, x, y: [host(x), add(x, y)],
    "turned": lambda n, i, x, y: [
        add(y, reshape(transpose(x, axes=(1, 0)), shape=x.shape)), x],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (0, 4)])
@pytest.mark.parametrize("name", STATES)
def test_while(name, shape, dtype):
    dtype = as_dtype(dtype)
    if dtype is int32 and name not in ("exchanged", "along", "constant", "nothing", "turned"):
        return
    types = [tensor_type(dtype, shape)] * 2
    program = Program(counted(STATES[name], types))
    most = 3 if dtype is int32 else 1
    generator = np.random.default_rng(0)
    x, y = (generator.uniform(-most, most, shape).astype(dtype.numpy) for _ in range(2))
    for count in (0, 1, 2, 3, 8, -1):
        given = [np.int32(count), np.int32(0), x, y]
        given = list(map(np.asarray, given))
        same(program, given, 3e-2 if dtype.bits == 16 else 1e-5)
        assert is_native(program, given) == (name != "no kernel")


def test_while_of_every_size():
    b = named("b")
    types = [tensor_type(float32, (b, 3)), tensor_type(float32, (b, 3))]
    program = Program(counted(STATES["both"], types))
    for size in (1, 2, 40):
        generator = np.random.default_rng(size)
        x, y = (generator.uniform(-1, 1, (size, 3)).astype(np.float32) for _ in range(2))
        same(program, [np.array(5, np.int32), np.array(0, np.int32), x, y])
    assert len(program._plans) == 3


def test_a_boolean_is_carried_and_ends_the_loop():
    """The condition is the carry itself: there is no kernel for it."""
    types = [tensor_type(bool_, ()), tensor_type(float32, ())]
    function = build("flagged", types, lambda *args: items(while_(
        *args,
        condition=build("goes_on", types, lambda flag, x: flag),
        body=build("step", types, lambda flag, x: [
            less(multiply(x, x), full(1000, float32)), multiply(x, full(1.5, float32))]),
        constants=0,
    )))  # fmt: skip
    program = Program(function)
    for flag in (False, True):
        given = [np.array(flag), np.array(1.0, np.float32)]
        same(program, given)
        assert is_native(program, given)


def test_a_loop_whose_condition_is_a_constant():
    function = build("never", [tensor_type(float32, (3,))], lambda x: items(while_(
        x,
        condition=build("no", [tensor_type(float32, (3,))], lambda x: full(False, bool_)),
        body=build("step", [tensor_type(float32, (3,))], lambda x: [sin(x)]),
        constants=0,
    )))  # fmt: skip
    same(Program(function), [np.arange(3, dtype=np.float32)])


def test_results_of_a_loop_are_used_and_given():
    """By kernels, by another loop, as a view; one is not used at all."""
    type = tensor_type(float32, (4, 3))

    def body(n, i, x, y):
        i, x, y, _ = items(while_(n, i, x, y, x, **attributes(STATES["both"])))
        again = items(while_(n, full(0, int32), sin(y), x, x, **attributes(STATES["along"])))
        return [reshape(x, shape=(12,)), y, add(again[1], again[2]), rows(again[1], 1), again[2]]

    def attributes(step):
        types = [I32, I32, type, type, type]
        return {
            "condition": build("goes_on", types, lambda n, i, *rest: less(i, n)),
            "body": build("step", types, lambda n, i, x, y, z: [
                add(i, full(1, int32)), *step(n, i, x, y), add(z, x)]),
            "constants": 1,
        }  # fmt: skip

    program = Program(build("used", [I32, I32, type, type], body))
    generator = np.random.default_rng(0)
    x, y = (generator.uniform(-1, 1, type.shape).astype(np.float32) for _ in range(2))
    kept = []
    for count in (3, 0, 4, 5):
        given = [np.array(count, np.int32), np.array(0, np.int32), x, y]
        same(program, given)
        kept.append((program.run(*given), run(program.function, *given)))
    for found, wanted in kept:
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


# switch -------------------------------------------------------------------------------------------


def branches(count=3):
    types = [tensor_type(float32, (3, 4)), tensor_type(float32, (3, 4))]
    bodies = [
        lambda x, y: [sin(x), add(x, y), x],
        lambda x, y: (lambda z: [z, z, rows(concatenate(z, y, axis=0), 3)])(multiply(x, y)),
        lambda x, y: [y, x, full(2, float32, (3, 4))],
        lambda x, y: [host(x), x, y],
    ]
    functions = [build(f"branch{at}", types, body) for at, body in enumerate(bodies[:count])]
    return build("choice", [I32, *types], lambda index, x, y: items(
        switch(index, x, y, branches=tuple(functions))))  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_branches(count):
    program = Program(branches(count))
    generator = np.random.default_rng(0)
    x, y = (generator.uniform(-1, 1, (3, 4)).astype(np.float32) for _ in range(2))
    for index in (-5, 0, 1, 2, 3, 100):
        given = [np.array(index, np.int32), x, y]
        same(program, given)
        assert is_native(program, given) == (count < 4)


def nested(depth):
    """Loops and branches within one another: while, scan, switch, and again."""
    type = tensor_type(float32, (2, 3))

    def leaf(i, x, y):
        count = broadcast(cast(remainder(i, full(5, int32)), dtype=float32), shape=x.shape, axes=())
        return [tanh(add(x, y)), multiply(y, add(count, full(0.5, float32, x.shape)))]

    def level(at):
        if at == 0:
            return build("leaf", [I32, type, type], leaf)
        inner = level(at - 1)
        kind = at % 3

        def body(i, x, y):
            if kind == 1:
                found = items(while_(
                    full(3, int32), full(0, int32), x, y,
                    condition=build("on", [I32, I32, type, type], lambda n, i, x, y: less(i, n)),
                    body=build("step", [I32, I32, type, type], lambda n, i, x, y: [
                        add(i, full(1, int32)), *called(inner, i, x, y)[::-1]]),
                    constants=1))  # fmt: skip
                return found[1:]
            if kind == 2:
                xs = broadcast(x, shape=(2, *type.shape), axes=(1, 2))
                found = items(scan(
                    i, x, y, xs,
                    body=build("step", [I32, type, type, type], lambda i, x, y, z: [
                        *called(inner, i, x, add(y, z)), add(x, z)]),
                    constants=1, carries=2, length=2, reverse=at % 2 == 0))  # fmt: skip
                total = sum_op(found[2], axes=(0,))
                return [found[1], add(found[0], multiply(total, full(0.01, float32, type.shape)))]
            other = build("other", [I32, type, type], lambda i, x, y: [y, sin(x)])
            return items(switch(remainder(i, full(2, int32)), i, x, y, branches=(inner, other)))

        return build(f"level{at}", [I32, type, type], body)

    def called(function, *args):
        return items(switch(full(0, int32), *args, branches=(function,)))

    whole = level(depth)
    return build("nested", [I32, type, type], lambda *args: items(switch(
        args[0], *args, branches=(whole, whole))))  # fmt: skip


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_control_flow_within_control_flow(depth):
    program = Program(nested(depth))
    generator = np.random.default_rng(0)
    x, y = (generator.uniform(-1, 1, (2, 3)).astype(np.float32) for _ in range(2))
    for index in (0, 1, 7):
        given = [np.array(index, np.int32), x, y]
        same(program, given)
        assert is_native(program, given)


# Interrupts and threads ---------------------------------------------------------------------------


def endless(body=None, type=None):
    type = type or tensor_type(float32, (8,))
    body = body or (lambda x: [multiply(x, full(0.99, float32, x.shape))])
    return build("endless", [type], lambda x: items(while_(
        x,
        condition=build("on", [type], lambda x: full(True, bool_)),
        body=build("step", [type], body),
        constants=0,
    )))  # fmt: skip


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("count", ["1", "2"])
def test_a_loop_without_end_can_be_interrupted(monkeypatch, count, kernel):
    monkeypatch.setenv("THALWEG_THREADS", count)
    monkeypatch.setattr(plan, "WORTH_THREADS", 1)
    monkeypatch.setattr(loops, "WORTH_SHARING", 1)
    type = tensor_type(float32, (64, 64))
    program = Program(endless(type=type) if kernel else endless(lambda x: [x], type))
    x = np.ones((64, 64), np.float32)
    program.plan([x])
    instructions.perform()
    sent = []

    def interrupt():
        time.sleep(0.3)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        program.run(x)
    assert time.perf_counter() - sent[0] < 5, "it was not honoured within a second or so"
    thread.join()
    same(Program(counted(STATES["both"], [type, type])),
         [np.array(3, np.int32), np.array(0, np.int32), x, x])  # fmt: skip


def test_a_loop_that_is_left_for_python_goes_on(monkeypatch):
    monkeypatch.setattr(loops, "STEP_COST", instructions.FUEL // 2)
    program = Program(counted(STATES["along"], [tensor_type(float32, (2, 3))] * 2))
    x = np.ones((2, 3), np.float32)
    same(program, [np.array(20, np.int32), np.array(0, np.int32), x, x])
    length = 9
    same(Program(loop(BODIES["stacked both ways"], length)), arrays(length))


def test_bits_do_not_depend_on_the_threads(monkeypatch):
    monkeypatch.setattr(plan, "WORTH_THREADS", 1)
    monkeypatch.setattr(loops, "WORTH_SHARING", 1)
    type = tensor_type(float32, (70, 300))
    program = Program(counted(lambda n, i, x, y: [
        tanh(add(x, y)), broadcast(sum_op(x, axes=(1,)), shape=x.shape, axes=(0,))],
        [type, type]))  # fmt: skip
    generator = np.random.default_rng(0)
    x, y = (generator.uniform(-1, 1, type.shape).astype(np.float32) for _ in range(2))
    found = set()
    for count in ("1", "2", "3", "2"):
        monkeypatch.setenv("THALWEG_THREADS", count)
        results = program.run(np.array(7, np.int32), np.array(0, np.int32), x, y)
        found.add(b"".join(each.tobytes() for each in results))
    assert len(found) == 1
    assert program.plan([np.array(7, np.int32), np.array(0, np.int32), x, y]).is_big


def test_conditions_of_several_parts():
    """The condition needs kernels and temporary values of its own."""
    types = [tensor_type(float32, (3, 4)), tensor_type(float32, (3, 4))]
    function = build("parts", types, lambda *args: items(while_(
        *args,
        condition=build("on", types, lambda x, y: logical_and(
            less(sum_op(x, axes=(0, 1)), full(100, float32)),
            logical_not(less(sum_op(in_order(y), axes=(0, 1)), full(-1, float32))))),
        body=build("step", types, lambda x, y: [
            add(x, y), multiply(y, full(1.5, float32, y.shape))]),
        constants=0,
    )))  # fmt: skip
    generator = np.random.default_rng(0)
    x, y = (generator.uniform(0, 1, (3, 4)).astype(np.float32) for _ in range(2))
    program = Program(function)
    same(program, [x, y])
    assert is_native(program, [x, y])

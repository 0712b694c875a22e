"""scan as native code: every way in which a value goes from step to step, beside the definition."""

import time

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm import threads
from thalweg.backends.llvm.loops import Loop
from thalweg.backends.llvm.program import Program
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full, items
from thalweg.ir.types import as_dtype, float32, tensor_type
from thalweg.ops.contract import dot
from thalweg.ops.control import scan
from thalweg.ops.elementwise import add, multiply, sin, tanh
from thalweg.ops.sort import sort
from thalweg.transforms.evaluate import run

H, B = 12, 5


def matrix(x, w):
    return dot(x, w, contract=((1,), (0,)), batch=((), ()))


def doubled(h):
    return multiply(h, full(2, h.dtype, h.type.shape))


# Each: the constants, the carry, the slice of a sequence -> the next carry, what is stacked.
BODIES = {
    "a recurrent layer": lambda w, h, c, x: ([tanh(add(matrix(h, w), x)), add(c, x)], [h]),
    "stacked as it enters": lambda w, h, c, x: ([tanh(add(h, x)), c], [h]),
    "stacked as it leaves": lambda w, h, c, x: (lambda y: ([y, c], [y]))(tanh(add(h, x))),
    "stacked both ways": lambda w, h, c, x: (lambda y: ([y, c], [h, y, y]))(tanh(add(h, x))),
    "nothing stacked": lambda w, h, c, x: ([tanh(add(h, x)), add(c, h)], []),
    "slices and constants stacked": lambda w, h, c, x: ([add(h, x), c], [x, w, c]),
    "a constant carried": lambda w, h, c, x: ([full(3, x.dtype, h.type.shape), add(c, h)], [h, c]),
    "two leave as one": lambda w, h, c, x: (lambda y: ([y, y], [h, c]))(sin(multiply(c, x))),
    "carries change places": lambda w, h, c, x: ([c, add(h, x)], [c]),
    "a slice is carried": lambda w, h, c, x: ([x, add(h, c)], [h]),
    "no kernel": lambda w, h, c, x: ([h, c], [x]),
    "a sort inside": lambda w, h, c, x: (
        [items(sort(add(h, x), axis=1, descending=False))[0], c], [h]),
}  # fmt: skip
STEPWISE = ("carries change places", "a slice is carried", "a sort inside")


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


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 17])
@pytest.mark.parametrize("name", BODIES)
def test_loops(name, length, reverse):
    program = Program(loop(BODIES[name], length, reverse=reverse))
    for _ in range(3):
        same(program, arrays(length))
    (step,) = [step for step in program.steps if step.node.op is scan]
    if name == "no kernel":
        assert step.body is None
    else:
        assert step.loop({}).is_direct == (name not in STEPWISE)


@pytest.mark.parametrize("name", ["float64", "bfloat16", "float16"])
def test_types(name):
    dtype = as_dtype(name)
    program = Program(loop(BODIES["stacked both ways"], 9, dtype=dtype))
    same(program, arrays(9, dtype=dtype), 1e-5 if name == "float64" else 2e-2)


def test_no_steps_at_all():
    program = Program(loop(BODIES["stacked both ways"], 0))
    same(program, arrays(0))


def test_one_compile_for_every_length_and_batch():
    program = Program(loop(BODIES["a recurrent layer"], named("t"), named("b")))
    for length, batch in ((1, 1), (7, 3), (20, 2), (2, 33)):
        same(program, arrays(length, batch))


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
    same(Program(function), [w, h, c, x.reshape(3, 4, B, H)])


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
    assert reached == list(range(1, length + 1)), "one kernel in each step"


def test_results_outlive_the_next_run():
    program = Program(loop(BODIES["stacked both ways"], 6))
    given = arrays(6)
    first = program.run(*given)
    before = [each.copy() for each in first]
    program.run(*[each + 1 for each in given])
    for found, wanted in zip(first, before, strict=True):
        assert np.array_equal(found, wanted)


def test_a_loop_is_an_action_of_the_plan():
    program = Program(loop(BODIES["a recurrent layer"], 6))
    program.run(*arrays(6))
    (plan,) = program._plans.values()
    assert any(isinstance(definition, Loop) for _, definition, _ in plan.actions)


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


def test_numbers_without_axes_step_by_step():
    types = [tensor_type(float32, ()), tensor_type(float32, (3,))]
    step = build("step", [types[0], types[0]],
                 lambda h, x: [x, multiply(sin(h), x)])  # fmt: skip
    function = build("numbers", types, lambda *args: items(scan(
        *args, body=step, constants=0, carries=1, length=3, reverse=False)))  # fmt: skip
    program = Program(function)
    same(program, [np.asarray(0.5, np.float32), np.arange(3, dtype=np.float32)])
    assert not program.steps[0].loop({}).is_direct

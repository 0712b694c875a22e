"""Traced functions as people use them: methods, odd arguments, state, recursion, threads."""

import copy
import dataclasses
import enum
import functools
import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

import thalweg as tw
from thalweg.base.errors import ThalwegError
from thalweg.engine.context import current_trace
from thalweg.engine.tape import active_recorder
from thalweg.ir import node


def ones(*shape):
    return np.ones(shape, np.float32)


# Methods ------------------------------------------------------------------------------------------


class Scale:
    def __init__(self, factor):
        self.factor = factor

    @tw.function
    def __call__(self, x):
        return x * self.factor

    def plain(self, x):
        return x - self.factor

    traced = tw.function(plain)

    @tw.function(static="power")
    def power(self, x, power=2):
        return x**power * self.factor

    @classmethod
    @tw.function
    def of_class(cls, x):
        return x + len(cls.__name__)

    @staticmethod
    @tw.function
    def alone(x):
        return x + 1


class Doubled(Scale):
    @tw.function
    def __call__(self, x):
        return super().__call__(x) * 2


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    @tw.function
    def scale(self, x):
        return x * self.factor


@dataclasses.dataclass
class Unhashable:
    factor: float

    @tw.function
    def scale(self, x):
        return x * self.factor


def test_methods_are_traced_for_each_instance_and_inherited():
    two, three = Scale(2.0), Doubled(3.0)
    for _ in range(2):
        assert float(two(1.0)) == 2.0
        assert float(three(1.0)) == 6.0
        assert float(three.power(2.0)) == 12.0
        assert float(three.power(2.0, power=3)) == 24.0
    assert len(three.power.why) == 2 and not two.power.why
    assert float(Unhashable(2.0).scale(1.0)) == 2.0
    assert float(Unhashable(3.0).scale(1.0)) == 3.0


def test_a_method_under_a_second_name_leaves_the_first_as_it_is():
    calls = []

    class Model:
        def step(self, x):
            calls.append(1)
            return x + 1

        fast = tw.function(step)

    model = Model()
    for _ in range(3):
        model.fast(1.0)
        model.step(1.0)
    assert len(calls) == 1 + 3


def test_class_and_static_methods():
    for owner in (Scale, Scale(1.0)):
        assert float(owner.of_class(1.0)) == 6.0
        assert float(owner.alone(1.0)) == 2.0
    assert float(Doubled.of_class(1.0)) == 8.0


def test_slots_and_unbound_calls():
    a, b = Slotted(2.0), Slotted(5.0)
    for _ in range(2):
        assert [float(each.scale(1.0)) for each in (a, b)] == [2.0, 5.0]
    assert a.scale.why == ["the first call"]


def test_copies_and_pickles_are_instances_of_their_own():
    model = Scale(2.0)
    model(1.0)
    for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.factor = 10.0
        assert float(other(1.0)) == 10.0
    assert float(model(1.0)) == 2.0
    assert "traced" not in vars(model) and vars(model) == {"factor": 2.0}

    class Holder:
        def __init__(self):
            self.weight = 2.0
            self.run = tw.function(self.step)

        def step(self, x):
            return x * self.weight

    holder = Holder()
    holder.run(1.0)
    other = copy.deepcopy(holder)
    other.weight = 7.0
    assert float(other.run(1.0)) == 7.0
    assert pickle.loads(pickle.dumps(at_the_top)) is at_the_top
    assert copy.copy(at_the_top) is at_the_top


@tw.function
def at_the_top(x):
    return x + 1


def test_traces_of_an_instance_die_with_it():
    model = Scale(2.0)
    model(1.0)
    gone = weakref.ref(model)
    del model
    assert gone() is None


# Arguments ----------------------------------------------------------------------------------------


def test_every_kind_of_parameter():
    @tw.function
    def f(a, /, b, *rest, c=3.0, **others):
        return a + 10 * b + 100 * c + sum(rest) + others.get("d", 0) * 1000

    assert float(f(1.0, 2.0)) == 321.0
    assert float(f(1.0, b=2.0, c=5.0)) == 521.0
    assert float(f(1.0, 2.0, 3.0, 4.0, d=2.0)) == 2328.0
    assert float(tw.function(functools.partial(f.python_function, b=1.0))(1.0)) == 311.0


def test_functions_that_return_anything():
    @tw.function
    def f(x):
        return None, 3, x, x, (x, {"k": x + 1}), "text", True, np.float32(2), np.ones(2), x.shape

    x = tw.asarray([1.0])
    nothing, three, same, again, (inner, tree), text, true, number, array, shape = f(x)
    assert (nothing, three, text, true, number, shape) == (None, 3, "text", True, 2.0, (1,))
    assert same.tolist() == again.tolist() == inner.tolist() == [1.0]
    assert tree["k"].tolist() == [2.0] and array.tolist() == [1.0, 1.0]
    assert tw.function(lambda: None)() is None


def test_sizes_that_are_returned_are_numbers():
    f = tw.function(lambda x: (x.shape, {"half": x.shape[0] // 2}))
    for size in (4, 5, 6):
        assert f(ones(size)) == ((size,), {"half": size // 2})
    assert len(f.why) == 2


def test_a_thousand_leaves():
    f = tw.function(lambda leaves: sum(leaves[1:], leaves[0]))
    leaves = [tw.asarray(float(i)) for i in range(1000)]
    assert float(f(leaves)) == float(f(leaves)) == 499500.0
    assert len(f.why) == 1


def test_static_values_are_told_apart_as_a_program_would():
    @tw.function(static="value")
    def f(x, value):
        return tw.copysign(x, value)

    assert [float(f(1.0, value)) for value in (0.0, -0.0, 0.0)] == [1.0, -1.0, 1.0]
    assert f(1.0, 1).numpy() == f(1.0, True).numpy() == 1.0
    assert len(f.why) == 4
    for _ in range(3):
        f(1.0, float("nan"))
    assert len(f.why) == 5


class Color(enum.Enum):
    RED = 1
    BLUE = 2


def test_what_is_no_number_is_static_by_itself():
    def f(x, *choices):
        return x * (
            1 + sum(choice in (True, "a", Color.RED, tw.float32, abs) for choice in choices)
        )

    traced = tw.function(f)
    for _ in range(2):
        assert float(traced(1.0, True, "a", Color.RED, tw.float32, abs)) == 6.0
        assert float(traced(1.0, False, "b", Color.BLUE, tw.float64, max)) == 1.0
    assert len(traced.why) == 2


def test_arrays_of_any_byte_order_and_layout():
    f = tw.function(lambda x: x * 1)
    values = np.arange(6.0).reshape(2, 3)
    for array in (values.astype(">f8"), np.asfortranarray(values), values[:, ::-1], values[::2]):
        assert f(array).tolist() == array.tolist()


def test_special_numbers_pass_through():
    @tw.function
    def f(x):
        return x * float("nan"), x + -0.0, -0.0 * x, x * 2**62, x - float("inf")

    nan, same, zeros, large, infinite = f(tw.asarray([-0.0, 1.0], dtype="float64"))
    assert np.isnan(nan.numpy()).all() and np.signbit(same.numpy()).tolist() == [True, False]
    assert np.signbit(zeros.numpy()).tolist() == [False, True]
    assert large.tolist() == [0.0, 2.0**62] and infinite.tolist() == [-np.inf] * 2
    assert int(tw.function(lambda n: n)(2**63 - 1)) == 2**63 - 1


# Named sizes --------------------------------------------------------------------------------------


def test_a_call_that_broadcasts_is_served_though_the_axis_would_be_named():
    f = tw.function(lambda x, y: x + y)
    for left, right in ((3, 3), (1, 3), (3, 1), (5, 5), (6, 6), (1, 6), (1, 1)):
        assert f(ones(left), ones(right)).shape == (max(left, right),)


@pytest.mark.parametrize(
    "special",
    [
        lambda x: x.shape[0] == 1,
        lambda x: not (x.shape[0] != 1),  # noqa: SIM202  another operator
        lambda x: x.shape == (1,),
        lambda x: x.shape[0] in (1, 7),
        lambda x: not x.shape[0] > 1,
        lambda x: x.shape[0] - 1 == 0,
    ],
)
def test_questions_about_sizes_are_answered_for_each_size(special):
    f = tw.function(lambda x: x * 0 if special(x) else x)
    for size in (2, 3, 1, 4, 1, 5):
        assert f(ones(size)).tolist() == [0.0 if size == 1 else 1.0] * size


def test_sizes_that_are_known_to_be_equal_need_no_trace_of_their_own():
    def f(x, y):
        assert x.shape[0] == y.shape[0] and x.shape[0] != 0 and x.shape[1] != 7
        return x[: x.shape[0] // 2], tw.sum(y) / y.shape[0], x.shape[0] * y

    traced = tw.function(f)
    for size in (2, 3, 4, 7):
        half, mean, scaled = traced(ones(size, 2), ones(size))
        assert (
            half.shape == (size // 2, 2) and float(mean) == 1.0 and scaled.tolist() == [size] * size
        )
    assert len(traced.why) == 2


def test_bodies_that_need_numbers_are_traced_for_each_size():
    def f(x):
        rows = [row * index for index, row in enumerate(x)]
        return sum(rows) + len(x)

    traced = tw.function(f)
    for size in (2, 3, 4):
        assert float(traced(ones(size))) == sum(range(size)) + size
    assert len(traced.why) == 3 and "fixed sizes" in traced.why[-1]


def test_named_sizes_of_two_functions_do_not_mix():
    inner = tw.function(lambda x, n: (x * n, tw.asarray(n == x.shape[0])))
    for size in (3, 4):
        inner(ones(size), 7)

    @tw.function
    def outer(x):
        half, same = inner(x[: x.shape[0] // 2], x.shape[0])
        whole, other = inner(x, x.shape[0])
        return half, whole, same, other

    for size in (4, 6, 8):
        half, whole, same, other = outer(ones(size))
        assert half.tolist() == [size] * (size // 2) and whole.tolist() == [size] * size
        assert not bool(same) and bool(other)
    assert inner(ones(5), 2)[0].tolist() == [2.0] * 5
    mapped = tw.function(
        lambda x: tw.vmap(lambda row: row / row.shape[0])(x), shapes={"x": ("b", "t")}
    )
    for shape in ((2, 3), (3, 4), (4, 4)):
        assert mapped(ones(*shape)).numpy()[0, 0] == np.float32(1 / shape[1])
    assert len(mapped.why) == 1


def test_arguments_with_like_names_have_sizes_of_their_own():
    f = tw.function(lambda a, a_b: (a["b"] + 1, a_b + 1))
    for left, right in ((2, 3), (4, 5), (6, 6)):
        first, second = f({"b": ones(left)}, ones(right))
        assert (first.shape, second.shape) == ((left,), (right,))


def test_given_shapes_keep_their_names_and_take_empty_arrays():
    f = tw.function(lambda x: x * 2, shapes={"x": ("b", None)})
    for shape in ((2, 3), (4, 3), (0, 3), (0, 3), (4, 5), (9, 7)):
        assert f(ones(*shape)).shape == shape
    assert len(f.why) == 3
    assert str(f.variants[0].graph.parameter_types[0]) == "f32[b,3]"
    assert str(f.variants[-1].graph.parameter_types[0]) == "f32[b,x_1]"


# State --------------------------------------------------------------------------------------------


def test_a_variable_is_passed_as_itself():
    v, w = tw.Variable([1.0]), tw.Variable([2.0])

    @tw.function
    def add(variable, x):
        variable.assign(variable + x)
        return v + variable

    assert add(v, 1.0).tolist() == [4.0]  # captured and passed at once
    assert add(w, 1.0).tolist() == [5.0]
    assert (v.numpy().tolist(), w.numpy().tolist()) == ([2.0], [3.0])
    assert add(v, 5.0).tolist() == [14.0] and len(add.why) == 2


def test_swapping_two_variables():
    a, b = tw.Variable(1.0), tw.Variable(2.0)

    def swap():
        first, second = a.value, b.value
        a.assign(second)
        b.assign(first)

    swap()
    assert (float(a), float(b)) == (2.0, 1.0)
    tw.function(swap)()
    assert (float(a), float(b)) == (1.0, 2.0)
    tw.function(lambda: (tw.function(swap)(), swap()))()
    assert (float(a), float(b)) == (1.0, 2.0)


def test_variables_made_on_the_first_call_only():
    class Model:
        weight = None

        @tw.function
        def __call__(self, x):
            if self.weight is None:
                self.weight = tw.Variable(5.0)
            self.weight.assign(self.weight + x)
            return self.weight.value

    model = Model()
    assert [float(model(1.0)) for _ in range(3)] == [6.0, 7.0, 8.0]
    assert float(model.weight) == 8.0


def test_variables_keep_the_type_that_they_are_given():
    given = [(1.0, "float32"), (1j, "complex64"), ([1, 2], "int64"), (np.float64(1), "float64")]
    for value, dtype in given:
        assert tw.Variable(value).dtype == dtype


# Functions of functions ---------------------------------------------------------------------------


def test_wrappers_of_traced_functions_can_be_traced():
    inner = tw.function(lambda x: x**3)
    inner(np.float64(2.0))
    assert float(tw.function(tw.grad(inner))(np.float64(2.0))) == 12.0
    assert tw.function(tw.vmap(inner))(np.array([1.0, 2.0])).tolist() == [1.0, 8.0]

    @functools.wraps(inner)
    def negated(x):
        return -inner(x)

    assert float(tw.function(negated)(np.float64(2.0))) == -8.0


def test_recursion_over_a_static_argument_or_a_shape():
    @tw.function(static="n")
    def factorial(x, n):
        return x if n == 0 else factorial(x, n - 1) * n

    @tw.function
    def total(x):
        return x[0] if x.shape[0] == 1 else x[0] + total(x[1:])

    assert float(factorial(1.0, 5)) == 120.0
    assert float(total(tw.asarray([1.0, 2.0, 3.0]))) == 6.0


def test_a_container_of_the_same_name_as_an_attribute_is_not_watched(monkeypatch):
    monkeypatch.setitem(globals(), "layers", [1.0])

    class Model:
        layers = 2.0

    f = tw.function(lambda x: x * Model.layers)
    assert float(f(1.0)) == 2.0
    globals()["layers"].append(3.0)
    assert float(f(1.0)) == 2.0


# Threads ------------------------------------------------------------------------------------------


def in_threads(*works):
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)


def test_threads_share_a_traced_function():
    f = tw.function(lambda x: tw.sum(tw.sin(x) * 2))
    found = []

    def work(size):
        for _ in range(10):
            found.append((size, float(f(ones(size)))))

    in_threads(*(functools.partial(work, size) for size in (2, 3, 4, 5)))
    assert len(found) == 40
    for size, value in found:
        assert value == pytest.approx(size * 2 * np.sin(1.0))


def test_threads_that_trace_two_functions_in_both_orders_do_not_wait_for_each_other():
    both_inside = threading.Barrier(2)

    @tw.function(static="depth")
    def f(x, depth):
        if depth == 0:
            both_inside.wait(10)
            return g(x, 1) + 1
        return x * 2

    @tw.function(static="depth")
    def g(x, depth):
        if depth == 0:
            both_inside.wait(10)
            return f(x, 1) + 1
        return x * 3

    found = {}
    in_threads(
        lambda: found.update(f=float(f(tw.asarray(1.0), 0))),
        lambda: found.update(g=float(g(tw.asarray(1.0), 0))),
    )
    assert found == {"f": 4.0, "g": 3.0}


def test_traces_and_tapes_belong_to_their_thread():
    v = tw.Variable(2.0)
    inside, done = threading.Event(), threading.Event()
    found = []

    def tracing():
        @tw.function
        def f(x):
            inside.set()
            done.wait(10)
            return x * v

        with tw.GradientTape() as tape:
            y = f(3.0)
        found.append(float(tape.gradient(y, v)))

    def computing():
        inside.wait(10)
        found.append(float(v * 5))
        done.set()

    in_threads(tracing, computing)
    assert sorted(found) == [3.0, 10.0]


# What stays small ---------------------------------------------------------------------------------


def steps_by_tape(weights, x, count, look):
    variables = [tw.Variable(weight) for weight in weights]
    unused = tw.Variable(1.0)
    for step in range(count):
        with tw.GradientTape() as tape:
            loss = tw.mean((x @ variables[0] @ variables[1]) ** 2)
        *gradients, none = tape.gradient(loss, [*variables, unused])
        assert none is None
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign(variable - 0.01 * gradient)
        yield look(step, loss), [variable.value for variable in variables]


def steps_by_function(weights, x, count, look):
    weights = [tw.asarray(weight) for weight in weights]
    step_of = tw.value_and_grad(lambda weights: tw.mean((x @ weights[0] @ weights[1]) ** 2))
    for step in range(count):
        loss, gradients = step_of(weights)
        weights = [w - 0.01 * g for w, g in zip(weights, gradients, strict=True)]
        yield look(step, loss), weights


@pytest.mark.parametrize("steps", [steps_by_tape, steps_by_function])
@pytest.mark.parametrize("every", [1, 20])
def test_a_training_loop_stays_flat(steps, every):
    generator = np.random.default_rng(0)
    weights = [generator.standard_normal((4, 4)) * 0.3 for _ in range(2)]
    x = tw.asarray(generator.standard_normal((8, 4)))

    def look(step, loss):
        return float(loss) if step % every == 0 else None

    gc.collect()
    counts = []
    for step, _ in enumerate(steps(weights, x, 300, look)):
        if step % 100 == 50:
            counts.append(node.count())
    assert max(counts) - min(counts) < 200


def test_a_list_of_losses_keeps_no_graph_once_they_are_looked_at():
    x = tw.asarray(np.ones((8, 4)))
    losses = []
    before = node.count()
    for loss, _ in steps_by_tape([np.eye(4) * 0.3] * 2, x, 100, lambda step, loss: loss):
        losses.append(loss)
    assert sorted(map(float, losses), reverse=True) == [float(loss) for loss in losses]
    gc.collect()
    assert node.count() - before < 2 * len(losses) + 100


def test_an_undecorated_loop_without_a_look_takes_time_in_proportion_to_its_steps():
    """Counted in nodes made, not in seconds: each step must not walk through those before it."""
    calls = []

    def tracer(frame, event, _):
        if event == "call" and frame.f_code.co_name == "_is_cut":
            calls.append(1)

    x = tw.asarray(np.ones((8, 4)))

    def work(steps, count):
        calls.clear()
        sys.setprofile(tracer)
        try:
            for _ in steps([np.eye(4) * 0.3] * 2, x, count, lambda step, loss: None):
                pass
        finally:
            sys.setprofile(None)
        return len(calls)

    for steps in (steps_by_tape, steps_by_function):
        assert work(steps, 40) < 5 * work(steps, 10)


# Messages -----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Config:
    rate: float


def misuses():
    x = tw.asarray([1.0, 2.0])
    endless = tw.function(lambda x: endless(x) + 1)
    first = tw.function(lambda x: second(x))
    second = tw.function(lambda x: first(x))

    def make(x):
        variable = tw.Variable(0.0, name="total")
        variable.assign(variable + x)
        return variable.value

    def static(x, n):
        return x

    return {
        "recursion without an end": lambda: endless(1.0),
        "recursion of two functions": lambda: first(1.0),
        "a variable made at each call": lambda: tw.function(make)(1.0),
        "a variable of a traced value": lambda: tw.function(lambda x: tw.Variable(x).value)(x),
        "an integer of more than 64 bits": lambda: tw.function(lambda d: d["n"])({"n": 2**70}),
        "an array of objects": lambda: tw.function(lambda x: x)(np.array([None, "a"])),
        "an array of text": lambda: tw.function(lambda x: x)([np.array(["a"])]),
        "a set": lambda: tw.function(lambda x: x)({1, 2}),
        "a record": lambda: tw.function(lambda config: config.rate)(Config(0.1)),
        "a static array": lambda: tw.function(static, static="n")(x, np.ones(2)),
        "a static tensor": lambda: tw.function(static, static="n")(x, tw.asarray(2)),
        "a missing argument": lambda: tw.function(static)(x),
        "an unknown argument": lambda: tw.function(static)(x, m=3),
        "no function": lambda: tw.function(3),
        "a coroutine": lambda: tw.function(coroutine)(x),
    }  # fmt: skip


async def coroutine(x):
    return x


def test_messages(golden):
    lines = []
    for name, act in misuses().items():
        with pytest.raises(ThalwegError) as caught:
            act()
        assert "test_calls.py" in str(caught.value)
        assert current_trace() is None and active_recorder() is None
        lines.append(f"{name}:\n{caught.value.message}")
    golden("calls", "\n\n".join(lines))

"""The reference interpreter: sizes from shapes, what does not fit, what is freed and when."""

import gc
import weakref

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import DTypeError, ShapeError, ThalwegError, VerifyError
from thalweg.base.options import set_options
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import full, item, items, parameter
from thalweg.ir.op import Op
from thalweg.ir.types import bfloat16, float32, float64, int32, tensor_type
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.control import HostFunction, call, callback, scan
from thalweg.ops.elementwise import add, divide, log, multiply, negative, sin
from thalweg.ops.movement import concatenate, iota, reshape, size, slice
from thalweg.transforms.evaluate import bind_sizes, concrete, interpret, run

b, t = named("b"), named("t")


def of(*shape, dtype=float32):
    return tensor_type(dtype, shape)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


# ---- named sizes ---------------------------------------------------------------------------------


def sizes_of(types, *arrays, outer=None):
    return bind_sizes(build("f", types, lambda *args: args), arrays, outer)


def test_sizes_are_read_off_the_shapes():
    assert sizes_of([of(b, 3), of(t)], zeros(4, 3), zeros(7)) == {"b": 4, "t": 7}
    assert sizes_of([of(3)], zeros(3)) == {}
    assert sizes_of([of(b), of(b)], zeros(4), zeros(4)) == {"b": 4}


def test_sizes_that_stand_in_sums_and_products_are_solved():
    assert sizes_of([of(2 * b + 1)], zeros(9)) == {"b": 4}
    assert sizes_of([of(b + t), of(t)], zeros(9), zeros(2)) == {"b": 7, "t": 2}
    assert sizes_of([of(b * t, t)], zeros(12, 3)) == {"b": 4, "t": 3}
    assert sizes_of([of((b + 1) // 2), of(b)], zeros(2), zeros(4)) == {"b": 4}


def test_sizes_from_around_serve_what_a_function_does_not_decide():
    assert sizes_of([of(t)], zeros(3), outer={"b": 5}) == {"b": 5, "t": 3}
    assert sizes_of([of(b)], zeros(3), outer={"b": 5}) == {"b": 3}, "its own come first"
    assert sizes_of([of(b * t)], zeros(12), outer={"b": 4}) == {"b": 4, "t": 3}


def test_shapes_and_sizes_as_numbers_follow():
    def body(x):
        y = concatenate(x, x, axis=0)
        y = slice(y, start=(1,), limit=(2 * b,), stride=(2,))
        return y, size(dim=b * b, dtype=int32), iota(dtype=int32, shape=(b - 1,), axis=0)

    y, square, places = run(build("f", [of(b)], body), np.arange(3, dtype=np.float32))
    assert y.tolist() == [1, 0, 2] and square == 9 and places.tolist() == [0, 1]


def test_loops_and_calls_get_the_sizes():
    body = build("body", [of()], lambda s: add(s, size(dim=b, dtype=float32)))
    double = build("double", [of(t)], lambda x: (add(x, x), size(dim=t, dtype=int32)))

    def program(x):
        (total,) = items(scan(full(0, float32), body=body, carries=1, length=b))
        return total, *items(call(x, function=double))

    total, doubled, length = run(build("f", [of(b)], program), np.ones(4, np.float32))
    assert total == 16 and doubled.tolist() == [2] * 4 and length == 4


def test_numbers_in_place_of_names():
    assert concrete(((b, 3), t + 1, "text"), {"b": 2, "t": 4}) == ((2, 3), 5, "text")
    assert concrete((1, 2), {}) == (1, 2)
    with pytest.raises(ShapeError, match="a value for the size t"):
        concrete((b + t,), {"b": 2})


# ---- what does not fit ---------------------------------------------------------------------------

MISMATCHES = [
    ([of(3)], ()),
    ([of(3)], (zeros(3), zeros(3))),
    ([of(3)], (zeros(4),)),
    ([of(3)], (zeros(3, 1),)),
    ([of(3)], (zeros(3, dtype=np.float64),)),
    ([of(3, dtype=bfloat16)], (zeros(3, dtype=np.float16),)),
    ([of(b), of(b, 2)], (zeros(4), zeros(5, 2))),
    ([of(2 * b)], (zeros(5),)),
    ([of(b)], (zeros(0),)),
    ([of(b + 3), of(b)], (zeros(5), zeros(4))),
]


def test_what_does_not_fit_says_so(golden):
    texts = []
    for types, arrays in MISMATCHES:
        f = build("step", types, lambda *args: args, [f"arg{i}" for i in range(len(types))])
        with pytest.raises((ShapeError, DTypeError)) as caught:
            run(f, *arrays)
        texts.append(caught.value.message)
    golden("mismatches", "\n\n".join(texts))


def test_sizes_that_nothing_tells_are_refused():
    with pytest.raises(ThalwegError, match="unknown b and t"):
        run(build("f", [of(b * t)], lambda x: x), zeros(6))
    x = parameter(name="x", type=of(3))
    with pytest.raises(VerifyError, match="a value for every parameter"):
        interpret([sin(x)], {}, {})


# ---- what is computed ----------------------------------------------------------------------------


def test_results_stand_as_they_were_asked_for():
    f = build("f", [of(3), of(3)], lambda x, y: (y, add(x, y), y, full(2, float32)))
    x, y = np.ones(3, np.float32), np.arange(3, dtype=np.float32)
    found = run(f, x, y)
    assert found[0] is y and found[2] is y
    assert found[1].tolist() == [1, 2, 3] and found[3] == 2 and found[3].shape == ()


def test_shared_parts_are_computed_once():
    calls = []

    def evaluate(x):
        calls.append(x)
        return x

    counted = Op(name="counted", doc="x.", infer=lambda x: x, evaluate=evaluate, arity=1)
    f = build("f", [of()], lambda x: (multiply(counted(x), counted(x)), counted(x)))
    run(f, zeros())
    assert len(calls) == 1


def test_what_lies_below_a_given_value_is_not_computed():
    x = parameter(name="x", type=of())
    host = HostFunction("host", lambda a: pytest.fail("must not run"))
    middle = item(callback(x, function=host, types=(of(),)), index=0)
    (found,) = interpret([negative(middle)], {middle: np.float32(3)}, {})
    assert found == -3


def test_inputs_are_not_changed():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    x.flags.writeable = False
    f = build("f", [of(2, 3)], lambda x: sum_op(multiply(sin(x), x), axes=(0,)))
    run(f, x)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_arithmetic_is_silent():
    f = build("f", [of()], lambda x: (log(x), divide(x, x), divide(full(1, float32), x)))
    log_of_zero, nothing, infinite = run(f, zeros())
    assert np.isneginf(log_of_zero) and np.isnan(nothing) and np.isposinf(infinite)


def test_every_value_is_shown_to_who_asks():
    x = parameter(name="x", type=of())
    y = negative(sin(x))
    seen = []
    interpret([y], {x: np.float32(0)}, {}, lambda node, value: seen.append((node, value)))
    assert [node for node, _ in seen] == [sin(x), y]


# ---- what is freed -------------------------------------------------------------------------------


def watching(name, alive):
    """An identity that notes how many of its former results are still alive when it runs."""
    made = []

    def evaluate(x):
        gc.collect()
        alive.append(sum(reference() is not None for reference in made))
        result = np.array(x)
        made.append(weakref.ref(result))
        return result

    return Op(name=name, doc="x.", infer=lambda x: x, evaluate=evaluate, arity=1)


def test_an_intermediate_value_is_freed_after_its_last_use():
    alive = []
    watched = watching("watched", alive)

    def body(x):
        for _ in range(6):
            x = negative(watched(x))
        return x

    (result,) = run(build("f", [of(1000)], body), zeros(1000))
    assert alive == [0, 0, 0, 0, 0, 0], "each is gone before the next is made"
    assert result.shape == (1000,)


def test_a_value_that_is_used_again_is_kept_until_then():
    alive = []
    watched = watching("watched", alive)

    def body(x):
        first = watched(x)
        second = watched(negative(first))
        third = watched(add(second, first))
        return watched(negative(third))

    run(build("f", [of(10)], body), zeros(10))
    assert alive == [0, 1, 0, 0]


def test_results_and_views_keep_what_they_stand_on():
    alive = []
    watched = watching("watched", alive)

    def body(x):
        row = watched(x)
        rows = broadcast(row, shape=(4, 10), axes=(1,))
        return watched(reshape(rows, shape=(40,))), watched(negative(x)), row

    found = run(build("f", [of(10)], body), np.ones(10, np.float32))
    assert alive == [0, 1, 2]
    assert found[2].tolist() == [1] * 10


# ---- checking ------------------------------------------------------------------------------------


@pytest.fixture
def checked():
    former = set_options(check=1)
    yield
    set_options(check=former.check)


LIARS = {
    "another element type": lambda x: x.astype(np.float64),
    "another shape": lambda x: x[:1],
    "another rank": lambda x: x[None],
}


@pytest.mark.parametrize("name", LIARS)
def test_a_definition_that_breaks_its_type_is_found_when_checking(name, checked):
    liar = Op(name="liar", doc="x.", infer=lambda x: x, evaluate=LIARS[name], arity=1)
    f = build("f", [of(b)], lambda x: sin(liar(x)))
    with pytest.raises(VerifyError, match=r"\[evaluate liar\] wants a value of type f32\[b\]"):
        run(f, zeros(3))
    set_options(check=0)
    run(f, zeros(3))


def test_checking_knows_named_sizes_and_several_results(checked):
    pair = build("pair", [of(b)], lambda x: (x, size(dim=b, dtype=int32)))
    f = build("f", [of(b)], lambda x: items(call(sin(x), function=pair)))
    assert run(f, zeros(3))[1] == 3


def test_a_function_without_parameters():
    assert run(Function("f", (), (full(3, float64),)))[0] == 3
    assert run(Function("f", (), ())) == []

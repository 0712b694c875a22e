"""What every step of a loop has alike: which values go before it, and that results stay."""

import numpy as np

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import items
from thalweg.ir.types import float32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.broadcast import broadcast
from thalweg.ops.contract import dot
from thalweg.ops.control import check, scan
from thalweg.ops.elementwise import add, exp, less, multiply
from thalweg.passes.arrange import arrange
from thalweg.transforms.evaluate import run

STEPS, WIDTH = 5, 4


def loop(step, *constants, state=(3, WIDTH)) -> Function:
    """A loop whose step is given the constants, a state and a slice, and makes a new state."""
    types = [*constants, tensor_type(float32, state), tensor_type(float32, (STEPS, *state))]
    inner = [*types[:-1], tensor_type(float32, state)]
    body = build("step", inner, lambda *args: [step(*args)] * 2)
    attrs = {"constants": len(constants), "carries": 1, "length": STEPS}
    return build("f", types, lambda *args: items(scan(*args, body=body, **attrs)))


def f32(*shape):
    return tensor_type(float32, shape)


def checked(function: Function, sizes=()) -> tuple[Function, list[str]]:
    """The arranged Function, of equal values, and the ops of its loop's body."""
    result = verify(arrange(function))
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal([sizes if not isinstance(each, int) else each
                                         for each in type.shape]).astype(np.float32) / 4
              for type in function.parameter_types]  # fmt: skip
    for found, wanted in zip(run(result, *arrays), run(function, *arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    (inner,) = [node.attributes["body"] for node in result.order() if node.op is scan]
    return result, [node.op.name for node in inner.order() if node.op.name != "parameter"]


def test_a_turned_matrix_is_turned_once():
    def step(w, h, x):
        return add(dot(h, w, contract=((1,), (1,))), x)

    result, inside = checked(loop(step, f32(WIDTH, WIDTH)))
    assert inside == ["dot", "add"]
    assert "transpose" in [node.op.name for node in result.order()]


def test_a_state_of_any_number_of_rows():
    b = named("b")

    def step(w, h, x):
        return add(dot(h, exp(w), contract=((1,), (1,))), x)

    for size in (1, 4):
        _, inside = checked(loop(step, f32(WIDTH, WIDTH), state=(b, WIDTH)), size)
        assert inside == ["dot", "add"]


def test_what_is_larger_than_what_it_is_made_of_is_made_in_every_step():
    def step(c, h, x):
        return add(multiply(h, broadcast(exp(c), shape=h.shape, axes=(1,))), x)

    _, inside = checked(loop(step, f32(WIDTH)))
    assert inside == ["broadcast", "multiply", "add"], "its elements are computed before"


def test_effects_stay_where_they_are():
    """A loop without steps raises nothing."""

    def step(c, h, x):
        safe = check(c, less(c, add(c, exp(c))), message="small enough")
        return add(multiply(h, broadcast(safe, shape=h.shape, axes=())), x)

    _, inside = checked(loop(step, f32()))
    assert inside == ["check", "broadcast", "multiply", "add"]


def test_loops_in_loops_give_out_what_both_have_alike():
    def outer(w, h, x):
        def step(w, h, x):
            return add(dot(h, w, contract=((1,), (1,))), x)

        types = [f32(WIDTH, WIDTH), f32(3, WIDTH), f32(3, WIDTH)]
        body = build("inner", types, lambda *args: [step(*args)] * 2)
        xs = broadcast(x, shape=(2, 3, WIDTH), axes=(1, 2))
        return items(scan(w, h, xs, body=body, constants=1, carries=1, length=2))[0]

    _, inside = checked(loop(outer, f32(WIDTH, WIDTH)))
    assert "transpose" not in inside


def test_nothing_to_give_out():
    function = loop(lambda w, h, x: add(dot(h, w, contract=((1,), (0,))), x), f32(WIDTH, WIDTH))
    _, inside = checked(function)
    assert inside == ["dot", "add"]

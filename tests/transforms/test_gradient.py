"""Derivatives as nodes: what is reached and what is cut, sums over shared parts, high orders."""

import math
import re

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import GradientError
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import full, full_like, item, items, parameter
from thalweg.ir.node import provenance
from thalweg.ir.parse import parse
from thalweg.ir.show import show
from thalweg.ir.types import complex128, float32, float64, int32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ir.walk import postorder
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.composite import attention, rms_norm
from thalweg.ops.control import HostFunction, call, callback, scan, switch, while_
from thalweg.ops.elementwise import (
    abs,
    add,
    cast,
    conj,
    cos,
    equal,
    exp,
    floor,
    greater,
    less,
    multiply,
    negative,
    polygamma,
    select,
    sin,
    subtract,
)
from thalweg.ops.mark import alias, barrier, mark, stop_gradient
from thalweg.transforms.evaluate import run
from thalweg.transforms.expand import expand
from thalweg.transforms.gradient import jvp, pullback, pushforward, vjp


def of(*shape, dtype=float64):
    return tensor_type(dtype, shape)


def p(name, *shape, dtype=float64):
    return parameter(name=name, type=of(*shape, dtype=dtype))


x, y, dz = p("x"), p("y"), p("dz")


def value(node, **given):
    """The value of a node for values of the parameters it reaches."""
    names = sorted(given)
    parameters = tuple(p(name, *np.shape(given[name])) for name in names)
    return run(Function("f", parameters, (node,)), *(np.asarray(given[n]) for n in names))[0]


# ---- what is reached -----------------------------------------------------------------------------


def test_cotangents_are_nodes_of_the_same_vocabulary():
    (dx, dy) = pullback([multiply(x, y)], [dz], [x, y])
    assert dx is multiply(dz, y) and dy is multiply(dz, x)


def test_what_is_not_reached_has_no_cotangent():
    unused = p("unused")
    assert pullback([sin(x)], [dz], [unused, x])[0] is None
    assert pullback([sin(x)], [None], [x]) == [None]
    assert pullback([], [], [x]) == [None]


def test_a_function_gives_zeros_for_what_is_not_reached():
    f = build("f", [of(), of(2, 3), of(dtype=int32)], lambda x, unused, n: sin(x))
    g = verify(vjp(f))
    assert g.parameter_types == (*f.parameter_types, of())
    assert g.result_types == (of(), of(2, 3)), "one for each inexact argument"
    assert g.results[1] is full(0, float64, (2, 3))


def test_the_derivative_of_a_node_by_itself():
    assert pullback([x], [dz], [x]) == [dz]
    assert pullback([x, x], [dz, y], [x]) == [add(dz, y)]


def test_derivatives_by_nodes_in_the_middle():
    """An argument may be any node, also one that another argument leads to."""
    s = sin(x)
    z = multiply(s, y)
    assert pullback([z], [dz], [s]) == [multiply(dz, y)]
    by_s, by_x = pullback([z], [dz], [s, x])
    assert by_s is multiply(dz, y)
    assert by_x is multiply(multiply(dz, y), cos(x)), "the path through s counts for x"


def test_an_item_may_be_an_argument():
    both = call(x, function=build("both", [of()], lambda x: (sin(x), cos(x))))
    first, second = items(both)
    z = multiply(first, second)
    assert pullback([z], [dz], [first]) == [multiply(dz, second)]


def test_names_do_not_clash():
    f = build("f", [of(), of()], multiply, ["d0", "t0"])
    assert vjp(f).parameter_names == ("d0", "t0", "d0_")
    assert jvp(f).parameter_names == ("d0", "t0", "t0_", "t1")
    assert verify(vjp(vjp(f))).parameter_names == ("d0", "t0", "d0_", "d0__", "d1")


def test_derivatives_read_back_from_their_text():
    b = named("b")
    f = build("f", [of(b, 3)], lambda x: sum_op(multiply(sin(x), x), axes=(1,)))
    for g in (vjp(f), jvp(f), vjp(vjp(f)), jvp(vjp(f))):
        assert parse(show(verify(g))) == g


# ---- what is cut ---------------------------------------------------------------------------------


def test_integers_cut_the_path():
    f = build("f", [of()], lambda x: cast(cast(x, dtype=int32), dtype=float64))
    assert vjp(f).results == (full(0, float64),)
    g = build("g", [of(), of(dtype=int32)], lambda x, n: (n, add(n, n), sin(x)))
    assert vjp(g).parameter_types == (of(), of(dtype=int32), of()), "results that are integers"


def test_conditions_cut_the_path_and_choices_do_not():
    f = build("f", [of()], lambda x: select(greater(x, full(0, float64)), sin(x), negative(x)))
    (g,) = vjp(f).results
    assert value(g, x0=2.0, d0=1.0) == np.cos(2.0) and value(g, x0=-2.0, d0=1.0) == -1


def test_marks_that_cut():
    assert pullback([multiply(stop_gradient(x), x)], [dz], [x]) == [multiply(dz, stop_gradient(x))]
    (through,) = pullback([multiply(barrier(x), x)], [dz], [x])
    assert value(through, x=3.0, dz=1.0) == 6
    assert pullback([floor(x)], [dz], [x]) == [None], "zero wherever it exists"


def test_a_mark_is_a_node_of_its_own():
    one, other = mark(x), mark(x)
    assert one is not other and one.op is alias
    z = multiply(one, other)
    assert pullback([z], [dz], [one]) == [multiply(dz, other)]
    (total,) = pullback([z], [dz], [x])
    assert value_of_marked(total) == 6.0


def value_of_marked(node):
    return run(Function("f", (x, dz), (node,)), np.float64(3.0), np.float64(1.0))[0]


def absent():
    """Programs without a derivative, each for a reason of its own."""
    step = build("step", [of()], lambda x: multiply(x, x), ["x"])
    on = build("on", [of()], lambda x: less(x, full(9, float64)), ["x"])
    host = HostFunction("host", lambda a: a)
    inner = build("inner", [of()], lambda x: item(while_(x, condition=on, body=step), index=0))
    yield "while", lambda x: item(while_(x, condition=on, body=step), index=0)
    yield "callback", lambda x: item(callback(x, function=host, types=(x.type,)), index=0)
    yield "polygamma", lambda x: polygamma(x, full(2, float64))
    yield "in a call", lambda x: item(call(x, function=inner), index=0)
    yield "in a scan", lambda x: item(scan(x, body=inner, carries=1, length=2), index=0)


def test_what_has_no_derivative_says_so(golden):
    texts = []
    for name, body in absent():
        with pytest.raises(GradientError) as caught:
            vjp(build("f", [of()], body))
        message = re.sub(r"test_gradient\.py:\d+", "test_gradient.py:LINE", caught.value.message)
        assert "test_gradient.py:LINE" in message, "the line that made the operation"
        texts.append(f"# {name}\n{message}")
    golden("gradient_errors", "\n\n".join(texts))


def test_what_has_no_derivative_may_stand_where_none_is_asked():
    for _, body in absent():
        f = build("f", [of(), of()], lambda x, y, body=body: add(sin(y), body(stop_gradient(x))))
        assert vjp(f).results[0] is full(0, float64)
    polygamma_of_a_constant = build("f", [of()], lambda x: polygamma(full(1, float64), x))
    assert value(vjp(polygamma_of_a_constant).results[0], x0=1.0, d0=1.0) < 0


# ---- sums over what is shared --------------------------------------------------------------------


def test_every_use_counts():
    z = add(multiply(x, x), add(x, sin(x)))
    (dx,) = pullback([z], [dz], [x])
    assert value(dx, x=0.7, dz=1.0) == pytest.approx(1.4 + 1 + math.cos(0.7), rel=1e-15)


def test_every_result_counts():
    f = build("f", [of()], lambda x: (sin(x), multiply(x, x), sin(x)))
    (dx,) = vjp(f).results
    assert value(dx, x0=0.5, d0=2.0, d1=3.0, d2=5.0) == pytest.approx(7 * math.cos(0.5) + 3)


def test_a_part_with_many_paths_is_differentiated_once():
    """2**60 paths from the result to x."""
    node = x
    for _ in range(60):
        node = add(node, node)
    (dx,) = pullback([node], [dz], [x])
    assert len(postorder([dx])) == 61
    assert value(dx, dz=1.0) == 2.0**60


def test_results_of_one_operation_are_collected():
    pair = build("pair", [of()], lambda x: (sin(x), multiply(x, x), exp(x)))
    a, b, c = items(call(x, function=pair))
    z = add(multiply(a, b), a)
    (dx,) = pullback([z], [dz], [x])
    calls = [node for node in postorder([dx]) if node.op is call and node not in postorder([z])]
    assert len(calls) == 1, "one pullback of the call, not one for each result"
    s, t = math.sin(0.5), math.cos(0.5)
    found = run(Function("f", (x, dz), (dx,)), np.float64(0.5), np.float64(1.0))[0]
    assert found == pytest.approx(t * 0.25 + s * 1.0 + t)
    assert c.type is of()


def check_against_expansion(f, *arrays):
    """A composite differentiates as its definition does, whatever stands in its places."""
    wanted = run(vjp(expand(f)), *arrays)
    found = run(vjp(f), *arrays)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


def draw(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape)


def test_a_composite_whose_operands_are_one_node():
    f = build("f", [of(1, 3, 2, 4)], lambda x: attention(x, x, x, full(0.5, float64), causal=False))
    check_against_expansion(f, draw(1, 3, 2, 4), draw(1, 3, 2, 4))


def test_a_composite_whose_operands_depend_on_each_other():
    def self_attention(x):
        key = sin(x)
        return attention(x, key, multiply(key, x), full(0.5, float64), causal=True)

    def norm(x):
        scale = sum_op(x, axes=(0,))
        return rms_norm(x, scale, full(1e-3, float64), axes=(1,))

    check_against_expansion(
        build("f", [of(1, 3, 2, 4)], self_attention), draw(1, 3, 2, 4), draw(1, 3, 2, 4)
    )
    check_against_expansion(build("f", [of(2, 3)], norm), draw(2, 3), draw(2, 3))


def test_what_lies_below_a_composite_is_walked_once(monkeypatch):
    """Composites one on another: the walks grow with their number, not with its square."""
    visited = []

    def counting(*args):
        order = postorder(*args)
        visited.append(len(order))
        return order

    monkeypatch.setattr("thalweg.transforms.gradient.postorder", counting)

    def work(height):
        def body(x):
            gamma, epsilon = full(1.5, float64, (3,)), full(1e-3, float64)
            for _ in range(height):
                x = rms_norm(sin(x), gamma, epsilon, axes=(1,))
            return x

        f = build("f", [of(2, 3)], body)
        visited.clear()
        assert vjp(f)
        return sum(visited)

    assert work(50) <= 5 * work(10)


# ---- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", range(1, 7))
def test_derivatives_of_a_high_order(order):
    node = sin(x)
    for _ in range(order):
        (node,) = pullback([node], [full(1, float64)], [x])
    at = 0.3
    wanted = [math.sin(at), math.cos(at), -math.sin(at), -math.cos(at)][order % 4]
    assert value(node, x=at) == pytest.approx(wanted, rel=1e-14)


def test_mixed_derivatives():
    z = multiply(exp(multiply(x, y)), x)
    (dx,) = pullback([z], [full(1, float64)], [x])
    (dxdy,) = pullback([dx], [full(1, float64)], [y])
    a, b = 0.4, 1.3
    assert value(dxdy, x=a, y=b) == pytest.approx(math.exp(a * b) * (2 * a + a * a * b))


def test_derivatives_through_a_loop_of_a_high_order():
    body = build("body", [of()], lambda s: sin(s), ["s"])
    f = build("f", [of()], lambda x: item(scan(x, body=body, carries=1, length=2), index=0))
    g = build("g", [of()], lambda x: sin(sin(x)))
    for _ in range(3):
        f, g = derivative(f), derivative(g)
    at = np.float64(0.7)
    np.testing.assert_allclose(run(f, at)[0], run(g, at)[0], rtol=1e-13)


def derivative(f):
    """The derivative of a function of one number, as such a function."""
    return build("d", [of()], lambda x: pullback(apply(f, x), [full(1, float64)], [x])[0])


def apply(f, *args):
    return items(call(*args, function=f))


# ---- forward -------------------------------------------------------------------------------------


def test_forward_mode():
    f = build("f", [of(), of(dtype=int32), of()], lambda x, n, y: (multiply(sin(x), y), n, x))
    g = verify(jvp(f))
    assert g.parameter_types == (*f.parameter_types, of(), of())
    assert g.result_types == (*f.result_types, of(), of()), "tangents of the inexact results"
    args = [np.float64(0.3), np.int32(4), np.float64(2.0), np.float64(5.0), np.float64(7.0)]
    *_, tangent, same = run(g, *args)
    assert tangent == pytest.approx(5 * math.cos(0.3) * 2 + 7 * math.sin(0.3)) and same == 5


def test_tangents_of_what_does_not_depend_are_zero():
    assert pushforward([full(3, float64), x], [x], [dz]) == [full(0, float64), dz]
    assert pushforward([cos(y)], [x], [dz]) == [full(0, float64)]


def test_forward_over_reverse_is_reverse_over_forward():
    f = build("f", [of(3)], lambda x: sum_op(multiply(exp(x), sin(x)), axes=(0,)))
    at, v = np.array([0.1, -0.5, 0.9]), np.array([1.0, 2.0, -1.0])
    one = np.float64(1.0)
    forward = run(jvp(vjp(f)), at, one, v, np.float64(0.0))[-1]
    backward = run(vjp(jvp(f)), at, v, np.float64(0.0), one)[0]
    np.testing.assert_allclose(forward, 2 * np.exp(at) * np.cos(at) * v, rtol=1e-13)
    np.testing.assert_allclose(forward, backward, rtol=1e-13)


# ---- types ---------------------------------------------------------------------------------------


def test_complex_cotangents_are_those_of_the_parts():
    """For a real loss: dL/dRe + i dL/dIm."""
    z = p("z", dtype=complex128)
    loss = multiply(abs(z), abs(z))
    f = Function("f", (z,), (loss,))
    (dx,) = run(vjp(f), np.complex128(3 - 4j), np.float64(1.0))
    assert dx == pytest.approx(2 * (3 - 4j))
    (dz_,) = pullback([conj(z)], [p("d", dtype=complex128)], [z])
    assert dz_ is conj(p("d", dtype=complex128))


def test_derivatives_with_named_sizes():
    b = named("b")
    f = build("f", [of(b, 3), of(3)], lambda x, w: sum_op(multiply(x, repeat(w, b)), axes=(0, 1)))
    g = verify(vjp(f))
    assert g.result_types == f.parameter_types
    a, w = draw(4, 3), draw(3)
    dx, dw = run(g, a, w, np.float64(2.0))
    np.testing.assert_allclose(dx, 2 * np.broadcast_to(w, (4, 3)))
    np.testing.assert_allclose(dw, 2 * a.sum(0), rtol=1e-14)


def repeat(w, size):
    return broadcast(w, shape=(size, *w.shape), axes=(1,))


def test_branches_are_differentiated_each():
    branches = (build("s", [of()], sin), build("e", [of()], exp))
    f = build(
        "f",
        [of(dtype=int32), of()],
        lambda i, x: item(switch(i, x, branches=branches), index=0),
    )
    for index, wanted in ((0, math.cos(0.5)), (1, math.exp(0.5))):
        (dx,) = run(vjp(f), np.int32(index), np.float64(0.5), np.float64(1.0))
        assert dx == pytest.approx(wanted)


def test_new_nodes_come_from_the_node_they_differentiate():
    node = sin(p("origin of a derivative"))
    (dx,) = pullback([node], [dz], list(node.args))
    assert provenance(dx).rule == "gradient"
    assert provenance(dx).place == provenance(node).place


def test_equal_programs_have_equal_derivatives():
    def body(x):
        return select(equal(x, full_like(x, 0)), x, subtract(exp(x), x))

    f, g = (build("f", [of(dtype=float32)], body) for _ in range(2))
    assert vjp(f) == vjp(g)

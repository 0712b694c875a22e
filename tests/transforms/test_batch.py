"""Batching: what is mapped, what is shared, in loops and branches, and one batch in another."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ArgumentError
from thalweg.base.table import Absent
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full, item, items, parameter
from thalweg.ir.node import provenance
from thalweg.ir.op import Op
from thalweg.ir.types import float64, int32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ir.walk import postorder
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.composite import rms_norm
from thalweg.ops.contract import dot
from thalweg.ops.control import call, scan, switch, while_
from thalweg.ops.elementwise import add, cos, exp, less, multiply, negative, sin
from thalweg.transforms.batch import batch, mapped_results
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp


def of(*shape, dtype=float64):
    return tensor_type(dtype, shape)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def check_loop(function, mapped, *arrays, size=4):
    """The batch against one run for each example; unmapped arrays serve all of them."""
    whole = verify(batch(function, mapped, size))
    found = run(whole, *arrays)
    for example in range(size):
        args = [a[example] if is_mapped else a for a, is_mapped in zip(arrays, mapped, strict=True)]
        for ys, y in zip(found, run(function, *args), strict=True):
            np.testing.assert_allclose(ys[example], y, rtol=1e-13, atol=1e-13)
    return whole


def test_mapped_arguments_gain_an_axis_in_front():
    f = build("f", [of(3), of()], lambda x, y: multiply(x, broadcast(y, shape=(3,), axes=())))
    g = check_loop(f, (True, True), draw(4, 3), draw(4, seed=1))
    assert g.name == "f_batched" and g.parameter_names == f.parameter_names
    assert g.parameter_types == (of(4, 3), of(4)) and g.result_types == (of(4, 3),)


def test_arguments_that_are_not_mapped_keep_their_type():
    f = build("f", [of(2, 3), of(3)], lambda x, w: dot(x, w, contract=((1,), (0,))))
    g = check_loop(f, (True, False), draw(4, 2, 3), draw(3))
    assert g.parameter_types == (of(4, 2, 3), of(3))
    check_loop(f, (False, True), draw(2, 3), draw(4, 3))


def test_what_depends_on_nothing_mapped_is_computed_once():
    f = build("f", [of(3), of(3)], lambda x, w: multiply(x, exp(sin(w))))
    g = batch(f, (True, False), 4)
    types = {node.op: node.type for node in postorder(g.results)}
    assert types[exp] is of(3) and types[multiply] is of(4, 3)


def test_results_that_depend_on_nothing_mapped_are_repeated():
    f = build("f", [of(3), of(3)], lambda x, w: (sin(w), full(2, float64, (3,)), x, w))
    g = check_loop(f, (True, False), draw(4, 3), draw(3))
    assert g.result_types == (of(4, 3),) * 4
    assert mapped_results(f, (True, False)) == [False, False, True, False]


def test_results_may_be_left_as_they_are():
    f = build("f", [of(3), of(3)], lambda x, w: (sin(w), x))
    g = verify(batch(f, (True, False), 4, results_mapped=(False, True)))
    assert g.result_types == (of(3), of(4, 3))


def test_nothing_mapped_at_all():
    f = build("f", [of(3)], sin)
    assert verify(batch(f, (False,), 4)).result_types == (of(4, 3),)


def test_an_empty_batch():
    f = build("f", [of(3)], lambda x: sum_op(sin(x), axes=(0,)))
    assert run(verify(batch(f, (True,), 0)), np.zeros((0, 3)))[0].shape == (0,)


def test_a_batch_of_named_size():
    b = named("b")
    f = build("f", [of(3), of(3)], lambda x, w: sum_op(multiply(sin(x), w), axes=(0,)))
    g = verify(batch(f, (True, False), b))
    assert g.parameter_types == (of(b, 3), of(3)) and g.result_types == (of(b),)
    x, w = draw(5, 3), draw(3)
    np.testing.assert_allclose(run(g, x, w)[0], (np.sin(x) * w).sum(1), rtol=1e-13)


def test_a_batch_of_a_batch():
    f = build("f", [of(3), of(3)], lambda x, y: sum_op(multiply(x, y), axes=(0,)))
    g = verify(batch(batch(f, (False, True), 5), (True, False), 4))
    x, y = draw(4, 3), draw(5, 3, seed=1)
    np.testing.assert_allclose(run(g, x, y)[0], x @ y.T, rtol=1e-13)


def test_a_batch_of_a_derivative_and_a_derivative_of_a_batch():
    f = build("f", [of(3)], lambda x: sum_op(multiply(sin(x), x), axes=(0,)))
    x = draw(4, 3)
    one = run(batch(vjp(f), (True, False), 4), x, np.float64(1.0))[0]
    other = run(vjp(batch(f, (True,), 4)), x, np.ones(4))[0]
    np.testing.assert_allclose(one, np.cos(x) * x + np.sin(x), rtol=1e-13)
    np.testing.assert_allclose(one, other, rtol=1e-13)


# ---- control flow --------------------------------------------------------------------------------


def test_calls():
    pair = build("pair", [of(3), of(3)], lambda x, y: (add(x, y), sin(y)))
    f = build("f", [of(3), of(3)], lambda x, y: items(call(x, y, function=pair)))
    check_loop(f, (True, False), draw(4, 3), draw(3))


def test_a_scan_whose_carry_becomes_mapped_on_the_way():
    """The carry starts as one for all examples; the sequence makes it one for each."""
    body = build("body", [of(), of()], lambda s, x: (add(s, x), multiply(s, s)), ["s", "x"])
    f = build("f", [of(), of(6)], lambda s, xs: items(scan(s, xs, body=body, carries=1, length=6)))
    g = check_loop(f, (False, True), np.float64(0.5), draw(4, 6))
    assert g.result_types == (of(4), of(4, 6))
    check_loop(f, (True, False), draw(4), draw(6))


def test_a_while_loop_that_ends_at_another_time_for_each_example():
    on = build("on", [of()], lambda x: less(x, full(10.0, float64)), ["x"])
    double = build("double", [of()], lambda x: add(x, x), ["x"])
    f = build("f", [of()], lambda x: item(while_(x, condition=on, body=double), index=0))
    check_loop(f, (True,), np.array([1.0, 3.0, 20.0, 0.1]))


@pytest.mark.parametrize("mapped", [(True, True), (True, False), (False, True)])
def test_branches(mapped):
    branches = tuple(build(op.name, [of(3)], op) for op in (sin, cos, negative))
    types = [of(dtype=int32), of(3)]
    f = build("f", types, lambda i, x: items(switch(i, x, branches=branches)))
    index = np.array([-1, 1, 2, 9], np.int32) if mapped[0] else np.int32(1)
    check_loop(f, mapped, index, draw(4, 3) if mapped[1] else draw(3))


# ---- composites ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mapped", [(True, False), (False, True), (True, True)])
def test_composites_without_a_rule_are_batched_through_their_definition(mapped):
    assert isinstance(rms_norm.batch, Absent)
    eps = full(1e-3, float64)
    f = build("f", [of(2, 3), of(3)], lambda x, w: rms_norm(sin(x), w, eps, axes=(1,)))
    arrays = [
        draw(*((4,) if m else ()), *shape) for m, shape in zip(mapped, ((2, 3), (3,)), strict=True)
    ]
    check_loop(f, mapped, *arrays)


def test_a_composite_whose_operands_depend_on_each_other():
    eps = full(1e-3, float64)

    def body(x):
        return rms_norm(x, sum_op(x, axes=(0,)), eps, axes=(1,))

    check_loop(build("f", [of(2, 3)], body), (True,), draw(4, 2, 3))


def test_what_lies_below_a_composite_is_walked_once(monkeypatch):
    """Composites one on another: the walks grow with their number, not with its square."""
    visited = []

    def counting(*args):
        order = postorder(*args)
        visited.append(len(order))
        return order

    monkeypatch.setattr("thalweg.transforms.batch.postorder", counting)

    def work(height):
        def body(x):
            gamma, epsilon = full(1.5, float64, (3,)), full(1e-3, float64)
            for _ in range(height):
                x = rms_norm(sin(x), gamma, epsilon, axes=(1,))
            return x

        f = build("f", [of(2, 3)], body)
        visited.clear()
        assert batch(f, (True,), 4)
        return sum(visited)

    assert work(50) <= 5 * work(10)


# ---- refusals ------------------------------------------------------------------------------------


def test_what_cannot_be_batched_says_so(golden):
    """An operation outside the vocabulary, without a rule."""
    lonely = Op(
        name="lonely",
        doc="x, for one example at a time.",
        infer=lambda x: x,
        evaluate=lambda x: x,
        arity=1,
        batch=Absent("it looks at the whole array"),
    )
    f = build("f", [of(3)], lambda x: lonely(sin(x)))
    with pytest.raises(ArgumentError) as caught:
        batch(f, (True,), 4)
    golden("batch_error", caught.value.message)
    assert batch(f, (False,), 4).result_types == (of(4, 3),), "nothing there is mapped"


def test_new_nodes_come_from_the_node_they_batch():
    x = parameter(name="origin of a batch", type=of(3))
    f = build("f", [of(3)], lambda p: sin(multiply(p, p)))
    original = {node.op: provenance(node) for node in f.order()}
    for node in batch(f, (True,), 4).order():
        if node.op in (sin, multiply):
            assert provenance(node).place == original[node.op].place
            assert provenance(node).rule == "batch"
    assert x.type is of(3)

"""Constant folding: what is computed, what stays, and that bits are kept."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import constant, full, item, items, literal, parameter
from thalweg.ir.node import provenance
from thalweg.ir.show import show
from thalweg.ir.types import bool_, float32, float64, int32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.control import HostFunction, callback, check, scan, switch, while_
from thalweg.ops.elementwise import add, cast, divide, equal, less, multiply, negative, select, sin
from thalweg.ops.mark import barrier
from thalweg.ops.movement import concatenate, iota, reshape
from thalweg.passes.fold import MOST_ELEMENTS, fold, folded
from thalweg.transforms.evaluate import run

x = parameter(name="x", type=tensor_type(float32, (3,)))


def fold_node(node):
    (result,) = verify(fold(Function("f", (x,), (node,)))).results
    return result


def number(node):
    """The value of a constant, or None."""
    if node.op is not constant:
        return None
    return run(Function("f", (), (node,)))[0]


def test_what_depends_on_no_parameter_is_computed():
    node = add(multiply(full(2.0, float32), full(3.0, float32)), full(0.5, float32))
    assert fold_node(node) is full(6.5, float32)
    assert fold_node(literal([1, 2, 3], int32)) is literal([1, 2, 3], int32)
    summed = sum_op(literal([[1, 2], [3, 4]], int32), axes=(0,))
    assert fold_node(summed) is literal([4, 6], int32)


def test_what_depends_on_a_parameter_keeps_its_operation():
    three = add(full(1.0, float32, (3,)), full(2.0, float32, (3,)))
    assert fold_node(multiply(x, three)) is multiply(x, full(3.0, float32, (3,)))
    assert fold_node(sin(x)) is sin(x)


def test_positions_are_left_as_an_operation():
    node = iota(dtype=int32, shape=(5,), axis=0)
    assert fold_node(node) is node, "it takes less text than its values"


def test_a_value_that_is_the_same_everywhere_is_one_number():
    whole = concatenate(full(2.5, float32, (3,)), full(2.5, float32, (2,)), axis=0)
    assert fold_node(whole) is full(2.5, float32, (5,))
    nothing = sum_op(full(0.0, float32, (2, 3)), axes=(0,))
    assert fold_node(nothing) is full(0.0, float32, (3,))
    mixed = concatenate(full(0.0, float32, (2,)), full(-0.0, float32, (1,)), axis=0)
    assert fold_node(mixed) is literal([0.0, 0.0, -0.0], float32), "zeros of two signs are two"
    nans = concatenate(full(np.nan, float32, (2,)), full(np.nan, float32, (2,)), axis=0)
    assert fold_node(nans) is full(np.nan, float32, (4,))


@pytest.mark.parametrize("value", [-0.0, np.inf, np.nan, 1e-45])
def test_bits_are_kept(value):
    node = reshape(literal([value, 1.0], float32), shape=(2, 1))
    assert number(fold_node(node)).tobytes() == np.array([value, 1.0], np.float32).tobytes()
    assert fold_node(negative(full(value, float32))) is full(-np.float32(value), float32)


def test_arithmetic_is_that_of_the_reference():
    assert fold_node(divide(full(1.0, float32), full(0.0, float32))) is full(np.inf, float32)
    third = divide(full(1.0, float32), full(3.0, float32))
    assert fold_node(third) is full(np.float32(1) / np.float32(3), float32)
    assert fold_node(add(full(2**31 - 1, int32), full(1, int32))) is full(-(2**31), int32)


# ---- sizes ---------------------------------------------------------------------------------------


def test_large_results_stay_operations():
    row = literal(np.arange(8), int32)
    small = broadcast(row, shape=(8, 8), axes=(1,))
    large = broadcast(row, shape=(9, 8), axes=(1,))
    assert MOST_ELEMENTS == 8 * 8
    assert fold_node(small).op is constant
    assert fold_node(large) is large


def test_numbers_are_folded_at_any_size():
    """A constant of one number takes no room, however large it is, or of unknown size."""
    b = named("b")
    for shape in ((1_000_000, 1_000_000), (b, 3), (0,)):
        two, three = full(2.0, float32, shape), full(3.0, float32, shape)
        y = parameter(name="y", type=tensor_type(float32, (b,)))
        function = Function("f", (y,), (multiply(two, three), cast(two, dtype=int32)))
        results = verify(fold(function)).results
        assert results == (full(6.0, float32, shape), full(2, int32, shape))


def test_no_large_array_is_made_on_the_way():
    """Summing a terabyte of ones is left to whoever runs the program."""
    node = sum_op(full(1.0, float32, (500_000, 500_000)), axes=(0, 1))
    assert fold_node(node) is node


def test_named_sizes_stay():
    b = named("b")
    y = parameter(name="y", type=tensor_type(float32, (b,)))
    node = sum_op(full(1.0, float32, (b,)), axes=(0,))
    function = Function("f", (y,), (node,))
    assert fold(function) == function


# ---- what must run when the program does ---------------------------------------------------------


def test_calls_to_the_host_and_checks_are_not_made_while_compiling():
    calls = []
    host = HostFunction("host", lambda a: calls.append(a) or a)
    one = full(1.0, float32)
    called = item(callback(one, function=host, types=(one.type,)), index=0)
    checked = check(one, full(False, bool_), message="runs later")
    assert fold_node(called) is called and fold_node(checked) is checked
    assert fold_node(barrier(one)) is barrier(one)
    assert calls == []


def test_loops_of_constants_stay_loops():
    one = full(1, int32)
    step = build("step", [one.type], lambda n: add(n, n), ["n"])
    goes_on = build("goes_on", [one.type], lambda n: less(n, full(9, int32)), ["n"])
    for node in (
        while_(one, condition=goes_on, body=step),
        scan(one, body=step, carries=1, length=3),
        switch(one, one, branches=(step, step)),
    ):
        assert fold_node(items(node)[0]) is items(node)[0]


# ---- further in ----------------------------------------------------------------------------------


def test_constants_in_loop_bodies_are_folded():
    def step(n):
        return multiply(n, add(full(1.0, float32, (3,)), full(1.0, float32, (3,))))

    body = build("body", [x.type], step)
    assert "add" in show(body)
    node = item(scan(x, body=body, carries=1, length=3), index=0)
    result = fold_node(node)
    (new,) = (value for value in result.args[0].attrs if isinstance(value, Function))
    assert new == build("body", [x.type], lambda n: multiply(n, full(2.0, float32, (3,))))


def test_chains_are_folded_in_one_pass():
    node = full(1.0, float64)
    for _ in range(2000):
        node = add(node, full(1.0, float64))
    assert fold_node(node) is full(2001.0, float64)


def test_comparisons_and_choices():
    c = equal(full(1.0, float32, (3,)), full(1.0, float32, (3,)))
    assert fold_node(select(c, x, x)).args[0] is full(True, bool_, (3,))


def test_the_constant_comes_from_where_its_operation_came_from():
    node = add(full(11.0, float32), full(22.0, float32))
    made = folded(node)
    assert provenance(made).rule == "fold"
    assert provenance(made).place == provenance(node).place

"""What a program takes: operations and bytes, also of named sizes, loops and composites."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full, item, items
from thalweg.ir.op import find
from thalweg.ir.types import bfloat16, float32, float64, int32, tensor_type
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.control import call, scan, switch, while_
from thalweg.ops.elementwise import add, less, multiply, sin
from thalweg.ops.movement import reshape
from thalweg.transforms.cost import Cost, cost, cost_of
from thalweg.transforms.expand import expand

b, n, k = named("b"), named("n"), named("k")


def of(*shape, dtype=float32):
    return tensor_type(dtype, shape)


def matmul(x, y):
    return dot(x, y, contract=((1,), (0,)))


def test_each_operation_reads_its_operands_and_writes_its_results():
    f = build("f", [of(2, 3), of(2, 3)], lambda x, y: add(multiply(x, y), x))
    assert cost(f) == Cost(flops=12, bytes_read=96, bytes_written=48)
    assert cost(f).bytes == 144


def test_shared_parts_count_once_and_parameters_nothing():
    f = build("f", [of(3)], lambda x: (multiply(x, x), multiply(x, x), x))
    assert cost(f) == Cost(3, 24, 12)
    assert cost(build("f", [of(3)], lambda x: x)) == Cost()


def test_element_types_decide_the_bytes():
    for dtype, width in ((bfloat16, 2), (float32, 4), (float64, 8)):
        f = build("f", [of(10, dtype=dtype)] * 2, add)
        assert cost(f) == Cost(10, 20 * width, 10 * width)


def test_moves_compute_nothing():
    f = build("f", [of(2, 3)], lambda x: reshape(x, shape=(6,)))
    assert cost(f).flops == 0 and cost(f).bytes == 48
    assert cost(build("f", [of(3)], lambda x: broadcast(x, shape=(2, 3), axes=(1,)))).flops == 0


def test_a_matrix_product_takes_a_product_and_a_sum_for_each_term():
    assert cost(build("f", [of(5, 7), of(7, 3)], matmul)).flops == 2 * 5 * 7 * 3


def test_costs_of_named_sizes_are_formulas():
    f = build("f", [of(b, k), of(k, n)], matmul)
    total = cost(f)
    assert total.flops == 2 * b * k * n
    assert total.bytes_read == 4 * (b * k + k * n) and total.bytes_written == 4 * b * n


def test_a_loop_takes_its_body_as_often_as_it_runs():
    step = build("step", [of(3, 3), of(2, 3)], lambda w, x: matmul(x, w), ["w", "x"])
    for length in (1, 10, b, b + 1):
        f = build("f", [of(3, 3), of(2, 3)], lambda w, x, t=length: item(
            scan(w, x, body=step, constants=1, carries=1, length=t), index=0))  # fmt: skip
        assert cost(f).flops == 36 * length
        assert cost(f).bytes == cost(step).bytes * length


def test_loops_in_loops_multiply():
    step = build("step", [of(4)], sin, ["x"])
    inner = build("inner", [of(4)], lambda x: items(scan(x, body=step, carries=1, length=b))[0])
    f = build("f", [of(4)], lambda x: items(scan(x, body=inner, carries=1, length=n))[0])
    assert cost(f).flops == cost(step).flops * b * n


def test_a_while_loop_counts_one_step():
    step = build("step", [of()], lambda x: add(x, x), ["x"])
    on = build("on", [of()], lambda x: less(x, full(9, float32)), ["x"])
    f = build("f", [of()], lambda x: item(while_(x, condition=on, body=step), index=0))
    assert cost(f) == cost(step)


def test_a_branch_counts_as_the_dearest():
    cheap = build("cheap", [of(4)], lambda x: add(x, x))
    dear = build("dear", [of(4)], lambda x: sin(add(x, x)))
    for branches in ((cheap, dear), (dear, cheap), (dear,)):
        f = build("f", [of(dtype=int32), of(4)], lambda i, x, bs=branches: item(
            switch(i, x, branches=bs), index=0))  # fmt: skip
        assert cost(f) == cost(dear)


def test_a_call_takes_what_its_function_takes():
    inner = build("inner", [of(4)], lambda x: (sin(x), add(x, x)))
    f = build("f", [of(4)], lambda x: items(call(x, function=inner)))
    assert cost(f) == cost(inner)


# ---- composites ----------------------------------------------------------------------------------

SPELLED = ("rms_norm", "batch_norm", "group_norm", "attention")


@pytest.mark.parametrize("name", SPELLED)
def test_a_composite_takes_what_its_definition_takes(name):
    op = find(name)
    sample = next(s for s in op.samples() if all(a.dtype == np.float64 for a in s.args))
    types = [tensor_type(float64, a.shape) for a in sample.args]
    f = build("f", types, lambda *args: op(*args, **sample.attrs))
    assert cost(f).flops == cost(expand(f)).flops > 0
    assert cost(f).bytes < cost(expand(f)).bytes, "taken whole, it keeps what lies between"


def test_what_lies_below_a_composite_is_not_counted_again():
    rms_norm = find("rms_norm")
    gamma, eps = full(1, float64, (3,)), full(1e-3, float64)

    def below(x):
        for _ in range(5):
            x = sin(x)
        return x

    one = build("one", [of(2, 3, dtype=float64)], lambda x: rms_norm(x, gamma, eps, axes=(1,)))
    f = build("f", one.parameter_types, lambda x: rms_norm(below(x), gamma, eps, axes=(1,)))
    sines = build("s", one.parameter_types, below)
    assert cost(f).flops == cost(one).flops + cost(sines).flops


def test_a_composite_whose_operands_depend_on_each_other():
    rms_norm, eps = find("rms_norm"), full(1e-3, float64)
    type = of(2, 3, dtype=float64)
    f = build("f", [type], lambda x: rms_norm(x, sum_op(sin(x), axes=(0,)), eps, axes=(1,)))
    assert cost(f).flops == cost(expand(f)).flops


# ---- the record ----------------------------------------------------------------------------------


def test_costs_add_and_multiply():
    one = Cost(1, 2, 3)
    assert one + one == one.times(2) == Cost(2, 4, 6)
    assert one.times(b).flops == b and Cost().bytes == 0


def test_the_cost_of_a_node_is_its_own():
    f = build("f", [of(3)], lambda x: sin(multiply(x, x)))
    (root,) = f.results
    assert cost_of(root).bytes == 24
    assert cost_of(f.parameters[0]) == Cost()

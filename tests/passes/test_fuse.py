"""Fusion: which values a kernel stores, which it computes again, and that it keeps them all."""

import functools

import numpy as np
import pytest

import thalweg as tw
from thalweg.backends.llvm import native
from thalweg.backends.llvm.targets import host
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import full
from thalweg.ir.show import show
from thalweg.ir.types import float32, int32, tensor_type, uint32
from thalweg.ir.verify import verify
from thalweg.loops.lower import lower
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.control import call
from thalweg.ops.elementwise import (
    add,
    divide,
    exp,
    less,
    multiply,
    negative,
    rsqrt,
    select,
    sin,
    subtract,
    tanh,
)
from thalweg.ops.index import gather, scatter
from thalweg.ops.linalg import cholesky
from thalweg.ops.movement import concatenate, pad, reshape, reverse, slice, transpose
from thalweg.ops.random import random_bits
from thalweg.ops.reduce import cummax, cumsum
from thalweg.ops.reduce import max as max_op
from thalweg.passes.arrange import arrange
from thalweg.passes.check import check_values
from thalweg.passes.families import VIEWS
from thalweg.passes.fuse import LONGEST, fuse, kernels
from thalweg.passes.inline import inline_calls
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.tools.programs import random_function

is_native = functools.partial(native.is_native, target=host())


def f32(*shape):
    return tensor_type(float32, shape)


def fused(body, *types) -> Function:
    """The fused Function, checked: kernels lower, and inlined again the values are the same."""
    return checked(build("f", types, body))


def checked(function: Function) -> Function:
    result = verify(fuse(function, is_native))
    for kernel in kernels(result):
        lower(kernel)
    check_values("fuse", function, inline_calls(result))
    return result


def parts(function: Function) -> list[list[str]]:
    """The ops of each kernel."""
    return [
        sorted(node.op.name for node in kernel.order() if node.op.name != "parameter")
        for kernel in kernels(function)
    ]


def product(x, y):
    return dot(x, y, contract=((1,), (0,)), batch=((), ()))


def spread(x, like):
    """x along the last axis of `like`."""
    return broadcast(x, shape=like.shape, axes=tuple(range(len(like.shape) - 1)))


# What becomes a kernel ----------------------------------------------------------------------------


def test_a_chain_is_one_kernel():
    assert parts(fused(lambda x: negative(tanh(exp(x))), f32(3, 4))) == [
        ["exp", "negative", "tanh"]
    ]


def test_moves_inside_a_chain_are_read_in_place():
    def body(x):
        return exp(transpose(reverse(sin(x), axes=(0,)), axes=(1, 0)))

    assert parts(fused(body, f32(3, 4))) == [["exp", "reverse", "sin", "transpose"]]


def test_a_view_of_a_stored_value_is_no_kernel():
    def body(x):
        y = exp(x)
        first = slice(y, start=(1, 0), limit=(3, 4), stride=(1, 1))
        return y, reshape(y, shape=(16,)), cholesky(transpose(y, axes=(1, 0))), first

    function = fused(body, f32(4, 4))
    assert parts(function) == [["exp"]]
    outside = [node.op.name for node in function.order() if node.op.name in VIEWS]
    assert sorted(outside) == ["reshape", "slice", "transpose"]


def test_a_view_in_another_order_is_a_kernel_where_its_own_order_is_wanted():
    def body(x):
        return product(x, transpose(x, axes=(1, 0))), reverse(x, axes=(0,))

    assert sorted(parts(fused(body, f32(3, 4)))) == [["dot"], ["reverse"], ["transpose"]]


def test_a_move_of_a_computed_value_is_a_kernel():
    assert parts(fused(lambda x: transpose(exp(x), axes=(1, 0)), f32(3, 4))) == [
        ["exp", "transpose"]
    ]

    def chain(x):
        return reverse(slice(exp(x), start=(1,), limit=(3,), stride=(1,)), axes=(0,))

    assert parts(fused(chain, f32(4))) == [["exp", "reverse", "slice"]]


def test_operations_that_no_kernel_takes_stay():
    function = fused(lambda x: exp(cholesky(add(x, x))), f32(3, 3))
    names = [node.op.name for node in function.order()]
    assert names == ["parameter", "call", "item", "cholesky", "call", "item"]


# Reductions ---------------------------------------------------------------------------------------


def test_a_reduction_takes_its_producers_and_its_epilogue():
    def body(x):
        return rsqrt(add(sum_op(multiply(x, x), axes=(1,)), full(1.0, float32, (3,))))

    assert parts(fused(body, f32(3, 4))) == [["add", "constant", "multiply", "rsqrt", "sum"]]


def test_a_broadcast_of_a_reduction_makes_it_a_root():
    def body(x):
        return subtract(x, spread(max_op(x, axes=(1,)), x))

    assert parts(fused(body, f32(3, 4))) == [["max"], ["broadcast", "subtract"]]


def softmax(x):
    e = exp(subtract(x, spread(max_op(x, axes=(1,)), x)))
    return divide(e, spread(sum_op(e, axes=(1,)), e))


def test_softmax_is_four_kernels_and_computes_exp_once():
    assert parts(fused(softmax, f32(5, 7))) == [
        ["max"],
        ["broadcast", "exp", "subtract"],
        ["sum"],
        ["broadcast", "divide"],
    ]


def layer_norm(x):
    scale = full(1 / 7, float32, (5,))
    mean = multiply(sum_op(x, axes=(1,)), scale)
    centred = subtract(x, spread(mean, x))
    variance = multiply(sum_op(multiply(centred, centred), axes=(1,)), scale)
    return multiply(centred, spread(rsqrt(add(variance, scale)), x))


def test_layer_norm_is_three_kernels():
    assert len(parts(fused(layer_norm, f32(5, 7)))) == 3


def test_reductions_over_the_same_axes_share_a_nest():
    def body(x):
        return add(sum_op(x, axes=(1,)), max_op(x, axes=(1,)))

    assert parts(fused(body, f32(3, 4))) == [["add", "max", "sum"]]
    other = fused(lambda x: add(sum_op(x, axes=(1,)), max_op(x, axes=(0,))), f32(3, 3))
    assert len(parts(other)) == 2


# Sharing ------------------------------------------------------------------------------------------


def two_sums(value):
    return lambda x: (sum_op(value(x), axes=(1,)), max_op(value(x), axes=(0,)))


def test_dear_shared_producers_are_stored_and_cheap_ones_computed_again():
    assert parts(fused(two_sums(lambda x: add(x, x)), f32(3, 4))) == [
        ["add", "sum"],
        ["add", "max"],
    ]
    dear = parts(fused(two_sums(lambda x: tanh(exp(x))), f32(3, 4)))
    assert sorted(dear) == [["exp", "tanh"], ["max"], ["sum"]]


def test_a_reduction_is_no_reason_to_store_what_is_cheap_beside_it():
    def body(x):
        y = subtract(x, spread(max_op(tanh(exp(x)), axes=(1,)), x))
        return sum_op(y, axes=(1,)), max_op(y, axes=(0,))

    assert sorted(parts(fused(body, f32(3, 4)))) == [
        ["broadcast", "max", "subtract"],
        ["broadcast", "subtract", "sum"],
        ["exp", "max", "tanh"],
    ]


def momentum(p, v, g):
    v = add(multiply(v, full(0.9, float32, v.shape)), g)
    return v, subtract(p, multiply(v, full(0.1, float32, v.shape)))


def adam(p, m, v, g):
    """Both moments are results, and the parameter reads both."""
    m = add(multiply(m, full(0.9, float32, m.shape)), multiply(g, full(0.1, float32, m.shape)))
    v = add(multiply(v, full(0.9, float32, m.shape)), multiply(g, g))
    return m, v, subtract(p, multiply(m, rsqrt(v)))


def test_an_update_shares_a_kernel_with_its_moments():
    assert len(parts(fused(momentum, *[f32(3, 4)] * 3))) == 1
    assert len(parts(fused(adam, *[f32(3, 4)] * 4))) == 1


# Contractions -------------------------------------------------------------------------------------


def test_contractions_read_memory_and_take_their_epilogue():
    def body(x, y, b):
        z = product(exp(x), transpose(y, axes=(1, 0)))
        return tanh(add(z, broadcast(b, shape=z.shape, axes=(1,))))

    # The transpose of the second operand is made: its neighbours are the lanes of the result.
    found = parts(fused(body, f32(3, 4), f32(5, 4), f32(5)))
    assert found[-1] == ["add", "broadcast", "dot", "tanh"]
    assert ["exp"] in found


def test_the_first_operand_of_a_contraction_may_be_moved():
    def body(x, y):
        return product(transpose(x, axes=(1, 0)), y)

    assert parts(fused(body, f32(4, 3), f32(4, 5))) == [["dot", "transpose"]]


def test_two_contractions_are_two_kernels():
    def body(x, y):
        return add(product(x, y), product(y, x))

    found = parts(fused(body, f32(3, 3), f32(3, 3)))
    assert sorted(found) == [["add", "dot"], ["dot"]]


# Choices, scatters, running results ---------------------------------------------------------------


def test_padding_joining_and_random_bits_are_part_of_a_kernel():
    def body(x, key):
        none = {"low": (1, 0), "high": (0, 2), "interior": (0, 0)}
        y = pad(exp(x), full(0.0, float32), **none)
        z = concatenate(y, tanh(y), axis=1)
        mask = less(random_bits(key, shape=z.shape, width=32), full(2**31, uint32, z.shape))
        return select(mask, z, full(0.0, float32, z.shape))

    found = parts(fused(body, f32(3, 4), tensor_type(uint32, (2,))))
    assert len(found) == 1 and {"concatenate", "exp", "pad", "random_bits"} <= set(found[0])


def test_random_bits_of_two_kernels_are_drawn_once():
    def body(x, key):
        mask = less(random_bits(key, shape=x.shape, width=32), full(2**31, uint32, x.shape))
        y = select(mask, x, full(0.0, float32, x.shape))
        return sum_op(y, axes=(0,)), max_op(select(mask, exp(y), y), axes=(1,))

    found = parts(fused(body, f32(3, 4), tensor_type(uint32, (2,))))
    assert sum("random_bits" in each for each in found) == 1


@pytest.mark.parametrize(("rows", "is_stored"), [(3, False), (9, True)])
def test_what_a_gather_repeats_is_stored(rows, is_stored):
    def body(x, i):
        return gather(exp(x), i, axes=(0,))

    found = parts(fused(body, f32(5, 4), tensor_type(int32, (rows,))))
    assert found == ([["exp"], ["gather"]] if is_stored else [["exp", "gather"]])


def test_a_scatter_takes_its_operands_and_nothing_takes_it():
    def body(x, y, i):
        z = scatter(full(0.0, float32, x.shape), multiply(y, y), i, axes=(0,), mode="add")
        return add(z, x)

    found = parts(fused(body, f32(5, 4), f32(3, 4), tensor_type(int32, (3,))))
    assert found == [["constant", "multiply", "scatter"], ["add"]]


def test_a_running_result_takes_its_producers_and_its_epilogue():
    def body(x):
        return exp(add(cumsum(multiply(x, x), axis=1), cummax(x, axis=1)))

    assert parts(fused(body, f32(3, 4))) == [["add", "cummax", "cumsum", "exp", "multiply"]]

    def others(x):
        return cumsum(cumsum(x, axis=1), axis=1), cumsum(x, axis=0)

    assert len(parts(fused(others, f32(3, 4)))) == 3


# Order and size -----------------------------------------------------------------------------------


def test_kernels_never_wait_for_each_other():
    """c could join a's kernel or b's, and d the other: then each would need the other first."""

    def body(x, y):
        a, b = exp(x), exp(y)
        c = add(a, b)
        d = multiply(c, a)
        return a, b, c, d

    assert parts(fused(body, f32(3), f32(3))) == [["add", "exp", "exp", "multiply"]]

    def crossed(x, y):
        a, b = sum_op(x, axes=(1,)), sum_op(y, axes=(0,))
        c = add(a, b)
        d = multiply(c, a)
        return a, b, c, d

    assert len(parts(fused(crossed, f32(3, 3), f32(3, 3)))) == 3


def test_a_group_is_not_joined_by_what_reads_it_at_other_places():
    def body(x):
        a = sum_op(x, axes=(1,))
        b = exp(a)
        return a, b, add(b, reverse(a, axes=(0,)))

    assert parts(fused(body, f32(3, 4))) == [["exp", "sum"], ["add", "reverse"]]


@pytest.mark.parametrize("results", ["last", "all"])
def test_kernels_are_not_longer_than_the_limit(results):
    def body(x):
        values = [x]
        for _ in range(3 * LONGEST):
            values.append(sin(values[-1]))
        return values[1:] if results == "all" else values[-1]

    found = parts(fused(body, f32(2)))
    assert sum(map(len, found)) == 3 * LONGEST
    assert max(map(len, found)) <= LONGEST + 1 and len(found) >= 3


def test_a_value_used_twice_at_every_step_does_not_grow_without_bound():
    def body(x):
        for _ in range(500):
            x = add(x, x)
        return x

    result = fused(body, f32(2))
    assert len(parts(result)) == 2
    for kernel in kernels(result):
        assert len(str(lower(kernel))) < 20_000


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_random_programs_keep_their_values(first):
    for seed in range(first, first + 25):
        function = random_function(seed)
        for stage in PIPELINE:
            function = run_pass(stage, function)
        function = arrange(function)
        result = verify(fuse(function, is_native))
        assert result.result_types == function.result_types
        for node in result.order():
            if node.op is call and node.attrs[0].name.startswith("k"):
                lower(node.attrs[0])
        check_values("fuse", function, result)


# A whole training step ----------------------------------------------------------------------------


def test_the_training_step_of_a_small_network(golden):
    def step(x, labels, params, speeds):
        def loss(params):
            w1, b1, w2, b2 = params
            y = tw.nn.relu(x @ w1 + b1) @ w2 + b2
            y = y - tw.max(y, axis=1, keepdims=True)
            log = y - tw.log(tw.sum(tw.exp(y), axis=1, keepdims=True))
            return -tw.mean(tw.sum(log * labels, axis=1))

        value, gradients = tw.value_and_grad(loss)(params)
        speeds = tw.map_leaves(lambda v, g: 0.9 * v + g, speeds, gradients)
        return value, tw.map_leaves(lambda p, v: p - 0.1 * v, params, speeds), speeds

    shapes = [(6, 5), (5,), (5, 3), (3,)]
    params = [np.ones(shape, np.float32) for shape in shapes]
    x, labels = np.ones((4, 6), np.float32), np.ones((4, 3), np.float32)
    function = tw.function(step).trace(x, labels, params, params)
    for stage in PIPELINE:
        function = run_pass(stage, function)
    golden("fused_training_step", show(checked(arrange(function))))


def test_reductions_of_one_array_share_a_pass():
    def body(x, y):
        total = sum_op(x, axes=(0,))
        return total, sum_op(multiply(x, y), axes=(0,)), sum_op(y, axes=(1,))

    found = parts(fused(body, f32(6, 5), f32(6, 5)))
    assert sorted(found) == [["multiply", "sum", "sum"], ["sum"]]


def test_a_reduction_waits_for_another_that_comes_later():
    def body(x, y):
        center = broadcast(sum_op(y, axes=(1,)), shape=x.shape, axes=(0,))
        return sum_op(x, axes=(0,)), sum_op(multiply(x, subtract(y, center)), axes=(0,))

    found = parts(fused(body, f32(6, 5), f32(6, 5)))
    assert found == [["sum"], ["broadcast", "multiply", "subtract", "sum", "sum"]]


def test_a_reduction_does_not_wait_where_something_in_between_needs_it():
    def body(x, y):
        total = sum_op(x, axes=(0,))
        center = sum_op(multiply(y, broadcast(total, shape=x.shape, axes=(1,))), axes=(1,))
        other = subtract(y, broadcast(center, shape=x.shape, axes=(0,)))
        return total, sum_op(multiply(x, other), axes=(0,))

    assert len(parts(fused(body, f32(6, 5), f32(6, 5)))) == 3


def test_reductions_that_wait_for_each_other_do_not_share_a_pass():
    def body(x):
        center = broadcast(sum_op(x, axes=(0,)), shape=x.shape, axes=(1,))
        return sum_op(multiply(subtract(x, center), x), axes=(0,))

    assert len(parts(fused(body, f32(6, 5)))) == 2


def test_a_dear_value_is_not_computed_for_each_place_it_is_spread_to():
    def body(x, scale):
        return multiply(x, broadcast(exp(scale), shape=x.shape, axes=tuple(range(scale.type.rank))))

    assert parts(fused(body, f32(6, 5), f32(6))) == [["exp"], ["broadcast", "multiply"]]
    # One number for all elements is computed once anyway.
    assert parts(fused(body, f32(6, 5), f32())) == [["broadcast", "exp", "multiply"]]

"""Nests of loops as text, what is refused, and that every target takes what is emitted."""

import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ArgumentError
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import full
from thalweg.ir.types import (
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int32,
    tensor_type,
    uint8,
    uint32,
)
from thalweg.loops.lower import lower
from thalweg.loops.schedule import schedule
from thalweg.loops.values import Affine
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.elementwise import add, cast, exp, less, multiply, select, subtract, tanh
from thalweg.ops.index import dynamic_slice, gather, scatter
from thalweg.ops.movement import concatenate, iota, pad, reshape, reverse, slice, transpose
from thalweg.ops.random import random_bits
from thalweg.ops.reduce import any as any_op
from thalweg.ops.reduce import cumsum
from thalweg.ops.reduce import max as max_op
from thalweg.ops.window import window_max

B = named("b")


def f32(*shape):
    return tensor_type(float32, shape)


def moves(x, row):
    """[6,4] and [4]: every move in one expression, nothing of it in memory."""
    y = transpose(slice(x, start=(1, 0), limit=(6, 4), stride=(2, 1)), axes=(1, 0))
    y = multiply(y, broadcast(reverse(row, axes=(0,)), shape=(4, 3), axes=(0,)))
    y = reshape(reshape(y, shape=(4, 1, 3)), shape=(4, 3))
    return add(y, cast(iota(dtype=int32, shape=(4, 3), axis=1), dtype=float32))


def deviation(x):
    """Two reductions over the same axes and what is done with both."""
    squares = sum_op(multiply(x, x), axes=(1,))
    total = sum_op(x, axes=(1,))
    return subtract(squares, multiply(total, full(0.5, float32, total.shape)))


def product(x, y):
    return tanh(dot(x, y, contract=((1,), (0,)), batch=((), ())))


def batched(x, y):
    return dot(x, y, contract=((2,), (1,)), batch=((0,), (0,)))


def convolution(x, k):
    return conv(
        x, k, strides=(2, 1), padding=((0, 0), (0, 0)), input_dilation=(1, 1),
        kernel_dilation=(1, 2), feature_groups=1, batch_groups=1,
    )  # fmt: skip


def padded(x, k):
    """Two groups of channels, padding on every side."""
    return conv(
        x, k, strides=(1, 2), padding=((1, 1), (0, 2)), input_dilation=(1, 1),
        kernel_dilation=(1, 1), feature_groups=2, batch_groups=1,
    )  # fmt: skip


def padded_window(x):
    return window_max(
        x, window=(1, 3), strides=(1, 2), padding=((0, 0), (1, 1)), input_dilation=(1, 1),
        window_dilation=(1, 1),
    )  # fmt: skip


def joined(x, y):
    spread = pad(y, full(0, float32), low=(0, 1), high=(0, 0), interior=(0, 1))
    return concatenate(x, spread, axis=1)


def looked_up(x, i):
    return exp(gather(x, i, axes=(0,)))


def summed_up(x, i):
    return scatter(full(0, float32, (9, 20)), x, i, axes=(0,), mode="add")


def moved_window(x, i):
    zero = full(0, int32)
    return dynamic_slice(x, i, zero, sizes=(2, 20))


def running(x):
    return exp(cumsum(x, axis=0, reverse=True))


def dropped(x, key):
    bits = random_bits(key, shape=x.shape, width=8)
    return select(less(bits, full(128, uint8, x.shape)), x, full(0, float32, x.shape))


def narrow(x):
    return pad(x, full(0, bfloat16), low=(0, 0), high=(0, 0), interior=(1, 0))


def window(x):
    return window_max(
        x, window=(1, 3, 2), strides=(1, 2, 1), padding=((0, 0),) * 3,
        input_dilation=(1, 1, 1), window_dilation=(1, 2, 1),
    )  # fmt: skip


KERNELS = {
    "moves": build("moves", [f32(6, 4), f32(4)], moves),
    "deviation": build("deviation", [f32(B, 7)], deviation),
    "column": build("column", [f32(5, 37)], lambda x: exp(max_op(x, axes=(0,)))),
    "product": build("product", [f32(33, 20), f32(20, 50)], product),
    "named_product": build("named_product", [f32(B, 20), f32(20, 50)], product),
    "batched": build("batched", [f32(3, 4, 5), f32(3, 5, 6)], batched),
    "convolution": build("convolution", [f32(2, 9, 8, 3), f32(3, 2, 3, 40)], convolution),
    "window": build("window", [f32(2, 11, 9)], window),
    "padded": build("padded", [f32(2, 9, 8, 6), f32(3, 2, 3, 40)], padded),
    "padded_window": build("padded_window", [f32(B, 11)], padded_window),
    "joined": build("joined", [f32(3, 4), f32(3, 20)], joined),
    "looked_up": build("looked_up", [f32(9, 20), tensor_type(int32, (B,))], looked_up),
    "summed_up": build("summed_up", [f32(B, 20), tensor_type(int32, (B,))], summed_up),
    "moved_window": build("moved_window", [f32(9, 20), tensor_type(int32, ())], moved_window),
    "running": build("running", [f32(9, 20)], running),
    "dropped": build("dropped", [f32(B, 20), tensor_type(uint32, (2,))], dropped),
    "narrow": build("narrow", [tensor_type(bfloat16, (9, 1))], narrow),
    "scalar": build("scalar", [f32()], exp),
    "mixed": build(
        "mixed",
        [tensor_type(bfloat16, (5, 9)), tensor_type(float16, (5, 9)), tensor_type(bool_, (5, 9))],
        lambda x, y, p: select(p, cast(x, dtype=float64), cast(y, dtype=float64)),
    ),
    "truth": build(
        "truth", [f32(40)], lambda x: any_op(less(x, full(0, float32, (40,))), axes=(0,))
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "moves", "deviation", "product", "batched", "convolution", "window", "scalar", "padded",
        "padded_window", "joined", "looked_up", "summed_up", "moved_window", "running", "dropped",
    ],
)  # fmt: skip
def test_nests_as_text(golden, name):
    golden(f"lower_{name}", str(lower(KERNELS[name])))


@pytest.mark.parametrize("name", [
    "moves", "deviation", "column", "named_product", "convolution", "padded", "summed_up",
])  # fmt: skip
def test_scheduled_nests_as_text(golden, name):
    golden(f"schedule_{name}", str(schedule(lower(KERNELS[name]), lanes=16, registers=32)))


def test_equal_nodes_at_equal_places_are_one_value():
    def body(x):
        y = exp(x)
        return multiply(y, y)

    (store,) = lower(build("f", [f32(3)], body)).stores
    assert store.value.args[0] is store.value.args[1]


def test_positions_add_and_multiply():
    i, j = Affine.axis("i"), Affine.axis("j")
    assert str(i * 4 + j + 2) == "4*i + j + 2"
    assert str((i + j) * 0) == "0"
    assert str(i + i * -1 + 3) == "3", "an axis that cancels is gone"
    assert str(i * (B + 1)) == "(b+1)*i"
    assert (i * 4).stride("i") == 4 and i.stride("j") == 0


REFUSED = {
    "results of one shape": build("f", [f32(2, 3)], lambda x: (exp(x), transpose(x, axes=(1, 0)))),
    "reductions at the index of the result": build(
        "f", [f32(2, 3)], lambda x: reverse(sum_op(x, axes=(1,)), axes=(0,))
    ),
    "reshapes of its inputs only": build("f", [f32(2, 3)], lambda x: reshape(exp(x), shape=(6,))),
}


@pytest.mark.parametrize("wanted", REFUSED)
def test_what_is_no_kernel_is_refused(wanted):
    with pytest.raises(ArgumentError, match=wanted):
        lower(REFUSED[wanted])


def test_a_reduction_asked_for_at_two_places_is_refused():
    """Also when its register is there already: it holds the value at one place only."""

    def body(x):
        y = sum_op(x, axes=(1,))
        return add(y, reverse(y, axes=(0,)))

    def other(x):
        y = sum_op(x, axes=(1,))
        return add(reverse(y, axes=(0,)), y)

    for each in (body, other):
        with pytest.raises(ArgumentError, match="at the index of the result"):
            lower(build("f", [f32(2, 3)], each))


def test_a_parameter_from_elsewhere_is_refused():
    inner = build("f", [f32(3)], exp)
    with pytest.raises(ArgumentError, match="its own parameters"):
        lower(Function("f", (), inner.results))

"""Reductions over windows against a loop over every element, and PyTorch's pooling."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ShapeError
from thalweg.ir.dim import named, substitute
from thalweg.ir.function import build
from thalweg.ir.types import (
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int8,
    int32,
    tensor_type,
    uint8,
)
from thalweg.ir.verify import verify
from thalweg.ops.samples import values
from thalweg.ops.window import window_max, window_min, window_pick, window_scatter, window_sum
from thalweg.transforms.batch import batch
from thalweg.transforms.cost import cost
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp


def function_of(op, *arrays, **attrs):
    types = [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]
    return build(op.name, types, lambda *args: op(*args, **attrs))


def apply(op, *arrays, **attrs):
    return run(function_of(op, *arrays, **attrs), *arrays)[0]


def plain(rank, **given):
    ones = (1,) * rank
    attrs = {"window": ones, "strides": ones, "padding": ((0, 0),) * rank,
             "input_dilation": ones, "window_dilation": ones}  # fmt: skip
    return attrs | given


def read(shape, window, strides, padding, input_dilation, window_dilation):
    """For each window, the places of x that it reads, in row-major order; None if too large."""
    positions = []
    for size, k, stride, (low, high), inner, outer in zip(
        shape, window, strides, padding, input_dilation, window_dilation, strict=True
    ):
        free = ((size - 1) * inner + 1 if size else 0) + low + high - ((k - 1) * outer + 1)
        if free < 0 and size:
            return None
        positions.append(max(0, free // stride + 1))
    found = np.empty(positions, object)
    for position in np.ndindex(*positions):
        places = []
        for k in np.ndindex(*window):
            spread = [
                p * s + each * d - low
                for p, s, each, d, (low, _) in zip(
                    position, strides, k, window_dilation, padding, strict=True
                )
            ]
            index = tuple(place // d for place, d in zip(spread, input_dilation, strict=True))
            is_element = all(
                place % d == 0 and 0 <= i < size
                for place, d, i, size in zip(spread, input_dilation, index, shape, strict=True)
            )
            if is_element:
                places.append(index)
        found[position] = places
    return found


def extreme(x, places, direction):
    """The first place of the extreme, by comparing one element after another; None for none."""
    for place in places:
        if math.isnan(x[place]):
            return place
    best = None
    for place in places:
        sign = 1 if direction == "max" else -1
        if best is None or sign * float(x[place]) > sign * float(x[best]):
            best = place
    return best


@st.composite
def windows(draw):
    rank = draw(st.integers(0, 3))

    def sizes(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    return sizes(0, 5), {
        "window": sizes(1, 3),
        "strides": sizes(1, 3),
        "padding": tuple(zip(sizes(-2, 3), sizes(-2, 3), strict=True)),
        "input_dilation": sizes(1, 3),
        "window_dilation": sizes(1, 3),
    }


# Ties, NaN, infinities of both signs and what padding stands for.
FLOATS = (0.0, -0.0, 1.0, 2.0, -1.0, np.nan, np.inf, -np.inf)
LOWEST, HIGHEST = -(2**31), 2**31 - 1
INTEGERS = (0, 1, 2, LOWEST, HIGHEST)


@st.composite
def arrays(draw, shape):
    is_float = draw(st.booleans())
    pool = FLOATS[: draw(st.sampled_from((5, 8)))] if is_float else INTEGERS
    count = math.prod(shape)
    row = draw(st.lists(st.sampled_from(pool), min_size=count, max_size=count))
    return np.array(row, np.float64 if is_float else np.int32).reshape(shape)


@settings(max_examples=200)
@given(windows())
def test_window_sum_is_the_loop(case):
    shape, attrs = case
    places = read(shape, **attrs)
    for dtype in (float64, int32, as_dtype("complex64")):
        x = values(shape, dtype)
        if places is None:
            with pytest.raises(ShapeError, match="a window that fits into the padded axis"):
                apply(window_sum, x, **attrs)
            continue
        found = apply(window_sum, x, **attrs)
        assert found.dtype == x.dtype and found.shape == places.shape
        for position in np.ndindex(*places.shape):
            wanted = sum((x[place] for place in places[position]), start=x.dtype.type(0))
            np.testing.assert_allclose(found[position], wanted, rtol=1e-5, atol=1e-5)


@settings(max_examples=300)
@given(st.data(), windows(), st.sampled_from(("max", "min")))
def test_extremes_their_places_and_the_adjoint_are_the_loop(data, case, direction):
    shape, attrs = case
    places = read(shape, **attrs)
    assume(places is not None)
    x = data.draw(arrays(shape))
    op = window_max if direction == "max" else window_min
    y = values(shape, float64, seed=1)
    dy = values(places.shape, float64, seed=2)
    reached = apply(op, x, **attrs)
    picked = apply(window_pick, x, y, **attrs, direction=direction)
    scattered = apply(window_scatter, x, dy, **attrs, direction=direction)
    assert reached.shape == picked.shape == places.shape and reached.dtype == x.dtype
    if x.dtype.kind == "f":
        nothing = -np.inf if direction == "max" else np.inf
    else:
        nothing = LOWEST if direction == "max" else HIGHEST
    wanted = np.zeros(shape)
    for position in np.ndindex(*places.shape):
        place = extreme(x, places[position], direction)
        if place is None:
            assert reached[position] == nothing
            assert picked[position] == 0
        else:
            np.testing.assert_array_equal(reached[position], x[place])
            assert picked[position] == y[place]
            wanted[place] += dy[position]
    np.testing.assert_allclose(scattered, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [float16, bfloat16])
def test_windows_of_16_bit_floats_are_summed_in_float32_and_rounded_once(dtype):
    x = values((4, 300), dtype)
    attrs = plain(2, window=(1, 300))
    wide = apply(window_sum, x.astype(np.float32), **attrs)
    np.testing.assert_array_equal(apply(window_sum, x, **attrs), wide.astype(dtype.numpy))
    ones = np.ones((1, 4096), dtype.numpy)
    assert apply(window_sum, ones, **plain(2, window=(1, 4096))).item() == 4096
    # Every window has its maximum at the same place.
    peak = np.zeros(4096, dtype.numpy)
    peak[0] = 1
    attrs = plain(1, window=(4096,), padding=((4095, 0),))
    dy = np.ones(4096, dtype.numpy)
    found = apply(window_scatter, peak, dy, **attrs, direction="max")
    assert found[0] == 4096 and not found[1:].any()


@pytest.mark.parametrize("dtype", [int8, uint8])
def test_windows_of_integers_wrap_around(dtype):
    x = np.full(9, 100, dtype.numpy)
    wanted = np.full(7, 300).astype(dtype.numpy)
    np.testing.assert_array_equal(apply(window_sum, x, **plain(1, window=(3,))), wanted)


def test_padding_never_wins():
    for dtype in (int8, uint8, int32):
        info = np.iinfo(dtype.numpy)
        attrs = plain(1, window=(2,), padding=((1, 1),))
        x = np.array([info.min, info.min], dtype.numpy)
        assert list(apply(window_max, x, **attrs)) == [info.min] * 3
        y = np.array([7, 8], np.int64)
        assert list(apply(window_pick, x, y, **attrs, direction="max")) == [7, 7, 8]
        x = np.array([info.max, info.max], dtype.numpy)
        assert list(apply(window_min, x, **attrs)) == [info.max] * 3
        assert list(apply(window_pick, x, y, **attrs, direction="min")) == [7, 7, 8]


@settings(max_examples=100)
@given(windows())
def test_the_gradient_of_window_sum_is_its_adjoint_and_a_window_sum(case):
    shape, attrs = case
    assume(read(shape, **attrs) is not None)
    x = values(shape, float64, seed=1)
    function = function_of(window_sum, x, **attrs)
    pulled = verify(vjp(function))
    assert {node.op.name for node in pulled.order()} <= {"parameter", "constant", "window_sum"}
    y = run(function, x)[0]
    dy = values(y.shape, float64, seed=2)
    dx = run(pulled, x, dy)[0]
    np.testing.assert_allclose(np.sum(dx * x), np.sum(dy * y), rtol=1e-9, atol=1e-9)
    again = vjp(vjp(function))
    assert again.result_types == pulled.parameter_types


def test_the_derivatives_of_an_extreme_are_scatter_and_pick():
    x = values((2, 6), float64)
    attrs = plain(2, window=(1, 2), strides=(1, 2))
    first = vjp(function_of(window_max, x, **attrs))
    assert {node.op.name for node in first.order()} == {"parameter", "window_scatter"}
    second = vjp(first)
    assert "window_pick" in {node.op.name for node in second.order()}
    # x chooses the place but does not enter the value.
    d2x, ddy = run(second, x, np.ones((2, 3)), values((2, 6), float64, seed=3))
    assert not d2x.any() and ddy.any()


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("window", "stride", "padding", "dilation"),
                         [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), (2, 3, 1, 1)])  # fmt: skip
def test_pooling_and_its_gradient_are_pytorchs(rank, window, stride, padding, dilation):
    torch = pytest.importorskip("torch")
    x = values((2, *(7, 6, 8)[:rank], 3), float64)
    theirs = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))).requires_grad_()
    middle = (
        ("window", window), ("strides", stride), ("padding", (padding, padding)),
        ("window_dilation", dilation),
    )  # fmt: skip
    attrs = plain(rank + 2)
    for name, value in middle:
        attrs[name] = (attrs[name][0], *((value,) * rank), attrs[name][-1])
    y = getattr(torch.nn.functional, f"max_pool{rank}d")(theirs, window, stride, padding, dilation)
    function = function_of(window_max, x, **attrs)
    found = run(function, x)[0]
    np.testing.assert_array_equal(found, np.moveaxis(y.detach().numpy(), 1, -1))
    dy = values(found.shape, float64, seed=2)
    y.backward(torch.from_numpy(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    dx = run(vjp(function), x, dy)[0]
    np.testing.assert_allclose(dx, np.moveaxis(theirs.grad.numpy(), 1, -1), atol=1e-12)


SYMBOLIC = [
    plain(2, window=(1, 3)),
    plain(2, window=(1, 3), padding=((0, 0), (1, 1)), strides=(1, 2)),
    plain(2, window=(1, 2), strides=(1, 2)),
    plain(2, window=(1, 2), input_dilation=(1, 3), window_dilation=(1, 2), strides=(1, 2),
          padding=((0, 0), (-1, 3))),
]  # fmt: skip


@pytest.mark.parametrize("attrs", SYMBOLIC, ids=str)
@pytest.mark.parametrize("op", [window_sum, window_max])
def test_windows_take_named_sizes_in_every_derivative(op, attrs):
    b, t = named("b"), named("t")
    function = build("f", [tensor_type(float64, (b, t))], lambda x: op(x, **attrs))
    first = verify(vjp(function))
    second = verify(vjp(first))
    assert first.result_types == function.parameter_types
    assert second.result_types == first.parameter_types
    for size in range(1, 9):
        x = values((2, size), float64)
        places = read(x.shape, **attrs)
        found = run(function, x)[0]
        inferred = [
            substitute(each, {"b": 2, "t": size}) for each in function.result_types[0].shape
        ]
        assert list(found.shape) == inferred
        # What is refused for a number is empty for a named size.
        assert found.shape == ((2, 0) if places is None else places.shape)
        if places is not None:
            np.testing.assert_array_equal(found, apply(op, x, **attrs))
        dy = values(found.shape, float64, seed=2)
        dx = run(first, x, dy)[0]
        finite = np.isfinite(found)
        np.testing.assert_allclose(np.sum(dx * x), np.sum((dy * found)[finite]), atol=1e-9)


def test_a_window_may_be_as_long_as_a_named_size():
    b, t = named("b"), named("t")
    attrs = plain(2, window=(1, t))
    function = build("f", [tensor_type(float32, (b, t))], lambda x: window_sum(x, **attrs))
    assert str(function.result_types[0]) == "f32[b,1]"
    assert verify(vjp(function)).result_types == function.parameter_types
    x = values((3, 5), float32)
    np.testing.assert_allclose(run(function, x)[0], x.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(
        run(vjp(function), x, np.array([[1], [2], [3]], np.float32))[0],
        np.repeat(np.array([[1], [2], [3]], np.float32), 5, 1),
    )


@pytest.mark.parametrize("op", [window_sum, window_max, window_min])
def test_a_batch_of_windows_is_one_more_axis(op):
    x = values((4, 5), float64)
    attrs = plain(2, window=(2, 3))
    batched = batch(function_of(op, x, **attrs), (True,), named("n"))
    assert str(verify(batched).result_types[0]) == "f64[n,3,3]"
    assert {node.op.name for node in batched.order()} == {"parameter", op.name}


def test_the_cost_is_one_flop_for_each_place_of_each_window():
    x, attrs = np.ones((4, 6), np.float32), plain(2, window=(2, 3), strides=(2, 3))
    dy = np.ones((2, 2), np.float32)
    for op, args in ((window_sum, (x,)), (window_max, (x,)), (window_pick, (x, x)),
                     (window_scatter, (x, dy))):  # fmt: skip
        more = {"direction": "max"} if len(args) > 1 else {}
        assert cost(function_of(op, *args, **attrs, **more)).flops == 2 * 2 * 6

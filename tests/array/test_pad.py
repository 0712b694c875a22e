"""Padding against NumPy: every mode, widths of every form, wide and empty, named sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.array.derivatives import grad
from thalweg.array.elementwise import multiply
from thalweg.array.manipulation import MODES, pad, ravel
from thalweg.array.operands import to_tensor
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from thalweg.engine.tensor import node_of, wrap
from thalweg.engine.trace import function
from thalweg.ir.dim import UndecidedError
from thalweg.ops.broadcast import sum as sum_op

WIDTHS = st.integers(0, 9)


def numbers(*shape):
    return np.arange(1, 1 + np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), st.data())
@settings(max_examples=150)
def test_every_mode_with_any_widths(shape, data):
    x = numbers(*shape)
    widths = [(data.draw(WIDTHS), data.draw(WIDTHS)) for _ in shape]
    mode = data.draw(st.sampled_from(MODES))
    np.testing.assert_array_equal(pad(x, widths, mode).numpy(), np.pad(x, widths, mode))


@pytest.mark.parametrize("mode", MODES)
def test_widths_of_every_form(mode):
    x = numbers(3, 4)
    forms = (2, (1, 2), [1, 2], ((1, 2),), ((1, 2), (3, 0)), ((1,), (2,)), 0, ((0, 0), (1, 1)),
             np.array([[1, 2], [0, 3]]), np.int64(2))  # fmt: skip
    for widths in forms:
        np.testing.assert_array_equal(pad(x, widths, mode).numpy(), np.pad(x, widths, mode))
    np.testing.assert_array_equal(
        pad(x, {-1: (1, 2), 0: 1}, mode).numpy(), np.pad(x, ((1, 1), (1, 2)), mode)
    )
    np.testing.assert_array_equal(pad(x, to_tensor([1, 2]), mode).numpy(), np.pad(x, (1, 2), mode))
    np.testing.assert_array_equal(pad(np.float32(3), 2, mode).numpy(), np.float32(3))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_padding_far_wider_than_the_array(mode, size):
    x = numbers(size)
    for widths in ((0, 25), (25, 0), (17, 23)):
        np.testing.assert_array_equal(pad(x, widths, mode).numpy(), np.pad(x, widths, mode))


def test_constants():
    x = numbers(2, 3)
    for constants in (7, (1, 2), ((1, 2), (3, 4)), ((1, 2),), [[1], [2]]):
        np.testing.assert_array_equal(
            pad(x, ((1, 2), (2, 1)), constant_values=constants).numpy(),
            np.pad(x, ((1, 2), (2, 1)), constant_values=constants),
        )
    found = pad(x, 1, constant_values=to_tensor(2.5))
    np.testing.assert_array_equal(found.numpy(), np.pad(x, 1, constant_values=2.5))
    assert pad(np.float16([1]), 1, constant_values=2.5).dtype == "float16"
    assert pad([True], 1).tolist() == [False, True, False]
    assert pad([1], 1, constant_values=True).tolist() == [1, 1, 1]
    np.testing.assert_array_equal(pad(numbers(0, 2), 1).numpy(), np.pad(numbers(0, 2), 1))
    with pytest.raises(DTypeError, match=r"\[pad\] wants a value that fits int64.\nReceived 0.5"):
        pad([1, 2], 1, constant_values=0.5)
    with pytest.raises(ArgumentError, match="a number that fits uint8"):
        pad(np.uint8([1]), 1, constant_values=300)


def test_what_does_not_fit():
    x = numbers(2, 3)
    with pytest.raises(
        ArgumentError, match="a mode among constant, edge, reflect, symmetric, wrap"
    ):
        pad(x, 1, "mirror")
    with pytest.raises(ArgumentError, match=r"widths of 0 or more.\nReceived \(-1, -1\)"):
        pad(x, -1)
    with pytest.raises(ArgumentTypeError, match="widths that are integers"):
        pad(x, 1.5)
    for widths in (((1, 1),) * 3, (1, 2, 3), ((1, 2), 3)):
        with pytest.raises(ShapeError, match="a pair for each of the 2 axes"):
            pad(x, widths)
    with pytest.raises(ShapeError, match="an axis from -2 to 1"):
        pad(x, {2: 1})
    for mode in MODES[1:]:
        with pytest.raises(ShapeError, match="at least one element along axis 0"):
            pad(numbers(0, 2), 1, mode)
        assert pad(numbers(0, 2), ((0, 0), (1, 1)), mode).shape == (0, 4)


@pytest.mark.parametrize("mode", MODES)
def test_named_sizes(mode):
    widths = (1, 1) if mode in ("symmetric", "wrap") else (0, 0) if mode == "reflect" else (2, 3)
    traced = function(lambda x: pad(x, (widths, (2, 3)), mode), shapes={"x": ("b", 2)})
    for size in (1, 2, 5):
        x = numbers(size, 2)
        np.testing.assert_array_equal(traced(x).numpy(), np.pad(x, (widths, (2, 3)), mode))
    assert len(traced.variants) == 1


def test_widths_that_a_named_size_may_not_reach():
    for mode in ("reflect", "symmetric", "wrap"):
        with pytest.raises(UndecidedError, match="a size that is a number along axis 0"):
            function(lambda x, m=mode: pad(x, 2, m), shapes={"x": ("b",)}, static=["m"])(numbers(3))
    # Without given names the function is traced for each size instead.
    traced = function(lambda x: pad(x, 2, "reflect"))
    for size in (1, 2, 5):
        x = numbers(size)
        np.testing.assert_array_equal(traced(x).numpy(), np.pad(x, 2, "reflect"))


@pytest.mark.parametrize("mode", MODES)
def test_derivatives_add_up_the_copies(mode):
    x = numbers(2, 3)
    weights = numbers(*np.pad(x, (2, 3), mode).shape).ravel()

    def loss(x):
        return wrap(sum_op(node_of(multiply(ravel(pad(x, (2, 3), mode)), weights)), axes=(0,)))

    places = np.pad(np.arange(6).reshape(2, 3), (2, 3), mode, **_outside(mode)).ravel()
    wanted = [np.sum(weights[places == place]) for place in range(6)]
    np.testing.assert_allclose(grad(loss)(x).numpy().ravel(), wanted, rtol=1e-6)


def _outside(mode):
    return {"constant_values": -1} if mode == "constant" else {}

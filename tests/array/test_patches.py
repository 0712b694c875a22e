"""Windows of an axis, their sum, columns of windows and blocks of pixels, against loops."""

import itertools

import numpy as np
import pytest

from thalweg.array import patches
from thalweg.array.creation import asarray
from thalweg.array.derivatives import grad
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.engine.tensor import node_of, wrap
from thalweg.engine.trace import function


def numbers(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


def windows(x, axis, length, step, rate):
    reach = (length - 1) * rate + 1
    starts = range(0, x.shape[axis] - reach + 1, step)
    cut = [np.take(x, range(start, start + reach, rate), axis) for start in starts]
    return (
        np.stack(cut, axis) if cut else np.zeros((*x.shape[:axis], 0, length, *x.shape[axis + 1 :]))
    )


@pytest.mark.parametrize(
    ("length", "step", "rate"), list(itertools.product((1, 2, 3), (1, 2, 3, 4), (1, 2)))
)
def test_windows_of_one_axis_and_their_sum(length, step, rate):
    x = numbers(2, 9, 3)
    node = node_of(asarray(x))
    found = wrap(patches.cut_windows(node, 1, length, step, rate)).numpy()
    wanted = windows(x, 1, length, step, rate)
    np.testing.assert_array_equal(found, wanted)
    # The sum is the adjoint: <cut(x), y> = <x, add(y)>.
    y = numbers(*wanted.shape)
    back = wrap(patches.add_windows(node_of(asarray(y)), 1, 9, step, rate)).numpy()
    assert back.shape == x.shape
    np.testing.assert_allclose((wanted * y).sum(), (x * back).sum(), rtol=1e-12)


def test_no_window_fits():
    node = node_of(asarray(numbers(2, 3)))
    found = patches.cut_windows(node, 1, 5, 1)
    assert found.shape == (2, 0, 5)
    back = wrap(patches.add_windows(found, 1, 3, 1)).numpy()
    np.testing.assert_array_equal(back, np.zeros((2, 3)))


OPTIONS = [
    {"kernel_size": 2},
    {"kernel_size": (2, 3), "stride": (1, 2)},
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 3, "padding": (1, 2), "dilation": (2, 1), "stride": (2, 3)},
    {"kernel_size": 1},
]


def columns(x, kernel_size, dilation=1, padding=0, stride=1):
    def pair(value):
        return value if isinstance(value, tuple) else (value, value)

    kernel, rate, edge, step = map(pair, (kernel_size, dilation, padding, stride))
    x = np.pad(x, ((0, 0), (0, 0), (edge[0],) * 2, (edge[1],) * 2))
    x = windows(x, 2, kernel[0], step[0], rate[0])
    x = windows(x, 4, kernel[1], step[1], rate[1])
    x = x.transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(x.shape[0], x.shape[1] * kernel[0] * kernel[1], -1)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_columns_and_back(options):
    x = numbers(2, 3, 7, 6)
    found = patches.unfold(x, **options)
    wanted = columns(x, **options)
    np.testing.assert_array_equal(found.numpy(), wanted)
    y = numbers(*wanted.shape)
    back = patches.fold(y, (7, 6), **options).numpy()
    np.testing.assert_allclose((wanted * y).sum(), (x * back).sum(), rtol=1e-12)
    slope = grad(lambda x: (patches.unfold(x, **options) * y).sum())(x).numpy()
    np.testing.assert_allclose(slope, back, rtol=1e-12, atol=1e-12)
    slope = grad(lambda y: (patches.fold(y, (7, 6), **options) * x).sum())(y).numpy()
    np.testing.assert_allclose(slope, wanted, rtol=1e-12)


def test_other_numbers_of_axes():
    x = numbers(2, 3, 8)
    found = patches.unfold(x, (3,), stride=2).numpy()
    np.testing.assert_array_equal(found, columns(x[:, :, None], (1, 3), stride=(1, 2)))
    cube = numbers(1, 2, 4, 4, 4)
    back = patches.fold(patches.unfold(cube, 2, stride=2), (4, 4, 4), 2, stride=2)
    np.testing.assert_array_equal(back.numpy(), cube)


def test_blocks_of_pixels():
    x = np.arange(2 * 2 * 3 * 8).reshape(2, 2, 3, 8)
    wide = patches.depth_to_space(x, 2).numpy()
    for row, column, i, j in itertools.product(range(2), range(3), range(2), range(2)):
        place = (2 * i + j) * 2
        np.testing.assert_array_equal(
            wide[:, 2 * row + i, 2 * column + j], x[:, row, column, place : place + 2]
        )
    np.testing.assert_array_equal(patches.space_to_depth(wide, 2).numpy(), x)
    first = x.transpose(0, 3, 1, 2)
    wide = patches.depth_to_space(first, 2, "channels_first").numpy()
    for channel, i, j in itertools.product(range(2), range(2), range(2)):
        np.testing.assert_array_equal(
            wide[:, channel, i::2, j::2], first[:, channel * 4 + 2 * i + j]
        )
    np.testing.assert_array_equal(patches.space_to_depth(wide, 2, "channels_first").numpy(), first)


def test_named_sizes():
    run = function(
        lambda x: (
            patches.unfold(x, 3, padding=1, stride=2),
            patches.depth_to_space(x, 2, "channels_first"),
        )
    )
    for batch, height, width in ((1, 5, 6), (2, 7, 4), (3, 4, 9)):
        x = numbers(batch, 4, height, width)
        one, two = run(x)
        np.testing.assert_array_equal(one.numpy(), columns(x, 3, padding=1, stride=2))
        assert two.shape == (batch, 1, 2 * height, 2 * width)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: patches.unfold(numbers(2, 3), 2), ShapeError, "[N, C, spatial...]"),
        (lambda: patches.unfold(numbers(1, 1, 3, 3), 4), ShapeError, "at least 4 places"),
        (lambda: patches.unfold(numbers(1, 1, 3, 3), 0), ArgumentError, "kernel_size=0"),
        (lambda: patches.unfold(numbers(1, 1, 3, 3), 2, padding=-1), ArgumentError, "padding=-1"),
        (lambda: patches.unfold(numbers(1, 1, 3, 3), (2, 2, 2)), ArgumentError, "2 axes"),
        (lambda: patches.fold(numbers(2, 4), 3, 2), ShapeError, "3D tensor"),
        (lambda: patches.fold(numbers(1, 5, 4), 3, 2), ShapeError, "[N, C * 4, 4]"),
        (lambda: patches.fold(numbers(1, 4, 5), 3, 2), ShapeError, "[N, C * 4, 4]"),
        (lambda: patches.depth_to_space(numbers(1, 2, 2, 4), 1), ArgumentError, "at least 2"),
        (lambda: patches.depth_to_space(numbers(1, 2, 2, 4), 3), ShapeError, "9 divides"),
        (lambda: patches.space_to_depth(numbers(1, 2, 3, 4), 2), ShapeError, "2 divides"),
        (lambda: patches.space_to_depth(numbers(2, 3, 4), 2), ShapeError, "[N, H, W, C]"),
        (lambda: patches.space_to_depth(numbers(1, 2, 2, 4), 2, "NHWC"), ArgumentError, "'NHWC'"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)

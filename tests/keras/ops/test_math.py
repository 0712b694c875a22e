"""Segments, Fourier transforms, spectra over time and special functions against real Keras."""

import jax
import numpy as np
import pytest
from tests.keras.ops.gradients import Case, Oracle, close, numbers
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError
from thalweg.keras.ops import math as ops
from thalweg.keras.symbol import KerasTensor

theirs = real.ops
IDS = np.array([0, 2, 2, 4, -1], "int32")
SIGNAL = numbers(2, 40)
SPECTRA = (numbers(2, 8, 9), numbers(2, 8, 9, seed=1))

CASES = [
    Case("logsumexp", (numbers(3, 4),)),
    Case("logsumexp", (numbers(3, 4),), {"axis": (0, 1), "keepdims": True}),
    Case("logsumexp", (numbers(3, 4).astype("float16"),), {"axis": -1}),
    Case("cdist", (numbers(3, 4), numbers(5, 4)), of=(0, 1)),
    Case("cdist", (numbers(2, 3, 4), numbers(5, 4)), of=(0, 1)),
    Case("rsqrt", (numbers(5, low=0.1, high=9),)),
    Case("erf", (numbers(7) * 2,)),
    Case("erfc", (numbers(7) * 2,)),
    Case("erfinv", (numbers(7, low=-0.9, high=0.9),), tolerance=1e-4),
    Case("logdet", (numbers(2, 3, 3) + 3 * np.eye(3, dtype="float32"),), tolerance=1e-4),
    Case("segment_sum", (numbers(5, 3), IDS), {"num_segments": 5}),
    Case("segment_prod", (numbers(5, 3), IDS), {"num_segments": 5}, of=()),
    Case("segment_max", (numbers(5), np.array([0, 1, 1, 2, 0])), {"num_segments": 3}),
    Case("segment_min", (numbers(5, 2), np.array([0, 1, 1, 2, 0])), {"num_segments": 3}),
    Case("extract_sequences", (SIGNAL,), {"sequence_length": 7, "sequence_stride": 3}),
    Case("rfft", (SIGNAL,), tolerance=1e-4),
    Case("rfft", (SIGNAL,), {"fft_length": 13}, tolerance=1e-4),
    Case("rfft", (SIGNAL,), {"fft_length": 50}, tolerance=1e-4),
]
SIZES = ("sequence_length", "sequence_stride", "fft_length")
STFTS = [
    Case("stft", (SIGNAL,), {**dict(zip(SIZES, sizes, strict=True)), **more}, tolerance=1e-4)
    for sizes, more in (
        ((16, 4, 16), {}),
        ((8, 3, 16), {"window": "hamming"}),
        ((4, 4, 7), {"center": False}),
        ((10, 5, 12), {"window": None}),
        ((6, 2, 9), {"window": np.arange(1.0, 7.0, dtype="float32")}),
    )
]
oracle = Oracle(*CASES, *STFTS)


@pytest.mark.parametrize("case", CASES + STFTS, ids=str)
def test_values_and_derivatives(case):
    oracle.check(getattr(ops, case.name), case)


@pytest.mark.parametrize("name", ["fft", "fft2", "ifft2"])
def test_fft_of_pairs(name):
    pair = (numbers(2, 3, 5), numbers(2, 3, 5, seed=1))
    close(getattr(ops, name)(pair), getattr(theirs, name)(pair), 1e-4)
    doubles = tuple(part.astype("float64") for part in pair)
    assert getattr(ops, name)(doubles)[0].dtype.name == "float64"
    symbols = getattr(ops, name)((KerasTensor((None, 3, 5)), KerasTensor((None, 3, 5))))
    assert [each.shape for each in symbols] == [(None, 3, 5)] * 2

    def total(function, part):
        return (function((part, pair[1]))[1] ** 2).sum()

    slope = tw.grad(lambda x: total(getattr(ops, name), x))(tw.asarray(pair[0]))
    wanted = jax.grad(lambda x: total(getattr(theirs, name), x))(pair[0])
    close(slope, wanted, 1e-3)


@pytest.mark.parametrize("length", [None, 16, 11, 30])
def test_irfft(length):
    close(ops.irfft(SPECTRA, length), theirs.irfft(SPECTRA, length), 1e-5)
    symbol = ops.irfft((KerasTensor((2, None)), KerasTensor((2, None))), length)
    assert symbol.shape == (2, length)


@pytest.mark.parametrize(
    ("sizes", "more"),
    [
        ((16, 4, 16), {}),
        ((16, 8, 16), {"window": "hamming", "length": 30}),
        ((16, 4, 16), {"center": False, "window": "hamming"}),
        ((12, 3, 16), {"window": np.linspace(1, 2, 12).astype("float32")}),
    ],
)
def test_istft(sizes, more):
    close(ops.istft(SPECTRA, *sizes, **more), theirs.istft(SPECTRA, *sizes, **more), 1e-4)
    settings = {name: value for name, value in more.items() if name != "length"}
    again = ops.istft(ops.stft(SIGNAL, *sizes, **settings), *sizes, length=40, **settings)
    count = (40 - (0 if settings.get("center", True) else sizes[2])) // sizes[1] * sizes[1]
    np.testing.assert_allclose(again.numpy()[:, :count], SIGNAL[:, :count], atol=1e-4)


@pytest.mark.parametrize("more", [{}, {"center": False}, {"length": 20}, {"length": 50}])
def test_istft_without_a_window_only_adds_frames_up(more):
    found = ops.istft(SPECTRA, 8, 4, 16, window=None, **more)
    whole = theirs.istft(SPECTRA, 8, 4, 16, window=None, center=more.get("center", True))
    wanted = np.pad(whole, ((0, 0), (0, max(more.get("length", 0) - whole.shape[1], 0))))
    inner = min(found.shape[1], whole.shape[1] - 12)
    # Real Keras on JAX divides by the count of frames at the ends.
    np.testing.assert_allclose(found[:, 12:inner], wanted[:, 12:inner], atol=1e-4)
    assert found.shape == (2, more.get("length", whole.shape[1]))
    traced = tw.function(lambda *pair: ops.istft(pair, 8, 4, 16, window=None, **more))
    close(traced(*SPECTRA), found.numpy())


def test_istft_fills_up_to_its_length_as_its_symbol_says():
    found = ops.istft(SPECTRA, 16, 4, 16, length=100)
    symbol = ops.istft((KerasTensor((None, 8, 9)),) * 2, 16, 4, 16, length=100)
    assert found.shape == (2, 100) and symbol.shape == (None, 100)
    assert not found.numpy()[:, 50:].any()
    short = ops.istft(tuple(part[..., :5] for part in SPECTRA), 16, 4, 16)
    padded = tuple(np.pad(part[..., :5], ((0, 0), (0, 0), (0, 4))) for part in SPECTRA)
    close(short, np.asarray(ops.istft(padded, 16, 4, 16)))


def test_top_k():
    x = np.array([[3, 1, 3, 2], [0, 5, 4, 5]])
    for dtype in ("int32", "float32", "uint8", "bfloat16"):
        values, indices = ops.top_k(tw.asarray(x, dtype=dtype), 3)
        wanted = theirs.top_k(theirs.cast(x, dtype), 3)
        close((values, indices), wanted)
    assert [each.shape for each in ops.top_k(KerasTensor((None, None)), 2)] == [(None, 2)] * 2
    with pytest.raises(ShapeError):
        ops.top_k(x, 9)


def test_in_top_k():
    predictions = np.array(
        [
            [0.1, 0.9, 0.8, 0.8], [0.95, 0.95, 0, 0.95], [0.1, np.nan, 0.5, 0.2],
            [np.inf, 1, 2, -np.inf], [-np.inf, -np.inf, 1, 1],
        ],
        "float32",
    )  # fmt: skip
    for targets in ([1, 0, 1, 0, 0], [2, 1, 2, 2, 3], [3, 3, 0, 3, 1], [7, -1, 2, -9, 0]):
        targets = np.array(targets, "int32")
        for k in (1, 2, 3, 4):
            if k == 4 and np.isnan(predictions).any():
                continue
            wanted = np.asarray(theirs.in_top_k(targets, predictions, k))
            np.testing.assert_array_equal(ops.in_top_k(targets, predictions, k), wanted)
    assert ops.in_top_k(KerasTensor((None,)), KerasTensor((None, 4)), 2).dtype == "bool"


@pytest.mark.parametrize("name", ["segment_sum", "segment_max", "segment_min", "segment_prod"])
def test_segments(name):
    mine, other = getattr(ops, name), getattr(theirs, name)
    for dtype in ("float32", "int32", "float16"):
        x = np.arange(10).reshape(5, 2).astype(dtype)
        close(mine(x, IDS, 6), other(x, IDS, num_segments=6))
    assert mine(np.ones(5), IDS).shape == (5,)
    assert mine(KerasTensor((None, 3)), KerasTensor((None,), "int32")).shape == (None, 3)
    assert mine(KerasTensor((None, 3)), KerasTensor((4,), "int32"), 7).shape == (7, 3)
    traced = tw.function(lambda x, i: mine(x, i, num_segments=5, sorted=True))
    close(traced(np.ones((5, 2), "float32"), IDS), other(np.ones((5, 2), "float32"), IDS, 5))
    with pytest.raises(ShapeError, match="should be an 1-D vector"):
        mine(np.ones((2, 2)), IDS[:4].reshape(2, 2))
    with pytest.raises(ShapeError, match="same leading dimension"):
        mine(np.ones(3), IDS)


def test_numbers_that_are_no_floats():
    for name in ("rsqrt", "erf", "erfc", "erfinv", "logsumexp"):
        assert getattr(ops, name)(np.array([1, 1])).dtype.name == "float32", name
        assert getattr(ops, name)(KerasTensor((None,), "int32")).dtype == "float32", name
    assert ops.cdist(np.eye(2, dtype="int32"), np.eye(2, dtype="int8")).dtype.name == "float32"
    slope = tw.grad(lambda x: ops.cdist(x, x).sum())(tw.ones((2, 2)))
    assert slope.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_complex_numbers_as_pairs():
    x = numbers(3, 2)
    close(ops.view_as_complex(x), theirs.view_as_complex(x))
    z = (x[:, 0] + 1j * x[:, 1]).astype("complex64")
    close(ops.view_as_real(z), theirs.view_as_real(z))
    close(ops.view_as_real(x), theirs.view_as_real(x))
    assert ops.view_as_complex(KerasTensor((None, 2))).dtype == "complex64"
    assert ops.view_as_real(KerasTensor((None,), "complex64")).shape == (None, 2)
    assert ops.view_as_complex(np.array([np.inf, 1.0])).item() == complex(np.inf, 1)
    with pytest.raises(ShapeError, match="Last dimension of input must be size 2"):
        ops.view_as_complex(np.ones(3))


PAIR = (np.ones((2, 3)), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.fft(np.ones(3)), ArgumentError, "should be a tuple of two tensors"),
        (lambda: ops.fft((PAIR[0], np.ones(3))), ShapeError, "should have the same shape"),
        (lambda: ops.fft((1.0, 2.0)), ShapeError, "Input should have rank >= 1"),
        (lambda: ops.fft((KerasTensor((None,)),) * 2), ShapeError, "last dimension fully-defined"),
        (lambda: ops.fft2((KerasTensor((None, 3)),) * 2), ShapeError, "axes fully-defined"),
        (lambda: ops.ifft2((np.ones(3),) * 2), ShapeError, "Input should have rank >= 2"),
        (lambda: ops.rfft(1.0), ShapeError, "Input should have rank >= 1"),
        (lambda: ops.rfft(np.ones(3), 0), ArgumentError, "positive `fft_length`"),
        (lambda: ops.irfft(PAIR, -1), ArgumentError, "positive `fft_length`"),
        (lambda: ops.stft(np.ones(9, int), 2, 1, 4), ArgumentTypeError, "`float32` or `float64`"),
        (lambda: ops.stft(np.ones(9), 4, 1, 2), ArgumentError, "`fft_length` must equal or"),
        (lambda: ops.stft(np.ones(9), 2, 0, 4), ArgumentError, "must be a positive integer"),
        (lambda: ops.stft(np.ones(9), 0, 1, 4), ArgumentError, "`sequence_length` of at least"),
        (lambda: ops.stft(np.ones(9), 2, 1, 4, "odd"), ArgumentError, "If a string is passed to"),
        (lambda: ops.stft(np.ones(9), 2, 1, 4, np.ones(3)), ShapeError, "The shape of `window`"),
        (lambda: ops.istft(PAIR, 2, 1.5, 4), ArgumentError, "must be a positive integer"),
        (lambda: ops.istft((np.ones(3),) * 2, 2, 1, 4), ShapeError, "rank >= 2"),
        (lambda: ops.extract_sequences(1.0, 2, 1), ShapeError, "Input should have rank >= 1"),
        (lambda: ops.extract_sequences(np.ones(4), 0, 1), ArgumentError, "at least 1"),
        (lambda: ops.cdist(np.ones((2, 3)), np.ones((2, 4))), ShapeError, "the same last axis"),
        (lambda: ops.logdet(np.ones((2, 3))), ShapeError, "square matrices"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()

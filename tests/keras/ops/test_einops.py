"""`rearrange` against NumPy, real Keras, symbols and refusals."""

import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras.ops.einops import rearrange
from thalweg.keras.symbol import KerasTensor

X = np.arange(2 * 6 * 4, dtype="float32").reshape(2, 6, 4)

PATTERNS = {
    "a b c -> c a b": ({}, lambda x: x.transpose(2, 0, 1)),
    "a b c -> (a b) c": ({}, lambda x: x.reshape(12, 4)),
    "a (h w) c -> a h w c": ({"h": 2}, lambda x: x.reshape(2, 2, 3, 4)),
    "a (h w) c -> (a w) (c h)": (
        {"w": 3, "h": 2},
        lambda x: x.reshape(2, 2, 3, 4).transpose(0, 2, 3, 1).reshape(6, 8),
    ),
}
BEYOND = {
    "... c -> c ...": ({}, lambda x: x.transpose(2, 0, 1)),
    "a ... -> (a ...)": ({}, lambda x: x.reshape(-1)),
    "a b c -> a 1 b c ()": ({}, lambda x: x[:, None, :, :, None]),
    "... -> ...": ({}, lambda x: x),
}


@pytest.mark.parametrize("pattern", {**PATTERNS, **BEYOND})
def test_rearrange(pattern):
    sizes, function = {**PATTERNS, **BEYOND}[pattern]
    found = rearrange(X, pattern, **sizes)
    np.testing.assert_array_equal(found, function(X))
    if pattern in PATTERNS:
        np.testing.assert_array_equal(found, real.ops.rearrange(X, pattern, **sizes))
    symbol = rearrange(KerasTensor((2, 6, 4), "int8"), pattern, **sizes)
    assert symbol.shape == found.shape and symbol.dtype == "int8"


def test_unknown_sizes():
    symbol = rearrange(KerasTensor((None, 6)), "b (h w) -> (b h) w", h=2)
    assert symbol.shape == (None, 3)
    assert rearrange(KerasTensor((None, None)), "b (c d) -> d b c", c=1).shape == (None, None, 1)
    traced = tw.function(lambda x: rearrange(x, "b t (h d) -> (b h) t d", h=2))
    for size in (3, 5):
        x = np.random.default_rng(size).normal(size=(size, 2, 4)).astype("float32")
        wanted = x.reshape(size, 2, 2, 2).transpose(0, 2, 1, 3).reshape(-1, 2, 2)
        np.testing.assert_array_equal(traced(x), wanted)


@pytest.mark.parametrize(
    ("pattern", "sizes", "text"),
    [
        ("a b c", {}, "one arrow"),
        ("a b -> b a", {}, "2 axes"),
        ("a b c -> a b", {}, "the same names on both sides"),
        ("a b c -> a b c d", {}, "the same names on both sides"),
        ("a a c -> a c", {}, "each name once"),
        ("a (b c) d -> a b c d", {}, "b=..."),
        ("a (b c) d -> a b c d", {"b": 4}, "divides"),
        ("a b c -> a b c", {"b": 5}, "divides"),
        ("a (b (c d)) e -> a b c d e", {}, "do not nest"),
        ("a b c) -> a b c", {}, "match"),
        ("a (b c -> a b c", {}, "match"),
        ("a b-c -> a b c", {}, "names, parentheses"),
    ],
)
def test_refusals(pattern, sizes, text):
    with pytest.raises(ValueError, match=text):
        rearrange(X, pattern, **sizes)

"""Resizing in NumPy gives the numbers of the engine's resize."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.array.image import INTERPOLATIONS
from thalweg.keras.utils.resampling import resize_pixels


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("source", "size"),
    [((7, 11), (3, 5)), ((3, 5), (7, 11)), ((1, 9), (4, 1)), ((6, 6), (6, 3)), ((50, 4), (3, 9))],
    ids=str,
)
def test_it_agrees_with_the_engine(source, size, interpolation):
    x = np.random.default_rng(0).normal(size=(*source, 2)).astype("float32")
    expected = tw.image.resize(x[None], size, interpolation=interpolation).numpy()[0]
    found = resize_pixels(x, size, interpolation)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_input_stays_as_it_is():
    x = np.ones((4, 4, 1), np.float32)
    resize_pixels(x, (2, 2), "bilinear")
    assert (x == 1).all()
    assert resize_pixels(x, (4, 4), "bilinear") is x

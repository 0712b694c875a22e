"""Fourier transforms: against NumPy and SciPy, round trips, adjoints, named sizes."""

import numpy as np
import pytest
import scipy.fft

from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.types import as_dtype, complex128, float64, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.fft import fft, irfft, rfft
from thalweg.ops.samples import values
from thalweg.transforms.cost import cost
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp

LENGTHS = (1, 2, 3, 4, 5, 8, 9)


def function(op, *arrays, **attrs):
    types = [tensor_type(as_dtype(a.dtype), a.shape) for a in arrays]
    return verify(build(op.name, types, lambda *args: op(*args, **attrs)))


def apply(op, *arrays, **attrs):
    return run(function(op, *arrays, **attrs), *arrays)[0]


def inner_product(x, y) -> float:
    return float(np.sum((np.conj(x) * y).real))


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 2), (2, 0, 1), ()])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_fft_is_the_one_of_scipy(dtype, axes):
    x = values((3, 4, 5), as_dtype(dtype))
    tolerance = 1e-5 if dtype == "complex64" else 1e-13
    for inverse, oracle in ((False, scipy.fft.fftn), (True, scipy.fft.ifftn)):
        found = apply(fft, x, axes=axes, inverse=inverse)
        wanted = oracle(x.astype(np.complex128), axes=axes) if axes else x
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=10 * tolerance)
    back = apply(fft, apply(fft, x, axes=axes), axes=axes, inverse=True)
    np.testing.assert_allclose(back, x, atol=tolerance)


@pytest.mark.parametrize("axes", [(1,), (0, 1), (1, 0)])
@pytest.mark.parametrize("length", LENGTHS)
def test_real_transforms_are_those_of_scipy_and_undo_each_other(length, axes):
    shape = (3, length) if axes[-1] == 1 else (length, 3)
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
        x = values(shape, as_dtype(dtype))
        y = apply(rfft, x, axes=axes)
        assert y.dtype == ("complex64" if dtype == "float32" else "complex128")
        np.testing.assert_allclose(
            y, scipy.fft.rfftn(x.astype(float), axes=axes), rtol=tolerance, atol=10 * tolerance
        )
        back = apply(irfft, y, axes=axes, length=length)
        assert back.dtype == dtype
        np.testing.assert_allclose(back, x, atol=tolerance)


@pytest.mark.parametrize("length", LENGTHS)
def test_irfft_ignores_the_imaginary_part_that_has_no_partner(length):
    x = values((length // 2 + 1,), complex128)
    found = apply(irfft, x, axes=(0,), length=length)
    np.testing.assert_allclose(found, np.fft.irfft(x, length), atol=1e-14)
    bare = x.copy()
    bare[0] = bare[0].real
    if length % 2 == 0:
        bare[-1] = bare[-1].real
    np.testing.assert_array_equal(apply(irfft, bare, axes=(0,), length=length), found)


@pytest.mark.parametrize("length", LENGTHS)
def test_irfft_of_several_axes_ends_with_the_real_one(length):
    x = values((4, length // 2 + 1), complex128)
    found = apply(irfft, x, axes=(0, 1), length=length)
    np.testing.assert_allclose(found, np.fft.irfftn(x, (4, length), axes=(0, 1)), atol=1e-14)
    np.testing.assert_allclose(found, scipy.fft.irfftn(x, (4, length), axes=(0, 1)), atol=1e-14)


@pytest.mark.parametrize("axes", [(1,), (0, 1), (1, 0)])
@pytest.mark.parametrize("length", LENGTHS)
def test_gradients_are_adjoints(length, axes):
    shape = (3, length) if axes[-1] == 1 else (length, 3)
    half = list(shape)
    half[axes[-1]] = length // 2 + 1
    cases = [
        (fft, values(shape, complex128), {"axes": axes}),
        (fft, values(shape, complex128), {"axes": axes, "inverse": True}),
        (rfft, values(shape, float64), {"axes": axes}),
        (irfft, values(half, complex128), {"axes": axes, "length": length}),
    ]
    for op, x, attrs in cases:
        forward = function(op, x, **attrs)
        y = run(forward, x)[0]
        weight = values(y.shape, as_dtype(y.dtype), seed="weight")
        (pulled,) = run(vjp(forward), x, weight)
        assert pulled.dtype == x.dtype
        left, right = inner_product(weight, y), inner_product(pulled, x)
        assert abs(left - right) <= 1e-13 * max(1.0, abs(left)), (op, attrs)


def test_gradient_of_irfft_is_real_where_the_imaginary_part_is_ignored():
    for length in LENGTHS:
        x = values((length // 2 + 1,), complex128)
        weight = values((length,), float64)
        (pulled,) = run(vjp(function(irfft, x, axes=(0,), length=length)), x, weight)
        assert pulled[0].imag == 0
        if length % 2 == 0:
            assert abs(pulled[-1].imag) < 1e-15


def test_a_named_size_serves_even_and_odd_lengths():
    batch, length = named("b"), named("n")
    real = tensor_type(float64, (batch, length))
    spectrum = tensor_type(complex128, (batch, length // 2 + 1))
    whole = tensor_type(complex128, (batch, length))
    cases = [
        (build("rfft", [real], lambda x: rfft(x, axes=(1,))), rfft, {"axes": (1,)}),
        (build("fft", [whole], lambda x: fft(x, axes=(1,))), fft, {"axes": (1,)}),
        (
            build("irfft", [real, spectrum], lambda x, z: irfft(z, axes=(1,), length=length)),
            irfft,
            {"axes": (1,)},
        ),
    ]
    for named_function, op, attrs in cases:
        pulled = verify(vjp(verify(named_function)))
        for size in (1, 4, 5):
            half = size // 2 + 1
            x = values((2, half if op is irfft else size), complex128)
            x = x.real.copy() if op is rfft else x
            inputs = [values((2, size), float64), x] if op is irfft else [x]
            static = function(op, x, **(attrs | ({"length": size} if op is irfft else {})))
            y = run(named_function, *inputs)[0]
            np.testing.assert_array_equal(y, run(static, x)[0])
            weight = values(y.shape, as_dtype(y.dtype), seed="weight")
            found = run(pulled, *inputs, weight)[-1]
            np.testing.assert_allclose(found, run(vjp(static), x, weight)[0], atol=1e-14)


def test_cost_is_five_n_log_n():
    x = np.zeros((3, 8), np.complex64)
    assert cost(function(fft, x, axes=(1,))).flops == 3 * 5 * 8 * 3
    assert cost(function(fft, x, axes=())).flops == 0
    assert cost(function(rfft, x.real.copy(), axes=(1,))).flops == 3 * 5 * 8 * 3 // 2
    length = named("n")
    whole = tensor_type(complex128, (length,))
    assert cost(build("f", [whole], lambda x: fft(x, axes=(0,)))).flops == 50 * length


def test_a_nan_stays_in_its_own_transform():
    x = np.array([[1, np.nan, 2], [1, 2, 3]], np.complex128)
    y = apply(fft, x, axes=(1,))
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()

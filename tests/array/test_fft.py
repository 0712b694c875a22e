"""Fourier transforms: NumPy as oracle, element types, lengths, derivatives, named sizes."""

import inspect

import ml_dtypes
import numpy as np
import pytest

from thalweg.array import fft
from thalweg.array.creation import zeros
from thalweg.array.derivatives import grad, vmap
from thalweg.array.elementwise import imag, multiply, real
from thalweg.array.statistical import sum
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, ThalwegError
from thalweg.engine.tensor import Tensor
from thalweg.engine.trace import function
from thalweg.ir.dim import UndecidedError, named

ONE_AXIS = "(x, /, *, n=None, axis=-1, norm='backward')"
AXES = "(x, /, *, s=None, axes=None, norm='backward')"
SIGNATURES = {
    **dict.fromkeys(["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"], ONE_AXIS),
    **dict.fromkeys(["fftn", "ifftn", "rfftn", "irfftn"], AXES),
    **dict.fromkeys(["fftfreq", "rfftfreq"], "(n, /, *, d=1.0, dtype=None, device=None)"),
    **dict.fromkeys(["fftshift", "ifftshift"], "(x, /, *, axes=None)"),
}
FROM_COMPLEX = ["fft", "ifft", "irfft", "hfft"]
FROM_REAL = ["fft", "ifft", "rfft", "ihfft"]
NORMS = ["backward", "ortho", "forward"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_standard(name):
    found = inspect.signature(getattr(fft, name))
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    assert str(inspect.Signature(plain)) == SIGNATURES[name]


def data(shape, dtype="float64", seed=0):
    generator = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind == "c":
        return (generator.normal(size=shape) + 1j * generator.normal(size=shape)).astype(dtype)
    return generator.normal(size=shape).astype(dtype)


def check(found, wanted, rtol=1e-12):
    assert isinstance(found, Tensor)
    assert found.shape == wanted.shape
    assert found.numpy().dtype == wanted.dtype
    np.testing.assert_allclose(found.numpy(), wanted, rtol=rtol, atol=rtol * 10)


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 2, 4, 5, 8])
def test_one_axis(n, norm):
    z, x = data((3, 5), "complex128"), data((3, 5))
    for axis in (0, 1, -1):
        attrs = {"n": n, "axis": axis, "norm": norm}
        for name in FROM_COMPLEX:
            check(getattr(fft, name)(z, **attrs), getattr(np.fft, name)(z, **attrs))
        for name in FROM_REAL:
            check(getattr(fft, name)(x, **attrs), getattr(np.fft, name)(x, **attrs))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("s", "axes"),
    [
        (None, None),
        (None, (1,)),
        (None, (1, 0)),
        (None, (-1, -3)),
        ((2, 6), (0, 1)),
        ((6, 2), (2, 0)),
        ((3, -1), (1, 2)),
        ((2, 3, 4), (0, 1, 2)),
    ],
)
def test_several_axes(s, axes, norm):
    z, x = data((2, 3, 4), "complex128"), data((2, 3, 4))
    attrs = {"s": s, "axes": axes, "norm": norm}
    for name in ("fftn", "ifftn", "irfftn"):
        check(getattr(fft, name)(z, **attrs), getattr(np.fft, name)(z, **attrs))
    for name in ("fftn", "rfftn"):
        check(getattr(fft, name)(x, **attrs), getattr(np.fft, name)(x, **attrs))
    if axes is not None and len(axes) == 2:
        for name in ("fft2", "ifft2", "irfft2"):
            check(getattr(fft, name)(z, **attrs), getattr(np.fft, name)(z, **attrs))
        check(fft.rfft2(x, **attrs), np.fft.rfft2(x, **attrs))


def test_lengths_without_axes_are_of_the_last_axes():
    z = data((2, 3, 4), "complex128")
    check(fft.fftn(z, s=(5, 2)), np.fft.fftn(z, s=(5, 2), axes=(1, 2)))
    check(fft.fft2(z), np.fft.fft2(z))
    check(fft.rfft2(z.real), np.fft.rfft2(z.real))
    check(fft.irfft2(z), np.fft.irfft2(z))
    check(fft.fftn(z, axes=()), z)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision_stays_single(dtype):
    x = data((4, 6), dtype)
    for name in FROM_COMPLEX if dtype == "complex64" else FROM_REAL:
        check(getattr(fft, name)(x), getattr(np.fft, name)(x), 1e-5)


def test_other_element_types_become_float32():
    for x in ([1, 2, 3], [True, False, True], np.array([1, 2, 3], np.uint8)):
        wanted = np.fft.rfft(np.asarray(x, np.float32))
        check(fft.rfft(x), wanted, 1e-6)
        check(fft.fft(x), np.fft.fft(np.asarray(x, np.complex64)), 1e-6)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x = data((6,), "float32").astype(dtype)
        check(fft.rfft(x), np.fft.rfft(x.astype(np.float32)), 1e-6)
        assert fft.irfft(x).dtype == "float32"


def test_there_and_back():
    for size in (1, 2, 5, 8):
        x, z = data((2, size)), data((2, size), "complex128")
        for norm in NORMS:
            check(fft.ifft(fft.fft(z, norm=norm), norm=norm), z)
            check(fft.irfft(fft.rfft(x, norm=norm), n=size, norm=norm), x)
            check(fft.hfft(fft.ihfft(x, norm=norm), n=size, norm=norm), x)
            check(fft.irfftn(fft.rfftn(x, norm=norm), s=(2, size), axes=(0, 1), norm=norm), x)


def test_no_examples():
    check(fft.fft(np.zeros((0, 4))), np.zeros((0, 4), np.complex128))
    check(fft.rfft(np.zeros((0, 4))), np.zeros((0, 3), np.complex128))
    check(fft.fft(np.zeros((2, 0)), n=3), np.zeros((2, 3), np.complex128))
    with pytest.raises(ShapeError, match="at least one point"):
        fft.fft(np.zeros((2, 0)))


def test_frequencies():
    for n in range(1, 8):
        for d in (1.0, 0.3, -2):
            check(fft.fftfreq(n, d=d, dtype="float64"), np.fft.fftfreq(n, d))
            check(fft.rfftfreq(n, d=d, dtype="float64"), np.fft.rfftfreq(n, d))
    check(fft.fftfreq(5), np.fft.fftfreq(5).astype(np.float32), 1e-6)
    assert fft.rfftfreq(5, dtype="bfloat16", device="cpu").dtype == "bfloat16"


def test_shifts():
    for shape in ((4,), (5,), (2, 3, 4), (0, 3)):
        x = data(shape)
        check(fft.fftshift(x), np.fft.fftshift(x))
        check(fft.ifftshift(x), np.fft.ifftshift(x))
        check(fft.ifftshift(fft.fftshift(x)), x)
        check(fft.fftshift(x, axes=-1), np.fft.fftshift(x, axes=-1))
        check(fft.ifftshift(x, axes=(0,)), np.fft.ifftshift(x, axes=(0,)))
    check(fft.fftshift(2.0), np.array(2.0, np.float32))


# Derivatives --------------------------------------------------------------------------------------


def differences(function, x, step=1e-6):
    result = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        result[place] = (float(function(x + moved)) - float(function(x - moved))) / (2 * step)
    return result


def number(y):
    """A number that depends on both parts of every element."""
    found = sum(multiply(real(y), data(y.shape, seed=5)))
    return (
        found if not y.dtype.is_complex else found + sum(multiply(imag(y), data(y.shape, seed=6)))
    )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 3, 7])
def test_derivatives(n, norm):
    x, z = data((2, 5)), data((2, 5), "complex128")
    for name in FROM_REAL:
        one = lambda x, name=name: number(getattr(fft, name)(x, n=n, norm=norm))  # noqa: E731
        np.testing.assert_allclose(grad(one)(x).numpy(), differences(one, x), atol=1e-7)
    for name in FROM_COMPLEX:
        one = lambda z, name=name: number(getattr(fft, name)(z, n=n, norm=norm))  # noqa: E731
        found = grad(one)(z).numpy()
        wanted = differences(lambda x, one=one: one(x + 1j * z.imag), z.real)
        np.testing.assert_allclose(found.real, wanted, atol=1e-7)
        wanted = differences(lambda y, one=one: one(z.real + 1j * y), z.imag)
        np.testing.assert_allclose(found.imag, wanted, atol=1e-7)


def test_mapped_over_a_batch():
    x = data((3, 2, 5))
    check(vmap(fft.rfft)(x), np.fft.rfft(x))
    check(vmap(lambda x: fft.rfftn(x, norm="ortho"))(x), np.fft.rfftn(x, axes=(1, 2), norm="ortho"))
    check(vmap(fft.fftshift)(x), np.fft.fftshift(x, axes=(1, 2)))


# Named sizes --------------------------------------------------------------------------------------

OF_ANY_LENGTH = {
    "fft": lambda x: fft.fft(x, axis=0),
    "ortho": lambda x: fft.ifft(x, axis=0, norm="ortho"),
    "forward": lambda x: fft.rfft(x, axis=0, norm="forward"),
    "batch": lambda x: fft.rfft(x, norm="ortho"),
    "fitted": lambda x: fft.fft(x, n=4, axis=0),
    "there and back": lambda x: fft.irfft(fft.rfft(x, axis=0), n=x.shape[0], axis=0),
    "doubled": lambda x: fft.rfft(x, n=2 * x.shape[0], axis=0),
    "fftn": lambda x: fft.ifftn(x, norm="forward"),
    "frequencies": lambda x: fft.fftfreq(x.shape[0], d=0.5),
    "half the frequencies": lambda x: fft.rfftfreq(x.shape[0]),
    "shift": fft.fftshift,
    "shift back": fft.ifftshift,
    "gradient": lambda x: grad(lambda x: number(fft.rfft(x, axis=0)[:1]))(x),
}


@pytest.mark.parametrize("name", OF_ANY_LENGTH)
def test_one_trace_serves_every_size(name):
    plain = OF_ANY_LENGTH[name]
    traced = function(plain)
    for size in (3, 6, 7):
        x = data((size, 4))
        check(traced(x), plain(x).numpy(), 1e-6)
    assert len(traced.variants) == 2, traced.why


def test_a_length_that_is_not_known_must_be_said():
    traced = function(lambda x: fft.irfft(x), shapes={"x": ("m",)})
    with pytest.raises(UndecidedError, match="Say how many with n="):
        traced(data((4,), "complex128"))


# Messages -----------------------------------------------------------------------------------------


def test_messages(golden):
    x, z = zeros((2, 4)), zeros((2, 4), dtype="complex64")
    cases = [
        lambda: fft.rfft(z),
        lambda: fft.rfftn(z),
        lambda: fft.ihfft(z),
        lambda: fft.fft(x, norm="unitary"),
        lambda: fft.fft(x, n=0),
        lambda: fft.fft(x, n=2.5),
        lambda: fft.fft(x, axis=2),
        lambda: fft.fft(1.0),
        lambda: fft.irfft(zeros((2, 1))),
        lambda: fft.fftn(x, s=(2, 2, 2)),
        lambda: fft.fftn(x, s=(2, 2), axes=(0,)),
        lambda: fft.fftn(x, axes=(0, 0)),
        lambda: fft.rfftn(x, axes=()),
        lambda: fft.fftfreq(0),
        lambda: fft.fftfreq(4, d=0),
        lambda: fft.fftfreq(4, dtype="int32"),
        lambda: fft.rfftfreq(4, device="gpu"),
        lambda: fft.fftshift(x, axes=2),
        lambda: fft.fftfreq(named("t") - 1),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("fft", "\n\n".join(lines))


def test_errors_have_the_type_that_callers_expect():
    with pytest.raises(DTypeError):
        fft.rfft(zeros((2,), dtype="complex64"))
    with pytest.raises(ArgumentError):
        fft.fft(zeros((2,)), norm=None)

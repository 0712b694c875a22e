"""Signals: against SciPy and NumPy, loops over frames, round trips, derivatives, named sizes."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal

from thalweg.array import signal
from thalweg.array.derivatives import vjp
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, ThalwegError
from thalweg.engine.trace import function
from thalweg.ir.types import as_dtype
from thalweg.ops.samples import values


def real(*shape: int, seed: int = 0) -> np.ndarray:
    return values(shape, as_dtype("float64"), seed=seed)


def complex_(*shape: int, seed: int = 0) -> np.ndarray:
    return values(shape, as_dtype("complex128"), seed=seed)


def check_derivative(compute: Callable, *args: np.ndarray) -> None:
    """The pullback of a random cotangent agrees with central differences in a random direction."""
    directions = [
        values(arg.shape, as_dtype(arg.dtype), seed=10 + place) for place, arg in enumerate(args)
    ]
    steps = [1e-6 * direction for direction in directions]
    ahead = compute(*(arg + step for arg, step in zip(args, steps, strict=True))).numpy()
    behind = compute(*(arg - step for arg, step in zip(args, steps, strict=True))).numpy()
    y, pull = vjp(compute, *args)
    weights = values(y.shape, y.dtype, seed=20)
    found = sum(
        np.sum((np.conj(darg.numpy()) * step).real)
        for darg, step in zip(pull(weights), steps, strict=True)
    )
    wanted = np.sum((np.conj(weights) * (ahead - behind)).real) / 2
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-14)


def refuse(kind: type[ThalwegError], text: str, call: Callable, *args, **kwargs) -> None:
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    assert text in str(caught.value)


# Windows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 8, 9])
@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett", "kaiser"])
def test_windows_are_those_of_scipy(name, length, periodic):
    beta = (3.5,) if name == "kaiser" else ()
    found = getattr(signal, name)(length, *beta, periodic=periodic, dtype="float64").numpy()
    wanted = getattr(scipy.signal.windows, name)(length, *beta, sym=not periodic)
    np.testing.assert_allclose(found, wanted, atol=1e-15)
    assert getattr(signal, name)(length).dtype == "float32"


def test_refusals_of_windows():
    refuse(ArgumentError, "[hann] wants a length that is an integer", signal.hann, -1)
    refuse(ArgumentError, "[kaiser] wants a length that is an integer", signal.kaiser, 2.0)
    refuse(DTypeError, "Write dtype='float32'", signal.hann, 4, dtype="int32")


# Frames -------------------------------------------------------------------------------------------

CASES = [(1, 1), (4, 1), (4, 2), (4, 3), (4, 4), (3, 5), (5, 2), (1, 3)]


def naive_frames(x, length, step, pad_end=False, value=0.0):
    """Frames of the last axis, one by one."""
    if pad_end:
        starts = range(0, x.shape[-1], step)
        x = np.concatenate([x, np.full((*x.shape[:-1], length), value)], -1)
    else:
        starts = range(0, x.shape[-1] - length + 1, step)
    frames = [x[..., start : start + length] for start in starts]
    return np.stack(frames, -2) if frames else np.zeros((*x.shape[:-1], 0, length))


@pytest.mark.parametrize(("length", "step"), CASES)
def test_frames_are_those_of_a_loop(length, step):
    for size in (0, 1, 3, 4, 5, 11, 12):
        x = real(2, size)
        found = signal.frame(x, length, step).numpy()
        np.testing.assert_array_equal(found, naive_frames(x, length, step))
        found = signal.frame(x, length, step, pad_end=True, pad_value=7).numpy()
        np.testing.assert_array_equal(found, naive_frames(x, length, step, True, 7.0))


def test_frames_of_any_axis_and_type():
    x = real(2, 9, 3)
    for axis in (1, -2):
        found = signal.frame(x, 4, 2, axis=axis).numpy()
        wanted = np.moveaxis(naive_frames(np.moveaxis(x, 1, -1), 4, 2), 1, -1)
        np.testing.assert_array_equal(found, wanted)
    assert signal.frame(np.arange(5, dtype=np.int8), 2, 2).numpy().tolist() == [[0, 1], [2, 3]]
    flags = signal.frame(np.array([True, False, True]), 2, 1)
    assert flags.numpy().tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(("length", "step"), CASES)
def test_overlapping_frames_are_added(length, step):
    for count in (1, 2, 5):
        x = real(3, count, length)
        wanted = np.zeros((3, (count - 1) * step + length))
        for place in range(count):
            wanted[:, place * step : place * step + length] += x[:, place]
        np.testing.assert_allclose(signal.overlap_and_add(x, step).numpy(), wanted, atol=1e-15)
    whole = np.arange(6).reshape(2, 3)
    assert signal.overlap_and_add(whole, 2).numpy().tolist() == [0, 1, 5, 4, 5]


@pytest.mark.parametrize(("length", "step"), CASES)
def test_framing_and_adding_are_adjoint_and_have_derivatives(length, step):
    x = real(2, 11)
    for pad_end in (False, True):
        check_derivative(lambda x, p=pad_end: signal.frame(x, length, step, pad_end=p), x)
    frames = signal.frame(x, length, step).numpy()
    other = real(*frames.shape, seed=1)
    added = signal.overlap_and_add(other, step).numpy()
    inner = np.sum(x[:, : added.shape[1]] * added)
    np.testing.assert_allclose(np.sum(frames * other), inner)
    check_derivative(lambda x: signal.overlap_and_add(x, step), frames)


@pytest.mark.parametrize(("length", "step"), CASES)
@pytest.mark.parametrize("pad_end", [False, True])
def test_one_trace_frames_every_length(length, step, pad_end):
    @function
    def traced(x):
        frames = signal.frame(x, length, step, pad_end=pad_end)
        return frames, signal.overlap_and_add(frames, step)

    for size in (9, 12, 5, 17, 1):
        x = real(2, size)
        frames, added = traced(x)
        wanted = naive_frames(x, length, step, pad_end)
        np.testing.assert_array_equal(frames.numpy(), wanted)
        if wanted.shape[1]:
            again = signal.overlap_and_add(wanted, step).numpy()
            np.testing.assert_allclose(added.numpy(), again, atol=1e-15)
    assert len(traced.variants) == 2


def test_refusals_of_frames():
    x = real(9)
    refuse(ArgumentError, "[frame] wants a frame_length that is an integer of at least 1",
           signal.frame, x, 0, 1)  # fmt: skip
    refuse(ArgumentError, "[frame] wants a frame_step", signal.frame, x, 2, 1.5)
    refuse(ShapeError, "[frame] wants no axis: a scalar", signal.frame, 1.0, 2, 1)
    refuse(ShapeError, "frames [..., F, L]", signal.overlap_and_add, x, 2)


# Spectra ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", ["hann", "hamming", None, "array"])
@pytest.mark.parametrize(("length", "step", "points"), [(8, 2, 8), (6, 3, 8), (5, 2, 5), (7, 4, 9)])
def test_spectra_are_those_of_scipy(length, step, points, window):
    x = real(2, 23)
    weights = {"array": real(length, seed=3) + 3, None: np.ones(length)}.get(window)
    if weights is None:
        weights = scipy.signal.get_window(window, length)
    given = weights if window == "array" else window
    # TensorFlow's convention is a loop: frames, weights, zeros after them.
    wanted = np.fft.rfft(naive_frames(x, length, step) * weights, points)
    found = signal.stft(x, length, step, fft_length=points, window=given)
    assert found.dtype == "complex128"
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-12)
    # SciPy's, undone its scale and its order of axes, begins frames where the window fits.
    _, _, other = scipy.signal.stft(
        x, window=weights, nperseg=length, noverlap=length - step, nfft=points,
        boundary=None, padded=False,
    )  # fmt: skip
    np.testing.assert_allclose(np.swapaxes(other, 1, 2) * weights.sum(), wanted, atol=1e-12)


@pytest.mark.parametrize("length", [8, 7])
def test_centred_spectra_are_those_of_a_mirrored_signal(length):
    x = real(2, 21)
    more = np.pad(x, ((0, 0), (length // 2, length // 2)), mode="reflect")
    wanted = signal.stft(more, length, 3).numpy()
    found = signal.stft(x, length, 3, center=True).numpy()
    np.testing.assert_array_equal(found, wanted)
    assert found.shape[1] == (21 if length == 8 else 20) // 3 + 1
    short = real(3)
    more = np.pad(short, length // 2, mode="reflect")
    np.testing.assert_array_equal(
        signal.stft(short, length, 3, center=True).numpy(), signal.stft(more, length, 3).numpy()
    )


def test_centred_spectra_are_those_of_torch():
    torch = pytest.importorskip("torch")
    x = real(2, 21)
    weights = real(8, seed=3)
    wanted = torch.stft(
        torch.from_numpy(x), 8, 3, window=torch.from_numpy(weights), return_complex=True
    )
    found = signal.stft(x, 8, 3, window=weights, center=True).numpy()
    np.testing.assert_allclose(np.swapaxes(found, 1, 2), wanted.numpy(), atol=1e-12)


def test_the_transform_has_the_next_power_of_two_points():
    for length, points in ((1, 1), (2, 2), (5, 8), (8, 8), (9, 16)):
        assert signal.stft(real(30), length, 3).shape[-1] == points // 2 + 1
    padded = signal.stft(real(30), 8, 4, pad_end=True)
    assert padded.shape == (8, 5)


def test_element_types_of_spectra():
    x = np.arange(-5, 6)
    wanted = signal.stft(x.astype(np.float64), 4, 2).numpy()
    for dtype in ("int16", "float16", "float32"):
        found = signal.stft(x.astype(dtype), 4, 2)
        assert found.dtype == "complex64"
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(
    ("length", "step", "points", "window"),
    [(8, 2, 8, "hann"), (6, 3, 16, "hamming"), (7, 2, 7, None), (5, 5, 8, "array")],
)
def test_a_signal_comes_back_from_its_spectra(length, step, points, window, center):
    x = real(2, 5 * step + length)
    window = real(length, seed=5) + 3 if window == "array" else window
    options = {"fft_length": points, "window": window, "center": center}
    spectra = signal.stft(x, length, step, **options)
    back = signal.inverse_stft(spectra, length, step, **options).numpy()
    # A periodic Hann window begins with 0, so the first sample of all is in no frame.
    lost = int(isinstance(window, str) and window == "hann" and not center)
    assert center or back.shape == x.shape
    assert np.all(back[:, :lost] == 0)
    np.testing.assert_allclose(back[:, lost:], x[:, lost : back.shape[1]], atol=1e-12)
    same = signal.inverse_stft(spectra, length, step, length=x.shape[1], **options).numpy()
    assert same.shape == x.shape
    np.testing.assert_array_equal(same[:, : back.shape[1]], back)
    more = signal.inverse_stft(spectra, length, step, length=100, **options).numpy()
    assert more.shape == (2, 100)


def test_the_inverse_is_that_of_scipy_for_spectra_of_no_signal():
    spectra = complex_(6, 5)
    # The ends of a real spectrum are real.
    spectra[:, [0, -1]] = spectra[:, [0, -1]].real
    weights = scipy.signal.get_window("hamming", 8)
    _, wanted = scipy.signal.istft(
        spectra.T / weights.sum(), window=weights, nperseg=8, noverlap=5, boundary=False,
        input_onesided=True,
    )  # fmt: skip
    found = signal.inverse_stft(spectra, 8, 3, window="hamming").numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("center", [False, True])
def test_spectra_have_derivatives(center):
    x = real(2, 19)
    options = {"center": center, "fft_length": 8}
    check_derivative(lambda x: signal.stft(x, 6, 4, **options), x)
    check_derivative(lambda w: signal.stft(x, 6, 4, window=w, **options), real(6, seed=4))
    spectra = complex_(2, 4, 5)
    check_derivative(lambda y: signal.inverse_stft(y, 6, 4, window="hamming", **options), spectra)


@pytest.mark.parametrize("center", [False, True])
def test_one_trace_transforms_every_length(center):
    @function
    def traced(x):
        spectra = signal.stft(x, 8, 2, window="hamming", center=center)
        back = signal.inverse_stft(
            spectra, 8, 2, window="hamming", center=center, length=x.shape[-1]
        )
        return spectra, back

    for size in (16, 22, 30, 12):
        x = real(2, size)
        spectra, back = traced(x)
        wanted = signal.stft(x, 8, 2, window="hamming", center=center).numpy()
        np.testing.assert_allclose(spectra.numpy(), wanted, atol=1e-12)
        np.testing.assert_allclose(back.numpy(), x, atol=1e-12)
    assert len(traced.variants) == 2


def test_refusals_of_spectra():
    x = real(20)
    refuse(ArgumentError, "an fft_length of at least frame_length", signal.stft, x, 8, 2,
           fft_length=4)  # fmt: skip
    refuse(ArgumentError, "a window among 'hann'", signal.stft, x, 8, 2, window="hanning")
    refuse(ShapeError, "a window of frame_length=8 weights", signal.stft, x, 8, 2,
           window=np.ones(7))  # fmt: skip
    refuse(ArgumentError, "center or pad_end", signal.stft, x, 8, 2, center=True, pad_end=True)
    refuse(DTypeError, "[stft] wants real numbers", signal.stft, x + 1j, 8, 2)
    refuse(ShapeError, "spectra [..., F, 5]", signal.inverse_stft, complex_(3, 6), 8, 2)
    refuse(DTypeError, "[inverse_stft] wants complex", signal.inverse_stft, real(3, 5), 8, 2)


def test_mel_bands_are_triangles_on_the_mel_scale():
    found = signal.mel_weight_matrix(6, 33, 8000, 100.0, 3000.0, dtype="float64").numpy()
    assert found.shape == (33, 6)

    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    edges = np.linspace(mel(100.0), mel(3000.0), 8)
    for k, hertz in enumerate(np.linspace(0, 4000, 33)):
        for band in range(6):
            below, centre, above = edges[band : band + 3]
            place = mel(hertz)
            rising, falling = (place - below) / (centre - below), (above - place) / (above - centre)
            assert found[k, band] == pytest.approx(max(0.0, min(rising, falling)), abs=1e-12)
    # Between the first and the last centre, the bands that a bin counts in add up to 1.
    inside = [k for k, f in enumerate(np.linspace(0, 4000, 33)) if edges[1] <= mel(f) <= edges[-2]]
    np.testing.assert_allclose(found[inside].sum(1), 1)
    assert signal.mel_weight_matrix().shape == (129, 20)
    assert np.all(signal.mel_weight_matrix(lower_edge_hertz=0.0).numpy()[0] == 0)
    refuse(ArgumentError, "upper_edge_hertz <= sample_rate / 2", signal.mel_weight_matrix,
           upper_edge_hertz=5000.0)  # fmt: skip
    refuse(ArgumentError, "lower_edge_hertz < upper", signal.mel_weight_matrix,
           lower_edge_hertz=3800.0)  # fmt: skip


# Sums of products ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("sizes", [(7, 3), (7, 4), (6, 6), (3, 8), (4, 7), (1, 5), (1, 1)])
def test_convolution_and_correlation_are_those_of_numpy_and_scipy(sizes, mode):
    for make in (real, complex_):
        a, v = make(sizes[0], seed=1), make(sizes[1], seed=2)
        convolved = signal.convolve(a, v, mode).numpy()
        np.testing.assert_allclose(convolved, np.convolve(a, v, mode), atol=1e-12)
        correlated = signal.correlate(a, v, mode).numpy()
        np.testing.assert_allclose(correlated, np.correlate(a, v, mode), atol=1e-12)
        if sizes[0] >= sizes[1] or mode == "full":
            np.testing.assert_allclose(convolved, scipy.signal.convolve(a, v, mode), atol=1e-12)
            np.testing.assert_allclose(correlated, scipy.signal.correlate(a, v, mode), atol=1e-12)


def test_products_of_other_types():
    assert signal.convolve([1, 2, 3], [0, 1]).numpy().tolist() == [0, 1, 2, 3]
    mixed = signal.convolve(np.arange(3, dtype=np.int8), np.ones(2, np.float32))
    assert mixed.dtype == "float32"
    assert mixed.numpy().tolist() == [0, 1, 3, 2]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_products_have_derivatives_and_named_sizes(mode):
    check_derivative(lambda a, v: signal.convolve(a, v, mode), real(6), real(3, seed=1))
    check_derivative(lambda a, v: signal.correlate(a, v, mode), complex_(3), complex_(6, seed=1))
    kernel = real(3)
    traced = function(lambda a: signal.convolve(a, kernel, mode), shapes={"a": ("n",)})
    if mode != "full":
        # Nothing says which of a signal of any length and three weights is longer.
        with pytest.raises(ThalwegError, match="sizes that tell whether n < 3"):
            traced(real(7))
        traced = function(lambda a: signal.convolve(a, kernel, mode))
    for size in (3, 7, 2):
        a = real(size)
        np.testing.assert_allclose(traced(a).numpy(), np.convolve(a, kernel, mode), atol=1e-12)


def test_refusals_of_products():
    x = real(4)
    refuse(ArgumentError, "mode 'full', 'same' or 'valid'", signal.convolve, x, x, "wrap")
    refuse(ShapeError, "two signals, [N] and [M]", signal.correlate, x, real(2, 2))
    refuse(ShapeError, "signals that are not empty", signal.convolve, x, real(0))
    refuse(DTypeError, "[convolve] wants numbers", signal.convolve, x > 0, x > 0)

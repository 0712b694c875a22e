"""Signals: frames, windows, spectra over time, and sums of products along one axis.

    frame            [..., T] -> [..., F, L]           L samples every S, F = (T - L) // S + 1
    overlap_and_add  [..., F, L] -> [..., (F - 1) S + L]
    stft             [..., T] -> [..., F, N // 2 + 1]  complex
    inverse_stft     [..., F, N // 2 + 1] -> [..., T]

T samples, F frames of L samples, S samples from one frame to the next, N points of a transform.
T and F may be named sizes. Frames are copies of blocks of S samples and are made by reshaping, so
nothing is gathered or scattered, forward or backward.

Real signals of any type are taken; integers and 16-bit floats are transformed in float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.array.image import mirrored_index
from thalweg.array.manipulation import converted, cut, operand, transposed
from thalweg.array.operands import axis_of, from_array, same_dtype, shape_of
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.ir.dim import ceil_div, dim_max, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.types import COMPLEX, NUMERIC, REAL, DType, Size, as_dtype, float32, int64
from thalweg.ops import elementwise as ops
from thalweg.ops import movement
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv
from thalweg.ops.fft import irfft, rfft
from thalweg.ops.index import take

# Windows ------------------------------------------------------------------------------------------


def _window(
    name: str, length: Any, periodic: bool, dtype: Any, weigh: Callable[[np.ndarray], np.ndarray]
) -> Tensor:
    """Weights at places from 0 to 1; a periodic window leaves out the last, which is the first."""
    size = _count(name, "a length", length, 0)
    element = as_dtype(dtype)
    if not element.is_float:
        raise DTypeError(explain(name, "a float type", str(element), "Write dtype='float32'."))
    if size == 1:
        weights = np.ones(1)
    else:
        weights = weigh(np.arange(size) / (size if periodic else max(size - 1, 1)))
    return from_array(weights.astype(element.numpy))


def _count(name: str, what: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(
            explain(name, f"{what} that is an integer of at least {least}", f"{value!r}")
        )
    return int(value)


def _cosines(*weights: float) -> Callable[[np.ndarray], np.ndarray]:
    """The sum of cosines of whole numbers of turns, their signs alternating."""

    def weigh(place: np.ndarray) -> np.ndarray:
        terms = [
            (-1) ** turns * weight * np.cos(2 * np.pi * turns * place)
            for turns, weight in enumerate(weights)
        ]
        return np.sum(terms, axis=0)

    return weigh


def hann(length: int, *, periodic: bool = True, dtype: Any = "float32") -> Tensor:
    """Half a cosine wave, from 0 up to 1 and down: 0.5 - 0.5 cos(2 pi i / n).

    n is `length` for a periodic window, the kind for spectra, and length - 1 for a symmetric one.
    """
    return _window("hann", length, periodic, dtype, _cosines(0.5, 0.5))


def hamming(length: int, *, periodic: bool = True, dtype: Any = "float32") -> Tensor:
    """A cosine on a step: 0.54 - 0.46 cos(2 pi i / n); n as for `hann`."""
    return _window("hamming", length, periodic, dtype, _cosines(0.54, 0.46))


def blackman(length: int, *, periodic: bool = True, dtype: Any = "float32") -> Tensor:
    """Two cosines: 0.42 - 0.5 cos(2 pi i / n) + 0.08 cos(4 pi i / n); n as for `hann`."""
    return _window("blackman", length, periodic, dtype, _cosines(0.42, 0.5, 0.08))


def bartlett(length: int, *, periodic: bool = True, dtype: Any = "float32") -> Tensor:
    """A triangle from 0 up to 1 and down: 1 - |2 i / n - 1|; n as for `hann`."""
    return _window("bartlett", length, periodic, dtype, lambda place: 1 - np.abs(2 * place - 1))


def kaiser(
    length: int, beta: float = 12.0, *, periodic: bool = True, dtype: Any = "float32"
) -> Tensor:
    """Kaiser's window, i0(beta sqrt(1 - (2 i / n - 1)**2)) / i0(beta); n as for `hann`.

    A larger `beta` lowers the side lobes of its spectrum and widens the main one.
    """

    def weigh(place: np.ndarray) -> np.ndarray:
        return np.i0(beta * np.sqrt(1 - (2 * place - 1) ** 2)) / np.i0(beta)

    return _window("kaiser", length, periodic, dtype, weigh)


WINDOWS: dict[str, Callable[..., Tensor]] = {
    "hann": hann,
    "hamming": hamming,
    "blackman": blackman,
    "bartlett": bartlett,
    "kaiser": kaiser,
}
"""The windows that `stft` knows by name."""


def _weights(name: str, window: Any, length: int, dtype: DType) -> Node | None:
    """The weights of a frame: by name, as given, or none."""
    if window is None:
        return None
    if isinstance(window, str):
        if window not in WINDOWS:
            among = ", ".join(map(repr, WINDOWS))
            raise ArgumentError(
                explain(name, f"a window among {among}, an array or None", repr(window))
            )
        return node_of(WINDOWS[window](length, dtype=dtype))
    node = operand(name, window)
    ops.check_elements(name, REAL, node.type)
    if node.type.rank != 1 or not is_known_equal(node.shape[0], length):
        raise ShapeError(
            explain(name, f"a window of frame_length={length} weights", str(node.type))
        )
    return ops.cast(node, dtype=dtype)


# Frames -------------------------------------------------------------------------------------------


def frame(
    x: Any,
    frame_length: int,
    frame_step: int,
    *,
    pad_end: bool = False,
    pad_value: Any = 0,
    axis: int = -1,
) -> Tensor:
    """Stretches of x that begin `frame_step` apart: [..., T, ...] -> [..., F, L, ...].

    Without `pad_end` only whole frames count, (T - L) // S + 1 of them; with it every S samples
    begin one, and `pad_value` stands after the end.
    """
    node = operand("frame", x)
    length = _count("frame", "a frame_length", frame_length, 1)
    step = _count("frame", "a frame_step", frame_step, 1)
    rank = node.type.rank
    place = axis_of("frame", axis, rank)
    others = [each for each in range(rank) if each != place]
    node = transposed(node, (*others, place))
    fill = converted("frame", pad_value, node.dtype)
    if fill.type.rank:
        raise ShapeError(explain("frame", "one number as pad_value", str(fill.type)))
    found = _framed(node, _frames(node.shape[-1], length, step, pad_end), length, step, fill)
    order = list(range(rank - 1))
    order[place:place] = [rank - 1, rank]
    return wrap(transposed(found, order))


def _frames(size: Size, length: int, step: int, pad_end: bool) -> Size:
    """How many frames a signal has."""
    return ceil_div(size, step) if pad_end else dim_max(0, (size - length) // step + 1)


def _framed(x: Node, count: Size, length: int, step: int, fill: Node) -> Node:
    """The first frames of a signal [..., T] -> [..., F, L]; `fill` stands after the end.

    A frame is made of several blocks of S samples, and the same is true of the next frame, one
    block later. Of rows that each hold all blocks, row k is to begin with block k: laid out one
    after another and cut into rows that are one block longer, they do.
    """
    lead = x.shape[:-1]
    rank = len(lead)
    several = -(-length // step)
    blocks = count + several - 1
    x = _fitted(x, blocks * step, fill)
    x = movement.reshape(x, shape=(*lead, blocks, step))
    if several > 1:
        axes = (*range(rank), rank + 1, rank + 2)
        x = broadcast(x, shape=(*lead, several, blocks, step), axes=axes)
        x = movement.reshape(x, shape=(*lead, several * blocks, step))
        x = _extended(x, rank, several)
        x = movement.reshape(x, shape=(*lead, several, blocks + 1, step))
        x = cut(x, rank + 1, 0, count)
        x = transposed(x, (*range(rank), rank + 1, rank, rank + 2))
        x = movement.reshape(x, shape=(*lead, count, several * step))
    return cut(x, rank + 1, 0, length) if several * step > length else x


def _fitted(x: Node, size: Size, fill: Node) -> Node:
    """The last axis cut or filled up to a size."""
    last = x.type.rank - 1
    if is_known_equal(x.shape[last], size):
        return x
    none = (0,) * x.type.rank
    high = (*none[:-1], size - x.shape[last])
    return movement.pad(x, fill, low=none, high=high, interior=none)


def _extended(x: Node, axis: int, more: Size) -> Node:
    """Zeros after the end of one axis."""
    none = (0,) * x.type.rank
    high = (*none[:axis], more, *none[axis + 1 :])
    return movement.pad(x, full(0, x.dtype), low=none, high=high, interior=none)


def overlap_and_add(x: Any, frame_step: int) -> Tensor:
    """The sum of frames that begin `frame_step` apart: [..., F, L] -> [..., (F - 1) S + L].

    It is the adjoint of `frame`.
    """
    node = operand("overlap_and_add", x)
    ops.check_elements("overlap_and_add", NUMERIC, node.type)
    step = _count("overlap_and_add", "a frame_step", frame_step, 1)
    if node.type.rank < 2 or not isinstance(node.shape[-1], int):
        raise ShapeError(
            explain("overlap_and_add", "frames [..., F, L] of a fixed length L", str(node.type))
        )
    return wrap(_added(node, step))


def _added(x: Node, step: int) -> Node:
    """Frames summed where they lie: the steps of `_framed`, backward."""
    *lead, count, length = x.shape
    rank = len(lead)
    several = -(-length // step)
    size = dim_max(0, (count - 1) * step + length)
    if several > 1:
        x = _fitted(x, several * step, full(0, x.dtype))
        x = movement.reshape(x, shape=(*lead, count, several, step))
        x = transposed(x, (*range(rank), rank + 1, rank, rank + 2))
        x = _extended(x, rank + 1, several)
        x = movement.reshape(x, shape=(*lead, several * (count + several), step))
        blocks = count + several - 1
        x = cut(x, rank, 0, several * blocks)
        x = movement.reshape(x, shape=(*lead, several, blocks, step))
        x = sum_op(x, axes=(rank,))
    else:
        blocks = count
        x = _fitted(x, step, full(0, x.dtype))
    x = movement.reshape(x, shape=(*lead, blocks * step))
    return _fitted(x, size, full(0, x.dtype))


# Spectra over time --------------------------------------------------------------------------------


def stft(
    x: Any,
    frame_length: int,
    frame_step: int,
    *,
    fft_length: int | None = None,
    window: Any = "hann",
    center: bool = False,
    pad_end: bool = False,
) -> Tensor:
    """The spectrum of each frame of a real signal: [..., T] -> complex [..., F, N // 2 + 1].

    Frame k is weighted with `window` (a periodic one by name, `frame_length` weights, or None),
    followed by zeros up to `fft_length`, by default the next power of 2, and transformed; nothing
    is scaled. Where the frames lie:

        center=False   frame k begins at sample k * frame_step, as in TensorFlow; with `pad_end`
                       zeros follow the signal and every step begins a frame
        center=True    the signal is mirrored at both ends by frame_length // 2 samples, so that
                       frame k is centred on sample k * frame_step, as in Keras and PyTorch (for
                       their window within a longer transform, centre its weights in fft_length of
                       them and pass these)

    float32 gives complex64, float64 complex128.
    """
    name = "stft"
    node = operand(name, x)
    ops.check_elements(name, REAL, node.type)
    if not node.type.rank:
        raise ShapeError(explain(name, "a signal [..., T]", str(node.type)))
    length, step, points = _sizes(name, frame_length, frame_step, fft_length)
    if center and pad_end:
        raise ArgumentError(
            explain(
                name,
                "center or pad_end, not both",
                "both",
                "A centred signal is extended at both ends already.",
            )
        )
    node = _wide(node)
    if center:
        node = _mirrored(node, length // 2)
    weights = _weights(name, window, length, node.dtype)
    count = _frames(node.shape[-1], length, step, pad_end)
    frames = _framed(node, count, length, step, full(0, node.dtype))
    if weights is not None:
        frames = ops.multiply(frames, _repeated(weights, frames))
    frames = _fitted(frames, points, full(0, node.dtype))
    return wrap(rfft(frames, axes=(frames.type.rank - 1,)))


def inverse_stft(
    y: Any,
    frame_length: int,
    frame_step: int,
    *,
    fft_length: int | None = None,
    window: Any = "hann",
    center: bool = False,
    length: Any = None,
) -> Tensor:
    """The signal whose `stft` with the same arguments is y: [..., F, N // 2 + 1] -> [..., T].

    Frames are transformed back, weighted with the window once more, added up, and divided by the
    sum of the squared weights of each place. So the signal comes back wherever some frame has a
    weight other than 0, and if y is the spectrum of no signal, the one nearest to it in the sense
    of least squares does (D. W. Griffin and J. S. Lim, 1984). This is the inverse of Keras, PyTorch
    and SciPy; TensorFlow's leaves the division to a window made for it.

    T is (F - 1) * frame_step + frame_length, with `center` less frame_length // 2 at both ends.
    `length` cuts the signal, or fills it with zeros.
    """
    name = "inverse_stft"
    node = operand(name, y)
    ops.check_elements(name, COMPLEX, node.type)
    size, step, points = _sizes(name, frame_length, frame_step, fft_length)
    if node.type.rank < 2 or not is_known_equal(node.shape[-1], points // 2 + 1):
        raise ShapeError(
            explain(
                name,
                f"spectra [..., F, {points // 2 + 1}] for fft_length={points}",
                str(node.type),
                "Pass the frame_length and fft_length that stft had.",
            )
        )
    frames = irfft(node, axes=(node.type.rank - 1,), length=points)
    frames = cut(frames, node.type.rank - 1, 0, size)
    weights = _weights(name, window, size, frames.dtype)
    if weights is None:
        weights = full(1, frames.dtype, (size,))
    signal = _added(ops.multiply(frames, _repeated(weights, frames)), step)
    squares = broadcast(ops.square(weights), shape=frames.shape[-2:], axes=(1,))
    total = _added(squares, step)
    is_met = ops.greater(total, full_like(total, 1e-10))
    total = ops.select(is_met, total, full_like(total, 1))
    signal = ops.divide(signal, _repeated(total, signal))
    before = size // 2 if center else 0
    whole = signal.shape[-1]
    (wanted,) = (whole - 2 * before,) if length is None else shape_of(name, (length,))
    none = (0,) * signal.type.rank
    return wrap(
        movement.pad(
            signal,
            full(0, signal.dtype),
            low=(*none[:-1], -before),
            high=(*none[:-1], wanted + before - whole),
            interior=none,
        )
    )


def _sizes(name: str, frame_length: Any, frame_step: Any, fft_length: Any) -> tuple[int, int, int]:
    length = _count(name, "a frame_length", frame_length, 1)
    step = _count(name, "a frame_step", frame_step, 1)
    if fft_length is None:
        return length, step, 1 << (length - 1).bit_length()
    points = _count(name, "an fft_length", fft_length, 1)
    if points < length:
        raise ArgumentError(
            explain(
                name,
                "an fft_length of at least frame_length",
                f"fft_length={points}, frame_length={length}",
            )
        )
    return length, step, points


def _wide(node: Node) -> Node:
    """Integers and 16-bit floats as float32."""
    is_wide = node.dtype.is_float and node.dtype.bits > 16
    return node if is_wide else ops.cast(node, dtype=float32)


def _repeated(weights: Node, x: Node) -> Node:
    """Weights of the last axis, the same for all others."""
    return broadcast(weights, shape=x.shape, axes=(x.type.rank - 1,))


def _mirrored(x: Node, more: int) -> Node:
    """The last axis continued at both ends by its mirror image, the end itself not repeated."""
    last = x.type.rank - 1
    size = x.shape[last]
    place = movement.iota(dtype=int64, shape=(size + 2 * more,), axis=0)
    place = ops.subtract(place, full_like(place, more))
    return take(x, mirrored_index(place, size), last)


def mel_weight_matrix(
    num_mel_bins: int = 20,
    num_spectrogram_bins: int = 129,
    sample_rate: float = 8000,
    lower_edge_hertz: float = 125.0,
    upper_edge_hertz: float = 3800.0,
    *,
    dtype: Any = "float32",
) -> Tensor:
    """What turns a spectrum into mel bands: [num_spectrogram_bins, num_mel_bins].

    `matmul(spectrum, matrix)` of a spectrum [..., num_spectrogram_bins], from 0 to half the sample
    rate, is [..., num_mel_bins]. Each band is a triangle from the centre of the band below to that
    of the band above; the centres are evenly spaced on the mel scale 1127 ln(1 + f / 700), as in
    HTK and TensorFlow, and the triangles are straight there. The bin of frequency 0 counts nowhere.
    """
    name = "mel_weight_matrix"
    bands = _count(name, "num_mel_bins", num_mel_bins, 1)
    bins = _count(name, "num_spectrogram_bins", num_spectrogram_bins, 2)
    if not 0 <= lower_edge_hertz < upper_edge_hertz <= sample_rate / 2:
        raise ArgumentError(
            explain(
                name,
                "0 <= lower_edge_hertz < upper_edge_hertz <= sample_rate / 2",
                f"{lower_edge_hertz}, {upper_edge_hertz} and {sample_rate} / 2",
            )
        )
    place = _mel(np.linspace(0, sample_rate / 2, bins))[:, None]
    lowest, highest = _mel(np.array([lower_edge_hertz, upper_edge_hertz]))
    edges = np.linspace(lowest, highest, bands + 2)
    below, centre, above = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (place - below) / (centre - below), (above - place) / (above - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return from_array(weights.astype(as_dtype(dtype).numpy))


def _mel(hertz: np.ndarray) -> np.ndarray:
    return 1127 * np.log1p(hertz / 700)


# Sums of products ---------------------------------------------------------------------------------


def convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    """The sums of a[i] v[k - i], for each k: two signals [N] and [M] -> [N + M - 1].

    "same" keeps the middle max(N, M) of them, "valid" those max(N, M) - min(N, M) + 1 for which
    the shorter signal lies within the longer one. Element types promote; names as in NumPy.
    """
    lhs, rhs = _signals("convolve", a, v, mode)
    if _must_swap(lhs, rhs, mode):
        lhs, rhs = rhs, lhs
    start = (rhs.shape[0] - 1) // 2
    return wrap(_summed(lhs, movement.reverse(rhs, axes=(0,)), mode, start))


def correlate(a: Any, v: Any, mode: str = "valid") -> Tensor:
    """The sums of a[i + k] conj(v[i]), for each shift k: two signals [N] and [M] -> [N + M - 1].

    k goes from 1 - M to N - 1; "same" and "valid" keep as many of the sums as in `convolve`.
    """
    lhs, rhs = _signals("correlate", a, v, mode)
    rhs = ops.conjugate(rhs)
    if not _must_swap(lhs, rhs, mode):
        return wrap(_summed(lhs, rhs, mode, (rhs.shape[0] - 1) // 2))
    # With the longer signal in the other place the shifts run backward.
    found = _summed(rhs, lhs, mode, (lhs.shape[0] - 1) // 2)
    return wrap(movement.reverse(found, axes=(0,)))


def _signals(name: str, a: Any, v: Any, mode: str) -> tuple[Node, Node]:
    if mode not in ("full", "same", "valid"):
        raise ArgumentError(explain(name, "mode 'full', 'same' or 'valid'", repr(mode)))
    lhs, rhs = same_dtype(name, a, v)
    for node in (lhs, rhs):
        ops.check_elements(name, NUMERIC, node.type)
    if lhs.type.rank != 1 or rhs.type.rank != 1:
        raise ShapeError(
            explain(
                name,
                "two signals, [N] and [M]",
                f"{lhs.type} and {rhs.type}",
                "Use vmap for a batch of signals.",
            )
        )
    if is_known_equal(lhs.shape[0], 0) or is_known_equal(rhs.shape[0], 0):
        raise ShapeError(explain(name, "signals that are not empty", f"{lhs.type} and {rhs.type}"))
    return lhs, rhs


def _must_swap(a: Node, b: Node, mode: str) -> bool:
    """Whether the first signal is the shorter one, where that matters.

    Raises UndecidedError for named sizes of which neither is known to be the larger.
    """
    return mode != "full" and bool(a.shape[0] < b.shape[0])


def _summed(x: Node, kernel: Node, mode: str, start: Size) -> Node:
    """The sums of products of a kernel with every window of a signal that `mode` counts."""
    size, reach = x.shape[0], kernel.shape[0]
    around = {
        "full": (reach - 1, reach - 1),
        "same": (reach - 1 - start, start),
        "valid": (0, 0),
    }[mode]
    found = conv(
        movement.reshape(x, shape=(1, size, 1)),
        movement.reshape(kernel, shape=(reach, 1, 1)),
        strides=(1,),
        padding=(around,),
        input_dilation=(1,),
        kernel_dilation=(1,),
    )
    return movement.reshape(found, shape=found.shape[1:2])

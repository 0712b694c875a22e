"""Segments, the largest values, Fourier transforms, spectra over time, and special functions.

Complex numbers come and go as pairs: (real part, imaginary part).
"""

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.array import elementwise, linalg, manipulation, nn, segment, signal, sorting
from thalweg.array import fft as transforms
from thalweg.array.data_types import astype
from thalweg.array.indexing import take_along_axis
from thalweg.array.searching import where
from thalweg.array.statistical import sum as total
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.ir.dim import Dim, dim_max
from thalweg.keras.operation import op
from thalweg.keras.ops.checked import checked_op
from thalweg.keras.ops.operands import (
    Size,
    agree,
    as_int32,
    common_dtype,
    floats,
    like,
    shape_of,
)
from thalweg.keras.symbol import KerasTensor, is_keras_tensor
from thalweg.keras.variable import tensor
from thalweg.ops.elementwise import complex_of

# Segments -----------------------------------------------------------------------------------------


def _check_segments(data: Any, segment_ids: Any) -> None:
    rows, ids = shape_of(data), shape_of(segment_ids)
    if len(ids) != 1:
        raise ShapeError(
            explain(
                "segment ops",
                "one number a row. Argument `segment_ids` should be an 1-D vector, got shape: "
                f"{len(ids)}-D",
                f"segment_ids of shape {ids}",
            )
        )
    if not rows or not agree(rows[0], ids[0]):
        raise ShapeError(
            explain(
                "segment ops",
                "one number for each row. Argument `segment_ids` and `data` should have same "
                "leading dimension",
                f"data of shape {rows}, segment_ids of shape {ids}",
            )
        )


def _segment_spec(
    data: Any, segment_ids: Any, num_segments: Size = None, sorted: bool = False
) -> KerasTensor:
    _check_segments(data, segment_ids)
    return like(data, (num_segments, *shape_of(data)[1:]))


def _reduced(reduce: Callable, data: Any, segment_ids: Any, num_segments: Any) -> Tensor:
    _check_segments(data, segment_ids)
    return reduce(tensor(data), tensor(segment_ids), num_segments)


@op(spec=_segment_spec)
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The sum of the rows [N, rest...] with the same number of segment_ids [N]: [S, rest...].

    Without `num_segments` the largest number decides S, so the numbers must have values. Rows with
    a number outside are dropped; nothing is faster for numbers that are `sorted`.
    """
    return _reduced(segment.segment_sum, data, segment_ids, num_segments)


@op(spec=_segment_spec)
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The largest of the rows of each segment, element by element; see `segment_sum`.

    A segment without rows has the lowest value of the type.
    """
    return _reduced(segment.segment_max, data, segment_ids, num_segments)


@op(spec=_segment_spec)
def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The smallest of the rows of each segment, element by element; see `segment_sum`.

    A segment without rows has the highest value of the type.
    """
    return _reduced(segment.segment_min, data, segment_ids, num_segments)


@op(spec=_segment_spec)
def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """The product of the rows of each segment; see `segment_sum`."""
    return _reduced(segment.segment_prod, data, segment_ids, num_segments)


# The largest values -------------------------------------------------------------------------------


def _top_k_spec(x: Any, k: int, sorted: bool = True) -> tuple[KerasTensor, KerasTensor]:
    shape = (*shape_of(x)[:-1], k)
    return like(x, shape), like(x, shape, "int32")


@op(spec=_top_k_spec)
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest values along the last axis, and their positions, int32: [..., N] -> [..., k].

    They are sorted, the largest first, whether or not they need be.
    """
    values, indices = sorting.top_k(tensor(x), k)
    return values, as_int32(indices)


def _in_top_k_spec(targets: Any, predictions: Any, k: int) -> KerasTensor:
    return like(targets, shape_of(targets), "bool")


@op(spec=_in_top_k_spec)
def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """True where fewer than k predictions exceed that of the target: [B], [B, N] -> bool [B].

    Targets equal to others count as among the k; NaN, and targets outside, do not.
    """
    scores, places = floats(predictions), astype(tensor(targets), "int32")
    count = scores.shape[-1]
    inside = elementwise.logical_and(places >= -count, places < count)
    places = where(inside, places, 0)
    own = take_along_axis(scores, manipulation.expand_dims(places, -1), axis=-1)
    larger = total(astype(scores > own, "int32"), axis=-1)
    is_number = elementwise.logical_not(elementwise.isnan(manipulation.squeeze(own, -1)))
    return elementwise.logical_and(
        elementwise.logical_and(inside, is_number), astype(larger, "int32") < k
    )


@op
def logsumexp(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over some axes, or all, without overflow."""
    return nn.logsumexp(floats(x), axis=axis, keepdims=keepdims)


def _check_cdist(x: Any, y: Any) -> None:
    one, two = shape_of(x), shape_of(y)
    if len(one) < 2 or len(two) < 2 or not agree(one[-1], two[-1]):
        raise ShapeError(
            explain(
                "cdist",
                "rows of equal length; `cdist` inputs must have rank >= 2 and the same last axis",
                f"x of shape {one}, y of shape {two}",
            )
        )


@checked_op(_check_cdist, data=("x", "y"), name="CDist")
def cdist(x: Any, y: Any) -> Tensor:
    """The Euclidean distances between rows: [..., M, D] and [..., N, D] -> [..., M, N].

    The derivative is 0 where two rows are equal.
    """
    dtype = common_dtype(x, y, float)
    rows = manipulation.expand_dims(tensor(x, dtype), -2)
    columns = manipulation.expand_dims(tensor(y, dtype), -3)
    return linalg.vector_norm(rows - columns, axis=-1)


# Fourier transforms -------------------------------------------------------------------------------


def _check_rank(name: str, shape: Sequence[Size], least: int, x: Any) -> None:
    if len(shape) < least:
        raise ShapeError(
            explain(
                name,
                f"more axes. Input should have rank >= {least}. Received: input.shape = "
                f"{tuple(shape)}",
                f"{x!r:.80}",
            )
        )


def _check_pair(name: str, x: Any, least: int) -> None:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ArgumentError(
            explain(
                name,
                "a complex number in two parts. Input `x` should be a tuple of two tensors - real "
                "and imaginary",
                f"x={x!r:.80}",
                "Write (real, imag).",
            )
        )
    one, two = map(shape_of, x)
    if len(one) != len(two) or not all(map(agree, one, two)):
        raise ShapeError(
            explain(
                name,
                "two parts of one shape. Both the real and imaginary parts should have the same "
                "shape",
                f"x[0].shape = {one}, x[1].shape = {two}",
            )
        )
    _check_rank(name, one, least, x)


def _check_fft(x: Any) -> None:
    _check_pair("fft", x, 1)
    shape = shape_of(x[0])
    if is_keras_tensor(x[0]) and shape[-1] is None:
        raise ShapeError(
            explain(
                "fft",
                "an axis of known size. Input should have its last dimension fully-defined",
                f"input.shape = {shape}",
            )
        )


def _check_fft2(x: Any) -> None:
    _check_pair("fft2", x, 2)
    shape = shape_of(x[0])
    if is_keras_tensor(x[0]) and None in shape[-2:]:
        raise ShapeError(
            explain(
                "fft2",
                "axes of known size. Input should have its last two axes fully-defined",
                f"input.shape = {shape}",
            )
        )


def _complex(x: Any) -> Tensor:
    """The complex tensor of a pair; 16-bit floats and integers become float32."""
    dtype = common_dtype(*x, float)
    dtype = dtype if dtype == "float64" else "float32"
    return wrap(complex_of(*(node_of(tensor(part, dtype)) for part in x)))


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    return elementwise.real(x), elementwise.imag(x)


@checked_op(_check_fft, name="FFT")
def fft(x: Any) -> tuple[Tensor, Tensor]:
    """The Fourier transform along the last axis, of and as a pair of parts [..., N]."""
    return _parts(transforms.fft(_complex(x)))


@checked_op(_check_fft2, name="FFT2")
def fft2(x: Any) -> tuple[Tensor, Tensor]:
    """The Fourier transform along the last two axes, of and as a pair of parts [..., M, N]."""
    return _parts(transforms.fft2(_complex(x)))


@checked_op(_check_fft2, name="IFFT2")
def ifft2(x: Any) -> tuple[Tensor, Tensor]:
    """The inverse Fourier transform along the last two axes, of and as a pair [..., M, N]."""
    return _parts(transforms.ifft2(_complex(x)))


def _check_length(name: str, fft_length: Any) -> None:
    if fft_length is not None and fft_length < 1:
        raise ArgumentError(
            explain(name, "a positive `fft_length` or None", f"fft_length={fft_length}")
        )


def _check_rfft(x: Any, fft_length: int | None = None) -> None:
    _check_rank("rfft", shape_of(x), 1, x)
    _check_length("rfft", fft_length)


@checked_op(_check_rfft, name="RFFT")
def rfft(x: Any, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The Fourier transform of real values along the last axis: [..., T] -> pair [..., N // 2 + 1].

    N is T, or `fft_length`, to which the values are cut or filled up with zeros.
    """
    return _parts(transforms.rfft(floats(x), n=fft_length))


def _check_irfft(x: Any, fft_length: int | None = None) -> None:
    _check_pair("irfft", x, 1)
    _check_length("irfft", fft_length)


@checked_op(_check_irfft, name="IRFFT")
def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    """The real values whose `rfft` is the pair x [..., M]: [..., N], N = 2 (M - 1) by default."""
    spectra = _complex(x)
    if fft_length is None:
        # A length that is not known yet counts as right.
        whole = 2 * (spectra.shape[-1] - 1)
        fft_length = dim_max(whole, 1) if isinstance(whole, Dim) else whole
    return transforms.irfft(spectra, n=fft_length)


# Spectra over time --------------------------------------------------------------------------------


def _check_sequences(x: Any, sequence_length: int, sequence_stride: int) -> None:
    _check_rank("extract_sequences", shape_of(x), 1, x)


@checked_op(_check_sequences)
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Stretches of the last axis: [..., T] -> [..., F, L], F = (T - L) // stride + 1."""
    return signal.frame(tensor(x), sequence_length, sequence_stride)


_WINDOWS = ("hann", "hamming")


def _check_transform(
    name: str, sequence_length: Any, sequence_stride: Any, fft_length: Any, window: Any
) -> None:
    if not isinstance(sequence_length, int) or sequence_length < 1:
        raise ArgumentError(
            explain(name, "`sequence_length` of at least 1", f"sequence_length={sequence_length}")
        )
    if not isinstance(sequence_stride, int) or sequence_stride < 1:
        raise ArgumentError(
            explain(
                name,
                "frames that move on; `sequence_stride` must be a positive integer",
                f"sequence_stride={sequence_stride}",
            )
        )
    if fft_length < sequence_length:
        raise ArgumentError(
            explain(
                name,
                "room for a frame; `fft_length` must equal or larger than `sequence_length`",
                f"sequence_length={sequence_length}, fft_length={fft_length}",
            )
        )
    if isinstance(window, str):
        if window not in _WINDOWS:
            raise ArgumentError(
                explain(
                    name,
                    "a window it knows. If a string is passed to `window`, it must be one of "
                    "`hann`, `hamming`",
                    f"window={window}",
                    "Pass the weights themselves for any other.",
                )
            )
    elif window is not None and shape_of(window) != (sequence_length,):
        raise ShapeError(
            explain(
                name,
                "one weight for each sample of a frame. The shape of `window` must be equal to "
                f"[sequence_length] = [{sequence_length}]",
                f"window of shape {shape_of(window)}",
            )
        )


def _weights(window: Any, length: int, whole: int, dtype: str) -> Any:
    """The weights of a frame in the middle of as many as the transform has points, or None."""
    if window is None:
        return None
    found = getattr(signal, window)(length, dtype=dtype) if isinstance(window, str) else window
    before = (whole - length) // 2
    return manipulation.pad(tensor(found, dtype), ((before, whole - length - before),))


def _check_stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> None:
    dtype = like(x, ()).dtype
    if dtype not in ("float32", "float64"):
        raise ArgumentTypeError(
            explain("stft", "`float32` or `float64`", f"Invalid input type: {dtype}", "Cast first.")
        )
    _check_rank("stft", shape_of(x), 1, x)
    _check_transform("stft", sequence_length, sequence_stride, fft_length, window)


@checked_op(_check_stft, name="STFT")
def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Tensor, Tensor]:
    """The spectra of frames of a signal: [..., T] -> pair [..., F, N // 2 + 1], N = fft_length.

    A frame is N samples, weighted with a window in its middle: "hann", "hamming", an array of
    `sequence_length` weights, or none. With `center` the signal is mirrored at both ends by
    N // 2 samples, so that frame k is centred on sample k * sequence_stride.
    """
    x = tensor(x)
    weights = _weights(window, sequence_length, fft_length, x.dtype.name)
    return _parts(
        signal.stft(
            x, fft_length, sequence_stride, fft_length=fft_length, window=weights, center=center
        )
    )


def _check_istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> None:
    _check_pair("istft", x, 2)
    _check_transform("istft", sequence_length, sequence_stride, fft_length, window)


@checked_op(_check_istft, name="ISTFT")
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """The signal whose `stft` with the same arguments is x: pair [..., F, M] -> [..., T].

    It comes back exactly wherever some frame has a weight, the ends included; without a window
    frames are only added up, so that it comes back as often as they overlap. T is
    (F - 1) * sequence_stride + fft_length, with `center` less fft_length // 2 at both ends;
    `length` cuts the signal, or fills it with zeros.
    """
    spectra = _complex(x)
    points = fft_length // 2 + 1
    has = spectra.shape[-1]
    if has > points:
        spectra = spectra[..., :points]
    elif has < points:
        none = ((0, 0),) * (spectra.ndim - 1)
        spectra = manipulation.pad(spectra, (*none, (0, points - has)))
    if window is None:
        frames = transforms.irfft(spectra, n=fft_length)
        return _placed(signal.overlap_and_add(frames, sequence_stride), fft_length, length, center)
    dtype = "float64" if spectra.dtype.name == "complex128" else "float32"
    return signal.inverse_stft(
        spectra,
        fft_length,
        sequence_stride,
        fft_length=fft_length,
        window=_weights(window, sequence_length, fft_length, dtype),
        center=center,
        length=length,
    )


def _placed(x: Tensor, fft_length: int, length: Any, center: bool) -> Tensor:
    """A signal without what `center` put in front, cut or filled up to a length."""
    before = fft_length // 2 if center else 0
    if length is None:
        return x[..., before : x.shape[-1] - before]
    found = x[..., before:]
    missing = dim_max(length - found.shape[-1], 0)
    filled = manipulation.pad(found, (*((0, 0),) * (x.ndim - 1), (0, missing)))
    return filled[..., :length]


# Special functions --------------------------------------------------------------------------------


@op
def rsqrt(x: Any) -> Tensor:
    """1 / sqrt(x)."""
    return elementwise.rsqrt(floats(x))


@op
def erf(x: Any) -> Tensor:
    """The error function."""
    return elementwise.erf(floats(x))


@op
def erfc(x: Any) -> Tensor:
    """1 - erf(x), exact in the tail."""
    return elementwise.erfc(floats(x))


@op
def erfinv(x: Any) -> Tensor:
    """The inverse of erf; infinite at -1 and 1, NaN beyond."""
    return elementwise.erfinv(floats(x))


def _check_logdet(x: Any) -> None:
    shape = shape_of(x)
    if len(shape) < 2 or not agree(*shape[-2:]):
        raise ShapeError(explain("logdet", "square matrices [..., M, M]", f"shape {shape}"))


@checked_op(_check_logdet)
def logdet(x: Any) -> Tensor:
    """The logarithms of the magnitudes of the determinants: [..., M, M] -> [...]."""
    return linalg.slogdet(floats(x)).logabsdet


# Complex numbers as pairs along an axis -----------------------------------------------------------


def _check_as_complex(x: Any) -> None:
    shape = shape_of(x)
    if not shape or not agree(shape[-1], 2):
        raise ShapeError(
            explain(
                "view_as_complex",
                "both parts in the last axis. Last dimension of input must be size 2 (real and "
                "imaginary)",
                f"shape {shape}",
            )
        )


@checked_op(_check_as_complex)
def view_as_complex(x: Any) -> Tensor:
    """Complex numbers of their real and imaginary parts: [..., 2] -> complex64 [...]."""
    x = tensor(x, "float32")
    return _complex((x[..., 0], x[..., 1]))


@op
def view_as_real(x: Any) -> Tensor:
    """The real and imaginary parts of complex numbers: complex [...] -> [..., 2]."""
    return manipulation.stack(_parts(tensor(x)), axis=-1)

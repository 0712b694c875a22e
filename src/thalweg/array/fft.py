"""Discrete Fourier transforms over one axis or several.

Names, argument order and results are those of the Python Array API standard 2024.12, extension
`fft`; what stands after the headline "Beyond the standard" follows NumPy.

A length `n`, or lengths `s` for several axes, cut the operand or pad it with zeros at the end; a
length of -1 is that of the operand. `norm` says where the division by the number of points N goes:

    backward   to the inverse transform      forward   to the forward one
    ortho      by the square root of N to each

Integers, booleans and 16-bit floats become float32 first; there is no complex type of 16 bits, so
results are complex64 or complex128.
"""

from collections.abc import Sequence
from typing import Any

from thalweg.array.manipulation import operand, roll, size_node
from thalweg.array.operands import axes_of, axis_of, check_device, shape_of
from thalweg.array.statistical import floats, in_dtype, number_like, widened
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, wrap
from thalweg.ir.dim import Dim, UndecidedError, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DEFAULT_FLOAT,
    DType,
    Size,
    as_dtype,
    complex64,
    complex128,
    float32,
    int64,
    size_of,
)
from thalweg.ops import elementwise as ew
from thalweg.ops import fft as ops
from thalweg.ops.broadcast import broadcast
from thalweg.ops.movement import iota, pad

Axes = Sequence[int] | None
Lengths = Sequence[Size] | None

# The operand and the scale ------------------------------------------------------------------------

# Which power of N an unscaled transform is multiplied by, forward and inverse.
NORMS = {"backward": (0.0, -1.0), "ortho": (-0.5, -0.5), "forward": (-1.0, 0.0)}
_OPPOSITE = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _real(name: str, x: Any) -> Node:
    node = widened(floats(name, x))
    if node.dtype.is_complex:
        whole = f"Write {name.removeprefix('r')}(x), or take" if name.startswith("r") else "Take"
        do = f"{whole} real(x) first."
        raise DTypeError(explain(name, "real numbers", str(node.type), do))
    return node


def _complex(name: str, x: Any) -> Node:
    node = widened(floats(name, x))
    if node.dtype.is_complex:
        return node
    return in_dtype(node, complex64 if node.dtype is float32 else complex128)


def _check_norm(name: str, norm: Any) -> None:
    if norm not in NORMS:
        raise ArgumentError(
            explain(name, "a norm among 'backward', 'ortho', 'forward'", repr(norm))
        )


def _axes(name: str, node: Node, s: Any, axes: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The axes to transform, in the given order, and their lengths, None without `s`."""
    rank = node.type.rank
    lengths = None if s is None else _lengths(name, s)
    if axes is not None:
        given = axes if isinstance(axes, (tuple, list)) else (axes,)
        axes_of(name, given, rank)
        found = tuple(axis_of(name, each, rank) for each in given)
    elif lengths is not None and len(lengths) > rank:
        raise ShapeError(explain(name, f"at most {rank} lengths", f"s={s} for {node.type}"))
    else:
        found = tuple(range(0 if lengths is None else rank - len(lengths), rank))
    if lengths is None:
        lengths = [None] * len(found)
    if len(lengths) != len(found):
        raise ShapeError(explain(name, "a length for each axis", f"s={s} with axes={found}"))
    return found, [
        node.shape[axis] if type(length) is int and length == -1 else length
        for axis, length in zip(found, lengths, strict=True)
    ]


def _lengths(name: str, s: Any) -> list[Any]:
    given = s if isinstance(s, (tuple, list)) else (s,)
    is_kept = [not isinstance(each, Dim) and each == -1 for each in given]
    return [
        -1 if keep else shape_of(name, each)[0] for each, keep in zip(given, is_kept, strict=True)
    ]


def _fitted(name: str, node: Node, axes: Sequence[int], lengths: Sequence[Any]) -> Node:
    """The operand cut, or padded with zeros, at the end of the axes; None keeps a length."""
    high: list[Size] = [0] * node.type.rank
    for axis, length in zip(axes, lengths, strict=True):
        size = node.shape[axis]
        _check_points(name, node, axis, size if length is None else length)
        high[axis] = 0 if length is None else length - size
    if all(is_known_equal(each, 0) for each in high):
        return node
    none = (0,) * node.type.rank
    return pad(node, full(0, node.dtype), low=none, high=tuple(high), interior=none)


def _check_points(name: str, node: Node, axis: int, length: Size) -> None:
    if is_known_at_least(length, 1):
        return
    wanted = "at least one point on every transformed axis"
    received = f"{length} points along axis {axis} of {node.type}"
    error = UndecidedError if isinstance(length, Dim) else ShapeError
    raise error(
        explain(name, wanted, received, "Say how many with n=... (s=... for several axes).")
    )


def _scaled(node: Node, points: Size, power: float) -> Node:
    """The node times a power of the number of points."""
    if not power:
        return node
    if not isinstance(points, Dim):
        return ew.multiply(node, full_like(node, float(points) ** power))
    count = size_node(points, node.dtype.real)
    scale = in_dtype(ew.power(count, full_like(count, power)), node.dtype)
    return ew.multiply(node, broadcast(scale, shape=node.shape, axes=()))


def _points(node: Node, axes: Sequence[int]) -> Size:
    return size_of(tuple(node.shape[axis] for axis in axes))


def _complex_transform(
    name: str, x: Any, s: Any, axes: Any, norm: str, inverse: bool = False
) -> Tensor:
    _check_norm(name, norm)
    node = _complex(name, x)
    places, lengths = _axes(name, node, s, axes)
    node = _fitted(name, node, places, lengths)
    found = ops.fft(node, axes=places, inverse=inverse)
    power = NORMS[norm][1] + 1 if inverse else NORMS[norm][0]
    return wrap(_scaled(found, _points(node, places), power))


def _from_real(name: str, x: Any, s: Any, axes: Any, norm: str) -> Node:
    _check_norm(name, norm)
    node = _real(name, x)
    places, lengths = _axes(name, node, s, axes)
    _check_halved(name, node, places)
    node = _fitted(name, node, places, lengths)
    return _scaled(ops.rfft(node, axes=places), _points(node, places), NORMS[norm][0])


def _to_real(name: str, node: Node, s: Any, axes: Any, norm: str) -> Node:
    _check_norm(name, norm)
    places, lengths = _axes(name, node, s, axes)
    _check_halved(name, node, places)
    last = places[-1]
    length = 2 * (node.shape[last] - 1) if lengths[-1] is None else lengths[-1]
    _check_points(name, node, last, length)
    node = _fitted(name, node, places, [*lengths[:-1], length // 2 + 1])
    found = ops.irfft(node, axes=places, length=length)
    return _scaled(found, _points(found, places), NORMS[norm][1] + 1)


def _check_halved(name: str, node: Node, axes: Sequence[int]) -> None:
    if not axes:
        wanted = "at least one axis, of which the last is halved"
        raise ShapeError(explain(name, wanted, f"none for {node.type}"))


def _alone(n: Size | None) -> Lengths:
    return None if n is None else (n,)


# The standard -------------------------------------------------------------------------------------


def fft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The Fourier transform along an axis: y[k] sums x[j] exp(-2 pi i j k / n); complex."""
    return _complex_transform("fft", x, _alone(n), (axis,), norm)


def ifft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The inverse Fourier transform along an axis; complex."""
    return _complex_transform("ifft", x, _alone(n), (axis,), norm, inverse=True)


def fftn(x: Any, /, *, s: Lengths = None, axes: Axes = None, norm: str = "backward") -> Tensor:
    """The Fourier transform along several axes, by default all (with `s` the last); complex."""
    return _complex_transform("fftn", x, s, axes, norm)


def ifftn(x: Any, /, *, s: Lengths = None, axes: Axes = None, norm: str = "backward") -> Tensor:
    """The inverse Fourier transform along several axes, by default all; complex."""
    return _complex_transform("ifftn", x, s, axes, norm, inverse=True)


def rfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The Fourier transform of real values along an axis, of which n // 2 + 1 frequencies."""
    return wrap(_from_real("rfft", x, _alone(n), (axis,), norm))


def irfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The real values whose `rfft` is x along an axis: n of them, by default 2 (m - 1) of m.

    The frequencies left out are taken to be the conjugates of those given.
    """
    return wrap(_to_real("irfft", _complex("irfft", x), _alone(n), (axis,), norm))


def rfftn(x: Any, /, *, s: Lengths = None, axes: Axes = None, norm: str = "backward") -> Tensor:
    """The Fourier transform of real values along several axes, the last of which is halved."""
    return wrap(_from_real("rfftn", x, s, axes, norm))


def irfftn(x: Any, /, *, s: Lengths = None, axes: Axes = None, norm: str = "backward") -> Tensor:
    """The real values whose `rfftn` is x; the last axis becomes 2 (m - 1) long, or as `s` says."""
    return wrap(_to_real("irfftn", _complex("irfftn", x), s, axes, norm))


def hfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The real spectrum of a signal with Hermitian symmetry, of which x is the first half.

    n is the length of the spectrum, by default 2 (m - 1) for m values.
    """
    _check_norm("hfft", norm)
    node = ew.conjugate(_complex("hfft", x))
    return wrap(_to_real("hfft", node, _alone(n), (axis,), _OPPOSITE[norm]))


def ihfft(x: Any, /, *, n: Size | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
    """The inverse of `hfft`: the first half, n // 2 + 1 values, of a signal of real spectrum."""
    _check_norm("ihfft", norm)
    return wrap(ew.conjugate(_from_real("ihfft", x, _alone(n), (axis,), _OPPOSITE[norm])))


def fftfreq(n: Size, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of `fft` for n points, d apart: 0, 1, ..., -2, -1 divided by n d."""
    size, wanted = _frequencies("fftfreq", n, d, dtype, device)
    place = iota(dtype=int64, shape=(size,), axis=0)
    is_positive = ew.less(place, number_like((size - 1) // 2 + 1, place))
    place = ew.select(is_positive, place, ew.subtract(place, number_like(size, place)))
    return wrap(_divided(place, size, d, wanted))


def rfftfreq(n: Size, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of `rfft` for n points, d apart: 0, 1, ..., n // 2 divided by n d."""
    size, wanted = _frequencies("rfftfreq", n, d, dtype, device)
    place = iota(dtype=int64, shape=(size // 2 + 1,), axis=0)
    return wrap(_divided(place, size, d, wanted))


def fftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """x with frequency 0 moved to the middle of the axes, by default of all."""
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """x with frequency 0 moved from the middle to the front: the inverse of `fftshift`."""
    return _shifted("ifftshift", x, axes, -1)


def _shifted(name: str, x: Any, axes: Any, sign: int) -> Tensor:
    node = operand(name, x)
    places = axes_of(name, axes, node.type.rank)
    return roll(wrap(node), [sign * (node.shape[axis] // 2) for axis in places], axis=places)


def _frequencies(name: str, n: Any, d: Any, dtype: Any, device: Any) -> tuple[Size, DType]:
    check_device(name, device)
    (size,) = shape_of(name, n)
    if not is_known_at_least(size, 1):
        raise ArgumentError(explain(name, "a number of points of 1 or more", f"{n}"))
    if not isinstance(d, (int, float)) or not d:
        raise ArgumentError(explain(name, "a distance d that is a number other than 0", repr(d)))
    wanted = DEFAULT_FLOAT if dtype is None else as_dtype(dtype)
    if not wanted.is_float:
        raise DTypeError(explain(name, "a float type", str(wanted)))
    return size, wanted


def _divided(place: Node, size: Size, d: float, dtype: DType) -> Node:
    node = in_dtype(place, float32 if dtype.bits == 16 else dtype)
    if isinstance(size, Dim):
        node = ew.divide(node, number_like(size, node))
        size = 1
    return in_dtype(ew.divide(node, full_like(node, size * d)), dtype)


# Beyond the standard ------------------------------------------------------------------------------

LAST_TWO = (-2, -1)


def fft2(x: Any, /, *, s: Lengths = None, axes: Axes = LAST_TWO, norm: str = "backward") -> Tensor:
    """The Fourier transform along two axes, by default the last; see `fftn`."""
    return _complex_transform("fft2", x, s, axes, norm)


def ifft2(x: Any, /, *, s: Lengths = None, axes: Axes = LAST_TWO, norm: str = "backward") -> Tensor:
    """The inverse Fourier transform along two axes, by default the last; see `ifftn`."""
    return _complex_transform("ifft2", x, s, axes, norm, inverse=True)


def rfft2(x: Any, /, *, s: Lengths = None, axes: Axes = LAST_TWO, norm: str = "backward") -> Tensor:
    """The Fourier transform of real values along two axes, by default the last; see `rfftn`."""
    return wrap(_from_real("rfft2", x, s, axes, norm))


def irfft2(
    x: Any, /, *, s: Lengths = None, axes: Axes = LAST_TWO, norm: str = "backward"
) -> Tensor:
    """The real values whose `rfft2` is x; see `irfftn`."""
    return wrap(_to_real("irfft2", _complex("irfft2", x), s, axes, norm))

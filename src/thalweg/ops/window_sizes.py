"""How windows sweep along an axis: one arithmetic for convolutions and reductions over windows.

An axis of n elements is dilated by d (d - 1 gaps between neighbours), then padded with low and high
places (negative ones crop), then read through windows of k places, w apart, every s-th position:

    span(n, d) = (n - 1)*d + 1, and 0 for n = 0
    padded     = span(n, d) + low + high
    positions  = (padded - span(k, w)) // s + 1, at least 0

Every size may be symbolic. An axis that is empty may be swept by any window; otherwise a window
that is known to be larger than the padded axis is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.ir.dim import dim_max, is_known_at_least, is_known_equal
from thalweg.ir.types import Shape, Size, TensorType
from thalweg.ops.movement import pad

Paddings = tuple[tuple[Size, Size], ...]


def _at_least_0(size: Size) -> Size:
    return max(0, size) if type(size) is int else dim_max(0, size)


def span(count: Size, dilation: Size) -> Size:
    """The places that `count` elements take when they stand `dilation` apart."""
    return _at_least_0((count - 1) * dilation + 1)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One axis and the windows that sweep along it."""

    size: Size
    window: Size
    stride: Size
    low: Size
    high: Size
    input_dilation: Size
    window_dilation: Size

    @property
    def padded(self) -> Size:
        """The places of the axis, dilated and padded."""
        return span(self.size, self.input_dilation) + self.low + self.high

    @property
    def reach(self) -> Size:
        """The places from the first to the last element of a window."""
        return span(self.window, self.window_dilation)

    @property
    def positions(self) -> Size:
        """The number of windows."""
        return _at_least_0((self.padded - self.reach) // self.stride + 1)

    @property
    def is_trivial(self) -> bool:
        """True where the windows are the elements themselves, in order."""
        return self == Sweep(self.size, 1, 1, 0, 0, 1, self.window_dilation)

    def adjoint(self) -> "Sweep":
        """The sweep over the windows that gives each element what the windows around it hold.

        Position p reads the place p*stride + k*window_dilation - low for each k of the window, so a
        place collects from the windows with k in opposite order.
        """
        low = self.reach - 1 - self.low
        padded = (self.size - 1) * self.input_dilation + self.reach
        high = padded - low - span(self.positions, self.stride)
        return Sweep(
            self.positions,
            self.window,
            self.input_dilation,
            low,
            high,
            self.stride,
            self.window_dilation,
        )

    def correlation(self) -> "Sweep":
        """The sweep of a window as long as there are positions that gives back a window.

        Element k of a window meets the places p*stride + k*window_dilation - low of all positions
        p: strides and window dilation change places.
        """
        reach = span(self.positions, self.stride)
        padded = reach + (self.window - 1) * self.window_dilation
        high = padded - self.low - span(self.size, self.input_dilation)
        return Sweep(
            self.size,
            self.positions,
            self.window_dilation,
            self.low,
            high,
            self.input_dilation,
            self.stride,
        )


def sweeps_of(
    sizes: Sequence[Size],
    windows: Sequence[Size],
    strides: Shape,
    padding: Paddings,
    input_dilation: Shape,
    window_dilation: Shape,
) -> list[Sweep]:
    """One sweep for each axis."""
    return [
        Sweep(size, window, stride, low, high, inner, outer)
        for size, window, stride, (low, high), inner, outer in zip(
            sizes, windows, strides, padding, input_dilation, window_dilation, strict=True
        )
    ]


def paddings(sweeps: Sequence[Sweep]) -> Paddings:
    """The padding of each sweep, as an attribute."""
    return tuple((sweep.low, sweep.high) for sweep in sweeps)


def check_options(op: str, x: TensorType, rank: int, **options: object) -> None:
    """Refuse options that are not a size of at least 1 for each of `rank` axes of x.

    The option `padding` is a pair (low, high) of any sizes for each axis instead.
    """
    for name, given in options.items():
        is_padding = name == "padding"
        each = given if isinstance(given, tuple) else ()
        fits = isinstance(given, tuple) and len(each) == rank
        for entry in each:
            sizes = entry if isinstance(entry, tuple) else (entry,)
            fits &= isinstance(entry, tuple) == is_padding and len(sizes) == 1 + is_padding
            fits &= not any(isinstance(size, tuple) for size in sizes)
            fits = fits and (is_padding or is_known_at_least(entry, 1))
        if not fits:
            what = "pairs (low, high)" if is_padding else "sizes of at least 1"
            example = ((0, 0) if is_padding else 1,) * rank
            raise ShapeError(
                explain(
                    op,
                    f"{name} to hold {what}, one for each axis that is swept: {rank}",
                    f"{name}={given} for x {x}",
                    f"Write for instance {name}={example}.",
                )
            )


def check_sweeps(
    op: str, sweeps: Sequence[Sweep], x: TensorType, first: int = 0, word: str = "window"
) -> Shape:
    """The number of windows along each axis; refuses windows larger than what they sweep.

    `first` is the axis of x that the first sweep is about; `word` is what the op calls a window.
    """
    for axis, sweep in enumerate(sweeps, first):
        too_large = is_known_at_least(sweep.reach - sweep.padded, 1)
        if too_large and not is_known_equal(sweep.size, 0):
            raise ShapeError(
                explain(
                    op,
                    f"a {word} that fits into the padded axis",
                    f"a {word} of {sweep.window} that reaches over {sweep.reach} places, on axis "
                    f"{axis} of x {x}, which has {sweep.padded} with padding "
                    f"({sweep.low}, {sweep.high})",
                    f"Use padding 'same', a smaller {word} or a smaller dilation.",
                )
            )
    return tuple(sweep.positions for sweep in sweeps)


def place(x: np.ndarray, sweeps: Sequence[Sweep], value: object, first: int = 0) -> np.ndarray:
    """x dilated and padded with a value along the axes from `first` on; x itself if as it is."""
    if all((each.low, each.high) == (0, 0) and each.padded == each.size for each in sweeps):
        return x
    before, after = (0,) * first, (0,) * (x.ndim - first - len(sweeps))
    return pad.evaluate(
        x,
        np.asarray(value, x.dtype),
        low=(*before, *(each.low for each in sweeps), *after),
        high=(*before, *(each.high for each in sweeps), *after),
        interior=(*before, *(each.input_dilation - 1 for each in sweeps), *after),
    )


def windows_along(x: np.ndarray, sweep: Sweep, axis: int) -> np.ndarray:
    """A view of a placed array: the windows in place of an axis, their elements as a last axis."""
    reach: Any = sweep.reach
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis)
    index: list[Any] = [slice(None)] * view.ndim
    index[axis] = slice(None, None, sweep.stride)
    index[-1] = slice(None, None, sweep.window_dilation)
    return view[tuple(index)]


def moving_axes(sweeps: Sequence[Sweep]) -> Iterator[tuple[int, Sweep]]:
    """The axes on which windows are more than the elements, from the last to the first."""
    for axis in reversed(range(len(sweeps))):
        if not sweeps[axis].is_trivial:
            yield axis, sweeps[axis]

"""Statistics: averages, quantiles, correlations, differences, counts in bins.

Results have a float type where they are means of any kind; counts of integers are int32.
"""

import operator
from collections.abc import Sequence
from typing import Any

from thalweg.array import manipulation, searching, signal, statistical, utility
from thalweg.array.creation import arange, zeros
from thalweg.array.data_types import astype
from thalweg.array.indexing import at
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.dtypes import result_type
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import (
    Sizes,
    agree,
    axes_of,
    axis_of,
    common_dtype,
    dtype_of,
    floats,
    like,
    shape_of,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

Axis = int | Sequence[int] | None

# Averages -----------------------------------------------------------------------------------------


def _average_spec(x: Any, weights: Any = None, axis: Axis = None) -> KerasTensor:
    shape = shape_of(x)
    axes = axes_of("average", axis, len(shape))
    axes = (axes,) if isinstance(axes, int) else axes
    if weights is not None:
        _check_weights(shape, shape_of(weights), axes)
    kept = [size for place, size in enumerate(shape) if axes is not None and place not in axes]
    return KerasTensor(kept, common_dtype(*_weighted(x, weights)))


def _weighted(x: Any, weights: Any) -> list[Any]:
    """What decides the element type of an average."""
    return [x, float] if weights is None else [x, float, weights]


def _check_weights(shape: Sizes, weights: Sizes, axes: tuple[int, ...] | None) -> None:
    options = [shape] if axes is None else [shape, tuple(shape[axis] for axis in axes)]
    for option in options:
        if len(option) == len(weights) and all(map(agree, option, weights)):
            return
    raise ShapeError(
        explain(
            "average",
            "`weights` of the same shape as `x`, or of the axes to average over",
            f"weights.shape={weights}, x.shape={shape} and axis={axes}",
        )
    )


@op(data=("x", "weights"), spec=_average_spec)
def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """The weighted mean over axes: sum(x * weights) / sum(weights); of a float type.

    `weights` have the shape of x, or the sizes of the axes.
    """
    dtype = common_dtype(*_weighted(x, weights))
    x = tensor(x, dtype)
    axis = axes_of("average", axis, x.ndim)
    return statistical.average(
        x, axis=axis, weights=None if weights is None else tensor(weights, dtype)
    )


# Quantiles ----------------------------------------------------------------------------------------


@op
def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle of the sorted elements over axes, or the mean of the two there."""
    return _quantile(statistical.median, x, (), axis, keepdims)


@op
def nanmedian(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The median of the elements that are not NaN."""
    return _quantile(statistical.nanmedian, x, (), axis, keepdims)


@op(data=("x", "q"))
def quantile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The values that the fractions q, from 0 to 1, of the sorted elements over axes lie below.

    The axes of q come first in the result, which has a float type. `method` is linear, lower,
    higher, midpoint or nearest.
    """
    return _quantile(statistical.quantile, x, (_fractions(q),), axis, keepdims, method=method)


@op(data=("x", "q"))
def nanquantile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The quantiles of the elements that are not NaN; see `quantile`."""
    return _quantile(statistical.nanquantile, x, (_fractions(q),), axis, keepdims, method=method)


@op(data=("x", "q"))
def percentile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The quantiles q/100 for q from 0 to 100; see `quantile`."""
    return _quantile(statistical.percentile, x, (_fractions(q),), axis, keepdims, method=method)


@op(data=("x", "q"))
def nanpercentile(
    x: Any, q: Any, axis: Axis = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The percentiles of the elements that are not NaN; see `quantile`."""
    return _quantile(statistical.nanpercentile, x, (_fractions(q),), axis, keepdims, method=method)


def _quantile(
    function: Any, x: Any, fractions: tuple, axis: Axis, keepdims: bool, **options: Any
) -> Tensor:
    x = floats(x)
    axis = axes_of(function.__name__, axis, x.ndim)
    return function(x, *fractions, axis=axis, keepdims=bool(keepdims), **options)


def _fractions(q: Any) -> Any:
    """q as it is where it is made of Python numbers, which are exact; else a tensor."""
    return tensor(q) if hasattr(q, "dtype") else q


# Correlations and differences ---------------------------------------------------------------------


def _corrcoef_spec(x: Any) -> KerasTensor:
    shape = shape_of(x)
    if len(shape) < 2:
        return KerasTensor((), common_dtype(x, float))
    # As Keras announces it: None for the columns where the number of observations is not known.
    return KerasTensor((shape[0], None if shape[1] is None else shape[0]), common_dtype(x, float))


@op(data=("x",), spec=_corrcoef_spec)
def corrcoef(x: Any) -> Tensor:
    """The correlation coefficients of variables, one a row: (V, N) -> (V, V); of a float type."""
    return statistical.corrcoef(floats(x))


MODES = ("valid", "same", "full")


def _correlate_spec(x1: Any, x2: Any, mode: str = "valid") -> KerasTensor:
    one, two = shape_of(x1), shape_of(x2)
    for name, shape in (("x1", one), ("x2", two)):
        if len(shape) != 1:
            wanted = f"`{name}` to be a 1-dimensional tensor"
            raise ShapeError(explain("correlate", wanted, f"{name}.shape={shape}"))
    if mode not in MODES:
        raise ArgumentError(
            explain("correlate", "`mode` to be either `valid`, `same`, or `full`", repr(mode))
        )
    size = None
    if one[0] is not None and two[0] is not None:
        long, short = max(one[0], two[0]), min(one[0], two[0])
        size = {"valid": long - short + 1, "same": long, "full": long + short - 1}[mode]
    return KerasTensor((size,), _correlation_dtype(x1, x2))


def _correlation_dtype(x1: Any, x2: Any) -> str:
    return common_dtype(x1, x2, float)


@op(data=("x1", "x2"), spec=_correlate_spec)
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The sums of x1[i + k] conj(x2[i]) for each shift k, of two signals (N,) and (M,).

    "full" has all N + M - 1 of them, "same" the middle max(N, M), "valid" those where the shorter
    signal lies within the longer one. Of a float type.
    """
    dtype = _correlation_dtype(x1, x2)
    return signal.correlate(tensor(x1, dtype), tensor(x2, dtype), mode)


def _diff_spec(a: Any, n: int = 1, axis: int = -1) -> KerasTensor:
    shape = list(shape_of(a))
    place = axis_of("diff", axis, len(shape))
    size = shape[place]
    shape[place] = None if size is None else max(size - n, 0)
    return like(a, shape)


@op(data=("a",), spec=_diff_spec)
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """The differences of neighbours along an axis, taken n times: (B, N) -> (B, N - n)."""
    a = tensor(a)
    return utility.diff(a, n=n, axis=axis_of("diff", axis, a.ndim))


def _trapezoid_spec(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> KerasTensor:
    shape = list(shape_of(y))
    del shape[axis_of("trapezoid", axis, len(shape))]
    return KerasTensor(shape, common_dtype(y, float))


@op(data=("y",), spec=_trapezoid_spec)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """The integral along an axis by the rule of trapezoids, at places x or `dx` apart.

    x has the shape of y, or one axis. Of a float type.
    """
    dtype = common_dtype(*(each for each in (y, x, float) if each is not None))
    y = manipulation.moveaxis(tensor(y, dtype), axis_of("trapezoid", axis, tensor(y).ndim), -1)
    if x is None:
        widths = tensor(dx, dtype)
    else:
        places = tensor(x, dtype)
        if places.ndim > 1:
            places = manipulation.moveaxis(places, axis_of("trapezoid", axis, places.ndim), -1)
        widths = utility.diff(places, axis=-1)
    heights = (y[..., 1:] + y[..., :-1]) / 2
    return statistical.sum(heights * widths, axis=-1, dtype=dtype)


# Counts -------------------------------------------------------------------------------------------


def _bincount_dtype(x: Any, weights: Any) -> str:
    return "int32" if weights is None else result_type(tensor(weights).dtype, dtype_of(x))


def _bincount_spec(
    x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False
) -> KerasTensor:
    is_sparse = bool(sparse) or getattr(x, "sparse", False)
    shape = (*shape_of(x)[:-1], None)
    return KerasTensor(shape, _bincount_dtype(x, weights), sparse=is_sparse)


@op(data=("x",), spec=_bincount_spec)
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in x, or the sum of its weights: (N,) or (B, N).

    The result is as long as the largest value asks for, at least `minlength`; its values are dense
    whatever `sparse` says. Raises ArgumentError for negative values.
    """
    x = tensor(x)
    if x.ndim not in (1, 2) or not x.dtype.is_integer:
        wanted = "integers along one axis, or two of which the first is a batch"
        raise ShapeError(explain("bincount", wanted, f"{x.dtype} of shape {x.shape}"))
    dtype = _bincount_dtype(x, weights)
    if weights is not None:
        weights = tensor(weights, dtype)
        if weights.shape != x.shape:
            received = f"weights.shape={weights.shape}, x.shape={x.shape}"
            raise ShapeError(explain("bincount", "a weight for each value", received))
    if x.ndim == 1:
        return astype(searching.bincount(x, weights, operator.index(minlength)), dtype)
    length = searching.bincount(manipulation.ravel(x), None, operator.index(minlength)).shape[0]
    start = zeros((x.shape[0], length), dtype=dtype)
    row = manipulation.broadcast_to(manipulation.expand_dims(arange(x.shape[0]), 1), x.shape)
    return at(start)[row, x].add(tensor(1, dtype) if weights is None else weights)


def _histogram_spec(x: Any, bins: int = 10, range: Any = None) -> tuple[KerasTensor, KerasTensor]:
    _check_histogram(bins, range)
    shape = shape_of(x)
    _check_line(shape)
    dtype = common_dtype(x, float)
    return KerasTensor((bins,), dtype), KerasTensor((bins + 1,), dtype)


@op(data=("x",), spec=_histogram_spec)
def histogram(x: Any, bins: int = 10, range: Any = None) -> tuple[Tensor, Tensor]:
    """How many values of x, of shape (N,), lie in each of equal bins, and the edges of the bins.

    The bins cover `range`, a pair, or by default all values; a bin holds its lower edge, and the
    last one its upper edge too. Both results have a float type.
    """
    _check_histogram(bins, range)
    x = floats(x)
    _check_line(x.shape)
    found, edges = searching.histogram(x, bins=operator.index(bins), range=range or None)
    return astype(found, x.dtype), edges


def _check_line(shape: Sequence[Any]) -> None:
    if len(shape) > 1:
        do = "Write keras.ops.ravel(x) first."
        wanted = "x with one axis. Input tensor must be 1-dimensional"
        raise ShapeError(explain("histogram", wanted, f"shape {tuple(shape)}", do))


def _check_histogram(bins: Any, range: Any) -> None:
    if isinstance(bins, bool) or not hasattr(bins, "__index__"):
        wanted = "Argument `bins` must be of type `int`"
        raise ArgumentTypeError(explain("histogram", f"a number of bins. {wanted}", repr(bins)))
    if bins < 0:
        wanted = "Argument `bins` should be a non-negative integer"
        raise ArgumentError(explain("histogram", f"a number of bins. {wanted}", f"{bins}"))
    if not range:
        return
    if not isinstance(range, tuple) or len(range) != 2:
        wanted = "Argument `range` must be a tuple of two elements"
        raise ArgumentError(explain("histogram", f"a pair (low, high). {wanted}", f"{range}"))
    if range[1] < range[0]:
        wanted = "The second element of `range` must be greater than the first"
        raise ArgumentError(explain("histogram", f"a pair (low, high). {wanted}", f"{range}"))

"""Reductions: sums, products, extremes, moments, tests and running sums over axes; without NaN too.

`axis` is one axis, several, or None for all; `keepdims` leaves them in place with size 1. Sums and
products of booleans and of integers narrower than 32 bits have type int32 or uint32; means and what
is made of them have a float type; positions and counts are int32.
"""

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.array import elementwise, manipulation, searching, statistical, utility
from thalweg.array.creation import full
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_equal
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import as_int32, axes_of, axis_of, floats
from thalweg.keras.variable import tensor

Axis = int | Sequence[int] | None

WIDER = {
    "bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32",
}  # fmt: skip
"""In which element type sums and products of narrow integers are."""


def accumulating_dtype(dtype: Any) -> str:
    """The element type of a sum or product of elements of a type."""
    name = standardize_dtype(dtype)
    return WIDER.get(name, name)


def _reduced(function: Callable, x: Tensor, axis: Axis, keepdims: bool, **options: Any) -> Tensor:
    axis = axes_of(function.__name__, axis, x.ndim)
    return function(x, axis=axis, keepdims=bool(keepdims), **options)


def _accumulated(
    function: Callable, x: Any, axis: Axis, keepdims: bool, dtype: Any = None
) -> Tensor:
    x = tensor(x)
    wanted = standardize_dtype(dtype) if dtype is not None else accumulating_dtype(x.dtype)
    return _reduced(function, x, axis, keepdims, dtype=wanted)


# Sums and products --------------------------------------------------------------------------------


@op
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes; 0 for no elements."""
    return _accumulated(statistical.sum, x, axis, keepdims)


@op
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """The product over axes, computed in `dtype` where it is given; 1 for no elements."""
    return _accumulated(statistical.prod, x, axis, keepdims, dtype)


@op
def nansum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes, NaN counting as 0."""
    return _accumulated(statistical.nansum, x, axis, keepdims)


@op
def nanprod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over axes, NaN counting as 1."""
    return _accumulated(statistical.nanprod, x, axis, keepdims)


# Extremes -----------------------------------------------------------------------------------------


@op
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The largest element over axes, at least `initial`; NaN if any is.

    Raises ShapeError for no elements without `initial`.
    """
    return _extreme(statistical.max, elementwise.maximum, x, axis, keepdims, initial)


@op
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
    """The smallest element over axes, at most `initial`; NaN if any is.

    Raises ShapeError for no elements without `initial`.
    """
    return _extreme(statistical.min, elementwise.minimum, x, axis, keepdims, initial)


def _extreme(
    function: Callable, meet: Callable, x: Any, axis: Axis, keepdims: bool, initial: Any
) -> Tensor:
    x = tensor(x)
    if initial is None:
        return _reduced(function, x, axis, keepdims)
    start = tensor(initial, x.dtype)
    if start.ndim:
        raise ArgumentError(
            explain(function.__name__, "one number as `initial`", f"shape {start.shape}")
        )
    if not _is_empty(x):
        found = _reduced(function, x, axis, keepdims)
    else:
        # Nothing to compare with where an axis is empty: a sum has the shape that is wanted.
        found = full(_reduced(statistical.sum, x, axis, keepdims).shape, start)
    if x.dtype.kind == "bool":
        logical = elementwise.logical_or if meet is elementwise.maximum else elementwise.logical_and
        return logical(found, start)
    return meet(found, start)


def _is_empty(x: Tensor) -> bool:
    """True where a size is known to be 0."""
    return True in [is_known_equal(size, 0) for size in x.shape]


@op
def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes; NaN if any is. Raises ShapeError for no elements."""
    return _reduced(statistical.max, tensor(x), axis, keepdims)


@op
def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes; NaN if any is. Raises ShapeError for no elements."""
    return _reduced(statistical.min, tensor(x), axis, keepdims)


@op
def nanmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes that is not NaN; NaN where all are."""
    return _reduced(statistical.nanmax, tensor(x), axis, keepdims)


@op
def nanmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes that is not NaN; NaN where all are."""
    return _reduced(statistical.nanmin, tensor(x), axis, keepdims)


@op
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest less the smallest element over axes."""
    return _reduced(statistical.ptp, tensor(x), axis, keepdims)


# Moments ------------------------------------------------------------------------------------------


@op
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over axes: of integers and booleans float32, computed in at least float32."""
    return _reduced(statistical.mean, tensor(x), axis, keepdims)


@op
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance over axes, the squared distances divided by their number; of a float type."""
    return _reduced(statistical.var, floats(x), axis, keepdims)


@op
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over axes: the root of `var`."""
    return _reduced(statistical.std, floats(x), axis, keepdims)


@op
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of the elements that are not NaN; NaN where all are. Of a float type."""
    return _reduced(statistical.nanmean, floats(x), axis, keepdims)


@op
def nanvar(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance of the elements that are not NaN; NaN where all are. Of a float type."""
    return _reduced(statistical.nanvar, floats(x), axis, keepdims)


@op
def nanstd(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The standard deviation of the elements that are not NaN: the root of `nanvar`."""
    return _reduced(statistical.nanstd, floats(x), axis, keepdims)


# Tests and counts ---------------------------------------------------------------------------------


@op
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over axes are true, or not 0."""
    return _reduced(utility.all, tensor(x), axis, keepdims)


@op
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element over axes is true, or not 0."""
    return _reduced(utility.any, tensor(x), axis, keepdims)


@op
def count_nonzero(x: Any, axis: Axis = None) -> Tensor:
    """How many elements over axes are not 0; int32."""
    return as_int32(_reduced(searching.count_nonzero, tensor(x), axis, False))


# Positions ----------------------------------------------------------------------------------------


@op
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first largest element along an axis, or in the flattened x; int32."""
    return as_int32(_reduced(searching.argmax, tensor(x), axis, keepdims))


@op
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the first smallest element along an axis, or in the flattened x; int32."""
    return as_int32(_reduced(searching.argmin, tensor(x), axis, keepdims))


@op
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """As `argmax`, without the elements that are NaN; -1 where all are."""
    return as_int32(_reduced(statistical.nanargmax, tensor(x), axis, keepdims))


@op
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """As `argmin`, without the elements that are NaN; -1 where all are."""
    return as_int32(_reduced(statistical.nanargmin, tensor(x), axis, keepdims))


# Running sums and products ------------------------------------------------------------------------


@op
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The sum of the elements so far along an axis, or of the flattened x.

    It has the element type of x, int32 for booleans, or `dtype` where it is given.
    """
    return _running(statistical.cumulative_sum, "cumsum", x, axis, dtype)


@op
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """The product of the elements so far along an axis, or of the flattened x; see `cumsum`."""
    return _running(statistical.cumulative_prod, "cumprod", x, axis, dtype)


@op
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """As `cumsum`, NaN counting as 0."""
    return _running(statistical.nancumsum, "nancumsum", x, axis, dtype)


@op
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """As `cumprod`, NaN counting as 1."""
    return _running(statistical.nancumprod, "nancumprod", x, axis, dtype)


def _running(function: Callable, name: str, x: Any, axis: Any, dtype: Any) -> Tensor:
    x = tensor(x)
    if dtype is None:
        dtype = "int32" if x.dtype.kind == "bool" else x.dtype
    dtype = standardize_dtype(dtype)
    if isinstance(axis, (tuple, list)) and not axis:
        # Along no axis each element is the first.
        alone = function(manipulation.expand_dims(x, -1), axis=-1, dtype=dtype)
        return manipulation.squeeze(alone, -1)
    if isinstance(axis, (tuple, list)) and len(axis) == 1:
        (axis,) = axis
    if axis is None:
        x, axis = manipulation.ravel(x), 0
    return function(x, axis=axis_of(name, axis, x.ndim), dtype=dtype)

"""Creation: constants, ranges, matrices, windows, and the same bits in another type."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.array import creation, elementwise, manipulation, searching, signal, statistical
from thalweg.array.data_types import astype
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim
from thalweg.ir.types import DType, as_dtype, bool_
from thalweg.keras import settings
from thalweg.keras.dtypes import is_float_dtype, result_type, standardize_dtype
from thalweg.keras.operation import op
from thalweg.keras.ops.numpy.rows import public
from thalweg.keras.ops.operands import common_dtype, count, dtype_of, like, shape_of
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

# thalweg.ops is met directly here only: the array floor has no name for reading bits anew.
from thalweg.ops.elementwise import bitcast

# Constants ----------------------------------------------------------------------------------------


def _dtype(dtype: Any) -> str:
    return standardize_dtype(dtype or settings.floatx())


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """Zeros, of the default float type where no other is asked for."""
    return creation.zeros(shape, dtype=_dtype(dtype))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Ones, of the default float type where no other is asked for."""
    return creation.ones(shape, dtype=_dtype(dtype))


def empty(shape: Any, dtype: Any = None) -> Tensor:
    """A tensor of a shape. Its values are 0, so that programs repeat."""
    return creation.empty(shape, dtype=_dtype(dtype))


def _full_spec(shape: Any, fill_value: Any, dtype: Any = None) -> KerasTensor:
    return KerasTensor(shape if hasattr(shape, "__iter__") else (shape,), dtype=_dtype(dtype))


@op(data=("fill_value",), spec=_full_spec)
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """One value everywhere, converted to `dtype`; a tensor's values are broadcast."""
    return _filled(shape, fill_value, _dtype(dtype))


def _filled(shape: Any, value: Any, dtype: str) -> Tensor:
    # A number that fits the type can stay one, and so a constant of the graph.
    fits = (bool, int, float, complex) if as_dtype(dtype).is_inexact else (bool, int)
    if not isinstance(value, fits):
        value = tensor(value)
    return creation.full(shape, value, dtype=dtype)


def _filled_like(name: str, value: int) -> Any:
    function = getattr(creation, name)

    def of_same_shape(x: Any, dtype: Any = None) -> Tensor:
        x = tensor(x)
        return function(x, dtype=None if dtype is None else standardize_dtype(dtype))

    doc = f"{value} everywhere, with the shape of x and its type or `dtype`."
    return public(of_same_shape, name, doc)


zeros_like = _filled_like("zeros_like", 0)
ones_like = _filled_like("ones_like", 1)
empty_like = _filled_like("empty_like", 0)


@op(data=("x", "fill_value"))
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """One value everywhere, with the shape of x and its type or `dtype`; tensors are broadcast."""
    x = tensor(x)
    return _filled(x.shape, fill_value, standardize_dtype(dtype or x.dtype))


@op
def array(x: Any, dtype: Any = None) -> Tensor:
    """The tensor of an array, number or nested lists; numbers are int32 or the default float."""
    return tensor(x, dtype)


@op
def copy(x: Any) -> Tensor:
    """The tensor of x. Tensors never change, so nothing is copied."""
    return tensor(x)


# Ranges -------------------------------------------------------------------------------------------


@op(data=("start", "stop", "step"))
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """start, start + step, ... up to but not including stop; `arange(n)` counts from 0.

    Numbers give int32 or the default float type.
    """
    if dtype is None:
        given = [each for each in (start, stop, step) if each is not None]
        dtype = result_type(*(int if isinstance(each, Dim) else dtype_of(each) for each in given))
    return creation.arange(start, stop, 1 if step is None else step, dtype=standardize_dtype(dtype))


@op(data=("start", "stop"))
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """`num` numbers at equal distances from start to stop, which is met, or left out.

    start and stop broadcast; the numbers lie along a new axis. An integer `dtype` rounds down. With
    `retstep` also the distance, NaN where there is none.
    """
    found = common_dtype(start, stop, float)
    wanted = found if dtype is None else standardize_dtype(dtype)
    many = num.__index__()
    row: Any
    distance: Any
    if _are_known(start, stop):
        row, distance = np.linspace(start, stop, many, endpoint, retstep=True, axis=axis)
    else:
        row, distance = _Line(start, stop, many, endpoint, axis).numbers()
    if as_dtype(wanted).is_integer:
        row = elementwise.floor(row)
    row = tensor(row, wanted)
    return (row, tensor(distance, found)) if retstep else row


@op(data=("start", "stop"))
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10,
    dtype: Any = None, axis: int = 0,
) -> Tensor:  # fmt: skip
    """base**start to base**stop in `num` numbers, with equal distances of the exponents.

    start and stop broadcast; the numbers lie along a new axis.
    """
    wanted = common_dtype(start, stop, float) if dtype is None else dtype
    many = num.__index__()
    if _are_known(start, stop, base):
        with np.errstate(all="ignore"):
            row = np.logspace(start, stop, many, endpoint, base, axis=axis)
    else:
        exponents, _ = _Line(start, stop, many, endpoint, axis).numbers()
        row = elementwise.pow(tensor(base, exponents.dtype), exponents)
    return tensor(row, wanted)


@op(data=("start", "stop"))
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Tensor:
    """`num` numbers from start to stop, each the same multiple of the one before.

    start and stop broadcast and have one sign; the numbers lie along a new axis.
    """
    wanted = common_dtype(start, stop, float) if dtype is None else dtype
    many = num.__index__()
    row: Any
    if _are_known(start, stop):
        try:
            with np.errstate(all="ignore"):
                row = np.geomspace(start, stop, many, endpoint, axis=axis)
        except ValueError as error:
            received = f"start={start}, stop={stop}: {error}"
            raise ArgumentError(explain("geomspace", "numbers other than 0", received)) from None
    else:
        row = _Line(start, stop, many, endpoint, axis).multiples()
    return tensor(row, wanted)


def _are_known(*values: Any) -> bool:
    """True for numbers and arrays, which NumPy spaces in double precision."""
    return not any(isinstance(value, (Tensor, Variable, Dim)) for value in values)


class _Line:
    """Numbers between tensors along a new axis, computed in single precision at least."""

    def __init__(self, start: Any, stop: Any, count: int, endpoint: bool, axis: int):
        work = common_dtype(start, stop, float)
        if as_dtype(work).bits == 16:
            work = "float32"
        ends = manipulation.broadcast_arrays(tensor(start, work), tensor(stop, work))
        self.first, self.last = (manipulation.expand_dims(end, axis=axis) for end in ends)
        self.gaps = count - 1 if endpoint else count
        self.has_last = endpoint and count > 1
        shape = [1] * self.first.ndim
        shape[axis] = count
        self.axis = axis
        self.place = manipulation.reshape(creation.arange(count, dtype=work), tuple(shape))

    def numbers(self) -> tuple[Tensor, Tensor]:
        """Numbers at equal distances, and the distance."""
        reach = elementwise.subtract(self.last, self.first)
        # Before the division the products are exact for small integers, and so is what follows.
        moved = elementwise.divide(elementwise.multiply(reach, self.place), float(self.gaps or 1))
        distance = elementwise.divide(reach, float(self.gaps or "nan"))
        row = self._ended(elementwise.add(self.first, moved))
        return row, manipulation.squeeze(distance, axis=self.axis)

    def multiples(self) -> Tensor:
        """Numbers at equal distances of their logarithms; NaN between ends of unequal sign."""
        signs = [elementwise.sign(end) for end in (self.first, self.last)]
        logarithms = [elementwise.log(elementwise.abs(end)) for end in (self.first, self.last)]
        reach = elementwise.subtract(logarithms[1], logarithms[0])
        moved = elementwise.divide(elementwise.multiply(reach, self.place), float(self.gaps or 1))
        size = elementwise.exp(elementwise.add(logarithms[0], moved))
        sign = searching.where(elementwise.equal(*signs), signs[0], float("nan"))
        row = elementwise.multiply(sign, size)
        return self._ended(searching.where(elementwise.equal(self.place, 0), self.first, row))

    def _ended(self, row: Tensor) -> Tensor:
        if not self.has_last:
            return row
        return searching.where(elementwise.equal(self.place, self.gaps), self.last, row)


@op(data=("x",))
def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid: one tensor for each flattened argument, each as large as the grid.

    `ij` puts the axes in the order of the arguments, `xy` swaps the first two.
    """
    return creation.meshgrid(*(manipulation.ravel(tensor(each)) for each in x), indexing=indexing)


# Matrices -----------------------------------------------------------------------------------------


def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the k-th diagonal of a matrix of N rows and M columns, zeros elsewhere.

    Raises ArgumentTypeError for sizes that are no integers.
    """
    for name, size in (("N", N), ("M", M)):
        kind = float if isinstance(size, float) else getattr(size, "dtype", int)
        if kind is float or (kind is not int and is_float_dtype(kind)):
            wanted = f"integers as sizes; Argument `{name}` must be an integer or an integer tensor"
            raise ArgumentTypeError(explain("eye", wanted, f"{name}={size!r}"))
    return creation.eye(N, M, k=k, dtype=_dtype(dtype))


def identity(n: Any, dtype: Any = None) -> Tensor:
    """The square identity matrix of n rows."""
    return creation.eye(n, dtype=_dtype(dtype))


def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on and below the k-th diagonal of a matrix of N rows and M columns, zeros above."""
    return creation.tri(N, M, k=k, dtype=_dtype(dtype))


@op
def tril(x: Any, k: int = 0) -> Tensor:
    """x with zeros above the k-th diagonal of its last two axes."""
    return creation.tril(tensor(x), k=k)


@op
def triu(x: Any, k: int = 0) -> Tensor:
    """x with zeros below the k-th diagonal of its last two axes."""
    return creation.triu(tensor(x), k=k)


def _diag_spec(x: Any, k: int = 0) -> KerasTensor:
    shape = shape_of(x)
    if len(shape) == 1:
        return _diagflat_spec(x, k)
    if len(shape) != 2:
        wanted = "a vector or a matrix; `x` must be 1-D or 2-D"
        raise ShapeError(explain("diag", wanted, f"shape {shape}"))
    rows, columns = shape
    if rows is None or columns is None:
        return like(x, (None,))
    return like(x, (max(min(rows + min(k, 0), columns - max(k, 0)), 0),))


def _diagflat_spec(x: Any, k: int = 0) -> KerasTensor:
    size = count(shape_of(x))
    size = None if size is None else size + abs(k)
    return like(x, (size, size))


@op(spec=_diag_spec)
def diag(x: Any, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix; for a vector, the matrix that has it there."""
    x = tensor(x)
    return _matrix_of(x, k) if x.ndim == 1 else creation.diag(x, k=k)


@op(spec=_diagflat_spec)
def diagflat(x: Any, k: int = 0) -> Tensor:
    """The matrix that has the flattened x on its k-th diagonal."""
    return _matrix_of(manipulation.ravel(tensor(x)), k)


def _matrix_of(vector: Tensor, k: int) -> Tensor:
    """Each row, or for k < 0 each column, holds one element everywhere; the diagonal is kept."""
    padded = manipulation.pad(vector, ((0, abs(k)),))
    size = padded.shape[0]
    spread = manipulation.expand_dims(padded, axis=1 if k >= 0 else 0)
    return searching.where(creation.eye(size, k=k, dtype="bool"), spread, zeros_like(spread))


@op
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements, a row for each: N columns, or as many as elements.

    The powers descend to 0, or ascend from 0 if `increasing`.
    """
    x = tensor(x)
    if x.ndim != 1:
        raise ShapeError(explain("vander", "a tensor of one axis", f"shape {tuple(x.shape)}"))
    powers = creation.arange(x.shape[0] if N is None else N, dtype=x.dtype)
    if not increasing:
        powers = manipulation.flip(powers)
    return elementwise.pow(manipulation.expand_dims(x, axis=1), powers)


# Windows ------------------------------------------------------------------------------------------


def bartlett(x: Any) -> Tensor:
    """A triangle of x weights, from 0 up to 1 and down; of the default float type."""
    return signal.bartlett(_length(x), periodic=False, dtype=settings.floatx())


def blackman(x: Any) -> Tensor:
    """Blackman's window of x weights, from 0 up to 1 and down; of the default float type."""
    return signal.blackman(_length(x), periodic=False, dtype=settings.floatx())


def hamming(x: Any) -> Tensor:
    """Hamming's window of x weights, from 0.08 up to 1 and down; of the default float type."""
    return signal.hamming(_length(x), periodic=False, dtype=settings.floatx())


def hanning(x: Any) -> Tensor:
    """Hann's window of x weights, from 0 up to 1 and down; of the default float type."""
    return signal.hann(_length(x), periodic=False, dtype=settings.floatx())


def kaiser(x: Any, beta: Any) -> Tensor:
    """Kaiser's window of x weights, narrower for a larger `beta`; of the default float type."""
    return signal.kaiser(_length(x), float(beta), periodic=False, dtype=settings.floatx())


def _length(x: Any) -> int:
    """How many weights; none for negative numbers."""
    return max(int(x), 0)


# Bits ---------------------------------------------------------------------------------------------


def _view_spec(x: Any, dtype: Any = None) -> KerasTensor:
    shape, have, wanted = shape_of(x), as_dtype(dtype_of(x)), _viewed(x, dtype)
    _check_view(shape, have, wanted)
    if have.bits == wanted.bits or shape[-1] is None:
        return like(x, shape, wanted.name)
    return like(x, (*shape[:-1], shape[-1] * have.bits // wanted.bits), wanted.name)


@op(spec=_view_spec)
def view(x: Any, dtype: Any = None) -> Tensor:
    """The bits of x read as another type. Where its width differs so does the last axis: wider
    elements join neighbours, narrower ones divide, the lowest bits first.

    Raises DTypeError for booleans, and ShapeError where the elements do not come out even.
    """
    x = tensor(x)
    wanted = _viewed(x, dtype)
    _check_view(x.shape, x.dtype, wanted)
    if x.dtype.bits == wanted.bits:
        return _bits_as(x, wanted)
    whole = _bits_as(x, as_dtype(f"uint{x.dtype.bits}"))
    parts = _divided if wanted.bits < x.dtype.bits else _joined
    return _bits_as(parts(whole, as_dtype(f"uint{wanted.bits}")), wanted)


def _viewed(x: Any, dtype: Any) -> DType:
    return as_dtype(standardize_dtype(dtype or x.dtype))


def _check_view(shape: Sequence[Any], have: DType, wanted: DType) -> None:
    if have is wanted:
        return
    if bool_ in (have, wanted) or have.is_complex or wanted.is_complex:
        raise DTypeError(explain("view", "real numbers", f"{have} as {wanted}"))
    if have.bits == wanted.bits:
        return
    if not shape:
        received = f"{have} as {wanted}"
        raise ShapeError(explain("view", "a type of equal width for a scalar", received))
    if isinstance(shape[-1], int) and shape[-1] * have.bits % wanted.bits:
        received = f"shape {tuple(shape)} of {have} as {wanted}"
        multiple = f"a last axis of a multiple of {wanted.bits // have.bits} elements"
        raise ShapeError(explain("view", multiple, received))


def _bits_as(x: Tensor, dtype: DType) -> Tensor:
    return x if x.dtype is dtype else wrap(bitcast(node_of(x), dtype=dtype))


def _divided(x: Tensor, narrow: DType) -> Tensor:
    """[..., n] -> [..., n r], each element divided into r."""
    count = x.dtype.bits // narrow.bits
    places = creation.arange(0, x.dtype.bits, narrow.bits, dtype=x.dtype)
    parts = elementwise.bitwise_right_shift(manipulation.expand_dims(x, axis=-1), places)
    parts = elementwise.bitwise_and(parts, 2**narrow.bits - 1)
    return manipulation.reshape(astype(parts, narrow), (*x.shape[:-1], x.shape[-1] * count))


def _joined(x: Tensor, wide: DType) -> Tensor:
    """[..., n r] -> [..., n], each r elements joined to one."""
    count = wide.bits // x.dtype.bits
    groups = manipulation.reshape(astype(x, wide), (*x.shape[:-1], x.shape[-1] // count, count))
    places = creation.arange(0, wide.bits, x.dtype.bits, dtype=wide)
    return statistical.sum(elementwise.bitwise_left_shift(groups, places), axis=-1, dtype=wide)

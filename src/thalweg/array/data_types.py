"""Element types: their names, their limits, how they combine, and converting to them.

The lattice is in `ir/types.py`. Names, argument order and results are those of the Python Array
API standard 2024.12, section "Data type functions"; what it leaves open is decided so: an integer
with a float keeps the float, uint64 with a signed integer has no common type, and the default types
are float32, int64 and complex64.
"""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from thalweg.array.operands import (
    check_device,
    from_lists,
    is_number,
    refuse_real,
    result_dtype,
    to_tensor,
)
from thalweg.base.errors import ArgumentError, DTypeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.types import (
    COMPLEX,
    FLOATS,
    INTEGERS,
    NUMERIC,
    SIGNED,
    UNSIGNED,
    DType,
    as_dtype,
    bfloat16,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    promote,
    uint8,
    uint16,
    uint32,
    uint64,
)
from thalweg.ops.elementwise import cast

__all__ = [
    "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
    "astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type",
    "FloatInfo", "IntegerInfo", "KINDS",
]  # fmt: skip

KINDS: dict[str, tuple[DType, ...]] = {
    "bool": (bool_,),
    "signed integer": SIGNED,
    "unsigned integer": UNSIGNED,
    "integral": INTEGERS,
    "real floating": FLOATS,
    "complex floating": COMPLEX,
    "numeric": NUMERIC,
}
"""The kinds of element types that the standard names."""


@dataclass(frozen=True, slots=True)
class FloatInfo:
    """The limits of a float type; `eps` is the gap between 1 and the next larger number."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True, slots=True)
class IntegerInfo:
    """The limits of an integer type."""

    bits: int
    max: int
    min: int
    dtype: DType


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """The same values in another element type.

    Floats become integers toward zero and saturate, NaN becomes 0. A complex tensor does not turn
    real: raises DTypeError. Tensors are immutable, so `copy` makes no difference.
    """
    check_device("astype", device)
    target = as_dtype(dtype)
    if not isinstance(x, Tensor):
        x = from_lists(x, "astype", target) if is_number(x) else to_tensor(x, "astype")
    refuse_real("astype", x.dtype, target)
    if x.dtype is target and not x._weak:
        return x
    return wrap(cast(node_of(x), dtype=target))


def can_cast(from_: Any, to: Any, /) -> bool:
    """True when promotion leads from one element type to another; `from_` may be a tensor."""
    source, target = _dtype_of(from_), as_dtype(to)
    try:
        return promote(source, target) is target
    except DTypeError:
        return False


def finfo(type: Any, /) -> FloatInfo:
    """The limits of a float type, or of the parts of a complex one; `type` may be a tensor."""
    dtype = _dtype_of(type)
    if not dtype.is_inexact:
        raise DTypeError(explain("finfo", "a float or complex type", str(dtype), "Use iinfo."))
    dtype = dtype.real
    info = ml_dtypes.finfo(dtype.numpy)
    return FloatInfo(
        bits=dtype.bits,
        eps=float(info.eps),
        max=float(info.max),
        min=float(info.min),
        smallest_normal=float(info.smallest_normal),
        dtype=dtype,
    )


def iinfo(type: Any, /) -> IntegerInfo:
    """The limits of an integer type; `type` may be a tensor."""
    dtype = _dtype_of(type)
    if not dtype.is_integer:
        raise DTypeError(explain("iinfo", "an integer type", str(dtype), "Use finfo for floats."))
    info = np.iinfo(dtype.numpy)
    return IntegerInfo(bits=dtype.bits, max=int(info.max), min=int(info.min), dtype=dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """True when an element type is of a kind: a name of `KINDS`, a type, or a tuple of these."""
    found = as_dtype(dtype)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return any(found in KINDS.get(each, ()) or found is _as_kind(each) for each in kinds)


def _as_kind(kind: Any) -> DType | None:
    if isinstance(kind, str) and kind in KINDS:
        return None
    try:
        return as_dtype(kind)
    except DTypeError:
        names = ", ".join(map(repr, KINDS))
        raise ArgumentError(
            explain("isdtype", f"an element type or one of {names}", repr(kind))
        ) from None


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The promoted element type of tensors, arrays, element types and (weak) Python numbers."""
    if not arrays_and_dtypes:
        raise ArgumentError(explain("result_type", "at least one operand", "none"))
    return result_dtype("result_type", [_operand(each) for each in arrays_and_dtypes])


def _operand(value: Any) -> Any:
    return value if is_number(value) or hasattr(value, "dtype") else as_dtype(value)


def _dtype_of(value: Any) -> DType:
    """The element type of a tensor or array, or the one that a dtype names."""
    is_array = isinstance(value, (Tensor, Variable, np.ndarray, np.generic))
    return to_tensor(value).dtype if is_array else as_dtype(value)

"""Element types by their names: reading what users write, and which type operands meet in."""

import functools
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, DTypeError, explain
from thalweg.ir.types import DType, as_dtype, promote
from thalweg.keras import settings

ALLOWED_DTYPES = (
    "float16", "float32", "float64", "uint8", "uint16", "uint32", "uint64", "int8", "int16",
    "int32", "int64", "bfloat16", "bool", "string", "float8_e4m3fn", "float8_e5m2", "complex64",
    "complex128",
)  # fmt: skip
PYTHON_TYPES = {bool: "bool", int: "int32", str: "string", "int": "int32", "str": "string"}
WEAK = (bool, int, float, complex)


def standardize_dtype(dtype: Any) -> str:
    """The name of an element type: of a string, a Python, NumPy or Thalweg type; floatx for None.

    Raises ArgumentError for what is no element type.
    """
    if dtype.__class__ is DType:
        return dtype.name
    if dtype is None:
        return settings.floatx()
    if dtype is float:
        return settings.floatx()
    if isinstance(dtype, str) and dtype == "float":  # NumPy says that its float64 equals it
        return settings.floatx()
    if isinstance(dtype, (type, str)) and dtype in PYTHON_TYPES:
        return PYTHON_TYPES[dtype]
    if isinstance(dtype, str) and dtype in ALLOWED_DTYPES:
        return str(dtype)
    name = _name(dtype)
    if name not in ALLOWED_DTYPES:
        raise ArgumentError(
            explain("dtype", f"one of {', '.join(ALLOWED_DTYPES)}", f"Invalid dtype: {dtype}")
        )
    return name


def _name(dtype: Any) -> str:
    if isinstance(dtype, np.dtype) and dtype.kind in "SUT":
        return "string"
    name = getattr(dtype, "name", None)
    if isinstance(name, str):
        return name
    text = str(dtype)
    if "torch" in text or "jax.numpy" in text:
        return text.replace("'>", "").split(".")[-1]
    if isinstance(dtype, (type, np.dtype)):
        try:
            return np.dtype(dtype).name
        except TypeError:
            pass
    return getattr(dtype, "__name__", text)


def is_float_dtype(dtype: Any) -> bool:
    """True for a floating-point element type, bfloat16 and float8 included."""
    return standardize_dtype(dtype).startswith(("float", "bfloat"))


def is_int_dtype(dtype: Any) -> bool:
    """True for an integer element type, unsigned ones included."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


def result_type(*dtypes: Any) -> str:
    """The element type in which operands of these types meet; float32 for none.

    `int` and `float` themselves stand for Python numbers: they take the type of what they meet.
    The lattice is JAX's. 64 bits come only of 64 bits: uint32 and int32 meet in int32. Raises
    ArgumentError for float8, which converts only when asked to.
    """
    if not dtypes:
        return settings.floatx()
    return _result_type(
        tuple(
            each if isinstance(each, type) and each in WEAK else standardize_dtype(each)
            for each in dtypes
        ),
        settings.floatx(),
    )


@functools.cache
def _result_type(dtypes: tuple[Any, ...], floatx: str) -> str:
    named = {each for each in dtypes if isinstance(each, str)}
    if any(name.startswith("float8") for name in named) and len(set(dtypes)) > 1:
        raise ArgumentError(
            explain(
                "result_type",
                "element types that convert into each other; there is no implicit conversions "
                "from float8 dtypes to others",
                str(dtypes),
                "Cast first: keras.ops.cast(x, 'float32').",
            )
        )
    weak = [WEAK.index(each) for each in dtypes if not isinstance(each, str)]
    found = functools.reduce(_promote, sorted(named)) if named else None
    if not weak:
        assert found is not None
        return found
    strongest = WEAK[max(weak)]
    if found is None:
        return {bool: "bool", int: "int32", float: floatx, complex: "complex64"}[strongest]
    dtype = as_dtype(found)
    if strongest is complex:
        return found if dtype.is_complex else "complex128" if found == "float64" else "complex64"
    if strongest is float:
        return found if dtype.is_inexact else floatx
    return "int32" if strongest is int and found == "bool" else found


def _promote(a: str, b: str) -> str:
    try:
        found = promote(as_dtype(a), as_dtype(b)).name
        return "int32" if found == "int64" and "int64" not in (a, b) else found
    except DTypeError:
        # uint64 and a signed integer have no integer type in common.
        return settings.floatx()

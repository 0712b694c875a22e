"""Element types and tensor types: what a node is, before any value exists.

The lattice of element types:

    bool
    int8 -> int16 -> int32 -> int64
    uint8 -> uint16 -> uint32 -> uint64      (uintN with a signed type -> the next wider signed)
    float16, bfloat16 -> float32 -> float64  (float16 with bfloat16 -> float32)
    complex64 -> complex128                  (float64 with complex64 -> complex128)

An integer with a float keeps the float; uint64 with a signed integer has no common type and is
refused. Both choices are left open by the Array API standard. A Python number is weak: it takes
the other operand's type unless its kind is higher.
"""

from typing import Any

import ml_dtypes
import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.ir.dim import Dim, as_size, bounds

Size = int | Dim
Shape = tuple[Size, ...]


class DType:
    """One element type; there is exactly one object for each."""

    __slots__ = ("bits", "kind", "name", "numpy", "short")

    def __init__(self, name: str, short: str, kind: str, bits: int, numpy: Any):
        self.name = name
        self.short = short
        self.kind = kind
        self.bits = bits
        self.numpy = np.dtype(numpy)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def is_inexact(self) -> bool:
        """True for floats and complex numbers: the types that have derivatives."""
        return self.kind in ("float", "complex")

    @property
    def is_integer(self) -> bool:
        return self.kind in ("int", "uint")

    @property
    def is_complex(self) -> bool:
        return self.kind == "complex"

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def real(self) -> "DType":
        """The float type of a complex type's parts; any other type itself."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def __repr__(self) -> str:
        return f"thalweg.{self.name}"

    def __str__(self) -> str:
        return self.name

    def __reduce__(self):
        return as_dtype, (self.name,)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, DType) or other is None:
            return False
        return _lookup(other) is self

    # Names and NumPy dtypes compare equal but hash differently, as NumPy's own dtypes do:
    # the identity hash keeps the interning tables fast.
    __hash__ = object.__hash__


bool_ = DType("bool", "bool", "bool", 8, np.bool_)
int8 = DType("int8", "i8", "int", 8, np.int8)
int16 = DType("int16", "i16", "int", 16, np.int16)
int32 = DType("int32", "i32", "int", 32, np.int32)
int64 = DType("int64", "i64", "int", 64, np.int64)
uint8 = DType("uint8", "u8", "uint", 8, np.uint8)
uint16 = DType("uint16", "u16", "uint", 16, np.uint16)
uint32 = DType("uint32", "u32", "uint", 32, np.uint32)
uint64 = DType("uint64", "u64", "uint", 64, np.uint64)
float16 = DType("float16", "f16", "float", 16, np.float16)
bfloat16 = DType("bfloat16", "bf16", "float", 16, ml_dtypes.bfloat16)
float32 = DType("float32", "f32", "float", 32, np.float32)
float64 = DType("float64", "f64", "float", 64, np.float64)
complex64 = DType("complex64", "c64", "complex", 64, np.complex64)
complex128 = DType("complex128", "c128", "complex", 128, np.complex128)

SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGERS = SIGNED + UNSIGNED
FLOATS = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
REAL = INTEGERS + FLOATS
INEXACT = FLOATS + COMPLEX
NUMERIC = INTEGERS + INEXACT
DTYPES = (bool_, *NUMERIC)

DEFAULT_FLOAT = float32
DEFAULT_INT = int64
DEFAULT_COMPLEX = complex64

by_short = {dtype.short: dtype for dtype in DTYPES}
_by_name = {dtype.name: dtype for dtype in DTYPES}
_by_numpy = {dtype.numpy: dtype for dtype in DTYPES}
_by_python = {bool: bool_, int: DEFAULT_INT, float: DEFAULT_FLOAT, complex: DEFAULT_COMPLEX}


def _lookup(dtype: Any) -> DType | None:
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, str):
        return _by_name.get(dtype) or by_short.get(dtype)
    if dtype is None:
        return None  # NumPy would take it for float64
    if isinstance(dtype, type) and dtype in _by_python:
        return _by_python[dtype]
    try:
        return _by_numpy.get(np.dtype(dtype))
    except TypeError:
        return None


def as_dtype(dtype: Any) -> DType:
    """The element type named by a `DType`, a name, a NumPy dtype or a Python type.

    `float` is float32, `int` is int64, `complex` is complex64. Raises DTypeError for the rest.
    """
    found = _lookup(dtype)
    if found is None:
        names = ", ".join(known.name for known in DTYPES)
        raise DTypeError(explain("dtype", f"one of {names}", repr(dtype)))
    return found


def _widest(dtypes: tuple[DType, ...], bits: int) -> DType:
    return next(dtype for dtype in dtypes if dtype.bits >= bits)


def _promote(a: DType, b: DType) -> DType | None:
    if a is b:
        return a
    if a.kind == b.kind:
        if a.kind == "float" and a.bits == b.bits == 16:
            return float32
        return a if a.bits > b.bits else b
    order = ("bool", "uint", "int", "float", "complex")
    low, high = sorted((a, b), key=lambda dtype: order.index(dtype.kind))
    if low.kind == "bool":
        return high
    if low.kind == "uint" and high.kind == "int":
        bits = max(high.bits, 2 * low.bits)
        return _widest(SIGNED, bits) if bits <= 64 else None
    if high.kind == "float":
        return high
    return complex128 if low is float64 else high


_promotions = {(a, b): _promote(a, b) for a in DTYPES for b in DTYPES}


def promote(*dtypes: DType) -> DType:
    """The smallest type that all the types promote to. Raises DTypeError where there is none."""
    result = dtypes[0]
    for dtype in dtypes[1:]:
        found = _promotions[result, dtype]
        if found is None:
            raise DTypeError(
                explain(
                    "promote",
                    "types with a common type",
                    f"{result} and {dtype}",
                    "Cast one of them first, for instance x.astype('int64').",
                )
            )
        result = found
    return result


_ranks = {"bool": 0, "uint": 1, "int": 1, "float": 2, "complex": 3}
_weak_ranks = {bool: 0, int: 1, float: 2, complex: 3}


def promote_weak(dtype: DType, python_type: type) -> DType:
    """The type of `dtype` combined with a Python number, which is weak (NumPy 2's rule)."""
    rank = _weak_ranks[python_type]
    if _ranks[dtype.kind] >= rank:
        return dtype
    if rank == 3 and dtype.kind == "float":
        return complex128 if dtype is float64 else complex64
    return _by_python[python_type]


class TensorType:
    """An element type and a shape; interned, so equal types are the same object."""

    __slots__ = ("_text", "dtype", "is_static", "rank", "shape")

    dtype: DType
    shape: Shape
    rank: int
    is_static: bool
    _text: str

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a tensor type is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a tensor type is frozen: {name} cannot be deleted")

    @property
    def size(self) -> Size:
        """The number of elements."""
        return size_of(self.shape)

    @property
    def bytes(self) -> Size:
        """The bytes of a dense value."""
        return self.size * self.dtype.itemsize

    def with_dtype(self, dtype: DType) -> "TensorType":
        return tensor_type(dtype, self.shape)

    def with_shape(self, shape: Shape) -> "TensorType":
        return tensor_type(self.dtype, shape)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def __reduce__(self):
        return tensor_type, (self.dtype, self.shape)


_types: dict[tuple[DType, Shape], TensorType] = {}
_set = {name: vars(TensorType)[name].__set__ for name in TensorType.__slots__}


def tensor_type(dtype: DType, shape: Shape) -> TensorType:
    """The type of tensors with these elements and this shape, for instance `f32[b,784]`."""
    key = (dtype, shape)
    found = _types.get(key)
    if found is not None:
        return found
    # Another kind of integer is the same key: whether it is taken must not depend on what was
    # entered before.
    shape = tuple([as_size(size) for size in shape])
    if any((bounds(size)[1] or 0) < 0 for size in shape):
        raise ShapeError(explain("shape", "sizes of zero or more", shape_text(shape)))
    new = object.__new__(TensorType)
    _set["dtype"](new, dtype)
    _set["shape"](new, shape)
    _set["rank"](new, len(shape))
    _set["is_static"](new, all(type(size) is int for size in shape))
    _set["_text"](new, f"{dtype.short}{shape_text(shape)}")
    return _types.setdefault((dtype, shape), new)


def shape_text(shape: Shape) -> str:
    """A shape as `[b,784]`."""
    return "[" + ",".join(str(size).replace(" ", "") for size in shape) + "]"


def size_of(shape: Shape) -> Size:
    """The product of the sizes; 1 for a scalar."""
    result: Size = 1
    for size in shape:
        result = result * size
    return result


class Literal:
    """A small constant value, hashable by its exact bits (so -0.0 is not 0.0, and NaN is NaN)."""

    __slots__ = ("_hash", "data", "dtype", "shape")

    dtype: DType
    shape: tuple[int, ...]
    data: bytes
    _hash: int

    def __init__(self, dtype: DType, shape: tuple[int, ...], data: bytes):
        _set_literal["dtype"](self, dtype)
        _set_literal["shape"](self, shape)
        _set_literal["data"](self, data)
        _set_literal["_hash"](self, hash((dtype.name, shape, data)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a literal is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a literal is frozen: {name} cannot be deleted")

    def __reduce__(self):
        return Literal, (self.dtype, self.shape, self.data)

    @classmethod
    def from_numpy(cls, value: Any, dtype: DType | None = None) -> "Literal":
        """The literal of an array or number, cast to `dtype` if given."""
        array = np.asarray(value, dtype=dtype.numpy if dtype else None)
        return cls(as_dtype(array.dtype), array.shape, array.tobytes())

    def numpy(self) -> np.ndarray:
        """The value as a read-only array."""
        return np.frombuffer(self.data, self.dtype.numpy).reshape(self.shape)

    @property
    def is_scalar(self) -> bool:
        return self.shape == ()

    def scalar(self) -> Any:
        """The Python number of a scalar literal."""
        return self.numpy()[()].item()

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Literal)
            and self.data == other.data
            and self.dtype is other.dtype
            and self.shape == other.shape
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Literal({self.numpy()!r})"


_set_literal = {name: vars(Literal)[name].__set__ for name in Literal.__slots__}

"""Elements: nested tuples and dicts of arrays, how they come apart and together, what they are.

    element  = array | Tensor | number | string | any object | None | Dataset
             | tuple of elements | named tuple of elements | dict of elements

A tuple or a dict has parts; a list is data and becomes one array, as in tf.data. Python numbers
take Thalweg's default types (float32, int64, complex64); what already has a type keeps it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.variable import Variable
from thalweg.ir.types import DEFAULT_COMPLEX, DEFAULT_FLOAT, DEFAULT_INT, DType

DEFAULTS = {"f": DEFAULT_FLOAT.numpy, "i": DEFAULT_INT.numpy, "c": DEFAULT_COMPLEX.numpy}


# ---- nesting -------------------------------------------------------------------------------------


class Structure:
    """The nesting of an element without its leaves; `kind` is None for a leaf.

    The leaves of a dict stand in the order of its keys, and another dict with the same keys in
    another order has the same structure.
    """

    __slots__ = ("children", "is_flat", "keys", "kind")

    def __init__(
        self,
        kind: Any,
        keys: tuple = (),
        children: tuple["Structure", ...] = (),
        is_flat: bool = False,
    ):
        self.kind = kind
        self.keys = keys
        self.children = children
        self.is_flat = is_flat  # a tuple, named or not, of leaves

    def leaves(self, value: Any) -> Sequence[Any]:
        """The leaves of a value of this structure. Raises ArgumentError for another structure."""
        if self.kind is None:
            if isinstance(value, (tuple, dict)):
                raise _mismatch(self, value)
            return (value,)
        if self.is_flat and type(value) is self.kind and len(value) == len(self.children):
            for each in value:
                if isinstance(each, (tuple, dict)):
                    raise _mismatch(self, value)
            return value
        found: list[Any] = []
        self._collect(value, value, found)
        return found

    def _collect(self, value: Any, whole: Any, found: list[Any]) -> None:
        if self.kind is None:
            if isinstance(value, (tuple, dict)):
                raise _mismatch(self, whole)
            found.append(value)
        elif self.kind is dict:
            if not isinstance(value, dict) or value.keys() != set(self.keys):
                raise _mismatch(self, whole)
            for key, child in zip(self.keys, self.children, strict=True):
                child._collect(value[key], whole, found)
        else:
            if type(value) is not self.kind or len(value) != len(self.children):
                raise _mismatch(self, whole)
            for each, child in zip(value, self.children, strict=True):
                child._collect(each, whole, found)

    def build(self, leaves: Sequence[Any]) -> Any:
        """The value of this structure with these leaves."""
        if self.kind is None:
            return leaves[0]
        if self.is_flat:
            return tuple(leaves) if self.kind is tuple else self.kind(*leaves)
        return self._build(iter(leaves))

    def _build(self, leaves: Any) -> Any:
        if self.kind is None:
            return next(leaves)
        parts = [child._build(leaves) for child in self.children]
        if self.kind is dict:
            return dict(zip(self.keys, parts, strict=True))
        return tuple(parts) if self.kind is tuple else self.kind(*parts)

    @property
    def count(self) -> int:
        """The number of leaves."""
        return 1 if self.kind is None else sum(child.count for child in self.children)

    def plain(self) -> "Structure":
        """The same nesting with tuples in place of named tuples."""
        if self.kind is None:
            return self
        children = tuple(child.plain() for child in self.children)
        return Structure(dict if self.kind is dict else tuple, self.keys, children, self.is_flat)

    def nested(self, inner: Sequence["Structure"]) -> "Structure":
        """The nesting with a whole structure in place of each leaf."""
        return self._nested(iter(inner))

    def _nested(self, inner: Any) -> "Structure":
        if self.kind is None:
            return next(inner)
        children = tuple(child._nested(inner) for child in self.children)
        is_flat = self.kind is not dict and all(child.kind is None for child in children)
        return Structure(self.kind, self.keys, children, is_flat)

    def matches(self, other: "Structure") -> bool:
        """True for the same nesting, whatever the order of keys in dicts."""
        if self.kind is not other.kind or len(self.children) != len(other.children):
            return False
        theirs = other.children
        if self.kind is dict:
            by_key = dict(zip(other.keys, other.children, strict=True))
            if by_key.keys() != set(self.keys):
                return False
            theirs = tuple(by_key[key] for key in self.keys)
        return all(mine.matches(each) for mine, each in zip(self.children, theirs, strict=True))

    def __str__(self) -> str:
        return self.text(["*"] * self.count)

    def text(self, leaves: Sequence[str]) -> str:
        """The nesting with a text in place of each leaf: `(f32[4], {'a': i64[]})`."""
        return self._text(iter(leaves))

    def _text(self, leaves: Any) -> str:
        if self.kind is None:
            return next(leaves)
        parts = [child._text(leaves) for child in self.children]
        if self.kind is dict:
            pairs = zip(self.keys, parts, strict=True)
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in pairs) + "}"
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


LEAF = Structure(None)


def structure_of(value: Any) -> Structure:
    """The nesting of an element."""
    if isinstance(value, dict):
        children = tuple(structure_of(each) for each in value.values())
        return Structure(dict, tuple(value), children)
    if isinstance(value, tuple):
        children = tuple(structure_of(each) for each in value)
        return Structure(type(value), (), children, all(child is LEAF for child in children))
    return LEAF


def take_apart(value: Any) -> tuple[Sequence[Any], Structure]:
    """The leaves of an element and its nesting."""
    structure = structure_of(value)
    return structure.leaves(value), structure


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """The element with `function` applied to each of its leaves."""
    if isinstance(value, tuple):
        parts = [map_leaves(function, part) for part in value]
        return tuple(parts) if type(value) is tuple else type(value)(*parts)
    if isinstance(value, dict):
        return {key: map_leaves(function, part) for key, part in value.items()}
    return function(value)


def _mismatch(structure: Structure, value: Any) -> ArgumentError:
    return ArgumentError(
        explain(
            "Dataset",
            f"elements of one structure, {structure} as in the first",
            f"{structure_of(value)}",
            "Let every element have the same keys and the same number of parts.",
        )
    )


# ---- leaves --------------------------------------------------------------------------------------


def as_leaf(value: Any) -> Any:
    """A leaf as elements hold it: lists and numbers become arrays, all else stays as it is.

    Raises ArgumentError for a ragged list.
    """
    if isinstance(value, (np.ndarray, np.generic, Tensor)):
        return value
    if isinstance(value, (list, bool, int, float, complex)):
        return from_python(value)
    if isinstance(value, Variable):
        return value.value
    return value


def from_python(value: Any) -> np.ndarray:
    """The array of a Python number or of nested lists; Python numbers take default types."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ArgumentError(
            explain(
                "Dataset",
                "a list to hold numbers, or lists of equal length",
                f"a ragged list, {_short(value)}",
                "Write a tuple to keep parts apart, from_generator for elements of different "
                "sizes, or padded_batch to make them equal.",
            )
        ) from None
    default = DEFAULTS.get(array.dtype.kind)
    if default is not None and array.dtype != default and _is_python(value):
        return array.astype(default)
    return array


def _is_python(value: Any) -> bool:
    while isinstance(value, list):
        if not value:
            return True
        value = value[0]
    return isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)


def as_array(value: Any, where: str) -> np.ndarray:
    """The NumPy array of a leaf: arrays, tensors of any library, pandas columns, lists, numbers.

    Raises ArgumentTypeError for what is no array.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (str, bytes)):
        return np.asarray(value)
    value = as_leaf(value)
    if isinstance(value, Tensor):
        return value.numpy()
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()  # a torch tensor that asks for gradients refuses otherwise
    if hasattr(value, "__array__"):
        return np.asarray(value)
    instead = "Write numpy.asarray(x) first."
    if hasattr(value, "toarray"):
        instead = "Write x.toarray(): a sparse matrix has no rows to take."
    received = f"{_short(value)} of {type(value).__name__}"
    raise ArgumentTypeError(explain(where, "arrays, tensors, lists or numbers", received, instead))


def stack(values: Sequence[Any], where: str) -> np.ndarray:
    """The values as rows of one array. Raises ShapeError when their shapes differ."""
    first = values[0]
    if not isinstance(first, (np.ndarray, np.generic)):
        values = [as_array(value, where) for value in values]
    try:
        result = np.array(values)
    except ValueError:
        result = None
    if result is None or (result.dtype == object and np.asarray(values[0]).dtype != object):
        raise _uneven(values, where)
    if result.dtype == object:
        shapes = {np.shape(value) for value in values}
        if len(shapes) > 1:
            raise _uneven(values, where)
    return result


def _uneven(values: Sequence[Any], where: str) -> ShapeError:
    shapes = list(dict.fromkeys(np.shape(value) for value in values))
    shown = ", ".join(str(shape) for shape in shapes[:4]) + (", ..." if len(shapes) > 4 else "")
    return ShapeError(
        explain(
            where,
            "elements of equal shape",
            f"shapes {shown}",
            "Write padded_batch(batch_size) to fill them up, or map them to one size first.",
        )
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# ---- what an element is --------------------------------------------------------------------------


@dataclass(frozen=True, init=False)
class TensorSpec:
    """The shape and element type of one part of an element.

    None stands for a size that varies, and as the shape for any shape. `dtype` is a name, a NumPy
    type or a Thalweg type.
    """

    shape: tuple[int | None, ...] | None
    dtype: np.dtype

    def __init__(self, shape: Sequence[int | None] | None, dtype: Any = "float32"):
        if shape is not None:
            shape = tuple(None if size is None else int(size) for size in shape)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", as_numpy_dtype(dtype))

    def batched(self, size: int | None) -> "TensorSpec":
        """Several of these as the rows of one array."""
        return TensorSpec(None if self.shape is None else (size, *self.shape), self.dtype)

    def row(self) -> "TensorSpec":
        """One row of this."""
        return TensorSpec(None if self.shape is None else self.shape[1:], self.dtype)

    def is_compatible_with(self, value: Any) -> bool:
        """True for an array or another specification that this one describes."""
        shape = value.shape if isinstance(value, TensorSpec) else np.shape(value)
        if shape is None:
            return self.shape is None and value.dtype == self.dtype
        return value.dtype == self.dtype and fits(self.shape, shape)

    def __str__(self) -> str:
        if self.shape is None:
            return f"{dtype_text(self.dtype)}[...]"
        sizes = ",".join("?" if size is None else str(size) for size in self.shape)
        return f"{dtype_text(self.dtype)}[{sizes}]"


def as_numpy_dtype(dtype: Any) -> np.dtype:
    """The NumPy type of a name, a NumPy, Thalweg or TensorFlow type."""
    if isinstance(dtype, DType):
        return dtype.numpy
    if isinstance(dtype, str):
        if dtype == "string":
            return np.dtype(object)
        if hasattr(ml_dtypes, dtype):
            return np.dtype(getattr(ml_dtypes, dtype))
    theirs = getattr(dtype, "as_numpy_dtype", None)
    try:
        return np.dtype(dtype if theirs is None else theirs)
    except TypeError:
        raise ArgumentTypeError(
            explain("TensorSpec", "an element type", repr(dtype), "Write dtype='float32'.")
        ) from None


def dtype_text(dtype: np.dtype) -> str:
    """The short name of an element type: f32, i64, bool, str, object."""
    if dtype.kind in "iufc":
        return f"{dtype.kind}{dtype.itemsize * 8}"
    if dtype.kind in "US":
        return "str" if dtype.kind == "U" else "bytes"
    return {"bfloat16": "bf16"}.get(dtype.name, dtype.name)


def fits(wanted: Sequence[int | None] | None, shape: Sequence[int | None]) -> bool:
    """True when every size that is wanted is the one that came; None wants nothing."""
    if wanted is None:
        return True
    if len(wanted) != len(shape):
        return False
    return all(size is None or size == came for size, came in zip(wanted, shape, strict=True))


def spec_of(value: Any) -> Any:
    """The specification of an element, in its own nesting."""
    return map_leaves(_spec_of_leaf, value)


def _spec_of_leaf(value: Any) -> Any:
    if isinstance(value, Tensor):
        return TensorSpec(tuple(int(size) for size in value.shape), value.dtype)
    if isinstance(value, (np.ndarray, np.generic)):
        return TensorSpec(value.shape, value.dtype)
    if isinstance(value, (str, bytes)):
        return TensorSpec((), np.asarray(value).dtype)
    if hasattr(value, "element_spec"):
        return value.element_spec
    if hasattr(value, "__array__"):
        return spec_of(np.asarray(value))
    return TensorSpec((), object)


def spec_text(spec: Any) -> str:
    """A specification on one line: `(f32[28,28], i64[])`."""
    leaves, structure = take_apart(spec)
    return structure.text([str(leaf) for leaf in leaves])

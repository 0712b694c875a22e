"""From what users pass to nodes that ops accept: conversion, promotion, broadcasting.

Ops demand operands of equal type; the rules that make them equal live here and nowhere else:
element types promote by the lattice in `ir/types.py`, Python numbers (and traced Python numbers)
are weak, shapes broadcast as in NumPy. NumPy's scalars are arrays: they are not weak.

A Python integer must fit the integer type that it meets, and a float never meets one. A number
beyond the range of a float type becomes an infinity. A traced Python number has no value to check:
it wraps around as a cast does.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.context import current_trace
from thalweg.engine.tensor import Tensor, from_buffer, node_of, wrap
from thalweg.engine.trace import strong
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, is_known_equal
from thalweg.ir.leaves import full, literal
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DEFAULT_COMPLEX,
    DEFAULT_FLOAT,
    DEFAULT_INT,
    DType,
    Shape,
    TensorType,
    as_dtype,
    bool_,
    promote,
    promote_weak,
    shape_text,
)
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import cast
from thalweg.ops.movement import concatenate, reshape
from thalweg.ops.movement import size as size_op

Number = (bool, int, float, complex)
WEAK_OF_KIND = {"bool": bool, "int": int, "uint": int, "float": float, "complex": complex}

MOST_LITERAL = 64
"""An array of at most so many elements that a traced function uses is a constant of its graph."""

# Conversion ---------------------------------------------------------------------------------------


def to_tensor(value: Any, name: str = "asarray") -> Tensor:
    """The tensor of a tensor, variable, array, number or nested lists of them.

    A traced Python number takes the default type of its kind, as the number itself does.
    """
    if isinstance(value, Tensor):
        return wrap(strong(node_of(value))) if value._weak else value
    if isinstance(value, Variable):
        return value.value
    if isinstance(value, (np.ndarray, np.generic)):
        return from_array(unchanging(native(value, name)))
    if isinstance(value, (*Number, list, tuple)):
        return from_lists(value, name)
    if isinstance(value, range):
        return from_lists(list(value), name)
    if isinstance(value, Dim):
        return wrap(node_of(of_size(value, name)))
    if hasattr(value, "__array__"):
        return to_tensor(np.asarray(value), name)
    if isinstance(value, (str, bytes)) or not _has_buffer(value):
        raise ArgumentTypeError(
            explain(
                name,
                "tensors, arrays, numbers or nested lists of numbers",
                f"{value!r} of {type(value).__name__}",
            )
        )
    return to_tensor(np.asarray(memoryview(value)), name)


def to_operand(value: Any, name: str) -> Any:
    """A Python number, traced or not, as it is and so weak; the tensor of anything else."""
    if isinstance(value, Dim):
        return of_size(value, name)
    return value if is_weak(value) else to_tensor(value, name)


def of_size(dim: Dim, name: str = "size") -> Tensor:
    """A named size as a traced Python number."""
    if current_trace() is None:
        raise ArgumentTypeError(
            explain(
                name,
                "tensors or numbers",
                f"the named size {dim}",
                "Named sizes have values only while a function runs.",
            )
        )
    return wrap(size_op(dim=dim, dtype=DEFAULT_INT), weak=True)


def _has_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def native(array: Any, name: str = "asarray") -> np.ndarray:
    """A NumPy array or scalar in one of our element types and in this machine's byte order."""
    array = np.asarray(array)
    if array.dtype.kind in "OSUMm":
        raise DTypeError(
            explain(
                name,
                "an array of numbers",
                f"an array of {array.dtype}, {array!r:.60}",
                "Objects come from rows of unequal length; strings must become numbers first.",
            )
        )
    return array.astype(dtype_of(array).numpy, copy=False)


def unchanging(array: np.ndarray) -> np.ndarray:
    """The array itself if nobody can write to it, else a copy.

    A graph may wait for its data, and the caller may change an array in the meantime.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    is_safe = owner is None or isinstance(owner, bytes)
    return array if is_safe and array.flags.c_contiguous else np.array(array, order="C")


def dtype_of(value: Any) -> DType:
    """The element type of a tensor or array, whatever its byte order."""
    dtype = value.dtype
    if isinstance(dtype, (DType, str)):  # a Keras variable says the name
        return as_dtype(dtype)
    return as_dtype(dtype.newbyteorder("="))


def from_array(array: np.ndarray) -> Tensor:
    """The tensor of an array that nobody will change; in a trace a small one is a constant."""
    if current_trace() is not None and array.size <= MOST_LITERAL:
        return wrap(literal(array))
    return from_buffer(np.asarray(array, order="C"))


def default_dtype(kind: type) -> DType:
    """The element type of a Python number: bool, int64, float32 or complex64."""
    return {bool: bool_, int: DEFAULT_INT, float: DEFAULT_FLOAT, complex: DEFAULT_COMPLEX}[kind]


def from_lists(value: Any, name: str, dtype: DType | None = None) -> Tensor:
    """The tensor of a number or nested lists, in `dtype` if given.

    Without it numbers take the default types, and arrays and tensors promote. Tensors are stacked,
    not computed.
    """
    kinds = _leaf_kinds(value)
    if all(issubclass(kind, Number) and not issubclass(kind, np.generic) for kind in kinds):
        return from_array(_from_numbers(value, name, dtype))
    if dtype is None:
        dtype = result_dtype(name, [_leaf(each, name) for each in _leaves(value)])
    if all(issubclass(kind, (np.generic, np.ndarray)) for kind in kinds):
        return from_array(cast_array(name, native(_rectangle(value, name), name), dtype))
    return wrap(_stack(value, name, dtype))


def _leaf_kinds(value: Any) -> set[type]:
    if not isinstance(value, (list, tuple)):
        return {type(value)}
    kinds = set(map(type, value))
    if any(issubclass(kind, (list, tuple)) for kind in kinds):
        return set().union(*map(_leaf_kinds, value))
    return kinds


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _leaf(value: Any, name: str) -> Any:
    return value if hasattr(value, "dtype") else to_operand(value, name)


def _from_numbers(value: Any, name: str, dtype: DType | None) -> np.ndarray:
    array = _rectangle(value, name)
    if array.dtype.kind == "O" and dtype is not None and dtype.is_inexact:
        array = array.astype(np.complex128 if dtype.is_complex else np.float64)
    if array.dtype.kind == "O" or (array.dtype.kind == "u" and dtype is None):
        widest = dtype or DEFAULT_INT
        raise ArgumentError(
            explain(
                name,
                f"integers that fit {widest}",
                f"{value!r:.80}",
                "Pass dtype='uint64' for integers up to 2**64 - 1, or floats.",
            )
        )
    if dtype is None:
        kind = {"b": bool, "i": int, "f": float, "c": complex}[array.dtype.kind]
        dtype = default_dtype(kind)
    elif dtype.is_integer and array.dtype.kind in "iu":
        try:
            return np.array(value, dtype.numpy)
        except OverflowError:
            raise ArgumentError(
                explain(
                    name,
                    f"integers that fit {dtype}",
                    f"{value!r:.80}",
                    "Use a wider element type.",
                )
            ) from None
    return cast_array(name, array, dtype)


def _rectangle(value: Any, name: str) -> np.ndarray:
    try:
        return np.array(value)
    except ValueError:
        raise _ragged(value, name) from None


def _ragged(value: Any, name: str) -> ShapeError:
    return ShapeError(
        explain(
            name,
            "nested lists of equal length",
            f"{value!r:.80}",
            "Pad the shorter rows, or keep them as separate tensors.",
        )
    )


def _stack(value: Any, name: str, dtype: DType) -> Node:
    if not isinstance(value, (list, tuple)):
        return to_dtype(name, to_operand(value, name), dtype)
    if not value:
        return full(0, dtype, (0,))
    rows = [_stack(each, name, dtype) for each in value]
    if any(row.type is not rows[0].type for row in rows):
        raise _ragged([str(row.type) for row in rows], name)
    return concatenate(*(reshape(row, shape=(1, *row.shape)) for row in rows), axis=0)


def cast_array(name: str, array: np.ndarray, dtype: DType) -> np.ndarray:
    """An array in another element type, as `cast` defines it; complex numbers stay complex."""
    if array.dtype == dtype.numpy:
        return array
    refuse_real(name, as_dtype(array.dtype), dtype)
    with np.errstate(all="ignore"):
        return np.asarray(cast.evaluate(array, dtype=dtype))


def check_device(name: str, device: Any) -> None:
    """Refuse a device that is not there."""
    if device is not None and device != "cpu":
        raise ArgumentError(explain(name, "a device among 'cpu'", repr(device), "Write 'cpu'."))


def refuse_real(name: str, source: DType, target: DType) -> None:
    """Refuse to drop the imaginary parts of complex numbers."""
    if source.is_complex and not target.is_complex and target is not bool_:
        raise DTypeError(
            explain(
                name,
                f"real numbers to convert to {target}",
                f"{source}",
                "Take real(x), imag(x) or abs(x) first.",
            )
        )


# Element types ------------------------------------------------------------------------------------


def is_number(value: Any) -> bool:
    """True for Python's own numbers. NumPy's scalars have an element type and are arrays."""
    return isinstance(value, Number) and not isinstance(value, np.generic)


def is_weak(value: Any) -> bool:
    """True for Python numbers and for tensors that stand for them in a trace."""
    return is_number(value) or (isinstance(value, Tensor) and value._weak)


def result_dtype(name: str, values: Sequence[Any]) -> DType:
    """The promoted element type of operands and element types, Python numbers being weak."""
    strong_dtypes: list[DType] = []
    kinds: list[type] = []
    for value in values:
        if isinstance(value, DType):
            strong_dtypes.append(value)
        elif is_weak(value):
            kinds.append(_weak_kind(value))
        else:
            strong_dtypes.append(dtype_of(value))
    if not strong_dtypes:
        return default_dtype(max(kinds, key=Number.index))
    try:
        dtype = promote(*strong_dtypes)
    except DTypeError:
        raise DTypeError(
            explain(
                name,
                "element types with a common type",
                " and ".join(map(str, strong_dtypes)),
                "Cast one of them first, for instance x.astype('int64').",
            )
        ) from None
    for kind in kinds:
        dtype = promote_weak(dtype, kind)
    return dtype


def _weak_kind(value: Any) -> type:
    if isinstance(value, Tensor):
        return WEAK_OF_KIND[value.dtype.kind]
    return next(kind for kind in Number if isinstance(value, kind))


def operands(name: str, *values: Any, floats: bool = False) -> list[Node]:
    """Nodes of one element type and one shape for the operands of a pointwise op.

    With `floats`, integers and booleans become the default float type.
    """
    return same_shape(name, same_dtype(name, *values, floats=floats))


def same_dtype(name: str, *values: Any, floats: bool = False) -> list[Node]:
    """Nodes of one element type; shapes as they come, numbers as scalars."""
    found = [to_operand(value, name) for value in values]
    dtype = result_dtype(name, found)
    if floats and not dtype.is_inexact:
        dtype = DEFAULT_FLOAT
    return [to_dtype(name, value, dtype) for value in found]


def to_dtype(name: str, value: Any, dtype: DType) -> Node:
    """The node of a tensor or number in an element type."""
    if is_number(value):
        return number(name, value, dtype)
    node = node_of(value)
    return node if node.dtype is dtype else cast(node, dtype=dtype)


def number(name: str, value: Any, dtype: DType, shape: Shape = ()) -> Node:
    """A constant of a Python number; refused when the number does not fit the element type."""
    if dtype.is_integer and not isinstance(value, (bool, int)):
        raise DTypeError(explain(name, f"a number that fits {dtype}", f"{value!r}"))
    try:
        if dtype.is_float:
            value = float(value)
        with np.errstate(over="ignore"):
            return full(value, dtype, shape)
    except (OverflowError, TypeError):
        raise ArgumentError(
            explain(
                name,
                f"a number that fits {dtype}",
                f"{value!r:.80}",
                "Use a wider element type.",
            )
        ) from None


# Shapes -------------------------------------------------------------------------------------------


def same_shape(name: str, nodes: Sequence[Node]) -> list[Node]:
    """The nodes broadcast to their common shape."""
    first = nodes[0].type
    if all(node.type is first for node in nodes):
        return list(nodes)
    shape = broadcast_shapes(name, [node.type for node in nodes])
    return [broadcast_to(node, shape) for node in nodes]


def broadcast_shapes(name: str, types: Sequence[TensorType]) -> Shape:
    """The shape that types broadcast to; size 1 stretches, missing axes count as 1."""
    rank = max(type.rank for type in types)
    result: list[Any] = []
    for axis in range(-rank, 0):
        size: Any = 1
        for type in types:
            if type.rank < -axis:
                continue
            own = type.shape[axis]
            if own.__class__ is int and own == 1:
                continue
            if size.__class__ is int and size == 1:
                size = own
            elif own is not size and not is_known_equal(own, size):
                raise ShapeError(
                    explain(
                        name,
                        "shapes that broadcast: from the last axis backward, equal sizes or 1",
                        " and ".join(map(str, types)),
                        _broadcast_advice(name, types, own, size),
                    )
                )
        result.append(size)
    return tuple(result)


def _broadcast_advice(name: str, types: Sequence[TensorType], own: Any, size: Any) -> str:
    if isinstance(own, Dim) or isinstance(size, Dim):
        return f"Sizes {size} and {own} are not known to be equal; give them one name."
    matrices = [type for type in types if type.rank == 2]
    if len(matrices) == 2 and matrices[0].shape == matrices[1].shape[::-1]:
        return f"Did you mean {name}(x, matrix_transpose(y))?"
    vectors = [type for type in types if type.rank == 1]
    if len(vectors) == 1 and any(
        type.rank > 1 and type.shape[0] == vectors[0].shape[0] for type in types
    ):
        return f"Did you mean {name}(x, expand_dims(y, -1))?"
    return ""


def broadcast_to(node: Node, shape: Shape) -> Node:
    """A node stretched to a shape that it is known to broadcast to."""
    type = node.type
    if type.shape == shape:
        return node
    offset = len(shape) - type.rank
    kept = [
        axis
        for axis, size in enumerate(type.shape)
        if not (size.__class__ is int and size == 1 and shape[axis + offset] != 1)
    ]
    if len(kept) != type.rank:
        node = reshape(node, shape=tuple(type.shape[axis] for axis in kept))
    return broadcast(node, shape=shape, axes=tuple(axis + offset for axis in kept))


# Both together ------------------------------------------------------------------------------------


def pointwise(name: str, op: Callable[..., Node], *values: Any, floats: bool = False) -> Tensor:
    """Apply a pointwise op, or a function of nodes like one, to whatever users pass."""
    nodes = _of_one_dtype(values, floats) or _beside_number(name, values, floats)
    if nodes:
        return wrap(op(*same_shape(name, nodes)))
    found = [to_operand(value, name) for value in values]
    if all(map(is_weak, found)) and not all(map(is_number, found)):
        result = op(*same_shape(name, _weak_nodes(name, found, floats)))
        return wrap(result, weak=result.dtype is not bool_)
    return wrap(op(*operands(name, *found, floats=floats)))


# The two commonest mixtures, without the work that the others need.


def _of_one_dtype(values: Sequence[Any], floats: bool) -> list[Node] | None:
    """The nodes of tensors that have one element type already, and one that the op takes."""
    if any(value.__class__ is not Tensor or value._weak for value in values):
        return None
    dtype = values[0].dtype
    if any(value.dtype is not dtype for value in values) or (floats and not dtype.is_inexact):
        return None
    return [node_of(value) for value in values]


def _beside_number(name: str, values: Sequence[Any], floats: bool) -> list[Node] | None:
    """The nodes of a tensor and of a Python number that takes the tensor's element type."""
    if len(values) != 2:
        return None
    place = 0 if values[1].__class__ is Tensor else 1
    value, tensor = values[place], values[1 - place]
    kind = value.__class__
    if tensor.__class__ is not Tensor or tensor._weak or kind not in (int, float):
        return None
    dtype = tensor.dtype
    if not dtype.is_inexact and (floats or kind is float or not dtype.is_integer):
        return None
    node = node_of(tensor)
    sign = math.copysign(1.0, value) if kind is float else 0.0
    nodes = [node, _spread(name, value, sign, dtype, node.shape)]
    return nodes if place else nodes[::-1]


@functools.lru_cache(maxsize=1024, typed=True)
def _spread(name: str, value: Any, sign: float, dtype: DType, shape: Shape) -> Node:
    """A number in a shape; `sign` tells -0.0 from 0.0 in the cache, as equality does not."""
    return broadcast_to(number(name, value, dtype), shape)


def _weak_nodes(name: str, values: Sequence[Any], floats: bool) -> list[Node]:
    """Traced Python numbers among themselves: computed in the widest type of their kind."""
    wide = {bool: "bool", int: "int64", float: "float64", complex: "complex128"}
    kind = max(map(_weak_kind, values), key=Number.index)
    if floats and kind in (bool, int):
        kind = float
    return [to_dtype(name, value, as_dtype(wide[kind])) for value in values]


# Axes and sizes -----------------------------------------------------------------------------------


def axis_of(name: str, axis: int, rank: int) -> int:
    """An axis counted from the front; negative axes count from the back."""
    found = _integer(name, "an integer axis", axis, axis)
    if not -rank <= found < rank:
        raise ShapeError(
            explain(
                name,
                f"an axis from {-rank} to {rank - 1}" if rank else "no axis: a scalar",
                f"axis {found}",
            )
        )
    return found % rank


def axes_of(name: str, axis: Any, rank: int) -> tuple[int, ...]:
    """Distinct axes in order, from None (all), one axis, or several."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    found = [axis_of(name, each, rank) for each in given]
    if len(set(found)) != len(found):
        raise ShapeError(explain(name, "each axis once", f"{tuple(given)}"))
    return tuple(sorted(found))


def shape_of(name: str, shape: Any) -> Shape:
    """A shape from an integer, a named size, or a sequence of them."""
    if isinstance(shape, (np.ndarray, Tensor, Variable)) and shape.ndim == 1:
        shape = list(shape)
    given = shape if isinstance(shape, (tuple, list)) else (shape,)
    result = tuple(
        [
            size if isinstance(size, Dim) else _integer(name, "integer sizes", size, shape)
            for size in given
        ]
    )
    if any(isinstance(size, int) and size < 0 for size in result):
        raise ShapeError(explain(name, "sizes of zero or more", shape_text(result)))
    return result


def _integer(name: str, wanted: str, value: Any, received: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise ArgumentTypeError(explain(name, wanted, f"{received!r}"))
    try:
        return value.__index__()
    except TypeError:
        if isinstance(value, (Tensor, Variable)):
            raise
        raise ArgumentTypeError(explain(name, wanted, f"{received!r}")) from None

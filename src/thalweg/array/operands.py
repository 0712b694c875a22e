"""From what users pass to nodes that ops accept: conversion, promotion, broadcasting.

Ops demand operands of equal type; the rules that make them equal live here and nowhere else:
element types promote by the lattice in `ir/types.py`, Python numbers (and traced Python numbers)
are weak, shapes broadcast as in NumPy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, from_buffer, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, is_known_equal
from thalweg.ir.leaves import full
from thalweg.ir.node import Node
from thalweg.ir.op import Op
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
from thalweg.ops.movement import reshape

Number = (bool, int, float, complex)
WEAK_OF_KIND = {"bool": bool, "int": int, "uint": int, "float": float, "complex": complex}


def to_tensor(value: Any, name: str = "asarray") -> Tensor:
    """The tensor of a tensor, variable, array, number or nested lists of numbers."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Variable):
        return value.value
    if isinstance(value, (np.ndarray, np.generic)):
        # A copy: the caller may change the array while the graph waits to be computed.
        return from_buffer(np.array(value, as_dtype(value.dtype).numpy))
    if isinstance(value, (list, tuple)):
        return from_lists(value, name)
    if isinstance(value, Number):
        return from_buffer(np.array(value, default_dtype(type(value)).numpy))
    if isinstance(value, Dim):
        raise ArgumentTypeError(
            explain(name, "tensors or numbers", f"the named size {value}",
                    "Write size(dim) for a size as a tensor.")  # fmt: skip
        )
    if hasattr(value, "__array__"):
        return to_tensor(np.asarray(value), name)
    raise ArgumentTypeError(
        explain(
            name,
            "tensors, arrays, numbers or nested lists of numbers",
            f"{value!r} of {type(value).__name__}",
        )
    )


def default_dtype(kind: type) -> DType:
    """The element type of a Python number: bool, int64, float32 or complex64."""
    return {bool: bool_, int: DEFAULT_INT, float: DEFAULT_FLOAT, complex: DEFAULT_COMPLEX}[kind]


def from_lists(value: Any, name: str) -> Tensor:
    """The tensor of nested lists; numbers in them take the default types, arrays their own."""
    plain = _plain(value)
    try:
        array = np.array(plain)
    except ValueError:
        raise ShapeError(
            explain(name, "nested lists of equal length", f"{value!r:.80}",
                    "Pad the shorter rows, or keep them as separate tensors.")  # fmt: skip
        ) from None
    if array.dtype.kind not in "biufcV":
        raise ArgumentTypeError(
            explain(name, "numbers", f"elements of type {array.dtype} in {value!r:.80}")
        )
    if not _holds_arrays(value):
        defaults = {"f": DEFAULT_FLOAT, "c": DEFAULT_COMPLEX, "i": DEFAULT_INT}
        kind = "f" if not array.size and array.dtype == np.float64 else array.dtype.kind
        if kind in defaults:
            array = array.astype(defaults[kind].numpy)
    return from_buffer(array.astype(as_dtype(array.dtype).numpy, copy=False))


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (Tensor, Variable)):
        return value.numpy()
    return value


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_arrays(each) for each in value)
    return hasattr(value, "dtype")


def is_weak(value: Any) -> bool:
    """True for Python numbers and for tensors that stand for them in a trace."""
    return isinstance(value, Number) or (isinstance(value, Tensor) and value._weak)


def result_dtype(name: str, values: Sequence[Any]) -> DType:
    """The promoted element type of operands, Python numbers being weak."""
    strong = [value.dtype for value in values if not isinstance(value, Number) and not is_weak(value)]
    weak = [value for value in values if is_weak(value)]
    kinds = [
        WEAK_OF_KIND[value.dtype.kind] if isinstance(value, Tensor) else type(value)
        for value in weak
    ]
    if not strong:
        order = (bool, int, float, complex)
        return default_dtype(max(kinds, key=order.index))
    try:
        dtype = promote(*strong)
    except DTypeError:
        raise DTypeError(
            explain(name, "element types with a common type", " and ".join(map(str, strong)),
                    "Cast one of them first, for instance x.astype('int64').")  # fmt: skip
        ) from None
    for kind in kinds:
        dtype = promote_weak(dtype, kind)
    return dtype


def operands(name: str, *values: Any, floats: bool = False) -> list[Node]:
    """Nodes of one element type and one shape for the operands of a pointwise op.

    With `floats`, integers and booleans become the default float type.
    """
    return same_shape(name, same_dtype(name, *values, floats=floats))


def same_dtype(name: str, *values: Any, floats: bool = False) -> list[Node]:
    """Nodes of one element type; shapes as they come, numbers as scalars."""
    found = [value if isinstance(value, Number) else to_tensor(value, name) for value in values]
    dtype = result_dtype(name, found)
    if floats and not dtype.is_inexact:
        dtype = DEFAULT_FLOAT
    return [to_dtype(name, value, dtype) for value in found]


def to_dtype(name: str, value: Any, dtype: DType) -> Node:
    """The node of a tensor or number in an element type."""
    if isinstance(value, Number):
        return number(name, value, dtype)
    node = node_of(value)
    return node if node.dtype is dtype else cast(node, dtype=dtype)


def number(name: str, value: Any, dtype: DType, shape: Shape = ()) -> Node:
    """A constant of a Python number; refused when the number does not fit the element type."""
    if dtype.is_integer and not isinstance(value, (bool, int)):
        raise DTypeError(explain(name, f"a number that fits {dtype}", f"{value!r}"))
    try:
        return full(value, dtype, shape)
    except (OverflowError, TypeError):
        raise ArgumentError(
            explain(name, f"a number that fits {dtype}", f"{value!r}",
                    "Cast the tensor to a wider type first.")  # fmt: skip
        ) from None


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
                        _broadcast_advice(types, own, size),
                    )
                )
        result.append(size)
    return tuple(result)


def _broadcast_advice(types: Sequence[TensorType], own: Any, size: Any) -> str:
    if isinstance(own, Dim) or isinstance(size, Dim):
        return f"Sizes {size} and {own} are not known to be equal; give them one name."
    matrices = [type for type in types if type.rank == 2]
    if len(matrices) == 2 and matrices[0].shape == matrices[1].shape[::-1]:
        return "Did you mean x and matrix_transpose(y)?"
    vectors = [type for type in types if type.rank == 1]
    if len(vectors) == 1 and any(
        type.rank > 1 and type.shape[0] == vectors[0].shape[0] for type in types
    ):
        return "Did you mean expand_dims(x, -1) for the operand with one axis?"
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


def pointwise(name: str, op: Op, *values: Any, floats: bool = False) -> Tensor:
    """Apply a pointwise op to whatever users pass."""
    if all(value.__class__ is Tensor for value in values):
        nodes = [node_of(value) for value in values]
        first = nodes[0].type
        if all(node.type is first for node in nodes) and not any(v._weak for v in values):
            if not floats or first.dtype.is_inexact:
                return wrap(op(*nodes))
    weak = all(is_weak(value) for value in values)
    if weak:
        nodes = same_shape(name, _weak_nodes(name, values))
        if floats and not nodes[0].dtype.is_inexact:
            nodes = [cast(node, dtype=as_dtype("float64")) for node in nodes]
        has_tensor = any(isinstance(value, Tensor) for value in values)
        result = op(*nodes)
        return wrap(result, weak=has_tensor and result.dtype is not bool_)
    return wrap(op(*operands(name, *values, floats=floats)))


def _weak_nodes(name: str, values: Sequence[Any]) -> list[Node]:
    """Operands that are all Python numbers, some of them traced: computed in the widest type."""
    if not any(isinstance(value, Tensor) for value in values):
        return same_dtype(name, *values)
    order = ("bool", "int", "float", "complex")
    wide = {"bool": "bool", "int": "int64", "float": "float64", "complex": "complex128"}
    kinds = [
        value.dtype.kind if isinstance(value, Tensor) else as_dtype(type(value)).kind
        for value in values
    ]
    dtype = as_dtype(wide[max(kinds, key=order.index)])
    return [to_dtype(name, value, dtype) for value in values]


def axis_of(name: str, axis: int, rank: int) -> int:
    """An axis counted from the front; negative axes count from the back."""
    if isinstance(axis, (bool, np.bool_)) or not hasattr(axis, "__index__"):
        raise ArgumentTypeError(explain(name, "an integer axis", f"{axis!r}"))
    found = axis.__index__()
    if not -rank <= found < rank:
        raise ShapeError(
            explain(name, f"an axis from {-rank} to {rank - 1}" if rank else "no axis: a scalar",
                    f"axis {found}")  # fmt: skip
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
    result: list[Any] = []
    for size in given:
        if isinstance(size, Dim):
            result.append(size)
            continue
        if isinstance(size, (bool, np.bool_)) or not hasattr(size, "__index__"):
            raise ArgumentTypeError(explain(name, "integer sizes", f"{shape!r}"))
        result.append(size.__index__())
    if any(isinstance(size, int) and size < 0 for size in result):
        raise ShapeError(explain(name, "sizes of zero or more", shape_text(tuple(result))))
    return tuple(result)

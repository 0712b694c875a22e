"""What ops are given: element types as Keras promotes them, axes, and shapes not known in full.

A size that is not known is None. It may be any number, so it agrees with every other size.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.array.data_types import astype
from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.types import DType, bool_
from thalweg.keras.dtypes import result_type, standardize_dtype
from thalweg.keras.operation import known_shape
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

Size = int | None
Sizes = tuple[Size, ...]

# Element types ------------------------------------------------------------------------------------

WEAK_KINDS = {"bool": bool, "int": int, "uint": int, "float": float, "complex": complex}


def dtype_of(x: Any) -> Any:
    """The element type of an operand by name; of a Python number, traced or not, its Python type.

    The latter takes the type of what it meets.
    """
    if isinstance(x, (bool, int, float, complex)) and not isinstance(x, np.generic):
        return type(x)
    if isinstance(x, Tensor) and x.is_weak:
        return WEAK_KINDS[x.dtype.kind]
    if hasattr(x, "dtype"):
        return standardize_dtype(x.dtype)
    return tensor(x).dtype.name


def common_dtype(*operands: Any) -> str:
    """The element type in which operands meet; `float` among them asks for a float type."""
    return result_type(*(x if isinstance(x, type) else dtype_of(x) for x in operands))


def tensors(*operands: Any) -> list[Tensor]:
    """The operands as tensors of their common element type."""
    dtype = common_dtype(*operands)
    return [tensor(x, dtype) for x in operands]


def promoted(*operands: Any, floats: bool = False) -> list[Any]:
    """The operands as tensors of their common element type, and Python numbers as they are.

    The numbers fit that type, and take it where they meet the tensors; numbers only become tensors.
    """
    if _fit_together({x.dtype if _is_strong(x) else x.__class__ for x in operands}, floats):
        return list(operands)
    kinds = [dtype_of(x) for x in operands]
    wanted = result_type(*kinds, float) if floats else result_type(*kinds)
    is_only_numbers = all(isinstance(kind, type) for kind in kinds)
    return [
        x if isinstance(kind, type) and not is_only_numbers else tensor(x, wanted)
        for x, kind in zip(operands, kinds, strict=True)
    ]


def are_booleans(*operands: Any) -> bool:
    """True for booleans only, Python's own among them."""
    return all(isinstance(x, bool) or getattr(x, "dtype", None) is bool_ for x in operands)


def _is_strong(x: Any) -> bool:
    return x.__class__ is Tensor and not x._weak


def _fit_together(kinds: set[Any], floats: bool) -> bool:
    """True where nothing is to do: for tensors of one type, beside numbers that it can hold."""
    types = [kind for kind in kinds if kind.__class__ is DType]
    if len(types) != 1 or (floats and not types[0].is_inexact):
        return False
    numbers = {int, float} if types[0].is_inexact else {int} if types[0].is_integer else set()
    return kinds - numbers == {types[0]}


def floats(x: Any) -> Tensor:
    """The operand as a tensor of a float type: its own, or the default one."""
    found = tensor(x)
    return found if found.dtype.is_inexact else astype(found, result_type(found.dtype, float))


def as_int32(x: Tensor) -> Tensor:
    """Positions and counts in the type that Keras gives them."""
    return astype(x, "int32")


# Axes ---------------------------------------------------------------------------------------------


def axis_of(name: str, axis: Any, rank: int) -> int:
    """An axis counted from the front. Raises ShapeError for one that is not there."""
    found = axis.__index__() if hasattr(axis, "__index__") else None
    if found is None or not -rank <= found < rank:
        raise ShapeError(
            explain(
                name,
                f"an axis from {-rank} to {rank - 1}; axis {axis} is out of bounds",
                f"axis={axis} for a tensor of {rank} axes",
            )
        )
    return found % rank


def axes_of(name: str, axis: Any, rank: int) -> Any:
    """One axis or several counted from the front; None stays."""
    if axis is None:
        return None
    if isinstance(axis, (tuple, list)):
        return tuple(axis_of(name, each, rank) for each in axis)
    return axis_of(name, axis, rank)


# Shapes -------------------------------------------------------------------------------------------


def shape_of(x: Any) -> Sizes:
    """The shape of an operand, None for sizes that are not known."""
    return known_shape(x.shape if hasattr(x, "shape") else tensor(x).shape)


def like(x: Any, shape: Sequence[Size], dtype: Any = None) -> KerasTensor:
    """A symbol of another shape, of the element type of x or another."""
    return KerasTensor(tuple(shape), dtype=dtype or tensor_dtype(x))


def tensor_dtype(x: Any) -> str:
    """The element type that an operand has as a tensor."""
    return standardize_dtype(x.dtype) if hasattr(x, "dtype") else tensor(x).dtype.name


def count(shape: Sequence[Size]) -> Size:
    """The number of elements, None where a size is not known."""
    return None if None in shape else math.prod(shape)  # type: ignore[arg-type]


def total(sizes: Sequence[Size]) -> Size:
    """The sum of sizes, None where one is not known."""
    return None if None in sizes else sum(sizes)  # type: ignore[arg-type]


def agree(one: Size, two: Size) -> bool:
    """True for sizes that are equal or may be."""
    return one is None or two is None or one == two


def fitted(name: str, shapes: Sequence[Sizes], free: int | None = None) -> list[Size]:
    """The shape that operands share, sizes known to one of them filled in.

    On the axis `free` they may differ; its size is left open. Raises ShapeError.
    """
    first = list(shapes[0])
    for shape in shapes[1:]:
        if len(shape) != len(first):
            raise _differ(name, shapes, free)
        for axis, (one, two) in enumerate(zip(first, shape, strict=True)):
            if axis != free and not agree(one, two):
                raise _differ(name, shapes, free)
            first[axis] = two if one is None else one
    if free is not None:
        first[free] = None
    return first


def _differ(name: str, shapes: Sequence[Sizes], free: int | None) -> ShapeError:
    but = "" if free is None else f" but for axis {free}"
    received = "shapes " + " and ".join(map(str, dict.fromkeys(shapes)))
    return ShapeError(explain(name, f"operands of equal shape{but}", received))


def broadcast(name: str, *shapes: Sequence[Size]) -> Sizes:
    """The shape that shapes broadcast to; None gives way to a size other than 1.

    Raises ShapeError where there is none.
    """
    rank = max(map(len, shapes), default=0)
    found: list[Size] = []
    for place in range(-rank, 0):
        sizes = [shape[place] for shape in shapes if len(shape) >= -place]
        known = {size for size in sizes if size not in (None, 1)}
        if len(known) > 1:
            raise ShapeError(
                explain(
                    name,
                    "shapes that broadcast: from the last axis backward, equal sizes or 1",
                    " and ".join(str(tuple(shape)) for shape in shapes),
                )
            )
        found.append(known.pop() if known else None if None in sizes else 1)
    return tuple(found)


def same_shape(x: Any, **_: Any) -> KerasTensor:
    """The rule of ops of x that keep its shape and element type."""
    return like(x, shape_of(x))

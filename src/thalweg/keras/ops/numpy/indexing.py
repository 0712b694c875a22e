"""Indexing: elements by their places, by conditions and along diagonals; functions of elements.

Places count from the end where they are negative; places that an op gives are int32.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from thalweg.array import indexing, manipulation, searching, statistical
from thalweg.array.data_types import astype
from thalweg.array.derivatives import vmap
from thalweg.array.elementwise import clip, floor_divide, remainder
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import infer, op
from thalweg.keras.ops.numpy.reductions import accumulating_dtype
from thalweg.keras.ops.operands import (
    Size,
    Sizes,
    as_int32,
    axis_of,
    broadcast,
    common_dtype,
    count,
    like,
    shape_of,
)
from thalweg.keras.symbol import KerasTensor, any_symbolic
from thalweg.keras.variable import tensor

# By place -----------------------------------------------------------------------------------------


def _indices(name: str, indices: Any) -> Tensor:
    found = tensor(indices)
    if not found.dtype.is_integer:
        do = "Cast first: keras.ops.cast(indices, 'int32')."
        raise DTypeError(explain(name, "indices that are integers", f"{found.dtype}", do))
    return found


def _take_spec(x: Any, indices: Any, axis: int | None = None) -> KerasTensor:
    shape, places = shape_of(x), shape_of(indices)
    if axis is None:
        return like(x, places)
    axis = axis_of("take", axis, len(shape))
    return like(x, (*shape[:axis], *places, *shape[axis + 1 :]))


@op(data=("x", "indices"), spec=_take_spec)
def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """The slices of x at integer places along an axis: (B, N, C) with (K,) -> (B, K, C).

    Indices may have any number of axes; `axis=None` flattens x first. Raises OutOfRangeError for
    indices that are known to be outside.
    """
    x = tensor(x)
    axis = None if axis is None else axis_of("take", axis, x.ndim)
    return indexing.take(x, _indices("take", indices), axis=axis)


def _take_along_axis_spec(x: Any, indices: Any, axis: int | None = None) -> KerasTensor:
    shape, places = shape_of(x), shape_of(indices)
    if axis is None:
        shape, axis = (count(shape),), 0
    axis = axis_of("take_along_axis", axis, len(shape))
    if len(shape) != len(places):
        received = f"x.shape={shape_of(x)} and indices.shape={places}"
        wanted = "x and indices with the same number of dimensions"
        raise ShapeError(explain("take_along_axis", wanted, received))
    left = [1 if each == axis else size for each, size in enumerate(shape)]
    return like(x, broadcast("take_along_axis", left, places))


@op(data=("x", "indices"), spec=_take_along_axis_spec)
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """For each index the element of x at that place along an axis, as `argsort` gives them.

    x and the indices have as many axes, and broadcast on all but this one; `axis=None` flattens x.
    """
    x = tensor(x)
    if axis is None:
        x, axis = manipulation.ravel(x), 0
    axis = axis_of("take_along_axis", axis, x.ndim)
    return indexing.take_along_axis(x, _indices("take_along_axis", indices), axis=axis)


def _get_item_spec(x: Any, key: Any) -> Any:
    parts = list(key) if isinstance(key, tuple) else [key]
    if any_symbolic((key,)) or not all(map(_is_plain, parts)):
        return infer(get_item.definition.function, (x, key), {})
    return like(x, _shape_of_item(shape_of(x), parts, key))


def _is_plain(part: Any) -> bool:
    """True for what a key of numbers and slices is made of."""
    if isinstance(part, slice):
        ends = (part.start, part.stop, part.step)
        return all(end is None or hasattr(end, "__index__") for end in ends)
    return part is None or part is Ellipsis or (hasattr(part, "__index__") and _is_number(part))


def _is_number(part: Any) -> bool:
    return not isinstance(part, bool) and not getattr(part, "ndim", 0)


def _shape_of_item(shape: Sizes, parts: list[Any], key: Any) -> list[Size]:
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    received = f"[{key}] for shape {shape}"
    if len(dots) > 1:
        raise ArgumentError(explain("get_item", "one ... at most", received))
    if taken > len(shape):
        raise ArgumentError(explain("get_item", f"at most {len(shape)} indices", received))
    place = dots[0] if dots else len(parts)
    whole = [slice(None)] * (len(shape) - taken)
    sizes = iter(shape)
    found: list[Size] = []
    for part in [*parts[:place], *whole, *parts[place + 1 :]]:
        if part is None:
            found.append(1)
            continue
        size = next(sizes)
        if isinstance(part, slice):
            found.append(None if size is None else len(range(*part.indices(size))))
        elif size is not None and not -size <= part < size:
            wanted = f"an index from {-size} to {size - 1}"
            raise ArgumentError(explain("get_item", wanted, received))
    return found


@op(data=("x", "key"), spec=_get_item_spec)
def get_item(x: Any, key: Any) -> Tensor:
    """x[key], for keys of integers, slices, ..., None, and integer or boolean arrays."""
    return indexing.get_item(tensor(x), key)


def _nonzero_spec(x: Any) -> tuple[KerasTensor, ...]:
    return tuple(like(x, (None,), "int32") for _ in shape_of(x))


@op(spec=_nonzero_spec)
def nonzero(x: Any) -> tuple[Tensor, ...]:
    """The places of elements that are not 0, in row-major order: for each axis their positions.

    Their number depends on data, so it cannot be traced.
    """
    return tuple(as_int32(each) for each in searching.nonzero(tensor(x)))


def _unravel_index_spec(indices: Any, shape: Any) -> list[KerasTensor]:
    own = shape_of(indices) if None not in shape else (None,)
    return [like(indices, own) for _ in shape]


@op(data=("indices",), spec=_unravel_index_spec)
def unravel_index(indices: Any, shape: Any) -> tuple[Tensor, ...]:
    """The places along each axis of a shape that flat indices stand for, in their element type.

    Indices outside count as the nearest inside.
    """
    flat = _indices("unravel_index", indices)
    sizes = [shape] if hasattr(shape, "__index__") else list(shape)
    dtype = flat.dtype
    whole = 1
    for size in sizes:
        whole = whole * size
    rest: Any = clip(astype(flat, "int64"), -whole, whole - 1)
    rest = searching.where(rest < 0, rest + whole, rest)
    found = []
    for size in reversed(sizes):
        found.append(astype(remainder(rest, size), dtype))
        rest = floor_divide(rest, size)
    return tuple(reversed(found))


# By condition -------------------------------------------------------------------------------------


def _check_lists(condlist: Any, choicelist: Any) -> None:
    for name, given in (("condlist", condlist), ("choicelist", choicelist)):
        if not isinstance(given, (list, tuple)) or not given:
            wanted = f"{name}, a list of tensors that must not be empty"
            raise ArgumentError(explain("select", wanted, f"{type(given).__name__}: {given}"))
    if len(condlist) != len(choicelist):
        received = f"{len(condlist)} conditions and {len(choicelist)} choices"
        raise ArgumentError(explain("select", "as many choices as conditions", received))


@op(data=("condlist", "choicelist", "default"))
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    """For each element the first choice whose condition is true, or the default; all broadcast."""
    _check_lists(condlist, choicelist)
    dtype = common_dtype(*choicelist, default)
    found = tensor(default, dtype)
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        found = searching.where(tensor(condition), tensor(choice, dtype), found)
    return found


# Diagonals ----------------------------------------------------------------------------------------


def _without_plane(name: str, x: Any, axis1: int, axis2: int) -> tuple[Sizes, Sizes]:
    """The sizes of the other axes, and those of the plane of two axes."""
    shape = shape_of(x)
    if len(shape) < 2:
        wanted = "a tensor of at least two dimensions"
        raise ShapeError(explain(name, wanted, f"shape {shape}"))
    one, two = _plane(name, axis1, axis2, len(shape))
    others = tuple(size for axis, size in enumerate(shape) if axis not in (one, two))
    return others, (shape[one], shape[two])


def _plane(name: str, axis1: int, axis2: int, rank: int) -> tuple[int, int]:
    one, two = axis_of(name, axis1, rank), axis_of(name, axis2, rank)
    if one == two:
        wanted = "`axis1` and `axis2` to be different"
        raise ShapeError(explain(name, wanted, f"axis1={axis1}, axis2={axis2}"))
    return one, two


def _diagonal_spec(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> KerasTensor:
    others, (rows, columns) = _without_plane("diagonal", x, axis1, axis2)
    length = None
    if rows is not None and columns is not None:
        length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    return like(x, (*others, length))


@op(data=("x",), spec=_diagonal_spec)
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements at i along axis1 and i + offset along axis2, as a last axis."""
    x = tensor(x)
    one, two = _plane("diagonal", axis1, axis2, x.ndim)
    return manipulation.diagonal(x, offset=offset, axis1=one, axis2=two)


def _trace_spec(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> KerasTensor:
    others, _ = _without_plane("trace", x, axis1, axis2)
    return like(x, others, accumulating_dtype(like(x, ()).dtype))


@op(data=("x",), spec=_trace_spec)
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sums of diagonals, see `diagonal`; narrow integers are added as int32 or uint32."""
    x = tensor(x)
    one, two = _plane("trace", axis1, axis2, x.ndim)
    line = manipulation.diagonal(x, offset=offset, axis1=one, axis2=two)
    return statistical.sum(line, axis=-1, dtype=accumulating_dtype(x.dtype))


# Functions of elements ----------------------------------------------------------------------------


def vectorize(
    pyfunc: Callable, *, excluded: Collection[Any] | None = None, signature: str | None = None
) -> Callable:
    """A function of arrays from a function of single elements, or of the axes in a signature.

    "(n),(n)->()" makes each argument's last axis the function's own; all axes before them broadcast
    and run together. `excluded` names or counts arguments that are passed as they are.
    """
    if not callable(pyfunc):
        wanted = "argument `pyfunc` to be a callable"
        raise ArgumentError(explain("vectorize", wanted, f"pyfunc={pyfunc}"))
    kept = set(excluded or ())
    if not all(isinstance(each, (int, str)) for each in kept):
        wanted = "integers and names of arguments as `excluded`"
        raise ArgumentTypeError(explain("vectorize", wanted, f"excluded={excluded}"))
    ranks = None if signature is None else _core_ranks(signature)

    def vectorized(*args: Any, **kwargs: Any) -> Any:
        keys = [*range(len(args)), *kwargs]
        given = dict(zip(keys, [*args, *kwargs.values()], strict=True))
        mapped = [key for key in keys if key not in kept and given[key] is not None]
        if ranks is not None and len(ranks) != len(mapped):
            wanted = f"{len(ranks)} arguments, as many as in {signature!r}"
            raise ArgumentError(explain("vectorize", wanted, f"{len(mapped)}"))
        operands = [tensor(given[key]) for key in mapped]

        def call(*values: Any) -> Any:
            found = {**given, **dict(zip(mapped, values, strict=True))}
            named = {key: found[key] for key in kwargs}
            return pyfunc(*(found[place] for place in range(len(args))), **named)

        return _over_loops(call, operands, ranks or [0] * len(operands))

    vectorized.__name__ = getattr(pyfunc, "__name__", "vectorized")
    vectorized.__doc__ = pyfunc.__doc__
    return vectorized


_AXES = r"\(\s*(?:\w+(?:\s*,\s*\w+)*)?\s*\)"
_SIGNATURE = re.compile(rf"\s*{_AXES}(?:\s*,\s*{_AXES})*\s*->\s*{_AXES}(?:\s*,\s*{_AXES})*\s*")


def _core_ranks(signature: str) -> list[int]:
    """How many axes of each argument are the function's own."""
    if not _SIGNATURE.fullmatch(signature):
        wanted = "a signature such as '(n),(n)->()'"
        raise ArgumentError(explain("vectorize", wanted, f"signature={signature!r}"))
    inputs = signature.partition("->")[0]
    return [len(re.findall(r"\w+", text)) for text in re.findall(_AXES, inputs)]


def _over_loops(function: Callable, operands: list[Tensor], ranks: list[int]) -> Any:
    """A function of the last axes of each operand, over all that stand before them, broadcast."""
    for operand, rank in zip(operands, ranks, strict=True):
        if operand.ndim < rank:
            wanted = f"at least {rank} axes"
            raise ShapeError(explain("vectorize", wanted, f"shape {operand.shape}"))
    leads = [x.shape[: x.ndim - rank] for x, rank in zip(operands, ranks, strict=True)]
    loop = manipulation.broadcast_shapes(*leads)
    if not loop:
        return function(*operands)
    number: Any = 1
    for size in loop:
        number = number * size
    rows = []
    for x, lead in zip(operands, leads, strict=True):
        core = x.shape[len(lead) :]
        rows.append(
            manipulation.reshape(manipulation.broadcast_to(x, (*loop, *core)), (number, *core))
        )
    found = vmap(function)(*rows)

    def unrolled(y: Tensor) -> Tensor:
        return manipulation.reshape(y, (*loop, *y.shape[1:]))

    return (
        type(found)(map(unrolled, found)) if isinstance(found, (tuple, list)) else unrolled(found)
    )

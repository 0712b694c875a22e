"""Conversions and element types, and parts of tensors: slices and scattered writes."""

import builtins
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array import derivatives, manipulation
from thalweg.array.creation import zeros
from thalweg.array.data_types import astype, finfo, iinfo
from thalweg.array.elementwise import clip, real
from thalweg.array.indexing import at, dynamic_slice, dynamic_update_slice, get_item
from thalweg.array.searching import where
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.tree import map_leaves
from thalweg.ir.dim import Dim, is_known_at_least
from thalweg.ir.types import DType, as_dtype
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import axis_of
from thalweg.keras.symbol import KerasTensor, any_symbolic, is_keras_tensor
from thalweg.keras.variable import Variable, tensor

# Shapes and types ---------------------------------------------------------------------------------


def shape(x: Any) -> tuple[Any, ...]:
    """The sizes of the axes of a tensor, array or KerasTensor: a tuple.

    Sizes are integers; None in a KerasTensor where unknown, named sizes in a traced function.
    """
    return tuple(x.shape if hasattr(x, "shape") else tensor(x).shape)


def dtype(x: Any) -> str:
    """The element type of a tensor, array, variable or KerasTensor, as a string."""
    return standardize_dtype(x.dtype if hasattr(x, "dtype") else tensor(x).dtype)


def is_tensor(x: Any) -> bool:
    """True for a tensor; False for arrays, variables, KerasTensors and everything else."""
    return isinstance(x, Tensor)


def _convert_spec(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> KerasTensor:
    return KerasTensor(
        x.shape,
        dtype=x.dtype if dtype is None else standardize_dtype(dtype),
        sparse=x.sparse and sparse is not False,
        ragged=x.ragged and ragged is not False,
    )


@op(spec=_convert_spec)
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Tensor:
    """A tensor of a tensor, variable, array, number or nested lists.

    Without `dtype` Python integers become int32 and Python floats floatx. All tensors are dense:
    `sparse` and `ragged` say what may stay sparse or ragged, and nothing is.
    """
    return tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """A NumPy array that may be written to. Raises ArgumentError for a KerasTensor."""
    if isinstance(x, Variable):
        x = x.value
    if isinstance(x, Tensor):
        return np.array(x.numpy())
    return np.array(x)


@op
def cast(x: Any, dtype: Any) -> Tensor:
    """The same values in another element type.

    Floats become integers toward zero, complex numbers real by dropping the imaginary part.
    """
    return converted(x, dtype)


def converted(x: Any, dtype: Any) -> Tensor:
    """`cast` for what is no KerasTensor."""
    target = as_dtype(standardize_dtype(dtype))
    found = tensor(x)
    if found.dtype.is_complex and not target.is_complex and target.name != "bool":
        found = real(found)
    return astype(found, target)


@op
def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """The same values in another element type; what it cannot hold becomes its nearest value."""
    found, target = tensor(x), as_dtype(standardize_dtype(dtype))
    if found.dtype.is_complex or target.is_complex:
        return converted(found, target)
    if found.dtype.is_float and target.is_integer:
        return astype(found, target)  # saturates by itself
    limits = _limits(found.dtype, target)
    return astype(found if limits is None else clip(found, *limits), target)


def _limits(source: DType, target: DType) -> tuple[Any, Any] | None:
    """The least and the greatest value of `source` that `target` holds; None if it holds all."""
    if source.is_float and target.is_float:  # an infinity is no nearest value
        narrow = min(source, target, key=lambda each: finfo(each).max)
        return finfo(narrow).min, finfo(narrow).max
    if source.name == "bool":
        return None
    if target.name == "bool":
        low, high = 0, 1
    else:
        info = finfo(target) if target.is_float else iinfo(target)
        low, high = int(info.min), int(info.max)
    if source.is_float:
        return low, high
    own = iinfo(source)
    return None if low <= own.min and own.max <= high else (max(low, own.min), min(high, own.max))


@op
def stop_gradient(variable: Any) -> Any:
    """The same values, through which no derivative flows; nested ones one by one."""
    return map_leaves(lambda x: derivatives.stop_gradient(tensor(x)), variable)


def custom_gradient(f: Callable) -> Callable:
    """Give a function a derivative of your own.

    `f(*args)` returns its value and a function from cotangents of it to those of the arguments.
    """

    @functools.wraps(f)
    def function(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            return f(*args, **kwargs)[0]

        # Only what is passed by position has a derivative; defaults and keywords are settings.
        def by_position(*given: Any) -> Any:
            return f(*given, **kwargs)

        by_position.__name__ = getattr(f, "__name__", "custom_gradient")
        return derivatives.custom_gradient(by_position)(*args)

    return function


# Parts of tensors ---------------------------------------------------------------------------------


def _unstack_spec(x: Any, num: Any = None, axis: int = 0) -> list[KerasTensor]:
    place = axis_of("unstack", axis, len(x.shape))
    count = _count_of(x.shape, num, place)
    rest = (*x.shape[:place], *x.shape[place + 1 :])
    return [KerasTensor(rest, dtype=x.dtype) for _ in range(count)]


@op(spec=_unstack_spec)
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of x along an axis, which is gone from them: a list.

    `num` says how many where the size of the axis is not known. Raises ArgumentError without.
    """
    x = tensor(x)
    place = axis_of("unstack", axis, x.ndim)
    if isinstance(x.shape[place], int):
        _count_of(x.shape, num, place)
        return list(manipulation.unstack(x, axis=place))
    lead = (builtins.slice(None),) * place
    return [get_item(x, (*lead, index)) for index in range(_count_of(x.shape, num, place))]


def _count_of(shape: Sequence[Any], num: int | None, axis: int) -> int:
    size = shape[axis]
    known = isinstance(size, int)
    if num is None and not known:
        text = tuple(each if isinstance(each, int) else None for each in shape)
        raise ArgumentError(
            explain(
                "unstack",
                "to know how many slices there are",
                f"Cannot infer argument `num` from shape {text}, axis={axis}",
                "Pass num=...",
            )
        )
    if num is not None and known and num != size:
        raise ArgumentError(
            explain("unstack", f"num to be the size of axis {axis}, {size}", f"num={num}")
        )
    return size if num is None else num


def _places(indices: Any, rank: int, name: str) -> tuple[Tensor, ...]:
    """One tensor of positions for each axis that an index vector [..., K] goes into."""
    found = tensor(indices)
    count = found.shape[-1] if found.ndim else None
    if not isinstance(count, int) or count > rank:
        raise ShapeError(
            explain(
                name,
                f"index vectors in the last axis of `indices`, at most {rank} numbers each",
                f"indices of shape {tuple(found.shape)}",
            )
        )
    if not found.dtype.is_integer:
        raise DTypeError(explain(name, "indices that are integers", found.dtype.name))
    return tuple(found[..., axis] for axis in range(count))


def _scatter_spec(indices: Any, values: Any, shape: Any) -> KerasTensor:
    kind = values.dtype if is_keras_tensor(values) else dtype(values)
    return KerasTensor(shape, dtype=kind)


@op(spec=_scatter_spec)
def scatter(indices: Any, values: Any, shape: Any) -> Tensor:
    """Zeros of a shape with values at index vectors: [N..., K], [N..., rest...] -> shape.

    Values for the same place are added; a place outside is dropped.
    """
    values = tensor(values)
    sizes = tuple(_static_sizes("scatter", shape))
    places = _places(indices, len(sizes), "scatter")
    return at(zeros(sizes, dtype=values.dtype))[places].add(values)


_REDUCTIONS = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


def _like_inputs(inputs: Any, *_: Any, **__: Any) -> KerasTensor:
    return KerasTensor(shape(inputs), dtype=dtype(inputs))


@op(spec=_like_inputs)
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Tensor:
    """`inputs` with updates at index vectors: indices [N..., K], updates [N..., rest...].

    `reduction` says how an update meets what is there: None replaces it, "add", "max", "min" and
    "mul" combine all. A place outside is dropped. Updates take the element type of the inputs.
    """
    if reduction not in _REDUCTIONS:
        raise ArgumentError(
            explain(
                "scatter_update",
                "None, 'add', 'max', 'min' or 'mul' as reduction",
                f"Invalid reduction: {reduction}",
            )
        )
    inputs = tensor(inputs)
    place = at(inputs)[_places(indices, inputs.ndim, "scatter_update")]
    return getattr(place, _REDUCTIONS[reduction])(tensor(updates, inputs.dtype))


def _static_sizes(name: str, sizes: Any) -> list[Any]:
    """Sizes from a sequence, array or tensor with values."""
    if isinstance(sizes, (Tensor, Variable, np.ndarray)):
        sizes = convert_to_numpy(sizes).tolist()
    if isinstance(sizes, (int, Dim)):
        sizes = [sizes]
    return [size if size is None or isinstance(size, Dim) else int(size) for size in sizes]


def _starts(start_indices: Any) -> list[Any]:
    """Starts as integers where they have values, and as scalars where they are data."""
    if isinstance(start_indices, Variable):
        start_indices = start_indices.value
    if isinstance(start_indices, Tensor):
        if not start_indices.is_traced:
            return start_indices.numpy().tolist()
        return list(start_indices)
    if isinstance(start_indices, np.ndarray):
        return start_indices.tolist()
    if not isinstance(start_indices, (list, tuple)):
        start_indices = [start_indices]
    return [
        each if isinstance(each, Dim) else integer(each) if has_value(each) else tensor(each)
        for each in start_indices
    ]


def has_value(x: Any) -> bool:
    """False for a tensor, or a variable, that is being traced."""
    if isinstance(x, Variable):
        x = x.value
    return not (isinstance(x, Tensor) and x.is_traced)


def integer(x: Any) -> int:
    """The number that a tensor, variable or number with a value holds."""
    return int(x.value if isinstance(x, Variable) else x)


def _check_ranks(inputs: Any, start_indices: Any, sizes: Sequence[Any] | None = None) -> None:
    rank = len(shape(inputs))
    if is_keras_tensor(start_indices):
        count = start_indices.shape[0] if len(start_indices.shape) == 1 else None
    else:
        count = len(start_indices)
    if count is not None and count != rank:
        raise ShapeError(
            explain(
                "slice",
                "one start an axis; the number of dimensions in `start_indices` must match the "
                "number of dimensions in `inputs`",
                f"{count} starts for {rank} axes",
            )
        )
    if sizes is not None and len(sizes) != rank:
        raise ShapeError(
            explain(
                "slice",
                "one size an axis; the number of dimensions in `inputs` must match the number of "
                "dimensions in `shape`",
                f"{len(sizes)} sizes for {rank} axes",
            )
        )


def _slice_spec(inputs: Any, start_indices: Any, shape: Any) -> KerasTensor:
    sizes = _static_sizes("slice", shape)
    starts = start_indices if is_keras_tensor(start_indices) else _starts(start_indices)
    _check_ranks(inputs, starts, sizes)
    own = tuple(inputs.shape)
    found = []
    for axis, size in enumerate(sizes):
        if size == -1:
            start = None if is_keras_tensor(starts) else starts[axis]
            known = isinstance(start, int) and own[axis] is not None
            size = own[axis] - _from_front(start, own[axis]) if known else None
        found.append(size)
    return KerasTensor(found, dtype=dtype(inputs))


def _from_front(start: Any, size: Any) -> Any:
    """A start counted from the front; negative ones count from the end."""
    if isinstance(start, (int, Dim)):
        return start + size if is_known_at_least(-1 - start, 0) else start
    return where(start < 0, start + size, start)


@op(spec=_slice_spec)
def slice(inputs: Any, start_indices: Any, shape: Any) -> Tensor:
    """The part of `inputs` that begins at `start_indices`, one an axis, and has a given shape.

    Starts may be data; they are held where the part fits into the inputs. A size of -1 means up
    to the end, for which the start must be known.
    """
    inputs = tensor(inputs)
    starts, sizes = _starts(start_indices), _static_sizes("slice", shape)
    _check_ranks(inputs, starts, sizes)
    starts = [_from_front(*pair) for pair in zip(starts, inputs.shape, strict=True)]
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        if size is None or (isinstance(size, int) and size == -1):
            if isinstance(start, Tensor):
                raise ArgumentError(
                    explain(
                        "slice",
                        "known starts where a size is -1",
                        f"the size -1 for axis {axis}, whose start is data",
                        "Say how long the part is.",
                    )
                )
            sizes[axis] = inputs.shape[axis] - start
        elif is_known_at_least(size - inputs.shape[axis], 1):
            raise ShapeError(
                explain(
                    "slice", f"sizes up to {tuple(inputs.shape)}, those of the inputs", f"{sizes}"
                )
            )
    if _fits(starts, sizes, inputs.shape):
        cuts = zip(starts, sizes, strict=True)
        return get_item(inputs, tuple(builtins.slice(at, at + size) for at, size in cuts))
    return dynamic_slice(inputs, starts, sizes)


def _fits(starts: Sequence[Any], sizes: Sequence[Any], shape: Sequence[Any]) -> bool:
    """True where the starts are known and nothing sticks out."""
    return not any(isinstance(start, Tensor) for start in starts) and all(
        is_known_at_least(whole - start - size, 0)
        for start, size, whole in zip(starts, sizes, shape, strict=True)
    )


def _slice_update_spec(inputs: Any, start_indices: Any, updates: Any) -> KerasTensor:
    starts = start_indices if is_keras_tensor(start_indices) else _starts(start_indices)
    _check_ranks(inputs, starts)
    return _like_inputs(inputs)


@op(spec=_slice_update_spec)
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """`inputs` with the part that begins at `start_indices` replaced by `updates`.

    `updates` has as many axes as the inputs and takes their element type. Starts may be data; they
    are held where the part fits into the inputs.
    """
    inputs = tensor(inputs)
    starts = _starts(start_indices)
    _check_ranks(inputs, starts)
    starts = [_from_front(*pair) for pair in zip(starts, inputs.shape, strict=True)]
    return dynamic_update_slice(inputs, tensor(updates, inputs.dtype), starts)

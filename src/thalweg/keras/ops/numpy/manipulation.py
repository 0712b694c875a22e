"""Manipulation: the same values under another shape, order or number of copies.

Element types stay, and promote where operands are joined.
"""

import builtins
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.array import manipulation, statistical
from thalweg.array.creation import linspace, zeros
from thalweg.array.data_types import astype
from thalweg.array.elementwise import round as rounded
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import Dim
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import (
    Size,
    Sizes,
    agree,
    axes_of,
    axis_of,
    common_dtype,
    count,
    fitted,
    like,
    same_shape,
    shape_of,
    tensors,
    total,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import Variable, tensor

Axes = int | Sequence[int]

# What is there ------------------------------------------------------------------------------------


def _ndim_spec(x: Any) -> KerasTensor:
    # Not the shape of a number, but what Keras announces.
    return KerasTensor((len(shape_of(x)),))


@op(data=("x",), spec=_ndim_spec)
def ndim(x: Any) -> int:
    """The number of axes."""
    return len(shape_of(x))


def _size_spec(x: Any) -> KerasTensor:
    return KerasTensor((), "int32")


@op(data=("x",), spec=_size_spec)
def size(x: Any) -> int | Dim:
    """The number of elements; a named size while a function is traced with one."""
    return tensor(x).size


# Shapes -------------------------------------------------------------------------------------------


def _reshape_spec(x: Any, newshape: Any) -> KerasTensor:
    shape = shape_of(x)
    if isinstance(newshape, KerasTensor):
        return like(x, (None,) * (newshape.shape[0] if newshape.ndim == 1 else 1))  # type: ignore[operator]
    wanted = [each if _is_number(each) else None for each in _sizes_given(newshape)]
    elements = count(shape)
    known = count([each for each in wanted if each != -1])
    if elements is None or known is None:
        return like(x, [None if each == -1 else each for each in wanted])
    if -1 in wanted:
        if not known or elements % known:
            raise _cannot_reshape(shape, newshape)
        wanted[wanted.index(-1)] = elements // known
    elif known != elements:
        raise _cannot_reshape(shape, newshape)
    return KerasTensor(wanted, like(x, ()).dtype, sparse=getattr(x, "sparse", False))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, np.integer))


def _sizes_given(newshape: Any) -> list[Any]:
    """The sizes of a shape as they were given, checked as far as they are numbers."""
    if isinstance(newshape, (np.ndarray, Tensor, Variable)):
        newshape = tensor(newshape).tolist()
    given = list(newshape) if isinstance(newshape, Iterable) else [newshape]
    numbers = [each for each in given if _is_number(each)]
    text = f"newshape={tuple(given)}"
    if builtins.any(each < -1 for each in numbers):
        wanted = f"each size to be a non-negative integer, or -1 for the rest, not {text}"
        raise ShapeError(explain("reshape", wanted, text))
    if numbers.count(-1) > 1:
        wanted = f"at most one unknown dimension (-1), not {text}"
        raise ShapeError(explain("reshape", wanted, text))
    return given


def _cannot_reshape(shape: Sizes, newshape: Any) -> ShapeError:
    wanted = "the total size of the tensor to be unchanged"
    return ShapeError(explain("reshape", wanted, f"shape {shape} and newshape={newshape}"))


@op(data=("x",), spec=_reshape_spec)
def reshape(x: Any, newshape: Any) -> Tensor:
    """The same values in row-major order under another shape; one size may be -1, for the rest.

    A single None counts as -1.
    """
    given = _sizes_given(newshape)
    if given.count(None) == 1 and -1 not in [each for each in given if _is_number(each)]:
        given[given.index(None)] = -1
    return manipulation.reshape(tensor(x), [_plain(each) for each in given])


def _plain(value: Any) -> Any:
    """A size as an integer or a named size."""
    if isinstance(value, KerasTensor):
        do = "Write -1, or compute the size in a layer's call with keras.ops.shape."
        raise ArgumentTypeError(
            explain("reshape", "sizes with values", f"the symbolic {value}", do)
        )
    return value if isinstance(value, Dim) or not hasattr(value, "__index__") else int(value)


def _broadcast_to_spec(x: Any, shape: Any) -> KerasTensor:
    own, wanted = shape_of(x), shape if isinstance(shape, Iterable) else (shape,)
    sizes = tuple(each if _is_number(each) else None for each in wanted)
    pairs = zip(reversed(own), reversed(sizes), strict=False)
    fits = builtins.all(old == 1 or agree(old, new) for old, new in pairs)
    if len(own) > len(sizes) or not fits:
        needed = "a shape whose last axes are those of x, or stretch an axis of size 1"
        raise ShapeError(explain("broadcast_to", needed, f"{sizes} for shape {own}"))
    return like(x, sizes)


@op(data=("x",), spec=_broadcast_to_spec)
def broadcast_to(x: Any, shape: Any) -> Tensor:
    """x stretched to a shape: axes are added in front, and axes of size 1 repeated."""
    return manipulation.broadcast_to(tensor(x), shape)


@op
def ravel(x: Any) -> Tensor:
    """All values along one axis, in row-major order."""
    return manipulation.ravel(tensor(x))


@op
def expand_dims(x: Any, axis: Axes) -> Tensor:
    """x with a new axis of size 1, or several, at positions of the result."""
    x = tensor(x)
    more = len(axis) if isinstance(axis, (tuple, list)) else 1
    return manipulation.expand_dims(x, axes_of("expand_dims", axis, x.ndim + more))


@op
def squeeze(x: Any, axis: Axes | None = None) -> Tensor:
    """x without an axis of size 1, or several; by default without every axis of that size.

    Raises ShapeError for an axis of another size.
    """
    x = tensor(x)
    return manipulation.squeeze(x, axes_of("squeeze", axis, x.ndim))


# Orders -------------------------------------------------------------------------------------------


@op
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in the order `axes`, by default in opposite order."""
    x = tensor(x)
    if axes is not None:
        _check_permutation(axes, x.ndim)
    return manipulation.transpose(x, axes)


def _check_permutation(axes: Sequence[int], rank: int) -> None:
    received = f"axes={list(axes)} for a tensor of {rank} axes"
    if len(axes) != rank:
        wanted = f"`axes`, which must be a list of the same length as the input shape, {rank}"
    elif not builtins.all(hasattr(each, "__index__") and -rank <= each < rank for each in axes):
        wanted = f"each axis once. Each axis in `axes` must be an integer in [{-rank}, {rank})"
    elif len({each % rank for each in axes}) != rank:
        wanted = f"a valid permutation of the axes, not axes={list(axes)}"
    else:
        return
    raise ShapeError(explain("transpose", wanted, received))


@op
def moveaxis(x: Any, source: Axes, destination: Axes) -> Tensor:
    """x with some axes at other positions; the others keep their order."""
    x = tensor(x)
    places = (axes_of("moveaxis", each, x.ndim) for each in (source, destination))
    return manipulation.moveaxis(x, *places)


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    x = tensor(x)
    places = (axis_of("swapaxes", each, x.ndim) for each in (axis1, axis2))
    return manipulation.swapaxes(x, *places)


@op
def flip(x: Any, axis: Axes | None = None) -> Tensor:
    """The elements in opposite order along one axis, several, or all."""
    x = tensor(x)
    return manipulation.flip(x, axis=axes_of("flip", axis, x.ndim))


@op
def fliplr(x: Any) -> Tensor:
    """The columns in opposite order: flipped along axis 1."""
    return manipulation.flip(tensor(x), axis=axis_of("fliplr", 1, tensor(x).ndim))


@op
def flipud(x: Any) -> Tensor:
    """The rows in opposite order: flipped along axis 0."""
    return manipulation.flip(tensor(x), axis=axis_of("flipud", 0, tensor(x).ndim))


@op(data=("array",))
def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """The array turned by k quarters in the plane of two axes, from the first toward the second."""
    array = tensor(array)
    if array.ndim < 2:
        wanted = "an array of at least 2 dimensions"
        raise ShapeError(explain("rot90", wanted, f"shape {array.shape}"))
    if len(axes) != 2 or axes[0] == axes[1]:
        wanted = "axes, a tuple of two different dimensions"
        raise ArgumentError(explain("rot90", wanted, f"Invalid axes: {axes}"))
    return manipulation.rot90(array, k, axes_of("rot90", tuple(axes), array.ndim))


def _roll_spec(x: Any, shift: Any, axis: Axes | None = None) -> KerasTensor:
    axes_of("roll", axis, len(shape_of(x)))
    return same_shape(x)


@op(data=("x",), spec=_roll_spec)
def roll(x: Any, shift: Any, axis: Axes | None = None) -> Tensor:
    """The elements moved along axes, those pushed out coming in again at the other end.

    For `axis=None` the flattened x is rolled and keeps its shape.
    """
    x = tensor(x)
    shift = shift.numpy().tolist() if isinstance(shift, Tensor) and shift.ndim else shift
    return manipulation.roll(x, shift, axis=axes_of("roll", axis, x.ndim))


# Joining ------------------------------------------------------------------------------------------


def _listed(name: str, xs: Any) -> list[Any]:
    """The operands of a joining op; at least one."""
    if isinstance(xs, (Tensor, Variable, np.ndarray)):
        return list(manipulation.unstack(tensor(xs)))
    if not isinstance(xs, Iterable):
        raise ArgumentTypeError(explain(name, "a list of tensors", f"{type(xs).__name__}"))
    found = list(xs)
    if not found:
        raise ArgumentError(explain(name, "at least one tensor", "none"))
    return found


def _joined_symbol(
    name: str, xs: Any, axis: Any, shaped: Callable[[Sizes], Sizes] = tuple
) -> KerasTensor:
    """The symbol of operands joined along an axis, after `shaped` has given them their shapes."""
    xs = _listed(name, xs)
    shapes = [shaped(shape_of(x)) for x in xs]
    place = axis_of(name, axis, len(shapes[0]))
    found = fitted(name, shapes, free=place)
    found[place] = total([shape[place] for shape in shapes])
    is_sparse = builtins.all(getattr(x, "sparse", False) for x in xs)
    return KerasTensor(found, common_dtype(*xs), sparse=is_sparse)


def _check_axis_given(axis: Any) -> None:
    if axis is None:
        do = "Write keras.ops.append(x1, x2) to join flattened tensors."
        raise ArgumentError(explain("concatenate", "an axis", "axis=None", do))


def _concatenate_spec(xs: Any, axis: int = 0) -> KerasTensor:
    _check_axis_given(axis)
    return _joined_symbol("concatenate", xs, axis)


@op(data=("xs",), spec=_concatenate_spec)
def concatenate(xs: Any, axis: int = 0) -> Tensor:
    """The tensors one after another along an axis: (B, T) and (B, S) along axis 1 -> (B, T + S)."""
    _check_axis_given(axis)
    parts = tensors(*_listed("concatenate", xs))
    return manipulation.concat(parts, axis=axis_of("concatenate", axis, parts[0].ndim))


def _append_spec(x1: Any, x2: Any, axis: int | None = None) -> KerasTensor:
    if axis is None:
        sizes = [count(shape_of(x)) for x in (x1, x2)]
        return KerasTensor((total(sizes),), common_dtype(x1, x2))
    return _joined_symbol("append", (x1, x2), axis)


@op(data=("x1", "x2"), spec=_append_spec)
def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """x2 after x1 along an axis; for `axis=None` both are flattened first."""
    parts = tensors(x1, x2)
    if axis is None:
        parts, axis = [manipulation.ravel(x) for x in parts], 0
    return manipulation.concat(parts, axis=axis_of("append", axis, parts[0].ndim))


def _stack_spec(x: Any, axis: int = 0) -> KerasTensor:
    parts = _listed("stack", x)
    found = fitted("stack", [shape_of(each) for each in parts])
    found.insert(axis_of("stack", axis, len(found) + 1), len(parts))
    return KerasTensor(found, common_dtype(*parts))


@op(data=("x",), spec=_stack_spec)
def stack(x: Any, axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis: two (B, C) along axis 1 -> (B, 2, C)."""
    parts = tensors(*_listed("stack", x))
    return manipulation.stack(parts, axis=axis_of("stack", axis, parts[0].ndim + 1))


def _with_columns(shape: Sizes) -> Sizes:
    return shape or (1,)


def _with_rows(shape: Sizes) -> Sizes:
    return (1,) * (2 - len(shape)) + shape


def _with_depth(shape: Sizes) -> Sizes:
    return ((1, *_with_columns(shape)) if len(shape) < 2 else shape) + (1,) * (len(shape) < 3)


def _hstack_spec(xs: Any) -> KerasTensor:
    xs = _listed("hstack", xs)
    axis = 1 if len(shape_of(xs[0])) > 1 else 0
    return _joined_symbol("hstack", xs, axis, _with_columns)


@op(data=("xs",), spec=_hstack_spec)
def hstack(xs: Any) -> Tensor:
    """The tensors side by side: along axis 1, or along axis 0 if they have one axis."""
    return manipulation.hstack(tensors(*_listed("hstack", xs)))


def _vstack_spec(xs: Any) -> KerasTensor:
    return _joined_symbol("vstack", xs, 0, _with_rows)


@op(data=("xs",), spec=_vstack_spec)
def vstack(xs: Any) -> Tensor:
    """The tensors above one another: along axis 0, a tensor with one axis being a row."""
    return manipulation.vstack(tensors(*_listed("vstack", xs)))


def _dstack_spec(xs: Any) -> KerasTensor:
    return _joined_symbol("dstack", xs, 2, _with_depth)


@op(data=("xs",), spec=_dstack_spec)
def dstack(xs: Any) -> Tensor:
    """The tensors behind one another along axis 2: (N,) is (1, N, 1) there, (M, N) is (M, N, 1)."""
    return manipulation.dstack(tensors(*_listed("dstack", xs)))


# Splitting ----------------------------------------------------------------------------------------


def _places(indices_or_sections: Any) -> Any:
    """A number of sections, or the places to split at as a list of numbers."""
    given = indices_or_sections
    if isinstance(given, (Tensor, Variable, np.ndarray)):
        given = tensor(given).tolist()
    return list(given) if isinstance(given, (list, tuple)) else given


def _parts_spec(
    name: str, x: Any, indices_or_sections: Any, axis: int, may_differ: bool = False
) -> list[KerasTensor]:
    shape = shape_of(x)
    place = axis_of(name, axis, len(shape))
    return [
        like(x, (*shape[:place], part, *shape[place + 1 :]))
        for part in _part_sizes(name, shape[place], _places(indices_or_sections), may_differ)
    ]


def _part_sizes(name: str, size: Size, places: Any, may_differ: bool) -> list[Size]:
    if not isinstance(places, list):
        number = int(places)
        if number < 1:
            raise ArgumentError(explain(name, "at least one section", f"{number}"))
        if size is None:
            return [None] * number
        if size % number and not may_differ:
            wanted = f"an axis whose size divides into {number} equal sections"
            do = "Write keras.ops.array_split for sections that differ by one."
            raise ShapeError(explain(name, wanted, f"size {size}", do))
        return [size // number + (each < size % number) for each in range(number)]
    ends = [0, *places, size]
    if size is None:
        # The first parts are as long as the places say; the last takes what is left.
        return [
            None if stop is None or start < 0 or stop < 0 else max(stop - start, 0)
            for start, stop in itertools.pairwise(ends)
        ]
    bounds = zip(ends[:-1], [*places, None], strict=True)
    return [len(range(*slice(start, stop).indices(size))) for start, stop in bounds]


def _split(name: str, x: Any, indices_or_sections: Any, axis: int) -> list[Tensor]:
    x = tensor(x)
    places = _places(indices_or_sections)
    return manipulation.split(x, places, axis_of(name, axis, x.ndim))


def _split_spec(x: Any, indices_or_sections: Any, axis: int = 0) -> list[KerasTensor]:
    return _parts_spec("split", x, indices_or_sections, axis)


@op(data=("x",), spec=_split_spec)
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """x cut along an axis: into a number of equal sections, or before each of some places."""
    return _split("split", x, indices_or_sections, axis)


def _array_split_spec(x: Any, indices_or_sections: Any, axis: int = 0) -> list[KerasTensor]:
    return _parts_spec("array_split", x, indices_or_sections, axis, may_differ=True)


@op(data=("x",), spec=_array_split_spec)
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """As `split`; where the size does not divide, the first sections are longer by one."""
    x = tensor(x)
    places = _places(indices_or_sections)
    return manipulation.array_split(x, places, axis_of("array_split", axis, x.ndim))


def _axis_of_split(name: str, x: Any, axis: int, least: int) -> int:
    """The axis that a split by direction runs along."""
    rank = len(shape_of(x))
    if rank < least:
        wanted = f"a tensor of at least {least} dimension{'s' * (least > 1)}"
        raise ShapeError(explain(name, wanted, f"shape {shape_of(x)}"))
    return builtins.min(axis, rank - 1)


def _hsplit_spec(x: Any, indices_or_sections: Any) -> list[KerasTensor]:
    return _parts_spec("hsplit", x, indices_or_sections, _axis_of_split("hsplit", x, 1, 1))


@op(data=("x",), spec=_hsplit_spec)
def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """x split along axis 1, or along axis 0 if it has one axis."""
    return _split("hsplit", x, indices_or_sections, _axis_of_split("hsplit", x, 1, 1))


def _vsplit_spec(x: Any, indices_or_sections: Any) -> list[KerasTensor]:
    return _parts_spec("vsplit", x, indices_or_sections, _axis_of_split("vsplit", x, 0, 2))


@op(data=("x",), spec=_vsplit_spec)
def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """x split along axis 0; it has two axes at least."""
    return _split("vsplit", x, indices_or_sections, _axis_of_split("vsplit", x, 0, 2))


def _dsplit_spec(x: Any, indices_or_sections: Any) -> list[KerasTensor]:
    return _parts_spec("dsplit", x, indices_or_sections, _axis_of_split("dsplit", x, 2, 3))


@op(data=("x",), spec=_dsplit_spec)
def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """x split along axis 2; it has three axes at least."""
    return _split("dsplit", x, indices_or_sections, _axis_of_split("dsplit", x, 2, 3))


# Copies -------------------------------------------------------------------------------------------


def _repeat_spec(x: Any, repeats: Any, axis: int | None = None) -> KerasTensor:
    shape = list(shape_of(x))
    if axis is None:
        shape, axis = [count(shape)], 0
    axis = axis_of("repeat", axis, len(shape))
    if isinstance(repeats, (Tensor, KerasTensor)):
        shape[axis] = None
        return like(x, shape)
    counts = np.ravel(np.asarray(repeats)).tolist()
    size = shape[axis]
    if len(counts) > 1 and not agree(size, len(counts)):
        wanted = f"one number of repeats, or {size} of them"
        raise ShapeError(explain("repeat", wanted, f"repeats={repeats} for shape {shape_of(x)}"))
    if size is not None:
        shape[axis] = size * counts[0] if len(counts) == 1 else builtins.sum(counts)
    return like(x, shape)


@op(data=("x",), spec=_repeat_spec)
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element several times in a row: [1, 2] twice is [1, 1, 2, 2].

    `repeats` is one number, or one for each place along the axis; `axis=None` flattens x first.
    """
    x = tensor(x)
    axis = None if axis is None else axis_of("repeat", axis, x.ndim)
    return manipulation.repeat(x, repeats, axis=axis)


@op
def tile(x: Any, repeats: Any) -> Tensor:
    """Copies of x side by side: `repeats` of them along each axis, counted from the last."""
    return manipulation.tile(tensor(x), repeats)


# Padding ------------------------------------------------------------------------------------------


def _widths(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    """A width before and after each axis, from one number, a pair, or a pair for each axis."""
    given = pad_width.tolist() if hasattr(pad_width, "tolist") else pad_width
    pairs = given if isinstance(given, (list, tuple)) else [given]
    if not builtins.any(isinstance(each, (list, tuple)) for each in pairs):
        pairs = [pairs]
    pairs = [tuple(each) * (2 if len(each) == 1 else 1) for each in pairs]
    if len(pairs) == 1:
        pairs = pairs * rank
    if len(pairs) != rank or builtins.any(len(each) != 2 for each in pairs):
        wanted = "`pad_width` to have the same length as `x.shape`: a pair for each axis"
        raise ShapeError(explain("pad", wanted, f"pad_width={pad_width} for {rank} axes"))
    return pairs


def _pad_spec(
    x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> KerasTensor:
    shape = shape_of(x)
    _check_mode(mode, constant_values)
    return like(x, [
        None if size is None else size + builtins.sum(pair)
        for size, pair in zip(shape, _widths(pad_width, len(shape)), strict=True)
    ])  # fmt: skip


def _check_mode(mode: str, constant_values: Any) -> None:
    if mode not in (*manipulation.MODES, *_FILLS):
        modes = ", ".join((*manipulation.MODES, *_FILLS))
        raise ArgumentError(explain("pad", f"a mode among {modes}", repr(mode)))
    if constant_values is not None and mode != "constant":
        wanted = (
            "a value for a constant only. Argument `constant_values` can only be provided when "
            "`mode == 'constant'`"
        )
        raise ArgumentError(explain("pad", wanted, f"mode={mode}"))


@op(data=("x", "constant_values"), spec=_pad_spec)
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """x with elements added before and after it along each axis.

    `pad_width` is one number, a pair (before, after), or a pair for each axis. `mode` says what is
    added: constant (`constant_values`, by default 0), edge, reflect, symmetric, wrap; a maximum,
    minimum, mean or median along the axis; a linear_ramp to 0; or empty (zeros here).
    """
    x = tensor(x)
    _check_mode(mode, constant_values)
    widths = _widths(pad_width, x.ndim)
    if mode == "constant":
        value = 0 if constant_values is None else constant_values
        if hasattr(value, "dtype") or not isinstance(value, (list, tuple)):
            value = tensor(value, x.dtype)
        return manipulation.pad(x, widths, constant_values=value)
    if mode in manipulation.MODES:
        return manipulation.pad(x, widths, mode)
    for axis, (before, after) in enumerate(widths):
        ends = [_FILLS[mode](x, axis, *side) for side in ((before, True), (after, False))]
        x = manipulation.concat([ends[0], x, ends[1]], axis=axis)
    return x


_EXACT = (statistical.max, statistical.min)


def _best(function: Callable, x: Tensor, axis: int, width: int, is_before: bool) -> Tensor:
    """A statistic along an axis, repeated; means of integers are rounded."""
    source = x if x.dtype.is_inexact or function in _EXACT else astype(x, "float64")
    found = function(source, axis=axis, keepdims=True)
    found = found if source is x else rounded(found)
    return manipulation.repeat(astype(found, x.dtype), width, axis=axis)


def _ramp(x: Tensor, axis: int, width: int, is_before: bool) -> Tensor:
    """Steps from 0 toward the element at the end of an axis, which is not among them."""
    ends: Any = manipulation.moveaxis(x, axis, 0)
    edge: Any = ends[0 if is_before else -1]
    dtype = x.dtype if x.dtype.is_inexact else "float64"
    steps: Any = linspace(0.0, 1.0, width, endpoint=False, dtype=dtype)
    steps = manipulation.reshape(steps, (width, *[1] * edge.ndim))
    steps = steps if is_before else manipulation.flip(steps, axis=0)
    found = steps * astype(edge, dtype)
    return manipulation.moveaxis(astype(found, x.dtype), 0, axis)


def _nothing(x: Tensor, axis: int, width: int, is_before: bool) -> Tensor:
    return zeros((*x.shape[:axis], width, *x.shape[axis + 1 :]), dtype=x.dtype)


_FILLS: dict[str, Callable[[Tensor, int, int, bool], Tensor]] = {
    "maximum": functools.partial(_best, statistical.max),
    "minimum": functools.partial(_best, statistical.min),
    "mean": functools.partial(_best, statistical.mean),
    "median": functools.partial(_best, statistical.median),
    "linear_ramp": _ramp,
    "empty": _nothing,
}

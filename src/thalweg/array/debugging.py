"""Assertions about tensors, and a switch that finds the first NaN.

What concerns shapes, ranks and element types is known while a program is built, so it is checked at
the call, inside traced functions too, and costs nothing later. What concerns values is checked at
the call where the values are at hand. Where they are not, in a traced function or while an
expression waits to be computed, the check becomes part of the graph: each of these functions
returns its first operand with the check attached, and the check is made when that tensor is
computed. Use what is returned; a check whose result nobody uses is not made.

    x = debugging.assert_positive(x)      # and from here on this x

A check that fails raises CheckError with the line of the assertion, not of the computation. NaN is
neither less than, equal to nor greater than anything, so every comparison with it fails.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from thalweg.array.manipulation import known_values
from thalweg.array.operands import (
    is_number,
    operands,
    to_operand,
    to_tensor,
)
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckError,
    DTypeError,
    ShapeError,
    explain,
)
from thalweg.base.frames import location
from thalweg.base.options import set_options
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.ir.dim import Dim, is_known_equal
from thalweg.ir.leaves import full_like
from thalweg.ir.node import Node
from thalweg.ir.types import (
    INEXACT,
    REAL,
    Size,
    TensorType,
    as_dtype,
    float32,
    shape_text,
)
from thalweg.ops import elementwise as ops
from thalweg.ops.control import check
from thalweg.ops.reduce import all as all_op
from thalweg.transforms.evaluate import interpret
from thalweg.transforms.finite import describe_nonfinite

# Values -------------------------------------------------------------------------------------------


def check_numerics(x: Any, message: str = "") -> Tensor:
    """x, checked to hold neither NaN nor an infinity; integers and booleans never do.

    Raises CheckError, at once where the values are at hand, else when the result is computed.

    >>> import thalweg as tw
    >>> tw.debugging.check_numerics(tw.asarray([1.0, 2.0]))
    Tensor([1., 2.], dtype=float32)
    """
    return _assert_finite("check_numerics", x, message)


def assert_all_finite(x: Any, *, message: str = "") -> Tensor:
    """x, checked to hold neither NaN nor an infinity."""
    return _assert_finite("assert_all_finite", x, message)


def assert_equal(x: Any, y: Any, *, message: str = "") -> Tensor:
    """x, checked to equal y element by element; shapes broadcast."""
    return _assert_order("assert_equal", "=", ops.equal, x, y, message)


def assert_less(x: Any, y: Any, *, message: str = "") -> Tensor:
    """x, checked to be less than y element by element; shapes broadcast."""
    return _assert_order("assert_less", "<", ops.less, x, y, message)


def assert_less_equal(x: Any, y: Any, *, message: str = "") -> Tensor:
    """x, checked to be at most y element by element; shapes broadcast."""
    return _assert_order("assert_less_equal", "<=", ops.less_equal, x, y, message)


def assert_greater(x: Any, y: Any, *, message: str = "") -> Tensor:
    """x, checked to be greater than y element by element; shapes broadcast."""
    return _assert_order("assert_greater", ">", ops.greater, x, y, message)


def assert_greater_equal(x: Any, y: Any, *, message: str = "") -> Tensor:
    """x, checked to be at least y element by element; shapes broadcast."""
    return _assert_order("assert_greater_equal", ">=", ops.greater_equal, x, y, message)


def assert_positive(x: Any, *, message: str = "") -> Tensor:
    """x, checked to be greater than 0 everywhere."""
    return _assert_sign("assert_positive", ">", ops.greater, x, message)


def assert_non_negative(x: Any, *, message: str = "") -> Tensor:
    """x, checked to be at least 0 everywhere."""
    return _assert_sign("assert_non_negative", ">=", ops.greater_equal, x, message)


def assert_negative(x: Any, *, message: str = "") -> Tensor:
    """x, checked to be less than 0 everywhere."""
    return _assert_sign("assert_negative", "<", ops.less, x, message)


def assert_non_positive(x: Any, *, message: str = "") -> Tensor:
    """x, checked to be at most 0 everywhere."""
    return _assert_sign("assert_non_positive", "<=", ops.less_equal, x, message)


def assert_near(
    x: Any,
    y: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    message: str = "",
) -> Tensor:
    """x, checked to be y within atol + rtol * |y|, element by element; equal infinities are near.

    Both tolerances are ten times the epsilon of the operands' element type where they are not
    given. Raises DTypeError for integers, which are equal or not.
    """
    name = "assert_near"
    given = [to_operand(each, name) for each in (x, y)]
    a, b = operands(name, *given)
    ops.check_elements(name, INEXACT, a.type)
    default = 10 * float(ml_dtypes.finfo(a.dtype.real.numpy).eps)
    relative, absolute = (default if each is None else float(each) for each in (rtol, atol))
    # Equal operands have a gap of 0, infinities too; any other gap of an infinity is infinite.
    same, zero = ops.equal(a, b), full_like(a, 0)
    apart = [ops.select(same, zero, each) for each in (a, b)]
    if a.dtype.bits == 16:
        # A tolerance of a few epsilon times a small number may be too small for 16 bits.
        x, y, size = (ops.cast(each, dtype=float32) for each in (*apart, b))
    else:
        x, y, size = *apart, b
    gap = ops.abs(ops.subtract(x, y))
    room = ops.multiply(full_like(gap, relative), ops.abs(size))
    room = ops.add(full_like(gap, absolute), room)
    holds = ops.logical_and(ops.less_equal(gap, room), ops.isfinite(gap))
    wanted = f"|x - y| <= {absolute:g} + {relative:g} * |y| for every element"
    return _ensured(name, wanted, holds, given, (a, b), message)


def _assert_order(
    name: str, sign: str, op: Callable[[Node, Node], Node], x: Any, y: Any, message: str
) -> Tensor:
    given = [to_operand(each, name) for each in (x, y)]
    a, b = operands(name, *given)
    if op is not ops.equal:
        ops.check_elements(name, ops.ORDERED, a.type)
    return _ensured(name, f"x {sign} y for every element", op(a, b), given, (a, b), message)


def _assert_sign(
    name: str, sign: str, op: Callable[[Node, Node], Node], x: Any, message: str
) -> Tensor:
    tensor = to_tensor(x, name)
    node = node_of(tensor)
    ops.check_elements(name, REAL, node.type)
    holds = op(node, full_like(node, 0))
    return _ensured(name, f"x {sign} 0 for every element", holds, [tensor], (node,), message)


def _assert_finite(name: str, x: Any, message: str) -> Tensor:
    tensor = to_tensor(x, name)
    node = node_of(tensor)
    if not node.dtype.is_inexact:
        return tensor
    wanted = "finite values, no NaN and no infinity"
    holds = ops.isfinite(node)
    unseen = f"{node.type} with a NaN or an infinity"
    return _ensured(name, wanted, holds, [tensor], (node,), message, unseen, _not_finite)


def _ensured(
    name: str,
    wanted: str,
    holds: Node,
    given: Sequence[Any],
    nodes: Sequence[Node],
    message: str,
    unseen: str = "",
    describe: Callable[[Sequence[Tensor], np.ndarray, Sequence[np.ndarray]], str] | None = None,
) -> Tensor:
    """The first of the operands, made sure that a condition holds for every element.

    `given` are the operands as they came, `nodes` what stands in the condition for each of them.
    `unseen` says what was received where the values are not at hand, `describe` where they are.
    """
    own = [to_tensor(each, name) for each in given]
    arrays = _known(name, holds, given, nodes)
    if arrays is None:
        text = explain(name, wanted, unseen or f"{_types(own)}; some element fails", message)
        where = location()
        text = f"{text}   at {where}" if where else text
        everywhere = tuple(range(holds.type.rank))
        ok = all_op(holds, axes=everywhere) if everywhere else holds
        return wrap(check(node_of(own[0]), ok, message=text))
    truth, *values = arrays
    if not truth.all():
        received = (describe or _failure)(own, truth, values)
        raise CheckError(explain(name, wanted, received, message))
    return own[0]


def _types(tensors: Sequence[Tensor]) -> str:
    named = zip("xy", tensors, strict=False)
    return ", ".join(f"{letter} {node_of(tensor).type}" for letter, tensor in named)


def _known(
    name: str, holds: Node, given: Sequence[Any], nodes: Sequence[Node]
) -> list[np.ndarray] | None:
    """The values of a condition and its operands where all of them are at hand, or None."""
    environment: dict[Node, np.ndarray] = {}
    for each in given:
        if is_number(each):
            continue
        found = None if each._weak else known_values(name, each)
        if found is None:
            return None
        environment[node_of(each)] = found
    return interpret([holds, *nodes], environment, {})


def _failure(tensors: Sequence[Tensor], truth: np.ndarray, values: Sequence[np.ndarray]) -> str:
    """The operands and the first place where a condition does not hold for their values."""
    first = tuple(int(place) for place in np.argwhere(~truth)[0])
    shown = " and ".join(
        f"{letter} = {array[first]}" for letter, array in zip("xy", values, strict=False)
    )
    if first:
        count = truth.size - np.count_nonzero(truth)
        shown = f"{count} of {truth.size} fail, the first at {list(first)} with {shown}"
    return f"{_types(tensors)}: {shown}"


def _not_finite(tensors: Sequence[Tensor], truth: np.ndarray, values: Sequence[np.ndarray]) -> str:
    return describe_nonfinite(node_of(tensors[0]).type, values[0])


# Types and shapes ---------------------------------------------------------------------------------


def assert_rank(x: Any, rank: int | Sequence[int]) -> Tensor:
    """x, which must have so many axes, or one of several numbers of them. Raises ShapeError."""
    tensor = to_tensor(x, "assert_rank")
    wanted = tuple(rank) if isinstance(rank, (tuple, list)) else (rank,)
    if not all(isinstance(each, int) for each in wanted):
        raise ArgumentTypeError(explain("assert_rank", "integers as ranks", repr(rank)))
    if tensor.ndim not in wanted:
        raise ShapeError(
            explain(
                "assert_rank",
                f"a tensor with {' or '.join(map(str, wanted))} axes",
                f"{node_of(tensor).type} with {tensor.ndim}",
            )
        )
    return tensor


def assert_scalar(x: Any) -> Tensor:
    """x, which must have no axes. Raises ShapeError."""
    tensor = to_tensor(x, "assert_scalar")
    if tensor.ndim:
        raise ShapeError(
            explain(
                "assert_scalar",
                "one number, a tensor without axes",
                str(node_of(tensor).type),
                "Index it, or reduce it with sum() or mean().",
            )
        )
    return tensor


def assert_type(x: Any, dtype: Any) -> Tensor:
    """x, which must have this element type. Raises DTypeError."""
    tensor = to_tensor(x, "assert_type")
    wanted = as_dtype(dtype)
    if tensor.dtype is not wanted:
        raise DTypeError(
            explain(
                "assert_type",
                f"elements of {wanted}",
                str(node_of(tensor).type),
                f"Cast first: x.astype({wanted.name!r}).",
            )
        )
    return tensor


def assert_integer(x: Any) -> Tensor:
    """x, which must hold integers, signed or not. Raises DTypeError."""
    tensor = to_tensor(x, "assert_integer")
    if not tensor.dtype.is_integer:
        raise DTypeError(
            explain(
                "assert_integer",
                "integers",
                str(node_of(tensor).type),
                "Cast first: x.astype('int64').",
            )
        )
    return tensor


def assert_same_shape(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, which must have equal shapes. Raises ShapeError."""
    return _assert_same("assert_same_shape", tensors, with_dtype=False)


def assert_same_shape_dtype(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, which must have equal shapes and element types.

    Raises ShapeError or DTypeError.
    """
    return _assert_same("assert_same_shape_dtype", tensors, with_dtype=True)


def _assert_same(name: str, values: Sequence[Any], with_dtype: bool) -> tuple[Tensor, ...]:
    found = tuple(to_tensor(each, name) for each in values)
    types = [node_of(tensor).type for tensor in found]
    received = " and ".join(map(str, types))
    for type in types[1:]:
        if not _same_shape(type, types[0]):
            raise ShapeError(
                explain(name, "tensors of one shape", received, _unrelated(types[0], type))
            )
        if with_dtype and type.dtype is not types[0].dtype:
            do = f"Cast one of them first, for instance x.astype({types[0].dtype.name!r})."
            raise DTypeError(explain(name, "tensors of one element type", received, do))
    return found


def _same_shape(a: TensorType, b: TensorType) -> bool:
    return a.rank == b.rank and all(map(is_known_equal, a.shape, b.shape))


def _unrelated(a: TensorType, b: TensorType) -> str:
    """What to do about named sizes that keep two shapes from being known to be equal."""
    for left, right in zip(a.shape, b.shape, strict=False):
        is_named = isinstance(left, Dim) or isinstance(right, Dim)
        if a.rank == b.rank and is_named and not is_known_equal(left, right):
            return f"Sizes {left} and {right} are not known to be equal; give them one name."
    return ""


def assert_shapes(shapes: Any) -> dict[str, Size]:
    """The sizes that names stand for; every tensor must have the shape it is given with.

    `shapes` is a list of pairs of a tensor and its shape, or a dictionary of them. A shape holds
    integers, names (equal names stand for equal sizes), None for any size, and at most one `...`
    for any number of axes. Raises ShapeError.

    >>> import thalweg as tw
    >>> x, y = tw.zeros((5, 3)), tw.zeros((3, 7))
    >>> tw.debugging.assert_shapes([(x, ("b", 3)), (y, (3, "t"))])
    {'b': 5, 't': 7}
    """
    pairs = list(shapes.items()) if isinstance(shapes, Mapping) else list(shapes)
    sizes: dict[str, Size] = {}
    origins: dict[str, TensorType] = {}
    for position, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ArgumentError(
                explain(
                    "assert_shapes",
                    "pairs of a tensor and its shape",
                    repr(pair),
                    'Write assert_shapes([(x, ("b", 3)), (y, ("b",))]).',
                )
            )
        value, shape = pair
        type = node_of(to_tensor(value, "assert_shapes")).type
        _match(position, type, shape, sizes, origins)
    return sizes


def _match(
    position: int,
    type: TensorType,
    shape: Any,
    sizes: dict[str, Size],
    origins: dict[str, TensorType],
) -> None:
    """Bind the names of one shape, or refuse the tensor that does not have it."""
    wanted = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    free = [axis for axis, size in enumerate(wanted) if size is ...]
    if len(free) > 1:
        raise ArgumentError(explain("assert_shapes", "at most one ... in a shape", repr(shape)))
    text = shape_text(tuple("..." if each is ... else each for each in wanted))  # type: ignore[misc]
    if free:
        missing = type.rank - len(wanted) + 1
        wanted[free[0] : free[0] + 1] = [None] * max(missing, 0)
    fits = len(wanted) == type.rank
    notes: list[str] = []
    for size, own in zip(wanted, type.shape, strict=False):
        if size is None:
            continue
        if isinstance(size, str):
            known = sizes.setdefault(size, own)
            origins.setdefault(size, type)
            if known is not own:
                notes.append(f"{size} is {known}, from {origins[size]}")
            size = known
        if not is_known_equal(size, own):
            fits = False
    if not fits:
        raise ShapeError(
            explain(
                "assert_shapes",
                f"shape {text} for tensor {position}",
                str(type),
                f"{'; '.join(notes)}." if notes else "",
            )
        )


# The switch ---------------------------------------------------------------------------------------


def enable_check_numerics() -> None:
    """Stop, from now on and in the whole process, at the first NaN or infinity.

    Whatever is computed by the reference interpreter is checked, operation by operation, and
    CheckError names the operation and the user's line that built it. A NaN stops it wherever it
    appears; an infinity where an operation makes it of finite operands, so that infinities written
    down on purpose, as in a mask, may pass. A NaN that was given is told as an input's. It costs a
    look at every value.
    """
    set_options(stop_at_nonfinite=True)


def disable_check_numerics() -> None:
    """Undo `enable_check_numerics`."""
    set_options(stop_at_nonfinite=False)

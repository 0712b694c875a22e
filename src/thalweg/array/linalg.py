"""Linear algebra: products, norms, systems of equations and decompositions.

Names, argument order and results are those of the Python Array API standard 2024.12, section
"Linear algebra functions" and extension `linalg`; what stands after a headline "Beyond the
standard" follows NumPy and SciPy. Matrices are in the last two axes; leading axes hold a stack of
them.

Products promote their operands and keep integers. What solves or decomposes turns integers and
booleans into float32 first; 16-bit floats are computed in float32 and rounded once.

What cannot be computed is NaN, never an exception: the factor of a matrix that is not positive
definite, the inverse of a singular one. `cholesky` and the functions of symmetric matrices work on
(x + x^H) / 2, so that their derivatives are symmetric too. The derivative of a norm at 0, where it
has none, counts as 0. What the other derivatives promise is said in `ops/linalg.py`.

A product names its axes, and every product comes down to one rule for two operands: an axis that
both have is shared or, where the result lacks it, summed; an axis that one has stays or is summed
away. Size 1 stretches to any size, without a copy.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np

from thalweg.array.manipulation import cut, expand, join, operand, transposed
from thalweg.array.manipulation import diagonal as diagonal_of
from thalweg.array.operands import (
    axes_of,
    axis_of,
    broadcast_shapes,
    broadcast_to,
    same_dtype,
    same_shape,
    to_dtype,
    to_tensor,
)
from thalweg.array.statistical import (
    floats,
    in_dtype,
    number_like,
    root,
    squared_magnitude,
    widened,
)
from thalweg.array.statistical import total as total_of
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.ir.dim import (
    Dim,
    UndecidedError,
    dim_max,
    dim_min,
    is_known_equal,
    substitute,
    symbols,
)
from thalweg.ir.function import build
from thalweg.ir.leaves import full, full_like, items
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DType,
    Shape,
    Size,
    bool_,
    int64,
    size_of,
    tensor_type,
)
from thalweg.ops import elementwise as ew
from thalweg.ops import linalg as ops
from thalweg.ops import reduce
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot as dot_op
from thalweg.ops.control import custom_call
from thalweg.ops.index import gather
from thalweg.ops.movement import iota, reshape

Labels = tuple[Hashable, ...]
Order = float | str | None

# Two operands, by the names of their axes ---------------------------------------------------------


def _pair(a: Node, in_a: Labels, b: Node, in_b: Labels, out: Labels) -> Node:
    """The products of two operands, summed over the labels that are not in `out`.

    The labels of each operand are distinct. An axis of size 1 stretches to that of the other.
    """
    a, in_a, b, in_b = *_without_ones(a, in_a, b, in_b), *_without_ones(b, in_b, a, in_a)
    a, in_a = _summed(a, in_a, {*in_b, *out})
    b, in_b = _summed(b, in_b, {*in_a, *out})
    shared = [label for label in in_a if label in in_b]
    contracted = [label for label in shared if label not in out]
    if not contracted:
        sizes = dict(zip((*in_a, *in_b), (*a.shape, *b.shape), strict=True))
        shape = tuple(sizes[label] for label in out)
        return ew.multiply(_placed(a, in_a, out, shape), _placed(b, in_b, out, shape))
    both = [label for label in out if label in shared]
    only_a = [label for label in in_a if label not in shared]
    only_b = [label for label in in_b if label not in shared]
    if out == (*both, *only_b, *only_a) != (*both, *only_a, *only_b):
        a, in_a, only_a, b, in_b, only_b = b, in_b, only_b, a, in_a, only_a
    contract, batch = (
        (_places(in_a, labels), _places(in_b, labels)) for labels in (contracted, both)
    )
    found = dot_op(a, b, contract=contract, batch=batch)
    return _ordered(found, (*both, *only_a, *only_b), out)


def _places(labels: Labels, wanted: Sequence[Hashable]) -> tuple[int, ...]:
    return tuple(labels.index(label) for label in wanted)


def _without_ones(a: Node, in_a: Labels, b: Node, in_b: Labels) -> tuple[Node, Labels]:
    """An operand without the axes of size 1 that the other has with another size."""
    sizes = dict(zip(in_b, b.shape, strict=True))
    kept = [
        place
        for place, (label, size) in enumerate(zip(in_a, a.shape, strict=True))
        if size != 1 or label not in sizes or sizes[label] == 1
    ]
    if len(kept) == len(in_a):
        return a, in_a
    return _picked(a, kept), tuple(in_a[place] for place in kept)


def _picked(node: Node, kept: Sequence[int]) -> Node:
    """The node without axes of size 1 that are not kept."""
    return reshape(node, shape=tuple(node.shape[place] for place in kept))


def _summed(node: Node, labels: Labels, kept: set[Hashable]) -> tuple[Node, Labels]:
    """The node without the axes that nothing else has."""
    axes = tuple(place for place, label in enumerate(labels) if label not in kept)
    if not axes:
        return node, labels
    return sum_op(node, axes=axes), tuple(label for label in labels if label in kept)


def _ordered(node: Node, labels: Labels, out: Labels) -> Node:
    return transposed(node, _places(labels, out))


def _placed(node: Node, labels: Labels, out: Labels, shape: Shape) -> Node:
    """The node with its axes in the order of `out`, repeated along those it does not have."""
    own = tuple(label for label in out if label in labels)
    return _stretched(_ordered(node, labels, own), shape, _places(out, own))


def _stretched(node: Node, shape: Shape, axes: Sequence[int]) -> Node:
    if len(axes) == len(shape):
        return node
    return broadcast(node, shape=shape, axes=tuple(axes))


def _numbers(name: str, *values: Any) -> list[Node]:
    """Nodes of one element type; booleans are refused."""
    nodes = []
    if all(value.__class__ is Tensor and not value._weak for value in values):
        nodes = [node_of(value) for value in values]
    if not nodes or any(node.dtype is not nodes[0].dtype for node in nodes):
        nodes = same_dtype(name, *values)
    if nodes[0].dtype is bool_:
        do = "Cast first, x.astype('int32'), or write any(logical_and(x, y))."
        raise DTypeError(explain(name, "numbers", " and ".join(str(n.type) for n in nodes), do))
    return nodes


def _unequal(name: str, wanted: str, received: str, do: str, one: Size, two: Size) -> Exception:
    """The error for sizes that are not equal, or not known to be."""
    if not isinstance(one, Dim) and not isinstance(two, Dim):
        return ShapeError(explain(name, wanted, received, do))
    do = do or f"Sizes {one} and {two} are not known to be equal; give them one name, or numbers."
    return UndecidedError(explain(name, wanted, received, do))


def _broadcast_pair(name: str, a: Node, in_a: Labels, b: Node, in_b: Labels, out: Labels) -> Node:
    """As `_pair`, for operands that users gave: sizes under one label are equal or 1."""
    sizes = dict(zip(in_a, a.shape, strict=True))
    for label, size in zip(in_b, b.shape, strict=True):
        other = sizes.get(label, 1)
        if other != 1 and size != 1 and not is_known_equal(other, size):
            wanted = "other axes that broadcast: from the last one backward, equal sizes or 1"
            raise _unequal(name, wanted, _two(a, b), "", other, size)
    return _pair(a, in_a, b, in_b, out)


# Products -----------------------------------------------------------------------------------------


def matmul(x1: Any, x2: Any, /) -> Tensor:
    """The matrix product: (..., M, K) with (..., K, N) -> (..., M, N), leading axes broadcast.

    An operand with one axis is a vector: (..., M, K) with (K,) -> (..., M), (K,) with (..., K, N)
    -> (..., N), and two vectors give a number.
    """
    a, b = _numbers("matmul", x1, x2)
    return wrap(_matmul("matmul", a, b))


def _matmul(name: str, a: Node, b: Node) -> Node:
    rank_a, rank_b = a.type.rank, b.type.rank
    if not rank_a or not rank_b:
        raise ShapeError(
            explain(name, "operands with axes", _two(a, b), "Did you mean multiply(a, b)?")
        )
    row = rank_b - 2 if rank_b > 1 else 0
    if not is_known_equal(a.shape[-1], b.shape[row]):
        raise _cannot_multiply(name, a, b)
    if rank_b <= 2:
        return dot_op(a, b, contract=((rank_a - 1,), (row,)))
    stack_a, stack_b = range(-rank_a, -2), range(-rank_b, -2)
    of_a: Labels = ("m", "k") if rank_a > 1 else ("k",)
    out = (*max(stack_a, stack_b, key=len), *of_a[:-1], "n")
    return _broadcast_pair(name, a, (*stack_a, *of_a), b, (*stack_b, "k", "n"), out)


def _two(a: Node, b: Node) -> str:
    return f"a {a.type}, b {b.type}"


def _cannot_multiply(name: str, a: Node, b: Node) -> Exception:
    first = "the last axis of a" if a.type.rank > 1 else "the axis of a"
    second = "the second-to-last of b" if b.type.rank > 1 else "the axis of b"
    columns, rows = a.shape[-1], b.shape[-2 if b.type.rank > 1 else 0]
    call = "multi_dot([..., {}, {}, ...])" if name == "multi_dot" else name + "({}, {})"
    options = {
        ("a", "matrix_transpose(b)"): b.type.rank > 1 and is_known_equal(columns, b.shape[-1]),
        ("matrix_transpose(a)", "b"): a.type.rank > 1 and is_known_equal(a.shape[-2], rows),
        ("b", "a"): is_known_equal(b.shape[-1], a.shape[-2 if a.type.rank > 1 else 0]),
    }
    fitting = [option for option, fits in options.items() if fits]
    do = f"Did you mean {call.format(*fitting[0])}?" if fitting else ""
    return _unequal(name, f"{first} to equal {second}", _two(a, b), do, columns, rows)


def matrix_transpose(x: Any, /) -> Tensor:
    """The matrices with rows and columns exchanged: (..., M, N) -> (..., N, M)."""
    node = operand("matrix_transpose", x)
    _check_matrix("matrix_transpose", node)
    return wrap(ops.matrix_transpose(node))


def tensordot(x1: Any, x2: Any, /, *, axes: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """The sums of products over pairs of axes; the result has the other axes of x1, then of x2.

    `axes` is a number N, for the last N axes of x1 with the first N of x2, or a pair of sequences:
    the axes of x1, and in the same order the axes of x2.
    """
    a, b = _numbers("tensordot", x1, x2)
    left, right = _contracted_axes(a, b, axes)
    for i, j in zip(left, right, strict=True):
        if not is_known_equal(a.shape[i], b.shape[j]):
            wanted = f"axis {i} of a to equal axis {j} of b, with axes={axes}"
            raise _unequal("tensordot", wanted, _two(a, b), "", a.shape[i], b.shape[j])
    in_a: list[Hashable] = [("a", axis) for axis in range(a.type.rank)]
    in_b: list[Hashable] = [("b", axis) for axis in range(b.type.rank)]
    for i, j in zip(left, right, strict=True):
        in_b[j] = in_a[i]
    out = [label for label in in_a if label not in in_b]
    out += [label for label in in_b if label not in in_a]
    return wrap(_pair(a, tuple(in_a), b, tuple(in_b), tuple(out)))


def _contracted_axes(a: Node, b: Node, axes: Any) -> tuple[list[int], list[int]]:
    ranks = a.type.rank, b.type.rank
    axes = axes.tolist() if isinstance(axes, np.ndarray) else axes
    if isinstance(axes, (tuple, list)):
        fits = len(axes) == 2
        given = [each if isinstance(each, (tuple, list)) else [each] for each in axes]
        if not fits or len(given[0]) != len(given[1]):
            wanted = "as many axes of a as of b"
            raise ShapeError(
                explain("tensordot", wanted, f"axes={axes}", "Write for instance axes=([1], [0]).")
            )
        left, right = (
            [axis_of("tensordot", axis, rank) for axis in each]
            for each, rank in zip(given, ranks, strict=True)
        )
        if len(set(left)) != len(left) or len(set(right)) != len(right):
            raise ShapeError(explain("tensordot", "each axis once", f"axes={axes}"))
        return left, right
    if isinstance(axes, bool) or not hasattr(axes, "__index__"):
        wanted = "a number of axes, or a pair of sequences of axes"
        raise ArgumentTypeError(explain("tensordot", wanted, f"axes={axes!r}"))
    count = axes.__index__()
    if not 0 <= count <= min(ranks):
        wanted = f"a number of axes from 0 to {min(ranks)}"
        raise ShapeError(explain("tensordot", wanted, f"axes={axes} for {_two(a, b)}"))
    return list(range(ranks[0] - count, ranks[0])), list(range(count))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """The inner products of vectors along an axis: the sums of conj(x1) * x2.

    (..., K, ...) twice -> (..., ...); the other axes broadcast. An axis counted from the front is
    the same for both only where they have as many axes.
    """
    a, b = _numbers("vecdot", x1, x2)
    place_a, place_b = _common_axis("vecdot", a, b, axis)
    if not is_known_equal(a.shape[place_a], b.shape[place_b]):
        wanted = f"vectors of one length along axis {axis}"
        raise _unequal("vecdot", wanted, _two(a, b), "", a.shape[place_a], b.shape[place_b])
    back = place_a - a.type.rank
    in_a, in_b = (
        tuple("k" if each == back else each for each in range(-node.type.rank, 0))
        for node in (a, b)
    )
    out = tuple(each for each in max(in_a, in_b, key=len) if each != "k")
    return wrap(_broadcast_pair("vecdot", ew.conjugate(a), in_a, b, in_b, out))


def _common_axis(name: str, a: Node, b: Node, axis: int) -> tuple[int, int]:
    """The place of one axis in two operands that broadcast."""
    ranks = a.type.rank, b.type.rank
    places = axis_of(name, axis, ranks[0]), axis_of(name, axis, ranks[1])
    if places[0] - ranks[0] != places[1] - ranks[1]:
        wanted = "an axis counted from the back for operands of unequal rank"
        do = f"Did you mean axis={places[0] - ranks[0]}?"
        raise ShapeError(explain(name, wanted, f"axis {axis} for {_two(a, b)}", do))
    return places


def outer(x1: Any, x2: Any, /) -> Tensor:
    """All products of the elements of two vectors: (M,) with (N,) -> (M, N)."""
    a, b = _numbers("outer", x1, x2)
    if a.type.rank != 1 or b.type.rank != 1:
        do = "Write tensordot(a, b, axes=0) for operands with any axes."
        raise ShapeError(explain("outer", "two vectors", _two(a, b), do))
    return wrap(_pair(a, ("m",), b, ("n",), ("m", "n")))


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """The cross products of vectors of 3 elements along an axis; the other axes broadcast."""
    a, b = _numbers("cross", x1, x2)
    place_a, place_b = _common_axis("cross", a, b, axis)
    if not is_known_equal(a.shape[place_a], 3) or not is_known_equal(b.shape[place_b], 3):
        raise ShapeError(explain("cross", f"3 elements along axis {axis} of both", _two(a, b)))
    back = place_a - a.type.rank
    a, b = same_shape("cross", [a, b])
    along = back + a.type.rank

    def turned(node: Node, by: int) -> Node:
        return join([cut(node, along, by, 3), cut(node, along, 0, by)], along)

    ahead, behind = (ew.multiply(turned(a, by), turned(b, 3 - by)) for by in (1, 2))
    return wrap(ew.subtract(ahead, behind))


# Norms --------------------------------------------------------------------------------------------


def vector_norm(
    x: Any,
    /,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    ord: float = 2,
) -> Tensor:
    """The norm of the elements over some axes, or of all, as of one vector; real.

    `ord` p is the p-th root of the sum of |x|**p; inf and -inf the largest and smallest |x|; 0 the
    number of elements that are not 0. The derivative is 0 where the vector, or for other p than 2
    the element, is 0.
    """
    node = floats("vector_norm", x)
    axes = axes_of("vector_norm", axis, node.type.rank)
    found = _vector_norm("vector_norm", widened(node), axes, ord)
    return wrap(_kept(in_dtype(found, node.dtype.real), axes, keepdims))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Order = "fro") -> Tensor:
    """The norms of matrices: (..., M, N) -> (...), real.

    "fro"    the root of the sum of squares       "nuc"     the sum of the singular values
    2, -2    the largest, smallest singular value
    1, -1    the largest, smallest sum of |x| over a column      inf, -inf    over a row
    """
    node = floats("matrix_norm", x)
    _check_matrix("matrix_norm", node)
    rank = node.type.rank
    found = _matrix_norm("matrix_norm", widened(node), ord)
    return wrap(_kept(in_dtype(found, node.dtype.real), (rank - 2, rank - 1), keepdims))


def _kept(node: Node, axes: Sequence[int], keepdims: bool) -> Node:
    return expand(node, axes) if keepdims else node


def _vector_norm(name: str, x: Node, axes: tuple[int, ...], ord: Any) -> Node:
    if isinstance(ord, (str, bool)) or not hasattr(ord, "__float__") or isinstance(ord, Tensor):
        do = "Write matrix_norm(x, ord=...) for matrices." if isinstance(ord, str) else ""
        raise ArgumentError(explain(name, "a number as ord of a vector norm", repr(ord), do))
    power = float(ord)
    if power == 2:
        return root(sum_op(squared_magnitude(x), axes=axes))
    if power == 0:
        return sum_op(in_dtype(ew.not_equal(x, full_like(x, 0)), x.dtype.real), axes=axes)
    size = ew.abs(x)
    if power == math.inf:
        return _largest(size, axes)
    if power == -math.inf:
        return _smallest(name, size, axes)
    if power == 1:
        return sum_op(size, axes=axes)
    at_zero = full_like(size, 0.0 if power > 0 else math.inf)
    found = sum_op(_power_above_zero(size, power, at_zero), axes=axes)
    return _power_above_zero(found, 1 / power, full_like(found, 0.0 if power > 0 else math.inf))


def _power_above_zero(x: Node, exponent: float, at_zero: Node) -> Node:
    """x ** exponent, and at 0 a value whose slope counts as 0."""
    is_zero = ew.equal(x, full_like(x, 0))
    safe = ew.select(is_zero, full_like(x, 1), x)
    return ew.select(is_zero, at_zero, ew.power(safe, full_like(x, exponent)))


def _largest(x: Node, axes: tuple[int, ...]) -> Node:
    """The largest of values that are not negative; 0 for none."""
    if any(is_known_equal(x.shape[axis], 0) for axis in axes):
        return sum_op(x, axes=axes)
    return reduce.max(x, axes=axes)


def _smallest(name: str, x: Node, axes: tuple[int, ...]) -> Node:
    if any(is_known_equal(x.shape[axis], 0) for axis in axes):
        raise ShapeError(explain(name, "at least one element, to find the smallest", str(x.type)))
    return reduce.min(x, axes=axes)


_MATRIX_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def _matrix_norm(name: str, x: Node, ord: Any) -> Node:
    if isinstance(ord, (bool, Tensor)) or ord not in _MATRIX_ORDERS:
        wanted = "an ord among 'fro', 'nuc', 1, -1, 2, -2, inf, -inf for a matrix norm"
        raise ArgumentError(explain(name, wanted, repr(ord)))
    rank = x.type.rank
    if ord == "fro":
        return _vector_norm(name, x, (rank - 2, rank - 1), 2)
    if ord in ("nuc", 2, -2):
        values = ops.svdvals(x)
        if ord == "nuc":
            return sum_op(values, axes=(rank - 2,))
        return _best(name, values, (rank - 2,), ord)
    summed = rank - 2 if ord in (1, -1) else rank - 1
    return _best(name, sum_op(ew.abs(x), axes=(summed,)), (rank - 2,), ord)


def _best(name: str, x: Node, axes: tuple[int, ...], ord: float) -> Node:
    return _largest(x, axes) if ord > 0 else _smallest(name, x, axes)


# Matrices -----------------------------------------------------------------------------------------


def _check_matrix(name: str, node: Node, is_square: bool = False) -> None:
    if node.type.rank < 2:
        do = "Write expand_dims(x, 0) for a row or expand_dims(x, 1) for a column."
        do = do if node.type.rank else ""
        raise ShapeError(explain(name, "matrices in the last two axes", str(node.type), do))
    rows, columns = node.shape[-2:]
    if is_square and not is_known_equal(rows, columns):
        wanted = "square matrices in the last two axes"
        do = _FOR_ANY_MATRIX.get(name, "")
        raise _unequal(name, wanted, str(node.type), do, rows, columns)


_FOR_ANY_MATRIX = {
    "inv": "Write pinv(x) for the inverse of any matrix.",
    "solve": "Write lstsq(a, b) for the solution of least squares.",
    "eigh": "Write svd(x) for a decomposition of any matrix.",
    "eigvalsh": "Write svdvals(x) for the singular values of any matrix.",
}


def _matrix(name: str, x: Any, is_square: bool = False) -> tuple[Node, DType]:
    """Matrices as decompositions take them, and the element type of the results."""
    node = floats(name, x)
    _check_matrix(name, node, is_square)
    return widened(node), node.dtype


def _narrow(node: Node, dtype: DType) -> Tensor:
    """A result, rounded where the operand was narrower than what it was computed in."""
    return wrap(in_dtype(node, dtype) if dtype.bits == 16 and node.dtype.is_float else node)


def diagonal(x: Any, /, *, offset: int = 0) -> Tensor:
    """The diagonals of matrices: (..., M, N) -> (..., min(M, N)) for offset 0.

    A positive offset counts diagonals to the right of the main one, a negative one below it.
    """
    node = operand("diagonal", x)
    _check_matrix("diagonal", node)
    return diagonal_of(wrap(node), offset=offset, axis1=-2, axis2=-1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sums of the diagonals of matrices: (..., M, N) -> (...); element types as of `sum`."""
    node = operand("trace", x)
    _check_matrix("trace", node)
    line = node_of(diagonal_of(wrap(node), offset=offset, axis1=-2, axis2=-1))
    return wrap(total_of("trace", line, (line.type.rank - 1,), dtype))


def matrix_power(x: Any, n: int, /) -> Tensor:
    """The product of n factors x, (..., M, M); of -n inverses for a negative n, 1 for n = 0.

    Integers stay integers unless n is negative.
    """
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise ArgumentTypeError(explain("matrix_power", "an integer as exponent", repr(n)))
    exponent = n.__index__()
    node = floats("matrix_power", x) if exponent < 0 else _numbers("matrix_power", x)[0]
    _check_matrix("matrix_power", node, is_square=True)
    dtype, factor = node.dtype, widened(node)
    if exponent < 0:
        factor, exponent = ops.inverse(factor), -exponent
    found = None if exponent else ops.identity(factor.shape[-1], factor.dtype, factor.shape[:-2])
    while exponent:
        exponent, is_odd = divmod(exponent, 2)
        if is_odd:
            found = factor if found is None else ops.matmul(found, factor)
        if exponent:
            factor = ops.matmul(factor, factor)
    assert found is not None
    return wrap(in_dtype(found, dtype))


def matrix_rank(x: Any, /, *, rtol: Any | None = None) -> Tensor:
    """How many singular values exceed `rtol` times the largest: (..., M, N) -> (...), int64.

    `rtol` is a number or has the leading axes; by default max(M, N) times the type's epsilon.
    """
    node, _ = _matrix("matrix_rank", x)
    values = ops.svdvals(node)
    floor = _floor("matrix_rank", values, rtol, node)
    values, floor = same_shape("matrix_rank", [values, floor])
    last = values.type.rank - 1
    return wrap(sum_op(in_dtype(ew.greater(values, floor), int64), axes=(last,)))


def _floor(name: str, values: Node, rtol: Any, x: Node) -> Node:
    """Below what singular values count as 0: [..., 1]."""
    last = values.type.rank - 1
    top = expand(_largest(values, (last,)), (last,))
    return ew.multiply(*same_shape(name, [top, _tolerance(name, rtol, x)]))


def _tolerance(name: str, rtol: Any, x: Node) -> Node:
    """A relative tolerance for each matrix: [..., 1]."""
    dtype = x.dtype.real
    if rtol is None:
        epsilon = full(float(np.finfo(dtype.numpy).eps), dtype)
        node = ew.multiply(epsilon, number_like(dim_max(*x.shape[-2:]), epsilon))
    else:
        node = to_dtype(name, to_tensor(rtol, name), dtype)
    return expand(node, (node.type.rank,))


def inv(x: Any, /) -> Tensor:
    """The inverses of square matrices; NaN for a singular one."""
    node, dtype = _matrix("inv", x, is_square=True)
    return _narrow(ops.inverse(node), dtype)


def det(x: Any, /) -> Tensor:
    """The determinants of square matrices: (..., M, M) -> (...)."""
    node, dtype = _matrix("det", x, is_square=True)
    return _narrow(ops.det(node), dtype)


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the logarithm of its magnitude."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(x: Any, /) -> SlogdetResult:
    """The signs (complex: phases) of determinants and the logarithms of their magnitudes: (...).

    A singular matrix has sign 0 and logarithm -inf.
    """
    node, dtype = _matrix("slogdet", x, is_square=True)
    return SlogdetResult(*(_narrow(each, dtype) for each in ops.slogdet(node)))


def pinv(x: Any, /, *, rtol: Any | None = None) -> Tensor:
    """The Moore-Penrose inverses: (..., M, N) -> (..., N, M).

    Singular values up to `rtol` times the largest count as 0; by default max(M, N) times the type's
    epsilon. The derivative is right where the number of those above does not change (G. H. Golub
    and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
    whose variables separate", 1973).
    """
    node, dtype = _matrix("pinv", x)
    return _narrow(_pinv("pinv", node, rtol), dtype)


def _pinv(name: str, x: Node, rtol: Any) -> Node:
    tolerance = _tolerance(name, rtol, x)
    shared = same_shape(name, [full(0, tolerance.dtype, (*x.shape[:-2], 1)), tolerance])
    lead = shared[0].shape[:-1]
    x = broadcast_to(x, (*lead, *x.shape[-2:]))
    forward = build("pinv", [x.type, shared[1].type], _pinv_by_svd)
    result = forward.result_types[0]
    types = [x.type, shared[1].type, result, result]
    backward = build("pinv_gradient", types, _pinv_gradient)
    (found,) = items(custom_call(x, shared[1], function=forward, gradient=backward))
    return found


def _pinv_by_svd(x: Node, tolerance: Node) -> Node:
    u, values, vh = items(ops.svd(x))
    last = values.type.rank - 1
    floor = ew.multiply(expand(_largest(values, (last,)), (last,)), tolerance)
    is_large = ew.greater(values, broadcast_to(floor, values.shape))
    safe = ew.select(is_large, values, full_like(values, 1))
    scales = ew.select(is_large, ew.divide(full_like(values, 1), safe), full_like(values, 0))
    return ops.matmul(ops.scale_columns(ops.adjoint(vh), scales), ops.adjoint(u))


def _pinv_gradient(x: Node, tolerance: Node, y: Node, dy: Node) -> list[Node]:
    # dy = -y dx y + y y^H dx^H (1 - x y) + (1 - y x) dx^H y^H y, transposed.
    yh, dyh = ops.adjoint(y), ops.adjoint(dy)
    inner = ops.matmul(ops.matmul(yh, dy), yh)
    left = ops.matmul(ops.matmul(dyh, y), yh)
    left = ew.subtract(left, ops.matmul(x, ops.matmul(y, left)))
    right = ops.matmul(ops.matmul(yh, y), dyh)
    right = ew.subtract(right, ops.matmul(ops.matmul(right, y), x))
    return [ew.subtract(ew.add(left, right), inner), full_like(tolerance, 0)]


# Systems of equations -----------------------------------------------------------------------------


def solve(x1: Any, x2: Any, /) -> Tensor:
    """The solution y of x1 y = x2: (..., M, M) with (..., M, K) -> (..., M, K).

    x2 with one axis is one vector: (..., M, M) with (M,) -> (..., M). Leading axes broadcast. NaN
    where x1 is singular.
    """
    return _system("solve", ops.solve, x1, x2)


def _system(name: str, op: Callable[[Node, Node], Node], x1: Any, x2: Any) -> Tensor:
    a, b = same_dtype(name, x1, x2, floats=True)
    dtype = a.dtype
    _check_matrix(name, a, is_square=True)
    is_vector = _is_vector(name, a, b)
    matrix = expand(b, (1,)) if is_vector else b
    found = _solved(name, op, widened(a), widened(matrix))
    return _narrow(_picked(found, range(found.type.rank - 1)) if is_vector else found, dtype)


def _is_vector(name: str, a: Node, b: Node) -> bool:
    """True when b is one vector; refuses a b that has not as many rows as a."""
    rows, rank = a.shape[-2], b.type.rank
    given = 1 if not rank else b.shape[max(rank - 2, 0)]
    if rank and is_known_equal(given, rows):
        return rank == 1
    do = ""
    if rank > 1 and is_known_equal(b.shape[-1], rows):
        is_stack = is_known_equal(size_of(b.shape[:-1]), size_of(a.shape[:-2]))
        do = "expand_dims(b, -1)" if is_stack else "matrix_transpose(b)"
        do = f"Did you mean {name}(a, {do})?"
    wanted = f"b of shape [{rows}] or [...,{rows},k], as many rows as a has"
    raise _unequal(name, wanted, _two(a, b), do, rows, given)


def _solved(name: str, op: Callable[[Node, Node], Node], a: Node, b: Node) -> Node:
    """The solutions for matrices b, whose leading axes broadcast with those of a."""
    *lead_b, rows, columns = b.shape
    rank = b.type.rank
    if a.type.rank == 2 and lead_b:
        # Many right-hand sides of one matrix are more columns.
        moved = transposed(b, (rank - 2, *range(rank - 2), rank - 1))
        found = op(a, reshape(moved, shape=(rows, size_of((*lead_b, columns)))))
        return transposed(reshape(found, shape=moved.shape), (*range(1, rank - 1), 0, rank - 1))
    for one, two in zip(reversed(a.shape[:-2]), reversed(lead_b), strict=False):
        if one != 1 and two != 1 and not is_known_equal(one, two):
            wanted = "leading axes that broadcast: from the last one backward, equal sizes or 1"
            raise _unequal(name, wanted, _two(a, b), "", one, two)
    types = [tensor_type(node.dtype, node.shape[:-2]) for node in (a, b)]
    lead = broadcast_shapes(name, types)
    return op(broadcast_to(a, (*lead, rows, rows)), broadcast_to(b, (*lead, rows, columns)))


# Decompositions -----------------------------------------------------------------------------------


def cholesky(x: Any, /, *, upper: bool = False) -> Tensor:
    """The lower factor l of positive definite matrices l l^H, or the upper factor u of u^H u.

    (..., M, M) -> (..., M, M); NaN for a matrix that is not positive definite.
    """
    node, dtype = _matrix("cholesky", x, is_square=True)
    lower = ops.cholesky(ops.symmetrize(node))
    return _narrow(ops.adjoint(lower) if upper else lower, dtype)


class EighResult(NamedTuple):
    """Ascending eigenvalues, and eigenvectors in the columns of a matrix."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def eigh(x: Any, /) -> EighResult:
    """The eigenvalues (..., M) and eigenvectors (..., M, M) of symmetric or Hermitian matrices."""
    node, dtype = _matrix("eigh", x, is_square=True)
    found = items(ops.eigh(ops.symmetrize(node)))
    return EighResult(*(_narrow(each, dtype) for each in found))


def eigvalsh(x: Any, /) -> Tensor:
    """The ascending eigenvalues of symmetric or Hermitian matrices: (..., M, M) -> (..., M)."""
    node, dtype = _matrix("eigvalsh", x, is_square=True)
    return _narrow(ops.eigvalsh(ops.symmetrize(node)), dtype)


class QRResult(NamedTuple):
    """Orthonormal columns, and an upper triangular matrix."""

    Q: Tensor
    R: Tensor


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """The factors of x = Q R: (..., M, N) -> (..., M, K) and (..., K, N), K = min(M, N).

    With mode "complete" Q is square and K = M.
    """
    if mode not in ("reduced", "complete"):
        do = "Did you mean mode='complete'?" if mode == "full" else ""
        raise ArgumentError(explain("qr", "mode 'reduced' or 'complete'", repr(mode), do))
    node, dtype = _matrix("qr", x)
    found = items(ops.qr(node, full=mode == "complete"))
    return QRResult(*(_narrow(each, dtype) for each in found))


class SVDResult(NamedTuple):
    """Left singular vectors in columns, descending singular values, right ones in rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """The factors of x = U diag(S) Vh: (..., M, M), (..., K) and (..., N, N), K = min(M, N).

    Without `full_matrices` U is (..., M, K) and Vh (..., K, N). The vectors beyond the first K have
    no derivative.
    """
    node, dtype = _matrix("svd", x)
    found = items(ops.svd(node, full=full_matrices))
    return SVDResult(*(_narrow(each, dtype) for each in found))


def svdvals(x: Any, /) -> Tensor:
    """The descending singular values: (..., M, N) -> (..., min(M, N))."""
    node, dtype = _matrix("svdvals", x)
    return _narrow(ops.svdvals(node), dtype)


# Beyond the standard: products --------------------------------------------------------------------


def dot(x1: Any, x2: Any, /) -> Tensor:
    """The sums of products over the last axis of x1 and the second-to-last of x2, or its only one.

    (A, M, K) with (B, K, N) -> (A, M, B, N). A number multiplies.
    """
    a, b = _numbers("dot", x1, x2)
    if not a.type.rank or not b.type.rank:
        return wrap(ew.multiply(*same_shape("dot", [a, b])))
    row = b.type.rank - 2 if b.type.rank > 1 else 0
    if not is_known_equal(a.shape[-1], b.shape[row]):
        raise _cannot_multiply("dot", a, b)
    return wrap(dot_op(a, b, contract=((a.type.rank - 1,), (row,))))


def inner(x1: Any, x2: Any, /) -> Tensor:
    """The sums of products over the last axes, without conjugation: (A, K), (B, K) -> (A, B)."""
    a, b = _numbers("inner", x1, x2)
    if not a.type.rank or not b.type.rank:
        return wrap(ew.multiply(*same_shape("inner", [a, b])))
    if not is_known_equal(a.shape[-1], b.shape[-1]):
        wanted = "last axes of one size"
        raise _unequal("inner", wanted, _two(a, b), "", a.shape[-1], b.shape[-1])
    return wrap(dot_op(a, b, contract=((a.type.rank - 1,), (b.type.rank - 1,))))


def kron(x1: Any, x2: Any, /) -> Tensor:
    """The Kronecker product: blocks x1[i, j] * x2. (M, N) with (P, Q) -> (M P, N Q).

    The operand with fewer axes gets new ones in front.
    """
    a, b = _numbers("kron", x1, x2)
    rank = max(a.type.rank, b.type.rank)
    a, b = (expand(node, range(rank - node.type.rank)) for node in (a, b))
    in_a, in_b = (tuple((side, axis) for axis in range(rank)) for side in "ab")
    out = tuple(label for pair in zip(in_a, in_b, strict=True) for label in pair)
    shape = tuple(one * two for one, two in zip(a.shape, b.shape, strict=True))
    return wrap(reshape(_pair(a, in_a, b, in_b, out), shape=shape))


def multi_dot(arrays: Sequence[Any], /) -> Tensor:
    """The product of several matrices in the order that takes the fewest multiplications.

    The first and the last may be vectors. Named sizes count as 32 each.
    """
    if not isinstance(arrays, (list, tuple)) or len(arrays) < 2:
        is_list = isinstance(arrays, (list, tuple))
        received = f"a list of {len(arrays)}" if is_list else f"{type(arrays).__name__}"
        raise ArgumentError(explain("multi_dot", "a list of at least two arrays", received))
    nodes = _numbers("multi_dot", *arrays)
    last = len(nodes) - 1
    for place, node in enumerate(nodes):
        if node.type.rank != 2 and not (node.type.rank == 1 and place in (0, last)):
            wanted = "matrices; the first and the last may be vectors"
            raise ShapeError(explain("multi_dot", wanted, f"{node.type} at position {place}"))
    for a, b in pairwise(nodes):
        if not is_known_equal(a.shape[-1], b.shape[0]):
            raise _cannot_multiply("multi_dot", a, b)
    sizes = [1 if nodes[0].type.rank == 1 else nodes[0].shape[0]]
    sizes += [node.shape[-1] for node in nodes[:-1]]
    sizes += [1 if nodes[-1].type.rank == 1 else nodes[-1].shape[1]]
    splits = _best_splits([_estimate(size) for size in sizes])

    def product(first: int, final: int) -> Node:
        if first == final:
            return nodes[first]
        split = splits[first, final]
        return _matmul("multi_dot", product(first, split), product(split + 1, final))

    return wrap(product(0, last))


def _best_splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """After which factor to split each stretch of a chain of matrices, by dynamic programming."""
    count = len(sizes) - 1
    costs = {(place, place): 0 for place in range(count)}
    splits: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for first in range(count - length):
            final = first + length
            options = {
                split: costs[first, split]
                + costs[split + 1, final]
                + sizes[first] * sizes[split + 1] * sizes[final + 1]
                for split in range(first, final)
            }
            splits[first, final] = best = min(options, key=options.__getitem__)
            costs[first, final] = options[best]
    return splits


def _estimate(size: Size) -> int:
    """A number for a size: 32 for each named size in it."""
    if isinstance(size, Dim):
        found = substitute(size, dict.fromkeys(symbols(size), 32))
        assert isinstance(found, int)
        return max(found, 1)
    return size


# Beyond the standard: einsum ----------------------------------------------------------------------


def einsum(subscripts: str, /, *operands: Any) -> Tensor:
    """Sums of products of operands whose axes are named by letters: "bij,bjk->bik".

    A letter that several operands have is one axis: shared where the output has it, summed where
    not. A letter twice in one operand takes the diagonal. "..." stands for any leading axes, which
    broadcast; so does size 1 under a letter. Without "->" the output has the axes of "...", then
    the letters that occur once, in alphabetical order.

    Two operands at a time are contracted, those first that leave the least; named sizes count as
    32 each in that choice. Element types promote; integers stay.
    """
    nodes, terms, out = _parsed(subscripts, operands)
    sizes = _letter_sizes(subscripts, nodes, terms)
    found = [_with_diagonals(*each) for each in zip(nodes, terms, strict=True)]
    if len(found) == 1:
        node, labels = _summed(*found[0], set(out))
        return wrap(_ordered(node, labels, out))
    while len(found) > 2:
        first, second = _cheapest(found, out, sizes)
        rest = [each for place, each in enumerate(found) if place not in (first, second)]
        (a, in_a), (b, in_b) = found[first], found[second]
        needed = {*out, *(label for _, labels in rest for label in labels)}
        kept = _kept_labels(in_a, in_b, needed)
        found = [*rest, (_pair(a, in_a, b, in_b, kept), kept)]
    (a, in_a), (b, in_b) = found
    return wrap(_pair(a, in_a, b, in_b, out))


def _einsum_error(subscripts: str, wanted: str, received: str, do: str = "") -> ShapeError:
    return ShapeError(explain("einsum", wanted, f"{received} in {subscripts!r}", do))


def _parsed(subscripts: Any, operands: Sequence[Any]) -> tuple[list[Node], list[Labels], Labels]:
    """The operands, and the labels of each and of the output; the axes of "..." are numbers."""
    if not isinstance(subscripts, str):
        wanted = "subscripts such as 'ij,jk->ik' before the operands"
        raise ArgumentTypeError(explain("einsum", wanted, f"{type(subscripts).__name__}"))
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    texts = inputs.split(",")
    for text in (*texts, output):
        plain = text.replace("...", "", 1)
        if wrong := [each for each in plain if not (each.isascii() and each.isalpha())]:
            wanted = "letters, at most one '...' an operand, ',' and one '->'"
            raise _einsum_error(subscripts, wanted, repr(wrong[0]))
    if len(texts) != len(operands):
        raise _einsum_error(
            subscripts, f"subscripts for {len(operands)} operands", f"those of {len(texts)}"
        )
    nodes = _numbers("einsum", *operands)
    terms = [_term(subscripts, text, node) for text, node in zip(texts, nodes, strict=True)]
    depth = max([sum(isinstance(label, int) for label in labels) for labels in terms])
    stack: Labels = tuple(range(-depth, 0))
    if not arrow:
        letters = sorted(inputs.replace(",", "").replace(".", ""))
        return nodes, terms, (*stack, *(each for each in letters if letters.count(each) == 1))
    if depth and "..." not in output:
        do = "Write '...' in the output, or sum those axes first."
        raise _einsum_error(subscripts, "an output that says where '...' goes", "none", do)
    before, _, after = output.partition("...") if "..." in output else (output, "", "")
    out: Labels = (*before, *(stack if "..." in output else ()), *after)
    for label in out:
        if out.count(label) > 1:
            raise _einsum_error(subscripts, "each letter once in the output", f"{label!r} twice")
        if not any(label in labels for labels in terms):
            raise _einsum_error(subscripts, "output letters that an operand has", f"{label!r}")
    return nodes, terms, out


def _term(subscripts: str, text: str, node: Node) -> Labels:
    """The labels of one operand."""
    before, dots, after = text.partition("...")
    extra = node.type.rank - len(before) - len(after)
    if extra < 0 or (extra and not dots):
        least = "at least " if dots else ""
        wanted = f"an operand with {least}{len(before) + len(after)} axes for {text!r}"
        do = f"Did you mean '...{text}'?" if extra > 0 else ""
        raise _einsum_error(subscripts, wanted, str(node.type), do)
    return (*before, *range(-extra, 0), *after)


def _letter_sizes(subscripts: str, nodes: list[Node], terms: list[Labels]) -> dict[Hashable, Size]:
    """The size of each label; refuses labels that stand for several."""
    sizes: dict[Hashable, Size] = {}
    for node, labels in zip(nodes, terms, strict=True):
        own: dict[Hashable, Size] = {}
        for label, size in zip(labels, node.shape, strict=True):
            former = own.setdefault(label, size)
            if not is_known_equal(former, size):
                wanted = f"a diagonal of one size for {label!r} in {subscripts!r}"
                raise _unequal("einsum", wanted, str(node.type), "", former, size)
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size != 1 and not is_known_equal(known, size):
                raise _several_sizes(subscripts, nodes, terms, label, known, size)
    return sizes


def _several_sizes(
    subscripts: str, nodes: list[Node], terms: list[Labels], label: Hashable, one: Size, two: Size
) -> Exception:
    axis = f"the axis {label} of '...'" if isinstance(label, int) else repr(label)
    received = ", ".join(str(node.type) for node in nodes)
    do = _transposed_advice(subscripts, nodes, terms)
    wanted = f"one size for {axis} in {subscripts!r}, which is {one} and {two}"
    return _unequal("einsum", wanted, received, do, one, two)


def _transposed_advice(subscripts: str, nodes: list[Node], terms: list[Labels]) -> str:
    """The subscripts with the two letters of one operand exchanged, if that makes sizes fit."""
    texts = subscripts.replace(" ", "").partition("->")[0].split(",")
    for place, text in enumerate(texts):
        swapped = [labels if each != place else labels[::-1] for each, labels in enumerate(terms)]
        if len(text) == 2 and _has_one_size_each(nodes, swapped):
            new = ",".join(each if at != place else each[::-1] for at, each in enumerate(texts))
            return f"Did you mean {new + subscripts.replace(' ', '')[len(','.join(texts)) :]!r}?"
    return ""


def _has_one_size_each(nodes: list[Node], terms: list[Labels]) -> bool:
    sizes: dict[Hashable, Size] = {}
    return all(
        is_known_equal(sizes.setdefault(label, size), size)
        for node, labels in zip(nodes, terms, strict=True)
        for label, size in zip(labels, node.shape, strict=True)
    )


def _with_diagonals(node: Node, labels: Labels) -> tuple[Node, Labels]:
    """The diagonal over the axes that share a label, until each has one of its own."""
    for label in labels:
        axes = tuple(place for place, each in enumerate(labels) if each == label)
        if len(axes) > 1:
            place = iota(dtype=int64, shape=(node.shape[axes[0]],), axis=0)
            rest = tuple(each for each in labels if each != label)
            node = gather(node, *(place for _ in axes), axes=axes)
            return _with_diagonals(node, (label, *rest))
    return node, labels


def _kept_labels(in_a: Labels, in_b: Labels, needed: set[Hashable]) -> Labels:
    """The labels of a product, in the order in which a contraction leaves them."""
    kept = [[label for label in labels if label in needed] for labels in (in_a, in_b)]
    both = [label for label in kept[0] if label in in_b]
    return (
        *both,
        *(label for label in kept[0] if label not in in_b),
        *(label for label in kept[1] if label not in in_a),
    )


def _cheapest(
    found: list[tuple[Node, Labels]], out: Labels, sizes: dict[Hashable, Size]
) -> tuple[int, int]:
    """The pair whose product is smallest compared with its operands; of equals the less work."""
    known = {label: _estimate(size) for label, size in sizes.items()}

    def cost(pair: tuple[int, int]) -> tuple[bool, int, int]:
        in_a, in_b = (found[place][1] for place in pair)
        needed = {
            *out,
            *(label for at, (_, own) in enumerate(found) if at not in pair for label in own),
        }
        kept = _kept_labels(in_a, in_b, needed)
        volume, *others = (
            math.prod(known[label] for label in labels) for labels in (kept, in_a, in_b)
        )
        work = math.prod(known[label] for label in {*in_a, *in_b})
        return not set(in_a) & set(in_b), volume - sum(others), work

    return min(combinations(range(len(found)), 2), key=cost)


# Beyond the standard: norms, systems and decompositions -------------------------------------------


def norm(
    x: Any,
    /,
    ord: Order = None,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Tensor:
    """A vector norm over one axis or a matrix norm over two; see `vector_norm`, `matrix_norm`.

    Without `ord` the root of the sum of squares, over all axes by default. With it and without
    `axis`, x has one or two axes.
    """
    node = floats("norm", x)
    rank = node.type.rank
    axes = axes_of("norm", axis, rank)
    if ord is None:
        found = _vector_norm("norm", widened(node), axes, 2)
    elif len(axes) == 1:
        found = _vector_norm("norm", widened(node), axes, ord)
    elif len(axes) == 2:
        given = axis if isinstance(axis, (tuple, list)) else axes
        pair = [axis_of("norm", each, rank) for each in given]
        rest = [each for each in range(rank) if each not in axes]
        found = _matrix_norm("norm", transposed(widened(node), (*rest, *pair)), ord)
    else:
        wanted = "one axis for a vector norm or two for a matrix norm, with ord"
        received = f"{node.type} with ord={ord!r} and axis={axis}"
        raise ShapeError(explain("norm", wanted, received, "Say axis=..., or leave ord out."))
    return wrap(_kept(in_dtype(found, node.dtype.real), axes, keepdims))


def triangular_solve(
    x1: Any,
    x2: Any,
    /,
    *,
    lower: bool = True,
    transpose: bool = False,
    conjugate: bool = False,
    unit_diagonal: bool = False,
) -> Tensor:
    """The solution of a triangular system, of which one triangle of x1 is read; see `solve`.

    `transpose` and `conjugate` say what is done to that triangle first; with `unit_diagonal` the
    diagonal counts as 1. A zero on the diagonal divides: infinity or NaN.
    """

    def op(a: Node, b: Node) -> Node:
        return ops.triangular_solve(
            a,
            b,
            lower=lower,
            transpose=transpose,
            conjugate=conjugate and a.dtype.is_complex,
            unit_diagonal=unit_diagonal,
        )

    return _system("triangular_solve", op, x1, x2)


class LstsqResult(NamedTuple):
    """A least-squares solution, the squared distances it leaves, and what was found on the way."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def lstsq(x1: Any, x2: Any, /, *, rtol: Any | None = None) -> LstsqResult:
    """The y of least norm that minimises |x1 y - x2|: (..., M, N) with (..., M, K) -> (..., N, K).

    x2 with one axis is one vector. Singular values up to `rtol` times the largest count as 0; by
    default max(M, N) times the type's epsilon. The residuals (..., K) are the squared distances of
    the columns, whatever the rank is; the rank is (...), the singular values (..., min(M, N)).
    """
    a, b = same_dtype("lstsq", x1, x2, floats=True)
    dtype = a.dtype
    _check_matrix("lstsq", a)
    is_vector = _is_vector("lstsq", a, b)
    a, b = widened(a), widened(expand(b, (1,)) if is_vector else b)
    solution = _matmul("lstsq", _pinv("lstsq", a, rtol), b)
    gap = _matmul("lstsq", a, solution)
    gap = ew.subtract(*same_shape("lstsq", [gap, b]))
    residuals = sum_op(squared_magnitude(gap), axes=(gap.type.rank - 2,))
    if is_vector:
        solution, residuals = (
            _picked(node, range(node.type.rank - 1)) for node in (solution, residuals)
        )
    values = ops.svdvals(a)
    return LstsqResult(
        _narrow(solution, dtype),
        _narrow(residuals, dtype),
        matrix_rank(wrap(a), rtol=rtol),
        _narrow(values, dtype),
    )


class LUResult(NamedTuple):
    """A permutation matrix, a lower matrix with a diagonal of 1, and an upper matrix."""

    P: Tensor
    L: Tensor
    U: Tensor


def lu(x: Any, /) -> LUResult:
    """The factors of x = P L U: (..., M, M), (..., M, K) and (..., K, N), K = min(M, N)."""
    node, dtype = _matrix("lu", x)
    packed, rows = items(ops.lu(node))
    height, width = node.shape[-2:]
    small, rank = dim_min(height, width), node.type.rank
    order = ops.matrix_transpose(ops.permutation_matrix(rows, node.dtype))
    unit = _rectangle_of_ones(node, height, small)
    lower = ew.add(ops.tril(cut(packed, rank - 1, 0, small), -1), unit)
    upper = ops.triu(cut(packed, rank - 2, 0, small))
    return LUResult(*(_narrow(each, dtype) for each in (order, lower, upper)))


def _rectangle_of_ones(like: Node, rows: Size, columns: Size) -> Node:
    """Ones on the main diagonal of [..., rows, columns]."""
    shape = (*like.shape[:-2], rows, columns)
    rank = len(shape)
    row = iota(dtype=int64, shape=shape, axis=rank - 2)
    column = iota(dtype=int64, shape=shape, axis=rank - 1)
    return in_dtype(ew.equal(row, column), like.dtype)


class EigResult(NamedTuple):
    """Eigenvalues, and eigenvectors in the columns of a matrix."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def eig(x: Any, /) -> EigResult:
    """The eigenvalues (..., M), in no promised order, and eigenvectors (..., M, M); complex."""
    node, _ = _matrix("eig", x, is_square=True)
    return EigResult(*map(wrap, items(ops.eig(node))))


def eigvals(x: Any, /) -> Tensor:
    """The eigenvalues of square matrices, complex and in no promised order."""
    node, _ = _matrix("eigvals", x, is_square=True)
    return wrap(ops.eigvals(node))


# Scaling and squaring with the Pade approximant of order 13, after N. J. Higham, "The scaling and
# squaring method for the matrix exponential revisited", 2005: good to float64 up to this norm.
_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
    10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_LARGEST_NORM = 5.371920351148152
_MOST_SQUARINGS = 16


def expm(x: Any, /) -> Tensor:
    """The exponentials of square matrices: the sum of x**k / k! over k.

    Matrices with a 1-norm beyond 350,000 give NaN.
    """
    node, dtype = _matrix("expm", x, is_square=True)
    if is_known_equal(node.shape[-1], 0):
        return _narrow(node, dtype)
    size = _matrix_norm("expm", node, 1)
    squarings = ew.ceil(ew.log2(ew.divide(size, full_like(size, _LARGEST_NORM))))
    squarings = ew.maximum(squarings, full_like(squarings, 0))
    scale = ew.exp2(ew.negative(squarings))
    # How often to square is a choice, not a quantity: no derivative flows through it.
    scale = _over_matrix(in_dtype(scale, node.dtype), node)
    small = ew.multiply(node, scale)
    found = _pade(small)
    for step in range(_MOST_SQUARINGS):
        is_due = _over_matrix(ew.greater(squarings, full_like(squarings, step)), node)
        found = ew.select(is_due, ops.matmul(found, found), found)
    limit = ew.less_equal(squarings, full_like(squarings, _MOST_SQUARINGS))
    found = ew.select(_over_matrix(limit, node), found, full_like(found, math.nan))
    return _narrow(found, dtype)


def _over_matrix(node: Node, like: Node) -> Node:
    return broadcast(node, shape=like.shape, axes=tuple(range(node.type.rank)))


def _pade(x: Node) -> Node:
    one = ops.identity(x.shape[-1], x.dtype, x.shape[:-2])
    square = ops.matmul(x, x)
    powers = [one, square]
    for _ in range(2):
        powers.append(ops.matmul(powers[-1], square))

    def combined(first: int) -> Node:
        """The sum of _PADE[first + 2 k] square**k."""
        low = _weighted(powers, _PADE[first:8:2])
        high = _weighted(powers[1:], _PADE[first + 8 :: 2])
        return ew.add(low, ops.matmul(powers[3], high))

    even, odd = combined(0), ops.matmul(x, combined(1))
    return ops.solve(ew.subtract(even, odd), ew.add(even, odd))


def _weighted(powers: Sequence[Node], weights: Sequence[float]) -> Node:
    terms = [
        ew.multiply(power, full_like(power, float(weight)))
        for power, weight in zip(powers, weights, strict=True)
    ]
    found = terms[0]
    for term in terms[1:]:
        found = ew.add(found, term)
    return found

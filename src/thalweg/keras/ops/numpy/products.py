"""Products of vectors, matrices and tensors, and determinants.

Operands meet in their common element type. Booleans multiply as "and" and add as "or". Where only
int8 meets int8, `matmul` and `einsum` give int32.
"""

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.array import elementwise, linalg, manipulation
from thalweg.array.data_types import astype
from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_equal
from thalweg.keras.operation import op
from thalweg.keras.ops.operands import (
    Size,
    Sizes,
    agree,
    axis_of,
    broadcast,
    common_dtype,
    dtype_of,
    floats,
    shape_of,
    tensors,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor


def _product(function: Callable[..., Tensor], *operands: Tensor) -> Tensor:
    """A function that multiplies and adds, of operands of one element type."""
    if operands[0].dtype.kind != "bool":
        return function(*operands)
    found = function(*(astype(x, "int32") for x in operands))
    return elementwise.not_equal(found, 0)


def _symbol(shape: Sequence[Size], *operands: Any, is_wide: bool = False) -> KerasTensor:
    return KerasTensor(tuple(shape), _wide_dtype(*operands) if is_wide else common_dtype(*operands))


def _wide_dtype(*operands: Any) -> str:
    """The common element type, int32 where all are int8."""
    is_byte = all(dtype_of(x) == "int8" for x in operands)
    return "int32" if is_byte else common_dtype(*operands)


def _do_not_fit(name: str, wanted: str, x1: Sizes, x2: Sizes) -> ShapeError:
    return ShapeError(explain(name, wanted, f"x1.shape={x1} and x2.shape={x2}"))


def _contracted(name: str, x1: Sizes, x2: Sizes, place: int) -> None:
    """Refuse a last size of x1 that is not the size of x2 at a place."""
    if not agree(x1[-1], x2[place]):
        which = "only" if len(x2) == 1 else "last" if place == -1 else "second-to-last"
        raise _do_not_fit(name, f"the last axis of x1 to equal the {which} axis of x2", x1, x2)


# Vectors and matrices -----------------------------------------------------------------------------


def _matmul_spec(x1: Any, x2: Any) -> KerasTensor:
    one, two = shape_of(x1), shape_of(x2)
    if not one or not two:
        raise _do_not_fit("matmul", "operands with axes", one, two)
    _contracted("matmul", one, two, -2 if len(two) > 1 else -1)
    stack = broadcast("matmul", one[:-2], two[:-2])
    shape = (*stack, *one[-2:-1], *(two[-1:] if len(two) > 1 else ()))
    found = _symbol(shape, x1, x2, is_wide=True)
    is_sparse = getattr(x1, "sparse", False) and getattr(x2, "sparse", False)
    return KerasTensor(found.shape, found.dtype, sparse=is_sparse)


@op(data=("x1", "x2"), spec=_matmul_spec)
def matmul(x1: Any, x2: Any) -> Tensor:
    """The matrix product: (..., M, K) with (..., K, N) -> (..., M, N), leading axes broadcast.

    An operand with one axis is a vector. int8 with int8 gives int32.
    """
    dtype = _wide_dtype(x1, x2)
    return _product(linalg.matmul, tensor(x1, dtype), tensor(x2, dtype))


def _dot_spec(x1: Any, x2: Any) -> KerasTensor:
    one, two = shape_of(x1), shape_of(x2)
    if not one or not two:
        return _symbol(one or two, x1, x2)
    place = -2 if len(two) > 1 else -1
    _contracted("dot", one, two, place)
    return _symbol((*one[:-1], *two[:place], *(two[-1:] if len(two) > 1 else ())), x1, x2)


@op(data=("x1", "x2"), spec=_dot_spec)
def dot(x1: Any, x2: Any) -> Tensor:
    """The sums of products over the last axis of x1 and the second-to-last of x2, or its only one.

    (A, M, K) with (B, K, N) -> (A, M, B, N). A number multiplies.
    """
    return _product(linalg.dot, *tensors(x1, x2))


def _inner_spec(x1: Any, x2: Any) -> KerasTensor:
    one, two = shape_of(x1), shape_of(x2)
    if not one or not two:
        return _symbol(one or two, x1, x2)
    if not agree(one[-1], two[-1]):
        raise _do_not_fit("inner", "the last dimension of x1 and x2 to be equal", one, two)
    return _symbol(one[:-1] + two[:-1], x1, x2)


@op(data=("x1", "x2"), spec=_inner_spec)
def inner(x1: Any, x2: Any) -> Tensor:
    """The sums of products over the last axes: (A, K), (B, K) -> (A, B). A number multiplies."""
    return _product(linalg.inner, *tensors(x1, x2))


@op(data=("x1", "x2"))
def outer(x1: Any, x2: Any) -> Tensor:
    """All products of the elements of x1, flattened, with those of x2: (M,) with (N,) -> (M, N)."""
    one, two = (manipulation.ravel(x) for x in tensors(x1, x2))
    return _product(linalg.outer, one, two)


def _vdot_spec(x1: Any, x2: Any) -> KerasTensor:
    return _symbol((), x1, x2)


@op(data=("x1", "x2"), spec=_vdot_spec)
def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of conj(x1) * x2 over all elements, both flattened."""
    one, two = (manipulation.ravel(x) for x in tensors(x1, x2))
    one = elementwise.conj(one) if one.dtype.is_complex else one
    return _product(linalg.inner, one, two)


def _kron_spec(x1: Any, x2: Any) -> KerasTensor:
    one, two = shape_of(x1), shape_of(x2)
    rank = max(len(one), len(two))
    pairs = zip((1,) * (rank - len(one)) + one, (1,) * (rank - len(two)) + two, strict=True)
    return _symbol([None if None in pair else pair[0] * pair[1] for pair in pairs], x1, x2)  # type: ignore[operator]


@op(data=("x1", "x2"), spec=_kron_spec)
def kron(x1: Any, x2: Any) -> Tensor:
    """The Kronecker product: blocks x1[i, j] * x2. (M, N) with (P, Q) -> (M P, N Q)."""
    return _product(linalg.kron, *tensors(x1, x2))


# Vectors in space ---------------------------------------------------------------------------------


def _cross_spec(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> KerasTensor:
    if axis is not None:
        axisa = axisb = axisc = axis
    one, two = list(shape_of(x1)), list(shape_of(x2))
    sizes = [
        shape.pop(axis_of("cross", place, len(shape)))
        for shape, place in ((one, axisa), (two, axisb))
    ]
    for name, size in zip(("x1", "x2"), sizes, strict=True):
        if size not in (None, 2, 3):
            raise ShapeError(explain("cross", f"2 or 3 elements in vectors of {name}", f"{size}"))
    shape = list(broadcast("cross", one, two))
    if 3 in sizes:
        shape.insert(axis_of("cross", axisc, len(shape) + 1), 3)
    return _symbol(shape, x1, x2)


@op(data=("x1", "x2"), spec=_cross_spec)
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """The cross products of vectors of 3 or 2 elements, along `axisa` of x1 and `axisb` of x2.

    The vectors of the result stand along `axisc`; `axis` sets all three. Two vectors of 2 elements
    give a number, the third element of the product; otherwise a missing third element is 0.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    one, two = tensors(x1, x2)
    one, two = (
        manipulation.moveaxis(x, axis_of("cross", place, x.ndim), -1)
        for x, place in ((one, axisa), (two, axisb))
    )
    a, b = (_elements(name, x) for name, x in (("x1", one), ("x2", two)))
    third = a[0] * b[1] - a[1] * b[0]
    if a[2] is None and b[2] is None:
        return third
    first = _difference(a[1], b[2], a[2], b[1])
    second = _difference(a[2], b[0], a[0], b[2])
    shape = third.shape
    found = manipulation.stack(
        [manipulation.broadcast_to(each, shape) for each in (first, second, third)], axis=-1
    )
    return manipulation.moveaxis(found, -1, axis_of("cross", axisc, found.ndim))


def _elements(name: str, x: Any) -> list[Any]:
    size = x.shape[-1]
    if not is_known_equal(size, 2) and not is_known_equal(size, 3):
        raise ShapeError(explain("cross", f"2 or 3 elements in vectors of {name}", f"{size}"))
    third = x[..., 2] if is_known_equal(size, 3) else None
    return [x[..., 0], x[..., 1], third]


def _difference(a: Any, b: Any, c: Any, d: Any) -> Tensor:
    """a * b - c * d, where None is 0."""
    right = None if c is None or d is None else c * d
    if a is None or b is None:
        assert right is not None  # of two vectors one has three elements
        return -right
    return a * b if right is None else a * b - right


# Tensors ------------------------------------------------------------------------------------------


def _tensordot_spec(x1: Any, x2: Any, axes: Any = 2) -> KerasTensor:
    one, two = shape_of(x1), shape_of(x2)
    left, right = _summed_axes(axes, len(one), len(two))
    for i, j in zip(left, right, strict=True):
        # Keras looks at sizes only where the axes are named one by one.
        if isinstance(axes, (list, tuple)) and not agree(one[i], two[j]):
            wanted = f"axis {i} of x1 to equal axis {j} of x2, with axes={axes}"
            raise _do_not_fit("tensordot", wanted, one, two)
    rest = [size for axis, size in enumerate(one) if axis not in left]
    rest += [size for axis, size in enumerate(two) if axis not in right]
    return _symbol(rest, x1, x2)


def _summed_axes(axes: Any, rank1: int, rank2: int) -> tuple[list[int], list[int]]:
    """The axes of both operands, from a number of them or a pair."""
    if not isinstance(axes, (list, tuple)):
        number = min(max(int(axes), 0), rank1, rank2)
        return list(range(rank1 - number, rank1)), list(range(number))
    left, right = (list(each) if isinstance(each, (list, tuple)) else [each] for each in axes)
    if len(left) != len(right):
        raise ShapeError(explain("tensordot", "as many axes of x1 as of x2", f"axes={axes}"))
    return (
        [axis_of("tensordot", axis, rank1) for axis in left],
        [axis_of("tensordot", axis, rank2) for axis in right],
    )


@op(data=("x1", "x2"), spec=_tensordot_spec)
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """The sums of products over pairs of axes; the result has the other axes of x1, then of x2.

    `axes` is a number N, for the last N axes of x1 with the first N of x2, or a pair: axes of x1,
    and in the same order axes of x2.
    """
    one, two = tensors(x1, x2)
    pairs = _summed_axes(axes, one.ndim, two.ndim)
    return _product(lambda a, b: linalg.tensordot(a, b, axes=pairs), one, two)


def _einsum_spec(subscripts: str, *operands: Any, **_: Any) -> KerasTensor:
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    texts = inputs.split(",")
    if "->" in output or len(texts) != len(operands):
        wanted = "one '->' at most, and a term for each operand"
        raise ShapeError(explain("einsum", wanted, f"{subscripts!r} and {len(operands)} operands"))
    sizes: dict[str, Size] = {}
    stacks = []
    for text, x in zip(texts, operands, strict=True):
        letters, own, stack = _term(subscripts, text, shape_of(x))
        stacks.append(stack)
        for letter, size in own.items():
            sizes[letter] = broadcast("einsum", (sizes.get(letter, 1),), (size,))[0]
    if not arrow:
        letters = inputs.replace(",", "").replace(".", "")
        output = "..." + "".join(sorted(each for each in letters if letters.count(each) == 1))
    unknown = set(output.replace(".", "")) - set(sizes)
    if unknown:
        wanted = "output letters that an operand has"
        raise ShapeError(explain("einsum", wanted, f"{sorted(unknown)} in {subscripts!r}"))
    before, dots, after = output.partition("...")
    stack = broadcast("einsum", *stacks) if dots else ()
    shape = [*map(sizes.__getitem__, before), *stack, *map(sizes.__getitem__, after)]
    return _symbol(shape, *operands, is_wide=True)


def _term(subscripts: str, text: str, shape: Sizes) -> tuple[str, dict[str, Size], Sizes]:
    """The letters of an operand, their sizes, and the sizes under "...".

    A letter twice takes a diagonal; whether its sizes agree shows when there are values.
    """
    before, dots, after = text.partition("...")
    extra = len(shape) - len(before) - len(after)
    if extra < 0 or (extra and not dots):
        wanted = f"an operand with {len(before) + len(after)} axes for {text!r}"
        raise ShapeError(explain("einsum", wanted, f"shape {shape} in {subscripts!r}"))
    letters = before + after
    own: dict[str, Size] = {}
    places = (*shape[: len(before)], *shape[len(before) + extra :])
    for letter, size in zip(letters, places, strict=True):
        own[letter] = own.get(letter) or size
    return letters, own, shape[len(before) : len(before) + extra]


@op(data=("operands",), spec=_einsum_spec)
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sums of products of operands whose axes are named by letters: "bij,bjk->bik".

    A letter that the output lacks is summed over; "..." stands for any axes, which broadcast. Only
    int8 among the operands gives int32. Keyword arguments such as `optimize` are accepted: the
    order of contraction is always chosen for the least work.
    """
    dtype = _wide_dtype(*operands)
    given = [tensor(x, dtype) for x in operands]
    return _product(lambda *parts: linalg.einsum(subscripts, *parts), *given)


# Determinants -------------------------------------------------------------------------------------


def _slogdet_spec(x: Any) -> tuple[KerasTensor, KerasTensor]:
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(explain("slogdet", "matrices along the last two axes", f"shape {shape}"))
    dtype = common_dtype(x, float)
    # The sign of a stack of matrices has its leading axes; Keras announces it without them.
    return KerasTensor((), dtype), KerasTensor(shape[:-2], dtype)


@op(data=("x",), spec=_slogdet_spec)
def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The signs of determinants and the logarithms of their magnitudes: (..., N, N) -> twice (...).

    A singular matrix has sign 0 and logarithm -inf.
    """
    sign, logarithm = linalg.slogdet(floats(x))
    return sign, logarithm

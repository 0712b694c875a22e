"""Linear algebra. Matrices are in the last two axes; leading axes hold a stack of them.

Integers are computed as floats. A matrix that cannot be inverted gives NaN; only `cholesky` raises,
where its values are known.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array import control, derivatives, linalg, manipulation
from thalweg.array.creation import arange, tril, triu
from thalweg.array.data_types import astype
from thalweg.array.elementwise import isnan
from thalweg.array.searching import argmax, where
from thalweg.array.statistical import sum as total
from thalweg.array.utility import any as any_of
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.tree import map_leaves
from thalweg.keras.operation import op
from thalweg.keras.ops.checked import checked_op
from thalweg.keras.ops.operands import (
    agree,
    as_int32,
    axes_of,
    broadcast,
    common_dtype,
    floats,
    like,
    shape_of,
)
from thalweg.keras.symbol import KerasTensor, is_keras_tensor
from thalweg.keras.variable import tensor

# Checks -------------------------------------------------------------------------------------------


def _matrices(name: str, is_square: bool = False, is_known: bool = False) -> Callable:
    """A check that the first argument holds matrices; KerasTensors perhaps of known size."""

    def check(x: Any, *_: Any, **__: Any) -> None:
        shape = shape_of(x)
        if len(shape) < 2:
            raise ShapeError(
                explain(
                    name,
                    f"matrices. Input should have rank >= 2. Received: input.shape = {shape}",
                    f"{x!r:.80}",
                )
            )
        rows, columns = shape[-2:]
        if is_square and ((rows is None) != (columns is None) or not agree(rows, columns)):
            raise ShapeError(
                explain(
                    name,
                    "square matrices. Expected a square matrix",
                    f"non-square input with shape {shape}",
                )
            )
        if is_known and is_keras_tensor(x) and None in (rows, columns):
            raise ShapeError(
                explain(
                    name,
                    "matrices of known size. Input should have its last 2 dimensions "
                    f"fully-defined. Received: input.shape = {shape}",
                    f"{x!r:.80}",
                )
            )

    return check


def _system(name: str) -> Callable:
    """A check that a and b are a system of equations."""
    check_square = _matrices(name, is_square=True)

    def check(a: Any, b: Any, *_: Any, **__: Any) -> None:
        check_square(a)
        one, two = shape_of(a), shape_of(b)
        if not two:
            raise ShapeError(
                explain(name, "b of at least one axis", f"a of shape {one}, b of shape {two}")
            )
        rows = two[-1] if len(two) in (1, len(one) - 1) else two[-2]
        if (rows is None) != (one[-1] is None) or not agree(one[-1], rows):
            raise ShapeError(
                explain(
                    name,
                    f"as many rows in b as a has, {one[-1]}. Incompatible shapes between `a` and "
                    "`b`",
                    f"a.shape={one}, b.shape={two}",
                )
            )

    return check


# Systems of equations -----------------------------------------------------------------------------


def _solved(solver: Callable, a: Any, b: Any) -> Tensor:
    """The solutions, where b with one axis less than a is a stack of vectors."""
    dtype = common_dtype(a, b, float)
    a, b = tensor(a, dtype), tensor(b, dtype)
    if b.ndim == a.ndim - 1 and b.ndim > 1:
        return manipulation.squeeze(solver(a, manipulation.expand_dims(b, -1)), -1)
    return solver(a, b)


def _solution(check: Callable) -> Callable:
    """The rule for the solution of a system: the shape of b, leading axes broadcast."""

    def spec(a: Any, b: Any, *_: Any, **__: Any) -> KerasTensor:
        check(a, b)
        one, two = shape_of(a), shape_of(b)
        is_stack = len(two) == len(one) - 1 and len(two) > 1
        rest = 1 if is_stack or len(two) == 1 else 2
        lead = broadcast("solve", one[:-2], two[:-rest])
        return like(a, (*lead, *two[-rest:]), common_dtype(a, b, float))

    return spec


def _system_op(function: Callable) -> Callable:
    """An op of a and b, checked, whose solution has the shape of b."""
    check = _system(function.__name__)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Tensor:
        check(*args, **kwargs)
        return function(*args, **kwargs)

    return op(run, data=("a", "b"), spec=_solution(check))


@_system_op
def solve(a: Any, b: Any) -> Tensor:
    """The solution x of a x = b: [..., M, M] with [..., M] or [..., M, K] -> the shape of b."""
    return _solved(linalg.solve, a, b)


@_system_op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The solution x of a x = b for triangular a, of which one triangle is read; see `solve`."""
    return _solved(lambda a, b: linalg.triangular_solve(a, b, lower=lower), a, b)


def _check_lstsq(a: Any, b: Any, rcond: Any = None) -> None:
    one, two = shape_of(a), shape_of(b)
    fits = len(one) == 2 and len(two) in (1, 2) and one[0] == two[0]
    if not fits:
        raise ShapeError(
            explain(
                "lstsq",
                "a of shape [M, N] and b of shape [M] or [M, K]; expected b.shape[0] to be equal "
                "to a.shape[0]",
                f"a.shape={one}, b.shape={two}",
            )
        )


@checked_op(_check_lstsq, data=("a", "b"))
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The x of least norm that minimises |a x - b|: [M, N] with [M] or [M, K] -> [N] or [N, K].

    Singular values up to `rcond` times the largest count as 0.
    """
    dtype = common_dtype(a, b, float)
    return linalg.lstsq(tensor(a, dtype), tensor(b, dtype), rtol=rcond).solution


@checked_op(_matrices("inv", is_square=True))
def inv(x: Any) -> Tensor:
    """The inverses of square matrices [..., M, M]."""
    return linalg.inv(floats(x))


@checked_op(_matrices("pinv"))
def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """The Moore-Penrose inverses: [..., M, N] -> [..., N, M].

    Singular values up to `rcond` times the largest count as 0.
    """
    return linalg.pinv(floats(x), rtol=rcond)


# Numbers of matrices ------------------------------------------------------------------------------


@checked_op(_matrices("det", is_square=True))
def det(x: Any) -> Tensor:
    """The determinants of square matrices: [..., M, M] -> [...]."""
    return linalg.det(floats(x))


@checked_op(_matrices("matrix_rank"))
def matrix_rank(x: Any, tol: Any = None) -> Tensor:
    """How many singular values exceed `tol`: [..., M, N] -> int32 [...].

    By default max(M, N) times the type's epsilon, times the largest.
    """
    found = floats(x)
    if tol is None:
        return as_int32(linalg.matrix_rank(found))
    least = tensor(tol, found.dtype)
    if least.ndim:
        least = manipulation.expand_dims(least, -1)
    return as_int32(total(astype(linalg.svdvals(found) > least, "int32"), axis=-1))


def _check_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> None:
    rank = len(shape_of(x))
    axes = axes_of("norm", tuple(range(rank)) if axis is None else axis, rank)
    axes = axes if isinstance(axes, tuple) else (axes,)
    if len(set(axes)) < len(axes):
        raise ShapeError(explain("norm", "axes that differ; duplicate value in 'axis'", f"{axis}"))
    if ord is None:
        return
    kinds = {1: _VECTOR_ORDERS, 2: _MATRIX_ORDERS}.get(len(axes))
    if kinds is None:
        raise ShapeError(
            explain(
                "norm",
                "one axis for a vector norm or two for a matrix norm; Improper number of axes for "
                "norm",
                f"axis={axis} for {rank} axes, ord={ord!r}",
            )
        )
    if not kinds(ord):
        kind = "vector" if len(axes) == 1 else "matrix"
        wanted = "a number" if kind == "vector" else "1, -1, 2, -2, inf, -inf, 'fro' or 'nuc'"
        raise ArgumentError(
            explain(
                "norm", f"{wanted} as ord", f"Invalid order '{ord}' for {kind} norm: ord={ord!r}"
            )
        )


def _VECTOR_ORDERS(ord: Any) -> bool:
    return isinstance(ord, (int, float, np.number))


def _MATRIX_ORDERS(ord: Any) -> bool:
    return ord in ("fro", "nuc") if isinstance(ord, str) else abs(ord) in (1, 2, np.inf)


@checked_op(_check_norm)
def norm(
    x: Any,
    ord: int | float | str | None = None,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Tensor:
    """A vector norm over one axis, or a matrix norm over two.

    Without `ord` the root of the sum of squares over the axes, by default all. Vectors: any number;
    matrices: "fro", "nuc", 1, -1, 2, -2, inf and -inf.
    """
    axis = tuple(axis) if isinstance(axis, list) else axis
    return linalg.norm(floats(x), ord=ord, axis=axis, keepdims=keepdims)


# Decompositions -----------------------------------------------------------------------------------


@checked_op(_matrices("cholesky", is_square=True))
def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The lower factor l of positive definite matrices l l^H, or the upper factor u of u^H u.

    Raises ArgumentError for a matrix that is not positive definite; in a traced function such a
    matrix gives NaN.
    """
    found = linalg.cholesky(floats(x), upper=upper)
    if not found.is_traced and bool(any_of(isnan(found))):
        raise ArgumentError(
            explain(
                "cholesky",
                "positive definite matrices",
                f"a matrix of shape {shape_of(x)} that is not; Cholesky decomposition failed",
                "Add a small number to its diagonal, or use eigh.",
            )
        )
    return found


@checked_op(_matrices("cholesky_inverse", is_square=True))
def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverses of the matrices whose Cholesky factors are x: [..., M, M]."""
    factor = floats(x)
    if upper:
        factor = linalg.matrix_transpose(factor)
    one = manipulation.broadcast_to(_identity_like(factor), factor.shape)
    inverse = linalg.triangular_solve(factor, one, lower=True)
    return linalg.matmul(linalg.matrix_transpose(inverse), inverse)


def _identity_like(x: Tensor) -> Tensor:
    size = x.shape[-1]
    place = arange(size)
    is_equal = manipulation.expand_dims(place, 0) == manipulation.expand_dims(place, 1)
    return astype(is_equal, x.dtype)


@checked_op(_matrices("eig", is_square=True))
def eig(x: Any) -> tuple[Tensor, Tensor]:
    """The eigenvalues [..., M], in no promised order, and eigenvectors [..., M, M]; complex."""
    found = linalg.eig(floats(x))
    return found.eigenvalues, found.eigenvectors


@checked_op(_matrices("eigh", is_square=True))
def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """The ascending eigenvalues [..., M] and eigenvectors [..., M, M] of Hermitian matrices."""
    found = linalg.eigh(floats(x))
    return found.eigenvalues, found.eigenvectors


def _check_qr(x: Any, mode: str = "reduced") -> None:
    if mode not in ("reduced", "complete"):
        raise ArgumentError(
            explain(
                "qr",
                "a mode it has. `mode` argument value not supported. Expected one of {'reduced', "
                f"'complete'}}. Received: mode={mode}",
                f"mode={mode!r}",
            )
        )
    _matrices("qr", is_known=True)(x)


@checked_op(_check_qr)
def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """The factors of x = q r: [..., M, N] -> [..., M, K] and [..., K, N], K = min(M, N).

    With mode "complete" q is square and K = M.
    """
    found = linalg.qr(floats(x), mode=mode)
    return found.Q, found.R


@checked_op(_matrices("svd"), name="SVD")
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The factors of x = u diag(s) vh: [..., M, M], [..., K] and [..., N, N], K = min(M, N).

    Without `full_matrices` u is [..., M, K] and vh [..., K, N]; without `compute_uv` only s comes.
    """
    if not compute_uv:
        return linalg.svdvals(floats(x))
    found = linalg.svd(floats(x), full_matrices=full_matrices)
    return found.U, found.S, found.Vh


@checked_op(_matrices("lu_factor"))
def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """x = P L U, packed as LAPACK does: [..., M, N] -> [..., M, N] and int32 pivots [..., K].

    L without its diagonal of 1 stands below the diagonal, U on and above it. Row i was exchanged
    with row pivots[i], one i after the other, i < K = min(M, N).
    """
    order, lower, upper = linalg.lu(floats(x))
    rows, columns = order.shape[-1], upper.shape[-1]
    small = lower.shape[-1]
    none = ((0, 0),) * (lower.ndim - 2)
    lower = manipulation.pad(tril(lower, k=-1), (*none, (0, 0), (0, columns - small)))
    upper = manipulation.pad(triu(upper), (*none, (0, rows - small), (0, 0)))
    # Column i of the permutation matrix says which row of x is row i of the product.
    return lower + upper, _pivots(as_int32(argmax(order, axis=-2)), small)


def _pivots(rows: Tensor, count: Any) -> Tensor:
    """The exchanges, one after the other, that bring rows [..., M] into this order: [..., count].

    After i exchanges the first i rows stand where they belong; the next one is looked for among
    the others.
    """
    place = as_int32(arange(rows.shape[-1]))
    start = manipulation.broadcast_to(place, rows.shape)
    in_order = manipulation.moveaxis(rows, -1, 0)[:count]

    def exchange(standing: Tensor, step: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        i, wanted = step
        pivot = as_int32(argmax(standing == wanted[..., None], axis=-1, keepdims=True))
        here = total(where(place == i, standing, 0), axis=-1, keepdims=True)
        moved = where(place == pivot, as_int32(here), standing)
        return where(place == i, wanted[..., None], moved), pivot[..., 0]

    _, pivots = control.scan(exchange, start, (place[:count], in_order))
    return manipulation.moveaxis(pivots, 0, -1)


# Derivatives --------------------------------------------------------------------------------------


def _check_jvp(fun: Any, primals: Any, tangents: Any, has_aux: bool = False) -> None:
    for what, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise ArgumentError(
                explain("jvp", f"a tuple as {what}", f"{given!r:.80}", "Write (x,) for one.")
            )
    if len(primals) != len(tangents):
        raise ArgumentError(
            explain("jvp", "a tangent for each primal", f"{len(primals)} and {len(tangents)}")
        )


@checked_op(_check_jvp, data=("fun", "primals", "tangents"), name="JVP")
def jvp(
    fun: Callable, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple:
    """The value of `fun(*primals)`, and its change along the tangents: (value, change).

    With `has_aux` the function returns (value, aux), and the result is (value, change, aux).
    """
    primals = map_leaves(tensor, tuple(primals))
    tangents = map_leaves(tensor, tuple(tangents))
    value, change = derivatives.jvp(fun, primals, tangents)
    return (value[0], change[0], value[1]) if has_aux else (value, change)

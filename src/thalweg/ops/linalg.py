"""Dense linear algebra on the last two axes; leading axes hold a stack of matrices.

    cholesky(x) -> l                    x = l l^H, l lower; reads the lower triangle of x
    lu(x) -> lu, rows                   x[rows] = l u: below the diagonal l (whose own is 1), else u
    qr(x, full=false) -> q, r           x = q r, q^H q = 1, r upper with a real diagonal
    svd(x, full=false) -> u, s, vh      x = u diag(s) vh, s descending
    eigh(x) -> w, v                     x v = v diag(w), w ascending; reads the lower triangle of x
    eig(x) -> w, v                      x v = v diag(w), columns of v of norm 1, both complex
    triangular_solve(a, b, lower=...)   op(a)^-1 b for one triangle of a
    solve(a, b)                         a^-1 b

    svdvals(x)  eigvalsh(x)  det(x)  adjugate(x)                    composites
    inverse(x)  slogdet(x)  eigvals(x)  tril(x)  diagonal(x) ...    functions on nodes

With m rows, n columns and k = min(m, n): q is [m,k] and r [k,n], or [m,m] and [m,n] if full; u is
[m,k] and vh [k,n], or [m,m] and [n,n] if full; rows is i32[m]; b is [n,columns], never a vector.

What cannot be computed is NaN, never an exception: the factor of a matrix that is not positive
definite, the solution of a singular system, the eigenvalues of a matrix with a NaN. The others of
the stack are not affected. A zero on the diagonal of a triangle divides: infinity or NaN.

What is not unique is as LAPACK leaves it: the signs of the diagonal of r, the sign (for complex
matrices the phase) of each pair of singular vectors and of each eigenvector, the order of the
eigenvalues of `eig`, the basis of a repeated eigenvalue. A function of the results that depends on
these choices is not a function of x, and its derivative means nothing for complex vectors.
Derivatives hold for every order where eigenvalues (singular values) are distinct; the reciprocal of
a difference that is exactly 0 counts as 0, so that a first derivative stays finite and is right for
functions that are smooth there. The first two derivatives of `det` are right for every matrix, the
further ones where its singular values are distinct and none is 0.

The derivative of an op that reads one triangle lies in that triangle; `symmetrize` the operand
first to spread it over both.

Sources: M. B. Giles, "An extended collection of matrix derivative results", 2008 (solve, eig, det);
I. Murray, "Differentiation of the Cholesky decomposition", 2016; F. R. de Hoog, R. S. Anderssen and
M. A. Lukas, "Differentiation of matrix functionals using triangular factorization", 2011 (lu);
S. F. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions", 2010 (qr,
eigh); D. A. O. Roberts and L. R. Roberts, "QR and LQ decomposition matrix backpropagation
algorithms for square, wide, and deep matrices", 2020 (wide qr); J. Townsend, "Differentiating the
singular value decomposition", 2016; Z.-Q. Wan and S.-X. Zhang, "Automatic differentiation for
complex valued SVD", 2019; C. Boeddeker et al., "On the computation of complex-valued gradients with
application to statistically optimum beamforming", 2017 (complex eig).
"""

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Flag
from thalweg.ir.dim import dim_max, dim_min, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full_like, items, splat
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DType,
    Shape,
    Size,
    TensorType,
    complex64,
    complex128,
    float32,
    float64,
    int32,
    int64,
    shape_text,
    size_of,
    tensor_type,
)
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.elementwise import (
    abs as abs_op,
)
from thalweg.ops.elementwise import (
    add,
    cast,
    check_elements,
    complex_of,
    conjugate,
    divide,
    equal,
    front,
    greater,
    imag,
    less,
    log,
    logical_and,
    maximum,
    multiply,
    negative,
    real,
    remainder,
    select,
    sign,
    subtract,
)
from thalweg.ops.movement import concatenate, iota, reshape, slice, transpose
from thalweg.ops.reduce import max as max_op
from thalweg.ops.reduce import product
from thalweg.ops.samples import a_type, values

ELEMENTS = (float32, float64, complex64, complex128)

# Nodes of matrices --------------------------------------------------------------------------------


def matmul(lhs: Node, rhs: Node) -> Node:
    """The products of two stacks of matrices with the same leading axes."""
    rank = lhs.type.rank
    lead = tuple(range(rank - 2))
    return dot(lhs, rhs, contract=((rank - 1,), (rank - 2,)), batch=(lead, lead))


def matrix_transpose(x: Node) -> Node:
    """x with its last two axes exchanged."""
    rank = x.type.rank
    return transpose(x, axes=(*range(rank - 2), rank - 1, rank - 2))


def adjoint(x: Node) -> Node:
    """The conjugate transpose."""
    return conjugate(matrix_transpose(x))


def symmetrize(x: Node) -> Node:
    """(x + x^H) / 2: x itself for a symmetric (complex: Hermitian) matrix."""
    return multiply(add(x, adjoint(x)), full_like(x, 0.5))


def _positions(shape: Shape) -> tuple[Node, Node]:
    """The row and the column of every element."""
    rank = len(shape)
    row = iota(dtype=int64, shape=shape, axis=rank - 2)
    return row, iota(dtype=int64, shape=shape, axis=rank - 1)


def _is_on_diagonal(shape: Shape) -> Node:
    return equal(*_positions(shape))


def tril(x: Node, offset: int = 0) -> Node:
    """The elements on and below a diagonal, zero above; `offset` counts up from the main one."""
    row, column = _positions(x.shape)
    above = greater(column, add(row, full_like(row, offset)))
    return select(above, full_like(x, 0), x)


def triu(x: Node, offset: int = 0) -> Node:
    """The elements on and above a diagonal, zero below; `offset` counts up from the main one."""
    row, column = _positions(x.shape)
    below = less(column, add(row, full_like(row, offset)))
    return select(below, full_like(x, 0), x)


def diagonal(x: Node) -> Node:
    """The main diagonal: [...,m,n] -> [...,min(m,n)]."""
    rank = x.type.rank
    rows, columns = x.shape[-2:]
    # Summing over the longer side leaves an element for each place of the shorter one.
    if is_known_at_least(rows, columns):
        longer = rank - 2
    elif is_known_at_least(columns, rows):
        longer = rank - 1
    else:
        raise ShapeError(
            explain("diagonal", "a matrix of which it is known which side is longer", f"{x.type}")
        )
    return sum_op(select(_is_on_diagonal(x.shape), x, full_like(x, 0)), axes=(longer,))


def embed_diagonal(x: Node) -> Node:
    """The square matrix with x on its diagonal: [...,n] -> [...,n,n]."""
    wide = _along_columns(x)
    return select(_is_on_diagonal(wide.shape), wide, full_like(wide, 0))


def identity(size: Size, dtype: DType, lead: Shape = ()) -> Node:
    """A stack of identity matrices: [*lead,size,size]."""
    return cast(_is_on_diagonal((*lead, size, size)), dtype=dtype)


def trace(x: Node) -> Node:
    """The sum of the main diagonal: [...,m,n] -> [...]."""
    rank = x.type.rank
    return sum_op(select(_is_on_diagonal(x.shape), x, full_like(x, 0)), axes=(rank - 2, rank - 1))


def scale_rows(scales: Node, x: Node) -> Node:
    """diag(scales) x, for real or complex scales [...,m] and x [...,m,n]."""
    rank = x.type.rank
    scales = cast(scales, dtype=x.dtype) if scales.dtype is not x.dtype else scales
    return multiply(broadcast(scales, shape=x.shape, axes=tuple(range(rank - 1))), x)


def scale_columns(x: Node, scales: Node) -> Node:
    """x diag(scales), for x [...,m,n] and real or complex scales [...,n]."""
    rank = x.type.rank
    scales = cast(scales, dtype=x.dtype) if scales.dtype is not x.dtype else scales
    return multiply(x, broadcast(scales, shape=x.shape, axes=(*range(rank - 2), rank - 1)))


def _along_columns(x: Node) -> Node:
    """The square matrix whose element (i, j) is x[j]."""
    rank = x.type.rank
    return broadcast(x, shape=(*x.shape, x.shape[-1]), axes=(*range(rank - 1), rank))


def _along_rows(x: Node) -> Node:
    """The square matrix whose element (i, j) is x[i]."""
    return broadcast(x, shape=(*x.shape, x.shape[-1]), axes=tuple(range(x.type.rank)))


def _block(x: Node, rows: tuple[Size, Size], columns: tuple[Size, Size]) -> Node:
    """Some rows and columns, each from its first up to its limit."""
    lead = x.shape[:-2]
    return slice(
        x,
        start=(*(0 for _ in lead), rows[0], columns[0]),
        limit=(*lead, rows[1], columns[1]),
        stride=(1,) * x.type.rank,
    )


def _reciprocal_or_zero(x: Node) -> Node:
    """1 / x, and 0 where x is 0: what an undetermined direction contributes."""
    is_zero = equal(x, full_like(x, 0))
    one = full_like(x, 1)
    return select(is_zero, full_like(x, 0), divide(one, select(is_zero, one, x)))


def _is_zero(dy: Node) -> bool:
    """True for the cotangent of a result that nobody uses."""
    return splat(dy) == 0


# The family ---------------------------------------------------------------------------------------


def _check_matrix(name: str, type: TensorType, is_square: bool = False) -> None:
    check_elements(name, ELEMENTS, type)
    if type.rank < 2:
        raise ShapeError(explain(name, "matrices in the last two axes", str(type)))
    if is_square and not is_known_equal(type.shape[-2], type.shape[-1]):
        raise ShapeError(explain(name, "square matrices in the last two axes", str(type)))


def _check_system(name: str, a: TensorType, b: TensorType) -> None:
    _check_matrix(name, a, is_square=True)
    check_elements(name, ELEMENTS, b)
    if a.dtype is not b.dtype:
        raise DTypeError(explain(name, "operands of equal element type", f"{a} and {b}"))
    fits = b.rank == a.rank and all(
        is_known_equal(x, y) for x, y in zip(a.shape[:-1], b.shape[:-1], strict=True)
    )
    if not fits:
        wanted = f"{shape_text(a.shape[:-1])[:-1]},columns]"
        do = "Give b one column: reshape it." if b.rank == a.rank - 1 else ""
        raise ShapeError(explain(name, f"b of shape {wanted} for a {a}", str(b), do))


def _sides(x: TensorType | Node) -> tuple[Shape, Size, Size, Size]:
    """The leading axes, the rows, the columns, and the smaller of the two."""
    *lead, rows, columns = x.shape
    if is_known_at_least(rows, columns):
        return tuple(lead), rows, columns, columns
    if is_known_at_least(columns, rows):
        return tuple(lead), rows, columns, rows
    return tuple(lead), rows, columns, dim_min(rows, columns)


def _each(function: Callable[..., tuple], x: np.ndarray, *others: np.ndarray) -> tuple:
    """The results of a stack of matrices; one that LAPACK refuses is NaN, the others are not."""
    try:
        return tuple(function(x, *others))
    except np.linalg.LinAlgError:
        pass
    harmless = np.eye(*x.shape[-2:], dtype=x.dtype)
    found: list[Sequence[np.ndarray]] = []
    for index in np.ndindex(*x.shape[:-2]):
        rest = [other[index] for other in others]
        try:
            found.append(function(x[index], *rest))
        except np.linalg.LinAlgError:
            shapes = function(harmless, *(np.zeros_like(other) for other in rest))
            found.append([np.full_like(each, np.nan) for each in shapes])
    stacked = [np.stack(each) for each in zip(*found, strict=True)]
    return tuple([each.reshape(x.shape[:-2] + each.shape[1:]) for each in stacked])


def _require_finite(x: np.ndarray) -> None:
    # LAPACK says nothing about a NaN: it may return numbers, loop, or fail.
    if not np.isfinite(x).all():
        raise np.linalg.LinAlgError


def _batch_one(op_of: Callable[[], Op]) -> Callable:
    """The batching rule of an op on one stack: a batch axis is one more leading axis."""
    return lambda size, mapped, x, **attrs: op_of()(x, **attrs)


def _batch_system(op_of: Callable[[], Op]) -> Callable:
    """The batching rule of a x = b: many right-hand sides of one a are more columns."""

    def rule(size: Size, mapped: Sequence[bool], a: Node, b: Node, **attrs: Any) -> Node:
        op = op_of()
        if mapped[0]:
            return op(*front(size, mapped, (a, b)), **attrs)
        rank = a.type.rank
        *lead, columns = a.shape[:-1] + b.shape[-1:]
        moved = transpose(b, axes=(*range(1, rank + 1), 0))
        x = op(a, reshape(moved, shape=(*lead, columns * size)), **attrs)
        split = reshape(x, shape=(*lead, columns, size))
        return transpose(split, axes=(rank, *range(rank)))

    return rule


def _cubes(cube: Callable[[Size, Size], Size]) -> Callable:
    """A cost from the FLOP of a real m by n matrix with m >= n; a complex one costs four times."""

    def cost(x: TensorType, *, result: Any, **attrs: Any) -> Size:
        lead, rows, columns, small = _sides(x)
        large = rows if small is columns else columns if small is rows else dim_max(rows, columns)
        return size_of(lead) * cube(large, small) * (4 if x.dtype.is_complex else 1)

    return cost


# Well conditioned and far from ties, so that differences by 1e-6 are accurate.


def _general(shape: Sequence[int], dtype: DType, seed: Any = 0) -> np.ndarray:
    """Matrices whose singular values and eigenvalues are apart."""
    size = min(shape[-2:])
    rows = np.arange(shape[-2])[:, None]
    spread = np.where(rows == np.arange(shape[-1]), 1.5 + 1.5 * np.minimum(rows, size), 0)
    return (values(shape, dtype, -1, 1, seed) + spread).astype(dtype.numpy)


def _positive(shape: Sequence[int], dtype: DType, seed: Any = 0) -> np.ndarray:
    """Positive definite matrices with another upper triangle, which is not read."""
    x = values(shape, dtype, -1, 1, seed)
    whole = x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1])
    return (np.tril(whole) + np.triu(values(shape, dtype, seed="unread"), 1)).astype(dtype.numpy)


def _refuse_matrix(name: str, is_square: bool) -> Callable:
    def refuses():
        yield Refusal((a_type("i32[2,2]"),), {}, f"[{name}] wants float32 or float64")
        yield Refusal((a_type("f16[2,2]"),), {}, f"[{name}] wants float32 or float64")
        yield Refusal((a_type("f32[2]"),), {}, "matrices in the last two axes")
        if is_square:
            yield Refusal((a_type("f32[2,3]"),), {}, "square matrices")

    return refuses


# Triangles and systems ----------------------------------------------------------------------------

_PANEL = 32


def _substitute(a: np.ndarray, b: np.ndarray, is_lower: bool, unit: bool) -> np.ndarray:
    """Forward or backward substitution; halves above a panel's size, so that most is products."""
    size = a.shape[-1]
    if size > _PANEL:
        half = size // 2
        first, last = builtins.slice(0, half), builtins.slice(half, size)
        if not is_lower:
            first, last = last, first
        solved = _substitute(a[..., first, first], b[..., first, :], is_lower, unit)
        rest = b[..., last, :] - a[..., last, first] @ solved
        other = _substitute(a[..., last, last], rest, is_lower, unit)
        return np.concatenate((solved, other) if is_lower else (other, solved), axis=-2)
    x = b.copy()
    for row in range(size) if is_lower else reversed(range(size)):
        known = builtins.slice(0, row) if is_lower else builtins.slice(row + 1, size)
        x[..., row, :] -= (a[..., row : row + 1, known] @ x[..., known, :])[..., 0, :]
        if not unit:
            x[..., row, :] /= a[..., row, row, None]
    return x


def _evaluate_triangular_solve(
    a: np.ndarray,
    b: np.ndarray,
    *,
    lower: bool,
    transpose: bool,
    conjugate: bool,
    unit_diagonal: bool,
) -> np.ndarray:
    if conjugate:
        a = np.conj(a)
    if transpose:
        a = np.swapaxes(a, -1, -2)
    return _substitute(a, b, lower != transpose, unit_diagonal)


def _infer_triangular_solve(a: TensorType, b: TensorType, **attrs: bool) -> TensorType:
    _check_system("triangular_solve", a, b)
    return b


def _differentiate_triangular_solve(
    dy: Node, y: Node, a: Node, b: Node, *, lower, transpose, conjugate, unit_diagonal
):
    # Giles 2008, for op(a): db = op(a)^-H dy, d op(a) = -db y^H.
    db = triangular_solve(
        a,
        dy,
        lower=lower,
        transpose=not transpose,
        conjugate=conjugate != a.dtype.is_complex,
        unit_diagonal=unit_diagonal,
    )
    da = negative(matmul(db, adjoint(y)))
    if transpose:
        da = matrix_transpose(da)
    if conjugate:
        da = adjoint(matrix_transpose(da))
    offset = int(unit_diagonal)
    return tril(da, -offset) if lower else triu(da, offset), db


def _sample_triangular_solve():
    lower, upper = {"lower": True}, {"lower": False}
    for dtype in ELEMENTS:
        a, b = _general((3, 3), dtype), values((3, 2), dtype, seed="b")
        for attrs in (lower, upper):
            yield Sample((a, b), attrs)
            yield Sample((a, b), attrs | {"transpose": True, "conjugate": True})
        yield Sample((a, b), lower | {"transpose": True})
        yield Sample((a, b), upper | {"conjugate": True, "unit_diagonal": True})
        yield Sample((a, b), lower | {"transpose": True, "unit_diagonal": True})
    a, b = _general((2, 2, 2), float64), values((2, 2, 3), float64, seed="b")
    yield Sample((a, b), lower)
    yield Sample((a[:0], b[:0]), lower)
    yield Sample((a[0, :0, :0], b[0, :0]), lower)
    yield Sample((a, b[..., :0]), upper)
    zero = np.array([[0.0, 7.0], [1.0, 2.0]], np.float32)
    yield Sample((zero, np.array([[1, 0], [1, 1]], np.float32)), lower, differentiable=False)


def _refuse_system(name: str, attrs: dict[str, bool]) -> Callable:
    def refuses():
        a = a_type("f32[2,3,3]")
        yield Refusal((a_type("f32[2,3]"), a_type("f32[2,3]")), attrs, "square matrices")
        yield Refusal((a, a_type("f32[2,3]")), attrs, "Give b one column")
        yield Refusal((a, a_type("f32[2,4,1]")), attrs, "b of shape [2,3,columns]")
        yield Refusal((a, a_type("f32[1,3,1]")), attrs, "b of shape [2,3,columns]")
        yield Refusal((a, a_type("f64[2,3,1]")), attrs, "operands of equal element type")
        yield Refusal((a_type("i32[2,2]"),) * 2, attrs, f"[{name}] wants float32 or")

    return refuses


triangular_solve: Op = declare(
    Op(
        name="triangular_solve",
        doc="The solution of op(a) x = b, where op(a) is the lower or upper triangle of a, after "
        "that transposed, conjugated or both; a unit diagonal is not read.",
        infer=_infer_triangular_solve,
        evaluate=_evaluate_triangular_solve,
        arity=2,
        attributes={
            "lower": Flag(),
            "transpose": Flag(False),
            "conjugate": Flag(False),
            "unit_diagonal": Flag(False),
        },
        gradient=_differentiate_triangular_solve,
        batch=_batch_system(lambda: triangular_solve),
        cost=lambda a, b, *, result, **attrs: (
            b.size * a.shape[-1] * (4 if a.dtype.is_complex else 1)
        ),
        samples=_sample_triangular_solve,
        refuses=_refuse_system("triangular_solve", {"lower": True}),
        tolerance=64,
        family="linalg",
    )
)


def _infer_solve(a: TensorType, b: TensorType) -> TensorType:
    _check_system("solve", a, b)
    return b


def _evaluate_solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _each(lambda a, b: (np.linalg.solve(a, b),), a, b)[0]


def _differentiate_solve(dy: Node, y: Node, a: Node, b: Node):
    # Giles 2008: db = a^-H dy, da = -db y^H.
    db = solve(adjoint(a), dy)
    return negative(matmul(db, adjoint(y))), db


def _sample_solve():
    for dtype in ELEMENTS:
        a, b = _general((3, 3), dtype), values((3, 2), dtype, seed="b")
        yield Sample((a, b))
        yield Sample((_general((2, 2, 2), dtype), values((2, 2, 1), dtype, seed="b")))
        yield Sample((a[:0, :0], b[:0]))
        yield Sample((a, b[:, :0]))
        singular = np.stack([a, np.ones_like(a)])
        yield Sample((singular, np.stack([b, b])), name="singular", differentiable=False)
    yield Sample((_general((0, 2, 2), float64), values((0, 2, 1), float64)))


solve: Op = declare(
    Op(
        name="solve",
        doc="The solution x of a x = b; NaN where a is singular.",
        infer=_infer_solve,
        evaluate=_evaluate_solve,
        arity=2,
        gradient=_differentiate_solve,
        batch=_batch_system(lambda: solve),
        cost=lambda a, b, *, result: (
            (2 * a.size * a.shape[-1] // 3 + 2 * b.size * a.shape[-1])
            * (4 if a.dtype.is_complex else 1)
        ),
        samples=_sample_solve,
        refuses=_refuse_system("solve", {}),
        tolerance=256,
        family="linalg",
    )
)


def inverse(x: Node) -> Node:
    """The inverses of square matrices; NaN where x is singular."""
    return solve(x, identity(x.shape[-1], x.dtype, x.shape[:-2]))


# Cholesky -----------------------------------------------------------------------------------------


def _infer_cholesky(x: TensorType) -> TensorType:
    _check_matrix("cholesky", x, is_square=True)
    return x


def _evaluate_cholesky(x: np.ndarray) -> np.ndarray:
    def factor(x: np.ndarray) -> tuple:
        y = np.linalg.cholesky(x)
        if np.isnan(y).any():
            raise np.linalg.LinAlgError
        return (y,)

    return _each(factor, x)[0]


def _half_lower(x: Node) -> Node:
    """The lower triangle of x with half its diagonal: Murray's Phi."""
    half = multiply(x, full_like(x, 0.5))
    return select(_is_on_diagonal(x.shape), half, tril(x))


def _half_upper(x: Node) -> Node:
    """The upper triangle of x with half its diagonal."""
    half = multiply(x, full_like(x, 0.5))
    return select(_is_on_diagonal(x.shape), half, triu(x))


def _from_hermitian(dx: Node) -> Node:
    """The cotangent of x for that of the Hermitian matrix whose lower triangle is read from x."""
    return _half_lower(add(dx, adjoint(dx)))


def _differentiate_cholesky(dy: Node, y: Node, x: Node):
    # Murray 2016: l^-H Phi(l^H dl) l^-1.
    inner = _half_lower(matmul(adjoint(y), dy))
    attrs = {"lower": True, "transpose": True, "conjugate": y.dtype.is_complex}
    left = triangular_solve(y, inner, **attrs)
    return (_from_hermitian(triangular_solve(y, adjoint(left), **attrs)),)


def _sample_cholesky():
    for dtype in ELEMENTS:
        yield Sample((_positive((3, 3), dtype),))
        yield Sample((_positive((2, 2, 2), dtype),))
        yield Sample((_positive((0, 0), dtype),))
        indefinite = np.array([[[4, 0], [2, 5]], [[1, 0], [2, 1]], [[np.nan, 0], [0, 1]]])
        yield Sample((indefinite.astype(dtype.numpy),), name="indefinite", differentiable=False)
    yield Sample((_positive((1, 1), float64),))
    yield Sample((_positive((0, 2, 2), float64),))


cholesky: Op = declare(
    Op(
        name="cholesky",
        doc="The lower factor l of x = l l^H; NaN where x is not positive definite. Only the lower "
        "triangle of x is read, and of its diagonal the real part.",
        infer=_infer_cholesky,
        evaluate=_evaluate_cholesky,
        arity=1,
        gradient=_differentiate_cholesky,
        batch=_batch_one(lambda: cholesky),
        cost=_cubes(lambda m, n: n * n * n // 3),
        samples=_sample_cholesky,
        refuses=_refuse_matrix("cholesky", is_square=True),
        tolerance=64,
        family="linalg",
    )
)

# LU -----------------------------------------------------------------------------------------------


def _infer_lu(x: TensorType) -> tuple[TensorType, TensorType]:
    _check_matrix("lu", x)
    return x, tensor_type(int32, x.shape[:-1])


def _evaluate_lu(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = x.shape[-2:]
    count = int(np.prod(x.shape[:-2], dtype=int))
    y = x.reshape(count, rows, columns).copy()
    order = np.tile(np.arange(rows, dtype=np.int32), (count, 1))
    each = np.arange(count)
    steps = min(rows, columns) if count else 0
    for start in range(0, steps, _PANEL):
        stop = min(start + _PANEL, steps)
        for step in range(start, stop):
            column = y[:, step:, step]
            # LAPACK compares |re| + |im|, and so must a definition that its rows are compared with.
            pivot = step + np.argmax(np.abs(column.real) + np.abs(column.imag), axis=1)
            for array in (y, order):
                upper, lower = array[:, step].copy(), array[each, pivot].copy()
                array[:, step], array[each, pivot] = lower, upper
            head = y[:, step, step, None]
            y[:, step + 1 :, step] /= np.where(head == 0, y.dtype.type(1), head)
            y[:, step + 1 :, step + 1 : stop] -= (
                y[:, step + 1 :, step, None] * y[:, step, None, step + 1 : stop]
            )
        # The columns after the panel have seen its swaps only.
        square, right = y[:, start:stop, start:stop], y[:, start:stop, stop:]
        right[...] = _substitute(square, right, is_lower=True, unit=True)
        y[:, stop:, stop:] -= y[:, stop:, start:stop] @ right
    return y.reshape(x.shape), order.reshape(x.shape[:-1])


def permutation_matrix(rows: Node, dtype: DType) -> Node:
    """The matrix p with p x = x[rows]: i32[...,n] -> [...,n,n]."""
    wanted = cast(_along_rows(rows), dtype=int64)
    _, column = _positions(wanted.shape)
    return cast(equal(wanted, column), dtype=dtype)


def _differentiate_lu(dy: Sequence[Any], y: Sequence[Node], x: Node):
    # De Hoog et al. 2011, with f = l1^-1 (p dx)1 u1^-1 of the leading square block: its lower
    # part moves l1 and its upper part u1. What is left of l or u follows from the other factor.
    packed, rows = y
    _, height, width, small = _sides(x)
    if not (small is height or small is width):
        return (Absent(f"it is not known which side of {x.type} is longer"),)
    columns = x.type.rank - 1
    square = _block(packed, (0, small), (0, small))
    dsquare = _block(dy[0], (0, small), (0, small))
    unit_lower = add(tril(square, -1), identity(small, x.dtype, x.shape[:-2]))
    below = matmul(adjoint(unit_lower), tril(dsquare, -1))
    above = matmul(triu(dsquare), adjoint(triu(square)))
    right = None
    bottom = None
    if not is_known_equal(width, small):
        right = _block(dy[0], (0, small), (small, width))
        below = subtract(below, matmul(right, adjoint(_block(packed, (0, small), (small, width)))))
    if not is_known_equal(height, small):
        bottom = _block(dy[0], (small, height), (0, small))
        above = subtract(
            above, matmul(adjoint(_block(packed, (small, height), (0, small))), bottom)
        )
    dpx = adjoint(triangular_solve(square, adjoint(add(tril(below, -1), triu(above))), lower=False))
    if right is not None:
        dpx = concatenate(dpx, right, axis=columns)
    dpx = triangular_solve(
        square, dpx, lower=True, transpose=True, conjugate=x.dtype.is_complex, unit_diagonal=True
    )
    if bottom is not None:
        bottom = adjoint(triangular_solve(square, adjoint(bottom), lower=False))
        dpx = concatenate(dpx, bottom, axis=columns - 1)
    return (matmul(matrix_transpose(permutation_matrix(rows, x.dtype)), dpx),)


def _sample_lu():
    for dtype in ELEMENTS:
        for shape in ((3, 3), (4, 2), (2, 4)):
            yield Sample((values(shape, dtype),))
        yield Sample((values((2, 2, 2), dtype),))
        for shape in ((0, 0), (0, 3), (3, 0)):
            yield Sample((values(shape, dtype),))
        singular = np.array([[0, 1, 2], [0, 2, 4], [0, 3, 5]], dtype.numpy)
        yield Sample((singular,), name="singular", differentiable=False)
    yield Sample((values((0, 2, 2), float64),))


lu: Op = declare(
    Op(
        name="lu",
        doc="The factors of x[rows] = l u with partial pivoting: l, but for its unit diagonal, and "
        "u in one matrix, and rows. The pivot has the largest |re| + |im|.",
        infer=_infer_lu,
        evaluate=_evaluate_lu,
        arity=1,
        gradient=_differentiate_lu,
        batch=_batch_one(lambda: lu),
        cost=_cubes(lambda m, n: n * n * m - n * n * n // 3),
        samples=_sample_lu,
        refuses=_refuse_matrix("lu", is_square=False),
        tolerance=64,
        family="linalg",
    )
)


def slogdet(x: Node) -> tuple[Node, Node]:
    """The sign (complex: the phase) of the determinant, and the logarithm of its magnitude.

    A singular matrix has sign 0 and logarithm -inf. [...,n,n] -> [...], [...] real.
    """
    packed, rows = items(lu(x))
    pivots = diagonal(packed)
    last = (pivots.type.rank - 1,)
    sizes = abs_op(pivots)
    if x.dtype.is_complex:
        zero = equal(sizes, full_like(sizes, 0))
        safe = select(zero, full_like(sizes, 1), sizes)
        phases = divide(pivots, cast(safe, dtype=x.dtype))
    else:
        phases = sign(pivots)
    turn = multiply(product(phases, axes=last), cast(_parity(rows), dtype=x.dtype))
    return turn, sum_op(log(sizes), axes=last)


def _parity(rows: Node) -> Node:
    """1 for an even permutation and -1 for an odd one: i32[...,n] -> i64[...]."""
    first, second = _along_rows(rows), _along_columns(rows)
    row, column = _positions(first.shape)
    is_inverted = logical_and(less(row, column), greater(first, second))
    rank = first.type.rank
    count = sum_op(cast(is_inverted, dtype=int64), axes=(rank - 2, rank - 1))
    odd = remainder(count, full_like(count, 2))
    return subtract(full_like(count, 1), add(odd, odd))


# Determinant --------------------------------------------------------------------------------------


def _infer_det(x: TensorType) -> TensorType:
    _check_matrix("det", x, is_square=True)
    return x.with_shape(x.shape[:-2])


def _expand_det(x: Node) -> Node:
    packed, rows = items(lu(x))
    pivots = diagonal(packed)
    return multiply(
        product(pivots, axes=(pivots.type.rank - 1,)), cast(_parity(rows), dtype=x.dtype)
    )


def _differentiate_det(dy: Node, y: Node, x: Node):
    # Jacobi's formula, which holds for singular matrices too.
    slope = adjoint(adjugate(x))
    return (multiply(broadcast(dy, shape=x.shape, axes=tuple(range(dy.type.rank))), slope),)


def _sample_det():
    for dtype in ELEMENTS:
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            yield Sample((values(shape, dtype),))
    for x in _singular():
        yield Sample((x,))
    yield Sample((values((0, 2, 2), float64),))


def _singular():
    """Singular matrices of every rank; elimination is exact, so that the determinant is 0."""
    yield np.array([[1.0, 2.0], [2.0, 4.0]])
    yield np.zeros((2, 2))
    yield np.array([[4.0, 2.0, 0.0], [2.0, 3.0, 2.0], [2.0, 1.0, 0.0]])
    yield np.outer([1.0, 2.0, -1.0], [0.5, 1.0, 3.0])
    yield np.zeros((3, 3))
    yield np.array([[1.0 + 1.0j, 2.0], [1.0 - 1.0j, -2.0j]])


det: Op = declare(
    Op(
        name="det",
        doc="The determinants of square matrices; 1 for a matrix of no elements.",
        infer=_infer_det,
        evaluate=np.linalg.det,
        arity=1,
        gradient=_differentiate_det,
        batch=_batch_one(lambda: det),
        expand=_expand_det,
        samples=_sample_det,
        refuses=_refuse_matrix("det", is_square=True),
        tolerance=64,
        family="linalg",
    )
)


def _infer_adjugate(x: TensorType) -> TensorType:
    _check_matrix("adjugate", x, is_square=True)
    return x


def _evaluate_adjugate(x: np.ndarray) -> np.ndarray:
    def transposed_cofactors(x: np.ndarray) -> tuple:
        _require_finite(x)
        u, s, vh = np.linalg.svd(x)
        size = x.shape[-1]
        others = np.where(np.eye(size, dtype=bool), s.dtype.type(1), s[..., None, :])
        turn = np.linalg.det(u) * np.linalg.det(vh)
        scale = turn[..., None] * np.prod(others, axis=-1)
        y = np.swapaxes(vh, -1, -2).conj() * scale[..., None, :]
        return ((y @ np.swapaxes(u, -1, -2).conj()).astype(x.dtype),)

    return _each(transposed_cofactors, x)[0]


def _expand_adjugate(x: Node) -> Node:
    # adj(u s vh) = adj(vh) adj(s) adj(u), and adj(u) = det(u) u^H for a unitary matrix.
    u, s, vh = items(svd(x))
    wide = _along_columns(s)
    others = select(_is_on_diagonal(wide.shape), full_like(wide, 1), wide)
    scales = product(others, axes=(wide.type.rank - 1,))
    return matmul(scale_columns(adjoint(vh), scales), _turned(u, vh, adjoint(u)))


def _turned(u: Node, vh: Node, x: Node) -> Node:
    """x times the determinants of u and vh."""
    turn = multiply(det(u), det(vh))
    return multiply(broadcast(turn, shape=x.shape, axes=tuple(range(turn.type.rank))), x)


def _differentiate_adjugate(dy: Node, y: Node, x: Node):
    # To first order adj(diag(s) + e) has -k[i,j] e[i,j] off the diagonal and sum_j k[i,j] e[j,j] on
    # it, where k[i,j] is the product of all s but s[i] and s[j]. Here that is a quotient: a zero s
    # is first made so small that a product with one zero too many is nothing.
    u, s, vh = items(svd(x))
    if is_known_equal(x.shape[-1], 0):
        return (full_like(x, 0),)
    epsilon = float(np.finfo(s.dtype.numpy).eps)
    rank = s.type.rank
    largest = max_op(s, axes=(rank - 1,))
    floor = add(
        multiply(largest, full_like(largest, epsilon * epsilon)),
        full_like(largest, float(np.finfo(s.dtype.numpy).tiny) ** 0.45),
    )
    safe = maximum(s, broadcast(floor, shape=s.shape, axes=tuple(range(rank - 1))))
    whole = product(safe, axes=(rank - 1,))
    pairs = multiply(_along_rows(safe), _along_columns(safe))
    others = divide(broadcast(whole, shape=pairs.shape, axes=tuple(range(rank - 1))), pairs)
    is_same = _is_on_diagonal(pairs.shape)
    others = select(is_same, full_like(others, 0), others)
    inner = matmul(matmul(vh, dy), u)
    turn = conjugate(multiply(det(u), det(vh)))
    inner = multiply(broadcast(turn, shape=x.shape, axes=tuple(range(rank - 1))), inner)
    others = cast(others, dtype=x.dtype) if x.dtype.is_complex else others
    on = reshape(diagonal(inner), shape=(*s.shape, 1))
    on = reshape(matmul(others, on), shape=s.shape)
    moved = subtract(embed_diagonal(on), multiply(others, inner))
    return (matmul(matmul(u, moved), vh),)


def _sample_adjugate():
    for dtype in ELEMENTS:
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            yield Sample((values(shape, dtype),))
    for x in _singular():
        # Its first derivative is right here (the second of det is checked), its second is not.
        yield Sample((x,), differentiable=False)


adjugate: Op = declare(
    Op(
        name="adjugate",
        doc="The transposed cofactors of square matrices: x adjugate(x) = det(x) 1.",
        infer=_infer_adjugate,
        evaluate=_evaluate_adjugate,
        arity=1,
        gradient=_differentiate_adjugate,
        batch=_batch_one(lambda: adjugate),
        expand=_expand_adjugate,
        samples=_sample_adjugate,
        refuses=_refuse_matrix("adjugate", is_square=True),
        tolerance=256,
        family="linalg",
    )
)

# QR -----------------------------------------------------------------------------------------------


def _infer_qr(x: TensorType, *, full: bool) -> tuple[TensorType, TensorType]:
    _check_matrix("qr", x)
    lead, rows, columns, small = _sides(x)
    inner = rows if full else small
    return x.with_shape((*lead, rows, inner)), x.with_shape((*lead, inner, columns))


def _differentiate_qr(dy: Sequence[Node], y: Sequence[Node], x: Node, *, full: bool):
    # Walter and Lehmann 2010: dx = (dq + q h) r^-H with h Hermitian, for a square r.
    (q, r), (dq, dr) = y, dy
    _, rows, columns, small = _sides(x)
    if full and not is_known_equal(rows, small):
        return (Absent("the columns of q beyond those of x are not determined: use full=False"),)
    if not (small is rows or small is columns):
        return (Absent(f"it is not known which side of {x.type} is longer"),)
    rest = None
    if not is_known_equal(columns, small):
        # A wide x is [x1 x2] and r is [r1 r2]: q r1 = x1 is square, r2 = q^H x2 (Roberts 2020).
        drest = _block(dr, (0, small), (small, columns))
        rest = matmul(q, drest)
        dq = add(dq, matmul(_block(x, (0, rows), (small, columns)), adjoint(drest)))
        r, dr = _block(r, (0, small), (0, small)), _block(dr, (0, small), (0, small))
    inner = _half_upper(subtract(matmul(dr, adjoint(r)), matmul(adjoint(q), dq)))
    moved = add(dq, matmul(q, add(inner, adjoint(inner))))
    dx = adjoint(triangular_solve(r, adjoint(moved), lower=False))
    return (dx if rest is None else concatenate(dx, rest, axis=x.type.rank - 1),)


def _sample_qr():
    for dtype in ELEMENTS:
        for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 0), (0, 3)):
            yield Sample((values(shape, dtype),))
        yield Sample((values((4, 2), dtype),), {"full": True}, differentiable=False)
        yield Sample((values((2, 3), dtype),), {"full": True})
        yield Sample((values((3, 0), dtype),), {"full": True}, differentiable=False)
    yield Sample((values((0, 2, 2), float64),))


qr: Op = declare(
    Op(
        name="qr",
        doc="The factors of x = q r, q with orthonormal columns and r upper triangular with a real "
        "diagonal of either sign.",
        infer=_infer_qr,
        evaluate=lambda x, *, full: tuple(np.linalg.qr(x, "complete" if full else "reduced")),
        arity=1,
        attributes={"full": Flag(False)},
        gradient=_differentiate_qr,
        batch=_batch_one(lambda: qr),
        cost=_cubes(lambda m, n: 4 * (m * n * n - n * n * n // 3)),
        samples=_sample_qr,
        refuses=_refuse_matrix("qr", is_square=False),
        tolerance=64,
        family="linalg",
    )
)

# Singular values ----------------------------------------------------------------------------------


def _infer_svd(x: TensorType, *, full: bool) -> tuple[TensorType, TensorType, TensorType]:
    _check_matrix("svd", x)
    lead, rows, columns, small = _sides(x)
    return (
        x.with_shape((*lead, rows, rows if full else small)),
        tensor_type(x.dtype.real, (*lead, small)),
        x.with_shape((*lead, columns if full else small, columns)),
    )


def _evaluate_svd(x: np.ndarray, *, full: bool) -> tuple:
    def factors(x: np.ndarray) -> tuple:
        _require_finite(x)
        return np.linalg.svd(x, full_matrices=full)

    return _each(factors, x)


def _differentiate_svd(dy: Sequence[Node], y: Sequence[Node], x: Node, *, full: bool):
    # Townsend 2016, with conjugates; the last term is that of Wan and Zhang 2019: of
    # the common phase of a pair of vectors, half is counted for each.
    (u, s, vh), (du, ds, dvh) = y, dy
    _, rows, columns, small = _sides(x)
    if full and not is_known_equal(rows, columns):
        if not (_is_zero(du) and _is_zero(dvh)):
            return (Absent("the vectors of the null space are not determined: use full=False"),)
        u, vh = _block(u, (0, rows), (0, small)), _block(vh, (0, small), (0, columns))
    if _is_zero(du) and _is_zero(dvh):
        return (matmul(scale_columns(u, ds), vh),)
    uh, v, dv = adjoint(u), adjoint(vh), adjoint(dvh)
    low, high = _along_rows(s), _along_columns(s)
    # 1 / (s[j]^2 - s[i]^2), 0 on the diagonal
    rates = _reciprocal_or_zero(multiply(subtract(high, low), add(high, low)))
    rates = cast(rates, dtype=x.dtype) if x.dtype.is_complex else rates
    inverse_s = _reciprocal_or_zero(s)
    gu, gv = matmul(uh, du), matmul(vh, dv)
    left = multiply(rates, subtract(gu, adjoint(gu)))
    right = multiply(rates, subtract(gv, adjoint(gv)))
    inner = add(scale_columns(left, s), scale_rows(s, right))
    inner = add(inner, embed_diagonal(_with_phase(ds, gu, gv, inverse_s, x.dtype)))
    dx = matmul(matmul(u, inner), vh)
    if not is_known_equal(rows, small):
        outside = scale_columns(subtract(du, matmul(u, gu)), inverse_s)
        dx = add(dx, matmul(outside, vh))
    if not is_known_equal(columns, small):
        outside = scale_columns(subtract(dv, matmul(v, gv)), inverse_s)
        dx = add(dx, matmul(u, adjoint(outside)))
    return (dx,)


def _with_phase(ds: Node, gu: Node, gv: Node, inverse_s: Node, dtype: DType) -> Node:
    if not dtype.is_complex:
        return ds
    turn = imag(subtract(diagonal(gu), diagonal(gv)))
    return complex_of(ds, multiply(multiply(turn, inverse_s), full_like(ds, 0.5)))


def _sample_svd():
    for dtype in ELEMENTS:
        # The phases of complex vectors are not a smooth function that the rule describes.
        is_smooth = not dtype.is_complex
        for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 0), (0, 3)):
            yield Sample((_general(shape, dtype),), differentiable=is_smooth)
        yield Sample((_general((2, 2), dtype),), {"full": True}, differentiable=is_smooth)
        yield Sample((_general((4, 2), dtype),), {"full": True}, differentiable=False)
        yield Sample((_general((3, 0), dtype),), {"full": True}, differentiable=False)
        undefined = np.array([[[1, 0], [0, 2]], [[np.nan, 0], [0, 1]]], dtype.numpy)
        yield Sample((undefined,), name="undefined", differentiable=False)


svd: Op = declare(
    Op(
        name="svd",
        doc="The factors of x = u diag(s) vh, u and vh^H with orthonormal columns, s descending; "
        "NaN where x is not finite.",
        infer=_infer_svd,
        evaluate=_evaluate_svd,
        arity=1,
        attributes={"full": Flag(False)},
        gradient=_differentiate_svd,
        batch=_batch_one(lambda: svd),
        cost=_cubes(lambda m, n: 6 * m * n * n + 20 * n * n * n),
        samples=_sample_svd,
        refuses=_refuse_matrix("svd", is_square=False),
        tolerance=256,
        family="linalg",
    )
)


def _infer_svdvals(x: TensorType) -> TensorType:
    _check_matrix("svdvals", x)
    lead, _, _, small = _sides(x)
    return tensor_type(x.dtype.real, (*lead, small))


def _evaluate_svdvals(x: np.ndarray) -> np.ndarray:
    def singular_values(x: np.ndarray) -> tuple:
        _require_finite(x)
        return (np.linalg.svd(x, compute_uv=False),)

    return _each(singular_values, x)[0]


def _sample_svdvals():
    for dtype in ELEMENTS:
        for shape in ((3, 3), (4, 2), (2, 2, 3), (0, 3), (0, 0)):
            yield Sample((_general(shape, dtype),))


svdvals: Op = declare(
    Op(
        name="svdvals",
        doc="The singular values, descending.",
        infer=_infer_svdvals,
        evaluate=_evaluate_svdvals,
        arity=1,
        batch=_batch_one(lambda: svdvals),
        expand=lambda x: items(svd(x))[1],
        cost=_cubes(lambda m, n: 2 * m * n * n + 2 * n * n * n),
        samples=_sample_svdvals,
        refuses=_refuse_matrix("svdvals", is_square=False),
        tolerance=64,
        family="linalg",
    )
)

# Eigenvalues --------------------------------------------------------------------------------------


def _infer_eigh(x: TensorType) -> tuple[TensorType, TensorType]:
    _check_matrix("eigh", x, is_square=True)
    return tensor_type(x.dtype.real, x.shape[:-1]), x


def _evaluate_eigh(x: np.ndarray) -> tuple:
    def pairs(x: np.ndarray) -> tuple:
        _require_finite(np.tril(x))
        return np.linalg.eigh(x)

    return _each(pairs, x)


def _differentiate_eigh(dy: Sequence[Node], y: Sequence[Node], x: Node):
    # Walter and Lehmann 2010: v (diag(dw) + f * v^H dv) v^H, f[i,j] = 1 / (w[j] - w[i]).
    (w, v), (dw, dv) = y, dy
    if _is_zero(dv):
        return (_from_hermitian(matmul(scale_columns(v, dw), adjoint(v))),)
    rates = _reciprocal_or_zero(subtract(_along_columns(w), _along_rows(w)))
    diagonal_part = embed_diagonal(dw)
    if x.dtype.is_complex:
        rates, diagonal_part = (cast(each, dtype=x.dtype) for each in (rates, diagonal_part))
    inner = add(diagonal_part, multiply(rates, matmul(adjoint(v), dv)))
    return (_from_hermitian(matmul(matmul(v, inner), adjoint(v))),)


def _sample_eigh():
    for dtype in ELEMENTS:
        is_smooth = not dtype.is_complex
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            yield Sample((_general(shape, dtype),), differentiable=is_smooth)
        undefined = np.array([[[1, 0], [0, 2]], [[1, 0], [np.nan, 1]]], dtype.numpy)
        yield Sample((undefined,), name="undefined", differentiable=False)
    yield Sample((_general((0, 2, 2), float64),))


eigh: Op = declare(
    Op(
        name="eigh",
        doc="The ascending eigenvalues w and orthonormal eigenvectors, in the columns of v, of a "
        "symmetric (complex: Hermitian) matrix. Only the lower triangle of x is read, and of its "
        "diagonal the real part; NaN where it is not finite.",
        infer=_infer_eigh,
        evaluate=_evaluate_eigh,
        arity=1,
        gradient=_differentiate_eigh,
        batch=_batch_one(lambda: eigh),
        cost=_cubes(lambda m, n: 9 * n * n * n),
        samples=_sample_eigh,
        refuses=_refuse_matrix("eigh", is_square=True),
        tolerance=256,
        family="linalg",
    )
)


def _infer_eigvalsh(x: TensorType) -> TensorType:
    _check_matrix("eigvalsh", x, is_square=True)
    return tensor_type(x.dtype.real, x.shape[:-1])


def _evaluate_eigvalsh(x: np.ndarray) -> np.ndarray:
    def eigenvalues(x: np.ndarray) -> tuple:
        _require_finite(np.tril(x))
        return (np.linalg.eigvalsh(x),)

    return _each(eigenvalues, x)[0]


def _sample_eigvalsh():
    for dtype in ELEMENTS:
        for shape in ((3, 3), (2, 2, 2), (0, 0)):
            yield Sample((_general(shape, dtype),))


eigvalsh: Op = declare(
    Op(
        name="eigvalsh",
        doc="The ascending eigenvalues of a symmetric (complex: Hermitian) matrix, of which the "
        "lower triangle is read.",
        infer=_infer_eigvalsh,
        evaluate=_evaluate_eigvalsh,
        arity=1,
        batch=_batch_one(lambda: eigvalsh),
        expand=lambda x: items(eigh(x))[0],
        cost=_cubes(lambda m, n: 4 * n * n * n // 3),
        samples=_sample_eigvalsh,
        refuses=_refuse_matrix("eigvalsh", is_square=True),
        tolerance=64,
        family="linalg",
    )
)


def _complex_type(dtype: DType) -> DType:
    return complex64 if dtype.real is float32 else complex128


def _infer_eig(x: TensorType) -> tuple[TensorType, TensorType]:
    _check_matrix("eig", x, is_square=True)
    dtype = _complex_type(x.dtype)
    return tensor_type(dtype, x.shape[:-1]), tensor_type(dtype, x.shape)


def _evaluate_eig(x: np.ndarray) -> tuple:
    wide = np.complex64 if x.dtype in (np.float32, np.complex64) else np.complex128

    def pairs(x: np.ndarray) -> tuple:
        _require_finite(x)
        return tuple([each.astype(wide) for each in np.linalg.eig(x)])

    return _each(pairs, x)


def _differentiate_eig(dy: Sequence[Node], y: Sequence[Node], x: Node):
    # Giles 2008, for vectors that keep norm 1 (Boeddeker et al. 2017):
    # v^-H (diag(dw) + conj(f) * (v^H dv - v^H v diag(v^H dv))) v^H, f[i,j] = 1 / (w[j] - w[i]).
    (w, v), (dw, dv) = y, dy
    vh = adjoint(v)
    inner = embed_diagonal(dw)
    if not _is_zero(dv):
        rates = _reciprocal_or_zero(subtract(_along_columns(w), _along_rows(w)))
        along = matmul(vh, dv)
        across = subtract(along, scale_columns(matmul(vh, v), diagonal(along)))
        inner = add(inner, multiply(conjugate(rates), across))
    dx = solve(vh, matmul(inner, vh))
    return (dx if x.dtype.is_complex else real(dx),)


def _sample_eig():
    for dtype in ELEMENTS:
        is_smooth = not dtype.is_complex
        for shape in ((3, 3), (2, 2, 2), (1, 1), (0, 0)):
            yield Sample((_general(shape, dtype),), differentiable=is_smooth)
        undefined = np.array([[[1, 0], [0, 2]], [[1, np.inf], [0, 1]]], dtype.numpy)
        yield Sample((undefined,), name="undefined", differentiable=False)
        turning = np.array([[1, -2], [3, 0.5]], dtype.numpy)
        yield Sample((turning,), name="complex eigenvalues", differentiable=False)
    yield Sample((_general((0, 2, 2), float64),))


eig: Op = declare(
    Op(
        name="eig",
        doc="The eigenvalues w, in no promised order, and eigenvectors of norm 1 in the columns of "
        "v, both complex, also for a real x. NaN where x is not finite.",
        infer=_infer_eig,
        evaluate=_evaluate_eig,
        arity=1,
        gradient=_differentiate_eig,
        batch=_batch_one(lambda: eig),
        cost=_cubes(lambda m, n: 25 * n * n * n),
        samples=_sample_eig,
        refuses=_refuse_matrix("eig", is_square=True),
        tolerance=256,
        family="linalg",
    )
)


def eigvals(x: Node) -> Node:
    """The eigenvalues, complex and in no promised order."""
    return items(eig(x))[0]

"""Linear algebra: NumPy and SciPy as oracle, element types, no elements, derivatives, messages."""

import inspect
import itertools
import math

import ml_dtypes
import numpy as np
import pytest
import scipy.linalg

from thalweg.array import linalg
from thalweg.array.creation import asarray, zeros
from thalweg.array.derivatives import grad, hessian, jacobian, vmap
from thalweg.array.elementwise import multiply, real, square
from thalweg.array.linalg import (
    cholesky,
    cross,
    det,
    diagonal,
    dot,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    expm,
    inner,
    inv,
    kron,
    lstsq,
    lu,
    matmul,
    matrix_norm,
    matrix_power,
    matrix_rank,
    matrix_transpose,
    multi_dot,
    norm,
    outer,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
    tensordot,
    trace,
    triangular_solve,
    vecdot,
    vector_norm,
)
from thalweg.array.statistical import sum
from thalweg.base.errors import ShapeError, ThalwegError
from thalweg.engine.tensor import Tensor, node_of
from thalweg.engine.trace import function
from thalweg.ir.dim import UndecidedError
from thalweg.ir.types import DTYPES, INTEGERS
from thalweg.ir.walk import postorder

NAN, INF = math.nan, math.inf


def data(shape, dtype="float64", seed=0):
    generator = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind == "c":
        return (generator.normal(size=shape) + 1j * generator.normal(size=shape)).astype(dtype)
    return generator.normal(size=shape).astype(dtype)


def positive(shape, dtype="float64"):
    x = data(shape, dtype)
    return x @ np.conj(x.swapaxes(-1, -2)) + np.eye(shape[-1], dtype=dtype)


def check(found, wanted, rtol=1e-10):
    assert isinstance(found, Tensor)
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert found.numpy().dtype == wanted.dtype
    np.testing.assert_allclose(found.numpy(), wanted, rtol=rtol, atol=rtol)


def differences(function, x, step=1e-6):
    """The gradient of a function of one array by central differences."""
    result = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        result[place] = (float(function(x + moved)) - float(function(x - moved))) / (2 * step)
    return result


def check_gradient(function, x, rtol=1e-6):
    np.testing.assert_allclose(grad(function)(x).numpy(), differences(function, x), rtol, rtol)


def weighted(x, seed=9):
    """A number that depends on every element in its own way."""
    return sum(multiply(x, data(x.shape, seed=seed)))


SIGNATURES = {
    "cholesky": "(x, /, *, upper=False)",
    "cross": "(x1, x2, /, *, axis=-1)",
    "det": "(x, /)",
    "diagonal": "(x, /, *, offset=0)",
    "eigh": "(x, /)",
    "eigvalsh": "(x, /)",
    "inv": "(x, /)",
    "matmul": "(x1, x2, /)",
    "matrix_norm": "(x, /, *, keepdims=False, ord='fro')",
    "matrix_power": "(x, n, /)",
    "matrix_rank": "(x, /, *, rtol=None)",
    "matrix_transpose": "(x, /)",
    "outer": "(x1, x2, /)",
    "pinv": "(x, /, *, rtol=None)",
    "qr": "(x, /, *, mode='reduced')",
    "slogdet": "(x, /)",
    "solve": "(x1, x2, /)",
    "svd": "(x, /, *, full_matrices=True)",
    "svdvals": "(x, /)",
    "tensordot": "(x1, x2, /, *, axes=2)",
    "trace": "(x, /, *, offset=0, dtype=None)",
    "vecdot": "(x1, x2, /, *, axis=-1)",
    "vector_norm": "(x, /, *, axis=None, keepdims=False, ord=2)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_standard(name):
    found = inspect.signature(getattr(linalg, name))
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    assert str(inspect.Signature(plain)) == SIGNATURES[name]


# Products -----------------------------------------------------------------------------------------

PRODUCTS = [
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (6, 4, 5)),
    ((7, 2, 3, 4), (1, 2, 4, 5)),
    ((2, 1, 3, 4), (1, 5, 4, 2)),
    ((5, 1, 1, 3), (3, 1)),
    ((1, 1), (1, 1)),
    ((3, 0), (0, 2)),
    ((0, 3), (3, 2)),
    ((0, 3, 4), (4, 2)),
    ((0, 1, 3, 4), (2, 4, 0)),
]


@pytest.mark.parametrize(("left", "right"), PRODUCTS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "complex128", "int64"])
def test_matrix_products(left, right, dtype):
    a, b = ((data(shape, "float64") * 9).astype(dtype) for shape in (left, right))
    if dtype == "complex128":
        a, b = data(left, dtype), data(right, dtype)
    check(matmul(a, b), np.matmul(a, b))


def test_products_promote():
    a, b = data((2, 3), "float32"), data((3, 2), "float64")
    check(matmul(a, b), a @ b)
    check(matmul([[1, 2]], [[3], [4]]), np.array([[11]]))
    check(matmul(data((2, 3), "int8"), np.ones((3, 2), np.float16)),
          data((2, 3), "int8") @ np.ones((3, 2), np.float16), 1e-3)  # fmt: skip
    for dtype in DTYPES[1:]:
        x = np.ones((2, 2), dtype.numpy)
        for found in (matmul(x, x), vecdot(x, x), tensordot(x, x), outer(x[0], x[1]), kron(x, x),
                      dot(x, x), inner(x, x), cross(np.ones(3, dtype.numpy), [1, 2, 3])
                      if dtype not in INTEGERS else matmul(x, x)):  # fmt: skip
            assert found.dtype is dtype


def test_sums_of_16_bit_products_are_rounded_once():
    for dtype in (np.float16, ml_dtypes.bfloat16):
        ones = np.ones(5000, dtype)
        assert float(matmul(ones, ones)) == float(np.float32(5000).astype(dtype))
        assert float(vecdot(ones, ones)) == float(np.float32(5000).astype(dtype))


def operations(tensor):
    return [node.op.name for node in postorder([node_of(tensor)]) if node.args]


def test_batches_are_not_copied():
    batch, matrix = zeros((8, 2, 3)), zeros((3, 4))
    assert operations(matmul(batch, matrix)) == ["dot"]
    assert operations(matmul(batch, zeros((8, 3, 4)))) == ["dot"]
    assert operations(matmul(zeros((2, 8)), zeros((8, 3)))) == ["dot"]
    # A stack on the right of one matrix costs a change of order, and one of size 1 a new shape.
    assert operations(matmul(zeros((2, 3)), zeros((8, 3, 4)))) == ["dot", "transpose"]
    assert operations(matmul(batch, zeros((1, 3, 4)))) == ["reshape", "dot"]
    assert operations(vecdot(batch, zeros((8, 2, 3)))) == ["dot"]
    assert operations(tensordot(batch, matrix, axes=1)) == ["dot"]
    assert "dot" not in operations(outer(zeros((2,)), zeros((3,))))


def test_vector_products_along_axes():
    z, y = data((2, 3), "complex128"), data((5, 1, 3), "complex128")
    check(vecdot(z, z), np.vecdot(z, z))
    check(vecdot(z, y), np.vecdot(z, y))
    check(vecdot(y, z), np.vecdot(y, z))
    check(vecdot(z, z, axis=0), np.vecdot(z, z, axis=0))
    check(vecdot(data((4, 2)), data((3, 4, 1)), axis=-2),
          np.sum(data((4, 2)) * data((3, 4, 1)), axis=-2))  # fmt: skip
    check(vecdot(np.zeros((2, 0)), np.zeros((2, 0))), np.zeros(2))
    check(cross(z, y), np.cross(z, y))
    x = data((3, 4))
    check(cross(x, x[:, ::-1], axis=0), np.cross(x, x[:, ::-1], axis=0))
    check(cross(x, data((2, 3, 1)), axis=-2), np.cross(x, data((2, 3, 1)), axis=-2))
    check(outer(x[0], z[0]), np.outer(x[0], z[0]))


def test_tensor_products():
    a, b, c = data((2, 3, 4)), data((4, 3, 5)), data((3, 4, 2))
    check(tensordot(a, c), np.tensordot(a, c))
    for axes in (0, 1, ([1, 2], [1, 0]), ([-1], [0]), (2, 0), ((), ()), np.array([[2], [0]])):
        check(tensordot(a, b, axes=axes), np.tensordot(a, b, axes=axes))
    check(tensordot(a, a, axes=3), np.tensordot(a, a, axes=3))
    check(dot(a, b[:, 0]), np.dot(a, b[:, 0]))
    check(dot(a, c[0, :, 0]), np.dot(a, c[0, :, 0]))
    check(dot(a, data((5, 4, 2))), np.dot(a, data((5, 4, 2))))
    check(dot(a, 2.0), a * 2)
    check(inner(a, b.T[:, :, :]), np.inner(a, b.T))
    check(inner(3.0, a), a * 3)
    for left, right in (((2, 3), (4, 5)), ((2, 3, 2), (2, 1)), ((3,), (2, 2)), ((), (2, 2)),
                        ((0, 2), (3, 3))):  # fmt: skip
        x, y = data(left), data(right)
        check(kron(x, y), np.kron(x, y))


def test_chains_are_multiplied_in_the_best_order():
    arrays = [data((20, 2)), data((2, 30)), data((30, 3)), data((3, 25))]
    check(multi_dot(arrays), np.linalg.multi_dot(arrays))
    check(multi_dot([arrays[0][0], arrays[1]]), arrays[0][0] @ arrays[1])
    vectors = [arrays[1][0], *arrays[2:], data((25,))]
    check(multi_dot(vectors), np.linalg.multi_dot(vectors))
    # (20, 2) ((2, 30) (30, 3)) (3, 25): the narrow middle first.
    found = multi_dot([asarray(each) for each in arrays])
    shapes = [node.shape for node in postorder([node_of(found)]) if node.op.name == "dot"]
    assert shapes[0] == (2, 3)


def test_transposes_diagonals_and_traces():
    x = data((2, 3, 4))
    check(matrix_transpose(x), x.swapaxes(-1, -2))
    for offset in (-3, -2, 0, 1, 3, 5):
        wanted = np.diagonal(x, offset, -2, -1)
        check(diagonal(x, offset=offset), wanted)
        check(trace(x, offset=offset), np.trace(x, offset, -2, -1))
    check(trace(np.full((200, 200), 100, np.int8)), np.int64(20000))
    assert trace(np.eye(2, dtype=np.int8), dtype="int8").dtype == "int8"
    assert trace(np.eye(2, dtype=np.uint8)).dtype == "uint64"


# Norms --------------------------------------------------------------------------------------------

VECTOR_ORDERS = [0, 1, 2, 3, 0.5, -1, -2.5, INF, -INF]
MATRIX_ORDERS = ["fro", "nuc", 1, -1, 2, -2, INF, -INF]


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("ord", VECTOR_ORDERS, ids=str)
def test_vector_norms(ord, dtype, keepdims):
    rtol = 1e-5 if dtype == "float32" else 1e-10
    x = data((2, 3, 4), dtype)
    x[0, 0, 0] = 0
    for axis in (None, 0, -1, (0, 2)):
        wanted = np.linalg.vector_norm(x, axis=axis, ord=ord, keepdims=keepdims)
        check(vector_norm(x, axis=axis, ord=ord, keepdims=keepdims),
              wanted.astype(x.real.dtype), rtol)  # fmt: skip


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("ord", MATRIX_ORDERS, ids=str)
def test_matrix_norms(ord, dtype, keepdims):
    for shape in ((3, 4), (2, 4, 3), (2, 2, 2, 2)):
        x = data(shape, dtype)
        wanted = np.linalg.matrix_norm(x, ord=ord, keepdims=keepdims)
        check(matrix_norm(x, ord=ord, keepdims=keepdims), wanted)


def test_norms_in_the_style_of_numpy():
    x, v = data((3, 4)), data((5,))
    for ord in (None, *MATRIX_ORDERS):
        check(norm(x, ord), np.linalg.norm(x, ord))
        check(norm(data((2, 3, 4)), ord, axis=(2, 0), keepdims=True),
              np.linalg.norm(data((2, 3, 4)), ord, axis=(2, 0), keepdims=True))  # fmt: skip
    for ord in (None, *VECTOR_ORDERS):
        check(norm(v, ord), np.linalg.norm(v, ord))
        check(norm(x, ord, axis=0), np.linalg.norm(x, ord, axis=0))
    check(norm(data((2, 3, 4))), np.linalg.norm(data((2, 3, 4))))


def test_norms_of_nothing_and_of_nan():
    nothing = np.zeros((3, 0))
    for ord in (0, 1, 2, 3, INF):
        check(vector_norm(nothing, axis=1, ord=ord), np.zeros(3))
    for ord in ("fro", "nuc", 1, 2, INF):
        check(matrix_norm(nothing, ord=ord), 0.0)
    for ord, x in ((-1, nothing), (-2, nothing), (-INF, nothing.T)):
        with pytest.raises(ShapeError, match="at least one element"):
            matrix_norm(x, ord=ord)
    with pytest.raises(ShapeError, match="at least one element"):
        vector_norm(nothing, ord=-INF)
    undefined = np.array([[1.0, NAN], [0.0, 2.0]])
    for ord in MATRIX_ORDERS:
        check(matrix_norm(undefined, ord=ord), NAN)
    for ord in VECTOR_ORDERS[1:]:
        check(vector_norm(undefined, ord=ord), NAN)


def test_norms_of_integers_and_of_16_bit_floats():
    check(vector_norm([3, 4]), np.float32(5))
    check(matrix_norm([[3, 4], [0, 0]]), np.float32(5))
    assert float(vector_norm(np.full(10000, 100, np.float16))) == 10000
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x = np.eye(3, dtype=dtype)
        for ord in MATRIX_ORDERS:
            assert matrix_norm(x, ord=ord).dtype == dtype
        for ord in VECTOR_ORDERS:
            assert vector_norm(x, ord=ord).dtype == dtype


def test_the_derivative_of_a_norm_at_0_is_0():
    nothing = np.zeros((2, 2))
    for ord in (1, 2, 3, 1.5, 0.5, INF, -INF):
        check(grad(lambda x, ord=ord: vector_norm(x, ord=ord))(nothing), nothing)
    for ord in (-1, -2):
        # Where an element is 0 so is the norm, however the others change.
        check(grad(lambda x, ord=ord: vector_norm(x, ord=ord))(np.array([0.0, 2.0])), np.zeros(2))
    for ord in ("fro", 1, INF):
        check(grad(lambda x, ord=ord: matrix_norm(x, ord=ord))(nothing), nothing)
    for ord in ("nuc", 2, -2):
        assert np.isfinite(grad(lambda x, ord=ord: matrix_norm(x, ord=ord))(nothing).numpy()).all()
    z = np.zeros(2, np.complex128)
    check(grad(vector_norm)(z), z)
    check(grad(lambda x: sum(vector_norm(x, axis=0)))(np.array([[3.0, 0.0], [4.0, 0.0]])),
          [[0.6, 0.0], [0.8, 0.0]])  # fmt: skip
    check(grad(norm)(nothing), nothing)
    assert np.isfinite(hessian(vector_norm)(np.zeros(2)).numpy()).all()


@pytest.mark.parametrize("ord", [1, 2, 3, 1.5, -1, INF, -INF])
def test_derivatives_of_vector_norms(ord):
    x = data((2, 3))
    check_gradient(lambda x: vector_norm(x, ord=ord), x)
    check_gradient(lambda x: weighted(vector_norm(x, ord=ord, axis=1)), x)
    if abs(ord) != INF:
        check_gradient(lambda x: weighted(grad(lambda x: vector_norm(x, ord=ord))(x)), x, 1e-5)


@pytest.mark.parametrize("ord", MATRIX_ORDERS, ids=str)
def test_derivatives_of_matrix_norms(ord):
    check_gradient(lambda x: weighted(matrix_norm(x, ord=ord)), data((2, 3, 4)))


# Systems of equations -----------------------------------------------------------------------------

SYSTEMS = [
    ((3, 3), (3,)),
    ((3, 3), (3, 2)),
    ((2, 3, 3), (3, 2)),
    ((2, 3, 3), (3,)),
    ((3, 3), (2, 3, 2)),
    ((3, 3), (4, 2, 3, 1)),
    ((2, 3, 3), (2, 3, 2)),
    ((5, 1, 3, 3), (2, 3, 2)),
    ((1, 3, 3), (2, 3, 2)),
    ((0, 3, 3), (3, 1)),
    ((0, 0), (0, 2)),
    ((3, 3), (3, 0)),
]


@pytest.mark.parametrize(("left", "right"), SYSTEMS, ids=str)
def test_systems(left, right):
    for dtype in ("float64", "complex128"):
        a, b = data(left, dtype), data(right, dtype, seed=1)
        check(solve(a, b), np.linalg.solve(a, b))
        for lower in (True, False):
            wanted = np.linalg.solve(np.tril(a) if lower else np.triu(a), b)
            check(triangular_solve(a, b, lower=lower), wanted)


def test_triangles_that_are_turned():
    a, b = data((3, 3), "complex128"), data((3, 2), "complex128", seed=1)
    for transpose, conjugate, unit_diagonal in itertools.product((False, True), repeat=3):
        matrix = np.triu(a)
        if unit_diagonal:
            np.fill_diagonal(matrix, 1)
        matrix = matrix.T if transpose else matrix
        matrix = matrix.conj() if conjugate else matrix
        attrs = {"transpose": transpose, "conjugate": conjugate, "unit_diagonal": unit_diagonal}
        check(triangular_solve(a, b, lower=False, **attrs), np.linalg.solve(matrix, b))
    check(
        triangular_solve(a.real, b.real, conjugate=True), np.linalg.solve(np.tril(a.real), b.real)
    )


def test_many_right_sides_of_one_matrix_are_columns():
    found = solve(asarray(data((3, 3))), asarray(data((4, 3, 2))))
    assert "broadcast" not in operations(found)


def test_inverses_and_powers():
    for dtype in ("float64", "complex128"):
        x = data((2, 4, 4), dtype)
        check(inv(x), np.linalg.inv(x))
        for n in (-3, -1, 0, 1, 2, 3, 5, 8):
            check(matrix_power(x, n), np.linalg.matrix_power(x, n), 1e-8)
    fibonacci = np.array([[1, 1], [1, 0]])
    check(matrix_power(fibonacci, 60), np.linalg.matrix_power(fibonacci, 60))
    check(matrix_power(fibonacci, -1), np.array([[0, 1], [1, -1]], np.float32))
    check(matrix_power(fibonacci, 0), np.eye(2, dtype=np.int64))
    singular = np.stack([np.ones((2, 2)), np.eye(2)])
    assert np.isnan(inv(singular).numpy()[0]).all()
    assert (inv(singular).numpy()[1] == np.eye(2)).all()
    assert np.isnan(solve(singular[0], np.ones(2)).numpy()).all()


def test_determinants():
    for dtype in ("float64", "complex128"):
        x = data((2, 3, 3), dtype)
        check(det(x), np.linalg.det(x))
        found, wanted = slogdet(x), np.linalg.slogdet(x)
        check(found.sign, wanted.sign)
        check(found.logabsdet, wanted.logabsdet)
    check(det(np.zeros((0, 0))), 1.0)
    found = slogdet(np.zeros((2, 2)))
    check(found.sign, 0.0)
    check(found.logabsdet, -INF)


def test_pseudo_inverses():
    for dtype in ("float64", "complex128"):
        for shape in ((4, 3), (2, 3, 4), (3, 3)):
            x = data(shape, dtype)
            check(pinv(x), np.linalg.pinv(x))
    x = data((4, 3))
    x[:, 2] = x[:, 0] + x[:, 1]
    check(pinv(x), np.linalg.pinv(x))
    check(matrix_rank(x), np.int64(2))
    spread = np.diag([1.0, 1e-3, 1e-6])
    check(pinv(spread, rtol=1e-4), np.diag([1.0, 1e3, 0.0]))
    check(matrix_rank(spread, rtol=1e-4), np.int64(2))
    check(matrix_rank(np.stack([spread, spread]), rtol=np.array([1e-2, 1e-8])), np.array([1, 3]))
    check(pinv(np.stack([spread, spread]), rtol=asarray([1e-2, 1e-4])),
          np.stack([np.diag([1.0, 0, 0]), np.diag([1, 1e3, 0])]))  # fmt: skip
    check(pinv(np.zeros((2, 3))), np.zeros((3, 2)))
    check(pinv(np.zeros((0, 3))), np.zeros((3, 0)))
    check(matrix_rank(np.zeros((2, 0, 3))), np.zeros(2, np.int64))
    check(matrix_rank(np.eye(3, dtype=np.int32)), np.int64(3))


def test_least_squares():
    for dtype in ("float64", "complex128"):
        a, b = data((6, 3), dtype), data((6, 2), dtype, seed=1)
        found, wanted = lstsq(a, b), np.linalg.lstsq(a, b, rcond=None)
        check(found.solution, wanted[0])
        check(found.residuals, wanted[1])
        check(found.rank, np.int64(wanted[2]))
        check(found.singular_values, wanted[3])
        check(lstsq(a, b[:, 0]).solution, wanted[0][:, 0])
        check(lstsq(a, b[:, 0]).residuals, wanted[1][0])
    wide = data((2, 5)), data((2, 1))
    check(lstsq(*wide).solution, np.linalg.lstsq(*wide, rcond=None)[0])
    check(lstsq(*wide).residuals, np.zeros(1))
    stack = data((3, 6, 2)), data((6, 1))
    wanted = np.stack([np.linalg.lstsq(each, stack[1], rcond=None)[0] for each in stack[0]])
    check(lstsq(*stack).solution, wanted)


# Decompositions -----------------------------------------------------------------------------------

KINDS = ["float32", "float64", "complex64", "complex128"]


def product(*matrices):
    found = np.asarray(matrices[0])
    for matrix in matrices[1:]:
        found = found @ np.asarray(matrix)
    return found


def adjoint(x):
    return np.conj(np.asarray(x).swapaxes(-1, -2))


@pytest.mark.parametrize("dtype", KINDS)
def test_cholesky(dtype):
    rtol = 1e-4 if dtype in ("float32", "complex64") else 1e-10
    x = positive((2, 3, 3), dtype)
    check(cholesky(x), np.linalg.cholesky(x), rtol)
    check(cholesky(x, upper=True), np.linalg.cholesky(x, upper=True), rtol)
    check(cholesky(np.zeros((0, 0), dtype)), np.zeros((0, 0), dtype))
    mixed = np.stack([np.eye(2), -np.eye(2)]).astype(dtype)
    found = cholesky(mixed).numpy()
    assert (found[0] == np.eye(2)).all() and np.isnan(found[1]).all()


@pytest.mark.parametrize("dtype", KINDS)
def test_decompositions_multiply_back(dtype):
    rtol = 1e-4 if dtype in ("float32", "complex64") else 1e-10
    close = {"rtol": rtol, "atol": rtol}
    for shape in ((4, 3), (3, 4), (2, 3, 3), (0, 3), (3, 0), (0, 2, 2)):
        x = data(shape, dtype)
        small = min(shape[-2:])
        *lead, rows, columns = shape
        found = qr(x)
        assert found.Q.shape == (*lead, rows, small) and found.R.shape == (*lead, small, columns)
        np.testing.assert_allclose(product(*found), x, **close)
        np.testing.assert_allclose(np.triu(found.R), found.R, **close)
        whole = qr(x, mode="complete")
        assert whole.Q.shape == (*lead, rows, rows) and whole.R.shape == (*lead, rows, columns)
        np.testing.assert_allclose(product(*whole), x, **close)
        thin = svd(x, full_matrices=False)
        scaled = thin.U.numpy() * thin.S.numpy()[..., None, :]
        np.testing.assert_allclose(product(scaled, thin.Vh), x, **close)
        full = svd(x)
        assert full.U.shape == (*lead, rows, rows) and full.Vh.shape == (*lead, columns, columns)
        identity = np.broadcast_to(np.eye(rows), full.U.shape)
        np.testing.assert_allclose(product(full.U, adjoint(full.U)), identity, **close)
        check(svdvals(x), np.linalg.svdvals(x), rtol)
        assert full.S.numpy().dtype == np.zeros(0, dtype).real.dtype
        P, L, U = lu(x)
        np.testing.assert_allclose(product(P, L, U), x, **close)
        if 0 not in shape:
            for ours, theirs in zip((P, L, U), scipy.linalg.lu(x), strict=True):
                np.testing.assert_allclose(ours.numpy(), theirs, **close)


@pytest.mark.parametrize("dtype", KINDS)
def test_eigenvalues(dtype):
    rtol = 1e-4 if dtype in ("float32", "complex64") else 1e-10
    x = positive((2, 3, 3), dtype)
    found = eigh(x)
    check(found.eigenvalues, np.linalg.eigvalsh(x), rtol)
    check(eigvalsh(x), np.linalg.eigvalsh(x), rtol)
    vectors = found.eigenvectors.numpy()
    moved = vectors * found.eigenvalues.numpy()[..., None, :]
    np.testing.assert_allclose(x @ vectors, moved, rtol=rtol, atol=rtol * 10)
    y = data((2, 3, 3), dtype)
    wide = np.result_type(dtype, np.complex64)
    values, vectors = eig(y)
    assert values.numpy().dtype == vectors.numpy().dtype == wide
    np.testing.assert_allclose(y @ vectors.numpy(), vectors.numpy() * values.numpy()[..., None, :],
                               rtol=rtol, atol=rtol)  # fmt: skip
    wanted = np.linalg.eigvals(y)
    for ours, theirs in zip(eigvals(y).numpy(), wanted, strict=True):
        np.testing.assert_allclose(np.sort_complex(ours), np.sort_complex(theirs), rtol, rtol)


def test_only_the_symmetric_part_counts():
    x = data((3, 3)) + 4 * np.eye(3)
    both = (x + x.T) / 2
    check(cholesky(x), np.linalg.cholesky(both))
    check(eigvalsh(x), np.linalg.eigvalsh(both))
    check(eigh(x).eigenvalues, np.linalg.eigvalsh(both))


def test_results_have_the_names_of_the_standard():
    x = np.eye(2)
    assert eigh(x)._fields == ("eigenvalues", "eigenvectors")
    assert qr(x)._fields == ("Q", "R")
    assert slogdet(x)._fields == ("sign", "logabsdet")
    assert svd(x)._fields == ("U", "S", "Vh")


def test_integers_become_floats_and_16_bits_are_rounded_once():
    x = np.array([[4, 1], [1, 3]])
    short = x.astype(np.float16)
    wide = x.astype(np.float32)
    for name in ("cholesky", "det", "eigvalsh", "inv", "pinv", "svdvals", "expm"):
        found = getattr(linalg, name)
        check(found(x), found(wide).numpy(), 1e-6)
        check(found(short), found(wide).numpy().astype(np.float16), 1e-3)
    for name in ("eigh", "qr", "slogdet", "svd", "lu"):
        found = getattr(linalg, name)
        for one, two, three in zip(found(x), found(short), found(wide), strict=True):
            check(one, three.numpy(), 1e-6)
            check(two, three.numpy().astype(np.float16), 1e-3)
    check(solve(x, [1, 2]), np.linalg.solve(wide, np.array([1, 2], np.float32)), 1e-6)
    assert solve(short, np.ones(2, np.float16)).dtype == "float16"
    assert eig(short).eigenvalues.dtype == "complex64"
    assert lstsq(short, short).solution.dtype == "float16"


def test_exponentials():
    for dtype in ("float64", "complex128"):
        for scale in (0, 1e-3, 1, 30, 300):
            x = data((2, 3, 3), dtype) * scale
            x = x - x.swapaxes(-1, -2)
            check(expm(x), scipy.linalg.expm(x), 1e-9)
    x = data((4, 4)) * 4
    wanted = scipy.linalg.expm(x)
    np.testing.assert_allclose(expm(x).numpy(), wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())
    check(expm(np.zeros((0, 0))), np.zeros((0, 0)))
    assert np.isnan(expm(np.diag([-1e6, 0.0])).numpy()).all()
    assert np.isnan(expm(np.array([[NAN, 0.0], [0.0, 1.0]])).numpy()).all()
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    wanted = [[[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]] for t in (1, 1000)]
    check(expm(np.stack([rotation, 1000 * rotation])), wanted)


# Derivatives --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "right"), PRODUCTS[:12], ids=str)
def test_derivatives_of_products(left, right):
    a, b = data(left), data(right, seed=1)
    check_gradient(lambda x: weighted(matmul(x, b)), a)
    check_gradient(lambda x: weighted(matmul(a, x)), b)


def test_derivatives_of_other_products():
    x, y = data((2, 3)), data((4, 1, 3), seed=1)
    check_gradient(lambda x: weighted(vecdot(x, y)), x)
    check_gradient(lambda x: weighted(cross(y, x)), x)
    check_gradient(lambda x: weighted(kron(x, x)), x)
    check_gradient(lambda x: weighted(tensordot(x, y, axes=([1], [2]))), x)
    z = data((3,), "complex128")
    # The norm squared has slope 2 z, as dL/dRe + i dL/dIm.
    check(grad(lambda z: real(vecdot(z, z)))(z), 2 * z)


def test_symmetric_functions_have_symmetric_derivatives():
    x = positive((3, 3))
    for one in (
        lambda x: weighted(cholesky(x)),
        lambda x: weighted(cholesky(x, upper=True)),
        lambda x: weighted(eigvalsh(x)),
        lambda x: weighted(square(eigh(x).eigenvectors)),
    ):
        found = grad(one)(x).numpy()
        np.testing.assert_allclose(found, found.T, atol=1e-12)
        check_gradient(one, x, 1e-5)


@pytest.mark.parametrize(
    "one",
    [
        lambda x: weighted(inv(x)),
        lambda x: weighted(matrix_power(x, 3)),
        lambda x: weighted(matrix_power(x, -2)),
        det,
        lambda x: slogdet(x).logabsdet,
        lambda x: weighted(solve(x, data((3, 2), seed=2))),
        lambda x: weighted(solve(data((3, 3), seed=3), x)),
        lambda x: weighted(triangular_solve(x, data((3,), seed=2))),
        lambda x: weighted(qr(x).R),
        lambda x: weighted(svdvals(x)),
        lambda x: weighted(square(svd(x).U)),
        lambda x: weighted(lu(x).L),
        lambda x: weighted(lu(x).U),
        lambda x: weighted(square(real(eigvals(matmul(x, matrix_transpose(x)))))),
        lambda x: weighted(expm(x)),
        lambda x: weighted(pinv(x)),
        lambda x: weighted(lstsq(x, data((3, 2), seed=2)).solution),
        trace,
        lambda x: weighted(diagonal(x, offset=1)),
    ],
)
def test_derivatives_of_square_matrices(one):
    x = data((3, 3)) + np.diag([2.0, 4.0, 7.0])
    check_gradient(one, x, 1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_derivatives_of_pseudo_inverses(shape):
    # Equal singular values, where differentiating a decomposition would divide by 0.
    for x in (data(shape), np.eye(*shape), 3 * np.eye(*shape) + 1e-9 * data(shape)):
        check_gradient(lambda x: weighted(pinv(x)), x, 1e-5)
    x = data(shape)
    check_gradient(lambda x: weighted(grad(lambda x: weighted(pinv(x)))(x)), x, 1e-4)
    z = data(shape, "complex128")
    one = lambda x, y: weighted(real(pinv(x + 1j * y)))  # noqa: E731
    found = grad(lambda z: weighted(real(pinv(z))))(z).numpy()
    np.testing.assert_allclose(found.real, differences(lambda x: one(x, z.imag), z.real), atol=1e-6)
    np.testing.assert_allclose(found.imag, differences(lambda y: one(z.real, y), z.imag), atol=1e-6)


def test_derivatives_of_least_squares():
    a, b = data((5, 3)), data((5, 2), seed=1)
    check_gradient(lambda a: weighted(lstsq(a, b).solution), a)
    check_gradient(lambda b: weighted(lstsq(a, b).residuals), b)
    check_gradient(lambda a: weighted(lstsq(a, b).residuals), a)


def test_derivatives_of_exponentials():
    for x in (data((3, 3)) * 4, np.zeros((3, 3)), np.eye(3) * 20):
        check_gradient(lambda x: weighted(expm(x)), x, 1e-4)
    generators = data((2, 2))
    found = jacobian(expm)(generators).numpy()
    for place in np.ndindex(2, 2):
        direction = np.zeros((2, 2))
        direction[place] = 1
        _, wanted = scipy.linalg.expm_frechet(generators, direction)
        np.testing.assert_allclose(found[(..., *place)], wanted, rtol=1e-10, atol=1e-12)


def test_mapped_over_a_batch():
    x, v = data((4, 3, 3)), data((4, 3), seed=1)
    for one in (inv, pinv, expm, cholesky, lambda x: matmul(x, x), lambda x: norm(x, "nuc")):
        y = positive((4, 3, 3)) if one is cholesky else x
        wanted = np.stack([one(each).numpy() for each in y])
        np.testing.assert_allclose(vmap(one)(y).numpy(), wanted, rtol=1e-9, atol=1e-9)
    check(vmap(solve)(x, v), np.linalg.solve(x, v[..., None])[..., 0])
    check(vmap(solve, in_axes=(None, 0))(x[0], v), np.linalg.solve(x[0], v.T).T)


# Named sizes --------------------------------------------------------------------------------------


def gram(x):
    """(B, M, N) -> (B, B)."""
    return tensordot(x, x, axes=([1, 2], [1, 2]))


WEIGHTS = data((4, 6))
OF_ANY_BATCH = {
    "matmul by a matrix": lambda x: matmul(x, WEIGHTS),
    "matmul of batches": lambda x: matmul(matrix_transpose(x), x),
    "matmul of a matrix": lambda x: matmul(WEIGHTS.T, matrix_transpose(x)),
    "matmul over the batch": lambda x: matmul(gram(x), gram(x)),
    "vecdot": lambda x: vecdot(x, x),
    "tensordot": lambda x: tensordot(x, WEIGHTS, axes=1),
    "kron": lambda x: kron(gram(x), WEIGHTS[:2, :2]),
    "cross": lambda x: cross(x, data((3, 1)), axis=-2),
    "multi_dot": lambda x: multi_dot([gram(x), gram(x), gram(x)]),
    "norms": lambda x: (norm(x), vector_norm(x, axis=0, ord=3), matrix_norm(x, ord="nuc")),
    "inv": lambda x: inv(matmul(x, matrix_transpose(x))),
    "solve": lambda x: solve(matmul(x, matrix_transpose(x)), WEIGHTS[:3, 0]),
    "solve for the batch": lambda x: solve(WEIGHTS[:3, :3], x),
    "pinv": pinv,
    "pinv of the batch": lambda x: pinv(gram(x), rtol=1e-3),
    "rank": lambda x: (matrix_rank(x), matrix_rank(gram(x), rtol=1e-3)),
    "power": lambda x: (matrix_power(gram(x), 3), matrix_power(gram(x), 0)),
    "determinants": lambda x: (det(gram(x)), *slogdet(gram(x))),
    "trace": lambda x: (trace(gram(x)), diagonal(gram(x)), trace(x, offset=1)),
    "cholesky": lambda x: cholesky(matmul(x, matrix_transpose(x))),
    "decompositions": lambda x: (*qr(x), *svd(x), *lu(x), *lu(gram(x))),
    "lstsq": lambda x: lstsq(x, x),
    "expm": lambda x: expm(gram(x)),
}


@pytest.mark.parametrize("name", OF_ANY_BATCH)
def test_one_trace_serves_every_batch_size(name):
    plain = OF_ANY_BATCH[name]
    traced = function(plain)
    for size in (2, 4, 5):
        x = data((size, 3, 4)) / 4
        found, wanted = traced(x), plain(x)
        several = isinstance(wanted, tuple)
        for one, two in zip(*((found, wanted) if several else ((found,), (wanted,))), strict=True):
            check(one, two.numpy(), 1e-6)
    assert len(traced.variants) == 2, traced.why


def test_sizes_that_are_not_known_to_be_equal_are_said_to_be_so():
    traced = function(lambda x, w: matmul(x, w), shapes={"x": ("b", "n"), "w": ("m", 4)})
    with pytest.raises(UndecidedError, match="Sizes n and m are not known to be equal"):
        traced(data((2, 3)), data((3, 4)))


# Messages -----------------------------------------------------------------------------------------


def test_the_message_of_a_product_that_does_not_fit():
    with pytest.raises(ShapeError) as caught:
        matmul(zeros((3, 4)), zeros((6, 4)))
    assert caught.value.message == (
        "[matmul] wants the last axis of a to equal the second-to-last of b.\n"
        "Received a f32[3,4], b f32[6,4].\n"
        "Did you mean matmul(a, matrix_transpose(b))?"
    )
    assert __file__.rsplit("/", 1)[-1] in caught.value.location


def test_messages(golden):
    a = zeros((3, 4))
    square_matrix, stack = zeros((3, 3)), zeros((5, 3, 3))
    cases = [
        lambda: matmul(a, zeros((5, 6))),
        lambda: matmul(a, zeros((3, 6))),
        lambda: matmul(a, zeros((5, 3))),
        lambda: matmul(a, zeros((3,))),
        lambda: matmul(zeros((3,)), zeros((4,))),
        lambda: matmul(zeros((2, 3, 4)), zeros((5, 4, 6))),
        lambda: matmul(a, 2.0),
        lambda: matmul(np.array([True]), np.array([True])),
        lambda: tensordot(a, zeros((4, 3))),
        lambda: tensordot(a, a, axes=3),
        lambda: tensordot(a, a, axes=([0], [0, 1])),
        lambda: tensordot(a, zeros((5, 6)), axes=([1], [0])),
        lambda: vecdot(a, zeros((3, 5))),
        lambda: vecdot(a, zeros((2, 4))),
        lambda: vecdot(a, zeros((2, 3, 4)), axis=0),
        lambda: cross(a, a),
        lambda: outer(a, zeros((3,))),
        lambda: multi_dot([a, a]),
        lambda: multi_dot([a, stack, a]),
        lambda: multi_dot([a]),
        lambda: matrix_transpose(zeros((3,))),
        lambda: inv(a),
        lambda: det(zeros((3,))),
        lambda: cholesky(a),
        lambda: solve(square_matrix, zeros((4,))),
        lambda: solve(square_matrix, zeros((2, 3))),
        lambda: solve(stack, zeros((5, 3))),
        lambda: solve(a, zeros((3,))),
        lambda: solve(stack, zeros((2, 3, 1))),
        lambda: solve(square_matrix, 1.0),
        lambda: triangular_solve(square_matrix, zeros((4, 1))),
        lambda: lstsq(a, zeros((4,))),
        lambda: vector_norm(a, ord="fro"),
        lambda: matrix_norm(a, ord=3),
        lambda: norm(stack, 2),
        lambda: matrix_power(square_matrix, 0.5),
        lambda: qr(a, mode="full"),
        lambda: expm(a),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("linalg", "\n\n".join(lines))

"""Linear algebra: identities, what is read and what is NaN, derivatives free of signs and phases.

Raw derivatives of real factors are checked in the table; vectors of complex matrices have a phase
that nothing determines, so here functions are differentiated in which it cancels.
"""

import itertools

import numpy as np
import pytest
import scipy.linalg

from thalweg.base.errors import GradientError, ShapeError
from thalweg.ir.dim import named, substitute
from thalweg.ir.function import build
from thalweg.ir.leaves import full_like, items, literal
from thalweg.ir.types import as_dtype, complex128, float64, tensor_type
from thalweg.ir.verify import verify
from thalweg.ir.walk import postorder
from thalweg.ops import linalg
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.elementwise import abs as abs_op
from thalweg.ops.elementwise import add, cast, exp, multiply, real
from thalweg.ops.linalg import (
    adjoint,
    adjugate,
    cholesky,
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inverse,
    lu,
    matmul,
    qr,
    scale_columns,
    slogdet,
    solve,
    svd,
    svdvals,
    symmetrize,
    triangular_solve,
)
from thalweg.ops.samples import values
from thalweg.transforms.batch import batch
from thalweg.transforms.cost import cost
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import jvp, vjp

DTYPES = ("float32", "float64", "complex64", "complex128")
WIDE = ("float64", "complex128")


def function(body, *arrays):
    types = [tensor_type(as_dtype(a.dtype), a.shape) for a in arrays]

    def results(*args):
        found = body(*args)
        return found if isinstance(found, tuple) else items(found)

    return verify(build("f", types, results))


def apply(body, *arrays):
    found = run(function(body, *arrays), *arrays)
    return found if len(found) > 1 else found[0]


def matrices(shape, dtype, seed=0):
    """Entries in (-1, 1) on a spread diagonal: well conditioned, with distinct eigenvalues."""
    x = values(shape, as_dtype(dtype), -1, 1, seed)
    return (x + 1.5 * np.eye(*shape[-2:]) * (1 + np.arange(shape[-1]))).astype(dtype)


def positive(shape, dtype, seed=0):
    x = values(shape, as_dtype(dtype), -1, 1, seed)
    return (x @ transposed(x) + np.eye(shape[-1])).astype(dtype)


def transposed(x):
    return np.swapaxes(x, -1, -2).conj()


def epsilon(dtype):
    return float(np.finfo(dtype).eps)


def assert_near(found, wanted, dtype, factor=64):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    scale = max(1.0, np.max(np.abs(wanted), initial=0))
    assert np.max(np.abs(found - wanted), initial=0) <= factor * epsilon(dtype) * scale


def inner_product(xs, ys) -> float:
    return sum(float(np.sum((np.conj(x) * y).real)) for x, y in zip(xs, ys, strict=True))


def check_pullback(f, args, tolerance, seed=0):
    """The pullback of a Function against central differences along random directions."""
    random = np.random.default_rng(seed)

    def direction(a):
        step = random.standard_normal(a.shape)
        return (
            step + 1j * random.standard_normal(a.shape) if a.dtype.kind == "c" else step
        ).astype(a.dtype)

    weights = [direction(y) for y in run(f, *args)]
    pulled = run(vjp(f), *args, *weights)
    for index, arg in enumerate(args):
        step = direction(arg)
        up, down = (
            run(f, *(a + sign * 1e-6 * step if i == index else a for i, a in enumerate(args)))
            for sign in (1, -1)
        )
        slopes = [(a - b) / 2e-6 for a, b in zip(up, down, strict=True)]
        wanted, found = inner_product(weights, slopes), inner_product([pulled[index]], [step])
        assert abs(wanted - found) <= tolerance * max(1.0, abs(wanted), abs(found)), index
    return weights


def check_derivatives(body, *arrays):
    """First and second derivatives by differences; forward mode against reverse mode."""
    f = function(body, *arrays)
    weights = check_pullback(f, list(arrays), 2e-6)
    check_pullback(vjp(f), [*arrays, *weights], 2e-5)
    random = np.random.default_rng(1)
    tangents = [random.standard_normal(a.shape).astype(a.dtype) for a in arrays]
    outputs = run(jvp(f), *arrays, *tangents)[len(weights) :]
    pulled = run(vjp(f), *arrays, *weights)
    left, right = inner_product(weights, outputs), inner_product(pulled, tangents)
    assert abs(left - right) <= 1e-9 * max(1.0, abs(left))


# Identities ---------------------------------------------------------------------------------------

SQUARE = [(3, 3), (2, 4, 4), (2, 1, 2, 2), (1, 1), (0, 0), (0, 3, 3), (2, 0, 0)]
ANY = [*SQUARE, (4, 2), (2, 4), (3, 5, 2), (2, 3, 5), (0, 3), (3, 0), (0, 2, 3)]


@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky(dtype, shape):
    x = positive(shape, dtype)
    y = apply(cholesky, x)
    assert y.dtype == dtype
    assert_near(y @ transposed(y), x, dtype)
    np.testing.assert_array_equal(y, np.tril(y))
    assert (np.diagonal(y, axis1=-2, axis2=-1).real > 0).all()
    assert_near(y, np.linalg.cholesky(x), dtype)


@pytest.mark.parametrize("shape", ANY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_lu(dtype, shape):
    x = values(shape, as_dtype(dtype))
    packed, rows = apply(lu, x)
    m, n = shape[-2:]
    k = min(m, n)
    assert packed.dtype == dtype and rows.dtype == np.int32 and rows.shape == shape[:-1]
    lower = np.tril(packed[..., :, :k], -1) + np.eye(m, k, dtype=dtype)
    upper = np.triu(packed[..., :k, :])
    assert_near(lower @ upper, np.take_along_axis(x, rows[..., None], -2), dtype)
    # A pivot of the largest |re| + |im| bounds the quotients by sqrt(2).
    assert (np.abs(lower) <= (np.sqrt(2) if x.dtype.kind == "c" else 1)).all()
    np.testing.assert_array_equal(np.sort(rows, -1), np.broadcast_to(np.arange(m), rows.shape))


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (70, 70), (80, 40), (40, 80)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lu_is_the_one_of_lapack(dtype, shape):
    x = values(shape, as_dtype(dtype), seed="lapack")
    packed, rows = apply(lu, x)
    wanted, swaps = scipy.linalg.lu_factor(x)
    order = np.arange(shape[0])
    for step, other in enumerate(swaps):
        order[[step, other]] = order[[other, step]]
    np.testing.assert_array_equal(rows, order)
    assert_near(packed, wanted, dtype)


def test_lu_of_a_singular_matrix_is_finite():
    x = np.array([[0, 1, 2], [0, 2, 4], [0, 3, 5]], np.float64)
    packed, rows = apply(lu, x)
    lower, upper = np.tril(packed, -1) + np.eye(3), np.triu(packed)
    np.testing.assert_allclose(lower @ upper, x[rows])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", ANY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_qr(dtype, shape, full):
    x = values(shape, as_dtype(dtype))
    q, r = apply(lambda x: qr(x, full=full), x)
    m, n = shape[-2:]
    k = m if full else min(m, n)
    assert q.dtype == r.dtype == dtype
    assert q.shape == (*shape[:-1], k) and r.shape == (*shape[:-2], k, n)
    assert_near(q @ r, x, dtype)
    assert_near(transposed(q) @ q, np.broadcast_to(np.eye(k), (*shape[:-2], k, k)), dtype)
    np.testing.assert_array_equal(r, np.triu(r))
    imaginary = np.diagonal(r, axis1=-2, axis2=-1).imag
    assert np.max(np.abs(imaginary), initial=0) <= 64 * epsilon(dtype)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", ANY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_svd(dtype, shape, full):
    x = values(shape, as_dtype(dtype))
    u, s, vh = apply(lambda x: svd(x, full=full), x)
    m, n = shape[-2:]
    k = min(m, n)
    assert u.dtype == vh.dtype == dtype and s.dtype == x.real.dtype
    assert u.shape == (*shape[:-1], m if full else k)
    assert vh.shape == (*shape[:-2], n if full else k, n) and s.shape == (*shape[:-2], k)
    assert_near((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x, dtype)
    for each in (u, transposed(vh)):
        size = each.shape[-1]
        identity = np.broadcast_to(np.eye(size), (*shape[:-2], size, size))
        assert_near(transposed(each) @ each, identity, dtype)
    assert (s >= 0).all() and (np.diff(s, axis=-1) <= 0).all()
    assert_near(apply(svdvals, x), s, dtype)


@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_eigh(dtype, shape):
    x = values(shape, as_dtype(dtype))
    x = (x + transposed(x)) / 2
    w, v = apply(eigh, x)
    assert v.dtype == dtype and w.dtype == x.real.dtype
    assert_near((v * w[..., None, :]) @ transposed(v), x, dtype)
    identity = np.broadcast_to(np.eye(shape[-1]), shape)
    assert_near(transposed(v) @ v, identity, dtype)
    assert (np.diff(w, axis=-1) >= 0).all()
    assert_near(apply(eigvalsh, x), w, dtype)


@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_eig(dtype, shape):
    x = values(shape, as_dtype(dtype))
    w, v = apply(eig, x)
    wide = "complex64" if dtype in ("float32", "complex64") else "complex128"
    assert w.dtype == v.dtype == wide and w.shape == shape[:-1]
    assert_near(x @ v, v * w[..., None, :], dtype)
    assert_near(np.linalg.norm(v, axis=-2), np.ones(w.shape), dtype)
    found, wanted = np.sort_complex(apply(eigvals, x)), np.sort_complex(np.linalg.eigvals(x))
    assert_near(found, wanted, dtype, 1024)


@pytest.mark.parametrize("size", [0, 1, 3, 70])
@pytest.mark.parametrize("dtype", DTYPES)
def test_triangular_solve_is_the_one_of_scipy(dtype, size):
    # 70 rows make several panels; the triangle that is not read holds NaN.
    a = matrices((size, size), dtype) + np.eye(size, dtype=dtype) * size
    b = values((size, 3), as_dtype(dtype), seed="b")
    unread = np.full_like(a, np.nan)
    for lower, transpose, conjugate, unit in itertools.product((True, False), repeat=4):
        part = (np.tril(a) + np.triu(unread, 1)) if lower else (np.triu(a) + np.tril(unread, -1))
        if unit:
            part = part / max(size, 1)
            np.fill_diagonal(part, np.nan)
        attrs = {
            "lower": lower,
            "transpose": transpose,
            "conjugate": conjugate,
            "unit_diagonal": unit,
        }
        found = apply(lambda a, b, attrs=attrs: triangular_solve(a, b, **attrs), part, b)
        clean = np.where(np.isnan(part), 0, part)
        clean = clean.conj() if conjugate else clean
        clean = clean.T if transpose else clean
        wanted = scipy.linalg.solve_triangular(
            clean, b, lower=lower != transpose, unit_diagonal=unit
        )
        assert found.dtype == dtype
        assert_near(found, wanted, dtype, 256)


@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_solve_and_inverse(dtype, shape):
    a = matrices(shape, dtype)
    b = values((*shape[:-1], 2), as_dtype(dtype), seed="b")
    assert_near(a @ apply(solve, a, b), b, dtype, 256)
    assert_near(apply(inverse, a), np.linalg.inv(a), dtype, 256)


@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_determinants(dtype, shape):
    x = values(shape, as_dtype(dtype))
    wanted_sign, wanted_log = np.linalg.slogdet(x)
    sign, log = apply(slogdet, x)
    assert sign.dtype == dtype and log.dtype == x.real.dtype
    assert_near(sign, wanted_sign, dtype)
    assert_near(log, wanted_log, dtype, 256)
    assert_near(apply(det, x), np.linalg.det(x), dtype, 256)
    product = x @ apply(adjugate, x)
    assert_near(
        product, np.linalg.det(x)[..., None, None] * np.broadcast_to(np.eye(shape[-1]), shape),
        dtype, 1024,
    )  # fmt: skip


def test_sign_of_every_permutation():
    for order in itertools.permutations(range(4)):
        x = np.eye(4)[list(order)] * [1.0, 2.0, -3.0, 4.0]
        sign, log = apply(slogdet, x)
        assert sign == np.linalg.slogdet(x)[0]
        np.testing.assert_allclose(log, np.log(24))


def test_slogdet_of_a_singular_matrix():
    for dtype in DTYPES:
        x = np.array([[[1, 2], [2, 4]], [[0, 0], [0, 0]], [[0, 1], [1, 0]]], dtype)
        sign, log = apply(slogdet, x)
        np.testing.assert_array_equal(sign, [0, 0, -1])
        np.testing.assert_array_equal(log, [-np.inf, -np.inf, 0])
        np.testing.assert_array_equal(apply(det, x), [0, 0, -1])


def minors(x):
    """The adjugate, cofactor by cofactor."""
    size = len(x)
    y = np.zeros_like(x)
    for i, j in itertools.product(range(size), repeat=2):
        rest = np.delete(np.delete(x, j, 0), i, 1)
        y[i, j] = (-1) ** (i + j) * np.linalg.det(rest)
    return y


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_adjugate_and_gradient_of_det_for_every_rank(dtype, rank):
    x = values((4, rank), as_dtype(dtype)) @ values((rank, 4), as_dtype(dtype), seed=1)
    wanted = minors(x)
    assert_near(apply(adjugate, x), wanted, dtype, 1024)
    (slope,) = run(vjp(function(det, x)), x, np.ones((), dtype))
    assert_near(slope, transposed(wanted), dtype, 1024)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", WIDE)
def test_second_derivative_of_det_for_every_rank(dtype, rank):
    x = values((3, rank), as_dtype(dtype)) @ values((rank, 3), as_dtype(dtype), seed=1)
    check_pullback(vjp(function(det, x)), [x, np.ones((), dtype)], 1e-6)
    check_pullback(function(adjugate, x), [x], 1e-6)


def test_third_derivative_of_det():
    x = matrices((3, 3), "float64")
    second = vjp(vjp(function(det, x)))
    one = np.ones(())
    check_pullback(second, [x, one, values((3, 3), float64, seed=1)], 1e-5)


@pytest.mark.parametrize("dtype", WIDE)
def test_gradient_of_the_logarithm_is_the_inverse(dtype):
    x = matrices((2, 3, 3), dtype)
    (slope,) = run(vjp(function(lambda x: slogdet(x)[1], x)), x, np.ones(2))
    np.testing.assert_allclose(slope, transposed(np.linalg.inv(x)), atol=1e-13)
    check_derivatives(lambda x: slogdet(x)[1], x)
    check_derivatives(inverse, x)


def test_phase_of_a_complex_determinant_has_a_derivative():
    check_derivatives(lambda x: slogdet(x)[0], matrices((3, 3), "complex128"))


# What is read, what is NaN ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky_and_eigh_read_the_lower_triangle(dtype):
    x = positive((2, 3, 3), dtype)
    junk = np.tril(x) + np.triu(np.full_like(x, np.nan), 1)
    if x.dtype.kind == "c":
        junk = junk + 1j * np.eye(3, dtype=dtype)
    np.testing.assert_array_equal(apply(cholesky, junk), apply(cholesky, x))
    for op in (eigh, lambda x: (eigvalsh(x),)):
        found, wanted = apply(op, junk), apply(op, x)
        np.testing.assert_array_equal(found[0], wanted[0])
    x = x.astype("complex128" if x.dtype.kind == "c" else "float64")
    weight = values((2, 3, 3), as_dtype(x.dtype), seed="weight")
    (pulled,) = run(vjp(function(cholesky, x)), x, weight)
    np.testing.assert_array_equal(pulled, np.tril(pulled))
    (spread,) = run(vjp(function(lambda x: cholesky(symmetrize(x)), x)), x, weight)
    np.testing.assert_allclose(spread, transposed(spread))
    np.testing.assert_allclose(spread, (pulled + transposed(pulled)) / 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_matrix_that_is_not_positive_definite_gives_nan_alone(dtype):
    good = positive((3, 3), dtype)
    bad = [-good, np.ones((3, 3), dtype), np.full((3, 3), np.nan, dtype)]
    x = np.stack([good, *bad, good])
    y = apply(cholesky, x)
    assert np.isnan(y[1:4]).all()
    np.testing.assert_array_equal(y[[0, 4]], np.stack([np.linalg.cholesky(good)] * 2))
    assert np.isnan(apply(cholesky, -good)).all()
    assert np.isnan(apply(cholesky, x.reshape(5, 1, 3, 3))).sum() == np.isnan(y).sum()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_singular_system_gives_nan_alone(dtype):
    good = matrices((3, 3), dtype)
    a = np.stack([good, np.ones_like(good), good])
    b = values((3, 3, 2), as_dtype(dtype), seed="b")
    x = apply(solve, a, b)
    assert np.isnan(x[1]).all()
    np.testing.assert_array_equal(x[[0, 2]], np.linalg.solve(a[[0, 2]], b[[0, 2]]))
    assert np.isnan(apply(inverse, np.zeros((2, 2), dtype))).all()


def test_a_zero_on_the_diagonal_of_a_triangle_divides():
    a = np.array([[0.0, 0.0], [1.0, 2.0]])
    b = np.array([[1.0, 0.0], [1.0, 1.0]])
    found = apply(lambda a, b: triangular_solve(a, b, lower=True), a, b)
    np.testing.assert_array_equal(found, [[np.inf, np.nan], [-np.inf, np.nan]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_matrices_that_are_not_finite_give_nan_alone(dtype, wrong):
    good = matrices((3, 3), dtype)
    bad = good.copy()
    bad[2, 1] = wrong
    x = np.stack([good, bad, good])
    for op in (svd, svdvals, eigh, eigvalsh, eig, adjugate):
        found, wanted = function(op, x), function(op, good)
        for each, single in zip(run(found, x), run(wanted, good), strict=True):
            assert np.isnan(each[1]).all()
            np.testing.assert_array_equal(each[[0, 2]], np.stack([single] * 2))


def test_inputs_are_not_modified():
    x = matrices((2, 3, 3), "float64")
    x.flags.writeable = False
    b = x[:, :, :2]
    for op in (cholesky, lu, qr, svd, eigh, eig, det, adjugate, svdvals, eigvalsh, slogdet):
        apply(op, x)
    apply(solve, x, b)
    apply(lambda a, b: triangular_solve(a, b, lower=True), x, b)


# Derivatives in which signs and phases cancel -----------------------------------------------------


def weights_of(node):
    """Different real weights for the last axis, in the node's type."""
    size = node.shape[-1]
    row = literal(np.linspace(0.5, 2.0, size), node.dtype.real)
    return broadcast(row, shape=node.shape, axes=(node.type.rank - 1,))


def projector(u):
    """sum_i c[i] u[:, i] u[:, i]^H: free of signs and phases, but not of the order."""
    rank = u.type.rank
    first = sum_op(u, axes=(rank - 2,))
    return matmul(scale_columns(u, weights_of(full_like(first, 1))), adjoint(u))


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)])
@pytest.mark.parametrize("dtype", WIDE)
def test_derivatives_of_svd(dtype, shape):
    def body(x):
        u, s, vh = items(svd(x))
        polar = matmul(u, vh)
        curved = matmul(scale_columns(u, multiply(s, exp(s))), vh)
        return polar, curved, projector(u), projector(adjoint(vh)), s

    check_derivatives(body, matrices(shape, dtype))


@pytest.mark.parametrize("dtype", WIDE)
def test_derivatives_of_functions_of_singular_vectors_are_exact(dtype):
    # x^H x = v s^2 v^H, whose derivative is known in closed form.
    x = matrices((4, 3), dtype)
    weight = values((3, 3), as_dtype(dtype), seed="weight")

    def rebuilt(x):
        _, s, vh = items(svd(x))
        return matmul(scale_columns(adjoint(vh), multiply(s, s)), vh)

    (pulled,) = run(vjp(function(rebuilt, x)), x, weight)
    (wanted,) = run(vjp(function(lambda x: matmul(adjoint(x), x), x)), x, weight)
    np.testing.assert_allclose(pulled, wanted, atol=1e-12)


@pytest.mark.parametrize("dtype", WIDE)
def test_derivatives_of_eigh(dtype):
    def body(x):
        w, v = items(eigh(x))
        curved = matmul(scale_columns(v, exp(w)), adjoint(v))
        return curved, projector(v), w

    check_derivatives(body, matrices((3, 3), dtype))
    check_derivatives(lambda x: body(symmetrize(x)), matrices((2, 2, 2), dtype))


@pytest.mark.parametrize("name", ["real eigenvalues", "complex eigenvalues", "complex"])
def test_derivatives_of_eig(name):
    x = {
        "real eigenvalues": matrices((3, 3), "float64"),
        "complex eigenvalues": np.array([[1, -2, 0.3], [3, 0.5, 0.1], [0.2, -0.4, 2.5]]),
        "complex": matrices((2, 3, 3), "complex128"),
    }[name]
    assert np.iscomplexobj(np.linalg.eigvals(x)) == (name != "real eigenvalues")

    def body(x):
        w, v = items(eig(x))
        # The magnitudes depend on the norm of each vector, not on its phase.
        sizes = abs_op(v)
        return matmul(scale_columns(v, exp(w)), inverse(v)), projector(v), w, sizes

    check_derivatives(body, x)


@pytest.mark.parametrize("dtype", WIDE)
def test_eig_rebuilds_functions_whose_derivative_is_known(dtype):
    x = matrices((3, 3), dtype)
    weight = values((3, 3), complex128, seed="weight")

    def squared(x):
        w, v = items(eig(x))
        return matmul(scale_columns(v, multiply(w, w)), inverse(v))

    (pulled,) = run(vjp(function(squared, x)), x, weight)
    wide = function(lambda x: matmul(cast(x, dtype=complex128), cast(x, dtype=complex128)), x)
    (wanted,) = run(vjp(wide), x, weight)
    np.testing.assert_allclose(pulled, wanted, atol=1e-11)


def test_equal_singular_values_and_eigenvalues_keep_derivatives_finite():
    x = 2 * np.eye(3)
    nuclear = function(lambda x: sum_op(svdvals(x), axes=(0,)), x)
    np.testing.assert_allclose(run(vjp(nuclear), x, np.ones(()))[0], np.eye(3))
    squares = function(lambda x: sum_op(multiply(eigvalsh(x), eigvalsh(x)), axes=(0,)), x)
    np.testing.assert_allclose(run(vjp(squares), x, np.ones(()))[0], 4 * np.eye(3))

    def rebuilt(x):
        w, v = items(eigh(x))
        return matmul(scale_columns(v, w), adjoint(v))

    weight = values((3, 3), float64)
    for body in (
        rebuilt,
        lambda x: items(eigh(x)),
        lambda x: items(svd(x)),
        lambda x: items(eig(x)),
    ):
        f = function(body, x)
        results = run(f, x)
        pulled = run(vjp(f), x, *(np.ones_like(y) for y in results))
        assert np.isfinite(pulled[0]).all()
    # The part along each eigenvector is right, the part across them is that of the masked rule.
    (pulled,) = run(vjp(function(rebuilt, x)), x, weight)
    np.testing.assert_allclose(np.diagonal(pulled), np.diagonal(weight))


def test_full_svd_has_a_derivative_as_far_as_it_is_determined():
    x = matrices((4, 2), "float64")
    full = function(lambda x: items(svd(x, full=True))[1], x)
    thin = function(svdvals, x)
    weight = np.array([1.0, -2.0])
    np.testing.assert_allclose(run(vjp(full), x, weight), run(vjp(thin), x, weight))
    with pytest.raises(GradientError, match="use full=False"):
        vjp(function(lambda x: items(svd(x, full=True))[0], x))
    with pytest.raises(GradientError, match="use full=False"):
        vjp(function(lambda x: items(qr(x, full=True))[0], x))


@pytest.mark.parametrize("dtype", WIDE)
def test_qr_of_a_function_that_does_not_depend_on_signs(dtype):
    def body(x):
        q, r = items(qr(x))
        return matmul(q, adjoint(q)), matmul(adjoint(r), r), projector(q)

    for shape in ((3, 3), (4, 2), (2, 4)):
        check_derivatives(body, matrices(shape, dtype))


@pytest.mark.parametrize("dtype", WIDE)
def test_a_whole_chain_has_second_derivatives(dtype):
    # The negative log density of a normal distribution, up to a constant.
    x, b = positive((3, 3), dtype), values((3, 1), as_dtype(dtype), seed="b")

    def body(x, b):
        factor = cholesky(symmetrize(x))
        white = triangular_solve(factor, b, lower=True)
        energy = sum_op(real_part(matmul(adjoint(white), white)), axes=(0, 1))
        return add(energy, slogdet(symmetrize(x))[1])

    check_derivatives(body, x, b)


def real_part(x):
    return real(x) if x.dtype.is_complex else x


# Named sizes, batches, costs ----------------------------------------------------------------------

SYMBOLIC = {
    "cholesky": (cholesky, "square"),
    "lu": (lu, "square"),
    "qr": (qr, "square"),
    "svd": (svd, "square"),
    "svdvals": (svdvals, "square"),
    "eigh": (eigh, "square"),
    "eig": (eig, "square"),
    "det": (det, "square"),
    "adjugate": (adjugate, "square"),
    "inverse": (inverse, "square"),
    "slogdet": (slogdet, "square"),
    "svd, any": (svd, "any"),
    "qr, tall": (qr, "tall"),
    "qr, wide": (qr, "wide"),
    "lu, tall": (lu, "tall"),
    "lu, wide": (lu, "wide"),
}


@pytest.mark.parametrize("name", list(SYMBOLIC))
def test_one_function_serves_all_sizes(name):
    op, kind = SYMBOLIC[name]
    b, m, n = named("b"), named("m"), named("n")
    rows, columns = {
        "square": (n, n), "any": (m, n), "tall": (n + 2, n), "wide": (n, n + 2)
    }[kind]  # fmt: skip

    def body(x):
        found = op(x)
        return found if isinstance(found, tuple) else items(found)

    f = verify(build(name, [tensor_type(float64, (b, rows, columns))], body))
    pulled = verify(vjp(f))
    sizes = {
        "square": [(3, 3), (2, 2)],
        "any": [(3, 3), (4, 2), (2, 4)],
        "tall": [(3, 1), (4, 2)],
        "wide": [(1, 3), (2, 4)],
    }[kind]
    for shape in sizes:
        x = (
            positive((2, *shape), "float64")
            if kind == "square"
            else matrices((2, *shape), "float64")
        )
        static = function(op, x)
        found, wanted = run(f, x), run(static, x)
        for each, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(each, other, atol=1e-13)
        inexact = [y for y in wanted if y.dtype.kind in "fc"]
        weights = [values(y.shape, as_dtype(y.dtype), seed=i) for i, y in enumerate(inexact)]
        np.testing.assert_allclose(
            run(pulled, x, *weights), run(vjp(static), x, *weights), atol=1e-11
        )


def test_unknown_order_of_sizes_is_named_where_it_matters():
    m, n = named("m"), named("n")
    for op in (lu, qr):
        f = build(op.name, [tensor_type(float64, (m, n))], lambda x, op=op: items(op(x)))
        with pytest.raises(GradientError, match="which side"):
            vjp(f)
    with pytest.raises(ShapeError, match="which side"):
        build("f", [tensor_type(float64, (m, n))], linalg.diagonal)


@pytest.mark.parametrize("op", [solve, lambda a, b: triangular_solve(a, b, lower=True)])
def test_right_hand_sides_of_one_matrix_are_solved_together(op):
    a, b = matrices((3, 3), "float64"), values((5, 3, 2), float64)
    one = function(op, a, b[0])
    whole = verify(batch(one, (False, True), 5))
    assert not any(node.op is broadcast for node in postorder(whole.results))
    wanted = np.stack([run(one, a, each)[0] for each in b])
    np.testing.assert_allclose(run(whole, a, b)[0], wanted, atol=1e-14)


def test_costs_grow_with_the_cube():
    b, n = named("b"), named("n")
    square, rhs = tensor_type(float64, (b, n, n)), tensor_type(float64, (b, n, 4))
    expected = {cholesky: 72, lu: 144, qr: 576, svd: 5616, eigh: 1944, eig: 5400}
    for op, flops in expected.items():
        x = np.zeros((2, 6, 6))
        assert cost(function(op, x)).flops == 2 * flops
        assert cost(function(op, x.astype(complex))).flops == 8 * flops
        symbolic = cost(build("f", [square], lambda x, op=op: items(op(x)))).flops
        assert substitute(symbolic, {"b": 2, "n": 6}) == 2 * flops
    two = cost(build("f", [square, rhs], solve)).flops
    assert substitute(two, {"b": 1, "n": 6}) == 144 + 2 * 6 * 6 * 4
    assert cost(function(qr, np.zeros((2, 6)))).flops == cost(function(qr, np.zeros((6, 2)))).flops


# Helpers on nodes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4), (4, 2), (0, 2), (2, 2, 0)])
@pytest.mark.parametrize("dtype", ["int32", "float32", "complex64"])
def test_masks_and_diagonals(dtype, shape):
    x = values(shape, as_dtype(dtype), seed="mask")
    for offset in (-1, 0, 1, 2):
        lower = apply(lambda x, offset=offset: linalg.tril(x, offset), x)
        upper = apply(lambda x, offset=offset: linalg.triu(x, offset), x)
        np.testing.assert_array_equal(lower, np.tril(x, offset))
        np.testing.assert_array_equal(upper, np.triu(x, offset))
    row = apply(linalg.diagonal, x)
    np.testing.assert_array_equal(row, np.diagonal(x, axis1=-2, axis2=-1))
    np.testing.assert_array_equal(apply(linalg.trace, x), np.trace(x, axis1=-2, axis2=-1))
    embedded = apply(linalg.embed_diagonal, row)
    np.testing.assert_array_equal(embedded, row[..., None] * np.eye(row.shape[-1], dtype=dtype))
    np.testing.assert_array_equal(apply(linalg.matrix_transpose, x), np.swapaxes(x, -1, -2))
    np.testing.assert_array_equal(apply(adjoint, x), transposed(x))


def test_masks_stop_nan():
    x = np.full((2, 2), np.nan)
    np.testing.assert_array_equal(apply(linalg.tril, x), [[np.nan, 0], [np.nan, np.nan]])
    x = np.array([[1, np.nan], [np.nan, 2]])
    np.testing.assert_array_equal(apply(linalg.diagonal, x), [1, 2])
    assert apply(linalg.trace, x) == 3


def test_products_and_scales():
    x, y = values((2, 3, 4), complex128), values((2, 4, 5), complex128, seed=1)
    np.testing.assert_allclose(apply(matmul, x, y), x @ y)
    s, t = values((2, 4), float64), values((2, 3), float64)
    np.testing.assert_allclose(apply(scale_columns, x, s), x * s[:, None, :])
    np.testing.assert_allclose(apply(linalg.scale_rows, t, x), x * t[:, :, None])

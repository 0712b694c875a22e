"""Linear algebra against real Keras and NumPy."""

import jax
import numpy as np
import pytest
from tests.keras.ops.gradients import Case, Oracle, close, numbers
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.keras.ops import linalg as ops
from thalweg.keras.symbol import KerasTensor

theirs = real.ops
ROOT = numbers(2, 3, 3)
POSITIVE = ROOT @ ROOT.transpose(0, 2, 1) + np.eye(3, dtype="float32")
SQUARE = ROOT + 2 * np.eye(3, dtype="float32")

CASES = [
    Case("cholesky", (POSITIVE,), tolerance=1e-4),
    Case("cholesky", (POSITIVE,), {"upper": True}, tolerance=1e-4),
    Case("det", (SQUARE,), tolerance=1e-4),
    Case("inv", (SQUARE,), tolerance=1e-3),
    Case("solve", (SQUARE, numbers(2, 3, 4)), of=(0, 1), tolerance=1e-3),
    Case("solve", (SQUARE[0], numbers(3)), of=(0, 1), tolerance=1e-3, symbols=()),
    Case("solve_triangular", (SQUARE, numbers(2, 3, 4)), of=(0, 1), tolerance=1e-3),
    Case("solve_triangular", (SQUARE, numbers(2, 3)), {"lower": True}, (0, 1), tolerance=1e-3),
    Case("norm", (numbers(3, 4),)),
    Case("norm", (numbers(2, 3, 4),), {"axis": (0, 2), "ord": "fro"}),
    Case("norm", (numbers(2, 3, 4),), {"axis": 1, "ord": 3, "keepdims": True}),
    Case("norm", (numbers(2, 3, 4),), {"axis": (1, 2), "ord": "nuc"}, tolerance=1e-4),
    Case("norm", (numbers(2, 3, 4),), {"axis": (2, 1), "ord": 1}),
    Case("norm", (numbers(3, 4),), {"ord": 2}, tolerance=1e-4, symbols=()),
]
VALUES = [
    Case("norm", (numbers(5),), {"ord": order}, of=(), symbols=())
    for order in (0, 1, 2, -1, np.inf, -np.inf, 2.5)
] + [
    Case("norm", (numbers(4, 5),), {"ord": order, "keepdims": True}, of=(), symbols=())
    for order in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc")
] + [
    Case("lstsq", (numbers(5, 3), numbers(5)), of=(), symbols=(), tolerance=1e-4),
    Case("lstsq", (numbers(3, 5), numbers(3, 2)), {"rcond": 0.3}, (), (), tolerance=1e-4),
    Case("pinv", (numbers(2, 5, 3),), of=(), tolerance=1e-4),
    Case("pinv", (numbers(3, 5),), {"rcond": 0.5}, (), symbols=(), tolerance=1e-4),
    Case("svd", (numbers(2, 4, 3),), {"compute_uv": False}, (), tolerance=1e-4),
    Case("lu_factor", (numbers(2, 4, 4),), of=(), tolerance=1e-4),
    Case("lu_factor", (numbers(6, 4),), of=(), symbols=(), tolerance=1e-4),
    Case("lu_factor", (numbers(3, 2, 5),), of=(), tolerance=1e-4),
    Case("matrix_rank", (np.stack([np.ones((3, 2)), np.eye(3, 2)]).astype("float32"),), of=()),
    Case("matrix_rank", (numbers(2, 3, 4),), {"tol": 1.5}, ()),
]  # fmt: skip
oracle = Oracle(*CASES, *VALUES)


@pytest.mark.parametrize("case", CASES + VALUES, ids=str)
def test_values_and_derivatives(case):
    oracle.check(getattr(ops, case.name), case)


def test_factors_multiply_to_what_they_are_of():
    x = numbers(2, 4, 3)
    for mode in ("reduced", "complete"):
        q, r = ops.qr(x, mode)
        np.testing.assert_allclose(q @ r, x, atol=1e-5)
        wanted = theirs.qr(x, mode)
        assert [each.shape for each in (q, r)] == [each.shape for each in wanted]
    for full in (False, True):
        u, s, vh = ops.svd(x, full)
        np.testing.assert_allclose((u[..., :3] * s[:, None]) @ vh, x, atol=1e-5)
        assert [each.shape for each in (u, s, vh)] == [each.shape for each in theirs.svd(x, full)]
    values, vectors = ops.eigh(POSITIVE)
    np.testing.assert_allclose(
        (vectors * values[:, None]) @ tw.matrix_transpose(vectors), POSITIVE, atol=1e-4
    )
    values, vectors = ops.eig(SQUARE)
    np.testing.assert_allclose(SQUARE @ vectors.numpy(), vectors * values[:, None], atol=1e-4)
    assert ops.eig(KerasTensor((None, 3, 3)))[0].dtype == "complex64"


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_inverse(upper):
    factor = np.linalg.cholesky(POSITIVE)
    factor = factor.transpose(0, 2, 1).copy() if upper else factor
    np.testing.assert_allclose(
        ops.cholesky_inverse(factor, upper), np.linalg.inv(POSITIVE), rtol=1e-3, atol=1e-4
    )
    assert ops.cholesky_inverse(KerasTensor((None, 3, 3)), upper).shape == (None, 3, 3)


def test_cholesky_of_what_is_not_positive_definite():
    with pytest.raises(ArgumentError, match="Cholesky decomposition failed"):
        ops.cholesky(-POSITIVE)
    assert np.isnan(tw.function(lambda x: ops.cholesky(x))(-POSITIVE).numpy()).any()


@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (2, 5), (7, 4, 6)])
def test_pivots_undo_the_permutation(shape):
    x = numbers(*shape, seed=3)
    packed, pivots = (each.numpy() for each in tw.function(ops.lu_factor)(x))
    rows, columns = shape[-2:]
    small = min(rows, columns)
    for one, lu, exchanges in zip(
        x.reshape(-1, rows, columns), packed.reshape(-1, rows, columns), pivots.reshape(-1, small),
        strict=True,
    ):  # fmt: skip
        lower = np.tril(lu[:, :small], -1) + np.eye(rows, small)
        found = lower @ np.triu(lu[:small])
        for i in reversed(range(small)):
            found[[i, exchanges[i]]] = found[[exchanges[i], i]]
        np.testing.assert_allclose(found, one, atol=1e-5)


def test_integers_become_floats():
    x = np.array([[4, 1], [1, 3]])
    for name in ("cholesky", "det", "inv", "norm", "pinv", "eigh", "qr", "svd", "lu_factor"):
        found = getattr(ops, name)(x)
        found = found[0] if isinstance(found, tuple) else found
        assert found.dtype.name == "float32", name
        symbol = getattr(ops, name)(KerasTensor((2, 2), "int32"))
        symbol = symbol[0] if isinstance(symbol, tuple) else symbol
        assert symbol.dtype == "float32", name
    assert ops.solve(x, [1, 2]).dtype.name == "float32"
    assert ops.matrix_rank(x).dtype.name == "int32"


def test_jvp():
    def function(x, y):
        return {"a": x * y, "b": [tw.sin(x)]}

    value, change = ops.jvp(function, (1.0, [2.0, 3.0]), (0.5, [1.0, 0.0]))
    wanted = jax.jvp(
        lambda x, y: {"a": x * y, "b": [jax.numpy.sin(x)]},
        (1.0, np.array([2.0, 3.0], "float32")),
        (0.5, np.array([1.0, 0.0], "float32")),
    )
    close((value["a"], value["b"][0]), (wanted[0]["a"], wanted[0]["b"][0]))
    close((change["a"], change["b"][0]), (wanted[1]["a"], wanted[1]["b"][0]))
    value, change, aux = ops.jvp(lambda x: (x * x, {"n": x}), [3.0], [2.0], has_aux=True)
    assert (value.item(), change.item(), aux["n"].item()) == (9.0, 12.0, 3.0)
    found = ops.jvp(lambda x: (x, x.sum(axis=-1)), *((KerasTensor((None, 7)),),) * 2, has_aux=True)
    assert [each.shape for each in found] == [(None, 7), (None, 7), (None,)]


def test_shapes_of_symbols():
    x = KerasTensor((None, 4, 3))
    assert [each.shape for each in ops.lu_factor(x)] == [(None, 4, 3), (None, 3)]
    assert [each.shape for each in ops.qr(x, "complete")] == [(None, 4, 4), (None, 4, 3)]
    assert [each.shape for each in ops.svd(x)] == [(None, 4, 4), (None, 3), (None, 3, 3)]
    assert ops.svd(x, compute_uv=False).shape == (None, 3)
    assert ops.pinv(KerasTensor((None, None, 3))).shape == (None, 3, None)
    assert ops.matrix_rank(x).shape == (None,) and ops.norm(x, axis=1).shape == (None, 3)
    a = KerasTensor((None, 3, 3))
    assert ops.solve(a, KerasTensor((None, 3))).shape == (None, 3)
    assert ops.solve_triangular(a, KerasTensor((None, 3, 5))).shape == (None, 3, 5)
    assert ops.lstsq(KerasTensor((5, 7)), KerasTensor((5, 2))).shape == (7, 2)


X = numbers(3, 4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.cholesky(X), ShapeError, r"\[cholesky\] wants square.*\n.*\(3, 4\)"),
        (lambda: ops.det(KerasTensor((None, None, 3))), ShapeError, "Expected a square matrix"),
        (lambda: ops.svd(X[0]), ShapeError, "Input should have rank >= 2. Received: .*"),
        (lambda: ops.qr(X, "full"), ArgumentError, "Expected one of {'reduced', 'complete'}. "),
        (lambda: ops.qr(KerasTensor((None, 3))), ShapeError, "last 2 dimensions fully-defined"),
        (lambda: ops.solve(SQUARE, X), ShapeError, "Incompatible shapes between `a` and `b`"),
        (lambda: ops.solve(SQUARE[0], 1.0), ShapeError, "at least one axis"),
        (lambda: ops.solve_triangular(X, X), ShapeError, "square"),
        (lambda: ops.lstsq(X, X[:2]), ShapeError, "expected b.shape"),
        (lambda: ops.norm(X, ord=3), ArgumentError, "Invalid order '3' for matrix norm"),
        (lambda: ops.norm(X, ord="fro", axis=0), ArgumentError, "for vector norm"),
        (lambda: ops.norm(X, axis=2), ShapeError, "out of bounds"),
        (lambda: ops.norm(X, axis=(0, 0)), ShapeError, "duplicate value in 'axis'"),
        (lambda: ops.norm(np.ones((2, 2, 2)), ord=2), ShapeError, "Improper number of axes"),
        (lambda: ops.jvp(abs, 1.0, 1.0), ArgumentError, "a tuple as primals"),
        (lambda: ops.jvp(abs, (1.0,), ()), ArgumentError, "a tangent for each primal"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()

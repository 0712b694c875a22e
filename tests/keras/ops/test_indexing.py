"""Elements by place, by condition and along diagonals against real Keras, and vectorized calls."""

import itertools

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, S, array, check, check_symbols, fits, same
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    OutOfRangeError,
    ShapeError,
)
from thalweg.keras.ops.numpy import indexing as ops
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import Variable

PAIRS = list(itertools.combinations(DTYPES, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_take_of_every_type(dtype):
    x = array((2, 3, 4), dtype)
    for axis in (None, 0, 1, -1):
        check(ops.take, x, np.array([[0, 1], [-1, 0]], "int32"), axis=axis)
        check(ops.take, x, 1, axis=axis)
    check(ops.take_along_axis, x, np.array([[[1], [2], [-1]]], "int64"), axis=2)
    check(ops.take_along_axis, x, np.array([1, 5, -2], "int8"), axis=None)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64"])
def test_indices_of_every_type(dtype):
    x = array((4, 3))
    check(ops.take, x, np.array([3, 0], dtype), axis=0)
    check(ops.take_along_axis, x, np.array([[3, 0, 1]], dtype), axis=0)


def test_take_of_lists_and_variables():
    assert ops.take([10, 20, 30], [2, 0]).tolist() == [30, 10]
    table = Variable(array((5, 2)))
    assert ops.take(table, [[1, 2]], axis=0).shape == (1, 2, 2)


def test_take_refuses():
    x = np.ones((2, 3), "float32")
    with pytest.raises(DTypeError, match="cast"):
        ops.take(x, np.array([0.5]))
    with pytest.raises(OutOfRangeError):
        ops.take(x, np.array([7]), axis=0)
    for symbol in (np.ones, KerasTensor):
        with pytest.raises(ShapeError, match=r"same number|as many axes"):
            ops.take_along_axis(symbol((2, 3)), symbol((3,), dtype="int32"), axis=0)
        for function in (ops.take, ops.take_along_axis):
            with pytest.raises(ShapeError, match="axis 7 is out of bounds"):
                function(symbol((2, 3)), np.zeros((2, 3), "int32"), axis=7)


def test_take_symbols():
    for x in (S(None, 3), S(None, 3, None, 5, dtype="int8")):
        for indices in (1, [1, 2], [[1, 2], [1, 2]]):
            for axis in (None, 0, 1, -2):
                check_symbols(ops.take, x, indices, axis=axis)
        check_symbols(ops.take, x, S(6, None, dtype="int32"), axis=1)
    check_symbols(ops.take, S(None, 3), S(None, 4))
    for x, indices, axis in [
        (S(None, 3), S(1, 3), 0), (S(None, 3), S(1, 3), 1), (S(None, 3, 3), S(1, 3, None), 1),
        (S(2, 3), S(1, 4), 0), (S(2, 3), S(5), None), (S(None, 3), S(None), None),
        (S(3), S(1, 2), 0),
    ]:  # fmt: skip
        check_symbols(ops.take_along_axis, x, indices, axis=axis)


KEYS = [
    1, -1, np.s_[..., 0], np.s_[:, None], np.s_[None, ..., None], np.s_[1:], np.s_[:, 1:3],
    np.s_[::-1], np.s_[0, ..., 1:], np.s_[:, :, ::2], np.s_[5:], np.s_[:, -2:], np.s_[1, 2, 3], ...,
    np.s_[:, 2:1], (), np.s_[:, np.int64(1)],
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_get_item(key):
    x = array((4, 3, 5))
    found = ops.get_item(x, key)
    same(found, x[key], f"{key}")
    fits(ops.get_item(KerasTensor(x.shape), key), found, f"{key}")
    hidden = ops.get_item(KerasTensor((None, 3, None)), key)
    fits(hidden, found, f"{key}")
    if isinstance(key, (int, tuple)) and not any(
        isinstance(each, np.integer) for each in flat(key)
    ):
        check_symbols(ops.get_item, S(None, 3, None), key)
        check_symbols(ops.get_item, S(4, 3, 5, dtype="bool"), key)


def flat(key):
    return key if isinstance(key, tuple) else (key,)


def test_get_item_by_arrays():
    x = array((4, 3))
    mask = x > 0
    for key in (np.array([1, 0, -1]), mask, [0, 2], (slice(None), np.array([1, 1])), mask[:, 0]):
        same(ops.get_item(x, key), x[key], f"{key}")
    indices = KerasTensor((5, 2), dtype="int32")
    assert ops.get_item(KerasTensor((None, 3)), np.array([1, 0])).shape == (2, 3)
    assert ops.get_item(KerasTensor((None, 3)), indices).shape == (5, 2, 3)
    assert ops.get_item(KerasTensor((None, 3)), (..., indices)).shape == (None, 5, 2)


@pytest.mark.parametrize("key", [np.s_[:, 17], np.s_[..., 5, ...], np.s_[:, :, :, :], np.s_[0, -9]])
def test_get_item_refuses(key):
    with pytest.raises(ArgumentError):
        ops.get_item(KerasTensor((None, 5, 16)), key)
    with pytest.raises(IndexError):
        ops.get_item(np.ones((2, 5, 16)), key)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nonzero(dtype):
    x = array((3, 4), dtype)
    found = ops.nonzero(x)
    for one, two in zip(found, np.nonzero(x), strict=True):
        assert one.dtype.name == "int32"
        np.testing.assert_array_equal(one, two)
    check_symbols(ops.nonzero, S(None, 5, 6, dtype=dtype))


def test_unravel_index():
    for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32"):
        check(ops.unravel_index, np.array([[0, 5], [11, 23]], dtype), (2, 3, 4))
    for indices in ([0, 5, -1, -6], [7, 100, -100]):
        check(ops.unravel_index, np.array(indices, "int32"), (2, 3), on_jax=True)
    for shape in ((2, 3), (5, 6, 4), (None, 3)):
        check_symbols(ops.unravel_index, S(None, dtype="int32"), shape)
        check_symbols(ops.unravel_index, S(None, 3, dtype="int32"), shape)


def test_select():
    x = np.arange(6)
    for default in (42, 2.5, True):
        found = ops.select([x < 3, x > 3], [x.astype("int32"), (x**2).astype("int32")], default)
        np.testing.assert_allclose(found, np.select([x < 3, x > 3], [x, x**2], default))
    assert ops.select([x < 3], [x.astype("int8")], 5).dtype.name == "int8"
    for one, two in PAIRS:
        choices = [array((6,), one), array((6,), two, seed=1)]
        found = ops.select([x < 2, x > 3], choices, 1)
        assert found.dtype.name == real.backend.result_type(one, two, int)
        wanted = np.select([x < 2, x > 3], [each.astype("float64") for each in choices], 1)
        np.testing.assert_array_equal(found.numpy().astype("float64"), wanted)
    rows = np.array([[True], [False]])
    found = ops.select((rows, ~rows), (np.zeros(3, "float32"), np.ones((1, 3), "float32")))
    assert found.tolist() == [[0.0] * 3, [1.0] * 3]


def test_select_symbols_and_errors():
    x = KerasTensor((None, 3))
    condition = KerasTensor((None, 3), "bool")
    assert ops.select([condition, condition], [x, x], 42).shape == (None, 3)
    assert ops.select([condition], [x], KerasTensor((), "int32")).dtype == "float32"
    for given in (([], []), (condition, [x]), ([condition], x), ([condition], [x, x])):
        with pytest.raises(ArgumentError):
            ops.select(*given)


@pytest.mark.parametrize("dtype", DTYPES)
def test_diagonals_of_every_type(dtype):
    x = array((3, 4, 2), dtype, low=0, high=3)
    check(ops.diagonal, x)
    check(ops.trace, x)


@pytest.mark.parametrize(
    "options", [{}, {"offset": 1}, {"offset": -2}, {"offset": 9}, {"axis1": 2, "axis2": 0},
                {"axis1": -1, "axis2": -2, "offset": -1}], ids=str,
)  # fmt: skip
def test_diagonals(options):
    check(ops.diagonal, array((3, 4, 5)), **options)
    check(ops.trace, array((3, 4, 5)), **options)
    for x in (S(3, 4, 5), S(None, 3, 3), S(3, None, None, dtype="uint8")):
        check_symbols(ops.diagonal, x, **options)
        check_symbols(ops.trace, x, **options)


@pytest.mark.parametrize("function", [ops.diagonal, ops.trace], ids=lambda f: f.__name__)
def test_diagonals_refuse(function):
    for x in (np.ones((2, 3, 4)), KerasTensor((None, 3, 4))):
        with pytest.raises(ShapeError, match="different"):
            function(x, axis1=1, axis2=-2)
        with pytest.raises(ShapeError, match="axis 4 is out of bounds"):
            function(x, axis1=0, axis2=4)
    with pytest.raises(ShapeError):
        function(KerasTensor((3,)))


def test_vectorize_single_elements():
    add = ops.vectorize(lambda a, b: a + b)
    same(add(np.arange(3, dtype="float32"), np.float32(2)), np.array([2, 3, 4], "float32"), "add")
    found = add(np.ones((2, 1), "float32"), np.ones((3,), "float32"))
    assert found.shape == (2, 3)
    both = ops.vectorize(lambda x: (x + 1, {"twice": x * 2}["twice"]))(np.ones(4, "float32"))
    assert [each.tolist() for each in both] == [[2.0] * 4, [2.0] * 4]
    named = ops.vectorize(lambda a, b: a - b)(np.ones(3, "float32"), b=np.ones((2, 1), "float32"))
    assert named.shape == (2, 3)
    assert ops.vectorize(lambda a: a * 2)(3.0).item() == 6.0


def test_vectorize_by_signature():
    x, y = array((4, 1, 3)), array((2, 3), seed=1)
    inner = ops.vectorize(lambda a, b: tw.sum(a * b), signature="(n),(n)->()")
    np.testing.assert_allclose(inner(x, y), (x * y).sum(-1), rtol=1e-6)
    product = ops.vectorize(tw.matmul, signature="(m,n),(n)->(m)")
    matrices = array((5, 2, 3))
    np.testing.assert_allclose(product(matrices, y[0]), matrices @ y[0], rtol=1e-6)
    assert ops.vectorize(ops.trace, signature="(d,d)->()")(np.eye(4)).item() == 4
    split = ops.vectorize(lambda a: [a[0], a[1:]], signature="(n)->(),(m)")(x)
    assert [each.shape for each in split] == [(4, 1), (4, 1, 2)]


def test_vectorize_excluded():
    power = ops.vectorize(lambda x, n: x**n, excluded={1})
    assert power(np.array([1.0, 2.0], "float32"), 3).tolist() == [1.0, 8.0]
    named = ops.vectorize(lambda x, how: x + len(how), excluded={"how"})
    assert named(np.array([1.0, 2.0], "float32"), how="abc").tolist() == [4.0, 5.0]
    assert ops.vectorize(lambda x, y=None: x)(np.ones(2, "float32"), None).shape == (2,)


def test_vectorize_refuses():
    with pytest.raises(ArgumentError, match="`pyfunc` to be a callable"):
        ops.vectorize(3)
    with pytest.raises(ArgumentTypeError, match="excluded"):
        ops.vectorize(abs, excluded={1.5})
    with pytest.raises(ArgumentError, match="signature"):
        ops.vectorize(abs, signature="n->n")
    with pytest.raises(ShapeError, match="at least 1 axes"):
        ops.vectorize(tw.sum, signature="(n)->()")(3.0)
    with pytest.raises(ArgumentError, match="1 arguments"):
        ops.vectorize(tw.sum, signature="(n)->()")(np.ones(3), np.ones(3))

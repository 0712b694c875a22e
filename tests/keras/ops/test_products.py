"""Products against real Keras: values and types over pairs of types, symbols with None, errors."""

import itertools

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, S, array, check, check_symbols, same

from thalweg.base.errors import ShapeError
from thalweg.keras.ops.numpy import products as ops
from thalweg.keras.symbol import KerasTensor

BINARY = (
    ops.matmul, ops.dot, ops.inner, ops.outer, ops.vdot, ops.kron, ops.tensordot, ops.cross,
)  # fmt: skip
SHAPES = {"matmul": ((2, 3), (3, 4)), "dot": ((2, 3), (3, 4)), "tensordot": ((2, 3), (2, 3, 2))}
PAIRS = list(itertools.combinations(DTYPES, 2))


def operands(function, one, two):
    shapes = SHAPES.get(function.__name__, ((2, 3), (2, 3)))
    return array(shapes[0], one, high=3), array(shapes[1], two, seed=1, high=3)


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
def test_types_meet(function):
    for one, two in PAIRS[::4]:
        check(function, *operands(function, one, two))
    for one, two in PAIRS:
        x, y = (KerasTensor(each.shape, each.dtype.name) for each in operands(function, one, two))
        found = function(x, y)
        shapes = [S(*each.shape, dtype=each.dtype) for each in (x, y)]
        check_symbols(function, *shapes)
        assert found.dtype == function(*operands(function, one, two)).dtype.name


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [each for each in DTYPES if each != "bool"])
def test_equal_types(function, dtype):
    check(function, *operands(function, dtype, dtype))


@pytest.mark.parametrize(
    "function", [each for each in BINARY if each is not ops.cross], ids=lambda f: f.__name__
)
def test_booleans_are_and_and_or(function):
    x, y = operands(function, "bool", "bool")
    found = function(x, y)
    assert found.dtype.name == "bool"
    counted = function(x.astype("int32"), y.astype("int32"))
    np.testing.assert_array_equal(found, counted.numpy() != 0)


def test_only_int8_gives_int32():
    x, y = array((2, 3), "int8", low=90, high=120), array((3, 4), "int8", low=90, high=120)
    check(ops.matmul, x, y)
    assert ops.matmul(x, y).dtype.name == "int32"
    found = ops.einsum("ij,jk->ik", x, y)
    assert found.dtype.name == "int32"
    np.testing.assert_array_equal(found, x.astype("int32") @ y.astype("int32"))
    assert ops.dot(x, y).dtype.name == "int8"


@pytest.mark.parametrize(
    "shapes",
    [((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
     ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)), ((0, 3), (3, 2))],
    ids=str,
)  # fmt: skip
def test_matmul_of_stacks(shapes):
    check(ops.matmul, array(shapes[0]), array(shapes[1], seed=1))


@pytest.mark.parametrize(
    "shapes",
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 5, 3), (4, 3, 2)),
        ((), (2, 3)),
        ((3,), ()),
    ],
    ids=str,
)
def test_dot_of_ranks(shapes):
    check(ops.dot, array(shapes[0]), array(shapes[1], seed=1))


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 5, 3)), ((), (2, 3)), ((3,), ())], ids=str
)
def test_inner_of_ranks(shapes):
    check(ops.inner, array(shapes[0]), array(shapes[1], seed=1))


def test_python_numbers_are_weak():
    x = array((2, 3), "float16")
    assert ops.dot(x, 2).dtype.name == "float16"
    assert ops.outer(array((2,), "int8"), 3).dtype.name == "int8"
    assert ops.inner(2.0, array((3,), "int32")).dtype.name == "float32"
    assert ops.dot(KerasTensor((None, 3), "float16"), 2).dtype == "float16"


def test_complex_numbers():
    x, y = (array((3,)) + 1j * array((3,), seed=each) for each in (1, 2))
    x, y = x.astype("complex64"), y.astype("complex64")
    for function in (ops.vdot, ops.inner, ops.outer, ops.dot):
        same(function(x, y), getattr(np, function.__name__)(x, y), function.__name__)


def test_outer_kron_vdot_of_ranks():
    check(ops.outer, array((2, 3)), array((4, 5), seed=1))
    check(ops.outer, array((2, 3)), np.float32(2))
    check(ops.vdot, array((2, 3)), array((2, 3), seed=1))
    for shapes in (((2, 3), (4, 5)), ((2,), (3, 2)), ((2, 1, 2), (3,))):
        x, y = array(shapes[0]), array(shapes[1], seed=1)
        check(ops.kron, x, y)


@pytest.mark.parametrize(
    "axes", [0, 1, 2, ([0, 1], [0, 1]), ([1], [0]), (1, 2), [[0], [-1]]], ids=str
)
def test_tensordot(axes):
    shapes = {0: ((2, 3), (3, 2)), 1: ((2, 3), (3, 2)), 2: ((4, 2, 3), (2, 3, 5))}
    one, two = shapes[axes] if isinstance(axes, int) else ((2, 3), (2, 3, 3))
    if axes == ([1], [0]):
        two = (3, 4)
    if axes == [[0], [-1]]:
        two = (3, 2)
    check(ops.tensordot, array(one), array(two, seed=1), axes=axes)


CROSS = [
    ((2, 3), (2, 3), {}),
    ((4, 2), (4, 3), {}),
    ((4, 3), (4, 2), {}),
    ((4, 2), (4, 2), {}),
    ((3, 4), (3, 4), {"axis": 0}),
    ((3, 4), (4, 3), {"axisa": 0, "axisb": 1, "axisc": 0}),
    ((5, 1, 3), (4, 2), {}),
    ((3,), (6, 3), {"axisc": 0}),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("one", "two", "options"), CROSS, ids=str)
def test_cross(one, two, options):
    check(ops.cross, array(one), array(two, seed=1), **options)


EINSUM = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("...ij,...jk->...ik", (1, 2, 3), (6, 3, 4)),
    ("i...,...j->i...j", (2, 3, 4), (3, 4, 5)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("btnh,bsnh->bnts", (2, 3, 4, 5), (2, 6, 4, 5)),
    ("i...,...j,...k", (2, 3, 4), (3, 4, 5), (1, 1, 9)),
    ("ab,bc,cd->ad", (2, 3), (3, 4), (4, 5)),
]


@pytest.mark.parametrize("case", EINSUM, ids=lambda case: case[0])
def test_einsum(case):
    subscripts, *shapes = case
    xs = [array(shape, seed=place) for place, shape in enumerate(shapes)]
    wanted = np.einsum(subscripts, *xs)
    same(ops.einsum(subscripts, *xs), wanted, subscripts)
    same(ops.einsum(subscripts, *xs, optimize=True), wanted, subscripts)
    symbols = [S(*shape) for shape in shapes]
    check_symbols(ops.einsum, subscripts, *symbols)
    if subscripts != "ii->i":  # where one of the two is known, ours is known too
        hidden = [S(None, *shape[1:]) for shape in shapes]
        check_symbols(ops.einsum, subscripts, *hidden)


def test_einsum_of_types():
    for one, two in PAIRS[::3]:
        x, y = array((2, 3), one, high=3), array((3, 2), two, high=3)
        found = ops.einsum("ij,jk->ik", x, y)
        announced = ops.einsum("ij,jk->ik", *(KerasTensor(z.shape, z.dtype.name) for z in (x, y)))
        assert found.dtype.name == announced.dtype
        check_symbols(ops.einsum, "ij,jk->ik", S(2, 3, dtype=one), S(3, 2, dtype=two))


def test_einsum_refuses():
    for x in (np.ones((2, 3), "float32"), KerasTensor((None, 3))):
        with pytest.raises(ShapeError, match="3 axes"):
            ops.einsum("ijk,jk->ik", x, np.ones((3, 4), "float32"))
        with pytest.raises(ShapeError):
            ops.einsum("ij,jk->iz", x, np.ones((3, 4), "float32"))
        with pytest.raises(ShapeError):
            ops.einsum("ij,jk->ik", x, np.ones((5, 4), "float32"))


def test_symbols():
    for one, two in [
        (S(None, 3, 4), S(3, None, 4, 5)), (S(None, 3), S(3, 4)), (S(None, None), S(3, 4)),
        (S(3), S(3, None)), (S(2, None), S(None)), (S(2, 3), S(4, 5)),
        (S(None, 1, 2, 3), S(5, 3, 1)), (S(None), S(5)),
    ]:  # fmt: skip
        check_symbols(ops.matmul, one, two)
        check_symbols(ops.outer, one, two)
        check_symbols(ops.vdot, one, two)
    for one, two in [
        (S(None, 3), S(3, 2)), (S(None, 3), S(None, None, 2)), (S(None), S(5)), (S(2, 3), S(2, 3)),
        (S(None, 3), S(3)), (S(4, 3, 2), S(5, 2, None)),
    ]:  # fmt: skip
        check_symbols(ops.dot, one, two)
    check_symbols(ops.dot, S(None, 3), 2)
    for one, two in [(S(None), S(3)), (S(5, None), S(4, 3)), (S(), S(3)), (S(5, 3), S(4))]:
        check_symbols(ops.inner, one, two)
    check_symbols(ops.kron, S(None, 3), S(2, None))
    check_symbols(ops.tensordot, S(None, 3, 4), S(3, 4), axes=1)
    check_symbols(ops.tensordot, S(None, 3, 4), S(3, 4), axes=[[0, 1], [1, 0]])
    check_symbols(ops.tensordot, S(2, 3, 3), S(3, 3, 4), axes=[[1, 2], [0, 1]])
    check_symbols(ops.tensordot, S(2, 3), S(4, 3), axes=[[1], [0]])
    check_symbols(ops.cross, S(2, 3, 3), S(None, 1, 2))
    check_symbols(ops.cross, S(1, 3, 2), S(None, 1, 2))
    check_symbols(ops.cross, S(2, 3), S(2, 3, 4))
    check_symbols(ops.cross, S(4, 3, 3), S(2, 3, 3))


def test_a_sparse_product_of_sparse_symbols():
    x, y = (KerasTensor(shape, sparse=True) for shape in ((2, 3), (3, 4)))
    assert ops.matmul(x, y).sparse
    assert not ops.matmul(x, KerasTensor((3, 4))).sparse


def test_slogdet():
    x = np.stack([np.eye(3) * 2, -np.eye(3), np.zeros((3, 3))]).astype("float32")
    same(tuple(ops.slogdet(x)), tuple(np.linalg.slogdet(x)), "slogdet")
    sign, logarithm = ops.slogdet(np.array([[2, 0], [0, 3]], "int32"))
    assert (sign.item(), sign.dtype.name) == (1.0, "float32")
    assert logarithm.item() == pytest.approx(np.log(6))
    check_symbols(ops.slogdet, S(3, 3))
    check_symbols(ops.slogdet, S(2, None, 3, 3))
    with pytest.raises(ShapeError):
        ops.slogdet(KerasTensor((3,)))


@pytest.mark.parametrize("function", [ops.matmul, ops.dot, ops.inner], ids=lambda f: f.__name__)
def test_sizes_that_do_not_fit(function):
    for symbol in (np.ones, KerasTensor):
        with pytest.raises(ShapeError):
            function(symbol((2, 3)), symbol((4, 5)))

"""Operators and methods of tensors and variables: Python's and NumPy's as oracle."""

import copy
import itertools
import operator
import pickle
import sys

import numpy as np
import pytest

import thalweg
import thalweg.array.operators
from thalweg.array.creation import arange, asarray, full, ones, zeros
from thalweg.base.errors import ArgumentTypeError, DTypeError, ShapeError, ThalwegError
from thalweg.engine.tensor import Tensor
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable

ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
BITS = ["and_", "or_", "xor", "lshift", "rshift"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]

FLOATS = np.array([[1.5, 2.0, 0.5], [3.0, 4.0, 2.5]], np.float32)
WHOLE = np.array([[1, 2, 3], [4, 5, 6]])
FLAGS = np.array([[True, False, True], [False, True, False]])


def as_array(value):
    return value.numpy() if isinstance(value, (Tensor, Variable)) else value


def assert_same(found, wanted):
    assert isinstance(found, Tensor)
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    known = {"float64": "float32"}.get(wanted.dtype.name, wanted.dtype.name)
    assert found.dtype.name in (wanted.dtype.name, known)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("x", [FLOATS, WHOLE], ids=["float", "int"])
@pytest.mark.parametrize("name", ARITHMETIC + COMPARISONS)
def test_two_operands_in_every_combination(name, x):
    apply = getattr(operator, name)
    y = (x[0] + 1).astype(x.dtype)
    makers = [asarray, Variable, np.asarray, np.ndarray.tolist]
    for left, right in itertools.product(makers, repeat=2):
        a, b = left(x), right(y)
        if not any(isinstance(each, (Tensor, Variable)) for each in (a, b)):
            continue
        if x is FLOATS or name in COMPARISONS or list not in (type(a), type(b)):
            assert_same(apply(a, b), apply(x, y))
    for number in (2, np.asarray(2, x.dtype)[()]):
        assert_same(apply(asarray(x), number), apply(x, number))
        assert_same(apply(number, asarray(x)), apply(number, x))
        assert_same(apply(Variable(x), number), apply(x, number))
        assert_same(apply(number, Variable(x)), apply(number, x))


@pytest.mark.parametrize("name", BITS)
def test_bits_in_every_combination(name):
    apply = getattr(operator, name)
    for x in (WHOLE, FLAGS):
        if x is FLAGS and name.endswith("shift"):
            continue
        y = x[0]
        assert_same(apply(asarray(x), asarray(y)), apply(x, y))
        assert_same(apply(asarray(x), y), apply(x, y))
        assert_same(apply(y, asarray(x)), apply(y, x))
        number = True if x is FLAGS else 1
        assert_same(apply(asarray(x), number), apply(x, number))
        assert_same(apply(number, Variable(x)), apply(number, x))


@pytest.mark.parametrize("name", ["neg", "pos", "abs", "invert"])
def test_one_operand(name):
    apply = getattr(operator, name)
    x = FLAGS if name == "invert" else FLOATS - 2
    assert_same(apply(asarray(x)), apply(x))
    assert_same(apply(Variable(x)), apply(x))


def test_matmul():
    a, b = FLOATS, FLOATS.T
    for left, right in itertools.product([asarray, Variable, np.asarray], repeat=2):
        if left is right is np.asarray:
            continue
        assert_same(left(a) @ right(b), a @ b)
    assert_same(asarray(a) @ asarray(b[:, 0]), a @ b[:, 0])


def test_zeros_keep_their_signs():
    x = ones((1,))
    found = [x * 0.0, x * -0.0, x / 0.0, x / -0.0, 0.0 - (x - x), -0.0 - (x - x)]
    assert [str(each.numpy()) for each in found] == [
        "[0.]", "[-0.]", "[inf]", "[-inf]", "[0.]", "[-0.]",
    ]  # fmt: skip


def test_divmod():
    quotient, rest = divmod(asarray(WHOLE), 4)
    assert_same(quotient, WHOLE // 4)
    assert_same(rest, WHOLE % 4)
    quotient, rest = divmod(7, asarray(WHOLE))
    assert_same(quotient, 7 // WHOLE)
    assert_same(rest, 7 % WHOLE)


def test_unknown_operands_are_left_to_their_own_operator():
    class Other:
        def __radd__(self, x):
            return "theirs"

        def __lt__(self, x):
            return "less"

    assert asarray([1.0]) + Other() == "theirs"
    assert (asarray([1.0]) > Other()) == "less"
    assert Variable([1.0]) + Other() == "theirs"
    for wrong in ({}, "text", None, object()):
        with pytest.raises(TypeError, match="unsupported operand"):
            asarray([1.0]) + wrong
        with pytest.raises(TypeError, match="unsupported operand"):
            wrong - Variable([1.0])
    assert (asarray([1.0]) == None) is False  # noqa: E711
    assert (asarray([1.0]) != "text") is True


def test_equality_is_by_element_and_hash_by_handle():
    x, y = asarray([1.0, 2.0]), asarray([1.0, 2.0])
    assert (x == y).tolist() == [True, True]
    assert hash(x) != hash(y)
    table = {x: "x", y: "y", Variable([1.0, 2.0]): "v"}
    assert len(table) == 3
    assert table[x] == "x"
    v = Variable([1.0, 2.0])
    assert {v: 1}[v] == 1
    assert v in {v}
    assert 2 in x
    assert 3 not in x
    with pytest.raises(ShapeError, match="all\\(x\\) or any\\(x\\)"):
        [x].index(y)


# NumPy on the left --------------------------------------------------------------------------------


def test_numpys_functions_on_tensors_are_ours():
    x = asarray(FLOATS)
    for found, wanted in (
        (np.add(FLOATS, x), FLOATS + FLOATS),
        (np.add(x, FLOATS), FLOATS + FLOATS),
        (np.exp(x), np.exp(FLOATS)),
        (np.arctan2(x, 1.0), np.arctan2(FLOATS, 1)),
        (np.rint(x), np.rint(FLOATS)),
        (np.matmul(x, FLOATS.T), FLOATS @ FLOATS.T),
        (np.multiply(Variable(FLOATS), 2), FLOATS * 2),
        (np.float32(2) * x, 2 * FLOATS),
    ):
        assert_same(found, wanted)
    assert np.exp(x)._cell.buffer is None
    assert_same(function(lambda x: np.tanh(x))(FLOATS), np.tanh(FLOATS))


def test_numpys_other_functions_compute_on_the_values():
    x = asarray(FLOATS)
    mantissa, exponent = np.frexp(x)
    assert isinstance(mantissa, np.ndarray)
    np.testing.assert_array_equal(np.ldexp(mantissa, exponent), FLOATS)
    np.testing.assert_array_equal(np.add.reduce(x), FLOATS.sum(0))
    np.testing.assert_allclose(x, FLOATS)
    total = np.zeros((2, 3), np.float32)
    total += x
    np.testing.assert_array_equal(total, FLOATS)
    with pytest.raises(ArgumentTypeError, match="NumPy array as out"):
        np.add(x, x, out=x)
    with pytest.raises(ThalwegError, match="wants a value"):
        function(lambda x: np.frexp(x)[0])(FLOATS)


def test_numpys_methods_of_arrays_find_ours():
    x = asarray(FLOATS)
    for found, wanted in (
        (np.sum(x), FLOATS.sum()),
        (np.mean(x, axis=0), FLOATS.mean(0)),
        (np.std(x, ddof=1), FLOATS.std(ddof=1)),
        (np.var(x, axis=1, keepdims=True), FLOATS.var(axis=1, keepdims=True)),
        (np.max(x, axis=1), FLOATS.max(1)),
        (np.prod(x), FLOATS.prod()),
        (np.argmax(x, axis=1), FLOATS.argmax(1)),
        (np.any(x > 3), True),
        (np.all(x > 3), False),
        (np.squeeze(x[None]), FLOATS),
        (np.transpose(x), FLOATS.T),
    ):
        assert_same(found, wanted)


def test_numpy_conversion():
    x = asarray(FLOATS)
    assert type(np.asarray(x)) is np.ndarray
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.array(x).flags.writeable
    assert np.stack([x, x]).shape == (2, 2, 3)


# Methods ------------------------------------------------------------------------------------------

REDUCTIONS = ["sum", "mean", "prod", "min", "max", "std", "var", "argmin", "argmax"]


@pytest.mark.parametrize("make", [asarray, Variable], ids=["tensor", "variable"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(make, name):
    x = make(FLOATS)
    assert_same(getattr(x, name)(), getattr(FLOATS, name)())
    assert_same(getattr(x, name)(1), getattr(FLOATS, name)(1))
    assert_same(getattr(x, name)(axis=0, keepdims=True), getattr(FLOATS, name)(0, keepdims=True))
    assert getattr(x, name).__doc__


def test_reductions_with_more_words():
    x = asarray(WHOLE)
    assert x.sum(dtype="float64").dtype == "float64"
    assert x.prod(axis=0, dtype="int8").dtype == "int8"
    np.testing.assert_allclose(float(x.std(correction=1)), WHOLE.std(ddof=1), rtol=1e-6)
    assert (x > 3).any().item() is True
    assert (x > 3).all(axis=1).tolist() == [False, True]
    with pytest.raises(ArgumentTypeError, match="no out"):
        x.sum(out=np.zeros(()))


@pytest.mark.parametrize("make", [asarray, Variable], ids=["tensor", "variable"])
def test_shape_methods(make):
    x = make(FLOATS)
    assert_same(x.T, FLOATS.T)
    assert_same(x.mT, FLOATS.T)
    assert_same(x.reshape(3, 2), FLOATS.reshape(3, 2))
    assert_same(x.reshape((3, -1)), FLOATS.reshape(3, 2))
    assert_same(x.reshape(-1), FLOATS.reshape(-1))
    assert_same(x.transpose(), FLOATS.T)
    assert_same(x.transpose(1, 0), FLOATS.T)
    assert_same(x.transpose((0, 1)), FLOATS)
    assert_same(x.flatten(), FLOATS.ravel())
    assert_same(make(FLOATS[None]).squeeze(), FLOATS)
    assert_same(make(FLOATS[None]).squeeze(0), FLOATS)
    assert_same(make(FLOATS[None]).mT, FLOATS.T[None])
    assert_same(x.astype("int32"), FLOATS.astype("int32"))
    assert_same(x[0], FLOATS[0])
    assert_same(x[:, 1:], FLOATS[:, 1:])
    assert_same(x[..., None], FLOATS[..., None])
    assert [each.tolist() for each in x] == FLOATS.tolist()


def test_transposing_what_is_no_matrix_is_refused():
    with pytest.raises(ShapeError, match=r"Write x\.mT"):
        _ = zeros((2, 3, 4)).T
    with pytest.raises(ShapeError, match="two axes or more"):
        _ = zeros((3,)).mT


def test_devices_and_namespace():
    x = asarray(FLOATS)
    assert x.to_device("cpu") is x
    assert x.device == Variable(1.0).device == "cpu"
    with pytest.raises(ValueError, match="'gpu'"):
        x.to_device("gpu")
    assert x.__array_namespace__() is thalweg is sys.modules["thalweg"]
    assert x.__array_namespace__(api_version="2024.12") is thalweg
    with pytest.raises(ValueError, match="a version among"):
        x.__array_namespace__(api_version="1999.12")


def test_copies():
    x = asarray(FLOATS)
    assert copy.deepcopy(x) is x
    assert_same(pickle.loads(pickle.dumps(x + 1)), FLOATS + 1)


# Changing -----------------------------------------------------------------------------------------


def test_a_tensor_never_changes():
    x = y = asarray([1.0, 2.0])
    x += 1
    assert y.tolist() == [1, 2]
    assert x.tolist() == [2, 3]
    with pytest.raises(ArgumentTypeError, match=r"x = x\.at\[index\]\.set\(value\)"):
        y[0] = 5
    assert y.at[0].set(5).tolist() == [5, 2]
    assert y.at[1:].add(1.5).tolist() == [1, 3.5]


ASSIGNING = [
    ("iadd", 2), ("isub", 2), ("imul", 3), ("itruediv", 2), ("ifloordiv", 2), ("imod", 2),
    ("ipow", 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "by"), ASSIGNING)
def test_a_variable_changes_and_stays_a_variable(name, by):
    v = same = Variable(FLOATS)
    v = getattr(operator, name)(v, by)
    assert v is same
    assert isinstance(v, Variable)
    np.testing.assert_allclose(v.numpy(), getattr(operator, name)(FLOATS.copy(), by), rtol=1e-6)


@pytest.mark.parametrize("name", ["iand", "ior", "ixor", "ilshift", "irshift"])
def test_bits_of_a_variable_change(name):
    v = Variable(WHOLE)
    assert getattr(operator, name)(v, 1) is v
    np.testing.assert_array_equal(v.numpy(), getattr(operator, name)(WHOLE.copy(), 1))


def test_a_variable_keeps_its_type():
    v = Variable(WHOLE)
    with pytest.raises(DTypeError, match="Cast first"):
        v += 0.5
    with pytest.raises(ShapeError, match="Make a new variable"):
        v += np.zeros((2, 2, 3), int)
    v @= np.eye(3, dtype=int)
    np.testing.assert_array_equal(v.numpy(), WHOLE)
    with pytest.raises(TypeError, match="unsupported operand"):
        v += "text"
    np.testing.assert_array_equal(v.numpy(), WHOLE)


def test_assigning_methods_and_parts():
    v = Variable([1.0, 2.0, 3.0])
    assert v.assign_add([1, 1, 1]) is v
    assert v.assign_sub(0.5) is v
    assert v.value.tolist() == [1.5, 2.5, 3.5]
    v[1:] = 7
    v[0] += 1
    assert v.value.tolist() == [2.5, 7, 7]
    assert v.at[0].set(0).tolist() == [0, 7, 7]
    assert v.value.tolist() == [2.5, 7, 7]
    with pytest.raises(TypeError):
        v.assign_add("text")


def test_assigning_in_a_traced_function():
    v = Variable([1.0, 2.0])

    @function
    def step(x):
        nonlocal v
        v += x
        v[0] = 0.0
        return v * 2

    assert step(1.0).tolist() == [0, 6]
    assert step(1.0).tolist() == [0, 8]
    assert isinstance(v, Variable)
    assert v.value.tolist() == [0, 4]


def test_a_variable_has_what_its_tensor_has():
    v = Variable(FLOATS)
    assert v.size == 6
    assert v.itemsize == 4
    assert v.nbytes == 24
    assert v.is_traced is False
    assert v.tolist() == FLOATS.tolist()
    assert Variable(2.5).item() == 2.5
    assert complex(Variable(2j)) == 2j
    np.testing.assert_array_equal(np.from_dlpack(v), FLOATS)


# Named sizes and traces ---------------------------------------------------------------------------


def test_sizes_in_arithmetic_with_tensors():
    @function(shapes={"x": ("b", 3)})
    def f(x):
        b, c = x.shape
        return x.sum(0) / b, b * x[0], x.mean() - c, arange(b) % b == b - 1, b - arange(b)

    for length in (1, 4):
        x = np.full((length, 3), 2, np.float32)
        found = f(x)
        assert_same(found[0], x.sum(0) / length)
        assert_same(found[1], length * x[0])
        assert_same(found[2], x.mean() - np.float32(3))
        assert_same(found[3], np.arange(length) == length - 1)
        assert_same(found[4], length - np.arange(length))
    assert len(f.variants) == 1


def test_operators_in_a_trace_build_one_graph(golden):
    @function
    def f(x, y, n):
        z = (x @ y.T + 1) * n - 0.5
        return abs(-z) ** 2 > z, ~(z == z), z[0, 1:] // 2

    f(ones((2, 3)), ones((4, 3)), 2.0)
    golden("operators_trace", f.show("trace"))


def test_messages(golden):
    x, v = full((2, 3), 1.0), Variable(WHOLE, name="counts")

    def set_item(key, value):
        x[key] = value

    cases = [
        lambda: x + zeros((2,)),
        lambda: x & x,
        lambda: ~x,
        lambda: -(x > 0),
        lambda: zeros((2, 2, 2)).T,
        lambda: zeros((2,)).mT,
        lambda: set_item(0, 1.0),
        lambda: operator.iadd(v, 0.5),
        lambda: operator.imul(v, zeros((4, 2, 3), dtype="int64")),
        lambda: x.to_device("gpu"),
        lambda: x.__array_namespace__(api_version="2000.01"),
        lambda: x.sum(out=np.zeros(3)),
        lambda: np.add(x, x, out=x),
        lambda: full((2,), 1, dtype="uint8") - 300,
        lambda: full((2,), True) + full((2,), True),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("operators", "\n\n".join(lines))

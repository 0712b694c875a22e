"""keras.ops.nn: activations of elements and rows, against real Keras; types, symbols, refusals."""

import ml_dtypes
import numpy as np
import pytest
from tests.keras.ops.gradients import Case, Oracle, close, numbers

from thalweg.base.errors import ShapeError
from thalweg.keras.ops import nn
from thalweg.keras.symbol import KerasTensor

PLAIN = (
    "relu", "relu6", "sigmoid", "sparse_sigmoid", "softplus", "softsign", "soft_shrink",
    "sparse_plus", "silu", "squareplus", "log_sigmoid", "leaky_relu", "hard_sigmoid", "hard_silu",
    "elu", "selu", "gelu", "celu", "tanh_shrink", "hard_tanh", "hard_shrink", "glu", "softmax",
    "log_softmax", "sparsemax",
)  # fmt: skip
SETTINGS = (
    ("soft_shrink", {"threshold": 1.5}),
    ("squareplus", {"b": 0.5}),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("elu", {"alpha": 0.3}),
    ("celu", {"alpha": 2.5}),
    ("gelu", {"approximate": False}),
    ("hard_shrink", {"threshold": 0.0}),
    ("threshold", {"threshold": 0.3, "default_value": -2.0}),
    ("glu", {"axis": 1}),
    ("softmax", {"axis": 1}),
    ("softmax", {"axis": (1, 2)}),
    ("softmax", {"axis": None}),
    ("log_softmax", {"axis": 0}),
    ("log_softmax", {"axis": (0, 2)}),
    ("log_softmax", {"axis": None}),
    ("sparsemax", {"axis": 0}),
)
X = numbers(3, 4, 6) * 2
FAR = np.array([[-1e30, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e30, -np.inf]], "float32")
# These are 0 at minus infinity here, NaN there; rows with infinities are a matter of their own.
GATES = ("silu", "hard_silu", "gelu")
ROWS = ("softmax", "log_softmax", "glu")

ORACLE = Oracle(
    *(Case(name, (X,)) for name in PLAIN),
    *(Case(name, (X,), settings) for name, settings in SETTINGS),
    *(
        Case(name, (X[0].astype(dtype),), of=())
        for name in PLAIN
        for dtype in ("float16", ml_dtypes.bfloat16)
    ),
    *(
        Case(name, (FAR[:, :-1] if name in GATES else FAR,), of=())
        for name in PLAIN
        if name not in ROWS
    ),
    Case("relu", (np.array([[0, 1, 2], [5, 2, 1]], "uint8"),), of=()),
    Case("relu", (np.array([[True, False]]),), of=()),
    Case("hard_tanh", (np.array([[-3, 1, 2], [5, -1, 0]], "int32"),), of=()),
    Case("threshold", (np.array([[-2, 0, 3, 5]], "int32"), 1, -1), of=()),
    Case("nn.polar", (numbers(2, 3), numbers(2, 3, seed=1)), of=(), symbols=(0, 1)),
    Case("nn.polar", (np.array([1, 2], "int32"), np.array([2, 3], "int32")), of=(), symbols=()),
)


@pytest.mark.parametrize("case", ORACLE.cases, ids=str)
def test_as_in_keras(case):
    ORACLE.check(getattr(nn, case.name.split(".")[-1]), case)


@pytest.mark.parametrize("name", [each for each in PLAIN if each not in ("relu", "hard_tanh")])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_integers_become_float32(name, dtype):
    x = np.array([[0, 1, 2, 3, 2, 1], [5, 2, 1, 0, 7, 3]]).astype(dtype)
    close(getattr(nn, name)(x), getattr(nn, name)(x.astype("float32")).numpy())


@pytest.mark.parametrize("name", GATES)
def test_gates_are_closed_at_minus_infinity(name):
    assert getattr(nn, name)(FAR).numpy()[0, -1] == 0


def test_unsigned_integers_between_minus_one_and_one():
    x = np.array([0, 1, 2, 255], "uint8")
    np.testing.assert_array_equal(nn.hard_tanh(x).numpy(), np.array([0, 1, 1, 1], "uint8"))


def test_aliases():
    assert nn.swish is nn.silu
    assert nn.hard_swish is nn.hard_silu


def test_polar_in_double_precision():
    size, angle = numbers(2, 3).astype("float64"), numbers(2, 3, seed=1).astype("float64")
    close(nn.polar(size, angle), size * np.exp(1j * angle), 1e-14)


def test_lists_and_numbers():
    np.testing.assert_allclose(nn.relu([-1.0, 2.0]).numpy(), [0, 2])
    assert nn.relu(-3).numpy() == 0
    assert nn.sigmoid(0.0).dtype.name == "float32"


def test_softmax_of_one_class_warns_at_the_users_line():
    with pytest.warns(
        UserWarning, match=r"softmax over axis 1 of a tensor of shape \(1, 1\)"
    ) as got:
        nn.softmax(np.array([[1.0]]), 1)
    assert got[0].filename == __file__


@pytest.mark.parametrize(
    ("function", "axis"),
    [(nn.softmax, 10), (nn.log_softmax, -4), (nn.sparsemax, 3), (nn.glu, 5)],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
def test_axes_that_are_not_there(function, axis):
    for x in (X, KerasTensor((None, 4, 6))):
        with pytest.raises(ShapeError, match=f"axis {axis} is out of bounds"):
            function(x, axis=axis)


def test_glu_needs_halves():
    with pytest.raises(ShapeError, match="an even size along axis 1"):
        nn.glu(np.ones((2, 3)))


def test_symbols():
    x = KerasTensor((None, None, 4))
    for name in PLAIN:
        found = getattr(nn, name)(x)
        assert found.shape == ((None, None, 2) if name == "glu" else x.shape)
        assert found.dtype == "float32"

"""Operation: calls on values and on symbols, nodes, configs; and the operators of symbols."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import quiet
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ThalwegError
from thalweg.keras.tree import map_structure

ONES = np.ones((2, 3), "float32")


def scaled_class(package: Any) -> type:
    class Scaled(package.Operation):
        def __init__(self, factor: float, shift: float = 1.0, *, name: str | None = None):
            super().__init__(name=name)
            self.factor, self.shift = factor, shift

        def call(self, x: Any, y: Any = None) -> Any:
            x = x * self.factor + self.shift
            return x if y is None else (x, x + y)

    return Scaled


Scaled = scaled_class(keras)


def test_calls_on_values_and_symbols() -> None:
    made = Scaled(2.0, name="s")
    np.testing.assert_array_equal(made(keras.ops.convert_to_tensor(ONES)).numpy(), 3 * ONES)
    x, y = keras.KerasTensor((None, 3)), keras.KerasTensor((None, 3))
    first, second = made(x, y=y)
    assert first.shape == (None, 3) and second.dtype == "float32"
    assert made.input == [x, y] and made.output == [first, second]
    assert first._keras_history.operation is made and second._keras_history.tensor_index == 1
    assert Scaled(1.0)(x).shape == (None, 3)
    with pytest.raises(AttributeError, match="never been called"):
        _ = Scaled(1.0).input


def test_config_is_real_keras() -> None:
    found = [scaled_class(package)(0.5, name="s").get_config() for package in (keras, real)]
    assert found[0] == found[1] == {"name": "s", "factor": 0.5, "shift": 1.0}
    again = Scaled.from_config(found[0])
    assert again.get_config() == found[0]
    with pytest.raises(TypeError, match="from_config"):
        Scaled.from_config({"name": "s", "speed": 1})

    class Star(keras.Operation):
        def __init__(self, *args: Any):
            super().__init__()

    for unwritable in (Scaled(object()), Star(1, 2)):
        with pytest.raises(NotImplementedError, match="get_config"):
            unwritable.get_config()


def test_names_are_checked() -> None:
    for name in ("a/b", 3):
        with pytest.raises(ValueError, match="must be a string"):
            Scaled(1.0, name=name)


def test_an_operation_that_cannot_be_drawn_says_what_to_add() -> None:
    class Looks(keras.Operation):
        def call(self, x: Any) -> Any:
            return float(keras.ops.sum(x)) * x

    class Breaks(keras.Operation):
        def call(self, x: Any) -> Any:
            return x.colour

    with pytest.raises(ThalwegError, match="being traced and has types only"):
        Looks()(keras.KerasTensor((2, 3)))
    with pytest.raises(ValueError, match=r"breaks \(Breaks\)") as caught:
        Breaks(name="breaks")(keras.KerasTensor((2, 3)))
    assert "compute_output_spec()" in str(caught.value) and "colour" in str(caught.value)


BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.matmul, operator.and_, operator.or_, operator.xor, operator.lt,
    operator.le, operator.gt, operator.ge, operator.ne,
]  # fmt: skip
UNARY = [
    operator.neg,
    abs,
    operator.invert,
    lambda x: x[0],
    lambda x: x[..., 1:],
    lambda x: x[:, None],
]


def named(symbol: Any) -> tuple:
    """A symbol's shape and type, and the class and config of what made it."""
    made = symbol._keras_history.operation
    config = {key: str(value) for key, value in made.get_config().items() if key != "name"}
    return tuple(symbol.shape), symbol.dtype, type(made).__name__, config


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
def test_operators_of_two_are_real_keras_ops(function: Callable) -> None:
    dtype = "bool" if function in (operator.and_, operator.or_, operator.xor) else "float32"
    found = []
    for package in (keras, real):
        x, y = package.KerasTensor((3, 3), dtype), package.KerasTensor((3, 3), dtype)
        values = [function(x, y)]
        if dtype == "float32" and function is not operator.matmul:
            values += [function(x, 2), function(2.0, x)]
        found.append([named(each) for each in values])
    assert found[0] == found[1]


@pytest.mark.parametrize("function", UNARY)
def test_operators_of_one_are_real_keras_ops(function: Callable) -> None:
    dtype = "bool" if function is operator.invert else "float32"
    with quiet():
        ours, theirs = (named(function(p.KerasTensor((4, 3), dtype))) for p in (keras, real))
    assert ours[:3] == theirs[:3]


def test_every_unknown_size_is_one_size_while_shapes_are_worked_out() -> None:
    x = keras.KerasTensor((None, 4))
    assert (x + keras.KerasTensor((None, 1))).shape == (None, 4)
    assert keras.ops.concatenate([x, x], axis=0).shape == (None, 4)
    assert (x + keras.KerasTensor((5, 4))).shape == (5, 4)
    values = np.ones((5, 4), "float32")
    for other in (values, keras.ops.ones((5, 4)), keras.Variable(values)):
        assert (x + other).shape == keras.ops.maximum(other, x).shape == (5, 4)
        assert keras.ops.concatenate([x, other], axis=1).shape == (5, 8)
    shapes = map_structure(
        lambda s: s.shape, keras.ops.split(keras.KerasTensor((None, 6)), 2, axis=1)
    )
    assert list(shapes) == [(None, 3), (None, 3)]

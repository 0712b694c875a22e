"""What ops share: element types that meet, axes, and shapes in which a size may be unknown."""

import itertools

import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ShapeError
from thalweg.keras.ops import operands
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import Variable

NAMES = ("bool", "int8", "int32", "uint8", "uint32", "float16", "bfloat16", "float32", "complex64")


@pytest.mark.parametrize("one", NAMES)
def test_types_meet_as_in_keras(one):
    for two in (*NAMES, int, float):
        wanted = real.backend.result_type(one, two)
        other = two(1) if isinstance(two, type) else KerasTensor((), two)
        assert operands.common_dtype(KerasTensor((2,), one), other) == wanted
        assert operands.common_dtype(other, Variable(np.zeros(2), dtype=one)) == wanted


def test_what_is_a_number_and_what_has_a_type():
    assert operands.dtype_of(3) is int
    assert operands.dtype_of(np.float64(3)) == "float64"
    assert operands.dtype_of([1, 2]) == "int32"
    assert operands.dtype_of([1.0, 2]) == "float32"
    assert operands.common_dtype(np.int8(1), 300.5) == "float32"
    seen = []
    tw.function(lambda x: seen.append(operands.dtype_of(x)) or x * 1)(2.5)
    assert seen == [float]
    x, y = operands.tensors(np.ones(2, "float16"), 2)
    assert x.dtype.name == y.dtype.name == "float16"
    assert operands.floats(np.ones(2, "int8")).dtype.name == "float32"
    assert operands.floats(np.ones(2, "float64")).dtype.name == "float64"


def test_axes():
    assert operands.axes_of("op", (-1, 0), 3) == (2, 0)
    assert operands.axes_of("op", None, 3) is None
    assert operands.axis_of("op", np.int64(-3), 3) == 0
    for axis in (3, -4, 1.5, "0"):
        with pytest.raises(ShapeError, match=rf"axis {axis} is out of bounds"):
            operands.axis_of("op", axis, 3)


SIZES = (None, 1, 2, 3)


def test_broadcast_shapes_as_keras_does():
    theirs = real.src.ops.operation_utils.broadcast_shapes
    shapes = [*itertools.product(SIZES, repeat=2), *((size,) for size in SIZES), ()]
    for one, two in itertools.product(shapes, repeat=2):
        try:
            wanted = tuple(theirs(one, two))
        except ValueError:
            with pytest.raises(ShapeError, match="broadcast"):
                operands.broadcast("op", one, two)
            continue
        assert operands.broadcast("op", one, two) == wanted, (one, two)
    assert operands.broadcast("op") == ()
    assert operands.broadcast("op", (0,), (1,)) == (0,)
    assert operands.broadcast("op", (None, 1), (3,), (2, 1, 1)) == (2, None, 3)


def test_fitted_shapes():
    assert operands.fitted("op", [(None, 3), (2, None)]) == [2, 3]
    assert operands.fitted("op", [(4, 3), (2, None)], free=0) == [None, 3]
    for shapes in ([(2, 3), (3, 3)], [(2, 3), (2, 3, 1)]):
        with pytest.raises(ShapeError, match="equal shape"):
            operands.fitted("op", shapes)


def test_counts():
    assert operands.count((2, 3)) == 6
    assert operands.count((2, None)) is None
    assert operands.count(()) == 1
    assert operands.total((2, 3)) == 5
    assert operands.total((2, None)) is None

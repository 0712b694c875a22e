"""Conversions, slices and scattered writes against real Keras."""

import numpy as np
import pytest
from tests.keras.ops.gradients import close
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError
from thalweg.keras.ops import core as ops
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import Variable

theirs = real.ops
X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")


def test_shape_and_dtype_of_everything():
    for x in (X, ops.convert_to_tensor(X), Variable(X), KerasTensor((3, 4, 5))):
        assert ops.shape(x) == (3, 4, 5) and type(ops.shape(x)) is tuple
        assert ops.dtype(x) == "float32"
    assert ops.shape(KerasTensor((None, 2))) == (None, 2)
    assert ops.shape([[1, 2]]) == (1, 2) and ops.dtype(3) == "int32"


def test_shape_in_a_traced_function_has_named_sizes():
    @tw.function
    def flat(x):
        first, *rest = ops.shape(x)
        assert rest == [4, 5]
        return ops.slice(x, [0, 0, 0], [first, 2, 5])

    for size in (3, 2, 6):
        x = np.random.default_rng(size).normal(size=(size, 4, 5)).astype("float32")
        np.testing.assert_array_equal(flat(x), x[:, :2])


def test_is_tensor():
    assert ops.is_tensor(ops.convert_to_tensor(1.0))
    for x in (X, 1.0, [1.0], Variable(X), KerasTensor((1,))):
        assert not ops.is_tensor(x)


@pytest.mark.parametrize("x", [True, 3, 2.5, [1, 2], [1, 2.5], [], [[True], [False]], 1 + 2j])
def test_convert_to_tensor_of_numbers(x):
    close(ops.convert_to_tensor(x), theirs.convert_to_tensor(x))


def test_convert_to_tensor_keeps_what_is_said():
    for dtype in ("int8", "float64", "bfloat16", "uint64"):
        assert ops.convert_to_tensor(np.ones(2, "float32"), dtype).dtype.name == dtype
    assert ops.convert_to_tensor(np.ones(2)).dtype.name == "float64"
    assert ops.convert_to_tensor((1, ops.convert_to_tensor(2), 3)).tolist() == [1, 2, 3]
    symbol = KerasTensor((2, None), "int32", sparse=True)
    assert ops.convert_to_tensor(symbol).sparse
    assert not ops.convert_to_tensor(symbol, sparse=False).sparse
    assert ops.convert_to_tensor(symbol, dtype="float16").dtype == "float16"
    with pytest.raises(TypeError):
        ops.convert_to_tensor("text")


def test_convert_to_numpy_can_be_written_to():
    for x in (ops.convert_to_tensor(X), Variable(X), X, [1.0, 2.0]):
        found = ops.convert_to_numpy(x)
        found[0] = 9
        assert isinstance(found, np.ndarray)
    assert not (ops.convert_to_tensor(X).numpy() == 9).any()
    with pytest.raises(ValueError, match="symbolic"):
        ops.convert_to_numpy(KerasTensor((2,)))


NUMBERS = np.array([-300.7, -1.0, -0.5, 0.0, 0.5, 1.0, 257.2, 7e4, 3e9, np.inf, -np.inf, np.nan])
TARGETS = ["bool", "int8", "uint8", "int16", "uint16", "int32", "float16", "bfloat16", "float32"]


@pytest.mark.parametrize("dtype", TARGETS)
def test_saturate_cast(dtype):
    x = NUMBERS.astype("float32")
    x = x[np.isfinite(x)] if dtype == "bool" else x
    close(ops.saturate_cast(x, dtype), theirs.saturate_cast(x, dtype))
    for source in ("int32", "uint8", "bool"):
        x = np.array([-400, -1, 0, 1, 130, 60000]).astype(source)
        # Real Keras overflows on the way from integers to floats.
        other = theirs.cast if "float" in dtype else theirs.saturate_cast
        close(ops.saturate_cast(x, dtype), other(x, dtype), what=source)
    assert ops.saturate_cast(KerasTensor((None, 2)), dtype).dtype == dtype


@pytest.mark.parametrize("dtype", TARGETS)
def test_cast(dtype):
    x = np.array([-3.7, -1.0, 0.0, 0.4, 2.5, 100.0], "float32")
    x = np.abs(x) if dtype.startswith("u") else x
    close(ops.cast(x, dtype), theirs.cast(x, dtype))
    close(ops.cast(3, dtype), theirs.cast(3, dtype))


def test_saturate_cast_of_large_integers():
    assert ops.saturate_cast([70000, -70000], "float16").tolist() == [65504.0, -65504.0]
    assert ops.saturate_cast(np.array([2**63], "uint64"), "int64").tolist() == [2**63 - 1]


def test_cast_drops_the_imaginary_part_and_refuses_unknown_types():
    assert ops.cast([1 + 2j], "float32").tolist() == [1.0]
    assert ops.cast([0j, 1j], "bool").tolist() == [False, True]
    assert ops.saturate_cast([1 + 2j], "int32").tolist() == [1]
    with pytest.raises(ValueError, match="Invalid dtype: foo"):
        ops.cast(KerasTensor((2,)), "foo")


def test_stop_gradient():
    slope = tw.grad(lambda x: (x * ops.stop_gradient(x)).sum())(tw.asarray([2.0, 3.0]))
    assert slope.tolist() == [2.0, 3.0]
    assert ops.stop_gradient(Variable(2.0)).item() == 2.0
    nested = ops.stop_gradient({"a": [1.0, 2.0]})
    assert nested["a"][1].item() == 2.0


def test_custom_gradient():
    @ops.custom_gradient
    def clipped(x, scale=1.0):
        return x * scale, lambda upstream: upstream * 10

    assert clipped(tw.asarray(3.0)).item() == 3.0
    assert tw.grad(lambda x: clipped(x) * 2)(tw.asarray(3.0)).item() == 20.0
    variable = Variable(3.0)
    with tw.GradientTape() as tape:
        y = clipped(variable) * 2
    assert tape.gradient(y, variable).item() == 20.0


def test_unstack():
    for axis in (0, 1, -1):
        found = ops.unstack(X, axis=axis)
        assert type(found) is list
        close(found, theirs.unstack(X, axis=axis))
    symbols = ops.unstack(KerasTensor((None, 3, 2)), axis=1)
    assert [each.shape for each in symbols] == [(None, 2)] * 3
    with pytest.raises(ArgumentError, match="Cannot infer argument `num`"):
        ops.unstack(KerasTensor((2, None)), axis=1)
    assert len(ops.unstack(KerasTensor((2, None)), num=4, axis=1)) == 4
    with pytest.raises(ArgumentError, match="num"):
        ops.unstack(X, num=2)
    with pytest.raises(ShapeError, match="axis 5 is out of bounds"):
        ops.unstack(X, axis=5)


INDICES = {
    "rows": (np.array([[1], [0], [1]]), (3, 5), (4, 5)),
    "elements": (np.array([[0, 1], [2, 0], [0, 1]]), (3,), (3, 4)),
    "matrix of indices": (np.array([[[0, 1], [2, 0]]]), (1, 2, 5), (3, 4, 5)),
    "outside and from the end": (np.array([[7], [-1], [0]]), (3, 2), (4, 2)),
    "none": (np.zeros((0, 1), "int32"), (0, 2), (4, 2)),
}


@pytest.mark.parametrize("name", INDICES)
def test_scatter(name):
    indices, values, shape = INDICES[name]
    values = np.random.default_rng(1).normal(size=values).astype("float32")
    indices = indices.astype("int32")
    close(ops.scatter(indices, values, shape), theirs.scatter(indices, values, shape))
    if name == "matrix of indices":
        return  # real Keras on JAX does not know it here
    whole = np.random.default_rng(2).normal(size=shape).astype("float32")
    for reduction in (None, "add", "max", "min", "mul"):
        if reduction is None and name in ("rows", "elements"):
            continue  # which of two values for one place stays is open
        close(
            ops.scatter_update(whole, indices, values, reduction),
            theirs.scatter_update(whole, indices, values, reduction),
            what=str(reduction),
        )


def test_scatter_has_derivatives_and_refuses():
    indices = [[0], [2], [0]]
    slope = tw.grad(lambda v: (ops.scatter(indices, v, (3,)) ** 2).sum())(tw.asarray([1.0, 2, 3]))
    assert slope.tolist() == [8.0, 4.0, 8.0]
    slope = tw.grad(lambda x: (ops.scatter_update(x, [[1]], [5.0]) ** 2).sum())(
        tw.asarray([1.0, 2])
    )
    assert slope.tolist() == [2.0, 0.0]
    assert ops.scatter_update(np.zeros(3, "int32"), [[0]], [1.5]).tolist() == [1, 0, 0]
    assert (
        ops.scatter(KerasTensor((5, 2), "int32"), KerasTensor((5,), "int8"), (4, 4)).dtype == "int8"
    )
    with pytest.raises(ValueError, match="Invalid reduction: foo"):
        ops.scatter_update(np.zeros(3), [[0]], [1.0], "foo")
    with pytest.raises(ShapeError, match="at most 1 numbers"):
        ops.scatter_update(np.zeros(3), [[0, 1]], [1.0])
    with pytest.raises(DTypeError):
        ops.scatter(np.array([[0.5]]), [1.0], (3,))


@pytest.mark.parametrize(
    ("start", "size"),
    [
        ([0, 1, 2], [3, 2, 3]),
        ([1, 1, 1], [-1, -1, -1]),
        ([2, 3, 4], [3, 4, 5]),
        ([-1, -2, 0], [1, 2, 5]),
        ([0, 0, 0], [0, 4, 5]),
    ],
)
def test_slice(start, size):
    wanted = theirs.slice(X, np.array(start), size)
    for given in (start, tuple(start), np.array(start), ops.convert_to_tensor(start)):
        close(ops.slice(X, given, size), wanted)
    if -1 not in size:
        traced = tw.function(lambda x, at: ops.slice(x, at, size))
        close(traced(X, np.array(start, "int32")), wanted)
        update = np.full(size, 7.5, "float32")
        updated = theirs.slice_update(X, np.array(start), update)
        close(ops.slice_update(X, start, update), updated)
        close(tw.function(ops.slice_update)(X, np.array(start, "int32"), update), updated)


def test_slices_of_symbols_and_refusals():
    assert ops.slice(KerasTensor((3, 3)), KerasTensor((2,), "int32"), (2, 2)).shape == (2, 2)
    assert ops.slice(KerasTensor((None, 3)), (1, 1), (-1, -1)).shape == (None, 2)
    assert ops.slice(KerasTensor((3, 3)), KerasTensor((2,)), (-1, -1)).shape == (None, None)
    assert ops.slice_update(
        KerasTensor((4, None)), KerasTensor((2,)), KerasTensor((2, 2))
    ).shape == (
        4,
        None,
    )
    with pytest.raises(ShapeError, match="must match the number of dimensions in `shape`"):
        ops.slice(KerasTensor((3, 3)), (1, 1), (1, 1, 1))
    with pytest.raises(ShapeError, match="in `start_indices` must match"):
        ops.slice_update(KerasTensor((3, 3)), (1, 1, 1), KerasTensor((1, 1)))
    with pytest.raises(ShapeError, match="sizes up to"):
        ops.slice(X, [0, 0, 0], [4, 1, 1])
    with pytest.raises(ArgumentError, match="known starts"):
        tw.function(lambda x, at: ops.slice(x, at, [-1]))(X[0, 0], np.array([1]))
    slope = tw.grad(lambda x: ops.slice(x, [1], [2]).sum())(tw.ones((4,)))
    assert slope.tolist() == [0.0, 1.0, 1.0, 0.0]

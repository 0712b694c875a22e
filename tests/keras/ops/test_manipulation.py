"""Shapes, orders, joins, splits, copies and padding against real Keras, with sizes unknown too."""

import itertools

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, S, array, check, check_symbols, computed, same

import thalweg as tw
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError
from thalweg.keras.ops.numpy import manipulation as ops
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import Variable

PAIRS = list(itertools.combinations(DTYPES, 2))
JOINING = (ops.concatenate, ops.stack, ops.hstack, ops.vstack, ops.dstack)


def both(*shape):
    """An array, and a symbol whose first size is not known."""
    return np.ones(shape, "float32"), KerasTensor((None, *shape[1:]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_stays(dtype):
    x = array((2, 3, 1), dtype)
    check(ops.reshape, x, (3, -1))
    check(ops.transpose, x)
    check(ops.moveaxis, x, 0, 2)
    check(ops.swapaxes, x, 0, 1)
    check(ops.expand_dims, x, 1)
    check(ops.squeeze, x)
    check(ops.ravel, x)
    check(ops.broadcast_to, x, (2, 2, 3, 4))
    check(ops.split, x, 3, axis=1)
    check(ops.array_split, x, 2, axis=1)
    check(ops.flip, x, axis=0)
    check(ops.roll, x, 1, axis=1)
    check(ops.rot90, x)
    check(ops.repeat, x, 2, axis=1)
    check(ops.tile, x, (2, 1))
    check(ops.pad, x, 1)


# Shapes -------------------------------------------------------------------------------------------


def test_ndim_and_size():
    for x in (np.ones((2, 3)), [[1, 2, 3], [4, 5, 6]], tw.ones((2, 3))):
        assert ops.ndim(x) == 2
        assert ops.size(x) == 6
    assert ops.ndim(5) == 0
    check_symbols(ops.ndim, S(None, 3))
    check_symbols(ops.size, S(None, 3))


@pytest.mark.parametrize(
    ("x", "newshape"),
    [
        (S(2, 3), (3, 2)), (S(2, 3), (-1,)), (S(2, 3), (6,)), (S(2, 3), (-1, 1, 2)),
        (S(2, 3), (4, -1)), (S(2, 3), (5,)), (S(None, 3), (3, 2)), (S(None, 3), (3, -1)),
        (S(None, 3), (-1,)), (S(None, None), (-1, 2, 4)), (S(None, 3), (None, 3)), (S(), (1, 1)),
        (S(0, 3), (0, 7)), (S(0, 3), (0, -1)), (S(None, 4, 2, dtype="int8"), (-1, 8)),
    ],
    ids=str,
)  # fmt: skip
def test_reshape_of_symbols(x, newshape):
    check_symbols(ops.reshape, x, newshape)


def test_reshape():
    x = array((2, 6))
    for newshape in ((3, 4), (-1,), (2, -1, 3), (12,), [4, 3], np.array([3, 4])):
        check(ops.reshape, x, newshape)
    assert ops.reshape(x, -1).shape == (12,)
    assert ops.reshape(x, (None, 4)).shape == (3, 4)
    assert ops.reshape(x, tw.asarray([3, 4])).shape == (3, 4)
    assert ops.reshape(x, (ops.size(x), 1)).shape == (12, 1)
    assert ops.reshape(Variable(x), (4, 3)).shape == (4, 3)


def test_reshape_with_a_symbolic_shape():
    shape = KerasTensor((2,), dtype="int32")
    assert ops.reshape(KerasTensor((None, 20)), shape).shape == (None, None)
    found = ops.reshape(KerasTensor((None, 20)), (None, KerasTensor((), dtype="int32")))
    assert found.shape == (None, None)
    assert ops.reshape(np.zeros((20,)), shape).shape == (None, None)


def test_reshape_in_a_function_of_any_batch():
    flat = tw.function(lambda x: ops.reshape(x, (-1, 6)))
    for batch in (2, 4, 7):
        assert flat(np.ones((batch, 2, 3), "float32")).shape == (batch, 6)


@pytest.mark.parametrize(
    ("newshape", "text"),
    [
        ((-2, 5), r"non-negative integer.*-1.*newshape=\(-2, 5\)"),
        ((-1, -1, 5), r"at most one unknown dimension.*newshape=\(-1, -1, 5\)"),
    ],
)
def test_reshape_refuses(newshape, text):
    for x in (np.ones((10,), "float32"), KerasTensor((None, 5))):
        with pytest.raises(ShapeError, match=text):
            ops.reshape(x, newshape)


def test_broadcast_to():
    check(ops.broadcast_to, array((1, 3)), (2, 4, 3))
    for x, shape in [
        (S(None, 3), (2, 3, 3)), (S(3, 3), (2, 2, 3)), (S(None, 1), (5, 4)), (S(3), (3, 2)),
        (S(1, 3), (4, 3)),
    ]:  # fmt: skip
        check_symbols(ops.broadcast_to, x, shape)
    for x in both(2, 3):
        for shape in ((2, 2, 7), (3,)):
            with pytest.raises(ShapeError, match="last axes"):
                ops.broadcast_to(x, shape)


def test_expand_dims_and_squeeze():
    x = array((2, 3))
    for axis in (0, -1, -2, (0, 1), (-1, 1), [0, 3]):
        check(ops.expand_dims, x, axis)
        check_symbols(ops.expand_dims, S(None, 3), axis)
    y = array((2, 1, 3, 1))
    for axis in (None, 1, -1, (1, 3), (-1, 1)):
        check(ops.squeeze, y, axis)
        check_symbols(ops.squeeze, S(None, 1, None, 1), axis)
    for z in both(2, 1):
        with pytest.raises(ShapeError, match="size 1"):
            ops.squeeze(z, 0)
        with pytest.raises(ShapeError, match="axis 7 is out of bounds"):
            ops.expand_dims(z, 7)


# Orders -------------------------------------------------------------------------------------------


def test_orders():
    x = array((2, 3, 4))
    for axes in (None, (2, 0, 1), (-1, -3, -2), [0, 1, 2]):
        check(ops.transpose, x, axes)
        check_symbols(ops.transpose, S(None, 3, None), axes)
    for source, destination in ((0, -1), (-1, 0), ([0, 1], [-1, -2]), ((0, 2), (2, 0))):
        check(ops.moveaxis, x, source, destination)
        check_symbols(ops.moveaxis, S(None, 3, None), source, destination)
    check(ops.swapaxes, x, 0, -1)
    check_symbols(ops.swapaxes, S(None, 3, 4), 0, 2)
    for axis in (None, 1, (0, -1), [0, 1]):
        check(ops.flip, x, axis=tuple(axis) if isinstance(axis, list) else axis)
        check_symbols(ops.flip, S(None, 3, 4), axis=axis)
    check(ops.fliplr, x)
    check(ops.flipud, x)
    for k in (-1, 0, 1, 2, 5):
        check(ops.rot90, x, k)
        check(ops.rot90, x, k, (2, 0))
    check_symbols(ops.rot90, S(None, 3, 4))
    check_symbols(ops.rot90, S(None, 3, 4), 1, (1, 2))


@pytest.mark.parametrize(
    ("axes", "text"),
    [
        ([0, 0, 0], r"valid permutation.*axes=\[0, 0, 0\]"),
        ([0, 1, 5], r"Each axis in `axes` must be an integer in \[-3, 3\)"),
        ([0, 1], "must be a list of the same length as the input shape"),
    ],
)
def test_transpose_refuses(axes, text):
    for x in both(2, 3, 4):
        with pytest.raises(ShapeError, match=text):
            ops.transpose(x, axes)


@pytest.mark.parametrize("axes", [(0,), (1, 1), (0, 1, 2)])
def test_rot90_refuses(axes):
    for x in both(2, 3, 4):
        with pytest.raises(ArgumentError, match="Invalid axes"):
            ops.rot90(x, axes=axes)
    with pytest.raises(ShapeError, match="at least 2 dimensions"):
        ops.rot90(np.ones(3))


@pytest.mark.parametrize(
    ("shift", "axis"), [(1, None), (-2, 1), (7, 0), ((1, 2), (0, 1)), (1, (0, 1)), (0, -1)], ids=str
)
def test_roll(shift, axis):
    check(ops.roll, array((2, 3, 4)), shift, axis)
    check_symbols(ops.roll, S(None, 3, 4), shift, axis)


def test_roll_by_a_tensor():
    x = array((2, 3))
    check(ops.roll, x, np.int32(2), 1)
    same(ops.roll(x, tw.asarray(1), 1), np.roll(x, 1, 1), "roll")
    same(ops.roll(x, tw.asarray([1, 2]), (0, 1)), np.roll(x, (1, 2), (0, 1)), "roll")


# Joining ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", JOINING, ids=lambda f: f.__name__)
def test_joined_types_meet(function):
    for one, two in PAIRS:
        xs = [array((2, 3), one), array((2, 3), two, seed=1)]
        assert (
            function(xs).dtype.name
            == function([KerasTensor((2, 3), x.dtype.name) for x in xs]).dtype
        )
        check_symbols(function, [S(2, 3, dtype=one), S(2, 3, dtype=two)])
    check(function, [array((2, 3), "int8"), array((2, 3), "int16", seed=1), array((2, 3), "int32")])


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (ops.concatenate, [(2, 3), (4, 3)]),
        (ops.hstack, [(2,), (3,)]),
        (ops.hstack, [(2, 3, 4), (2, 1, 4)]),
        (ops.hstack, [(), ()]),
        (ops.vstack, [(3,), (3,)]),
        (ops.vstack, [(3,), (2, 3)]),
        (ops.vstack, [(2, 3, 4), (1, 3, 4)]),
        (ops.dstack, [(3,), (1, 3)]),
        (ops.dstack, [(2, 3), (2, 3, 4)]),
        (ops.dstack, [(2, 3, 4), (2, 3, 1)]),
        (ops.dstack, [(), ()]),
        (ops.stack, [(2, 3)] * 3),
        (ops.concatenate, [(0, 3), (2, 3)]),
    ],
)
def test_joining(function, shapes):
    check(function, [array(shape, seed=place) for place, shape in enumerate(shapes)])


def test_joining_along_axes():
    xs = [array((2, 3, 4)), array((2, 3, 4), seed=1)]
    for axis in (0, 1, -1):
        check(ops.concatenate, xs, axis)
        check(ops.concatenate, tuple(xs), axis)
        check(ops.stack, xs, axis)
        check(ops.append, *xs, axis=axis)
    check(ops.stack, xs, 3)
    check(ops.append, *xs)
    check(ops.append, xs[0], array((3,), "int8"))
    same(ops.stack([1, 2.5]), np.array([1, 2.5], "float32"), "stack")
    same(ops.concatenate(np.ones((2, 3), "float32")), np.ones(6, "float32"), "concatenate")
    same(ops.concatenate([[1, 2], Variable([3.0])]), np.array([1, 2, 3], "float32"), "concatenate")


def test_joining_symbols():
    for xs in (
        [S(None, 3), S(None, 3)], [S(2, 3), S(4, 3)], [S(2, None), S(None, None)],
        [S(2, 3), S(2, 4)], [S(None, 3, 5), S(None, 4, 6)], [S(2, 3), S(2, 3, 4)],
    ):  # fmt: skip
        for axis in (0, 1):
            check_symbols(ops.concatenate, xs, axis)
            check_symbols(ops.stack, xs, axis) if xs[0].shape == xs[1].shape else None
        check_symbols(ops.concatenate, xs, axis=None)
    for xs in ([S(None, 3), S(None, 3)], [S(2, 3), S(2, 4)], [S(2, 3, 4), S(2, None, 4)]):
        check_symbols(ops.hstack, xs)
        check_symbols(ops.append, *xs)
    for xs in ([S(None, 3), S(None, 3)], [S(2, 3), S(4, 3)]):
        check_symbols(ops.vstack, xs)
    for xs in ([S(None), S(None)], [S(None, 3), S(None, 3)], [S(2, 3, 4), S(2, 3, None)]):
        check_symbols(ops.dstack, xs)
    check_symbols(ops.append, S(2, 3), S(4, 3), axis=0)
    check_symbols(ops.append, S(2, 3), S(2, 3, 4), axis=1)
    check_symbols(ops.stack, [S(2, 3), S(3, 3)])
    # What is known of any of them is known of the result; Keras looks at the first only.
    halves = [KerasTensor((None, 3)), KerasTensor((2, None))]
    assert ops.concatenate(halves, axis=1).shape == (2, None)
    assert ops.vstack([KerasTensor((None, None)), KerasTensor((2, 3))]).shape == (None, 3)
    assert ops.hstack([KerasTensor((2,)), KerasTensor((3,))]).shape == (5,)
    assert ops.vstack([KerasTensor((3,)), KerasTensor((2, 3))]).shape == (3, 3)
    assert ops.stack([KerasTensor((None, 3)), np.ones((2, 3))]).shape == (2, 2, 3)


def test_joined_symbols_are_sparse_only_together():
    x, y = KerasTensor((2, 3), sparse=True), KerasTensor((2, 3))
    assert ops.concatenate([x, x]).sparse
    assert not ops.concatenate([x, y]).sparse
    assert not ops.concatenate([y, x]).sparse


@pytest.mark.parametrize("function", JOINING, ids=lambda f: f.__name__)
def test_joining_refuses(function):
    with pytest.raises(ArgumentError, match="at least one"):
        function([])
    with pytest.raises(ArgumentTypeError, match="a list"):
        function(5)
    for symbol in (np.ones, KerasTensor):
        with pytest.raises(ShapeError):
            function([symbol((2, 3)), symbol((3, 3, 2))])


# Splitting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sections", [1, 3, 6, [1, 4], (2,), [0, 2, 2], [2, 9], [-2], []], ids=str)
def test_split(sections):
    x = array((6, 6, 6))
    for axis in (0, 1, -1):
        check(ops.split, x, sections, axis)
    for function in (ops.hsplit, ops.vsplit, ops.dsplit):
        check(function, x, sections)
    check(ops.hsplit, array((6,)), sections)
    places = np.asarray(sections)
    if places.ndim and places.size:
        same(ops.split(x, places), computed.split(x, sections), "split")
        same(ops.split(x, tw.asarray(places)), computed.split(x, sections), "split")


def test_array_split():
    x = array((7, 3))
    for sections in (1, 2, 3, 7, 9):
        check(ops.array_split, x, sections)
    check(ops.array_split, x, 2, axis=-1)
    check(ops.array_split, x, [2, 5])
    assert len(ops.split(np.ones((0,)), 2)) == 2


def test_split_symbols():
    for x in (S(None, 3, 6), S(6, 3, None), S(6, None, 6, dtype="int8")):
        for axis in (0, 1, -1):
            check_symbols(ops.split, x, 3, axis)
            check_symbols(ops.split, x, [1, 3], axis)
            check_symbols(ops.array_split, x, 2, axis)
        for function in (ops.hsplit, ops.vsplit, ops.dsplit):
            check_symbols(function, x, 3)
            check_symbols(function, x, [1, 3])
    check_symbols(ops.hsplit, S(None), 2)
    check_symbols(ops.hsplit, S(None), [2, 5])
    check_symbols(ops.split, S(2, 3), 2, axis=1)
    check_symbols(ops.dsplit, S(2, 3), 2)
    check_symbols(ops.vsplit, S(2), 2)
    # Keras announces negative sizes for places that do not ascend.
    parts = ops.split(KerasTensor((6,)), [4, 2, 9])
    assert [part.shape for part in parts] == [(4,), (0,), (4,), (0,)]


def test_split_refuses():
    for x in (np.ones((2, 3)), KerasTensor((2, 3))):
        with pytest.raises(ShapeError, match="array_split"):
            ops.split(x, 2, axis=1)
        with pytest.raises(ArgumentError, match="at least one section"):
            ops.split(x, 0)
        with pytest.raises(ShapeError, match="at least 3 dimensions"):
            ops.dsplit(x, 1)
        with pytest.raises(ShapeError, match="at least 2 dimensions"):
            ops.vsplit(x[0], 1)


# Copies and padding -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("repeats", "axis"),
    [(2, None), (3, 1), ([1, 2], 0), ([2], None), ([2], 1), (0, 0), ([0, 1, 2], -1), (2, 0)],
    ids=str,
)
def test_repeat(repeats, axis):
    check(ops.repeat, array((2, 3)), repeats, axis)
    check_symbols(ops.repeat, S(2, 3), repeats, axis=axis)
    check_symbols(ops.repeat, S(None, None, 3), repeats, axis=axis)


def test_repeat_by_arrays_and_wrong_numbers():
    x = array((2, 3))
    for repeats in (np.array([1, 2]), tw.asarray([1, 2])):
        same(ops.repeat(x, repeats, axis=0), np.repeat(x, [1, 2], axis=0), "repeat")
    assert ops.repeat(KerasTensor((2, 3)), np.array([1, 2]), axis=0).shape == (3, 3)
    for y in (x, KerasTensor((2, 3))):
        for repeats, axis in (([1, 1], None), ([1, 1, 1], 0)):
            with pytest.raises(ShapeError, match="number of repeats"):
                ops.repeat(y, repeats, axis)


@pytest.mark.parametrize("repeats", [2, [2], [1, 2], (2, 1, 2), (0, 1)], ids=str)
def test_tile(repeats):
    check(ops.tile, array((2, 3)), repeats)
    if repeats != (0, 1):  # no copies of any number of rows are no rows
        check_symbols(ops.tile, S(None, 3), repeats)
    check_symbols(ops.tile, S(2, None, 3, 1), repeats)


WIDTHS = [
    1,
    (1, 2),
    ((1, 2), (3, 4)),
    [[0, 1], [2, 0]],
    ((2, 1),),
    (2,),
    np.array([[1, 0], [0, 3]]),
]


@pytest.mark.parametrize("pad_width", WIDTHS, ids=str)
@pytest.mark.parametrize(
    "mode",
    ["constant", "edge", "reflect", "symmetric", "wrap", "maximum", "minimum", "mean", "median",
     "linear_ramp"],
)  # fmt: skip
def test_pad(pad_width, mode):
    for dtype in ("float32", "int32", "float16"):
        x = array((3, 4), dtype, low=0, high=9)
        same(ops.pad(x, pad_width, mode), np.pad(x, pad_width, mode), f"{pad_width} {mode}")


def test_pad_with_constants():
    x = array((2, 3))
    check(ops.pad, x, 1, "constant", constant_values=2)
    check(ops.pad, x, ((0, 1), (2, 0)), constant_values=np.float32(0.5))
    check(ops.pad, array((2, 3), "int8"), 1, constant_values=3)
    check(ops.pad, array((2, 3), "bool"), 1, constant_values=True)
    same(ops.pad(x, 1, constant_values=tw.asarray(3)), np.pad(x, 1, constant_values=3), "pad")
    same(
        ops.pad(x, 1, constant_values=((1, 2), (3, 4))),
        np.pad(x, 1, constant_values=((1, 2), (3, 4))),
        "pad",
    )
    assert ops.pad(x, ((1, 0), (0, 2)), "empty").shape == (3, 5)


def test_pad_symbols():
    for pad_width in WIDTHS[:4]:
        check_symbols(ops.pad, S(None, 3), pad_width)
    for pad_width in (1, (1, 2), ((1, 2), (3, 4), (5, 6))):
        check_symbols(ops.pad, S(None, 3, 3, dtype="int8"), pad_width, mode="reflect")
    assert ops.pad(KerasTensor((2, 3)), 1, constant_values=KerasTensor(())).shape == (4, 5)


def test_pad_refuses():
    for x in both(2, 3):
        with pytest.raises(ShapeError, match="same length"):
            ops.pad(x, ((1, 2), (3, 4), (5, 6)))
        with pytest.raises(ArgumentError, match="can only be provided when `mode == 'constant'`"):
            ops.pad(x, 1, "reflect", constant_values=1)
        with pytest.raises(ArgumentError, match="a mode among"):
            ops.pad(x, 1, "mirror")


@pytest.mark.parametrize(
    "call",
    [
        lambda x, axis: ops.concatenate([x, x], axis),
        lambda x, axis: ops.stack([x, x], axis),
        lambda x, axis: ops.append(x, x, axis),
        lambda x, axis: ops.split(x, 1, axis),
        lambda x, axis: ops.array_split(x, 2, axis),
        lambda x, axis: ops.flip(x, axis),
        lambda x, axis: ops.roll(x, 1, axis),
        lambda x, axis: ops.repeat(x, 2, axis),
        lambda x, axis: ops.swapaxes(x, axis, 0),
        lambda x, axis: ops.moveaxis(x, axis, 0),
        lambda x, axis: ops.squeeze(x, axis),
    ],
)
def test_no_such_axis(call):
    for x in both(2, 3):
        with pytest.raises(ShapeError, match="axis 7 is out of bounds"):
            call(x, 7)

"""Manipulation against NumPy: shapes with zeros and ones, element types, named sizes, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.array import manipulation as m
from thalweg.array.derivatives import grad
from thalweg.array.elementwise import multiply
from thalweg.array.operands import to_tensor
from thalweg.array.utility import diff
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ShapeError,
    TraceError,
)
from thalweg.engine.tensor import node_of, wrap
from thalweg.engine.trace import function
from thalweg.ir.dim import UndecidedError, named
from thalweg.ir.types import DTYPES
from thalweg.ops.broadcast import sum as sum_op

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def numbers(*shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


def same(found, wanted):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found.numpy(), wanted)


def same_all(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        same(one, other)


def check_symbolic(body, numpy_body, *shape, sizes=(1, 2, 5, 8)):
    """One trace with named sizes (strings in `shape`) serves all sizes and agrees with NumPy."""
    traced = function(lambda x: body(x), shapes={"x": shape})
    for size in sizes:
        x = numbers(*(size if isinstance(each, str) else each for each in shape))
        found, wanted = traced(x), numpy_body(x)
        if isinstance(found, (tuple, list)):
            same_all(found, wanted)
        else:
            same(found, wanted)
    assert len(traced.variants) == 1
    return traced


# The standard -------------------------------------------------------------------------------------


def test_broadcast_arrays_and_shapes():
    x, y, z = numbers(3, 1), numbers(4), numbers(2, 1, 1)
    same_all(m.broadcast_arrays(x, y, z), np.broadcast_arrays(x, y, z))
    found = m.broadcast_arrays(numbers(0, 1), np.int8(3))
    assert [(each.shape, each.dtype.name) for each in found] == [
        ((0, 1), "float32"),
        ((0, 1), "int8"),
    ]
    assert m.broadcast_arrays() == []
    assert m.broadcast_shapes((3, 1), 4, (2, 1, 1)) == (2, 3, 4)
    assert m.broadcast_shapes() == ()
    with pytest.raises(ShapeError, match=r"\[broadcast_arrays\] wants shapes that broadcast"):
        m.broadcast_arrays(numbers(2), numbers(3))


def test_broadcast_to():
    for shape, target in (((), (2, 3)), ((3,), (2, 3)), ((2, 1), (2, 0)), ((1,), (0,)), ((2,), 2)):
        same(m.broadcast_to(numbers(*shape), target), np.broadcast_to(numbers(*shape), target))
    for shape, target in (((2,), (3,)), ((2, 3), (3,)), ((2,), (2, 3))):
        with pytest.raises(ShapeError, match=r"\[broadcast_to\] wants a shape whose last axes"):
            m.broadcast_to(numbers(*shape), target)


@given(st.data())
@settings(max_examples=40)
def test_concat_and_stack(data):
    shape = list(data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for _ in range(data.draw(st.integers(1, 3))):
        shape[axis] = data.draw(st.integers(0, 3))
        parts.append(numbers(*shape))
    same(m.concat(parts, axis=axis), np.concatenate(parts, axis))
    same(m.concat(parts, axis=None), np.concatenate(parts, None))
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    same(m.stack([parts[0]] * 2, axis=place), np.stack([parts[0]] * 2, place))


def test_concat_and_stack_promote_and_refuse():
    assert m.concat([np.int8([1]), np.float16([2])]).dtype == "float16"
    assert m.stack([1, 2.5]).dtype == "float32"
    assert m.stack([np.float64(1), 2]).dtype == "float64"
    same(m.concat(numbers(2, 3)), numbers(6))
    with pytest.raises(ShapeError, match="operands of equal shape but for axis 0"):
        m.concat([numbers(2, 3), numbers(2, 4)])
    with pytest.raises(ShapeError, match=r"\[concat\] wants no axis: a scalar"):
        m.concat([1.0, 2.0])
    with pytest.raises(ArgumentError, match=r"\[concat\] wants at least one array"):
        m.concat([])
    with pytest.raises(ArgumentTypeError, match=r"Write concat\(\[x, y\]\)"):
        m.concat(3)
    with pytest.raises(ShapeError, match="Write concat"):
        m.stack([numbers(2), numbers(3)])


@given(SHAPES, st.data())
@settings(max_examples=60)
def test_axes_move_as_in_numpy(shape, data):
    x, rank = numbers(*shape), len(shape)
    order = data.draw(st.permutations(range(rank)))
    signed = [axis - rank * data.draw(st.booleans()) for axis in order]
    same(m.permute_dims(x, tuple(signed)), np.transpose(x, signed))
    same(m.transpose(x), x.T)
    same(m.transpose(x, order), np.transpose(x, order))
    new = data.draw(st.integers(-rank - 1, rank))
    same(m.expand_dims(x, axis=new), np.expand_dims(x, new))
    same(m.expand_dims(x, axis=(0, -1)), np.expand_dims(x, (0, -1)))
    same(m.squeeze(m.expand_dims(x, axis=new), new), x)
    same(m.squeeze(x), np.squeeze(x))
    same(m.flip(x), np.flip(x))
    if rank:
        one, two = (data.draw(st.integers(-rank, rank - 1)) for _ in range(2))
        same(m.moveaxis(x, one, two), np.moveaxis(x, one, two))
        same(m.swapaxes(x, one, two), np.swapaxes(x, one, two))
        same(m.flip(x, axis=one), np.flip(x, one))
        targets = data.draw(st.permutations(range(rank)))[:2]
        same(m.moveaxis(x, order[:2], targets), np.moveaxis(x, order[:2], targets))


def test_axes_that_do_not_fit():
    x = numbers(2, 3)
    with pytest.raises(ShapeError, match=r"\[permute_dims\] wants each of the 2 axes of x once"):
        m.permute_dims(x, (0, 0))
    with pytest.raises(ShapeError, match=r"\[squeeze\] wants axes of size 1.\nReceived axis 1"):
        m.squeeze(x, 1)
    with pytest.raises(ShapeError, match=r"\[expand_dims\] wants an axis from -3 to 2"):
        m.expand_dims(x, axis=3)
    with pytest.raises(ShapeError, match=r"\[moveaxis\] wants as many destinations"):
        m.moveaxis(x, (0, 1), (0,))
    with pytest.raises(ShapeError, match="each axis once"):
        m.moveaxis(x, (0, 0), (0, 1))
    with pytest.raises(ShapeError, match=r"\[flip\] wants an axis from -2 to 1"):
        m.flip(x, axis=2)


def test_reshape():
    x = numbers(2, 3, 4)
    for shape in (
        (24,),
        24,
        (4, -1),
        -1,
        (-1, 6, 1),
        (2, -1, 4),
        np.array([8, 3]),
        [3, np.int64(8)],
    ):
        same(m.reshape(x, shape), x.reshape(shape))
    same(m.reshape(1.5, (1, 1)), np.full((1, 1), 1.5))
    same(m.reshape(numbers(0, 3), (3, -1)), numbers(3, 0))
    same(m.reshape(x, to_tensor([6, 4])), x.reshape(6, 4))
    same(m.ravel(x), x.ravel())
    same(m.flatten(3.0), [3.0])
    with pytest.raises(ShapeError, match=r"\[reshape\] wants a shape of 24 elements"):
        m.reshape(x, (5, 5))
    with pytest.raises(ShapeError, match=r"whole: 24 elements by 5.\nReceived \[5,-1\] for f32"):
        m.reshape(x, (5, -1))
    with pytest.raises(ShapeError, match="at most one size of -1"):
        m.reshape(x, (-1, -1))
    with pytest.raises(ShapeError, match="Write the size instead of -1"):
        m.reshape(numbers(0, 3), (0, -1))
    with pytest.raises(ShapeError, match="sizes of zero or more"):
        m.reshape(x, (-2, 12))
    with pytest.raises(ArgumentTypeError, match="integer sizes"):
        m.reshape(x, (2.0, 12))


def test_reshape_with_named_sizes():
    traced = check_symbolic(lambda x: m.reshape(x, -1), np.ravel, "b", 3)
    assert str(traced.variants[0].graph.results[0].type) == "f32[3*b]"
    check_symbolic(lambda x: m.reshape(x, (x.shape[0], -1)), lambda x: x.reshape(len(x), -1),
                   "b", 2, 3)  # fmt: skip
    check_symbolic(lambda x: m.reshape(x, (-1, 3)), lambda x: x.reshape(-1, 3), "b", 6)
    check_symbolic(lambda x: m.reshape(m.reshape(x, -1), (-1, 2, 3)),
                   lambda x: x.reshape(-1, 2, 3), "b", 2, 3)  # fmt: skip
    with pytest.raises(UndecidedError, match=r"a size for -1 that is whole: 3\*b elements by 2"):
        function(lambda x: m.reshape(x, (-1, 2)), shapes={"x": ("b", 3)})(numbers(2, 3))


@given(SHAPES, st.data())
@settings(max_examples=60)
def test_repeat_tile_roll(shape, data):
    x, rank = numbers(*shape), len(shape)
    count = data.draw(st.integers(0, 3))
    same(m.repeat(x, count), np.repeat(x, count))
    counts = data.draw(st.lists(st.integers(0, 3), max_size=4))
    same(m.tile(x, tuple(counts)), np.tile(x, counts))
    shift = data.draw(st.integers(-9, 9))
    same(m.roll(x, shift), np.roll(x, shift))
    same(m.roll(x, to_tensor(shift)), np.roll(x, shift))
    if rank:
        axis = data.draw(st.integers(-rank, rank - 1))
        same(m.repeat(x, count, axis=axis), np.repeat(x, count, axis))
        each = [data.draw(st.integers(0, 2)) for _ in range(x.shape[axis])]
        same(m.repeat(x, each, axis=axis), np.repeat(x, np.array(each, int), axis))
        same(m.roll(x, shift, axis=axis), np.roll(x, shift, axis))
        same(m.roll(x, to_tensor(shift), axis=axis), np.roll(x, shift, axis))
        axes = tuple(range(rank))
        shifts = tuple(data.draw(st.integers(-5, 5)) for _ in axes)
        same(m.roll(x, shifts, axis=axes), np.roll(x, shifts, axes))


def test_repeat_takes_repeats_from_anywhere_but_a_trace():
    x = numbers(2, 2)
    for counts in ([1, 2], (1, 2), np.array([1, 2]), to_tensor([1, 2])):
        same(m.repeat(x, counts, axis=0), np.repeat(x, [1, 2], 0))
        traced = function(lambda x, counts=counts: m.repeat(x, counts, axis=0), static=["counts"])
        if isinstance(counts, tuple):
            same(traced(x), np.repeat(x, [1, 2], 0))
    same(m.repeat(x, [3]), np.repeat(x, 3))
    with pytest.raises(TraceError, match=r"(?s)\[repeat\].*shape that depends on data.*where\("):
        function(lambda x, n: m.repeat(x, n, axis=0))(x, np.array([1, 2]))
    with pytest.raises(ShapeError, match="one number of repeats, or 2 of them"):
        m.repeat(x, [1, 2, 3], axis=0)
    with pytest.raises(ArgumentError, match="repeats of 0 or more"):
        m.repeat(x, -1)
    with pytest.raises(DTypeError, match="integers as repeats"):
        m.repeat(x, 1.5)


def test_roll_that_does_not_fit():
    with pytest.raises(ArgumentError, match="an axis for each shift"):
        m.roll(numbers(2, 3), (1, 2))
    with pytest.raises(ArgumentError, match="an axis for each shift"):
        m.roll(numbers(2, 3), (1, 2, 3), axis=(0, 1))
    with pytest.raises(ArgumentTypeError, match="integers as shifts"):
        m.roll(numbers(2, 3), 1.5)
    with pytest.raises(ArgumentError, match="integers as shifts"):
        m.roll(numbers(2, 3), to_tensor([1, 2]))


def test_unstack():
    x = numbers(2, 3, 0)
    for axis in (0, 1, 2, -1):
        same_all(m.unstack(x, axis=axis), [np.take(x, i, axis) for i in range(x.shape[axis])])
    assert isinstance(m.unstack(x), tuple)


def test_shapes_with_named_sizes():
    check_symbolic(lambda x: m.roll(x, 1, axis=0), lambda x: np.roll(x, 1, 0), "b", 3)
    check_symbolic(lambda x: m.roll(x, -1, axis=0), lambda x: np.roll(x, -1, 0), "b")
    check_symbolic(lambda x: m.roll(x, 3), lambda x: np.roll(x, 3), "b")
    check_symbolic(lambda x: m.roll(x, -7), lambda x: np.roll(x, -7), "b", 2)
    check_symbolic(lambda x: m.repeat(x, 2, axis=0), lambda x: np.repeat(x, 2, 0), "b", 3)
    check_symbolic(lambda x: m.repeat(x, 2), lambda x: np.repeat(x, 2), "b", 3)
    check_symbolic(lambda x: m.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3)), "b", "b")
    check_symbolic(lambda x: m.concat([x, x], axis=1), lambda x: np.c_[x, x], 2, "t")
    check_symbolic(lambda x: m.stack([x, x], axis=-1), lambda x: np.stack([x, x], -1), "b", 2)
    check_symbolic(lambda x: m.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), "b", 2, 1)
    check_symbolic(m.diagonal, np.diagonal, "b", 3)
    check_symbolic(m.diagonal, np.diagonal, 3, "b")
    check_symbolic(lambda x: m.diagonal(x, offset=-2), lambda x: np.diagonal(x, -2), 3, "b")
    check_symbolic(
        lambda x: m.split(m.repeat(x, 2), 2), lambda x: np.split(np.repeat(x, 2), 2), "b"
    )
    check_symbolic(lambda x: m.split(x, [1, -1]), lambda x: np.split(x, [1, -1]), "b")
    check_symbolic(lambda x: m.squeeze(m.expand_dims(x, axis=1)), lambda x: x, "b", sizes=(2, 3))
    check_symbolic(lambda x: diff(x, n=2), lambda x: np.diff(x, n=2), 2, "t")
    repeated = function(lambda x: m.repeat(x, x.shape[1], axis=0), shapes={"x": ("b", "t")})
    same(repeated(numbers(2, 3)), np.repeat(numbers(2, 3), 3, 0))
    for body, message in (
        (lambda x: m.unstack(x), "a result for each place"),
        (lambda x: m.split(x, 2), "divides into 2 equal sections"),
        (lambda x: m.array_split(x, 2), "which sections are longer"),
        (lambda x: m.repeat(x, [1, 2], axis=0), "a number of repeats for each place"),
        (lambda x: m.diagonal(x, offset=-3), "an offset inside whatever the sizes"),
    ):
        with pytest.raises(UndecidedError, match=message):
            function(body, shapes={"x": ("b", 3)})(numbers(2, 3))


def test_a_function_is_traced_for_each_size_where_names_do_not_do():
    halves = function(lambda x: m.split(x, 2))
    for size in (2, 4, 6):
        same_all(halves(numbers(size)), np.split(numbers(size), 2))
    assert len(halves.variants) == 3


# Beyond the standard ------------------------------------------------------------------------------


@given(st.integers(0, 9), st.integers(1, 5), st.lists(st.integers(-12, 12), max_size=4))
@settings(max_examples=50)
def test_split(size, sections, places):
    x = numbers(2, size)
    same_all(m.array_split(x, sections, 1), np.array_split(x, sections, 1))
    same_all(m.split(x, places, axis=-1), np.split(x, places, -1))
    same_all(m.array_split(x, np.array(places, int), -1), np.split(x, places, -1))
    if size % sections:
        with pytest.raises(ShapeError, match=f"Write array_split\\(x, {sections}, axis=1\\)"):
            m.split(x, sections, 1)
    else:
        same_all(m.split(x, sections, 1), np.split(x, sections, 1))


def test_split_that_does_not_fit():
    with pytest.raises(ArgumentError, match="at least one section"):
        m.split(numbers(3), 0)
    with pytest.raises(ArgumentTypeError, match="a number of sections or a list of places"):
        m.array_split(numbers(3), 1.5)


@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack", "column_stack"])
def test_stacks(name):
    ours, theirs = getattr(m, name), getattr(np, name)
    for parts in (
        [numbers(3), numbers(3)],
        [numbers(2, 3), numbers(2, 3)],
        [numbers(2, 3, 2), numbers(2, 3, 2)],
        [numbers(0), numbers(0)],
        [numbers(4)],
        [1.5, 2.5],
    ):
        same(ours(parts), theirs(parts))
    same(m.column_stack([numbers(2), numbers(2, 3)]), np.column_stack([numbers(2), numbers(2, 3)]))


def test_at_least():
    for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
        for shape in ((), (3,), (2, 3), (2, 3, 4), (1, 2, 3, 4)):
            same(getattr(m, name)(numbers(*shape)), getattr(np, name)(numbers(*shape)))
    same_all(m.atleast_2d(1, [2, 3]), np.atleast_2d(1, [2, 3]))


def test_turns():
    x = numbers(2, 3, 2)
    for k in range(-5, 6):
        same(m.rot90(x, k), np.rot90(x, k))
        same(m.rot90(x, k, axes=(2, 1)), np.rot90(x, k, (2, 1)))
    same(m.fliplr(x), np.fliplr(x))
    same(m.flipud(x), np.flipud(x))
    with pytest.raises(ShapeError, match="two different axes"):
        m.rot90(x, 1, (0, 0))


def test_diagonal():
    for shape in ((3, 3), (2, 4), (4, 2), (2, 3, 4), (0, 3), (3, 0)):
        x = numbers(*shape)
        for offset in range(-5, 6):
            same(m.diagonal(x, offset=offset), np.diagonal(x, offset))
            same(m.diagonal(x, offset=offset, axis1=-1, axis2=0), np.diagonal(x, offset, -1, 0))
    with pytest.raises(ShapeError, match="two different axes"):
        m.diagonal(numbers(2, 2), axis1=0, axis2=-2)


# Types, laziness, derivatives ---------------------------------------------------------------------


def test_every_element_type_passes_through():
    for dtype in DTYPES:
        x = np.array([0, 1, 1]).astype(dtype.numpy)
        same(m.flip(x), x[::-1])
        for found in (m.roll(x, 1), m.repeat(x, 2), m.tile(x, 2), m.pad(x, 1), m.stack([x, x])):
            assert found.dtype is dtype


def test_nothing_is_computed():
    x = multiply(to_tensor(numbers(2, 3)), 2)
    for found in (m.reshape(x, -1), m.roll(x, to_tensor(1)), m.pad(x, 1, "reflect"),
                  m.concat([x, x]), m.diagonal(x), *m.unstack(x)):  # fmt: skip
        assert found._cell.buffer is None
    assert x._cell.buffer is None


def test_a_traced_number_has_the_type_of_the_number():
    traced = function(lambda x: (m.reshape(x, (1,)), m.stack([x, x]), m.expand_dims(x, axis=0)))
    assert [each.dtype.name for each in traced(2.0)] == ["float32"] * 3
    assert [each.dtype.name for each in traced(2)] == ["int64"] * 3


def test_derivatives_flow():
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)

    def slope(body):
        def loss(x):
            y = m.ravel(body(x))
            return vecdot(y, np.arange(y.size, dtype=np.float32))

        return grad(loss)(numbers(2, 3)).numpy()

    def vecdot(x, y):
        product = node_of(multiply(x, y))
        return wrap(sum_op(product, axes=(0,)))

    np.testing.assert_array_equal(slope(lambda x: m.flip(x, axis=1)), weights[:, ::-1])
    np.testing.assert_array_equal(
        slope(lambda x: m.repeat(x, [2, 1], axis=0)), [[3, 5, 7], [6, 7, 8]]
    )
    np.testing.assert_array_equal(slope(lambda x: m.roll(x, 1, axis=1)), np.roll(weights, -1, 1))
    np.testing.assert_array_equal(
        slope(lambda x: m.roll(x, to_tensor(1), axis=1)), np.roll(weights, -1, 1)
    )
    np.testing.assert_array_equal(slope(lambda x: m.diagonal(x)), [[0, 0, 0], [0, 1, 0]])


def test_named_widths_and_counts():
    b = named("b")
    assert m.broadcast_shapes((b, 1), (3,)) == (b, 3)

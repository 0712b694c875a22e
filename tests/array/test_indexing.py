"""Indexing against NumPy: random keys to read and to write, derivatives, traces, named sizes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thalweg.array.control import scan
from thalweg.array.derivatives import grad, vmap
from thalweg.array.elementwise import add, greater, multiply
from thalweg.array.indexing import (
    At,
    Place,
    at,
    dynamic_slice,
    dynamic_update_slice,
    get_item,
    take,
    take_along_axis,
)
from thalweg.array.manipulation import ravel, slice_bounds
from thalweg.array.operands import to_tensor
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    OutOfRangeError,
    ShapeError,
    TraceError,
)
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable
from thalweg.ir.dim import UndecidedError, dim_max, is_known_at_least, named, substitute
from thalweg.ir.types import DTYPES
from thalweg.ops.broadcast import sum as sum_op

MODES = ("set", "add", "multiply", "min", "max")
UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def numbers(*shape, start=0.0):
    count = np.prod(shape, dtype=int)
    return (start + np.arange(count, dtype=np.float64)).reshape(shape)


def same(found, wanted):
    wanted = np.asarray(wanted)
    assert isinstance(found, Tensor)
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found.numpy(), wanted)


def total(x, weights):
    product = multiply(ravel(x), np.asarray(weights).ravel())
    return wrap(sum_op(node_of(product), axes=(0,)))


# Keys drawn at random -----------------------------------------------------------------------------


@st.composite
def slices(draw, size):
    bound = st.none() | st.integers(-size - 2, size + 2)
    step = st.none() | st.sampled_from([1, 2, 3, -1, -2, -3])
    return slice(draw(bound), draw(bound), draw(step))


@st.composite
def places(draw, size, shape):
    return draw(hnp.arrays(np.int64, shape, elements=st.integers(-size, size - 1)))


@st.composite
def keys(draw, shape, arrays=True):
    """A key for a shape; its integer arrays broadcast together."""
    common = draw(st.sampled_from([(), (1,), (2,), (3, 2), (0,)])) if arrays else ()
    key, axis, has_dots, count = [], 0, False, None
    # After the dots every axis is named, so that each part meets the axis it was drawn for.
    while axis < len(shape) and (has_dots or draw(st.integers(0, 9))):
        size = shape[axis]
        kinds = ["slice", "slice", "new"] + ["integer"] * (size > 0) + ["..."] * (not has_dots)
        if arrays:
            kinds += ["array", "mask", "pair", "flag", "tensor"]
        kind = draw(st.sampled_from(kinds))
        if kind == "slice":
            key.append(draw(slices(size)))
        elif kind == "integer":
            key.append(draw(st.integers(-size, size - 1)))
        elif kind == "tensor" and size:
            key.append(to_tensor(np.array(draw(st.integers(-size, size - 1)))))
        elif kind == "array" and (size or not np.prod(common)) and common:
            some = common[draw(st.integers(0, len(common) - 1)) :]
            index = draw(places(size, some)) if size else np.zeros((0,), np.int64)
            key.append(to_tensor(index) if draw(st.booleans()) else index)
        elif kind in ("mask", "pair") and count is None and common in ((), (1,)):
            span = 2 if kind == "pair" and axis + 1 < len(shape) else 1
            mask = draw(hnp.arrays(np.bool_, shape[axis : axis + span]))
            count = mask.sum()
            key.append(to_tensor(mask) if draw(st.booleans()) else mask)
            axis += span - 1
        else:
            if kind == "new":
                key.append(None)
            elif kind == "flag":
                key.append(draw(st.booleans()))
            elif kind == "...":
                key.append(Ellipsis)
                has_dots = True
                axis += draw(st.integers(0, len(shape) - axis))
            continue
        axis += 1
    if len(key) == 1 and draw(st.booleans()):
        return key[0]
    return tuple(key)


def on_host(key):
    parts = key if isinstance(key, tuple) else (key,)
    found = tuple(part.numpy() if isinstance(part, Tensor) else part for part in parts)
    return found if isinstance(key, tuple) else found[0]


def read_by_numpy(x, key):
    """x[key], or None where NumPy refuses the key."""
    try:
        return x[on_host(key)]
    except IndexError:
        return None


@given(SHAPES, st.data())
@settings(max_examples=400)
def test_reading_with_any_key(shape, data):
    x, key = numbers(*shape), data.draw(keys(shape))
    wanted = read_by_numpy(x, key)
    if wanted is None:
        with pytest.raises((OutOfRangeError, ShapeError)):
            get_item(x, key)
    else:
        same(get_item(x, key), wanted)


@given(SHAPES, st.data())
@settings(max_examples=300)
def test_writing_with_any_key(shape, data):
    x, key = numbers(*shape), data.draw(keys(shape))
    part = read_by_numpy(x, key)
    if part is None:
        return
    part = np.shape(part)
    mode = data.draw(st.sampled_from(MODES))
    # A value of the part's shape, of its last axes, or stretched along an axis.
    value = numbers(*part[data.draw(st.integers(0, len(part))) :], start=-3.5)
    if value.ndim and value.shape[0] and data.draw(st.booleans()):
        value = value[:1]
    wanted = x.copy()
    if mode == "set":
        wanted[on_host(key)] = value
    else:
        # Copied, as NumPy 2.4 misreads a value that it has to broadcast here.
        UFUNCS[mode].at(wanted, on_host(key), np.broadcast_to(value, part).copy())
    same(getattr(at(x)[key], mode)(value), wanted)


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), st.data())
@settings(max_examples=60)
def test_a_derivative_returns_to_the_places_read(shape, data):
    x, key = numbers(*shape), data.draw(keys(shape))
    part = read_by_numpy(x, key)
    if part is None:
        return
    weights = numbers(*np.shape(part), start=1.0)
    wanted = np.zeros(shape)
    np.add.at(wanted, on_host(key), weights)
    found = grad(lambda x: total(get_item(x, key), weights))(x)
    np.testing.assert_allclose(found.numpy(), wanted)


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), st.data())
@settings(max_examples=60)
def test_a_derivative_passes_a_write(shape, data):
    x, key = numbers(*shape), data.draw(keys(shape, arrays=False))
    value = numbers(*np.shape(x[key]), start=0.5)
    weights = numbers(*shape, start=1.0)
    for mode in ("set", "add", "multiply"):
        dx, dvalue = grad(
            lambda x, v, mode=mode: total(getattr(at(x)[key], mode)(v), weights), argnums=(0, 1)
        )(x, value)
        wanted = weights.copy()
        if mode != "add":
            wanted[key] *= 0 if mode == "set" else value
        np.testing.assert_allclose(dx.numpy(), wanted)
        inner = weights[key] * (x[key] if mode == "multiply" else 1)
        np.testing.assert_allclose(dvalue.numpy(), inner)


# Keys by kind -------------------------------------------------------------------------------------


def test_keys_of_every_kind():
    x = numbers(3, 4, 5)
    rows = [2, 0, -1]
    for key in (1, -1, np.int8(2), np.array(1), (), ..., None, [0, 2], rows, [[0], [1]], [], ([],),
                range(2), (0, rows), (rows, 0), (slice(None), [1, 2], [3, 4]),
                ([0, 1], ..., [3, 4]), (rows, None, 0), (0, slice(None), rows),
                (None, rows), [True, False, True],
                (slice(None), x[0] > 5), (True, 0), False, np.uint8([1, 2]),
                (slice(np.int64(1), None), slice(None, None, -2))):  # fmt: skip
        same(get_item(x, key), x[key])
    same(get_item(x, to_tensor(1)), x[1])
    same(get_item(x, Variable(np.array([1, 2]))), x[[1, 2]])
    same(get_item(Variable(x), slice(to_tensor(1), None)), x[1:])
    same(get_item(x, ([to_tensor(1), 2],)), x[[1, 2]])
    same(get_item([1, 2, 3], 1), 2)
    assert get_item(x, (0, 0, 0)).shape == ()


def test_indices_of_every_integer_type():
    x = numbers(300)
    for dtype in DTYPES:
        if dtype.is_integer:
            index = np.array([5, 100, 127]).astype(dtype.numpy)
            same(get_item(x, index), x[index])
            same(get_item(x, add(index, np.zeros((), dtype.numpy))), x[index])
        if dtype.kind == "int":
            index = np.array([-5, -100, -128]).astype(dtype.numpy)
            same(get_item(x, index), x[index])
            same(get_item(x, add(index, np.zeros((), dtype.numpy))), x[index])
    pair = (np.array([1, 2], np.int16), np.array([[0], [3]], np.uint64))
    same(get_item(numbers(3, 4), pair), numbers(3, 4)[[1, 2], [[0], [3]]])


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, OutOfRangeError, r"an index from -3 to 2 on axis 0.\nReceived 3 for f64\[3,4\]"),
        (-4, OutOfRangeError, "an index from -3 to 2 on axis 0"),
        ((0, 4), OutOfRangeError, "an index from -4 to 3 on axis 1"),
        ([0, 3], OutOfRangeError, "Received 3 for"),
        (np.array([-4, 0]), OutOfRangeError, "Received -4 for"),
        ((slice(None), [0, 9]), OutOfRangeError, "axis 1"),
        (to_tensor([7]), OutOfRangeError, "Received 7 for"),
        ((0, 0, 0), OutOfRangeError, r"at most 2 indices for f64\[3,4\].\nReceived 3"),
        ((..., 0, ...), OutOfRangeError, r"one ... at most"),
        ([True, False], OutOfRangeError, r"a mask of shape \[3\]"),
        (np.ones((3, 3), bool), OutOfRangeError, r"a mask of shape \[3,4\]"),
        (([0, 1], [0, 1, 2]), ShapeError, "shapes that broadcast"),
        (1.0, ArgumentTypeError, "arrays of integers or booleans.\nReceived 1.0 of float"),
        ("a", ArgumentTypeError, "Received 'a' of str"),
        ([0.5], ArgumentTypeError, "Received float"),
        (to_tensor([1.0]), ArgumentTypeError, r"Received f32\[1\]"),
        (slice(0.5, None), ArgumentTypeError, "integers in a slice.\nReceived 0.5 of float"),
        (slice(None, None, 0), ArgumentError, "a step other than 0"),
    ],
)
def test_keys_that_are_refused(key, error, message):
    with pytest.raises(error, match=message):
        get_item(numbers(3, 4), key)


def test_an_empty_axis_has_no_index():
    with pytest.raises(OutOfRangeError, match="no index: the axis has size 0, on axis 1"):
        get_item(numbers(2, 0), (0, 0))
    same(get_item(numbers(2, 0), (0, [])), numbers(0))


def test_an_index_that_is_not_computed_reads_nan_outside():
    x = numbers(4)
    index = add(np.array([0, 3, 4, -4, -5]), 0)
    found = get_item(x, index)
    assert index._cell.buffer is None
    np.testing.assert_array_equal(found.numpy(), [0, 3, np.nan, 0, np.nan])
    same(at(x)[add(np.array([1, 4]), 0)].set(9.0), [0, 9, 2, 3])
    with pytest.raises(OutOfRangeError):
        get_item(x, index)  # computed by now


def test_nothing_is_computed_but_a_mask():
    x = add(numbers(3, 4), 1)
    index, mask = add(np.array([1, 2]), 0), greater(numbers(3), 1)
    get_item(x, (0, slice(1, None)))
    get_item(x, index)
    at(x)[index, 1:].add(1.0)
    at(x)[mask].set(0.0)
    assert all(each._cell.buffer is None for each in (x, index, mask))
    get_item(x, mask)
    assert mask._cell.buffer is not None


# Writing ------------------------------------------------------------------------------------------


def test_at_is_a_class_and_leaves_x_alone():
    x = to_tensor(numbers(2, 3))
    assert at is At and isinstance(at(x)[0], Place)
    same(at(x)[0].get(), numbers(3))
    same(at(x)[0].set(7), [[7, 7, 7], [3, 4, 5]])
    same(x, numbers(2, 3))
    assert repr(at(x)).startswith("at(Tensor(") and repr(at(x)[1]).endswith("[1]")


def test_repeated_places():
    x = numbers(4)
    index = [1, 1, 3]
    same(at(x)[index].set([5, 6, 7]), [0, 6, 2, 7])
    same(at(x)[index].add(1), [0, 3, 2, 4])
    same(at(x)[index].multiply([2, 3, 5]), [0, 6, 2, 15])
    same(at(x)[index].max([9, 8, 0]), [0, 9, 2, 3])
    same(at(x)[index].min([0.5, 0.25, 9]), [0, 0.25, 2, 3])


def test_the_value_takes_the_element_type_of_x():
    x = np.zeros(3, np.float16)
    for value in (1, 1.5, True, np.float64(1.5), np.int64([1])):
        assert at(x)[0].set(value).dtype == "float16"
    assert at(np.zeros(3, np.int8))[0].set(np.int64(1)).dtype == "int8"
    assert at(np.zeros(3, bool))[0].set(1).dtype == "bool"
    assert at(np.zeros(3, np.complex64))[0].set(1.5).dtype == "complex64"
    for dtype, value in ((int, 1.5), (float, 1j), (bool, 2), (int, np.float32(1)),
                         (bool, np.int8(1))):  # fmt: skip
        with pytest.raises(DTypeError, match=r"\[at\] wants a value that fits"):
            at(np.zeros(3, dtype))[0].set(value)
    with pytest.raises(ArgumentError, match="a number that fits uint8"):
        at(np.zeros(3, np.uint8))[0].set(256)
    weak = function(lambda x, v: at(x)[0].add(v))
    assert weak(np.zeros(3, np.float16), 1.5).dtype == "float16"
    with pytest.raises(DTypeError, match=r"a value that fits int64.\nReceived f64\[\]"):
        weak(np.zeros(3, np.int64), 1.5)


def test_a_value_that_does_not_broadcast():
    with pytest.raises(ShapeError, match=r"broadcasts to \[2,3\], the shape of the part"):
        at(numbers(4, 3))[1:3].set(numbers(4))
    with pytest.raises(ShapeError, match="the shape of the part"):
        at(numbers(4, 3))[0].set(numbers(2, 3))
    same(at(numbers(4, 3))[0].set(numbers(1, 1, 3)), np.r_[numbers(1, 3), numbers(4, 3)[1:]])


def test_writing_through_a_mask():
    x, mask = numbers(3, 4), numbers(3, 4) % 2 == 0
    same(at(x)[mask].set(-1), np.where(mask, -1, x))
    same(at(x)[mask].set(numbers(6)), np.r_[0.0, 1, 1, 3, 2, 5, 3, 7, 4, 9, 5, 11].reshape(3, 4))
    rows = np.array([True, False, True])
    same(at(x)[rows].add(numbers(4)), x + rows[:, None] * numbers(4))
    same(at(x)[rows, ...].max(5), np.where(rows[:, None], np.maximum(x, 5), x))
    same(at(x)[rows, 1:3].set(0), np.where(rows[:, None] & np.array([0, 1, 1, 0], bool), 0, x))
    same(at(x)[[True, False, False]].set([[9]]), np.r_[np.full((1, 4), 9), x[1:]])


def test_a_basic_write_builds_no_index_array():
    def ops_of(body):
        traced = function(body)
        return {node.op.name for node in traced.trace(numbers(1000, 8)).order()}

    assert ops_of(lambda x: at(x)[5:].set(1.0)) <= {
        "parameter", "constant", "dynamic_update_slice", "broadcast",
    }  # fmt: skip
    assert "scatter" not in ops_of(lambda x: at(x)[::2, 3].add(1.0))
    assert "scatter" not in ops_of(lambda x: at(x)[::-3].multiply(2.0))
    assert ops_of(lambda x: at(x)[...].set(2.0)) <= {"parameter", "constant", "broadcast"}
    masked = function(lambda x, mask: at(x)[mask].set(0.0))
    graph = masked.trace(numbers(9, 8), np.ones(9, bool))
    assert {node.op.name for node in graph.order()} <= {
        "parameter", "constant", "broadcast", "select",
    }  # fmt: skip


# Traces -------------------------------------------------------------------------------------------


def test_a_traced_integer_is_a_place():
    pick = function(lambda x, i: (get_item(x, i), get_item(x, (..., i, None)), at(x)[i].set(0.0)))
    x = numbers(3, 3)
    for i in (0, 2, -1, -3):
        one, two, changed = pick(x, i)
        same(one, x[i])
        same(two, x[..., i, None])
        wanted = x.copy()
        wanted[i] = 0
        same(changed, wanted)
    assert len(pick.variants) == 1
    np.testing.assert_array_equal(pick(x, 3)[0].numpy(), np.full(3, np.nan))
    same(pick(x, -4)[2], x)


def test_a_loop_reads_and_writes_at_its_counter():
    def step(carry, i):
        changed = at(carry)[i].set(multiply(get_item(carry, i), 2.0))
        return changed, get_item(carry, i)

    final, seen = scan(step, to_tensor(numbers(4)), np.arange(4))
    same(final, numbers(4) * 2)
    same(seen, numbers(4))


def test_mapped_over_examples():
    def body(x, i, mask):
        return get_item(x, (i, slice(None, None, -1))), at(x)[i, ::2].add(1.0), at(x)[mask].set(0.0)

    x, i = numbers(3, 4, 5), np.array([1, -1, 0])
    mask = numbers(3, 4) % 3 == 0
    read, added, cleared = vmap(body)(x, i, mask)
    same(read, np.stack([x[n, i[n], ::-1] for n in range(3)]))
    wanted = x.copy()
    for n in range(3):
        wanted[n, i[n], ::2] += 1
    same(added, wanted)
    same(cleared, np.where(mask[..., None], 0, x))


def test_traced_index_arrays():
    x, i, j = numbers(4, 5, 6), np.array([[0, -1], [2, 3]]), np.array([1, -2])
    f = function(lambda x, i, j: (get_item(x, (i, slice(1, None), j)), at(x)[i, j].add(1.0)))
    read, written = f(x, i, j)
    same(read, x[i, 1:, j])
    wanted = x.copy()
    np.add.at(wanted, (i, j), 1.0)
    same(written, wanted)
    graph = function(lambda x: get_item(x, [2, 0])).trace(x)
    assert len(graph.parameters) == 1  # the indices are a constant of the graph


def test_a_traced_mask_is_refused_with_what_to_write():
    f = function(lambda x, mask: get_item(x, mask))
    with pytest.raises(TraceError, match="a shape that depends on data") as caught:
        f(numbers(3), np.array([True, False, True]))
    assert "where(mask, x, 0)" in str(caught.value)
    assert "nonzero(mask, size=n)" in str(caught.value)
    with pytest.raises(TraceError, match="a shape that depends on data"):
        function(lambda x, mask: at(x)[mask].set([1.0, 2.0]))(numbers(3), np.ones(3, bool))
    # A mask from outside has values.
    mask = np.array([True, False, True])
    same(function(lambda x: get_item(x, mask))(numbers(3)), [0, 2])
    outer = to_tensor(mask)
    same(function(lambda x: get_item(x, outer))(numbers(3)), [0, 2])


def test_a_traced_bound_is_refused_with_what_to_write():
    with pytest.raises(TraceError, match="dynamic_slice"):
        function(lambda x, n: get_item(x, slice(n, None)))(numbers(3), 1)


SYMBOLIC = [
    np.s_[1:], np.s_[:-1], np.s_[2:], np.s_[-2:], np.s_[:3], np.s_[1:-1], np.s_[::2], np.s_[1::2],
    np.s_[::-1], np.s_[::-2], np.s_[-2::-1], np.s_[3:0:-1], np.s_[..., None], np.s_[None], np.s_[0],
    np.s_[-1], np.s_[..., 0], np.s_[:, 1:], np.s_[1:4, 0], np.s_[-3:-1], np.s_[5:2], np.s_[2:-2:3],
    np.s_[..., ::-1], np.s_[:, [0, -1]], np.s_[0, ..., None], np.s_[7::3],
]  # fmt: skip


@pytest.mark.parametrize("key", SYMBOLIC, ids=str)
def test_named_sizes(key):
    shapes = {"x": ("b", 2)}
    read = function(lambda x: get_item(x, key), shapes=shapes)
    written = function(lambda x: at(x)[key].set(-1.0), shapes=shapes)
    slope = function(
        grad(lambda x: wrap(sum_op(node_of(ravel(multiply(get_item(x, key), 3.0))), axes=(0,)))),
    )
    for size in (1, 2, 3, 5, 8, 11):
        x = numbers(size, 2, start=1.0)
        same(read(x), x[key])
        wanted = x.copy()
        wanted[key] = -1
        same(written(x), wanted)
        wanted = np.zeros_like(x)
        wanted[key] = 3
        same(slope(x), wanted)
    assert len(read.variants) == len(written.variants) == 1
    assert len(slope.variants) <= 2


def test_slices_of_slices_with_named_sizes():
    chain = function(
        lambda x: get_item(get_item(get_item(x, np.s_[::2]), np.s_[1:]), np.s_[::-3]),
        shapes={"x": ("b",)},
    )
    equal = function(
        lambda x: add(get_item(get_item(x, np.s_[1:]), np.s_[1:]),
                      get_item(get_item(x, np.s_[:-1]), np.s_[:-1])),
        shapes={"x": ("b",)},
    )  # fmt: skip
    for size in (1, 2, 3, 4, 9, 20):
        x = numbers(size)
        same(chain(x), x[::2][1:][::-3])
        same(equal(x), x[2:] + x[:-2])
    assert len(chain.variants) == len(equal.variants) == 1


def test_arrays_on_an_axis_of_named_size():
    f = function(lambda x, i: (get_item(x, i), get_item(x, [0, -1])), shapes={"x": ("b",)})
    for size in (1, 3, 5):
        x = numbers(size)
        one, two = f(x, np.array([0, -1, -size]))
        same(one, x[[0, -1, -size]])
        same(two, x[[0, -1]])
    assert len(f.variants) == 1


def test_sizes_as_bounds_and_places():
    def halves(x):
        size = x.shape[0]
        middle = size // 2
        return get_item(x, np.s_[:middle]), get_item(x, np.s_[middle:]), get_item(x, size - 1)

    f = function(halves, shapes={"x": ("b",)})
    for size in (1, 2, 5):
        x = numbers(size)
        for found, wanted in zip(f(x), (x[: size // 2], x[size // 2 :], x[-1]), strict=True):
            same(found, wanted)
    assert len(f.variants) == 1


def test_what_named_sizes_leave_open():
    t = named("t")
    for key, message in (
        (5, "known that it is inside an axis of size b"),
        (-2, "known that it is inside"),
        (np.s_[t - 5 :], "known whether they count from the end"),
        (np.s_[::t], "a step that is a number"),
    ):
        with pytest.raises(UndecidedError, match=message):
            function(lambda x: get_item(x, key), shapes={"x": ("b",)})(numbers(9))  # noqa: B023
    # Without given names the function is traced for each size instead.
    f = function(lambda x: get_item(x, 2))
    for size in (3, 4, 5):
        same(f(numbers(size)), 2.0)
    assert len(f.variants) == 3


# take and its like --------------------------------------------------------------------------------


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), st.data())
@settings(max_examples=80)
def test_take_and_take_along_axis(shape, data):
    x, rank = numbers(*shape), len(shape)
    axis = data.draw(st.integers(-rank, rank - 1))
    size = shape[axis]
    index = data.draw(places(size, data.draw(st.sampled_from([(), (0,), (3,), (2, 2)]))))
    same(take(x, index, axis=axis), np.take(x, index, axis))
    flat = data.draw(places(x.size, (4,)))
    same(take(x, flat), np.take(x, flat))
    along = list(shape)
    along[axis] = data.draw(st.integers(0, 3))
    index = data.draw(places(size, tuple(along)))
    same(take_along_axis(x, index, axis=axis), np.take_along_axis(x, index, axis))
    one = tuple(2 if each == axis % rank else 1 for each in range(rank))
    index = data.draw(places(size, one))
    same(take_along_axis(x, index, axis=axis), np.take_along_axis(x, index, axis))


def test_take_that_does_not_fit():
    with pytest.raises(OutOfRangeError, match="an index from -3 to 2"):
        take(numbers(3), [3], axis=0)
    with pytest.raises(OutOfRangeError, match="an index from -3 to 2"):
        take_along_axis(numbers(3), [0, -4])
    with pytest.raises(
        DTypeError, match=r"(?s)\[take\] wants indices that are integers.*x\[mask\]"
    ):
        take(numbers(3), [True, False, True], axis=0)
    with pytest.raises(DTypeError, match="indices that are integers"):
        take(numbers(3), to_tensor([0.5]), axis=0)
    with pytest.raises(ShapeError, match="indices of as many axes as x, 2"):
        take_along_axis(numbers(2, 3), [0])
    same(take(numbers(2, 3), [], axis=1), numbers(2, 0))


def test_dynamic_slices():
    x = numbers(5, 6)
    for starts, first in (((1, 2), (1, 2)), ((9, -3), (3, 0))):
        cut = np.s_[first[0] : first[0] + 2, first[1] : first[1] + 3]
        for given_starts in (starts, list(map(to_tensor, starts)), np.array(starts)):
            same(dynamic_slice(x, given_starts, (2, 3)), x[cut])
            wanted = x.copy()
            wanted[cut] = 7
            same(dynamic_update_slice(x, np.full((2, 3), 7), given_starts), wanted)
    traced = function(lambda x, i: dynamic_slice(x, (i, 0), (1, x.shape[1])))
    same(traced(x, 3), x[3:4])
    with pytest.raises(DTypeError, match="starts that are integers"):
        dynamic_slice(x, (0.5, 0), (1, 1))
    with pytest.raises(ShapeError, match="one start for each of the 2 axes"):
        dynamic_slice(x, to_tensor([1]), (1, 1))
    with pytest.raises(ShapeError, match="one start, a scalar, for each axis"):
        dynamic_slice(x, (1,), (1, 1))
    with pytest.raises(DTypeError, match="a value that fits int64"):
        dynamic_update_slice([1, 2], [0.5], (0,))


def test_bounds_of_slices_are_pythons_whatever_the_size():
    b = named("b")
    bounds = (None, *range(-4, 5))
    for size in (b, 2 * b + 1, b - 1, dim_max(b - 2, 0), (b + 1) // 2):
        for start, stop, mirror in itertools.product(bounds, bounds, (False, True)):
            low, limit = slice_bounds("index", size, start, stop, mirror)
            assert is_known_at_least(low, 0)
            assert is_known_at_least(limit - low, 0) and is_known_at_least(size - limit, 0)
            for value in range(1, 8):
                places = range(substitute(size, {"b": value}))
                wanted = places[start : stop : -1 if mirror else 1]
                first, end = (substitute(each, {"b": value}) for each in (low, limit))
                found = places[::-1][first:end] if mirror else places[first:end]
                assert list(found) == list(wanted)

"""Gather, scatter and dynamic slices against loops; derivatives where writes meet or miss."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import literal
from thalweg.ir.types import as_dtype, float64, int64, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.elementwise import multiply
from thalweg.ops.index import (
    dynamic_slice,
    dynamic_update_slice,
    gather,
    outside_value,
    scatter,
    take,
    take_along,
)
from thalweg.ops.movement import reshape, slice
from thalweg.ops.samples import values
from thalweg.transforms.batch import batch
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp

MODES = ("set", "add", "multiply", "min", "max")


def type_of(array):
    return tensor_type(as_dtype(array.dtype), array.shape)


def function_of(body, *arrays) -> Function:
    return build("f", [type_of(array) for array in arrays], body)


def evaluate(body, *arrays):
    (result,) = run(verify(function_of(body, *arrays)), *arrays)
    return result


def pulled(body, *arrays, dy):
    """The cotangents of the inexact arrays."""
    return run(verify(vjp(function_of(body, *arrays))), *arrays, dy)


def assert_same(found, wanted):
    assert found.dtype == wanted.dtype
    # NumPy knows NaN in its own types only.
    if found.dtype == as_dtype("bfloat16").numpy:
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    np.testing.assert_array_equal(found, wanted)


# Loops --------------------------------------------------------------------------------------------


def places(shape, indices, axes, batch):
    """Every place in row-major order, with its index into x (the axes left open), None outside."""
    for place in np.ndindex(indices[0].shape):
        where = [np.s_[:]] * len(shape)
        where[:batch] = place[:batch]
        is_inside = True
        for index, axis in zip(indices, axes, strict=True):
            where[axis] = int(index[place])
            is_inside = is_inside and 0 <= where[axis] < shape[axis]
        yield place, tuple(where) if is_inside else None


def gather_by_loop(x, *indices, axes, batch):
    left = [x.shape[axis] for axis in range(batch, x.ndim) if axis not in axes]
    result = np.empty((*indices[0].shape, *left), x.dtype)
    for place, where in places(x.shape, indices, axes, batch):
        result[place] = outside_value(as_dtype(x.dtype)) if where is None else x[where]
    return result


COMBINE = {
    "set": lambda old, new: new,
    "add": np.add,
    "multiply": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


def scatter_by_loop(x, updates, *indices, axes, batch, mode):
    is_narrow = as_dtype(x.dtype).is_float and x.dtype.itemsize == 2
    result = x.astype(np.float32) if is_narrow else x.copy()
    with np.errstate(all="ignore"):
        for place, where in places(x.shape, indices, axes, batch):
            if where is not None:
                result[where] = COMBINE[mode](result[where], updates[place].astype(result.dtype))
    return result.astype(x.dtype)


@st.composite
def cases(draw):
    """Shapes of rank 1 to 4 with sizes 0 to 3; indices that repeat and go outside."""
    shape = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=4)))
    shared = draw(st.integers(0, len(shape) - 1))
    free = range(shared, len(shape))
    axes = tuple(sorted(draw(st.sets(st.sampled_from(free), min_size=1))))
    own = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    dtype = np.dtype(draw(st.sampled_from(["int8", "uint8", "int32", "int64", "uint64"])))
    seed = draw(st.integers(0, 2**16))
    random = np.random.default_rng(seed)
    indices = tuple(
        random.integers(0 if dtype.kind == "u" else -1, shape[axis] + 1, (*shape[:shared], *own),
                        endpoint=draw(st.booleans())).astype(dtype)
        for axis in axes
    )  # fmt: skip
    return shape, indices, axes, shared, seed


ELEMENTS = ("float64", "float32", "bfloat16", "float16", "int8", "uint16", "complex64", "bool")


@settings(max_examples=200)
@given(cases(), st.sampled_from(ELEMENTS))
def test_gather_is_a_loop(case, element):
    shape, indices, axes, shared, seed = case
    x = values(shape, as_dtype(element), seed=seed)
    attrs = {"axes": axes, "batch": shared}
    found = evaluate(lambda x, *i: gather(x, *i, **attrs), x, *indices)
    assert_same(found, gather_by_loop(x, *indices, **attrs))


@settings(max_examples=400)
@given(cases(), st.sampled_from(ELEMENTS), st.sampled_from(MODES))
def test_scatter_is_a_loop(case, element, mode):
    if element == "bool" or (element == "complex64" and mode in ("min", "max")):
        mode = "set"
    shape, indices, axes, shared, seed = case
    dtype = as_dtype(element)
    x = values(shape, dtype, seed=seed)
    left = (shape[axis] for axis in range(shared, len(shape)) if axis not in axes)
    updates = values((*indices[0].shape, *left), dtype, seed=(seed, 1))
    attrs = {"axes": axes, "batch": shared, "mode": mode}
    kept = x.copy()
    found = evaluate(lambda x, u, *i: scatter(x, u, *i, **attrs), x, updates, *indices)
    wanted = scatter_by_loop(x, updates, *indices, **attrs)
    if element == "complex64" and mode == "multiply":
        # Whether a complex product is fused into one rounding is up to the machine.
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    else:
        # Bit for bit: the order in which updates combine is part of the definition.
        assert_same(found, wanted)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("element", ["float16", "bfloat16"])
def test_narrow_floats_accumulate_in_float32(element):
    dtype = as_dtype(element)
    count = 4096
    x, updates = np.ones(1, dtype.numpy), np.full(count, 2.0**-11, dtype.numpy)
    index = np.zeros(count, np.int32)
    found = evaluate(lambda *a: scatter(*a, axes=(0,), mode="add"), x, updates, index)
    # One by one in 16 bits, 1 + 2**-11 would stay 1.
    assert found.astype(float) == [3.0]


def test_what_lies_outside_reads_as_the_element_type_says():
    index = np.array([-1, 1, 2, 100], np.int8)
    for element, wanted in (
        ("int8", -128), ("int64", -(2**63)), ("uint8", 255), ("uint32", 2**32 - 1), ("bool", True),
    ):  # fmt: skip
        x = np.zeros(2, element)
        found = evaluate(lambda x, i: gather(x, i, axes=(0,)), x, index)
        np.testing.assert_array_equal(found, np.array([wanted, 0, wanted, wanted], element))
    for element in ("float16", "bfloat16", "float32", "float64", "complex64", "complex128"):
        x = np.zeros(2, as_dtype(element).numpy)
        found = evaluate(lambda x, i: gather(x, i, axes=(0,)), x, index)
        np.testing.assert_array_equal(np.isnan(found), [True, False, True, True])


def test_an_unsigned_index_beyond_int64_is_outside():
    x, index = np.arange(3.0), np.array([2**64 - 1, 2, 2**63], np.uint64)
    found = evaluate(lambda x, i: gather(x, i, axes=(0,)), x, index)
    np.testing.assert_array_equal(found, [np.nan, 2, np.nan])
    (dx,) = pulled(lambda x, i: gather(x, i, axes=(0,)), x, index, dy=np.array([5.0, 7.0, 9.0]))
    np.testing.assert_array_equal(dx, [0, 0, 7])


# Derivatives --------------------------------------------------------------------------------------


def test_the_gradient_of_set_goes_to_the_last_write_only():
    x, updates = np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    index = np.array([2, 0, 2, 0, 9], np.int32)
    dy = np.array([10.0, 20.0, 30.0, 40.0])
    dx, dupdates = pulled(lambda *a: scatter(*a, axes=(0,), mode="set"), x, updates, index, dy=dy)
    np.testing.assert_array_equal(dx, [0, 20, 0, 40])
    np.testing.assert_array_equal(dupdates, [0, 0, 30, 10, 0])


def test_the_gradient_of_set_finds_the_last_write_in_every_example_and_of_every_row():
    x, updates = np.zeros((2, 3, 2)), np.zeros((2, 2, 2, 2))
    index = np.array([[[0, 1], [1, 0]], [[2, 2], [2, -1]]])
    dy = np.arange(1.0, 13).reshape(2, 3, 2)
    dx, dupdates = pulled(
        lambda *a: scatter(*a, axes=(1,), batch=1, mode="set"), x, updates, index, dy=dy
    )
    np.testing.assert_array_equal(dx, [[[0, 0], [0, 0], [5, 6]], [[7, 8], [9, 10], [0, 0]]])
    wanted = [[[[0, 0], [0, 0]], [[3, 4], [1, 2]]], [[[0, 0], [0, 0]], [[11, 12], [0, 0]]]]
    np.testing.assert_array_equal(dupdates, wanted)


@settings(max_examples=100)
@given(cases())
def test_the_gradient_of_set_follows_the_serial_number_that_stays(case):
    shape, indices, axes, shared, seed = case
    left = tuple(shape[axis] for axis in range(shared, len(shape)) if axis not in axes)
    extents = (*indices[0].shape, *left)
    updates = np.arange(1.0, 1 + np.prod(extents)).reshape(extents)
    x = np.zeros(shape)
    attrs = {"axes": axes, "batch": shared, "mode": "set"}
    dy = values(shape, float64, seed=seed)
    dx, dupdates = pulled(lambda *a: scatter(*a, **attrs), x, updates, *indices, dy=dy)
    # Every update is a different number: what stays says whose cotangent it is.
    y = scatter_by_loop(x, updates, *indices, **attrs)
    wanted = np.zeros(updates.size)
    wanted[y[y > 0].astype(int) - 1] = dy[y > 0]
    np.testing.assert_array_equal(dupdates.reshape(-1), wanted)
    np.testing.assert_array_equal(dx, np.where(y > 0, 0, dy))


@pytest.mark.parametrize("mode", MODES)
def test_what_lies_outside_gets_no_cotangent_at_any_order(mode):
    x, updates = values((3, 2), float64, seed=1), values((5, 2), float64, seed=2)
    index = np.array([1, -1, 3, 1, 2], np.int64)
    once = vjp(function_of(lambda *a: scatter(*a, axes=(0,), mode=mode), x, updates, index))
    twice = vjp(once)
    dy = values((3, 2), float64, seed=3)
    _, dupdates = run(once, x, updates, index, dy)
    np.testing.assert_array_equal(dupdates[1:3], 0)
    assert dupdates.any()
    seconds = (values((3, 2), float64, seed=4), values((5, 2), float64, seed=5))
    for result in run(twice, x, updates, index, dy, *seconds):
        assert np.isfinite(result).all()
        if result.shape == updates.shape:
            np.testing.assert_array_equal(result[1:3], 0)


def product_by_hand(index, count, size):
    """The same function as scatter multiply, spelled with multiply alone."""

    def body(x, updates):
        parts = []
        for place in range(size):
            result = slice(x, start=(place,), limit=(place + 1,), stride=(1,))
            for update in range(count):
                if index[update] == place:
                    one = slice(updates, start=(update,), limit=(update + 1,), stride=(1,))
                    result = multiply(result, one)
            parts.append(result)
        whole = parts[0]
        for part in parts[1:]:
            whole = multiply(whole, part)
        return reshape(whole, shape=())

    return body


def product_by_scatter(index, size):
    def body(x, updates):
        found = scatter(x, updates, literal(index, int64), axes=(0,), mode="multiply")
        whole = slice(found, start=(0,), limit=(1,), stride=(1,))
        for place in range(1, size):
            one = slice(found, start=(place,), limit=(place + 1,), stride=(1,))
            whole = multiply(whole, one)
        return reshape(whole, shape=())

    return body


@pytest.mark.parametrize(
    ("zeros", "order"),
    [
        ((), 3),
        ((1,), 3),
        ((1, 4), 3),
        ((1, 2), 4),
        ((1, 2, 4), 3),
        ((1, 2, 5), 2),
        ((0, 1, 2, 5), 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("x_is_zero", [False, True], ids=["", "x zero"])
def test_derivatives_of_multiply_are_those_of_the_product(zeros, order, x_is_zero):
    index = (0, 1, 1, 0, 0, 1)  # up to four updates meet; 1, 2 and 5 are the same place
    x, updates = values((2,), float64, seed="x"), values((6,), float64, seed="updates")
    updates[list(zeros)] = 0
    if x_is_zero:
        x[1] = 0
    args = (x, updates)
    found, wanted = (
        function_of(product_by_scatter(index, 2), *args),
        function_of(product_by_hand(index, 6, 2), *args),
    )
    random = np.random.default_rng(0)
    inputs = list(args)
    for step in range(order):
        found, wanted = verify(vjp(found)), vjp(wanted)
        # Each step adds cotangents for the results of the step before.
        while len(inputs) < len(found.parameters):
            inputs.append(random.standard_normal(found.parameters[len(inputs)].shape))
        results = run(found, *inputs), run(wanted, *inputs)
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12, err_msg=f"order {step}")


def test_the_gradient_of_multiply_is_conjugated():
    x, updates = np.array([1 + 2j]), np.array([3 - 1j, 0.5 + 1j, 0])
    index = np.array([0, 0, 5])
    dy = np.array([2 + 3j])
    dx, dupdates = pulled(
        lambda *a: scatter(*a, axes=(0,), mode="multiply"), x, updates, index, dy=dy
    )
    np.testing.assert_allclose(dx, dy * np.conj(updates[0] * updates[1]))
    wanted = [dy[0] * np.conj(x[0] * updates[1]), dy[0] * np.conj(x[0] * updates[0]), 0]
    np.testing.assert_allclose(dupdates, wanted)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_all_that_attain_the_extremum_share_the_cotangent(mode):
    sign = 1.0 if mode == "max" else -1.0
    x = sign * np.array([5.0, 1.0, 2.0, 7.0, np.nan])
    updates = sign * np.array([5.0, 4.0, 5.0, 4.0, 0.0, 9.0, 3.0])
    index = np.array([0, 1, 0, 1, 2, -1, 4])
    dy = np.array([12.0, 8.0, 3.0, 4.0, 100.0])
    dx, dupdates = pulled(lambda *a: scatter(*a, axes=(0,), mode=mode), x, updates, index, dy=dy)
    np.testing.assert_array_equal(dx, [4, 0, 3, 4, 0])
    np.testing.assert_array_equal(dupdates, [4, 4, 4, 4, 0, 0, 0])


@pytest.mark.parametrize(
    ("dtype", "index"),
    [("int8", [127, -1, 0]), ("uint8", [255, 1, 0]), ("int16", [300, 299, 301])],
)
def test_indices_are_inside_or_not_whatever_their_width(dtype, index):
    x, updates, dy = np.zeros(300), np.array([1.0, 2.0, 3.0]), np.arange(1.0, 301)
    _, dupdates = pulled(
        lambda *a: scatter(*a, axes=(0,), mode="add"), x, updates, np.array(index, dtype), dy=dy
    )
    wanted = [dy[each] if 0 <= each < 300 else 0 for each in index]
    np.testing.assert_array_equal(dupdates, wanted)


# Batches ------------------------------------------------------------------------------------------


def some_mapped(count):
    """Every choice of mapped operands but none."""
    return list(itertools.product([False, True], repeat=count))[1:]


@pytest.mark.parametrize(
    ("op", "mapped"),
    [
        *itertools.product(["gather"], some_mapped(3)),
        *itertools.product(MODES, some_mapped(4)),
    ],
    ids=str,
)
@pytest.mark.parametrize("shared", [0, 1])
def test_a_batch_and_the_batch_of_a_gradient_are_loops(op, shared, mapped):
    size = 3
    shape = ((2,) if shared else ()) + (4, 3, 2)
    axes = (shared, shared + 1)
    random = np.random.default_rng(7)
    place = (*shape[:shared], 5)
    shapes = [shape, place, place] if op == "gather" else [shape, (*place, 2), place, place]
    args = []
    for position, (each, is_mapped) in enumerate(zip(shapes, mapped, strict=True)):
        whole = (size, *each) if is_mapped else each
        is_index = position >= len(shapes) - 2
        args.append(random.integers(-1, 5, whole) if is_index else random.standard_normal(whole))

    def body(*nodes):
        if op == "gather":
            return gather(*nodes, axes=axes, batch=shared)
        return scatter(*nodes, axes=axes, batch=shared, mode=op)

    one = [arg[0] if is_mapped else arg for arg, is_mapped in zip(args, mapped, strict=True)]
    function = function_of(body, *one)
    dy = random.standard_normal((size, *function.result_types[0].shape))
    for f, inputs, flags in (
        (function, args, mapped),
        (vjp(function), [*args, dy], (*mapped, True)),
    ):
        whole = run(verify(batch(f, flags, size)), *inputs)
        for example in range(size):
            single = [
                np.ascontiguousarray(each[example]) if is_mapped else each
                for each, is_mapped in zip(inputs, flags, strict=True)
            ]
            for found, wanted in zip(whole, run(f, *single), strict=True):
                np.testing.assert_allclose(found[example], wanted, rtol=1e-12, atol=1e-12)


def ops_of(function):
    return [node.op.name for node in function.order()]


def test_the_batch_of_a_gather_repeats_neither_x_nor_positions():
    x, index = np.zeros((9, 4)), np.zeros(5, int)
    function = function_of(lambda x, i: gather(x, i, axes=(0,)), x, index)
    assert ops_of(batch(function, (False, True), 8)) == ["parameter", "parameter", "gather"]
    assert ops_of(batch(function, (True, True), 8)) == ["parameter", "parameter", "gather"]
    x, index = np.zeros((2, 9, 4)), np.zeros((2, 5), int)
    function = function_of(lambda x, i: gather(x, i, axes=(1,), batch=1), x, index)
    found = ops_of(batch(function, (False, True), 8))
    assert found == ["parameter", "parameter", "transpose", "gather", "transpose"]


# Slices at starts that are data -------------------------------------------------------------------


def window(shape, starts, sizes):
    return tuple(
        np.s_[first : first + size]
        for first, size in zip(
            (np.clip(int(s), 0, e - z) for s, e, z in zip(starts, shape, sizes, strict=True)),
            sizes,
            strict=True,
        )
    )


@pytest.mark.parametrize(
    "sizes", [(2, 3, 1), (4, 2, 1), (4, 3, 2), (3, 3, 2), (1, 1, 1), (0, 2, 1)]
)
@pytest.mark.parametrize("mapped", some_mapped(4), ids=str)
def test_slices_over_a_batch_of_starts(sizes, mapped):
    size, shape = 5, (4, 3, 2)
    random = np.random.default_rng(3)
    x = random.standard_normal((size, *shape) if mapped[0] else shape)
    starts = [random.integers(-2, 6, (size,) if each else ()) for each in mapped[1:]]
    updates = random.standard_normal((size, *sizes) if mapped[0] else sizes)
    types = [tensor_type(float64, shape), *[tensor_type(int64, ())] * 3]
    reading = build("f", types, lambda x, *s: dynamic_slice(x, *s, sizes=sizes))
    types.insert(1, tensor_type(float64, sizes))
    writing = build("f", types, dynamic_update_slice)
    (read,) = run(verify(batch(reading, mapped, size)), x, *starts)
    (written,) = run(verify(batch(writing, (mapped[0], *mapped), size)), x, updates, *starts)
    for example in range(size):
        one = x[example] if mapped[0] else x
        at = [s[example] if each else s for s, each in zip(starts, mapped[1:], strict=True)]
        cut = window(shape, at, sizes)
        np.testing.assert_array_equal(read[example], one[cut])
        wanted = one.copy()
        wanted[cut] = updates[example] if mapped[0] else updates
        np.testing.assert_array_equal(written[example], wanted)


@pytest.mark.parametrize(
    ("dtype", "starts", "wanted"),
    [
        ("int8", [-128, 127, 5], [0, 127, 5]),
        ("uint8", [255, 200, 0], [255, 200, 0]),
        ("uint64", [2**64 - 1, 2**63, 7], [290, 290, 7]),
        ("int64", [-(2**63), 2**63 - 1, 7], [0, 290, 7]),
    ],
)
def test_starts_of_every_width_are_held_inside(dtype, starts, wanted):
    x, starts = np.arange(300.0), np.array(starts, dtype)
    types = [type_of(x), tensor_type(as_dtype(dtype), ())]
    function = build("f", types, lambda x, s: dynamic_slice(x, s, sizes=(10,)))
    (together,) = run(batch(function, (False, True), len(starts)), x, starts)
    for found, start, first in zip(together, starts, wanted, strict=True):
        np.testing.assert_array_equal(found, np.arange(first, first + 10))
        np.testing.assert_array_equal(run(function, x, np.asarray(start))[0], found)


# Named sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("index_type", ["int32", "uint64"])
def test_named_sizes_are_decided_when_run(mode, index_type):
    b, t, n = named("b"), named("t"), named("n")
    dtype = as_dtype(index_type)
    types = [
        tensor_type(float64, (b, t, 2)),
        tensor_type(float64, (b, n, 2)),
        tensor_type(dtype, (b, n)),
    ]
    function = build("f", types, lambda *a: scatter(*a, axes=(1,), batch=1, mode=mode))
    symbolic = verify(vjp(function))
    random = np.random.default_rng(1)
    for sizes in ((2, 3, 4), (1, 5, 1), (3, 1, 6)):
        x = random.standard_normal((sizes[0], sizes[1], 2))
        updates = random.standard_normal((sizes[0], sizes[2], 2))
        index = random.integers(0, sizes[1] + 1, (sizes[0], sizes[2])).astype(index_type)
        if index_type == "uint64":
            index[0, 0] = 2**64 - 1
        dy = random.standard_normal(x.shape)
        fixed = pulled(
            lambda *a: scatter(*a, axes=(1,), batch=1, mode=mode), x, updates, index, dy=dy
        )
        for found, wanted in zip(run(symbolic, x, updates, index, dy), fixed, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_slices_and_their_batches_take_named_sizes():
    b, t = named("b"), named("t")
    types = [tensor_type(float64, (t + 2, 3)), tensor_type(int64, ()), tensor_type(int64, ())]
    function = build("f", types, lambda x, i, j: dynamic_slice(x, i, j, sizes=(t, 2)))
    together = verify(batch(function, (False, True, True), b))
    for size, length in ((2, 1), (3, 4)):
        x = np.arange(3.0 * (length + 2)).reshape(length + 2, 3)
        rows, columns = np.arange(size) - 1, np.arange(size)
        (found,) = run(together, x, rows, columns)
        for example in range(size):
            cut = window(x.shape, (rows[example], columns[example]), (length, 2))
            np.testing.assert_array_equal(found[example], x[cut])


# Take and take along ------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_take_and_take_along(axis):
    x = values((3, 4, 5), float64)
    random = np.random.default_rng(axis)
    for shape in ((), (2,), (2, 3), (0,)):
        index = random.integers(0, x.shape[axis], shape)
        found = evaluate(lambda x, i: take(x, i, axis), x, index)
        np.testing.assert_array_equal(found, np.take(x, index, axis))
    for count in (0, 1, 6):
        shape = list(x.shape)
        shape[axis] = count
        index = random.integers(0, x.shape[axis], shape)
        found = evaluate(lambda x, i: take_along(x, i, axis), x, index)
        np.testing.assert_array_equal(found, np.take_along_axis(x, index, axis))

"""Sorting: the order itself, stability, NaN, ties, permutations as derivatives, named sizes."""

from functools import cmp_to_key

import numpy as np
import pytest

from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import items
from thalweg.ir.types import (
    COMPLEX,
    DTYPES,
    FLOATS,
    INTEGERS,
    REAL,
    as_dtype,
    float32,
    float64,
    int32,
    int64,
    tensor_type,
)
from thalweg.ops.movement import iota
from thalweg.ops.samples import special, values
from thalweg.ops.sort import argsort, searchsorted, sort, top_k
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import jvp, vjp


def types_of(arrays):
    return [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]


def function_of(op, *arrays, **attrs) -> Function:
    return build(op.name, types_of(arrays), lambda *args: items(op(*args, **attrs)))


def apply(op, *arrays, **attrs):
    return run(function_of(op, *arrays, **attrs), *arrays)


def positions_of(x, axis=0, descending=False):
    (order,) = run(build("order", types_of([x]), lambda x: argsort(x, axis, descending)), x)
    return order


def compare(a, b) -> int:
    """The order in words: NaN last, then by the real part, then by the imaginary part."""
    if np.isnan(a) or np.isnan(b):
        return int(np.isnan(a)) - int(np.isnan(b))
    for p, q in ((a.real, b.real), (a.imag, b.imag)):
        if p != q:
            return -1 if p < q else 1
    return 0


def python_order(row, descending=False) -> list[int]:
    """The positions of a row in stable order, by Python's own stable sort."""

    def by(i, j):
        sign = compare(row[i], row[j])
        is_turned = descending and not np.isnan(row[i]) and not np.isnan(row[j])
        return -sign if is_turned else sign

    return sorted(range(len(row)), key=cmp_to_key(by))


def python_numbers(x) -> list:
    """The values as Python's numbers, which keep NaN, infinities and signed zeros."""
    wide = {"c": complex, "f": float, "V": float}.get(x.dtype.kind, x.dtype)
    return x.astype(wide).tolist()


# ---- the order -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("descending", [False, True])
def test_the_order_of_special_values(dtype, descending):
    if dtype.is_complex:
        parts = [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan]
        x = np.array([complex(a, b) for a in parts for b in parts], dtype.numpy)
    else:
        x = np.tile(special(dtype), 3)
    x = np.random.default_rng(0).permutation(x)
    wanted = python_order(python_numbers(x), descending)
    assert positions_of(x, 0, descending).tolist() == wanted
    found, payload = apply(sort, x, np.arange(len(x)), axis=0, descending=descending)
    assert payload.tolist() == wanted
    # As bytes: a zero keeps its sign, a NaN its bits.
    assert found.tobytes() == x[wanted].tobytes()


@pytest.mark.parametrize("dtype", REAL, ids=str)
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4)], ids=str)
def test_sort_is_that_of_numpy(dtype, shape):
    x = values(shape, dtype, -5, 5)
    for axis in range(len(shape)):
        (found,) = apply(sort, x, axis=axis)
        np.testing.assert_array_equal(found, np.sort(x, axis))
        (found,) = apply(sort, x, axis=axis, descending=True)
        np.testing.assert_array_equal(found, np.flip(np.sort(x, axis), axis))


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_complex_numbers_sort_by_real_then_imaginary_part(dtype):
    x = values((40,), dtype).round(0)
    assert len(np.unique(x.real)) < len(np.unique(x)) < len(x)
    (found,) = apply(sort, x, axis=0)
    np.testing.assert_array_equal(found, np.sort(x))
    (found,) = apply(sort, x, axis=0, descending=True)
    np.testing.assert_array_equal(found, np.sort(x)[::-1])


def test_nan_stands_last_in_both_directions():
    for dtype in FLOATS:
        x = np.array([np.nan, 2, -np.inf, np.nan, np.inf], dtype.numpy)
        for descending, head in ((False, [-np.inf, 2, np.inf]), (True, [np.inf, 2, -np.inf])):
            (found,) = apply(sort, x, axis=0, descending=descending)
            np.testing.assert_array_equal(found.astype(float), [*head, np.nan, np.nan])


def test_the_order_of_integers_at_the_edge_of_their_type():
    for dtype in INTEGERS:
        info = np.iinfo(dtype.numpy)
        x = np.array([info.max, info.min, 0, info.max - 1, info.min + 1], dtype.numpy)
        for descending in (False, True):
            (found,) = apply(sort, x, axis=0, descending=descending)
            assert found.tolist() == sorted(x.tolist(), reverse=descending)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16", "bfloat16", "float64"])
def test_equal_elements_stay_as_they_were(dtype):
    x = np.random.default_rng(1).integers(0, 2, (3, 200)).astype(as_dtype(dtype).numpy)
    ascending = np.argsort(x.astype(int), axis=1, kind="stable")
    descending = np.argsort(-x.astype(int), axis=1, kind="stable")
    np.testing.assert_array_equal(positions_of(x, 1), ascending)
    np.testing.assert_array_equal(positions_of(x, 1, descending=True), descending)
    assert positions_of(x, 1).dtype == np.int64


def test_later_keys_decide_between_equal_elements():
    random = np.random.default_rng(2)
    first = random.integers(0, 3, 60)
    second = random.integers(0, 3, 60).astype(np.float32)
    third = random.integers(0, 2, 60).astype(bool)
    payload = np.arange(60)
    for keys, given in ((1, (first,)), (2, (first, second)), (3, (first, second, third))):
        order = np.lexsort(given[::-1])
        found = apply(sort, first, second, third, payload, axis=0, keys=keys)
        for result, operand in zip(found, (first, second, third, payload), strict=True):
            np.testing.assert_array_equal(result, operand[order])
    order = np.lexsort((~third, -second, -first))
    *_, found = apply(sort, first, second, third, payload, axis=0, keys=3, descending=True)
    np.testing.assert_array_equal(found, order)


def test_a_key_that_is_nan_everywhere_leaves_the_choice_to_the_next():
    first = np.array([np.nan, -np.nan, np.nan])
    _, found = apply(sort, first, np.array([3, 1, 2]), axis=0, keys=2)
    assert found.tolist() == [1, 2, 3]


# ---- derivatives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("descending", [False, True])
def test_the_cotangent_of_a_sort_goes_back_where_its_element_came_from(axis, descending):
    key = np.random.default_rng(3).integers(0, 3, (2, 4, 3)).astype(np.float64)
    payload = values((2, 4, 3), float64)
    dkey, dpayload = (values((2, 4, 3), float64, seed=name) for name in ("dk", "dp"))
    attrs = {"axis": axis, "descending": descending}
    found = run(vjp(function_of(sort, key, payload, **attrs)), key, payload, dkey, dpayload)
    order = np.argsort(-key if descending else key, axis, kind="stable")
    for dx, dy in zip(found, (dkey, dpayload), strict=True):
        wanted = np.zeros_like(dy)
        np.put_along_axis(wanted, order, dy, axis)
        np.testing.assert_array_equal(dx, wanted)


def test_the_cotangent_of_a_sort_by_several_keys():
    first, second = np.array([1.0, 0.0, 1.0, 0.0]), np.array([3, 2, 1, 0])
    payload, dy = values((4,), float64), np.array([10.0, 20.0, 30.0, 40.0])
    function = function_of(sort, first, second, payload, axis=0, keys=2)
    for dx in run(vjp(function), first, second, payload, dy, dy):
        assert dx.tolist() == [40, 20, 30, 10]


def test_the_tangent_of_a_sort_is_sorted_along():
    x = values((3, 5), float64)
    tangent = values((3, 5), float64, seed="t")
    _, found = run(jvp(function_of(sort, x, axis=1)), x, tangent)
    np.testing.assert_array_equal(found, np.take_along_axis(tangent, np.argsort(x, 1), 1))


def sorts_of(function: Function) -> int:
    return sum(node.op is sort for node in function.order())


def test_a_sort_that_carries_positions_is_not_repeated_for_its_derivative():
    x = tensor_type(float64, (4,))
    for dtype in (int32, int64):
        carried = build(
            "carried",
            [x],
            lambda x, dtype=dtype: items(sort(x, iota(dtype=dtype, shape=(4,), axis=0), axis=0)),
        )
        assert sorts_of(vjp(carried)) == 1
        values_in, dy = np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])
        assert run(vjp(carried), values_in, dy)[0].tolist() == [4, 2, 3, 1]
    plain = build("plain", [x], lambda x: items(sort(x, axis=0)))
    assert sorts_of(vjp(plain)) == 1


def test_positions_along_another_axis_are_no_permutation():
    x, dy = values((3, 3), float64), values((3, 3), float64, seed="dy")
    payload = [iota(dtype=int64, shape=(3, 3), axis=1), iota(dtype=float64, shape=(3, 3), axis=0)]
    function = build("f", types_of([x]), lambda x: items(sort(x, *payload, axis=0))[0])
    wanted = np.zeros((3, 3))
    np.put_along_axis(wanted, np.argsort(x, 0), dy, 0)
    np.testing.assert_array_equal(run(vjp(function), x, dy)[0], wanted)


# ---- the k largest -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", REAL, ids=str)
def test_top_k_is_the_head_of_the_descending_order(dtype):
    x = values((3, 9), dtype, -4, 4)
    order = np.array([python_order(python_numbers(row), descending=True) for row in x])
    for k in (0, 1, 4, 9):
        found, indices = apply(top_k, x, k=k)
        assert indices.dtype == np.int32 and found.dtype == x.dtype
        np.testing.assert_array_equal(indices, order[:, :k])
        np.testing.assert_array_equal(found, np.take_along_axis(x, order[:, :k], 1))


def test_top_k_keeps_the_first_of_equal_values_and_puts_nan_last():
    x = np.array([1.0, 3.0, np.nan, 3.0, 2.0, 3.0])
    found, indices = apply(top_k, x, k=6)
    assert indices.tolist() == [1, 3, 5, 4, 0, 2]
    np.testing.assert_array_equal(found, [3, 3, 3, 2, 1, np.nan])


def test_the_cotangent_of_top_k_goes_to_the_elements_taken():
    x = np.array([[1.0, 3.0, 3.0, 2.0], [0.0, -1.0, -2.0, 5.0]])
    dy = np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])
    (found,) = run(vjp(function_of(top_k, x, k=3)), x, dy)
    np.testing.assert_array_equal(found, [[0, 10, 20, 30], [50, 60, 0, 40]])


# ---- places in a sorted sequence -----------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", REAL, ids=str)
def test_searchsorted_counts_what_stands_before(dtype, side):
    random = np.random.default_rng(4)
    low = 0 if dtype.kind == "uint" else -4
    sequence = np.sort(random.integers(low, 5, (2, 3, 12)), -1).astype(dtype.numpy)
    queries = random.integers(low, 6, (2, 3, 7)).astype(dtype.numpy)
    (found,) = apply(searchsorted, sequence, queries, side=side)
    is_before = np.less if side == "left" else np.less_equal
    wanted = is_before(sequence[..., None, :], queries[..., :, None]).sum(-1)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, wanted)


def test_searchsorted_takes_nan_as_the_largest():
    for dtype in FLOATS:
        sequence = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan, np.nan], dtype.numpy)
        queries = np.array([np.nan, np.inf, -0.0, 0.0, -np.inf], dtype.numpy)
        (left,) = apply(searchsorted, sequence, queries)
        (right,) = apply(searchsorted, sequence, queries, side="right")
        assert left.tolist() == [4, 3, 1, 1, 0]
        assert right.tolist() == [6, 4, 3, 3, 1]


def test_searchsorted_finds_what_sort_has_placed():
    x = np.tile(special(float32), 3)
    (ordered,) = apply(sort, x, axis=0)
    (left,) = apply(searchsorted, ordered, ordered)
    (right,) = apply(searchsorted, ordered, ordered, side="right")
    places = np.arange(len(x))
    assert ((left <= places) & (places < right)).all()


# ---- named sizes ---------------------------------------------------------------------------------


def test_named_sizes():
    b, t = named("b"), named("t")
    x = tensor_type(float64, (b, 2 * t))

    def body(x):
        largest, places = items(top_k(x, k=t))
        (ordered,) = items(sort(x, axis=1))
        (down,) = items(sort(x, axis=0, descending=True))
        return [largest, places, ordered, down, searchsorted(ordered, largest), argsort(x, 0)]

    function = build("f", [x], body)
    half = tensor_type(float64, (b, t))
    assert function.result_types == (
        half, half.with_dtype(int32), x, x, half.with_dtype(int64), x.with_dtype(int64)
    )  # fmt: skip
    pulled = vjp(build("g", [x], lambda x: [each for each in body(x) if each.dtype is float64]))
    for rows, size in ((1, 1), (3, 2), (2, 5)):
        array = values((rows, 2 * size), float64)
        largest, places, ordered, down, found, order = run(function, array)
        np.testing.assert_array_equal(largest, ordered[:, ::-1][:, :size])
        np.testing.assert_array_equal(places, np.argsort(-array, 1)[:, :size])
        np.testing.assert_array_equal(down, np.sort(array, 0)[::-1])
        np.testing.assert_array_equal(found, np.tile(2 * size - 1 - np.arange(size), (rows, 1)))
        np.testing.assert_array_equal(order, np.argsort(array, 0))
        dys = [np.ones_like(each) for each in (largest, ordered, down)]
        (dx,) = run(pulled, array, *dys)
        taken = array >= np.sort(array, 1)[:, size:][:, :1]
        np.testing.assert_array_equal(dx, 2 + taken)

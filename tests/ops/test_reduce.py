"""Reductions and running results: overflow, zeros among factors, ties, NaN, widths, named sizes."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from scipy.special import logsumexp

from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.types import (
    DTYPES,
    FLOATS,
    INTEGERS,
    as_dtype,
    bool_,
    float32,
    float64,
    int32,
    tensor_type,
)
from thalweg.ops import movement, reduce
from thalweg.ops.samples import values
from thalweg.transforms.evaluate import run
from thalweg.transforms.expand import expand, is_expanded
from thalweg.transforms.gradient import jvp, vjp

RUNNING = {
    reduce.cumsum: np.add,
    reduce.cumprod: np.multiply,
    reduce.cummax: np.maximum,
    reduce.cummin: np.minimum,
}


def function_of(op, *arrays, **attrs) -> Function:
    types = [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]
    return build(op.name, types, lambda *args: op(*args, **attrs))


def apply(op, *arrays, **attrs):
    return run(function_of(op, *arrays, **attrs), *arrays)[0]


def pull(op, dy, *arrays, **attrs):
    """The cotangents of the arrays for the cotangent dy."""
    return run(vjp(function_of(op, *arrays, **attrs)), *arrays, dy)


def leave_out(x, places):
    """The product of the elements of a vector except those at some places, one by one."""
    result = x.dtype.type(1)
    for place, factor in enumerate(x):
        if place not in places:
            result = result * factor
    return result


# ---- reductions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_wrap_around(dtype):
    factors = values((9,), dtype, 2, 9)
    bits = dtype.bits
    whole = 1
    running = []
    for factor in factors.tolist():
        whole *= factor
        running.append(whole % 2**bits)
    assert whole >= 2**16
    unsigned = np.dtype(f"u{dtype.itemsize}")
    found = apply(reduce.product, factors, axes=(0,))
    assert found.dtype == dtype.numpy and int(found.view(unsigned)) == running[-1]
    assert apply(reduce.cumprod, factors, axis=0).view(unsigned).tolist() == running
    ones = np.full(300, np.iinfo(dtype.numpy).max, dtype.numpy)
    total = 300 * int(ones[0]) % 2**bits
    assert int(apply(reduce.cumsum, ones, axis=0)[-1].view(unsigned)) == total


def test_max_and_min_of_integers_reach_the_extremes():
    for dtype in INTEGERS:
        info = np.iinfo(dtype.numpy)
        for value in (info.min, info.max):
            x = np.full((2, 3), value, dtype.numpy)
            for op in (reduce.max, reduce.min):
                assert apply(op, x, axes=(0, 1)) == value


def test_reductions_of_nothing():
    x = np.zeros((0, 3))
    truth = np.zeros((0, 3), bool)
    np.testing.assert_array_equal(apply(reduce.product, x, axes=(0,)), np.ones(3))
    assert not apply(reduce.any, truth, axes=(0,)).any()
    assert apply(reduce.all, truth, axes=(0,)).all()


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if not dtype.is_complex], ids=str)
def test_a_named_size_that_turns_out_zero_gives_the_identity(dtype):
    t = named("t")

    def body(x):
        rest = movement.slice(x, start=(0, 1), limit=(2, t), stride=(1, 1))
        return [
            reduce.max(rest, axes=(1,)),
            reduce.min(rest, axes=(1,)),
            reduce.argmax(rest, axis=1),
            reduce.argmin(rest, axis=1),
        ]

    function = build("f", [tensor_type(dtype, (2, t))], body)
    highest, lowest, first, last = run(function, np.ones((2, 1), dtype.numpy))
    if dtype.is_float:
        bottom, top = -np.inf, np.inf
    elif dtype is bool_:
        bottom, top = False, True
    else:
        bottom, top = np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max
    assert highest.tolist() == [bottom] * 2 and lowest.tolist() == [top] * 2
    assert highest.dtype == lowest.dtype == dtype.numpy
    assert first.tolist() == last.tolist() == [0, 0]
    highest, lowest, first, last = run(function, np.array([[9, 0, 1], [9, 1, 0]], dtype.numpy))
    assert highest.tolist() == [1, 1] and lowest.tolist() == [0, 0]
    assert first.tolist() == [1, 0] and last.tolist() == [0, 1]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_nan_is_the_extremum_and_the_first_one_wins(dtype):
    x = np.array(
        [[1, np.nan, 3, np.nan], [np.inf, 2, np.nan, 0], [-np.inf, 2, np.inf, 0]], dtype.numpy
    )
    for op in (reduce.max, reduce.min):
        assert np.isnan(apply(op, x, axes=(1,)).astype(float)).tolist() == [True, True, False]
    assert apply(reduce.argmax, x, axis=1).tolist() == [1, 2, 2]
    assert apply(reduce.argmin, x, axis=1).tolist() == [1, 2, 0]


def test_the_first_of_equal_extrema_is_found():
    x = np.array([[1, 3, 3, 1], [0, 0, 0, 0]])
    assert apply(reduce.argmax, x, axis=1).tolist() == [1, 0]
    assert apply(reduce.argmin, x, axis=1).tolist() == [0, 0]
    zeros = np.array([-0.0, 0.0, -0.0])
    assert apply(reduce.argmax, zeros, axis=0) == apply(reduce.argmin, zeros, axis=0) == 0
    assert apply(reduce.argmax, np.array([False, True, True]), axis=0) == 1


def test_16_bit_floats_accumulate_in_float32():
    for dtype, step in ((np.float16, 2.0**-11), (ml_dtypes.bfloat16, 2.0**-8)):
        # Added one at a time in 16 bits, a step of half the spacing at 1 would be lost each time.
        x = np.array([1.0] + [step] * 64, dtype)
        assert float(apply(reduce.cumsum, x, axis=0)[-1]) == float(dtype(1 + 64 * step))
        factor = dtype(1 + 2 * step)
        x = np.full(65, factor)
        wanted = float(np.float64(factor) ** 65)
        for found in (
            apply(reduce.product, x, axes=(0,)),
            apply(reduce.cumprod, x, axis=0)[-1],
        ):
            assert found.dtype == dtype and abs(float(found) - wanted) <= step * wanted
        # Whole numbers: their sums are exact in float32 in any order, and not in 16 bits.
        ones, b = np.ones(64, dtype), values((64,), int32, 1, 200).astype(dtype)
        function = function_of(reduce.linear_recurrence, ones, b, axis=0)
        exact = np.cumsum(b.astype(np.float64))
        assert (exact != exact.astype(dtype)).any()
        for each in (function, expand(function)):
            np.testing.assert_array_equal(run(each, ones, b)[0], exact.astype(dtype))


# ---- derivatives of reductions -------------------------------------------------------------------

ZEROS = [(), (0,), (2,), (4,), (1, 3), (0, 4), (0, 1, 2), (0, 1, 2, 3, 4)]


def with_zeros(zeros, dtype=float64, size=5):
    x = values((size,), dtype, 0.5, 2, seed=zeros)
    x[list(zeros)] = 0
    return x


@pytest.mark.parametrize("zeros", ZEROS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_gradient_of_a_product_is_the_product_of_the_others(zeros, dtype):
    x = with_zeros(zeros, as_dtype(dtype))
    dy = values((), as_dtype(dtype), seed="dy")
    (found,) = pull(reduce.product, dy, x, axes=(0,))
    wanted = [dy * np.conj(leave_out(x, {place})) for place in range(5)]
    np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=0)


@pytest.mark.parametrize("zeros", ZEROS, ids=str)
def test_the_third_derivative_of_a_product_with_zeros(zeros):
    x = with_zeros(zeros)
    function = function_of(reduce.product, x, axes=(0,))
    # Each jvp doubles the arguments: the gradient at (x, dy), pushed along j, then along k.
    twice = jvp(jvp(vjp(function)))
    along, still = np.eye(5), np.zeros(5)
    one, none = np.ones(()), np.zeros(())
    for i, j, k in itertools.combinations(range(5), 3):
        *_, found = run(twice, x, one, along[j], none, along[k], none, still, none)
        np.testing.assert_allclose(found[i], leave_out(x, {i, j, k}), rtol=1e-13, atol=0)
        assert found[j] == 0 and found[k] == 0


def test_the_gradient_of_a_product_over_several_axes():
    x = values((3, 2, 4), float64)
    x[0, 0, 0] = x[1, 1, 2] = x[2, 1, 2] = x[0, 1, 3] = 0
    dy = values((2,), float64, seed="dy")
    (found,) = pull(reduce.product, dy, x, axes=(0, 2))
    for a, b, c in np.ndindex(x.shape):
        others = leave_out(x[:, b, :].reshape(-1), {a * 4 + c})
        np.testing.assert_allclose(found[a, b, c], dy[b] * others, rtol=1e-14, atol=0)


def test_tied_extrema_share_the_cotangent_equally():
    x = np.array([[2.0, 1.0, 2.0, 2.0], [0.0, -0.0, 0.0, -1.0], [1.0, 2.0, 3.0, 4.0]])
    dy = np.array([6.0, 9.0, 5.0])
    (found,) = pull(reduce.max, dy, x, axes=(1,))
    np.testing.assert_array_equal(found, [[2, 0, 2, 2], [3, 3, 3, 0], [0, 0, 0, 5]])
    (found,) = pull(reduce.min, dy, -x, axes=(1,))
    np.testing.assert_array_equal(found, [[2, 0, 2, 2], [3, 3, 3, 0], [0, 0, 0, 5]])
    (found,) = pull(reduce.max, np.array(8.0), x[:2], axes=(0, 1))
    np.testing.assert_array_equal(found, np.where(x[:2] == 2, 8 / 3, 0))


def test_the_cotangent_of_an_extremum_goes_to_nan_where_there_is_one():
    x = np.array([1.0, np.nan, 3.0, np.nan])
    for op in (reduce.max, reduce.min):
        (found,) = pull(op, np.array(8.0), x, axes=(0,))
        np.testing.assert_array_equal(found, [0, 4, 0, 4])


def test_ties_are_counted_beyond_the_range_of_16_bits():
    x = np.zeros(2**17, np.float16)
    (found,) = pull(reduce.max, np.float16(2), x, axes=(0,))
    assert found.dtype == np.float16 and (found == np.float16(2.0**-16)).all()


# ---- running results -----------------------------------------------------------------------------


@pytest.mark.parametrize("op", RUNNING, ids=lambda op: op.name)
def test_running_results_are_those_of_a_loop(op):
    x = values((2, 5, 3), float64)
    for axis, reverse in itertools.product(range(3), (False, True)):
        found = np.moveaxis(apply(op, x, axis=axis, reverse=reverse), axis, 0)
        rows = np.moveaxis(x, axis, 0)
        places = range(len(rows))[:: -1 if reverse else 1]
        running = None
        for place in places:
            running = rows[place] if running is None else RUNNING[op](running, rows[place])
            np.testing.assert_array_equal(found[place], running)


def test_running_extrema_keep_nan():
    for dtype in FLOATS:
        x = np.array([1, 3, np.nan, 9, -9], dtype.numpy)
        for op, head in ((reduce.cummax, [1, 3]), (reduce.cummin, [1, 1])):
            found = apply(op, x, axis=0).astype(float)
            np.testing.assert_array_equal(found, [*head, np.nan, np.nan, np.nan])
            found = apply(op, x, axis=0, reverse=True).astype(float)
            tail = [9, -9] if op is reduce.cummax else [-9, -9]
            np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, *tail])


def test_running_or_and_and():
    x = np.array([False, True, False])
    assert apply(reduce.cummax, x, axis=0).tolist() == [False, True, True]
    assert apply(reduce.cummin, ~x, axis=0).tolist() == [True, False, False]


def running_extremum_cotangent(x, dy, better):
    """Each dy goes to the first element that attained the extremum of its prefix."""
    dx = np.zeros_like(dy)
    holder = 0
    for place in range(len(x)):
        if better(x[place], x[holder]) or (np.isnan(x[place]) and not np.isnan(x[holder])):
            holder = place
        dx[holder] += dy[place]
    return dx


@pytest.mark.parametrize("reverse", [False, True])
def test_running_extrema_pass_the_cotangent_to_the_first_that_attained_them(reverse):
    rows = [
        [1.0, 2.0, 2.0, 1.0, 3.0, 3.0],
        [0.0, -0.0, 0.0, -1.0, 0.0, -0.0],
        [1.0, np.nan, 2.0, np.nan, 5.0, 9.0],
        [np.inf, -np.inf, np.inf, -np.inf, 0.0, np.inf],
        [4.0, 3.0, 2.0, 1.0, 0.0, -1.0],
    ]
    turn = slice(None, None, -1 if reverse else 1)
    for row in rows:
        x = np.array(row)
        dy = values(x.shape, float64, seed=str(row))
        for op, better in ((reduce.cummax, np.greater), (reduce.cummin, np.less)):
            (found,) = pull(op, dy, x, axis=0, reverse=reverse)
            wanted = running_extremum_cotangent(x[turn], dy[turn], better)[turn]
            np.testing.assert_allclose(found, wanted, rtol=1e-14, atol=0)


@pytest.mark.parametrize("zeros", ZEROS, ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_gradient_of_cumprod_with_zeros(zeros, reverse, dtype):
    x = with_zeros(zeros, as_dtype(dtype))
    dy = values((5,), as_dtype(dtype), seed="dy")
    turn = slice(None, None, -1 if reverse else 1)
    jacobian = np.zeros((5, 5), x.dtype)
    for k, j in np.ndindex(5, 5):
        if j <= k:
            jacobian[k, j] = leave_out(x[turn][: k + 1], {j})
    wanted = (np.conj(jacobian.T) @ dy[turn])[turn]
    (found,) = pull(reduce.cumprod, dy, x, axis=0, reverse=reverse)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("zeros", ZEROS, ids=str)
def test_the_second_derivative_of_cumprod_with_zeros(zeros):
    x = with_zeros(zeros)
    dy = values((5,), float64, seed="dy")
    pushed = jvp(vjp(function_of(reduce.cumprod, x, axis=0)))
    for j in range(5):
        _, found = run(pushed, x, dy, np.eye(5)[j], np.zeros(5))
        wanted = np.zeros(5)
        for i, k in np.ndindex(5, 5):
            if i != j and i <= k and j <= k:
                wanted[i] += dy[k] * leave_out(x[: k + 1], {i, j})
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)


def test_the_gradient_of_cumprod_survives_underflow():
    x = np.full(2000, 0.5)
    (found,) = pull(reduce.cumprod, np.ones(2000), x, axis=0)
    # dx[j] is the sum of 0.5**k over k >= j: 2 * 0.5**j, at the end one term.
    np.testing.assert_allclose(found[:1000], 2.0 ** (1 - np.arange(1000)), rtol=1e-12)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_cumlogsumexp_over_a_wide_range(reverse):
    x = values((2, 7), float64, -800, 800)
    x[1, ::3] = -np.inf
    turn = slice(None, None, -1 if reverse else 1)
    found = apply(reduce.cumlogsumexp, x, axis=1, reverse=reverse)[:, turn]
    for k in range(7):
        np.testing.assert_allclose(found[:, k], logsumexp(x[:, turn][:, : k + 1], 1), rtol=1e-14)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("scale", [1, 300])
def test_the_gradient_of_cumlogsumexp_is_made_of_softmax_weights(reverse, scale):
    x = values((8,), float64, -scale, scale)
    dy = values((8,), float64, seed="dy")
    turn = slice(None, None, -1 if reverse else 1)
    wanted = np.zeros(8)
    for k in range(8):
        prefix = x[turn][: k + 1]
        wanted[: k + 1] += dy[turn][k] * np.exp(prefix - logsumexp(prefix))
    (found,) = pull(reduce.cumlogsumexp, dy, x, axis=0, reverse=reverse)
    np.testing.assert_allclose(found, wanted[turn], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_second_derivative_of_cumlogsumexp_does_not_overflow(reverse):
    x = values((6,), float64, 700, 1000)
    dy, tangent = (values((6,), float64, seed=name) for name in ("dy", "t"))
    pushed = jvp(vjp(function_of(reduce.cumlogsumexp, x, axis=0, reverse=reverse)))
    _, found = run(pushed, x, dy, tangent, np.zeros(6))
    turn = slice(None, None, -1 if reverse else 1)
    wanted = np.zeros(6)
    for k in range(6):
        weights = np.exp(x[turn][: k + 1] - logsumexp(x[turn][: k + 1]))
        along = tangent[turn][: k + 1]
        wanted[: k + 1] += dy[turn][k] * weights * (along - weights @ along)
    np.testing.assert_allclose(found, wanted[turn], rtol=1e-9, atol=1e-13)


def test_masked_elements_of_cumlogsumexp_have_no_weight():
    x = np.array([-np.inf, -np.inf, 1.0, -np.inf, 2.0])
    dy = np.array([7.0, 7.0, 1.0, 1.0, 1.0])
    (found,) = pull(reduce.cumlogsumexp, dy, x, axis=0)
    last = np.exp([1.0, 2.0] - logsumexp([1.0, 2.0]))
    np.testing.assert_allclose(found, [0, 0, 2 + last[0], 0, last[1]], rtol=1e-14)


# ---- the linear recurrence -----------------------------------------------------------------------


def recur(a, b):
    y = [b[0]]
    for factor, term in zip(a[1:], b[1:], strict=True):
        y.append(factor * y[-1] + term)
    return np.array(y)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, 33])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_linear_recurrence_and_both_expansions_are_a_loop(size, reverse):
    a, b = values((size,), float64, seed="a"), values((size,), float64, seed="b")
    turn = slice(None, None, -1 if reverse else 1)
    wanted = recur(a[turn], b[turn])[turn]
    attrs = {"axis": 0, "reverse": reverse}
    fixed = function_of(reduce.linear_recurrence, a, b, **attrs)
    t = named("t")
    types = [tensor_type(float64, (t,))] * 2
    free = build("free", types, lambda *args: reduce.linear_recurrence(*args, **attrs))
    for function in (fixed, free, expand(fixed), expand(free)):
        (found,) = run(function, a, b)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
    assert is_expanded(expand(fixed)) and is_expanded(expand(free))
    assert not is_expanded(free)


def test_the_expansion_of_a_long_recurrence_has_few_nodes():
    x = np.zeros(10000)
    function = expand(function_of(reduce.linear_recurrence, x, x, axis=0))
    assert len(function.order()) < 14 * 12


def test_the_expansion_for_named_sizes_on_a_middle_axis():
    a, b = (values((2, 5, 3), float64, seed=name) for name in "ab")
    types = [tensor_type(float64, (named("s"), named("t"), 3))] * 2
    for axis, reverse in itertools.product((0, 1), (False, True)):
        function = build(
            "f", types,
            lambda *args, attrs=(axis, reverse): reduce.linear_recurrence(
                *args, axis=attrs[0], reverse=attrs[1]
            ),
        )  # fmt: skip
        (found,) = run(expand(function), a, b)
        rows = (np.moveaxis(each, axis, 0) for each in (a, b))
        turn = slice(None, None, -1 if reverse else 1)
        wanted = recur(*(each[turn] for each in rows))[turn]
        np.testing.assert_allclose(np.moveaxis(found, axis, 0), wanted, rtol=1e-12)


def test_the_first_factor_is_never_read():
    a = np.array([np.nan, 2.0, np.inf])
    b = np.array([1.0, 1.0, 1.0])
    function = function_of(reduce.linear_recurrence, a, b, axis=0)
    for each in (function, expand(function)):
        np.testing.assert_array_equal(run(each, a, b)[0], [1, 3, np.inf])


# ---- named sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("op", RUNNING, ids=lambda op: op.name)
def test_derivatives_for_a_named_size_run_for_every_size(op):
    t = named("t")
    free = vjp(build("f", [tensor_type(float64, (2, t))], lambda x: op(x, axis=1)))
    for size in (1, 2, 5):
        x, dy = values((2, size), float64), values((2, size), float64, seed="dy")
        fixed = vjp(function_of(op, x, axis=1))
        np.testing.assert_array_equal(run(free, x, dy)[0], run(fixed, x, dy)[0])


def test_reductions_of_named_sizes():
    b, t = named("b"), named("t")
    x = tensor_type(float32, (b, t, 3))
    (whole,) = build("f", [x], lambda x: reduce.max(x, axes=(1, 2))).result_types
    assert whole is tensor_type(float32, (b,))
    (place,) = build("f", [x], lambda x: reduce.argmax(x, axis=0, dtype=int32)).result_types
    assert place is tensor_type(int32, (t, 3))
    pulled = vjp(build("f", [x], lambda x: reduce.product(x, axes=(0, 1))))
    assert pulled.result_types == (x,)
    array, dy = values((2, 3, 3), float32), values((3,), float32, seed="dy")
    (found,) = run(pulled, array, dy)
    (wanted,) = pull(reduce.product, dy, array, axes=(0, 1))
    np.testing.assert_array_equal(found, wanted)

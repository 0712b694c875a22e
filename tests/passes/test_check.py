"""Random arguments and the comparison that finds the guilty pass."""

import ml_dtypes
import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import VerifyError
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full, items
from thalweg.ir.types import DTYPES, bool_, float16, float32, float64, int32, tensor_type
from thalweg.ops.control import HostFunction, call, callback, check
from thalweg.ops.elementwise import add, multiply, sin, subtract
from thalweg.passes.check import TOLERANCE, check_values, is_close, random_arguments

b, t = named("b"), named("t")


def test_arguments_fit_their_parameters():
    types = [tensor_type(dtype, (b, 2, t)) for dtype in DTYPES] + [tensor_type(float32, (2 * b,))]
    function = build("f", types, lambda *args: args)
    arrays = random_arguments(function)
    assert [a.dtype for a in arrays] == [type.dtype.numpy for type in types]
    assert [a.shape for a in arrays] == [(3, 2, 4)] * len(DTYPES) + [(6,)]
    again = random_arguments(function)
    assert all(a.tobytes() == c.tobytes() for a, c in zip(arrays, again, strict=True))
    other = random_arguments(function, seed=1)
    assert any(a.tobytes() != c.tobytes() for a, c in zip(arrays, other, strict=True))
    assert random_arguments(function, size=5)[0].shape == (5, 2, 6)


def test_arguments_differ_from_one_another():
    """Equal data in two parameters would hide that a pass mixed them up."""
    function = build("f", [tensor_type(float64, (4,))] * 2, lambda x, y: subtract(x, y))
    left, right = random_arguments(function)
    assert not np.any(left == right)
    assert np.any(left < 0) and np.any(left > 0)


def test_equal_within_rounding():
    one = np.array([1.0, -2.0, np.nan, np.inf], np.float32)
    assert is_close(one, one.copy())
    assert is_close(one * np.float32(1 + 2**-22), one)
    assert not is_close(one * np.float32(1.001), one)
    assert not is_close(one.astype(np.float64), one) and not is_close(one[:3], one)
    for place in range(4):
        other = one.copy()
        other[place] = 7
        assert not is_close(other, one)
    assert not is_close(np.array([np.inf]), np.array([-np.inf]))
    assert not is_close(np.array([np.nan]), np.array([1.0]))
    assert is_close(np.zeros((0,), np.float32), np.zeros((0,), np.float32))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
def test_the_limit_is_in_units_of_the_type(dtype):
    """Relative to the largest magnitude, so that what cancels is not held to its own size."""
    epsilon = 2.0**-7 if np.dtype(dtype).itemsize == 2 else float(np.finfo(dtype).eps)
    wanted = np.array([1.0, 0.0]).astype(dtype)
    near = np.array([1.0, 0.9 * TOLERANCE * epsilon]).astype(dtype)
    far = np.array([1.0, 1.1 * TOLERANCE * epsilon]).astype(dtype)
    assert is_close(near, wanted) and not is_close(far, wanted)


def test_integers_and_booleans_are_equal_or_not():
    assert is_close(np.array([1, 2]), np.array([1, 2]))
    assert not is_close(np.array([1, 2]), np.array([1, 3]))
    assert not is_close(np.array([True]), np.array([False]))
    big = np.array([2**62])
    assert not is_close(big + 1, big)


def test_a_pass_that_changes_a_value_is_named(golden):
    before = build("f", [tensor_type(int32, (2,))] * 2, lambda x, y: (add(x, y), subtract(x, y)))
    after = before.with_results((before.results[0], subtract(*before.parameters[::-1])))
    with pytest.raises(VerifyError) as caught:
        check_values("simplified: wrong", before, after)
    golden("guilty_pass", caught.value.message)
    check_values("simplified: right", before, before)


def test_named_sizes_are_given_numbers():
    type = tensor_type(float32, (b,))
    before = build("f", [type, type], lambda x, y: add(x, y))
    check_values("right", before, before)
    after = before.with_results([multiply(*before.parameters)])
    with pytest.raises(VerifyError, match="pass wrong"):
        check_values("wrong", before, after)


def test_programs_that_reach_the_host_are_not_run():
    calls = []
    host = HostFunction("host", lambda a: calls.append(a) or a)
    x = tensor_type(float16, (2,))

    def reaching(x):
        return items(callback(x, function=host, types=(x.type,)))[0]

    direct = build("direct", [x], reaching)
    within = build("within", [x], lambda x: items(call(x, function=direct))[0])
    failing = build("failing", [x], lambda x: check(x, full(False, bool_), message="no"))
    for function in (direct, within, failing):
        check_values("any", function, function.with_results([sin(function.parameters[0])]))
    assert calls == []

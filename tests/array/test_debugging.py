"""Assertions: what they say, when they speak, and that they survive tracing.

In golden texts a line of this file is written as HERE.
"""

import re
from collections.abc import Callable

import numpy as np
import pytest

from thalweg.array import debugging, elementwise
from thalweg.array.control import scan
from thalweg.array.derivatives import GradientTape, grad, vmap
from thalweg.array.operands import to_tensor
from thalweg.array.searching import where
from thalweg.array.segment import segment_max
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckError,
    DTypeError,
    ShapeError,
    ThalwegError,
)
from thalweg.base.options import options
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable

GOOD = np.array([1.0, 2.0, 3.0], np.float32)
BAD = np.array([1.0, -2.0, 0.0], np.float32)
HOLED = np.array([[1.0, np.nan], [np.inf, np.nan]], np.float32)

# One row an assertion about values: its name, operands for which it holds, and for which not.
VALUES: dict[str, tuple[Callable, tuple, tuple]] = {
    "check_numerics": (debugging.check_numerics, (GOOD,), (HOLED,)),
    "assert_all_finite": (debugging.assert_all_finite, (GOOD,), (HOLED,)),
    "assert_equal": (debugging.assert_equal, (GOOD, GOOD), (GOOD, BAD)),
    "assert_near": (debugging.assert_near, (GOOD, GOOD * (1 + 1e-7)), (GOOD, GOOD * 1.001)),
    "assert_less": (debugging.assert_less, (BAD, GOOD + 1), (BAD, GOOD)),
    "assert_less_equal": (debugging.assert_less_equal, (BAD, GOOD), (GOOD, BAD)),
    "assert_greater": (debugging.assert_greater, (GOOD + 1, BAD), (GOOD, BAD)),
    "assert_greater_equal": (debugging.assert_greater_equal, (GOOD, BAD), (BAD, GOOD)),
    "assert_positive": (debugging.assert_positive, (GOOD,), (BAD,)),
    "assert_non_negative": (debugging.assert_non_negative, (GOOD,), (BAD,)),
    "assert_negative": (debugging.assert_negative, (-GOOD,), (BAD,)),
    "assert_non_positive": (debugging.assert_non_positive, (-GOOD,), (GOOD,)),
}


def tensors(arrays):
    return [to_tensor(array) for array in arrays]


def message(error: ThalwegError) -> str:
    """The text of an error, without the number of the line."""
    return re.sub(r"at \S*test_debugging\.py:\d+", "at HERE", str(error))


def refusal(call: Callable, *args, kind: type = CheckError, **kwargs) -> str:
    with pytest.raises(kind) as caught:
        call(*args, **kwargs)
    return message(caught.value)


def doubled(assertion: Callable) -> Callable:
    return lambda *args: elementwise.multiply(assertion(*args), 2.0)


def ending_with(assertion: Callable, rest: tuple) -> Callable:
    return lambda *args: assertion(*args, *rest)


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALUES)
def test_what_holds_passes_and_is_returned(name):
    assertion, good, _ = VALUES[name]
    given = tensors(good)
    assert assertion(*given) is given[0]
    np.testing.assert_array_equal(function(assertion)(*given).numpy(), good[0])


def test_values_at_hand_are_refused_at_the_call(golden):
    refused = [refusal(assertion, *tensors(bad)) for assertion, _, bad in VALUES.values()]
    golden("debugging_at_once", "\n\n".join(refused))


def test_values_of_a_traced_function_are_refused_when_it_runs(golden):
    refused = []
    for assertion, _, bad in VALUES.values():
        refused.append(refusal(function(doubled(assertion)), *bad))
    golden("debugging_later", "\n\n".join(refused))


def test_values_that_wait_are_refused_when_they_are_computed(golden):
    def copies(arrays):
        return [elementwise.multiply(tensor, 1.0) for tensor in tensors(arrays)]

    refused = []
    for assertion, good, bad in VALUES.values():
        np.testing.assert_array_equal(assertion(*copies(good)).numpy(), good[0])
        waiting = assertion(*copies(bad))
        refused.append(refusal(waiting.numpy))
    golden("debugging_later", "\n\n".join(refused))


def test_values_that_a_trace_captures_are_refused_while_it_is_traced():
    outer = to_tensor(np.arange(100.0))

    def below(limit):
        return function(lambda x: elementwise.add(x, debugging.assert_less(outer, limit)))

    assert "1 of 100 fail, the first at [99] with x = 99.0" in refusal(below(99).trace, 1.0)
    # What holds once and for all needs no check in the graph.
    assert all(node.op.name != "check" for node in below(100).trace(1.0).order())


def test_the_line_is_that_of_the_assertion():
    def ensure(x):
        return debugging.assert_positive(x)

    waiting = ensure(elementwise.multiply(to_tensor(BAD), 1.0))
    line = ensure.__code__.co_firstlineno + 1
    with pytest.raises(CheckError, match=rf"test_debugging.py:{line}$"):
        waiting.numpy()


def test_a_message_of_the_user_is_the_last_line():
    assertion = debugging.assert_positive
    text = "A length is at least one token."
    found = refusal(assertion, to_tensor(BAD), message=text)
    assert found.splitlines()[2].startswith(f"{text}   at ")
    found = refusal(function(lambda x: assertion(x, message=text)), BAD)
    assert found.splitlines()[2].startswith(f"{text}   at ")


def test_one_number_is_shown_without_a_place():
    assert "x f32[], y f32[]: x = 2.0 and y = 1.0." in refusal(debugging.assert_equal, 2.0, 1.0)
    assert "f32[] that is nan." in refusal(debugging.check_numerics, float("nan"))


def test_numbers_lists_arrays_and_variables_are_taken():
    assert debugging.assert_less([1, 2], 3).dtype == "int64"
    assert debugging.assert_less(0, np.array([1, 2], np.int8)).numpy() == 0
    assert debugging.assert_positive(Variable([1.0, 2.0])).numpy().tolist() == [1, 2]
    assert "y i8[2]" in refusal(debugging.assert_less, 3, np.array([4, 2], np.int8))


def test_shapes_broadcast_and_the_first_operand_keeps_its_own():
    assert debugging.assert_less(np.zeros((2, 1)), np.ones(3)).shape == (2, 1)
    text = refusal(debugging.assert_less, np.zeros((2, 1)), np.array([1.0, 0.0, 1.0]))
    assert "2 of 6 fail, the first at [0, 1] with x = 0.0 and y = 0.0" in text
    with pytest.raises(ShapeError, match=r"\[assert_less\] wants shapes that broadcast"):
        debugging.assert_less(np.zeros(2), np.ones(3))


def test_nothing_is_less_than_nan_nor_equal_to_it():
    hole = np.array([np.nan])
    for name in ("equal", "less", "less_equal", "greater", "greater_equal", "near"):
        refusal(getattr(debugging, f"assert_{name}"), hole, hole)
    for name in ("positive", "negative", "non_negative", "non_positive"):
        refusal(getattr(debugging, f"assert_{name}"), hole)


def test_nothing_at_all_passes_every_check():
    none = np.zeros((0, 3))
    for name, (assertion, good, _) in VALUES.items():
        assert assertion(*[none] * len(good)).shape == (0, 3), name


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_near_is_ten_epsilon_by_default(dtype):
    one = np.ones(1, dtype)
    epsilon = np.finfo(dtype).eps
    debugging.assert_near(one + one.dtype.type(8 * epsilon), one)
    refusal(debugging.assert_near, one + one.dtype.type(32 * epsilon), one)
    debugging.assert_near(one + one.dtype.type(0.25), one, atol=0.25)
    debugging.assert_near(2 * one, one, rtol=1.0, atol=0)


def test_infinities_are_near_themselves_alone(switched_on):
    x = np.array([np.inf, -np.inf])
    debugging.assert_near(x, x)
    for other in (-x, np.zeros(2)):
        refusal(debugging.assert_near, x, other)
        refusal(debugging.assert_near, other, x)


def test_integers_are_finite_and_not_near():
    whole = to_tensor([1, 2])
    assert debugging.check_numerics(whole) is whole
    with pytest.raises(DTypeError, match=r"\[assert_near\] wants float or complex elements"):
        debugging.assert_near(whole, whole)
    with pytest.raises(DTypeError, match=r"\[assert_less\] wants booleans or real numbers"):
        debugging.assert_less(1j, 2j)
    with pytest.raises(DTypeError, match=r"\[assert_positive\] wants real numbers"):
        debugging.assert_positive(1j)


def test_checks_survive_derivatives_loops_and_batching():
    def loss(x):
        return elementwise.multiply(debugging.assert_positive(x), x)

    assert grad(loss)(3.0).numpy() == 6
    assert "assert_positive" in refusal(lambda: grad(loss)(-3.0).numpy())
    assert vmap(loss)(to_tensor(GOOD)).numpy().tolist() == [1, 4, 9]
    assert "assert_positive" in refusal(lambda: vmap(loss)(to_tensor(BAD)).numpy())

    def running(x):
        return scan(lambda total, each: (elementwise.add(total, loss(each)), None), 0.0, x)[0]

    assert function(running)(GOOD).numpy() == 14
    assert "assert_positive" in refusal(function(running), BAD)


# Types and shapes ---------------------------------------------------------------------------------

# One row a refusal: the assertion, its operands and what it wants of them, the kind of error.
STATIC = [
    (debugging.assert_rank, (GOOD, 2), ShapeError),
    (debugging.assert_rank, (GOOD, (0, 2)), ShapeError),
    (debugging.assert_scalar, (GOOD,), ShapeError),
    (debugging.assert_type, (GOOD, "int32"), DTypeError),
    (debugging.assert_integer, (GOOD,), DTypeError),
    (debugging.assert_same_shape, (GOOD, GOOD, HOLED), ShapeError),
    (debugging.assert_same_shape_dtype, (GOOD, GOOD.astype(np.int8)), DTypeError),
]


def test_types_are_refused_at_the_call_and_while_tracing(golden):
    eager, traced = [], []
    for assertion, args, kind in STATIC:
        arrays = [each for each in args if isinstance(each, np.ndarray)]
        eager.append(refusal(assertion, *args, kind=kind))
        tracing = function(ending_with(assertion, args[len(arrays) :])).trace
        traced.append(refusal(tracing, *arrays, kind=kind))
    golden("debugging_types", "\n\n".join(eager))
    golden("debugging_types", "\n\n".join(traced))


def test_types_that_fit_are_returned():
    x = to_tensor(GOOD)
    assert debugging.assert_rank(x, 1) is x
    assert debugging.assert_rank(x, (1, 2)) is x
    assert debugging.assert_type(x, "float32") is x
    assert debugging.assert_same_shape(x, GOOD.astype(int))[0] is x
    assert debugging.assert_same_shape_dtype(x, x) == (x, x)
    assert debugging.assert_integer([1, 2]).dtype == "int64"
    assert debugging.assert_scalar(1.0).shape == ()


def test_named_sizes_are_equal_where_they_are_known_to_be():
    both = function(
        lambda x, y: debugging.assert_same_shape(x, y)[0], shapes={"x": ("b",), "y": ("b",)}
    )
    both.trace(GOOD, GOOD)
    apart = function(
        lambda x, y: debugging.assert_same_shape(x, y)[0], shapes={"x": ("b",), "y": ("t",)}
    )
    with pytest.raises(ShapeError, match="Sizes b and t are not known to be equal"):
        apart.trace(GOOD, GOOD)
    ranks = function(lambda x: debugging.assert_same_shape(x, HOLED)[0], shapes={"x": ("b",)})
    assert "known" not in refusal(ranks.trace, GOOD, kind=ShapeError)


def test_names_in_shapes_are_bound():
    x, y, z = np.zeros((5, 3)), np.zeros((3, 7)), np.zeros((2, 5, 4, 7))
    found = debugging.assert_shapes([(x, ("b", 3)), (y, (3, "t")), (z, (None, "b", ..., "t"))])
    assert found == {"b": 5, "t": 7}
    tensor = to_tensor(x)
    assert debugging.assert_shapes({tensor: ("b", "c")}) == {"b": 5, "c": 3}
    assert debugging.assert_shapes([(1.0, ()), (GOOD, 3), (GOOD, (3, ...)), (z, (...,))]) == {}
    seen = []
    traced = function(
        lambda x: (seen.append(debugging.assert_shapes([(x, ("n", 3))])), x)[1],
        shapes={"x": ("b", 3)},
    )
    traced.trace(np.zeros((4, 3)))
    assert [str(sizes["n"]) for sizes in seen] == ["b"]


def test_shapes_that_do_not_fit_are_refused(golden):
    wrong = [
        [(np.zeros((5, 3)), ("b", 4))],
        [(np.zeros((5, 3)), ("b",))],
        [(np.zeros(5), ("b", ..., 5))],
        [(np.zeros((5, 3)), ("n", "n"))],
        [(np.zeros((5, 3)), ("b", "c")), (np.zeros((4, 3)), ("b", "c"))],
    ]
    refused = [refusal(debugging.assert_shapes, each, kind=ShapeError) for each in wrong]
    golden("debugging_shapes", "\n\n".join(refused))


def test_shapes_that_say_nothing_are_refused():
    with pytest.raises(ArgumentError, match=r"at most one \.\.\."):
        debugging.assert_shapes([(GOOD, (..., 3, ...))])
    with pytest.raises(ArgumentTypeError, match="integers as ranks"):
        debugging.assert_rank(GOOD, 1.0)
    with pytest.raises(ArgumentError, match="pairs of a tensor and its shape"):
        debugging.assert_shapes([GOOD])


# The switch ---------------------------------------------------------------------------------------


@pytest.fixture
def switched_on():
    debugging.enable_check_numerics()
    yield
    debugging.disable_check_numerics()
    assert not options().stop_at_nonfinite


def root_of_log(x):
    y = elementwise.add(x, 1.0)
    z = elementwise.log(y)
    return elementwise.sqrt(z)


BELOW = np.array([1.0, -0.5, -1.0], np.float32)


def test_nothing_stops_without_the_switch():
    assert np.isnan(root_of_log(to_tensor(BELOW)).numpy()).any()


def running_log(x):
    return scan(lambda total, each: (elementwise.add(total, elementwise.log(each)), None), 0.0, x)[
        0
    ]


def test_it_stops_at_the_first_nan_or_infinity(switched_on, golden):
    masked = where(to_tensor([True, False]), to_tensor([1.0, 2.0]), -np.inf)
    told = []
    for start in (BELOW, BELOW[:2]):
        told.append(refusal(lambda start=start: root_of_log(to_tensor(start)).numpy()))
        assert refusal(function(root_of_log), start) == told[-1]
    told.append(refusal(lambda: root_of_log(to_tensor(HOLED)).numpy()))
    told.append(refusal(function(root_of_log), HOLED))
    told.append(refusal(elementwise.subtract(masked, masked).numpy))
    told.append(refusal(function(running_log), BAD))
    golden("debugging_switch", "\n\n".join(told))


def test_it_tells_the_line_that_built_the_operation(switched_on):
    line = root_of_log.__code__.co_firstlineno + 2
    for call in (
        lambda: root_of_log(to_tensor(BELOW)).numpy(),
        lambda: function(root_of_log)(BELOW),
    ):
        with pytest.raises(CheckError, match=rf"test_debugging.py:{line}$"):
            call()


def test_what_is_finite_or_meant_may_pass(switched_on):
    assert root_of_log(to_tensor(BELOW[:1])).numpy() > 0
    assert running_log(GOOD).numpy() > 0
    masked = where(to_tensor([True, False]), to_tensor([1.0, 2.0]), -np.inf)
    assert elementwise.exp(masked).numpy()[1] == 0
    assert segment_max(to_tensor([1.0]), [1], 3).numpy().tolist() == [-np.inf, 1, -np.inf]


def test_a_nan_from_before_is_told_as_one():
    with GradientTape():
        before = elementwise.log(to_tensor([-1.0]))
        assert np.isnan(before.numpy())
        debugging.enable_check_numerics()
        try:
            found = refusal(lambda: elementwise.add(before, 1.0).numpy())
        finally:
            debugging.disable_check_numerics()
    assert found.startswith("[log] wants values without NaN.")
    assert "computed before the check was switched on" in found


def test_integers_booleans_and_16_bits_are_looked_at(switched_on):
    assert elementwise.add(to_tensor([1, 2]), 1).numpy().tolist() == [2, 3]
    assert elementwise.logical_not(to_tensor([True])).numpy().tolist() == [False]
    half = to_tensor(np.array([60000.0], np.float16))
    assert "f16[1] with 1 infinity among 1 values" in refusal(elementwise.add(half, half).numpy)
    brain = elementwise.multiply(to_tensor(np.array([3e38], "bfloat16")), 100.0)
    assert "bf16[1] with 1 infinity" in refusal(brain.numpy)

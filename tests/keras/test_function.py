"""Function: the part of a graph between inputs and outputs."""

import numpy as np
import pytest

from thalweg import keras
from thalweg.base.errors import ArgumentError

ONES = np.ones((2, 3), "float32")


def pair() -> tuple:
    one, two = keras.KerasTensor((2, 3)), keras.KerasTensor((2, 3))
    both = keras.ops.add(one, two)
    return one, two, both * 3, both**2


def test_it_runs_on_values_and_draws_on_symbols() -> None:
    one, two, triple, square = pair()
    function = keras.Function([one, two], {"t": triple, "s": square}, name="f")
    found = function([ONES, 2 * ONES])
    np.testing.assert_array_equal(found["t"].numpy(), 9 * ONES)
    np.testing.assert_array_equal(found["s"].numpy(), 9 * ONES)
    again = function([keras.KerasTensor((2, 3)), keras.KerasTensor((2, 3))])
    assert again["t"].shape == (2, 3)
    assert [each.name.split("_")[0] for each in function.operations] == [
        "add",
        "multiply",
        "power",
    ] or (len(function.operations) == 3)


def test_shapes_follow_from_those_of_the_inputs() -> None:
    x = keras.KerasTensor((None, 3))
    function = keras.Function(x, keras.ops.concatenate([x, x], axis=1))
    assert function.compute_output_shape((5, 3)) == (5, 6)
    assert function.compute_output_spec(keras.KerasTensor((4, 3))).shape == (4, 6)


def test_it_begins_at_its_inputs_and_not_before() -> None:
    x = keras.Input((3,))
    middle = x + 1
    end = keras.ops.exp(middle)
    function = keras.Function(middle, end)
    assert [type(each).__name__ for each in function.operations] == ["Exp"]
    np.testing.assert_allclose(function(ONES).numpy(), np.exp(ONES), rtol=1e-6)


def test_a_graph_of_a_thousand_nodes_is_walked_without_recursion() -> None:
    x = keras.KerasTensor((2,))
    y = x
    for _ in range(3000):
        y = y + 1
    assert len(keras.Function(x, y).operations) == 3000


@pytest.mark.parametrize(
    ("inputs", "match"),
    [
        (ONES, "invalid input structure"),
        ([ONES, np.ones((2, 3, 1))], "incompatible inputs"),
        ([ONES, np.ones((4, 3))], "incompatible inputs"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: object, match: str) -> None:
    one, two, triple, _ = pair()
    with pytest.raises(ArgumentError, match=match):
        keras.Function([one, two], triple)(inputs)


def test_graphs_that_make_no_function_are_refused() -> None:
    one, two, triple, _ = pair()
    with pytest.raises(ArgumentError, match="`inputs` argument cannot be empty"):
        keras.Function([], triple)
    with pytest.raises(ArgumentError, match="`outputs` argument cannot be empty"):
        keras.Function(one, [])
    with pytest.raises(ArgumentError, match="KerasTensors"):
        keras.Function(one, ONES)
    with pytest.raises(ArgumentError):
        keras.Function(one, triple)
    other = keras.Input((3,))
    with pytest.raises(ArgumentError, match="not connected"):
        keras.Function(keras.Input((3,)), other * 2)
    assert two is not None

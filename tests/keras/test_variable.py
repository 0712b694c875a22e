"""Variable and the scopes that change what it means."""

from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import quiet
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ArgumentError
from thalweg.keras import operators
from thalweg.keras.variable import AutocastScope, StatelessScope, in_stateless_scope


def test_values_come_from_arrays_names_and_functions() -> None:
    Variable = keras.Variable
    assert Variable([1, 2]).dtype == "int32" and Variable([1.0]).dtype == "float32"
    assert Variable(3.0, dtype="float64").dtype == "float64"
    np.testing.assert_array_equal(Variable("ones", shape=(2,)).numpy(), [1.0, 1.0])
    made = Variable(lambda shape, dtype: keras.ops.zeros(shape, dtype), (2, 1), "float16")
    assert made.shape == (2, 1) and made.dtype == "float16"
    text = repr(Variable([1.0, 2.0], name="a"))
    assert text == repr(real.Variable([1.0, 2.0], name="a"))


@pytest.mark.parametrize(
    ("args", "settings", "error", "match"),
    [
        (("ones",), {}, ValueError, "`shape` argument should be specified"),
        (("ones", (None, 2)), {}, ValueError, "fully defined"),
        (([1.0],), {"name": "a/b"}, ValueError, "cannot contain character"),
        (([1.0],), {"aggregation": "most"}, ValueError, "aggregation"),
        (([1.0],), {"synchronization": "never"}, ValueError, "synchronization"),
        (([1.0], (2,)), {}, ValueError, "shape"),
        (([1.0],), {"colour": 1}, TypeError, "colour"),
    ],
)
def test_bad_variables_are_refused(args: tuple, settings: dict, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        keras.Variable(*args, **settings)


def test_assigning_checks_the_shape_and_casts() -> None:
    v = keras.Variable([1.0, 2.0])
    assert v.assign([3, 4]).numpy().tolist() == [3.0, 4.0]
    v.assign_add([1, 1])
    v.assign_sub(0.5 * np.ones(2))
    assert v.numpy().tolist() == [3.5, 4.5] and v.dtype == "float32"
    with pytest.raises(ArgumentError, match=r"variable.shape=\(2,\), value.shape=\(3,\)"):
        v.assign(np.ones(3))
    with pytest.raises(AttributeError):
        v.shape = (3,)
    with pytest.raises(TypeError, match="boolean"):
        v.overwrite_with_gradient = "yes"
    for name in ("constraint", "regularizer"):
        with pytest.raises(ValueError, match=f"attribute `{name}`"):
            setattr(v, name, 3)


PAIRS = [("uint32", "int16"), ("int32", "float16"), ("bfloat16", "float16"), ("bool", "int8")]


@pytest.mark.parametrize("name", sorted(operators.METHODS))
@pytest.mark.parametrize("types", PAIRS, ids=lambda pair: "_".join(pair))
def test_operators_have_real_keras_types_and_values(name: str, types: tuple) -> None:
    found = []
    for package in (keras, real):
        one, two = (
            package.Variable(np.array([[3, 1], [2, 1]]), dtype=each, trainable=False)
            for each in types
        )
        results = []
        for method, first, second in ((name, one, two), (f"r{name}", one, two)):
            if not hasattr(first, f"__{method}__"):
                continue
            try:
                with quiet():
                    result = getattr(first, f"__{method}__")(second)
            except Exception as error:
                results.append(type(error).__name__ if package is None else "refused")
                continue
            for each in result if isinstance(result, tuple) else (result,):
                value = np.asarray(package.ops.convert_to_numpy(each))
                results.append((value.dtype.name, value.astype("float64").tolist()))
        found.append(results)
    if name != "divmod":  # real Keras' variables have none
        assert found[0] == found[1]
    else:
        assert found[0]


def test_only_scalars_are_numbers_and_truths() -> None:
    many = keras.Variable([1.0, 2.0])
    for convert, match in ((bool, "boolean"), (int, "scalar"), (float, "scalar")):
        with pytest.raises(TypeError, match=match):
            convert(many)
    assert float(keras.Variable(2.5)) == 2.5 and int(keras.Variable(2)) == 2
    np.testing.assert_array_equal(round(keras.Variable([1.4, 2.6])).numpy(), [1.0, 3.0])
    assert (~keras.Variable([True, False])).numpy().tolist() == [False, True]
    with pytest.raises(TypeError):
        _ = many + "text"


# Scopes -------------------------------------------------------------------------------------------


def test_autocast_reads_floats_in_another_type() -> None:
    v, w = keras.Variable([1.0]), keras.Variable([1.0], autocast=False)
    i = keras.Variable([1])
    with AutocastScope("bfloat16"):
        assert (v.dtype, v.value.dtype.name) == ("bfloat16", "bfloat16")
        assert w.dtype == "float32" and i.dtype == "int32" and i.value.dtype.name == "int32"
        with AutocastScope(None):
            assert v.value.dtype.name == "float32"
        v.assign_add([0.001])
    assert v.numpy()[0] == np.float32(1.001)
    with pytest.raises(ValueError, match="floating-point"):
        AutocastScope("int32")


def test_a_stateless_scope_keeps_changes_to_itself() -> None:
    v = keras.Variable([1.0, 2.0])
    with StatelessScope([(v, np.array([5.0, 6.0]))]) as scope:
        assert in_stateless_scope() and v.numpy().tolist() == [5.0, 6.0]
        v.assign_add([1.0, 1.0])
        assert v.numpy().tolist() == [6.0, 7.0]
        with StatelessScope() as inner:
            assert inner.get_current_value(v) is None
    assert scope.get_current_value(v).numpy().tolist() == [6.0, 7.0]
    assert not in_stateless_scope() and v.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("pair", "match"),
    [
        (lambda v: ("v", [1.0]), "must be Variable"),
        (lambda v: (v, [1.0, 2.0, 3.0]), "must be tensors with"),
    ],
)
def test_bad_mappings_are_refused(pair: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        StatelessScope([pair(keras.Variable([1.0, 2.0]))])


def test_losses_belong_to_the_layer_that_added_them() -> None:
    scope = StatelessScope(collect_losses=True)
    scope.add_loss(1.0, owner="a")
    scope.add_loss(2.0, owner="b")
    assert scope.losses == [1.0, 2.0] and scope.losses_of("b") == [2.0]
    scope.forget_losses("a")
    assert scope.losses == [2.0]

"""Layer: what a user's own layers may rely on."""

from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import quiet
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg import keras
from thalweg.base.errors import ArgumentError, ShapeError, ThalwegError

ONES = np.ones((2, 3), "float32")


def scale_class(package: Any) -> type:
    """A layer of a user, of either package."""

    class Scale(package.layers.Layer):
        def __init__(self, factor: float = 2.0, **kwargs: Any):
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")
            self.count = self.add_weight(
                shape=(), initializer="zeros", dtype="int32", trainable=False, name="count"
            )

        def call(self, x: Any) -> Any:
            self.count.assign(self.count + 1)
            return x * self.w * self.factor

    return Scale


Scale = scale_class(keras)


def block_class(package: Any) -> type:
    """A layer with layers within, in attributes, lists and dicts."""
    inner = scale_class(package)

    class Block(package.layers.Layer):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.first = package.layers.Dense(3, name="first")
            self.many = [inner(name="a"), inner(name="b")]
            self.by_name = {"z": inner(name="z"), "y": inner(name="y")}

        def call(self, x: Any) -> Any:
            x = self.first(x)
            for layer in [*self.many, *self.by_name.values()]:
                x = layer(x)
            return x

    return Block


# Weights ------------------------------------------------------------------------------------------


def test_weights_are_made_once_and_computed_with() -> None:
    layer = Scale(factor=3.0)
    assert not layer.built and layer.weights == []
    np.testing.assert_array_equal(layer(ONES).numpy(), 3 * ONES)
    layer(ONES)
    assert layer.built and [w.name for w in layer.weights] == ["w", "count"]
    assert int(layer.count.numpy()) == 2
    assert layer.count_params() == 4


def test_paths_and_order_within_layers_are_real_keras() -> None:
    found = {}
    for package in (keras, real):
        layer = block_class(package)(name="block")
        with quiet():
            layer(ONES)
        layer.many[0].trainable = False
        found[package] = {
            name: [each.path for each in getattr(layer, name)]
            for name in ("weights", "trainable_weights", "non_trainable_weights", "variables")
        }
    assert found[keras] == found[real]
    assert "block/a/w" in found[keras]["non_trainable_weights"]


def test_add_weight_takes_defaults_by_type() -> None:
    layer = keras.layers.Layer()
    integer = layer.add_weight(shape=3, dtype="int32")
    number = layer.add_weight((2, 2))
    scalar = layer.add_weight(initializer="ones")
    assert integer.shape == (3,) and integer.dtype == "int32" and not integer.numpy().any()
    assert number.shape == (2, 2) and number.dtype == "float32" and number.numpy().any()
    assert scalar.shape == () and float(scalar.numpy()) == 1.0
    callable_one = layer.add_weight(
        shape=(2,), initializer=lambda shape, dtype: keras.ops.ones(shape, dtype) * 5
    )
    np.testing.assert_array_equal(callable_one.numpy(), [5.0, 5.0])
    assert layer.weights == [integer, number, scalar, callable_one] and len(layer.weights) == 4


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "match"),
    [
        (("w",), {}, ValueError, "name"),
        (((2,), "ones", "float32", 1), {}, TypeError, "at most 3 positional"),
        (((2,),), {"shape": (3,)}, ValueError, "both positionally and as a keyword"),
        ((), {"shape": (None, 2)}, ValueError, "fully defined"),
        ((), {"shape": (2,), "initializer": "nothing"}, ValueError, "nothing"),
        ((), {"shape": (2,), "regularizer": "nothing"}, ValueError, "nothing"),
        ((), {"shape": (2,), "name": "a/b"}, ValueError, "cannot contain character"),
        ((), {"shape": (2,), "dtype": "float31"}, ValueError, "float31"),
        ((), {"shape": (2,), "aggregation": "max"}, ValueError, "aggregation"),
    ],
)
def test_bad_weights_are_refused(args: tuple, kwargs: dict, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        keras.layers.Layer().add_weight(*args, **kwargs)


def test_set_weights_checks_numbers_and_shapes_before_it_changes_anything() -> None:
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    before = layer.get_weights()
    with pytest.raises(ArgumentError, match="weight list of length 1"):
        layer.set_weights(before[:1])
    with pytest.raises(ArgumentError, match="not compatible"):
        layer.set_weights([before[0] + 1, np.zeros((3,))])
    for one, two in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)
    layer.set_weights([before[0] + 1, before[1]])
    np.testing.assert_array_equal(layer.kernel.numpy(), before[0] + 1)


def test_state_is_closed_once_a_layer_is_built() -> None:
    class Late(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            self.w = self.add_weight(shape=(3,))
            return x * self.w

    class LateLayer(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            self.inner = keras.layers.Dense(2)
            return self.inner(x)

    for late in (Late, LateLayer):
        with pytest.raises(ValueError, match="cannot add new elements of state"):
            late()(ONES)


def test_load_own_variables_names_what_does_not_fit() -> None:
    layer = keras.layers.Dense(2, name="head")
    layer.build((None, 3))
    with pytest.raises(ArgumentError, match=r"head.*expected 2 variables"):
        layer.load_own_variables({"0": np.zeros((3, 2))})
    with pytest.raises(ArgumentError, match="head/kernel"):
        layer.load_own_variables({"0": np.zeros((4, 2)), "1": np.zeros((2,))})
    with pytest.raises(ArgumentError, match="never built"):
        keras.layers.Dense(2).load_own_variables({"0": np.zeros((4, 2))})


# Tracking -----------------------------------------------------------------------------------------


def test_tracking_follows_lists_dicts_tuples_and_deletion() -> None:
    layer = keras.layers.Layer()
    layer.items = []
    layer.items.append(keras.layers.Dense(1, name="one"))
    layer.pair = (keras.layers.Dense(1, name="two"), keras.Variable(1.0, name="v"))
    layer.table = {"k": keras.layers.Dense(1, name="three")}
    layer.table["l"] = keras.layers.Dense(1, name="four")
    layer.metric = keras.metrics.Mean(name="mean")
    names = [each.name for each in layer._layers]
    assert names == ["one", "two", "three", "four"]
    assert [each.name for each in layer.variables] == ["v"]
    assert [each.name for each in layer.metrics] == ["mean"]
    del layer.table["k"]
    layer.items.pop()
    assert [each.name for each in layer._layers] == ["two", "four"]
    del layer.pair
    assert [each.name for each in layer._layers] == ["two", "four"] or layer.variables == []


def test_a_replaced_layer_is_tracked_like_real_keras() -> None:
    found = {}
    for package in (keras, real):
        layer = package.layers.Layer()
        layer.inner = package.layers.Dense(1, name="old")
        layer.inner = package.layers.Dense(1, name="new")
        found[package] = [each.name for each in layer._layers]
    assert found[keras] == found[real]


# Calls --------------------------------------------------------------------------------------------


def test_training_is_handed_to_the_calls_within() -> None:
    seen: list[Any] = []

    class Inner(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            seen.append(training)
            return x

    class Outer(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def call(self, x: Any) -> Any:
            return self.inner(x)

    class Fixed(Outer):
        def call(self, x: Any) -> Any:
            return self.inner(x, training=False)

    outer = Outer()
    outer(ONES)
    outer(ONES, training=True)
    keras.Sequential([outer])(ONES, training=True)
    assert seen[-3:] != [False, False, False] and seen[-1] is True
    seen.clear()
    Fixed()(ONES, training=True)
    assert set(seen) == {False}


def test_masks_ride_from_layer_to_layer() -> None:
    ids = np.array([[1, 0, 2], [3, 4, 0]])
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(ids)
    passed = keras.layers.Dropout(0.5)(keras.layers.Dense(3)(embedded))
    np.testing.assert_array_equal(passed._keras_mask.numpy(), ids != 0)

    class Uses(keras.layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            assert mask is not None
            return keras.ops.sum(x * keras.ops.cast(mask[..., None], x.dtype), axis=1)

    found = Uses()(passed)
    wanted = (passed.numpy() * (ids != 0)[..., None]).sum(1)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5)
    assert getattr(found, "_keras_mask", None) is None


def test_a_mask_that_is_lost_is_said() -> None:
    class Forgets(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + 1

    masked = keras.layers.Masking()(np.ones((2, 3, 4), "float32"))
    with pytest.warns(UserWarning, match="does not support masking"):
        Forgets(name="forgets")(masked)


def test_several_inputs_and_their_shapes() -> None:
    seen = {}

    class Two(keras.layers.Layer):
        def build(self, query_shape: Any, value_shape: Any) -> None:
            seen.update(query=query_shape, value=value_shape)
            self.w = self.add_weight(shape=(query_shape[-1], value_shape[-1]))

        def call(self, query: Any, value: Any) -> Any:
            return keras.ops.matmul(query, self.w) * value

    layer = Two()
    found = layer(ONES, value=np.ones((2, 4), "float32"))
    assert found.shape == (2, 4) and seen == {"query": (2, 3), "value": (2, 4)}
    assert layer.get_build_config() == {
        "shapes_dict": {"query_shape": (2, 3), "value_shape": (2, 4)}
    }
    again = Two()
    again.build_from_config(layer.get_build_config())
    assert again.built and again.w.shape == (3, 4)

    class Wrong(keras.layers.Layer):
        def build(self, a_shape: Any, key_shape: Any) -> None:
            raise AssertionError

        def call(self, a: Any, b: Any) -> Any:
            return a

    with pytest.raises(ArgumentError, match="does not have argument `key`"):
        Wrong()(ONES, ONES)


def test_inputs_are_cast_to_the_compute_type() -> None:
    class Sees(keras.layers.Layer):
        def call(self, x: Any, ids: Any) -> Any:
            self.seen = (x.dtype.name, ids.dtype.name)
            return x

    layer = Sees(dtype="float16")
    layer(ONES, keras.ops.ones((2,), "int32"))
    assert layer.seen == ("float16", "int32")
    free = Sees(dtype="float16", autocast=False)
    free(ONES, keras.ops.ones((2,), "int32"))
    assert free.seen == ("float32", "int32")


def test_stateless_call_leaves_the_layer_alone() -> None:
    layer = Scale()
    layer.build((None, 3))
    found, state = layer.stateless_call([np.full((3,), 5.0, "float32")], [np.int32(7)], ONES)
    np.testing.assert_array_equal(found.numpy(), 10 * ONES)
    assert int(state[0].numpy()) == 8
    assert int(layer.count.numpy()) == 0 and layer.w.numpy().tolist() == [1, 1, 1]
    with pytest.raises(ArgumentError, match="trainable_variables"):
        layer.stateless_call([], [0], ONES)
    with pytest.raises(ArgumentError, match="must be built"):
        Scale().stateless_call([], [], ONES)


def test_a_layer_is_a_function_of_its_gradient() -> None:
    layer = keras.layers.Dense(2, use_bias=False)
    x = tw.asarray(ONES)
    layer.build(x.shape)
    with tw.GradientTape() as tape:
        loss = keras.ops.sum(layer(x) ** 2)
    slope = tape.gradient(loss, layer.kernel)
    wanted = 2 * ONES.T @ (ONES @ layer.kernel.numpy())
    np.testing.assert_allclose(slope.numpy(), wanted, rtol=1e-5)


# Losses -------------------------------------------------------------------------------------------


def test_losses_are_those_of_the_last_call() -> None:
    class Adds(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = keras.layers.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")

        def call(self, x: Any) -> Any:
            self.add_loss(keras.ops.sum(x))
            return self.inner(x)

    layer = Adds()
    for _ in range(2):
        layer(ONES)
        assert len(layer.losses) == 3
    kernel = layer.inner.kernel.numpy()
    values = sorted(float(each.numpy()) for each in layer.losses)
    activity = np.abs(ONES @ kernel).sum() * 0.01 / 2
    np.testing.assert_allclose(values, sorted([6.0, 0.01 * (kernel**2).sum(), activity]), rtol=1e-5)
    layer.inner.trainable = False
    assert len(layer.losses) == 2
    with pytest.raises(ArgumentError, match="add_loss"):
        layer.add_loss("much")


def test_losses_of_a_stateless_call_are_its_own() -> None:
    for package in (keras, real):
        layer = package.layers.Dense(2, activity_regularizer="l2", use_bias=False)
        with quiet():
            layer.build((None, 3))
        kernel = np.ones((3, 2), "float32")
        with package.StatelessScope([(layer.kernel, kernel)], collect_losses=True) as scope:
            layer(ONES)
            (found,) = layer.losses
            assert len(scope.losses) == 1
        assert abs(float(found) - 0.01 * 4 * 9 / 2) < 1e-5
        assert layer.losses == []


# Trainable and types ------------------------------------------------------------------------------


def test_trainable_reaches_all_layers_within() -> None:
    layer = block_class(keras)()
    layer(ONES)
    count = len(layer.weights)
    layer.trainable = False
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == count
    assert not any(each.trainable for each in layer._flatten_layers())
    layer.trainable = True
    assert len(layer.trainable_weights) == 6 and len(layer.non_trainable_weights) == 4


def test_a_policy_map_gives_each_path_its_types() -> None:
    policies = keras.dtype_policies.DTypePolicyMap("float32")
    policies["block/first"] = keras.DTypePolicy("bfloat16")

    class Mapped(keras.layers.Layer):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.first = keras.layers.Dense(2, dtype=policies, name="first")
            self.second = keras.layers.Dense(2, dtype=policies, name="second")

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

    layer = Mapped(name="block")
    layer(ONES)
    assert layer.first.kernel.dtype == "bfloat16" and layer.second.kernel.dtype == "float32"


# Configs ------------------------------------------------------------------------------------------


def test_a_layer_without_get_config_writes_its_arguments() -> None:
    found = {}
    for package in (keras, real):
        layer = scale_class(package)(factor=0.5, name="s")
        found[package] = layer.get_config()
    assert found[keras] == found[real]
    again = Scale.from_config(found[keras])
    assert again.factor == 0.5 and again.name == "s"

    class Holds(keras.layers.Layer):
        def __init__(self, what: Any):
            super().__init__()
            self.what = what

    with pytest.raises(NotImplementedError, match="get_config"):
        Holds(object()).get_config()


# Errors -------------------------------------------------------------------------------------------


def test_errors_name_the_path_of_the_innermost_layer() -> None:
    class Inner(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return keras.ops.matmul(x, keras.ops.ones((7, 2)))

    class Outer(keras.layers.Layer):
        def __init__(self, **kwargs: Any):
            super().__init__(**kwargs)
            self.head = Inner(name="head")

        def call(self, x: Any) -> Any:
            return self.head(x)

    with pytest.raises(ThalwegError, match=r"in layer outer/head$") as caught:
        Outer(name="outer")(ONES)
    assert str(caught.value).count("in layer") == 1


def test_calls_with_wrong_inputs_say_what_to_do() -> None:
    layer = keras.layers.Dense(2, name="head")
    layer(ONES)
    with pytest.raises(ShapeError, match=r'layer "head".*axis -1.*value 3') as caught:
        layer(np.ones((2, 4), "float32"))
    assert "(2, 4)" in str(caught.value)
    with pytest.raises(ShapeError, match="min_ndim=2"):
        layer(np.ones((3,), "float32"))
    with pytest.raises(ShapeError, match="Flatten"):
        keras.layers.Conv1D(2, 1).input_spec = keras.InputSpec(ndim=2)
        spec = keras.layers.Layer(name="flat")
        spec.input_spec = keras.InputSpec(ndim=2)
        spec(np.ones((2, 3, 4), "float32"))
    with pytest.raises(ValueError, match="positional arguments"):
        layer("text")
    with pytest.raises(TypeError, match="call"):
        layer()
    with pytest.raises(TypeError, match="InputSpec"):
        layer.input_spec = (2, 3)


def test_misuse_of_the_base_class_is_said() -> None:
    class NoSuper(keras.layers.Layer):
        def __init__(self) -> None:
            self.x = 1

    with pytest.raises(RuntimeError, match="forgot to call"):
        NoSuper()(ONES)
    with pytest.raises(NotImplementedError, match="call"):
        keras.layers.Layer()(ONES)
    with pytest.raises(ValueError, match="Unrecognized keyword arguments"):
        keras.layers.Layer(units=3)
    with pytest.raises(ValueError, match="trainable"):
        keras.layers.Layer(trainable="yes")
    with pytest.raises(ValueError, match="name"):
        keras.layers.Layer(name="a/b")
    with pytest.raises(ArgumentError, match="isn't built"):
        keras.layers.Dense(2).count_params()


def test_input_specs_check_what_they_say() -> None:
    Spec = keras.InputSpec
    rows = [
        (Spec(ndim=3), "ndim=3"),
        (Spec(max_ndim=1), "max_ndim=1"),
        (Spec(min_ndim=3), "min_ndim=3"),
        (Spec(dtype="int32"), "dtype=int32"),
        (Spec(axes={1: 4}), "axis 1"),
        (Spec(shape=(None, 4)), r"shape=\(None, 4\)"),
    ]
    for spec, match in rows:
        layer = keras.layers.Identity()
        layer.input_spec = spec
        with pytest.raises(ShapeError, match=match):
            layer(ONES)
    layer = keras.layers.Identity()
    layer.input_spec = [Spec(ndim=2), Spec(ndim=2, optional=True)]
    layer([ONES, None])
    with pytest.raises(ArgumentError, match=r"expects 2 input\(s\)"):
        layer([ONES])
    with pytest.raises(TypeError, match="integer keys"):
        Spec(axes={"a": 1})
    with pytest.raises(ValueError, match="Axis 3 is greater"):
        Spec(ndim=2, axes={3: 1})
    assert repr(Spec(ndim=2, axes={-1: 3})) == repr(real.InputSpec(ndim=2, axes={-1: 3}))
    config = Spec(shape=(None, 3), dtype="float32").get_config()
    assert config == real.InputSpec(shape=(None, 3), dtype="float32").get_config()
    assert Spec.from_config(config).get_config() == config

"""Sequential, models of a user's own class, and what all models offer."""

import json
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import quiet
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ArgumentError

ONES = np.ones((2, 4), "float32")


def stack(keras: Any, *first: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [*first, layers.Dense(3, activation="relu", name="a"), layers.Dense(2, name="b")], name="s"
    )


def test_config_is_real_keras_with_and_without_a_shape() -> None:
    found = {}
    for package in (keras, real):
        package.backend.clear_session()
        with quiet():
            drawn = stack(package, package.Input((4,), name="x"))
            open_one = stack(package)
            built = stack(package)
            built.build((None, 4))
        found[package] = [json.loads(each.to_json()) for each in (drawn, open_one, built)]
    for one, two in zip(found[keras], found[real], strict=True):
        assert one == two
    again = keras.models.model_from_json(json.dumps(found[real][0]))
    assert again.built and again.output_shape == (None, 2)
    assert not keras.models.model_from_json(json.dumps(found[real][1])).built


def test_it_is_built_by_its_input_or_its_first_call() -> None:
    drawn = stack(keras, keras.Input((4,)))
    assert drawn.built and drawn.input_shape == (None, 4) and len(drawn.weights) == 4
    late = stack(keras)
    assert not late.built and late.weights == []
    with pytest.raises(AttributeError, match="input"):
        _ = late.input_shape
    late(ONES)
    assert late.built and late.output_shape == (2, 2)
    old = keras.Sequential([keras.layers.Dense(3, input_shape=(4,))])
    assert old.built and old.input_shape == (None, 4)
    np.testing.assert_array_equal(late(ONES).numpy(), late.layers[1](late.layers[0](ONES)).numpy())


def test_layers_are_added_and_taken() -> None:
    model = stack(keras, keras.Input((4,)))
    model.add(keras.layers.Dense(5, name="c"))
    assert model.output_shape == (None, 5) and len(model.layers) == 3
    assert model.pop().name == "c" and model.output_shape == (None, 2)
    assert [layer.name for layer in model.layers] == ["a", "b"]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: keras.Sequential([lambda x: x]), "Only instances of `keras.Layer`"),
        (
            lambda: keras.Sequential(
                [keras.layers.Dense(1, name="a"), keras.layers.ReLU(name="a")]
            ),
            "unique names",
        ),
        (lambda: keras.Sequential([keras.Input((2,)), keras.Input((2,))]), "Input"),
        (lambda: keras.Sequential().build((None, 2)), "no layers"),
        (lambda: stack(keras, keras.Input((4,))).build((None, 5)), "already been configured"),
    ],
)
def test_what_is_no_sequence_is_refused(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


def test_a_layer_of_two_inputs_is_refused() -> None:
    class Two(keras.layers.Layer):
        def call(self, x: Any, y: Any) -> Any:
            return x + y

    with pytest.raises(ValueError, match="single"):
        keras.Sequential([keras.Input((2,)), Two()])


def test_sequences_nest_and_hand_on_training_and_masks() -> None:
    inner = keras.Sequential([keras.layers.Embedding(5, 3, mask_zero=True)], name="inner")
    model = keras.Sequential(
        [inner, keras.layers.Dropout(0.5), keras.layers.GlobalAveragePooling1D()]
    )
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    still = model(ids).numpy()
    table = inner.layers[0].embeddings.numpy()
    np.testing.assert_allclose(still, [table[[1, 2]].mean(0), table[3]], rtol=1e-5)
    assert (model(ids, training=True).numpy() != still).any()


# Models of a user's own class ---------------------------------------------------------------------


def mine_class(keras: Any) -> type:
    class Mine(keras.Model):
        def __init__(self, units: int = 3, **kwargs: Any):
            super().__init__(**kwargs)
            self.a = keras.layers.Dense(units, name="a")
            self.b = keras.layers.Dense(2, name="b")

        def call(self, x: Any, training: bool = False) -> Any:
            return self.b(keras.ops.relu(self.a(x)))

    return Mine


def test_a_model_of_ones_own_has_real_keras_weights() -> None:
    found = {}
    for package in (keras, real):
        model = mine_class(package)(units=5, name="m")
        with quiet():
            model(ONES)
        found[package] = (
            [each.path for each in model.weights],
            [tuple(each.shape) for each in model.weights],
            [each.name for each in model.layers],
            model.count_params(),
        )
    assert found[keras] == found[real]
    config = mine_class(keras)(units=5, name="m").get_config()
    assert config["units"] == 5 and config["name"] == "m"


def test_a_model_of_ones_own_is_drawn_into_another() -> None:
    model = mine_class(keras)()
    x = keras.Input((4,))
    outer = keras.Model(x, model(x))
    np.testing.assert_array_equal(outer(ONES).numpy(), model(ONES).numpy())
    assert outer.output_shape == (None, 2)


def test_a_model_without_call_says_so() -> None:
    class Empty(keras.Model):
        pass

    with pytest.raises(NotImplementedError, match="call"):
        Empty()(ONES)


def test_the_state_is_read_and_written_as_a_tree() -> None:
    model, other = (stack(keras, keras.Input((4,))) for _ in range(2))
    state = model.get_state_tree(value_format="numpy_array")
    assert set(state) >= {"trainable_variables", "non_trainable_variables"}
    assert state["trainable_variables"]["s"]["a"]["kernel"].shape == (4, 3)
    other.set_state_tree(state)
    np.testing.assert_array_equal(other(ONES).numpy(), model(ONES).numpy())
    with pytest.raises(ArgumentError, match="Unknown variable name"):
        model.set_state_tree({"weights": {}})
    with pytest.raises(ArgumentError, match="value_format"):
        model.get_state_tree(value_format="text")


def test_stateless_call_of_a_model() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(momentum=0.5)])
    free = [each.numpy() for each in model.trainable_variables]
    fixed = [each.numpy() for each in model.non_trainable_variables]
    x = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
    _, state = model.stateless_call(free, fixed, x, training=True)
    np.testing.assert_allclose(state[0].numpy(), 0.5 * x.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.non_trainable_variables[0].numpy(), fixed[0])


# Two steps of training ----------------------------------------------------------------------------


def trained(keras: Any, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """The weights after two steps from given ones."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, kernel_regularizer="l2", activation="relu"),
            layers.BatchNormalization(momentum=0.5),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", bias_constraint="non_neg"),
        ]
    )
    generator = np.random.default_rng(2)
    model.set_weights(
        [generator.uniform(0.1, 0.5, tuple(each.shape)).astype("float32") for each in model.weights]
    )
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)
    return [np.asarray(each) for each in model.get_weights()]


def test_two_steps_of_fit_are_real_keras() -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((8, 6, 6, 2)).astype("float32")
    y = generator.integers(0, 3, (8,))
    with quiet():
        wanted = trained(real, x, y)
    for one, two in zip(trained(keras, x, y), wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-5)


def test_what_cannot_be_exported_says_so() -> None:
    made = stack(keras, keras.Input((4,)))
    with pytest.raises(ArgumentError, match="Unrecognized format=tfjs"):
        made.export("folder", format="tfjs")
    with pytest.raises(NotImplementedError, match=r"model.save\('model.keras'\)"):
        made.export("folder")

"""Functional models: drawn between inputs and outputs, written and read as real Keras does."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import quiet
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ArgumentError

# Models, each drawn with either package -----------------------------------------------------------


def line(keras: Any) -> Any:
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, activation="relu", name="a")(x)
    return keras.Model(x, keras.layers.Dense(2, name="b")(y), name="line")


def shared(keras: Any) -> Any:
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    tower = keras.layers.Dense(3, name="tower")
    both = keras.layers.Concatenate(name="both")([tower(one), tower(two)])
    return keras.Model([one, two], [both, tower(one)], name="shared")


def dicts(keras: Any) -> Any:
    inputs = {"b": keras.Input((2,), name="b"), "a": keras.Input((3,), name="a")}
    joined = keras.layers.Concatenate(name="joined")([inputs["a"], inputs["b"]])
    outputs = {"y": keras.layers.Dense(1, name="y")(joined), "x": joined}
    return keras.Model(inputs, outputs, name="dicts")


def nested(keras: Any) -> Any:
    inner = line(keras)
    x = keras.Input((4,), name="outer_x")
    y = inner(x)
    z = inner(keras.layers.Dense(4, name="before")(x))
    return keras.Model(x, keras.layers.Add(name="sum")([y, z]), name="nested")


def functions(keras: Any) -> Any:
    x = keras.Input((4, 6), name="x")
    y = keras.ops.transpose(x, (0, 2, 1))
    y = keras.ops.concatenate([y, keras.ops.sin(y) * 2 + 1], axis=-1)
    y = keras.ops.mean(y[:, 1:4, ::2] / 3.0, axis=1)
    return keras.Model(x, 1 - y**2, name="functions")


def residual(keras: Any) -> Any:
    x = keras.Input((8, 8, 3), name="image")
    y = keras.layers.Conv2D(4, 3, padding="same", name="c1")(x)
    y = keras.layers.BatchNormalization(name="bn")(y)
    z = keras.layers.ReLU(name="relu")(y)
    z = keras.layers.Conv2D(4, 3, padding="same", name="c2")(z)
    y = keras.layers.Add(name="plus")([y, z])
    y = keras.layers.GlobalAveragePooling2D(name="pool")(y)
    return keras.Model(x, keras.layers.Dropout(0.3, name="drop")(y), name="residual")


def masked(keras: Any) -> Any:
    x = keras.Input((None,), dtype="int32", name="ids")
    y = keras.layers.Embedding(7, 4, mask_zero=True, name="table")(x)
    y = keras.layers.GlobalAveragePooling1D(name="mean")(y)
    return keras.Model(x, y, name="masked")


MODELS: dict[Callable, Any] = {
    line: (2, 4),
    shared: [(2, 4), (2, 4)],
    dicts: {"a": (2, 3), "b": (2, 2)},
    nested: (2, 4),
    functions: (2, 4, 6),
    residual: (2, 8, 8, 3),
    masked: (2, 5),
}
EVERY = pytest.mark.parametrize("draw", MODELS, ids=lambda draw: draw.__name__)


def numbers(draw: Callable) -> Any:
    """Values for the inputs of a model."""
    generator = np.random.default_rng(0)

    def one(shape: tuple) -> np.ndarray:
        if draw is masked:
            return generator.integers(0, 7, shape, "int32") * (np.arange(shape[1]) < 4)
        return generator.standard_normal(shape).astype("float32")

    shapes = MODELS[draw]
    if isinstance(shapes, dict):
        return {key: one(shape) for key, shape in shapes.items()}
    return [one(each) for each in shapes] if isinstance(shapes, list) else one(shapes)


def fresh(package: Any, draw: Callable) -> Any:
    """A model drawn with automatic names counted from the start, and with given weights."""
    package.backend.clear_session()
    with quiet():
        model = draw(package)
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.1, 1, tuple(weight.shape)).astype("float32"))
    return model


def arrays(package: Any, value: Any) -> list[np.ndarray]:
    return [np.asarray(package.ops.convert_to_numpy(each)) for each in package.tree.flatten(value)]


@EVERY
def test_config_is_real_keras(draw: Callable) -> None:
    ours, theirs = fresh(keras, draw), fresh(real, draw)
    assert json.loads(ours.to_json()) == json.loads(theirs.to_json())
    assert [each.path for each in ours.weights] == [each.path for each in theirs.weights]
    assert [each.name for each in ours.layers] == [each.name for each in theirs.layers]
    assert [each.name for each in ours.operations] == [each.name for each in theirs.operations]
    assert ours.output_names == theirs.output_names
    assert ours.input_shape == theirs.input_shape and ours.output_shape == theirs.output_shape


@EVERY
def test_outputs_are_real_keras(draw: Callable) -> None:
    ours, theirs = fresh(keras, draw), fresh(real, draw)
    values = numbers(draw)
    with quiet():
        wanted = arrays(real, theirs(values))
    found = arrays(keras, ours(values))
    assert len(found) == len(wanted)
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-5)


@EVERY
def test_a_model_comes_back_from_its_config(draw: Callable) -> None:
    ours = fresh(keras, draw)
    text = ours.to_json()
    for again in (keras.models.model_from_json(text), keras.Model.from_config(ours.get_config())):
        assert json.loads(again.to_json()) == json.loads(text)
        again.set_weights(ours.get_weights())
        values = numbers(draw)
        for one, two in zip(arrays(keras, again(values)), arrays(keras, ours(values)), strict=True):
            np.testing.assert_array_equal(one, two)


@EVERY
def test_a_file_of_real_keras_is_read(draw: Callable) -> None:
    theirs, values = fresh(real, draw), numbers(draw)
    ours = keras.models.model_from_json(theirs.to_json())
    with quiet():
        ours.set_weights([np.asarray(each) for each in theirs.get_weights()])
        wanted = arrays(real, theirs(values))
    for one, two in zip(arrays(keras, ours(values)), wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-5)


@EVERY
def test_a_model_is_a_layer_of_another(draw: Callable) -> None:
    model = fresh(keras, draw)
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), model.input
    )
    outer = keras.Model(inputs, model(inputs))
    values = numbers(draw)
    flat = keras.tree.flatten(values)
    found = arrays(keras, outer(keras.tree.pack_sequence_as(inputs, flat)))
    for one, two in zip(found, arrays(keras, model(values)), strict=True):
        np.testing.assert_array_equal(one, two)
    assert outer.count_params() == model.count_params()


# Inputs -------------------------------------------------------------------------------------------


def test_dict_inputs_come_by_name_in_any_order() -> None:
    model, values = fresh(keras, dicts), numbers(dicts)
    wanted = model(values)["y"].numpy()
    turned = dict(reversed(values.items()))
    np.testing.assert_array_equal(model(turned)["y"].numpy(), wanted)
    with pytest.raises(ArgumentError, match='Missing data for input "b"'):
        model({"a": values["a"]})
    pair = fresh(keras, shared)
    named = {"two": np.zeros((2, 4)), "one": np.ones((2, 4))}
    listed = pair([np.ones((2, 4)), np.zeros((2, 4))])
    for one, two in zip(pair(named), listed, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_an_axis_of_size_one_is_added_or_taken() -> None:
    x = keras.Input((1,))
    model = keras.Model(x, x * 2)
    assert model(np.ones((5,), "float32")).shape == (5, 1)
    y = keras.Input(())
    assert keras.Model(y, y * 2)(np.ones((5, 1), "float32")).shape == (5,)


def test_inputs_are_cast_to_the_type_they_were_drawn_with() -> None:
    ids = keras.Input((2,), dtype="int32")
    model = keras.Model(ids, ids + 1)
    assert model(np.ones((3, 2), "float32")).dtype.name == "int32"


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.ones((2, 5), "float32"), r"shape=\(None, 4\), found shape=\(2, 5\)"),
        (np.ones((2, 4, 3), "float32"), "Invalid input shape"),
        ([np.ones((2, 4)), np.ones((2, 4))], r"expects 1 input\(s\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(values: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fresh(keras, line)(values)


def test_an_optional_input_may_be_none() -> None:
    class Maybe(keras.layers.Layer):
        def call(self, x: Any, y: Any = None) -> Any:
            return x if y is None else x + y

        def compute_output_shape(self, x_shape: Any) -> Any:
            return x_shape

    x, y = keras.Input((2,)), keras.Input((2,), optional=True)
    model = keras.Model([x, y], Maybe()(x, y))
    ones = np.ones((1, 2), "float32")
    np.testing.assert_array_equal(model([ones, ones]).numpy(), 2 * ones)
    np.testing.assert_array_equal(model([ones, None]).numpy(), ones)
    with pytest.raises(ArgumentError, match="not optional"):
        model([None, ones])


# Graphs -------------------------------------------------------------------------------------------


def test_a_model_may_begin_in_the_middle_of_another() -> None:
    model = fresh(keras, nested)
    middle = model.get_layer("before").output
    tail = keras.Model(middle, keras.layers.Dense(2)(middle * 3))
    assert tail.input_shape == (None, 4) and len(tail.weights) == 2
    head = keras.Model(model.input, middle)
    values = numbers(nested)
    assert tail(head(values)).shape == (2, 2)
    cut = keras.Model(middle, model.get_layer("line")(middle))
    np.testing.assert_array_equal(
        cut(head(values)).numpy(), model.get_layer("line")(head(values)).numpy()
    )


def test_graphs_that_cannot_be_run_are_refused() -> None:
    x, z = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(ArgumentError, match="not connected"):
        keras.Model(x, z * 2)
    with pytest.raises(ArgumentError, match="not connected"):
        keras.Model(x, x + z)
    with pytest.raises(ArgumentError, match="unique"):
        one, two = keras.layers.Dense(1, name="same"), keras.layers.Dense(1, name="same")
        keras.Model(x, two(one(x)))
    with pytest.raises(ArgumentError, match="KerasTensors"):
        keras.Model(x, np.ones((2, 2)))
    with pytest.raises(TypeError, match="KerasTensor"):
        np.sin(x)
    with pytest.raises(TypeError, match="boolean"):
        bool(x > 0)


def test_layers_are_found_by_name_and_index() -> None:
    model = fresh(keras, residual)
    assert model.get_layer("bn") is model.layers[2] and model.get_layer(index=2).name == "bn"
    for given, match in (
        ({"name": "none"}, "No such layer: none"),
        ({"index": 99}, "only has"),
        ({}, "either a layer name or layer index"),
        ({"name": "bn", "index": 2}, "only a layer name or a layer index"),
    ):
        with pytest.raises(ArgumentError, match=match):
            model.get_layer(**given)
    with pytest.raises(AttributeError, match="reserved"):
        model.layers = []


def test_training_reaches_the_layers_of_a_model() -> None:
    keras.utils.set_random_seed(
        0
    )  # eight values, of which dropout leaves all once in seventeen times
    model, values = fresh(keras, residual), numbers(residual)
    before = [each.numpy() for each in model.non_trainable_weights]
    still = model(values).numpy()
    np.testing.assert_array_equal(model(values, training=False).numpy(), still)
    assert all((a == b.numpy()).all() for a, b in zip(before, model.non_trainable_weights))  # noqa: B905
    moved = model(values, training=True).numpy()
    assert (moved == 0).any() and not (still == 0).any()
    assert any((a != b.numpy()).any() for a, b in zip(before, model.non_trainable_weights))  # noqa: B905


def test_masks_pass_through_a_model() -> None:
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, keras.layers.Embedding(5, 2, mask_zero=True)(ids))
    found = model(np.array([[1, 0]]))
    np.testing.assert_array_equal(found._keras_mask.numpy(), [[True, False]])


def test_a_subclass_with_a_graph_stays_itself() -> None:
    class Mine(keras.Model):
        def extra(self) -> int:
            return 7

    x = keras.Input((2,))
    model = Mine(x, keras.layers.Dense(1, name="d")(x), name="mine")
    assert model.extra() == 7 and isinstance(model, Mine) and len(model.layers) == 2
    again = Mine.from_config(model.get_config())
    assert isinstance(again, Mine) and again.get_config() == model.get_config()


def test_frozen_models_stay_frozen_in_their_config() -> None:
    model = fresh(keras, line)
    model.get_layer("a").trainable = False
    again = keras.Model.from_config(model.get_config())
    assert [each.path for each in again.trainable_weights] == ["b/kernel", "b/bias"]


def test_configs_that_cannot_be_read_say_why() -> None:
    config = fresh(keras, line).get_config()
    history = config["layers"][2]["inbound_nodes"][0]["args"][0]["config"]["keras_history"]
    history[0] = "nowhere"
    with pytest.raises(ArgumentError, match="Missing node: nowhere"):
        keras.Model.from_config(config)
    history[0] = "b"
    with pytest.raises(ArgumentError, match="loop"):
        keras.Model.from_config(config)

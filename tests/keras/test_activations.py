"""keras.activations: values and slopes against real Keras, names, configs, graphs."""

import inspect
import itertools

import numpy as np
import pytest
from tests.keras.ops.gradients import close, numbers
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError
from thalweg.keras import activations
from thalweg.keras.function import Function
from thalweg.keras.operation import Node, Operation
from thalweg.keras.ops import nn
from thalweg.keras.saving.registration import custom_object_scope, register_keras_serializable
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.symbol import KerasTensor

X = numbers(3, 4, 6) * 3
PLAIN = [
    each
    for each in activations.__all__
    if each not in ("get", "serialize", "deserialize", "threshold")
]


def test_names_and_signatures():
    names = [each for each in dir(real.activations) if not each.startswith("_")]
    assert sorted(activations.__all__) == sorted(names) and len(names) == 35
    for name in names:
        theirs = inspect.signature(getattr(real.activations, name))
        ours = inspect.signature(getattr(activations, name))
        assert [(each.name, each.default) for each in ours.parameters.values()] == [
            (each.name, each.default) for each in theirs.parameters.values()
        ], name


@pytest.mark.parametrize("name", PLAIN)
def test_values(name):
    close(getattr(activations, name)(X), getattr(real.activations, name)(X), 5e-5)


def test_threshold():
    close(activations.threshold(X, 0.5, -1.0), real.activations.threshold(X, 0.5, -1.0))


@pytest.mark.parametrize(
    ("slope", "largest", "threshold"),
    list(itertools.product((0.0, 0.1), (None, 1.0, 6.0), (0.0, 1.0, -1.0))),
)
def test_relu_with_settings(slope, largest, threshold):
    x = np.array([-np.inf, -5, -1, -0.5, 0, 0.5, 1, 2, 6, 7, np.inf], "float32")
    settings = {"negative_slope": slope, "max_value": largest, "threshold": threshold}
    close(activations.relu(x, **settings), real.activations.relu(x, **settings))
    assert activations.relu(KerasTensor((None, 3)), **settings).shape == (None, 3)


def test_slopes_of_relu():
    x = tw.asarray(np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0, 9.0], "float32"))
    slope = tw.grad(lambda x: activations.relu(x, 0.1, 6.0, 1.0).sum())(x).numpy()
    np.testing.assert_allclose(slope, [0.1, 0.1, 0.1, 0.1, 0, 1, 0])
    slope = tw.grad(lambda x: activations.relu(x).sum())(x).numpy()
    np.testing.assert_allclose(slope, [0, 0, 0, 1, 1, 1, 1])


def test_integers():
    x = np.array([-2, 0, 3])
    assert activations.relu(x).dtype.name == "int64"
    assert activations.relu(x, max_value=2.5).numpy().tolist() == [0, 0, 2.5]
    assert activations.linear(x) is x


@pytest.mark.parametrize("name", [*PLAIN, "threshold"])
def test_names_survive(name):
    function = getattr(activations, name)
    assert activations.get(name) is function
    assert activations.deserialize(name) is function
    theirs = getattr(real.activations, name)
    assert activations.serialize(function) == real.activations.serialize(theirs)
    config = real.saving.serialize_keras_object(theirs)
    assert serialize_keras_object(function) == config
    assert deserialize_keras_object(config) is function
    assert activations.get(config) is function


def test_the_op_of_the_same_name_means_the_activation():
    for function in (nn.relu, nn.gelu, nn.silu):
        assert activations.serialize(function) == function.__name__


def test_none_and_functions():
    assert activations.get(None) is activations.linear
    assert activations.deserialize(None) is None

    def own(x):
        return x

    assert activations.get(own) is own
    assert activations.serialize(own)["config"] == "own"
    with custom_object_scope({"own": own}):
        assert activations.get("own") is own
        assert activations.get(activations.serialize(own)) is own
    assert activations.deserialize("own", {"own": own}) is own

    @register_keras_serializable("activations_test")
    def registered(x):
        return x

    config = activations.serialize(registered)
    assert config["config"] == "activations_test>registered"
    assert activations.get(config) is registered


@pytest.mark.parametrize("identifier", ["rellu", 3, "own"], ids=str)
def test_what_is_no_activation(identifier):
    with pytest.raises(ArgumentError, match="Could not interpret activation function identifier"):
        activations.get(identifier)


def test_a_name_that_is_nearly_right():
    with pytest.raises(ArgumentError, match="Did you mean 'relu'"):
        activations.get("rellu")


def test_graphs_hold_the_settings():
    x = KerasTensor((None, 6), name="x")
    Node(Operation(name="the_input"), outputs=x)
    function = Function(x, activations.mish(activations.relu(x, 0.1, max_value=3.0)))
    wanted = activations.mish(activations.relu(X[0], 0.1, max_value=3.0)).numpy()
    close(function(tw.asarray(X[0])), wanted)
    one, two = (node.operation for node in function._nodes if not node.is_input)
    config = serialize_keras_object(one)
    assert config["module"] == "keras.src.activations.activations"
    assert config["class_name"] == "ReLU"
    assert serialize_keras_object(two)["class_name"] == "Mish"
    copy = deserialize_keras_object(config)
    close(copy(tw.asarray(X[0])), activations.relu(X[0], 0.1, max_value=3.0).numpy())

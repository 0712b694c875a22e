"""The ops as files name them: each op class of real Keras, its data and its settings."""

import inspect
from importlib import import_module

import numpy as np
import pytest
from tests.keras.oracle import keras as real

from thalweg.keras import ops
from thalweg.keras.ops import numpy as ours
from thalweg.keras.saving.registration import builtin
from thalweg.keras.saving.serialization import (
    deserialize_keras_object,
    serialize_keras_object,
)

MODULE = "keras.src.ops.numpy"
Operation = real.Operation


def _classes():
    home = import_module(MODULE)
    return {
        name: value
        for name, value in vars(home).items()
        if isinstance(value, type) and issubclass(value, Operation) and value.__module__ == MODULE
    }


CLASSES = _classes()


def _names(function):
    found = list(inspect.signature(function).parameters.values())[1:]
    return [each.name for each in found if each.kind is not each.VAR_KEYWORD]


@pytest.mark.parametrize(
    ("package", "theirs"), [(ours, real.ops.numpy), (ops, real.ops)], ids=["numpy", "ops"]
)
def test_public_names(package, theirs):
    wanted = sorted(name for name in dir(theirs) if not name.startswith("_"))
    assert sorted(package.__all__) == wanted
    assert [name for name in wanted if not hasattr(package, name)] == []


@pytest.mark.parametrize("name", sorted(ours.__all__))
def test_signature(name):
    wanted = inspect.signature(getattr(real.ops.numpy, name)).parameters.values()
    found = inspect.signature(getattr(ours, name)).parameters.values()
    assert [(each.name, each.kind, each.default) for each in found] == [
        (each.name, each.kind, each.default) for each in wanted
    ]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_op_class(name):
    operation = builtin(MODULE, name)
    assert operation is not None, f"no op of the name {name}"
    definition = operation.definition
    assert operation._serialized_as == (MODULE, name)
    assert definition.data == _names(CLASSES[name].call)
    settings = set(definition.signature.parameters) - {*definition.data, "kwargs"}
    own_init = CLASSES[name].__init__ is not Operation.__init__
    wanted = _names(CLASSES[name].__init__) if own_init else []
    assert settings == {*wanted} - {"name", "kwargs"}


def test_files_name_the_class():
    operation = builtin(MODULE, "Clip")(x_min=1, x_max=2)
    config = serialize_keras_object(operation)
    assert config["class_name"] == "Clip"
    found = deserialize_keras_object(config)
    assert found(np.array([0, 5], "int32")).numpy().tolist() == [1, 2]

"""`keras.utils.Config`: settings that can be frozen, as in Keras."""

import copy
import json
import pickle

import pytest
from tests.keras.oracle import keras as real

from thalweg.keras.utils import Config


@pytest.mark.parametrize("make", [Config, real.utils.Config])
def test_a_config_is_a_record_and_a_mapping(make):
    config = make(a=1, b={"c": 2})
    assert repr(config) == "<Config {'a': 1, 'b': {'c': 2}}>"
    assert config.a == config["a"] == 1
    assert list(config) == list(config.keys()) == ["a", "b"]
    assert dict(config.items()) == config.as_dict()
    assert list(config.values()) == [1, {"c": 2}]
    assert json.loads(config.to_json()) == config.as_dict()
    config.d = 3
    config["e"] = 4
    config.update({"f": 5}, g=6)
    config.update(make(h=7))
    assert len(config) == 7
    assert "e" in config
    assert "z" not in config
    del config["e"]
    assert config.pop("d") == 3
    assert config.pop("d", 9) == 9
    assert config.get("z") is None
    assert config.get("z", 1) == 1
    assert copy.deepcopy(config).as_dict() == config.as_dict()
    assert not make()


@pytest.mark.parametrize("make", [Config, real.utils.Config])
def test_what_is_not_there(make):
    config = make()
    with pytest.raises(AttributeError, match="Unknown attribute: 'z'"):
        _ = config.z
    for function in (config.__getitem__, config.__delitem__, config.pop):
        with pytest.raises(KeyError):
            function("z")
    with pytest.raises(AttributeError):
        del config.z


@pytest.mark.parametrize("make", [Config, real.utils.Config])
def test_a_frozen_config_does_not_change(make):
    config = make(a=1)
    assert not config.frozen
    config.freeze()
    assert config.frozen
    for change in (
        lambda: setattr(config, "a", 2),
        lambda: config.__setitem__("a", 2),
        lambda: config.__delitem__("a"),
        lambda: config.update(a=2),
        lambda: config.pop("a"),
    ):
        with pytest.raises(ValueError, match="Cannot mutate attribute"):
            change()
    config.unfreeze()
    config.a = 2
    assert config.as_dict() == {"a": 2}


def test_attributes_can_be_deleted():
    config = Config(a=1)
    del config.a
    assert len(config) == 0


def test_copies_are_independent():
    config = Config(a=[1])
    other = pickle.loads(pickle.dumps(config))
    other.a.append(2)
    other.freeze()
    config.as_dict()["b"] = 3
    assert config.as_dict() == {"a": [1]}
    assert other.frozen
    assert not config.frozen


def test_settings_can_be_completed_by_name():
    assert "rate" in dir(Config(rate=1))

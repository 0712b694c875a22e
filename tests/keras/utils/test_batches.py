"""The forms of a batch, PyDataset, seeds, graphs, older configs, and the names of keras.utils."""

import random
import sys

import numpy as np
import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras import preprocessing, utils
from thalweg.keras import random as keras_random
from thalweg.keras.symbol import KerasTensor


@pytest.mark.parametrize(
    "arguments",
    [(1,), ((1,),), ([1],), ({"a": 1},), (1, 2), ([1], [2]), (1, 2, 3), (1, None, 3), (1, (2, 3))],
)
def test_pack_x_y_sample_weight(arguments):
    theirs = real.utils.pack_x_y_sample_weight(*arguments)
    assert utils.pack_x_y_sample_weight(*arguments) == theirs


@pytest.mark.parametrize("data", [1, (1,), [1], (1, 2), [1, 2], (1, 2, 3), {"a": 1}, ((1, 2),)])
def test_unpack_x_y_sample_weight(data):
    theirs = real.utils.unpack_x_y_sample_weight(data)
    assert utils.unpack_x_y_sample_weight(data) == theirs


def test_too_many_parts():
    for data in ((), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match=f"sample_weight.*\n.*tuple of {len(data)}"):
            utils.unpack_x_y_sample_weight(data)


# ---- PyDataset -----------------------------------------------------------------------------------


class Squares(utils.Sequence):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return np.array([index]), np.array([index**2])


def test_a_py_dataset_has_batches_and_settings():
    squares = Squares(workers=2, use_multiprocessing=True, max_queue_size=5)
    assert utils.Sequence is utils.PyDataset
    assert (squares.workers, squares.use_multiprocessing, squares.max_queue_size) == (2, True, 5)
    squares.workers, squares.use_multiprocessing, squares.max_queue_size = 1, False, 10
    assert (squares.workers, squares.use_multiprocessing, squares.max_queue_size) == (1, False, 10)
    assert squares.num_batches == 3
    assert squares.on_epoch_begin() is None
    assert squares.on_epoch_end() is None
    defaults = vars(Squares())
    assert defaults == {name: vars(real.utils.PyDataset())[name] for name in defaults}


def test_what_a_py_dataset_must_define():
    empty = utils.PyDataset()
    with pytest.raises(NotImplementedError, match="must define __getitem__"):
        empty[0]
    with pytest.raises(NotImplementedError, match="must define __len__"):
        _ = empty.num_batches


# ---- seeds ---------------------------------------------------------------------------------------


def test_set_random_seed_sets_all_generators():
    def drawn():
        return (
            random.random(),
            np.random.random(),
            tw.random.uniform((2,)).numpy().tolist(),
            keras_random.uniform((2,)).numpy().tolist(),
        )

    states = random.getstate(), np.random.get_state()
    try:
        utils.set_random_seed(42)
        first = drawn()
        second = drawn()
        utils.set_random_seed(42)
        again = drawn()
        utils.set_random_seed(43)
        other = drawn()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    assert first == again
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_set_random_seed_sets_other_libraries_that_are_there(monkeypatch):
    seeds = []

    class Torch:
        manual_seed = staticmethod(seeds.append)

    monkeypatch.setitem(sys.modules, "torch", Torch)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    states = random.getstate(), np.random.get_state()
    utils.set_random_seed(7)
    random.setstate(states[0])
    np.random.set_state(states[1])
    assert seeds == [7]


@pytest.mark.parametrize("seed", ["a", None, 1.0, True])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ValueError, match="Expected `seed` argument to be an integer"):
        utils.set_random_seed(seed)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_has_32_bits(seed):
    with pytest.raises(ValueError, match=r"Seed must be between 0 and 2\*\*32 - 1"):
        utils.set_random_seed(seed)


# ---- older configs -------------------------------------------------------------------------------


class Scale:
    def __init__(self, factor=1):
        self.factor = factor

    def get_config(self):
        return {"factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def test_older_configs_go_back_and_forth():
    legacy = utils.legacy
    assert legacy.serialize_keras_object(None) is None
    record = legacy.serialize_keras_object(Scale(3))
    assert record == {"class_name": "Scale", "config": {"factor": 3}}
    for tables in ({"module_objects": {"Scale": Scale}}, {"custom_objects": {"Scale": Scale}}):
        assert legacy.deserialize_keras_object(record, **tables).factor == 3
    with utils.custom_object_scope({"Scale": Scale}):
        assert legacy.deserialize_keras_object(record).factor == 3
        assert legacy.deserialize_keras_object("Scale").factor == 1
    assert legacy.deserialize_keras_object(None) is None
    assert legacy.deserialize_keras_object(len) is len
    assert legacy.deserialize_keras_object("len", module_objects={"len": len}) is len
    assert legacy.serialize_keras_object(len) == "len"
    found = legacy.deserialize_keras_object(
        {"class_name": "dict", "config": {"a": 1}}, custom_objects={"dict": dict}
    )
    assert found == {"a": 1}


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("nothing", "Unknown thing: 'nothing'"),
        ({"class_name": "nothing", "config": {}}, "Unknown thing: 'nothing'"),
        ({"a": 1}, "Improper config format"),
        (3, "Could not interpret serialized thing: 3"),
    ],
)
def test_older_configs_that_mean_nothing(identifier, message):
    with pytest.raises(ValueError, match=message):
        utils.legacy.deserialize_keras_object(identifier, printable_module_name="thing")
    with pytest.raises(ValueError, match="doesn't implement `get_config"):
        utils.legacy.serialize_keras_object(3)


# ---- graphs and names ----------------------------------------------------------------------------


def test_source_inputs_of_what_has_no_history():
    symbol = KerasTensor((2,))
    assert utils.get_source_inputs(symbol) is symbol
    assert utils.get_source_inputs(3) == 3
    assert utils.is_keras_tensor(symbol)
    assert not utils.is_keras_tensor(np.ones(2))


def public(module):
    return {name for name in dir(module) if not name.startswith("_")}


def test_the_names_are_those_of_keras():
    later = {"FeatureSpace", "model_to_dot", "plot_model"}
    assert set(utils.__all__) | later == public(real.utils) | later
    assert set(utils.bounding_boxes.__all__) == public(real.utils.bounding_boxes)
    assert set(preprocessing.__all__) == public(real.preprocessing)
    assert set(preprocessing.image.__all__) == public(real.preprocessing.image)
    assert set(preprocessing.sequence.__all__) == public(real.preprocessing.sequence)
    assert {"serialize_keras_object", "deserialize_keras_object"} <= public(utils.legacy)

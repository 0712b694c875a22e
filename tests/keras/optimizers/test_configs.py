"""Names, signatures, config dictionaries and serialized forms equal those of real Keras."""

import copy
import inspect
import pickle

import pytest
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError
from thalweg.keras import naming, optimizers
from thalweg.keras.variable import Variable

# Real Keras' variables with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = [name for name in dir(real.optimizers) if isinstance(getattr(real.optimizers, name), type)]
PLAIN = [
    name
    for name in NAMES
    if name not in ("Optimizer", "OptimizerMap", "LossScaleOptimizer", "MultiOptimizer")
]
CHANGED = {
    "learning_rate": 0.25,
    "weight_decay": 0.5,
    "clipnorm": 2.0,
    "use_ema": True,
    "ema_momentum": 0.5,
    "ema_overwrite_frequency": 7,
    "loss_scale_factor": 4.0,
    "gradient_accumulation_steps": 3,
    "name": "mine",
}


def test_public_names():
    for namespace in ("", ".schedules", ".legacy"):
        theirs, ours = real.optimizers, optimizers
        for part in filter(None, namespace.split(".")):
            theirs, ours = getattr(theirs, part), getattr(ours, part)
        wanted = [name for name in dir(theirs) if not name.startswith("_")]
        assert [name for name in wanted if not hasattr(ours, name)] == []


def arguments_of(function):
    return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    ours, theirs = getattr(optimizers, name), getattr(real.optimizers, name)
    assert arguments_of(ours) == arguments_of(theirs)
    for member in dir(theirs):
        if not member.startswith("_"):
            wanted = getattr(theirs, member)
            assert hasattr(ours, member), member
            if callable(wanted):
                assert arguments_of(getattr(ours, member)) == arguments_of(wanted), member


@pytest.mark.parametrize("changed", [{"name": "plain"}, CHANGED], ids=["defaults", "changed"])
@pytest.mark.parametrize("name", PLAIN)
def test_config(name, changed):
    ours = getattr(optimizers, name)(**changed)
    theirs = getattr(real.optimizers, name)(**changed)
    assert ours.get_config() == theirs.get_config()
    assert list(ours.get_config()) == list(theirs.get_config())
    written = optimizers.serialize(ours)
    assert written == real.optimizers.serialize(theirs)
    before = repr(written)
    again = optimizers.deserialize(written)
    assert repr(written) == before
    assert type(again) is type(ours)
    assert again.get_config() == ours.get_config()
    again = pickle.loads(pickle.dumps(ours))
    assert again.get_config() == ours.get_config()
    # What real Keras wrote is read, and the other way round; it changes what it is given.
    assert optimizers.get(real.optimizers.serialize(theirs)).get_config() == theirs.get_config()
    copied = real.saving.deserialize_keras_object(copy.deepcopy(written))
    assert copied.get_config() == ours.get_config()


def wrapped(module):
    inner = module.SGD(
        module.schedules.CosineDecay(0.1, 10), momentum=0.5, name="inner", nesterov=True
    )
    chosen = module.OptimizerMap(
        module.Adam(name="rest"), {".*kernel": module.Lion(name="kernels"), "bias": inner}
    )
    return module.LossScaleOptimizer(
        module.MultiOptimizer(chosen, name="several"), 64.0, 5, name="scaled"
    )


def test_config_of_wrappers():
    ours, theirs = wrapped(optimizers), wrapped(real.optimizers)
    written = optimizers.serialize(ours)
    assert written == real.optimizers.serialize(theirs)
    assert optimizers.serialize(optimizers.deserialize(written)) == written
    copied = real.optimizers.deserialize(copy.deepcopy(written))
    assert real.optimizers.serialize(copied) == written


def test_names_are_counted():
    naming.reset_uids()
    assert [optimizers.AdamW().name for _ in range(2)] == ["adam_w", "adam_w_1"]
    assert optimizers.Adam(name="mine").variables[0].path == "mine/iteration"


def test_get():
    assert optimizers.get(None) is None
    optimizer = optimizers.SGD()
    assert optimizers.get(optimizer) is optimizer
    for name in [*PLAIN, *map(str.lower, PLAIN)]:
        assert type(optimizers.get(name)).__name__.lower() == name.lower()
    assert optimizers.get({"class_name": "rmsprop", "config": {"rho": 0.5}}).rho == 0.5


@pytest.mark.parametrize("bad", ["adm", 3, {"class_name": "Foo", "config": {}}, {}, "optimizermap"])
def test_get_refuses(bad):
    with pytest.raises(
        ValueError, match=r"Could not interpret optimizer identifier|Unknown object"
    ):
        optimizers.get(bad)


def test_get_knows_better():
    with pytest.raises(ArgumentError, match="Did you mean 'adam'"):
        optimizers.get("adm")


def test_custom_classes():
    class Adam(optimizers.SGD):
        pass

    written = {
        "module": None,
        "class_name": "Adam",
        "config": {"momentum": 0.5},
        "registered_name": "Mine>Adam",
    }
    found = optimizers.deserialize(written, custom_objects={"Mine>Adam": Adam})
    assert type(found) is Adam
    assert found.momentum == 0.5


def test_pickle_keeps_the_scalars():
    x = Variable([1.0, 2.0])
    optimizer = optimizers.Adam(0.5)
    for _ in range(3):
        optimizer.apply([tw.ones(2)], [x])
    optimizer.learning_rate = 0.25
    again = pickle.loads(pickle.dumps(optimizer))
    assert not again.built
    assert int(again.iterations) == 3
    assert float(again.learning_rate) == 0.25


def test_legacy():
    for name in ("Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD"):
        with pytest.raises(ImportError, match="not supported in Keras 3"):
            getattr(optimizers.legacy, name)(learning_rate=0.1)

"""The list that calls callbacks: order, what it leaves out, and logs that are read when needed."""

import json
import pickle

import numpy as np
import pytest

from thalweg import keras
from thalweg.base.errors import ArgumentTypeError
from thalweg.keras import callbacks, layers, ops
from thalweg.keras.callbacks.callback_list import BATCH_HOOKS, CallbackList
from thalweg.keras.callbacks.logs import Logs

X = np.arange(12, dtype="float32").reshape(6, 2)
Y = X.sum(1, keepdims=True)


def model():
    made = keras.Sequential([layers.Input((2,)), layers.Dense(1)])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


HOOKS = [name for name in vars(callbacks.Callback) if name.startswith("on_")]


class Diary(callbacks.Callback):
    """Writes down the hooks that are called, with their numbers."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def note(self, name, *given):
        numbers = [each for each in given if isinstance(each, int)]
        self.lines.append(" ".join(map(str, [name.removeprefix("on_"), *numbers])))


for each in HOOKS:
    if each not in ("on_batch_begin", "on_batch_end"):
        setattr(Diary, each, lambda self, *given, name=each: self.note(name, *given))


def test_hooks_come_in_the_order_of_the_loop():
    diary, made = Diary(), model()
    made.fit(X, Y, batch_size=3, validation_data=(X, Y), verbose=0, callbacks=[diary])
    assert diary.lines == [
        "train_begin", "epoch_begin 0",
        "train_batch_begin 0", "train_batch_end 0", "train_batch_begin 1", "train_batch_end 1",
        "test_begin", "test_batch_begin 0", "test_batch_end 0",
        "test_batch_begin 1", "test_batch_end 1", "test_end",
        "epoch_end 0", "train_end",
    ]  # fmt: skip
    diary.lines.clear()
    made.predict(X, batch_size=4, verbose=0, callbacks=[diary])
    assert diary.lines == [
        "predict_begin",
        "predict_batch_begin 0", "predict_batch_end 0",
        "predict_batch_begin 1", "predict_batch_end 1",
        "predict_end",
    ]  # fmt: skip


def test_hooks_of_batches_that_nobody_writes_are_not_called():
    class Epochs(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    found = CallbackList([Epochs(), callbacks.EarlyStopping()], add_history=True, model=model())
    assert all(found._hooks[name] == [] for name in BATCH_HOOKS)


@pytest.mark.parametrize("name", ["on_train_batch_end", "on_batch_end"])
def test_a_hook_of_batches_is_found_under_either_name(name):
    seen = []
    kind = type(
        "Mine", (callbacks.Callback,), {name: lambda self, batch, logs=None: seen.append(batch)}
    )
    model().fit(X, Y, batch_size=2, verbose=0, callbacks=[kind()])
    assert seen == [0, 1, 2]


def test_hooks_of_an_object_are_found():
    seen = []
    tell = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, logs["loss"])),
        on_test_end=lambda logs: seen.append(sorted(logs)),
        note="kept",
    )
    assert tell.note == "kept"
    model().fit(X, Y, batch_size=3, validation_data=(X, Y), verbose=0, callbacks=tell)
    assert [each[0] for each in seen] == [0, 1, "loss"]
    assert isinstance(seen[0][1], float)


def test_logs_are_numbers_for_every_hook():
    seen = {}

    class Look(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen["begin"] = logs

        def on_train_batch_begin(self, batch, logs=None):
            seen["batch begin"] = dict(logs)

        def on_train_batch_end(self, batch, logs=None):
            seen["batch"] = {**logs}

        def on_test_batch_end(self, batch, logs=None):
            seen["test batch"] = dict(logs.items())

        def on_predict_batch_end(self, batch, logs=None):
            seen["predict"] = logs["outputs"]

        def on_epoch_end(self, epoch, logs=None):
            seen["epoch"] = logs

    made = model()
    made.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[Look()])
    made.predict(X, verbose=0, callbacks=[Look()])
    assert seen["begin"] == {} and seen["batch begin"] == {}
    for key in ("batch", "test batch", "epoch"):
        assert set(seen[key]) >= {"loss", "mae"}
        assert all(type(value) is float for value in seen[key].values())
    assert isinstance(seen["predict"], np.ndarray) and seen["predict"].shape == (6, 1)


class Counted:
    """A scalar that counts how often it was looked at."""

    shape = ()

    def __init__(self):
        self.count = 0

    def __float__(self):
        self.count += 1
        return 0.5


@pytest.mark.parametrize(
    "read",
    [
        lambda logs: logs["a"],
        lambda logs: logs.get("a"),
        lambda logs: dict(logs)["a"],
        lambda logs: {**logs}["a"],
        lambda logs: {}.__ior__(logs)["a"],
        lambda logs: (logs | {"c": 1})["a"],
        lambda logs: next(iter(logs.values())),
        lambda logs: dict(logs.items())["a"],
        lambda logs: logs.copy()["a"],
        lambda logs: json.loads(json.dumps(logs))["a"],
        lambda logs: pickle.loads(pickle.dumps(logs))["a"],
        lambda logs: logs.pop("a"),
        lambda logs: float("{a}".format(**logs)),
        lambda logs: logs == {"a": 0.5, "b": 2.0} and 0.5,
        lambda logs: "'a': 0.5" in repr(logs) and 0.5,
    ],
)
def test_logs_are_read_when_somebody_looks(read):
    value = Counted()
    logs = Logs({"a": value, "b": 2.0})
    assert "a" in logs and len(logs) == 2 and list(logs) == ["a", "b"] and logs
    assert value.count == 0
    assert read(logs) == 0.5


def test_a_value_of_logs_is_read_once():
    value = Counted()
    logs = Logs({"a": value})
    assert logs["a"] == logs["a"] == logs.get("a") == 0.5
    assert logs.get("b", 3) == 3 and logs.pop("b", 4) == 4
    assert logs != {"a": 0.25}
    assert value.count == 1


def test_a_step_is_not_waited_for():
    value = ops.convert_to_tensor(1.0)
    # What callbacks do that look at epochs only, with a value nobody may look at.
    found = CallbackList([callbacks.EarlyStopping(), Look()], model=model())
    value.numpy = lambda: pytest.fail("the value was fetched")
    found.on_train_batch_end(0, {"loss": value})


class Look(callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        assert "loss" in logs


def test_a_class_in_place_of_a_callback():
    with pytest.raises(ArgumentTypeError, match=r"Make one: EarlyStopping\(\.\.\.\)"):
        model().fit(X, Y, verbose=0, callbacks=[callbacks.EarlyStopping])
    with pytest.raises(ArgumentTypeError, match="LambdaCallback"):
        model().fit(X, Y, verbose=0, callbacks=[lambda epoch, logs: None])


def test_one_callback_a_nesting_and_a_list_of_ones_own():
    made = model()
    history = callbacks.History()
    assert made.fit(X, Y, verbose=0, callbacks=history) is history
    made.fit(X, Y, verbose=0, callbacks=[[history], (callbacks.EarlyStopping("loss"),)])
    assert made.history is history and len(history.history["loss"]) == 2 and history.epoch == [0]
    own = CallbackList([], add_history=True, model=made, epochs=3, steps=None, verbose=0)
    assert own.params == {"epochs": 3, "steps": None, "verbose": 0}
    assert made.fit(X, Y, epochs=3, callbacks=own).epoch == [0, 1, 2]


def test_what_a_callback_adds_to_logs_the_next_ones_see():
    class Add(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = epoch * 10

    history = model().fit(X, Y, epochs=2, verbose=0, callbacks=[Add()])
    assert history.history["mine"] == [0, 10]


def test_training_stops_where_a_callback_says():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    made = model()
    history = made.fit(X, Y, batch_size=2, epochs=5, verbose=0, callbacks=[Stop()])
    assert history.epoch == [0] and int(made.optimizer.iterations) == 2

"""The loss that is not finite: where it is seen, and what is said about its cause."""

import warnings

import numpy as np
import pytest

import thalweg as tw
from thalweg import keras
from thalweg.base.options import options
from thalweg.keras import layers, ops
from thalweg.keras.callbacks import TerminateOnNaN
from thalweg.keras.callbacks.terminate_on_nan import NonfiniteLossError


class Log(layers.Layer):
    """The logarithm, which is NaN below zero."""

    def call(self, x):
        return ops.log(x)


def data(count=8):
    random = np.random.default_rng(0)
    x = random.normal(size=(count, 3)).astype("float32")
    return x, np.ones((count, 1), "float32")


def sequential(*middle, optimizer="sgd", loss="mse", **settings):
    model = keras.Sequential(
        [layers.Input((3,)), *middle, layers.Dense(1, name="last")], name="net"
    )
    model.compile(optimizer, loss, **settings)
    return model


def error(model, x, y, **settings):
    settings = {"batch_size": 4, "shuffle": False, "verbose": 0, **settings}
    with pytest.raises(NonfiniteLossError) as found:
        model.fit(x, y, callbacks=[TerminateOnNaN(raise_error=True)], **settings)
    assert isinstance(found.value, RuntimeError)
    return str(found.value)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_layer_and_the_op_are_named(eager, steps):
    model = sequential(
        layers.Dense(4, name="first"), Log(name="logarithm"), run_eagerly=eager,
        steps_per_execution=steps,
    )  # fmt: skip
    text = error(model, *data())
    last = 0 if steps == 1 else 1
    assert f"NaN or Inf loss encountered at batch {last} of epoch 1: nan" in text
    assert "[log] wants a finite result." in text
    assert "All its operands are finite: it begins here." in text
    assert "test_terminate_on_nan.py" in text
    assert "in layer net/logarithm" in text or "in layer logarithm" in text


def test_the_batch_and_the_epoch_where_it_happens():
    class Late(layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.count.assign_add(1)
            return ops.where(self.count > 5.5, ops.sqrt(-1 - x * x), x)

    text = error(sequential(Late(name="late")), *data(), epochs=9)
    assert "at batch 1 of epoch 3" in text
    assert "[sqrt]" in text and "late" in text


def test_a_loss_that_overflows():
    text = error(sequential(layers.Dense(4), optimizer=keras.optimizers.SGD(1e25)), *data())
    assert "at batch 1 of epoch 1" in text
    assert "It begins here" in text or "It was not finite before" in text


def test_a_loss_of_ones_own():
    model = sequential(loss=lambda y, p: ops.mean(ops.log(p * 0)))
    assert "[log] wants a finite result" in error(model, *data())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_not_finite(value):
    what = "NaN" if np.isnan(value) else "an infinity"
    x, y = data()
    x[5, 2] = value
    assert f"The data are not finite: input has {what} at [1, 2]" in error(sequential(), x, y)
    x, y = data()
    y[2, 0] = value
    assert f"target has {what} at [2, 0]" in error(sequential(), x, y)
    x, y = data()
    weight = np.ones(8, "float32")
    weight[4] = value
    text = error(sequential(), x, y, sample_weight=weight)
    assert f"sample weight has {what} at [0]" in text


def test_data_in_a_nest_are_named_by_their_keys():
    one, other = layers.Input((3,), name="one"), layers.Input((3,), name="other")
    model = keras.Model({"one": one, "other": other}, layers.Dense(1)(one + other))
    model.compile("sgd", "mse")
    x, y = data()
    bad = x.copy()
    bad[0, 1] = np.nan
    assert "input['other'] has NaN at [0, 1]" in error(model, {"one": x, "other": bad}, y)


def test_weights_that_were_not_finite():
    model = sequential()
    model.set_weights([np.array([[1.0], [np.nan], [1.0]]), np.zeros(1)])
    text = error(model, *data())
    assert "It was not finite before this step: net/last/kernel has NaN at [1, 0]" in text


def test_training_ends_in_order_by_default(capsys):
    model = sequential(Log(name="logarithm"))
    ended = []
    note = keras.callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(1))
    history = model.fit(
        *data(), batch_size=4, epochs=5, verbose=0, callbacks=[TerminateOnNaN(), note]
    )
    assert history.epoch == [0] and np.isnan(history.history["loss"][0]) and ended == [1]
    text = capsys.readouterr().out
    assert text.startswith("Batch 0 of epoch 1: Invalid loss nan, terminating training. It begins")
    assert "[log]" in text


def test_looking_for_the_cause_leaves_everything_as_it_was():
    model = sequential(layers.Dropout(0.5, seed=1), Log())
    before = options()
    error(model, *data())
    assert options() is before or options() == before
    kept = [variable.numpy() for variable in model.variables]
    iterations = int(model.optimizer.iterations)
    again = sequential(layers.Dropout(0.5, seed=1), Log())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again.fit(data()[0][:4], data()[1][:4], shuffle=False, verbose=0)
    assert iterations == 1 == int(again.optimizer.iterations)
    seeds = [v.numpy() for v in again.variables if "seed" in v.path]
    mine = [k for k, v in zip(kept, model.variables, strict=True) if "seed" in v.path]
    np.testing.assert_array_equal(mine, seeds)


def test_a_good_run_is_not_stopped():
    model = sequential(layers.Dense(2))
    history = model.fit(
        *data(), epochs=3, verbose=0, callbacks=[TerminateOnNaN(), TerminateOnNaN(raise_error=True)]
    )
    assert history.epoch == [0, 1, 2]


def test_hooks_called_by_hand():
    callback = TerminateOnNaN(raise_error=True)
    callback.set_model(sequential())
    callback.on_train_batch_end(0, {"loss": 1.0})
    callback.on_train_batch_end(0, {"accuracy": np.nan})
    callback.on_batch_end(0)
    with pytest.raises(RuntimeError, match="batch 3 of epoch 1: inf"):
        callback.on_train_batch_end(3, {"loss": float("inf")})


class Game(keras.Model):
    """Two networks with an optimizer each, trained by a step of their own on four inputs."""

    def __init__(self):
        super().__init__(name="game")
        self.one, self.two = layers.Dense(1, name="one"), layers.Dense(1, name="two")
        self.optimizers = {
            "one": keras.optimizers.Adam(),
            "two": keras.optimizers.SGD(momentum=0.9),
        }
        self.tracker = keras.metrics.Mean(name="loss")

    def build(self, shape):
        self.one.build((None, 3))
        self.two.build((None, 3))
        self.optimizers["one"].build(self.one.trainable_variables)
        self.optimizers["two"].build(self.two.trainable_variables)

    def call(self, x):
        return self.two(x)

    def train_step(self, data):
        a, b, c, d = data
        with tw.GradientTape() as tape:
            loss = ops.mean((self.one(a) + b) ** 2)
        own = self.one.trainable_variables
        self.optimizers["one"].apply(tape.gradient(loss, own), own)
        with tw.GradientTape() as tape:
            loss = loss + ops.mean(ops.log(ops.abs(self.two(c)) * 0 - d))
        own = self.two.trainable_variables
        self.optimizers["two"].apply(tape.gradient(loss, own), own)
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


def test_a_step_of_ones_own_with_two_optimizers(capsys):
    x = data()[0]
    d = np.ones((8, 1), "float32")
    batches = [(x[:4], d[:4], x[:4], -d[:4]), (x[4:], d[4:], x[4:], d[4:])]
    model = Game()
    model.build((None, 3))
    model.compile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(iter(batches), verbose=0, callbacks=[TerminateOnNaN()])
    text = capsys.readouterr().out
    assert "Batch 1 of epoch 1" in text and "[log]" in text
    for optimizer in model.optimizers.values():
        assert int(optimizer.iterations) == 2
        # The poisoned values of the step that was run once more are gone.
        assert all(variable.numpy() is not None for variable in optimizer.variables)
    bad = x.copy()
    bad[2] = np.inf
    model = Game()
    model.build((None, 3))
    model.compile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(iter([(x[:4], d[:4], bad[:4], -d[:4])]), verbose=0, callbacks=[TerminateOnNaN()])
    assert "data[2] has an infinity at [2, 0]" in capsys.readouterr().out

"""Ctrl-C during `fit`: the model can be used, and what was learnt so far is kept."""

import os
import signal
import threading

import numpy as np
import pytest

from thalweg import keras
from thalweg.keras import callbacks, layers

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 4)).astype("float32")
Y = X[:, :1] * 2

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to itself")


def model():
    made = keras.Sequential(
        [layers.Input((4,)), layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.1),
         layers.Dense(1)]
    )  # fmt: skip
    made.compile(keras.optimizers.Adam(use_ema=True), "mse", metrics=["mae"])
    return made


def usable(made):
    found = made.predict(X, verbose=0)
    assert found.shape == (64, 1) and np.isfinite(found).all()
    assert np.isfinite(made.evaluate(X, Y, verbose=0)).all()
    history = made.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    assert history.epoch == [0, 1]


def press_at(epoch, batch):
    """Press Ctrl-C at the end of a batch."""
    place = [0]

    def begin(number, logs):
        place[0] = number

    def end(number, logs):
        if (place[0], number) == (epoch, batch):
            os.kill(os.getpid(), signal.SIGINT)

    return callbacks.LambdaCallback(on_epoch_begin=begin, on_train_batch_end=end)


@pytest.mark.parametrize("place", [(0, 0), (2, 1), (2, 3)])
@pytest.mark.parametrize("settings", [{}, {"validation_data": (X, Y)}], ids=["", "validation"])
def test_between_two_batches(place, settings, tmp_path):
    made = model()
    given = [callbacks.SwapEMAWeights(), callbacks.TensorBoard(tmp_path), press_at(*place)]
    with pytest.raises(KeyboardInterrupt):
        made.fit(X, Y, batch_size=16, epochs=9, verbose=0, callbacks=given, **settings)
    epoch, batch = place
    assert made.history.epoch == list(range(epoch))
    assert len(made.history.history.get("loss", [])) == epoch
    assert int(made.optimizer.iterations) == epoch * 4 + batch + 1
    usable(made)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.3])
def test_at_any_moment(seconds):
    made = model()
    made.fit(X, Y, batch_size=16, verbose=0)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            made.fit(X, Y, batch_size=16, epochs=10**6, verbose=0)
    finally:
        timer.cancel()
    history = made.history
    assert len(history.history.get("loss", [])) == len(history.epoch)
    usable(made)


def test_while_averages_stand_in_the_place_of_weights():
    made = model()
    swap = callbacks.SwapEMAWeights()
    press = callbacks.LambdaCallback(on_test_begin=lambda logs: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        made.fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[swap, press])
    averages = made.get_weights()[0]
    weights = swap._weights[0].numpy()
    assert not np.array_equal(averages, weights)
    swap.on_train_begin()
    np.testing.assert_array_equal(made.get_weights()[0], weights)
    usable(made)


def test_in_a_generator():
    def batches():
        for number in range(10):
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
            yield X[:16], Y[:16]

    made = model()
    with pytest.raises(KeyboardInterrupt):
        made.fit(batches(), verbose=0)
    assert int(made.optimizer.iterations) in (2, 3)
    usable(made)

"""Steps of training that meet batches of several sizes."""

import numpy as np

from thalweg import keras


def steps(*lengths):
    for length in lengths:
        yield np.ones((2, length, 2), "float32"), np.zeros((2, length // 4, 8), "float32")


def test_a_size_that_a_step_needs_as_a_number_may_change():
    model = keras.Sequential([keras.layers.Reshape((-1, 8)), keras.layers.Dense(8)])
    model.compile("sgd", "mse")
    lengths = (12, 20, 12, 24)
    history = model.fit(steps(*lengths), steps_per_epoch=4, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict(np.ones((2, 8, 2), "float32"), verbose=0).shape == (2, 2, 8)

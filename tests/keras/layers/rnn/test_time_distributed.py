"""TimeDistributed: the same layer on each step, at once where that is the same."""

from typing import Any

import numpy as np
import pytest
from tests.keras.layers.beside import Beside, Case, booleans, close, numbers

import thalweg as tw
from thalweg import keras
from thalweg.keras import layers, ops
from thalweg.keras.layers.rnn.time_distributed import is_samplewise

IMAGES = numbers(2, 3, 6, 6, 2)
ZEROS = {"kernel_initializer": "zeros"}


def case(name: str, make: Any, inputs: Any, **call: Any) -> Case:
    return Case(
        name, lambda package: package.TimeDistributed(make(package), name="each"), (inputs,), call
    )


CASES = [
    case(
        "dense",
        lambda package: package.Dense(4, **ZEROS, activation="tanh", name="own"),
        numbers(2, 5, 3),
    ),
    case("convolution", lambda package: package.Conv2D(3, 3, **ZEROS, name="own"), IMAGES),
    case("flatten", lambda package: package.Flatten(name="own"), IMAGES),
    case("norm", lambda package: package.LayerNormalization(name="own"), numbers(2, 5, 3)),
    case(
        "recurrent",
        lambda package: package.GRU(4, **ZEROS, recurrent_initializer="zeros", name="own"),
        numbers(2, 3, 4, 2),
    ),
]
BESIDE = Beside(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_beside_keras(case: Case) -> None:
    BESIDE.check(case)


class BatchMean(layers.Layer):
    """A layer that mixes the samples of its batch."""

    def call(self, inputs: Any) -> Any:
        return inputs - ops.mean(inputs, axis=0, keepdims=True)


class Masked(layers.Layer):
    """A layer that takes masks."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return inputs * ops.expand_dims(ops.cast(mask, inputs.dtype), -1)


@pytest.mark.parametrize("steps", [3, 11])
def test_other_layers_are_called_step_by_step(steps: int) -> None:
    x = numbers(4, steps, 3)
    found = layers.TimeDistributed(BatchMean())(x).numpy()
    close(found, x - x.mean(axis=0, keepdims=True))
    mask = numbers(4, steps, seed=1) > 0
    found = layers.TimeDistributed(Masked())(x, mask=mask).numpy()
    close(found, np.where(mask[:, :, None], x, 0))


@pytest.mark.parametrize("steps", [3, 11])
def test_state_goes_from_step_to_step(steps: int) -> None:
    """Batch normalisation moves its averages at each step, as in real Keras."""
    x = numbers(8, steps, 3)
    layer = layers.TimeDistributed(layers.BatchNormalization(momentum=0.5))
    layer(x, training=True)
    mean = np.zeros(3, "float32")
    for t in range(steps):
        mean = 0.5 * mean + 0.5 * x[:, t].mean(axis=0)
    close(layer.layer.moving_mean.numpy(), mean)


@pytest.mark.parametrize("layer", [layers.Dense(4), BatchMean()], ids=["at once", "by steps"])
def test_any_batch_and_length(layer: Any) -> None:
    outer = layers.TimeDistributed(layer)
    assert outer(layers.Input((None, 3))).shape[:2] == (None, None)
    run = tw.function(lambda x: outer(x))
    for batch, steps in ((2, 5), (3, 9), (1, 12)):
        x = numbers(batch, steps, 3)
        close(run(x).numpy(), outer(x).numpy())


def test_what_treats_samples_by_themselves() -> None:
    yes = [
        layers.Dense(3), layers.Conv2D(3, 3), layers.MaxPooling2D(), layers.Dropout(0.5),
        layers.LayerNormalization(), layers.ReLU(), layers.LSTM(4), layers.Softmax(axis=-1),
        layers.Bidirectional(layers.GRU(3)),
    ]  # fmt: skip
    no = [
        layers.BatchNormalization(), BatchMean(), layers.Dropout(0.5, noise_shape=(1, None)),
        layers.LSTM(4, stateful=True), layers.Softmax(axis=-2), layers.Lambda(lambda x: x),
        layers.Bidirectional(layers.GRU(3, stateful=True)),
        layers.RNN([layers.GRUCell(2), _OwnCell(2)]), layers.LayerNormalization(axis=0),
    ]  # fmt: skip
    assert [is_samplewise(each, 2) for each in yes] == [True] * len(yes)
    assert [is_samplewise(each, 2) for each in no] == [False] * len(no)


class _OwnCell(layers.SimpleRNNCell):
    pass


def test_models_do_if_all_within_them_do() -> None:
    inputs = layers.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, activation="relu")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    assert is_samplewise(model, 4)
    assert is_samplewise(keras.Sequential([layers.Dense(3), layers.Dense(2)]), 2)
    assert not is_samplewise(keras.Sequential([layers.Dense(3), layers.BatchNormalization()]), 2)
    mixed = keras.Model(inputs, inputs - ops.mean(inputs, axis=0, keepdims=True))
    assert not is_samplewise(mixed, 4)
    x = numbers(2, 11, 6, 6, 2)
    for each in (model, mixed):
        found = layers.TimeDistributed(each)(x).numpy()
        close(found, np.stack([each(x[:, t]).numpy() for t in range(11)], axis=1))


def test_dropout_draws_for_each_step() -> None:
    layer = layers.TimeDistributed(layers.Dropout(0.5, seed=1))
    found = layer(np.ones((4, 12, 50), "float32"), training=True).numpy()
    assert len(np.unique(found.reshape(48, 50), axis=0)) == 48


@pytest.mark.parametrize(
    ("shape", "mask", "message"),
    [
        ((2, 5, 3), np.ones((2, 6), bool), "The `mask` passed to the `TimeDistributed` layer"),
        ((2, 5, 3), np.ones((3, 5), bool), "The `mask` passed to the `TimeDistributed` layer"),
        ((2, 5, 3), np.ones((2,), bool), "The `mask` passed to the `TimeDistributed` layer"),
        ((2, 5), None, "at least 3 dimensions"),
    ],
)
def test_refusals(shape: tuple, mask: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layers.TimeDistributed(layers.Dense(2))(np.zeros(shape, "float32"), mask=mask)


def test_masks_pass_through() -> None:
    ids = booleans("110", "100").astype("int32")
    embedded = layers.Embedding(3, 4, mask_zero=True)(ids)
    found = layers.TimeDistributed(layers.Dense(2))(embedded)
    np.testing.assert_array_equal(found._keras_mask.numpy(), ids > 0)
    with pytest.raises(ValueError, match="`TimeDistributed` layer with"):
        layers.TimeDistributed(lambda x: x)

"""ConvLSTM1D, 2D and 3D against real Keras, and what they refuse."""

from typing import Any

import numpy as np
import pytest
from tests.keras.layers.beside import Beside, Case, booleans, close, numbers

from thalweg import keras
from thalweg.keras.layers.rnn.conv_lstm import ConvLSTMCell

ZEROS = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
IMAGES = numbers(2, 3, 5, 5, 2)
MASK = booleans("101", "011")


def case(name: str, rank: int, inputs: Any, call: Any = None, **settings: Any) -> Case:
    def make(layers: Any) -> Any:
        kind = getattr(layers, f"ConvLSTM{rank}D")
        return kind(2, 3, **ZEROS, **settings, name="layer")

    return Case(name, make, (inputs,), call or {})


CASES = [
    case("lines", 1, numbers(2, 4, 6, 3), return_sequences=True, return_state=True),
    case("images", 2, IMAGES),
    case("same size", 2, IMAGES, padding="same", return_sequences=True),
    case("strides", 2, IMAGES, strides=2, padding="same", go_backwards=True),
    case("dilated", 2, IMAGES, dilation_rate=2, use_bias=False, return_state=True),
    case("channels first", 2, np.moveaxis(IMAGES, -1, 2), data_format="channels_first"),
    case(
        "channels first, all", 1, numbers(2, 4, 3, 6), data_format="channels_first",
        padding="same", return_sequences=True, unit_forget_bias=False,
    ),
    case("volumes", 3, numbers(1, 2, 3, 4, 3, 2), padding="same", return_sequences=True),
    case(
        "started", 2, IMAGES, padding="same",
        call={"initial_state": [numbers(2, 5, 5, 2, seed=i) for i in (1, 2)]},
    ),
]  # fmt: skip
BESIDE = Beside(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_beside_keras(case: Case) -> None:
    BESIDE.check(case)


def test_a_long_sequence_is_a_loop_of_the_same_steps() -> None:
    x = numbers(2, 11, 4, 4, 2)
    layer = keras.layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)
    found = layer(x).numpy()
    states = layer.get_initial_state(2)
    for t in range(11):
        y, states = layer.cell(x[:, t], states)
        close(found[:, t], y.numpy())


def test_masked_steps_keep_images() -> None:
    """Real Keras cannot mask images: its mask does not stretch to them."""
    layer = keras.layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True)
    found = layer(IMAGES, mask=MASK).numpy()
    alone = layer(IMAGES[:1, [0, 2]]).numpy()
    close(found[:1, [0, 2]], alone)
    close(found[0, 1], found[0, 0])
    assert not found[1, 0].any()


def test_dropout_of_each_gate_is_one_for_all_steps() -> None:
    layer = keras.layers.ConvLSTM2D(2, 3, dropout=0.5, recurrent_dropout=0.5, seed=3)
    plain = keras.layers.ConvLSTM2D(2, 3)
    x = np.ones((2, 4, 6, 6, 1), "float32")
    first = layer(x, training=True).numpy()
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    close(layer(x).numpy(), plain(x).numpy())
    assert np.abs(first - layer(x).numpy()).max() > 1e-3


def test_the_cell_is_as_in_keras() -> None:
    """Sums that real Keras' own cell gives for these numbers."""
    x = np.arange(150).reshape(2, 5, 5, 3).astype("float32") / 10
    h = np.arange(200).reshape(2, 5, 5, 4).astype("float32") / 10
    constants = [keras.initializers.Constant(value) for value in (0.01, 0.02)]
    cell = ConvLSTMCell(
        rank=2, filters=4, kernel_size=3, padding="same",
        kernel_initializer=constants[0], recurrent_initializer=constants[1],
    )  # fmt: skip
    y, (new_h, c) = cell(x, [h, h])
    sums = [float(each.numpy().sum()) for each in (y, new_h, c)]
    np.testing.assert_allclose(sums, [188.89502, 188.89502, 2170.444], rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strides": 2, "dilation_rate": 2}, "`strides > 1` is not compatible"),
        ({"padding": "causal"}, "padding"),
        ({"data_format": "channels_middle"}, "data_format"),
        ({"kernel_size": (3, 3, 3)}, "tuple of 2 integers"),
        ({"filters": 0}, "filters above 0"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keras.layers.ConvLSTM2D(**{"filters": 2, "kernel_size": 3, **settings})


def test_sizes_of_images_must_be_known() -> None:
    with pytest.raises(ValueError, match="static input shapes"):
        keras.layers.ConvLSTM2D(2, 3)(keras.layers.Input((4, None, 5, 1)))
    with pytest.raises(ValueError, match="Rank 4"):
        ConvLSTMCell(4, 2, 3)

"""Recurrent layers take what real Keras' take."""

import pytest
from tests.keras.layers.beside import check_signatures

NAMES = (
    "RNN", "StackedRNNCells", "SimpleRNN", "SimpleRNNCell", "LSTM", "LSTMCell", "GRU", "GRUCell",
    "Bidirectional", "TimeDistributed", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    check_signatures(name)

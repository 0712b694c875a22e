"""Attention layers take what real Keras' take."""

import pytest
from tests.keras.layers.beside import check_signatures

NAMES = ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention")


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str) -> None:
    check_signatures(name)

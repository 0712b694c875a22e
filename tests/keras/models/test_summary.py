"""model.summary(): a table, with what real Keras' table says."""

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.contract import quiet
from tests.keras.models.test_functional import fresh, line, masked, nested, residual, shared
from tests.keras.oracle import keras as real

from thalweg import keras
from thalweg.base.errors import ArgumentError
from thalweg.keras.models.summary import bytes_text


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real Keras' table is cut off at the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "200")


DRAWN = pytest.mark.parametrize(
    "draw", [line, shared, nested, residual, masked], ids=lambda draw: draw.__name__
)


def summary(model: Any, **settings: Any) -> str:
    found = io.StringIO()
    with quiet():
        model.summary(line_length=120, print_fn=lambda text, **_: found.write(text), **settings)
    return found.getvalue()


def content(text: str) -> list[str]:
    """What a table says: its words, without rules, spaces and what real Keras shortens."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    plain = re.sub(r"[─━┃│┏┓┗┛┡┩└┘├┤┬┴┼╇┳┻╋]", " ", plain)
    return plain.split()


@DRAWN
def test_text(draw: Callable, golden: Callable[[str, str], None]) -> None:
    golden(f"summary_{draw.__name__}", summary(fresh(keras, draw)))


@pytest.mark.parametrize(
    "settings", [{}, {"show_trainable": True}, {"expand_nested": True}], ids=lambda x: "".join(x)
)
@DRAWN
def test_it_says_what_real_keras_says(draw: Callable, settings: dict) -> None:
    ours, theirs = (summary(fresh(package, draw), **settings) for package in (keras, real))
    assert sorted(content(ours)) == sorted(content(theirs))


def forked(package: Any) -> Any:
    class Fork(package.layers.Layer):
        def __init__(self, fork: Callable, **settings: Any):
            super().__init__(**settings)
            self.dense, self.fork = package.layers.Dense(10), fork

        def call(self, x: Any) -> Any:
            return self.fork(self.dense(x))

        def compute_output_shape(self, input_shape: Any) -> Any:
            return self.fork(self.dense.compute_output_shape(input_shape))

    class Forked(package.Model):
        def __init__(self) -> None:
            super().__init__(name="forked")
            self.one = Fork(lambda y: {"a": y}, name="one")
            self.two = Fork(lambda y: [y, y], name="two")

        def call(self, x: Any) -> Any:
            return self.one(x), self.two(x)

    model = Forked()
    with quiet():
        model(np.zeros((1, 16), "float32"))
    return model


def test_nested_outputs_of_a_model_of_a_class() -> None:
    ours, theirs = (content(summary(forked(package))) for package in (keras, real))
    assert sorted(ours) == sorted(theirs)
    assert "[(1," in ours


def test_a_range_of_layers(golden: Callable[[str, str], None]) -> None:
    model = fresh(keras, residual)
    golden("summary_range", summary(model, layer_range=["bn", "plus"]))
    with pytest.raises(ArgumentError, match="do not match"):
        summary(model, layer_range=["bn", "nothing"])
    with pytest.raises(ArgumentError, match="two strings"):
        summary(model, layer_range=["bn"])


def test_unbuilt_models_say_so() -> None:
    text = summary(keras.Sequential([keras.layers.Dense(2, name="d")], name="s"))
    assert "unbuilt" in text and "?" in text and "Total params: 0" in text


def test_bytes_in_the_unit_that_reads_best() -> None:
    assert [bytes_text(x) for x in (0, 1023, 1024, 6_270, 3 * 2**20)] == [
        "0.00 B", "1023.00 B", "1.00 KB", "6.12 KB", "3.00 MB",
    ]  # fmt: skip

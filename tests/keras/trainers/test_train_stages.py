"""`train_stages`: the training step at every stage, for people and for tools."""

import numpy as np
import pytest

from thalweg import keras
from thalweg.base.errors import ArgumentError
from thalweg.tools import see


def test_the_training_step_can_be_read_once_it_has_run(tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="only")], name="sequential"
    )
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="Call fit or train_on_batch first"):
        model.train_stages()
    model.train_on_batch(np.ones((4, 3), "float32"), np.ones((4, 2), "float32"))
    stages = model.train_stages()
    assert list(stages)[:3] == ["trace", "expanded", "simplified"]
    assert stages["trace"].name == "train_step"
    # One line, the call above, asks for everything; the layer tells the parts apart.
    assert "test_train_stages.py" in see.report(stages["trace"])
    assert "  sequential/only\n" in see.report(stages["trace"])
    page = see.page(stages, "step", tmp_path / "step.html")
    assert "  sequential/only" in page

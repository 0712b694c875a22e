"""Bidirectional by itself: how its layers are made, states, masks, files, refusals."""

from typing import Any

import numpy as np
import pytest
from tests.keras.layers.beside import booleans, close, numbers

from thalweg.keras import layers

X = numbers(2, 12, 3)


def test_the_layers_are_made_anew() -> None:
    given = layers.LSTM(4, return_sequences=True, name="memory")
    given.build((None, None, 3))
    layer = layers.Bidirectional(given)
    assert layer.forward_layer is not given
    names = [each.name for each in (layer.forward_layer, layer.backward_layer)]
    assert names == ["forward_memory", "backward_memory"]
    assert [layer.forward_layer.go_backwards, layer.backward_layer.go_backwards] == [False, True]
    again = layers.Bidirectional.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_outputs_stand_where_their_inputs_stand() -> None:
    layer = layers.Bidirectional(layers.GRU(4, return_sequences=True))
    found = layer(X).numpy()
    forward, backward = layer.forward_layer, layer.backward_layer
    close(found[..., :4], forward(X).numpy())
    close(found[..., 4:], backward(X).numpy()[:, ::-1])


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
@pytest.mark.parametrize("steps", [5, 12])
@pytest.mark.parametrize("turned", [False, True])
def test_one_loop_for_both_gives_the_same_as_two(kind: Any, steps: int, turned: bool) -> None:
    settings = {"return_sequences": True, "return_state": True, "go_backwards": turned}
    made = {
        name: layers.Bidirectional(
            kind(4, **settings, use_cudnn=name),
            backward_layer=kind(4, **{**settings, "go_backwards": not turned}),
        )
        for name in ("auto", False)
    }
    x = X[:, :steps]
    for each in made.values():
        each.build(x.shape)
    together, apart = made.values()
    assert together._fits(kind, None, None)
    assert not apart._fits(kind, None, None)
    together.set_weights(apart.get_weights())
    count = 4 if kind is layers.LSTM else 2
    start = [numbers(2, 4, seed=place) for place in range(count)]
    for given in (None, start):
        pairs = zip(together(x, initial_state=given), apart(x, initial_state=given), strict=True)
        for a, b in pairs:
            close(a.numpy(), b.numpy())


def test_layers_that_do_more_do_not_share_a_loop() -> None:
    class Own(layers.LSTM):
        def call(self, *args: Any, **kwargs: Any) -> Any:
            return super().call(*args, **kwargs)

    for given, backward in (
        (Own(4), Own(4, go_backwards=True)),
        (layers.LSTM(4, activity_regularizer="l2"), None),
        (layers.LSTM(4, recurrent_dropout=0.1), None),
        (layers.LSTM(4), layers.LSTM(4, go_backwards=True, activation="relu")),
        (layers.LSTM(4), layers.GRU(4, go_backwards=True)),
        (layers.LSTM(4, dtype="float16"), None),
    ):
        layer = layers.Bidirectional(given, backward_layer=backward)
        layer.build(X.shape)
        assert not layer._can_attempt_fused_lstm(None)
    before = layers.Bidirectional(layers.GRU(4, reset_after=False))
    before.build(X.shape)
    assert not before._can_attempt_fused_gru(None)


def test_a_masked_step_gives_zeros_both_ways() -> None:
    mask = booleans("111011110110", "001111111110")
    layer = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum")
    found = layer(X, mask=mask).numpy()
    assert not found[~mask].any()
    assert found[mask].any(axis=-1).all()


def test_states_are_kept_both_ways() -> None:
    layer = layers.Bidirectional(layers.LSTM(4, stateful=True))
    first = layer(X).numpy()
    assert len(layer.states) == 4
    assert np.abs(layer(X).numpy() - first).max() > 1e-3
    layer.reset_state()
    close(layer(X).numpy(), first)
    plain = layers.Bidirectional(layers.LSTM(4))
    assert plain.states is None
    with pytest.raises(AttributeError, match="stateful"):
        plain.reset_states()


def test_weights_may_be_given() -> None:
    source = layers.Bidirectional(layers.GRU(4))
    wanted = source(X).numpy()
    layer = layers.Bidirectional(layers.GRU(4), weights=source.get_weights())
    close(layer(X).numpy(), wanted)


@pytest.mark.parametrize("mode", ["concat", "sum", None])
def test_masks_of_results(mode: str | None) -> None:
    mask = np.ones((2, 12), bool)
    for settings, count in (({}, 1), ({"return_state": True}, 5)):
        made = layers.LSTM(4, return_sequences=True, **settings)
        layer = layers.Bidirectional(made, merge_mode=mode)
        outputs = layer(X, mask=mask)
        leaves = list(outputs) if isinstance(outputs, tuple) else [outputs]
        masked = [getattr(each, "_keras_mask", None) is not None for each in leaves]
        width = 1 if mode else 2
        assert masked == [True] * width + [False] * (count - 1)
        shapes = layer.compute_output_shape((2, 12, 3))
        assert [each.shape for each in leaves] == (
            [shapes] if isinstance(shapes[0], int) else list(shapes)
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Bidirectional(3), "`keras.layers.Layer` instance"),
        (lambda: layers.Bidirectional(layers.Dense(3)), "go_backwards"),
        (lambda: layers.Bidirectional(layers.GRU(3), merge_mode="max"), "Invalid merge mode"),
        (
            lambda: layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3)),
            "different `go_backwards` value",
        ),
        (
            lambda: layers.Bidirectional(
                layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True, return_state=True)
            ),
            '"return_state"',
        ),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()

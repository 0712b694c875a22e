"""Recurrent layers by themselves: states between batches, starts, dropout, cells of one's own."""

from typing import Any

import numpy as np
import pytest
from tests.keras.layers.beside import booleans, close, numbers

import thalweg as tw
from thalweg import keras
from thalweg.keras import layers, ops

KINDS = [layers.SimpleRNN, layers.LSTM, layers.GRU]
X = numbers(2, 5, 3)


def copy_of(layer: Any, **changed: Any) -> Any:
    """A layer of the same settings, but for those changed, and the same weights."""
    found = type(layer).from_config({**layer.get_config(), **changed})
    found.build((None, None, 3))
    found.set_weights(layer.get_weights())
    return found


# States between batches ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_stateful_layer_goes_on_where_it_stopped(kind: Any) -> None:
    x = numbers(2, 20, 3)
    layer = kind(4, stateful=True)
    parts = [layer(x[:, i : i + 5]).numpy() for i in range(0, 20, 5)]
    whole = copy_of(layer, stateful=False)(x).numpy()
    close(parts[-1], whole)
    layer.reset_state()
    close(layer(x[:, :5]).numpy(), parts[0])
    layer.reset_states()
    assert not any(state.numpy().any() for state in keras.tree.flatten(layer.states))


def test_states_are_no_weights() -> None:
    layer = layers.LSTM(4, stateful=True)
    layer(X)
    assert [state.path for state in layer.states] == [f"{layer.name}/rnn_state"] * 2
    assert len(layer.weights) == 3
    assert len(layer.variables) == 4  # with the seed generator


def test_a_traced_stateful_layer_keeps_its_states() -> None:
    layer = layers.GRU(4, stateful=True)
    layer.build((2, 5, 3))
    twin = copy_of(layer, stateful=False)
    step = tw.function(lambda x: layer(x))
    x = numbers(2, 10, 3)
    step(x[:, :5])
    close(step(x[:, 5:]).numpy(), twin(x).numpy())


def test_a_stateful_layer_has_one_batch_size() -> None:
    with pytest.raises(ValueError, match="batch size must be static"):
        layers.LSTM(4, stateful=True)(layers.Input((5, 3)))
    layer = layers.LSTM(4, stateful=True)
    layer(X)
    with pytest.raises(ValueError, match="batch size"):
        layer(numbers(3, 5, 3))


def test_stacked_states_are_kept_and_reset() -> None:
    layer = layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], stateful=True)
    first = layer(X).numpy()
    assert np.abs(layer(X).numpy() - first).max() > 1e-4
    layer.reset_state()
    close(layer(X).numpy(), first)


# Starts and symbols -------------------------------------------------------------------------------


def test_states_go_from_an_encoder_to_a_decoder() -> None:
    inputs, others = layers.Input((None, 3)), layers.Input((None, 2))
    _, *states = layers.LSTM(4, return_state=True)(inputs)
    outputs = layers.LSTM(4, return_sequences=True)(others, initial_state=states)
    assert outputs.shape == (None, None, 4)
    run = keras.Function([inputs, others], outputs)
    encoder, decoder = (
        node.operation for node in (states[0]._keras_history, outputs._keras_history)
    )
    x, y = numbers(2, 6, 3), numbers(2, 4, 2)
    _, *wanted = encoder(x)
    close(run([x, y]).numpy(), decoder(y, initial_state=wanted).numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_have_the_shapes_of_results(kind: Any) -> None:
    count = 2 if kind is layers.LSTM else 1
    for settings, wanted in (
        ({}, [(None, 4)]),
        ({"return_sequences": True}, [(None, None, 4)]),
        ({"return_state": True}, [(None, 4)] * (1 + count)),
    ):
        found = keras.tree.flatten(kind(4, **settings)(layers.Input((None, 3))))
        assert [each.shape for each in found] == wanted


def test_the_batch_may_be_of_any_size() -> None:
    layer = layers.LSTM(4, return_sequences=True)
    layer.build((None, None, 3))
    traces = []

    @tw.function
    def run(x: Any) -> Any:
        traces.append(x.shape)
        return layer(x)

    for batch, steps in ((2, 5), (4, 12), (1, 3), (3, 30)):
        x = numbers(batch, steps, 3)
        close(run(x).numpy(), layer(x).numpy())
    assert len(traces) == 2


# Masks --------------------------------------------------------------------------------------------


def test_masks_come_with_inputs_and_go_with_sequences() -> None:
    ids = np.array([[1, 2, 0, 0], [3, 1, 2, 0]])
    embedded = layers.Embedding(4, 3, mask_zero=True)(ids)
    layer = layers.GRU(4, return_sequences=True)
    found = layer(embedded)
    np.testing.assert_array_equal(found._keras_mask.numpy(), ids > 0)
    close(found.numpy()[0, 3], found.numpy()[0, 1])
    last = copy_of(layer, return_sequences=False)(embedded)
    assert getattr(last, "_keras_mask", None) is None
    close(last.numpy(), found.numpy()[:, -1])


def test_masked_steps_have_no_influence() -> None:
    mask = booleans("11010", "10011")
    layer = layers.LSTM(4)
    other = np.where(mask[:, :, None], X, 100.0).astype("float32")
    close(layer(X, mask=mask).numpy(), layer(other, mask=mask).numpy())

    def loss(x: Any) -> Any:
        return ops.sum(layer(x, mask=mask))

    gradient = tw.grad(loss)(tw.asarray(X)).numpy()
    assert not gradient[~mask].any()
    assert gradient[mask].all()


# Dropout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_only_and_by_its_seed(kind: Any) -> None:
    layer, again = (
        kind(4, dropout=0.5, recurrent_dropout=0.5, seed=7, return_sequences=True) for _ in "ab"
    )
    trained = layer(X, training=True).numpy()
    assert np.abs(trained - layer(X).numpy()).max() > 1e-3
    close(layer(X).numpy(), copy_of(layer, dropout=0.0, recurrent_dropout=0.0)(X).numpy())
    again.build(X.shape)
    again.set_weights(layer.get_weights())
    close(again(X, training=True).numpy(), trained)
    assert np.abs(again(X, training=True).numpy() - trained).max() > 1e-3


@pytest.mark.parametrize("steps", [5, 12])
def test_a_dropout_mask_is_the_same_for_all_steps(steps: int) -> None:
    """A linear cell that adds up its inputs shows which of them it sees."""
    features = 30
    layer = layers.SimpleRNN(
        features, activation=None, dropout=0.5, seed=1, return_sequences=True,
        kernel_initializer="identity", recurrent_initializer="zeros",
    )  # fmt: skip
    found = layer(np.ones((2, steps, features), "float32"), training=True).numpy()
    assert set(np.unique(found)) == {0.0, 2.0}
    assert (found == found[:, :1]).all()
    assert (found[0, 0] != found[1, 0]).any()


def test_each_gate_has_a_dropout_mask_of_its_own_with_recurrent_dropout() -> None:
    plain, split = (layers.LSTM(4, dropout=0.5, recurrent_dropout=rate) for rate in (0.0, 0.5))
    for layer, count in ((plain, None), (split, 4)):
        layer.build((2, 5, 3))
        assert getattr(layer.cell, "dropout_mask_count", None) == count
        layer(X, training=True)
        # Masks are drawn anew for each call.
        assert layer.cell._dropout_mask is None
        assert layer.cell._recurrent_dropout_mask is None


def test_dropout_in_stacked_cells_and_in_traces() -> None:
    cells = [layers.LSTMCell(4, dropout=0.3, seed=1), layers.GRUCell(6, dropout=0.3, seed=2)]
    layer = layers.RNN(cells, return_sequences=True)
    layer.build((2, 12, 3))
    run = tw.function(lambda x: layer(x, training=True))
    x = numbers(2, 12, 3)
    first, second = run(x).numpy(), run(x).numpy()
    assert first.shape == (2, 12, 6)
    assert np.abs(first - second).max() > 1e-4


# Cells of one's own -------------------------------------------------------------------------------


class Mean(layers.Layer):
    """A cell that counts its steps in a weight and whose output is no state."""

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [units, 1]
        self.output_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False, name="steps")

    def call(self, inputs: Any, states: Any) -> Any:
        total, count = states
        self.steps.assign_add(1.0)
        total, count = total + ops.matmul(inputs, self.kernel), count + 1.0
        return total / count, (total, count)


@pytest.mark.parametrize("steps", [5, 12])
def test_a_cell_may_have_outputs_and_weights_of_its_own(steps: int) -> None:
    layer = layers.RNN(Mean(4), return_sequences=True, return_state=True)
    x, mask = numbers(2, steps, 3), numbers(2, steps, seed=1) > 0
    outputs, total, count = layer(x, mask=mask)
    assert float(layer.cell.steps.numpy()) == steps
    kept = np.where(mask[:, :, None], x @ layer.cell.kernel.numpy(), 0)
    counts = np.cumsum(mask, axis=1)[:, :, None]
    close(outputs.numpy(), np.cumsum(kept, axis=1) / np.maximum(counts, 1))
    close(total.numpy(), kept.sum(1))
    close(count.numpy(), counts[:, -1].astype("float32"))


def test_a_cell_may_begin_as_it_likes() -> None:
    class Ones(layers.SimpleRNNCell):
        def get_initial_state(self, batch_size: Any = None) -> list[Any]:
            return [ops.ones((batch_size, self.units))]

    layer = layers.RNN(Ones(4))
    found = layer(X).numpy()
    close(found, layer(X, initial_state=np.ones((2, 4), "float32")).numpy())
    assert np.abs(found - layer(X, initial_state=np.zeros((2, 4), "float32")).numpy()).max() > 1e-3


def test_a_cell_with_another_call_is_called() -> None:
    class Doubled(layers.LSTMCell):
        def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
            output, states = super().call(inputs, states, training)
            return 2 * output, states

    doubled, plain = layers.RNN(Doubled(4)), layers.RNN(layers.LSTMCell(4))
    for layer in (doubled, plain):
        layer.build((2, 5, 3))
    doubled.set_weights(plain.get_weights())
    close(doubled(X).numpy(), 2 * plain(X).numpy())


def test_a_layer_is_a_loop_of_its_cell() -> None:
    for kind in KINDS:
        layer = kind(4, return_sequences=True)
        found = layer(X).numpy()
        states = layer.get_initial_state(2)
        for t in range(5):
            output, states = layer.cell(X[:, t], states)
            close(found[:, t], output.numpy())


def test_mixed_types() -> None:
    for kind in KINDS:
        plain = kind(4, return_sequences=True)
        wanted = plain(X).numpy()
        for name, tolerance in (("mixed_float16", 5e-3), ("mixed_bfloat16", 4e-2)):
            layer = copy_of(plain, dtype=name)
            found = layer(X)
            assert found.dtype.name == layer.compute_dtype
            assert layer.cell.kernel.dtype == "float32"
            close(found.numpy().astype("float32"), wanted, tolerance)
    # A cell may compute in a type of its own.
    layer = layers.RNN(layers.GRUCell(4, dtype="float16"))
    assert layer(X).dtype.name == "float32"


# Training -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_layers_learn_to_count(kind: Any) -> None:
    """The share of ones in a sequence, from the last state."""
    rng = np.random.default_rng(0)
    x = (rng.random((64, 12, 1)) < rng.random((64, 1, 1))).astype("float32")
    y = x.mean(axis=1)
    model = keras.Sequential([kind(8), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, y, batch_size=32, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LSTM(0), "argument `units`, expected a positive integer"),
        (lambda: layers.GRU(2.5), "argument `units`"),
        (lambda: layers.LSTM(4, use_cudnn="x"), "use_cudnn"),
        (lambda: layers.SimpleRNN(4, implementation=1), "implementation"),
        (lambda: layers.RNN(3), "should have a `call` method"),
        (lambda: layers.RNN(layers.Dense(3)), "should have a `state_size` attribute"),
        (lambda: layers.StackedRNNCells([3]), "All cells must have a `call` method"),
        (lambda: layers.StackedRNNCells([layers.Dense(3)]), "`state_size` attribute"),
        (lambda: layers.LSTM(3)(X[0]), "ndim"),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_unrolling_needs_a_known_length() -> None:
    layer = layers.LSTM(3, unroll=True)
    layer.build((None, None, 3))
    run = tw.function(lambda x: layer(x), shapes={"x": (2, "steps", 3)})
    with pytest.raises(ValueError, match="Cannot unroll a RNN"):
        run(X)

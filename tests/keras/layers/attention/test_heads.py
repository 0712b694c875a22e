"""MultiHeadAttention and GroupQueryAttention against real Keras, masks, overriding, refusals."""

import warnings
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.beside import Beside, Case, booleans, close, numbers
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg import keras
from thalweg.keras import layers, ops

QUERY, VALUE, KEY = numbers(2, 4, 6), numbers(2, 5, 6, seed=1), numbers(2, 5, 3, seed=2)
MASK = booleans("11010", "00111")
PAIRS = numbers(2, 4, 5, seed=7) > -0.5
ZEROS = {"kernel_initializer": "zeros"}
SCORES = {"return_attention_scores": True}
CAUSAL = {"use_causal_mask": True}


def case(name: str, inputs: tuple, call: Any = None, kind: Any = None, **settings: Any) -> Case:
    call = dict(call or {})
    arrays = {
        key: call.pop(key)
        for key in list(call)
        if key.endswith("_mask") and key != "use_causal_mask"
    }
    tolerance = settings.pop("tolerance", 2e-5)
    kind = kind or "MultiHeadAttention"
    sizes = {"num_heads": 2, "key_dim": 3}
    if kind == "GroupQueryAttention":
        sizes = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
    return Case(
        name,
        lambda package: getattr(package, kind)(**{**sizes, **ZEROS, **settings}, name="layer"),
        inputs,
        arrays,
        call,
        tolerance=tolerance,
    )


def grouped(name: str, inputs: tuple, call: Any = None, **settings: Any) -> Case:
    return case(f"grouped {name}", inputs, call, "GroupQueryAttention", **settings)


SELF, PAIR, TRIPLE = (QUERY, QUERY), (QUERY, VALUE), (QUERY, VALUE, KEY)
GRID = (numbers(2, 2, 3, 4), numbers(2, 2, 3, 4, seed=3))
CASES = [
    case("self", SELF),
    case("value", PAIR, SCORES),
    case("key", TRIPLE, SCORES, value_dim=5),
    case("without bias", PAIR, use_bias=False),
    case("gated", TRIPLE, SCORES, use_gate=True, value_dim=2),
    case("output shape", PAIR, output_shape=(2, 3)),
    case("output size", PAIR, output_shape=7, kernel_regularizer="l2"),
    case("causal", PAIR, CAUSAL),
    case("causal scores", PAIR, {**CAUSAL, **SCORES}),
    case("window", SELF, {**CAUSAL, **SCORES}, sliding_window=2),
    case("masked", PAIR, {"value_mask": MASK, "attention_mask": PAIRS}),
    case("masked scores", PAIR, {"value_mask": MASK, "attention_mask": PAIRS, **SCORES}),
    case("masked causal", PAIR, {"attention_mask": PAIRS, **CAUSAL}),
    case("mask of heads", PAIR, {"attention_mask": np.stack([PAIRS, ~PAIRS], axis=1)}),
    case("grid", GRID, attention_axes=(1, 2)),
    case("rows", GRID, SCORES, attention_axes=-2),
    case("columns masked", GRID, {"attention_mask": booleans("11", "01")}, attention_axes=1),
    case("inactive dropout", PAIR, {"attention_mask": PAIRS}, dropout=0.5),
    case("bfloat16", PAIR, SCORES, dtype="mixed_bfloat16", use_bias=False, tolerance=4e-2),
    grouped("self", SELF),
    grouped("key", TRIPLE, SCORES),
    grouped("one", PAIR, num_key_value_heads=1, use_bias=False),
    grouped("gated", PAIR, use_gate=True, num_key_value_heads=4),
    grouped("causal", PAIR, CAUSAL),
    grouped("masked", PAIR, {"value_mask": MASK, "query_mask": MASK[:, 1:], **SCORES}),
    grouped("window", SELF, {"attention_mask": PAIRS[:, :, 1:]}, sliding_window=2),
]
BESIDE = Beside(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_beside_keras(case: Case) -> None:
    BESIDE.check(case)


LAYERS = [
    lambda **settings: layers.MultiHeadAttention(2, 3, **settings),
    lambda **settings: layers.GroupQueryAttention(3, 4, 2, **settings),
]


@pytest.mark.parametrize("make", LAYERS)
def test_symbols_have_the_shapes_of_results(make: Any) -> None:
    query, value = layers.Input((4, 6)), layers.Input((5, 6))
    layer = make()
    symbols = layer(query, value, **SCORES)
    results = layer(QUERY, VALUE, **SCORES)
    assert [x.shape[1:] for x in symbols] == [tuple(x.shape[1:]) for x in results]
    assert all(x.shape[0] is None for x in symbols)
    assert layer(layers.Input((None, 6)), value).shape == (None, None, 6)


def test_symbols_along_several_axes() -> None:
    layer = layers.MultiHeadAttention(2, 3, attention_axes=(2, 3))
    x, y = layers.Input((7, 4, 5, 6)), layers.Input((7, 2, 3, 6))
    output, scores = layer(x, y, **SCORES)
    assert output.shape == (None, 7, 4, 5, 6)
    assert scores.shape == (None, 7, 2, 4, 5, 2, 3)
    found = layer(numbers(1, 7, 4, 5, 6), numbers(1, 7, 2, 3, 6), **SCORES)
    assert tuple(found[1].shape)[1:] == scores.shape[1:]


@pytest.mark.parametrize("make", LAYERS)
def test_any_batch_and_length(make: Any) -> None:
    layer = make()
    layer.build((None, None, 6), (None, None, 6))
    for settings in ({}, CAUSAL, SCORES):
        run = tw.function(lambda q, v, s=settings: keras.tree.flatten(layer(q, v, **s))[0])
        for batch, queries, values in ((2, 3, 5), (3, 4, 6), (1, 6, 2)):
            q, v = numbers(batch, queries, 6), numbers(batch, values, 6)
            close(run(q, v).numpy(), keras.tree.flatten(layer(q, v, **settings))[0].numpy())


@pytest.mark.parametrize("make", LAYERS)
def test_masks_come_with_inputs_and_stay_with_them(make: Any) -> None:
    query = layers.Embedding(4, 6, mask_zero=True)(np.array([[1, 2, 0, 0], [3, 3, 1, 0]]))
    value = layers.Embedding(4, 6, mask_zero=True)(np.array([[1, 2, 0], [3, 0, 0]]))
    masks = [each._keras_mask.numpy() for each in (query, value)]
    layer = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = layer(query, value)
    np.testing.assert_array_equal(found._keras_mask.numpy(), masks[0])
    for each, mask in zip((query, value), masks, strict=True):
        np.testing.assert_array_equal(each._keras_mask.numpy(), mask)
    both = masks[0][:, :, None] & masks[1][:, None, :]
    plain = [tw.asarray(each.numpy()) for each in (query, value)]
    close(found.numpy(), layer(*plain, attention_mask=both).numpy())


@pytest.mark.parametrize("make", LAYERS)
def test_dropout_acts_on_scores_in_training(make: Any) -> None:
    layer = make(dropout=0.5, seed=1)
    plain = make()
    layer.build(QUERY.shape, VALUE.shape)
    plain.build(QUERY.shape, VALUE.shape)
    plain.set_weights(layer.get_weights())
    close(layer(QUERY, VALUE).numpy(), plain(QUERY, VALUE).numpy())
    trained = layer(QUERY, VALUE, training=True).numpy()
    assert np.abs(trained - plain(QUERY, VALUE).numpy()).max() > 1e-3
    again = make(dropout=0.5, seed=1)
    again.build(QUERY.shape, VALUE.shape)
    again.set_weights(layer.get_weights())
    close(again(QUERY, VALUE, training=True).numpy(), trained)


@pytest.mark.parametrize("base", [layers.MultiHeadAttention, layers.GroupQueryAttention])
def test_attention_may_be_replaced(base: Any) -> None:
    """An override that knows no causal flag gets the causal mask itself."""
    seen = {}

    class Own(base):
        def _compute_attention(
            self,
            query: Any,
            key: Any,
            value: Any,
            attention_mask: Any = None,
            *args: Any,
            **kw: Any,
        ) -> Any:
            seen.update(mask=attention_mask, heads=(query.shape[2], key.shape[2]))
            assert "use_causal_mask" not in kw
            return super()._compute_attention(query, key, value, attention_mask, *args, **kw)

    sizes = (2, 3) if base is layers.MultiHeadAttention else (3, 4, 2)
    own, plain = Own(*sizes), base(*sizes)
    for layer in (own, plain):
        layer.build(QUERY.shape, QUERY.shape)
    own.set_weights(plain.get_weights())
    close(own(QUERY, QUERY, **CAUSAL).numpy(), plain(QUERY, QUERY, **CAUSAL).numpy())
    np.testing.assert_array_equal(seen["mask"].numpy(), np.tri(4, dtype=bool)[None])
    assert seen["heads"][0] == seen["heads"][1]


@pytest.mark.parametrize("settings", [{"value_dim": 5}, {}, {"use_gate": True}])
def test_asking_for_scores_changes_nothing_else(settings: dict[str, Any]) -> None:
    layer = layers.MultiHeadAttention(2, 3, **settings)
    for given in ({}, CAUSAL, {"attention_mask": PAIRS}):
        output, scores = layer(QUERY, VALUE, **given, **SCORES)
        close(layer(QUERY, VALUE, **given).numpy(), output.numpy())
        close(scores.numpy().sum(-1), np.ones((2, 2, 4), "float32"))


def test_projections_have_weights_of_their_own() -> None:
    layer = layers.MultiHeadAttention(2, 3, kernel_initializer=keras.initializers.RandomNormal())
    layer.build(QUERY.shape, QUERY.shape)
    kernels = [
        each.kernel.numpy() for each in (layer.query_dense, layer.key_dense, layer.value_dense)
    ]
    assert np.abs(kernels[0] - kernels[1]).max() > 0
    assert np.abs(kernels[1] - kernels[2]).max() > 0
    assert layer.output_dense.kernel.shape == (2, 3, 6)


def test_names_in_files_are_those_of_keras() -> None:
    """Files hold the projections under attributes that both have."""
    for name, prefix in (("MultiHeadAttention", ""), ("GroupQueryAttention", "_")):
        for package in (real, keras):
            kind = getattr(package.layers, name)
            for part in ("query", "key", "value", "output"):
                assert (f"{part}_dense" in dir(kind)) == (not prefix)
    record = keras.saving.serialize_keras_object(layers.GroupQueryAttention(3, 4, 2, name="it"))
    wanted = real.saving.serialize_keras_object(real.layers.GroupQueryAttention(3, 4, 2, name="it"))
    assert record == wanted
    assert keras.saving.deserialize_keras_object(wanted).num_query_heads == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.MultiHeadAttention(0, 3), "argument `num_heads`"),
        (lambda: layers.MultiHeadAttention(2, 1.5), "argument `key_dim`"),
        (lambda: layers.MultiHeadAttention(2, 3, value_dim=-1), "argument `value_dim`"),
        (lambda: layers.MultiHeadAttention(2, 3, output_shape=8.0), "Invalid `output_shape`"),
        (lambda: layers.MultiHeadAttention(2, 3, attention_axes="1"), "`attention_axes` must be"),
        (lambda: layers.MultiHeadAttention(2, 3, sliding_window=0), "sliding_window"),
        (lambda: layers.GroupQueryAttention(3, 4, 3), "must be divisible"),
        (lambda: layers.MultiHeadAttention(2, 3)(QUERY, VALUE, QUERY), "must be equal"),
        (
            lambda: layers.GroupQueryAttention(3, 4, 2)(layers.Input((4, 6)), layers.Input((4, 5))),
            "must be equal",
        ),
        (
            lambda: layers.MultiHeadAttention(2, 3, flash_attention=True, dropout=0.1),
            "Dropout is not supported when flash attention is enabled",
        ),
        (
            lambda: layers.GroupQueryAttention(3, 4, 2, flash_attention=True)(
                QUERY, VALUE, **SCORES
            ),
            "Returning attention scores is not supported when flash attention is enabled",
        ),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_flash_attention_gives_the_same() -> None:
    layer = layers.MultiHeadAttention(2, 3)
    wanted = layer(QUERY, VALUE).numpy()
    flash = layers.MultiHeadAttention(2, 3, flash_attention=True)
    flash.build(QUERY.shape, VALUE.shape)
    flash.set_weights(layer.get_weights())
    close(flash(QUERY, VALUE).numpy(), wanted)


def test_a_block_learns_which_position_counts() -> None:
    """Attention can copy the marked entry of a sequence; a mean cannot."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128, 6, 2)).astype("float32")
    marks = rng.integers(0, 6, 128)
    x[:, :, 0] = np.eye(6, dtype="float32")[marks]
    y = x[np.arange(128), marks, 1:]
    inputs = layers.Input((6, 2))
    attended = layers.MultiHeadAttention(2, 8)(inputs, inputs)
    model = keras.Model(inputs, layers.Dense(1)(ops.mean(attended, axis=1)))
    model.compile(keras.optimizers.Adam(0.03), "mse")
    losses = model.fit(x, y, batch_size=64, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]

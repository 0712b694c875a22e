"""Attention and AdditiveAttention against real Keras, and what masks, dropout and inputs do."""

from typing import Any

import numpy as np
import pytest
from tests.keras.layers.beside import Beside, Case, booleans, close, numbers

import thalweg as tw
from thalweg import keras
from thalweg.keras import layers

QUERY, VALUE, KEY = numbers(2, 3, 4), numbers(2, 5, 4, seed=1), numbers(2, 5, 4, seed=2)
MASKS = [booleans("110", "101"), booleans("11010", "00111")]


def case(name: str, kind: str, inputs: tuple, call: Any = None, **settings: Any) -> Case:
    call = dict(call or {})
    arrays = {"mask": call.pop("mask")} if "mask" in call else {}
    tolerance = settings.pop("tolerance", 2e-5)
    return Case(
        name,
        lambda package: getattr(package, kind)(**settings, name="layer"),
        inputs,
        arrays,
        call,
        is_list=True,
        tolerance=tolerance,
    )


PAIR, TRIPLE = (QUERY, VALUE), (QUERY, VALUE, KEY)
SCORES = {"return_attention_scores": True}
CASES = [
    case("dot", "Attention", PAIR),
    case("key", "Attention", TRIPLE, SCORES),
    case("scaled", "Attention", TRIPLE, use_scale=True),
    case("concat", "Attention", PAIR, SCORES, score_mode="concat"),
    case("concat scaled", "Attention", PAIR, score_mode="concat", use_scale=True),
    case("masked", "Attention", PAIR, {"mask": MASKS, **SCORES}),
    case("value masked", "Attention", PAIR, {"mask": [None, MASKS[1]]}),
    case("causal", "Attention", PAIR, {"use_causal_mask": True, **SCORES}),
    case("causal masked", "Attention", PAIR, {"use_causal_mask": True, "mask": MASKS}),
    case("images", "Attention", (numbers(2, 3, 4, 5), numbers(2, 3, 6, 5)), SCORES),
    case("additive", "AdditiveAttention", TRIPLE, SCORES),
    case("additive plain", "AdditiveAttention", PAIR, {"mask": MASKS}, use_scale=False),
    case("float16", "Attention", PAIR, {"mask": MASKS}, dtype="float16", tolerance=6e-3),
]
BESIDE = Beside(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_beside_keras(case: Case) -> None:
    BESIDE.check(case)


def test_symbols() -> None:
    query, value = layers.Input((None, 4)), layers.Input((5, 3))
    output, scores = layers.Attention()([query, value], **SCORES)
    assert output.shape == (None, None, 3)
    assert scores.shape == (None, None, 5)
    assert layers.AdditiveAttention()([query, layers.Input((5, 4))]).shape == (None, None, 4)


def test_any_batch_and_length() -> None:
    layer = layers.Attention(score_mode="concat")
    layer.build([(None, None, 4), (None, None, 4)])
    run = tw.function(lambda q, v: layer([q, v], use_causal_mask=True))
    for batch, queries, values in ((2, 3, 5), (3, 4, 6), (1, 6, 2)):
        q, v = numbers(batch, queries, 4), numbers(batch, values, 4)
        close(run(q, v).numpy(), layer([q, v], use_causal_mask=True).numpy())


def test_masks_come_with_inputs() -> None:
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    embedded = layers.Embedding(4, 4, mask_zero=True)(ids)
    layer = layers.Attention()
    found = layer([embedded, embedded])
    np.testing.assert_array_equal(found._keras_mask.numpy(), ids > 0)
    assert not found.numpy()[ids == 0].any()
    close(found.numpy(), layer([embedded, embedded], mask=[ids > 0, ids > 0]).numpy())


@pytest.mark.parametrize("kind", [layers.Attention, layers.AdditiveAttention])
def test_dropout_acts_on_scores_in_training(kind: Any) -> None:
    first, second = (kind(dropout=0.5, seed=3) for _ in "ab")
    output, scores = first([QUERY, VALUE], training=True, **SCORES)
    assert (scores.numpy() == 0).any()
    close(output.numpy(), scores.numpy() @ VALUE)
    second.build([QUERY.shape, VALUE.shape])
    second.set_weights(first.get_weights())
    close(second([QUERY, VALUE], training=True).numpy(), output.numpy())
    assert (first([QUERY, VALUE], **SCORES)[1].numpy() > 0).all()


@pytest.mark.parametrize(
    ("inputs", "mask", "message"),
    [
        (QUERY, None, "must be called on a list"),
        ([QUERY], None, "length 2 or 3"),
        ([QUERY] * 4, None, "length 2 or 3"),
        ([QUERY, VALUE], MASKS[0], "mask must be a list"),
        ([QUERY, VALUE], MASKS[:1], "length 2 or 3"),
    ],
)
def test_refusals(inputs: Any, mask: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layers.Attention()(inputs, mask=mask)


def test_score_modes() -> None:
    with pytest.raises(ValueError, match="Invalid value for argument score_mode"):
        layers.Attention(score_mode="product")
    assert "score_mode" not in keras.layers.AdditiveAttention().get_config()

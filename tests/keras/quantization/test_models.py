"""Model.quantize: which layers, with which data, and what can be done with the model afterwards."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.keras.quantization.zoo import CALIBRATION, STEPS, WORDS, adapt, floats, structure_of

from thalweg import keras
from thalweg.base.errors import ArgumentError, ArgumentTypeError
from thalweg.keras.quantizers.calibration import windows

layers, quantizers = keras.layers, keras.quantizers
IDS = np.random.default_rng(0).integers(0, WORDS, (3, STEPS))


def stack(*units: int) -> Any:
    """Dense layers named d0, d1, ..."""
    parts = [layers.Dense(each, name=f"d{place}") for place, each in enumerate(units)]
    return keras.Sequential([keras.Input((4,)), *parts])


def modes(model: Any) -> list[str | None]:
    return [layer.quantization_mode for layer in model.layers]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (None, ["int8", "int8", "int8"]),
        ("d1", [None, "int8", None]),
        (["^d0$", "2"], ["int8", None, "int8"]),
        (lambda layer: layer.units == 2, [None, "int8", "int8"]),
        ("nothing", [None, None, None]),
    ],
)
def test_filters_choose_layers(filters: Any, wanted: list) -> None:
    model = stack(3, 2, 2)
    if callable(filters):
        chosen = filters
        filters = lambda layer: hasattr(layer, "units") and chosen(layer)  # noqa: E731
    model.quantize("int8", filters=filters)
    assert modes(model) == wanted


def test_layers_within_layers_are_quantized_and_others_named() -> None:
    inner = keras.Sequential([layers.Dense(4, name="in"), layers.LayerNormalization(name="norm")])
    model = keras.Sequential([keras.Input((3, 4)), inner, layers.TimeDistributed(layers.Dense(2))])
    with pytest.warns(UserWarning, match="norm keeps its float weights") as caught:
        model.quantize("int8")
    assert len(caught) == 1 and caught[0].filename == __file__
    assert inner.layers[0].quantization_mode == "int8"
    assert model.layers[1].layer.quantization_mode == "int8"


def test_a_compiled_model_goes_on_with_the_new_weights() -> None:
    model = stack(8, 2)
    x = np.random.default_rng(1).standard_normal((32, 4)).astype("float32")
    model.compile("sgd", "mse")
    before = model.predict(x, verbose=0)
    model.quantize("int4")
    after = model.predict(x, verbose=0)
    assert 0 < abs(after - before).max() < 0.5
    np.testing.assert_allclose(after, model(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [None, "int8", "int4"])
def test_an_adapted_model_learns_and_leaves_its_kernels_alone(mode: str | None) -> None:
    keras.utils.set_random_seed(3)
    model = stack(16, 1)
    if mode is not None:
        model.quantize(mode)
    for layer in model.layers:
        layer.enable_lora(4)
    kept = [layer._kernel.numpy() for layer in model.layers]
    x = np.random.default_rng(1).standard_normal((64, 4)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5], [3.0]], "float32")
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, y, epochs=30, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 10
    for layer, kernel in zip(model.layers, kept, strict=True):
        np.testing.assert_array_equal(layer._kernel.numpy(), kernel)


def test_training_in_float8_follows_the_largest_values() -> None:
    keras.utils.set_random_seed(3)
    model = stack(16, 1)
    model.quantize("float8")
    x = np.random.default_rng(1).standard_normal((64, 4)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5], [3.0]], "float32")
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, y, epochs=30, batch_size=64, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 10
    layer = model.layers[0]
    history = layer.inputs_amax_history.numpy()
    np.testing.assert_allclose(history[0], abs(x).max(), rtol=1e-6)
    np.testing.assert_allclose(layer.inputs_scale.numpy(), abs(x).max() / 448, rtol=1e-6)
    assert np.count_nonzero(history) == 30


def test_attention_is_loaded_as_it_was_quantized(tmp_path: Path) -> None:
    inputs = keras.Input((3, 8))
    x = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    x = layers.GroupQueryAttention(4, 2, 1)(x, x)
    model = keras.Model(inputs, x)
    sizes = []
    for path in (tmp_path / "float.keras", tmp_path / "int8.keras"):
        if path.stem == "int8":
            model.quantize("int8")
        model.save(path)
        with zipfile.ZipFile(path) as file:
            sizes.append(len(file.read("model.weights.h5")))
    x = np.random.default_rng(0).standard_normal((2, 3, 8)).astype("float32")
    loaded = keras.saving.load_model(tmp_path / "int8.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert loaded.layers[1]._query_dense.quantization_mode == "int8"
    assert loaded.layers[1].quantization_mode is None
    again = keras.Model.from_config(loaded.get_config())
    assert again.get_config() == loaded.get_config()


@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_calibrated_blocks(mode: str, tmp_path: Path) -> None:
    config = {"gptq": quantizers.GPTQConfig, "awq": quantizers.AWQConfig}[mode]
    model = floats(keras, "blocks-gptq")
    before = model.predict(IDS, verbose=0)
    structure = structure_of(model)
    first = structure["sequential_blocks"][0]
    model.quantize(
        config=config(**CALIBRATION, group_size=3, quantization_layer_structure=structure),
        filters=["more"],
    )
    more, less = first.layers
    assert (more.quantization_mode, less.quantization_mode) == (mode, None)
    assert more.quantized_kernel.dtype == "uint8" and not hasattr(more, "_kernel")
    assert more.kernel.shape == (9, 6)  # one integer a byte
    assert more.quantization_config.dataset is None
    after = model.predict(IDS, verbose=0)
    assert 0 < np.square(after - before).mean() < np.square(before).mean() / 20
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(IDS, verbose=0), after)
    with pytest.raises(ArgumentError, match="already quantized"):
        model.quantize(
            config=config(**CALIBRATION, group_size=3, quantization_layer_structure=structure)
        )


def test_projections_of_attention_are_calibrated() -> None:
    inputs = keras.Input((STEPS,), dtype="int32")
    table, heads = layers.Embedding(WORDS, 8), layers.MultiHeadAttention(2, 4)

    class Block(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.heads = heads

        def call(self, x: Any) -> Any:
            return x + self.heads(x, x)

    block = Block()
    model = keras.Model(inputs, block(table(inputs)))
    before = model.predict(IDS, verbose=0)
    structure = {"pre_block_layers": [table], "sequential_blocks": [block]}
    shared = {**CALIBRATION, "quantization_layer_structure": structure}
    model.quantize(config=quantizers.GPTQConfig(**shared, group_size=8, weight_bits=8))
    assert heads._output_dense.is_gptq_calibrated
    np.testing.assert_allclose(model.predict(IDS, verbose=0), before, atol=3e-3)


def test_what_is_wrong_is_said_before_anything_changes() -> None:
    model = floats(keras, "blocks-gptq")
    structure = structure_of(model)

    def config(**settings: Any) -> Any:
        given = {**CALIBRATION, "quantization_layer_structure": structure, **settings}
        return quantizers.GPTQConfig(**given)

    for settings, match in (
        ({"quantization_layer_structure": None}, "a valid quantization structure must be provided"),
        ({"dataset": None}, "requires a dataset and a tokenizer"),
        ({"tokenizer": None}, "requires a dataset and a tokenizer"),
        ({"dataset": []}, "Provided dataset is empty"),
        ({"quantization_layer_structure": {}}, "No sequential blocks found"),
    ):
        with pytest.raises(ArgumentError, match=match):
            model.quantize(config=config(**settings))
    with pytest.raises(ArgumentTypeError, match="must be an iterable"):
        model.quantize(config=config(dataset="abc"))
    with pytest.raises(ArgumentError, match="`filters` argument must be a regex"):
        model.quantize("int8", filters=3)
    with pytest.raises(ArgumentError, match="Unrecognized keyword arguments"):
        model.quantize("int8", filter="more")
    with pytest.raises(ArgumentError, match="isn't yet built"):
        keras.Sequential([layers.Dense(2)]).quantize("int8")
    assert {layer.quantization_mode for layer in model._flatten_layers()} == {None}


class Letters:
    """Texts as the places of their letters."""

    def tokenize(self, text: str) -> list[int]:
        return [ord(each) - ord("a") for each in text]


def test_windows_are_spread_over_the_data() -> None:
    found = windows(Letters(), 3, ["abcd", "efgh"], 2)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, [[[0, 1, 2]], [[3, 4, 5]]])
    repeated = windows(Letters(), 4, ["abc"], 2)
    np.testing.assert_array_equal(repeated, [[[0, 1, 2, 0]]] * 2)
    np.testing.assert_array_equal(windows(None, 2, [np.array([[7, 8]])], 1), [[[7, 8]]])


def test_an_adapted_model_is_saved_as_the_sum(tmp_path: Path) -> None:
    model = floats(keras, "untied-int8")
    adapt(model)
    ids = IDS[:2]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(ids), model(ids), rtol=2e-4, atol=2e-4)
    adapted = loaded.get_layer("table")
    assert adapted.lora_enabled and not adapted.lora_embeddings_b.numpy().any()

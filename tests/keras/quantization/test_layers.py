"""What layers do about quantization and adaptation, besides what real Keras shows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.keras.quantization.zoo import WORDS, adapt, fill, numbers

import thalweg as tw
from thalweg import keras
from thalweg.base.errors import ArgumentError

layers, quantizers = keras.layers, keras.quantizers
LAYERS: dict[str, Callable[..., Any]] = {
    "dense": lambda **k: layers.Dense(4, **k),
    "einsum": lambda **k: layers.EinsumDense("ab,bcd->acd", (2, 2), **k),
    "embedding": lambda **k: layers.Embedding(WORDS, 3, **k),
    "reversible": lambda **k: layers.ReversibleEmbedding(WORDS, 3, tie_weights=False, **k),
}
CONVOLUTIONS: dict[str, Callable[..., Any]] = {
    "conv1d": lambda **k: layers.Conv1D(4, 2, **k),
    "conv2d": lambda **k: layers.Conv2D(4, 2, **k),
    "conv3d": lambda **k: layers.Conv3D(4, 2, **k),
}
SHAPES = {"conv1d": (2, 5, 3), "conv2d": (2, 4, 4, 3), "conv3d": (2, 3, 3, 3, 3)}
INT4 = quantizers.Int4QuantizationConfig(block_size=2)


def inputs_for(name: str) -> np.ndarray:
    if name in ("embedding", "reversible"):
        return np.array([[1, 4], [0, 10]], "int32")
    return numbers(*SHAPES.get(name, (2, 3)))


def built(name: str, **settings: Any) -> Any:
    layer = {**LAYERS, **CONVOLUTIONS}[name](**settings)
    layer.build(inputs_for(name).shape)
    return layer


@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_stay_near_and_weights_shrink(name: str, mode: str) -> None:
    layer, x = built(name), inputs_for(name)
    before, floats = layer(x).numpy(), sum(weight.numpy().nbytes for weight in layer.weights)
    layer.quantize(mode)
    assert abs(layer(x).numpy() - before).max() < {"int8": 0.02, "int4": 0.3}[mode]
    integers = [weight for weight in layer.weights if weight.dtype == "int8"]
    assert integers and not any(each.trainable for each in integers)
    assert sum(each.numpy().nbytes for each in integers) < floats / 2


@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.parametrize("name", LAYERS)
def test_sixteen_bits_stay_sixteen_bits(name: str, mode: str) -> None:
    layer, x = built(name, dtype="mixed_bfloat16", lora_rank=1), inputs_for(name)
    before = layer(x).numpy().astype("float32")
    layer.quantize(mode)
    after = layer(x)
    assert layer.dtype_policy.name.endswith("_from_mixed_bfloat16")
    assert after.dtype.name == "bfloat16" == layer(keras.KerasTensor(x.shape, x.dtype)).dtype
    assert abs(after.numpy().astype("float32") - before).max() < {"int8": 0.05, "int4": 0.3}[mode]
    if name == "reversible":
        y = numbers(2, 3).astype(after.numpy().dtype)
        assert layer(y, reverse=True).dtype.name == "bfloat16"


@pytest.mark.parametrize("mode", ["int8", "int4/2", "int4/-1"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_policy_quantizes_before_and_after_building(name: str, mode: str) -> None:
    policy, x = f"{mode}_from_float32", inputs_for(name)
    made = built(name, dtype=policy)
    layer = built(name)
    layer.dtype_policy = policy
    kinds = [{(w.name, w.shape, w.dtype) for w in each.weights} for each in (made, layer)]
    assert kinds[0] == kinds[1] and made.quantization_mode == layer.quantization_mode == mode[:4]
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    store = {key: np.asarray(value) for key, value in store.items()}
    again = type(layer).from_config(layer.get_config())
    again.build(x.shape)
    for each in (made, again):
        each.load_own_variables(store)
        np.testing.assert_array_equal(each(x), layer(x))


def test_policies_of_a_map_hold_for_their_paths() -> None:
    policies = keras.dtype_policies.DTypePolicyMap(
        "float32", {"one": keras.dtype_policies.get("int8_from_float32")}
    )
    one, two = (layers.Dense(2, name=name, dtype=policies) for name in ("one", "two"))
    for layer in (one, two):
        layer.build((None, 3))
    assert (one.quantization_mode, two.quantization_mode) == ("int8", None)
    two.dtype_policy = "int4_from_float32"
    assert two.quantization_mode == "int4" and policies["two"].name == "int4_from_float32"


@pytest.mark.parametrize("mode", ["int8", "int4", "int4-blocks"])
@pytest.mark.parametrize("tied", [True, False])
def test_scores_of_integers_have_the_derivative_of_their_floats(mode: str, tied: bool) -> None:
    layer = layers.ReversibleEmbedding(WORDS, 4, tie_weights=tied)
    layer.build()
    fill(layer.weights)
    layer.quantize(config=INT4) if mode == "int4-blocks" else layer.quantize(mode)
    if tied:
        adapt(layer)
    x = tw.asarray(numbers(3, 4))
    table = layer._decoded("embeddings" if tied else "reverse_embeddings").numpy()
    if tied:
        a, b = layer.lora_embeddings_a.numpy(), layer.lora_embeddings_b.numpy()
        table = (table + 1.5 * a @ b).T
    scores = layer(x, reverse=True).numpy()
    np.testing.assert_allclose(scores, x.numpy() @ table, atol=0.02 * abs(scores).max())
    slope = tw.grad(lambda x: (layer(x, reverse=True) ** 2).sum())(x).numpy()
    np.testing.assert_allclose(slope, 2 * scores @ table.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*LAYERS, *CONVOLUTIONS])
def test_adaptation_begins_with_nothing_and_trains_two_small_weights(name: str) -> None:
    settings = {"lora_rank": 2, "lora_alpha": 4}
    layer, x = built(name, **settings), inputs_for(name)
    assert layer.get_config().items() >= settings.items()
    assert type(layer).from_config(layer.get_config()).lora_alpha == 4
    main, plain = layer.MAIN, built(name)
    plain.set_weights([layer._main.numpy(), *plain.get_weights()[1:]])
    np.testing.assert_allclose(layer(x), plain(x), rtol=1e-6)
    a, b = getattr(layer, f"lora_{main}_a"), getattr(layer, f"lora_{main}_b")
    assert not layer._main.trainable and a.trainable and b.trainable
    fill([a, b])
    product = np.tensordot(a.numpy(), b.numpy(), axes=1)
    np.testing.assert_allclose(
        getattr(layer, main).numpy(), layer._main.numpy() + 2 * product, rtol=1e-4, atol=1e-5
    )
    adapted = layer(x).numpy()
    assert abs(adapted - plain(x).numpy()).max() > 0.1
    store: dict[str, Any] = {}
    layer.save_own_variables(store)
    store = {key: np.asarray(value) for key, value in store.items()}
    for each in (plain, layer):  # files hold the sum: an adapted layer begins anew
        each.load_own_variables(store)
        np.testing.assert_allclose(each(x), adapted, rtol=1e-4, atol=1e-5)
    assert not a.numpy().any() and not b.numpy().any()


def test_before_building_there_is_no_weight_to_read() -> None:
    for layer, name in ((layers.Dense(2), "kernel"), (layers.Embedding(3, 2), "embeddings")):
        with pytest.raises(AttributeError, match=f"You must build the layer before .*{name}"):
            getattr(layer, name)


def test_layers_of_a_user_may_have_a_form_of_their_own() -> None:
    class Halves(layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(shape[-1],), initializer="ones")

        def call(self, x: Any) -> Any:
            return x * self.w

        def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
            self.half = self.add_weight(shape=self.w.shape, initializer="ones", dtype="float16")
            self.dtype_policy = f"{mode}_from_float32"

        def quantized_call(self, x: Any) -> Any:
            return x * keras.ops.cast(self.half, "float32") * 2

    layer = Halves()
    layer(np.ones((1, 2)))
    layer.quantize("int8")
    np.testing.assert_array_equal(layer(np.ones((1, 2), "float32")), [[2.0, 2.0]])


class MyDense(layers.Dense):
    """A subclass of the user's."""


def test_subclasses_are_quantized_when_told_so() -> None:
    layer = MyDense(2)
    layer.build((None, 3))
    with pytest.raises(NotImplementedError, match="does not have a `quantize` method"):
        layer.quantize("int8")
    layer.quantize("int8", type_check=False)
    assert layer.quantization_mode == "int8"


def refused(make: Callable[[], Any], *match: str) -> None:
    with pytest.raises((ArgumentError, NotImplementedError)) as caught:
        make()
    text = str(caught.value)
    for each in ("wants", "Received", *match):
        assert each in text, text


def test_what_cannot_be_quantized_is_refused() -> None:
    dense, table = built("dense"), built("embedding")
    refused(lambda: layers.Dense(2).quantize("int8"), "isn't yet built", "Call it on data")
    refused(lambda: dense.quantize("int7"), "Invalid quantization mode", "int7")
    refused(lambda: dense.quantize(), "You must provide either `mode` or `config`")
    refused(lambda: dense.quantize("int8", config=INT4), "Contradictory", "mode='int8'")
    refused(lambda: dense.quantize("gptq"), "you must pass a `GPTQConfig`", "Write quantize('gptq'")
    refused(lambda: dense.quantize("int8", config=3), "instance of `QuantizationConfig`")
    refused(lambda: table.quantize("float8"), "Expected one of ('int8', 'int4')")
    refused(lambda: built("conv2d").quantize("int8"), "does not have a `quantize` method")
    refused(lambda: built("embedding", dtype="float8_from_float32"), "Invalid quantization mode")
    half = built("dense", dtype="float16")
    refused(lambda: half.quantize("int8"), "compute_dtype='float16'", "mixed_bfloat16")
    dense.quantize("int8")
    refused(lambda: dense.quantize("int4"), "already quantized", "int8_from_float32")
    refused(
        lambda: setattr(table, "dtype_policy", "gptq/4/8_from_float32"),
        "needs no data",
        "quantize(",
    )


def test_what_cannot_be_adapted_is_refused() -> None:
    refused(lambda: layers.Dense(2).enable_lora(2), "isn't yet built", "Call it on data")
    bound = built("conv1d", kernel_constraint="unit_norm")
    refused(lambda: bound.enable_lora(2), "incompatible with kernel constraints", "Leave out")
    bound = built("embedding", embeddings_constraint="unit_norm")
    refused(lambda: bound.enable_lora(2), "incompatible with embedding constraints")
    twice = built("embedding", lora_rank=1)
    refused(lambda: twice.enable_lora(2), "already enabled", "lora_rank=1")
    dense = built("dense", dtype="gptq/4/2_from_float32")
    refused(lambda: dense.enable_lora(2), "not currently supported with GPTQ")
    refused(lambda: dense(inputs_for("dense")), "calibrated integers", "gptq/4/2_from_float32")
    eight = built("dense", dtype="float8_from_float32")
    eight.enable_lora(2)
    refused(lambda: eight(inputs_for("dense")), "doesn't support LoRA")

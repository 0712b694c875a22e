"""Quantized and adapted models, made alike with any package that has Keras' interface."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RANK = 2
WORDS, STEPS = 11, 6


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers as float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


class Kind(NamedTuple):
    """How a kind of model is built, the shape of its inputs, and the modes to try."""

    build: Callable[[Any], Any]
    shape: tuple[int, ...]
    modes: tuple[str, ...]
    ids: int | None = None


def of_layer(name: str, *args: Any, **settings: Any) -> Callable[[Any], Any]:
    """A model of one layer."""

    def build(k: Any, inputs: Any) -> Any:
        return getattr(k.layers, name)(*args, name="it", **settings)(inputs)

    return build


def mlp(k: Any, inputs: Any) -> Any:
    x = k.layers.Dense(7, activation="relu", name="first")(inputs)
    x = k.layers.BatchNormalization(name="norm")(x)
    return k.layers.Dense(3, use_bias=False, name="last")(x)


def there_and_back(k: Any, inputs: Any, **settings: Any) -> Any:
    table = k.layers.ReversibleEmbedding(WORDS, 5, name="table", **settings)
    return table(k.layers.Dense(5, name="middle")(table(inputs)), reverse=True)


def untied(k: Any, inputs: Any) -> Any:
    return there_and_back(k, inputs, tie_weights=False, logit_soft_cap=0.5)


def blocks(k: Any, inputs: Any) -> Any:
    x = k.layers.Embedding(WORDS, 6, name="table")(inputs)
    for name in ("one", "two"):
        more = k.layers.Dense(9, activation="relu", name="more")
        x = k.Sequential([k.Input((STEPS, 6)), more, k.layers.Dense(6, name="less")], name=name)(x)
    return x


def attention(k: Any, inputs: Any) -> Any:
    return k.layers.MultiHeadAttention(2, 3, name="heads")(inputs, inputs)


INTEGERS = ("int8", "int8-weights", "int4", "int4-blocks", "int4-outputs")
ALL = (*INTEGERS, "float8", "lora", "int8-lora", "int4-lora")
SOME = ("int8", "int4-blocks", "int4-outputs", "float8", "int4-lora")
EMBEDDED = tuple(each for each in ALL if each not in ("float8", "int4-lora"))
"""Real Keras has float8 for products only, and cannot adapt an embedding of four bits."""

CALIBRATED = ("gptq", "gptq-8", "awq")

KINDS = {
    "mlp": Kind(mlp, (5,), ALL),
    "projection": Kind(
        of_layer("EinsumDense", "abc,cde->abde", (None, 2, 3), bias_axes="de"), (4, 5), ALL
    ),
    "inner": Kind(of_layer("EinsumDense", "ab,bcd->acd", (2, 3), bias_axes="d"), (5,), SOME),
    "combination": Kind(
        of_layer("EinsumDense", "abcd,cde->abe", (None, 5), activation="tanh"), (4, 2, 3), SOME
    ),
    "turned": Kind(of_layer("EinsumDense", "abc,db->adc", (3, 4)), (5, 4), ("int8", "float8")),
    "embedding": Kind(of_layer("Embedding", WORDS, 5), (STEPS,), EMBEDDED, ids=WORDS),
    "tied": Kind(there_and_back, (STEPS,), INTEGERS, ids=WORDS),
    "untied": Kind(untied, (STEPS,), INTEGERS, ids=WORDS),
    "attention": Kind(attention, (4, 5), ("lora", "int8", "int4-blocks")),
    "blocks": Kind(blocks, (STEPS,), CALIBRATED, ids=WORDS),
    "conv1d": Kind(of_layer("Conv1D", 4, 3, padding="causal"), (6, 2), ("lora",)),
    "conv2d": Kind(of_layer("Conv2D", 4, 2, groups=2), (5, 5, 2), ("lora",)),
    "conv3d": Kind(of_layer("Conv3D", 2, 2, use_bias=False), (3, 3, 3, 2), ("lora",)),
}
OURS = ("attention-int8", "attention-int4-blocks", *(f"blocks-{mode}" for mode in CALIBRATED))
"""Real Keras does not write how projections of attention are quantized, sees no inputs when it
calibrates, and does not write the zeros of calibrated kernels. It loads what we write of them.
"""
CASES = [f"{name}-{mode}" for name, kind in KINDS.items() for mode in kind.modes]


def parts_of(case: str) -> tuple[Kind, str]:
    """The kind and the mode of a case."""
    name, mode = case.split("-", 1)
    return KINDS[name], mode


def inputs_of(case: str) -> np.ndarray:
    """Inputs for two samples."""
    kind, _ = parts_of(case)
    if kind.ids is not None:
        generator = np.random.default_rng(len(case))
        return generator.integers(0, kind.ids, (2, *kind.shape), "int32")
    return numbers(2, *kind.shape)


def floats(k: Any, case: str) -> Any:
    """The model with float weights that follow from their shapes."""
    kind, _ = parts_of(case)
    inputs = k.Input(kind.shape, dtype="float32" if kind.ids is None else "int32", name="x")
    model = k.Model(inputs, kind.build(k, inputs), name="model")
    fill(model.weights)
    return model


def fill(weights: list[Any]) -> None:
    """Give weights values that follow from their shapes and places."""
    for place, weight in enumerate(weights):
        value = numbers(*weight.shape, seed=place)
        weight.assign(abs(value) + 0.5 if "variance" in weight.name else value)


class NoTokenizer:
    """For data that are integers already."""


CALIBRATION: dict[str, Any] = {
    "dataset": [np.random.default_rng(3).integers(0, WORDS, 90)],
    "tokenizer": NoTokenizer(),
    "num_samples": 5,
    "sequence_length": STEPS,
}
"""What the calibrated modes share."""


def structure_of(model: Any) -> dict[str, Any]:
    """The blocks of `blocks`."""
    table, *sequential = model.layers[1:]
    return {"pre_block_layers": [table], "sequential_blocks": sequential}


def config_of(k: Any, mode: str) -> Any:
    """What `Model.quantize` is given for a mode."""
    q, shared = k.quantizers, CALIBRATION
    if mode in CALIBRATED:
        return {
            "gptq": lambda: q.GPTQConfig(**shared, group_size=4, activation_order=True),
            "gptq-8": lambda: q.GPTQConfig(**shared, weight_bits=8, symmetric=True),
            "awq": lambda: q.AWQConfig(**shared, group_size=4),
        }[mode]()
    return {
        "int8": "int8",
        "int8-weights": q.Int8QuantizationConfig(activation_quantizer=None),
        "int4": "int4",
        "int4-blocks": q.Int4QuantizationConfig(block_size=2),
        "int4-outputs": q.Int4QuantizationConfig(
            block_size=-1, activation_quantizer=q.AbsMaxQuantizer()
        ),
        "float8": q.Float8QuantizationConfig(),
    }[mode]


def made(k: Any, case: str) -> Any:
    """The model of a case: quantized, and adapted where the mode says so."""
    _, mode = parts_of(case)
    model = floats(k, case)
    quantized = mode.removesuffix("lora").rstrip("-")
    if quantized:
        model.get_quantization_layer_structure = lambda mode: structure_of(model)
        model.quantize(config=config_of(k, quantized))
    if mode.endswith("lora"):
        adapt(model)
    return model


def adapt(model: Any) -> None:
    """Adapt all layers that can be, with products that are not zero."""
    for layer in model._flatten_layers():
        if hasattr(layer, "enable_lora"):
            layer.enable_lora(RANK, lora_alpha=3)
            fill([each for each in layer.weights if "lora" in each.name])


def listed(model: Any) -> list[list[Any]]:
    """Path, shape, type and role of each weight."""
    return [
        [each.path, list(each.shape), str(each.dtype), each.trainable] for each in model.weights
    ]

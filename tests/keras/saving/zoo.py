"""Models of different kinds, built alike with any package that has Keras' interface."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Kind(NamedTuple):
    """How a kind of model is built from a package, and the shapes of its inputs."""

    build: Callable[[Any], Any]
    shapes: list[tuple[int, ...]]
    is_integer: bool = False


def dense(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((5,)),
            layers.Dense(7, activation="relu", kernel_regularizer="l2"),
            layers.Dropout(0.3),
            layers.Dense(3, kernel_constraint=k.constraints.MaxNorm(2.0)),
            layers.Softmax(),
        ],
        name="dense_model",
    )


def several_ends(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((3,), name="b")
    x = k.layers.Concatenate()([k.layers.Dense(5, name="left")(a), b])
    y = k.ops.tanh(k.layers.Dense(4)(x)) * 2.0
    return k.Model([a, b], {"first": k.layers.Dense(1, name="first")(y), "second": y[:, 1:3]})


def images(k: Any) -> Any:
    layers = k.layers
    x = inputs = k.Input((12, 12, 3))
    for filters in (4, 6):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.SeparableConv2D(5, 2)(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2)(x)
    x = layers.GroupNormalization(2)(x)
    x = layers.Conv2DTranspose(3, 2)(x)
    return k.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def shared(k: Any) -> Any:
    a, b = k.Input((4,)), k.Input((4,))
    twin = k.layers.Dense(4, activation="gelu")
    x = k.layers.Add()([twin(twin(a)), twin(b)])
    return k.Model([a, b], k.layers.PReLU()(x))


def nested(k: Any) -> Any:
    inner = k.Sequential([k.layers.Dense(3), k.layers.LayerNormalization()], name="inner")
    x = inputs = k.Input((4,))
    part = k.Model(inputs, inner(k.layers.Dense(6)(x)), name="part")
    outer = k.Input((4,))
    y = k.layers.RMSNormalization()(part(outer))
    return k.Model(outer, k.layers.UnitNormalization()(k.layers.Dense(2)(y)))


def words(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((6,), dtype="int32"),
            layers.Embedding(20, 4, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(4)),
            layers.GRU(5, dropout=0.1),
            layers.Dense(2),
        ]
    )


def cells(k: Any) -> Any:
    layers = k.layers
    stack = layers.RNN([layers.LSTMCell(3), layers.GRUCell(4), layers.SimpleRNNCell(2)])
    x = inputs = k.Input((5, 3))
    y = layers.GRU(3, reset_after=False, return_sequences=True)(x)
    y = layers.SimpleRNN(4, return_sequences=True, go_backwards=True)(y)
    return k.Model(inputs, stack(y))


def attention(k: Any) -> Any:
    layers = k.layers
    x = inputs = k.Input((5, 8))
    y = layers.MultiHeadAttention(2, 3)(x, x)
    y = layers.LayerNormalization()(x + y)
    y = layers.GroupQueryAttention(4, 4, 2)(y, y)
    y = layers.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d")(y)
    y = layers.Attention(use_scale=True)([y, y])
    return k.Model(inputs, layers.AdditiveAttention()([y, y]))


def wrapped(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((6, 2)),
            layers.SpectralNormalization(layers.Conv1D(3, 2)),
            layers.Conv1DTranspose(2, 2),
            layers.Flatten(),
            layers.Dense(2, activation=layers.LeakyReLU(0.1)),
        ]
    )


def mixed(k: Any) -> Any:
    policy = "mixed_bfloat16"
    return k.Sequential(
        [
            k.Input((4,)),
            k.layers.Dense(6, dtype=policy, activation="silu"),
            k.layers.Dense(3, dtype="bfloat16"),
            k.layers.Dense(3, dtype="float16"),
            k.layers.Dense(2, dtype=policy),
            k.layers.Activation("linear", dtype="float32"),
        ]
    )


def subclassed(k: Any) -> Any:
    class Block(k.layers.Layer):
        def __init__(self, units: int, **kwargs: Any):
            super().__init__(**kwargs)
            self.units = units
            self.project = k.layers.Dense(units)
            self.norm = k.layers.LayerNormalization()
            self._hidden = k.layers.Dense(units, use_bias=False)

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")
            self.project.build(shape)
            inner = (*shape[:-1], self.units)
            self._hidden.build(inner)
            self.norm.build(inner)

        def call(self, x: Any) -> Any:
            return self.norm(self._hidden(self.project(x))) * self.scale

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    class Whole(k.Model):
        def __init__(self, width: int = 4, **kwargs: Any):
            super().__init__(**kwargs)
            self.width = width
            self.blocks = [Block(width), Block(width + 1), k.layers.Dense(width)]
            self.by_name = {"z": Block(3), "a": k.layers.Dense(2)}
            self.pairs = [(k.layers.Dense(2), k.layers.Dense(3)), [k.layers.Dense(2)]]
            self._last = k.layers.Dense(2)
            self.alias = self.blocks[0]

        def call(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            x = self.by_name["a"](self.by_name["z"](x))
            for pair in self.pairs:
                for layer in pair:
                    x = layer(x)
            return self._last(x)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "width": self.width}

    for cls in (Block, Whole):
        k.saving.register_keras_serializable("zoo")(cls)
    model = Whole(name="whole")
    model(np.zeros((1, 5), "float32"))
    return model


ZOO = {
    "dense": Kind(dense, [(5,)]),
    "several_ends": Kind(several_ends, [(4,), (3,)]),
    "images": Kind(images, [(12, 12, 3)]),
    "shared": Kind(shared, [(4,), (4,)]),
    "nested": Kind(nested, [(4,)]),
    "words": Kind(words, [(6,)], True),
    "cells": Kind(cells, [(5, 3)]),
    "attention": Kind(attention, [(5, 8)]),
    "wrapped": Kind(wrapped, [(6, 2)]),
    "mixed": Kind(mixed, [(4,)]),
    "subclassed": Kind(subclassed, [(5,)]),
}


def made(k: Any, name: str) -> Any:
    """A model of a kind, every weight with other values, the names counted from the start."""
    k.utils.clear_session(free_memory=False)
    model = ZOO[name].build(k)
    numbers = np.random.default_rng(7)
    for weight in model.weights:
        weight.assign(numbers.uniform(0.1, 0.9, tuple(weight.shape)).astype("float32"))
    return model


def inputs_of(name: str, batch: int = 3) -> Any:
    """Inputs for a kind of model."""
    kind = ZOO[name]
    numbers = np.random.default_rng(3)
    found = [
        numbers.integers(0, 20, (batch, *shape)).astype("int32")
        if kind.is_integer
        else numbers.normal(size=(batch, *shape)).astype("float32")
        for shape in kind.shapes
    ]
    return found[0] if len(found) == 1 else found


SHARD = 9e-7
"""Gigabytes of a file of weights: most of the models need several."""


def _adam(k: Any) -> Any:
    return k.optimizers.Adam(amsgrad=True)


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "adam": _adam,
    "adamw": lambda k: k.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0),
    "adamax": lambda k: k.optimizers.Adamax(),
    "nadam": lambda k: k.optimizers.Nadam(),
    "adafactor": lambda k: k.optimizers.Adafactor(),
    "adagrad": lambda k: k.optimizers.Adagrad(),
    "adadelta": lambda k: k.optimizers.Adadelta(),
    "ftrl": lambda k: k.optimizers.Ftrl(),
    "lamb": lambda k: k.optimizers.Lamb(),
    "lion": lambda k: k.optimizers.Lion(),
    "muon": lambda k: k.optimizers.Muon(),
    "rmsprop": lambda k: k.optimizers.RMSprop(centered=True, momentum=0.9),
    "sgd": lambda k: k.optimizers.SGD(k.optimizers.schedules.CosineDecay(0.1, 10), momentum=0.9),
    "averages": lambda k: k.optimizers.SGD(use_ema=True, gradient_accumulation_steps=2),
    "scaled": lambda k: k.optimizers.LossScaleOptimizer(_adam(k)),
    "schedule_free": lambda k: k.optimizers.ScheduleFreeAdamW(),
}


def optimized(k: Any, name: str) -> Any:
    """A compiled model whose optimizer has a state of random numbers."""
    model = made(k, "dense")
    model.compile(OPTIMIZERS[name](k), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    numbers = np.random.default_rng(1)
    for variable in model.optimizer.variables:
        value = numbers.uniform(1, 9, tuple(variable.shape))
        variable.assign(value.astype(np.asarray(variable.numpy()).dtype))
    return model

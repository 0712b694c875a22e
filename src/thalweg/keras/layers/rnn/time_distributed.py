"""TimeDistributed: a layer on each step of a sequence.

B samples, T steps. Layers that treat each sample by itself get all steps of all samples as one
batch, (B * T, ...); any other layer is called step by step.
"""

from typing import Any

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import ops, tree
from thalweg.keras.layers.core.dense import Dense
from thalweg.keras.layers.core.embedding import Embedding
from thalweg.keras.layers.core.input_layer import InputLayer
from thalweg.keras.layers.core.passing import Identity, Wrapper
from thalweg.keras.layers.layer import Layer
from thalweg.keras.layers.normalization.samples import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)
from thalweg.keras.layers.rnn.bidirectional import Bidirectional
from thalweg.keras.layers.rnn.loop import SPELLED_OUT, swap_time
from thalweg.keras.layers.rnn.recurrent import RNN

SAMPLEWISE = frozenset(
    {
        Dense, Embedding, Identity, InputLayer, GroupNormalization, LayerNormalization,
        RMSNormalization, UnitNormalization,
    }
)  # fmt: skip
"""Layers that treat each sample by itself."""

SAMPLEWISE_PACKAGES = tuple(
    f"thalweg.keras.layers.{name}."
    for name in ("activations", "convolutional", "pooling", "regularization", "reshaping")
)
"""Where all layers do. The classes of users are elsewhere."""

CHAINS = (
    "thalweg.keras.models.sequential.Sequential",
    "thalweg.keras.models.functional.Functional",
)
"""Models that do if all within them do; by name, for models stand above layers."""


class TimeDistributed(Wrapper):
    """The wrapped layer on each step of (B, T, ...), with the same weights.

    `mask` (B, T) is handed to the layer step by step, if its call takes masks. Raises ArgumentError
    for what is no layer or has no time axis.
    """

    def __init__(self, layer: Any, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ArgumentError(
                explain(
                    "TimeDistributed",
                    "Please initialize `TimeDistributed` layer with a `keras.layers.Layer` "
                    "instance",
                    repr(layer),
                )
            )
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _step_shape(self, input_shape: Any) -> tuple:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ArgumentError(
                explain(
                    self.name,
                    "a sequence (batch, time, ...); `TimeDistributed` Layer should be passed an "
                    "`input_shape` with at least 3 dimensions",
                    f"{input_shape}",
                    "Call the layer itself on data without a time axis.",
                )
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape: Any) -> None:
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        batch_size, *sizes = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (batch_size, input_shape[1], *sizes)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None:
            _check_mask(self.name, mask.shape, inputs.shape)
        layer = self.layer
        extra = {"training": training} if layer._call_has_training_arg else {}
        masks = mask if mask is not None and layer._call_has_mask_arg else None
        if is_samplewise(layer, len(inputs.shape) - 1):
            sizes = ops.shape(inputs)
            if masks is not None:
                extra["mask"] = ops.reshape(masks, (-1, *ops.shape(masks)[2:]))
            outputs = layer.call(ops.reshape(inputs, (-1, *sizes[2:])), **extra)
            return ops.reshape(outputs, (*sizes[:2], *ops.shape(outputs)[1:]))

        def step(row: tuple) -> Any:
            own = {**extra, "mask": row[1]} if len(row) > 1 else extra
            return layer.call(row[0], **own)

        rows = tuple(swap_time(each) for each in (inputs, masks) if each is not None)
        steps = ops.shape(rows[0])[0]
        if isinstance(steps, int) and steps <= SPELLED_OUT:
            found = [step(tuple(each[t] for each in rows)) for t in range(steps)]
            outputs = ops.stack(found, axis=0)
        else:
            _, outputs = ops.scan(lambda carry, row: (carry, step(row)), (), rows)
        return swap_time(outputs)


def _check_mask(name: str, mask: Any, inputs: Any) -> None:
    """Refuse a mask whose first two sizes are known to differ from those of the inputs."""
    pairs = zip(mask[:2], inputs[:2], strict=False)
    differ = any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
    if len(mask) < 2 or differ:
        raise ShapeError(
            explain(
                name,
                f"a mask of shape ({inputs[0]}, {inputs[1]}, ...)",
                f"The `mask` passed to the `TimeDistributed` layer has a shape {tuple(mask)} that "
                f"is incompatible with the input shape {tuple(inputs)}",
            )
        )


def is_samplewise(layer: Layer, rank: int) -> bool:
    """True for a layer known to treat each sample of its batch, of so many axes, by itself."""
    kind = type(layer)
    if f"{kind.__module__}.{kind.__name__}" in CHAINS:
        # The ranks within a model are not known here: -1 is the only axis from the end allowed.
        parts = getattr(layer, "_operations", None) or layer.layers
        return all(isinstance(each, Layer) and is_samplewise(each, 0) for each in parts)
    if kind is Bidirectional:
        return all(
            is_samplewise(each, rank) for each in (layer.forward_layer, layer.backward_layer)
        )
    if isinstance(layer, RNN) and kind.__module__.startswith("thalweg.keras.layers.rnn."):
        cells = [layer.cell, *getattr(layer.cell, "cells", ())]
        own = all(type(cell).__module__.startswith("thalweg.keras.layers.rnn.") for cell in cells)
        return own and not layer.stateful
    if kind not in SAMPLEWISE and not kind.__module__.startswith(SAMPLEWISE_PACKAGES):
        return False
    axes = tree.flatten(getattr(layer, "axis", -1))
    keeps_batch = all(axis == -1 or axis > 0 or -rank < axis < 0 for axis in axes)
    return keeps_batch and getattr(layer, "noise_shape", None) is None

"""Calibrated: a matrix of weights as integers that were chosen for the inputs it is to see."""

import math
from dataclasses import dataclass

import numpy as np

from thalweg.keras.quantizers.parameters import compute_quantization_parameters


@dataclass(frozen=True)
class Calibrated:
    """Levels from 0 (outputs, inputs), scale and zero (outputs, groups), the group of each input
    (inputs,), and what the rows of inputs were multiplied by before (inputs,), None for nothing.
    """

    levels: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    groups: np.ndarray
    input_scales: np.ndarray | None = None


def group_parameters(
    weights: np.ndarray,
    bits: int,
    group_size: int = -1,
    symmetric: bool = False,
    per_channel: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Scale, float32, and zero, uint8, (outputs, groups) for weights (outputs, inputs).

    The range of a group holds 0, or if `symmetric` the negative of each weight too: with weights of
    one sign the zero would else be no level, and they would be cut off.
    """
    outputs, inputs = weights.shape
    size = inputs if group_size == -1 else group_size
    groups = math.ceil(inputs / size)
    rows = np.pad(weights, ((0, 0), (0, groups * size - inputs))).reshape(outputs, groups, size)
    more = -rows if symmetric else np.zeros_like(rows[..., :1])
    rows = np.concatenate([rows, more], axis=-1)
    scale, zero, _ = compute_quantization_parameters(
        rows.reshape(outputs, -1).astype("float32"),
        bits=bits,
        symmetric=symmetric,
        per_channel=per_channel,
        group_size=rows.shape[-1],
    )
    return np.asarray(scale.numpy()), np.asarray(zero.numpy())

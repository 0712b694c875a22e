"""AWQ: weights whose inputs are large are scaled up before they are rounded, the others down.

Lin et al., https://arxiv.org/abs/2306.00978. The scales are a power, tried from 0 to 1, of the
largest size of each input; the best has the least error of the outputs.
"""

from typing import Any

import numpy as np

from thalweg.keras import ops
from thalweg.keras.quantizers.calibrated import Calibrated, group_parameters
from thalweg.keras.quantizers.calibrated_config import AWQConfig
from thalweg.keras.quantizers.gptq import observed_rows
from thalweg.keras.quantizers.parameters import dequantize_with_sz_map, quantize_with_sz_map

BITS = 4
LEAST = 1e-8
"""Below this an input counts as one that is never there."""
LEAST_SCALE = 1e-4


class LargestInputs:
    """The largest size of each input seen, and the weights that are rounded by it."""

    def __init__(self, inputs: int, config: AWQConfig):
        self.config = config
        self.largest = np.zeros(inputs, dtype="float32")

    def see(self, x: Any) -> None:
        """Take inputs (..., inputs) into account."""
        rows = observed_rows("AWQ", x, len(self.largest))
        self.largest = np.maximum(self.largest, np.abs(rows).max(axis=0))

    def calibrated(self, weights: np.ndarray) -> Calibrated:
        """Weights (inputs, outputs) as integers."""
        return scaled_and_rounded(
            weights.T.astype("float32"),
            self.largest,
            self.config.num_grid_points,
            self.config.group_size,
        )


def scaled_and_rounded(
    weights: np.ndarray, largest: np.ndarray, num_grid_points: int = 20, group_size: int = -1
) -> Calibrated:
    """Weights (outputs, inputs) as integers, given the largest size of each input (inputs,)."""
    largest = np.where(largest < LEAST, 1, largest).astype("float32")
    tried = (
        _tried(weights, _scales(largest, place / num_grid_points), group_size)
        for place in range(num_grid_points + 1)
    )
    errors = ((_error(weights, largest, each), each) for each in tried)
    return min(errors, key=lambda pair: pair[0])[1]


def _scales(largest: np.ndarray, power: float) -> np.ndarray:
    """The inputs' sizes to a power, about 1 in the middle."""
    scales = np.maximum(largest**power, LEAST_SCALE)
    return (scales / max(np.sqrt(scales.max() * scales.min()), LEAST)).astype("float32")


def _tried(weights: np.ndarray, scales: np.ndarray, group_size: int) -> Calibrated:
    inputs = weights.shape[1]
    scaled = weights * scales
    groups = np.arange(inputs) // (inputs if group_size == -1 else group_size)
    scale, zero = group_parameters(scaled, BITS, group_size)
    levels = quantize_with_sz_map(scaled, scale, zero, groups, 2**BITS - 1)
    return Calibrated(np.asarray(levels.numpy()), scale, zero, groups.astype("float32"), scales)


def _error(weights: np.ndarray, largest: np.ndarray, found: Calibrated) -> float:
    """The mean square error, each input counted by its size."""
    back = dequantize_with_sz_map(found.levels, found.scale, found.zero, found.groups)
    errors = (weights - np.asarray(ops.convert_to_numpy(back)) / found.input_scales) * largest
    return float(np.square(errors).mean())

"""GPTQ: weights rounded one input after another, each making good the errors of those before.

Frantar et al., https://arxiv.org/abs/2210.17323. With H the second moments of the inputs and U the
upper Cholesky factor of its inverse, rounding column j of the weights W to q changes the rest:

    e = (W[:, j] - q) / U[j, j]        W[:, j+1:] -= e * U[j, j+1:]
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.keras import ops
from thalweg.keras.quantizers.calibrated import Calibrated, group_parameters
from thalweg.keras.quantizers.calibrated_config import GPTQConfig

BLOCK = 128
"""So many inputs are corrected by each other at once; those behind them by one product."""


class SecondMoments:
    """The mean of 2 x xᵀ over all inputs seen, and the weights that are rounded by it."""

    def __init__(self, inputs: int, config: GPTQConfig):
        self.config = config
        self.moments = np.zeros((inputs, inputs))
        self.count = 0

    def see(self, x: Any) -> None:
        """Take inputs (..., inputs) into account."""
        rows = observed_rows("GPTQ", x, len(self.moments)).astype("float64")
        before, self.count = self.count, self.count + len(rows)
        self.moments *= before / self.count
        self.moments += 2 / self.count * (rows.T @ rows)

    def calibrated(self, weights: np.ndarray) -> Calibrated:
        """Weights (inputs, outputs) as integers."""
        config = self.config

        def parameters(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return group_parameters(
                part,
                config.weight_bits,
                symmetric=config.symmetric,
                per_channel=config.per_channel,
            )

        return rounded_in_order(
            weights.T.astype("float64"),
            damped(self.moments, config.hessian_damping),
            parameters,
            2**config.weight_bits - 1,
            config.group_size,
            config.activation_order,
        )


def observed_rows(where: str, x: Any, inputs: int) -> np.ndarray:
    """Inputs as rows (count, inputs), float32.

    Raises ArgumentError for none, ShapeError for others.
    """
    if x is None:
        raise ArgumentError(explain(where, "inputs; Input tensor cannot be None.", "None"))
    x = np.asarray(ops.convert_to_numpy(x), "float32")
    if x.size == 0:
        raise ArgumentError(
            explain(where, "inputs; Input tensor cannot be empty.", f"shape {x.shape}")
        )
    if x.size % inputs:
        raise ShapeError(explain(where, f"inputs of {inputs} features", f"shape {x.shape}"))
    return x.reshape(-1, inputs)


def damped(moments: np.ndarray, damping: float) -> np.ndarray:
    """Moments with an inverse: 1 for inputs that were always 0, and a part of the mean more."""
    found = moments.copy()
    diagonal = np.einsum("ii->i", found)
    diagonal[diagonal == 0] = 1
    diagonal += damping * diagonal.mean()
    return found


def rounded_in_order(
    weights: np.ndarray,
    moments: np.ndarray,
    parameters: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    last_level: int,
    group_size: int = -1,
    activation_order: bool = False,
) -> Calibrated:
    """Weights (outputs, inputs) as integers, given the moments (inputs, inputs).

    `parameters` gives scale and zero (outputs, 1) for the weights of a group; `activation_order`
    begins with the inputs of the largest moments.
    """
    inputs = weights.shape[1]
    order = np.arange(inputs)
    if activation_order:
        order = np.argsort(-np.diag(moments), kind="stable")
    weights, moments = weights[:, order].copy(), moments[np.ix_(order, order)]
    factor = np.linalg.cholesky(np.linalg.inv(moments)).T
    size = inputs if group_size == -1 else group_size
    levels = np.zeros(weights.shape, dtype="int32")
    scales: list[np.ndarray] = []
    zeros: list[np.ndarray] = []
    for start in range(0, inputs, BLOCK):
        stop = min(start + BLOCK, inputs)
        errors = np.zeros((len(weights), stop - start))
        for j in range(start, stop):
            if j % size == 0:
                # The errors of this block so far reach the rest of a group only now.
                group = weights[:, j : j + size].copy()
                if stop < j + size:
                    done = errors[:, : j - start] @ factor[start:j, stop : j + size]
                    group[:, stop - j :] -= done
                scale, zero = parameters(group)
                scales.append(scale)
                zeros.append(zero)
            step, first = scales[-1][:, 0].astype("float64"), zeros[-1][:, 0].astype("float64")
            level = np.clip(np.round(weights[:, j] / step + first), 0, last_level)
            levels[:, j] = level
            error = (weights[:, j] - (level - first) * step) / factor[j, j]
            weights[:, j + 1 : stop] -= np.outer(error, factor[j, j + 1 : stop])
            errors[:, j - start] = error
        weights[:, stop:] -= errors @ factor[start:stop, stop:]
    back = np.argsort(order)
    return Calibrated(
        levels[:, back],
        np.concatenate(scales, axis=1),
        np.concatenate(zeros, axis=1),
        (np.arange(inputs) // size).astype("float32")[back],
    )

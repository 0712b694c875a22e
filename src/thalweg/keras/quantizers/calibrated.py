"""Calibrated: a matrix of weights as integers that were chosen for the inputs it is to see."""

from dataclasses import dataclass

import numpy as np


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

"""Declares every op by importing every family."""

from thalweg.ir import leaves
from thalweg.ops import (
    broadcast,
    contract,
    elementwise,
    fft,
    index,
    linalg,
    mark,
    movement,
    reduce,
    sort,
    window,
)

FAMILIES = (
    leaves,
    broadcast,
    elementwise,
    mark,
    movement,
    reduce,
    index,
    sort,
    contract,
    window,
    linalg,
    fft,
)

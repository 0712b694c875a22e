"""Declares every op by importing every family."""

from thalweg.ir import leaves
from thalweg.ops import (
    broadcast,
    composite,
    contract,
    control,
    elementwise,
    fft,
    index,
    linalg,
    mark,
    movement,
    random,
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
    random,
    composite,
    control,
)

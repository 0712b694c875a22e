"""Pools: the largest value or the mean of windows, or of a given number of windows.

Windows are those of the array floor, on channels last; inputs with channels first are transposed
at the edge.
"""

from typing import Any

from thalweg.array import nn
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import op
from thalweg.keras.ops.nn.convolution import standardize_padding
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.variable import tensor

Sizes = int | tuple[int, ...]


@op
def max_pool(
    inputs: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest value of every window; `strides` are the windows' sizes by default.

    [N, spatial..., C], or [N, C, spatial...] with channels first; `padding` is "valid" or "same".
    """
    padding = standardize_padding("max_pool", padding)
    layout = standardize_data_format(data_format)
    return nn.max_pool(tensor(inputs), pool_size, strides, padding, layout)


@op
def average_pool(
    inputs: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of every window over the places inside the inputs: padding does not count.

    Shapes are those of `max_pool`; integers give float32.
    """
    padding = standardize_padding("average_pool", padding)
    layout = standardize_data_format(data_format)
    return nn.average_pool(tensor(inputs), pool_size, strides, padding, layout)


@op
def adaptive_max_pool(inputs: Any, output_size: Sizes, data_format: str | None = None) -> Tensor:
    """The largest value of each of `output_size` windows along every spatial axis.

    [N, H, W, C] with (h, w) -> [N, h, w, C]. Windows differ by one place at most, and overlap
    where the sizes do not divide.
    """
    return nn.adaptive_max_pool(tensor(inputs), output_size, standardize_data_format(data_format))


@op
def adaptive_average_pool(
    inputs: Any, output_size: Sizes, data_format: str | None = None
) -> Tensor:
    """The mean of each of `output_size` windows along every spatial axis; see adaptive_max_pool."""
    layout = standardize_data_format(data_format)
    return nn.adaptive_average_pool(tensor(inputs), output_size, layout)

"""Windows of images as columns, their sum, and blocks of pixels as channels."""

from typing import Any

from thalweg.array import patches
from thalweg.base.errors import ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.operation import op
from thalweg.keras.settings import standardize_data_format
from thalweg.keras.variable import tensor

Sizes = int | tuple[int, ...]


def _ranked(name: str, x: Any, rank: int, layout: str) -> Tensor:
    found = tensor(x)
    if found.ndim != rank:
        raise ShapeError(
            explain(
                name,
                f"x of shape {layout}; input must be a {rank}D tensor",
                f"shape {tuple(found.shape)}",
            )
        )
    return found


@op
def unfold(
    x: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """The windows of images as columns: (N, C, H, W) -> (N, C * h * w, L), L windows of h by w.

    `padding` zeros lie on both ends of each axis; names and order are PyTorch's.
    """
    image = _ranked("unfold", x, 4, "(N, C, H, W)")
    return patches.unfold(image, kernel_size, dilation, padding, stride)


@op
def fold(
    x: Any,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:
    """The sum of windows where `unfold` cut them: (N, C * h * w, L) -> (N, C, *output_size)."""
    columns = _ranked("fold", x, 3, "(N, C * h * w, L)")
    return patches.fold(columns, output_size, kernel_size, dilation, padding, stride)


@op
def depth_to_space(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Channels laid out as blocks of pixels: (N, H, W, b * b * C) -> (N, b * H, b * W, C)."""
    return patches.depth_to_space(tensor(x), block_size, standardize_data_format(data_format))


@op
def space_to_depth(x: Any, block_size: int, data_format: str | None = "channels_last") -> Tensor:
    """Blocks of pixels as channels: (N, b * H, b * W, C) -> (N, H, W, b * b * C)."""
    return patches.space_to_depth(tensor(x), block_size, standardize_data_format(data_format))

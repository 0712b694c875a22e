"""Classes of pixels as colours over images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentTypeError, ShapeError, explain
from thalweg.keras.visualization.layouts import batch_of, restored

WHERE = "draw_segmentation_masks"
PALETTE = np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])  # far apart modulo 255


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Sequence[int]] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """The images (B, H, W, 3), values 0 to 255, as uint8 with the colours of classes over them.

    Masks are integers (B, H, W) or (B, H, W, 1). Classes from 0 up to below `num_classes` (all that
    occur where it is left out) are painted in the colour that `color_mapping` gives, or one of a
    palette in which 0 is black; others, those without a colour and `ignore_index` are not. With
    `blend` a colour covers a share `alpha` of what it lies on, else all.

    Errors: ShapeError for shapes that do not fit; ArgumentTypeError for masks that are no integers.
    """
    arrays, is_first = batch_of(WHERE, images, data_format)
    masks = np.asarray(segmentation_masks)
    if masks.dtype.kind not in "iu":
        raise ArgumentTypeError(
            explain(
                WHERE,
                "`segmentation_masks` must be in integer dtype",
                f"segmentation_masks.dtype={masks.dtype}",
                "Write segmentation_masks.astype('int32').",
            )
        )
    if masks.ndim == 4:
        masks = masks[:, 0] if is_first else masks[..., 0]
    if masks.shape != arrays.shape[:3]:
        raise ShapeError(
            explain(
                WHERE,
                f"a class for each pixel, masks of shape {arrays.shape[:3]}",
                f"{np.shape(segmentation_masks)}",
            )
        )
    if num_classes is None:
        num_classes = int(masks.max(initial=-1)) + 1
    base = arrays.astype(np.float32)
    painted = base.copy()
    for label in range(num_classes):
        color: Any = label * PALETTE % 255 if color_mapping is None else color_mapping.get(label)
        if color is not None and label != ignore_index:
            painted[masks == label] = color
    if blend:
        painted = base * np.float32(1 - alpha) + painted * np.float32(alpha)
        painted = np.where((masks == ignore_index)[..., None], base, painted)
    return restored(np.clip(painted, 0, 255).astype(np.uint8), is_first)

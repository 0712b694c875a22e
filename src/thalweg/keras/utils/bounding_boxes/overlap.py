"""How much boxes overlap: the area they share over the area they cover together."""

import math
from typing import Any

from thalweg.array.elementwise import atan, logical_or, maximum, minimum, square
from thalweg.array.manipulation import expand_dims, squeeze, swapaxes
from thalweg.array.searching import where
from thalweg.array.statistical import max
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import settings
from thalweg.keras.utils.bounding_boxes.formats import convert_format, format_of, quarters
from thalweg.keras.variable import tensor


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: Any = -1,
    image_shape: Any = None,
) -> Tensor:
    """The overlap ([B,] M, N), 0 to 1, of each box of ([B,] M, 4) with each of ([B,] N, 4).

    With `use_masking`, pairs in which a box has only negative numbers get `mask_val`. `image_shape`
    (height, width, channels) is needed for relative formats.

    Errors: ShapeError for boxes of another rank than 2 or 3; ArgumentError for an unknown format.
    """
    name = "compute_iou"
    boxes1, boxes2 = tensor(boxes1), tensor(boxes2)
    for argument, boxes in (("boxes1", boxes1), ("boxes2", boxes2)):
        if len(boxes.shape) not in (2, 3):
            raise ShapeError(
                explain(
                    name,
                    f"expects {argument} to be batched, or to be unbatched: (batch, N, 4) or"
                    " (N, 4)",
                    f"{argument}.shape={boxes.shape}",
                )
            )
    boxes1 = _converted(name, boxes1, bounding_box_format, "yxyx", image_shape)
    boxes2 = _converted(name, boxes2, bounding_box_format, "yxyx", image_shape)
    top1, left1, bottom1, right1 = quarters(boxes1)  # (..., M, 1)
    top2, left2, bottom2, right2 = [swapaxes(part, -1, -2) for part in quarters(boxes2)]
    height = maximum(minimum(bottom1, bottom2) - maximum(top1, top2), 0)
    width = maximum(minimum(right1, right2) - maximum(left1, left2), 0)
    shared = height * width  # (..., M, N)
    area1, area2 = (bottom1 - top1) * (right1 - left1), (bottom2 - top2) * (right2 - left2)
    overlap = shared / (area1 + area2 - shared + settings.epsilon())
    if not use_masking:
        return overlap
    is_empty1 = expand_dims(max(boxes1, axis=-1) < 0, axis=-1)
    is_empty2 = expand_dims(max(boxes2, axis=-1) < 0, axis=-2)
    return where(logical_or(is_empty1, is_empty2), tensor(mask_val, overlap.dtype), overlap)


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any = None
) -> Tensor:
    """The complete overlap (...) of boxes (..., 4), pair by pair: at most 1, less the farther apart
    their middles are and the less their proportions agree.

    `image_shape` (height, width, channels) is needed for relative formats.

    Errors: ArgumentError for an unknown format. Source: Zheng et al., arXiv:1911.08287.
    """
    name = "compute_ciou"
    small = settings.epsilon()
    boxes1 = _converted(name, boxes1, bounding_box_format, "xyxy", image_shape)
    boxes2 = _converted(name, boxes2, bounding_box_format, "xyxy", image_shape)
    left1, top1, right1, bottom1 = quarters(boxes1)
    left2, top2, right2, bottom2 = quarters(boxes2)
    width1, height1 = right1 - left1, bottom1 - top1 + small
    width2, height2 = right2 - left2, bottom2 - top2 + small
    shared = maximum(minimum(right1, right2) - maximum(left1, left2), 0) * maximum(
        minimum(bottom1, bottom2) - maximum(top1, top2), 0
    )
    union = width1 * height1 + width2 * height2 - shared + small
    overlap = shared / (union + small)
    hull_width = maximum(right1, right2) - minimum(left1, left2)
    hull_height = maximum(bottom1, bottom2) - minimum(top1, top2)
    diagonal = square(hull_width) + square(hull_height) + small
    distance = square((left1 + right1) / 2 - (left2 + right2) / 2) + square(
        (top1 + bottom1) / 2 - (top2 + bottom2) / 2
    )
    unlike = 4 / math.pi**2 * square(atan(width2 / height2) - atan(width1 / height1))
    weight = unlike / (unlike - overlap + (1 + small))
    return squeeze(overlap - (distance / diagonal + unlike * weight), axis=-1)


def _converted(name: str, boxes: Any, source: str, target: str, image_shape: Any) -> Tensor:
    if format_of(name, source).is_relative and image_shape is None:
        raise ArgumentError(
            explain(
                name,
                "the image's size for relative boxes: the `image_shape` argument must be provided",
                f"bounding_box_format={source!r} and image_shape=None",
            )
        )
    height, width = (None, None) if image_shape is None else image_shape[:2]
    return convert_format(boxes, source, target, height, width)

"""Boxes follow their image: clipped to it, cropped, padded, turned and sheared.

All of these take boxes as left, top, right, bottom ("xyxy").
"""

import math
from typing import Any

from thalweg.array.creation import asarray, ones
from thalweg.array.data_types import astype
from thalweg.array.elementwise import cos, maximum, minimum, sin, tan
from thalweg.array.linalg import einsum
from thalweg.array.manipulation import broadcast_to, concat, expand_dims, reshape, squeeze, stack
from thalweg.array.searching import where
from thalweg.array.statistical import max, min
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.utils.bounding_boxes.formats import joined, quarters
from thalweg.keras.variable import tensor

DEGREE = math.pi / 180


class FormatError(ArgumentError, NotImplementedError):
    """A format of boxes that a function does not take."""


def _check_format(name: str, given: str, among: tuple[str, ...] = ("xyxy",)) -> None:
    if given not in among:
        raise FormatError(
            explain(
                name,
                f"boxes in one of the formats {', '.join(among)}",
                f"bounding_box_format={given!r}",
                "Write convert_format(boxes, source, 'xyxy', ...) first.",
            )
        )


def _corners(boxes: Any) -> list[Any]:
    return quarters(tensor(boxes))


def clip_to_image_size(
    bounding_boxes: dict[str, Any],
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """Boxes cut off at the image's edges; the label of one without an area left becomes -1.

    `bounding_boxes` is a dict with "boxes" (..., 4) and maybe "labels" (...); so is the result.
    The format is "xyxy" or "rel_xyxy".

    Errors: ArgumentError without the image's size, or for another format.
    """
    name = "clip_to_image_size"
    _check_format(name, bounding_box_format, ("xyxy", "rel_xyxy"))
    if bounding_box_format == "rel_xyxy":
        height = width = 1.0
    elif height is None or width is None:
        raise ArgumentError(
            explain(
                name,
                "the image's size: `height` and `width` must be set if `format='xyxy'`",
                f"height={height} and width={width}",
            )
        )
    boxes = tensor(bounding_boxes["boxes"])
    parts = _within(quarters(boxes), height, width)
    result = {**bounding_boxes, "boxes": joined(parts)}
    labels = bounding_boxes.get("labels")
    if labels is not None:
        left, top, right, bottom = parts
        areas = squeeze((right - left) * (bottom - top), axis=-1)
        result["labels"] = where(areas > 0, tensor(labels), -1)
    return result


def _within(parts: list[Any], height: Any, width: Any) -> list[Any]:
    sides = [astype(asarray(size), parts[0].dtype) for size in (width, height)]
    return [minimum(maximum(part, 0), sides[place % 2]) for place, part in enumerate(parts)]


def crop(
    boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy"
) -> Tensor:
    """Boxes (..., 4) as they lie in the part of the image that is cut out, clipped to it.

    Errors: ArgumentError for another format than "xyxy".
    """
    _check_format("crop", bounding_box_format)
    x1, y1, x2, y2 = _corners(boxes)
    return joined(_within([x1 - left, y1 - top, x2 - left, y2 - top], height, width))


def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """Boxes (..., 4) as they lie in an image with so much added above and to the left.

    `height` and `width` do not matter.

    Errors: ArgumentError for another format than "xyxy".
    """
    _check_format("pad", bounding_box_format)
    x1, y1, x2, y2 = _corners(boxes)
    return joined([x1 + left, y1 + top, x2 + left, y2 + top])


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:
    """The upright boxes around boxes (B, N, 4) or (N, 4) that are turned, moved and sheared.

    `angle` and the shears are in degrees, translations and centre in shares of the image's size;
    each is one number or one for each image (B,).

    Errors: ArgumentError for another format than "xyxy"; ShapeError for boxes of another rank.
    """
    _check_format("affine_transform", bounding_box_format)
    boxes = tensor(boxes)
    rank = len(boxes.shape)
    if rank not in (2, 3):
        raise ShapeError(
            explain("affine_transform", "boxes (N, 4) or (batch, N, 4)", f"{boxes.shape}")
        )
    angle = tensor(angle)
    boxes = astype(boxes, angle.dtype if angle.dtype.is_inexact else "float32")
    if rank == 2:
        boxes = expand_dims(boxes, axis=0)
    count = boxes.shape[0]

    def each(value: Any) -> Tensor:
        value = astype(tensor(value), boxes.dtype)
        return broadcast_to(reshape(value, (-1,)) if len(value.shape) else value, (count,))

    matrix = _inverse_matrix(
        each(angle), each(translate_x), each(translate_y), each(scale), each(shear_x),
        each(shear_y), each(height), each(width), each(0.5 if center_x is None else center_x),
        each(0.5 if center_y is None else center_y),
    )  # fmt: skip
    x1, y1, x2, y2 = quarters(boxes)
    xs = concat([x1, x2, x2, x1], axis=-1)  # (B, N, 4): the corners, one after the other
    ys = concat([y1, y1, y2, y2], axis=-1)
    points = stack([xs, ys, ones(xs.shape, dtype=xs.dtype)], axis=-1)  # (B, N, 4, 3)
    moved = einsum("bnpc,bdc->bnpd", points, matrix)  # (B, N, 4, 2)
    result = concat([min(moved, axis=2), max(moved, axis=2)], axis=-1)
    return result if rank == 3 else squeeze(result, axis=0)


def _inverse_matrix(
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any,
    center_y: Any,
) -> Tensor:
    """(B, 2, 3): from places of the transformed image to places of the original one."""
    turn, tilt_x, tilt_y = -angle * DEGREE, -shear_x * DEGREE, -shear_y * DEGREE
    x, y = center_x * (width - 1), center_y * (height - 1)
    # The inverse of: move the centre to the origin, shear, turn, move back and translate.
    cosine, sine = cos(turn - tilt_y) / cos(tilt_y), sin(turn - tilt_y) / cos(tilt_y)
    xx = (cos(turn) + sine * tan(tilt_x)) * scale
    xy = -(cosine * tan(tilt_x) + sin(turn)) * scale
    yx, yy = sine * scale, cosine * scale
    from_x, from_y = x - translate_x * (width - 1), y - translate_y * (height - 1)
    rows = [
        stack([xx, xy, x - xx * from_x - xy * from_y], axis=-1),
        stack([yx, yy, y - yx * from_x - yy * from_y], axis=-1),
    ]
    return stack(rows, axis=1)

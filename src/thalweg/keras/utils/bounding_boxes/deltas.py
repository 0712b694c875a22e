"""Boxes as small differences from anchors, which is what detectors learn.

delta = ((center - anchor center) / anchor size, log(size / anchor size)) / variance
"""

from typing import Any

from thalweg.array.elementwise import exp, log, maximum
from thalweg.array.manipulation import concat
from thalweg.base.errors import ArgumentError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import settings
from thalweg.keras.utils.bounding_boxes.formats import convert_format
from thalweg.keras.variable import tensor

CENTERED = ("center_xywh", "center_yxhw")


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Tensor:
    """The differences (..., N, 4) of boxes (..., N, 4) from anchors (N, 4), divided by `variance`.

    `image_shape` (height, width, channels) is needed for relative formats.

    Errors: ArgumentError for an encoding that is not centred, or a variance of another length.
    """
    name = "encode_box_to_deltas"
    scale = _variance(name, variance)
    _check_encoding(name, "encoding_format", encoding_format)
    height, width = _size(image_shape)
    anchors = convert_format(anchors, anchor_format, encoding_format, height, width)
    boxes = convert_format(boxes, box_format, encoding_format, height, width)
    anchor_size = maximum(anchors[..., 2:], settings.epsilon())
    box_size = maximum(boxes[..., 2:], settings.epsilon())
    moves = (boxes[..., :2] - anchors[..., :2]) / anchor_size
    deltas = concat([moves, log(box_size / anchor_size)], axis=-1)
    return deltas if scale is None else deltas / scale


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """The boxes (..., N, 4) of their differences from anchors (N, 4).

    Both may be dicts with the same keys, one entry for each level of a pyramid.

    Errors: ArgumentError for an encoding that is not centred, or a variance of another length.
    """
    name = "decode_deltas_to_boxes"
    scale = _variance(name, variance)
    _check_encoding(name, "encoded_format", encoded_format)
    height, width = _size(image_shape)

    def decoded(anchor: Any, delta: Any) -> Tensor:
        anchor = convert_format(anchor, anchor_format, encoded_format, height, width)
        delta = tensor(delta, anchor.dtype)
        delta = delta if scale is None else delta * scale
        center = delta[..., :2] * anchor[..., 2:] + anchor[..., :2]
        boxes = concat([center, exp(delta[..., 2:]) * anchor[..., 2:]], axis=-1)
        return convert_format(boxes, encoded_format, box_format, height, width)

    if isinstance(anchors, dict) and isinstance(boxes_delta, dict):
        return {level: decoded(anchor, boxes_delta[level]) for level, anchor in anchors.items()}
    return decoded(anchors, boxes_delta)


def _variance(name: str, variance: Any) -> Tensor | None:
    if variance is None:
        return None
    found = tensor(variance, "float32")
    if not found.shape or found.shape[-1] != 4:
        raise ArgumentError(explain(name, "`variance` must be length 4", f"{variance}"))
    return found


def _check_encoding(name: str, argument: str, given: str) -> None:
    if given not in CENTERED:
        raise ArgumentError(
            explain(
                name,
                f"`{argument}` should be one of 'center_xywh' or 'center_yxhw'",
                f"{argument}={given!r}",
            )
        )


def _size(image_shape: Any) -> tuple[Any, Any]:
    if image_shape is None:
        return None, None
    return image_shape[0], image_shape[1]

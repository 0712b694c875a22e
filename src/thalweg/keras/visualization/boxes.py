"""Bounding boxes and the names of what is in them, drawn on images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras import door
from thalweg.keras.utils.bounding_boxes import convert_format
from thalweg.keras.visualization.layouts import as_bytes, batch_of, restored

WHERE = "draw_bounding_boxes"
FONT_PIXELS = 22  # the height of letters at font_scale 1


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: dict[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Sequence[int] = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int | None = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """The images (B, H, W, 1, 3 or 4) as uint8 with frames around boxes.

    `bounding_boxes` holds "boxes" (B, N, 4), "labels" (B, N) and maybe "confidences" (B, N). A box
    with the label -1 is none; a label in `class_mapping` is written beside its box, with the
    confidence. Floats of at most 1 are taken as shares of 255.

    Errors: ShapeError for images of another rank; ArgumentTypeError when the boxes are no dict;
    ArgumentError when it lacks boxes or labels; MissingLibraryError without Pillow.
    """
    pillow = door.pillow_image(WHERE)
    arrays, is_first = batch_of(WHERE, images, data_format)
    if not isinstance(bounding_boxes, dict):
        raise ArgumentTypeError(
            explain(
                WHERE,
                "`bounding_boxes` should be a dict",
                f"{type(bounding_boxes).__name__} {bounding_boxes!r:.100}",
            )
        )
    if "boxes" not in bounding_boxes or "labels" not in bounding_boxes:
        raise ArgumentError(
            explain(
                WHERE,
                "`bounding_boxes` should be a dict containing 'boxes' and 'labels' keys",
                f"the keys {list(bounding_boxes)}",
            )
        )
    height, width = arrays.shape[1:3]
    boxes = convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width)
    corners = np.asarray(boxes).astype(np.int32)
    labels = np.asarray(bounding_boxes["labels"]).astype(np.int64)
    confidences = bounding_boxes.get("confidences")
    confidences = None if confidences is None else np.asarray(confidences)
    pixels = as_bytes(arrays)
    result = []
    for number, each in enumerate(pixels):
        is_grey = each.shape[-1] == 1
        picture = pillow.fromarray(each[..., 0] if is_grey else each)
        pen = door.pillow_draw(WHERE).Draw(picture)
        ink = int(np.mean(color)) if is_grey else (*map(int, color), 255)[: each.shape[-1]]
        for place, (box, label) in enumerate(zip(corners[number], labels[number], strict=True)):
            if label == -1:
                continue
            _frame(pen, box.tolist(), ink, line_thickness)
            text = (class_mapping or {}).get(int(label))
            if text is None:
                continue
            if confidences is not None:
                text = f"{text} | {float(confidences[number][place]):.2f}"
            _write(pen, box.tolist(), text, ink, font_scale, text_thickness or line_thickness)
        drawn = np.asarray(picture)
        result.append(drawn[..., None] if is_grey else drawn)
    return restored(np.stack(result), is_first)


def _frame(pen: Any, box: list[int], ink: Any, thickness: int) -> None:
    """A rectangle whose line has the box's edge in its middle."""
    left, top, right, bottom = box
    outer = thickness // 2
    corners = [(min(left, right) - outer, min(top, bottom) - outer)]
    corners += [(max(left, right) + outer, max(top, bottom) + outer)]
    pen.rectangle(corners, outline=ink, width=max(1, thickness))


def _write(pen: Any, box: list[int], text: str, ink: Any, scale: float, thickness: int) -> None:
    """The text above the box, or inside where there is no room above."""
    size = FONT_PIXELS * scale
    left, top = box[:2]
    above = top - 8 - size
    place = (left, above) if above > 0 else (left + 3, top + 3 + thickness)
    font = door.pillow_font(WHERE, size)
    pen.text(place, text, fill=ink, font=font, stroke_width=max(0, thickness - 1) // 2)

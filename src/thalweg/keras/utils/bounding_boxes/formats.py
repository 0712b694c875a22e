"""What the four numbers of a bounding box mean, and how one meaning turns into another.

    corners        left, top, right, bottom            xyxy
    size           left, top, width, height            xywh
    center         middle (x and y), width, height     center_xywh

"yx" and "hw" put the vertical number of each pair first; "rel_" measures in widths and heights of
the image instead of pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from thalweg.array.data_types import astype
from thalweg.array.manipulation import concat, split
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.variable import tensor


class Format(NamedTuple):
    """The meaning of a box's numbers."""

    kind: str  # corners, size or center
    is_vertical_first: bool = False
    is_relative: bool = False


FORMATS = {
    "xyxy": Format("corners"),
    "yxyx": Format("corners", True),
    "xywh": Format("size"),
    "center_xywh": Format("center"),
    "center_yxhw": Format("center", True),
    "rel_xyxy": Format("corners", False, True),
    "rel_yxyx": Format("corners", True, True),
    "rel_xywh": Format("size", False, True),
    "rel_center_xywh": Format("center", False, True),
}


def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: Any = None,
    width: Any = None,
    dtype: Any = "float32",
) -> Any:
    """Boxes (..., 4), or a dict with them under "boxes", from one format to another.

    `height` and `width` of the image are needed where one format is relative and the other is not.

    Errors: ArgumentError for an unknown format or without the image's size; ShapeError when the
    last axis is not 4.
    """
    if isinstance(boxes, dict):
        converted = convert_format(boxes["boxes"], source, target, height, width, dtype)
        return {**boxes, "boxes": converted}
    boxes = tensor(boxes)
    if not boxes.shape or boxes.shape[-1] != 4:
        raise ShapeError(
            explain(
                "convert_format",
                "`boxes` must be a tensor with the last dimension of 4",
                f"boxes.shape={boxes.shape}",
            )
        )
    here, there = format_of("convert_format", source), format_of("convert_format", target)
    boxes = astype(boxes, dtype)
    if here == there:
        return boxes
    if here.is_relative != there.is_relative and (height is None or width is None):
        raise ArgumentError(
            explain(
                "convert_format",
                "the image's size for relative boxes; it must receive `height` and `width`",
                f"source={source!r}, target={target!r}, height={height} and width={width}",
            )
        )
    sides = [None if size is None else astype(tensor(size), dtype) for size in (width, height)]
    corners = _to_corners(quarters(boxes), here, sides)
    return joined(_from_corners(corners, there, sides))


def format_of(where: str, name: str) -> Format:
    """The format of that name, in any case. Raises ArgumentError for an unknown one."""
    found = FORMATS.get(name.lower())
    if found is None:
        raise ArgumentError(
            explain(where, f"one of the formats {', '.join(FORMATS)}", f"Invalid format: {name!r}")
        )
    return found


def quarters(boxes: Tensor) -> list[Any]:
    """The four numbers, each (..., 1)."""
    return list(split(boxes, 4, axis=-1))


def joined(parts: Sequence[Any]) -> Tensor:
    """Boxes of their four numbers."""
    return concat(list(parts), axis=-1)


def _swapped(parts: Sequence[Any], given: Format) -> list[Any]:
    a, b, c, d = parts
    return [b, a, d, c] if given.is_vertical_first else [a, b, c, d]


def _to_corners(parts: Sequence[Any], given: Format, sides: Sequence[Any]) -> list[Any]:
    """Left, top, right, bottom, in pixels where the format is relative and the size is known."""
    x, y, c, d = _swapped(parts, given)
    if given.kind == "size":
        x, y, c, d = x, y, x + c, y + d
    elif given.kind == "center":
        x, y, c, d = x - c / 2.0, y - d / 2.0, x + c / 2.0, y + d / 2.0
    if not given.is_relative or sides[0] is None:
        return [x, y, c, d]
    width, height = sides
    return [x * width, y * height, c * width, d * height]


def _from_corners(corners: Sequence[Any], wanted: Format, sides: Sequence[Any]) -> list[Any]:
    left, top, right, bottom = corners
    if wanted.kind == "size":
        parts = [left, top, right - left, bottom - top]
    elif wanted.kind == "center":
        width, height = right - left, bottom - top
        parts = [left + width / 2.0, top + height / 2.0, width, height]
    else:
        parts = [left, top, right, bottom]
    if wanted.is_relative and sides[0] is not None:
        parts = [part / sides[place % 2] for place, part in enumerate(parts)]
    return _swapped(parts, wanted)

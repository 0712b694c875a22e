"""Batches of images as drawing wants them: NumPy arrays (B, H, W, C), bytes from 0 to 255."""

from typing import Any

import numpy as np

from thalweg.base.errors import ShapeError, explain
from thalweg.keras import settings


def batch_of(where: str, images: Any, data_format: str | None) -> tuple[np.ndarray, bool]:
    """The images (B, H, W, C) and whether they came as (B, C, H, W).

    Errors: ShapeError for another rank; ArgumentError for an unknown data format.
    """
    is_first = settings.standardize_data_format(data_format) == "channels_first"
    images = np.asarray(images)
    if images.ndim != 4:
        raise ShapeError(
            explain(
                where,
                "`images` must be batched 4D tensor",
                f"images.shape={images.shape}",
                "Write images[None] for a single one." if images.ndim == 3 else "",
            )
        )
    return (images.transpose(0, 2, 3, 1) if is_first else images), is_first


def as_bytes(images: np.ndarray, value_range: Any = None) -> np.ndarray:
    """uint8: values of `value_range` spread over 0 to 255, and cut off there.

    Without a range, floats of at most 1 are taken as shares, and all else as it is.
    """
    if value_range is None:
        is_share = images.dtype.kind == "f" and images.size > 0 and images.max() <= 1
        value_range = (0, 1) if is_share else (0, 255)
    low, high = (float(each) for each in value_range)
    if (low, high) == (0, 255) and images.dtype == np.uint8:
        return images
    return np.clip((images.astype(np.float64) - low) * (255 / (high - low)), 0, 255).astype(
        np.uint8
    )


def restored(images: np.ndarray, is_first: bool) -> np.ndarray:
    """The images in the layout in which they came."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if is_first else images

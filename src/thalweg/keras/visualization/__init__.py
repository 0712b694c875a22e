"""Images with what was found in them: `keras.visualization`."""

from thalweg.keras.visualization.draw_bounding_boxes import draw_bounding_boxes
from thalweg.keras.visualization.draw_segmentation_masks import draw_segmentation_masks
from thalweg.keras.visualization.galleries import (
    plot_bounding_box_gallery,
    plot_image_gallery,
    plot_segmentation_mask_gallery,
)

__all__ = [
    "draw_bounding_boxes",
    "draw_segmentation_masks",
    "plot_bounding_box_gallery",
    "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]

"""Images with what was found in them: `keras.visualization`."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.visualization.boxes import draw_bounding_boxes
    from thalweg.keras.visualization.galleries import (
        plot_bounding_box_gallery,
        plot_image_gallery,
        plot_segmentation_mask_gallery,
    )
    from thalweg.keras.visualization.masks import draw_segmentation_masks

"""Bounding boxes of objects in images: `keras.utils.bounding_boxes`."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.utils.bounding_boxes.changes import (
        affine_transform,
        clip_to_image_size,
        crop,
        pad,
    )
    from thalweg.keras.utils.bounding_boxes.deltas import (
        decode_deltas_to_boxes,
        encode_box_to_deltas,
    )
    from thalweg.keras.utils.bounding_boxes.formats import convert_format
    from thalweg.keras.utils.bounding_boxes.overlap import compute_ciou, compute_iou

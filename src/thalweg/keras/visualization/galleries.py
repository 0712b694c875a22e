"""Galleries: many images in one picture, with labels, boxes or masks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import door
from thalweg.keras.visualization.boxes import draw_bounding_boxes
from thalweg.keras.visualization.layouts import as_bytes, batch_of
from thalweg.keras.visualization.masks import draw_segmentation_masks


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Sequence[float] = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Sequence[Any] | None = None,
    data_format: str | None = None,
) -> None:
    """Show images (B, H, W, C) in rows and columns, or save them to a picture file at `path`.

    `y_true` and `y_pred` (B,) are numbers of classes whose names `label_map` gives. Without `rows`
    and `cols` the gallery is about square and holds all images; with both, the first of them.
    `scale` is the size of an image in inches, `dpi` the pixels in an inch.

    Errors: ArgumentError when both `path` and `show` are given, or labels without their names;
    ShapeError for images of another rank; MissingLibraryError without matplotlib.
    """
    name = "plot_image_gallery"
    pyplot = door.pyplot(name)
    if path is not None and show:
        raise ArgumentError(
            explain(name, "expects either `path` to be set, or `show` to be true", "both")
        )
    if label_map is None and (y_true is not None or y_pred is not None):
        raise ArgumentError(
            explain(
                name,
                "names for the labels: a `label_map` must also be provided",
                "`y_true` or `y_pred` without it",
            )
        )
    pixels = as_bytes(batch_of(name, images, data_format)[0], value_range)
    count = len(pixels)
    if rows is None:
        rows = math.ceil(count / cols) if cols else math.ceil(math.sqrt(count))
    cols = cols or math.ceil(count / rows)
    figure, axes = pyplot.subplots(
        rows, cols, figsize=(cols * scale, rows * scale), squeeze=False, layout="tight"
    )
    if legend_handles is not None:
        figure.legend(handles=list(legend_handles), loc="lower center")
    titles = [("Label", y_true), ("Pred", y_pred)]
    for number, axis in enumerate(axes.ravel()):
        axis.axis("off")
        if number >= count:
            continue
        image = pixels[number]
        grey = {"cmap": "gray", "vmin": 0, "vmax": 255} if image.shape[-1] == 1 else {}
        axis.imshow(image[..., 0] if grey else image, **grey)
        parts = [
            f"{title}: {(label_map or {}).get(int(np.asarray(labels)[number]), 'Unknown')}"
            for title, labels in titles
            if labels is not None and number < len(labels)
        ]
        if parts:
            axis.set_title("  ".join(parts), fontsize=8)
    if path is not None:
        figure.savefig(path, pad_inches=0, bbox_inches="tight", transparent=transparent, dpi=dpi)
    elif show or show is None:
        pyplot.show()
    else:
        return
    pyplot.close(figure)


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: dict[str, Any] | None = None,
    y_pred: dict[str, Any] | None = None,
    value_range: Sequence[float] = (0, 255),
    true_color: Sequence[int] = (0, 188, 212),
    pred_color: Sequence[int] = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Sequence[Any] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """A gallery of images with true and predicted boxes, as `draw_bounding_boxes` takes them.

    The mappings name the classes of both, or of one kind. Further arguments go to
    `plot_image_gallery`.

    Errors: those of the two functions; ArgumentError for both `legend` and `legend_handles`.
    """
    name = "plot_bounding_box_gallery"
    pixels = as_bytes(batch_of(name, images, data_format)[0], value_range)
    kinds = [
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ]
    for boxes, color, mapping in kinds:
        if boxes is not None:
            pixels = draw_bounding_boxes(
                pixels,
                boxes,
                bounding_box_format,
                mapping,
                color,
                line_thickness,
                text_thickness,
                font_scale,
                "channels_last",
            )
    if legend:
        if legend_handles:
            raise ArgumentError(explain(name, "Only pass `legend` OR `legend_handles`", "both"))
        patch = door.patches(name).Patch
        legend_handles = [
            patch(color=np.array(color) / 255, label=label)
            for color, label in ((true_color, "Ground Truth"), (pred_color, "Prediction"))
        ]
    plot_image_gallery(
        pixels,
        rows=rows,
        cols=cols,
        legend_handles=legend_handles,
        data_format="channels_last",
        **kwargs,
    )


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Sequence[float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Sequence[int]] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """A row for each image: itself, and with its true and its predicted masks over it.

    Masks are as `draw_segmentation_masks` takes them. Further arguments go to
    `plot_image_gallery`.

    Errors: those of the two functions.
    """
    name = "plot_segmentation_mask_gallery"
    arrays, is_first = batch_of(name, images, data_format)
    pixels = as_bytes(arrays, value_range)
    columns = [pixels]
    for masks in (y_true, y_pred):
        if masks is None:
            continue
        masks = np.asarray(masks).astype(np.int32)
        masks = masks[:, 0] if is_first and masks.ndim == 4 else masks
        columns.append(
            draw_segmentation_masks(
                pixels,
                masks,
                num_classes,
                color_mapping,
                alpha,
                blend,
                ignore_index,
                "channels_last",
            )
        )
    plot_image_gallery(
        np.stack(columns, axis=1).reshape(-1, *pixels.shape[1:]),
        rows=len(pixels),
        cols=len(columns),
        data_format="channels_last",
        **kwargs,
    )

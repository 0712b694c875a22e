"""Pictures in folders as batches of arrays: `image_dataset_from_directory`."""

from typing import Any

import numpy as np

from thalweg.array.image import INTERPOLATIONS
from thalweg.base.errors import ArgumentError, explain
from thalweg.data import AUTOTUNE, Dataset
from thalweg.keras import settings
from thalweg.keras.utils.folders import Files, Request, as_tensors, datasets, with_file
from thalweg.keras.utils.images import COLOR_MODES, crop_box, load_img, pad_box
from thalweg.keras.utils.resampling import resize_pixels

WHERE = "image_dataset_from_directory"
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """A data set of the pictures below a folder, resized, with the subfolder's number as label.

    It yields float32 (batch, height, width, 1, 3 or 4), values 0 to 255, or pairs of that and
    labels: int32 (batch,), float32 (batch, classes) for "categorical", float32 (batch, 1) for
    "binary"; without a batch axis for `batch_size=None`. `labels` may be a list of integers in the
    order of the sorted paths, or None. For `subset="both"` it is a list of two data sets. Endings:
    .bmp, .gif (its first picture), .jpeg, .jpg, .png.

    `format="grain"` yields every epoch in the same order; otherwise each has its own.

    Errors: ArgumentError for settings that do not go together or when there is no picture;
    MissingLibraryError without Pillow.
    """
    if color_mode not in COLOR_MODES:
        raise ArgumentError(
            explain(
                WHERE,
                '`color_mode` must be one of {"rgb", "rgba", "grayscale"}',
                f"color_mode={color_mode!r}",
            )
        )
    size = _image_size(image_size)
    if interpolation.lower() not in INTERPOLATIONS:
        raise ArgumentError(
            explain(
                WHERE,
                f"Argument `interpolation` should be one of {tuple(INTERPOLATIONS)}",
                f"interpolation={interpolation}",
            )
        )
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError(
            explain(
                WHERE,
                "Only one of `pad_to_aspect_ratio`, `crop_to_aspect_ratio` to be True",
                "both",
            )
        )
    data_format = settings.standardize_data_format(data_format)
    fit = "crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else "stretch"

    def pipeline(rows: Dataset, files: Files) -> Dataset:
        def load(number: int) -> np.ndarray:
            path = files.paths[number]
            return load_picture(path, color_mode, size, interpolation.lower(), fit, data_format)

        rows = rows.map(with_file(load), num_parallel_calls=AUTOTUNE)
        if batch_size is not None:
            rows = rows.batch(batch_size)
        return rows.map(as_tensors).prefetch(AUTOTUNE)

    request = Request(
        where=WHERE,
        noun="image",
        endings=ENDINGS,
        directory=directory,
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
        format=format,
    )
    return datasets(request, pipeline)


def _image_size(image_size: Any) -> tuple[int, int]:
    if isinstance(image_size, int):
        return image_size, image_size
    if not isinstance(image_size, list | tuple) or len(image_size) != 2:
        raise ArgumentError(
            explain(
                WHERE,
                "an integer or (height, width); Expected a tuple of 2 integers",
                f"image_size={image_size!r}",
            )
        )
    height, width = image_size
    return height, width


def load_picture(
    path: str,
    color_mode: str,
    size: tuple[int, int],
    interpolation: str,
    fit: str,
    data_format: str,
) -> np.ndarray:
    """A picture as float32 of that size: stretched to it, cropped, or padded with zeros before."""
    img = load_img(path, color_mode)
    pixels = np.asarray(img, np.float32).reshape(img.height, img.width, -1)
    if fit == "crop":
        top, left, height, width = crop_box(*pixels.shape[:2], *size)
        pixels = pixels[top : top + height, left : left + width]
    elif fit == "pad":
        top, left, height, width = pad_box(*pixels.shape[:2], *size)
        framed = np.zeros((height, width, pixels.shape[2]), np.float32)
        framed[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        pixels = framed
    pixels = resize_pixels(pixels, size, interpolation)
    return pixels.transpose(2, 0, 1) if data_format == "channels_first" else pixels

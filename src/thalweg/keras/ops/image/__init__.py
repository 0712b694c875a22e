"""keras.ops.image: images as tensors. Each function also works on KerasTensors."""

from thalweg.keras.ops.image.colours import (
    hsv_to_rgb,
    rgb_to_grayscale,
    rgb_to_hsv,
    sobel_edges,
    ssim,
)
from thalweg.keras.ops.image.places import (
    affine_transform,
    elastic_transform,
    gaussian_blur,
    map_coordinates,
    perspective_transform,
    scale_and_translate,
)
from thalweg.keras.ops.image.sizes import (
    crop_images,
    extract_patches,
    extract_patches_3d,
    pad_images,
    resize,
)

__all__ = [
    "affine_transform", "crop_images", "elastic_transform", "extract_patches", "extract_patches_3d",
    "gaussian_blur", "hsv_to_rgb", "map_coordinates", "pad_images", "perspective_transform",
    "resize", "rgb_to_grayscale", "rgb_to_hsv", "scale_and_translate", "sobel_edges", "ssim",
]  # fmt: skip

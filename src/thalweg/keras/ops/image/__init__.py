"""keras.ops.image: images as tensors. Each function also works on KerasTensors."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
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

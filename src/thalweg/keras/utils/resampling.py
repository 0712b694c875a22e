"""Pictures at another size, in NumPy alone: for threads that read files while others compute.

The numbers are those of `thalweg.array.image.resize` without antialiasing. Here a new pixel is a
sum of the few old ones near it, axis by axis; there the weights are a matrix, which derivatives and
compilers like.
"""

import functools
from collections.abc import Callable

import numpy as np


def resize_pixels(pixels: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Pixels float32 (height, width, channels) at the size (height, width)."""
    for axis, target in enumerate(size):
        source = pixels.shape[axis]
        if source == target:
            continue
        places, weights = _taps(source, target, interpolation)
        if interpolation == "nearest":
            pixels = pixels.take(places[0], axis)
            continue
        shape = (-1, 1, 1) if axis == 0 else (-1, 1)
        result = pixels.take(places[0], axis)
        result *= weights[0].reshape(shape)
        for place, weight in zip(places[1:], weights[1:], strict=True):
            part = pixels.take(place, axis)
            part *= weight.reshape(shape)
            result += part
        pixels = result
    return pixels


@functools.lru_cache(maxsize=256)
def _taps(source: int, target: int, interpolation: str) -> tuple[np.ndarray, np.ndarray]:
    """Which old pixels a new one takes, and how much of each: both (taps, target).

    Distances are whole numbers of half a pixel of both grids until they are divided once.
    """
    i = np.arange(target, dtype=np.int64)
    middle = (2 * i + 1) * source  # in units of half a new pixel
    if interpolation == "nearest":
        return (middle // (2 * target))[None], np.ones((1, target), np.float32)
    if interpolation == "area":
        places = i * source // target + np.arange(source // target + 2)[:, None]
        covered = np.minimum((i + 1) * source, (places + 1) * target)
        covered = covered - np.maximum(i * source, places * target)
        weights = np.maximum(covered, 0) / source
    else:
        kernel, reach = KERNELS[interpolation]
        first = (middle - target) // (2 * target) - reach + 1
        places = first + np.arange(2 * reach)[:, None]
        weights = kernel(np.abs(middle - (2 * places + 1) * target) / (2 * target))
        weights[(places < 0) | (places >= source)] = 0
        weights /= weights.sum(axis=0)
    return np.clip(places, 0, source - 1), weights.astype(np.float32)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -1/2."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(radius: int, x: np.ndarray) -> np.ndarray:
    return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_cubic, 2),
    "lanczos3": (functools.partial(_lanczos, 3), 3),
    "lanczos5": (functools.partial(_lanczos, 5), 5),
}

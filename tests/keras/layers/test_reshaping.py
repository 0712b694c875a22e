"""The contract of the layers that crop, pad, repeat and reshape."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.keras.layers.contract import Case, checks
from tests.keras.oracle import keras as real

from thalweg import keras

LINE, IMAGE, VOLUME = (2, 6, 3), (2, 6, 5, 3), (2, 5, 4, 6, 3)
IMAGE_FIRST, VOLUME_FIRST = (2, 3, 6, 5), (2, 3, 5, 4, 6)
FIRST = {"data_format": "channels_first"}

CASES = [
    Case("Cropping1D", LINE, unknown=(0, 1)),
    Case("Cropping1D", LINE, {"cropping": 2}),
    Case("Cropping1D", LINE, {"cropping": (0, 3)}),
    Case("Cropping2D", IMAGE),
    Case("Cropping2D", IMAGE, {"cropping": 1}, unknown=(0, 2)),
    Case("Cropping2D", IMAGE, {"cropping": (1, 2)}),
    Case("Cropping2D", IMAGE_FIRST, {"cropping": ((0, 3), (1, 0)), **FIRST}, unknown=(0, 3)),
    Case("Cropping3D", VOLUME),
    Case("Cropping3D", VOLUME, {"cropping": (1, 0, 2)}, unknown=(0, 3)),
    Case("Cropping3D", VOLUME_FIRST, {"cropping": ((1, 2), (0, 1), (3, 0)), **FIRST}),
    Case("ZeroPadding1D", LINE, unknown=(0, 1)),
    Case("ZeroPadding1D", LINE, {"padding": 2}),
    Case("ZeroPadding1D", LINE, {"padding": (0, 3)}),
    Case("ZeroPadding1D", (2, 3, 6), {"padding": (1, 2), **FIRST}, unknown=(0, 2)),
    Case("ZeroPadding2D", IMAGE),
    Case("ZeroPadding2D", IMAGE, {"padding": 0}),
    Case("ZeroPadding2D", IMAGE, {"padding": (1, 2)}, unknown=(0, 1)),
    Case("ZeroPadding2D", IMAGE_FIRST, {"padding": ((0, 3), (1, 0)), **FIRST}),
    Case("ZeroPadding3D", VOLUME),
    Case("ZeroPadding3D", VOLUME, {"padding": 1}, unknown=(0, 1, 2, 3)),
    Case("ZeroPadding3D", VOLUME_FIRST, {"padding": ((1, 2), (0, 1), (3, 0)), **FIRST}),
    Case("UpSampling1D", LINE, unknown=(0, 1)),
    Case("UpSampling1D", LINE, {"size": 3}),
    Case("UpSampling2D", IMAGE),
    Case("UpSampling2D", IMAGE, {"size": 3}),
    Case("UpSampling2D", IMAGE, {"size": (1, 2), "interpolation": "bilinear"}),
    Case("UpSampling2D", IMAGE, {"size": (2, 3), "interpolation": "bicubic"}),
    Case("UpSampling2D", IMAGE, {"interpolation": "lanczos3"}),
    Case("UpSampling2D", IMAGE_FIRST, {"size": (3, 2), **FIRST}),
    Case("UpSampling2D", IMAGE_FIRST, {"interpolation": "bilinear", **FIRST}),
    Case("UpSampling3D", VOLUME, unknown=(0, 2)),
    Case("UpSampling3D", VOLUME_FIRST, {"size": (1, 2, 3), **FIRST}),
    Case("Flatten", (2, 3, 4, 5)),
    Case("Flatten", (2, 3, 4, 5), FIRST),
    Case("Flatten", (3,)),
    Case("Flatten", (2, 3), FIRST, unknown=(0, 1)),
    Case("Reshape", (2, 3, 4), {"target_shape": (12,)}),
    Case("Reshape", (2, 3, 4), {"target_shape": (2, -1, 3)}),
    Case("Reshape", (2, 3, 4), {"target_shape": [-1, 6]}, unknown=(0, 1)),
    Case("Reshape", (2, 8), {"target_shape": (2, 2, 2)}),
    Case("Reshape", (2, 1), {"target_shape": ()}),
    Case("Permute", (2, 3, 4), {"dims": (2, 1)}, unknown=(0, 1)),
    Case("Permute", (2, 3, 4, 5), {"dims": [3, 1, 2]}),
    Case("RepeatVector", (2, 3), {"n": 4}, unknown=(0, 1)),
]


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("size", [True, 2.5, "2"])
def test_up_sampling_counts_steps_by_integers(size: Any) -> None:
    for package in (keras, real):
        with pytest.raises(TypeError, match="Expected an integer value for `size`"):
            package.layers.UpSampling1D(size)

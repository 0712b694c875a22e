"""The contract of the convolutional layers."""

from collections.abc import Callable
from typing import Any

from tests.keras.layers.contract import Case, checks

LINE, IMAGE, VOLUME = (2, 7, 4), (2, 7, 6, 4), (2, 5, 4, 5, 4)
FIRST = {"data_format": "channels_first"}
EVERYTHING = {
    "activation": "gelu",
    "use_bias": True,
    "bias_initializer": "ones",
    "bias_regularizer": "l2",
    "activity_regularizer": "l1",
    "bias_constraint": "non_neg",
}
KERNEL = {
    "kernel_initializer": "he_normal",
    "kernel_regularizer": "l2",
    "kernel_constraint": "max_norm",
}


def conv(name: str, shape: tuple, size: Any = 3, /, **settings: Any) -> Case:
    """A case with five filters, with None for the batch and the first spatial axis."""
    axis = 2 if settings.get("data_format") == "channels_first" else 1
    filters = {} if name.startswith("Depthwise") else {"filters": settings.pop("filters", 5)}
    return Case(name, shape, {**filters, "kernel_size": size, **settings}, unknown=(0, axis))


CASES = [
    conv("Conv1D", LINE),
    conv("Conv1D", LINE, 2, strides=2, padding="same", activation="relu"),
    conv("Conv1D", LINE, 3, padding="causal", dilation_rate=2),
    conv("Conv1D", LINE, 2, padding="causal", strides=2, use_bias=False),
    conv("Conv1D", LINE, 4, filters=6, groups=2, padding="same"),
    conv("Conv1D", (2, 4, 7), 3, dilation_rate=2, **FIRST),
    conv("Conv1D", LINE, (3,), **EVERYTHING, **KERNEL),
    conv("Conv2D", IMAGE),
    conv("Conv2D", IMAGE, (2, 3), strides=(2, 1), padding="same", activation="tanh"),
    conv("Conv2D", IMAGE, 2, dilation_rate=(2, 3), use_bias=False),
    conv("Conv2D", IMAGE, 3, dilation_rate=2, padding="same"),
    conv("Conv2D", IMAGE, 3, filters=4, groups=4, padding="SAME"),
    conv("Conv2D", IMAGE, 1, filters=6, groups=2, strides=3),
    conv("Conv2D", (2, 4, 7, 6), 3, strides=2, padding="same", **FIRST),
    conv("Conv2D", (2, 4, 7, 6), (3, 2), filters=6, groups=2, **FIRST),
    conv("Conv2D", IMAGE, (3, 3), **EVERYTHING, **KERNEL),
    conv("Conv3D", VOLUME, 2),
    conv("Conv3D", VOLUME, (1, 2, 3), strides=(2, 1, 2), padding="same"),
    conv("Conv3D", (2, 4, 5, 4, 5), 2, dilation_rate=(1, 2, 1), **FIRST),
    conv("Conv3D", VOLUME, 2, filters=4, groups=2, activation="sigmoid"),
    conv("Conv1DTranspose", LINE),
    conv("Conv1DTranspose", LINE, 3, strides=2, padding="same", output_padding=1),
    conv("Conv1DTranspose", LINE, 2, dilation_rate=3, activation="relu"),
    conv("Conv1DTranspose", (2, 4, 7), 3, strides=3, **FIRST),
    conv("Conv2DTranspose", IMAGE, 2),
    conv("Conv2DTranspose", IMAGE, (3, 2), strides=(2, 3), padding="same"),
    conv("Conv2DTranspose", IMAGE, 3, strides=2, padding="same", output_padding=(0, 1)),
    conv("Conv2DTranspose", (2, 4, 7, 6), 3, dilation_rate=2, padding="same", **FIRST),
    conv("Conv2DTranspose", IMAGE, 2, **EVERYTHING, **KERNEL),
    conv("Conv3DTranspose", VOLUME, 2, use_bias=False),
    conv("Conv3DTranspose", VOLUME, (1, 2, 3), strides=(2, 1, 2), padding="same"),
    conv("Conv3DTranspose", (2, 4, 3, 2, 3), 2, strides=2, output_padding=1, **FIRST),
    conv("DepthwiseConv1D", LINE),
    conv("DepthwiseConv1D", LINE, 2, depth_multiplier=3, strides=2, padding="same"),
    conv("DepthwiseConv1D", LINE, 2, dilation_rate=2),
    conv("DepthwiseConv2D", IMAGE, 3, activation="relu"),
    conv("DepthwiseConv2D", IMAGE, (2, 3), depth_multiplier=2, strides=2, padding="same"),
    conv("DepthwiseConv2D", IMAGE, 2, dilation_rate=(2, 2), use_bias=False),
    conv("DepthwiseConv2D", (2, 4, 7, 6), 3, depth_multiplier=2, **FIRST),
    conv(
        "DepthwiseConv2D", IMAGE, 2,
        depthwise_initializer="ones", depthwise_regularizer="l2", depthwise_constraint="unit_norm",
        **EVERYTHING,
    ),
    conv("SeparableConv1D", LINE),
    conv("SeparableConv1D", LINE, 2, depth_multiplier=2, strides=2, padding="same"),
    conv("SeparableConv1D", LINE, 2, use_bias=False),
    conv("SeparableConv2D", IMAGE, 3, activation="relu"),
    conv("SeparableConv2D", IMAGE, 2, depth_multiplier=2, dilation_rate=2, padding="same"),
    conv("SeparableConv2D", (2, 4, 7, 6), (3, 2), strides=2, **FIRST),
    conv(
        "SeparableConv2D", IMAGE, 2,
        depthwise_regularizer="l2", pointwise_regularizer="l1", pointwise_constraint="unit_norm",
        **EVERYTHING,
    ),
]  # fmt: skip


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()

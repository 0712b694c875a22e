"""Initializers without chance: zeros, ones, a constant, the identity, a Fourier basis."""

from typing import Any

import numpy as np

from thalweg.array.creation import ones, zeros
from thalweg.base.errors import ArgumentError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.initializers.initializer import Initializer
from thalweg.keras.initializers.windows import check_window, window_weights
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.symbol import standardize_shape
from thalweg.keras.variable import tensor


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return zeros(standardize_shape(shape), dtype=standardize_dtype(dtype))


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        return ones(standardize_shape(shape), dtype=standardize_dtype(dtype))


class Constant(Initializer):
    """A number, or an array that stretches to the shape.

    >>> from thalweg import keras
    >>> keras.initializers.Constant(3.0)((2,))
    Tensor([3., 3.], dtype=float32)
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        shape = standardize_shape(shape)
        found = tensor(self.value, standardize_dtype(dtype)).numpy()
        try:
            return tensor(np.broadcast_to(found, shape))
        except ValueError:
            raise ShapeError(
                explain("Constant", f"a value that stretches to {shape}", f"one of {found.shape}")
            ) from None

    def get_config(self) -> dict[str, Any]:
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Constant":
        return cls(**{key: deserialize_keras_object(value) for key, value in config.items()})


class Identity(Initializer):
    """`gain` times the identity matrix; for weights of two axes."""

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        shape = standardize_shape(shape)
        if len(shape) != 2:
            raise ShapeError(
                explain(
                    "Identity",
                    "a shape of two axes. Identity matrix initializer can only be used for 2D "
                    "matrices",
                    f"shape={shape} of rank {len(shape)}",
                )
            )
        return tensor(self.gain * np.eye(*shape), standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        # Keras leaves the gain out, and so loses it; files agree wherever nothing is lost.
        return {} if self.gain == 1.0 else {"gain": self.gain}


class STFT(Initializer):
    """The real or imaginary part of a windowed Fourier basis, for spectra by convolution.

    The shape is (frame length, channels, fft_length // 2 + 1). `window` is a name, an array of
    weights, or None; `scaling` divides it by the root of its power ("density"), by its sum
    ("spectrum"), or by nothing (None).
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise ArgumentError(explain("STFT", "side to be 'real' or 'imag'", f"side={side!r}"))
        if scaling not in (None, "density", "spectrum"):
            raise ArgumentError(
                explain(
                    "STFT", "scaling to be None, 'density' or 'spectrum'", f"scaling={scaling!r}"
                )
            )
        check_window("STFT", window)
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Any, dtype: Any = None) -> Tensor:
        shape = standardize_shape(shape)
        if len(shape) != 3:
            raise ShapeError(
                explain("STFT", "a shape (frame length, channels, frequencies)", f"shape={shape}")
            )
        length, channels, frequencies = shape
        time = np.arange(length).reshape(-1, 1, 1)
        frequency = np.arange(frequencies).reshape(1, 1, -1) / max(2 * (frequencies - 1), 1)
        angle = -2 * np.pi * time * frequency
        values = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            weights = window_weights("STFT", self.window, length, self.periodic)
            if self.scaling == "density":
                weights = weights / np.sqrt(np.sum(weights**2))
            elif self.scaling == "spectrum":
                weights = weights / np.sum(weights)
            values = values * weights.reshape(-1, 1, 1)
        return tensor(
            np.broadcast_to(values, (length, channels, frequencies)), standardize_dtype(dtype)
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "side": self.side,
            "window": self.window,
            "periodic": self.periodic,
            "scaling": self.scaling,
        }

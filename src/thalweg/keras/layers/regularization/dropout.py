"""Layers that act in training only, or add a loss: dropouts, noise, ActivityRegularization."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops, random, regularizers
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer
from thalweg.keras.random.seed_generator import SeedGenerator
from thalweg.keras.settings import standardize_data_format

ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946
"""The constants of SELU, with which AlphaDropout keeps mean and variance."""


class _Random(Layer):
    """A layer that draws numbers in training, and only if its rate is above 0."""

    def __init__(self, rate: float, seed: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _fraction(layer: str, rate: Any) -> float:
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 <= rate <= 1:
        raise ArgumentError(
            explain(
                layer,
                "a rate from 0 to 1; Invalid value received for argument `rate`. Expected a float "
                "value between 0 and 1",
                f"rate={rate}",
            )
        )
    return rate


class Dropout(_Random):
    """In training sets a fraction `rate` of the elements to 0 and scales up the others.

    `noise_shape` has 1 (or None for the input's size) where elements fall together.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        super().__init__(_fraction("Dropout", rate), seed, **kwargs)
        self.rate = rate
        self.noise_shape = self._checked(noise_shape)

    def _checked(self, noise_shape: Any) -> Any:
        if noise_shape is None:
            return None
        if not isinstance(noise_shape, (list, tuple)):
            raise ArgumentError(
                explain(
                    "Dropout",
                    "a tuple of sizes; Invalid value received for argument `noise_shape`. Expected "
                    "a tuple or list of integers",
                    f"noise_shape={noise_shape}",
                )
            )
        for size in noise_shape:
            if size is None or (isinstance(size, int) and size > 0):
                continue
            kind = (
                "dimensions to be positive integers"
                if isinstance(size, int)
                else "elements to be integers"
            )
            raise ArgumentError(
                explain(
                    "Dropout",
                    "sizes; Invalid value received for argument `noise_shape`. Expected all "
                    f"{kind} or None",
                    f"noise_shape={noise_shape}",
                )
            )
        return tuple(noise_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        return random.dropout(
            inputs, self.rate, noise_shape=self._noise_shape(inputs), seed=self.seed_generator
        )

    def _noise_shape(self, inputs: Any) -> Any:
        if self.noise_shape is None:
            return None
        pairs = zip(self.noise_shape, ops.shape(inputs), strict=True)
        return tuple(size if given is None else given for given, size in pairs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }


class _SpatialDropout(Dropout):
    """Dropout of whole channels."""

    rank: int

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _noise_shape(self, inputs: Any) -> Any:
        sizes = ops.shape(inputs)
        ones = (1,) * self.rank
        if self.data_format == "channels_first":
            return (sizes[0], sizes[1], *ones)
        return (sizes[0], *ones, sizes[-1])

    def get_config(self) -> dict[str, Any]:
        config = {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}
        return config if self.rank == 1 else {**config, "data_format": self.data_format}


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of (batch, steps, channels)."""

    rank = 1

    def __init__(self, rate: float, seed: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(rate, "channels_last", seed, name, dtype)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images."""

    rank = 2


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of volumes."""

    rank = 3


class AlphaDropout(Dropout):
    """Dropout for SELU: keeps mean and variance (Klambauer et al. 2017)."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        shape = self._noise_shape(inputs) or ops.shape(inputs)
        least = -ALPHA * SCALE
        kept = random.uniform(shape=shape, seed=self.seed_generator) >= self.rate
        kept = ops.cast(kept, inputs.dtype)
        a = ((1 - self.rate) * (1 + self.rate * least**2)) ** -0.5
        b = -a * least * self.rate
        return a * (inputs * kept + least * (1 - kept)) + b


class GaussianDropout(_Random):
    """In training multiplies by noise around 1 of variance rate / (1 - rate)."""

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any):
        super().__init__(_fraction("GaussianDropout", rate), seed, **kwargs)
        self.rate = rate

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return inputs
        spread = (self.rate / (1.0 - self.rate)) ** 0.5
        return inputs * random.normal(
            shape=ops.shape(inputs),
            mean=1.0,
            stddev=spread,
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class GaussianNoise(_Random):
    """In training adds noise of standard deviation `stddev`."""

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any):
        if not isinstance(stddev, (int, float)) or isinstance(stddev, bool) or not 0 <= stddev <= 1:
            raise ArgumentError(
                explain(
                    "GaussianNoise",
                    "a deviation from 0 to 1; Invalid value received for argument `stddev`. "
                    "Expected a float value between 0 and 1",
                    f"stddev={stddev}",
                )
            )
        super().__init__(stddev, seed, **kwargs)
        self.stddev = stddev

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0:
            return inputs
        return inputs + random.normal(
            shape=ops.shape(inputs),
            mean=0.0,
            stddev=self.stddev,
            dtype=self.compute_dtype,
            seed=self.seed_generator,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class ActivityRegularization(Layer):
    """The input as it is, and l1 * sum|x| + l2 * sum x² of it as a loss."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self._build_at_init()

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}

"""BatchNormalization: mean 0 and variance 1 over the batch, with averages kept for inference."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import constraints, initializers, ops, regularizers, settings
from thalweg.keras.dtypes import standardize_dtype
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer

CLIPPINGS = ("rmax", "rmin", "dmax")


class BatchNormalization(Layer):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, all axes but `axis` as the batch.

    In training the moments of the batch are used, and running averages of them follow with
    `momentum`; in inference, and while the layer is not trainable, the averages. A mask leaves
    places out of the moments. `renorm` corrects the batch's moments towards slower averages (Ioffe
    2017). Source: Ioffe and Szegedy 2015.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.synchronized = synchronized
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.renorm = renorm
        self.renorm_clipping = _checked_clipping(renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        size = input_shape[self.axis]
        if size is None:
            raise ArgumentError(
                explain(
                    self.name,
                    f"axis {self.axis} to have a known size",
                    f"Axis {self.axis} of input shape {input_shape} is None",
                )
            )
        shape = (size,)
        if self.scale:
            self.gamma = self.add_weight(
                shape=shape,
                name="gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                shape=shape,
                name="beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )
        self.moving_mean = self._average("moving_mean", shape, self.moving_mean_initializer)
        variance = self.moving_variance_initializer
        self.moving_variance = self._average("moving_variance", shape, variance)
        if self.renorm:

            def deviation(shape: Any, dtype: Any = None) -> Any:
                return ops.sqrt(variance(shape, dtype=dtype))

            self.moving_stddev = self._average("moving_stddev", shape, deviation)
            self.renorm_mean = self._average("renorm_mean", shape, self.moving_mean_initializer)
            self.renorm_stddev = self._average("renorm_stddev", shape, deviation)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})
        self._reduced = tuple(
            axis for axis in range(len(input_shape)) if axis != self.axis % len(input_shape)
        )

    def _average(self, name: str, shape: Any, initializer: Any) -> Any:
        return self.add_weight(
            shape=shape, name=name, initializer=initializer, trainable=False, autocast=False
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(self.axis, int) and not -len(input_shape) <= self.axis < len(input_shape):
            raise ArgumentError(
                explain(
                    self.name,
                    f"an axis of an input with {len(input_shape)} axes",
                    f"Axis {self.axis} is out of bounds for input shape {input_shape}",
                )
            )
        return input_shape

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        dtype = standardize_dtype(inputs.dtype)
        wide = "float32" if dtype in ("float16", "bfloat16") else dtype
        x = ops.cast(inputs, wide)
        if training and self.trainable:
            mean, variance = self._moments(x, mask)
            if self.renorm:
                x = self._renormalized(x, mean, variance)
            else:
                self._follow(self.moving_mean, mean, self.momentum)
                self._follow(self.moving_variance, variance, self.momentum)
                x = self._normalized(x, mean, variance)
        else:
            mean = ops.cast(self.moving_mean, wide)
            variance = ops.cast(self.moving_variance, wide)
            x = self._normalized(x, mean, variance)
        return ops.cast(x, self.compute_dtype)

    def _normalized(self, x: Any, mean: Any, variance: Any) -> Any:
        return ops.batch_normalization(
            x,
            mean,
            variance,
            self.axis,
            offset=None if self.beta is None else ops.cast(self.beta, x.dtype),
            scale=None if self.gamma is None else ops.cast(self.gamma, x.dtype),
            epsilon=self.epsilon,
        )

    def _follow(self, average: Any, value: Any, momentum: float) -> None:
        average.assign(average * momentum + ops.cast(value, average.dtype) * (1.0 - momentum))

    def _moments(self, x: Any, mask: Any) -> tuple[Any, Any]:
        if mask is None:
            return ops.moments(x, axes=self._reduced, synchronized=self.synchronized)
        # Weights of 0 and 1, of the input's rank, leave masked places out.
        weights = ops.cast(mask, x.dtype)
        while len(weights.shape) < len(x.shape):
            weights = ops.expand_dims(weights, axis=-1)
        weights = ops.broadcast_to(weights, ops.shape(x))
        count = ops.sum(weights, self._reduced, keepdims=True) + settings.epsilon()
        mean = ops.sum(weights * x, self._reduced, keepdims=True) / count
        spread = ops.square(x - mean)
        variance = ops.sum(weights * spread, self._reduced, keepdims=True) / count
        return ops.squeeze(mean, self._reduced), ops.squeeze(variance, self._reduced)

    def _renormalized(self, x: Any, mean: Any, variance: Any) -> Any:
        """The batch's moments, corrected by a factor and an offset that take no gradient."""
        deviation = ops.sqrt(variance + self.epsilon)
        # A deviation of 0 at the start must not divide.
        slow = ops.maximum(self.renorm_stddev, self.epsilon**0.5)
        factor = deviation / slow
        offset = (mean - self.renorm_mean) / slow
        limits = self.renorm_clipping or {}
        if limits.get("rmin") is not None:
            factor = ops.maximum(factor, limits["rmin"])
        if limits.get("rmax") is not None:
            factor = ops.minimum(factor, limits["rmax"])
        if limits.get("dmax") is not None:
            offset = ops.clip(offset, -limits["dmax"], limits["dmax"])
        factor, offset = ops.stop_gradient(factor), ops.stop_gradient(offset)
        self._follow(self.renorm_mean, mean, self.renorm_momentum)
        self._follow(self.renorm_stddev, deviation, self.renorm_momentum)
        self._follow(self.moving_mean, mean, self.momentum)
        self._follow(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.assign(ops.relu(ops.square(self.moving_stddev) - self.epsilon))
        shape = [1] * len(x.shape)
        shape[self.axis] = -1

        def spread(vector: Any) -> Any:
            return ops.reshape(vector, shape)

        x = (x - spread(mean)) / spread(deviation) * spread(factor) + spread(offset)
        if self.gamma is not None:
            x = x * spread(ops.cast(self.gamma, x.dtype))
        if self.beta is not None:
            x = x + spread(ops.cast(self.beta, x.dtype))
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
            "synchronized": self.synchronized,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


def _checked_clipping(given: dict[str, float] | None) -> dict[str, float]:
    clipping = given or {}
    unknown = set(clipping) - set(CLIPPINGS)
    if unknown:
        raise ArgumentError(
            explain(
                "BatchNormalization",
                f"renorm_clipping with keys among {CLIPPINGS}",
                f"Received invalid keys for `renorm_clipping` argument: {clipping}. Supported "
                f"values: {CLIPPINGS}",
            )
        )
    least, most, shift = (clipping.get(key) for key in ("rmin", "rmax", "dmax"))
    if least is not None and most is not None and most < least:
        raise ArgumentError(
            explain("BatchNormalization", "rmax should be greater than rmin", f"{clipping}")
        )
    if shift is not None and shift < 0:
        raise ArgumentError(
            explain("BatchNormalization", "dmax should be non-negative", f"{clipping}")
        )
    return clipping

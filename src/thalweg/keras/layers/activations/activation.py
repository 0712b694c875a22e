"""Layers of one activation each."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import activations, constraints, initializers, ops, regularizers
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.layer import Layer


class _Pointwise(Layer):
    """A layer without weights whose output has the shape of its input."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class Activation(_Pointwise):
    """An activation by name, or any function of one tensor."""

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class ELU(_Pointwise):
    """x where positive, alpha * (exp(x) - 1) elsewhere."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class LeakyReLU(_Pointwise):
    """x where positive, negative_slope * x elsewhere. Raises ArgumentError for a slope below 0."""

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ArgumentError(
                explain(
                    "LeakyReLU",
                    "a slope of 0 or more",
                    "The negative_slope value of a Leaky ReLU layer cannot be None or negative "
                    f"value. Expected a float. negative_slope={negative_slope}",
                )
            )
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ReLU(_Pointwise):
    """x between `threshold` and `max_value`, with a slope below. Raises ArgumentError for values
    below 0.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0.0:
            raise ArgumentError(
                explain(
                    "ReLU",
                    "max_value of 0 or more",
                    f"max_value of a ReLU layer cannot be a negative value: max_value={max_value}",
                )
            )
        if negative_slope is None or negative_slope < 0.0:
            raise ArgumentError(
                explain(
                    "ReLU",
                    "negative_slope of 0 or more",
                    "negative_slope of a ReLU layer cannot be None or a negative value: "
                    f"negative_slope={negative_slope}",
                )
            )
        if threshold is None or threshold < 0.0:
            raise ArgumentError(
                explain(
                    "ReLU",
                    "threshold of 0 or more",
                    "threshold of a ReLU layer cannot be None or a negative value: "
                    f"threshold={threshold}",
                )
            )
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    def call(self, inputs: Any) -> Any:
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class PReLU(Layer):
    """x where positive, alpha * x elsewhere, with a learned alpha for each place of the input.

    `shared_axes` lists axes, from 1 on, along which alpha is one.
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is None or isinstance(shared_axes, (list, tuple)):
            self.shared_axes = shared_axes and list(shared_axes)
        else:
            self.shared_axes = [shared_axes]

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            shape=tuple(shape),
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        shared = self.shared_axes or ()
        axes = {i: input_shape[i] for i in range(1, len(input_shape)) if i not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs) - self.alpha * activations.relu(-inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


def _large_negative(dtype: str) -> float:
    return -3e4 if dtype == "float16" else -1e9


class Softmax(_Pointwise):
    """exp(x) over its sum along `axis`, an axis or several; masked places get 0."""

    def __init__(self, axis: Any = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def _check_mask(self, inputs: Any, mask: Any) -> None:
        wanted, found = tuple(inputs.shape), tuple(mask.shape)
        received = f"inputs of shape {wanted}, mask of shape {found}"
        if len(found) > len(wanted):
            do = "mask must not have more dimensions than inputs"
            raise ArgumentError(explain(self.name, do, received))
        pairs = zip(wanted[len(wanted) - len(found) :], found, strict=True)
        if any(isinstance(a, int) and isinstance(b, int) and b not in (1, a) for a, b in pairs):
            raise ArgumentError(explain(self.name, "a mask broadcastable to the inputs", received))

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            self._check_mask(inputs, mask)
            adder = (1.0 - ops.cast(mask, inputs.dtype)) * _large_negative(
                getattr(inputs.dtype, "name", inputs.dtype)
            )
            inputs = inputs + adder
        if isinstance(self.axis, (list, tuple)) and len(self.axis) > 1:
            axes = tuple(self.axis)
            outputs = ops.exp(inputs - ops.logsumexp(inputs, axis=axes, keepdims=True))
        else:
            axis = self.axis[0] if isinstance(self.axis, (list, tuple)) else self.axis
            outputs = activations.softmax(inputs, axis=axis)
        return outputs if mask is None else ops.multiply(outputs, ops.cast(mask, outputs.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}

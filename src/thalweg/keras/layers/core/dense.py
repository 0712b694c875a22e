"""Dense: a product with a matrix, a bias, an activation."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import activations, constraints, initializers, ops, regularizers
from thalweg.keras.layers.input_spec import InputSpec
from thalweg.keras.layers.weights.product import Product
from thalweg.keras.quantizers import parts as forms


class Dense(Product):
    """activation(x @ kernel + bias), over the last axis of x.

    x (..., features), kernel (features, units), bias (units,) -> (..., units). Raises ArgumentError
    for units that are no positive integer.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_integer("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.quantization_config = quantization_config
        self._set_low_rank(lora_rank, lora_alpha)
        self.bias: Any = None
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]
        if features is None:
            raise ArgumentError(
                explain(
                    self.name,
                    "a last axis of known size",
                    f"an input of shape {input_shape}",
                    "Give the size in Input(shape=(..., features)).",
                )
            )
        self._build_main((features, self.units))
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def _product(self, inputs: Any, kernel: Any) -> Any:
        return ops.matmul(inputs, kernel)

    def _product_back(self, dy: Any, kernel: Any) -> Any:
        return ops.matmul(dy, ops.transpose(kernel))

    def _formats(
        self, mode: str, shape: tuple[int, ...], block_size: int | None
    ) -> "dict[str, forms.IntegerFormat]":
        bits = 8 if mode == "int8" else 4
        return {"kernel": forms.IntegerFormat(shape, axes=(0,), bits=bits, block_size=block_size)}

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            **self._weight_config(),
        }


def positive_integer(layer: str, name: str, value: Any) -> int:
    """The value, if it is a positive integer. Raises ArgumentError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        given = f"{name}={value!r} of {type(value).__name__}"
        raise ArgumentError(
            explain(
                layer,
                f"a positive integer; Invalid value for argument `{name}`, expected a positive "
                "integer",
                given,
            )
        )
    return value

"""How a layer is to be quantized: a mode, and quantizers of weights and of activations."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.quantizers.quantizer import AbsMaxQuantizer
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object


class QuantizationConfig:
    """The base: a subclass says its `mode`. None as a quantizer of weights means the layer's own,
    None as one of activations leaves these as they are.
    """

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = None):
        self.weight_quantizer = weight_quantizer
        self.activation_quantizer = activation_quantizer

    @property
    def mode(self) -> str:
        """One of int8, int4, float8, gptq, awq."""
        raise NotImplementedError(
            explain(
                type(self).__name__,
                "a property `mode`. Subclasses must implement this property. Do not instantiate "
                "QuantizationConfig directly",
                "a class without one",
                "Take Int8QuantizationConfig, or another of keras.quantizers.",
            )
        )

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            "weight_quantizer": serialize_keras_object(self.weight_quantizer),
            "activation_quantizer": serialize_keras_object(self.activation_quantizer),
        }

    def kept(self) -> "QuantizationConfig":
        """What a layer keeps once it is quantized: the settings, without the data."""
        return self

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "QuantizationConfig":
        """The configuration of a config."""
        return cls(**_with_quantizers(config))

    @staticmethod
    def weight_quantizer_or_default(config: Any, default: Any) -> Any:
        """The quantizer of weights that a configuration, or None, asks for."""
        given = None if config is None else config.weight_quantizer
        return default if given is None else given

    @staticmethod
    def activation_quantizer_or_default(config: Any, default: Any) -> Any:
        """The quantizer of activations, None for none; the default without a configuration."""
        return default if config is None else config.activation_quantizer


def _with_quantizers(config: dict[str, Any]) -> dict[str, Any]:
    names = ("weight_quantizer", "activation_quantizer")
    return {**config, **{name: deserialize_keras_object(config.get(name)) for name in names}}


class Int8QuantizationConfig(QuantizationConfig):
    """Weights and activations of eight bits; "default" is AbsMaxQuantizer over the last axis.

    Raises ArgumentError for a quantizer of weights that gives another type.
    """

    def __init__(self, weight_quantizer: Any = None, activation_quantizer: Any = "default"):
        if isinstance(activation_quantizer, str) and activation_quantizer == "default":
            activation_quantizer = AbsMaxQuantizer()
        super().__init__(weight_quantizer, activation_quantizer)
        if weight_quantizer is not None:
            _check_int8(type(self).__name__, weight_quantizer)

    @property
    def mode(self) -> str:
        return "int8"


class Int4QuantizationConfig(QuantizationConfig):
    """Weights of four bits, two in a byte; "default" leaves activations as they are.

    Each `block_size` inputs of an output share a scale and a zero; None or -1 gives an output one
    scale, and only then quantizers of one's own can be used. Raises ArgumentError for other sizes,
    and for a quantizer of weights with another range or type.
    """

    def __init__(
        self,
        weight_quantizer: Any = None,
        activation_quantizer: Any = "default",
        block_size: int | None = 128,
    ):
        if isinstance(activation_quantizer, str) and activation_quantizer == "default":
            activation_quantizer = None
        super().__init__(weight_quantizer, activation_quantizer)
        name = type(self).__name__
        if block_size is not None and block_size != -1 and block_size <= 0:
            raise ArgumentError(
                explain(
                    name,
                    "a size of blocks. block_size must be None, -1, or a positive integer",
                    f"block_size={block_size}",
                )
            )
        self.block_size = block_size
        has_own = weight_quantizer is not None or activation_quantizer is not None
        if has_own and block_size is not None and block_size > 0:
            raise ArgumentError(
                explain(
                    name,
                    "its own quantizers for blocks. Int4 sub-channel quantization "
                    "(block_size > 0) does not support custom quantizers",
                    f"block_size={block_size}, weight_quantizer={weight_quantizer}, "
                    f"activation_quantizer={activation_quantizer}",
                    "Set block_size=None, or leave the quantizers out.",
                )
            )
        if weight_quantizer is not None:
            if tuple(weight_quantizer.value_range) != (-8, 7):
                raise ArgumentError(
                    explain(
                        name,
                        "a weight_quantizer with value_range=(-8, 7)",
                        f"value_range={weight_quantizer.value_range}",
                    )
                )
            _check_int8(name, weight_quantizer)

    @property
    def mode(self) -> str:
        return "int4"

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": self.block_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Int4QuantizationConfig":
        # Files from before there were blocks do not name their size.
        return cls(**_with_quantizers({"block_size": None, **config}))


class Float8QuantizationConfig(QuantizationConfig):
    """Training with operands of eight bits; there is nothing to set."""

    def __init__(self) -> None:
        super().__init__(None, None)

    @property
    def mode(self) -> str:
        return "float8"

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Float8QuantizationConfig":
        return cls()


def _check_int8(name: str, quantizer: Any) -> None:
    if quantizer.output_dtype != "int8":
        raise ArgumentError(
            explain(
                name,
                "a weight_quantizer with output_dtype='int8'",
                f"output_dtype={quantizer.output_dtype!r}",
            )
        )

"""How a layer is to be quantized: a mode, and quantizers of weights and of activations."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.dtype_policies.quantized import QUANTIZATION_MODES
from thalweg.keras.quantizers.quantizer import AbsMaxQuantizer
from thalweg.keras.saving.registration import register_builtins
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


class CalibratedConfig(QuantizationConfig):
    """What the calibrated modes share: data to run the model on, bits, and the size of groups.

    `dataset` is an iterable of texts, which `tokenizer.tokenize` turns into integers, or of arrays
    of integers; `num_samples` windows of `sequence_length` of them are used. `group_size` inputs
    share a scale and a zero; -1, all of an output. `quantization_layer_structure` is a dict of
    "pre_block_layers" and "sequential_blocks"; None asks the model for it.
    """

    WIDTHS: tuple[int, ...]
    WIDTHS_MESSAGE: str

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        weight_bits: int,
        num_samples: int,
        sequence_length: int,
        group_size: int,
        quantization_layer_structure: dict[str, Any] | None,
    ):
        super().__init__()
        self._check(
            weight_bits in self.WIDTHS,
            self.WIDTHS_MESSAGE.format(weight_bits=weight_bits),
            f"weight_bits={weight_bits}",
        )
        for name, value in (("num_samples", num_samples), ("sequence_length", sequence_length)):
            self._check(value > 0, f"{name} must be a positive integer.", f"{name}={value}")
        self._check(
            group_size == -1 or group_size > 0,
            "Invalid group_size. Supported values are -1 (one group of all inputs) or a positive "
            "integer",
            f"group_size={group_size}",
        )
        self.dataset = dataset
        self.tokenizer = tokenizer
        self.weight_bits = weight_bits
        self.num_samples = num_samples
        self.sequence_length = sequence_length
        self.group_size = group_size
        self.quantization_layer_structure = quantization_layer_structure

    def _check(self, is_good: bool, message: str, received: str) -> None:
        if not is_good:
            wanted = f"settings that there are. {message}"
            raise ArgumentError(explain(type(self).__name__, wanted.rstrip("."), received))

    def dtype_policy_string(self) -> str:
        """The mode of the policy that a layer has afterwards, such as "gptq/4/128"."""
        return f"{self.mode}/{self.weight_bits}/{self.group_size}"

    def get_config(self) -> dict[str, Any]:
        # Data, tokenizer and layers are used once and not kept in files.
        return {
            "dataset": None,
            "tokenizer": None,
            "weight_bits": self.weight_bits,
            "num_samples": self.num_samples,
            "sequence_length": self.sequence_length,
            "group_size": self.group_size,
            "quantization_layer_structure": None,
        }

    def kept(self) -> "CalibratedConfig":
        return self.from_config(self.get_config())

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CalibratedConfig":
        return cls(**config)


class GPTQConfig(CalibratedConfig):
    """Weights of 2, 3, 4 or 8 bits, each rounded so as to make good the errors of those before.

    `hessian_damping` is what is added to the diagonal of the second moments of the inputs, as a
    part of its mean; `per_channel` gives outputs scales of their own, `symmetric` puts zero in the
    middle, `activation_order` rounds the weights of large inputs first. Raises ArgumentError for
    settings that there are not. Frantar et al., GPTQ, https://arxiv.org/abs/2210.17323.
    """

    WIDTHS = (2, 3, 4, 8)
    WIDTHS_MESSAGE = "Unsupported weight_bits {weight_bits}. Supported values are 2, 3, 4, and 8."

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        per_channel: bool = True,
        sequence_length: int = 512,
        hessian_damping: float = 0.01,
        group_size: int = 128,
        symmetric: bool = False,
        activation_order: bool = False,
        quantization_layer_structure: dict[str, Any] | None = None,
    ):
        super().__init__(
            dataset,
            tokenizer,
            weight_bits,
            num_samples,
            sequence_length,
            group_size,
            quantization_layer_structure,
        )
        self._check(
            0 <= hessian_damping <= 1,
            "hessian_damping must be between 0 and 1.",
            f"hessian_damping={hessian_damping}",
        )
        self.per_channel = per_channel
        self.hessian_damping = hessian_damping
        self.symmetric = symmetric
        self.activation_order = activation_order

    @property
    def mode(self) -> str:
        return "gptq"

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "per_channel": self.per_channel,
            "hessian_damping": self.hessian_damping,
            "symmetric": self.symmetric,
            "activation_order": self.activation_order,
        }


class AWQConfig(CalibratedConfig):
    """Weights of four bits, scaled up before where their inputs are large.

    `num_grid_points` is how many exponents of the inputs' sizes are tried as scales. Raises
    ArgumentError for settings that there are not. Lin et al., AWQ, https://arxiv.org/abs/2306.00978.
    """

    WIDTHS = (4,)
    WIDTHS_MESSAGE = "AWQ only supports 4-bit quantization. Received weight_bits={weight_bits}."

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        weight_bits: int = 4,
        num_samples: int = 128,
        sequence_length: int = 512,
        group_size: int = 128,
        num_grid_points: int = 20,
        quantization_layer_structure: dict[str, Any] | None = None,
    ):
        super().__init__(
            dataset,
            tokenizer,
            weight_bits,
            num_samples,
            sequence_length,
            group_size,
            quantization_layer_structure,
        )
        self._check(
            num_grid_points > 0,
            "num_grid_points must be a positive integer.",
            f"num_grid_points={num_grid_points}",
        )
        self.num_grid_points = num_grid_points

    @property
    def mode(self) -> str:
        return "awq"

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_grid_points": self.num_grid_points}


CALIBRATED = {"gptq": GPTQConfig, "awq": AWQConfig}
_DEFAULTS: dict[str, type] = {
    "int8": Int8QuantizationConfig,
    "int4": Int4QuantizationConfig,
    "float8": Float8QuantizationConfig,
}


def resolved(mode: Any, config: Any) -> QuantizationConfig:
    """The configuration that `quantize(mode, config)` means: its own, or the mode's default.

    Raises ArgumentError for modes that there are not, for a configuration of another mode, and for
    calibrated modes without one.
    """
    if isinstance(config, str):
        mode, config = config, None
    _check_mode(mode)
    if config is None:
        if mode in CALIBRATED:
            name = CALIBRATED[mode].__name__
            raise ArgumentError(
                explain(
                    "quantize",
                    f"data to calibrate with. For {mode.upper()}, you must pass a `{name}` object "
                    "in the `config` argument",
                    f"mode={mode!r} alone",
                    f"Write quantize({mode!r}, config={name}(dataset, tokenizer)).",
                )
            )
        if mode is None:
            raise ArgumentError(
                explain("quantize", "You must provide either `mode` or `config`", "neither")
            )
        return _DEFAULTS[mode]()
    if not isinstance(config, QuantizationConfig):
        raise ArgumentError(
            explain(
                "quantize",
                "Argument `config` must be an instance of `QuantizationConfig`",
                f"config={config} (of type {type(config)})",
            )
        )
    if mode is not None and config.mode != mode:
        raise ArgumentError(
            explain(
                "quantize",
                "one mode. Contradictory arguments",
                f"mode='{mode}' but config.mode='{config.mode}'",
            )
        )
    _check_mode(config.mode)
    wanted = CALIBRATED.get(config.mode)
    if wanted is not None and not isinstance(config, wanted):
        raise ArgumentError(
            explain(
                "quantize",
                f"settings of the mode. Mode '{config.mode}' requires a valid `config` argument "
                f"of type `{wanted.__name__}`",
                f"{type(config)}",
            )
        )
    return config


def _check_mode(mode: Any) -> None:
    if mode is not None and mode not in QUANTIZATION_MODES:
        raise ArgumentError(
            explain(
                "quantize",
                f"a mode. Invalid quantization mode. Expected one of {QUANTIZATION_MODES}",
                f"mode={mode}",
            )
        )


CLASSES = (
    QuantizationConfig,
    Int8QuantizationConfig,
    Int4QuantizationConfig,
    Float8QuantizationConfig,
    GPTQConfig,
    AWQConfig,
)
register_builtins("keras.quantizers", {each.__name__: each for each in CLASSES})

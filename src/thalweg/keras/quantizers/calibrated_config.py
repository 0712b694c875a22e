"""How a layer is to be quantized by what it sees of data: the settings of GPTQ and AWQ."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.quantizers.config import QuantizationConfig


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

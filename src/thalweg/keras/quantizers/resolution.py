"""What `quantize(mode, config)` asks for: one configuration."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.dtype_policies.quantized import QUANTIZATION_MODES
from thalweg.keras.quantizers.calibrated_config import AWQConfig, GPTQConfig
from thalweg.keras.quantizers.config import (
    Float8QuantizationConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
)

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

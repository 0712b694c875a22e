"""keras.quantizers: from floats to small integers, and how layers are to be quantized."""

from collections.abc import Mapping
from typing import Any

from thalweg.keras.lookup import interpreted, names_of
from thalweg.keras.quantizers.calibrated_config import AWQConfig, GPTQConfig
from thalweg.keras.quantizers.config import (
    Float8QuantizationConfig,
    Int4QuantizationConfig,
    Int8QuantizationConfig,
    QuantizationConfig,
)
from thalweg.keras.quantizers.fake_quant import fake_quant_with_min_max_vars
from thalweg.keras.quantizers.float8 import (
    compute_float8_amax_history,
    compute_float8_scale,
    quantize_and_dequantize,
)
from thalweg.keras.quantizers.nibbles import pack_int4, unpack_int4
from thalweg.keras.quantizers.parameters import (
    abs_max_quantize,
    abs_max_quantize_grouped_with_zero_point,
    compute_quantization_parameters,
    dequantize_with_sz_map,
    quantize_with_sz_map,
)
from thalweg.keras.quantizers.quantizer import AbsMaxQuantizer, Quantizer
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

_OBJECTS = names_of(
    (
        Quantizer,
        AbsMaxQuantizer,
        QuantizationConfig,
        Int8QuantizationConfig,
        Int4QuantizationConfig,
        Float8QuantizationConfig,
        GPTQConfig,
        AWQConfig,
    )
)


def serialize(initializer: Any) -> dict[str, Any]:
    """The config by which `deserialize` makes the quantizer again."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The quantizer of a config. `custom_objects` gives classes by name."""
    return deserialize_keras_object(config, custom_objects, module_objects=_OBJECTS)


def get(identifier: Any, **kwargs: Any) -> Any:
    """The quantizer of a name, config, class or callable; None for None.

    `kwargs` are the arguments for a class or a name of one.
    """
    if isinstance(identifier, str):
        identifier = _OBJECTS.get(identifier, identifier)
    if isinstance(identifier, type):
        return identifier(**kwargs)
    return interpreted("quantizer", identifier, _OBJECTS)


__all__ = [
    "AWQConfig",
    "AbsMaxQuantizer",
    "Float8QuantizationConfig",
    "GPTQConfig",
    "Int4QuantizationConfig",
    "Int8QuantizationConfig",
    "QuantizationConfig",
    "Quantizer",
    "abs_max_quantize",
    "abs_max_quantize_grouped_with_zero_point",
    "compute_float8_amax_history",
    "compute_float8_scale",
    "compute_quantization_parameters",
    "dequantize_with_sz_map",
    "deserialize",
    "fake_quant_with_min_max_vars",
    "get",
    "pack_int4",
    "quantize_and_dequantize",
    "quantize_with_sz_map",
    "serialize",
    "unpack_int4",
]

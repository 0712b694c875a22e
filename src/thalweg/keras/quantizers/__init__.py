"""keras.quantizers: from floats to small integers, and how layers are to be quantized."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
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
    from thalweg.keras.quantizers.named import deserialize, get, serialize
    from thalweg.keras.quantizers.nibbles import pack_int4, unpack_int4
    from thalweg.keras.quantizers.parameters import (
        abs_max_quantize,
        abs_max_quantize_grouped_with_zero_point,
        compute_quantization_parameters,
        dequantize_with_sz_map,
        quantize_with_sz_map,
    )
    from thalweg.keras.quantizers.quantizer import AbsMaxQuantizer, Quantizer

"""What layers take from here when they are quantized: imported when it is used."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.quantizers.calibrated import Calibrated
    from thalweg.keras.quantizers.config import Int4QuantizationConfig, QuantizationConfig
    from thalweg.keras.quantizers.float8 import rounded_derivative, rounded_operand
    from thalweg.keras.quantizers.integer_format import Encoded, IntegerFormat
    from thalweg.keras.quantizers.nibbles import pack_int4, unpack_int4
    from thalweg.keras.quantizers.parameters import dequantize_with_sz_map
    from thalweg.keras.quantizers.quantizer import AbsMaxQuantizer
    from thalweg.keras.quantizers.resolution import CALIBRATED, resolved

"""keras.dtype_policies: the types in which layers keep variables and compute, and how they are
quantized.
"""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.dtype_policies.named import deserialize, get, serialize, set_dtype_policy
    from thalweg.keras.dtype_policies.policy import (
        DTypePolicy,
        FloatDTypePolicy,
        dtype_policy,
        reset_dtype_policy,
    )
    from thalweg.keras.dtype_policies.policy_map import DTypePolicyMap
    from thalweg.keras.dtype_policies.quantized import (
        QUANTIZATION_MODES,
        AWQDTypePolicy,
        GPTQDTypePolicy,
        Int4DTypePolicy,
        QuantizedDTypePolicy,
        QuantizedFloat8DTypePolicy,
    )

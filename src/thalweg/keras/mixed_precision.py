"""keras.mixed_precision: dtype policies under their older names, and the scaling of losses."""

from thalweg.keras.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from thalweg.keras.optimizers.loss_scale import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

"""Conversions, slices and scattered writes, and control flow."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.ops.core.control import (
        associative_scan,
        cond,
        fori_loop,
        map,
        scan,
        switch,
        vectorized_map,
        while_loop,
    )
    from thalweg.keras.ops.core.values import (
        cast,
        convert_to_numpy,
        convert_to_tensor,
        custom_gradient,
        dtype,
        is_tensor,
        saturate_cast,
        scatter,
        scatter_update,
        shape,
        slice,
        slice_update,
        stop_gradient,
        unstack,
    )

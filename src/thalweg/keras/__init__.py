"""keras: the high-level API. `from thalweg import keras` is all that a Keras 3 program changes."""

from thalweg.base.demand import on_demand
from thalweg.keras.release import __version__

with on_demand(__name__):
    from thalweg.keras import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        dtype_policies,
        initializers,
        layers,
        legacy,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        quantizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
        visualization,
    )
    from thalweg.keras.dtype_policies import DTypePolicy, FloatDTypePolicy
    from thalweg.keras.function import Function
    from thalweg.keras.initializers import Initializer
    from thalweg.keras.layers import Input, InputSpec, Layer
    from thalweg.keras.losses import Loss
    from thalweg.keras.metrics import Metric
    from thalweg.keras.models import Model, Sequential
    from thalweg.keras.naming import name_scope
    from thalweg.keras.operation import Operation, SymbolicScope
    from thalweg.keras.optimizers import Optimizer
    from thalweg.keras.placement import device
    from thalweg.keras.quantizers import Quantizer
    from thalweg.keras.regularizers import Regularizer
    from thalweg.keras.release import version
    from thalweg.keras.rematerialization import RematScope, remat
    from thalweg.keras.symbol import KerasTensor
    from thalweg.keras.variable import StatelessScope, Variable

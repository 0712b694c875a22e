"""`keras.optimizers.schedules`: learning rates that change with the steps taken."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.optimizers.schedules.decays import (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        LearningRateSchedule,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
    from thalweg.keras.optimizers.schedules.named import deserialize, serialize

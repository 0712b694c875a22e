"""`keras.optimizers`: how gradients change the variables of a model."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.optimizers import legacy, schedules
    from thalweg.keras.optimizers.adam import Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW
    from thalweg.keras.optimizers.adaptive import Adadelta, Adafactor, Adagrad, Ftrl, RMSprop
    from thalweg.keras.optimizers.loss_scale import LossScaleOptimizer
    from thalweg.keras.optimizers.momentum import SGD, Lion
    from thalweg.keras.optimizers.multi import MultiOptimizer, OptimizerMap
    from thalweg.keras.optimizers.muon import Muon
    from thalweg.keras.optimizers.named import deserialize, get, serialize
    from thalweg.keras.optimizers.optimizer import Optimizer

"""keras.legacy: what programs of Keras 2 call, under its old names."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.legacy import saving

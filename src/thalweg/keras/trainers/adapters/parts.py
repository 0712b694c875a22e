"""What is looked at where data is no arrays: imported when it is used."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.trainers.adapters.known import STREAMS
    from thalweg.keras.trainers.adapters.py_datasets import PyDatasetAdapter

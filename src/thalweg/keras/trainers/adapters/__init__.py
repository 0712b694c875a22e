"""Adapters: one way to take batches from whatever `fit`, `evaluate` and `predict` are given."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.trainers.adapters.adapter import DataAdapter
    from thalweg.keras.trainers.adapters.arrays import (
        ArrayDataAdapter,
        can_convert_arrays,
        train_validation_split,
    )
    from thalweg.keras.trainers.adapters.choose import get_data_adapter
    from thalweg.keras.trainers.adapters.py_datasets import PyDatasetAdapter
    from thalweg.keras.trainers.adapters.sample_weight import class_weight_to_sample_weights
    from thalweg.keras.trainers.adapters.streams import (
        DatasetAdapter,
        GeneratorDataAdapter,
        GrainDatasetAdapter,
        IterableDataAdapter,
        TFDatasetAdapter,
        TorchDataLoaderAdapter,
    )

"""What gives batches by itself, and how it is taken: looked at where data is no arrays."""

from collections.abc import Callable, Iterator
from typing import Any

from thalweg.keras.trainers.adapters.adapter import DataAdapter
from thalweg.keras.trainers.adapters.py_datasets import PyDatasetAdapter
from thalweg.keras.trainers.adapters.streams import (
    DatasetAdapter,
    GeneratorDataAdapter,
    GrainDatasetAdapter,
    IterableDataAdapter,
    TFDatasetAdapter,
    TorchDataLoaderAdapter,
    is_grain_dataset,
    is_iterable,
    is_tf_dataset,
    is_thalweg_dataset,
    is_torch_dataloader,
)
from thalweg.keras.utils.py_dataset import PyDataset

# What it is called; how it is known; its adapter; does the adapter weigh classes. In this order.
STREAMS: tuple[tuple[str, Callable[[Any], bool], Callable[..., DataAdapter], bool], ...] = (
    ("tf.data.Dataset", is_tf_dataset, TFDatasetAdapter, True),
    ("thalweg.data.Dataset", is_thalweg_dataset, DatasetAdapter, True),
    ("PyDataset", lambda x: isinstance(x, PyDataset), PyDatasetAdapter, True),
    ("torch DataLoader", is_torch_dataloader, TorchDataLoaderAdapter, False),
    ("grain.Dataset and grain.DataLoader", is_grain_dataset, GrainDatasetAdapter, False),
    ("generator", lambda x: isinstance(x, Iterator), GeneratorDataAdapter, False),
    ("iterable", is_iterable, IterableDataAdapter, False),
)

"""Input pipelines: `thalweg.data.Dataset`, which reads as tf.data does."""

from thalweg.data.background import AUTOTUNE
from thalweg.data.dataset import Dataset, DatasetIterator
from thalweg.data.rows import INFINITE as INFINITE_CARDINALITY
from thalweg.data.rows import UNKNOWN as UNKNOWN_CARDINALITY
from thalweg.data.structure import TensorSpec

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "Dataset",
    "DatasetIterator",
    "TensorSpec",
]

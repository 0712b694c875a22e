"""Input pipelines: `thalweg.data.Dataset`, which reads as tf.data does."""

from thalweg.base.demand import on_demand

with on_demand(__name__, first="thalweg.array"):
    from thalweg.data.background import AUTOTUNE
    from thalweg.data.dataset import Dataset, DatasetIterator
    from thalweg.data.rows import INFINITE as INFINITE_CARDINALITY
    from thalweg.data.rows import UNKNOWN as UNKNOWN_CARDINALITY
    from thalweg.data.structure import TensorSpec

"""Data sets of classic examples: `keras.datasets`.

Each is looked up in the folder $THALWEG_DATA, then in the cache, then fetched and kept. Nothing in
a file is ever run.
"""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.datasets import (
        boston_housing,
        california_housing,
        cifar10,
        cifar100,
        fashion_mnist,
        imdb,
        mnist,
        reuters,
    )

"""keras.legacy: what programs of Keras 2 call, under its old names."""

from thalweg.keras.legacy import saving

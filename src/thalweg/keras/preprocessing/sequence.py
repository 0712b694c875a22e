"""Sequences: `keras.preprocessing.sequence`."""

from thalweg.keras.utils.sequences import pad_sequences

__all__ = ["pad_sequences"]

"""Data before models, under its older names: `keras.preprocessing`."""

from thalweg.keras.preprocessing import image, sequence
from thalweg.keras.utils.image_dataset import image_dataset_from_directory
from thalweg.keras.utils.text_dataset import text_dataset_from_directory
from thalweg.keras.utils.timeseries import timeseries_dataset_from_array

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]

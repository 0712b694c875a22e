"""Data before models, under its older names: `keras.preprocessing`."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.preprocessing import image, sequence
    from thalweg.keras.utils.image_dataset import image_dataset_from_directory
    from thalweg.keras.utils.text_dataset import text_dataset_from_directory
    from thalweg.keras.utils.timeseries import timeseries_dataset_from_array

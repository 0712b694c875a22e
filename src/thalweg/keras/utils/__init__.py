"""Tools for programs around their models: `keras.utils`."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.dtypes import standardize_dtype
    from thalweg.keras.saving.registration import (
        CustomObjectScope,
        get_custom_objects,
        get_registered_name,
        get_registered_object,
        register_keras_serializable,
    )
    from thalweg.keras.saving.registration import CustomObjectScope as custom_object_scope
    from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
    from thalweg.keras.session import clear_session
    from thalweg.keras.settings import (
        disable_interactive_logging,
        enable_interactive_logging,
        is_interactive_logging_enabled,
    )
    from thalweg.keras.symbol import is_keras_tensor
    from thalweg.keras.utils import bounding_boxes, legacy
    from thalweg.keras.utils.audio_dataset import audio_dataset_from_directory
    from thalweg.keras.utils.config import Config
    from thalweg.keras.utils.files import get_file
    from thalweg.keras.utils.graph import get_source_inputs
    from thalweg.keras.utils.image_dataset import image_dataset_from_directory
    from thalweg.keras.utils.images import array_to_img, img_to_array, load_img, save_img
    from thalweg.keras.utils.model_pictures import model_to_dot, plot_model
    from thalweg.keras.utils.numerical import normalize, to_categorical
    from thalweg.keras.utils.progbar import Progbar
    from thalweg.keras.utils.py_dataset import PyDataset
    from thalweg.keras.utils.py_dataset import PyDataset as Sequence
    from thalweg.keras.utils.randomness import set_random_seed
    from thalweg.keras.utils.sample_weight import pack_x_y_sample_weight, unpack_x_y_sample_weight
    from thalweg.keras.utils.sequences import pad_sequences
    from thalweg.keras.utils.split import split_dataset
    from thalweg.keras.utils.text_dataset import text_dataset_from_directory
    from thalweg.keras.utils.timeseries import timeseries_dataset_from_array

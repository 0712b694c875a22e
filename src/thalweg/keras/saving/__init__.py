"""keras.saving: models and weights in files, and the classes that files may name."""

from thalweg.base.demand import on_demand

with on_demand(__name__):
    from thalweg.keras.saving.archive import load_model, load_weights, save_model, save_weights
    from thalweg.keras.saving.file_editor import KerasFileEditor
    from thalweg.keras.saving.registration import (
        CustomObjectScope,
        custom_object_scope,
        get_custom_objects,
        get_registered_name,
        get_registered_object,
        register_keras_serializable,
    )
    from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

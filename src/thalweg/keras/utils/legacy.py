"""keras.utils.legacy: how Keras wrote objects before version 3, see `keras.legacy.saving`."""

from thalweg.keras.legacy.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

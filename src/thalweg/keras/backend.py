"""keras.backend: element types, defaults and names, as programs look them up."""

from thalweg.keras.dtypes import is_float_dtype, is_int_dtype, result_type, standardize_dtype
from thalweg.keras.naming import get_uid
from thalweg.keras.session import clear_session
from thalweg.keras.settings import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from thalweg.keras.symbol import is_keras_tensor

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]

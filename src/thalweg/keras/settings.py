"""What holds for the whole process: the default float type, epsilon, the data format, and limits.

`keras.config` and `keras.backend` hand these on.
"""

import os

from thalweg.base.errors import ArgumentError, explain

FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")
DATA_FORMATS = ("channels_last", "channels_first")

_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_max_epochs: int | None = None
_max_steps_per_epoch: int | None = None
_flash_attention = False
_is_interactive = True
_filters_tracebacks = True


def backend() -> str:
    """The name of the engine: "thalweg"."""
    return "thalweg"


def set_backend(name: str) -> None:
    """Choose the engine; there is one.

    Raises ArgumentError for any other name: programs run on other frameworks through
    `thalweg.set_options(backend=...)`.
    """
    if name != "thalweg":
        raise ArgumentError(explain("set_backend", "'thalweg'", repr(name)))


def floatx() -> str:
    """The default float type, as a string."""
    return _floatx


def set_floatx(value: str) -> None:
    """Set the default float type: bfloat16, float16, float32 or float64."""
    global _floatx
    if value not in FLOAT_TYPES:
        raise ArgumentError(
            explain("set_floatx", f"one of {', '.join(FLOAT_TYPES)}", f"Unknown `floatx`: {value}")
        )
    _floatx = str(value)


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite; 1e-7 by default."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set the small number that keeps divisions and logarithms finite."""
    global _epsilon
    _epsilon = value


def image_data_format() -> str:
    """The default place of the channel axis: channels_last or channels_first."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set the default place of the channel axis."""
    global _image_data_format
    _image_data_format = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """The data format in lower case; the default one for None. Raises ArgumentError for others."""
    if data_format is None:
        return _image_data_format
    found = str(data_format).lower()
    if found not in DATA_FORMATS:
        raise ArgumentError(
            explain(
                "data_format",
                "`data_format` to be 'channels_first' or 'channels_last'",
                f"data_format={data_format}",
            )
        )
    return found


def max_epochs() -> int | None:
    """The most epochs that `fit` runs, or None for as many as asked."""
    return _max_epochs


def set_max_epochs(value: int | None) -> None:
    """Limit the epochs of every `fit`, for short trial runs; None takes the limit away."""
    global _max_epochs
    _max_epochs = value


def max_steps_per_epoch() -> int | None:
    """The most steps of an epoch that are run, or None for all."""
    return _max_steps_per_epoch


def set_max_steps_per_epoch(value: int | None) -> None:
    """Limit the steps of every epoch, for short trial runs; None takes the limit away."""
    global _max_steps_per_epoch
    _max_steps_per_epoch = value


def _limit(name: str) -> int | None:
    text = os.environ.get(name, "").strip()
    return int(text) if text.isdigit() else None


set_max_epochs(_limit("KERAS_MAX_EPOCHS"))
set_max_steps_per_epoch(_limit("KERAS_MAX_STEPS_PER_EPOCH"))


def enable_flash_attention() -> None:
    """Let attention use its fused form where it has one; results agree within rounding."""
    global _flash_attention
    _flash_attention = True


def disable_flash_attention() -> None:
    """Keep attention to its plain form."""
    global _flash_attention
    _flash_attention = False


def is_flash_attention_enabled() -> bool:
    """True when attention may use its fused form."""
    return _flash_attention


def is_nnx_enabled() -> bool:
    """False: layers are not NNX modules here."""
    return False


def enable_interactive_logging() -> None:
    """Print progress to standard output."""
    global _is_interactive
    _is_interactive = True


def disable_interactive_logging() -> None:
    """Hand progress to Python's logging instead of printing it."""
    global _is_interactive
    _is_interactive = False


def is_interactive_logging_enabled() -> bool:
    """True when progress is printed."""
    return _is_interactive


def enable_traceback_filtering() -> None:
    """Leave the frames inside Thalweg out of tracebacks."""
    global _filters_tracebacks
    _filters_tracebacks = True


def disable_traceback_filtering() -> None:
    """Show whole tracebacks."""
    global _filters_tracebacks
    _filters_tracebacks = False


def is_traceback_filtering_enabled() -> bool:
    """True when tracebacks leave out the frames inside Thalweg."""
    return _filters_tracebacks

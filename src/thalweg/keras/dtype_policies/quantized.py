"""Policies of quantized layers: a mode, its settings, and the plain policy it was made from.

int8_from_float32        QuantizedDTypePolicy        eight bits, a scale for each output
int4/128_from_float32    Int4DTypePolicy             four bits, a scale for 128 inputs each
float8_from_bfloat16     QuantizedFloat8DTypePolicy  training with operands of eight bits
gptq/4/128_from_float32  GPTQDTypePolicy             calibrated: bits, inputs to a scale
awq/4/128_from_float32   AWQDTypePolicy              calibrated: bits, inputs to a scale
"""

from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras.dtype_policies.policy import DTypePolicy, dtype_policy, types_of

QUANTIZATION_MODES = ("int8", "float8", "int4", "gptq", "awq")


class QuantizedDTypePolicy(DTypePolicy):
    """The policy `{mode}_from_{source_name}`; without `source_name`, from the policy in force.

    Raises ArgumentError for a mode that there is not, and for "int8" from float16.
    """

    def __init__(self, mode: str, source_name: str | None = None):
        if source_name is None:
            source_name = dtype_policy().name
        self._compute_dtype, self._variable_dtype = types_of(source_name)
        if mode not in QUANTIZATION_MODES:
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    f"a mode among {QUANTIZATION_MODES}. Invalid quantization mode",
                    f"mode={mode}",
                )
            )
        if mode == "int8" and self._compute_dtype == "float16":
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    f"a compute type that holds sums of products. Quantization mode='{mode}' "
                    "doesn't work well with compute_dtype='float16'",
                    f"source_name={source_name!r}",
                    "Take source_name='mixed_bfloat16'.",
                )
            )
        self._name = f"{mode}_from_{source_name}"
        self._source_name = source_name
        self._quantization_mode = mode

    def _settings(self) -> tuple[Any, ...]:
        """What two equal policies agree in, besides their class and name."""
        return self._quantization_mode, self._source_name

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        return same and self._settings() == other._settings()  # type: ignore[attr-defined]

    __hash__ = DTypePolicy.__hash__

    def get_config(self) -> dict[str, Any]:
        return {"mode": self._quantization_mode, "source_name": self._source_name}


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """float8: scales follow the largest of the last `amax_history_length` maxima."""

    default_amax_history_length = 1024

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024):
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int):
            raise ArgumentTypeError(
                explain(
                    type(self).__name__,
                    "a number of steps. `amax_history_length` must be an integer.",
                    f"amax_history_length={amax_history_length!r}",
                )
            )
        self._amax_history_length = amax_history_length

    @property
    def amax_history_length(self) -> int:
        """How many steps back the largest absolute values are remembered."""
        return self._amax_history_length

    def _settings(self) -> tuple[Any, ...]:
        return *super()._settings(), self._amax_history_length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amax_history_length": self._amax_history_length}


class _ModeWithSettings(QuantizedDTypePolicy):
    """A policy whose mode is written with settings: `mode/setting/setting`, all integers."""

    MODE: str
    SETTINGS: tuple[str, ...]
    WIDTHS: tuple[int, ...] = ()
    WIDTHS_MESSAGE = ""

    def __init__(self, mode: str, source_name: str | None = None):
        if source_name is None:
            source_name = dtype_policy().name
        name, *given = mode.split("/")
        form = "/".join([self.MODE, *(f"<{each}>" for each in self.SETTINGS)])
        if name != self.MODE or len(given) != len(self.SETTINGS):
            raise self._invalid(form, mode, f"Invalid mode for {type(self).__name__}")
        try:
            values = [int(each) for each in given]
        except ValueError:
            what = " and ".join(f"<{each}>" for each in self.SETTINGS)
            number = "integers" if len(given) > 1 else "an integer"
            raise self._invalid(
                form, mode, f"Invalid mode for {type(self).__name__}. {what} must be {number}"
            ) from None
        super().__init__(name, source_name)
        self._name = f"{mode}_from_{source_name}"
        self.mode = name
        for setting, value in zip(self.SETTINGS, values, strict=True):
            setattr(self, setting, value)
        if self.WIDTHS and values[0] not in self.WIDTHS:
            raise self._invalid(form, mode, f"Invalid weight_bits in mode. {self.WIDTHS_MESSAGE}")
        if values[-1] < -1 or values[-1] == 0:
            raise self._invalid(
                form,
                mode,
                f"Invalid {self.SETTINGS[-1]} in mode. Supported values are -1 (one scale for an "
                "output) or a positive integer",
            )

    def _invalid(self, form: str, mode: str, message: str) -> ArgumentError:
        return ArgumentError(
            explain(type(self).__name__, f"a mode of the form '{form}'. {message}", f"mode={mode}")
        )

    def _written(self) -> str:
        return "/".join([self.mode, *(str(getattr(self, each)) for each in self.SETTINGS)])

    def _settings(self) -> tuple[Any, ...]:
        return *super()._settings(), *(getattr(self, each) for each in self.SETTINGS)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self._written()}


class Int4DTypePolicy(_ModeWithSettings):
    """`int4/<block_size>`: so many inputs share a scale and a zero; -1, all of an output."""

    MODE = "int4"
    SETTINGS = ("block_size",)
    block_size: int


class GPTQDTypePolicy(_ModeWithSettings):
    """`gptq/<weight_bits>/<group_size>`: 2, 3, 4 or 8 bits; -1, one group of all inputs."""

    MODE = "gptq"
    SETTINGS = ("weight_bits", "group_size")
    WIDTHS = (2, 3, 4, 8)
    WIDTHS_MESSAGE = "Supported values are 2, 3, 4, and 8"
    weight_bits: int
    group_size: int


class AWQDTypePolicy(_ModeWithSettings):
    """`awq/<weight_bits>/<group_size>`: 4 bits; -1, one group of all inputs."""

    MODE = "awq"
    SETTINGS = ("weight_bits", "group_size")
    WIDTHS = (4,)
    WIDTHS_MESSAGE = "AWQ only supports 4-bit quantization"
    weight_bits: int
    group_size: int


_BY_MODE: dict[str, type[QuantizedDTypePolicy]] = {
    "int8": QuantizedDTypePolicy,
    "int4": QuantizedDTypePolicy,
    "int4/": Int4DTypePolicy,
    "float8": QuantizedFloat8DTypePolicy,
    "gptq/": GPTQDTypePolicy,
    "awq/": AWQDTypePolicy,
}


def is_quantized_name(name: str) -> bool:
    """True if a name begins as that of a quantized policy does."""
    return name.startswith(QUANTIZATION_MODES)


def quantized_policy(name: str) -> QuantizedDTypePolicy:
    """The policy of a name `{mode}_from_{source_name}`. Raises ArgumentError for other names."""
    mode, *source = name.split("_from_")
    if len(source) != 1:
        raise ArgumentError(
            explain(
                "dtype_policies",
                "a name such as 'int8_from_float32'. Cannot convert `policy` into a valid pair "
                "(`mode`, `source_name`)",
                f"policy={name}",
            )
        )
    word, slash, _ = mode.partition("/")
    cls = _BY_MODE.get(word + slash) or _BY_MODE.get(f"{word}/") or QuantizedDTypePolicy
    return cls(mode, source[0])

"""DTypePolicy: in which type a layer keeps its variables and in which it computes.

"float32" -> both;  "mixed_bfloat16" -> computes in bfloat16, keeps float32
"""

from typing import Any

from thalweg.array.data_types import astype
from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import settings
from thalweg.keras.dtypes import ALLOWED_DTYPES, is_float_dtype, standardize_dtype
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy:
    """The types of a layer's variables and computation, named by one string.

    A type's own name means both; "mixed_float16" and "mixed_bfloat16" compute in 16 bits and keep
    variables in float32. None takes the policy in force. Raises ArgumentError for other names.
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        self._name = name
        self._compute_dtype, self._variable_dtype = types_of(name)
        self._quantization_mode: str | None = None

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """The type in which variables are kept."""
        return self._variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type in which layers compute."""
        return self._compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How weights are quantized, or None."""
        return self._quantization_mode

    def convert_input(self, x: Any, autocast: bool, dtype: Any) -> Any:
        """An input as a tensor; a float one in the type `dtype` if `autocast` is on."""
        dtype = standardize_dtype(dtype)
        if isinstance(x, Tensor):
            if autocast and is_float_dtype(x.dtype) and x.dtype.name != dtype:
                return _keep_mask(x, astype(x, dtype))
            return x
        if isinstance(x, KerasTensor):
            # Its place in the graph stays: values are cast when they come.
            return x
        if hasattr(x, "__array__") or isinstance(x, (bool, int, float)):
            found = tensor(x)
            if autocast and is_float_dtype(found.dtype) and found.dtype.name != dtype:
                found = astype(found, dtype)
            return found
        return x

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DTypePolicy":
        """The policy of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self._name}">'

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DTypePolicy) or _kind_of(self) is not _kind_of(other):
            return False
        return self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)


class FloatDTypePolicy(DTypePolicy):
    """The same as DTypePolicy, under its older name."""

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def _kind_of(policy: DTypePolicy) -> type:
    """The policy's class; the two names of plain policies mean one."""
    return DTypePolicy if isinstance(policy, FloatDTypePolicy) else type(policy)


def types_of(name: Any) -> tuple[str, str]:
    """The types to compute in and to keep variables in that a plain policy's name stands for.

    Raises ArgumentTypeError for what is no string, ArgumentError for names that mean nothing.
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(
            explain(
                "DTypePolicy",
                "'name' must be a string, such as 'mixed_bfloat16'",
                f"name={name} (of type {type(name)})",
            )
        )
    if name in MIXED:
        return MIXED[name], "float32"
    if name in ALLOWED_DTYPES or name in ("int", "float"):
        dtype = standardize_dtype(name)
        return dtype, dtype
    raise ArgumentError(
        explain(
            "DTypePolicy",
            f"the name of a type, 'mixed_float16' or 'mixed_bfloat16'; Cannot convert '{name}' to "
            "a mixed precision `DTypePolicy`",
            f"name={name!r}",
        )
    )


def _keep_mask(old: Any, new: Any) -> Any:
    mask = getattr(old, "_keras_mask", None)
    if mask is not None:
        new._keras_mask = mask
    return new


_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none; that of floatx at first."""
    global _policy
    if _policy is None:
        _policy = DTypePolicy(settings.floatx())
    return _policy


def use_dtype_policy(policy: DTypePolicy) -> None:
    """Make this the policy of layers that are given none."""
    global _policy
    _policy = policy


def reset_dtype_policy() -> None:
    """Return to the policy of floatx."""
    global _policy
    _policy = None


register_builtins("keras", {"DTypePolicy": DTypePolicy})

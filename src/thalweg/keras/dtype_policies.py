"""Dtype policies: in which type a layer keeps its variables and in which it computes.

"float32" -> both;  "mixed_bfloat16" -> computes in bfloat16, keeps float32
"""

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from thalweg.array.data_types import astype
from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.keras import settings
from thalweg.keras.dtypes import ALLOWED_DTYPES, is_float_dtype, standardize_dtype
from thalweg.keras.saving.registration import register_builtins
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class DTypePolicy:
    """The types of a layer's variables and computation, named by one string.

    A type's own name means both; "mixed_float16" and "mixed_bfloat16" compute in 16 bits and keep
    variables in float32. None takes the policy in force. Raises ArgumentError for other names.
    """

    def __init__(self, name: str | None = None, source_name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str):
            raise ArgumentTypeError(
                explain(
                    "DTypePolicy",
                    "'name' must be a string, such as 'mixed_bfloat16'",
                    f"name={name} (of type {type(name)})",
                )
            )
        self._name = name
        self._source_name = source_name
        if name in MIXED:
            self._compute_dtype, self._variable_dtype = MIXED[name], "float32"
        elif name in ALLOWED_DTYPES or name in ("int", "float"):
            self._compute_dtype = self._variable_dtype = standardize_dtype(name)
        else:
            raise ArgumentError(
                explain(
                    "DTypePolicy",
                    "the name of a type, 'mixed_float16' or 'mixed_bfloat16'; Cannot convert "
                    f"'{name}' to a mixed precision `DTypePolicy`",
                    f"name={name!r}",
                )
            )
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
        if not isinstance(other, DTypePolicy) or type(other) not in (type(self), DTypePolicy):
            return False
        return self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)


class FloatDTypePolicy(DTypePolicy):
    """The same as DTypePolicy, under its older name."""

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def _keep_mask(old: Any, new: Any) -> Any:
    mask = getattr(old, "_keras_mask", None)
    if mask is not None:
        new._keras_mask = mask
    return new


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """Policies by layer path; a path is looked up whole, then as a pattern, else the default holds.

    Used as a policy itself it stands for its default.
    """

    def __init__(
        self, default_policy: Any = None, policy_map: dict[str, DTypePolicy] | None = None
    ):
        if policy_map is not None and not isinstance(policy_map, dict):
            raise ArgumentTypeError(
                explain(
                    "DTypePolicyMap",
                    "`policy_map` to be a dict",
                    f"policy_map={policy_map} of type {type(policy_map)}",
                )
            )
        self._default_policy_arg = default_policy
        self._default_policy = get(default_policy)
        self._policy_map = policy_map or {}

    @property
    def name(self) -> str:
        return f"map_{self.default_policy._name}"

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of paths that are not in the map."""
        return dtype_policy() if self._default_policy_arg is None else self._default_policy

    @property
    def variable_dtype(self) -> str:
        return self.default_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        return self.default_policy.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        return self.default_policy.quantization_mode

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policy_map:
            return self._policy_map[key]
        matches = [pattern for pattern in self._policy_map if _matches(pattern, key)]
        if len(matches) > 1:
            raise ArgumentError(
                explain(
                    "DTypePolicyMap",
                    "one pattern for each path",
                    f"Path '{key}' matches multiple dtype policy specification keys: {matches}",
                    "Please make sure each path only matches at most one dtype policy.",
                )
            )
        return self._policy_map[matches[0]] if matches else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policy_map:
            raise ArgumentError(
                explain(
                    "DTypePolicyMap",
                    "a new key",
                    f"{key} already exist in the DTypePolicyMap with value {self._policy_map[key]}",
                    "Delete the entry first, to not use a duplicated key.",
                )
            )
        try:
            policy = get(policy)
        except Exception as error:
            raise ArgumentError(
                explain(
                    "DTypePolicyMap",
                    "a policy; Cannot interpret the assigned value by `keras.dtype_policies.get`",
                    repr(policy),
                )
            ) from error
        self._policy_map[key] = policy

    def __delitem__(self, key: str) -> None:
        self._policy_map.pop(key)

    def __contains__(self, key: object) -> bool:
        return key in self._policy_map

    def __len__(self) -> int:
        return len(self._policy_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy_map)

    def get_config(self) -> dict[str, Any]:
        default = self._default_policy_arg
        if isinstance(default, DTypePolicy):
            default = serialize_keras_object(default)
        return {
            "default_policy": default,
            "policy_map": {
                key: serialize_keras_object(each) for key, each in self._policy_map.items()
            },
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "DTypePolicyMap":
        config = dict(config)
        default = config.get("default_policy")
        if isinstance(default, dict):
            config["default_policy"] = deserialize_keras_object(default, custom_objects)
        config["policy_map"] = {
            key: deserialize_keras_object(each, custom_objects)
            for key, each in (config.get("policy_map") or {}).items()
        }
        return cls(**config)

    def __repr__(self) -> str:
        mapping = [(key, each.name) for key, each in self._policy_map.items()]
        return (
            f"<DTypePolicyMap at {hex(id(self))} "
            f"default_policy={self.default_policy.name}, mapping={mapping}>"
        )

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


def _matches(pattern: str, path: str) -> bool:
    """True if the path is, or lies below, what the pattern names."""
    return re.search(pattern, path) is not None


_policy: DTypePolicy | None = None


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none; that of floatx at first."""
    global _policy
    if _policy is None:
        _policy = DTypePolicy(settings.floatx())
    return _policy


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers that are given none: a name or a DTypePolicy."""
    global _policy
    if not isinstance(policy, DTypePolicy):
        if not isinstance(policy, str):
            raise ArgumentError(
                explain(
                    "set_dtype_policy",
                    "the string name of a policy or a DTypePolicy; Invalid `policy` argument",
                    f"policy={policy} (of type {type(policy)})",
                )
            )
        policy = DTypePolicy(policy)
    _policy = policy


def reset_dtype_policy() -> None:
    """Return to the policy of floatx."""
    global _policy
    _policy = None


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The config of a policy."""
    return serialize_keras_object(dtype_policy)


def deserialize(config: Any, custom_objects: Any = None) -> DTypePolicy:
    """The policy of a config."""
    return deserialize_keras_object(config, custom_objects=custom_objects)


def get(identifier: Any) -> DTypePolicy:
    """A policy from a policy, a name, a type, a config, or None for the one in force.

    Raises ArgumentError for anything else.
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(standardize_dtype(identifier))
    except ValueError:
        raise ArgumentError(
            explain(
                "dtype_policies",
                "a policy, the name of one, a dtype or a config; Cannot interpret `dtype` argument",
                f"identifier={identifier!r}. Expected an instance of a `DTypePolicy`",
            )
        ) from None


register_builtins("keras", {"DTypePolicy": DTypePolicy})
register_builtins(
    "keras.dtype_policies", {"DTypePolicyMap": DTypePolicyMap, "FloatDTypePolicy": FloatDTypePolicy}
)

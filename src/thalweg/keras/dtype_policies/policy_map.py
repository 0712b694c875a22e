"""DTypePolicyMap: policies by the paths of layers."""

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras.dtype_policies.named import get
from thalweg.keras.dtype_policies.policy import DTypePolicy
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """Policies by layer path; a path is looked up whole, then as a pattern, else the default holds.

    A pattern has to match the whole path: "encoder/.*" is all within the encoder. Used as a policy
    itself the map stands for its default, which is the policy in force unless one is given.
    """

    def __init__(
        self, default_policy: Any = None, policy_map: dict[str, DTypePolicy] | None = None
    ):
        if isinstance(default_policy, DTypePolicyMap):
            raise ArgumentError(
                explain(
                    "DTypePolicyMap",
                    "one policy as default. `default_policy` cannot be a `DTypePolicyMap`.",
                    repr(default_policy),
                )
            )
        if policy_map is not None and not isinstance(policy_map, dict):
            raise ArgumentTypeError(
                explain(
                    "DTypePolicyMap",
                    "a dict of policies. If specified, `policy_map` must be a dict.",
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
        return get(self._default_policy_arg)

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
        matches = [pattern for pattern in self._policy_map if re.fullmatch(pattern, key)]
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
        # The policy of a layer that was given a map is what that map says of it.
        self._policy_map[key] = policy[key] if isinstance(policy, DTypePolicyMap) else policy

    def __delitem__(self, key: str) -> None:
        self._policy_map.pop(key)

    def __contains__(self, key: object) -> bool:
        return key in self._policy_map

    def __len__(self) -> int:
        return len(self._policy_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy_map)

    def get_config(self) -> dict[str, Any]:
        records = {key: serialize_keras_object(each) for key, each in self._policy_map.items()}
        default = self._default_policy_arg
        if default is None:
            # What is read back follows the policy that is in force then.
            for record in records.values():
                source = "source_name" if "source_name" in record["config"] else "name"
                record["config"][source] = None
        elif isinstance(default, DTypePolicy):
            default = serialize_keras_object(default)
        return {"default_policy": default, "policy_map": records}

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

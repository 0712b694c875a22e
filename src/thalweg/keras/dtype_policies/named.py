"""What is given for a policy: an object, a name, a type, a config, or None."""

from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.dtype_policies.policy import DTypePolicy, dtype_policy, use_dtype_policy
from thalweg.keras.dtype_policies.quantized import is_quantized_name, quantized_policy
from thalweg.keras.dtypes import ALLOWED_DTYPES, standardize_dtype
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object


def named_policy(name: str) -> DTypePolicy:
    """The policy of a name, plain or quantized. Raises ArgumentError for one that means nothing."""
    if is_quantized_name(name) and name not in ALLOWED_DTYPES:
        return quantized_policy(name)
    return DTypePolicy(name)


def set_dtype_policy(policy: Any) -> None:
    """Set the policy of layers that are given none: a name or a DTypePolicy."""
    if isinstance(policy, str):
        policy = named_policy(policy)
    if not isinstance(policy, DTypePolicy):
        raise ArgumentError(
            explain(
                "set_dtype_policy",
                "the string name of a policy or a DTypePolicy; Invalid `policy` argument",
                f"policy={policy} (of type {type(policy)})",
            )
        )
    use_dtype_policy(policy)


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
        return named_policy(identifier)
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

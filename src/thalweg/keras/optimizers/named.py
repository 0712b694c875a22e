"""Optimizers by their names, and as plain data."""

import difflib
from collections.abc import Mapping
from typing import Any

from thalweg.base.demand import places_in
from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain
from thalweg.keras.lookup import Named
from thalweg.keras.optimizers.optimizer import Optimizer
from thalweg.keras.saving.serialization import deserialize_keras_object, serialize_keras_object

LOWER = Named(
    {
        name.lower(): at
        for name, at in places_in("thalweg.keras.optimizers").items()
        if name[0].isupper()
    }
)
"""The classes, in whatever case a file has their names."""


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer as plain data that `deserialize` reads."""
    return serialize_keras_object(optimizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The optimizer that plain data describes; `custom_objects` gives classes by name.

    Names of Keras' own classes may be written in any case.
    """
    name = str(config["class_name"]).lower()
    if name in LOWER and not config.get("registered_name"):
        config = {**config, "class_name": name}
    return deserialize_keras_object(config, custom_objects=custom_objects, module_objects=LOWER)


def get(identifier: Any) -> Any:
    """The optimizer of a name, a config, or itself; None for None.

    Raises ArgumentError for anything else.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    found, advice = None, ""
    if isinstance(identifier, str):
        kind = LOWER.get(identifier.lower())
        found = kind() if kind is not None and issubclass(kind, Optimizer) else None
        close = difflib.get_close_matches(identifier.lower(), LOWER, 1)
        advice = f"Did you mean {close[0]!r}?" if close else ""
    elif isinstance(identifier, dict) and "class_name" in identifier:
        try:
            found = deserialize(identifier)
        except ArgumentTypeError as error:
            advice = error.message
    if isinstance(found, Optimizer):
        return found
    raise ArgumentError(
        explain(
            "keras.optimizers.get",
            f"an optimizer, its config, or a name among {', '.join(sorted(LOWER))}",
            f"{identifier!r}: Could not interpret optimizer identifier: {identifier}",
            advice,
        )
    )

"""How Keras wrote objects before version 3: `{"class_name": ..., "config": {...}}`."""

from collections.abc import Mapping
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.saving.registration import (
    CustomObjectScope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    scoped_objects,
)


def serialize_keras_object(instance: Any) -> Any:
    """The class name and config of an object, the name of a function, None for None.

    Errors: ArgumentError for an object that has neither.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        config = {
            name: value if isinstance(value, str) else _nested(value)
            for name, value in instance.get_config().items()
        }
        return {"class_name": get_registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ArgumentError(
        explain(
            "serialize_keras_object",
            "an object with get_config(), or a function",
            f"{instance!r} of {type(instance).__name__}: Cannot serialize it because it doesn't"
            " implement `get_config()`",
        )
    )


def _nested(value: Any) -> Any:
    if hasattr(value, "get_config") and not isinstance(value, type):
        return serialize_keras_object(value)
    return value


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that a class name and config, or a name alone, stand for.

    Names are looked up in `custom_objects`, among those registered, and in `module_objects`; a
    class found by its name alone is made without arguments. None and functions come back.

    Errors: ArgumentError for an unknown name or a config of another form.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return _from_config(identifier, module_objects, custom_objects, printable_module_name)
    if isinstance(identifier, str):
        found = _find(identifier, module_objects, custom_objects)
        if found is None:
            raise _unknown(identifier, printable_module_name)
        return found() if isinstance(found, type) else found
    if callable(identifier):
        return identifier
    raise ArgumentError(
        explain(
            "deserialize_keras_object",
            f"a config, a name or a function for a {printable_module_name}",
            f"Could not interpret serialized object: {identifier!r}",
        )
    )


def _from_config(
    record: dict[str, Any],
    module_objects: Mapping[str, Any] | None,
    custom_objects: Mapping[str, Any] | None,
    noun: str,
) -> Any:
    if "class_name" not in record or "config" not in record:
        raise ArgumentError(
            explain(
                "deserialize_keras_object",
                "a dictionary with `class_name` and `config` as keys",
                f"Improper config format for {record!r:.200}",
            )
        )
    cls = _find(record["class_name"], module_objects, custom_objects)
    if cls is None:
        raise _unknown(record["class_name"], noun)
    if not hasattr(cls, "from_config"):
        with CustomObjectScope(dict(custom_objects or {})):
            return cls(**record["config"])
    with CustomObjectScope(dict(custom_objects or {})):
        return cls.from_config(record["config"])


def _find(
    name: str, module_objects: Mapping[str, Any] | None, custom_objects: Mapping[str, Any] | None
) -> Any:
    for table in (custom_objects, scoped_objects(), get_custom_objects()):
        if table and name in table:
            return table[name]
    return get_registered_object(name, module_objects=dict(module_objects or {})) or (
        (module_objects or {}).get(name)
    )


def _unknown(name: str, noun: str) -> ArgumentError:
    return ArgumentError(
        explain(
            "deserialize_keras_object",
            f"a known {noun}",
            f"Unknown {noun}: {name!r}",
            "Lend it: with keras.utils.custom_object_scope({name: value}): ...",
        )
    )

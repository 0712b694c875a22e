"""keras.legacy.saving: objects as `{"class_name", "config"}`, as before version 3.

    {class_name, config}        class_name is the registered name, such as "package>Name"
    functions                   their registered name
    objects within a config     the same with "__passive_serialization__": True

Files in these forms are read by `keras.saving.load_model`.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.saving.registration import (
    CustomObjectScope,
    get_custom_objects,
    get_registered_name,
    scoped_objects,
)

PASSIVE = "__passive_serialization__"
"""The mark of objects that were made plain data along with the object that holds them."""


def serialize_keras_object(instance: Any) -> Any:
    """The class name and config of an object, the name of a function, None for None.

    Errors: ArgumentError for an object that has neither.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config") and not isinstance(instance, type):
        config = {name: _plain(value) for name, value in instance.get_config().items()}
        return {"class_name": get_registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ArgumentError(
        explain(
            "serialize_keras_object",
            "an object with get_config(), or a function",
            f"{instance!r:.80} of {type(instance).__name__}: Cannot serialize it because it "
            "doesn't implement `get_config()`",
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, type):
        return value
    if hasattr(value, "get_config"):
        return {**serialize_keras_object(value), PASSIVE: True}
    return get_registered_name(value) if inspect.isfunction(value) else value


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
    given = (custom_objects, scoped_objects(), get_custom_objects(), module_objects)
    tables = tuple(table for table in given if table)
    if isinstance(identifier, dict):
        return _made(identifier, tables, custom_objects, printable_module_name)
    if isinstance(identifier, str):
        found = _found(identifier, tables)
        if found is None:
            raise _unknown(identifier, printable_module_name)
        return found() if isinstance(found, type) else found
    if callable(identifier):
        return identifier
    raise ArgumentError(
        explain(
            "deserialize_keras_object",
            f"a config, a name or a function for a {printable_module_name}",
            f"Could not interpret serialized {printable_module_name}: {identifier!r:.200}",
        )
    )


def _made(record: dict[str, Any], tables: tuple, custom_objects: Any, noun: str) -> Any:
    if "class_name" not in record or "config" not in record:
        raise ArgumentError(
            explain(
                "deserialize_keras_object",
                "a dictionary with `class_name` and `config` as keys",
                f"Improper config format for {record!r:.200}",
            )
        )
    cls = _found(record["class_name"], tables)
    if cls is None:
        raise _unknown(record["class_name"], noun)
    config = record["config"]
    if isinstance(config, dict):
        config = {
            key: value if key == "name" else _argument(value, tables, custom_objects)
            for key, value in config.items()
        }
    with CustomObjectScope(custom_objects):
        if not hasattr(cls, "from_config"):
            return cls(**config)
        if "custom_objects" in inspect.signature(cls.from_config).parameters:
            known = {**get_custom_objects(), **(custom_objects or {})}
            return cls.from_config(config, custom_objects=known)
        return cls.from_config(config)


def _argument(value: Any, tables: tuple, custom_objects: Any) -> Any:
    if isinstance(value, dict) and PASSIVE in value:
        return _made(value, tables, custom_objects, "config_item")
    if isinstance(value, str):
        found = _found(value, tables)
        return found if inspect.isfunction(found) else value
    return value


def _found(name: str, tables: tuple[Mapping[str, Any], ...]) -> Any:
    return next((table[name] for table in tables if name in table), None)


def _unknown(name: str, noun: str) -> ArgumentError:
    return ArgumentError(
        explain(
            "deserialize_keras_object",
            f"a known {noun}",
            f"Unknown {noun}: {name!r}",
            "Lend it: with keras.utils.custom_object_scope({name: value}): ...",
        )
    )

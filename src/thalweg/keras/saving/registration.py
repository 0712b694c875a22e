"""Which names in a file stand for which classes and functions.

Two tables: what Keras has itself, by public namespace (`register_builtins`), and what the program
registers or lends for a while (`register_keras_serializable`, `custom_object_scope`). Beside them a
file may name a class that derives from one of Keras' own, in a module that the program has already
imported. Nothing else is ever looked up: a file cannot have a module imported.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from thalweg.base.errors import ArgumentError, explain

GLOBAL_CUSTOM_OBJECTS: dict[str, Any] = {}
GLOBAL_CUSTOM_NAMES: dict[Any, str] = {}

_builtins: dict[tuple[str, str], Any] = {}
_homes: dict[Any, tuple[str, str]] = {}
_by_name: dict[str, list[Any]] = {}


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}


_scopes = _Scopes()


def register_builtins(namespace: str, objects: Mapping[str, Any]) -> None:
    """Enter Keras' own classes under their public namespace; the first one is where they live."""
    for name, value in objects.items():
        _builtins[namespace, name] = value
        _homes.setdefault(value, (namespace, name))
        others = _by_name.setdefault(name, [])
        if all(value is not other for other in others):
            others.append(value)


def home_of(value: Any) -> tuple[str, str] | None:
    """The public namespace and name of one of Keras' own classes, or None."""
    try:
        return _homes.get(value)
    except TypeError:
        return None


def builtin(namespace: str | None, name: str) -> Any:
    """Keras' own class of that name: in its namespace, else anywhere if only one has the name."""
    found = _builtins.get((namespace or "", name))
    if found is not None:
        return found
    others = _by_name.get(name, [])
    return others[0] if len(others) == 1 else None


def loaded_class(module: str | None, name: str) -> Any:
    """A class of that name, defined in a module that is imported and derived from Keras' own."""
    # The names as they are: a module may import another one when it is asked for an attribute.
    names = getattr(sys.modules.get(module or ""), "__dict__", {})
    found = names.get(name)
    if not isinstance(found, type) or (found.__module__, found.__name__) != (module, name):
        return None
    return found if any(base in _homes for base in found.__mro__[1:]) else None


def has_builtin(namespace: str, name: str) -> bool:
    """True if a public namespace of Keras has a class or function of that name."""
    return (namespace, name) in _builtins


class CustomObjectScope:
    """Within this block the given names stand for the given classes and functions.

    >>> from thalweg import keras
    >>> class Scale(keras.layers.Layer):
    ...     pass
    >>> with keras.saving.custom_object_scope({"Scale": Scale}):
    ...     keras.saving.get_registered_object("Scale") is Scale
    True
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None):
        self.custom_objects = dict(custom_objects or {})
        self._former: dict[str, Any] = {}

    def __enter__(self) -> "CustomObjectScope":
        self._former = _scopes.objects
        _scopes.objects = {**_scopes.objects, **self.custom_objects}
        return self

    def __exit__(self, *exception: object) -> None:
        _scopes.objects = self._former


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """The table of registered classes and functions by registered name; it can be changed."""
    return GLOBAL_CUSTOM_OBJECTS


def scoped_objects() -> dict[str, Any]:
    """What the `custom_object_scope` blocks around lend."""
    return _scopes.objects


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """A decorator by which a class or function can be saved and loaded as `package>name`.

    Raises ArgumentError for a class without `get_config`.
    """

    def register(value: Any) -> Any:
        if isinstance(value, type) and not hasattr(value, "get_config"):
            raise ArgumentError(
                explain(
                    "register_keras_serializable",
                    "a class with a method get_config; Cannot register a class that does not have "
                    "a get_config() method",
                    value.__name__,
                    "Add `def get_config(self): return {...}` with the constructor's arguments.",
                )
            )
        registered = f"{package}>{name or value.__name__}"
        GLOBAL_CUSTOM_OBJECTS[registered] = value
        GLOBAL_CUSTOM_NAMES[value] = registered
        return value

    return register


def get_registered_name(obj: Any) -> str:
    """The name under which a class or function is registered, else its own."""
    try:
        registered = GLOBAL_CUSTOM_NAMES.get(obj)
    except TypeError:
        registered = None
    return registered if registered is not None else obj.__name__


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The class or function that a name stands for, or None."""
    for table in (_scopes.objects, GLOBAL_CUSTOM_OBJECTS, custom_objects, module_objects):
        if table and name in table:
            return table[name]
    return None

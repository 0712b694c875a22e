"""Which names in a file stand for which classes and functions.

Two kinds: what Keras has itself, by public namespace, and what the program registers or lends for a
while (`register_keras_serializable`, `custom_object_scope`). Beside them a file may name a class
that derives from one of Keras' own, in a module that the program has already imported. Nothing else
is ever looked up: of all modules, a file can only have those imported that define Keras' names.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from thalweg.base.demand import places_in
from thalweg.base.errors import ArgumentError, explain

NAMESPACES = (
    "keras.activations", "keras.constraints", "keras.dtype_policies", "keras.initializers",
    "keras.layers", "keras.losses", "keras.metrics", "keras.models",
    "keras.optimizers.schedules", "keras.optimizers", "keras.quantizers", "keras.random",
    "keras.regularizers", "keras",
)  # fmt: skip
"""The public namespaces whose classes a file may name; a name's own before those around it."""

FUNCTIONS = ("keras.losses", "keras.metrics")
"""Those of them whose functions a file may name too."""

SOURCES = {
    **{
        f"keras.src.ops.{chapter}": f"thalweg.keras.ops.{chapter}"
        for chapter in ("core", "einops", "image", "linalg", "math", "nn", "numpy")
    },
    "keras.src.ops.fake_quant": "thalweg.keras.quantizers.fake_quant",
    "keras.src.activations.activations": "thalweg.keras.activations",
    "keras.src.losses.losses": "thalweg.keras.losses.loss",
    "keras.src.models.functional": "thalweg.keras.models.functional",
}
"""Modules of Keras' own sources that files name, and what registers their classes here."""

GLOBAL_CUSTOM_OBJECTS: dict[str, Any] = {}
GLOBAL_CUSTOM_NAMES: dict[Any, str] = {}

_builtins: dict[tuple[str, str], Any] = {}
_homes: dict[Any, tuple[str, str]] = {}
_makers: dict[tuple[str, str], Callable[[], Any]] = {}


class _Scopes(threading.local):
    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}


_scopes = _Scopes()


def register_builtins(namespace: str, objects: Mapping[str, Any]) -> None:
    """Enter Keras' own classes under a namespace; the first one is where they live.

    Only what files do not name by the public namespace of its own package has to be entered.
    """
    for name, value in objects.items():
        _builtins[namespace, name] = value
        _homes.setdefault(value, (namespace, name))


def register_maker(namespace: str, name: str, make: Callable[[], Any]) -> None:
    """Enter a class that is made, and then registered, by `make` when it is first asked for."""
    _makers[namespace, name] = make


def namespace(name: str) -> ModuleType:
    """The package or module that a public namespace is."""
    return import_module(f"thalweg.{name}")


def home_of(value: Any) -> tuple[str, str] | None:
    """The public namespace and name of one of Keras' own classes, or None."""
    try:
        home = _homes.get(value)
    except TypeError:
        return None
    if home is not None or not isinstance(value, type):
        return home
    module, own = value.__module__, value.__qualname__
    for space in NAMESPACES:
        if not module.startswith(f"thalweg.{space}."):
            continue
        # That package has been imported, since a module of it has.
        names = [name for name, at in places_in(f"thalweg.{space}").items() if at == (module, own)]
        if names and getattr(sys.modules.get(module), own, None) is value:
            return space, own if own in names else names[0]
    return None


def builtin(namespace: str | None, name: str) -> Any:
    """Keras' own class of that name: in its namespace, else anywhere if only one has the name."""
    found = _found(namespace or "", name)
    if found is not None:
        return found
    candidates = _all(NAMESPACES, name) or _all(SOURCES, name)
    return candidates[0] if len(candidates) == 1 else None


def has_builtin(namespace: str, name: str) -> bool:
    """True if a namespace of Keras has a class or function of that name."""
    return _found(namespace, name) is not None


def _all(spaces: Iterable[str], name: str) -> list[Any]:
    """What has that name in any of the namespaces, each once."""
    found = (_found(space, name) for space in spaces)
    return list({id(each): each for each in found if each is not None}.values())


def _found(space: str, name: str) -> Any:
    """Keras' own class or function of that name in a namespace, imported if need be, or None."""
    key = (space, name)
    if key in _builtins:
        return _builtins[key]
    if space in NAMESPACES:
        package = namespace(space)
        place = places_in(package.__name__).get(name)
        if place is None:
            return _builtins.get(key)  # what a namespace in a single module has registered
        value = getattr(package, name)
        is_class = isinstance(value, type) and hasattr(value, "get_config")
        is_function = space in FUNCTIONS and not place[0].endswith(".named")
        return value if is_class or is_function else None
    if space in SOURCES:
        module = import_module(SOURCES[space])
        for each in places_in(module.__name__):
            getattr(module, each)
    if key not in _builtins and key in _makers:
        _makers[key]()
    return _builtins.get(key)


def loaded_class(module: str | None, name: str) -> Any:
    """A class of that name, defined in a module that is imported and derived from Keras' own."""
    # The names as they are: a module may import another one when it is asked for an attribute.
    names = getattr(sys.modules.get(module or ""), "__dict__", {})
    found = names.get(name)
    if not isinstance(found, type) or (found.__module__, found.__name__) != (module, name):
        return None
    return found if any(home_of(base) is not None for base in found.__mro__[1:]) else None


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

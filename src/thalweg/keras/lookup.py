"""What a name, a config or a class given for an initializer, a regularizer or the like means."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from thalweg.base.demand import Place, places_in, value_of
from thalweg.base.errors import ArgumentError, ThalwegError, explain
from thalweg.keras.naming import to_snake_case
from thalweg.keras.saving.serialization import deserialize_keras_object


def names_of(classes: Iterable[type]) -> dict[str, type]:
    """The classes by their names, as written and in snake case."""
    found: dict[str, type] = {}
    for each in classes:
        found[each.__name__] = each
        found[to_snake_case(each.__name__)] = each
    return found


def places_of_classes(package: str) -> dict[str, Place]:
    """Where the classes of a package live, by their names as written and in snake case."""
    found: dict[str, Place] = {}
    for name, place in places_in(package).items():
        if name[0].isupper() and place[1] == name:  # no function, and no second name
            found[name] = found[to_snake_case(name)] = place
    return found


class Named(Mapping[str, Any]):
    """Objects by name, each imported when it is asked for; names alone import nothing."""

    def __init__(self, places: Mapping[str, Place]):
        self._places = dict(places)

    def __getitem__(self, name: str) -> Any:
        return value_of(self._places[name])

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def interpreted(kind: str, identifier: Any, objects: Mapping[str, Any]) -> Any:
    """The object that an identifier stands for; None for None.

    A string is looked up among registered objects and `objects`, a dict is a config, a class is
    called without arguments, and what can be called is itself the answer. Raises ArgumentError.
    """
    found = identifier
    if isinstance(identifier, (str, dict)):
        try:
            found = deserialize_keras_object(identifier, module_objects=objects)
        except ThalwegError as error:
            if isinstance(identifier, dict) and identifier.get("class_name") in objects:
                raise
            raise _unknown(kind, identifier, objects) from error
    if found is None:
        return None
    if not callable(found):
        raise _unknown(kind, identifier, objects)
    return found() if isinstance(found, type) else found


def _unknown(kind: str, identifier: Any, objects: Mapping[str, Any]) -> ArgumentError:
    near = difflib.get_close_matches(str(identifier), objects, n=1)
    return ArgumentError(
        explain(
            kind,
            f"a {kind}, its name or its config. Could not interpret {kind} identifier: "
            f"{identifier!r:.200}",
            f"{type(identifier).__name__}",
            f"Did you mean {near[0]!r}?" if near else f"Names: {', '.join(sorted(objects))}.",
        )
    )

"""Tables that know their holes, and the word for what is left out on purpose."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thalweg.base.errors import ArgumentError, explain


@dataclass(frozen=True, slots=True)
class Absent:
    """Stands where an entry is left out on purpose; says why."""

    reason: str

    def __bool__(self) -> Literal[False]:
        return False


class Table(Mapping):
    """A mapping from every name of a vocabulary to an entry or `Absent`; `holes()` lists the rest.

    `names` is called when holes are asked for, so a table may be filled before its vocabulary.
    """

    def __init__(self, title: str, names: Callable[[], Iterable[str]]):
        self.title = title
        self._names = names
        self._entries: dict[str, Any] = {}

    def add(self, name: str, entry: Any) -> None:
        """Enter one row; a second entry for the same name is refused."""
        if name in self._entries:
            raise ArgumentError(
                explain(self.title, "one entry a name", f"a second entry for {name!r}")
            )
        self._entries[name] = entry

    def holes(self) -> list[str]:
        """The names that have neither an entry nor a reason for being absent."""
        return sorted(name for name in self._names() if name not in self._entries)

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

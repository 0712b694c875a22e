"""Names: of classes in snake case, of objects that were given none, and of scopes around them."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from thalweg.base.errors import ArgumentError, explain


class _Names(threading.local):
    def __init__(self) -> None:
        self.scopes: list[str] = []
        self.caller: Any = None


_names = _Names()
_counts: Counter[str] = Counter()
_uids: Counter[str] = Counter()


def to_snake_case(name: str) -> str:
    """`GlobalAveragePooling1D` -> `global_average_pooling1d`; digits stay with what they follow."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def uniquify(name: str) -> str:
    """The name itself at first, then `name_1`, `name_2`, ..."""
    count = _counts[name]
    _counts[name] += 1
    return f"{name}_{count}" if count else name


def auto_name(prefix: str) -> str:
    """A new name in snake case for an object of the class `prefix`."""
    return uniquify(to_snake_case(prefix))


def get_uid(prefix: str = "") -> int:
    """A number that counts the calls with this prefix, from 1 on."""
    _uids[prefix] += 1
    return _uids[prefix]


def reset_uids() -> None:
    """Start all automatic names again."""
    _counts.clear()
    _uids.clear()


class name_scope:
    """Within this block the paths of variables have `name` at the end of what is around.

    `override_parent` is a path to put in the place of what is around; where the block around is one
    of the same `caller` and name, it stays unless `deduplicate` is False. Raises ArgumentError for
    names with slashes.
    """

    def __init__(
        self,
        name: str,
        caller: Any = None,
        deduplicate: bool = True,
        override_parent: str | None = None,
    ):
        if not isinstance(name, str) or "/" in name:
            raise ArgumentError(
                explain(
                    "name_scope",
                    "`name` without slashes; Argument `name` must be a string and cannot contain "
                    "character `/`",
                    f"name={name}",
                )
            )
        self.name = name
        self.caller = caller
        self.deduplicate = deduplicate
        self.override_parent = override_parent
        self._former: list[list[str]] = []
        self._callers: list[Any] = []

    def __enter__(self) -> "name_scope":
        self._former.append(_names.scopes)
        around = _names.scopes
        if self.override_parent is not None:
            around = [part for part in self.override_parent.split("/") if part]
        is_same = self.caller is not None and _names.caller is self.caller
        if not (self.deduplicate and is_same and around and around[-1] == self.name):
            _names.scopes = [*around, self.name]
        self._callers.append(_names.caller)
        _names.caller = self.caller
        return self

    def __exit__(self, *exception: object) -> None:
        _names.scopes = self._former.pop()
        _names.caller = self._callers.pop()


@contextmanager
def scope_path(path: str | None) -> Iterator[None]:
    """Within this block paths start with `path`, whatever blocks are around it."""
    former = _names.scopes
    _names.scopes = path.split("/") if path else []
    try:
        yield
    finally:
        _names.scopes = former


def current_path() -> str:
    """The names of the scopes around, joined by slashes."""
    return "/".join(_names.scopes)

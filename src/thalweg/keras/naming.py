"""Names: of classes in snake case, of objects that were given none, and of scopes around them."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from thalweg.base.errors import ArgumentTypeError, explain


class _Names(threading.local):
    def __init__(self) -> None:
        self.scopes: list[str] = []


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


@contextmanager
def name_scope(name: str, **_: object) -> Iterator[str]:
    """Within this block the paths of variables start with `name`."""
    if not isinstance(name, str):
        raise ArgumentTypeError(explain("name_scope", "`name` to be a string", f"name={name!r}"))
    _names.scopes.append(name)
    try:
        yield name
    finally:
        _names.scopes.pop()


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

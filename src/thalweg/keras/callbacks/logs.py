"""Logs: the metrics of a batch, which become numbers when somebody looks at them.

A step gives tensors. Most callbacks never look at what a batch gave, and a value that is fetched
makes the loop wait for it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """A number for a scalar of any library, a NumPy array for a larger array; others stay."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if getattr(value, "shape", None) == ():
        return value.item() if isinstance(value, (np.ndarray, np.generic)) else _number(value)
    return value.numpy() if hasattr(value, "numpy") else value


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


class Logs(dict):
    """A dict of metrics that turns each into a number, or an array, when it is first read."""

    def __getitem__(self, key: Any) -> Any:
        value = dict.__getitem__(self, key)
        if value.__class__ is not float:
            value = plain(value)
            dict.__setitem__(self, key, value)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        if key in self:
            return self[key]
        return default

    def pop(self, key: Any, *default: Any) -> Any:
        return plain(dict.pop(self, key, *default))

    def values(self) -> Any:
        return [self[key] for key in self]

    def items(self) -> Any:
        return [(key, self[key]) for key in self]

    def __iter__(self) -> Iterator[Any]:
        # With a way of its own to iterate, dict(logs) and {**logs} read the numbers too.
        return dict.__iter__(self)

    def copy(self) -> "Logs":
        return Logs(self)

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple:
        return dict, (dict(self),)

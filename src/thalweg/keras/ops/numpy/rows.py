"""Rows of tables: public functions that differ by name, by what computes them, and by their doc."""

from collections.abc import Callable
from typing import Any

from thalweg.keras.operation import op


def public(function: Callable, name: str, doc: str, spec: Callable | None = None) -> Any:
    """The public op of a function, under a name and with a doc."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return op(function, spec=spec)

"""Inspection: what this implementation of the Python Array API standard 2024.12 can do."""

from typing import Any

from thalweg.array.data_types import KINDS
from thalweg.array.operands import check_device
from thalweg.base.errors import ArgumentError, explain
from thalweg.ir.types import (
    DEFAULT_COMPLEX,
    DEFAULT_FLOAT,
    DEFAULT_INT,
    DTYPES,
    DType,
    bfloat16,
    float16,
    int64,
)

API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")
"""The versions of the standard that `__array_namespace__` answers to."""

MOST_AXES = 64
"""NumPy's limit on the number of axes, which the reference interpreter shares."""


class Info:
    """What the namespace can do; the result of `__array_namespace_info__()`."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean indexing and data-dependent shapes work outside of traces; the most axes."""
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": MOST_AXES,
        }

    def default_device(self) -> str:
        """Where tensors are made when no device is named."""
        return "cpu"

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The element types that numbers and indices get by default."""
        check_device("default_dtypes", device)
        return {
            "real floating": DEFAULT_FLOAT,
            "complex floating": DEFAULT_COMPLEX,
            "integral": DEFAULT_INT,
            "indexing": int64,
        }

    def devices(self) -> list[str]:
        """The devices there are."""
        return ["cpu"]

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The standard's element types of a kind by name: all, one kind, or a tuple of kinds.

        float16 and bfloat16 are not in the standard and so are not listed.
        """
        check_device("dtypes", device)
        kinds = tuple(KINDS) if kind is None else kind if isinstance(kind, tuple) else (kind,)
        for each in kinds:
            if each not in KINDS:
                names = ", ".join(map(repr, KINDS))
                raise ArgumentError(explain("dtypes", f"a kind among {names}", repr(each)))
        wanted = {dtype for each in kinds for dtype in KINDS[each]} - {float16, bfloat16}
        return {dtype.name: dtype for dtype in DTYPES if dtype in wanted}


def __array_namespace_info__() -> Info:
    """What this namespace can do."""
    return Info()

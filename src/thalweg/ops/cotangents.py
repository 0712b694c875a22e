"""Cotangents of ops that hold Functions: which of them there are, and where they belong."""

from collections.abc import Sequence

from thalweg.ir.node import Node


def spread(
    args: Sequence[Node], found: Sequence[Node], active: Sequence[bool]
) -> list[Node | None]:
    """Cotangents of the inexact and active args, in order, put back among all args."""
    source = iter(found)
    return [
        next(source) if is_active and arg.dtype.is_inexact else None
        for arg, is_active in zip(args, active, strict=True)
    ]


def kept(dys: Sequence[Node | None]) -> list[Node]:
    """The cotangents of inexact results."""
    return [dy for dy in dys if dy is not None]

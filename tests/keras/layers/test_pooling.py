"""The contract of the pooling layers."""

from collections.abc import Callable
from typing import Any

from tests.keras.layers.contract import Case, checks

SHAPES = {1: (2, 7, 3), 2: (2, 7, 6, 3), 3: (2, 5, 6, 4, 3)}
FIRST = {"data_format": "channels_first"}


def turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its channels first."""
    return (shape[0], shape[-1], *shape[1:-1])


def windows(rank: int, kind: str) -> list[Case]:
    """Cases of MaxPooling and AveragePooling."""
    name, shape = f"{kind}Pooling{rank}D", SHAPES[rank]
    uneven = tuple(range(2, 2 + rank))
    rows: list[dict[str, Any]] = [
        {"pool_size": 2},
        {"pool_size": 3, "strides": 2, "padding": "same"},
        {"pool_size": uneven, "strides": 1},
        {"pool_size": 2, "strides": 3, "padding": "same"},
    ]
    cases = [Case(name, shape, row, unknown=(0, 1)) for row in rows]
    first = {"pool_size": 2, "padding": "same", **FIRST}
    return [*cases, Case(name, turned(shape), first, unknown=(0, 2))]


def everything(rank: int, kind: str) -> list[Case]:
    """Cases of GlobalMaxPooling and GlobalAveragePooling."""
    name, shape = f"Global{kind}Pooling{rank}D", SHAPES[rank]
    return [
        Case(name, shape, unknown=(0, 1)),
        Case(name, shape, {"keepdims": True}, unknown=(0, rank)),
        Case(name, turned(shape), FIRST, unknown=(0, 2)),
        Case(name, turned(shape), {"keepdims": True, **FIRST}, unknown=(0, 2)),
    ]


def parts(rank: int, kind: str) -> list[Case]:
    """Cases of AdaptiveMaxPooling and AdaptiveAveragePooling."""
    name, shape = f"Adaptive{kind}Pooling{rank}D", SHAPES[rank]
    return [
        Case(name, shape, {"output_size": 3}),
        Case(name, shape, {"output_size": (2, 3, 4)[:rank]}),
        Case(name, turned(shape), {"output_size": 2, **FIRST}),
    ]


CASES = [
    case
    for kind in ("Max", "Average")
    for rank in (1, 2, 3)
    for case in (*windows(rank, kind), *everything(rank, kind), *parts(rank, kind))
] + [
    Case("MaxPooling1D", SHAPES[1]),
    Case("MaxPooling2D", SHAPES[2]),
    Case("MaxPooling3D", SHAPES[3]),
    Case("GlobalAveragePooling1D", SHAPES[1], masked=2),
    Case("GlobalAveragePooling1D", SHAPES[1], {"keepdims": True}, masked=2),
]


@checks(CASES)
def test_contract(check: Callable[[], None]) -> None:
    check()

"""What a kernel does with each op: the families that fusion, lowering and the backend share."""

from typing import Any

from thalweg.ir.types import Shape, Size

REDUCTIONS: dict[str, tuple[str, Any]] = {
    "sum": ("add", 0),
    "product": ("multiply", 1),
    "max": ("maximum", "lowest"),
    "min": ("minimum", "highest"),
    "any": ("logical_or", False),
    "all": ("logical_and", True),
    "window_sum": ("add", 0),
    "window_max": ("maximum", "lowest"),
    "window_min": ("minimum", "highest"),
}
"""Reductions, the pointwise op that combines two values, and its identity."""

CONTRACTIONS = frozenset({"dot", "conv"})
"""Sums of products that a nest computes; their operands are read from memory, moved or not."""

RUNNING: dict[str, tuple[str, Any]] = {
    "cumsum": ("add", -0.0),
    "cumprod": ("multiply", 1),
    "cummax": ("maximum", "lowest"),
    "cummin": ("minimum", "highest"),
    "cumlogsumexp": ("logaddexp", "lowest"),
}
"""Reductions that are stored after every step. Minus zero added to anything changes nothing."""

PLACED = frozenset(
    (
        "pad",
        "concatenate",
        "gather",
        "dynamic_slice",
        "dynamic_update_slice",
        "random_bits",
        "split_key",
        "fold_in",
    )
)
"""Ops that choose among their operands, or ask them at places that are data."""

SCATTERS = frozenset({"scatter"})
"""Ops that write at places that are data, after all else: they have a kernel of their own."""

STEPS = frozenset(("sort", "top_k", "searchsorted", "while", "scan", "switch"))
"""Ops that are a native step of their own, which reads its operands row after row."""

MOVES = frozenset(
    (
        "broadcast",
        "transpose",
        "slice",
        "reverse",
        "reshape",
        "iota",
        "size",
        "barrier",
        "stop_gradient",
        "alias",
    )
)
"""Ops that are nothing but another index, where their operand can be asked at it."""

VIEWS = MOVES - {"iota", "size", "broadcast"}
"""Moves that NumPy does without touching what they move, or by a copy of it."""

COSTLY = frozenset(
    (
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "sigmoid",
        "erf",
        "erfc",
        "power",
        "cbrt",
        "hypot",
        "divide",
        "sqrt",
        "rsqrt",
        "remainder",
        "random_bits",
    )
)
"""Ops that alone are dear, beside contractions: what is added to one is stored with it."""


FREE = MOVES | {"constant", "real", "imag", "complex"}
"""Ops that cost nothing to do again."""


def strides_of(shape: Shape) -> list[Size]:
    """Row-major strides, in elements."""
    result: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        result.append(step)
        step = step * size
    return result[::-1]


def is_unit_reshape(source: Shape, target: Shape) -> bool:
    """True when a reshape only inserts or removes axes of size one."""
    return [size for size in source if size != 1] == [size for size in target if size != 1]

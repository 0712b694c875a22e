"""Ops that only nests have: steps of what is one op in the vocabulary.

logaddexp(x, y)                               log(exp(x) + exp(y)), without overflow
threefry2x32(key0, key1, high, low, word=...) a word of the cipher: first, second, or both mixed
"""

from collections.abc import Callable

from thalweg.backends.llvm import mathematics
from thalweg.backends.llvm.block import Block, Value, number
from thalweg.ir.types import uint32

PARITY = 0x1BD11BDA
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def logaddexp(block: Block, x: Value, y: Value) -> Value:
    """Where both are one infinity their difference is NaN, and counts as 0."""
    zero = block.like(x, 0.0)
    apart = block.intrinsic("fabs", block.subtract(x, y))
    apart = block.select(block.compare("eq", x, y), zero, apart)
    rest = mathematics.log1p(block, mathematics.exp(block, block.negative(apart)))
    return block.add(block.intrinsic("maximum", x, y), rest)


def threefry2x32(
    block: Block, key0: Value, key1: Value, high: Value, low: Value, *, word: str
) -> Value:
    """Twenty rounds of the cipher of Salmon, Moraes, Dror and Shaw (2011), on uint32."""
    mixed = block.binary("xor", key0, key1)
    keys = (key0, key1, block.binary("xor", mixed, block.like(mixed, PARITY)))
    x, y = block.add(high, key0), block.add(low, key1)
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            x = block.add(x, y)
            places = number(rotation, uint32, y.lanes)
            y = block.binary("xor", block.intrinsic("fshl", y, y, places), x)
        x = block.add(x, keys[(group + 1) % 3])
        last = block.add(keys[(group + 2) % 3], number(group + 1, uint32, x.lanes))
        y = block.add(y, last)
    if word == "both":
        return block.binary("xor", x, y)
    return x if word == "first" else y


OPS: dict[str, Callable[..., Value]] = {"logaddexp": logaddexp, "threefry2x32": threefry2x32}

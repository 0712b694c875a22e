"""How far the native backend's functions are from the correctly rounded value.

    python -m thalweg.tools.ulp                  every unary function, as a Markdown table
    python -m thalweg.tools.ulp exp log          some of them
    python -m thalweg.tools.ulp --quick exp      one bit pattern in 257 instead of all

float32: all 2**32 bit patterns, against the op's own definition in float64, rounded. float64:
random samples against the definition, which for most ops is NumPy's and has errors of its own.
The error is counted in steps from one float to the next (ULP); a NaN where a number belongs, a
number where NaN belongs, or a zero of the wrong sign is an infinite error. Half a minute to a few
minutes a function.
"""

import argparse
import ctypes
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm import mathematics
from thalweg.backends.llvm.block import Block, Value, function_text, number
from thalweg.backends.llvm.jit import callable_of
from thalweg.backends.llvm.targets import Target, host
from thalweg.ir.op import find
from thalweg.ir.types import DType, float32, float64, int64

UNARY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "erf", "erfc", "cbrt",
    "rsqrt", "erfinv",
)  # fmt: skip

CHUNK = 2**18


@dataclass(frozen=True, slots=True)
class Worst:
    """The largest error found: in ULP, and where."""

    error: float
    x: float
    found: float
    wanted: float


def compiled(
    function: Callable[..., Value],
    arity: int,
    dtype: DType,
    lanes: int | None = None,
    target: Target | None = None,
) -> Callable[..., np.ndarray]:
    """A function of the native backend on NumPy arrays of one length and element type."""
    target = target or host()
    lanes = lanes or target.lanes(dtype.bits)
    block = Block(target)
    size = Value("%size", int64)
    whole = Value("%whole", int64)
    for start, limit, width in ((number(0, int64), whole, lanes), (whole, size, 1)):
        with block.loop(start, limit, number(width, int64)) as index:
            args = [
                block.load(block.element(f"%x{k}", dtype, index), dtype, width)
                for k in range(arity)
            ]
            block.store(function(block, *args), block.element("%y", dtype, index), dtype)
    pointers = [f"ptr %x{k}" for k in range(arity)] + ["ptr %y"]
    text = function_text("sweep", [*pointers, "i64 %whole", "i64 %size"], block)
    native = callable_of(
        "sweep", text, *[ctypes.c_void_p] * len(pointers), ctypes.c_int64, ctypes.c_int64,
        target=target,
    )  # fmt: skip

    def call(*arrays: np.ndarray) -> np.ndarray:
        inputs = [np.ascontiguousarray(array, dtype.numpy) for array in arrays]
        y = np.empty_like(inputs[0])
        addresses = [array.ctypes.data for array in (*inputs, y)]
        native(*addresses, y.size // lanes * lanes, y.size)
        return y

    return call


def distance(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The error of each element in ULP, as float64."""
    highest = np.iinfo(f"i{found.itemsize}").max
    x, y = (
        np.where(bits < 0, -(bits & highest), bits)
        for bits in (each.view(f"i{each.itemsize}").astype(np.int64) for each in (found, wanted))
    )
    # Across zero the distance may be larger than int64 holds.
    across = np.abs(x.astype(np.float64)) + np.abs(y.astype(np.float64))
    error = np.where((x < 0) == (y < 0), np.abs(x - y).astype(np.float64), across)
    nan, wanted_nan = np.isnan(found), np.isnan(wanted)
    error = np.where(nan & wanted_nan, 0.0, error)
    is_wrong = (nan != wanted_nan) | (
        (found == 0) & (wanted == 0) & (np.signbit(found) != np.signbit(wanted))
    )
    return np.where(is_wrong, np.inf, error)


def worst_of(x: np.ndarray, found: np.ndarray, wanted: np.ndarray) -> Worst:
    """The largest error among elements."""
    integer = f"i{found.itemsize}"
    where = np.flatnonzero(found.view(integer) != wanted.view(integer))
    if not where.size:
        return Worst(0.0, float(x[0]), float(found[0]), float(wanted[0]))
    error = distance(found[where], wanted[where])
    index = where[np.argmax(error)]
    return Worst(float(error.max()), float(x[index]), float(found[index]), float(wanted[index]))


def bit_patterns(step: int) -> Iterator[np.ndarray]:
    """Every step-th float32, in chunks."""
    for start in range(0, 2**32, CHUNK * step):
        stop = min(start + CHUNK * step, 2**32)
        count = -(-(stop - start) // step)
        offsets = np.arange(count, dtype=np.uint32) * np.uint32(step)
        yield (offsets + np.uint32(start)).view(np.float32)


def worst_single(name: str, step: int = 1) -> Worst:
    """The largest error of a function over every step-th float32."""
    function = compiled(getattr(mathematics, name), 1, float32)
    evaluate = find(name).evaluate
    worst = Worst(-1.0, 0.0, 0.0, 0.0)
    with np.errstate(all="ignore"):
        for x in bit_patterns(step):
            wanted = evaluate(x.astype(np.float64)).astype(np.float32)
            found = worst_of(x, function(x), wanted)
            if found.error > worst.error:
                worst = found
    return worst


def double_samples(count: int = 2**18) -> np.ndarray:
    """float64 of all magnitudes below 1e9, and dense where functions bend."""
    random = np.random.default_rng(0)
    size = 10.0 ** random.uniform(-300, 9, count)
    parts = [size, -size, random.uniform(-1, 1, count), random.uniform(-800, 800, count)]
    parts += [3.0 * random.standard_normal(4 * count), random.uniform(1, 2, count)]
    parts.append(np.array([0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan]))
    return np.concatenate(parts)


def worst_double(name: str) -> Worst:
    """The largest error of a function over float64 samples."""
    x = double_samples()
    with np.errstate(all="ignore"):
        found = compiled(getattr(mathematics, name), 1, float64)(x)
        return worst_of(x, found, find(name).evaluate(x))


def row(name: str, step: int) -> str:
    """A line of the table."""
    single, double = worst_single(name, step), worst_double(name)
    texts = [f"{each.error:.0f}" if math.isfinite(each.error) else "wrong" for each in
             (single, double)]  # fmt: skip
    x = np.float32(single.x)
    return f"| {name} | {texts[0]} | {x!s} (0x{x.view(np.uint32):08x}) | {texts[1]} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m thalweg.tools.ulp", description=__doc__)
    parser.add_argument("names", nargs="*", default=UNARY)
    parser.add_argument("--quick", action="store_true", help="one bit pattern in 257")
    options = parser.parse_args(arguments)
    print("| function | float32: max ULP | at | float64: max ULP |")
    print("|---|---|---|---|")
    for name in options.names:
        print(row(name, 257 if options.quick else 1), flush=True)


if __name__ == "__main__":
    main()

"""What the native backend's vector mathematics costs, beside PyTorch and NumPy in the same run.

    python benchmarks/mathematics.py                   a table
    python benchmarks/mathematics.py exp log           some functions only
    python benchmarks/mathematics.py --json            the same numbers for a program to read

Nanoseconds an element on arrays of 16,384 float32, which stay in the cache, on one thread, the
result in a given array. Rounds of all systems alternate; a ratio is the median over the rounds of
the peer's time by ours, so above 1 we are faster. A call by way of ctypes is part of our time, the
dispatch of an op part of the peers'.
"""

import argparse
import ctypes
import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

SOURCE = Path(__file__).resolve().parents[1] / "src"
if importlib.util.find_spec("thalweg") is None:
    sys.path.insert(0, str(SOURCE))

from thalweg.backends.llvm import mathematics  # noqa: E402
from thalweg.backends.llvm.block import Block, Value, function_text, number  # noqa: E402
from thalweg.backends.llvm.jit import callable_of  # noqa: E402
from thalweg.backends.llvm.targets import host  # noqa: E402
from thalweg.ir.types import float32, int64  # noqa: E402

SIZE = 16_384
ROUNDS = 40
CALLS = 40

# The names in NumPy where they differ; None where it has no such function.
FUNCTIONS = {
    "exp": "exp", "tanh": "tanh", "erf": None, "sin": "sin", "log": "log", "power": "power",
    "cos": "cos", "tan": "tan", "sigmoid": None, "expm1": "expm1", "log1p": "log1p",
    "atan": "arctan", "erfc": None,
}  # fmt: skip
FIRST = ("exp", "tanh", "erf", "log", "sin", "power")
POSITIVE = ("log", "log1p", "power")


def native(name: str, inputs: list[np.ndarray], y: np.ndarray) -> Callable[[], Any]:
    """A call of the backend's own function on whole vectors."""
    lanes = host().lanes(32)
    block = Block(host())
    with block.loop(number(0, int64), Value("%n", int64), number(lanes, int64)) as index:
        values = [
            block.load(block.element(f"%x{k}", float32, index), float32, lanes)
            for k in range(len(inputs))
        ]
        result = getattr(mathematics, name)(block, *values)
        block.store(result, block.element("%y", float32, index), float32)
    pointers = [f"ptr noalias %x{k}" for k in range(len(inputs))] + ["ptr noalias %y"]
    text = function_text("measured", [*pointers, "i64 %n"], block)
    types = [*[ctypes.c_void_p] * len(pointers), ctypes.c_int64]
    function = callable_of("measured", text, *types)
    arrays = [*inputs, y]
    args = [*[ctypes.c_void_p(array.ctypes.data) for array in arrays], ctypes.c_int64(SIZE)]

    def call() -> np.ndarray:
        function(*args)
        return arrays[-1]  # an address alone would not keep the arrays

    return call


def systems(name: str, torch: Any) -> dict[str, Callable[[], Any]]:
    """A call without arguments for each system that has the function."""
    random = np.random.default_rng(0)
    y = np.empty(SIZE, np.float32)
    inputs = [random.uniform(-2, 2, SIZE).astype(np.float32)]
    if name in POSITIVE:
        inputs.insert(0, random.uniform(0.1, 4, SIZE).astype(np.float32))
        inputs = inputs if name == "power" else inputs[:1]
    calls = {"thalweg": native(name, inputs, y)}
    if torch is not None:
        tensors = [torch.from_numpy(array) for array in inputs]
        out = torch.empty(SIZE)
        function = getattr(torch, "pow" if name == "power" else name)
        calls["torch"] = lambda: function(*tensors, out=out)
    if FUNCTIONS[name]:
        ufunc = getattr(np, FUNCTIONS[name])
        other = np.empty(SIZE, np.float32)
        calls["numpy"] = lambda: ufunc(*inputs, out=other)
    return calls


def nanoseconds(call: Callable[[], Any]) -> float:
    """The time of an element, over some calls."""
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begin) / CALLS / SIZE * 1e9


def measure(name: str, torch: Any) -> dict[str, float]:
    """Medians of the times and of the ratios."""
    calls = systems(name, torch)
    rounds: list[dict[str, float]] = []
    for turn in range(ROUNDS + 3):
        times = {system: nanoseconds(call) for system, call in calls.items()}
        if turn >= 3:
            rounds.append(times)
    found = {system: statistics.median(each[system] for each in rounds) for system in calls}
    for system in calls:
        if system != "thalweg":
            ratios = [each[system] / each["thalweg"] for each in rounds]
            found[f"{system} / thalweg"] = statistics.median(ratios)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=FIRST, help=", ".join(FUNCTIONS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    if torch is not None:
        torch.set_num_threads(1)
    results = {name: measure(name, torch) for name in options.names}
    if options.json:
        print(json.dumps(results, indent=2))
        return
    columns = ["thalweg", "torch", "numpy", "torch / thalweg", "numpy / thalweg"]
    table = Table(title=f"ns an element, float32[{SIZE}], one thread, {host().cpu}")
    table.add_column("function")
    for column in columns:
        table.add_column(column, justify="right")
    for name, found in results.items():
        cells = [f"{found[column]:.2f}" if column in found else "-" for column in columns]
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()

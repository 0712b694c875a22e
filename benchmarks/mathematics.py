"""What the native backend's vector mathematics costs, beside PyTorch and NumPy in the same run.

    python benchmarks/mathematics.py                   a table
    python benchmarks/mathematics.py exp log           some functions only
    python benchmarks/mathematics.py --all             errors over all 2**32 arguments: minutes each
    python benchmarks/mathematics.py --json            the same numbers for a program to read

Nanoseconds an element on arrays of 16,384 float32, which stay in the cache, on one thread, the
result in a given array. Rounds of all systems alternate; a ratio is the median over the rounds of
the peer's time by ours, so above 1 we are faster. A call by way of ctypes is part of our time, the
dispatch of an op part of the peers'. The goal is at least PyTorch's speed with an error of 2 ULP
at most, against the definition in float64: of every 257th float32, or of all; of powers, of a
million pairs.
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
from thalweg.ir.op import find  # noqa: E402
from thalweg.ir.types import float32, int64  # noqa: E402
from thalweg.tools.ulp import compiled, distance, worst_single  # noqa: E402

SIZE = 16_384
ROUNDS = 40
CALLS = 40

# The names in NumPy where they differ; None where it has no such function.
FUNCTIONS = {
    "exp": "exp", "tanh": "tanh", "erf": None, "sin": "sin", "log": "log", "power": "power",
    "cos": "cos", "tan": "tan", "sigmoid": None, "expm1": "expm1", "log1p": "log1p",
    "atan": "arctan", "erfc": None,
}  # fmt: skip
GOAL_RATIO, GOAL_ULP = 1.0, 2
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


def error(name: str, step: int) -> float:
    """The largest error in ULP over every step-th float32, of powers over random pairs."""
    if name != "power":
        return worst_single(name, step).error
    random = np.random.default_rng(1)
    x = np.exp(4 * random.standard_normal(2**20)).astype(np.float32)
    y = (6 * random.standard_normal(2**20)).astype(np.float32)
    with np.errstate(all="ignore"):
        wanted = find(name).evaluate(x.astype(np.float64), y.astype(np.float64))
        found = compiled(mathematics.power, 2, float32)(x, y)
        return float(distance(found, wanted.astype(np.float32)).max())


def check(name: str, calls: dict[str, Callable[[], Any]]) -> None:
    """Compare our results with the peers': a wrong answer has no speed."""
    ours = np.array(calls["thalweg"]())
    for system, call in calls.items():
        if not np.allclose(ours, np.asarray(call()), rtol=1e-5, atol=1e-6):
            raise SystemExit(f"{name}: differs from {system}")


def nanoseconds(call: Callable[[], Any]) -> float:
    """The time of an element, over some calls."""
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begin) / CALLS / SIZE * 1e9


def measure(name: str, torch: Any, step: int) -> dict[str, float]:
    """Medians of the times and of the ratios, and the largest error."""
    calls = systems(name, torch)
    check(name, calls)
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
    found["max ULP"] = error(name, step)
    return found


def verdict(found: dict[str, float]) -> str:
    """Whether a function is as fast and as exact as it should be."""
    is_fast = found.get("torch / thalweg", GOAL_RATIO) >= GOAL_RATIO
    return "reached" if is_fast and found["max ULP"] <= GOAL_ULP else "missed"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=FIRST, help=", ".join(FUNCTIONS))
    parser.add_argument("--all", action="store_true", help="errors over all float32")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    if torch is not None:
        torch.set_num_threads(1)
    step = 1 if options.all else 257
    results = {name: measure(name, torch, step) for name in options.names}
    if options.json:
        print(json.dumps(results, indent=2))
        return
    columns = ["thalweg", "torch", "numpy", "torch / thalweg", "numpy / thalweg", "max ULP"]
    table = Table(title=f"ns an element, float32[{SIZE}], one thread, {host().cpu}")
    table.add_column("function")
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column(f"goal {GOAL_RATIO} of torch, {GOAL_ULP} ULP")
    for name, found in results.items():
        cells = [f"{found[column]:.2f}" if column in found else "-" for column in columns]
        table.add_row(name, *cells, verdict(found))
    Console().print(table)


if __name__ == "__main__":
    main()

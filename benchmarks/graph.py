"""What the graph engine costs: nodes, tracing, derivatives, rewriting, and the start of programs.

    python benchmarks/graph.py                      a table
    python benchmarks/graph.py --json               the same numbers for a program to read
    python benchmarks/graph.py --sizes 100 1000     other sizes of graphs

A graph of n nodes is the forward pass of a plain residual network: dot, broadcast, add, tanh,
multiply by a constant, add, over and over. All it takes to build, differentiate and simplify it
should grow as n does, so each row says how many times the row before it took. Peers trace the same
program in the same run where they are installed. Nothing here is computed on data.
"""

import argparse
import gc
import importlib
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SOURCE = Path(__file__).resolve().parents[1] / "src"
if importlib.util.find_spec("thalweg") is None:
    sys.path.insert(0, str(SOURCE))

import thalweg.ops.vocabulary  # noqa: E402, F401  declares every op
from thalweg.ir.function import Function, build  # noqa: E402
from thalweg.ir.leaves import full, parameter  # noqa: E402
from thalweg.ir.node import Node  # noqa: E402
from thalweg.ir.types import float32, tensor_type  # noqa: E402
from thalweg.ops.broadcast import broadcast  # noqa: E402
from thalweg.ops.contract import dot  # noqa: E402
from thalweg.ops.elementwise import add, multiply, tanh  # noqa: E402
from thalweg.passes.pipeline import simplify  # noqa: E402
from thalweg.transforms.gradient import vjp  # noqa: E402

NODES_PER_BLOCK = 5  # the constants and the broadcasts of biases are shared by all blocks
BATCH, WIDTH, LAYERS = 32, 64, 4

LIMITS = {"trace + derivative + simplify of 10,000 nodes": 3.0, "a first fit": 0.4}
"""Seconds that should not be exceeded, measured on two cores of a current server."""


def residual_network(nodes: int) -> Function:
    """A graph of about so many nodes."""
    hidden = (BATCH, WIDTH)
    types = [tensor_type(float32, hidden)]
    types += [tensor_type(float32, (WIDTH, WIDTH)), tensor_type(float32, (WIDTH,))] * LAYERS

    def body(x: Node, *weights: Node) -> Node:
        for index in range(max(nodes // NODES_PER_BLOCK, 1)):
            layer = index % LAYERS
            kernel, bias = weights[2 * layer : 2 * layer + 2]
            y = dot(x, kernel, contract=((1,), (0,)))
            y = tanh(add(y, broadcast(bias, shape=hidden, axes=(1,))))
            x = add(x, multiply(y, full(0.1 + 0.1 * layer, float32, hidden)))
        return x

    return build("network", types, body)


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """How long a call takes, with what it returns; garbage is collected before, not within."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        result = function()
        return time.perf_counter() - start, result
    finally:
        gc.enable()


# Nodes --------------------------------------------------------------------------------------------


def node_costs(count: int = 20_000, repeats: int = 5) -> dict[str, float]:
    """Microseconds for a node made anew and for one that is found, the median of several runs."""
    x = parameter(name="x", type=tensor_type(float32, (WIDTH,)))

    def chain() -> list[Node]:
        made = [x]
        for _ in range(count):
            made.append(add(made[-1], x))
        return made

    new, found = [], []
    for _ in range(repeats):
        taken, kept = seconds(chain)
        new.append(taken)
        taken, again = seconds(chain)
        found.append(taken)
        assert again[-1] is kept[-1]
        # From the end, or each node would be freed within the freeing of the next.
        while kept:
            again.pop()
            kept.pop()
    scale = 1e6 / count
    return {"new": statistics.median(new) * scale, "found": statistics.median(found) * scale}


# Graphs -------------------------------------------------------------------------------------------


def graph_costs(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Seconds to trace, differentiate and simplify a graph of each size."""
    rows: list[dict[str, Any]] = []
    _graph_run(NODES_PER_BLOCK)
    for size in sizes:
        repeats = 5 if size <= 1000 else 3 if size <= 10_000 else 1
        runs = [_graph_run(size) for _ in range(repeats)]
        row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        row["total"] = row["trace"] + row["derivative"] + row["simplify"]
        if rows:
            growth = (row["total"] / rows[-1]["total"]) / (row["nodes"] / rows[-1]["nodes"])
            row["ratio_to_linear"] = growth
        rows.append(row)
    return rows


def _graph_run(size: int) -> dict[str, float]:
    traced, function = seconds(lambda: residual_network(size))
    differentiated, pulled = seconds(lambda: vjp(function))
    simplified, simple = seconds(lambda: simplify(pulled))
    return {
        "nodes": len(function.order()),
        "nodes_with_derivative": len(pulled.order()),
        "nodes_simplified": len(simple.order()),
        "trace": traced,
        "derivative": differentiated,
        "simplify": simplified,
    }


# Starts -------------------------------------------------------------------------------------------

STARTS = {
    "import numpy": "import numpy",
    "import thalweg": "import thalweg",
    "import thalweg.keras": "import thalweg.keras",
    "a first sum": "import thalweg as tw; float(tw.sum(tw.ones(3)))",
    "a first fit": "import numpy as np; from thalweg import keras; "
    "dense = keras.layers.Dense; "
    "model = keras.Sequential([dense(8, activation='relu'), dense(3, activation='softmax')]); "
    "model.compile('adam', 'sparse_categorical_crossentropy', metrics=['accuracy']); "
    "model.fit(np.ones((32, 4)), np.zeros(32), verbose=0)",
}
"""Programs that do next to nothing: how long a user waits for the first thing to happen."""


def start_seconds(program: str, repeats: int = 7) -> float:
    """The median time of a program in a fresh process whose bytecode was compiled before."""
    program = (
        f"import time; start = time.perf_counter(); {program}; print(time.perf_counter() - start)"
    )
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONPYCACHEPREFIX": folder}
        for _ in range(repeats + 1):
            done = subprocess.run(
                [sys.executable, "-c", program],
                capture_output=True, text=True, check=True, env=environment,
            )  # fmt: skip
            found.append(float(done.stdout))
    return statistics.median(found[1:])


# Peers --------------------------------------------------------------------------------------------


def peer_costs(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Seconds in which peers trace the same program; a row without seconds says what is absent."""
    rows: list[dict[str, Any]] = []
    for name, measure in (("jax.make_jaxpr", trace_with_jax), ("torch.fx", trace_with_torch)):
        library = name.split(".")[0]
        if importlib.util.find_spec(library) is None:
            rows.append({"peer": name, "absent": f"{library} is not installed"})
            continue
        measure(NODES_PER_BLOCK)  # what a library sets up at its first use
        for size in sizes:
            taken, nodes = measure(size)
            rows.append({"peer": name, "nodes": nodes, "trace": taken})
    return rows


def trace_with_jax(size: int) -> tuple[float, int]:
    """Seconds and equations of `jax.make_jaxpr` for the program, and its gradient left out."""
    jax = importlib.import_module("jax")
    numpy = importlib.import_module("jax.numpy")

    def body(x, *weights):
        for index in range(max(size // NODES_PER_BLOCK, 1)):
            layer = index % LAYERS
            kernel, bias = weights[2 * layer : 2 * layer + 2]
            x = x + numpy.tanh(x @ kernel + bias) * (0.1 + 0.1 * layer)
        return x

    args = [numpy.zeros((BATCH, WIDTH))]
    args += [numpy.zeros((WIDTH, WIDTH)), numpy.zeros((WIDTH,))] * LAYERS
    taken, traced = seconds(lambda: jax.make_jaxpr(body)(*args))
    return taken, len(traced.jaxpr.eqns)


def trace_with_torch(size: int) -> tuple[float, int]:
    """Seconds and nodes of `torch.fx.symbolic_trace` for the program; it infers no shapes."""
    torch = importlib.import_module("torch")
    fx = importlib.import_module("torch.fx")

    def body(x, w0, b0, w1, b1, w2, b2, w3, b3):
        weights = (w0, b0, w1, b1, w2, b2, w3, b3)
        for index in range(max(size // NODES_PER_BLOCK, 1)):
            layer = index % LAYERS
            kernel, bias = weights[2 * layer : 2 * layer + 2]
            x = x + torch.tanh(x @ kernel + bias) * (0.1 + 0.1 * layer)
        return x

    taken, traced = seconds(lambda: fx.symbolic_trace(body))
    return taken, len(traced.graph.nodes)


# The report ---------------------------------------------------------------------------------------


def measure(sizes: Sequence[int]) -> dict[str, Any]:
    """Everything, as plain numbers."""
    modules = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]
    graphs = graph_costs(sizes)
    found: dict[str, Any] = {
        "machine": {
            "python": platform.python_version(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "node_microseconds": node_costs(),
        "graphs": graphs,
        "start_seconds": {name: start_seconds(program) for name, program in STARTS.items()},
        "peers": peer_costs([size for size in sizes if size <= 10_000]),
    }
    found["start_seconds"] |= {
        f"import {name}": start_seconds(f"import {name}", 3) for name in modules
    }
    return found


def milliseconds(value: float) -> str:
    """Seconds as milliseconds, without the unit."""
    return f"{1e3 * value:,.1f}"


def show(found: dict[str, Any], console: Console) -> None:
    """The numbers as tables."""
    machine = found["machine"]
    console.print(
        f"Python {machine['python']} on {machine['processor']}, {machine['cores']} cores\n"
    )
    nodes = found["node_microseconds"]
    console.print(f"a new node {nodes['new']:.1f} µs, a found node {nodes['found']:.2f} µs\n")

    table = Table(title="graphs, in milliseconds", title_justify="left")
    for column in ("nodes", "with vjp", "trace", "vjp", "simplify", "total", "to linear"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found["graphs"]:
        ratio = row.get("ratio_to_linear")
        table.add_row(
            f"{row['nodes']:,.0f}",
            f"{row['nodes_with_derivative']:,.0f}",
            *(milliseconds(row[key]) for key in ("trace", "derivative", "simplify", "total")),
            "" if ratio is None else f"x {ratio:.2f}",
        )
    console.print(table)

    for name, taken in found["start_seconds"].items():
        console.print(f"{name}: {milliseconds(taken)} ms")
    console.print()
    table = Table(title="peers tracing the same program, in milliseconds", title_justify="left")
    for column in ("peer", "nodes", "trace", "a node"):
        table.add_column(column, justify="left" if column == "peer" else "right")
    for row in found["graphs"]:
        add_peer(table, {"peer": "thalweg", "nodes": row["nodes"], "trace": row["trace"]})
    for row in found["peers"]:
        add_peer(table, row)
    console.print(table)
    for what, taken, limit in judged(found):
        verdict = "as it should be" if taken <= limit else "TOO SLOW"
        console.print(f"{what}: {taken:.2f} s of {limit:.2f} s, {verdict}")


def add_peer(table: Table, row: dict[str, Any]) -> None:
    if "absent" in row:
        table.add_row(row["peer"], row["absent"], "", "")
        return
    each = 1e6 * row["trace"] / row["nodes"]
    table.add_row(row["peer"], f"{row['nodes']:,.0f}", milliseconds(row["trace"]), f"{each:.1f} µs")


def judged(found: dict[str, Any]) -> list[tuple[str, float, float]]:
    """What was measured beside the seconds it should take."""
    rows = []
    for row in found["graphs"]:
        if 5_000 <= row["nodes"] <= 20_000:
            what = "trace + derivative + simplify of 10,000 nodes"
            rows.append((what, row["total"], LIMITS[what]))
    rows.append(("a first fit", found["start_seconds"]["a first fit"], LIMITS["a first fit"]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    options = parser.parse_args()
    found = measure(options.sizes)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found, Console())


if __name__ == "__main__":
    main()

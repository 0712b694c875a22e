"""What programs cost on the native backend, beside PyTorch and NumPy on the same data in one run.

    python benchmarks/native.py                        every group on all cores
    python benchmarks/native.py --only matmul rows     some groups, by the names of the table
    python benchmarks/native.py --threads 2 1          on so many threads, one after the other
    python benchmarks/native.py --quick                short rounds: does it run?
    python benchmarks/native.py --save found.json      the same numbers for a program to read

What is measured is in `native_cases.py`; all of it is meant to take ten minutes on a machine that
does nothing else, and takes longer where other programs run. Each case is compared with its peers
before it is timed. The systems alternate round by round, each after a pause in which the threads of
the one before go to sleep, and a call that is not counted. A time is the least of all rounds; a
ratio is the median over the rounds of the peer's time by ours, so above 1 we are faster. Each
number of threads has a process of its own, because NumPy takes its from the environment. On one
thread a time is that of the processor, which other programs disturb less; on several it is that of
the wall. PyTorch runs convolutions in the faster of its memory layouts. Rates count the arithmetic
of the definition, and the bytes that must be read and written once. Every group states what it
wants to reach, and whether it does.
"""

import argparse
import gc
import importlib
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

SOURCE = Path(__file__).resolve().parents[1] / "src"
if importlib.util.find_spec("thalweg") is None:
    sys.path.insert(0, str(SOURCE))

from native_cases import (  # noqa: E402
    GROUPS,
    NETWORKS,
    Case,
    Goal,
    batch_of,
    init,
    torch_step,
    training_step,
)  # fmt: skip
from train import MODELS  # noqa: E402

import thalweg as tw  # noqa: E402
from thalweg import keras  # noqa: E402

SECONDS = {"full": 1.2, "quick": 0.1}
"""About what the rounds of one case take, at least ROUNDS of them."""
ROUNDS = {"full": 7, "quick": 3}
MOST_ROUNDS = 40
PAUSE = 0.004
"""Seconds in which the threads of the system before stop watching for more work."""
SPINNING = "18"
"""OPENBLAS_THREAD_TIMEOUT: as long, in powers of two of cycles, do NumPy's."""
MORE = {
    "compile": "seconds of the first step, with an empty disk cache and with a full one",
    "peak": "memory that a training step takes, and what was planned",
}
"""Groups that need processes of their own."""
COMPILED = {"ResNet-20": (6.0, 0.5)}
"""Seconds that the first step should take at most, cold and from the disk cache."""
PEAKS = {"CNN": 2048, "MLP": 16384}
"""Batches of the steps whose memory is looked at."""


# Measuring ----------------------------------------------------------------------------------------


def seconds(call: Callable[[], Any]) -> float:
    """The time of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def flat(found: Any) -> Iterator[np.ndarray]:
    """The arrays in a result."""
    if isinstance(found, (tuple, list)):
        for each in found:
            yield from flat(each)
    else:
        found = found.detach() if hasattr(found, "detach") else found
        yield np.asarray(found).astype(float)


def check(case: Case) -> None:
    """Compare our results with the peers'; a wrong answer has no speed."""
    if case.tolerance is None:
        return
    ours = list(flat(case.calls["thalweg"]()))
    for peer, call in case.calls.items():
        if peer in ("thalweg", "copy"):
            continue
        for x, y in zip(ours, flat(call()), strict=False):
            scale = float(np.max(np.abs(y)))
            apart = float(np.max(np.abs(x - y))) if x.shape == y.shape else math.inf
            if not apart <= case.tolerance * scale:
                raise SystemExit(f"{case.name}: differs from {peer} by {apart} of {scale}")


def measure(case: Case, kind: str) -> dict[str, Any]:
    """The least time of each system, and the median ratios."""
    check(case)
    once = {name: min(seconds(call) for _ in range(2)) for name, call in case.calls.items()}
    # Short calls are timed many at once, so that the clock does not count.
    repeats = {name: max(1, math.ceil(2e-3 / taken)) for name, taken in once.items()}
    spent = sum((repeats[name] + 1) * once[name] + PAUSE for name in once)
    is_alone = os.environ["THALWEG_THREADS"] == "1"
    clock = time.process_time if is_alone else time.perf_counter
    count = max(ROUNDS[kind], min(MOST_ROUNDS, math.ceil(SECONDS[kind] / spent)))
    rounds = []
    for _ in range(count):
        times = {}
        for name, call in case.calls.items():
            time.sleep(0 if is_alone else PAUSE)
            call()
            begin = clock()
            for _ in range(repeats[name]):
                call()
            times[name] = (clock() - begin) / repeats[name]
        rounds.append(times)
    found: dict[str, Any] = {"name": case.name, "flops": case.flops, "bytes": case.bytes}
    found["seconds"] = {name: min(each[name] for each in rounds) for name in case.calls}
    found["ratio"] = {
        name: case.scale.get(name, 1) * statistics.median(each[name] / each["thalweg"]
                                                         for each in rounds)
        for name in case.calls if name != "thalweg"
    }  # fmt: skip
    for key in ("limit", "series"):
        if getattr(case, key):
            found[key] = getattr(case, key)
    return found


def beside_smallest(cases: Sequence[dict[str, Any]]) -> None:
    """For cases in a series, how the time by work of the smallest compares with that of each."""
    smallest: dict[str, float] = {}
    for case in cases:
        if series := case.get("series"):
            taken = case["seconds"]["thalweg"] / case["flops"]
            case["ratio"]["smallest"] = smallest.setdefault(series, taken) / taken


def measure_groups(names: Sequence[str], kind: str) -> dict[str, list[dict[str, Any]]]:
    """All cases of some groups, in this process and with this process's number of threads."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(int(os.environ["THALWEG_THREADS"]))
    tw.set_options(backend="native")
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        found[name] = []
        for case in GROUPS[name].cases(torch):
            found[name].append(measure(case, kind))
            print(f"{name}: {' | '.join(cells(found[name][-1]))}", file=sys.stderr, flush=True)
            del case
            gc.collect()
        beside_smallest(found[name])
    return found


def child(arguments: Sequence[str], environment: dict[str, str]) -> Any:
    """What this file prints as JSON when it runs with other arguments."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def with_threads(count: int) -> dict[str, str]:
    """The environment in which every system uses so many threads."""
    names = ("THALWEG_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    more = {"OPENBLAS_THREAD_TIMEOUT": SPINNING}
    return os.environ | dict.fromkeys(names, str(count)) | more


# Compile time -------------------------------------------------------------------------------------


def first_calls() -> dict[str, float]:
    """Seconds of the first step of each network in this process, less those of the second."""
    found = {}
    for name, each in NETWORKS.items():
        params = init(each.shapes)
        step, given = training_step(each.predict), (params, params, *batch_of(each, 64))
        found[name] = first_less_second(lambda step=step, given=given: step(*given))
    model = MODELS["resnet"]
    network = model.keras(keras)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, jit_compile=True)
    x = np.random.default_rng(0).standard_normal((model.batch, *model.shape), np.float32)
    y = np.arange(model.batch, dtype=np.int32) % 10
    found["ResNet-20"] = first_less_second(lambda: network.train_on_batch(x, y))
    return found


def first_less_second(call: Callable[[], Any]) -> float:
    return seconds(call) - seconds(call)


def compile_times() -> dict[str, dict[str, float]]:
    """First calls in two new processes: with an empty disk cache, then with what the first left."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"THALWEG_CACHE": folder}
        cold, warm = (child(["--inside", "compile"], environment) for _ in range(2))
    return {name: {"cold": cold[name], "warm": warm[name]} for name in cold}


# Memory -------------------------------------------------------------------------------------------


def status(name: str) -> int:
    """A size that the system keeps of this process, in bytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def taken_by(call: Callable[[], Any]) -> int:
    """By how many bytes this process grows at most while something is called three times."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    for _ in range(3):
        call()
    return status("VmHWM") - before


def peak_of(system: str, name: str) -> dict[str, int]:
    """What a training step takes in this process, and what we planned."""
    each, count = NETWORKS[name], PEAKS[name]
    if system == "torch":
        torch = importlib.import_module("torch")
        torch_step(torch, each, 8)()
        return {"taken": taken_by(torch_step(torch, each, count))}
    named = {"shapes": {"x": ("b", ...), "y": ("b", ...)}}
    step = training_step(each.predict, **named)
    params = init(each.shapes)
    given = [tw.asarray(array) for array in batch_of(each, count)]
    step(params, params, *batch_of(each, 8))
    planned = tw.memory(step, params, params, *given)

    def call(state: list[Any] = [params, params]) -> None:  # noqa: B006  kept from call to call
        *state[:], _ = step(*state, *given)

    # The batch is there already.
    batch = sum(each.nbytes for each in given)
    return {"planned": planned.peak - planned.other_sizes - batch, "taken": taken_by(call)}


def peaks() -> dict[str, dict[str, Any]]:
    """For each network what is planned and taken, in processes of their own."""
    found: dict[str, dict[str, Any]] = {}
    for name in PEAKS if Path("/proc/self/clear_refs").exists() else ():
        ours, theirs = (child(["--inside", "peak", system, name], dict(os.environ))
                        for system in ("thalweg", "torch"))  # fmt: skip
        found[name] = {**ours, "torch": theirs["taken"]}
    return found


# The report ---------------------------------------------------------------------------------------


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def counted(case: dict[str, Any], goal: Goal) -> float | None:
    """The ratio that counts for a goal: that of the better peer."""
    ratios = [case["ratio"][peer] for peer in goal.peers if peer in case["ratio"]]
    return min(ratios) if ratios else None


def within(case: dict[str, Any]) -> bool:
    """Whether a case with a limit of its own keeps to it."""
    return case["seconds"]["thalweg"] <= case.get("limit", math.inf)


def verdict(cases: Sequence[dict[str, Any]], goal: Goal) -> tuple[str, bool]:
    """What was reached, in words, and whether that is what was wanted."""
    if not goal.peers:
        late = [case["name"] for case in cases if not within(case)]
        return f"beyond the limit: {', '.join(late)}" if late else "within the limits", not late
    ratios = {case["name"]: ratio for case in cases if (ratio := counted(case, goal)) is not None}
    mean, worst = geometric_mean(list(ratios.values())), min(ratios, key=lambda each: ratios[each])
    is_reached = goal.mean is None or mean >= goal.mean
    below = [name for name in ratios if goal.least is not None and ratios[name] < goal.least]
    text = f"mean {mean:.2f}, least {ratios[worst]:.2f} ({worst})"
    if below:
        text += f"; {len(below)} of {len(ratios)} below {goal.least}"
    return text, is_reached and not below


COLUMNS = ("µs", "torch µs", "numpy µs", "GFLOP/s", "GB/s")
OTHERS = ("torch", "numpy", "fused", "copy", "fixed", "smallest")
"""Peers, in the order of the table's last column."""


def cells(case: dict[str, Any]) -> list[str]:
    """One row of the table; the last column has the peers' times by ours."""
    times, ratio = case["seconds"], case["ratio"]
    row = [case["name"]]
    row += [f"{1e6 * times[name]:,.1f}" if name in times else ""
            for name in ("thalweg", "torch", "numpy")]  # fmt: skip
    for key in ("flops", "bytes"):
        row.append(f"{case[key] / times['thalweg'] / 1e9:.1f}" if case[key] else "")
    return [*row, ", ".join(f"{name} {ratio[name]:.2f}" for name in OTHERS if name in ratio)]


def show(found: dict[str, Any], console: Console) -> None:
    """The numbers as tables, each group with its goal and verdict."""
    for threads, groups in found["threads"].items():
        for name, cases in groups.items():
            group = GROUPS[name]
            table = Table(title=f"{group.title}, threads: {threads}", title_justify="left")
            table.add_column("case", no_wrap=True)
            for column in COLUMNS:
                table.add_column(column, justify="right", no_wrap=True)
            table.add_column("peer / thalweg")
            for case in cases:
                table.add_row(*cells(case))
            console.print(table)
            text, is_reached = verdict(cases, group.goal)
            console.print(f"goal: {group.goal} -> {text}: {said(is_reached)}\n", highlight=False)
    for name, times in found.get("compile", {}).items():
        cold, warm = COMPILED.get(name, (math.inf, math.inf))
        is_reached = times["cold"] <= cold and times["warm"] <= warm
        goal = f", goal {cold} and {warm} s: {said(is_reached)}" if name in COMPILED else ""
        console.print(f"first step, {name}: {times['cold']:.2f} s, {times['warm']:.2f} s from the "
                      f"disk cache{goal}", highlight=False)  # fmt: skip
    for name, each in found.get("peak", {}).items():
        is_near = abs(each["planned"] - each["taken"]) <= 0.1 * each["taken"]
        console.print(
            f"memory, {name} step, batch {PEAKS[name]}: planned {each['planned'] / 1e6:,.0f} MB, "
            f"taken {each['taken'] / 1e6:,.0f} MB, goal within 10 %: {said(is_near)}; torch "
            f"{each['torch'] / 1e6:,.0f} MB", highlight=False,
        )  # fmt: skip
    console.print(f"{found['seconds']:.0f} seconds in all")


def said(is_reached: bool) -> str:
    return "[green]reached[/]" if is_reached else "[red]missed[/]"


def inside(given: Sequence[str]) -> Any:
    """What a process of its own is asked for."""
    what, *names = given
    tw.set_options(backend="native")
    if what == "compile":
        return first_calls()
    return peak_of(*names) if what == "peak" else measure_groups(names, what)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [*GROUPS, *MORE]
    parser.add_argument("--only", nargs="+", default=names, metavar="GROUP", choices=names,
                        help=", ".join(names))  # fmt: skip
    parser.add_argument("--threads", type=int, nargs="+", default=[os.cpu_count() or 1])
    parser.add_argument("--quick", action="store_true", help="short rounds")
    parser.add_argument("--save", type=Path, metavar="FILE.json")
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        print(json.dumps(inside(given.inside)))
        return
    begin = time.perf_counter()
    kind = "quick" if given.quick else "full"
    groups = [name for name in given.only if name in GROUPS]
    found: dict[str, Any] = {"processor": platform.machine(), "threads": {}}
    for count in dict.fromkeys(given.threads) if groups else ():
        found["threads"][count] = child(["--inside", kind, *groups], with_threads(count))
    if "compile" in given.only:
        found["compile"] = compile_times()
    if "peak" in given.only:
        found["peak"] = peaks()
    found["seconds"] = time.perf_counter() - begin
    if given.save:
        given.save.write_text(json.dumps(found, indent=2))
    show(found, Console(width=max(120, Console().width)))


if __name__ == "__main__":
    main()

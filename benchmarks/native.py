"""What programs cost on the native backend, beside PyTorch and NumPy on the same data in one run.

    python benchmarks/native.py                        every group: all cores, then one thread
    python benchmarks/native.py --quick                fewer shapes, one round less patient
    python benchmarks/native.py matmul conv            some groups only
    python benchmarks/native.py --json                 the same numbers for a program to read

Each case is checked against the peer before it is timed. The systems alternate round by round; a
time is the least of all rounds, a ratio the median over the rounds of the peer's time by ours, so
above 1 we are faster. Each number of threads has a process of its own, because NumPy takes its
from the environment. On one thread a time is that of the processor, which other programs disturb
less; on several it is that of the wall. PyTorch runs convolutions in the faster of its two memory
layouts. Rates count the arithmetic of the definition, and the bytes that must be read and written
once.
"""

import argparse
import importlib
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

SOURCE = Path(__file__).resolve().parents[1] / "src"
if importlib.util.find_spec("thalweg") is None:
    sys.path.insert(0, str(SOURCE))

import thalweg as tw  # noqa: E402

SECONDS = {"full": 0.6, "quick": 0.12}
"""What the rounds of one case may take for each system, at least ROUNDS of them."""
ROUNDS = {"full": 7, "quick": 3}
GROUPS = (
    "matmul", "network", "conv", "conv_dx", "conv_dw", "pointwise", "rows", "training", "overhead",
)  # fmt: skip
FLOAT = np.float32


@dataclass(slots=True)
class Case:
    """One thing to measure: a call for each system, and what the definition costs.

    `tolerance` bounds the difference to the peer, relative to the largest value; None where the
    results are not compared.
    """

    name: str
    calls: dict[str, Callable[[], Any]]
    flops: float = 0
    bytes: float = 0
    tolerance: float | None = 1e-4
    notes: dict[str, Any] = field(default_factory=dict)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape, FLOAT)


def compiled(function: Callable, *inputs: Any) -> Callable[[], Any]:
    """A call of a compiled function on tensors that are at hand."""
    traced = tw.function(function)
    tensors = [tw.asarray(each) for each in inputs]
    return lambda: traced(*tensors)


# Contractions -------------------------------------------------------------------------------------


def matmul(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Square products."""
    for size in (128, 512) if is_quick else (128, 256, 512, 1024, 2048):
        yield product(torch, f"{size} x {size} x {size}", random(size, size), random(size, size))


def network(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Products as networks have them: skinny, batched, with transposed operands."""
    shapes = [
        ("dense 64x784x128", (64, 784), (784, 128), ""),
        ("dense 64x1568x10", (64, 1568), (1568, 10), ""),
        ("dense 256x1024x1024", (256, 1024), (1024, 1024), ""),
        ("dense 1x1024x1024", (1, 1024), (1024, 1024), ""),
        ("lstm gates 32x256x1024", (32, 256), (256, 1024), ""),
        ("transformer 512x768x3072", (512, 768), (768, 3072), ""),
        ("scores 32 x 128x64x128, B'", (32, 128, 64), (32, 128, 64), "B"),
        ("values 32 x 128x128x64", (32, 128, 128), (32, 128, 64), ""),
        ("kernel gradient A' 784x64x128", (64, 784), (64, 128), "A"),
        ("kernel gradient A' 1024x256x1024", (256, 1024), (256, 1024), "A"),
        ("input gradient B' 64x128x784", (64, 128), (784, 128), "B"),
        ("input gradient B' 256x1024x1024", (256, 1024), (1024, 1024), "B"),
    ]
    for name, lhs, rhs, turned in shapes[1::4] if is_quick else shapes:
        yield product(torch, name, random(*lhs), random(*rhs, seed=1), turned)


def product(torch: Any, name: str, a: np.ndarray, b: np.ndarray, turned: str = "") -> Case:
    """A matrix product; `turned` names the operand that is read transposed."""
    x, y = torch.from_numpy(a), torch.from_numpy(b)
    if turned == "A":
        ours = compiled(lambda a, b: tw.matmul(tw.matrix_transpose(a), b), a, b)
        a, x = a.swapaxes(-1, -2), x.transpose(-1, -2)
    elif turned == "B":
        ours = compiled(lambda a, b: tw.matmul(a, tw.matrix_transpose(b)), a, b)
        b, y = b.swapaxes(-1, -2), y.transpose(-1, -2)
    else:
        ours = compiled(tw.matmul, a, b)
    calls = {"thalweg": ours, "torch": lambda: torch.matmul(x, y), "numpy": lambda: a @ b}
    flops = 2 * math.prod(a.shape) * b.shape[-1]
    return Case(name, calls, flops, 4 * (a.size + b.size + a.size // a.shape[-1] * b.shape[-1]))


CONVOLUTIONS = (
    ("first 64x28x28x1->16, 3", (64, 28, 28, 1), (3, 3, 16), 1),
    ("64x14x14x16->32, 3", (64, 14, 14, 16), (3, 3, 32), 1),
    ("32x32x32x3->32, 3", (32, 32, 32, 3), (3, 3, 32), 1),
    ("16x32x32x32->32, 3", (16, 32, 32, 32), (3, 3, 32), 1),
    ("16x16x16x64->64, 3", (16, 16, 16, 64), (3, 3, 64), 1),
    ("16x16x16x64->128, 3 by 2", (16, 16, 16, 64), (3, 3, 128), 2),
    ("8x28x28x128->256, 1", (8, 28, 28, 128), (1, 1, 256), 1),
    ("4x112x112x3->64, 7 by 2", (4, 112, 112, 3), (7, 7, 64), 2),
)
"""Name, input, kernel without input channels, stride."""


def conv(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Convolutions forward."""
    yield from convolutions(torch, is_quick, "y")


def conv_dx(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Gradients of convolutions by their input."""
    yield from convolutions(torch, is_quick, "dx")


def conv_dw(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Gradients of convolutions by their kernel."""
    yield from convolutions(torch, is_quick, "dw")


def convolutions(torch: Any, is_quick: bool, wanted: str) -> Iterator[Case]:
    """All shapes of one of y, dx, dw; padding is half the kernel on both sides."""
    for name, shape, kernel, stride in CONVOLUTIONS[1::3] if is_quick else CONVOLUTIONS:
        x, w = random(*shape), random(*kernel[:2], shape[-1], kernel[2], seed=1)
        half = kernel[0] // 2
        places = (shape[1] + 2 * half - kernel[0]) // stride + 1
        dy = random(shape[0], places, places, kernel[2], seed=2)
        ours = convolution(wanted, ((half, half),) * 2, stride, x, w, dy)
        theirs = [torch_convolution(torch, wanted, layout, half, stride, x, w, dy) for layout in
                  (torch.contiguous_format, torch.channels_last)]  # fmt: skip
        flops = 2 * dy.size * math.prod(w.shape[:3])
        bytes = 4 * (x.size + w.size + dy.size)
        yield Case(name, {"thalweg": ours, "torch": fastest(theirs)}, flops, bytes)


def convolution(
    wanted: str, padding: Any, stride: int, x: np.ndarray, w: np.ndarray, dy: np.ndarray
) -> Callable[[], Any]:
    """Our convolution or one of its gradients."""

    def forward(x: Any, w: Any) -> Any:
        return tw.nn.conv(x, w, strides=stride, padding=padding)

    if wanted == "y":
        return compiled(forward, x, w)
    place = ("dx", "dw").index(wanted)
    return compiled(lambda x, w, dy: tw.vjp(forward, x, w)[1](dy)[place], x, w, dy)


def torch_convolution(
    torch: Any, wanted: str, layout: Any, half: int, stride: int, *arrays: np.ndarray
) -> Callable[[], Any]:
    """The peer's convolution or gradient in one memory layout; results as ours are laid out."""
    orders = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    x, w, dy = (
        torch.from_numpy(array).permute(order).contiguous(memory_format=layout)
        for array, order in zip(arrays, orders, strict=True)
    )
    if wanted == "y":
        run = torch.nn.functional.conv2d
        return lambda: run(x, w, stride=stride, padding=half).permute(0, 2, 3, 1)
    place = ("dx", "dw").index(wanted)
    mask = [place == 0, place == 1, False]
    back = ((0, 2, 3, 1), (2, 3, 1, 0))[place]
    run = torch.ops.aten.convolution_backward

    def call() -> Any:
        steps, sides = [stride] * 2, [half] * 2
        found = run(dy, x, w, None, steps, sides, [1, 1], False, [0, 0], 1, mask)
        return found[place].permute(back)

    return call


def fastest(calls: Sequence[Callable[[], Any]]) -> Callable[[], Any]:
    """The call that took the least time in a few trials."""
    for call in calls:
        call()
    return min(calls, key=lambda call: min(seconds(call) for _ in range(5)))


# Memory -------------------------------------------------------------------------------------------


def pointwise(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Passes over arrays beyond the caches of a core, beside a plain copy."""
    rows = 512 if is_quick else 4096
    x, y = random(rows, 4096), random(rows, 4096, seed=1)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    size = x.nbytes

    def chain(x: Any, y: Any, tanh: Callable) -> Any:
        z = (x * y + 0.5) * 0.25 - y
        return tanh(z * z + x) * 2.0 - z / 3.0

    yield Case(
        "copy (ours: negate)",
        {"thalweg": compiled(lambda x: -x, x), "torch": a.clone, "numpy": x.copy},
        0, 2 * size, None,
    )  # fmt: skip
    yield Case(
        "chain of ten",
        {"thalweg": compiled(lambda x, y: chain(x, y, tw.tanh), x, y),
         "torch": lambda: chain(a, b, torch.tanh), "numpy": lambda: chain(x, y, np.tanh)},
        10 * x.size, 3 * size,
    )  # fmt: skip
    for name, axis in (("all", None), ("rows", 1), ("columns", 0)):
        yield Case(
            f"sum of {name}",
            {"thalweg": reduction(axis, x),
             "torch": (lambda axis=axis: a.sum(axis)) if axis is not None else a.sum,
             "numpy": lambda axis=axis: x.sum(axis)}, x.size, size,
        )  # fmt: skip
    parts, others = x.reshape(16, -1, 512), a.reshape(16, -1, 512)
    yield Case(
        "mean of the middle axis",
        {"thalweg": compiled(lambda x: tw.mean(x, axis=1), parts),
         "torch": lambda: others.mean(1), "numpy": lambda: parts.mean(1)}, x.size, size,
    )  # fmt: skip


def reduction(axis: int | None, x: np.ndarray) -> Callable[[], Any]:
    """Our sum along one axis or all."""
    return compiled(lambda x: tw.sum(x, axis=axis), x)


def rows(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Softmax and layer normalisation along rows, and the gradients."""
    shapes = ((64, 10), (1024, 1024), (128, 32000))
    for shape in shapes[:2] if is_quick else shapes:
        x = random(*shape)
        a = torch.from_numpy(x)
        yield Case(
            f"softmax {shape[0]}x{shape[1]}",
            {"thalweg": compiled(lambda x: tw.nn.softmax(x), x),
             "torch": lambda a=a: torch.softmax(a, -1)},
            5 * x.size, 2 * x.nbytes,
        )  # fmt: skip
    for shape in ((512, 768),) if is_quick else ((512, 768), (8192, 768)):
        yield from layer_norm(torch, shape)


def layer_norm(torch: Any, shape: tuple[int, int]) -> Iterator[Case]:
    """Layer normalisation, forward and with all gradients."""
    x, scale, offset, dy = random(*shape), random(shape[1]), random(shape[1]), random(*shape)
    a, b, c, d = (torch.from_numpy(each) for each in (x, scale, offset, dy))

    def ours(x: Any, scale: Any, offset: Any) -> Any:
        middle = x - tw.mean(x, axis=-1, keepdims=True)
        spread = tw.mean(middle * middle, axis=-1, keepdims=True)
        return middle * tw.rsqrt(spread + 1e-5) * scale + offset

    name = f"layer norm {shape[0]}x{shape[1]}"
    yield Case(
        name,
        {"thalweg": compiled(ours, x, scale, offset),
         "torch": lambda: torch.nn.functional.layer_norm(a, shape[1:], b, c)},
        8 * x.size, 2 * x.nbytes,
    )  # fmt: skip
    leaves = [each.clone().requires_grad_() for each in (a, b, c)]

    def theirs() -> Any:
        y = torch.nn.functional.layer_norm(leaves[0], shape[1:], *leaves[1:])
        return torch.autograd.grad(y, leaves, d)[0]

    def gradients(x: Any, scale: Any, offset: Any, dy: Any) -> Any:
        return tw.vjp(ours, x, scale, offset)[1](dy)

    yield Case(
        f"{name}, gradients",
        {"thalweg": compiled(gradients, x, scale, offset, dy), "torch": theirs},
        20 * x.size, 5 * x.nbytes,
    )  # fmt: skip


# Whole steps --------------------------------------------------------------------------------------


def init(shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """A He-normal kernel and a zero bias for each shape of a kernel."""
    found: list[np.ndarray] = []
    for number, shape in enumerate(shapes):
        scale = math.sqrt(2 / math.prod(shape[:-1]))
        found += [random(*shape, seed=number) * FLOAT(scale), np.zeros(shape[-1], FLOAT)]
    return found


def cnn(params: Sequence[Any], x: Any) -> Any:
    """Two convolutions and a dense layer, as in examples/fashion.py."""
    for w, b in (params[:2], params[2:4]):
        x = tw.nn.max_pool(tw.nn.relu(tw.nn.conv(x, w, padding="same") + b), 2)
    return tw.reshape(x, (x.shape[0], 1568)) @ params[4] + params[5]


def mlp(params: Sequence[Any], x: Any) -> Any:
    """Dense layers with relu between."""
    x = tw.reshape(x, (x.shape[0], 784))
    for index in range(0, len(params) - 2, 2):
        x = tw.nn.relu(x @ params[index] + params[index + 1])
    return x @ params[-2] + params[-1]


NETWORKS = {
    "CNN": (cnn, [(3, 3, 1, 16), (3, 3, 16, 32), (1568, 10)]),
    "MLP": (mlp, [(784, 512), (512, 512), (512, 10)]),
}


def training_step(predict: Callable) -> Callable:
    """A compiled step of gradient descent with momentum."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        entropy = tw.nn.sparse_categorical_crossentropy
        return tw.mean(entropy(y, predict(params, x), from_logits=True))

    @tw.function
    def step(params: Any, momentum: Any, x: Any, y: Any) -> Any:
        value, gradient = tw.value_and_grad(loss)(params, x, y)
        momentum = [0.9 * m + g for m, g in zip(momentum, gradient, strict=True)]
        return [p - 0.03 * m for p, m in zip(params, momentum, strict=True)], momentum, value

    return step


class Peer:
    """The same training step by PyTorch's own layers, loss and optimizer."""

    def __init__(self, torch: Any, name: str, params: Sequence[np.ndarray]):
        self.torch, self.functional = torch, torch.nn.functional
        self.is_cnn = name == "CNN"
        tensors = [torch.from_numpy(each.copy()) for each in params]
        if self.is_cnn:
            # Kernels as OIHW; the dense kernel takes the channels as the peer flattens them.
            tensors[0], tensors[2] = (tensors[i].permute(3, 2, 0, 1).contiguous() for i in (0, 2))
            dense = tensors[4].reshape(7, 7, 32, 10).permute(2, 0, 1, 3).reshape(1568, 10)
            tensors[4] = dense.contiguous()
        self.params = [each.requires_grad_() for each in tensors]
        self.optimizer = torch.optim.SGD(self.params, lr=0.03, momentum=0.9)

    def predict(self, x: Any) -> Any:
        functional, params = self.functional, self.params
        if not self.is_cnn:
            x = x.flatten(1)
            for index in range(0, len(params) - 2, 2):
                x = functional.relu(x @ params[index] + params[index + 1])
            return x @ params[-2] + params[-1]
        for w, b in (params[:2], params[2:4]):
            x = functional.max_pool2d(functional.relu(functional.conv2d(x, w, b, padding=1)), 2)
        return x.flatten(1) @ params[4] + params[5]

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        value = self.functional.cross_entropy(self.predict(x), y)
        value.backward()
        self.optimizer.step()
        return value.detach()


def training(torch: Any, is_quick: bool) -> Iterator[Case]:
    """Whole training steps, batch 64: forward, loss, gradients, momentum, update."""
    for name, (predict, shapes) in NETWORKS.items():
        params = init(shapes)
        x = random(64, 28, 28, 1, seed=9)
        y = np.random.default_rng(9).integers(0, 10, 64).astype(np.int32)
        peer = Peer(torch, name, params)
        images = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
        labels = torch.from_numpy(y.astype(np.int64))
        step, inputs = training_step(predict), [tw.asarray(x), tw.asarray(y)]
        state = [[tw.asarray(each) for each in params], [tw.zeros(p.shape) for p in params]]
        tw.evaluate(state)

        def ours(step: Any = step, inputs: Any = inputs, state: Any = state) -> Any:
            *state[:], value = step(*state, *inputs)
            return value

        if name == "CNN":
            places = (28 * 28 * 9 * 16, 14 * 14 * 9 * 16 * 32, 1568 * 10)
            flops = 2 * 64 * (2 * places[0] + 3 * places[1] + 3 * places[2])
        else:
            sizes = [math.prod(shape) for shape in shapes]
            flops = 2 * 64 * (3 * sum(sizes) - sizes[0])
        theirs = lambda peer=peer, images=images, labels=labels: peer.step(images, labels)  # noqa: E731
        yield Case(f"{name} step", {"thalweg": ours, "torch": theirs}, flops, 0, 1e-3)


def overhead(torch: Any, is_quick: bool) -> Iterator[Case]:
    """A compiled function of one small addition."""
    x, y = random(8), random(8)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    calls = {"thalweg": compiled(lambda x, y: x + y, x, y), "torch": lambda: a + b}
    yield Case("add of 8 numbers", {**calls, "numpy": lambda: x + y}, 8, 96)


# Compile time -------------------------------------------------------------------------------------


def first_calls() -> dict[str, float]:
    """Seconds of the first call of each training step in this process, trace and all."""
    found = {}
    for name, (predict, shapes) in NETWORKS.items():
        params = init(shapes)
        x, y = random(64, 28, 28, 1), np.zeros(64, np.int32)
        step = training_step(predict)
        found[name] = seconds(lambda args=(params, params, x, y), step=step: step(*args))
    return found


def compile_times() -> dict[str, dict[str, float]]:
    """First calls in two new processes: with an empty disk cache, then with what the first left."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"THALWEG_CACHE": folder}
        cold, warm = (child(["--first"], environment) for _ in range(2))
    return {name: {"cold": cold[name], "warm": warm[name]} for name in cold}


# Measuring ----------------------------------------------------------------------------------------


def seconds(call: Callable[[], Any]) -> float:
    """The time of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def check(case: Case) -> None:
    """Compare our result with the peer's; a wrong answer has no speed."""
    if case.tolerance is None:
        return
    ours, theirs = (case.calls[name]() for name in ("thalweg", "torch"))
    ours = ours[0] if isinstance(ours, tuple) else ours
    x, y = ours.numpy().astype(float), np.asarray(theirs).astype(float)
    scale = float(np.max(np.abs(y)))
    difference = float(np.max(np.abs(x - y))) if x.shape == y.shape else math.inf
    if not difference <= case.tolerance * scale:
        raise SystemExit(f"{case.name}: differs from the peer by {difference} of {scale}")


def measure(case: Case, kind: str) -> dict[str, Any]:
    """The least time of each system, and the median ratios."""
    check(case)
    once = {}
    for name, call in case.calls.items():
        call()
        once[name] = seconds(call)
    # Short calls are timed many at once, so that the clock does not count.
    repeats = {name: max(1, math.ceil(2e-3 / taken)) for name, taken in once.items()}
    spent = sum(repeats[name] * once[name] for name in once)
    clock = time.process_time if os.environ["THALWEG_THREADS"] == "1" else time.perf_counter
    count = max(ROUNDS[kind], min(60, math.ceil(len(once) * SECONDS[kind] / spent)))
    rounds = []
    for _ in range(count):
        times = {}
        for name, call in case.calls.items():
            begin = clock()
            for _ in range(repeats[name]):
                call()
            times[name] = (clock() - begin) / repeats[name]
        rounds.append(times)
    found: dict[str, Any] = {"name": case.name, "flops": case.flops, "bytes": case.bytes}
    found["seconds"] = {name: min(each[name] for each in rounds) for name in case.calls}
    found["ratio"] = {
        name: statistics.median(each[name] / each["thalweg"] for each in rounds)
        for name in case.calls if name != "thalweg"
    }  # fmt: skip
    return found


def measure_groups(names: Sequence[str], kind: str) -> dict[str, list[dict[str, Any]]]:
    """All cases of some groups, in this process and with this process's number of threads."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(int(os.environ["THALWEG_THREADS"]))
    tw.set_options(backend="native")
    return {
        name: [measure(case, kind) for case in globals()[name](torch, kind == "quick")]
        for name in names
    }


def child(arguments: Sequence[str], environment: dict[str, str]) -> Any:
    """What this file prints as JSON when it runs with other arguments."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def with_threads(count: int) -> dict[str, str]:
    """The environment in which every system uses so many threads."""
    names = ("THALWEG_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return os.environ | dict.fromkeys(names, str(count))


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


# The report ---------------------------------------------------------------------------------------


def show(found: dict[str, Any], console: Console) -> None:
    """The numbers as tables."""
    for threads, groups in found["threads"].items():
        table = Table(title=f"threads: {threads}", title_justify="left")
        table.add_column("case", no_wrap=True)
        for column in ("µs", "torch µs", "numpy µs", "GFLOP/s", "GB/s", "torch", "numpy"):
            table.add_column(column, justify="right")
        for name, cases in groups.items():
            table.add_section()
            for case in cases:
                table.add_row(*cells(case))
            means = {
                peer: geometric_mean([case["ratio"][peer] for case in cases])
                for peer in ("torch", "numpy") if all(peer in case["ratio"] for case in cases)
            }  # fmt: skip
            row = [f"{means[peer]:.2f}" if peer in means else "" for peer in ("torch", "numpy")]
            table.add_row(f"[bold]{name}, geometric mean", "", "", "", "", "", *row)
        console.print(table)
    for name, times in found.get("first_call_seconds", {}).items():
        console.print(f"first call, {name} step: {times['cold']:.2f} s, "
                      f"{times['warm']:.2f} s from the disk cache")  # fmt: skip


def cells(case: dict[str, Any]) -> list[str]:
    """One row of the table; the last two columns are the peer's time by ours."""
    times, ratio = case["seconds"], case["ratio"]
    row = [case["name"]]
    row += [f"{1e6 * times[name]:,.1f}" if name in times else ""
            for name in ("thalweg", "torch", "numpy")]  # fmt: skip
    for key in ("flops", "bytes"):
        row.append(f"{case[key] / times['thalweg'] / 1e9:.1f}" if case[key] else "")
    return row + [f"{ratio[name]:.2f}" if name in ratio else "" for name in ("torch", "numpy")]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("groups", nargs="*", help=", ".join((*GROUPS, "compile")))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, nargs="+", default=[os.cpu_count() or 1, 1])
    parser.add_argument("--inside", choices=ROUNDS, help=argparse.SUPPRESS)
    parser.add_argument("--first", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    groups = given.groups or [*GROUPS, "compile"]
    if unknown := set(groups) - {*GROUPS, "compile"}:
        parser.error(
            f"there is no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}, compile"
        )
    if given.first or given.inside:
        tw.set_options(backend="native")
        print(json.dumps(first_calls() if given.first else measure_groups(groups, given.inside)))
        return
    kind = "quick" if given.quick else "full"
    names = [name for name in groups if name != "compile"]
    found: dict[str, Any] = {"threads": {}}
    for count in dict.fromkeys(given.threads) if names else ():
        found["threads"][count] = child(["--inside", kind, *names], with_threads(count))
    if "compile" in groups:
        found["first_call_seconds"] = compile_times()
    print(json.dumps(found, indent=2)) if given.json else show(
        found, Console(width=max(110, Console().width))
    )


if __name__ == "__main__":
    main()

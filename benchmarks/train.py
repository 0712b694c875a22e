"""What training costs: Thalweg beside Keras on its three backends and beside plain PyTorch.

    python benchmarks/train.py                        every model on every system that is installed
    python benchmarks/train.py --only cnn gpt         some models, some systems (words of the table)
    python benchmarks/train.py --quick                a few steps each: does it run?
    python benchmarks/train.py --json                 the same numbers for a program to read
    python benchmarks/train.py --python torch=PATH    a Python that has what this one lacks

Each case (a model on a system) has processes of its own: one with empty caches of compiled code,
one with what the first left there, which is also timed. All systems get the same data, those with
Keras' API the same program and initial weights, and their losses on the first steps are compared.

    ms/step    median over rounds of `fit` (PyTorch: of a plain loop), each of some steps, without
               shuffling, callbacks or display
    first      seconds from the import being done to the first loss: building, compiling, one step
               (Thalweg imports most of what it needs only then)
    import     seconds of the import alone, the median of three processes; bytecode is compiled, as
               it is where a package has been installed
    MB         the largest resident memory of the timed process
    ratio      the system's ms/step by those of Thalweg's native backend: above 1 Thalweg is faster
"""

import argparse
import compileall
import importlib
import importlib.util
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

SOURCE = Path(__file__).resolve().parents[1] / "src"

SYSTEMS = {
    # name: what is imported, what must be installed beside it, environment
    "thalweg": ("thalweg.keras", "", {}),
    "thalweg-reference": ("thalweg.keras", "", {}),
    "keras-jax": ("keras", "jax", {"KERAS_BACKEND": "jax"}),
    "keras-tensorflow": ("keras", "tensorflow", {"KERAS_BACKEND": "tensorflow"}),
    "keras-torch": ("keras", "torch", {"KERAS_BACKEND": "torch"}),
    "torch": ("torch", "", {}),
    "torch-channels-last": ("torch", "", {}),
}
OURS = ("thalweg", "thalweg-reference")
FIRST = 3
"""Steps made one by one; their losses are compared."""
ROUNDS, SECONDS = 15, 10.0
"""Most rounds, and about how long a case is timed; at least three rounds, the first is left out."""


# Models in Keras ----------------------------------------------------------------------------------


def empty(keras: Any) -> Any:
    """One number in, one out: what remains is the cost of the loop."""
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


def dense(keras: Any) -> Any:
    layers = keras.layers
    hidden = [layers.Dense(512, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10)])


def cnn(keras: Any) -> Any:
    layers = keras.layers
    x = images = keras.Input((28, 28, 1))
    for filters in (32, 64, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return keras.Model(images, layers.Dense(10)(layers.Flatten()(x)))


def resnet(keras: Any) -> Any:
    """ResNet-20 of He et al. (2015, section 4.2)."""
    layers = keras.layers

    def convolution(x: Any, filters: int, size: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    images = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(images, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for index in range(3):
            strides = 2 if stage and not index else 1
            y = layers.ReLU()(convolution(x, filters, strides=strides))
            y = convolution(y, filters)
            x = x if strides == 1 else convolution(x, filters, 1, strides)
            x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def lstm(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((64,), dtype="int32"),
            layers.Embedding(65, 64),
            layers.LSTM(128, return_sequences=True),
            layers.LSTM(128, return_sequences=True),
            layers.Dense(65),
        ]
    )


def gpt(keras: Any) -> Any:
    """Four blocks of four heads, width 128, context 64."""
    layers = keras.layers
    tokens = keras.Input((64,), dtype="int32")
    # The place is told by a second table, looked up at the constant places.
    places = keras.Input((64,), dtype="int32")
    x = layers.Add()([layers.Embedding(65, 128)(tokens), layers.Embedding(64, 128)(places)])
    for _ in range(4):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.MultiHeadAttention(4, 32)(y, y, use_causal_mask=True)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        y = layers.Dense(512, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(128)(y)])
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    return keras.Model([tokens, places], layers.Dense(65, use_bias=False)(x))


# The same models in PyTorch -----------------------------------------------------------------------


def torch_empty(torch: Any) -> Any:
    return torch.nn.Linear(1, 1)


def torch_dense(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def torch_cnn(torch: Any) -> Any:
    nn = torch.nn
    parts: list[Any] = []
    for before, filters in ((1, 32), (32, 64), (64, 64)):
        parts += [nn.Conv2d(before, filters, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(3 * 3 * 64, 10))


def torch_resnet(torch: Any) -> Any:
    nn = torch.nn

    def convolution(before: int, filters: int, size: int = 3, strides: int = 1) -> Any:
        layer = nn.Conv2d(before, filters, size, strides, padding=size // 2, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(filters))

    class Block(nn.Module):
        def __init__(self, before: int, filters: int, strides: int):
            super().__init__()
            self.first = convolution(before, filters, strides=strides)
            self.second = convolution(filters, filters)
            is_same = strides == 1 and before == filters
            self.past = nn.Identity() if is_same else convolution(before, filters, 1, strides)

        def forward(self, x: Any) -> Any:
            y = self.second(torch.relu(self.first(x)))
            return torch.relu(self.past(x) + y)

    parts: list[Any] = [convolution(3, 16), nn.ReLU()]
    before = 16
    for stage, filters in enumerate((16, 32, 64)):
        for index in range(3):
            parts.append(Block(before, filters, 2 if stage and not index else 1))
            before = filters
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def torch_lstm(torch: Any) -> Any:
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codes = nn.Embedding(65, 64)
            self.lstm = nn.LSTM(64, 128, num_layers=2, batch_first=True)
            self.logits = nn.Linear(128, 65)

        def forward(self, tokens: Any) -> Any:
            return self.logits(self.lstm(self.codes(tokens))[0])

    return Network()


def torch_gpt(torch: Any) -> Any:
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normal_1, self.normal_2 = nn.LayerNorm(128), nn.LayerNorm(128)
            self.heads, self.out = nn.Linear(128, 384), nn.Linear(128, 128)
            self.wide, self.narrow = nn.Linear(128, 512), nn.Linear(512, 128)

        def forward(self, x: Any) -> Any:
            batch, length, width = x.shape
            heads = self.heads(self.normal_1(x)).view(batch, length, 3, 4, 32)
            query, key, value = heads.permute(2, 0, 3, 1, 4)
            y = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
            return x + self.narrow(nn.functional.gelu(self.wide(self.normal_2(x))))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(65, 128), nn.Embedding(64, 128)
            self.blocks = nn.Sequential(*[Block() for _ in range(4)])
            self.normal, self.logits = nn.LayerNorm(128), nn.Linear(128, 65, bias=False)

        def forward(self, tokens: Any, places: Any) -> Any:
            x = self.blocks(self.tokens(tokens) + self.places(places))
            return self.logits(self.normal(x))

    return Network()


# Data ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Model:
    """A model with its batch, in both libraries; `shape` is that of an input, of tokens if 1-d."""

    keras: Callable[[Any], Any]
    torch: Callable[[Any], Any]
    batch: int
    steps: int  # of a round: enough for what an epoch itself costs to be lost in it
    shape: tuple[int, ...]
    kind: str = "classes"
    optimizer: str = "adam"


MODELS = {
    "empty": Model(empty, torch_empty, 1, 2000, (1,), "number", "sgd"),
    "dense": Model(dense, torch_dense, 128, 100, (784,)),
    "cnn": Model(cnn, torch_cnn, 64, 20, (28, 28, 1)),
    "resnet": Model(resnet, torch_resnet, 64, 10, (32, 32, 3), optimizer="momentum"),
    "lstm": Model(lstm, torch_lstm, 32, 20, (64,), "tokens"),
    "gpt": Model(gpt, torch_gpt, 12, 40, (64,), "tokens", "adamw"),
}


def data(name: str, steps: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs and targets for so many steps."""
    model = MODELS[name]
    random = np.random.default_rng(0)
    count = steps * model.batch
    if model.kind == "tokens":
        tokens = random.integers(0, 65, (count, model.shape[0] + 1)).astype("int32")
        places = np.broadcast_to(np.arange(model.shape[0], dtype="int32"), (count, *model.shape))
        return [tokens[:, :-1].copy(), places.copy()][: 2 if name == "gpt" else 1], tokens[:, 1:]
    x = random.standard_normal((count, *model.shape), "float32")
    if model.kind == "number":
        return [x], 2 * x
    return [x], random.integers(0, 10, count).astype("int32")


# One case, in a process of its own ----------------------------------------------------------------


def run_case(name: str, system: str, steps: int, seconds: float) -> dict[str, Any]:
    """The figures of a model on a system of which the import is already done."""
    run = run_torch if system.startswith("torch") else run_keras
    clock = Clock(steps, seconds)
    run(name, system, steps, clock)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    found = {"first": clock.first, "losses": clock.losses, "megabytes": megabytes}
    if clock.rounds:
        found["ms"] = 1e3 * statistics.median(clock.rounds[1:]) / steps
    return found


class Clock:
    """Takes the time of the first step and of rounds, until it has enough of them."""

    def __init__(self, steps: int, seconds: float):
        self.steps = steps
        self.seconds = seconds
        self.first = 0.0
        self.losses: list[float] = []
        self.rounds: list[float] = []
        self.start = 0.0

    def begin(self) -> None:
        self.start = time.perf_counter()

    def end(self) -> None:
        self.rounds.append(time.perf_counter() - self.start)

    def note_loss(self, loss: float) -> None:
        """One of the first steps was made, by `train_on_batch` and the like."""
        if not self.losses:
            self.first = time.perf_counter() - self.start
        self.losses.append(loss)

    @property
    def has_enough(self) -> bool:
        count, spent = len(self.rounds), sum(self.rounds)
        return not self.seconds or count >= ROUNDS or (count >= 3 and spent > self.seconds)


def run_keras(name: str, system: str, steps: int, clock: Clock) -> None:
    """The first steps one by one, then rounds, each an epoch of `fit`."""
    keras = importlib.import_module(SYSTEMS[system][0])
    model = MODELS[name]
    inputs, y = data(name, steps)
    optimizers = {
        "sgd": lambda: keras.optimizers.SGD(0.01),
        "momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(1e-3),
        "adamw": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.1),
    }
    clock.begin()
    network = model.keras(keras)
    network.set_weights([initial(index, each) for index, each in enumerate(network.weights)])
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = "mean_squared_error" if model.kind == "number" else cross_entropy
    choice = {"thalweg": True, "thalweg-reference": False}.get(system, "auto")
    network.compile(optimizers[model.optimizer](), loss, jit_compile=choice)
    mean = 0.0
    for step in range(FIRST):
        part = slice(step * model.batch, (step + 1) * model.batch)
        x = [each[part] for each in inputs]
        logs = network.train_on_batch(x if len(x) > 1 else x[0], y[part], return_dict=True)
        # What is reported is the mean of all steps so far.
        last, mean = mean, float(logs["loss"])
        clock.note_loss((step + 1) * mean - step * last)

    class Timer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            clock.begin()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            clock.end()
            self.model.stop_training = clock.has_enough

    if not clock.has_enough:
        x = inputs if len(inputs) > 1 else inputs[0]
        network.fit(x, y, model.batch, epochs=ROUNDS, verbose=0, shuffle=False, callbacks=[Timer()])


def initial(index: int, variable: Any) -> np.ndarray:
    """The same initial weights for all systems with Keras' API."""
    shape, name = tuple(variable.shape), variable.name
    if len(shape) < 2:
        return np.full(shape, float(name in ("gamma", "moving_variance")), "float32")
    scale = math.sqrt(1 / math.prod(shape[:-1]))
    return scale * np.random.default_rng(index).standard_normal(shape, "float32")


def run_torch(name: str, system: str, steps: int, clock: Clock) -> None:
    """As `run_keras`, in a plain loop; the initial weights are PyTorch's own."""
    torch = importlib.import_module("torch")
    model = MODELS[name]
    inputs, y = data(name, steps)
    tensors = [torch.from_numpy(each) for each in inputs]
    target = torch.from_numpy(y if model.kind == "number" else y.astype("int64"))
    layout = torch.contiguous_format
    if len(model.shape) == 3:
        # The pictures are laid out before the clock runs, as a data loader would.
        layout = torch.channels_last if system.endswith("last") else layout
        tensors = [each.permute(0, 3, 1, 2).contiguous(memory_format=layout) for each in tensors]
    optimizers = {
        "sgd": lambda p: torch.optim.SGD(p, 0.01),
        "momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, 1e-3),
        "adamw": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.1),
    }
    functional = torch.nn.functional
    compute = functional.mse_loss if model.kind == "number" else functional.cross_entropy
    clock.begin()
    torch.manual_seed(0)
    network = model.torch(torch)
    if len(model.shape) == 3:
        network = network.to(memory_format=layout)
    optimizer = optimizers[model.optimizer](network.parameters())

    def one(step: int) -> Any:
        part = slice(step * model.batch, (step + 1) * model.batch)
        outputs = network(*[each[part] for each in tensors])
        if model.kind == "tokens":
            loss = compute(outputs.flatten(0, 1), target[part].flatten())
        else:
            loss = compute(outputs, target[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    for step in range(FIRST):
        clock.note_loss(float(one(step)))
    while not clock.has_enough:
        clock.begin()
        float(sum(one(step) for step in range(steps)))  # the sum waits for all of them
        clock.end()


# All cases ----------------------------------------------------------------------------------------


def interpreter(system: str, chosen: dict[str, str]) -> str:
    """The Python that runs a system."""
    library = system.partition("-")[0]
    return chosen.get(system) or chosen.get(library) or sys.executable


def is_installed(system: str, python: str) -> bool:
    names = [name.partition(".")[0] for name in SYSTEMS[system][:2] if name]
    names = [name for name in names if name != "thalweg"]
    program = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    return subprocess.run([python, "-c", program, *names], check=False).returncode == 0


def surroundings(system: str, cache: str, threads: int | None) -> dict[str, str]:
    """The environment of a case; caches of compiled code are its own."""
    paths = [str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    found = {
        **inherited,
        "PYTHONPATH": os.pathsep.join(paths),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "THALWEG_CACHE": cache,
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        **SYSTEMS[system][2],
    }
    if threads:
        names = ("THALWEG", "OMP", "MKL", "OPENBLAS", "TF_INTRAOP")
        found |= {"TF_NUM_INTRAOP_THREADS": str(threads)}
        found |= {f"{name}_NUM_THREADS": str(threads) for name in names}
        found |= {"THALWEG_THREADS": str(threads)}
    return found


def import_seconds(system: str, python: str, environment: dict[str, str]) -> float:
    """The median time of the import in fresh processes, after one that warms the disk's cache."""
    program = (
        "import time; start = time.perf_counter(); "
        f"import {SYSTEMS[system][0]}; print(time.perf_counter() - start)"
    )
    found = [
        float(
            subprocess.run(
                [python, "-c", program],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            ).stdout.split()[-1]
        )
        for _ in range(4)
    ]
    return statistics.median(found[1:])


def measure(name: str, system: str, python: str, options: argparse.Namespace) -> dict[str, Any]:
    """A row of the table: the case with an empty cache, then with a warm one and timed."""
    row: dict[str, Any] = {"model": name, "system": system}
    steps, seconds = (FIRST + 1, 0.1) if options.quick else (MODELS[name].steps, SECONDS)
    with tempfile.TemporaryDirectory() as cache:
        environment = surroundings(system, cache, options.threads)
        for is_timed in (False, True):
            task = json.dumps([name, system, steps, seconds * is_timed])
            try:
                done = subprocess.run(
                    [python, __file__, "--case", task],
                    capture_output=True,
                    text=True,
                    check=True,
                    env=environment,
                    timeout=options.timeout,
                )
            except subprocess.TimeoutExpired:
                return {**row, "failed": f"more than {options.timeout:.0f} s"}
            except subprocess.CalledProcessError as error:
                lines = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
                return {**row, "failed": lines[-1]}
            found = json.loads(done.stdout.splitlines()[-1])
            row["warm" if is_timed else "cold"] = found["first"]
        row |= {key: found[key] for key in ("ms", "losses", "megabytes")}
    return row


def judge(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best peer of each model and the mean of its ratios; rows get their ratio to Thalweg."""
    best: dict[str, Any] = {}
    for name in MODELS:
        timed = {row["system"]: row for row in rows if row["model"] == name and "ms" in row}
        ours = timed.get("thalweg")
        for row in timed.values():
            if ours is not None:
                row["ratio"] = row["ms"] / ours["ms"]
        keras = {key: row for key, row in timed.items() if not key.startswith("torch")}
        middle = np.median([row["losses"] for row in keras.values()], axis=0) if keras else None
        for row in keras.values():
            row["agrees"] = bool(np.allclose(row["losses"], middle, rtol=2e-3, atol=1e-4))
        peers = {key: row for key, row in timed.items() if key not in OURS}
        if ours is not None and peers:
            nearest = min(peers, key=lambda key: peers[key]["ms"])
            best[name] = {"peer": nearest, "ratio": peers[nearest]["ratio"]}
    ratios = [each["ratio"] for name, each in best.items() if name != "empty"]
    mean = math.exp(statistics.fmean(map(math.log, ratios))) if ratios else None
    return {"best_peers": best, "geometric_mean": mean}


# The report ---------------------------------------------------------------------------------------


def show(rows: Sequence[dict[str, Any]], found: dict[str, Any], console: Console) -> None:
    """The rows as a table, the best peers below."""
    machine = found["machine"]
    console.print(
        f"Python {machine['python']} on {machine['processor']}, {machine['cores']} cores\n"
    )
    table = Table(title="training", title_justify="left")
    for column in ("model", "system", "ms/step", "ratio", "first, cold", "first, warm", "import",
                   "MB"):  # fmt: skip
        table.add_column(column, justify="left" if column in ("model", "system") else "right")
    for name in dict.fromkeys(row["model"] for row in rows):
        for row in (row for row in rows if row["model"] == name):
            if "failed" in row:
                table.add_row(name, row["system"], row["failed"])
                continue
            table.add_row(
                name,
                row["system"],
                f"{row['ms']:,.3g}" if row["ms"] < 100 else f"{row['ms']:,.0f}",
                f"{row['ratio']:.2f}" if "ratio" in row else "",
                f"{row['cold']:.2f} s",
                f"{row['warm']:.2f} s",
                f"{row['import']:.2f} s",
                f"{row['megabytes']:,.0f}",
                style=None if row.get("agrees", True) else "red",
            )
        table.add_section()
    console.print(table)
    for row in rows:
        if not row.get("agrees", True):
            losses = ", ".join(f"{value:.4f}" for value in row["losses"])
            console.print(f"{row['model']} on {row['system']}: OTHER LOSSES, {losses}")
    for name, best in found["best_peers"].items():
        console.print(f"{name}: {best['ratio']:.2f} x the best peer, {best['peer']}")
    if found["geometric_mean"] is not None:
        console.print(f"geometric mean of these but for empty: {found['geometric_mean']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=(), help="names of models and systems")
    parser.add_argument("--quick", action="store_true", help="a few steps each")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--threads", type=int, default=None, help="for every system")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for a process")
    parser.add_argument("--python", nargs="+", default=(), metavar="SYSTEM=PATH")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        name, system, *rest = json.loads(options.case)
        importlib.import_module(SYSTEMS[system][0])
        print(json.dumps(run_case(name, system, *rest)))
        return
    unknown = set(options.only) - set(MODELS) - set(SYSTEMS)
    if unknown:
        parser.error(f"--only: {', '.join(sorted(unknown))}: no model and no system")
    chosen = dict(each.split("=", 1) for each in options.python)
    compileall.compile_dir(SOURCE, quiet=1)  # as an installation does, and has done for the others
    console = Console(stderr=options.json)
    systems = [each for each in SYSTEMS if each in options.only] or list(SYSTEMS)
    rows: list[dict[str, Any]] = []
    absent = []
    imports: dict[str, float] = {}
    for system in systems:
        python = interpreter(system, chosen)
        if not is_installed(system, python):
            absent.append(system)
            continue
        environment = surroundings(system, tempfile.gettempdir(), options.threads)
        imports[system] = import_seconds(system, python, environment)
        for name in [each for each in MODELS if each in options.only] or MODELS:
            if system == "torch-channels-last" and len(MODELS[name].shape) != 3:
                continue
            console.print(f"{name} on {system}", style="dim")
            row = measure(name, system, python, options)
            rows.append({**row, "import": imports[system]})
    found = {
        "machine": {
            "python": platform.python_version(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        **judge(rows),
        "rows": rows,
        "not_installed": absent,
    }
    if options.json:
        print(json.dumps(found, indent=2))
        return
    show(rows, found, console)
    if absent:
        console.print(f"not installed: {', '.join(absent)}")


if __name__ == "__main__":
    main()

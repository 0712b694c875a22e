"""What `benchmarks/native.py` measures: groups of cases, each a call for every system.

A group is a function of `torch` that yields cases; what it wants to reach stands beside it in
GROUPS, at the end. Shapes are tables.
"""

import functools
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import keras

FLOAT = np.float32


@dataclass(slots=True)
class Case:
    """One thing to measure: a call for each system, and what the definition costs.

    `tolerance` bounds the difference to each peer, relative to the largest value; None where
    results are not compared. `scale` is by what a peer's ratio is multiplied, where it does another
    amount of work. `limit` is a goal in seconds.
    """

    name: str
    calls: dict[str, Callable[[], Any]]
    flops: float = 0
    bytes: float = 0
    tolerance: float | None = 1e-4
    scale: dict[str, float] = field(default_factory=dict)
    limit: float | None = None
    series: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a group wants: the peer's time by ours, on the geometric mean, and in each case.

    Of several peers the better one counts. Without peers a case has a limit of its own.
    """

    peers: tuple[str, ...] = ()
    mean: float | None = None
    least: float | None = None
    text: str = ""

    def __str__(self) -> str:
        parts = [f"mean {self.mean}"] if self.mean is not None else []
        parts += [f"each {self.least}"] if self.least is not None else []
        return self.text or f"{', '.join(parts)} of {' and '.join(self.peers)}"


@dataclass(frozen=True, slots=True)
class Group:
    """Cases, and what they want to reach."""

    title: str
    cases: Callable[[Any], Iterator[Case]]
    goal: Goal


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape, FLOAT)


def compiled(function: Callable, *inputs: Any, **options: Any) -> Callable[[], Any]:
    """A call of a compiled function on tensors that are at hand."""
    traced = tw.function(function, **options)
    tensors = [tw.asarray(each) for each in inputs]
    tw.evaluate(tensors)
    return lambda: traced(*tensors)


def gradients(forward: Callable, count: int) -> Callable:
    """Ours: the derivatives of a function by its first arguments, the last one the cotangent."""

    def body(*args: Any) -> Any:
        *given, dy = args
        return tw.vjp(forward, *given)[1](dy)[:count]

    return body


def torch_gradients(torch: Any, forward: Callable, *arrays: np.ndarray) -> Callable[[], Any]:
    """Theirs: forward and backward by autograd, the last array the cotangent."""
    *leaves, dy = (torch.from_numpy(each) for each in arrays)
    leaves = [each.clone().requires_grad_() for each in leaves]
    return lambda: torch.autograd.grad(forward(*leaves), leaves, dy)


def fastest(*calls: Callable[[], Any]) -> Callable[[], Any]:
    """The call that took the least time in a few trials."""

    def trial(call: Callable[[], Any]) -> float:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    return min(calls, key=lambda call: min(trial(call) for _ in range(5)))


# Products -----------------------------------------------------------------------------------------

SQUARES = (128, 256, 512, 1024, 2048)
PRODUCTS = (
    ("dense 64x784x128", (64, 784), (784, 128), ""),
    ("dense 64x1568x10", (64, 1568), (1568, 10), ""),
    ("dense 256x1024x1024", (256, 1024), (1024, 1024), ""),
    ("dense 1x1024x1024", (1, 1024), (1024, 1024), ""),
    ("dense 8x2048x2048", (8, 2048), (2048, 2048), ""),
    ("classes 128x2048x1000", (128, 2048), (2048, 1000), ""),
    ("logits 1x512x16384", (1, 512), (512, 16384), ""),
    ("tall 65536x27x32", (65536, 27), (27, 32), ""),
    ("tall 16384x64x4", (16384, 64), (64, 4), ""),
    ("low rank 1024x8x1024", (1024, 8), (8, 1024), ""),
    ("lstm gates 32x256x1024", (32, 256), (256, 1024), ""),
    ("transformer 512x768x3072", (512, 768), (768, 3072), ""),
    ("transformer 512x3072x768", (512, 3072), (3072, 768), ""),
    ("scores 32 x 128x64x128, B'", (32, 128, 64), (32, 128, 64), "B"),
    ("values 32 x 128x128x64", (32, 128, 128), (32, 128, 64), ""),
    ("small 512 x 16x16x16", (512, 16, 16), (512, 16, 16), ""),
    ("kernel gradient A' 784x64x128", (64, 784), (64, 128), "A"),
    ("kernel gradient A' 1024x256x1024", (256, 1024), (256, 1024), "A"),
    ("kernel gradient A' 512x8192x512", (8192, 512), (8192, 512), "A"),
    ("input gradient B' 64x128x784", (64, 128), (784, 128), "B"),
    ("input gradient B' 256x1024x1024", (256, 1024), (1024, 1024), "B"),
)
"""Name, both operands as they lie in memory, and the one that is read transposed."""


def matmul(torch: Any) -> Iterator[Case]:
    """Square products."""
    for size in SQUARES:
        yield product(torch, f"{size} x {size} x {size}", (size, size), (size, size))


def network(torch: Any) -> Iterator[Case]:
    """Products as networks have them: skinny, batched, with transposed operands."""
    for each in PRODUCTS:
        yield product(torch, *each)


def product(torch: Any, name: str, lhs: tuple, rhs: tuple, turned: str = "") -> Case:
    """A matrix product; `turned` names the operand that is read transposed."""
    a, b = random(*lhs), random(*rhs, seed=1)
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


# Convolutions -------------------------------------------------------------------------------------

CONVOLUTIONS = (
    ("first 64x28x28x1->16, 3x3", (64, 28, 28, 1), (3, 3), 16, 1, 1),
    ("64x14x14x16->32, 3x3", (64, 14, 14, 16), (3, 3), 32, 1, 1),
    ("64x14x14x6->16, 5x5", (64, 14, 14, 6), (5, 5), 16, 1, 1),
    ("32x32x32x3->32, 3x3", (32, 32, 32, 3), (3, 3), 32, 1, 1),
    ("16x32x32x32->32, 3x3", (16, 32, 32, 32), (3, 3), 32, 1, 1),
    ("16x16x16x64->64, 3x3", (16, 16, 16, 64), (3, 3), 64, 1, 1),
    ("16x16x16x64->128, 3x3 by 2", (16, 16, 16, 64), (3, 3), 128, 2, 1),
    ("8x28x28x128->256, 1x1", (8, 28, 28, 128), (1, 1), 256, 1, 1),
    ("8x14x14x256->256, 3x3", (8, 14, 14, 256), (3, 3), 256, 1, 1),
    ("8x7x7x512->512, 3x3", (8, 7, 7, 512), (3, 3), 512, 1, 1),
    ("4x112x112x3->64, 7x7 by 2", (4, 112, 112, 3), (7, 7), 64, 2, 1),
    ("depthwise 8x56x56x64, 3x3", (8, 56, 56, 64), (3, 3), 64, 1, 64),
    ("depthwise 8x28x28x128, 5x5 by 2", (8, 28, 28, 128), (5, 5), 128, 2, 128),
    ("8 groups 8x28x28x64->64, 3x3", (8, 28, 28, 64), (3, 3), 64, 1, 8),
    ("rank 1 32x1024x32->64, 5", (32, 1024, 32), (5,), 64, 1, 1),
    ("rank 3 2x16x32x32x8->16, 3x3x3", (2, 16, 32, 32, 8), (3, 3, 3), 16, 1, 1),
)
"""Name, input, window, output channels, stride, groups; padding is half the window on all sides."""


def convolutions(torch: Any, wanted: str) -> Iterator[Case]:
    """All shapes of one of y, dx, dw."""
    for name, shape, window, filters, stride, groups in CONVOLUTIONS:
        x, w = random(*shape), random(*window, shape[-1] // groups, filters, seed=1)
        half = window[0] // 2
        places = [(n + 2 * half - k) // stride + 1 for n, k in zip(shape[1:], window, strict=False)]
        dy = random(shape[0], *places, filters, seed=2)
        ours = our_convolution(wanted, ((half, half),) * len(window), stride, groups, x, w, dy)
        layouts = [torch.contiguous_format]
        layouts += {2: [torch.channels_last], 3: [torch.channels_last_3d]}.get(len(window), [])
        theirs = [torch_convolution(torch, wanted, layout, half, stride, groups, x, w, dy)
                  for layout in layouts]  # fmt: skip
        flops = 2 * dy.size * math.prod(w.shape[:-1])
        calls = {"thalweg": ours, "torch": fastest(*theirs)}
        yield Case(name, calls, flops, 4 * (x.size + w.size + dy.size))


def our_convolution(
    wanted: str, padding: Any, stride: int, groups: int, x: np.ndarray, w: np.ndarray, dy: Any
) -> Callable[[], Any]:
    """Our convolution or one of its gradients."""

    def forward(x: Any, w: Any) -> Any:
        return tw.nn.conv(x, w, strides=stride, padding=padding, groups=groups)

    if wanted == "y":
        return compiled(forward, x, w)
    place = ("dx", "dw").index(wanted)
    return compiled(lambda x, w, dy: tw.vjp(forward, x, w)[1](dy)[place], x, w, dy)


def torch_convolution(
    torch: Any, wanted: str, layout: Any, half: int, stride: int, groups: int, *arrays: np.ndarray
) -> Callable[[], Any]:
    """The peer's convolution or gradient in one memory layout; results as ours are laid out."""
    rank = arrays[0].ndim - 2
    images, kernels = (0, rank + 1, *range(1, rank + 1)), (rank + 1, rank, *range(rank))
    back = ((0, *range(2, rank + 2), 1), (*range(2, rank + 2), 1, 0))
    x, w, dy = (
        torch.from_numpy(array).permute(order).contiguous(memory_format=layout)
        for array, order in zip(arrays, (images, kernels, images), strict=True)
    )
    if wanted == "y":
        run = getattr(torch.nn.functional, f"conv{rank}d")
        return lambda: run(x, w, stride=stride, padding=half, groups=groups).permute(back[0])
    place = ("dx", "dw").index(wanted)
    mask = [place == 0, place == 1, False]
    steps, sides, ones, zeros = ([each] * rank for each in (stride, half, 1, 0))
    run = torch.ops.aten.convolution_backward

    def call() -> Any:
        found = run(dy, x, w, None, steps, sides, ones, False, zeros, groups, mask)
        return found[place].permute(back[place])

    return call


# Passes over memory -------------------------------------------------------------------------------

ROWS, COLUMNS = 4096, 4096


def copy_call(x: np.ndarray) -> Callable[[], Any]:
    """A plain copy by as many threads as all systems have, each a part in one piece."""
    y, count = np.empty_like(x), int(os.environ["THALWEG_THREADS"])
    parts = list(zip(np.array_split(x, count), np.array_split(y, count), strict=True))
    if count == 1:
        return lambda: np.copyto(y, x)
    pool = ThreadPoolExecutor(count)
    return lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))


def bandwidth(torch: Any) -> Iterator[Case]:
    """One pass over arrays beyond the caches, beside a plain copy."""
    x, y = random(ROWS, COLUMNS), random(ROWS, COLUMNS, seed=1)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    parts, others = x.reshape(16, -1, 512), a.reshape(16, -1, 512)
    copy, size = copy_call(x), x.nbytes
    table: list[tuple[str, Callable, Sequence[np.ndarray], Callable, float, float]] = [
        ("negate", lambda x: -x, [x], lambda: -a, 2, 0),
        ("add", lambda x, y: x + y, [x, y], lambda: a + b, 3, 1),
        ("relu", tw.nn.relu, [x], lambda: torch.relu(a), 2, 1),
        ("tanh", tw.tanh, [x], lambda: torch.tanh(a), 2, 1),
        ("transpose", lambda x: -x.T, [x], lambda: -a.T.contiguous(), 2, 0),
        ("sum of all", tw.sum, [x], a.sum, 1, 1),
        ("sum of rows", functools.partial(tw.sum, axis=1), [x], lambda: a.sum(1), 1, 1),
        ("sum of columns", functools.partial(tw.sum, axis=0), [x], lambda: a.sum(0), 1, 1),
        ("largest of rows", functools.partial(tw.max, axis=1), [x], lambda: a.amax(1), 1, 1),
        ("mean of the middle", functools.partial(tw.mean, axis=1), [parts],
         lambda: others.mean(1), 1, 1),
        ("variance of rows", functools.partial(tw.var, axis=1), [x],
         lambda: a.var(1, correction=0), 1, 3),
    ]  # fmt: skip
    for name, body, arrays, theirs, passes, flops in table:
        calls = {"thalweg": compiled(body, *arrays), "torch": theirs, "copy": copy}
        yield Case(name, calls, flops * x.size, passes * size, scale={"copy": passes / 2})


def chains(torch: Any) -> Iterator[Case]:
    """Many operations on each element, beyond the caches, beside one kernel for each."""
    arrays = [random(ROWS, COLUMNS, seed=seed) for seed in range(4)]
    arrays[3] = np.abs(arrays[3])
    copy, size = copy_call(arrays[0]), arrays[0].nbytes

    def ten(m: Any, x: Any, y: Any) -> Any:
        z = (x * y + 0.5) * 0.25 - y
        return m.tanh(z * z + x) * 2.0 - z / 3.0

    def swish(m: Any, x: Any, y: Any) -> Any:
        gate = 1.0 / (1.0 + m.exp(-x * 1.702))
        return (x * gate + y) * (1.0 - gate) - y * y

    def adam(m: Any, w: Any, g: Any, first: Any, second: Any) -> Any:
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g * g
        return w - 0.001 * (first * 1.5) / (m.sqrt(second * 1.2) + 1e-7), first, second

    for name, body, count, passes in (
        ("ten operations", ten, 2, 3), ("swish and more", swish, 2, 3), ("adam", adam, 4, 7),
    ):  # fmt: skip
        tensors = [torch.from_numpy(each) for each in arrays[:count]]
        ours = compiled(functools.partial(body, tw), *arrays[:count])
        theirs = functools.partial(body, torch, *tensors)
        calls = {"thalweg": ours, "torch": theirs, "copy": copy}
        yield Case(name, calls, 10 * arrays[0].size, passes * size, scale={"copy": passes / 2})


# Rows ---------------------------------------------------------------------------------------------


def rows(torch: Any) -> Iterator[Case]:
    """Softmax, layer and batch normalisation, forward and with gradients."""
    functional = torch.nn.functional
    for shape in ((64, 10), (1024, 1024), (128, 32000)):
        softmax = tw.nn.softmax, functools.partial(torch.softmax, dim=-1)
        yield from both(torch, f"softmax {shape[0]}x{shape[1]}", *softmax, [random(*shape)])
    for shape in ((512, 768), (8192, 768)):
        ours = functools.partial(tw.nn.layer_norm, epsilon=1e-5)
        theirs = lambda x, g, b, n=shape[1]: functional.layer_norm(x, (n,), g, b)  # noqa: E731
        arrays = [random(*shape), random(shape[1], seed=1), random(shape[1], seed=2)]
        yield from both(torch, f"layer norm {shape[0]}x{shape[1]}", ours, theirs, arrays)
    for shape in ((1024, 256), (64, 28, 28, 32), (16, 56, 56, 64)):
        yield from batch_norm(torch, shape)


def batch_norm(torch: Any, shape: tuple[int, ...]) -> Iterator[Case]:
    """With the moments of the batch; the peer in the faster of its layouts."""
    functional, axes = torch.nn.functional, tuple(range(len(shape) - 1))

    def ours(x: Any, gamma: Any, beta: Any) -> Any:
        mean, variance = tw.nn.moments(x, axes)
        return tw.nn.batch_norm(x, mean, variance, gamma, beta, epsilon=1e-5)

    def theirs(x: Any, gamma: Any, beta: Any) -> Any:
        if x.ndim == 4:
            x = x.permute(0, 3, 1, 2)
        y = functional.batch_norm(x, None, None, gamma, beta, training=True)
        return y.permute(0, 2, 3, 1) if x.ndim == 4 else y

    channels = shape[-1]
    arrays = [random(*shape), random(channels, seed=1), random(channels, seed=2)]
    name = f"batch norm {'x'.join(map(str, shape))}"
    yield from both(torch, name, ours, theirs, arrays)


def both(
    torch: Any, name: str, ours: Callable, theirs: Callable, arrays: Sequence[np.ndarray]
) -> Iterator[Case]:
    """A function forward, and forward with all of its derivatives."""
    tensors = [torch.from_numpy(each) for each in arrays]
    x, dy = arrays[0], random(*arrays[0].shape, seed=9)
    calls = {"thalweg": compiled(ours, *arrays), "torch": lambda: theirs(*tensors)}
    yield Case(name, calls, 8 * x.size, 2 * x.nbytes)
    yield Case(
        f"{name}, gradients",
        {"thalweg": compiled(gradients(ours, len(arrays)), *arrays, dy),
         "torch": torch_gradients(torch, theirs, *arrays, dy)},
        20 * x.size, 5 * x.nbytes, 1e-3,
    )  # fmt: skip


# Attention ----------------------------------------------------------------------------------------

TOKENS, HEADS, WIDTH = (128, 256, 512, 1024, 2048), 8, 64


def attention(torch: Any) -> Iterator[Case]:
    """Eight heads of 64; besides the formula, for information, the peer's fused operation."""
    scale = WIDTH**-0.5
    fused = torch.nn.functional.scaled_dot_product_attention

    def ours(q: Any, k: Any, v: Any) -> Any:
        return tw.nn.softmax(q @ tw.matrix_transpose(k) * scale) @ v

    def theirs(q: Any, k: Any, v: Any) -> Any:
        return torch.softmax(q @ k.transpose(-1, -2) * scale, -1) @ v

    for tokens in TOKENS:
        arrays = [random(1, HEADS, tokens, WIDTH, seed=seed) for seed in range(4)]
        tensors = [torch.from_numpy(each) for each in arrays[:3]]
        flops = 4 * HEADS * tokens * tokens * WIDTH
        calls = {
            "thalweg": compiled(ours, *arrays[:3]),
            "torch": functools.partial(theirs, *tensors),
            "fused": functools.partial(fused, *tensors),
        }
        yield Case(f"{tokens} tokens", calls, flops, 16 * arrays[0].size, 1e-3)
        calls = {
            "thalweg": compiled(gradients(ours, 3), *arrays),
            "torch": torch_gradients(torch, theirs, *arrays),
            "fused": torch_gradients(torch, fused, *arrays),
        }
        yield Case(f"{tokens} tokens, gradients", calls, 3.5 * flops, 32 * arrays[0].size, 1e-3)


# Recurrent layers ---------------------------------------------------------------------------------

RECURRENT = ((32, 64, 256), (8, 128, 128), (64, 32, 512), (1, 256, 256))
"""Samples, steps, width of input and state."""


def recurrent(torch: Any) -> Iterator[Case]:
    """LSTM and GRU layers that return every step, with the same weights."""
    for kind, gates in (("LSTM", 4), ("GRU", 3)):
        for batch, steps, width in RECURRENT:
            layer = getattr(keras.layers, kind)(width, return_sequences=True)
            layer.build((batch, steps, width))
            kernel, inner = random(width, gates * width), random(width, gates * width, seed=1)
            bias = np.zeros(layer.get_weights()[2].shape, FLOAT)
            layer.set_weights([each * FLOAT(width**-0.5) for each in (kernel, inner)] + [bias])
            peer = torch_recurrent(torch, kind, layer.get_weights(), width)
            yield from recurrent_cases(torch, kind, layer, peer, (batch, steps, width), gates)


def torch_recurrent(torch: Any, kind: str, weights: Sequence[np.ndarray], width: int) -> Any:
    """The peer's layer with the weights of ours."""
    peer = getattr(torch.nn, kind)(width, width, batch_first=True)
    # Gates of a GRU stand in another order: reset, update, new.
    order = [1, 0, 2] if kind == "GRU" else [0, 1, 2, 3]
    for name, array in zip(("weight_ih_l0", "weight_hh_l0"), weights, strict=False):
        blocks = np.split(array, len(order), axis=1)
        turned = np.concatenate([blocks[index] for index in order], axis=1).T.copy()
        getattr(peer, name).data.copy_(torch.from_numpy(turned))
    for name in ("bias_ih_l0", "bias_hh_l0"):
        getattr(peer, name).data.zero_()
    return peer


def recurrent_cases(
    torch: Any, kind: str, layer: Any, peer: Any, shape: tuple[int, int, int], gates: int
) -> Iterator[Case]:
    x, dy = random(*shape, seed=2), random(*shape, seed=3)
    a, b = torch.from_numpy(x), torch.from_numpy(dy)
    variables = [each.value for each in layer.trainable_variables]

    def backward(x: Any, dy: Any) -> Any:
        with tw.GradientTape() as tape:
            y = layer(x)
        return tape.gradient(y, [x, *variables], output_gradients=dy)

    def theirs() -> Any:
        leaf = a.clone().requires_grad_()
        return torch.autograd.grad(peer(leaf)[0], [leaf, *peer.parameters()], b)[:1]

    def forward() -> Any:
        with torch.no_grad():
            return peer(a)[0]

    batch, steps, width = shape
    name, flops = f"{kind} {batch}x{steps}x{width}", 4 * batch * steps * gates * width * width
    calls = {"thalweg": compiled(lambda x: layer(x), x), "torch": forward}
    yield Case(name, calls, flops, 0, 1e-3)
    calls = {"thalweg": compiled(backward, x, dy), "torch": theirs}
    yield Case(f"{name}, gradients", calls, 3 * flops, 0, 1e-3)


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
    x = tw.reshape(x, (x.shape[0], params[0].shape[0]))
    for index in range(0, len(params) - 2, 2):
        x = tw.nn.relu(x @ params[index] + params[index + 1])
    return x @ params[-2] + params[-1]


@dataclass(frozen=True, slots=True)
class Network:
    """A network: its function, and the shapes of an input and of its kernels."""

    predict: Callable
    input: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]

    def flops(self, batch: int) -> float:
        """Of a training step: forward, and both gradients but that by the first input."""
        sizes = [math.prod(shape) for shape in self.shapes]
        if self.predict is cnn:
            sizes[0] *= 28 * 28
            sizes[1] *= 14 * 14
        return 2 * batch * (3 * sum(sizes) - sizes[0])


def dense_network(width: int, depth: int) -> Network:
    return Network(mlp, (width,), ((width, width),) * depth + ((width, 10),))


NETWORKS = {
    "CNN": Network(cnn, (28, 28, 1), ((3, 3, 1, 16), (3, 3, 16, 32), (1568, 10))),
    "MLP": Network(mlp, (784,), ((784, 512), (512, 512), (512, 10))),
}


def training_step(predict: Callable, **options: Any) -> Callable:
    """A compiled step of gradient descent with momentum."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        entropy = tw.nn.sparse_categorical_crossentropy
        return tw.mean(entropy(y, predict(params, x), from_logits=True))

    def step(params: Any, momentum: Any, x: Any, y: Any) -> Any:
        value, gradient = tw.value_and_grad(loss)(params, x, y)
        momentum = [0.9 * m + g for m, g in zip(momentum, gradient, strict=True)]
        return [p - 0.03 * m for p, m in zip(params, momentum, strict=True)], momentum, value

    return tw.function(step, **options)


def batch_of(network: Network, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes."""
    classes = np.random.default_rng(9).integers(0, 10, count).astype(np.int32)
    return random(count, *network.input, seed=9), classes


def our_step(network: Network, count: int, **options: Any) -> Callable[[], Any]:
    """A call that makes one step after the other."""
    params = init(network.shapes)
    step = training_step(network.predict, **options)
    inputs = [tw.asarray(each) for each in batch_of(network, count)]
    state = [[tw.asarray(each) for each in params], [tw.zeros(p.shape) for p in params]]
    tw.evaluate(state)

    def call() -> Any:
        *state[:], value = step(*state, *inputs)
        return value

    return call


def torch_step(torch: Any, network: Network, count: int) -> Callable[[], Any]:
    """The same by PyTorch's own layers, loss and optimizer."""
    functional, is_cnn = torch.nn.functional, network.predict is cnn
    tensors = [torch.from_numpy(each.copy()) for each in init(network.shapes)]
    if is_cnn:
        # Kernels as OIHW; the dense kernel takes the channels as the peer flattens them.
        tensors[0], tensors[2] = (tensors[i].permute(3, 2, 0, 1).contiguous() for i in (0, 2))
        dense = tensors[4].reshape(7, 7, 32, 10).permute(2, 0, 1, 3).reshape(1568, 10)
        tensors[4] = dense.contiguous()
    params = [each.requires_grad_() for each in tensors]
    optimizer = torch.optim.SGD(params, lr=0.03, momentum=0.9)
    x, y = batch_of(network, count)
    images = torch.from_numpy(x.transpose(0, 3, 1, 2).copy() if is_cnn else x)
    labels = torch.from_numpy(y.astype(np.int64))

    def predict(x: Any) -> Any:
        if not is_cnn:
            for index in range(0, len(params) - 2, 2):
                x = functional.relu(x @ params[index] + params[index + 1])
            return x @ params[-2] + params[-1]
        for w, b in (params[:2], params[2:4]):
            x = functional.max_pool2d(functional.relu(functional.conv2d(x, w, b, padding=1)), 2)
        return x.flatten(1) @ params[4] + params[5]

    def call() -> Any:
        optimizer.zero_grad()
        value = functional.cross_entropy(predict(images), labels)
        value.backward()
        optimizer.step()
        return value.detach()

    return call


def training(torch: Any) -> Iterator[Case]:
    """Whole training steps, batch 64: forward, loss, gradients, momentum, update."""
    for name, each in NETWORKS.items():
        calls = {"thalweg": our_step(each, 64), "torch": torch_step(torch, each, 64)}
        yield Case(f"{name} step", calls, each.flops(64), 0, 1e-3)


def symbolic(torch: Any) -> Iterator[Case]:
    """A program with a named batch beside the same one for the batch alone."""
    named = {"shapes": {"x": ("b", ...), "y": ("b", ...)}}
    for name, each in NETWORKS.items():
        calls = {"thalweg": our_step(each, 64, **named), "fixed": our_step(each, 64)}
        yield Case(f"{name} step", calls, each.flops(64), 0, 1e-3)
    x, w, k = random(48, 32, 32, 16), random(512, 512), random(3, 3, 16, 32)
    for name, body, x, w in (
        ("dense and tanh", lambda x, w: tw.tanh(x @ w), random(200, 512), w),
        ("convolution", lambda x, w: tw.nn.conv(x, w, padding="same"), x, k),
        ("layer norm", lambda x, w: tw.nn.layer_norm(x, w), random(3000, 512), w[0]),
        ("attention", lambda x, w: tw.nn.softmax(x @ tw.matrix_transpose(x) * w) @ x,
         random(16, 128, 64), np.float32(0.1)),
    ):  # fmt: skip
        ours = compiled(body, x, w, shapes={"x": ("b", ...)})
        yield Case(name, {"thalweg": ours, "fixed": compiled(body, x, w)}, 0, 0)


SCALES = {
    "batch": [(f"batch {n}", 512, 4, n) for n in (16, 64, 256, 1024, 4096)],
    "width": [(f"width {n}", n, 4, 64) for n in (64, 256, 1024, 2048)],
    "depth": [(f"depth {n}", 256, n, 64) for n in (2, 8, 32, 64)],
}
"""Training steps of dense networks: name, width, depth, batch."""


def scaling(torch: Any) -> Iterator[Case]:
    """How the time of a step grows with its work."""
    for series, sizes in SCALES.items():
        for name, width, depth, batch in sizes:
            each = dense_network(width, depth)
            calls = {"thalweg": our_step(each, batch), "torch": torch_step(torch, each, batch)}
            yield Case(name, calls, each.flops(batch), 0, 1e-2, series=series)


# Calls --------------------------------------------------------------------------------------------

STATES = 200


def overhead(torch: Any) -> Iterator[Case]:
    """A compiled function of one small addition, and a step with many arrays as state."""
    x, y = random(8), random(8)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    calls = {"thalweg": compiled(lambda x, y: x + y, x, y), "torch": lambda: a + b,
             "numpy": lambda: x + y}  # fmt: skip
    yield Case("add of 8 numbers", calls, 8, 96, limit=5e-6)
    arrays = [random(64, seed=seed) for seed in range(STATES)]
    variables = [tw.Variable(each) for each in arrays]
    tensors = [torch.from_numpy(each) for each in arrays]

    @tw.function
    def step(rate: Any) -> None:
        for variable in variables:
            variable.assign(variable.value * rate)

    rate = tw.asarray(FLOAT(0.9999))
    calls = {"thalweg": lambda: step(rate), "torch": lambda: torch._foreach_mul_(tensors, 0.9999)}
    limit = 60e-6 + tw.profile(step, rate).seconds
    yield Case(f"step with {STATES} arrays", calls, STATES * 64, STATES * 512, None, limit=limit)


BEST = ("torch", "numpy")
GROUPS = {
    "matmul": Group("float32 products, square", matmul, Goal(BEST, 1.0, 0.8)),
    "network": Group("products as networks have them", network, Goal(BEST, 1.0, 0.8)),
    "conv": Group("convolution", functools.partial(convolutions, wanted="y"),
                  Goal(("torch",), 1.3, 0.8)),
    "conv_dx": Group("convolution, input gradient", functools.partial(convolutions, wanted="dx"),
                     Goal(("torch",), 1.3, 0.8)),
    "conv_dw": Group("convolution, kernel gradient", functools.partial(convolutions, wanted="dw"),
                     Goal(("torch",), 1.3, 0.8)),
    "bandwidth": Group("one pass over memory", bandwidth, Goal(("copy",), None, 0.9)),
    "chains": Group("chains over memory", chains, Goal(("torch",), None, 4.0)),
    "rows": Group("softmax, normalisations", rows, Goal(("torch",), 1.5)),
    "attention": Group("attention", attention, Goal(("torch",), 1.5)),
    "recurrent": Group("LSTM and GRU layers", recurrent, Goal(("torch",), 1.0)),
    "training": Group("training steps", training, Goal(("torch",), 1.0)),
    "symbolic": Group("a named batch", symbolic, Goal(("fixed",), 0.95)),
    "scaling": Group("time by work", scaling, Goal(("smallest",), None, 0.8)),
    "overhead": Group("calls", overhead, Goal(text="5 µs; 60 µs on top of the kernels")),
}  # fmt: skip
"""By the name that `--only` takes."""

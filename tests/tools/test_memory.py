"""memory: what a function takes is known before it runs, and is what the process takes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.backends.llvm import threads
from thalweg.base.errors import ArgumentTypeError

ROOT = Path(__file__).parents[2]
SYSTEMS = Path("/proc/self/clear_refs")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("THALWEG_THREADS", "1")


def test_parts_are_told_apart():
    weight = tw.Variable(np.ones((300, 200), np.float32))
    fixed = tw.Variable(np.ones((200,), np.float32))

    @tw.function
    def step(x):
        y = tw.exp(x @ weight.value) + fixed.value
        weight.assign(weight.value * tw.mean(y))
        return tw.sort(tw.linalg.inv(y[:, :50]), axis=1)

    found = tw.memory(step, tw.zeros((50, 300)))
    assert found.arguments == 4 * (50 * 300 + 200), "the weight that is assigned is a result"
    assert found.results >= 2 * 4 * 300 * 200 and found.between > 0
    assert found.definitions >= 4 * 50 * 50, "the inverse"
    assert found.peak == sum((found.arguments, found.results, found.between, found.scratch,
                              found.loops, found.definitions))  # fmt: skip
    assert np.array_equal(weight.numpy(), np.ones((300, 200))), "nothing was run"
    text = str(found)
    assert text.startswith("step, at its peak") and "results, two sets" in text
    assert "test_memory.py" in text and found.largest[0].bytes >= found.largest[-1].bytes


def test_a_batch_that_there_is_no_room_for_can_be_asked_for():
    f = tw.function(lambda x: tw.sum(tw.exp(x) @ tw.matrix_transpose(x)), shapes={"x": ("b", 8)})
    sizes = [tw.memory(f, tw.zeros((count, 8))).peak for count in (1000, 100_000, 10_000_000)]
    assert sizes[0] < sizes[1] < sizes[2] and sizes[2] > 4e14
    assert len(f.variants) == 1


def test_a_scan_takes_what_its_body_and_its_steps_take():
    def scanned(x):
        return tw.scan(lambda h, x: (tw.tanh(h @ x), tw.sum(h)), tw.zeros((40, 40)), x)

    short, long = (tw.memory(tw.function(scanned), tw.zeros((n, 40, 40))) for n in (3, 300))
    assert short.between >= 4 * 40 * 40 and short.loops == 0
    assert long.between == short.between
    assert long.results - short.results >= 2 * 4 * 256


def test_a_loop_that_goes_step_by_step_takes_what_its_steps_take():
    def scanned(x):
        return tw.scan(lambda h, x: (tw.linalg.inv(h + x), tw.sum(h)), tw.eye(40), x)

    found = tw.memory(tw.function(scanned), tw.zeros((3, 40, 40)))
    assert found.loops >= 2 * 4 * 40 * 40


def test_other_sizes_keep_their_memory():
    f = tw.function(lambda x: tw.sin(tw.sort(tw.exp(x))), shapes={"x": ("b",)})
    tw.set_options(backend="native")
    try:
        f(tw.ones((50_000,)))
        f(tw.ones((10,)))
    finally:
        tw.set_options(backend="auto")
    assert tw.memory(f, tw.zeros((10,))).other_sizes >= 4 * 50_000
    assert tw.memory(f, tw.zeros((50_000,))).other_sizes < 4 * 50_000


def test_each_thread_has_memory_of_its_own(monkeypatch):
    f = tw.function(lambda x, w: x @ w)
    given = tw.zeros((512, 512)), tw.zeros((512, 512))
    one = tw.memory(f, *given)
    monkeypatch.setattr(threads, "count", lambda: 4)
    assert tw.memory(f, *given).scratch == 4 * one.scratch > 0


def test_only_traced_functions_have_a_plan():
    with pytest.raises(ArgumentTypeError, match="Decorate it with @function"):
        tw.memory(lambda x: x, 1)


# What the process takes ---------------------------------------------------------------------------

SCRIPT = """
import sys
import numpy as np
import thalweg as tw

tw.set_options(backend="native")
random = np.random.default_rng(0)

def variables(*shapes):
    return [tw.Variable(0.05 * random.standard_normal(shape).astype(np.float32))
            for shape in shapes]

def cnn(p, x):
    for i in (0, 2, 4):
        x = tw.nn.max_pool(tw.nn.relu(tw.nn.conv(x, p[i], padding="same") + p[i + 1]), 2)
    return tw.reshape(x, (x.shape[0], 1024)) @ p[6] + p[7]

def norm(x):
    x = x - tw.mean(x, axis=-1, keepdims=True)
    return x * tw.rsqrt(tw.mean(x * x, axis=-1, keepdims=True) + 1e-5)

def transformer(p, tokens):
    x = tw.take(p[0], tokens, axis=0)
    b, t, d = x.shape
    for i in range(1, 9, 4):
        h = tw.reshape(norm(x) @ p[i], (b, t, 3, 4, 64))
        q, k, v = (each for each in tw.permute_dims(h, (2, 0, 3, 1, 4)))
        a = tw.nn.softmax(q @ tw.matrix_transpose(k) * 0.125) @ v
        x = x + tw.reshape(tw.permute_dims(a, (0, 2, 1, 3)), (b, t, d)) @ p[i + 1]
        x = x + tw.nn.gelu(norm(x) @ p[i + 2]) @ p[i + 3]
    return norm(x) @ p[-1]

if sys.argv[1] == "cnn":
    model, batch = cnn, 512
    shapes = [(3, 3, 3, 32), (32,), (3, 3, 32, 64), (64,), (3, 3, 64, 64), (64,), (1024, 10), (10,)]
    x = lambda b: random.standard_normal((b, 32, 32, 3)).astype(np.float32)
    y = lambda b: random.integers(0, 10, b)
else:
    model, batch = transformer, 32
    layer = [(256, 768), (256, 256), (256, 1024), (1024, 256)]
    shapes = [(512, 256), *layer, *layer, (256, 512)]
    x = y = lambda b: random.integers(0, 512, (b, 128)).astype(np.int32)

weights = variables(*shapes)
momenta = variables(*shapes)

@tw.function(shapes={"x": ("b", ...), "y": ("b", ...)})
def step(x, y):
    def loss(p):
        logits = model(p, x)
        return tw.mean(tw.nn.sparse_categorical_crossentropy(y, logits, from_logits=True))
    value, slopes = tw.value_and_grad(loss)([each.value for each in weights])
    for weight, momentum, slope in zip(weights, momenta, slopes):
        momentum.assign(0.9 * momentum.value + slope)
        weight.assign(weight.value - 0.01 * momentum.value)
    return value

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))

step(x(1), y(1))
step(x(1), y(1))
given = x(batch), y(batch)
planned = tw.memory(step, tw.zeros(given[0].shape, dtype=given[0].dtype.name),
                    tw.zeros(given[1].shape, dtype=given[1].dtype.name))
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = status("VmRSS")
for _ in range(3):
    step(*given)
print(planned.peak - planned.other_sizes, status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not SYSTEMS.exists(), reason="no /proc to read the high-water mark from")
@pytest.mark.parametrize("model", ["cnn", "transformer"])
def test_the_plan_is_what_the_process_takes(model):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "THALWEG_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    planned, taken = map(int, done.stdout.split())
    assert planned > 200e6, "some hundred MB"
    assert abs(planned - taken) <= 0.1 * taken, (planned, taken)


def test_what_does_not_fit_says_how_much_was_wanted():
    f = tw.function(lambda x: tw.sum(tw.exp(x) @ tw.matrix_transpose(x)))
    f.backend = "native"
    x = tw.zeros((4_000_000, 1))
    wanted = tw.memory(f, x).between
    with pytest.raises(MemoryError, match=f"{wanted / 2**20:,.0f} MiB for the values between"):
        f(x)

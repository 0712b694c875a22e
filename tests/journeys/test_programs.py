"""Programs as users write them, from the public functions alone, each held to a figure.

Where PyTorch is installed it trains the same network from the same parameters, and the losses of
all steps must agree; elsewhere the result is known in closed form or by plain NumPy.

Letters in shapes: B batch, T time, C channels, H heads, D features.
"""

import math
import signal
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw

STEPS = 20
TEXT = Path(__file__).parents[2] / "docs" / "journey.md"


@pytest.fixture(scope="module")
def torch():
    """PyTorch, or the test is skipped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("torch")
        # Its optimizers import a compiler when they are first stepped, which takes seconds.
        weight = module.zeros((), requires_grad=True)
        train_torch(module.optim.Adam([weight]), [weight * 1])
    # One thread: two libraries that both spin on few cores wait for each other.
    threads = module.get_num_threads()
    module.set_num_threads(1)
    yield module
    module.set_num_threads(threads)


def normal(seed, **shapes):
    """Small random float32 arrays by name."""
    random = np.random.default_rng(seed)
    return {
        name: (random.normal(size=shape) * 0.3).astype(np.float32) for name, shape in shapes.items()
    }


def descend(params, gradient, rate):
    """One step of gradient descent on nested parameters."""
    return tw.map_leaves(lambda p, g: p - rate * g, params, gradient)


def train_torch(optimizer, losses):
    """The loss before each step; `losses` yields scalars made from the parameters."""
    values = []
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return values


def agree(got, expected):
    """Losses equal to float32 accuracy, and falling."""
    np.testing.assert_allclose(got, expected, rtol=2e-5)
    assert len(got) == STEPS and got[-1] < got[0]


# Networks -----------------------------------------------------------------------------------------


def test_adam_over_nested_parameters_trains_as_torch_does(torch):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(64, 8)).astype(np.float32), random.integers(0, 3, 64)
    layers = [normal(i, w=(a, b), b=(b,)) for i, (a, b) in enumerate([(8, 16), (16, 16), (16, 3)])]

    def predict(layers, x):
        for layer in layers[:-1]:
            x = tw.nn.gelu(x @ layer["w"] + layer["b"])
        return x @ layers[-1]["w"] + layers[-1]["b"]

    def loss(layers, x, y):
        entropy = tw.nn.sparse_categorical_crossentropy(y, predict(layers, x), from_logits=True)
        return tw.mean(entropy)

    @tw.function
    def step(state, x, y):
        value, gradient = tw.value_and_grad(loss)(state["layers"], x, y)
        count = state["count"] + 1
        first = tw.map_leaves(lambda m, g: 0.9 * m + 0.1 * g, state["first"], gradient)
        second = tw.map_leaves(lambda v, g: 0.999 * v + 0.001 * g * g, state["second"], gradient)

        def move(p, m, v):
            return p - 0.01 * (m / (1 - 0.9**count)) / (tw.sqrt(v / (1 - 0.999**count)) + 1e-8)

        layers = tw.map_leaves(move, state["layers"], first, second)
        return {"layers": layers, "first": first, "second": second, "count": count}, value

    zeros = tw.map_leaves(tw.zeros_like, layers)
    state = {"layers": layers, "first": zeros, "second": zeros, "count": tw.asarray(0)}
    got = []
    for _ in range(STEPS):
        state, value = step(state, x, y)
        got.append(float(value))

    twins = tw.map_leaves(lambda p: torch.tensor(p, requires_grad=True), layers)

    def losses():
        for _ in range(STEPS):
            h = torch.tensor(x)
            for layer in twins[:-1]:
                h = torch.nn.functional.gelu(h @ layer["w"] + layer["b"])
            h = h @ twins[-1]["w"] + twins[-1]["b"]
            yield torch.nn.functional.cross_entropy(h, torch.tensor(y))

    optimizer = torch.optim.Adam(tw.flatten_leaves(twins)[0], lr=0.01)
    agree(got, train_torch(optimizer, losses()))
    assert int(state["count"]) == STEPS
    assert step.why == ["the first call"]


def test_a_small_language_model_trains_as_torch_does(torch):
    B, T, C, H = 8, 16, 16, 2
    text = TEXT.read_text(encoding="utf-8")[:2000]
    letters = sorted(set(text))
    codes = np.array([letters.index(letter) for letter in text])
    params = normal(1, tokens=(len(letters), C), places=(T, C), head=(C, len(letters)))
    for block in range(2):
        params[f"block{block}"] = normal(block, qkv=(C, 3 * C), out=(C, C)) | {
            "up": normal(block, w=(C, 4 * C))["w"],
            "down": normal(block, w=(4 * C, C))["w"],
            "gamma": np.ones(C, np.float32),
        }

    def attend(x, block):
        """(B, T, C) -> (B, T, C); each place looks at itself and what came before."""
        batch, length, _ = x.shape
        parts = tw.split(x @ block["qkv"], 3, axis=-1)
        q, k, v = (p.reshape(batch, length, H, C // H).transpose(0, 2, 1, 3) for p in parts)
        scores = q @ tw.matrix_transpose(k) / math.sqrt(C // H)  # (B, H, T, T)
        seen = tw.tril(tw.ones((length, length), dtype="bool"))
        mixed = tw.nn.softmax(tw.where(seen, scores, -tw.inf)) @ v
        return mixed.transpose(0, 2, 1, 3).reshape(batch, length, C) @ block["out"]

    def predict(params, x):
        x = tw.take(params["tokens"], x, axis=0) + params["places"]
        for name in ("block0", "block1"):
            block = params[name]
            x = x + attend(tw.nn.layer_norm(x, block["gamma"], epsilon=1e-5), block)
            x = x + tw.nn.gelu(tw.nn.layer_norm(x, epsilon=1e-5) @ block["up"]) @ block["down"]
        return x @ params["head"]

    def loss(params, x, y):
        logits = predict(params, x)
        return tw.mean(tw.nn.sparse_categorical_crossentropy(y, logits, from_logits=True))

    @tw.function
    def step(params, x, y):
        value, gradient = tw.value_and_grad(loss)(params, x, y)
        return descend(params, gradient, 0.1), value

    functional = torch.nn.functional

    def predict_torch(params, x):
        x = params["tokens"][x] + params["places"]
        for name in ("block0", "block1"):
            block = params[name]
            normed = functional.layer_norm(x, (C,), block["gamma"])
            parts = (normed @ block["qkv"]).split(C, -1)
            q, k, v = (p.reshape(B, T, H, C // H).transpose(1, 2) for p in parts)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + mixed.transpose(1, 2).reshape(B, T, C) @ block["out"]
            x = x + functional.gelu(functional.layer_norm(x, (C,)) @ block["up"]) @ block["down"]
        return x @ params["head"]

    starts = np.random.default_rng(2).integers(0, len(codes) - T - 1, (STEPS, B))
    windows = starts[..., None] + np.arange(T)
    twins = tw.map_leaves(lambda p: torch.tensor(p, requires_grad=True), params)
    got = []
    for window in windows:
        params, value = step(params, codes[window], codes[window + 1])
        got.append(float(value))

    def losses():
        for window in windows:
            logits = predict_torch(twins, torch.tensor(codes[window])).flatten(0, 1)
            yield functional.cross_entropy(logits, torch.tensor(codes[window + 1]).flatten())

    optimizer = torch.optim.SGD(tw.flatten_leaves(twins)[0], lr=0.1)
    agree(got, train_torch(optimizer, losses()))


def test_an_lstm_by_scan_trains_as_torch_does(torch):
    T, B, D, units = 12, 4, 3, 8
    params = normal(0, wx=(4 * units, D), wh=(4 * units, units), b=(4 * units,), out=(units,))
    x = normal(1, x=(T, B, D))["x"]
    y = x.sum((0, 2))

    def predict(params, x):
        def cell(carry, x):
            h, memory = carry
            gates = x @ params["wx"].T + h @ params["wh"].T + params["b"]
            i, f, g, o = tw.split(gates, 4, axis=-1)
            memory = tw.sigmoid(f) * memory + tw.sigmoid(i) * tw.tanh(g)
            return (tw.sigmoid(o) * tw.tanh(memory), memory), None

        zeros = tw.zeros((x.shape[1], units))
        (h, _), _ = tw.scan(cell, (zeros, zeros), x)
        return h @ params["out"]

    @tw.function
    def step(params, x, y):
        loss = tw.value_and_grad(lambda params: tw.mean((predict(params, x) - y) ** 2))
        value, gradient = loss(params)
        return descend(params, gradient, 0.1), value

    lstm = torch.nn.LSTM(D, units)
    out = torch.tensor(params["out"], requires_grad=True)
    names = {"weight_ih_l0": "wx", "weight_hh_l0": "wh", "bias_ih_l0": "b"}
    weights = {name: torch.tensor(params[ours]) for name, ours in names.items()}
    lstm.load_state_dict(weights | {"bias_hh_l0": torch.zeros(4 * units)})
    lstm.bias_hh_l0.requires_grad = False
    got = []
    for _ in range(STEPS):
        params, value = step(params, x, y)
        got.append(float(value))

    def losses():
        for _ in range(STEPS):
            last = lstm(torch.tensor(x))[1][0][0]
            yield torch.mean((last @ out - torch.tensor(y)) ** 2)

    trained = [p for p in lstm.parameters() if p.requires_grad]
    agree(got, train_torch(torch.optim.SGD([*trained, out], lr=0.1), losses()))


def test_batch_norm_in_variables_trains_as_torch_does(torch):
    random = np.random.default_rng(0)
    x = random.normal(size=(32, 4)).astype(np.float32) * 3 + 1
    y = x[:, :1] * 0.5
    first, last = (tw.Variable(value) for value in normal(0, first=(4, 8), last=(8, 1)).values())
    gamma, beta = tw.Variable(tw.ones(8)), tw.Variable(tw.zeros(8))
    mean = tw.Variable(tw.zeros(8), trainable=False)
    variance = tw.Variable(tw.ones(8), trainable=False)
    sources = [first, last, gamma, beta]
    twins = [torch.tensor(v.numpy().copy(), requires_grad=True) for v in (first, last)]

    @tw.function(static=["training"])
    def predict(x, training):
        h = x @ first
        now, spread = mean, variance
        if training:
            now, spread = tw.nn.moments(h, axes=0)
            size = tw.size(x.shape[0])
            mean.assign(0.9 * mean + 0.1 * now)
            variance.assign(0.9 * variance + 0.1 * spread * size / (size - 1))
        return tw.nn.relu(tw.nn.batch_norm(h, now, spread, gamma, beta, epsilon=1e-5)) @ last

    @tw.function
    def step(x, y):
        with tw.GradientTape() as tape:
            loss = tw.mean((predict(x, training=True) - y) ** 2)
        for variable, slope in zip(sources, tape.gradient(loss, sources), strict=True):
            variable.assign_sub(0.05 * slope)
        return loss

    # The last batch of an epoch is smaller.
    batches = [x, x[:13]] * (STEPS // 2)
    got = [float(step(batch, y[: len(batch)])) for batch in batches]
    norm = torch.nn.BatchNorm1d(8)

    def predict_torch(x):
        return norm(torch.tensor(x) @ twins[0]).relu() @ twins[1]

    def losses():
        for batch in batches:
            yield torch.mean((predict_torch(batch) - torch.tensor(y[: len(batch)])) ** 2)

    optimizer = torch.optim.SGD([*twins, *norm.parameters()], lr=0.05)
    agree(got, train_torch(optimizer, losses()))
    np.testing.assert_allclose(mean.numpy(), norm.running_mean.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance.numpy(), norm.running_var.numpy(), rtol=1e-4)
    norm.eval()
    served = predict_torch(x).detach().numpy()
    np.testing.assert_allclose(predict(x, training=False).numpy(), served, rtol=1e-4, atol=1e-5)
    assert step.why == ["the first call", "x axis 0 was 32, is 13; y axis 0 was 32, is 13"]


def test_an_autoencoder_with_random_keys_trains_as_torch_does(torch):
    D, codes, hidden = 20, 2, 16
    random = np.random.default_rng(0)
    mix = random.normal(size=(codes, D))
    x = (1 / (1 + np.exp(-random.normal(size=(128, codes)) @ mix))).astype(np.float32)
    params = normal(
        3, into=(D, hidden), mean=(hidden, codes), log=(hidden, codes), up=(codes, hidden),
        out=(hidden, D),
    )  # fmt: skip
    twins = tw.map_leaves(lambda p: torch.tensor(p, requires_grad=True), params)

    def loss(params, x, noise):
        h = tw.tanh(x @ params["into"])
        mean, log = h @ params["mean"], h @ params["log"]
        logits = tw.tanh((mean + tw.exp(log / 2) * noise) @ params["up"]) @ params["out"]
        misfit = tw.nn.binary_crossentropy(x, logits, from_logits=True)
        distance = -0.5 * (1 + log - mean**2 - tw.exp(log))
        return tw.mean(tw.sum(misfit, axis=-1) + tw.sum(distance, axis=-1))

    @tw.function
    def step(params, x, key):
        noise = tw.random.normal((x.shape[0], codes), key=key)
        value, gradient = tw.value_and_grad(loss)(params, x, noise)
        return descend(params, gradient, 0.05), value, noise

    got, noises = [], []
    for key in tw.random.split(tw.random.key(0), STEPS):
        params, value, noise = step(params, x, key)
        got.append(float(value))
        noises.append(noise.numpy())
    assert len({noise.tobytes() for noise in noises}) == STEPS

    def losses():
        for noise in noises:
            h = torch.tanh(torch.tensor(x) @ twins["into"])
            mean, log = h @ twins["mean"], h @ twins["log"]
            logits = torch.tanh((mean + (log / 2).exp() * torch.tensor(noise)) @ twins["up"])
            misfit = torch.nn.functional.binary_cross_entropy_with_logits(
                logits @ twins["out"], torch.tensor(x), reduction="none"
            )
            distance = -0.5 * (1 + log - mean**2 - log.exp())
            yield torch.mean(misfit.sum(-1) + distance.sum(-1))

    agree(got, train_torch(torch.optim.SGD(twins.values(), lr=0.05), losses()))


def test_learning_to_learn_has_torchs_second_derivatives(torch):
    random = np.random.default_rng(0)
    params = {name: random.normal(size=8) for name in ("w", "b", "out")}
    x, far_x = random.uniform(-2, 2, (2, 4, 10))
    phases = random.uniform(0, 3, (4, 1))
    y, far_y = np.sin(x + phases), np.sin(far_x + phases)

    def loss(params, x, y):
        guess = tw.tanh(x[:, None] * params["w"] + params["b"]) @ params["out"]
        return tw.mean((guess - y) ** 2)

    def after_one_step(params, x, y, far_x, far_y):
        return loss(descend(params, tw.grad(loss)(params, x, y), 0.1), far_x, far_y)

    @tw.function
    def meta(params):
        tasks = tw.vmap(after_one_step, in_axes=(None, 0, 0, 0, 0))
        return tw.value_and_grad(lambda p: tw.mean(tasks(p, x, y, far_x, far_y)))(params)

    def loss_torch(params, x, y):
        guess = torch.tanh(x[:, None] * params["w"] + params["b"]) @ params["out"]
        return torch.mean((guess - y) ** 2)

    twins = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    total = 0
    for task in zip(*(torch.tensor(each) for each in (x, y, far_x, far_y)), strict=True):
        inner = loss_torch(twins, *task[:2])
        slopes = torch.autograd.grad(inner, twins.values(), create_graph=True)
        moved = {k: p - 0.1 * g for (k, p), g in zip(twins.items(), slopes, strict=True)}
        total = total + loss_torch(moved, *task[2:]) / 4
    total.backward()
    value, gradient = meta(params)
    assert float(value) == pytest.approx(total.item(), rel=1e-12)
    for name, twin in twins.items():
        np.testing.assert_allclose(gradient[name].numpy(), twin.grad.numpy(), rtol=1e-9)


def test_mixed_precision_learns_and_keeps_float32_parameters():
    x = normal(0, x=(64, 8))["x"] * 3
    y = x.sum(1)
    for dtype in ("float16", "bfloat16"):

        def loss(w, dtype=dtype):
            guess = tw.astype(x, dtype) @ tw.astype(w, dtype)
            return tw.mean((guess.astype("float32") - y) ** 2) * 1024  # scaled against underflow

        slope = tw.function(tw.grad(loss))
        w = tw.zeros(8)
        for _ in range(60):
            w = w - 0.1 / 1024 * slope(w)
        assert w.dtype == "float32"
        np.testing.assert_allclose(w.numpy(), np.ones(8), atol=0.02)


def test_gradients_of_each_example_equal_the_closed_form():
    random = np.random.default_rng(0)
    w, x = (random.normal(size=shape) for shape in ((3, 4), (10, 4)))
    y = random.integers(0, 3, 10)

    def loss(w, x, y):
        return tw.nn.sparse_categorical_crossentropy(y, w @ x, from_logits=True)

    each = tw.vmap(tw.grad(loss), in_axes=(None, 0, 0))(w, x, y)
    shares = np.exp(x @ w.T)
    shares /= shares.sum(1, keepdims=True)
    expected = (shares - np.eye(3)[y])[:, :, None] * x[:, None]
    np.testing.assert_allclose(each.numpy(), expected, rtol=1e-12, atol=1e-15)
    # Clipped to length 1, as private training wants them.
    clipped = tw.vmap(lambda g: g / tw.maximum(1.0, tw.linalg.norm(g)))(each)
    lengths = np.linalg.norm(clipped.numpy().reshape(10, -1), axis=1)
    assert lengths.max() == pytest.approx(1) and lengths.min() < 1


# Science ------------------------------------------------------------------------------------------


def test_a_gaussian_process_learns_its_noise():
    random = np.random.default_rng(0)
    x = np.sort(random.uniform(-3, 3, 40))
    y = np.sin(2 * x) + 0.1 * random.normal(size=40)
    far = (x[:, None] - x) ** 2

    def covariance(xp, logs):
        length, height, noise = xp.exp(logs)
        return height**2 * xp.exp(-far / (2 * length**2)) + noise**2 * xp.eye(40, dtype=xp.float64)

    def negative_log_likelihood(logs):
        factor = tw.linalg.cholesky(covariance(tw, logs))
        white = tw.linalg.triangular_solve(factor, y[:, None])
        half = tw.sum(tw.log(tw.linalg.diagonal(factor))) + 20 * math.log(2 * math.pi)
        return tw.sum(white**2) / 2 + half

    step = tw.function(tw.value_and_grad(negative_log_likelihood))
    logs = tw.zeros(3, dtype="float64")
    for round in range(150):
        value, slope = step(logs)
        if round == 0:
            k = covariance(np, np.zeros(3))
            log = 0.5 * (y @ np.linalg.solve(k, y) + np.linalg.slogdet(2 * np.pi * k)[1])
            assert float(value) == pytest.approx(log, rel=1e-12)
            # The derivative by log noise: tr(K^-1) - |K^-1 y|^2 where K grows by 2 I.
            pull = np.trace(np.linalg.inv(k)) - np.sum(np.linalg.solve(k, y) ** 2)
            assert float(slope[2]) == pytest.approx(pull, rel=1e-10)
        logs = logs - 0.01 * slope
    assert float(value) < -8.5
    assert float(tw.exp(logs[2])) == pytest.approx(0.1, abs=0.02)


def test_a_kalman_filter_by_scan_and_its_derivative():
    move, look = np.array([[1, 0.1], [0, 1]]), np.array([[1.0, 0]])
    record = np.cumsum(np.random.default_rng(0).normal(size=(50, 1)) * 0.3, axis=0)

    def advance(xp, x, spread, seen, drift):
        x, spread = move @ x, move @ spread @ move.T + drift * xp.eye(2, dtype=xp.float64)
        doubt = look @ spread @ look.T + 0.1
        gain = xp.linalg.solve(doubt, look @ spread).T
        return x + gain @ (seen - look @ x), spread - gain @ look @ spread

    @tw.function
    def misfit(drift):
        def body(carry, seen):
            carry = advance(tw, *carry, seen, drift)
            return carry, carry[0][0]

        start = tw.zeros(2, dtype="float64"), tw.eye(2, dtype="float64")
        return tw.mean((tw.scan(body, start, record)[1] - record[:, 0]) ** 2)

    def by_numpy(drift):
        x, spread, places = np.zeros(2), np.eye(2), []
        for seen in record:
            x, spread = advance(np, x, spread, seen, drift)
            places.append(x[0])
        return np.mean((np.array(places) - record[:, 0]) ** 2)

    drift = tw.asarray(0.01, dtype="float64")
    assert float(misfit(drift)) == pytest.approx(by_numpy(0.01), rel=1e-12)
    slope = (by_numpy(0.01 + 1e-6) - by_numpy(0.01 - 1e-6)) / 2e-6
    assert float(tw.grad(misfit)(drift)) == pytest.approx(slope, rel=1e-7)


def test_the_derivative_of_a_fixed_point():
    @tw.custom_gradient
    def fixed_point(a):
        """The x with x = cos(a x), by iteration; its derivative from the equation alone."""
        start = tw.asarray((0.5, 9.0), dtype="float64")
        x, _ = tw.while_loop(
            lambda x, last: tw.abs(x - last) > 1e-14,
            lambda x, last: (tw.cos(a * x), x),
            tuple(start),
        )
        sine = tw.sin(a * x)
        return x, lambda dy: dy * -sine * x / (1 + a * sine)

    a = tw.asarray(0.8, dtype="float64")
    x = float(fixed_point(a))
    assert x == pytest.approx(math.cos(0.8 * x), abs=1e-13)
    slope = (float(fixed_point(a + 1e-5)) - float(fixed_point(a - 1e-5))) / 2e-5
    assert float(tw.grad(fixed_point)(a)) == pytest.approx(slope, rel=1e-8)
    batch = tw.vmap(tw.grad(fixed_point))(tw.stack([a, a / 2]))
    assert float(batch[0]) == float(tw.grad(fixed_point)(a))


def test_clusters_and_principal_axes():
    random = np.random.default_rng(0)
    places = np.array([[0, 0, 0], [3, 0, 1], [0, 3, 1]])
    x = np.concatenate([random.normal(size=(50, 3)) * 0.1 + place for place in places])

    @tw.function
    def move(centres, x):
        far = tw.sum((x[:, None] - centres) ** 2, axis=-1)  # (N, 3)
        nearest = tw.argmin(far, axis=1)
        count = tw.segment_sum(tw.ones_like(x[:, 0]), nearest, 3)
        return tw.segment_sum(x, nearest, 3) / count[:, None], nearest

    centres = tw.asarray(x[[0, 60, 120]])
    for _ in range(3):
        centres, nearest = move(centres, x)
    expected = x.reshape(3, 50, 3).mean(1)
    np.testing.assert_allclose(centres.numpy(), expected, rtol=1e-12)
    assert tw.unique_counts(nearest).counts.tolist() == [50, 50, 50]

    centred = x - tw.mean(x, axis=0)
    u, s, vh = tw.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose((s**2 / 149).numpy(), np.linalg.eigvalsh(np.cov(x.T))[::-1])
    rest = centred - (u[:, :2] * s[:2]) @ vh[:2]
    assert float(tw.linalg.norm(rest)) == pytest.approx(float(s[2]), rel=1e-10)


def test_a_fall_until_the_ground_and_stars_that_keep_their_energy():
    @tw.function
    def fall(height, dt):
        def body(height, speed, time):
            return height + speed * dt - 9.81 / 2 * dt**2, speed - 9.81 * dt, time + dt

        zero = tw.zeros_like(height)
        return tw.while_loop(lambda height, *_: height > 0, body, (height, zero, zero))

    height, dt = (tw.asarray(value, dtype="float64") for value in (20.0, 1e-2))
    _, speed, time = fall(height, dt)
    assert float(time) == pytest.approx(math.sqrt(40 / 9.81), abs=1e-2)
    assert float(speed) == pytest.approx(-9.81 * float(time), rel=1e-12)

    def energy(x, v):
        far = tw.sqrt(tw.sum((x[:, None] - x) ** 2, axis=-1) + 0.01)
        return tw.sum(v * v) / 2 - tw.sum(1 / far) / 2

    # Leapfrog; the force is what the energy's derivative says.
    x = tw.asarray(np.random.default_rng(0).normal(size=(10, 3)))
    v = tw.zeros_like(x)
    force = tw.function(lambda x, v: -tw.grad(energy)(x, v))
    before = float(energy(x, v))
    for _ in range(100):
        v = v + 0.0005 * force(x, v)
        x = x + 0.001 * v
        v = v + 0.0005 * force(x, v)
    assert float(energy(x, v)) == pytest.approx(before, rel=1e-4)
    assert float(tw.max(tw.abs(tw.sum(v, axis=0)))) < 1e-12


# Data ---------------------------------------------------------------------------------------------


def test_a_spectrogram_of_clips_of_every_length():
    seconds = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 1000 * seconds).astype(np.float32)
    bands = tw.signal.mel_weight_matrix(40, 129, 8000)

    @tw.function
    def features(x):
        power = tw.abs(tw.signal.stft(x, 256, 128)) ** 2
        return power, tw.log(power @ bands + 1e-6)

    for length in (8000, 4000, 3001):
        power, mel = features(tone[:length])
        assert power.shape == ((length - 256) // 128 + 1, 129) and mel.shape[1] == 40
        assert np.all(np.argmax(power.numpy(), axis=1) == 1000 // (8000 / 256))
    assert len(features.why) == 2
    back = tw.signal.inverse_stft(tw.signal.stft(tone, 256, 128), 256, 128).numpy()
    np.testing.assert_allclose(back[256:-256], tone[256 : len(back) - 256], atol=1e-5)


def test_augmentation_is_random_by_key_and_takes_any_batch():
    images = np.random.default_rng(0).integers(0, 255, (8, 32, 32, 3), dtype=np.uint8)

    @tw.function
    def augment(images, key):
        flips, light, place = tw.random.split(key, 3)
        x = images.astype("float32") / 255
        flip = tw.random.bernoulli(0.5, (x.shape[0], 1, 1, 1), key=flips)
        x = tw.where(flip, tw.image.flip_left_right(x), x)
        x = tw.image.adjust_brightness(x, tw.random.uniform((), -0.2, 0.2, key=light))
        row, column = tw.random.randint((2,), 0, 8, key=place)
        x = tw.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)))
        return tw.clip(tw.dynamic_slice(x, (0, row, column, 0), (x.shape[0], 32, 32, 3)), 0, 1)

    first, again, other = (augment(images, tw.random.key(i)).numpy() for i in (0, 0, 1))
    assert first.dtype == np.float32 and first.min() >= 0 and first.max() <= 1
    assert (first == again).all() and (first != other).any()
    assert augment(images[:3], tw.random.key(0)).shape == (3, 32, 32, 3)
    assert augment.why[1:] == ["images axis 0 was 8, is 3"]


def test_parameters_survive_a_file_and_threads_share_a_function(tmp_path):
    params = {"hidden": normal(0, w=(50, 50), b=(50,)), "out": normal(1, w=(50, 2))["w"]}
    leaves, structure = tw.flatten_leaves(tw.map_leaves(tw.asarray, params))
    np.savez(tmp_path / "params.npz", *leaves)
    with np.load(tmp_path / "params.npz") as file:
        read = tw.unflatten_leaves(structure, [tw.asarray(file[name]) for name in file.files])

    @tw.function
    def predict(params, x):
        return tw.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"]) @ params["out"]

    batches = [normal(i, x=(i % 5 + 1, 50))["x"] for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda x: predict(read, x).numpy(), batches))
    for x, y in zip(batches, got, strict=True):
        hidden = np.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"])
        np.testing.assert_allclose(y, hidden @ params["out"], rtol=1e-5, atol=1e-6)


def test_an_interrupt_leaves_everything_usable():
    pressed = []

    def press(array):
        if not pressed:
            pressed.append("Ctrl-C")
            signal.raise_signal(signal.SIGINT)
        return array

    x, count = tw.asarray([1.0, 2.0]), tw.Variable(0.0)

    @tw.function
    def total(x):
        count.assign_add(1.0)
        return tw.sum(tw.callback(press, x, x * 2)) + count

    y = tw.exp(x)
    with pytest.raises(KeyboardInterrupt):
        float(total(x))
    assert float(count) == 0
    assert (float(total(x)), float(count)) == (7, 1)

    # The same for what is computed when it is looked at.
    pressed.clear()
    lazy = y + tw.callback(press, x, x)
    with pytest.raises(KeyboardInterrupt):
        lazy.numpy()
    np.testing.assert_allclose(lazy.numpy(), np.exp([1.0, 2.0]) + np.array([1, 2]), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("concatenate", "concat"),
        ("reduce_mean", "mean"),
        ("randn", "random.normal"),
        ("softmax", "nn.softmax"),
        ("cholesky", "linalg.cholesky"),
        ("argmaxx", "argmax"),
    ],
)
def test_the_names_of_other_libraries_are_answered_with_ours(name, ours):
    with pytest.raises(AttributeError, match=rf"Received {name}\.\nDid you mean {ours}\?"):
        getattr(tw, name)
    found = tw
    for part in ours.split("."):
        found = getattr(found, part)
    assert callable(found)
    assert not hasattr(tw, "__wrapped__") and not hasattr(tw, "qqqqqqqq")


def test_every_answer_is_a_name_that_is_there():
    for ours in tw._NAMES_ELSEWHERE.values():
        found = tw
        for part in ours.split("."):
            found = getattr(found, part)
        assert callable(found)
    assert not set(tw._NAMES_ELSEWHERE) & set(tw.__all__)

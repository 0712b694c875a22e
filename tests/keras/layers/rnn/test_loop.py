"""rnn: steps along a sequence, spelled out or as a loop, masked, backwards, of unknown length."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.keras.layers.beside import booleans, close, numbers

import thalweg as tw
from thalweg.keras import ops
from thalweg.keras.layers.rnn.loop import SPELLED_OUT, rnn

SHORT, LONG = 4, SPELLED_OUT + 3
W = 0.5 * numbers(3, 3, seed=9)


def running(x: Any, states: Any) -> tuple[Any, list[Any]]:
    """A step whose output is no state: twice the state."""
    h = ops.tanh(ops.matmul(x, W) + states[0])
    return 2 * h, [h]


def reference(
    x: np.ndarray, mask: np.ndarray | None = None, backwards: bool = False, zeroes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The outputs and the last state of `running`, step by step in NumPy."""
    h = np.zeros((len(x), 3), "float32")
    y = np.zeros((len(x), 3), "float32")
    found = []
    order = range(x.shape[1])
    for t in reversed(order) if backwards else order:
        new = np.tanh(x[:, t] @ W + h)
        kept = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        h = np.where(kept, new, h)
        y = np.where(kept, 2 * new, 0 if zeroes else y)
        found.append(y)
    return np.stack(found, 1), h


def masks(steps: int) -> np.ndarray:
    return numbers(2, steps, seed=5) > 0


@pytest.mark.parametrize("steps", [SHORT, LONG])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", ["", "hold", "zero"])
def test_steps_in_order(steps: int, backwards: bool, masked: str) -> None:
    x = numbers(2, steps, 3)
    mask = masks(steps) if masked else None
    wanted, state = reference(x, mask, backwards, masked == "zero")
    settings = {"mask": mask, "go_backwards": backwards, "zero_output_for_mask": masked == "zero"}
    start = [np.zeros((2, 3), "float32")]
    last, outputs, states = rnn(running, x, start, **settings)
    close(outputs.numpy(), wanted)
    close(last.numpy(), wanted[:, -1])
    close(states[0].numpy(), state)
    last, outputs, states = rnn(running, x, start, **settings, return_all_outputs=False)
    close(outputs.numpy(), wanted[:, -1:])
    close(last.numpy(), wanted[:, -1])
    close(states[0].numpy(), state)


def test_an_output_that_is_a_state_begins_there() -> None:
    x = numbers(2, LONG, 3)
    start = numbers(2, 3, seed=1)
    mask = np.ones((2, LONG), bool)
    mask[:, :2] = False

    def step(x: Any, states: Any) -> tuple[Any, list[Any]]:
        h = ops.tanh(x + states[0])
        return h, [h]

    for steps in (SHORT, LONG):
        _, outputs, _ = rnn(step, x[:, :steps], [start], mask=mask[:, :steps])
        close(outputs.numpy()[:, 0], start)
        close(outputs.numpy()[:, 1], start)


@pytest.mark.parametrize("steps", [SHORT, LONG])
def test_constants_nested_inputs_and_time_in_front(steps: int) -> None:
    x, y = numbers(steps, 2, 3), numbers(steps, 2, 1, seed=2)
    factor = np.float32(3.0)

    def step(inputs: Any, states: Any) -> tuple[Any, Any]:
        total, constant = states[0]["sum"], states[1]
        new = total + constant * inputs["x"] * inputs["y"]
        return new, [{"sum": new}]

    start = [{"sum": np.zeros((2, 3), "float32")}]
    last, outputs, states = rnn(step, {"x": x, "y": y}, start, constants=[factor], time_major=True)
    wanted = np.cumsum(3 * x * y, axis=0)
    close(outputs.numpy(), wanted)
    close(last.numpy(), wanted[-1])
    close(states[0]["sum"].numpy(), wanted[-1])


def test_outputs_may_be_nested() -> None:
    x = numbers(2, LONG, 3)

    def step(x: Any, states: Any) -> tuple[Any, Any]:
        h = x + states[0]
        return {"h": h, "square": h * h}, [h]

    mask = masks(LONG)
    start = [np.zeros((2, 3), "float32")]
    last, outputs, _ = rnn(step, x, start, mask=mask)
    sums = np.cumsum(np.where(mask[:, :, None], x, 0), axis=1)
    close(outputs["h"].numpy(), sums)
    close(outputs["square"].numpy(), sums**2)
    close(last["square"].numpy(), sums[:, -1] ** 2)


def test_masks_may_have_trailing_axes_and_any_type() -> None:
    x = numbers(2, LONG, 3)
    mask = masks(LONG)
    start = [np.zeros((2, 3), "float32")]
    wanted = rnn(running, x, start, mask=mask)[1].numpy()
    for other in (mask[:, :, None], mask.astype("int32"), np.stack([mask, mask], 2)):
        close(rnn(running, x, start, mask=other)[1].numpy(), wanted)


def test_unknown_length_and_batch_compile_once() -> None:
    traces = []

    @tw.function
    def along(x: Any) -> Any:
        traces.append(x.shape)
        return rnn(running, x, [ops.zeros((ops.shape(x)[0], 3))])[1]

    for batch, steps in ((2, 5), (3, 9), (4, 20), (1, 2)):
        x = numbers(batch, steps, 3)
        close(along(x).numpy(), reference(x)[0])
    assert len(traces) == 2  # for the first shape, and for all


@pytest.mark.parametrize("steps", [SHORT, LONG])
def test_derivatives_agree_with_differences(steps: int) -> None:
    x = numbers(2, steps, 3)
    mask = masks(steps)

    def loss(x: Any) -> Any:
        last, outputs, _ = rnn(running, x, [ops.zeros((2, 3))], mask=mask)
        return ops.sum(ops.square(outputs)) + ops.sum(last)

    found = tw.grad(loss)(tw.asarray(x)).numpy()
    rng = np.random.default_rng(0)
    for _ in range(4):
        direction = rng.standard_normal(x.shape).astype("float32")
        ends = [float(loss(tw.asarray(x + s * 1e-2 * direction)).numpy()) for s in (1, -1)]
        close(np.sum(found * direction), np.float32((ends[0] - ends[1]) / 2e-2), 5e-3)


def _two_states(x: Any, states: Any) -> tuple[Any, list[Any]]:
    return x, [x, x]


@pytest.mark.parametrize(
    ("step", "x", "settings", "message"),
    [
        (running, numbers(2, 0, 3), {}, "at least one step"),
        (_two_states, numbers(2, 4, 3), {}, "as many states"),
    ],
)
def test_refusals(step: Callable, x: np.ndarray, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rnn(step, x, [np.zeros((2, 3), "float32")], **settings)


def test_only_known_steps_can_be_unrolled() -> None:
    @tw.function(shapes={"x": (2, "steps", 3)})
    def along(x: Any) -> Any:
        return rnn(running, x, [ops.zeros((2, 3))], unroll=True)[1]

    with pytest.raises(ValueError, match="fixed number of timesteps"):
        along(numbers(2, 4, 3))


def test_unrolled_and_looped_are_the_same() -> None:
    x, mask = numbers(2, LONG, 3), booleans("11011100111", "00110101101")
    start = [np.zeros((2, 3), "float32")]
    looped = rnn(running, x, start, mask=mask, go_backwards=True)
    unrolled = rnn(running, x, start, mask=mask, go_backwards=True, unroll=True)
    for a, b in zip(looped[:2], unrolled[:2], strict=True):
        close(a.numpy(), b.numpy())

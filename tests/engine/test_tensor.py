"""Lazy tensors: what is known at once, when values are computed, what is let go of."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

from thalweg.array import elementwise as ew
from thalweg.array.control import callback
from thalweg.array.derivatives import GradientTape
from thalweg.array.operands import to_tensor
from thalweg.base.errors import ArgumentTypeError, ShapeError
from thalweg.engine.tensor import Tensor, evaluate, from_buffer, is_leaf, node_of
from thalweg.engine.variable import Variable
from thalweg.ir.types import float32
from thalweg.ops.elementwise import add


@pytest.fixture
def counted(monkeypatch):
    """How often `add` is evaluated."""
    calls = []
    original = add.evaluate

    def evaluate_add(*args, **attrs):
        calls.append(args)
        return original(*args, **attrs)

    object.__setattr__(add, "evaluate", evaluate_add)
    yield calls
    object.__setattr__(add, "evaluate", original)


def test_types_are_known_without_a_value(counted):
    x = to_tensor([[1.0, 2.0], [3.0, 4.0]])
    y = ew.add(x, x)
    assert (y.shape, y.dtype, y.ndim, y.size, y.nbytes) == ((2, 2), float32, 2, 4, 16)
    assert not counted


def test_looking_computes_once_and_keeps_the_value(counted):
    y = ew.add(to_tensor([1.0]), to_tensor([2.0]))
    assert float(y) == 3.0
    assert y.tolist() == [3.0]
    assert len(counted) == 1


def test_a_computed_tensor_lets_go_of_its_graph():
    x = to_tensor([1.0])
    y = ew.multiply(x, x)
    inner = weakref.ref(node_of(y))
    evaluate(y)
    gc.collect()
    assert is_leaf(node_of(y))
    assert inner() is None


def test_equal_expressions_share_one_computation(counted):
    x, y = to_tensor([1.0]), to_tensor([2.0])
    a, b = ew.add(x, y), ew.add(x, y)
    evaluate(a)
    assert b.numpy() is a.numpy()
    assert len(counted) == 1


def test_an_expression_that_waits_finds_the_value_of_its_parts(counted):
    x = to_tensor([1.0])
    part = ew.add(x, x)
    whole = ew.exp(part)
    evaluate(part)
    evaluate(whole)
    assert len(counted) == 1


def test_computing_a_tensor_fills_the_held_ones_on_the_way(counted):
    x = to_tensor([1.0])
    middle = ew.add(x, x)
    end = ew.exp(middle)
    evaluate(end)
    assert middle._cell.buffer is not None
    middle.numpy()
    assert len(counted) == 1


def test_evaluate_takes_nested_tensors_in_one_run(counted):
    x = to_tensor([1.0])
    shared = ew.add(x, x)
    a, b = ew.exp(shared), ew.negative(shared)
    del shared
    evaluate({"a": a, "rest": [b, (a,)]}, 3)
    assert len(counted) == 1


def test_a_long_loop_that_is_looked_at_stays_small():
    x = to_tensor([1.0])
    start = None
    for step in range(300):
        x = ew.add(x, 1.0)
        float(x)
        if step == 0:
            start = weakref.ref(node_of(x))
    gc.collect()
    assert start is not None and start() is None


def test_a_chain_of_100_000_operations_is_computed_and_released():
    x = to_tensor(np.zeros(2))
    for _ in range(100_000):
        x = ew.add(x, 1.0)
    assert x.tolist() == [100_000.0, 100_000.0]
    del x
    gc.collect()


def test_values_are_read_only_and_inputs_are_copied():
    source = np.ones(3, np.float32)
    x = to_tensor(source)
    source[0] = 9
    assert x.tolist() == [1, 1, 1]
    for value in (x.numpy(), ew.add(x, 1).numpy()):
        with pytest.raises(ValueError):
            value[0] = 5


def test_python_conversions():
    assert float(to_tensor(2.5)) == 2.5
    assert int(to_tensor([[3]])) == 3
    assert complex(to_tensor(1j)) == 1j
    assert bool(to_tensor(True)) and not bool(to_tensor(0.0))
    assert [10, 20, 30][to_tensor(1)] == 20
    assert len(to_tensor([1, 2, 3])) == 3
    assert f"{to_tensor(2.0):.3f}" == "2.000"
    assert to_tensor([1, 2]).item.__doc__


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: bool(to_tensor([1, 2])), "Write all(x) or any(x)."),
        (lambda: float(to_tensor([1.0, 2.0])), "a tensor with one element"),
        (lambda: len(to_tensor(1.0)), "a tensor with axes"),
        (lambda: list(to_tensor(1.0)), "a tensor with axes"),
        (lambda: [1][to_tensor(0.0)], "an integer scalar"),
        (lambda: float(to_tensor(1j)), "Take real(x) first."),
        (lambda: Tensor([1]), "Write asarray(values"),
        (lambda: to_tensor([[1], [1, 2]]), "nested lists of equal length"),
        (lambda: to_tensor("text"), "tensors, arrays, numbers"),
        (lambda: to_tensor(["a"]), "numbers"),
    ],
)
def test_misuse_says_what_to_write(act, message):
    with pytest.raises((ShapeError, ArgumentTypeError)) as caught:
        act()
    assert message in str(caught.value)
    assert "test_tensor.py" in str(caught.value)


def test_printing_shows_values():
    x = to_tensor([1.0, 2.0])
    assert repr(x) == "Tensor([1., 2.], dtype=float32)"
    assert str(x) == "[1. 2.]"


def test_pickle_and_copy():
    x = ew.add(to_tensor([1.0]), 1)
    assert pickle.loads(pickle.dumps(x)).tolist() == [2.0]
    assert copy.copy(x) is x and copy.deepcopy(x) is x


def test_zero_size_and_zero_dimensional_tensors():
    empty = from_buffer(np.zeros((0, 3), np.float32))
    assert ew.add(empty, 1).numpy().shape == (0, 3)
    scalar = from_buffer(np.array(2.0))
    result = ew.multiply(scalar, scalar).numpy()
    assert result.shape == () and result.dtype == np.float64


def test_threads_may_build_and_compute_at_once():
    x = to_tensor(np.arange(64, dtype=np.float32))
    results, errors = [], []

    def work(seed):
        try:
            y = x
            for step in range(200):
                y = ew.add(ew.multiply(y, 0.5), float((step + seed) % 3))
                if step % 50 == 0:
                    y.numpy()
            results.append((seed % 3, y.numpy().sum()))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    by_seed = {}
    for seed, value in results:
        assert by_seed.setdefault(seed, value) == value
    assert len(results) == 9


def test_a_tape_keeps_graphs_until_it_is_used():
    x = Variable([2.0])
    with GradientTape() as tape:
        y = ew.multiply(x, x)
        float(y)
        z = ew.multiply(y, y)
    float(z)
    assert not is_leaf(node_of(y))
    assert tape.gradient(z, x).tolist() == [32.0]
    assert is_leaf(node_of(y)) and is_leaf(node_of(z))


def test_tensors_made_after_the_tape_are_cut_at_once():
    x = Variable([2.0])
    with GradientTape() as tape:
        y = ew.multiply(x, x)
    z = ew.add(y, 1)
    float(z)
    assert is_leaf(node_of(z))
    assert tape.gradient(y, x).tolist() == [4.0]


def test_a_loop_that_looks_at_its_loss_only_computes_each_step_once(counted):
    w = to_tensor([1.0])
    for _ in range(50):
        loss = ew.multiply(w, w)
        w = ew.add(w, 1.0)
        float(loss)
    assert len(counted) == 50


def test_an_error_in_what_was_not_asked_for_waits():
    def fail(array):
        raise ValueError("not now")

    x = to_tensor([1.0])
    bad = callback(fail, x, x)
    assert ew.add(x, 1).tolist() == [2.0]
    with pytest.raises(ValueError, match="not now"):
        bad.numpy()

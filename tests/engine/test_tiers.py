"""Tiers: what is run seldom is interpreted, what is hot is compiled, and never by a clock."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.base.errors import CheckError
from thalweg.base.options import options
from thalweg.engine.tiers import FLOPS_OF_A_NODE, FLOPS_TO_COMPILE_A_NODE, worth_compiling


@pytest.fixture
def auto():
    former = options()
    tw.set_options(backend="auto")
    yield
    tw.set_options(backend=former.backend)


def has_kernels(traced):
    return bool(traced.stages._programs)


@pytest.mark.usefixtures("auto")
def test_a_small_function_is_compiled_when_it_is_hot():
    f = tw.function(lambda x: tw.sin(x) * 2)
    x = tw.asarray(np.linspace(-3, 3, 8, dtype=np.float32))
    runs = worth_compiling(f.trace(x), {})
    assert 1 < runs <= FLOPS_TO_COMPILE_A_NODE // FLOPS_OF_A_NODE
    for _ in range(runs - 1):
        y = f(x)
    assert not has_kernels(f)
    z = f(x)
    assert has_kernels(f)
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-6)
    assert f.variants[0].is_hot


@pytest.mark.usefixtures("auto")
def test_much_work_is_compiled_at_once():
    f = tw.function(tw.matmul)
    x = tw.asarray(np.ones((300, 300), np.float32))
    f(x, x)
    assert has_kernels(f)


@pytest.mark.usefixtures("auto")
def test_a_hot_function_is_compiled_for_other_sizes_at_once():
    f = tw.function(lambda x: tw.exp(x) - 1, shapes={"x": ("n",)})
    for _ in range(FLOPS_TO_COMPILE_A_NODE // FLOPS_OF_A_NODE):
        f(np.ones(4, np.float32))
    assert has_kernels(f)
    found = [(key[0], chosen.runs_left) for key, chosen in f.variants[0].runners.items()]
    f(np.ones(5, np.float32))
    assert len(f.variants[0].runners) == len(found) + 1
    assert all(chosen.runs_left == 0 for chosen in f.variants[0].runners.values())


def test_worth_follows_from_sizes():
    f = tw.function(lambda a: tw.matmul(a, a), shapes={"a": ("n", "n")})
    graph = f.trace(np.ones((4, 4), np.float32))
    runs = [worth_compiling(graph, {"n": n}) for n in (4, 32, 64, 128, 256)]
    assert runs == sorted(runs, reverse=True)
    assert runs[0] > 100
    assert runs[-1] == 1


@pytest.mark.usefixtures("auto")
def test_a_function_that_stops_at_nan_is_interpreted():
    f = tw.function(lambda a: tw.log(-tw.matmul(a, a)))
    a = tw.asarray(np.ones((300, 300), np.float32))
    former = options().stop_at_nonfinite
    tw.set_options(stop_at_nonfinite=True)
    try:
        with pytest.raises(CheckError):
            f(a)
    finally:
        tw.set_options(stop_at_nonfinite=former)


# State --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["reference", "native"])
def test_many_variables_are_threaded_through_steps(backend):
    former = options().backend
    tw.set_options(backend=backend)
    try:
        variables = [tw.Variable(np.full(3, i, np.float32)) for i in range(40)]

        @tw.function
        def step(x):
            for variable in variables[::2]:
                variable.assign(variable * 2 + x)
            return x + variables[1]

        held = variables[4].value
        x = tw.asarray(np.ones(3, np.float32))
        for _ in range(5):
            found = step(x)
        for i, variable in enumerate(variables):
            wanted = i * 32 + 31 if i % 2 == 0 else i
            assert np.array_equal(variable.numpy(), np.full(3, wanted, np.float32))
        assert np.array_equal(held.numpy(), np.full(3, 4, np.float32))
        assert np.array_equal(found.numpy(), np.full(3, 2, np.float32))
        variables[0].assign(np.full(3, 7, np.float32))
        step(x)
        assert np.array_equal(variables[0].numpy(), np.full(3, 15, np.float32))
    finally:
        tw.set_options(backend=former)

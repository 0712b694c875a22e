"""Groups of kernels that walk the same rows: results, what they give out, memory, threads."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm.program import Program
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full
from thalweg.ir.types import as_dtype, float32, tensor_type
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.elementwise import divide, exp, multiply, sqrt, subtract
from thalweg.ops.reduce import max as max_op
from thalweg.transforms.evaluate import run


def along(value, like):
    """A value for each row, for all of its columns."""
    shape = like.type.shape
    return broadcast(value, shape=shape, axes=tuple(range(len(shape) - 1)))


def softmax(x):
    last = (len(x.type.shape) - 1,)
    weights = exp(subtract(x, along(max_op(x, axes=last), x)))
    return divide(weights, along(sum_op(weights, axes=last), x))


def standardised(x):
    last = (len(x.type.shape) - 1,)
    part = full(1 / x.shape[-1], x.dtype, x.shape[:-1])
    middle = subtract(x, along(multiply(sum_op(x, axes=last), part), x))
    return divide(middle, along(sqrt(sum_op(multiply(middle, middle), axes=last)), x))


def attention(q, k, v):
    scores = dot(q, k, contract=((3,), (3,)), batch=((0, 1), (0, 1)))
    weights = softmax(scores)
    return dot(weights, v, contract=((3,), (2,)), batch=((0, 1), (0, 1)))


def numbers(*shapes, dtype=float32):
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape).astype(dtype.numpy) for shape in shapes]


def check(function, *arrays, rtol=1e-5, atol=1e-6):
    program = Program(function)
    for found, wanted in zip(program.run(*arrays), run(function, *arrays), strict=True):
        np.testing.assert_allclose(
            found.astype(np.float64), wanted.astype(np.float64), rtol=rtol, atol=atol
        )
    return program


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(1, 128), (7, 129), (33, 200), (3, 5, 130), (300, 1000)])
@pytest.mark.parametrize("body", [softmax, standardised])
def test_rows(body, shape, name):
    dtype = as_dtype(name)
    coarse = {"float16": 4e-3, "bfloat16": 4e-2}.get(name, 1e-4)
    function = build("f", [tensor_type(dtype, shape)], body)
    program = check(function, *numbers(shape, dtype=dtype), rtol=coarse, atol=coarse / 10)
    (kernel,) = program.kernels
    assert len(kernel.nests) >= 3
    assert kernel.group.own, "what lies between is of no size but a block's"


def test_rows_of_any_number():
    b = named("b")
    function = build("f", [tensor_type(float32, (b, 3, 150))], softmax)
    program = Program(function)
    for size in (1, 2, 7, 64, 301):
        (x,) = numbers((size, 3, 150))
        np.testing.assert_allclose(program.run(x)[0], run(function, x)[0], rtol=1e-5, atol=1e-7)
    assert len(program.kernels) == 1


@pytest.mark.parametrize("tokens", [8, 17, 64, 100])
@pytest.mark.parametrize("batch", [1, 3, "b"])
def test_attention_is_one_kernel_without_a_matrix_of_scores(batch, tokens):
    size = named("b") if batch == "b" else batch
    types = [tensor_type(float32, (size, 4, tokens, 32))] * 3
    function = build("f", types, attention)
    count = 2 if batch == "b" else batch
    program = check(function, *numbers(*[(count, 4, tokens, 32)] * 3), rtol=1e-4, atol=1e-5)
    plan = next(iter(program._plans.values()))
    if tokens >= 64:
        assert len(program.kernels) == 1
        assert plan.bytes == 0, "nothing waits between kernels"
        assert plan.scratch < 4 * 4 * tokens * tokens * 4


def test_what_is_wanted_elsewhere_is_given_out():
    def body(x):
        weights = exp(subtract(x, along(max_op(x, axes=(1,)), x)))
        total = sum_op(weights, axes=(1,))
        return divide(weights, along(total, x)), total, sum_op(weights, axes=(0,))

    function = build("f", [tensor_type(float32, (40, 150))], body)
    program = check(function, *numbers((40, 150)), rtol=1e-4)
    sizes = [len(kernel.nests) for kernel in program.kernels]
    assert max(sizes) >= 3 and sum(sizes) > max(sizes)


def test_equal_groups_share_one_kernel():
    def body(x, y):
        return softmax(x), softmax(y)

    function = build("f", [tensor_type(float32, (40, 150))] * 2, body)
    program = check(function, *numbers((40, 150), (40, 150)))
    assert len({id(kernel) for kernel in program.kernels}) == 1 < len(program.kernels)


def test_threads_give_equal_bits(monkeypatch):
    types = [tensor_type(float32, (5, 8, 120, 32))] * 3
    program = Program(build("f", types, attention))
    arrays = numbers(*[(5, 8, 120, 32)] * 3)
    found = []
    for count in (1, 2, 3, 8):
        monkeypatch.setenv("THALWEG_THREADS", str(count))
        found.append(program.run(*arrays)[0].tobytes())
    assert len(set(found)) == 1

"""Composites beyond the table: 16 bits, named sizes, own gradients, stability, what stays whole.

The table compares each definition with its expansion, and float64 derivatives with differences.
"""

import numpy as np
import pytest

from thalweg.base.table import Absent
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import full
from thalweg.ir.op import vocabulary
from thalweg.ir.types import as_dtype, bool_, float32, int32, tensor_type, uint32
from thalweg.ir.verify import verify
from thalweg.ops import composite as ops
from thalweg.ops.broadcast import broadcast
from thalweg.ops.random import KEYS
from thalweg.ops.samples import a_type
from thalweg.transforms.batch import batch
from thalweg.transforms.cost import cost
from thalweg.transforms.evaluate import run
from thalweg.transforms.expand import expand
from thalweg.transforms.gradient import vjp

NAMES = [
    name for name, value in vars(ops).items() if value is vocabulary.get(name) and value.expand
]
COMPOSITES = [vocabulary[name] for name in NAMES]


def evaluate(op, *args, **attrs):
    types = [tensor_type(as_dtype(arg.dtype), arg.shape) for arg in args]
    return run(build(op.name, types, lambda *nodes: op(*nodes, **attrs)), *args)[0]


def function_of(op, args, attrs) -> Function:
    types = [tensor_type(as_dtype(arg.dtype), arg.shape) for arg in args]
    return build(op.name, types, lambda *nodes: op(*nodes, **attrs))


def samples_of(op, *names):
    """Samples of an op whose first operand has one of these element types and no special values."""
    for sample in op.samples():
        if as_dtype(sample.args[0].dtype).name in names and sample.differentiable:
            yield sample


def test_the_family_is_here():
    assert len(NAMES) == 19
    assert {"relu", "gelu", "softmax", "layer_norm", "attention", "dropout"} <= set(NAMES)


# 16 bits ------------------------------------------------------------------------------------------

NARROW = [
    pytest.param(op, sample, id=f"{op.name}-{index}")
    for op in COMPOSITES
    if op.name != "one_hot"
    for index, sample in enumerate(samples_of(op, "float16", "bfloat16"))
]


def widened(arg):
    return arg.astype(np.float32) if as_dtype(arg.dtype).bits == 16 else arg


def is_float(arg):
    return as_dtype(arg.dtype).is_float


@pytest.mark.parametrize(("op", "sample"), NARROW)
def test_16_bit_floats_are_computed_in_float32_and_rounded_once(op, sample):
    wide = [widened(arg) if is_float(arg) else arg for arg in sample.args]
    found = evaluate(op, *sample.args, **sample.attrs)
    wanted = evaluate(op, *wide, **sample.attrs)
    assert wanted.dtype == np.float32 and found.dtype == sample.args[0].dtype
    rounded = wanted.astype(found.dtype)
    np.testing.assert_array_equal(found.astype(np.float32), rounded.astype(np.float32))


@pytest.mark.parametrize(("op", "sample"), NARROW)
def test_the_slopes_of_16_bit_floats_are_those_of_float32(op, sample):
    """Within one rounding of y and one of the slope, as an absolute error of the largest slope."""
    function = function_of(op, sample.args, sample.attrs)
    pulled = verify(vjp(function))
    dy = np.ones(function.results[0].shape, sample.args[0].dtype)
    found = run(pulled, *sample.args, dy)
    wide = [widened(arg) if is_float(arg) else arg for arg in sample.args]
    wanted = run(vjp(function_of(op, wide, sample.attrs)), *wide, dy.astype(np.float32))
    inexact = [arg for arg in sample.args if is_float(arg)]
    epsilon = float(np.finfo(np.float16).eps) if dy.dtype == np.float16 else 2.0**-7
    for arg, slope, other in zip(inexact, found, wanted, strict=True):
        assert slope.dtype == arg.dtype and slope.shape == arg.shape
        error = np.abs(slope.astype(np.float64) - other.astype(np.float64)).max(initial=0)
        assert error <= 4 * epsilon * max(1.0, np.abs(other).max(initial=0))


def test_sums_of_16_bits_do_not_overflow():
    x = np.full((2, 40_000), 100, np.float16)
    x[:, ::2] = -100
    one, zero = np.ones(40_000, np.float16), np.zeros(40_000, np.float16)
    y = evaluate(ops.layer_norm, x, one, zero, np.float32(0), axes=(1,))
    np.testing.assert_array_equal(y, x / np.float16(100))
    spelled = expand(function_of(ops.layer_norm, (x, one, zero, np.float32(0)), {"axes": (1,)}))
    np.testing.assert_array_equal(run(spelled, x, one, zero, np.float32(0))[0], y)
    y = evaluate(ops.rms_norm, x, one, np.float32(1e-12), axes=(1,))
    np.testing.assert_array_equal(y, x / np.float16(100))
    y = evaluate(ops.softmax, np.zeros((1, 5000), np.float16), axes=(1,))
    np.testing.assert_array_equal(y, np.full((1, 5000), 1 / 5000, np.float16))


# Named sizes --------------------------------------------------------------------------------------

B, T = named("b"), named("t")
ROWS, ROW = tensor_type(float32, (B, T)), tensor_type(float32, (T,))
SCALAR = a_type("f32[]")
HEADS = tensor_type(float32, (B, T, 4, 2))
SHARED = tensor_type(float32, (B, T, 2, 2))
SYMBOLIC = {
    "relu": ((ROWS,), {}),
    "softplus": ((ROWS,), {}),
    "log_sigmoid": ((ROWS,), {}),
    "silu": ((ROWS,), {}),
    "gelu": ((ROWS,), {}),
    "softmax": ((ROWS,), {"axes": (1,)}),
    "log_softmax": ((ROWS,), {"axes": (0, 1)}),
    "logsumexp": ((ROWS,), {"axes": (1,)}),
    "variance": ((ROWS,), {"axes": (1,)}),
    "one_hot": ((tensor_type(int32, (B,)),), {"depth": B + 1, "axis": 1}),
    "cross_entropy": ((ROWS, ROWS), {}),
    "sparse_cross_entropy": ((ROWS, tensor_type(int32, (B,))), {}),
    "binary_cross_entropy": ((ROWS, ROWS), {}),
    "layer_norm": ((ROWS, ROW, ROW, SCALAR), {"axes": (1,)}),
    "rms_norm": ((ROWS, ROW, SCALAR), {"axes": (1,)}),
    "batch_norm": ((ROWS, ROW, ROW, ROW, ROW, SCALAR), {"axis": 1}),
    "group_norm": (
        (tensor_type(float32, (B, T, 4)), a_type("f32[4]"), a_type("f32[4]"), SCALAR),
        {"groups": 2, "axis": 2},
    ),
    "attention": (
        (HEADS, SHARED, SHARED, SCALAR, tensor_type(bool_, (B, 4, T, T))),
        {"causal": True},
    ),
    "dropout": ((ROWS, tensor_type(uint32, (2,)), SCALAR), {}),
}


def filled(type, sizes, seed):
    random = np.random.default_rng(seed)
    shape = tuple({"b": sizes[0], "t": sizes[1]}.get(str(size), size) for size in type.shape)
    if type.dtype is uint32:
        return KEYS[2]
    if type.dtype.is_float:
        return random.uniform(0.2, 0.9, shape).astype(np.float32)
    return random.integers(0, 2, shape).astype(type.dtype.numpy)


@pytest.mark.parametrize("name", NAMES)
def test_named_sizes(name):
    """Defined, spelled out, differentiated and counted once, then run for several sizes."""
    types, attrs = SYMBOLIC[name]
    op = vocabulary[name]
    function = verify(build(name, types, lambda *args: op(*args, **attrs)))
    spelled = verify(expand(function))
    pulled = verify(vjp(function))
    assert cost(function).flops is not None and str(cost(function).flops) != "0"
    for sizes in ((1, 1), (3, 5), (4, 2)):
        args = [filled(type, sizes, seed) for seed, type in enumerate(types)]
        (wanted,) = run(function, *args)
        static = function_of(
            op, args, {"depth": sizes[0] + 1, "axis": 1} if "depth" in attrs else attrs
        )
        np.testing.assert_array_equal(run(static, *args)[0], wanted)
        (found,) = run(spelled, *args)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        if name == "one_hot":
            continue
        slopes = run(pulled, *args, np.ones_like(wanted))
        others = run(vjp(static), *args, np.ones_like(wanted))
        for slope, other in zip(slopes, others, strict=True):
            np.testing.assert_allclose(slope, other, rtol=1e-4, atol=1e-5)


# Gradients of their own ---------------------------------------------------------------------------

OWN = [op for op in COMPOSITES if not isinstance(op.gradient, Absent)]


@pytest.mark.parametrize("op", OWN, ids=lambda op: op.name)
def test_own_gradients_are_those_of_the_expansion(op):
    for sample in samples_of(op, "float64"):
        function = function_of(op, sample.args, sample.attrs)
        dy = np.random.default_rng(0).standard_normal(function.results[0].shape)
        found = run(vjp(function), *sample.args, dy)
        wanted = run(vjp(expand(function)), *sample.args, dy)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


# Stability ----------------------------------------------------------------------------------------


def slopes(op, *args, **attrs):
    function = function_of(op, args, attrs)
    return run(vjp(function), *args, np.ones(function.results[0].shape, args[0].dtype))


def test_rows_of_nothing_have_no_weight():
    inf = np.inf
    x = np.array([[-inf, -inf, -inf], [-inf, 1.0, -inf], [0.0, -inf, 0.0]])
    y = evaluate(ops.logsumexp, x, axes=(1,))
    np.testing.assert_allclose(y, [-inf, 1, np.log(2)])
    (slope,) = slopes(ops.logsumexp, x, axes=(1,))
    np.testing.assert_allclose(slope, [[0, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    np.testing.assert_array_equal(
        evaluate(ops.softmax, x[1:], axes=(1,)), [[0, 1, 0], [0.5, 0, 0.5]]
    )
    (slope,) = slopes(ops.log_softmax, x[1:], axes=(1,))
    np.testing.assert_allclose(slope, [[1, -2, 1], [-0.5, 1, -0.5]])
    assert evaluate(ops.logsumexp, np.array([inf, 1.0]), axes=(0,)) == inf


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sparse_cross_entropy"])
def test_far_from_0_nothing_overflows(name):
    op = vocabulary[name]
    more = (np.array([1, 0]),) if name == "sparse_cross_entropy" else ()
    attrs = {} if more else {"axes": (1,)}
    x = np.array([[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]], np.float32)
    near = evaluate(op, x, *more, **attrs)
    for shift in (-3e4, 3e4):
        far = evaluate(op, x + np.float32(shift), *more, **attrs)
        np.testing.assert_allclose(far, near + (shift if name == "logsumexp" else 0), atol=4e-3)
        (spelled,) = run(expand(function_of(op, (x, *more), attrs)), x + np.float32(shift), *more)
        np.testing.assert_allclose(spelled, far, rtol=1e-6, atol=1e-6)


def test_cross_entropies_of_the_certain():
    logits = np.array([[800.0, -800.0], [-800.0, 800.0]])
    labels = np.array([0, 0])
    np.testing.assert_array_equal(evaluate(ops.sparse_cross_entropy, logits, labels), [0, 1600])
    np.testing.assert_array_equal(
        slopes(ops.sparse_cross_entropy, logits, labels)[0], [[0, 0], [-1, 1]]
    )
    hot = np.array([[1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(evaluate(ops.cross_entropy, logits, hot), [0, 1600])
    x, t = np.array([800.0, -800.0, 800.0]), np.array([1.0, 0.0, 0.0])
    np.testing.assert_array_equal(evaluate(ops.binary_cross_entropy, x, t), [0, 0, 800])
    np.testing.assert_array_equal(slopes(ops.binary_cross_entropy, x, t)[0], [0, 0, 1])


def test_the_variance_does_not_cancel():
    x = 1e7 + np.arange(8.0)
    function = build("moments", [a_type("f64[8]")], lambda x: ops.moments(x, (0,)))
    mean, variance = run(function, x)
    assert mean == x.mean() and variance == np.arange(8.0).var()


# Attention ----------------------------------------------------------------------------------------


def attend(*args, causal=False):
    return evaluate(ops.attention, *args, causal=causal)


def heads(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


SCALE = np.float64(0.5)


def test_shared_heads_are_repeated_heads():
    q, k, v = heads(2, 3, 6, 4), heads(2, 5, 2, 4, seed=1), heads(2, 5, 2, 3, seed=2)
    repeated = attend(q, np.repeat(k, 3, 2), np.repeat(v, 3, 2), SCALE)
    np.testing.assert_allclose(attend(q, k, v, SCALE), repeated)


def test_causal_is_a_mask_of_the_lower_triangle():
    for times, positions in ((4, 4), (3, 5), (5, 3)):
        q, k = heads(1, times, 2, 4), heads(1, positions, 2, 4, seed=1)
        mask = np.broadcast_to(np.tril(np.ones((times, positions), bool)), (1, 2, times, positions))
        np.testing.assert_array_equal(
            attend(q, k, k, SCALE, causal=True), attend(q, k, k, SCALE, mask.copy())
        )
        bias = np.where(mask, 0.0, -np.inf)
        np.testing.assert_array_equal(
            attend(q, k, k, SCALE, bias), attend(q, k, k, SCALE, mask.copy())
        )


def test_a_query_that_sees_nothing_attends_to_nothing():
    q = heads(1, 3, 1, 4)
    mask = np.ones((1, 1, 3, 3), bool)
    mask[..., 1, :] = False
    for extra in (mask, np.where(mask, 0.0, -np.inf)):
        function = function_of(ops.attention, (q, q, q, SCALE, extra), {"causal": False})
        (y,) = run(function, q, q, q, SCALE, extra)
        (spelled,) = run(expand(function), q, q, q, SCALE, extra)
        np.testing.assert_array_equal(y[0, 1], np.zeros((1, 4)))
        np.testing.assert_allclose(spelled, y)
        found = run(vjp(function), q, q, q, SCALE, extra, np.ones_like(y))
        for slope in found[:4]:
            assert np.isfinite(slope).all()
        np.testing.assert_array_equal(found[0][0, 1], np.zeros((1, 4)))
    poisoned = q.copy()
    poisoned[0, 0] = np.nan
    assert np.isnan(attend(poisoned, q, q, SCALE, mask)[0, 0]).all()


# What stays whole ---------------------------------------------------------------------------------


def ops_of(function):
    return {node.op.name for node in function.order()} - {"parameter"}


@pytest.mark.parametrize(
    "name", ["relu", "gelu", "softmax", "logsumexp", "one_hot", "cross_entropy"]
)
def test_batching_keeps_a_composite_whole(name):
    types, attrs = SYMBOLIC[name]
    op = vocabulary[name]
    function = build(name, types, lambda *args: op(*args, **attrs))
    assert ops_of(batch(function, (True,) * len(types), 7)) == {name}


def test_batching_keeps_attention_whole():
    types, attrs = SYMBOLIC["attention"]
    function = build("attention", types, lambda *args: ops.attention(*args, **attrs))
    mapped = batch(function, (True, True, True, False, True), 7)
    assert ops_of(mapped) == {"attention", "reshape"}


# Dropout ------------------------------------------------------------------------------------------


def test_dropout_keeps_as_many_as_it_says():
    x = np.ones((300, 1000), np.float32)
    for rate in (0.0, 1e-3, 0.25, 0.9, 1.0):
        y = evaluate(ops.dropout, x, KEYS[2], np.float32(rate))
        share = np.mean(y == 0)
        assert abs(share - rate) <= 5 * (rate * (1 - rate) / x.size) ** 0.5
        if rate < 1:
            assert set(np.unique(y)) <= {0, np.float32(1) / (np.float32(1) - np.float32(rate))}
    assert evaluate(ops.dropout, x, KEYS[2], np.float32(1)).max() == 0


def test_a_mapped_example_shares_the_mask_of_its_key():
    x = a_type("f32[16]")
    function = build(
        "dropout",
        [x, tensor_type(uint32, (2,))],
        lambda x, key: ops.dropout(x, key, full(0.5, float32)),
    )
    data = np.ones((3, 16), np.float32)
    (same,) = run(batch(function, (True, False), 3), data, KEYS[2])
    assert (same == same[0]).all()
    (own,) = run(batch(function, (True, True), 3), data, KEYS[1:])
    assert len(np.unique(own, axis=0)) == 3


def test_equal_nodes_are_one_dropout():
    """A key is data: the same key on the same tensor is the same node, whoever asks."""
    x = a_type("f32[4]")
    key = broadcast(full(7, uint32), shape=(2,), axes=())
    made = build(
        "twice", [x], lambda x: [ops.dropout(x, key, full(0.5, float32)) for _ in range(2)]
    )
    assert made.results[0] is made.results[1]

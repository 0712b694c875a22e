"""The native lowering table: no holes, and every entry against the op's definition."""

import ctypes
import functools

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm.block import Block, Value, function_text, number
from thalweg.backends.llvm.jit import callable_of
from thalweg.backends.llvm.scalars import absent, lower, table
from thalweg.backends.llvm.targets import host
from thalweg.base.errors import DTypeError
from thalweg.ir.op import Sample, find, vocabulary
from thalweg.ir.types import (
    FLOATS,
    INTEGERS,
    TensorType,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int64,
    tensor_type,
)
from thalweg.loops.lower import BITWISE

EPSILON = {16: 2.0**-7, 32: 2.0**-23, 64: 2.0**-52}


def result_type(op, sample) -> TensorType:
    types = [tensor_type(as_dtype(arg.dtype), arg.shape) for arg in sample.args]
    return op.infer(*types, **sample.attrs)


def run(op, sample, is_scalar: bool) -> np.ndarray:
    """The op in a kernel of its own, one element at a time or as many as fit a register."""
    type = result_type(op, sample)
    dtypes = [as_dtype(arg.dtype) for arg in sample.args]
    widest = max(dtype.bits for dtype in (*dtypes, type.dtype))
    lanes = 1 if is_scalar else host().lanes(widest)
    count = max(1, -(-sample.args[0].size // lanes)) * lanes
    native = kernel(op.name, tuple(dtypes), tuple(sample.attrs.items()), type.dtype, lanes)
    inputs = []
    for arg in sample.args:
        padded = np.zeros(count, arg.dtype)
        padded[: arg.size] = arg.ravel()
        inputs.append(padded)
    y = np.zeros(count, type.dtype.numpy)
    native(*[array.ctypes.data for array in (*inputs, y)], count)
    return y[: sample.args[0].size].reshape(sample.args[0].shape)


@functools.cache
def kernel(name, dtypes, attrs, result, lanes):
    block = Block(host())
    register = float32 if result in (float16, bfloat16) else result
    with block.loop(number(0, int64), Value("%n", int64), number(lanes, int64)) as index:
        values = [
            block.load(block.element(f"%x{k}", dtype, index), dtype, lanes)
            for k, dtype in enumerate(dtypes)
        ]
        source = {"source": dtypes[0]} if name in BITWISE else {}
        y = lower(block, name, values, dict(attrs) | source, register)
        assert y.dtype is register and y.lanes == lanes
        block.store(y, block.element("%y", result, index), result)
    pointers = [f"ptr %x{k}" for k in range(len(dtypes))] + ["ptr %y"]
    text = function_text("kernel", [*pointers, "i64 %n"], block)
    return callable_of("kernel", text, *[ctypes.c_void_p] * len(pointers), ctypes.c_int64)


def check(op, sample):
    dtypes = [as_dtype(arg.dtype) for arg in sample.args] + [result_type(op, sample).dtype]
    assert absent(op.name, dtypes) is None
    with np.errstate(all="ignore"):
        wanted = op.evaluate(*sample.args, **sample.attrs)
    tolerance = op.tolerance if sample.tolerance is None else sample.tolerance
    for is_scalar in (True, False):
        found = run(op, sample, is_scalar)
        what = f"{op.name}, {'one lane' if is_scalar else 'full register'}"
        assert_close(found, np.asarray(wanted), tolerance, what)


def assert_close(found, wanted, tolerance, what):
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, what
    dtype = as_dtype(found.dtype)
    if dtype in (float16, bfloat16):
        # NumPy does not know bfloat16's NaN; float32 holds all of both types.
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    if not tolerance or not dtype.is_inexact:
        np.testing.assert_array_equal(found, wanted, err_msg=what)
        return
    wide = np.complex128 if dtype.is_complex else np.float64
    found, wanted = found.astype(wide), wanted.astype(wide)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted), err_msg=what)
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~finite], wanted[~finite], err_msg=what)
    # Relative to each element, not only to the largest: 4 is the bound of mathematics.py.
    bits = dtype.real.bits
    allowed = max(tolerance, 4) * EPSILON[bits] * np.abs(wanted[finite]) + 5e-324
    assert np.all(np.abs(found[finite] - wanted[finite]) <= np.maximum(allowed, TINY[bits]))


TINY = {16: 2.0**-24, 32: 2.0**-148, 64: 2.0**-1073}


def native_samples():
    for name, entry in table.items():
        if not entry:
            continue
        op = find(name)
        for index, sample in enumerate(op.samples()):
            dtypes = [as_dtype(arg.dtype) for arg in sample.args]
            if absent(name, [*dtypes, result_type(op, sample).dtype]) is None:
                yield pytest.param(op, sample, id=f"{name}-{index}-{sample.name or dtypes[0]}")


@pytest.mark.parametrize(("op", "sample"), list(native_samples()))
def test_every_sample_equals_the_definition(op, sample):
    check(op, sample)


def test_the_table_has_no_holes_and_nothing_else():
    assert table.holes() == []
    assert set(table) == {op.name for op in vocabulary.values() if op.family == "pointwise"}
    for name, entry in table.items():
        assert entry or entry.reason, name


def test_what_is_absent_is_refused_with_its_reason():
    with pytest.raises(DTypeError, match="no vector form"):
        lower(Block(host()), "zeta", [number(1.0, float32)], {}, float32)
    assert "spelled out" in absent("exp", [as_dtype("complex64")] * 2).reason
    assert absent("nextafter", [bfloat16] * 3) is None


def pairs(values, dtype):
    row = np.array(values, dtype.numpy)
    x, y = np.meshgrid(row, row)
    return x.ravel(), y.ravel()


def corners(dtype):
    info = np.iinfo(dtype.numpy)
    signed = [-1, -2, -3, -7, -8, info.min, info.min + 1] if dtype.kind == "int" else [200, 255]
    wide = [dtype.bits - 1, dtype.bits, dtype.bits + 1]
    return [0, 1, 2, 3, 7, 8, 15, info.max, info.max - 1, info.max // 2, *wide, *signed]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize(
    "name",
    ["floor_divide", "remainder", "power", "left_shift", "right_shift", "maximum", "minimum"],
)
def test_integers_at_their_corners(name, dtype):
    check(find(name), Sample(pairs(corners(dtype), dtype)))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize(
    "name", ["negative", "abs", "sign", "bitwise_not", "population_count", "leading_zeros"]
)
def test_integers_one_by_one(name, dtype):
    check(find(name), Sample((np.array(corners(dtype), dtype.numpy),)))


EDGES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.5, 3.0, -3.0, 1e4, 6e4, 1e-6, -1e-6, 1 / 3,
    np.inf, -np.inf, np.nan, 255.5, -128.5, 127.5, 2.0**31, -(2.0**31), 2.0**63, 1e30, -1e30,
    4503599627370497.5,
]  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    "name",
    ["floor_divide", "remainder", "maximum", "minimum", "multiply_no_nan", "copysign", "power",
     "atan2", "hypot", "less", "equal", "not_equal", "greater_equal", "nextafter"],
)  # fmt: skip
def test_pairs_of_edges(name, dtype):
    with np.errstate(all="ignore"):
        check(find(name), Sample(pairs(EDGES, dtype)))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("target", [*INTEGERS, *FLOATS], ids=str)
def test_casts_of_edges(dtype, target):
    with np.errstate(all="ignore"):
        check(find("cast"), Sample((np.array(EDGES).astype(dtype.numpy),), {"dtype": target}))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("target", [*INTEGERS, *FLOATS], ids=str)
def test_casts_of_integers(dtype, target):
    check(find("cast"), Sample((np.array(corners(dtype), dtype.numpy),), {"dtype": target}))


@pytest.mark.parametrize("target", [float16, bfloat16, float32], ids=str)
def test_casts_round_once(target):
    # Halfway cases and their neighbours, which a detour over float32 would get wrong.
    halfway = 1 + 2.0**-11 if target is float16 else 1 + 2.0**-8
    x = np.array([halfway, halfway + 2.0**-40, halfway - 2.0**-40, 65520.0, 1e-8, 3e-8])
    if target is bfloat16:
        x = x.astype(np.float32)  # ml_dtypes itself goes by way of float32
    with np.errstate(all="ignore"):
        check(find("cast"), Sample((x,), {"dtype": target}))


def test_a_cast_to_bfloat16_rounds_in_registers_and_keeps_denormals():
    block, lanes = Block(host()), host().lanes(32)
    x = block.load("%x", float32, lanes)
    narrow = lower(block, "cast", [x], {"dtype": bfloat16}, float32)
    block.store(lower(block, "cast", [narrow], {"dtype": float32}, float32), "%y", float32)
    text = function_text("kernel", ["ptr %x", "ptr %y"], block)
    native = callable_of("kernel", text, ctypes.c_void_p, ctypes.c_void_p)
    values = np.resize(np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 6e-40, -6e-40, np.nan, 3.4e38],
                                np.float32), lanes)  # fmt: skip
    found = np.empty_like(values)
    native(values.ctypes.data, found.ctypes.data)
    wanted = values.astype(bfloat16.numpy).astype(np.float32)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_zero_keeps_its_sign(dtype):
    zero = np.array([0.0, -0.0], dtype.numpy)
    for name in ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "expm1", "log1p",
                 "erf", "cbrt", "sqrt", "negative", "floor", "ceil", "trunc", "round"):  # fmt: skip
        found = run(find(name), Sample((zero,)), is_scalar=False)
        wanted = -zero if name == "negative" else zero
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted), err_msg=name)
    x, y = pairs([0.0, -0.0], dtype)
    found = run(find("maximum"), Sample((x, y)), is_scalar=False)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(x) & np.signbit(y))


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_nextafter_walks_through_zero(dtype):
    tiny = np.nextafter(dtype.numpy.type(0), dtype.numpy.type(1))
    x, y = pairs([0.0, tiny, -tiny, 1.0, np.inf, -np.inf], dtype)
    check(find("nextafter"), Sample((x, y)))

"""Native programs against the reference interpreter, which is the definition."""

import dataclasses
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg.backends.llvm import jit, threads
from thalweg.backends.llvm import plan as plans
from thalweg.backends.llvm.native import is_native
from thalweg.backends.llvm.program import Program, kernel_of
from thalweg.backends.llvm.targets import host
from thalweg.base.errors import ArgumentError
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build, fresh
from thalweg.ir.leaves import full, full_like, items
from thalweg.ir.op import vocabulary
from thalweg.ir.types import (
    as_dtype,
    bool_,
    float16,
    float32,
    float64,
    int32,
    tensor_type,
    uint32,
)
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.control import HostFunction, callback, switch
from thalweg.ops.elementwise import (
    add,
    cast,
    cosh,
    exp,
    less,
    multiply,
    select,
    sin,
    subtract,
    tanh,
)
from thalweg.ops.index import dynamic_slice, dynamic_update_slice, gather, scatter
from thalweg.ops.linalg import cholesky
from thalweg.ops.movement import concatenate, pad, reshape, reverse, slice, transpose
from thalweg.ops.random import random_bits
from thalweg.ops.reduce import argmax, cummax, cumsum
from thalweg.ops.reduce import max as max_op
from thalweg.ops.window import window_max
from thalweg.passes.arrange import arrange
from thalweg.passes.families import (
    CONTRACTIONS,
    MOVES,
    PLACED,
    REDUCTIONS,
    RUNNING,
    SCATTERS,
    VIEWS,
)
from thalweg.passes.parts import spell_parts
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.tools.fuzz import arguments, compare
from thalweg.tools.programs import random_function
from thalweg.transforms.evaluate import run

SOURCE = Path(__file__).parents[2] / "src"
EPSILONS = {16: 2.0**-7, 32: 2.0**-23, 64: 2.0**-52}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache folder of this file's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THALWEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        jit.cache_folder.cache_clear()
        yield
    jit.cache_folder.cache_clear()


@pytest.fixture
def many_tasks(monkeypatch):
    """Every kernel with more than one task is spread over threads."""
    monkeypatch.setattr(plans, "WORTH_THREADS", 1)


def assert_close(found, wanted, tolerance, what=""):
    """Within `tolerance` epsilons of the largest magnitude; NaN and infinities in their places."""
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, what
    dtype = as_dtype(found.dtype)
    wide = np.complex128 if dtype.is_complex else np.float64
    if not tolerance or not dtype.is_inexact:
        assert found.tobytes() == np.ascontiguousarray(wanted).tobytes() or np.array_equal(
            found.astype(wide), wanted.astype(wide), equal_nan=True
        ), what
        return
    found, wanted = found.astype(wide), wanted.astype(wide)
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~finite], wanted[~finite], err_msg=what)
    scale = np.max(np.abs(wanted[finite]), initial=0)
    error = np.max(np.abs(found[finite] - wanted[finite]), initial=0)
    assert error <= tolerance * EPSILONS[dtype.real.bits] * scale, f"{what}: {error} of {scale}"


def check(function: Function, *arrays, tolerance=4.0) -> Program:
    program = Program(function)
    for found, wanted in zip(program.run(*arrays), run(function, *arrays), strict=True):
        assert_close(found, wanted, tolerance, function.name)
    return program


def random(seed, *shapes, dtype=np.float32):
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.normal(size=shape)).astype(dtype) for shape in shapes]


# Single operations --------------------------------------------------------------------------------


def function_of(op, sample) -> Function:
    types = [tensor_type(as_dtype(arg.dtype), arg.shape) for arg in sample.args]
    return build(op.name, types, lambda *args: op(*args, **sample.attrs))


THOROUGH = set(RUNNING) | PLACED | SCATTERS | {"argmax", "argmin"}
KERNELS = set(REDUCTIONS) | CONTRACTIONS | MOVES - {"alias"} | THOROUGH


def native_samples():
    """For each op the first sample of each element type, alike for those of no elements.

    Of ops that choose, scatter or run, every sample.
    """
    for name in sorted(KERNELS):
        seen = set()
        op = vocabulary[name]
        for sample in op.samples():
            function = function_of(op, sample)
            (result,) = arrange(spell_parts(function)).results
            is_empty = any(arg.size == 0 for arg in sample.args)
            key = (is_empty or result.dtype, result.type.rank if name in CONTRACTIONS else 0)
            if name in THOROUGH:
                key = (sample.name, *((arg.shape, arg.dtype) for arg in sample.args),
                       str(sample.attrs))  # fmt: skip
            if not result.type.is_static or key in seen or not is_native(result, host()):
                continue
            seen.add(key)
            yield pytest.param(op, sample, id=f"{name}-{sample.name or result.type}")


SAMPLES = list(native_samples())


@pytest.mark.parametrize(("op", "sample"), SAMPLES)
def test_single_operations(op, sample):
    function = function_of(op, sample)
    # What a sum of products was cancelled from counts, not what is left of it.
    tolerance = op.tolerance
    if tolerance:
        tolerance *= max(1, sum(arg.size for arg in sample.args))
    check(function, *sample.args, tolerance=tolerance)


def test_the_samples_cover_every_op_and_element_type():
    assert {entry.values[0].name for entry in SAMPLES} == KERNELS
    summed = {entry.values[1].args[0].dtype for entry in SAMPLES if entry.values[0].name == "max"}
    assert {as_dtype(dtype).name for dtype in summed} >= {
        "uint8", "int64", "float16", "bfloat16", "float32", "float64"
    }  # fmt: skip


DTYPES = ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize("name", DTYPES)
def test_reductions_of_moved_operands_at_odd_sizes(name):
    dtype = as_dtype(name)
    x = np.random.default_rng(0).integers(0, 5, (5, 37, 19)).astype(dtype.numpy)

    def body(x):
        x = transpose(reverse(x, axes=(1,)), axes=(2, 0, 1))
        x = slice(x, start=(1, 0, 2), limit=(18, 5, 37), stride=(2, 1, 3))
        reduce = vocabulary["any" if dtype is bool_ else "sum"]
        other = vocabulary["all" if dtype is bool_ else "max"]
        return reduce(x, axes=(0,)), other(x, axes=(1, 2)), reduce(x, axes=(0, 1, 2))

    # Whole numbers so small are exact in every type but the 8-bit mantissa of bfloat16.
    tolerance = 1 if name in ("float16", "bfloat16") else 0
    assert len(check(build(name, [tensor_type(dtype, x.shape)], body), x,
                     tolerance=tolerance).kernels) == 3  # fmt: skip


def test_extrema_carry_nan_and_infinities():
    x = np.zeros((4, 67), np.float32)
    x[0, 66], x[1, 3], x[2] = np.nan, np.inf, -np.inf
    for name in ("max", "min", "sum"):
        op = vocabulary[name]
        check(build(name, [tensor_type(float32, x.shape)], lambda x, op=op: op(x, axes=(1,))), x)
        check(build(name, [tensor_type(float32, x.shape)], lambda x, op=op: op(x, axes=(0,))), x)


@pytest.mark.parametrize("size", [(), (0,), (3, 0, 2)])
def test_no_elements_and_scalars(size):
    type = tensor_type(float64, size)
    axes = tuple(range(len(size)))
    function = build("f", [type], lambda x: (exp(x), sum_op(exp(x), axes=axes), tanh(x)))
    check(function, *random(0, size, dtype=np.float64))


def test_one_compile_serves_every_size():
    b = named("b")

    def body(x, w):
        y = tanh(dot(x, w, contract=((1,), (0,)), batch=((), ())))
        total = sum_op(y, axes=(0,))
        return y, total, sum_op(y, axes=(1,)), reverse(exp(x), axes=(0,))

    function = build("f", [tensor_type(float32, (b, 7)), tensor_type(float32, (7, 21))], body)
    program = Program(function)
    entries = None
    for size in (1, 2, 15, 16, 17, 33, 130):
        x, w = random(size, (size, 7), (7, 21))
        for found, wanted in zip(program.run(x, w), run(function, x, w), strict=True):
            assert_close(found, wanted, 64)
        entries = entries or [kernel.entry for kernel in program.kernels]
        assert [kernel.entry for kernel in program.kernels] == entries


def test_contractions_of_every_remainder():
    """Rows and columns beside whole tiles and vectors; both operands transposed."""
    for rows, inner, columns in [(1, 1, 1), (13, 5, 33), (30, 3, 65), (3, 0, 4), (2, 17, 16)]:
        x, y = random(rows, (inner, rows), (columns, inner))
        types = [tensor_type(float32, x.shape), tensor_type(float32, y.shape)]
        numbers = {"contract": ((0,), (1,)), "batch": ((), ())}
        function = build("f", types, lambda x, y, numbers=numbers: add(
            dot(x, y, **numbers), full(1.0, float32, (x.shape[1], y.shape[0]))))  # fmt: skip
        program = check(function, x, y, tolerance=4 * (inner + 1))
        assert any(k.nest.reductions and k.nest.rows for k in program.kernels) == (rows > 1)


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "int32"])
@pytest.mark.parametrize("turned", ["", "lhs", "rhs", "both"])
def test_packed_products(name, turned):
    """Rows and columns in many tiles, beside whole ones; either factor with its steps outside."""
    dtype = as_dtype(name)
    generator = np.random.default_rng(0)
    for rows, inner, columns in [
        (50, 1, 40),
        (61, 37, 150),
        (100, 64, 257),
        (48, 20, 130),
        (50, 1024, 300),
    ]:
        shapes = [(inner, rows) if turned in ("lhs", "both") else (rows, inner),
                  (columns, inner) if turned in ("rhs", "both") else (inner, columns)]  # fmt: skip
        x, y = (generator.integers(-9, 9, each).astype(dtype.numpy) for each in shapes)
        numbers = {"contract": ((int(turned not in ("lhs", "both")),),
                                (int(turned in ("rhs", "both")),))}  # fmt: skip
        types = [tensor_type(dtype, each) for each in shapes]
        function = build("f", types, lambda x, y, numbers=numbers: dot(x, y, **numbers))
        program = check(function, x, y, tolerance=1)
        (kernel,) = [each for each in program.kernels if each.nest.reductions]
        assert kernel.nest.vector in kernel.nest.packed
        assert name == "bfloat16" or len(program.kernels) == 1, "nothing is turned beforehand"


def test_packed_products_of_named_sizes_and_batches():
    b = named("b")
    function = build(
        "f", [tensor_type(float32, (3, b, 1024)), tensor_type(float32, (3, 1024, 600))],
        lambda x, y: dot(x, y, contract=((2,), (1,)), batch=((0,), (0,))),
    )  # fmt: skip
    program = Program(function)
    for size in (1, 7, 8, 100, 300):
        x, y = random(size, (3, size, 1024), (3, 1024, 600))
        assert_close(program.run(x, y)[0], run(function, x, y)[0], 2048)
    assert len(program.kernels[0].nest.packed) == 2


@pytest.mark.parametrize(
    ("batch", "places", "channels", "filters", "window", "stride", "padding", "name"),
    [
        (9, 12, 32, 64, 3, 1, 0, "float32"),
        (9, 12, 13, 40, 3, 1, 1, "float32"),
        (5, 17, 5, 19, 3, 2, 1, "float32"),
        (40, 30, 3, 8, 5, 2, 2, "float32"),
        (3, 40, 33, 70, 1, 1, 0, "float32"),
        (9, 12, 20, 21, 3, 1, 1, "float64"),
        (9, 12, 20, 21, 3, 1, 1, "int32"),
        ("b", 12, 20, 37, 3, 1, 1, "float32"),
    ],
)
def test_sliced_sums(batch, places, channels, filters, window, stride, padding, name):
    """Kernel gradients over many images: sums wait in the output from slice to slice."""
    larger = (places - 1) * stride + window - 2 * padding
    size = named("b") if batch == "b" else batch
    dtype = as_dtype(name)

    def body(x, y):
        turned = transpose(x, axes=(3, 1, 2, 0)), transpose(y, axes=(1, 2, 0, 3))
        return conv(*turned, strides=(1, 1), padding=((padding, padding),) * 2,
                    input_dilation=(1, 1), kernel_dilation=(stride, stride))  # fmt: skip

    types = [tensor_type(dtype, (size, larger, larger, channels)),
             tensor_type(dtype, (size, places, places, filters))]  # fmt: skip
    program = Program(build("f", types, body))
    generator = np.random.default_rng(0)
    for count in (1, 2, 11, 30) if batch == "b" else (batch,):
        shapes = [(count, *each.shape[1:]) for each in types]
        x, y = (generator.integers(-9, 9, each).astype(dtype.numpy) for each in shapes)
        (found,), (wanted,) = program.run(x, y), run(program.function, x, y)
        assert np.array_equal(found, wanted)
    assert program.kernels[0].nest.slices is not None


def test_sums_in_parts_give_equal_bits_for_any_number_of_threads(monkeypatch):
    types = [tensor_type(float32, (named("b"), 20))] * 2
    function = build("f", types, lambda x, y: dot(x, y, contract=((0,), (0,))))
    program = Program(function)
    assert [kernel.nest.parts for kernel in program.kernels] == [8, 0]
    for size in (1, 7, 100, 5000):
        arrays = random(0, (size, 20), (size, 20))
        found = []
        for count in (1, 2, 3, 8):
            monkeypatch.setenv("THALWEG_THREADS", str(count))
            found.append(program.run(*arrays)[0])
        assert len({each.tobytes() for each in found}) == 1
        np.testing.assert_allclose(found[0], run(function, *arrays)[0], rtol=1e-4, atol=1e-4)


def test_a_move_of_a_computed_value_is_a_kernel_and_a_reshape_of_a_stored_one_a_view():
    type = tensor_type(float32, (4, 6))
    x = random(0, (4, 6))
    turned = check(build("f", [type], lambda x: transpose(exp(x), axes=(1, 0))), *x)
    assert [kernel.nest.name for kernel in turned.kernels] == ["transpose"]
    viewed = check(build("f", [type], lambda x: reshape(x, shape=(3, 8))), *x)
    assert viewed.kernels == []


def test_inputs_may_have_any_layout():
    type = tensor_type(float32, (5, 6))
    function = build("f", [type, type], lambda x, y: sin(add(x, y)))
    x, y = random(0, (6, 5), (10, 12))
    raw = np.zeros(5 * 6 * 4 + 1, np.uint8)
    unaligned = raw[1:].view(np.float32).reshape(5, 6)
    unaligned[...] = x.T
    assert not unaligned.flags.aligned
    for array in (x.T, x.T[::-1], np.asfortranarray(x.T), unaligned):
        before = array.copy()
        check(function, array, y[::2, ::2])
        np.testing.assert_array_equal(array, before)


def test_segments_run_between_kernels():
    type = tensor_type(float64, (3, 3))
    eye = np.eye(3) * 3

    def body(x):
        return exp(cholesky(add(x, x)))

    program = check(build("f", [type], body), eye)
    assert [step.kernel is None for step in program.steps].count(False) == 2


def test_a_cpu_without_float16_leaves_it_to_the_definitions():
    x = tensor_type(float16, (3,))
    function = build("f", [x], lambda x: (exp(x), exp(cast(x, dtype=float32))))
    arrays = random(0, (3,), dtype=np.float16)
    assert len(check(function, *arrays).kernels) == 2
    program = Program(function, dataclasses.replace(host(), has_half=False))
    compare(function, arrays, program.run(*arrays), run(function, *arrays))
    assert [kernel.nest.outputs[0].dtype for kernel in program.kernels] == [float32]


def test_a_host_function_of_nothing_is_called_every_time():
    calls = []

    def count():
        calls.append(None)
        return np.array(len(calls), np.float32)

    scalar = tensor_type(float32, ())
    host = HostFunction("count", count)
    one, two = (
        build(name, [], body)
        for name, body in (
            ("one", lambda: items(callback(function=host, types=(scalar,)))),
            ("two", lambda: full(0, float32)),
        )
    )
    bodies = [
        lambda x: add(x, items(callback(function=host, types=(scalar,)))[0]),
        lambda x: add(x, items(switch(full(0, int32), branches=(one, two)))[0]),
    ]
    for body in bodies:
        calls.clear()
        program = Program(build("f", [scalar], body))
        assert [float(program.run(np.zeros((), np.float32))[0]) for _ in range(3)] == [1, 2, 3]


# Padding, groups, strides -------------------------------------------------------------------------

PLAIN = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "input_dilation": (1, 1),
         "kernel_dilation": (1, 1), "feature_groups": 1, "batch_groups": 1}  # fmt: skip

CONVOLUTIONS = {
    "padded": ((2, 7, 9, 3), (3, 3, 3, 5), {"padding": ((1, 1), (1, 1))}),
    "far": ((1, 3, 4, 2), (2, 3, 2, 17), {"padding": ((4, 3), (3, 5))}),
    "cropped": ((2, 6, 20, 1), (3, 2, 1, 33), {"padding": ((-1, 2), (3, -2))}),
    "strided": ((2, 9, 31, 4), (3, 3, 4, 6), {"padding": ((0, 1), (1, 1)), "strides": (2, 2)}),
    "spread kernel": ((2, 9, 8, 3), (3, 2, 3, 4), {"padding": ((2, 2), (0, 3)),
                                                   "kernel_dilation": (2, 3)}),
    "groups": ((2, 5, 6, 6), (3, 3, 2, 9), {"padding": ((1, 1), (0, 1)), "feature_groups": 3}),
    "depthwise": ((2, 8, 7, 19), (3, 3, 1, 19), {"padding": ((1, 1), (1, 1)),
                                                 "feature_groups": 19, "strides": (2, 1)}),
    "multiplied depthwise": ((2, 4, 5, 3), (2, 2, 1, 6), {"feature_groups": 3}),
    "batch groups": ((6, 5, 4, 2), (3, 2, 2, 9), {"padding": ((1, 0), (0, 0)), "batch_groups": 3}),
}  # fmt: skip


def gradients_of(x, k, attrs):
    """The convolution and its two gradients, for a cotangent of its result's type."""

    def body(x, k, dy):
        y = conv(x, k, **attrs)
        return y, *conv.gradient(dy, y, x, k, **attrs, dtype=None)

    return build("f", [x, k, conv(fresh("x", x), fresh("k", k), **attrs).type], body)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_convolutions_and_their_gradients_are_native(name, dtype):
    shape, kernel, given = CONVOLUTIONS[name]
    attrs = PLAIN | given
    types = [tensor_type(as_dtype(dtype), each) for each in (shape, kernel)]
    function = gradients_of(*types, attrs)
    arrays = random(1, *(type.shape for type in function.parameter_types), dtype=dtype)
    program = check(function, *arrays, tolerance=512)
    outside = {step.node.op.name for step in program.steps if step.kernel is None}
    assert outside <= VIEWS | {"constant"}
    # Of a convolution without strides the padding is nowhere in memory.
    if attrs["strides"] == (1, 1):
        assert not any("pad" in kernel.nest.name for kernel in program.kernels)


@pytest.mark.parametrize("name", ["int8", "uint16", "float16", "bfloat16"])
def test_products_and_convolutions_of_every_kind_of_number(name):
    dtype = as_dtype(name)
    wide = float32 if dtype.is_float else int32
    generator = np.random.default_rng(0)
    x, k = (generator.integers(0, 9, each).astype(dtype.numpy) for each in ((2, 5, 3), (3, 3, 19)))
    padded = {each: value[:1] if isinstance(value, tuple) else value
              for each, value in PLAIN.items()} | {"padding": ((1, 1),)}  # fmt: skip

    def body(x, k):
        row = slice(k, start=(0, 0, 0), limit=(1, 3, 19), stride=(1, 1, 1))
        matrix = reshape(row, shape=(3, 19))
        product = {"contract": ((2,), (0,))}
        return (
            conv(x, k, **padded), conv(x, k, **padded, dtype=wide), dot(x, matrix, **product),
            dot(x, matrix, **product, dtype=wide), dot(x, x, contract=((1, 2), (1, 2))),
        )  # fmt: skip

    program = check(build("f", [tensor_type(dtype, x.shape), tensor_type(dtype, k.shape)], body),
                    x, k, tolerance=1)  # fmt: skip
    assert sum(bool(kernel.nest.reductions) for kernel in program.kernels) == 5


def test_a_narrow_store_stays_inside(monkeypatch):
    """One lane of a vector of 16-bit numbers, which a compiler may write as 32 bits."""
    held = []

    def guarded(shape, dtype):
        bytes = int(np.prod(shape)) * dtype.itemsize
        held.append(np.full(bytes + 64, 0xA5, np.uint8))
        return held[-1][:bytes].view(dtype).reshape(shape)

    monkeypatch.setattr(plans, "empty", guarded)
    for name in ("bfloat16", "float16", "int16", "uint8"):
        dtype = as_dtype(name)

        def body(x, dtype=dtype):
            wide = broadcast(x, shape=(2, 1), axes=(1,))
            return pad(wide, full(0, dtype), low=(0, 0), high=(0, 0), interior=(1, 0))

        (y,) = Program(build("f", [tensor_type(dtype, (1,))], body)).run(np.ones(1, dtype.numpy))
        assert y.astype(int).ravel().tolist() == [1, 0, 1]
    assert all((each[-64:] == 0xA5).all() for each in held)


def test_a_narrowed_store_leaves_its_neighbours_alone():
    """One lane of 32 bits that was computed with 64, amid results that are already there."""
    types = [tensor_type(as_dtype("int64"), (7, 1, 3, 1))]

    def body(x):
        found = cummax(x, axis=2, reverse=True)
        return found, cast(found, dtype=int32)

    x = np.arange(21).reshape(7, 1, 3, 1)[:, :, ::-1].copy()
    check(build("f", types, body), x)


# Places that are data -----------------------------------------------------------------------------


def places(x, i, updates, key):
    """[b,5,19], [b,7], [b,7,19], [2]: gathers, scatters, running results, joins, random bits."""
    rows = gather(x, i, axes=(1,), batch=1)
    put = scatter(x, multiply(updates, updates), i, axes=(1,), batch=1, mode="add")
    flat = reshape(i, shape=(i.shape[0] * 7,))
    table = reshape(x, shape=(x.shape[0] * 5, 19))
    more = reshape(updates, shape=(i.shape[0] * 7, 19))
    best = scatter(table, more, flat, axes=(0,), mode="max")
    joined = concatenate(tanh(rows), updates, rows, axis=2)
    mask = less(random_bits(key, shape=joined.shape, width=32), full(2**31, uint32, joined.shape))
    kept = select(mask, joined, full_like(joined, 0))
    first = slice(i, start=(0, 0), limit=(1, 1), stride=(1, 1))
    start = reshape(first, shape=())
    zero = full(0, int32)
    cut = dynamic_slice(x, zero, start, zero, sizes=(x.shape[0], 3, 19))
    changed = dynamic_update_slice(x, cut, zero, start, start)
    return (
        rows, put, best, kept, cumsum(kept, axis=1, reverse=True), cummax(put, axis=2),
        argmax(joined, axis=2), cut, changed,
        pad(exp(rows), full(1.5, float32), low=(0, 2, -1), high=(0, -3, 4), interior=(0, 1, 2)),
    )  # fmt: skip


def test_places_that_are_data_for_every_size_and_number_of_threads(monkeypatch, many_tasks):
    b = named("b")
    types = [tensor_type(float32, (b, 5, 19)), tensor_type(int32, (b, 7)),
             tensor_type(float32, (b, 7, 19)), tensor_type(uint32, (2,))]  # fmt: skip
    function = build("f", types, places)
    program = Program(function)
    assert {step.node.op.name for step in program.steps if step.kernel is None} <= VIEWS
    for size in (1, 3, 40):
        x, updates = random(size, (size, 5, 19), (size, 7, 19))
        i = np.random.default_rng(size).integers(-2, 7, (size, 7)).astype(np.int32)
        arrays = x, i, updates, np.array([size, 9], np.uint32)
        bits = []
        for count in (1, 2, 3):
            monkeypatch.setenv("THALWEG_THREADS", str(count))
            found = program.run(*arrays)
            bits.append([y.tobytes() for y in found])
        assert bits[0] == bits[1] == bits[2]
        for one, wanted in zip(found, run(function, *arrays), strict=True):
            assert_close(one, wanted, 64)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_a_narrow_extremum_that_is_computed_twice_is_found(name):
    """In registers it has more bits than in memory, where its first kernel put it."""
    dtype = as_dtype(name)

    def body(x):
        y = tanh(exp(x))
        return argmax(y, axis=1), *max_op.gradient(max_op(y, axes=(1,)), max_op(y, axes=(1,)), y,
                                                   axes=(1,))  # fmt: skip

    (x,) = random(3, (40, 21), dtype=dtype.numpy)
    check(build("f", [tensor_type(dtype, x.shape)], body), x, tolerance=2)


def test_an_embedding_and_its_gradient(monkeypatch, many_tasks):
    """More rows than a block, every row hit often, and indices of every kind outside."""
    x, dy = random(0, (200, 33), (900, 33))
    for dtype in ("int8", "int64", "uint64"):
        i = np.random.default_rng(1).integers(-3, 203, 900).astype(dtype)

        def body(x, i, dy):
            rows = gather(x, i, axes=(0,))
            zeros = full(0.0, float32, x.shape)
            return rows, scatter(zeros, dy, i, axes=(0,), mode="add")

        types = [tensor_type(float32, x.shape), tensor_type(as_dtype(dtype), i.shape),
                 tensor_type(float32, dy.shape)]  # fmt: skip
        bits = []
        for count in (1, 2, 3):
            monkeypatch.setenv("THALWEG_THREADS", str(count))
            program = check(build("f", types, body), x, i, dy, tolerance=0)
            bits.append([y.tobytes() for y in program.run(x, i, dy)])
        assert bits[0] == bits[1] == bits[2]
        assert len(program.kernels) == len(program.steps) == 2


# Random programs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(2000, 2120, 20))
def test_random_programs_equal_the_reference(first):
    for seed in range(first, first + 20):
        function = random_function(seed)
        arrays = arguments(function, seed)
        for stage in PIPELINE:
            function = run_pass(stage, function)
        compare(function, arrays, Program(function).run(*arrays), run(function, *arrays))


# Threads ------------------------------------------------------------------------------------------


def network(x, w):
    """Sums along rows and columns, a packed product, pointwise parts: every way to make tasks."""
    y = dot(x, w, contract=((1,), (0,)), batch=((), ()))
    top = broadcast(max_op(y, axes=(1,)), shape=y.shape, axes=(0,))
    e = exp(subtract(y, top))
    flat = tanh(x)
    return e, sum_op(e, axes=(1,)), sum_op(multiply(e, e), axes=(0,)), flat


NETWORK = build(
    "net", [tensor_type(float32, (300, 1024)), tensor_type(float32, (1024, 520))], network
)


def test_bits_do_not_depend_on_the_threads(monkeypatch, many_tasks):
    arrays = random(0, (300, 1024), (1024, 520))
    results = []
    for count in (1, 2, 3, 8, 8, 2):
        monkeypatch.setenv("THALWEG_THREADS", str(count))
        results.append([y.tobytes() for y in Program(NETWORK).run(*arrays)])
    assert all(each == results[0] for each in results)
    kernels = Program(NETWORK).kernels
    assert any(kernel.tasks >= 8 for kernel in kernels)
    assert any(len(kernel.nest.packed) == 2 and kernel.tasks >= 4 for kernel in kernels)


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_threads_is_refused(monkeypatch, given):
    monkeypatch.setenv("THALWEG_THREADS", given)
    with pytest.raises(ArgumentError, match="THALWEG_THREADS"):
        threads.count()


def test_a_team_that_is_taken_is_not_waited_for(monkeypatch, many_tasks):
    monkeypatch.setenv("THALWEG_THREADS", "4")
    arrays = random(0, (300, 1024), (1024, 520))
    wanted = Program(NETWORK).run(*arrays)
    with threads.team()._is_taken:
        found = Program(NETWORK).run(*arrays)
    assert [y.tobytes() for y in found] == [y.tobytes() for y in wanted]


def test_several_python_threads_run_programs_at_once(monkeypatch, many_tasks):
    monkeypatch.setenv("THALWEG_THREADS", "3")
    arrays = random(0, (300, 1024), (1024, 520))
    wanted = [y.tobytes() for y in Program(NETWORK).run(*arrays)]
    start = threading.Barrier(6)

    def work(number):
        start.wait()
        fresh = build("f", [tensor_type(float32, (40 + number % 2,))], lambda x: cosh(sin(x)))
        program = Program(fresh)
        for _ in range(5):
            assert [y.tobytes() for y in Program(NETWORK).run(*arrays)] == wanted
            check(program.function, *random(number, (40 + number % 2,)))
        return program.kernels[0]

    with ThreadPoolExecutor(6) as pool:
        kernels = list(pool.map(work, range(6)))
    assert len({id(kernel) for kernel in kernels}) == 2


def test_an_interrupt_in_a_segment_leaves_everything_usable(monkeypatch, many_tasks):
    monkeypatch.setenv("THALWEG_THREADS", "2")
    type = tensor_type(float64, (3, 3))
    function = build("f", [type], lambda x: exp(cholesky(add(x, x))))
    original = cholesky.evaluate

    def interrupted(x):
        raise KeyboardInterrupt

    object.__setattr__(cholesky, "evaluate", interrupted)
    try:
        program = Program(function)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                program.run(np.eye(3))
    finally:
        object.__setattr__(cholesky, "evaluate", original)
    np.testing.assert_allclose(Program(function).run(np.eye(3))[0], np.exp(np.eye(3) * np.sqrt(2)))
    assert not threads.team()._is_taken.locked()


def test_an_interrupt_while_workers_write_does_not_free_what_they_write_to(monkeypatch):
    monkeypatch.setenv("THALWEG_THREADS", "3")
    team = threads.team()
    arrays = random(0, (300, 1024), (1024, 520))
    wanted = [y.tobytes() for y in Program(NETWORK).run(*arrays)]
    settled = []

    def interrupted():
        settled.append(True)
        if len(settled) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(plans, "WORTH_THREADS", 1)
    program = Program(NETWORK)
    with monkeypatch.context() as patch:
        patch.setattr(threads.Team, "_settle", lambda self: interrupted())
        with pytest.raises(KeyboardInterrupt):
            program.run(*arrays)
    held = team._held
    assert held is not None
    space, values = held[-1]
    assert isinstance(space, plans.Workspace)
    assert any(each is arrays[0] for each in values.values())
    assert not team._is_taken.locked()
    assert [y.tobytes() for y in Program(NETWORK).run(*arrays)] == wanted
    assert team._held is None


FORK = """
import os, sys
import numpy as np
import thalweg as tw
from thalweg.backends.llvm import plan
plan.WORTH_THREADS = 1
tw.set_options(backend="native")
@tw.function
def f(x):
    return tw.sum(tw.exp(x), axis=1), tw.tanh(x)
x = np.linspace(-1, 1, 64 * 50, dtype=np.float32).reshape(64, 50)
wanted = [np.asarray(y) for y in f(x)]
child = os.fork()
if child == 0:
    found = [np.asarray(y) for y in f(x)]
    again = tw.function(lambda x: tw.cos(x) * 2)(x)
    same = all(np.array_equal(a, b) for a, b in zip(found, wanted))
    os._exit(0 if same and np.allclose(again, np.cos(x) * 2) else 1)
assert os.waitpid(child, 0)[1] == 0
assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(wanted, f(x)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_goes_on():
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "THALWEG_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# A training step ----------------------------------------------------------------------------------


def training_step(x, labels, params, speeds):
    """A convolutional network, its cross entropy, and one step of momentum."""

    def loss(params):
        y = tw.nn.conv(x, params["kernel"], padding="same") + params["bias"]
        y = tw.nn.max_pool(tw.nn.relu(y), 2, strides=2)
        y = tw.reshape(y, (x.shape[0], -1)) @ params["dense"] + params["offset"]
        y = y - tw.max(y, axis=1, keepdims=True)
        log = y - tw.log(tw.sum(tw.exp(y), axis=1, keepdims=True))
        return -tw.mean(tw.sum(log * labels, axis=1))

    value, gradients = tw.value_and_grad(loss)(params)
    speeds = tw.map_leaves(lambda v, g: 0.9 * v + g, speeds, gradients)
    return value, tw.map_leaves(lambda p, v: p - 0.1 * v, params, speeds), speeds


def test_a_training_step_equals_the_reference():
    shapes = {"kernel": (3, 3, 2, 5), "bias": (5,), "dense": (4 * 3 * 5, 4), "offset": (4,)}
    x, *values = random(7, (6, 8, 6, 2), *shapes.values())
    labels = np.eye(4, dtype=np.float32)[[0, 3, 1, 2, 2, 0]]
    results = {}
    for backend in ("reference", "native"):
        former = tw.set_options(backend=backend)
        try:
            params = {k: tw.asarray(v * 0.3) for k, v in zip(shapes, values, strict=True)}
            speeds = tw.map_leaves(tw.zeros_like, params)
            step = tw.function(training_step)
            losses = []
            for _ in range(3):
                value, params, speeds = step(tw.asarray(x), tw.asarray(labels), params, speeds)
                losses.append(float(value))
            results[backend] = losses, {k: np.asarray(v) for k, v in params.items()}
        finally:
            tw.set_options(backend=former.backend)
    losses, params = results["native"]
    wanted, expected = results["reference"]
    np.testing.assert_allclose(losses, wanted, rtol=2e-6)
    assert losses[-1] < losses[0]
    for name in params:
        np.testing.assert_allclose(params[name], expected[name], rtol=1e-5, atol=2e-6)


def test_equal_kernels_of_two_programs_are_one():
    type = tensor_type(int32, (3, 4))
    one = Program(build("f", [type], lambda x: add(x, x)))
    two = Program(build("g", [type], lambda x: add(x, x)))
    assert one.kernels[0] is two.kernels[0]
    assert kernel_of(one.kernels[0].function, host()) is one.kernels[0]


def test_a_window_and_a_convolution_take_their_epilogues_with_them():
    x, k = random(3, (2, 7, 6, 3), (3, 2, 3, 4))
    types = [tensor_type(float32, x.shape), tensor_type(float32, k.shape)]
    plain = {"padding": ((1, 1), (0, 2)), "strides": (2, 1), "input_dilation": (1, 1),
             "kernel_dilation": (1, 2), "feature_groups": 1, "batch_groups": 1}  # fmt: skip

    def body(x, k):
        y = tanh(conv(x, k, **plain))
        rank = len(y.shape)
        return y, window_max(
            y, window=(1, 2, 2, 1), strides=(1, 2, 1, 1), padding=((0, 0), (1, 0), (0, 1), (0, 0)),
            input_dilation=(1,) * rank, window_dilation=(1,) * rank,
        )  # fmt: skip

    program = check(build("f", types, body), x, k, tolerance=64)
    assert sum(bool(kernel.nest.reductions) for kernel in program.kernels) == 2

"""Kernels for other machines than the one at hand: which there are, their code, their results.

What this machine's own kind has of narrower vectors is run here, and proves that neither schedules
nor mathematics count on the widest. AArch64 and WebAssembly are compiled, and run where an
emulator is at hand.
"""

import ctypes
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from tests.backends import emulation
from tests.backends.test_mathematics import BOUNDS, dense, operands
from tests.backends.test_scalars import assert_close, native_samples

import thalweg as tw
from thalweg.backends.llvm import instructions, jit, mathematics, scalars, threads
from thalweg.backends.llvm.block import Block, function_text, number
from thalweg.backends.llvm.program import Program
from thalweg.backends.llvm.targets import NAMED, host, names, target
from thalweg.base.errors import ArgumentError
from thalweg.ir.function import Function, build
from thalweg.ir.op import find
from thalweg.ir.types import (
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int32,
    int64,
    tensor_type,
)
from thalweg.loops.lower import BITWISE
from thalweg.ops.contract import dot
from thalweg.tools.cli import main
from thalweg.tools.ulp import UNARY, compiled, distance, worst_of
from thalweg.transforms.evaluate import run

OTHERS = [name for name in NAMED if target(name).missing]
"""Targets whose code cannot run here."""
HERE = [name for name in NAMED if not target(name).missing]
"""Targets besides the host whose code can."""
EMULATED = [
    pytest.param(name, marks=pytest.mark.skipif(
        bool(emulation.lacking(name)), reason=f"{name}: no {emulation.lacking(name)} to run it"))
    for name in emulation.NEEDED
]  # fmt: skip


# Which there are ----------------------------------------------------------------------------------


def test_the_host_is_the_first_and_runs_here():
    assert names()[0] == "host" and target("host") is host() and not host().missing
    assert {"x86-64", "x86-64-v3", "aarch64", "wasm32"} <= set(names())


def test_a_target_says_what_keeps_it_from_running_here():
    here = host()
    strange = "riscv64" if here.architecture != "riscv64" else "x86_64"
    assert here.architecture in replace(here, triple=f"{strange}-unknown-linux-gnu").missing
    assert replace(here, features=f"{here.features},+teleport").missing == "teleport"


def test_an_unknown_target_is_refused_with_what_there_is():
    with pytest.raises(ArgumentError, match=r"one of host, .*wasm32(.|\n)*Did you mean 'aarch64'"):
        target("arch64")


@pytest.mark.parametrize("name", OTHERS)
def test_code_for_another_machine_is_not_run(name):
    with pytest.raises(ArgumentError, match=f"not {name}"):
        jit.load("f", "define void @f() {\n  ret void\n}\n", target(name))


def test_a_function_shows_its_kernels_for_any_target():
    traced = tw.function(lambda x, w: tw.tanh(x @ w))
    traced(tw.ones((8, 32)), tw.ones((32, 64)))
    texts = {name: traced.show("assembly", target=name) for name in names()}
    assert texts["host"] == traced.show("assembly")
    assert len(set(texts.values())) >= len(texts) - 1, "the host may be one of the others"
    assert "fmla\tv" in texts["aarch64"] and "f32x4.mul" in texts["wasm32"]
    assert "vfmadd" in texts["x86-64-v3"] and "ymm" in texts["x86-64-v3"]
    assert "xmm" in texts["x86-64"] and "ymm" not in texts["x86-64"]
    assert "<4 x float>" in traced.show("llvm", target="aarch64")


def test_a_stage_that_is_for_no_target_refuses_one():
    traced = tw.function(lambda x: x + 1)
    traced(tw.ones((3,)))
    with pytest.raises(ArgumentError, match=r"loops, scheduled, llvm, assembly(.|\n)*'trace'"):
        traced.show("trace", target="aarch64")
    with pytest.raises(ArgumentError, match="one of host"):
        traced.show("assembly", target="pdp11")


def test_the_command_lists_the_targets(capsys):
    assert main(["targets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == names()
    assert lines[2].endswith("yes") and all("no: " in line for line in lines if line.startswith(
        tuple(OTHERS)))  # fmt: skip


# A family of kernels ------------------------------------------------------------------------------


def numbers(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def whole(*shape, dtype, seed=0):
    """Whole numbers, of which products and sums are exact in every type."""
    low = 0 if np.dtype(dtype).kind == "u" else -3
    return np.random.default_rng(seed).integers(low, 4, shape).astype(dtype)


def gradients(forward):
    """A function's value and its derivatives by all operands, for the last operand as cotangent."""

    def body(*args):
        y, back = tw.vjp(forward, *args[:-1])
        return y, *back(args[-1])

    return body


def convolution(strides=1, padding=1, groups=1):
    padding = ((padding, padding),) * 2
    return gradients(
        lambda x, k: tw.nn.conv(x, k, strides=strides, padding=padding, groups=groups)
    )  # fmt: skip


def normalised(x, scale, offset):
    middle = x - tw.mean(x, axis=-1, keepdims=True)
    spread = tw.mean(middle * middle, axis=-1, keepdims=True)
    return middle * tw.rsqrt(spread + 1e-5) * scale + offset


def attention(q, k, v):
    return tw.nn.softmax(q @ tw.matrix_transpose(k) * 0.25) @ v


def reductions(x):
    return (
        tw.sum(x, axis=0), tw.sum(x, axis=1), tw.sum(x), tw.max(x, axis=1), tw.argmax(x, axis=0),
        tw.cumulative_sum(x, axis=1), tw.any(x > 2, axis=0), tw.mean(x, axis=(0, 1)),
    )  # fmt: skip


def moves(x, i):
    wide = tw.pad(tw.exp(x[1:30:2, 3:]), ((1, 0), (2, 5)))
    return tw.take(x, i, axis=0) * 2, tw.exp(tw.flip(x, axis=0).T), tw.concat([wide, wide], axis=1)


def embedding(table, i, dy):
    """Rows by number, and what their gradients add up to."""
    return tw.vjp(lambda table: tw.tanh(tw.take(table, i, axis=0)), table)[1](dy)


def pooled(x, dy):
    return tw.vjp(lambda x: tw.nn.max_pool(x, 2), x)[1](dy)


def quantized(x, w):
    """Products of 8-bit integers, summed in 32 bits."""
    return dot(x, w, contract=((1,), (0,)), dtype=int32)


IMAGES = numbers(2, 9, 10, 8)
CASES = {
    "dense": (lambda x, w, b: tw.tanh(x @ w + b), [numbers(33, 65), numbers(65, 70), numbers(70)]),
    "packed": (lambda x, w: x @ w, [numbers(60, 90), numbers(90, 150)]),
    "turned": (lambda x, w: x @ w.T, [numbers(61, 40), numbers(133, 40)]),
    "one row": (lambda x, w: x @ w, [numbers(1, 65), numbers(65, 70)]),
    "float64": (lambda x, w: tw.exp(x @ w), [numbers(9, 20, dtype="f8"),
                                             numbers(20, 21, dtype="f8")]),
    "int32": (lambda x, w: x @ w, [whole(20, 30, dtype="i4"), whole(30, 40, dtype="i4")]),
    "int8": (quantized, [whole(20, 33, dtype="i1"), whole(33, 40, dtype="i1")]),
    "uint8": (quantized, [whole(20, 33, dtype="u1"), whole(33, 40, dtype="u1")]),
    "bfloat16": (lambda x, w: tw.tanh(x @ w), [whole(20, 33, dtype=tw.bfloat16.numpy),
                                               whole(33, 40, dtype=tw.bfloat16.numpy)]),
    "float16": (lambda x, w: tw.tanh(x @ w), [whole(20, 33, dtype="f2"),
                                              whole(33, 40, dtype="f2")]),
    "convolution": (convolution(), [IMAGES, numbers(3, 3, 8, 20), numbers(2, 9, 10, 20)]),
    "strided": (convolution(2), [IMAGES, numbers(3, 3, 8, 20), numbers(2, 5, 5, 20)]),
    "one channel": (convolution(), [IMAGES[..., :1], numbers(3, 3, 1, 16), numbers(2, 9, 10, 16)]),
    "depthwise": (convolution(groups=8), [IMAGES, numbers(3, 3, 1, 8), numbers(2, 9, 10, 8)]),
    "grouped": (convolution(groups=2), [IMAGES, numbers(3, 3, 4, 12), numbers(2, 9, 10, 12)]),
    "pointwise convolution": (convolution(padding=0), [IMAGES, numbers(1, 1, 8, 33),
                                                       numbers(2, 9, 10, 33)]),
    "softmax": (gradients(tw.nn.softmax), [numbers(33, 165), numbers(33, 165)]),
    "layer norm": (gradients(normalised), [numbers(16, 200), numbers(200), numbers(200),
                                           numbers(16, 200)]),
    "attention": (gradients(attention), [numbers(2, 140, 16), numbers(2, 140, 16),
                                         numbers(2, 140, 16), numbers(2, 140, 16)]),
    "reductions": (reductions, [numbers(37, 41)]),
    "reductions of float64": (reductions, [numbers(37, 41, dtype="f8")]),
    "reductions of int64": (reductions, [whole(37, 41, dtype="i8")]),
    "moves": (moves, [numbers(37, 41), np.array([3, 0, 36, 5])]),
    "embedding": (embedding, [numbers(11, 20), np.array([3, 0, 3, 10]), numbers(4, 20)]),
    "pooling": (pooled, [IMAGES, numbers(2, 4, 5, 8)]),
    "random": (lambda key: tw.random.normal((7, 33), key=key), [np.uint32([1, 2])]),
}  # fmt: skip
"""What a network has kernels of: a function and its arguments."""


def function_of(body, arrays) -> Function:
    """A function as the native backend gets it."""
    if body is quantized:
        return build("f", [tensor_type(as_dtype(each.dtype), each.shape) for each in arrays], body)
    traced = tw.function(body)
    traced.trace(*map(tw.asarray, arrays))
    return traced.stages["simplified"]


def check(name, results):
    """Hold results of a case against the definitions."""
    body, arrays = CASES[name]
    for found, wanted in zip(results, run(function_of(body, arrays), *arrays), strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        if not as_dtype(wanted.dtype).is_inexact:
            np.testing.assert_array_equal(found, wanted)
            continue
        x, y = (each.astype(np.float64) for each in (found, wanted))
        precision = {2: 2.0**-7, 4: 2.0**-18, 8: 2.0**-44}[wanted.itemsize]
        assert np.max(np.abs(x - y)) <= precision * np.max(np.abs(y)), name


@pytest.mark.parametrize("machine", HERE)
@pytest.mark.parametrize("case", CASES)
def test_narrower_machines_compute_the_same(case, machine):
    body, arrays = CASES[case]
    program = Program(function_of(body, arrays), target(machine))
    check(case, program.run(*arrays))
    assert all(kernel.target == target(machine) for kernel in program.kernels)


@pytest.mark.parametrize("machine", EMULATED)
@pytest.mark.parametrize("case", CASES)
def test_emulated_machines_compute_the_same(case, machine):
    body, arrays = CASES[case]
    check(case, emulation.run(Program(function_of(body, arrays), target(machine)), arrays))


@pytest.mark.parametrize("machine", NAMED)
def test_every_case_has_code_for_every_machine(machine):
    goal = target(machine)
    widest = {128: "xmm", 256: "ymm", 512: "zmm"}[goal.vector_bits]
    vectors = {"x86_64": widest, "aarch64": r"\bv\d+\.\d+[bhsd]", "wasm32": "v128"}
    for case, (body, arrays) in CASES.items():
        program = Program(function_of(body, arrays), goal)
        is_without = case == "float16" and not goal.has_half
        assert bool(program.kernels) != is_without, f"{case}: float16 is left to the definitions"
        text = program.text("assembly")
        assert is_without or re.search(vectors[goal.architecture], text), case
        if goal.architecture == "x86_64":
            assert goal.vector_bits == 512 or "zmm" not in text, case
            assert goal.vector_bits > 128 or "ymm" not in text, case
        if goal.architecture == "aarch64" and case in ("dense", "packed", "convolution"):
            assert "fmla\tv" in text, case


@pytest.mark.parametrize("machine", ["wasm32"])
def test_webassembly_is_a_module(machine):
    body, arrays = CASES["dense"]
    (kernel,) = Program(function_of(body, arrays), target(machine)).kernels
    module = jit.compile_object(kernel.text, target(machine))
    assert module.startswith(b"\0asm\1\0\0\0")
    assert {1, 2, 3, 10} <= {kind for kind, _ in emulation.sections(module)}


# Every function of every element type -------------------------------------------------------------


def all_samples():
    """What the samples of each native pointwise op are together: for the types of operands, the op,
    its attributes, operands, and how close it has to come."""
    found = {}
    for parameter in native_samples():
        op, sample = parameter.values
        attrs = tuple(sample.attrs.items())
        key = tuple(as_dtype(arg.dtype) for arg in sample.args)
        entry = found.setdefault(key, {}).setdefault((op, attrs), [[] for _ in range(len(key) + 1)])
        for place, arg in zip(entry, sample.args, strict=False):
            place.append(np.ravel(arg))
        entry[-1].append(op.tolerance if sample.tolerance is None else sample.tolerance)
    return {
        key: [(*what, [np.concatenate(each) for each in entry[:-1]], max(entry[-1]))
              for what, entry in entries.items()]
        for key, entries in found.items()
    }  # fmt: skip


SAMPLES = all_samples()
PARAMETERS = ["ptr %buffers", "ptr %sizes", "i64 %begin", "i64 %end", "i64 %worker"]


def functions_text(key, entries, goal):
    """A kernel that computes all ops of one kind of operands, and arrays for their results."""
    block = Block(goal)
    outputs, position = [], 0
    for op, attrs, args, _ in entries:
        types = [tensor_type(dtype, args[0].shape) for dtype in key]
        dtype = op.infer(*types, **dict(attrs)).dtype
        lanes = goal.lanes(max(each.bits for each in (*key, dtype, float32)))
        pointers = []
        for _ in range(len(key) + 1):
            address = block.name()
            block.emit(f"{address} = getelementptr ptr, ptr %buffers, i64 {position}")
            pointers.append(block.name())
            block.emit(f"{pointers[-1]} = load ptr, ptr {address}")
            position += 1
        register = float32 if dtype in (float16, bfloat16) else dtype
        size = -(-args[0].size // lanes) * lanes
        with block.loop(number(0, int64), number(size, int64), number(lanes, int64)) as index:
            values = [
                block.load(block.element(pointer, each, index), each, lanes)
                for pointer, each in zip(pointers, key, strict=False)
            ]
            source = {"source": key[0]} if op.name in BITWISE else {}
            y = scalars.lower(block, op.name, values, dict(attrs) | source, register)
            block.store(y, block.element(pointers[-1], dtype, index), dtype)
        outputs.append(np.zeros(size, dtype.numpy))
    return function_text("functions", PARAMETERS, block), outputs


def arrays_of(entries, outputs):
    """Operands, as long as results are, and results, in the order of the kernel."""
    arrays = []
    for (_, _, args, _), y in zip(entries, outputs, strict=True):
        arrays += [np.resize(arg, y.shape) for arg in args] + [y]
    return arrays


def check_functions(key, entries, arrays):
    """Hold the results of such a kernel against the definitions."""
    step = len(key) + 1
    for place, (op, attrs, args, tolerance) in enumerate(entries):
        with np.errstate(all="ignore"):
            wanted = np.asarray(op.evaluate(*args, **dict(attrs)))
        found = arrays[step * place + step - 1][: wanted.size]
        assert_close(found, wanted, tolerance, f"{op.name} of {key[0].name}")


KEYS = [pytest.param(key, id="-".join(dtype.name for dtype in key)) for key in SAMPLES]


def entries_for(goal, key):
    """What of the samples a target has a kernel for."""
    entries = SAMPLES[key]
    if goal.has_half:
        return entries
    return [each for each in entries if float16 not in key and each[1] != (("dtype", float16),)]


@pytest.mark.parametrize("machine", HERE)
@pytest.mark.parametrize("key", KEYS)
def test_every_function_on_narrower_machines(key, machine):
    goal = target(machine)
    entries = entries_for(goal, key)
    text, outputs = functions_text(key, entries, goal)
    arrays = arrays_of(entries, outputs)
    table = (ctypes.c_void_p * (len(arrays) + 1))(*[each.ctypes.data for each in arrays])
    types = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3]
    jit.callable_of("functions", text, *types, target=goal)(table, None, 0, 1, 0)
    check_functions(key, entries, arrays)


@pytest.mark.parametrize("machine", EMULATED)
@pytest.mark.parametrize("key", KEYS)
def test_every_function_on_emulated_machines(key, machine):
    goal = target(machine)
    entries = entries_for(goal, key)
    text, outputs = functions_text(key, entries, goal)
    arrays = arrays_of(entries, outputs)
    check_functions(key, entries, emulation.call("functions", text, goal, arrays))


@pytest.mark.parametrize("machine", NAMED)
@pytest.mark.parametrize("key", KEYS)
def test_every_function_has_code_for_every_machine(key, machine):
    goal = target(machine)
    entries = entries_for(goal, key)
    text, _ = functions_text(key, entries, goal)
    magic = {"wasm32": b"\0asm"}.get(goal.architecture)
    found = jit.compile_object(text, goal)
    assert b"functions" in found and (magic is None or found.startswith(magic))


@pytest.mark.parametrize("machine", HERE)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_the_bounds_of_errors_hold_without_fused_instructions(dtype, machine):
    x = dense(dtype, 20_000)
    for name in UNARY:
        with np.errstate(all="ignore"):
            wanted = find(name).evaluate(x.astype(np.float64)).astype(dtype.numpy)
        function = compiled(getattr(mathematics, name), 1, dtype, None, target(machine))
        worst = worst_of(x, function(x), wanted)
        assert worst.error <= BOUNDS[name][dtype is float64], (name, worst)


@pytest.mark.parametrize("machine", HERE)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_division_stays_exact_without_fused_instructions(dtype, machine):
    x, y = operands(dtype, 10_000)
    for name in ("remainder", "floor_divide"):
        with np.errstate(all="ignore"):
            wanted = find(name).evaluate(x, y)
        function = compiled(getattr(mathematics, name), 2, dtype, None, target(machine))
        assert distance(function(x, y), wanted).max() == 0


# What is written out where there is no instruction ------------------------------------------------


def test_multiply_and_add_in_parts_is_rounded_once():
    """In float64 against exact fractions: products that cancel, zeros, infinities, NaN."""
    random = np.random.default_rng(0)
    x, y = (random.standard_normal(4000) * 2.0 ** random.integers(-60, 60, 4000) for _ in "xy")
    z = random.standard_normal(4000) * 2.0 ** random.integers(-120, 120, 4000)
    z[::2] = -(x * y)[::2]  # what is left is the rounding of the product
    ends = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e308, -1e308, 5e-324])
    grid = [each.ravel() for each in np.meshgrid(ends, ends, ends)]
    x, y, z = (np.append(one, other) for one, other in zip((x, y, z), grid, strict=True))
    without = replace(host(), has_fma=False)
    found = compiled(Block.fma, 3, float64, target=without)(x, y, z)
    for a, b, c, each in zip(x, y, z, found, strict=True):
        if not np.isfinite([a, b, c]).all():
            with np.errstate(all="ignore"):
                wanted = a * b + c
        else:
            exact = Fraction(a) * Fraction(b) + Fraction(c)
            with np.errstate(all="ignore"):
                wanted = (
                    float(exact) if abs(exact) < 2**1024 else (np.inf if exact > 0 else -np.inf)
                )
                wanted = wanted if exact else a * b + c  # the sign of nothing
        same = each == wanted and np.signbit(each) == np.signbit(wanted)
        assert same or (np.isnan(each) and np.isnan(wanted)), (a, b, c, each, wanted)


# The threads of other machines --------------------------------------------------------------------


@pytest.mark.parametrize("machine", [name for name in NAMED if name != "wasm32"])
def test_the_sharing_of_tasks_has_code_for_every_machine_with_threads(machine):
    goal = target(machine)
    pause = {"x86_64": "pause", "aarch64": "yield"}[goal.architecture]
    texts = {"serve": threads.serving(goal), "perform": instructions.text(goal)}
    for name, text in texts.items():
        written = jit.assembly(text, goal)
        assert f"{name}:" in written and pause in written

"""Which ops of the vocabulary kernels compute, for every element type that the op admits.

Each sample of each op is a program of its own. Its plan may evaluate nothing by a definition but
what is listed here by name. A name that is no longer needed fails the test, so that it goes.
"""

import ctypes
import functools

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm import jit
from thalweg.backends.llvm.program import Kernel, Program
from thalweg.base.errors import ThalwegError
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import items
from thalweg.ir.op import Op, vocabulary
from thalweg.ir.types import DTYPES, as_dtype, bool_, float32, float64, tensor_type
from thalweg.ops.movement import concatenate
from thalweg.ops.window import window_max, window_pick, window_scatter
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.transforms.evaluate import run

LIBRARIES = frozenset(
    ("cholesky", "eig", "eigh", "lu", "qr", "solve", "svd", "triangular_solve", "fft", "irfft",
     "rfft")
)  # fmt: skip
"""Dense linear algebra is LAPACK's, Fourier transforms are pocketfft's."""

HOST = frozenset({"callback", "check"})
"""What calls Python, or may stop the program."""

SERIES = frozenset({"zeta", "polygamma", "gammainc", "gammaincc", "gammainc_da", "betainc"})
"""Series and continued fractions of several operands, long ones of which most elements need one."""

LEFT = LIBRARIES | HOST | SERIES


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache folder of this file's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THALWEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        jit.cache_folder.cache_clear()
        yield
    jit.cache_folder.cache_clear()


def programs(op: Op):
    """A program for each sample, the first of each kind: element types, attributes, no elements."""
    seen = set()
    for sample in op.samples():
        arrays = [np.asarray(arg) for arg in sample.args]
        types = [tensor_type(as_dtype(each.dtype), each.shape) for each in arrays]
        is_empty = any(each.size == 0 for each in arrays)
        key = (is_empty, str(sample.attrs), *((each.dtype, each.rank) for each in types))
        if key in seen:
            continue
        seen.add(key)
        body = functools.partial(_items, op, dict(sample.attrs))
        function = build(op.name, types, body)
        for stage in PIPELINE:
            function = run_pass(stage, function)
        yield function, arrays


def _items(op, attrs, *args):
    return items(op(*args, **attrs))


def definitions(function, arrays) -> set[str]:
    """The ops that the plan for these arrays evaluates by their definition."""
    actions = Program(function).plan(arrays).actions
    return {each.step.node.op.name for each in actions if each.definition is not None}


SAMPLED = sorted(name for name, op in vocabulary.items() if callable(op.samples))


@pytest.fixture
def uncompiled(monkeypatch):
    """Plans whose kernels do nothing: what they would do is tested elsewhere."""
    nothing = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)(lambda *_: None)
    monkeypatch.setattr(Kernel, "compiled", lambda self: nothing)


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.usefixtures("uncompiled")
def test_every_op_is_native_for_every_element_type(name):
    left: set[str] = set()
    for function, arrays in programs(vocabulary[name]):
        left |= definitions(function, arrays)
    assert left <= LEFT, f"no kernel for {sorted(left - LEFT)}"
    if name in LEFT:
        assert left, f"{name} is native: take it off its list"


def test_nothing_is_listed_that_is_not_in_the_vocabulary():
    assert set(SAMPLED) >= LEFT


def test_the_samples_have_every_element_type_that_an_op_takes():
    """Of pointwise ops, whose element types can be asked for."""
    for name in SAMPLED:
        op = vocabulary[name]
        if op.family != "pointwise" or op.attributes or not op.arity:
            continue
        sampled = {as_dtype(np.asarray(sample.args[-1]).dtype) for sample in op.samples()}
        for dtype in DTYPES:
            for first in (dtype, bool_)[: op.arity]:
                types = (first, *[dtype] * (op.arity - 1))
                try:
                    op.infer(*(tensor_type(each, (3,)) for each in types))
                except ThalwegError:
                    continue
                assert dtype in sampled, f"{name} of {dtype}"


# Forms that no sample has -------------------------------------------------------------------------


def check(function, *arrays):
    program = Program(function)
    for found, wanted in zip(program.run(*arrays), run(function, *arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert definitions(function, arrays) == set()
    return program


@pytest.mark.parametrize("count", [9, 17, 64])
@pytest.mark.parametrize("axis", [0, 1])
def test_concatenations_of_many(count, axis):
    arrays = [np.full((1 + n % 3, 5) if axis == 0 else (5, 1 + n % 3), n, np.float32)
              for n in range(count)]  # fmt: skip
    types = [tensor_type(float32, each.shape) for each in arrays]
    check(build("f", types, lambda *xs: concatenate(*xs, axis=axis)), *arrays)


WINDOWS = {
    "many places": {"window": (1, 5, 4), "strides": (1, 2, 1), "padding": ((0, 0), (2, 1), (1, 2))},
    "one after another": {"window": (2, 3, 1), "strides": (1, 1, 1)},
    "spread": {"window": (1, 2, 3), "input_dilation": (1, 2, 3), "window_dilation": (1, 3, 1),
               "padding": ((0, 0), (1, 1), (0, 2))},
    "far outside": {"window": (1, 2, 2), "padding": ((0, 0), (4, 3), (0, 0))},
    "strided singles": {"window": (1, 1, 1), "strides": (2, 3, 1)},
}  # fmt: skip


@pytest.mark.parametrize("name", ["float32", "float64", "bfloat16", "int32"])
@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize("direction", ["max", "min"])
def test_extrema_of_windows_and_their_derivatives(case, direction, name):
    plain = {"strides": (1, 1, 1), "padding": ((0, 0),) * 3, "input_dilation": (1, 1, 1),
             "window_dilation": (1, 1, 1)}  # fmt: skip
    attrs = plain | WINDOWS[case]
    dtype = as_dtype(name)
    x = np.random.default_rng(0).integers(-4, 5, (3, 7, 6)).astype(dtype.numpy)
    if dtype.is_float:
        x[0, 2, 3] = x[1, 1, 0] = np.nan
    type = tensor_type(dtype, x.shape)
    windows = build("f", [type], lambda x: window_max(x, **attrs))
    (result,) = windows.result_types
    dy = np.arange(result.size).reshape(result.shape).astype(dtype.numpy) % 8
    y = np.arange(x.size).reshape(x.shape).astype(dtype.numpy) % 8

    def body(x, y, dy):
        return (window_pick(x, y, **attrs, direction=direction),
                window_scatter(x, dy, **attrs, direction=direction))  # fmt: skip

    function = build("f", [type, type, tensor_type(dtype, dy.shape)], body)
    program = Program(function)
    for found, wanted in zip(program.run(x, y, dy), run(function, x, y, dy), strict=True):
        np.testing.assert_array_equal(found.astype(np.float64), wanted.astype(np.float64))
    assert definitions(function, [x, y, dy]) == set()


def test_extrema_of_windows_of_named_sizes():
    b = named("b")
    attrs = {"window": (2, 5, 3), "strides": (1, 1, 2), "padding": ((1, 0), (2, 2), (0, 1)),
             "input_dilation": (1, 1, 1), "window_dilation": (1, 1, 1)}  # fmt: skip
    type = tensor_type(float64, (b, 8, 6))
    windows = build("f", [type], lambda x: window_max(x, **attrs))
    function = build(
        "f", [type, *windows.result_types],
        lambda x, dy: window_scatter(x, dy, **attrs, direction="max"),
    )  # fmt: skip
    for size in (1, 2, 5):
        x = np.random.default_rng(size).normal(size=(size, 8, 6))
        (y,) = run(windows, x)
        check(function, x, np.arange(y.size).reshape(y.shape) / 7)


def test_neighbours_and_bits_of_16_bit_floats():
    for name in ("float16", "bfloat16"):
        dtype = as_dtype(name)
        bits = np.arange(0, 2**16, 7, dtype=np.uint16)
        x = bits.view(dtype.numpy)
        x = x[~np.isnan(x.astype(np.float32))]
        y = np.roll(x, 1000)
        op = vocabulary["nextafter"]
        types = [tensor_type(dtype, x.shape)] * 2
        with np.errstate(all="ignore"):
            (found,), (wanted,) = (way(x, y) for way in
                                   (Program(build("f", types, op)).run,
                                    functools.partial(run, build("f", types, op))))  # fmt: skip
        np.testing.assert_array_equal(found.view(np.uint16), wanted.view(np.uint16))
        there = build("f", types[:1], lambda x: vocabulary["bitcast"](x, dtype="int16"))
        (found,) = Program(there).run(x)
        np.testing.assert_array_equal(found, x.view(np.int16))
        back = build("f", [tensor_type(as_dtype("int16"), x.shape)],
                     lambda x, dtype=dtype: vocabulary["bitcast"](x, dtype=dtype))  # fmt: skip
        np.testing.assert_array_equal(Program(back).run(found)[0].view(np.int16), found)


@pytest.mark.parametrize("name", ["lgamma", "digamma", "i0e", "i1e", "erfinv"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_special_functions_are_their_definitions(name, dtype):
    generator = np.random.default_rng(0)
    rows = [np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 2.0, -1.0, -2.0, 0.5, -0.5, 1.5]),
            generator.uniform(-1, 1, 3000), generator.normal(size=3000) * 20,
            10.0 ** generator.uniform(-20, 20, 3000)]  # fmt: skip
    numpy = as_dtype(dtype).numpy
    with np.errstate(all="ignore"):
        x = np.concatenate(rows).astype(numpy)
    function = build(name, [tensor_type(as_dtype(dtype), x.shape)], vocabulary[name])
    (found,), (wanted,) = Program(function).run(x), run(function, x)
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
    ends = ~np.isfinite(wanted)
    np.testing.assert_array_equal(found[ends], wanted[ends])
    # Where a result is the rest of larger numbers, as beside the zeros of lgamma, theirs count.
    size = np.maximum(np.abs(wanted[~ends]), 8.0 if name in ("lgamma", "digamma") else 0.0)
    unit = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23}.get(dtype, 2.0**-50)
    error = np.abs(found[~ends] - wanted[~ends])
    assert (error <= unit * size + 2.0**-24 * (dtype == "float16")).all()

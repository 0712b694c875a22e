"""Native sort, top_k and searchsorted: the definitions' results bit for bit."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm import jit, plan, sorting
from thalweg.backends.llvm.program import Program
from thalweg.backends.llvm.sorting import Sorting
from thalweg.backends.llvm.targets import NAMED, target
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import items
from thalweg.ir.types import as_dtype, complex64, float32, float64, int32, int64, tensor_type
from thalweg.ops.elementwise import ORDERED, add, sin
from thalweg.ops.movement import iota, transpose
from thalweg.ops.sort import argsort, searchsorted, sort, top_k
from thalweg.transforms.evaluate import run

SORTS = (sort, top_k, searchsorted)
NAMES = [dtype.name for dtype in ORDERED]
LENGTHS = [0, 1, 2, 15, 16, 17, 100, 255, 256, 257, 1000, 9000]
"""Below and above the limits at which the way to order changes, and around whole vectors."""


def some(seed, shape, dtype):
    """Few different numbers and all that is special, so that there are ties of every kind."""
    generator = np.random.default_rng(seed)
    x = (generator.normal(size=shape) * 20).astype(dtype.numpy)
    if dtype.is_float:
        special = np.array([np.nan, -0.0, 0.0, np.inf, -np.inf, 1, -1]).astype(dtype.numpy)
        x = np.where(generator.random(shape) < 0.4, generator.choice(special, shape), x)
        # NaN with a sign, and others than the usual one.
        bits = x.view(f"u{dtype.itemsize}")
        moved = bits ^ generator.integers(0, 2, shape).astype(bits.dtype) << (dtype.bits - 1)
        x = np.where(np.isnan(x), moved.view(x.dtype), x)
    elif dtype.is_integer:
        extremes = np.array([np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max], dtype.numpy)
        x = np.where(generator.random(shape) < 0.2, generator.choice(extremes, shape), x)
    return x


def check(function, *given, target=None):
    """The results of a program are those of the definition, every bit of them."""
    program = Program(function, target)
    pairs = zip(program.run(*given), run(function, *given), strict=True)
    for index, (found, wanted) in enumerate(pairs):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        assert found.tobytes() == np.ascontiguousarray(wanted).tobytes(), (function.name, index)
    return program


def types_of(*arrays):
    return [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]


def kernels(program):
    return [step.kernel for step in program.steps if isinstance(step.kernel, Sorting)]


def is_native(program):
    """True where nothing that sorts is left to its definition."""
    return all(step.kernel is not None for step in program.steps if step.node.op in SORTS)


SAMPLES = [
    pytest.param(op, sample, id=f"{op.name}-{at}-{sample.name}")
    for op in SORTS
    for at, sample in enumerate(op.samples())
]


@pytest.mark.parametrize(("op", "sample"), SAMPLES)
def test_samples(op, sample):
    types = types_of(*map(np.asarray, sample.args))
    function = build(op.name, types, lambda *args: items(op(*args, **sample.attrs)))
    program = check(function, *map(np.asarray, sample.args))
    keys = sample.attrs.get("keys", 1) if op is sort else len(types)
    assert is_native(program) == all(
        type.dtype in ORDERED or type.dtype.is_complex for type in types[:keys]
    )


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_places_of_every_length(name, descending):
    dtype = as_dtype(name)
    n = named("n")

    def body(x):
        values = items(sort(x, axis=1, descending=descending))[0]
        order = (argsort(x, 1, descending, dtype=dtype) for dtype in (int32, int64))
        return values, *order

    whole = build("order", [tensor_type(dtype, (3, n))], body)
    for length in LENGTHS:
        x = some(length, (3, length), dtype)
        function = whole if length else build("order", types_of(x), body)
        program = check(function, x)
        assert is_native(program)
    assert len(kernels(program)) == 3


@pytest.mark.parametrize("name", NAMES)
def test_top_k_of_every_length(name):
    dtype = as_dtype(name)
    for length in LENGTHS:
        x = some(length, (3, length), dtype)
        for k in sorted({0, 1, 2, 7, length // 2, length - 1, length} & set(range(length + 1))):
            program = check(build("top", types_of(x), lambda x, k=k: items(top_k(x, k=k))), x)
            assert is_native(program)


@pytest.mark.parametrize("order", ["ascending", "descending", "equal", "sawtooth"])
def test_top_k_where_all_elements_become_candidates(order):
    row = np.arange(20_000, dtype=np.float32)
    rows = {"ascending": row, "descending": row[::-1], "equal": row * 0, "sawtooth": row % 97}
    x = np.stack([rows[order], rows[order][::-1]])
    for k in (1, 40, 300, 19_990):
        check(build("top", types_of(x), lambda x, k=k: items(top_k(x, k=k))), x)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", NAMES)
def test_searchsorted_of_every_length(name, side):
    dtype = as_dtype(name)
    for length in LENGTHS:
        x = some(length, (2, length), dtype)
        (sequence,) = run(build("s", types_of(x), lambda x: items(sort(x, axis=1))), x)
        for count, result in ((0, int32), (1, int64), (37, int64), (9000, int32)):
            values = some(count + 1, (2, count), dtype)
            function = build("places", types_of(sequence, values), lambda s, v, result=result: (
                searchsorted(s, v, side=side, dtype=result)))  # fmt: skip
            assert is_native(check(function, sequence, values))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_other_axes_and_operands_that_are_computed(axis):
    x = some(0, (7, 20, 5), float32)
    y = some(1, (5, 20, 7), float64)

    def body(x, y):
        x = sin(add(x, x))
        z = transpose(y, axes=(2, 1, 0))
        places = iota(dtype=int32, shape=x.shape, axis=axis)
        return items(sort(x, z, places, axis=axis, keys=1, descending=True))

    x = np.nan_to_num(x)
    program = Program(build("axes", types_of(x, y), body))
    wanted = run(program.function, x, y)
    for found, value in zip(program.run(x, y), wanted, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-6)
    (kernel,) = kernels(program)
    assert len(kernel.inputs) == 2, "places are not read from memory"


@pytest.mark.parametrize("keys", [1, 2, 3])
@pytest.mark.parametrize("length", [40, 700])
def test_several_keys_of_several_widths(length, keys):
    generator = np.random.default_rng(0)
    given = [generator.integers(0, 3, (2, length)).astype(kind) for kind in (np.int8, np.float32)]
    given += [generator.integers(0, 9, (2, length)), some(5, (2, length), complex64)]
    given.append(generator.normal(size=(2, length)) + 1j)
    for descending in (False, True):
        function = build("keys", types_of(*given), lambda *args, descending=descending: items(
            sort(*args, axis=1, keys=keys, descending=descending)))  # fmt: skip
        assert is_native(check(function, *given))


def test_complex_keys_are_sorted_by_their_parts():
    x = some(0, (3, 10), complex64)
    assert is_native(check(build("c", types_of(x), lambda x: items(sort(x, axis=1))), x))


def test_what_nobody_wants_is_neither_read_nor_written():
    x, y = some(0, (3, 50), float32), some(1, (3, 50), float32)

    def body(x, y):
        _, _, places = items(sort(x, y, iota(dtype=int32, shape=x.shape, axis=1), axis=1))
        return places

    (kernel,) = kernels(check(build("f", types_of(x, y), body), x, y))
    assert len(kernel.inputs) == len(kernel.outputs) == 1


def test_a_kernel_serves_every_shape():
    sizes = [(4, 3), (50, 300), (2, 9000)]
    texts = set()
    for shape in sizes:
        x = some(0, shape, float32)
        texts |= {each.text for each in kernels(
            check(build("f", types_of(x), lambda x: items(sort(x, axis=1))), x))}  # fmt: skip
    assert len(texts) == 1


def test_bits_do_not_depend_on_the_threads(monkeypatch):
    monkeypatch.setattr(plan, "WORTH_THREADS", 1)
    x = some(0, (40, 500), float32)
    edges = np.sort(np.nan_to_num(some(1, (1, 300), float32)))
    values = some(2, (1, 20_000), float32)

    def body(x, edges, values):
        return *items(sort(x, axis=1)), *items(top_k(x, k=9)), searchsorted(edges, values)

    program = Program(build("f", types_of(x, edges, values), body))
    found = set()
    for count in ("1", "2", "3", "2"):
        monkeypatch.setenv("THALWEG_THREADS", count)
        found.add(b"".join(each.tobytes() for each in program.run(x, edges, values)))
    assert len(found) == 1
    assert program.plan([x, edges, values]).is_big


@pytest.mark.parametrize("name", NAMED)
def test_targets(name):
    """Code for every machine, and results on those that this one can stand for."""
    goal = target(name)
    for dtype in (float32, float64, as_dtype("float16"), as_dtype("int8")):
        for length in (30, 700):
            x = some(0, (3, length), dtype)
            (sequence,) = run(build("s", types_of(x), lambda x: items(sort(x, axis=1))), x)

            def body(x, sequence):
                values = items(sort(x, axis=1, descending=True))[0]
                return values, argsort(x, 1), *items(top_k(x, k=5)), searchsorted(sequence, x)

            function = build("f", types_of(x, sequence), body)
            if not goal.missing:
                check(function, x, sequence, target=goal)
                continue
            for kernel in kernels(Program(function, goal)):
                assert f"{kernel.name}:" in jit.assembly(kernel.text, goal)


def test_a_sort_of_rows_that_are_all_known_is_done_with_the_plan():
    function = build("known", [], lambda: items(
        sort(iota(dtype=int32, shape=(2, 300), axis=1), axis=1, descending=True)))  # fmt: skip
    check(function)


def test_many_wide_digits(monkeypatch):
    """As with very long rows."""
    monkeypatch.setattr(sorting, "MANY", 300)
    for dtype in (float32, float64, int64):
        x = some(3, (2, 2000), dtype)
        check(build("wide", types_of(x), lambda x: [*items(sort(x, axis=1)), argsort(x, 1)]), x)

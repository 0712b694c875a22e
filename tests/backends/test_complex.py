"""Complex numbers in native kernels against the definitions: values, corners, what moves them."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.backends.llvm import jit
from thalweg.backends.llvm import plan as plans
from thalweg.backends.llvm.program import Program
from thalweg.base.options import set_options
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import full, items, literal
from thalweg.ir.op import vocabulary
from thalweg.ir.types import as_dtype, bool_, complex64, complex128, float32, int32, tensor_type
from thalweg.ops import control, parts
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.elementwise import (
    abs as abs_op,
)
from thalweg.ops.elementwise import (
    add,
    cast,
    complex_of,
    conj,
    cos,
    divide,
    equal,
    exp,
    imag,
    isnan,
    less,
    log,
    multiply,
    power,
    real,
    select,
    sign,
    sin,
    sqrt,
    subtract,
    tanh,
)
from thalweg.ops.fft import fft
from thalweg.ops.index import dynamic_slice, dynamic_update_slice, gather, scatter
from thalweg.ops.linalg import solve
from thalweg.ops.movement import concatenate, pad, reshape, reverse, slice, transpose
from thalweg.ops.reduce import cumprod, cumsum, product
from thalweg.ops.sort import sort
from thalweg.passes.parts import RULES, spell_parts
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.tools.fuzz import arguments, compare
from thalweg.tools.programs import random_function
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp

TYPES = (complex64, complex128)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """A cache folder of this file's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THALWEG_CACHE", str(tmp_path_factory.mktemp("cache")))
        jit.cache_folder.cache_clear()
        yield
    jit.cache_folder.cache_clear()


def random(seed, *shapes, dtype=complex64):
    generator = np.random.default_rng(seed)
    return [
        np.asarray(generator.normal(size=each) + 1j * generator.normal(size=each)).astype(
            dtype.numpy
        )
        for each in shapes
    ]


def definitions(program: Program, arrays) -> list[str]:
    """The ops that a plan evaluates by their definition."""
    actions = program.plan(arrays).actions
    return [each.step.node.op.name for each in actions if each.definition is not None]


def check(function: Function, *arrays, tolerance=4.0, left=()) -> Program:
    """Native within epsilons of the largest modulus; `left` is what no kernel computes."""
    program = Program(function)
    for found, wanted in zip(program.run(*arrays), run(function, *arrays), strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        if found.dtype.kind not in "fc":
            np.testing.assert_array_equal(found, wanted)
            continue
        finite = np.isfinite(wanted)
        np.testing.assert_array_equal(np.isfinite(found), finite)
        scale = np.max(np.abs(wanted[finite]), initial=0)
        error = np.max(np.abs(found[finite] - wanted[finite]), initial=0)
        assert error <= tolerance * np.finfo(found.dtype).eps * scale, (error, scale)
    assert definitions(program, arrays) == list(left)
    return program


def of(*arrays) -> list:
    return [tensor_type(as_dtype(each.dtype), each.shape) for each in arrays]


# Corners ------------------------------------------------------------------------------------------

ORDINARY = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, np.inf, -np.inf, np.nan, 1.5, -3.0]
WITHIN = {"power": 24.0}
"""Units of the last place of the modulus that a value may be off; 4 where nothing is said."""


def corners(dtype, with_extremes: bool) -> np.ndarray:
    """Every pair of what is special or ordinary as real and imaginary part."""
    limits = np.finfo(dtype.real.numpy)
    row = list(ORDINARY)
    if with_extremes:
        most = float(limits.max)
        far = np.log(most) + 0.3
        row += [most, -most, most / 2, limits.tiny, -limits.tiny, limits.smallest_subnormal, far,
                -far, np.sqrt(most), np.sqrt(limits.tiny), 1 + limits.eps, 1 - limits.eps / 2, 1e-3,
                30.0, 200.0, -40.0, np.pi / 4, np.pi / 2]  # fmt: skip
    row = np.array(row, dtype.real.numpy)
    found = np.empty((len(row), len(row)), dtype.numpy)
    found.real, found.imag = row[:, None], row
    return found.ravel()


def assert_same_kind(found, wanted, where):
    """NaN, infinities and zeros where the definition has them, with its signs."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted), err_msg=where)
    exact = np.isinf(wanted) | np.isinf(found) | ((wanted == 0) & (found == 0))
    np.testing.assert_array_equal(found[exact], wanted[exact], err_msg=where)
    np.testing.assert_array_equal(np.signbit(found[exact]), np.signbit(wanted[exact]), where)


def assert_like(found, wanted, tolerance, where):
    """The corners of the definition, and other values within units of the last place of theirs."""
    limits = np.finfo(found.dtype)
    for one, other in ((found.real, wanted.real), (found.imag, wanted.imag)):
        assert_same_kind(one, other, where)
    finite = np.isfinite(wanted) & np.isfinite(found)
    with np.errstate(over="ignore"):
        size = np.abs(wanted[finite])
        error = np.abs(found[finite] - wanted[finite])
    allowed = tolerance * (limits.eps * size + limits.smallest_subnormal)
    worst = np.argmax(error - allowed)
    assert (error <= allowed).all(), (where, wanted[finite][worst], found[finite][worst])


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", sorted(parts.FUNCTIONS))
def test_corners_are_those_of_the_definition(name, dtype):
    op = vocabulary[name]
    args = [corners(dtype, with_extremes=op.arity == 1)]
    if op.arity == 2:
        args = [np.repeat(args[0], args[0].size), np.tile(args[0], args[0].size)]
    function = build(name, of(*args), op)
    (found,) = Program(function).run(*args)
    (wanted,) = run(function, *args)
    assert_like(found, wanted, WITHIN.get(name, 4.0), name)
    # A lane more or less is another code.
    for count in (1, 3):
        small = [each[-count:] for each in args]
        (few,) = Program(build(name, of(*small), op)).run(*small)
        np.testing.assert_array_equal(few, found[-count:])


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 7, 99, 100, -1, -2, 0.5, 2.5, 1j, 2 - 1j])
def test_powers_whose_exponent_is_a_number(exponent, dtype):
    x = corners(dtype, with_extremes=False)
    if abs(exponent) == 100:
        x = x[np.abs(x) <= 2]  # which way overflow goes is nothing but rounding
    function = build("f", of(x), lambda x: power(x, full(exponent, dtype, x.shape)))
    program = Program(function)
    (found,), (wanted,) = program.run(x), run(function, x)
    assert_like(found, wanted, 24.0 * max(1, np.abs(exponent) / 10), f"{exponent}")
    if exponent in range(1, 8):
        assert len(program.kernels) == 1


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", ["abs", "real", "imag", "conj", "negative", "isnan", "isinf",
                                  "isfinite"])  # fmt: skip
def test_parts_and_tests(name, dtype):
    x = corners(dtype, with_extremes=True)
    function = build(name, of(x), vocabulary[name])
    (found,), (wanted,) = Program(function).run(x), run(function, x)
    if wanted.dtype == bool:
        np.testing.assert_array_equal(found, wanted)
    else:
        assert_like(found + 0j, wanted + 0j, 2.0, name)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", ["add", "subtract", "equal", "not_equal"])
def test_pairs_of_corners(name, dtype):
    x = corners(dtype, with_extremes=False)
    args = [np.repeat(x, x.size), np.tile(x, x.size)]
    function = build(name, of(*args), vocabulary[name])
    (found,), (wanted,) = Program(function).run(*args), run(function, *args)
    np.testing.assert_array_equal(found, wanted)


def test_signs_of_zero_choose_the_side_of_a_branch_cut():
    above, below = complex(-4.0, 0.0), complex(-4.0, -0.0)
    x = np.array([above, below])
    for op, wanted in ((sqrt, [2j, -2j]), (log, [np.log(4) + np.pi * 1j, np.log(4) - np.pi * 1j])):
        (found,) = Program(build("f", of(x), op)).run(x)
        np.testing.assert_allclose(found, wanted, rtol=1e-15, atol=1e-15)
    # The conjugate of a real number lies below the cut.
    function = build("f", of(x.real), lambda x: sqrt(conj(cast(x, dtype=complex128))))
    np.testing.assert_allclose(Program(function).run(x.real.copy())[0], [-2j, -2j], atol=1e-15)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_values_far_and_near_keep_their_digits(dtype):
    generator = np.random.default_rng(0)
    limit = np.log2(float(np.finfo(dtype.real.numpy).max)) * 0.9
    size = 2.0 ** generator.uniform(-limit, limit, 4000)
    angle = generator.uniform(-np.pi, np.pi, 4000)
    far = (size * np.exp(1j * angle)).astype(dtype.numpy)
    near = (np.exp(1j * angle) * generator.normal(1, 1e-3, 4000)).astype(dtype.numpy)
    for name in ("sqrt", "rsqrt", "log", "asin", "acos", "atan", "asinh", "acosh", "atanh", "sign"):
        for x in (far, near):
            function = build(name, of(x), vocabulary[name])
            (found,), (wanted,) = Program(function).run(x), run(function, x)
            assert_like(found, wanted, 5.0, name)


# Element types ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("other", ["bool", "int8", "uint64", "int32", "float16", "bfloat16",
                                   "float32", "float64", "complex64", "complex128"])  # fmt: skip
def test_casts_to_and_fro(dtype, other):
    other = as_dtype(other)
    x = corners(dtype, with_extremes=False)
    (y,) = random(0, (37,), dtype=dtype)
    back = (np.arange(37) % 5).astype(other.numpy)
    for array, target in ((x, other), (y, other), (back, dtype)):
        function = build("f", of(array), lambda x, target=target: cast(x, dtype=target))
        program = Program(function)
        with np.errstate(all="ignore"):
            found, wanted = program.run(array)[0], run(function, array)[0]
        if target.name == "bfloat16":  # whose NaN NumPy does not know
            found, wanted = found.astype(np.float32), wanted.astype(np.float32)
        np.testing.assert_array_equal(found, wanted)
        if array.dtype != target.numpy:
            assert definitions(program, [array]) == []


@pytest.mark.parametrize("other", ["int64", "uint64", "float64", "complex64"])
def test_bits_of_complex64(other):
    other = as_dtype(other)
    x = corners(complex64, with_extremes=True)
    x = x[~np.isnan(x)]
    there = build("f", of(x), lambda x: vocabulary["bitcast"](x, dtype=other))
    (found,) = Program(there).run(x)
    assert found.tobytes() == x.tobytes() and found.dtype == other.numpy
    back = build("f", of(found), lambda x: vocabulary["bitcast"](x, dtype=complex64))
    assert Program(back).run(found)[0].tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_leaves_are_numbers_positions_and_sizes(dtype):
    b = named("b")

    def body(x):
        where = vocabulary["iota"](dtype=dtype, shape=(b, 3), axis=1)
        count = broadcast(vocabulary["size"](dim=b, dtype=dtype), shape=(b, 3), axes=())
        return add(multiply(x, full(1 - 2j, dtype, (b, 3))), multiply(where, count))

    function = build("f", [tensor_type(dtype, (b, 3))], body)
    program = Program(function)
    for size in (1, 5, 40):
        (x,) = random(size, (size, 3), dtype=dtype)
        np.testing.assert_allclose(program.run(x)[0], run(function, x)[0], rtol=1e-6)
        assert definitions(program, [x]) == []


# What moves, chooses and sums ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_moves_at_odd_sizes(dtype):
    (x,) = random(0, (5, 37, 19), dtype=dtype)

    def body(x):
        y = transpose(reverse(x, axes=(1,)), axes=(2, 0, 1))
        y = slice(y, start=(1, 0, 2), limit=(18, 5, 37), stride=(2, 1, 3))
        wide = pad(y, full(3 - 1j, dtype), low=(1, 0, -1), high=(0, 2, 4), interior=(0, 1, 2))
        joined = concatenate(y, conj(y), slice(y, start=(0, 0, 0), limit=(1, 5, 12),
                                               stride=(1, 1, 1)), axis=0)  # fmt: skip
        shape = tuple(joined.shape)
        flat = reshape(multiply(joined, joined), shape=(shape[0] * shape[1], shape[2]))
        return wide, joined, flat, sum_op(wide, axes=(0, 2)), broadcast(
            sum_op(y, axes=(0,)), shape=(3, *y.shape[1:]), axes=(1, 2))  # fmt: skip

    check(build("f", of(x), body), x, tolerance=40)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_reading_and_writing_at_places_that_are_data(dtype):
    (x, updates) = random(1, (23, 35), (40, 35), dtype=dtype)
    places = np.random.default_rng(0).integers(-3, 26, 40).astype(np.int32)
    start = np.array(4, np.int32)

    def body(x, updates, places, start):
        found = gather(x, places, axes=(0,))
        zero = full(0, int32)
        part = dynamic_slice(x, start, zero, sizes=(5, 35))
        return (
            found,
            sum_op(gather(exp(x), places, axes=(0,)), axes=(0,)),
            part,
            dynamic_update_slice(x, multiply(part, part), zero, zero),
            *(scatter(x, updates, places, axes=(0,), mode=mode) for mode in
              ("set", "add", "multiply")),
            select(less(real(x), imag(x)), x, conj(x)),
        )  # fmt: skip

    check(build("f", of(x, updates, places, start), body), x, updates, places, start, tolerance=40)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_sorts(dtype, axis, descending):
    """By real parts, then imaginary parts, NaN last; ties stay as they were."""
    generator = np.random.default_rng(0)
    row = np.array([0.0, -0.0, 1.0, 2.0, -1.0, np.inf, -np.inf, np.nan], dtype.real.numpy)
    x = np.empty((40, 33), dtype.numpy)
    x.real, x.imag = (generator.choice(row, x.shape) for _ in range(2))
    first = generator.integers(0, 3, x.shape).astype(np.int32)
    place = np.arange(x.size, dtype=np.int32).reshape(x.shape)
    attrs = {"axis": axis, "descending": descending}

    def body(x, first, place):
        return (*items(sort(x, **attrs)), *items(sort(first, x, place, **attrs, keys=2)),
                *items(sort(place, x, **attrs, keys=1)))  # fmt: skip

    function = build("f", of(x, first, place), body)
    program = Program(function)
    given = x, first, place
    for found, wanted in zip(program.run(*given), run(function, *given), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert definitions(program, given) == []


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("axis", [0, 1])
def test_running_sums_and_products(dtype, axis):
    (x,) = random(2, (19, 37), dtype=dtype)

    def body(x):
        return (cumsum(x, axis=axis), cumsum(x, axis=axis, reverse=True),
                cumprod(sign(x), axis=axis), cumprod(sign(x), axis=axis, reverse=True),
                product(sign(x), axes=(axis,)), product(sign(x), axes=(0, 1)),
                sum_op(x, axes=(axis,)), sum_op(x, axes=(0, 1)))  # fmt: skip

    check(build("f", of(x), body), x, tolerance=2000)
    # Minus zero stays what it is in both parts.
    lost = np.full((3, 2), complex(-0.0, -0.0), dtype.numpy)
    (found,) = Program(build("f", of(lost), lambda x: cumsum(x, axis=axis))).run(lost)
    assert np.signbit(found.real).all() and np.signbit(found.imag).all()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("turned", ["", "lhs", "rhs", "both"])
def test_products_of_every_remainder(dtype, turned):
    """Whole numbers, so that every sum is exact: alone, packed, turned while it is packed."""
    generator = np.random.default_rng(0)
    sizes = [(1, 1, 1), (13, 5, 33), (3, 0, 4), (50, 1, 40), (61, 37, 150), (100, 64, 257)]
    for rows, inner, columns in sizes:
        shapes = [(inner, rows) if turned in ("lhs", "both") else (rows, inner),
                  (columns, inner) if turned in ("rhs", "both") else (inner, columns)]  # fmt: skip
        x, y = (
            (generator.integers(-9, 9, each) + 1j * generator.integers(-9, 9, each)).astype(
                dtype.numpy
            )
            for each in shapes
        )
        numbers = {"contract": ((int(turned not in ("lhs", "both")),),
                                (int(turned in ("rhs", "both")),))}  # fmt: skip
        function = build("f", of(x, y), lambda x, y, numbers=numbers: dot(x, y, **numbers))
        program = Program(function)
        np.testing.assert_array_equal(program.run(x, y)[0], run(function, x, y)[0])
        assert definitions(program, [x, y]) == []


def test_products_have_epilogues_batches_and_wider_results():
    b = named("b")

    def body(x, y):
        numbers = {"contract": ((2,), (1,)), "batch": ((0,), (0,))}
        z = dot(x, y, **numbers)
        return tanh(multiply(z, full(0.05, complex64, z.shape))), dot(x, y, **numbers,
                                                                      dtype=complex128)  # fmt: skip

    function = build("f", [tensor_type(complex64, (3, b, 40)), tensor_type(complex64, (3, 40, 70))],
                     body)  # fmt: skip
    program = Program(function)
    for size in (1, 7, 30, 100):
        x, y = random(size, (3, size, 40), (3, 40, 70))
        for found, wanted in zip(program.run(x, y), run(function, x, y), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
        assert definitions(program, [x, y]) == []


def test_long_sums_wait_in_the_result():
    (x, y) = (np.round(each * 4) for each in random(3, (3000, 40), (3000, 50)))
    function = build("f", of(x, y), lambda x, y: dot(x, y, contract=((0,), (0,))))
    program = Program(function)
    np.testing.assert_array_equal(program.run(x, y)[0], run(function, x, y)[0])
    assert program.kernels[0].nest.slices is not None


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"padding": ((1, 1), (2, 0))},
        {"strides": (2, 1), "padding": ((1, 1), (1, 1))},
        {"input_dilation": (2, 2), "padding": ((1, 1), (1, 1))},
        {"input_dilation": (2, 1), "strides": (2, 2)},
        {"kernel_dilation": (1, 2)},
        {"feature_groups": 3},
        {"batch_groups": 2},
    ],
    ids=str,
)
def test_convolutions(attrs, dtype):
    shape = (3, 3, 2 if "feature_groups" in attrs else 6, 18)
    x, kernel = (np.round(each * 4) for each in random(0, (2, 9, 11, 6), shape, dtype=dtype))
    plain = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "input_dilation": (1, 1),
             "kernel_dilation": (1, 1)}  # fmt: skip
    function = build("f", of(x, kernel), lambda x, y: conv(x, y, **(plain | attrs)))
    program = Program(function)
    np.testing.assert_array_equal(program.run(x, kernel)[0], run(function, x, kernel)[0])
    assert definitions(program, [x, kernel]) == []


@pytest.mark.parametrize("size", [(), (0,), (3, 0, 2)])
def test_no_elements_and_scalars(size):
    (x,) = random(0, size)
    axes = tuple(range(len(size)))
    function = build("f", of(x), lambda x: (exp(x), sum_op(sin(x), axes=axes), abs_op(x),
                                            product(x, axes=axes), power(x, x)))  # fmt: skip
    check(function, x, tolerance=16)


def test_one_kernel_for_what_is_done_to_parts():
    """A chain is one kernel, and what nobody asks for is not computed."""
    (x, y) = random(0, (40, 33), (40, 33))
    function = build("f", of(x, y), lambda x, y: abs_op(exp(multiply(tanh(x), sqrt(y)))))
    program = check(function, x, y, tolerance=16)
    assert len(program.kernels) == 1
    program = check(build("f", of(x), lambda x: real(exp(x))), x)
    text = str(program.kernels[0].loops[0])
    assert "cos(" in text and "sin(" not in text


def test_what_two_kernels_need_is_stored_once():
    (x,) = random(0, (64, 200))

    def body(x):
        z = exp(divide(x, add(abs_squared(x), full(1, complex64, x.shape))))
        return sum_op(z, axes=(0,)), sum_op(z, axes=(1,)), z

    program = check(build("f", of(x), body), x, tolerance=64)
    made = [type.dtype for kernel in program.kernels for type in kernel.outputs]
    assert made == [complex64] * 3


def abs_squared(x):
    return multiply(x, conj(x))


def test_results_do_not_depend_on_the_number_of_threads(monkeypatch):
    x, y = random(0, (200, 300), (300, 250))

    def body(x, y):
        z = dot(x, y, contract=((1,), (0,)))
        return exp(divide(z, full(64, complex64, z.shape))), sum_op(z, axes=(1,))

    function = build("f", of(x, y), body)
    alone = [each.copy() for each in Program(function).run(x, y)]
    monkeypatch.setattr(plans, "WORTH_THREADS", 1)
    for found, wanted in zip(Program(function).run(x, y), alone, strict=True):
        np.testing.assert_array_equal(found, wanted)


# Among other things -------------------------------------------------------------------------------


def test_library_segments_take_and_give_complex_arrays():
    (x,) = random(0, (6, 6))
    check(
        build("f", of(x), lambda x: abs_op(fft(multiply(x, x), axes=(0, 1)))),
        x,
        tolerance=64,
        left=["fft"],
    )
    eye = 4 * np.eye(6, dtype=np.complex64)
    check(build("f", of(x), lambda x: exp(solve(add(x, literal(eye)), sin(x)))), x, tolerance=300,
          left=["solve"])  # fmt: skip


def test_carries_of_scans():
    (start, xs) = random(0, (5,), (7, 5))
    types = of(start, start)

    def step(carry, x):
        moved = tanh(add(multiply(carry, carry), x))
        return moved, abs_op(moved), conj(carry)

    body = build("step", types, step)
    function = build("f", of(start, xs), lambda start, xs: items(
        control.scan(start, xs, body=body, constants=0, carries=1, length=7)))  # fmt: skip
    program = Program(function)
    for found, wanted in zip(program.run(start, xs), run(function, start, xs), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert definitions(program, [start, xs]) == []


def test_branches_and_loops_of_complex_values():
    (x,) = random(0, (9,))
    scalar = tensor_type(int32, ())
    turn = full(0.6 + 0.8j, complex64, (9,))
    branches = (build("left", of(x), lambda x: exp(x)), build("right", of(x), lambda x: sign(x)))
    chosen = build("f", [scalar, *of(x)], lambda i, x: items(
        control.switch(i, x, branches=branches)))  # fmt: skip
    types = [scalar, *of(x)]
    looped = build("g", types, lambda i, x: items(control.while_(
        i, x, condition=build("more", types, lambda i, x: less(i, full(5, int32))),
        body=build("body", types, lambda i, x: (add(i, full(1, int32)), multiply(x, turn))),
        constants=0)))  # fmt: skip
    for function in (chosen, looped):
        for index in (0, 1):
            given = np.array(index, np.int32), x
            assert definitions(Program(function), given) == []
            for found, wanted in zip(Program(function).run(*given), run(function, *given),
                                     strict=True):  # fmt: skip
                np.testing.assert_allclose(found, wanted, rtol=1e-5)


DIFFERENTIABLE = ["add", "subtract", "multiply", "divide", "power", "sqrt", "rsqrt", "exp", "expm1",
                  "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh",
                  "asin", "acos", "atan", "asinh", "acosh", "atanh", "abs", "sign", "conj", "real",
                  "imag"]  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives(name):
    """The gradient of a real sum, native beside the definition, with nothing left to it."""
    op = vocabulary[name]
    arrays = [each + (1.5 - 0.5j) for each in random(0, *[(7, 5)] * op.arity, dtype=complex128)]
    inner = build(name, of(*arrays), op)
    (result,) = inner.result_types
    back = vjp(inner)
    slope = np.ones(result.shape, result.dtype.numpy)
    given = (*arrays, slope)
    found, wanted = Program(back).run(*given), run(back, *given)
    assert definitions(Program(back), given) == []
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_a_compiled_function_of_complex_tensors():
    (z, w) = random(0, (4, 4), (4, 4))

    @tw.function
    def loss(z, w):
        return tw.sum(tw.abs(tw.matmul(z, w) - tw.exp(z)))

    former = set_options(backend="native")
    try:
        found = float(loss(tw.asarray(z), tw.asarray(w)))
    finally:
        set_options(backend=former.backend)
    np.testing.assert_allclose(found, np.sum(np.abs(z @ w - np.exp(z))), rtol=1e-5)


# Random programs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(4))
def test_random_programs(block):
    dtypes = (complex64, complex128, float32, int32, bool_)
    for seed in range(30 * block, 30 * block + 30):
        function = random_function(seed, dtypes=dtypes)
        given = arguments(function, seed)
        for stage in PIPELINE:
            function = run_pass(stage, function)
        compare(function, given, Program(function).run(*given), run(function, *given))


def test_every_rule_is_of_an_op_that_takes_complex_numbers():
    for name in RULES:
        op = vocabulary[name]
        if callable(op.samples) and op.arity:
            kinds = {arg.dtype.kind for sample in op.samples() for arg in sample.args}
            assert "c" in kinds, name


def test_a_function_without_complex_numbers_is_left_alone():
    x = tensor_type(float32, (3,))
    function = build("f", [x], lambda x: (cos(x), isnan(x), equal(x, x), subtract(x, x)))
    assert spell_parts(function) is function
    turned = build("f", [x], lambda x: real(complex_of(x, x)))
    assert spell_parts(turned).results == turned.parameters

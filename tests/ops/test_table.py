"""One table: every op, every sample, against its definition; derivatives, batching, refusals."""

import zlib

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ThalwegError
from thalweg.base.table import Absent
from thalweg.ir.function import Function, build, inline
from thalweg.ir.leaves import items, literal
from thalweg.ir.op import vocabulary
from thalweg.ir.parse import parse
from thalweg.ir.show import show
from thalweg.ir.types import as_dtype, complex128, float64, tensor_type
from thalweg.ir.verify import verify
from thalweg.transforms.batch import batch
from thalweg.transforms.evaluate import run
from thalweg.transforms.expand import expand
from thalweg.transforms.gradient import jvp, vjp


def all_samples():
    for op in vocabulary.values():
        if isinstance(op.samples, Absent):
            continue
        for index, sample in enumerate(op.samples()):
            types = ",".join(f"{a.dtype}{list(a.shape)}".replace(" ", "") for a in sample.args)
            yield pytest.param(op, sample, id=f"{op.name}-{index}-{sample.name or types}")


SAMPLES = list(all_samples())
SMOOTH = [
    each
    for each in SAMPLES
    if each.values[1].differentiable
    and any(a.dtype.kind in "fcV" for a in each.values[1].args)
    and all(a.dtype.kind in "biu" or a.dtype in (np.float64, np.complex128)
            for a in each.values[1].args)
]  # fmt: skip
BATCHED = [each for each in SAMPLES if each.values[1].args]


def function_of(op, sample, flat=True) -> Function:
    types = [tensor_type(as_dtype(a.dtype), a.shape) for a in sample.args]
    return build(op.name, types, lambda *args: items(op(*args, **sample.attrs)))


# Operands in which an op has no derivative of the first order, or of the second; they are held.
HELD_FIRST = {"polygamma": (0,), "zeta": (0,), "gammainc_da": (0,), "betainc": (0, 1)}
HELD_SECOND = HELD_FIRST | {"gammainc": (0,), "gammaincc": (0,)}


def held(op, sample, table):
    """The Function of the operands that have a derivative, the others constants, and its args."""
    fixed = table.get(op.name, ())
    free = [index for index in range(len(sample.args)) if index not in fixed]
    args = [sample.args[index] for index in free]

    def body(*inner):
        nodes = dict(zip(free, inner, strict=True))
        operands = (nodes.get(i) or literal(arg) for i, arg in enumerate(sample.args))
        return items(op(*operands, **sample.attrs))

    return build(op.name, [tensor_type(as_dtype(a.dtype), a.shape) for a in args], body), args


def test_the_held_operands_have_no_derivative():
    for table, order in ((HELD_FIRST, 1), (HELD_SECOND, 2)):
        for name in table:
            op = vocabulary[name]
            sample = next(s for s in op.samples() if all(a.dtype == np.float64 for a in s.args))
            function = function_of(op, sample)
            with pytest.raises(ThalwegError, match=r"closed form|an integer"):
                for _ in range(order):
                    function = vjp(function)


def generator(op, sample):
    return np.random.default_rng(zlib.crc32(f"{op.name}{sample.name}".encode()))


def assert_close(found, wanted, tolerance, what=""):
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, what
    if found.dtype.kind == "V":
        # NumPy does not know that a NaN of bfloat16 is one; float32 holds them all.
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    if not tolerance or found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, wanted, err_msg=what)
        return
    wide = np.complex128 if found.dtype.kind == "c" else np.float64
    found, wanted = found.astype(wide), wanted.astype(wide)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted), err_msg=what)
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~finite], wanted[~finite], err_msg=what)
    scale = np.max(np.abs(wanted[finite]), initial=0) + 1e-300
    error = np.max(np.abs(found[finite] - wanted[finite]), initial=0)
    assert error <= tolerance * scale, f"{what}: error {error:.3g} of {scale:.3g}"


def epsilon(array) -> float:
    dtype = as_dtype(array.dtype)
    if not dtype.is_inexact:
        return 0.0
    return {16: 2.0**-7, 32: 2.0**-23, 64: 2.0**-52}[dtype.real.bits]


@pytest.mark.parametrize(("op", "sample"), SAMPLES)
def test_evaluate_has_the_inferred_type_and_text_reads_back(op, sample):
    function = verify(function_of(op, sample))
    results = run(function, *sample.args)
    for result, type in zip(results, function.result_types, strict=True):
        assert result.dtype == type.dtype.numpy
        assert result.shape == type.shape
    if "callback" not in op.name:
        assert parse(show(function)) == function


@pytest.mark.parametrize(("op", "sample"), [s for s in SAMPLES if s.values[0].expand])
def test_expansion_equals_the_definition(op, sample):
    function = function_of(op, sample)
    spelled = verify(expand(function))
    assert not any(node.op.expand for node in spelled.order())
    pairs = zip(run(spelled, *sample.args), run(function, *sample.args), strict=True)
    for found, wanted in pairs:
        tolerance = op.tolerance if sample.tolerance is None else sample.tolerance
        assert_close(found, wanted, tolerance * epsilon(wanted), op.name)


def inner_product(xs, ys) -> float:
    return sum(float(np.sum((np.conj(x) * y).real)) for x, y in zip(xs, ys, strict=True))


def directions(random, arrays):
    """A random real direction for each inexact array, complex where the array is."""
    found = []
    for array in arrays:
        step = random.standard_normal(array.shape)
        if array.dtype.kind == "c":
            step = step + 1j * random.standard_normal(array.shape)
        found.append(step.astype(array.dtype))
    return found


def is_inexact(array) -> bool:
    return array.dtype.kind in "fc"


def check_pullback(function, args, random, tolerance, step=1e-6):
    """The pullback of a Function against central differences along random directions."""
    pulled = vjp(function)
    results = [y for y in run(function, *args) if is_inexact(y)]
    weights = directions(random, results)
    cotangents = iter(run(pulled, *args, *weights))
    for index, arg in enumerate(args):
        if not is_inexact(arg):
            continue
        cotangent = next(cotangents)
        assert cotangent.dtype == arg.dtype and cotangent.shape == arg.shape
        (direction,) = directions(random, [arg])
        moved = []
        for sign in (1, -1):
            inputs = list(args)
            inputs[index] = arg + sign * step * direction
            moved.append([y for y in run(function, *inputs) if is_inexact(y)])
        slopes = [(up - down) / (2 * step) for up, down in zip(*moved, strict=True)]
        wanted = inner_product(weights, slopes)
        found = inner_product([cotangent], [direction])
        scale = max(1.0, abs(wanted), abs(found))
        assert abs(found - wanted) <= tolerance * scale, (
            f"argument {index}: pullback {found:.9g}, differences {wanted:.9g}"
        )


def has_gradient(op) -> bool:
    return bool(op.gradient) or bool(op.expand)


@pytest.mark.parametrize(("op", "sample"), [s for s in SMOOTH if has_gradient(s.values[0])])
def test_first_derivative(op, sample):
    function, args = held(op, sample, HELD_FIRST)
    if not any(type.dtype in (float64, complex128) for type in function.result_types):
        return
    check_pullback(function, args, generator(op, sample), 2e-6)


@pytest.mark.parametrize(("op", "sample"), [s for s in SMOOTH if has_gradient(s.values[0])])
def test_second_derivative(op, sample):
    function, args = held(op, sample, HELD_SECOND)
    if not any(type.dtype in (float64, complex128) for type in function.result_types):
        return
    random = generator(op, sample)
    results = [y for y in run(function, *args) if is_inexact(y)]
    check_pullback(vjp(function), [*args, *directions(random, results)], random, 2e-5)


@pytest.mark.parametrize(("op", "sample"), [s for s in SMOOTH if has_gradient(s.values[0])])
def test_forward_mode_is_the_transpose_of_reverse_mode(op, sample):
    function, args = held(op, sample, HELD_SECOND)
    kept = [i for i, type in enumerate(function.result_types) if type.dtype.is_inexact]
    if not kept:
        return
    random = generator(op, sample)
    pulled, pushed = vjp(function), jvp(function)
    inputs = [a for a in args if is_inexact(a)]
    tangents = directions(random, inputs)
    values = run(pushed, *args, *tangents)
    outputs = values[len(function.results) :]
    weights = directions(random, outputs)
    left = inner_product(weights, outputs)
    right = inner_product(run(pulled, *args, *weights), tangents)
    limit = max(1e-9, *(16 * epsilon(each) for each in (*outputs, *inputs)))
    assert abs(left - right) <= limit * max(1.0, abs(left), abs(right))


@pytest.mark.parametrize(("op", "sample"), BATCHED)
def test_batch_equals_a_loop(op, sample):
    if isinstance(op.batch, Absent) and not op.expand:
        assert op.batch.reason
        return
    function = function_of(op, sample)
    count = len(sample.args)
    masks = {tuple(i == j for i in range(count)) for j in range(count)} | {(True,) * count}
    for mask in sorted(masks):
        stacked = [
            np.stack([arg, np.flip(arg) if arg.ndim else arg]) if is_mapped else arg
            for arg, is_mapped in zip(sample.args, mask, strict=True)
        ]
        whole = run(verify(batch(function, mask, 2)), *stacked)
        for example in range(2):
            args = [
                np.array(arg[example], arg.dtype, order="C") if is_mapped else arg
                for arg, is_mapped in zip(stacked, mask, strict=True)
            ]
            one = run(function, *args)
            for found, wanted in zip(whole, one, strict=True):
                limit = max(op.tolerance, 16 if wanted.dtype.kind in "fcV" else 0)
                assert_close(found[example], wanted, limit * epsilon(wanted), f"{mask} {example}")


REFUSALS = [
    pytest.param(op, refusal, id=f"{op.name}-{index}")
    for op in vocabulary.values()
    if not isinstance(op.refuses, Absent)
    for index, refusal in enumerate(op.refuses())
]


@pytest.mark.parametrize(("op", "refusal"), REFUSALS)
def test_refusals_say_what_is_wanted(op, refusal):
    with pytest.raises(ThalwegError) as caught:
        build(op.name, refusal.args, lambda *args: items(op(*args, **refusal.attrs)))
    message = str(caught.value)
    assert refusal.message in message
    assert f"[{op.name}" in message and "Received" in message


def test_every_refusal_has_its_golden_message(golden):
    lines = []
    for case in sorted(REFUSALS, key=lambda case: case.id):
        op, refusal = case.values
        with pytest.raises(ThalwegError) as caught:
            build(op.name, refusal.args, lambda *args, op=op, refusal=refusal: items(
                op(*args, **refusal.attrs)))  # fmt: skip
        lines.append(caught.value.message)
    golden("refusals", "\n\n".join(lines) + "\n")


@pytest.mark.parametrize("op", list(vocabulary.values()), ids=lambda op: op.name)
def test_every_op_is_complete_or_absent_with_a_reason(op):
    for field in ("gradient", "batch", "cost", "expand", "samples", "refuses"):
        value = getattr(op, field)
        assert value is not None
        if isinstance(value, Absent):
            from_expansion = op.expand and field in ("gradient", "batch", "cost")
            assert value.reason != "not declared" or from_expansion, f"{op.name}.{field}"
    assert op.doc.endswith(".")


LAWFUL = [op for op in vocabulary.values() if op.laws]


@pytest.mark.parametrize("op", LAWFUL, ids=lambda op: op.name)
def test_laws_hold(op):
    known = {"commutative", "associative", "idempotent", "involution", "linear"}
    assert op.laws <= known
    for sample in list(op.samples())[:40] if op.samples else []:
        if not all(np.isfinite(a.astype(complex)).all() for a in sample.args):
            continue
        function = function_of(op, sample)

        def apply(*args, function=function):
            return run(function, *args)[0]

        if "commutative" in op.laws:
            np.testing.assert_array_equal(apply(*sample.args), apply(*sample.args[::-1]))
        if "associative" in op.laws:
            x, y = sample.args
            z = np.flip(x) if x.ndim else x
            z = z.copy()
            np.testing.assert_array_equal(apply(apply(x, y), z), apply(x, apply(y, z)))
        if "idempotent" in op.laws:
            x = sample.args[0]
            np.testing.assert_array_equal(apply(x, x), x)
        if "involution" in op.laws:
            np.testing.assert_array_equal(apply(apply(sample.args[0])), sample.args[0])
        if "linear" in op.laws and all(a.dtype == np.float64 for a in sample.args):
            twice = apply(*(2 * a for a in sample.args))
            np.testing.assert_allclose(twice, 2 * apply(*sample.args))


def test_inline_puts_nodes_in_place_of_parameters():
    op = vocabulary["add"]
    function = build("f", [tensor_type(float64, ())] * 2, op)
    assert inline(function, function.parameters) == list(function.results)

"""dot and conv against NumPy's einsum, a loop over every element, SciPy and PyTorch."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import signal

import thalweg.ops.contract as contract_module
import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ShapeError
from thalweg.ir.dim import named, substitute
from thalweg.ir.function import build
from thalweg.ir.types import (
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    tensor_type,
    uint8,
    uint64,
)
from thalweg.ir.verify import verify
from thalweg.ops.contract import conv, dot
from thalweg.ops.samples import values
from thalweg.transforms.batch import batch
from thalweg.transforms.cost import cost
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp


def function_of(op, *arrays, **attrs):
    types = [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]
    return build(op.name, types, lambda *args: op(*args, **attrs))


def apply(op, *arrays, **attrs):
    return run(function_of(op, *arrays, **attrs), *arrays)[0]


def ops_of(function):
    return {node.op.name for node in function.order()}


# Dot ----------------------------------------------------------------------------------------------


# Rarely empty: one empty axis empties the whole case.
SIZES = st.sampled_from((1, 2, 3, 2, 3, 2, 3, 0))


@st.composite
def dots(draw):
    """Two shapes and axes: every axis has a letter, in any order on either side."""
    sizes = [draw(SIZES) for _ in range(draw(st.integers(0, 6)))]
    letters = "abcdef"[: len(sizes)]
    kinds = [draw(st.sampled_from(("batch", "contract", "lhs", "rhs"))) for _ in letters]
    left = draw(
        st.permutations([x for x, kind in zip(letters, kinds, strict=True) if kind != "rhs"])
    )
    right = draw(
        st.permutations([x for x, kind in zip(letters, kinds, strict=True) if kind != "lhs"])
    )
    stack = draw(
        st.permutations([x for x, kind in zip(letters, kinds, strict=True) if kind == "batch"])
    )
    summed = draw(
        st.permutations([x for x, kind in zip(letters, kinds, strict=True) if kind == "contract"])
    )
    size_of = dict(zip(letters, sizes, strict=True))
    return size_of, left, right, stack, summed


def operands(case, dtype):
    size_of, left, right, stack, summed = case
    x = values([size_of[each] for each in left], dtype, seed=1)
    y = values([size_of[each] for each in right], dtype, seed=2)
    return (
        x,
        y,
        {
            "contract": ([left.index(e) for e in summed], [right.index(e) for e in summed]),
            "batch": ([left.index(e) for e in stack], [right.index(e) for e in stack]),
        },
    )


@settings(max_examples=200)
@given(dots(), st.sampled_from((float32, float64, int32, uint64, as_dtype("complex128"))))
def test_dot_is_an_einsum(case, dtype):
    _, left, right, stack, summed = case
    x, y, attrs = operands(case, dtype)
    found = apply(dot, x, y, **attrs)
    taken = [*stack, *summed]
    kept = [*stack, *(e for e in left if e not in taken), *(e for e in right if e not in taken)]
    wanted = np.einsum(f"{''.join(left)},{''.join(right)}->{''.join(kept)}", x, y)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert found.dtype == x.dtype


@settings(max_examples=100)
@given(dots())
def test_the_gradients_of_dot_are_its_adjoints(case):
    x, y, attrs = operands(case, float64)
    function = function_of(dot, x, y, **attrs)
    z = run(function, x, y)[0]
    dz = values(z.shape, float64, seed=3)
    dx, dy = run(vjp(function), x, y, dz)
    # z is linear in each operand: <dz, z> = <dx, x> = <dy, y>.
    wanted = np.sum(dz * z)
    np.testing.assert_allclose(np.sum(dx * x), wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.sum(dy * y), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [float16, bfloat16])
def test_a_dot_of_16_bit_floats_is_summed_in_float32_and_rounded_once(dtype):
    x, y = values((5, 300), dtype, seed=1), values((300, 4), dtype, seed=2)
    sums = x.astype(np.float32) @ y.astype(np.float32)
    contract = ((1,), (0,))
    np.testing.assert_array_equal(apply(dot, x, y, contract=contract), sums.astype(dtype.numpy))
    np.testing.assert_array_equal(apply(dot, x, y, contract=contract, dtype=float32), sums)


def test_a_float32_dot_into_float64_is_summed_in_float64():
    x = np.array([[2.0**30, 1.0, -(2.0**30)]], np.float32)
    ones = np.ones((1, 3), np.float32)
    assert apply(dot, x, ones, contract=((1,), (1,)), dtype=float64).item() == 1.0


@pytest.mark.parametrize("dtype", [int8, uint8, int16, int32, int64, uint64])
def test_integer_dots_wrap_around(dtype):
    info = np.iinfo(dtype.numpy)
    random = np.random.default_rng(3)
    x = random.integers(info.min, info.max, (3, 70), dtype.numpy, endpoint=True)
    y = random.integers(info.min, info.max, (70, 2), dtype.numpy, endpoint=True)
    exact = x.astype(object) @ y.astype(object)
    for result in (dtype, int64):
        if dtype.kind == "uint" and dtype.bits == 64 and result is int64:
            continue
        found = apply(dot, x, y, contract=((1,), (0,)), dtype=result)
        bits = result.bits
        wanted = [[int(each) % 2**bits for each in row] for row in exact]
        assert [[int(each) % 2**bits for each in row] for row in found] == wanted
        assert found.dtype == result.numpy


def test_small_integers_are_exact_beyond_the_count_that_float64_holds(monkeypatch):
    x = np.full((1, 40), 32767, np.int16)
    wanted = apply(dot, x, x, contract=((1,), (1,)), dtype=int64)
    monkeypatch.setattr(contract_module, "_EXACT_COUNT", 8)
    np.testing.assert_array_equal(apply(dot, x, x, contract=((1,), (1,)), dtype=int64), wanted)
    assert wanted.item() == 40 * 32767**2


@pytest.mark.parametrize("op", [dot, conv])
def test_the_gradient_of_a_wider_result_has_the_operands_types(op):
    attrs = {"contract": ((1,), (0,))}
    x, y = values((2, 3), bfloat16, seed=1), values((3, 4), bfloat16, seed=2)
    if op is conv:
        attrs = plain(0)
    function = function_of(op, x, y, dtype=float32, **attrs)
    pulled = verify(vjp(function))
    assert [str(type) for type in pulled.result_types] == ["bf16[2,3]", "bf16[3,4]"]
    dy = values((2, 4), float32, seed=3)
    wide = [x.astype(np.float32), y.astype(np.float32)]
    found = run(pulled, x, y, dy)
    np.testing.assert_array_equal(found[0], (dy @ wide[1].T).astype(bfloat16.numpy))
    np.testing.assert_array_equal(found[1], (wide[0].T @ dy).astype(bfloat16.numpy))


def test_the_cost_of_a_dot_is_two_flops_a_product_and_eight_for_complex():
    x, y = np.ones((2, 3, 5), np.float32), np.ones((2, 5, 7), np.float32)
    attrs = {"contract": ((2,), (1,)), "batch": ((0,), (0,))}
    assert cost(function_of(dot, x, y, **attrs)).flops == 2 * 2 * 3 * 5 * 7
    z = x.astype(np.complex64), y.astype(np.complex64)
    assert cost(function_of(dot, *z, **attrs)).flops == 8 * 2 * 3 * 5 * 7


def test_a_dense_layer_and_its_gradient_are_three_dots_and_no_transpose():
    x, w = np.ones((5, 3), np.float32), np.ones((3, 2), np.float32)
    function = function_of(dot, x, w, contract=((1,), (0,)))
    assert ops_of(vjp(function)) == {"parameter", "dot"}


def test_dot_takes_named_sizes():
    b, t = named("b"), named("t")
    types = [tensor_type(float32, (b, t, 4)), tensor_type(float32, (b, 4, t))]
    attrs = {"contract": ((2, 1), (1, 2)), "batch": ((0,), (0,))}
    function = build("f", types, lambda x, y: dot(x, y, **attrs))
    assert str(function.result_types[0]) == "f32[b]"
    assert verify(vjp(function)).result_types == tuple(types)
    x, y = values((2, 3, 4), float32), values((2, 4, 3), float32)
    wanted = np.einsum("btc,bct->b", x, y)
    np.testing.assert_allclose(run(function, x, y)[0], wanted, rtol=1e-5)
    assert str(cost(function).flops) == "8*b*t"


# Convolution --------------------------------------------------------------------------------------


def plain(rank, **given):
    ones = (1,) * rank
    attrs = {"strides": ones, "padding": ((0, 0),) * rank, "input_dilation": ones,
             "kernel_dilation": ones}  # fmt: skip
    return attrs | given


def loop(x, kernel, strides, padding, input_dilation, kernel_dilation, feature_groups=1,
         batch_groups=1):  # fmt: skip
    """The definition, one product after another; None where a window does not fit."""
    n, *sizes, _ = x.shape
    *window, depth, outputs = kernel.shape
    positions = []
    for size, k, stride, (low, high), inner, outer in zip(
        sizes, window, strides, padding, input_dilation, kernel_dilation, strict=True
    ):
        free = ((size - 1) * inner + 1 if size else 0) + low + high - ((k - 1) * outer + 1)
        if free < 0 and size:
            return None
        positions.append(max(0, free // stride + 1))
    batch_size = n // batch_groups
    y = np.zeros((batch_size, *positions, outputs), x.dtype)
    groups = feature_groups * batch_groups
    for m, *position, o in np.ndindex(*y.shape):
        group = o // (outputs // groups)
        example = m + group * batch_size if batch_groups > 1 else m
        first = group * depth if feature_groups > 1 else 0
        for k in np.ndindex(*window):
            places = [
                p * s + each * d - low
                for p, s, each, d, (low, _) in zip(
                    position, strides, k, kernel_dilation, padding, strict=True
                )
            ]
            if any(place % d for place, d in zip(places, input_dilation, strict=True)):
                continue
            index = [place // d for place, d in zip(places, input_dilation, strict=True)]
            # What padding crops is not read either: places outside of the padded axis never are.
            if all(0 <= i < size for i, size in zip(index, sizes, strict=True)):
                row = x[(example, *index, slice(first, first + depth))]
                y[(m, *position, o)] += np.sum(row * kernel[(*k, slice(None), o)], dtype=x.dtype)
    return y


@st.composite
def convolutions(draw, ranks=(0, 1, 2, 3)):
    rank = draw(st.sampled_from(ranks))

    def sizes(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    groups = draw(st.sampled_from((1, 1, 2, 3)))
    kind = draw(st.sampled_from(("feature_groups", "batch_groups")))
    by_feature = groups if kind == "feature_groups" else 1
    by_batch = groups if kind == "batch_groups" else 1
    depth, n = draw(SIZES), draw(SIZES)
    outputs = groups * draw(SIZES)
    x = (n * by_batch, *sizes(0, 5), depth * by_feature)
    kernel = (*sizes(1, 3), depth, outputs)
    attrs = {
        "strides": sizes(1, 3),
        "padding": tuple(zip(sizes(-2, 3), sizes(-2, 3), strict=True)),
        "input_dilation": sizes(1, 3),
        "kernel_dilation": sizes(1, 3),
        kind: groups,
    }
    return x, kernel, attrs


@settings(max_examples=300)
@given(convolutions(), st.sampled_from((float64, int32, as_dtype("complex128"))))
def test_conv_is_the_loop(case, dtype):
    x_shape, kernel_shape, attrs = case
    x, kernel = values(x_shape, dtype, seed=1), values(kernel_shape, dtype, seed=2)
    wanted = loop(x, kernel, **attrs)
    if wanted is None:
        with pytest.raises(ShapeError, match="a kernel that fits into the padded axis"):
            apply(conv, x, kernel, **attrs)
        return
    found = apply(conv, x, kernel, **attrs)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("limit", [1, 700, 5000])
def test_conv_in_blocks_is_conv_at_once(monkeypatch, limit):
    x, kernel = values((3, 7, 6, 4), float64), values((3, 2, 2, 6), float64)
    attrs = plain(2, padding=((1, 1), (0, 1)), strides=(1, 2), feature_groups=2)
    wanted = apply(conv, x, kernel, **attrs)
    blocks = []
    inner = contract_module._blocks

    def spy(sizes, place_bytes):
        found = list(inner(sizes, place_bytes))
        blocks[:] = found
        return found

    monkeypatch.setattr(contract_module, "_BLOCK_BYTES", limit)
    monkeypatch.setattr(contract_module, "_blocks", spy)
    np.testing.assert_array_equal(apply(conv, x, kernel, **attrs), wanted)
    assert len(blocks) > 1


def test_a_1x1_kernel_copies_nothing(monkeypatch):
    x, kernel = values((2, 4, 5, 3), float32), values((1, 1, 3, 2), float32)
    factors = []
    matmul = np.matmul

    def spy(lhs, rhs):
        factors.append((lhs, rhs))
        return matmul(lhs, rhs)

    monkeypatch.setattr(contract_module.np, "matmul", spy)
    apply(conv, x, kernel, **plain(2))
    ((lhs, rhs),) = factors
    assert np.shares_memory(lhs, x) and np.shares_memory(rhs, kernel)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_conv_is_scipys_correlation(rank, mode):
    sizes, window = (7, 6, 5)[:rank], (3, 3, 3)[:rank]
    x, kernel = values(sizes, float64, seed=1), values(window, float64, seed=2)
    around = {"valid": 0, "same": 1, "full": 2}[mode]
    found = apply(conv, x[None, ..., None], kernel[..., None, None],
                  **plain(rank, padding=((around, around),) * rank))  # fmt: skip
    wanted = signal.correlate(x, kernel, mode, method="direct")
    np.testing.assert_allclose(found[0, ..., 0], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [float16, bfloat16])
def test_a_conv_of_16_bit_floats_is_summed_in_float32_and_rounded_once(dtype):
    x, kernel = values((2, 6, 8), dtype, seed=1), values((3, 8, 5), dtype, seed=2)
    attrs = plain(1, padding=((1, 1),))
    sums = apply(conv, x.astype(np.float32), kernel.astype(np.float32), **attrs)
    np.testing.assert_array_equal(apply(conv, x, kernel, **attrs), sums.astype(dtype.numpy))
    np.testing.assert_array_equal(apply(conv, x, kernel, dtype=float32, **attrs), sums)


@pytest.mark.parametrize("dtype", [int8, uint8])
def test_small_integers_wrap_around_or_are_summed_in_int32(dtype):
    info = np.iinfo(dtype.numpy)
    random = np.random.default_rng(4)
    x = random.integers(info.min, info.max, (2, 5, 40), dtype.numpy, endpoint=True)
    kernel = random.integers(info.min, info.max, (3, 40, 2), dtype.numpy, endpoint=True)
    attrs = plain(1, padding=((1, 0),))
    wanted = loop(x.astype(np.int64), kernel.astype(np.int64), **attrs)
    np.testing.assert_array_equal(apply(conv, x, kernel, dtype=int32, **attrs), wanted)
    np.testing.assert_array_equal(apply(conv, x, kernel, **attrs), wanted.astype(dtype.numpy))


def torch_layout(torch, x, kernel):
    return (
        torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))).requires_grad_(),
        torch.from_numpy(
            np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1)))
        ).requires_grad_(),
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_conv_and_its_gradients_are_pytorchs(rank, stride, dilation, groups):
    torch = pytest.importorskip("torch")
    x = values((2, *(7, 6, 5)[:rank], 4), float64, seed=1)
    kernel = values((*(3, 2, 2)[:rank], 4 // groups, 8), float64, seed=2)
    attrs = plain(rank, strides=(stride,) * rank, kernel_dilation=(dilation,) * rank,
                  padding=((1, 1),) * rank, feature_groups=groups)  # fmt: skip
    function = function_of(conv, x, kernel, **attrs)
    theirs = torch_layout(torch, x, kernel)
    y = getattr(torch.nn.functional, f"conv{rank}d")(
        *theirs, stride=stride, padding=1, dilation=dilation, groups=groups
    )
    found = run(function, x, kernel)[0]
    np.testing.assert_allclose(found, np.moveaxis(y.detach().numpy(), 1, -1), rtol=1e-11)
    dy = values(found.shape, float64, seed=3)
    y.backward(torch.from_numpy(np.ascontiguousarray(np.moveaxis(dy, -1, 1))))
    dx, dkernel = run(vjp(function), x, kernel, dy)
    np.testing.assert_allclose(dx, np.moveaxis(theirs[0].grad.numpy(), 1, -1), atol=1e-11)
    np.testing.assert_allclose(
        dkernel, np.moveaxis(theirs[1].grad.numpy(), (0, 1), (-1, -2)), atol=1e-11
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "extra"), [(1, 0, 0), (2, 1, 0), (3, 2, 1)])
def test_a_transposed_conv_is_a_conv_of_a_dilated_input(rank, stride, padding, extra):
    torch = pytest.importorskip("torch")
    x = values((2, *(3, 4, 2)[:rank], 3), float64, seed=1)
    # PyTorch's kernel is that of the forward convolution: [in, out, spatial...], not reversed.
    kernel = values((*(3, 2, 3)[:rank], 5, 3), float64, seed=2)
    ours = np.flip(kernel, range(rank)).swapaxes(-1, -2)
    sides = tuple((k - 1 - padding, k - 1 - padding + extra) for k in kernel.shape[:rank])
    found = apply(conv, x, np.ascontiguousarray(ours),
                  **plain(rank, input_dilation=(stride,) * rank, padding=sides))  # fmt: skip
    y = getattr(torch.nn.functional, f"conv_transpose{rank}d")(
        *torch_layout(torch, x, kernel), stride=stride, padding=padding, output_padding=extra
    )
    np.testing.assert_allclose(found, np.moveaxis(y.detach().numpy(), 1, -1), atol=1e-11)


@settings(max_examples=100)
@given(convolutions(ranks=(1, 2)))
def test_every_derivative_of_conv_is_made_of_conv(case):
    x_shape, kernel_shape, attrs = case
    x, kernel = values(x_shape, float64, seed=1), values(kernel_shape, float64, seed=2)
    assume(loop(x, kernel, **attrs) is not None)
    function = function_of(conv, x, kernel, **attrs)
    first = vjp(function)
    second = verify(vjp(first))
    movement = {"parameter", "constant", "conv", "transpose", "reverse", "reshape", "add"}
    assert ops_of(second) <= movement
    assert first.result_types == function.parameter_types
    assert second.result_types == first.parameter_types


@settings(max_examples=100)
@given(convolutions(ranks=(1,)))
def test_the_gradients_of_conv_are_its_adjoints(case):
    x_shape, kernel_shape, attrs = case
    x, kernel = values(x_shape, float64, seed=1), values(kernel_shape, float64, seed=2)
    assume(loop(x, kernel, **attrs) is not None)
    function = function_of(conv, x, kernel, **attrs)
    y = run(function, x, kernel)[0]
    dy = values(y.shape, float64, seed=3)
    dx, dkernel = run(vjp(function), x, kernel, dy)
    # y is linear in each operand: <dy, y> = <dx, x> = <dkernel, kernel>.
    wanted = np.sum(dy * y)
    np.testing.assert_allclose(np.sum(dx * x), wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.sum(dkernel * kernel), wanted, rtol=1e-9, atol=1e-9)


@settings(max_examples=100)
@given(convolutions(ranks=(1,)), st.sampled_from(((True, False), (False, True), (True, True))),
       SIZES)  # fmt: skip
def test_a_batch_of_convolutions_repeats_no_data(case, mapped, count):
    x_shape, kernel_shape, attrs = case
    x, kernel = values(x_shape, float64, seed=1), values(kernel_shape, float64, seed=2)
    assume(loop(x, kernel, **attrs) is not None)
    function = function_of(conv, x, kernel, **attrs)
    batched = verify(batch(function, mapped, count))
    assert "broadcast" not in ops_of(batched)
    args = [
        values((count, *array.shape), float64, seed=5) if is_mapped else array
        for array, is_mapped in zip((x, kernel), mapped, strict=True)
    ]
    found = run(batched, *args)[0]
    assert len(found) == count
    for index in range(count):
        one = [arg[index] if m else arg for arg, m in zip(args, mapped, strict=True)]
        np.testing.assert_allclose(found[index], run(function, *one)[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mapped", [(True, False), (False, True), (True, True)])
def test_a_batch_of_dots_repeats_no_data(mapped):
    x, y = values((2, 3), float64), values((3, 4), float64)
    batched = batch(function_of(dot, x, y, contract=((1,), (0,))), mapped, 5)
    assert "broadcast" not in ops_of(batched)


def test_gradients_of_single_examples_are_one_grouped_conv():
    x, kernel = values((1, 6, 3), float64, seed=1), values((3, 3, 4), float64, seed=2)
    pulled = vjp(function_of(conv, x, kernel, **plain(1)))
    examples = values((5, *x.shape), float64, seed=3)
    dys = values((5, 1, 4, 4), float64, seed=4)
    batched = verify(batch(pulled, (True, False, True), 5))
    assert "broadcast" not in ops_of(batched)
    found = run(batched, examples, kernel, dys)
    for index in range(5):
        one = run(pulled, examples[index], kernel, dys[index])
        np.testing.assert_allclose(found[0][index], one[0], atol=1e-12)
        np.testing.assert_allclose(found[1][index], one[1], atol=1e-12)


SYMBOLIC = [
    plain(1),
    plain(1, padding=((1, 1),)),
    plain(1, strides=(2,), padding=((0, 1),)),
    plain(1, strides=(3,), kernel_dilation=(2,), padding=((2, 2),)),
    plain(1, input_dilation=(2,), padding=((2, 2),)),
    plain(1, input_dilation=(3,), strides=(2,), padding=((-1, 3),)),
    plain(1, strides=(2,)),
]


@pytest.mark.parametrize("attrs", SYMBOLIC, ids=str)
def test_conv_takes_named_sizes_in_every_derivative(attrs):
    b, t = named("b"), named("t")
    types = [tensor_type(float64, (b, t, 2)), tensor_type(float64, (3, 2, 4))]
    function = build("f", types, lambda x, kernel: conv(x, kernel, **attrs))
    first = verify(vjp(function))
    second = verify(vjp(first))
    assert first.result_types == function.parameter_types
    assert second.result_types == first.parameter_types
    for size in range(1, 9):
        x, kernel = values((2, size, 2), float64, seed=1), values((3, 2, 4), float64, seed=2)
        wanted = loop(x, kernel, **attrs)
        found = run(function, x, kernel)[0]
        inferred = [
            substitute(each, {"b": 2, "t": size}) for each in function.result_types[0].shape
        ]
        assert list(found.shape) == inferred
        if wanted is None:
            # What is refused for a number is empty for a named size.
            assert found.size == 0
            wanted = found
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
        dy = values(found.shape, float64, seed=3)
        dx, dkernel = run(first, x, kernel, dy)
        np.testing.assert_allclose(np.sum(dx * x), np.sum(dy * found), atol=1e-9)
        np.testing.assert_allclose(np.sum(dkernel * kernel), np.sum(dy * found), atol=1e-9)
        shapes = [each.shape for each in run(second, x, kernel, dy, x, kernel)]
        assert shapes == [x.shape, kernel.shape, dy.shape]


def test_conv_is_batched_and_grouped_by_a_named_size():
    n, b = named("n"), named("b")
    types = [tensor_type(float32, (b, 6, 4)), tensor_type(float32, (3, 2, 6))]
    attrs = plain(1, feature_groups=2)
    function = build("f", types, lambda x, kernel: conv(x, kernel, **attrs))
    for mapped in ((True, False), (False, True), (True, True)):
        batched = verify(batch(function, mapped, n))
        assert str(batched.result_types[0]) == "f32[n,b,4,6]"
        assert verify(vjp(batched)).result_types == batched.parameter_types
        twice = verify(batch(batched, (True, True), 3))
        assert str(twice.result_types[0]) == "f32[3,n,b,4,6]"
    x, kernel = values((3, 2, 6, 4), float32, seed=1), values((3, 3, 2, 6), float32, seed=2)
    found = run(batched, x, kernel)[0]
    for index in range(3):
        wanted = loop(x[index], kernel[index], **attrs)
        np.testing.assert_allclose(found[index], wanted, rtol=1e-4, atol=1e-5)


def test_the_cost_of_a_conv_is_two_flops_a_product():
    x, kernel = np.ones((2, 8, 8, 4), np.float32), np.ones((3, 3, 2, 6), np.float32)
    function = function_of(conv, x, kernel, **plain(2, feature_groups=2))
    assert cost(function).flops == 2 * (2 * 6 * 6 * 6) * (3 * 3 * 2)

"""Contractions and windows in the forms that a nest computes: which apply, and values are kept."""

import functools
import itertools

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.backends.llvm import native
from thalweg.backends.llvm.targets import host
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.op import vocabulary
from thalweg.ir.types import as_dtype, float32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.contract import conv, dot
from thalweg.ops.index import scatter
from thalweg.ops.movement import slice, transpose
from thalweg.ops.reduce import argmax
from thalweg.ops.window import window_max, window_pick, window_scatter, window_sum
from thalweg.passes.arrange import arrange
from thalweg.passes.families import REDUCTIONS
from thalweg.transforms.evaluate import run

is_native = functools.partial(native.is_native, target=host())


def check(body, *arrays, tolerance=0.0) -> Function:
    """The arranged Function, which has the value of what it was made from."""
    types = [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]
    function = build("f", types, body)
    result = verify(arrange(function))
    assert result.result_types == function.result_types
    for found, wanted in zip(run(result, *arrays), run(function, *arrays), strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        if tolerance:
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(found, wanted)
    return result


def names(function: Function) -> list[str]:
    return [node.op.name for node in function.order() if node.op.name != "parameter"]


def random(*shape, seed=0, dtype=np.float32):
    return np.asarray(np.random.default_rng(seed).normal(size=shape)).astype(dtype)


PLAIN = {"strides": (1,), "padding": ((0, 0),), "input_dilation": (1,), "kernel_dilation": (1,),
         "feature_groups": 1, "batch_groups": 1}  # fmt: skip


@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (2, 3), (-1, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_padded_and_grouped_convolutions_stay_as_they_are(padding, groups):
    attrs = PLAIN | {"padding": (padding,), "feature_groups": groups}
    kernel = random(3, 4 // groups, 4, seed=1)
    result = check(lambda x, k: conv(x, k, **attrs), random(2, 6, 4), kernel)
    assert names(result) == ["conv"] and is_native(result.results[0])


SPREAD = [
    (size, width, dilation, padding)
    for size, width, dilation, padding in itertools.product(
        (1, 4, 7), (1, 2, 3, 5), (1, 2, 3), ((0, 0), (1, 0), (3, 2), (-1, 5))
    )
    if dilation * (size - 1) + 1 + sum(padding) >= width
]


@pytest.mark.parametrize(("size", "width", "dilation", "padding"), SPREAD)
def test_convolutions_of_spread_input_go_by_phase(size, width, dilation, padding):
    attrs = PLAIN | {
        "strides": (1, 1), "padding": (padding, (1, 0)), "input_dilation": (dilation, 2),
        "kernel_dilation": (1, 1),
    }  # fmt: skip
    result = check(
        lambda x, k: conv(x, k, **attrs), random(2, size, 4, 3), random(width, 2, 3, 2, seed=1),
        tolerance=1e-5,
    )  # fmt: skip
    convolutions = [node for node in result.order() if node.op is conv]
    # A place between the elements that no place of the kernel meets needs no convolution.
    assert len(convolutions) == min(dilation, width) * 2
    assert all(is_native(node) for node in convolutions)


@pytest.mark.parametrize(("stride", "spread"), [(2, 1), (1, 2), (3, 2)])
def test_convolutions_of_spread_input_with_steps_of_their_own(stride, spread):
    attrs = PLAIN | {"strides": (stride,), "padding": ((1, 2),), "input_dilation": (2,),
                     "kernel_dilation": (spread,)}  # fmt: skip
    result = check(
        lambda x, k: conv(x, k, **attrs), random(2, 7, 3), random(3, 3, 2, seed=1), tolerance=1e-5
    )
    assert names(result) == ["constant", "pad", "conv"]
    assert all(is_native(node) for node in result.order() if node.op is conv)


def test_convolutions_of_nothing_are_nothing():
    padded = PLAIN | {"padding": ((1, 1),), "input_dilation": (2,)}
    empty = check(lambda x, k: conv(x, k, **padded), random(0, 6, 4), random(3, 4, 4))
    assert names(empty) == ["constant"]


def test_a_batch_of_any_size_goes_by_phase():
    b = named("b")
    attrs = PLAIN | {"padding": ((1, 1),), "input_dilation": (2,)}
    types = [tensor_type(float32, (b, 6, 4)), tensor_type(float32, (3, 4, 2))]
    function = build("f", types, lambda x, k: conv(x, k, **attrs))
    result = verify(arrange(function))
    assert names(result).count("conv") == 2 and "pad" not in names(result)
    x, k = random(5, 6, 4), random(3, 4, 2)
    np.testing.assert_allclose(run(result, x, k)[0], run(function, x, k)[0], rtol=1e-5, atol=1e-6)


DOTS = [
    # lhs, rhs, contract, batch, is the second operand turned
    ((3, 4), (4, 5), ((1,), (0,)), ((), ()), False),
    ((3, 4), (5, 4), ((1,), (1,)), ((), ()), True),
    ((4, 3), (5, 4), ((0,), (1,)), ((), ()), True),
    ((4, 3), (4, 5), ((0,), (0,)), ((), ()), False),
    ((2, 3, 4), (2, 5, 4), ((2,), (2,)), ((0,), (0,)), True),
    ((3, 4, 2), (5, 2, 4), ((1,), (2,)), ((2,), (1,)), True),
    ((3, 4, 6), (6, 5, 4), ((1, 2), (2, 0)), ((), ()), True),
    ((3, 4), (4,), ((1,), (0,)), ((), ()), False),
    ((4,), (5, 4), ((0,), (1,)), ((), ()), True),
    ((3, 0), (5, 0), ((1,), (1,)), ((), ()), True),
    ((3, 4), (2, 5, 4), ((1,), (2,)), ((), ()), True),
]


@pytest.mark.parametrize(("lhs", "rhs", "contract", "batch", "is_turned"), DOTS)
def test_products(lhs, rhs, contract, batch, is_turned):
    result = check(
        lambda x, y: dot(x, y, contract=contract, batch=batch),
        random(*lhs), random(*rhs, seed=1), tolerance=1e-5,
    )  # fmt: skip
    assert names(result) == (["transpose", "dot"] if is_turned else ["dot"])


@pytest.mark.parametrize("name", ["window_max", "window_min", "window_sum"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "uint8"])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 0), (0, 2)), ((2, 2), (1, 1))])
@pytest.mark.parametrize("dilation", [1, 2])
def test_reducing_windows(name, dtype, padding, dilation):
    x = np.random.default_rng(0).integers(0, 9, (7, 6)).astype(as_dtype(dtype).numpy)
    result = check(
        lambda x: vocabulary[name](
            x, window=(3, 2), strides=(2, 1), padding=padding, input_dilation=(dilation, 1),
            window_dilation=(1, 2),
        ),
        x,
    )  # fmt: skip
    assert names(result) == (["constant", "pad", name] if dilation > 1 else [name])
    assert name in REDUCTIONS and is_native(result.results[0])


def test_windows_of_padding_alone_and_of_nan():
    x = np.array([np.nan, 1, -np.inf, np.inf, -0.0, 2], np.float32)
    for op in (window_max, vocabulary["window_min"], window_sum):
        check(
            lambda x, op=op: op(
                x, window=(2,), strides=(1,), padding=((3, 3),), input_dilation=(1,),
                window_dilation=(1,),
            ),
            x,
        )  # fmt: skip
    empty = check(
        lambda x: window_max(
            x, window=(2, 1), strides=(1, 1), padding=((1, 1), (0, 0)), input_dilation=(1, 1),
            window_dilation=(1, 1),
        ),
        np.zeros((3, 0), np.float32),
    )  # fmt: skip
    assert names(empty) == ["constant"]


# Gradients of extrema -----------------------------------------------------------------------------

TIES = np.array([1, 1, 2, 2, np.nan, 0, 3, np.nan, -np.inf, -np.inf, np.inf, np.inf], np.float32)
"""Values among which windows have ties, NaN, and infinities only."""


def tiled(window):
    rank = len(window)
    return {"window": window, "strides": window, "padding": ((0, 0),) * rank,
            "input_dilation": (1,) * rank, "window_dilation": (1,) * rank}  # fmt: skip


@pytest.mark.parametrize("direction", ["max", "min"])
@pytest.mark.parametrize(
    ("shape", "window"),
    [((12,), (2,)), ((12,), (5,)), ((7, 6), (2, 3)), ((2, 8, 7, 3), (1, 2, 2, 1)),
     ((5, 4), (1, 4)), ((4, 4), (4, 4)), ((0, 3), (4, 1)), ((4, 6), (1, 1))],
)  # fmt: skip
def test_windows_side_by_side(direction, shape, window):
    count = int(np.prod(shape))
    attrs = tiled(window) | {"direction": direction}
    outputs = tuple(size // width for size, width in zip(shape, window, strict=True))
    for seed in range(4):
        generator = np.random.default_rng(seed)
        x = (generator.permutation(np.resize(TIES, count)) if seed % 2 else
             generator.integers(0, 3, count).astype(np.float32)).reshape(shape)  # fmt: skip
        dy, y = random(*outputs, seed=seed), random(*shape, seed=seed)
        scattered = check(lambda x, dy: window_scatter(x, dy, **attrs), x, dy)
        picked = check(lambda x, y: window_pick(x, y, **attrs), x, y)
        is_split = count > 0 and any(width > 1 for width in window)
        for result, op in ((scattered, "scatter"), (picked, "gather")):
            assert f"window_{op}" not in names(result) and "window_pick" not in names(result)
            # Windows of one place each have no extremum to look for side by side.
            assert (op in names(result)) == (count > 0 and not is_split)


@pytest.mark.parametrize("name", ["window_max", "window_min"])
@pytest.mark.parametrize(
    ("shape", "window"), [((12,), (5,)), ((3, 4), (1, 2)), ((4, 3), (1, 1)), ((0, 4), (1, 2))]
)
def test_extrema_side_by_side(name, shape, window):
    for seed in range(4):
        x = np.random.default_rng(seed).permutation(np.resize(TIES, int(np.prod(shape))))
        check(lambda x: vocabulary[name](x, **tiled(window)), x.reshape(shape))


def test_integers_side_by_side():
    x = np.random.default_rng(0).integers(0, 3, (6, 6)).astype(np.int32)
    for direction, axis in itertools.product(("max", "min"), (0, 1)):
        attrs = tiled((3, 1) if axis else (1, 3)) | {"direction": direction}
        dy = random(2, 6) if axis else random(6, 2)
        check(lambda x, dy, attrs=attrs: window_scatter(x, dy, **attrs), x, dy)


@pytest.mark.parametrize("direction", ["max", "min"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (1, 2)])
@pytest.mark.parametrize(("width", "stride"), [(1, 2), (2, 1), (3, 1), (3, 2), (2, 3)])
def test_gradients_of_windows_that_overlap(direction, dtype, padding, width, stride):
    attrs = tiled((1, 1, 2)) | {
        "window": (1, width, 2), "strides": (1, stride, 1), "padding": ((0, 0), padding, (1, 0)),
    }  # fmt: skip
    for seed in range(3):
        generator = np.random.default_rng(seed)
        x = generator.integers(-2, 3, (2, 7, 5)).astype(dtype)
        if dtype == "float32" and seed:
            x = generator.permutation(np.resize(TIES, 70)).reshape(2, 7, 5)
        (y,) = run(build("f", [tensor_type(as_dtype(dtype), x.shape)],
                         lambda x: window_max(x, **attrs)), x)  # fmt: skip
        dy = random(*y.shape, seed=seed)
        result = check(
            lambda x, dy: window_scatter(x, dy, **attrs, direction=direction), x, dy,
            tolerance=1e-6,
        )  # fmt: skip
        assert "window_scatter" not in names(result)


@pytest.mark.parametrize("change", [{"window": (13,), "strides": (1,)}, {"window_dilation": (2,)}])
def test_gradients_of_large_and_of_spread_windows_go_to_positions(change):
    attrs = tiled((2,)) | change | {"direction": "max"}
    x = np.resize(TIES, 15)
    out = run(build("f", [tensor_type(float32, (15,))], lambda x: window_max(
        x, **{k: v for k, v in attrs.items() if k != "direction"})), x)[0]  # fmt: skip
    dy = random(*out.shape)
    found = names(check(lambda x, dy: window_scatter(x, dy, **attrs), x, dy))
    assert "scatter" in found and "window_scatter" not in found


# Positions and narrow sums ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["int8", "int64"])
def test_positions_of_extrema(name, dtype):
    for shape, axis in (((12,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 1, 3), 1)):
        for seed in range(3):
            x = np.random.default_rng(seed).permutation(np.resize(TIES, int(np.prod(shape))))
            attrs = {"axis": axis, "dtype": as_dtype(dtype)}
            result = check(lambda x: vocabulary[name](x, **attrs), x.reshape(shape))  # noqa: B023
            assert name not in names(result)


def test_positions_along_an_axis_that_may_be_empty():
    b = named("b")

    def body(x):
        cut = slice(x, start=(0, 0), limit=(b - 1, 3), stride=(1, 1))
        return argmax(cut, axis=0)

    function = build("f", [tensor_type(float32, (b, 3))], body)
    result = verify(arrange(function))
    assert "argmax" not in names(result)
    for size in (1, 2, 5):
        x = random(size, 3)
        np.testing.assert_array_equal(run(result, x)[0], run(function, x)[0])


def test_sums_of_narrow_floats_are_scattered_in_a_wider_type():
    x, y, i = np.ones((2, 3), np.float16), np.full((9, 3), 2e-4, np.float16), np.zeros(9, np.int32)
    for mode, is_wide in (("add", True), ("multiply", True), ("max", False), ("set", False)):
        result = check(lambda *args: scatter(*args, axes=(0,), mode=mode), x, y, i)  # noqa: B023
        assert ("cast" in names(result)) == is_wide
        assert is_native(result.results[0])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 2), (-1, 1)])
@pytest.mark.parametrize("window, channels", [(3, 3), (2, 7), (5, 2), (1, 4)])
def test_the_gradient_of_a_kernel_with_few_channels(window, channels, padding, stride):
    """Against the same convolution with a channel more, which stays as it is."""
    count = 6
    places = (count - 1) * stride + window - sum(padding)
    attrs = PLAIN | {"strides": (1, 1), "padding": ((1, 0), padding), "input_dilation": (1, 1),
                     "kernel_dilation": (2, stride)}  # fmt: skip

    def gradient(x, dy):
        return conv(transpose(x, axes=(3, 1, 2, 0)), transpose(dy, axes=(1, 2, 0, 3)), **attrs)

    x, dy = random(4, 7, places, channels), random(4, 3, count, 5, seed=1)
    result = check(gradient, x, dy, tolerance=1e-4)
    (product,) = [node for node in result.order() if node.op is conv]
    assert product.shape[:1] == (1,) and product.shape[2] == channels * window
    many = np.concatenate([x, *[x[..., :1]] * 8], axis=-1)
    whole = check(gradient, many, dy, tolerance=1e-4)
    assert names(whole) == ["transpose", "transpose", "conv"]
    np.testing.assert_allclose(
        run(result, x, dy)[0], run(whole, many, dy)[0][:channels], rtol=1e-4, atol=1e-4
    )


def test_transposes_that_meet():
    x = random(2, 3, 4)
    axes = (2, 0, 1)
    twice = check(lambda x: transpose(transpose(x, axes=axes), axes=axes), x)
    assert names(twice) == ["transpose"]
    back = check(lambda x: transpose(transpose(x, axes=axes), axes=(1, 2, 0)), x)
    assert names(back) == []


@pytest.mark.parametrize("name", ["sum", "max", "min", "product"])
@pytest.mark.parametrize(
    "shape, axes, first",
    [
        ((8, 32, 32, 3), (0, 1, 2), (1, 2)),
        ((9, 2000), (0, 1), (1,)),
        ((2, 3, 5, 1100), (0, 1, 2, 3), (3,)),
        ((4, 9, 1100), (1, 2), (2,)),
    ],
)
def test_many_to_few_in_parts(name, shape, axes, first):
    x = 1 + random(*shape) / 1000
    result = check(lambda x: vocabulary[name](x, axes=axes), x, tolerance=1e-4)
    assert next(node.attributes["axes"] for node in result.order()[1:]) == first
    assert names(result) == [name] * 2


@pytest.mark.parametrize(
    "shape, axes, dtype",
    [
        ((7, 5000), (0, 1), np.float32),  # few parts
        ((100, 1000), (0, 1), np.float32),  # short ones
        ((100, 5000), (1,), np.float32),  # one axis
        ((8, 2000, 600), (0, 1), np.float32),  # many results
        ((9, 2000), (0, 1), np.float16),  # parts would be rounded
        ((0, 2000), (0, 1), np.float32),
    ],
)
def test_reductions_that_stay_whole(shape, axes, dtype):
    function = build("f", [tensor_type(as_dtype(np.dtype(dtype)), shape)],
                     lambda x: vocabulary["sum"](x, axes=axes))  # fmt: skip
    assert names(verify(arrange(function))) == ["sum"]


def test_a_batch_of_any_size_is_summed_in_parts():
    function = build("f", [tensor_type(float32, (named("b"), 40, 40))],
                     lambda x: vocabulary["sum"](x, axes=(0, 1, 2)))  # fmt: skip
    result = verify(arrange(function))
    assert names(result) == ["sum"] * 2
    x = random(3, 40, 40)
    np.testing.assert_allclose(run(result, x)[0], x.sum(), rtol=1e-5)

"""keras.ops.nn: convolutions, pools and patches against real Keras; element types, refusals."""

import itertools

import numpy as np
import pytest
from tests.keras.ops.gradients import Case, Oracle, close, numbers

from thalweg.base.errors import ArgumentError, ShapeError
from thalweg.engine.tensor import node_of
from thalweg.ir.walk import postorder
from thalweg.keras import settings as keras_settings
from thalweg.keras.ops import nn
from thalweg.keras.symbol import KerasTensor

LAST, FIRST = "channels_last", "channels_first"


def image(*shape, layout=LAST):
    """[N, spatial..., C] in a layout."""
    x = numbers(*shape)
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if layout == FIRST else x


def convolutions():
    both = {"of": (0, 1), "symbols": (0,), "tolerance": 1e-4}
    for padding, strides, dilation in itertools.product(("valid", "same"), (1, 2), (1, 2)):
        settings = {"padding": padding, "strides": strides, "dilation_rate": dilation}
        yield Case("conv", (image(2, 9, 3), numbers(4, 3, 5)), settings, **both)
        if strides == 1 or dilation == 1:
            layout = FIRST if padding == "same" else LAST
            settings = {**settings, "data_format": layout}
            x = image(2, 7, 6, 4, layout=layout)
            yield Case("conv", (x, numbers(3, 2, 4, 3)), settings, **both)
            yield Case("depthwise_conv", (x, numbers(3, 2, 4, 2)), settings, **both)
            yield Case(
                "separable_conv",
                (x, numbers(3, 2, 4, 2), numbers(1, 1, 8, 3)),
                settings,
                of=(0, 1, 2) if dilation == 1 else (),
                tolerance=1e-4,
            )
    yield Case("conv", (image(1, 4, 5, 4, 2), numbers(2, 3, 2, 2, 3)), {"padding": "SAME"}, **both)
    yield Case(
        "conv",
        (image(1, 4, 5, 4, 2, layout=FIRST), numbers(2, 3, 2, 2, 3)),
        {"strides": (2, 1, 2), "data_format": FIRST},
        **both,
    )
    yield Case("conv", (image(2, 5, 6, 4), numbers(3, 3, 2, 6)), {"padding": "same"}, **both)
    yield Case("conv", (image(2, 5, 6, 4), numbers(1, 1, 1, 8)), {"strides": (2, 3)}, **both)
    yield Case("depthwise_conv", (image(2, 8, 3), numbers(3, 3, 2)), {"strides": 2}, **both)
    yield Case(
        "separable_conv",
        (image(2, 8, 3), numbers(3, 3, 2), numbers(1, 6, 4)),
        {"padding": "same"},
        tolerance=1e-4,
    )


def transposed_convolutions():
    for padding, strides, width, extra in itertools.product(
        ("valid", "same"), (1, 2, 3), (2, 3, 4), (None, 0, 1)
    ):
        if extra is not None and extra >= strides:
            continue
        settings = {"padding": padding, "strides": strides, "output_padding": extra}
        x = image(2, 4, 3)
        yield Case("conv_transpose", (x, numbers(width, 2, 3)), settings, of=(), tolerance=1e-4)
    for padding, dilation in itertools.product(("valid", "same"), (1, 2)):
        settings = {"padding": padding, "strides": 1 if dilation > 1 else (2, 3),
                    "dilation_rate": dilation, "data_format": FIRST}  # fmt: skip
        x = image(2, 4, 3, 4, layout=FIRST)
        yield Case("conv_transpose", (x, numbers(3, 2, 5, 4)), settings, of=(0, 1), tolerance=1e-4)


def pools():
    for name, padding in itertools.product(("max_pool", "average_pool"), ("valid", "same")):
        settings = {"padding": padding}
        yield Case(name, (image(2, 9, 3), 2, 2), settings)
        yield Case(name, (image(2, 9, 3), (3,), (1,)), settings)
        yield Case(name, (image(2, 7, 6, 3), (2, 3), (2, 3)), settings)
        x = image(2, 7, 6, 3, layout=FIRST)
        yield Case(name, (x, (3, 2), 2), {**settings, "data_format": FIRST})
        yield Case(name, (image(1, 4, 5, 4, 2), 2, (1, 2, 1)), settings)
        yield Case(name, (numbers(2, 9, 3).astype("float16"), 2, 2), settings, of=())
        yield Case(name, ((numbers(2, 9, 3) * 50).astype("int32"), 2, 2), settings, of=())
    for name in ("adaptive_max_pool", "adaptive_average_pool"):
        yield Case(f"nn.{name}", (image(2, 9, 3), 4))
        yield Case(f"nn.{name}", (image(2, 8, 6, 3), (4, 3)))
        yield Case(f"nn.{name}", (image(2, 7, 5, 3), (3, 4)))
        x = image(2, 7, 6, 3, layout=FIRST)
        yield Case(f"nn.{name}", (x, 3), {"data_format": FIRST})
        yield Case(f"nn.{name}", (image(1, 4, 5, 3, 2), (2, 3, 2)))


def patches():
    x = numbers(2, 3, 5, 6)
    for settings in (
        {}, {"stride": 2}, {"dilation": 2}, {"padding": 1}, {"padding": (1, 0)},
        {"stride": (2, 3), "padding": 1}, {"dilation": (2, 1), "stride": 2},
    ):  # fmt: skip
        yield Case("nn.unfold", (x, 2), settings)
        yield Case("nn.unfold", (x, (3, 2)), settings)
    yield Case("nn.fold", (numbers(2, 12, 20), (5, 6), 2), {})
    yield Case("nn.fold", (numbers(2, 12, 6), (4, 6), 2), {"stride": 2})
    yield Case("nn.fold", (numbers(2, 12, 12), (5, 6), 2), {"dilation": 2})
    yield Case("nn.fold", (numbers(2, 18, 12), (5, 6), (3, 2)), {"padding": 1, "stride": (2, 2)},
               of=())  # fmt: skip
    yield Case("nn.fold", (numbers(2, 4, 9), 4, 2), {})
    for name, depth in (("depth_to_space", 12), ("space_to_depth", 3)):
        yield Case(f"nn.{name}", (numbers(2, 4, 6, depth), 2))
        x = image(2, 4, 6, depth, layout=FIRST)
        yield Case(f"nn.{name}", (x, 2), {"data_format": FIRST})


ORACLE = Oracle(*convolutions(), *transposed_convolutions(), *pools(), *patches())


@pytest.mark.parametrize("case", ORACLE.cases, ids=str)
def test_as_in_keras(case):
    ORACLE.check(getattr(nn, case.name.split(".")[-1]), case)


# What Keras does not say, or JAX does not do ------------------------------------------------------


def test_pools_have_windows_side_by_side_by_default():
    x = numbers(2, 4, 6, 3)
    close(nn.max_pool(x, 2), nn.max_pool(x, 2, 2).numpy())
    close(nn.average_pool(x, (2, 3)), nn.average_pool(x, (2, 3), (2, 3)).numpy())


def test_places_that_no_window_covers_are_zero():
    ones = np.ones((1, 4, 6), "float32")
    found = nn.fold(ones, (5, 6), 2, stride=2).numpy()
    assert found.shape == (1, 1, 5, 6)
    np.testing.assert_array_equal(found[0, 0, :4], np.ones((4, 6)))
    np.testing.assert_array_equal(found[0, 0, 4:], np.zeros((1, 6)))


def test_fold_undoes_unfold():
    x = numbers(2, 3, 6, 7)
    for options in ({"stride": 1}, {"stride": 2, "padding": 1}, {"dilation": 2}):
        columns = nn.unfold(x, 3, **options)
        count = nn.fold(nn.unfold(np.ones_like(x), 3, **options), (6, 7), 3, **options).numpy()
        close(nn.fold(columns, (6, 7), 3, **options), x * count, 1e-5)


def test_blocks_and_back():
    x = numbers(2, 4, 6, 8)
    for layout in (LAST, FIRST):
        wide = nn.depth_to_space(np.moveaxis(x, -1, 1) if layout == FIRST else x, 2, layout)
        back = nn.space_to_depth(wide, 2, layout).numpy()
        close(np.moveaxis(back, 1, -1) if layout == FIRST else back, x)


def test_operands_meet_in_one_type():
    x, kernel = numbers(2, 9, 3), numbers(4, 3, 5)
    assert nn.conv(x.astype("float16"), kernel).dtype.name == "float32"
    assert nn.conv(KerasTensor((None, 9, 3), "float16"), kernel).dtype == "float32"
    assert nn.conv(x.astype("int32"), kernel.astype("float16")).dtype.name == "float16"


def test_channels_last_needs_no_transpose():
    x, kernel = numbers(2, 9, 8, 3), numbers(3, 3, 3, 5)
    for found in (
        nn.conv(x, kernel, padding="same"),
        nn.max_pool(x, 2),
        nn.average_pool(x, 2),
        nn.depthwise_conv(x, numbers(3, 3, 3, 2)),
    ):
        names = {node.op.name for node in postorder([node_of(found)])}
        assert not names & {"transpose", "gather"}, names


def test_the_default_data_format():
    x = numbers(2, 3, 8)
    keras_settings.set_image_data_format(FIRST)
    try:
        assert nn.max_pool(x, 2).shape == (2, 3, 4)
        assert nn.conv(KerasTensor((None, 3, 8)), numbers(4, 3, 5)).shape == (None, 5, 5)
    finally:
        keras_settings.set_image_data_format(LAST)


def test_unknown_channels_are_the_kernels():
    inputs = KerasTensor((None, 10, None))
    assert nn.conv(inputs, numbers(3, 5, 4)).shape == (None, 8, 4)
    assert nn.depthwise_conv(inputs, numbers(3, 5, 2)).shape == (None, 8, 10)
    assert nn.conv_transpose(inputs, numbers(3, 4, 5), 2).shape == (None, 21, 4)
    found = nn.separable_conv(inputs, numbers(3, 5, 1), numbers(1, 5, 4))
    assert found.shape == (None, 8, 4)
    first = KerasTensor((None, None, 10))
    assert nn.conv(first, numbers(3, 5, 4), data_format=FIRST).shape == (None, 4, 8)


def test_unknown_places():
    inputs = KerasTensor((None, 10, None, 3))
    assert nn.conv(inputs, numbers(2, 2, 3, 2)).shape == (None, 9, None, 2)
    assert nn.conv(inputs, numbers(2, 2, 3, 2), 2, "same").shape == (None, 5, None, 2)
    assert nn.conv_transpose(inputs, numbers(2, 2, 5, 3), 2).shape == (None, 20, None, 5)
    assert nn.max_pool(inputs, 2).shape == (None, 5, None, 3)
    assert nn.adaptive_max_pool(inputs, (3, 2)).shape == (None, 3, 2, 3)
    assert nn.adaptive_average_pool(inputs, 2).shape == (None, 2, 2, 3)
    assert nn.unfold(KerasTensor((None, 3, 4, 5)), 2).shape == (None, 12, 12)
    assert nn.space_to_depth(KerasTensor((None, 4, 6, 3)), 2).shape == (None, 2, 3, 12)


X, K = numbers(2, 9, 8), numbers(4, 3, 5)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.conv(X, K), ShapeError, "input channels must match the kernel"),
        (lambda: nn.depthwise_conv(X, K), ShapeError, "input channels must match the kernel"),
        (
            lambda: nn.separable_conv(X, K, numbers(1, 15, 2)),
            ShapeError,
            "input channels must match the kernel",
        ),
        (lambda: nn.conv_transpose(X, K), ShapeError, "input channels must match the kernel"),
        (lambda: nn.conv(X[0], K), ShapeError, "a kernel"),
        (lambda: nn.conv(X, K, padding="causal"), ArgumentError, "'valid' or 'same'"),
        (lambda: nn.max_pool(X, 2, padding=1), ArgumentError, "'valid' or 'same'"),
        (lambda: nn.max_pool(X, (2, 2)), ShapeError, "pool_size of at least 1"),
        (lambda: nn.max_pool(X, 0), ShapeError, "pool_size of at least 1"),
        (lambda: nn.average_pool(X[0, 0], 2), ShapeError, "at least one spatial axis"),
        (lambda: nn.max_pool(X, 2, data_format="NHWC"), ArgumentError, "data_format=NHWC"),
        (lambda: nn.adaptive_max_pool(X, 0), ShapeError, "output_size of at least 1"),
        (lambda: nn.adaptive_average_pool(X, (2, 2)), ShapeError, "output_size"),
        (lambda: nn.unfold(X, 2), ShapeError, "4D"),
        (lambda: nn.unfold(X[None], 20), ShapeError, "at least 20 places"),
        (lambda: nn.unfold(X[None], (2, 2, 2)), ArgumentError, "kernel_size"),
        (lambda: nn.fold(X[None], 4, 2), ShapeError, "3D"),
        (lambda: nn.fold(X, 4, 2), ShapeError, "the windows of"),
        (lambda: nn.fold(numbers(1, 5, 9), 4, 2), ShapeError, "the windows of"),
        (lambda: nn.depth_to_space(X[None], 1), ArgumentError, "must be at least 2"),
        (lambda: nn.space_to_depth(X[None], -1), ArgumentError, "must be at least 2"),
        (lambda: nn.depth_to_space(X[None], 3), ShapeError, "channels that 9 divides"),
        (lambda: nn.space_to_depth(X[None], 2), ShapeError, "a height and width that 2 divides"),
        (lambda: nn.depth_to_space(X, 2), ShapeError, "[N, H, W, C]"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)

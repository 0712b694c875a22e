"""Neural-network functions against PyTorch and against naive NumPy; named sizes, 16 bits, refusals.

PyTorch is an oracle only; without it its tests are skipped by name.
"""

import itertools
import math

import numpy as np
import pytest

from thalweg.array import nn, random
from thalweg.array.derivatives import grad, vmap
from thalweg.array.elementwise import multiply, sigmoid
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, ThalwegError
from thalweg.engine.tensor import node_of, wrap
from thalweg.engine.trace import function
from thalweg.ir.types import as_dtype
from thalweg.ops.broadcast import sum as sum_op

KEY = random.key(0)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def F(torch):
    return torch.nn.functional


def rng(seed=0):
    return np.random.default_rng(seed)


def numbers(*shape, seed=0, dtype=np.float64):
    return rng(seed).standard_normal(shape).astype(dtype)


def close(found, wanted, tolerance=1e-6):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def total(x, weights):
    product = multiply(x, weights)
    return wrap(sum_op(node_of(product), axes=tuple(range(product.ndim))))


def check_against(torch, ours, theirs, *args, tolerance=1e-10):
    """Values and the gradients of a weighted sum, for float64 arguments."""
    tensors = [torch.tensor(arg, requires_grad=arg.dtype.kind == "f") for arg in args]
    wanted = theirs(*tensors)
    found = ours(*args)
    close(found.numpy(), wanted.detach().numpy(), tolerance)
    weights = numbers(*found.shape, seed=9)
    wanted.backward(torch.tensor(weights))
    argnums = tuple(i for i, arg in enumerate(args) if arg.dtype.kind == "f")
    slopes = grad(lambda *xs: total(ours(*xs), weights), argnums)(*args)
    for index, slope in zip(argnums, slopes, strict=True):
        close(slope.numpy(), tensors[index].grad.numpy(), tolerance)


# Activations --------------------------------------------------------------------------------------

# Ours, PyTorch's by name, and its arguments.
ACTIVATIONS = {
    "relu": (nn.relu, "relu", {}),
    "relu6": (nn.relu6, "relu6", {}),
    "leaky_relu": (nn.leaky_relu, "leaky_relu", {"negative_slope": 0.2}),
    "leaky_relu 0.01": (lambda x: nn.leaky_relu(x, 0.01), "leaky_relu", {}),
    "elu": (nn.elu, "elu", {}),
    "elu 0.5": (lambda x: nn.elu(x, 0.5), "elu", {"alpha": 0.5}),
    "selu": (nn.selu, "selu", {}),
    "celu 0.5": (lambda x: nn.celu(x, 0.5), "celu", {"alpha": 0.5}),
    "gelu": (nn.gelu, "gelu", {}),
    "gelu tanh": (lambda x: nn.gelu(x, approximate=True), "gelu", {"approximate": "tanh"}),
    "silu": (nn.silu, "silu", {}),
    "mish": (nn.mish, "mish", {}),
    "softplus": (nn.softplus, "softplus", {"threshold": 100}),
    "softsign": (nn.softsign, "softsign", {}),
    "log_sigmoid": (nn.log_sigmoid, "logsigmoid", {}),
    "hard_sigmoid": (nn.hard_sigmoid, "hardsigmoid", {}),
    "hard_silu": (nn.hard_silu, "hardswish", {}),
    "hard_tanh": (nn.hard_tanh, "hardtanh", {}),
    "tanh_shrink": (nn.tanh_shrink, "tanhshrink", {}),
    "soft_shrink": (nn.soft_shrink, "softshrink", {}),
    "hard_shrink": (nn.hard_shrink, "hardshrink", {}),
    "threshold": (
        lambda x: nn.threshold(x, 0.3, -1.0), "threshold", {"threshold": 0.3, "value": -1.0}
    ),
    "glu": (nn.glu, "glu", {}),
    "glu axis 0": (lambda x: nn.glu(x, axis=0), "glu", {"dim": 0}),
    "softmax": (nn.softmax, "softmax", {"dim": -1}),
    "softmax axis 0": (lambda x: nn.softmax(x, axis=0), "softmax", {"dim": 0}),
    "log_softmax": (nn.log_softmax, "log_softmax", {"dim": -1}),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_pytorch(torch, F, name):
    ours, theirs, options = ACTIVATIONS[name]
    x = np.concatenate([numbers(40, seed=1) * 3, [-30.0, -9.0, 9.0, 30.0]]).reshape(4, 11)
    x = np.concatenate([x, x[:, :1]], 1)
    # PyTorch's own slope of hardsigmoid is 1/6 in float32.
    tolerance = 1e-7 if name == "hard_sigmoid" else 1e-10
    check_against(torch, ours, lambda x: getattr(F, theirs)(x, **options), x, tolerance=tolerance)


EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30], np.float32)
LIMITS = {
    "relu": [0, 0, np.inf, 0, np.nan, 1e30, 0],
    "relu6": [0, 0, 6, 0, np.nan, 6, 0],
    "leaky_relu": [0, 0, np.inf, -np.inf, np.nan, 1e30, -2e29],
    "elu": [0, 0, np.inf, -1, np.nan, 1e30, -1],
    "gelu": [0, 0, np.inf, 0, np.nan, 1e30, 0],
    "silu": [0, 0, np.inf, 0, np.nan, 1e30, 0],
    "mish": [0, 0, np.inf, 0, np.nan, 1e30, 0],
    "softplus": [math.log(2), math.log(2), np.inf, 0, np.nan, 1e30, 0],
    "log_sigmoid": [-math.log(2), -math.log(2), 0, -np.inf, np.nan, 0, -1e30],
    "hard_sigmoid": [0.5, 0.5, 1, 0, np.nan, 1, 0],
    "hard_silu": [0, 0, np.inf, 0, np.nan, 1e30, 0],
    "hard_tanh": [0, 0, 1, -1, np.nan, 1, -1],
    "soft_shrink": [0, 0, np.inf, -np.inf, np.nan, 1e30, -1e30],
    "hard_shrink": [0, 0, np.inf, -np.inf, np.nan, 1e30, -1e30],
}


@pytest.mark.parametrize("name", LIMITS)
def test_activations_at_the_edges(name):
    close(getattr(nn, name)(EDGES).numpy(), np.float32(LIMITS[name]))


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "log_sigmoid", "relu"])
def test_slopes_at_the_edges(name):
    slopes = grad(lambda x: total(getattr(nn, name)(x), np.ones(4)))(
        np.array([np.inf, -np.inf, 1e30, -1e30])
    )
    ends = [0, 1] if name == "log_sigmoid" else [1, 0]
    np.testing.assert_array_equal(slopes.numpy(), [*ends, *ends])


KINKS = {
    "relu": ([0.0], [0.0]),
    "relu6": ([0.0, 6.0], [0.0, 0.0]),
    "leaky_relu": ([0.0], [0.2]),
    "hard_tanh": ([-1.0, 1.0], [0.0, 0.0]),
    "hard_sigmoid": ([-3.0, 3.0], [0.0, 0.0]),
    "soft_shrink": ([-0.5, 0.5], [0.0, 0.0]),
    "hard_shrink": ([-0.5, 0.5], [0.0, 0.0]),
}


@pytest.mark.parametrize("name", KINKS)
def test_slopes_at_kinks_belong_to_one_side(name):
    points, wanted = KINKS[name]
    slopes = grad(lambda x: total(getattr(nn, name)(x), np.ones(len(points))))(np.array(points))
    np.testing.assert_array_equal(slopes.numpy(), wanted)


def test_squareplus():
    x = numbers(7)
    close(nn.squareplus(x).numpy(), (x + np.sqrt(x * x + 4)) / 2)
    close(nn.squareplus(x, 0.5).numpy(), (x + np.sqrt(x * x + 0.5)) / 2)


def nearest_distribution(row):
    """The threshold by bisection: sum of max(row - t, 0) is 1."""
    low, high = row.min() - 1, row.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(row - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(row - low, 0)


def test_sparsemax_is_the_nearest_distribution():
    x = np.concatenate([numbers(6, 5, seed=2), np.zeros((1, 5)), numbers(1, 5, seed=3) * 20])
    wanted = np.apply_along_axis(nearest_distribution, 1, x)
    close(nn.sparsemax(x).numpy(), wanted)
    close(nn.sparsemax(x.T, axis=0).numpy(), wanted.T)
    # On the support the slope is the identity less the mean over the support.
    weights = numbers(*x.shape, seed=4)
    slopes = grad(lambda x: total(nn.sparsemax(x), weights))(x).numpy()
    for row, weight, slope in zip(wanted, weights, slopes, strict=True):
        inside = row > 0
        close(slope, np.where(inside, weight - weight[inside].mean(), 0))


def test_softmax_over_several_axes():
    x = numbers(2, 3, 4)
    shifted = np.exp(x - x.max((0, 2), keepdims=True))
    close(nn.softmax(x, axis=(0, 2)).numpy(), shifted / shifted.sum((0, 2), keepdims=True))
    close(nn.softmax(x, axis=None).numpy(), np.exp(x) / np.exp(x).sum())
    close(nn.log_softmax(x, axis=(0, 2)).numpy(), np.log(nn.softmax(x, axis=(0, 2)).numpy()))
    close(nn.logsumexp(x, axis=1).numpy(), np.log(np.exp(x).sum(1)))
    close(
        nn.logsumexp(x, axis=(0, 2), keepdims=True).numpy(),
        np.log(np.exp(x).sum((0, 2), keepdims=True)),
    )
    close(nn.logsumexp(x).numpy(), np.log(np.exp(x).sum()))


def test_one_hot_and_multi_hot():
    x = np.array([[0, 2, -1], [1, 5, 1]])
    eye = np.concatenate([np.eye(4), np.zeros((2, 4))])
    close(nn.one_hot(x, 4).numpy(), eye[x])
    assert nn.one_hot(x, 4).dtype.name == "float32"
    close(nn.one_hot(x, 4, axis=0, dtype=bool).numpy(), np.moveaxis(eye[x], -1, 0))
    close(nn.one_hot(x, 4, axis=1, dtype="int8").numpy(), np.moveaxis(eye[x], -1, 1))
    close(nn.one_hot(2, 4).numpy(), [0, 0, 1, 0])
    close(nn.multi_hot(x, 4).numpy(), [[1, 0, 1, 0], [0, 1, 0, 0]])
    close(nn.multi_hot(x, 4, axis=0).numpy(), np.array([[1, 0, 1, 0], [0, 1, 0, 0]]).T)
    close(nn.multi_hot([3, 0], 4, dtype=int).numpy(), [1, 0, 0, 1])
    close(nn.multi_hot(np.zeros((2, 0), int), 3).numpy(), np.zeros((2, 3)))
    close(
        nn.multi_hot(np.zeros((2, 3, 2), int), 2, axis=1).numpy(),
        np.tile([[[1.0], [0.0]]], (2, 1, 3)),
    )


def test_integers_and_numbers_become_floats():
    assert nn.relu(np.array([-1, 2])).tolist() == [0.0, 2.0]
    assert nn.relu(np.array([-1, 2])).dtype.name == "float32"
    assert nn.silu(0).item() == 0.0
    assert nn.softmax([1, 1]).tolist() == [0.5, 0.5]
    traced = function(lambda x: nn.leaky_relu(x) + nn.softplus(x))
    assert traced(-1.0).dtype.name == "float32"


# Convolutions -------------------------------------------------------------------------------------


def first(x):
    """Channels last to channels first."""
    return x.permute(0, x.ndim - 1, *range(1, x.ndim - 1))


def last(x):
    return x.permute(0, *range(2, x.ndim), 1)


def kernel_first(kernel):
    """[spatial..., C, O] to [O, C, spatial...]."""
    rank = kernel.ndim - 2
    return kernel.permute(rank + 1, rank, *range(rank))


CONVOLUTIONS = [
    # sizes, kernel, channels, outputs, strides, padding, dilation_rate, groups
    ((9,), (3,), 2, 3, 1, "valid", 1, 1),
    ((9,), (3,), 4, 6, 2, ((2, 1),), 2, 2),
    ((6, 7), (3, 2), 2, 3, (2, 1), ((1, 0), (0, 2)), 1, 1),
    ((8, 7), (2, 3), 4, 4, 1, ((1, 1), (1, 1)), (2, 1), 4),
    ((4, 5, 3), (2, 2, 2), 2, 2, (1, 2, 1), "valid", 1, 1),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_conv_is_that_of_pytorch(torch, F, case):
    sizes, width, channels, outputs, strides, padding, dilation, groups = case
    x = numbers(2, *sizes, channels)
    kernel = numbers(*width, channels // groups, outputs, seed=1)
    rank = len(sizes)
    pairs = ((0, 0),) * rank if padding == "valid" else padding
    flat = [side for pair in reversed(pairs) for side in pair]

    def theirs(x, kernel):
        padded = F.pad(first(x), flat)
        name = f"conv{rank}d"
        return last(getattr(F, name)(padded, kernel_first(kernel), stride=strides,
                                     dilation=dilation, groups=groups))  # fmt: skip

    def ours(x, kernel):
        return nn.conv(x, kernel, strides, padding, None, dilation, groups)

    check_against(torch, ours, theirs, x, kernel)
    turned = nn.conv(
        np.moveaxis(x, -1, 1), kernel, strides, padding, "channels_first", dilation, groups
    )
    close(turned.numpy(), np.moveaxis(ours(x, kernel).numpy(), -1, 1))


# Size, width of the kernel, stride, dilation.
SWEEPS = list(itertools.product((1, 3, 4, 7), (1, 2, 3, 4, 5), (1, 2, 3), (1, 2)))


@pytest.mark.parametrize(("size", "width", "stride", "dilation"), SWEEPS)
def test_same_padding_is_split_evenly_with_the_odd_place_at_the_end(size, width, stride, dilation):
    x, kernel = numbers(1, size, 2), numbers(width, 2, 3, seed=1)
    found = nn.conv(x, kernel, stride, "same", dilation_rate=dilation)
    count = math.ceil(size / stride)
    assert found.shape == (1, count, 3)
    missing = max((count - 1) * stride + (width - 1) * dilation + 1 - size, 0)
    before = missing // 2
    padded = np.pad(x, ((0, 0), (before, missing - before), (0, 0)))
    wanted = nn.conv(padded, kernel, stride, "valid", dilation_rate=dilation)
    close(found.numpy(), wanted.numpy())


def test_depthwise_and_separable_conv_are_those_of_pytorch(torch, F):
    x, depthwise, mixing = (
        numbers(2, 6, 5, 3),
        numbers(3, 2, 3, 2, seed=1),
        numbers(1, 1, 6, 4, seed=2),
    )

    def theirs(x, kernel):
        # [h, w, C, M] to [C * M, 1, h, w]
        grouped = kernel.permute(2, 3, 0, 1).reshape(6, 1, 3, 2)
        return last(F.conv2d(first(x), grouped, stride=2, groups=3))

    check_against(torch, lambda x, k: nn.depthwise_conv(x, k, 2), theirs, x, depthwise)
    check_against(
        torch,
        lambda x, k, m: nn.separable_conv(x, k, m, 2),
        lambda x, k, m: last(F.conv2d(first(theirs(x, k)), kernel_first(m))),
        x, depthwise, mixing,
    )  # fmt: skip
    turned = nn.separable_conv(
        np.moveaxis(x, -1, 1), depthwise, mixing, 1, "same", "channels_first"
    )
    close(
        np.moveaxis(turned.numpy(), 1, -1),
        nn.separable_conv(x, depthwise, mixing, 1, "same").numpy(),
    )


@pytest.mark.parametrize(
    ("stride", "dilation", "extra"), [(1, 1, 0), (2, 1, 1), (3, 2, 2), (2, 3, 0)]
)
def test_transposed_conv_without_padding_is_that_of_pytorch(torch, F, stride, dilation, extra):
    x, kernel = numbers(2, 4, 5, 3), numbers(3, 2, 4, 3, seed=1)

    def theirs(x, kernel):
        # [h, w, O, C] to [C, O, h, w]
        return last(F.conv_transpose2d(first(x), kernel.permute(3, 2, 0, 1), stride=stride,
                                       dilation=dilation, output_padding=extra))  # fmt: skip

    def ours(x, kernel):
        return nn.conv_transpose(x, kernel, stride, "valid", extra, dilation_rate=dilation)

    check_against(torch, ours, theirs, x, kernel)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "width", "stride", "dilation"), SWEEPS)
def test_transposed_conv_is_the_adjoint_of_conv(padding, size, width, stride, dilation):
    reach = (width - 1) * dilation + 1
    kernel, y = numbers(width, 2, 3, seed=1), numbers(1, size, 3, seed=2)
    natural = size * stride if padding == "same" else (size - 1) * stride + max(reach, stride)
    least = (size - 1) * stride + (reach % 2 if padding == "same" else reach)
    extras = [None, *(extra for extra in range(stride) if least + extra >= 1)]
    for extra in extras:
        back = nn.conv_transpose(y, kernel, stride, padding, extra, dilation_rate=dilation)
        length = natural if extra is None else least + extra
        assert back.shape == (1, length, 2)
        if padding == "same" and math.ceil(length / stride) != size:
            continue
        x = numbers(1, length, 2, seed=3)
        forth = nn.conv(x, kernel, stride, padding, dilation_rate=dilation)
        assert forth.shape == y.shape
        close(np.sum(forth.numpy() * y), np.sum(x * back.numpy()), 1e-10)


def test_transposed_conv_in_channels_first():
    x, kernel = numbers(2, 4, 5, 3), numbers(3, 2, 4, 3, seed=1)
    found = nn.conv_transpose(np.moveaxis(x, -1, 1), kernel, (2, 1), "same", None, "channels_first")
    wanted = nn.conv_transpose(x, kernel, (2, 1), "same")
    assert wanted.shape == (2, 8, 5, 4)
    close(np.moveaxis(found.numpy(), 1, -1), wanted.numpy())


# Pools --------------------------------------------------------------------------------------------


def naive_pool(x, sizes, strides, padding, reduce):
    """Windows of x [N, h, w, C], only the places inside."""
    counts, starts = [], []
    for size, width, stride in zip(x.shape[1:3], sizes, strides, strict=True):
        count = math.ceil(size / stride) if padding == "same" else (size - width) // stride + 1
        missing = max((count - 1) * stride + width - size, 0) if padding == "same" else 0
        counts.append(count)
        starts.append(-(missing // 2))
    result = np.empty((x.shape[0], *counts, x.shape[3]))
    for i, j in itertools.product(*map(range, counts)):
        top, left = starts[0] + i * strides[0], starts[1] + j * strides[1]
        window = x[:, max(top, 0) : top + sizes[0], max(left, 0) : left + sizes[1]]
        result[:, i, j] = reduce(window, axis=(1, 2))
    return result


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("sizes", "strides"), [((2, 3), (2, 3)), ((3, 2), (1, 2)), ((2, 2), (3, 1))]
)
def test_pools_are_those_of_plain_loops(padding, sizes, strides):
    x = numbers(2, 7, 6, 3)
    found = nn.max_pool(x, sizes, strides, padding).numpy()
    close(found, naive_pool(x, sizes, strides, padding, np.max))
    found = nn.average_pool(x, sizes, strides, padding).numpy()
    close(found, naive_pool(x, sizes, strides, padding, np.mean))
    turned = nn.average_pool(np.moveaxis(x, -1, 1), sizes, strides, padding, "channels_first")
    close(np.moveaxis(turned.numpy(), 1, -1), found)


def test_pools_are_those_of_pytorch(torch, F):
    x = numbers(2, 9, 8, 3)
    for size, stride, pad in ((2, 2, 0), (3, 2, 1), (3, 1, 0)):
        pairs = ((pad, pad),) * 2
        check_against(
            torch,
            lambda x, size=size, stride=stride, pairs=pairs: nn.max_pool(x, size, stride, pairs),
            lambda x, size=size, stride=stride, pad=pad: last(
                F.max_pool2d(first(x), size, stride, pad)
            ),
            x,
        )
        check_against(
            torch,
            lambda x, size=size, stride=stride, pairs=pairs: nn.average_pool(
                x, size, stride, pairs
            ),
            lambda x, size=size, stride=stride, pad=pad: last(
                F.avg_pool2d(first(x), size, stride, pad, count_include_pad=False)
            ),
            x,
        )
    assert nn.max_pool(x, 3).shape == (2, 3, 2, 3)
    line, cube = numbers(2, 8, 3), numbers(1, 4, 4, 4, 2)
    close(nn.max_pool(line, 2).numpy(), line.reshape(2, 4, 2, 3).max(2))
    close(nn.average_pool(cube, 2).numpy(), cube.reshape(1, 2, 2, 2, 2, 2, 2, 2).mean((2, 4, 6)))


# Normalisations -----------------------------------------------------------------------------------


def test_normalisations_are_those_of_pytorch(torch, F):
    x, gamma, beta = numbers(2, 3, 4), numbers(4, seed=1), numbers(4, seed=2)
    check_against(
        torch,
        lambda x, g, b: nn.layer_norm(x, g, b, epsilon=1e-3),
        lambda x, g, b: F.layer_norm(x, (4,), g, b, 1e-3),
        x, gamma, beta, tolerance=1e-9,
    )  # fmt: skip
    wide = numbers(3, 4, seed=3), numbers(3, 4, seed=4)
    check_against(
        torch,
        lambda x, g, b: nn.layer_norm(x, g, b, axis=(1, 2), epsilon=1e-5),
        lambda x, g, b: F.layer_norm(x, (3, 4), g, b, 1e-5),
        x, *wide, tolerance=1e-9,
    )  # fmt: skip
    check_against(
        torch,
        lambda x, g: nn.rms_norm(x, g, epsilon=1e-6),
        lambda x, g: F.rms_norm(x, (4,), g, 1e-6),
        x, gamma, tolerance=1e-9,
    )  # fmt: skip
    mean, variance = numbers(4, seed=5), np.abs(numbers(4, seed=6)) + 0.1
    check_against(
        torch,
        lambda x, m, v, g, b: nn.batch_norm(x, m, v, g, b, epsilon=1e-3),
        # PyTorch takes no gradient of running statistics: spelled out.
        lambda x, m, v, g, b: (x - m) / torch.sqrt(v + 1e-3) * g + b,
        x, mean, variance, gamma, beta, tolerance=1e-9,
    )  # fmt: skip
    check_against(
        torch,
        lambda x, g, b: nn.group_norm(x, g, b, groups=2, epsilon=1e-3),
        lambda x, g, b: last(F.group_norm(first(x), 2, g, b, 1e-3)),
        x, gamma, beta, tolerance=1e-9,
    )  # fmt: skip


def test_batch_norm_in_training_is_that_of_pytorch(torch, F):
    x, gamma, beta = numbers(5, 3, 4), numbers(4, seed=1), numbers(4, seed=2)

    def ours(x, gamma, beta):
        mean, variance = nn.moments(x, (0, 1))
        return nn.batch_norm(x, mean, variance, gamma, beta, epsilon=1e-5)

    def theirs(x, gamma, beta):
        return last(F.batch_norm(first(x), None, None, gamma, beta, training=True, eps=1e-5))

    check_against(torch, ours, theirs, x, gamma, beta, tolerance=1e-9)


def test_normalisations_without_parameters():
    x = numbers(3, 8)
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-3)
    close(nn.layer_norm(x).numpy(), wanted)
    close(nn.group_norm(x, groups=1).numpy(), wanted)
    close(nn.batch_norm(x, x.mean(1), x.var(1), axis=0).numpy(), wanted)
    close(nn.batch_norm(x, np.zeros(8), np.ones(8), epsilon=0.0).numpy(), x)
    close(nn.rms_norm(x).numpy(), x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6))
    instance = nn.group_norm(numbers(2, 5, 5, 3), groups=3, epsilon=0.0).numpy()
    close(instance.mean((1, 2)), np.zeros((2, 3)), 1e-10)
    close(instance.var((1, 2)), np.ones((2, 3)), 1e-10)


def test_moments():
    x = numbers(3, 4, 5) + 1e6
    for axes, keepdims in ((None, False), (1, True), ((0, 2), False), ((-1,), True)):
        mean, variance = nn.moments(x, axes, keepdims)
        over = axes if axes is None or isinstance(axes, int) else tuple(axes)
        close(mean.numpy(), x.mean(over, keepdims=keepdims))
        close(variance.numpy(), x.var(over, keepdims=keepdims), 1e-9)
    mean, variance = nn.moments(np.full((100_000,), 1.5, np.float16))
    assert mean.dtype.name == variance.dtype.name == "float32"
    assert mean.item() == 1.5 and variance.item() == 0


# Attention and dropout ----------------------------------------------------------------------------


def heads_first(*xs):
    return [x.permute(0, 2, 1, 3) for x in xs]


def test_attention_is_that_of_pytorch(torch, F):
    q, k, v = numbers(2, 5, 4, 3), numbers(2, 6, 4, 3, seed=1), numbers(2, 6, 4, 2, seed=2)
    bias = numbers(2, 4, 5, 6, seed=3)
    mask = rng(4).random((2, 1, 5, 6)) < 0.6
    mask[..., 0] = True

    def theirs(q, k, v, **options):
        found = F.scaled_dot_product_attention(*heads_first(q, k, v), **options)
        return found.permute(0, 2, 1, 3)

    def check(ours, theirs, *args):
        check_against(torch, ours, theirs, *args, tolerance=1e-9)

    check(nn.dot_product_attention, theirs, q, k, v)
    check(
        lambda q, k, v: nn.dot_product_attention(q, k, v, scale=0.3),
        lambda q, k, v: theirs(q, k, v, scale=0.3), q, k, v,
    )  # fmt: skip
    check(
        lambda q, k, v, b: nn.dot_product_attention(q, k, v, b),
        lambda q, k, v, b: theirs(q, k, v, attn_mask=b), q, k, v, bias,
    )  # fmt: skip
    check(
        lambda q, k, v: nn.dot_product_attention(q, k, v, mask=mask),
        lambda q, k, v: theirs(q, k, v, attn_mask=torch.tensor(mask)), q, k, v,
    )  # fmt: skip
    check(
        lambda q, k, v: nn.dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: theirs(q, k, v, is_causal=True), q, k, v,
    )  # fmt: skip
    both = np.where(mask, bias, -np.inf)
    check(
        lambda q, k, v: nn.dot_product_attention(q, k, v, bias, mask),
        lambda q, k, v: theirs(q, k, v, attn_mask=torch.tensor(both)), q, k, v,
    )  # fmt: skip
    check(
        lambda q, k, v: nn.dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: theirs(q, k, v, is_causal=True, enable_gqa=True),
        q, k[:, :, :2].copy(), v[:, :, :2].copy(),
    )  # fmt: skip


def test_a_query_that_sees_nothing_gives_0():
    q = numbers(1, 2, 1, 3)
    mask = np.array([[True, False], [False, False]])
    found = nn.dot_product_attention(q, q, q, mask=mask)
    close(found.numpy()[0, 0], q[0, 0])
    close(found.numpy()[0, 1], np.zeros((1, 3)))
    slopes = grad(
        lambda q: total(nn.dot_product_attention(q, q, q, mask=mask), np.ones((1, 2, 1, 3)))
    )(q)
    assert np.isfinite(slopes.numpy()).all()
    hidden = np.full((2, 2), -np.inf)
    close(nn.dot_product_attention(q, q, q, hidden).numpy(), np.zeros(q.shape))


def test_dropout_keeps_the_expectation():
    x = np.ones((200, 300), np.float32)
    for rate in (0.1, 0.5, 0.9):
        y = nn.dropout(x, rate, key=KEY).numpy()
        kept = np.float32(1) / (np.float32(1) - np.float32(rate))
        assert set(np.unique(y)) == {np.float32(0), kept}
        share = np.mean(y == 0)
        assert abs(share - rate) < 5 * (rate * (1 - rate) / x.size) ** 0.5
    np.testing.assert_array_equal(nn.dropout(x, 0.5, key=KEY), nn.dropout(x, 0.5, key=KEY))
    other = random.fold_in(KEY, 1)
    assert (nn.dropout(x, 0.5, key=KEY).numpy() != nn.dropout(x, 0.5, key=other).numpy()).any()
    np.testing.assert_array_equal(nn.dropout(x, 1.0, key=KEY), 0 * x)
    slopes = grad(lambda x: total(nn.dropout(x, 0.5, key=KEY), np.float32(1)))(x)
    np.testing.assert_array_equal(slopes, nn.dropout(x, 0.5, key=KEY))


def test_dropout_draws_from_a_generator_and_at_rate_0_draws_nothing():
    source = random.Generator(4)
    before = source.key.numpy().tolist()
    x = numbers(50)
    np.testing.assert_array_equal(nn.dropout(x, 0.0, generator=source), x)
    assert source.key.numpy().tolist() == before
    step = function(lambda x: nn.dropout(x, 0.5, generator=source))
    one, two = step(x).numpy(), step(x).numpy()
    assert (one != two).any() and source.key.numpy().tolist() != before
    again = random.Generator(4)
    np.testing.assert_array_equal(nn.dropout(x, 0.5, generator=again), one)
    rated = function(lambda x, rate: nn.dropout(x, rate, key=KEY))
    np.testing.assert_array_equal(rated(x, 0.25), nn.dropout(x, 0.25, key=KEY))


def test_dropout_of_whole_axes():
    x = np.ones((40, 3, 30), np.float32)
    y = nn.dropout(x, 0.5, (None, 1, None), key=KEY).numpy()
    assert (y == y[:, :1]).all() and set(np.unique(y)) == {0, 2}
    y = nn.dropout(x, 0.5, (40, 3, 1), key=KEY).numpy()
    assert (y == y[:, :, :1]).all() and (y[:, 0] != y[:, 1]).any()
    y = nn.dropout(np.full((4,), np.inf, np.float32), 0.5, (4,), key=KEY).numpy()
    assert set(y) == {0, np.inf}


# Cross entropies ----------------------------------------------------------------------------------


def test_cross_entropies_from_logits_are_those_of_pytorch(torch, F):
    logits, labels = numbers(5, 4) * 3, rng(1).integers(0, 4, 5)
    target = rng(2).dirichlet(np.ones(4), 5)
    check_against(
        torch,
        lambda x: nn.sparse_categorical_crossentropy(labels, x, from_logits=True),
        lambda x: F.cross_entropy(x, torch.tensor(labels), reduction="none"), logits,
    )  # fmt: skip
    check_against(
        torch,
        lambda t, x: nn.categorical_crossentropy(t, x, from_logits=True),
        lambda t, x: F.cross_entropy(x, t, reduction="none"), target, logits,
    )  # fmt: skip
    check_against(
        torch,
        lambda t, x: nn.binary_crossentropy(t, x, from_logits=True),
        lambda t, x: F.binary_cross_entropy_with_logits(x, t, reduction="none"), target, logits,
    )  # fmt: skip


def test_cross_entropies_of_probabilities():
    p, labels = rng(0).dirichlet(np.ones(4), 5), np.array([0, 3, 1, 2, 2])
    target = rng(2).dirichlet(np.ones(4), 5)
    wanted = -np.log(p[np.arange(5), labels])
    close(nn.sparse_categorical_crossentropy(labels, p).numpy(), wanted)
    close(nn.sparse_categorical_crossentropy(labels[:, None], 3 * p).numpy(), wanted)
    close(nn.categorical_crossentropy(target, p).numpy(), -(target * np.log(p)).sum(1))
    close(nn.categorical_crossentropy(target.T, p.T, axis=0).numpy(), -(target * np.log(p)).sum(1))
    close(nn.sparse_categorical_crossentropy(labels, p.T, axis=0).numpy(), wanted)
    wanted = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    close(nn.binary_crossentropy(target, p).numpy(), wanted)


def test_cross_entropies_stay_finite_for_the_certain():
    sure = np.float32([[1, 0, 0]])
    found = nn.sparse_categorical_crossentropy(np.array([1]), sure).item()
    assert abs(found + math.log(1e-7)) < 1e-3
    found = nn.binary_crossentropy(np.float32([0, 1, 1]), np.float32([1, 0, 1])).numpy()
    assert found[2] < 1e-6 and np.isfinite(found).all() and (found[:2] > 15).all()
    logits = np.float32([[1000, -1000, 0]])
    assert nn.sparse_categorical_crossentropy(np.array([1]), logits, True).item() == 2000
    assert nn.binary_crossentropy(np.float32([0]), np.float32([1000]), True).item() == 1000
    outside = nn.sparse_categorical_crossentropy(np.array([3, -1]), np.zeros((2, 3)), True)
    assert np.isnan(outside.numpy()).all()


# Named sizes and 16 bits --------------------------------------------------------------------------

SYMBOLIC = {
    "softmax": (lambda x: nn.softmax(x), (5, 4)),
    "logsumexp": (lambda x: nn.logsumexp(x, axis=(0, 1)), (5, 4)),
    "sparsemax": (lambda x: nn.sparsemax(x), (5, 4)),
    "layer_norm": (lambda x: nn.layer_norm(x), (5, 4)),
    "group_norm": (lambda x: nn.group_norm(x, groups=2, axis=2), (5, 3, 4)),
    "moments": (lambda x: nn.moments(x)[1], (5, 4)),
    "glu": (lambda x: nn.glu(x), (5, 3, 4)),
    "conv valid": (lambda x: nn.conv(x, np.ones((3, 2, 2), np.float32)), (5, 6, 2)),
    "conv same": (lambda x: nn.conv(x, np.ones((3, 2, 2), np.float32), 2, "same"), (5, 6, 2)),
    "conv_transpose": (
        lambda x: nn.conv_transpose(x, np.ones((3, 4, 2), np.float32), 2, "same"), (5, 6, 2)
    ),
    "max_pool": (lambda x: nn.max_pool(x, 3, 2, "same"), (5, 6, 2)),
    "average_pool": (lambda x: nn.average_pool(x, 3, 2, "same"), (5, 6, 2)),
    "attention": (lambda x: nn.dot_product_attention(x, x, x, is_causal=True), (3, 5, 2, 4)),
    "dropout": (lambda x: nn.dropout(x, 0.4, key=KEY), (5, 4)),
    "entropy": (lambda x: nn.categorical_crossentropy(x, x, from_logits=True), (5, 4)),
    "one_hot": (lambda x: nn.one_hot(np.arange(3), x.shape[1]), (5, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", SYMBOLIC)
def test_one_trace_serves_every_size(name):
    body, shape = SYMBOLIC[name]
    named = ("b", "t", *shape[2:])
    traced = function(lambda x: body(x), shapes={"x": named})
    for sizes in (shape[:2], (7, 3 * shape[1]), (2, shape[1] + 2)):
        x = numbers(*sizes, *shape[2:], dtype=np.float32)
        close(traced(x).numpy(), body(x).numpy(), 1e-5)
    assert len(traced.variants) == 1


NARROW = {
    "silu": nn.silu,
    "mish": nn.mish,
    "gelu": nn.gelu,
    "selu": nn.selu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.3),
    "glu": nn.glu,
    "softmax": nn.softmax,
    "sparsemax": nn.sparsemax,
    "layer_norm": nn.layer_norm,
    "average_pool": lambda x: nn.average_pool(x.reshape(1, 8, 8), 3),
    "binary_crossentropy": lambda x: nn.binary_crossentropy(x * x, x, from_logits=True),
    "categorical_crossentropy": lambda x: nn.categorical_crossentropy(x, x, from_logits=True),
    "dropout": lambda x: nn.dropout(x, 0.3, key=KEY),
    "attention": lambda x: nn.dot_product_attention(*[x.reshape(1, 8, 2, 4)] * 3),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", NARROW)
def test_16_bit_floats_are_computed_in_float32_and_rounded_once(name, dtype):
    # Eighths, whose squares are exact in 16 bits.
    narrow = (rng(5).integers(-15, 16, (8, 8)) / 8).astype(as_dtype(dtype).numpy)
    found, wanted = NARROW[name](narrow).numpy(), NARROW[name](narrow.astype(np.float32)).numpy()
    assert found.dtype == narrow.dtype
    rounded = wanted.astype(narrow.dtype).astype(np.float32)
    np.testing.assert_array_equal(found.astype(np.float32), rounded)


def test_vmap_over_networks():
    x, kernel = numbers(3, 2, 6, 2), numbers(3, 3, 2, 4, seed=1)
    mapped = vmap(lambda x, k: nn.relu(nn.conv(x, k, 1, "same")))(x, kernel).numpy()
    alone = np.stack(
        [nn.relu(nn.conv(a, b, 1, "same")).numpy() for a, b in zip(x, kernel, strict=True)]
    )
    close(mapped, alone)
    q = numbers(3, 2, 4, 2, 3)
    mapped = vmap(lambda q: nn.dot_product_attention(q, q, q, is_causal=True))(q).numpy()
    alone = np.stack([nn.dot_product_attention(a, a, a, is_causal=True).numpy() for a in q])
    close(mapped, alone)
    keys = random.split(KEY, 4)
    ones = np.ones(64, np.float32)
    masks = vmap(lambda key: nn.dropout(ones, 0.5, key=key))(keys).numpy()
    alone = np.stack([nn.dropout(ones, 0.5, key=key).numpy() for key in keys.numpy()])
    np.testing.assert_array_equal(masks, alone)
    assert len(np.unique(masks, axis=0)) == 4


# Refusals -----------------------------------------------------------------------------------------

IMAGE = np.zeros((2, 8, 8, 4), np.float32)
FILTER = np.zeros((3, 3, 4, 6), np.float32)

REFUSALS = [
    (lambda: nn.relu("x"), ThalwegError, "[relu] wants"),
    (lambda: nn.silu(np.zeros(2, complex)), DTypeError, "[silu] wants float elements"),
    (lambda: nn.elu(np.zeros(2, complex)), DTypeError, "[elu] wants real numbers"),
    (lambda: nn.softmax(np.zeros(2, complex)), DTypeError, "[softmax] wants real numbers"),
    (lambda: nn.softmax(np.zeros((2, 3)), axis=2), ShapeError, "an axis from -2 to 1"),
    (lambda: nn.glu(np.zeros((2, 3))), ShapeError, "an even size along axis 1"),
    (lambda: nn.one_hot(np.zeros(3), 4), DTypeError, "[one_hot] wants integers"),
    (lambda: nn.one_hot(np.zeros(3, int), (3, 4)), ThalwegError, "num_classes that is one number"),
    (lambda: nn.gelu(0.5, approximate="tanh"), ThalwegError, "True or False for approximate"),
    (lambda: nn.one_hot(np.zeros(3, int), -1), ShapeError, "sizes of zero or more"),
    (lambda: nn.multi_hot(3, 4), ShapeError, "Write one_hot"),
    (lambda: nn.conv(IMAGE[0, 0], FILTER), ShapeError, "[conv] wants x [N, spatial..., C]"),
    (lambda: nn.conv(IMAGE[0], FILTER), ShapeError, "expand_dims"),
    (lambda: nn.conv(IMAGE, FILTER[:, :, :2]), ShapeError, "groups=2 would fit."),
    (lambda: nn.conv(IMAGE, FILTER, groups=2), ShapeError, "x with 8 channels"),
    (lambda: nn.conv(IMAGE, FILTER, groups=0), ShapeError, "groups of at least 1"),
    (lambda: nn.conv(IMAGE, FILTER, data_format="NHWC"), ArgumentError, '"channels_first"'),
    (lambda: nn.conv(IMAGE, FILTER, strides=0), ShapeError, "strides of at least 1, one for all"),
    (lambda: nn.conv(IMAGE, FILTER, strides=(1, 1, 1)), ShapeError, "one for each of 2 axes"),
    (lambda: nn.conv(IMAGE, FILTER, padding="full"), ArgumentError, 'padding "valid", "same", or'),
    (lambda: nn.conv(IMAGE, FILTER, padding=(1, 1)), ArgumentError, "a pair (before, after)"),
    (lambda: nn.conv(IMAGE[:, :2], FILTER), ShapeError, "Use padding 'same'"),
    (lambda: nn.depthwise_conv(IMAGE, FILTER[:, :, :2]), ShapeError, "x with 2 channels"),
    (lambda: nn.separable_conv(IMAGE, FILTER, FILTER), ShapeError, "of shape [1,1,24,O]"),
    (lambda: nn.conv_transpose(IMAGE, FILTER), ShapeError, "x with 6 channels"),
    (
        lambda: nn.conv_transpose(IMAGE, np.zeros((3, 3, 6, 4)), padding=((0, 0),) * 2),
        ArgumentError, 'padding "valid" or "same"',
    ),
    (
        lambda: nn.conv_transpose(IMAGE, np.zeros((3, 3, 6, 4)), 2, output_padding=(1, 1, 1)),
        ShapeError, "output_padding for each of 2 axes",
    ),
    (lambda: nn.max_pool(np.zeros((2, 3)), 2), ShapeError, "at least one spatial axis"),
    (lambda: nn.max_pool(IMAGE, (2, 2, 2)), ShapeError, "pool_size of at least 1"),
    (lambda: nn.average_pool(IMAGE, 9), ShapeError, "Use padding 'same', a smaller window"),
    (lambda: nn.layer_norm(IMAGE, np.ones(3)), ShapeError, "gamma of f32 and shape [4]"),
    (lambda: nn.layer_norm(IMAGE, epsilon=np.ones(2)), ShapeError, "[layer_norm] wants a scalar"),
    (lambda: nn.batch_norm(IMAGE, np.ones(3), np.ones(4)), ShapeError, "mean of f32 and shape [4]"),
    (lambda: nn.group_norm(IMAGE, groups=3), ShapeError, "divides the 4 channels"),
    (lambda: nn.group_norm(IMAGE), ShapeError, "divides the 4 channels"),
    (lambda: nn.dot_product_attention(IMAGE[0], IMAGE, IMAGE), ShapeError, "[batch, position,"),
    (
        lambda: nn.dot_product_attention(IMAGE, IMAGE, IMAGE, mask=np.ones((8, 8))),
        DTypeError, "pass numbers to add as bias",
    ),
    (
        lambda: nn.dot_product_attention(IMAGE, IMAGE, IMAGE, mask=np.ones((7, 8), bool)),
        ShapeError, "shapes that broadcast",
    ),
    (
        lambda: nn.dot_product_attention(IMAGE, IMAGE, IMAGE, np.ones((1, 2, 8, 8, 8))),
        ShapeError, "a bias that stretches to [2,8,8,8]",
    ),
    (lambda: nn.dropout(IMAGE, 1.5, key=KEY), ArgumentError, "a rate from 0 to 1"),
    (lambda: nn.dropout(IMAGE, 0.5, (2, 8), key=KEY), ShapeError, "a noise_shape of 4 sizes"),
    (lambda: nn.dropout(IMAGE, 0.5, (2, 8, 8, 3), key=KEY), ShapeError, "broadcast"),
    (lambda: nn.dropout(IMAGE, 0.5, key=7), ThalwegError, "Write key=key(7)."),
    (
        lambda: nn.categorical_crossentropy(np.array([1, 0]), np.zeros((2, 3))),
        ShapeError, "sparse_categorical_crossentropy",
    ),
    (
        lambda: nn.sparse_categorical_crossentropy(np.zeros((2, 3)), np.zeros((2, 3))),
        DTypeError, "write categorical_crossentropy",
    ),
    (
        lambda: nn.sparse_categorical_crossentropy(np.zeros(3, int), np.zeros((2, 3))),
        ShapeError, "a target of shape [2]",
    ),
    (lambda: nn.binary_crossentropy(np.zeros(3), np.zeros(2)), ShapeError, "[binary_crossentropy]"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(REFUSALS)))
def test_refusals_say_what_is_wanted(case):
    call, kind, message = REFUSALS[case]
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value) and isinstance(caught.value, ThalwegError)


# Pools of a number of windows, attention and losses with other settings ---------------------------


def naive_adaptive(x, counts, reduce):
    found = np.empty((x.shape[0], *counts, x.shape[-1]))
    for place in np.ndindex(*counts):
        cut = tuple(
            slice(i * n // m, -(-(i + 1) * n // m))
            for i, n, m in zip(place, x.shape[1:-1], counts, strict=True)
        )
        found[(slice(None), *place)] = reduce(
            x[(slice(None), *cut)], axis=tuple(range(1, x.ndim - 1))
        )
    return found


@pytest.mark.parametrize(
    ("shape", "counts"),
    [((2, 9, 3), (4,)), ((2, 8, 6, 3), (4, 3)), ((2, 7, 5, 2), (3, 4)), ((2, 3, 4, 2), (5, 6)),
     ((1, 4, 5, 6, 2), (2, 3, 3))],
)  # fmt: skip
def test_adaptive_pools(shape, counts):
    x = numbers(*shape)
    for ours, reduce in ((nn.adaptive_max_pool, np.max), (nn.adaptive_average_pool, np.mean)):
        wanted = naive_adaptive(x, counts, reduce)
        close(ours(x, counts), wanted, 1e-12)
        first = ours(np.moveaxis(x, -1, 1), counts, "channels_first")
        close(np.moveaxis(first.numpy(), 1, -1), wanted, 1e-12)


def test_adaptive_pools_of_named_sizes_and_their_slopes():
    traced = function(lambda x: (nn.adaptive_max_pool(x, 3), nn.adaptive_average_pool(x, (3, 2))))
    for shape in ((1, 7, 5, 2), (2, 4, 9, 2), (3, 6, 6, 2)):
        x = numbers(*shape)
        largest, mean = traced(x)
        close(largest, naive_adaptive(x, (3, 3), np.max), 1e-12)
        close(mean, naive_adaptive(x, (3, 2), np.mean), 1e-12)
    x = numbers(1, 7, 5, 2)
    slope = grad(lambda x: total(nn.adaptive_max_pool(x, 3), np.ones((1, 3, 3, 2))))(x).numpy()
    assert math.isclose(slope.sum(), 18)
    slope = grad(lambda x: total(nn.adaptive_average_pool(x, 3), np.ones((1, 3, 3, 2))))(x).numpy()
    assert math.isclose(slope.sum(), 18)


def test_integers_in_adaptive_pools():
    x = np.arange(12).reshape(1, 4, 3, 1)
    assert nn.adaptive_max_pool(x, 2).dtype == "int64"
    assert nn.adaptive_average_pool(x, 2).dtype == "float32"
    close(nn.adaptive_max_pool(x, 3).numpy()[0, :, :, 0], [[3, 4, 5], [6, 7, 8], [9, 10, 11]])


def test_sparse_plus_and_its_slope():
    x = np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    close(nn.sparse_plus(x), [0, 0, 0.0625, 0.25, 0.5625, 1, 3], 1e-12)
    close(nn.sparse_sigmoid(x), [0, 0, 0.25, 0.5, 0.75, 1, 1], 1e-12)
    slope = grad(lambda x: total(nn.sparse_plus(x), np.ones(7)))(x)
    close(slope, nn.sparse_sigmoid(x).numpy(), 1e-12)


def test_a_soft_cap_holds_the_logits():
    q, k, v = numbers(2, 3, 4, 8), numbers(2, 5, 2, 8), numbers(2, 5, 2, 6)
    for options in ({}, {"is_causal": True}, {"bias": numbers(3, 5)}):
        far = nn.dot_product_attention(q, k, v, soft_cap=1e7, **options)
        close(far, nn.dot_product_attention(q, k, v, **options).numpy())
    logits = 3 * np.tanh(np.einsum("bthd,bshd->bhts", q, np.repeat(k, 2, 2)) / math.sqrt(8) / 3)
    weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = np.einsum("bhts,bshe->bthe", weights, np.repeat(v, 2, 2))
    close(nn.dot_product_attention(q, k, v, soft_cap=3.0), wanted, 1e-12)


@pytest.mark.parametrize("cap", [None, 4.0])
def test_a_query_that_sees_nothing(cap):
    q, k, v = numbers(2, 3, 4, 8), numbers(2, 5, 2, 8), numbers(2, 5, 2, 6)
    mask = np.ones((2, 1, 3, 5), bool)
    mask[0, 0, 1] = False
    mask[1, 0, 0, 0] = False
    everything = np.repeat(v, 2, 2).mean(1)
    for causal in (False, True):
        options = {"mask": mask, "is_causal": causal, "soft_cap": cap}
        zero = nn.dot_product_attention(q, k, v, **options).numpy()
        found = nn.dot_product_attention(q, k, v, blind_sees_all=True, **options).numpy()
        blind = np.zeros((2, 3), bool)
        blind[0, 1] = True
        blind[1, 0] = causal
        assert not zero[blind].any()
        close(found[~blind], zero[~blind], 1e-12)
        number = np.nonzero(blind)[0]
        close(found[blind], everything[number], 1e-12)


def test_probabilities_are_held_as_far_as_one_likes():
    p, t = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    close(nn.binary_crossentropy(t, p, epsilon=1e-3), -np.log([1e-3, 1e-3]), 1e-12)
    wanted = [-math.log(1e-2)]
    close(nn.categorical_crossentropy(t[None], p[None], epsilon=1e-2), wanted, 1e-12)
    close(nn.sparse_categorical_crossentropy([0], p[None], epsilon=1e-2), wanted, 1e-12)


def test_logits_behind_probabilities():
    found = []

    def look(x):
        p, q, r = nn.softmax(x, 1), nn.softmax(x, (0, 1)), sigmoid(x)
        found.extend(
            nn.logits_behind(each, axis) is not None
            for each, axis in ((p, 1), (p, -1), (p, 0), (q, 1), (r, None), (x, 1), (x, None))
        )
        return p, q, r

    function(look)(numbers(2, 3))
    assert found == [True, True, False, False, True, False, False]
    assert nn.logits_behind(nn.softmax(numbers(2, 3)), 1) is None

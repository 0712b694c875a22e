"""What neural networks are made of, as functions of tensors.

Names follow Keras; layouts are channels last, [N, spatial..., C], unless `data_format` says
"channels_first", [N, C, spatial...]. Integers become float32; 16-bit floats are computed in float32
and rounded once. Parameters of normalisations take the type in which x is computed.

`padding` of convolutions and pools is "valid" (windows inside x only), "same" (as many windows as
ceil(size / stride), the padding split evenly with the odd place at the end), or one pair
(before, after) for each spatial axis.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.array.manipulation import converted, cut, expand, size_node, transposed
from thalweg.array.operands import (
    axes_of,
    axis_of,
    broadcast_shapes,
    broadcast_to,
    is_number,
    is_weak,
    operands,
    pointwise,
    result_dtype,
    same_dtype,
    same_shape,
    shape_of,
    to_dtype,
    to_tensor,
)
from thalweg.array.random import Generator, draw_key, size_of
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.ir.dim import Dim, ceil_div, dim_max, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like, items
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DEFAULT_FLOAT,
    Shape,
    Size,
    as_dtype,
    bool_,
    int32,
    int64,
    shape_text,
    tensor_type,
)
from thalweg.ir.types import size_of as elements
from thalweg.ops import composite as ops
from thalweg.ops import contract, window
from thalweg.ops.broadcast import broadcast as broadcast_op
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.composite import in_wide, to, wide_dtype
from thalweg.ops.elementwise import abs as abs_op
from thalweg.ops.elementwise import (
    add,
    clamp,
    divide,
    expm1,
    floor_divide,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    minimum,
    multiply,
    multiply_no_nan,
    negative,
    rsqrt,
    select,
    sigmoid,
    sqrt,
    square,
    subtract,
    tanh,
)
from thalweg.ops.index import gather, take
from thalweg.ops.movement import iota, reshape, reverse
from thalweg.ops.reduce import cumsum
from thalweg.ops.reduce import max as max_op
from thalweg.ops.sort import sort
from thalweg.ops.window_sizes import span

Sizes = Size | Sequence[Size]

# Activations --------------------------------------------------------------------------------------


def _below(x: Node, bound: Node, then: Node, otherwise: Node) -> Node:
    """`then` where x <= bound. A derivative at the bound is that of `then`."""
    return select(less_equal(x, bound), then, otherwise)


def _negative_part(x: Node) -> Node:
    """min(x, 0), safe to exponentiate."""
    zero = full_like(x, 0)
    return select(greater(x, zero), zero, x)


def _relu6(x: Node) -> Node:
    six = full_like(x, 6)
    return select(greater_equal(x, six), six, ops.relu(x))


def _leaky(x: Node, slope: Node) -> Node:
    return _below(x, full_like(x, 0), multiply(slope, x), x)


def _elu(x: Node, alpha: Node) -> Node:
    return _below(x, full_like(x, 0), multiply(alpha, expm1(_negative_part(x))), x)


def _celu(x: Node, alpha: Node) -> Node:
    low = multiply(alpha, expm1(divide(_negative_part(x), alpha)))
    return _below(x, full_like(x, 0), low, x)


# Klambauer, Unterthiner, Mayr and Hochreiter, "Self-normalizing neural networks" (2017): with these
# mean 0 and variance 1 are kept.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _selu(x: Node) -> Node:
    return multiply(_elu(x, full_like(x, _SELU_ALPHA)), full_like(x, _SELU_SCALE))


def _hard_sigmoid(x: Node) -> Node:
    return divide(_relu6(add(x, full_like(x, 3))), full_like(x, 6))


def _hard_tanh(x: Node) -> Node:
    low, high = full_like(x, -1), full_like(x, 1)
    return select(greater_equal(x, high), high, _below(x, low, low, x))


def _sparse_plus(x: Node) -> Node:
    bend = multiply(square(add(x, full_like(x, 1))), full_like(x, 0.25))
    return _below(x, full_like(x, -1), full_like(x, 0), _below(x, full_like(x, 1), bend, x))


def _sparse_sigmoid(x: Node) -> Node:
    return multiply(add(_hard_tanh(x), full_like(x, 1)), full_like(x, 0.5))


def _soft_shrink(x: Node, threshold: Node) -> Node:
    low = negative(threshold)
    inside = select(less(x, low), add(x, threshold), multiply(x, full_like(x, 0)))
    return select(greater(x, threshold), subtract(x, threshold), inside)


def _hard_shrink(x: Node, threshold: Node) -> Node:
    return _below(abs_op(x), threshold, full_like(x, 0), x)


def _threshold(x: Node, bound: Node, value: Node) -> Node:
    return _below(x, bound, value, x)


def _squareplus(x: Node, b: Node) -> Node:
    return multiply(add(x, sqrt(add(square(x), b))), full_like(x, 0.5))


def _apply(name: str, function: Callable[..., Node], x: Any, *parameters: Any) -> Tensor:
    """A formula on floats; 16 bits are widened first and the result rounded once."""
    if not parameters:
        return pointwise(name, in_wide(function), x, floats=True)
    values = [each if is_weak(each) else to_tensor(each, name) for each in (x, *parameters)]
    dtype = result_dtype(name, values)
    dtype = dtype if dtype.is_inexact else DEFAULT_FLOAT
    if not dtype.is_float:
        raise DTypeError(explain(name, "real numbers", dtype.name, "Take abs(x) or real(x)."))
    nodes = [to_dtype(name, value, wide_dtype(dtype)) for value in values]
    return wrap(to(function(*same_shape(name, nodes)), dtype))


def relu(x: Any) -> Tensor:
    """max(x, 0); the slope at 0 is 0."""
    return pointwise("relu", ops.relu, x, floats=True)


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6); the slopes at 0 and 6 are 0."""
    return pointwise("relu6", _relu6, x, floats=True)


def leaky_relu(x: Any, negative_slope: Any = 0.2) -> Tensor:
    """x where it is positive, negative_slope * x elsewhere."""
    return _apply("leaky_relu", _leaky, x, negative_slope)


def elu(x: Any, alpha: Any = 1.0) -> Tensor:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""
    return _apply("elu", _elu, x, alpha)


def selu(x: Any) -> Tensor:
    """1.0507 * elu(x, alpha=1.67326), which keeps mean 0 and variance 1."""
    return _apply("selu", _selu, x)


def celu(x: Any, alpha: Any = 1.0) -> Tensor:
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere."""
    return _apply("celu", _celu, x, alpha)


def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution function at x; with `approximate`, by way of tanh."""
    return pointwise("gelu", lambda node: ops.gelu(node, approximate=approximate), x, floats=True)


def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish."""
    return pointwise("silu", ops.silu, x, floats=True)


swish = silu


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x)), which is 0 at minus infinity."""
    return _apply("mish", lambda x: multiply_no_nan(x, tanh(ops.softplus(x))), x)


def softplus(x: Any) -> Tensor:
    """log(1 + exp(x)), without overflow."""
    return pointwise("softplus", ops.softplus, x, floats=True)


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return _apply("softsign", lambda x: divide(x, add(full_like(x, 1), abs_op(x))), x)


def squareplus(x: Any, b: Any = 4.0) -> Tensor:
    """(x + sqrt(x**2 + b)) / 2."""
    return _apply("squareplus", _squareplus, x, b)


def log_sigmoid(x: Any) -> Tensor:
    """The logarithm of sigmoid(x), without overflow."""
    return pointwise("log_sigmoid", ops.log_sigmoid, x, floats=True)


def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6."""
    return _apply("hard_sigmoid", _hard_sigmoid, x)


def sparse_plus(x: Any) -> Tensor:
    """(x + 1)**2 / 4 between -1 and 1, 0 below and x above; sparsemax's softplus."""
    return _apply("sparse_plus", _sparse_plus, x)


def sparse_sigmoid(x: Any) -> Tensor:
    """(x + 1) / 2 held between 0 and 1, where the slopes are 0; the slope of sparse_plus."""
    return _apply("sparse_sigmoid", _sparse_sigmoid, x)


def hard_silu(x: Any) -> Tensor:
    """x * hard_sigmoid(x), also called hard swish; 0 at minus infinity."""
    return _apply("hard_silu", lambda x: multiply_no_nan(x, _hard_sigmoid(x)), x)


hard_swish = hard_silu


def hard_tanh(x: Any) -> Tensor:
    """x held between -1 and 1, where the slopes are 0."""
    return _apply("hard_tanh", _hard_tanh, x)


def tanh_shrink(x: Any) -> Tensor:
    """x - tanh(x)."""
    return _apply("tanh_shrink", lambda x: subtract(x, tanh(x)), x)


def soft_shrink(x: Any, threshold: Any = 0.5) -> Tensor:
    """x moved toward 0 by the threshold, and 0 where it is nearer than that."""
    return _apply("soft_shrink", _soft_shrink, x, threshold)


def hard_shrink(x: Any, threshold: Any = 0.5) -> Tensor:
    """x where |x| is above the threshold, 0 elsewhere."""
    return _apply("hard_shrink", _hard_shrink, x, threshold)


def threshold(x: Any, threshold: Any, default_value: Any) -> Tensor:
    """x where it is above the threshold, the default value elsewhere."""
    return _apply("threshold", _threshold, x, threshold, default_value)


def glu(x: Any, axis: int = -1) -> Tensor:
    """a * sigmoid(b) for the two halves a and b of x along an axis of even size."""
    node, place = _floats_and_axis("glu", x, axis)
    size = node.shape[place]
    if not is_known_equal(size % 2, 0):
        raise ShapeError(
            explain("glu", f"an even size along axis {place}", str(node.type), "Pad it, or cut it.")
        )
    half = size // 2

    def gated(whole: Node) -> Node:
        return multiply(cut(whole, place, 0, half), sigmoid(cut(whole, place, half, size)))

    return wrap(in_wide(gated)(node))


# Softmax and its kin ------------------------------------------------------------------------------


def _floats(name: str, x: Any) -> Node:
    (node,) = same_dtype(name, x, floats=True)
    if not node.dtype.is_float:
        raise DTypeError(explain(name, "real numbers", str(node.type), "Take abs(x) or real(x)."))
    return node


def _floats_and_axis(name: str, x: Any, axis: int) -> tuple[Node, int]:
    node = _floats(name, x)
    return node, axis_of(name, axis, node.type.rank)


def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over one axis, several, or all for None."""
    node = _floats("softmax", x)
    return wrap(ops.softmax(node, axes=axes_of("softmax", axis, node.type.rank)))


def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Tensor:
    """x - log(sum(exp(x))) over one axis, several, or all for None."""
    node = _floats("log_softmax", x)
    return wrap(ops.log_softmax(node, axes=axes_of("log_softmax", axis, node.type.rank)))


def logsumexp(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over all axes, one, or several; minus infinity where there is nothing."""
    node = _floats("logsumexp", x)
    axes = axes_of("logsumexp", axis, node.type.rank)
    y = ops.logsumexp(node, axes=axes)
    return wrap(expand(y, axes) if keepdims else y)


def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """The nearest point to x, along an axis, whose elements are at least 0 and sum to 1.

    Martins and Astudillo, "From softmax to sparsemax" (2016).
    """
    node, place = _floats_and_axis("sparsemax", x, axis)

    def nearest(x: Node) -> Node:
        (ordered,) = items(sort(x, axis=place, descending=True))
        running = cumsum(ordered, axis=place)
        count = add(iota(dtype=x.dtype, shape=x.shape, axis=place), full_like(x, 1))
        one = full_like(x, 1)
        # The k largest are the support while 1 + k x[k] is above their sum.
        supports = greater(add(one, multiply(count, ordered)), running)
        zero = full_like(x, 0)
        size = sum_op(select(supports, one, zero), axes=(place,))
        total = sum_op(select(supports, ordered, zero), axes=(place,))
        excess = divide(subtract(total, full_like(total, 1)), size)
        return ops.relu(subtract(x, ops.spread(excess, x, (place,))))

    return wrap(in_wide(nearest)(node))


def one_hot(x: Any, num_classes: Size, axis: int = -1, dtype: Any = "float32") -> Tensor:
    """1 at each index along a new axis of `num_classes`, 0 elsewhere; none for an index outside."""
    node = node_of(to_tensor(x, "one_hot"))
    place = axis_of("one_hot", axis, node.type.rank + 1)
    depth = size_of("one_hot", "num_classes", num_classes)
    return wrap(ops.one_hot(node, depth=depth, dtype=as_dtype(dtype), axis=place))


def multi_hot(x: Any, num_classes: Size, axis: int = -1, dtype: Any = "float32") -> Tensor:
    """1 at every index in a row along the last axis of x, which an axis of classes replaces.

    An index outside, such as -1 for nothing, is left out.
    """
    node = node_of(to_tensor(x, "multi_hot"))
    if not node.type.rank:
        raise ShapeError(
            explain("multi_hot", "rows of indices", str(node.type), "Write one_hot for one index.")
        )
    depth = size_of("multi_hot", "num_classes", num_classes)
    place = axis_of("multi_hot", axis, node.type.rank)
    last = node.type.rank - 1
    lead = node.shape[:-1]
    if is_known_equal(node.shape[last], 0):
        shape = (*lead[:place], depth, *lead[place:])
        return wrap(full(0, as_dtype(dtype), shape))
    hot = ops.one_hot(node, depth=depth, dtype=bool_, axis=last + 1)
    found = transposed(max_op(hot, axes=(last,)), _moved_from_last(last + 1, place))
    return wrap(to(found, as_dtype(dtype)))


def _moved_from_last(rank: int, place: int) -> tuple[int, ...]:
    """The permutation that puts the last axis at a place."""
    rest = list(range(rank - 1))
    rest.insert(place, rank - 1)
    return tuple(rest)


def _moved_to_last(node: Node, place: int) -> Node:
    rank = node.type.rank
    return transposed(node, (*(axis for axis in range(rank) if axis != place), place))


# Convolutions -------------------------------------------------------------------------------------


def _channels_first(name: str, data_format: str | None) -> bool:
    if data_format not in (None, "channels_last", "channels_first"):
        raise ArgumentError(
            explain(name, 'data_format "channels_last" or "channels_first"', repr(data_format))
        )
    return data_format == "channels_first"


def _channels_last(x: Node, is_first: bool) -> Node:
    rank = x.type.rank
    return transposed(x, (0, *range(2, rank), 1)) if is_first and rank > 1 else x


def _restored(y: Node, is_first: bool) -> Node:
    rank = y.type.rank
    return transposed(y, (0, rank - 1, *range(1, rank - 1))) if is_first else y


def _each(name: str, what: str, given: Any, rank: int) -> tuple[Size, ...]:
    """One size of at least 1 for each spatial axis, from one for all or a sequence."""
    sizes = shape_of(f"{name}({what})", given)
    if not isinstance(given, (tuple, list)):
        sizes = sizes * rank
    if len(sizes) != rank or not all(is_known_at_least(size, 1) for size in sizes):
        raise ShapeError(
            explain(name, f"{what} of at least 1, one for all or one for each of {rank} axes",
                    f"{what}={given!r}")
        )  # fmt: skip
    return sizes


def _paddings(
    name: str,
    padding: Any,
    sizes: Sequence[Size],
    reaches: Sequence[Size],
    strides: Sequence[Size],
) -> tuple[tuple[Size, Size], ...]:
    """The places before and after each spatial axis."""
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if padding == "same":
        return tuple(map(_same_padding, sizes, reaches, strides))
    pairs = padding if isinstance(padding, (tuple, list)) else ()
    if len(pairs) != len(sizes) or not all(
        isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs
    ):
        raise ArgumentError(
            explain(
                name,
                f'padding "valid", "same", or a pair (before, after) for each of {len(sizes)} axes',
                f"padding={padding!r}",
            )
        )
    return tuple((before, after) for before, after in pairs)


def _same_padding(size: Size, reach: Size, stride: Size) -> tuple[Size, Size]:
    total = dim_max((ceil_div(size, stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _check_ranks(name: str, x: Node, kernel: Node, layout: str) -> None:
    rank = x.type.rank - 2
    if rank < 1 or kernel.type.rank != x.type.rank:
        raise ShapeError(
            explain(
                name,
                f"x [N, spatial..., C] and a kernel {layout} with as many spatial axes, at least 1",
                f"x {x.type} and kernel {kernel.type}",
                "Add the axis that is missing with expand_dims.",
            )
        )


def _check_channels(name: str, x: Node, kernel: Node, wanted: Size, advice: str = "") -> None:
    channels = x.shape[-1]
    if not is_known_equal(channels, wanted):
        raise ShapeError(
            explain(
                name,
                f"x with {wanted} channels: the input channels must match the kernel's",
                f"x with {channels} channels, kernel {kernel.type}",
                advice,
            )
        )


def _conv(
    name: str,
    x: Node,
    kernel: Node,
    strides: Any,
    padding: Any,
    dilation_rate: Any,
    groups: Size = 1,
) -> Node:
    """A convolution in channels last."""
    rank = x.type.rank - 2
    steps = _each(name, "strides", strides, rank)
    gaps = _each(name, "dilation_rate", dilation_rate, rank)
    reaches = tuple(map(span, kernel.shape[:-2], gaps))
    return contract.conv(
        x,
        kernel,
        strides=steps,
        padding=_paddings(name, padding, x.shape[1:-1], reaches, steps),
        input_dilation=(1,) * rank,
        kernel_dilation=gaps,
        feature_groups=groups,
    )


def conv(
    x: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
    groups: Size = 1,
) -> Tensor:
    """The cross-correlation of x [N, spatial..., C] with a kernel [spatial..., C / groups, O].

    Any number of spatial axes. With groups, each group of outputs sees its own group of channels.
    """
    is_first = _channels_first("conv", data_format)
    x, kernel = same_dtype("conv", x, kernel)
    x = _channels_last(x, is_first)
    _check_ranks("conv", x, kernel, "[spatial..., C / groups, O]")
    (groups,) = _each("conv", "groups", groups, 1)
    channels, depth = x.shape[-1], kernel.shape[-2]
    advice = ""
    if not is_known_equal(depth, 0) and is_known_equal(channels % depth, 0):
        advice = f"groups={channels // depth} would fit."
    _check_channels("conv", x, kernel, depth * groups, advice)
    return wrap(
        _restored(_conv("conv", x, kernel, strides, padding, dilation_rate, groups), is_first)
    )


def depthwise_conv(
    x: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """Each channel of x [N, spatial..., C] with M kernels of its own, [spatial..., C, M].

    The result has C * M channels, those of one channel of x side by side.
    """
    is_first = _channels_first("depthwise_conv", data_format)
    x, kernel = same_dtype("depthwise_conv", x, kernel)
    x = _channels_last(x, is_first)
    y = _depthwise("depthwise_conv", x, kernel, strides, padding, dilation_rate)
    return wrap(_restored(y, is_first))


def _depthwise(
    name: str, x: Node, kernel: Node, strides: Any, padding: Any, dilation_rate: Any
) -> Node:
    _check_ranks(name, x, kernel, "[spatial..., C, M]")
    *spatial, channels, multiplier = kernel.shape
    _check_channels(name, x, kernel, channels)
    single = reshape(kernel, shape=(*spatial, 1, channels * multiplier))
    return _conv(name, x, single, strides, padding, dilation_rate, channels)


def separable_conv(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Sizes = 1,
    padding: Any = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """A depthwise convolution, then one that mixes channels, with a kernel [1..., C * M, O]."""
    is_first = _channels_first("separable_conv", data_format)
    x, depthwise, mixing = same_dtype("separable_conv", x, depthwise_kernel, pointwise_kernel)
    x = _channels_last(x, is_first)
    y = _depthwise("separable_conv", x, depthwise, strides, padding, dilation_rate)
    ones = (1,) * (x.type.rank - 2)
    fits = mixing.type.rank == x.type.rank and all(
        is_known_equal(size, 1) for size in mixing.shape[:-2]
    )
    if not fits or not is_known_equal(mixing.shape[-2], y.shape[-1]):
        wanted = shape_text((*ones, y.shape[-1], "O"))  # type: ignore[arg-type]
        raise ShapeError(
            explain("separable_conv", f"a pointwise kernel of shape {wanted}", str(mixing.type))
        )
    return wrap(_restored(_conv("separable_conv", y, mixing, 1, "valid", 1), is_first))


def conv_transpose(
    x: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """The adjoint of a convolution: x [N, spatial..., C] with a kernel [spatial..., O, C].

    For a size n, a stride s and a kernel that reaches over k places, the result has the size

        "valid"   (n - 1) s + max(k, s)        with output_padding p   (n - 1) s + k + p
        "same"    n s                          with output_padding p   (n - 1) s + k % 2 + p

    which a convolution with the same stride and padding takes back to n, as in TensorFlow.
    """
    name = "conv_transpose"
    is_first = _channels_first(name, data_format)
    x, kernel = same_dtype(name, x, kernel)
    x = _channels_last(x, is_first)
    _check_ranks(name, x, kernel, "[spatial..., O, C]")
    _check_channels(name, x, kernel, kernel.shape[-1])
    if padding not in ("valid", "same"):
        raise ArgumentError(explain(name, 'padding "valid" or "same"', repr(padding)))
    rank = x.type.rank - 2
    steps = _each(name, "strides", strides, rank)
    gaps = _each(name, "dilation_rate", dilation_rate, rank)
    more = (None,) * rank if output_padding is None else _more(name, output_padding, rank)
    paddings = tuple(
        _transposed_padding(size, span(width, gap), step, padding == "same", extra)
        for size, width, gap, step, extra in zip(
            x.shape[1:-1], kernel.shape[:-2], gaps, steps, more, strict=True
        )
    )
    spatial = tuple(range(rank))
    y = contract.conv(
        x,
        transposed(reverse(kernel, axes=spatial), (*spatial, rank + 1, rank)),
        strides=(1,) * rank,
        padding=paddings,
        input_dilation=steps,
        kernel_dilation=gaps,
    )
    return wrap(_restored(y, is_first))


def _more(name: str, output_padding: Any, rank: int) -> tuple[Size, ...]:
    sizes = shape_of(f"{name}(output_padding)", output_padding)
    if not isinstance(output_padding, (tuple, list)):
        sizes = sizes * rank
    if len(sizes) != rank:
        raise ShapeError(
            explain(name, f"output_padding for each of {rank} axes", f"{output_padding!r}")
        )
    return sizes


def _transposed_padding(
    size: Size, reach: Size, stride: Size, is_same: bool, extra: Size | None
) -> tuple[Size, Size]:
    """The padding of x, spread by the stride, that makes the convolution's adjoint."""
    placed = (size - 1) * stride
    if extra is None:
        result = size * stride if is_same else placed + dim_max(reach, stride)
    else:
        result = placed + (reach % 2 if is_same else reach) + extra
    # What the convolution would pad before its input is cut off before the result.
    total = dim_max(placed + reach - result, 0)
    before = reach - 1 - (total // 2 if is_same else 0)
    return before, result + reach - 2 - placed - before


# Pools --------------------------------------------------------------------------------------------


def _pool_attributes(
    name: str, x: Node, pool_size: Any, strides: Any, padding: Any
) -> dict[str, Any]:
    rank = x.type.rank - 2
    if rank < 1:
        raise ShapeError(
            explain(name, "x [N, spatial..., C] with at least one spatial axis", str(x.type))
        )
    sizes = _each(name, "pool_size", pool_size, rank)
    steps = sizes if strides is None else _each(name, "strides", strides, rank)
    pairs = _paddings(name, padding, x.shape[1:-1], sizes, steps)
    ones = (1,) * x.type.rank
    return {
        "window": (1, *sizes, 1),
        "strides": (1, *steps, 1),
        "padding": ((0, 0), *pairs, (0, 0)),
        "input_dilation": ones,
        "window_dilation": ones,
    }


def max_pool(
    x: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest value of every window of x; `strides` are the windows' sizes by default."""
    is_first = _channels_first("max_pool", data_format)
    node = _channels_last(node_of(to_tensor(x, "max_pool")), is_first)
    attributes = _pool_attributes("max_pool", node, pool_size, strides, padding)
    return wrap(_restored(window.window_max(node, **attributes), is_first))


def average_pool(
    x: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: Any = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of every window of x over the places inside x: padding does not count."""
    is_first = _channels_first("average_pool", data_format)
    node = _channels_last(_floats("average_pool", x), is_first)
    attributes = _pool_attributes("average_pool", node, pool_size, strides, padding)

    def averaged(x: Node) -> Node:
        total = window.window_sum(x, **attributes)
        ones = full(1, x.dtype, (1, *x.shape[1:-1], 1))
        count = window.window_sum(ones, **attributes)
        return divide(total, broadcast_to(count, total.shape))

    return wrap(_restored(in_wide(averaged)(node), is_first))


def adaptive_max_pool(x: Any, output_size: Sizes, data_format: str | None = None) -> Tensor:
    """The largest value of each of `output_size` windows along every spatial axis of x.

    Window i of m over a size n reaches from i n / m rounded down to (i + 1) n / m rounded up.
    """
    name = "adaptive_max_pool"
    is_first = _channels_first(name, data_format)
    node = _channels_last(node_of(to_tensor(x, name)), is_first)
    counts = _adaptive_counts(name, node, output_size)
    attributes = _even_windows(node, counts)
    if attributes is not None:
        return wrap(_restored(window.window_max(node, **attributes), is_first))
    for axis, count in enumerate(counts, 1):
        size = node.shape[axis]
        first, end = _adaptive_bounds(size, count)
        shape = (count, _longest(size, count))
        offset = iota(dtype=int64, shape=shape, axis=1)
        # A window that is shorter than the longest meets its last element again.
        last = broadcast_op(subtract(end, full_like(end, 1)), shape=shape, axes=(0,))
        place = minimum(add(broadcast_op(first, shape=shape, axes=(0,)), offset), last)
        node = max_op(take(node, place, axis), axes=(axis + 1,))
    return wrap(_restored(node, is_first))


def adaptive_average_pool(x: Any, output_size: Sizes, data_format: str | None = None) -> Tensor:
    """The mean of each of `output_size` windows along every spatial axis of x.

    Window i of m over a size n reaches from i n / m rounded down to (i + 1) n / m rounded up.
    """
    name = "adaptive_average_pool"
    is_first = _channels_first(name, data_format)
    node = _channels_last(_floats(name, x), is_first)
    counts = _adaptive_counts(name, node, output_size)
    attributes = _even_windows(node, counts)

    def even(x: Node) -> Node:
        assert attributes is not None
        total = window.window_sum(x, **attributes)
        count = size_node(elements(attributes["window"]), x.dtype)
        return divide(total, broadcast_to(count, total.shape))

    def uneven(x: Node) -> Node:
        for axis, count in enumerate(counts, 1):
            size = x.shape[axis]
            first, end = (
                broadcast_op(each, shape=(count, size), axes=(0,))
                for each in _adaptive_bounds(size, count)
            )
            place = iota(dtype=int64, shape=(count, size), axis=1)
            inside = logical_and(less_equal(first, place), less(place, end))
            share = divide(full_like(to(first, x.dtype), 1), to(subtract(end, first), x.dtype))
            weights = select(inside, share, full_like(share, 0))
            x = contract.dot(x, weights, contract=((axis,), (1,)))
            rest = [each for each in range(x.type.rank - 1) if each >= axis]
            x = transposed(x, (*range(axis), x.type.rank - 1, *rest))
        return x

    return wrap(_restored(in_wide(even if attributes is not None else uneven)(node), is_first))


def _adaptive_counts(name: str, x: Node, output_size: Any) -> tuple[Size, ...]:
    rank = x.type.rank - 2
    if rank < 1:
        raise ShapeError(
            explain(name, "x [N, spatial..., C] with at least one spatial axis", str(x.type))
        )
    return _each(name, "output_size", output_size, rank)


def _even_windows(x: Node, counts: Sequence[Size]) -> dict[str, Any] | None:
    """The windows of an ordinary pool where they divide x evenly."""
    sizes = x.shape[1:-1]
    if not all(
        is_known_equal(size % count, 0) and is_known_at_least(size, 1)
        for size, count in zip(sizes, counts, strict=True)
    ):
        return None
    pool = tuple(size // count for size, count in zip(sizes, counts, strict=True))
    return _pool_attributes("adaptive_pool", x, pool, None, "valid")


def _adaptive_bounds(size: Size, count: Size) -> tuple[Node, Node]:
    """The first place of each window, and the one after its last."""
    number = iota(dtype=int64, shape=(count,), axis=0)
    whole, parts = (broadcast_to(size_node(each), (count,)) for each in (size, count))
    begin = multiply(number, whole)
    end = add(add(begin, whole), subtract(parts, full_like(parts, 1)))
    return floor_divide(begin, parts), floor_divide(end, parts)


def _longest(size: Size, count: Size) -> Size:
    """How long the longest window is, or may be where sizes are named."""
    if isinstance(size, int) and isinstance(count, int):
        return max(-(-(i + 1) * size // count) - i * size // count for i in range(count))
    return ceil_div(size, count) + 1


# Normalisations -----------------------------------------------------------------------------------


def _steering(name: str, x: Node, value: Any) -> Node:
    """A number that steers an op: a scalar of the type in which x is computed."""
    node = converted(name, value, wide_dtype(x.dtype))
    if node.type.rank:
        raise ShapeError(explain(name, "a scalar", str(node.type)))
    return node


def _parameter(name: str, x: Node, value: Any, shape: Shape, default: float) -> Node:
    """A parameter in the type in which x is computed; constant where it is None."""
    wide = wide_dtype(x.dtype)
    return full(default, wide, shape) if value is None else converted(name, value, wide)


def moments(
    x: Any, axes: int | Sequence[int] | None = None, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean and the variance over one axis, several, or all; 16-bit floats give float32.

    The variance is the mean of the squared distances from the mean.
    """
    node = _floats("moments", x)
    places = axes_of("moments", axes, node.type.rank)
    found = ops.moments(node, places)
    return tuple(wrap(expand(each, places) if keepdims else each) for each in found)  # type: ignore[return-value]


def layer_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int | Sequence[int] = -1,
    epsilon: Any = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with moments over one axis or several.

    gamma and beta have the sizes of these axes; None stands for 1 and 0.
    """
    node = _floats("layer_norm", x)
    axes = axes_of("layer_norm", axis, node.type.rank)
    shape = tuple(node.shape[each] for each in axes)
    scale = _parameter("layer_norm", node, gamma, shape, 1)
    shift = _parameter("layer_norm", node, beta, shape, 0)
    return wrap(
        ops.layer_norm(node, scale, shift, _steering("layer_norm", node, epsilon), axes=axes)
    )


def rms_norm(
    x: Any, gamma: Any = None, axis: int | Sequence[int] = -1, epsilon: Any = 1e-6
) -> Tensor:
    """x / sqrt(mean(x**2) + epsilon) * gamma, with the mean over one axis or several."""
    node = _floats("rms_norm", x)
    axes = axes_of("rms_norm", axis, node.type.rank)
    scale = _parameter("rms_norm", node, gamma, tuple(node.shape[each] for each in axes), 1)
    return wrap(ops.rms_norm(node, scale, _steering("rms_norm", node, epsilon), axes=axes))


def batch_norm(
    x: Any,
    mean: Any,
    variance: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int = -1,
    epsilon: Any = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, one of each for every place of an axis.

    In training the mean and variance are those of the batch, `moments(x, axes)` over all other
    axes; later running averages of them.
    """
    node, place = _floats_and_axis("batch_norm", x, axis)
    shape = (node.shape[place],)
    rows = [
        _parameter("batch_norm", node, value, shape, default)
        for value, default in ((mean, 0), (variance, 1), (gamma, 1), (beta, 0))
    ]
    return wrap(ops.batch_norm(node, *rows, _steering("batch_norm", node, epsilon), axis=place))


def group_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    groups: int = 32,
    axis: int = -1,
    epsilon: Any = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with moments over groups of channels.

    Axis 0 is the batch; the moments of each example are over all other axes and the channels of a
    group. One group is a layer norm over everything, as many as channels an instance norm.
    """
    node, place = _floats_and_axis("group_norm", x, axis)
    shape = (node.shape[place],)
    scale = _parameter("group_norm", node, gamma, shape, 1)
    shift = _parameter("group_norm", node, beta, shape, 0)
    small = _steering("group_norm", node, epsilon)
    return wrap(ops.group_norm(node, scale, shift, small, groups=groups, axis=place))


# Attention and dropout ----------------------------------------------------------------------------


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
    is_causal: bool = False,
    soft_cap: float | None = None,
    blind_sees_all: bool = False,
) -> Tensor:
    """softmax(query . key * scale + bias) . value for each head.

    query [B, T, H, D], key [B, S, G, D] and value [B, S, G, E] give [B, T, H, E]; G divides H, and
    heads in a row share a key. `bias` (added) and `mask` (true where a key may be seen) stretch to
    [B, H, T, S]. `is_causal` hides keys at later positions than the query's. `scale` is
    1 / sqrt(D) by default. `soft_cap` holds the scaled products between -cap and cap, by way of
    tanh. A query that the mask lets see nothing gives 0, or with `blind_sees_all` the mean of all
    values.
    """
    name = "dot_product_attention"
    nodes = same_dtype(name, query, key, value, floats=True)
    if any(node.type.rank != 4 for node in nodes):
        raise ShapeError(
            explain(
                name,
                "query, key and value with axes [batch, position, head, feature]",
                ", ".join(str(node.type) for node in nodes),
                "Add the axis that is missing with expand_dims.",
            )
        )
    q, k, v = nodes
    wide = wide_dtype(q.dtype)
    factor = _default_scale(q) if scale is None else _steering(name, q, scale)
    shape = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    extra = None if bias is None else _fitted(name, "a bias", converted(name, bias, wide), shape)
    blind = None
    if mask is not None:
        seen = node_of(to_tensor(mask, name))
        if seen.dtype is not bool_:
            raise DTypeError(
                explain(name, "a mask of booleans", str(seen.type),
                        "Compare first, mask != 0, or pass numbers to add as bias=...")
            )  # fmt: skip
        if blind_sees_all:
            blind = _blind(seen, _past(shape[-2:]) if is_causal else None, shape)
        seen = _fitted(name, "a mask", seen, shape)
        extra = seen if extra is None else select(seen, extra, full_like(extra, -math.inf))
    more = () if extra is None else (extra,)
    if soft_cap is not None:
        found = in_wide(_capped(soft_cap, is_causal))(*nodes, factor, *more)
    else:
        found = ops.attention(*nodes, factor, *more, causal=is_causal)
    if blind is not None:
        whole = in_wide(lambda values: ops.mean(values, (1,)))(_shared(v, shape[1] // v.shape[2]))
        blind = broadcast_op(transposed(blind, (0, 2, 1)), shape=found.shape, axes=(0, 1, 2))
        found = select(blind, broadcast_op(whole, shape=found.shape, axes=(0, 2, 3)), found)
    return wrap(found)


def _blind(seen: Node, past: Node | None, shape: Shape) -> Node:
    """True for the queries [B, H, T] that a mask, not yet stretched, lets see nothing."""
    if past is not None:
        whole = (*seen.shape[:-2], *shape[2:])
        seen, past = broadcast_to(seen, whole), broadcast_to(past, whole)
        seen = logical_and(seen, past)
    seen = expand(seen, range(4 - seen.type.rank)) if seen.type.rank < 4 else seen
    last = seen.type.rank - 1
    sees = max_op(seen, axes=(last,))
    return logical_not(broadcast_to(sees, shape[:3]))


def _past(shape: Shape) -> Node:
    """True where a key's position, the last axis, is not after the query's, the one before."""
    here, there = (iota(dtype=int32, shape=shape, axis=len(shape) - back) for back in (2, 1))
    return less_equal(there, here)


def _capped(cap: float, is_causal: bool) -> Callable[..., Node]:
    """Attention whose products are held between -cap and cap."""
    if not (is_number(cap) and cap > 0):
        raise ArgumentError(explain("dot_product_attention", "a soft_cap above 0", repr(cap)))

    def attend(query: Node, key: Node, value: Node, scale: Node, *extra: Node) -> Node:
        share = query.shape[2] // key.shape[2]
        key, value = (_shared(each, share) for each in (key, value))
        # [B,T,H,D], [B,S,H,D] -> [B,H,T,S]
        logits = contract.dot(query, key, contract=((3,), (3,)), batch=((0, 2), (0, 2)))
        logits = multiply(logits, broadcast_to(scale, logits.shape))
        bound = full_like(logits, cap)
        logits = multiply(bound, tanh(divide(logits, bound)))
        if is_causal:
            logits = select(_past(logits.shape), logits, full_like(logits, -math.inf))
        for each in extra:
            logits = (
                select(each, logits, full_like(logits, -math.inf))
                if each.dtype is bool_
                else add(logits, each)
            )
        # As in the uncapped form, a query that sees nothing gives 0.
        peak = max_op(logits, axes=(3,))
        sees = greater(peak, full_like(peak, -math.inf))
        logits = select(ops.spread(sees, logits, (3,)), logits, full_like(logits, 0))
        weights = ops.softmax(logits, axes=(3,))
        weights = select(ops.spread(sees, weights, (3,)), weights, full_like(weights, 0))
        # [B,H,T,S], [B,S,H,E] -> [B,H,T,E] -> [B,T,H,E]
        found = contract.dot(weights, value, contract=((3,), (1,)), batch=((0, 1), (0, 2)))
        return transposed(found, (0, 2, 1, 3))

    return attend


def _shared(x: Node, share: Size) -> Node:
    """Each head repeated for the query heads that share it: [B,S,G,D] -> [B,S,G share,D]."""
    batch, length, heads, depth = x.shape
    wide = broadcast_op(x, shape=(batch, length, heads, share, depth), axes=(0, 1, 2, 4))
    return reshape(wide, shape=(batch, length, heads * share, depth))


def _default_scale(query: Node) -> Node:
    depth, wide = query.shape[3], wide_dtype(query.dtype)
    if isinstance(depth, Dim):
        return rsqrt(size_node(depth, wide))
    return full(1 / math.sqrt(max(depth, 1)), wide)


def _fitted(name: str, what: str, node: Node, shape: Shape) -> Node:
    """A node stretched to a shape."""
    common = broadcast_shapes(name, [node.type, tensor_type(node.dtype, shape)])
    if len(common) != len(shape) or not all(map(is_known_equal, common, shape)):
        raise ShapeError(
            explain(name, f"{what} that stretches to {shape_text(shape)}", str(node.type))
        )
    return broadcast_to(node, shape)


def dropout(
    x: Any,
    rate: Any,
    noise_shape: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """x with each element 0 with probability `rate`, else divided by 1 - rate.

    Elements share their fate along axes where `noise_shape` is 1. With the number 0 as rate, x
    comes back and nothing is drawn.
    """
    node = _floats("dropout", x)
    if is_number(rate):
        if not 0 <= rate <= 1:
            raise ArgumentError(explain("dropout", "a rate from 0 to 1", f"{rate}"))
        if rate == 0:
            return wrap(node)
    chance, source = _steering("dropout", node, rate), draw_key("dropout", key, generator)
    if noise_shape is None:
        return wrap(ops.dropout(node, source, chance))
    shape = tuple(
        size if given is None else shape_of("dropout", given)[0]
        for given, size in zip(noise_shape, node.shape, strict=False)
    )
    if len(noise_shape) != node.type.rank:
        raise ShapeError(
            explain("dropout", f"a noise_shape of {node.type.rank} sizes", f"{noise_shape!r}")
        )
    noise = ops.dropout(full(1, chance.dtype, shape), source, chance)
    noise = _fitted("dropout", "a noise_shape", noise, node.shape)
    return wrap(to(multiply_no_nan(to(node, noise.dtype), noise), node.dtype))


# Cross entropies ----------------------------------------------------------------------------------

# Probabilities are held this far from 0 and 1, as in Keras: their logarithms stay finite.
_EPSILON = 1e-7


def _held(p: Node, epsilon: float) -> Node:
    return clamp(full_like(p, epsilon), p, full_like(p, 1 - epsilon))


def logits_behind(probabilities: Any, axis: int | None = None) -> Tensor | None:
    """The logits of which a traced tensor is the softmax along an axis, or for None the sigmoid.

    None where it is not known to be one. Cross entropies of logits keep their slope where the
    probabilities round to 0 or 1.
    """
    if not isinstance(probabilities, Tensor) or not probabilities.is_traced:
        return None
    node = node_of(probabilities)
    if axis is None:
        return wrap(node.args[0]) if node.op is sigmoid else None
    if node.op is not ops.softmax or not -node.type.rank <= axis < node.type.rank:
        return None
    whole = ops.softmax(node.args[0], axes=(axis % node.type.rank,))
    return wrap(node.args[0]) if whole is node else None


def binary_crossentropy(
    target: Any, output: Any, from_logits: bool = False, epsilon: float = _EPSILON
) -> Tensor:
    """-t log(p) - (1 - t) log(1 - p) for each element, p the output or, from logits, its sigmoid.

    Probabilities are held within [epsilon, 1 - epsilon]; logits need no such care.
    """
    t, p = operands("binary_crossentropy", target, output, floats=True)
    if from_logits:
        return wrap(ops.binary_cross_entropy(p, t))

    def entropy(t: Node, p: Node) -> Node:
        p = _held(p, epsilon)
        misses = subtract(full_like(t, 1), t)
        return negative(add(multiply(t, log(p)), multiply(misses, log1p(negative(p)))))

    return wrap(in_wide(entropy)(t, p))


def _log_probabilities(p: Node, epsilon: float) -> Node:
    """The logarithms of probabilities on the last axis, made to sum to 1, held from 0 and 1."""
    last = p.type.rank - 1
    total = sum_op(p, axes=(last,))
    return log(_held(divide(p, ops.spread(total, p, (last,))), epsilon))


def categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    epsilon: float = _EPSILON,
) -> Tensor:
    """-sum(t log(p)) along an axis of classes; p the output or, from logits, its softmax.

    The target holds a probability for each class and has the shape of the output. Outputs that are
    probabilities are divided by their sum and held within [epsilon, 1 - epsilon].
    """
    name = "categorical_crossentropy"
    t, p = same_dtype(name, target, output, floats=True)
    if t.type.rank != p.type.rank or not all(map(is_known_equal, t.shape, p.shape)):
        raise ShapeError(
            explain(
                name,
                "a target with a probability for each class, shaped as the output",
                f"target {t.type} and output {p.type}",
                "Did you mean sparse_categorical_crossentropy, which takes class numbers?",
            )
        )
    place = axis_of(name, axis, p.type.rank)
    t, p = _moved_to_last(t, place), _moved_to_last(p, place)
    if from_logits:
        return wrap(ops.cross_entropy(p, t))

    def entropy(t: Node, p: Node) -> Node:
        weighted = multiply(t, _log_probabilities(p, epsilon))
        return negative(sum_op(weighted, axes=(p.type.rank - 1,)))

    return wrap(in_wide(entropy)(t, p))


def sparse_categorical_crossentropy(
    target: Any,
    output: Any,
    from_logits: bool = False,
    axis: int = -1,
    epsilon: float = _EPSILON,
) -> Tensor:
    """-log(p[target]) along an axis of classes; p the output or, from logits, its softmax.

    The target holds a class number for each row: the output's shape without the axis, or with size
    1 there. A number outside gives NaN. Outputs that are probabilities are divided by their sum and
    held within [epsilon, 1 - epsilon].
    """
    name = "sparse_categorical_crossentropy"
    labels = node_of(to_tensor(target, name))
    p, place = _floats_and_axis(name, output, axis)
    if not labels.dtype.is_integer:
        raise DTypeError(
            explain(
                name,
                "class numbers, integers, as target",
                f"target {labels.type} for output {p.type}",
                "Cast them, target.astype('int64'), or write categorical_crossentropy for "
                "probabilities.",
            )
        )
    lead = (*p.shape[:place], *p.shape[place + 1 :])
    if labels.type.rank == p.type.rank and is_known_equal(labels.shape[place], 1):
        labels = reshape(labels, shape=(*labels.shape[:place], *labels.shape[place + 1 :]))
    if labels.type.rank != len(lead) or not all(map(is_known_equal, labels.shape, lead)):
        raise ShapeError(
            explain(
                name,
                f"a target of shape {shape_text(lead)}, one class number for each row",
                f"target {labels.type} for output {p.type}",
            )
        )
    p = _moved_to_last(p, place)
    if from_logits:
        return wrap(ops.sparse_cross_entropy(p, labels))

    def entropy(p: Node) -> Node:
        last = p.type.rank - 1
        return negative(gather(_log_probabilities(p, epsilon), labels, axes=(last,), batch=last))

    return wrap(in_wide(entropy)(p))

"""Composites: what a neural network is made of, each with its expansion into smaller ops.

A backend may take a composite whole or have it spelled out; `evaluate` is written apart from
`expand`, so that each checks the other.

    relu(x)  softplus(x)  log_sigmoid(x)  silu(x)  gelu(x, approximate=false)
    softmax(x, axes=...)  log_softmax(x, axes=...)  logsumexp(x, axes=...)  variance(x, axes=...)
    cross_entropy(logits, probabilities)        f32[N,C], f32[N,C] -> f32[N]
    sparse_cross_entropy(logits, labels)        f32[N,C], i32[N] -> f32[N]
    binary_cross_entropy(logits, targets)       f32[N], f32[N] -> f32[N]
    layer_norm(x, gamma, beta, epsilon, axes=...)
    rms_norm(x, gamma, epsilon, axes=...)
    batch_norm(x, mean, variance, gamma, beta, epsilon, axis=...)
    group_norm(x, gamma, beta, epsilon, groups=..., axis=...)
    attention(query, key, value, scale, [mask or bias], causal=false)
    dropout(x, key, rate)
    one_hot(indices, depth=..., dtype=f32, axis=...)

B T H D are batch, positions, heads and features: attention takes a query [B,T,H,D], a key [B,S,G,D]
and a value [B,S,G,E], where S counts the positions that are looked at and G, which divides H, the
heads that H share in equal groups, and gives [B,T,H,E].

16-bit floats: everything is computed in float32 and the result rounded once. Numbers that steer an
op (epsilon, rate, scale) are data of the type in which it computes: float32 for 16-bit floats, the
operand's own type otherwise. Parameters of a normalisation have either of the two.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Element, Flag, Integer, Sizes
from thalweg.ir.dim import Dim, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    DTYPES,
    FLOATS,
    INTEGERS,
    DType,
    Shape,
    Size,
    TensorType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int32,
    int64,
    shape_text,
    size_of,
    tensor_type,
    uint32,
)
from thalweg.ops.broadcast import broadcast, check_axes
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.definitions import erfc as erfc_of
from thalweg.ops.elementwise import abs as abs_op
from thalweg.ops.elementwise import (
    add,
    cast,
    check_elements,
    divide,
    equal,
    erfc,
    exp,
    front,
    greater_equal,
    less_equal,
    log,
    log1p,
    multiply,
    multiply_no_nan,
    negative,
    not_equal,
    right_shift,
    rsqrt,
    select,
    sigmoid,
    subtract,
)
from thalweg.ops.index import gather
from thalweg.ops.mark import stop_gradient
from thalweg.ops.movement import iota, reshape, transpose
from thalweg.ops.movement import size as size_op
from thalweg.ops.random import KEYS, random_bits
from thalweg.ops.reduce import check_axis, widen
from thalweg.ops.reduce import max as max_op
from thalweg.ops.samples import a_type, pointwise, special, values

# What they share ----------------------------------------------------------------------------------


def wide_dtype(dtype: DType) -> DType:
    """The type in which a float type is computed: float32 for 16 bits, else itself."""
    return float32 if dtype.bits == 16 else dtype


def to(x: Node, dtype: DType) -> Node:
    """x in an element type."""
    return x if x.dtype is dtype else cast(x, dtype=dtype)


def _wide(*nodes: Node) -> list[Node]:
    return [to(node, wide_dtype(node.dtype)) for node in nodes]


def in_wide(expand: Callable) -> Callable:
    """An expansion or rule whose float operands are widened first and whose result is narrowed.

    The result has the element type of the first operand.
    """

    def rule(*args: Node, **attrs: Any) -> Node:
        wide = [to(arg, wide_dtype(arg.dtype)) if arg.dtype.is_float else arg for arg in args]
        return to(expand(*wide, **attrs), args[0].dtype)

    return rule


def evaluate_wide(function: Callable) -> Callable:
    """A definition whose 16-bit operands are widened first and whose result is rounded once."""

    def evaluate(*args: np.ndarray, **attrs: Any) -> np.ndarray:
        return np.asarray(function(*map(widen, args), **attrs)).astype(args[0].dtype)

    return evaluate


def others(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """The axes that are not among `axes`."""
    return tuple(axis for axis in range(rank) if axis not in axes)


def spread(y: Node, x: Node, axes: Sequence[int]) -> Node:
    """A value for each row, repeated along the axes of x that it lacks."""
    return broadcast(y, shape=x.shape, axes=others(axes, x.type.rank))


def _number_of(count: Size, dtype: DType, shape: Shape) -> Node:
    """A size as a number, everywhere in a shape."""
    if isinstance(count, Dim):
        return broadcast(size_op(dim=count, dtype=dtype), shape=shape, axes=())
    return full(count, dtype, shape)


def mean(x: Node, axes: Sequence[int]) -> Node:
    """The mean along some axes, which leave the shape."""
    total = sum_op(x, axes=tuple(axes))
    count = size_of(tuple(x.shape[axis] for axis in axes))
    return divide(total, _number_of(count, x.dtype, total.shape))


def moments(x: Node, axes: Sequence[int]) -> tuple[Node, Node]:
    """The mean and the variance along some axes, which leave the shape; 16 bits give float32."""
    (x,) = _wide(x)
    return mean(x, axes), variance(x, axes=tuple(axes))


def _check_steering(name: str, what: str, given: TensorType, x: TensorType) -> None:
    wanted = tensor_type(wide_dtype(x.dtype), ())
    if given is not wanted:
        raise (ShapeError if given.dtype is wanted.dtype else DTypeError)(
            explain(name, f"{what} of type {wanted}", f"{given} for {x}")
        )


def _check_parameter(name: str, what: str, given: TensorType, shape: Shape, x: TensorType) -> None:
    own = wide_dtype(x.dtype)
    fits = given.rank == len(shape) and all(map(is_known_equal, given.shape, shape))
    if fits and given.dtype in (x.dtype, own):
        return
    names = x.dtype.short if own is x.dtype else f"{x.dtype.short} or {own.short}"
    raise (DTypeError if fits else ShapeError)(
        explain(name, f"{what} of {names} and shape {shape_text(shape)}", f"{given} for {x}")
    )


# Pointwise functions ------------------------------------------------------------------------------


def _activation(
    name: str,
    doc: str,
    evaluate: Callable,
    expand: Callable,
    gradient: Callable[..., Node],
    *,
    attributes: dict | None = None,
    variants: Sequence[dict] = ({},),
    edges: Sequence[float] = (),
    is_wide: bool = True,
    tolerance: float = 8,
) -> Op:
    """Declare a function of one real number; `gradient(dy, y, x, **attrs)` is its cotangent.

    `variants` are the attributes it is tested with, `edges` points without a derivative; `is_wide`
    says that 16-bit floats are computed in float32.
    """

    def infer(x: TensorType, **attrs: Any) -> TensorType:
        check_elements(name, FLOATS, x)
        return x

    widened = in_wide if is_wide else lambda rule: rule

    def samples() -> Iterable[Sample]:
        for attrs in variants:
            for sample in pointwise(FLOATS, 1, ((-4.0, 4.0),)):
                yield Sample(sample.args, attrs, sample.name, sample.differentiable)
            if edges:
                yield Sample((np.array(edges),), attrs, "edges", differentiable=False)

    op = Op(
        name=name,
        doc=doc,
        infer=infer,
        evaluate=evaluate_wide(evaluate) if is_wide else evaluate,
        arity=1,
        attributes=attributes or {},
        gradient=lambda dy, y, x, **attrs: (widened(gradient)(dy, y, x, **attrs),),
        batch=lambda size, mapped, x, **attrs: op(x, **attrs),
        expand=widened(expand),
        samples=samples,
        refuses=lambda: [
            Refusal((a_type("i32[3]"),), {}, f"[{name}] wants float elements"),
            Refusal((a_type("c64[3]"),), {}, f"[{name}] wants float elements"),
        ],
        tolerance=tolerance,
        family="pointwise",
    )
    return declare(op)


relu = _activation(
    "relu",
    "x where it is positive, 0 elsewhere; the slope at 0 is 0.",
    lambda x: np.maximum(x, x.dtype.type(0)),
    lambda x: select(less_equal(x, full_like(x, 0)), full_like(x, 0), x),
    lambda dy, y, x: select(less_equal(y, full_like(y, 0)), full_like(y, 0), dy),
    edges=(0.0, -0.0),
    is_wide=False,
    tolerance=0,
)
softplus = _activation(
    "softplus",
    "log(1 + exp(x)), without overflow.",
    lambda x: np.logaddexp(x, x.dtype.type(0)),
    lambda x: add(relu(x), log1p(exp(negative(abs_op(x))))),
    lambda dy, y, x: multiply(dy, sigmoid(x)),
)
log_sigmoid = _activation(
    "log_sigmoid",
    "The logarithm of 1 / (1 + exp(-x)), without overflow.",
    lambda x: -np.logaddexp(-x, x.dtype.type(0)),
    lambda x: negative(softplus(negative(x))),
    lambda dy, y, x: multiply(dy, sigmoid(negative(x))),
)


def _times(x: np.ndarray, share: np.ndarray) -> np.ndarray:
    """x * share, and 0 where the share is 0 even if x is infinite."""
    return np.where(share == 0, 0, x * share)


def _gate(x: Node, rise: Node | None = None, bend: Node | None = None) -> Node:
    """x * sigmoid(bend), or its slope where `rise` is the slope of `bend`; 0 for x = -infinity."""
    share = sigmoid(x if bend is None else bend)
    if rise is None:
        return multiply_no_nan(x, share)
    steepness = multiply(share, subtract(full_like(share, 1), share))
    return add(share, multiply_no_nan(multiply(x, rise), steepness))


silu = _activation(
    "silu",
    "x / (1 + exp(-x)), which is 0 at minus infinity.",
    lambda x: _times(x, 1 / (1 + np.exp(-x))),
    _gate,
    lambda dy, y, x: multiply(dy, _gate(x, rise=full_like(x, 1))),
)

ROOT_HALF = 0.5**0.5
# tanh(u) = 2 sigmoid(2 u) - 1, which turns the approximation of Hendrycks and Gimpel, "Gaussian
# error linear units" (2016), x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x**3))), into a sigmoid.
_BEND = 2 * (2 / np.pi) ** 0.5
_CUBIC = 0.044715


def _evaluate_gelu(x: np.ndarray, *, approximate: bool) -> np.ndarray:
    wide = x.astype(np.float64)
    if approximate:
        share = 0.5 * (1 + np.tanh(0.5 * _BEND * (wide + _CUBIC * wide**3)))
    else:
        share = 0.5 * erfc_of(-wide * ROOT_HALF)
    return _times(wide, share).astype(x.dtype)


def _bend(x: Node) -> Node:
    square = multiply(x, x)
    inner = add(full_like(x, _BEND), multiply(full_like(x, _BEND * _CUBIC), square))
    return multiply(x, inner)


def _expand_gelu(x: Node, *, approximate: bool) -> Node:
    if approximate:
        return _gate(x, bend=_bend(x))
    tail = erfc(multiply(x, full_like(x, -ROOT_HALF)))
    return multiply_no_nan(x, multiply(tail, full_like(x, 0.5)))


def _slope_of_gelu(x: Node, approximate: bool) -> Node:
    square = multiply(x, x)
    if approximate:
        rise = add(full_like(x, _BEND), multiply(full_like(x, 3 * _BEND * _CUBIC), square))
        return _gate(x, rise=rise, bend=_bend(x))
    tail = erfc(multiply(x, full_like(x, -ROOT_HALF)))
    share = multiply(tail, full_like(x, 0.5))
    density = multiply(exp(multiply(square, full_like(x, -0.5))), full_like(x, (2 * np.pi) ** -0.5))
    return add(share, multiply_no_nan(x, density))


gelu = _activation(
    "gelu",
    "x times the normal distribution function at x, or its approximation by tanh; 0 at minus "
    "infinity.",
    _evaluate_gelu,
    _expand_gelu,
    lambda dy, y, x, *, approximate: multiply(dy, _slope_of_gelu(x, approximate)),
    attributes={"approximate": Flag(False)},
    variants=({"approximate": False}, {"approximate": True}),
)

# Softmax ------------------------------------------------------------------------------------------


def _sample_rows():
    for dtype in FLOATS:
        yield Sample((values((2, 3), dtype),), {"axes": (1,)})
        yield Sample((values((2, 3, 2), dtype, -60, 60),), {"axes": (0, 2)})
    for dtype in (float32, float64):
        yield Sample((values((3, 2), dtype),), {"axes": (0,)})
        yield Sample((values((2, 3), dtype),), {"axes": (0, 1)})
        yield Sample((values((2, 1), dtype),), {"axes": (1,)})
        yield Sample((values((2, 3), dtype),), {"axes": ()})
        yield Sample((values((), dtype),), {"axes": ()})
        yield Sample((values((0, 3), dtype),), {"axes": (1,)})
        yield Sample((values((2, 0), dtype),), {"axes": (1,)}, "of nothing", differentiable=False)
        yield Sample((values((2, 3), dtype, 1e4, 2e4),), {"axes": (1,)}, "far from 0")
        masked = np.array([[0.5, -np.inf, 2.0], [-np.inf, -np.inf, -1.0]], dtype.numpy)
        yield Sample((masked,), {"axes": (1,)}, "masked", differentiable=False)
        edges = np.array([[-np.inf, -np.inf], [np.inf, 1.0], [np.inf, np.inf], [np.nan, 1.0]])
        yield Sample((edges.astype(dtype.numpy),), {"axes": (1,)}, "edges", differentiable=False)


def _rowwise(
    name: str,
    doc: str,
    infer: Callable,
    evaluate: Callable,
    expand: Callable,
    gradient: Callable,
) -> Op:
    """Declare a function of the values along some axes."""

    def check(x: TensorType, *, axes: tuple[int, ...]) -> TensorType:
        check_axes(name, x, axes)
        check_elements(name, FLOATS, x)
        return infer(x, axes)

    def rule(dy: Node, y: Node, x: Node, *, axes: tuple[int, ...]) -> tuple[Node]:
        return (to(gradient(*_wide(dy, y, x), axes), x.dtype),)

    op = Op(
        name=name,
        doc=doc,
        infer=check,
        evaluate=evaluate_wide(evaluate),
        arity=1,
        attributes={"axes": Sizes()},
        gradient=rule,
        batch=lambda size, mapped, x, *, axes: op(x, axes=tuple(axis + 1 for axis in axes)),
        expand=in_wide(expand),
        samples=_sample_rows,
        refuses=lambda: [
            Refusal((a_type("f32[3]"),), {"axes": (1,)}, "distinct axes in order"),
            Refusal((a_type("f32[3,2]"),), {"axes": (1, 0)}, "distinct axes in order"),
            Refusal((a_type("i32[3]"),), {"axes": (0,)}, f"[{name}] wants float elements"),
        ],
        tolerance=16,
        family="composite",
    )
    return declare(op)


def _is_empty(x: Node, axes: Sequence[int]) -> bool:
    return any(is_known_equal(x.shape[axis], 0) for axis in axes)


def _peak(x: Node, axes: tuple[int, ...]) -> Node:
    """The largest value of each row, as a number to take away: no derivative goes through it."""
    return stop_gradient(max_op(x, axes=axes))


def _shifted(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return x - np.max(x, axis=axes, keepdims=True, initial=-np.inf)


def _evaluate_softmax(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    weights = np.exp(_shifted(x, axes))
    return weights / np.sum(weights, axis=axes, keepdims=True)


def _expand_softmax(x: Node, *, axes: tuple[int, ...]) -> Node:
    if _is_empty(x, axes):
        return x
    weights = exp(subtract(x, spread(_peak(x, axes), x, axes)))
    return divide(weights, spread(sum_op(weights, axes=axes), x, axes))


def _differentiate_softmax(dy: Node, y: Node, x: Node, axes: tuple[int, ...]) -> Node:
    mixed = sum_op(multiply(dy, y), axes=axes)
    return multiply(y, subtract(dy, spread(mixed, x, axes)))


softmax = _rowwise(
    "softmax",
    "exp(x) divided by its sum along some axes; NaN for a row of nothing but minus infinity.",
    lambda x, axes: x,
    _evaluate_softmax,
    _expand_softmax,
    _differentiate_softmax,
)


def _evaluate_log_softmax(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    shifted = _shifted(x, axes)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axes, keepdims=True))


def _expand_log_softmax(x: Node, *, axes: tuple[int, ...]) -> Node:
    if _is_empty(x, axes):
        return x
    shifted = subtract(x, spread(_peak(x, axes), x, axes))
    return subtract(shifted, spread(log(sum_op(exp(shifted), axes=axes)), x, axes))


def _differentiate_log_softmax(dy: Node, y: Node, x: Node, axes: tuple[int, ...]) -> Node:
    return subtract(dy, multiply(exp(y), spread(sum_op(dy, axes=axes), x, axes)))


log_softmax = _rowwise(
    "log_softmax",
    "x minus the logarithm of the sum of exp(x) along some axes.",
    lambda x, axes: x,
    _evaluate_log_softmax,
    _expand_log_softmax,
    _differentiate_log_softmax,
)


def _infer_reduced(x: TensorType, axes: tuple[int, ...]) -> TensorType:
    return x.with_shape(tuple(x.shape[axis] for axis in others(axes, x.rank)))


def _evaluate_logsumexp(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    return np.logaddexp.reduce(x, axis=axes) if axes else x


def _expand_logsumexp(x: Node, *, axes: tuple[int, ...]) -> Node:
    if _is_empty(x, axes):
        kept = tuple(x.shape[axis] for axis in others(axes, x.type.rank))
        return full(-np.inf, x.dtype, kept)
    # An infinite peak is not taken away: exp(inf - inf) would be NaN.
    peak = _peak(x, axes)
    peak = select(equal(abs_op(peak), full_like(peak, np.inf)), full_like(peak, 0), peak)
    return add(log(sum_op(exp(subtract(x, spread(peak, x, axes))), axes=axes)), peak)


def _differentiate_logsumexp(dy: Node, y: Node, x: Node, axes: tuple[int, ...]) -> Node:
    # Where nothing has weight, y is -inf and each weight 0, not exp(-inf + inf).
    base = select(equal(y, full_like(y, -np.inf)), full_like(y, 0), y)
    return multiply(spread(dy, x, axes), exp(subtract(x, spread(base, x, axes))))


logsumexp = _rowwise(
    "logsumexp",
    "The logarithm of the sum of exp(x) along some axes; minus infinity where there is nothing.",
    _infer_reduced,
    _evaluate_logsumexp,
    _expand_logsumexp,
    _differentiate_logsumexp,
)


def _distance(x: Node, axes: tuple[int, ...]) -> Node:
    """x less its mean along some axes."""
    return subtract(x, spread(mean(x, axes), x, axes))


def _evaluate_variance(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    count = math.prod(x.shape[axis] for axis in axes)
    with np.errstate(invalid="ignore"):
        distance = x - np.sum(x, axis=axes, keepdims=True) / count if count else x
        return np.sum(distance**2, axis=axes) / x.dtype.type(count)


def _expand_variance(x: Node, *, axes: tuple[int, ...]) -> Node:
    # The distances from the mean in a second pass: nothing cancels.
    distance = _distance(x, axes)
    return mean(multiply(distance, distance), axes)


def _differentiate_variance(dy: Node, y: Node, x: Node, axes: tuple[int, ...]) -> Node:
    # What x does to the mean does nothing to the sum of squares, which is least there.
    count = size_of(tuple(x.shape[axis] for axis in axes))
    share = divide(multiply(dy, full_like(dy, 2)), _number_of(count, dy.dtype, dy.shape))
    return multiply(spread(share, x, axes), _distance(x, axes))


variance = _rowwise(
    "variance",
    "The mean square distance from the mean along some axes.",
    _infer_reduced,
    _evaluate_variance,
    _expand_variance,
    _differentiate_variance,
)

# One hot ------------------------------------------------------------------------------------------


def _infer_one_hot(indices: TensorType, *, depth: Size, dtype: DType, axis: int) -> TensorType:
    check_elements("one_hot", INTEGERS, indices)
    if not 0 <= axis <= indices.rank:
        raise ShapeError(
            explain("one_hot", f"an axis from 0 to {indices.rank}", f"axis {axis} for {indices}")
        )
    if isinstance(depth, tuple) or not is_known_at_least(depth, 0):
        raise ShapeError(explain("one_hot", "a depth of zero or more", f"{depth}"))
    return tensor_type(dtype, (*indices.shape[:axis], depth, *indices.shape[axis:]))


def _evaluate_one_hot(indices: np.ndarray, *, depth: int, dtype: DType, axis: int) -> np.ndarray:
    result = np.zeros((*indices.shape, depth), dtype.numpy)
    for place, index in np.ndenumerate(indices):
        if 0 <= index < depth:
            result[(*place, int(index))] = 1
    return np.moveaxis(result, -1, axis)


def _expand_one_hot(indices: Node, *, depth: Size, dtype: DType, axis: int) -> Node:
    fits = not isinstance(depth, Dim) and depth - 1 <= np.iinfo(indices.dtype.numpy).max
    # An unsigned index that does not fit into 64 bits with a sign becomes negative: no place.
    indices = indices if fits else to(indices, int64)
    shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    places = broadcast(indices, shape=shape, axes=others((axis,), len(shape)))
    return to(equal(places, iota(dtype=indices.dtype, shape=shape, axis=axis)), dtype)


def _sample_one_hot():
    for dtype in INTEGERS:
        yield Sample((values((2, 3), dtype, -1, 5),), {"depth": 4, "axis": 2})
        extremes = np.array([0, np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max], dtype.numpy)
        yield Sample((extremes,), {"depth": 300, "axis": 0})
    for dtype in DTYPES:
        yield Sample((values((3,), int32, 0, 3),), {"depth": 4, "axis": 1, "dtype": dtype})
    for shape, depth, axis in (((), 3, 0), ((2, 2), 3, 1), ((2,), 0, 0), ((0,), 3, 1)):
        yield Sample((values(shape, int32, 0, 2),), {"depth": depth, "axis": axis})


one_hot: Op = declare(
    Op(
        name="one_hot",
        doc="1 at each index along a new axis, 0 elsewhere; an index outside has no 1.",
        infer=_infer_one_hot,
        evaluate=_evaluate_one_hot,
        arity=1,
        attributes={"depth": Sizes(), "dtype": Element(float32), "axis": Integer()},
        gradient=Absent("no derivative: indices are integers"),
        batch=lambda size, mapped, indices, *, depth, dtype, axis: one_hot(
            indices, depth=depth, dtype=dtype, axis=axis + 1
        ),
        expand=_expand_one_hot,
        samples=_sample_one_hot,
        refuses=lambda: [
            Refusal((a_type("f32[3]"),), {"depth": 3, "axis": 0}, "[one_hot] wants integers"),
            Refusal((a_type("i32[3]"),), {"depth": 3, "axis": 2}, "an axis from 0 to 1"),
            Refusal((a_type("i32[3]"),), {"depth": 3, "axis": -1}, "an axis from 0 to 1"),
            Refusal((a_type("i32[3]"),), {"depth": -1, "axis": 0}, "a depth of zero or more"),
        ],
        tolerance=0,
        family="composite",
    )
)

# Cross entropies ----------------------------------------------------------------------------------


def _check_classes(name: str, logits: TensorType) -> None:
    check_elements(name, FLOATS, logits)
    if not logits.rank:
        raise ShapeError(explain(name, "logits with an axis of classes, the last", str(logits)))


def _infer_cross_entropy(logits: TensorType, probabilities: TensorType) -> TensorType:
    _check_classes("cross_entropy", logits)
    check_elements("cross_entropy", FLOATS, logits, probabilities)
    return logits.with_shape(logits.shape[:-1])


def _evaluate_cross_entropy(logits: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    scores = _evaluate_log_softmax(logits, axes=(logits.ndim - 1,))
    return -np.sum(_times(scores, probabilities), axis=-1)


def _expand_cross_entropy(logits: Node, probabilities: Node) -> Node:
    axes = (logits.type.rank - 1,)
    scores = log_softmax(logits, axes=axes)
    return negative(sum_op(multiply_no_nan(scores, probabilities), axes=axes))


def _differentiate_cross_entropy(dy: Node, y: Node, logits: Node, probabilities: Node):
    axes = (logits.type.rank - 1,)
    wide_dy, wide_logits, wide = _wide(dy, logits, probabilities)
    rows = spread(wide_dy, logits, axes)
    mass = spread(sum_op(wide, axes=axes), logits, axes)
    excess = subtract(multiply(softmax(wide_logits, axes=axes), mass), wide)
    scores = multiply_no_nan(log_softmax(wide_logits, axes=axes), rows)
    return to(multiply(rows, excess), dy.dtype), to(negative(scores), dy.dtype)


def _distribution(shape: Sequence[int], dtype: DType) -> np.ndarray:
    positive = values(shape, float64, 0.1, 1.0, seed="probabilities")
    return (positive / positive.sum(-1, keepdims=True)).astype(dtype.numpy)


def _sample_cross_entropy():
    for dtype in FLOATS:
        for shape in ((2, 3), (4,), (2, 1, 3)):
            yield Sample((values(shape, dtype), _distribution(shape, dtype)))
    for dtype in (float32, float64):
        yield Sample((values((0, 3), dtype), values((0, 3), dtype)))
        yield Sample((values((2, 0), dtype), values((2, 0), dtype)))
        yield Sample((values((2, 3), dtype), values((2, 3), dtype, 0, 1)), name="any mass")
        logits = np.array([[900.0, -900.0, 0.0]], dtype.numpy)
        yield Sample((logits, _distribution((1, 3), dtype)), name="sure of itself")
        masked = np.array([[0.5, -np.inf, 2.0]], dtype.numpy)
        without = np.array([[0.25, 0.0, 0.75]], dtype.numpy)
        yield Sample((masked, without), name="a masked class", differentiable=False)
        yield Sample((masked, without[:, ::-1].copy()), name="a class it needs is masked",
                     differentiable=False)  # fmt: skip


cross_entropy: Op = declare(
    Op(
        name="cross_entropy",
        doc="The cross entropy of probabilities and softmax(logits) over the last axis, for each "
        "row; a class of probability 0 counts 0.",
        infer=_infer_cross_entropy,
        evaluate=evaluate_wide(_evaluate_cross_entropy),
        arity=2,
        gradient=_differentiate_cross_entropy,
        batch=lambda size, mapped, logits, probabilities: cross_entropy(
            *front(size, mapped, (logits, probabilities))
        ),
        expand=in_wide(_expand_cross_entropy),
        samples=_sample_cross_entropy,
        refuses=lambda: [
            Refusal((a_type("f32[2,3]"), a_type("f32[2]")), {}, "operands of equal shape"),
            Refusal((a_type("f32[2,3]"), a_type("f64[2,3]")), {}, "operands of equal element type"),
            Refusal((a_type("i32[2,3]"),) * 2, {}, "[cross_entropy] wants float elements"),
            Refusal((a_type("f32[]"),) * 2, {}, "an axis of classes"),
        ],
        tolerance=16,
        family="composite",
    )
)


def _infer_sparse(logits: TensorType, labels: TensorType) -> TensorType:
    _check_classes("sparse_cross_entropy", logits)
    lead = logits.shape[:-1]
    fits = labels.rank == len(lead) and all(map(is_known_equal, labels.shape, lead))
    if not labels.dtype.is_integer or not fits:
        raise (ShapeError if labels.dtype.is_integer else DTypeError)(
            explain(
                "sparse_cross_entropy",
                f"integer labels of shape {shape_text(lead)}, one for each row of logits",
                f"labels {labels} for logits {logits}",
                "Take cross_entropy for a probability of each class."
                if not labels.dtype.is_integer
                else "",
            )
        )
    return logits.with_shape(lead)


def _evaluate_sparse(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    result = np.full(labels.shape, np.nan, logits.dtype)
    scores = _evaluate_log_softmax(logits, axes=(logits.ndim - 1,))
    for row, label in np.ndenumerate(labels):
        if 0 <= label < logits.shape[-1]:
            result[row] = -scores[(*row, int(label))]
    return result


def _expand_sparse(logits: Node, labels: Node) -> Node:
    last = logits.type.rank - 1
    if _is_empty(logits, (last,)):
        return full(np.nan, logits.dtype, labels.shape)
    # Relative to the largest logit: nothing is lost where all are far from 0.
    shifted = subtract(logits, spread(_peak(logits, (last,)), logits, (last,)))
    taken = gather(shifted, labels, axes=(last,), batch=last)
    return subtract(log(sum_op(exp(shifted), axes=(last,))), taken)


def _differentiate_sparse(dy: Node, y: Node, logits: Node, labels: Node):
    last = logits.type.rank - 1
    wide_dy, wide = _wide(dy, logits)
    hot = one_hot(labels, depth=logits.shape[-1], dtype=wide.dtype, axis=last)
    excess = subtract(softmax(wide, axes=(last,)), hot)
    return to(multiply(spread(wide_dy, logits, (last,)), excess), dy.dtype), None


def _sample_sparse():
    for dtype in FLOATS:
        for shape in ((2, 3), (4,), (2, 1, 3)):
            yield Sample((values(shape, dtype), values(shape[:-1], int32, 0, 2)))
    for dtype in INTEGERS:
        yield Sample((values((3, 4), float64), values((3,), dtype, 0, 3)))
    for dtype in (float32, float64):
        yield Sample((values((0, 3), dtype), values((0,), int32)))
        nothing = values((2, 0), dtype), values((2,), int32)
        yield Sample(nothing, name="no class", differentiable=False)
        logits = np.array([[900.0, -900.0, 0.0]] * 3, dtype.numpy)
        yield Sample((logits, np.arange(3)), name="sure of itself")
        yield Sample((logits, np.array([3, -1, 1])), name="outside", differentiable=False)
        masked = np.array([[0.5, -np.inf, 2.0]] * 2, dtype.numpy)
        yield Sample((masked, np.array([0, 1])), name="masked", differentiable=False)


sparse_cross_entropy: Op = declare(
    Op(
        name="sparse_cross_entropy",
        doc="Minus the logarithm of softmax(logits) at the label of each row; NaN for a label "
        "outside.",
        infer=_infer_sparse,
        evaluate=evaluate_wide(_evaluate_sparse),
        arity=2,
        gradient=_differentiate_sparse,
        batch=lambda size, mapped, logits, labels: sparse_cross_entropy(
            *front(size, mapped, (logits, labels))
        ),
        expand=in_wide(_expand_sparse),
        samples=_sample_sparse,
        refuses=lambda: [
            Refusal((a_type("f32[2,3]"), a_type("i32[3]")), {}, "integer labels of shape [2]"),
            Refusal((a_type("f32[2,3]"), a_type("i32[2,1]")), {}, "integer labels of shape [2]"),
            Refusal((a_type("f32[2,3]"), a_type("f32[2]")), {}, "Take cross_entropy"),
            Refusal((a_type("i32[2,3]"), a_type("i32[2]")), {}, "wants float elements"),
            Refusal((a_type("f32[]"), a_type("i32[]")), {}, "an axis of classes"),
        ],
        tolerance=16,
        family="composite",
    )
)


def _infer_binary(logits: TensorType, targets: TensorType) -> TensorType:
    check_elements("binary_cross_entropy", FLOATS, logits, targets)
    return logits


def _evaluate_binary(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    nothing = logits.dtype.type(0)
    against = _times(np.logaddexp(logits, nothing), 1 - targets)
    return against + _times(np.logaddexp(-logits, nothing), targets)


def _expand_binary(logits: Node, targets: Node) -> Node:
    # softplus(x) and softplus(-x) differ from relu(x) and relu(-x) by the same bend.
    bend = log1p(exp(negative(abs_op(logits))))
    against = multiply_no_nan(relu(logits), subtract(full_like(targets, 1), targets))
    return add(add(against, multiply_no_nan(relu(negative(logits)), targets)), bend)


def _differentiate_binary(dy: Node, y: Node, logits: Node, targets: Node):
    wide_dy, wide_logits, wide = _wide(dy, logits, targets)
    dlogits = multiply(wide_dy, subtract(sigmoid(wide_logits), wide))
    return to(dlogits, dy.dtype), to(negative(multiply(wide_dy, wide_logits)), dy.dtype)


def _sample_binary():
    for dtype in FLOATS:
        for shape in ((), (3,), (2, 3), (0, 2)):
            pair = values(shape, dtype, -4, 4), values(shape, dtype, 0, 1, seed="targets")
            yield Sample(pair)
        row = np.array([0.0, 1e4, -1e4, np.inf, -np.inf, np.nan], dtype.numpy)
        for target in (0, 0.5, 1):
            targets = np.full(row.shape, target, dtype.numpy)
            yield Sample((row, targets), name=f"edges at {target}", differentiable=False)
    pair = np.array([900.0, -900.0, 40.0]), np.array([1.0, 0.25, 0.5])
    yield Sample(pair, name="sure of itself")


binary_cross_entropy: Op = declare(
    Op(
        name="binary_cross_entropy",
        doc="-t log(p) - (1-t) log(1-p) for p = sigmoid(logit) and target t, for each element.",
        infer=_infer_binary,
        evaluate=evaluate_wide(_evaluate_binary),
        arity=2,
        gradient=_differentiate_binary,
        batch=lambda size, mapped, logits, targets: binary_cross_entropy(
            *front(size, mapped, (logits, targets))
        ),
        expand=in_wide(_expand_binary),
        samples=_sample_binary,
        refuses=lambda: [
            Refusal((a_type("f32[3]"), a_type("f32[4]")), {}, "operands of equal shape"),
            Refusal((a_type("f32[3]"), a_type("f16[3]")), {}, "operands of equal element type"),
            Refusal((a_type("bool[3]"),) * 2, {}, "wants float elements"),
        ],
        tolerance=16,
        family="composite",
    )
)

# Normalisations -----------------------------------------------------------------------------------


def _scaled(x: Node, gamma: Node, beta: Node | None, axes: Sequence[int]) -> Node:
    """x * gamma + beta, parameters along some axes of x."""
    y = multiply(x, broadcast(gamma, shape=x.shape, axes=tuple(axes)))
    return y if beta is None else add(y, broadcast(beta, shape=x.shape, axes=tuple(axes)))


def _inverse_deviation(variance: Node, epsilon: Node) -> Node:
    return rsqrt(add(variance, broadcast(epsilon, shape=variance.shape, axes=())))


def _standardise(x: Node, epsilon: Node, axes: Sequence[int]) -> tuple[Node, Node]:
    """(x - mean) / deviation along some axes, and 1 / deviation, which lacks them."""
    center, square = moments(x, axes)
    inverse = _inverse_deviation(square, epsilon)
    return multiply(subtract(x, spread(center, x, axes)), spread(inverse, x, axes)), inverse


def _along(x: np.ndarray, parameter: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """A parameter with axes of size 1 where it is repeated along x."""
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    return parameter.reshape(shape)


def _infer_layer_norm(
    x: TensorType, gamma: TensorType, beta: TensorType, epsilon: TensorType, *, axes
) -> TensorType:
    check_axes("layer_norm", x, axes)
    check_elements("layer_norm", FLOATS, x)
    shape = tuple(x.shape[axis] for axis in axes)
    _check_parameter("layer_norm", "gamma", gamma, shape, x)
    _check_parameter("layer_norm", "beta", beta, shape, x)
    _check_steering("layer_norm", "epsilon", epsilon, x)
    return x


def _evaluate_layer_norm(x, gamma, beta, epsilon, *, axes) -> np.ndarray:
    distance = x - np.mean(x, axis=axes, keepdims=True)
    deviation = np.sqrt(np.mean(np.square(distance), axis=axes, keepdims=True) + epsilon)
    return distance / deviation * _along(x, gamma, axes) + _along(x, beta, axes)


def _expand_layer_norm(x: Node, gamma: Node, beta: Node, epsilon: Node, *, axes) -> Node:
    return _scaled(_standardise(x, epsilon, axes)[0], gamma, beta, axes)


def _differentiate_layer_norm(dy, y, x: Node, gamma: Node, beta: Node, epsilon: Node, *, axes):
    wide_dy, wide, wide_gamma = _wide(dy, x, gamma)
    normal, inverse = _standardise(wide, epsilon, axes)
    lead = others(axes, x.type.rank)
    dbeta = sum_op(wide_dy, axes=lead)
    dgamma = sum_op(multiply(wide_dy, normal), axes=lead)
    dnormal = _scaled(wide_dy, wide_gamma, None, axes)
    # What of dnormal would move the mean or the deviation is taken away.
    along = multiply(dnormal, normal)
    rest = subtract(
        subtract(dnormal, spread(mean(dnormal, axes), wide, axes)),
        multiply(normal, spread(mean(along, axes), wide, axes)),
    )
    dx = multiply(rest, spread(inverse, wide, axes))
    pull = multiply(sum_op(along, axes=axes), multiply(inverse, inverse))
    total = sum_op(pull, axes=tuple(range(pull.type.rank)))
    depsilon = multiply(total, full_like(total, -0.5))
    return to(dx, x.dtype), to(dgamma, gamma.dtype), to(dbeta, beta.dtype), depsilon


def _epsilon(dtype: DType) -> np.ndarray:
    return np.array(1e-2, wide_dtype(dtype).numpy)


def _sample_layer_norm():
    def sample(shape, axes, dtype, parameters=None):
        sizes = tuple(shape[axis] for axis in axes)
        own = parameters or dtype
        gamma, beta = values(sizes, own, 0.5, 2, seed="gamma"), values(sizes, own, seed="beta")
        return Sample((values(shape, dtype), gamma, beta, _epsilon(dtype)), {"axes": axes})

    for dtype in FLOATS:
        yield sample((2, 3), (1,), dtype)
        yield sample((2, 3, 4), (1, 2), dtype)
    for dtype in (float16, bfloat16):
        yield sample((2, 3), (1,), dtype, float32)
    for dtype in (float32, float64):
        yield sample((2, 3, 4), (1,), dtype)
        yield sample((3,), (0,), dtype)
        yield sample((0, 3), (1,), dtype)
        yield sample((2, 1), (1,), dtype)
    far = values((2, 4), float32, 1000, 1001)
    ones = np.ones(4, np.float32)
    yield Sample((far, ones, ones, _epsilon(float32)), {"axes": (1,)}, "far from 0", tolerance=512)


def _refuse_layer_norm():
    x, c, e = a_type("f32[2,3]"), a_type("f32[3]"), a_type("f32[]")
    good = {"axes": (1,)}
    yield Refusal((x, c, c, e), {"axes": (2,)}, "distinct axes in order")
    yield Refusal((x, a_type("f32[2]"), c, e), good, "gamma of f32 and shape [3]")
    yield Refusal((x, c, a_type("f16[3]"), e), good, "beta of f32 and shape [3]")
    yield Refusal((x, c, c, a_type("f64[]")), good, "epsilon of type f32[]")
    yield Refusal((x, c, c, c), good, "epsilon of type f32[]")
    half = a_type("f16[2,3]")
    yield Refusal((half, a_type("f64[3]"), c, e), good, "gamma of f16 or f32 and shape [3]")
    yield Refusal((a_type("i32[2,3]"), c, c, e), good, "wants float elements")


layer_norm = declare(
    Op(
        name="layer_norm",
        doc="(x - mean) / sqrt(variance + epsilon) * gamma + beta, with moments along some axes.",
        infer=_infer_layer_norm,
        evaluate=evaluate_wide(_evaluate_layer_norm),
        arity=4,
        attributes={"axes": Sizes()},
        gradient=_differentiate_layer_norm,
        expand=in_wide(_expand_layer_norm),
        samples=_sample_layer_norm,
        refuses=_refuse_layer_norm,
        tolerance=32,
        family="composite",
    )
)


def _infer_rms_norm(x: TensorType, gamma: TensorType, epsilon: TensorType, *, axes) -> TensorType:
    check_axes("rms_norm", x, axes)
    check_elements("rms_norm", FLOATS, x)
    _check_parameter("rms_norm", "gamma", gamma, tuple(x.shape[axis] for axis in axes), x)
    _check_steering("rms_norm", "epsilon", epsilon, x)
    return x


def _evaluate_rms_norm(x, gamma, epsilon, *, axes) -> np.ndarray:
    power = np.mean(np.square(x), axis=axes, keepdims=True)
    return x / np.sqrt(power + epsilon) * _along(x, gamma, axes)


def _expand_rms_norm(x: Node, gamma: Node, epsilon: Node, *, axes) -> Node:
    inverse = _inverse_deviation(mean(multiply(x, x), axes), epsilon)
    return _scaled(multiply(x, spread(inverse, x, axes)), gamma, None, axes)


def _sample_rms_norm():
    def sample(shape, axes, dtype, own=None):
        gamma = values(tuple(shape[axis] for axis in axes), own or dtype, 0.5, 2, seed="gamma")
        return Sample((values(shape, dtype), gamma, _epsilon(dtype)), {"axes": axes})

    for dtype in FLOATS:
        yield sample((2, 3), (1,), dtype)
        yield sample((2, 3, 4), (0, 2), dtype)
    for dtype in (float16, bfloat16):
        yield sample((2, 3), (1,), dtype, float32)
    for dtype in (float32, float64):
        yield sample((3,), (0,), dtype)
        yield sample((0, 3), (1,), dtype)
        yield sample((2, 1), (1,), dtype)


rms_norm = declare(
    Op(
        name="rms_norm",
        doc="x / sqrt(mean of squares + epsilon) * gamma, with the mean along some axes.",
        infer=_infer_rms_norm,
        evaluate=evaluate_wide(_evaluate_rms_norm),
        arity=3,
        attributes={"axes": Sizes()},
        expand=in_wide(_expand_rms_norm),
        samples=_sample_rms_norm,
        refuses=lambda: [
            Refusal((a_type("f32[2,3]"), a_type("f32[3]"), a_type("f32[]")), {"axes": (2,)},
                    "distinct axes in order"),
            Refusal((a_type("f32[2,3]"), a_type("f32[2]"), a_type("f32[]")), {"axes": (1,)},
                    "gamma of f32 and shape [3]"),
            Refusal((a_type("bf16[2,3]"), a_type("f32[3]"), a_type("bf16[]")), {"axes": (1,)},
                    "epsilon of type f32[]"),
            Refusal((a_type("c64[2,3]"), a_type("f32[3]"), a_type("f32[]")), {"axes": (1,)},
                    "wants float elements"),
        ],
        tolerance=32,
        family="composite",
    )
)  # fmt: skip


def _infer_batch_norm(x: TensorType, *parameters: TensorType, axis: int) -> TensorType:
    check_axis("batch_norm", x, axis)
    check_elements("batch_norm", FLOATS, x)
    *channels, epsilon = parameters
    for what, given in zip(("mean", "variance", "gamma", "beta"), channels, strict=True):
        _check_parameter("batch_norm", what, given, (x.shape[axis],), x)
    _check_steering("batch_norm", "epsilon", epsilon, x)
    return x


def _evaluate_batch_norm(x, center, variance, gamma, beta, epsilon, *, axis) -> np.ndarray:
    distance = x - _along(x, center, (axis,))
    deviation = np.sqrt(_along(x, variance, (axis,)) + epsilon)
    return distance / deviation * _along(x, gamma, (axis,)) + _along(x, beta, (axis,))


def _expand_batch_norm(
    x: Node, center: Node, variance: Node, gamma: Node, beta: Node, epsilon: Node, *, axis: int
) -> Node:
    # One factor for each channel; the mean is taken away first, so that nothing cancels.
    factor = multiply(gamma, _inverse_deviation(variance, epsilon))
    distance = subtract(x, broadcast(center, shape=x.shape, axes=(axis,)))
    return _scaled(distance, factor, beta, (axis,))


def _differentiate_batch_norm(
    dy, y, x: Node, center: Node, square: Node, gamma: Node, beta: Node, epsilon: Node, *, axis: int
):
    wide_dy, wide, wide_center, wide_square, wide_gamma = _wide(dy, x, center, square, gamma)
    lead = others((axis,), x.type.rank)
    distance = subtract(wide, broadcast(wide_center, shape=x.shape, axes=(axis,)))
    dbeta = sum_op(wide_dy, axes=lead)
    along = sum_op(multiply(wide_dy, distance), axes=lead)
    inverse = _inverse_deviation(wide_square, epsilon)
    factor = multiply(wide_gamma, inverse)
    dx = _scaled(wide_dy, factor, None, (axis,))
    pull = multiply(multiply(factor, along), multiply(inverse, inverse))
    dsquare = multiply(pull, full_like(pull, -0.5))
    return (
        to(dx, x.dtype),
        to(negative(multiply(factor, dbeta)), center.dtype),
        to(dsquare, square.dtype),
        to(multiply(along, inverse), gamma.dtype),
        to(dbeta, beta.dtype),
        sum_op(dsquare, axes=(0,)),
    )


def _sample_batch_norm():
    def sample(shape, axis, dtype, own=None):
        channels = (shape[axis],)
        own = own or dtype
        parameters = (
            values(channels, own, seed="mean"),
            values(channels, own, 0.2, 2, seed="variance"),
            values(channels, own, 0.5, 2, seed="gamma"),
            values(channels, own, seed="beta"),
        )
        return Sample((values(shape, dtype), *parameters, _epsilon(dtype)), {"axis": axis})

    for dtype in FLOATS:
        yield sample((2, 3), 1, dtype)
        yield sample((2, 3, 2), 1, dtype)
    for dtype in (float16, bfloat16):
        yield sample((2, 2, 3), 2, dtype, float32)
    for dtype in (float32, float64):
        yield sample((3,), 0, dtype)
        yield sample((0, 3), 1, dtype)
        yield sample((2, 0), 1, dtype)


def _refuse_batch_norm():
    x, c, e = a_type("f32[2,3]"), a_type("f32[3]"), a_type("f32[]")
    wrong = a_type("f32[2]")
    good = {"axis": 1}
    yield Refusal((x, c, c, c, c, e), {"axis": 2}, "an axis from 0 to 1")
    yield Refusal((x, wrong, c, c, c, e), good, "mean of f32 and shape [3]")
    yield Refusal((x, c, wrong, c, c, e), good, "variance of f32 and shape [3]")
    yield Refusal((x, c, c, a_type("f64[3]"), c, e), good, "gamma of f32 and shape [3]")
    yield Refusal((x, c, c, c, a_type("f32[3,1]"), e), good, "beta of f32 and shape [3]")
    yield Refusal((x, c, c, c, c, c), good, "epsilon of type f32[]")
    yield Refusal((a_type("i32[2,3]"), c, c, c, c, e), good, "wants float elements")


batch_norm = declare(
    Op(
        name="batch_norm",
        doc="(x - mean) / sqrt(variance + epsilon) * gamma + beta, with one mean, variance, gamma "
        "and beta given for each place along an axis.",
        infer=_infer_batch_norm,
        evaluate=evaluate_wide(_evaluate_batch_norm),
        arity=6,
        gradient=_differentiate_batch_norm,
        attributes={"axis": Integer()},
        expand=in_wide(_expand_batch_norm),
        samples=_sample_batch_norm,
        refuses=_refuse_batch_norm,
        tolerance=32,
        family="composite",
    )
)


def _infer_group_norm(
    x: TensorType, gamma: TensorType, beta: TensorType, epsilon: TensorType, *, groups, axis
) -> TensorType:
    check_elements("group_norm", FLOATS, x)
    if not 1 <= axis < x.rank:
        raise ShapeError(
            explain(
                "group_norm",
                f"an axis of channels from 1 to {x.rank - 1}; axis 0 is the batch"
                if x.rank > 1
                else "a batch axis and an axis of channels",
                f"axis {axis} for {x}",
            )
        )
    channels = x.shape[axis]
    if groups < 1 or not is_known_equal(channels % groups, 0):
        raise ShapeError(
            explain(
                "group_norm",
                f"a number of groups that divides the {channels} channels",
                f"groups={groups} for {x} with axis {axis}",
            )
        )
    _check_parameter("group_norm", "gamma", gamma, (channels,), x)
    _check_parameter("group_norm", "beta", beta, (channels,), x)
    _check_steering("group_norm", "epsilon", epsilon, x)
    return x


def _evaluate_group_norm(x, gamma, beta, epsilon, *, groups, axis) -> np.ndarray:
    result = np.empty_like(x)
    size = x.shape[axis] // groups
    for example in range(x.shape[0]):
        for group in range(groups):
            place = [slice(None)] * x.ndim
            place[0], place[axis] = (
                slice(example, example + 1),
                slice(group * size, group * size + size),
            )
            part = x[tuple(place)]
            distance = part - np.mean(part)
            result[tuple(place)] = distance / np.sqrt(np.mean(np.square(distance)) + epsilon)
    return result * _along(x, gamma, (axis,)) + _along(x, beta, (axis,))


def _expand_group_norm(
    x: Node, gamma: Node, beta: Node, epsilon: Node, *, groups: int, axis: int
) -> Node:
    shape = (*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])
    grouped = reshape(x, shape=shape)
    normal, _ = _standardise(grouped, epsilon, others((0, axis), len(shape)))
    return _scaled(reshape(normal, shape=x.shape), gamma, beta, (axis,))


def _sample_group_norm():
    def sample(shape, groups, axis, dtype, own=None):
        channels = (shape[axis],)
        gamma = values(channels, own or dtype, 0.5, 2, seed="gamma")
        beta = values(channels, own or dtype, seed="beta")
        attrs = {"groups": groups, "axis": axis}
        return Sample((values(shape, dtype), gamma, beta, _epsilon(dtype)), attrs)

    for dtype in FLOATS:
        yield sample((2, 3, 4), 2, 2, dtype)
        yield sample((2, 4, 3), 2, 1, dtype)
    for dtype in (float16, bfloat16):
        yield sample((2, 2, 4), 2, 2, dtype, float32)
    for dtype in (float32, float64):
        yield sample((2, 4), 1, 1, dtype)
        yield sample((2, 3, 2), 2, 2, dtype)
        yield sample((0, 4), 2, 1, dtype)


def _refuse_group_norm():
    x, c, e = a_type("f32[2,4]"), a_type("f32[4]"), a_type("f32[]")
    good = {"groups": 2, "axis": 1}
    yield Refusal((x, c, c, e), good | {"axis": 0}, "an axis of channels from 1 to 1")
    yield Refusal((c, c, c, e), good | {"axis": 0}, "a batch axis and an axis of channels")
    yield Refusal((x, c, c, e), good | {"groups": 3}, "divides the 4 channels")
    yield Refusal((x, c, c, e), good | {"groups": 0}, "divides the 4 channels")
    yield Refusal((x, a_type("f32[2]"), c, e), good, "gamma of f32 and shape [4]")
    yield Refusal((x, c, a_type("f32[2]"), e), good, "beta of f32 and shape [4]")
    yield Refusal((x, c, c, a_type("i32[]")), good, "epsilon of type f32[]")
    yield Refusal((a_type("i32[2,4]"), c, c, e), good, "wants float elements")


group_norm = declare(
    Op(
        name="group_norm",
        doc="(x - mean) / sqrt(variance + epsilon) * gamma + beta, with moments over the groups of "
        "channels of each example; gamma and beta for each channel.",
        infer=_infer_group_norm,
        evaluate=evaluate_wide(_evaluate_group_norm),
        arity=4,
        attributes={"groups": Integer(), "axis": Integer()},
        expand=in_wide(_expand_group_norm),
        samples=_sample_group_norm,
        refuses=_refuse_group_norm,
        tolerance=32,
        family="composite",
    )
)

# Attention ----------------------------------------------------------------------------------------


def _infer_attention(*types: TensorType, causal: bool) -> TensorType:
    if len(types) not in (4, 5):
        raise ShapeError(
            explain(
                "attention", "query, key, value, scale, and a mask or bias at most",
                f"{len(types)} operands",
            )
        )  # fmt: skip
    query, key, value, scale, *extra = types
    check_elements("attention", FLOATS, query)
    received = f"query {query}, key {key}, value {value}"
    if not query.dtype is key.dtype is value.dtype:
        raise DTypeError(explain("attention", "operands of equal element type", received))
    fits = query.rank == key.rank == value.rank == 4
    if fits:
        (batch, _, heads, depth), (_, positions, shared, _) = query.shape, key.shape
        pairs = (
            (batch, key.shape[0]), (batch, value.shape[0]), (positions, value.shape[1]),
            (shared, value.shape[2]), (depth, key.shape[3]),
        )  # fmt: skip
        fits = all(is_known_equal(one, two) for one, two in pairs)
    if not fits:
        raise ShapeError(
            explain("attention", "query [B,T,H,D], key [B,S,G,D] and value [B,S,G,E]", received)
        )
    if not is_known_at_least(shared, 1) or not is_known_equal(heads % shared, 0):
        raise ShapeError(
            explain(
                "attention",
                "a number of query heads that the number of key heads divides",
                f"{heads} and {shared} in {received}",
            )
        )
    _check_steering("attention", "scale", scale, query)
    for each in extra:
        wanted = (batch, heads, query.shape[1], positions)
        own = (bool_, query.dtype, wide_dtype(query.dtype))
        fits = each.rank == 4 and all(map(is_known_equal, each.shape, wanted))
        if each.dtype not in own or not fits:
            raise (ShapeError if each.dtype in own else DTypeError)(
                explain(
                    "attention",
                    f"a mask of booleans or a bias of {query.dtype}, [B,H,T,S] = "
                    f"{shape_text(wanted)}",
                    f"{each} for {received}",
                )
            )
    return query.with_shape((*query.shape[:3], value.shape[3]))


def _evaluate_attention(query, key, value, scale, *extra, causal) -> np.ndarray:
    share = query.shape[2] // key.shape[2]
    key, value = np.repeat(key, share, axis=2), np.repeat(value, share, axis=2)
    logits = np.einsum("bthd,bshd->bhts", query, key) * scale
    for each in extra:
        logits = np.where(each, logits, -np.inf) if each.dtype == bool else logits + each
    if causal:
        logits = np.where(np.tril(np.ones(logits.shape[2:], bool)), logits, -np.inf)
    peak = np.max(logits, axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(logits - np.where(np.isneginf(peak), 0, peak))
    total = np.sum(weights, axis=-1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    return np.einsum("bhts,bshe->bthe", weights, value).astype(query.dtype)


def _expand_attention(
    query: Node, key: Node, value: Node, scale: Node, *extra: Node, causal: bool
) -> Node:
    batch, times, heads, depth = query.shape
    positions, shared = key.shape[1:3]
    share = heads // shared
    query = multiply(query, broadcast(scale, shape=query.shape, axes=()))
    query = reshape(query, shape=(batch, times, shared, share, depth))
    # [B,T,G,R,D], [B,S,G,D] -> [B,G,T,R,S] -> [B,G,R,T,S]
    logits = dot(query, key, contract=((4,), (3,)), batch=((0, 2), (0, 2)))
    logits = transpose(logits, axes=(0, 1, 3, 2, 4))
    nothing = full_like(logits, -np.inf)
    for each in extra:
        each = reshape(each, shape=logits.shape)
        logits = select(each, logits, nothing) if each.dtype is bool_ else add(logits, each)
    if causal:
        here = iota(dtype=int32, shape=(times, positions), axis=0)
        there = iota(dtype=int32, shape=(times, positions), axis=1)
        seen = broadcast(less_equal(there, here), shape=logits.shape, axes=(3, 4))
        logits = select(seen, logits, nothing)
    sees = None
    if extra and not is_known_equal(positions, 0):
        # A row that sees nothing attends to nothing; any finite logits will do for it.
        peak = stop_gradient(max_op(logits, axes=(4,)))
        sees = not_equal(peak, full_like(peak, -np.inf))
        logits = select(spread(sees, logits, (4,)), logits, full_like(logits, 0))
    # [B,G,R,T,S], [B,S,G,E] -> [B,G,R,T,E] -> [B,T,G,R,E]
    weights = softmax(logits, axes=(4,))
    found = dot(weights, value, contract=((4,), (1,)), batch=((0, 1), (0, 2)))
    if sees is not None:
        found = select(spread(sees, found, (4,)), found, full_like(found, 0))
    found = transpose(found, axes=(0, 3, 1, 2, 4))
    return reshape(found, shape=(batch, times, heads, value.shape[3]))


def _batch_attention(size: Size, mapped, query, key, value, scale, *extra, causal) -> Node:
    if mapped[3]:
        # The scale differs from example to example: it goes into the query.
        (query,) = front(size, mapped[:1], (query,))
        factor = broadcast(scale, shape=query.shape, axes=(0,))
        query = to(multiply(to(query, scale.dtype), factor), query.dtype)
        scale, mapped = full(1, scale.dtype), (True, *mapped[1:])
    flags = (*mapped[:3], *mapped[4:])
    repeated = front(size, flags, (query, key, value, *extra))
    merged = [reshape(each, shape=(size * each.shape[1], *each.shape[2:])) for each in repeated]
    found = attention(*merged[:3], scale, *merged[3:], causal=causal)
    return reshape(found, shape=(size, found.shape[0] // size, *found.shape[1:]))


def _sample_attention():
    def sample(
        dtype, batch, times, positions, heads, shared, depth, width, extra=None, causal=False
    ):
        wide = wide_dtype(dtype)
        args = [
            values((batch, times, heads, depth), dtype, seed="query"),
            values((batch, positions, shared, depth), dtype, seed="key"),
            values((batch, positions, shared, width), dtype, seed="value"),
            np.array(0.6, wide.numpy),
        ]
        shape = (batch, heads, times, positions)
        if extra == "mask":
            mask = values(shape, bool_, seed="mask")
            mask[..., :1] = True
            mask[..., -1, :] = False
            args.append(mask)
        elif extra is not None:
            args.append(values(shape, extra, seed="bias"))
        return Sample(tuple(args), {"causal": causal})

    for dtype in FLOATS:
        yield sample(dtype, 2, 3, 4, 2, 2, 3, 2)
        yield sample(dtype, 1, 3, 3, 4, 2, 2, 2, "mask")
        yield sample(dtype, 1, 2, 3, 2, 1, 2, 1, dtype, causal=True)
    yield sample(bfloat16, 1, 2, 2, 1, 1, 2, 2, float32)
    for dtype in (float32, float64):
        yield sample(dtype, 1, 3, 3, 2, 1, 2, 2, causal=True)
        yield sample(dtype, 2, 3, 2, 1, 1, 2, 2, "mask", causal=True)
        yield sample(dtype, 0, 2, 2, 1, 1, 2, 2)
        yield sample(dtype, 1, 2, 0, 1, 1, 2, 2)
        yield sample(dtype, 1, 2, 0, 1, 1, 2, 2, "mask")
        yield sample(dtype, 1, 0, 2, 1, 1, 2, 2)


def _refuse_attention():
    q, k, s = a_type("f32[2,3,4,5]"), a_type("f32[2,6,2,5]"), a_type("f32[]")
    shapes = "query [B,T,H,D], key [B,S,G,D] and value [B,S,G,E]"
    good = {"causal": False}
    yield Refusal((q, k, k), good, "query, key, value, scale")
    yield Refusal((q, k, a_type("f32[2,5,2,5]"), s), good, shapes)
    yield Refusal((q, a_type("f32[2,6,2,4]"), k, s), good, shapes)
    yield Refusal((a_type("f32[3,3,4,5]"), k, k, s), good, shapes)
    yield Refusal((q, a_type("f32[6,2,5]"), k, s), good, shapes)
    yield Refusal((a_type("f32[2,3,3,5]"), k, k, s), good, "3 and 2 in query")
    yield Refusal((q, a_type("f16[2,6,2,5]"), k, s), good, "operands of equal element type")
    yield Refusal((a_type("i32[2,3,4,5]"), k, k, s), good, "wants float elements")
    yield Refusal((q, k, k, a_type("f64[]")), good, "scale of type f32[]")
    yield Refusal((q, k, k, s, a_type("bool[2,4,6,3]")), good, "[B,H,T,S] = [2,4,3,6]")
    yield Refusal((q, k, k, s, a_type("i32[2,4,3,6]")), good, "a mask of booleans or a bias")


attention: Op = declare(
    Op(
        name="attention",
        doc="softmax(query . key * scale + bias) . value for each head, where the mask is true; "
        "if causal, of keys not after the query; 0 for a query that sees nothing.",
        infer=_infer_attention,
        evaluate=evaluate_wide(_evaluate_attention),
        arity=None,
        attributes={"causal": Flag(False)},
        batch=_batch_attention,
        expand=in_wide(_expand_attention),
        samples=_sample_attention,
        refuses=_refuse_attention,
        tolerance=64,
        family="composite",
    )
)

# Dropout ------------------------------------------------------------------------------------------


def _infer_dropout(x: TensorType, key: TensorType, rate: TensorType) -> TensorType:
    check_elements("dropout", FLOATS, x)
    if key is not tensor_type(uint32, (2,)):
        raise DTypeError(
            explain("dropout", "a key of type u32[2]", str(key), "Make one with key(seed).")
        )
    _check_steering("dropout", "rate", rate, x)
    return x


def _evaluate_dropout(x: np.ndarray, key: np.ndarray, rate: np.ndarray) -> np.ndarray:
    bits = random_bits.evaluate(key, shape=x.shape, width=32)
    stays = (bits >> 8) >= np.ceil(rate.astype(np.float64) * 2**24)
    return np.where(stays, x * (1 / (1 - rate)), 0)


def _expand_dropout(x: Node, key: Node, rate: Node) -> Node:
    # 24 bits are exact in float32 and come out below the rate with a probability within 2**-24.
    bits = random_bits(key, shape=x.shape, width=32)
    drawn = multiply(
        cast(right_shift(bits, full_like(bits, 8)), dtype=x.dtype), full_like(x, 2.0**-24)
    )
    stays = greater_equal(drawn, broadcast(rate, shape=x.shape, axes=()))
    factor = divide(full_like(rate, 1), subtract(full_like(rate, 1), rate))
    grown = multiply(x, broadcast(factor, shape=x.shape, axes=()))
    return select(stays, grown, full_like(x, 0))


def _sample_dropout():
    for dtype in FLOATS:
        for shape in ((), (5,), (2, 3), (0, 2)):
            for rate in (0.0, 0.4):
                yield Sample(
                    (values(shape, dtype), KEYS[2], np.array(rate, wide_dtype(dtype).numpy))
                )
        one = np.array(1, wide_dtype(dtype).numpy)
        yield Sample((values((5,), dtype), KEYS[1], one), name="all", differentiable=False)
        row = special(dtype)
        half = np.array(0.5, wide_dtype(dtype).numpy)
        yield Sample((row, KEYS[1], half), name=f"{dtype.short} special", differentiable=False)


dropout = declare(
    Op(
        name="dropout",
        doc="Each element 0 with probability `rate`, else divided by 1 - rate.",
        infer=_infer_dropout,
        evaluate=evaluate_wide(_evaluate_dropout),
        arity=3,
        expand=in_wide(_expand_dropout),
        samples=_sample_dropout,
        refuses=lambda: [
            Refusal((a_type("i32[3]"), a_type("u32[2]"), a_type("f32[]")), {},
                    "wants float elements"),
            Refusal((a_type("f32[3]"), a_type("i32[2]"), a_type("f32[]")), {},
                    "a key of type u32[2]"),
            Refusal((a_type("f32[3]"), a_type("u32[3,2]"), a_type("f32[]")), {},
                    "Make one with key(seed)"),
            Refusal((a_type("f32[3]"), a_type("u32[2]"), a_type("f32[3]")), {},
                    "rate of type f32[]"),
        ],
        tolerance=4,
        family="random",
    )
)  # fmt: skip

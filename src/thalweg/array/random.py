"""Random numbers: pure functions of a key, or of a generator that hands out keys.

A key is a tensor u32[2]; equal keys give equal numbers, eager or traced, on every backend. Given no
`key`, a function takes one from `generator`, or from the generator of the process. The streams are
those of jax.random for equal keys: `bits`, `uniform`, `randint`, `bernoulli`, `permutation` and
`choice` bit for bit; `normal`, `truncated_normal`, `exponential`, `gumbel`, `laplace`, `logistic`,
`categorical` and `multivariate_normal` up to the rounding of erfinv and log. `gamma`, `beta`,
`poisson` and `binomial` draw streams of their own.

16-bit floats: `uniform` draws the bits of its mantissa; everything else is drawn in float32 and
rounded once.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array.manipulation import converted, cut, flat
from thalweg.array.operands import (
    axis_of,
    broadcast_shapes,
    broadcast_to,
    is_number,
    shape_of,
    to_tensor,
)
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.generator import Generator, default_generator, seed_words, set_seed
from thalweg.engine.tensor import Tensor, from_buffer, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, is_known_at_least, is_known_equal
from thalweg.ir.function import build
from thalweg.ir.leaves import full, full_like, items, literal
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DEFAULT_FLOAT,
    DEFAULT_INT,
    DType,
    Shape,
    Size,
    TensorType,
    as_dtype,
    bool_,
    float32,
    float64,
    int64,
    shape_text,
    tensor_type,
    uint32,
    uint64,
)
from thalweg.ops import random as ops
from thalweg.ops.broadcast import broadcast
from thalweg.ops.composite import to, wide_dtype
from thalweg.ops.contract import dot
from thalweg.ops.control import custom_call, while_
from thalweg.ops.elementwise import abs as abs_op
from thalweg.ops.elementwise import (
    add,
    bitcast,
    digamma,
    divide,
    equal,
    erf,
    erfinv,
    exp,
    floor,
    gammainc_da,
    greater,
    greater_equal,
    isfinite,
    isnan,
    less,
    less_equal,
    lgamma,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    remainder,
    right_shift,
    select,
    sign,
    sqrt,
    subtract,
)
from thalweg.ops.index import take
from thalweg.ops.linalg import cholesky
from thalweg.ops.mark import stop_gradient
from thalweg.ops.movement import concatenate, iota, reshape, transpose
from thalweg.ops.reduce import any as any_op
from thalweg.ops.reduce import argmax, cumsum
from thalweg.ops.sort import searchsorted, sort, top_k

__all__ = [
    "Generator", "default_generator", "set_seed",
    "key", "split", "fold_in", "bits",
    "uniform", "normal", "truncated_normal", "multivariate_normal",
    "exponential", "gumbel", "laplace", "logistic", "gamma", "beta",
    "randint", "bernoulli", "categorical", "poisson", "binomial",
    "permutation", "shuffle", "choice",
]  # fmt: skip

KEY = tensor_type(uint32, (2,))

# Keys ---------------------------------------------------------------------------------------------


def key(seed: Any) -> Tensor:
    """The key of a seed, u32[2]: an integer of at most 64 bits or an integer scalar.

    >>> import thalweg as tw
    >>> tw.random.key(5)
    Tensor([0, 5], dtype=uint32)
    """
    if not isinstance(seed, (Tensor, Variable)):
        return from_buffer(seed_words("key", seed), "key")
    node = node_of(to_tensor(seed, "key"))
    if not node.dtype.is_integer or node.type.rank:
        raise DTypeError(explain("key", "an integer scalar as seed", str(node.type)))
    word = node if node.dtype is uint64 else bitcast(to(node, int64), dtype=uint64)
    parts = [right_shift(word, full(32, uint64)), word]
    return wrap(concatenate(*(reshape(to(each, uint32), shape=(1,)) for each in parts), axis=0))


def split(key: Any, count: Size = 2) -> Tensor:
    """New keys, u32[count,2], whose streams are independent of that of `key` and of one another."""
    (size,) = shape_of("split", count)
    return wrap(ops.split_key(_key_node("split", key), count=size))


def fold_in(key: Any, data: Any) -> Tensor:
    """A new key, u32[2], for a number of 32 bits: a step, a layer, an example."""
    node = _key_node("fold_in", key)
    if is_number(data) and not isinstance(data, (float, complex)) and not 0 <= data < 2**32:
        raise ArgumentError(
            explain("fold_in", "a number from 0 to 2**32 - 1", f"{data}", "Write data % 2**32.")
        )
    number = node_of(to_tensor(data, "fold_in"))
    if not number.dtype.is_integer or number.type.rank:
        raise DTypeError(explain("fold_in", "an integer scalar as data", str(number.type)))
    return wrap(ops.fold_in(node, to(number, uint32)))


def _key_node(name: str, key: Any) -> Node:
    advice = "Make one with key(seed), and new ones from it with split(key)."
    if isinstance(key, Generator):
        raise ArgumentTypeError(
            explain(name, "a key of type u32[2]", "a generator", "Write generator=...")
        )
    if isinstance(key, int):
        raise ArgumentTypeError(
            explain(name, "a key of type u32[2]", f"the number {key}", f"Write key=key({key}).")
        )
    node = node_of(to_tensor(key, name))
    if node.type is not KEY:
        if node.dtype is uint32 and node.type.rank > 1:
            advice = "Take one of them, keys[0], or map over all with vmap."
        raise (ShapeError if node.dtype is uint32 else DTypeError)(
            explain(name, "a key of type u32[2]", str(node.type), advice)
        )
    return node


def _source(name: str, key: Any, generator: Generator | None) -> Node:
    """The key to draw from: the one given, or the next one of a generator."""
    if key is not None and generator is not None:
        raise ArgumentError(explain(name, "a key or a generator", "both"))
    if key is not None:
        return _key_node(name, key)
    if generator is not None and not isinstance(generator, Generator):
        raise ArgumentTypeError(
            explain(name, "a Generator", f"{generator!r} of {type(generator).__name__}")
        )
    return node_of((generator or default_generator()).next_key())


def _parts(key: Node, count: int) -> list[Node]:
    """New keys, one by one."""
    keys = ops.split_key(key, count=count)
    return [reshape(cut(keys, 0, place, place + 1), shape=(2,)) for place in range(count)]


# Arguments ----------------------------------------------------------------------------------------


def _float(name: str, dtype: Any, *parameters: Any) -> DType:
    """The float type asked for; by default that of the parameters, or float32."""
    if dtype is None:
        found = [each for each in map(_dtype_of, parameters) if each is not None]
        floats = [each for each in found if each.is_float]
        return max(floats, key=lambda each: each.bits) if floats else DEFAULT_FLOAT
    found = as_dtype(dtype)
    if not found.is_float:
        raise DTypeError(explain(name, "a float type", found.name, "Write dtype='float32'."))
    return found


def _dtype_of(value: Any) -> DType | None:
    if is_number(value) or (isinstance(value, Tensor) and value._weak):
        return None
    return to_tensor(value).dtype


def _integer(name: str, dtype: Any) -> DType:
    found = DEFAULT_INT if dtype is None else as_dtype(dtype)
    if not found.is_integer:
        raise DTypeError(explain(name, "an integer type", found.name, "Write dtype='int32'."))
    return found


def _filled(name: str, value: Any, dtype: DType, shape: Shape) -> Node:
    """A parameter in an element type, stretched to the shape of the result."""
    return _stretched(name, converted(name, value, dtype), shape)


def _stretched(name: str, node: Node, shape: Shape) -> Node:
    wanted = tensor_type(node.dtype, shape)
    common = broadcast_shapes(name, [node.type, wanted])
    if len(common) != len(shape) or not all(map(is_known_equal, common, shape)):
        raise ShapeError(
            explain(name, f"parameters that stretch to shape {shape_text(shape)}", str(node.type))
        )
    return broadcast_to(node, shape)


def _parameters(
    name: str, values: Sequence[Any], shape: Any, dtype: DType
) -> tuple[list[Node], Shape]:
    """Parameters stretched to the shape asked for; by default to their common shape."""
    nodes = [converted(name, value, dtype) for value in values]
    wanted = (
        broadcast_shapes(name, [node.type for node in nodes])
        if shape is None
        else shape_of(name, shape)
    )
    return [_stretched(name, node, wanted) for node in nodes], wanted


def _is_exactly(value: Any, number: float) -> bool:
    return is_number(value) and value == number


def _moved(name: str, node: Node, loc: Any, scale: Any) -> Node:
    """loc + scale * node, without what changes nothing."""
    if not _is_exactly(scale, 1):
        node = multiply(node, _filled(name, scale, node.dtype, node.shape))
    if not _is_exactly(loc, 0):
        node = add(node, _filled(name, loc, node.dtype, node.shape))
    return node


# Bits and uniform numbers -------------------------------------------------------------------------


def bits(
    shape: Any = (), dtype: Any = "uint32", *, key: Any = None, generator: Generator | None = None
) -> Tensor:
    """Random bits: unsigned integers of 8, 16, 32 or 64 bits, each value equally likely."""
    found = as_dtype(dtype)
    if found.kind != "uint":
        raise DTypeError(
            explain("bits", "an unsigned integer type", found.name, "Write dtype='uint32'.")
        )
    shape = shape_of("bits", shape)
    return wrap(ops.random_bits(_source("bits", key, generator), shape=shape, width=found.bits))


def _uniform(key: Node, shape: Shape, low: Node, high: Node) -> Node:
    """Uniform numbers from `low` to below `high`, nodes of the shape."""
    unit = ops.unit_interval(key, shape, low.dtype)
    return maximum(low, add(multiply(unit, subtract(high, low)), low))


def _between(key: Node, shape: Shape, low: float, high: float, dtype: DType) -> Node:
    return _uniform(key, shape, full(low, dtype, shape), full(high, dtype, shape))


def uniform(
    shape: Any = (),
    minval: Any = 0.0,
    maxval: Any = 1.0,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform floats from `minval` to below `maxval`, which stretch to `shape`.

    They are equally spaced by 2**-23 of the range in float32 (2**-52 in float64, 2**-10 in float16,
    2**-7 in bfloat16); where the range does not start at 0, rounding may give `maxval` itself.
    Bit for bit jax.random.uniform in float32 and float64.
    """
    shape = shape_of("uniform", shape)
    dtype = _float("uniform", dtype, minval, maxval)
    source = _source("uniform", key, generator)
    if _is_exactly(minval, 0) and _is_exactly(maxval, 1):
        return wrap(ops.unit_interval(source, shape, dtype))
    if dtype.bits > 16:
        low, high = (_filled("uniform", each, dtype, shape) for each in (minval, maxval))
        return wrap(_uniform(source, shape, low, high))
    low, high = (_filled("uniform", each, float32, shape) for each in (minval, maxval))
    unit = to(ops.unit_interval(source, shape, dtype), float32)
    return wrap(to(maximum(low, add(multiply(unit, subtract(high, low)), low)), dtype))


# Integers -----------------------------------------------------------------------------------------


def randint(
    shape: Any = (),
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Uniform integers from `minval` to below `maxval`, int64 unless `dtype` says otherwise.

    Twice as many bits are drawn as the type has, at least 64, and reduced modulo the range: where
    that is no power of two, the likeliest value exceeds the unlikeliest by less than range / 2**64
    of its probability (range / 2**128 for 64-bit types). Bit for bit jax.random.randint. Where
    tensors give a range that is empty, the result is `minval`.
    """
    if maxval is None:
        raise ArgumentTypeError(
            explain("randint", "a maxval, which is not drawn", "none", "Write maxval=10.")
        )
    shape, dtype = shape_of("randint", shape), _integer("randint", dtype)
    source = _source("randint", key, generator)
    wide = dtype if dtype.bits >= 32 else as_dtype("int32")
    if isinstance(minval, int) and isinstance(maxval, int):
        low, span = _fixed_range(minval, maxval, dtype, wide, shape)
    else:
        low, span = _range_of(minval, maxval, dtype, wide, shape)
    return wrap(to(add(low, bitcast(_below(source, span), dtype=wide)), dtype))


def _fixed_range(
    minval: int, maxval: int, dtype: DType, wide: DType, shape: Shape
) -> tuple[Node, Node]:
    info = np.iinfo(dtype.numpy)
    if not info.min <= minval < maxval <= int(info.max) + 1:
        raise ArgumentError(
            explain(
                "randint",
                f"{info.min} <= minval < maxval <= {int(info.max) + 1} for {dtype.name}",
                f"minval {minval} and maxval {maxval}",
                "Take a wider type." if minval < maxval else "maxval itself is not drawn.",
            )
        )
    unsigned = as_dtype(f"uint{wide.bits}")
    return full(minval, wide, shape), full((maxval - minval) % 2**wide.bits, unsigned, shape)


def _range_of(
    minval: Any, maxval: Any, dtype: DType, wide: DType, shape: Shape
) -> tuple[Node, Node]:
    low, high = (to(_filled("randint", each, dtype, shape), wide) for each in (minval, maxval))
    unsigned = as_dtype(f"uint{wide.bits}")
    span = bitcast(subtract(high, low), dtype=unsigned)
    return low, select(less_equal(high, low), full_like(span, 1), span)


def _below(key: Node, span: Node) -> Node:
    """Unsigned integers below `span`, which stands for 2**bits where it is 0."""
    width = span.dtype.bits
    one, two = _parts(key, 2)
    high, low = (ops.random_bits(each, shape=span.shape, width=width) for each in (one, two))
    # (high * 2**width + low) % span; a remainder by 0 is taken to be the whole number.
    is_whole = equal(span, full_like(span, 0))
    safe = select(is_whole, full_like(span, 1), span)
    factor = remainder(full_like(span, 2 ** (width // 2)), safe)
    factor = remainder(multiply(factor, factor), safe)
    total = add(multiply(remainder(high, safe), factor), remainder(low, safe))
    return select(is_whole, low, remainder(total, safe))


def bernoulli(
    p: Any = 0.5,
    shape: Any = None,
    dtype: Any = bool,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """True with probability `p`, which stretches to `shape`; by default booleans in p's shape."""
    (chance,), shape = _parameters(
        "bernoulli", [p], shape, wide_dtype(_float("bernoulli", None, p))
    )
    unit = ops.unit_interval(_source("bernoulli", key, generator), shape, chance.dtype)
    return wrap(to(less(unit, chance), as_dtype(dtype)))


# Continuous distributions -------------------------------------------------------------------------


def _below_one(dtype: DType) -> float:
    return float(np.nextafter(dtype.numpy.type(-1), dtype.numpy.type(0)))


def _tiny(dtype: DType) -> float:
    return float(np.finfo(dtype.numpy).tiny)


def _normal(key: Node, shape: Shape, dtype: DType) -> Node:
    drawn = _between(key, shape, _below_one(dtype), 1.0, dtype)
    return multiply(full(math.sqrt(2.0), dtype, shape), erfinv(drawn))


def _drawn(
    name: str,
    shape: Any,
    loc: Any,
    scale: Any,
    dtype: Any,
    key: Any,
    generator: Any,
    draw: Callable,
) -> Tensor:
    """loc + scale * draw(key, shape, dtype), 16-bit floats in float32 until the end."""
    shape, dtype = shape_of(name, shape), _float(name, dtype, loc, scale)
    node = draw(_source(name, key, generator), shape, wide_dtype(dtype))
    return wrap(to(_moved(name, node, loc, scale), dtype))


def normal(
    shape: Any = (),
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normally distributed floats: sqrt(2) erfinv(u) for u uniform in (-1, 1).

    Within 4 units in the last place of jax.random.normal in float32 and float64.
    """
    return _drawn("normal", shape, mean, stddev, dtype, key, generator, _normal)


def truncated_normal(
    shape: Any = (),
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    *,
    lower: Any = -2.0,
    upper: Any = 2.0,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normally distributed floats between `lower` and `upper` deviations from the mean."""

    def draw(source: Node, shape: Shape, dtype: DType) -> Node:
        root = full(math.sqrt(2.0), dtype, shape)
        low, high = (_filled("truncated_normal", x, dtype, shape) for x in (lower, upper))
        ends = [erf(divide(x, root)) for x in (low, high)]
        node = multiply(root, erfinv(_uniform(source, shape, *ends)))
        infinity = full(np.inf, dtype, shape)
        inside = maximum(node, nextafter(stop_gradient(low), infinity))
        return minimum(inside, nextafter(stop_gradient(high), negative(infinity)))

    return _drawn("truncated_normal", shape, mean, stddev, dtype, key, generator, draw)


def _exponential(key: Node, shape: Shape, dtype: DType) -> Node:
    # 1 - u is in (0, 1], whose logarithm is finite.
    return negative(log1p(negative(ops.unit_interval(key, shape, dtype))))


def exponential(
    shape: Any = (),
    scale: Any = 1.0,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Exponentially distributed floats with mean `scale`."""
    return _drawn("exponential", shape, 0, scale, dtype, key, generator, _exponential)


def _gumbel(key: Node, shape: Shape, dtype: DType) -> Node:
    drawn = _between(key, shape, _tiny(dtype), 1.0, dtype)
    return negative(log(negative(log(drawn))))


def gumbel(
    shape: Any = (),
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Gumbel distributed floats: loc - scale * log(-log(u)) for u uniform in (0, 1)."""
    return _drawn("gumbel", shape, loc, scale, dtype, key, generator, _gumbel)


def laplace(
    shape: Any = (),
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Laplace distributed floats, with density exp(-|x - loc| / scale) / (2 scale)."""

    def draw(source: Node, shape: Shape, dtype: DType) -> Node:
        drawn = _between(source, shape, _below_one(dtype), 1.0, dtype)
        return multiply(sign(drawn), log1p(negative(abs_op(drawn))))

    return _drawn("laplace", shape, loc, scale, dtype, key, generator, draw)


def logistic(
    shape: Any = (),
    loc: Any = 0.0,
    scale: Any = 1.0,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Logistically distributed floats: loc + scale * log(u / (1 - u)) for u uniform in (0, 1)."""

    def draw(source: Node, shape: Shape, dtype: DType) -> Node:
        drawn = _between(source, shape, _tiny(dtype), 1.0, dtype)
        return subtract(log(drawn), log1p(negative(drawn)))

    return _drawn("logistic", shape, loc, scale, dtype, key, generator, draw)


def multivariate_normal(
    mean: Any,
    covariance: Any,
    shape: Any = (),
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Vectors with a mean f32[n] and a covariance f32[n,n]: shape + [n] floats.

    Only the lower triangle of the covariance is read; where it is not positive definite, the result
    is NaN.
    """
    name = "multivariate_normal"
    shape, dtype = shape_of(name, shape), _float(name, dtype, mean, covariance)
    wide = wide_dtype(dtype)
    center, matrix = converted(name, mean, wide), converted(name, covariance, wide)
    fits = center.type.rank == 1 and matrix.type.rank == 2
    if not fits or not all(is_known_equal(size, center.shape[0]) for size in matrix.shape):
        raise ShapeError(
            explain(
                name,
                "a mean of shape [n] and a covariance of shape [n,n]",
                f"{center.type} and {matrix.type}",
                "Map over several of them with vmap.",
            )
        )
    whole = (*shape, center.shape[0])
    drawn = _normal(_source(name, key, generator), whole, wide)
    mixed = dot(drawn, cholesky(matrix), contract=((len(shape),), (1,)))
    return wrap(to(add(mixed, broadcast_to(center, whole)), dtype))


# Rejection ----------------------------------------------------------------------------------------


def _until_accepted(
    name: str, key: Node, parameters: Sequence[Node], settled: Node, start: Node, draw: Callable
) -> Node:
    """Draw everywhere, again and again, and keep each place's first accepted value.

    `draw(key, *parameters) -> (values, accepts)`; where `settled` is true, `start` stays.
    """
    count = len(parameters)
    args = (*parameters, key, settled, start)
    everywhere = tuple(range(start.type.rank))

    def goes_on(*inner: Node) -> Node:
        return any_op(logical_not(inner[count + 1]), axes=everywhere)

    def step(*inner: Node) -> tuple[Node, ...]:
        source, done, found = inner[count:]
        following, own = _parts(source, 2)
        drawn, accepts = draw(own, *inner[:count])
        found = select(logical_or(done, logical_not(accepts)), found, drawn)
        return following, logical_or(done, accepts), found

    types = [arg.type for arg in args]
    condition = build(f"{name}_goes_on", types, goes_on)
    body = build(f"{name}_draw", types, step)
    return items(while_(*args, condition=condition, body=body, constants=count))[2]


def _valued(node: Node, value: float) -> Node:
    return full_like(node, value)


def _log_gamma_sample(key: Node, alpha: Node) -> Node:
    """The logarithm of a gamma variate for each alpha, finite where the variate underflows.

    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000); for alpha below 1
    a variate for alpha + 1 is multiplied by u**(1 / alpha).
    """
    dtype, shape = alpha.dtype, alpha.shape
    one = _valued(alpha, 1)
    key_of_loop, key_of_boost = _parts(key, 2)
    is_small = less(alpha, one)
    shifted = select(is_small, add(alpha, one), alpha)

    def draw(own: Node, d: Node) -> tuple[Node, Node]:
        key_of_normal, key_of_uniform = _parts(own, 2)
        x = _normal(key_of_normal, shape, dtype)
        t = multiply(divide(_valued(d, 1 / 3), sqrt(d)), x)
        is_inside = greater(t, _valued(t, -1))
        t = select(is_inside, t, _valued(t, 0))
        log_u = negative(_exponential(key_of_uniform, shape, dtype))
        # With v = (1 + t)**3: log u < x*x / 2 + d (1 - v + log v), which must not cancel for small t.
        three = _valued(t, 3)
        bend = multiply(three, subtract(log1p(t), t))
        bend = subtract(bend, multiply(multiply(t, t), add(three, t)))
        half_square = multiply(_valued(x, 0.5), multiply(x, x))
        accepts = less(log_u, add(half_square, multiply(d, bend)))
        return add(log(d), multiply(three, log1p(t))), logical_and(is_inside, accepts)

    is_good = logical_and(isfinite(alpha), greater(alpha, _valued(alpha, 0)))
    d = subtract(select(is_good, shifted, one), _valued(alpha, 1 / 3))
    start = select(
        equal(alpha, _valued(alpha, 0)),
        _valued(alpha, -np.inf),
        select(equal(alpha, _valued(alpha, np.inf)), alpha, _valued(alpha, np.nan)),
    )
    found = _until_accepted("gamma", key_of_loop, [d], logical_not(is_good), start, draw)
    boost = divide(_exponential(key_of_boost, shape, dtype), alpha)
    return select(logical_and(is_good, is_small), subtract(found, boost), found)


def _slope_of_log_gamma(key: Node, alpha: Node, y: Node, dy: Node) -> Node:
    """How the sample moves with alpha when its quantile stays: -P_alpha / (x p(x)), x = exp(y)."""
    x = exp(y)
    log_weight = subtract(subtract(multiply(alpha, y), x), lgamma(alpha))
    slope = negative(multiply(gammainc_da(alpha, x), exp(negative(log_weight))))
    # Near 0 the probability below x is x**alpha / gamma(alpha + 1).
    is_near = less(x, _valued(x, float(np.finfo(x.dtype.numpy).eps) ** 2))
    near = divide(subtract(digamma(add(alpha, _valued(alpha, 1))), y), alpha)
    return multiply(dy, select(is_near, near, slope))


def _log_gamma(key: Node, alpha: Node) -> Node:
    types: list[TensorType] = [key.type, alpha.type]
    function = build("log_gamma", types, _log_gamma_sample, ("key", "alpha"))
    gradient = build("log_gamma_gradient", [*types, alpha.type, alpha.type], _slope_of_log_gamma)
    return items(custom_call(key, alpha, function=function, gradient=gradient))[0]


def gamma(
    alpha: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Gamma distributed floats of shape parameter `alpha` > 0 and scale 1.

    `alpha` stretches to `shape`, by default its own. Differentiable in alpha once, the quantile held
    fixed.
    """
    dtype = _float("gamma", dtype, alpha)
    (parameter,), _ = _parameters("gamma", [alpha], shape, wide_dtype(dtype))
    return wrap(to(exp(_log_gamma(_source("gamma", key, generator), parameter)), dtype))


def beta(
    a: Any,
    b: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Beta distributed floats in [0, 1] of parameters `a`, `b` > 0, which stretch to `shape`.

    Differentiable in both parameters once.
    """
    dtype = _float("beta", dtype, a, b)
    parameters, _ = _parameters("beta", [a, b], shape, wide_dtype(dtype))
    keys = _parts(_source("beta", key, generator), 2)
    one, two = (_log_gamma(each, x) for each, x in zip(keys, parameters, strict=True))
    # x / (x + y) in logarithms: both may underflow.
    return wrap(to(divide(_valued(one, 1), add(_valued(one, 1), exp(subtract(two, one)))), dtype))


# Counts -------------------------------------------------------------------------------------------


def _invert(key: Node, first: Node, following: Callable, settled: Node, name: str) -> Node:
    """Counts by running through probabilities: the first k at which their sum exceeds a uniform.

    `first` is the probability of 0, `following(p, k, *parameters)` that of k + 1 from that of k;
    places that are settled get 0. Float64 throughout.
    """
    shape = first.shape
    everywhere = tuple(range(len(shape)))
    drawn = ops.unit_interval(key, shape, float64)
    left = select(settled, _valued(drawn, -1), drawn)

    def goes_on(left: Node, chance: Node, count: Node, ratio: Node) -> Node:
        # Past the mode the probabilities vanish; rounding may leave a rest that nothing uses up.
        return any_op(_is_above(left, chance, count), axes=everywhere)

    def step(left: Node, chance: Node, count: Node, ratio: Node) -> tuple[Node, ...]:
        moves = _is_above(left, chance, count)
        after = add(count, _valued(count, 1))
        return (
            select(moves, subtract(left, chance), left),
            select(moves, following(chance, after, ratio), chance),
            select(moves, after, count),
            ratio,
        )

    raise NotImplementedError

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

from thalweg.array import distributions
from thalweg.array.distributions import parts
from thalweg.array.manipulation import converted, cut, size_node
from thalweg.array.operands import (
    axis_of,
    broadcast_shapes,
    broadcast_to,
    from_array,
    is_number,
    result_dtype,
    shape_of,
    to_tensor,
)
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.generator import Generator, default_generator, seed_words, set_seed
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.dim import Dim, is_known_at_least, is_known_equal
from thalweg.ir.leaves import full, full_like, items
from thalweg.ir.node import Node
from thalweg.ir.types import (
    DEFAULT_FLOAT,
    DEFAULT_INT,
    DType,
    Shape,
    Size,
    as_dtype,
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
from thalweg.ops.elementwise import (
    add,
    bitcast,
    divide,
    erf,
    erfinv,
    exp,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    right_shift,
    select,
    subtract,
)
from thalweg.ops.index import take
from thalweg.ops.linalg import cholesky
from thalweg.ops.mark import stop_gradient
from thalweg.ops.movement import concatenate, reshape
from thalweg.ops.reduce import argmax, cumsum
from thalweg.ops.sort import searchsorted, top_k

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
        return from_array(seed_words("key", seed))
    node = node_of(to_tensor(seed, "key"))
    if not node.dtype.is_integer or node.type.rank:
        raise DTypeError(explain("key", "an integer scalar as seed", str(node.type)))
    word = node if node.dtype is uint64 else bitcast(to(node, int64), dtype=uint64)
    halves = [right_shift(word, full(32, uint64)), word]
    return wrap(concatenate(*(reshape(to(each, uint32), shape=(1,)) for each in halves), axis=0))


def split(key: Any, count: Size = 2) -> Tensor:
    """New keys, u32[count,2], whose streams are independent of that of `key` and of one another."""
    node = _key_node("split", key)
    return wrap(ops.split_key(node, count=size_of("split", "a count", count)))


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


def draw_key(name: str, key: Any, generator: Generator | None) -> Node:
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


# Arguments ----------------------------------------------------------------------------------------


def size_of(name: str, what: str, given: Any) -> Size:
    """One size, a number or a named one."""
    if isinstance(given, (tuple, list)):
        raise ArgumentTypeError(explain(name, f"{what} that is one number", f"{given!r}"))
    return shape_of(name, given)[0]


def _float(name: str, dtype: Any, *parameters: Any) -> DType:
    """The float type asked for; by default that of the parameters, or float32."""
    if dtype is None:
        values = [each if is_number(each) else to_tensor(each, name) for each in parameters]
        found = result_dtype(name, values)
        return DEFAULT_FLOAT if found.kind in ("bool", "int", "uint") else _checked(name, found)
    return _checked(name, as_dtype(dtype))


def _checked(name: str, dtype: DType) -> DType:
    if not dtype.is_float:
        raise DTypeError(explain(name, "a float type", dtype.name, "Write dtype='float32'."))
    return dtype


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
    return wrap(ops.random_bits(draw_key("bits", key, generator), shape=shape, width=found.bits))


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
    From 0 to 1 bit for bit jax.random.uniform; elsewhere that rounds once where this rounds twice.
    """
    shape = shape_of("uniform", shape)
    dtype = _float("uniform", dtype, minval, maxval)
    unit = ops.unit_interval(draw_key("uniform", key, generator), shape, dtype)
    if _is_exactly(minval, 0) and _is_exactly(maxval, 1):
        return wrap(unit)
    wide = wide_dtype(dtype)
    low, high = (_filled("uniform", each, wide, shape) for each in (minval, maxval))
    return wrap(to(distributions.stretched(to(unit, wide), low, high), dtype))


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
    source = draw_key("randint", key, generator)
    wide = dtype if dtype.bits >= 32 else as_dtype("int32")
    if isinstance(minval, int) and isinstance(maxval, int):
        low, span = _fixed_range(minval, maxval, dtype, wide, shape)
    else:
        low, span = _range_of(minval, maxval, wide, shape)
    drawn = bitcast(distributions.below(source, span), dtype=wide)
    return wrap(to(add(low, drawn), dtype))


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


def _range_of(minval: Any, maxval: Any, wide: DType, shape: Shape) -> tuple[Node, Node]:
    low, high = (_filled("randint", each, wide, shape) for each in (minval, maxval))
    span = bitcast(subtract(high, low), dtype=as_dtype(f"uint{wide.bits}"))
    return low, select(less_equal(high, low), full_like(span, 1), span)


def bernoulli(
    p: Any = 0.5,
    shape: Any = None,
    dtype: Any = bool,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """True with probability `p`, which stretches to `shape`; by default booleans in p's shape."""
    wide = wide_dtype(_float("bernoulli", None, p))
    (chance,), shape = _parameters("bernoulli", [p], shape, wide)
    unit = ops.unit_interval(draw_key("bernoulli", key, generator), shape, chance.dtype)
    return wrap(to(less(unit, chance), as_dtype(dtype)))


# Continuous distributions -------------------------------------------------------------------------


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
    node = draw(draw_key(name, key, generator), shape, wide_dtype(dtype))
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

    erfinv is rounded correctly; jax.random.normal differs by at most 91 units in the last place in
    float32 (all values were compared) and by some 1e-12 of the value in float64.
    """
    return _drawn("normal", shape, mean, stddev, dtype, key, generator, distributions.normal)


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
        unit = ops.unit_interval(source, shape, dtype)
        root = full_like(unit, math.sqrt(2.0))
        low, high = (_filled("truncated_normal", x, dtype, shape) for x in (lower, upper))
        ends = [erf(divide(x, root)) for x in (low, high)]
        node = multiply(root, erfinv(distributions.stretched(unit, *ends)))
        infinity = full_like(node, np.inf)
        inside = maximum(node, nextafter(stop_gradient(low), infinity))
        return minimum(inside, nextafter(stop_gradient(high), negative(infinity)))

    return _drawn("truncated_normal", shape, mean, stddev, dtype, key, generator, draw)


def exponential(
    shape: Any = (),
    scale: Any = 1.0,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Exponentially distributed floats with mean `scale`."""
    return _drawn("exponential", shape, 0, scale, dtype, key, generator, distributions.exponential)


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
    return _drawn("gumbel", shape, loc, scale, dtype, key, generator, distributions.gumbel)


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
    return _drawn("laplace", shape, loc, scale, dtype, key, generator, distributions.laplace)


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
    return _drawn("logistic", shape, loc, scale, dtype, key, generator, distributions.logistic)


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
    drawn = distributions.normal(draw_key(name, key, generator), whole, wide)
    mixed = dot(drawn, cholesky(matrix), contract=((len(shape),), (1,)))
    return wrap(to(add(mixed, broadcast_to(center, whole)), dtype))


def gamma(
    alpha: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Gamma distributed floats of shape parameter `alpha` > 0 and scale 1.

    `alpha` stretches to `shape`, by default its own. Differentiable in alpha once, while the
    probability of less stays.
    """
    dtype = _float("gamma", dtype, alpha)
    (parameter,), _ = _parameters("gamma", [alpha], shape, wide_dtype(dtype))
    return wrap(
        to(exp(distributions.log_gamma(draw_key("gamma", key, generator), parameter)), dtype)
    )


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
    keys = parts(draw_key("beta", key, generator), 2)
    one, two = (distributions.log_gamma(each, x) for each, x in zip(keys, parameters, strict=True))
    # x / (x + y) in logarithms: both may underflow.
    return wrap(
        to(divide(full_like(one, 1), add(full_like(one, 1), exp(subtract(two, one)))), dtype)
    )


def poisson(
    rate: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Poisson distributed integers of mean `rate`, which stretches to `shape`; int64 by default.

    -1 for a rate that is negative or NaN. Computed in float64.
    """
    dtype = _integer("poisson", dtype)
    (mean,), _ = _parameters("poisson", [rate], shape, float64)
    return wrap(to(distributions.poisson(draw_key("poisson", key, generator), mean), dtype))


def binomial(
    count: Any,
    p: Any,
    shape: Any = None,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """How many of `count` trials succeed, each with probability `p`; int64 by default.

    Both stretch to `shape`. -1 where the count is no whole number from 0 on or p is not in [0, 1].
    Computed in float64.
    """
    dtype = _integer("binomial", dtype)
    (trials, chance), _ = _parameters("binomial", [count, p], shape, float64)
    return wrap(
        to(distributions.binomial(draw_key("binomial", key, generator), trials, chance), dtype)
    )


def categorical(
    logits: Any,
    shape: Any = (),
    axis: int = -1,
    dtype: Any = None,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Positions along `axis` drawn with probabilities softmax(logits); int64 by default.

    The result has `shape`, how many to draw for each row, and then the other axes of the logits.
    """
    shape, dtype = shape_of("categorical", shape), _integer("categorical", dtype)
    node = node_of(to_tensor(logits, "categorical"))
    if not node.dtype.is_float:
        raise DTypeError(
            explain(
                "categorical",
                "logits that are floats, the logarithms of probabilities",
                str(node.type),
                "Write log(p) for probabilities p.",
            )
        )
    place = axis_of("categorical", axis, node.type.rank)
    node = to(node, wide_dtype(node.dtype))
    whole = (*shape, *node.shape)
    noise = distributions.gumbel(draw_key("categorical", key, generator), whole, node.dtype)
    return wrap(argmax(add(noise, broadcast_to(node, whole)), axis=len(shape) + place, dtype=dtype))


# Orders -------------------------------------------------------------------------------------------


def permutation(
    x: Any, axis: int = 0, *, key: Any = None, generator: Generator | None = None
) -> Tensor:
    """0 ... x - 1 in random order for an integer x, else x with its slices in random order."""
    if isinstance(x, (int, np.integer, Dim)) and not isinstance(x, bool):
        count = size_of("permutation", "a count", x)
        return wrap(distributions.shuffled(draw_key("permutation", key, generator), count))
    return shuffle(x, axis, key=key, generator=generator)


def shuffle(
    x: Any, axis: int = 0, *, key: Any = None, generator: Generator | None = None
) -> Tensor:
    """x with its slices along an axis in random order; x itself stays as it is."""
    node = node_of(to_tensor(x, "shuffle"))
    place = axis_of("shuffle", axis, node.type.rank)
    positions = distributions.shuffled(draw_key("shuffle", key, generator), node.shape[place])
    return wrap(take(node, positions, axis=place))


def choice(
    a: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    *,
    key: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Slices of `a` along an axis drawn at random, or numbers below `a` if it is an integer.

    Their positions have the given shape and stand in place of the axis. `p` holds a probability for
    each slice, by default all equal; without `replace`, none is drawn twice.
    """
    shape = shape_of("choice", shape)
    is_count = isinstance(a, (int, np.integer, Dim)) and not isinstance(a, bool)
    node = None if is_count else node_of(to_tensor(a, "choice"))
    place = 0 if node is None else axis_of("choice", axis, node.type.rank)
    count = size_of("choice", "a count", a) if node is None else node.shape[place]
    number = math.prod(shape)
    if not replace and not is_known_at_least(count - number, 0):
        raise ArgumentError(
            explain(
                "choice",
                f"at most {count} draws, as many as there are to choose from",
                f"shape {shape_text(shape)}",
                "Write replace=True to draw some more than once.",
            )
        )
    if is_known_equal(count, 0) and not is_known_equal(number, 0):
        raise ArgumentError(explain("choice", "something to choose from", "nothing"))
    source = draw_key("choice", key, generator)
    if p is not None:
        places = _weighted(source, p, count, number, replace)
    elif replace:
        span = broadcast(size_node(count, uint64), shape=shape, axes=())
        places = bitcast(distributions.below(source, span), dtype=int64)
    else:
        places = cut(distributions.shuffled(source, count), 0, 0, number)
    places = places if places.shape == shape else reshape(places, shape=shape)
    return wrap(places if node is None else take(node, places, axis=place))


def _weighted(key: Node, p: Any, count: Size, number: Size, replace: bool) -> Node:
    weights = node_of(to_tensor(p, "choice"))
    if not weights.dtype.is_float:
        weights = to(weights, DEFAULT_FLOAT)
    weights = to(weights, wide_dtype(weights.dtype))
    if weights.type.rank != 1 or not is_known_equal(weights.shape[0], count):
        raise ShapeError(explain("choice", f"p of shape [{count}]", str(weights.type)))
    if not replace:
        noise = distributions.gumbel(key, weights.shape, weights.dtype)
        return to(items(top_k(add(noise, log(weights)), k=number))[1], int64)
    running = cumsum(weights, axis=0)
    total = reshape(cut(running, 0, count - 1, count), shape=())
    unit = ops.unit_interval(key, (number,), weights.dtype)
    drawn = multiply(broadcast_to(total, (number,)), subtract(full_like(unit, 1), unit))
    return searchsorted(running, drawn, dtype=int64)

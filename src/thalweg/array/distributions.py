"""Distributions on nodes: from a key u32[2] and parameters of one shape to numbers of that shape.

    normal exponential gumbel laplace logistic      from a shape and a float type
    below                                           integers, from how many there are
    log_gamma poisson binomial                      loops that go on until all places have a number
    shuffled                                        positions in random order

What users pass is converted and checked in `random.py`. Everything is computed in the type of the
parameters, poisson and binomial in float64.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from thalweg.array.manipulation import cut
from thalweg.ir.dim import Dim
from thalweg.ir.function import build
from thalweg.ir.leaves import full_like, items
from thalweg.ir.node import Node
from thalweg.ir.types import DType, Shape, Size, float64, int64
from thalweg.ops.control import custom_call, while_
from thalweg.ops.elementwise import abs as abs_op
from thalweg.ops.elementwise import (
    add,
    digamma,
    divide,
    equal,
    erfinv,
    exp,
    floor,
    gammainc_da,
    greater,
    greater_equal,
    isfinite,
    less,
    less_equal,
    lgamma,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    multiply,
    negative,
    reciprocal,
    remainder,
    select,
    sign,
    sqrt,
    subtract,
)
from thalweg.ops.movement import iota, reshape
from thalweg.ops.random import random_bits, split_key, unit_interval
from thalweg.ops.reduce import any as any_op
from thalweg.ops.sort import sort


def parts(key: Node, count: int) -> list[Node]:
    """New keys, one by one."""
    keys = split_key(key, count=count)
    return [reshape(cut(keys, 0, place, place + 1), shape=(2,)) for place in range(count)]


def _plus(x: Node, number: float) -> Node:
    return add(x, full_like(x, number))


def _times(x: Node, number: float) -> Node:
    return multiply(x, full_like(x, number))


def _both(*tests: Node) -> Node:
    result = tests[0]
    for test in tests[1:]:
        result = logical_and(result, test)
    return result


def _everywhere(x: Node) -> tuple[int, ...]:
    return tuple(range(x.type.rank))


# Uniform numbers, and what they turn into ---------------------------------------------------------


def stretched(unit: Node, low: Node, high: Node) -> Node:
    """Numbers from 0 to below 1 moved to from `low` to below `high`."""
    return maximum(low, add(multiply(unit, subtract(high, low)), low))


def _between(key: Node, shape: Shape, low: float, high: float, dtype: DType) -> Node:
    unit = unit_interval(key, shape, dtype)
    return stretched(unit, full_like(unit, low), full_like(unit, high))


def _above_minus_one(dtype: DType) -> float:
    return float(np.nextafter(dtype.numpy.type(-1), dtype.numpy.type(0)))


def _least_positive(dtype: DType) -> float:
    return float(np.finfo(dtype.numpy).tiny)


def normal(key: Node, shape: Shape, dtype: DType) -> Node:
    """Numbers of mean 0 and deviation 1."""
    drawn = _between(key, shape, _above_minus_one(dtype), 1.0, dtype)
    return _times(erfinv(drawn), math.sqrt(2.0))


def exponential(key: Node, shape: Shape, dtype: DType) -> Node:
    """Numbers of density exp(-x): -log(1 - u), whose argument is in (0, 1]."""
    return negative(log1p(negative(unit_interval(key, shape, dtype))))


def gumbel(key: Node, shape: Shape, dtype: DType) -> Node:
    """-log(-log(u)): with it added to logits, the largest stands at a draw from their softmax."""
    drawn = _between(key, shape, _least_positive(dtype), 1.0, dtype)
    return negative(log(negative(log(drawn))))


def laplace(key: Node, shape: Shape, dtype: DType) -> Node:
    """Numbers of density exp(-|x|) / 2."""
    drawn = _between(key, shape, _above_minus_one(dtype), 1.0, dtype)
    return multiply(sign(drawn), log1p(negative(abs_op(drawn))))


def logistic(key: Node, shape: Shape, dtype: DType) -> Node:
    """log(u / (1 - u))."""
    drawn = _between(key, shape, _least_positive(dtype), 1.0, dtype)
    return subtract(log(drawn), log1p(negative(drawn)))


# Integers and orders ------------------------------------------------------------------------------


def below(key: Node, span: Node) -> Node:
    """Unsigned integers below `span`, which stands for 2**bits where it is 0.

    (high * 2**bits + low) % span for two words: the likeliest number exceeds the unlikeliest by
    less than span / 4**bits of its probability.
    """
    bits = span.dtype.bits
    high, low = (random_bits(each, shape=span.shape, width=bits) for each in parts(key, 2))
    is_whole = equal(span, full_like(span, 0))
    span = select(is_whole, full_like(span, 1), span)
    factor = remainder(full_like(span, 2 ** (bits // 2)), span)
    factor = remainder(multiply(factor, factor), span)
    total = add(multiply(remainder(high, span), factor), remainder(low, span))
    return select(is_whole, low, remainder(total, span))


def shuffled(key: Node, count: Size) -> Node:
    """0 ... count - 1 in random order, i64[count]: sorted by random bits.

    Again with new bits until a tie in all rounds is less likely than 1 / count; a named size is
    taken to be below 2**32.
    """
    positions = iota(dtype=int64, shape=(count,), axis=0)
    rounds = 3
    if not isinstance(count, Dim):
        rounds = math.ceil(3 * math.log(max(1, count)) / math.log(2**32 - 1))
    for _ in range(rounds):
        key, own = parts(key, 2)
        drawn = random_bits(own, shape=(count,), width=32)
        positions = items(sort(drawn, positions, axis=0))[1]
    return positions


# Loops --------------------------------------------------------------------------------------------


def _until_accepted(
    name: str, key: Node, parameters: Sequence[Node], settled: Node, start: Node, draw: Callable
) -> Node:
    """Draw everywhere, again and again, and keep each place's first accepted value.

    `draw(key, *parameters) -> (values, accepts)`; where `settled` is true, `start` stays.
    """
    count = len(parameters)
    args = (*parameters, key, settled, start)

    def goes_on(*inner: Node) -> Node:
        return any_op(logical_not(inner[count + 1]), axes=_everywhere(start))

    def step(*inner: Node) -> tuple[Node, ...]:
        source, done, found = inner[count:]
        source, own = parts(source, 2)
        drawn, accepts = draw(own, *inner[:count])
        found = select(logical_or(done, logical_not(accepts)), found, drawn)
        return source, logical_or(done, accepts), found

    types = [arg.type for arg in args]
    condition = build(f"{name}_goes_on", types, goes_on)
    body = build(f"{name}_draw", types, step)
    return items(while_(*args, condition=condition, body=body, constants=count))[2]


# The sum of all probabilities can come out below 1: then the search for a count would not end.
_MOST_STEPS = 1000


def _search(
    name: str, key: Node, parameters: Sequence[Node], settled: Node, first: Node, rise: Callable
) -> Node:
    """The first count at which the sum of the probabilities exceeds a uniform number.

    `first` is the probability of 0; `rise(k, *parameters)` that of k divided by that of k - 1.
    Places that are settled get 0.
    """
    drawn = unit_interval(key, first.shape, float64)
    left = select(settled, full_like(drawn, -1), drawn)
    args = (*parameters, left, first, full_like(first, 0))

    def is_moving(left: Node, chance: Node, count: Node) -> Node:
        return _both(greater_equal(left, chance), less(count, full_like(count, _MOST_STEPS)))

    def goes_on(*inner: Node) -> Node:
        return any_op(is_moving(*inner[-3:]), axes=_everywhere(first))

    def step(*inner: Node) -> tuple[Node, ...]:
        left, chance, count = inner[-3:]
        moves, after = is_moving(left, chance, count), _plus(count, 1)
        return (
            select(moves, subtract(left, chance), left),
            select(moves, multiply(chance, rise(after, *inner[:-3])), chance),
            select(moves, after, count),
        )

    types = [arg.type for arg in args]
    condition = build(f"{name}_goes_on", types, goes_on)
    body = build(f"{name}_step", types, step)
    return items(while_(*args, condition=condition, body=body, constants=len(parameters)))[2]


# Gamma --------------------------------------------------------------------------------------------


def _sample_log_gamma(key: Node, alpha: Node) -> Node:
    """Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).

    For alpha below 1 a number for alpha + 1 is multiplied by u**(1 / alpha).
    """
    dtype, shape = alpha.dtype, alpha.shape
    zero, one = full_like(alpha, 0), full_like(alpha, 1)
    key_of_loop, key_of_boost = parts(key, 2)
    is_small = less(alpha, one)
    is_good = _both(isfinite(alpha), greater(alpha, zero))
    shifted = select(is_good, select(is_small, add(alpha, one), alpha), one)

    def draw(own: Node, d: Node) -> tuple[Node, Node]:
        key_of_normal, key_of_uniform = parts(own, 2)
        x = normal(key_of_normal, shape, dtype)
        t = multiply(_times(reciprocal(sqrt(d)), 1 / 3), x)
        is_inside = greater(t, full_like(t, -1))
        t = select(is_inside, t, zero)
        # For v = (1 + t)**3: log(u) < x*x / 2 + d (1 - v + log(v)), where small t must not cancel.
        bend = _times(subtract(log1p(t), t), 3)
        bend = subtract(bend, multiply(multiply(t, t), _plus(t, 3)))
        bound = add(_times(multiply(x, x), 0.5), multiply(d, bend))
        accepts = less(negative(exponential(key_of_uniform, shape, dtype)), bound)
        return add(log(d), _times(log1p(t), 3)), _both(is_inside, accepts)

    is_edge = equal(alpha, full_like(alpha, np.inf))
    start = select(equal(alpha, zero), full_like(alpha, -np.inf), full_like(alpha, np.nan))
    start = select(is_edge, alpha, start)
    d = _plus(shifted, -1 / 3)
    found = _until_accepted("gamma", key_of_loop, [d], logical_not(is_good), start, draw)
    boost = divide(exponential(key_of_boost, shape, dtype), alpha)
    return select(_both(is_good, is_small), subtract(found, boost), found)


def _follow_alpha(key: Node, alpha: Node, y: Node, dy: Node) -> Node:
    """How y = log(x) moves with alpha while the probability P of less than x stays.

    -(dP/dalpha) / (dP/dy); near 0 it is taken from P = x**alpha / gamma(alpha + 1).
    """
    x = exp(y)
    density = subtract(subtract(multiply(alpha, y), x), lgamma(alpha))
    slope = negative(multiply(gammainc_da(alpha, x), exp(negative(density))))
    is_near = less(x, full_like(x, float(np.finfo(x.dtype.numpy).eps) ** 2))
    near = divide(subtract(digamma(_plus(alpha, 1)), y), alpha)
    return multiply(dy, select(is_near, near, slope))


def log_gamma(key: Node, alpha: Node) -> Node:
    """The logarithm of a gamma distributed number of shape alpha > 0: finite where that underflows.

    Differentiable in alpha once. -inf for alpha 0, inf for infinity, NaN for what is no shape.
    """
    types = [key.type, alpha.type]
    function = build("log_gamma", types, _sample_log_gamma, ("key", "alpha"))
    gradient = build("log_gamma_gradient", [*types, alpha.type, alpha.type], _follow_alpha)
    return items(custom_call(key, alpha, function=function, gradient=gradient))[0]


# Counts -------------------------------------------------------------------------------------------

# Below this mean the probabilities are run through; above it, rejection is faster.
_FEW = 10


def _candidate(key: Node, a: Node, b: Node, center: Node) -> tuple[Node, Node, Node, Node]:
    """A count k under the hat of Hörmann's transformed rejection, its u and v, and if it is any.

    k = floor((2 a / u + b) s + center) for a uniform s in [-1/2, 1/2) and u = 1/2 - |s|.
    """
    one, two = parts(key, 2)
    s = _plus(unit_interval(one, a.shape, float64), -0.5)
    u = negative(_plus(abs_op(s), -0.5))
    is_any = greater(u, full_like(u, 0))
    u = select(is_any, u, full_like(u, 0.5))
    k = floor(add(multiply(add(divide(_times(a, 2), u), b), s), center))
    return k, u, unit_interval(two, a.shape, float64), is_any


def _accepts(a: Node, b: Node, u: Node, v: Node, scale: Node, sure: Node, log_weight: Node) -> Node:
    """Whether v, scaled to the height of the hat at u, is below the probability."""
    is_sure = _both(greater_equal(u, full_like(u, 0.07)), less_equal(v, sure))
    height = divide(multiply(v, scale), add(divide(a, multiply(u, u)), b))
    return logical_or(is_sure, less_equal(log(height), log_weight))


def poisson(key: Node, rate: Node) -> Node:
    """Poisson counts, all f64; infinite for an infinite rate, -1 for what is no rate.

    Hörmann, "The transformed rejection method for generating Poisson random variables" (1993),
    algorithm PTRS.
    """
    zero = full_like(rate, 0)
    is_rate = greater_equal(rate, zero)
    is_few = _both(is_rate, less(rate, full_like(rate, _FEW)))
    is_many = _both(is_rate, isfinite(rate), logical_not(is_few))
    few_key, many_key = parts(key, 2)
    few = select(is_few, rate, zero)
    first = exp(negative(few))
    searched = _search(
        "poisson", few_key, [few], logical_not(is_few), first, lambda k, rate: divide(rate, k)
    )

    def draw(own: Node, rate: Node) -> tuple[Node, Node]:
        b = _plus(_times(sqrt(rate), 2.53), 0.931)
        a = _plus(_times(b, 0.02483), -0.059)
        scale = _plus(_times(reciprocal(_plus(b, -3.4)), 1.1328), 1.1239)
        sure = _plus(_times(reciprocal(_plus(b, -2)), -3.6224), 0.9277)
        k, u, v, is_any = _candidate(own, a, b, _plus(rate, 0.43))
        is_count = greater_equal(k, full_like(k, 0))
        k = maximum(k, full_like(k, 0))
        log_weight = subtract(subtract(multiply(k, log(rate)), rate), lgamma(_plus(k, 1)))
        accepts = _accepts(a, b, u, v, scale, sure, log_weight)
        return k, _both(is_any, is_count, accepts)

    start = select(is_rate, full_like(rate, np.inf), full_like(rate, -1))
    many = select(is_many, rate, full_like(rate, 10 * _FEW))
    rejected = _until_accepted("poisson", many_key, [many], logical_not(is_many), start, draw)
    return select(is_few, searched, rejected)


def _log_ways(k: Node, total: Node) -> Node:
    """log(k! (total - k)!)."""
    return add(lgamma(_plus(k, 1)), lgamma(_plus(subtract(total, k), 1)))


def binomial(key: Node, total: Node, p: Node) -> Node:
    """Binomial counts, all f64; -1 where the total is no count or p is no probability.

    Hörmann, "The generation of binomial random variates" (1993), algorithm BTRS, for the rarer of
    success and failure.
    """
    zero, one = full_like(p, 0), full_like(p, 1)
    is_valid = _both(
        greater_equal(p, zero), less_equal(p, one), greater_equal(total, zero),
        isfinite(total), equal(floor(total), total),
    )  # fmt: skip
    total, p = select(is_valid, total, zero), select(is_valid, p, zero)
    is_likely = greater(p, full_like(p, 0.5))
    rare = select(is_likely, subtract(one, p), p)
    is_few = less(multiply(total, rare), full_like(p, _FEW))
    few_key, many_key = parts(key, 2)

    def rise(k: Node, total: Node, rare: Node) -> Node:
        odds = divide(rare, subtract(full_like(rare, 1), rare))
        return multiply(divide(_plus(subtract(total, k), 1), k), odds)

    few_total, few_rare = select(is_few, total, zero), select(is_few, rare, zero)
    first = exp(multiply(few_total, log1p(negative(few_rare))))
    searched = _search("binomial", few_key, [few_total, few_rare], logical_not(is_few), first, rise)

    def draw(own: Node, total: Node, rare: Node) -> tuple[Node, Node]:
        common = subtract(full_like(rare, 1), rare)
        mean = multiply(total, rare)
        deviation = sqrt(multiply(mean, common))
        b = _plus(_times(deviation, 2.53), 1.15)
        a = add(_plus(_times(b, 0.0248), -0.0873), _times(rare, 0.01))
        scale = multiply(_plus(_times(reciprocal(b), 5.1), 2.83), deviation)
        sure = _plus(_times(reciprocal(b), -4.2), 0.92)
        k, u, v, is_any = _candidate(own, a, b, _plus(mean, 0.5))
        is_count = _both(greater_equal(k, full_like(k, 0)), less_equal(k, total))
        k = select(is_count, k, full_like(k, 0))
        mode = floor(multiply(_plus(total, 1), rare))
        log_weight = multiply(subtract(k, mode), log(divide(rare, common)))
        log_weight = add(log_weight, subtract(_log_ways(mode, total), _log_ways(k, total)))
        return k, _both(is_any, is_count, _accepts(a, b, u, v, scale, sure, log_weight))

    many = [
        select(is_few, full_like(p, 100 * _FEW), total),
        select(is_few, full_like(p, 0.5), rare),
    ]
    rejected = _until_accepted("binomial", many_key, many, is_few, zero, draw)
    counted = select(is_few, searched, rejected)
    counted = select(is_likely, subtract(total, counted), counted)
    return select(is_valid, counted, full_like(counted, -1))

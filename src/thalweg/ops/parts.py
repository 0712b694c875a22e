"""Functions of complex numbers as formulas of their real and imaginary parts.

Each takes and gives pairs of `Real`, real nodes with operators. Values are those of the definitions
within a few units of the last place of the modulus; zeros, infinities, NaN and the sides of branch
cuts are theirs, which follow C99, annex G. Nothing overflows whose result does not.

Source of the inverse functions: W. Kahan, "Branch cuts for complex elementary functions, or much
ado about nothing's sign bit", 1987, with logarithms where his products would overflow.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.ir.leaves import full_like
from thalweg.ir.node import Node
from thalweg.ops import elementwise

Number = float | bool


class Real:
    """A real node, or a boolean one, with operators."""

    __slots__ = ("node",)

    def __init__(self, node: Node):
        self.node = node

    def of(self, number: "Real | Number") -> "Real":
        """A number as a constant of the type of this value."""
        return number if isinstance(number, Real) else Real(full_like(self.node, number))

    def _with(self, op: Callable[..., Node], *others: "Real | Number") -> "Real":
        return Real(op(self.node, *(self.of(other).node for other in others)))

    def __add__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.add, other)

    def __sub__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.subtract, other)

    def __rsub__(self, other: "Real | Number") -> "Real":
        return self.of(other) - self

    def __mul__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.multiply, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.divide, other)

    def __rtruediv__(self, other: "Real | Number") -> "Real":
        return self.of(other) / self

    def __neg__(self) -> "Real":
        return self._with(elementwise.negative)

    def __abs__(self) -> "Real":
        return self._with(elementwise.abs)

    def __lt__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.less, other)

    def __le__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.less_equal, other)

    def __gt__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.greater, other)

    def __ge__(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.greater_equal, other)

    def equals(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.equal, other)

    def differs(self, other: "Real | Number") -> "Real":
        return self._with(elementwise.not_equal, other)

    def __and__(self, other: "Real") -> "Real":
        return self._with(elementwise.logical_and, other)

    def __or__(self, other: "Real") -> "Real":
        return self._with(elementwise.logical_or, other)

    def __invert__(self) -> "Real":
        return self._with(elementwise.logical_not)

    @property
    def limits(self) -> np.finfo:
        """The limits of the element type."""
        return np.finfo(self.node.dtype.numpy)


Pair = tuple[Real, Real]


def function(op: Callable[..., Node]) -> Callable[..., Real]:
    """An op on values with operators."""
    return lambda x, *others: x._with(op, *others)


_exp, _expm1, _log = map(function, (elementwise.exp, elementwise.expm1, elementwise.log))
_log1p, _sin, _cos = map(function, (elementwise.log1p, elementwise.sin, elementwise.cos))
_sinh, _cosh, _asinh = map(function, (elementwise.sinh, elementwise.cosh, elementwise.asinh))
_atan2, _hypot, _sqrt = map(function, (elementwise.atan2, elementwise.hypot, elementwise.sqrt))
_isfinite, _isnan = map(function, (elementwise.isfinite, elementwise.isnan))
_isinf, _signed = map(function, (elementwise.isinf, elementwise.copysign))
_trunc = function(elementwise.trunc)


def where(condition: Real, x: Real | Number, y: Real | Number) -> Real:
    """x where the condition holds, else y; one of the two may be a number."""
    like = x if isinstance(x, Real) else y
    assert isinstance(like, Real)
    return Real(elementwise.select(condition.node, like.of(x).node, like.of(y).node))


def where_pair(condition: Real, x: Pair, y: Pair) -> Pair:
    """One pair or the other."""
    return where(condition, x[0], y[0]), where(condition, x[1], y[1])


# Arithmetic ---------------------------------------------------------------------------------------


def product(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def quotient(a: Pair, b: Pair) -> Pair:
    """By R. L. Smith's scaling, "Algorithm 116: complex division", 1962."""
    is_flat = abs(b[0]) >= abs(b[1])
    large, small = where(is_flat, b[0], b[1]), where(is_flat, b[1], b[0])
    ratio = small / large
    scale = 1.0 / (large + small * ratio)
    re = where(is_flat, a[0] + a[1] * ratio, a[0] * ratio + a[1]) * scale
    im = where(is_flat, a[1] - a[0] * ratio, a[1] * ratio - a[0]) * scale
    is_zero = b[0].equals(0.0) & b[1].equals(0.0)
    nothing = abs(b[0])
    return where(is_zero, a[0] / nothing, re), where(is_zero, a[1] / nothing, im)


def sign(z: Pair) -> Pair:
    x, y = z
    size = _hypot(x, y)
    is_zero, is_far = size.equals(0.0), _isinf(size)
    one, nothing = x.of(1.0), x.of(0.0)
    is_flat, both = _isinf(x), _isinf(x) & _isinf(y)
    # NumPy takes what is too long to be measured for vertical.
    far_x = where(both, math.nan, where(is_flat, _signed(one, x), 0.0))
    far_y = where(both, math.nan, where(is_flat, nothing, _signed(one, y)))
    safe = where(is_zero, 1.0, size)
    near_x, near_y = (where(is_zero, 0.0, each / safe) for each in z)
    is_lost = _isnan(size)
    return (
        where(is_lost, math.nan, where(is_far, far_x, near_x)),
        where(is_lost, math.nan, where(is_far, far_y, near_y)),
    )


# Exponentials -------------------------------------------------------------------------------------


def _far_exponent(x: Real) -> tuple[float, float]:
    """From where on exponentials are made in two factors, and the exponent of the second."""
    return (700.0, 100.0) if x.node.dtype.bits == 64 else (85.0, 30.0)


def exp(z: Pair) -> Pair:
    x, y = z
    limit, shift = _far_exponent(x)
    is_far = x > limit
    size = _exp(where(is_far, x - shift, x))
    # What overflows by itself may not when it is turned.
    rest = where(is_far, x.of(math.exp(shift)), 1.0)
    re, im = size * _cos(y) * rest, size * _sin(y) * rest
    is_lost = _isinf(x) & ~_isfinite(y)
    nothing = x.equals(-math.inf) & ~_isfinite(y)
    return (
        where(is_lost, where(x > 0.0, math.inf, x.of(0.0)), re),
        where(y.equals(0.0), y, where(nothing, _signed(x.of(0.0), y), im)),
    )


def expm1(z: Pair) -> Pair:
    x, y = z
    half = _sin(y * 0.5)
    return _expm1(x) * _cos(y) - 2.0 * half * half, _exp(x) * _sin(y)


def _hyperbolic(x: Real) -> tuple[Real, Real, Real]:
    """sinh and cosh of x, divided by a third number where they are large."""
    limit, shift = _far_exponent(x)
    size = abs(x)
    is_far = size > limit
    far = _exp(size - shift) * 0.5
    near = where(is_far, x.of(0.0), x)
    return (
        where(is_far, _signed(far, x), _sinh(near)),
        where(is_far, far, _cosh(near)),
        where(is_far, x.of(math.exp(shift)), 1.0),
    )


def sinh(z: Pair) -> Pair:
    x, y = z
    odd, even, rest = _hyperbolic(x)
    re, im = odd * _cos(y) * rest, even * _sin(y) * rest
    found = where(x.equals(0.0), x, where(_isinf(x), math.inf, re))
    return where(_isfinite(y), re, found), where(y.equals(0.0), y, im)


def cosh(z: Pair) -> Pair:
    x, y = z
    odd, even, rest = _hyperbolic(x)
    re, im = even * _cos(y) * rest, odd * _sin(y) * rest
    is_lost = ~_isfinite(y)
    im = where(y.equals(0.0), where(x < 0.0, -y, y), im)
    im = where(x.equals(0.0), where(is_lost, 0.0, _signed(y.of(0.0), x) * _sin(y)), im)
    return where(_isinf(x) & is_lost, math.inf, re), im


def tanh(z: Pair) -> Pair:
    x, y = z
    limit = 22.0 if x.node.dtype.bits == 64 else 12.0
    size = abs(x)
    is_far = size > limit
    near = where(is_far, x.of(0.0), x)
    odd, even, sine, cosine = _sinh(near), _cosh(near), _sin(y), _cos(y)
    total = odd * odd + cosine * cosine
    re, im = odd * even / total, sine * cosine / total
    # 1 and 4 sin(y) cos(y) exp(-2 |x|): what comes next is below the last place.
    small = _exp(-size)
    far_re, far_im = _signed(x.of(1.0), x), sine * 2.0 * cosine * small * 2.0 * small
    re, im = where(is_far, far_re, re), where(is_far, far_im, im)
    # Of an angle that is none only the two ends and the middle are known.
    is_lost, is_end = ~_isfinite(y), _isinf(x)
    lost_re = where(x.equals(0.0), x, where(is_end, far_re, math.nan))
    lost_im = where(is_end, _signed(y.of(0.0), y), math.nan)
    im = where(y.equals(0.0), y, im)
    return where(is_lost, lost_re, re), where(is_lost, lost_im, im)


def _turned(z: Pair) -> Pair:
    """i z."""
    return -z[1], z[0]


def _turned_back(z: Pair) -> Pair:
    """-i z."""
    return z[1], -z[0]


def sin(z: Pair) -> Pair:
    return _turned(sinh(_turned_back(z)))


def cos(z: Pair) -> Pair:
    return cosh(_turned(z))


def tan(z: Pair) -> Pair:
    return _turned_back(tanh(_turned(z)))


# Logarithms and powers ----------------------------------------------------------------------------


def log_modulus(z: Pair) -> Real:
    """log |z|, without overflow, and exact near 1."""
    x, y = abs(z[0]), abs(z[1])
    large, small = where(x > y, x, y), where(x > y, y, x)
    up = 2.0 ** (30 if x.node.dtype.bits == 32 else 60)
    is_large, is_small = large > float(x.limits.max) / 4, large < float(x.limits.tiny) * up
    scale = where(is_large, 1 / up, where(is_small, x.of(up), 1.0))
    offset = where(is_large, math.log(up), where(is_small, x.of(-math.log(up)), 0.0))
    size = _hypot(x * scale, y * scale)
    far = _log(size) + offset
    is_near = (size > 0.7) & (size < 1.5)
    near = _log1p((large - 1.0) * (large + 1.0) + small * small) * 0.5
    return where(is_near, near, far)


def log(z: Pair) -> Pair:
    return log_modulus(z), _atan2(z[1], z[0])


def _log_to_base(base: float, z: Pair) -> Pair:
    re, im = log(z)
    return re * (1 / math.log(base)), im * (1 / math.log(base))


def log1p(z: Pair) -> Pair:
    x, y = z
    return _log(_hypot(x + 1.0, y)), _atan2(y, x + 1.0)


def sqrt(z: Pair) -> Pair:
    x, y = z
    up = 2.0 ** (30 if x.node.dtype.bits == 32 else 60)
    right, height = abs(x), abs(y)
    large = where(right > height, right, height)
    is_large, is_small = large > float(x.limits.max) / 4, large < float(x.limits.tiny) * up
    scale = where(is_large, 0.25, where(is_small, x.of(up), 1.0))
    back = where(is_large, 2.0, where(is_small, x.of(up**-0.5), 1.0))
    right, height = right * scale, height * scale
    root = _sqrt((right + _hypot(right, height)) * 0.5)
    other = where(root.equals(0.0), height, height / (root * 2.0))
    is_high = height.equals(math.inf)
    root = where(is_high, math.inf, root * back)
    other = where(is_high, math.inf, other * back)
    is_left = x < 0.0
    return where(is_left, other, root), _signed(where(is_left, root, other), y)


def rsqrt(z: Pair) -> Pair:
    return quotient((z[0].of(1.0), z[0].of(0.0)), sqrt(z))


MOST_FACTORS = 100
"""Whole exponents below which a power is a product."""


def power_of(a: Pair, exponent: complex) -> Pair:
    """A power with an exponent that is known."""
    one, nothing = a[0].of(1.0), a[0].of(0.0)
    size = abs(exponent.real)
    if not exponent:
        return one, nothing
    if exponent.imag or size != int(size) or size >= MOST_FACTORS:
        found = exp(_safe_product((one.of(exponent.real), one.of(exponent.imag)), log(a)))
        return _of_zero(a, one.of(exponent.real), found)
    left, factor = int(size), a
    # Short products have no first factor 1, which makes NaN of infinities.
    whole: Pair | None = (one, nothing) if left > 3 or exponent.real < 0 else None
    while left:
        if left % 2:
            whole = product(whole, factor) if whole else factor
        left //= 2
        factor = product(factor, factor)
    assert whole is not None
    found = whole
    if exponent.real < 0:
        found = quotient((one, nothing), found)
    return _of_zero(a, one.of(exponent.real), found)


def _of_zero(a: Pair, exponent: Real, found: Pair) -> Pair:
    """A power, that of zero being zero for an exponent right of it, else NaN."""
    value = where(exponent > 0.0, exponent.of(0.0), math.nan)
    return where_pair(a[0].equals(0.0) & a[1].equals(0.0), (value, value), found)


def power(a: Pair, b: Pair) -> Pair:
    """Products for whole exponents, exp(b log(a)) for others."""
    one, nothing = a[0].of(1.0), a[0].of(0.0)
    found = exp(_safe_product(b, log(a)))
    size = abs(b[0])
    is_whole = b[1].equals(0.0) & _trunc(size).equals(size) & (size < MOST_FACTORS)
    # Squaring and multiplying; numbers that are no exponents are left out, infinities above all.
    left = where(is_whole, size, nothing)
    whole, factor = (one, nothing), a
    for bit in range((MOST_FACTORS - 1).bit_length()):
        if bit:
            factor = product(factor, factor)
        rest = _trunc(left * 0.5)
        whole = where_pair(left.differs(rest * 2.0), product(whole, factor), whole)
        if bit < 2:
            # Short products have no first factor 1, which makes NaN of infinities.
            whole = where_pair(b[0].equals(bit + 1.0), factor, whole)
        left = rest
    whole = where_pair(b[0].equals(3.0), product(a, product(a, a)), whole)
    whole = where_pair(b[0] < 0.0, quotient((one, nothing), whole), whole)
    found = _of_zero(a, b[0], where_pair(is_whole, whole, found))
    return where_pair(b[0].equals(0.0) & b[1].equals(0.0), (one, nothing), found)


def _safe_product(a: Pair, b: Pair) -> Pair:
    """A product that is infinite where a factor is, as C99 wants it."""
    re, im = product(a, b)
    is_lost = _isnan(re) & _isnan(im)
    far_a, far_b = (_isinf(each[0]) | _isinf(each[1]) for each in (a, b))

    def boxed(z: Pair, is_far: Real) -> Pair:
        """An infinite number as its direction; zero for a NaN."""
        units = [where(_isinf(each), each.of(1.0), 0.0) for each in z]
        u, v = (where(is_far, unit, each) for unit, each in zip(units, z, strict=True))
        parts = [where(_isnan(each), _signed(each.of(0.0), each), _signed(each, old))
                 for each, old in zip((u, v), z, strict=True)]  # fmt: skip
        return parts[0], parts[1]

    left, right = boxed(a, far_a), boxed(b, far_b)
    far = product(left, right)
    is_far = is_lost & (far_a | far_b)
    return where(is_far, far[0] * math.inf, re), where(is_far, far[1] * math.inf, im)


# Inverse functions --------------------------------------------------------------------------------


def _is_large(z: Pair) -> Real:
    """Where 1 is nothing beside z."""
    limit = 2.0 ** (30 if z[0].node.dtype.bits == 32 else 60)
    return (abs(z[0]) > limit) | (abs(z[1]) > limit)


def _roots(z: Pair) -> tuple[Pair, Pair]:
    """sqrt(1 - z) and sqrt(1 + z)."""
    x, y = z
    return sqrt((1.0 - x, -y)), sqrt((x + 1.0, y))


def asin(z: Pair) -> Pair:
    x, y = z
    low, high = _roots(z)
    is_large = _is_large(z)
    re = _atan2(x, low[0] * high[0] - low[1] * high[1])
    im = _asinh(low[0] * high[1] - low[1] * high[0])
    re = where(is_large, _atan2(x, abs(y)), re)
    re = where(x.equals(0.0), x, re)
    return re, where(is_large, _signed(log_modulus(z) + math.log(2.0), y), im)


def acos(z: Pair) -> Pair:
    x, y = z
    low, high = _roots(z)
    is_large = _is_large(z)
    re = _atan2(low[0], high[0]) * 2.0
    im = _asinh(high[0] * low[1] - high[1] * low[0])
    re = where(is_large, _atan2(abs(y), x), re)
    re = where(x.equals(0.0), math.pi / 2, re)
    return re, where(is_large, _signed(log_modulus(z) + math.log(2.0), -y), im)


def asinh(z: Pair) -> Pair:
    return _turned_back(asin(_turned(z)))


def acosh(z: Pair) -> Pair:
    re, im = acos(z)
    return abs(im), _signed(re, z[1])


def atanh(z: Pair) -> Pair:
    x, y = z
    right, height = abs(x), abs(y)
    apart = 1.0 - right
    re = _log1p(right * 4.0 / (apart * apart + y * y)) * 0.25
    # Beside the pole the square of y would be lost.
    is_near = right.equals(1.0) & (height < float(x.limits.eps))
    re = where(is_near, (math.log(2.0) - _log(height)) * 0.5, re)
    im = _atan2(y * 2.0, apart * (right + 1.0) - y * y) * 0.5
    # Far away it is 1 / z, and a quarter of a turn.
    is_end = _isinf(x) | _isinf(y)
    is_large = _is_large(z) & (~_isnan(x) | is_end)
    far, _ = quotient((x.of(1.0), x.of(0.0)), (right, height))
    re = where(is_large, where(is_end, 0.0, far), re)
    re = where(x.equals(0.0), x, _signed(re, x))
    is_vertical = is_large & ~_isnan(y)
    return re, where(is_vertical, _signed(x.of(math.pi / 2), y), im)


def atan(z: Pair) -> Pair:
    return _turned_back(atanh(_turned(z)))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "divide": quotient,
    "sign": sign,
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log2": functools.partial(_log_to_base, 2.0),
    "log10": functools.partial(_log_to_base, 10.0),
    "log1p": log1p,
    "sqrt": sqrt,
    "rsqrt": rsqrt,
    "power": power,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
}
"""From complex operands, as pairs, to a complex result."""

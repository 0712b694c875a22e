"""NumPy definitions of the functions NumPy lacks: special functions and the Threefry generator.

Every compiled backend is compared against what lives here, so accuracy comes before speed. The
special functions take anything ``numpy.asarray`` takes, broadcast, compute in float64 and return
a float64 ndarray of the broadcast shape (0-d and empty shapes included); they warn about nothing.
The generator draws the same bits as JAX.

A private function works on 1-D float64 arrays inside the domain its docstring states; a public one
sorts the elements into such domains and sets the edge values. Loops run over terms, never over
elements, and no element's value depends on its neighbours.

The Chebyshev tables were computed for this file by projecting the named function on 30 to 60
Chebyshev nodes in 60-digit arithmetic (mpmath) and dropping coefficients below 2e-18 of the first.
"DLMF" is the NIST Digital Library of Mathematical Functions. Errors quoted bound what was seen
against 50-digit values on some thousands of random points for each function.
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Bits = NDArray[np.uint32]

# One ulp of 1.0; series stop at terms below a tenth of it.
_EPSILON = 2.220446049250313e-16
# Elements worked on at once: a dozen intermediates of them fit a cache of 2 MiB.
_BLOCK = 1 << 14
_HALF_LOG_TWO_PI = 0.9189385332046728
_TWO_OVER_SQRT_PI = 1.1283791670955126

# ---------------------------------------------------------------------------------------------
# What the special functions share
# ---------------------------------------------------------------------------------------------


def _elementwise(function: Callable[..., Array]) -> Callable[..., Array]:
    """Broadcast the arguments to float64, hand them over as 1-D, restore the shape, stay silent."""

    @functools.wraps(function)
    def wrapped(*args: ArrayLike) -> Array:
        arrays = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in args))
        flat = [a.ravel() for a in arrays]
        with np.errstate(all="ignore"):
            if flat[0].size <= _BLOCK:
                result = function(*flat)
            else:
                starts = range(0, flat[0].size, _BLOCK)
                result = np.concatenate(
                    [function(*(a[i : i + _BLOCK] for a in flat)) for i in starts]
                )
        return result.reshape(arrays[0].shape)

    return wrapped


def _fill(result: Array, where: np.ndarray, function: Callable[..., Array], *args: Array) -> None:
    """Write function(*args) into result where the mask holds, computing nothing elsewhere."""
    if where.any():
        result[where] = function(*(a[where] for a in args))


def _chebyshev(coefficients: Sequence[float], t: Array) -> Array:
    """Sum of coefficients[k] * T_k(t) for t in [-1, 1], by Clenshaw's recurrence."""
    twice = 2.0 * t
    ahead, behind, spare = np.zeros_like(t), np.zeros_like(t), np.empty_like(t)
    for c in reversed(coefficients[1:]):
        np.multiply(twice, ahead, out=spare)
        spare -= behind
        spare += c
        ahead, behind, spare = spare, ahead, behind
    return t * ahead - behind + coefficients[0]


def _horner(coefficients: Sequence[float], x: Array) -> Array:
    """Sum of coefficients[k] * x**k."""
    result = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = result * x + c
    return result


# Nodes below 1/2 and weights of 28-point Gauss-Legendre quadrature on [0, 1], from Newton's
# iteration in 50 digits: numpy.polynomial's weights are off by up to 1e-13 near the ends.
_QUADRATURE_HALF = (
    (0.001778751213022775, 0.0045621412965472586),
    (0.009348417314563623, 0.01056605629638563),
    (0.022870359685530903, 0.01645071389115219),
    (0.04218348680393396, 0.022136467379502114),
    (0.06705373871280247, 0.027553672837858374),
    (0.09717931454141042, 0.0326364619834998),
    (0.1321945609931841, 0.03732310711728439),
    (0.17167445298056752, 0.041556708614450606),
    (0.21513976409429914, 0.04528587219651642),
    (0.2620628875224409, 0.04846532899896496),
    (0.31187424195546065, 0.05105648378903038),
    (0.363969186182411, 0.05302788296142321),
    (0.41771535893330963, 0.05435559612914707),
    (0.47246035505798284, 0.0550235065082376),
)
_QUADRATURE = _QUADRATURE_HALF + tuple((1.0 - node, weight) for node, weight in _QUADRATURE_HALF)


def _log1p_minus(u: Array) -> Array:
    """log(1 + u) - u for u >= -1, to a few ulp also near 0, where the two terms cancel.

    With r = u / (2 + u), log(1 + u) = 2 atanh(r) and u - 2r = r u.
    """
    r = u / (2.0 + u)
    square = r * r
    series = _horner(_ATANH, square) * (2.0 * r * square) - r * u
    return np.where((u > -0.5) & (u < 1.0), series, np.log1p(u) - u)


# Up to r**37, because r is at most 1/3 where the series is used.
_ATANH = tuple(1.0 / (2 * k + 1) for k in range(1, 19))


def _two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """x + y as a rounded sum and its rounding error (Knuth)."""
    total = x + y
    shadow = total - x
    return total, (x - (total - shadow)) + (y - shadow)


def _two_product(x: Array, y: Array) -> tuple[Array, Array]:
    """x * y as a rounded product and its rounding error (Dekker), for factors below 1e290."""
    product = x * y
    x_high = x * 134217729.0
    x_high = x_high - (x_high - x)
    y_high = y * 134217729.0
    y_high = y_high - (y_high - y)
    x_low = x - x_high
    y_low = y - y_high
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, error


# ---------------------------------------------------------------------------------------------
# The error function
# ---------------------------------------------------------------------------------------------

# fmt: off
# erf(x) / x on [0, 1], in t = 2 x**2 - 1.
_ERF = (
    0.9754769393826541, -0.14226120510371365, 0.010035582187599796, -0.0005768764699767485,
    2.741993125219606e-05, -1.1043175507344507e-06, 3.8488755420345036e-08, -1.1808582533875466e-09,
    3.2334215826050907e-11, -7.991015947004549e-13, 1.7990725113961456e-14, -3.718635487818693e-16,
    7.103599003714253e-18,
)

# (1 + 2x) exp(x**2) erfc(x) on [0, inf), in t = (x - 3.75) / (x + 3.75): the form of Shepherd and
# Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < inf",
# Mathematics of Computation 36 (1981).
_ERFCX = (
    1.1775789345674017, -0.004590054580646478, -0.08424913336651792, 0.05920993999819189,
    -0.026658668435305753, 0.009074997670705265, -0.002413163540417608, 0.0004907758365258086,
    -6.916973302501207e-05, 4.13902798607301e-06, 7.74038306619849e-07, -2.1886401049234397e-07,
    1.076499946567091e-08, 4.521959811218287e-09, -7.754400208831351e-10, -6.318088340886684e-11,
    2.86879501093067e-11, 1.9455868545777347e-13, -9.65469674843344e-13, 3.25254814814874e-14,
    3.3478119482868056e-14, -1.864562880419313e-15, -1.2507950530688648e-15, 7.418235256624044e-17,
    5.068148904796111e-17,
)
# fmt: on


def _erf_centre(x: Array) -> Array:
    """erf for |x| <= 1."""
    return x * _chebyshev(_ERF, 2.0 * x * x - 1.0)


def _erfcx(x: Array) -> Array:
    """exp(x**2) erfc(x) for finite x >= 0."""
    return _chebyshev(_ERFCX, (x - 3.75) / (x + 3.75)) / (1.0 + 2.0 * x)


def _erfc_tail(x: Array) -> Array:
    """erfc for x >= 0, small relative error down to the underflow near 26.5.

    exp(-x**2) is taken as exp(-h**2) exp(-(x - h)(x + h)) with h on a grid of 1/128, so that h**2
    is exact and the rounding of x**2, up to 700 ulp of the result, never happens.
    """
    x = np.minimum(x, 30.0)
    grid = np.rint(x * 128.0) / 128.0
    return np.exp(-grid * grid) * (np.exp(-(x - grid) * (x + grid)) * _erfcx(x))


@_elementwise
def erf(x: Array) -> Array:
    """Error function on the real line; relative error below 5e-16.

    Source: DLMF 7.2.1; Chebyshev series of this file inside |x| <= 1, 1 - erfc outside.
    """
    result = np.copy(x)
    _fill(result, np.abs(x) <= 1.0, _erf_centre, x)
    _fill(result, np.abs(x) > 1.0, lambda v: np.copysign(1.0 - _erfc_tail(np.abs(v)), v), x)
    return result


@_elementwise
def erfc(x: Array) -> Array:
    """Complementary error function on the real line; relative error below 8e-16, tail included.

    Results in the denormal range (x > 26.5) are right to a few units of 5e-324.
    Source: DLMF 7.2.2; scaled Chebyshev series after Shepherd and Laframboise (1981).
    """
    result = np.copy(x)
    _fill(result, np.abs(x) < 0.5, lambda v: 1.0 - _erf_centre(v), x)
    _fill(result, x >= 0.5, _erfc_tail, x)
    _fill(result, x <= -0.5, lambda v: 2.0 - _erfc_tail(-v), x)
    return result


def _erf_inverse_centre(x: Array) -> Array:
    """erfinv for |x| <= 0.5: three terms of its Taylor series, then Halley's iteration."""
    square = math.pi * x * x
    y = x / _TWO_OVER_SQRT_PI * (1.0 + square / 12.0 + 7.0 * square * square / 480.0)
    for _ in range(3):
        step = (_erf_centre(y) - x) * np.exp(y * y) / _TWO_OVER_SQRT_PI
        y = y - step / (1.0 + y * step)
    return y


def _erfc_inverse_tail(c: Array) -> Array:
    """The y > 0 with erfc(y) = c for 0 < c <= 0.5.

    Winitzki's closed form (2008, relative error 2e-3) starts Newton's iteration on
    log erfc(y) = log c, which is nearly a parabola in y, so four steps reach full precision.
    """
    log_product = np.log(c) + np.log(2.0 - c)
    half = 2.0 / (math.pi * 0.147) + 0.5 * log_product
    y = np.sqrt(np.sqrt(half * half - log_product / 0.147) - half)
    target = np.log(c)
    for _ in range(4):
        scaled = _erfcx(y)
        y = y + (np.log(scaled) - y * y - target) * scaled / _TWO_OVER_SQRT_PI
    return y


@_elementwise
def erfinv(x: Array) -> Array:
    """Inverse of erf on [-1, 1]; relative error below 8e-16; +-inf at +-1, NaN outside.

    Source: DLMF 7.17; Newton and Halley refinement of closed forms. 1 - |x| is exact for
    |x| >= 0.5, so the tail loses nothing.
    """
    result = np.full_like(x, np.nan)
    size = np.abs(x)
    _fill(result, size <= 0.5, _erf_inverse_centre, x)
    tail = (size > 0.5) & (size < 1.0)
    _fill(result, tail, lambda v: np.copysign(_erfc_inverse_tail(1.0 - np.abs(v)), v), x)
    return np.where(size == 1.0, np.copysign(np.inf, x), result)


@_elementwise
def erfcinv(x: Array) -> Array:
    """Inverse of erfc on [0, 2]; relative error below 8e-16; inf at 0, -inf at 2, NaN outside.

    Source: DLMF 7.17; the same iterations as erfinv, which keep the tail down to 5e-324.
    """
    result = np.full_like(x, np.nan)
    _fill(result, (x > 0.0) & (x < 0.5), _erfc_inverse_tail, x)
    _fill(result, (x >= 0.5) & (x <= 1.5), lambda v: _erf_inverse_centre(1.0 - v), x)
    _fill(result, (x > 1.5) & (x < 2.0), lambda v: -_erfc_inverse_tail(2.0 - v), x)
    result[x == 0.0] = np.inf
    result[x == 2.0] = -np.inf
    return result


# ---------------------------------------------------------------------------------------------
# The gamma function and its logarithmic derivatives
# ---------------------------------------------------------------------------------------------

# fmt: off
# log gamma(x) / ((x - 1)(x - 2)) on [1, 3], in t = x - 2.
_LGAMMA = (
    0.44148902545501423, -0.11119580321752523, 0.01951044826068884, -0.003922461463025264,
    0.0008478989895953857, -0.00019153855341365593, 4.454470184975607e-05, -1.05728743735943e-05,
    2.5474336873408417e-06, -6.208535880776316e-07, 1.5268677399071546e-07, -3.782637660291326e-08,
    9.428100823624284e-09, -2.361999702184645e-09, 5.943541905817546e-10, -1.501312977072867e-10,
    3.8050196458110534e-11, -9.672485299656325e-12, 2.465348198355661e-12, -6.298868140791711e-13,
    1.6128460030283787e-13, -4.137949206814042e-14, 1.0635701227757898e-14, -2.7382420786652826e-15,
    7.060670507214892e-16, -1.8232177141662118e-16, 4.714169006756272e-17, -1.2204107319639856e-17,
    3.1630451661790255e-18,
)

# digamma(x) / (x - root) on [1, 3], in t = x - 2.
_DIGAMMA = (
    0.8508141002274594, -0.30691795316595705, 0.06960086856205178, -0.01712297234345182,
    0.004374961886424303, -0.0011401796377915106, 0.00030046127392236794, -7.969172661686522e-05,
    2.1218853925722328e-05, -5.6631596935365925e-06, 1.5136717505341737e-06,
    -4.0495026233355134e-07, 1.083979923064392e-07, -2.9026750711369042e-08, 7.774554697983642e-09,
    -2.082649195692377e-09, 5.579524084715322e-10, -1.4948718863979587e-10, 4.005228073341035e-11,
    -1.0731515178725395e-11, 2.8754217843517632e-12, -7.704533926086572e-13, 2.0644004026236004e-13,
    -5.53150434659318e-14, 1.482155285389004e-14, -3.971411389284323e-15, 1.0641344625722717e-15,
    -2.8513362471718133e-16, 7.640126526131413e-17, -2.047164716811876e-17, 5.485359583436558e-18,
)
# fmt: on

# The positive root of digamma as a sum of two floats.
_DIGAMMA_ROOT = 1.4616321449683622
_DIGAMMA_ROOT_LOW = 9.549995429965697e-17

# B_2k / (2k (2k - 1)), for Stirling's series in 1 / x**2 (DLMF 5.11.1).
_STIRLING = (
    *(1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156),
    *(-3617 / 122400, 43867 / 244188),
)

# B_2k / 2k, for digamma's asymptotic series in 1 / x**2 (DLMF 5.11.2).
_DIGAMMA_ASYMPTOTIC = (
    *(1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12),
    *(-3617 / 8160, 43867 / 14364),
)

# B_2k / (2k)!, for the Euler-Maclaurin formula.
_EULER_MACLAURIN = (
    *(1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000),
    *(1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000),
    *(-174611 / 802857662698291200000, 77683 / 14101100039391805440000),
    -236364091 / 1693824136731743669452800000,
)

_FACTORIALS = np.array([float(math.factorial(n)) for n in range(171)])


def _log_gamma_1p(z: Array) -> Array:
    """log gamma(1 + z) for z in [0, 2], small relative error near its zeros at 0 and 1."""
    return z * (z - 1.0) * _chebyshev(_LGAMMA, z - 1.0)


def _stirling_remainder(x: Array) -> Array:
    """log gamma(x) - ((x - 1/2) log x - x + log(2 pi) / 2) for x >= 10."""
    return _horner(_STIRLING, 1.0 / (x * x)) / x


def _log_gamma_middle(x: Array) -> Array:
    """log gamma for 3 <= x < 10: step down into [2, 3)."""
    product = np.ones_like(x)
    for _ in range(7):
        above = x >= 3.0
        x = np.where(above, x - 1.0, x)
        product = np.where(above, product * x, product)
    return np.log(product) + _log_gamma_1p(x - 1.0)


def _log_gamma_large(x: Array) -> Array:
    """log gamma for x >= 10; x (log x - 1) overflows only where the result does."""
    log_x = np.log(x)
    remainder = _stirling_remainder(x)
    return x * (log_x - 1.0) + (_HALF_LOG_TWO_PI - 0.5 * log_x + remainder)


def _log_gamma_near_negative(x: Array) -> Array:
    """log |gamma| for -20 <= x < 0 off the poles: step up into [1, 2]."""
    product = np.ones_like(x)
    for _ in range(21):
        below = x < 1.0
        product = np.where(below, product * x, product)
        x = np.where(below, x + 1.0, x)
    return _log_gamma_1p(x - 1.0) - np.log(np.abs(product))


def _log_gamma_far_negative(x: Array) -> Array:
    """log |gamma| for x < -20 off the poles: gamma(x) gamma(-x) = -pi / (x sin(pi x))."""
    sine = np.sin(math.pi * np.abs(x - np.rint(x)))
    return np.log(math.pi / sine) - np.log(-x) - _log_gamma_large(-x)


@_elementwise
def lgamma(x: Array) -> Array:
    """Logarithm of |gamma(x)| on the real line; relative error below 8e-16 for x > 0.

    That includes the neighbourhoods of the zeros at 1 and 2. For x < 0, where every unit interval
    left of -2 has two zeros, it is below 1e-15 of the larger of 1 and the result.
    +inf at the poles 0, -1, -2, ... and, as in C, at both infinities (SciPy: -inf at -inf).
    Source: DLMF 5.5.1, 5.5.3, 5.11.1; Chebyshev series of this file on [1, 3].
    """
    result = np.where(np.isnan(x), np.nan, np.inf)
    off_pole = np.isfinite(x) & (x != np.rint(x))
    _fill(result, (x > 0.0) & (x < 1.0), lambda v: _log_gamma_1p(v) - np.log(v), x)
    _fill(result, (x >= 1.0) & (x < 3.0), lambda v: _log_gamma_1p(v - 1.0), x)
    _fill(result, (x >= 3.0) & (x < 10.0), _log_gamma_middle, x)
    _fill(result, (x >= 10.0) & (x < np.inf), _log_gamma_large, x)
    _fill(result, (x < 0.0) & (x >= -20.0) & off_pole, _log_gamma_near_negative, x)
    _fill(result, (x < -20.0) & off_pole, _log_gamma_far_negative, x)
    # -0.0 at 1 and 2 becomes 0.0.
    return result + 0.0


def _gamma_1p(z: Array) -> Array:
    """gamma(1 + z) for z in [0, 21): step down into [0, 1]."""
    product = np.ones_like(z)
    for _ in range(20):
        above = z > 1.0
        product = np.where(above, product * z, product)
        z = np.where(above, z - 1.0, z)
    return product * np.exp(_log_gamma_1p(z))


def _digamma_1_to_3(x: Array) -> Array:
    """digamma for x in [1, 3], small relative error near its root."""
    distance = (x - _DIGAMMA_ROOT) - _DIGAMMA_ROOT_LOW
    return distance * _chebyshev(_DIGAMMA, x - 2.0)


def _digamma_middle(x: Array) -> Array:
    """digamma for 3 <= x < 10: step down into [2, 3)."""
    total = np.zeros_like(x)
    for _ in range(7):
        above = x >= 3.0
        x = np.where(above, x - 1.0, x)
        total = np.where(above, total + 1.0 / x, total)
    return total + _digamma_1_to_3(x)


def _log_minus_digamma(x: Array) -> Array:
    """log x - digamma(x) for x >= 10."""
    inverse_square = 1.0 / (x * x)
    return 0.5 / x + inverse_square * _horner(_DIGAMMA_ASYMPTOTIC, inverse_square)


def _digamma_positive(x: Array) -> Array:
    """digamma for x > 0."""
    result = np.empty_like(x)
    _fill(result, x < 1.0, lambda v: _digamma_1_to_3(v + 1.0) - 1.0 / v, x)
    _fill(result, (x >= 1.0) & (x < 3.0), _digamma_1_to_3, x)
    _fill(result, (x >= 3.0) & (x < 10.0), _digamma_middle, x)
    _fill(result, x >= 10.0, lambda v: np.log(v) - _log_minus_digamma(v), x)
    return result


def _digamma_negative(x: Array) -> Array:
    """digamma for x < 0 off the poles, by reflection (DLMF 5.5.4)."""
    return _digamma_positive(1.0 - x) - math.pi / np.tan(math.pi * (x - np.rint(x)))


def _digamma(x: Array) -> Array:
    """digamma on the real line."""
    result = np.full_like(x, np.nan)
    _fill(result, x > 0.0, _digamma_positive, x)
    _fill(result, (x < 0.0) & np.isfinite(x) & (x != np.rint(x)), _digamma_negative, x)
    return np.where(x == 0.0, -np.copysign(np.inf, x), result)


@_elementwise
def digamma(x: Array) -> Array:
    """Derivative of log gamma on the real line; relative error below 8e-16 for x > 0.

    For x < 0 the error is below 4e-15 of the larger of 1 and the result. As in SciPy:
    -inf at 0.0, +inf at -0.0, NaN at -1, -2, ... and at -inf; inf at inf.
    Source: DLMF 5.5.2, 5.5.4, 5.11.2; Chebyshev series of this file on [1, 3].
    """
    return _digamma(x)


def _zeta_scaled(s: Array, q: Array) -> tuple[Array, Array]:
    """p and z with zeta(s, q) = q**p z, for finite s > 1 and q > 0.

    p is -s where q < 1, else 1 - s, so that z neither overflows nor underflows. The term q**-s of a
    q below 1 is set apart; then sixteen terms, then Euler-Maclaurin (DLMF 25.11.5 and after).
    log1p keeps the ratio of each term to the first accurate for large s.
    """
    below = q < 1.0
    first = np.where(below, q + 1.0, q)
    total = np.ones_like(q)
    for k in range(1, 16):
        total = total + np.exp(-s * np.log1p(k / first))
    start = first + 16.0
    weight = np.exp(-s * np.log1p(16.0 / first))
    total = total + 0.5 * weight
    # The weight goes in first: it is 0 wherever the rising product of s could overflow.
    term = weight * (s / start)
    for j, c in enumerate(_EULER_MACLAURIN):
        total = total + c * term
        term = term * ((s + (2 * j + 1)) / start) * ((s + (2 * j + 2)) / start)
    total = total / first + weight * (start / first) / (s - 1.0)
    whole = 1.0 + np.power(q, s) * np.power(first, 1.0 - s) * total
    return np.where(below, -s, 1.0 - s), np.where(below, whole, total)


def _zeta_positive(s: Array, q: Array) -> Array:
    """zeta(s, q) for finite s > 1 and q > 0."""
    power, scaled = _zeta_scaled(s, q)
    return np.power(q, power) * scaled


def _zeta_odd_difference(s: Array, r: Array, t: Array) -> Array:
    """zeta(s, r) - zeta(s, t) for r + t = 1, both in (0, 1), term by term without cancellation."""
    small = np.minimum(r, t)
    gap = np.abs(r - t)
    total = _zeta_positive(s, small + 16.0) - _zeta_positive(s, small + gap + 16.0)
    for k in reversed(range(16)):
        term = np.power(small + k, -s) * -np.expm1(-s * np.log1p(gap / (small + k)))
        total = total + np.where(gap > 0.0, term, 0.0)
    return np.where(r <= t, total, -total)


def _zeta_negative(s: Array, q: Array) -> Array:
    """The sum of (q + k)**-s over k >= 0 for integer s > 1 and negative q that is no integer.

    With r the fractional part of q, the terms before the sign change are the head of
    zeta(s, 1 - r) with sign (-1)**s, so the sum is zeta(s, r) +- (zeta(s, 1 - r) - zeta(s, 1 - q)).
    """
    floor = np.floor(q)
    r = q - floor
    t = (floor + 1.0) - q
    rest = _zeta_positive(s, 1.0 - q)
    result = np.empty_like(q)
    odd = np.remainder(s, 2.0) == 1.0
    _fill(result, odd, lambda *v: _zeta_odd_difference(*v[:3]) + v[3], s, r, t, rest)
    even = ~odd
    _fill(
        result,
        even,
        lambda s, r, t, rest: _zeta_positive(s, r) + (_zeta_positive(s, t) - rest),
        *(s, r, t, rest),
    )
    return result


def _zeta(s: Array, q: Array) -> Array:
    """Hurwitz zeta with the edge values of the public function."""
    result = np.full_like(q, np.nan)
    # An infinite s would give inf * 0; this one is as good.
    s = np.minimum(s, 1e308)
    _fill(result, (s > 1.0) & (q > 0.0), _zeta_positive, s, np.minimum(q, 1e308))
    whole = q == np.rint(q)
    _fill(result, (s > 1.0) & (q < 0.0) & (s == np.rint(s)) & ~whole, _zeta_negative, s, q)
    result[(s > 1.0) & (q == np.inf)] = 0.0
    result[(s == 1.0) & ~np.isnan(q)] = np.inf
    result[(s > 1.0) & (q <= 0.0) & whole] = np.inf
    return result


@_elementwise
def zeta(x: Array, q: Array) -> Array:
    """Hurwitz zeta function, the sum of (k + q)**-x over k >= 0; relative error below 1e-15.

    Domain x > 1, q > 0. Edges as in SciPy: inf at x = 1 and at q = 0, -1, -2, ...; for other
    negative q the sum itself where x is an integer, else NaN; NaN for x < 1.
    Source: Euler-Maclaurin summation, DLMF 25.11(iii).
    """
    return _zeta(x, q)


def _polygamma_positive(n: Array, x: Array) -> Array:
    """n! zeta(n + 1, x) for x > 0; the power goes in by halves so that no factor underflows."""
    power, scaled = _zeta_scaled(n + 1.0, x)
    half_power = np.power(x, 0.5 * power)
    factorial = np.take_along_axis(_FACTORIALS, np.minimum(n, 170.0).astype(np.int64), 0)
    result = (factorial * half_power) * half_power * scaled

    def stirling(n: Array, x: Array, z: Array) -> Array:
        s = n + 1.0
        small_terms = _HALF_LOG_TWO_PI - 0.5 * np.log(s) + _stirling_remainder(s)
        log_x = np.log(np.maximum(x, 1.0))
        return np.exp(s * (np.log(s / x) - 1.0) + small_terms + log_x) * z

    _fill(result, n > 170.0, stirling, n, x, scaled)
    return result


def _polygamma_negative(n: Array, x: Array) -> Array:
    """n! zeta(n + 1, x) for negative x off the poles."""

    def direct(n: Array, x: Array) -> Array:
        factorial = np.take_along_axis(_FACTORIALS, n.astype(np.int64), 0)
        return factorial * _zeta_negative(n + 1.0, x)

    def logarithmic(n: Array, x: Array) -> Array:
        sums = _zeta_negative(n + 1.0, x)
        return np.sign(sums) * np.exp(_log_gamma_large(n + 1.0) + np.log(np.abs(sums)))

    result = np.empty_like(x)
    # By reflection (DLMF 5.15.6); the sum of powers would underflow here, and only here.
    mirrored = (x - np.floor(x) == 0.5) & (np.remainder(n, 2.0) == 0.0)
    _fill(result, mirrored, lambda n, x: _polygamma_positive(n, 1.0 - x), n, x)
    _fill(result, ~mirrored & (n <= 170.0), direct, n, x)
    _fill(result, ~mirrored & (n > 170.0), logarithmic, n, x)
    return result


@_elementwise
def polygamma(n: Array, x: Array) -> Array:
    """Derivative of order n of digamma at x; relative error below 2e-15 for x > 0, n <= 170.

    n holds integers >= 0 as floats (anything else gives NaN); n = 0 is digamma. For n > 170 the
    factorial leaves float64 and logarithms are added instead: relative error below 1e-12. As in
    SciPy the poles 0, -1, -2, ... give (-1)**(n + 1) inf; -inf gives NaN (SciPy: inf).
    Source: DLMF 5.15.1 and 25.11.12, (-1)**(n + 1) n! zeta(n + 1, x), continued to negative x.
    """
    order = np.isfinite(n) & (n >= 1.0) & (n == np.rint(n))
    finite = np.isfinite(x)
    pole = (x <= 0.0) & (x == np.rint(x)) & finite
    result = np.full_like(x, np.nan)
    _fill(result, order & (x > 0.0) & finite, _polygamma_positive, n, x)
    _fill(result, order & (x < 0.0) & finite & ~pole, _polygamma_negative, n, x)
    result[order & pole] = np.inf
    result[order & (x == np.inf)] = 0.0
    result = np.where(np.remainder(n, 2.0) == 0.0, -result, result)
    _fill(result, n == 0.0, _digamma, x)
    return result


# ---------------------------------------------------------------------------------------------
# The incomplete gamma functions
# ---------------------------------------------------------------------------------------------

# Where quadrature takes over from series and continued fraction; the integrand is cut where it has
# fallen by exp(-39), below half an ulp of the integral.
_QUADRATURE_FROM = 50.0
_QUADRATURE_DEPTH = 39.0


def _cutoff(curvature: Array, slope: Array, stretch: Array) -> Array:
    """A v >= 0 beyond which slope v + curvature v**2 / (2 + 4/3 stretch v) stays above the depth.

    The second term is a lower bound of curvature (w - log(1 + w)) / stretch**2 at w = stretch v.
    """
    linear = slope - _QUADRATURE_DEPTH * stretch * (2.0 / 3.0)
    square = np.sqrt(2.0 * _QUADRATURE_DEPTH) * np.sqrt(curvature + slope * stretch * (4.0 / 3.0))
    return 2.0 * _QUADRATURE_DEPTH / (linear + np.hypot(linear, square))


def _gamma_density(a: Array, x: Array) -> Array:
    """x**a exp(-x) / gamma(a + 1) for a >= 0 and finite x > 0."""
    result = np.empty_like(x)
    small = a < 10.0

    def direct(a: Array, x: Array) -> Array:
        half = np.exp(-0.5 * x)
        # Beyond the cap the exponential is 0, and inf * 0 is not.
        return half * np.power(np.minimum(x, 1e4), a) * half / _gamma_1p(a)

    def stirling(a: Array, x: Array) -> Array:
        u = (x - a) / a
        exponent = np.where(u > -0.5, a * _log1p_minus(u), a * np.log(x / a) - (x - a))
        return np.exp(exponent - _stirling_remainder(a)) / (math.sqrt(2.0 * math.pi) * np.sqrt(a))

    _fill(result, small, direct, a, x)
    _fill(result, ~small, stirling, a, x)
    return result


def _gamma_lower_series(a: Array, x: Array) -> tuple[Array, Array]:
    """P(a, x) and its derivative in a by the power series DLMF 8.7.1, for x <= max(a, 1.2).

    The terms x**n / ((a+1)...(a+n)) are all positive and so are minus their derivatives.
    """
    total = np.ones_like(x)
    slope = np.zeros_like(x)
    term = np.ones_like(x)
    log_slope = np.zeros_like(x)
    for n in range(1, 1000):
        term = term * (x / (a + n))
        log_slope = log_slope - 1.0 / (a + n)
        total = total + term
        slope = slope + term * log_slope
        # Terms below half an ulp change nothing, so no element depends on its neighbours.
        going = (term > 0.1 * _EPSILON * total) | (-term * log_slope > -0.1 * _EPSILON * slope)
        if not going.any():
            break
    density = _gamma_density(a, x)
    log_density_slope = np.log(x) - _digamma_positive(a + 1.0)
    return density * total, density * (log_density_slope * total + slope)


def _gamma_upper_small(a: Array, x: Array) -> Array:
    """Q(a, x) for a < 1 and x <= 1.2, where 1 - P would cancel; DLMF 8.7.3 about its first term."""
    log_first = a * np.log(x) - _log_gamma_1p(a)
    total = np.zeros_like(x)
    term = np.ones_like(x)
    for n in range(1, 25):
        term = term * (-x / n)
        total = total + term / (a + n)
    return -np.expm1(log_first) - np.exp(log_first) * a * total


def _gamma_upper_fraction(a: Array, x: Array) -> tuple[Array, Array]:
    """Q(a, x) and its derivative in a by Legendre's continued fraction, for x > max(a, 1.2).

    The even part of DLMF 8.9.2, evaluated from its 100th term back to its head; 100 terms are
    enough at x = 1.2, where it converges slowest, and elsewhere for a <= 100.
    """
    start = x - a + 1.0
    tail = np.zeros_like(x)
    slope = np.zeros_like(x)
    for n in range(100, 0, -1):
        denominator = start + 2 * n + tail
        tail = n * (a - n) / denominator
        slope = (n - tail * (slope - 1.0)) / denominator
    value = 1.0 / (start + tail)
    log_slope = value * (1.0 - slope)
    density = _gamma_density(a, x)
    # a log x - a digamma(a), finite at a = 0.
    scaled_slope = 1.0 + a * (np.log(x) - _digamma_positive(a + 1.0))
    return density * a * value, density * value * (scaled_slope + a * log_slope)


def _gamma_quadrature(a: Array, x: Array) -> tuple[Array, Array]:
    """P(a, x) where x < a, else Q(a, x), and its derivative in a, for a >= 50 and x > 0.

    The tail from x on, downwards where x < a and upwards elsewhere, relative to the integrand at
    x, is an integral of exp((a - 1) log(1 +- v) - ...) over v = |t - x| / x: a smooth hump of one
    sign whose exponent _log1p_minus gives without cancellation at any size of a.
    """
    sign = np.where(x < a, -1.0, 1.0)
    shape = a - 1.0
    rate = sign * (x - a + 1.0)
    length = _cutoff(shape, rate, np.maximum(sign, 0.0))
    length = np.where(sign < 0.0, np.minimum(length, 1.0), length)
    total = np.zeros_like(x)
    slope = np.zeros_like(x)
    for node, weight in _QUADRATURE:
        v = node * length
        height = weight * np.exp(shape * _log1p_minus(sign * v) - rate * v)
        total = total + height
        slope = slope + height * np.log1p(sign * v)
    u = (x - a) / a
    # Below the floor the density is 0, and inf * 0 is not.
    log_ratio = np.where(u > -0.5, np.log1p(u), np.log(np.maximum(x / a, 1e-300)))
    log_density_slope = log_ratio + _log_minus_digamma(a)
    scale = a * _gamma_density(a, x) * length
    return scale * total, scale * (log_density_slope * total + slope)


def _incomplete_gamma(a: Array, x: Array) -> tuple[Array, Array, Array]:
    """P(a, x), Q(a, x) and dP/da with their edge values."""
    lower = np.full_like(x, np.nan)
    upper = np.full_like(x, np.nan)
    slope = np.full_like(x, np.nan)

    def settle(where: np.ndarray, lower_value: float) -> None:
        lower[where] = lower_value
        upper[where] = 1.0 - lower_value
        slope[where] = 0.0

    inside = (a >= 0.0) & (a < np.inf) & (x > 0.0) & (x < np.inf)
    large = inside & (a >= _QUADRATURE_FROM)
    series = inside & ~large & (x <= np.maximum(a, 1.2))
    fraction = inside & ~large & ~series
    if series.any():
        total, slope[series] = _gamma_lower_series(a[series], x[series])
        lower[series] = np.minimum(total, 1.0)
        upper[series] = 1.0 - lower[series]
        _fill(upper, series & (a < 1.0), _gamma_upper_small, a, x)
    if fraction.any():
        upper[fraction], rise = _gamma_upper_fraction(a[fraction], x[fraction])
        lower[fraction] = 1.0 - upper[fraction]
        slope[fraction] = -rise
    if large.any():
        tail, rise = _gamma_quadrature(a[large], x[large])
        below = x[large] < a[large]
        lower[large] = np.where(below, tail, 1.0 - tail)
        upper[large] = np.where(below, 1.0 - tail, tail)
        slope[large] = np.where(below, rise, -rise)
    settle((a > 0.0) & (x == 0.0), 0.0)
    settle((a == np.inf) & (x >= 0.0) & (x < np.inf), 0.0)
    settle((a >= 0.0) & (a < np.inf) & (x == np.inf), 1.0)
    return lower, upper, slope


@_elementwise
def gammainc(a: Array, x: Array) -> Array:
    """Regularised lower incomplete gamma function P(a, x) for a >= 0, x >= 0.

    Relative error below 2e-14 where P > 1e-30, growing with |log P| beyond. Edges as in SciPy:
    P(0, x) = 1 and P(inf, x) = 0 for finite x > 0, NaN at (0, 0), (inf, inf) and outside.
    Source: DLMF 8.7.1 and 8.9.2; Gauss-Legendre quadrature of the tail for a >= 50.
    """
    return _incomplete_gamma(a, x)[0]


@_elementwise
def gammaincc(a: Array, x: Array) -> Array:
    """Regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x) for a >= 0, x >= 0.

    Relative error below 2e-14 where Q > 1e-30, growing with |log Q| beyond; edges and
    sources as for gammainc, with DLMF 8.7.3 where both arguments are small.
    """
    return _incomplete_gamma(a, x)[1]


@_elementwise
def gammainc_da(a: Array, x: Array) -> Array:
    """Derivative of gammainc(a, x) with respect to a; relative error below 2e-14.

    Domain and NaN as for gammainc; 0 at x = 0, x = inf and a = inf, and the limit -E1(x) at a = 0.
    The error holds where the derivative is above 1e-30, growing with its logarithm beyond.
    Source: each representation of gammainc differentiated term by term, as in Figurnov, Mohamed
    and Mnih, "Implicit Reparameterization Gradients" (2018).
    """
    return _incomplete_gamma(a, x)[2]


# ---------------------------------------------------------------------------------------------
# The incomplete beta function
# ---------------------------------------------------------------------------------------------


def _beta_excess(a: Array, b: Array, x: Array) -> Array:
    """a - (a + b) x to nearly full relative precision, though its terms cancel at the mean."""
    # A power of two brings the larger of a and b below 1, out of reach of overflow.
    exponent = np.frexp(np.maximum(a, b))[1]
    a = np.ldexp(a, -exponent)
    b = np.ldexp(b, -exponent)
    ax, ax_error = _two_product(a, x)
    bx, bx_error = _two_product(b, x)
    total, first_error = _two_sum(a, -ax)
    total, second_error = _two_sum(total, -bx)
    return np.ldexp(total + (first_error + second_error - ax_error - bx_error), exponent)


def _beta_density(a: Array, b: Array, x: Array, y: Array, excess: Array) -> Array:
    """x**a y**b gamma(a + b) / (gamma(a + 1) gamma(b)) for a, b > 0 and x + y = 1.

    excess is a - (a + b) x. Large parameters go through Stirling's formula with the large terms
    combined beforehand (DiDonato and Morris 1992, Loader 2000).
    """
    log_x = np.where(x < 0.5, np.log(x), np.log1p(-y))
    log_y = np.where(y < 0.5, np.log(y), np.log1p(-x))

    def both_large(a: Array, b: Array, lx: Array, ly: Array, z: Array) -> Array:
        u = -z / a
        v = z / b
        first = np.where(u > -0.5, _log1p_minus(u), lx + np.log1p(b / a) - u)
        second = np.where(v > -0.5, _log1p_minus(v), ly + np.log1p(a / b) - v)
        rest = _stirling_remainder(a + b) - _stirling_remainder(a) - _stirling_remainder(b)
        scale = np.sqrt(b / (a + b) / (2.0 * math.pi * a))
        return scale * np.exp(a * first + b * second + rest)

    def first_small(a: Array, b: Array, x: Array, ly: Array) -> Array:
        rest = _stirling_remainder(a + b) - _stirling_remainder(b) - 0.5 * np.log1p(a / b)
        exponent = b * _log1p_minus(a / b) + b * ly + rest
        half = np.exp(0.5 * exponent)
        # Beyond the cap the exponential is 0, and inf * 0 is not.
        return half * np.power(np.minimum((a + b) * x, 1e29), a) * half / _gamma_1p(a)

    def both_small(a: Array, b: Array, x: Array, y: Array) -> Array:
        gammas = _gamma_1p(a + b) / _gamma_1p(a) / _gamma_1p(b)
        return np.power(x, a) * np.power(y, b) * gammas * (b / (a + b))

    result = np.empty_like(x)
    small_a = a < 10.0
    small_b = b < 10.0
    _fill(result, ~small_a & ~small_b, both_large, a, b, log_x, log_y, excess)
    _fill(result, small_a & ~small_b, first_small, a, b, x, log_y)
    _fill(
        result,
        ~small_a & small_b,
        lambda a, b, y, log_x: first_small(b, a, y, log_x) * (b / a),
        *(a, b, y, log_x),
    )
    _fill(result, small_a & small_b, both_small, a, b, x, y)
    return result


def _beta_fraction(a: Array, b: Array, x: Array, y: Array, excess: Array) -> Array:
    """I_x(a, b) by the continued fraction of DiDonato and Morris, for x below about the mean.

    Algorithm 708, ACM Transactions on Mathematical Software 18 (1992), equation 9, divided by a
    throughout so that a may be tiny, and evaluated from its 110th term back to its head, which is
    enough for min(a, b) <= 100. It uses 1 - x and the excess as given, not as differences.
    """
    tail = np.zeros_like(x)
    for n in range(110, 0, -1):
        scale = a + (2 * n - 1)
        weight = (a + n) / (scale + 2.0)
        denominator = n + n * ((b - n) * x) / scale + weight * (excess + 1.0 + n * (1.0 + y))
        # At n = 1 the factor a of a + n - 1 is the one divided out.
        first = (a + (n - 1)) / scale if n > 1 else 1.0 / scale
        tail = first * (n / scale) * ((a + b + (n - 1)) * x) * ((b - n) * x) / (denominator + tail)
    return _beta_density(a, b, x, y, excess) / ((excess + 1.0) / (a + 1.0) + tail)


def _beta_quadrature(a: Array, b: Array, x: Array, y: Array, excess: Array) -> Array:
    """I_x(a, b) for a, b >= 50 and x below about the mean.

    The integral from 0 to x relative to the integrand at x, over v = (x - t) / x; see
    _gamma_quadrature.
    """
    stretch = x / y
    rate = (excess - 1.0 + 2.0 * x) / y
    curvature = (a - 1.0) + (b - 1.0) * stretch * stretch
    length = np.minimum(_cutoff(curvature, rate, stretch), 1.0)
    total = np.zeros_like(x)
    for node, weight in _QUADRATURE:
        v = node * length
        exponent = (a - 1.0) * _log1p_minus(-v) + (b - 1.0) * _log1p_minus(v * stretch)
        total = total + weight * np.exp(exponent - rate * v)
    return _beta_density(a, b, x, y, excess) * (length / y * a) * total


def _beta_from_above(a: Array, b: Array, x: Array) -> Array:
    """I_x(a, b) for b <= 1 and x above about the mean, where 1 - I_y(b, a) would cancel.

    DLMF 8.17.7 for I_y(b, a), y = 1 - x, with its first term as expm1 of
    b log y + log(gamma(a + b) / gamma(a)) - log gamma(1 + b); the middle difference is b times the
    mean of digamma over [a, a + b].
    """
    y = 1.0 - x
    shift = np.where(a < 1.0, 1.0, 0.0)
    mean = np.zeros_like(x)
    for node, weight in _QUADRATURE:
        mean = mean + weight * _digamma_positive(a + shift + node * b)
    log_first = b * (np.log(y) + mean) - _log_gamma_1p(b)
    log_first = log_first - np.where(a < 1.0, np.log1p(b / a), 0.0)
    total = np.zeros_like(x)
    term = np.ones_like(x)
    for n in range(1, 500):
        term = term * ((n - a) * y / n)
        total = total + term / (b + n)
        if not np.any(np.abs(term) > 0.1 * _EPSILON * np.abs(total)):
            break
    return -np.expm1(log_first) - np.exp(log_first) * b * total


def _beta_inside(a: Array, b: Array, x: Array) -> Array:
    """I_x(a, b) for finite a, b > 0 and 0 < x < 1."""
    y = 1.0 - x
    excess = _beta_excess(a, b, x)
    above = excess + 1.0 < 2.0 * x
    tail_a = np.where(above, b, a)
    tail_b = np.where(above, a, b)
    tail_x = np.where(above, y, x)
    tail_y = np.where(above, x, y)
    tail_excess = np.where(above, -excess, excess)
    result = np.empty_like(x)
    careful = above & (b <= 1.0)
    large = np.minimum(a, b) >= _QUADRATURE_FROM
    tail = (tail_a, tail_b, tail_x, tail_y, tail_excess)
    _fill(result, large, _beta_quadrature, *tail)
    _fill(result, ~large & ~careful, _beta_fraction, *tail)
    result = np.where(above, 1.0 - result, result)
    _fill(result, careful, _beta_from_above, a, b, x)
    # A step at the mean, and a + b could overflow.
    result = np.where(np.minimum(a, b) > 1e290, 0.5 - 0.5 * np.sign(excess), result)
    return np.clip(result, 0.0, 1.0)


@_elementwise
def betainc(a: Array, b: Array, x: Array) -> Array:
    """Regularised incomplete beta function I_x(a, b) for a, b >= 0, 0 <= x <= 1.

    Relative error below 3e-14 where I > 1e-30, growing with |log I| beyond. Edges as in SciPy:
    a = 0 or b = inf put all mass at 0, b = 0 or a = inf at 1; NaN where both claim it and outside
    the domain.
    Source: DiDonato and Morris, Algorithm 708 (1992); DLMF 8.17; Gauss-Legendre quadrature of the
    tail for a, b >= 50.
    """
    result = np.full_like(x, np.nan)
    known = (a >= 0.0) & (b >= 0.0) & (x >= 0.0) & (x <= 1.0)
    at_zero = known & ((a == 0.0) | (b == np.inf))
    at_one = known & ((b == 0.0) | (a == np.inf))
    clash = at_zero & at_one
    inside = known & ~at_zero & ~at_one & (x > 0.0) & (x < 1.0)
    _fill(result, inside, _beta_inside, a, b, x)
    result[at_zero] = 1.0
    result[at_one] = 0.0
    result[known & (x == 0.0)] = 0.0
    result[known & (x == 1.0)] = 1.0
    result[clash] = np.nan
    return result


# ---------------------------------------------------------------------------------------------
# The modified Bessel functions
# ---------------------------------------------------------------------------------------------

# fmt: off
# exp(-x) I0(x) and exp(-x) I1(x) / x on [0, 8], in t = x / 4 - 1.
_I0_SMALL = (
    0.33839763720473803, -0.3046826723431984, 0.17162090152220877, -0.09490109704804764,
    0.04930528423967071, -0.02373741480589947, 0.010546460394594998, -0.004324309995050576,
    0.0016394756169413357, -0.0005763755745385824, 0.00018850288509584165, -5.754195010082104e-05,
    1.6448448070728896e-05, -4.4167383584587505e-06, 1.1173875391201037e-06, -2.670793853940612e-07,
    6.046995022541919e-08, -1.300025009986248e-08, 2.6598237246823866e-09, -5.189795601635263e-10,
    9.675809035373237e-11, -1.726826291441556e-11, 2.95505266312964e-12, -4.856446783111929e-13,
    7.676185498604936e-14, -1.1685332877993451e-14, 1.715391285555133e-15, -2.431279846547955e-16,
    3.3307945188222384e-17, -4.4153416464793395e-18,
)
_I1_SMALL = (
    0.12629359322181682, -0.17641651835783406, 0.1026436586898471, -0.05294598120809499,
    0.024726449030626516, -0.010564084894626197, 0.004156422944312888, -0.0015135724506312532,
    0.0005122859561685758, -0.00016176081582589674, 4.781565107550054e-05, -1.3273163656039436e-05,
    3.4702513081376785e-06, -8.568720264695455e-07, 2.0032947535521353e-07, -4.445059128796328e-08,
    9.381537386495773e-09, -1.8872497517228294e-09, 3.625590281552117e-10, -6.663489723502027e-11,
    1.1736186298890901e-11, -1.9839743977649436e-12, 3.223793365945575e-13, -5.042185504727912e-14,
    7.600684294735408e-15, -1.1055969477353862e-15, 1.5536319577362005e-16, -2.111421214358166e-17,
    2.7779141127610464e-18, -3.541581772542136e-19,
)

# sqrt(x) exp(-x) I0(x) and sqrt(x) exp(-x) I1(x) on [8, inf), in t = 16 / x - 1.
_I0_LARGE = (
    0.4022452055070544, 0.0033691164782556943, 6.889758346916825e-05, 2.8913705208347567e-06,
    2.0489185894690638e-07, 2.266668990498178e-08, 3.3962320257083865e-09, 4.94060238822497e-10,
    1.1889147107846439e-11, -3.1499165279632416e-11, -1.3215811840447713e-11,
    -1.7941785315068062e-12, 7.180124451383666e-13, 3.8527783827421426e-13, 1.54008621752141e-14,
    -4.150569347287222e-14, -9.554846698828307e-15, 3.8116806693526224e-15, 1.7725601330565263e-15,
    -3.425485619677219e-16, -2.8276239805165836e-16, 3.461222867697461e-17, 4.46562142029676e-17,
    -4.830504485944182e-18, -7.233180487874754e-18, 9.921475412173699e-19, 1.193650890845982e-18,
)
_I1_LARGE = (
    0.38928811750914005, -0.009761097491361469, -0.00011058893876262371, -3.882564808877691e-06,
    -2.512236237870209e-07, -2.6314688468895196e-08, -3.835380385964237e-09, -5.589743462196584e-10,
    -1.8974958123505413e-11, 3.2526035830154884e-11, 1.4125807436613782e-11, 2.0356285441470896e-12,
    -7.198551776245908e-13, -4.0835511110921974e-13, -2.1015418427726643e-14, 4.272440016711951e-14,
    1.0420276984128802e-14, -3.8144030724370075e-15, -1.8803547755107825e-15,
    3.3082023109209285e-16, 2.96262899764595e-16, -3.209525921993424e-17, -4.6503053684893586e-17,
    4.414348323071708e-18, 7.517296310842105e-18, -9.314178867326884e-19, -1.242193275194891e-18,
)
# fmt: on


@_elementwise
def i0e(x: Array) -> Array:
    """exp(-|x|) I0(x), I0 the modified Bessel function; relative error below 1e-15; 0 at +-inf.

    Source: DLMF 10.25; Chebyshev series of this file.
    """
    result = np.copy(x)
    size = np.abs(x)
    _fill(result, size <= 8.0, lambda v: _chebyshev(_I0_SMALL, v / 4.0 - 1.0), size)
    _fill(result, size > 8.0, lambda v: _chebyshev(_I0_LARGE, 16.0 / v - 1.0) / np.sqrt(v), size)
    return result


@_elementwise
def i1e(x: Array) -> Array:
    """exp(-|x|) I1(x), I1 the modified Bessel function; relative error below 3e-15; odd.

    Source: DLMF 10.25; Chebyshev series of this file.
    """
    result = np.copy(x)
    size = np.abs(x)
    _fill(result, size <= 8.0, lambda v: v * _chebyshev(_I1_SMALL, v / 4.0 - 1.0), size)
    _fill(result, size > 8.0, lambda v: _chebyshev(_I1_LARGE, 16.0 / v - 1.0) / np.sqrt(v), size)
    return np.copysign(result, x)


# ---------------------------------------------------------------------------------------------
# Threefry
# ---------------------------------------------------------------------------------------------

# Random123's constants for Threefry-2x32 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
# as easy as 1, 2, 3", 2011): rotations for even and odd groups of four rounds, and the parity word.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def threefry2x32(
    key0: ArrayLike, key1: ArrayLike, count0: ArrayLike, count1: ArrayLike
) -> tuple[Bits, Bits]:
    """Threefry-2x32 with 20 rounds: two uint32 words for each key and counter, elementwise.

    The four arguments are uint32 and broadcast together; arithmetic wraps around.
    Source: Salmon, Moraes, Dror and Shaw (2011), as in Random123 and JAX.
    """
    words = np.broadcast_arrays(
        *(np.asarray(w, dtype=np.uint32) for w in (key0, key1, count0, count1))
    )
    shape = words[0].shape
    # 1-D from here on: NumPy warns when a scalar wraps around, never when an array does.
    flat = [w.ravel() for w in words]
    first, second = np.empty_like(flat[0]), np.empty_like(flat[0])
    for start in range(0, first.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        first[block], second[block] = _twenty_rounds(*(w[block] for w in flat))
    return first.reshape(shape), second.reshape(shape)


def _twenty_rounds(key_first: Bits, key_second: Bits, x: Bits, y: Bits) -> tuple[Bits, Bits]:
    """The cipher's words for 1-D keys and counters, which stay as they are."""
    schedule = (key_first, key_second, key_first ^ key_second ^ _PARITY)
    x = x + key_first
    y = y + key_second
    low = np.empty_like(y)
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x += y
            np.right_shift(y, 32 - rotation, out=low)
            y <<= rotation
            y |= low
            y ^= x
        x += schedule[(group + 1) % 3]
        y += schedule[(group + 2) % 3]
        y += np.uint32(group + 1)
    return x, y


def _counted_words(key: ArrayLike, count: int) -> tuple[Bits, Bits]:
    """Threefry at the counters 0 ... count - 1, each a 64-bit number as high and low word."""
    key0, key1 = np.asarray(key, dtype=np.uint32)
    index = np.arange(count, dtype=np.uint64)
    high = (index >> np.uint64(32)).astype(np.uint32)
    return threefry2x32(key0, key1, high, index.astype(np.uint32))


def random_bits(key: ArrayLike, bit_width: int, shape: Sequence[int]) -> np.ndarray:
    """Random unsigned integers of 8, 16, 32 or 64 bits in the given shape, from a uint32[2] key.

    Element i in row-major order is Threefry at the 64-bit counter i. Of its two words (h, l), 64
    bits are h above l; 32 bits are h xor l; fewer are the low bits of those.
    Source: jax.random.bits under jax_threefry_partitionable, JAX's default since 0.5.
    """
    high, low = _counted_words(key, math.prod(shape))
    if bit_width == 64:
        bits = (high.astype(np.uint64) << np.uint64(32)) | low
    else:
        bits = (high ^ low).astype(f"uint{bit_width}")
    return bits.reshape(shape)


def split_key(key: ArrayLike, count: int) -> Bits:
    """uint32[count, 2]: new keys, the i-th being both words of Threefry at the counter i.

    Source: jax.random.split under jax_threefry_partitionable.
    """
    return np.stack(_counted_words(key, count), axis=1)


def fold_in(key: ArrayLike, data: int | np.integer) -> Bits:
    """uint32[2]: a new key, both words of Threefry at the counter data, from 0 to 2**32 - 1.

    Source: jax.random.fold_in.
    """
    key0, key1 = np.asarray(key, dtype=np.uint32)
    return np.array(threefry2x32(key0, key1, 0, data), dtype=np.uint32)


def seed_key(seed: int | np.integer) -> Bits:
    """uint32[2]: the key of a seed, the high and low word of the seed modulo 2**64.

    Negative seeds so count in two's complement: -1 gives two words of ones. Source:
    jax.random.PRNGKey with x64 on, for Python integers and 64-bit ones. There Python integers
    outside -2**63 ... 2**63 - 1 are refused; with x64 off only 32 bits of the seed are kept, and
    the high word is 0, also for -1.
    """
    number = int(seed) % 2**64
    return np.array([number >> 32, number & 0xFFFFFFFF], dtype=np.uint32)

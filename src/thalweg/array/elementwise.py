"""Element-wise functions: operands are promoted and broadcast, then computed one by one.

Functions marked as float functions turn integers and booleans into float32 first. Names, argument
order and results are those of the Python Array API standard 2024.12, section "Element-wise
functions"; what stands after the second headline goes beyond it.

A row of a table names a function, what computes it, and its doc. What computes is an op, or a
function of nodes that are already of one type; both know nothing of promotion and broadcasting.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from thalweg.array.operands import (
    dtype_of,
    is_number,
    pointwise,
    result_dtype,
    same_shape,
    to_dtype,
    to_operand,
    to_tensor,
)
from thalweg.base.errors import DTypeError, explain
from thalweg.engine.tensor import Tensor, node_of, wrap
from thalweg.engine.variable import Variable
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.types import (
    COMPLEX,
    FLOATS,
    INEXACT,
    NUMERIC,
    REAL,
    DType,
    as_dtype,
    bool_,
    float32,
    float64,
    int8,
)
from thalweg.ops import elementwise as ops

Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]
Ternary = Callable[[Any, Any, Any], Tensor]


def _named(function: Callable, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _unary(name: str, op: Callable[[Node], Node], doc: str, floats: bool = False) -> Unary:
    def function(x: Any, /) -> Tensor:
        return pointwise(name, op, x, floats=floats)

    return _named(function, name, f"{doc} Any shape; the result has the shape of x.")


def _binary(name: str, op: Callable[[Node, Node], Node], doc: str, floats: bool = False) -> Binary:
    def function(x1: Any, x2: Any, /) -> Tensor:
        return pointwise(name, op, x1, x2, floats=floats)

    return _named(function, name, f"{doc} Shapes broadcast, element types promote.")


def _pow(x1: Any, x2: Any, /) -> Tensor:
    # x ** 2 is a product, as in NumPy: cheaper, and so is its derivative.
    op = (lambda x, _: ops.square(x)) if type(x2) is int and x2 == 2 else ops.power
    return pointwise("pow", op, x1, x2)


def _ternary(name: str, op: Callable[[Node, Node, Node], Node], doc: str) -> Ternary:
    def function(a: Any, b: Any, x: Any, /) -> Tensor:
        return pointwise(name, op, a, b, x, floats=True)

    return _named(function, name, f"{doc} Shapes broadcast, element types promote.")


def _comparison(name: str, op: Callable[[Node, Node], Node], doc: str) -> Binary:
    def function(x1: Any, x2: Any, /) -> Tensor:
        return pointwise(name, op, *_comparable(x1, x2))

    return _named(function, name, f"{doc} Booleans; shapes broadcast, element types promote.")


def _comparable(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Operands that have a common type: a Python integer may lie outside of the other's.

    Such an integer is larger, or smaller, than every element, so 1 or -1 against zeros says it all.
    """
    if type(x1) is int and (side := _side(x1, x2)):
        return side, _zeros(x2)
    if type(x2) is int and (side := _side(x2, x1)):
        return _zeros(x1), side
    return x1, x2


def _side(value: int, other: Any) -> int:
    """1 or -1 for a number above or below an integer operand's type, else 0."""
    if not isinstance(other, (Tensor, Variable, np.ndarray, np.generic)):
        return 0
    dtype = dtype_of(other)
    if not dtype.is_integer or (isinstance(other, Tensor) and other._weak):
        return 0
    info = np.iinfo(dtype.numpy)
    return int(value > info.max) - int(value < info.min)


def _zeros(x: Any) -> Tensor:
    return wrap(full(0, int8, to_tensor(x).shape))


# What computes where no single op does ------------------------------------------------------------
#
# These work on nodes of one type. Their derivatives follow from the ops they use, so each formula
# is chosen to be smooth wherever the function is: a branch taken at a point has the function's
# derivatives of every order there.


def _checked(name: str, dtypes: Sequence[DType], body: Callable) -> Callable:
    """`body`, with element types refused under the function's own name."""

    def compute(*nodes: Node) -> Node:
        ops.check_elements(name, dtypes, *(node.type for node in nodes))
        return body(*nodes)

    return compute


def _formula(name: str, dtypes: Sequence[DType], body: Callable) -> Callable:
    """`body` of several steps: 16-bit floats are computed in float32 and rounded once."""

    def compute(*nodes: Node) -> Node:
        dtype = nodes[0].dtype
        if not (dtype.is_float and dtype.bits == 16):
            return body(*nodes)
        return ops.cast(body(*(ops.cast(node, dtype=float32) for node in nodes)), dtype=dtype)

    return _checked(name, dtypes, compute)


def _for_floats(op: Callable[[Node], Node], name: str) -> Callable:
    """An op on floats that leaves integers as they are and rounds both parts of complex numbers."""

    def body(x: Node) -> Node:
        if x.dtype.is_complex:
            return ops.complex_of(op(ops.real(x)), op(ops.imag(x)))
        return op(x) if x.dtype.is_float else x

    return _checked(name, REAL if name != "round" else NUMERIC, body)


def _test(op: Callable[[Node], Node], of_integers: bool) -> Callable[[Node], Node]:
    """An op on floats whose answer for integers and booleans is known."""
    return lambda x: op(x) if x.dtype.is_inexact else full(of_integers, bool_, x.shape)


def _real(x: Node) -> Node:
    return ops.real(x) if x.dtype.is_complex else _checked("real", REAL, lambda x: x)(x)


def _imag(x: Node) -> Node:
    return ops.imag(x) if x.dtype.is_complex else _checked("imag", REAL, _zero)(x)


def _zero(x: Node) -> Node:
    return full_like(x, 0)


def _signbit(x: Node) -> Node:
    if not x.dtype.is_float:
        return ops.less(x, full_like(x, 0))
    bits = ops.bitcast(x, dtype=as_dtype(f"int{x.dtype.bits}"))
    return ops.less(bits, full_like(bits, 0))


def _log_of_sum(rise: Callable[[Node], Node], grow: Callable[[Node], Node]) -> Callable:
    """log(exp(x) + exp(y)) as larger + log(1 + exp(smaller - larger)), in some base."""

    def body(x: Node, y: Node) -> Node:
        ordered = ops.greater_equal(x, y)
        larger, smaller = ops.select(ordered, x, y), ops.select(ordered, y, x)
        # Infinities of one sign have no difference; it counts as 0.
        endless = ops.logical_and(ops.isinf(x), ops.equal(x, y))
        gap = ops.select(endless, full_like(x, 0), ops.subtract(smaller, larger))
        return ops.add(larger, grow(rise(gap)))

    return body


def _log1p_base_2(x: Node) -> Node:
    return ops.multiply(ops.log1p(x), full_like(x, 1 / math.log(2.0)))


def _scaled(factor: float) -> Callable[[Node], Node]:
    return lambda x: ops.multiply(x, full_like(x, factor))


def _sinc(x: Node) -> Node:
    """sin(pi x) / (pi x); the Taylor series where |pi x| < 1/2, so derivatives at 0 are right."""
    angle = _scaled(math.pi)(x)
    is_small = ops.less(ops.abs(angle), full_like(x, 0.5))
    safe = ops.select(is_small, full_like(x, 1), angle)
    square = ops.multiply(angle, angle)
    square = ops.select(is_small, square, full_like(x, 0))
    series = full_like(x, (-1) ** 8 / math.factorial(17))
    for k in range(7, -1, -1):
        series = ops.add(
            ops.multiply(series, square), full_like(x, (-1) ** k / math.factorial(2 * k + 1))
        )
    return ops.select(is_small, series, ops.divide(ops.sin(safe), safe))


def _logit(x: Node) -> Node:
    """log(x / (1 - x)); as 2 atanh(2x - 1) in the middle, where the quotient comes close to 1."""
    one = full_like(x, 1)
    centred = ops.subtract(ops.multiply(x, full_like(x, 2)), one)
    is_central = ops.less(ops.abs(centred), full_like(x, 0.5))
    middle = ops.multiply(
        ops.atanh(ops.select(is_central, centred, full_like(x, 0))), full_like(x, 2)
    )
    safe = ops.select(is_central, full_like(x, 0.25), x)
    return ops.select(
        is_central, middle, ops.subtract(ops.log(safe), ops.log1p(ops.negative(safe)))
    )


def _bessel(scaled: Callable[[Node], Node], limit: Callable[[Node], Node]) -> Callable:
    """A Bessel function from its exponentially scaled form, in steps that overflow no earlier."""

    def body(x: Node) -> Node:
        half = ops.exp(ops.multiply(ops.abs(x), full_like(x, 0.5)))
        value = ops.multiply(ops.multiply(scaled(x), half), half)
        return ops.select(ops.isinf(x), limit(x), value)

    return body


def _divide_no_nan(x: Node, y: Node) -> Node:
    zero = full_like(y, 0)
    is_zero = ops.equal(y, zero)
    return ops.select(is_zero, zero, ops.divide(x, ops.select(is_zero, full_like(y, 1), y)))


def _no_nan_extremum(op: Callable[[Node, Node], Node]) -> Callable:
    """The larger or smaller operand, a NaN counting as absent."""

    def body(x: Node, y: Node) -> Node:
        if not x.dtype.is_float:
            return op(x, y)
        return ops.select(ops.isnan(x), y, ops.select(ops.isnan(y), x, op(x, y)))

    return body


def _fmod(x: Node, y: Node) -> Node:
    if x.dtype.is_float:
        return ops.copysign(ops.remainder(ops.abs(x), ops.abs(y)), x)
    # The remainder has the divisor's sign; one divisor less gives it the dividend's.
    zero = full_like(x, 0)
    rest = ops.remainder(x, y)
    is_other = ops.logical_and(
        ops.not_equal(rest, zero), ops.not_equal(ops.less(rest, zero), ops.less(x, zero))
    )
    return ops.select(is_other, ops.subtract(rest, y), rest)


def _heaviside(x: Node, y: Node) -> Node:
    zero = full_like(x, 0)
    step = ops.select(ops.less(x, zero), zero, full_like(x, 1))
    step = ops.select(ops.equal(x, zero), y, step)
    return ops.select(ops.isnan(x), x, step)


def _angle(x: Node) -> Node:
    if x.dtype.is_complex:
        return ops.atan2(ops.imag(x), ops.real(x))
    return ops.atan2(full_like(x, 0), x)


def _isreal(x: Node) -> Node:
    if not x.dtype.is_complex:
        return full(True, bool_, x.shape)
    part = ops.imag(x)
    return ops.equal(part, full_like(part, 0))


# The standard -------------------------------------------------------------------------------------

# fmt: off
abs = _unary("abs", ops.abs, "The magnitude; real for complex numbers.")
acos = _unary("acos", ops.acos, "The angle whose cosine is x, in radians.", floats=True)
acosh = _unary("acosh", ops.acosh, "The inverse hyperbolic cosine.", floats=True)
add = _binary("add", ops.add, "x1 + x2.")
asin = _unary("asin", ops.asin, "The angle whose sine is x, in radians.", floats=True)
asinh = _unary("asinh", ops.asinh, "The inverse hyperbolic sine.", floats=True)
atan = _unary("atan", ops.atan, "The angle whose tangent is x, in radians.", floats=True)
atan2 = _binary("atan2", ops.atan2, "The angle of the point (x2, x1), in radians.", floats=True)
atanh = _unary("atanh", ops.atanh, "The inverse hyperbolic tangent.", floats=True)
bitwise_and = _binary("bitwise_and", ops.bitwise_and, "The bits set in both.")
bitwise_invert = _unary("bitwise_invert", ops.bitwise_not, "Every bit turned.")
bitwise_left_shift = _binary("bitwise_left_shift", ops.left_shift, "The bits moved up.")
bitwise_or = _binary("bitwise_or", ops.bitwise_or, "The bits set in either.")
bitwise_right_shift = _binary("bitwise_right_shift", ops.right_shift, "The bits moved down.")
bitwise_xor = _binary("bitwise_xor", ops.bitwise_xor, "The bits set in one only.")
ceil = _unary("ceil", _for_floats(ops.ceil, "ceil"), "The smallest integer not below x.")
conj = _unary("conj", _checked("conj", NUMERIC, ops.conjugate), "The complex conjugate.")
copysign = _binary("copysign", ops.copysign, "|x1| with the sign of x2.", floats=True)
cos = _unary("cos", ops.cos, "The cosine, x in radians.", floats=True)
cosh = _unary("cosh", ops.cosh, "The hyperbolic cosine.", floats=True)
divide = _binary("divide", ops.divide, "x1 / x2.", floats=True)
equal = _comparison("equal", ops.equal, "x1 == x2.")
exp = _unary("exp", ops.exp, "e to the power x.", floats=True)
expm1 = _unary("expm1", ops.expm1, "exp(x) - 1, exact near 0.", floats=True)
floor = _unary("floor", _for_floats(ops.floor, "floor"), "The largest integer not above x.")
floor_divide = _binary("floor_divide", ops.floor_divide, "The largest integer not above x1 / x2.")
greater = _comparison("greater", ops.greater, "x1 > x2.")
greater_equal = _comparison("greater_equal", ops.greater_equal, "x1 >= x2.")
hypot = _binary("hypot", ops.hypot, "sqrt(x1**2 + x2**2) without overflow.", floats=True)
imag = _unary("imag", _imag, "The imaginary part; zeros for real numbers.")
isfinite = _unary("isfinite", _test(ops.isfinite, True), "Neither NaN nor infinite.")
isinf = _unary("isinf", _test(ops.isinf, False), "Infinite, in either part.")
isnan = _unary("isnan", _test(ops.isnan, False), "NaN, in either part.")
less = _comparison("less", ops.less, "x1 < x2.")
less_equal = _comparison("less_equal", ops.less_equal, "x1 <= x2.")
log = _unary("log", ops.log, "The natural logarithm.", floats=True)
log10 = _unary("log10", ops.log10, "The logarithm to base 10.", floats=True)
log1p = _unary("log1p", ops.log1p, "log(1 + x), exact near 0.", floats=True)
log2 = _unary("log2", ops.log2, "The logarithm to base 2.", floats=True)
logaddexp = _binary(
    "logaddexp", _formula("logaddexp", FLOATS, _log_of_sum(ops.exp, ops.log1p)),
    "log(exp(x1) + exp(x2)) without overflow.", floats=True,
)
logical_and = _binary("logical_and", ops.logical_and, "x1 and x2.")
logical_not = _unary("logical_not", ops.logical_not, "Not x.")
logical_or = _binary("logical_or", ops.logical_or, "x1 or x2.")
logical_xor = _binary("logical_xor", ops.logical_xor, "Exactly one of x1 and x2.")
maximum = _binary("maximum", ops.maximum, "The larger of x1 and x2; NaN if either is.")
minimum = _binary("minimum", ops.minimum, "The smaller of x1 and x2; NaN if either is.")
multiply = _binary("multiply", ops.multiply, "x1 * x2.")
negative = _unary("negative", ops.negative, "-x.")
nextafter = _binary("nextafter", ops.nextafter, "The next float after x1 toward x2.", floats=True)
not_equal = _comparison("not_equal", ops.not_equal, "x1 != x2.")
positive = _unary("positive", _checked("positive", NUMERIC, lambda x: x), "+x.")
pow = _named(
    _pow, "pow",
    "x1 to the power x2; 1/x1 rounded toward zero for negative integers x2. "
    "Shapes broadcast, element types promote.",
)
real = _unary("real", _real, "The real part; real numbers themselves.")
reciprocal = _unary(
    "reciprocal", _checked("reciprocal", INEXACT, ops.reciprocal),
    "1 / x.", floats=True,
)
remainder = _binary("remainder", ops.remainder, "x1 - x2 * floor(x1 / x2), with the sign of x2.")
round = _unary("round", _for_floats(ops.round, "round"), "The nearest integer, ties to even.")
sign = _unary("sign", ops.sign, "-1, 0 or 1; x / |x| for complex numbers; NaN for NaN.")
signbit = _unary("signbit", _checked("signbit", REAL, _signbit), "Negative, -0.0 and NaN included.")
sin = _unary("sin", ops.sin, "The sine, x in radians.", floats=True)
sinh = _unary("sinh", ops.sinh, "The hyperbolic sine.", floats=True)
sqrt = _unary("sqrt", ops.sqrt, "The square root.", floats=True)
square = _unary("square", _checked("square", NUMERIC, ops.square), "x * x.")
subtract = _binary("subtract", ops.subtract, "x1 - x2.")
tan = _unary("tan", ops.tan, "The tangent, x in radians.", floats=True)
tanh = _unary("tanh", ops.tanh, "The hyperbolic tangent.", floats=True)
trunc = _unary("trunc", _for_floats(ops.trunc, "trunc"), "x rounded toward zero.")
# fmt: on


def clip(x: Any, /, min: Any = None, max: Any = None) -> Tensor:
    """x held between min and max, either of which may be missing.

    Shapes broadcast. The result has the element type of x: bounds that would widen it are refused.
    Where min is larger than max the result is max; a NaN anywhere is NaN.
    """
    tensor = to_tensor(x, "clip")
    node = node_of(tensor)
    ops.check_elements("clip", REAL, node.type)
    bounds = [None if bound is None else _bound(bound, tensor.dtype) for bound in (min, max)]
    given = [bound for bound in bounds if bound is not None]
    node, *rest = same_shape("clip", [node, *given])
    for op, bound in zip((ops.maximum, ops.minimum), bounds, strict=True):
        if bound is not None:
            node = op(node, rest.pop(0))
    return wrap(node)


def _bound(bound: Any, dtype: DType) -> Node:
    bound = to_operand(bound, "clip")
    if result_dtype("clip", [dtype, bound]) is not dtype:
        received = f"{bound!r}" if is_number(bound) else f"a bound of {bound.dtype}"
        raise DTypeError(
            explain(
                "clip",
                f"bounds that fit {dtype}, the elements of x",
                received,
                "Cast x or the bound first, for instance x.astype('float32').",
            )
        )
    return to_dtype("clip", bound, dtype)


# Beyond the standard ------------------------------------------------------------------------------

# fmt: off
angle = _unary(
    "angle", _formula("angle", (*FLOATS, *COMPLEX), _angle),
    "The angle of x in the complex plane, in radians.", floats=True,
)
betainc = _ternary(
    "betainc", ops.betainc,
    "The regularised incomplete beta function I_x(a, b), for a, b and x.",
)
cbrt = _unary("cbrt", ops.cbrt, "The real cube root.", floats=True)
deg2rad = _unary(
    "deg2rad", _formula("deg2rad", FLOATS, _scaled(math.pi / 180)),
    "Degrees as radians.", floats=True,
)
digamma = _unary("digamma", ops.digamma, "The derivative of lgamma.", floats=True)
divide_no_nan = _binary(
    "divide_no_nan", _formula("divide_no_nan", INEXACT, _divide_no_nan),
    "x1 / x2, and 0 where x2 is 0.", floats=True,
)
erf = _unary("erf", ops.erf, "The error function.", floats=True)
erfc = _unary("erfc", ops.erfc, "1 - erf(x), exact in the tail.", floats=True)
erfinv = _unary("erfinv", ops.erfinv, "The inverse of erf, on [-1, 1].", floats=True)
exp2 = _unary("exp2", ops.exp2, "2 to the power x.", floats=True)
fmax = _binary(
    "fmax", _checked("fmax", REAL, _no_nan_extremum(ops.maximum)),
    "The larger of x1 and x2; NaN counts as absent.",
)
fmin = _binary(
    "fmin", _checked("fmin", REAL, _no_nan_extremum(ops.minimum)),
    "The smaller of x1 and x2; NaN counts as absent.",
)
fmod = _binary(
    "fmod", _checked("fmod", REAL, _fmod),
    "x1 - x2 * trunc(x1 / x2), with the sign of x1.",
)
gammainc = _binary(
    "gammainc", ops.gammainc,
    "The regularised lower incomplete gamma function P(x1, x2).", floats=True,
)
gammaincc = _binary(
    "gammaincc", ops.gammaincc,
    "The regularised upper incomplete gamma function Q(x1, x2).", floats=True,
)
heaviside = _binary(
    "heaviside", _checked("heaviside", FLOATS, _heaviside),
    "0 below 0, 1 above 0, x2 at 0.", floats=True,
)
i0 = _unary(
    "i0", _formula("i0", FLOATS, _bessel(ops.i0e, ops.abs)),
    "The modified Bessel function of order 0.", floats=True,
)
i0e = _unary("i0e", ops.i0e, "exp(-|x|) * i0(x).", floats=True)
i1 = _unary(
    "i1", _formula("i1", FLOATS, _bessel(ops.i1e, lambda x: x)),
    "The modified Bessel function of order 1.", floats=True,
)
i1e = _unary("i1e", ops.i1e, "exp(-|x|) * i1(x).", floats=True)
isreal = _unary("isreal", _isreal, "Without an imaginary part.")
leading_zeros = _unary(
    "leading_zeros", ops.leading_zeros,
    "The zero bits above the highest set bit.",
)
lgamma = _unary("lgamma", ops.lgamma, "The logarithm of |gamma(x)|.", floats=True)
logaddexp2 = _binary(
    "logaddexp2", _formula("logaddexp2", FLOATS, _log_of_sum(ops.exp2, _log1p_base_2)),
    "log2(2**x1 + 2**x2) without overflow.", floats=True,
)
logit = _unary(
    "logit", _formula("logit", FLOATS, _logit),
    "log(x / (1 - x)), the inverse of sigmoid.", floats=True,
)
multiply_no_nan = _binary(
    "multiply_no_nan", ops.multiply_no_nan,
    "x1 * x2, and 0 where x2 is 0 whatever x1 is.", floats=True,
)
polygamma = _binary(
    "polygamma", ops.polygamma,
    "The x1-th derivative of digamma at x2.", floats=True,
)
population_count = _unary("population_count", ops.population_count, "The number of bits set.")
rad2deg = _unary(
    "rad2deg", _formula("rad2deg", FLOATS, _scaled(180 / math.pi)),
    "Radians as degrees.", floats=True,
)
rsqrt = _unary("rsqrt", ops.rsqrt, "1 / sqrt(x).", floats=True)
sigmoid = _unary("sigmoid", ops.sigmoid, "1 / (1 + exp(-x)).", floats=True)
sinc = _unary(
    "sinc", _formula("sinc", FLOATS, _sinc),
    "sin(pi x) / (pi x), and 1 at 0.", floats=True,
)
xlog1py = _binary(
    "xlog1py", _formula("xlog1py", FLOATS, lambda x, y: ops.multiply_no_nan(ops.log1p(y), x)),
    "x1 * log(1 + x2), and 0 where x1 is 0.", floats=True,
)
xlogy = _binary(
    "xlogy", _formula("xlogy", FLOATS, lambda x, y: ops.multiply_no_nan(ops.log(y), x)),
    "x1 * log(x2), and 0 where x1 is 0.", floats=True,
)
zeta = _binary(
    "zeta", ops.zeta,
    "The Hurwitz zeta function, the sum of (k + x2)**-x1 for k = 0, 1, ...", floats=True,
)
# fmt: on


def nan_to_num(
    x: Any, /, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with numbers in place of NaN and infinities: by default 0 and the type's extremes."""

    def replace(x: Node) -> Node:
        if x.dtype.is_complex:
            return ops.complex_of(replace(ops.real(x)), replace(ops.imag(x)))
        if not x.dtype.is_float:
            return x
        info = ml_dtypes.finfo(x.dtype.numpy)
        above = float(info.max) if posinf is None else posinf
        below = float(info.min) if neginf is None else neginf
        is_positive = ops.greater(x, full_like(x, 0))
        bound = ops.select(is_positive, full_like(x, above), full_like(x, below))
        return ops.select(ops.isnan(x), full_like(x, nan), ops.select(ops.isinf(x), bound, x))

    return pointwise("nan_to_num", replace, x)


def isclose(
    x1: Any, x2: Any, /, *, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """True where |x1 - x2| <= atol + rtol * |x2|, as booleans; infinities are close to themselves.

    Shapes broadcast. Integers are compared in float64, 16-bit floats in float32.
    """

    def compare(x: Node, y: Node) -> Node:
        if not x.dtype.is_inexact or x.dtype.bits == 16:
            wide = float32 if x.dtype.is_float else float64
            return compare(ops.cast(x, dtype=wide), ops.cast(y, dtype=wide))
        gap, size = ops.abs(ops.subtract(x, y)), ops.abs(y)
        limit = ops.add(full_like(size, atol), ops.multiply(full_like(size, rtol), size))
        near = ops.logical_and(ops.less_equal(gap, limit), ops.isfinite(y))
        near = ops.logical_or(near, ops.equal(x, y))
        if equal_nan:
            near = ops.logical_or(near, ops.logical_and(ops.isnan(x), ops.isnan(y)))
        return near

    return pointwise("isclose", compare, x1, x2)

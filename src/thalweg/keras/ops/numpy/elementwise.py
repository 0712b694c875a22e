"""Element-wise functions: arithmetic, roots and powers, logarithms, angles, rounding.

A row of a table names a function, what computes it on the array floor, and its doc. What computes
knows nothing of Keras' element types; the kind of a row says how operands get theirs:

    _floating, _floating_pair    float types stay, integers and booleans become the default one
    _keeping, _meeting           the type stays, or is the one in which the operands meet

The last two say what booleans are, for the array floor does not count with them: they become
int32, or another function computes on them, or (where nothing is said) they are refused.
"""

from collections.abc import Callable
from typing import Any

from thalweg.array import elementwise as array
from thalweg.array.creation import zeros_like
from thalweg.array.data_types import astype, iinfo
from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.types import bool_
from thalweg.keras.operation import op
from thalweg.keras.ops.numpy.rows import public
from thalweg.keras.ops.operands import (
    are_booleans,
    broadcast,
    common_dtype,
    floats,
    promoted,
    shape_of,
)
from thalweg.keras.symbol import KerasTensor
from thalweg.keras.variable import tensor

# Rows ---------------------------------------------------------------------------------------------


def _floating(name: str, compute: Callable, doc: str) -> Any:
    def function(x: Any) -> Tensor:
        return compute(floats(x))

    return public(function, name, f"{doc} The result has the shape of x and a float type.")


def _floating_pair(name: str, compute: Callable, doc: str) -> Any:
    def function(x1: Any, x2: Any) -> Tensor:
        return compute(*promoted(x1, x2, floats=True))

    return public(function, name, f"{doc} Shapes broadcast; the result has a float type.")


def _keeping(name: str, compute: Callable, doc: str, of_booleans: Callable | None = None) -> Any:
    def function(x: Any) -> Tensor:
        x = tensor(x)
        if of_booleans is not None and x.dtype is bool_:
            return of_booleans(x)
        return compute(x)

    return public(function, name, f"{doc} The result has the shape of x.")


def _meeting(name: str, compute: Callable, doc: str, of_booleans: Callable | None = None) -> Any:
    def function(x1: Any, x2: Any) -> Tensor:
        x1, x2 = promoted(x1, x2)
        if of_booleans is not None and are_booleans(x1, x2):
            return of_booleans(x1, x2)
        return compute(x1, x2)

    return public(function, name, f"{doc} Shapes broadcast, element types promote.")


def _in_integers(compute: Callable) -> Callable:
    """The function of booleans as numbers 0 and 1."""
    return lambda *operands: compute(*(tensor(x, "int32") for x in operands))


def _itself(x: Tensor) -> Tensor:
    return x


def _alias(function: Callable, name: str) -> Any:
    """The same function under another name, with a class of its own in files."""
    plain = function.definition.function  # type: ignore[attr-defined]

    def unary(x: Any) -> Tensor:
        return plain(x)

    def binary(x1: Any, x2: Any) -> Tensor:
        return plain(x1, x2)

    is_binary = len(function.definition.data) == 2  # type: ignore[attr-defined]
    doc = f"Another name of `{plain.__name__}`: {plain.__doc__}"
    return public(binary if is_binary else unary, name, doc)


# Of one operand -----------------------------------------------------------------------------------


def _fabs(x: Tensor) -> Tensor:
    if x.dtype.is_complex:
        raise ArgumentTypeError(
            explain("fabs", "real numbers", f"{x.dtype}", "Write keras.ops.absolute(x).")
        )
    return array.abs(x)


def _trunc(x: Tensor) -> Tensor:
    return array.trunc(x) if x.dtype.is_inexact else x


def _conjugate(x: Tensor) -> Tensor:
    return array.conj(x) if x.dtype.is_complex else x


# fmt: off
absolute = _keeping("absolute", array.abs, "The magnitude; real for complex numbers.", _itself)
abs = _alias(absolute, "abs")
fabs = _floating("fabs", _fabs, "The magnitude of real numbers.")
negative = _keeping("negative", array.negative, "-x.")
sign = _keeping("sign", array.sign, "-1, 0 or 1; x / |x| for complex numbers.")
square = _keeping("square", array.square, "x * x.", _in_integers(array.square))
sqrt = _floating("sqrt", array.sqrt, "The square root.")
cbrt = _floating("cbrt", array.cbrt, "The real cube root.")
reciprocal = _floating("reciprocal", array.reciprocal, "1 / x.")
conjugate = _keeping("conjugate", _conjugate, "The complex conjugate.")
conj = _alias(conjugate, "conj")
real = _keeping("real", array.real, "The real part; real numbers themselves.", _itself)
imag = _keeping("imag", array.imag, "The imaginary part; zeros for real numbers.", zeros_like)
angle = _floating("angle", array.angle, "The angle in the complex plane, in radians.")

exp = _floating("exp", array.exp, "e to the power x.")
exp2 = _floating("exp2", array.exp2, "2 to the power x.")
expm1 = _floating("expm1", array.expm1, "exp(x) - 1, exact near 0.")
log = _floating("log", array.log, "The natural logarithm.")
log10 = _floating("log10", array.log10, "The logarithm to base 10.")
log1p = _floating("log1p", array.log1p, "log(1 + x), exact near 0.")
log2 = _floating("log2", array.log2, "The logarithm to base 2.")

sin = _floating("sin", array.sin, "The sine, x in radians.")
cos = _floating("cos", array.cos, "The cosine, x in radians.")
tan = _floating("tan", array.tan, "The tangent, x in radians.")
arcsin = _floating("arcsin", array.asin, "The angle whose sine is x, in radians.")
arccos = _floating("arccos", array.acos, "The angle whose cosine is x, in radians.")
arctan = _floating("arctan", array.atan, "The angle whose tangent is x, in radians.")
sinh = _floating("sinh", array.sinh, "The hyperbolic sine.")
cosh = _floating("cosh", array.cosh, "The hyperbolic cosine.")
tanh = _floating("tanh", array.tanh, "The hyperbolic tangent.")
arcsinh = _floating("arcsinh", array.asinh, "The inverse hyperbolic sine.")
arccosh = _floating("arccosh", array.acosh, "The inverse hyperbolic cosine.")
arctanh = _floating("arctanh", array.atanh, "The inverse hyperbolic tangent.")
deg2rad = _floating("deg2rad", array.deg2rad, "Degrees as radians.")
rad2deg = _floating("rad2deg", array.rad2deg, "Radians as degrees.")
sinc = _floating("sinc", array.sinc, "sin(pi x) / (pi x), and 1 at 0.")
i0 = _floating("i0", array.i0, "The modified Bessel function of the first kind, of order 0.")

ceil = _floating("ceil", array.ceil, "The smallest integer not below x.")
floor = _floating("floor", array.floor, "The largest integer not above x.")
trunc = _keeping("trunc", _trunc, "x rounded toward zero.")

# Of two operands ----------------------------------------------------------------------------------

add = _meeting("add", array.add, "x1 + x2; `or` of booleans.", array.logical_or)
subtract = _meeting("subtract", array.subtract, "x1 - x2.")
multiply = _meeting("multiply", array.multiply, "x1 * x2; `and` of booleans.", array.logical_and)
divide = _floating_pair("divide", array.divide, "x1 / x2.")
true_divide = _alias(divide, "true_divide")
divide_no_nan = _floating_pair(
    "divide_no_nan", array.divide_no_nan, "x1 / x2, and 0 where x2 is 0.",
)
floor_divide = _meeting(
    "floor_divide", array.floor_divide, "The largest integer not above x1 / x2.",
    _in_integers(array.floor_divide),
)
mod = _meeting(
    "mod", array.remainder, "The remainder of x1 / x2, with the sign of x2.",
    _in_integers(array.remainder),
)
fmod = _meeting(
    "fmod", array.fmod, "The remainder of x1 / x2, with the sign of x1.",
    _in_integers(array.fmod),
)
power = _meeting("power", array.pow, "x1 to the power x2.", _in_integers(array.pow))
maximum = _meeting(
    "maximum", array.maximum, "The larger of x1 and x2; NaN if either is.", array.logical_or,
)
minimum = _meeting(
    "minimum", array.minimum, "The smaller of x1 and x2; NaN if either is.", array.logical_and,
)
fmax = _meeting("fmax", array.fmax, "The larger of x1 and x2; NaN is left out.", array.logical_or)
fmin = _meeting("fmin", array.fmin, "The smaller of x1 and x2; NaN is left out.", array.logical_and)
arctan2 = _floating_pair(
    "arctan2", array.atan2, "The angle of the point (x2, x1), in radians.",
)
hypot = _floating_pair("hypot", array.hypot, "sqrt(x1**2 + x2**2) without overflow.")
heaviside = _floating_pair("heaviside", array.heaviside, "0 below 0, 1 above 0, x2 at 0.")
logaddexp = _floating_pair(
    "logaddexp", array.logaddexp, "log(exp(x1) + exp(x2)) without overflow.",
)
logaddexp2 = _floating_pair(
    "logaddexp2", array.logaddexp2, "log2(2**x1 + 2**x2) without overflow.",
)
nextafter = _floating_pair("nextafter", array.nextafter, "The next float after x1 toward x2.")
# fmt: on


def _ldexp_spec(x1: Any, x2: Any) -> KerasTensor:
    # Exponents of another type pass here, as in Keras: symbols are float32 where nothing is said.
    return KerasTensor(broadcast("ldexp", shape_of(x1), shape_of(x2)), common_dtype(x1, x2, float))


@op(spec=_ldexp_spec)
def ldexp(x1: Any, x2: Any) -> Tensor:
    """x1 * 2**x2, x2 of an integer type. Shapes broadcast; the result has a float type.

    Raises ArgumentTypeError for exponents of another type.
    """
    exponent = tensor(x2)
    if not exponent.dtype.is_integer:
        do = "Write keras.ops.cast(x2, 'int32')."
        wanted = "exponents of an integer type; ldexp exponent must be an integer type"
        raise ArgumentTypeError(explain("ldexp", wanted, f"x2 dtype={exponent.dtype}", do))
    mantissa, _ = promoted(x1, exponent, floats=True)
    # In two steps, because 2**x2 itself may be no float where the product is one.
    half = array.bitwise_right_shift(exponent, 1)
    for part in (half, array.subtract(exponent, half)):
        mantissa = array.multiply(mantissa, array.pow(2.0, astype(part, mantissa.dtype)))
    return mantissa


# With settings ------------------------------------------------------------------------------------


@op
def round(x: Any, decimals: int = 0) -> Tensor:
    """The nearest number with so many decimals, ties to even; with negative ones, of so many zeros
    before the point. The result has the shape and type of x."""
    x = tensor(x)
    if decimals == 0 or (decimals > 0 and not x.dtype.is_inexact):
        return array.round(x)
    if not x.dtype.is_inexact:
        return astype(_round_to(10.0**-decimals, astype(x, "float64")), x.dtype)
    if decimals < 0:
        return _round_to(10.0**-decimals, x)
    scale = 10.0**decimals
    return array.divide(array.round(array.multiply(x, scale)), scale)


def _round_to(step: float, x: Tensor) -> Tensor:
    return array.multiply(array.round(array.divide(x, step)), step)


@op
def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """x held between x_min and x_max, either of which may be None; x_max wins where they cross.

    Shapes broadcast, element types promote, booleans are int32.
    """
    x = tensor(x)
    if x.dtype is bool_:
        x = astype(x, "int32")
    bounds = [bound for bound in (x_min, x_max) if bound is not None]
    x, *found = promoted(x, *bounds)
    if x.dtype.is_integer:
        found = [_within(bound, x) for bound in found]
    low = None if x_min is None else found.pop(0)
    return array.clip(x, low, None if x_max is None else found.pop(0))


def _within(bound: Any, x: Tensor) -> Any:
    """A Python integer as the nearest one in the type of x."""
    if not isinstance(bound, int):
        return bound
    limits = iinfo(x.dtype)
    return min(max(int(bound), limits.min), limits.max)


@op
def nan_to_num(x: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """x with numbers in place of NaN and infinities: by default 0 and the type's extremes."""
    return array.nan_to_num(tensor(x), nan=nan, posinf=posinf, neginf=neginf)

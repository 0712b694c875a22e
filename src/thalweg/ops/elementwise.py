"""Pointwise ops: operands of one type, a result of the same shape, each element on its own.

Derivatives are written as `(dy, y, *args) -> cotangents`. For complex numbers the cotangent of a
real loss is dL/dRe + i dL/dIm, as in TensorFlow and PyTorch, so a holomorphic function contributes
`dy * conj(f'(x))`. Where f' is infinite at the edge of the domain, `multiply_no_nan` keeps an
unselected branch (dy = 0) from turning into NaN.

16-bit floats are computed in float32 and rounded once; that is the definition, not an accident.
Integer arithmetic wraps around; integer division and remainder by zero give 0 and 0; shifts by the
width of the type or more give 0 (or -1 for a negative number shifted right).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Element
from thalweg.ir.dim import Dim
from thalweg.ir.leaves import full_like
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import (
    COMPLEX,
    DTYPES,
    FLOATS,
    INEXACT,
    INTEGERS,
    NUMERIC,
    REAL,
    UNSIGNED,
    DType,
    TensorType,
    as_dtype,
    bool_,
    float32,
    float64,
)
from thalweg.ops import definitions
from thalweg.ops.broadcast import broadcast
from thalweg.ops.samples import a_type, pointwise, special, values

Derivative = Callable[..., Sequence[Node | Absent | None]]

# The family ---------------------------------------------------------------------------------------


def batch_pointwise(op_of: Callable[[], Op]) -> Callable:
    """The batching rule of every pointwise op: operands that are not mapped are repeated."""

    def rule(size: int | Dim, mapped: Sequence[bool], *args: Node, **attrs: Any) -> Node:
        return op_of()(*front(size, mapped, args), **attrs)

    return rule


def front(size: int | Dim, mapped: Sequence[bool], args: Sequence[Node]) -> list[Node]:
    """The operands with a batch axis in front, repeated along it where they have none."""
    return [
        arg
        if is_mapped
        else broadcast(arg, shape=(size, *arg.shape), axes=tuple(range(1, arg.type.rank + 1)))
        for is_mapped, arg in zip(mapped, args, strict=True)
    ]


def _describe(dtypes: Sequence[DType]) -> str:
    words = {
        DTYPES: "any elements",
        NUMERIC: "numbers",
        REAL: "real numbers",
        INEXACT: "float or complex elements",
        FLOATS: "float elements",
        COMPLEX: "complex elements",
        INTEGERS: "integers",
        UNSIGNED: "unsigned integers",
        (bool_,): "booleans",
        (bool_, *INTEGERS): "booleans or integers",
        (bool_, *REAL): "booleans or real numbers",
    }
    return words.get(tuple(dtypes)) or " or ".join(dtype.name for dtype in dtypes)


def _advice(dtypes: Sequence[DType], received: DType) -> str:
    if float32 in dtypes and not received.is_inexact:
        return "Cast first: x.astype('float32')."
    if bool_ in dtypes and bool_ is not received and len(dtypes) == 1:
        return "Compare first: x != 0."
    if received.is_complex:
        return "Take real(x), imag(x) or abs(x) first."
    return ""


def check_elements(name: str, dtypes: Sequence[DType], *types: TensorType) -> None:
    """Refuse element types that an op does not have, and operands of unequal type."""
    for type in types:
        if type.dtype not in dtypes:
            raise DTypeError(
                explain(name, _describe(dtypes), str(type), _advice(dtypes, type.dtype))
            )
    if any(type is not types[0] for type in types):
        received = " and ".join(map(str, types))
        if any(type.dtype is not types[0].dtype for type in types):
            raise DTypeError(explain(name, "operands of equal element type", received))
        raise ShapeError(explain(name, "operands of equal shape", received))


def _narrow(function: Callable) -> Callable:
    """Compute 16-bit floats in float32 and round once."""

    def evaluate(*args: np.ndarray, **attrs: Any) -> Any:
        dtype = args[0].dtype
        if dtype.itemsize == 2 and dtype.kind not in "iu":
            result = function(*(arg.astype(np.float32) for arg in args), **attrs)
            return result if result.dtype == np.bool_ else result.astype(dtype)
        return function(*args, **attrs)

    return evaluate


def in_double(function: Callable) -> Callable:
    """Compute real floats of any width in float64 and round once."""

    def evaluate(*args: np.ndarray) -> np.ndarray:
        wide = function(*(np.asarray(arg, np.float64) for arg in args))
        return np.asarray(wide).astype(args[0].dtype)

    return evaluate


def pointwise_op(
    name: str,
    doc: str,
    evaluate: Callable,
    dtypes: Sequence[DType],
    arity: int,
    gradient: Derivative | Absent,
    *,
    result: DType | None = None,
    domains: Sequence[tuple[float, float]] = ((-2.0, 2.0),) * 3,
    laws: Sequence[str] = (),
    tolerance: float = 4,
    flops: int = 1,
    edges: bool = True,
    samples: Callable[[], Iterable[Sample]] | None = None,
) -> Op:
    """Declare a pointwise op of the regular kind: equal operand types in, `result` or same out."""

    allowed = frozenset(dtypes)

    def infer(*types: TensorType) -> TensorType:
        first = types[0]
        if first.dtype not in allowed or any(type is not first for type in types):
            check_elements(name, dtypes, *types)
        return first if result is None else first.with_dtype(result)

    def refuses():
        outside = next((dtype for dtype in DTYPES if dtype not in dtypes), None)
        if outside is not None:
            wrong = a_type(f"{outside.short}[3]")
            yield Refusal((wrong,) * arity, {}, f"[{name}] wants {_describe(dtypes)}")
        if arity > 1:
            one, two = a_type(f"{dtypes[-1].short}[3]"), a_type(f"{dtypes[-1].short}[4]")
            yield Refusal((one,) * (arity - 1) + (two,), {}, "operands of equal shape")

    op = Op(
        name=name,
        doc=doc,
        infer=infer,
        evaluate=_narrow(evaluate),
        arity=arity,
        gradient=gradient,
        batch=batch_pointwise(lambda: op),
        cost=lambda *types, result: flops * result.size,
        laws=frozenset(laws),
        samples=samples or (lambda: pointwise(dtypes, arity, domains, edges)),
        refuses=refuses if arity > 1 or len(dtypes) < len(DTYPES) else Absent("takes all types"),
        tolerance=tolerance,
        family="pointwise",
    )
    return declare(op)


def conjugate(x: Node) -> Node:
    """The complex conjugate; a real node itself."""
    return conj(x) if x.type is not None and x.dtype is not None and x.dtype.is_complex else x


def holomorphic(derivative: Callable[[Node, Node], Node], singular: bool = False) -> Derivative:
    """The gradient rule of a unary function from its derivative `(y, x) -> f'(x)`.

    `singular` marks a derivative that is infinite or NaN at points of the domain's edge.
    """

    def rule(dy: Node, y: Node, x: Node) -> tuple[Node]:
        slope = conjugate(derivative(y, x))
        if singular and not dy.dtype.is_complex:
            return (multiply_no_nan(slope, dy),)
        return (multiply(dy, slope),)

    return rule


FLAT = Absent("piecewise constant: the derivative is zero wherever it exists")
DISCRETE = Absent("no derivative: the result is not a float")

# Arithmetic ---------------------------------------------------------------------------------------


def _floor_divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind in "iu":
        return np.where(y == 0, x.dtype.type(0), np.floor_divide(x, np.where(y == 0, 1, y)))
    # floor of the exact quotient; infinities and zero divisors as division gives them.
    return np.where(np.isfinite(x) & (y != 0), np.floor_divide(x, y), np.floor(x / y))


def _remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind in "iu":
        return np.where(y == 0, x.dtype.type(0), np.remainder(x, np.where(y == 0, 1, y)))
    return np.remainder(x, y)


def _power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "i":
        # A negative exponent has no integer result: 1/x rounded toward zero.
        result = np.power(x, np.maximum(y, 0))
        inverse = np.where(np.abs(x) == 1, np.where(y % 2 == 0, 1, x), 0).astype(x.dtype)
        return np.where(y < 0, inverse, result)
    result = np.power(x, y)
    if x.dtype.kind == "f" and (half := y == 0.5).any():
        # NumPy takes square roots where one exponent 1/2 serves many elements, and where it is a
        # scalar; those of -inf and -0.0 are no powers.
        edge = half & ((x == 0) | (x == -np.inf))
        result = np.where(edge, np.abs(x), result)
    return result


def _multiply_no_nan(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(y == 0, x.dtype.type(0), x * y)


negative: Op = pointwise_op(
    "negative", "-x.", np.negative, NUMERIC, 1, lambda dy, y, x: (negative(dy),),
    laws=("involution", "linear"), tolerance=0,
)  # fmt: skip
add: Op = pointwise_op(
    "add", "x + y.", np.add, NUMERIC, 2, lambda dy, z, x, y: (dy, dy),
    laws=("commutative",), tolerance=0,
)  # fmt: skip
subtract: Op = pointwise_op(
    "subtract", "x - y.", np.subtract, NUMERIC, 2, lambda dy, z, x, y: (dy, negative(dy)),
    tolerance=0,
)  # fmt: skip
multiply: Op = pointwise_op(
    "multiply", "x * y.", np.multiply, NUMERIC, 2,
    lambda dy, z, x, y: (multiply(dy, conjugate(y)), multiply(dy, conjugate(x))),
    laws=("commutative",), tolerance=2,
)  # fmt: skip
multiply_no_nan: Op = pointwise_op(
    "multiply_no_nan", "x * y, and 0 where y is 0 whatever x is.", _multiply_no_nan, FLOATS, 2,
    lambda dy, z, x, y: (multiply_no_nan(dy, y), multiply_no_nan(x, dy)),
    tolerance=0, flops=2,
)  # fmt: skip
divide: Op = pointwise_op(
    "divide", "x / y.", np.true_divide, INEXACT, 2,
    lambda dy, z, x, y: _differentiate_divide(dy, z, y),
    domains=((-2, 2), (0.5, 2)), tolerance=4,
)  # fmt: skip
floor_divide: Op = pointwise_op(
    "floor_divide", "The largest integer not above x / y.", _floor_divide, REAL, 2, FLAT,
    domains=((-9, 9), (1, 4)), tolerance=0,
)  # fmt: skip
remainder: Op = pointwise_op(
    "remainder", "x - y * floor(x / y), with the sign of y.", _remainder, REAL, 2,
    lambda dy, z, x, y: (dy, negative(multiply(dy, floor_divide(x, y)))),
    domains=((-9, 9), (1.1, 4)), tolerance=0,
)  # fmt: skip
power: Op = pointwise_op(
    "power", "x to the power y; integers with a negative exponent round toward zero.",
    _power, NUMERIC, 2, lambda dy, z, x, y: _differentiate_power(dy, z, x, y),
    domains=((0.3, 2), (-2, 2)), tolerance=8, flops=20,
)  # fmt: skip
maximum: Op = pointwise_op(
    "maximum", "The larger of x and y; NaN if either is.", np.maximum, REAL, 2,
    lambda dy, z, x, y: _differentiate_extremum(dy, z, x, y),
    laws=("commutative", "associative", "idempotent"), tolerance=0,
)  # fmt: skip
minimum: Op = pointwise_op(
    "minimum", "The smaller of x and y; NaN if either is.", np.minimum, REAL, 2,
    lambda dy, z, x, y: _differentiate_extremum(dy, z, x, y),
    laws=("commutative", "associative", "idempotent"), tolerance=0,
)  # fmt: skip


def _differentiate_divide(dy: Node, z: Node, y: Node):
    if dy.dtype.is_complex:
        dx = divide(dy, conj(y))
        return dx, negative(multiply(dx, conj(z)))
    dx = multiply_no_nan(divide(full_like(y, 1), y), dy)
    return dx, negative(multiply_no_nan(z, dx))


def _differentiate_power(dy: Node, z: Node, x: Node, y: Node):
    one, zero = full_like(x, 1), full_like(x, 0)
    if dy.dtype.is_complex:
        dx = multiply(dy, conj(multiply(y, power(x, subtract(y, one)))))
        safe = select(equal(x, zero), one, x)
        log_x = select(equal(x, zero), zero, log(safe))
        return dx, multiply(dy, conj(multiply(z, log_x)))
    # y * x**(y-1) is 0 for y = 0 even at x = 0; log(x) counts as 0 where x**y has no slope in y.
    slope = multiply_no_nan(power(x, subtract(y, one)), y)
    is_positive = greater(x, zero)
    log_x = select(is_positive, log(select(is_positive, x, one)), zero)
    return multiply_no_nan(slope, dy), multiply_no_nan(multiply(z, log_x), dy)


def _differentiate_extremum(dy: Node, z: Node, x: Node, y: Node):
    # A tie shares the cotangent equally.
    half = full_like(dy, 0.5)
    zero = full_like(dy, 0)
    shared = select(equal(x, y), multiply(dy, half), dy)
    return select(equal(x, z), shared, zero), select(equal(y, z), shared, zero)


def _differentiate_abs(dy: Node, y: Node, x: Node):
    if x.dtype.is_complex:
        # x / |x|, and 0 at the origin.
        zero = full_like(y, 0)
        scale = divide(dy, select(equal(y, zero), full_like(y, 1), y))
        return (multiply(x, complex_of(scale, zero)),)
    return (multiply(dy, sign(x)),)


def _differentiate_sign(dy: Node, y: Node, x: Node):
    if not x.dtype.is_complex:
        return (None,)
    # x/|x| moves along the circle only: what dy has in the direction of y drops out.
    radius = abs(x)
    zero = full_like(radius, 0)
    along = complex_of(real(multiply(conj(y), dy)), zero)
    scale = select(equal(radius, zero), full_like(radius, 1), radius)
    across = divide(subtract(dy, multiply(y, along)), complex_of(scale, zero))
    return (select(equal(radius, zero), full_like(x, 0), across),)


def _infer_abs(x: TensorType) -> TensorType:
    check_elements("abs", NUMERIC, x)
    return x.with_dtype(x.dtype.real)


abs: Op = declare(
    Op(
        name="abs",
        doc="The magnitude; real for a complex operand.",
        infer=_infer_abs,
        evaluate=_narrow(np.abs),
        arity=1,
        gradient=_differentiate_abs,
        batch=lambda size, mapped, x: abs(x),
        cost=lambda x, *, result: x.size,
        samples=lambda: pointwise(NUMERIC, 1, ((-2.0, 2.0),)),
        refuses=lambda: [Refusal((a_type("bool[2]"),), {}, "[abs] wants numbers")],
        tolerance=2,
        family="pointwise",
    )
)
sign: Op = pointwise_op(
    "sign", "-1, 0 or 1; x/|x| for complex numbers; NaN for NaN.", np.sign, NUMERIC, 1,
    lambda dy, y, x: _differentiate_sign(dy, y, x), tolerance=4,
)  # fmt: skip
floor: Op = pointwise_op("floor", "The largest integer not above x.", np.floor, FLOATS, 1, FLAT,
                     tolerance=0)  # fmt: skip
ceil: Op = pointwise_op("ceil", "The smallest integer not below x.", np.ceil, FLOATS, 1, FLAT,
                    tolerance=0)  # fmt: skip
trunc: Op = pointwise_op("trunc", "x rounded toward zero.", np.trunc, FLOATS, 1, FLAT,
                     tolerance=0)  # fmt: skip
round: Op = pointwise_op("round", "The nearest integer, ties to even.", np.rint, FLOATS, 1, FLAT,
                     tolerance=0)  # fmt: skip
copysign: Op = pointwise_op(
    "copysign", "|x| with the sign of y.", np.copysign, FLOATS, 2,
    lambda dy, z, x, y: (multiply(dy, multiply(sign(x), copysign(full_like(y, 1), y))), None),
    tolerance=0,
)  # fmt: skip


def _infer_nextafter(x: TensorType, y: TensorType) -> TensorType:
    check_elements("nextafter", FLOATS, x, y)
    return x


# The neighbour depends on the width, so 16-bit floats are not widened here.
nextafter: Op = declare(
    Op(
        name="nextafter",
        doc="The next float after x in the direction of y.",
        infer=_infer_nextafter,
        evaluate=np.nextafter,
        arity=2,
        gradient=lambda dy, z, x, y: (dy, None),
        batch=batch_pointwise(lambda: nextafter),
        cost=lambda x, y, *, result: x.size,
        samples=lambda: pointwise(FLOATS, 2, ((-2, 2), (-2, 2))),
        refuses=lambda: [Refusal((a_type("i32[2]"),) * 2, {}, "[nextafter] wants float elements")],
        tolerance=0,
        family="pointwise",
    )
)

# Roots, exponentials, logarithms ------------------------------------------------------------------


sqrt: Op = pointwise_op(
    "sqrt", "The square root.", np.sqrt, INEXACT, 1,
    holomorphic(lambda y, x: divide(full_like(y, 0.5), y), singular=True), domains=((0.1, 4),),
    tolerance=2,
)  # fmt: skip
rsqrt: Op = pointwise_op(
    "rsqrt", "1 / sqrt(x).", lambda x: 1 / np.sqrt(x), INEXACT, 1,
    holomorphic(lambda y, x: divide(multiply(y, full_like(y, -0.5)), x), singular=True),
    domains=((0.1, 4),), flops=2,
)  # fmt: skip
cbrt: Op = pointwise_op(
    "cbrt", "The real cube root.", np.cbrt, FLOATS, 1,
    holomorphic(lambda y, x: divide(full_like(y, 1 / 3), multiply(y, y)), singular=True),
    domains=((0.1, 4),), flops=10,
)  # fmt: skip
exp: Op = pointwise_op("exp", "e to the power x.", np.exp, INEXACT, 1,
                   holomorphic(lambda y, x: y), flops=10)  # fmt: skip
exp2: Op = pointwise_op("exp2", "2 to the power x.", np.exp2, FLOATS, 1,
                    holomorphic(lambda y, x: multiply(y, full_like(y, np.log(2.0)))),
                    flops=10)  # fmt: skip
expm1: Op = pointwise_op("expm1", "exp(x) - 1, exact near 0.", np.expm1, INEXACT, 1,
                     holomorphic(lambda y, x: add(y, full_like(y, 1))), flops=12)  # fmt: skip
log: Op = pointwise_op(
    "log", "The natural logarithm.", np.log, INEXACT, 1,
    holomorphic(lambda y, x: divide(full_like(x, 1), x), singular=True),
    domains=((0.1, 4),), flops=10,
)  # fmt: skip
log2: Op = pointwise_op(
    "log2", "The logarithm to base 2.", np.log2, INEXACT, 1,
    holomorphic(lambda y, x: divide(full_like(x, 1 / np.log(2.0)), x), singular=True),
    domains=((0.1, 4),), flops=10,
)  # fmt: skip
log10: Op = pointwise_op(
    "log10", "The logarithm to base 10.", np.log10, INEXACT, 1,
    holomorphic(lambda y, x: divide(full_like(x, 1 / np.log(10.0)), x), singular=True),
    domains=((0.1, 4),), flops=10,
)  # fmt: skip
log1p: Op = pointwise_op(
    "log1p", "log(1 + x), exact near 0.", np.log1p, INEXACT, 1,
    holomorphic(lambda y, x: divide(full_like(x, 1), add(x, full_like(x, 1))), singular=True),
    domains=((-0.5, 3),), flops=12,
)  # fmt: skip


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # 1 / (1 + exp(-x)) where x >= 0, exp(x) / (1 + exp(x)) elsewhere: no argument can overflow. The
    # first exponential is the numerator of either; choosing by where would cost more than it does.
    numerator = np.exp(np.minimum(x, x.dtype.type(0)))
    return (numerator / (1 + np.exp(-np.abs(x)))).astype(x.dtype)


sigmoid: Op = pointwise_op(
    "sigmoid", "1 / (1 + exp(-x)).", _sigmoid, FLOATS, 1,
    holomorphic(lambda y, x: multiply(y, subtract(full_like(y, 1), y))), flops=12,
)  # fmt: skip

# Trigonometry -------------------------------------------------------------------------------------


def _one_minus_square(x: Node) -> Node:
    return subtract(full_like(x, 1), multiply(x, x))


def _one_plus_square(x: Node) -> Node:
    return add(full_like(x, 1), multiply(x, x))


sin: Op = pointwise_op("sin", "The sine, in radians.", np.sin, INEXACT, 1,
                   holomorphic(lambda y, x: cos(x)), flops=12)  # fmt: skip
cos: Op = pointwise_op("cos", "The cosine, in radians.", np.cos, INEXACT, 1,
                   holomorphic(lambda y, x: negative(sin(x))), flops=12)  # fmt: skip
tan: Op = pointwise_op("tan", "The tangent, in radians.", np.tan, INEXACT, 1,
                   holomorphic(lambda y, x: _one_plus_square(y)),
                   domains=((-1.3, 1.3),), flops=20)  # fmt: skip
asin: Op = pointwise_op(
    "asin", "The angle whose sine is x.", np.arcsin, INEXACT, 1,
    holomorphic(lambda y, x: rsqrt(_one_minus_square(x)), singular=True),
    domains=((-0.9, 0.9),), flops=20,
)  # fmt: skip
acos: Op = pointwise_op(
    "acos", "The angle whose cosine is x.", np.arccos, INEXACT, 1,
    holomorphic(lambda y, x: negative(rsqrt(_one_minus_square(x))), singular=True),
    domains=((-0.9, 0.9),), flops=20,
)  # fmt: skip
atan: Op = pointwise_op(
    "atan", "The angle whose tangent is x.", np.arctan, INEXACT, 1,
    holomorphic(lambda y, x: divide(full_like(x, 1), _one_plus_square(x))),
    domains=((-0.9, 0.9),), flops=20,
)  # fmt: skip
sinh: Op = pointwise_op("sinh", "The hyperbolic sine.", np.sinh, INEXACT, 1,
                    holomorphic(lambda y, x: cosh(x)), flops=15)  # fmt: skip
cosh: Op = pointwise_op("cosh", "The hyperbolic cosine.", np.cosh, INEXACT, 1,
                    holomorphic(lambda y, x: sinh(x)), flops=15)  # fmt: skip
tanh: Op = pointwise_op("tanh", "The hyperbolic tangent.", np.tanh, INEXACT, 1,
                    holomorphic(lambda y, x: _one_minus_square(y)), flops=15)  # fmt: skip
asinh: Op = pointwise_op("asinh", "The inverse of sinh.", np.arcsinh, INEXACT, 1,
                     holomorphic(lambda y, x: rsqrt(_one_plus_square(x))),
                     domains=((-0.9, 0.9),), flops=20)  # fmt: skip
acosh: Op = pointwise_op(
    "acosh", "The inverse of cosh.", np.arccosh, INEXACT, 1,
    # sqrt(x-1) * sqrt(x+1), not sqrt(x*x-1): the branch cut of complex arguments.
    holomorphic(
        lambda y, x: multiply(
            rsqrt(subtract(x, full_like(x, 1))), rsqrt(add(x, full_like(x, 1)))
        ),
        singular=True,
    ),
    domains=((1.2, 4),), flops=20,
)  # fmt: skip
atanh: Op = pointwise_op(
    "atanh", "The inverse of tanh.", np.arctanh, INEXACT, 1,
    holomorphic(lambda y, x: divide(full_like(x, 1), _one_minus_square(x)), singular=True),
    domains=((-0.9, 0.9),), flops=20,
)  # fmt: skip


def _differentiate_atan2(dy: Node, z: Node, y: Node, x: Node):
    radius = add(multiply(x, x), multiply(y, y))
    scale = multiply_no_nan(divide(full_like(x, 1), radius), dy)
    return multiply_no_nan(x, scale), negative(multiply_no_nan(y, scale))


atan2: Op = pointwise_op(
    "atan2", "The angle of the point (x, y) for operands y and x.", np.arctan2, FLOATS, 2,
    _differentiate_atan2, flops=20,
)  # fmt: skip
hypot: Op = pointwise_op(
    "hypot", "sqrt(x*x + y*y) without overflow.", np.hypot, FLOATS, 2,
    lambda dy, z, x, y: (
        multiply_no_nan(divide(x, z), dy), multiply_no_nan(divide(y, z), dy)
    ),
    laws=("commutative",), flops=8,
)  # fmt: skip

# Special functions --------------------------------------------------------------------------------

TWO_OVER_ROOT_PI = 2 / np.sqrt(np.pi)


def _gaussian(x: Node, scale: float) -> Node:
    return multiply(full_like(x, scale), exp(negative(multiply(x, x))))


erf: Op = pointwise_op("erf", "The error function.", in_double(definitions.erf), FLOATS, 1,
                   holomorphic(lambda y, x: _gaussian(x, TWO_OVER_ROOT_PI)), flops=20)  # fmt: skip
erfc: Op = pointwise_op(
    "erfc",
    "1 - erf(x), exact in the tail.",
    in_double(definitions.erfc),
    FLOATS,
    1,
    holomorphic(lambda y, x: _gaussian(x, -TWO_OVER_ROOT_PI)),
    flops=20,
)
erfinv: Op = pointwise_op(
    "erfinv", "The inverse of erf, on [-1, 1].", in_double(definitions.erfinv), FLOATS, 1,
    holomorphic(
        lambda y, x: multiply(full_like(y, 1 / TWO_OVER_ROOT_PI), exp(multiply(y, y))),
        singular=True,
    ),
    domains=((-0.9, 0.9),), flops=30,
)  # fmt: skip
lgamma: Op = pointwise_op(
    "lgamma", "The logarithm of |gamma(x)|.", in_double(definitions.lgamma), FLOATS, 1,
    holomorphic(lambda y, x: digamma(x), singular=True), domains=((0.3, 5),), flops=40,
)  # fmt: skip
digamma: Op = pointwise_op(
    "digamma", "The derivative of lgamma.", in_double(definitions.digamma), FLOATS, 1,
    holomorphic(lambda y, x: polygamma(full_like(x, 1), x), singular=True),
    domains=((0.3, 5),), flops=40, tolerance=16,
)  # fmt: skip


def _sample_polygamma() -> Iterable[Sample]:
    """Orders are whole numbers; between them the function is NaN."""
    for sample in pointwise(FLOATS, 2, ((1, 3), (0.5, 5)), edges=False):
        order, x = sample.args
        whole = np.asarray(np.rint(order.astype(np.float32))).astype(order.dtype)
        yield Sample((whole, x), name=sample.name)


polygamma: Op = pointwise_op(
    "polygamma", "The n-th derivative of digamma at x, for operands n and x.",
    in_double(definitions.polygamma), FLOATS, 2,
    lambda dy, z, n, x: (
        Absent("the order of polygamma is an integer"),
        multiply_no_nan(polygamma(add(n, full_like(n, 1)), x), dy),
    ),
    domains=((1, 3), (0.5, 5)), flops=60, edges=False, tolerance=64,
    samples=lambda: _sample_polygamma(),
)  # fmt: skip
zeta: Op = pointwise_op(
    "zeta", "The Hurwitz zeta function, sum of (k + q)**-x, for operands x and q.",
    in_double(definitions.zeta), FLOATS, 2,
    lambda dy, z, x, q: (
        Absent("the slope of zeta in its exponent has no closed form"),
        multiply_no_nan(negative(multiply(x, zeta(add(x, full_like(x, 1)), q))), dy),
    ),
    domains=((1.5, 5), (0.5, 5)), flops=60, tolerance=64,
)  # fmt: skip
i0e: Op = pointwise_op(
    "i0e",
    "exp(-|x|) times the modified Bessel function I0.",
    in_double(definitions.i0e),
    FLOATS,
    1,
    holomorphic(lambda y, x: subtract(i1e(x), multiply(sign(x), y))),
    flops=30,
)
i1e: Op = pointwise_op(
    "i1e",
    "exp(-|x|) times the modified Bessel function I1.",
    in_double(definitions.i1e),
    FLOATS,
    1,
    # I1' = I0 - I1/x; the ratio is 1/2 at 0.
    holomorphic(
        lambda y, x: subtract(
            subtract(i0e(x), multiply(sign(x), y)),
            select(
                equal(x, full_like(x, 0)),
                full_like(x, 0.5),
                divide(y, select(equal(x, full_like(x, 0)), full_like(x, 1), x)),
            ),
        )
    ),
    flops=30,
)


def _gamma_density(a: Node, x: Node) -> Node:
    """x**(a-1) exp(-x) / gamma(a), the slope of gammainc in x."""
    power_of_x = multiply(subtract(a, full_like(a, 1)), log(x))
    return exp(subtract(subtract(power_of_x, x), lgamma(a)))


gammainc_da: Op = pointwise_op(
    "gammainc_da", "The derivative of gammainc(a, x) with respect to a.",
    in_double(definitions.gammainc_da), FLOATS, 2,
    lambda dy, z, a, x: (
        Absent("the second derivative of gammainc in a has no closed form"),
        multiply_no_nan(multiply(_gamma_density(a, x), subtract(log(x), digamma(a))), dy),
    ),
    domains=((0.5, 5), (0.3, 6)), flops=400, edges=False, tolerance=2**24,
)  # fmt: skip
gammainc: Op = pointwise_op(
    "gammainc", "The regularised lower incomplete gamma function P(a, x).",
    in_double(definitions.gammainc), FLOATS, 2,
    lambda dy, z, a, x: (
        multiply_no_nan(gammainc_da(a, x), dy), multiply_no_nan(_gamma_density(a, x), dy)
    ),
    domains=((0.5, 5), (0.3, 6)), flops=200, tolerance=64,
)  # fmt: skip
gammaincc: Op = pointwise_op(
    "gammaincc", "The regularised upper incomplete gamma function Q(a, x).",
    in_double(definitions.gammaincc), FLOATS, 2,
    lambda dy, z, a, x: (
        negative(multiply_no_nan(gammainc_da(a, x), dy)),
        negative(multiply_no_nan(_gamma_density(a, x), dy)),
    ),
    domains=((0.5, 5), (0.3, 6)), flops=200, tolerance=64,
)  # fmt: skip


def _beta_density(a: Node, b: Node, x: Node) -> Node:
    one = full_like(x, 1)
    log_beta = subtract(add(lgamma(a), lgamma(b)), lgamma(add(a, b)))
    powers = add(multiply(subtract(a, one), log(x)), multiply(subtract(b, one), log1p(negative(x))))
    return exp(subtract(powers, log_beta))


betainc: Op = pointwise_op(
    "betainc", "The regularised incomplete beta function I_x(a, b), for operands a, b and x.",
    in_double(definitions.betainc), FLOATS, 3,
    lambda dy, z, a, b, x: (
        Absent("the slope of betainc in a has no closed form"),
        Absent("the slope of betainc in b has no closed form"),
        multiply_no_nan(_beta_density(a, b, x), dy),
    ),
    domains=((0.5, 5), (0.5, 5), (0.05, 0.95)), flops=200, tolerance=64,
)  # fmt: skip

# Comparison, logic, choice ------------------------------------------------------------------------


def _compare(name: str, doc: str, ufunc: Callable, dtypes: Sequence[DType], *laws: str) -> Op:
    return pointwise_op(name, doc, ufunc, dtypes, 2, DISCRETE, result=bool_, laws=laws,
                        tolerance=0)  # fmt: skip


ORDERED = (bool_, *REAL)
equal: Op = _compare("equal", "x == y.", np.equal, DTYPES, "commutative")
not_equal: Op = _compare("not_equal", "x != y.", np.not_equal, DTYPES, "commutative")
less: Op = _compare("less", "x < y.", np.less, ORDERED)
less_equal: Op = _compare("less_equal", "x <= y.", np.less_equal, ORDERED)
greater: Op = _compare("greater", "x > y.", np.greater, ORDERED)
greater_equal: Op = _compare("greater_equal", "x >= y.", np.greater_equal, ORDERED)


def _test(name: str, doc: str, ufunc: Callable) -> Op:
    return pointwise_op(name, doc, ufunc, INEXACT, 1, DISCRETE, result=bool_, tolerance=0)


isnan: Op = _test("isnan", "True where x is NaN (either part of a complex number).", np.isnan)
isinf: Op = _test("isinf", "True where x is infinite (either part of a complex number).", np.isinf)
isfinite: Op = _test("isfinite", "True where x is neither NaN nor infinite.", np.isfinite)


def _logic(name: str, doc: str, ufunc: Callable, arity: int, *laws: str) -> Op:
    return pointwise_op(name, doc, ufunc, (bool_,), arity, DISCRETE, laws=laws,
                        tolerance=0)  # fmt: skip


logical_not: Op = _logic("logical_not", "Not x.", np.logical_not, 1, "involution")
logical_and: Op = _logic("logical_and", "x and y.", np.logical_and, 2, "commutative", "associative",
                     "idempotent")  # fmt: skip
logical_or: Op = _logic("logical_or", "x or y.", np.logical_or, 2, "commutative", "associative",
                    "idempotent")  # fmt: skip
logical_xor: Op = _logic("logical_xor", "x or y but not both.", np.logical_xor, 2, "commutative",
                     "associative")  # fmt: skip


def _infer_select(condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
    if condition.dtype is not bool_:
        raise DTypeError(
            explain("select", "a condition of booleans", str(condition), "Compare first: c != 0.")
        )
    check_elements("select", DTYPES, x, y)
    if condition.shape != x.shape:
        raise ShapeError(
            explain("select", "a condition of the values' shape", f"{condition} for {x}")
        )
    return x


def _sample_select():
    for dtype in DTYPES:
        for shape in ((), (3,), (2, 3), (0, 2)):
            condition = values(shape, bool_, seed="condition")
            yield Sample((condition, values(shape, dtype, seed=1), values(shape, dtype, seed=2)))
    row = special(float32)
    yield Sample((np.arange(len(row)) % 2 == 0, row, row[::-1].copy()), differentiable=False)


select: Op = declare(
    Op(
        name="select",
        doc="x where the condition is true, y elsewhere.",
        infer=_infer_select,
        evaluate=np.where,
        arity=3,
        gradient=lambda dy, z, condition, x, y: (
            None,
            select(condition, dy, full_like(dy, 0)),
            select(condition, full_like(dy, 0), dy),
        ),
        batch=batch_pointwise(lambda: select),
        cost=lambda condition, x, y, *, result: x.size,
        samples=_sample_select,
        refuses=lambda: [
            Refusal((a_type("f32[2]"),) * 3, {}, "a condition of booleans"),
            Refusal((a_type("bool[2]"), a_type("f32[2]"), a_type("i32[2]")), {}, "equal element"),
            Refusal((a_type("bool[3]"), a_type("f32[2]"), a_type("f32[2]")), {}, "values' shape"),
        ],
        tolerance=0,
        family="pointwise",
    )
)

# Bits ---------------------------------------------------------------------------------------------


def _shift(ufunc: Callable) -> Callable:
    def evaluate(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        width = x.dtype.itemsize * 8
        inside = (y >= 0) & (y < width)
        shifted = ufunc(x, np.where(inside, y, 0).astype(x.dtype))
        if ufunc is np.right_shift and x.dtype.kind == "i":
            return np.where(inside, shifted, np.where(x < 0, -1, 0)).astype(x.dtype)
        return np.where(inside, shifted, 0).astype(x.dtype)

    return evaluate


def _bits(name: str, doc: str, ufunc: Callable, arity: int, dtypes: Any, *laws: str) -> Op:
    return pointwise_op(name, doc, ufunc, dtypes, arity, DISCRETE, laws=laws, tolerance=0,
                        domains=((-9, 9), (0, 6)))  # fmt: skip


BITS = (bool_, *INTEGERS)
bitwise_not: Op = _bits(
    "bitwise_not", "Every bit of x turned.", np.bitwise_not, 1, BITS, "involution"
)
bitwise_and: Op = _bits(
    "bitwise_and",
    "The bits set in both.",
    np.bitwise_and,
    2,
    BITS,
    "commutative",
    "associative",
    "idempotent",
)
bitwise_or: Op = _bits(
    "bitwise_or",
    "The bits set in either.",
    np.bitwise_or,
    2,
    BITS,
    "commutative",
    "associative",
    "idempotent",
)
bitwise_xor: Op = _bits("bitwise_xor", "The bits set in one only.", np.bitwise_xor, 2, BITS,
                    "commutative", "associative")  # fmt: skip
left_shift: Op = _bits(
    "left_shift", "The bits of x moved up by y places.", _shift(np.left_shift), 2, INTEGERS
)
right_shift: Op = _bits("right_shift", "The bits of x moved down by y places, keeping the sign.",
                    _shift(np.right_shift), 2, INTEGERS)  # fmt: skip
population_count: Op = _bits(
    "population_count", "The number of bits set in x.",
    lambda x: np.bitwise_count(x.view(f"u{x.dtype.itemsize}")).astype(x.dtype), 1, INTEGERS,
)  # fmt: skip


def _leading_zeros(x: np.ndarray) -> np.ndarray:
    bits = x.view(f"u{x.dtype.itemsize}").copy()
    width = x.dtype.itemsize * 8
    shift = 1
    while shift < width:
        bits |= bits >> bits.dtype.type(shift)
        shift *= 2
    return (width - np.bitwise_count(bits)).astype(x.dtype)


leading_zeros: Op = _bits("leading_zeros", "The number of zero bits above the highest set bit.",
                      _leading_zeros, 1, INTEGERS)  # fmt: skip

# Complex parts ------------------------------------------------------------------------------------


def _part(name: str, doc: str, ufunc: Callable, gradient: Derivative) -> Op:
    def infer(x: TensorType) -> TensorType:
        check_elements(name, COMPLEX, x)
        return x.with_dtype(x.dtype.real)

    op = Op(
        name=name,
        doc=doc,
        infer=infer,
        evaluate=lambda x: np.array(ufunc(x)),
        arity=1,
        gradient=gradient,
        batch=lambda size, mapped, x: op(x),
        cost=lambda x, *, result: 0,
        laws=frozenset({"linear"}),
        samples=lambda: pointwise(COMPLEX, 1, ((-2, 2),)),
        refuses=lambda: [Refusal((a_type("f32[2]"),), {}, f"[{name}] wants complex elements")],
        tolerance=0,
        family="pointwise",
    )
    return declare(op)


real: Op = _part("real", "The real part.", np.real,
             lambda dy, y, x: (complex_of(dy, full_like(dy, 0)),))  # fmt: skip
imag: Op = _part("imag", "The imaginary part.", np.imag,
             lambda dy, y, x: (complex_of(full_like(dy, 0), dy),))  # fmt: skip
conj: Op = pointwise_op("conj", "The complex conjugate.", np.conj, COMPLEX, 1,
                    lambda dy, y, x: (conj(dy),), laws=("involution",), tolerance=0)  # fmt: skip


def _infer_complex(re: TensorType, im: TensorType) -> TensorType:
    check_elements("complex", (float32, float64), re, im)
    return re.with_dtype(as_dtype("complex64" if re.dtype is float32 else "complex128"))


def _evaluate_complex(re: np.ndarray, im: np.ndarray) -> np.ndarray:
    result = np.empty(re.shape, np.complex64 if re.dtype == np.float32 else np.complex128)
    result.real = re
    result.imag = im
    return result


complex_of: Op = declare(
    Op(
        name="complex",
        doc="The complex number of a real and an imaginary part.",
        infer=_infer_complex,
        evaluate=_evaluate_complex,
        arity=2,
        gradient=lambda dy, z, re, im: (real(dy), imag(dy)),
        batch=batch_pointwise(lambda: complex_of),
        cost=lambda re, im, *, result: 0,
        laws=frozenset({"linear"}),
        samples=lambda: pointwise((float32, float64), 2, ((-2, 2), (-2, 2))),
        refuses=lambda: [Refusal((a_type("f16[2]"),) * 2, {}, "[complex] wants float32 or")],
        tolerance=0,
        family="pointwise",
    )
)

# Changing the element type ------------------------------------------------------------------------


def _evaluate_cast(x: np.ndarray, *, dtype: DType) -> np.ndarray:
    if dtype.kind == "bool":
        return x != 0
    if x.dtype.kind == "c" and not dtype.is_complex:
        x = x.real
    if dtype.is_integer and x.dtype.kind not in "iub":
        # NaN is 0 and the rest saturates: the same on every machine.
        info = np.iinfo(dtype.numpy)
        wide = np.nan_to_num(x.astype(np.float64), nan=0.0)
        inside = np.clip(wide, float(info.min), float(info.max))
        whole = np.where(inside >= float(info.max), 0, inside).astype(dtype.numpy)
        return np.where(inside >= float(info.max), dtype.numpy.type(info.max), whole)
    return x.astype(dtype.numpy)


def _differentiate_cast(dy: Node, y: Node, x: Node, *, dtype: DType):
    if not x.dtype.is_inexact:
        return (None,)
    return (cast(dy, dtype=x.dtype),)


def _sample_cast():
    for source in DTYPES:
        for target in DTYPES:
            low = 0.0 if target.kind == "uint" else -3.0
            yield Sample((values((2, 3), source, low, 3.0),), {"dtype": target})
    yield Sample((np.array([0, 1j, 2, -0.0j], np.complex64),), {"dtype": bool_})
    for target in DTYPES:
        if not target.is_complex:
            yield Sample((special(float64),), {"dtype": target}, differentiable=False)


cast: Op = declare(
    Op(
        name="cast",
        doc="The same values in another element type; floats become integers toward zero and "
        "saturate, NaN becomes 0, a complex number drops its imaginary part; a boolean is true "
        "for whatever is not 0.",
        infer=lambda x, *, dtype: x.with_dtype(dtype),
        evaluate=_evaluate_cast,
        arity=1,
        attributes={"dtype": Element()},
        gradient=_differentiate_cast,
        batch=lambda size, mapped, x, *, dtype: cast(x, dtype=dtype),
        cost=lambda x, *, result, dtype: 0 if x.dtype is dtype else x.size,
        samples=_sample_cast,
        refuses=Absent("every type casts to every other"),
        tolerance=0,
        family="pointwise",
    )
)


def _infer_bitcast(x: TensorType, *, dtype: DType) -> TensorType:
    if x.dtype.numpy.itemsize != dtype.itemsize or bool_ in (x.dtype, dtype):
        raise DTypeError(explain("bitcast", f"a type as wide as {x.dtype}", str(dtype)))
    return x.with_dtype(dtype)


def _sample_bitcast():
    for source in NUMERIC:
        for target in NUMERIC:
            if source.bits == target.bits:
                yield Sample((values((2, 3), source),), {"dtype": target})


bitcast: Op = declare(
    Op(
        name="bitcast",
        doc="The same bits read as another element type of the same width.",
        infer=_infer_bitcast,
        evaluate=lambda x, *, dtype: np.array(x).view(dtype.numpy),
        arity=1,
        attributes={"dtype": Element()},
        gradient=Absent("bits have no derivative"),
        batch=lambda size, mapped, x, *, dtype: bitcast(x, dtype=dtype),
        cost=lambda x, *, result, dtype: 0,
        samples=_sample_bitcast,
        refuses=lambda: [
            Refusal((a_type("f32[2]"),), {"dtype": float64}, "a type as wide as float32")
        ],
        tolerance=0,
        family="pointwise",
    )
)


def reciprocal(x: Node) -> Node:
    """1 / x."""
    return divide(full_like(x, 1), x)


def square(x: Node) -> Node:
    """x * x."""
    return multiply(x, x)


def clamp(low: Node, x: Node, high: Node) -> Node:
    """x held between low and high."""
    return minimum(maximum(x, low), high)

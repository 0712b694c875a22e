"""Element-wise functions: operands are promoted and broadcast, then computed one by one.

Functions marked as float functions turn integers and booleans into float32 first. Names, argument
order and results are those of the Python Array API standard 2024.12, section "Element-wise
functions"; what stands after the second headline goes beyond it.
"""

from typing import Any

from thalweg.array.operands import pointwise
from thalweg.engine.tensor import Tensor
from thalweg.ir.op import Op
from thalweg.ops import elementwise as ops

# The standard -------------------------------------------------------------------------------------


def _unary(op: Op, name: str, doc: str, floats: bool = False):
    def function(x: Any, /) -> Tensor:
        return pointwise(name, op, x, floats=floats)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} Any shape; the result has the shape of x."
    return function


def _binary(op: Op, name: str, doc: str, floats: bool = False):
    def function(x1: Any, x2: Any, /) -> Tensor:
        return pointwise(name, op, x1, x2, floats=floats)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} Shapes broadcast, element types promote."
    return function


# fmt: off
acos = _unary(ops.acos, "acos", "The angle whose cosine is x, in radians.", floats=True)
acosh = _unary(ops.acosh, "acosh", "The inverse hyperbolic cosine.", floats=True)
add = _binary(ops.add, "add", "x1 + x2.")
asin = _unary(ops.asin, "asin", "The angle whose sine is x, in radians.", floats=True)
asinh = _unary(ops.asinh, "asinh", "The inverse hyperbolic sine.", floats=True)
atan = _unary(ops.atan, "atan", "The angle whose tangent is x, in radians.", floats=True)
atan2 = _binary(ops.atan2, "atan2", "The angle of the point (x2, x1), in radians.", floats=True)
atanh = _unary(ops.atanh, "atanh", "The inverse hyperbolic tangent.", floats=True)
bitwise_and = _binary(ops.bitwise_and, "bitwise_and", "The bits set in both.")
bitwise_left_shift = _binary(ops.left_shift, "bitwise_left_shift", "The bits moved up.")
bitwise_invert = _unary(ops.bitwise_not, "bitwise_invert", "Every bit turned.")
bitwise_or = _binary(ops.bitwise_or, "bitwise_or", "The bits set in either.")
bitwise_right_shift = _binary(ops.right_shift, "bitwise_right_shift", "The bits moved down.")
bitwise_xor = _binary(ops.bitwise_xor, "bitwise_xor", "The bits set in one only.")
copysign = _binary(ops.copysign, "copysign", "|x1| with the sign of x2.", floats=True)
cos = _unary(ops.cos, "cos", "The cosine, x in radians.", floats=True)
cosh = _unary(ops.cosh, "cosh", "The hyperbolic cosine.", floats=True)
divide = _binary(ops.divide, "divide", "x1 / x2.", floats=True)
equal = _binary(ops.equal, "equal", "x1 == x2, as booleans.")
exp = _unary(ops.exp, "exp", "e to the power x.", floats=True)
expm1 = _unary(ops.expm1, "expm1", "exp(x) - 1, exact near 0.", floats=True)
greater = _binary(ops.greater, "greater", "x1 > x2, as booleans.")
greater_equal = _binary(ops.greater_equal, "greater_equal", "x1 >= x2, as booleans.")
hypot = _binary(ops.hypot, "hypot", "sqrt(x1**2 + x2**2) without overflow.", floats=True)
less = _binary(ops.less, "less", "x1 < x2, as booleans.")
less_equal = _binary(ops.less_equal, "less_equal", "x1 <= x2, as booleans.")
log = _unary(ops.log, "log", "The natural logarithm.", floats=True)
log1p = _unary(ops.log1p, "log1p", "log(1 + x), exact near 0.", floats=True)
log2 = _unary(ops.log2, "log2", "The logarithm to base 2.", floats=True)
log10 = _unary(ops.log10, "log10", "The logarithm to base 10.", floats=True)
logical_and = _binary(ops.logical_and, "logical_and", "x1 and x2.")
logical_not = _unary(ops.logical_not, "logical_not", "Not x.")
logical_or = _binary(ops.logical_or, "logical_or", "x1 or x2.")
logical_xor = _binary(ops.logical_xor, "logical_xor", "Exactly one of x1 and x2.")
maximum = _binary(ops.maximum, "maximum", "The larger of x1 and x2; NaN if either is.")
minimum = _binary(ops.minimum, "minimum", "The smaller of x1 and x2; NaN if either is.")
multiply = _binary(ops.multiply, "multiply", "x1 * x2.")
negative = _unary(ops.negative, "negative", "-x.")
nextafter = _binary(ops.nextafter, "nextafter", "The next float after x1 toward x2.", floats=True)
not_equal = _binary(ops.not_equal, "not_equal", "x1 != x2, as booleans.")
sin = _unary(ops.sin, "sin", "The sine, x in radians.", floats=True)
sinh = _unary(ops.sinh, "sinh", "The hyperbolic sine.", floats=True)
sqrt = _unary(ops.sqrt, "sqrt", "The square root.", floats=True)
subtract = _binary(ops.subtract, "subtract", "x1 - x2.")
tan = _unary(ops.tan, "tan", "The tangent, x in radians.", floats=True)
tanh = _unary(ops.tanh, "tanh", "The hyperbolic tangent.", floats=True)
# fmt: on

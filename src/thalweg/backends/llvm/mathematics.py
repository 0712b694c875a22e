"""The native backend's own vector mathematics: functions of floats, written as LLVM IR.

Every function takes the block and values of float32 or float64 with any number of lanes and
returns a value of the same type. There are no tables and no gathers, and only two branches, which
ordinary data never takes: angles beyond `FAR`, and quotients of `remainder` beyond the mantissa.
Those of float64 and long division call the C library. NaN, infinities, zeros of both signs and
denormal numbers come out as NumPy has them.

On values that fill a register of AVX-512 a few of its own instructions stand in for several
others, with the same results bit for bit.

`thalweg.tools.ulp` measures the errors; docs/mathematics.md has them.

The polynomials are minimax fits by Remez' exchange in 45 digits, computed for this file. For
float32 the leading coefficients were rounded one by one, the rest fitted again after each. A pair
holds the coefficients for float32 and for float64, lowest power first; the comment above says what
is fitted, where, and the error relative to the function that is made of it, for both.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.backends.llvm.block import Block, Value
from thalweg.ir.types import float32, float64, int32, int64

Number = float | int
Pair = tuple[Any, ...]

# fmt: off

# (exp(r) - 1 - r) / r**2 on |r| <= 0.348: 2**-28.2 and 2**-57.7.
EXP = (
    (0.49999994, 0.16666514, 0.04166806, 0.008369554, 0.0013843725),
    (0.5000000000000011, 0.16666666666666402, 0.041666666666525645, 0.008333333333499986,
     0.0013888888944982465, 0.00019841269498228564, 2.480149155470859e-05, 2.755759062043572e-06,
     2.763084331202842e-07, 2.4999725472158347e-08),
)
# (2**r - 1) / r on |r| <= 0.5005: 2**-26.3 and 2**-55.6.
EXP2 = (
    (0.6931472, 0.24022594, 0.055503663, 0.009625431, 0.0013387921, 0.00013338715),
    (0.6931471805599453, 0.24022650695910072, 0.05550410866482169, 0.009618129107628328,
     0.0013333558146392409, 0.0001540353039364293, 1.5252733854617115e-05, 1.321548659364503e-06,
     1.0178051806696218e-07, 7.054974760195046e-09, 4.456592432706022e-10,
     2.5625278111813798e-11),
)
# (log(1 + f) - f + f**2/2) / f**3 on -1/4 <= f <= 1/2, in f (float32);
# (2 atanh(s) - 2 s) / s**3 on |s| <= 0.2, in s**2 (float64): 2**-27.3 and 2**-54.8.
LOG = (
    (0.33333448, -0.25000095, 0.19990942, -0.16647495, 0.14477544, -0.13158095, 0.104607485,
     -0.045080554),
    (0.6666666666667282, 0.3999999999610205, 0.28571429405972804, 0.22222137629823094,
     0.18186391747477973, 0.15249475108189445, 0.15373737588093286),
)
# (2 atanh(s) - 2 s - 2/3 s**3) / s**5 / log(2) on |s| <= 0.2, in s**2: 2**-33.0 and 2**-66.9.
POWER = (
    (0.5770837, 0.4115342, 0.34447372),
    (0.5770780163555813, 0.4121985831133152, 0.32059889752190124, 0.2623082380904907,
     0.22195004209322647, 0.19247287356399884, 0.16722972472274003, 0.18144532011953884),
)
# (sin(r) - r) / r**3 on |r| <= 1.6, in r**2: 2**-27.0 and 2**-55.4.
SIN = (
    (-0.16666658, 0.00833303, -0.0001980685, 2.599522e-06),
    (-0.16666666666666666, 0.008333333333333153, -0.00019841269841193966, 2.7557319208501495e-06,
     -2.505210662990092e-08, 1.6058927436679499e-10, -7.642671098247378e-13,
     2.717794008258952e-15),
)
# the same on |r| <= 0.82: 2**-27.4 and 2**-56.0.
SIN_SHORT = (
    (-0.16666651, 0.008331918, -0.00019482721),
    (-0.16666666666666607, 0.008333333333316557, -0.00019841269825110963, 2.7557312067640225e-06,
     -2.5050505534195792e-08, 1.5882296271128037e-10),
)
# (cos(r) - 1 + r**2/2) / r**4 on |r| <= 0.82, in r**2: 2**-32.6 and 2**-60.9.
COS_SHORT = (
    (0.04166664, -0.0013887112, 2.4408575e-05),
    (0.04166666666666655, -0.0013888888888866206, 2.4801587284522525e-05, -2.755731292208537e-07,
     2.0875529912584604e-09, -1.134971893793279e-11),
)
# (atan(t) - t) / t**3 on |t| <= tan(pi/8), in t**2: 2**-30.5 and 2**-58.4.
ATAN = (
    (-0.33333316, 0.19998533, -0.1424451, 0.10600169, -0.06092752),
    (-0.33333333333333326, 0.19999999999997692, -0.14285714285390963, 0.11111111088362045,
     -0.09090908151183645, 0.07692282909318526, -0.06666228984838736, 0.058770436374473004,
     -0.05218545154712437, 0.04504122574763007, -0.03348781887668789, 0.015208743473615567),
)
# (asin(w) - w) / w**3 on |w| <= 1/2, in w**2: 2**-31.7 and 2**-58.5.
ASIN = (
    (0.1666666, 0.07500521, 0.044513635, 0.031836066, 0.014329124, 0.03767324),
    (0.16666666666666763, 0.07499999999970264, 0.04464285717512035, 0.030381942683627434,
     0.022372215660067217, 0.017351600097054547, 0.013980961370285616, 0.011397776797426628,
     0.01078652387681226, 0.0036830631083208712, 0.021763445855167624, -0.02107721651838595,
     0.03267684347020005),
)
# (cosh(r) - 1) / r**2 on |r| <= 0.348, in r**2: 2**-33.2 and 2**-66.2.
COSH = (
    (0.5, 0.041666456, 0.0013935833),
    (0.5, 0.04166666666666671, 0.0013888888888863118, 2.4801587364911888e-05,
     2.7557240564121973e-07, 2.0924812169154467e-09),
)
# (sinh(r) - r) / r**3 on |r| <= 0.348, in r**2: 2**-34.3 and 2**-59.6.
SINH = (
    (0.16666667, 0.008333176, 0.00019973013),
    (0.16666666666666666, 0.008333333333333337, 0.00019841269841252665, 2.7557319266194146e-06,
     2.505205595446079e-08, 1.6091076554072974e-10),
)
# erf(x) / x - 1 on |x| <= 0.93, in x**2: 2**-27.2 and 2**-56.1.
ERF = (
    (0.12837917, -0.3761263, 0.11283636, -0.026856294, 0.0051937317, -0.0008063912,
     8.0525504e-05),
    (0.12837916709551256, -0.376126389031837, 0.11283791670952315, -0.026866170644540076,
     0.005223977618958399, -0.0008548326601368439, 0.00012055315479539527,
     -1.4925170329477228e-05, 1.6453280932664142e-06, -1.6257560477644324e-07,
     1.3952287992131597e-08, -8.270140758264177e-10),
)
# -log(erfc(x)) / x on 0.92 <= x <= 4; float64 goes by way of erfc: 2**-27.3.
ERF_TAIL = (
    (1.1286486, 0.6351506, 0.10623808, -0.023763148, 0.003642991, -0.00032293805, 1.1244906e-05),
    (),
)
# exp(x**2) erfc(x) (1 + 2 x) from x = 0.499 on, in t = (x - k) / (x + k): k = 2 and x <= 10.2
# (float32), k = 4 and x <= 27.5 (float64): 2**-25.6 and 2**-53.9.
ERFC = (
    (1.2769784, -0.09276353, -0.16602968, 0.16404155, -0.054228056, -0.007944386, 0.008734992,
     0.0009461234, -0.0013702909),
    (1.2329951186255526, -0.1396211168405617, 0.01537965210261367, 0.06809705425459,
     -0.10103906603591997, 0.09373283500220124, -0.06633036582161228, 0.03716751547104873,
     -0.016197733941374484, 0.005031970609802605, -0.0007577741187839856,
     -0.00019926032055235572, 0.00015062530428541017, -2.438610243483048e-05,
     -1.1231993975567632e-05, 5.679546946270911e-06, 3.1086612478129377e-07,
     -7.821984529735521e-07, 5.730153045031624e-08, 7.429411434562902e-08,
     -8.679333967899723e-09),
)
# fmt: on

# Constants as a head and what it leaves over, for both types.
LN2 = ((0.6931471824645996, 0.6931471805599453), (-1.9046542121e-09, 2.3190468138462996e-17))
LOG2_E = ((1.4426950216293335, 1.4426950408889634), (1.925963033500e-08, 2.0355273740931033e-17))
LOG10_E = ((0.4342944920063019, 0.4342944819032518), (-1.01030499522e-08, 1.098319650216765e-17))
# Rounded down: both parts are positive, so that an infinite exponent stays infinite.
LOG10_2 = ((0.3010299801826477, 0.30102999566398114), (1.5481333490e-08, 5.270742310347266e-17))
TWO_LOG2_E = ((2.885390043258667, 2.8853900817779268), (3.851926067000e-08, 4.0710547481862066e-17))
TWO_THIRDS_LOG2_E = (
    (0.9617967009544373, 0.9617966939259756), (-7.0284618126e-09, 5.0577616648125907e-17)
)  # fmt: skip
PI = (
    (3.1415927410125732, 3.141592653589793),
    (-8.742277657347586e-08, 1.2246467991473532e-16),
)
# pi rounded down in three parts: for n = 0 none of the products then turns -0.0 into 0.0.
PI_PARTS = (
    (3.141592502593994, 3.141592653589793),
    (1.5099578831723193e-07, 1.224646799147353e-16),
    (1.078060505991553e-14, 2.1657133478438278e-32),
)

FAR = (2.0**17, 2.0**36)
"""Up to here three parts of pi reduce an argument of sine, cosine and tangent without loss."""

ONE_TURN = 0x28BE60DB9391054A7F09D5F47D4D377036D8A5664F10E4107F9458EAF7AEF1
"""The bits of 1 / (2 pi) after eight zeros, 256 of them."""


class Lanes:
    """A value with the block it is written to: arithmetic, comparison and bits by operators."""

    __slots__ = ("block", "value")

    def __init__(self, block: Block, value: Value):
        self.block = block
        self.value = value

    @property
    def is_double(self) -> bool:
        return self.value.dtype.bits == 64

    def of(self, number: Number | Pair) -> "Lanes":
        """A constant in the type of this value; of a pair, the one for its width."""
        one = number[self.is_double] if isinstance(number, tuple) else number
        return Lanes(self.block, self.block.like(self.value, one))

    def _operand(self, other: "Lanes | Number | Pair") -> "Lanes":
        return other if isinstance(other, Lanes) else self.of(other)

    def _binary(self, instruction: str, other: "Lanes | Number | Pair") -> "Lanes":
        y = self._operand(other)
        return Lanes(self.block, self.block.binary(instruction, self.value, y.value))

    def _is_float(self) -> bool:
        return self.value.dtype.is_float

    def __add__(self, other: Any) -> "Lanes":
        return self._binary("fadd" if self._is_float() else "add", other)

    def __sub__(self, other: Any) -> "Lanes":
        return self._binary("fsub" if self._is_float() else "sub", other)

    def __rsub__(self, other: Any) -> "Lanes":
        return self._operand(other) - self

    def __mul__(self, other: Any) -> "Lanes":
        return self._binary("fmul" if self._is_float() else "mul", other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Lanes":
        return self._binary("fdiv", other)

    def __rtruediv__(self, other: Any) -> "Lanes":
        return self._operand(other) / self

    def __neg__(self) -> "Lanes":
        return Lanes(self.block, self.block.negative(self.value))

    def __and__(self, other: Any) -> "Lanes":
        return self._binary("and", other)

    def __or__(self, other: Any) -> "Lanes":
        return self._binary("or", other)

    def __xor__(self, other: Any) -> "Lanes":
        return self._binary("xor", other)

    def __lshift__(self, other: Any) -> "Lanes":
        return self._binary("shl", other)

    def __rshift__(self, other: Any) -> "Lanes":
        """The shift that keeps the sign."""
        return self._binary("ashr", other)

    def down(self, other: Any) -> "Lanes":
        """The shift that fills with zeros."""
        return self._binary("lshr", other)

    def _compare(self, relation: str, other: Any) -> "Lanes":
        y = self._operand(other)
        return Lanes(self.block, self.block.compare(relation, self.value, y.value))

    def __lt__(self, other: Any) -> "Lanes":
        return self._compare("lt", other)

    def __le__(self, other: Any) -> "Lanes":
        return self._compare("le", other)

    def __gt__(self, other: Any) -> "Lanes":
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> "Lanes":
        return self._compare("ge", other)

    def equals(self, other: Any) -> "Lanes":
        return self._compare("eq", other)

    def differs(self, other: Any) -> "Lanes":
        return self._compare("ne", other)

    def intrinsic(self, name: str, *others: Any) -> "Lanes":
        """A call of an LLVM intrinsic on values of one type."""
        operands = [self._operand(other).value for other in others]
        return Lanes(self.block, self.block.intrinsic(name, self.value, *operands))

    def __abs__(self) -> "Lanes":
        return self.intrinsic("fabs")

    def bits(self) -> "Lanes":
        """The float's bits as a signed integer of its width."""
        dtype = int64 if self.is_double else int32
        return Lanes(self.block, self.block.bitcast(self.value, dtype))

    def floats(self) -> "Lanes":
        """The float with these bits."""
        dtype = float64 if self.is_double else float32
        return Lanes(self.block, self.block.bitcast(self.value, dtype))

    def to_floats(self) -> "Lanes":
        """A signed integer as the float of its width."""
        dtype = float64 if self.is_double else float32
        return Lanes(self.block, self.block.convert("sitofp", self.value, dtype))


def fma(x: Lanes, y: Any, z: Any) -> Lanes:
    """x * y + z, rounded once."""
    return Lanes(x.block, x.block.fma(x.value, *(x._operand(each).value for each in (y, z))))


def where(condition: Lanes, x: Any, y: Any) -> Lanes:
    """x where the condition holds, else y; one of the two may be a number."""
    x, y = (x, x._operand(y)) if isinstance(x, Lanes) else (y._operand(x), y)
    return Lanes(x.block, x.block.select(condition.value, x.value, y.value))


def at_most(x: Lanes, limit: Number | Pair) -> Lanes:
    """The smaller of x and a number; NaN stays."""
    return where(x > limit, limit, x)


def at_least(x: Lanes, limit: Number | Pair) -> Lanes:
    """The larger of x and a number; NaN stays."""
    return where(x < limit, limit, x)


def signed(size: Lanes, sign: Lanes) -> Lanes:
    """The magnitude of one and the sign of the other."""
    return size.intrinsic("copysign", sign)


def polynomial(x: Lanes, coefficients: Pair, *lower: Number) -> Lanes:
    """The polynomial of the coefficients for the type of x, after lower ones that both share."""
    terms = [*lower, *coefficients[x.is_double]]
    result = x.of(terms[-1])
    for term in reversed(terms[:-1]):
        result = fma(result, x, term)
    return result


def _vector_function(function: Callable[..., Lanes]) -> Callable[..., Value]:
    """The function on values of one that is written with operators."""

    @functools.wraps(function)
    def write(block: Block, *values: Value) -> Value:
        return function(*(Lanes(block, value) for value in values)).value

    return write


# Powers of two ------------------------------------------------------------------------------------

MANTISSA = (23, 52)
BIAS = (127, 1023)
SIGN = (-(2**31), -(2**63))
MAGIC = (1.5 * 2.0**23, 1.5 * 2.0**52)
"""Added to a small number it rounds it to an integer, which is left in the lowest bits."""
MAGIC_BITS = (0x4B400000, 0x4338000000000000)


def _power_of_two(rounded: Lanes, more: int = 0) -> Lanes:
    """2**(n + more), a normal number, for n + MAGIC."""
    offset = tuple((bias + more) << width for bias, width in zip(BIAS, MANTISSA, strict=True))
    return ((rounded.bits() << MANTISSA) + offset).floats()


def _fills_avx512(x: Lanes) -> bool:
    """Whether x is just one register of a CPU with AVX-512, whose own instructions may be used."""
    bits = x.value.lanes * x.value.dtype.bits
    return x.block.target.vector_bits == 512 and bits == 512


def _avx512(name: str, x: Lanes, *others: Lanes | int) -> Lanes:
    """An instruction of AVX-512 on whole registers; numbers are immediate operands."""
    kind, lanes = x.value.type, x.value.lanes
    operands = [x.value.typed]
    operands += [each.value.typed if isinstance(each, Lanes) else f"i32 {each}" for each in others]
    # What masked-out lanes get, the mask, and the current rounding mode.
    operands += [f"{kind} zeroinitializer", f"i{lanes} -1", "i32 4"]
    function = f"@llvm.x86.avx512.mask.{name}.{'pd' if x.is_double else 'ps'}.512"
    types = ", ".join(kind if each.startswith("<") else each.split()[0] for each in operands)
    x.block.declarations.add(f"declare {kind} {function}({types})")
    text = f"call {kind} {function}({', '.join(operands)})"
    return Lanes(x.block, x.block.assign(text, x.value.dtype, lanes))


def _scale(x: Lanes, n: Lanes) -> Lanes:
    """x * 2**n for integral n of up to twice the exponent's range, rounded once."""
    if _fills_avx512(x):
        return _avx512("scalef", x, n)
    whole = (n + MAGIC).bits() - MAGIC_BITS
    half = whole >> 1
    first = ((half + BIAS) << MANTISSA).floats()
    second = ((whole - half + BIAS) << MANTISSA).floats()
    return x * first * second


def _exponential_parts(x: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """n + MAGIC, n and r with x = n log(2) + r and |r| a little above log(2) / 2 at most."""
    head, tail = LN2
    rounded = fma(x, LOG2_E[0], MAGIC)
    n = rounded - MAGIC
    return rounded, n, fma(-n, tail, fma(-n, head, x))


def _exp(x: Lanes) -> Lanes:
    x = at_least(at_most(x, (89.0, 710.0)), (-104.5, -746.0))
    _, n, r = _exponential_parts(x)
    return _scale(polynomial(r, EXP, 1, 1), n)


def _exp2(x: Lanes) -> Lanes:
    x = at_least(at_most(x, (129.0, 1025.0)), (-151.0, -1076.0))
    n = x.intrinsic("rint")
    return _scale(polynomial(x - n, EXP2, 1), n)


def _expm1(x: Lanes) -> Lanes:
    inside = at_least(at_most(x, (89.0, 710.0)), (-20.0, -40.0))
    rounded, _, r = _exponential_parts(inside)
    growth = fma(r * r, polynomial(r, EXP), r)
    # Half of the result until the end, because 2**n may be just too large.
    power = _power_of_two(rounded, -1)
    return signed(fma(power, growth, power - 0.5) * 2.0, x)


# The terms of exp(-2 v) / 2, exact multiples of those of exp(r).
_TANH = tuple(tuple(2.0 * (-2.0) ** k * c for k, c in enumerate(row)) for row in EXP)


def _tanh(x: Lanes) -> Lanes:
    # half = (exp(-2 |x|) - 1) / 2 lies in (-1/2, 0]; tanh |x| = -half / (1 + half).
    size = at_most(abs(x), (10.0, 20.0))
    rounded = fma(size, tuple(-2.0 * each for each in LOG2_E[0]), MAGIC)
    n = rounded - MAGIC
    v = fma(n, tuple(each / 2.0 for each in LN2[0]), size)
    if x.is_double:
        # What the head leaves over matters less and less as n grows, and never to float32.
        v = fma(n, LN2[1][1] / 2.0, v)
    growth = fma(v * v, polynomial(v, _TANH), -v)
    power = _power_of_two(rounded)
    half = fma(power, growth, fma(power, 0.5, -0.5))
    return signed(half / (half + 1.0), x)


def _sigmoid(x: Lanes) -> Lanes:
    small = _exp(-abs(x))
    return where(x >= 0.0, 1.0, small) / (small + 1.0)


def _hyperbolic_parts(x: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """For x >= 0: cosh(r), sinh(r), and a quarter of 2**n and of 2**-n."""
    rounded, _, r = _exponential_parts(at_most(x, (89.5, 710.5)))
    square = r * r
    even = fma(polynomial(square, COSH), square, 1.0)
    odd = fma(polynomial(square, SINH) * square, r, r)
    large = _power_of_two(rounded, -2)
    # 2**-n from the same bits, and nothing where it is too small to matter.
    ends = tuple((2 * (bias - 2)) << width for bias, width in zip(BIAS, MANTISSA, strict=True))
    opposite = ends - large.bits()
    small = where(opposite > 0, opposite, 0).floats()
    return even, odd, large, small


def _sinh(x: Lanes) -> Lanes:
    even, odd, large, small = _hyperbolic_parts(abs(x))
    return signed(fma(large - small, even, (large + small) * odd) * 2.0, x)


def _cosh(x: Lanes) -> Lanes:
    even, odd, large, small = _hyperbolic_parts(abs(x))
    return fma(large + small, even, (large - small) * odd) * 2.0


# Logarithms ---------------------------------------------------------------------------------------

THREE_QUARTERS = (0x3F400000, 0x3FE8000000000000)
ONE_BITS = (0x3F800000, 0x3FF0000000000000)
FRACTION = (2**23 - 1, 2**52 - 1)
SMALLEST = (2.0**-126, 2.0**-1022)


def _mantissa(x: Lanes) -> tuple[Lanes, Lanes]:
    """The exponent's bits in place, and the mantissa in [3/4, 3/2), of a normal x > 0."""
    offset = x.bits() - THREE_QUARTERS
    mantissa = ((offset & FRACTION) + THREE_QUARTERS).floats()
    return offset & tuple(~part for part in FRACTION), mantissa


def _log_near_one(f: Lanes) -> Lanes:
    """log(1 + f) - f, for 3/4 <= 1 + f < 3/2."""
    if not f.is_double:
        return f * f * fma(f, polynomial(f, LOG), -0.5)
    s = f / (f + 2.0)
    square = s * s
    half = f * f * 0.5
    return s * fma(square, polynomial(square, LOG), half) - half


def _log_parts(x: Lanes) -> tuple[Lanes, Lanes]:
    """e and f with x = 2**e (1 + f), e a float, for x > 0.

    With AVX-512 e is infinite for zero and infinity, and f is NaN for negative x.
    """
    if _fills_avx512(x):
        mantissa = _avx512("getmant", x, 0b1111)  # in [3/4, 3/2), NaN for negative x
        return (
            _avx512("getexp", x) - _avx512("getexp", mantissa),
            mantissa - 1.0,
        )
    tiny = x < SMALLEST
    x = where(tiny, x * (2.0**24, 2.0**54), x)
    exponent, mantissa = _mantissa(x)
    e = (exponent >> MANTISSA).to_floats()
    return where(tiny, e - (24.0, 54.0), e), mantissa - 1.0


def _logarithm(x: Lanes, finish: Callable[[Lanes, Lanes], Lanes]) -> Lanes:
    """finish(e, f) for x = 2**e (1 + f), and the right edges: 0, negative, infinite and NaN."""
    y = finish(*_log_parts(x))
    if _fills_avx512(x):
        return y
    y = where(x < math.inf, y, x)
    edge = where(x.equals(0.0), x.of(-math.inf), math.nan)
    return where(x <= 0.0, edge, y)


def _log(x: Lanes) -> Lanes:
    def finish(e: Lanes, f: Lanes) -> Lanes:
        rest = _log_near_one(f)
        # The head of log(2) is exact enough for float32.
        return fma(e, LN2[0], f + (fma(e, LN2[1], rest) if x.is_double else rest))

    return _logarithm(x, finish)


def _log2(x: Lanes) -> Lanes:
    def finish(e: Lanes, f: Lanes) -> Lanes:
        return e + fma(f, LOG2_E[0], fma(_log_near_one(f), LOG2_E[0], f * LOG2_E[1]))

    return _logarithm(x, finish)


def _log10(x: Lanes) -> Lanes:
    def finish(e: Lanes, f: Lanes) -> Lanes:
        rest = fma(_log_near_one(f), LOG10_E[0], f * LOG10_E[1])
        return fma(e, LOG10_2[0], fma(f, LOG10_E[0], fma(e, LOG10_2[1], rest)))

    return _logarithm(x, finish)


def _log1p_positive(x: Lanes) -> Lanes:
    """log(1 + x) for finite x > -1."""
    total = x + 1.0
    exponent, mantissa = _mantissa(total)
    e = (exponent >> MANTISSA).to_floats()
    # (1 + x) / 2**e - 1 from x itself; beyond the mantissa's range the 1 is lost anyway.
    inverse = (exponent.of(ONE_BITS) - exponent).floats()
    f = where(x < (2.0**30, 2.0**60), fma(inverse, x, inverse - 1.0), mantissa - 1.0)
    head, tail = LN2
    return fma(e, head, f + fma(e, tail, _log_near_one(f)))


def _log1p(x: Lanes) -> Lanes:
    y = where(x < math.inf, _log1p_positive(x), x)
    # f is exact for small x, but -0.0 would come out as 0.0.
    y = where(x.equals(0.0), x, y)
    edge = where(x.equals(-1.0), x.of(-math.inf), math.nan)
    return where(x <= -1.0, edge, y)


def _asinh(x: Lanes) -> Lanes:
    size = abs(x)
    square = size * size
    near = size + square / ((square + 1.0).intrinsic("sqrt") + 1.0)
    is_far = size > (2.0**28, 2.0**56)
    y = _log1p_positive(where(is_far, size, near))
    y = where(is_far, y + math.log(2.0), y)
    return signed(where(size < math.inf, y, size), x)


def _acosh(x: Lanes) -> Lanes:
    more = x - 1.0
    near = more + fma(more, more, more * 2.0).intrinsic("sqrt")
    is_far = x > (2.0**28, 2.0**56)
    y = _log1p_positive(where(is_far, x, near))
    y = where(is_far, y + math.log(2.0), y)
    return where(x < 1.0, math.nan, where(x < math.inf, y, x))


def _atanh(x: Lanes) -> Lanes:
    size = abs(x)
    y = _log1p_positive(size * 2.0 / (1.0 - size)) * 0.5
    y = where(size < 1.0, y, where(size.equals(1.0), size.of(math.inf), math.nan))
    return signed(y, x)


# Powers -------------------------------------------------------------------------------------------


def _log2_parts(x: Lanes) -> tuple[Lanes, Lanes]:
    """log2(x) as a head and a tail, to about one and a half times the type's precision, x > 0.

    2 atanh(s) of s = (m - 1) / (m + 1): the quotient and the first two terms of the series are
    carried in two parts, the rest in one.
    """
    e, f = _log_parts(x)
    total = f + 2.0
    inverse = 1.0 / total
    s = f * inverse
    # What the rounded quotient leaves over; total itself was rounded.
    left = fma(-s, total, f)
    left = fma(-s, f - (total - 2.0), left)
    s_tail = left * inverse
    square = s * s
    square_tail = fma(s, s, -square) + s * s_tail * 2.0
    second, second_tail = TWO_THIRDS_LOG2_E
    first, first_tail = TWO_LOG2_E
    term = square * second
    term_tail = fma(square, second, -term) + fma(square, second_tail, square_tail * second)
    term_tail = fma(square * square, polynomial(square, POWER), term_tail)
    factor = term + first
    factor_tail = (term - (factor - first)) + (term_tail + first_tail)
    head = s * factor
    tail = fma(s, factor, -head) + fma(s, factor_tail, s_tail * factor)
    total = e + head
    # The exponent is at least as large, or zero.
    return total, (e - total) + head + tail


def _power(x: Lanes, y: Lanes) -> Lanes:
    size = abs(x)
    head, tail = _log2_parts(size)
    if not _fills_avx512(x):
        edge = where(size.equals(0.0), x.of(-math.inf), size)
        head = where((size > 0.0) & (size < math.inf), head, edge)
    # An infinite exponent acts as a huge one, so that 1**inf is 1.
    bound = (2.0**120, 2.0**1000)
    exponent = at_least(at_most(y, bound), tuple(-each for each in bound))
    product = exponent * head
    rest = fma(exponent, head, -product) + exponent * tail
    limit = (200.0, 1200.0)
    # Also where the logarithm is infinite, and its tail NaN.
    rest = where(abs(product) > limit, 0.0, rest)
    product = at_least(at_most(product, limit), tuple(-each for each in limit))
    n = product.intrinsic("rint")
    power = _scale(polynomial((product - n) + rest, EXP2, 1), n)
    power = where(y.equals(0.0) | x.equals(1.0), 1.0, power)  # even of NaN
    # Negative bases: whole exponents only, odd ones give back the sign.
    is_part = y.intrinsic("trunc").differs(y)
    half = y * 0.5
    is_odd = half.intrinsic("trunc").differs(half) & is_part.equals(False)
    power = where(is_odd, signed(power, x), power)
    return where((x < 0.0) & (x > -math.inf) & is_part, math.nan, power)


def _rsqrt(x: Lanes) -> Lanes:
    return 1.0 / x.intrinsic("sqrt")


def _cbrt(x: Lanes) -> Lanes:
    size = abs(x)
    tiny = size < SMALLEST
    size = where(tiny, size * (2.0**24, 2.0**54), size)
    # 1 / cbrt(size) to 4 % from a third of the exponent, then Halley's iteration without division.
    start = (0x54A2FA8C, 0x553EA5C0601E9400)
    third = Lanes(x.block, x.block.binary("udiv", size.bits().value, size.bits().of(3).value))
    inverse = (third.of(start) - third).floats()
    for _ in range(2):
        error = fma(-(size * inverse), inverse * inverse, 1.0)
        inverse = fma(inverse * error, fma(error, 2 / 9, 1 / 3), inverse)
    root = size * inverse * inverse
    # One Newton step on the root itself, its cube in two parts.
    square = root * root
    square_tail = fma(root, root, -square)
    error = fma(square_tail, root, fma(square, root, -size))
    root = fma(error * inverse * inverse, -1 / 3, root)
    root = where(tiny, root * (2.0**-8, 2.0**-18), root)
    return signed(where((abs(x) < math.inf) & (abs(x) > 0.0), root, abs(x)), x)


def _hypot(x: Lanes, y: Lanes) -> Lanes:
    x, y = abs(x), abs(y)
    large, small = where(x < y, y, x), where(x < y, x, y)
    far = (2.0**60, 2.0**500)
    near = (2.0**-60, 2.0**-500)
    back = where(large > far, x.of((2.0**80, 2.0**600)), 1.0)
    back = where(large < near, (2.0**-80, 2.0**-600), back)
    scale = where(large > far, x.of((2.0**-80, 2.0**-600)), 1.0)
    scale = where(large < near, (2.0**80, 2.0**600), scale)
    large, small = large * scale, small * scale
    root = fma(large, large, small * small).intrinsic("sqrt")
    is_infinite = x.equals(math.inf) | y.equals(math.inf)
    return where(is_infinite, math.inf, root * back)


# Trigonometry -------------------------------------------------------------------------------------


def _far_reduction(size: Lanes, per_turn: int, shift: float) -> tuple[Lanes, Lanes]:
    """k modulo per_turn and r with size = (k + shift) 2 pi / per_turn + r, for FAR <= size.

    float32 only. The 24-bit mantissa times a window of 1 / (2 pi) that starts where whole turns
    end, in integers: M. Payne and R. Hanek, "Radian reduction for trigonometric functions", 1983.
    """
    block = size.block

    def widened(instruction: str, x: Lanes) -> Lanes:
        return Lanes(block, block.convert(instruction, x.value, int64))

    bits = size.bits()
    mantissa = widened("zext", (bits & FRACTION) | (1 << 23))
    # size is mantissa * 2**(exponent - 150); the window starts behind the eight zeros in front.
    start = widened("sext", (bits >> 23) - (150 - 8))
    words = [mantissa.of(_wrapped(ONE_TURN >> (192 - 64 * index))) for index in range(4)]
    is_later = start > 63
    first, second, third = (where(is_later, words[i + 1], words[i]) for i in range(3))
    offset = start & 63
    high = first.intrinsic("fshl", second, offset)
    low = second.intrinsic("fshl", third, offset)
    turn = mantissa * high + (mantissa * low.down(32)).down(32)
    places = 65 - per_turn.bit_length()
    turn = turn - int(2.0**places * shift)
    k = (turn + 2 ** (places - 1)).down(places)
    left = (turn - (k << places)).to_floats() * (math.pi * 2.0**-63)
    return (
        Lanes(block, block.convert("trunc", k.value, int32)),
        Lanes(block, block.convert("fptrunc", left.value, float32)),
    )


def _wrapped(bits: int) -> int:
    """The lowest 64 bits as a signed integer."""
    return (bits + 2**63) % 2**64 - 2**63


def _any(mask: Lanes) -> Value:
    return mask.block.reduce("or", mask.value)


def _trigonometric(
    x: Lanes, per_turn: int, shift: float, finish: Callable[[Lanes, Lanes], Lanes], name: str
) -> Lanes:
    """finish(k, r) with x = (k + shift) 2 pi / per_turn + r, |r| at most about pi / per_turn."""
    block = x.block
    divisor = per_turn / 2
    if shift:
        scaled = fma(x, divisor / math.pi, -shift) + MAGIC
    else:
        scaled = fma(x, divisor / math.pi, MAGIC)
    k = scaled.bits()
    n = scaled - MAGIC
    if shift:
        n = n + shift
    r = x
    for part in PI_PARTS:
        r = fma(-n, tuple(each / divisor for each in part), r)
    size = abs(x)
    is_far = (size > FAR) & (size < math.inf)
    if x.is_double:
        # Beyond the range that three parts of pi reduce, the C library's function.
        y = finish(k, r)
        place = block.register(y.value)
        with block.when(_any(is_far)):
            far = Lanes(block, block.intrinsic(name, x.value))
            block.set(place, where(is_far, far, y).value)
        return Lanes(block, block.get(place, y.value))
    k_place, r_place = block.register(k.value), block.register(r.value)
    with block.when(_any(is_far)):
        far_k, far_r = _far_reduction(size, per_turn, shift)
        if not shift:
            # An odd function: k keeps its parity.
            far_r = (far_r.bits() ^ (x.bits() & SIGN)).floats()
        block.set(k_place, where(is_far, far_k, k).value)
        block.set(r_place, where(is_far, far_r, r).value)
    k = Lanes(block, block.get(k_place, k.value))
    return finish(k, Lanes(block, block.get(r_place, r.value)))


HIGHEST_BIT = (31, 63)


def _sine_of_rest(k: Lanes, r: Lanes) -> Lanes:
    """sin(k pi + r)."""
    square = r * r
    # Not r + r**3 (...), which would lose the sign of -0.0.
    y = r * fma(polynomial(square, SIN), square, 1.0)
    return (y.bits() ^ (k << HIGHEST_BIT)).floats()


def _sin(x: Lanes) -> Lanes:
    return _trigonometric(x, 2, 0.0, _sine_of_rest, "sin")


def _cos(x: Lanes) -> Lanes:
    # cos((k + 1/2) pi + r) = sin((k + 1) pi + r).
    return _trigonometric(x, 2, 0.5, lambda k, r: _sine_of_rest(k + 1, r), "cos")


def _tangent_of_rest(k: Lanes, r: Lanes) -> Lanes:
    """tan(k pi/2 + r)."""
    square = r * r
    sine = r * fma(polynomial(square, SIN_SHORT), square, 1.0)
    cosine = fma(polynomial(square, COS_SHORT, -0.5), square, 1.0)
    is_odd = (k & 1).differs(0)
    return where(is_odd, cosine, sine) / where(is_odd, -sine, cosine)


def _tan(x: Lanes) -> Lanes:
    return _trigonometric(x, 4, 0.0, _tangent_of_rest, "tan")


TAN_PI_8 = math.sqrt(2.0) - 1.0
TAN_3_PI_8 = math.sqrt(2.0) + 1.0
# What the rounding of pi leaves over, relative to pi; so it is for half and a quarter of it.
PI_LEFT = tuple(tail / head for head, tail in zip(PI[0], PI[1], strict=True))


def _angle(numerator: Lanes, denominator: Lanes, offset: Lanes) -> Lanes:
    """offset + atan(numerator / denominator), the ratio below tan(pi/8)."""
    t = numerator / denominator
    square = t * t
    rest = fma(polynomial(square, ATAN) * square, t, offset * PI_LEFT)
    return offset + (t + rest)


def _atan(x: Lanes) -> Lanes:
    size = abs(x)
    is_steep, is_middle = size > TAN_3_PI_8, size > TAN_PI_8
    numerator = where(is_steep, -1.0, where(is_middle, size - 1.0, size))
    denominator = where(is_steep, size, where(is_middle, size + 1.0, 1.0))
    offset = where(is_steep, math.pi / 2, where(is_middle, size.of(math.pi / 4), 0.0))
    return signed(_angle(numerator, denominator, offset), x)


def _atan2(y: Lanes, x: Lanes) -> Lanes:
    up, right = abs(y), abs(x)
    largest = where(up > right, up, right)
    # Sums of the two must not overflow; what this flushes to zero is nothing beside the other.
    shrink = where(largest > (2.0**100, 2.0**1000), x.of(2.0**-30), 1.0)
    both = up.equals(math.inf) & right.equals(math.inf)
    up, right = where(both, 1.0, up * shrink), where(both, 1.0, right * shrink)
    is_steep, is_middle = up > right * TAN_3_PI_8, up > right * TAN_PI_8
    numerator = where(is_steep, -right, where(is_middle, up - right, up))
    floor = where(right.equals(0.0), 1.0, right)
    denominator = where(is_steep, up, where(is_middle, up + right, floor))
    offset = where(is_steep, math.pi / 2, where(is_middle, x.of(math.pi / 4), 0.0))
    angle = _angle(numerator, denominator, offset)
    is_left = x.bits() < 0
    return signed(where(is_left, (PI[1] - angle) + PI[0], angle), y)


def _arc_parts(x: Lanes) -> tuple[Lanes, Lanes]:
    """Is |x| > 1/2, and asin of |x|, or of sqrt((1 - |x|) / 2) if it is."""
    size = abs(x)
    is_large = size > 0.5
    square = where(is_large, fma(size, -0.5, 0.5), size * size)
    base = where(is_large, square.intrinsic("sqrt"), size)
    return is_large, fma(polynomial(square, ASIN) * square, base, base)


def _asin(x: Lanes) -> Lanes:
    is_large, part = _arc_parts(x)
    quarter = fma(part, -2.0, tuple(each / 2 for each in PI[0]))
    large = quarter + tuple(each / 2 for each in PI[1])
    return signed(where(is_large, large, part), x)


def _acos(x: Lanes) -> Lanes:
    is_large, part = _arc_parts(x)
    part = signed(part, x)
    double = part + part
    half, half_left = (tuple(each / 2 for each in PI[index]) for index in (0, 1))
    large = where(x < 0.0, (double + PI[1]) + PI[0], double)
    return where(is_large, large, (half_left - part) + half)


# Error functions ----------------------------------------------------------------------------------

ERFC_CENTRE = (2.0, 4.0)
ERFC_END = (10.2, 27.5)


def _erfc_tail(size: Lanes) -> Lanes:
    """erfc(x) for x >= 1/2: a polynomial times exp(-x**2), the square in two parts."""
    x = at_most(size, ERFC_END)
    t = (x - ERFC_CENTRE) / (x + ERFC_CENTRE)
    square = x * x
    _, n, r = _exponential_parts(-square)
    r = r - fma(x, x, -square)
    product = polynomial(r, EXP, 1, 1) * polynomial(t, ERFC)
    return _scale(product / fma(x, 2.0, 1.0), n)


def _erf_near(x: Lanes) -> Lanes:
    """erf(x) for |x| <= 0.93."""
    return fma(polynomial(x * x, ERF), x, x)


def _erfc(x: Lanes) -> Lanes:
    y = _erfc_tail(abs(x))
    y = where(x < 0.0, 2.0 - y, y)
    return where(abs(x) < 0.5, 1.0 - _erf_near(x), y)


def _erf(x: Lanes) -> Lanes:
    size = abs(x)
    near = _erf_near(size)
    if x.is_double:
        far = 1.0 - _erfc_tail(size)
    else:
        end = at_most(size, 4.0)
        u = -(end * polynomial(end, ERF_TAIL))
        rounded = fma(u, LOG2_E[0], MAGIC)
        r = fma(-(rounded - MAGIC), LN2[0], u)
        far = fma(-_power_of_two(rounded), polynomial(r, EXP, 1, 1), 1.0)
    return signed(where(size > 0.925, far, near), x)


# Wichura's normal quantiles: numerators and denominators, lowest power first, in the three ranges.
QUANTILES = (
    ((3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125,
      45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
     (1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
      21213.794301586595867, 39307.895800092710610, 28729.085735721942674, 5226.4952788528545610)),
    ((1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
      3.64784832476320460504, 1.27045825245236838258, 0.241780725177450611770,
      0.0227238449892691845833, 7.74545014278341407640e-4),
     (1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550,
      0.148103976427480074590, 0.0151986665636164571966, 5.47593808499534494600e-4,
      1.05075007164441684324e-9)),
    ((6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
      0.296560571828504891230, 0.0265321895265761230930, 0.00124266094738807843860,
      2.71155556874348757815e-5, 2.01033439929228813265e-7),
     (1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525,
      7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
      2.04426310338993978564e-15)),
)  # fmt: skip


def _erfinv(x: Lanes) -> Lanes:
    """By M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", 1988.

    float64 only.
    """

    def ratio(pair: Sequence[Sequence[float]], at: Lanes) -> Lanes:
        above, below = (polynomial(at, ((), terms)) for terms in pair)
        return above / below

    size = abs(x)
    half = size * 0.5
    near = half * ratio(QUANTILES[0], 0.180625 - half * half)
    # The probability of the tail is exact.
    depth = (-_log((1.0 - size) * 0.5)).intrinsic("sqrt")
    far = where(depth > 5.0, ratio(QUANTILES[2], depth - 5.0), ratio(QUANTILES[1], depth - 1.6))
    y = where(half > 0.425, far, near) * math.sqrt(0.5)
    return signed(where(size < 1.0, y, where(size.equals(1.0), size.of(math.inf), math.nan)), x)


def erfinv(block: Block, x: Value) -> Value:
    """In float64 for both types: all but no random number is another than the definition's."""
    if x.dtype is float64:
        return _erfinv(Lanes(block, x)).value
    wide = _erfinv(Lanes(block, block.convert("fpext", x, float64)))
    return block.convert("fptrunc", wide.value, float32)


# Division -----------------------------------------------------------------------------------------


def _truncated_remainder(x: Lanes, y: Lanes) -> Lanes:
    """x - y * trunc(x / y), exactly, with the sign of x."""
    block = x.block
    size, step = abs(x), abs(y)
    quotient = (size / step).intrinsic("trunc")
    rest = fma(-quotient, step, size)
    # The quotient may have been rounded up to the next integer.
    rest = signed(where(rest < 0.0, rest + step, rest), x)
    is_plain = (quotient < (2.0**22, 2.0**51)) & (step < math.inf)
    place = block.register(rest.value)
    with block.when(_any(is_plain.equals(False))):
        # Long division is the C library's.
        exact = Lanes(block, block.binary("frem", x.value, y.value))
        block.set(place, where(is_plain, rest, exact).value)
    return Lanes(block, block.get(place, rest.value))


def _remainder(x: Lanes, y: Lanes) -> Lanes:
    rest = _truncated_remainder(x, y)
    moved = where((rest < 0.0) ^ (y < 0.0), rest + y, rest)
    return where(rest.equals(0.0), signed(rest, y), moved)


def _floor_divide(x: Lanes, y: Lanes) -> Lanes:
    rest = _truncated_remainder(x, y)
    plain = x / y
    quotient = (x - rest) / y
    is_across = rest.differs(0.0) & ((rest < 0.0) ^ (y < 0.0))
    quotient = where(is_across, quotient - 1.0, quotient)
    whole = quotient.intrinsic("floor")
    whole = where(quotient - whole > 0.5, whole + 1.0, whole)
    whole = where(quotient.equals(0.0), signed(quotient * 0.0, plain), whole)
    is_plain = y.differs(0.0) & (abs(x) < math.inf)
    return where(is_plain, whole, plain.intrinsic("floor"))


# What a kernel calls: (block, x, ...) -> y.
exp = _vector_function(_exp)
exp2 = _vector_function(_exp2)
expm1 = _vector_function(_expm1)
log = _vector_function(_log)
log2 = _vector_function(_log2)
log10 = _vector_function(_log10)
log1p = _vector_function(_log1p)
sin = _vector_function(_sin)
cos = _vector_function(_cos)
tan = _vector_function(_tan)
asin = _vector_function(_asin)
acos = _vector_function(_acos)
atan = _vector_function(_atan)
atan2 = _vector_function(_atan2)
sinh = _vector_function(_sinh)
cosh = _vector_function(_cosh)
tanh = _vector_function(_tanh)
asinh = _vector_function(_asinh)
acosh = _vector_function(_acosh)
atanh = _vector_function(_atanh)
sigmoid = _vector_function(_sigmoid)
erf = _vector_function(_erf)
erfc = _vector_function(_erfc)
power = _vector_function(_power)
cbrt = _vector_function(_cbrt)
rsqrt = _vector_function(_rsqrt)
hypot = _vector_function(_hypot)
remainder = _vector_function(_remainder)
floor_divide = _vector_function(_floor_divide)

"""How each pointwise op is computed on values in registers: the native backend's lowering table.

    lower(block, op_name, values, attrs, result_dtype) -> Value

`table` has an entry for every op of the family "pointwise": a function of the same arguments
without the name, or `Absent` with the reason. Some entries do not take every element type;
`absent(op_name, dtypes)` gives the reason for given types of operands and result.

Values have any number of lanes. Booleans are i1. 16-bit floats are float32 here and are rounded
when stored, or by a cast. The semantics are those of the ops' definitions: integers wrap around,
division by zero gives 0, shifts by the width or more give 0 or the sign, floats become integers
toward zero and saturate. Complex numbers are only added and multiplied, chosen, put together and
taken apart here: `passes/parts.py` has spelled out what else is done with them.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thalweg.backends.llvm import inner, mathematics
from thalweg.backends.llvm.block import Block, Value, number
from thalweg.base.errors import DTypeError, explain
from thalweg.base.table import Absent, Table
from thalweg.ir.op import vocabulary
from thalweg.ir.types import (
    DType,
    bfloat16,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int16,
    int32,
    int64,
)

table = Table(
    "native pointwise",
    lambda: [name for name, op in vocabulary.items() if op.family == "pointwise"],
)

COMPLEX = Absent("spelled out in terms of the real and the imaginary part")
WHOLE = frozenset(
    ("real", "imag", "complex", "negative", "add", "subtract", "multiply", "select")
)  # fmt: skip
"""What is computed with complex numbers as they are, beside casts among them."""
SPECIAL = Absent("no vector form: series and continued fractions of data-dependent length")
EXPANDS = Absent("spelled out before it reaches the backend")


def lower(
    block: Block, name: str, values: Sequence[Value], attrs: Mapping[str, Any], dtype: DType
) -> Value:
    """Write an op on values; `dtype` is the element type of the result in registers.

    Raises DTypeError where the table has no entry.
    """
    if name in inner.OPS:
        return inner.OPS[name](block, *values, **attrs)
    entry = table[name]
    if not entry:
        raise DTypeError(explain(name, "an op with a native form", entry.reason))
    return entry(block, values, attrs, dtype)


def absent(name: str, dtypes: Sequence[DType]) -> Absent | None:
    """Why an op cannot be lowered for these element types of operands and result; None if it can.

    The types are those of the tensors, 16-bit floats included.
    """
    entry = table[name]
    if not entry:
        return entry
    if any(dtype.is_complex for dtype in dtypes):
        is_whole = name in WHOLE or (name == "cast" and all(each.is_complex for each in dtypes))
        return None if is_whole else COMPLEX
    return None


# Kinds of entries ---------------------------------------------------------------------------------


def _entry(*names: str) -> Callable[[Callable], Callable]:
    """Enter a function of (block, *values) under names; the name is given where it wants one."""

    def enter(function: Callable[..., Value]) -> Callable[..., Value]:
        for name in names:
            given = (name,) if len(names) > 1 else ()
            table.add(name, functools.partial(_call, function, given))
        return function

    return enter


def _call(
    function: Callable[..., Value],
    given: tuple[str, ...],
    block: Block,
    values: Sequence[Value],
    attrs: Mapping[str, Any],
    dtype: DType,
) -> Value:
    return function(block, *given, *values, **attrs)


# Arithmetic ---------------------------------------------------------------------------------------


@_entry("negative")
def _negative(block: Block, x: Value) -> Value:
    return block.negative(x)


@_entry("add")
def _add(block: Block, x: Value, y: Value) -> Value:
    return block.add(x, y)


@_entry("subtract")
def _subtract(block: Block, x: Value, y: Value) -> Value:
    return block.subtract(x, y)


@_entry("multiply")
def _multiply(block: Block, x: Value, y: Value) -> Value:
    return block.multiply(x, y)


@_entry("multiply_no_nan")
def _multiply_no_nan(block: Block, x: Value, y: Value) -> Value:
    zero = block.like(x, 0)
    return block.select(block.compare("eq", y, zero), zero, block.multiply(x, y))


@_entry("divide")
def _divide(block: Block, x: Value, y: Value) -> Value:
    return block.divide(x, y)


def _integer_quotient(block: Block, x: Value, y: Value) -> tuple[Value, Value]:
    """Quotient and remainder, rounded down; a zero divisor gives something, not a fault."""
    zero, one = block.like(x, 0), block.like(x, 1)
    is_fault = block.compare("eq", y, zero)
    if x.dtype.kind == "uint":
        divisor = block.select(is_fault, one, y)
        quotient = block.divide(x, divisor)
        return quotient, block.subtract(x, block.multiply(quotient, divisor))
    # The smallest number by -1 overflows; negation wraps around as it should.
    is_minus_one = block.compare("eq", y, block.like(x, -1))
    divisor = block.select(block.binary("or", is_fault, is_minus_one), one, y)
    quotient = block.divide(x, divisor)
    rest = block.subtract(x, block.multiply(quotient, divisor))
    signs_differ = block.compare("lt", block.binary("xor", rest, divisor), zero)
    is_below = block.binary("and", block.compare("ne", rest, zero), signs_differ)
    quotient = block.select(is_below, block.subtract(quotient, one), quotient)
    rest = block.select(is_below, block.add(rest, divisor), rest)
    return block.select(is_minus_one, block.negative(x), quotient), rest


@_entry("floor_divide")
def _floor_divide(block: Block, x: Value, y: Value) -> Value:
    if x.dtype.is_float:
        return mathematics.floor_divide(block, x, y)
    zero = block.like(x, 0)
    quotient, _ = _integer_quotient(block, x, y)
    return block.select(block.compare("eq", y, zero), zero, quotient)


@_entry("remainder")
def _remainder(block: Block, x: Value, y: Value) -> Value:
    if x.dtype.is_float:
        return mathematics.remainder(block, x, y)
    zero = block.like(x, 0)
    _, rest = _integer_quotient(block, x, y)
    return block.select(block.compare("eq", y, zero), zero, rest)


@_entry("power")
def _power(block: Block, x: Value, y: Value) -> Value:
    if x.dtype.is_float:
        return mathematics.power(block, x, y)
    zero, one = block.like(x, 0), block.like(x, 1)
    is_signed = x.dtype.kind == "int"
    exponent = block.intrinsic("smax", y, zero) if is_signed else y
    # Squaring and multiplying, as many rounds as the longest exponent has bits.
    used = block.reduce("or", exponent)
    free = block.intrinsic("ctlz", used, tail="i1 false")
    rounds = block.subtract(block.like(used, used.dtype.bits), free)
    if used.dtype.bits < 64:
        rounds = block.convert("zext", rounds, int64)
    result, base, left = (block.register(each) for each in (one, x, exponent))
    # Registers are set where they are made, so that a loop around this one starts afresh.
    with block.loop(number(0, int64), Value(rounds.name, int64), number(1, int64)):
        factor, rest, former = (block.get(each, x) for each in (base, left, result))
        is_odd = block.compare("ne", block.binary("and", rest, one), zero)
        block.set(result, block.select(is_odd, block.multiply(former, factor), former))
        block.set(base, block.multiply(factor, factor))
        block.set(left, block.binary("lshr", rest, one))
    power = block.get(result, x)
    if not is_signed:
        return power
    is_even = block.compare("eq", block.binary("and", y, one), zero)
    is_one = block.compare("eq", block.intrinsic("abs", x, tail="i1 false"), one)
    inverse = block.select(is_one, block.select(is_even, one, x), zero)
    return block.select(block.compare("lt", y, zero), inverse, power)


@_entry("maximum", "minimum")
def _extremum(block: Block, name: str, x: Value, y: Value) -> Value:
    if x.dtype.is_float:
        # LLVM's word for it: NaN if either is, and -0.0 is less than 0.0.
        return block.intrinsic(name, x, y)
    return block.intrinsic(("s" if x.dtype.kind == "int" else "u") + name[:3], x, y)


@_entry("abs")
def _abs(block: Block, x: Value) -> Value:
    if x.dtype.is_float:
        return block.intrinsic("fabs", x)
    return block.intrinsic("abs", x, tail="i1 false") if x.dtype.kind == "int" else x


@_entry("sign")
def _sign(block: Block, x: Value) -> Value:
    zero, one = block.like(x, 0), block.like(x, 1)
    rest = zero
    if x.dtype.is_float:
        rest = block.select(block.compare("eq", x, zero), zero, x)
    if x.dtype.kind != "uint":
        rest = block.select(block.compare("lt", x, zero), block.like(x, -1), rest)
    return block.select(block.compare("gt", x, zero), one, rest)


_INTRINSICS = {
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "round": "roundeven",
    "sqrt": "sqrt",
    "copysign": "copysign",
    "population_count": "ctpop",
}


@_entry(*_INTRINSICS)
def _intrinsic(block: Block, name: str, *values: Value) -> Value:
    return block.intrinsic(_INTRINSICS[name], *values)


def _bits_of(block: Block, x: Value, source: DType) -> Value:
    """The bits that a float has in memory, as a signed integer."""
    if source is float16:
        return block.bitcast(block.convert("fptrunc", x, float16), int16)
    bits = block.bitcast(x, int64 if x.dtype is float64 else int32)
    if source is bfloat16:
        return block.convert("trunc", block.binary("lshr", bits, block.like(bits, 16)), int16)
    return bits


def _of_bits(block: Block, bits: Value, dtype: DType) -> Value:
    """The float of these bits, in the type in which it is computed with."""
    if dtype is float16:
        return block.convert("fpext", block.bitcast(bits, float16), float32)
    if dtype is bfloat16:
        wide = block.convert("zext", bits, int32)
        return block.bitcast(block.binary("shl", wide, block.like(wide, 16)), float32)
    return block.bitcast(bits, dtype)


@_entry("nextafter")
def _nextafter(block: Block, x: Value, y: Value, *, source: DType) -> Value:
    zero = block.like(x, 0.0)
    bits = _bits_of(block, x, source)
    one = block.like(bits, 1)
    is_away = block.binary(
        "xor", block.compare("lt", x, y), block.compare("lt", x, zero)
    )  # true where the magnitude grows
    moved = block.select(is_away, block.add(bits, one), block.subtract(bits, one))
    smallest = block.intrinsic("copysign", _of_bits(block, one, source), y)
    is_zero = block.compare("eq", x, zero)
    next_one = block.select(is_zero, smallest, _of_bits(block, moved, source))
    next_one = block.select(block.compare("eq", x, y), y, next_one)
    total = block.add(x, y)  # NaN where either is
    return block.select(_is_nan(block, x, y), total, next_one)


def _is_nan(block: Block, *values: Value) -> Value:
    tests = [block.compare("ne", value, value) for value in values]
    return functools.reduce(lambda x, y: block.binary("or", x, y), tests)


# Functions of this backend's own ------------------------------------------------------------------


@_entry(
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sigmoid", "sin", "cos", "tan",
    "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "hypot",
    "rsqrt", "cbrt", "erf", "erfc", "erfinv",
)  # fmt: skip
def _function(block: Block, name: str, *values: Value) -> Value:
    return getattr(mathematics, name)(block, *values)


for _name in (
    "polygamma", "zeta", "gammainc_da", "gammainc", "gammaincc", "betainc",
):  # fmt: skip
    table.add(_name, SPECIAL)

table.add("conj", COMPLEX)

for _name in ("relu", "softplus", "log_sigmoid", "silu", "gelu", "lgamma", "digamma", "i0e", "i1e"):
    table.add(_name, EXPANDS)

# Comparison, logic, choice ------------------------------------------------------------------------

_RELATIONS = {
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
}


@_entry(*_RELATIONS)
def _compare(block: Block, name: str, x: Value, y: Value) -> Value:
    return block.compare(_RELATIONS[name], x, y)


@_entry("isnan")
def _isnan(block: Block, x: Value) -> Value:
    return _is_nan(block, x)


@_entry("isinf")
def _isinf(block: Block, x: Value) -> Value:
    return block.compare("eq", block.intrinsic("fabs", x), block.like(x, float("inf")))


@_entry("isfinite")
def _isfinite(block: Block, x: Value) -> Value:
    return block.compare("lt", block.intrinsic("fabs", x), block.like(x, float("inf")))


@_entry("logical_not", "bitwise_not")
def _not(block: Block, name: str, x: Value) -> Value:
    return block.binary("xor", x, block.like(x, True if x.dtype is bool_ else -1))


@_entry(
    "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"
)  # fmt: skip
def _logic(block: Block, name: str, x: Value, y: Value) -> Value:
    return block.binary(name.split("_")[1], x, y)


@_entry("real", "imag")
def _half(block: Block, name: str, z: Value) -> Value:
    return block.half(z, int(name == "imag"))


@_entry("complex")
def _complex(block: Block, re: Value, im: Value) -> Value:
    return block.complex_of(re, im, complex64 if re.dtype is float32 else complex128)


@_entry("select")
def _select(block: Block, condition: Value, x: Value, y: Value) -> Value:
    return block.select(condition, x, y)


# Bits ---------------------------------------------------------------------------------------------


@_entry("left_shift", "right_shift")
def _shift(block: Block, name: str, x: Value, y: Value) -> Value:
    zero, width = block.like(x, 0), x.dtype.bits
    is_inside = block.compare("lt", y, block.like(y, width))
    if y.dtype.kind == "int":
        is_inside = block.binary("and", is_inside, block.compare("ge", y, zero))
    if name == "right_shift" and x.dtype.kind == "int":
        # All the way down only the sign is left.
        return block.binary("ashr", x, block.select(is_inside, y, block.like(y, width - 1)))
    places = block.select(is_inside, y, zero)
    shifted = block.binary("shl" if name == "left_shift" else "lshr", x, places)
    return block.select(is_inside, shifted, zero)


@_entry("leading_zeros")
def _leading_zeros(block: Block, x: Value) -> Value:
    return block.intrinsic("ctlz", x, tail="i1 false")


# Changing the element type ------------------------------------------------------------------------


def _round_to_bfloat16(block: Block, x: Value) -> Value:
    """A float32 rounded to bfloat16's precision, ties to even."""
    # In integers, because the CPU's own conversion flushes denormal numbers to zero.
    bits = block.bitcast(x, int32)
    last = block.binary(
        "and", block.binary("lshr", bits, block.like(bits, 16)), block.like(bits, 1)
    )
    rounded = block.add(block.add(bits, block.like(bits, 0x7FFF)), last)
    kept = block.binary("and", rounded, block.like(bits, -0x10000))
    return block.select(_is_nan(block, x), x, block.bitcast(kept, float32))


def _to_odd(block: Block, x: Value) -> Value:
    """A float64 as float32, odd where it is inexact, so that it can be rounded once more."""
    near = block.convert("fptrunc", x, float32)
    back = block.convert("fpext", near, float64)
    bits = block.bitcast(near, int32)
    one = block.like(bits, 1)
    is_above = block.compare(
        "gt", block.intrinsic("fabs", back), block.intrinsic("fabs", x)
    )  # fmt: skip
    below = block.select(is_above, block.subtract(bits, one), bits)
    # A NaN is not exact either: its last bit may well be set.
    is_inexact = block.compare("ne", back, x)
    odd = block.select(is_inexact, block.binary("or", below, one), bits)
    return block.bitcast(odd, float32)


def _to_narrow(block: Block, x: Value, dtype: DType) -> Value:
    """A float rounded to a 16-bit type, in a float32 register."""
    if dtype is bfloat16:
        wide = block.convert("fptrunc", x, float32) if x.dtype is float64 else x
        return _round_to_bfloat16(block, wide)
    wide = _to_odd(block, x) if x.dtype is float64 else x
    return block.convert("fpext", block.convert("fptrunc", wide, float16), float32)


def _to_integer(block: Block, x: Value, dtype: DType) -> Value:
    """Toward zero; NaN gives 0 and the rest saturates."""
    name = "fptosi.sat" if dtype.kind == "int" else "fptoui.sat"
    return block.intrinsic(name, x, result=dtype)


@_entry("cast")
def _cast(block: Block, x: Value, *, dtype: DType) -> Value:
    source, is_narrow = x.dtype, dtype in (float16, bfloat16)
    if dtype.is_complex:
        if source is dtype:
            return x
        return block.convert("fpext" if dtype is complex128 else "fptrunc", x, dtype)
    if dtype is bool_:
        return x if source is bool_ else block.compare("ne", x, block.like(x, 0))
    if source.is_float:
        if dtype.is_integer:
            return _to_integer(block, x, dtype)
        if is_narrow:
            return _to_narrow(block, x, dtype)
        if source is dtype:
            return x
        return block.convert("fpext" if dtype is float64 else "fptrunc", x, dtype)
    is_signed = source.kind == "int"
    if dtype.is_float:
        wide = block.convert(
            "sitofp" if is_signed else "uitofp", x, float32 if is_narrow else dtype
        )
        return _to_narrow(block, wide, dtype) if is_narrow else wide
    bits = 1 if source is bool_ else source.bits
    if bits == dtype.bits:
        return Value(x.name, dtype, x.lanes)
    if bits > dtype.bits:
        return block.convert("trunc", x, dtype)
    return block.convert("sext" if is_signed else "zext", x, dtype)


@_entry("bitcast")
def _bitcast(block: Block, x: Value, *, dtype: DType, source: DType) -> Value:
    if source is dtype:
        return x
    bits = _bits_of(block, x, source) if source.is_float else x
    return _of_bits(block, bits, dtype) if dtype.is_float else Value(bits.name, dtype, x.lanes)

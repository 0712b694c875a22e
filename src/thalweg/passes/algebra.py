"""Rules of arithmetic, logic and choice that hold bit for bit, for every element type they match.

`x + 0 -> x` is not here: it loses the sign of -0.0. `x * 0 -> 0` is not: infinities and NaN.
"""

from collections.abc import Sequence

from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import ANY, Node
from thalweg.ir.rewrite import Rules, weight
from thalweg.ir.types import DType, bool_, promote
from thalweg.ops.elementwise import (
    abs,
    add,
    bitwise_not,
    cast,
    complex_of,
    conj,
    divide,
    equal,
    greater,
    greater_equal,
    imag,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    multiply_no_nan,
    negative,
    not_equal,
    real,
    select,
    subtract,
)
from thalweg.ops.mark import alias, stop_gradient

X, B, C = "f64[2,3]", "bool[2,3]", "c128[2,3]"


def truth_like(x: Node, value: bool) -> Node:
    """A boolean constant of x's shape; in a pattern, of any."""
    return full_like(x, value) if x.type is ANY else full(value, bool_, x.shape)


def keeps_values(source: DType, target: DType) -> bool:
    """True when a cast to `target` loses nothing that `source` can hold."""
    if source is target or source.kind == "bool":
        return True
    if source.is_integer and target.is_integer:
        if source.kind == target.kind:
            return source.bits <= target.bits
        return source.kind == "uint" and source.bits < target.bits
    if source.is_integer:
        digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
        return source.bits - (source.kind == "int") <= digits.get(target.real.name, 0)
    if target.is_integer or target.kind == "bool" or (source.is_complex and not target.is_complex):
        return False
    return promote(source.real, target.real) is target.real


def measure(nodes: Sequence[Node]) -> tuple[int, int]:
    """Operations, and among equals the products."""
    return weight(nodes), sum(node.op is multiply for node in nodes)


rules = Rules("algebra", "exact", measure)


@rules.equation((X,), ("i32[2,3]",), ("bf16[3]",))
def multiply_one(x):
    yield multiply(x, full_like(x, 1))
    # (a + bi)(1 + 0i) multiplies by zero, which turns infinities into NaN.
    if not x.dtype.is_complex:
        yield x


@rules.equation((X,), ("i32[3]",))
def multiply_minus_one(x):
    yield multiply(x, full_like(x, -1))
    if not x.dtype.is_complex:
        yield negative(x)


@rules.equation((X,), ("f16[3]",))
def divide_one(x):
    yield divide(x, full_like(x, 1))
    if not x.dtype.is_complex:
        yield x


@rules.equation((X,), ("u8[3]",), (C,))
def subtract_zero(x):
    yield subtract(x, full_like(x, 0))
    # x - (+0.0) keeps -0.0; x - (-0.0) does not, and the pattern matches +0.0 alone.
    yield x


@rules.equation((X,))
def add_minus_zero(x):
    yield add(x, full_like(x, -0.0))
    # The imaginary part of the constant is +0.0.
    if x.dtype.is_float:
        yield x


@rules.equation(("i64[2,3]",), ("u8[3]",))
def add_integer_zero(x):
    yield add(x, full_like(x, 0))
    if x.dtype.is_integer:
        yield x


@rules.equation(("i64[2,3]",), ("u8[3]",))
def multiply_integer_zero(x):
    yield multiply(x, full_like(x, 0))
    if x.dtype.is_integer:
        yield full_like(x, 0)


@rules.equation((X,), ("i8[3]",))
def negate_twice(x):
    yield negative(negative(x))
    yield x


@rules.equation((X, X), ("i32[3]", "i32[3]"))
def add_negative(x, y):
    yield add(x, negative(y))
    yield subtract(x, y)


@rules.equation((X, X), ("u16[3]", "u16[3]"))
def subtract_negative(x, y):
    yield subtract(x, negative(y))
    yield add(x, y)


@rules.equation(("i32[3]", "i32[3]"))
def negate_difference(x, y):
    yield negative(subtract(x, y))
    # For floats the two differ in the sign of a zero.
    if x.dtype.is_integer:
        yield subtract(y, x)


@rules.equation((X, X))
def multiply_negatives(x, y):
    yield multiply(negative(x), negative(y))
    yield multiply(x, y)


@rules.equation((X, X))
def divide_negatives(x, y):
    yield divide(negative(x), negative(y))
    # The sign of a zero part of a complex quotient comes of sums of products.
    if not x.dtype.is_complex:
        yield divide(x, y)


@rules.equation((X,))
def magnitude_of_negative(x):
    yield abs(negative(x))
    # An unsigned number wraps around to another one.
    if x.dtype.kind != "uint":
        yield abs(x)


@rules.equation((X,))
def magnitude_twice(x):
    yield abs(abs(x))
    yield abs(x)


@rules.equation((X,))
def multiply_no_nan_one(x):
    yield multiply_no_nan(x, full_like(x, 1))
    yield x


@rules.equation((X,))
def multiply_no_nan_zero(x):
    yield multiply_no_nan(x, full_like(x, 0))
    yield full_like(x, 0)


@rules.equation((X,))
def maximum_of_same(x):
    yield maximum(x, x)
    yield x


@rules.equation((X,))
def minimum_of_same(x):
    yield minimum(x, x)
    yield x


@rules.equation((B, X), (B, "i8[2,3]"))
def select_of_same(c, x):
    yield select(c, x, x)
    yield x


@rules.equation((X, X))
def select_true(x, y):
    yield select(truth_like(x, True), x, y)
    yield x


@rules.equation((X, X))
def select_false(x, y):
    yield select(truth_like(x, False), x, y)
    yield y


@rules.equation((B, X, X))
def select_of_not(c, x, y):
    yield select(logical_not(c), x, y)
    yield select(c, y, x)


@rules.equation((B, X, X, X))
def select_twice_true(c, x, y, z):
    yield select(c, select(c, x, y), z)
    yield select(c, x, z)


@rules.equation((B, X, X, X))
def select_twice_false(c, x, y, z):
    yield select(c, x, select(c, y, z))
    yield select(c, x, z)


@rules.equation((B,))
def not_twice(x):
    yield logical_not(logical_not(x))
    yield x


@rules.equation(("i16[3]",))
def invert_twice(x):
    yield bitwise_not(bitwise_not(x))
    yield x


@rules.equation((B,))
def and_of_same(x):
    yield logical_and(x, x)
    yield x


@rules.equation((B,))
def or_of_same(x):
    yield logical_or(x, x)
    yield x


@rules.equation((B,))
def and_true(x):
    yield logical_and(x, full_like(x, True))
    yield x


@rules.equation((B,))
def and_false(x):
    yield logical_and(x, full_like(x, False))
    yield full_like(x, False)


@rules.equation((B,))
def or_false(x):
    yield logical_or(x, full_like(x, False))
    yield x


@rules.equation((B,))
def or_true(x):
    yield logical_or(x, full_like(x, True))
    yield full_like(x, True)


@rules.equation((B,))
def xor_false(x):
    yield logical_xor(x, full_like(x, False))
    yield x


@rules.equation((X, X), (C, C))
def not_equal_from_equal(x, y):
    yield logical_not(equal(x, y))
    yield not_equal(x, y)


@rules.equation((X, X))
def equal_from_not_equal(x, y):
    yield logical_not(not_equal(x, y))
    yield equal(x, y)


@rules.equation(("i32[3]", "i32[3]"))
def not_less(x, y):
    yield logical_not(less(x, y))
    # NaN is neither less nor greater_equal.
    if not x.dtype.is_inexact:
        yield greater_equal(x, y)


@rules.equation(("i32[3]", "i32[3]"))
def not_greater(x, y):
    yield logical_not(greater(x, y))
    if not x.dtype.is_inexact:
        yield less_equal(x, y)


@rules.equation(("i32[3]",), (B,))
def equal_to_itself(x):
    yield equal(x, x)
    if not x.dtype.is_inexact:
        yield truth_like(x, True)


@rules.equation(("c64[3]",))
def conjugate_twice(x):
    yield conj(conj(x))
    yield x


@rules.equation((X, X))
def real_of_complex(x, y):
    yield real(complex_of(x, y))
    yield x


@rules.equation((X, X))
def imaginary_of_complex(x, y):
    yield imag(complex_of(x, y))
    yield y


@rules.equation(("c128[3]",))
def complex_of_parts(x):
    yield complex_of(real(x), imag(x))
    yield x


@rules.equation((("f32[3]",), {"dtype": "float32"}))
def cast_to_same(x, *, dtype):
    yield cast(x, dtype=dtype)
    if x.dtype is dtype:
        yield x


@rules.equation(
    (("f32[3]",), {"inner": "float64", "outer": "float32"}),
    (("bf16[3]",), {"inner": "float32", "outer": "float64"}),
    (("u8[3]",), {"inner": "int32", "outer": "float32"}),
    (("bool[3]",), {"inner": "int8", "outer": "float32"}),
    (("u8[3]",), {"inner": "float32", "outer": "int16"}),
)
def cast_twice(x, *, inner, outer):
    yield cast(cast(x, dtype=inner), dtype=outer)
    # From float to integer a number out of range saturates, from integer to integer it wraps.
    is_detour = x.dtype.is_integer and inner.is_inexact and outer.is_integer
    if keeps_values(x.dtype, inner) and (not is_detour or keeps_values(x.dtype, outer)):
        yield cast(x, dtype=outer)


@rules.equation((("f32[3]",), {"tag": "t"}))
def alias_away(x, *, tag):
    yield alias(x, tag=tag)
    yield x


@rules.equation((X,))
def stop_gradient_away(x):
    yield stop_gradient(x)
    yield x

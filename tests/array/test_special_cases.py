"""What element-wise functions give for NaN, infinities and zeros, by the standard's own lists.

A row of a table names a function, the class of each operand, and the result:

    class   nan  inf  -inf  0  -0  1  -1 ...    that value; `~` before it: both signs
            fin  fin>0  fin<0  fin!=0           finite numbers;  >0  <0: infinity among them
    result  a value;  ~ before it: of either sign;  x  |x|  -|x|  y  |y|: the operand's
            words with pi or a point in them: within two units in the last place

Where the standard leaves a choice, or NumPy, which is our definition, has another value, a comment
says so. All other values are compared bit for bit, but for the sign of NaN.
"""

import itertools
import math
import operator

import numpy as np
import pytest

import thalweg as tw

NAN, INF, PI = math.nan, math.inf, math.pi
POSITIVE = [0.5, 1.0, 1.5, 2.0, 3.0, 1e4]
NEGATIVE = [-value for value in POSITIVE]
FINITE = [*POSITIVE, *NEGATIVE, 0.0, -0.0]
EVERY = [*FINITE, INF, -INF, NAN]

CLASSES = {
    "any": EVERY,
    "number": [*FINITE, INF, -INF],
    "fin": FINITE, "fin>0": POSITIVE, "fin<0": NEGATIVE, "fin!=0": [*POSITIVE, *NEGATIVE],
    ">0": [*POSITIVE, INF], "<0": [*NEGATIVE, -INF],
    "!=0": [value for value in EVERY if value != 0], "!=1": [v for v in EVERY if v != 1],
    ">1": [1.5, 3.0, INF], "<1": [0.5, 0.0, -0.0, -1.0, -INF], "<-1": [-1.5, -3.0, -INF],
    "big": [1.5, 3.0, INF, -1.5, -3.0, -INF], "small": [0.5, -0.5, 0.0, -0.0],
    "odd>0": [1.0, 3.0], "odd<0": [-1.0, -3.0],
    "other>0": [0.5, 1.5, 2.0, 1e4, INF], "other<0": [-0.5, -1.5, -2.0, -1e4, -INF],
    "fraction": [0.5, 1.5, -0.5, -1.5], "whole": [1.0, 2.0, 3.0, 1e4, -1.0, -2.0, -3.0, -1e4],
}  # fmt: skip

VALUES = {
    "nan": NAN, "inf": INF, "pi": PI, "pi/2": PI / 2, "pi/4": PI / 4, "3pi/4": 3 * PI / 4,
    "true": True, "false": False,
}  # fmt: skip

DTYPES = ["float32", "float64"]


def value_of(word):
    """The number that a word writes, and whether its sign matters."""
    if word.startswith("-"):
        return -value_of(word[1:])
    return VALUES[word] if word in VALUES else float(word)


def class_of(word):
    if word in CLASSES:
        return CLASSES[word]
    if word.startswith("~"):
        return [value_of(word[1:]), -value_of(word[1:])]
    return [value_of(word)]


def rows(text):
    """(function, classes, result) for each line; a line of one word names the function."""
    name = ""
    for line in text.strip().splitlines():
        words = line.split("#")[0].split()
        if len(words) == 1:
            (name,) = words
        elif words:
            yield name, words[:-1], words[-1]


def by_name(text):
    found = {}
    for name, classes, result in rows(text):
        found.setdefault(name, []).append((classes, result))
    return found


def agrees(found, word, operands):
    """Whether a value is what a word says."""
    if word.startswith("~"):
        return agrees(abs(found), word[1:], [abs(each) for each in operands])
    as_operands = {"x": 0, "y": 1, "|x|": 0, "|y|": 1, "-|x|": 0}
    if word in as_operands:
        wanted = operands[as_operands[word]]
        wanted = wanted if "|" not in word else -abs(wanted) if word[0] == "-" else abs(wanted)
    else:
        wanted = np.asarray(value_of(word), np.asarray(found).dtype)
    if np.isnan(wanted):
        return bool(np.isnan(found))
    if "pi" in word or "." in word:
        return bool(abs(found - wanted) <= 2 * np.spacing(abs(wanted)))
    return bool(found == wanted and np.signbit(found) == np.signbit(wanted))


def eager(function):
    return function


def traced(function):
    return tw.function(lambda *operands: function(*operands))


def check(name, table, dtype, how):
    """Every row of a function, computed together; the message lists the rows that fail."""
    cases = [
        (point, word)
        for classes, word in table
        for point in itertools.product(*map(class_of, classes))
    ]
    columns = [
        np.array(column, dtype) for column in zip(*(point for point, _ in cases), strict=True)
    ]
    found = how(getattr(tw, name))(*map(tw.asarray, columns)).numpy()
    wrong = [
        f"{name}{tuple(map(float, point))} is {value}, not {word}"
        for value, word, *point in zip(found, (word for _, word in cases), *columns, strict=True)
        if not agrees(value.real if value.dtype.kind == "b" else value, word, point)
    ]
    assert not wrong, "\n".join(wrong)
    if found.dtype != bool:
        assert found.dtype == dtype


UNARY = by_name("""
abs
    nan   nan
    ~0    0
    ~inf  inf
    fin   |x|
acos
    nan   nan
    >1    nan
    <-1   nan
    1     0
    -1    pi
acosh
    nan   nan
    <1    nan
    1     0
    inf   inf
asin
    nan   nan
    >1    nan
    <-1   nan
    ~0    x
    1     pi/2
asinh
    nan   nan
    ~0    x
    ~inf  x
atan
    nan   nan
    ~0    x
    inf   pi/2
    -inf  -pi/2
atanh
    nan   nan
    >1    nan
    <-1   nan
    -1    -inf
    1     inf
    ~0    x
ceil
    nan   nan
    ~inf  x
    ~0    x
    whole x
    -0.5  -0
    0.5   1
    -1.5  -1
conj
    any   x
cos
    nan   nan
    ~0    1
    ~inf  nan
cosh
    nan   nan
    ~0    1
    ~inf  inf
exp
    nan   nan
    ~0    1
    inf   inf
    -inf  0
expm1
    nan   nan
    ~0    x
    inf   inf
    -inf  -1
floor
    nan   nan
    ~inf  x
    ~0    x
    whole x
    -0.5  -1
    0.5   0
    -1.5  -2
imag
    any   0
isfinite
    fin   true
    ~inf  false
    nan   false
isinf
    fin   false
    ~inf  true
    nan   false
isnan
    fin   false
    ~inf  false
    nan   true
log
    nan   nan
    <0    nan
    ~0    -inf
    1     0
    inf   inf
log10
    nan   nan
    <0    nan
    ~0    -inf
    1     0
    inf   inf
log1p
    nan   nan
    <-1   nan
    -1    -inf
    ~0    x
    inf   inf
log2
    nan   nan
    <0    nan
    ~0    -inf
    1     0
    inf   inf
negative
    nan   nan
    0     -0
    -0    0
    inf   -inf
    -inf  inf
positive
    any   x
real
    any   x
reciprocal
    nan   nan
    0     inf
    -0    -inf
    inf   0
    -inf  -0
    ~1    x
round
    nan   nan
    ~inf  x
    ~0    x
    whole x
    0.5   0       # ties to even
    -0.5  -0
    1.5   2
    2.5   2
    -2.5  -2
    3.5   4
sign
    nan   nan
    >0    1
    <0    -1
    ~0    0       # of either zero, as in NumPy
signbit
    >0    false
    <0    true
    0     false
    -0    true
    nan   false
sin
    nan   nan
    ~0    x
    ~inf  nan
sinh
    nan   nan
    ~0    x
    ~inf  x
sqrt
    nan   nan
    <0    nan
    ~0    x
    inf   inf
    1     1
square
    nan   nan
    ~0    0
    ~inf  inf
    ~1    1
tan
    nan   nan
    ~0    x
    ~inf  nan
tanh
    nan   nan
    ~0    x
    inf   1
    -inf  -1
trunc
    nan   nan
    ~inf  x
    ~0    x
    whole x
    -0.5  -0
    0.5   0
    -1.5  -1
    1.5   1
""")


@pytest.mark.parametrize("how", [eager, traced])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name, dtype, how):
    check(name, UNARY[name], dtype, how)


BINARY = by_name("""
add
    nan    any    nan
    any    nan    nan
    inf    -inf   nan
    -inf   inf    nan
    inf    inf    inf
    -inf   -inf   -inf
    ~inf   fin    x
    fin    ~inf   y
    -0     -0     -0
    -0     0      0
    0      -0     0
    0      0      0
    ~0     fin!=0 y
    fin!=0 ~0     x
    2      -2     0
subtract
    nan    any    nan
    any    nan    nan
    inf    inf    nan
    -inf   -inf   nan
    inf    -inf   inf
    -inf   inf    -inf
    ~inf   fin    x
    fin    inf    -inf
    fin    -inf   inf
    -0     0      -0
    -0     -0     0
    0      0      0
    0      -0     0
    fin!=0 ~0     x
    2      2      0
multiply
    nan    any    nan
    any    nan    nan
    ~inf   ~0     nan
    ~0     ~inf   nan
    inf    >0     inf
    inf    <0     -inf
    -inf   >0     -inf
    -inf   <0     inf
    >0     -inf   -inf
    <0     inf    -inf
    0      fin>0  0
    0      fin<0  -0
    -0     fin>0  -0
    -0     fin<0  0
    -0     -0     0
    -0     0      -0
    fin    1      x
divide
    nan    any    nan
    any    nan    nan
    ~inf   ~inf   nan
    ~0     ~0     nan
    0      >0     0
    -0     >0     -0
    0      <0     -0
    -0     <0     0
    >0     0      inf
    >0     -0     -inf
    <0     0      -inf
    <0     -0     inf
    inf    fin>0  inf
    inf    fin<0  -inf
    -inf   fin>0  -inf
    -inf   fin<0  inf
    fin>0  inf    0
    fin>0  -inf   -0
    fin<0  inf    -0
    fin<0  -inf   0
    fin    1      x
floor_divide
    nan    any    nan
    any    nan    nan
    ~inf   ~inf   nan
    ~0     ~0     nan
    0      >0     0
    -0     >0     -0
    0      <0     -0
    -0     <0     0
    >0     0      inf
    >0     -0     -inf
    <0     0      -inf
    <0     -0     inf
    inf    fin>0  inf     # ours: as floor(x / y), where Python has nan
    inf    fin<0  -inf
    -inf   fin>0  -inf
    -inf   fin<0  inf
    fin>0  inf    0
    fin<0  -inf   0
    fin>0  -inf   -1      # ours: as Python, where floor(x / y) is -0
    fin<0  inf    -1
    1      -2     -1
    -3     2      -2
    3      2      1
    -3     -2     1
remainder
    nan    any    nan
    any    nan    nan
    ~inf   any    nan
    ~0     ~0     nan
    ~0     >0     0
    ~0     <0     -0
    fin!=0 ~0     nan
    fin>0  inf    x
    fin>0  -inf   y
    fin<0  inf    y
    fin<0  -inf   x
    3      2      1
    -3     2      1
    3      -2     -1
    -3     -2     -1
    2      2      0
    -2     2      0
    2      -2     -0
    -2     -2     -0
pow
    !=1    nan    nan
    any    ~0     1       # even of NaN
    nan    !=0    nan
    big    inf    inf
    big    -inf   0
    ~1     ~inf   1
    1      number 1
    1      nan    1       # as C and NumPy; the standard excepts it
    small  inf    0
    small  -inf   inf
    inf    >0     inf
    inf    <0     0
    -inf   odd>0  -inf
    -inf   other>0 inf
    -inf   odd<0  -0
    -inf   other<0 0
    0      >0     0
    0      <0     inf
    -0     odd>0  -0
    -0     other>0 0
    -0     odd<0  -inf
    -0     other<0 inf
    fin<0  fraction nan
    fin    1      x
atan2
    nan    any    nan
    any    nan    nan
    >0     ~0     pi/2
    <0     ~0     -pi/2
    0      >0     0
    0      0      0
    0      -0     pi
    0      <0     pi
    -0     >0     -0
    -0     0      -0
    -0     -0     -pi
    -0     <0     -pi
    fin>0  inf    0
    fin>0  -inf   pi
    fin<0  inf    -0
    fin<0  -inf   -pi
    inf    fin    pi/2
    -inf   fin    -pi/2
    inf    inf    pi/4
    inf    -inf   3pi/4
    -inf   inf    -pi/4
    -inf   -inf   -3pi/4
copysign
    any    <0     -|x|
    any    -0     -|x|
    any    0      |x|
    any    >0     |x|
    any    nan    |x|
hypot
    ~inf   any    inf
    any    ~inf   inf
    ~0     any    |y|
    any    ~0     |x|
    fin    nan    nan
    nan    fin    nan
    nan    nan    nan
logaddexp
    nan    any    nan
    any    nan    nan
    inf    number inf
    number inf    inf
    -inf   fin!=0 y
    fin!=0 -inf   x
    -inf   ~0     0
    ~0     -inf   0
    -inf   -inf   -inf
maximum
    nan    any    nan
    any    nan    nan
    inf    number inf
    number inf    inf
    -inf   number y
    number -inf   x
minimum
    nan    any    nan
    any    nan    nan
    -inf   number -inf
    number -inf   -inf
    inf    number y
    number inf    x
nextafter
    nan    any    nan
    any    nan    nan
    ~0     ~0     y
    inf    inf    inf
    -inf   -inf   -inf
    1      1      1
equal
    nan    any    false
    any    nan    false
    inf    inf    true
    -inf   -inf   true
    inf    -inf   false
    ~0     ~0     true
    ~inf   fin    false
not_equal
    nan    any    true
    any    nan    true
    inf    -inf   true
    -inf   inf    true
    inf    inf    false
    ~0     ~0     false
less
    nan    any    false
    any    nan    false
    ~0     ~0     false
    -inf   fin    true
    fin    inf    true
    ~inf   -inf   false
less_equal
    nan    any    false
    any    nan    false
    ~0     ~0     true
    -inf   number true
    number inf    true
    inf    fin    false
greater
    nan    any    false
    any    nan    false
    ~0     ~0     false
    inf    fin    true
    fin    -inf   true
    -inf   ~inf   false
greater_equal
    nan    any    false
    any    nan    false
    ~0     ~0     true
    inf    number true
    number -inf   true
    -inf   fin    false
""")


@pytest.mark.parametrize("how", [eager, traced])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_two_operands(name, dtype, how):
    check(name, BINARY[name], dtype, how)


CLIP = by_name("""
clip
    nan    any    any     nan
    any    nan    any     nan
    any    any    nan     nan
    -inf   -1     1       -1
    inf    -1     1       1
    0.5    -inf   inf     0.5
    -0     -inf   inf     -0
""")


@pytest.mark.parametrize("how", [eager, traced])
@pytest.mark.parametrize("dtype", DTYPES)
def test_clip(dtype, how):
    check("clip", CLIP["clip"], dtype, how)
    for bounds in ((NAN, None), (None, NAN), (0.0, NAN), (NAN, 1.0)):
        found = how(lambda x, b=bounds: tw.clip(x, *b))(tw.asarray([1.0], dtype=dtype))
        assert math.isnan(found[0])
    assert tw.clip(tw.asarray([NAN], dtype=dtype), 0.0, 1.0)[0].numpy() != 1.0


# Signs of NaN, neighbours, overflow ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sign_of_nan_is_a_sign(dtype):
    signed = np.copysign(np.array([NAN, NAN], dtype), np.array([1, -1], dtype))
    x = tw.asarray(signed)
    assert tw.signbit(x).tolist() == [False, True]
    assert np.signbit(tw.copysign(tw.asarray([2.0, 2.0], dtype=dtype), x).numpy()).tolist() == [
        False,
        True,
    ]
    for sign in (1.0, -1.0, 0.0, -0.0, INF, -INF):
        found = tw.copysign(x, tw.asarray(sign, dtype=dtype)).numpy()
        assert np.isnan(found).all()
        assert np.signbit(found).tolist() == [math.copysign(1, sign) < 0] * 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_ends_of_the_range(dtype):
    info = tw.finfo(dtype)
    most, tiny = (tw.asarray(v, dtype=dtype) for v in (info.max, info.smallest_normal))
    inf, zero = tw.asarray(INF, dtype=dtype), tw.asarray(0.0, dtype=dtype)
    assert float(tw.nextafter(most, inf)) == INF
    assert float(tw.nextafter(inf, zero)) == info.max
    least = tw.nextafter(zero, inf)
    assert 0 < float(least) < info.smallest_normal
    assert float(tw.nextafter(least, zero)) == 0
    assert float(tw.nextafter(tw.asarray(1.0, dtype=dtype), inf)) == 1 + info.eps
    assert float(most * 2) == INF
    assert float(-most - most) == -INF
    assert math.copysign(1, float(-tiny * tiny)) == -1
    # No overflow or underflow on the way.
    assert float(tw.hypot(most, zero)) == info.max
    assert math.isfinite(tw.hypot(most / 2, most / 2))
    np.testing.assert_allclose(float(tw.hypot(tiny, tiny)), info.smallest_normal * 2**0.5, 1e-6)
    np.testing.assert_allclose(float(tw.logaddexp(most, most)), info.max, rtol=1e-6)
    assert float(tw.expm1(tiny)) == float(tw.log1p(tiny)) == info.smallest_normal
    large = tw.asarray(complex(info.max / 2, info.max / 2), dtype=f"complex{2 * info.bits}")
    assert math.isfinite(tw.abs(large))


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_go_to_even_up_to_where_halves_end(dtype):
    x = np.arange(-9.5, 10, 1, dtype)
    found = tw.round(tw.asarray(x)).numpy()
    assert (found % 2 == 0).all()
    assert (np.abs(found - x) == 0.5).all()
    last = 1 / tw.finfo(dtype).eps - 0.5
    assert float(tw.round(tw.asarray(last, dtype=dtype))) == last + 0.5


# Operators, numbers -------------------------------------------------------------------------------

OPERATORS = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
    "divide": operator.truediv, "floor_divide": operator.floordiv, "remainder": operator.mod,
    "pow": operator.pow, "equal": operator.eq, "not_equal": operator.ne, "less": operator.lt,
    "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge,
}  # fmt: skip


def assert_same(found, wanted, ulps=0):
    """Equal, signs of zeros included, whatever the sign of NaN; real or complex."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype
    if found.dtype.kind == "c":
        assert_same(found.real, wanted.real, ulps)
        assert_same(found.imag, wanted.imag, ulps)
        return
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=ulps * np.finfo(found.dtype).eps)
        known = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(wanted[known]))
    else:
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_operators_and_python_numbers_are_the_function(name, dtype):
    function, apply = getattr(tw, name), OPERATORS.get(name)
    # NumPy squares where an exponent is 2 for all elements, and may round otherwise elsewhere.
    ulps = 2 if name == "pow" else 0
    x = tw.asarray(EVERY, dtype=dtype)
    wanted = function(x[:, None], x[None, :]).numpy()
    if apply:
        assert_same(apply(x[:, None], x[None, :]).numpy(), wanted)
    ways = [function, apply] if apply else [function]
    for place, number in enumerate(EVERY):
        for way in ways:
            assert_same(way(x, number).numpy(), wanted[:, place], ulps)
            assert_same(way(number, x).numpy(), wanted[place], ulps)
            assert_same(way(tw.asarray(number, dtype=dtype), x).numpy(), wanted[place], ulps)


@pytest.mark.parametrize("name", ["negative", "positive", "abs"])
def test_operators_of_one_operand_are_the_function(name):
    x = tw.asarray(EVERY)
    apply = {"negative": operator.neg, "positive": operator.pos, "abs": abs}[name]
    assert_same(apply(x).numpy(), getattr(tw, name)(x).numpy())


# Complex numbers ----------------------------------------------------------------------------------
#
# A row: the real and the imaginary part of the operand, and of the result. `cis` after a number
# stands for it times cos(b) or sin(b). A row holds for the conjugate too, with conjugate result.

COMPLEX = """
abs
    ~inf   any    inf    .
    any    ~inf   inf    .
    nan    fin!=0 nan    .
    fin!=0 nan    nan    .
    nan    nan    nan    .
acos
    ~0     0      pi/2   -0
    ~0     nan    pi/2   nan
    fin    inf    pi/2   -inf
    fin!=0 nan    nan    nan
    -inf   fin>0  pi     -inf
    inf    fin>0  0      -inf
    -inf   inf    3pi/4  -inf
    inf    inf    pi/4   -inf
    ~inf   nan    nan    ~inf
    nan    fin    nan    nan
    nan    inf    nan    -inf
    nan    nan    nan    nan
acosh
    ~0     0      0      pi/2
    fin    inf    inf    pi/2
    fin!=0 nan    nan    nan
    0      nan    nan    ~pi/2
    -inf   fin>0  inf    pi
    inf    fin>0  inf    0
    -inf   inf    inf    3pi/4
    inf    inf    inf    pi/4
    ~inf   nan    inf    nan
    nan    fin    nan    nan
    nan    inf    inf    nan
    nan    nan    nan    nan
asinh
    0      0      0      0
    fin>0  inf    inf    pi/2
    fin    nan    nan    nan
    inf    fin>0  inf    0
    inf    inf    inf    pi/4
    inf    nan    inf    nan
    nan    0      nan    0
    nan    fin!=0 nan    nan
    nan    inf    ~inf   nan
    nan    nan    nan    nan
atanh
    0      0      0      0
    0      nan    0      nan
    1      0      inf    0
    fin>0  inf    0      pi/2
    fin!=0 nan    nan    nan
    inf    fin>0  0      pi/2
    inf    inf    0      pi/2
    inf    nan    0      nan
    nan    fin    nan    nan
    nan    inf    ~0     pi/2
    nan    nan    nan    nan
cosh
    0      0      1      0
    0      inf    nan    ~0
    0      nan    nan    ~0
    fin!=0 inf    nan    nan
    fin!=0 nan    nan    nan
    inf    0      inf    0
    inf    fin!=0 infcis infcis
    inf    inf    ~inf   nan
    inf    nan    inf    nan
    nan    ~0     nan    ~0
    nan    fin!=0 nan    nan
    nan    nan    nan    nan
exp
    ~0     0      1      0
    fin    inf    nan    nan
    fin    nan    nan    nan
    inf    0      inf    0
    -inf   fin    0cis   0cis
    inf    fin!=0 infcis infcis
    -inf   inf    ~0     ~0
    inf    inf    ~inf   nan
    -inf   nan    ~0     ~0
    inf    nan    ~inf   nan
    nan    0      nan    0
    nan    !=0    nan    nan
expm1
    0      0      0      0
    -0     0      -0     0      # as NumPy; the standard has 0
    fin    inf    nan    nan
    fin    nan    nan    nan
    inf    0      inf    nan    # as NumPy; the standard has inf + 0j
    inf    fin!=0 infcis infcis
    -inf   fin    -1.0   0cis
    -inf   inf    nan    nan    # as NumPy; the standard has -1 + 0j
    inf    inf    nan    nan    # as NumPy; the standard has inf + nan j
    -inf   nan    nan    nan    # as NumPy; the standard has -1 + 0j
    inf    nan    nan    nan    # as NumPy; the standard has inf + nan j
    nan    ~0     nan    nan    # as NumPy; the standard has nan + 0j
    nan    !=0    nan    nan
log
    -0     0      -inf   pi
    0      0      -inf   0
    fin    inf    inf    pi/2
    fin    nan    nan    nan
    -inf   fin>0  inf    pi
    inf    fin>0  inf    0
    -inf   inf    inf    3pi/4
    inf    inf    inf    pi/4
    ~inf   nan    inf    nan
    nan    fin    nan    nan
    nan    inf    inf    nan
    nan    nan    nan    nan
log1p
    -1     0      -inf   0
    fin    inf    inf    pi/2
    fin    nan    nan    nan
    -inf   fin>0  inf    pi
    inf    fin>0  inf    0
    -inf   inf    inf    3pi/4
    inf    inf    inf    pi/4
    ~inf   nan    inf    nan
    nan    fin    nan    nan
    nan    inf    inf    nan
    nan    nan    nan    nan
sign
    ~0     ~0     0      0
    nan    fin    nan    nan
    fin    nan    nan    nan
    nan    nan    nan    nan
    inf    fin    1      0
    -inf   fin    -1     0
    fin    inf    0      1
    inf    nan    1      0      # as NumPy, in this row and the next; the standard has nan + nan j
    nan    inf    0      1
sinh
    0      0      0      0
    0      inf    ~0     nan
    0      nan    ~0     nan
    fin>0  inf    nan    nan
    fin>0  nan    nan    nan
    inf    0      inf    0
    inf    fin>0  infcis infcis
    inf    inf    ~inf   nan
    inf    nan    ~inf   nan
    nan    0      nan    0
    nan    fin!=0 nan    nan
    nan    nan    nan    nan
sqrt
    ~0     0      0      0
    any    inf    inf    inf
    fin    nan    nan    nan
    -inf   fin>0  0      inf     # as C99 and NumPy; the standard has these two rows exchanged
    inf    fin>0  inf    0
    -inf   nan    nan    ~inf
    inf    nan    inf    nan
    nan    fin    nan    nan
    nan    nan    nan    nan
tanh
    0      0      0      0
    fin!=0 inf    nan    nan
    fin!=0 nan    nan    nan
    inf    fin>0  1      0cis2
    inf    inf    1      ~0
    inf    nan    1      ~0
    nan    0      nan    0
    nan    fin!=0 nan    nan
    nan    nan    nan    nan
"""


def complex_rows():
    for name, words, last in rows(COMPLEX):
        for a, b in itertools.product(class_of(words[0]), class_of(words[1])):
            yield name, complex(a, b), words[2], last


COMPLEX_CASES: dict[str, list] = {}
for _name, _z, *_wanted in complex_rows():
    COMPLEX_CASES.setdefault(_name, []).append((_z, _wanted))


def part_agrees(found, word, b, turn):
    """Whether a part is what a word says; `turn` is cos for the real part, sin for the other."""
    if word.endswith("cis2"):
        # tanh approaches its limit from the side of sin(2 b).
        return found == 0 and np.signbit(found) == (math.sin(2 * b) < 0)
    if word.endswith("cis"):
        size = value_of(word[:-3])
        return bool(abs(found) == size and np.signbit(found) == (math.copysign(1, turn(b)) < 0))
    return agrees(found, word, [found])


COMPLEX_DTYPES = ["complex64", "complex128"]


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
@pytest.mark.parametrize("name", COMPLEX_CASES)
def test_complex_numbers(name, dtype):
    cases = COMPLEX_CASES[name]
    found = getattr(tw, name)(tw.asarray([z for z, _ in cases], dtype=dtype)).numpy()
    wrong = [
        f"{name}({z}) is {result}, not {real} {imag}"
        for (z, (real, imag)), result in zip(cases, found, strict=True)
        if not part_agrees(result.real, real, z.imag, math.cos)
        or (imag != "." and not part_agrees(result.imag, imag, z.imag, math.sin))
    ]
    assert not wrong, "\n".join(wrong)


SOME = [0.0, -0.0, 1.0, -1.0, 0.5, -3.0, INF, -INF, NAN]


def plane(dtype):
    """Every pair of the values as a complex number, made without arithmetic."""
    z = np.empty((len(SOME), len(SOME)), dtype)
    z.real, z.imag = np.meshgrid(SOME, SOME)
    return z.ravel()


def turned(z):
    """1j * z without the arithmetic of zeros, infinities and NaN."""
    found = np.empty_like(z)
    found.real, found.imag = -z.imag, z.real
    return found


CONJUGATE = [name for name in COMPLEX_CASES if name not in ("abs", "sign")]


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
@pytest.mark.parametrize("name", [*CONJUGATE, "asin", "atan", "cos", "log10", "log2", "sin", "tan"])
def test_the_function_of_the_conjugate_is_the_conjugate(name, dtype):
    z = plane(dtype)
    function = getattr(tw, name)
    found, other = function(tw.asarray(z)).numpy(), function(tw.asarray(z.conj())).numpy()
    # The C library that NumPy asks for atan rounds the two differently; the others are exact.
    ulps = 2 if name == "atan" else 0
    # The sign of a zero or an infinity beside NaN is open.
    for part, other_part in ((found.real, other.real), (found.imag, -other.imag)):
        beside_nan = np.isnan(found.real) | np.isnan(found.imag)
        assert_same(np.where(beside_nan, 0, part), np.where(beside_nan, 0, other_part), ulps)
        assert_same(np.abs(part), np.abs(other_part), ulps)


ROTATED = {"asin": "asinh", "atan": "atanh", "cos": "cosh", "sin": "sinh", "tan": "tanh"}


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
@pytest.mark.parametrize("name", ROTATED)
def test_circular_functions_are_hyperbolic_ones_turned(name, dtype):
    z = plane(dtype)
    found = getattr(tw, name)(tw.asarray(z)).numpy()
    wanted = getattr(tw, ROTATED[name])(tw.asarray(turned(z))).numpy()
    if name != "cos":
        wanted = -turned(wanted)
    open_sign = np.isnan(wanted.real) | np.isnan(wanted.imag)
    assert_same(found[~open_sign], wanted[~open_sign], 2)
    assert_same(np.abs(found.real), np.abs(wanted.real), 2)
    assert_same(np.abs(found.imag), np.abs(wanted.imag), 2)


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
def test_what_is_defined_by_other_functions(dtype):
    x = tw.asarray(plane(dtype))
    one = tw.ones_like(x)
    assert_same(tw.reciprocal(x).numpy(), (one / x).numpy())
    assert_same(tw.square(x).numpy(), (x * x).numpy())
    assert_same(tw.subtract(one, x).numpy(), (one + -x).numpy())
    assert_same(tw.round(x).numpy().real, tw.round(tw.real(x)).numpy())
    assert_same(tw.round(x).numpy().imag, tw.round(tw.imag(x)).numpy())
    assert_same(tw.negative(x).numpy().imag, (-tw.imag(x)).numpy())
    assert_same(tw.conj(x).numpy().imag, (-tw.imag(x)).numpy())
    for name in ("isnan", "isinf"):
        test = getattr(tw, name)
        assert_same(test(x).numpy(), (test(tw.real(x)) | test(tw.imag(x))).numpy())
    assert_same(tw.isfinite(x).numpy(), (tw.isfinite(tw.real(x)) & tw.isfinite(tw.imag(x))).numpy())
    for name, base in (("log2", 2), ("log10", 10)):
        found, natural = getattr(tw, name)(x).numpy(), tw.log(x).numpy()
        for part, wanted in ((found.real, natural.real), (found.imag, natural.imag)):
            assert_same(part, (wanted / math.log(base)).astype(part.dtype), 2)


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "equal", "not_equal"])
def test_complex_arithmetic_is_that_of_the_parts(name, dtype):
    z = plane(dtype)
    x, y = np.repeat(z, len(z)), np.tile(z, len(z))
    found = getattr(tw, name)(tw.asarray(x), tw.asarray(y)).numpy()
    (a, b), (c, d) = (x.real, x.imag), (y.real, y.imag)
    with np.errstate(all="ignore"):
        if name == "equal":
            assert_same(found, (a == c) & (b == d))
        elif name == "not_equal":
            assert_same(found, (a != c) | (b != d))
        elif name == "divide":
            # With infinities and NaN the standard leaves the result open; ours is NumPy's.
            assert_same(found, x / y)
            plain = np.isfinite(x) & np.isfinite(y) & (y != 0)
            textbook = (x * y.conj())[plain] / (c * c + d * d)[plain]
            np.testing.assert_allclose(found[plain], textbook, rtol=1e-6)
        else:
            signs = {"add": 1, "subtract": -1}
            if name == "multiply":
                real, imag = a * c - b * d, a * d + b * c
            else:
                real, imag = a + signs[name] * c, b + signs[name] * d
            assert_same(found.real, real)
            assert_same(found.imag, imag)


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
def test_complex_powers(dtype):
    z = plane(dtype)
    z = z[np.isfinite(z)]
    x, y = np.repeat(z, len(z)), np.tile(z, len(z))
    found = tw.pow(tw.asarray(x), tw.asarray(y)).numpy()
    with np.errstate(all="ignore"):
        # exp(y log(x)), and at 0 NumPy's choices: 1 for y = 0, 0 for a positive real part.
        assert_same(found, x**y, 4)
        plain = (x != 0) & (y != 0)
        wanted = tw.exp(tw.asarray(y) * tw.log(tw.asarray(x))).numpy()
    np.testing.assert_allclose(found[plain], wanted[plain], rtol=3e-6, atol=1e-6)
    assert (found[y == 0] == 1).all()
    assert (found[(x == 0) & (y.real > 0)] == 0).all()

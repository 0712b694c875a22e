"""What element-wise functions give for NaN, infinities and zeros, by the standard's own lists.

A row of a table names a function, the class of each operand, and the result:

    class   nan  inf  -inf  0  -0  1  -1 ...    that value; `~` before it: both signs
            fin  fin>0  fin<0  fin!=0           finite numbers;  >0  <0: infinity among them
    result  a value;  ~ before it: of either sign;  x  |x|  -|x|  y  |y|: the operand's
            pi/2 and the like: within two units in the last place

Where the standard leaves a choice, rows under "ours" say what ours is. Values that are no
approximations are compared bit for bit, but for the sign of NaN.
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
    if "pi" in word:
        return bool(abs(found - wanted) <= 2 * np.spacing(abs(wanted)))
    return bool(found == wanted and np.signbit(found) == np.signbit(wanted))


def eager(function):
    return function


def traced(function):
    return tw.function(lambda *operands: function(*operands))


def check(name, table, dtype, how):
    """Every row of a function, computed together; the message lists the rows that fail."""
    cases = [
        (point, word) for classes, word in table for point in itertools.product(*map(class_of, classes))
    ]  # fmt: skip
    columns = [np.array(column, dtype) for column in zip(*(point for point, _ in cases), strict=True)]
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
    !=1    nan    ?
    any    ~0     1
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
""".replace("    !=1    nan    ?\n", "    !=1    nan    nan\n")) | by_name("""
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
    -inf   number y
    number -inf   x
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


def bits(x):
    """The bytes of an array in which every NaN is the same."""
    x = np.array(x)
    if x.dtype.kind == "f":
        x[np.isnan(x)] = NAN
    return x.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_operators_and_python_numbers_are_the_function(name, dtype):
    function, apply = getattr(tw, name), OPERATORS.get(name)
    x = tw.asarray(EVERY, dtype=dtype)
    whole = function(x[:, None], x[None, :])
    wanted = whole.numpy()
    if apply:
        assert bits(apply(x[:, None], x[None, :]).numpy()) == bits(wanted)
    for place, number in enumerate(EVERY):
        ways = [lambda n: function(x, n), lambda n: function(x, tw.asarray(n, dtype=dtype))]
        turned = [lambda n: function(n, x)]
        if apply:
            ways.append(lambda n: apply(x, n))
            turned.append(lambda n: apply(n, x))
        for way in ways:
            assert bits(way(number).numpy()) == bits(wanted[:, place])
        for way in turned:
            assert bits(way(number).numpy()) == bits(wanted[place])


@pytest.mark.parametrize("name", ["negative", "positive", "abs"])
def test_operators_of_one_operand_are_the_function(name):
    x = tw.asarray(EVERY)
    apply = {"negative": operator.neg, "positive": operator.pos, "abs": abs}[name]
    assert bits(apply(x).numpy()) == bits(getattr(tw, name)(x).numpy())


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
    ~0     0      0      0
    fin    inf    nan    nan
    fin    nan    nan    nan
    inf    0      inf    0
    inf    fin!=0 infcis infcis
    -inf   fin    -1     0cis
    -inf   inf    -1     ~0
    inf    inf    ~inf   nan
    -inf   nan    -1     ~0
    inf    nan    ~inf   nan
    nan    0      nan    0
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
    ~0     ~0     ~0     ~0
    nan    any    nan    nan
    any    nan    nan    nan
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


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", COMPLEX_CASES)
def test_complex_numbers(name, dtype):
    cases = COMPLEX_CASES[name]
    z = np.array([z for z, _ in cases], dtype)
    found = getattr(tw, name)(tw.asarray(z)).numpy()
    turned = getattr(tw, name)(tw.asarray(z.conj())).numpy()
    wrong = []
    for (value, (real, imag)), result, other in zip(cases, found, turned, strict=True):
        holds = part_agrees(result.real, real, value.imag, math.cos) and (
            imag == "." or part_agrees(result.imag, imag, value.imag, math.sin)
        )
        if not holds:
            wrong.append(f"{name}({value}) is {result}, not {real} {imag}")
        if imag != "." and bits(np.abs([result.real, result.imag])) != bits(
            np.abs([other.real, other.imag])
        ):
            wrong.append(f"{name}({value}) is {result}, of the conjugate {other}")
    assert not wrong, "\n".join(wrong)

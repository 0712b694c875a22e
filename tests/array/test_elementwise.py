"""Element-wise functions: NumPy and SciPy as oracle, edges, derivatives at joints, messages."""

import inspect
import math

import ml_dtypes
import mpmath
import numpy as np
import pytest
from scipy import special

from thalweg.array import elementwise
from thalweg.array.creation import asarray, full, zeros
from thalweg.array.elementwise import clip, isclose, nan_to_num
from thalweg.base.errors import ThalwegError
from thalweg.engine.tensor import Tensor
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable
from thalweg.ir.types import (
    COMPLEX,
    DTYPES,
    FLOATS,
    INEXACT,
    INTEGERS,
    NUMERIC,
    REAL,
    SIGNED,
    bool_,
)
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp


def words(text: str) -> list[str]:
    return text.split()


SHAPES = [(), (3,), (2, 3), (0,), (2, 0, 3), (1, 1)]

# The standard, section "Element-wise functions": one operand, two operands, and clip.
STANDARD_UNARY = words("""
    abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag
    isfinite isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal round
    sign signbit sin sinh square sqrt tan tanh trunc
""")
STANDARD_BINARY = words("""
    add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign
    divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and
    logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract
""")


@pytest.mark.parametrize("name", STANDARD_UNARY + STANDARD_BINARY + ["clip"])
def test_signatures_are_those_of_the_standard(name):
    found = getattr(elementwise, name)
    assert found.__name__ == name
    assert found.__doc__
    texts = ["(x, /)", "(x1, x2, /)", "(x, /, min=None, max=None)"]
    wanted = texts[0 if name in STANDARD_UNARY else 2 if name == "clip" else 1]
    signature = inspect.signature(found)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(plain)) == wanted


def row(dtype, low, high, shape=(3,)):
    """Numbers spread over (low, high), never on the ends."""
    count = int(np.prod(shape))
    spread = low + (high - low) * (np.arange(count) + 0.37) / max(count, 1)
    if dtype.is_complex:
        spread = spread + 1j * spread[::-1] * 0.7
    if dtype is bool_:
        return (np.arange(count) % 2 == 0).reshape(shape)
    return np.asarray(spread.reshape(shape)).astype(dtype.numpy)


def wide(array):
    """A copy in double precision, for an oracle that knows no bfloat16."""
    kind = np.asarray(array).dtype.kind
    if kind == "c":
        return np.asarray(array, np.complex128)
    return np.asarray(array) if kind in "biu" else np.asarray(array, np.float64)


EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def assert_near(found: Tensor, wanted, ulps=8):
    """Equal to an oracle's value, within units of the last place of the largest element."""
    wanted = np.asarray(wanted)
    value = wide(found.numpy())
    assert found.shape == wanted.shape
    if not found.dtype.is_inexact:
        np.testing.assert_array_equal(value, wanted)
        return
    epsilon = EPSILON[found.dtype.real.name]
    np.testing.assert_allclose(value, wanted, rtol=ulps * epsilon, atol=ulps * epsilon * 1e-2)


# Function, oracle, element types, domain of the operand.
UNARY = [
    ("abs", np.abs, NUMERIC, (-3, 3)),
    ("acos", np.arccos, INEXACT, (-0.9, 0.9)),
    ("acosh", np.arccosh, INEXACT, (1.1, 4)),
    ("asin", np.arcsin, INEXACT, (-0.9, 0.9)),
    ("asinh", np.arcsinh, INEXACT, (-3, 3)),
    ("atan", np.arctan, INEXACT, (-3, 3)),
    ("atanh", np.arctanh, INEXACT, (-0.9, 0.9)),
    ("bitwise_invert", np.invert, (bool_, *INTEGERS), (0, 9)),
    ("ceil", np.ceil, REAL, (0, 4)),
    ("conj", np.conj, NUMERIC, (0, 4)),
    ("cos", np.cos, INEXACT, (-3, 3)),
    ("cosh", np.cosh, INEXACT, (-3, 3)),
    ("exp", np.exp, INEXACT, (-3, 3)),
    ("expm1", np.expm1, INEXACT, (-3, 3)),
    ("floor", np.floor, REAL, (0, 4)),
    ("imag", np.imag, NUMERIC, (0, 4)),
    ("isfinite", np.isfinite, DTYPES, (0, 4)),
    ("isinf", np.isinf, DTYPES, (0, 4)),
    ("isnan", np.isnan, DTYPES, (0, 4)),
    ("log", np.log, INEXACT, (0.1, 4)),
    ("log1p", np.log1p, INEXACT, (-0.5, 4)),
    ("log2", np.log2, INEXACT, (0.1, 4)),
    ("log10", np.log10, INEXACT, (0.1, 4)),
    ("logical_not", np.logical_not, (bool_,), (0, 1)),
    ("negative", np.negative, NUMERIC, (0, 4)),
    ("positive", np.positive, NUMERIC, (0, 4)),
    ("real", np.real, NUMERIC, (0, 4)),
    ("reciprocal", lambda x: 1 / x, INEXACT, (0.5, 4)),
    ("round", np.round, NUMERIC, (0, 4)),
    ("sign", np.sign, NUMERIC, (0, 4)),
    ("signbit", lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0, REAL, (0, 4)),
    ("sin", np.sin, INEXACT, (-3, 3)),
    ("sinh", np.sinh, INEXACT, (-3, 3)),
    ("square", np.square, NUMERIC, (0, 4)),
    ("sqrt", np.sqrt, INEXACT, (0.1, 4)),
    ("tan", np.tan, INEXACT, (-1, 1)),
    ("tanh", np.tanh, INEXACT, (-3, 3)),
    ("trunc", np.trunc, REAL, (0, 4)),
    # Beyond the standard.
    ("angle", np.angle, INEXACT, (-3, 3)),
    ("cbrt", np.cbrt, FLOATS, (-3, 3)),
    ("deg2rad", np.deg2rad, FLOATS, (-400, 400)),
    ("digamma", special.digamma, FLOATS, (0.3, 5)),
    ("erf", special.erf, FLOATS, (-3, 3)),
    ("erfc", special.erfc, FLOATS, (-3, 3)),
    ("erfinv", special.erfinv, FLOATS, (-0.9, 0.9)),
    ("exp2", np.exp2, FLOATS, (-3, 3)),
    ("i0", special.i0, FLOATS, (-9, 9)),
    ("i0e", special.i0e, FLOATS, (-9, 9)),
    ("i1", special.i1, FLOATS, (-9, 9)),
    ("i1e", special.i1e, FLOATS, (-9, 9)),
    ("isreal", np.isreal, DTYPES, (0, 4)),
    ("lgamma", special.gammaln, FLOATS, (0.3, 5)),
    ("logit", special.logit, FLOATS, (0.02, 0.98)),
    ("nan_to_num", np.nan_to_num, DTYPES, (0, 4)),
    ("population_count", lambda x: np.bitwise_count(x), INTEGERS, (0, 100)),
    ("rad2deg", np.rad2deg, FLOATS, (-4, 4)),
    ("rsqrt", lambda x: 1 / np.sqrt(x), INEXACT, (0.1, 4)),
    ("sigmoid", special.expit, FLOATS, (-9, 9)),
    ("sinc", np.sinc, FLOATS, (-3, 3)),
]
UNARY_CASES = [(*line[:2], dtype, line[3]) for line in UNARY for dtype in line[2]]


@pytest.mark.parametrize(
    ("name", "oracle", "dtype", "domain"), UNARY_CASES, ids=lambda v: v if type(v) is str else ""
)
def test_one_operand(name, oracle, dtype, domain):
    for shape in SHAPES:
        x = row(dtype, *domain, shape)
        found = getattr(elementwise, name)(asarray(x))
        assert found._cell.buffer is None, "building an expression computes nothing"
        assert_near(found, np.asarray(oracle(wide(x))).astype(wide(found.numpy()).dtype))


def test_the_element_type_of_the_result():
    for name, _, dtypes, domain in UNARY:
        for dtype in dtypes:
            found = getattr(elementwise, name)(asarray(row(dtype, *domain))).dtype
            if name.startswith(("is", "logical", "signbit")):
                assert found is bool_
            elif name in ("abs", "real", "imag", "angle"):
                assert found is dtype.real
            else:
                assert found is dtype


BINARY = [
    ("add", np.add, NUMERIC, (0, 9), (1, 4)),
    ("atan2", np.arctan2, FLOATS, (-3, 3), (-4, 5)),
    ("bitwise_and", np.bitwise_and, (bool_, *INTEGERS), (0, 9), (0, 6)),
    ("bitwise_left_shift", np.left_shift, INTEGERS, (0, 9), (0, 3)),
    ("bitwise_or", np.bitwise_or, (bool_, *INTEGERS), (0, 9), (0, 6)),
    ("bitwise_right_shift", np.right_shift, INTEGERS, (0, 90), (0, 3)),
    ("bitwise_xor", np.bitwise_xor, (bool_, *INTEGERS), (0, 9), (0, 6)),
    ("copysign", np.copysign, FLOATS, (-3, 3), (-4, 5)),
    ("divide", np.divide, INEXACT, (-3, 3), (1, 4)),
    ("equal", np.equal, DTYPES, (0, 4), (0, 2)),
    ("floor_divide", np.floor_divide, REAL, (0, 30), (1, 4)),
    ("greater", np.greater, (bool_, *REAL), (0, 4), (1, 2)),
    ("greater_equal", np.greater_equal, (bool_, *REAL), (0, 4), (1, 2)),
    ("hypot", np.hypot, FLOATS, (-3, 3), (-4, 5)),
    ("less", np.less, (bool_, *REAL), (0, 4), (1, 2)),
    ("less_equal", np.less_equal, (bool_, *REAL), (0, 4), (1, 2)),
    ("logaddexp", np.logaddexp, FLOATS, (-3, 9), (-4, 5)),
    ("logical_and", np.logical_and, (bool_,), (0, 1), (0, 1)),
    ("logical_or", np.logical_or, (bool_,), (0, 1), (0, 1)),
    ("logical_xor", np.logical_xor, (bool_,), (0, 1), (0, 1)),
    ("maximum", np.maximum, REAL, (0, 4), (1, 2)),
    ("minimum", np.minimum, REAL, (0, 4), (1, 2)),
    ("multiply", np.multiply, NUMERIC, (0, 4), (1, 4)),
    ("not_equal", np.not_equal, DTYPES, (0, 4), (0, 2)),
    ("pow", np.power, NUMERIC, (0.5, 3), (0.5, 3)),
    ("remainder", np.remainder, REAL, (0, 30), (1.1, 4)),
    ("subtract", np.subtract, NUMERIC, (4, 9), (1, 4)),
    # Beyond the standard.
    ("divide_no_nan", np.divide, INEXACT, (-3, 3), (1, 4)),
    ("fmax", np.fmax, REAL, (0, 4), (1, 2)),
    ("fmin", np.fmin, REAL, (0, 4), (1, 2)),
    ("fmod", np.fmod, REAL, (0, 30), (1.1, 4)),
    ("gammainc", special.gammainc, FLOATS, (0.5, 4), (0.3, 5)),
    ("gammaincc", special.gammaincc, FLOATS, (0.5, 4), (0.3, 5)),
    ("heaviside", np.heaviside, FLOATS, (-3, 3), (0, 1)),
    ("isclose", np.isclose, DTYPES[1:], (0, 4), (0, 4)),
    ("logaddexp2", np.logaddexp2, FLOATS, (-3, 9), (-4, 5)),
    ("multiply_no_nan", np.multiply, FLOATS, (-3, 3), (1, 4)),
    ("polygamma", special.polygamma, FLOATS, (1, 1), (0.5, 5)),
    ("xlog1py", special.xlog1py, FLOATS, (0.5, 3), (-0.5, 3)),
    ("xlogy", special.xlogy, FLOATS, (0.5, 3), (0.5, 3)),
    ("zeta", special.zeta, FLOATS, (1.5, 5), (0.5, 5)),
]
BINARY_CASES = [(*line[:2], dtype, *line[3:]) for line in BINARY for dtype in line[2]]
BROADCAST = [
    ((), ()), ((3,), ()), ((), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((4, 1, 3), (2, 1)),
    ((0,), (1,)), ((2, 0), (2, 1)), ((1, 0), (3, 1)), ((2, 3), (2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "oracle", "dtype", "low", "high"),
    BINARY_CASES,
    ids=lambda v: v if type(v) is str else "",
)
def test_two_operands_broadcast(name, oracle, dtype, low, high):
    for shapes in BROADCAST:
        x, y = row(dtype, *low, shapes[0]), row(dtype, *high, shapes[1])
        found = getattr(elementwise, name)(asarray(x), asarray(y))
        assert found._cell.buffer is None, "building an expression computes nothing"
        narrow = dtype in INTEGERS or dtype is bool_
        wanted = oracle(x, y) if narrow else oracle(wide(x), wide(y))
        # SciPy's own error in these is of the same size.
        ulps = 64 if name in ("gammainc", "gammaincc", "polygamma", "zeta") else 16
        assert_near(found, np.asarray(wanted).astype(wide(found.numpy()).dtype), ulps)


def test_three_operands():
    a, b, x = np.float64([0.5, 2, 7]), np.float64([[1.0], [3.0]]), np.float64(0.3)
    found = elementwise.betainc(asarray(a), asarray(b), asarray(x))
    assert_near(found, special.betainc(a, b, x), 64)
    assert elementwise.betainc(2, 3, 0.5).dtype == "float32"


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_nextafter(dtype):
    x = row(dtype, -2, 2, (5,))
    y = row(dtype, 2, -2, (5,))
    oracle = ml_dtypes.bfloat16 if dtype.name == "bfloat16" else dtype.numpy
    found = elementwise.nextafter(asarray(x), asarray(y)).numpy()
    np.testing.assert_array_equal(found, np.nextafter(x.astype(oracle), y.astype(oracle)))


def test_variables_and_lists_are_operands():
    variable = Variable([1.0, 2.0])
    np.testing.assert_array_equal(elementwise.add(variable, [10, 20]).numpy(), [11, 22])
    np.testing.assert_array_equal(elementwise.exp(variable).numpy(), np.exp(np.float32([1, 2])))


# Edges --------------------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf
SPECIAL = [0.0, -0.0, INF, -INF, NAN, 1.5, -1.5, 2.5, -0.5, 0.5, 1e300]


@pytest.mark.parametrize(
    "name",
    words("""abs ceil exp expm1 floor isfinite isinf isnan log log1p negative positive round sign
    signbit sqrt square tanh trunc reciprocal sin atan sinh acosh"""),
)
def test_special_values_are_numpys(name):
    x = np.array(SPECIAL)
    with np.errstate(all="ignore"):
        wanted = getattr(np, {"atan": "arctan", "acosh": "arccosh"}.get(name, name))(x)
    found = getattr(elementwise, name)(asarray(x)).numpy()
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype == np.float64:
        known = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(wanted[known]))


@pytest.mark.parametrize(
    "name",
    words("""add subtract multiply divide maximum minimum copysign hypot logaddexp logaddexp2 equal
    less fmin fmax fmod remainder floor_divide heaviside isclose"""),
)
def test_special_values_of_two_operands_are_numpys(name):
    x, y = np.meshgrid(SPECIAL, SPECIAL)
    with np.errstate(all="ignore"):
        wanted = getattr(np, name)(x, y)
    found = getattr(elementwise, name)(asarray(x), asarray(y)).numpy()
    if name in ("floor_divide", "fmod", "remainder"):
        usual = np.isfinite(x) & np.isfinite(y) & (y != 0)
        found, wanted = found[usual], wanted[usual]
    if wanted.dtype == bool:
        np.testing.assert_array_equal(found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, rtol=4e-16)


def test_integers_wrap_around():
    most, least = asarray([127], dtype="int8"), asarray([-128], dtype="int8")
    assert elementwise.add(most, 1).tolist() == [-128]
    assert elementwise.subtract(least, 1).tolist() == [127]
    assert elementwise.multiply(most, 2).tolist() == [-2]
    assert elementwise.negative(least).tolist() == [-128]
    assert elementwise.abs(least).tolist() == [-128]
    assert elementwise.square(asarray([200], dtype="uint8")).tolist() == [40000 % 256]
    assert elementwise.negative(asarray([1], dtype="uint8")).tolist() == [255]
    assert elementwise.subtract(asarray([0], dtype="uint64"), 1).tolist() == [2**64 - 1]


def test_division_by_zero():
    whole = asarray([7, 0, -7])
    assert elementwise.floor_divide(whole, 0).tolist() == [0, 0, 0]
    assert elementwise.remainder(whole, 0).tolist() == [0, 0, 0]
    assert elementwise.fmod(whole, 0).tolist() == [0, 0, 0]
    np.testing.assert_array_equal(elementwise.divide(whole, 0).numpy(), [INF, NAN, -INF])
    np.testing.assert_array_equal(elementwise.divide_no_nan(whole, 0).numpy(), [0, 0, 0])
    floats = asarray([1.0, 0.0, -1.0])
    np.testing.assert_array_equal(elementwise.floor_divide(floats, 0).numpy(), [INF, NAN, -INF])
    np.testing.assert_array_equal(elementwise.remainder(floats, 0).numpy(), [NAN, NAN, NAN])
    np.testing.assert_array_equal(elementwise.reciprocal(floats).numpy(), [1, INF, -1])


@pytest.mark.parametrize("dtype", SIGNED, ids=str)
def test_signs_of_division(dtype):
    x, y = (np.ravel(each).astype(dtype.numpy) for each in np.meshgrid([-7, 7, -6], [3, -3, 2]))
    for name in ("floor_divide", "remainder", "fmod"):
        found = getattr(elementwise, name)(asarray(x), asarray(y)).numpy()
        np.testing.assert_array_equal(found, getattr(np, name)(x, y))
    least = np.iinfo(dtype.numpy).min
    assert elementwise.fmod(asarray([least], dtype=dtype), 3).tolist() == [math.fmod(least, 3)]


def test_powers_of_integers():
    base = asarray([1, -1, 2, -2, 0, 3])
    assert elementwise.pow(base, 3).tolist() == [1, -1, 8, -8, 0, 27]
    assert elementwise.pow(base, 0).tolist() == [1] * 6
    assert elementwise.pow(base, -1).tolist() == [1, -1, 0, 0, 0, 0]
    assert elementwise.pow(2, base).tolist() == [2, 0, 4, 0, 1, 8]
    assert elementwise.pow(base, 0.5).dtype == "float32"


def test_shifts_beyond_the_width():
    x = asarray([-5, 5], dtype="int8")
    assert elementwise.bitwise_left_shift(x, 8).tolist() == [0, 0]
    assert elementwise.bitwise_right_shift(x, 100).tolist() == [-1, 0]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_bits(dtype):
    info = np.iinfo(dtype.numpy)
    x = np.array([0, 1, 2, 3, info.max, info.min], dtype.numpy)
    texts = [format(int(each) % 2**dtype.bits, f"0{dtype.bits}b") for each in x]
    assert elementwise.population_count(asarray(x)).tolist() == [text.count("1") for text in texts]
    zeros_above = [len(text) - len(text.lstrip("0")) for text in texts]
    assert elementwise.leading_zeros(asarray(x)).tolist() == zeros_above


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_signbit_sees_zeros_and_nans(dtype):
    x = np.array([0.0, -0.0, NAN, -1.0, INF, -INF], dtype.numpy)
    x[2] = np.copysign(x[2], np.array(-1.0, dtype.numpy))
    found = elementwise.signbit(asarray(x)).tolist()
    assert found == [False, True, True, True, False, True]


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_complex_numbers(dtype):
    x = np.array([1.5 - 2.5j, -0.5 + 0j, complex(NAN, 1), complex(1, INF)], dtype.numpy)
    tensor = asarray(x)
    np.testing.assert_array_equal(elementwise.round(tensor).numpy(), np.round(x))
    np.testing.assert_array_equal(elementwise.isnan(tensor).numpy(), np.isnan(x))
    np.testing.assert_array_equal(elementwise.isinf(tensor).numpy(), np.isinf(x))
    np.testing.assert_array_equal(elementwise.isfinite(tensor).numpy(), np.isfinite(x))
    np.testing.assert_array_equal(elementwise.isreal(tensor).numpy(), np.isreal(x))
    np.testing.assert_array_equal(nan_to_num(tensor).numpy(), np.nan_to_num(x))
    assert elementwise.imag(asarray([1, 2])).tolist() == [0, 0]


def test_angle_of_real_numbers():
    found = elementwise.angle(asarray([2.0, -2.0, 0.0, -0.0])).numpy()
    np.testing.assert_array_equal(found, np.float32([0, math.pi, 0, math.pi]))


def test_no_nan():
    bad = asarray([NAN, INF, -INF, 0.0, 2.0])
    nothing, one = zeros((5,)), full((5,), 1.0)
    assert elementwise.multiply_no_nan(bad, nothing).tolist() == [0] * 5
    assert elementwise.divide_no_nan(bad, nothing).tolist() == [0] * 5
    assert elementwise.xlogy(nothing, bad).tolist() == [0] * 5
    assert elementwise.xlog1py(nothing, elementwise.negative(one)).tolist() == [0] * 5
    assert elementwise.fmin(bad, one).tolist() == [1, 1, -INF, 0, 1]
    assert elementwise.fmax(one, bad).tolist() == [1, INF, 1, 1, 2]
    assert nan_to_num(bad, nan=7, posinf=8, neginf=9).tolist() == [7, 8, 9, 0, 2]
    assert nan_to_num(asarray([3, 4])).tolist() == [3, 4]


def test_bessel_functions_overflow_no_earlier_than_they_must():
    x = np.array([-91.0, 0.0, 91.0])
    assert_near(elementwise.i0(asarray(x.astype("float32"))), special.i0(x), 64)
    assert_near(elementwise.i1(asarray(x.astype("float32"))), special.i1(x), 64)
    assert elementwise.i0(asarray([-INF, INF])).tolist() == [INF, INF]
    assert elementwise.i1(asarray([-INF, INF])).tolist() == [-INF, INF]


def test_logit_is_exact_near_one_half():
    x = np.float64([0.5 + 1e-12, 0.5000001, 0.5, 0.25, 0.75, 1e-300, 0.0, 1.0])
    with mpmath.workdps(50):
        wanted = [float(mpmath.log(mpmath.mpf(v) / (1 - mpmath.mpf(v)))) for v in x[:-2]]
    wanted += [-INF, INF]
    np.testing.assert_allclose(elementwise.logit(asarray(x)).numpy(), wanted, rtol=2e-15)


def test_isclose():
    assert isclose(asarray([1, 2]), asarray([1, 3])).tolist() == [True, False]
    assert isclose(asarray(10**9), asarray(10**9 + 10**5), rtol=1e-5).tolist() is False
    assert isclose(asarray([NAN, INF]), asarray([NAN, INF])).tolist() == [False, True]
    assert isclose(asarray([NAN]), asarray([NAN]), equal_nan=True).tolist() == [True]
    assert isclose(asarray([0.0], dtype="float16"), asarray([1e-7], dtype="float16"), atol=1e-6)
    assert isclose(1.0, 1.0 + 1e-9).tolist() is True


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_need_no_rounding(dtype):
    x = np.array([np.iinfo(dtype.numpy).max, 0], dtype.numpy)
    for name in ("floor", "ceil", "trunc", "round"):
        found = getattr(elementwise, name)(asarray(x))
        assert found.dtype is dtype
        np.testing.assert_array_equal(found.numpy(), x)


# clip ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", REAL, ids=str)
@pytest.mark.parametrize("bounds", [(None, None), (1, None), (None, 2), (1, 2), (2, 1)])
def test_clip_with_numbers(dtype, bounds):
    x = row(dtype, 0, 4, (2, 3))
    found = clip(asarray(x), *bounds)
    assert found.dtype is dtype
    wanted = x if bounds == (None, None) else np.clip(wide(x), *bounds)
    np.testing.assert_array_equal(wide(found.numpy()), wide(wanted))


def test_clip_with_arrays():
    x = asarray(np.arange(6.0, dtype=np.float32).reshape(2, 3))
    found = clip(x, min=asarray([[1.0], [4.0]]), max=[3.5, 4, 4.5])
    np.testing.assert_array_equal(found.numpy(), [[1, 1, 2], [3.5, 4, 4.5]])
    assert clip(x, max=asarray(2, dtype="int8")).dtype == "float32"
    assert clip(asarray([1.0, NAN, 3.0]), NAN, 2.0).numpy().tolist().count(NAN) == 0
    np.testing.assert_array_equal(clip(asarray([1.0, NAN, 3.0]), 2.0).numpy(), [2, NAN, 3])
    assert clip(asarray(5.0), min=asarray([6.0, 7.0])).tolist() == [6, 7]
    assert clip(2, 3, 4).dtype == "int64"


def test_clip_with_traced_bounds():
    found = function(lambda x, low: clip(x, low, 2 * 1))(asarray([0, 1, 5], dtype="int8"), 1)
    assert found.dtype == "int8"
    assert found.tolist() == [1, 1, 2]


# Derivatives at the joints of formulas ------------------------------------------------------------


def derivatives(python_function, *points):
    """The value and the first and second derivative in the first operand, in float64."""
    arrays = [np.float64(point) for point in points]
    graph = function(python_function).trace(*map(asarray, arrays))
    first = vjp(graph)
    once = first.with_results(first.results[:1])
    second = vjp(once)
    one = np.float64(1.0)
    return (
        float(run(graph, *arrays)[0]),
        float(run(once, *arrays, one)[0]),
        float(run(second, *arrays, one, one)[0]),
    )


SMOOTH = [
    ("logaddexp", (0.3, 0.3), (0.3 + math.log(2), 0.5, 0.25)),
    ("logaddexp", (2.0, -40.0), (2.0, 1.0, math.exp(-42.0))),
    ("logaddexp2", (0.3, 0.3), (1.3, 0.5, 0.25 * math.log(2))),
    ("sinc", (0.0,), (1.0, 0.0, -(math.pi**2) / 3)),
    ("i0", (0.0,), (1.0, 0.0, 0.5)),
    ("i1", (0.0,), (0.0, 0.5, 0.0)),
    ("logit", (0.5,), (0.0, 4.0, 0.0)),
    ("logit", (0.25,), (-math.log(3), 16 / 3, -(16 / 9) * 8)),
    ("square", (0.0,), (0.0, 0.0, 2.0)),
    ("reciprocal", (2.0,), (0.5, -0.25, 0.25)),
    ("rad2deg", (1.0,), (180 / math.pi, 180 / math.pi, 0.0)),
    ("fmod", (7.5, 2.0), (1.5, 1.0, 0.0)),
    ("fmod", (-7.5, 2.0), (-1.5, 1.0, 0.0)),
    ("divide_no_nan", (1.0, 0.0), (0.0, 0.0, 0.0)),
    ("xlogy", (2.0, 3.0), (2 * math.log(3), math.log(3), 0.0)),
]


@pytest.mark.parametrize(("name", "points", "wanted"), SMOOTH)
def test_derivatives_at_joints(name, points, wanted):
    found = derivatives(getattr(elementwise, name), *points)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("at", [-0.159, -0.1592, 0.159, 0.1592, 0.05, 1.0])
def test_derivatives_of_sinc_on_both_sides_of_the_joint(at):
    def slope(order):
        return float(mpmath.diff(lambda x: mpmath.sincpi(x), at, order))

    found = derivatives(elementwise.sinc, at)
    np.testing.assert_allclose(found, [np.sinc(at), slope(1), slope(2)], rtol=1e-9, atol=1e-12)


def test_derivatives_stay_numbers_at_infinity():
    found = derivatives(elementwise.logaddexp, -INF, -INF)
    assert found[0] == -INF
    assert not any(math.isnan(each) for each in found[1:])
    assert derivatives(elementwise.xlogy, 0.0, 2.0)[1] == pytest.approx(math.log(2))


# 16-bit floats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS[:2], ids=str)
@pytest.mark.parametrize("name", ["sinc", "logit", "i0", "deg2rad", "angle"])
def test_formulas_round_16_bit_floats_once(dtype, name):
    x = row(dtype, 0.05, 0.95, (64,))
    narrow = getattr(elementwise, name)(asarray(x)).numpy()
    exact = getattr(elementwise, name)(asarray(x.astype(np.float32))).numpy()
    np.testing.assert_array_equal(narrow, exact.astype(dtype.numpy))


# Messages -----------------------------------------------------------------------------------------


def test_messages(golden):
    flags, whole, unreal = full((2,), True), full((2,), 1), full((2,), 1j)
    cases = [
        lambda: elementwise.floor(flags),
        lambda: elementwise.floor(unreal),
        lambda: elementwise.square(flags),
        lambda: elementwise.negative(flags),
        lambda: elementwise.erf(unreal),
        lambda: elementwise.logical_and(whole, whole),
        lambda: elementwise.bitwise_and(full((2,), 1.0), whole),
        lambda: elementwise.sinc(unreal),
        lambda: elementwise.population_count(full((2,), 1.0)),
        lambda: clip(whole, 0.5),
        lambda: clip(whole, None, asarray(1.0)),
        lambda: clip(full((2,), 1, dtype="uint8"), -1, 3),
        lambda: clip(unreal, 0, 1),
        lambda: clip(full((2,), 1.0), full((3,), 0.0)),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("elementwise", "\n\n".join(lines))


def test_no_function_is_left_out():
    tested = {line[0] for line in UNARY + BINARY} | {"clip", "nextafter", "betainc"}
    own = {
        name
        for name, value in vars(elementwise).items()
        if inspect.isfunction(value)
        and value.__module__ == elementwise.__name__
        and not name.startswith("_")
    }
    assert own - tested == {"leading_zeros"}, "tested with its own oracle above"

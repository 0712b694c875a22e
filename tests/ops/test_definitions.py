"""The NumPy definitions against SciPy, against 50-digit values, and against numbers JAX drew.

SciPy and mpmath are oracles only; where one is missing its tests are skipped by name. The errors
asked of each function are those its docstring promises, or SciPy's own where those are larger.
"""

import warnings

import numpy as np
import pytest

from thalweg.ops import definitions

INF = np.inf
NAN = np.nan
TINY = 5e-324
EDGES = np.array([
    *(NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1e308, -1e308, TINY, -TINY),
    *(2.0**52, -(2.0**53), -1e15 - 0.5, 3.0, 10.0, -20.0, -20.5, 1e-5, 8.0, 1e-300, -1e-310),
])  # fmt: skip


@pytest.fixture(scope="module")
def special():
    return pytest.importorskip("scipy.special")


@pytest.fixture(scope="module")
def mp():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):
        yield mpmath


def random(seed=0):
    return np.random.default_rng(seed)


def powers(seed, low, high, count):
    """Numbers spread evenly over the decades from 10**low to 10**high."""
    return 10.0 ** random(seed).uniform(low, high, count)


def both_signs(x):
    return np.concatenate([x, -x])


def assert_close(actual, expected, tolerance, floor=0.0):
    """Equal up to tolerance times the larger of |expected| and floor; NaN and inf must match."""
    assert actual.dtype == np.float64
    assert actual.shape == np.shape(expected)
    special_values = ~np.isfinite(expected)
    np.testing.assert_array_equal(actual[special_values], expected[special_values])
    expected = np.where(special_values, 0.0, expected)
    actual = np.where(special_values, 0.0, actual)
    error = np.abs(actual - expected)
    # A few units of 5e-324 are as near as the denormal range allows.
    allowed = tolerance * np.maximum(np.abs(expected), floor) + 4 * TINY
    worst = np.argmax(error - allowed)
    assert np.all(error <= allowed), (worst, actual.flat[worst], expected.flat[worst])


def assert_precise(function, reference, tolerance, *args, floor=0.0):
    """Compare with a reference in many digits, called on one point at a time."""
    args = np.broadcast_arrays(*args)
    actual = function(*args)
    for got, *point in zip(actual.tolist(), *(a.tolist() for a in args), strict=True):
        wanted = reference(*point)
        error = abs(got - wanted)
        assert error <= tolerance * max(abs(wanted), floor) + 4 * TINY, (point, got, float(error))


# --- shapes, silence, edges ---------------------------------------------------------------------

UNARY = ["erf", "erfc", "erfinv", "erfcinv", "lgamma", "digamma", "i0e", "i1e"]
BINARY = ["polygamma", "zeta", "gammainc", "gammaincc", "gammainc_da"]
ARITY = {**dict.fromkeys(UNARY, 1), **dict.fromkeys(BINARY, 2), "betainc": 3}


@pytest.mark.parametrize("name", ARITY)
def test_shape_and_dtype(name):
    function = getattr(definitions, name)
    rest = [0.5] * (ARITY[name] - 1)
    for first in (1.5, np.float32(1.5), 1, np.full((), 1.5), [[1.5, 2.5]], np.zeros((0, 3))):
        result = function(first, *rest)
        assert isinstance(result, np.ndarray)
        assert result.dtype == np.float64
        assert result.shape == np.shape(first)
    if rest:
        assert function(np.ones((3, 1)), *rest[1:], np.full(4, 0.5)).shape == (3, 4)
        assert function(np.ones((0, 1)), *rest[1:], np.full(4, 0.5)).shape == (0, 4)


@pytest.mark.parametrize("name", ARITY)
def test_no_warning_no_write_no_neighbour(name):
    grid = EDGES if ARITY[name] < 3 else EDGES[::2]
    args = [a.ravel() for a in np.meshgrid(*[grid] * ARITY[name])]
    kept = [a.copy() for a in args]
    function = getattr(definitions, name)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        result = function(*args)
    for a, b in zip(args, kept, strict=True):
        np.testing.assert_array_equal(a, b)
    some = random().choice(result.size, 20)
    alone = [function(*(a[i] for a in args)) for i in some]
    np.testing.assert_array_equal(result[some], alone)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("erf", (-0.0,), -0.0),
        ("erf", (-INF,), -1.0),
        ("erfc", (INF,), 0.0),
        ("erfc", (-INF,), 2.0),
        ("erfinv", (-0.0,), -0.0),
        ("erfinv", (1.0,), INF),
        ("erfinv", (-1.0,), -INF),
        ("erfinv", (1.5,), NAN),
        ("erfcinv", (0.0,), INF),
        ("erfcinv", (2.0,), -INF),
        ("erfcinv", (-TINY,), NAN),
        ("lgamma", (1.0,), 0.0),
        ("lgamma", (2.0,), 0.0),
        ("lgamma", (-3.0,), INF),
        ("lgamma", (-0.0,), INF),
        ("lgamma", (-INF,), INF),
        ("lgamma", (1e308,), INF),
        ("digamma", (0.0,), -INF),
        ("digamma", (-0.0,), INF),
        ("digamma", (-1.0,), NAN),
        ("digamma", (-INF,), NAN),
        ("digamma", (INF,), INF),
        ("polygamma", (1.0, 0.0), INF),
        ("polygamma", (2.0, -3.0), -INF),
        ("polygamma", (2.0, -TINY), INF),
        ("polygamma", (0.5, 1.0), NAN),
        ("polygamma", (-1.0, 1.0), NAN),
        ("polygamma", (3.0, INF), 0.0),
        ("polygamma", (3.0, -INF), NAN),
        ("zeta", (1.0, 2.0), INF),
        ("zeta", (0.5, 2.0), NAN),
        ("zeta", (2.0, -1.0), INF),
        ("zeta", (2.5, -0.5), NAN),
        ("zeta", (2.0, INF), 0.0),
        ("zeta", (INF, 1.0), 1.0),
        ("gammainc", (0.0, 1.0), 1.0),
        ("gammainc", (0.0, 0.0), NAN),
        ("gammainc", (INF, 1.0), 0.0),
        ("gammainc", (INF, INF), NAN),
        ("gammainc", (2.0, INF), 1.0),
        ("gammainc", (1e308, 1e308), 0.5),
        ("gammainc", (2.0, -1.0), NAN),
        ("gammaincc", (2.0, -0.0), 1.0),
        ("gammaincc", (0.0, 1.0), 0.0),
        ("gammainc_da", (2.0, 0.0), 0.0),
        ("gammainc_da", (2.0, INF), 0.0),
        ("gammainc_da", (INF, 2.0), 0.0),
        ("betainc", (0.0, 1.0, 0.5), 1.0),
        ("betainc", (1.0, 0.0, 0.5), 0.0),
        ("betainc", (0.0, 0.0, 0.5), NAN),
        ("betainc", (INF, 1.0, 0.5), 0.0),
        ("betainc", (1.0, INF, 0.5), 1.0),
        ("betainc", (INF, INF, 0.5), NAN),
        ("betainc", (1e308, 1e308, 0.5), 0.5),
        ("betainc", (2.0, 3.0, 1.0), 1.0),
        ("betainc", (2.0, 3.0, -0.0), 0.0),
        ("betainc", (2.0, 3.0, 1.1), NAN),
        ("i0e", (0.0,), 1.0),
        ("i0e", (-INF,), 0.0),
        ("i1e", (-0.0,), -0.0),
        ("i1e", (-INF,), -0.0),
    ],
)
def test_edge(name, args, expected):
    result = getattr(definitions, name)(*args)
    np.testing.assert_allclose(result, expected, rtol=1e-15, atol=0.0)
    if expected == 0.0:
        assert np.signbit(result) == np.signbit(expected)


@pytest.mark.parametrize("name", ARITY)
def test_nan_in_any_place_gives_nan(name):
    for place in range(ARITY[name]):
        args = [0.5] * ARITY[name]
        args[place] = NAN
        assert np.isnan(getattr(definitions, name)(*args))


# --- against SciPy ------------------------------------------------------------------------------

LINE = np.concatenate([
    *(np.linspace(-30.0, 30.0, 6001), both_signs(powers(1, -300, 300, 2000))),
    random(2).normal(0.0, 3.0, 4000),
])  # fmt: skip


@pytest.mark.parametrize(
    ("name", "oracle", "x", "tolerance", "floor"),
    [
        ("erf", "erf", LINE, 1e-15, 0.0),
        ("erfc", "erfc", LINE[LINE < 26.5], 2e-13, 0.0),
        ("erfinv", "erfinv", np.linspace(-1.0, 1.0, 8001), 3e-15, 0.0),
        ("erfcinv", "erfcinv", np.linspace(0.0, 2.0, 8001), 3e-15, 0.0),
        ("lgamma", "gammaln", LINE[LINE > 0.0], 5e-15, 0.1),
        ("lgamma", "gammaln", LINE[LINE < 0.0], 1e-13, 1.0),
        ("digamma", "digamma", LINE[LINE > 0.0], 1e-14, 0.0),
        ("digamma", "digamma", LINE[(LINE < 0.0) & (LINE > -1e3)], 1e-12, 1.0),
        ("i0e", "i0e", LINE, 3e-15, 0.0),
        ("i1e", "i1e", LINE, 4e-15, 0.0),
    ],
)
def test_unary_against_scipy(special, name, oracle, x, tolerance, floor):
    assert_close(getattr(definitions, name)(x), getattr(special, oracle)(x), tolerance, floor)


def test_zeta_and_polygamma_against_scipy(special):
    generator = random(3)
    x = generator.uniform(1.0, 30.0, 4000)
    q = np.concatenate([generator.uniform(0.01, 20.0, 2000), powers(4, -2, 2, 2000)])
    assert_close(definitions.zeta(x, q), special.zeta(x, q), 1e-13)
    n = np.floor(x)
    assert_close(definitions.polygamma(n, q), special.polygamma(n, q), 1e-13)
    assert_close(definitions.polygamma(1.0, -q), special.polygamma(1, -q), 1e-12)
    assert_close(definitions.polygamma(0.0, q), definitions.digamma(q), 0.0)


def test_incomplete_gamma_against_scipy(special):
    generator = random(5)
    a = np.concatenate([powers(6, -3, 2, 3000), generator.uniform(1.0, 300.0, 2000)])
    x = generator.gamma(a)
    x = np.maximum(x, 1e-300)
    assert_close(definitions.gammainc(a, x), special.gammainc(a, x), 1e-12)
    assert_close(definitions.gammaincc(a, x), special.gammaincc(a, x), 1e-12)
    both = definitions.gammainc(a, x) + definitions.gammaincc(a, x)
    assert_close(both, np.ones_like(both), 1e-15)


def test_betainc_against_scipy(special):
    generator = random(7)
    a = powers(8, -2, 3, 4000)
    b = powers(9, -2, 3, 4000)
    x = np.clip(generator.beta(a, b), 1e-12, 1.0 - 1e-12)
    assert_close(definitions.betainc(a, b, x), special.betainc(a, b, x), 1e-11)
    flipped = definitions.betainc(b, a, 0.25)
    assert_close(1.0 - definitions.betainc(a, b, 0.75), flipped, 1e-13, floor=1.0)


# --- against 50 digits --------------------------------------------------------------------------


def test_erf_precise(mp):
    x = np.concatenate([
        *(both_signs(random(10).uniform(0.0, 6.0, 60)), both_signs(powers(11, -320, 1, 40))),
        [0.5, 1.0, np.nextafter(1.0, 2.0), np.nextafter(0.5, 0.0)],
    ])  # fmt: skip
    assert_precise(definitions.erf, mp.erf, 5e-16, x)
    tail = np.concatenate([x, random(12).uniform(0.0, 27.3, 100)])
    assert_precise(definitions.erfc, mp.erfc, 8e-16, tail)


def test_erfinv_precise(mp):
    x = np.concatenate([
        *(random(13).uniform(-1.0, 1.0, 40), 1.0 - powers(14, -16, 0, 30)),
        powers(15, -320, 0, 20),
    ])  # fmt: skip
    assert_precise(definitions.erfinv, mp.erfinv, 8e-16, x)
    c = np.concatenate([powers(16, -300, 0, 60), [TINY, 1.5, 1.9, 0.5, 1.0 + 1e-10]])
    # The inverse moves by less than 4e-16 of itself where erfc of it is this near to c.
    y = definitions.erfcinv(c)
    for value, wanted in zip(y.tolist(), c.tolist(), strict=True):
        slope = -2 * mp.exp(-(mp.mpf(value) ** 2)) / mp.sqrt(mp.pi)
        assert abs((mp.erfc(value) - wanted) / slope) <= 8e-16 * abs(value)


def test_lgamma_precise(mp):
    def reference(x):
        return mp.log(abs(mp.gamma(x))) if abs(x) < 1e5 else mp.re(mp.loggamma(x))

    near = both_signs(powers(17, -15, -1, 20))
    x = np.concatenate([
        *(random(18).uniform(0.0, 12.0, 100), powers(19, -308, 305, 60), 1.0 + near, 2.0 + near),
    ])  # fmt: skip
    assert_precise(definitions.lgamma, reference, 8e-16, x)
    x = np.concatenate([-random(20).uniform(0.0, 20.0, 80), -random(21).uniform(20.0, 170.0, 40)])
    assert_precise(definitions.lgamma, reference, 1e-15, x, floor=1.0)


def test_digamma_precise(mp):
    near = 1.4616321449683622 + both_signs(powers(22, -15, -1, 20))
    x = np.concatenate([random(23).uniform(0.0, 12.0, 100), powers(24, -307, 305, 60), near])
    assert_precise(definitions.digamma, mp.digamma, 8e-16, x)
    assert_precise(definitions.digamma, mp.digamma, 4e-15, -random(25).uniform(0, 99, 80), floor=1)


def test_zeta_precise(mp):
    generator = random(26)
    x = np.concatenate([generator.uniform(1.0, 30.0, 80), 1.0 + powers(27, -15, 0, 20)])
    q = np.concatenate([powers(28, -3, 3, 90), powers(28, -60, -3, 10)])
    # mpmath's zeta is right to so many decimals, not digits.
    with mp.workdps(140):
        assert_precise(definitions.zeta, mp.zeta, 1e-15, x, q)


def test_polygamma_precise(mp):
    def reference(n, x):
        """The sum up to the first positive argument, then Hurwitz's zeta."""
        steps = max(0, int(np.ceil(-x)))
        head = mp.fsum((mp.mpf(x) + k) ** -(n + 1) for k in range(steps))
        return (-1) ** (int(n) + 1) * mp.factorial(n) * (head + mp.zeta(n + 1, mp.mpf(x) + steps))

    generator = random(29)
    with mp.workdps(200):
        n = np.concatenate([generator.integers(1, 8, 60), generator.integers(8, 50, 40)]) * 1.0
        assert_precise(definitions.polygamma, reference, 2e-15, n, powers(30, -2, 2, 100))
        x = np.concatenate([-generator.uniform(0.0, 30.0, 60), -np.arange(40) - 0.5])
        # Even orders have roots between the poles; at half-integers they are well conditioned.
        assert_precise(definitions.polygamma, reference, 4e-15, n[n % 2 == 1], x[n % 2 == 1])
        assert_precise(definitions.polygamma, reference, 1e-14, n[60:], x[60:])
    with mp.workdps(800):
        n = np.array([170.0, 170.0, 200.0, 300.0])
        assert_precise(
            definitions.polygamma, reference, 1e-12, n, np.array([5.0, 1e3, 300.0, 99.0])
        )


GAMMA_POINTS = np.concatenate([
    np.stack([powers(31, -3, 0.3, 40), powers(32, -3, 0.6, 40)], axis=1),
    random(33).uniform(0.5, 50.0, (40, 1)) * np.array([[1.0, 0.7]]),
    random(34).uniform(0.5, 50.0, (40, 1)) * np.array([[1.0, 1.4]]),
    random(35).uniform(50.0, 2e3, (40, 1)) * np.array([[1.0, 0.95]]),
    random(36).uniform(50.0, 2e3, (40, 1)) * np.array([[1.0, 1.05]]),
    [(1.0, 1.2), (50.0, 50.0), (49.99, 49.99), (1.0, 2.0), (3.0, 3.5), (100.0, 30.0), (1e4, 1e4)],
])  # fmt: skip


def test_incomplete_gamma_precise(mp):
    def lower(a, x):
        return mp.gammainc(a, 0, x, regularized=True)

    def upper(a, x):
        return mp.gammainc(a, x, mp.inf, regularized=True)

    def slope(a, x):
        """Central differences of fourth order in 70 digits, of the smaller of P and -Q."""
        with mp.workdps(70):
            a = mp.mpf(a)
            h = a * mp.mpf(10) ** -15
            p = lower if x <= a else lambda a, x: -upper(a, x)
            wide = p(a + 2 * h, x) - p(a - 2 * h, x)
            return (8 * (p(a + h, x) - p(a - h, x)) - wide) / (12 * h)

    a, x = GAMMA_POINTS.T
    assert_precise(definitions.gammainc, lower, 2e-14, a, x)
    assert_precise(definitions.gammaincc, upper, 2e-14, a, x)
    assert_precise(definitions.gammainc_da, slope, 2e-14, a[::2], x[::2])
    tiny = powers(37, -300, -4, 20)
    assert_precise(definitions.gammaincc, upper, 2e-15, tiny, np.linspace(0.01, 4.0, 20))


def test_gammainc_da_at_zero_is_the_exponential_integral(mp):
    x = powers(38, -5, 1, 30)
    assert_precise(definitions.gammainc_da, lambda a, x: -mp.e1(x), 2e-14, np.zeros(30), x)


BETA_POINTS = np.concatenate([
    np.stack([powers(39, -3, 1, 40), powers(40, -3, 1, 40), random(41).uniform(0, 1, 40)], axis=1),
    np.stack([powers(42, 0, 3, 40), powers(43, 0, 3, 40), random(44).uniform(0, 1, 40)], axis=1),
    np.stack([powers(45, -9, 0, 20), powers(46, -2, 4, 20), powers(47, -15, 0, 20)], axis=1),
    np.stack([powers(48, -2, 4, 20), powers(49, -9, 0, 20), 1 - powers(50, -15, 0, 20)], axis=1),
    [(50.0, 50.0, 0.5), (1e4, 1e4, 0.49), (1e5, 3.0, 0.99997), (0.5, 1e10, 2e-10), (1, 1, 0.3)],
])  # fmt: skip


def test_betainc_precise(mp):
    def below(a, b, x, y):
        """DLMF 8.17.8."""
        log_scale = mp.loggamma(a + b) - mp.loggamma(a + 1) - mp.loggamma(b)
        return mp.exp(a * mp.log(x) + b * mp.log(y) + log_scale) * mp.hyp2f1(a + b, 1, a + 1, x)

    def reference(a, b, x):
        a, b, x = mp.mpf(a), mp.mpf(b), mp.mpf(x)
        if x * (a + b) <= a + 1:
            return below(a, b, x, 1 - x)
        with mp.workdps(80):
            return 1 - below(b, a, 1 - x, x)

    a, b, x = BETA_POINTS.T
    # The relative error grows with the logarithm of the result: 690 at 1e-300.
    near = definitions.betainc(a, b, x) > 1e-30
    assert_precise(definitions.betainc, reference, 3e-14, a[near], b[near], x[near])
    assert_precise(definitions.betainc, reference, 1e-12, a[~near], b[~near], x[~near])


def test_bessel_precise(mp):
    x = np.concatenate([random(51).uniform(-12.0, 12.0, 100), powers(52, -300, 5, 60)])
    assert_precise(definitions.i0e, lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), 1e-15, x)
    assert_precise(definitions.i1e, lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), 3e-15, x)


# --- Threefry -----------------------------------------------------------------------------------

# Random123's known answers, and two from jax.extend.random.threefry_2x32 (0.10).
KNOWN_WORDS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ((0, 42), (1, 5), (0x997E0266, 0x48EBCD9F)),
    ((0xDEADBEEF, 0x12345678), (0xFFFFFFFF, 0xFFFFFFFF), (0x6623EAC6, 0x0FD5D9F0)),
]

# jax.random.bits of shape (3, 5), x64 on, JAX 0.10 with its default partitionable Threefry. Every
# other shape draws a prefix of the same row-major sequence, in JAX too.
# fmt: off
GOLDEN_BITS = {
    ((0x00000000, 0x00000000), 8): (
        0xA7, 0x92, 0x28, 0x35, 0xB7, 0x43, 0x7D, 0xFE, 0x63, 0xD6, 0x0D, 0x8D, 0xA9, 0x52, 0x0B,
    ),
    ((0x00000000, 0x00000000), 16): (
        0x4FA7, 0x3692, 0x0E28, 0xA835, 0x3BB7, 0x6943, 0xEA7D, 0xCCFE, 0x1963, 0x9DD6, 0x270D,
        0xED8D, 0xC8A9, 0x8352, 0xE10B,
    ),
    ((0x00000000, 0x00000000), 32): (
        0xF29A4FA7, 0xFA843692, 0x55110E28, 0x77FAA835, 0x91E43BB7, 0x2A5E6943, 0x4F68EA7D,
        0xB081CCFE, 0xBF2C1963, 0x2BC79DD6, 0xFC40270D, 0x0678ED8D, 0xA3D9C8A9, 0x900C8352,
        0xE632E10B,
    ),
    ((0x00000000, 0x00000000), 64): (
        0x6B20015999BA4EFE, 0x375F238FCDDB151D, 0xF71F4EA9A20E4081, 0x9312778BE4E8DFBE,
        0x883FFEC119DBC576, 0x5ADB10DE7085799D, 0xE20CE052AD640A2F, 0xA1EF7A4D116EB6B3,
        0x88A71F30378B0653, 0x31103A911AD7A747, 0xDAAB523126EB753C, 0x0F3769D2094F845F,
        0xA4B551BB076C9912, 0xFE7B72B46E77F1E6, 0x9A1DA1387C2F4033,
    ),
    ((0x00000000, 0x0000002A), 8): (
        0xA2, 0xD9, 0xF9, 0xD7, 0x15, 0xD8, 0x99, 0xB0, 0x8D, 0xB0, 0x31, 0x70, 0x44, 0x38, 0xDA,
    ),
    ((0x00000000, 0x0000002A), 16): (
        0x13A2, 0x30D9, 0xF9F9, 0xC1D7, 0x7315, 0x4ED8, 0xB799, 0x24B0, 0xFE8D, 0xFBB0, 0x9A31,
        0x2270, 0x9044, 0x8638, 0xFDDA,
    ),
    ((0x00000000, 0x0000002A), 32): (
        0x7D1C13A2, 0xAE0730D9, 0x9DC3F9F9, 0x8F9EC1D7, 0x735D7315, 0x95FB4ED8, 0x1326B799,
        0xC66F24B0, 0xB2EEFE8D, 0xD191FBB0, 0x59AD9A31, 0xDF712270, 0xED069044, 0xDC318638,
        0x7A40FDDA,
    ),
    ((0x00000000, 0x0000002A), 64): (
        0x6D3E048F1022172D, 0x03D7B32DADD083F4, 0x92FB20EA0F38D913, 0xBAD56946354BA891,
        0xB013AEE3C34EDDF6, 0xA4D91A963122544E, 0xA506C508B6207291, 0x97D0552F51BF719F,
        0x3C9991678E776FEA, 0x4349448B92D8BF3B, 0x3DF0E1D3645D7BE2, 0x0EB4F3D8D1C5D1A8,
        0xB99C0582549A95C6, 0xD181E6DD0DB060E5, 0x969D2D83ECDDD059,
    ),
    ((0xDEADBEEF, 0x12345678), 8): (
        0xEE, 0xCC, 0xA1, 0x3A, 0x79, 0xD9, 0xD2, 0x63, 0x7A, 0x90, 0x04, 0x24, 0xDE, 0x64, 0x10,
    ),
    ((0xDEADBEEF, 0x12345678), 16): (
        0xC7EE, 0xC2CC, 0xE5A1, 0x4D3A, 0x8F79, 0xEAD9, 0xF4D2, 0x6F63, 0xF57A, 0xCB90, 0xA604,
        0x9224, 0x45DE, 0x3B64, 0x5410,
    ),
    ((0xDEADBEEF, 0x12345678), 32): (
        0x2DECC7EE, 0xCA05C2CC, 0x797DE5A1, 0x79884D3A, 0xA6398F79, 0x8DBAEAD9, 0xB145F4D2,
        0x17236F63, 0xEA99F57A, 0x2184CB90, 0xEC09A604, 0x43B29224, 0xEBC245DE, 0x762E3B64,
        0x83A05410,
    ),
    ((0xDEADBEEF, 0x12345678), 64): (
        0xE879651FC595A2F1, 0x4EFC3FC884F9FD04, 0x6EF851A21785B403, 0xD42580C8ADADCDF2,
        0x750961EDD330EE94, 0x283156CEA58BBC17, 0x694D87E3D8087331, 0x561CAA31413FC552,
        0xFB77647211EE9108, 0x7E2EF5425FAA3ED2, 0x432B51DDAF22F7D9, 0x9245DEEAD1F74CCE,
        0xE6CDEFB50D0FAA6B, 0x693EFB531F10C037, 0xFF25C6D07C8592C0,
    ),
    ((0xFFFFFFFF, 0xFFFFFFFF), 8): (
        0xFB, 0xD8, 0xB1, 0x6B, 0x6A, 0xF1, 0x55, 0xB8, 0x39, 0xA0, 0xB3, 0xE7, 0xB5, 0x03, 0xBF,
    ),
    ((0xFFFFFFFF, 0xFFFFFFFF), 16): (
        0x82FB, 0xF7D8, 0xA3B1, 0x4F6B, 0x556A, 0x25F1, 0xEF55, 0x32B8, 0xCF39, 0xE0A0, 0x6FB3,
        0x3FE7, 0xEFB5, 0xFB03, 0x86BF,
    ),
    ((0xFFFFFFFF, 0xFFFFFFFF), 32): (
        0x0F6182FB, 0xDC33F7D8, 0x71ACA3B1, 0x59CB4F6B, 0x93A2556A, 0x332725F1, 0x01FDEF55,
        0x004232B8, 0xB827CF39, 0x36D7E0A0, 0x0F1B6FB3, 0x039C3FE7, 0xC51AEFB5, 0x7519FB03,
        0x14C486BF,
    ),
    ((0xFFFFFFFF, 0xFFFFFFFF), 64): (
        0x413979C44E58FB3F, 0x50CB82568CF8758E, 0x17D4AC7666780FC7, 0x5F0D651406C62A7F,
        0x839538CF10376DA5, 0xA72FE0969408C567, 0xEA1EAB63EBE34436, 0x36E6F4B536A4C60D,
        0xDB0263F86325ACC1, 0xA517D4D793C03477, 0xB88C353AB7975A89, 0x1D40911F1EDCAEF8,
        0xD2B8484217A2A7F7, 0x991B414CEC02BA4F, 0xD0C74B36C403CD89,
    ),
}

# jax.random.split(key, 5); fewer keys are a prefix.
GOLDEN_SPLITS = {
    (0x00000000, 0x00000000): (
        (0x6B200159, 0x99BA4EFE), (0x375F238F, 0xCDDB151D), (0xF71F4EA9, 0xA20E4081),
        (0x9312778B, 0xE4E8DFBE), (0x883FFEC1, 0x19DBC576),
    ),
    (0x00000000, 0x0000002A): (
        (0x6D3E048F, 0x1022172D), (0x03D7B32D, 0xADD083F4), (0x92FB20EA, 0x0F38D913),
        (0xBAD56946, 0x354BA891), (0xB013AEE3, 0xC34EDDF6),
    ),
    (0xDEADBEEF, 0x12345678): (
        (0xE879651F, 0xC595A2F1), (0x4EFC3FC8, 0x84F9FD04), (0x6EF851A2, 0x1785B403),
        (0xD42580C8, 0xADADCDF2), (0x750961ED, 0xD330EE94),
    ),
    (0xFFFFFFFF, 0xFFFFFFFF): (
        (0x413979C4, 0x4E58FB3F), (0x50CB8256, 0x8CF8758E), (0x17D4AC76, 0x66780FC7),
        (0x5F0D6514, 0x06C62A7F), (0x839538CF, 0x10376DA5),
    ),
}

# jax.random.fold_in(key, data) for data in FOLDED.
FOLDED = (0, 1, 7, 2**31, 2**32 - 1)
GOLDEN_FOLDS = {
    (0x00000000, 0x00000000): (
        (0x6B200159, 0x99BA4EFE), (0x375F238F, 0xCDDB151D), (0xA1EF7A4D, 0x116EB6B3),
        (0x36AF47BC, 0x25F28BF1), (0x2C4E0437, 0xE1E32D13),
    ),
    (0x00000000, 0x0000002A): (
        (0x6D3E048F, 0x1022172D), (0x03D7B32D, 0xADD083F4), (0x97D0552F, 0x51BF719F),
        (0xBDA28B29, 0x84D904A5), (0x8EF6C48D, 0xE7EB97CA),
    ),
    (0xDEADBEEF, 0x12345678): (
        (0xE879651F, 0xC595A2F1), (0x4EFC3FC8, 0x84F9FD04), (0x561CAA31, 0x413FC552),
        (0xD94FB752, 0x5618BC0A), (0x32E865E0, 0xB11179F0),
    ),
    (0xFFFFFFFF, 0xFFFFFFFF): (
        (0x413979C4, 0x4E58FB3F), (0x50CB8256, 0x8CF8758E), (0x36E6F4B5, 0x36A4C60D),
        (0xBFEA73D4, 0x2E6DB705), (0x94179164, 0x925F2FEB),
    ),
}
# fmt: on


@pytest.mark.parametrize(("key", "count", "expected"), KNOWN_WORDS)
def test_threefry_known_answers(key, count, expected):
    words = definitions.threefry2x32(*key, *count)
    assert tuple(int(w) for w in words) == expected
    assert all(w.shape == () and w.dtype == np.uint32 for w in words)


def test_threefry_broadcasts():
    keys = np.array([k for k, _, _ in KNOWN_WORDS], dtype=np.uint32)
    counts = np.array([c for _, c, _ in KNOWN_WORDS], dtype=np.uint32)
    grid = definitions.threefry2x32(keys[:, :1], keys[:, 1:], counts[:, 0], counts[:, 1])
    wanted = np.array([w for _, _, w in KNOWN_WORDS])
    np.testing.assert_array_equal(np.stack([np.diag(w) for w in grid], axis=1), wanted)
    empty = definitions.threefry2x32(keys[:, :1], keys[:, 1:], counts[:0, 0], counts[:0, 1])
    assert [w.shape for w in empty] == [(5, 0), (5, 0)]


@pytest.mark.parametrize(("key", "bit_width"), GOLDEN_BITS)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (15,), (3, 5), (5, 0, 2)])
def test_random_bits_are_those_of_jax(key, bit_width, shape):
    bits = definitions.random_bits(np.array(key, dtype=np.uint32), bit_width, shape)
    assert bits.dtype == np.dtype(f"uint{bit_width}")
    assert bits.shape == shape
    assert tuple(bits.ravel().tolist()) == GOLDEN_BITS[key, bit_width][: bits.size]


@pytest.mark.parametrize("key", GOLDEN_SPLITS)
def test_split_key_is_that_of_jax(key):
    for count in (0, 1, 2, 3, 5):
        keys = definitions.split_key(np.array(key, dtype=np.uint32), count)
        assert keys.dtype == np.uint32
        assert keys.shape == (count, 2)
        assert tuple(map(tuple, keys.tolist())) == GOLDEN_SPLITS[key][:count]


@pytest.mark.parametrize("key", GOLDEN_FOLDS)
def test_fold_in_is_that_of_jax(key):
    for data, expected in zip(FOLDED, GOLDEN_FOLDS[key], strict=True):
        folded = definitions.fold_in(np.array(key, dtype=np.uint32), data)
        assert folded.dtype == np.uint32
        assert tuple(folded.tolist()) == expected


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, (0, 0)),
        (42, (0, 42)),
        (-1, (0xFFFFFFFF, 0xFFFFFFFF)),
        (-5, (0xFFFFFFFF, 0xFFFFFFFB)),
        (2**31, (0, 0x80000000)),
        (2**32 - 1, (0, 0xFFFFFFFF)),
        (2**40 + 7, (0x100, 7)),
        (2**63 - 1, (0x7FFFFFFF, 0xFFFFFFFF)),
        (-(2**63), (0x80000000, 0)),
        (np.int64(-7), (0xFFFFFFFF, 0xFFFFFFF9)),
        (np.uint64(2**64 - 1), (0xFFFFFFFF, 0xFFFFFFFF)),
    ],
)
def test_seed_key_is_that_of_jax_in_64_bits(seed, expected):
    key = definitions.seed_key(seed)
    assert key.dtype == np.uint32
    assert tuple(key.tolist()) == expected

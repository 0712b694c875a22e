"""The vector mathematics within its bounds, on dense samples, for every number of lanes.

`python -m thalweg.tools.ulp` does the same over all 2**32 values of float32; its figures are in
docs/mathematics.md.
"""

import numpy as np
import pytest

from thalweg.backends.llvm import mathematics
from thalweg.ir.op import find
from thalweg.ir.types import float32, float64
from thalweg.tools.ulp import (
    UNARY,
    compiled,
    distance,
    double_samples,
    row,
    worst_of,
    worst_single,
)

BOUNDS = {
    "exp": (1, 1), "exp2": (1, 1), "expm1": (1, 2), "log": (1, 1), "log2": (2, 2),
    "log10": (2, 2), "log1p": (2, 2), "sin": (2, 2), "cos": (2, 2), "tan": (4, 4),
    "asin": (2, 2), "acos": (2, 2), "atan": (2, 2), "sinh": (3, 3), "cosh": (3, 3),
    "tanh": (2, 3), "asinh": (3, 3), "acosh": (3, 3), "atanh": (3, 3), "sigmoid": (2, 3),
    "erf": (1, 2), "erfc": (4, 6), "cbrt": (1, 1), "rsqrt": (1, 1),
    "erfinv": (1, 8),
}  # fmt: skip
"""The largest error in ULP for float32 and float64."""

EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, 1e-30, -1e-30, 3.0]
LIMITS = [88.7, 88.8, -87.3, -103.9, -104.1, 89.4, 9.0, -17.0, 10.1, 128.0, -149.5, 709.7, -745.2]


def dense(dtype, count):
    """Every exponent, the places where functions bend, the edges."""
    random = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        if dtype is float32:
            bits = random.integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32)
            raw = bits.view(np.float32)
        else:
            raw = 10.0 ** random.uniform(-300, 9, count) * random.choice([-1, 1], count)
        parts = [raw, random.uniform(-2, 2, count), random.uniform(-110, 110, count)]
        parts += [EDGES, LIMITS, np.linspace(-4, 4, count), 1 + random.uniform(-1e-3, 1e-3, count)]
        tiny = float(np.finfo(dtype.numpy).smallest_subnormal)
        parts.append(tiny * np.arange(-50, 50))
        return np.concatenate([np.asarray(part).astype(dtype.numpy) for part in parts])


def test_every_function_has_a_bound():
    assert set(UNARY) == set(BOUNDS)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_float32(name, lanes):
    x = dense(float32, 20_000)
    with np.errstate(all="ignore"):
        wanted = find(name).evaluate(x.astype(np.float64)).astype(np.float32)
    worst = worst_of(x, compiled(getattr(mathematics, name), 1, float32, lanes)(x), wanted)
    assert worst.error <= BOUNDS[name][0], worst


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("lanes", [1, 4, 8])
def test_float64(name, lanes):
    x = dense(float64, 20_000)
    with np.errstate(all="ignore"):
        wanted = find(name).evaluate(x)
    worst = worst_of(x, compiled(getattr(mathematics, name), 1, float64, lanes)(x), wanted)
    assert worst.error <= BOUNDS[name][1], worst


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize("lanes", [1, 16])
def test_far_angles_of_float32(name, lanes):
    random = np.random.default_rng(2)
    far = 2.0 ** random.uniform(16, 128, 50_000) * random.choice([-1, 1], 50_000)
    # The float32 nearest to a multiple of pi / 2, and the ends of the short reduction.
    with np.errstate(all="ignore"):
        x = np.append(far.astype(np.float32), np.float32([16367173.0 * 2.0**72, 2.0**17, 3.4e38]))
    wanted = find(name).evaluate(x.astype(np.float64)).astype(np.float32)
    worst = worst_of(x, compiled(getattr(mathematics, name), 1, float32, lanes)(x), wanted)
    assert worst.error <= BOUNDS[name][0], worst


def test_far_angles_of_float64():
    random = np.random.default_rng(3)
    x = np.append(10.0 ** random.uniform(8, 300, 20_000), [2.0**36, 2.0**36 + 1, 1e308])
    for name in ("sin", "cos", "tan"):
        found = compiled(getattr(mathematics, name), 1, float64)(x)
        assert worst_of(x, found, find(name).evaluate(x)).error <= 4


def operands(dtype, count=40_000):
    random = np.random.default_rng(4)
    edges = [*EDGES, 1e30, -1e30, -2.0, -3.0, 0.25, 1e8, 1e-40, 3e38, -3e38]
    with np.errstate(all="ignore"):
        grid = np.meshgrid(np.array(edges).astype(dtype.numpy), np.array(edges).astype(dtype.numpy))
    xs, ys = [grid[0].ravel()], [grid[1].ravel()]
    for x, y in [
        (random.standard_normal(count), random.standard_normal(count)),
        (np.exp(3 * random.standard_normal(count)), 8 * random.standard_normal(count)),
        (random.uniform(0.9, 1.1, count), 500 * random.standard_normal(count)),
        (2.0 ** random.uniform(-140, 120, count), random.uniform(-2, 2, count)),
        (random.standard_normal(count) * 40, random.integers(-6, 7, count)),
        (2.0 ** random.uniform(-140, 120, count), 2.0 ** random.uniform(-140, 120, count)),
    ]:
        xs.append(x.astype(dtype.numpy))
        ys.append(y.astype(dtype.numpy))
    return np.concatenate(xs), np.concatenate(ys)


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize(("name", "bound"), [("power", 1), ("atan2", 3), ("hypot", 1)])
def test_two_operands_of_float32(name, bound, lanes):
    x, y = operands(float32)
    with np.errstate(all="ignore"):
        wanted = find(name).evaluate(x.astype(np.float64), y.astype(np.float64))
        wanted = wanted.astype(np.float32)
    found = compiled(getattr(mathematics, name), 2, float32, lanes)(x, y)
    error = distance(found, wanted)
    assert error.max() <= bound, (x[error.argmax()], y[error.argmax()])


@pytest.mark.parametrize(("name", "bound"), [("power", 2), ("atan2", 3), ("hypot", 1)])
def test_two_operands_of_float64(name, bound):
    x, y = operands(float64)
    with np.errstate(all="ignore"):
        wanted = find(name).evaluate(x, y)
    error = distance(compiled(getattr(mathematics, name), 2, float64)(x, y), wanted)
    assert error.max() <= bound, (x[error.argmax()], y[error.argmax()])


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("name", ["remainder", "floor_divide"])
def test_floor_division_is_exact(name, dtype):
    x, y = operands(dtype)
    with np.errstate(all="ignore"):
        wanted = find(name).evaluate(x, y)
    error = distance(compiled(getattr(mathematics, name), 2, dtype)(x, y), wanted)
    assert error.max() == 0, (x[error.argmax()], y[error.argmax()])


@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_lanes_agree_bit_for_bit(dtype):
    x, (a, b) = dense(dtype, 5_000), operands(dtype, 2_000)
    full = 16 if dtype is float32 else 8
    for name in UNARY:
        one, many = (compiled(getattr(mathematics, name), 1, dtype, n)(x) for n in (1, full))
        assert distance(many, one).max() == 0, name
    for name in ("power", "atan2", "hypot"):
        one, many = (compiled(getattr(mathematics, name), 2, dtype, n)(a, b) for n in (1, full))
        assert distance(many, one).max() == 0, name


def test_distance_counts_steps_and_sees_what_is_wrong():
    one = np.float32([1.0, 0.0, np.nan, 1.0, 0.0, -1e-45, np.inf])
    two = np.float32([np.nextafter(np.float32(1), np.float32(2)), -0.0, np.nan, np.nan, 1e-45,
                      1e-45, 3.4028235e38])  # fmt: skip
    np.testing.assert_array_equal(distance(one, two), [1, np.inf, 0, np.inf, 1, 2, 1])


def test_the_tool_finds_the_worst_input():
    worst = worst_single("exp", 65_537)
    assert worst.error == 1
    assert worst.found != worst.wanted == np.float32(np.exp(np.float64(worst.x)))
    assert row("rsqrt", 2**20 + 1).startswith("| rsqrt | ")


def test_the_samples_of_float64_reach_every_function():
    x = double_samples(1000)
    assert np.nanmin(x) == -np.inf and np.isnan(x).any() and np.abs(x[np.isfinite(x)]).max() < 1e9

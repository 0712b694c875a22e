"""Statistics: NumPy as oracle, element types, no elements, NaN, derivatives, named sizes."""

import inspect
import math

import ml_dtypes
import numpy as np
import pytest
from scipy import special

from thalweg.array import statistical
from thalweg.array.creation import asarray, zeros
from thalweg.array.derivatives import grad, hessian, vmap
from thalweg.array.elementwise import multiply
from thalweg.array.statistical import (
    METHODS,
    average,
    corrcoef,
    cov,
    cummax,
    cummin,
    cumulative_logsumexp,
    cumulative_prod,
    cumulative_sum,
    max,
    mean,
    median,
    min,
    nanargmax,
    nanargmin,
    nancumprod,
    nancumsum,
    nanmax,
    nanmean,
    nanmedian,
    nanmin,
    nanpercentile,
    nanprod,
    nanquantile,
    nanstd,
    nansum,
    nanvar,
    percentile,
    prod,
    ptp,
    quantile,
    std,
    sum,
    var,
)
from thalweg.base.errors import ArgumentError, ShapeError, ThalwegError
from thalweg.engine.tensor import Tensor
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable
from thalweg.ir.types import DTYPES, FLOATS, INTEGERS, as_dtype

SHAPES = [(), (4,), (2, 3), (3, 1, 4)]
NAN = math.nan


def data(shape, dtype="float64", seed=0):
    generator = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind == "c":
        return (generator.normal(size=shape) + 1j * generator.normal(size=shape)).astype(dtype)
    return generator.normal(size=shape).astype(dtype)


def holes(shape, seed=0):
    """Values of which some are NaN."""
    x = data(shape, seed=seed)
    return np.where(np.random.default_rng(seed).random(shape) < 0.4, NAN, x)


def axes_of(shape):
    rank = len(shape)
    found = [None, ()]
    found += [0, -1] if rank else []
    return [*found, (0, rank - 1), (-1, 0)] if rank > 1 else found


def check(found, wanted, rtol=1e-12):
    assert isinstance(found, Tensor)
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert found.numpy().dtype == wanted.dtype
    np.testing.assert_allclose(found.numpy(), wanted, rtol=rtol, atol=rtol)


def differences(function, x, step=1e-6):
    """The gradient of a function of one array by central differences."""
    result = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[place] = step
        result[place] = (float(function(x + moved)) - float(function(x - moved))) / (2 * step)
    return result


def check_gradient(function, x, rtol=1e-6):
    np.testing.assert_allclose(grad(function)(x).numpy(), differences(function, x), rtol, rtol)


SIGNATURES = {
    "cumulative_prod": "(x, /, *, axis=None, dtype=None, include_initial=False)",
    "cumulative_sum": "(x, /, *, axis=None, dtype=None, include_initial=False)",
    "max": "(x, /, *, axis=None, keepdims=False)",
    "mean": "(x, /, *, axis=None, keepdims=False)",
    "min": "(x, /, *, axis=None, keepdims=False)",
    "prod": "(x, /, *, axis=None, dtype=None, keepdims=False)",
    "std": "(x, /, *, axis=None, correction=0.0, keepdims=False)",
    "sum": "(x, /, *, axis=None, dtype=None, keepdims=False)",
    "var": "(x, /, *, axis=None, correction=0.0, keepdims=False)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_standard(name):
    found = inspect.signature(getattr(statistical, name))
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    assert str(inspect.Signature(plain)) == SIGNATURES[name]


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "min", "std", "var"])
def test_reductions_agree_with_numpy(name, shape, keepdims):
    ours, theirs = getattr(statistical, name), getattr(np, name)
    for dtype in ("float64", "float32", "complex128"):
        if dtype == "complex128" and name in ("max", "min"):
            continue
        x = data(shape, dtype)
        rtol = 1e-5 if dtype == "float32" else 1e-12
        for axis in axes_of(shape):
            wanted = theirs(x, axis=axis, keepdims=keepdims)
            check(ours(x, axis=axis, keepdims=keepdims), wanted, rtol)


@pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sums_and_products_widen_integers(name, dtype):
    x = np.array([1, 0, 1, 1], dtype.numpy)
    kinds = {"bool": "int64", "int": "int64", "uint": "uint64"}
    found = getattr(statistical, name)(x)
    assert found.dtype == kinds.get(dtype.kind, dtype)
    for wanted in ("int8", "float32", "complex128"):
        if dtype.is_complex and wanted != "complex128":
            continue
        assert getattr(statistical, name)(x, dtype=wanted).dtype == wanted


def test_integers_are_summed_in_the_wide_type():
    x = np.full(300, 127, np.int8)
    assert int(sum(x)) == 300 * 127
    assert int(sum(x.astype(np.uint8), dtype="uint8")) == 300 * 127 % 256
    assert int(prod(np.full(9, 100, np.uint8))) == 100**9
    assert int(sum([True, True, False])) == 2


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_means_are_floats(dtype):
    x = np.array([[1, 0], [1, 1]], dtype.numpy)
    wanted = dtype if dtype.is_inexact else as_dtype("float32")
    assert mean(x).dtype is wanted
    assert std(x, axis=0).dtype is var(x).dtype is wanted.real
    assert abs(complex(mean(x)) - 0.75) < 1e-2
    if not dtype.is_complex:
        assert median(x).dtype is average(x, weights=x).dtype is wanted


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_16_bit_floats_are_computed_in_float32(dtype):
    x = np.full(5000, 3.0, dtype)
    assert float(sum(x)) == float(np.float32(15000).astype(dtype))
    assert float(mean(x)) == 3.0
    if dtype is np.float16:
        assert float(mean(np.full(100, 60000.0, dtype))) == float(dtype(60000.0))
    x = data((400,), "float32").astype(dtype)
    wide = x.astype(np.float32)
    for ours, theirs in ((mean, np.mean), (var, np.var), (std, np.std), (median, np.median)):
        wanted = theirs(wide).astype(dtype)
        np.testing.assert_allclose(float(ours(x)), float(wanted), rtol=ml_dtypes.finfo(dtype).eps)
    assert mean(x).dtype == dtype and std(x).dtype == dtype


def test_no_elements():
    x = np.zeros((0, 3))
    check(sum(x, axis=0), np.zeros(3))
    check(prod(x), 1.0)
    check(sum(x, axis=1), np.zeros(0))
    check(mean(x, axis=0), np.full(3, NAN))
    check(var(x), NAN)
    check(std(x, axis=0, keepdims=True), np.full((1, 3), NAN))
    check(median(x, axis=0), np.full(3, NAN))
    check(quantile(x, [0.0, 0.5, 1.0]), np.full(3, NAN))
    check(max(x, axis=1), np.zeros(0))
    check(cumulative_sum(x, axis=0, include_initial=True), np.zeros((1, 3)))
    for of_some in (max, min, ptp, nanmax, nanmin, nanargmax, nanargmin):
        with pytest.raises(ShapeError, match="at least one element"):
            of_some(x)


def test_nan_spreads():
    x = np.array([[1.0, NAN, 2.0], [3.0, 4.0, 5.0]])
    for ours, theirs in ((sum, np.sum), (mean, np.mean), (max, np.max), (min, np.min),
                         (var, np.var), (median, np.median), (ptp, np.ptp)):  # fmt: skip
        check(ours(x, axis=1), theirs(x, axis=1))
    check(quantile(x, [0.0, 0.7], axis=1), [[NAN, 3.0], [NAN, 4.4]])
    check(cummax(x, axis=1), [[1.0, NAN, NAN], [3.0, 4.0, 5.0]])


def test_extremes_of_integers_and_booleans():
    for dtype in INTEGERS:
        x = np.array([[3, 1], [2, 7]], dtype.numpy)
        check(max(x, axis=0), np.max(x, axis=0))
        check(min(x), np.min(x))
        check(ptp(x), np.ptp(x))
    check(max([True, False]), np.bool_(True))
    check(min([True, False]), np.bool_(False))


def test_variance_and_its_correction():
    x = data((5, 3))
    for correction in (0, 1, 0.5, 2):
        check(var(x, axis=0, correction=correction), np.var(x, axis=0, ddof=correction))
        check(std(x, correction=correction), np.std(x, ddof=correction))
    for correction in (5, 6, 5.5):
        check(var(x, axis=0, correction=correction), np.full(3, NAN))
        check(nanvar(x, axis=0, correction=correction), np.full(3, NAN))
    large = 1e8 + np.arange(4.0)
    check(var(large), 1.25)
    z = data((4, 3), "complex64")
    check(var(z, axis=1), np.var(z, axis=1), 1e-5)


def test_numbers_lists_and_variables():
    check(sum([1, 2, 3]), np.int64(6))
    check(mean([1, 2, 4]), np.float32(7 / 3))
    check(sum(3.5), np.float32(3.5))
    check(mean(Variable(np.array([1.0, 3.0]))), 2.0)
    assert function(lambda x: mean(x))(3).dtype == "float32"
    assert function(lambda x: sum(x))(3).dtype == "int64"


# Running results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("include_initial", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "int32"])
def test_running_sums_and_products(dtype, include_initial):
    x = (data((3, 4, 2), "float64") * 3).astype(dtype)
    for ours, theirs in (
        (cumulative_sum, np.cumulative_sum),
        (cumulative_prod, np.cumulative_prod),
    ):
        for axis in (0, 1, -1):
            wanted = theirs(x, axis=axis, include_initial=include_initial)
            check(ours(x, axis=axis, include_initial=include_initial), wanted)
        wanted = theirs(x[:, 0, 0], include_initial=include_initial)
        check(ours(x[:, 0, 0], include_initial=include_initial), wanted)


def test_running_extremes_and_logarithms():
    x = data((3, 5))
    check(cummax(x, axis=1), np.maximum.accumulate(x, axis=1))
    check(cummin(x, axis=0), np.minimum.accumulate(x, axis=0))
    check(cummax(np.array([3, 1, 4], np.int8)), np.array([3, 3, 4], np.int8))
    wide = x * 400
    wanted = np.logaddexp.accumulate(wide, axis=1)
    check(cumulative_logsumexp(wide, axis=1), wanted)
    found = cumulative_logsumexp(wide[0], include_initial=True)
    check(found, np.concatenate([[-np.inf], wanted[0]]))
    assert cumulative_logsumexp([0, 0]).dtype == "float32"
    check_gradient(
        lambda x: sum(multiply(cumulative_logsumexp(x, axis=1), data((3, 5), seed=1))), x
    )


# Without NaN --------------------------------------------------------------------------------------

REDUCTIONS_OF_NUMBERS = {
    "nansum": np.nansum,
    "nanprod": np.nanprod,
    "nanmean": np.nanmean,
    "nanvar": np.nanvar,
    "nanstd": np.nanstd,
    "nanmax": np.nanmax,
    "nanmin": np.nanmin,
    "nanmedian": np.nanmedian,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REDUCTIONS_OF_NUMBERS)
def test_reductions_that_leave_out_nan(name):
    ours, theirs = getattr(statistical, name), REDUCTIONS_OF_NUMBERS[name]
    for shape in ((6,), (3, 4), (2, 3, 4)):
        x = holes(shape)
        x[0] = NAN
        for axis in axes_of(shape)[:1] + axes_of(shape)[2:]:
            check(ours(x, axis=axis, keepdims=True), theirs(x, axis=axis, keepdims=True))
    whole = np.array([[3, 1], [2, 7]])
    wanted = getattr(statistical, name.removeprefix("nan"))(whole, axis=0)
    check(ours(whole, axis=0), wanted.numpy())


@pytest.mark.filterwarnings("ignore")
def test_complex_numbers_without_nan():
    z = data((3, 4), "complex128")
    z[0, 1] = complex(NAN, 1)
    z[2, 2] = complex(1, NAN)
    for ours, theirs in ((nansum, np.nansum), (nanmean, np.nanmean), (nanvar, np.nanvar)):
        check(ours(z, axis=0), theirs(z, axis=0))


def test_positions_that_leave_out_nan():
    x = np.array([[NAN, 2.0, 5.0, 5.0], [NAN, NAN, NAN, NAN], [-np.inf, NAN, -np.inf, 1.0]])
    check(nanargmax(x, axis=1), np.array([2, -1, 3]))
    check(nanargmin(x, axis=1, keepdims=True), np.array([[1], [-1], [0]]))
    check(nanargmax(x), np.int64(2))
    check(nanargmin(x, keepdims=True), np.array([[8]]))
    # An infinity is a number, whatever stands in for NaN.
    check(nanargmax([NAN, -np.inf]), np.int64(1))
    check(nanargmin([NAN, np.inf]), np.int64(1))
    check(nanargmax([3, 9, 1]), np.int64(1))


def test_running_results_without_nan():
    x = holes((3, 5))
    check(nancumsum(x, axis=1), np.nancumsum(x, axis=1))
    check(nancumprod(x, axis=0), np.nancumprod(x, axis=0))


# Quantiles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_quantiles(method):
    for shape in ((7,), (6, 3), (2, 3, 4)):
        x = data(shape)
        for axis in axes_of(shape)[:1] + axes_of(shape)[2:]:
            for q in (0.3, 0, 1, [0.0, 0.25, 0.5, 0.99, 1.0], [[0.1, 0.2]], []):
                wanted = np.quantile(x, q, axis=axis, method=method, keepdims=True)
                check(quantile(x, q, axis=axis, method=method, keepdims=True), wanted)
                wanted = np.quantile(x, q, axis=axis, method=method)
                check(quantile(x, q, axis=axis, method=method), wanted)
    tied = np.array([1.0, 2.0, 2.0, 2.0, 3.0, 10.0])
    grid = np.linspace(0, 1, 21)
    check(quantile(tied, grid, method=method), np.quantile(tied, grid, method=method))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", METHODS)
def test_quantiles_without_nan(method):
    x = holes((4, 9))
    x[1] = NAN
    q = [0.0, 0.2, 0.5, 0.8, 1.0]
    check(nanquantile(x, q, axis=1, method=method), np.nanquantile(x, q, axis=1, method=method))
    check(nanquantile(x, 0.4, method=method), np.nanquantile(x, 0.4, method=method))
    found = nanpercentile(x, 30, axis=0, keepdims=True, method=method)
    check(found, np.nanpercentile(x, 30, axis=0, keepdims=True, method=method))


def test_percentiles():
    x = data((3, 5))
    q = [0, 12.5, 50, 100]
    check(percentile(x, q, axis=1), np.percentile(x, q, axis=1))
    check(percentile(x, asarray([25.0, 75.0])), np.percentile(x, [25, 75]))


def test_medians():
    for size in (1, 2, 5, 6):
        x = data((2, size))
        check(median(x, axis=1), np.median(x, axis=1))
        check(median(x, keepdims=True), np.median(x, keepdims=True))
    check(median([2, 1]), np.float32(1.5))


def test_infinities_among_quantiles():
    x = np.array([-np.inf, -np.inf, 1.0, np.inf, np.inf])
    check(quantile(x, [0.0, 0.1, 0.5, 0.9, 1.0]), [-np.inf, -np.inf, 1.0, np.inf, np.inf])
    # At a place of its own an element is taken as it is, infinite neighbour or not.
    check(quantile(np.array([1.0, np.inf]), [0.0, 0.5, 1.0]), [1.0, np.inf, np.inf])


def test_a_q_that_is_data():
    x = data((6,))
    q = asarray(np.array([-0.1, 0.0, 0.5, 1.0, 1.1, NAN]))
    wanted = [NAN, x.min(), np.median(x), x.max(), NAN, NAN]
    for method in METHODS:
        found = quantile(x, q, method=method).numpy()
        np.testing.assert_allclose(found[[0, 4, 5]], NAN)
        np.testing.assert_allclose(found[[1, 3]], [x.min(), x.max()])
    check(quantile(x, q), wanted)
    traced = function(lambda x, q: quantile(x, q))
    check(traced(x, 0.25), np.quantile(x, 0.25))
    check(traced(x, 0.75), np.quantile(x, 0.75))
    assert len(traced.variants) == 1
    # 0.7 * 10 is the place 7, which in float32 it would miss from below.
    traced = function(lambda x, q: quantile(x, q, method="lower"))
    check(traced(np.arange(11.0), 0.7), 7.0)
    grid = np.linspace(0, 1, 200)
    check(quantile(x, grid), np.quantile(x, grid))


def test_derivatives_of_quantiles():
    x, weights = data((3, 4)), data((2, 3), seed=1)
    for method in METHODS:
        check_gradient(
            lambda x, method=method: sum(
                multiply(quantile(x, [0.3, 0.77], axis=1, method=method), weights)
            ),
            x,
        )
    check_gradient(lambda x: nanmedian(x), x)
    check_gradient(lambda q: quantile(x, q), np.array(0.3))
    with_nan = x.copy()
    with_nan[0, 0] = NAN
    found = grad(lambda x: nanquantile(x, 0.5))(with_nan).numpy()
    assert np.isfinite(found).all() and found[0, 0] == 0 and found.sum() == 1


# Weights and covariance ---------------------------------------------------------------------------


def test_averages():
    x = data((2, 3, 4))
    weights = np.abs(data((2, 3, 4), seed=1))
    check(average(x, axis=1), np.average(x, axis=1))
    check(average(x, weights=weights), np.average(x, weights=weights))
    check(average(x, axis=(0, 2), weights=weights, keepdims=True),
          np.average(x, axis=(0, 2), weights=weights, keepdims=True))  # fmt: skip
    check(average(x, axis=-1, weights=weights[0, 0]), np.average(x, axis=-1, weights=weights[0, 0]))
    pair = weights[:, :, 0].T
    check(average(x, axis=(1, 0), weights=pair), np.average(x, axis=(1, 0), weights=pair))
    check(average([1, 2, 3], weights=[1, 1, 2]), np.float32(2.25))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_covariances(dtype):
    x, y = data((3, 6), dtype), data((2, 6), dtype, seed=1)
    often = np.array([1, 2, 1, 3, 1, 1])
    weights = np.abs(data((6,), seed=2))
    check(cov(x), np.cov(x))
    check(cov(x[0]), np.cov(x[0]))
    check(cov(x, y), np.cov(x, y))
    check(cov(x[0], y[0]), np.cov(x[0], y[0]))
    check(cov(x.T, y.T, rowvar=False), np.cov(x.T, y.T, rowvar=False))
    for correction in (0, 1, 2):
        check(cov(x, correction=correction), np.cov(x, ddof=correction))
        check(cov(x, correction=correction, fweights=often),
              np.cov(x, ddof=correction, fweights=often))  # fmt: skip
        check(cov(x, correction=correction, aweights=weights),
              np.cov(x, ddof=correction, aweights=weights))  # fmt: skip
        check(cov(x, correction=correction, fweights=often, aweights=weights),
              np.cov(x, ddof=correction, fweights=often, aweights=weights))  # fmt: skip
    check(corrcoef(x), np.corrcoef(x))
    check(corrcoef(x, y), np.corrcoef(x, y))
    check(corrcoef(x.T, rowvar=False), np.corrcoef(x))
    check(corrcoef(x[0]), np.corrcoef(x[0]))


def test_covariances_of_little():
    check(cov([[1.0], [2.0]]), np.full((2, 2), NAN, np.float32))
    check(cov(np.zeros((0, 3))), np.zeros((0, 0)))
    exact = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    found = corrcoef(exact).numpy()
    assert (np.abs(found) <= 1).all()
    assert cov(exact.astype(np.float16)).dtype == "float16"


# Derivatives --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sum", "prod", "mean", "max", "min", "std", "var", "ptp", "nanvar", "nanmean"]
)
def test_derivatives_of_reductions(name):
    reduction = getattr(statistical, name)
    x, weights = data((3, 4)), data((3,), seed=1)
    check_gradient(lambda x: sum(multiply(reduction(x, axis=1), weights)), x)
    check_gradient(lambda x: reduction(x), x)


@pytest.mark.parametrize("name", ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax"])
def test_nan_that_is_left_out_has_no_derivative(name):
    x = np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN]])
    reduction = getattr(statistical, name)
    found = grad(lambda x: nansum(reduction(x, axis=1)))(x).numpy()
    assert np.isfinite(found).all()
    assert (found[np.isnan(x)] == 0).all() and (found[0, [0, 2]] != 0).any()


def test_the_spread_of_equal_elements_has_slope_0():
    for x in (np.array([2.0]), np.array([3.0, 3.0, 3.0])):
        check(grad(var)(x), np.zeros_like(x))
        check(grad(std)(x), np.zeros_like(x))
        check(grad(nanstd)(x), np.zeros_like(x))
    check(hessian(var)(np.array([2.0])), np.zeros((1, 1)))
    check(hessian(std)(np.array([3.0, 3.0])), np.zeros((2, 2)))
    # Of one element a corrected variance is not known, and nor is its derivative.
    check(grad(lambda x: var(x, correction=1))(np.array([2.0])), [NAN])


def test_second_derivatives():
    x = data((4,))
    centre = np.eye(4) - 1 / 4
    check(hessian(var)(x), 2 / 4 * centre)
    curvature = hessian(std)(x).numpy()
    check_gradient(lambda x: sum(multiply(grad(std)(x), np.arange(4.0))), x)
    np.testing.assert_allclose(curvature @ np.arange(4.0),
                               grad(lambda x: sum(multiply(grad(std)(x), np.arange(4.0))))(x),
                               rtol=1e-10)  # fmt: skip


def test_derivatives_of_covariances():
    x, weights = data((2, 5)), data((2, 2), seed=1)
    check_gradient(lambda x: sum(multiply(cov(x), weights)), x)
    check_gradient(lambda x: sum(multiply(corrcoef(x), weights)), x)
    check_gradient(lambda x: average(x, weights=np.arange(10.0).reshape(2, 5)), x)


def test_mapped_over_a_batch():
    x = holes((5, 3, 4))
    for one in (mean, nanmean, nanvar, median, nanmedian, lambda x: cumulative_sum(x, axis=0)):
        wanted = np.stack([one(each).numpy() for each in x])
        check(vmap(one)(x), wanted)


# Named sizes --------------------------------------------------------------------------------------

OF_ANY_BATCH = {
    "sum": lambda x: sum(x, axis=0),
    "mean": mean,
    "mean of floats of 16 bits": lambda x: mean(x, axis=(0, 1)),
    "variance": lambda x: var(x, axis=0, correction=1),
    "variance of too few": lambda x: var(x, axis=0, correction=6),
    "deviation": lambda x: std(x, keepdims=True),
    "max": lambda x: max(x, axis=0),
    "running": lambda x: cumulative_sum(x, axis=0, include_initial=True),
    "median": lambda x: median(x, axis=0),
    "quantiles": lambda x: quantile(x, [0.1, 0.5], method="nearest"),
    "quantiles of numbers": lambda x: nanquantile(x, 0.3, axis=0),
    "covariance": lambda x: cov(x, rowvar=False),
    "correlation": lambda x: corrcoef(x),
    "position": nanargmax,
}


@pytest.mark.parametrize("name", OF_ANY_BATCH)
def test_one_trace_serves_every_batch_size(name):
    plain = OF_ANY_BATCH[name]
    traced = function(plain)
    dtype = "float16" if "16" in name else "float64"
    for size in (3, 5, 8):
        x = data((size, 4), dtype)
        check(traced(x), plain(x).numpy(), 1e-3 if dtype == "float16" else 1e-9)
    assert len(traced.variants) == 2, traced.why


def test_derivatives_with_a_batch_of_any_size():
    traced = function(lambda x: grad(lambda x: sum(var(x, axis=0, correction=1)))(x))
    for size in (3, 5, 8):
        x = data((size, 2))
        check(traced(x), 2 * (x - x.mean(axis=0)) / (size - 1))
    assert len(traced.variants) == 2


# Messages -----------------------------------------------------------------------------------------


def test_messages(golden):
    x = zeros((2, 3))
    cases = [
        lambda: sum(x, axis=2),
        lambda: sum(x, axis=(0, 0)),
        lambda: sum(x, axis=1.5),
        lambda: sum(np.array([1j]), dtype="float32"),
        lambda: sum(["a"]),
        lambda: max(zeros((0, 3)), axis=0),
        lambda: max(np.array([1j])),
        lambda: var(x, correction=asarray(1.0)),
        lambda: cumulative_sum(x),
        lambda: cumulative_sum(1.0),
        lambda: quantile(x, 50),
        lambda: quantile(x, 0.5, method="average"),
        lambda: percentile(x, [50, 101]),
        lambda: median(np.array([1j])),
        lambda: average(x, weights=[1.0, 2.0, 3.0]),
        lambda: average(x, axis=0, weights=[1.0, 2.0, 3.0]),
        lambda: cov(zeros((2, 2, 2))),
        lambda: cov(x, zeros((2, 4))),
        lambda: cov(x, fweights=[1, 2]),
        lambda: nanargmax(zeros((0,))),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("statistical", "\n\n".join(lines))


def test_what_is_refused_has_the_type_that_callers_expect():
    with pytest.raises(ValueError, match="a q from 0 to 1"):
        quantile([1.0], -0.5)
    with pytest.raises(ArgumentError, match="a method among linear"):
        nanquantile([1.0], 0.5, method="weibull")
    with pytest.raises(TypeError, match="a number as correction"):
        std([1.0], correction="1")


def test_the_float_types_in_one_place():
    # One sweep over every float type for what no other test reaches in all of them.
    for dtype in FLOATS:
        x = data((3, 4), "float32").astype(dtype.numpy)
        for found in (nansum(x), nanprod(x), nanmean(x), nanvar(x), nanstd(x), nanmax(x),
                      nanmin(x), nanmedian(x), ptp(x), quantile(x, 0.3), percentile(x, 3),
                      cov(x), corrcoef(x), cummin(x, axis=0), cumulative_prod(x, axis=1),
                      cumulative_logsumexp(x, axis=0)):  # fmt: skip
            assert found.dtype is dtype
            assert np.isfinite(found.numpy().astype(np.float64)).all()
    wide = data((30,), "float32")
    found = cumulative_logsumexp(wide.astype(np.float16)).numpy()[-1]
    wanted = special.logsumexp(wide.astype(np.float16).astype(np.float64))
    np.testing.assert_allclose(float(found), wanted, rtol=2e-3)

"""Every function of the standard without side effects against NumPy, on random arrays.

A row of `CASES` names a function and makes a call from random choices: the function of a namespace
and arrays, which is then applied to ours and to NumPy's. NumPy gets its operands in the type that
they promote to, integers as float32 where the function is one of floats; so type, shape and values
must all agree. Our three deviations are those named in test_standard.py.
"""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.array.test_standard import SIGNATURES

import thalweg as tw
from thalweg.base.errors import DTypeError


def words(text):
    return text.split()


SIGNED, UNSIGNED = words("int8 int16 int32 int64"), words("uint8 uint16 uint32 uint64")
FLOATS, COMPLEX = ["float32", "float64"], ["complex64", "complex128"]
INTEGERS = [*SIGNED, *UNSIGNED]
REAL, INEXACT = [*INTEGERS, *FLOATS], [*FLOATS, *COMPLEX]
NUMERIC, EVERY = [*REAL, *COMPLEX], ["bool", *REAL, *COMPLEX]
WHOLE = ["bool", *INTEGERS]


class Choice:
    """Random choices that Hypothesis can make smaller."""

    def __init__(self, random):
        self.random = random
        self.of = random.choice
        self.integer = random.randint

    def flag(self):
        return self.of([False, True])

    def shape(self, least=0, most=3, sizes=(2, 1, 3, 0)):
        return tuple(self.of(sizes) for _ in range(self.integer(least, most)))

    def array(self, dtypes, shape=None, low=-3, high=3):
        """Quarters between low and high; whole numbers, or halves of parts, where types demand."""
        dtype = self.of(dtypes)
        shape = self.shape() if shape is None else shape
        draw = np.random.default_rng(self.integer(0, 2**16))
        if dtype in UNSIGNED:
            low = max(low, 0)
        whole = dtype in WHOLE
        count = 1 if whole else 4
        values = draw.integers(math.ceil(low * count), math.floor(high * count) + 1, shape) / count
        if dtype in COMPLEX:
            values = values + 1j * draw.integers(-6, 7, shape) / 2
        return np.asarray(values > 0 if dtype == "bool" else values).astype(dtype)

    def pair(self):
        """Two shapes that broadcast."""
        whole = self.shape()
        parts = []
        for _ in range(2):
            kept = [1 if self.integer(0, 3) == 0 else size for size in whole]
            parts.append(tuple(kept[self.integer(0, len(kept)) :]))
        return parts

    def axis(self, rank):
        return self.integer(-rank, rank - 1)

    def axes(self, rank):
        """None, one axis, or several."""
        kind = self.integer(0, 2) if rank else 0
        if kind == 0:
            return None
        if kind == 1:
            return self.axis(rank)
        chosen = self.random.sample(range(rank), self.integer(0, rank))
        return tuple(axis - rank if self.flag() else axis for axis in chosen)


def applied(name, *places, **keywords):
    """The call of a function; `places` are None where an operand goes."""

    def call(xp, *operands):
        rest = iter(operands)
        found = xp
        for part in name.split("."):
            found = getattr(found, part)
        return found(*(next(rest) if place is None else place for place in places), **keywords)

    return call


CASES = {}


def case(*names, **options):
    def add(make):
        for name in names:
            CASES[name] = (make, options)
        return make

    return add


def unary(names, dtypes, **options):
    for name in words(names):
        CASES[name] = (lambda c, n, d=dtypes: (applied(n, None), [c.array(d)]), options)


unary("abs conj imag negative positive real square sign", NUMERIC)
unary("ceil floor trunc", REAL)
unary("round", NUMERIC)
unary("isfinite isinf isnan", EVERY)
unary("logical_not", ["bool"])
unary("bitwise_invert", WHOLE)
unary("signbit", FLOATS)
unary(
    """acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 reciprocal sin sinh
    sqrt tan tanh""",
    EVERY,
    floats=True,
)


def binary(names, dtypes, low=-3, high=3, **options):
    def make(c, name):
        first, second = c.pair()
        arrays = [c.array(dtypes, first), c.array(dtypes, second, low, high)]
        return applied(name, None, None), arrays

    for name in words(names):
        CASES[name] = (make, {"promotes": True, **options})


binary("add subtract multiply", NUMERIC)
binary("maximum minimum less less_equal greater greater_equal", REAL)
binary("equal not_equal", EVERY)
binary("floor_divide remainder", REAL, low=1)
binary("pow", REAL, low=0)
binary("divide", EVERY, floats=True)
binary("atan2 copysign hypot logaddexp nextafter", WHOLE + FLOATS, floats=True)
binary("bitwise_and bitwise_or bitwise_xor", WHOLE)
binary("bitwise_left_shift bitwise_right_shift", INTEGERS, low=0)
binary("logical_and logical_or logical_xor", ["bool"])


@case("clip")
def _clip(c, name):
    x = c.array(REAL)
    low, high = (c.of([None, 0, 1]) for _ in range(2))
    return applied(name, None, min=low, max=None if high is None else high + 1), [x]


@case("where", promotes=True)
def _where(c, name):
    first, second = c.pair()
    x, y = c.array(EVERY, first), c.array(EVERY, second)
    mask = c.array(["bool"], c.of([first, second, ()]))
    return lambda xp, x, y: xp.where(xp.asarray(mask), x, y), [x, y]


def reductions(names, dtypes, sizes=(2, 1, 3, 0), several=True, **options):
    def make(c, name):
        x = c.array(dtypes, c.shape(sizes=sizes))
        axis = c.axes(x.ndim)
        if not several and isinstance(axis, tuple):
            axis = None
        return applied(name, None, axis=axis, keepdims=c.flag()), [x]

    for name in words(names):
        CASES[name] = (make, options)


reductions("sum prod", NUMERIC)
reductions("mean", EVERY, floats=True)
reductions("all any count_nonzero", EVERY)
reductions("max min", REAL, sizes=(2, 1, 3))
reductions("argmax argmin", REAL, sizes=(2, 1, 3), several=False)


@case("std", "var", floats=True)
def _spread(c, name):
    x = c.array(EVERY, c.shape(sizes=(2, 3)))
    axis = c.axes(x.ndim)
    return applied(name, None, axis=axis, correction=c.of([0, 1, 0.5]), keepdims=c.flag()), [x]


@case("cumulative_sum", "cumulative_prod")
def _running(c, name):
    x = c.array(NUMERIC, c.shape(least=1))
    return applied(name, None, axis=c.axis(x.ndim), include_initial=c.flag()), [x]


@case("broadcast_to")
def _broadcast_to(c, name):
    shape = c.shape()
    x = c.array(EVERY, tuple(c.of([1, size]) for size in shape)[c.integer(0, len(shape)) :])
    return applied(name, None, shape), [x]


@case("broadcast_arrays")
def _broadcast_arrays(c, name):
    return applied(name, None, None), [c.array(EVERY, shape) for shape in c.pair()]


@case("expand_dims")
def _expand_dims(c, name):
    x = c.array(EVERY)
    return applied(name, None, axis=c.axis(x.ndim + 1)), [x]


@case("squeeze")
def _squeeze(c, name):
    x = c.array(EVERY, c.shape(sizes=(1, 2)))
    ones = tuple(axis for axis, size in enumerate(x.shape) if size == 1 and c.flag())
    return applied(name, None, axis=ones), [x]


@case("flip")
def _flip(c, name):
    x = c.array(EVERY)
    return applied(name, None, axis=c.axes(x.ndim)), [x]


@case("moveaxis")
def _moveaxis(c, name):
    x = c.array(EVERY, c.shape(least=1))
    return applied(name, None, c.axis(x.ndim), c.axis(x.ndim)), [x]


@case("permute_dims")
def _permute_dims(c, name):
    x = c.array(EVERY)
    return applied(name, None, tuple(c.random.sample(range(x.ndim), x.ndim))), [x]


@case("matrix_transpose", "linalg.matrix_transpose")
def _matrix_transpose(c, name):
    return applied(name, None), [c.array(EVERY, c.shape(least=2))]


@case("repeat")
def _repeat(c, name):
    x = c.array(EVERY)
    axis = c.of([None, c.axis(x.ndim)]) if x.ndim else None
    return applied(name, None, c.integer(0, 3), axis=axis), [x]


@case("reshape")
def _reshape(c, name):
    x = c.array(EVERY, c.shape(sizes=(2, 1, 3)))
    shape = c.of([(-1,), (1, -1), x.shape[::-1], (x.size, 1)])
    return applied(name, None, shape), [x]


@case("roll")
def _roll(c, name):
    x = c.array(EVERY)
    axis = c.axes(x.ndim)
    if isinstance(axis, tuple) and c.flag():
        return applied(name, None, tuple(c.integer(-4, 4) for _ in axis), axis=axis), [x]
    return applied(name, None, c.integer(-4, 4), axis=axis), [x]


@case("tile")
def _tile(c, name):
    return applied(name, None, c.shape(sizes=(1, 2, 0))), [c.array(EVERY)]


@case("unstack")
def _unstack(c, name):
    x = c.array(EVERY, c.shape(least=1))
    return applied(name, None, axis=c.axis(x.ndim)), [x]


@case("concat", promotes=True)
def _concat(c, name):
    shape = c.shape(least=1)
    axis = c.axis(len(shape))
    other = list(shape)
    other[axis] = c.of([0, 1, 2])
    axis = c.of([axis, None])
    arrays = [c.array(EVERY, shape), c.array(EVERY, tuple(other))]
    return lambda xp, x, y: xp.concat([x, y], axis=axis), arrays


@case("stack", promotes=True)
def _stack(c, name):
    shape = c.shape()
    axis = c.axis(len(shape) + 1)
    arrays = [c.array(EVERY, shape), c.array(EVERY, shape)]
    return lambda xp, x, y: xp.stack([x, y], axis=axis), arrays


@case("nonzero")
def _nonzero(c, name):
    return applied(name, None), [c.array(EVERY, c.shape(least=1))]


@case("searchsorted")
def _searchsorted(c, name):
    edges = np.sort(c.array(["float32"], (c.integer(0, 5),)))
    return applied(name, None, None, side=c.of(["left", "right"])), [edges, c.array(["float32"])]


@case("sort", "argsort")
def _sort(c, name):
    x = c.array(REAL, c.shape(least=1))
    axis = c.axis(x.ndim)
    return applied(name, None, axis=axis, stable=True), [x]


@case("unique_all", "unique_counts", "unique_inverse")
def _unique(c, name):
    return applied(name, None), [c.array(["bool", *REAL])]


@case("unique_values")
def _unique_values(c, name):
    # In any order, says the standard; ours are sorted, NumPy's need not be.
    def call(xp, x):
        found = xp.unique_values(x)
        return np.sort(found) if xp is np else found

    return call, [c.array(["bool", *REAL])]


@case("take")
def _take(c, name):
    x = c.array(EVERY, c.shape(least=1, sizes=(2, 1, 3)))
    axis = c.axis(x.ndim)
    places = c.array(["int64"], (c.integer(0, 4),), -x.shape[axis], x.shape[axis] - 1)
    return applied(name, None, None, axis=axis), [x, places]


@case("take_along_axis")
def _take_along_axis(c, name):
    x = c.array(EVERY, c.shape(least=1, sizes=(2, 1, 3)))
    axis = c.axis(x.ndim)
    shape = list(x.shape)
    shape[axis] = c.integer(0, 4)
    places = c.array(["int64"], tuple(shape), -x.shape[axis], x.shape[axis] - 1)
    return applied(name, None, None, axis=axis), [x, places]


@case("diff")
def _diff(c, name):
    x = c.array(NUMERIC, c.shape(least=1, sizes=(2, 3)))
    return applied(name, None, axis=c.axis(x.ndim), n=c.integer(0, 2)), [x]


@case("tril", "triu")
def _triangle(c, name):
    return applied(name, None, k=c.integer(-3, 3)), [c.array(EVERY, c.shape(least=2))]


@case("meshgrid")
def _meshgrid(c, name):
    arrays = [c.array(EVERY, (c.integer(0, 3),)) for _ in range(2)]
    return applied(name, None, None, indexing=c.of(["xy", "ij"])), arrays


@case("matmul", "linalg.matmul", promotes=True)
def _matmul(c, name):
    n, k, m = (c.of([2, 1, 3, 0]) for _ in range(3))
    outer = c.shape(most=1)
    shapes = [
        ((k,), (k,)), ((n, k), (k,)), ((k,), (k, m)), ((n, k), (k, m)),
        ((*outer, n, k), (k, m)), ((n, k), (*outer, k, m)), ((1, n, k), (*outer, k, m)),
    ]  # fmt: skip
    return applied(name, None, None), [c.array(NUMERIC, shape) for shape in c.of(shapes)]


@case("tensordot", "linalg.tensordot", promotes=True)
def _tensordot(c, name):
    shape = c.shape()
    axes = c.integer(0, len(shape))
    first, second = (*c.shape(most=1), *shape[:axes]), (*shape[:axes], *c.shape(most=1))
    return applied(name, None, None, axes=axes), [c.array(NUMERIC, s) for s in (first, second)]


@case("vecdot", "linalg.vecdot", promotes=True)
def _vecdot(c, name):
    shape = c.shape(least=1)
    return applied(name, None, None, axis=c.axis(len(shape))), [
        c.array(NUMERIC, shape) for _ in range(2)
    ]


@case("linalg.outer", promotes=True)
def _outer(c, name):
    return applied(name, None, None), [c.array(NUMERIC, (c.integer(0, 3),)) for _ in range(2)]


@case("linalg.cross", promotes=True)
def _cross(c, name):
    shape = c.shape(most=2)
    return applied(name, None, None), [c.array(NUMERIC, (*shape, 3)) for _ in range(2)]


@case("linalg.diagonal", "linalg.trace")
def _diagonal(c, name):
    return applied(name, None, offset=c.integer(-3, 3)), [c.array(NUMERIC, c.shape(least=2))]


@case("linalg.matrix_norm")
def _matrix_norm(c, name):
    x = c.array(INEXACT, c.shape(least=2, sizes=(2, 1, 3)))
    order = c.of(["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
    return applied(name, None, keepdims=c.flag(), ord=order), [x]


@case("linalg.vector_norm")
def _vector_norm(c, name):
    x = c.array(INEXACT, c.shape(least=1, sizes=(2, 1, 3)))
    order = c.of([0, 1, 2, 3, 0.5, math.inf, -math.inf, -1])
    axis = c.axes(x.ndim) or None
    return applied(name, None, axis=axis, keepdims=c.flag(), ord=order), [x]


def matrices(c, dtypes=INEXACT):
    """Square matrices far from singular, and how many stand before them."""
    n, outer = c.of([2, 1, 3, 0]), c.shape(most=1)
    x = c.array(dtypes, (*outer, n, n), -1, 1)
    return x + 12 * np.eye(n, dtype=x.dtype), n, outer


@case("linalg.det", "linalg.inv", "linalg.slogdet", "linalg.svdvals")
def _square(c, name):
    return applied(name, None), [matrices(c)[0]]


@case("linalg.pinv", "linalg.matrix_rank")
def _rank(c, name):
    x, n, _ = matrices(c)
    return applied(name, None, **({"rtol": 1e-3} if c.flag() else {})), [x[..., : max(n - 1, 1), :]]


@case("linalg.matrix_power")
def _matrix_power(c, name):
    return applied(name, None, c.integer(-2, 3)), [matrices(c)[0]]


@case("linalg.eigvalsh", "linalg.cholesky")
def _symmetric(c, name):
    x, *_ = matrices(c)
    return applied(name, None), [x + np.conj(np.swapaxes(x, -1, -2))]


@case("linalg.solve", promotes=True)
def _solve(c, name):
    x, n, outer = matrices(c)
    shape = c.of([(n,), (n, 2), (*outer, n, 1)])
    return applied(name, None, None), [x, c.array([x.dtype.name], shape)]


@case("fft.fft", "fft.ifft", "fft.hfft")
def _fft(c, name):
    x = c.array(COMPLEX, c.shape(least=1, sizes=(2, 3, 4)))
    return applied(name, None, n=c.of([None, 2, 5]), axis=c.axis(x.ndim), norm=norm(c)), [x]


@case("fft.rfft", "fft.ihfft")
def _rfft(c, name):
    x = c.array(FLOATS, c.shape(least=1, sizes=(2, 3, 4)))
    return applied(name, None, n=c.of([None, 2, 5]), axis=c.axis(x.ndim), norm=norm(c)), [x]


@case("fft.irfft")
def _irfft(c, name):
    x = c.array(COMPLEX, c.shape(least=1, sizes=(2, 3, 4)))
    return applied(name, None, n=c.of([None, 4, 5]), axis=c.axis(x.ndim), norm=norm(c)), [x]


@case("fft.fftn", "fft.ifftn", "fft.irfftn", "fft.rfftn")
def _fftn(c, name):
    dtypes = FLOATS if name == "fft.rfftn" else COMPLEX
    x = c.array(dtypes, c.shape(least=1, sizes=(2, 3, 4)))
    count = c.integer(1, x.ndim)
    axes = tuple(c.random.sample(range(x.ndim), count))
    s = c.of([None, tuple(c.integer(2, 4) for _ in axes)])
    return applied(name, None, s=s, axes=axes, norm=norm(c)), [x]


@case("fft.fftshift", "fft.ifftshift")
def _shift(c, name):
    x = c.array(INEXACT, c.shape(least=1))
    return applied(name, None, axes=c.axes(x.ndim)), [x]


def norm(c):
    return c.of(["backward", "ortho", "forward"])


@case("fft.fftfreq", "fft.rfftfreq", default_float=True)
def _frequencies(c, name):
    return applied(name, c.integer(1, 6), d=c.of([1.0, 0.5])), []


@case("arange", default_float=True)
def _arange(c, name):
    start, stop, step = c.integer(-3, 3), c.integer(-3, 5), c.of([1, 2, -1, 0.5])
    return applied(name, start, stop, step), []


@case("linspace", default_float=True)
def _linspace(c, name):
    ends = c.of([(0, 1), (-1.5, 2), (3, 3), (2, -1)])
    return applied(name, *ends, c.integer(0, 5), endpoint=c.flag()), []


@case("eye", default_float=True)
def _eye(c, name):
    columns = c.of([(), (0,), (2,)])
    return applied(name, c.integer(0, 3), *columns, k=c.integer(-3, 3)), []


@case("zeros", "ones", default_float=True)
def _filled(c, name):
    return applied(name, c.shape()), []


@case("full", default_float=True)
def _full(c, name):
    return applied(name, c.shape(), c.of([True, 2, 2.5])), []


@case("zeros_like", "ones_like", "asarray")
def _like(c, name):
    return applied(name, None), [c.array(EVERY)]


@case("full_like")
def _full_like(c, name):
    return applied(name, None, 1), [c.array(EVERY)]


def as_numpy_takes_them(arrays, promotes, floats):
    """The operands in their common type, integers as float32 for a function of floats."""
    if promotes:
        dtype = tw.result_type(*(each.dtype for each in arrays)).numpy
        arrays = [each.astype(dtype) for each in arrays]
    if floats:
        arrays = [each.astype(np.float32) if each.dtype.name in WHOLE else each for each in arrays]
    return arrays


def assert_agree(found, wanted, default_float):
    if isinstance(wanted, (tuple, list)):
        assert isinstance(found, (tuple, list))
        assert getattr(found, "_fields", None) == getattr(wanted, "_fields", None)
        for ours, theirs in zip(found, wanted, strict=True):
            assert_agree(ours, theirs, default_float)
        return
    wanted = np.asarray(wanted)
    dtype = wanted.dtype
    if default_float and dtype.kind == "f":
        dtype = np.dtype(np.float32)
    assert isinstance(found, tw.Tensor)
    assert found.dtype == dtype.name
    assert found.shape == wanted.shape
    if dtype.kind in "fc":
        near = 2e-5 if tw.finfo(found.dtype).bits == 32 else 1e-12
        np.testing.assert_allclose(found.numpy(), wanted, rtol=near, atol=near)
    else:
        np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=20)
@given(random=st.randoms(use_true_random=False))
def test_against_numpy(name, random):
    make, options = CASES[name]
    call, arrays = make(Choice(random), name)
    promotes, floats = options.get("promotes", False), options.get("floats", False)
    kinds = {each.dtype.kind for each in arrays}
    if promotes and kinds == {"i", "u"} and any(each.dtype == np.uint64 for each in arrays):
        with pytest.raises(DTypeError, match="a common type"):
            call(tw, *map(tw.asarray, arrays))
        return
    with np.errstate(all="ignore"), warnings.catch_warnings():
        # NumPy warns of means of nothing.
        warnings.simplefilter("ignore", RuntimeWarning)
        wanted = call(np, *as_numpy_takes_them(arrays, promotes, floats))
    found = call(tw, *map(tw.asarray, arrays))
    assert_agree(found, wanted, options.get("default_float", False))


def test_the_sweep_leaves_out_only_what_gives_no_array_or_is_not_unique():
    left_out = words("""
        __array_namespace_info__ astype can_cast empty empty_like finfo from_dlpack iinfo isdtype
        linalg.eigh linalg.qr linalg.svd result_type
    """)
    standard = {name for name in SIGNATURES if not name.startswith("Tensor.")}
    assert standard - set(CASES) == set(left_out)
    assert set(CASES) <= standard


# What is not unique -------------------------------------------------------------------------------


@settings(max_examples=20)
@given(random=st.randoms(use_true_random=False))
def test_factors_multiply_to_the_matrix(random):
    c = Choice(random)
    a = c.array(INEXACT, c.shape(least=2, sizes=(2, 1, 3)))
    x = tw.asarray(a)
    near = {"rtol": 0, "atol": 2e-4 if a.real.dtype == np.float32 else 1e-10}
    m, n = a.shape[-2:]
    least = min(m, n)
    for mode, inner in (("reduced", least), ("complete", m)):
        q, r = tw.linalg.qr(x, mode=mode)
        assert (q.shape[-2:], r.shape[-2:]) == ((m, inner), (inner, n))
        np.testing.assert_allclose((q @ r).numpy(), a, **near)
        np.testing.assert_allclose(tw.triu(r).numpy(), r.numpy(), **near)
    for full in (True, False):
        u, s, vh = tw.linalg.svd(x, full_matrices=full)
        assert (u.shape[-1], vh.shape[-2]) == ((m, n) if full else (least, least))
        rebuilt = (u[..., :least] * s[..., None, :]) @ vh[..., :least, :]
        np.testing.assert_allclose(rebuilt.numpy(), a, **near)
        assert bool(tw.all(s[..., :-1] >= s[..., 1:]))
    h = x @ tw.conj(x.mT)
    values, vectors = tw.linalg.eigh(h)
    assert values.dtype == a.real.dtype.name
    np.testing.assert_allclose(
        (h @ vectors).numpy(), (vectors * values[..., None, :]).numpy(), **near
    )


@settings(max_examples=20)
@given(random=st.randoms(use_true_random=False))
def test_sorting_downward(random):
    c = Choice(random)
    a = c.array(REAL, c.shape(least=1))
    axis = c.axis(a.ndim)
    x = tw.asarray(a)
    found = tw.sort(x, axis=axis, descending=True).numpy()
    np.testing.assert_array_equal(found, np.flip(np.sort(a, axis), axis))
    order = tw.argsort(x, axis=axis, descending=True)
    # Equal elements keep their order: sort the mirror image upward, then look at it in the mirror.
    mirrored = np.argsort(np.flip(a, axis), axis, stable=True)
    wanted = a.shape[axis] - 1 - np.flip(mirrored, axis)
    np.testing.assert_array_equal(order.numpy(), wanted)

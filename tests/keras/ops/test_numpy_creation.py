"""Creation against real Keras: constants, ranges, matrices, windows and bits."""

import numpy as np
import pytest
from tests.keras.ops.against import DTYPES, S, array, check, check_symbols, computed, same

import thalweg as tw
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from thalweg.keras import settings
from thalweg.keras.operation import infer
from thalweg.keras.ops.numpy import creation as ops
from thalweg.keras.symbol import KerasTensor

LIKE = (ops.zeros_like, ops.ones_like)
WINDOWS = (ops.bartlett, ops.blackman, ops.hamming, ops.hanning)
RANGES = (ops.linspace, ops.logspace, ops.geomspace)


def named(functions):
    return {"argvalues": functions, "ids": [each.__name__ for each in functions]}


# Constants ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*DTYPES, None])
def test_constants(dtype):
    for function in (ops.zeros, ops.ones):
        check(function, (2, 3), dtype=dtype)
        check(function, [], dtype=dtype)
    check(ops.full, (2, 3), 2, dtype=dtype)
    check(ops.full, (2, 3), array((3,), "float32", low=0), dtype=dtype)
    assert ops.empty((2, 0), dtype=dtype).dtype.name == (dtype or "float32")
    for function in LIKE:
        check(function, array((2, 3), dtype or "float32"))
        check(function, array((2, 3)), dtype=dtype)
    x = array((2, 3), dtype or "float32")
    check(ops.full_like, x, 2)
    check(ops.full_like, x, array((3,), "float32", low=0))
    check(ops.full_like, array((2, 3)), 1, dtype=dtype)
    assert ops.empty_like(x).shape == (2, 3)


def test_sizes_and_default_type():
    assert ops.zeros(3).shape == (3,)
    assert ops.full(2, 7).numpy().tolist() == [7.0, 7.0]
    assert ops.ones((tw.asarray(2), np.int64(3))).shape == (2, 3)
    assert ops.full((2,), 1.9, dtype="int32").numpy().tolist() == [1, 1]
    assert ops.full((2,), [[1], [2], [3]][0]).shape == (2,)
    with pytest.raises(ShapeError, match="full"):
        ops.full((2,), np.ones(3))
    with pytest.raises(ShapeError, match="zeros"):
        ops.zeros((2, -1))
    settings.set_floatx("float64")
    try:
        for made in (ops.zeros(2), ops.eye(2), ops.arange(2.0), ops.hanning(3), ops.array(1.0)):
            assert made.dtype.name == "float64"
    finally:
        settings.set_floatx("float32")


def test_symbols_of_constants():
    for function in (*LIKE, ops.empty_like):
        check_symbols(function, S(None, 3, dtype="int8"))
        check_symbols(function, S(None, 3), dtype="int8")
    check_symbols(ops.full_like, S(None, 3), 2)
    check_symbols(ops.full_like, S(None, 3), S(1, 3))
    check_symbols(ops.full, (2, 3), S(3))
    check_symbols(ops.copy, S(None, 3))
    check_symbols(ops.array, S(None, 3), dtype="int32")


def test_array():
    for value in (0, 0.5, True, [1, 2], [1, 2.0], [[True]], [[1], [2.5]], (1, 2)):
        check(ops.array, value, on_jax=True)
    for dtype in DTYPES:
        check(ops.array, array((2, 3), dtype))
        check(ops.array, [[1, 0], [1, 1]], dtype=dtype)
        check(ops.copy, array((2, 3), dtype))
    stacked = ops.array([tw.asarray([1.0, 2.0]), tw.asarray([3.0, 4.0])])
    assert stacked.numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


# Ranges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [(5,), (2, 7), (2, 11, 3), (0, 10, 0.5), (10.0, None, 1), (0.0, 2, 0.25), (5, 0, -2), (3, 3)],
    ids=str,
)
def test_arange(args):
    check(ops.arange, *args)
    for dtype in ("int16", "float16", "float32"):
        # A step of 0.5 is none among NumPy's integers; ours are cut when they are counted.
        if "float" in dtype or all(isinstance(each, int) for each in args):
            check(ops.arange, *args, dtype=dtype)


def test_arange_of_tensors():
    assert ops.arange(tw.asarray(np.array(3, "int16"))).dtype.name == "int16"
    assert ops.arange(tw.asarray(1.5), 4).numpy().tolist() == [1.5, 2.5, 3.5]
    assert ops.arange(3, dtype="int").dtype.name == "int32"
    with pytest.raises(ArgumentError, match="step"):
        ops.arange(0, 3, 0)

    @tw.function
    def places(x):
        return ops.arange(x.shape[0], dtype="int32") + 1

    assert places(tw.zeros(2)).numpy().tolist() == [1, 2]
    assert places(tw.zeros(4)).numpy().tolist() == [1, 2, 3, 4]


ENDS = (
    (1, 1000), (0.5, 10.5), (-1.0, -64), (7, 7),
    (np.array([1, 2], "int32"), np.array([100, 300], "int32")),
    (np.array([1.0, 2.0], "float32"), np.array([[100.0], [0.5]], "float32")),
)  # fmt: skip


@pytest.mark.parametrize("function", **named(RANGES))
@pytest.mark.parametrize("ends", ENDS, ids=str)
def test_ranges(function, ends):
    if function is ops.logspace:
        ends = tuple(np.asarray(end / 500, getattr(end, "dtype", "float32")) for end in ends)
    for num in (0, 1, 5):
        for endpoint in (True, False):
            wanted = getattr(computed, function.__name__)(*ends, num, endpoint, axis=-1)
            found = function(*ends, num, endpoint, axis=-1)
            same(found, wanted, f"{function.__name__}{ends}")
            # Tensors are not known to NumPy, and are spaced by the array floor.
            found = function(*(tw.asarray(end) if np.ndim(end) else end for end in ends), num,
                             endpoint, axis=-1)  # fmt: skip
            same(found, wanted, f"{function.__name__}{ends} of tensors")


@pytest.mark.parametrize("function", **named(RANGES))
def test_axes_and_types_of_ranges(function):
    start, stop = np.ones((2, 3), "float32"), np.full((2, 3), 4.0, "float32")
    for axis in (0, 1, 2, -1, -2):
        check(function, start, stop, 4, axis=axis)
        found = function(tw.asarray(start), stop, 4, axis=axis)
        same(found, getattr(computed, function.__name__)(start, stop, 4, axis=axis), "axis")
    for dtype in ("float16", "bfloat16", "float32", "int32", "uint8"):
        check(function, 1, 2, 7, dtype=dtype)
        assert function(tw.asarray(1.0), 4, 7, dtype=dtype).dtype.name == dtype
    check_symbols(function, S(None, 3, 4), S(2, 3, 4), 10, axis=1)
    check_symbols(function, S(None, 3), 2, 10, axis=1)
    check_symbols(function, S(2, 3), S(2, 3, 4))
    assert function(1, 4, tw.asarray(3)).shape == (3,)


def test_ends_are_met_exactly():
    start, stop = tw.asarray([0.1, 1e-30]), tw.asarray([0.7, 1e30])
    for function in (ops.linspace, ops.geomspace):
        found = function(start, stop, 7).numpy()
        assert (found[0] == start.numpy()).all() and (found[-1] == stop.numpy()).all()
    assert ops.linspace(tw.asarray(0.0), 9, 10, dtype="int32").numpy().tolist() == [*range(10)]
    assert ops.linspace(0, 9, 10, dtype="int32").numpy().tolist() == [*range(10)]


def test_distance():
    for ends in ((0, 10), (tw.asarray(0.0), 10)):
        for endpoint, wanted in ((True, 2.5), (False, 2.0)):
            row, distance = ops.linspace(*ends, 5, endpoint=endpoint, retstep=True)
            assert row.shape == (5,) and distance.shape == ()
            assert distance.item() == wanted and distance.dtype.name == "float32"
        assert np.isnan(ops.linspace(*ends, 1, retstep=True)[1].item())
    _, distance = ops.linspace(np.zeros(2), tw.ones(2), 3, retstep=True, axis=1)
    assert distance.numpy().tolist() == [0.5, 0.5]


def test_ranges_with_no_numbers():
    with pytest.raises(ArgumentError, match="geomspace"):
        ops.geomspace(0, 4)
    assert np.isnan(ops.geomspace(tw.asarray(1.0), -4.0, 3).numpy()[1])
    assert ops.linspace(0, 1j, 3).dtype.name == "complex64"
    found = ops.logspace(tw.asarray(0.0), 3, 4, base=2).numpy()
    np.testing.assert_allclose(found, [1, 2, 4, 8])


def test_meshgrid():
    x, y, z = array((3,)), array((2,), "int8"), array((4,), "bool")
    for indexing in ("xy", "ij"):
        check(ops.meshgrid, x, indexing=indexing)
        check(ops.meshgrid, x, y, indexing=indexing)
        check(ops.meshgrid, x, y, z, indexing=indexing)
    assert ops.meshgrid(np.ones((2, 3)), np.float32(1))[0].shape == (1, 6)
    check_symbols(ops.meshgrid, S(None, 3), S(None, 3))
    check_symbols(ops.meshgrid, S(2), S(None), S(3), indexing="ij")
    with pytest.raises(ArgumentError, match="indexing"):
        ops.meshgrid(x, y, indexing="kk")


# Matrices -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, -1, 3, -5])
def test_patterns(k):
    for function in (ops.eye, ops.tri):
        check(function, 3, k=k)
        check(function, 3, 4, k=k)
        check(function, 4, 2, k, dtype="int8")
    for function in (ops.tril, ops.triu):
        for dtype in DTYPES:
            check(function, array((2, 3, 4), dtype), k=k)
        check_symbols(function, S(None, 3, None, 5), k=k)


def test_identity_and_sizes():
    check(ops.identity, 3)
    check(ops.identity, 3, dtype="bool")
    assert ops.eye(tw.asarray(3), np.int32(2)).shape == (3, 2)
    for sizes in (
        (3.0,),
        (3, 2.0),
        (tw.asarray(3.0),),
        (np.float32(3),),
        (ops.array(3, "bfloat16"),),
    ):
        with pytest.raises(ArgumentTypeError, match="must be an integer"):
            ops.eye(*sizes)
    for function in (ops.tril, ops.triu):
        with pytest.raises(ShapeError, match=function.__name__):
            function(np.ones(3))


@pytest.mark.parametrize("k", [0, 1, -2, 4])
def test_diagonals(k):
    for dtype in DTYPES:
        check(ops.diag, array((3,), dtype), k=k)
        check(ops.diagflat, array((2, 3), dtype), k=k)
    check(ops.diag, array((3, 5)), k=k)
    check(ops.diagflat, np.float32(2), k=k)
    check_symbols(ops.diag, S(3), k=k)
    check_symbols(ops.diag, S(None), k=k)
    check_symbols(ops.diag, S(None, 3), k=k)
    check_symbols(ops.diag, S(3, 8), k=k)
    check_symbols(ops.diag, S(2, 3, 4), k=k)
    check_symbols(ops.diagflat, S(2, 3), k=k)
    check_symbols(ops.diagflat, S(None, 3), k=k)
    check_symbols(ops.diagflat, S(), k=k)


def test_derivative_of_a_diagonal_matrix():
    slope = tw.grad(lambda x: tw.sum(ops.diag(x, k=1) * 3.0))(tw.asarray([1.0, 2.0]))
    assert slope.numpy().tolist() == [3.0, 3.0]


@pytest.mark.parametrize("increasing", [False, True])
def test_vander(increasing):
    for dtype in DTYPES:
        if dtype != "bool":
            check(ops.vander, array((3,), dtype), increasing=increasing)
    for count in (0, 1, 5):
        check(ops.vander, array((3,)), N=count, increasing=increasing)
    check_symbols(ops.vander, S(None), increasing=increasing)
    check_symbols(ops.vander, S(3), N=5, increasing=increasing)
    with pytest.raises(ShapeError, match="vander"):
        ops.vander(np.ones((2, 2)))


def test_derivative_of_powers_at_0():
    slope = tw.grad(lambda x: tw.sum(ops.vander(x, 3)))(tw.asarray([0.0, 2.0]))
    assert slope.numpy().tolist() == [1.0, 5.0]


def test_sizes_that_are_named():
    def made(x):
        n = x.shape[1]
        return (
            ops.tril(ops.ones((n, n))), ops.triu(ops.ones((n, n)), k=-1), ops.arange(n),
            ops.full((n,), 2), ops.eye(n), ops.tri(n, k=1), ops.diag(x[0]), ops.vander(x[0]),
            ops.diagflat(x), ops.zeros_like(x),
        )  # fmt: skip

    symbols = infer(made, (KerasTensor((1, None)),), {})
    assert [each.shape for each in symbols][:3] == [(None, None), (None, None), (None,)]
    run = tw.function(made)
    for size in (2, 3):
        x = np.arange(size, dtype="float32")[None]
        wanted = (
            np.tri(size), np.triu(np.ones((size, size)), -1), np.arange(size), np.full(size, 2.0),
            np.eye(size), np.tri(size, k=1), np.diag(x[0]), np.vander(x[0]), np.diag(x[0]), x * 0,
        )  # fmt: skip
        for symbol, found, other in zip(symbols, run(tw.asarray(x)), wanted, strict=True):
            np.testing.assert_array_equal(found.numpy(), other)
            assert symbol.dtype == found.dtype.name


# Windows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", **named(WINDOWS))
@pytest.mark.parametrize("length", [0, 1, 2, 7, 12])
def test_windows(function, length):
    check(function, length)
    check(ops.kaiser, length, 8.5)
    check(ops.kaiser, length, 0)
    assert function(tw.asarray(length)).shape == (length,)


def test_windows_want_a_number():
    for function in WINDOWS:
        assert function(ops.ones((), "bfloat16")).numpy().tolist() == [1.0]
        with pytest.raises(ArgumentTypeError, match="KerasTensor"):
            function(KerasTensor((), "int32"))


# Bits ---------------------------------------------------------------------------------------------

NUMBERS = [each for each in DTYPES if each != "bool"]


@pytest.mark.parametrize("dtype", NUMBERS)
def test_view(dtype):
    x = np.random.default_rng(0).integers(0, 256, (2, 24), dtype=np.uint8)
    for wanted in (*NUMBERS, "int64", "float64"):
        given = array((2, 8), dtype) if "float" in dtype else x.view(dtype)
        found = ops.view(given, wanted)
        other = given.view(found.dtype.numpy)
        assert found.dtype.name == wanted and found.shape == other.shape
        assert found.numpy().tobytes() == np.ascontiguousarray(other).tobytes(), wanted
        if "64" not in wanted:
            check_symbols(ops.view, S(2, 8, dtype=dtype), wanted)
            announced = ops.view(KerasTensor((None, 8), dtype), wanted)
            assert announced.shape == (None, ops.view(array((2, 8), dtype), wanted).shape[1])


def test_view_of_the_same_type():
    x = array((2, 3))
    same(ops.view(x), x, "view")
    same(ops.view(x, "float32"), x, "view")
    assert ops.view(np.int16(1), "float16").shape == ()


def test_views_of_unknown_size():
    for shape in (S(2, None, dtype="int16"), S(None, 4, dtype="int16"), S(dtype="int16")):
        for dtype in ("int8", "int16", "float16", "int32"):
            check_symbols(ops.view, shape, dtype)

    @tw.function
    def halves(x):
        return ops.view(x, "int16")

    for size in (1, 3):
        x = np.arange(size, dtype="int32") * 65537
        assert halves(tw.asarray(x)).numpy().tolist() == x.view("int16").tolist()


def test_refused_views():
    with pytest.raises(ShapeError, match="scalar"):
        ops.view(np.int16(1), "int8")
    with pytest.raises(ShapeError, match="multiple of 2"):
        ops.view(np.ones(3, "int16"), "int32")
    with pytest.raises(ShapeError, match="multiple of 2"):
        ops.view(KerasTensor((None, 3), "int16"), "int32")
    for one, two in (("bool", "int8"), ("int8", "bool"), ("complex64", "float32")):
        with pytest.raises(DTypeError, match="view"):
            ops.view(np.ones(2, one), two)

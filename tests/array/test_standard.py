"""The public face against the Python Array API standard 2024.12: names, types, shapes, values.

What the standard leaves open is decided so, and only so, otherwise than in NumPy: the default
float is float32 (and complex64); an integer with a float keeps the float; uint64 with a signed
integer is refused. Tensors never change: `x += y` binds a new tensor, and `x[i] = y` is refused
with what to write. Values against NumPy are in test_standard_sweep.py.
"""

import inspect
import itertools
import math
import operator

import numpy as np
import pytest

import thalweg as tw
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, ThalwegError


def words(text):
    return text.split()


# Names and signatures -----------------------------------------------------------------------------

FUNCTIONS = """
arange              start, /, stop=None, step=1, *, dtype=None, device=None
asarray             obj, /, *, dtype=None, device=None, copy=None
empty               shape, *, dtype=None, device=None
empty_like          x, /, *, dtype=None, device=None
eye                 n_rows, n_cols=None, /, *, k=0, dtype=None, device=None
from_dlpack         x, /, *, device=None, copy=None
full                shape, fill_value, *, dtype=None, device=None
full_like           x, /, fill_value, *, dtype=None, device=None
linspace            start, stop, /, num, *, dtype=None, device=None, endpoint=True
meshgrid            *arrays, indexing="xy"
ones                shape, *, dtype=None, device=None
ones_like           x, /, *, dtype=None, device=None
tril                x, /, *, k=0
triu                x, /, *, k=0
zeros               shape, *, dtype=None, device=None
zeros_like          x, /, *, dtype=None, device=None

astype              x, dtype, /, *, copy=True, device=None
can_cast            from_, to, /
finfo               type, /
iinfo               type, /
isdtype             dtype, kind
result_type         *arrays_and_dtypes

take                x, indices, /, *, axis=None
take_along_axis     x, indices, /, *, axis=-1

matmul              x1, x2, /
matrix_transpose    x, /
tensordot           x1, x2, /, *, axes=2
vecdot              x1, x2, /, *, axis=-1

broadcast_arrays    *arrays
broadcast_to        x, /, shape
concat              arrays, /, *, axis=0
expand_dims         x, /, axis
flip                x, /, *, axis=None
moveaxis            x, source, destination, /
permute_dims        x, /, axes
repeat              x, repeats, /, *, axis=None
reshape             x, /, shape, *, copy=None
roll                x, /, shift, *, axis=None
squeeze             x, /, axis
stack               arrays, /, *, axis=0
tile                x, repetitions, /
unstack             x, /, *, axis=0

argmax              x, /, *, axis=None, keepdims=False
argmin              x, /, *, axis=None, keepdims=False
count_nonzero       x, /, *, axis=None, keepdims=False
nonzero             x, /
searchsorted        x1, x2, /, *, side="left", sorter=None
where               condition, x1, x2, /

unique_all          x, /
unique_counts       x, /
unique_inverse      x, /
unique_values       x, /

argsort             x, /, *, axis=-1, descending=False, stable=True
sort                x, /, *, axis=-1, descending=False, stable=True

cumulative_prod     x, /, *, axis=None, dtype=None, include_initial=False
cumulative_sum      x, /, *, axis=None, dtype=None, include_initial=False
max                 x, /, *, axis=None, keepdims=False
mean                x, /, *, axis=None, keepdims=False
min                 x, /, *, axis=None, keepdims=False
prod                x, /, *, axis=None, dtype=None, keepdims=False
std                 x, /, *, axis=None, correction=0.0, keepdims=False
sum                 x, /, *, axis=None, dtype=None, keepdims=False
var                 x, /, *, axis=None, correction=0.0, keepdims=False

all                 x, /, *, axis=None, keepdims=False
any                 x, /, *, axis=None, keepdims=False
diff                x, /, *, axis=-1, n=1, prepend=None, append=None

clip                x, /, min=None, max=None
__array_namespace_info__

linalg.cholesky     x, /, *, upper=False
linalg.cross        x1, x2, /, *, axis=-1
linalg.det          x, /
linalg.diagonal     x, /, *, offset=0
linalg.eigh         x, /
linalg.eigvalsh     x, /
linalg.inv          x, /
linalg.matmul       x1, x2, /
linalg.matrix_norm  x, /, *, keepdims=False, ord="fro"
linalg.matrix_power x, n, /
linalg.matrix_rank  x, /, *, rtol=None
linalg.matrix_transpose x, /
linalg.outer        x1, x2, /
linalg.pinv         x, /, *, rtol=None
linalg.qr           x, /, *, mode="reduced"
linalg.slogdet      x, /
linalg.solve        x1, x2, /
linalg.svd          x, /, *, full_matrices=True
linalg.svdvals      x, /
linalg.tensordot    x1, x2, /, *, axes=2
linalg.trace        x, /, *, offset=0, dtype=None
linalg.vecdot       x1, x2, /, *, axis=-1
linalg.vector_norm  x, /, *, axis=None, keepdims=False, ord=2

fft.fft             x, /, *, n=None, axis=-1, norm="backward"
fft.ifft            x, /, *, n=None, axis=-1, norm="backward"
fft.fftn            x, /, *, s=None, axes=None, norm="backward"
fft.ifftn           x, /, *, s=None, axes=None, norm="backward"
fft.rfft            x, /, *, n=None, axis=-1, norm="backward"
fft.irfft           x, /, *, n=None, axis=-1, norm="backward"
fft.rfftn           x, /, *, s=None, axes=None, norm="backward"
fft.irfftn          x, /, *, s=None, axes=None, norm="backward"
fft.hfft            x, /, *, n=None, axis=-1, norm="backward"
fft.ihfft           x, /, *, n=None, axis=-1, norm="backward"
fft.fftfreq         n, /, *, d=1.0, dtype=None, device=None
fft.rfftfreq        n, /, *, d=1.0, dtype=None, device=None
fft.fftshift        x, /, *, axes=None
fft.ifftshift       x, /, *, axes=None

Tensor.__array_namespace__  self, /, *, api_version=None
Tensor.__dlpack__           self, *, stream=None, max_version=None, dl_device=None, copy=None
Tensor.__dlpack_device__    self
Tensor.to_device            self, device, /, *, stream=None
"""

UNARY = words("""
    abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag
    isfinite isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal round
    sign signbit sin sinh square sqrt tan tanh trunc
""")
BINARY = words("""
    add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign
    divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and
    logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract
""")

SIGNATURES = {
    **dict.fromkeys(UNARY, "x, /"),
    **dict.fromkeys(BINARY, "x1, x2, /"),
    **{
        line.split()[0]: line.partition(" ")[2].strip()
        for line in FUNCTIONS.strip().splitlines()
        if line
    },
}


def find(name):
    return operator.attrgetter(name)(tw)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    """Every parameter stands where it should; further ones are optional and come after."""
    wanted = inspect.signature(eval(f"lambda {SIGNATURES[name]}: None")).parameters
    found = inspect.signature(find(name)).parameters
    assert find(name).__name__ == name.split(".")[-1]
    assert find(name).__doc__ or name.startswith("Tensor.__")
    for parameter in wanted.values():
        assert parameter.name in found
        ours = found[parameter.name]
        assert ours.kind is parameter.kind
        if parameter.default is not parameter.empty:
            assert ours.default == parameter.default
            assert type(ours.default) is type(parameter.default)
    shared = [each for each in found if each in wanted]
    assert shared == list(wanted)
    for extra in found.values():
        if extra.name not in wanted:
            assert extra.default is not extra.empty
            assert extra.kind is extra.KEYWORD_ONLY


DTYPES = words("""
    bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128
""")


def test_constants_and_element_types():
    assert math.isnan(tw.nan)
    assert (tw.e, tw.pi, tw.inf, tw.newaxis) == (math.e, math.pi, math.inf, None)
    assert all(type(each) is float for each in (tw.e, tw.pi, tw.inf, tw.nan))
    assert tw.__array_api_version__ == "2024.12"
    for first, second in itertools.product(DTYPES, DTYPES):
        same = getattr(tw, first) == getattr(tw, second)
        assert same is (first == second)
        assert (getattr(tw, first) != getattr(tw, second)) is not same
    for name in DTYPES:
        assert tw.zeros(1, dtype=getattr(tw, name)).dtype == getattr(tw, name)


def test_everything_is_handed_on_by_the_module():
    for name in SIGNATURES:
        first = name.split(".")[0]
        assert first in tw.__all__
    assert tw.matmul is tw.linalg.matmul
    assert tw.matrix_transpose is tw.linalg.matrix_transpose
    assert tw.tensordot is tw.linalg.tensordot
    assert tw.vecdot is tw.linalg.vecdot


def test_inspection():
    info = tw.__array_namespace_info__()
    found = info.capabilities()
    assert found["boolean indexing"] is found["data-dependent shapes"] is True
    assert found["max dimensions"] == 64
    assert tw.zeros((1,) * 64).ndim == 64
    assert info.default_device() in info.devices()
    device = info.default_device()
    assert info.default_dtypes() == info.default_dtypes(device=device) == {
        "real floating": tw.float32, "complex floating": tw.complex64,
        "integral": tw.int64, "indexing": tw.int64,
    }  # fmt: skip
    kinds = {
        "bool": ["bool"],
        "signed integer": DTYPES[1:5],
        "unsigned integer": DTYPES[5:9],
        "integral": DTYPES[1:9],
        "real floating": DTYPES[9:11],
        "complex floating": DTYPES[11:],
        "numeric": DTYPES[1:],
        ("bool", "complex floating"): ["bool", *DTYPES[11:]],
        None: DTYPES,
        (): [],
    }
    for kind, names in kinds.items():
        wanted = {name: getattr(tw, name) for name in names}
        assert info.dtypes(kind=kind) == info.dtypes(device=device, kind=kind) == wanted
    for device in info.devices():
        assert tw.zeros(2, device=device).device == device


# The array object ---------------------------------------------------------------------------------

OPERATORS = words("""
    add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift
""")
SPECIAL = words("""
    abs add and array_namespace bool complex dlpack dlpack_device eq float floordiv ge getitem gt
    index int invert le lshift lt matmul mod mul ne neg or pos pow rshift setitem sub truediv xor
    radd rsub rmul rtruediv rfloordiv rpow rmod rmatmul rand ror rxor rlshift rrshift
""")


def test_the_object_has_all_methods_and_attributes():
    for name in SPECIAL:
        assert callable(getattr(tw.Tensor, f"__{name}__"))
    x = tw.zeros((2, 3), dtype=tw.float64)
    assert (x.dtype, x.device, x.ndim, x.shape, x.size) == (tw.float64, "cpu", 2, (2, 3), 6)
    assert x.T.shape == x.mT.shape == (3, 2)
    assert tw.zeros((4, 2, 3)).mT.shape == (4, 3, 2)
    assert tw.zeros(()).shape == ()
    assert tw.zeros(()).size == 1
    assert tw.zeros((2, 0)).size == 0
    assert x.to_device(x.device).shape == x.shape
    assert x.__array_namespace__() is x.__array_namespace__(api_version="2024.12") is tw
    for wrong in (lambda: tw.zeros(3).T, lambda: tw.zeros((1, 2, 3)).T, lambda: tw.zeros(3).mT):
        with pytest.raises(ShapeError):
            wrong()


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_reflected_and_in_place(name):
    apply = getattr(operator, name)
    in_place = getattr(operator, f"i{name.rstrip('_')}")
    a, b = np.array([[5, 3], [2, 7]]), np.array([[1, 2], [1, 3]])
    if name not in ("matmul", "and_", "or_", "xor", "lshift", "rshift"):
        a, b = a.astype(np.float32), b.astype(np.float32)
    x, y = tw.asarray(a), tw.asarray(b)
    wanted = apply(a, b)
    special = name.rstrip("_")
    reflected = getattr(tw.Tensor, f"__r{special}__")
    for found in (apply(x, y), reflected(y, x), in_place(x, y)):
        assert isinstance(found, tw.Tensor)
        assert found.dtype == wanted.dtype.name
        np.testing.assert_array_equal(found.numpy(), wanted)
    # The name on the left is bound to a new tensor; whoever else holds the old one keeps it.
    np.testing.assert_array_equal(x.numpy(), a)
    if name != "matmul":
        for number in (2, True) if name in ("and_", "or_", "xor") else (2,):
            np.testing.assert_array_equal(apply(x, number).numpy(), apply(a, number))
            np.testing.assert_array_equal(apply(number, x).numpy(), apply(number, a))
            np.testing.assert_array_equal(in_place(x, number).numpy(), apply(a, number))


def test_a_tensor_does_not_change():
    x = same = tw.asarray([1.0, 2.0])
    x += 1
    x **= 2
    assert x.tolist() == [4, 9]
    assert same.tolist() == [1, 2]
    with pytest.raises(ThalwegError, match=r"x = x\.at\[index\]\.set\(value\)"):
        same[0] = 3
    assert same.at[0].set(3).tolist() == [3, 2]


NAN, INF = math.nan, math.inf


def test_a_tensor_of_one_element_without_axes_is_a_python_number():
    for value in (True, False):
        x = tw.asarray(value)
        found = (bool(x), int(x), float(x), complex(x))
        assert found == (value, int(value), float(value), complex(value))
        assert [type(each) for each in found] == [bool, int, float, complex]
    for dtype in DTYPES[1:9]:
        x = tw.asarray(3, dtype=dtype)
        assert (bool(x), int(x), float(x), complex(x), operator.index(x)) == (True, 3, 3, 3, 3)
        assert [10, 11, 12, 13][x] == 13
    assert int(tw.asarray(2**63 - 1)) == operator.index(tw.asarray(2**63 - 1)) == 2**63 - 1
    assert int(tw.asarray(2**64 - 1, dtype=tw.uint64)) == 2**64 - 1
    for dtype in DTYPES[9:11]:
        x = tw.asarray(-2.75, dtype=dtype)
        assert (bool(x), int(x), float(x), complex(x)) == (True, -2, -2.75, -2.75)
        for special in (NAN, INF, -INF):
            assert bool(tw.asarray(special, dtype=dtype)) is True
            np.testing.assert_equal(float(tw.asarray(special, dtype=dtype)), special)
        assert math.copysign(1, float(tw.asarray(-0.0, dtype=dtype))) == -1
        assert bool(tw.asarray(-0.0, dtype=dtype)) is False
        with pytest.raises(ValueError, match="NaN"):
            int(tw.asarray(NAN, dtype=dtype))
        with pytest.raises(OverflowError, match="infinity"):
            int(tw.asarray(INF, dtype=dtype))
        with pytest.raises(TypeError):
            operator.index(x)
    for dtype in DTYPES[11:]:
        assert complex(tw.asarray(1 - 2j, dtype=dtype)) == 1 - 2j
        assert bool(tw.asarray(1j, dtype=dtype)) is True
        assert bool(tw.asarray(0j, dtype=dtype)) is False
        for convert in (int, float, operator.index):
            with pytest.raises(TypeError):
                convert(tw.asarray(1 + 0j, dtype=dtype))
    for convert in (bool, int, float, complex, operator.index):
        with pytest.raises((ThalwegError, TypeError)):
            convert(tw.ones((2,), dtype=tw.int64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exchange_by_dlpack(dtype):
    for shape in ((), (3,), (2, 0), (2, 3)):
        a = np.ones(shape, dtype)
        x = tw.asarray(a)
        np.testing.assert_array_equal(np.from_dlpack(x), a)
        assert np.from_dlpack(x).dtype == a.dtype
        for found in (tw.from_dlpack(a), tw.from_dlpack(x), tw.from_dlpack(a, copy=True)):
            assert found.dtype == dtype
            np.testing.assert_array_equal(found.numpy(), a)
        assert tuple(map(int, x.__dlpack_device__())) == (1, 0)
    a = np.ones((2, 3), dtype)
    copied = tw.from_dlpack(a, copy=True, device="cpu")
    a[:] = 0
    np.testing.assert_array_equal(copied.numpy(), np.ones((2, 3), dtype))
    strided = np.arange(6).astype(dtype).reshape(2, 3).T
    np.testing.assert_array_equal(tw.from_dlpack(strided).numpy(), strided)


def test_dlpack_refuses_what_does_not_export():
    with pytest.raises(AttributeError):
        tw.from_dlpack([1.0])

    class Closed:
        def __dlpack_device__(self):
            return (1, 0)

        def __dlpack__(self, **how):
            raise BufferError("closed")

    with pytest.raises(BufferError, match="closed"):
        tw.from_dlpack(Closed())
    with pytest.raises(BufferError):
        tw.ones((2,)).__dlpack__(dl_device=(2, 0))
    with pytest.raises(ValueError, match="'gpu'"):
        tw.from_dlpack(np.ones(2), device="gpu")


# Element types ------------------------------------------------------------------------------------

NUMERIC, REAL, INTEGERS, FLOATS, COMPLEX = (
    DTYPES[1:], DTYPES[1:11], DTYPES[1:9], DTYPES[9:11], DTYPES[11:],
)  # fmt: skip
INEXACT = [*FLOATS, *COMPLEX]


def test_creation_has_the_default_types():
    for make in (tw.zeros, tw.ones, tw.empty):
        assert make((2,)).dtype == make(2).dtype == tw.float32
    assert tw.eye(2).dtype == tw.linspace(0, 1, 3).dtype == tw.float32
    assert tw.linspace(0, 1j, 3).dtype == tw.linspace(0j, 1, 3).dtype == tw.complex64
    assert tw.fft.fftfreq(4).dtype == tw.fft.rfftfreq(4).dtype == tw.float32
    assert tw.arange(3).dtype == tw.arange(0, 3, 1).dtype == tw.int64
    for given in ((3.0,), (0, 3.0), (0.0, 3), (0, 3, 1.0)):
        assert tw.arange(*given).dtype == tw.float32
    numbers = [(True, tw.bool), (2, tw.int64), (2.0, tw.float32), (2j, tw.complex64)]
    for number, dtype in numbers:
        assert tw.full((2,), number).dtype == tw.asarray(number).dtype == dtype
        assert tw.asarray([[number], [number]]).dtype == dtype
    for (first, _), (second, dtype) in itertools.combinations(numbers, 2):
        assert tw.asarray([first, second]).dtype == tw.asarray([second, first]).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_creation_in_a_type_and_like_another(dtype):
    makers = [
        lambda **how: tw.zeros((2, 3), **how), lambda **how: tw.ones((2, 3), **how),
        lambda **how: tw.empty((2, 3), **how), lambda **how: tw.full((2, 3), 1, **how),
        lambda **how: tw.asarray([[1, 0, 1], [0, 1, 0]], **how),
    ]  # fmt: skip
    for make in makers:
        x = make(dtype=dtype)
        assert x.dtype == dtype
        assert x.shape == (2, 3)
        for like in (tw.zeros_like, tw.ones_like, tw.empty_like):
            assert like(x).dtype == dtype
            assert like(x).shape == (2, 3)
            assert like(x, dtype=tw.int8).dtype == tw.int8
        assert tw.full_like(x, 1).dtype == dtype
        assert tw.full_like(x, 1, dtype=tw.float64).dtype == tw.float64
    assert tw.ones(1, dtype=dtype).tolist() == [np.ones(1, dtype).item()]
    assert tw.eye(2, dtype=dtype).dtype == dtype
    if dtype != "bool":
        assert tw.arange(3, dtype=dtype).dtype == dtype
    if dtype in INEXACT:
        assert tw.linspace(0, 1, 3, dtype=dtype).dtype == dtype
    for shape in ((), (0,), (3, 0, 2)):
        assert tw.tril(tw.zeros((*shape, 2, 3), dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_have_the_types_of_the_standard(dtype):
    x = tw.ones((2, 2), dtype=dtype)
    wide = {"i": tw.int64, "u": tw.uint64, "b": tw.int64}.get(np.dtype(dtype).kind, x.dtype)
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        reduce = getattr(tw, name)
        assert reduce(x, axis=0).dtype == wide
        for other in NUMERIC:
            if dtype in COMPLEX and other not in COMPLEX:
                with pytest.raises(DTypeError):
                    reduce(x, axis=0, dtype=other)
            else:
                assert reduce(x, axis=0, dtype=other).dtype == other
    assert tw.linalg.trace(x).dtype == wide
    assert tw.linalg.trace(x, dtype=tw.complex128).dtype == tw.complex128
    for name in ("all", "any"):
        assert getattr(tw, name)(x).dtype == tw.bool
    assert tw.count_nonzero(x).dtype == tw.int64
    if dtype in REAL:
        for name in ("max", "min"):
            assert getattr(tw, name)(x).dtype == dtype
        for name in ("argmax", "argmin", "argsort"):
            assert getattr(tw, name)(x).dtype == tw.int64
        assert tw.searchsorted(x[0], x).dtype == tw.int64
        assert tw.sort(x).dtype == dtype
    real = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    if dtype in INEXACT:
        assert tw.mean(x).dtype == dtype
        assert tw.var(x).dtype == tw.std(x).dtype == real
        for name in ("abs", "real", "imag"):
            assert getattr(tw, name)(x).dtype == real
        assert tw.linalg.matrix_norm(x).dtype == tw.linalg.vector_norm(x).dtype == real
        assert tw.linalg.svdvals(x).dtype == tw.linalg.eigvalsh(x).dtype == real
        assert tw.linalg.eigh(x).eigenvectors.dtype == dtype
        assert tw.fft.fft(x).dtype == ("complex64" if real == "float32" else "complex128")
    for index in tw.nonzero(x):
        assert index.dtype == tw.int64
    found = tw.unique_all(x)
    assert found.values.dtype == dtype
    assert found.indices.dtype == found.inverse_indices.dtype == found.counts.dtype == tw.int64


SAME_KIND = [
    pair
    for kind in (["bool"], INTEGERS, FLOATS, COMPLEX, INEXACT)
    for pair in itertools.product(kind, repeat=2)
]
JOINING = {
    "add": lambda x, y: x + y,
    "where": lambda x, y: tw.where(x == x, x, y),
    "concat": lambda x, y: tw.concat([x, y]),
    "stack": lambda x, y: tw.stack([x, y]),
    "matmul": lambda x, y: x @ y,
    "tensordot": tw.tensordot,
    "vecdot": tw.vecdot,
    "outer": lambda x, y: tw.linalg.outer(x[0], y[0]),
    "cross": tw.linalg.cross,
    "multiply": tw.multiply,
    "subtract": tw.subtract,
}


@pytest.mark.parametrize("name", JOINING)
def test_promotion_in_everything_that_joins_two_operands(name):
    for first, second in SAME_KIND:
        x, y = tw.ones((3, 3), dtype=first), tw.ones((3, 3), dtype=second)
        refused = "uint64" in (first, second) and {"int8", "int16", "int32", "int64"} & {
            first, second,
        }  # fmt: skip
        if refused:
            with pytest.raises(DTypeError):
                JOINING[name](x, y)
        elif first != "bool" or name in ("where", "concat", "stack"):
            wanted = np.result_type(np.dtype(first), np.dtype(second)).name
            assert JOINING[name](x, y).dtype == wanted
            assert tw.result_type(x, y) == tw.result_type(first, y) == wanted
            assert tw.can_cast(x, wanted)
            assert tw.can_cast(getattr(tw, second), getattr(tw, wanted))


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_numbers_take_the_type_of_the_tensor(dtype):
    x = tw.ones((2,), dtype=dtype)
    kind = np.dtype(dtype).kind
    numbers = {"b": [True], "i": [2], "u": [2], "f": [2, 2.5], "c": [2, 2.5, 2j]}[kind]
    for number in numbers:
        for name in ("equal", "not_equal"):
            assert getattr(tw, name)(x, number).dtype == tw.bool
            assert getattr(tw, name)(number, x).dtype == tw.bool
        assert tw.where(x == x, x, number).dtype == dtype
        assert tw.where(x == x, number, x).dtype == dtype
        assert tw.result_type(x, number) == tw.result_type(number, getattr(tw, dtype)) == dtype
        if dtype == "bool":
            for name in ("and", "or", "xor"):
                assert getattr(tw, f"logical_{name}")(x, number).dtype == tw.bool
                assert getattr(tw, f"bitwise_{name}")(number, x).dtype == tw.bool
            continue
        names = ["add", "subtract", "multiply", "pow"]
        if kind != "c":
            names += ["floor_divide", "remainder", "maximum", "minimum"]
        if kind in "fc":
            names += ["divide"]
        if kind == "f":
            names += ["atan2", "copysign", "hypot", "logaddexp", "nextafter"]
        if kind in "iu":
            names += [f"bitwise_{each}" for each in ("and", "or", "xor")]
            names += ["bitwise_left_shift", "bitwise_right_shift"]
        for name in names:
            assert getattr(tw, name)(x, number).dtype == dtype
            assert getattr(tw, name)(number, x).dtype == dtype
        if kind != "c":
            assert tw.clip(x, number, number).dtype == dtype
            for name in ("less", "less_equal", "greater", "greater_equal"):
                assert getattr(tw, name)(x, number).dtype == tw.bool


def test_result_type_mixes_everything():
    x = tw.ones((2,), dtype=tw.int16)
    assert tw.result_type(x, tw.int8, 3, True) == tw.int16
    assert tw.result_type(tw.float64, 1, 2.0, tw.float32) == tw.float64
    assert tw.result_type(tw.complex64, tw.float64) == tw.complex128
    assert tw.result_type(tw.uint8, tw.int8, tw.int16) == tw.int16
    assert tw.result_type(tw.float32, 1j) == tw.complex64
    assert tw.result_type(tw.bool, True) == tw.bool
    # Ours where the standard leaves it open.
    assert tw.result_type(tw.int64, tw.float32) == tw.float32
    with pytest.raises(DTypeError):
        tw.result_type(tw.uint64, tw.int8)


def test_kinds_limits_and_casts():
    for name in DTYPES:
        dtype = getattr(tw, name)
        kind = np.dtype(name).kind
        assert tw.isdtype(dtype, dtype) is True
        for other, letters in {
            "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu",
            "real floating": "f", "complex floating": "c", "numeric": "iufc",
        }.items():  # fmt: skip
            assert tw.isdtype(dtype, other) is (kind in letters)
            assert tw.isdtype(dtype, (other, tw.int8)) is (kind in letters or name == "int8")
        for other in DTYPES:
            x = tw.asarray([0, 1, 1], dtype=dtype)
            if kind == "c" and other in REAL:
                with pytest.raises(DTypeError):
                    tw.astype(x, getattr(tw, other))
            else:
                found = tw.astype(x, getattr(tw, other))
                assert found.dtype == other
                np.testing.assert_array_equal(found.numpy(), np.array([0, 1, 1], other))
        x = tw.zeros((2,), dtype=dtype)
        assert tw.astype(x, dtype, copy=False) is x
        assert tw.astype(x, dtype, copy=True, device=x.device).dtype == dtype
        if kind in "iu":
            info, known = tw.iinfo(dtype), np.iinfo(name)
            assert (info.bits, info.max, info.min, info.dtype) == (
                known.bits, known.max, known.min, dtype,
            )  # fmt: skip
            assert tw.iinfo(x) == info
        if kind in "fc":
            info, known = tw.finfo(dtype), np.finfo(name)
            assert (info.bits, info.eps, info.max) == (known.bits, known.eps, known.max)
            assert (info.min, info.smallest_normal) == (known.min, known.smallest_normal)
            assert info.dtype == known.dtype.name
            assert all(
                type(each) is float for each in (info.eps, info.max, info.min, info.smallest_normal)
            )
            assert tw.finfo(x) == info
    assert tw.astype(tw.asarray([NAN, INF, -0.0, 0.5]), tw.bool).tolist() == [
        True, True, False, True,
    ]  # fmt: skip
    assert tw.astype(tw.asarray([1j, 0j]), tw.bool).tolist() == [True, False]
    assert tw.can_cast(tw.int8, tw.int16) is True
    assert tw.can_cast(tw.int16, tw.int8) is tw.can_cast(tw.uint64, tw.int64) is False
    assert tw.can_cast(tw.complex64, tw.float64) is tw.can_cast(tw.float64, tw.float32) is False


# Creation -----------------------------------------------------------------------------------------


def test_asarray_copies_or_not():
    a = np.arange(3.0)
    for copy in (None, True):
        x = tw.asarray(a, copy=copy)
        before = x.tolist()
        a += 1
        assert x.tolist() == before
    x = tw.asarray(a)
    assert tw.asarray(x).tolist() == tw.asarray(x, copy=True).tolist() == a.tolist()
    assert tw.asarray(x, copy=False) is x
    with pytest.raises(ValueError, match="copy"):
        tw.asarray(x, dtype=tw.float32, copy=False)
    with pytest.raises(ValueError, match="copy"):
        tw.asarray([1.0], copy=False)
    assert tw.asarray(memoryview(np.arange(3, dtype=np.int16))).dtype == tw.int16
    assert tw.asarray(x, device=x.device).device == x.device
    assert tw.asarray([x[0], x[1]]).dtype == tw.float64
    assert tw.asarray([]).shape == (0,)
    assert tw.asarray([[], []]).shape == (2, 0)
    with pytest.raises(ThalwegError):
        tw.asarray([[1], [1, 2]])


def test_arange_counts():
    for given in [
        (0,), (-1,), (5,), (2, 2), (3, 2), (2, 5), (5, 2, -1), (2, 5, -1), (0, 5, 2), (0, 6, 2),
        (5, 0, -2), (0, 1, 0.25), (1, 0, -0.25), (0.0, 1), (-1.5, 1.5, 0.5), (0, 1, 3), (10, 0, 3),
    ]:  # fmt: skip
        found, wanted = tw.arange(*given), np.arange(*given)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    assert tw.arange(3, step=2).tolist() == [0, 2]
    assert tw.arange(1, stop=3).tolist() == [1, 2]
    assert tw.arange(3, dtype=tw.uint8).dtype == tw.uint8
    with pytest.raises(ArgumentError, match=r"\[arange\]"):
        tw.arange(0, 3, 0)


def test_linspace_ends():
    for number, endpoint in itertools.product((0, 1, 2, 5), (True, False)):
        found = tw.linspace(-1, 2, number, endpoint=endpoint).numpy()
        np.testing.assert_allclose(found, np.linspace(-1, 2, number, endpoint=endpoint), rtol=1e-6)
        assert found.shape == (number,)
        if number > 1 and endpoint:
            assert found[-1] == 2
    found = tw.linspace(0, 1 + 2j, 3).numpy()
    np.testing.assert_allclose(found, [0, 0.5 + 1j, 1 + 2j])
    with pytest.raises(ThalwegError, match=r"\[linspace\]"):
        tw.linspace(0, 1, -1)


def test_eye_and_triangles():
    for rows, columns, k in itertools.product((0, 1, 3), (None, 0, 2, 4), range(-5, 6)):
        np.testing.assert_array_equal(tw.eye(rows, columns, k=k).numpy(), np.eye(rows, columns, k))
    for shape in ((2, 3), (3, 2), (0, 2), (2, 2, 3), (0, 3, 3)):
        a = np.arange(1, 1 + math.prod(shape)).reshape(shape)
        for k in range(-4, 5):
            np.testing.assert_array_equal(tw.tril(tw.asarray(a), k=k).numpy(), np.tril(a, k))
            np.testing.assert_array_equal(tw.triu(tw.asarray(a), k=k).numpy(), np.triu(a, k))
    for name in ("tril", "triu"):
        with pytest.raises(ShapeError, match=rf"\[{name}\]"):
            getattr(tw, name)(tw.zeros(3))


def test_meshgrid():
    for lengths in ((), (3,), (2, 3), (2, 0), (2, 3, 4)):
        arrays = [np.arange(n) for n in lengths]
        for indexing in ("xy", "ij"):
            found = tw.meshgrid(*map(tw.asarray, arrays), indexing=indexing)
            wanted = np.meshgrid(*arrays, indexing=indexing)
            assert isinstance(found, list)
            for ours, theirs in zip(found, wanted, strict=True):
                assert ours.dtype == tw.int64
                np.testing.assert_array_equal(ours.numpy(), theirs)
    with pytest.raises(ArgumentError, match=r"\[meshgrid\]"):
        tw.meshgrid(tw.zeros(2), indexing="yx")


# Shapes that are refused --------------------------------------------------------------------------

X = tw.zeros((2, 3))
WITH_AXIS = {
    **{
        name: lambda x, axis, name=name: getattr(tw, name)(x, axis=axis)
        for name in words("""
            sum prod mean std var max min all any count_nonzero argmax argmin cumulative_sum
            cumulative_prod flip sort argsort diff unstack expand_dims squeeze
        """)
    },
    "concat": lambda x, axis: tw.concat([x, x], axis=axis),
    "stack": lambda x, axis: tw.stack([x, x], axis=axis),
    "roll": lambda x, axis: tw.roll(x, 1, axis=axis),
    "repeat": lambda x, axis: tw.repeat(x, 2, axis=axis),
    "take": lambda x, axis: tw.take(x, tw.asarray([0]), axis=axis),
    "take_along_axis": lambda x, axis: tw.take_along_axis(x, tw.asarray([[0]]), axis=axis),
    "moveaxis": lambda x, axis: tw.moveaxis(x, axis, 0),
    "permute_dims": lambda x, axis: tw.permute_dims(x, (0, axis)),
    "vecdot": lambda x, axis: tw.vecdot(x, x, axis=axis),
    "cross": lambda x, axis: tw.linalg.cross(x, x, axis=axis),
    "vector_norm": lambda x, axis: tw.linalg.vector_norm(x, axis=axis),
    "fft": lambda x, axis: tw.fft.fft(x, axis=axis),
    "rfft": lambda x, axis: tw.fft.rfft(x, axis=axis),
    "fftn": lambda x, axis: tw.fft.fftn(x, axes=(axis,)),
    "fftshift": lambda x, axis: tw.fft.fftshift(x, axes=axis),
}


@pytest.mark.parametrize("name", WITH_AXIS)
@pytest.mark.parametrize("axis", [4, -5])
def test_an_axis_that_is_not_there(name, axis):
    with pytest.raises(ShapeError, match=rf"\[{name}\] wants") as caught:
        WITH_AXIS[name](X, axis)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", words("sum mean max all count_nonzero flip std"))
def test_an_axis_named_twice(name):
    with pytest.raises(ShapeError, match=rf"\[{name}\] wants each axis once"):
        getattr(tw, name)(X, axis=(0, -2))


REFUSED = {
    "add": lambda: X + tw.zeros((2,)),
    "where": lambda: tw.where(X == 0, X, tw.zeros((4, 2, 2))),
    "broadcast_to": lambda: tw.broadcast_to(X, (3, 3)),
    "broadcast_arrays": lambda: tw.broadcast_arrays(X, tw.zeros((4,))),
    "concat": lambda: tw.concat([X, tw.zeros((2, 4))]),
    "stack": lambda: tw.stack([X, tw.zeros((2, 4))]),
    "reshape": lambda: tw.reshape(X, (4, 2)),
    "squeeze": lambda: tw.squeeze(X, 0),
    "permute_dims": lambda: tw.permute_dims(X, (0, 0)),
    "matmul": lambda: X @ X,
    "matrix_transpose": lambda: tw.matrix_transpose(tw.zeros(3)),
    "tensordot": lambda: tw.tensordot(X, X, axes=1),
    "vecdot": lambda: tw.vecdot(X, tw.zeros((2, 4))),
    "cross": lambda: tw.linalg.cross(tw.zeros(2), tw.zeros(2)),
    "det": lambda: tw.linalg.det(X),
    "inv": lambda: tw.linalg.inv(X),
    "cholesky": lambda: tw.linalg.cholesky(X),
    "eigh": lambda: tw.linalg.eigh(X),
    "nonzero": lambda: tw.nonzero(tw.asarray(1)),
    "searchsorted": lambda: tw.searchsorted(X, X),
    "cumulative_sum": lambda: tw.cumulative_sum(X),
    "cumulative_prod": lambda: tw.cumulative_prod(X),
    "max": lambda: tw.max(tw.zeros((0,))),
    "argmin": lambda: tw.argmin(tw.zeros((2, 0)), axis=1),
    "roll": lambda: tw.roll(X, (1, 2, 3), axis=(0, 1)),
    "zeros": lambda: tw.zeros((2, -1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_shapes_that_do_not_fit(name):
    with pytest.raises(ThalwegError, match=rf"^\[{name}\] wants"):
        REFUSED[name]()


WRONG_TYPES = {
    "bitwise_and": lambda: X & X,
    "logical_not": lambda: tw.logical_not(X),
    "less": lambda: tw.asarray([1j]) < 1,
    "floor": lambda: tw.floor(tw.asarray([1j])),
    "negative": lambda: -tw.asarray([True]),
    "remainder": lambda: tw.asarray([1j]) % 2,
    "atan2": lambda: tw.atan2(tw.asarray([1j]), X[0, 0]),
    "max": lambda: tw.max(tw.asarray([1j])),
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_element_types_that_a_function_does_not_have(name):
    with pytest.raises(DTypeError, match=rf"^\[{name}\] wants"):
        WRONG_TYPES[name]()


# Order, places, repetition ------------------------------------------------------------------------


def test_sorting_is_stable_both_ways():
    a = np.array([2, 1, 2, 1, 0, 2, 1])
    x = tw.asarray(a)
    for stable in (True, False):
        assert tw.sort(x, stable=stable).tolist() == sorted(a.tolist())
        assert tw.sort(x, descending=True, stable=stable).tolist() == sorted(a.tolist())[::-1]
    assert tw.argsort(x).tolist() == [4, 1, 3, 6, 0, 2, 5]
    assert tw.argsort(x, descending=True).tolist() == [0, 2, 5, 1, 3, 6, 4]
    matrix = tw.asarray([[3.0, 1.0], [2.0, 1.0]])
    assert tw.argsort(matrix, axis=0, descending=True).tolist() == [[0, 0], [1, 1]]
    unsigned = tw.asarray([0, 255, 1], dtype=tw.uint8)
    assert tw.argsort(unsigned, descending=True).tolist() == [1, 2, 0]
    least = tw.asarray([-128, 127, 0], dtype=tw.int8)
    assert tw.argsort(least, descending=True).tolist() == [1, 2, 0]
    assert tw.argmax(tw.asarray([1, 3, 3, 0])).tolist() == 1
    assert tw.argmin(tw.asarray([1, 0, 3, 0])).tolist() == 1


def test_searchsorted():
    edges = tw.asarray([1.0, 2.0, 2.0, 4.0])
    values = tw.asarray([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    assert tw.searchsorted(edges, values).tolist() == [[0, 0, 1], [3, 3, 4]]
    assert tw.searchsorted(edges, values, side="right").tolist() == [[0, 1, 3], [3, 4, 4]]
    mixed = tw.asarray([4.0, 2.0, 1.0, 2.0])
    order = tw.argsort(mixed)
    assert tw.searchsorted(mixed, values, sorter=order).tolist() == [[0, 0, 1], [3, 3, 4]]
    assert tw.searchsorted(tw.zeros(0), values).tolist() == [[0] * 3] * 2
    assert tw.searchsorted(edges, tw.zeros(0)).shape == (0,)
    assert tw.searchsorted(edges, tw.asarray(2.0)).shape == ()
    with pytest.raises(ArgumentError, match=r"\[searchsorted\]"):
        tw.searchsorted(edges, values, side="middle")


def test_distinct_values():
    x = tw.asarray([[3, 1, 3], [2, 1, 1]])
    found = tw.unique_all(x)
    assert found._fields == ("values", "indices", "inverse_indices", "counts")
    assert found.values.tolist() == [1, 2, 3]
    assert tw.take(tw.reshape(x, (-1,)), found.indices).tolist() == [1, 2, 3]
    assert found.inverse_indices.shape == x.shape
    assert tw.all(tw.reshape(tw.take(found.values, found.inverse_indices.flatten()), (2, 3)) == x)
    assert tw.unique_counts(x)._fields == ("values", "counts")
    assert tw.unique_counts(x).counts.tolist() == [3, 1, 2]
    assert tw.unique_inverse(x)._fields == ("values", "inverse_indices")
    assert tw.unique_values(x).tolist() == [1, 2, 3]
    # Each NaN is distinct; the zeros are one value.
    special = tw.asarray([NAN, 0.0, -0.0, NAN])
    assert tw.unique_counts(special).counts.tolist() == [2, 1, 1]
    assert tw.unique_values(tw.zeros((2, 0))).shape == (0,)
    assert tw.unique_values(tw.asarray(3)).tolist() == [3]
    assert tw.unique_inverse(tw.asarray(3)).inverse_indices.shape == ()
    assert tw.unique_all(tw.zeros((2, 0))).inverse_indices.shape == (2, 0)


def test_named_results():
    assert tw.linalg.eigh(tw.eye(2))._fields == ("eigenvalues", "eigenvectors")
    assert tw.linalg.qr(tw.eye(2))._fields == ("Q", "R")
    assert tw.linalg.slogdet(tw.eye(2))._fields == ("sign", "logabsdet")
    assert tw.linalg.svd(tw.eye(2))._fields == ("U", "S", "Vh")
    assert isinstance(tw.nonzero(tw.ones(2)), tuple)
    assert isinstance(tw.unstack(tw.ones(2)), tuple)
    assert isinstance(tw.broadcast_arrays(tw.ones(2)), list)


KEYS = [
    0, -1, slice(None), slice(1, None), slice(None, None, -1), slice(None, None, 2), slice(5, 0),
    slice(0, 0), ..., None, (0, 1), (..., 0), (0, ...), (slice(1), None, -1), (None, ..., None),
    (0, 0, 0), (..., slice(None, None, -2)), (slice(2, None, -1), 0, slice(-2, None)), (),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing(key):
    a = np.arange(24).reshape(2, 3, 4)
    found = tw.asarray(a)[key]
    np.testing.assert_array_equal(found.numpy(), a[key])
    assert found.shape == a[key].shape


def test_boolean_and_integer_indexing():
    a = np.arange(6).reshape(2, 3)
    x = tw.asarray(a)
    for mask in (a > 2, a > 9, a >= 0):
        np.testing.assert_array_equal(x[tw.asarray(mask)].numpy(), a[mask])
    for value in (True, False):
        np.testing.assert_array_equal(x[tw.asarray(value)].numpy(), a[np.asarray(value)])
        np.testing.assert_array_equal(tw.asarray(5)[value].numpy(), np.asarray(5)[value])
    rows, columns = tw.asarray([1, 0, -1]), tw.asarray([0, 2, 1])
    np.testing.assert_array_equal(x[rows, columns].numpy(), a[[1, 0, -1], [0, 2, 1]])
    np.testing.assert_array_equal(x[rows, 0].numpy(), a[[1, 0, -1], 0])
    np.testing.assert_array_equal(x[tw.asarray(1)].numpy(), a[1])
    with pytest.raises(IndexError):
        x[2]
    with pytest.raises(IndexError):
        x[0, 0, 0]


def test_repetition_and_places():
    x = tw.asarray([[1, 2], [3, 4]])
    assert tw.repeat(x, 2).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert tw.repeat(x, tw.asarray([0, 2]), axis=0).tolist() == [[3, 4], [3, 4]]
    assert tw.repeat(x, tw.asarray([2]), axis=-1).tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]
    assert tw.repeat(x, 0, axis=1).shape == (2, 0)
    assert tw.tile(x, (2,)).tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]
    assert tw.tile(x, (2, 1, 1)).shape == (2, 2, 2)
    assert tw.tile(x, (0, 1)).shape == (0, 2)
    assert tw.tile(x, ()).tolist() == x.tolist()
    assert [each.tolist() for each in tw.unstack(x, axis=-1)] == [[1, 3], [2, 4]]
    assert tw.take(x, tw.asarray([-1, 0, 0]), axis=1).tolist() == [[2, 1, 1], [4, 3, 3]]
    assert tw.take(x[0], tw.asarray([1])).tolist() == [2]
    assert tw.take_along_axis(x, tw.asarray([[-1], [0]])).tolist() == [[2], [3]]
    assert tw.take_along_axis(x, tw.asarray([[1, 0]]), axis=0).tolist() == [[3, 2]]
    assert tw.take_along_axis(x, tw.asarray([[1]]), axis=0).tolist() == [[3, 4]]
    assert tw.cumulative_sum(x[0], include_initial=True).tolist() == [0, 1, 3]
    assert tw.cumulative_prod(x, axis=0, include_initial=True).tolist() == [[1, 1], [1, 2], [3, 8]]
    assert tw.cumulative_sum(tw.zeros((0,)), include_initial=True).tolist() == [0]
    assert tw.diff(x, prepend=x[:, :1], append=x[:, :1], n=2).tolist() == [[1, -2], [1, -2]]
    assert tw.diff(x, axis=0, n=0).tolist() == x.tolist()
    assert tw.roll(x, 1).tolist() == [[4, 1], [2, 3]]
    assert tw.roll(x, (1, 1), axis=(0, 1)).tolist() == [[4, 3], [2, 1]]
    assert tw.roll(x, -5, axis=(0, 1)).tolist() == [[4, 3], [2, 1]]


def test_reshaping():
    x = tw.zeros((2, 3))
    for copy in (None, True, False):
        assert tw.reshape(x, (3, 2), copy=copy).shape == (3, 2)
    assert tw.reshape(x, (-1,)).shape == (6,)
    assert tw.reshape(x[0, 0], ()).shape == ()
    assert tw.reshape(x[0, 0], (1, -1)).shape == (1, 1)
    assert tw.reshape(tw.zeros((0, 3)), (3, 0)).shape == (3, 0)
    assert tw.reshape(tw.zeros((0, 3)), (-1, 3)).shape == (0, 3)
    assert tw.expand_dims(x, -3).shape == tw.expand_dims(x, 0).shape == (1, 2, 3)
    assert tw.expand_dims(x, -1).shape == tw.expand_dims(x, 2).shape == (2, 3, 1)
    assert tw.squeeze(tw.zeros((1, 2, 1)), (0, -1)).shape == (2,)
    assert tw.squeeze(x, ()).shape == (2, 3)
    assert tw.moveaxis(tw.zeros((1, 2, 3)), (0, -1), (-1, 0)).shape == (3, 2, 1)


def test_nothing_along_an_axis():
    x = tw.zeros((2, 0, 3))
    assert tw.sum(x).tolist() == 0
    assert tw.prod(x, axis=1).tolist() == [[1.0] * 3] * 2
    assert tw.all(x).tolist() is True
    assert tw.any(x, axis=1).tolist() == [[False] * 3] * 2
    assert tw.max(x, axis=0).shape == (0, 3)
    assert tw.isnan(tw.mean(x, axis=1)).tolist() == [[True] * 3] * 2
    assert tw.count_nonzero(x, axis=(0, 1)).tolist() == [0] * 3
    assert tw.argmax(x, axis=2).shape == (2, 0)
    assert tw.concat([x, x], axis=1).shape == (2, 0, 3)
    assert tw.concat([x, tw.ones((2, 2, 3))], axis=1).shape == (2, 2, 3)
    assert tw.concat([x, tw.ones((2,))], axis=None).shape == (2,)
    assert tw.matmul(tw.zeros((2, 0)), tw.zeros((0, 3))).tolist() == [[0.0] * 3] * 2
    assert tw.tensordot(tw.ones(2), tw.ones(3), axes=0).shape == (2, 3)
    assert tw.linalg.det(tw.zeros((0, 0))).tolist() == 1
    assert tw.linalg.inv(tw.zeros((0, 2, 2))).shape == (0, 2, 2)
    assert tw.linalg.svdvals(tw.zeros((0, 3))).shape == (0,)
    assert tw.nonzero(x)[0].shape == (0,)
    assert tw.unstack(x, axis=1) == ()

"""Creation: NumPy as oracle, who owns memory, DLPack both ways, named sizes, messages."""

import array as python_array
import inspect
import itertools
import math

import ml_dtypes
import numpy as np
import pytest

from thalweg.array import creation
from thalweg.array.creation import (
    arange,
    asarray,
    diag,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    geomspace,
    identity,
    linspace,
    logspace,
    meshgrid,
    ones,
    ones_like,
    size,
    tri,
    tril,
    triu,
    zeros,
    zeros_like,
)
from thalweg.array.elementwise import add, multiply
from thalweg.base.errors import ArgumentError, ShapeError, ThalwegError, TraceError
from thalweg.engine.tensor import Tensor
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable
from thalweg.ir.dim import named
from thalweg.ir.leaves import constant, parameter
from thalweg.ir.types import DTYPES, FLOATS, INTEGERS, NUMERIC
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp

SIGNATURES = {
    "arange": "(start, /, stop=None, step=1, *, dtype=None, device=None)",
    "asarray": "(obj, /, *, dtype=None, device=None, copy=None)",
    "empty": "(shape, *, dtype=None, device=None)",
    "empty_like": "(x, /, *, dtype=None, device=None)",
    "eye": "(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None)",
    "from_dlpack": "(x, /, *, device=None, copy=None)",
    "full": "(shape, fill_value, *, dtype=None, device=None)",
    "full_like": "(x, /, fill_value, *, dtype=None, device=None)",
    "linspace": "(start, stop, /, num, *, dtype=None, device=None, endpoint=True)",
    "meshgrid": "(*arrays, indexing='xy')",
    "ones": "(shape, *, dtype=None, device=None)",
    "ones_like": "(x, /, *, dtype=None, device=None)",
    "tril": "(x, /, *, k=0)",
    "triu": "(x, /, *, k=0)",
    "zeros": "(shape, *, dtype=None, device=None)",
    "zeros_like": "(x, /, *, dtype=None, device=None)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_the_standard(name):
    signature = inspect.signature(getattr(creation, name))
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(plain)) == SIGNATURES[name]


def assert_same(found: Tensor, wanted):
    """Equal values, element type and shape."""
    wanted = np.asarray(wanted)
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found.numpy(), wanted)


# asarray ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (True, "bool"), (3, "int64"), (0.5, "float32"), (2j, "complex64"), ([], "float32"),
        ([[], []], "float32"), ([True, False], "bool"), ([True, 2], "int64"),
        ([1, 2.5], "float32"), ([1, 2j], "complex64"), (((1, 2), (3, 4)), "int64"),
        (range(4), "int64"), ([[1.0], [2.0]], "float32"), (2**63 - 1, "int64"),
    ],
)  # fmt: skip
def test_asarray_of_numbers_and_lists(value, dtype):
    assert_same(asarray(value), np.array(value, dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_asarray_keeps_the_type_of_arrays(dtype):
    for shape in ((), (3,), (2, 0)):
        x = np.ones(shape, dtype.numpy)
        assert_same(asarray(x), x)
    assert_same(asarray(dtype.numpy.type(1)), np.ones((), dtype.numpy))


def test_asarray_of_other_holders_of_numbers():
    assert_same(asarray(bytearray(b"\x01\x02")), np.uint8([1, 2]))
    assert_same(asarray(memoryview(np.float32([1, 2]))), np.float32([1, 2]))
    assert_same(asarray(python_array.array("d", [1.0, 2.0])), np.float64([1, 2]))
    assert_same(asarray(Variable([1.0, 2.0])), np.float32([1, 2]))

    class Holder:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3)

    assert_same(asarray(Holder()), np.arange(3))


def test_asarray_of_foreign_byte_order():
    x = np.arange(3, dtype=">i4")
    assert_same(asarray(x), np.arange(3, dtype="i4"))
    assert_same(asarray([x, x]), np.stack([x, x]).astype("i4"))
    assert_same(add(asarray([1, 1, 1], dtype="int32"), x), np.int32([1, 2, 3]))


@pytest.mark.parametrize(
    ("value", "dtype", "wanted"),
    [
        (0.1, "float64", np.float64(0.1)),
        ([0.1], "float64", np.float64([0.1])),
        ([1.7, -3.9, 1e9], "int8", np.int8([1, -3, 127])),
        ([2**64 - 1], "uint64", np.uint64([2**64 - 1])),
        ([0, 2], "bool", np.array([False, True])),
        (10**30, "float32", np.float32(1e30)),
        ([1, 10**30], "complex64", np.complex64([1, 1e30])),
        (np.arange(3), "float16", np.float16([0, 1, 2])),
        ([np.int8(1), np.int16(300)], None, np.int16([1, 300])),
        ([np.float64(0.1), np.float32(0.5)], None, np.float64([0.1, 0.5])),
        ([np.float16(0.5), 2.0], None, np.float16([0.5, 2])),
        ([np.arange(2), np.arange(2)], "float32", np.float32([[0, 1], [0, 1]])),
    ],
)
def test_asarray_with_types(value, dtype, wanted):
    assert_same(asarray(value, dtype=dtype), wanted)


def test_asarray_stacks_tensors_without_computing_them():
    row = add(asarray([1.0, 2.0]), 1)
    found = asarray([row, [5, 6], multiply(row, 2)])
    assert row._cell.buffer is None
    assert found._cell.buffer is None
    assert_same(found, np.float32([[2, 3], [5, 6], [4, 6]]))
    assert_same(asarray([Variable(1.0), 2]), np.float32([1, 2]))
    assert_same(asarray([[row], [row]]), np.float32([[[2, 3]], [[2, 3]]]))
    assert_same(asarray([row, row], dtype="int8"), np.int8([[2, 3], [2, 3]]))
    with pytest.raises(ShapeError, match="nested lists of equal length"):
        asarray([row, [1.0]])
    with pytest.raises(ArgumentError, match="fits int8"):
        asarray([full((), 1, dtype="int8"), 300])


def test_asarray_stacks_while_tracing():
    @function
    def stacked(x, n):
        return asarray([[x, n], [1, multiply(x, 2)]]), asarray(n), asarray([1.5, 2.5])

    found = stacked(np.float64(0.1), 3)
    assert_same(found[0], np.float64([[0.1, 3], [1, 0.2]]))
    assert_same(found[1], np.int64(3))
    assert_same(found[2], np.float32([1.5, 2.5]))


def test_small_arrays_in_a_trace_are_constants():
    small, large = np.arange(64.0), np.arange(65.0)
    graph = function(lambda x: (add(x, small), asarray([1, 2]), asarray(3.0))).trace(0.0)
    assert [node.op for node in graph.results[1:]] == [constant, constant]
    assert len(graph.parameters) == 1
    graph = function(lambda x: add(x, large)).trace(0.0)
    assert [node.op for node in graph.parameters] == [parameter, parameter]


# Who owns memory ----------------------------------------------------------------------------------


def shares(tensor: Tensor, array: np.ndarray) -> bool:
    return np.shares_memory(tensor.numpy(), array)


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("make", [asarray, from_dlpack], ids=["asarray", "from_dlpack"])
def test_memory_is_shared_where_nobody_can_write(make):
    writeable = np.arange(3.0)
    assert not shares(make(writeable), writeable)
    assert shares(make(writeable, copy=False), writeable)
    fixed = frozen(np.arange(3.0))
    assert shares(make(fixed), fixed)
    assert shares(make(fixed[1:]), fixed)
    assert not shares(make(fixed, copy=True), fixed)
    view = np.arange(3.0)
    assert not shares(make(frozen(view.view())), view), "its owner can be written to"
    strided = frozen(np.arange(6.0))[::2]
    assert not shares(make(strided), strided)
    with pytest.raises(ArgumentError, match="not contiguous"):
        make(strided, copy=False)


def test_a_later_change_of_the_array_is_not_seen():
    x = np.arange(3.0)
    waiting = add(asarray(x), x)
    x[:] = 7
    assert_same(waiting, np.float64([0, 2, 4]))


def test_a_tensors_memory_is_read_only():
    x = np.arange(3.0)
    assert not from_numpy(x).numpy().flags.writeable
    assert x.flags.writeable
    assert not asarray(x).numpy().flags.writeable


def test_copy_false_refuses_what_it_cannot_share():
    for value in ([1, 2], 3.0, np.arange(3, dtype=">i4")):
        with pytest.raises(ValueError, match="Leave out copy=False"):
            asarray(value, copy=False)
    with pytest.raises(ValueError, match="Leave out copy=False"):
        asarray(np.arange(3), dtype="float32", copy=False)
    tensor = asarray([1.0])
    assert asarray(tensor, copy=False) is tensor
    assert asarray(tensor, dtype="float32", copy=False) is tensor
    with pytest.raises(ValueError, match="Leave out copy=False"):
        asarray(tensor, dtype="float64", copy=False)
    buffer = bytearray(b"ab")
    shared = asarray(buffer, copy=False)
    buffer[0] = 0
    assert shared.tolist() == [0, 98]


def test_every_tensor_is_laid_out_row_by_row():
    for x in (np.arange(6.0).reshape(2, 3).T, np.asfortranarray(np.ones((2, 3), ">f4"))):
        assert asarray(x).numpy().flags.c_contiguous
        assert asarray(x, dtype="int8").numpy().flags.c_contiguous
        assert asarray([x, x]).numpy().flags.c_contiguous


def test_from_numpy_shares_memory():
    x = np.arange(3, dtype=np.float32)
    tensor = from_numpy(x)
    assert shares(tensor, x)
    x[0] = 5
    assert tensor.tolist() == [5, 1, 2]


# DLPack -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.name != "bfloat16"], ids=str)
def test_dlpack_with_numpy(dtype):
    x = np.arange(4).astype(dtype.numpy).reshape(2, 2)
    assert_same(from_dlpack(x), x)
    tensor = asarray(x)
    back = np.from_dlpack(tensor)
    assert shares(tensor, back)
    assert not back.flags.writeable
    np.testing.assert_array_equal(back, x)
    assert from_dlpack(tensor) is tensor
    assert tensor.__dlpack_device__() == (1, 0)


def test_dlpack_computes_what_is_asked_for():
    np.testing.assert_array_equal(np.from_dlpack(add(asarray([1.0]), 1)), [2])


@pytest.mark.parametrize(
    "name",
    ["bool", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64"],
)
def test_dlpack_with_torch(name):
    torch = pytest.importorskip("torch")
    theirs = torch.arange(6).reshape(2, 3).to(getattr(torch, name))
    ours = from_dlpack(theirs)
    assert_same(ours, theirs.numpy())
    assert not shares(ours, theirs.numpy())
    assert shares(from_dlpack(theirs, copy=False), theirs.numpy())
    back = torch.from_dlpack(ours)
    assert back.dtype == theirs.dtype
    assert torch.equal(back, theirs)
    # PyTorch overlooks that the memory is marked read-only: who writes there must clone it first.
    assert shares(ours, back.numpy())


def test_torch_tensors_are_operands_after_conversion():
    torch = pytest.importorskip("torch")
    assert_same(asarray(torch.ones(2)), np.ones(2, np.float32))
    with pytest.raises(ArgumentError, match="Detach it"):
        from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(ArgumentError, match="convert bfloat16"):
        from_dlpack(torch.ones(2, dtype=torch.bfloat16))


class Lender:
    """A producer of DLPack that does not say whether its memory may be written to."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, *, max_version=None, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_memory_of_an_unknown_producer_is_copied():
    x = np.arange(3.0)
    ours = from_dlpack(Lender(x))
    shared = from_dlpack(Lender(x), copy=False)
    x[0] = 7
    assert ours.tolist() == [0, 1, 2]
    assert shared.tolist() == [7, 1, 2]


class ElsewhereArray:
    """An array in the memory of a GPU."""

    def __dlpack__(self, **options):
        raise AssertionError("must not be asked")

    def __dlpack_device__(self):
        return 2, 0


# Constants ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), 3, (2, 3), [2, 0], (np.int64(2), 1), np.array([2, 2])])
def test_zeros_and_ones(shape):
    sizes = tuple(shape) if isinstance(shape, (list, tuple, np.ndarray)) else shape
    assert_same(zeros(shape), np.zeros(sizes, np.float32))
    assert_same(ones(shape), np.ones(sizes, np.float32))
    assert_same(empty(shape), np.zeros(sizes, np.float32))
    assert_same(full(shape, 2), np.full(sizes, 2))
    for dtype in DTYPES:
        assert_same(zeros(shape, dtype=dtype), np.zeros(sizes, dtype.numpy))
        assert_same(ones(shape, dtype=dtype), np.ones(sizes, dtype.numpy))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_like(dtype):
    x = np.ones((2, 3), dtype.numpy)
    assert_same(zeros_like(x), np.zeros_like(x))
    assert_same(empty_like(asarray(x)), np.zeros_like(x))
    assert_same(ones_like(asarray(x)), x)
    assert_same(full_like(asarray(x), 1), x)
    assert_same(ones_like(x, dtype="int8"), np.ones((2, 3), np.int8))


def test_full_with_each_kind_of_number_and_with_tensors():
    assert full((2,), True).dtype == "bool"
    assert full((2,), 1.5).dtype == "float32"
    assert full((2,), 1j).dtype == "complex64"
    assert full((2,), np.float64(1.5)).dtype == "float64"
    assert_same(full((2, 3), asarray([1, 2, 3])), np.array([[1, 2, 3]] * 2))
    assert_same(full((2,), asarray(1.9), dtype="int8"), np.int8([1, 1]))
    assert_same(full((2,), float("nan")), np.float32([math.nan] * 2))
    assert_same(function(lambda n: full((2,), n))(0.1), np.float32([0.1] * 2))


# Ranges -------------------------------------------------------------------------------------------

RANGES = [
    (5,), (0,), (-3,), (2, 7), (7, 2), (2, 7, 3), (7, 2, -2), (-5, 5, 4), (0, 10, 10), (0, 10, 11),
    (3, 3), (2**40, 2**40 + 3),
]  # fmt: skip


@pytest.mark.parametrize("given", RANGES, ids=str)
def test_arange_of_integers(given):
    assert_same(arange(*given), np.arange(*given))
    assert_same(arange(*map(np.int64, given)), np.arange(*given))


@pytest.mark.parametrize("dtype", NUMERIC, ids=str)
def test_arange_in_every_type(dtype):
    for given in ((5,), (2, 90, 7), (9, 0, -2)):
        assert_same(arange(*given, dtype=dtype), np.arange(*given).astype(dtype.numpy))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_arange_reaches_both_ends_of_a_type(dtype):
    info = np.iinfo(dtype.numpy)
    low, high = int(info.min), int(info.max)
    step = max((high - low) // 100, 1)
    assert arange(low, high + 1, step, dtype=dtype).tolist() == list(range(low, high + 1, step))
    assert arange(high, low - 1, -step, dtype=dtype).tolist() == list(range(high, low - 1, -step))
    with pytest.raises(ArgumentError, match=f"fits {dtype}"):
        arange(high, high + 2, dtype=dtype)
    with pytest.raises(ArgumentError, match=f"fits {dtype}"):
        arange(low, low - 2, -1, dtype=dtype)


@pytest.mark.parametrize(
    "given",
    [(2.5,), (0.5, 3), (0, 1, 0.1), (1.0, 0.0, -0.25), (1.5, 0), (0, 1e-3, 1e-4), (-0.0, 2.0)],
    ids=str,
)
def test_arange_of_floats(given):
    wanted = np.arange(*given)
    found = arange(*given, dtype="float64")
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-15, atol=1e-18)
    assert_same(arange(*given), found.numpy().astype(np.float32))


def test_arange_is_exact_beyond_what_float_steps_can_say():
    start = 2**24 - 2
    assert_same(arange(start, start + 5, dtype="float32"),
                np.arange(start, start + 5).astype("float32"))  # fmt: skip
    assert_same(arange(0, 10**20, 10**19, dtype="float64"), np.arange(0, 1e20, 1e19))
    with pytest.raises(ArgumentError, match="fits int64"):
        arange(0, 10**20, 10**19)
    assert arange(10**30, 10**30 + 1, dtype="float64").tolist() == [1e30]


def test_arange_takes_scalar_tensors_but_no_traced_ones():
    assert_same(arange(asarray(3)), np.arange(3))
    assert_same(arange(asarray(0.5), 2), np.float32([0.5, 1.5]))
    with pytest.raises(TraceError, match="static argument"):
        function(lambda n: arange(n))(3)


LINES = [
    (0, 1, 11), (0, 49, 50), (-3.5, 2, 7), (5, -5, 4), (2, 2, 3), (1, 2, 1), (1, 2, 0), (0, 3, 4),
    (1e300, -1e300, 5),
]  # fmt: skip


@pytest.mark.parametrize("endpoint", [True, False])
@pytest.mark.parametrize("given", LINES, ids=str)
def test_linspace(given, endpoint):
    wanted = np.linspace(*given, endpoint=endpoint)
    found = linspace(*given, dtype="float64", endpoint=endpoint)
    assert found.shape == wanted.shape
    scale = max(map(abs, given[:2]))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-15, atol=1e-15 * scale)
    if given[2] > 1 and endpoint:
        assert found.numpy()[0] == given[0]
        assert found.numpy()[-1] == given[1]
    assert linspace(*given, endpoint=endpoint).dtype == "float32"


@pytest.mark.parametrize("num", [2, 3, 7, 50, 99, 101])
def test_linspace_hits_whole_numbers(num):
    assert linspace(0, num - 1, num, dtype="float64").tolist() == list(range(num))
    assert linspace(0, num - 1, num, dtype="int32").tolist() == list(range(num))
    assert linspace(0, -10, num, dtype="int16").tolist() == np.floor(
        np.linspace(0, -10, num)).tolist()  # fmt: skip


def test_linspace_rounds_once():
    assert linspace(0, 1, 11, dtype="float64").tolist() == [each / 10 for each in range(11)]
    # 0.8 + (0.2 - 0.8) is not 0.2.
    assert linspace(0.8, 0.2, 4, dtype="float64").numpy()[-1] == 0.2
    far = 1.7e308
    assert linspace(-far, far, 3, dtype="float64").tolist() == [-far, 0, far]


def test_linspace_of_complex_numbers():
    assert_same(linspace(0, 2j, 3), np.complex64([0, 1j, 2j]))


def test_linspace_between_tensors():
    start = asarray(1.0)
    assert_same(linspace(start, 3, 5), np.linspace(1, 3, 5, dtype=np.float32))
    assert linspace(asarray(1), asarray(2), 3).dtype == "float32"
    assert linspace(np.float64(0), asarray(1.0, dtype="float64"), 3).dtype == "float64"
    graph = function(lambda a, b: linspace(a, b, 5)).trace(np.float64(1), np.float64(3))
    pulled = run(vjp(graph), np.float64(1), np.float64(3), np.arange(5.0))
    np.testing.assert_allclose(pulled, [0.75 + 1 + 0.75, 0.25 + 1 + 2.25 + 4])


def test_logspace_and_geomspace():
    assert_same(logspace(0, 3, 4, dtype="int64"), np.array([1, 10, 100, 1000]))
    for given in ((0, 2, 5), (-1, 1, 1), (3, 3, 2)):
        np.testing.assert_allclose(logspace(*given, base=2.0, dtype="float64").numpy(),
                                   np.logspace(*given, base=2.0), rtol=1e-14)  # fmt: skip
    for given in ((1, 1000, 4), (-2, -32, 5), (5, 5, 3), (1e-300, 1e300, 7), (3, 9, 0)):
        for endpoint in (True, False):
            found = geomspace(*given, dtype="float64", endpoint=endpoint).numpy()
            wanted = np.geomspace(*given, endpoint=endpoint)
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert geomspace(3, 7, 5).numpy()[-1] == 7


# Matrices -----------------------------------------------------------------------------------------

MATRIX_SHAPES = [(3, 3), (2, 4), (4, 2), (1, 1), (0, 3), (3, 0)]


@pytest.mark.parametrize("shape", MATRIX_SHAPES, ids=str)
@pytest.mark.parametrize("k", [-5, -2, -1, 0, 1, 2, 5])
def test_eye_and_triangles(shape, k):
    assert_same(eye(*shape, k=k), np.eye(*shape, k=k, dtype=np.float32))
    assert_same(eye(*shape, k=k, dtype="bool"), np.eye(*shape, k=k, dtype=bool))
    assert_same(tri(*shape, k=k, dtype="int8"), np.tri(*shape, k=k, dtype=np.int8))
    for x in (np.arange(1.0, 1 + math.prod(shape)).reshape(shape), np.ones((2, *shape), bool)):
        assert_same(tril(x, k=k), np.tril(x, k))
        assert_same(triu(x, k=k), np.triu(x, k))
    x = np.arange(math.prod(shape)).reshape(shape)
    assert_same(diag(x, k=k), np.diag(x, k))
    assert_same(diag(x[0] if shape[0] else x.reshape(-1), k=k),
                np.diag(x[0] if shape[0] else x.reshape(-1), k))  # fmt: skip


def test_identity():
    assert_same(identity(3, dtype="int32"), np.identity(3, np.int32))
    assert_same(eye(2), np.eye(2, dtype=np.float32))


def test_triangles_do_not_spread_nan():
    x = np.full((2, 2), math.nan)
    assert_same(tril(x), np.array([[math.nan, 0], [math.nan, math.nan]]))


def test_diag_puts_a_vector_on_a_diagonal_and_its_derivative_takes_it_off():
    graph = function(lambda x: diag(x, k=1)).trace(np.arange(3.0))
    weights = np.arange(16.0).reshape(4, 4)
    (pulled,) = run(vjp(graph), np.arange(3.0), weights)
    np.testing.assert_array_equal(pulled, np.diag(weights, 1))


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("lengths", [(), (3,), (2, 3), (2, 3, 4), (0, 2)], ids=str)
def test_meshgrid(lengths, indexing):
    rows = [np.arange(n, dtype="float32") for n in lengths]
    found = meshgrid(*rows, indexing=indexing)
    wanted = np.meshgrid(*rows, indexing=indexing)
    assert isinstance(found, list)
    for ours, theirs in itertools.zip_longest(found, wanted):
        assert_same(ours, theirs)


def test_meshgrid_keeps_each_type():
    found = meshgrid(np.arange(2, dtype="int8"), np.arange(3.0))
    assert [each.dtype.name for each in found] == ["int8", "float64"]


# Named sizes --------------------------------------------------------------------------------------


def of_any_length(body):
    """A function of x: f64[b] traced once for every b."""
    return function(lambda x: body(x.shape[0]), shapes={"x": ("b",)})


@pytest.mark.parametrize(
    ("ours", "numpys"),
    [
        (lambda b: zeros((b, 3)), lambda b: np.zeros((b, 3), "f4")),
        (lambda b: full((2, b), 1.5), lambda b: np.full((2, b), 1.5, "f4")),
        (lambda b: ones_like(zeros((b,), dtype="int8")), lambda b: np.ones(b, "i1")),
        (lambda b: arange(b), lambda b: np.arange(b)),
        (lambda b: arange(1, b + 1), lambda b: np.arange(1, b + 1)),
        (lambda b: arange(b, 3 * b, 2), lambda b: np.arange(b, 3 * b, 2)),
        (lambda b: arange(b - 1, -1, -1), lambda b: np.arange(b - 1, -1, -1)),
        (lambda b: arange(3, b), lambda b: np.arange(3, b)),
        (lambda b: arange(b, dtype="float16"), lambda b: np.arange(b).astype("f2")),
        (lambda b: arange(b, dtype="uint8"), lambda b: np.arange(b).astype("u1")),
        (lambda b: eye(b), lambda b: np.eye(b, dtype="f4")),
        (lambda b: eye(b, b + 1, k=1), lambda b: np.eye(b, b + 1, 1, "f4")),
        (lambda b: tril(ones((b, b)), k=-1), lambda b: np.tril(np.ones((b, b), "f4"), -1)),
        (lambda b: triu(ones((2, b, b))), lambda b: np.triu(np.ones((2, b, b), "f4"))),
        (lambda b: diag(arange(b)), lambda b: np.diag(np.arange(b))),
        (lambda b: diag(arange(b), k=-2), lambda b: np.diag(np.arange(b), -2)),
        (lambda b: diag(ones((b, b))), lambda b: np.ones(b, "f4")),
        (lambda b: meshgrid(arange(b), arange(2))[0], lambda b: np.meshgrid(range(b), [0, 1])[0]),
        (lambda b: asarray([b, 2 * b, 7]), lambda b: np.array([b, 2 * b, 7])),
        (lambda b: size(2 * b, dtype="int32"), lambda b: np.int32(2 * b)),
        (lambda b: multiply(size(b), 0.5), lambda b: np.float32(0.5 * b)),
    ],
)
def test_shapes_with_named_sizes(ours, numpys):
    traced = of_any_length(ours)
    for length in (1, 2, 5):
        assert_same(traced(np.zeros(length)), numpys(length))
    assert len(traced.variants) == 1


def test_named_sizes_have_no_value_outside_of_traces():
    for make in (lambda b: zeros((b, 3)), lambda b: arange(b), lambda b: eye(b), size):
        with pytest.raises(ThalwegError, match="only while a function runs"):
            make(named("b"))


def test_size_of_a_number_is_a_weak_scalar():
    assert_same(size(7), np.int64(7))
    assert multiply(full((2,), 0.5, dtype="float16"), size(7)).dtype == "float16"
    assert multiply(full((2,), 0.5, dtype="float16"), size(7, dtype="int64")).dtype == "float16"
    assert add(full((2,), 1, dtype="int8"), size(7)).dtype == "int8"
    assert add(full((2,), 1, dtype="int8"), size(7, dtype="int16")).dtype == "int16"


def test_nothing_is_computed():
    made = [
        zeros((2,)), ones((2,)), full((2,), 3), arange(5), eye(3), tril(ones((2, 2))),
        diag(arange(3)), tri(3), *meshgrid(arange(2), arange(3)), size(3),
    ]  # fmt: skip
    assert all(tensor._cell.buffer is None for tensor in made)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_bfloat16_and_the_others_print_and_copy(dtype):
    x = linspace(0, 1, 3, dtype=dtype)
    assert x.numpy().dtype == dtype.numpy
    assert_same(asarray(x.numpy()), x.numpy())
    assert (dtype.numpy == ml_dtypes.bfloat16) == (dtype.name == "bfloat16")


# Messages -----------------------------------------------------------------------------------------


def test_messages(golden):
    cases = [
        lambda: asarray("text"),
        lambda: asarray([1, "two"]),
        lambda: asarray([[1, 2], [3]]),
        lambda: asarray([zeros((2,)), zeros((3,))]),
        lambda: asarray([2**64]),
        lambda: asarray([300, 1], dtype="uint8"),
        lambda: asarray([1j], dtype="float32"),
        lambda: asarray([1, 2], copy=False),
        lambda: asarray(np.array(["a"])),
        lambda: add(np.array([None, 1]), 1.0),
        lambda: asarray([1.0], dtype="float8"),
        lambda: asarray([1.0], device="gpu"),
        lambda: from_dlpack([1, 2]),
        lambda: from_dlpack(ElsewhereArray()),
        lambda: from_numpy([1, 2]),
        lambda: zeros((2, -1)),
        lambda: zeros(2.5),
        lambda: zeros((2, None)),
        lambda: zeros((named("b"), 3)),
        lambda: full((2,), 300, dtype="uint8"),
        lambda: full((2,), 1.5, dtype="int32"),
        lambda: full((2,), "x"),
        lambda: full((2, 3), asarray([1, 2])),
        lambda: arange(0, 5, 0),
        lambda: arange(300, dtype="uint8"),
        lambda: arange(0, float("inf")),
        lambda: arange(3j),
        lambda: arange(2, dtype="bool"),
        lambda: linspace(0, 1, -1),
        lambda: linspace(asarray([0.0, 1.0]), 1, 3),
        lambda: geomspace(-1, 1, 3),
        lambda: meshgrid(zeros((2, 2))),
        lambda: meshgrid(zeros((2,)), indexing="yx"),
        lambda: tril(zeros((3,))),
        lambda: diag(zeros((2, 2, 2))),
        lambda: eye(3, k=0.5),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("creation", "\n\n".join(lines))

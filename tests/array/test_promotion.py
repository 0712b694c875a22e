"""Promotion: the lattice against the standard's tables and NumPy, weak numbers, what is refused."""

import itertools
import operator

import ml_dtypes
import numpy as np
import pytest

from thalweg.array.creation import asarray, full, size
from thalweg.array.data_types import result_type
from thalweg.array.elementwise import (
    add,
    divide,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    maximum,
    multiply,
    not_equal,
    sqrt,
)
from thalweg.array.operands import to_tensor
from thalweg.base.errors import ArgumentError, DTypeError
from thalweg.engine.trace import function
from thalweg.ir.types import DTYPES, INEXACT, NUMERIC, DType, as_dtype, promote

PAIRS = list(itertools.product(DTYPES, DTYPES))
NUMBERS = (True, 3, 0.5, 2j)
OF_NUMPY = [dtype for dtype in DTYPES if dtype.name != "bfloat16"]


def pair_name(pair) -> str:
    return f"{pair[0]}-{pair[1]}"


# The tables of the standard, section "Type promotion rules".
STANDARD = """
          int8  int16 int32 int64 uint8 uint16 uint32 uint64
    int8  int8  int16 int32 int64 int16 int32  int64  -
    int16 int16 int16 int32 int64 int16 int32  int64  -
    int32 int32 int32 int32 int64 int32 int32  int64  -
    int64 int64 int64 int64 int64 int64 int64  int64  -
    uint8 int16 int16 int32 int64 uint8 uint16 uint32 uint64
    uint16 int32 int32 int32 int64 uint16 uint16 uint32 uint64
    uint32 int64 int64 int64 int64 uint32 uint32 uint32 uint64
    uint64 -    -     -     -     uint64 uint64 uint64 uint64

              float32    float64    complex64  complex128
    float32   float32    float64    complex64  complex128
    float64   float64    float64    complex128 complex128
    complex64 complex64  complex128 complex64  complex128
    complex128 complex128 complex128 complex128 complex128
"""


def standard_rows():
    for block in STANDARD.strip("\n").split("\n\n"):
        head, *rows = [line.split() for line in block.splitlines()]
        for first, *results in rows:
            for second, result in zip(head, results, strict=True):
                yield first, second, result


@pytest.mark.parametrize(("first", "second", "result"), list(standard_rows()))
def test_the_lattice_is_that_of_the_standard(first, second, result):
    if result == "-":
        with pytest.raises(DTypeError, match="element types with a common type"):
            result_type(first, second)
    else:
        assert result_type(first, second) is as_dtype(result)


def expected(a: DType, b: DType) -> DType | None:
    """What NumPy says, but for what Thalweg decides otherwise."""
    kinds = {a.kind, b.kind}
    if kinds == {"uint", "int"} and "uint64" in (a.name, b.name):
        return None
    if kinds & {"int", "uint", "bool"} and kinds & {"float", "complex"}:
        return a if a.is_inexact else b
    names = {a.name, b.name}
    if "bfloat16" in names:
        if names == {"bfloat16"}:
            return a
        other = a if b.name == "bfloat16" else b
        return as_dtype("float32") if other.name == "float16" else other
    return as_dtype(np.result_type(a.numpy, b.numpy))


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_values_and_types_of_all_pairs(pair):
    dtype = expected(*pair)
    x, y = (np.array([0, 1, 1], each.numpy) for each in pair)
    if dtype is None:
        with pytest.raises(DTypeError, match="Cast one of them first"):
            equal(x, y)
        return
    assert promote(*pair) is dtype
    assert result_type(*pair) is dtype
    found = maximum(x, y) if dtype in NUMERIC and not dtype.is_complex else equal(x, y)
    if found.dtype.kind == "bool":
        np.testing.assert_array_equal(found.numpy(), [True, True, True])
    else:
        assert found.dtype is dtype
        np.testing.assert_array_equal(found.numpy(), np.array([0, 1, 1], dtype.numpy))
    if dtype in NUMERIC:
        total = add(x, y)
        assert total.dtype is dtype
        np.testing.assert_array_equal(total.numpy(), np.array([0, 2, 2], dtype.numpy))


def test_promotion_is_commutative_and_associative_where_it_exists():
    for a, b in PAIRS:
        assert expected(a, b) is expected(b, a)
    whole = [dtype for dtype in DTYPES if dtype.name not in ("uint64", "bfloat16", "float16")]
    for a, b, c in itertools.product(whole, repeat=3):
        assert promote(promote(a, b), c) is promote(a, promote(b, c))


DEFAULTS = {"float64": "float32", "complex128": "complex64"}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("dtype", OF_NUMPY, ids=str)
def test_python_numbers_are_weak_as_in_numpy(dtype, number):
    known = np.result_type(dtype.numpy, number).name
    if not dtype.is_inexact:
        # Where the number's kind decides, it decides by our default types.
        known = DEFAULTS.get(known, known)
    assert result_type(dtype, number) is as_dtype(known)
    x = full((2,), 1, dtype=dtype)
    if result_type(dtype, number) in NUMERIC:
        for found in (multiply(x, number), multiply(number, x)):
            assert found.dtype is as_dtype(known)
            np.testing.assert_array_equal(found.numpy(), np.full(2, number).astype(known))


def test_bfloat16_with_python_numbers():
    x = full((2,), 1.0, dtype="bfloat16")
    assert multiply(x, 2).dtype == "bfloat16"
    assert multiply(x, 0.5).dtype == "bfloat16"
    assert multiply(x, True).dtype == "bfloat16"
    assert multiply(x, 1j).dtype == "complex64"
    assert multiply(x, 3).numpy().dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize("number", [3, 0.5, 2j])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", [add, multiply, divide, equal])
def test_a_traced_number_promotes_as_the_number_itself(op, dtype, number):
    x = full((2,), 1, dtype=dtype)
    traced = function(lambda x, n: op(x, n))(x, number)
    plain = op(x, number)
    assert traced.dtype is plain.dtype
    np.testing.assert_array_equal(traced.numpy(), plain.numpy())


def test_traced_numbers_among_themselves_end_in_the_default_types():
    @function
    def several(i, f):
        return add(i, 1), divide(i, 2), multiply(i, f), sqrt(f), less(i, f), to_tensor(f), f

    found = several(3, 0.1)
    names = [each.dtype.name for each in found]
    assert names == ["int64", "float32", "float32", "float32", "bool", "float32", "float32"]
    assert float(found[0]) == 4
    assert float(found[1]) == 1.5
    # One rounding, at the end: 3 * 0.1 is computed in double precision.
    assert found[2].numpy() == np.float32(3 * 0.1)


def test_numbers_alone_get_the_default_types():
    assert add(1, 2).dtype == "int64"
    assert add(1, 2.5).dtype == "float32"
    assert sqrt(4).dtype == "float32"
    assert divide(1, 2).dtype == "float32"
    assert add(1, 2j).dtype == "complex64"
    assert equal(True, 1).dtype == "bool"


def test_numpy_scalars_have_an_element_type():
    x = full((2,), 1.0)
    assert multiply(x, np.float64(0.5)).dtype == "float64"
    assert multiply(x, np.float16(0.5)).dtype == "float32"
    assert multiply(full((2,), 1, dtype="int8"), np.int16(2)).dtype == "int16"
    assert asarray(np.float64(1.0)).dtype == "float64"


def test_a_named_size_is_weak_as_a_number_is():
    @function(shapes={"x": ("b",)})
    def mean(x):
        (b,) = x.shape
        return divide(x, b), multiply(b, x), divide(x, size(b)), add(b, 1)

    for length in (2, 5):
        x = np.arange(length, dtype=np.float16)
        found = mean(x)
        for part, wanted in zip(found, (x / length, length * x, x / length), strict=False):
            assert part.dtype == "float16"
            np.testing.assert_array_equal(part.numpy(), wanted)
        assert found[3].dtype == "int64"
        assert int(found[3]) == length + 1


@pytest.mark.parametrize("dtype", [d for d in DTYPES if not d.is_inexact], ids=str)
def test_float_functions_turn_the_rest_into_float32(dtype):
    assert sqrt(full((2,), 1, dtype=dtype)).dtype == "float32"
    assert divide(full((2,), 1, dtype=dtype), full((2,), 1, dtype=dtype)).dtype == "float32"


@pytest.mark.parametrize("dtype", INEXACT, ids=str)
def test_float_functions_keep_floats(dtype):
    assert sqrt(full((2,), 1, dtype=dtype)).dtype is dtype


FITTING = [("uint8", 255), ("uint8", 0), ("int8", -128), ("uint64", 2**64 - 1), ("int64", -(2**63))]
NOT_FITTING = [
    ("uint8", 256), ("uint8", -1), ("int8", 128), ("int8", -129), ("uint64", 2**64),
    ("uint64", -1), ("int64", 2**63), ("int32", 10**400),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "number"), FITTING)
def test_a_number_that_fits_keeps_the_type(dtype, number):
    found = add(full((1,), 0, dtype=dtype), number)
    assert found.dtype == dtype
    assert found.tolist() == [number]


@pytest.mark.parametrize(("dtype", "number"), NOT_FITTING)
def test_a_number_that_does_not_fit_is_refused(dtype, number):
    with pytest.raises(ArgumentError, match=f"a number that fits {dtype}"):
        add(full((1,), 0, dtype=dtype), number)
    with pytest.raises(ArgumentError, match=f"a number that fits {dtype}"):
        multiply(number, full((1,), 0, dtype=dtype))


COMPARISONS = {
    equal: operator.eq,
    not_equal: operator.ne,
    less: operator.lt,
    less_equal: operator.le,
    greater: operator.gt,
    greater_equal: operator.ge,
}


@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(("dtype", "number"), NOT_FITTING)
def test_but_it_compares_by_its_value(dtype, number, compare):
    row = [0, 1, 100]
    x = asarray(row, dtype=dtype)
    python = COMPARISONS[compare]
    assert compare(x, number).tolist() == [python(each, number) for each in row]
    assert compare(number, x).tolist() == [python(number, each) for each in row]


def test_a_number_beyond_a_float_type_is_infinite():
    assert float(add(full((), 0.0), 1e40)) == np.inf
    assert float(multiply(full((), 1.0, dtype="float16"), -1e6)) == -np.inf
    with pytest.raises(ArgumentError, match="a number that fits float32"):
        add(full((), 0.0), 10**400)
    with pytest.raises(ArgumentError, match="a number that fits bfloat16"):
        add(full((), 0.0, dtype="bfloat16"), 10**400)


def test_messages(golden):
    cases = [
        lambda: add(full((2,), 1, dtype="uint8"), 300),
        lambda: add(full((2,), 1, dtype="int64"), full((2,), 1, dtype="uint64")),
        lambda: add(full((2, 3), 1.0), full((4,), 1.0)),
        lambda: add(full((2, 3), 1.0), full((3, 2), 1.0)),
        lambda: add(full((2, 3), 1.0), full((2,), 1.0)),
        lambda: add(full((2,), 1.0), "one"),
        lambda: add(full((2,), 1.0), None),
        lambda: multiply(full((2,), True), full((2,), True)),
        lambda: less(full((2,), 1j), full((2,), 1j)),
    ]
    lines = []
    for case in cases:
        with pytest.raises((ArgumentError, DTypeError, ValueError, TypeError)) as caught:
            case()
        lines.append(caught.value.message)
    golden("promotion", "\n\n".join(lines))

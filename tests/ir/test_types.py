"""Element types and tensor types: names, promotion against the Array API's rules, interning."""

import copy

import ml_dtypes
import numpy as np
import pytest

from thalweg.base.errors import DTypeError, ShapeError, ThalwegError
from thalweg.ir.dim import named
from thalweg.ir.parse import parse_type
from thalweg.ir.types import (
    COMPLEX,
    DTYPES,
    FLOATS,
    INEXACT,
    INTEGERS,
    SIGNED,
    UNSIGNED,
    Literal,
    as_dtype,
    bfloat16,
    bool_,
    by_short,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int32,
    int64,
    promote,
    promote_weak,
    shape_text,
    size_of,
    tensor_type,
    uint8,
    uint64,
)

b, t = named("b"), named("t")

# ---- element types -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_dtype_is_found_by_every_name_it_has(dtype):
    scalar = dtype.numpy.type
    for name in (dtype, dtype.name, dtype.short, dtype.numpy, scalar, np.dtype(scalar)):
        assert as_dtype(name) is dtype
        assert dtype == name
    assert by_short[dtype.short] is dtype
    assert copy.deepcopy(dtype) is dtype
    assert dtype.itemsize == np.zeros((), dtype.numpy).nbytes
    assert dtype.bits == 8 * dtype.itemsize
    assert f"{dtype}" == dtype.name and repr(dtype) == f"thalweg.{dtype.name}"


def test_python_types_have_the_default_element_types():
    found = [as_dtype(kind) for kind in (bool, int, float, complex)]
    assert found == [bool_, int64, float32, complex64]


def test_numpys_other_names_for_a_type_are_known():
    assert as_dtype(np.longlong) is int64 and as_dtype("float32") is float32
    assert as_dtype(np.intc) is int32 and as_dtype(np.dtype("bool")) is bool_
    assert as_dtype(ml_dtypes.bfloat16) is bfloat16


NO_DTYPES = (
    "f33",
    "float",
    "",
    None,
    1,
    str,
    object,
    np.floating,
    np.dtype(">f4"),
    np.dtype("U3"),
    np.dtype("datetime64[s]"),
    ml_dtypes.float8_e4m3fn,
    np.zeros(2),
    [("x", "f4")],
    {"f": 1},
)


@pytest.mark.parametrize("value", NO_DTYPES, ids=repr)
def test_what_is_no_element_type_is_refused(value):
    with pytest.raises(DTypeError, match="wants one of bool, int8"):
        as_dtype(value)
    if value is not None:
        assert all(dtype != value for dtype in DTYPES)


def test_a_dtype_is_unequal_to_the_rest():
    assert float32 != float64 and float32 != "float64" and float32 != None  # noqa: E711
    assert len({float32, float64, float32}) == 2


def test_kinds():
    kinds = {dtype.name: dtype.kind for dtype in DTYPES}
    assert kinds["bool"] == "bool" and kinds["bfloat16"] == "float"
    assert [dtype.is_inexact for dtype in (bool_, int8, uint8, float16, complex64)] == [
        False, False, False, True, True]  # fmt: skip
    assert all(dtype.is_float != dtype.is_complex for dtype in INEXACT)
    assert all(dtype.is_integer and not dtype.is_inexact for dtype in INTEGERS)
    assert [dtype.real for dtype in (complex64, complex128, float16, int8)] == [
        float32, float64, float16, int8]  # fmt: skip


# ---- promotion -----------------------------------------------------------------------------------


def common(x, y):
    """The name of the common type of two, or a dash."""
    try:
        return promote(x, y).short
    except DTypeError:
        return "-"


def test_the_promotion_table(golden):
    header = " " * 5 + "".join(f"{dtype.short:5}" for dtype in DTYPES)
    rows = [f"{x.short:5}" + "".join(f"{common(x, y):5}" for y in DTYPES) for x in DTYPES]
    golden("promotion", "\n".join(line.rstrip() for line in (header, *rows)))


def test_promotion_is_a_lattice_where_it_is_defined():
    for x in DTYPES:
        assert promote(x) is x and promote(x, x) is x
        for y in DTYPES:
            assert common(x, y) == common(y, x)
            if common(x, y) == "-":
                continue
            top = promote(x, y)
            assert promote(x, top) is top and promote(y, top) is top, (
                "the common type is above both"
            )


def test_promotion_within_a_kind_is_the_standards():
    """The tables of the Array API: a kind's widest, unsigned with signed to the next wider."""
    for family in (SIGNED, UNSIGNED, (float32, float64), COMPLEX):
        for x in family:
            for y in family:
                assert promote(x, y) is max(x, y, key=lambda dtype: dtype.bits)
    for x in UNSIGNED:
        for y in SIGNED:
            if x is uint64:
                continue
            wanted = y if y.bits > x.bits else as_dtype(f"int{2 * x.bits}")
            assert promote(x, y) is wanted
    for x in (float32, float64):
        for y in COMPLEX:
            wide = 64 if float64 in (x, y.real) else 32
            assert promote(x, y).real.bits == wide


def test_promotion_agrees_with_numpy_where_both_are_defined():
    standard = [d for d in DTYPES if d not in (bfloat16, float16)]
    differ = set()
    for x in standard:
        for y in standard:
            theirs = np.promote_types(x.numpy, y.numpy)
            if common(x, y) == "-" or promote(x, y).numpy != theirs:
                differ.add(frozenset((x, y)))
    # The standard leaves integers with floats open; there the float is kept.
    assert all(
        any(dtype.is_integer for dtype in pair)
        and (any(dtype.is_inexact for dtype in pair) or uint64 in pair)
        for pair in differ
    )
    assert frozenset((int32, float32)) in differ


def test_sixteen_bit_floats():
    assert promote(float16, bfloat16) is float32
    assert promote(float16, int64) is float16 and promote(bfloat16, uint64) is bfloat16
    assert promote(bfloat16, complex64) is complex64


def test_several_types_promote_from_left_to_right():
    assert promote(int8, float16, bfloat16) is float32
    assert promote(bool_, uint8, int8, float64) is float64
    assert promote(bool_, bool_) is bool_


def test_what_has_no_common_type_is_refused(golden):
    for dtype in SIGNED:
        with pytest.raises(DTypeError) as caught:
            promote(uint64, dtype)
    golden("promotion_error", caught.value.message)


WEAK = [
    (bool_, (bool_, int64, float32, complex64)),
    (uint8, (uint8, uint8, float32, complex64)),
    (int64, (int64, int64, float32, complex64)),
    (float16, (float16, float16, float16, complex64)),
    (bfloat16, (bfloat16, bfloat16, bfloat16, complex64)),
    (float32, (float32, float32, float32, complex64)),
    (float64, (float64, float64, float64, complex128)),
    (complex64, (complex64,) * 4),
    (complex128, (complex128,) * 4),
]


@pytest.mark.parametrize(("dtype", "wanted"), WEAK, ids=lambda value: str(value))
def test_python_numbers_are_weak(dtype, wanted):
    found = tuple(promote_weak(dtype, kind) for kind in (bool, int, float, complex))
    assert found == wanted


def test_a_weak_number_never_narrows_and_never_changes_a_type_of_its_kind():
    for dtype in DTYPES:
        for kind, limit in ((bool, "bool"), (int, "int"), (float, "float"), (complex, "complex")):
            found = promote_weak(dtype, kind)
            order = ("bool", "uint", "int", "float", "complex")
            if order.index(dtype.kind) >= order.index("uint" if limit == "int" else limit):
                assert found is dtype
            else:
                assert found.kind == limit


# ---- tensor types --------------------------------------------------------------------------------


def test_equal_types_are_one_object():
    one = tensor_type(float32, (b, 3))
    assert one is tensor_type(float32, (named("b"), 3))
    assert one is parse_type("f32[b,3]")
    assert one is not tensor_type(float32, (b, 4)) and one is not tensor_type(float64, (b, 3))
    assert copy.deepcopy(one) is one


def test_any_kind_of_integer_is_taken_whatever_was_entered_before():
    first = tensor_type(float32, (np.int64(91827), True))
    assert first is tensor_type(float32, (91827, 1))
    assert [type(size) for size in first.shape] == [int, int]
    assert str(first) == "f32[91827,1]"


def test_a_type_tells_what_it_is():
    type = tensor_type(bfloat16, (b, 2, t + 1))
    assert str(type) == repr(type) == "bf16[b,2,t+1]"
    assert type.rank == 3 and not type.is_static
    assert type.size == 2 * b * t + 2 * b and type.bytes == 4 * b * t + 4 * b
    assert tensor_type(float32, ()).size == 1 and tensor_type(float32, (2, 0)).bytes == 0
    assert type.with_dtype(float32) is tensor_type(float32, type.shape)
    assert type.with_shape((2,)) is tensor_type(bfloat16, (2,))
    assert size_of((2, 3)) == 6 and shape_text((2 * b, 3)) == "[2*b,3]" and shape_text(()) == "[]"


def test_what_is_no_shape_is_refused(golden):
    texts = []
    for shape in ((-1,), (2, -3), ("b",), (2.5,), (None,), (1 - 2 * b,)):
        try:
            tensor_type(float32, shape)
        except ThalwegError as error:
            texts.append(error.message)
        else:
            texts.append(f"{shape} is taken")
    golden("shape_errors", "\n\n".join(texts))


# ---- literals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_literal_gives_back_its_array(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype.numpy)
    value = Literal.from_numpy(array)
    assert value.dtype is dtype and value.shape == (2, 3) and not value.is_scalar
    np.testing.assert_array_equal(value.numpy(), array)
    assert value == Literal.from_numpy(array.T.copy().T), "the order in memory does not count"
    assert hash(value) == hash(Literal.from_numpy(array.copy()))
    one = Literal.from_numpy(array[1, 1])
    assert one.is_scalar and one.scalar() == array[1, 1].item()
    assert type(one.scalar()) in (bool, int, float, complex)
    empty = Literal.from_numpy(array[:, :0])
    assert empty.numpy().shape == (2, 0) and empty.numpy().dtype == dtype.numpy


def test_a_literal_is_cast_when_a_type_is_given():
    assert Literal.from_numpy(1, float16) == Literal.from_numpy(np.float16(1))
    assert Literal.from_numpy(0.1, float32).scalar() == float(np.float32(0.1))
    with pytest.raises(OverflowError):
        Literal.from_numpy(-1, uint8)
    with pytest.raises(DTypeError):
        Literal.from_numpy(np.array(["text"]))
    with pytest.raises(DTypeError):
        Literal.from_numpy(np.arange(3, dtype=">i4"))


def test_parse_type_refuses_the_rest():
    for text in ("f33[2]", "f32[2", "f32[2] x", "f32[-1]", "f32[a b]", ""):
        with pytest.raises((ShapeError, ThalwegError), match=r"\[parse\]"):
            parse_type(text)


def test_floats_and_complex_are_the_inexact_types():
    assert INEXACT == FLOATS + COMPLEX

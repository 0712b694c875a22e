"""Element types: limits against NumPy and ml_dtypes, kinds, casting, and the inspection chapter."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest

from thalweg.array import data_types
from thalweg.array.creation import asarray, full
from thalweg.array.data_types import (
    KINDS,
    astype,
    can_cast,
    finfo,
    iinfo,
    isdtype,
    result_type,
)
from thalweg.array.inspection import __array_namespace_info__ as namespace_info
from thalweg.base.errors import ThalwegError
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable
from thalweg.ir.types import COMPLEX, DTYPES, FLOATS, INTEGERS, REAL, promote


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_finfo(dtype):
    known = ml_dtypes.finfo(dtype.numpy)
    found = finfo(dtype)
    for name in ("bits", "eps", "max", "min", "smallest_normal"):
        assert getattr(found, name) == float(getattr(known, name))
        assert type(getattr(found, name)) is (int if name == "bits" else float)
    assert found.dtype is dtype
    assert finfo(dtype.name) == finfo(dtype.numpy) == finfo(full((2,), 1, dtype=dtype)) == found
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.eps = 1.0


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_finfo_of_complex_types_is_that_of_their_parts(dtype):
    assert finfo(dtype) == finfo(dtype.real)
    assert finfo(dtype).bits == dtype.bits // 2


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_iinfo(dtype):
    known, found = np.iinfo(dtype.numpy), iinfo(dtype)
    assert (found.bits, found.max, found.min) == (known.bits, known.max, known.min)
    assert type(found.max) is type(found.min) is int
    assert found.dtype is dtype
    assert iinfo(np.zeros(2, dtype.numpy)) == iinfo(Variable(full((), 1, dtype=dtype))) == found


def test_the_names_are_handed_on():
    for dtype in DTYPES:
        name = "bool_" if dtype.name == "bool" else dtype.name
        assert getattr(data_types, name) is dtype
        assert name in data_types.__all__
    for name in data_types.__all__:
        assert hasattr(data_types, name)


@pytest.mark.parametrize("kind", KINDS)
def test_isdtype_against_numpy(kind):
    for dtype in DTYPES:
        if dtype.name == "bfloat16":
            assert isdtype(dtype, kind) == (kind in ("real floating", "numeric"))
        else:
            assert isdtype(dtype, kind) == np.isdtype(dtype.numpy, kind)


def test_isdtype_of_types_and_tuples():
    assert isdtype("int8", "int8")
    assert isdtype("int8", np.int8)
    assert not isdtype("int8", "int16")
    assert isdtype("int8", ("bool", "integral"))
    assert isdtype("bool", ("integral", "bool"))
    assert not isdtype("float16", ("bool", "integral", "float32"))
    assert not isdtype("float16", ())


def test_can_cast_follows_promotion():
    for a in DTYPES:
        for b in DTYPES:
            try:
                leads = promote(a, b) is b
            except ThalwegError:
                leads = False
            assert can_cast(a, b) == leads
            assert can_cast(full((2,), 1, dtype=a), b) == leads
    assert can_cast("int8", "int16") and not can_cast("int16", "int8")
    assert not can_cast("uint64", "int64")
    # What the standard and NumPy agree on: within a kind, and from unsigned to signed.
    for kind in (INTEGERS, (*FLOATS[2:], *COMPLEX)):
        for a in kind:
            for b in kind:
                if a.kind == b.kind or (a.kind, b.kind) == ("uint", "int"):
                    assert can_cast(a, b) == np.can_cast(a.numpy, b.numpy)


def test_result_type():
    assert result_type("int8", np.zeros(2, "uint8"), full((), 1, dtype="int16")) == "int16"
    assert result_type(full((), 1, dtype="float16"), 2.0, 3) == "float16"
    assert result_type(1, 2.0) == "float32"
    assert result_type(np.float64(1.0), "float32") == "float64"
    assert result_type(Variable([1.0]), "bfloat16") == "float32"


# astype -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", DTYPES, ids=str)
@pytest.mark.parametrize("target", DTYPES, ids=str)
def test_astype(source, target):
    x = np.array([0, 1, 1], source.numpy)
    if source.is_complex and target in REAL:
        with pytest.raises(ThalwegError, match="Take real"):
            astype(asarray(x), target)
        return
    found = astype(asarray(x), target)
    assert found.dtype is target
    np.testing.assert_array_equal(found.numpy(), x.astype(target.numpy))


def test_astype_of_what_does_not_fit():
    x = asarray([1.9, -1.9, 300.0, -300.0, float("nan"), float("inf")])
    assert astype(x, "int8").tolist() == [1, -1, 127, -128, 0, 127]
    assert astype(x, "uint8").tolist() == [1, 0, 255, 0, 0, 255]
    assert astype(x, "bool").tolist() == [True] * 6
    assert astype(asarray([300, -1]), "uint8").tolist() == [44, 255]


def test_astype_to_the_same_type_is_the_same_tensor():
    x = asarray([1.0, 2.0])
    assert astype(x, "float32") is x
    assert astype(x, "float32", copy=False) is x


def test_astype_of_numbers_and_arrays():
    assert astype(0.1, "float64").item() == 0.1
    assert astype([1, 2], "float16").dtype == "float16"
    assert astype(np.arange(3), "int8").tolist() == [0, 1, 2]
    # A traced number keeps its double precision until it has a type.
    assert function(lambda n: astype(n, "float64"))(0.1).item() == 0.1


def test_complex_numbers_turn_into_truth_values():
    assert astype(asarray([0j, 1j]), "bool").tolist() == [False, True]


# Inspection ---------------------------------------------------------------------------------------


def test_inspection():
    info = namespace_info()
    assert set(info.capabilities()) == {
        "boolean indexing",
        "data-dependent shapes",
        "max dimensions",
    }
    assert info.default_device() in info.devices()
    assert info.default_dtypes() == {
        "real floating": data_types.float32,
        "complex floating": data_types.complex64,
        "integral": data_types.int64,
        "indexing": data_types.int64,
    }
    assert info.default_dtypes(device="cpu") == info.default_dtypes()


def test_inspection_of_element_types_is_numpys():
    info, known = namespace_info(), np.__array_namespace_info__()
    kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating",
             "complex floating", "numeric", ("bool", "real floating"), None]  # fmt: skip
    for kind in kinds:
        found = info.dtypes(kind=kind)
        assert {name: dtype.numpy for name, dtype in found.items()} == known.dtypes(kind=kind)


def test_the_limit_on_axes_is_the_true_one():
    most = namespace_info().capabilities()["max dimensions"]
    assert full((1,) * most, 1.0).numpy().ndim == most
    with pytest.raises(ValueError, match="maximum supported dimension"):
        np.zeros((1,) * (most + 1))


def test_messages(golden):
    cases = [
        lambda: finfo("int8"),
        lambda: iinfo("float32"),
        lambda: finfo("float8"),
        lambda: isdtype("int8", "whole"),
        lambda: isdtype("whole", "integral"),
        lambda: result_type(),
        lambda: result_type("int64", "uint64"),
        lambda: astype(full((2,), 1j), "float32"),
        lambda: astype(full((2,), 1.0), "float32", device="gpu"),
        lambda: namespace_info().dtypes(kind="whole"),
        lambda: namespace_info().default_dtypes(device="gpu"),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("data_types", "\n\n".join(lines))

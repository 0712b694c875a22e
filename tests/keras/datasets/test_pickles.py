"""Files of data sets hold arrays and lists of numbers; whatever else is in them is refused."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from thalweg.keras.datasets.pickles import read_npz, read_pickle


class Gadget:
    """An object whose pickle calls a function when it is read."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def saved_npz(path, **members):
    """An `.npz` file whose members are arrays or raw bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            if not isinstance(value, bytes):
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, value, allow_pickle=True)
                value = buffer.getvalue()
            archive.writestr(f"{name}.npy", value)
    return path


def object_npy(pickled):
    """An `.npy` file that claims to hold objects, with this pickle in it."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.empty(1, dtype=object), allow_pickle=True)
    head = buffer.getvalue()
    return head[: head.index(b"\n") + 1] + pickled


PLAIN = st.one_of(
    arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, max_side=4, min_side=0))
    for dtype in ("uint8", "<i8", ">i4", "float32", "<f8", "bool", "<U3")
)


@given(array=PLAIN, fortran=st.booleans())
def test_plain_arrays_come_back(tmp_path_factory, array, fortran):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    saved_npz(path, a=np.asfortranarray(array) if fortran else array)
    (found,) = read_npz(path, ["a"])
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


@given(st.lists(st.lists(st.integers(0, 2**40), max_size=4), min_size=1, max_size=5))
def test_ragged_arrays_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    array = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        array[i] = row
    saved_npz(path, a=array)
    (found,) = read_npz(path, ["a"])
    assert found.tolist() == rows


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_dictionary_of_arrays_comes_back(tmp_path, protocol):
    path = tmp_path / "batch"
    array = np.arange(12, dtype=">u2").reshape(3, 4)
    value = {b"data": array, "turned": array.T, b"labels": [1, 2], b"name": b"x"}
    path.write_bytes(pickle.dumps(value, protocol))
    found = read_pickle(path)
    assert found["labels"] == [1, 2]
    assert found["name"] == b"x"
    np.testing.assert_array_equal(found["data"], array)
    np.testing.assert_array_equal(found["turned"], array.T)


def test_a_pickle_of_python_2(tmp_path):
    # {'labels': [3], 'data': array([[1, 2]], dtype=uint8)} as Python 2.7 and NumPy 1.x wrote it.
    pickled = (
        b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03K\x03aU\x04dataq\x04cnumpy.core.multiarray\n"
        b"_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x01K\x02\x86"
        b"cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\t(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff"
        b"\xff\xffK\x00tb\x89U\x02\x01\x02tbu."
    )
    path = tmp_path / "batch"
    path.write_bytes(pickled)
    found = read_pickle(path)
    assert found["labels"] == [3]
    assert found["data"].dtype == np.uint8
    assert found["data"].tolist() == [[1, 2]]


HOSTILE = [
    Gadget(os.system, "touch proof"),
    Gadget(eval, "open('proof', 'w')"),
    Gadget(exec, "open('proof', 'w')"),
    Gadget(open, "proof", "w"),
    Gadget(np.load, "proof.npy"),
    Gadget(np.memmap, "proof", "uint8", "w+", 0, (4,)),
    slice(1, 2),
    1j,
]


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_code_in_a_file_never_runs(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    rows = np.empty(1, dtype=object)
    rows[0] = payload
    for value in (rows, payload):
        path = saved_npz(tmp_path / "a.npz", a=object_npy(pickle.dumps(value)))
        with pytest.raises(ValueError, match="Do not trust this file"):
            read_npz(path, ["a"])
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": payload}))
    with pytest.raises(ValueError, match="could run code"):
        read_pickle(tmp_path / "batch")
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"cnumpy\nndarray\n.",  # a name and nothing else
        b"cnumpy\ndtype\nN}(U\x08__call__U\x01xs\x86b.",  # a change of a stand-in
        b"cnumpy.core.multiarray\n_reconstruct\n)R.",  # an array that was never filled
        b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x01tb.",  # or only half
        b"\x80\x04\x82\x01.",  # an extension code
        b"Pabc\n.",  # a reference
        b"",
        b"\x80\x04]",
        b"(" * 5000,
    ],
)
def test_odd_pickles_are_refused(tmp_path, pickled):
    with pytest.raises(ValueError, match=r"arrays of numbers in a\.npz"):
        read_npz(saved_npz(tmp_path / "a.npz", a=object_npy(pickled)), ["a"])
    (tmp_path / "batch").write_bytes(pickled)
    with pytest.raises(ValueError, match="arrays of numbers in batch"):
        read_pickle(tmp_path / "batch")


@pytest.mark.parametrize(
    "items",
    [[[1.5]], [["a"]], [(1, 2)], [{1, 2}], [{1: 2}], [None], [[True]], [[[1]]], [np.arange(3)]],
)
def test_objects_that_are_no_lists_of_integers(tmp_path, items):
    rows = np.empty(1, dtype=object)
    rows[0] = items[0]
    with pytest.raises(ValueError, match=r"in the place of a list|other things than integers"):
        read_npz(saved_npz(tmp_path / "a.npz", a=rows), ["a"])


def head_only(shape, dtype="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return buffer.getvalue()


def test_sizes_are_checked_before_memory_is_taken(tmp_path):
    for shape in ((2**40,), (2**20, 2**20, 2**20), (3,)):
        path = saved_npz(tmp_path / "a.npz", a=head_only(shape) + b"ab")
        with pytest.raises(ValueError, match="bytes for"):
            read_npz(path, ["a"])
    for shape in ((-1,), (True,)):
        with pytest.raises(ValueError, match="arrays of numbers"):
            read_npz(saved_npz(tmp_path / "a.npz", a=head_only(shape)), ["a"])
    with pytest.raises(ValueError, match="arrays of numbers"):
        read_npz(saved_npz(tmp_path / "a.npz", a=head_only((1,), "<M8[s]") + b"12345678"), ["a"])


def test_files_that_are_cut_or_lack_an_array(tmp_path):
    path = saved_npz(tmp_path / "a.npz", a=np.arange(1000))
    with pytest.raises(ValueError, match="KeyError"):
        read_npz(path, ["b"])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="BadZipFile"):
        read_npz(path, ["a"])
    (tmp_path / "batch").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="list in the place of a dictionary"):
        read_pickle(tmp_path / "batch")

"""Labels as rows, vectors of length one, and padded sequences, against real Keras."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.keras import preprocessing, utils

LABELS = arrays.arrays(
    "int64", arrays.array_shapes(min_dims=0, max_dims=3, max_side=4), elements=st.integers(0, 5)
)


@given(LABELS, st.sampled_from([None, 6, 9]))
def test_to_categorical(labels, num_classes):
    ours = utils.to_categorical(labels, num_classes)
    theirs = real.utils.to_categorical(labels, num_classes)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)
    tensor = utils.to_categorical(tw.asarray(labels), num_classes)
    assert tensor.dtype.name == "float32"
    np.testing.assert_array_equal(tensor.numpy(), theirs)


def test_to_categorical_of_lists_and_floats():
    np.testing.assert_array_equal(utils.to_categorical([0, 2]), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(utils.to_categorical([1.7, 0.2], 2), [[0, 1], [1, 0]])
    assert utils.to_categorical(np.zeros(0), 3).shape == (0, 3)
    assert utils.to_categorical(tw.asarray([1.0, 0.0]), 2).numpy().tolist() == [[0, 1], [1, 0]]


def test_a_label_out_of_range_in_a_tensor_is_a_row_of_zeros():
    row = utils.to_categorical(tw.asarray([0, 7]), 3).numpy()[1]
    np.testing.assert_array_equal(row, [0, 0, 0])


@pytest.mark.parametrize(
    ("labels", "num_classes", "kind", "message"),
    [
        ([0, 5], 3, IndexError, "labels from 0 to 2.*\n.*the label 5.*\n.*num_classes=6"),
        ([-1, 1], 3, IndexError, "the label -1, which is out of bounds for 3 classes"),
        ([], None, ValueError, "`num_classes` or a label"),
        (["cat"], 3, ValueError, r"labels that are integers.*\n.*'cat'"),
    ],
)
def test_labels_that_cannot_be_rows(labels, num_classes, kind, message):
    with pytest.raises(kind, match=message):
        utils.to_categorical(labels, num_classes)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [0, -1, 1])
def test_normalize(order, axis):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    x[1] = 0
    ours = utils.normalize(x, axis, order)
    assert isinstance(ours, np.ndarray)
    # Real Keras takes axis 0 of an array for the last one.
    theirs = real.utils.normalize(x.T, -1, order).T if axis == 0 else None
    theirs = real.utils.normalize(x, axis, order) if theirs is None else theirs
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    ours = utils.normalize(tw.asarray(x), axis, order)
    theirs = real.utils.normalize(real.ops.array(x), axis, order)
    np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), rtol=1e-5, atol=1e-7)


def test_normalize_odd_input():
    for order in (0, 1.5, math.inf):
        x = np.array([[3.0, 4.0]])
        np.testing.assert_allclose(
            utils.normalize(x, order=order), real.utils.normalize(x, order=order)
        )
        with pytest.raises(ValueError, match="`order` to be an int >= 1"):
            utils.normalize(tw.asarray(x), order=order)
    with pytest.raises(ValueError, match="`order` to be a number"):
        utils.normalize(x, order="x")
    np.testing.assert_array_equal(utils.normalize(np.array([3, 4])), [[0.6, 0.8]])
    np.testing.assert_allclose(utils.normalize([3.0, 4.0]).numpy(), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(utils.normalize(tw.asarray([3, 4])).numpy(), [0.6, 0.8], rtol=1e-6)
    assert float(utils.normalize(5.0)) == 1


def test_normalize_has_a_gradient_at_zero():
    slope = tw.grad(lambda x: tw.sum(utils.normalize(x)))(tw.zeros((2,)))
    assert np.isfinite(slope.numpy()).all()


ROWS = st.one_of(
    st.lists(st.lists(st.integers(-5, 5), max_size=4), min_size=1, max_size=4),
    st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(list), max_size=3),
        min_size=1,
        max_size=3,
    ),
)


@given(
    rows=ROWS,
    maxlen=st.sampled_from([None, 1, 2, 6]),
    dtype=st.sampled_from(["int32", "float32"]),
    padding=st.sampled_from(["pre", "post"]),
    truncating=st.sampled_from(["pre", "post"]),
    value=st.sampled_from([0.0, -1]),
)
def test_pad_sequences(rows, maxlen, dtype, padding, truncating, value):
    given_arguments = rows, maxlen, dtype, padding, truncating, value
    ours = utils.pad_sequences(*given_arguments)
    theirs = real.utils.pad_sequences(*given_arguments)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_pad_sequences_of_strings():
    rows = [["a"], ["b", "c"]]
    for dtype in (object, "<U3"):
        found = preprocessing.sequence.pad_sequences(rows, dtype=dtype, value="pad")
        assert found.tolist() == [["pad", "a"], ["b", "c"]]


def test_pad_sequences_edges():
    assert utils.pad_sequences([]).shape == (0, 0)
    assert utils.pad_sequences([[], []]).shape == (2, 0)
    assert utils.pad_sequences([[1, 2]], maxlen=0).shape == (1, 0)
    assert utils.pad_sequences([np.array([1, 2]), (3,)]).tolist() == [[1, 2], [0, 3]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2],), "Found non-iterable: 1(.|\n)*pad_sequences\\(\\[sequence\\]\\)"),
        ((iter([[1]]),), r"`sequences` must be iterable(.|\n)*list\(sequences\)"),
        (([[1]], None, "int32", "left"), 'Padding type "left" not understood'),
        (([[1]], None, "int32", "pre", "left"), 'Truncating type "left" not understood'),
        (([[1]], None, "int32", "pre", "pre", "x"), "`dtype` int32 is not compatible with `value`"),
        (
            ([[[1, 2]], [[1, 2, 3]]],),
            r"\(3,\) of sequence at position 1 is different from .*\(2,\)",
        ),
    ],
)
def test_pad_sequences_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        utils.pad_sequences(*arguments)

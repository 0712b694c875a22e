"""Arrays of every kind in batches, beside real Keras where that is told the same."""

import collections
import tracemalloc

import numpy as np
import pytest

import thalweg as tw
from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError
from thalweg.keras import settings, tree
from thalweg.keras.trainers.adapters import (
    ArrayDataAdapter,
    class_weight_to_sample_weights,
    get_data_adapter,
    train_validation_split,
)
from thalweg.keras.variable import Variable

ROWS = np.arange(34, dtype="float32")
DENSE = np.repeat(ROWS[:, None], 4, axis=1)


def torch_tensor(x):
    return pytest.importorskip("torch").as_tensor(x).requires_grad_()


def jax_array(x):
    return pytest.importorskip("jax").numpy.array(x)


def jax_sparse(x):
    return pytest.importorskip("jax.experimental.sparse").BCOO.fromdense(x)


def coordinates(x):
    return pytest.importorskip("scipy.sparse").coo_matrix(x)


def frame(x):
    return pytest.importorskip("pandas").DataFrame(x)


def series(x):
    return pytest.importorskip("pandas").Series(x[:, 0])


def on_disk(x):
    path = on_disk.folder / f"{x.dtype}.npy"
    np.save(path, x)
    return np.load(path, mmap_mode="r")


KINDS = {
    "numpy": lambda x: x,
    "tensor": tw.asarray,
    "variable": lambda x: tw.Variable(tw.asarray(x)),
    "keras variable": lambda x: Variable(x, dtype=x.dtype.name),
    "torch": torch_tensor,
    "jax": jax_array,
    "jax sparse": jax_sparse,
    "scipy sparse": coordinates,
    "frame": frame,
    "series": series,
    "on disk": on_disk,
}


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    on_disk.folder = tmp_path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("shuffle", [False, "batch", True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_array(kind, dtype, shuffle):
    x = KINDS[kind](DENSE.astype(dtype))
    y = np.stack([ROWS, ROWS], axis=1).astype("int32")
    adapter = ArrayDataAdapter(x, y, batch_size=16, shuffle=shuffle)
    assert adapter.num_batches == 3
    assert adapter.batch_size == 16
    assert adapter.has_partial_batch and adapter.partial_batch_size == 2
    orders = []
    for _ in range(2):
        order = []
        for index, (bx, by) in enumerate(adapter.get_numpy_iterator()):
            count = 16 if index < 2 else 2
            assert type(bx) is type(by) is np.ndarray
            assert bx.shape == (count, 1 if kind == "series" else 4) and by.shape == (count, 2)
            assert (bx.dtype, by.dtype) == (np.float32, np.int32)
            assert np.array_equal(bx[:, 0], by[:, 0]) and np.array_equal(bx[:, -1], by[:, 0])
            if shuffle == "batch":
                assert sorted(by[:, 0]) == list(range(16 * index, 16 * index + count))
            order += by[:, 0].tolist()
        orders.append(order)
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(34))
    if shuffle:
        assert orders[0] != orders[1] and list(range(34)) not in orders
    else:
        assert orders[0] == orders[1] == list(range(34))


def test_slices_are_views_and_nothing_is_copied():
    adapter = ArrayDataAdapter(DENSE, batch_size=16)
    for batch in adapter.get_numpy_iterator():
        assert np.shares_memory(batch, DENSE)


def test_floats_come_in_keras_float_type():
    half = np.ones((4, 2), "float16")
    bfloat = tw.ones((4, 2), dtype="bfloat16")
    assert [b.dtype for b in ArrayDataAdapter([half, bfloat]).peek()[0]] == [np.float32] * 2
    whole = {"i": np.ones(4, "int64"), "b": np.ones(4, bool), "s": np.array(list("abcd"))}
    found = ArrayDataAdapter(whole).peek()
    assert {name: each.dtype for name, each in found.items()} == {
        name: each.dtype for name, each in whole.items()
    }
    settings.set_floatx("float64")
    try:
        assert ArrayDataAdapter(half).peek().dtype == np.float64
    finally:
        settings.set_floatx("float32")


def test_frames_of_mixed_columns():
    pandas = pytest.importorskip("pandas")
    columns = {"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]}
    batch = ArrayDataAdapter(pandas.DataFrame(columns)).peek()
    assert batch.dtype == np.float32 and batch.tolist() == [[1.0, 0.5, 1.0], [2.0, 1.5, 0.0]]
    by_name = ArrayDataAdapter(dict(pandas.DataFrame(columns))).peek()
    assert {name: each.shape for name, each in by_name.items()} == dict.fromkeys("abc", (2, 1))


def test_sparse_coordinates_that_come_twice_are_added():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.coo_matrix(([1.0, 2.0, 3.0], ([1, 1, 0], [2, 2, 0])), shape=(3, 4))
    assert np.array_equal(ArrayDataAdapter(matrix).peek(), matrix.toarray())


@pytest.mark.parametrize(
    ("x", "y", "weight", "expected"),
    [
        (DENSE, None, None, "array"),
        ([DENSE], None, None, ("list",)),
        ((DENSE, DENSE), None, None, ("tuple",)),
        ({"a": DENSE}, None, None, "dict"),
        (DENSE, ROWS, None, ("array", "array")),
        (DENSE, ROWS, ROWS, ("array", "array", "array")),
        ({"b": None, "a": DENSE}, [ROWS, ROWS], None, ("dict", "list")),
    ],
)
def test_forms_of_batches(x, y, weight, expected):
    names = {np.ndarray: "array", list: "list", tuple: "tuple", dict: "dict"}
    batch = ArrayDataAdapter(x, y, weight).peek()
    if isinstance(batch, tuple):
        assert tuple(names[type(part)] for part in batch) == expected
    else:
        assert names[type(batch)] == expected
    if isinstance(x, dict) and "b" in x:
        assert next(iter(batch[0].items())) == ("b", None)


def test_nests_of_every_kind_come_back():
    point = collections.namedtuple("point", ["x", "y"])
    nests = [
        {"b": ROWS, "a": [DENSE, (ROWS + 1, None)], "c": {}},
        (point(ROWS, DENSE), collections.OrderedDict(b=ROWS + 2, a=ROWS)),
        [[ROWS], [[DENSE]]],
    ]
    for nest in nests:
        batch = ArrayDataAdapter(nest, batch_size=34).peek()
        batch = batch[0] if type(nest) in (list, tuple) else batch
        tree.assert_same_structure(batch, nest)
        pairs = zip(tree.flatten(batch), tree.flatten(nest), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs if b is not None)
        assert type(nest) is not dict or list(batch) == list(nest)


def test_arrays_with_gaps_are_not_copied_whole():
    wide = np.zeros((20_000, 64), "float32")
    thin = ArrayDataAdapter(wide[:, :2], batch_size=10, shuffle=True)
    tracemalloc.start()
    thin.peek()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * 20_000 * 8  # the order; a copy of the columns would be as large again


def test_one_weight_for_all_outputs_or_one_for_each():
    y = {"p": ROWS, "q": (ROWS, ROWS)}
    _, _, weight = ArrayDataAdapter(DENSE, y, ROWS, batch_size=5).peek()
    assert list(weight) == ["p", "q"] and weight["p"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    _, _, weight = ArrayDataAdapter(DENSE, y, {"p": ROWS, "q": (ROWS, ROWS * 2)}).peek()
    assert weight["q"][1][3] == 6.0


def test_steps_make_the_batch_size():
    assert ArrayDataAdapter(DENSE, steps=4).batch_size == 9
    assert ArrayDataAdapter(DENSE, batch_size=5, steps=4).batch_size == 5
    assert ArrayDataAdapter(DENSE).batch_size == 32
    even = ArrayDataAdapter(DENSE, batch_size=17)
    assert not even.has_partial_batch and even.partial_batch_size is None


def test_orders_are_a_function_of_numpys_seed_and_the_epoch():
    def orders(start):
        np.random.seed(3)
        adapter = ArrayDataAdapter(ROWS, batch_size=8, shuffle=True)
        adapter.epoch = start
        return [np.concatenate(list(adapter.get_numpy_iterator())).tolist() for _ in range(3)]

    first = orders(0)
    assert orders(0) == first
    assert orders(2)[0] == first[2]
    adapter = ArrayDataAdapter(ROWS, batch_size=8, shuffle=True)
    whole = list(adapter.iterate(5))
    assert all(map(np.array_equal, adapter.iterate(5, 2), whole[2:]))
    before = adapter.epoch
    assert np.array_equal(adapter.peek(), next(adapter.iterate(before))) and adapter.epoch == before


# ---- weights of classes --------------------------------------------------------------------------

LABELS = [
    np.array([0, 1, 0, 2]),
    np.array([[0], [1], [0], [2]], "float32"),
    np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    tw.asarray([0, 1, 0, 2]),
    [0.2, 0.9, 0.1, 2.2],
]


@pytest.mark.parametrize("labels", LABELS[:-1], ids=range(4))
@pytest.mark.parametrize("weights", [{0: 1.0, 1: 2.0, 2: 3.0}, {2: 3}, {}])
def test_weights_of_classes(labels, weights):
    expected = [weights.get(label, 1.0) for label in (0, 1, 0, 2)]
    found = class_weight_to_sample_weights(labels, weights)
    assert found.dtype == np.float32 and found.tolist() == expected
    _, _, weight = ArrayDataAdapter(np.zeros(4), labels, class_weight=weights).peek()
    assert weight.tolist() == expected


def test_weights_of_classes_round_labels():
    found = class_weight_to_sample_weights(np.array(LABELS[-1]), {0: 5.0, 1: 2.0, 2: 3.0})
    assert found.tolist() == [5.0, 2.0, 5.0, 3.0]


# ---- the split -----------------------------------------------------------------------------------


def test_the_last_part_is_for_validation():
    x = {"a": DENSE, "b": tw.asarray(DENSE)}
    (tx, ty, tw_), (vx, vy, vw) = train_validation_split((x, ROWS, None), 0.2)
    assert (len(tx["a"]), len(vx["a"]), tw_, vw) == (27, 7, None, None)
    assert np.shares_memory(tx["a"], DENSE)
    assert ty.tolist() == list(range(27)) and vy.tolist() == list(range(27, 34))
    assert isinstance(vx["b"], tw.Tensor) and vx["b"].shape == (7, 4)
    assert train_validation_split((None, None), 0.5) == ((None, None), (None, None))


@pytest.mark.parametrize("kind", ["frame", "series", "scipy sparse", "torch", "on disk"])
def test_the_split_of_other_kinds(kind):
    train, validation = train_validation_split(KINDS[kind](DENSE), 0.5)
    for half, start in ((train, 0), (validation, 17)):
        batch = ArrayDataAdapter(half, batch_size=17).peek()
        assert batch[:, 0].tolist() == list(range(start, start + 17))


# ---- refusals ------------------------------------------------------------------------------------

REFUSALS = {
    "no array": (
        lambda: ArrayDataAdapter("words"),
        "Expected all elements of `x` to be array-like",
    ),
    "no array in y": (lambda: ArrayDataAdapter(DENSE, "words"), "'words' of str in y"),
    "list of numbers": (lambda: get_data_adapter(DENSE, [1, 2]), r"numpy\.array\(x\)"),
    "lengths": (
        lambda: ArrayDataAdapter(DENSE, ROWS[:30]),
        r"x: 34; y: 30\. Data cardinality is ambiguous",
    ),
    "lengths within x": (lambda: ArrayDataAdapter([DENSE, DENSE[:3]]), "x: 34, 3"),
    "lengths of a split": (
        lambda: train_validation_split((DENSE, ROWS[:30], None), 0.5),
        "Data cardinality is ambiguous",
    ),
    "no samples": (lambda: ArrayDataAdapter(DENSE[:0]), "at least one sample"),
    "no axis": (lambda: ArrayDataAdapter(np.float32(3)), r"a single number, float32\[\]"),
    "nothing": (lambda: get_data_adapter(None), "x=None"),
    "batch size": (lambda: ArrayDataAdapter(DENSE, batch_size=0), "batch_size=0"),
    "batch size of another type": (lambda: ArrayDataAdapter(DENSE, batch_size=2.5), "2.5"),
    "shuffle": (lambda: ArrayDataAdapter(DENSE, shuffle="batches"), "'batches'"),
    "two weights": (
        lambda: ArrayDataAdapter(DENSE, ROWS, ROWS, class_weight={0: 1.0}),
        "You cannot `class_weight` and `sample_weight` at the same time",
    ),
    "classes of outputs": (
        lambda: ArrayDataAdapter(DENSE, (ROWS, ROWS), class_weight={0: 1.0}),
        "`class_weight` is only supported for Models with a single output",
    ),
    "classes of nothing": (lambda: ArrayDataAdapter(DENSE, class_weight={0: 1.0}), "y=None"),
    "classes of images": (
        lambda: ArrayDataAdapter(np.zeros((2, 3)), np.zeros((2, 3, 4)), class_weight={0: 1.0}),
        r"y of shape \(2, 3, 4\)",
    ),
    "weights of outputs": (
        lambda: ArrayDataAdapter(DENSE, (ROWS, ROWS), (ROWS,)),
        r"y \(\(34,\), \(34,\)\), sample_weight \(\(34,\),\)",
    ),
    "weights of elements": (
        lambda: ArrayDataAdapter(DENSE, (ROWS, ROWS), DENSE),
        r"shape \(34, 4\)[\s\S]*For a model with multiple outputs, when providing",
    ),
    "empty split": (lambda: train_validation_split(DENSE, 0.0), "which is not sufficient"),
    "split of a generator": (
        lambda: train_validation_split(((each for each in ROWS), None), 0.5),
        "is only supported for tensors or NumPy arrays",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    do, message = REFUSALS[name]
    with pytest.raises((ArgumentError, ShapeError), match=message):
        do()


def test_weights_that_are_no_dict():
    with pytest.raises(ArgumentTypeError, match=r"class_weight=\{0: 1.0, 1: 5.0\}"):
        class_weight_to_sample_weights(ROWS, [1.0, 2.0])

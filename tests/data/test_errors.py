"""What is refused, and that the message says what came and what to write."""

import numpy as np
import pytest

from thalweg.base.errors import ArgumentError, ArgumentTypeError, ShapeError, ThalwegError
from thalweg.data import Dataset, TensorSpec

x = np.zeros((4, 2), "float32")


def made(dataset):
    return list(dataset)


def ragged():
    return Dataset.range(1, 4).map(lambda n: np.zeros(n))


REFUSALS = {
    "lengths": (
        lambda: Dataset.from_tensor_slices({"x": x, "y": np.zeros(3)}),
        ShapeError,
        ["equal length", "{'x': f32[4,2], 'y': f64[3]}", "x[:n]"],
    ),
    "no axis": (lambda: Dataset.from_tensor_slices((x, 3)), ShapeError, ["i64[]", "from_tensors"]),
    "nothing": (lambda: Dataset.from_tensor_slices(()), ArgumentError, ["at least one array"]),
    "ragged list": (
        lambda: Dataset.from_tensor_slices([[1], [2, 3]]),
        ArgumentError,
        ["ragged list, [[1], [2, 3]]", "padded_batch"],
    ),
    "no array": (
        lambda: Dataset.from_tensor_slices((x, {1, 2})),
        ArgumentTypeError,
        ["from_tensor_slices", "{1, 2} of set"],
    ),
    "batch size": (lambda: Dataset.range(3).batch(0), ArgumentError, ["1 or more", "batch_size=0"]),
    "batch size of another type": (
        lambda: Dataset.range(3).batch("3"),
        ArgumentError,
        ["a whole number", "batch_size='3'"],
    ),
    "buffer": (lambda: Dataset.range(3).shuffle(0), ArgumentError, ["buffer_size=0"]),
    "true is no number": (lambda: Dataset.range(3).take(True), ArgumentError, ["count=True"]),
    "calls": (
        lambda: Dataset.range(3).map(abs, 0),
        ArgumentError,
        ["num_parallel_calls=0"],
    ),
    "shard": (
        lambda: Dataset.range(3).shard(2, 2),
        ArgumentError,
        ["below num_shards=2", "index=2"],
    ),
    "window": (lambda: Dataset.range(3).window(2, shift=0), ArgumentError, ["shift=0"]),
    "no function": (lambda: Dataset.range(3).map(3), ArgumentTypeError, ["[Dataset.map]", "3"]),
    "no generator function": (
        lambda: Dataset.from_generator(iter([1])),
        ArgumentTypeError,
        ["Write lambda: values"],
    ),
    "no dataset": (
        lambda: made(Dataset.range(3).flat_map(lambda n: np.zeros(3))),
        ArgumentTypeError,
        ["[Dataset.flat_map]", "of ndarray", "from_tensor_slices"],
    ),
    "zip": (lambda: Dataset.zip(Dataset.range(3), x), ArgumentTypeError, ["a Dataset", "ndarray"]),
    "concatenate": (lambda: Dataset.range(3).concatenate([1]), ArgumentTypeError, ["[1] of list"]),
    "apply": (lambda: Dataset.range(3).apply(len), ArgumentTypeError, ["3 of int"]),
    "weights": (
        lambda: Dataset.sample_from_datasets([Dataset.range(3)], [0.5, 0.5]),
        ArgumentError,
        ["1 weights", "[0.5, 0.5]"],
    ),
    "choice": (
        lambda: made(Dataset.choose_from_datasets([Dataset.range(3)], Dataset.range(1, 3))),
        ArgumentError,
        ["from 0 to 0", "1"],
    ),
    "shapes in a batch": (
        lambda: made(ragged().batch(3)),
        ShapeError,
        ["equal shape", "(1,), (2,), (3,)", "padded_batch"],
    ),
    "structures in a batch": (
        lambda: made(Dataset.from_generator(lambda: iter([(1, 2), (1,)])).batch(2)),
        ArgumentError,
        ["(*, *)", "(*,)"],
    ),
    "objects in a batch": (
        lambda: made(Dataset.range(2).map(lambda n: object()).batch(2)),
        ArgumentTypeError,
        ["Dataset.batch", "of object"],
    ),
    "too long to pad": (
        lambda: made(ragged().padded_batch(3, [2])),
        ShapeError,
        ["at most 2 along axis 0", "an element with 3", "None"],
    ),
    "ranks to pad": (
        lambda: made(ragged().padded_batch(3, [2, 2])),
        ShapeError,
        ["rank of (2, 2)"],
    ),
    "structure of shapes": (
        lambda: made(Dataset.from_tensor_slices((x, x)).padded_batch(2, ([2],))),
        ArgumentError,
        ["padded_shapes", "(*, *)"],
    ),
    "unbatch": (
        lambda: made(Dataset.range(3).unbatch()),
        ShapeError,
        ["[Dataset.unbatch]", "i64[]"],
    ),
    "signature": (
        lambda: made(
            Dataset.from_generator(
                lambda: iter([np.zeros(2), np.zeros(3)]), output_signature=TensorSpec((2,))
            )
        ),
        ShapeError,
        ["f32[2]", "shape (3,) in element 1", "None"],
    ),
    "no element to look at": (
        lambda: Dataset.range(0).map(lambda n: n).element_spec,
        ArgumentError,
        ["an empty one"],
    ),
    "single": (lambda: Dataset.range(2).get_single_element(), ArgumentError, ["one with more"]),
    "files": (lambda: Dataset.list_files("/nowhere/*.x"), ArgumentError, ["/nowhere/*.x"]),
    "unique": (
        lambda: made(Dataset.from_tensor_slices(x).unique()),
        ShapeError,
        ["single numbers", "f32[2]"],
    ),
    "epoch": (lambda: Dataset.range(2).iterate(-1), ArgumentError, ["epoch=-1"]),
    "dtype": (lambda: TensorSpec((), "float33"), ArgumentTypeError, ["float33"]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    do, kind, fragments = REFUSALS[name]
    with pytest.raises(kind) as raised:
        do()
    assert isinstance(raised.value, ThalwegError)
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_sparse_matrices_are_told_what_to_write():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ArgumentTypeError, match=r"x\.toarray\(\)"):
        Dataset.from_tensor_slices(sparse.eye(3))


def test_errors_of_user_functions_say_which_element():
    pairs = Dataset.from_tensor_slices({"x": x, "y": np.arange(4)})
    with pytest.raises(KeyError) as raised:
        list(pairs.filter(lambda element: element["z"]))
    assert raised.value.__notes__ == ["in Dataset.filter, at element 0: {'x': f32[2], 'y': i64[]}"]

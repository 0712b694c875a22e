"""Elements kept in memory and in files, and runs that go on where they stopped."""

import json
import os
import struct

import numpy as np
import pytest

from thalweg.base.errors import ArgumentError, ArgumentTypeError
from thalweg.data import Dataset


def counted(elements):
    """A dataset of the elements, and a list that grows by one with each that is made."""
    made = []

    def make():
        for element in elements:
            made.append(element)
            yield element

    return Dataset.from_generator(make), made


def values(dataset):
    return [np.asarray(element).tolist() for element in dataset]


@pytest.fixture(params=["memory", "file"])
def place(request, tmp_path):
    """What to give to `cache`."""
    return "" if request.param == "memory" else str(tmp_path / "folder" / "kept")


def test_a_cache_makes_each_element_once(place):
    source, made = counted(range(5))
    dataset = source.cache(place)
    assert values(dataset) == values(dataset) == [0, 1, 2, 3, 4]
    assert len(made) == 5
    assert values(dataset.iterate(7, 3)) == [3, 4]


def test_a_pass_that_is_left_keeps_nothing(place):
    source, made = counted(range(5))
    dataset = source.cache(place)
    assert values(dataset.take(2)) == [0, 1]
    if place:
        assert os.listdir(os.path.dirname(place)) == []
    assert values(dataset) == [0, 1, 2, 3, 4]
    assert len(made) == 7


def test_a_cache_keeps_epoch_zero_and_a_shuffle_after_it_does_not(place):
    dataset = Dataset.range(30).shuffle(30, seed=1)
    cached = dataset.cache(place)
    first = values(dataset.iterate(0))
    assert values(cached.iterate(4)) == values(cached) == values(cached) == first
    mixed = cached.shuffle(30, seed=2)
    assert values(mixed) != values(mixed)


def test_two_passes_at_a_time(place):
    source, _ = counted(range(4))
    dataset = source.cache(place)
    assert [(int(a), int(b)) for a, b in zip(dataset, dataset, strict=True)] == [
        (i, i) for i in range(4)
    ]
    assert values(dataset) == [0, 1, 2, 3]


ELEMENTS = [
    {"x": np.arange(6, dtype=">i2").reshape(2, 3), "y": (np.float16(1.5), "word", True)},
    {"x": np.zeros((0, 3), "int16"), "y": (np.float16(-0.0), "é", False)},
]


def test_a_file_gives_back_types_shapes_and_nesting(tmp_path):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    elements = [(element, np.array([1, 2], bfloat16), b"\0raw") for element in ELEMENTS]
    path = str(tmp_path / "kept")
    first = list(Dataset.from_generator(lambda: iter(elements)).cache(path))
    again = list(Dataset.from_generator(lambda: 1 / 0).cache(path))
    for element, one, two in zip(elements, first, again, strict=True):
        for wanted, written, read in zip(
            [element[0]["x"], *element[0]["y"], *element[1:]],
            [one[0]["x"], *one[0]["y"], *one[1:]],
            [two[0]["x"], *two[0]["y"], *two[1:]],
            strict=True,
        ):
            array = np.asarray(wanted)
            for each in (written, read):
                assert each.dtype == array.dtype.newbyteorder("=") or each.dtype.kind in "US"
                assert each.shape == array.shape and each.tolist() == array.tolist()
    assert np.signbit(again[1][0]["y"][0])
    again[0][0]["x"][0, 0] = 9  # what was read is the user's own


def test_an_empty_file_is_no_missing_one(tmp_path):
    path = str(tmp_path / "kept")
    assert values(Dataset.range(0).map(lambda x: x).cache(path)) == []
    assert values(Dataset.from_generator(lambda: 1 / 0).cache(path)) == []


def test_what_a_file_cannot_hold_is_refused_and_leaves_nothing(tmp_path):
    for element, message in (
        (np.array(["a", None], object), "arrays of numbers or strings"),
        ({1: 2}, "strings as keys"),
        (frozenset(), "arrays, tensors, lists or numbers"),
    ):
        dataset = Dataset.from_generator(lambda element=element: iter([element]))
        with pytest.raises(ArgumentTypeError, match=message):
            list(dataset.cache(str(tmp_path / "kept")))
        assert os.listdir(tmp_path) == []


def test_an_error_while_writing_leaves_nothing(tmp_path):
    dataset = Dataset.range(5).map(lambda x: 1 // (3 - int(x))).cache(str(tmp_path / "kept"))
    with pytest.raises(ZeroDivisionError):
        list(dataset)
    assert os.listdir(tmp_path) == []


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "kept"
    dataset = Dataset.range(3).map(lambda x: (x, np.zeros(4))).cache(str(path))
    expected = [(int(x), y.tolist()) for x, y in dataset]
    whole = path.read_bytes()
    damaged = 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ArgumentError, match="Delete the file"):
            list(dataset)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        path.write_bytes(bytes(changed))
        try:
            assert [(int(x), y.tolist()) for x, y in dataset] != expected or place > len(whole) - 8
        except ArgumentError:
            damaged += 1
    assert damaged > 40


def test_a_hostile_size_takes_no_memory(tmp_path):
    path = tmp_path / "kept"
    header = json.dumps("*").encode()
    record = bytes([3]) + b"<f8" + bytes([2]) + struct.pack("<2Q", 1 << 40, 1 << 40)
    end = b"END\n" + struct.pack("<Q", 1)
    path.write_bytes(b"THALWEG CACHE 1\n" + struct.pack("<I", len(header)) + header + record + end)
    with pytest.raises(ArgumentError, match="larger than the file"):
        list(Dataset.range(1).cache(str(path)))


# ---- resuming ------------------------------------------------------------------------------------


def pipeline():
    x = np.arange(40)
    return (
        Dataset.from_tensor_slices((x, x * 2))
        .shuffle(16, seed=4)
        .map(lambda x, y: (x + 1, y), 2)
        .batch(3)
        .prefetch(2)
    )


def run(dataset):
    return [tuple(part.tolist() for part in batch) for batch in dataset]


def test_a_run_goes_on_where_it_stopped():
    dataset = pipeline()
    epochs = [run(dataset) for _ in range(4)]
    assert len({str(epoch) for epoch in epochs}) == 4

    stopped = pipeline()
    assert run(stopped) == epochs[0]
    iterator = iter(stopped)
    seen = [run([next(iterator)])[0] for _ in range(5)]
    state = json.loads(json.dumps(iterator.state))
    assert state == {"epoch": 1, "position": 5}

    resumed = pipeline()
    assert seen + run(resumed.resume(state)) == epochs[1]
    assert run(resumed) == epochs[2]
    assert run(resumed) == epochs[3]


def test_an_epoch_can_be_chosen():
    dataset = pipeline()
    third = run(dataset.iterate(epoch=2))
    dataset.epoch = 2
    assert run(dataset) == third
    assert dataset.epoch == 3
    assert run(dataset.iterate(2, 4)) == third[4:]


def test_elements_before_the_start_are_not_made():
    seen = []
    dataset = Dataset.range(100).shuffle(100, seed=1).map(lambda x: seen.append(x) or x).batch(10)
    assert len(list(dataset.iterate(0, 9))) == 1
    assert len(seen) == 10

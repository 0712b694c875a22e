"""Every step of a pipeline against what it says, and all of them against one another."""

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg.data import (
    AUTOTUNE,
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
    TensorSpec,
)

Point = collections.namedtuple("Point", ["x", "y"])


def plain(element):
    """An element with lists in place of arrays."""
    if isinstance(element, dict):
        return {key: plain(each) for key, each in element.items()}
    if isinstance(element, tuple):
        return (
            type(element)(*map(plain, element))
            if hasattr(element, "_fields")
            else tuple(map(plain, element))
        )
    if isinstance(element, Dataset):
        return listed(element)
    return element.tolist() if hasattr(element, "tolist") else element


def listed(dataset):
    return [plain(element) for element in dataset]


def chained(lists):
    return list(itertools.chain.from_iterable(lists))


def numbers(*args):
    return Dataset.range(*args)


def streamed(count):
    """The numbers below `count` from a generator: nothing is known about them in advance."""
    return Dataset.from_generator(lambda: iter(np.arange(count)))


# ---- sources -------------------------------------------------------------------------------------


def test_slices_of_nested_structures():
    x = np.arange(6, dtype="float32").reshape(3, 2)
    dataset = Dataset.from_tensor_slices(
        ({"a": x, "b": [1, 2, 3]}, Point(x[:, 0], ["u", "v", "w"]))
    )
    first = next(iter(dataset))
    assert plain(first) == ({"a": [0.0, 1.0], "b": 1}, Point(0.0, "u"))
    assert type(first[1]) is Point
    assert str(dataset.element_spec[0]["a"]) == "f32[2]"
    assert dataset.element_spec[1].y.dtype.kind == "U"
    assert len(dataset) == 3


def test_slices_take_default_types_from_python_numbers_only():
    assert next(iter(Dataset.from_tensor_slices([0.5, 1.5]))).dtype == np.float32
    assert next(iter(Dataset.from_tensor_slices([1, 2]))).dtype == np.int64
    assert next(iter(Dataset.from_tensor_slices(np.array([0.5])))).dtype == np.float64
    assert next(iter(Dataset.from_tensor_slices([np.float64(0.5)]))).dtype == np.float64


def test_slices_of_tensors_variables_and_bfloat16():
    dataset = Dataset.from_tensor_slices((tw.arange(4), tw.Variable(tw.ones((4, 2)))))
    assert plain(next(iter(dataset))) == (0, [1.0, 1.0])
    half = tw.asarray([1.0, 2.0, 3.0], dtype="bfloat16")
    batches = list(Dataset.from_tensor_slices(half).map(lambda x: x).batch(2))
    assert batches[0].dtype == tw.bfloat16.numpy and plain(batches[0]) == [1.0, 2.0]


def test_slices_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": ["x", "y"]})
    columns = Dataset.from_tensor_slices((dict(frame), frame["a"]))
    assert listed(columns) == [({"a": 1, "b": 0.5, "c": "x"}, 1), ({"a": 2, "b": 1.5, "c": "y"}, 2)]
    assert listed(Dataset.from_tensor_slices(frame[["a", "b"]])) == [[1.0, 0.5], [2.0, 1.5]]


def test_slices_of_torch_tensors():
    torch = pytest.importorskip("torch")
    x = torch.ones((3, 2), requires_grad=True)
    assert listed(Dataset.from_tensor_slices(x).batch(2)) == [[[1.0, 1.0]] * 2, [[1.0, 1.0]]]


def test_elements_cannot_change_the_users_arrays():
    x = np.zeros((4, 2))
    dataset = Dataset.from_tensor_slices(x)
    for element in (next(iter(dataset)), next(iter(dataset.batch(2)))):
        with pytest.raises(ValueError, match="read-only"):
            element += 1
    x[0] = 1  # the user's own array stays open


def test_one_element():
    dataset = Dataset.from_tensors((np.arange(3), [1.0, 2.0]))
    assert listed(dataset) == [([0, 1, 2], [1.0, 2.0])]
    assert plain(dataset.get_single_element()) == ([0, 1, 2], [1.0, 2.0])
    assert len(dataset) == 1


def test_generators_start_anew_and_take_arguments():
    def count(start, stop):
        for number in range(start, stop):
            yield number, [number, -number]

    dataset = Dataset.from_generator(count, args=(2, 4))
    for _ in range(2):
        assert listed(dataset) == [(2, [2, -2]), (3, [3, -3])]
    assert dataset.cardinality() == UNKNOWN_CARDINALITY


def test_generators_with_a_signature_are_checked_and_cast():
    signature = (TensorSpec((None,), "int32"), TensorSpec((), tw.float64))
    dataset = Dataset.from_generator(
        lambda: iter([([1, 2], 3), [[4], 5]]), output_signature=signature
    )
    first, second = dataset
    assert first[0].dtype == np.int32 and first[1].dtype == np.float64
    assert plain(second) == ([4], 5.0)
    assert dataset.element_spec is signature
    old = Dataset.from_generator(lambda: iter([1, 2]), output_types="float32")
    assert listed(old) == [1.0, 2.0] and str(old.element_spec) == "f32[...]"
    shaped = Dataset.from_generator(lambda: iter([([1], 2)]), ("int32", "int32"), ([None], []))
    assert [str(spec) for spec in shaped.element_spec] == ["i32[?]", "i32[]"]


def test_ranges():
    assert listed(numbers(3)) == [0, 1, 2]
    assert listed(numbers(2, 9, 3)) == [2, 5, 8]
    assert listed(numbers(9, 2, -3).batch(2)) == [[9, 6], [3]]
    assert next(iter(Dataset.range(2, output_type="int32"))).dtype == np.int32
    huge = numbers(10**15).skip(10**15 - 3).batch(2)
    assert listed(huge) == [[10**15 - 3, 10**15 - 2], [10**15 - 1]]


def test_files(tmp_path):
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / name).write_text(name)
    dataset = Dataset.list_files(str(tmp_path / "*.txt"), shuffle=False)
    assert [path.rsplit("/")[-1] for path in listed(dataset)] == ["a.txt", "b.txt"]
    both = Dataset.list_files([str(tmp_path / "*.txt"), str(tmp_path / "*.csv")], seed=3)
    assert len(listed(both)) == 3


# ---- functions of elements -----------------------------------------------------------------------


def test_map_spreads_tuples_and_keeps_dicts():
    pairs = Dataset.from_tensor_slices((np.arange(3), np.arange(3) * 10))
    assert listed(pairs.map(lambda x, y: x + y)) == [0, 11, 22]
    assert listed(pairs.map(lambda x, y: {"sum": x + y, "list": [x, y]})) == [
        {"sum": 11 * i, "list": [i, 10 * i]} for i in range(3)
    ]
    dicts = Dataset.from_tensor_slices({"a": np.arange(2)})
    assert listed(dicts.map(lambda element: element["a"] + 1)) == [1, 2]
    named = Dataset.from_tensor_slices(Point(np.arange(2), np.arange(2)))
    assert listed(named.map(lambda x, y: Point(x, y + 1))) == [Point(0, 1), Point(1, 2)]


def test_map_may_return_tensors_numbers_and_anything():
    dataset = numbers(4).map(lambda x: (tw.asarray(x) * 2, 0.5))
    first = next(iter(dataset))
    assert isinstance(first[0], tw.Tensor) and first[1].dtype == np.float32
    batch = next(iter(dataset.batch(4)))
    assert isinstance(batch[0], np.ndarray) and plain(batch) == ([0, 2, 4, 6], [0.5] * 4)
    assert listed(numbers(2).map(lambda x: frozenset([int(x)]))) == [{0}, {1}]


@pytest.mark.parametrize("calls", [None, 1, 3, AUTOTUNE])
def test_map_keeps_the_order(calls):
    assert listed(numbers(100).map(lambda x: x * x, calls)) == [i * i for i in range(100)]


def test_map_out_of_order_yields_everything():
    dataset = numbers(100).map(lambda x: x * x, 4, deterministic=False)
    assert sorted(listed(dataset)) == [i * i for i in range(100)]


def test_filter_and_take_while():
    assert listed(numbers(10).filter(lambda x: x % 3 == 0)) == [0, 3, 6, 9]
    assert listed(numbers(10).take_while(lambda x: x < 4)) == [0, 1, 2, 3]
    pairs = Dataset.from_tensor_slices(([1, 2, 3], [3, 2, 1]))
    assert listed(pairs.filter(lambda x, y: tw.asarray(x) > tw.asarray(y))) == [(3, 1)]


def test_reduce_and_scan():
    assert int(numbers(10).reduce(0, lambda total, x: total + x)) == 45
    pairs = Dataset.from_tensor_slices(([1, 2], [3, 4]))
    assert int(pairs.reduce(0, lambda total, pair: total + pair[0] * pair[1])) == 11
    sums = numbers(5).scan(0, lambda total, x: (total + x, total + x))
    assert listed(sums) == [0, 1, 3, 6, 10]


def test_flat_map():
    rows = Dataset.from_tensor_slices(np.arange(6).reshape(3, 2))
    assert listed(rows.flat_map(Dataset.from_tensor_slices)) == list(range(6))


@pytest.mark.parametrize("calls", [None, 2])
def test_interleave_as_tf_data_documents_it(calls):
    dataset = numbers(1, 6).interleave(
        lambda x: Dataset.from_tensors(x).repeat(6),
        cycle_length=2,
        block_length=4,
        num_parallel_calls=calls,
    )
    blocks = [1] * 4 + [2] * 4 + [1] * 2 + [2] * 2 + [3] * 4 + [4] * 4 + [3] * 2 + [4] * 2 + [5] * 6
    assert listed(dataset) == blocks


def test_interleave_with_uneven_inputs():
    dataset = numbers(5).interleave(lambda x: numbers(int(x)).map(lambda y: 10 * x + y), 3)
    assert listed(dataset) == [10, 20, 30, 21, 31, 40, 32, 41, 42, 43]


# ---- order and number ----------------------------------------------------------------------------


@pytest.mark.parametrize("source", [numbers, streamed])
def test_shuffle(source):
    dataset = source(100).shuffle(100, seed=1)
    first, second = listed(dataset), listed(dataset)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second and first != list(range(100))
    assert first == listed(source(100).shuffle(100, seed=1))
    fixed = source(100).shuffle(100, seed=1, reshuffle_each_iteration=False)
    assert listed(fixed) == listed(fixed) == first


def test_a_small_buffer_moves_elements_forward_by_less_than_its_size():
    order = listed(numbers(1000).shuffle(10, seed=0))
    assert sorted(order) == list(range(1000))
    assert all(number - place < 10 for place, number in enumerate(order))
    assert max(place - number for place, number in enumerate(order)) > 10


def test_shuffled_orders_are_equally_likely():
    counts = collections.Counter(
        tuple(listed(numbers(3).shuffle(3, seed=seed))) for seed in range(1200)
    )
    assert len(counts) == 6 and max(counts.values()) < 260 and min(counts.values()) > 140


def test_seeds_come_from_the_process_where_none_is_given():
    tw.random.set_seed(7)
    first = [listed(numbers(50).shuffle(50)) for _ in range(2)]
    tw.random.set_seed(7)
    assert [listed(numbers(50).shuffle(50)) for _ in range(2)] == first
    assert first[0] != first[1]


def test_repeat_gives_each_pass_an_order_of_its_own():
    shuffled = numbers(20).shuffle(20, seed=5)
    epochs = [listed(shuffled) for _ in range(6)]
    assert listed(shuffled.repeat(3)) == chained(epochs[:3])
    assert listed(shuffled.repeat(3).iterate(1)) == chained(epochs[3:])
    endless = itertools.islice(iter(shuffled.repeat().batch(7)), 6)
    assert [len(batch) for batch in endless] == [7] * 6
    assert listed(shuffled.repeat().take(40)) == chained(epochs[:2])


def test_parts():
    assert listed(numbers(10).skip(3).take(4)) == [3, 4, 5, 6]
    assert listed(numbers(10).take(-1)) == list(range(10))
    assert listed(numbers(10).skip(-1)) == []
    assert listed(numbers(10).skip(20)) == listed(numbers(10).take(0)) == []
    assert listed(numbers(10).shard(3, 1)) == [1, 4, 7]
    shards = [listed(streamed(10).shard(3, index)) for index in range(3)]
    assert sorted(chained(shards)) == list(range(10))


def test_enumerate_zip_and_concatenate():
    letters = Dataset.from_tensor_slices(["a", "b"])
    assert listed(letters.enumerate(5)) == [(5, "a"), (6, "b")]
    assert listed(streamed(2).enumerate()) == [(0, 0), (1, 1)]
    assert listed(Dataset.zip(numbers(3), letters)) == [(0, "a"), (1, "b")]
    assert listed(Dataset.zip((numbers(3), streamed(5)))) == [(0, 0), (1, 1), (2, 2)]
    nested = Dataset.zip({"x": numbers(2), "y": (letters, numbers(5, 9))})
    assert listed(nested) == [{"x": 0, "y": ("a", 5)}, {"x": 1, "y": ("b", 6)}]
    pairs = Dataset.from_tensor_slices(([1, 2], [3, 4]))
    assert listed(Dataset.zip(pairs, letters).batch(2)) == [(([1, 2], [3, 4]), ["a", "b"])]
    assert listed(numbers(2).concatenate(streamed(2)).concatenate(numbers(1))) == [0, 1, 0, 1, 0]


def test_several_datasets():
    tens = numbers(10, 13)
    chosen = Dataset.choose_from_datasets(
        [numbers(3), tens], Dataset.from_tensor_slices([0, 1, 1, 0, 0, 0, 1])
    )
    assert listed(chosen) == [0, 10, 11, 1, 2]
    mixed = Dataset.sample_from_datasets([numbers(1000), tens.repeat()], [0.9, 0.1], seed=2)
    drawn = listed(mixed.take(500))
    assert 20 < sum(10 <= number < 13 for number in drawn) < 90
    all_of_both = listed(Dataset.sample_from_datasets([numbers(3), tens], seed=1))
    assert sorted(all_of_both) == [0, 1, 2, 10, 11, 12]
    assert listed(numbers(5).map(lambda x: x % 2).unique()) == [0, 1]


# ---- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [numbers, streamed])
@pytest.mark.parametrize("calls", [None, 2])
def test_batch(source, calls):
    assert listed(source(7).batch(3, num_parallel_calls=calls)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert listed(source(7).batch(3, drop_remainder=True)) == [[0, 1, 2], [3, 4, 5]]
    assert listed(source(0).batch(3)) == []


def test_batches_of_structures_follow_keys_not_their_order():
    elements = [{"a": 1, "b": (2, 3)}, {"b": (5, 6), "a": 4}]
    batch = next(iter(Dataset.from_generator(lambda: iter(elements)).batch(2)))
    assert plain(batch) == {"a": [1, 4], "b": ([2, 5], [3, 6])}


def test_batches_of_strings_and_batches():
    words = Dataset.from_generator(lambda: iter(["a", "long"])).batch(2)
    assert listed(words) == [["a", "long"]]
    assert listed(numbers(4).batch(2).batch(2)) == [[[0, 1], [2, 3]]]


def test_unbatch_and_rebatch():
    batches = Dataset.zip(numbers(7).batch(3), numbers(7).map(lambda x: -x).batch(3))
    assert listed(batches.unbatch()) == [(i, -i) for i in range(7)]
    assert listed(numbers(7).batch(3).rebatch(2)) == [[0, 1], [2, 3], [4, 5], [6]]
    assert listed(numbers(7).batch(2).rebatch(3, drop_remainder=True)) == [[0, 1, 2], [3, 4, 5]]
    assert listed(numbers(10).batch(10).rebatch([1, 3])) == [
        [0],
        [1, 2, 3],
        [4],
        [5, 6, 7],
        [8],
        [9],
    ]


def test_padded_batch():
    dataset = numbers(1, 5).map(lambda x: np.full(x, x))
    assert listed(dataset.padded_batch(2)) == [[[1, 0], [2, 2]], [[3, 3, 3, 0], [4] * 4]]
    wide = dataset.padded_batch(2, padded_shapes=5, padding_values=-1)
    assert listed(wide)[0] == [[1, -1, -1, -1, -1], [2, 2, -1, -1, -1]]
    assert str(dataset.padded_batch(2, [5], drop_remainder=True).element_spec) == "i64[2,5]"
    pairs = dataset.map(lambda row: (row, {"word": "ab", "n": len(row)}))
    first = next(iter(pairs.padded_batch(2, ([None], {"word": [], "n": []}))))
    assert plain(first) == ([[1, 0], [2, 2]], {"word": ["ab", "ab"], "n": [1, 2]})
    words = Dataset.from_generator(lambda: iter([["a"], ["b", "cc"]])).padded_batch(2)
    assert listed(words) == [[["a", ""], ["b", "cc"]]]


def windows(count, size, shift, stride, drop_remainder):
    """What `window` must give, from its definition."""
    for start in range(0, count, shift):
        window = list(range(start, count, stride))[:size]
        if len(window) == size or not drop_remainder:
            yield window


@pytest.mark.parametrize("source", [numbers, streamed])
@pytest.mark.parametrize("count", [0, 1, 5, 7])
def test_window(source, count):
    for size, shift, stride, drop in itertools.product((1, 2, 3), (1, 2, 4), (1, 2), (True, False)):
        dataset = source(count).window(size, shift, stride, drop)
        expected = list(windows(count, size, shift, stride, drop))
        assert listed(dataset) == expected
        if source is numbers:
            assert dataset.cardinality() == len(expected)


def test_windows_of_pairs_are_pairs_of_datasets():
    pairs = Dataset.from_tensor_slices((np.arange(4), np.arange(4) * 10))
    zipped = pairs.window(2).flat_map(lambda x, y: Dataset.zip(x.batch(2), y.batch(2)))
    assert listed(zipped) == [([0, 1], [0, 10]), ([2, 3], [20, 30])]
    assert listed(numbers(4).window(3, shift=1).flat_map(lambda part: part.batch(3))) == [
        [0, 1, 2], [1, 2, 3], [2, 3], [3],
    ]  # fmt: skip


# ---- what is known -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda d: d,
        lambda d: d.shuffle(3, seed=1),
        lambda d: d.map(lambda x: x),
        lambda d: d.take(3),
        lambda d: d.skip(3),
        lambda d: d.shard(4, 3),
        lambda d: d.repeat(3),
        lambda d: d.repeat(0),
        lambda d: d.batch(3),
        lambda d: d.batch(3, drop_remainder=True),
        lambda d: d.padded_batch(3),
        lambda d: d.enumerate(),
        lambda d: d.concatenate(d),
        lambda d: d.prefetch(1),
        lambda d: d.cache(),
        lambda d: d.window(2, 3),
        lambda d: Dataset.zip(d, d.take(2)),
        lambda d: Dataset.zip(d, d.repeat()),
        lambda d: d.repeat().take(11),
        lambda d: d.repeat().shard(2, 0).take(9),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
def test_cardinality_is_the_number_of_elements(make, is_stream):
    source = numbers(10).map(lambda x: x) if is_stream else numbers(10)
    dataset = make(source)
    assert dataset.cardinality() == len(listed(dataset)) == len(dataset)
    state = listed(dataset.iterate(2))
    for start in (1, 2, 7, 40):
        assert listed(dataset.iterate(2, start)) == state[start:]


def test_cardinality_that_is_endless_or_unknown():
    assert numbers(3).repeat().batch(2).cardinality() == INFINITE_CARDINALITY
    assert numbers(3).repeat().map(lambda x: x).skip(5).cardinality() == INFINITE_CARDINALITY
    assert streamed(3).batch(2).cardinality() == UNKNOWN_CARDINALITY
    assert numbers(3).filter(bool).cardinality() == UNKNOWN_CARDINALITY
    with pytest.raises(TypeError, match="an infinite one"):
        len(numbers(3).repeat())
    assert numbers(3).repeat() and listed(numbers(0).repeat()) == []
    cached = streamed(3).cache()
    list(cached)
    assert len(cached) == 3


def test_element_spec():
    x = np.zeros((4, 2, 3), "float32")
    dataset = Dataset.from_tensor_slices({"x": x, "y": np.zeros(4, "uint8")})
    assert dataset.batch(2).element_spec == {
        "x": TensorSpec((None, 2, 3), "float32"),
        "y": TensorSpec((None,), "uint8"),
    }
    assert dataset.batch(2, drop_remainder=True).element_spec["x"].shape == (2, 2, 3)
    assert dataset.batch(2).unbatch().element_spec == dataset.element_spec
    assert dataset.batch(2).rebatch(3).element_spec["y"].shape == (None,)
    assert str(numbers(3).map(lambda i: np.zeros(i + 2, "int8")).element_spec) == "i8[2]"
    assert str(numbers(3).enumerate().element_spec[0]) == "i64[]"
    assert TensorSpec((None, 3)).is_compatible_with(np.zeros((5, 3), "float32"))
    assert not TensorSpec((None, 3)).is_compatible_with(np.zeros((5, 4), "float32"))


def test_text_of_a_pipeline():
    def halve(x):
        return x / 2

    dataset = Dataset.from_tensor_slices(np.zeros((6, 2), "float32")).shuffle(6, seed=1).map(halve)
    assert repr(dataset.batch(2)) == (
        "<Dataset from_tensor_slices(f32[6,2]).shuffle(6, seed=1).map(halve).batch(2)>"
    )


# ---- all of them together ------------------------------------------------------------------------

STEPS = {
    "shuffle": lambda d, n: d.shuffle(n, seed=n),
    "fixed": lambda d, n: d.shuffle(2 * n, seed=3, reshuffle_each_iteration=False),
    "repeat": lambda d, n: d.repeat(n % 4),
    "endless": lambda d, n: d.repeat().take(3 * n),
    "take": lambda d, n: d.take(n),
    "skip": lambda d, n: d.skip(n // 2),
    "shard": lambda d, n: d.shard(1 + n % 3, n % 2 if n % 3 else 0),
}
ENDS = {
    "none": lambda d, n: d,
    "batch": lambda d, n: d.batch(n),
    "drop": lambda d, n: d.batch(n, drop_remainder=True),
    "map": lambda d, n: d.map(lambda x: x + 1, n % 3 or None).batch(n),
    "window": lambda d, n: d.window(n, 1 + n % 3).flat_map(lambda part: part.batch(n)),
    "prefetch": lambda d, n: d.prefetch(n).enumerate(n).batch(n).repeat(2),
    "unbatch": lambda d, n: d.batch(n).rebatch(2).unbatch(),
    "cache": lambda d, n: d.cache().shuffle(n, seed=n),
}


@given(
    count=st.integers(0, 12),
    steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 9)), max_size=5),
    end=st.sampled_from(sorted(ENDS)),
    size=st.integers(1, 5),
    epoch=st.integers(0, 3),
    start=st.integers(0, 6),
)
def test_arrays_and_streams_give_the_same(count, steps, end, size, epoch, start):
    """Numbers of rows and elements one by one are two ways to one result."""

    def build(dataset):
        for name, number in steps:
            dataset = STEPS[name](dataset, number)
        return ENDS[end](dataset, size)

    def elements(dataset, epoch, start=0):
        return [plain(element) for element in dataset.iterate(epoch, start)]

    fast = elements(build(numbers(count)), epoch)
    slow = elements(build(streamed(count)), epoch)
    assert fast == slow
    assert elements(build(numbers(count)), epoch, start) == fast[start:]
    assert elements(build(streamed(count)), epoch, start) == fast[start:]
    assert build(numbers(count)).cardinality() in (len(fast), UNKNOWN_CARDINALITY)

"""keras.ops.nn: normalisation, cross entropies, attention, encoding and CTC against real Keras."""

import inspect
import math
from importlib import import_module

import ml_dtypes
import numpy as np
import pytest
from tests.keras.ops.gradients import Case, Oracle, close, named, numbers
from tests.keras.oracle import keras as real

import thalweg as tw
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError
from thalweg.keras import settings
from thalweg.keras.ops import nn
from thalweg.keras.symbol import KerasTensor

X = numbers(3, 4, 6)
ROW, COLUMN, PLANE = numbers(6), numbers(4), numbers(4, 6)


def normalisations():
    half, brain = X.astype("float16") * 300, X.astype(ml_dtypes.bfloat16)
    three = {"of": (0, 1, 2)}
    for axes in (0, [0, 1], (1, -1), None):
        yield Case("moments", (X, axes))
    yield Case("moments", (X, (0, 2)), {"keepdims": True})
    yield Case("moments", (half, 1), of=())
    yield Case("moments", ((X * 5).astype("int32"), 1), of=())
    vectors = (numbers(6), numbers(6, low=0.1))
    yield Case("batch_normalization", (X, *vectors), {"axis": -1}, **three)
    yield Case("batch_normalization", (X, *vectors, 2, ROW, ROW * 2), {"epsilon": 0.1},
               of=(0, 1, 2, 4, 5))  # fmt: skip
    pair = (numbers(4), numbers(4, low=0.1))
    yield Case("batch_normalization", (X, *pair, 1), {"scale": COLUMN})
    yield Case("batch_normalization", (X, *pair, 1), {"offset": COLUMN})
    yield Case("batch_normalization", (brain, *vectors, -1), of=())
    yield Case("layer_normalization", (X,))
    yield Case("layer_normalization", (X, ROW, ROW * 2), **three)
    yield Case("layer_normalization", (X, ROW), {"epsilon": 0.1})
    yield Case("layer_normalization", (X, None, ROW))
    yield Case("layer_normalization", (X, COLUMN, COLUMN), {"axis": 1}, **three)
    yield Case("layer_normalization", (X, PLANE, PLANE), {"axis": (1, 2)}, **three)
    yield Case("layer_normalization", (X, PLANE.ravel()), {"axis": [-2, -1]})
    yield Case("layer_normalization", (X, X, X), {"axis": -1}, of=(0, 1))
    yield Case("layer_normalization", (half, ROW, ROW), of=())
    yield Case("layer_normalization", (X, ROW, ROW), {"rms_scaling": True})
    yield Case("rms_normalization", (X,))
    yield Case("rms_normalization", (X, ROW), of=(0, 1))
    yield Case("rms_normalization", (X, ROW), {"epsilon": 0.1})
    yield Case("rms_normalization", (X, PLANE), of=(0, 1))
    yield Case("rms_normalization", (X, PLANE), {"axis": (1, 2)}, of=(0, 1))
    yield Case("rms_normalization", (X, ROW), {"axis": (1, 2)})
    yield Case("rms_normalization", (X, 2.0), {"axis": 0})
    yield Case("rms_normalization", (half, ROW), of=())
    for order in (1, 2, 3):
        yield Case("normalize", (X,), {"order": order})
        yield Case("normalize", (X,), {"order": order, "axis": 0})
    yield Case("normalize", (X,), {"axis": None})
    yield Case("normalize", (X,), {"axis": (0, 2)})
    yield Case("normalize", (X,), {"axis": (0, 2), "order": 1}, of=())
    yield Case("normalize", (X * 0,), of=())
    yield Case("normalize", (X,), {"epsilon": 2.0})


def entropies():
    t, p = numbers(3, 5, low=0.0), numbers(3, 5, seed=1, low=0.0)
    logits = numbers(3, 5) * 3
    edge = np.array([[0.0, 1.0, 1e-9, 1 - 1e-7, 0.5]], "float32")
    yield Case("binary_crossentropy", (t, p), of=(0, 1), symbols=(0, 1))
    yield Case("binary_crossentropy", (t, logits, True), of=(0, 1), symbols=(0, 1))
    yield Case("binary_crossentropy", (t[:1], edge), of=(1,), symbols=(0, 1))
    yield Case("binary_crossentropy", (t[:1] > 0.5, edge), of=(), symbols=(0, 1))
    halves = t, logits.astype(ml_dtypes.bfloat16), True
    yield Case("binary_crossentropy", halves, of=(), symbols=(0, 1), tolerance=1e-2)
    for axis in (-1, 0):
        for settings_ in ({"axis": axis}, {"axis": axis, "from_logits": True}):
            output = logits if "from_logits" in settings_ else p
            yield Case("categorical_crossentropy", (t, output), settings_, (0, 1), (0, 1))
    labels = np.array([2, 0, 1], "int32")
    for from_logits, output in ((False, p), (True, logits)):
        args = labels, output, from_logits
        yield Case("sparse_categorical_crossentropy", args, of=(1,), symbols=())
    yield Case("categorical_crossentropy", (t[:1], edge), of=(1,), symbols=(0, 1))
    labels = np.array([[4], [0], [1]], "int64")
    yield Case("sparse_categorical_crossentropy", (labels, p), of=(), symbols=(0, 1))
    yield Case(
        "sparse_categorical_crossentropy", (labels.astype("float32"), p), of=(), symbols=(0, 1)
    )
    yield Case("sparse_categorical_crossentropy", (labels[:1, 0], edge), of=(1,), symbols=())
    yield Case("psnr", (p, t, 1.0), symbols=(0, 1))
    yield Case("psnr", (p, t, 255), of=(1,), symbols=(0, 1))


def attentions():
    q, k, v = numbers(2, 3, 4, 8), numbers(2, 5, 4, 8), numbers(2, 5, 4, 8, seed=1)
    three = {"of": (0, 1, 2), "symbols": (0, 1, 2)}
    bias, mask = numbers(2, 4, 3, 5), np.random.default_rng(3).random((2, 4, 3, 5)) < 0.6
    blind = mask.copy()
    blind[0, :, 1] = False
    yield Case("dot_product_attention", (q, k, v), **three)
    yield Case("dot_product_attention", (q, k, v, bias), of=(0, 3))
    yield Case("dot_product_attention", (q, k, v, bias[:, :1], mask), of=(0, 3))
    yield Case("dot_product_attention", (q, k, v, None, blind), of=(0, 1, 2))
    yield Case("dot_product_attention", (q, k, v, bias, blind), {"is_causal": True}, of=(0, 2))
    yield Case("dot_product_attention", (q, k, v, None, mask[:, :, :1]), {"scale": 0.3})
    yield Case("dot_product_attention", (q, k, v), {"is_causal": True, "scale": 1.0}, of=(0, 1))
    yield Case("dot_product_attention", (q, k[:, :, :2], v[:, :, :2]), **three)
    halves = tuple(each.astype(ml_dtypes.bfloat16) for each in (q, k, v))
    yield Case("dot_product_attention", halves, of=())


def encodings():
    index = np.array([[0, 2, -1], [3, 4, 1]], "int32")
    for axis in (-1, 0, 1):
        yield Case("one_hot", (index, 4, axis), of=())
    yield Case("one_hot", (index.astype("uint8"), 4), {"dtype": "bool"}, of=())
    yield Case("one_hot", (index.astype("float32"), 4), {"dtype": "int32"}, of=())
    yield Case("one_hot", (np.array(2), 3), of=())
    yield Case("multi_hot", (index, 5), of=())
    yield Case("multi_hot", (index[0], 5), of=(), symbols=())
    yield Case("multi_hot", (index[..., None], 5, 1), of=())
    yield Case("multi_hot", (index[..., None], 5, 2), {"dtype": "int32"}, of=())
    yield Case("multi_hot", (index,), {"num_tokens": 6}, of=())


def sequences():
    scores = numbers(3, 6, 5) * 2
    labels = np.array([[1, 2, 3], [1, 1, 4], [2, 0, 0]], "int32")
    for many, long in (((3, 3, 1), (6, 6, 6)), ((3, 2, 0), (4, 3, 2))):
        args = labels, scores, np.array(many, "int32"), np.array(long, "int32")
        yield Case("ctc_loss", args, of=(1,), symbols=())
    long = np.array([6, 5, 4], "int32")
    yield Case("ctc_loss", (*args[:3], long, 4), of=(1,), symbols=(0, 1, 2, 3))
    yield Case("ctc_loss", (labels, scores.astype("float16"), *args[2:]), of=(), symbols=())
    # No path is long enough: about 1e5, in which slopes drown.
    yield Case("ctc_loss", (*args[:3], np.array([2, 1, 0], "int32")), of=(), symbols=())
    for merge in (True, False):
        yield Case(
            "ctc_decode",
            (scores, np.array([6, 4, 0], "int32")),
            {"strategy": "greedy", "merge_repeated": merge, "mask_index": 2},
            of=(),
            symbols=(0, 1),
        )


ORACLE = Oracle(*normalisations(), *entropies(), *attentions(), *encodings(), *sequences())


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
@pytest.mark.parametrize("case", ORACLE.cases, ids=str)
def test_as_in_keras(case):
    ORACLE.check(getattr(nn, case.name), case)


# What the oracle does not do, or not in a compiled program ----------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"beam_width": 3, "top_paths": 3, "mask_index": 4}, {"beam_width": 100, "top_paths": 4}],
    ids=str,
)
def test_beam_search_as_in_keras(options):
    scores, lengths = numbers(4, 6, 5) * 2, np.array([6, 5, 2, 1], "int32")
    wanted = named("ctc_decode")(scores, lengths, strategy="beam_search", **options)
    found = nn.ctc_decode(scores, lengths, strategy="beam_search", **options)
    close(found, [np.asarray(each) for each in wanted], 1e-5)
    symbols = nn.ctc_decode(
        KerasTensor((None, 6, 5)), KerasTensor((None,)), strategy="beam_search", **options
    )
    paths = options["top_paths"]
    assert [each.shape for each in symbols] == [(paths, None, 6), (None, paths)]
    assert [each.dtype for each in symbols] == ["int32", "float32"]


def test_beam_search_sums_over_all_paths():
    scores = numbers(1, 5, 3)
    chances = np.exp(tw.nn.log_softmax(scores).numpy()[0])
    total = {}
    for path in np.ndindex(*(3,) * 5):
        merged = [c for i, c in enumerate(path) if c and (not i or c != path[i - 1])]
        chance = math.prod(chances[step, c] for step, c in enumerate(path))
        total[tuple(merged)] = total.get(tuple(merged), 0.0) + chance
    best = sorted(total.items(), key=lambda each: -each[1])[:5]
    labels, scores_ = nn.ctc_decode(scores, [5], "beam_search", 100, 5)
    for (wanted, chance), row, score in zip(
        best, labels.numpy()[:, 0], scores_.numpy()[0], strict=True
    ):
        assert tuple(row[row >= 0]) == wanted
        assert math.isclose(math.exp(score), chance, rel_tol=1e-4)


def test_ctc_of_every_path():
    scores = numbers(1, 4, 3).astype("float64")
    chances = np.exp(tw.nn.log_softmax(scores).numpy()[0])
    total = 0.0
    for path in np.ndindex(*(3,) * 4):
        merged = [c for i, c in enumerate(path) if c and (not i or c != path[i - 1])]
        total += math.prod(chances[i, c] for i, c in enumerate(path)) * (merged == [1, 1])
    found = nn.ctc_loss([[1, 1]], scores, [2], [4])
    close(found, np.array([-math.log(total)]), 1e-9)


def test_ctc_in_named_sizes():
    loss = tw.function(lambda *args: nn.ctc_loss(*args))
    for batch, steps in ((2, 5), (3, 6), (4, 7)):
        scores, labels = numbers(batch, steps, 4), np.tile([1, 2], (batch, 1))
        many, long = np.full(batch, 2), np.full(batch, steps)
        close(
            loss(labels, scores, many, long), nn.ctc_loss(labels, scores, many, long).numpy(), 1e-5
        )


def test_probabilities_of_a_softmax_are_taken_back_to_logits_in_traces():
    logits = np.array([[40.0, 0.0, -40.0]], "float32")
    target = np.array([[0.0, 0.0, 1.0]], "float32")
    pair = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], "float32")
    held = -math.log(1e-7)

    def losses(x):
        p, q = nn.softmax(x), nn.sigmoid(x)
        return (
            nn.categorical_crossentropy(target, p),
            nn.sparse_categorical_crossentropy([2], p),
            nn.binary_crossentropy(target, q),
            nn.categorical_crossentropy(pair, nn.softmax(pair * x, axis=0), axis=-1),
        )

    one, two, three, other = (each.numpy() for each in tw.function(losses)(logits))
    assert math.isclose(one[0], 80, rel_tol=1e-6) and math.isclose(two[0], 80, rel_tol=1e-6)
    assert math.isclose(three[0, 2], 40, rel_tol=1e-6)
    close(other, losses(logits)[3].numpy(), 1e-6)
    eager = losses(logits)
    assert math.isclose(eager[0].numpy()[0], held, rel_tol=1e-3)
    assert math.isclose(eager[1].numpy()[0], held, rel_tol=1e-3)
    slope = tw.function(tw.grad(lambda x: losses(x)[0].sum()))(tw.asarray(logits)).numpy()
    close(slope, np.array([[1.0, 0.0, -1.0]], "float32"), 1e-6)


def test_epsilon_is_that_of_the_configuration():
    settings.set_epsilon(1e-3)
    try:
        one, zero = np.array([1.0], "float32"), np.array([0.0], "float32")
        close(nn.binary_crossentropy(one, zero), -np.log(np.array([1e-3], "float32")), 1e-5)
        x = np.array([[1e-6, 0.0]], "float32")
        close(nn.normalize(x), x / np.float32(1e-3), 1e-6)
    finally:
        settings.set_epsilon(1e-7)


def test_class_numbers_along_any_axis():
    p = nn.softmax(numbers(2, 3, 4), axis=1).numpy()
    labels = np.array([[0, 1, 2, 0], [2, 2, 1, 0]])
    wanted = -np.log(np.take_along_axis(p, labels[:, None], 1)[:, 0])
    close(nn.sparse_categorical_crossentropy(labels, p, axis=1), wanted, 1e-5)
    close(nn.sparse_categorical_crossentropy(labels[:, None], p, axis=1), wanted, 1e-5)


def test_a_number_that_is_no_class_shows():
    found = nn.sparse_categorical_crossentropy([3, -1, 0], numbers(3, 3, low=0.1)).numpy()
    assert np.isnan(found).tolist() == [True, True, False]


def test_shared_keys_and_caps():
    q, k, v = numbers(2, 3, 4, 8), numbers(2, 5, 2, 8), numbers(2, 5, 2, 6)
    found = nn.dot_product_attention(q, k, v)
    assert found.shape == (2, 3, 4, 6)
    wide = [np.repeat(each, 2, axis=2) for each in (k, v)]
    close(found, nn.dot_product_attention(q, *wide).numpy(), 1e-5)
    close(nn.dot_product_attention(q, k, v, flash_attention=True), found.numpy(), 1e-6)
    far = nn.dot_product_attention(q, k, v, attn_logits_soft_cap=1e4)
    close(far, found.numpy(), 1e-4)
    logits = np.einsum("bthd,bshd->bhts", q, wide[0]) / math.sqrt(8)
    weights = tw.nn.softmax(2 * np.tanh(logits / 2)).numpy()
    capped = nn.dot_product_attention(q, k, v, attn_logits_soft_cap=2.0)
    close(capped, np.einsum("bhts,bshe->bthe", weights, wide[1]), 1e-5)
    mask = np.zeros((3, 5), bool)
    mask[1:] = True
    blind = nn.dot_product_attention(q, k, v, mask=mask, attn_logits_soft_cap=2.0).numpy()
    close(blind[:, 1:], capped.numpy()[:, 1:], 1e-5)
    close(blind[:, 0], wide[1].mean(1), 1e-5)


def test_attention_of_unknown_sizes():
    query, key = KerasTensor((None, None, 8, 16)), KerasTensor((None, None, 4, 16))
    value = KerasTensor((None, None, 4, 12), "bfloat16")
    found = nn.dot_product_attention(query, key, value)
    assert found.shape == (None, None, 8, 12) and found.dtype == "float32"


def test_sparse_is_kept_on_symbols():
    for found in (
        nn.one_hot(KerasTensor((None, 3), "int32"), 5, sparse=True),
        nn.multi_hot(KerasTensor((None, 3), "int32"), 5, sparse=True),
    ):
        assert found.sparse
    assert nn.one_hot(KerasTensor((None, 3), "int32"), 5, axis=1).shape == (None, 5, 3)
    assert not nn.one_hot(KerasTensor((None, 3), "int32"), 5).sparse


def test_every_op_has_the_class_that_files_name():
    classes = vars(import_module("keras.src.ops.nn"))
    for name in nn.__all__:
        definition = getattr(nn, name).definition
        module, class_name = definition.operation._serialized_as
        assert module == "keras.src.ops.nn"
        theirs = classes[class_name]
        call = list(inspect.signature(theirs.call).parameters)[1:]
        assert definition.data == call, name
        made = inspect.signature(theirs.__init__).parameters
        wanted = [each for each in made if each not in ("self", "args", "kwargs", "name")]
        given = [each for each in definition.signature.parameters if each not in definition.data]
        given = [each for each in given if each != "kwargs"]
        # Keras' class of layer_normalization has a setting that its function takes as a keyword.
        assert given == [each for each in wanted if each != "rms_scaling"], name


def test_signatures():
    for name in nn.__all__:
        theirs = inspect.signature(getattr(real.ops.nn, name))
        ours = inspect.signature(getattr(nn, name))
        assert [(each.name, each.default) for each in ours.parameters.values()] == [
            (each.name, each.default) for each in theirs.parameters.values()
        ], name


A, V = numbers(2, 3), numbers(3)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.batch_normalization(A, V, V[:2], -1), ShapeError,
         "`variance` must be a vector of length 3"),
        (lambda: nn.batch_normalization(A, V, V, -1, offset=A), ShapeError,
         "`offset` must be a vector of length 3"),
        (lambda: nn.batch_normalization(KerasTensor((None, 3)), V, V, -1, scale=V[:1]),
         ShapeError, "`scale` must be a vector of length 3"),
        (lambda: nn.layer_normalization(A, V[:2]), ShapeError, "`gamma` of shape (3,)"),
        (lambda: nn.moments(A, 2), ShapeError, "axis 2 is out of bounds"),
        (lambda: nn.normalize(A, axis=10), ShapeError, "axis 10 is out of bounds"),
        (lambda: nn.normalize(A, order=2.5), ArgumentError, "must be an int >= 1"),
        (lambda: nn.normalize(A, order=0), ArgumentError, "must be an int >= 1"),
        (lambda: nn.binary_crossentropy(A, A.T), ShapeError, "must have the same shape"),
        (lambda: nn.categorical_crossentropy(A[0], A), ShapeError,
         "Did you mean sparse_categorical_crossentropy"),
        (lambda: nn.categorical_crossentropy(1.0, 1.0), ShapeError, "must be at least rank 1"),
        (lambda: nn.sparse_categorical_crossentropy([0, 1, 2], A), ShapeError,
         "must have the same shape up until"),
        (lambda: nn.sparse_categorical_crossentropy([0, 1], A, axis=3), ShapeError,
         "axis 3 is out of bounds"),
        (lambda: nn.psnr(A, A.T, 1.0), ShapeError, "shapes must match"),
        (lambda: nn.dot_product_attention(A, A, A), ShapeError, "only supports 4D inputs"),
        (lambda: nn.dot_product_attention(*[numbers(1, 2, 1, 4)] * 3, mask=np.ones((2, 2))),
         DTypeError, "a mask of booleans"),
        (lambda: nn.dot_product_attention(*[numbers(1, 2, 1, 4)] * 3, attn_logits_soft_cap=0.0),
         ArgumentError, "a soft_cap above 0"),
        (lambda: nn.one_hot([1], 3, axis=4), ShapeError, "axis 4 is out of bounds"),
        (lambda: nn.multi_hot([1]), ArgumentError, "`num_classes` must be specified"),
        (lambda: nn.ctc_loss([[1]], numbers(2, 3, 4), [1], [3]), ShapeError,
         "must have the same first dimension"),
        (lambda: nn.ctc_loss([1], numbers(1, 3, 4), [1], [3]), ShapeError, "[batch, labels]"),
        (lambda: nn.ctc_decode(A, [3, 3]), ShapeError, "[batch, steps, classes]"),
        (lambda: nn.ctc_decode(numbers(1, 3, 4), [3], "viterbi"), ArgumentError,
         "Invalid strategy 'viterbi'"),
        (lambda: nn.ctc_decode(numbers(1, 3, 4), [3], "beam_search", 2, 3), ArgumentError,
         "beam_width of at least top_paths"),
    ],
)  # fmt: skip
def test_refusals(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)


def test_rms_scaling_warns_at_the_users_line():
    with pytest.warns(UserWarning, match="You passed `rms_scaling=True`") as got:
        nn.layer_normalization(A, rms_scaling=True)
    assert got[0].filename == __file__

"""CTC against the sum over all paths; slopes, lengths, blanks, named sizes, refusals."""

import itertools
import math

import numpy as np
import pytest

from thalweg.array import ctc
from thalweg.array.derivatives import grad
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError
from thalweg.engine.trace import function


def scores(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape) * 1.5


def probabilities(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def every_label(x, blank):
    """The probability of every sequence of labels, over all paths of x [T, C]."""
    chances = probabilities(x)
    total = {}
    for path in itertools.product(range(x.shape[1]), repeat=x.shape[0]):
        merged = [c for i, c in enumerate(path) if c != blank and (not i or c != path[i - 1])]
        chance = math.prod(chances[step, c] for step, c in enumerate(path))
        total[tuple(merged)] = total.get(tuple(merged), 0.0) + chance
    return total


@pytest.mark.parametrize("blank", [0, 2])
def test_loss_is_that_of_all_paths(blank):
    x = scores(1, 4, 3)
    for labels, chance in every_label(x[0], blank).items():
        row = np.array([[*labels, *[blank] * (5 - len(labels))]])
        found = ctc.ctc_loss(row, x, [len(labels)], [4], blank)
        np.testing.assert_allclose(found.numpy(), [-math.log(chance)], rtol=1e-9)


def test_lengths_end_labels_and_scores():
    x = scores(3, 6, 4)
    labels = np.array([[1, 2, 3], [1, 1, 3], [2, 3, 1]])
    many, long = np.array([3, 2, 1]), np.array([6, 4, 2])
    found = ctc.ctc_loss(labels, x, many, long).numpy()
    for each in range(3):
        wanted = every_label(x[each, : long[each]], 0)[tuple(labels[each, : many[each]])]
        np.testing.assert_allclose(found[each], -math.log(wanted), rtol=1e-9)


def test_slopes():
    x = scores(2, 5, 4)
    labels, many, long = np.array([[1, 2], [3, 3]]), np.array([2, 2]), np.array([5, 4])

    def loss(x):
        return ctc.ctc_loss(labels, x, many, long).sum()

    found = grad(loss)(x).numpy()
    step = 1e-6
    for place in [(0, 0, 1), (0, 4, 2), (1, 2, 3), (1, 3, 0)]:
        moved = np.zeros_like(x)
        moved[place] = step
        slope = (loss(x + moved).numpy() - loss(x - moved).numpy()) / (2 * step)
        np.testing.assert_allclose(found[place], slope, rtol=1e-5, atol=1e-8)
    assert not found[1, 4].any()


def test_labels_that_no_path_gives():
    x = scores(3, 3, 4)
    labels = np.array([[1, 1, 2], [1, 2, 3], [1, 2, 3]])
    found = ctc.ctc_loss(labels, x, [3, 3, 3], [3, 3, 2]).numpy()
    assert found[0] > 9e4 and found[1] < 100 and found[2] > 9e4
    slope = grad(lambda x: ctc.ctc_loss(labels, x, [3, 3, 3], [3, 3, 2]).sum())(x).numpy()
    assert np.isfinite(slope).all()


def test_no_labels():
    x = scores(2, 3, 4)
    wanted = [-math.log(every_label(each, 0)[()]) for each in x]
    found = ctc.ctc_loss(np.zeros((2, 2), int), x, [0, 0], [3, 3])
    np.testing.assert_allclose(found.numpy(), wanted)
    found = ctc.ctc_loss(np.zeros((2, 0), int), x, [0, 0], [3, 3])
    np.testing.assert_allclose(found.numpy(), wanted)


def test_sixteen_bits_give_float32():
    x = scores(2, 4, 3).astype("float16")
    found = ctc.ctc_loss([[1], [2]], x, [1, 1], [4, 4])
    assert found.dtype.name == "float32"
    wide = ctc.ctc_loss([[1], [2]], x.astype("float32"), [1, 1], [4, 4])
    np.testing.assert_allclose(found.numpy(), wide.numpy(), rtol=1e-6)


def test_greedy():
    best = np.array([[1, 1, 0, 1, 2, 2, 0, 3], [0, 0, 3, 3, 3, 0, 3, 1]])
    x = np.eye(4)[best] * 2.0
    labels, total = ctc.ctc_greedy_decode(x, [8, 7])
    assert labels.numpy().tolist() == [
        [[1, 1, 2, 3, -1, -1, -1, -1], [3, 3, -1, -1, -1, -1, -1, -1]]
    ]
    np.testing.assert_allclose(total.numpy(), [[-16], [-14]])
    labels, _ = ctc.ctc_greedy_decode(x, [8, 7], merge_repeated=False)
    assert labels.numpy()[0].tolist() == [[1, 1, 1, 2, 2, 3, -1, -1], [3, 3, 3, 3, -1, -1, -1, -1]]
    labels, _ = ctc.ctc_greedy_decode(x, [3, 3], blank=3)
    assert labels.numpy()[0].tolist() == [[1, 0, *[-1] * 6], [0, *[-1] * 7]]


@pytest.mark.parametrize("blank", [0, 1])
def test_a_wide_beam_finds_the_best_labels(blank):
    x = scores(2, 5, 3, seed=1)
    labels, total = ctc.ctc_beam_decode(x, [5, 4], 60, 6, blank)
    for each, long in ((0, 5), (1, 4)):
        ordered = sorted(every_label(x[each, :long], blank).items(), key=lambda pair: -pair[1])
        for place, (wanted, chance) in enumerate(ordered[:6]):
            row = labels.numpy()[place, each]
            assert tuple(row[row >= 0]) == wanted
            np.testing.assert_allclose(total.numpy()[each, place], math.log(chance), rtol=1e-9)


def test_a_narrow_beam_loses_paths_but_not_its_way():
    x = scores(1, 12, 6, seed=3) * 3
    wide = ctc.ctc_beam_decode(x, [12], 100, 1)
    narrow = ctc.ctc_beam_decode(x, [12], 2, 1)
    assert narrow.scores.numpy()[0, 0] <= wide.scores.numpy()[0, 0] + 1e-9
    assert narrow.scores.numpy()[0, 0] > wide.scores.numpy()[0, 0] - 2


def test_fewer_labels_than_paths():
    labels, total = ctc.ctc_beam_decode(scores(1, 1, 2), [1], 5, 4)
    assert np.isneginf(total.numpy()[0]).tolist() == [False, False, True, True]
    assert labels.numpy()[2:].max() == -1


def test_named_sizes():
    def run(labels, x, many, long):
        return (
            ctc.ctc_loss(labels, x, many, long),
            ctc.ctc_greedy_decode(x, long).labels,
            ctc.ctc_beam_decode(x, long, 4, 2).scores,
        )

    traced = function(run)
    for batch, steps, width in ((2, 4, 2), (3, 6, 3), (4, 5, 1)):
        x = scores(batch, steps, 4)
        args = np.full((batch, width), 1), x, np.full(batch, 1), np.full(batch, steps)
        for one, two in zip(traced(*args), run(*args), strict=True):
            np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ctc.ctc_loss([[1]], scores(3, 4), [1], [3]), ShapeError,
         "[batch, steps, classes]"),
        (lambda: ctc.ctc_loss([1], scores(1, 3, 4), [1], [3]), ShapeError, "[batch, labels]"),
        (lambda: ctc.ctc_loss([[1]], scores(2, 3, 4), [1, 1], [3, 3]), ShapeError,
         "the same first dimension"),
        (lambda: ctc.ctc_loss([[1]], scores(1, 3, 4), [[1]], [3]), ShapeError, "label_lengths"),
        (lambda: ctc.ctc_greedy_decode(scores(1, 3, 4), [3, 3]), ShapeError, "score_lengths"),
        (lambda: ctc.ctc_greedy_decode(scores(1, 3, 4) * 1j, [3]), DTypeError, "real scores"),
        (lambda: ctc.ctc_beam_decode(scores(1, 3, 4), [3], 3, 4), ArgumentError, "top_paths"),
        (lambda: ctc.ctc_beam_decode(scores(1, 3, 4), [3], 3.0), ArgumentError, "beam_width"),
    ],
)  # fmt: skip
def test_refusals(call, error, text):
    with pytest.raises(error) as raised:
        call()
    assert text in str(raised.value)

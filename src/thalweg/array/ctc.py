"""Connectionist temporal classification: sequences of labels against longer sequences of scores.

A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber, Connectionist temporal classification, 2006.

A path names one class a step; merging repeats and then dropping blanks gives its labels. B T C S
are batch, steps, classes and labels: scores [B, T, C] are logits or logarithms of probabilities,
both up to a constant for each step; labels [B, S] are integers.
"""

from typing import Any, NamedTuple

from thalweg.array import nn
from thalweg.array.control import scan
from thalweg.array.creation import arange, asarray, full, zeros
from thalweg.array.data_types import astype
from thalweg.array.elementwise import (
    add,
    equal,
    floor_divide,
    greater,
    less,
    logaddexp,
    logical_and,
    logical_not,
    multiply,
    negative,
    not_equal,
    remainder,
)
from thalweg.array.indexing import get_item, take_along_axis
from thalweg.array.manipulation import (
    broadcast_to,
    concat,
    expand_dims,
    moveaxis,
    permute_dims,
    reshape,
    stack,
)
from thalweg.array.operands import to_tensor
from thalweg.array.searching import argmax, where
from thalweg.array.sorting import argsort, top_k
from thalweg.array.statistical import max as max_of
from thalweg.array.statistical import sum as sum_of
from thalweg.base.errors import ArgumentError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.ir.dim import is_known_equal
from thalweg.ir.types import DEFAULT_FLOAT

IMPOSSIBLE = -1e5
"""The logarithm that stands for probability 0 in the loss: finite, so that slopes are numbers."""


def _scores(name: str, x: Any) -> Tensor:
    """Scores as float32 or float64."""
    found = to_tensor(x, name)
    if found.dtype.is_complex:
        raise DTypeError(explain(name, "real scores", found.dtype.name))
    if found.ndim != 3:
        raise ShapeError(
            explain(name, "scores [batch, steps, classes]", f"shape {tuple(found.shape)}")
        )
    is_wide = found.dtype.is_float and found.dtype.bits > 16
    return found if is_wide else astype(found, DEFAULT_FLOAT)


def _integers(name: str, what: str, x: Any, shape: tuple) -> Tensor:
    """Integers of a shape, in int32; whole floats are taken as well."""
    found = to_tensor(x, name)
    if found.ndim != len(shape) or not all(map(is_known_equal, found.shape, shape)):
        raise ShapeError(
            explain(
                name,
                f"{what} of shape {shape}; all arguments must have the same first dimension, the "
                "batch",
                f"shape {tuple(found.shape)}",
            )
        )
    return astype(found, "int32")


def ctc_loss(
    labels: Any, scores: Any, label_lengths: Any, score_lengths: Any, blank: int = 0
) -> Tensor:
    """Minus the logarithm of the probability of labels, for each example: [B].

    `labels` [B, S] count up to `label_lengths` [B], `scores` [B, T, C] up to `score_lengths` [B];
    `blank` is the class that stands for no label. Labels that no path gives have a loss of about
    1e5. The derivative is that with respect to the scores.
    """
    name = "ctc_loss"
    logits = _scores(name, scores)
    batch, steps, _ = logits.shape
    given = to_tensor(labels, name)
    if given.ndim != 2:
        raise ShapeError(explain(name, "labels [batch, labels]", f"shape {tuple(given.shape)}"))
    marks = _integers(name, "labels", given, (batch, given.shape[1]))
    many = _integers(name, "label_lengths", label_lengths, (batch,))
    long = _integers(name, "score_lengths", score_lengths, (batch,))
    width = marks.shape[1]
    places = 2 * width + 1

    # Blanks stand before, between and after the labels: [B, 2 S + 1].
    empty = full((batch, width), blank, dtype="int32")
    pairs = reshape(stack([empty, marks], axis=2), (batch, 2 * width))
    extended = concat([pairs, full((batch, 1), blank, dtype="int32")], axis=1)
    # A step may skip the blank between two labels that differ.
    before = concat(
        [full((batch, 2), blank, dtype="int32"), get_item(extended, (..., slice(0, -2)))], axis=1
    ) if not is_known_equal(width, 0) else extended  # fmt: skip
    place = arange(places, dtype="int32")
    skips = logical_and(equal(remainder(place, 2), 1), not_equal(extended, before))

    chances = nn.log_softmax(logits)
    index = broadcast_to(expand_dims(extended, axis=1), (batch, steps, places))
    emitted = moveaxis(take_along_axis(chances, index, axis=2), 1, 0)

    never = full((batch, places), IMPOSSIBLE, dtype=logits.dtype)
    # Before the first step a path is, so to say, at the first place.
    start = where(equal(place, 0), zeros((), dtype=logits.dtype), never)
    never = full((batch, 1), IMPOSSIBLE, dtype=logits.dtype)

    def step(state: Tensor, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, None]:
        now, time = inputs
        one = concat([never, get_item(state, (..., slice(0, -1)))], axis=1)
        reached = logaddexp(state, one)
        if not is_known_equal(width, 0):
            two = concat([never, never, get_item(state, (..., slice(0, -2)))], axis=1)
            reached = where(skips, logaddexp(reached, two), reached)
        goes_on = expand_dims(less(time, long), axis=1)
        return where(goes_on, add(reached, now), state), None

    last, _ = scan(step, start, (emitted, arange(steps, dtype="int32")))
    end = multiply(expand_dims(many, axis=1), 2)
    whole = get_item(take_along_axis(last, end, axis=1), (..., 0))
    short = take_along_axis(last, where(greater(end, 0), add(end, -1), end), axis=1)
    short = where(greater(many, 0), get_item(short, (..., 0)), IMPOSSIBLE)
    return negative(logaddexp(whole, short))


class Decoded(NamedTuple):
    """Labels i32[paths, B, T], -1 after the last one, and the score of each path [B, paths]."""

    labels: Tensor
    scores: Tensor


def ctc_greedy_decode(
    scores: Any, score_lengths: Any, blank: int = 0, merge_repeated: bool = True
) -> Decoded:
    """The labels of the likeliest class of every step.

    The score is minus the sum of the scores of these classes. Without `merge_repeated` a class that
    comes twice running counts twice.
    """
    name = "ctc_greedy_decode"
    logits = _scores(name, scores)
    batch, steps, _ = logits.shape
    long = _integers(name, "score_lengths", score_lengths, (batch,))
    time = expand_dims(arange(steps, dtype="int32"), axis=0)
    is_inside = less(time, expand_dims(long, axis=1))
    best = where(is_inside, max_of(logits, axis=2), zeros((), dtype=logits.dtype))
    classes = astype(argmax(logits, axis=2), "int32")
    counts = logical_and(is_inside, not_equal(classes, blank))
    if merge_repeated:
        former = concat(
            [full((batch, 1), -1, dtype="int32"), get_item(classes, (..., slice(0, -1)))], axis=1
        )
        counts = logical_and(counts, not_equal(classes, former))
    # Those that count go to the front, in their order.
    order = argsort(astype(logical_not(counts), "int32"), axis=1, stable=True)
    labels = take_along_axis(where(counts, classes, asarray(-1, dtype="int32")), order, axis=1)
    total = negative(sum_of(best, axis=1, keepdims=True))
    return Decoded(expand_dims(labels, axis=0), total)


# An odd multiplier without structure: a prefix is known by a number of 64 bits.
_MULTIPLIER = 0x9E3779B97F4A7C15


def ctc_beam_decode(
    scores: Any, score_lengths: Any, beam_width: int = 100, top_paths: int = 1, blank: int = 0
) -> Decoded:
    """The labels that are likeliest over all paths, by a search that keeps `beam_width` of them.

    The score is the logarithm of their probability, the best first; minus infinity where there are
    no more. Equal beginnings are told by a hash of 64 bits.
    """
    name = "ctc_beam_decode"
    logits = _scores(name, scores)
    batch, steps, classes = logits.shape
    if (
        type(beam_width) is not int
        or type(top_paths) is not int
        or not 1 <= top_paths <= beam_width
    ):
        raise ArgumentError(
            explain(
                name,
                "top_paths of at least 1 and beam_width of at least top_paths",
                f"top_paths={top_paths!r}, beam_width={beam_width!r}",
            )
        )
    long = _integers(name, "score_lengths", score_lengths, (batch,))
    chances = moveaxis(nn.log_softmax(logits), 1, 0)
    dtype, shape = logits.dtype, (batch, beam_width)
    nothing = full(shape, float("-inf"), dtype=dtype)
    place = arange(beam_width, dtype="int32")
    position = arange(steps, dtype="int32")
    symbol = arange(classes, dtype="int32")
    first = where(equal(place, 0), zeros((), dtype=dtype), nothing)
    start = {
        "labels": full((batch, beam_width, steps), -1, dtype="int32"),
        "count": zeros(shape, dtype="int32"),
        "last": full(shape, -1, dtype="int32"),
        "hash": zeros(shape, dtype="uint64"),
        "parent": zeros(shape, dtype="uint64"),
        "blank": first,  # the logarithm of the probability of paths that end with a blank
        "label": nothing,  # and of those that end with the last label
    }

    def step(beam: dict[str, Tensor], inputs: tuple[Tensor, Tensor]) -> tuple[dict, None]:
        now, time = inputs
        whole = logaddexp(beam["blank"], beam["label"])
        stays = add(whole, expand_dims(get_item(now, (..., blank)), axis=1))
        has_label = greater(beam["count"], 0)
        held = where(has_label, beam["last"], 0)
        repeats = where(has_label, add(beam["label"], take_along_axis(now, held, axis=1)), nothing)

        # [B, W, C]: one label more. The same label again needs a blank between.
        is_same = equal(expand_dims(beam["last"], axis=2), symbol)
        grows = where(is_same, expand_dims(beam["blank"], 2), expand_dims(whole, 2))
        grows = add(grows, expand_dims(now, axis=1))
        grows = where(equal(symbol, blank), float("-inf"), grows)

        # [B, W, W]: beam j is beam i with one label more. Such a path belongs to j.
        follows = logical_and(
            equal(expand_dims(beam["hash"], 2), expand_dims(beam["parent"], 1)),
            equal(expand_dims(add(beam["count"], 1), 2), expand_dims(beam["count"], 1)),
        )
        follows = logical_and(follows, greater(expand_dims(whole, 2), float("-inf")))
        index = broadcast_to(expand_dims(held, axis=1), (batch, beam_width, beam_width))
        joining = where(follows, take_along_axis(grows, index, axis=2), float("-inf"))
        repeats = logaddexp(repeats, max_of(joining, axis=1))
        taken = logical_and(
            expand_dims(follows, axis=3),
            equal(expand_dims(expand_dims(held, axis=1), axis=3), symbol),
        )
        taken = greater(max_of(astype(taken, "int32"), axis=2), 0)
        grows = where(taken, float("-inf"), grows)

        flat = reshape(grows, (batch, beam_width * classes))
        best, chosen = top_k(concat([logaddexp(stays, repeats), flat], axis=1), beam_width, axis=1)
        chosen = astype(chosen, "int32")
        is_new = logical_not(less(chosen, beam_width))
        source = where(is_new, floor_divide(add(chosen, -beam_width), classes), chosen)
        label = where(is_new, remainder(add(chosen, -beam_width), classes), -1)

        def old(name: str) -> Tensor:
            return take_along_axis(beam[name], source, axis=1)

        index = broadcast_to(expand_dims(source, 2), (batch, beam_width, steps))
        labels = take_along_axis(beam["labels"], index, axis=1)
        is_end = logical_and(
            expand_dims(is_new, axis=2), equal(expand_dims(old("count"), axis=2), position)
        )
        known = old("hash")
        code = add(multiply(known, _MULTIPLIER), astype(add(label, 1), "uint64"))
        found = {
            "labels": where(is_end, expand_dims(label, axis=2), labels),
            "count": add(old("count"), astype(is_new, "int32")),
            "last": where(is_new, label, old("last")),
            "hash": where(is_new, code, known),
            "parent": where(is_new, known, old("parent")),
            "blank": where(is_new, nothing, take_along_axis(stays, source, axis=1)),
            "label": where(is_new, best, take_along_axis(repeats, source, axis=1)),
        }
        goes_on = less(time, long)

        def kept(name: str) -> Tensor:
            new = found[name]
            return where(reshape(goes_on, (batch,) + (1,) * (new.ndim - 1)), new, beam[name])

        return {name: kept(name) for name in beam}, None

    last, _ = scan(step, start, (chances, arange(steps, dtype="int32")))
    best, chosen = top_k(logaddexp(last["blank"], last["label"]), top_paths, axis=1)
    index = broadcast_to(expand_dims(chosen, axis=2), (batch, top_paths, steps))
    labels = take_along_axis(last["labels"], index, axis=1)
    is_none = equal(best, float("-inf"))
    labels = where(expand_dims(is_none, axis=2), asarray(-1, dtype="int32"), labels)
    return Decoded(permute_dims(labels, (1, 0, 2)), best)

"""Symbolic sizes against Python's integers: whatever is decided or rewritten holds for all values.

An expression is drawn as a nested tuple and read twice: once over named sizes, once over numbers.
"""

import copy
import operator
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from thalweg.base.errors import ThalwegError
from thalweg.ir.dim import (
    Dim,
    DimError,
    UndecidedError,
    as_size,
    bounds,
    ceil_div,
    dim_max,
    dim_min,
    is_known_at_least,
    is_known_equal,
    less,
    less_equal,
    named,
    parse_dim,
    same,
    solve,
    substitute,
    symbols,
    text,
)

NAMES = ("b", "s", "t")
b, s, t = map(named, NAMES)

SYMBOLIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "max": dim_max,
    "min": dim_min,
    "ceil": ceil_div,
}
NUMBERS = SYMBOLIC | {"max": max, "min": min, "ceil": lambda x, y: -(-x // y)}

leaves = st.sampled_from(NAMES) | st.integers(-4, 9)
expressions = st.recursive(
    leaves,
    lambda inner: st.tuples(st.sampled_from(list(SYMBOLIC)), inner, inner),
    max_leaves=6,
)
values = st.fixed_dictionaries(dict.fromkeys(NAMES, st.integers(1, 40)))
many = settings(max_examples=150)


def compute(expression, functions, sizes):
    """The value of an expression; no example where it divides by zero."""
    if isinstance(expression, tuple):
        op, left, right = expression
        left, right = compute(left, functions, sizes), compute(right, functions, sizes)
        try:
            return functions[op](left, right)
        except (ZeroDivisionError, DimError):
            assume(False)
    return sizes[expression] if isinstance(expression, str) else expression


def symbolic(expression):
    return compute(expression, SYMBOLIC, {"b": b, "s": s, "t": t})


# ---- the normal form -----------------------------------------------------------------------------


@many
@given(expressions, values)
def test_substituting_commutes_with_every_operator(expression, sizes):
    wanted = compute(expression, NUMBERS, sizes)
    received = substitute(symbolic(expression), sizes)
    assert type(received) is int
    assert received == wanted


@many
@given(expressions, values)
def test_substituting_in_two_steps_is_substituting_once(expression, sizes):
    wanted = compute(expression, NUMBERS, {**sizes, "b": 2 * sizes["t"] + 1})
    halfway = substitute(symbolic(expression), {"b": 2 * t + 1, "s": s})
    assert substitute(halfway, sizes) == wanted
    assert symbols(halfway) <= {"s", "t"}


@many
@given(expressions)
def test_text_is_read_back_exactly(expression):
    size = symbolic(expression)
    assert parse_dim(str(size)) == size
    assert parse_dim(text(size)) == size
    assert " " not in text(size)
    assert hash(parse_dim(str(size))) == hash(size)


@given(expressions, expressions, expressions)
def test_equal_polynomials_are_equal_objects(x, y, z):
    x, y, z = map(symbolic, (x, y, z))
    assert x + y == y + x
    assert x * y == y * x
    assert (x + y) + z == x + (y + z)
    assert x * (y + z) == x * y + x * z
    assert x - x == 0
    assert 0 - (0 - x) == x
    assert dim_max(x, y) == dim_max(y, x)
    assert (x + 4 * y) // 4 == x // 4 + y


@pytest.mark.parametrize(
    ("received", "wanted"),
    [
        ((b + 1) * (b + 1), b * b + 2 * b + 1),
        ((b - t) * (b + t), b * b - t * t),
        (4 * b // 2, 2 * b),
        ((4 * b + 6) // 4, b + 1),
        ((2 * t + 1) // 4, t // 2),
        (b // b, 1),
        (b * t // b, t),
        (b * t // t, b),
        (b * t // (b * s), t // s),
        ((b * b + 2 * b + 1) // (b + 1), b + 1),
        (t // 3 // 4, t // 12),
        ((t // 2 + 1) // 2, (t + 2) // 4),
        (t // -2, -t // 2),
        (t % 2 // 2, 0),
        (t % 1, 0),
        (b // (b + 1), 0),
        (ceil_div(4 * t, 4), t),
        (ceil_div(t, 2), (t + 1) // 2),
        (ceil_div(7, 2), 4),
        (dim_max(b + 1, b), b + 1),
        (dim_max(b, dim_max(t, b)), dim_max(t, b)),
        (dim_max(b, dim_min(b, t)), b),
        (dim_min(b, 1), 1),
        (dim_max(3, 5), 5),
        (0 * b, 0),
    ],
)
def test_simplifies(received, wanted):
    assert received == wanted
    assert type(received) is type(wanted)


def test_constants_are_plain_integers():
    for size in (b - b, b // b, b + True - b, np.int64(3) + b - b, b * np.int32(0)):
        assert type(size) is int
    assert as_size(np.int64(3)) == 3
    assert type(as_size(True)) is int
    assert isinstance(np.int64(3) * b, Dim)


def test_equality_is_how_sizes_are_written():
    halves = (t + 1) // 2 + t // 2
    assert halves != t
    assert is_known_equal(halves, t)
    assert b != 3 and b != "b" and b != t
    assert {b + 1: "yes"}[1 + b] == "yes"
    assert (b, 784) == (named("b"), 784)
    assert hash(b * t) == hash(t * b)


def test_sizes_are_frozen_and_survive_copying():
    size = dim_max(b // 2, t - 3)
    with pytest.raises(AttributeError, match="frozen"):
        size.terms = ()
    with pytest.raises(AttributeError, match="frozen"):
        del size.terms
    with pytest.raises(AttributeError, match="frozen"):
        size.terms[0][0][0].op = "min"
    assert pickle.loads(pickle.dumps(size)) == size
    assert copy.deepcopy(size) == copy.copy(size) == size


# ---- questions -----------------------------------------------------------------------------------


@many
@given(expressions, values)
def test_bounds_hold(expression, sizes):
    value = compute(expression, NUMBERS, sizes)
    low, high = bounds(symbolic(expression))
    assert low is None or low <= value
    assert high is None or value <= high


@many
@given(expressions, expressions, st.lists(values, min_size=3, max_size=3))
def test_what_is_decided_holds(x, y, samples):
    a, c = symbolic(x), symbolic(y)
    pairs = [(compute(x, NUMBERS, sizes), compute(y, NUMBERS, sizes)) for sizes in samples]
    questions = {
        same: operator.eq,
        less: operator.lt,
        less_equal: operator.le,
        operator.gt: operator.gt,
        operator.ge: operator.ge,
    }
    for question, answer in questions.items():
        try:
            decided = question(a, c)
        except UndecidedError:
            continue
        assert all(answer(*pair) is decided for pair in pairs)
    if is_known_equal(a, c):
        assert all(left == right for left, right in pairs)
    if is_known_at_least(a, c):
        assert all(left >= right for left, right in pairs)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (b, (1, None)),
        (b - 1, (0, None)),
        (3 - b, (None, 2)),
        (b * t - b, (0, None)),
        ((b - 1) * (b - 1), (0, None)),
        (t - t // 2, (1, None)),
        (t % 8, (0, 7)),
        (t % b, (0, None)),
        (t % (b + s), (0, None)),
        (b + s - 1 - t % (b + s), (0, None)),
        (b - 1 - t % b, (0, None)),
        (t // 2 - t // 4, (0, None)),
        (ceil_div(t, 3) - t // 3, (0, 1)),
        (dim_max(b, t) - b, (0, None)),
        (s * b - s * dim_min(b, t), (0, None)),
        ((b - t) * dim_min(b, 2), (None, None)),
        (dim_max(b - 1, 2), (2, None)),
        (dim_min(b, 5) * 2, (2, 10)),
        (7 // b, (0, 7)),
        (b - t, (None, None)),
        (t // (b - s), (None, None)),
    ],
)
def test_bounds(size, wanted):
    assert bounds(size) == wanted


def test_decides():
    assert b >= 1 and not b < 1 and b > 0 and b + 1 > b
    assert t - t // 2 >= 0
    assert less(b, b + t)
    assert less_equal(t // 2, t)
    assert bool(b) and bool(b + t)
    assert not same(b, b + 1)
    assert not same(2 * b, 2 * t + 1)  # even and odd
    assert same((t + 1) // 2, t - t // 2)
    assert is_known_at_least(b, 1) and not is_known_at_least(b, 2)
    assert not is_known_equal(b, t)


def test_leaves_open():
    for question in (
        lambda: b < t,
        lambda: b >= 2,
        lambda: same(b, 1),
        lambda: bool(b - 1),
        lambda: less(b * b, 5),
    ):
        with pytest.raises(UndecidedError):
            question()


# ---- values --------------------------------------------------------------------------------------


def test_symbols():
    assert symbols(5) == frozenset()
    assert symbols(dim_max(b // s, t) - 1) == {"b", "s", "t"}


def test_substitute():
    assert substitute(2 * t + b, {"t": 3}) == b + 6
    assert substitute(b - t, {"b": t + 1}) == 1
    assert substitute(b * t, {"b": t, "t": b}) == b * t
    assert substitute(7, {"t": 3}) == 7
    assert type(substitute(b, {"b": np.int64(3)})) is int
    with pytest.raises(DimError, match="a divisor other than 0"):
        substitute(s // (b - t), {"b": 2, "t": 2})


@pytest.mark.parametrize(
    ("pattern", "value", "known", "wanted"),
    [
        (5, 5, {"s": 2}, {"s": 2}),
        (5, 6, {}, None),
        (b, 3, {}, {"b": 3}),
        (b, 0, {}, None),
        (b, 3, {"b": 3}, {"b": 3}),
        (b, 3, {"b": 4}, None),
        (2 * t + 1, 7, {}, {"t": 3}),
        (2 * t + 1, 8, {}, None),
        (5 - t, 7, {}, None),
        (b * t, 6, {"b": 2}, {"b": 2, "t": 3}),
        (b * t, 7, {"b": 2}, None),
        (t // 2, 3, {"t": 7}, {"t": 7}),
        (b + s // 2, 5, {"s": 4}, {"s": 4, "b": 3}),
    ],
)
def test_solve(pattern, value, known, wanted):
    before = dict(known)
    assert solve(pattern, value, known) == wanted
    assert known == before


@given(st.integers(1, 9), st.integers(-9, 9), st.integers(1, 99))
def test_solve_undoes_substitute(factor, constant, value):
    pattern = factor * t + constant
    assert solve(pattern, substitute(pattern, {"t": value}), {}) == {"t": value}


# ---- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (7, "7"),
        (b, "b"),
        (1 + 2 * t, "2*t + 1"),
        (t * b, "b*t"),
        (b * b - t, "b*b - t"),
        (3 - b, "-b + 3"),
        ((t + 1) // 2, "(t + 1)//2"),
        (t // 2 // b, "(t//2)//b"),
        (t - t // 2, "t - t//2"),
        (-(t // 2), "-(t//2)"),
        (3 * (t // 2), "3*(t//2)"),
        (t % 2, "t - 2*(t//2)"),
        (-5 // b, "(-5)//b"),
        (t // (2 * b), "t//(2*b)"),
        (dim_max(2, b - 1), "max(b - 1, 2)"),
        (dim_min(t, b, 4) // 3, "min(b, t, 4)//3"),
    ],
)
def test_text(size, wanted):
    assert str(size) == repr(size) == wanted
    assert text(size) == wanted.replace(" ", "")
    assert parse_dim(wanted) == size


def test_parse_reads_more_than_is_written():
    assert parse_dim(" ( b+1 ) * (b + 1) ") == (b + 1) * (b + 1)
    assert parse_dim("-t//2") == -t // 2
    assert parse_dim("t % 2") == t % 2
    assert parse_dim("b - t - s") == b - (t + s)
    assert parse_dim("--3") == 3
    assert parse_dim("max(3, min(4, 9))") == 4
    assert parse_dim("batch_1") == named("batch_1")


# ---- messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "wanted"),
    [
        (
            lambda: b < t,
            UndecidedError,
            "[size] wants sizes that tell whether b < t.\n"
            "Received b and t, which are unrelated.\n"
            "Give both the same name or a fixed size.",
        ),
        (
            lambda: b <= 5,
            UndecidedError,
            "[size] wants sizes that tell whether b <= 5.\n"
            "Received b (1 or more).\n"
            "Give b a fixed size.",
        ),
        (
            lambda: same(b * t, t + 4),
            UndecidedError,
            "[size] wants sizes that tell whether b*t = t + 4.\n"
            "Received b*t (1 or more) and t + 4 (5 or more).\n"
            "Give b and t fixed sizes.",
        ),
        (
            lambda: bool(b - t),
            UndecidedError,
            "[size] wants sizes that tell whether b - t = 0.\n"
            "Received b - t (any integer).\n"
            "Give b and t fixed sizes.",
        ),
        (
            lambda: range(b + 1),
            DimError,
            "[size] wants a symbolic size to stay a symbol: it has no number while tracing.\n"
            "Received b + 1, where Python needs a number.\n"
            "Use it in shapes and arithmetic, take its value as a tensor with size(dim), "
            "or make the argument static.",
        ),
        (
            lambda: b / 2,
            DimError,
            "[size] wants division with //, as a size is an integer.\n"
            "Received b / 2.\n"
            "Write // for a size, or divide size(dim), its value as a tensor.",
        ),
        (
            lambda: (b + 1) // 0,
            DimError,
            "[size] wants a divisor other than 0.\nReceived (b + 1) // 0.",
        ),
        (
            lambda: dim_max(b, 2.5),
            DimError,
            "[size] wants an integer or a symbolic size.\n"
            "Received 2.5.\n"
            "Write a number such as 3, or a size such as x.shape[0].",
        ),
        (
            lambda: named("max"),
            DimError,
            "[named] wants a name of letters, digits and _, not starting with a digit, "
            "not max or min.\n"
            "Received 'max'.\n"
            "Write for instance named('batch').",
        ),
        (
            lambda: substitute(b, {"b": 0}),
            DimError,
            "[substitute] wants sizes of 1 or more for names.\nReceived b = 0.",
        ),
        (
            lambda: solve(b * t, 6, {}),
            UndecidedError,
            "[solve] wants b*t = 6 to have one unknown size, plainly added or multiplied.\n"
            "Received unknown b and t.\n"
            "Let an axis that is just this name, such as the b of f32[b], be solved first.",
        ),
        (
            lambda: parse_dim("2*t+"),
            DimError,
            "[parse_dim] wants a number, a name or ( here.\n"
            "Received the end at position 4 of '2*t+'.",
        ),
        (
            lambda: parse_dim("2 t"),
            DimError,
            "[parse_dim] wants an operator or the end here.\nReceived 't' at position 2 of '2 t'.",
        ),
        (
            lambda: parse_dim("max(b; 2)"),
            DimError,
            "[parse_dim] wants , or ) here.\nReceived ';' at position 5 of 'max(b; 2)'.",
        ),
    ],
)
def test_messages(call, kind, wanted):
    with pytest.raises(ThalwegError) as caught:
        call()
    assert type(caught.value) is kind
    assert isinstance(caught.value, ValueError)
    assert caught.value.message == wanted


@pytest.mark.parametrize(
    "words", ["", "b$", "(b", "b)", "1b", "max", "max()", "b//", "b c", "é", "٣"]
)
def test_parse_refuses(words):
    with pytest.raises(DimError, match="at position"):
        parse_dim(words)


def test_other_operands_are_left_alone():
    for call in (lambda: b + 1.5, lambda: b < None, lambda: b // 2.0):
        with pytest.raises(TypeError):
            call()

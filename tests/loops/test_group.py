"""Groups: which nests walk the same rows, in which order all runs, and what is left alone."""

import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ArgumentError
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.types import float32, tensor_type
from thalweg.loops.group import Item, grouped, reads_rows, walks_rows
from thalweg.loops.lower import lower
from thalweg.loops.schedule import keep, schedule
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import dot
from thalweg.ops.elementwise import add, exp, multiply
from thalweg.ops.movement import reverse, transpose
from thalweg.ops.reduce import max as max_op


def nest(*shapes, body):
    return lower(build("f", [tensor_type(float32, shape) for shape in shapes], body))


ROW_MAX = nest((32, 160), body=lambda x: max_op(x, axes=(1,)))
MINUS = nest((32, 160), (32,), body=lambda x, m: add(x, broadcast(m, shape=(32, 160), axes=(0,))))
COLUMN_SUM = nest((32, 160), body=lambda x: sum_op(x, axes=(0,)))
TURNED = nest((160, 32), body=lambda x: exp(transpose(x, axes=(1, 0))))
BACKWARDS = nest((32, 160), body=lambda x: exp(reverse(x, axes=(0,))))


def test_rows_are_walked_by_what_stays_in_them():
    assert walks_rows(ROW_MAX, 1) and walks_rows(MINUS, 1) and walks_rows(BACKWARDS, 1)
    assert not walks_rows(TURNED, 1), "it reads across rows"
    assert not walks_rows(COLUMN_SUM, 1), "its result has no rows of 32"
    assert reads_rows(MINUS, 0, 1) and reads_rows(MINUS, 1, 1) and reads_rows(ROW_MAX, 0, 1)
    assert not reads_rows(TURNED, 0, 1) and not reads_rows(BACKWARDS, 0, 1)
    short = nest((32, 10), body=lambda x: max_op(x, axes=(1,)))
    assert not walks_rows(short, 1), "short rows are done across"


def test_products_walk_rows_only_with_a_matrix_for_each():
    batch = {"contract": ((2,), (1,)), "batch": ((0,), (0,))}
    scores = nest((6, 20, 8), (6, 8, 30), body=lambda x, y: dot(x, y, **batch))
    shared = nest((6, 20, 8), (8, 30), body=lambda x, y: dot(
        x, y, contract=((2,), (0,)), batch=((), ())))  # fmt: skip
    assert walks_rows(scores, 1)
    assert not walks_rows(scores, 2), "its rows would share no columns"
    assert not walks_rows(shared, 1)


def items(*entries):
    return [Item(each, args, results, what) for what, each, args, results in entries]


def names(found):
    return [[member.what for member in item.members] or item.what for item in found]


def test_softmax_is_one_group():
    divide = MINUS
    total = nest((32, 160), body=lambda x: sum_op(exp(x), axes=(1,)))
    found = grouped(items(
        ("max", ROW_MAX, [0], [1]), ("exp", MINUS, [0, 1], [2]),
        ("sum", total, [2], [3]), ("divide", divide, [2, 3], [4]),
    ))  # fmt: skip
    assert names(found) == [["max", "exp", "sum", "divide"]]
    assert (found[0].args, found[0].results, found[0].depth) == ([0], [1, 2, 3, 4], 1)


def test_what_needs_whole_results_waits_for_the_group():
    found = grouped(items(
        ("max", ROW_MAX, [0], [1]), ("columns", COLUMN_SUM, [0], [2]),
        ("minus", MINUS, [0, 1], [3]), ("of it", COLUMN_SUM, [3], [4]),
        ("sort", None, [3], [5]), ("after", MINUS, [5, 1], [6]),
    ))  # fmt: skip
    assert names(found) == ["columns", ["max", "minus"], "of it", "sort", "after"]


def test_what_a_member_reads_is_taken_along():
    other = nest((32, 160), body=exp)
    both = nest((32, 160), (32, 160), body=multiply)
    found = grouped(items(
        ("max", ROW_MAX, [0], [1]), ("other", other, [7], [2]), ("minus", MINUS, [0, 1], [3]),
        ("both", both, [3, 2], [4]),
    ))  # fmt: skip
    assert names(found) == [["max", "minus", "other", "both"]]
    # Unless something that runs before the group needs it.
    found = grouped(items(
        ("max", ROW_MAX, [0], [1]), ("other", other, [7], [2]), ("sort", None, [2], [5]),
        ("minus", MINUS, [0, 1], [3]), ("both", both, [3, 2], [4]),
    ))  # fmt: skip
    assert names(found) == ["other", "sort", ["max", "minus", "both"]]


def test_nothing_is_grouped_that_shares_nothing():
    found = grouped(items(("a", ROW_MAX, [0], [1]), ("b", ROW_MAX, [2], [3])))
    assert names(found) == ["a", "b"]
    assert names(grouped(items(("sort", None, [0], [1])))) == ["sort"]
    empty = nest((0, 160), body=exp)
    assert names(grouped(items(("a", empty, [0], [1]), ("b", empty, [1], [2])))) == ["a", "b"]


def test_kept_axes_stay_tasks():
    b = named("b")
    kept = schedule(keep(nest((b, 4, 160), body=exp), 2), 16, 32)
    assert [line.strip() for line in str(kept).splitlines()[1:3]] == [
        "for i1 in (4*b) parallel kept",
        "for i2 in 160 vector",
    ]
    for axes in (0, 4):
        with pytest.raises(ArgumentError, match="1 to 3 outer axes"):
            keep(nest((b, 4, 160), body=exp), axes)

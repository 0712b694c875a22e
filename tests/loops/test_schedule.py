"""Directives: each as text before and after, what they refuse, and the recipe's choices."""

import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ArgumentError
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full
from thalweg.ir.types import float32, int32, tensor_type
from thalweg.loops.lower import lower
from thalweg.loops.schedule import (
    best_rows,
    coalesce,
    divide_sums,
    factor_along,
    is_contraction,
    jam,
    pack,
    reorder,
    schedule,
    slice_sums,
    vectorize,
)
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.contract import conv, dot
from thalweg.ops.elementwise import add, exp, multiply
from thalweg.ops.index import gather, scatter
from thalweg.ops.movement import iota, pad, slice, transpose
from thalweg.ops.reduce import max as max_op


def nest(*shapes, body, dtype=float32):
    return lower(build("f", [tensor_type(dtype, shape) for shape in shapes], body))


def text(each):
    """The loops of a nest without its first line."""
    return "\n".join(str(each).splitlines()[1:])


MAP = nest((32, 784), body=exp)
PRODUCT = nest((8, 5), (5, 64), body=lambda x, y: dot(x, y, contract=((1,), (0,)), batch=((), ())))


def test_coalesce_joins_what_is_walked_as_one():
    assert text(MAP) == (
        "  for i0 in 32 parallel\n"
        "    for i1 in 784\n"
        "      out0[784*i0 + i1] = exp(in0[784*i0 + i1])"
    )
    assert text(coalesce(MAP)) == (
        "  for i1 in 25088 parallel\n"
        "    out0[i1] = exp(in0[i1])"
    )  # fmt: skip


def test_coalesce_joins_inner_axes_and_named_sizes():
    b = named("b")
    total = coalesce(nest((b, 3, 4, 5), body=lambda x: sum_op(x, axes=(2, 3))))
    assert text(total) == (
        "  for i1 in (3*b) parallel\n"
        "    r0 = 0\n"
        "    for k3 in 20\n"
        "      r0 = add(r0, in0[20*i1 + k3])\n"
        "    out0[i1] = r0"
    )


def test_coalesce_joins_only_two_of_three():
    each = coalesce(
        nest((2, 3, 4), (4,), body=lambda x, y: add(x, broadcast(y, shape=(2, 3, 4), axes=(2,))))
    )
    assert each.outer == (("i1", 6), ("i2", 4))


@pytest.mark.parametrize(
    "body",
    [
        lambda x: transpose(exp(x), axes=(1, 0)),
        lambda x: slice(exp(x), start=(0, 1), limit=(4, 6), stride=(1, 1)),
        lambda x: add(x, iota(dtype=float32, shape=(4, 6), axis=1)),
        lambda x: add(x, iota(dtype=float32, shape=(4, 6), axis=0)),
    ],
)
def test_coalesce_leaves_what_is_walked_otherwise(body):
    before = nest((4, 6), body=body)
    assert coalesce(before) == before


def test_coalesce_keeps_what_a_bound_tells_apart():
    def body(x):
        none = {"low": (0, 1), "high": (0, 0), "interior": (0, 0)}
        return pad(x, full(0.0, float32), **none)

    before = nest((4, 6), body=body)
    assert coalesce(before) == before
    rows = coalesce(nest((4, 6), body=lambda x: pad(
        x, full(0.0, float32), low=(1, 0), high=(0, 0), interior=(0, 0))))  # fmt: skip
    assert rows == nest((4, 6), body=lambda x: pad(
        x, full(0.0, float32), low=(1, 0), high=(0, 0), interior=(0, 0)))  # fmt: skip


def test_reorder_goes_from_long_strides_to_short():
    before = nest((8, 32, 5), (8, 32, 7), body=lambda x, y: dot(
        x, y, contract=((1, 0), (1, 0)), batch=((), ())))  # fmt: skip
    assert before.inner == (("k0", 32), ("k1", 8))
    assert reorder(before).inner == (("k1", 8), ("k0", 32))
    assert schedule(before).inner == (("k0", 256),), "in order, both walk memory as one"


def test_a_scatter_is_cut_into_blocks_of_its_result():
    def body(x, i):
        return scatter(full(0.0, float32, (100, 20)), x, i, axes=(0,), mode="add")

    each = schedule(lower(build("f", [tensor_type(float32, (7, 20)),
                                      tensor_type(int32, (7,))], body)))  # fmt: skip
    assert each.rows == ("i0", 7) and each.vector == "i1"
    counts = schedule(lower(build("f", [tensor_type(int32, (7,)), tensor_type(int32, (7,))],
        lambda x, i: scatter(full(0, int32, (100,)), x, i, axes=(0,), mode="add"))))  # fmt: skip
    assert counts.rows == ("i0", 100), "a block for each few rows would read all indices again"


def test_what_is_turned_is_moved_in_blocks():
    turned = schedule(nest((50, 40), body=lambda x: transpose(exp(x), axes=(1, 0))))
    assert turned.rows == ("i0", 16)
    gathered = schedule(lower(build("f", [tensor_type(float32, (50, 40)), tensor_type(int32, (9,))],
                                    lambda x, i: gather(x, i, axes=(0,)))))  # fmt: skip
    assert gathered.vector == "i1" and gathered.rows is None


def test_vectorize_marks_an_axis():
    assert text(vectorize(MAP, "i1")).splitlines()[1] == "    for i1 in 784 vector"
    total = nest((3, 4), body=lambda x: sum_op(x, axes=(1,)))
    assert "for k1 in 4 vector" in str(vectorize(total, "k1"))


def test_vectorize_refuses():
    with pytest.raises(ArgumentError, match="every store walks by one"):
        vectorize(MAP, "i0")
    with pytest.raises(ArgumentError, match="an axis of the nest"):
        vectorize(MAP, "k7")


def test_jam_marks_rows_and_vectors():
    before = vectorize(PRODUCT, "i1")
    assert text(jam(before, "i0", 4, 2)) == (
        "  for i0 in 8 parallel rows x4\n"
        "    for i1 in 64 vector x2\n"
        "      r0 = 0\n"
        "      for k0 in 5\n"
        "        r0 = add(r0, multiply(in0[5*i0 + k0], in1[64*k0 + i1]))\n"
        "      out0[64*i0 + i1] = r0"
    )


def test_jam_refuses():
    before = vectorize(PRODUCT, "i1")
    for axis in ("i1", "k0", "z"):
        with pytest.raises(ArgumentError, match="an outer axis other than the vector axis"):
            jam(before, axis, 4, 1)
    for rows, vectors in ((0, 1), (1, 0)):
        with pytest.raises(ArgumentError, match="at least one row and vector"):
            jam(before, "i0", rows, vectors)


def test_pack_marks_the_factor_of_an_axis():
    tiled = jam(vectorize(PRODUCT, "i1"), "i0", 4, 2)
    assert text(pack(pack(tiled, "i0"), "i1")).splitlines()[:2] == [
        "  for i0 in 8 parallel rows x4 packed",
        "    for i1 in 64 vector x2 packed",
    ]
    assert [factor_along(tiled, axis) for axis in ("i0", "i1")] == [0, 1]


def test_pack_refuses():
    with pytest.raises(ArgumentError, match="the axis of rows or of vectors"):
        pack(vectorize(PRODUCT, "i1"), "i1")
    with pytest.raises(ArgumentError, match="the axis of rows or of vectors"):
        pack(jam(vectorize(PRODUCT, "i1"), "i0", 4, 2), "k0")
    both = nest((8, 5), (8, 5), body=lambda x, y: dot(
        x, y, contract=((), ()), batch=((0, 1), (0, 1))))  # fmt: skip
    assert not is_contraction(both) or factor_along(both, "i0") is None


def gradient_of_kernel(batch, places=11, rows=32, columns=64, window=3):
    """Sums over images and their places, as gradients of a convolution's kernel are."""

    def body(x, y):
        turned = transpose(x, axes=(3, 1, 2, 0)), transpose(y, axes=(1, 2, 0, 3))
        return conv(*turned, strides=(1, 1), padding=((0, 0), (0, 0)),
                    input_dilation=(1, 1), kernel_dilation=(1, 1))  # fmt: skip

    larger = places + window - 1
    return nest((batch, larger, larger, rows), (batch, places, places, columns), body=body)


def test_slice_sums_marks_the_axes_around_and_within():
    tiled = jam(vectorize(PRODUCT, "i1"), "i0", 4, 2)
    assert text(slice_sums(tiled, 1, 2, ())).splitlines()[3] == "      for k0 in 5 sliced by 2"
    long = schedule(gradient_of_kernel(named("b"), columns=250))
    assert text(long).splitlines()[1:3] == ["    for i1 in 3", "      for i2 in 3 swept"]
    assert text(long).splitlines()[5:7] == [
        "          for k2 in b sliced",
        "            for k0 in 11",
    ]
    assert [long.block, long.packed] == [(3, 2), ()]


def test_divide_sums_gives_each_part_a_result_of_its_own():
    tiled = slice_sums(jam(vectorize(PRODUCT, "i1"), "i0", 4, 2), 1, 2, ())
    divided = divide_sums(tiled, 3)
    assert [each.shape for each in divided.outputs] == [(3, 8, 64)]
    lines = text(divided).splitlines()
    assert lines[0] == "  for part in 3 parallel"
    assert lines[4].endswith("for k0 in 5 sliced by 2 in 3 parts")
    assert "512*part" in lines[-1]


def test_divide_sums_refuses():
    tiled = jam(vectorize(PRODUCT, "i1"), "i0", 4, 2)
    with pytest.raises(ArgumentError, match="slices, and a result of known size"):
        divide_sums(tiled, 3)
    sliced = slice_sums(tiled, 1, 2, ())
    with pytest.raises(ArgumentError, match="two parts or more"):
        divide_sums(sliced, 1)
    with pytest.raises(ArgumentError, match="slices, and a result of known size"):
        divide_sums(divide_sums(sliced, 3), 3)


def test_the_recipe_divides_long_sums_of_few_results():
    few = schedule(gradient_of_kernel(64))
    assert few.parts and few.swept == ("i1", "i2")
    assert not schedule(gradient_of_kernel(64, columns=250)).parts, "many results"


def test_slice_sums_refuses():
    tiled = jam(vectorize(PRODUCT, "i1"), "i0", 4, 2)
    for depth, count in ((0, 1), (2, 1), (1, 0)):
        with pytest.raises(ArgumentError, match="inner axes and some steps"):
            slice_sums(tiled, depth, count, ())
    with pytest.raises(ArgumentError, match="outer axes to sweep"):
        slice_sums(tiled, 1, 2, ("i0",))
    with pytest.raises(ArgumentError, match="stored as they are"):
        slice_sums(pack(tiled, "i0"), 1, 2, ())


def test_the_recipe_slices_long_sums_alone():
    assert schedule(gradient_of_kernel(64)).slices == (1, 5)
    assert schedule(gradient_of_kernel(2)).slices is None, "a short sum"
    assert schedule(gradient_of_kernel(8, 56, 128, 256)).slices == (2, 3), "an image is too large"


def test_the_recipe_packs_what_is_read_often_and_divides_the_columns_of_few_rows():
    def product(rows, columns, inner=40):
        return schedule(nest((rows, inner), (inner, columns), body=lambda x, y: dot(
            x, y, contract=((1,), (0,)))), 16, 32)  # fmt: skip

    assert product(1000, 1000, 1024).packed == ("i1", "i0")
    assert product(1000, 1000).packed == ("i1",), "rows that do not share places are in order"
    assert product(1000, 64, 1024).packed == ("i1",), "rows that are read twice are read in place"
    assert product(20, 1000, 1024).packed == ("i0",), "columns that are read twice as well"
    assert product(1000, 10).packed == ()
    assert product(1000, 1000).block[0] <= 16
    assert product(64, 1000).block == (5, 4)
    assert product(10, 1000).vectors == 2 and product(1, 1000).vectors == 16


@pytest.mark.parametrize("most", [6, 14])
@pytest.mark.parametrize("extent", [1, 2, 9, 14, 15, 16, 28, 30, 64, 97, 1000])
def test_rows_make_few_tiles_that_are_full(extent, most):
    def tiles(rows):
        return -(-extent // rows)

    rows = best_rows(extent, most)
    assert 1 <= rows <= most and tiles(rows) == tiles(most)
    assert rows in (1, most // 2 + 1) or tiles(rows - 1) > tiles(most)


def test_rows_of_no_and_of_unknown_extent():
    assert best_rows(0, 14) == 1
    assert best_rows(named("b"), 14) == 8
    assert best_rows(named("b"), 6) == 6


def test_the_recipe_chooses_neighbours():
    rows = schedule(nest((7, 100), body=lambda x: max_op(x, axes=(1,))))
    assert rows.vector == "k1", "neighbours in memory are the steps of the sum"
    columns = schedule(nest((7, 100), body=lambda x: max_op(x, axes=(0,))))
    assert columns.vector == "i0" and columns.rows is None
    turned = schedule(nest((50, 40), body=lambda x: transpose(exp(x), axes=(1, 0))))
    assert turned.vector == "i1", "stores are neighbours, loads are gathered"
    assert schedule(nest((), body=exp)).vector is None


def test_the_recipe_gives_contractions_a_tile_that_fits_the_registers():
    for lanes, registers in ((16, 32), (8, 16), (4, 16), (4, 32)):
        each = schedule(PRODUCT, lanes, registers)
        assert each.vector == "i1" and each.rows[0] == "i0"
        assert each.rows[1] * each.vectors + each.vectors + 1 <= registers
    narrow = nest((8, 5), (5, 9),
                  body=lambda x, y: dot(x, y, contract=((1,), (0,)), batch=((), ())))  # fmt: skip
    assert schedule(narrow, 16, 32).vectors == 1


def test_rows_share_a_factor():
    """Along groups, as along a batch, both factors differ: there rows have nothing in common."""
    attrs = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "input_dilation": (1, 1),
             "kernel_dilation": (1, 1), "feature_groups": 8, "batch_groups": 1}  # fmt: skip
    grouped = nest((2, 28, 28, 64), (3, 3, 8, 64), body=lambda x, k: conv(x, k, **attrs))
    found = schedule(grouped)
    assert found.rows is not None
    extent = dict(found.outer)[found.rows[0]]
    assert extent == 28 and found.outer[-2][1] == 8, "pixels, not groups"
    batched = nest((40, 9, 8), (40, 8, 33), body=lambda x, y: dot(
        x, y, contract=((2,), (1,)), batch=((0,), (0,))))  # fmt: skip
    found = schedule(batched)
    assert found.rows is not None and dict(found.outer)[found.rows[0]] == 9


def test_a_sum_of_products_is_a_contraction_and_nothing_else_is():
    pair = ((3, 4), (3, 4))
    assert is_contraction(nest(*pair, body=lambda x, y: sum_op(multiply(x, y), axes=(0,))))
    assert not is_contraction(nest(*pair, body=lambda x, y: sum_op(add(x, y), axes=(0,))))
    assert not is_contraction(nest(*pair, body=lambda x, y: max_op(multiply(x, y), axes=(0,))))
    assert not is_contraction(MAP)
    assert is_contraction(
        nest(*pair, body=lambda x, y: sum_op(multiply(x, y), axes=(0,)), dtype=int32)
    )

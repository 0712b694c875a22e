"""einsum: random subscripts against NumPy, the graph, derivatives, named sizes, messages."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.array.creation import asarray, zeros
from thalweg.array.derivatives import grad, vmap
from thalweg.array.elementwise import multiply
from thalweg.array.linalg import einsum
from thalweg.array.statistical import sum
from thalweg.base.errors import ArgumentTypeError, DTypeError, ShapeError, ThalwegError
from thalweg.engine.tensor import node_of
from thalweg.engine.trace import function
from thalweg.ir.walk import postorder

LETTERS = "ijkAz"
STACK = (2, 3)


@st.composite
def programs(draw):
    """Subscripts with operands: repeated letters, "...", size 1, with and without an output."""
    sizes = {letter: draw(st.integers(0, 3)) for letter in LETTERS}
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        letters = draw(st.lists(st.sampled_from(LETTERS), max_size=4))
        # A letter that occurs once in an operand may have size 1 there, and stretches.
        shape = [
            1 if letters.count(each) == 1 and draw(st.booleans()) and draw(st.booleans())
            else sizes[each]
            for each in letters
        ]  # fmt: skip
        text = "".join(letters)
        if draw(st.booleans()):
            place = draw(st.integers(0, len(letters)))
            depth = draw(st.integers(0, len(STACK)))
            stack = [1 if draw(st.booleans()) else size for size in STACK[len(STACK) - depth :]]
            text = f"{text[:place]}...{text[place:]}"
            shape[place:place] = stack
        terms.append(text)
        shapes.append(tuple(shape))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set(subscripts) & set(LETTERS))
        output = "".join(draw(st.lists(st.sampled_from(used), unique=True)) if used else [])
        if "..." in subscripts:
            place = draw(st.integers(0, len(output)))
            output = f"{output[:place]}...{output[place:]}"
        subscripts = f"{subscripts}->{output}"
    return subscripts, shapes


def data(shape, seed=0, dtype="float64"):
    generator = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind == "c":
        return (generator.normal(size=shape) + 1j * generator.normal(size=shape)).astype(dtype)
    return generator.normal(size=shape).astype(dtype)


def check(subscripts, *operands, rtol=1e-10):
    found = einsum(subscripts, *operands).numpy()
    wanted = np.asarray(np.einsum(subscripts, *operands))
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


@settings(max_examples=400)
@given(programs(), st.sampled_from(["float64", "int64", "complex128"]))
def test_agrees_with_numpy(program, dtype):
    subscripts, shapes = program
    if dtype == "int64":
        operands = [(data(shape, n) * 5).astype(dtype) for n, shape in enumerate(shapes)]
    else:
        operands = [data(shape, n, dtype) for n, shape in enumerate(shapes)]
    check(subscripts, *operands)


@settings(max_examples=60)
@given(programs())
def test_derivatives(program):
    subscripts, shapes = program
    operands = [data(shape, n) for n, shape in enumerate(shapes)]
    weights = data(np.einsum(subscripts, *operands).shape, 7)
    for place, x in enumerate(operands):
        rest = list(operands)

        def one(x, place=place, rest=rest):
            rest[place] = x
            return sum(multiply(einsum(subscripts, *rest), weights))

        found = grad(one)(x).numpy()
        assert found.shape == x.shape
        # The result is linear in each operand: along a direction it changes by the slope.
        direction = data(x.shape, 8)
        change = float(one(asarray(x + direction))) - float(one(asarray(x)))
        np.testing.assert_allclose(np.sum(found * direction), change, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ij,jk->ki", [(2, 3), (3, 4)]),
        ("ba", [(2, 3)]),
        ("ii", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("iij,jii->ji", [(2, 2, 3), (3, 2, 2)]),
        ("i->", [(3,)]),
        ("->", [()]),
        (",", [(), ()]),
        (" i j , j k -> i k ", [(2, 3), (3, 4)]),
        ("...ij,...jk", [(5, 2, 3), (4, 1, 3, 2)]),
        ("i...,i...->...", [(3, 2, 4), (3, 1)]),
        ("...", [(2, 3)]),
        ("B...a,Aa", [(3, 1, 4), (2, 4)]),
        ("ij->ij...", [(2, 3)]),
        ("ij,jk", [(2, 1), (3, 4)]),
        ("ij,ij->ij", [(1, 3), (2, 3)]),
        ("i,ij,ijk,k->j", [(2,), (2, 3), (2, 3, 4), (4,)]),
        ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("ij,jk,kl,lm", [(2, 3), (3, 0), (0, 4), (4, 2)]),
        ("i,j,k", [(2,), (3,), (4,)]),
        ("ij,ik->i", [(2, 3), (2, 4)]),
    ],
)
def test_examples(subscripts, shapes):
    operands = [data(shape, n) for n, shape in enumerate(shapes)]
    check(subscripts, *operands)
    wanted = np.einsum(subscripts, *operands)
    mapped = vmap(lambda *xs: einsum(subscripts, *xs))(*(np.stack([x, 2 * x]) for x in operands))
    factor = 2.0 ** len(operands)
    np.testing.assert_allclose(mapped.numpy(), np.stack([wanted, factor * wanted]), atol=1e-9)


def test_element_types():
    x, y = data((2, 3), dtype="float32"), data((3,))
    check("ij,j", x, y)
    check("ij,j", x, data((3,), dtype="complex64"), rtol=1e-5)
    check("ij,j->i", np.full((2, 3), 100, np.int8), np.full(3, 100, np.int8))
    assert einsum("i,->i", asarray(np.ones(3, np.float16)), 2.5).dtype == "float16"
    assert float(einsum("i,i", np.ones(5000, np.float16), np.ones(5000, np.float16))) == 5000
    with pytest.raises(DTypeError, match="numbers"):
        einsum("i->", np.array([True]))


# The graph ----------------------------------------------------------------------------------------


def operations(subscripts, *shapes):
    found = einsum(subscripts, *(asarray(data(shape, n)) for n, shape in enumerate(shapes)))
    return [node.op.name for node in postorder([node_of(found)]) if node.args]


def test_a_product_of_two_is_one_contraction():
    assert operations("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)) == ["dot"]
    assert operations("ij,jk", (2, 3), (3, 4)) == ["dot"]
    # The operands change places rather than the result its order.
    assert operations("ij,jk->ki", (2, 3), (3, 4)) == ["dot"]
    assert operations("ij,ij->", (2, 3), (2, 3)) == ["dot"]
    # What only one operand has is summed before it is multiplied.
    assert operations("ij,kj->k", (2, 3), (4, 3)) == ["sum", "dot"]


def test_what_contracts_nothing_is_no_contraction():
    assert operations("ij,ij->ij", (2, 3), (2, 3)) == ["multiply"]
    assert operations("i,j->ij", (2,), (3,)) == ["broadcast", "broadcast", "multiply"]
    assert operations("ij->ji", (2, 3)) == ["transpose"]
    assert operations("ij->i", (2, 3)) == ["sum"]
    assert operations("ij->ij", (2, 3)) == []


def largest(subscripts, *shapes):
    found = einsum(subscripts, *(asarray(data(shape, n)) for n, shape in enumerate(shapes)))
    return max(int(np.prod(node.shape)) for node in postorder([node_of(found)]) if node.args)


def test_several_operands_are_contracted_in_a_cheap_order():
    # From the left it would pass through a matrix of 50 by 50.
    assert largest("ij,jk,k->i", (50, 2), (2, 50), (50,)) == 50
    # The vectors on the ends are taken in first, and the outer product is left for last.
    assert largest("i,ij,jk,k->", (40,), (40, 40), (40, 40), (40,)) == 40
    assert largest("a,b,ab->", (30,), (30,), (30, 30)) == 30


def test_one_trace_serves_every_batch_size():
    weights = data((3, 4))
    programs = {
        "bij,jk->bik": lambda x: einsum("bij,jk->bik", x, weights),
        "bij,cij->bc": lambda x: einsum("bij,cij->bc", x, x),
        "bij,bkj,jl": lambda x: einsum("bij,bkj,jl", x, x, weights),
        "diagonal": lambda x: einsum("bb->b", einsum("bij,cij->bc", x, x)),
        "...ij,jk": lambda x: einsum("...ij,jk", x, weights),
        "size 1": lambda x: einsum("bij,bij->b", x, weights[None, :2, :3]),
        "gradient": lambda x: grad(lambda x: sum(einsum("bij,bij,jk->bk", x, x, weights)))(x),
    }
    for name, plain in programs.items():
        traced = function(plain)
        for size in (2, 4, 5):
            x = data((size, 2, 3))
            np.testing.assert_allclose(traced(x).numpy(), plain(x).numpy(), 1e-9, 1e-9)
        assert len(traced.variants) == 2, (name, traced.why)


# Messages -----------------------------------------------------------------------------------------


def test_messages(golden):
    a, b = zeros((3, 4)), zeros((5, 4))
    cases = [
        lambda: einsum("ij,jk->ik", a, b),
        lambda: einsum("ij,jk->ik", a, zeros((5, 6))),
        lambda: einsum("ij,jk", a),
        lambda: einsum("ijk,kl", a, b),
        lambda: einsum("i,kj", a, b),
        lambda: einsum("i...jk->", a),
        lambda: einsum("ij->ik", a),
        lambda: einsum("ij->ii", a),
        lambda: einsum("ii", a),
        lambda: einsum("i1->i", a),
        lambda: einsum("i.j", a),
        lambda: einsum("ij->i->j", a),
        lambda: einsum("...i->i", a),
        lambda: einsum("...i,...i->...", a, b),
        lambda: einsum(a, "ij"),
    ]
    lines = []
    for case in cases:
        with pytest.raises(ThalwegError) as caught:
            case()
        lines.append(caught.value.message)
    golden("einsum", "\n\n".join(lines))


def test_errors_have_the_type_that_callers_expect():
    with pytest.raises(ShapeError):
        einsum("ij,jk", zeros((2, 3)), zeros((4, 5)))
    with pytest.raises(ArgumentTypeError):
        einsum(zeros((2,)), "i")

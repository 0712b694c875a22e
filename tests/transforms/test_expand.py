"""Composites spelled out: all of them, at every depth, and those that a backend keeps."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.ir.dim import named
from thalweg.ir.function import all_nodes, build
from thalweg.ir.leaves import full, items
from thalweg.ir.node import provenance
from thalweg.ir.op import find, vocabulary
from thalweg.ir.types import as_dtype, float64, int32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ir.walk import postorder
from thalweg.ops.composite import rms_norm
from thalweg.ops.control import scan, switch
from thalweg.ops.elementwise import multiply, negative, sin
from thalweg.transforms.evaluate import run
from thalweg.transforms.expand import expand, is_expanded

softmax = find("softmax")


def of(*shape, dtype=float64):
    return tensor_type(dtype, shape)


X = np.array([[0.3, -1.0, 2.0], [1.0, 0.0, -2.0]])


def assert_same_values(f, g, *arrays):
    for found, wanted in zip(run(g, *arrays), run(f, *arrays), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_function_without_composites_stays_the_same_nodes():
    f = build("f", [of(2, 3)], lambda x: (sin(x), multiply(x, sin(x))))
    assert expand(f) == f and is_expanded(f)


def test_composites_are_spelled_out():
    f = build("f", [of(2, 3)], lambda x: negative(softmax(sin(x), axes=(1,))))
    g = verify(expand(f))
    assert not is_expanded(f) and is_expanded(g)
    assert g.name == f.name and g.parameters == f.parameters and g.result_types == f.result_types
    assert_same_values(f, g, X)


def test_a_composite_of_composites_is_spelled_out_to_the_end():
    found = 0
    for op in vocabulary.values():
        if not (op.expand and op.samples):
            continue
        sample = next(iter(op.samples()))
        types = [tensor_type(as_dtype(a.dtype), a.shape) for a in sample.args]
        f = build("f", types, lambda *args, op=op, s=sample: items(op(*args, **s.attrs)))
        (node,) = [node for node in f.order() if node.op is op]
        once = op.expand(*node.args, **node.attributes)
        found += any(each.op.expand for each in postorder([once]))
        assert is_expanded(verify(expand(f)))
    assert found, "some composite is defined by another"


def test_a_backend_may_keep_some():
    def body(x):
        gamma, epsilon = full(1, float64, (3,)), full(1e-3, float64)
        return softmax(rms_norm(x, gamma, epsilon, axes=(1,)), axes=(1,))

    f = build("f", [of(2, 3)], body)
    g = verify(expand(f, keep=lambda op: op is softmax))
    kept = [node.op for node in postorder(g.results) if node.op.expand]
    assert kept == [softmax]
    assert_same_values(f, g, X)


def test_loops_and_branches_are_expanded_within():
    soft = build("soft", [of(2, 3)], lambda x: softmax(x, axes=(1,)))
    outer = build("outer", [of(2, 3)], lambda x: items(scan(x, body=soft, carries=1, length=2))[0])

    def body(i, x):
        return items(switch(i, x, branches=(outer, soft)))[0]

    f = build("f", [of(dtype=int32), of(2, 3)], body)
    g = verify(expand(f))
    assert not is_expanded(f) and is_expanded(g)
    assert not any(node.op.expand for node in all_nodes(g))
    for index in (0, 1):
        assert_same_values(f, g, np.int32(index), X)
    kept = expand(f, keep=lambda op: op is softmax)
    assert kept == f


def test_shared_composites_are_expanded_once():
    def body(x):
        y = softmax(x, axes=(1,))
        for _ in range(40):
            y = multiply(y, y)  # 2**40 paths
        return y

    f = build("f", [of(2, 3)], body)
    assert len(postorder(expand(f).results)) < 60


def test_a_composite_on_another_uses_the_expanded_one():
    f = build("f", [of(2, 3)], lambda x: softmax(softmax(x, axes=(1,)), axes=(0,)))
    g = expand(f)
    assert is_expanded(g)
    assert_same_values(f, g, X)


def test_a_deep_chain_of_composites():
    def body(x):
        for _ in range(1500):
            x = softmax(x, axes=(1,))
        return x

    assert is_expanded(expand(build("f", [of(2, 3)], body)))


@pytest.mark.parametrize("size", [2, 5])
def test_named_sizes(size):
    b = named("b")
    f = build("f", [of(b, 3)], lambda x: softmax(x, axes=(1,)))
    g = verify(expand(f))
    assert_same_values(f, g, np.resize(X, (size, 3)))


def test_new_nodes_come_from_the_composite():
    f = build("f", [of(7, 3)], lambda x: softmax(x, axes=(1,)))
    (composite,) = f.results
    made = [node for node in expand(f).order() if node.args]
    assert all(provenance(node).place == provenance(composite).place for node in made)
    assert {provenance(node).rule for node in made} == {"expand"}

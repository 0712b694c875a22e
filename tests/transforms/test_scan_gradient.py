"""Derivatives of scan: beside the same steps spelled out, and what of them is left to the loop."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.ir.walk import postorder
from thalweg.ops.control import scan

T, B, H = 5, 3, 4

# Each: the constant, the carry, the slice -> the next carry.
BODIES = {
    "a product": lambda w, h, x: tw.tanh(h @ w + x),
    "a product turned": lambda w, h, x: tw.tanh(h @ tw.matrix_transpose(w) + x),
    "two products": lambda w, h, x: tw.tanh(h @ w + tw.sin(x @ w)),
    "a product of the constant": lambda w, h, x: tw.tanh((h @ w) @ w + x),
    "a bias": lambda w, h, x: tw.tanh(h + x + w[0]),
    "by elements": lambda w, h, x: tw.tanh(h * w[0] + x),
    "a power": lambda w, h, x: tw.tanh(h @ (w * w) + x),
}


def arrays():
    generator = np.random.default_rng(0)
    return [generator.uniform(-1, 1, shape) for shape in ((H, H), (B, H), (T, B, H))]


def looped(body, reverse):
    def f(w, h, xs):
        def step(h, x):
            h = body(w, h, x)
            return h, h

        last, ys = tw.scan(step, h, xs, reverse=reverse)
        return tw.sum(last * last) + tw.sum(tw.sin(ys))

    return f


def spelled_out(body, reverse):
    def f(w, h, xs):
        total = 0.0
        for t in range(T - 1, -1, -1) if reverse else range(T):
            h = body(w, h, xs[t])
            total = total + tw.sum(tw.sin(h))
        return total + tw.sum(h * h)

    return f


@pytest.mark.parametrize("backend", ["reference", "native"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_derivatives_are_those_of_the_steps_spelled_out(name, reverse, backend):
    body = BODIES[name]
    given = [tw.asarray(each) for each in arrays()]
    found = tw.function(tw.grad(looped(body, reverse), argnums=(0, 1, 2)))
    found.backend = backend
    wanted = tw.grad(spelled_out(body, reverse), argnums=(0, 1, 2))(*given)
    for one, other in zip(found(*given), wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-9, atol=1e-12)


def loops_of(body):
    traced = tw.function(tw.grad(looped(body, False), argnums=0))
    graph = traced.trace(*[tw.asarray(each) for each in arrays()])
    return [node for node in postorder(graph.results) if node.op is scan]


def test_sums_of_products_are_made_after_the_loop():
    backward = loops_of(BODIES["a product"])[-1]
    assert backward.attributes["carries"] == 1, "the derivative by the state, and none by w"


def test_a_product_is_kept_and_not_computed_again():
    backward = loops_of(BODIES["a product"])[-1]
    products = [node for node in backward.attributes["body"].order() if node.op.name == "dot"]
    assert len(products) == 1, "dh = dy w', while h w comes from the first loop"


def test_second_derivatives():
    body = BODIES["a product"]
    given = [tw.asarray(each) for each in arrays()]

    def curvature(f):
        return tw.grad(lambda w: tw.sum(tw.grad(f, argnums=0)(w, *given[1:]) ** 2))(given[0])

    found, wanted = curvature(looped(body, False)), curvature(spelled_out(body, False))
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-8)


def test_no_steps():
    w, h, _ = (tw.asarray(each) for each in arrays())
    f = looped(BODIES["a product"], False)
    found = tw.grad(f, argnums=(0, 1))(w, h, tw.zeros((0, B, H), dtype=w.dtype))
    assert np.array_equal(found[0].numpy(), np.zeros((H, H)))
    np.testing.assert_allclose(found[1].numpy(), 2 * h.numpy())

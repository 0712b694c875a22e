"""Derivatives against central differences in float64, closed forms, and one another.

A derivative is asked for in every place where a program may ask for one: at the top, in a traced
function, under vmap, in the body of a loop or a branch, through variables, with a tape.
"""

import functools
import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.base.errors import ThalwegError
from thalweg.engine.tape import active_recorder
from thalweg.engine.tree import flatten, map_leaves, unflatten


def double(*values):
    """A float64 tensor."""
    return tw.asarray(np.array(values if len(values) != 1 else values[0], np.float64))


def random_values(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, shape)


def central_differences(function, value, step=1e-6):
    """The gradient of a real function of one nested argument; dL/dRe + i dL/dIm for complex."""
    leaves, structure = flatten(map_leaves(np.array, value))

    def at(index, place, change):
        moved = [leaf.copy() for leaf in leaves]
        moved[index][place] += change
        return float(function(unflatten(structure, [tw.asarray(leaf) for leaf in moved])))

    def slope(index, place, change):
        return (at(index, place, change) - at(index, place, -change)) / (2 * step)

    result = []
    for index, leaf in enumerate(leaves):
        gradient = np.zeros_like(leaf)
        for place in np.ndindex(leaf.shape):
            gradient[place] = slope(index, place, step)
            if leaf.dtype.kind == "c":
                gradient[place] += 1j * slope(index, place, 1j * step)
        result.append(gradient)
    return unflatten(structure, result)


def assert_close(found, wanted, tolerance=1e-6):
    """Nested alike; where `found` has a tensor, `wanted` may have lists of numbers."""
    if found is None:
        assert wanted is None
    elif isinstance(found, dict):
        assert found.keys() == wanted.keys()
        for key in found:
            assert_close(found[key], wanted[key], tolerance)
    elif isinstance(found, (list, tuple)):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            assert_close(a, b, tolerance)
    else:
        a, b = np.asarray(found), np.asarray(wanted)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def check_gradient(function, value, tolerance=1e-6):
    """One argument, against central differences: plain, traced, and over a batch of one."""
    wanted = central_differences(function, value)
    tensors = map_leaves(tw.asarray, value)
    assert_close(tw.grad(function)(tensors), wanted, tolerance)
    assert_close(tw.function(tw.grad(function))(tensors), wanted, tolerance)
    assert_close(tw.grad(tw.function(function))(tensors), wanted, tolerance)
    one = map_leaves(lambda x: x[None], tensors)
    batched = tw.vmap(tw.grad(function))(one)
    assert_close(map_leaves(lambda x: x[0], batched), wanted, tolerance)


# grad and value_and_grad --------------------------------------------------------------------------

PLAIN = {
    "a polynomial": lambda x: tw.sum(x**3 - 2 * x),
    "products and quotients": lambda x: tw.sum(x * tw.exp(x) / (2 + tw.sin(x))),
    "a matrix product": lambda x: tw.sum(tw.tanh(x @ x.T)),
    "a reduction twice": lambda x: tw.sum(tw.mean(x, axis=0) ** 2) * tw.max(x),
    "slices and joins": lambda x: tw.sum(tw.concat([x[:1] * x[1:2], x[-1:] ** 2], axis=0)),
    "a gather": lambda x: tw.sum(tw.take(x, tw.asarray([0, 0, 1]), axis=1) ** 2),
    "a sort": lambda x: tw.sum(tw.sort(x, axis=1) * tw.arange(3, dtype="float64")),
    "a branch by value": lambda x: tw.sum(tw.where(x > 0.1, x**2, tw.cos(x))),
    "logsumexp": lambda x: tw.log(tw.sum(tw.exp(x))),
    "a scan": lambda x: tw.sum(tw.scan(lambda c, r: (tw.sin(c + r), c * r), x[0], x)[1]),
    "a bounded loop": lambda x: tw.sum(
        tw.while_loop(lambda c: tw.sum(c * c) < 9.0, lambda c: c * 1.7, x, maximum_iterations=6)
    ),
    "a loop that counts": lambda x: tw.sum(
        tw.fori_loop(0, 3, lambda i, c: c * tw.cos(x) + i * x, x)
    ),
    "a branch": lambda x: tw.cond(
        tw.sum(x) > 0, lambda y: tw.sum(y**2), lambda y: tw.sum(tw.sin(y)), x
    ),
    "a switch": lambda x: tw.switch(
        tw.asarray(1), [lambda y: tw.sum(y), lambda y: tw.sum(y**3)], x
    ),
    "a map": lambda x: tw.sum(tw.map(lambda r: tw.sum(r) * r, x)),
    "an associative scan": lambda x: tw.sum(tw.associative_scan(tw.multiply, x) ** 2),
    "vmap": lambda x: tw.sum(tw.vmap(lambda r: tw.sin(tw.sum(r)) * r)(x)),
    "a checkpoint": lambda x: tw.checkpoint(lambda y: tw.sum(tw.sin(y) * y))(x),
    "a gradient": lambda x: tw.sum(tw.grad(lambda y: tw.sum(y**3))(x) * x),
    "a traced function": lambda x: tw.function(lambda y: tw.sum(tw.exp(y) * y))(x),
    "a product that meets a captured value": lambda x: tw.scan(
        lambda c, _: (c * tw.sum(x), None), double(1.0), length=2
    )[0],
}


@pytest.mark.parametrize("name", PLAIN)
def test_gradients_agree_with_central_differences(name):
    check_gradient(PLAIN[name], random_values(2, 3, seed=3))


def test_arguments_are_nested_dicts_lists_and_none():
    def loss(tree):
        hidden = tw.tanh(tree["layers"][0] @ tree["x"])
        return tw.sum(hidden * tree["layers"][1]) + tw.sum(tree["scale"][0][0] ** 2)

    tree = {
        "x": random_values(3, seed=1),
        "layers": [random_values(2, 3, seed=2), random_values(2, seed=3)],
        "scale": ((random_values(seed=4),),),
        "unused": None,
    }
    check_gradient(loss, tree)


def test_argnums_choose_and_order_the_results():
    def product(x, y, z):
        return x * y**2 * z**3

    x, y, z = 2.0, 3.0, 5.0
    by = (y**2 * z**3, x * 2 * y * z**3, x * y**2 * 3 * z**2)
    assert float(tw.grad(product)(x, y, z)) == by[0]
    assert float(tw.grad(product, argnums=2)(x, y, z)) == by[2]
    assert float(tw.grad(product, argnums=-1)(x, y, z)) == by[2]
    assert float(tw.grad(product, argnums=np.int64(1))(x, y, z)) == by[1]
    assert_close(tw.grad(product, argnums=(2, 0))(x, y, z), (by[2], by[0]))
    assert_close(tw.grad(product, argnums=[0])(x, y, z), (by[0],))
    value, gradient = tw.value_and_grad(product, argnums=(1, -1))(x, y, z)
    assert float(value) == product(x, y, z)
    assert_close(gradient, (by[1], by[2]))


def test_aux_and_keyword_arguments_pass_through():
    def loss(x, *, scale=2.0, note=None):
        return x * x * scale, {"note": note, "x": x}

    (value, aux), gradient = tw.value_and_grad(loss, has_aux=True)(3.0, scale=5.0, note="here")
    assert (float(value), float(gradient), aux["note"], float(aux["x"])) == (45.0, 30.0, "here", 3)
    gradient, aux = tw.grad(loss, has_aux=True)(3.0)
    assert float(gradient) == 12.0 and aux["note"] is None
    ((value,), aux), jacobian = _jacobian_with_aux()
    assert aux == "aux" and float(jacobian) == 2.0 and float(value) == 6.0


def _jacobian_with_aux():
    found, aux = tw.jacobian(lambda x: (2 * x, "aux"), has_aux=True)(3.0)
    value, pull, same = tw.vjp(lambda x: (2 * x, "aux"), 3.0, has_aux=True)
    assert same == aux and float(pull(1.0)[0]) == 2.0
    return ((value,), aux), found


def test_python_floats_take_the_default_type_and_arrays_keep_theirs():
    assert tw.grad(lambda x: x * x)(3.0).dtype == "float32"
    assert tw.grad(lambda x: x * x)(np.float64(3.0)).dtype == "float64"
    assert tw.grad(lambda x: x * x)(tw.asarray(3.0, dtype="float16")).dtype == "float16"
    assert tw.grad(lambda x: tw.sum(x))([1.0, 2.0])[0].dtype == "float32"
    assert tw.grad(lambda x: tw.abs(x))(3 + 4j).dtype == "complex64"


COMPLEX = {
    "the squared magnitude": lambda z: tw.sum(tw.real(z) ** 2 + tw.imag(z) ** 2),
    "the real part of a power": lambda z: tw.sum(tw.real(z**3 * tw.conj(z))),
    "magnitude and angle": lambda z: tw.sum(tw.abs(z) * tw.angle(z)),
    "exp, log, sqrt": lambda z: tw.sum(tw.real(tw.exp(z) / tw.log(z + 5) + tw.sqrt(z + 4))),
    "a matrix product": lambda z: tw.sum(tw.abs(z @ tw.conj(z).T) ** 2),
    "a scan": lambda z: tw.sum(tw.abs(tw.scan(lambda c, r: (c * r + 1j * r, c), z[0], z)[1]) ** 2),
    "a part of it": lambda z: tw.sum(tw.imag(z) * tw.real(z)),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_gradients_by_complex_arguments_are_dre_plus_i_dim(name):
    z = random_values(2, 2, seed=5) + 1j * random_values(2, 2, seed=6)
    check_gradient(COMPLEX[name], z)


def test_the_gradient_of_the_real_part_of_a_holomorphic_function_is_the_conjugate_derivative():
    z = np.complex128(0.3 - 0.7j)
    assert_close(tw.grad(lambda z: tw.real(z**3))(z), np.conj(3 * z**2))
    assert_close(tw.grad(lambda z: tw.imag(z**3))(z), np.conj(-1j * 3 * z**2))


ORDERS = {
    "sin": (tw.sin, [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]),
    "exp of double": (
        lambda x: tw.exp(2 * x),
        [lambda x, k=k: 2**k * np.exp(2 * x) for k in range(5)],
    ),
    "a fifth power": (
        lambda x: x**5,
        [lambda x, k=k: math.perm(5, k) * x ** (5 - k) for k in range(5)],
    ),
    "a reciprocal": (
        lambda x: 1 / x,
        [lambda x, k=k: (-1) ** k * math.factorial(k) * x ** (-1 - k) for k in range(5)],
    ),
    "a loop": (
        lambda x: tw.scan(lambda c, _: (c * x, None), double(1.0), length=5)[0],
        [lambda x, k=k: math.perm(5, k) * x ** (5 - k) for k in range(5)],
    ),
    "a bounded loop": (
        lambda x: tw.while_loop(
            lambda i, c: i < 5, lambda i, c: (i + 1, c * x), (0, double(1.0)), maximum_iterations=7
        )[1],
        [lambda x, k=k: math.perm(5, k) * x ** (5 - k) for k in range(5)],
    ),
    "a branch": (
        lambda x: tw.cond(x > 0, lambda y: y**5, lambda y: y, x),
        [lambda x, k=k: math.perm(5, k) * x ** (5 - k) for k in range(5)],
    ),
    "a checkpoint": (
        tw.checkpoint(lambda x: x**5),
        [lambda x, k=k: math.perm(5, k) * x ** (5 - k) for k in range(5)],
    ),
    "a traced function": (
        tw.function(lambda x: x**5),
        [lambda x, k=k: math.perm(5, k) * x ** (5 - k) for k in range(5)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERS)
def test_derivatives_to_the_fourth_order(name):
    function, wanted = ORDERS[name]
    x = np.float64(0.8)
    for order in range(5):
        assert_close(function(x), wanted[order](x), 1e-10)
        assert_close(tw.function(function)(x), wanted[order](x), 1e-10)
        assert_close(tw.vmap(function)(tw.asarray([x, x]))[1], wanted[order](x), 1e-10)
        function = tw.grad(function)


def test_a_derivative_in_the_body_of_a_loop_a_branch_and_a_mapped_function():
    def slope(x):
        return tw.grad(lambda y: y**3)(x)

    x = np.float64(1.5)
    assert_close(
        tw.scan(lambda c, y: (c + slope(y), slope(y)), 0.0 * x, double(1.0, 2.0)), (15, [3, 12])
    )
    assert_close(tw.cond(x > 0, slope, tw.cos, x), 3 * x**2)
    found = tw.while_loop(lambda c: c < 50, slope, x)
    wanted = x
    while wanted < 50:
        wanted = 3 * wanted**2
    assert_close(found, wanted)
    assert_close(tw.vmap(slope)(double(1.0, 2.0)), [3, 12])
    twice = tw.grad(lambda x: tw.scan(lambda c, _: (slope(c), None), x, length=2)[0])
    assert_close(twice(x), 108 * x**3)


def test_a_derivative_within_a_traced_function_is_differentiated_from_outside():
    inner = tw.function(lambda x: tw.grad(lambda y: y**4)(x))
    inner(np.float64(1.0))  # traced before it is differentiated
    assert float(tw.grad(inner)(np.float64(2.0))) == 48.0
    assert float(tw.grad(tw.grad(inner))(np.float64(2.0))) == 48.0
    assert float(tw.function(tw.grad(inner))(np.float64(2.0))) == 48.0
    v = tw.Variable(np.float64(2.0))
    with tw.GradientTape() as tape:
        y = inner(v.value)
    assert float(tape.gradient(y, v)) == 48.0


def test_python_control_flow_on_values_works_outside_of_traces():
    def f(x):
        total = x * 0
        while float(total) < 10:
            total = total + x * x
        return total if total > 11 else total * 2

    assert float(f(tw.asarray(2.0))) == 12.0
    assert float(tw.grad(f)(2.0)) == 12.0
    assert float(tw.grad(lambda x: x * 3 if x > 0 else 0.0)(-1.0)) == 0.0


def test_an_argument_that_the_value_does_not_depend_on_gets_zeros():
    first, second = tw.grad(lambda x, y: tw.sum(x) + 0 * 1.0, argnums=(0, 1))(
        tw.ones((2,)), tw.ones((3,))
    )
    assert_close((first, second), ([1, 1], [0, 0, 0]))
    assert float(tw.grad(lambda x: 3.0)(1.0)) == 0.0
    assert tw.grad(lambda x: tw.sum(x))(tw.zeros((0, 2))).shape == (0, 2)


def test_variables_serve_as_arguments_and_may_be_assigned_inside():
    v = tw.Variable([1.0, 2.0])

    def loss(x):
        v.assign(v + 1)
        return tw.sum(x * x) + tw.sum(v)

    assert_close(tw.grad(loss)(v), [2, 4])
    assert v.numpy().tolist() == [2, 3]
    assert_close(tw.grad(tw.function(loss))(tw.asarray([1.0, 1.0])), [2, 2])
    assert v.numpy().tolist() == [3, 4]


# vjp, jvp, jacobian, hessian ----------------------------------------------------------------------


def several(tree, z):
    """Outputs of every kind: nested, of other shapes, an integer, one that ignores z."""
    x, y = tree["x"], tree["y"]
    return {"a": tw.outer(x, y) * z, "b": (tw.sum(x) * z**2, tw.asarray(7)), "c": tw.sin(y)}


def point():
    tree = {"x": double(random_values(2, seed=7)), "y": double(random_values(3, seed=8))}
    return tree, double(0.6)


def test_vjp_pulls_nested_cotangents():
    tree, z = point()
    value, pull = tw.vjp(several, tree, z)
    x, y, z_ = np.asarray(tree["x"]), np.asarray(tree["y"]), float(z)
    assert_close(value["a"], np.outer(x, y) * z_)
    da, db, dc = random_values(2, 3, seed=9), 0.7, random_values(3, seed=10)
    dtree, dz = pull({"a": double(da), "b": (double(db), 0), "c": double(dc)})
    assert_close(dtree["x"], da @ y * z_ + db * z_**2)
    assert_close(dtree["y"], x @ da * z_ + dc * np.cos(y))
    assert_close(dz, np.sum(da * np.outer(x, y)) + db * np.sum(x) * 2 * z_)
    again, _ = pull(
        {
            "a": tw.zeros((2, 3), dtype="float64"),
            "b": (1.0, 0),
            "c": tw.zeros((3,), dtype="float64"),
        }
    )
    assert_close(again["x"], [z_**2] * 2)


def test_a_pull_may_be_called_in_traces_within_the_one_that_made_it():
    x = double(1.0, 2.0)
    _, pull = tw.vjp(lambda x: tw.sin(x) * x, x)
    wanted = np.diag(np.cos(np.asarray(x)) * np.asarray(x) + np.sin(np.asarray(x)))
    rows = double(np.eye(2))
    assert_close(tw.vmap(pull)(rows)[0], wanted)
    assert_close(tw.map(lambda row: pull(row)[0], rows), wanted)
    assert_close(tw.function(pull)(rows[0])[0], wanted[0])
    assert_close(tw.grad(lambda dy: tw.sum(pull(dy)[0]))(rows[0]), np.diag(wanted))

    @tw.function
    def inside(x):
        _, pull = tw.vjp(lambda x: tw.sin(x) * x, x)
        return tw.vmap(pull)(tw.eye(2, dtype="float64"))[0]

    assert_close(inside(x), wanted)


def test_jvp_agrees_with_the_jacobian():
    tree, z = point()
    by_name = {"x": double(random_values(2, seed=11)), "y": double(random_values(3, seed=12))}
    tangents = (by_name, double(0.4))
    value, change = tw.jvp(several, (tree, z), tangents)
    assert_close(value, several(tree, z))
    step = 1e-6
    moved = [
        several(
            map_leaves(lambda x, t, s=sign: x + s * step * t, tree, tangents[0]),
            z + sign * step * tangents[1],
        )
        for sign in (1, -1)
    ]
    for found, up, down in zip(*(flatten(each)[0] for each in (change, *moved)), strict=True):
        wanted = (np.asarray(up) - np.asarray(down)) / (2 * step)
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-6, atol=1e-6)
    assert int(change["b"][1]) == 0


def test_forward_over_reverse_is_a_hessian_vector_product():
    x, t = double(random_values(4, seed=13)), double(random_values(4, seed=14))

    def f(x):
        return tw.sum(tw.exp(tw.sin(x) * x[::-1]))

    _, product = tw.jvp(tw.grad(f), (x,), (t,))
    assert_close(product, np.asarray(tw.hessian(f)(x)) @ np.asarray(t), 1e-10)
    traced = tw.function(lambda x, t: tw.jvp(tw.grad(f), (x,), (t,))[1])
    for size in (4, 3, 5):
        x, t = double(random_values(size, seed=13)), double(random_values(size, seed=14))
        assert_close(traced(x, t), np.asarray(tw.hessian(f)(x)) @ np.asarray(t), 1e-10)
    assert len(traced.why) == 2


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_jacobians_of_nested_outputs_by_nested_arguments(mode):
    tree, z = point()

    def f(tree, z):
        found = several(tree, z)
        return {"a": found["a"], "b": [found["b"][0]], "c": found["c"]}

    found = tw.jacobian(f, argnums=(0, 1), mode=mode)(tree, z)
    x, y, z_ = np.asarray(tree["x"]), np.asarray(tree["y"]), float(z)
    by_tree, by_z = found["a"]
    assert by_tree["x"].shape == (2, 3, 2) and by_tree["y"].shape == (2, 3, 3)
    assert_close(by_tree["x"], np.einsum("ik,j->ijk", np.eye(2), y) * z_)
    assert_close(by_tree["y"], np.einsum("i,jk->ijk", x, np.eye(3)) * z_)
    assert_close(by_z, np.outer(x, y))
    by_tree, by_z = found["b"][0]
    assert_close((by_tree["x"], by_z), ([z_**2] * 2, 2 * z_ * np.sum(x)))
    by_tree, by_z = found["c"]
    assert_close(by_tree["x"], np.zeros((3, 2)))
    assert_close((by_tree["y"], by_z), (np.diag(np.cos(y)), np.zeros(3)))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_jacobians_keep_empty_and_unused_axes(mode):
    jacobian = functools.partial(tw.jacobian, mode=mode)
    assert jacobian(lambda x: x * 2)(tw.zeros((0,))).numpy().shape == (0, 0)
    assert jacobian(lambda x: tw.sum(x))(tw.zeros((0, 2))).numpy().shape == (0, 2)
    assert jacobian(lambda x: tw.zeros((2, 0)) * x)(1.0).numpy().shape == (2, 0)
    assert_close(jacobian(lambda x: tw.ones((2,)))(tw.ones((3,))), np.zeros((2, 3)))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_traced_jacobian_serves_every_size(mode):
    traced = tw.function(lambda x: tw.jacobian(lambda x: x * tw.sum(x), mode=mode)(x))
    for size in (2, 3, 4):
        x = random_values(size)
        assert_close(traced(x), np.eye(size) * np.sum(x) + x[:, None])
    assert len(traced.why) == 2


def test_hessians():
    x = double(random_values(3, seed=15))
    outer = np.asarray(x)[:, None] * np.asarray(x)[None]
    assert_close(
        tw.hessian(lambda x: tw.sum(x) ** 3)(x), np.full((3, 3), 6 * np.sum(np.asarray(x)))
    )
    assert_close(
        tw.hessian(lambda x: tw.prod(x))(x), np.prod(np.asarray(x)) / outer * (1 - np.eye(3))
    )
    tree = tw.hessian(lambda d: d["a"] ** 2 * d["b"])({"a": double(2.0), "b": double(3.0)})
    assert_close(tree, {"a": {"a": 6.0, "b": 4.0}, "b": {"a": 4.0, "b": 0.0}})
    both = tw.hessian(lambda x, y: x**2 * y, argnums=(0, 1))(2.0, 3.0)
    assert_close(both, ((6.0, 4.0), (4.0, 0.0)))
    assert float(tw.hessian(lambda x, k: k * x**2)(1.0, k=3.0)) == 6.0
    batched = tw.vmap(tw.hessian(lambda x: tw.sum(x**3)))(double(np.ones((2, 3))))
    assert_close(batched, np.stack([6 * np.eye(3)] * 2))


# Where a derivative would be infinite, and is masked ----------------------------------------------

MASKED = {
    "sqrt": (tw.sqrt, lambda x: x > 0),
    "log": (tw.log, lambda x: x > 0),
    "a quotient": (lambda x: tw.sin(x) / x, lambda x: x != 0),
    "a reciprocal": (lambda x: 1 / x, lambda x: x != 0),
    "rsqrt": (tw.rsqrt, lambda x: x > 0),
    "a root": (lambda x: x**0.5, lambda x: x > 0),
    "a negative power": (lambda x: x**-1.5, lambda x: x > 0),
    "a power of itself": (lambda x: x**x, lambda x: x > 0),
    "a norm": (lambda x: tw.sqrt(x * x), lambda x: x != 0),
    "atan2": (lambda x: tw.atan2(x, x), lambda x: x != 0),
    "cbrt": (tw.cbrt, lambda x: x != 0),
}


@pytest.mark.parametrize("name", MASKED)
def test_masked_points_have_finite_derivatives_of_two_orders(name):
    function, is_fine = MASKED[name]

    def safe(x):
        return tw.sum(tw.where(is_fine(x), function(x), 0.0))

    x = double(0.0, 2.0)
    first = np.asarray(tw.grad(safe)(x))
    second = np.asarray(tw.grad(lambda x: tw.sum(tw.grad(safe)(x)))(x))
    assert first[0] == 0 and second[0] == 0

    def alone(value):
        return central_differences(lambda x: tw.sum(function(x)), value)

    np.testing.assert_allclose(first[1:], alone(np.array([2.0])), rtol=1e-6)
    slope = (alone(np.array([2.001])) - alone(np.array([1.999]))) / 0.002
    np.testing.assert_allclose(second[1:], slope, rtol=1e-5, atol=1e-5)


MIXED = {
    # d2f/dxdy at a point where one factor is zero
    "multiply": (lambda x, y: x * y, 2.0, 0.0, 1.0),
    "multiply_no_nan": (tw.multiply_no_nan, 2.0, 0.0, 1.0),
    "divide_no_nan": (lambda x, y: tw.divide_no_nan(y, x), 2.0, 0.0, -0.25),
    "a quotient": (lambda x, y: y / x, 2.0, 0.0, -0.25),
    "a power": (lambda x, y: x**y, 2.0, 0.0, 0.5),
    "a root": (lambda x, y: tw.sqrt(x) * y, 4.0, 0.0, 0.25),
    "a logarithm": (lambda x, y: tw.log(x) * y, 2.0, 0.0, 0.5),
    "xlogy": (lambda x, y: tw.xlogy(y, x), 2.0, 0.0, 0.5),
}


@pytest.mark.parametrize("name", MIXED)
def test_second_derivatives_where_a_factor_is_zero(name):
    function, x, y, wanted = MIXED[name]
    x, y = np.float64(x), np.float64(y)
    assert_close(tw.grad(tw.grad(function, 0), 1)(x, y), wanted, 1e-12)
    assert_close(tw.grad(tw.grad(function, 1), 0)(x, y), wanted, 1e-12)


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_powers_at_zero_have_derivatives_of_every_order(power):
    function, x = (lambda x: x ** float(power)), np.float64(0.0)
    for order in range(4):
        wanted = math.factorial(power) if order == power else 0.0
        assert float(function(x)) == wanted
        function = tw.grad(function)


# vmap ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_axis", [0, 1, 2, -1])
@pytest.mark.parametrize("out_axis", [0, 1, -1])
def test_vmap_takes_the_batch_from_any_axis_and_puts_it_anywhere(in_axis, out_axis):
    x = random_values(2, 3, 4)
    found = tw.vmap(lambda a: tw.sin(a) * 2, in_axes=in_axis, out_axes=out_axis)(x)
    moved = np.moveaxis(np.sin(x) * 2, in_axis, 0)
    assert_close(found, np.moveaxis(moved, 0, out_axis))


def test_vmap_axes_are_nested_like_the_values():
    tree = {"a": random_values(3, 2), "b": [random_values(2, 3), random_values(2)]}

    def f(tree, y, k):
        assert tree["a"].shape == tree["b"][0].shape == tree["b"][1].shape == (2,)
        return {"sum": tree["a"] + tree["b"][0] * tree["b"][1], "y": y, "k": k}

    mapped = tw.vmap(
        f, in_axes=({"a": 0, "b": [1, None]}, None, -1), out_axes={"sum": 1, "y": None, "k": 0}
    )
    found = mapped(tree, 5.0, random_values(4, 3))
    assert_close(found["sum"], (tree["a"] + tree["b"][0].T * tree["b"][1]).T)
    assert_close(found["y"], np.float32(5.0))
    assert_close(found["k"], random_values(4, 3).T)


def test_vmap_passes_on_what_is_no_tensor_and_maps_keywords_in_front():
    def f(x, scale, name, *, shift):
        return x * scale + shift if name == "plus" else x

    half = tw.ones((3,), dtype="float16")
    found = tw.vmap(f, in_axes=(0, None, None))(half, 2.0, "plus", shift=half)
    assert found.dtype == "float16" and found.tolist() == [3, 3, 3]


def test_vmap_nests():
    x, y = random_values(2, 3), random_values(4, 3)
    table = tw.vmap(tw.vmap(lambda a, b: tw.sum(a * b), in_axes=(None, 0)), in_axes=(0, None))
    assert_close(table(x, y), x @ y.T)
    other = tw.vmap(tw.vmap(lambda a, b: tw.sum(a * b), in_axes=(0, None)), in_axes=(None, 0))
    assert_close(other(x, y), (x @ y.T).T)
    assert_close(tw.function(table)(x, y), x @ y.T)
    assert_close(tw.vmap(tw.vmap(tw.sin), in_axes=1, out_axes=1)(x), np.sin(x))


def test_vmap_of_a_gradient_and_gradient_of_a_vmap():
    w, x = random_values(3, seed=1), random_values(5, 3, seed=2)

    def loss(w, x):
        return tw.tanh(tw.sum(w * x)) ** 2

    each = tw.vmap(tw.grad(loss), in_axes=(None, 0))(w, x)
    assert_close(each, np.stack([np.asarray(tw.grad(loss)(w, row)) for row in x]))
    total = tw.grad(lambda w: tw.sum(tw.vmap(lambda row: loss(w, row))(x)))(w)
    assert_close(total, np.sum(np.asarray(each), axis=0))

    def squares(w):
        return tw.sum(tw.vmap(tw.grad(loss), in_axes=(None, 0))(w, x) ** 2)

    assert_close(tw.grad(squares)(w), central_differences(squares, w))


def by_hand(function, *columns):
    rows = [function(*(tw.asarray(c[i]) for c in columns)) for i in range(len(columns[0]))]
    structure = flatten(rows[0])[1]
    leaves = zip(*(flatten(row)[0] for row in rows), strict=True)
    return unflatten(structure, [np.stack(list(map(np.asarray, leaf))) for leaf in leaves])


@tw.custom_gradient
def scaled(x):
    return x * 2, lambda dy: dy * 10


W = double(0.7, -0.3)

MAPPED = {
    "a branch": lambda x: tw.cond(tw.sum(x) > 0, lambda y: y * W, lambda y: tw.sin(y), x),
    "a branch on what is not mapped": lambda x: tw.cond(tw.sum(W) > 0, lambda: x, lambda: -x),
    "a switch": lambda x: tw.switch(
        tw.astype(tw.floor(x[0] * 3), "int32"), [lambda: x, lambda: x * x, lambda: W], *()
    ),
    "a scan": lambda x: tw.scan(lambda c, y: (c * y + W[0], c), x[0], x, reverse=True),
    "a scan of what is not mapped": lambda x: tw.scan(lambda c, w: (c * w, w), x[0], W),
    "a loop": lambda x: tw.while_loop(lambda c: tw.sum(c * c) < 5, lambda c: c * 1.5 + W, x),
    "a loop over a counter": lambda x: tw.while_loop(
        lambda i, c: i < 3, lambda i, c: (i + 1, c * x), (0, W)
    ),
    "a bounded loop": lambda x: tw.while_loop(
        lambda c: tw.sum(c * c) < 5, lambda c: c * 1.5 + W, x, maximum_iterations=4
    ),
    "a counted loop": lambda x: tw.fori_loop(0, 3, lambda i, c: c * x + i, W),
    "a map": lambda x: tw.map(lambda y: y * x[0], x),
    "a callback": lambda x: tw.callback(lambda a: np.cumsum(a[::-1]), x, x),
    "a checkpoint": tw.checkpoint(lambda x: tw.sin(x) * W),
    "a custom gradient": scaled,
    "a gradient": lambda x: tw.grad(lambda y: tw.sum(scaled(y) * y**2))(x),
    "a jacobian": lambda x: tw.jacobian(lambda y: tw.outer(y, y))(x),
    "a jvp": lambda x: tw.jvp(tw.sin, (x,), (W,)),
    "a pull": lambda x: tw.vjp(lambda y: y * W, x)[1](W)[0],
    "a traced function": tw.function(lambda x: {"x": x * W, "n": x.shape[0] * x}),
    "a constant": lambda x: W * 2,
    "a sorted take": lambda x: tw.take(x, tw.argsort(x)),
    "numbers from a key": lambda x: (
        x + tw.random.normal((2,), key=tw.random.key(3), dtype="float64")
    ),
    "a stopped gradient": lambda x: tw.grad(lambda y: tw.sum(tw.stop_gradient(y) * y))(x),
}


@pytest.mark.parametrize("name", MAPPED)
def test_vmap_agrees_with_a_loop_over_examples(name):
    x = random_values(5, 2, seed=4)
    wanted = by_hand(MAPPED[name], x)
    assert_close(tw.vmap(MAPPED[name])(x), wanted, 1e-12)
    assert_close(tw.function(tw.vmap(MAPPED[name]))(x), wanted, 1e-12)
    nested = tw.vmap(tw.vmap(MAPPED[name], in_axes=1), in_axes=1)(x.T[:, :, None])
    assert_close(nested, by_hand(lambda row: by_hand(MAPPED[name], row[None]), x), 1e-12)


def test_vmap_over_random_keys_draws_what_each_key_draws():
    keys = tw.random.split(tw.random.key(5), 4)
    found = tw.vmap(lambda key: tw.random.normal((3,), key=key))(keys)
    assert_close(found, np.stack([tw.random.normal((3,), key=key).numpy() for key in keys]), 0)


def test_vmap_over_no_examples():
    empty = tw.zeros((0, 2), dtype="float64")
    for name, function in MAPPED.items():
        found = flatten(tw.vmap(function)(empty))[0]
        wanted = flatten(tw.vmap(function)(tw.ones((1, 2), dtype="float64")))[0]
        for a, b in zip(found, wanted, strict=True):
            assert a.numpy().shape == (0, *b.shape[1:]), name


def test_vmap_under_named_sizes_is_traced_once():
    def centred(x):
        return tw.vmap(lambda row: row - tw.sum(row) / row.shape[0])(x)

    traced = tw.function(lambda x: (centred(x), tw.grad(lambda x: tw.sum(centred(x) ** 2))(x)))
    for shape in ((2, 3), (4, 5), (3, 3), (1, 1), (5, 1)):
        x = random_values(*shape)
        wanted = x - x.mean(axis=1, keepdims=True)
        assert_close(traced(x), (wanted, 2 * wanted))
    assert len(traced.why) == 2


def test_a_batch_size_that_is_also_a_size_of_the_examples():
    def f(x):
        return tw.vmap(lambda row: tw.vmap(lambda entry: entry * tw.sum(row))(row) * x.shape[0])(x)

    traced = tw.function(f)
    for size in (2, 3, 4):
        x = random_values(size, size)
        assert_close(traced(x), x * x.sum(axis=1, keepdims=True) * size)
    assert [str(each) for each in traced.variants[-1].graph.parameter_types] == ["f64[x_0,x_0]"]


# checkpoint, custom_gradient, stop_gradient -------------------------------------------------------


def test_a_checkpoint_is_computed_again_and_nothing_of_it_is_kept():
    runs = []

    def host(array):
        runs.append(1)
        return np.sin(array)

    @tw.custom_gradient
    def sine(x):
        return tw.callback(host, x, x), lambda dy: dy * tw.cos(x)

    def block(x):
        return tw.sum(sine(x) * sine(x) * x)

    x = double(random_values(3, seed=16))
    kept = tw.value_and_grad(block)(x)
    tw.evaluate(kept)
    runs_kept = len(runs)
    again = tw.value_and_grad(tw.checkpoint(block))(x)
    tw.evaluate(again)
    assert len(runs) - runs_kept == 2 * runs_kept
    assert_close(again, kept, 1e-12)
    traced = tw.function(tw.value_and_grad(tw.checkpoint(block)))
    assert_close(traced(x), kept, 1e-12)
    assert "barrier" in traced.show("simplified")
    forward = tw.function(tw.checkpoint(block))
    forward(x)
    assert "barrier" not in forward.show("simplified")


def test_a_checkpoint_takes_nested_and_captured_values():
    w = tw.Variable(np.float64(1.5))

    @tw.checkpoint
    def block(tree, *, power):
        return {"y": tree["x"] ** power * w, "n": tree["n"] + 1}

    tree = {"x": double(2.0), "n": tw.asarray(3)}
    with tw.GradientTape() as tape:
        out = block(tree, power=3.0)
        y = out["y"]
    assert int(out["n"]) == 4
    assert_close(tape.gradient(y, [w, tree["x"]]), [8.0, 18.0])


def test_a_custom_gradient_is_used_everywhere_and_as_it_is():
    x = np.float64(3.0)
    wanted = 10 * scaled(x)  # of scaled(x) * 10 / 2, cut short below

    def use(x):
        return scaled(x) * x

    assert float(wanted) == 60.0
    first = 10 * x + 2 * x  # d(scaled) * x + scaled
    assert_close(tw.grad(use)(x), first)
    assert_close(tw.grad(tw.function(use))(x), first)
    assert_close(tw.function(tw.grad(use))(x), first)
    assert_close(tw.vmap(tw.grad(use))(double(1.0, 3.0)), [12.0, 36.0])
    assert_close(tw.grad(lambda x: tw.sum(tw.vmap(use)(x)))(double(1.0, 3.0)), [12.0, 36.0])
    # The cotangent of scaled is a function of its own: d(10 x)/dx + d(scaled)/dx.
    assert_close(tw.grad(tw.grad(use))(x), 10.0 + 10.0)
    chain = tw.grad(lambda x: tw.scan(lambda c, _: (scaled(c), None), x, length=3)[0])
    assert_close(chain(x), 1000.0)
    assert_close(tw.jvp(scaled, (x,), (np.float64(1.0),)), (6.0, 10.0))
    assert_close(tw.grad(tw.checkpoint(use))(x), first)
    assert_close(tw.grad(lambda x: tw.cond(x > 0, scaled, lambda y: y, x))(x), 10.0)
    with tw.GradientTape() as tape:
        v = tw.Variable(x)
        y = use(v.value)
    assert_close(tape.gradient(y, v), first)


def test_a_custom_gradient_takes_nested_values_several_outputs_and_keywords():
    @tw.custom_gradient
    def f(tree, count, *, scale=2.0):
        x, y = tree["x"], tree["y"][0]

        def gradient(da, db):
            return {"x": 100 * da * scale, "y": [1000 * db]}, None, 0.0

        return {"a": x * y, "b": (y * scale, count + 1)}, gradient

    tree = {"x": double(2.0), "y": [double(3.0)]}
    value, pull = tw.vjp(lambda tree: f(tree, tw.asarray(4), scale=5.0), tree)
    assert_close(value, {"a": 6.0, "b": (15.0, 5)})
    (found,) = pull({"a": 1.0, "b": (2.0, 0)})
    assert_close(found, {"x": 500.0, "y": [2000.0]})
    assert_close(tw.grad(lambda tree: f(tree, 4)["a"])(tree), {"x": 200.0, "y": [0.0]})


def test_a_derivative_by_what_a_custom_gradient_merely_uses_is_refused():
    def f(w, x):
        @tw.custom_gradient
        def product(x):
            return x * w, lambda dy: dy * w

        return product(x)

    assert float(tw.grad(f, argnums=1)(3.0, 2.0)) == 3.0
    with pytest.raises(ThalwegError) as caught:
        tw.grad(f)(3.0, 2.0)
    assert "pass the value as an argument" in str(caught.value)


def test_stop_gradient_cuts_one_path_and_no_other():
    x = np.float64(3.0)
    assert float(tw.grad(lambda x: tw.stop_gradient(x) * x)(x)) == 3.0
    assert float(tw.grad(tw.grad(lambda x: tw.stop_gradient(x) * x**2))(x)) == 6.0
    tree = tw.stop_gradient({"a": [x, 2.0], "b": None})
    assert_close(tree, {"a": [3.0, 2.0], "b": None})
    assert_close(tw.jvp(lambda x: tw.stop_gradient(x) * x, (x,), (x,))[1], 9.0)


def test_what_is_not_asked_for_needs_no_derivative():
    def host(x):
        return tw.callback(np.sin, x, x)

    def plain(x, y):
        return x * 2 + host(y)

    def in_scan(x, y):
        return tw.scan(lambda c, _: (c * 2 + host(y), None), x, length=2)[0]

    def in_carry(x, y):
        return tw.scan(lambda c, _: ((c[0] * 2, host(c[1])), None), (x, y), length=2)[0][0]

    def in_sequence(x, y):
        return tw.scan(lambda c, z: (c * 2 + host(z), None), x, y[None])[0]

    def in_branch(x, y):
        return tw.cond(x > 0, lambda x, y: x * 4 + host(y), lambda x, y: x, x, y)

    def in_checkpoint(x, y):
        return tw.checkpoint(plain)(x, y)

    cases = [plain, tw.function(plain), in_scan, in_carry, in_sequence, in_branch, in_checkpoint]
    for function, wanted in zip(cases, (2, 2, 4, 4, 2, 4, 2), strict=True):
        assert float(tw.grad(function)(1.0, tw.asarray(2.0))) == wanted
        with pytest.raises(ThalwegError) as caught:
            tw.grad(function, argnums=1)(1.0, tw.asarray(2.0))
        assert "wrap it with custom_gradient" in str(caught.value)


# GradientTape -------------------------------------------------------------------------------------


def test_a_tape_watches_trainable_variables_that_are_read():
    x, fixed = tw.Variable(3.0, name="x"), tw.Variable(2.0, trainable=False, name="fixed")
    with tw.GradientTape(persistent=True) as tape:
        y = x * x * fixed
    assert tape.watched_variables() == (x,)
    assert float(tape.gradient(y, x)) == 12.0
    assert tape.gradient(y, fixed) is None
    with tw.GradientTape() as tape:
        tape.watch([fixed])
        y = x * x * fixed
    assert_close(tape.gradient(y, {"x": x, "fixed": fixed}), {"x": 12.0, "fixed": 9.0})
    with tw.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = x * fixed
    assert_close(tape.gradient(y, [x]), [2.0])
    with tw.GradientTape(watch_accessed_variables=False) as tape:
        y = x * fixed
    assert tape.gradient(y, x) is None and tape.watched_variables() == ()


READERS = {
    "vmap": lambda v: tw.sum(tw.vmap(lambda x: x * v)(double(1.0, 2.0))),
    "a scan": lambda v: tw.scan(lambda c, x: (c * v + x, None), double(1.0), double(1.0, 2.0))[0],
    "a loop": lambda v: tw.while_loop(
        lambda c: c < 5, lambda c: c * v, double(1.0), maximum_iterations=4
    ),
    "a branch": lambda v: tw.cond(v > 0, lambda: v * v, lambda: -v),
    "a checkpoint": lambda v: tw.checkpoint(lambda x: x * v * v)(double(2.0)),
    "a traced function": lambda v: tw.function(lambda x: x * v * v)(double(2.0)),
    "a traced function in a scan": lambda v: tw.scan(
        lambda c, x: (tw.function(lambda c: c * v)(c), None), double(1.0), length=2
    )[0],
    "an argument": lambda v: tw.function(lambda x, y: x * y.value)(v, v),
    "nested bodies": lambda v: tw.scan(
        lambda c, x: (tw.cond(x > 0, lambda c: c * v, lambda c: c, c), None),
        double(1.0),
        double(1.0, 2.0),
    )[0],
}


@pytest.mark.parametrize("name", READERS)
def test_a_tape_sees_variables_that_are_read_in_bodies(name):
    v = tw.Variable(np.float64(2.0))

    def value(x):
        v.assign(x)
        return READERS[name](v)

    wanted = central_differences(value, np.float64(2.0))
    v.assign(2.0)

    def by_tape():
        with tw.GradientTape() as tape:
            y = READERS[name](v)
        return tape.gradient(y, v)

    assert_close(by_tape(), wanted)
    assert_close(tw.function(by_tape)(), wanted)


def test_a_tape_in_the_body_of_a_loop():
    v = tw.Variable(np.float64(3.0))

    def body(c, x):
        with tw.GradientTape() as tape:
            y = v**2 * x
        return c + tape.gradient(y, v), None

    for run in (tw.scan, tw.function(lambda *args: tw.scan(body, *args[1:]))):
        assert float(run(body, double(0.0), double(1.0, 2.0))[0]) == 18.0


def test_a_persistent_tape_answers_for_every_target_and_source():
    x = tw.Variable(3.0)
    with tw.GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    for _ in range(2):
        assert float(tape.gradient(y, x)) == 6.0
        assert_close(tape.gradient(z, [x, y]), [108.0, 18.0])
    assert_close(tape.gradient([y, z], x), 114.0)
    assert_close(tape.gradient({"y": y, "z": [z]}, (x,)), (114.0,))


def test_tapes_nest_for_higher_derivatives():
    x = tw.Variable(np.float64(3.0))
    with tw.GradientTape() as third:
        with tw.GradientTape() as second:
            with tw.GradientTape() as first:
                y = x**4
            dy = first.gradient(y, x)
        ddy = second.gradient(dy, x)
    assert_close((dy, ddy, third.gradient(ddy, x)), (108.0, 108.0, 72.0))
    with tw.GradientTape(persistent=True) as tape:
        y = x**3
        dy = tape.gradient(y, x)
    assert_close(tape.gradient(dy, x), 18.0)
    with tw.GradientTape() as outer:
        dy = tw.grad(lambda x: x**3)(x)
    assert_close(outer.gradient(dy, x), 18.0)


def test_values_may_be_looked_at_in_the_block():
    x = tw.Variable(3.0)
    before = x * 1 + 1  # counts as given, though it waits for its value until it is used below
    with tw.GradientTape() as outer:
        with tw.GradientTape() as inner:
            y = x * x * before
            assert float(y) == 36.0 and "36" in repr(y)
            z = y * y if y > 1 else y
            float(z)
        g = inner.gradient(z, [x, y, before])
        tw.evaluate(g)
    assert_close(g, [72.0 * 24.0, 72.0, 72.0 * 9.0])
    assert outer.gradient(g[1], x) is not None
    with tw.GradientTape() as tape:
        y = before * before
        assert float(y) == 16.0
    float(before)
    assert float(tape.gradient(y, before)) == 8.0


def test_variables_assigned_in_the_block_are_followed():
    x = tw.Variable(3.0)
    with tw.GradientTape() as tape:
        y = x * x
        x.assign(y)
        z = x * 2
    assert float(x) == 9.0
    # Both readings count: dz/d(the first) = 4 x and dz/d(the second) = 2.
    assert float(tape.gradient(z, x)) == 14.0
    x.assign(3.0)
    with tw.GradientTape() as tape:
        y = x * x
        assert float(y) == 9.0
        x.assign(y)
        assert float(x) == 9.0
        z = x * 2
    assert float(tape.gradient(z, x)) == 14.0


def after_a_step(b, w, look):
    """Gradients of w * b and of what was made before the tape; a step before made w = 0.9."""
    b.assign(1.0)
    w.assign(1.0)

    def gradient():
        with tw.GradientTape() as tape:
            loss = w * b
        return tape.gradient(loss, [b, w])

    w.assign(w - 0.1 * gradient()[1])
    before = w * b
    if look:
        tw.evaluate(w.value, before)
    with tw.GradientTape() as tape:
        inside = before * 2
        loss = w * b * before * inside
    return gradient(), tape.gradient(loss, [b, before, inside])


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_derivatives_end_where_the_block_began(look, traced):
    """Whether a value from before it happens to have been computed makes no difference."""
    b, w = tw.Variable(np.float64(1.0)), tw.Variable(np.float64(1.0))
    run = tw.function(after_a_step) if traced else after_a_step
    by_variables, others = run(b, w, look and not traced)
    assert_close(by_variables, (0.9, 1.0))
    assert_close(others, (0.9 * 0.9 * 1.8, 0.9 * 2 * 1.8, 0.9 * 0.9))


def test_targets_are_summed_or_weighted():
    x = tw.Variable([3.0, 1.0])
    with tw.GradientTape(persistent=True) as tape:
        y = x * x
        z = x * 2
    assert_close(tape.gradient(y, x), [6, 2])
    assert_close(tape.gradient(y, x, output_gradients=tw.asarray([1.0, 10.0])), [6, 20])
    assert_close(tape.gradient(y, x, output_gradients=np.array([1, 10], np.float32)), [6, 20])
    weights = [tw.asarray([1.0, 10.0]), tw.asarray([1.0, 1.0])]
    assert_close(tape.gradient([y, z], x, output_gradients=weights), [8, 22])
    assert_close(tape.gradient([y, z], x), [8, 4])


def test_unconnected_sources_give_none_or_zeros():
    x, y = tw.Variable(3.0), tw.Variable([1.0, 2.0])
    with tw.GradientTape(persistent=True) as tape:
        z = x * x
    assert_close(tape.gradient(z, [x, y]), [6.0, None])
    assert_close(tape.gradient(z, {"y": y}, unconnected_gradients="zero"), {"y": [0.0, 0.0]})
    assert tape.jacobian(z, y) is None


def test_tape_jacobians():
    x = tw.Variable(random_values(3))
    with tw.GradientTape(persistent=True) as tape:
        y = tw.outer(x.value, x.value)
        z = tw.sum(x) ** 2
    value = np.asarray(x)
    eye = np.eye(3)
    wanted = np.einsum("ik,j->ijk", eye, value) + np.einsum("i,jk->ijk", value, eye)
    assert_close(tape.jacobian(y, x), wanted)
    assert_close(tape.jacobian(z, [x]), [2 * np.sum(value) * np.ones(3)])
    assert_close(tape.jacobian(y, {"y": y})["y"], np.eye(9).reshape(3, 3, 3, 3))


def test_batch_jacobians():
    x = tw.Variable(random_values(4, 3))
    with tw.GradientTape(persistent=True) as tape:
        y = tw.sin(x) * x
        wide = tw.concat([x * 2, x[:, :1]], axis=1)
        other = tw.Variable(1.0) * 1
    value = np.asarray(x)
    wanted = np.stack([np.diag(row) for row in np.cos(value) * value + np.sin(value)])
    assert_close(tape.batch_jacobian(y, x), wanted)
    assert_close(tape.batch_jacobian(wide, x)[0], np.concatenate([2 * np.eye(3), np.eye(3)[:1]]))
    assert tape.batch_jacobian(wide, tw.ones((4, 2))) is None
    assert other.shape == ()

    @tw.function
    def traced(x):
        with tw.GradientTape() as tape:
            tape.watch(x)
            y = x * tw.sum(x, axis=1, keepdims=True)
        return tape.batch_jacobian(y, x)

    for size in (2, 3, 4):
        value = random_values(size, 3)
        wanted = value.sum(1)[:, None, None] * np.eye(3) + value[:, :, None]
        assert_close(traced(value), wanted)
    assert len(traced.why) == 2


def test_recording_stops_and_goes_on():
    x = tw.Variable(3.0)
    with tw.GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            constant = x * 10
        z = y * constant
    assert float(tape.gradient(z, x)) == 180.0
    with tw.GradientTape() as tape:
        x * x
        tape.reset()
        assert tape.watched_variables() == ()
        z = x * 3
    assert float(tape.gradient(z, x)) == 3.0


def test_watching_sets_a_tensor_apart_from_equal_ones():
    x = tw.asarray(3.0)
    a = x * 2
    with tw.GradientTape() as tape:
        tape.watch(a)
        b = x * 2
        z = a * b
    assert float(tape.gradient(z, a)) == 6.0


def test_a_tape_in_and_around_traced_functions():
    x, state = tw.Variable(3.0), tw.Variable(0.0)

    @tw.function
    def step(a):
        state.assign(state + a * x)
        return state * x

    with tw.GradientTape() as tape:
        y = step(x)
        z = y * state
    # state = x**2, y = x**3, z = x**5
    assert float(tape.gradient(z, x)) == 405.0
    assert float(state) == 9.0

    @tw.function
    def inside():
        with tw.GradientTape() as outer:
            with tw.GradientTape() as tape:
                y = x**3
            dy = tape.gradient(y, x)
        return dy, outer.gradient(dy, x)

    assert_close(inside(), (27.0, 18.0))
    x.assign(2.0)
    assert_close(inside(), (12.0, 12.0))


def test_a_tape_may_be_entered_again_and_leaves_nothing_behind():
    x = tw.Variable(3.0)
    tape = tw.GradientTape()
    with tape:
        y = x * x
    assert float(tape.gradient(y, x)) == 6.0
    with tape:
        z = x * x * x
    assert float(tape.gradient(z, [y, x])[1]) == 27.0
    with pytest.raises(KeyError), tw.GradientTape():
        raise KeyError
    assert active_recorder() is None
    for function in (tw.grad, tw.jacobian, tw.vmap, tw.checkpoint, tw.function):
        with pytest.raises(KeyboardInterrupt):
            function(interrupted)(tw.ones((1,)))
        assert active_recorder() is None
        assert float(tw.grad(lambda x: x * x)(2.0)) == 4.0


def interrupted(x):
    raise KeyboardInterrupt


# Messages -----------------------------------------------------------------------------------------


def misuses():
    x, v = tw.asarray([1.0, 2.0]), tw.Variable(3.0)
    square = {"x": x}

    def used(**options):
        with tw.GradientTape(**options) as tape:
            y = v * v
        return tape, y

    def twice():
        tape, y = used()
        tape.gradient(y, v)
        tape.gradient(y, v)

    def entered_twice():
        with tw.GradientTape() as tape, tape:
            pass

    def elsewhere():
        tape, y = used()
        tw.vmap(lambda d: tape.gradient(y, v, output_gradients=d))(x)

    def ask(**arguments):
        tape, y = used(persistent=True)
        return tape.gradient(**{"target": y, "sources": v} | arguments)

    def leaked_pull():
        kept = []

        @tw.function
        def f(x):
            kept.append(tw.vjp(tw.sin, x)[1])
            return x

        f(1.0)
        kept[0](1.0)

    @tw.custom_gradient
    def one_short(x, y):
        return x * y, lambda dy: dy

    @tw.custom_gradient
    def misshapen(x):
        return x * 2, lambda dy: tw.zeros((3,))

    return {
        "an integer as argument": lambda: tw.grad(lambda x: x * 2.0)(2),
        "an integer tensor as argument": lambda: tw.grad(lambda x: tw.sum(x))(tw.arange(3)),
        "a result that is no scalar": lambda: tw.grad(lambda x: x)(x),
        "several results": lambda: tw.grad(lambda x: (tw.sum(x), x))(x),
        "an integer result": lambda: tw.grad(lambda x: tw.argmax(x))(x),
        "a complex result": lambda: tw.grad(lambda z: z * z)(1j),
        "a path cut by a comparison": lambda: tw.grad(lambda x: tw.sum((x > 1) * 1.0))(x),
        "a path cut by stop_gradient": lambda: tw.grad(lambda x: tw.sum(tw.stop_gradient(x)))(x),
        "a path that leaves the graph": lambda: tw.grad(lambda x: math.sin(x))(1.0),
        "an array that leaves the graph": lambda: tw.grad(lambda x: np.tanh(np.asarray(x)))(1.0),
        "a missing argument": lambda: tw.grad(lambda x, y: x * y, argnums=2)(1.0, 2.0),
        "an argument by name": lambda: tw.grad(lambda x: x * x)(x=1.0),
        "an argument number twice": lambda: tw.grad(lambda x, y: x * y, argnums=(1, -1))(1.0, 2.0),
        "argnums that is a name": lambda: tw.grad(lambda x: x * x, argnums="x")(1.0),
        "aux that is missing": lambda: tw.grad(lambda x: x * x, has_aux=True)(1.0),
        "an operation without derivative": lambda: tw.grad(
            lambda x: tw.sum(tw.callback(np.sin, x, x))
        )(x),
        "a loop without a bound": lambda: tw.grad(
            lambda x: tw.while_loop(lambda c: c < 9, lambda c: c * 2, x)
        )(1.0),
        "a cotangent of another shape": lambda: tw.vjp(tw.sin, x)[1](1.0),
        "cotangents nested otherwise": lambda: tw.vjp(lambda x: (x, x), x)[1](x),
        "a pull that outlives its trace": leaked_pull,
        "primals that are no tuple": lambda: tw.jvp(tw.sin, x, x),
        "tangents nested otherwise": lambda: tw.jvp(tw.sin, (x,), (x, x)),
        "a tangent of another shape": lambda: tw.jvp(tw.sin, (x,), (1.0,)),
        "a jacobian of integers": lambda: tw.jacobian(lambda x: tw.argmax(x))(x),
        "a complex jacobian": lambda: tw.jacobian(lambda z: z * z)(1j),
        "an unknown mode": lambda: tw.jacobian(tw.sin, mode="backward"),
        "vmap over unequal sizes": lambda: tw.vmap(tw.add)(x, tw.ones((3,))),
        "vmap over a scalar": lambda: tw.vmap(tw.sin)(1.0),
        "vmap over nothing": lambda: tw.vmap(tw.sin, in_axes=None)(1.0),
        "vmap with axes nested otherwise": lambda: tw.vmap(tw.add, in_axes=(0,))(x, x),
        "vmap of a branch in Python": lambda: tw.vmap(lambda a: a if a > 0 else -a)(x),
        "vmap that keeps what differs": lambda: tw.vmap(tw.sin, out_axes=None)(x),
        "vmap to an axis that is not there": lambda: tw.vmap(tw.sin, out_axes=2)(x),
        "custom_gradient with a cotangent too few": lambda: one_short(1.0, 2.0),
        "custom_gradient with a cotangent of another shape": lambda: misshapen(1.0),
        "custom_gradient without a gradient": lambda: tw.custom_gradient(lambda x: x)(1.0),
        "a tape asked twice": twice,
        "a tape entered twice": entered_twice,
        "a tape asked elsewhere": elsewhere,
        "a target that is a number": lambda: ask(target=float(v)),
        "a target that is missing": lambda: ask(target=None),
        "an integer target": lambda: ask(target=tw.asarray(3)),
        "a source that is a number": lambda: ask(sources=3.0),
        "an integer source": lambda: ask(sources=tw.asarray(3)),
        "output gradients nested otherwise": lambda: ask(output_gradients=[1.0, 2.0]),
        "an unknown word": lambda: ask(unconnected_gradients="zeros"),
        "watching an integer": lambda: tw.GradientTape().watch(tw.asarray(3)),
        "watching a number": lambda: tw.GradientTape().watch(3.0),
        "jacobian of two targets": lambda: used(persistent=True)[0].jacobian([x, x], v),
        "batch_jacobian without a batch": lambda: used()[0].batch_jacobian(v.value, v),
        "an argument that holds an integer": lambda: tw.grad(lambda d: tw.sum(d["x"]))(
            square | {"n": 3}
        ),
    }  # fmt: skip


def test_messages(golden):
    lines = []
    for name, act in misuses().items():
        with pytest.raises(ThalwegError) as caught:
            act()
        text = caught.value.message
        for line in text.split("\n"):
            assert "thalweg/" not in line
        lines.append(f"{name}:\n{text}")
    golden("derivatives", without_lines("\n\n".join(lines)))


def without_lines(text):
    """The text with HERE for a line of this file."""
    parts = text.split("test_derivatives.py:")
    heads = [part.rpartition(" ")[0] + " HERE" for part in parts[:-1]]
    tails = [part.lstrip("0123456789") for part in parts[1:]]
    return heads[0] + "".join(
        tail if index == len(heads) - 1 else tail.rpartition(" ")[0] + " HERE"
        for index, tail in enumerate(tails)
    )

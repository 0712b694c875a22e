"""Inlining of calls, also in loops and with named sizes, and scans that become one."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import VerifyError
from thalweg.base.frames import describe
from thalweg.ir.dim import named
from thalweg.ir.function import (
    Function,
    all_nodes,
    build,
    fit_sizes,
    free_sizes,
    inline,
    inner_functions,
    own_sizes,
    with_sizes,
)
from thalweg.ir.leaves import full, full_like, item, items, parameter
from thalweg.ir.node import provenance
from thalweg.ir.show import show
from thalweg.ir.types import float32, float64, int32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.broadcast import broadcast
from thalweg.ops.broadcast import sum as sum_op
from thalweg.ops.control import call, checkpoint, custom_call, scan, switch, while_
from thalweg.ops.elementwise import add, cos, less, multiply, negative, sin
from thalweg.ops.movement import size
from thalweg.passes.inline import inline_calls, merge_scans
from thalweg.passes.pipeline import PIPELINE, run_pass
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp

b, c, d = named("b"), named("c"), named("d")


def of(*shape, dtype=float64):
    return tensor_type(dtype, shape)


def first(node):
    return items(node)[0]


def has(function, *ops):
    return any(node.op in ops for node in all_nodes(function))


SINE = build("sine", [of(3)], sin)


# ---- calls ---------------------------------------------------------------------------------------


def test_a_call_becomes_the_nodes_of_its_function():
    f = build("f", [of(3)], lambda x: negative(first(call(x, function=SINE))))
    assert inline_calls(f) == build("f", [of(3)], lambda x: negative(sin(x)))


def test_checkpoints_and_custom_derivatives_are_calls_too():
    gradient = build("g", [of(3)] * 3, lambda x, y, dy: dy)

    def program(x):
        x = first(checkpoint(x, function=SINE))
        return first(custom_call(x, function=SINE, gradient=gradient))

    assert inline_calls(build("f", [of(3)], program)) == build("f", [of(3)], lambda x: sin(sin(x)))


def test_several_results_and_results_not_used():
    parts = build("parts", [of(3), of(3)], lambda x, y: (add(x, y), x, cos(y)))

    def program(x):
        total, same, cosine = items(call(x, sin(x), function=parts))
        return cosine, same, total, same

    wanted = build("f", [of(3)], lambda x: (cos(sin(x)), x, add(x, sin(x)), x))
    assert inline_calls(build("f", [of(3)], program)) == wanted


def test_calls_within_calls():
    function = SINE
    for depth in range(30):
        function = build(f"f{depth}", [of(3)], lambda x, f=function: first(call(x, function=f)))
    assert inline_calls(function).results == (sin(parameter(name="x0", type=of(3))),)


def test_calls_in_loops_and_branches_are_inlined():
    body = build("body", [of(3)], lambda x: first(call(x, function=SINE)))
    goes_on = build("on", [of(3)], lambda x: first(call(x, function=build(
        "less", [of(3)], lambda x: less(sum_op(x, axes=(0,)), full(-0.19, float64))))))  # fmt: skip

    def program(index, x):
        x = first(scan(x, body=body, carries=1, length=2))
        x = first(while_(x, condition=goes_on, body=body))
        return first(switch(index, x, branches=(body, SINE)))

    f = build("f", [of(dtype=int32), of(3)], program)
    g = verify(inline_calls(f))
    assert has(f, call) and not has(g, call)
    assert has(g, scan) and has(g, while_) and has(g, switch)
    arrays = [np.int32(0), np.array([-0.1, -0.2, 0.1])]
    np.testing.assert_array_equal(run(f, *arrays)[0], run(g, *arrays)[0])


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 9])
def test_a_switch_with_a_constant_index_takes_its_branch(index):
    branches = tuple(build(op.name, [of(3)], op) for op in (sin, cos, negative))
    f = build("f", [of(3)], lambda x: first(switch(full(index, int32), x, branches=branches)))
    taken = (sin, cos, negative)[min(max(index, 0), 2)]
    assert inline_calls(f) == build("f", [of(3)], taken)


def test_a_switch_whose_index_is_data_stays():
    branches = tuple(build(op.name, [of(3)], op) for op in (sin, cos))
    f = build("f", [of(dtype=int32), of(3)], lambda i, x: first(switch(i, x, branches=branches)))
    assert inline_calls(f) == f


def test_nodes_keep_the_line_they_came_from():
    body_lines = []

    def body(x):
        y = sin(sin(x))
        body_lines.append(describe(provenance(y).place))
        return y

    type = of(17)
    inner = build("inner", [type], body)
    f = inline_calls(build("f", [type], lambda x: negative(first(call(cos(x), function=inner)))))
    made = f.results[0].args[0]
    assert made.op is sin and describe(provenance(made).place) == body_lines[0]


# ---- named sizes ---------------------------------------------------------------------------------


def test_a_call_with_another_size():
    inner = build(
        "inner", [of(b, 2)], lambda x: broadcast(sum_op(x, axes=(1,)), shape=(b, b), axes=(0,))
    )
    for size_, wanted in ((5, 5), (c, c), (2 * c + 1, 2 * c + 1)):
        f = build("f", [of(size_, 2)], lambda x: first(call(x, function=inner)))
        g = verify(inline_calls(f))
        assert g.result_types == f.result_types == (of(wanted, wanted),)
    arrays = [np.arange(10.0).reshape(5, 2)]
    np.testing.assert_array_equal(run(f, *arrays)[0], run(g, *arrays)[0])


def swapped(body, b_size=b, c_size=c):
    """outer(x[b], y[c]) calls inner(y, x), whose own first size is also called b."""
    inner = build("inner", [of(b), of(c)], body)
    return build("outer", [of(b_size), of(c_size)], lambda x, y: call_all(inner, y, x))


def call_all(function, *args):
    return items(call(*args, function=function))


def check_inlined(f, *arrays):
    g = verify(inline_calls(verify(f)))
    assert not has(g, call)
    for found, wanted in zip(run(g, *arrays), run(f, *arrays), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)
    return g


def test_sizes_that_change_places():
    f = swapped(lambda x, y: (size(dim=b, dtype=int32), size(dim=2 * b + c, dtype=int32), x))
    check_inlined(f, np.zeros(4), np.zeros(7))
    assert [int(y) for y in run(f, np.zeros(4), np.zeros(7))[:2]] == [7, 18]


def test_a_loop_takes_sizes_from_around_it():
    """The body's constant has a size that no parameter of the body has."""

    def program(x):
        body = build("body", [of()], lambda s: add(s, sum_op(full(1, float64, (b,)), axes=(0,))))
        return first(scan(full(0, float64), body=body, carries=1, length=3)), x

    inner = build("inner", [of(b)], program)
    f = build("f", [of(c)], lambda x: call_all(inner, x))
    g = check_inlined(f, np.zeros(5))
    assert run(g, np.zeros(5))[0] == 15
    assert "shape=(c,)" in show(g) and "shape=(b,)" not in show(g)


def test_a_loop_with_own_sizes_and_sizes_from_around_that_change_places():
    """Inlining turns b into c within a body that has a c of its own: nothing is captured."""

    def program(x, y):
        def step(carry):
            count = size(dim=10 * b + c, dtype=float64)
            return add(carry, broadcast(count, shape=(c,), axes=()))

        body = build("body", [of(c)], step)
        return first(scan(y, body=body, carries=1, length=2)), x

    f = swapped(program)
    g = check_inlined(f, np.zeros(4), np.zeros(7))
    np.testing.assert_array_equal(run(g, np.zeros(4), np.zeros(7))[0], np.full(4, 2 * 74.0))


def test_a_callee_has_sizes_of_its_own():
    """The same name means one thing around a call and another within, before inlining too."""
    inner = build("inner", [of(b)], lambda x: add(x, size_vector(b)))
    f = build("f", [of(b), of(c)], lambda x, y: (x, first(call(y, function=inner))))
    check_inlined(f, np.zeros(2), np.zeros(5))
    np.testing.assert_array_equal(run(f, np.zeros(2), np.zeros(5))[1], np.full(5, 5.0))


def size_vector(length):
    return broadcast(size(dim=length, dtype=float64), shape=(length,), axes=())


def test_sizes_that_do_not_fit_are_refused():
    inner = build("inner", [of(b), of(b)], add)
    with pytest.raises(VerifyError, match="nodes of types"):
        inline(inner, [parameter(name="x", type=of(2)), parameter(name="y", type=of(3))])


FITS = [
    ((of(b, 2),), (of(5, 2),), {"b": 5}),
    ((of(b), of(b)), (of(c), of(c)), {"b": c}),
    ((of(b), of(b)), (of(c), of(d)), None),
    ((of(b), of(2 * b)), (of(3), of(6)), {"b": 3}),
    ((of(b), of(2 * b)), (of(c), of(2 * c)), {"b": c}),
    ((of(b), of(2 * b)), (of(3), of(7)), None),
    ((of(b), of(2 * b)), (of(c), of(8)), None),
    ((of(b), of(b * c)), (of(2), of(6)), {"b": 2, "c": 3}),
    ((of(b), of(b * c)), (of(d), of(6)), None),
    ((of(b), of(b * c)), (of(2), of(2 * c)), {"b": 2, "c": c}),
    ((of(b * c),), (of(6),), None),
    ((of(b // 2),), (of(3),), None),
    ((of(2 * b),), (of(6),), {"b": 3}),
    ((of(2 * b),), (of(7),), None),
    ((of(2 * b),), (of(2 * b),), {"b": b}),
    ((of(2),), (of(3),), None),
    ((of(b),), (of(b, 1),), None),
    ((of(b),), (of(b, dtype=float32),), None),
    ((of(b),), (), None),
    ((of(2),), (of(2),), {}),
]


@pytest.mark.parametrize(("patterns", "types", "wanted"), FITS, ids=str)
def test_sizes_are_fitted(patterns, types, wanted):
    assert fit_sizes(patterns, types) == wanted


def test_free_and_own_sizes():
    f = build("f", [of(b), of(2 * c)], lambda x, y: (x, size(dim=d, dtype=int32)))
    assert own_sizes(f) == {"b"} and free_sizes(f) == {"c", "d"}
    assert free_sizes((b + c, (3, d), of(b, 2), "text", 1)) == {"b", "c", "d"}
    assert with_sizes(f, {"b": 3}) is f
    g = with_sizes(f, {"b": 3, "c": 5, "d": b})
    assert g.parameter_types == (of(named("b_1")), of(10))
    assert g.results[1] is size(dim=b, dtype=int32), "b from around is not the Function's own"
    assert inner_functions((1, (f, "x"), f)) == [f, f]


# ---- scans that become one -----------------------------------------------------------------------


def recurrence(ys=("new",)):
    def step(w, state, x):
        new = sin(add(multiply(w, state), x))
        outputs = {"new": new, "state": state, "product": multiply(new, x)}
        return (new, *(outputs[name] for name in ys))

    return build("step", [of(3)] * 3, step, ["w", "state", "x"])


def scanned(w, s, xs, ys, **attrs):
    known = {"constants": 1, "carries": 1, "length": xs.shape[0]}
    return items(scan(w, s, xs, body=recurrence(ys), **(known | attrs)))


def scans(function):
    return [node for node in all_nodes(function) if node.op is scan]


DATA = [np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 3.0]), np.arange(12.0).reshape(4, 3) / 7]
TYPES = [of(3), of(3), of(4, 3)]


def assert_equal_values(f, g, arrays):
    for found, wanted in zip(run(g, *arrays), run(f, *arrays), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_scans_that_differ_in_what_they_stack_are_joined():
    def program(w, s, xs):
        last, new = scanned(w, s, xs, ("new",))
        also, state, again = scanned(w, s, xs, ("state", "new"))
        (product,) = scanned(w, s, xs, ("product",))[1:]
        return new, state, product, again, add(last, also)

    f = build("f", TYPES, program)
    g = verify(merge_scans(f))
    assert len(scans(f)) == 3 and len(scans(g)) == 1
    assert g.results[0] is g.results[3], "what both stack is stacked once"
    (joined,) = scans(g)
    assert len(joined.attributes["body"].results) == 4
    assert_equal_values(f, g, DATA)


def test_scans_that_walk_otherwise_stay_apart():
    def program(w, s, xs):
        return [
            *scanned(w, s, xs, ("new",)),
            *scanned(w, s, xs, ("new",), reverse=True),
            *scanned(s, s, xs, ("new",)),
            *scanned(w, w, xs, ("state",)),
            *scanned(w, s, negative(xs), ("state",)),
        ]

    f = build("f", TYPES, program)
    assert merge_scans(f) == f
    assert len(scans(f)) == 5


def test_scans_with_another_carry_stay_apart():
    other = build("other", [of(3)] * 3, lambda w, state, x: (cos(state), x), ["w", "state", "x"])

    def program(w, s, xs):
        attrs = {"constants": 1, "carries": 1, "length": 4}
        return [*scanned(w, s, xs, ("new",)), *items(scan(w, s, xs, body=other, **attrs))]

    f = build("f", TYPES, program)
    assert merge_scans(f) == f


def test_scans_one_after_the_other_are_joined_each_with_its_own():
    def program(w, s, xs):
        _, ys = scanned(w, s, xs, ("new",))
        _, states = scanned(w, s, xs, ("state",))
        _, zs = scanned(w, s, ys, ("product",))
        _, others = scanned(w, s, ys, ("state",))
        return states, zs, others

    f = build("f", TYPES, program)
    g = verify(merge_scans(f))
    assert len(scans(g)) == 2
    assert_equal_values(f, g, DATA)


def test_scans_in_bodies_are_joined():
    def body(w, s, xs):
        last, _ = scanned(w, s, xs, ("new",))
        also, _ = scanned(w, s, xs, ("state",))
        return add(last, also)

    inner = build("inner", TYPES, body)

    def program(w, s, xs):
        branches = (inner, inner)
        return first(switch(parameter(name="i", type=of(dtype=int32)), w, s, xs, branches=branches))

    f = Function("f", (parameter(name="i", type=of(dtype=int32)), *inner.parameters),
                 (program(*inner.parameters),))  # fmt: skip
    g = verify(merge_scans(f))
    assert len(scans(f)) == 2 and len(scans(g)) == 1
    assert_equal_values(f, g, [np.int32(0), *DATA])


def simplified(function):
    for stage in PIPELINE:
        function = run_pass(stage, function)
    return verify(function)


def loss(w, s, xs):
    last, ys = scanned(w, s, xs, ("new",))
    return add(sum_op(last, axes=(0,)), sum_op(multiply(ys, ys), axes=(0, 1)))


def with_value(function):
    """The value and the derivative in one Function."""
    pulled = vjp(function)

    def program(*args):
        y = inline(function, args)[0]
        return [y, *inline(pulled, [*args, full_like(y, 1)])]

    return build("both", function.parameter_types, program)


def test_a_scan_and_its_derivative_are_two_loops():
    """The loop that keeps its history for the derivative is the loop itself: one walks forward,
    one back.
    """
    f = with_value(build("loss", TYPES, loss))
    assert len(scans(f)) == 3
    g = simplified(f)
    assert len(scans(g)) == 2
    assert sorted(node.attributes["reverse"] for node in scans(g)) == [False, True]
    for found, wanted in zip(run(g, *DATA), run(f, *DATA), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_two_layers_of_scans_and_their_derivative_are_four_loops():
    def two(w, s, xs):
        _, ys = scanned(w, s, xs, ("new",))
        return loss(w, s, ys)

    g = simplified(with_value(build("loss", TYPES, two)))
    assert len(scans(g)) == 4


def test_a_scan_of_named_length_is_joined_with_its_derivative():
    types = [of(3), of(3), of(b, 3)]
    f = with_value(build("loss", types, loss))
    g = simplified(f)
    assert len(scans(g)) == 2
    for found, wanted in zip(run(g, *DATA), run(f, *DATA), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_merging_leaves_items_of_other_operations_alone():
    both = build("both", [of(3)], lambda x: (x, sin(x)))
    f = build("f", [of(3)], lambda x: item(call(x, function=both), index=1))
    assert merge_scans(f) == f

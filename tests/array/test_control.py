"""Branches, loops and calls to the host, against the same programs in plain Python.

Every construct is run at the top, in a traced function whose sizes change, and differentiated.
"""

import collections
import functools

import numpy as np
import pytest

import thalweg as tw
from thalweg.base.errors import ThalwegError
from thalweg.engine.context import current_trace
from thalweg.engine.tape import active_recorder

Pair = collections.namedtuple("Pair", "left right")


def double(*values):
    """A float64 tensor."""
    return tw.asarray(np.array(values if len(values) != 1 else values[0], np.float64))


def random_values(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, shape)


def assert_close(found, wanted, tolerance=1e-9):
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


def check(function, *args, wanted):
    """A function of tensors at the top, traced, and traced again at another place."""
    assert_close(function(*args), wanted)
    traced = tw.function(function)
    for _ in range(2):
        assert_close(traced(*args), wanted)
    assert_close(tw.function(lambda *args: traced(*args))(*args), wanted)


# cond and switch ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cond_runs_one_branch_with_nested_operands_and_results(sign):
    w = double(3.0)

    def choose(x, tree):
        return tw.cond(
            x > 0,
            lambda x, tree: {"y": [x * tree["a"], None], "n": tree["b"][0] + 1},
            lambda x, tree: {"y": [w - x, None], "n": tree["b"][0]},
            x,
            tree,
        )

    tree = {"a": 2.0, "b": (tw.asarray(5),)}
    y = sign * 2.0 if sign > 0 else 3.0 - sign
    check(choose, double(sign), tree, wanted={"y": [y, None], "n": 6 if sign > 0 else 5})


def test_only_the_chosen_branch_is_run():
    calls = []

    def noisy(name):
        return lambda: tw.callback(lambda: calls.append(name) or np.float64(1.0), ((), "float64"))

    for flag in (True, False):
        calls.clear()
        float(tw.cond(tw.asarray(flag), noisy("yes"), noisy("no")))
        assert calls == ["yes" if flag else "no"]
    calls.clear()
    float(tw.switch(tw.asarray(1), [noisy(name) for name in "abc"]))
    assert calls == ["b"]


def test_a_plain_predicate_or_index_is_decided_in_python():
    assert tw.cond(True, lambda: "yes", lambda: "no") == "yes"
    assert tw.cond(np.bool_(False), lambda: "yes", lambda: "no") == "no"
    assert [tw.switch(i, [lambda: "a", lambda: "b"]) for i in (-3, 0, 1, np.int64(7))] == list(
        "aabb"
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_switch_clamps_every_kind_of_index(dtype):
    branches = [lambda x, k=k: x + k for k in range(3)]
    info = np.iinfo(dtype)
    for index in (info.min, -1, 0, 1, 2, 3, 100, 2**31 - 1, 2**32, info.max):
        if info.min <= index <= info.max:
            found = tw.switch(tw.asarray(index, dtype=dtype), branches, double(10.0))
            assert float(found) == 10 + min(max(index, 0), 2)


def test_a_switch_of_many_branches_by_a_narrow_index():
    branches = [lambda k=k: tw.asarray(k) for k in range(200)]
    assert int(tw.switch(tw.asarray(127, dtype="int8"), branches)) == 127


def test_python_numbers_in_one_branch_take_the_type_of_the_other():
    half = tw.asarray(3.0, dtype="float16")
    found = tw.cond(half > 0, lambda x: (x * 2, 1), lambda x: (0.0, 2), half)
    assert found[0].dtype == "float16" and found[1].dtype == "int64"
    swapped = tw.cond(half > 0, lambda x: 1.0, lambda x: x, half)
    assert swapped.dtype == "float16" and float(swapped) == 1.0


def test_branches_may_return_their_operands_constants_or_nothing():
    x = double(1.0, 2.0)
    check(
        lambda x: tw.cond(tw.sum(x) > 0, lambda x: (x, x, 1.0), lambda x: (x * 2, x, 2.0), x),
        x,
        wanted=([1, 2], [1, 2], 1.0),
    )
    assert tw.cond(tw.asarray(True), lambda: None, lambda: None) is None
    assert tw.cond(tw.asarray(True), dict, dict) == {}


def test_branches_read_variables_and_the_function_around_them_writes():
    v = tw.Variable(1.0)

    @tw.function
    def step(x):
        v.assign(v + 1)
        found = tw.cond(x > 0, lambda: v * 10, lambda: v.value)
        v.assign(v + found)
        return found

    assert float(step(1.0)) == 20.0
    assert float(v) == 22.0
    assert float(step(-1.0)) == 23.0
    assert float(v) == 46.0


# while_loop ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 0, 3, 50])
def test_while_loops_agree_with_python(limit):
    def python(x):
        i, steps = 0, 10**9 if limit is None else limit
        while x < 20 and i < steps:
            i, x = i + 1, x * 1.7 + i
        return i, x

    def loop(x):
        return tw.while_loop(
            lambda i, x: x < 20, lambda i, x: (i + 1, x * 1.7 + i), (0, x), maximum_iterations=limit
        )

    for start in (0.5, 19.0, 25.0):
        check(loop, double(start), wanted=python(start))
    starts = [0.5, 19.0, 25.0]
    wanted = list(zip(*(python(start) for start in starts), strict=True))
    assert_close(tw.vmap(loop)(double(*starts)), wanted)
    assert_close(tw.function(tw.vmap(loop))(double(*starts)), wanted)


STATES = {
    "a tensor": (1.0, lambda s: s < 9, lambda s: s * 2, 16.0),
    "a tuple": ((0, 1.0), lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (3, 8.0)),
    "a tuple of one": ((0,), lambda i: i < 3, lambda i: (i + 1,), (3,)),
    "a list": ([0, 1.0], lambda i, x: i < 3, lambda i, x: [i + 1, x * 2], [3, 8.0]),
    "a list that comes back as a tuple": ([0], lambda i: i < 3, lambda i: (i + 1,), [3]),
    "a named tuple": (
        Pair(0, 1.0),
        lambda i, x: i < 3,
        lambda i, x: Pair(i + 1, x * 2),
        Pair(3, 8.0),
    ),
    "a dict": (
        {"i": 0, "x": [1.0, None]},
        lambda s: s["i"] < 3,
        lambda s: {"i": s["i"] + 1, "x": [s["x"][0] * 2, None]},
        {"i": 3, "x": [8.0, None]},
    ),
    "numbers that are set": ((0, 1.0), lambda i, x: i < 3, lambda i, x: (i + 1, 5), (3, 5.0)),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("limit", [None, 9])
def test_the_state_keeps_its_nesting(name, limit):
    state, condition, body, wanted = STATES[name]
    found = tw.while_loop(condition, body, state, maximum_iterations=limit)
    assert type(found) is type(wanted) or isinstance(found, tw.Tensor)
    assert_close(found, wanted)


def test_a_bounded_loop_is_differentiated_where_it_stops():
    def f(x):
        # log of log of ... until it is 1 or less; further on it would be NaN.
        return tw.while_loop(lambda c: c > 1, tw.log, x, maximum_iterations=9)

    def slope(x):
        d = 1.0
        while x > 1:
            d, x = d / x, np.log(x)
        return d

    points = [20.0, 0.5, 3.0]
    for point in points:
        assert_close(tw.grad(f)(double(point)), slope(point))
        assert_close(tw.function(tw.grad(f))(double(point)), slope(point))
    assert_close(tw.vmap(tw.grad(f))(double(*points)), [slope(point) for point in points])


def test_maximum_iterations_may_be_a_named_size_or_any_integer():
    def count(limit):
        return tw.while_loop(lambda i: i < 100, lambda i: i + 1, 0, maximum_iterations=limit)

    assert [int(count(limit)) for limit in (np.int64(3), tw.asarray(3), 3)] == [3, 3, 3]
    traced = tw.function(lambda x: count(x.shape[0]))
    assert [int(traced(np.ones(size))) for size in (2, 3, 4)] == [2, 3, 4]
    assert len(traced.why) == 2


# fori_loop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lower", "upper"), [(0, 5), (2, 5), (5, 2), (3, 3), (-2, 2)])
@pytest.mark.parametrize(
    "kind",
    [
        "both plain",
        "lower tensor",
        "upper tensor",
        "both tensors",
        "numpy",
        "variables",
        "narrow and wide",
    ],
)
def test_counted_loops_agree_with_python(lower, upper, kind):
    convert = {
        "both plain": (int, int),
        "lower tensor": (tw.asarray, int),
        "upper tensor": (int, tw.asarray),
        "both tensors": (tw.asarray, tw.asarray),
        "numpy": (np.int32, np.int16),
        "variables": (tw.Variable, tw.Variable),
        "narrow and wide": (lambda n: tw.asarray(n, dtype="int8"), tw.asarray),
    }[kind]
    low, high = convert[0](lower), convert[1](upper)
    x, total = 0.5, 1.0
    for i in range(lower, upper):
        total = total * x + i

    def loop():
        return tw.fori_loop(low, high, lambda i, c: c * x + i, double(1.0))

    assert_close(loop(), total)
    assert_close(tw.function(loop)(), total)


def test_a_counted_loop_reads_its_bounds_at_every_call():
    bound = tw.Variable(2)
    traced = tw.function(lambda: tw.fori_loop(bound, 5, lambda i, c: c + i, 0))
    assert int(traced()) == 9
    bound.assign(4)
    assert int(traced()) == 4


def test_python_numbers_in_the_state_take_the_type_that_the_body_gives_them():
    x, half = double(0.1, 0.2), tw.asarray([1.0, 2.0], dtype="float16")
    total, _ = tw.scan(lambda c, x: (c + x, None), 0.1, x)
    assert total.dtype == "float64" and float(total) == 0.1 + 0.1 + 0.2
    assert tw.scan(lambda c, x: (c + x, None), 0, x)[0].dtype == "float64"
    assert tw.fori_loop(0, 2, lambda i, c: c + x[i], 0.1).dtype == "float64"
    assert tw.while_loop(lambda c: c < 1, lambda c: c + x[0], 0).dtype == "float64"
    assert tw.scan(lambda c, x: (x, None), 0.0, half)[0].dtype == "float16"
    traced = tw.function(lambda k, x: tw.scan(lambda c, x: (c + x, None), k, x)[0])
    found = traced(0.1, x)
    assert found.dtype == "float64" and float(found) == 0.1 + 0.1 + 0.2
    # Without a body that says otherwise, and for truth values, the default types stay.
    assert tw.scan(lambda c, x: (2.5, None), 1.5, x)[0].dtype == "float32"
    assert tw.fori_loop(0, 2, lambda i, c: tw.logical_not(c), True).dtype == "bool"


def test_named_sizes_as_bounds():
    def sums(x):
        return (
            tw.fori_loop(0, x.shape[0], lambda i, c: c + x[i] * i, 0.0),
            tw.fori_loop(x.shape[0], 5, lambda i, c: c + i, 0),
            tw.fori_loop(1, x.shape[0] - 1, lambda i, c: c + i, 0),
        )

    traced = tw.function(sums)
    for size in (2, 3, 4, 8, 1):
        x = random_values(size)
        wanted = np.sum(x * np.arange(size)), sum(range(size, 5)), sum(range(1, size - 1))
        assert_close(traced(x), wanted, 1e-6)
    assert len(traced.why) == 2
    slopes = tw.function(tw.grad(lambda x: sums(x)[0]))
    for size in (2, 3, 4):
        assert_close(slopes(random_values(size)), np.arange(size))


# scan and map -------------------------------------------------------------------------------------


def python_scan(body, carry, xs, length, reverse):
    order = range(length - 1, -1, -1) if reverse else range(length)
    ys = [None] * length
    for i in order:
        carry, ys[i] = body(carry, xs[i])
    return carry, ys


@pytest.mark.parametrize("length", [0, 1, 4])
@pytest.mark.parametrize("reverse", [False, True])
def test_scans_agree_with_python_and_so_do_their_derivatives(length, reverse):
    xs = random_values(length, 2, seed=length)
    w = double(random_values(2, seed=9))

    def step(w, carry, x):
        new = tw.sin(carry * w + x)
        return new, new * x

    def by_scan(start, xs, w=w):
        return tw.scan(functools.partial(step, w), start, xs, reverse=reverse)

    def by_python(start, xs, w=w):
        rows = [xs[i] for i in range(length)]
        carry, ys = python_scan(functools.partial(step, w), start, rows, length, reverse)
        return carry, tw.stack(ys) if ys else tw.zeros((0, 2), dtype="float64")

    start = double(0.3, -0.4)
    check(by_scan, start, double(xs), wanted=by_python(start, double(xs)))

    def total(function):
        def loss(start, xs, w):
            carry, ys = function(start, xs, w)
            return tw.sum(carry) + tw.sum(ys**2)

        return loss

    args = (start, double(xs), w)
    found = tw.grad(total(by_scan), argnums=(0, 1, 2))(*args)
    assert_close(found, tw.grad(total(by_python), argnums=(0, 1, 2))(*args))
    assert_close(tw.function(tw.grad(total(by_scan), argnums=(0, 1, 2)))(*args), found)


CHOSEN = [(0,), (1,), (2,), (3,), (0, 2), (1, 3), (2, 1), (0, 1, 2, 3)]


@pytest.mark.parametrize("argnums", CHOSEN)
def test_derivatives_by_some_of_what_a_scan_reads(argnums):
    """By the carry, another carry that feeds it, the sequence, a captured value."""

    def loss(first, second, xs, w):
        def body(carry, x):
            a, b, count = carry
            a, b = tw.sin(a * w + b), b * x + tw.astype(count, "float64")
            return (a, b, count + 1), a * x

        (a, b, count), ys = tw.scan(body, (first, second, 0), xs)
        return a + tw.sum(ys * ys) + b * w / tw.astype(count, "float64")

    args = (double(0.3), double(-0.4), double(0.5, 1.2, -0.7), double(0.8))
    both = (0, 1, 2, 3)
    every = tw.grad(loss, argnums=both)(*args)
    assert_close(tw.grad(loss, argnums=argnums)(*args), [every[index] for index in argnums])
    second = tw.jacobian(tw.grad(loss, argnums=both), argnums=both)(*args)
    found = tw.jacobian(tw.grad(loss, argnums=argnums), argnums=argnums)(*args)
    assert_close(found, [[second[i][j] for j in argnums] for i in argnums])
    step = 1e-5
    for index in argnums:
        flat = np.asarray(args[index]).ravel()
        for place in range(flat.size):
            sides = []
            for sign in (1, -1):
                moved = flat.copy()
                moved[place] += sign * step
                changed = list(args)
                changed[index] = double(moved.reshape(args[index].shape))
                sides.append(float(loss(*changed)))
            slope = np.asarray(every[index]).ravel()[place]
            assert slope == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6, abs=1e-8)


def test_scans_of_nested_carries_and_sequences():
    def body(carry, x):
        new = Pair(carry.left + x["a"], [carry.right[0] * 2, None])
        return new, {"sum": new.left, "both": (x["a"], x["b"][0]), "none": None}

    xs = {"a": double(1.0, 2.0, 3.0), "b": [tw.asarray([4, 5, 6])]}
    carry, ys = tw.scan(body, Pair(double(0.0), [1, None]), xs)
    assert type(carry) is Pair
    assert_close(carry, Pair(6.0, [8, None]))
    assert_close(ys, {"sum": [1, 3, 6], "both": ([1, 2, 3], [4, 5, 6]), "none": None})


def test_scans_without_a_sequence_a_carry_or_results():
    check(lambda: tw.scan(lambda c, _: (c + 1, c * c), 0, length=3), wanted=(3, [0, 1, 4]))
    check(lambda: tw.scan(lambda c, _: (c, None), 5.0, length=0), wanted=(5.0, None))
    x = double(1.0, 2.0)
    check(lambda x: tw.scan(lambda _, x: (None, x * 2), None, x), x, wanted=(None, [2, 4]))
    carry, _ = tw.scan(lambda c, x: (0.5, x), tw.asarray(1.0, dtype="float16"), tw.ones((2,)))
    assert carry.dtype == "float16" and float(carry) == 0.5
    assert tw.scan(lambda c, x: (c, x), 0, tw.ones((2, 3)), length=2)[1].shape == (2, 3)


def test_a_scan_of_named_length():
    def run(x):
        total, ys = tw.scan(lambda c, row: (c + tw.sum(row), c), 0.0 * tw.sum(x), x)
        counted, _ = tw.scan(lambda c, _: (c + 1, None), 0, length=x.shape[1])
        return total, ys, counted

    traced = tw.function(run)
    slopes = tw.function(tw.grad(lambda x: tw.sum(run(x)[1])))
    for shape in ((2, 3), (4, 5), (3, 3), (1, 1)):
        x = random_values(*shape)
        sums = x.sum(axis=1)
        assert_close(traced(x), (sums.sum(), np.cumsum(sums) - sums, shape[1]))
        counts = np.arange(shape[0] - 1, -1, -1.0)
        assert_close(slopes(x), np.repeat(counts[:, None], shape[1], axis=1))
    assert len(traced.why) == 2


def test_loops_nest_deeply():
    def power(x, depth):
        if depth == 0:
            return x
        return tw.scan(lambda c, _: (power(c, depth - 1) * 1.01, None), x, length=2)[0]

    def python(x, depth):
        for _ in range(2):
            x = (x if depth == 1 else python(x, depth - 1)) * 1.01
        return x

    for depth in (1, 3, 5):
        function = functools.partial(power, depth=depth)
        static = tw.function(power, static="depth")
        assert_close(static(double(1.5), depth), python(1.5, depth))
        assert_close(function(double(1.5)), python(1.5, depth))
        assert_close(tw.grad(function)(double(1.5)), python(1.0, depth))

    def mixed(x):
        def inner(c):
            def branch(c):
                return tw.while_loop(lambda c: c < 10, lambda c: c * x, c)

            return tw.cond(c > 1, branch, lambda c: c + 1, c)

        return tw.fori_loop(0, 2, lambda i, c: tw.map(inner, c), double(0.5, 1.5))

    check(mixed, double(3.0), wanted=[13.5, 13.5])


def test_map_agrees_with_a_list():
    x = random_values(3, 2)
    check(lambda x: tw.map(lambda r: tw.sum(r), x), double(x), wanted=x.sum(1))
    found = tw.map(lambda d: (d["a"] * 2, {"b": d["b"]}), {"a": double(x), "b": tw.arange(3)})
    assert_close(found, (x * 2, {"b": [0, 1, 2]}))
    assert tw.map(lambda r: tw.sum(r), tw.zeros((0, 3))).numpy().shape == (0,)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scans_agree_with_python(size, reverse):
    a, b = random_values(size, 2, seed=1), random_values(size, 2, seed=2)

    def combine(first, second):
        return {"a": first["a"] * second["a"], "b": [second["a"] * first["b"][0] + second["b"][0]]}

    found = tw.associative_scan(combine, {"a": double(a), "b": [double(b)]}, reverse=reverse)
    state, wanted = np.zeros(2), np.zeros((size, 2))
    for i in range(size - 1, -1, -1) if reverse else range(size):
        state = a[i] * state + b[i]
        wanted[i] = state
    assert_close(found["b"][0], wanted)


def test_associative_scans_go_along_any_axis():
    x, y = random_values(2, 3), random_values(4, 2, 3)
    for axis in (0, 1, -1):
        assert_close(tw.associative_scan(tw.add, double(x), axis=axis), np.cumsum(x, axis))

    def both(p, q):
        return p[0] + q[0], p[1] * q[1]

    found = tw.associative_scan(both, (double(x), double(y)), axis=-1)
    assert_close(found, (np.cumsum(x, -1), np.cumprod(y, -1)))
    traced = tw.function(lambda x: tw.associative_scan(tw.add, x))
    for size in (2, 3, 5):
        assert_close(traced(np.ones(size)), np.arange(1, size + 1))


# What bodies capture ------------------------------------------------------------------------------


def test_bodies_capture_tensors_arrays_and_variables():
    tensor, array, variable = double(2.0), np.full(100, 0.5), tw.Variable(np.float64(3.0))

    def body(c, x):
        return c * tensor + tw.sum(tw.asarray(array)) * variable + x, None

    def run(x):
        return tw.scan(body, double(1.0), x)[0]

    value = 1.0
    for x in (1.0, 2.0):
        value = value * 2 + 50 * 3 + x
    check(run, double(1.0, 2.0), wanted=value)
    variable.assign(0.0)
    assert_close(run(double(1.0, 2.0)), 8.0)


def test_a_captured_tensor_may_be_looked_at_in_the_body():
    w = double(2.0) + 1  # not computed yet

    def body(c, x):
        y = c * w
        if float(w) > 0:
            y = y * w
        return y, None

    assert_close(tw.scan(body, double(1.0), double(1.0, 2.0))[0], 81.0)
    w = double(2.0) + 1
    assert_close(tw.cond(w > 0, lambda: w * w if float(w) > 1 else w, lambda: w * 1), 9.0)
    w = double(2.0) + 1
    assert_close(tw.vmap(lambda x: x * w * (float(w) + w))(double(1.0, 2.0)), [18.0, 36.0])


def test_a_body_that_raises_leaves_no_trace():
    def broken(*args):
        raise KeyError("mine")

    def interrupted(*args):
        raise KeyboardInterrupt

    x = double(1.0)
    runs = [
        lambda f: tw.cond(x > 0, f, f, x),
        lambda f: tw.switch(tw.asarray(0), [f], x),
        lambda f: tw.while_loop(f, f, x),
        lambda f: tw.fori_loop(0, 3, f, x),
        lambda f: tw.scan(f, x, length=2),
        lambda f: tw.map(f, x[None]),
    ]
    for run in runs:
        for function, error in ((broken, KeyError), (interrupted, KeyboardInterrupt)):
            with pytest.raises(error):
                run(function)
            assert current_trace() is None and active_recorder() is None
            with pytest.raises(error):
                tw.function(lambda run=run, f=function: run(f))()
            assert current_trace() is None and active_recorder() is None
    assert_close(x + 1, 2.0)


# The host -----------------------------------------------------------------------------------------


def test_callbacks_take_and_return_nested_arrays():
    def host(tree, y):
        assert isinstance(tree["a"], np.ndarray)
        return {"sum": tree["a"] + y, "both": [tree["b"][0].sum(), tree["a"].argmax()]}

    spec = {"sum": ((2,), "float64"), "both": [((), "float64"), ((), "int64")]}
    tree = {"a": double(1.0, 5.0), "b": (double(2.0, 3.0),)}
    wanted = {"sum": [2, 6], "both": [5.0, 1]}
    check(lambda tree, y: tw.callback(host, spec, tree, y), tree, double(1.0), wanted=wanted)
    assert_close(tw.callback(lambda x: x * 2, double(0.0, 0.0), double(1.0, 2.0)), [2, 4])
    assert_close(tw.callback(lambda: 3.0, ((), "float64")), 3.0)


def test_callbacks_follow_named_sizes():
    def host(x):
        return np.sort(x)[::-1]

    traced = tw.function(lambda x: tw.callback(host, x, x) * x.shape[0])
    rows = tw.function(lambda x: tw.vmap(lambda r: tw.callback(host, r, r))(x))
    for shape in ((2, 3), (3, 4), (5, 2)):
        x = random_values(*shape)
        assert_close(traced(x[0]), np.sort(x[0])[::-1] * shape[1])
        assert_close(rows(x), np.sort(x)[:, ::-1])
    assert len(traced.why) == len(rows.why) == 2


def test_the_host_can_change_neither_its_arguments_nor_the_results_it_gave():
    kept = []

    def host(x):
        with pytest.raises(ValueError):
            x += 1
        kept.append(x * 2)
        return kept[-1]

    x = double(1.0, 2.0) * 1
    y = tw.callback(host, x, x)
    tw.evaluate(y, x)
    kept[0][:] = 99
    assert_close((y, x), ([2, 4], [1, 2]))


def test_the_host_may_itself_compute_with_tensors():
    calls = []
    waiting = double(1.0, 2.0) * 5
    traced = tw.function(lambda a: a * 3)

    def host(a):
        calls.append(1)
        assert current_trace() is None and active_recorder() is None
        return (traced(tw.asarray(a) * 2) + waiting).numpy()

    x = double(1.0, 2.0)
    y = tw.callback(host, x, x)
    assert_close(y, [11.0, 22.0])
    assert len(calls) == 1
    assert_close(tw.function(lambda x: tw.callback(host, x, x))(x), [11.0, 22.0])
    y = tw.callback(host, x, x)
    assert_close(tw.function(lambda t: t * float(tw.asarray(y.numpy()[0]).size))(x), [1.0, 2.0])
    with tw.GradientTape() as tape:
        v = tw.Variable(np.float64(2.0))
        z = v * v
        assert tw.callback(host, x, x).shape == (2,) and float(tw.callback(host, x, x)[0]) == 11.0
    assert_close(tape.gradient(z, v), 4.0)


def test_a_callback_is_run_when_its_value_is_needed_and_its_error_is_the_users():
    calls = []

    def host(x):
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("mine")
        return x

    y = tw.callback(host, ((), "float64"), double(1.0)) + 1
    assert not calls
    with pytest.raises(KeyError):
        float(y)
    assert float(y) == 2.0


def test_values_are_printed_where_they_are_computed(capsys):
    traced = tw.function(lambda x: tw.print_value(x * 2, "twice") + 1)
    for size in (1, 2, 3):
        traced(np.ones(size))
    assert capsys.readouterr().out == "twice: [2.]\ntwice: [2. 2.]\ntwice: [2. 2. 2.]\n"
    gradient = tw.grad(lambda x: tw.print_value(x, "x") ** 2)(3.0)
    assert float(gradient) == 6.0
    assert capsys.readouterr().out.count("x: 3.0") >= 1
    tw.scan(lambda c, x: (tw.print_value(c + x, "sum"), None), 0.0, tw.asarray([1.0, 2.0]))[
        0
    ].numpy()
    assert capsys.readouterr().out == "sum: 1.0\nsum: 3.0\n"
    tw.vmap(lambda x: tw.print_value(x, "each"))(tw.asarray([1.0, 2.0])).numpy()
    assert capsys.readouterr().out == "each: 1.0\neach: 2.0\n"
    assert tw.print_value(tw.asarray([1, 2]), "n").tolist() == [1, 2]
    capsys.readouterr()
    repr(tw.print_value(1.0))
    assert "test_control.py" in capsys.readouterr().out


# Messages -----------------------------------------------------------------------------------------


def misuses():
    x, yes = tw.asarray([1.0, 2.0]), tw.asarray(True)
    one = tw.asarray(1.0)
    state = tw.Variable(1.0, name="state")

    return {
        "a predicate that is a number": lambda: tw.cond(one, lambda: 1, lambda: 2),
        "a predicate of several": lambda: tw.cond(x > 0, lambda: 1, lambda: 2),
        "branches nested otherwise": lambda: tw.cond(yes, lambda: x, lambda: (x, x)),
        "branches of other shapes": lambda: tw.cond(yes, lambda: x, lambda: x[:1]),
        "branches of other dtypes": lambda: tw.cond(yes, lambda: x, lambda: x.astype("int32")),
        "a branch without its operand": lambda: tw.cond(yes, lambda x: x, lambda: x, x),
        "a branch that is no function": lambda: tw.cond(yes, x, x),
        "an index that is a float": lambda: tw.switch(one, [lambda: x]),
        "no branches": lambda: tw.switch(tw.asarray(0), []),
        "branches that are no list": lambda: tw.switch(tw.asarray(0), lambda: x),
        "assigning in a branch": lambda: tw.cond(yes, lambda: state.assign(2.0), lambda: state),
        "a condition that is a number": lambda: tw.while_loop(lambda c: c, lambda c: c, one),
        "a condition of several": lambda: tw.while_loop(lambda c: c < 3, lambda c: c, x),
        "a loop body that changes the dtype": lambda: tw.while_loop(
            lambda c: c < 3, lambda c: c.astype("float64"), one
        ),
        "a loop body that changes the shape": lambda: tw.while_loop(
            lambda c: tw.sum(c) < 3, lambda c: tw.concat([c, c]), x
        ),
        "a loop body nested otherwise": lambda: tw.while_loop(
            lambda i, c: c < 3, lambda i, c: c, (0, one)
        ),
        "a loop body with too few arguments": lambda: tw.while_loop(
            lambda i, c: c < 3, lambda c: c, (0, one)
        ),
        "a negative maximum": lambda: tw.while_loop(
            lambda c: c < 3, lambda c: c, one, maximum_iterations=-1
        ),
        "a maximum that is a float": lambda: tw.while_loop(
            lambda c: c < 3, lambda c: c, one, maximum_iterations=2.5
        ),
        "a Python branch in a body": lambda: tw.while_loop(
            lambda c: c < 3, lambda c: c if c > 1 else c * 2, one
        ),
        "bounds that are floats": lambda: tw.fori_loop(0, 2.5, lambda i, c: c, one),
        "bounds of several": lambda: tw.fori_loop(0, tw.asarray([1, 2]), lambda i, c: c, one),
        "a counted body that changes the dtype": lambda: tw.fori_loop(
            0, 3, lambda i, c: c + 0.5, tw.asarray(0)
        ),
        "a counted body nested otherwise": lambda: tw.fori_loop(0, 3, lambda i, c: (c, c), one),
        "a counted body without the counter": lambda: tw.fori_loop(0, 3, lambda c: c, one),
        "a scan body without results": lambda: tw.scan(lambda c, x: c, one, x),
        "a scan body that returns a list": lambda: tw.scan(lambda c, x: [c, x], one, x),
        "a scan body that changes the carry": lambda: tw.scan(
            lambda c, x: (c + x, c), tw.asarray(0), x
        ),
        "a scan body with another nesting": lambda: tw.scan(lambda c, x: ((c, c), c), one, x),
        "a scan body of one argument": lambda: tw.scan(lambda c: (c, c), one, x),
        "a scan of a scalar": lambda: tw.scan(lambda c, x: (c, x), one, one),
        "a scan of unequal lengths": lambda: tw.scan(lambda c, x: (c, None), one, (x, x[:1])),
        "a scan of another length": lambda: tw.scan(lambda c, x: (c, x), one, x, length=3),
        "a scan of nothing": lambda: tw.scan(lambda c, x: (c, x), one),
        "a negative length": lambda: tw.scan(lambda c, x: (c, x), one, length=-1),
        "a length that is a float": lambda: tw.scan(lambda c, x: (c, x), one, length=2.0),
        "no function": lambda: tw.scan(3, one, x),
        "associative_scan nested otherwise": lambda: tw.associative_scan(lambda a, b: (a, b), x),
        "associative_scan with another shape": lambda: tw.associative_scan(
            lambda a, b: tw.sum(a), x
        ),
        "associative_scan with another dtype": lambda: tw.associative_scan(
            lambda a, b: (a + b).astype("int32"), x
        ),
        "associative_scan of a scalar": lambda: tw.associative_scan(tw.add, one),
        "associative_scan along no axis": lambda: tw.associative_scan(tw.add, x, axis=3),
        "associative_scan of nothing": lambda: tw.associative_scan(tw.add, []),
        "a callback of another dtype": lambda: tw.callback(np.float64, x, one).numpy(),
        "a callback of another shape": lambda: tw.callback(lambda x: x[:1], x, x).numpy(),
        "a callback with another nesting": lambda: tw.evaluate(
            tw.callback(lambda x: [x], [x, x], x)
        ),
        "a callback without a result": lambda: tw.callback(np.sin, "float32", x),
        "a tensor that leaves its body": leaving,
    }  # fmt: skip


def leaving():
    kept = []
    tw.scan(lambda c, x: (kept.append(c) or c, None), 0.0, tw.ones((2,)))
    return kept[0] + 1


def test_messages(golden):
    lines = []
    for name, act in misuses().items():
        with pytest.raises(ThalwegError) as caught:
            act()
        assert "test_control.py" in str(caught.value)
        lines.append(f"{name}:\n{caught.value.message}")
    golden("control", "\n\n".join(lines))

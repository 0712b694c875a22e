"""Traced functions: one trace for a structure of arguments, symbolic where sizes change."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.array import elementwise as ew
from thalweg.array import statistical
from thalweg.array.control import cond, scan, while_loop
from thalweg.array.derivatives import GradientTape, grad, vmap
from thalweg.array.operands import to_tensor
from thalweg.base.errors import ArgumentError, ArgumentTypeError, TraceError
from thalweg.engine.trace import function
from thalweg.engine.variable import Variable


def ones(*shape):
    return np.ones(shape, np.float32)


def test_a_python_number_is_an_input():
    calls = []

    @function
    def scale(x, factor):
        calls.append(1)
        return ew.multiply(x, factor)

    for factor in range(10):
        assert scale(ones(2), factor).tolist() == [factor, factor]
    assert len(calls) == 1
    assert scale(ones(2), 0.5).dtype == "float32"
    assert len(calls) == 2


def test_a_number_is_weak_inside_the_function():
    half = function(lambda x, factor: ew.multiply(ew.add(factor, 1), x))
    x = to_tensor(np.ones(2, np.float16))
    assert half(x, 1.0).dtype == "float16"
    assert half(x, 1).dtype == "float16"
    assert function(lambda n: ew.multiply(n, 2))(3).dtype == "int64"
    assert function(lambda n: ew.multiply(n, 2))(3.0).dtype == "float32"


def test_the_second_size_makes_the_axis_symbolic_and_the_third_traces_nothing():
    f = function(lambda x, y: ew.add(x, y))
    for size in (2, 3, 4, 100):
        assert f(ones(size, 3), ones(size, 3)).shape == (size, 3)
    assert f.why == ["the first call", "x axis 0 was 2, is 3; y axis 0 was 2, is 3"]
    types = [str(type) for type in f.stages["trace"].parameter_types]
    assert types == ["f32[x_0,3]", "f32[x_0,3]"]


def test_sizes_that_only_seemed_to_go_together_get_names_of_their_own():
    f = function(lambda x, y: (ew.exp(x), ew.exp(y)))
    for left, right in ((2, 2), (3, 3), (4, 5), (6, 7), (8, 8)):
        a, b = f(ones(left), ones(right))
        assert (a.shape, b.shape) == ((left,), (right,))
    assert len(f.why) == 3


def test_a_size_of_zero_is_traced_as_it_is():
    f = function(lambda x: ew.add(x, 1))
    assert f(ones(2)).shape == (2,)
    assert f(ones(3)).shape == (3,)
    assert f(ones(0)).shape == (0,)
    assert f(ones(5)).shape == (5,)


def test_given_shapes_are_symbolic_from_the_first_call():
    f = function(lambda x: ew.add(x, 1), shapes={"x": ("b", None)})
    f(ones(2, 3))
    f(ones(5, 3))
    assert f.why == ["the first call"]
    assert str(f.stages["trace"].parameter_types[0]) == "f32[b,3]"


def test_structures_and_statics():
    @function(static="mode")
    def apply(tree, mode, scale=2.0):
        value = ew.add(tree["a"], tree["b"][0])
        return {"out": (ew.multiply(value, scale),), "mode": mode, "none": None}

    result = apply({"a": ones(1), "b": [ones(1)]}, "fast")
    assert result["out"][0].tolist() == [4.0]
    assert result["mode"] == "fast" and result["none"] is None
    apply({"b": [ones(1)], "a": ones(1)}, mode="fast")
    assert len(apply.why) == 1
    for scale in (3.0, 4.0):
        assert apply({"a": ones(1), "b": [ones(1)]}, "fast", scale)["out"][0].tolist() == [
            2 * scale
        ]
    assert len(apply.why) == 2
    apply({"a": ones(1), "b": [ones(1)]}, "slow")
    assert apply.why[-1] == "arguments of another structure, element type or static value"


def test_captured_tensors_and_methods():
    class Model:
        def __init__(self):
            self.weight = Variable([2.0])

        @function
        def __call__(self, x):
            return ew.multiply(x, self.weight)

    outer = to_tensor([10.0])
    model = Model()
    assert model(ones(1)).tolist() == [2.0]
    model.weight.assign([3.0])
    assert model(ones(1)).tolist() == [3.0]
    assert function(lambda x: ew.add(x, outer))(ones(1)).tolist() == [11.0]


def test_a_traced_function_is_differentiable_from_outside():
    f = function(lambda x: ew.multiply(x, x))
    assert float(grad(f)(3.0)) == 6.0
    assert float(grad(grad(f))(3.0)) == 2.0
    v = Variable(3.0)
    with GradientTape() as tape:
        y = f(v)
    assert float(tape.gradient(y, v)) == 6.0
    assert vmap(f)(to_tensor([1.0, 2.0])).tolist() == [1.0, 4.0]


def test_traces_nest_with_loops_and_branches():
    w = to_tensor(2.0)

    @function
    def f(x):
        def body(carry, _):
            return cond(ew.less(carry, 10), lambda: ew.multiply(carry, w), lambda: carry), carry

        end, path = scan(body, x, length=5)
        return end, path

    end, path = f(1.0)
    assert float(end) == 16.0
    assert path.tolist() == [1.0, 2.0, 4.0, 8.0, 16.0]


def golden_cases():
    x = to_tensor([1.0, 2.0])

    def branch(t):
        return t if t[0] > 0 else -t  # pragma: no cover

    def if_tensor(t):
        if ew.greater(t, 0):
            return t
        return ew.negative(t)

    losses = []

    def append(t):
        losses.append(t)
        return t

    state = Variable(1.0, name="state")

    def assign_in_loop(t):
        def body(carry):
            state.assign(carry)
            return carry

        return while_loop(lambda c: ew.less(c, 3), body, t)

    def shape_from_data(t):
        return np.zeros(t)

    return {
        "if on a tensor": lambda: function(if_tensor)(to_tensor(1.0)),
        "append to a list": lambda: function(append)(x),
        "assign in a loop": lambda: function(assign_in_loop)(1.0),
        "float of a traced tensor": lambda: function(lambda t: float(t))(x),
        "numpy of a traced tensor": lambda: function(lambda t: t.numpy())(x),
        "a shape from data": lambda: function(shape_from_data)(to_tensor(3)),
        "an object as argument": lambda: function(lambda t: t)(object),
        "a generator": lambda: function(lambda t: (i for i in [t]))(x),
        "too many arguments": lambda: function(lambda t: t)(x, x),
        "a static name that is none": lambda: function(lambda t: t, static="mode"),
        "unhashable static": lambda: function(lambda t, m: t, static="m")(x, {1}),
    }


def test_messages(golden):
    lines = []
    for name, act in golden_cases().items():
        if name == "an object as argument":
            continue
        with pytest.raises((TraceError, ArgumentError, ArgumentTypeError)) as caught:
            act()
        lines.append(f"{name}:\n{caught.value.message}")
    golden("trace_messages", "\n\n".join(lines) + "\n")


def test_a_captured_list_that_changes_later_is_noticed():
    layers = [2.0, 3.0]

    @function
    def f(x):
        for factor in layers:
            x = ew.multiply(x, factor)
        return x

    assert float(f(1.0)) == 6.0
    layers.append(5.0)
    with pytest.raises(TraceError) as caught:
        f(1.0)
    assert "captured list 'layers'" in str(caught.value)
    assert "Pass layers as an argument" in str(caught.value)


def test_a_tensor_that_outlives_its_trace_is_refused():
    kept = {}

    class Box:
        pass

    box = Box()

    @function
    def f(x):
        box.value = ew.add(x, 1)
        return x

    f(1.0)
    kept["x"] = box.value
    for act in (lambda: ew.add(kept["x"], 1), lambda: float(kept["x"]),
                lambda: function(lambda y: ew.add(y, kept["x"]))(1.0)):  # fmt: skip
        with pytest.raises(TraceError) as caught:
            act()
        assert "Return it from the function" in str(caught.value)


def test_stages_read_as_text():
    @function
    def body(x):
        return ew.negative(ew.negative(ew.multiply(x, 1)))

    f = body
    with pytest.raises(ArgumentError):
        f.show()
    f(ones(2))
    assert list(f.stages) == ["trace", "expanded", "simplified"]
    assert "negative" in f.show("trace")
    assert f.show() == "body(x: f32[2]) {\n  return x\n}"
    assert "test_trace.py" in f.show("trace", comments=True)
    with pytest.raises(ArgumentError) as caught:
        f.show("fast")
    assert "trace, expanded, simplified" in str(caught.value)


def test_calls_that_leave_defaults_out_are_known_by_their_tensors():
    @tw.function
    def scaled(x, factor=2.0, name=None, axis=-1):
        return tw.sum(x * factor, axis=axis)

    x, y = tw.ones((2, 3)), tw.ones((3,))
    assert [scaled(x).numpy().tolist() for _ in range(3)] == [[6.0, 6.0]] * 3
    assert float(scaled(y)) == 6.0 and len(scaled._traces.shortcuts) == 2
    assert scaled(x, y).numpy().tolist() == [3.0, 3.0], "an argument in the place of a default"
    assert scaled(x).numpy().tolist() == [6.0, 6.0]


def test_a_default_that_may_change_is_looked_at_in_every_call():
    factors = [2.0]

    @tw.function
    def scaled(x, factors=factors):
        return x * factors[0]

    assert float(scaled(tw.asarray(3.0))) == 6.0
    factors[0] = 5.0
    assert float(scaled(tw.asarray(3.0))) == 15.0


def test_a_default_number_is_part_of_the_function():
    @function
    def total(x, axis=-1):
        return statistical.sum(x, axis=axis)

    assert total(ones(2, 3)).shape == (2,)
    assert total(ones(4, 3)).shape == (4,)
    assert len(total.why) == 2

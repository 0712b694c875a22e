"""`why`: lines, layers and rules behind a value, and the reasons for traces."""

import re

import pytest

import thalweg as tw
from thalweg.base.errors import ArgumentTypeError
from thalweg.engine.tensor import node_of
from thalweg.ir.function import build
from thalweg.ir.node import context
from thalweg.ops.elementwise import negative, sin
from thalweg.ops.samples import a_type
from thalweg.passes.pipeline import simplify
from thalweg.tools.why import why


def line_free(text):
    """The text with line numbers replaced, so that this file can change."""
    return re.sub(r"[^ ]*test_why\.py:\d+", "FILE", text)


def test_a_tensor_says_its_op_its_line_its_operands_and_what_is_behind_them():
    x = tw.asarray([1.0, 2.0, 3.0])
    y = tw.sin(x)
    z = y * y
    assert line_free(why(tw.exp(z))) == (
        "exp: f32[3]  at FILE\nof\n  multiply: f32[3]  at FILE\nbehind it\n  at FILE: sin"
    )


def test_a_tensor_and_its_node_say_the_same():
    y = tw.sin(tw.asarray([1.0]))
    assert why(y) == why(node_of(y))


def test_a_derivative_says_that_it_is_one():
    x = tw.asarray([1.0, 2.0])
    with tw.GradientTape() as tape:
        tape.watch(x)
        y = tw.sum(tw.sin(x))
        text = why(tape.gradient(y, x))
    assert "made by gradient" in text


def test_a_rewritten_node_names_its_rule_and_a_layer_its_path():
    former = context.layer
    context.layer = "classifier/dense_7"
    try:
        function = build("f", [a_type("f32[3]")], lambda x: sin(negative(negative(negative(x)))))
    finally:
        context.layer = former
    assert "in layer classifier/dense_7" in why(function.results[0])
    function = build("g", [a_type("f32[5]")] * 2, lambda x, y: sin(x + 0 if False else negative(y)))
    assert "made by" not in why(simplify(function).results[0])


def test_inputs_constants_and_results_of_loops_are_named():
    seen = []

    def remember(x):
        seen.append(why(x))
        carry, ys = tw.scan(lambda c, x: (c + x, c * x), x[0], x)
        seen.extend((why(tw.sin(ys)), why(carry * 2.0)))
        return carry

    tw.function(remember)(tw.ones((3,)))
    assert seen[0] == "x: f32[3], an input of a function that is being traced"
    assert "result 1 of scan: (f32[], f32[3])" in seen[1]
    assert "constant 2.0: f32[]" in seen[2]


def test_a_computed_tensor_says_how_to_keep_its_graph():
    y = tw.sin(tw.asarray([1.0]))
    float(tw.sum(y))
    assert "a value at hand" in why(tw.asarray([1.0])) and "GradientTape" in why(y)


def test_long_histories_are_cut():
    scope = {"tw": tw}
    source = "x = tw.asarray([1.0])\n" + "x = tw.sin(x)\n" * 30
    exec(compile(source, "history.py", "exec"), scope)
    text = why(scope["x"])
    assert "and 16 more lines" in text
    assert len(text.splitlines()) == 1 + 2 + 1 + 12 + 1


def test_a_traced_function_lists_its_traces_and_their_reasons():
    @tw.function
    def double(x):
        return x + x

    assert why(double) == "double was not traced yet: call it first."
    double(tw.ones((2,)))
    assert (
        why(double) == "double was traced once:\n  1. double(x: f32[2]) -> (f32[2]): the first call"
    )
    double(tw.ones((3,)))
    double(tw.ones((4, 4)))
    lines = why(double).splitlines()
    assert lines[0] == "double was traced 3 times:"
    assert lines[2] == "  2. double(x: f32[x_0]) -> (f32[x_0]): x axis 0 was 2, is 3"
    assert "another structure" in lines[3]


def test_other_things_are_refused_by_name():
    with pytest.raises(ArgumentTypeError, match=r"\[why\] wants a tensor, a node or a traced"):
        why("step")

"""The pipeline: its stages in order, and the pass that is to blame when checking is on."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import VerifyError
from thalweg.base.options import options, set_options
from thalweg.ir.dim import named
from thalweg.ir.function import build
from thalweg.ir.leaves import full, items
from thalweg.ir.op import vocabulary
from thalweg.ir.parse import parse
from thalweg.ir.show import show
from thalweg.ir.types import float32, float64, int32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.control import call, scan
from thalweg.ops.elementwise import add, cast, exp, log, multiply, negative, sin, subtract
from thalweg.passes.pipeline import PIPELINE, Stage, run_pass, simplify
from thalweg.transforms.evaluate import run
from thalweg.transforms.expand import is_expanded
from thalweg.transforms.gradient import vjp

b = named("b")


@pytest.fixture
def option():
    """Sets options for one test."""
    former = options()
    yield set_options
    set_options(check=former.check, exact_only=former.exact_only)


def of(*shape, dtype=float32):
    return tensor_type(dtype, shape)


softmax = next(op for op in vocabulary.values() if op.expand and op.name == "softmax")


def program():
    """Something for every pass: a call, a composite in a loop, constants, double negation."""
    inner = build("inner", [of(b, 4)], lambda x: negative(negative(softmax(x, axes=(1,)))))
    body = build("body", [of(b, 4)], lambda x: items(call(x, function=inner))[0])

    def f(x):
        two = add(full(1, float32, (b, 4)), full(1, float32, (b, 4)))
        (looped,) = items(scan(x, body=body, carries=1, length=3))
        return multiply(looped, two), multiply(x, full(1, float32, (b, 4)))

    return build("program", [of(b, 4)], f, ["x"])


def test_stages_have_the_names_that_users_see():
    assert [stage.name for stage in PIPELINE] == ["expanded", "simplified"]


def test_a_program_goes_through_all_stages(golden, option):
    option(check=2)
    function = program()
    texts = [show(function)]
    stages = [function]
    for stage in PIPELINE:
        stages.append(run_pass(stage, stages[-1]))
        texts.append(f"; {stage.name}\n{show(stages[-1])}")
    golden("pipeline", "\n\n".join(texts))
    assert is_expanded(stages[-1])
    assert parse(texts[-1]) == stages[-1]
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    for found, wanted in zip(run(stages[-1], x), run(function, x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_stages_are_idempotent():
    function = program()
    for stage in PIPELINE:
        function = run_pass(stage, function)
    again = function
    for stage in PIPELINE:
        again = run_pass(stage, again)
    assert again == function


def test_derivatives_pass_through_checked(option):
    option(check=2)
    function = program()
    for stage in PIPELINE:
        function = run_pass(stage, function)
    pulled = vjp(function)
    for stage in PIPELINE:
        pulled = run_pass(stage, pulled)
    assert verify(pulled)


def test_rounding_rules_need_to_be_asked_for(option):
    function = build("f", [of(3)], lambda x: add(log(exp(x)), full(0, float32, (3,))))
    assert simplify(function) == function
    option(exact_only=False)
    assert simplify(function) == build("f", [of(3)], lambda x: x)


# ---- the guilty pass -----------------------------------------------------------------------------


def good(function):
    return function


def changes_a_value(function):
    return function.with_results([subtract(y, y) for y in function.results])


def changes_a_type(function):
    return function.with_results([cast(y, dtype=float64) for y in function.results])


def forgets_a_result(function):
    return function.with_results(function.results[:0])


def reaches_out(function):
    foreign = build("g", [of(3)], sin, ["foreign"]).results
    return function.with_results(foreign)


SINE = build("f", [of(3)], sin, ["x"])
GUILTY = (changes_a_value, changes_a_type, forgets_a_result, reaches_out)


def test_the_guilty_pass_is_named(option, golden):
    option(check=2)
    texts = []
    for guilty in GUILTY:
        stage = Stage("made_up", (good, guilty, good))
        with pytest.raises(VerifyError) as caught:
            run_pass(stage, SINE)
        assert guilty.__name__ in caught.value.message
        texts.append(caught.value.message)
    golden("guilty_passes", "\n\n".join(texts))


@pytest.mark.parametrize("guilty", GUILTY[1:])
def test_form_is_checked_at_level_one(option, guilty):
    option(check=1)
    with pytest.raises(VerifyError, match=f"pass made_up: {guilty.__name__}"):
        run_pass(Stage("made_up", (guilty,)), SINE)


def test_values_are_compared_at_level_two_only(option):
    stage = Stage("made_up", (changes_a_value,))
    for level in (0, 1):
        option(check=level)
        assert run_pass(stage, SINE) == changes_a_value(SINE)
    option(check=2)
    with pytest.raises(VerifyError, match="to keep its value"):
        run_pass(stage, SINE)


def test_nothing_is_checked_at_level_zero(option):
    option(check=0)
    assert run_pass(Stage("made_up", (forgets_a_result,)), SINE).results == ()


def test_a_wrong_rule_is_caught_in_a_program_of_integers(option):
    option(check=2)
    function = build("f", [of(3, dtype=int32)] * 2, subtract)
    stage = Stage("simplified", (lambda f: f.with_results([subtract(*f.parameters[::-1])]),))
    with pytest.raises(VerifyError, match="result 0 of f to keep its value"):
        run_pass(stage, function)

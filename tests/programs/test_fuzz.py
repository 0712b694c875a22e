"""The fuzzer: fixed seeds pass, planted faults are found and shrunk, programs keep promises."""

import numpy as np
import pytest

from thalweg.base.errors import VerifyError
from thalweg.ir.function import build
from thalweg.ir.leaves import full, full_like
from thalweg.ir.node import Node
from thalweg.ir.op import vocabulary
from thalweg.ir.parse import parse
from thalweg.ir.rewrite import Rules, weight
from thalweg.ir.show import show
from thalweg.ir.types import DTYPES, FLOATS, float64, tensor_type
from thalweg.ops.contract import conv
from thalweg.ops.elementwise import add, multiply, negative, tanh
from thalweg.ops.movement import transpose
from thalweg.passes import algebra
from thalweg.tools import fuzz
from thalweg.tools.fuzz import (
    check,
    compare,
    is_left_open,
    main,
    report,
    shrink,
    smallest,
    try_seed,
)
from thalweg.tools.programs import MAKERS, ops_used, random_function, small_samples
from thalweg.transforms.evaluate import run

SEEDS = range(150)
NEVER = {"parameter", "hole", "alias", "callback", "check"}
"""Ops that random programs do not hold: leaves of patterns, tags, and calls to the host."""


@pytest.mark.parametrize("first", range(0, len(SEEDS), 10))
def test_fixed_seeds_have_every_property(first):
    for seed in SEEDS[first : first + 10]:
        function, failures = try_seed(seed)
        assert not failures, report(seed, failures[0], function)


def test_what_padding_meets_in_an_infinite_kernel_is_left_open():
    attrs = {"strides": (1,), "input_dilation": (1,), "kernel_dilation": (1,)}
    types = [tensor_type(float64, (1, 2, 1)), tensor_type(float64, (2, 1, 1))]
    x = np.ones((1, 2, 1))
    for padding, kernel, is_open in ((1, np.inf, True), (1, 2.0, False), (0, np.inf, False)):
        function = build("f", types, lambda x, k, p=padding: conv(x, k, padding=((p, 0),), **attrs))
        arrays = x, np.full((2, 1, 1), kernel)
        assert is_left_open(function, arrays) == is_open
        (wanted,) = run(function, *arrays)
        if is_open:
            compare(function, arrays, [np.nan_to_num(wanted)], [wanted])
        else:
            with pytest.raises(VerifyError, match="to keep its value"):
                compare(function, arrays, [np.full_like(wanted, -3)], [wanted])


def test_equal_arguments_give_the_same_program():
    for seed in range(20):
        assert random_function(seed) == random_function(seed)
    assert len({show(random_function(seed)) for seed in range(20)}) == 20


def test_programs_cover_the_vocabulary():
    leaves = {"parameter", "constant", "item"}
    by_own_makers = {"barrier", "stop_gradient", "searchsorted"}
    sampled = {op.name for op in small_samples()}
    assert sampled | leaves | by_own_makers | NEVER == set(vocabulary)
    used = {name for seed in range(100) for name in ops_used(random_function(seed))}
    assert leaves | by_own_makers <= used
    assert len(used) > 100


def test_programs_have_odd_zero_and_named_sizes_and_every_element_type():
    types = [type for seed in range(150) for type in random_function(seed, 2).parameter_types]
    assert {type.dtype for type in types} == set(DTYPES)
    assert {0, 1, 3, 5, 7} <= {size for type in types for size in type.shape}
    assert any(not type.is_static for type in types)
    assert any(type.rank == 0 for type in types)


def test_the_chosen_element_types_are_kept():
    for seed in range(40):
        for node in random_function(seed, 15, (float64,)).order():
            types = node.type if isinstance(node.type, tuple) else (node.type,)
            # Complex numbers and float32 come in where a result has them (rfft, size).
            assert not any(type.dtype in FLOATS[:2] for type in types)


def test_every_maker_is_documented_by_its_name():
    assert len({maker for maker, _, _ in MAKERS}) == len(MAKERS)
    assert all(maker.__name__.startswith("make_") for maker, _, _ in MAKERS)


# Planted faults -----------------------------------------------------------------------------------


def wrong_rule(monkeypatch: pytest.MonkeyPatch, equation) -> None:
    """Add one row to the exact rules for the time of a test."""
    rules = Rules("algebra with a fault", "exact", weight, [*algebra.rules])
    rules.equation(("f64[2,3]",) * 2)(equation)
    monkeypatch.setattr(algebra, "rules", rules)


def find_failure(seeds: range):
    for seed in seeds:
        function, failures = try_seed(seed)
        if failures and failures[0].property == "passes_keep_values":
            return seed, function, failures[0]
    raise AssertionError("the fault was not found")


def test_a_wrong_rule_is_found_and_shrunk(monkeypatch):
    def product_becomes_sum(x: Node, y: Node):
        yield multiply(x, tanh(y))
        yield add(x, tanh(y))

    wrong_rule(monkeypatch, product_becomes_sum)
    seed, function, failure = find_failure(range(600))
    small = smallest(function, failure, seed)
    operations = [node for node in small.order() if node.args]
    assert {node.op.name for node in operations} <= {"multiply", "tanh"}
    assert len(operations) == 2
    assert parse(show(small)) == small


def test_a_rule_that_claims_too_much_is_found_by_the_sign_of_zero(monkeypatch):
    def add_zero(x: Node, y: Node):
        yield multiply(add(x, full_like(x, 0)), y)
        yield multiply(x, y)

    wrong_rule(monkeypatch, add_zero)
    x = tensor_type(float64, (7,))
    function = build("f", [x, x], lambda x, y: multiply(add(x, full(0, float64, (7,))), y))
    found = [failure.property for seed in range(8) for failure in check(function, seed)]
    assert set(found) == {"exact_rules_keep_bits"}


@pytest.mark.parametrize(
    ("name", "field", "fault", "property"),
    [
        ("tanh", "gradient", lambda dy, y, x: (multiply(dy, y),), "derivatives_agree"),
        ("negative", "batch", lambda size, mapped, x: x, "batch_equals_a_loop"),
        ("relu", "expand", lambda x: negative(x), "expansion_keeps_values"),
    ],
)
def test_a_wrong_rule_of_an_op_is_found(monkeypatch, name, field, fault, property):
    op = vocabulary[name]
    former = getattr(op, field)
    function = build("f", [tensor_type(float64, (3,))], op)
    assert check(function) == []
    try:
        object.__setattr__(op, field, fault)
        assert property in [failure.property for failure in check(function)]
    finally:
        object.__setattr__(op, field, former)


def test_an_op_that_writes_to_its_operand_is_found(monkeypatch):
    op = vocabulary["negative"]
    former = op.evaluate
    function = build("f", [tensor_type(float64, (3,))], op)
    try:
        object.__setattr__(op, "evaluate", lambda x: np.negative(x, out=x))
        assert "verifies" in [failure.property for failure in check(function)]
    finally:
        object.__setattr__(op, "evaluate", former)


# Shrinking ----------------------------------------------------------------------------------------


def test_shrinking_keeps_what_fails_and_drops_the_rest():
    def holds_a_transpose(function):
        return any(node.op is transpose for node in function.order())

    seed = next(s for s in range(200) if holds_a_transpose(random_function(s)))
    function = random_function(seed)
    small = shrink(function, holds_a_transpose)
    assert holds_a_transpose(small)
    assert len(small.order()) == 2 and len(small.results) == 1
    assert all(size <= 1 for size in small.results[0].shape)


def test_shrinking_reaches_into_the_bodies_of_loops():
    def has_a_product_inside(function):
        return any(
            node.op is multiply
            for outer in function.order()
            for inner in fuzz.inner_functions(outer.attrs)
            for node in inner.order()
        )

    seed = next(s for s in range(400) if has_a_product_inside(random_function(s)))
    small = shrink(random_function(seed), has_a_product_inside)
    assert has_a_product_inside(small)
    bodies = [b for node in small.order() for b in fuzz.inner_functions(node.attrs)]
    assert sum(len([n for n in body.order() if n.args]) for body in bodies) <= 4


def test_shrinking_what_does_not_fail_gives_it_back():
    function = random_function(1)
    assert shrink(function, lambda smaller: False) is function


# The command line ---------------------------------------------------------------------------------


def test_the_command_line_counts_and_prints(capsys, monkeypatch):
    assert main(["--count", "3", "--seed", "0", "--size", "4"]) == 0
    assert capsys.readouterr().out == "3 programs, 0 failures\n"

    def product_becomes_sum(x: Node, y: Node):
        yield multiply(x, tanh(y))
        yield add(x, tanh(y))

    wrong_rule(monkeypatch, product_becomes_sum)
    seed, _, _ = find_failure(range(600))
    assert main(["--count", "1", "--seed", str(seed)]) >= 1
    printed = capsys.readouterr().out
    assert "# passes_keep_values" in printed and f"# seed {seed}" in printed
    text = printed[printed.index("program(") : printed.index("\n}\n") + 3]
    assert "tanh" in show(parse(text))

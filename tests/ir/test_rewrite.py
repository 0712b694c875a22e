"""The rewriting driver: what matches, how far it goes, what it refuses, how much work it does."""

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ArgumentError, RewriteError
from thalweg.ir.attribute import Hole
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build
from thalweg.ir.leaves import full, full_like, hole, item, items, literal, parameter
from thalweg.ir.node import count, provenance
from thalweg.ir.rewrite import Rewriter, Rules, matches, weight
from thalweg.ir.types import (
    DTYPES,
    Literal,
    bool_,
    complex64,
    float32,
    float64,
    int8,
    int32,
    tensor_type,
    uint8,
)
from thalweg.ir.walk import postorder
from thalweg.ops.control import call, scan, switch
from thalweg.ops.elementwise import (
    add,
    cast,
    cos,
    logical_and,
    multiply,
    negative,
    select,
    sin,
    subtract,
)
from thalweg.ops.movement import concatenate, reshape, transpose


def of(shape=(3,), dtype=float32):
    return tensor_type(dtype, shape)


def p(name, type=None):
    return parameter(name=name, type=type or of())


x, y, z = p("x"), p("y"), p("z")
X, Y = hole(name="x"), hole(name="y")


def table(*equations, arithmetic="exact"):
    rules = Rules("test", arithmetic, weight)
    for equation in equations:
        rules.equation()(equation)
    return rules


def double_negation(x):
    yield negative(negative(x))
    yield x


# ---- matching ------------------------------------------------------------------------------------


def bindings(pattern, node):
    return list(matches(pattern, node))


def test_a_hole_matches_any_node():
    for node in (
        x,
        sin(x),
        full(1.0, float32),
        item(call(x, function=build("f", [of()], sin)), index=0),
    ):
        assert bindings(sin(X), sin(node) if node.dtype.is_float else node) == [({"x": node}, {})]


def test_another_operation_does_not_match():
    assert bindings(sin(X), cos(x)) == []
    assert bindings(sin(sin(X)), sin(cos(x))) == []
    assert bindings(concatenate(X, Y, axis=0), concatenate(x, axis=0)) == []


def test_a_repeated_hole_matches_the_same_node_only():
    pattern = subtract(X, X)
    assert bindings(pattern, subtract(sin(x), sin(x))) == [({"x": sin(x)}, {})]
    assert bindings(pattern, subtract(x, y)) == []


def test_a_commutative_operation_matches_in_both_orders():
    pattern = add(negative(X), Y)
    assert bindings(pattern, add(negative(x), y)) == [({"x": x, "y": y}, {})]
    assert bindings(pattern, add(y, negative(x))) == [({"x": x, "y": y}, {})]
    both = bindings(pattern, add(negative(x), negative(y)))
    assert both == [({"x": x, "y": negative(y)}, {}), ({"x": y, "y": negative(x)}, {})]
    assert len(bindings(add(X, Y), add(x, x))) == 1
    assert bindings(subtract(negative(X), Y), subtract(y, negative(x))) == []


def test_commutative_operations_match_at_every_depth():
    pattern = multiply(add(negative(X), Y), sin(X))
    node = multiply(sin(x), add(y, negative(x)))
    assert bindings(pattern, node) == [({"x": x, "y": y}, {})]
    assert bindings(pattern, multiply(sin(z), add(y, negative(x)))) == []


def test_attributes_match_as_they_stand_or_bind():
    m = p("m", of((2, 3)))
    pattern = transpose(transpose(X, axes=Hole("a")), axes=(1, 0))
    assert bindings(pattern, transpose(transpose(m, axes=(1, 0)), axes=(1, 0))) == [
        ({"x": m}, {"a": (1, 0)})
    ]
    assert bindings(pattern, transpose(transpose(m, axes=(1, 0)), axes=(0, 1))) == []
    twice = reshape(reshape(X, shape=Hole("s")), shape=Hole("s"))
    assert bindings(twice, reshape(reshape(m, shape=(6,)), shape=(6,))) == [({"x": m}, {"s": (6,)})]
    assert bindings(twice, reshape(reshape(m, shape=(6,)), shape=(3, 2))) == []


NUMBERS = [
    (1, 1.0, float32, True),
    (1, -1.0, float32, False),
    (1, 1, int8, True),
    (-1, 255, uint8, False),
    (0, 0.0, float64, True),
    (0, -0.0, float64, False),
    (-0.0, -0.0, float64, True),
    (-0.0, 0.0, float64, False),
    (-0.0, 0, int32, False),
    (0.5, 0, int32, False),
    (0.1, 0.1, float32, True),
    (1, 1 + 0j, complex64, True),
    (1, 1 + 1j, complex64, False),
    (0, complex(0.0, -0.0), complex64, False),
    (0, complex(-0.0, 0.0), complex64, False),
    (np.nan, np.nan, float32, True),
    (np.inf, np.inf, float32, True),
    (np.inf, -np.inf, float32, False),
]


@pytest.mark.parametrize(("wanted", "found", "dtype", "does"), NUMBERS, ids=str)
def test_a_number_matches_a_constant_with_the_same_bits(wanted, found, dtype, does):
    v = p("v", of(dtype=dtype))
    pattern = multiply(X, full_like(X, wanted))
    assert bool(bindings(pattern, multiply(v, full(found, dtype, (3,))))) == does


def test_booleans_and_numbers_do_not_meet():
    c = p("c", of(dtype=bool_))
    assert bindings(logical_and(X, full_like(X, True)), logical_and(c, full(True, bool_, (3,))))
    assert not bindings(logical_and(X, full_like(X, 1)), logical_and(c, full(True, bool_, (3,))))
    one = full(1, int32, (3,))
    assert not bindings(add(X, full_like(X, True)), add(p("i", of(dtype=int32)), one))


def test_a_number_matches_a_splat_of_any_shape_but_no_array():
    pattern = multiply(X, full_like(X, 2))
    for shape in ((), (3,), (0,), (2, named("b"))):
        v = p("v", of(shape))
        assert bindings(pattern, multiply(v, full(2, float32, shape)))
    assert not bindings(pattern, multiply(x, literal([2.0, 2.0, 2.0], float32)))
    assert not bindings(pattern, multiply(x, y))


def test_numbers_match_for_every_element_type_that_has_them():
    for dtype in DTYPES:
        if dtype is not bool_:
            v = p("v", of(dtype=dtype))
            assert bindings(add(X, full_like(X, 0)), add(v, full(0, dtype, (3,))))


# ---- rules ---------------------------------------------------------------------------------------


def test_a_rule_is_an_equation_with_holes():
    (rule,) = table(double_negation)
    assert rule.name == "double_negation" and rule.holes == ("x",)
    assert rule.pattern is negative(negative(hole(name="x")))
    assert rule.instance((y,), {}) == (negative(negative(y)), y)
    assert rule.apply(negative(negative(y))) is y
    assert rule.apply(negative(y)) is None


def test_a_condition_holds_a_rule_back():
    def of_integers(x):
        yield negative(negative(x))
        if x.dtype.is_integer:
            yield x

    (rule,) = table(of_integers)
    assert rule.instance((x,), {}) is None and rule.apply(negative(negative(x))) is None
    i = p("i", of(dtype=int32))
    assert rule.apply(negative(negative(i))) is i


def test_a_condition_may_hold_in_one_order_only():
    def sine_first(x, y):
        yield add(x, y)
        if x.op is sin:
            yield subtract(y, negative(x))

    (rule,) = table(sine_first)
    assert rule.apply(add(sin(x), y)) is subtract(y, negative(sin(x)))
    assert rule.apply(add(y, sin(x))) is subtract(y, negative(sin(x)))
    assert rule.apply(add(x, y)) is None


def test_a_condition_sees_attributes_in_normal_form():
    def to_the_same(x, *, dtype):
        yield cast(x, dtype=dtype)
        if x.dtype is dtype:
            yield x

    (rule,) = table(to_the_same)
    assert rule.instance((x,), {"dtype": "float32"}) == (cast(x, dtype=float32), x)
    assert rule.instance((x,), {"dtype": np.float64}) is None


def test_a_left_side_needs_an_operation():
    def anything(x):
        yield x
        yield x

    with pytest.raises(ArgumentError, match="a left side with an operation"):
        table(anything)


def test_a_right_side_of_another_type_is_refused(golden):
    def narrower(x):
        yield sin(x)
        yield cast(x, dtype="float16")

    def flatter(x):
        yield cos(x)
        yield reshape(x, shape=(3, 1))

    texts = []
    for equation in (narrower, flatter):
        root = next(equation(x))
        with pytest.raises(RewriteError) as caught:
            Rewriter([table(equation)]).nodes([root])
        texts.append(caught.value.message)
    golden("rewrite_type_errors", "\n\n".join(texts))


# ---- to a fixpoint -------------------------------------------------------------------------------


def test_rules_are_applied_until_none_fires():
    rewriter = Rewriter([table(double_negation)])
    node = x
    for _ in range(11):
        node = negative(node)
    assert rewriter.nodes([node]) == [negative(x)]
    assert rewriter.fired == {"double_negation": 5}


def test_what_a_rule_makes_is_rewritten_in_turn():
    def sine_to_cosine(x):
        yield sin(x)
        yield negative(cos(negative(negative(x))))

    rewriter = Rewriter([table(double_negation, sine_to_cosine)])
    assert rewriter.nodes([negative(sin(x)), sin(y)]) == [cos(x), negative(cos(y))]


def test_the_first_rule_that_changes_something_wins():
    def first(x):
        yield sin(x)
        yield x

    def second(x):
        yield sin(x)
        yield cos(x)

    assert Rewriter([table(first), table(second)]).nodes([sin(x)]) == [x]
    assert Rewriter([table(second), table(first)]).nodes([sin(x)]) == [cos(x)]


def test_a_rule_that_changes_nothing_lets_the_others_go_on():
    def same(x, y):
        yield add(x, y)
        yield add(x, y)

    def other(x, y):
        yield add(x, y)
        yield subtract(x, negative(y))

    rewriter = Rewriter([table(same, other)])
    assert rewriter.nodes([add(x, y)]) == [subtract(x, negative(y))]
    assert rewriter.fired == {"other": 1}


def test_untouched_graphs_stay_the_same_objects():
    root = add(sin(x), multiply(y, sin(x)))
    assert Rewriter([table(double_negation)]).nodes([root]) == [root]


def test_results_are_given_for_roots_as_often_as_asked():
    twice = negative(negative(x))
    assert Rewriter([table(double_negation)]).nodes([twice, x, twice, y]) == [x, x, x, y]


def test_operations_with_several_results_are_rewritten():
    pair = build("pair", [of()], lambda x: (x, sin(x)))

    def shorter(x, *, function):
        yield call(negative(x), function=function)
        yield call(x, function=function)

    first, second = items(call(negative(x), function=pair))
    rewriter = Rewriter([table(shorter, double_negation)])
    assert rewriter.nodes([second, first]) == list(items(call(x, function=pair)))[::-1]


def test_firings_note_their_rule():
    def sine_to_cosine(x):
        yield sin(x)
        yield cos(negative(x))

    root = negative(sin(p("provenance of a rule")))
    (found,) = Rewriter([table(sine_to_cosine)]).nodes([root])
    made = found.args[0]
    assert made.op is cos
    assert provenance(made).rule == "sine_to_cosine"
    assert provenance(made).place == provenance(root.args[0]).place
    assert provenance(found).rule == "", "it was rebuilt, not made by the rule"
    assert provenance(found).place == provenance(root).place


# ---- what does not end ---------------------------------------------------------------------------


def swap(x, y):
    yield subtract(x, y)
    yield subtract(y, x)


def grow(x):
    yield sin(x)
    yield sin(negative(x))


def wrap(x):
    yield cos(x)
    yield negative(cos(x))


def there(x):
    yield sin(x)
    yield cos(x)


def and_back(x):
    yield cos(x)
    yield sin(x)


ENDLESS = {
    "swap": ((swap,), subtract(x, y)),
    "grow": ((grow,), sin(x)),
    "grow and shrink": ((grow, double_negation), sin(x)),
    "wrap": ((wrap,), cos(x)),
    "there and back": ((there, and_back), sin(x)),
}


def test_rules_without_an_end_are_named(golden):
    texts = []
    for name, (equations, root) in ENDLESS.items():
        rewriter = Rewriter([table(*equations)], fuel_per_node=3)
        with pytest.raises(RewriteError) as caught:
            rewriter.nodes([negative(negative(root))])
        texts.append(f"# {name}\n{caught.value.message}")
        assert all(equation.__name__ in caught.value.message for equation in equations)
    golden("rewrite_endless", "\n\n".join(texts))


def test_a_large_graph_has_more_fuel_than_a_small_one():
    """Fuel is counted by the node: work in proportion to the graph is not taken for endless."""
    root = x
    for _ in range(3000):
        root = add(negative(negative(root)), y)
    rewriter = Rewriter([table(double_negation)], fuel_per_node=1)
    rewriter.nodes([root])
    assert rewriter.fired["double_negation"] == 3000


# ---- Functions within ----------------------------------------------------------------------------


def test_functions_among_the_attributes_are_rewritten():
    twice = build("twice", [of()], lambda x: negative(negative(sin(x))))
    once = build("twice", [of()], sin)

    def program(twice):
        def body(index, x):
            called = items(call(x, function=twice))[0]
            chosen = items(switch(index, called, branches=(twice, twice)))[0]
            return items(scan(chosen, body=twice, carries=1, length=3))[0]

        return build("program", [of((), int32), of()], body)

    rewriter = Rewriter([table(double_negation)])
    assert rewriter.function(program(twice)) == program(once)
    assert rewriter.fired == {"double_negation": 1}, "a Function that stands in four places, once"
    assert rewriter.function(program(once)) == program(once)


def test_functions_further_in_are_rewritten():
    def nested(inner):
        middle = build("middle", [of()], lambda x: items(call(x, function=inner))[0])
        return build("outer", [of()], lambda x: items(call(x, function=middle))[0])

    twice = build("inner", [of()], lambda x: negative(negative(sin(x))))
    once = build("inner", [of()], sin)
    assert Rewriter([table(double_negation)]).function(nested(twice)) == nested(once)


# ---- how much work -------------------------------------------------------------------------------


def test_a_shared_part_is_rewritten_once():
    root = negative(negative(x))
    for _ in range(60):
        root = add(root, root)  # 2**60 paths
    rewriter = Rewriter([table(double_negation)])
    (found,) = rewriter.nodes([root])
    assert rewriter.fired == {"double_negation": 1}
    assert len(postorder([found])) == 61


def test_the_work_is_in_proportion_to_the_graph():
    """One firing for each place, each rule tried a bounded number of times for each node."""
    tried = 0

    def counting(x, y):
        nonlocal tried
        yield add(x, y)
        tried += 1

    root = x
    depth = 10_000
    for _ in range(depth):
        root = add(negative(negative(root)), y)
    assert len(postorder([root])) == 3 * depth + 2
    rewriter = Rewriter([table(double_negation, counting)])
    before = count()
    (found,) = rewriter.nodes([root])
    assert rewriter.fired == {"double_negation": depth}
    assert tried == 2 * depth, "each sum once, in both orders"
    assert len(postorder([found])) == depth + 2
    made = count() - before
    assert made <= 2 * depth, "the left sides were there, the right sides are shared"


def test_a_deep_graph_is_rewritten_without_recursion():
    root = x
    for _ in range(100_000):
        root = negative(root)
    rewriter = Rewriter([table(double_negation)])
    assert rewriter.nodes([root]) == [x]
    assert rewriter.fired == {"double_negation": 50_000}


def test_weight_counts_operations():
    root = select(p("c", of(dtype=bool_)), add(x, full(1, float32, (3,))), x)
    assert weight(postorder([root])) == 2
    assert weight([]) == 0


def test_a_table_knows_its_rules():
    rules = table(double_negation, swap)
    assert len(rules) == 2 and [rule.name for rule in rules] == ["double_negation", "swap"]
    assert rules.arithmetic == "exact" and rules.tolerance == 0


def test_literals_in_patterns_are_part_of_a_hole():
    pattern = full_like(hole(name="x"), -0.0)
    assert pattern.attrs == (Literal.from_numpy(-0.0),)
    assert Function("f", (), ()) == Function("f", (), ())

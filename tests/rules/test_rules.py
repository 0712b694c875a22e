"""Every rewrite rule is an equation: checked on every sample, every element type, independent data.

`faults` names what is wrong with a rule. The canaries at the end are rules known to be false; each
must be found out by the very same function.
"""

import itertools
from collections.abc import Sequence

import ml_dtypes
import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ThalwegError
from thalweg.ir.attribute import Hole
from thalweg.ir.dim import named, substitute
from thalweg.ir.function import Function
from thalweg.ir.leaves import full_like, hole, parameter
from thalweg.ir.node import Node
from thalweg.ir.parse import parse_type
from thalweg.ir.rewrite import Rewriter, Rules, weight
from thalweg.ir.types import (
    DTYPES,
    DType,
    Literal,
    TensorType,
    as_dtype,
    bool_,
    float32,
    float64,
    tensor_type,
)
from thalweg.ir.verify import verify
from thalweg.ir.walk import postorder
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import (
    abs,
    add,
    cast,
    divide,
    exp,
    greater_equal,
    less,
    log,
    logical_not,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    select,
    subtract,
)
from thalweg.ops.movement import reshape, reverse, slice, transpose
from thalweg.ops.samples import special, values
from thalweg.passes import algebra, movement, numerics
from thalweg.transforms.evaluate import run

TABLES = (algebra.rules, movement.rules, numerics.finite, numerics.approximate)
EPSILONS = {16: 2.0**-7, 32: 2.0**-23, 64: 2.0**-52}
SIZES = {"b": 4, "t": 3}

# ---- data ----------------------------------------------------------------------------------------


def extremes(dtype: DType) -> np.ndarray:
    """Zeros of both signs, infinities, NaN, the largest and the smallest numbers of a type."""
    row = special(dtype)
    if dtype.is_inexact:
        info = ml_dtypes.finfo(dtype.real.numpy)
        edges = [info.max, -info.max, info.tiny, info.smallest_subnormal]
        row = np.concatenate([row, np.array(edges).astype(dtype.numpy)])
    if dtype.is_complex:
        # A sum of parts would turn an infinity and a NaN of one part into NaN in both.
        part = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.0], dtype.real.numpy)
        row = np.empty((len(part), len(part)), dtype.numpy)
        row.real, row.imag = part[:, None], part[None, :]
        row = row.ravel()
    return row


def every_pair(types: Sequence[TensorType]) -> list[np.ndarray]:
    """One axis with every combination of extremes, for holes that may have any shape."""
    rows = [extremes(type.dtype) for type in types]
    if np.prod([len(row) for row in rows]) > 30_000:
        rows = [row[:12] for row in rows]
    return [np.array(column) for column in np.meshgrid(*rows, indexing="ij")]


def data(type: TensorType, arithmetic: str, seed: int) -> np.ndarray:
    """Values for one hole, its own for each seed; among them extremes where they are allowed."""
    shape = tuple(substitute(size, SIZES) for size in type.shape)
    # Beyond half a turn, where the logarithm of a complex exponential is another number.
    array = values(shape, type.dtype, -4.0, 4.0, seed=seed)
    if arithmetic != "approximate" and array.size:
        edges = extremes(type.dtype)
        if arithmetic == "finite":
            edges = edges[np.isfinite(edges)]
        random = np.random.default_rng(seed)
        mask = random.random(shape) < 0.5
        array = np.where(mask, random.choice(edges, shape), array)
    return np.asarray(array, type.dtype.numpy)


def is_equal(found: np.ndarray, wanted: np.ndarray, rules: Rules) -> bool:
    """Equal as the table's arithmetic understands it."""
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        return False
    if found.dtype.kind in "biu":
        return bool(np.array_equal(found, wanted))
    if found.dtype.kind == "c":
        return all(is_equal(*parts, rules) for parts in (
            (found.real, wanted.real), (found.imag, wanted.imag)))  # fmt: skip
    if rules.arithmetic == "exact":
        is_nan = np.isnan(wanted)
        bits = f"u{found.dtype.itemsize}"
        same = np.ascontiguousarray(found).view(bits) == np.ascontiguousarray(wanted).view(bits)
        return bool(np.all(np.isnan(found) == is_nan) and np.all(same | is_nan))
    if rules.arithmetic == "finite":
        return bool(np.array_equal(found, wanted))
    wide, exact = found.astype(np.float64), wanted.astype(np.float64)
    epsilon = EPSILONS[as_dtype(found.dtype).bits]
    scale = np.max(np.abs(exact), initial=0)
    return bool(np.max(np.abs(wide - exact), initial=0) <= rules.tolerance * epsilon * scale)


# ---- the check -----------------------------------------------------------------------------------


def parameters(types: Sequence[TensorType]) -> tuple[Node, ...]:
    return tuple(parameter(name=f"x{index}", type=type) for index, type in enumerate(types))


def agrees(left: Node, right: Node, nodes, arrays, rules: Rules) -> bool:
    sides = verify(Function("sides", nodes, (left, right)))
    wanted, found = run(sides, *arrays)
    return is_equal(found, wanted, rules)


def faults(rule, rules: Rules, types: Sequence[TensorType], attrs) -> set[str]:
    """What is wrong with a rule for holes of these types: among condition, type, measure, values,
    fires. Empty for a rule that is right.
    """
    nodes = parameters(types)
    sides = rule.instance(nodes, attrs)
    if sides is None:
        return {"condition"}
    left, right = sides
    found = set()
    if right.type is not left.type:
        return {"type"}
    if not rules.measure(postorder([right])) < rules.measure(postorder([left])):
        found.add("measure")
    for seed in range(3):
        arrays = [data(each, rules.arithmetic, 10 * seed + i) for i, each in enumerate(types)]
        if not agrees(left, right, nodes, arrays, rules):
            found.add("values")
    if rules.arithmetic == "exact" and types and is_pointwise(postorder([left, right])):
        arrays = every_pair(types)
        wide = [tensor_type(as_dtype(array.dtype), array.shape) for array in arrays]
        nodes = parameters(wide)
        if not agrees(*rule.instance(nodes, attrs), nodes, arrays, rules):
            found.add("values")
    alone = Rules(rules.title, rules.arithmetic, rules.measure, rules=[rule])
    rewriter = Rewriter([alone], fuel_per_node=2)
    try:
        rewriter.nodes([left])
    except ThalwegError:
        found.add("fires")
    if not rewriter.fired[rule.name]:
        found.add("fires")
    return found


def is_pointwise(nodes: Sequence[Node]) -> bool:
    return all(node.op.family in ("pointwise", "leaf", "mark") for node in nodes)


def types_of(sample) -> tuple[TensorType, ...]:
    return tuple(parse_type(text) for text in sample)


CASES = [
    pytest.param(rules, rule, types_of(types), attrs, id=f"{rules.title}-{rule.name}-{index}")
    for rules in TABLES
    for rule in rules
    for index, (types, attrs) in enumerate(rule.samples)
]
RULES = [
    pytest.param(rules, rule, id=f"{rules.title}-{rule.name}") for rules in TABLES for rule in rules
]


@pytest.mark.parametrize(("rules", "rule", "types", "attrs"), CASES)
def test_the_equation_holds(rules, rule, types, attrs):
    assert faults(rule, rules, types, attrs) == set()


@pytest.mark.parametrize(("rules", "rule"), RULES)
def test_it_holds_for_every_element_type_or_refuses(rules, rule):
    """Samples name one type each; a rule fires for whatever its ops take."""
    assert rule.samples, "a rule without samples is not checked"
    for types, attrs in rule.samples:
        types = types_of(types)
        main = types[-1].dtype if types else float32
        for dtype in DTYPES:
            changed = [type.with_dtype(dtype) if type.dtype is main else type for type in types]
            own = dict(attrs)
            if "value" in own:
                own["value"] = Literal.from_numpy(extremes(dtype)[-1], dtype)
            try:
                found = faults(rule, rules, changed, own)
            except (ThalwegError, OverflowError) as error:
                # The ops on the left do not take this type, or it does not have the constant.
                assert "wants" in str(error) or "out of bounds" in str(error)
                continue
            assert found <= {"condition"}, f"{dtype}: {found}"


def test_every_pair_of_casts_is_joined_only_where_nothing_is_lost():
    rule = next(rule for rule in algebra.rules if rule.name == "cast_twice")
    fired = 0
    for source in DTYPES:
        array = np.concatenate([extremes(source), values((9,), source, -300, 300)])
        (x,) = nodes = parameters([tensor_type(source, array.shape)])
        for inner, outer in itertools.product(DTYPES, DTYPES):
            sides = rule.instance((x,), {"inner": inner, "outer": outer})
            if sides is not None:
                fired += 1
                assert agrees(*sides, nodes, [array], algebra.rules), (source, inner, outer)
    assert fired > 500


@pytest.mark.parametrize(("rules", "rule"), RULES)
def test_the_whole_table_lets_the_rule_fire(rules, rule):
    """No rule is dead because others always come first."""
    fired = 0
    for types, attrs in rule.samples:
        left, _ = rule.instance(parameters(types_of(types)), attrs)
        rewriter = Rewriter([rules])
        rewriter.nodes([left])
        fired += rewriter.fired[rule.name]
    assert fired


@pytest.mark.parametrize(("rules", "rule"), RULES)
def test_commuted_operands_match_as_well(rules, rule):
    if "commutative" not in rule.pattern.op.laws:
        return
    for types, attrs in rule.samples:
        types = types_of(types)
        nodes = parameters(types)
        left, _ = rule.instance(nodes, attrs)
        swapped = left.op(*reversed(left.args), **left.attributes)
        right = rule.apply(swapped)
        assert right is not None
        arrays = [data(each, rules.arithmetic, i) for i, each in enumerate(types)]
        assert agrees(swapped, right, nodes, arrays, rules)


def test_names_are_unique_and_left_sides_are_made_of_ops():
    names = [rule.name for rules in TABLES for rule in rules]
    assert len(names) == len(set(names))
    for rules in TABLES:
        assert rules.arithmetic in ("exact", "finite", "approximate")
        assert (rules.tolerance > 0) == (rules.arithmetic == "approximate")
        for rule in rules:
            assert rule.pattern.op is not hole
            bound = {n.attrs[0] for n in postorder([rule.pattern]) if n.op is hole}
            assert set(rule.holes) <= bound, f"{rule.name} has a hole that nothing binds"
            metadata = {v.name for n in postorder([rule.pattern]) for v in n.attrs
                        if isinstance(v, Hole)}  # fmt: skip
            assert all(set(attrs) == metadata for _, attrs in rule.samples)


def slices(size: int):
    return [
        (low, high, step)
        for low in range(size + 1)
        for high in range(low, size + 1)
        for step in (1, 2, 3)
    ]


def test_a_slice_of_a_slice_takes_the_same_elements_always():
    """All slices of all slices of six elements, the empty ones included."""
    rule = next(rule for rule in movement.rules if rule.name == "slice_twice")
    (x,) = parameters([tensor_type(float32, (6,))])
    array = np.arange(6)
    count = 0
    for a, b, c in slices(6):
        middle = array[a:b:c]
        for d, e, f in slices(len(middle)):
            attrs = {"a": (a,), "b": (b,), "c": (c,), "d": (d,), "e": (e,), "f": (f,)}
            left, right = rule.instance((x,), attrs)
            start, limit, stride = (each[0] for each in right.attrs)
            assert right.type is left.type
            np.testing.assert_array_equal(array[start:limit:stride], middle[d:e:f])
            count += 1
    assert count > 1000


def test_a_slice_of_a_slice_with_named_sizes_fires_where_it_is_known():
    rule = next(rule for rule in movement.rules if rule.name == "slice_twice")
    b = named("b")
    (x,) = parameters([tensor_type(float32, (b + 2,))])

    def ends(a, limit, c, d, e, f):
        sides = rule.instance(
            (x,), {"a": (a,), "b": (limit,), "c": (c,), "d": (d,), "e": (e,), "f": (f,)}
        )
        return None if sides is None else tuple(each[0] for each in sides[1].attrs)

    assert ends(1, b + 2, 1, b, b + 1, 1) == (b + 1, b + 2, 1)
    assert ends(0, b, 1, 0, b, 3) == (0, b, 3)
    assert ends(b, b, 1, 0, 0, 1) == (b, b, 1)
    assert ends(0, b, 2, 0, 0, 1) is None, "how many elements there are is not known"


ROW = Literal.from_numpy(np.arange(3, dtype=np.float32))
NEAR = [
    ("pad_nothing", ("f32[3]", "f32[]"), {"low": (1,), "high": (-1,), "interior": (0,)}),
    ("pad_nothing", ("f32[1]", "f32[]"), {"low": (0,), "high": (0,), "interior": (1,)}),
    ("reverse_nothing", ("f32[3]",), {"axes": (0,)}),
    ("transpose_nothing", ("f32[3,3]",), {"axes": (1, 0)}),
    ("sum_nothing", ("f32[1]",), {"axes": (0,)}),
    ("slice_everything", ("f32[1]",), {"start": (1,), "limit": (1,), "stride": (1,)}),
    ("slice_everything", ("f32[3]",), {"start": (0,), "limit": (3,), "stride": (2,)}),
    ("broadcast_constant", (), {"value": ROW, "inner": (3,), "shape": (2, 3), "axes": (1,)}),
    ("reshape_constant", (), {"value": ROW, "inner": (3,), "shape": (3, 1)}),
    ("transpose_constant", (), {"value": ROW, "inner": (3,), "axes": (0,)}),
]


@pytest.mark.parametrize(("name", "types", "attrs"), NEAR)
def test_what_is_nearly_on_the_left_side_is_left_alone(name, types, attrs):
    rule = next(rule for rule in movement.rules if rule.name == name)
    assert rule.instance(parameters(types_of(types)), attrs) is None


def test_moves_are_joined_only_where_the_sizes_are_known_to_fit(monkeypatch):
    """That two sizes equal a third does not mean that they are known to be equal."""
    names = ("reshape_twice", "broadcast_twice")
    rules = [rule for rule in movement.rules if rule.name in names]
    sides = [rule.instance(parameters(types_of(rule.samples[0][0])), rule.samples[0][1])
             for rule in rules]  # fmt: skip
    assert all(sides)
    monkeypatch.setattr("thalweg.passes.movement.is_known_equal", lambda a, b: False)
    assert [rule.apply(left) for rule, (left, _) in zip(rules, sides, strict=True)] == [None, None]


def test_named_sizes_are_not_asked_for_their_value():
    """A symbolic start or padding that may be zero must neither fire nor raise."""
    b = named("b")
    (x,) = parameters([tensor_type(float32, (b,))])
    last = slice(x, start=(b - 1,), limit=(b,), stride=(1,))
    nodes = Rewriter([movement.rules]).nodes([last])
    assert nodes == [last]


# ---- canaries ------------------------------------------------------------------------------------

canaries = Rules("canaries", "exact", algebra.measure)
loose = Rules("canaries of finite numbers", "finite", weight)
rounded = Rules("canaries within rounding", "approximate", weight, tolerance=16)
EXPECTED: dict[str, str] = {}
X, C = "f64[2,3]", "bool[2,3]"


def canary(fault: str, *samples, rules: Rules = canaries):
    def enter(equation):
        EXPECTED[equation.__name__] = fault
        return rules.equation(*samples)(equation)

    return enter


@canary("values", (X, X))
def swapped_difference(x, y):
    yield subtract(x, y)
    yield subtract(y, x)


@canary("values", (X,))
def zero_added(x):
    yield add(x, full_like(x, 0))
    yield x


@canary("values", (X,))
def minus_zero_subtracted(x):
    yield subtract(x, full_like(x, -0.0))
    yield x


@canary("values", (X,))
def times_zero(x):
    yield multiply(x, full_like(x, 0))
    yield full_like(x, 0)


@canary("values", (X,))
def less_itself(x):
    yield subtract(x, x)
    yield full_like(x, 0)


@canary("values", (X,))
def divided_by_itself(x):
    yield divide(x, x)
    yield full_like(x, 1)


@canary("values", (X,))
def log_undoes_exp(x):
    yield log(exp(x))
    yield x


@canary("values", ("c128[3]",), rules=rounded)
def complex_log_undoes_exp(x):
    yield log(exp(multiply(x, full_like(x, 3))))
    yield multiply(x, full_like(x, 3))


@canary("values", (X, X))
def difference_negated(x, y):
    yield negative(subtract(x, y))
    yield subtract(y, x)


@canary("values", (X, X))
def less_denied(x, y):
    yield logical_not(less(x, y))
    yield greater_equal(x, y)


@canary("values", (X, X))
def least_chosen(x, y):
    yield maximum(negative(x), negative(y))
    yield negative(select(less(y, x), y, x))


@canary("values", ("c64[3]",))
def complex_times_one(x):
    yield multiply(x, full_like(x, 1))
    yield x


@canary("values", ("c64[3]",))
def complex_minus_zero_added(x):
    yield add(x, full_like(x, -0.0))
    yield x


@canary("values", ("u8[3]",))
def unsigned_magnitude(x):
    yield abs(negative(x))
    yield abs(x)


@canary("values", (X,))
def narrow_and_wide(x):
    yield cast(cast(x, dtype=float32), dtype=float64)
    yield x


@canary("values", (("i32[9]",), {"inner": "float64", "outer": "int8"}))
def detour_over_floats(x, *, inner, outer):
    yield cast(cast(x, dtype=inner), dtype=outer)
    yield cast(x, dtype=outer)


@canary("values", (C, X, X))
def choice_swapped(c, x, y):
    yield select(logical_not(c), x, y)
    yield select(c, x, y)


@canary("values", (C, X, X))
def choice_forgotten(c, x, y):
    yield select(c, x, y)
    yield x


@canary("values", (("f32[3,3,3]",), {"inner": (1, 2, 0), "outer": (0, 2, 1)}))
def transposes_the_wrong_way_round(x, *, inner, outer):
    yield transpose(transpose(x, axes=inner), axes=outer)
    yield transpose(x, axes=tuple(outer[axis] for axis in inner))


@canary("values", (("f32[2,3]",), {"axes": (1, 0), "shape": (6,)}))
def reshape_of_transpose(x, *, axes, shape):
    yield reshape(transpose(x, axes=axes), shape=shape)
    yield reshape(x, shape=shape)


@canary("values", (("f32[3,3]",), {"first": (0,), "second": (1,)}))
def reverses_of_other_axes(x, *, first, second):
    yield reverse(reverse(x, axes=first), axes=second)
    yield x


@canary("values", (("f32[2]",), {"shape": (2, 2), "axes": (0,)}))
def rows_for_columns(x, *, shape, axes):
    yield reshape(broadcast(x, shape=shape, axes=axes), shape=(4,))
    yield reshape(broadcast(x, shape=shape, axes=(1,)), shape=(4,))


@canary("values", (("f32[9]",), {"a": (1,), "b": (8,), "d": (2,), "e": (4,)}))
def slices_that_forget_where_they_began(x, *, a, b, d, e):
    yield slice(slice(x, start=a, limit=b, stride=(1,)), start=d, limit=e, stride=(1,))
    yield slice(x, start=d, limit=e, stride=(1,))


@canary("values", (X, X), rules=loose)
def swapped_quotient(x, y):
    yield subtract(x, negative(y))
    yield subtract(x, y)


@canary("values", (X,), rules=loose)
def powers_of_two(x):
    yield power(x, full_like(x, 2))
    yield x


@canary("values", (X, X), rules=rounded)
def exponentials_multiplied(x, y):
    yield multiply(exp(x), exp(y))
    yield exp(multiply(x, y))


@canary("values", (X,), rules=rounded)
def almost(x):
    yield add(x, full_like(x, 1e-10))
    yield x


@canary("measure", (X,))
def grows(x):
    yield negative(x)
    yield negative(negative(negative(x)))


@canary("measure", (X, X))
def goes_round_in_circles(x, y):
    yield minimum(x, y)
    yield minimum(y, x)


@canary("fires", (X,))
def becomes_itself(x):
    yield negative(x)
    yield negative(x)


@canary("type", (X,))
def other_type(x):
    yield negative(x)
    yield cast(x, dtype=float32)


@canary("type", (("f32[2,3]",), {"axes": (1, 0)}))
def other_shape(x, *, axes):
    yield transpose(x, axes=axes)
    yield x


@canary("condition", (X,))
def never_holds(x):
    yield negative(x)
    if x.dtype is bool_:
        yield x


CANARIES = [
    pytest.param(rules, rule, id=rule.name)
    for rules in (canaries, loose, rounded)
    for rule in rules
]


@pytest.mark.parametrize(("rules", "rule"), CANARIES)
def test_false_rules_are_found_out(rules, rule):
    for types, attrs in rule.samples:
        assert EXPECTED[rule.name] in faults(rule, rules, types_of(types), attrs)

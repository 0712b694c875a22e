"""Nodes: found again, let go, frozen, the same from every thread, deep without recursion."""

import copy
import gc
import inspect
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

import thalweg.ir.parse
import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import ArgumentTypeError, ShapeError, ThalwegError
from thalweg.base.frames import describe
from thalweg.base.options import set_options
from thalweg.ir import node as table
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build, close, fresh, inline
from thalweg.ir.leaves import Tag, constant, full, item, items, literal, parameter, splat
from thalweg.ir.node import Node, context, count, made_by, make, provenance, remake
from thalweg.ir.op import find
from thalweg.ir.types import Literal, bool_, float32, float64, int32, int64, tensor_type
from thalweg.ir.walk import dependents, postorder, substitute, users
from thalweg.ops.control import call, scan
from thalweg.ops.elementwise import add, multiply, negative, sin
from thalweg.ops.mark import alias
from thalweg.ops.movement import iota, reshape, size, transpose
from thalweg.transforms.evaluate import run
from thalweg.transforms.gradient import vjp

DEPTH = 100_000


def input_of(name="x", shape=(3,), dtype=float32):
    return parameter(name=name, type=tensor_type(dtype, shape))


# ---- interning -----------------------------------------------------------------------------------


def test_equal_expressions_are_one_node():
    x = input_of()
    assert sin(x) is sin(x)
    assert add(sin(x), x) is add(sin(x), x)
    assert reshape(x, shape=[3, 1]) is reshape(x, shape=(np.int64(3), 1))
    assert add(x, sin(x)) is not add(sin(x), x)


def test_a_type_makes_a_difference():
    assert input_of(dtype=float32) is not input_of(dtype=float64)
    assert input_of(shape=(3,)) is not input_of(shape=(3, 1))
    assert input_of("x") is not input_of("y")


def test_attributes_that_are_left_out_have_their_default():
    x = input_of()
    body = build("body", [x.type], sin)
    assert call(x, function=body) is call(x, function=body)
    attrs = {"body": build("b", [x.type], lambda x: (x,)), "length": 4, "carries": 1}
    assert scan(x, **attrs) is scan(x, constants=0, reverse=False, **attrs)


def test_nodes_compare_and_hash_by_identity():
    x = input_of()
    a, b = sin(x), negative(x)
    assert a == a and a != b and len({a, b, sin(x)}) == 2


def test_a_node_that_nobody_holds_is_let_go():
    x = input_of("let go")
    before = count()
    y = sin(sin(negative(x)))
    assert count() == before + 3
    reference = weakref.ref(y)
    del y
    assert reference() is None
    assert count() == before


def test_a_node_keeps_its_args_alive():
    y = sin(negative(input_of("only here")))
    (inner,) = y.args
    assert inner.op is negative and inner.args[0].attrs[0] == "only here"


def test_a_node_can_be_made_again_after_it_was_let_go():
    x = input_of("made again")
    first = weakref.ref(sin(x))
    assert first() is None
    y = sin(x)
    assert sin(x) is y


def test_the_end_of_an_old_entry_leaves_the_new_one_alone():
    x = input_of("an old entry")
    y = sin(x)
    key = (y.op, y.args, y.attrs)
    old = table._table[key]
    del y
    assert old() is None
    y = sin(x)
    table._forget(old)
    assert table._table[key]() is y and sin(x) is y


def test_a_parameter_of_a_trace_is_let_go_with_it():
    before = count()
    x = fresh("x", tensor_type(float32, (3,)))
    function = close("f", [x], [sin(x)])
    assert function.parameters[0].attrs == ("x", x.type)
    del x, function
    assert count() == before


def test_a_cycle_through_an_attribute_is_collected():
    class Holder:
        pass

    gc.collect()
    before = count()
    holder = Holder()
    holder.node = sin(input_of("held"))
    del holder
    gc.collect()
    assert count() == before


# ---- constants -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.float32(0.0), np.float32(-0.0)),
        (np.float32(1), np.float64(1)),
        (np.int32(1), np.float32(1)),
        (np.bool_(True), np.int8(1)),
        (np.array(1, np.int32), np.array([1], np.int32)),
        (np.array([], np.float32), np.zeros((0, 1), np.float32)),
        (np.complex64(complex(0.0, -0.0)), np.complex64(0)),
        (np.uint32(0x7FC00000).view(np.float32), np.uint32(0x7FC00001).view(np.float32)),
    ],
)
def test_constants_are_told_apart_by_their_bits(one, other):
    a, b = Literal.from_numpy(one), Literal.from_numpy(other)
    assert a != b
    assert literal(one) is not literal(other)
    assert literal(one) is literal(np.array(one))


def test_nan_is_the_same_constant_as_itself():
    assert full(np.nan, float32) is full(float("nan"), float32)
    assert literal([np.nan, 1.0], float64) is literal([np.nan, 1.0], float64)


@pytest.mark.parametrize("dtype", [float32, int32, bool_])
def test_python_numbers_that_are_equal_are_kept_apart_by_type(dtype):
    found = {full(value, dtype, (2,)) for value in (1, True, 1.0)}
    assert len(found) == 1, "the element type decides, not the Python type that was given"
    assert full(0.0, float32) is not full(-0.0, float32)
    assert full(0, int32) is not full(False, bool_)
    assert splat(full(-0.0, float64)) == 0 and str(splat(full(-0.0, float64))) == "-0.0"


def test_attributes_take_no_value_of_another_python_type():
    """1, 1.0 and True are equal and hash alike: only one of them may be an Integer."""
    x = input_of(shape=(2, 3))
    with pytest.raises(ArgumentTypeError, match="wants an integer for axis"):
        iota(dtype=int32, shape=(3,), axis=False)
    with pytest.raises(ArgumentTypeError, match="integers or named sizes"):
        transpose(x, axes=(True, False))
    with pytest.raises(ArgumentTypeError, match="integers or named sizes"):
        reshape(x, shape=(6.0,))
    flags = {"body": build("b", [x.type], lambda x: (x,)), "length": 4, "carries": 1}
    with pytest.raises(ArgumentTypeError, match="True or False for reverse"):
        scan(x, reverse=1, **flags)


def test_full_normalises_its_shape():
    assert full(1.5, float32, [2, np.int64(3)]) is full(1.5, float32, (2, 3))
    assert full(1.5, float32, [2, np.int64(3)]).attrs[1] == (2, 3)
    assert all(type(each) is int for each in full(2.5, float32, [4, np.int64(5)]).shape)


def test_a_literal_has_the_shape_of_its_constant_or_none():
    with pytest.raises(ShapeError, match="a scalar literal, or one of the same shape"):
        constant(value=Literal.from_numpy(np.arange(6)), shape=(2, 3))


# ---- frozen --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["op", "args", "attrs", "type", "shape", "new"])
def test_nothing_can_be_set_or_deleted(name):
    y = sin(input_of())
    with pytest.raises(AttributeError, match="a node is frozen"):
        setattr(y, name, None)
    with pytest.raises(AttributeError, match="a node is frozen"):
        delattr(y, name)
    assert not hasattr(y, "__dict__")


@pytest.mark.parametrize("value", [tensor_type(float32, (3,)), Literal.from_numpy(1.5)])
def test_types_and_literals_are_frozen_too(value):
    with pytest.raises(AttributeError, match="is frozen"):
        value.shape = ()
    with pytest.raises(AttributeError, match="is frozen"):
        del value.shape
    assert not hasattr(value, "__dict__")


def test_the_values_of_a_literal_are_read_only():
    array = np.arange(3)
    value = Literal.from_numpy(array)
    array[0] = 9
    assert value.numpy()[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        value.numpy()[0] = 9


def test_copies_are_the_node_itself():
    function = build("f", [tensor_type(float32, (3,))], sin)
    y = function.results[0]
    assert copy.copy(y) is y and copy.deepcopy(y) is y
    assert copy.copy(function) is function and copy.deepcopy([function])[0] is function


def test_a_function_is_pickled_as_its_text():
    types = [tensor_type(float32, (named("b"), 3))]
    function = build("f", types, lambda x: add(x, full(-0.0, float32, x.shape)))
    data = pickle.dumps(function)
    assert b"f(x0: f32[b,3])" in data
    assert pickle.loads(data) == function
    assert pickle.loads(pickle.dumps(sin)) is sin
    for value in (Literal.from_numpy(np.float32(np.nan)), tensor_type(float32, (2,)), float64):
        assert pickle.loads(pickle.dumps(value)) == value


# ---- making --------------------------------------------------------------------------------------


class Unhashable:
    __hash__ = None

    def __repr__(self):
        return "Unhashable()"


def messages():
    x = input_of()
    yield lambda: alias(x, tag={"a": 1})
    yield lambda: alias(x, tag=([1], 2))
    yield lambda: alias(x, tag=Unhashable())
    yield lambda: add(x, np.zeros(3, np.float32))
    yield lambda: add(x, 1.0)
    yield lambda: add(x)
    yield lambda: reshape(x)
    yield lambda: reshape(x, shape=(3,), axis=1)
    yield lambda: reshape(x, shape="3")
    yield lambda: iota(dtype="float", shape=(3,), axis=None)
    yield lambda: iota(dtype="f33", shape=(3,), axis=0)
    yield lambda: item(x, index=0)
    yield lambda: item(call(x, function=build("f", [x.type], sin)), index=-1)
    yield lambda: constant(value=1.5, shape=())


def test_what_cannot_be_made_says_so(golden):
    texts = []
    for make_it in messages():
        with pytest.raises(ThalwegError) as caught:
            make_it()
        texts.append(caught.value.message)
    golden("node_errors", "\n\n".join(texts))


def test_an_op_that_refuses_leaves_nothing_behind():
    x, y = input_of("refused"), input_of("refused", shape=(4,))
    before = count()
    with pytest.raises(ShapeError):
        add(x, y)
    assert count() == before
    with pytest.raises(ShapeError):
        add(x, y)


def test_items_are_the_results():
    x = input_of()
    both = call(x, function=build("both", [x.type], lambda x: (sin(x), negative(x))))
    first, second = items(both)
    assert first.type is x.type and first.attrs == (0,) and second.attrs == (1,)
    assert items(first) == (first,)
    assert repr(both) == "<call: (f32[3], f32[3])>"


# ---- threads -------------------------------------------------------------------------------------


def in_threads(work, count=4):
    failures = []

    def guarded():
        try:
            work()
        except BaseException as error:  # reported in the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.fixture
def eager_switching():
    """Let threads interrupt one another as often as possible."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(former)


def test_threads_that_build_the_same_graph_get_the_same_nodes(eager_switching):
    x = input_of("shared")
    gate = threading.Barrier(4)
    built = []

    def work():
        gate.wait()
        nodes, y = [], x
        for step in range(400):
            y = multiply(sin(y), full(float(step), float32, (3,)))
            nodes.append(y)
        built.append(nodes)

    in_threads(work)
    assert len(built) == 4
    assert all(nodes == built[0] for nodes in built), "the same objects, node by node"
    assert all(make(node.op, node.args, node.attrs) is node for node in built[0])


def test_no_thread_comes_between_the_end_of_a_node_and_its_removal():
    """While an entry is looked at and removed, nobody else can enter a new one in its place."""
    could_enter = []

    class Watched(dict):
        def get(self, key):
            in_threads(lambda: could_enter.append(table._lock.acquire(timeout=0.01)), count=1)
            return super().get(key)

    y = sin(input_of("watched"))
    key = (y.op, y.args, y.attrs)
    entry = table._table[key]
    entries = Watched({key: entry})
    table._forget(entry, entries)
    assert could_enter == [False] and not entries


def test_a_node_is_one_while_others_let_it_go(eager_switching):
    """The end of one node and the birth of the next must not overtake each other."""

    def work():
        for _ in range(3000):
            first = full(2.5, float32, (3,))
            assert full(2.5, float32, (3,)) is first
            assert provenance(first).rule == ""
            del first

    in_threads(work)


# ---- depth ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deep():
    x = y = input_of(shape=(), dtype=float64)
    for _ in range(DEPTH):
        y = negative(y)
    return Function("deep", (x,), (y,))


def test_a_deep_graph_is_walked(deep):
    order = deep.order()
    assert len(order) == DEPTH + 1
    assert order[0] is deep.parameters[0] and order[-1] is deep.results[0]
    assert len(dependents(order, deep.parameters)) == DEPTH + 1
    assert len(users(order)[deep.parameters[0]]) == 1


def test_a_deep_graph_is_evaluated(deep):
    (y,) = run(deep, np.array(1.5))
    assert y == 1.5


def test_a_deep_graph_is_differentiated_and_inlined(deep):
    pulled = vjp(deep)
    (dx,) = run(pulled, np.array(1.5), np.array(2.0))
    assert dx == 2.0
    assert inline(deep, deep.parameters) == list(deep.results)


def test_a_deep_graph_is_let_go_without_recursion():
    x = input_of("deep root", shape=())
    before = count()
    y = x
    for _ in range(DEPTH):
        y = sin(y)
    assert count() == before + DEPTH
    del y
    assert count() == before


def test_a_deep_graph_is_let_go_in_a_thread_with_a_small_stack():
    before = count()

    def work():
        y = input_of("deep root", shape=())
        for _ in range(DEPTH // 4):
            y = sin(y)
        del y

    former = threading.stack_size(256 * 1024)
    try:
        in_threads(work, count=1)
    finally:
        threading.stack_size(former)
    assert count() == before


# ---- walks ---------------------------------------------------------------------------------------


def test_postorder_is_canonical_and_lists_each_node_once():
    x, y = input_of("x"), input_of("y")
    shared = sin(x)
    root = add(multiply(shared, y), shared)
    assert postorder([root]) == [x, shared, y, root.args[0], root]
    assert postorder([shared, root])[:2] == [x, shared]
    assert postorder([root], {shared}) == [shared, y, root.args[0], root]


def test_a_wide_shared_graph_is_walked_once():
    y = input_of(shape=())
    for _ in range(200):
        y = add(y, y)  # 2**200 paths
    assert len(postorder([y])) == 201
    (z,) = substitute([y], {})
    assert z is y


def test_substitute_leaves_alone_what_does_not_change():
    x, y, z = input_of("x"), input_of("y"), input_of("z")
    root = add(sin(x), sin(y))
    (new,) = substitute([root], {x: z})
    assert new is add(sin(z), sin(y))
    assert new.args[1] is root.args[1]
    assert substitute([root], {root: x}) == [x]


# ---- provenance ----------------------------------------------------------------------------------


def here() -> str:
    frame = inspect.currentframe().f_back
    return f"tests/ir/test_node.py:{frame.f_lineno}"


def test_a_node_knows_the_users_line():
    x = input_of("provenance of a line")
    y, line = sin(x), here()
    origin = provenance(y)
    assert describe(origin.place).endswith(line)
    assert (origin.layer, origin.rule) == ("", "")


def test_the_line_is_the_innermost_outside_of_the_package():
    types = [tensor_type(float32, (77,))]
    lines = []

    def body(x):
        y, line = sin(x), here()
        lines.append(line)
        return y

    function = build("f", types, body)
    assert describe(provenance(function.results[0]).place).endswith(lines[0]), "closing keeps it"
    replaced = inline(function, [negative(input_of(shape=(77,)))])[0]
    assert describe(provenance(replaced).place).endswith(lines[0]), "and so does inlining"


def test_the_first_place_stays():
    x = input_of("first place")
    y, line = sin(x), here()
    again = sin(x)
    assert again is y and describe(provenance(again).place).endswith(line)


def test_rules_and_layers_are_noted():
    x = input_of("rules and layers")
    context.layer = "model/dense"
    try:
        y = sin(x)
    finally:
        context.layer = ""
    with made_by("outer", y):
        a = negative(y)
        with made_by("inner", a):
            b = sin(a)
        c = negative(a)
    d = negative(c)
    assert [provenance(node).rule for node in (y, a, b, c, d)] == [
        "",
        "outer",
        "inner",
        "outer",
        "",
    ]
    assert [provenance(node).layer for node in (y, a, b, c, d)] == ["model/dense"] * 4 + [""]
    assert provenance(a).place == provenance(b).place == provenance(y).place
    e = remake(b, (d,), ())
    assert e is sin(d)
    assert provenance(e) == provenance(b), "what is remade comes from where it came from"


def test_a_rule_that_fails_does_not_mark_what_follows():
    x = input_of("a failing rule")
    y = sin(x)
    with pytest.raises(ZeroDivisionError), made_by("failing", y):
        raise ZeroDivisionError
    assert provenance(negative(y)).rule == ""


def test_provenance_can_be_switched_off():
    former = set_options(provenance=False)
    try:
        y = sin(input_of("no provenance"))
    finally:
        set_options(provenance=former.provenance)
    assert provenance(y).place is None


def test_provenance_has_no_part_in_identity():
    x = input_of("identity")
    first = sin(x)
    with made_by("rule", first):
        assert sin(x) is first
    assert provenance(first).rule == ""


def test_patterns_have_no_type():
    pattern = add(find("hole")(name="x"), full(1.0, float32))
    assert pattern.type is table.ANY
    assert repr(pattern) == "<add: any>"


def test_tags_are_equal_to_no_other():
    type = tensor_type(int64, ())
    a, b = parameter(name=Tag("x"), type=type), parameter(name=Tag("x"), type=type)
    assert a is not b
    assert isinstance(a, Node)
    assert size(dim=named("b"), dtype=int64) is size(dim=named("b"), dtype=int64)
    assert Function("f", (a,), (a,)) != Function("f", (b,), (b,))

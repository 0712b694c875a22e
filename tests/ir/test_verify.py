"""Graphs broken by hand, one for each invariant: the verifier refuses each, and says what it is."""

import re

import numpy as np
import pytest

import thalweg.ops.vocabulary  # noqa: F401  declares every op
from thalweg.base.errors import VerifyError
from thalweg.ir.dim import named
from thalweg.ir.function import Function, build, fresh
from thalweg.ir.leaves import Tag, hole, item, items, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import float32, float64, int32, tensor_type
from thalweg.ir.verify import verify
from thalweg.ops.broadcast import broadcast
from thalweg.ops.control import call, scan, switch
from thalweg.ops.elementwise import add, sin
from thalweg.ops.movement import concatenate, iota, reshape, size

b, c = named("b"), named("c")
X = tensor_type(float32, (2,))
x = parameter(name="x", type=X)
y = parameter(name="y", type=X)


def broken(op, args, attrs, type) -> Node:
    """A node that no op made."""
    node = object.__new__(Node)
    for slot, value in (("op", op), ("args", args), ("attrs", attrs), ("type", type)):
        vars(Node)[slot].__set__(node, value)
    return node


def f(*results, parameters=(x,), name="f"):
    return Function(name, parameters, results)


def inner(result, parameters=(x,)):
    return Function("inner", parameters, (result,))


def in_a_call(function):
    return f(item(call(x, function=function), index=0))


def in_a_branch(function):
    index = parameter(name="i", type=tensor_type(int32, ()))
    good = build("good", [X], sin, ["x"])
    return f(item(switch(index, x, branches=(good, function)), index=0), parameters=(index, x))


WIDE = tensor_type(float64, (2,))
OF_B, OF_C = tensor_type(float32, (b,)), tensor_type(float32, (c,))
xb = parameter(name="xb", type=OF_B)
tagged = fresh("x", X)
pair = call(x, function=build("pair", [X], lambda x: (x, sin(x))))

BROKEN = {
    "a name twice": (f(x, parameters=(x, parameter(name="x", type=WIDE))), "distinct names"),
    "a name that is a tag": (f(tagged, parameters=(tagged,)), "distinct names"),
    "a name that text cannot hold": (
        f(x, parameters=(x, parameter(name="1x", type=X))), "letters, digits"),
    "a function's name that text cannot hold": (f(x, name="f g"), "letters, digits"),
    "a foreign parameter": (f(add(x, y)), "its own parameters only"),
    "a foreign parameter with a tag": (f(add(x, tagged)), "its own parameters only"),
    "a hole": (f(hole(name="x")), "no part of a pattern"),
    "a pattern": (f(add(hole(name="x"), x)), "no part of a pattern"),
    "a wrong element type": (f(broken(sin, (x,), (), WIDE)), "sin of type f32[2]"),
    "a wrong shape": (f(broken(reshape, (x,), ((2, 1),), X)), "reshape of type f32[2,1]"),
    "wrong types of several": (
        f(item(broken(call, pair.args, pair.attrs, (X, WIDE)), index=0)), "call of type"),
    "operands that do not fit": (
        f(broken(add, (x, parameter(name="z", type=WIDE)), (), X),
          parameters=(x, parameter(name="z", type=WIDE))),
        "a well formed add"),
    "too few operands": (f(broken(add, (x,), (), X)), "add of 2 operands"),
    "no operands of an operation of any": (
        f(broken(concatenate, (), (0,), X)), "a well formed concatenate"),
    "too few attributes": (f(broken(reshape, (x,), (), X)), "reshape with 1 attributes"),
    "too many attributes": (f(broken(sin, (x,), (1,), X)), "sin with 0 attributes"),
    "an attribute that is a list": (f(broken(reshape, (x,), ([2],), X)), "normal form"),
    "a size that is no int": (
        f(broken(reshape, (x,), ((np.int64(2),),), X)), "normal form"),
    "an integer that is true": (
        f(broken(concatenate, (x,), (False,), X)), "a well formed concatenate"),
    "a type that is a name": (
        f(broken(iota, (), ("int32", (2,), 0), tensor_type(int32, (2,)))), "iota"),
    "a copy": (f(broken(sin, (x,), (), X)), "interned nodes"),
    "a copy further in": (f(sin(broken(sin, (x,), (), X))), "interned nodes"),
    "several tensors as a result": (f(pair), "single tensors as results"),
    "a size from nowhere in a type": (
        f(broadcast(x, shape=(b, 2), axes=(1,))), "sizes named by its parameters"),
    "a size from nowhere in an attribute": (
        f(size(dim=b, dtype=int32)), "sizes named by its parameters"),
    "a size of another parameter": (
        f(reshape(xb, shape=(b, 1)), size(dim=c * b, dtype=int32), parameters=(xb,)),
        "Received c in"),
    "a foreign parameter in a call": (in_a_call(inner(add(x, y))), "[verify inner]"),
    "a copy in a branch": (in_a_branch(inner(broken(sin, (x,), (), X))), "[verify inner]"),
    "a size from nowhere in a call": (
        in_a_call(inner(size(dim=c, dtype=float32))),
        "Received c in <call"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_graph_is_refused(name):
    function, message = BROKEN[name]
    with pytest.raises(VerifyError) as caught:
        verify(function)
    assert message in str(caught.value)
    assert "Received" in str(caught.value)


def test_the_messages(golden):
    texts = []
    for name, (function, _) in BROKEN.items():
        with pytest.raises(VerifyError) as caught:
            verify(function)
        texts.append(f"# {name}\n{caught.value.message}")
    # The serial of a tag depends on what ran before.
    golden("verify_errors", re.sub(r"#\d+", "#0", "\n\n".join(texts)))


# ---- good ones -----------------------------------------------------------------------------------


def scanned():
    """A loop whose body takes the named size of its carry from its own parameter."""
    body = build("body", [OF_B], lambda carry: add(carry, carry), ["carry"])
    return build("loop", [OF_B], lambda x: items(scan(x, body=body, carries=1, length=3))[0])


def around():
    """A body that uses a named size from around it."""

    def step(total):
        return add(total, size(dim=b, dtype=float32))

    body = build("body", [tensor_type(float32, ())], step)
    types = [tensor_type(float32, ()), OF_B]
    return build("f", types, lambda t, x: items(scan(t, body=body, carries=1, length=b))[0])


GOOD = {
    "nothing": Function("f", (), ()),
    "a parameter": f(x),
    "a parameter that is not used": f(x, parameters=(x, y)),
    "a result twice": f(sin(x), sin(x)),
    "one of several": f(item(pair, index=1)),
    "named sizes": build("f", [OF_B, OF_C], lambda x, y: (size(dim=b * c, dtype=int32), x)),
    "a size that only a sum names": build(
        "f", [tensor_type(float32, (2 * b + 1,))], lambda x: size(dim=b, dtype=int32)),
    "a loop": scanned(),
    "a size from around": around(),
    "no shape at all": f(iota(dtype=int32, shape=(0,), axis=0)),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_good_graph_is_returned_as_it_is(name):
    assert verify(GOOD[name]) is GOOD[name]


def test_a_size_from_around_is_none_of_a_function_alone():
    """The body of `around` verifies within its function, not by itself."""
    function = around()
    scans = [node for node in function.order() if node.op is scan]
    (body,) = (node.attributes["body"] for node in scans)
    assert verify(function) is function
    with pytest.raises(VerifyError, match="sizes named by its parameters"):
        verify(body)
    assert verify(body, frozenset({"b"})) is body


def test_a_shared_function_is_verified_once(monkeypatch):
    """Calls nested forty deep, each twice: two to the fortieth visits if each were made again."""
    function = build("f0", [X], sin)
    for depth in range(40):
        before = function

        def body(x, before=before):
            once = items(call(x, function=before))[0]
            return items(call(once, function=before))[0]

        function = build(f"f{depth + 1}", [X], body)
    assert verify(function) is function


def test_tags_belong_to_functions_that_are_being_made():
    assert repr(Tag("x")).startswith("x#")

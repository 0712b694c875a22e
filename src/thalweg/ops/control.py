"""Ops that hold Functions: calls, branches, loops; and the two that reach the host.

    call(*args, function=F)                           F, to be inlined
    checkpoint(*args, function=F)                     F, computed again for its derivative
    custom_call(*args, function=F, gradient=G, captured=0)
                                                      F, whose derivative is G(*args, *ys, *dys);
                                                      the last `captured` args have none
    switch(index, *args, branches=(F, ...))           one of the branches; the index is clamped
    while(*constants, *state, condition=C, body=B, constants=n)
    scan(*constants, *carry, *xs, body=B, constants=n, carries=m, length=t, reverse=false)
    callback(*args, function=host, types=(...))       a Python function of NumPy arrays
    check(x, ok, message="...")                       x; raises CheckError where ok is false

All but `check` have several results. A loop body takes constants first: values that every step
reads and none changes. `scan` slices the leading axis of each of xs, threads the carry, and stacks
what else the body returns; with `reverse` it walks from the last slice to the first and stacks in
place. The derivative of `scan` keeps the carry of every step, and the products that it needs again;
`while`, whose number of steps is data, has none.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.base.errors import CheckError, DTypeError, ShapeError, explain
from thalweg.base.table import Absent
from thalweg.ir.attribute import Flag, Integer, Kept, Sizes, Text, Types
from thalweg.ir.dim import is_known_at_least, is_known_equal
from thalweg.ir.function import Function, build, fit_sizes, inline, with_sizes
from thalweg.ir.leaves import full, full_like, items
from thalweg.ir.node import Node
from thalweg.ir.op import Op, Refusal, Sample, declare
from thalweg.ir.types import Size, TensorType, as_dtype, bool_, float64, int32, tensor_type
from thalweg.ops.broadcast import broadcast
from thalweg.ops.cotangents import kept, spread
from thalweg.ops.elementwise import add, cast, equal, front, less, multiply, select, sin
from thalweg.ops.mark import barrier
from thalweg.ops.movement import transpose
from thalweg.ops.reduce import all as all_op
from thalweg.ops.reduce import any as any_op
from thalweg.ops.samples import a_type, values
from thalweg.ops.scan_gradient import differentiate_scan

Types_ = tuple[TensorType, ...]


def fits(types: Sequence[TensorType], wanted: Sequence[TensorType]) -> bool:
    """True when tensors of these types can be passed for parameters of the wanted types."""
    return len(types) == len(wanted) and all(
        type is want
        or (
            type.dtype is want.dtype
            and type.rank == want.rank
            and all(map(is_known_equal, type.shape, want.shape))
        )
        for type, want in zip(types, wanted, strict=True)
    )


def types_text(types: Sequence[TensorType]) -> str:
    """Types in parentheses."""
    return f"({', '.join(map(str, types))})"


def check_call(op: str, function: Function, types: Sequence[TensorType]) -> Types_:
    """The result types of a Function for arguments of these types; refuses those that do not fit.

    Named sizes of the Function take the sizes that the arguments have.
    """
    sizes = fit_sizes(function.parameter_types, types)
    if sizes is None:
        raise ShapeError(
            explain(
                op,
                f"arguments of types {types_text(function.parameter_types)} for {function.name}",
                types_text(types),
            )
        )
    return with_sizes(function.result_types, sizes) if sizes else function.result_types


def costliest(costs: Iterable[Any]) -> Any:
    """The cost with the most floating-point operations; the first where sizes leave it open."""
    found = None
    for cost in costs:
        if found is None or is_known_at_least(cost.flops - found.flops, 1):
            found = cost
    return found


# Calls --------------------------------------------------------------------------------------------


def _differentiate_call(dy, y, *args: Node, function: Function, differentiate: Callable, active):
    found = call(*args, *kept(dy), function=differentiate(function, active))
    return spread(args, items(found), active)


def _square_sine() -> Function:
    return build("square_sine", [a_type("f64[2]")] * 2, lambda x, y: (sin(multiply(x, y)), x))


def _sample_call():
    args = (values((2,), float64, seed=1), values((2,), float64, seed=2))
    yield Sample(args, {"function": _square_sine()})


def _refuse_call():
    yield Refusal((a_type("f64[2]"),), {"function": _square_sine()}, "arguments of types")


def _declare_call(name: str, doc: str, gradient: Callable, expand: Callable | Absent) -> Op:
    def infer(*types: TensorType, function: Function) -> Types_:
        return check_call(name, function, types)

    op = Op(
        name=name,
        doc=doc,
        infer=infer,
        evaluate=lambda *args, function, run: run(function, *args),
        arity=None,
        attributes={"function": Kept()},
        gradient=gradient,
        batch=lambda size, mapped, *args, function, batched, depends: op(
            *args, function=batched(function, mapped, size)
        ),
        cost=lambda *types, result, function, count: count(function),
        expand=expand,
        samples=_sample_call,
        refuses=_refuse_call,
        higher_order=True,
        family="control",
    )
    return declare(op)


call: Op = _declare_call(
    "call", "The results of a Function.", _differentiate_call, Absent("inlined")
)


def _differentiate_checkpoint(
    dy, y, *args: Node, function: Function, differentiate: Callable, active
):
    # The barrier keeps the second computation from merging with the first, whose intermediate
    # results would then be kept until the backward pass.
    again = [barrier(arg) for arg in args]
    found = call(*again, *kept(dy), function=differentiate(function, active))
    return spread(args, items(found), active)


checkpoint: Op = _declare_call(
    "checkpoint",
    "The results of a Function that is computed again for its derivative.",
    _differentiate_checkpoint,
    Absent("inlined"),
)


def _infer_custom(
    *types: TensorType, function: Function, gradient: Function, captured: int
) -> Types_:
    results = check_call("custom_call", function, types)
    cotangents = [type for type in results if type.dtype.is_inexact]
    found = check_call("custom_call", gradient, (*types, *results, *cotangents))
    own = types[: len(types) - captured]
    wanted = [type for type in own if type.dtype.is_inexact]
    if not fits(found, wanted):
        raise ShapeError(
            explain(
                "custom_call",
                f"one cotangent for each inexact argument, of types {types_text(wanted)}",
                types_text(found),
            )
        )
    return results


def _differentiate_custom(dy, y, *args, function, gradient, captured, differentiate, active):
    own = args[: len(args) - captured]
    found = items(call(*args, *y, *kept(dy), function=gradient))
    return [*spread(own, found, [True] * len(own)), *[_CAPTURED] * captured]


_CAPTURED = Absent(
    "its function uses a value that it does not receive as an argument, and says no derivative "
    "for it; pass the value as an argument"
)


def _batch_custom(size, mapped, *given, function, gradient, captured, batched, depends):
    args = front(size, mapped, given)
    everything = (True,) * len(gradient.parameters)
    return custom_call(
        *args,
        function=batched(function, (True,) * len(args), size),
        gradient=batched(gradient, everything, size),
        captured=captured,
    )


def _sample_custom():
    x = a_type("f64[3]")
    function = build("double", [x], lambda x: add(x, x))
    gradient = build("double_gradient", [x] * 3, lambda x, y, dy: add(dy, dy))
    yield Sample((values((3,), float64),), {"function": function, "gradient": gradient})


def _refuse_custom():
    x = a_type("f64[3]")
    function = build("double", [x], lambda x: add(x, x))
    wrong = build("none", [x] * 3, lambda x, y, dy: ())
    yield Refusal((x,), {"function": function, "gradient": wrong}, "one cotangent for each")


custom_call: Op = declare(
    Op(
        name="custom_call",
        doc="The results of a Function whose derivative is another Function.",
        infer=_infer_custom,
        evaluate=lambda *args, function, gradient, captured, run: run(function, *args),
        arity=None,
        attributes={"function": Kept(), "gradient": Kept(), "captured": Integer(0)},
        gradient=_differentiate_custom,
        batch=_batch_custom,
        cost=lambda *types, result, function, gradient, captured, count: count(function),
        samples=_sample_custom,
        refuses=_refuse_custom,
        higher_order=True,
        family="control",
    )
)

# Branches -----------------------------------------------------------------------------------------


def _infer_switch(index: TensorType, *types: TensorType, branches: tuple) -> Types_:
    if index is not tensor_type(int32, ()):
        raise DTypeError(explain("switch", "an index of type i32[]", str(index)))
    if not branches:
        raise ShapeError(explain("switch", "at least one branch", "none"))
    first = branches[0]
    results = check_call("switch", first, types)
    for branch in branches:
        found = check_call("switch", branch, types)
        if not fits(found, results):
            differences = [
                f"result {position}: {ours} and {theirs}"
                for position, (ours, theirs) in enumerate(zip(results, found, strict=False))
                if ours is not theirs
            ] or [f"{len(results)} and {len(found)} results"]
            raise ShapeError(
                explain(
                    "switch",
                    f"branches of equal result types; {first.name} and {branch.name} differ in "
                    + "; ".join(differences),
                    f"{types_text(results)} and {types_text(found)}",
                    "Make each branch return the same shapes and dtypes; cast or broadcast.",
                )
            )
    return results


def _evaluate_switch(index, *args, branches, run):
    return run(branches[min(max(int(index), 0), len(branches) - 1)], *args)


def _differentiate_switch(dy, y, index, *args, branches, differentiate, active):
    pulled = tuple(differentiate(branch, active[1:]) for branch in branches)
    found = items(switch(index, *args, *kept(dy), branches=pulled))
    return [None, *spread(args, found, active[1:])]


def _batch_switch(size, mapped, index, *args, branches, batched, depends):
    new = tuple(batched(branch, mapped[1:], size) for branch in branches)
    if not mapped[0]:
        return switch(index, *args, branches=new)
    # Every example may take another branch: compute all and choose.
    results = [inline(branch, args) for branch in new]
    last = len(branches) - 1
    chosen = list(results[last])
    for position in range(last - 1, -1, -1):
        # Indices below 0 count as 0, those above the last as the last.
        bound = full_like(index, position)
        is_here = (less if position == 0 else equal)(
            index, full_like(index, 1) if position == 0 else bound
        )
        for slot, value in enumerate(results[position]):
            mask = broadcast(is_here, shape=value.shape, axes=(0,))
            chosen[slot] = select(mask, value, chosen[slot])
    return together(chosen)


def together(nodes: Sequence[Node]) -> Node:
    """One node with several results, for rules that must return one."""
    function = build("together", [node.type for node in nodes], lambda *inner: inner)
    return call(*nodes, function=function)


def _branches() -> tuple[Function, Function]:
    x = a_type("f64[2]")
    return (
        build("scaled", [x], lambda x: multiply(x, full(3.0, float64, (2,)))),
        build("bent", [x], sin),
    )


def _sample_switch():
    for index in (-1, 0, 1, 5):
        yield Sample((np.int32(index), values((2,), float64)), {"branches": _branches()})
    yield Sample((np.array(1, np.int32), values((2,), float64)), {"branches": _branches()[:1]})


def _refuse_switch():
    x = a_type("f64[2]")
    other = build("other", [x], lambda x: cast(x, dtype=int32))
    index = a_type("i32[]")
    yield Refusal((index, x), {"branches": (*_branches(), other)}, "branches of equal result types")
    yield Refusal((a_type("f32[]"), x), {"branches": _branches()}, "an index of type i32[]")
    yield Refusal((index, x), {"branches": ()}, "at least one branch")
    yield Refusal((index,), {"branches": _branches()}, "arguments of types")


switch: Op = declare(
    Op(
        name="switch",
        doc="The results of the branch that the index names; an index out of range is clamped.",
        infer=_infer_switch,
        evaluate=_evaluate_switch,
        arity=None,
        attributes={"branches": Kept()},
        gradient=_differentiate_switch,
        batch=_batch_switch,
        cost=lambda *types, result, branches, count: costliest(map(count, branches)),
        samples=_sample_switch,
        refuses=_refuse_switch,
        higher_order=True,
        family="control",
    )
)

# While --------------------------------------------------------------------------------------------


def _infer_while(*types: TensorType, condition: Function, body: Function, constants: int) -> Types_:
    check_call("while", condition, types)
    results = check_call("while", body, types)
    if condition.result_types != (tensor_type(bool_, ()),):
        raise DTypeError(
            explain(
                "while",
                "a condition that returns one boolean, bool[]",
                types_text(condition.result_types),
                "Compare, or reduce with all() or any().",
            )
        )
    state = types[constants:]
    if not fits(results, state):
        raise ShapeError(_state_changed("while", state, results))
    return state


def _state_changed(op: str, before: Sequence[TensorType], after: Sequence[TensorType]) -> str:
    return explain(
        op,
        f"a body that returns the types it was given, {types_text(before)}",
        types_text(after),
        "Start the loop with the final shape and dtype, for instance zeros, or cast in the body.",
    )


def _evaluate_while(*args, condition, body, constants, run):
    fixed, state = list(args[:constants]), list(args[constants:])
    while bool(run(condition, *fixed, *state)[0]):
        state = run(body, *fixed, *state)
    return state


def _batch_while(size, mapped, *args, condition, body, constants, batched, depends):
    is_fixed, flags = list(mapped[:constants]), list(mapped[constants:])
    while True:
        changed = depends(body, [*is_fixed, *flags])
        grown = [old or new for old, new in zip(flags, changed, strict=True)]
        if grown == flags:
            break
        flags = grown
    is_ragged = depends(condition, [*is_fixed, *flags])[0]
    if is_ragged:
        flags = [True] * len(flags)
    fixed = list(args[:constants])
    state = [
        arg if was or not now else broadcast_front(arg, size)
        for arg, was, now in zip(args[constants:], mapped[constants:], flags, strict=True)
    ]
    everything = [*is_fixed, *flags]
    new_body = batched(body, everything, size, flags)
    if not is_ragged:
        # The condition ignores what is mapped, but its parameters take the types of the state.
        condition = batched(condition, everything, size, [False])
        found = items(
            while_(*fixed, *state, condition=condition, body=new_body, constants=constants)
        )
        result = [
            y if is_mapped else broadcast_front(y, size)
            for y, is_mapped in zip(found, flags, strict=True)
        ]
        return together(result)
    goes_on = batched(condition, everything, size)

    def keep_going(*inner: Node) -> Node:
        return any_op(inline(goes_on, inner)[0], axes=(0,))

    def step(*inner: Node) -> list[Node]:
        (active,) = inline(goes_on, inner)
        moved = inline(new_body, inner)
        return [
            select(broadcast(active, shape=new.shape, axes=(0,)), new, old)
            for new, old in zip(moved, inner[constants:], strict=True)
        ]

    types = [arg.type for arg in (*fixed, *state)]
    return while_(
        *fixed,
        *state,
        condition=build(f"{condition.name}_any", types, keep_going),
        body=build(f"{body.name}_each", types, step),
        constants=constants,
    )


def broadcast_front(node: Node, size: Size) -> Node:
    """A node repeated along a new leading axis."""
    return front(size, (False,), (node,))[0]


def _halving() -> dict:
    types = [a_type("f64[]"), a_type("f64[]")]
    return {
        "condition": build("big", types, lambda limit, x: less(limit, x)),
        "body": build("halve", types, lambda limit, x: multiply(x, full(0.5, float64))),
        "constants": 1,
    }


def _sample_while():
    yield Sample((np.float64(0.3), np.float64(9.0)), _halving())
    yield Sample((np.float64(3.0), np.float64(1.0)), _halving())


def _refuse_while():
    x = a_type("f64[]")
    loop = _halving()
    number = build("number", [x, x], lambda a, b: b)
    yield Refusal((x, x), loop | {"condition": number}, "one boolean")
    wrong = build("wrong", [x, x], lambda a, b: cast(b, dtype=int32))
    yield Refusal((x, x), loop | {"body": wrong}, "returns the types it was given")
    yield Refusal((x,), loop, "arguments of types")


while_: Op = declare(
    Op(
        name="while",
        doc="The state after as many steps of the body as the condition holds for.",
        infer=_infer_while,
        evaluate=_evaluate_while,
        arity=None,
        attributes={"condition": Kept(), "body": Kept(), "constants": Integer(0)},
        gradient=Absent(
            "the number of steps is data, so reverse mode cannot know what to keep; use scan or "
            "fori_loop, or while_loop with maximum_iterations"
        ),
        batch=_batch_while,
        cost=lambda *types, result, condition, body, constants, count: count(body),
        samples=_sample_while,
        refuses=_refuse_while,
        higher_order=True,
        family="control",
    )
)

# Scan ---------------------------------------------------------------------------------------------


def _infer_scan(
    *types: TensorType, body: Function, constants: int, carries: int, length: Size, reverse: bool
) -> Types_:
    fixed, carry = types[:constants], types[constants : constants + carries]
    xs = types[constants + carries :]
    for x in xs:
        if not x.rank or not is_known_equal(x.shape[0], length):
            raise ShapeError(
                explain("scan", f"sequences with a leading axis of {length}", types_text(xs))
            )
    slices = (x.with_shape(x.shape[1:]) for x in xs)
    results = check_call("scan", body, (*fixed, *carry, *slices))
    after = results[:carries]
    if not fits(after, carry):
        raise ShapeError(_state_changed("scan", carry, after))
    stacked = (y.with_shape((length, *y.shape)) for y in results[carries:])
    return (*carry, *stacked)


def _type_of(array: np.ndarray) -> TensorType:
    return tensor_type(as_dtype(array.dtype), array.shape)


def _evaluate_scan(*args, body, constants, carries, length, reverse, run):
    fixed = list(args[:constants])
    carry = list(args[constants : constants + carries])
    xs = args[constants + carries :]
    if not length:
        types = [_type_of(each) for each in (*fixed, *carry)]
        types += [_type_of(x).with_shape(x.shape[1:]) for x in xs]
        ys = check_call("scan", body, types)[carries:]
        return (*carry, *(np.zeros((0, *run.sizes_of(y.shape)), y.dtype.numpy) for y in ys))
    steps = range(length - 1, -1, -1) if reverse else range(length)
    outputs: list[list] = [[] for _ in body.results[carries:]]
    for step in steps:
        results = run(body, *fixed, *carry, *(np.asarray(x[step]) for x in xs))
        carry = results[:carries]
        for column, value in zip(outputs, results[carries:], strict=True):
            column.append(value)
    stacked = []
    for column in outputs:
        if reverse:
            column.reverse()
        stacked.append(np.stack(column))
    return (*carry, *stacked)


def _batch_scan(size, mapped, *args, body, constants, carries, length, reverse, batched, depends):
    is_fixed = list(mapped[:constants])
    flags = list(mapped[constants : constants + carries])
    is_x = list(mapped[constants + carries :])
    while True:
        changed = depends(body, [*is_fixed, *flags, *is_x])[:carries]
        grown = [old or new for old, new in zip(flags, changed, strict=True)]
        if grown == flags:
            break
        flags = grown
    found = depends(body, [*is_fixed, *flags, *is_x])
    new_body = batched(body, [*is_fixed, *flags, *is_x], size, [*flags, *found[carries:]])
    carry = [
        arg if was or not now else broadcast_front(arg, size)
        for arg, was, now in zip(
            args[constants : constants + carries],
            mapped[constants : constants + carries],
            flags,
            strict=True,
        )
    ]
    xs = [
        swap_leading(x) if is_mapped else x
        for x, is_mapped in zip(args[constants + carries :], is_x, strict=True)
    ]
    results = items(
        scan(
            *args[:constants], *carry, *xs,
            body=new_body, constants=constants, carries=carries, length=length, reverse=reverse,
        )
    )  # fmt: skip
    final = [
        y if is_mapped else broadcast_front(y, size)
        for y, is_mapped in zip(results[:carries], flags, strict=True)
    ]
    stacked = [
        swap_leading(y) if is_mapped else broadcast_front(y, size)
        for y, is_mapped in zip(results[carries:], found[carries:], strict=True)
    ]
    return together([*final, *stacked])


def swap_leading(x: Node) -> Node:
    """The first two axes exchanged."""
    return transpose(x, axes=(1, 0, *range(2, x.type.rank)))


def _recurrence() -> Function:
    types = [a_type("f64[2]"), a_type("f64[2]"), a_type("i32[]"), a_type("f64[2]")]

    def step(weight: Node, state: Node, count: Node, x: Node) -> tuple[Node, ...]:
        new = sin(add(multiply(weight, state), x))
        return new, add(count, full(1, int32)), multiply(new, x)

    return build("step", types, step, ("weight", "state", "count", "x"))


def _sample_scan():
    for length in (4, 1, 0):
        for reverse in (False, True):
            args = (
                values((2,), float64, seed=1),
                values((2,), float64, seed=2),
                np.int32(0),
                values((length, 2), float64, seed=3),
            )
            attrs = {"constants": 1, "carries": 2, "length": length, "reverse": reverse}
            yield Sample(args, attrs | {"body": _recurrence()})


def _refuse_scan():
    body = _recurrence()
    good = (a_type("f64[2]"), a_type("f64[2]"), a_type("i32[]"), a_type("f64[4,2]"))
    attrs = {"body": body, "constants": 1, "carries": 2, "length": 4}
    yield Refusal(good, attrs | {"length": 5}, "a leading axis of 5")
    yield Refusal(good[:3], attrs, "arguments of types")
    swapped = body.with_results((body.results[1], body.results[0], body.results[2]))
    yield Refusal(good, attrs | {"body": swapped}, "returns the types it was given")


scan: Op = declare(
    Op(
        name="scan",
        doc="A carry threaded through a sequence, and what each step returns, stacked.",
        infer=_infer_scan,
        evaluate=_evaluate_scan,
        arity=None,
        attributes={
            "body": Kept(),
            "constants": Integer(0),
            "carries": Integer(0),
            "length": Sizes(),
            "reverse": Flag(False),
        },
        gradient=differentiate_scan,
        batch=_batch_scan,
        cost=lambda *types, result, body, constants, carries, length, reverse, count: count(
            body
        ).times(length),
        samples=_sample_scan,
        refuses=_refuse_scan,
        higher_order=True,
        family="control",
    )
)

# The host -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class HostFunction:
    """A Python function of NumPy arrays that returns one array for each of its result types."""

    name: str
    function: Callable

    def __call__(self, *arrays: np.ndarray) -> Any:
        return self.function(*arrays)


@dataclass(frozen=True, slots=True)
class LoopedHostFunction:
    """A host function called once for each example of a batch."""

    inner: Any
    mapped: tuple[bool, ...]

    @property
    def name(self) -> str:
        return f"each_{self.inner.name}"

    def size(self, arrays: Sequence[np.ndarray]) -> int:
        """The number of examples."""
        pairs = zip(arrays, self.mapped, strict=True)
        return next(len(array) for array, is_mapped in pairs if is_mapped)

    def __call__(self, *arrays: np.ndarray) -> list:
        rows = [
            self.inner(
                *(
                    array[example] if is_mapped else array
                    for array, is_mapped in zip(arrays, self.mapped, strict=True)
                )
            )
            for example in range(self.size(arrays))
        ]
        rows = [row if isinstance(row, (tuple, list)) else (row,) for row in rows]
        return [np.stack(column) for column in zip(*rows, strict=True)]


def _evaluate_callback(*args, function, types):
    if isinstance(function, LoopedHostFunction) and not function.size(args):
        return [np.zeros(type.shape, type.dtype.numpy) for type in types]
    found = function(*map(_read_only, args))
    found = found if isinstance(found, (tuple, list)) else (found,)
    results = []
    for value, type in zip(found, types, strict=False):
        array = np.asarray(value)
        if array.dtype != type.dtype.numpy or array.shape != type.shape:
            raise ShapeError(
                explain(
                    f"callback {function.name}",
                    f"results of types {types_text(types)}",
                    f"{array.dtype}{list(array.shape)}",
                )
            )
        # The host may keep what it returned, and change it later.
        results.append(array.copy() if array.flags.writeable else array)
    if len(found) != len(types):
        raise ShapeError(
            explain(f"callback {function.name}", f"{len(types)} results", f"{len(found)}")
        )
    return results


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.view()
    array.flags.writeable = False
    return array


def _batch_callback(size, mapped, *args, function, types):
    new = tuple(type.with_shape((size, *type.shape)) for type in types)
    looped = LoopedHostFunction(function, tuple(mapped))
    return callback(*args, function=looped, types=new)


_CUMULATE = HostFunction("cumulate", lambda x: np.cumsum(x, -1))


callback: Op = declare(
    Op(
        name="callback",
        doc="The results of a Python function of NumPy arrays.",
        infer=lambda *args, function, types: types,
        evaluate=_evaluate_callback,
        arity=None,
        attributes={"function": Kept(), "types": Types()},
        gradient=Absent("a host function; wrap it with custom_gradient to say its derivative"),
        batch=_batch_callback,
        cost=lambda *args, result, function, types: 0,
        samples=lambda: [
            Sample(
                (values((3,), float64),),
                {"function": _CUMULATE, "types": (a_type("f64[3]"),)},
                differentiable=False,
            )
        ],
        refuses=Absent("takes any operands; its results are checked when it has run"),
        family="control",
    )
)


def _infer_check(x: TensorType, ok: TensorType, *, message: str) -> TensorType:
    if ok is not tensor_type(bool_, ()):
        raise DTypeError(
            explain("check", "one boolean, bool[]", str(ok), "Reduce with all() first.")
        )
    return x


def _evaluate_check(x: np.ndarray, ok: np.ndarray, *, message: str) -> np.ndarray:
    if not ok:
        raise CheckError(message, where="")
    return x


def _batch_check(size, mapped, x, ok, *, message):
    x = front(size, mapped[:1], (x,))[0]
    return check(x, all_op(ok, axes=(0,)) if mapped[1] else ok, message=message)


check: Op = declare(
    Op(
        name="check",
        doc="x, after making sure that a condition holds.",
        infer=_infer_check,
        evaluate=_evaluate_check,
        arity=2,
        attributes={"message": Text()},
        gradient=lambda dy, y, x, ok, *, message: (dy, None),
        batch=_batch_check,
        cost=lambda x, ok, *, result, message: 0,
        samples=lambda: [
            Sample((values((2,), float64), np.array(True)), {"message": 'x must be "small"\nhere'})
        ],
        refuses=lambda: [
            Refusal((a_type("f32[2]"), a_type("bool[2]")), {"message": ""}, "one boolean")
        ],
        family="mark",
    )
)

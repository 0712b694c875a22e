"""Branches, loops and calls to the host, as functions of functions.

Bodies are traced once: they receive tensors without values and return tensors; Python numbers and
nested lists, tuples and dicts of tensors may be passed anywhere. What a body uses from outside is
captured by itself, variables included (a body reads them but does not assign them).
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array.operands import (
    WEAK_OF_KIND,
    axis_of,
    is_weak,
    same_dtype,
    to_dtype,
    to_operand,
    to_tensor,
)
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ShapeError,
    ThalwegError,
    explain,
)
from thalweg.base.frames import location
from thalweg.engine.context import Trace, current_trace
from thalweg.engine.tape import Pause
from thalweg.engine.tensor import Tensor, node_of, own_node, wrap
from thalweg.engine.trace import strong
from thalweg.engine.tree import LEAF, Structure, flatten, unflatten
from thalweg.ir.dim import Dim, dim_max, is_known_equal
from thalweg.ir.function import Function, build, inline
from thalweg.ir.leaves import full, full_like, items, parameter
from thalweg.ir.node import Node
from thalweg.ir.types import (
    Size,
    TensorType,
    as_dtype,
    bool_,
    int32,
    int64,
    promote_weak,
    tensor_type,
)
from thalweg.ops import control as ops
from thalweg.ops.elementwise import add as add_op
from thalweg.ops.elementwise import cast, less, logical_and, maximum, minimum
from thalweg.ops.mark import stop_gradient
from thalweg.ops.movement import concatenate, slice


class Body:
    """A traced function: its Function, what it captured, and how its results are nested.

    `weak` marks the results that are Python numbers, which take the type that is asked for.
    """

    def __init__(
        self, function: Function, captured: list[Tensor], structure: Structure, weak: list[bool]
    ):
        self.function = function
        self.captured = captured
        self.structure = structure
        self.weak = weak

    def settle(self, types: Sequence[TensorType]) -> None:
        """Give the results that are Python numbers these element types, where they fit."""
        results = []
        triples = zip(self.function.results, self.weak, types, strict=True)
        for y, is_number, wanted in triples:
            if is_number and promote_weak(wanted.dtype, WEAK_OF_KIND[y.dtype.kind]) is wanted.dtype:
                y = y if y.dtype is wanted.dtype else cast(y, dtype=wanted.dtype)
            results.append(y)
        self.function = self.function.with_results(results)


def trace_body(
    name: str,
    python_function: Callable,
    types: Sequence[TensorType],
    structure: Structure,
    spread: bool = True,
) -> Body:
    """Trace `python_function` on tensors of these types, nested as `structure` says.

    With `spread` the structure is a tuple of positional arguments.
    """
    _check_takes(name, python_function, len(structure.children) if spread else 1)
    label = getattr(python_function, "__name__", name)
    trace = Trace("body" if label == "<lambda>" else label, current_trace())
    with Pause(), trace:
        inner = [wrap(trace.parameter(f"x{i}", type)) for i, type in enumerate(types)]
        value = unflatten(structure, inner)
        output = python_function(*value) if spread else python_function(value)
        leaves, found = flatten(output)
        results = [_result(name, leaf) for leaf in leaves]
    captured = [tensor for tensor, _ in trace.captured.values()]
    return Body(trace.close(results), captured, found, [_is_free(leaf) for leaf in leaves])


def _check_takes(name: str, python_function: Any, count: int) -> None:
    """Refuse what cannot be called with so many arguments."""
    if not callable(python_function):
        raise ArgumentTypeError(explain(name, "a function", repr(python_function)))
    try:
        signature = inspect.signature(python_function)
    except (TypeError, ValueError):
        return  # written in C: the call itself will tell
    try:
        signature.bind(*range(count))
    except TypeError:
        label = getattr(python_function, "__name__", "the function")
        many = "one argument" if count == 1 else f"{count} arguments"
        raise ArgumentTypeError(
            explain(name, f"functions that take {many} here", f"{label}{signature}")
        ) from None


def _result(name: str, leaf: Any) -> Node:
    tensor = to_tensor(leaf, name)
    node = node_of(tensor)
    return strong(node) if tensor.is_weak else node


def _is_free(leaf: Any) -> bool:
    """True for a Python number, which has no element type of its own; truth values have one."""
    return is_weak(leaf) and not isinstance(leaf, bool)


def _inputs(name: str, value: Any) -> tuple[list[Node], Structure]:
    """The nodes of nested operands; Python numbers take the default types."""
    leaves, structure = flatten(value)
    return [_result(name, leaf) for leaf in leaves], structure


def _types(nodes: Sequence[Node]) -> list[TensorType]:
    return [node.type for node in nodes]


def _loop(
    name: str, state: Any, trace: Callable[[list[TensorType], Structure], Body]
) -> tuple[list[Node], Structure, Body]:
    """The nodes and nesting of a loop's state, and the traced body, whose results come first.

    A Python number in the state takes the element type that the body gives it, and one that the
    body returns takes that of the state.
    """
    leaves, structure = flatten(state)
    nodes = [_result(name, leaf) for leaf in leaves]
    body = trace(_types(nodes), structure)
    # The other results of a scan have no place in the state.
    after = body.function.result_types[: len(nodes)]
    adapted = [
        _in_type_of(name, *each) for each in zip(leaves, nodes, after, body.weak, strict=False)
    ]
    if adapted != nodes:
        nodes = adapted
        body = trace(_types(nodes), structure)
    before = _types(nodes)
    body.settle([*before, *body.function.result_types[len(nodes) :]])
    after = body.function.result_types[: len(nodes)]
    if not ops.fits(after, before):
        raise _error_of(before, after)(
            explain(
                name,
                f"a body that returns the types it was given, {ops.types_text(before)}",
                ops.types_text(after),
                "Start the loop with the final shape and dtype, for instance zeros, or cast in "
                "the body.",
            )
        )
    return nodes, structure, body


def _in_type_of(name: str, leaf: Any, node: Node, type: TensorType, is_number: bool) -> Node:
    """The node of a Python number in an element type that it fits; other nodes as they are."""
    if not _is_free(leaf) or is_number or type.dtype is node.dtype:
        return node
    kind = WEAK_OF_KIND[node.dtype.kind]
    if promote_weak(type.dtype, kind) is not type.dtype:
        return node
    return to_dtype(name, to_operand(leaf, name), type.dtype)


def _error_of(ours: Sequence[TensorType], theirs: Sequence[TensorType]) -> type[ThalwegError]:
    """DTypeError where element types alone differ, else ShapeError."""
    same = len(ours) == len(theirs) and all(
        a.with_dtype(b.dtype) is b for a, b in zip(ours, theirs, strict=True)
    )
    return DTypeError if same else ShapeError


def share(bodies: Sequence[Body]) -> tuple[list[Function], list[Node]]:
    """Functions that take their own parameters and then all that any of them captured."""
    outer: dict[Any, Tensor] = {}
    for body in bodies:
        for tensor in body.captured:
            outer.setdefault(own_node(tensor), tensor)
    nodes = {key: node_of(tensor) for key, tensor in outer.items()}
    functions = []
    for body in bodies:
        count = len(body.function.parameters) - len(body.captured)
        own = {
            own_node(tensor): parameter
            for tensor, parameter in zip(
                body.captured, body.function.parameters[count:], strict=True
            )
        }
        extra = _missing(body.function, [key for key in outer if key not in own], nodes)
        parameters = [own.get(key) or extra[key] for key in outer]
        functions.append(
            Function(
                body.function.name,
                (*body.function.parameters[:count], *parameters),
                body.function.results,
            )
        )
    return functions, list(nodes.values())


def _missing(function: Function, keys: Sequence[Node], nodes: dict) -> dict[Any, Node]:
    taken = set(function.parameter_names)
    found = {}
    for position, key in enumerate(keys):
        name = f"unused_{position}"
        while name in taken:
            name += "_"
        taken.add(name)
        found[key] = parameter(name=name, type=nodes[key].type)
    return found


# Branches -----------------------------------------------------------------------------------------


def cond(predicate: Any, true_function: Callable, false_function: Callable, *operands: Any) -> Any:
    """The result of one of two functions of the operands, chosen by a boolean scalar.

    Both are traced and must return the same nesting, shapes and dtypes; one is run.

    >>> import thalweg as tw
    >>> tw.cond(tw.asarray(2.0) > 1, lambda x: x * 2, lambda x: x - 1, tw.asarray(5.0))
    Tensor(10., dtype=float32)
    """
    if isinstance(predicate, (bool, np.bool_)):
        return (true_function if predicate else false_function)(*operands)
    node = node_of(to_tensor(predicate, "cond"))
    if node.type is not tensor_type(bool_, ()):
        raise DTypeError(
            explain(
                "cond",
                "one boolean as predicate, bool[]",
                str(node.type),
                "Compare, or reduce with all() or any().",
            )
        )
    index = cast(node, dtype=int32)
    return _branch("cond", index, (false_function, true_function), operands)


def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """The result of `branches[index]` of the operands; an index out of range is clamped."""
    if not isinstance(branches, (list, tuple)):
        raise ArgumentTypeError(explain("switch", "a list of functions", type(branches).__name__))
    if not branches:
        raise ArgumentError(explain("switch", "at least one branch", "none"))
    last = len(branches) - 1
    if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
        return branches[min(max(int(index), 0), last)](*operands)
    node = node_of(to_tensor(index, "switch"))
    if node.type.rank or not node.dtype.is_integer:
        raise DTypeError(explain("switch", "one integer as index", str(node.type)))
    # Clamped before it is narrowed, which would wrap it around.
    highest = min(last, int(np.iinfo(node.dtype.numpy).max))
    node = minimum(maximum(node, full_like(node, 0)), full_like(node, highest))
    return _branch("switch", cast(node, dtype=int32), branches, operands)


def _branch(name: str, index: Node, functions: Sequence[Callable], operands: tuple) -> Any:
    nodes, structure = _inputs(name, operands)
    bodies = [trace_body(name, function, _types(nodes), structure) for function in functions]
    for body in bodies[1:]:
        if body.structure != bodies[0].structure:
            raise ArgumentError(
                explain(
                    name,
                    "branches that return the same nesting",
                    f"{bodies[-1].structure} and {bodies[0].structure}"
                    if name == "cond"
                    else f"{bodies[0].structure} and {body.structure}",
                )
            )
    _settle_together(bodies)
    first = bodies[0].function.result_types
    for body in bodies[1:]:
        found = body.function.result_types
        if not ops.fits(found, first):
            # The branch for true stands second, because true is 1.
            pair = (found, first) if name == "cond" else (first, found)
            raise _error_of(*pair)(
                explain(
                    name,
                    "branches that return the same types",
                    " and ".join([ops.types_text(types) for types in pair]),
                    "Make each branch return the same shapes and dtypes; cast or broadcast.",
                )
            )
    branches, captured = share(bodies)
    result = ops.switch(index, *nodes, *captured, branches=tuple(branches))
    return unflatten(bodies[0].structure, [wrap(node) for node in items(result)])


def _settle_together(bodies: Sequence[Body]) -> None:
    """Where one branch returns a Python number, it takes the element type that others return."""
    wanted = list(bodies[0].function.result_types)
    for body in bodies[1:]:
        for position, type in enumerate(body.function.result_types):
            if not body.weak[position] and bodies[0].weak[position]:
                wanted[position] = type
    for body in bodies:
        body.settle(wanted)


# Loops --------------------------------------------------------------------------------------------


def while_loop(
    condition: Callable, body: Callable, state: Any, maximum_iterations: int | None = None
) -> Any:
    """The state after running `body` while `condition` holds.

    `state` is a tuple or list whose entries are passed as arguments, or one value. The body returns
    the same nesting, shapes and dtypes. With `maximum_iterations` the loop ends there at the
    latest and has a derivative; without, it has none, because the number of steps is data.
    """
    is_spread = isinstance(state, (tuple, list))

    def trace(types: list[TensorType], structure: Structure) -> Body:
        return _loop_body(body, types, structure, is_spread)

    nodes, structure, step = _loop("while_loop", state, trace)
    check = trace_body("while_loop", condition, _types(nodes), structure, is_spread)
    if check.function.result_types != (tensor_type(bool_, ()),):
        raise DTypeError(
            explain(
                "while_loop",
                "a condition that returns one boolean, bool[]",
                ops.types_text(check.function.result_types),
                "Compare, or reduce with all() or any().",
            )
        )
    if maximum_iterations is not None:
        limit = _count("while_loop", "maximum_iterations", maximum_iterations)
        return _bounded_loop(check, step, nodes, structure, limit)
    (goes_on, moved), captured = share([check, step])
    count = len(captured)
    result = ops.while_(
        *captured,
        *nodes,
        condition=_constants_first(goes_on, count),
        body=_constants_first(moved, count),
        constants=count,
    )
    return unflatten(structure, [wrap(node) for node in items(result)])


def _loop_body(
    body: Callable, types: Sequence[TensorType], structure: Structure, spread: bool
) -> Body:
    """The body of a while loop; it may return a list for a tuple and the other way round."""
    found = trace_body("while_loop", body, types, structure, spread)
    if found.structure.kind in (tuple, list) and structure.kind in (tuple, list):
        same = found.structure.children == structure.children
    else:
        same = found.structure == structure
    if not same:
        raise _other_nesting("while_loop", structure, found)
    return found


def _other_nesting(name: str, structure: Structure, body: Body) -> ArgumentError:
    wanted = f"a body that returns the state's nesting, {structure}"
    return ArgumentError(explain(name, wanted, str(body.structure)))


def _count(name: str, what: str, value: Any) -> Size:
    """A number of steps: an integer of zero or more, or a named size."""
    if isinstance(value, Dim):
        return value
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise ArgumentTypeError(explain(name, f"an integer as {what}", repr(value)))
    if value.__index__() < 0:
        raise ArgumentError(explain(name, f"{what} of zero or more", f"{value}"))
    return value.__index__()


def _constants_first(function: Function, count: int) -> Function:
    """The Function with its last `count` parameters, the captured ones, in front."""
    if not count:
        return function
    own, captured = function.parameters[:-count], function.parameters[-count:]
    return Function(function.name, (*captured, *own), function.results)


def _bounded_loop(
    check: Body, step: Body, nodes: Sequence[Node], structure: Structure, limit: Size
) -> Any:
    (goes_on, moved), captured = share([check, step])
    count, width = len(captured), len(nodes)

    def once(*inner: Node) -> list[Node]:
        outer, (active, *state) = inner[:count], inner[count:]
        (holds,) = inline(goes_on, [*state, *outer])
        active = logical_and(active, holds)
        stay = Function("stay", moved.parameters, moved.parameters[:width])
        index = cast(active, dtype=int32)
        chosen = items(ops.switch(index, *state, *outer, branches=(stay, moved)))
        return [active, *chosen]

    start = full(True, bool_)
    types = [node.type for node in (*captured, start, *nodes)]
    result = items(
        ops.scan(
            *captured,
            start,
            *nodes,
            body=build("while_bounded", types, once),
            constants=count,
            carries=1 + width,
            length=limit,
        )
    )
    return unflatten(structure, [wrap(node) for node in result[1:]])


def fori_loop(lower: Any, upper: Any, body: Callable, state: Any) -> Any:
    """The state after `state = body(i, state)` for i from lower up to upper.

    With integers as bounds the loop has a derivative; with tensors it runs as a while loop.
    """
    is_static = all(isinstance(each, (int, np.integer, Dim)) for each in (lower, upper))
    if is_static:
        length = dim_max(0, upper - lower)
        counter = to_dtype("fori_loop", to_operand(_plain(lower), "fori_loop"), int64)
    else:
        counter, last = same_dtype("fori_loop", lower, upper)
        if counter.type.rank or last.type.rank or not counter.dtype.is_integer:
            raise DTypeError(
                explain("fori_loop", "integers as bounds", f"{counter.type} and {last.type}")
            )

    def trace(types: list[TensorType], structure: Structure) -> Body:
        wanted = Structure(tuple, (), (LEAF, structure), 1 + len(types))
        found = trace_body("fori_loop", body, [counter.type, *types], wanted)
        if found.structure != structure:
            raise _other_nesting("fori_loop", structure, found)
        return found

    nodes, structure, found = _loop("fori_loop", state, trace)
    (function,), captured = share([found])
    count = len(captured)

    def step(*inner: Node) -> list[Node]:
        outer, (index, *values) = inner[:count], inner[count:]
        moved = inline(function, [index, *values, *outer])
        return [add_op(index, full(1, index.dtype)), *moved]

    types = [node.type for node in (*captured, counter, *nodes)]
    if is_static:
        result = ops.scan(
            *captured,
            counter,
            *nodes,
            body=build(function.name, types, step),
            constants=count,
            carries=1 + len(nodes),
            length=length,
        )
        return unflatten(structure, [wrap(node) for node in items(result)[1:]])

    def goes_on(*inner: Node) -> Node:
        return less(inner[count + 1], inner[0])

    def step_dynamic(*inner: Node) -> list[Node]:
        return step(*inner[1:])

    types = [last.type, *types]
    result = ops.while_(
        last,
        *captured,
        counter,
        *nodes,
        condition=build("below", types, goes_on),
        body=build(function.name, types, step_dynamic),
        constants=count + 1,
    )
    return unflatten(structure, [wrap(node) for node in items(result)[1:]])


def _plain(number: Any) -> Any:
    return int(number) if isinstance(number, np.integer) else number


def scan(
    body: Callable,
    carry: Any,
    xs: Any = None,
    length: Size | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Thread a carry through a sequence: `carry, y = body(carry, x)` for each slice x of xs.

    xs is a nesting of tensors with one leading axis of equal size, or None with `length` given.
    Returns the last carry and the ys stacked along a new leading axis. With `reverse` the sequence
    is walked backward, and ys stand where their x stood. Has derivatives of every order.

    >>> import thalweg as tw
    >>> total, sums = tw.scan(lambda c, x: (c + x, c + x), 0.0, tw.asarray([1.0, 2.0, 3.0]))
    >>> sums
    Tensor([1., 3., 6.], dtype=float32)
    """
    sequences, xs_structure = _inputs("scan", xs)
    length = _length("scan", sequences, length)
    slices = [node.type.with_shape(node.shape[1:]) for node in sequences]

    def trace(types: list[TensorType], structure: Structure) -> Body:
        wanted = Structure(tuple, (), (structure, xs_structure), len(types) + len(slices))
        found = trace_body("scan", body, [*types, *slices], wanted)
        if found.structure.kind is not tuple or len(found.structure.children) != 2:
            raise ArgumentError(
                explain(
                    "scan",
                    "a body that returns (carry, y)",
                    str(found.structure),
                    "Write `return carry, None` when there is nothing to stack.",
                )
            )
        after = found.structure.children[0]
        if after != structure:
            wanted_text = f"a body whose carry keeps its nesting, {structure}"
            raise ArgumentError(explain("scan", wanted_text, str(after)))
        return found

    start, carry_structure, found = _loop("scan", carry, trace)
    y_structure = found.structure.children[1]
    (function,), captured = share([found])
    function = _constants_first(function, len(captured))
    results = items(
        ops.scan(
            *captured,
            *start,
            *sequences,
            body=function,
            constants=len(captured),
            carries=len(start),
            length=length,
            reverse=reverse,
        )
    )
    tensors = [wrap(node) for node in results]
    return (
        unflatten(carry_structure, tensors[: len(start)]),
        unflatten(y_structure, tensors[len(start) :]),
    )


def _length(name: str, sequences: Sequence[Node], length: Any) -> Size:
    if length is not None:
        length = _count(name, "length", length)
    for node in sequences:
        if not node.type.rank:
            raise ShapeError(explain(name, "sequences with a leading axis", str(node.type)))
        own = node.shape[0]
        if length is None:
            length = own
        elif not is_known_equal(own, length):
            raise ShapeError(
                explain(name, f"sequences with a leading axis of {length}", str(node.type))
            )
    if length is None:
        raise ArgumentError(explain(name, "xs or a length", "neither"))
    return length


def map(function: Callable, xs: Any) -> Any:
    """`function` of each slice of xs along the leading axis, one after another, stacked.

    Use `vmap` to compute all slices together.
    """
    return scan(lambda carry, x: (carry, function(x)), None, xs)[1]


def associative_scan(function: Callable, xs: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative function of two nestings, in log2(n) rounds.

    `function(a, b)` combines slices elementwise along `axis`, whose size must be fixed.
    """
    name = "associative_scan"
    nodes, structure = _inputs(name, xs)
    if not nodes:
        raise ArgumentError(explain(name, "at least one tensor", "none"))
    axes = [axis_of(name, axis, node.type.rank) for node in nodes]
    sizes = [node.shape[axis] for node, axis in zip(nodes, axes, strict=True)]
    size = sizes[0]
    if not isinstance(size, int) or any(each != size for each in sizes):
        raise ShapeError(
            explain(
                name,
                f"tensors of one fixed size along axis {axis}",
                ", ".join(str(node.type) for node in nodes),
            )
        )

    def combine(lower: list[Node], upper: list[Node]) -> list[Node]:
        pair = [unflatten(structure, [wrap(node) for node in part]) for part in (lower, upper)]
        first, second = reversed(pair) if reverse else pair
        leaves, found = flatten(function(first, second))
        if found != structure:
            raise ArgumentError(
                explain(name, f"a function that returns the nesting {structure}", str(found))
            )
        results = [_result(name, leaf) for leaf in leaves]
        if not ops.fits(_types(results), _types(lower)):
            raise _error_of(_types(lower), _types(results))(
                explain(
                    name,
                    f"a function that returns the types it was given, {_text(lower)}",
                    _text(results),
                )
            )
        return results

    def cut(start: int, limit: int) -> list[Node]:
        return [_cut(node, axis, start, limit) for node, axis in zip(nodes, axes, strict=True)]

    shift = 1
    while shift < size:
        merged = combine(cut(0, size - shift), cut(shift, size))
        parts = (merged, cut(size - shift, size)) if reverse else (cut(0, shift), merged)
        nodes = [concatenate(a, b, axis=axis) for a, b, axis in zip(*parts, axes, strict=True)]
        shift *= 2
    return unflatten(structure, [wrap(node) for node in nodes])


def _text(nodes: Sequence[Node]) -> str:
    return ops.types_text(_types(nodes))


def _cut(node: Node, axis: int, start: int, limit: int) -> Node:
    low, high = [0] * node.type.rank, list(node.shape)
    low[axis], high[axis] = start, limit
    return slice(node, start=tuple(low), limit=tuple(high), stride=(1,) * node.type.rank)


# The host -----------------------------------------------------------------------------------------


def callback(function: Callable, result: Any, *operands: Any) -> Any:
    """Call a Python function of NumPy arrays from within a graph, when its value is computed.

    `result` says what it returns: an `(shape, dtype)` pair, a tensor to be like, or a nesting of
    them. The function gets its operands nested as they are given, as arrays that it must not
    change. It may be called any number of times, and not at all where nothing uses its result. It
    has no derivative; wrap it with `custom_gradient` to give it one.
    """
    types, structure = _flatten_specs(result)
    nodes, arguments = _inputs("callback", operands)
    label = getattr(function, "__name__", "host")
    name = "".join(c if c.isalnum() else "_" for c in label)

    def call(*arrays: np.ndarray) -> Any:
        value = function(*unflatten(arguments, arrays))
        if structure == LEAF:
            return [value]
        leaves, found = flatten(value)
        if found != structure:
            raise ArgumentError(
                explain(f"callback {name}", f"results nested as {structure}", str(found))
            )
        return leaves

    host = ops.HostFunction(name, call)
    found = ops.callback(*nodes, function=host, types=tuple(types))
    return unflatten(structure, [wrap(node) for node in items(found)])


def _flatten_specs(result: Any) -> tuple[list[TensorType], Structure]:
    if _is_spec(result):
        return [_spec(result)], LEAF
    if isinstance(result, dict):
        names = flatten(dict.fromkeys(result, 0))[1].keys
        types, inner = _flatten_specs([result[name] for name in names])
        return types, Structure(dict, names, inner.children, inner.count)
    if isinstance(result, (list, tuple)):
        found = [_flatten_specs(each) for each in result]
        types = [type for part, _ in found for type in part]
        children = tuple(structure for _, structure in found)
        return types, Structure(type(result), (), children, len(types))
    raise ArgumentTypeError(
        explain("callback", "a result given as (shape, dtype) or a tensor", repr(result))
    )


def _is_spec(value: Any) -> bool:
    if isinstance(value, Tensor):
        return True
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], (tuple, list))):
        return False
    return all(isinstance(size, (int, Dim)) for size in value[0])


def _spec(value: Any) -> TensorType:
    if isinstance(value, Tensor):
        return value.type
    return tensor_type(as_dtype(value[1]), tuple(value[0]))


def print_value(x: Any, label: str = "") -> Tensor:
    """x; its value is printed when it is computed, also inside traced functions.

    Nothing is computed, nor printed, where nothing uses what this returns: `x = print_value(x)`.
    """
    node = node_of(to_tensor(x, "print_value"))
    where = location()

    def show(array: np.ndarray) -> np.ndarray:
        print(f"{label or where}: {array}")
        return array

    host = ops.HostFunction("print_value", show)
    (shown,) = items(ops.callback(node, function=host, types=(node.type,)))
    # The host has no derivative, so the value flows around it: x plus nothing of the copy.
    kept = build("print_value", [node.type, node.type], lambda x, copy: copy)
    passed = build("print_gradient", [node.type, *[node.type] * 3], lambda x, copy, y, dy: (dy, dy))
    if not node.dtype.is_inexact:
        return wrap(shown)
    return wrap(
        items(ops.custom_call(node, stop_gradient(shown), function=kept, gradient=passed))[0]
    )

"""Control flow: branches, loops, and functions mapped over slices.

Bodies are traced, and yet may assign variables: a variable that a body assigns goes into it and
comes out of it as one more value, and is assigned once, after it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from thalweg.array import control, derivatives, manipulation
from thalweg.array.data_types import astype
from thalweg.base.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, explain
from thalweg.engine.tensor import Tensor
from thalweg.engine.tree import flatten, map_leaves, unflatten
from thalweg.ir.dim import Dim, is_known_equal
from thalweg.keras.operation import infer, op
from thalweg.keras.ops.core.values import converted, dtype, has_value, integer, shape
from thalweg.keras.ops.operands import axis_of
from thalweg.keras.symbol import KerasTensor, symbols_in
from thalweg.keras.variable import AutocastScope, StatelessScope, Variable, stateless_scope, tensor

# State in bodies ----------------------------------------------------------------------------------


class _Body(StatelessScope):
    """The scope that a body of a branch or loop is traced in; it notes the variables assigned."""

    def __init__(self, variables: Iterable[Variable], values: Iterable[Tensor]):
        super().__init__()
        outer = stateless_scope()
        if outer is not None:
            self.collect_losses, self.losses = outer.collect_losses, outer.losses
            self.owners = outer.owners
            self.state_mapping.update(outer.state_mapping)
        pairs = zip(variables, values, strict=True)
        self.state_mapping.update({id(variable): value for variable, value in pairs})
        self.assigned: dict[int, Variable] = {}

    def add_update(self, update: tuple[Variable, Any]) -> None:
        self.assigned[id(update[0])] = update[0]
        super().add_update(update)


class _State:
    """The variables that bodies assign, as values on their way through a branch or a loop.

    Which ones they are shows when the bodies are traced, so `through` traces again when it finds
    some, with them as one more input and output.
    """

    def __init__(self) -> None:
        self.variables: dict[int, Variable] = {}
        self._found: dict[int, Variable] = {}

    def inside(self, function: Callable, values: Sequence[Tensor], *args: Any) -> tuple[Any, list]:
        """What the function gives with these values of the variables, and their new values."""
        body = _Body(self.variables.values(), values)
        with body:
            result = function(*args)
        symbol = next(symbols_in(result), None)
        if symbol is not None:
            raise ArgumentError(
                explain(
                    "a branch or a loop",
                    "a function of tensors",
                    f"one that uses a KerasTensor from outside, and so gives {symbol!r}",
                    "Write the branch or loop in the `call` of a layer of your own.",
                )
            )
        self._found.update(body.assigned)
        return result, [body.state_mapping[key] for key in self.variables]

    @classmethod
    def through(cls, run: Callable[["_State", list[Tensor]], tuple[Any, list[Tensor]]]) -> Any:
        """The result of `run(state, values)`, which also gives the variables' new values."""
        state = cls()
        while True:
            with AutocastScope(None):
                before = [variable.value for variable in state.variables.values()]
            result, after = run(state, before)
            if state._found.keys() <= state.variables.keys():
                break
            state.variables.update(state._found)
        for variable, value in zip(state.variables.values(), after, strict=True):
            variable.assign(value)
        return result


def _with_numbers(loop: Callable[[Any], Any], state: Any) -> Any:
    """The loop from a state in which Python numbers are int32 and floatx.

    Where the body turns them into another type, they begin in that type.
    """
    try:
        return loop(map_leaves(tensor, state))
    except DTypeError:
        if not any(isinstance(leaf, (int, float)) for leaf in flatten(state)[0]):
            raise
        return loop(map_leaves(lambda x: x if isinstance(x, (int, float)) else tensor(x), state))


def _settled(value: Any) -> Any:
    """Nested values with numbers and arrays as tensors."""
    kinds = (bool, int, float, complex, np.ndarray, np.generic)
    return map_leaves(lambda x: tensor(x) if isinstance(x, kinds) else x, value)


def _with_results(branch: Callable[[Callable[[Any], Any]], Any]) -> Any:
    """A branch whose results are settled, else, where they would differ, are taken as they come."""
    try:
        return branch(_settled)
    except DTypeError:
        return branch(lambda value: value)


def _check_callable(name: str, what: str, function: Any) -> None:
    if not callable(function):
        raise ArgumentTypeError(
            explain(name, f"a function. `{what}` should be a callable", repr(function))
        )


# Branches -----------------------------------------------------------------------------------------


@op(data=("pred", "true_fn", "false_fn"))
def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """The result of one of two functions without arguments, chosen by a boolean scalar.

    Where `pred` has a value only that function is called; in a traced function both are traced,
    and must return the same nesting, shapes and dtypes.
    """
    _check_callable("cond", "true_fn", true_fn)
    _check_callable("cond", "false_fn", false_fn)
    if has_value(pred):
        is_true = bool(pred.value if isinstance(pred, Variable) else pred)
        return _settled(true_fn() if is_true else false_fn())
    choice = _scalar("cond", pred, "bool")
    return _branch(
        [true_fn, false_fn], lambda fns, *operands: control.cond(choice, *fns, *operands), ()
    )


def _scalar(name: str, x: Any, dtype: str) -> Tensor:
    found = converted(x, dtype)
    if found.ndim:
        raise ShapeError(
            explain(
                name,
                "one number to choose by",
                f"a tensor of shape {tuple(found.shape)}",
                "Write keras.ops.where to choose element by element.",
            )
        )
    return found


def _branch(functions: Sequence[Callable], choose: Callable, operands: tuple) -> Any:
    """What `choose(functions, ...)` gives, where the functions may assign variables."""

    def with_results(settle: Callable[[Any], Any]) -> Any:
        def run(state: _State, values: list[Tensor]) -> tuple[Any, list[Tensor]]:
            def body(function: Callable) -> Callable:
                def traced(inner: list[Tensor], *args: Any) -> tuple[Any, list[Tensor]]:
                    found, after = state.inside(function, inner, *args)
                    return settle(found), after

                return traced

            return choose([body(function) for function in functions], values, *operands)

        return _State.through(run)

    return _with_results(with_results)


@op(data=("index", "branches", "operands"))
def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """The result of `branches[index]` of the operands; an index out of range is clamped.

    Where `index` has a value only that function is called; in a traced function all are traced,
    and must return the same nesting, shapes and dtypes.
    """
    if not isinstance(branches, (list, tuple)) or not branches:
        raise ArgumentTypeError(explain("switch", "a list of functions", repr(branches)))
    for each in branches:
        _check_callable("switch", "branches", each)
    operands = map_leaves(tensor, operands)
    if has_value(index):
        return _settled(branches[min(max(integer(index), 0), len(branches) - 1)](*operands))
    choice = _scalar("switch", index, "int32")
    return _branch(
        branches, lambda fns, *inputs: control.switch(choice, fns, *inputs), tuple(operands)
    )


# Loops --------------------------------------------------------------------------------------------


def _as_symbols(values: Any) -> Any:
    return map_leaves(lambda x: KerasTensor(shape(x), dtype=dtype(x)), values)


def _while_spec(loop_vars: Any, **_: Any) -> Any:
    return _as_symbols(loop_vars)


@op(data=("loop_vars",), spec=_while_spec)
def while_loop(
    cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """The loop variables after running `body` while `cond` holds.

    A tuple or list is passed as arguments and comes back as a tuple; anything else is one argument.
    Shapes and dtypes stay. With `maximum_iterations` the loop ends there at the latest, and has a
    derivative.
    """
    _check_callable("while_loop", "cond", cond)
    _check_callable("while_loop", "body", body)
    is_spread = isinstance(loop_vars, (tuple, list))

    def step(*args: Any) -> tuple:
        found = body(*args)
        return tuple(found) if isinstance(found, (tuple, list)) and is_spread else (found,)

    def loop(start: tuple) -> tuple:
        def run(state: _State, values: list[Tensor]) -> tuple[Any, list[Tensor]]:
            return control.while_loop(
                lambda args, inner: astype(tensor(state.inside(cond, inner, *args)[0]), "bool"),
                lambda args, inner: state.inside(step, inner, *args),
                (start, values),
                maximum_iterations,
            )

        return _State.through(run)

    found = _with_numbers(loop, tuple(loop_vars) if is_spread else (loop_vars,))
    return found if is_spread else found[0]


@op(data=("init_val",))
def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """The value after `value = body_fun(i, value)` for i from `lower` up to `upper`.

    Bounds that are data make a loop without a derivative.
    """
    _check_callable("fori_loop", "body_fun", body_fun)
    first, last = (
        each if isinstance(each, Dim) else integer(each) if has_value(each) else tensor(each)
        for each in (lower, upper)
    )

    def loop(start: Any) -> Any:
        def run(state: _State, values: list[Tensor]) -> tuple[Any, list[Tensor]]:
            def step(i: Tensor, carried: tuple) -> tuple:
                value, inner = carried
                return state.inside(body_fun, inner, converted(i, "int32"), value)

            return control.fori_loop(first, last, step, (start, values))

        return _State.through(run)

    return _with_numbers(loop, init_val)


@op(data=("f", "init", "xs"))
def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Thread a carry through a sequence: `carry, y = f(carry, x)` for each slice x of xs.

    xs is nested tensors with one leading axis of equal size, or None with `length` given. Returns
    the last carry and the ys stacked along a new leading axis. `unroll` changes nothing: loops are
    compiled as they are.
    """
    _check_callable("scan", "f", f)
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ArgumentError(
            explain(
                "scan",
                "a number of steps. `unroll` must be an positive integer or boolean",
                f"unroll={unroll}",
            )
        )
    if xs is None and length is None:
        raise ArgumentError(
            explain(
                "scan",
                "values to scan over, or `length`",
                "no `xs`: got no values to scan over and `length` not provided",
            )
        )
    rows = map_leaves(tensor, xs)
    _check_rows("scan", rows, length)

    def loop(start: Any) -> Any:
        def run(state: _State, values: list[Tensor]) -> tuple[Any, list[Tensor]]:
            def step(carried: tuple, x: Any) -> tuple:
                value, inner = carried
                found, after = state.inside(f, inner, value, x)
                if not isinstance(found, (tuple, list)) or len(found) != 2:
                    raise ArgumentError(
                        explain("scan", "an `f` that returns (carry, y)", repr(found))
                    )
                return (found[0], after), found[1]

            (carry, after), ys = control.scan(step, (start, values), rows, length, reverse)
            return (carry, ys), after

        return _State.through(run)

    return _with_numbers(loop, init)


def _check_rows(name: str, rows: Any, length: Any = None) -> None:
    """Refuse sequences without a leading axis, or with leading axes of other sizes."""
    sizes = []
    for row in flatten(rows)[0]:
        if not row.ndim:
            raise ShapeError(
                explain(
                    name,
                    "values with a leading axis",
                    "a scalar; got value with no leading axis to scan over",
                )
            )
        sizes.append(row.shape[0])
    if any(not is_known_equal(size, sizes[0]) for size in sizes[1:]):
        text = ", ".join(str(size) for size in sizes)
        raise ShapeError(
            explain(
                name,
                "values with leading axes of one size",
                f"got values with different leading axis sizes: {text}",
            )
        )
    if sizes and length is not None and not is_known_equal(sizes[0], length):
        raise ShapeError(
            explain(
                name,
                f"values with {length} slices, as `length` says",
                f"got `length` of {length} which disagrees with leading axis size {sizes[0]}",
            )
        )


@op(data=("f", "xs"))
def map(f: Callable, xs: Any) -> Any:
    """`f` of each slice of nested tensors along their leading axis, one after another, stacked."""
    _check_callable("map", "f", f)
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


@op(data=("elements",))
def vectorized_map(function: Callable, elements: Any) -> Any:
    """`function` of each slice of nested tensors along their leading axis, all at once."""
    _check_callable("vectorized_map", "function", function)
    rows = map_leaves(tensor, elements)
    _check_rows("vectorized_map", rows)
    return derivatives.vmap(function)(rows)


def _associative_spec(f: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    sizes = [
        each.shape[axis_of("associative_scan", axis, len(each.shape))] for each in flatten(elems)[0]
    ]
    if None in sizes:
        return _as_symbols(elems)
    return infer(associative_scan.definition.function, (f, elems, reverse, axis), {})


@op(data=("f", "elems"), spec=_associative_spec)
def associative_scan(f: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative function of two nestings, along an axis.

    `f(a, b)` combines slices in which the axis is kept, element by element along it.
    """
    _check_callable("associative_scan", "f", f)
    rows = map_leaves(tensor, elems)
    leaves, structure = flatten(rows)
    axes = [axis_of("associative_scan", axis, each.ndim) for each in leaves]
    sizes = [each.shape[place] for each, place in zip(leaves, axes, strict=True)]
    if any(not is_known_equal(size, sizes[0]) for size in sizes[1:]):
        raise ShapeError(
            explain(
                "associative_scan",
                "elems with the same size along the axis; array inputs must have the same first "
                "dimension",
                f"sizes {', '.join(str(size) for size in sizes)}",
            )
        )
    if all(isinstance(size, int) for size in sizes):
        return control.associative_scan(f, rows, reverse, axis)
    # How many rounds a tree of unknown depth takes is data, so one element follows the other.
    slices = unflatten(
        structure, [_in_front(x, place) for x, place in zip(leaves, axes, strict=True)]
    )
    first = map_leaves(lambda x: x[-1 if reverse else 0], slices)
    others = map_leaves(lambda x: x[:-1] if reverse else x[1:], slices)

    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        found = f(carry, x)
        return found, found

    _, rest = control.scan(step, first, others, reverse=reverse)
    ends = flatten(first)[0]
    whole = []
    for end, more, place in zip(ends, flatten(rest)[0], axes, strict=True):
        pair = [more, end[None]] if reverse else [end[None], more]
        joined = manipulation.concat(pair, axis=0)
        whole.append(manipulation.moveaxis(manipulation.squeeze(joined, place + 1), 0, place))
    return unflatten(structure, whole)


def _in_front(x: Tensor, axis: int) -> Tensor:
    """x with its slices along an axis in front, the axis itself kept with size 1."""
    return manipulation.expand_dims(manipulation.moveaxis(x, axis, 0), axis + 1)

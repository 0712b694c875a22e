"""Derivatives as functions of functions, and the gradient tape.

All of it is graph transformation: a function is run on marked copies of its arguments, and the
pullback of its results is more graph. So derivatives nest to any order, work inside traced
functions, loops and branches, and Python control flow on values works while they are taken.

Arguments may be nested lists, tuples and dicts of tensors; derivatives come back nested likewise.
For complex tensors the gradient of a real function is dL/dRe + i dL/dIm.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from thalweg.array.operands import to_tensor
from thalweg.base.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
    explain,
)
from thalweg.base.frames import describe
from thalweg.engine.context import Trace, current_trace, leaked
from thalweg.engine.tape import Pause, Recorder
from thalweg.engine.tensor import Tensor, node_of, set_apart, tensor_in, wrap
from thalweg.engine.trace import strong
from thalweg.engine.tree import Structure, flatten, map_leaves, unflatten
from thalweg.engine.variable import Variable
from thalweg.ir.dim import is_known_equal
from thalweg.ir.function import close, fresh, inline
from thalweg.ir.leaves import full, full_like, items, parameter
from thalweg.ir.node import Node, provenance
from thalweg.ir.types import Size, int32, size_of
from thalweg.ir.walk import dependents, postorder, substitute
from thalweg.ops import control as ops
from thalweg.ops.broadcast import broadcast
from thalweg.ops.elementwise import add, cast, equal
from thalweg.ops.mark import mark
from thalweg.ops.mark import stop_gradient as stop_gradient_op
from thalweg.ops.movement import iota, reshape, transpose
from thalweg.transforms.batch import batch, batch_nodes, mapped_results
from thalweg.transforms.batch import repeat as repeat_node
from thalweg.transforms.gradient import Before, pullback, pushforward


class _Call:
    """One run of a function on marked copies of some of its arguments."""

    def __init__(
        self, name: str, function: Callable, argnums: Any, args: tuple, kwargs: dict, has_aux: bool
    ):
        self.name = name
        self.trace = current_trace()
        self.is_single = hasattr(argnums, "__index__")
        chosen = _positions(name, (argnums,) if self.is_single else argnums, len(args))
        self.xs: list[Node] = []
        self.structures: list[Structure] = []
        new_args = list(args)
        recorder = Recorder()
        try:
            with recorder:
                for index in chosen:
                    leaves, structure = flatten(args[index])
                    self.structures.append(structure)
                    marked = [self._mark(leaf, index) for leaf in leaves]
                    new_args[index] = unflatten(structure, marked)
                output = function(*new_args, **kwargs)
            self.aux = None
            if has_aux:
                if not isinstance(output, tuple) or len(output) != 2:
                    raise ArgumentError(
                        explain(name, "a function that returns (value, aux)", type(output).__name__)
                    )
                output, self.aux = output
            leaves, self.output_structure = flatten(output)
            tensors = [to_tensor(leaf, name) for leaf in leaves]
            self.ys = [strong(node_of(t)) if t.is_weak else node_of(t) for t in tensors]
            is_plain = not any(isinstance(leaf, (Tensor, Variable)) for leaf in leaves)
            self.left_graph = is_plain and recorder.has_left
        finally:
            recorder.finish()

    def _mark(self, leaf: Any, index: int) -> Tensor:
        if isinstance(leaf, int) and not isinstance(leaf, bool):
            raise _not_a_float(self.name, index, f"the integer {leaf}", f"{leaf}.0")
        tensor = to_tensor(leaf, self.name)
        if not tensor.dtype.is_inexact:
            received = str(tensor.type)
            raise _not_a_float(self.name, index, received, "x.astype('float32')")
        node = mark(node_of(tensor))
        self.xs.append(node)
        return wrap(node)

    def scalar(self) -> Node:
        """The one real number that the function returned."""
        if len(self.ys) != 1:
            raise ShapeError(
                explain(
                    self.name,
                    "a function that returns one number",
                    f"{len(self.ys)} tensors",
                    "Return (loss, others) and say has_aux=True, or use jacobian.",
                )
            )
        (y,) = self.ys
        if y.type.rank and not (y.type.is_static and y.type.size == 1):
            raise ShapeError(
                explain(
                    self.name,
                    "a function that returns one number",
                    str(y.type),
                    "Reduce it with sum or mean, or use jacobian.",
                )
            )
        if not y.dtype.is_inexact:
            raise DTypeError(
                explain(
                    self.name,
                    "a function that returns a float",
                    f"{y.type}; an integer has no derivative",
                    "Compute the loss in floats: x.astype('float32').",
                )
            )
        if y.dtype.is_complex:
            raise DTypeError(
                explain(
                    self.name,
                    "a function that returns a real number",
                    str(y.type),
                    "Take real(y), or abs(y).",
                )
            )
        return y

    def gradients(self, dys: Sequence[Node | None]) -> Any:
        """The cotangents of the marked arguments, nested as these are."""
        if current_trace() is self.trace:
            found = pullback(self.ys, dys, self.xs, set(self.xs))
        else:
            found = self._pull_inside(dys)
        if self.xs and all(dx is None for dx in found):
            if self.left_graph:
                raise _left_graph(self.name)
            check_is_connected(self.name, self.ys, self.xs)
        nodes = [
            full_like(x, 0) if dx is None else dx for x, dx in zip(self.xs, found, strict=True)
        ]
        return self.nest([wrap(node) for node in nodes])

    def _pull_inside(self, dys: Sequence[Node | None]) -> list[Node | None]:
        """The pullback for a trace within the one where the value was made.

        The part of it that depends on the cotangents is built anew inside; what that needs of the
        outer graph is lifted.
        """
        trace = current_trace()
        if trace is None or (self.trace is not None and not trace.is_inside(self.trace)):
            raise leaked(tensor_in(self.trace, self.ys[0]))
        new: dict[Node, Node] = {fresh("dy", dy.type): dy for dy in dys if dy is not None}
        holes = iter(new.copy())
        given = [None if dy is None else next(holes) for dy in dys]
        found = pullback(self.ys, given, self.xs, set(self.xs))
        roots = [dx for dx in found if dx is not None]
        inside = dependents(postorder(roots), tuple(new))
        for node in (*roots, *(arg for each in inside for arg in each.args)):
            if node not in inside and node not in new:
                new[node] = trace.lift(tensor_in(self.trace, node))
        moved = iter(substitute(roots, new))
        return [None if dx is None else next(moved) for dx in found]

    def nest(self, leaves: Sequence[Any]) -> Any:
        """Values for the marked arguments, nested as these are."""
        parts = []
        position = 0
        for structure in self.structures:
            parts.append(unflatten(structure, leaves[position : position + structure.count]))
            position += structure.count
        return parts[0] if self.is_single else tuple(parts)


def _positions(name: str, argnums: Any, count: int) -> list[int]:
    """Argument numbers counted from the front, each once."""
    try:
        chosen = [index.__index__() for index in argnums]
    except (TypeError, AttributeError):
        raise ArgumentTypeError(
            explain(name, "an argument number, or a tuple of them, as argnums", repr(argnums))
        ) from None
    for index in chosen:
        if not -count <= index < count:
            raise ArgumentError(
                explain(
                    name,
                    "argnums that number positional arguments, from 0 on",
                    f"{index} for a call with {count or 'no'} positional arguments",
                    "Pass what is differentiated by position, not by name.",
                )
            )
    chosen = [index % count for index in chosen]
    if len(set(chosen)) < len(chosen):
        raise ArgumentError(explain(name, "each argument number once", repr(argnums)))
    return chosen


def _not_a_float(name: str, index: int, received: str, instead: str) -> DTypeError:
    return DTypeError(
        explain(
            name,
            f"a float or complex tensor as argument {index}",
            f"{received}; an integer has no derivative",
            f"Write {instead}, or choose other arguments with argnums.",
        )
    )


def _left_graph(name: str) -> GradientError:
    return GradientError(
        explain(
            name,
            "a result that is computed with tensors",
            "a plain number or array, made of values that float(), item() or numpy() took out",
            "Use this package's functions on the tensors themselves, for instance sin(x) and not "
            "math.sin(x).",
        )
    )


def check_is_connected(name: str, ys: Sequence[Node], xs: Sequence[Node]) -> None:
    """Raise GradientError where a path from xs to ys exists and some operation cuts it."""
    order = postorder(ys, set(xs))
    reached = dependents(order, xs)
    if not any(y in reached for y in ys):
        return
    for node in order:
        if node not in reached or node in xs:
            continue
        types = node.type if isinstance(node.type, tuple) else (node.type,)
        is_cut = not any(type.dtype.is_inexact for type in types) or node.op is stop_gradient_op
        if is_cut:
            where = provenance(node).place
            at = f" at {describe(where)}" if where else ""
            raise GradientError(
                explain(
                    name,
                    "a result that depends on its arguments through floats",
                    f"a path that goes through {node.op.name}{at}, which has no derivative",
                    "Replace it by a smooth operation, or say with stop_gradient and a second "
                    "term what the derivative is.",
                )
            )


# The functional forms -----------------------------------------------------------------------------


def value_and_grad(function: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    """A function that returns the value of `function` and its gradient.

    `function` returns one real number (with `has_aux`, a pair of it and anything else); `argnums`
    is the position of the argument to differentiate by, or several. An argument that the value does
    not depend on gets zeros; a value whose every path from the arguments is cut is refused.
    """

    @functools.wraps(function, updated=())
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        call = _Call("grad", function, argnums, args, kwargs, has_aux)
        y = call.scalar()
        gradients = call.gradients([full_like(y, 1)])
        value = wrap(y)
        return ((value, call.aux) if has_aux else value), gradients

    return differentiated


def grad(function: Callable, argnums: Any = 0, has_aux: bool = False) -> Callable:
    """A function that returns the gradient of `function`; see `value_and_grad`.

    >>> import thalweg as tw
    >>> tw.grad(lambda x: x ** 3)(2.0)
    Tensor(12., dtype=float32)
    """
    both = value_and_grad(function, argnums, has_aux)

    @functools.wraps(function, updated=())
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return differentiated


def vjp(function: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """The value at `primals`, and a function from cotangents of it to those of the primals.

    Returns `(value, pull)`, with `has_aux` `(value, pull, aux)`; `pull(dy)` gives a tuple, one
    entry for each primal.
    """
    call = _Call("vjp", function, tuple(range(len(primals))), primals, {}, has_aux)
    value = unflatten(call.output_structure, [wrap(y) for y in call.ys])

    def pull(cotangents: Any) -> Any:
        leaves, structure = flatten(cotangents)
        if structure != call.output_structure:
            raise ArgumentError(
                explain(
                    "vjp",
                    f"cotangents nested like the value, {call.output_structure}",
                    str(structure),
                )
            )
        return call.gradients(_like("vjp", leaves, call.ys))

    return (value, pull, call.aux) if has_aux else (value, pull)


def jvp(function: Callable, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value at `primals`, and its change along `tangents`: tuples, one entry an argument."""
    for what, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise ArgumentTypeError(
                explain(
                    "jvp",
                    f"a tuple as {what}",
                    type(given).__name__,
                    "Write (x,) for one argument.",
                )
            )
    primals = tuple(primals)
    call = _Call("jvp", function, tuple(range(len(primals))), primals, {}, False)
    leaves, structure = flatten(tuple(tangents))
    wanted = flatten(primals)[1]
    if structure != wanted:
        raise ArgumentError(
            explain("jvp", f"tangents nested like the primals, {wanted}", str(structure))
        )
    given = _like("jvp", leaves, call.xs)
    found = iter(pushforward(call.ys, call.xs, given, set(call.xs)))
    changes = [wrap(next(found) if y.dtype.is_inexact else full_like(y, 0)) for y in call.ys]
    value = unflatten(call.output_structure, [wrap(y) for y in call.ys])
    return value, unflatten(call.output_structure, changes)


def _like(name: str, leaves: Sequence[Any], nodes: Sequence[Node]) -> list[Node]:
    """The nodes of values that must have the types of given nodes."""
    found = []
    for leaf, node in zip(leaves, nodes, strict=True):
        tensor = to_tensor(leaf, name)
        own = node_of(tensor)
        if own.dtype is not node.dtype and (tensor.is_weak or isinstance(leaf, (int, float, list))):
            own = cast(own, dtype=node.dtype)
        if own.type is not node.type:
            raise ShapeError(explain(name, f"a value of type {node.type}", str(own.type)))
        found.append(own)
    return found


def jacobian(
    function: Callable, argnums: Any = 0, has_aux: bool = False, mode: str = "reverse"
) -> Callable:
    """A function that returns the matrix of derivatives of each output by each input.

    For an output of shape S and an argument of shape T the entry has shape S + T. `mode` is
    "reverse" (one pullback for each output element, batched) or "forward" (one pushforward for each
    input element); their results are equal. Real tensors only.
    """
    if mode not in ("reverse", "forward"):
        raise ArgumentError(explain("jacobian", "mode 'reverse' or 'forward'", repr(mode)))

    @functools.wraps(function, updated=())
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        call = _Call("jacobian", function, argnums, args, kwargs, has_aux)
        for node in (*call.xs, *call.ys):
            if node.dtype.is_complex:
                raise DTypeError(
                    explain(
                        "jacobian",
                        "real tensors",
                        str(node.type),
                        "Split it into real(x) and imag(x).",
                    )
                )
        rows = _reverse_rows(call) if mode == "reverse" else _forward_rows(call)
        parts = [call.nest([wrap(node) for node in row]) for row in rows]
        found = unflatten(call.output_structure, parts)
        return (found, call.aux) if has_aux else found

    return differentiated


def _basis(node: Node) -> Node:
    """The unit tensors of a node's shape, stacked along a new leading axis."""
    size = size_of(node.shape)
    rows = iota(dtype=int32, shape=(size, size), axis=0)
    columns = iota(dtype=int32, shape=(size, size), axis=1)
    eye = cast(equal(rows, columns), dtype=node.dtype)
    return reshape(eye, shape=(size, *node.shape))


def _reverse_rows(call: _Call) -> list[list[Node]]:
    rows = []
    for y in call.ys:
        if not y.dtype.is_inexact:
            raise DTypeError(explain("jacobian", "outputs that are floats", str(y.type)))
        dy = mark(full_like(y, 0))
        found = pullback([y], [dy], call.xs, set(call.xs))
        basis = _basis(y)
        batched = _over(dy, basis, found)
        rows.append(
            [
                full(0, x.dtype, (*y.shape, *x.shape))
                if node is None
                else reshape(node, shape=(*y.shape, *x.shape))
                for x, node in zip(call.xs, batched, strict=True)
            ]
        )
    return rows


def _over(variable: Node, values: Node, roots: Sequence[Node | None]) -> list[Node | None]:
    """Nodes that depend on `variable`, for each of the stacked values of it."""
    size = values.shape[0]
    new = {variable: values}
    flags = {variable: True}
    present = [root for root in roots if root is not None]
    batch_nodes(present, new, flags, size)
    return [
        None if root is None else new[root] if flags[root] else repeat_node(new[root], size)
        for root in roots
    ]


def _forward_rows(call: _Call) -> list[list[Node]]:
    rows: list[list[Node]] = [[] for _ in call.ys]
    for position, x in enumerate(call.xs):
        tangents = [full_like(each, 0) for each in call.xs]
        tangents[position] = dx = mark(full_like(x, 0))
        found = pushforward(call.ys, call.xs, tangents, set(call.xs))
        for row, y, node in zip(rows, call.ys, _over(dx, _basis(x), found), strict=True):
            assert node is not None
            moved = transpose(node, axes=(*range(1, y.type.rank + 1), 0))
            row.append(reshape(moved, shape=(*y.shape, *x.shape)))
    return rows


def hessian(function: Callable, argnums: int = 0) -> Callable:
    """A function that returns the second derivatives of a scalar function.

    For an argument of shape T the result has shape T + T.
    """
    return jacobian(grad(function, argnums), argnums)


# Mapping ------------------------------------------------------------------------------------------


def vmap(function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """A function over batches from a function of single examples, computed all together.

    `in_axes` says, for each argument or each leaf of it, which axis is the batch; None passes an
    argument whole, and as it is where it is no tensor or array. Keyword arguments have it in front.
    `out_axes` says where the batch axis of the results goes; None keeps a result that is the same
    for all examples as one.

    >>> import thalweg as tw
    >>> tw.vmap(lambda x, y: tw.sum(x * y))(tw.ones((3, 2)), tw.ones((3, 2)))
    Tensor([2., 2., 2.], dtype=float32)
    """

    @functools.wraps(function, updated=())
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten((args, kwargs))
        given, by_name = structure.children
        found = [*_axes(in_axes, given), *[0] * by_name.count]
        is_whole = [
            axis is None
            and not (isinstance(leaf, (Tensor, Variable)) or hasattr(leaf, "__array__"))
            for leaf, axis in zip(leaves, found, strict=True)
        ]
        axes = [axis for axis, whole in zip(found, is_whole, strict=True) if not whole]
        nodes = []
        for leaf, whole in zip(leaves, is_whole, strict=True):
            if not whole:
                tensor = to_tensor(leaf, "vmap")
                nodes.append(strong(node_of(tensor)) if tensor.is_weak else node_of(tensor))
        size, fronted = _fronted(nodes, axes)
        name = getattr(function, "__name__", "mapped")
        trace = Trace("mapped" if name == "<lambda>" else name, current_trace())
        with Pause(), trace:
            inner = []
            for index, (node, axis) in enumerate(zip(fronted, axes, strict=True)):
                type = node.type if axis is None else node.type.with_shape(node.shape[1:])
                inner.append(wrap(trace.parameter(f"x{index}", type)))
            source = iter(inner)
            values = [
                leaf if whole else next(source)
                for leaf, whole in zip(leaves, is_whole, strict=True)
            ]
            new_args, new_kwargs = unflatten(structure, values)
            output, out_structure = flatten(function(*new_args, **new_kwargs))
            tensors = [to_tensor(leaf, "vmap") for leaf in output]
            results = [strong(node_of(t)) if t.is_weak else node_of(t) for t in tensors]
        captured = [node_of(tensor) for tensor, _ in trace.captured.values()]
        flags = [axis is not None for axis in axes] + [False] * len(captured)
        closed = trace.close(results)
        wanted = _axes(out_axes, out_structure)
        for axis, is_mapped, y in zip(wanted, mapped_results(closed, flags), results, strict=True):
            if axis is None and is_mapped:
                raise ArgumentError(
                    explain(
                        "vmap",
                        "an integer in out_axes for a result that differs between examples",
                        f"None for a result of type {y.type}",
                    )
                )
        batched = batch(closed, flags, size, [axis is not None for axis in wanted])
        return unflatten(
            out_structure,
            [
                wrap(node if axis is None else _placed(node, axis))
                for node, axis in zip(inline(batched, [*fronted, *captured]), wanted, strict=True)
            ],
        )

    return mapped


def _axes(given: Any, structure: Structure) -> list[int | None]:
    """One axis or None for each leaf, from a prefix of the nesting."""
    found: list[int | None] = []

    def walk(prefix: Any, inner: Structure) -> None:
        if prefix is None or hasattr(prefix, "__index__"):
            found.extend([None if prefix is None else prefix.__index__()] * inner.count)
            return
        children = inner.children
        if isinstance(prefix, dict) and inner.kind is dict:
            prefixes = [prefix[key] for key in inner.keys]
        elif isinstance(prefix, (list, tuple)) and inner.kind is not dict:
            prefixes = list(prefix)
        else:
            prefixes = []
        if len(prefixes) != len(children):
            raise ArgumentError(
                explain("vmap", f"axes nested like the values, {inner}", f"{prefix!r}")
            )
        for each, child in zip(prefixes, children, strict=True):
            walk(each, child)

    walk(given, structure)
    return found


def _fronted(nodes: Sequence[Node], axes: Sequence[int | None]) -> tuple[Size, list[Node]]:
    """The common batch size, and the nodes with their batch axis in front."""
    size: Size | None = None
    result = []
    for node, axis in zip(nodes, axes, strict=True):
        if axis is None:
            result.append(node)
            continue
        rank = node.type.rank
        if not -rank <= axis < rank:
            raise ShapeError(
                explain(
                    "vmap",
                    f"arguments with a batch axis, here axis {axis}",
                    str(node.type),
                    "Pass in_axes=None for an argument without a batch axis.",
                )
            )
        own = node.shape[axis]
        if size is None:
            size = own
        elif not is_known_equal(own, size):
            raise ShapeError(
                explain(
                    "vmap",
                    "batch axes of one size",
                    " and ".join(
                        f"{each.type} along axis {where}"
                        for each, where in zip(nodes, axes, strict=True)
                        if where is not None
                    ),
                    "Pass in_axes=None for an argument without a batch axis.",
                )
            )
        result.append(_placed(node, 0, axis % rank))
    if size is None:
        raise ArgumentError(explain("vmap", "at least one argument with a batch axis", "none"))
    return size, result


def _placed(node: Node, target: int, source: int = 0) -> Node:
    """A node with one axis moved from `source` to `target`."""
    rank = node.type.rank
    if not -rank <= target < rank:
        raise ShapeError(
            explain("vmap", f"out_axes from {-rank} to {rank - 1}", f"{target} for {node.type}")
        )
    rest = [axis for axis in range(rank) if axis != source]
    rest.insert(target % rank, source)
    return node if rest == list(range(rank)) else transpose(node, axes=tuple(rest))


# Changing what is differentiated ------------------------------------------------------------------


def stop_gradient(x: Any) -> Any:
    """x, through which no derivative flows; nested tensors one by one."""
    return map_leaves(lambda leaf: wrap(stop_gradient_op(node_of(to_tensor(leaf)))), x)


def checkpoint(function: Callable) -> Callable:
    """A function whose inner results are not kept for its derivative but computed again."""

    @functools.wraps(function, updated=())
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        call = _Traced("checkpoint", function, args, kwargs)
        traced = close(call.name, [*call.inner, *call.captured_inner()], call.results)
        nodes = items(ops.checkpoint(*call.nodes, *call.captured(), function=traced))
        return unflatten(call.structure, [wrap(node) for node in nodes])

    return recomputed


class _Traced:
    """A function traced on its tensor arguments; what is not a tensor or number is passed as is."""

    def __init__(self, name: str, function: Callable, args: tuple, kwargs: dict):
        leaves, structure = flatten((args, kwargs))
        self.name = getattr(function, "__name__", name).replace("<lambda>", name)
        self.trace = Trace(self.name, current_trace())
        self.nodes: list[Node] = []
        self.inner: list[Node] = []
        self.leaves: list[Node | None] = []
        values: list[Any] = []
        nodes = [node_of(to_tensor(leaf)) if _is_data(leaf) else None for leaf in leaves]
        self.pause = Pause()
        with self.pause, self.trace:
            for leaf, node in zip(leaves, nodes, strict=True):
                if node is None:
                    self.leaves.append(None)
                    values.append(leaf)
                    continue
                self.nodes.append(node)
                self.inner.append(self.trace.parameter(f"x{len(self.inner)}", node.type))
                self.leaves.append(self.inner[-1])
                values.append(wrap(self.inner[-1]))
            new_args, new_kwargs = unflatten(structure, values)
            self.take(function(*new_args, **new_kwargs))

    def take(self, output: Any) -> None:
        """Note what the function returned."""
        leaves, self.structure = flatten(output)
        tensors = [to_tensor(leaf, self.name) for leaf in leaves]
        self.results = [strong(node_of(t)) if t.is_weak else node_of(t) for t in tensors]

    def captured(self) -> list[Node]:
        """The outer nodes that the function used."""
        return [node_of(tensor) for tensor, _ in self.trace.captured.values()]

    def captured_inner(self) -> list[Node]:
        """What stands for them inside."""
        return [inner for _, inner in self.trace.captured.values()]


def _is_data(leaf: Any) -> bool:
    return isinstance(leaf, (Tensor, Variable, float, complex)) or hasattr(leaf, "__array__")


class _CustomGradient(_Traced):
    """A function that returns its value and a function from cotangents to cotangents."""

    def take(self, output: Any) -> None:
        if not isinstance(output, tuple) or len(output) != 2 or not callable(output[1]):
            raise ArgumentTypeError(
                explain(
                    "custom_gradient",
                    "a function that returns (value, gradient), gradient a function of dy",
                    type(output).__name__,
                )
            )
        value, gradient = output
        super().take(value)
        self.cotangents = [
            self.trace.parameter(f"d{index}", node.type)
            for index, node in enumerate(self.results)
            if node.dtype.is_inexact
        ]
        found = gradient(*(wrap(node) for node in self.cotangents))
        wanted = [node for node in self.inner if node.dtype.is_inexact]
        given = _flat_with_none(found)
        if len(given) == len(self.leaves) != len(wanted):
            # One for each argument, the others among them.
            given = [
                each
                for each, node in zip(given, self.leaves, strict=True)
                if node is not None and node.dtype.is_inexact
            ]
        if len(given) != len(wanted):
            raise ArgumentError(
                explain(
                    "custom_gradient",
                    f"{len(wanted)} cotangents, one for each float argument",
                    f"{len(given)}",
                )
            )
        self.gradients = []
        for each, node in zip(given, wanted, strict=True):
            own = full_like(node, 0) if each is None else node_of(to_tensor(each))
            if own.dtype is not node.dtype:
                own = cast(own, dtype=node.dtype)
            if own.type is not node.type:
                raise ShapeError(
                    explain("custom_gradient", f"a cotangent of type {node.type}", str(own.type))
                )
            self.gradients.append(own)


def _flat_with_none(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for each in value for leaf in _flat_with_none(each)]
    if isinstance(value, dict):
        return [leaf for key in flatten(value)[1].keys for leaf in _flat_with_none(value[key])]
    return [value]


def custom_gradient(function: Callable) -> Callable:
    """Give a function a derivative of your own.

    `function(*args)` returns `(value, gradient)`; `gradient(dy, ...)` takes a cotangent for each
    float output and returns one for each float argument (None for zero). What the function uses
    without receiving it as an argument counts as constant: a derivative by it is refused.

    >>> import thalweg as tw
    >>> @tw.custom_gradient
    ... def clipped(x):
    ...     return x, lambda dy: tw.clip(dy, -1.0, 1.0)
    >>> tw.grad(lambda x: clipped(x) * 5)(2.0)
    Tensor(1., dtype=float32)
    """
    signature = inspect.signature(function)

    @functools.wraps(function, updated=())
    def customised(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        call = _CustomGradient("custom_gradient", function, bound.args, bound.kwargs)
        inner = [*call.inner, *call.captured_inner()]
        forward = close(call.name, inner, call.results)
        ys = [
            call.trace.parameter(f"y{index}", node.type) for index, node in enumerate(call.results)
        ]
        backward = close(f"{call.name}_gradient", [*inner, *ys, *call.cotangents], call.gradients)
        captured = call.captured()
        nodes = items(
            ops.custom_call(
                *call.nodes,
                *captured,
                function=forward,
                gradient=backward,
                captured=len(captured),
            )
        )
        return unflatten(call.structure, [wrap(node) for node in nodes])

    return customised


# The tape -----------------------------------------------------------------------------------------


class GradientTape(Recorder):
    """Derivatives of what is computed inside a `with` block.

    `gradient(target, sources)` may be asked once, any number of times with `persistent=True`.
    Sources are variables, watched automatically when they are trainable and read inside the block
    (unless `watch_accessed_variables=False`), or any tensor that was used in it. What was computed
    before the block counts as given. A target that is not one number is summed, or weighted with
    `output_gradients`. Tapes nest for higher derivatives.

    >>> import thalweg as tw
    >>> x = tw.Variable(3.0)
    >>> with tw.GradientTape() as tape:
    ...     y = x * x
    >>> tape.gradient(y, x)
    Tensor(6., dtype=float32)
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        super().__init__()
        self.persistent = persistent
        self.watch_accessed_variables = watch_accessed_variables
        self._reads: dict[Variable, dict[Node, None]] = {}
        self._chosen: set[Variable] = set()
        self._given: dict[Any, Node] = {}
        self._edges: set[Node] = set()
        self._is_active = False

    def __enter__(self) -> "GradientTape":
        if self._is_active:
            raise ArgumentError(explain("GradientTape", "to be entered once at a time", "twice"))
        self.is_finished = False
        self._is_active = True
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_active = False
        self.stop()

    def __del__(self) -> None:
        if not self.is_finished and not self._is_active:
            self.finish()

    def read(self, variable: Any) -> None:
        automatic = self.watch_accessed_variables and variable.trainable
        if automatic or variable in self._chosen:
            if self.trace is None:
                node = self.seen(variable._tensor._cell, None)
            else:
                node = variable.node_in(self.trace)
            self._reads.setdefault(variable, {})[node] = None

    def seen(self, cell: Any, trace: Trace | None) -> Node:
        """The node that stands for a tensor in this block.

        What was made before it counts as given: it is set apart by a mark, at which derivatives
        end. Else they would flow into whatever happens not to have been computed yet.
        """
        if trace is not self.trace or cell.serial > self.serial:
            return cell.node
        known = self._given.get(cell)
        if known is None:
            known = super().seen(cell, trace)
            if known.op is not parameter and known not in Before(self.serial):
                known = mark(known)
                self._edges.add(known)
            self._given[cell] = known
        return known

    def _past(self) -> Before:
        """Where the block began: the walk back from a target ends there."""
        return Before(self.serial, self._edges)

    def watch(self, tensor: Any) -> None:
        """Make sure that a tensor or variable, or each in a nesting, counts as a source."""
        for leaf in flatten(tensor)[0]:
            if isinstance(leaf, Variable):
                self._chosen.add(leaf)
                continue
            if not isinstance(leaf, Tensor):
                raise ArgumentTypeError(
                    explain("GradientTape.watch", "tensors or variables", repr(leaf))
                )
            self._check_source("GradientTape.watch", leaf)
            # From here on the tensor is a node of its own, apart from equal expressions.
            set_apart(leaf)

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables read so far that the tape watches."""
        return tuple(self._reads)

    def stop_recording(self) -> Pause:
        """A `with` block whose computations count as constants."""
        return Pause(stops_gradients=True)

    def reset(self) -> None:
        """Forget what was read."""
        self._reads.clear()

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """The derivative of the summed targets by each source, nested as the sources are.

        A source that the target does not depend on gives None, or zeros with
        `unconnected_gradients="zero"`.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ArgumentError(
                explain(
                    "GradientTape.gradient",
                    "unconnected_gradients 'none' or 'zero'",
                    repr(unconnected_gradients),
                )
            )
        self._check_usable()
        ys = self._targets(target)
        dys = self._output_gradients(output_gradients, target, ys)
        leaves, structure = flatten(sources)
        groups = [self._nodes(leaf) for leaf in leaves]
        flat = list(dict.fromkeys(node for group in groups for node in group))
        found = dict(zip(flat, pullback(ys, dys, flat, self._past()), strict=True))
        results: list[Tensor | None] = []
        for leaf, group in zip(leaves, groups, strict=True):
            parts = [found[node] for node in group if found[node] is not None]
            if parts:
                results.append(wrap(functools.reduce(add, parts)))  # type: ignore[arg-type]
            elif unconnected_gradients == "zero":
                results.append(wrap(full(0, leaf.dtype, leaf.shape)))
            else:
                results.append(None)
        self._used()
        return unflatten(structure, results)

    def jacobian(self, target: Any, sources: Any) -> Any:
        """The derivative of each element of one target by each source: shape target + source."""
        self._check_usable()
        y = self._one_target("GradientTape.jacobian", target)
        leaves, structure = flatten(sources)
        results: list[Tensor | None] = []
        for leaf in leaves:
            group = self._nodes(leaf)
            dy = mark(full_like(y, 0))
            pulled = pullback([y], [dy], group, self._past())
            parts = [dx for dx in pulled if dx is not None]
            if not parts:
                results.append(None)
                continue
            (batched,) = _over(dy, _basis(y), [functools.reduce(add, parts)])
            assert batched is not None
            results.append(wrap(reshape(batched, shape=(*y.shape, *leaf.shape))))
        self._used()
        return unflatten(structure, results)

    def batch_jacobian(self, target: Any, source: Any) -> Tensor | None:
        """The derivatives of each example of a target by the same example of a source.

        Both have the batch as leading axis, and an example of the target depends on that example of
        the source alone; the result has shape batch + target's rest + source's rest.
        """
        self._check_usable()
        y = self._one_target("GradientTape.batch_jacobian", target)
        group = self._nodes(source)
        if not y.type.rank or not source.ndim or not is_known_equal(y.shape[0], source.shape[0]):
            raise ShapeError(
                explain(
                    "batch_jacobian",
                    "a target and a source with one batch axis in front",
                    f"{y.type} and {source.dtype.short}{list(source.shape)}",
                )
            )
        inner = y.type.with_shape(y.shape[1:])
        size = size_of(inner.shape)
        dy = mark(full_like(y, 0))
        parts = [dx for dx in pullback([y], [dy], group, self._past()) if dx is not None]
        self._used()
        if not parts:
            return None
        basis = _basis(full(0, y.dtype, inner.shape))
        axes = (0, *range(2, 2 + inner.rank))
        basis = broadcast(basis, shape=(size, *y.shape), axes=axes)
        (batched,) = _over(dy, basis, [functools.reduce(add, parts)])
        assert batched is not None
        rank = batched.type.rank
        moved = transpose(batched, axes=(1, 0, *range(2, rank)))
        return wrap(reshape(moved, shape=(*y.shape, *source.shape[1:])))

    def _check_usable(self) -> None:
        if current_trace() is not self.trace:
            inside = self.trace.name if self.trace is not None else "no traced function"
            raise GradientError(
                explain(
                    "GradientTape",
                    "to be asked in the function that it recorded in",
                    f"a tape of {inside}, asked elsewhere",
                    "Record and ask in the same function.",
                )
            )
        if self.is_finished:
            raise GradientError(
                explain(
                    "GradientTape",
                    "one call of gradient",
                    "a second one",
                    "Write GradientTape(persistent=True) to ask several times.",
                )
            )

    def finish(self) -> None:
        super().finish()
        self._given.clear()
        self._edges.clear()

    def _used(self) -> None:
        if not self.persistent:
            self.finish()

    def _one_target(self, name: str, target: Any) -> Node:
        ys = self._targets(target)
        if len(ys) > 1:
            raise ArgumentError(
                explain(name, "one tensor as target", f"{len(ys)} tensors", "Ask for each of them.")
            )
        return ys[0]

    def _targets(self, target: Any) -> list[Node]:
        ys = []
        for leaf in flatten(target)[0] or [None]:
            tensor = leaf.value if isinstance(leaf, Variable) else leaf
            if not isinstance(tensor, Tensor):
                raise ArgumentTypeError(
                    explain(
                        "GradientTape.gradient",
                        "tensors as target",
                        repr(leaf),
                        "Compute it inside the block, without float() or numpy().",
                    )
                )
            node = self._seen(tensor)
            if not node.dtype.is_inexact:
                raise DTypeError(
                    explain(
                        "GradientTape.gradient",
                        "a float or complex target",
                        f"{node.type}; an integer has no derivative",
                    )
                )
            ys.append(node)
        return ys

    def _output_gradients(self, given: Any, target: Any, ys: Sequence[Node]) -> list[Node]:
        if given is None:
            return [full_like(y, 1) for y in ys]
        leaves, structure = flatten(given)
        if len(leaves) != len(ys):
            raise ArgumentError(
                explain(
                    "GradientTape.gradient",
                    f"output_gradients nested like the target, {flatten(target)[1]}",
                    str(structure),
                )
            )
        return _like("GradientTape.gradient", leaves, ys)

    def _seen(self, tensor: Tensor) -> Node:
        return (
            node_of(tensor)
            if tensor._trace is not self.trace
            else self.seen(tensor._cell, self.trace)
        )

    def _check_source(self, name: str, source: Tensor) -> None:
        if not source.dtype.is_inexact:
            raise DTypeError(
                explain(
                    name,
                    "float or complex tensors as sources",
                    f"{source.type}; an integer has no derivative",
                    "Write x.astype('float32') before the block.",
                )
            )

    def _nodes(self, source: Any) -> list[Node]:
        if isinstance(source, Variable):
            return list(self._reads.get(source, ()))
        if isinstance(source, Tensor):
            self._check_source("GradientTape.gradient", source)
            return [self._seen(source)]
        raise ArgumentTypeError(
            explain("GradientTape.gradient", "variables or tensors as sources", repr(source))
        )

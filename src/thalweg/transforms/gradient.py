"""Reverse-mode derivatives, as more graph: each op contributes the nodes of its own rule.

    pullback(ys, dys, xs)   nodes -> the cotangents of xs, None where ys do not depend on x
    vjp(function)           Function(*args) -> Function(*args, *dys) -> dargs
    jvp(function)           Function(*args) -> Function(*args, *tangents) -> tangents of results

The result is made of the same vocabulary, so it can be differentiated again. The forward mode is
the reverse applied twice: the cotangents are linear in dys, and the transpose of a linear map is
its own pullback.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from thalweg.base.errors import GradientError, VerifyError, explain
from thalweg.base.frames import describe
from thalweg.base.table import Absent
from thalweg.ir.dim import is_known_equal
from thalweg.ir.function import Function
from thalweg.ir.leaves import Tag, full_like, item, items, parameter
from thalweg.ir.node import Node, made_by, provenance
from thalweg.ir.types import TensorType
from thalweg.ir.walk import postorder
from thalweg.ops.elementwise import add
from thalweg.ops.mark import alias, mark, stop_gradient
from thalweg.ops.movement import reshape


def pullback(
    ys: Sequence[Node],
    dys: Sequence[Node | None],
    xs: Sequence[Node],
    stop: Container[Node] | None = None,
) -> list[Node | None]:
    """The cotangents of xs for cotangents dys of ys; None where no y depends on an x.

    Nodes in `stop` count as leaves, whatever they were made of; without it, the marks that were
    made before any of xs do. Raises GradientError where the path goes through an op that has no
    derivative.
    """
    if stop is None:
        stop = Before(min(map(_serial, xs), default=-1))
    order = [node for node in postorder(ys, stop) if node not in stop]
    return _pull(order, ys, dys, xs)


def _pull(
    order: Sequence[Node], ys: Sequence[Node], dys: Sequence[Node | None], xs: Sequence[Node]
) -> list[Node | None]:
    """The pullback along a postorder; nodes that are not in it are leaves, whatever their args."""
    active = _active(order, xs)
    cotangents: dict[Node, Node] = {}
    for y, dy in zip(ys, dys, strict=True):
        if dy is not None and y in active:
            _accumulate(cotangents, y, dy)
    sources = set(xs)
    parts: dict[Node, dict[int, Node]] = {}
    for node in reversed(order):
        if not any(arg in active for arg in node.args):
            continue
        given: Any
        result: Any = items(node) if isinstance(node.type, tuple) else node
        if isinstance(node.type, tuple):
            collected = parts.pop(node, None)
            if collected is None:
                continue
            given = tuple(
                (collected.get(index) or full_like(each, 0)) if each.dtype.is_inexact else None
                for index, each in enumerate(result)
            )
        else:
            given = cotangents.get(node)
            if given is None:
                continue
            if node not in sources:
                del cotangents[node]
        if node.op is item:
            # Each result of a node has one item, so this is the only cotangent that arrives.
            parts.setdefault(node.args[0], {})[node.attrs[0]] = given
            continue
        with made_by("gradient", node):
            found = _cotangents(node, given, result, active)
        for arg, darg in zip(node.args, found, strict=True):
            if darg is not None and arg in active:
                _accumulate(cotangents, arg, _fitted(node, arg, darg))
    return [cotangents.get(x) for x in xs]


def _active(order: Sequence[Node], xs: Sequence[Node]) -> set[Node]:
    """The nodes of a postorder through which a derivative by xs flows, xs included.

    It ends at stop_gradient, where values are integers, and where the slope is zero: what comes
    after needs no derivative, so it does not matter that there may be none.
    """
    active = set(xs)
    for node in order:
        if any(arg in active for arg in node.args) and not _is_cut(node):
            active.add(node)
    return active


def _is_cut(node: Node) -> bool:
    is_flat = node.op.family == "pointwise" and not (node.op.gradient or node.op.expand)
    return node.op is stop_gradient or is_flat or not _is_inexact(node)


class Before:
    """Marks that were made before a moment, and some nodes more: where a walk back ends.

    Without them a training loop would walk through all of its past steps.
    """

    def __init__(self, serial: int, nodes: Container[Node] = ()):
        self.serial = serial
        self.nodes = nodes

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, Node):
            return False
        return node in self.nodes or (node.op is alias and node.attrs[0].serial < self.serial)


def _serial(node: Node) -> int:
    """When a mark or a leaf was made; -1 for other nodes, which may be as old as they like."""
    tag = node.attrs[0] if node.op in (alias, parameter) else None
    return tag.serial if isinstance(tag, Tag) else -1


def _fitted(node: Node, arg: Node, darg: Node) -> Node:
    """A cotangent in its argument's very type: a named size may be written in two ways."""
    if darg.type is arg.type:
        return darg
    is_like = darg.dtype is arg.dtype and darg.type.rank == arg.type.rank
    if is_like and all(map(is_known_equal, darg.shape, arg.shape)):
        return reshape(darg, shape=arg.shape)
    raise VerifyError(
        explain(f"gradient of {node.op.name}", f"a cotangent of type {arg.type}", str(darg.type))
    )


def _accumulate(cotangents: dict[Node, Node], node: Node, dy: Node) -> None:
    if not node.dtype.is_inexact:
        return
    former = cotangents.get(node)
    cotangents[node] = dy if former is None else add(former, dy)


def _cotangents(node: Node, dy: Any, y: Any, active: set[Node]) -> Sequence[Node | None]:
    op = node.op
    attrs: Mapping[str, Any] = node.attributes
    rule = op.gradient
    if isinstance(rule, Absent):
        if op.expand:
            return _pull_expansion(node, op.expand(*node.args, **attrs), dy)
        raise _no_derivative(node, rule.reason)
    extra: dict[str, Any] = {}
    if op.higher_order:
        extra = {"differentiate": vjp, "active": tuple([arg in active for arg in node.args])}
    found = rule(dy, y, *node.args, **attrs, **extra)
    result: list[Node | None] = []
    for arg, darg in zip(node.args, found, strict=True):
        if isinstance(darg, Absent):
            if arg in active:
                raise _no_derivative(node, darg.reason)
            darg = None
        result.append(darg)
    return result


def _pull_expansion(node: Node, expanded: Node, dy: Node) -> list[Node | None]:
    """The cotangents of a composite's args through its definition.

    The walk ends at the args: what lies below them, which may be another arg, comes later. An arg
    that stands in two places gets its cotangent in the first.
    """
    args = set(node.args)
    order = [each for each in postorder([expanded], args) if each not in args]
    found = dict(zip(node.args, _pull(order, [expanded], [dy], node.args), strict=True))
    return [found.pop(arg, None) for arg in node.args]


def _is_inexact(node: Node) -> bool:
    types = node.type if isinstance(node.type, tuple) else (node.type,)
    return any(type.dtype.is_inexact for type in types)


def _no_derivative(node: Node, reason: str) -> GradientError:
    where = provenance(node).place
    at = f" at {describe(where)}" if where else ""
    return GradientError(
        explain(
            f"gradient of {node.op.name}",
            "an operation that has a derivative",
            f"{node!r}{at}: {reason}",
            "Use stop_gradient on its input, or custom_gradient to say what the derivative is.",
        )
    )


def vjp(function: Function, active: Sequence[bool] | None = None) -> Function:
    """The Function of (args, cotangents of the inexact results) -> cotangents of the inexact args.

    An argument that no result depends on gets zeros. With `active`, the args that are not marked
    in it are constants and have no cotangent, so nothing on their paths needs a derivative.
    """
    cotangents = _more_parameters(function, "d", function.result_types)
    given = iter(cotangents)
    dys = [next(given) if y.dtype.is_inexact else None for y in function.results]
    chosen = active or [True] * len(function.parameters)
    xs = [
        x
        for x, is_active in zip(function.parameters, chosen, strict=True)
        if is_active and x.dtype.is_inexact
    ]
    found = pullback(function.results, dys, xs)
    dxs = [full_like(x, 0) if dx is None else dx for x, dx in zip(xs, found, strict=True)]
    return Function(f"{function.name}_vjp", (*function.parameters, *cotangents), tuple(dxs))


def jvp(function: Function) -> Function:
    """The Function of (args, tangents of the inexact args) -> (results, their tangents).

    Tangents of results that are not inexact are left out.
    """
    tangents = _more_parameters(function, "t", function.parameter_types)
    pushed = pushforward(function.results, function.parameters, tangents)
    parameters, results = (*function.parameters, *tangents), (*function.results, *pushed)
    return Function(f"{function.name}_jvp", parameters, results)


def _more_parameters(
    function: Function, prefix: str, types: Sequence[TensorType]
) -> tuple[Node, ...]:
    """A parameter for each inexact type, under names that the Function does not have yet."""
    taken = set(function.parameter_names)
    found: list[Node] = []
    for type in types:
        if type.dtype.is_inexact:
            name = f"{prefix}{len(found)}"
            while name in taken:
                name += "_"
            found.append(parameter(name=name, type=type))
    return tuple(found)


def pushforward(
    ys: Sequence[Node],
    xs: Sequence[Node],
    dxs: Sequence[Node],
    stop: Container[Node] | None = None,
) -> list[Node]:
    """The tangents of the inexact ys for tangents dxs of the inexact xs; `stop` as in pullback."""
    outputs = [y for y in ys if y.dtype.is_inexact]
    inputs = [x for x in xs if x.dtype.is_inexact]
    # Cotangents enter linearly, so any value serves as the point at which they are transposed;
    # a marked copy of ones keeps them apart from every constant of the program.
    dys = [mark(full_like(y, 1)) for y in outputs]
    found = pullback(outputs, dys, inputs, stop)
    pairs = [(dx, t) for dx, t in zip(found, dxs, strict=True) if dx is not None]
    tangents = pullback([dx for dx, _ in pairs], [t for _, t in pairs], dys)
    return [
        full_like(y, 0) if tangent is None else tangent
        for y, tangent in zip(outputs, tangents, strict=True)
    ]

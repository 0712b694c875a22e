"""Where a value comes from: the user's lines and the rules behind a tensor, node or trace.

why(tensor), why(node)       op, type, line, layer, what made it, and the lines behind it
why(function)                each trace of a traced function, and its reason
"""

from collections.abc import Iterator

from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.base.frames import describe
from thalweg.engine.tensor import Tensor
from thalweg.engine.trace import TracedFunction
from thalweg.ir.function import Function
from thalweg.ir.leaves import constant, item, parameter
from thalweg.ir.node import Node, provenance, type_text

MOST_LINES = 12
"""Lines of the user's program that are listed behind a value, the nearest first."""


def why(x: Tensor | Node | TracedFunction) -> str:
    """What is known of where a value comes from, or why a function was traced, as text.

    For a tensor or node: the operation and its type, the user's line, the layer, the rule or
    transform that made it, its operands with their lines, and the lines further behind. A tensor
    whose value has been computed has let go of its graph, unless a tape still records it.

    >>> import thalweg as tw
    >>> from thalweg.tools.why import why
    >>> @tw.function
    ... def double(x):
    ...     return x + x
    >>> y = double(tw.asarray([1.0, 2.0])), double(tw.asarray([1.0, 2.0, 3.0]))
    >>> print(why(double))
    double was traced 2 times:
      1. double(x: f32[2]) -> (f32[2]): the first call
      2. double(x: f32[x_0]) -> (f32[x_0]): x axis 0 was 2, is 3
    """
    if isinstance(x, TracedFunction):
        return _why_traced(x)
    if isinstance(x, Tensor):
        return _why_node(x._cell.node)
    if isinstance(x, Node):
        return _why_node(x)
    raise ArgumentTypeError(
        explain("why", "a tensor, a node or a traced function", f"{x!r} of {type(x).__name__}")
    )


def _why_traced(function: TracedFunction) -> str:
    if not function.variants:
        return f"{function.name} was not traced yet: call it first."
    count = len(function.variants)
    times = "once" if count == 1 else f"{count} times"
    lines = [f"{function.name} was traced {times}:"]
    for number, variant in enumerate(function.variants, 1):
        lines.append(f"  {number}. {_signature(variant.graph)}: {variant.why}")
    return "\n".join(lines)


def _signature(graph: Function) -> str:
    inputs = ", ".join(
        f"{name}: {type}"
        for name, type in zip(graph.parameter_names, graph.parameter_types, strict=True)
    )
    return f"{graph.name}({inputs}) -> {type_text(graph.result_types)}"


def _why_node(node: Node) -> str:
    if node.op is parameter:
        return _why_parameter(node)
    lines = [f"{_what(node)}  {_origin(node)}".rstrip()]
    if node.args:
        lines.append("of")
        lines += [f"  {_what(arg)}  {_origin(arg)}".rstrip() for arg in dict.fromkeys(node.args)]
    behind = list(_lines_behind(node))
    if behind:
        lines.append("behind it")
        lines += [f"  {text}" for text in behind[:MOST_LINES]]
        if len(behind) > MOST_LINES:
            lines.append(f"  and {len(behind) - MOST_LINES} more lines")
    return "\n".join(lines)


def _why_parameter(node: Node) -> str:
    name = node.attrs[0]
    if isinstance(name, str):
        return f"{name}: {node.type}, a parameter of a function"
    if name.owner is None:
        return f"{name.name}: {node.type}, an input of a function that is being traced"
    return (
        f"{node.type}, a value at hand: given, or computed from a graph that was let go of\n"
        "Ask before looking at the value, or under a GradientTape, which keeps the graph."
    )


def _what(node: Node) -> str:
    if node.op is item:
        return f"result {node.attrs[0]} of {_what(node.args[0])}"
    if node.op is parameter:
        name = node.attrs[0]
        return f"{name if isinstance(name, str) else name.name}: {node.type}"
    if node.op is constant and node.attrs[0].is_scalar:
        return f"constant {node.attrs[0].scalar()}: {node.type}"
    return f"{node.op.name}: {type_text(node.type)}"


def _origin(node: Node) -> str:
    """Line, layer and rule of a node, as far as they are known."""
    origin = provenance(node)
    parts = [f"at {describe(origin.place)}"] if origin.place is not None else []
    if origin.layer:
        parts.append(f"in layer {origin.layer}")
    if origin.rule:
        parts.append(f"made by {origin.rule}")
    return ", ".join(parts)


def _lines_behind(node: Node) -> Iterator[str]:
    """Each line and rule behind the operands of a node once, with its ops, the nearest first."""
    found: dict[str, dict[str, None]] = {}
    near = {*node.args, node}
    seen: set[Node] = set(near)
    layer = list(dict.fromkeys(node.args))
    while layer:
        following: list[Node] = []
        for each in layer:
            if each not in near and each.op not in (parameter, constant, item):
                origin = _origin(each)
                if origin:
                    found.setdefault(origin, {})[each.op.name] = None
            for arg in each.args:
                if arg not in seen:
                    seen.add(arg)
                    following.append(arg)
        layer = following
    for origin, ops in found.items():
        yield f"{origin}: {', '.join(ops)}"

"""Where a Function spends its work: operations and bytes by op and by node, as text.

    report(function)        as text for a terminal
    breakdown(function)     the same as data

Sizes may have names. Totals are then formulas, and shares and order are those for `NOMINAL`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.base.frames import describe
from thalweg.ir.dim import Dim, substitute, symbols
from thalweg.ir.function import Function
from thalweg.ir.leaves import constant, item, parameter
from thalweg.ir.node import Node, provenance, type_text
from thalweg.transforms.cost import Cost, cost_of

NOMINAL = 32
"""What a named size counts for where costs are compared."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of all nodes of one op, or of one node."""

    name: str
    count: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Cost in total, by op and by node, dearest first; nodes by the names they have in the text."""

    total: Cost
    by_op: tuple[Row, ...]
    by_node: tuple[tuple[str, Node, Cost], ...]
    names: tuple[str, ...]


def node_names(function: Function) -> dict[Node, str]:
    """The names of a Function's nodes as `show` numbers them: x, %0, %0.1, ..."""
    names = {node: str(node.attrs[0]) for node in function.parameters}
    number = 0
    for node in function.order():
        if node in names:
            continue
        if node.op is item:
            names[node] = f"{names[node.args[0]]}.{node.attrs[0]}"
        elif node.op is parameter:
            names[node] = repr(node.attrs[0])
        else:
            names[node] = f"%{number}"
            number += 1
    return names


def breakdown(function: Function) -> Breakdown:
    """The cost of a Function, taken apart; a loop or a branch counts what is inside of it."""
    names = node_names(function)
    total = Cost()
    ops: dict[str, Row] = {}
    nodes = []
    for node in function.order():
        if node.op in (parameter, item, constant):
            continue
        own = cost_of(node)
        total = total + own
        row = ops.get(node.op.name, Row(node.op.name, 0, Cost()))
        ops[node.op.name] = Row(row.name, row.count + 1, row.cost + own)
        nodes.append((names[node], node, own))
    sizes = {name for _, _, each in nodes for part in (each.flops, each.bytes)
             for name in symbols(part)}  # fmt: skip
    by_op = sorted(ops.values(), key=lambda row: _rank(row.cost), reverse=True)
    by_node = sorted(nodes, key=lambda entry: _rank(entry[2]), reverse=True)
    return Breakdown(total, tuple(by_op), tuple(by_node), tuple(sorted(sizes)))


def _rank(cost: Cost) -> tuple[int, int]:
    return at_nominal(cost.flops), at_nominal(cost.bytes)


def at_nominal(value: Any) -> int:
    """A cost as a number, named sizes taken as `NOMINAL`."""
    if isinstance(value, Dim):
        value = substitute(value, dict.fromkeys(symbols(value), NOMINAL))
    return int(value)


def quantity(value: Any, unit: str = "") -> str:
    """A count as people read it: 950, 1.25 k, 3.2 M; a formula as it is written."""
    if isinstance(value, Dim):
        return f"{value} {unit}".rstrip()
    number, prefix = float(value), ""
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(number) < 999.5 or prefix == "P":
            break
        number /= 1000
    digits = f"{number:.0f}" if not prefix else f"{number:.3g}"
    return f"{digits} {prefix}{unit}".rstrip()


def share(part: Any, whole: Any) -> float:
    """A cost as a fraction of another, from 0 to 1."""
    return at_nominal(part) / max(at_nominal(whole), 1)


def user_line(node: Node) -> str:
    """The user's file and line behind a node, or an empty string."""
    place = provenance(node).place
    return describe(place) if place is not None else ""


def user_line_and_layer(node: Node) -> str:
    """The same and the layer, which tells apart what one line, `model.fit(...)`, asks for."""
    return "  ".join(each for each in (user_line(node), provenance(node).layer) if each)


def report(function: Function, most: int = 10) -> str:
    """The cost of a Function as text: by op, and the `most` expensive nodes with their lines."""
    found = breakdown(function)
    total = found.total
    lines = [
        f"{function.name}: {quantity(total.flops, 'FLOP')}, "
        f"reads {quantity(total.bytes_read, 'B')}, "
        f"writes {quantity(total.bytes_written, 'B')} if nothing is fused"
    ]
    if found.names:
        lines.append("shares for " + ", ".join(f"{name} = {NOMINAL}" for name in found.names))
    rows: list[tuple[str, ...]] = [("op", "nodes", "FLOP", "bytes", "of all FLOP")]
    for row in found.by_op:
        part = share(row.cost.flops, total.flops)
        cost = quantity(row.cost.flops), quantity(row.cost.bytes)
        rows.append((row.name, f"{row.count}", *cost, f"{part:.1%}"))
    lines += ["", *columns(rows, "<>>>>")]
    rows = [("node", "op", "FLOP", "bytes", "type", "line")]
    for name, node, own in found.by_node[:most]:
        cost = quantity(own.flops), quantity(own.bytes)
        rows.append((name, node.op.name, *cost, type_text(node.type), user_line_and_layer(node)))
    lines += ["", *columns(rows, "<<>><<")]
    return "\n".join(lines) + "\n"


def columns(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Rows of texts as lines of columns, each `<` left or `>` right; the first row is a heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def count_ops(function: Function) -> Mapping[str, int]:
    """How many nodes there are of each op, the most frequent first; leaves and items left out."""
    counts: dict[str, int] = {}
    for node in function.order():
        if node.op not in (parameter, item):
            counts[node.op.name] = counts.get(node.op.name, 0) + 1
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))

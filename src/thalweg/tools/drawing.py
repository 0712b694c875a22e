"""Drawings of Functions as SVG, laid out here and needing nothing else.

    graph_svg(function)      one self-contained <svg> element

Boxes stand in layers, each below what it reads. Parameters and constants come as late as they can;
constants of one number stand inside the box that reads them. An edge that passes layers bends
around their boxes; all such edges of one box share a trunk. A loop or a branch is a box around the
drawings of its bodies. Beyond `MOST_BOXES` nodes, boxes stand for lines of the user's program, and
an edge that leads back up (the backward pass of a line above) is dashed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from thalweg.ir.function import Function, inner_functions
from thalweg.ir.leaves import constant, item, parameter, splat
from thalweg.ir.node import Node, provenance, type_text
from thalweg.tools.costs import count_ops, node_names, user_line

MOST_BOXES = 300
"""Beyond so many nodes a drawing shows lines of the user's program instead."""

MOST_INNER = 40
"""A body with more nodes than this is named, not drawn."""

MOST_BENDS = 6000
"""Beyond so many bends long edges run straight, behind the boxes."""

GAP_X, GAP_Y, PAD = 16, 34, 8
WIDE, NARROW = 7.3, 6.1
"""Pixels of a character in the first line of a box and in the others."""

STYLE = """
svg.graph{--ink:#1d2433;--soft:#6b7485;--edge:#9aa3b2;--box:#fff;--rim:#b9c1cf;--in:#e3eefc;
--in-rim:#7aa7e0;--out:#2f9e63;--const:#f1f2f5;--loop:#faf6ec;--loop-rim:#d0b56b}
@media (prefers-color-scheme:dark){svg.graph{--ink:#e6e9f0;--soft:#98a2b5;--edge:#5c6678;
--box:#1f2530;--rim:#465064;--in:#1d2c44;--in-rim:#4b76b3;--out:#58c48a;--const:#2a303c;
--loop:#26231a;--loop-rim:#7d6a35}}
svg.graph text{font:600 12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--ink)}
svg.graph text.more{font-weight:400;font-size:10px;fill:var(--soft)}
svg.graph rect{fill:var(--box);stroke:var(--rim);rx:5px}
svg.graph .parameter rect{fill:var(--in);stroke:var(--in-rim)}
svg.graph .constant rect{fill:var(--const)}
svg.graph .loop>rect{fill:var(--loop);stroke:var(--loop-rim)}
svg.graph .result>rect{stroke:var(--out);stroke-width:2.5}
svg.graph path{fill:none;stroke:var(--edge);stroke-width:1.2}
svg.graph path.back{stroke-dasharray:4 3}
svg.graph path.head{fill:var(--edge);stroke:none}
svg.graph a:hover rect{stroke:var(--ink)}
""".replace("\n", "")


@dataclass(slots=True, eq=False)
class Box:
    """One rectangle: its text, what is drawn inside of it, and where it stands."""

    lines: list[str]
    kind: str = "op"
    is_result: bool = False
    link: str = ""
    hint: str = ""
    inner: list["Drawing"] = field(default_factory=list)
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    def measure(self) -> None:
        """Set width and height from what the box holds."""
        widths = [len(line) * (NARROW if index else WIDE) for index, line in enumerate(self.lines)]
        inside = sum(each.width for each in self.inner) + GAP_X * max(len(self.inner) - 1, 0)
        self.width = max(*widths, inside, 24.0) + 2 * PAD
        self.height = 12 + 13 * len(self.lines)
        if self.inner:
            self.height += max(each.height for each in self.inner) + PAD


@dataclass(slots=True)
class Drawing:
    """Boxes that stand, and edges between them: from, to."""

    boxes: list[Box]
    edges: list[tuple[Box, Box]]
    width: float = 0.0
    height: float = 0.0


def graph_svg(function: Function, anchor: str = "") -> str:
    """A Function drawn as one self-contained SVG element.

    With `anchor`, each box links to the element `anchor` + the name of its node in the text.
    """
    count = sum(node.op is not item for node in function.order())
    drawing = draw_lines(function) if count > MOST_BOXES else draw_nodes(function, anchor)
    width, height = drawing.width + 2 * PAD, drawing.height + 2 * PAD
    parts = [
        f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="graph of {escape(function.name)}"><style>{STYLE}</style>'
    ]
    _write(drawing, PAD, PAD, parts)
    parts.append("</svg>")
    return "".join(parts)


# From a Function to boxes -------------------------------------------------------------------------


def draw_nodes(function: Function, anchor: str = "") -> Drawing:
    """A box for each node."""
    names = node_names(function)
    boxes: dict[Node, Box] = {}
    edges: list[tuple[Box, Box]] = []
    for node in function.order():
        if node.op is item:
            boxes[node] = boxes[node.args[0]]
            continue
        if _is_inlined(node) and node not in function.results:
            continue
        box = _box_of(node, names)
        box.link = f"#{anchor}{names[node].lstrip('%')}" if anchor else ""
        boxes[node] = box
        sources = (boxes[arg] for arg in node.args if arg in boxes)
        edges += [(source, box) for source in dict.fromkeys(sources)]
    for index, result in enumerate(function.results):
        box = boxes[result]
        which = f"result {index}" if len(function.results) > 1 else "result"
        if box.is_result:
            box.lines[-1] += f", {index}"
        else:
            box.lines.append(which)
        box.is_result = True
    return _arranged(Drawing(list(dict.fromkeys(boxes.values())), edges))


def _is_inlined(node: Node) -> bool:
    return node.op is constant and node.attrs[0].is_scalar


def _box_of(node: Node, names: dict[Node, str]) -> Box:
    name = names[node]
    if node.op is parameter:
        return Box([name, type_text(node.type)], "parameter", hint="parameter")
    operands = ", ".join(
        f"{splat(arg)!s:.7}" if _is_inlined(arg) else names[arg] for arg in node.args
    )
    title = f"{name} {node.op.name}"
    numbers = [f"{splat(arg)!s:.7}" for arg in node.args if _is_inlined(arg)]
    if node.op is constant:
        title = f"{name} constant"
    elif numbers:
        title += f" {', '.join(numbers)}"
    origin = provenance(node)
    lines = [title, type_text(node.type)]
    lines += [each for each in (user_line(node), origin.layer, origin.rule) if each]
    lines = [line if len(line) <= 44 else f"{line[:20]}...{line[-20:]}" for line in lines]
    hint = f"{name}: {type_text(node.type)} = {node.op.name}({operands})"
    box = Box(lines, "constant" if node.op is constant else "op", hint=hint)
    for inner in inner_functions(node.attrs):
        box.kind = "loop"
        if len(inner.order()) <= MOST_INNER:
            box.inner.append(draw_nodes(inner))
        else:
            box.lines.append(f"{inner.name}: {len(inner.order())} nodes")
    return box


def draw_lines(function: Function) -> Drawing:
    """A box for each line of the user's program, and for each rule that made nodes of it."""
    key = _by_line
    if len({key(node) for node in function.order()}) > MOST_BOXES:
        key = _by_op
    groups: dict[tuple[str, ...], list[Node]] = {}
    for node in function.order():
        if not _is_inlined(node):
            owner = node.args[0] if node.op is item else node
            groups.setdefault(key(owner), []).append(node)
    boxes: dict[tuple[str, ...], Box] = {}
    for name, nodes in groups.items():
        counts = count_ops(Function("", (), tuple(nodes)))
        counts = {op: sum(node.op.name == op for node in nodes) for op in counts}
        often = sorted(counts.items(), key=lambda entry: -entry[1])[:3]
        summary = ", ".join(f"{count} {op}" for op, count in often if count)
        plural = "node" if len(nodes) == 1 else "nodes"
        box = Box([*(each for each in name if each), f"{len(nodes)} {plural}", summary])
        box.kind = "parameter" if name == ("parameters",) else "op"
        box.is_result = any(node in function.results for node in nodes)
        boxes[name] = box
    edges: dict[tuple[Box, Box], None] = {}
    for node in function.order():
        if _is_inlined(node):
            continue
        owner = node.args[0] if node.op is item else node
        for arg in node.args:
            if not _is_inlined(arg):
                source = boxes[key(arg.args[0] if arg.op is item else arg)]
                if source is not boxes[key(owner)]:
                    edges[source, boxes[key(owner)]] = None
    return _arranged(Drawing(list(boxes.values()), list(edges)))


def _by_line(node: Node) -> tuple[str, ...]:
    if node.op is parameter:
        return ("parameters",)
    origin = provenance(node)
    line = user_line(node)
    if not line and not origin.layer:
        return _by_op(node)
    return line or origin.layer, origin.layer if line else "", origin.rule


def _by_op(node: Node) -> tuple[str, ...]:
    return ("parameters",) if node.op is parameter else (node.op.name,)


# Layers -------------------------------------------------------------------------------------------


def _arranged(drawing: Drawing) -> Drawing:
    """The drawing with every box in its place."""
    for box in drawing.boxes:
        box.measure()
    place = {box: index for index, box in enumerate(drawing.boxes)}
    forward = [(a, b) for a, b in drawing.edges if place[a] < place[b]]
    above, below = _neighbours(drawing.boxes, forward)
    for box in drawing.boxes:
        box.layer = 1 + max((each.layer for each in above[box]), default=-1)
    for box in reversed(drawing.boxes):
        if not above[box] and below[box]:
            box.layer = max(min(each.layer for each in below[box]) - 1, 0)
    used = {box.layer for box in drawing.boxes}
    dense = {layer: index for index, layer in enumerate(sorted(used))}
    for box in drawing.boxes:
        box.layer = dense[box.layer]
    if sum(b.layer - a.layer - 1 for a, b in forward) <= MOST_BENDS:
        backward = [(a, b) for a, b in drawing.edges if place[a] >= place[b]]
        forward = _bent(drawing, forward)
        drawing.edges = forward + backward
        above, below = _neighbours(drawing.boxes, forward)
    layers: list[list[Box]] = [[] for _ in dense]
    for box in drawing.boxes:
        layers[box.layer].append(box)
    _order(layers, above, below)
    top = 0.0
    for layer in layers:
        height = max(box.height for box in layer)
        for box in layer:
            box.y = top
            if box.kind == "bend":
                box.height = height
        top += height + GAP_Y
    left = min((box.x for box in drawing.boxes), default=0.0)
    for box in drawing.boxes:
        box.x -= left
    drawing.width = max((box.x + box.width for box in drawing.boxes), default=0.0)
    drawing.height = max(top - GAP_Y, 0.0)
    return drawing


def _neighbours(
    boxes: Sequence[Box], edges: Sequence[tuple[Box, Box]]
) -> tuple["Neighbours", "Neighbours"]:
    """What stands above and below each box, along edges."""
    above: Neighbours = {box: [] for box in boxes}
    below: Neighbours = {box: [] for box in boxes}
    for source, target in edges:
        above[target].append(source)
        below[source].append(target)
    return above, below


def _bent(drawing: Drawing, edges: Sequence[tuple[Box, Box]]) -> list[tuple[Box, Box]]:
    """The edges with a bend in each layer that one passes; edges of one box share their bends."""
    trunks: dict[Box, list[Box]] = {}
    found: dict[tuple[Box, Box], None] = {}
    for source, target in sorted(edges, key=lambda edge: edge[1].layer):
        trunk = trunks.setdefault(source, [source])
        while trunk[-1].layer < target.layer - 1:
            bend = Box([], "bend", layer=trunk[-1].layer + 1, width=4.0)
            drawing.boxes.append(bend)
            found[trunk[-1], bend] = None
            trunk.append(bend)
        found[trunk[target.layer - 1 - source.layer], target] = None
    return list(found)


Neighbours = dict[Box, list[Box]]


def _order(layers: Sequence[list[Box]], above: Neighbours, below: Neighbours) -> None:
    """Order each layer by where its neighbours stand, some times down and up, and set x."""
    for layer in layers:
        _pack(layer, [0.0] * len(layer))
    for sweep in range(12):
        for neighbours, way in ((above, layers), (below, layers[::-1])):
            for layer in way:
                if sweep < 6:
                    layer.sort(key=lambda box: _middle(neighbours[box], box))
                _pack(layer, [_middle(neighbours[box], box) for box in layer])
    for _ in range(6):
        for layer in layers:
            _pack(layer, [_middle([*above[box], *below[box]], box) for box in layer])


def _middle(neighbours: Sequence[Box], box: Box) -> float:
    if not neighbours:
        return box.x + box.width / 2
    return sum(each.x + each.width / 2 for each in neighbours) / len(neighbours)


def _pack(layer: Sequence[Box], middles: Sequence[float]) -> None:
    """Set x as near to the wanted middles as can be without overlaps, in the order of the layer.

    Least squares under an order: with the widths before each box taken off, that is an isotonic
    regression, solved by merging neighbours that are out of order into blocks at their mean.
    """
    offset = 0.0
    offsets = []
    blocks: list[tuple[float, int]] = []
    for index, (box, middle) in enumerate(zip(layer, middles, strict=True)):
        if index:
            is_tight = "bend" in (box.kind, layer[index - 1].kind)
            offset += layer[index - 1].width + (GAP_X / 2 if is_tight else GAP_X)
        offsets.append(offset)
        mean, count = middle - box.width / 2 - offset, 1
        while blocks and blocks[-1][0] > mean:
            former, others = blocks.pop()
            mean = (mean * count + former * others) / (count + others)
            count += others
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    for box, start, before in zip(layer, starts, offsets, strict=True):
        box.x = start + before


# Writing ------------------------------------------------------------------------------------------


def _write(drawing: Drawing, left: float, top: float, parts: list[str]) -> None:
    for source, target in drawing.edges:
        parts.append(_edge(source, target, left, top))
    for box in drawing.boxes:
        if box.kind != "bend":
            _write_box(box, left + box.x, top + box.y, parts)


def _edge(source: Box, target: Box, left: float, top: float) -> str:
    is_back = source.y >= target.y
    x1, y1 = left + source.x + source.width / 2, top + source.y + source.height
    x2, y2 = left + target.x + target.width / 2, top + target.y
    if is_back:
        y1, y2 = top + source.y, top + target.y + target.height
    if target.kind == "bend":
        return _line_to_bend(x1, y1, x2, y2, target.height)
    bend = max((y2 - y1) / 2, 12) if not is_back else min((y2 - y1) / 2, -12)
    tip = 4 if not is_back else -4
    curve = (
        f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} "
        f"{x2:.1f} {y2 - tip:.1f}"
    )
    head = f"M{x2:.1f} {y2:.1f}l-3.5 {-1.6 * tip:.1f}h7z"
    kind = ' class="back"' if is_back else ""
    return f'<path{kind} d="{curve}"/><path class="head" d="{head}"/>'


def _line_to_bend(x1: float, y1: float, x2: float, y2: float, height: float) -> str:
    middle = (y1 + y2) / 2
    curve = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{curve}v{height:.1f}"/>'


def _write_box(box: Box, x: float, y: float, parts: list[str]) -> None:
    kind = f"{box.kind} result" if box.is_result else box.kind
    parts.append(f'<a href="{escape(box.link)}">' if box.link else "")
    hint = f"<title>{escape(box.hint)}</title>" if box.hint else ""
    parts.append(
        f'<g class="{kind}">{hint}<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}"/>'
    )
    for index, line in enumerate(box.lines):
        more = ' class="more"' if index else ""
        parts.append(
            f'<text{more} x="{x + PAD:.1f}" y="{y + 17 + 13 * index:.1f}">{escape(line)}</text>'
        )
    inside = x + PAD
    for drawing in box.inner:
        _write(drawing, inside, y + 12 + 13 * len(box.lines), parts)
        inside += drawing.width + GAP_X
    parts.append("</g>")
    parts.append("</a>" if box.link else "")

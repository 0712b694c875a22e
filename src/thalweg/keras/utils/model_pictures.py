"""Pictures of a model's layers: `plot_model` draws one, `model_to_dot` writes one for Graphviz."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import door
from thalweg.keras.utils.layered_layout import laid_out
from thalweg.keras.utils.model_graph import Box, LayerGraph, model_graph

RANKDIRS = ("TB", "BT", "LR", "RL")
INK, SOFT, LINE = "#1d2433", "#5d6779", "#8590a2"
PAD, TITLE, INSET = 12.0, 15.0, 9.0
"""Around the boxes in a box, its heading, and around the text of a box; in points."""

MOST_PIXELS = 30_000
"""The longest side of a picture; a larger one is drawn with fewer dots."""

COLOURS = {
    "input": ("#e9effb", "#6f8fd8"),
    "core": ("#e7f5ef", "#46a581"),
    "convolutional": ("#fdf1e5", "#dd8d45"),
    "pooling": ("#fbebea", "#d0706b"),
    "normalization": ("#f2effa", "#8d7bc8"),
    "regularization": ("#f2f4f6", "#98a2b0"),
    "reshaping": ("#f2f4f6", "#98a2b0"),
    "activations": ("#fdf7de", "#c9a62b"),
    "attention": ("#fceaf3", "#c9639b"),
    "rnn": ("#e5f5f8", "#429fb6"),
    "merging": ("#eff7e6", "#80af4c"),
    "ops": ("#ffffff", "#98a2b0"),
    "model": ("#f8f9fb", "#b3bbc8"),
    "other": ("#ffffff", "#4a5468"),
}
"""Fill and edge of boxes by the kind of layer: the folder that its class stands in."""


@dataclass(frozen=True)
class Shown:
    """What the boxes of a picture tell."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool

    def lines(self, box: Box) -> list[str]:
        """The lines of a box below its heading."""
        found = [box.name] if self.names else []
        if self.shapes:
            found += _shape_lines(box)
        facts = []
        if self.dtype:
            facts.append(_dtypes(box))
        if self.activations:
            facts.append(_activation(box.layer))
        if self.trainable and getattr(box.layer, "weights", None):
            facts.append("trainable" if box.layer.trainable else "frozen")
        told = "  ".join(fact for fact in facts if fact)
        return [*found, told] if told else found


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draw the layers of a model and what flows between them, into a file of any picture format.

    `rankdir` is the direction: TB from top to bottom, BT, LR or RL. `expand_nested` draws models
    within the model with their layers. `splines` is "ortho" for arrows with right angles, "line" or
    "polyline" for straight ones, else they are curved. In a notebook it returns the picture to be
    shown. Needs matplotlib, the extra `plot`, and no Graphviz. Errors: ArgumentError for a model
    that is not built and for another direction; MissingLibraryError.
    """
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    graph = _graph_of(model, "plot_model", rankdir, expand_nested, kwargs)
    path = os.fspath(to_file)
    if path.endswith((".dot", ".gv")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(dot_text(graph, shown, rankdir, dpi, splines))
        return None
    figure = _drawn(_arranged(graph, shown, rankdir, _Pen("plot_model")), splines)
    size = figure.get_size_inches()
    figure.savefig(path, dpi=min(dpi, MOST_PIXELS / max(size)))
    return door.notebook_image(path)


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """A picture of a model in the language of Graphviz; `to_string()` gives the text.

    The arguments are those of `plot_model`. With `subgraph` it is a cluster, to be put into another
    graph. It is a `pydot.Dot` where pydot is installed, else a DotText. Errors: ArgumentError for a
    model that is not built and for another direction.
    """
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    graph = _graph_of(model, "model_to_dot", rankdir, expand_nested, kwargs)
    text = dot_text(graph, shown, rankdir, dpi, splines, subgraph)
    if subgraph:
        return DotText(text)
    return door.pydot_graph(text) or DotText(text)


class DotText:
    """A graph in the language of Graphviz."""

    def __init__(self, text: str):
        self._text = text

    def to_string(self) -> str:
        """The text."""
        return self._text

    def write(self, path: Any) -> None:
        """Write the text to a file."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._text)

    def __repr__(self) -> str:
        return self._text


def _graph_of(
    model: Any, where: str, rankdir: str, expand_nested: bool, kwargs: dict[str, Any]
) -> LayerGraph:
    kwargs.pop("layer_range", None)
    if kwargs:
        raise ArgumentError(
            explain(where, "known arguments", f"Unrecognized keyword arguments: {kwargs}")
        )
    if rankdir not in RANKDIRS:
        raise ArgumentError(
            explain(where, f"rankdir to be one of {', '.join(RANKDIRS)}", f"rankdir={rankdir!r}")
        )
    if not getattr(model, "built", False):
        raise ArgumentError(
            explain(
                where,
                "a model that is built",
                f"{model!r}: This model has not yet been built.",
                "Build the model first by calling `build()` or by calling the model on a batch of "
                "data.",
            )
        )
    return model_graph(model, expand_nested)


# ---- what boxes tell -----------------------------------------------------------------------------


def _shape_lines(box: Box) -> list[str]:
    ins = ", ".join(dict.fromkeys(str(symbol.shape) for symbol in box.inputs))
    outs = ", ".join(dict.fromkeys(str(symbol.shape) for symbol in box.outputs))
    if not ins or ins == outs:
        return [outs or "?"]
    one_line = f"{ins} → {outs}"
    return [one_line] if len(one_line) <= 48 else [ins, f"→ {outs}"]


def _dtypes(box: Box) -> str:
    found = dict.fromkeys(symbol.dtype for symbol in box.outputs)
    return ", ".join(found) or str(getattr(box.layer, "compute_dtype", "?"))


def _activation(layer: Any) -> str:
    found = getattr(layer, "activation", None)
    name = getattr(found, "name", None) or getattr(found, "__name__", None)
    return name if isinstance(name, str) else type(found).__name__ if found is not None else ""


def family(layer: Any) -> str:
    """The kind of a layer, among the keys of COLOURS."""
    if hasattr(layer, "summary"):
        return "model"
    if hasattr(layer, "batch_shape") and type(layer).__name__ == "InputLayer":
        return "input"
    parts = type(layer).__module__.split(".")
    if parts[:2] != ["thalweg", "keras"]:
        return "other"
    if not hasattr(layer, "weights"):
        return "ops"
    return parts[3] if len(parts) > 3 and parts[3] in COLOURS else "core"


# ---- places --------------------------------------------------------------------------------------

Point = tuple[float, float]


@dataclass
class Item:
    """A box of the picture: its upper left corner and size, in points, and its text."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    lines: list[str]


@dataclass
class Picture:
    """Boxes, those around others before them, and arrows by their corners."""

    width: float
    height: float
    items: list[Item]
    routes: list[list[Point]]


class _Pen:
    """Measures text, and draws."""

    def __init__(self, where: str):
        self.where = where
        self._widths: dict[tuple[str, float, str], float] = {}

    def width(self, text: str, size: float, weight: str = "normal") -> float:
        """The width of a text in points."""
        key = text, size, weight
        if key not in self._widths:
            self._widths[key] = door.text_width(self.where, text, size, weight)
        return self._widths[key]


HEADING, SMALL = 9.5, 7.5
"""Sizes of letters, in points."""


def _arranged(graph: LayerGraph, shown: Shown, rankdir: str, pen: _Pen) -> Picture:
    """Where everything in a graph stands; boxes around others are laid out from within."""
    inner = {
        number: _arranged(box.inner, shown, rankdir, pen)
        for number, box in enumerate(graph.boxes)
        if box.inner is not None
    }
    flow = _Flow(rankdir)
    items = [_measured(box, shown, pen, inner.get(n), flow) for n, box in enumerate(graph.boxes)]
    owners = {
        id(leaf): number
        for number, box in enumerate(graph.boxes)
        for leaf in (box, *(each for _, each in (box.inner.walk() if box.inner else ())))
    }
    pairs = [(owners[id(start)], owners[id(end)]) for start, end in graph.arrows]
    layout = laid_out([flow.turned(item.width, item.height) for item in items], pairs)
    flow.length = layout.height
    leaves: dict[int, Item] = {}
    found: list[Item] = []
    routes: list[list[Point]] = []
    for number, (item, centre) in enumerate(zip(items, layout.centres, strict=True)):
        x, y = flow.real(centre)
        item.x, item.y = x - item.width / 2, y - item.height / 2
        found.append(item)
        leaves[id(item.box)] = item
        if number in inner:
            dx = item.x + (item.width - inner[number].width) / 2
            dy = item.y + PAD + TITLE
            for each in inner[number].items:
                each.x, each.y = each.x + dx, each.y + dy
                found.append(each)
                leaves[id(each.box)] = each
            routes += [[(px + dx, py + dy) for px, py in route] for route in inner[number].routes]
    for (start, end), route in zip(graph.arrows, layout.routes, strict=True):
        points = [flow.real(point) for point in route]
        lead = _inward(points[0], flow.exit(leaves[id(start)]), flow, 1)
        tail = _inward(points[-1], flow.entry(leaves[id(end)]), flow, -1)
        routes.append([*reversed(lead), *points, *tail])
    width, height = flow.turned(layout.width, layout.height)
    return Picture(width, height, found, routes)


def _inward(point: Point, goal: Point, flow: "_Flow", side: int) -> list[Point]:
    """The corners from the edge of a box to a box in it: along, across, and along again."""
    if _distance(point, goal) < 0.01:
        return []
    (across, along), (to_across, to_along) = flow.virtual(point), flow.virtual(goal)
    turn = along - side * min(PAD / 2, abs(to_along - along) / 2)
    if side < 0:
        turn = to_along - min(PAD / 2, abs(to_along - along) / 2)
    if abs(across - to_across) < 1:
        return [goal]
    return [flow.real((across, turn)), flow.real((to_across, turn)), goal]


class _Flow:
    """The direction of a picture: between places across and along it, and places on paper."""

    def __init__(self, rankdir: str):
        self.is_sideways = rankdir in ("LR", "RL")
        self.is_back = rankdir in ("BT", "RL")
        self.length = 0.0

    def turned(self, one: float, other: float) -> tuple[float, float]:
        return (other, one) if self.is_sideways else (one, other)

    def real(self, point: Point) -> Point:
        across, along = point
        return self.turned(across, self.length - along if self.is_back else along)

    def virtual(self, point: Point) -> Point:
        across, along = self.turned(*point)
        return across, self.length - along if self.is_back else along

    def entry(self, item: Item) -> Point:
        """Where arrows come in."""
        return self._side(item, self.is_back)

    def exit(self, item: Item) -> Point:
        """Where arrows go out."""
        return self._side(item, not self.is_back)

    def _side(self, item: Item, is_far: bool) -> Point:
        if self.is_sideways:
            return item.x + item.width * is_far, item.y + item.height / 2
        return item.x + item.width / 2, item.y + item.height * is_far


def _measured(box: Box, shown: Shown, pen: _Pen, inner: Picture | None, flow: "_Flow") -> Item:
    lines = shown.lines(box)
    if inner is not None:
        # Arrows come in and go out in the middle: beside the title, or as far below as it is high.
        title = pen.width(_title(box, shown), SMALL + 0.5, "bold") + 2 * PAD
        width = max(inner.width + 2 * PAD, title if flow.is_sideways else 2 * title)
        height = inner.height + 2 * PAD + TITLE * (2 if flow.is_sideways else 1)
        return Item(box, 0, 0, width, height, lines)
    widths = [pen.width(box.title, HEADING, "bold"), *(pen.width(each, SMALL) for each in lines)]
    width = max(max(widths) + 2 * INSET, 56.0)
    return Item(box, 0, 0, width, 2 * 6.5 + HEADING + len(lines) * (SMALL + 3.5), lines)


def _title(box: Box, shown: Shown) -> str:
    return f"{box.name} ({box.title})" if shown.names else box.title


# ---- on paper ------------------------------------------------------------------------------------

MARGIN = 10.0


def _drawn(picture: Picture, splines: str) -> Any:
    """The picture as a figure of matplotlib."""
    width, height = picture.width + 2 * MARGIN, picture.height + 2 * MARGIN
    figure = door.figure("plot_model", (width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-MARGIN, picture.width + MARGIN)
    axes.set_ylim(picture.height + MARGIN, -MARGIN)
    axes.axis("off")
    for item in picture.items:
        _draw_box(axes, item)
    for route in picture.routes:
        _draw_arrow(axes, route, splines)
    return figure


def _draw_box(axes: Any, item: Item) -> None:
    patches = door.patches("plot_model")
    fill, edge = COLOURS[family(item.box.layer)]
    is_around = item.box.inner is not None
    axes.add_patch(
        patches.FancyBboxPatch(
            (item.x, item.y),
            item.width,
            item.height,
            boxstyle=f"round,pad=0,rounding_size={9 if is_around else 5}",
            facecolor=fill,
            edgecolor=edge,
            linewidth=0.9,
            linestyle=(0, (4, 2.5)) if is_around else "solid",
            zorder=1,
        )
    )
    if is_around:
        label = item.lines[0] if item.lines and item.lines[0] == item.box.name else ""
        text = f"{label} ({item.box.title})" if label else item.box.title
        axes.text(
            item.x + PAD, item.y + PAD / 2, text, size=SMALL + 0.5, weight="bold", color=SOFT,
            va="top", ha="left", zorder=3,
        )  # fmt: skip
        return
    x, y = item.x + item.width / 2, item.y + 6.5
    axes.text(
        x, y + HEADING / 2, item.box.title, size=HEADING, weight="bold", color=INK,
        va="center", ha="center", zorder=3,
    )  # fmt: skip
    for number, line in enumerate(item.lines):
        below = y + HEADING + (number + 0.5) * (SMALL + 3.5) + 0.5
        axes.text(x, below, line, size=SMALL, color=SOFT, va="center", ha="center", zorder=3)


HEAD_LENGTH, HEAD_WIDTH = 5.0, 4.4


def _draw_arrow(axes: Any, points: Sequence[Point], splines: str) -> None:
    patches = door.patches("plot_model")
    pairs = itertools.pairwise(points)
    points = [points[0], *(end for start, end in pairs if _distance(start, end) > 0.01)]
    if len(points) < 2:
        return
    tip, before = points[-1], points[-2]
    foot = _toward(tip, before, min(HEAD_LENGTH, _distance(tip, before) / 2))
    length = math.hypot(tip[0] - before[0], tip[1] - before[1])
    across = (before[1] - tip[1]) / length, (tip[0] - before[0]) / length
    corners = [tip]
    for side in (HEAD_WIDTH / 2, -HEAD_WIDTH / 2):
        corners.append((foot[0] + across[0] * side, foot[1] + across[1] * side))
    axes.add_patch(
        patches.Polygon(corners, facecolor=LINE, edgecolor=LINE, linewidth=0.5, zorder=2)
    )
    vertices, codes = zip(*_path([*points[:-1], foot], splines), strict=True)
    path = door.path("plot_model", vertices, codes)
    axes.add_patch(
        patches.PathPatch(
            path, fill=False, edgecolor=LINE, linewidth=1.0, zorder=2, capstyle="butt"
        )
    )


MOVE, STRAIGHT, QUADRATIC = 1, 2, 3
"""What matplotlib calls the parts of a path."""

RADIUS = 6.0


def _path(points: Sequence[Point], splines: str) -> Iterator[tuple[Point, int]]:
    """The vertices of an arrow: corners that are rounded, straight lines, or one curve."""
    yield points[0], MOVE
    if splines in ("line", "polyline", "false", ""):
        for point in points[1:]:
            yield point, STRAIGHT
        return
    radius = RADIUS if splines == "ortho" else 1e9
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        size = min(radius, _distance(before, corner) / 2, _distance(corner, after) / 2)
        yield _toward(corner, before, size), STRAIGHT
        yield corner, QUADRATIC
        yield _toward(corner, after, size), QUADRATIC
    yield points[-1], STRAIGHT


def _distance(a: Point, b: Point) -> float:
    return math.hypot(a[0] - b[0], a[1] - b[1])


def _toward(start: Point, goal: Point, length: float) -> Point:
    whole = _distance(start, goal)
    share = length / whole if whole else 0.0
    return start[0] + (goal[0] - start[0]) * share, start[1] + (goal[1] - start[1]) * share


# ---- the language of Graphviz --------------------------------------------------------------------


def dot_text(
    graph: LayerGraph,
    shown: Shown,
    rankdir: str = "TB",
    dpi: int = 200,
    splines: str = "ortho",
    is_cluster: bool = False,
) -> str:
    """The graph in the language of Graphviz."""
    names: dict[int, str] = {}
    lines = [f"subgraph {_quoted('cluster_' + graph.model.name)} {{"] if is_cluster else []
    if not is_cluster:
        lines = [
            f"digraph {_quoted(graph.model.name)} {{",
            f'  graph [concentrate=true, rankdir={rankdir}, dpi={dpi}, splines="{splines}"];',
        ]
    lines.append('  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];')
    lines += _dot_boxes(graph, shown, names, "  ")
    lines += [f"  {names[id(start)]} -> {names[id(end)]};" for start, end in _all_arrows(graph)]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_boxes(graph: LayerGraph, shown: Shown, names: dict[int, str], margin: str) -> list[str]:
    lines = []
    for box in graph.boxes:
        fill, edge = COLOURS[family(box.layer)]
        if box.inner is not None:
            lines.append(f"{margin}subgraph cluster_{len(names)} {{")
            lines.append(f'{margin}  label={_quoted(_title(box, shown))}; color="{edge}";')
            names[id(box)] = ""
            lines += _dot_boxes(box.inner, shown, names, margin + "  ")
            lines.append(f"{margin}}}")
            continue
        names[id(box)] = f"layer_{len(names)}"
        label = _quoted("\n".join([box.title, *shown.lines(box)]))
        lines.append(
            f'{margin}{names[id(box)]} [label={label}, fillcolor="{fill}", color="{edge}"];'
        )
    return lines


def _all_arrows(graph: LayerGraph) -> Iterator[tuple[Box, Box]]:
    yield from graph.arrows
    for box in graph.boxes:
        if box.inner is not None:
            yield from _all_arrows(box.inner)


def _quoted(text: str) -> str:
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'

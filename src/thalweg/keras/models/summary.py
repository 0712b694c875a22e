"""The table that `model.summary()` prints: layers, output shapes, parameters, connections."""

import math
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thalweg.base.errors import ArgumentError, explain
from thalweg.ir.types import as_dtype
from thalweg.keras import tree

UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print, or hand to `print_fn`, the summary of a model.

    `layer_range` gives two patterns: of the first and of the last layer to list.
    """
    text = summary_text(model, line_length, expand_nested, show_trainable, layer_range)
    if print_fn is not None:
        print_fn(text)
    else:
        print(text)


def summary_text(
    model: Any,
    line_length: int | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """The summary of a model as text, `line_length` columns wide."""
    is_line = _is_line(model)
    width = line_length or (min(shutil.get_terminal_size((80, 24)).columns, 120))
    width = max(width, 60 if is_line else 70)
    table = Table(show_lines=not is_line, width=width)
    table.add_column("Layer (type)", ratio=30)
    table.add_column("Output Shape", ratio=30)
    table.add_column("Param #", justify="right", ratio=16)
    if not is_line:
        table.add_column("Connected to", ratio=26)
    if show_trainable:
        table.add_column("Trainable", justify="center", ratio=12)
    own = set(map(id, getattr(model, "_nodes", ())))
    for depth, layer in _listed(model, expand_nested, layer_range):
        row = [
            f"{'    ' * depth}{layer.name} ({type(layer).__name__})",
            output_shape_text(layer),
            f"{_count(layer):,}{'' if getattr(layer, 'built', True) else ' (unbuilt)'}",
        ]
        if not is_line:
            row.append(_connections(layer, own))
        if show_trainable:
            row.append(_trainable_text(layer))
        table.add_row(*map(escape, row))
    console = Console(width=width, no_color=True, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(f'Model: "{model.name}"', markup=False)
        console.print(table)
        for line in _totals(model):
            console.print(line, markup=False)
    return captured.get().rstrip("\n") + "\n"


def _is_line(model: Any) -> bool:
    """True where each layer has at most one source and one user: no column for connections."""
    nodes = getattr(model, "_nodes", None)
    if nodes is None:
        return True
    uses: dict[int, int] = {}
    for node in nodes:
        if len(node.input_tensors) > 1:
            return False
        for symbol in node.input_tensors:
            uses[id(symbol)] = uses.get(id(symbol), 0) + 1
    starts = sum(1 for node in nodes if node.is_input)
    return starts <= 1 and all(count == 1 for count in uses.values())


def _listed(
    model: Any, expand_nested: bool, layer_range: Sequence[str] | None
) -> Iterable[tuple[int, Any]]:
    layers = list(model.operations) if hasattr(model, "_nodes") else list(model.layers)
    if layer_range is not None:
        layers = _in_range(layers, layer_range)
    for layer in layers:
        yield 0, layer
        if expand_nested and getattr(layer, "layers", None):
            for depth, inner in _listed(layer, True, None):
                yield depth + 1, inner


def _in_range(layers: list[Any], layer_range: Sequence[str]) -> list[Any]:
    if len(layer_range) != 2 or not all(isinstance(each, str) for each in layer_range):
        raise ArgumentError(
            explain(
                "summary",
                "layer_range to be two strings; layer_range argument must be a list of two strings",
                repr(layer_range),
            )
        )
    places = [
        [index for index, layer in enumerate(layers) if re.match(pattern, layer.name)]
        for pattern in layer_range
    ]
    if not places[0] or not places[1]:
        raise ArgumentError(
            explain(
                "summary",
                f"patterns that match among {[layer.name for layer in layers]}",
                f"Passed layer_names do not match the layer names in the model: {layer_range}",
            )
        )
    start, end = sorted((min(places[0]), max(places[1])))
    return layers[start : end + 1]


def output_shape_text(layer: Any) -> str:
    """The shape of a layer's output or a list of several, `?` where it is not known yet."""
    if layer._inbound_nodes:
        shapes = [symbol.shape for symbol in layer._inbound_nodes[0].outputs if symbol is not None]
        return _shapes_text(shapes)
    given = getattr(layer, "_build_shapes_dict", None)
    if not given:
        return "?"
    try:
        # One shape goes to the one argument, whatever its name is there.
        one, many = (given.values(), {}) if len(given) == 1 else ((), given)
        found = layer.compute_output_shape(*one, **many)
    except (NotImplementedError, TypeError, ValueError):
        return "?"
    flat: list[Any] = []
    tree.map_shape_structure(flat.append, found)
    return _shapes_text(flat)


def _shapes_text(shapes: list[Any]) -> str:
    return str(shapes[0] if len(shapes) == 1 else shapes)


def _connections(layer: Any, own: set[int]) -> str:
    found = []
    for node in layer._inbound_nodes:
        if own and id(node) not in own:
            continue
        for symbol in node.input_tensors:
            history = symbol._keras_history
            found.append(f"{history.operation.name}[{history.node_index}][{history.tensor_index}]")
    return ", ".join(found) if found else "-"


def _trainable_text(layer: Any) -> str:
    """Y or N for a layer with weights, else -."""
    if not getattr(layer, "weights", None):
        return "-"
    return "Y" if layer.trainable else "N"


def _count(layer: Any) -> int:
    if not hasattr(layer, "weights"):
        return 0
    return sum(math.prod(weight.shape) for weight in layer.weights)


def _totals(model: Any) -> list[str]:
    trainable = _distinct(model.trainable_weights)
    frozen = _distinct(model.non_trainable_weights)
    optimizer = getattr(model, "optimizer", None)
    state = [] if optimizer is None or not optimizer.built else _distinct(optimizer.variables)
    state = [each for each in state if all(each is not other for other in trainable)]
    lines = [
        _total("Total params", [*trainable, *frozen, *state]),
        _total("Trainable params", trainable),
        _total("Non-trainable params", frozen),
    ]
    if state:
        lines.append(_total("Optimizer params", state))
    return lines


def _distinct(variables: Iterable[Any]) -> list[Any]:
    return list({id(each): each for each in variables}.values())


def _total(name: str, variables: list[Any]) -> str:
    count = sum(math.prod(each.shape) for each in variables)
    size = sum(math.prod(each.shape) * as_dtype(each.dtype).itemsize for each in variables)
    return f" {name}: {count:,} ({bytes_text(size)})"


def bytes_text(size: float) -> str:
    """Bytes in the unit that reads best: `6.12 KB`."""
    for unit in UNITS:
        if size < 1024 or unit == UNITS[-1]:
            return f"{size:.2f} {unit}"
        size /= 1024
    raise AssertionError

"""The layers of a model as boxes, and what flows between them as arrows: what pictures show.

Functional, Sequential    a box for each layer or op, however often it is called
a model within            one box, or with `expand_nested` a box around those of its own
any other model           one box; with `expand_nested` around its layers, without arrows
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.keras.symbol import KerasTensor

Shape = tuple[int | None, ...]


@dataclass(eq=False)
class Box:
    """A layer, or with `inner` a model with the boxes of its layers.

    `inputs` and `outputs` are symbols: their shapes and types, of all `calls`, each once.
    """

    layer: Any
    inputs: list[KerasTensor] = field(default_factory=list)
    outputs: list[KerasTensor] = field(default_factory=list)
    inner: "LayerGraph | None" = None
    calls: int = 1

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.layer.name

    @property
    def kind(self) -> str:
        """The class of the layer, with that of a layer that it wraps."""
        wrapped = getattr(self.layer, "layer", None) or getattr(self.layer, "forward_layer", None)
        kind = type(self.layer).__name__
        return f"{kind}({type(wrapped).__name__})" if wrapped is not None else kind

    @property
    def title(self) -> str:
        """The class, and how often the model calls the layer if more than once."""
        return f"{self.kind} ×{self.calls}" if self.calls > 1 else self.kind


@dataclass(eq=False)
class LayerGraph:
    """Boxes in the order in which they run, and arrows between boxes that hold no others.

    `sources` and `sinks` are the boxes of the model's inputs and outputs, in order.
    """

    model: Any
    boxes: list[Box]
    arrows: list[tuple[Box, Box]]
    sources: list[Box]
    sinks: list[Box]

    def walk(self, path: str = "") -> Iterator[tuple[str, Box]]:
        """All boxes with their paths, those within boxes after them."""
        for box in self.boxes:
            place = f"{path}/{box.name}" if path else box.name
            yield place, box
            if box.inner is not None:
                yield from box.inner.walk(place)


def model_graph(model: Any, expand_nested: bool = False) -> LayerGraph:
    """The boxes and arrows of a model."""
    drawn = _drawn(model)
    if drawn is None:
        return _undrawn(model, expand_nested)
    own = {id(node) for node in drawn._nodes}
    boxes: dict[int, Box] = {}
    for operation in drawn.operations:
        box = boxes[id(operation)] = Box(operation)
        calls = [node for node in operation._inbound_nodes if id(node) in own]
        box.calls = len(calls)
        for node in calls:
            _note(box.inputs, node.input_tensors)
            _note(box.outputs, node.outputs)
        if expand_nested and _holds_layers(operation):
            box.inner = model_graph(operation, True)
    arrows: dict[tuple[int, int], tuple[Box, Box]] = {}
    for operation in drawn.operations:
        for node in operation._inbound_nodes:
            if id(node) not in own:
                continue
            for index, symbol in enumerate(node.input_tensors):
                start = _source(boxes, symbol)
                end = _entered(boxes[id(operation)], index)
                arrows[id(start), id(end)] = start, end
    return LayerGraph(
        model,
        list(boxes.values()),
        list(arrows.values()),
        [_entered(boxes[id(symbol._keras_history.operation)], 0) for symbol in drawn._inputs],
        [_source(boxes, symbol) for symbol in drawn._outputs],
    )


def _drawn(model: Any) -> Any:
    """The model itself if it was drawn, what a Sequential model has drawn, or None."""
    if hasattr(model, "_nodes") and hasattr(model, "operations"):
        return model
    return getattr(model, "_functional", None)


def _undrawn(model: Any, expand_nested: bool) -> LayerGraph:
    layers = list(getattr(model, "layers", ()))
    if hasattr(model, "_functional"):
        # A Sequential model that waits for its input's shape: a chain all the same.
        chain = [_closed(layer, expand_nested) for layer in layers]
        arrows = list(itertools.pairwise(chain))
        return LayerGraph(model, chain, arrows, chain[:1], chain[-1:])
    box = Box(model)
    for node in getattr(model, "_inbound_nodes", ()):
        _note(box.inputs, node.input_tensors)
        _note(box.outputs, node.outputs)
    if not expand_nested or not layers:
        return LayerGraph(model, [box], [], [box], [box])
    inner = [_closed(layer, expand_nested) for layer in layers]
    return LayerGraph(model, inner, [], inner[:1], inner[-1:])


def _closed(layer: Any, expand_nested: bool) -> Box:
    box = Box(layer)
    for node in layer._inbound_nodes:
        _note(box.inputs, node.input_tensors)
        _note(box.outputs, node.outputs)
    if expand_nested and _holds_layers(layer):
        box.inner = model_graph(layer, True)
    return box


def _holds_layers(operation: Any) -> bool:
    return hasattr(operation, "summary") and bool(getattr(operation, "layers", ()))


def _note(known: list[KerasTensor], symbols: Sequence[Any]) -> None:
    for symbol in symbols:
        if symbol is None:
            continue
        if all(symbol.shape != each.shape or symbol.dtype != each.dtype for each in known):
            known.append(symbol)


def _source(boxes: dict[int, Box], symbol: Any) -> Box:
    """The innermost box that a symbol comes from."""
    history = symbol._keras_history
    box = boxes[id(history.operation)]
    while box.inner is not None:
        sinks = box.inner.sinks
        box = sinks[min(history.tensor_index, len(sinks) - 1)]
    return box


def _entered(box: Box, index: int) -> Box:
    """The innermost box that an input of a box goes to."""
    while box.inner is not None:
        sources = box.inner.sources
        box = sources[min(index, len(sources) - 1)]
    return box

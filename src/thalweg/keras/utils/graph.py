"""`get_source_inputs`: where the graph of a KerasTensor begins."""

from typing import Any

from thalweg.keras.symbol import KerasTensor


def get_source_inputs(tensor: Any) -> Any:
    """The KerasTensors from which a KerasTensor is computed, each once, in the order of arguments.

    What has no history comes back as it is.
    """
    if not isinstance(tensor, KerasTensor) or getattr(tensor, "_keras_history", None) is None:
        return tensor
    sources: list[KerasTensor] = []
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        symbol = waiting.pop()
        if id(symbol) in seen:
            continue
        seen.add(id(symbol))
        history = getattr(symbol, "_keras_history", None)
        node = None if history is None else history.operation._inbound_nodes[history.node_index]
        if node is None or not node.input_tensors:
            sources.append(symbol)
        else:
            waiting.extend(reversed(node.input_tensors))
    return sources

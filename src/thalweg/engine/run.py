"""Running graphs: which tier computes a set of nodes, and with what values for their leaves.

There is one tier so far, the reference interpreter.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.ir.node import Node
from thalweg.transforms.evaluate import interpret


def evaluate_nodes(
    nodes: Sequence[Node],
    known: Callable[[Node], np.ndarray | None],
    notice: Callable[[Node, Any], None],
) -> list[np.ndarray]:
    """The values of some nodes; `known` supplies leaves, `notice` is shown every new value."""
    environment: dict[Node, np.ndarray] = {}
    seen: set[Node] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        value = known(node)
        if value is not None:
            environment[node] = value
        else:
            pending.extend(node.args)
    results = interpret(nodes, environment, {}, notice)
    return [own(result) for result in results]


def own(array: np.ndarray) -> np.ndarray:
    """A contiguous read-only array that a tensor can keep."""
    flags = array.flags
    if flags.c_contiguous and not flags.writeable:
        return array
    array = np.ascontiguousarray(array) if array.ndim else array
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array

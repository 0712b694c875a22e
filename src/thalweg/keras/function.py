"""Function: a graph between KerasTensors that can be run on values, and the order of its nodes."""

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import tree
from thalweg.keras.operation import Node, Operation
from thalweg.keras.symbol import KerasTensor


class Graph:
    """The nodes between inputs and outputs, by depth: the distance from the outputs.

    `operations` are ordered from the deepest on, and where the depth is equal in the order in which
    walking back from the outputs meets them; so files list layers as Keras does.
    """

    def __init__(self, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]):
        post_order, first_met = _walk(inputs, outputs)
        depths: dict[Node, int] = {}
        operation_depths: dict[Operation, int] = {}
        ends = {id(symbol) for symbol in inputs}
        for node in reversed(post_order):
            depth = max(depths.get(node, 0), operation_depths.get(node.operation, 0))
            depths[node] = operation_depths[node.operation] = depth
            for symbol in node.input_tensors:
                if any(id(each) in ends for each in node.outputs if each is not None):
                    continue
                parent = _source(symbol, ends)
                if parent is None:
                    continue
                depths[parent] = max(depth + 1, depths.get(parent, 0))
        for symbol in inputs:
            source = _source(symbol, ends)
            if source is not None and source.operation not in operation_depths:
                operation_depths[source.operation] = 0
                first_met[source.operation] = -1
                depths[source] = 0
        ordered = sorted(depths, key=lambda node: -depths[node])
        self.depths = depths
        self.nodes = ordered
        self.operations = sorted(
            operation_depths, key=lambda each: (-operation_depths[each], first_met[each])
        )
        self.operation_depths = operation_depths
        self._check_complete(inputs, ends)

    def _check_complete(self, inputs: Sequence[KerasTensor], ends: set[int]) -> None:
        computable = set(ends)
        met: list[str] = []
        for node in self.nodes:
            if any(id(each) in ends for each in node.outputs):
                continue
            needed = node.input_tensors or node.outputs
            for symbol in needed:
                if id(symbol) not in computable:
                    raise ArgumentError(
                        explain(
                            "Function",
                            "outputs that follow from the inputs; `inputs` not connected to "
                            "`outputs`",
                            f"operation {node.operation.name}, which needs {symbol!r}; reached so "
                            f"far: {met}",
                            "Add the missing keras.Input to `inputs`.",
                        )
                    )
            computable.update(id(each) for each in node.outputs)
            met.append(node.operation.name)
        names = [operation.name for operation in self.operations]
        for name in names:
            if names.count(name) != 1:
                raise ArgumentError(
                    explain(
                        "Function",
                        "names that are unique; all operations should have unique names",
                        f'The name "{name}" is used {names.count(name)} times in the model.',
                        "Give each layer its own name=.",
                    )
                )


def node_of(symbol: KerasTensor) -> Node:
    """The call that a KerasTensor comes from."""
    history = getattr(symbol, "_keras_history", None)
    if history is None:
        raise ArgumentError(
            explain(
                "Function",
                "KerasTensors that come from keras.Input or from operations",
                f"{symbol!r}, which has no history",
                "Make it with keras.Input(shape).",
            )
        )
    return history.operation._inbound_nodes[history.node_index]


def _source(symbol: KerasTensor, ends: set[int]) -> Node | None:
    """The call that a symbol comes from; None for an input that no `Input` made.

    Such an input was made by hand, or lies in the middle of a graph that ends there.
    """
    if id(symbol) in ends:
        history = getattr(symbol, "_keras_history", None)
        node = None if history is None else node_of(symbol)
        return node if node is not None and node.is_input else None
    return node_of(symbol)


def _walk(
    inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]
) -> tuple[list[Node], dict[Operation, int]]:
    """Nodes with their sources first, and the order in which operations are met."""
    ends = {id(symbol) for symbol in inputs}
    finished: set[Node] = set()
    underway: set[Node] = set()
    post_order: list[Node] = []
    first_met: dict[Operation, int] = {}
    for output in outputs:
        start = _source(output, ends)
        pending: list[tuple[Node, bool]] = [] if start is None else [(start, False)]
        while pending:
            node, is_done = pending.pop()
            if is_done:
                underway.discard(node)
                finished.add(node)
                post_order.append(node)
                continue
            if node in finished:
                continue
            if node in underway:
                raise ArgumentError(
                    explain(
                        "Function", "a graph without a cycle", f"a cycle at {node.operation.name}"
                    )
                )
            underway.add(node)
            first_met.setdefault(node.operation, len(first_met))
            pending.append((node, True))
            if any(id(each) in ends for each in node.outputs):
                continue
            for symbol in reversed(node.input_tensors):
                parent = _source(symbol, ends)
                if parent is not None and parent not in finished and parent not in underway:
                    pending.append((parent, False))
    return post_order, first_met


class Function(Operation):
    """The operation that leads from `inputs` to `outputs`, nested KerasTensors as they come.

    Called on values it runs the operations in between; called on KerasTensors it draws them once
    more. Raises ArgumentError where the outputs do not follow from the inputs.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        super().__init__(name=name)
        self._set_graph(inputs, outputs)

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self._inputs_struct = tree.map_structure(lambda x: x, inputs)
        self._outputs_struct = tree.map_structure(lambda x: x, outputs)
        self._inputs = tree.flatten(inputs)
        self._outputs = tree.flatten(outputs)
        for what, symbols in (("inputs", self._inputs), ("outputs", self._outputs)):
            if not symbols:
                raise ArgumentError(
                    explain(
                        type(self).__name__,
                        f"at least one tensor; `{what}` argument cannot be empty",
                        f"{what}={inputs if what == 'inputs' else outputs}",
                    )
                )
            for symbol in symbols:
                if not isinstance(symbol, KerasTensor):
                    raise ArgumentError(
                        explain(
                            type(self).__name__,
                            f"KerasTensors; All `{what}` values must be KerasTensors",
                            f"{what}={symbol!r:.80} (of type {type(symbol)})",
                            "Make inputs with keras.Input(shape=...).",
                        )
                    )
        graph = Graph(self._inputs, self._outputs)
        self._graph = graph
        self._nodes = graph.nodes
        self._operations = graph.operations
        self._is_single_input = len(self._inputs) == 1
        ends = {id(symbol) for symbol in self._inputs}
        self._run_order = [
            node
            for node in graph.nodes
            if not node.is_input and not any(id(each) in ends for each in node.outputs)
        ]
        last_use = {id(symbol): -1 for symbol in self._outputs}
        self._kept = frozenset(last_use)

    @property
    def operations(self) -> list[Operation]:
        """The operations, inputs first."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input symbols, flat."""
        return self._inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output symbols, flat."""
        return self._outputs

    def compute_output_spec(self, inputs: Any) -> Any:
        self._assert_input_compatibility(inputs)
        if _has_shapes_of(self._inputs, tree.flatten(inputs)):
            return tree.map_structure(_copy, self._outputs_struct)
        return self._run_through_graph(inputs, lambda operation: operation.compute_output_spec)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shapes of the outputs for those of the inputs."""
        shapes = tree.map_shape_structure(lambda shape: shape, input_shape)
        flat = _flat_shapes(shapes)
        symbols = [
            KerasTensor(shape, dtype=symbol.dtype)
            for shape, symbol in zip(flat, self._inputs, strict=True)
        ]
        outputs = self.compute_output_spec(tree.pack_sequence_as(self._inputs_struct, symbols))
        return tree.map_structure(lambda symbol: symbol.shape, outputs)

    def call(self, inputs: Any) -> Any:
        """The outputs for values of the inputs, in the nesting of `outputs`."""
        self._assert_input_compatibility(inputs)
        return self._run_through_graph(inputs, lambda operation: operation)

    def _assert_input_compatibility(self, inputs: Any) -> None:
        try:
            tree.assert_same_structure(inputs, self._inputs_struct)
        except ValueError:
            raise ArgumentError(
                explain(
                    f"{self.name}",
                    "inputs of the structure that it was made with; Function was called with an "
                    f"invalid input structure. Expected input structure: {self._inputs_struct}",
                    f"input structure: {tree.map_structure(type, inputs)}",
                )
            ) from None
        for given, wanted in zip(tree.flatten(inputs), self._inputs, strict=True):
            _check_shape(self.name, getattr(given, "shape", ()), wanted)

    def _run_through_graph(
        self,
        inputs: Any,
        operation_fn: Callable[[Operation], Callable],
        call_fn: Callable | None = None,
        values: dict[int, Any] | None = None,
    ) -> Any:
        """Run the nodes in order; `operation_fn` says what to call for each operation."""
        values = {} if values is None else values
        for symbol, value in zip(self._inputs, tree.flatten(inputs), strict=True):
            values[id(symbol)] = value
        for node in self._run_order:
            args, kwargs = node.arguments.fill_in(values)
            run = operation_fn(node.operation)
            found = (
                call_fn(node.operation, *args, **kwargs)
                if call_fn is not None
                else run(*args, **kwargs)
            )
            results = tree.flatten(found)
            for symbol, value in zip(node.outputs, results, strict=True):
                values[id(symbol)] = value
        flat = [values[id(symbol)] for symbol in self._outputs]
        return tree.pack_sequence_as(self._outputs_struct, flat)


def _copy(symbol: KerasTensor) -> KerasTensor:
    return KerasTensor(symbol.shape, dtype=symbol.dtype)


def _has_shapes_of(wanted: Sequence[KerasTensor], given: Sequence[Any]) -> bool:
    return len(wanted) == len(given) and all(
        tuple(a.shape) == tuple(getattr(b, "shape", ())) for a, b in zip(wanted, given, strict=True)
    )


def _flat_shapes(shapes: Any) -> list[tuple]:
    found: list[tuple] = []
    tree.map_shape_structure(found.append, shapes)
    return found


def _check_shape(name: str, given: Sequence[Any], wanted: KerasTensor) -> None:
    sizes = tuple(given)
    fits = len(sizes) == len(wanted.shape) and all(
        want is None or not isinstance(have, int) or have == want
        for have, want in zip(sizes, wanted.shape, strict=True)
    )
    if not fits:
        raise ArgumentError(
            explain(
                name,
                f"an input `{wanted.name}` of shape {wanted.shape}",
                f"incompatible inputs: one of shape {sizes}",
            )
        )

"""Traces: while a function is traced its tensors have types and no values.

A trace knows its own parameters and captures whatever else its body uses: a tensor from outside is
lifted, once, to a parameter of its own. Traces nest (a loop body inside a traced function), and a
tensor that outlives its trace is refused by name instead of giving a wrong graph.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thalweg.base.errors import TraceError, explain
from thalweg.base.frames import location
from thalweg.ir.function import Function, close, fresh
from thalweg.ir.leaves import constant
from thalweg.ir.node import Node, context
from thalweg.ir.types import TensorType

if TYPE_CHECKING:
    from thalweg.engine.tensor import Cell, Tensor
    from thalweg.engine.variable import Variable


class Trace:
    """One function being traced: its name, parameters, and what it captured from outside."""

    def __init__(self, name: str, parent: "Trace | None", holds_state: bool = False):
        self.name = name
        self.parent = parent
        self.holds_state = holds_state
        self.is_open = True
        self.place = location()
        self.parameters: list[Node] = []
        self.captured: dict[Node, tuple[Tensor, Node]] = {}
        self.lifted: dict[Cell, Node] = {}
        self.variables: dict[Variable, Node] = {}
        self.current: dict[Variable, Node] = {}
        self.made: list[Variable] = []

    def parameter(self, name: str, type: TensorType) -> Node:
        """A new parameter of the function."""
        node = fresh(name, type)
        self.parameters.append(node)
        return node

    def lift(self, tensor: "Tensor") -> Node:
        """The node that stands for a tensor inside this trace."""
        owner = tensor._trace
        if owner is self:
            return tensor._cell.node
        if owner is not None and not self.is_inside(owner):
            raise leaked(tensor)
        cell = tensor._cell
        node = cell.node
        if node in self.captured:
            return self.captured[node][1]
        if node.op is constant:
            return node
        # A tensor that was computed since it was lifted has another node by now.
        inner = self.lifted.get(cell)
        if inner is None:
            inner = self.lifted[cell] = fresh(f"outer_{len(self.captured)}", node.type)
            self.captured[node] = (tensor, inner)
        return inner

    def read(self, variable: "Variable") -> Node:
        """The node that stands for a variable's present value in this trace."""
        node = self.current.get(variable)
        if node is None:
            node = fresh(variable.name, variable._type)
            self.variables[variable] = self.current[variable] = node
        return node

    def is_inside(self, other: "Trace") -> bool:
        """True when this trace was opened within another that is still open."""
        trace: Trace | None = self
        while trace is not None:
            if trace is other:
                return other.is_open
            trace = trace.parent
        return False

    def state_owner(self) -> "Trace | None":
        """The nearest enclosing trace that threads variables, if any."""
        trace: Trace | None = self
        while trace is not None and not trace.holds_state:
            trace = trace.parent
        return trace

    def close(self, results: Sequence[Node]) -> Function:
        """The Function: its parameters, then the variables it read, then what it captured."""
        inner = [
            *self.parameters,
            *self.variables.values(),
            *(node for _, node in self.captured.values()),
        ]
        return close(self.name, inner, results)

    def __enter__(self) -> "Trace":
        _local.trace = self
        return self

    def __exit__(self, *exception: object) -> None:
        _local.trace = self.parent
        self.is_open = False


class _Local(threading.local):
    trace: Trace | None = None
    state_is_elsewhere = False


_local = _Local()


@contextmanager
def outside() -> Iterator[None]:
    """Within this block no trace is open: what a host function does there has values."""
    former = _local.trace
    _local.trace = None
    try:
        yield
    finally:
        _local.trace = former


@contextmanager
def in_layer(path: str) -> Iterator[None]:
    """Within this block new nodes are said to come from the layer at this path."""
    former, context.layer = context.layer, path
    try:
        yield
    finally:
        context.layer = former


def current_trace() -> Trace | None:
    """The innermost trace that this thread is in, or None when values are at hand."""
    return _local.trace


def state_is_elsewhere() -> bool:
    """True while some scope keeps the values of variables in their stead."""
    return _local.state_is_elsewhere


def keep_state_elsewhere(is_kept: bool) -> None:
    """Say that a scope begins or ceases to keep the values of variables in their stead.

    Variables then have to be read by `value` and written by `assign`, which know of the scope.
    """
    _local.state_is_elsewhere = is_kept


def leaked(tensor: "Tensor") -> TraceError:
    """The error for a tensor that is used outside of the trace that made it."""
    name = tensor._trace.name if tensor._trace else "a trace"
    return TraceError(
        explain(
            name,
            "its traced tensors to stay inside the function",
            f"{tensor._cell.node.type}, made while {name} was traced and used outside of it",
            "It has no value there. Return it from the function instead of storing it in a list, "
            "an attribute or a global.",
        )
    )


def no_value(tensor: "Tensor", what: str, instead: str) -> TraceError:
    """The error for asking a value of a tensor that is being traced."""
    trace = tensor._trace
    name = trace.name if trace else "a function"
    return TraceError(
        explain(
            what,
            f"a value, but {name} is being traced and has types only",
            f"{tensor._cell.node.type}",
            instead,
        )
    )

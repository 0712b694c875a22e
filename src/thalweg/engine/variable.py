"""Variable: a mutable reference to a tensor.

Assigning replaces the reference. Inside a traced function a variable is read as an input and
written as an output: state is threaded, never hidden in the graph.
"""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.base.errors import DTypeError, ShapeError, TraceError, explain
from thalweg.engine.context import Trace, current_trace, outside, state_is_elsewhere
from thalweg.engine.tape import active_recorder
from thalweg.engine.tensor import Tensor, compute, from_buffer, node_of, own_node, tensor_in, wrap
from thalweg.ir.node import Node, count
from thalweg.ir.types import DEFAULT_COMPLEX, DEFAULT_FLOAT, DType, Shape, TensorType, as_dtype
from thalweg.ops.elementwise import cast
from thalweg.ops.mark import mark

MOST_PENDING_NODES = 200_000
"""So many nodes may wait in all for their value before assigning computes the variables."""

_DEFAULTS = {"f": DEFAULT_FLOAT, "c": DEFAULT_COMPLEX}
"""What Python's own numbers become."""

_alive: "weakref.WeakSet[Variable]" = weakref.WeakSet()
_computed_at = 0


class Variable:
    """A tensor that can be replaced by another of the same shape and dtype.

    `value` is an array, a tensor, a number, or nested lists of numbers. `trainable` variables are
    watched by gradient tapes.
    """

    __array_priority__ = 1000

    def __init__(
        self, value: Any, dtype: Any = None, name: str = "variable", trainable: bool = True
    ):
        self.name = name
        self.trainable = trainable
        tensor = value.value if isinstance(value, Variable) else value
        if not isinstance(tensor, Tensor):
            array = np.asarray(value)
            if dtype is None and not isinstance(value, (np.ndarray, np.generic)):
                dtype = _DEFAULTS.get(array.dtype.kind)
            array = np.array(array, as_dtype(dtype or array.dtype).numpy)
            tensor = from_buffer(array, name)
        elif dtype is not None and tensor.dtype is not as_dtype(dtype):
            tensor = wrap(cast(node_of(tensor), dtype=as_dtype(dtype)))
        if tensor.is_traced:
            raise TraceError(
                explain(
                    "Variable",
                    "to be made outside of traced functions",
                    f"an initial value of {tensor!r}",
                    "Make variables once, before the first call of the function.",
                )
            )
        self._made: Tensor | None
        self._buffer: np.ndarray | None
        self._type: TensorType = tensor._cell.node.type
        self._tensor = _own(tensor, name)
        _alive.add(self)
        trace = current_trace()
        owner = trace.state_owner() if trace is not None else None
        if owner is not None:
            owner.made.append(self)

    @property
    def dtype(self) -> DType:
        return self._type.dtype

    @property
    def shape(self) -> Shape:
        return self._type.shape

    @property
    def ndim(self) -> int:
        return self._type.rank

    @property
    def type(self) -> TensorType:
        """The element type and shape together, as they stand in a graph."""
        return self._type

    @property
    def value(self) -> Tensor:
        """The tensor that the variable refers to now."""
        recorder = active_recorder()
        while recorder is not None:
            recorder.read(self)
            recorder = recorder.parent
        trace = current_trace()
        if trace is None or trace.state_owner() is None:
            return self._tensor
        return wrap(self.node_in(trace))

    def node_in(self, trace: Trace) -> Node:
        """The node of the present value as a trace sees it."""
        owner = trace.state_owner()
        if owner is None:
            return trace.lift(self._tensor)
        return trace.lift(tensor_in(owner, owner.read(self)))

    def assign(self, value: Any) -> "Variable":
        """Refer to another tensor of the same shape and dtype; numbers and arrays are converted."""
        if isinstance(value, Variable):
            value = value.value
        if not isinstance(value, Tensor):
            value = from_buffer(self._array(value), self.name)
        node = node_of(value)
        if value._weak and node.dtype is not self._type.dtype:
            node = cast(node, dtype=self._type.dtype)
        if node.type is not self._type:
            error = ShapeError if node.dtype is self._type.dtype else DTypeError
            advice = (
                "Make a new variable for another shape."
                if node.dtype is self._type.dtype
                else f"Cast first: value.astype({self._type.dtype.name!r})."
            )
            raise error(
                explain(
                    f"assign to {self.name}",
                    f"a value of type {self._type}",
                    str(node.type),
                    advice,
                )
            )
        trace = current_trace()
        if trace is None:
            same = node is own_node(value)
            self._tensor = _own(value if same else wrap(node), self.name)
            _bound_pending()
            return self
        if not trace.holds_state:
            raise TraceError(
                explain(
                    f"assign to {self.name}",
                    "to assign outside of loop bodies, branches and mapped functions",
                    f"an assignment in {trace.name}",
                    "Return the new value from it and assign what it gives back.",
                )
            )
        trace.read(self)
        # A mark of its own, at which a tape that starts later finds an end.
        trace.current[self] = mark(node, self.name)
        return self

    @property
    def _tensor(self) -> Tensor:
        """The tensor; of an array that was taken over it is made when somebody asks."""
        found = self._made
        if found is None:
            assert self._buffer is not None
            found = self._made = from_buffer(self._buffer, self.name)
        return found

    @_tensor.setter
    def _tensor(self, tensor: Tensor) -> None:
        self._made = tensor
        self._buffer = None

    def _array(self, value: Any) -> np.ndarray:
        """A number, array or nested lists in the variable's element type, if that can hold it."""
        try:
            array = np.asarray(value)
            kept = np.can_cast(array.dtype, self._type.dtype.numpy, "same_kind")
            if array.dtype.kind in "iu" and self._type.dtype.is_integer:
                kept = np.array_equal(array.astype(self._type.dtype.numpy), array)
        except (TypeError, ValueError):
            kept = False
        if not kept:
            name = self._type.dtype.name
            raise DTypeError(
                explain(
                    f"assign to {self.name}",
                    f"numbers that fit {self._type.dtype}",
                    f"{value!r:.60}",
                    f"Round or cast first, for instance np.asarray(value, {name!r}).",
                )
            )
        return np.array(array, self._type.dtype.numpy)

    def numpy(self) -> np.ndarray:
        """The value as a read-only NumPy array."""
        return self.value.numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.value.__array__(dtype, copy)

    def __repr__(self) -> str:
        if current_trace() is not None:
            return f"Variable({self.name}: {self._type})"
        return f"Variable({self.name}: {self._type}, {self.numpy()})"

    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        return self.value.__index__()

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self):
        return iter(self.value)

    __hash__ = object.__hash__


def arrays_of(variables: Sequence[Variable]) -> list[np.ndarray]:
    """The present values as read-only arrays, computed where they wait."""
    if state_is_elsewhere():
        return [variable.value.numpy() for variable in variables]
    found: list[Any] = [variable._buffer for variable in variables]
    if set(map(type, found)) - {np.ndarray}:
        for index, buffer in enumerate(found):
            if buffer is None:
                variable = variables[index]
                found[index] = variable._buffer = variable._tensor._array()
    return found


def take(variables: Sequence[Variable], buffers: Sequence[np.ndarray]) -> None:
    """Let variables refer to read-only arrays of their types that nobody else holds."""
    if state_is_elsewhere():
        for variable, buffer in zip(variables, buffers, strict=True):
            variable.assign(from_buffer(buffer))
        return
    for variable, buffer in zip(variables, buffers, strict=True):
        variable._buffer = buffer
        variable._made = None


def _own(tensor: Tensor, name: str) -> Tensor:
    """A tensor of the variable's own, so that nothing else has the same node."""
    if tensor._cell.buffer is not None and active_recorder() is None:
        return from_buffer(tensor._cell.buffer, name)
    with outside():  # a variable made while a function is traced is none of its tensors
        return wrap(mark(tensor._cell.node, name))


def _bound_pending() -> None:
    """Compute all variables when the graphs that wait have grown very large."""
    global _computed_at
    if count() < _computed_at + MOST_PENDING_NODES:
        return
    compute_variables()
    _computed_at = count()


def compute_variables() -> None:
    """Compute every variable's value that is pending, in one run."""
    cells = [variable._tensor._cell for variable in list(_alive)]
    pending = [cell for cell in cells if cell.buffer is None]
    if pending:
        compute(pending)

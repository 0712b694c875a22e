"""Tensor: a handle on a node and, once computed, on its value.

Building an expression computes nothing; looking at a value (print, float, numpy, if, iteration,
DLPack) computes it together with every other tensor of the same expression that somebody still
holds. Tensors are immutable. The operators and methods that need promotion and broadcasting are
installed by the `array` floor.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from thalweg.base.errors import ArgumentTypeError, ShapeError, explain
from thalweg.engine.context import Trace, current_trace, leaked, no_value, outside
from thalweg.engine.run import evaluate_nodes, own
from thalweg.engine.tape import active_recorder, pause, resume
from thalweg.ir.dim import Dim
from thalweg.ir.leaves import Tag, next_serial, parameter
from thalweg.ir.node import Node, make
from thalweg.ir.types import DType, Shape, TensorType, as_dtype, tensor_type
from thalweg.ops.mark import mark, stop_gradient

_naming = threading.RLock()
"""Two threads that ask for the node of one value must get the same."""


class Cell:
    """What the tensors of one node share: the node, its value once computed, who records it.

    Of a value at hand the node is made when somebody asks for it: most results of a traced function
    are only looked at, or handed to its next call.
    """

    __slots__ = ("__weakref__", "_name", "_node", "_type", "buffer", "recorder", "serial")

    _node: Node | None

    def __init__(self, node: Node | None, buffer: np.ndarray | None = None, name: str = "data"):
        self._node = node
        self._name = name
        self._type: TensorType | None = None
        self.buffer = buffer
        self.serial = next_serial()
        recorder = active_recorder()
        self.recorder = weakref.ref(recorder) if recorder is not None else None

    @property
    def node(self) -> Node:
        """The node: a leaf for a value at hand, else the expression."""
        node = self._node
        if node is None:
            with _naming:
                if self._node is None:
                    assert self.buffer is not None
                    self._node = leaf(self.buffer, self._name)
                node = self._node
        return node

    @node.setter
    def node(self, node: Node) -> None:
        self._node = node

    @property
    def type(self) -> TensorType:
        """The type, without making a node for a value at hand."""
        found = self._type
        if found is None:
            node = self._node
            if node is not None:
                found = node.type
            else:
                assert self.buffer is not None
                found = tensor_type(as_dtype(self.buffer.dtype), self.buffer.shape)
            self._type = found
        return found

    def fill(self, value: np.ndarray) -> None:
        """Take a computed value, and drop the graph unless a recorder needs it."""
        if self.buffer is not None:
            return
        self.buffer = value
        _waiting.pop(id(self), None)
        recorder = self.recorder() if self.recorder is not None else None
        heir = recorder.in_charge() if recorder is not None else None
        if heir is None:
            self.cut()
        else:
            heir.keep(self)

    def cut(self) -> None:
        """Become a leaf: the value without the graph it came from."""
        if self.buffer is not None and self._node is not None and not is_leaf(self._node):
            self._node = None


class _Wait(weakref.ref):
    """A cell without a value, held weakly."""

    __slots__ = ("key",)

    key: int


# Every cell that some tensor holds and that has no value yet.
_waiting: dict[int, _Wait] = {}


def _give_up(wait: _Wait) -> None:
    if _waiting.get(wait.key) is wait:
        del _waiting[wait.key]


def _wait(cell: Cell) -> Cell:
    wait = _Wait(cell, _give_up)
    wait.key = id(cell)
    _waiting[wait.key] = wait
    return cell


class _Link(weakref.ref):
    """From a node, held weakly, to the cell that its tensors share."""

    __slots__ = ("cell", "key")

    def __init__(self, node: Node, forget: Any, cell: Cell):
        self.key = id(node)
        self.cell = weakref.ref(cell)

    def __new__(cls, node: Node, forget: Any, cell: Cell) -> _Link:
        return super().__new__(cls, node, forget)


# Keyed by identity, so that an entry never keeps a node (and all that it was made of) alive.
_links: dict[int, _Link] = {}


def _forget(link: _Link) -> None:
    if _links.get(link.key) is link:
        del _links[link.key]


def live_cell(node: Node) -> Cell | None:
    """The cell of a node, if a tensor holds one."""
    link = _links.get(id(node))
    return link.cell() if link is not None and link() is node else None


def cell_of(node: Node) -> Cell:
    """The live cell of a node, or a new one."""
    found = live_cell(node)
    if found is None:
        found = _wait(Cell(node))
        _links[id(node)] = _Link(node, _forget, found)
        return found
    recorder = active_recorder()
    if recorder is None:
        return found
    is_own = found.recorder is not None and found.recorder() is recorder
    if is_own and found.node is node and found.serial > recorder.serial:
        return found
    # The value may be known, but this tensor needs its graph for the recorder.
    cell = Cell(node, found.buffer)
    return cell if cell.buffer is not None else _wait(cell)


def leaf(buffer: np.ndarray, name: str = "data") -> Node:
    """A node that stands for a value at hand; the value lives as long as the node."""
    type = tensor_type(as_dtype(buffer.dtype), buffer.shape)
    # Every computed tensor has one: made without the checks that an op's call makes.
    return make(parameter, (), (Tag(name, buffer), type))


def is_leaf(node: Node) -> bool:
    """True for a node that stands for a value at hand."""
    return node.op is parameter


class Tensor:
    """An immutable n-dimensional array of one element type, computed when it is looked at."""

    __slots__ = ("__dict__", "__weakref__", "_cell", "_trace", "_weak")

    _cell: Cell
    _trace: Trace | None
    _weak: bool

    __array_priority__ = 1000

    if TYPE_CHECKING:
        # Installed by the array floor, which knows promotion and broadcasting.
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __rfloordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __rand__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __ror__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __rxor__(self, other: Any) -> Tensor: ...
        def __lshift__(self, other: Any) -> Tensor: ...
        def __rlshift__(self, other: Any) -> Tensor: ...
        def __rshift__(self, other: Any) -> Tensor: ...
        def __rrshift__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __pos__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def astype(self, dtype: Any) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Any: ...
        def __ne__(self, other: Any) -> Any: ...
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *args: Any, **kwargs: Any):
        raise ArgumentTypeError(
            explain(
                "Tensor",
                "to be made by asarray, zeros, ...",
                "a direct call",
                "Write asarray(values, dtype=...).",
            )
        )

    # Types: known at once ---------------------------------------------------------------------

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._cell.type.dtype

    @property
    def shape(self) -> Shape:
        """The sizes of the axes; integers, or named sizes while tracing."""
        return self._cell.type.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._cell.type.rank

    @property
    def size(self) -> int | Dim:
        """The number of elements."""
        return self._cell.type.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int | Dim:
        """Bytes of all elements."""
        return self._cell.type.bytes

    @property
    def device(self) -> str:
        """Where the value lives."""
        return "cpu"

    @property
    def type(self) -> TensorType:
        """The element type and shape together, as they stand in a graph."""
        return self._cell.type

    @property
    def is_weak(self) -> bool:
        """True for a Python number in a trace: it takes the type of what it meets."""
        return self._weak

    @property
    def is_traced(self) -> bool:
        """True while the tensor belongs to a trace and has no value."""
        return self._trace is not None

    # Values: computed when asked for ----------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The value as a read-only NumPy array, without a copy. Raises TraceError while tracing."""
        recorder = active_recorder()
        if recorder is not None:
            recorder.has_left = True
        return self._array()

    def _array(self) -> np.ndarray:
        buffer = self._cell.buffer
        if buffer is None:
            if self._trace is not None:
                self._refuse("numpy", "Return the tensor and look at it outside of the function.")
            evaluate(self)
            buffer = self._cell.buffer
            assert buffer is not None
        return buffer

    def _refuse(self, what: str, instead: str) -> NoReturn:
        if self._trace is not None and not self._trace.is_open:
            raise leaked(self)
        raise no_value(self, what, instead)

    def item(self) -> Any:
        """The Python number of a tensor with one element."""
        return self._scalar("item", self.numpy)

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def _scalar(self, what: str, take: Callable[[], np.ndarray] | None = None) -> Any:
        if self._trace is not None:
            self._refuse(what, "Keep it a tensor; convert with astype where a type is needed.")
        if self.size != 1:
            raise ShapeError(
                explain(
                    what,
                    "a tensor with one element",
                    str(self._cell.node.type),
                    "Index it, or reduce it with sum() or mean().",
                )
            )
        return (take or self._array)().reshape(())[()].item()

    def __bool__(self) -> bool:
        if self._trace is not None:
            self._refuse(
                "if",
                "Write where(condition, x, y) to choose element by element, cond(condition, f, g) "
                "to run one of two functions, or while_loop for a loop.",
            )
        if self.size != 1:
            raise ShapeError(
                explain(
                    "if",
                    "a tensor with one element",
                    str(self._cell.node.type),
                    "Write all(x) or any(x).",
                )
            )
        return bool(self._scalar("if"))

    def __int__(self) -> int:
        return int(self._real_scalar("int"))

    def __float__(self) -> float:
        return float(self._real_scalar("float"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex", self.numpy))

    def _real_scalar(self, what: str) -> Any:
        if self.dtype.is_complex:
            raise ArgumentTypeError(
                explain(what, "a real number", str(self._cell.node.type), "Take real(x) first.")
            )
        return self._scalar(what, self.numpy)

    def __index__(self) -> int:
        if not self.dtype.is_integer or self.ndim:
            raise ArgumentTypeError(
                explain(
                    "index", "an integer scalar", str(self._cell.node.type), "Convert with int(x)."
                )
            )
        if self._trace is not None:
            self._refuse(
                "a shape or an index",
                "A shape cannot depend on data: pass the number as a static argument, or index "
                "with take, dynamic_slice or where.",
            )
        return int(self._scalar("index"))

    def __len__(self) -> int:
        if not self.ndim:
            raise ArgumentTypeError(explain("len", "a tensor with axes", str(self)))
        size = self.shape[0]
        return size if isinstance(size, int) else size.__index__()

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise ArgumentTypeError(
                explain("iteration", "a tensor with axes", str(self._cell.node.type))
            )
        if not isinstance(self.shape[0], int):
            self._refuse("for", "Use scan, map or vmap over an axis of unknown size.")
        return (self[index] for index in range(int(self.shape[0])))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """The value for another library, without a copy. bfloat16 has no DLPack form in NumPy."""
        array = self.numpy()
        if array.dtype.kind == "V":
            raise ArgumentTypeError(
                explain(
                    "dlpack",
                    "an element type that NumPy can export",
                    str(self.dtype),
                    "Cast to float32 first.",
                )
            )
        if max_version is None or max_version[0] < 1:
            # The first version of the protocol cannot say that memory is read-only.
            array = array.copy()
        return array.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __repr__(self) -> str:
        if self._trace is not None:
            return f"Tensor({self._cell.node.type}, traced in {self._trace.name})"
        body = np.array2string(self._array(), separator=", ", prefix="Tensor(")
        return f"Tensor({body}, dtype={self.dtype.name})"

    def __str__(self) -> str:
        return repr(self) if self._trace is not None else str(self._array())

    def __format__(self, specification: str) -> str:
        if specification and self.size == 1:
            return format(self._scalar("format"), specification)
        return format(str(self), specification)

    __hash__ = object.__hash__

    def __reduce__(self):
        return _unpickle, (self.numpy(),)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: dict) -> Tensor:
        return self


def _unpickle(array: np.ndarray) -> Tensor:
    return from_buffer(array)


_new = object.__new__


def wrap(node: Node, weak: bool = False) -> Tensor:
    """The tensor of a node, in the trace that is being made or with a value to compute."""
    tensor = _new(Tensor)
    tensor._trace = trace = current_trace()
    recorder = active_recorder()
    if recorder is not None and recorder.stops_gradients:
        node = stop_gradient(node)
    tensor._cell = Cell(node) if trace is not None else cell_of(node)
    tensor._weak = weak
    return tensor


def tensor_in(trace: Trace | None, node: Node) -> Tensor:
    """The tensor of a node that belongs to an outer trace, or to none."""
    tensor = _new(Tensor)
    tensor._trace = trace
    tensor._cell = Cell(node)
    tensor._weak = False
    return tensor


def from_buffer(buffer: np.ndarray, name: str = "data") -> Tensor:
    """The tensor of a value at hand. The array must not change afterwards."""
    if buffer.flags.writeable:
        buffer = buffer.view()
        buffer.flags.writeable = False
    tensor = _new(Tensor)
    tensor._trace = None
    tensor._cell = Cell(None, buffer, name)
    tensor._weak = False
    return tensor


def computed(buffer: np.ndarray, type: TensorType) -> Tensor:
    """The tensor of a read-only value at hand of a known type, made while nothing is recorded."""
    cell = _new(Cell)
    cell._node = None
    cell._name = "data"
    cell._type = type
    cell.buffer = buffer
    cell.serial = next_serial()
    cell.recorder = None
    tensor = _new(Tensor)
    tensor._trace = None
    tensor._cell = cell
    tensor._weak = False
    return tensor


def own_node(tensor: Tensor) -> Node:
    """The node of a tensor as its own trace sees it; use `node_of` to build on it."""
    return tensor._cell.node


def set_apart(tensor: Tensor) -> None:
    """Give a tensor a node of its own, so that it is no longer one with equal expressions."""
    tensor._cell = wrap(mark(node_of(tensor)))._cell


def node_of(tensor: Tensor) -> Node:
    """The node of a tensor as seen from where the program is: lifted when inside a trace."""
    trace = current_trace()
    owner = tensor._trace
    if owner is not trace:
        if trace is None:
            raise leaked(tensor)
        return trace.lift(tensor)
    recorder = active_recorder()
    return tensor._cell.node if recorder is None else recorder.seen(tensor._cell, trace)


def evaluate(*tensors: Any) -> Any:
    """Compute tensors now, all in one run; returns them. Lists, tuples, dicts are searched."""
    cells = [tensor._cell for tensor in _tensors(tensors) if tensor._cell.buffer is None]
    for tensor in _tensors(tensors):
        if tensor._trace is not None:
            tensor._refuse("evaluate", "Evaluate outside of the function.")
    if cells:
        compute(cells)
    return tensors[0] if len(tensors) == 1 else tensors


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)


def compute(cells: Sequence[Cell]) -> None:
    """Fill cells, and in the same run every other cell that waits for its value.

    A loop that looks at its loss and not at its state would else compute its whole past again at
    every look. What somebody holds would have been computed at once by an eager library, so this
    never costs more than that. An error in what was not asked for waits until it is looked at.

    A host function that is called on the way may itself look at tensors: it is outside of every
    trace and recorder, and gets what it asks for alone, because the rest is underway already.
    """
    chosen = set(map(id, cells))
    others = [
        cell
        for wait in list(_waiting.values())
        if (cell := wait()) is not None and cell.buffer is None and id(cell) not in chosen
    ]
    is_inner, _computing.is_underway = _computing.is_underway, True
    recorder = pause()
    try:
        with outside():
            if others and not is_inner:
                with contextlib.suppress(Exception):
                    _compute([*cells, *others])
            _compute([cell for cell in cells if cell.buffer is None])
    finally:
        resume(recorder)
        _computing.is_underway = is_inner


class _Computing(threading.local):
    is_underway = False


_computing = _Computing()


def _compute(cells: Sequence[Cell]) -> None:
    results = evaluate_nodes([cell.node for cell in cells], known_value, _notice)
    for cell, value in zip(cells, results, strict=True):
        cell.fill(value)


def known_value(node: Node) -> np.ndarray | None:
    """The value of a node that is at hand, or None."""
    if node.op is parameter:
        owner = getattr(node.attrs[0], "owner", None)
        return owner if isinstance(owner, np.ndarray) else None
    cell = live_cell(node)
    return cell.buffer if cell is not None else None


def _notice(node: Node, value: Any) -> None:
    cell = live_cell(node)
    if cell is not None and isinstance(value, np.ndarray):
        cell.fill(own(value))

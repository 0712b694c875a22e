"""Nodes: interned, frozen, compared by identity.

`(op, args, attrs)` determines a node, so it is looked up before anything is inferred. The table
holds nodes weakly; the same entry carries the provenance, which identity ignores: the user's place
and the name of the layer and rule that were active when the node was first made.
"""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.base import frames
from thalweg.base.errors import ArgumentTypeError, explain
from thalweg.base.options import options
from thalweg.ir.attribute import Hole
from thalweg.ir.types import TensorType

if TYPE_CHECKING:
    from thalweg.ir.op import Op

NodeType = TensorType | tuple[TensorType, ...]


class Node:
    """One operation applied to data `args` with metadata `attrs`; `type` is inferred.

    `type` is a TensorType, or a tuple of them for an op with several results.
    """

    __slots__ = ("__weakref__", "args", "attrs", "op", "type")

    op: "Op"
    args: tuple["Node", ...]
    attrs: tuple[Any, ...]
    type: Any

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a node is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a node is frozen: {name} cannot be deleted")

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes by name."""
        return dict(zip(self.op.attribute_names, self.attrs, strict=True))

    @property
    def shape(self):
        return self.type.shape

    @property
    def dtype(self):
        return self.type.dtype

    def __repr__(self) -> str:
        return f"<{self.op.name}: {type_text(self.type)}>"

    def __copy__(self) -> "Node":
        return self

    def __deepcopy__(self, memo: dict) -> "Node":
        return self


class _Any:
    """The type of a hole in a pattern, and of every node above one."""

    def __repr__(self) -> str:
        return "any"

    shape = dtype = None


ANY: Any = _Any()


def type_text(type: NodeType) -> str:
    """A type, or several in parentheses."""
    return f"({', '.join(map(str, type))})" if isinstance(type, tuple) else str(type)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a node came from: the user's place, the layer path, the rule or transform."""

    place: frames.Place | None
    layer: str
    rule: str


class _Entry(weakref.ref):
    """A weak reference to a node, with the key it is found by and where it came from."""

    __slots__ = ("key", "layer", "place", "rule")

    key: tuple
    layer: str
    place: frames.Place | None
    rule: str


class _Context(threading.local):
    """What new nodes are said to come from; `place` stands in for the user's frame when set."""

    layer = ""
    rule = ""
    place: Any = None


context = _Context()

_table: dict[tuple, _Entry] = {}
_lock = threading.RLock()
_set_op, _set_args, _set_attrs, _set_type = (
    vars(Node)[slot].__set__ for slot in ("op", "args", "attrs", "type")
)


def _forget(entry: _Entry, table: dict = _table, lock: Any = _lock) -> None:
    # Bound early, because the last nodes die when the module's own names are gone. The same key
    # may have been entered anew before this runs, and must not be while it does.
    with lock:
        if table.get(entry.key) is entry:
            del table[entry.key]


def make(op: "Op", args: tuple[Node, ...], attrs: tuple = ()) -> Node:
    """The node of an op with data and normalised attributes: found, or inferred and entered."""
    key = (op, args, attrs)
    try:
        entry = _table.get(key)
    except TypeError:
        raise _no_nodes(op, args) from None
    if entry is not None:
        found = entry()
        if found is not None:
            return found
    place = context.place or (frames.place(2) if options().provenance else None)
    return _enter(key, place, context.layer, context.rule)


def remake(node: Node, args: tuple[Node, ...], attrs: tuple) -> Node:
    """The node with other data or attributes; a new one is said to come from where `node` does."""
    if args == node.args and attrs == node.attrs:
        return node
    key = (node.op, args, attrs)
    entry = _table.get(key)
    if entry is not None:
        found = entry()
        if found is not None:
            return found
    origin = _table[(node.op, node.args, node.attrs)]
    return _enter(key, origin.place, origin.layer, context.rule or origin.rule)


def _enter(key: tuple, place: frames.Place | None, layer: str, rule: str) -> Node:
    op, args, attrs = key
    try:
        types = [arg.type for arg in args]
    except AttributeError:
        raise _no_nodes(op, args) from None
    if ANY in types or (not args and any(value.__class__ is Hole for value in attrs)):
        result = ANY
    elif attrs:
        result = op.infer(*types, **dict(zip(op.attribute_names, attrs, strict=True)))
    else:
        result = op.infer(*types)
    node = object.__new__(Node)
    _set_op(node, op)
    _set_args(node, args)
    _set_attrs(node, attrs)
    _set_type(node, result)
    entry = _Entry(node, _forget)
    entry.key = key
    entry.place = place
    entry.layer = layer
    entry.rule = rule
    with _lock:
        former = _table.get(key)
        if former is not None:
            found = former()
            if found is not None:
                return found
        _table[key] = entry
    return node


def _no_nodes(op: "Op", args: tuple) -> ArgumentTypeError:
    received = ", ".join(type(arg).__name__ for arg in args)
    return ArgumentTypeError(explain(op.name, "nodes as data", received))


def provenance(node: Node) -> Provenance:
    """Where a node came from."""
    entry = _table[(node.op, node.args, node.attrs)]
    return Provenance(entry.place, entry.layer, entry.rule)


@contextmanager
def made_by(rule: str, node: Node) -> Iterator[None]:
    """Within this block new nodes come from a rule or transform applied to `node`."""
    former = context.rule, context.layer, context.place
    origin = provenance(node)
    context.rule, context.layer, context.place = rule, origin.layer, origin.place
    try:
        yield
    finally:
        context.rule, context.layer, context.place = former


def count() -> int:
    """The number of nodes alive in this process."""
    return len(_table)

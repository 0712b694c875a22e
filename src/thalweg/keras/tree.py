"""Nested structures: `keras.tree`.

A structure is a leaf, or a node with children: list, tuple, deque, dict, OrderedDict, defaultdict,
a named tuple, a struct sequence such as `time.struct_time`, or a class that registered itself with
`register_tree_node_class`. Everything else is a leaf: None, arrays, strings, sets, and subclasses
of the containers, which may hold more than their items say.

    kind             children in order of     path entry   the other structure must be
    list tuple       position                 position     of the same type, as long
    deque            position                 position     a deque, as long
    named tuple      position                 position     of the same class
    dict defaultdict sorted keys              key          any of the three, with the same keys
    OrderedDict      insertion                key          any of the three, with the same keys
    registered       as the class says        as it says   of the same class, with equal metadata

What was a dict comes back with its keys in the order in which they went in.
"""

import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from thalweg.base.errors import ArgumentError, ArgumentTypeError, explain

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:
    """What a function given to `traverse` returns where the result is to hold None."""


# ---- kinds of nodes ------------------------------------------------------------------------------


class Kind(NamedTuple):
    """How one type of node comes apart and together.

    `split(node)` gives its children and the entries of their paths; `join(node, children)` makes a
    node like `node` of other children; `match(node, other)` gives the children of `other` in the
    order of those of `node`, or raises Mismatch.
    """

    split: Callable[[Any], tuple[Sequence[Any], Sequence[Any]]]
    join: Callable[[Any, list[Any]], Any]
    match: Callable[[Any, Any], Sequence[Any]]


class Mismatch(Exception):
    """Two nodes that do not fit together; the message says what was expected."""


def _split_sequence(node: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    return node, range(len(node))


def _match_sequence(node: Any, other: Any) -> Sequence[Any]:
    kind = type(node)
    if type(other) is not kind:
        name = f"namedtuple {_name(kind)}" if hasattr(kind, "_fields") else _name(kind)
        raise Mismatch(f"expected an instance of {name}")
    return _same_length(node, other)


def _same_length(node: Sequence[Any], other: Sequence[Any]) -> Sequence[Any]:
    if len(node) != len(other):
        raise Mismatch(
            f"arity mismatch: expected {_name(type(node))} with {len(node)} children,"
            f" the number there is {len(other)}"
        )
    return other


def sorted_keys(node: dict) -> list[Any]:
    """The keys in order; by type where they do not compare, as they lie where even that fails."""
    try:
        return sorted(node)
    except TypeError:
        pass
    try:
        return sorted(node, key=lambda key: (_name(type(key)), key))
    except TypeError:
        return list(node)


def _split_dict(node: dict) -> tuple[Sequence[Any], Sequence[Any]]:
    keys = sorted_keys(node)
    return [node[key] for key in keys], keys


def _join_dict(node: dict, children: list[Any]) -> dict:
    result = dict.fromkeys(node)
    result.update(zip(sorted_keys(node), children, strict=True))
    return result


def _join_default(node: defaultdict, children: list[Any]) -> defaultdict:
    return defaultdict(node.default_factory, _join_dict(node, children))


def _split_ordered(node: OrderedDict) -> tuple[Sequence[Any], Sequence[Any]]:
    return list(node.values()), list(node)


def _join_ordered(node: OrderedDict, children: list[Any]) -> OrderedDict:
    return OrderedDict(zip(node, children, strict=True))


def _match_dict(node: dict, other: Any) -> Sequence[Any]:
    if type(other) not in (dict, OrderedDict, defaultdict):
        raise Mismatch(f"expected an instance of {_name(type(node))}")
    keys = list(node) if type(node) is OrderedDict else sorted_keys(node)
    if node.keys() != other.keys():
        missing = [key for key in keys if key not in other]
        extra = [key for key in other if key not in node]
        raise Mismatch(
            f"dictionary key mismatch: expected keys {keys}"
            + (f", {missing} are missing" if missing else "")
            + (f", {extra} are too many" if extra else "")
        )
    return [other[key] for key in keys]


def _join_named(node: Any, children: list[Any]) -> Any:
    return type(node)(*children)


def _join_struct(node: Any, children: list[Any]) -> Any:
    return type(node)(children)


def _registered_parts(node: Any) -> tuple[Sequence[Any], Any, Sequence[Any]]:
    children, metadata, *entries = node.tree_flatten()
    children = tuple(children)
    keys = entries[0] if entries and entries[0] is not None else range(len(children))
    return children, metadata, tuple(keys)


def _split_registered(node: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    children, _, keys = _registered_parts(node)
    return children, keys


def _join_registered(node: Any, children: list[Any]) -> Any:
    return type(node).tree_unflatten(_registered_parts(node)[1], tuple(children))


def _match_registered(node: Any, other: Any) -> Sequence[Any]:
    if type(other) is not type(node):
        raise Mismatch(f"expected an instance of {_name(type(node))}")
    children, metadata, _ = _registered_parts(node)
    theirs, other_metadata, _ = _registered_parts(other)
    if len(children) == len(theirs) and metadata != other_metadata:
        raise Mismatch(
            f"Node context mismatch: expected {_name(type(node))} with {metadata!r},"
            f" its own data there are {other_metadata!r}"
        )
    if len(children) != len(theirs):
        raise Mismatch(
            f"Node arity mismatch: expected {_name(type(node))} with {len(children)} children,"
            f" the number there is {len(theirs)}"
        )
    return theirs


NAMED = Kind(_split_sequence, _join_named, _match_sequence)
STRUCT = Kind(_split_sequence, _join_struct, _match_sequence)
REGISTERED = Kind(_split_registered, _join_registered, _match_registered)

KINDS: dict[type, Kind] = {
    list: Kind(_split_sequence, lambda node, children: children, _match_sequence),
    tuple: Kind(_split_sequence, lambda node, children: tuple(children), _match_sequence),
    deque: Kind(
        _split_sequence, lambda node, children: deque(children, node.maxlen), _match_sequence
    ),
    dict: Kind(_split_dict, _join_dict, _match_dict),
    defaultdict: Kind(_split_dict, _join_default, _match_dict),
    OrderedDict: Kind(_split_ordered, _join_ordered, _match_dict),
}


def register_tree_node_class(cls: type) -> type:
    """Make instances of `cls` nodes; usable as a decorator.

    The class has a method `tree_flatten()` that returns the children, comparable metadata and,
    optionally, the entries of the children's paths, and a class method
    `tree_unflatten(metadata, children)` that makes an instance again.
    """
    for method in ("tree_flatten", "tree_unflatten"):
        if not callable(getattr(cls, method, None)):
            raise ArgumentTypeError(
                explain(
                    "register_tree_node_class",
                    "a class with the methods tree_flatten and tree_unflatten",
                    f"{_name(cls)}, which has no {method}",
                )
            )
    KINDS[cls] = REGISTERED
    return cls


def _kind(value: Any) -> Kind | None:
    """The kind of a node, None for a leaf."""
    kind = KINDS.get(type(value))
    if kind is None and isinstance(value, tuple):
        return _tuple_kind(type(value))
    return kind


def _tuple_kind(cls: type) -> Kind | None:
    fields = getattr(cls, "_fields", None)
    if isinstance(fields, tuple) and all(isinstance(field, str) for field in fields):
        return NAMED
    if isinstance(getattr(cls, "n_sequence_fields", None), int):
        return STRUCT
    return None


# ---- walks ---------------------------------------------------------------------------------------
# Plain loops and one frame a level: a structure may be as deep as Python's recursion limit.


def _leaves(structure: Any, leaves: list[Any]) -> None:
    kind = _kind(structure)
    if kind is None:
        leaves.append(structure)
        return
    for child in kind.split(structure)[0]:
        _leaves(child, leaves)


def _paths(structure: Any, path: tuple, found: list[tuple[tuple, Any]]) -> None:
    kind = _kind(structure)
    if kind is None:
        found.append((path, structure))
        return
    children, entries = kind.split(structure)
    for entry, child in zip(entries, children, strict=True):
        _paths(child, (*path, entry), found)


def _map(func: Callable, structure: Any, is_leaf: Callable[[Any], bool] | None) -> Any:
    kind = None if is_leaf is not None and is_leaf(structure) else _kind(structure)
    if kind is None:
        return func(structure)
    children = []
    for child in kind.split(structure)[0]:
        children.append(_map(func, child, is_leaf))
    return kind.join(structure, children)


def _rebuild(structure: Any, leaves: Iterator[Any], none_is_leaf: bool = True) -> Any:
    """A structure like `structure` with the next leaves in it."""
    kind = _kind(structure)
    if kind is None:
        return structure if structure is None and not none_is_leaf else next(leaves)
    children = []
    for child in kind.split(structure)[0]:
        children.append(_rebuild(child, leaves, none_is_leaf))
    return kind.join(structure, children)


def _leaves_up_to(
    where: str, structure: Any, other: Any, found: list[Any], none_is_leaf: bool, path: tuple = ()
) -> None:
    """The parts of `other` that stand where `structure` has leaves."""
    if structure is None and not none_is_leaf:
        if other is not None:
            raise _differs(where, "expected None", other, path)
        return
    kind = _kind(structure)
    if kind is None:
        found.append(other)
        return
    try:
        theirs = kind.match(structure, other)
    except Mismatch as mismatch:
        raise _differs(where, str(mismatch), other, path) from None
    children, entries = kind.split(structure)
    for entry, child, their in zip(entries, children, theirs, strict=True):
        _leaves_up_to(where, child, their, found, none_is_leaf, (*path, entry))


def _differs(where: str, wanted: str, other: Any, path: tuple) -> ArgumentError:
    place = "".join(f"[{entry!r}]" for entry in path)
    return ArgumentError(
        explain(
            where,
            f"structures that nest alike: {wanted}",
            f"{_name(type(other))} {_short(other)}" + (f" at {place}" if place else ""),
        )
    )


def _check_leaf(where: str, value: Any, none_is_leaf: bool = True) -> None:
    if _kind(value) is not None or (value is None and not none_is_leaf):
        raise ArgumentError(
            explain(
                where,
                "structures that nest alike, and these don't have the same nested structure:"
                " one has a leaf where another goes on",
                f"{_name(type(value))} {_short(value)} in the place of a leaf",
            )
        )


def _check_callable(where: str, func: Any) -> None:
    if not callable(func):
        raise ArgumentTypeError(
            explain(where, "a callable as func", f"{_short(func)} of type {_name(type(func))}")
        )


def _check_some(where: str, structures: tuple) -> None:
    if not structures:
        raise ArgumentError(explain(where, "at least one structure", "none"))


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


# ---- keras.tree ----------------------------------------------------------------------------------


def is_nested(structure: Any) -> bool:
    """Whether a structure is a node: a container, even an empty one, and no leaf."""
    return _kind(structure) is not None


def flatten(structure: Any) -> list[Any]:
    """The leaves of a structure in order; `[structure]` for a leaf. None is a leaf."""
    leaves: list[Any] = []
    _leaves(structure, leaves)
    return leaves


def flatten_with_path(structure: Any) -> list[tuple[tuple, Any]]:
    """Pairs of path and leaf, in the order of `flatten`; a path is a tuple of indices and keys."""
    found: list[tuple[tuple, Any]] = []
    _paths(structure, (), found)
    return found


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """The structure with `func` tried on every node and leaf of it, depth first.

    Where `func` returns None the part stays and its children are visited; anything else replaces
    the part as a whole, MAP_TO_NONE replaces it by None. Top down, a node is offered before its
    children; otherwise after them, with the children already replaced.

    Errors: ArgumentTypeError when `func` cannot be called.
    """
    _check_callable("traverse", func)
    return _traverse(func, structure, top_down)


def _traverse(func: Callable[[Any], Any], structure: Any, top_down: bool) -> Any:
    result = func(structure) if top_down else None
    if result is None:
        kind = _kind(structure)
        if kind is not None:
            children = []
            for child in kind.split(structure)[0]:
                children.append(_traverse(func, child, top_down))
            structure = kind.join(structure, children)
        if not top_down:
            result = func(structure)
        if result is None:
            return structure
    return None if result is MAP_TO_NONE else result


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """A structure like the first, its leaves `func(leaf, ...)` of the leaves of all structures.

    dict, OrderedDict and defaultdict with equal keys fit together. With `none_is_leaf=False` a
    None stays None and `func` does not see it.

    Errors: ArgumentError without a structure, or with structures that nest differently;
    ArgumentTypeError when `func` cannot be called.
    """
    _check_callable("map_structure", func)
    _check_some("map_structure", structures)
    first, *others = structures
    if not others:
        if none_is_leaf:
            return _map(func, first, None)
        return _map(lambda leaf: None if leaf is None else func(leaf), first, None)
    columns: list[list[Any]] = [[] for _ in structures]
    for column, structure in zip(columns, structures, strict=True):
        _leaves_up_to("map_structure", first, structure, column, none_is_leaf)
        for value in column:
            _check_leaf("map_structure", value, none_is_leaf)
    return _rebuild(first, iter([func(*row) for row in zip(*columns, strict=True)]), none_is_leaf)


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """A structure like `shallow_structure`, its leaves `func(part, ...)` of what the structures
    have in those places, which may be nested.

    Errors: ArgumentError without a structure, or when one is shallower or nests differently;
    ArgumentTypeError when `func` cannot be called.
    """
    _check_callable("map_structure_up_to", func)
    _check_some("map_structure_up_to", structures)
    columns: list[list[Any]] = [[] for _ in structures]
    for column, structure in zip(columns, structures, strict=True):
        _leaves_up_to("map_structure_up_to", shallow_structure, structure, column, True)
    return _rebuild(shallow_structure, iter([func(*row) for row in zip(*columns, strict=True)]))


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raise ArgumentError unless `a` and `b` nest alike; leaves may differ.

    `check_types` does nothing any more and warns when given: types are always compared.
    """
    if check_types is not None:
        warnings.warn(
            "The argument check_types of assert_same_structure is deprecated and does nothing:"
            " types are always compared.",
            DeprecationWarning,
            stacklevel=2,
        )
    found: list[Any] = []
    _leaves_up_to("assert_same_structure", a, b, found, True)
    for value in found:
        _check_leaf("assert_same_structure", value)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise ArgumentError unless `a` and `b` have leaves at the same paths; types may differ."""
    ours = [path for path, _ in flatten_with_path(a)]
    theirs = [path for path, _ in flatten_with_path(b)]
    missing, extra = [x for x in ours if x not in theirs], [x for x in theirs if x not in ours]
    if missing or extra:
        raise ArgumentError(
            explain(
                "assert_same_paths",
                "leaves at the same paths, and `a` and `b` don't have the same paths",
                " and ".join(
                    f"paths only in `{name}`: {_short(paths)}"
                    for name, paths in (("a", missing), ("b", extra))
                    if paths
                ),
            )
        )


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """A structure like `structure` with the items of `flat_sequence` as leaves.

    Errors: ArgumentError when there are too few or too many items; ArgumentTypeError when
    `flat_sequence` is no iterable.
    """
    if not isinstance(flat_sequence, Iterable):
        raise ArgumentTypeError(
            explain(
                "pack_sequence_as",
                "an iterable of leaves",
                f"{_short(flat_sequence)} of type {_name(type(flat_sequence))}",
            )
        )
    items = list(flat_sequence)
    count = len(flatten(structure))
    if len(items) != count:
        raise ArgumentError(
            explain(
                "pack_sequence_as",
                f"one item for each leaf of the structure, number of leaves expected: {count}",
                f"too {'few' if len(items) < count else 'many'} leaves, {len(items)}",
            )
        )
    return _rebuild(structure, iter(items))


def lists_to_tuples(structure: Any) -> Any:
    """The structure with every list in it, whatever its depth, turned into a tuple."""
    return _traverse(lambda node: tuple(node) if isinstance(node, list) else None, structure, False)


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """The structure with `func` applied to each shape in it.

    A list or tuple that holds nothing but integers and None is a shape, and a leaf.

    Errors: ArgumentTypeError when `func` cannot be called.
    """
    _check_callable("map_shape_structure", func)
    return _map(func, structure, _is_shape)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        size is None or isinstance(size, int) for size in value
    )

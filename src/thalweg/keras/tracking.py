"""Tracking: which attributes of a layer are variables, layers, metrics and seed generators.

Lists, dicts and sets that are set as attributes become ones that notice what is put into them, and
nest as they did.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.tree import register_tree_node_class, sorted_keys


class Tracker:
    """Sorts what a layer is given into stores, by the first test that fits.

    `stores` maps a name to a test and the list to keep what passes it.
    """

    def __init__(
        self,
        stores: Mapping[str, tuple[Callable[[Any], bool], list]],
        exclusions: Mapping[str, Iterable[str]] | None = None,
    ):
        self.stores = dict(stores)
        self.exclusions = {name: tuple(each) for name, each in (exclusions or {}).items()}
        self.ids: dict[str, set[int]] = {name: set() for name in stores}
        self.message: str | None = None

    def track(self, value: Any) -> Any:
        """Keep a value where it belongs; containers come back as ones that track."""
        if getattr(value, "_is_untracked", False):
            return value
        for name, (test, store) in self.stores.items():
            if not test(value):
                continue
            if any(id(value) in self.ids[other] for other in self.exclusions.get(name, ())):
                return value
            if id(value) not in self.ids[name]:
                self._check_open(value)
                self.ids[name].add(id(value))
                store.append(value)
            return value
        if isinstance(value, (TrackedList, TrackedDict, TrackedSet)):
            return value
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*map(self.track, value))
        if type(value) is tuple:
            return tuple(map(self.track, value))
        if type(value) is list:
            return TrackedList(value, self)
        if type(value) is dict:
            return TrackedDict(value, self)
        if type(value) is OrderedDict:
            return TrackedOrderedDict(value, self)
        if type(value) is set:
            return TrackedSet(value, self)
        return value

    def untrack(self, value: Any) -> None:
        """Let go of a value."""
        for name, (_, store) in self.stores.items():
            if id(value) in self.ids[name]:
                self.ids[name].discard(id(value))
                store[:] = [each for each in store if each is not value]

    def add_to_store(self, name: str, value: Any) -> None:
        """Keep a value in a store, whatever the tests say."""
        self._check_open(value)
        self.stores[name][1].append(value)
        self.ids[name].add(id(value))

    def is_in_store(self, name: str, value: Any) -> bool:
        """True if the store holds the value."""
        return id(value) in self.ids[name]

    def lock(self, message: str | None = None) -> None:
        """From now on refuse what is new."""
        self.message = message or "You cannot add new elements of state to a locked tracker."

    def unlock(self) -> None:
        """Take new values again."""
        self.message = None

    @property
    def locked(self) -> bool:
        """True while new values are refused."""
        return self.message is not None

    def _check_open(self, value: Any) -> None:
        if self.message is not None:
            raise ArgumentError(
                explain(
                    getattr(value, "name", type(value).__name__),
                    "to be made before the layer is built",
                    self.message,
                    "Make weights and sub-layers in __init__() or build().",
                )
            )


@register_tree_node_class
class TrackedList(list):
    """A list whose elements a tracker knows."""

    def __init__(self, values: Iterable[Any] = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__(map(tracker.track, values) if tracker else values)

    def append(self, value: Any) -> None:
        super().append(self.tracker.track(value) if self.tracker else value)

    def insert(self, index: Any, value: Any) -> None:
        super().insert(index, self.tracker.track(value) if self.tracker else value)

    def extend(self, values: Iterable[Any]) -> None:
        super().extend(map(self.tracker.track, values) if self.tracker else values)

    def __iadd__(self, values: Iterable[Any]) -> "TrackedList":  # type: ignore[misc]
        self.extend(values)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.tracker:
            for each in self[index] if isinstance(index, slice) else [self[index]]:
                self.tracker.untrack(each)
            many = isinstance(index, slice)
            value = [self.tracker.track(v) for v in value] if many else self.tracker.track(value)
        super().__setitem__(index, value)

    def remove(self, value: Any) -> None:
        if self.tracker:
            self.tracker.untrack(value)
        super().remove(value)

    def pop(self, index: Any = -1) -> Any:
        value = super().pop(index)
        if self.tracker:
            self.tracker.untrack(value)
        return value

    def clear(self) -> None:
        if self.tracker:
            for value in self:
                self.tracker.untrack(value)
        super().clear()

    def __delitem__(self, index: Any) -> None:
        if self.tracker:
            for value in self[index] if isinstance(index, slice) else [self[index]]:
                self.tracker.untrack(value)
        super().__delitem__(index)

    def __reduce__(self) -> tuple:
        return TrackedList, (list(self),)

    def tree_flatten(self) -> tuple:
        """The elements, as a node of `keras.tree`."""
        return self, None

    @classmethod
    def tree_unflatten(cls, _: None, children: Iterable[Any]) -> "TrackedList":
        """A list of these elements, which no tracker knows."""
        return cls(children)


@register_tree_node_class
class TrackedDict(dict):
    """A dict whose values a tracker knows."""

    def __init__(self, values: Any = (), tracker: Tracker | None = None):
        self.tracker = tracker
        pairs = dict(values)
        super().__init__({k: tracker.track(v) for k, v in pairs.items()} if tracker else pairs)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, self.tracker.track(value) if self.tracker else value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        value = super().pop(key, *default)
        if self.tracker:
            self.tracker.untrack(value)
        return value

    def popitem(self) -> tuple[Any, Any]:
        key, value = super().popitem()
        if self.tracker:
            self.tracker.untrack(value)
        return key, value

    def clear(self) -> None:
        if self.tracker:
            for value in self.values():
                self.tracker.untrack(value)
        super().clear()

    def __delitem__(self, key: Any) -> None:
        if self.tracker:
            self.tracker.untrack(self[key])
        super().__delitem__(key)

    def __reduce__(self) -> tuple:
        return type(self), (dict(self),)

    def _order(self) -> list[Any]:
        return sorted_keys(self)

    def tree_flatten(self) -> tuple:
        """The values in the order of their keys, as a node of `keras.tree`."""
        keys = self._order()
        return [self[key] for key in keys], keys, keys

    @classmethod
    def tree_unflatten(cls, keys: Iterable[Any], children: Iterable[Any]) -> "TrackedDict":
        """A dict of these values, which no tracker knows."""
        return cls(zip(keys, children, strict=True))


@register_tree_node_class
class TrackedOrderedDict(TrackedDict, OrderedDict):
    """An OrderedDict whose values a tracker knows."""

    def popitem(self, last: bool = True) -> tuple[Any, Any]:
        key, value = OrderedDict.popitem(self, last)
        if self.tracker:
            self.tracker.untrack(value)
        return key, value

    def _order(self) -> list[Any]:
        return list(self)


@register_tree_node_class
class TrackedSet(set):
    """A set whose elements a tracker knows."""

    def __init__(self, values: Iterable[Any] = (), tracker: Tracker | None = None):
        self.tracker = tracker
        super().__init__({tracker.track(value) for value in values} if tracker else values)

    def add(self, value: Any) -> None:
        super().add(self.tracker.track(value) if self.tracker else value)

    def update(self, *others: Iterable[Any]) -> None:
        for values in others:
            for value in values:
                self.add(value)

    def remove(self, value: Any) -> None:
        if self.tracker:
            self.tracker.untrack(value)
        super().remove(value)

    def pop(self) -> Any:
        value = super().pop()
        if self.tracker:
            self.tracker.untrack(value)
        return value

    def clear(self) -> None:
        if self.tracker:
            for value in self:
                self.tracker.untrack(value)
        super().clear()

    def __reduce__(self) -> tuple:
        return TrackedSet, (set(self),)

    def tree_flatten(self) -> tuple:
        """The elements, as a node of `keras.tree`."""
        return self, None

    @classmethod
    def tree_unflatten(cls, _: None, children: Iterable[Any]) -> "TrackedSet":
        """A set of these elements, which no tracker knows."""
        return cls(children)

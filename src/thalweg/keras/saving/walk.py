"""The way through a model on which its state is saved and loaded.

    object                {path}: what its save_own_variables(store) and save_assets(folder) give
    object in attribute   {path}/{attribute}
    list, tuple, dict     {path}/{attribute}/{snake_case class}, the second of a class `_1`, ...
    container in one      {path}/{attribute}/container, container_1, ...

The `layers` of functional and sequential models come first, then attributes in the order of their
names, those with an underscore last; what every object of a kind has is left out. An object that is
met again is not saved again, and when loading it may be found at any of its paths.

A subclass of these kinds is walked through; of the package's own state only what is named here is
part of the way, so that files do not depend on how classes are written inside.
"""

import contextlib
import functools
import os
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from thalweg.base.errors import ArgumentError, explain
from thalweg.base.frames import outer_level
from thalweg.keras.naming import to_snake_case
from thalweg.keras.saving.files import FileError, refused
from thalweg.keras.saving.registration import builtin
from thalweg.keras.saving.stores import WeightsReader, WeightsWriter
from thalweg.keras.saving.zips import is_plain_name

KINDS = ("Layer", "Metric", "Loss", "Optimizer", "Operation")
"""What is walked through, by the public names of the base classes."""

PARTS_OF_MODELS = frozenset({"layers", "loss", "optimizer"})
"""What a model has of its own that holds state."""

LISTED = 5
"""So many objects are described in an error."""


class Saveable:
    """For other classes that hold layers or state: attributes of a subclass are walked through."""


@functools.cache
def _kinds() -> tuple[type, ...]:
    return (*(builtin("keras", name) for name in KINDS), Saveable)


def is_saveable(value: Any) -> bool:
    """True for what is an object on the way, not a container or a value."""
    return isinstance(value, _kinds())


@functools.cache
def _base_names(kind: type) -> frozenset[str]:
    """The attributes that all objects of a kind have."""
    layer, metric, loss, optimizer, _, _ = _kinds()
    samples: dict[type, Any] = {
        layer: lambda: layer(name="sample"),
        metric: lambda: metric(name="sample"),
        loss: lambda: loss(name="sample"),
        optimizer: lambda: optimizer(1.0, name="sample"),
    }
    sample = samples[kind]() if kind in samples else kind
    return frozenset(dir(sample))


@functools.cache
def _skipped(cls: type) -> frozenset[str]:
    """The attributes of a class that are no part of the way."""
    kind = next(each for each in _kinds() if issubclass(cls, each))
    names = _base_names(kind)
    model, functional, sequential = (
        builtin("keras", name) for name in ("Model", "Functional", "Sequential")
    )
    if issubclass(cls, model):
        names |= frozenset(dir(model(name="sample"))) - PARTS_OF_MODELS
    for inner in (functional, sequential):
        if issubclass(cls, inner):
            names |= frozenset(dir(inner)) - PARTS_OF_MODELS
            names |= {"_functional", "_graph"}
    return names


def children(obj: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object that are objects on the way or containers, in their order."""
    lists_layers = (builtin("keras", "Functional"), builtin("keras", "Sequential"))
    if isinstance(obj, lists_layers):
        yield "layers", obj.layers
    skipped = _skipped(type(obj))  # type: ignore[arg-type]
    for name in sorted(dir(obj), key=lambda name: (name.startswith("_"), name)):
        if name.startswith("__") or name in skipped:
            continue
        try:
            value = getattr(obj, name)
        except Exception:  # a property may fail in any way; it is not this walk's concern
            continue
        if is_saveable(value) or isinstance(value, (list, tuple, dict)):
            yield name, value


def members(container: Any) -> Iterator[tuple[str, Any]]:
    """The objects and containers in a container, under names that depend on classes alone."""
    counts: dict[str, int] = {}
    for value in container.values() if isinstance(container, dict) else container:
        if is_saveable(value):
            name = to_snake_case(type(value).__name__)
        elif isinstance(value, (list, tuple, dict)):
            name = "container"
        else:
            continue
        count = counts.get(name, 0)
        counts[name] = count + 1
        yield (f"{name}_{count}" if count else name), value


class AssetsFolder:
    """The files that objects keep beside their variables: a folder for each object's path."""

    def __init__(self, root: str):
        self.root = root

    def _place(self, path: str) -> str:
        parts = path.split("/") if path else []
        if not all(is_plain_name(part) for part in parts):
            raise refused(self.root, f"the path {path!r} for assets")
        return os.path.join(self.root, *parts)

    def make(self, path: str) -> str:
        """The folder of an object, made if it is not there."""
        place = self._place(path)
        os.makedirs(place, exist_ok=True)
        return place

    def get(self, path: str) -> str | None:
        """The folder of an object, or None."""
        place = self._place(path)
        return place if os.path.isdir(place) else None

    def has_path(self, path: str) -> bool:
        """True if there is anything at a path."""
        return os.path.exists(self._place(path))


# ---- saving --------------------------------------------------------------------------------------


def save_state(
    obj: Any,
    weights: WeightsWriter | None,
    assets: AssetsFolder | None = None,
    skip: Iterable[Any] = (),
) -> None:
    """Write the state of an object and of all that it holds, except `skip`."""
    _Saving(weights, assets, skip).visit(obj, "")


class _Saving:
    def __init__(
        self, weights: WeightsWriter | None, assets: AssetsFolder | None, skip: Iterable[Any]
    ):
        self.weights = weights
        self.assets = assets
        self.done = {id(each) for each in skip}

    def visit(self, obj: Any, path: str) -> None:
        if id(obj) in self.done:
            return
        self.done.add(id(obj))
        if self.weights is not None and hasattr(obj, "save_own_variables"):
            name = getattr(obj, "name", None)
            entry = self.weights.make(path, name if isinstance(name, str) else None)
            obj.save_own_variables(entry)
        if self.assets is not None and hasattr(obj, "save_assets"):
            obj.save_assets(self.assets.make(path))
        for name, value in children(obj):
            self._go_on(value, f"{path}/{name}" if path else name, set())

    def _go_on(self, value: Any, path: str, containers: set[int]) -> None:
        if is_saveable(value):
            self.visit(value, path)
        elif id(value) not in containers:
            containers.add(id(value))
            for name, each in members(value):
                self._go_on(each, f"{path}/{name}", containers)


# ---- loading -------------------------------------------------------------------------------------


class Failure(NamedTuple):
    """An object that could not be loaded: where, and why."""

    obj: Any
    path: str
    error: Exception


def load_state(
    obj: Any,
    weights: WeightsReader | None,
    assets: AssetsFolder | None = None,
    skip: Iterable[Any] = (),
) -> "Loading":
    """Read the state of an object and of all that it holds, except `skip`; `failures` is left."""
    loading = Loading(weights, assets, skip)
    loading.visit(obj, "")
    return loading


class Loading:
    """A walk that loads: what was done, and what could not be."""

    def __init__(
        self, weights: WeightsReader | None, assets: AssetsFolder | None, skip: Iterable[Any]
    ):
        self.weights = weights
        self.assets = assets
        self.done = {id(each) for each in skip}
        self.failures: dict[int, Failure] = {}
        self.paths: set[str] = set()
        self._underway: set[int] = set()

    def visit(self, obj: Any, path: str) -> None:
        """Load an object from a path, unless it was loaded from another."""
        if id(obj) in self.done or id(obj) in self._underway:
            return
        self._underway.add(id(obj))
        is_loaded = self._load_own(obj, path)
        failed = len(self.failures)
        for name, value in children(obj):
            self._go_on(value, f"{path}/{name}" if path else name, set())
        self._underway.discard(id(obj))
        if is_loaded:
            if len(self.failures) <= failed:
                self.done.add(id(obj))
            self.failures.pop(id(obj), None)

    def _load_own(self, obj: Any, path: str) -> bool:
        try:
            if self.weights is not None and hasattr(obj, "load_own_variables"):
                obj.load_own_variables(self.weights.get(path))
                self.paths.add(path)
            if self.assets is not None and hasattr(obj, "load_assets"):
                obj.load_assets(self.assets.get(path))
        except Exception as error:  # it may be loaded from another path; else it is reported
            self.failures[id(obj)] = Failure(obj, path, error)
            return False
        return True

    def _go_on(self, value: Any, path: str, containers: set[int]) -> None:
        if is_saveable(value):
            self.visit(value, path)
            return
        if id(value) in containers:
            return
        containers.add(id(value))
        for name, each in members(value):
            inner = f"{path}/{name}"
            if is_saveable(each) or self._has(inner):
                self._go_on(each, inner, containers)
            else:
                self._pass_by(each, inner, containers)

    def _has(self, path: str) -> bool:
        return any(each is not None and each.has_path(path) for each in (self.weights, self.assets))

    def _pass_by(self, container: Any, path: str, containers: set[int]) -> None:
        """Files of older versions lack what containers within containers hold."""
        failures, self.failures = self.failures, {}
        try:
            self._go_on(container, path, containers)
            lost = self.failures
        finally:
            self.failures = failures
        if lost:
            warnings.warn(
                f"Skipping nested container at '{path}': the file has nothing there, as files of "
                "older versions of Keras do. Kept as they were: "
                f"{', '.join(_label(each.obj) for each in lost.values())}.",
                stacklevel=outer_level(),
            )

    def report(self, origin: object) -> ArgumentError:
        """The error that says what could not be loaded, what was expected and what was found."""
        found = dict(self._shapes())
        shown = list(self.failures.values())[:LISTED]
        lines = [_described(each, found) for each in shown]
        count = len(self.failures)
        if count > len(shown):
            names = [_label(each.obj) for each in list(self.failures.values())[LISTED:]]
            lines.append(f"- and {len(names)} more: {', '.join(names)[:200]}")
        unused = [place for place in found if _owner(place) not in self.paths]
        if unused:
            lines.append(f"In the file, and loaded by nothing: {', '.join(unused)[:200]}")
        return ArgumentError(
            explain(
                f"load {origin}",
                f"state for every object of the model; a total of {count} objects could not be "
                "loaded",
                "a file that has:\n" + "\n".join(lines),
                "Load it into the model that was saved, or give skip_mismatch=True to load what "
                "fits.",
            )
        )

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        if self.weights is not None:
            with contextlib.suppress(FileError):
                yield from self.weights.shapes()


def _label(obj: Any) -> str:
    name = getattr(obj, "name", None)
    return f"{type(obj).__name__} {name!r}" if name else type(obj).__name__


def _owner(place: str) -> str:
    """The path of the object that an array in a file belongs to."""
    return place.rpartition("/")[0].removesuffix("vars").removesuffix("/")


def _described(failure: Failure, found: dict[str, tuple[int, ...]]) -> str:
    own = [
        f"{place.rpartition('/')[2]} {shape}"
        for place, shape in found.items()
        if _owner(place) == failure.path
    ]
    has = ", ".join(own)[:200] if own else "received 0 variables"
    message = getattr(failure.error, "message", None) or str(failure.error)
    first = message.replace("\n", " ")[:300] or type(failure.error).__name__
    return f"- {failure.path or 'the model'} ({_label(failure.obj)}): {has}. {first}"

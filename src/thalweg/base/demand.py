"""Names that a package hands on, imported when a program first asks for one.

    with on_demand(__name__):
        from thalweg.keras.layers.core.dense import Dense

No module is imported by this block. It notes where each name lives, and gives the package a
`__getattr__` (PEP 562) that imports a name's module when the name is first asked for and then keeps
it in the package, a `__dir__` that knows all names, and `__all__`. To type checkers, editors and
linters the block is the imports that it looks like, so it is the only list of these names.

Such a block stands in a package's `__init__`, or in a file that holds nothing else. Python looks up
the plain names of a file without asking anybody, so functions of the same file reach these names as
attributes of what the block gives: `with on_demand(__name__) as later`. A module that needs a thing
seldom imports a package or file that hands it on, and asks that when it comes to it.

An import statement calls `builtins.__import__`, which stands aside while a block runs: statements
of the block's own module get a stand-in, those of any other module and thread go on as ever.
"""

import builtins
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from thalweg.base.errors import explain

Place = tuple[str, str]
"""Where a name lives: the module to import, and the attribute of it."""

_packages: dict[str, "Names"] = {}
_turn = threading.RLock()  # blocks take turns, so that each puts back what it found


def on_demand(
    package: str, advise: Callable[[str], str | None] | None = None, first: str | None = None
) -> "Names":
    """The block around the imports of a package's names; `package` is its `__name__`.

    `advise` gives, for a name that is not there, the one to write instead, or None. The module
    `first` is imported before any name of another package.
    """
    return Names(package, advise, first)


def places_in(package: str) -> Mapping[str, Place]:
    """The names that a package, already imported, hands on by demand, and where they live."""
    names = _packages.get(package)
    return names.places if names is not None else {}


def value_of(place: Place) -> Any:
    """What lives there; its module is imported if need be."""
    module, name = place
    home = import_module(module)
    try:
        return getattr(home, name)
    except AttributeError:  # a module below, as `from module import name` finds them too
        below = f"{module}.{name}"
        try:
            return import_module(below)
        except ModuleNotFoundError as error:
            if error.name != below:
                raise
        raise


class Names:
    """The names of one package; its attributes are what the names stand for."""

    def __init__(self, package: str, advise: Callable[[str], str | None] | None, first: str | None):
        self.places: dict[str, Place] = {}
        self._package = package
        self._advise = advise
        self._first = first
        self._globals = vars(sys.modules[package])

    def __enter__(self) -> "Names":
        _turn.acquire()
        self._import = builtins.__import__
        builtins.__import__ = self._note
        return self

    def __exit__(self, *failure: object) -> None:
        builtins.__import__ = self._import
        _turn.release()
        found = {k: v.place for k, v in self._globals.items() if isinstance(v, _Name)}
        for name, place in found.items():
            del self._globals[name]
            if place[0] == f"{self._package}.{name}":
                # The first import of that module puts the module itself into the package.
                raise ImportError(
                    explain(
                        self._package,
                        "names on demand that no module beside it has",
                        f"{name} of the module {place[0]}",
                        "Give the module another name.",
                    )
                )
        self.places.update(found)
        self._globals["__getattr__"] = self.__getattr__
        self._globals["__dir__"] = lambda: sorted({*self._globals, *self.places})
        if "__path__" in self._globals:
            self._globals.setdefault("__all__", [*self.places])
        _packages[self._package] = self

    def _note(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        """What stands for `builtins.__import__` while the block runs."""
        if globals is not self._globals:
            return self._import(name, globals, locals, fromlist, level)
        if level or not fromlist or "*" in fromlist:
            wanted = "from module import name, with the whole name of the module"
            raise ImportError(explain(f"on_demand({self._package!r})", wanted, f"import {name}"))
        return _Module(name)

    def __getattr__(self, name: str) -> Any:
        if name in self._globals:  # asked for by way of `later`
            return self._globals[name]
        place = self.places.get(name)
        if place is None:
            return self._module(name)
        if place[0] == self._package:
            value: Any = import_module(".".join(place))
        else:
            if self._first is not None:
                import_module(self._first)
            value = value_of(place)
        self._globals[name] = value  # from now on without this function
        return value

    def _module(self, name: str) -> Any:
        """A module of the package that nobody has imported yet. Raises AttributeError."""
        if "__path__" in self._globals and not name.startswith("_"):
            whole = f"{self._package}.{name}"
            try:
                return import_module(whole)
            except ModuleNotFoundError as error:
                if error.name != whole:
                    raise
        raise AttributeError(self._message(name), name=name)

    def _message(self, name: str) -> str:
        if name.startswith("_"):  # asked for by Python's own machinery, and often
            return f"module {self._package!r} has no attribute {name!r}"
        close = self._advise(name) if self._advise is not None else None
        do = f"Did you mean {close or ', '.join(self._near(name))}?"
        return explain(self._package, "a name that it has", name, do if len(do) > 14 else "")

    def _near(self, name: str) -> list[str]:
        public = [each for each in self._globals["__dir__"]() if not each.startswith("_")]
        plain = name.replace("_", "").lower()
        same = [each for each in public if each.replace("_", "").lower() == plain]
        if same:
            return same
        # Only who makes a mistake waits for difflib, and for the regular expressions that it needs.
        near = import_module("difflib").get_close_matches
        return near(name, public, 3, 0.8) or near(name, public, 1)


class _Module:
    """Stands for a module in the statements of a block."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> "_Name":
        return _Name((self._name, name))


class _Name:
    """Stands for a name that a block imports, until the block ends."""

    __slots__ = ("place",)

    def __init__(self, place: Place):
        self.place = place

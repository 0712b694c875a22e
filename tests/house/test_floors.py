"""Imports go down the floors, without a cycle and in plain sight.

The checker reads source text and imports nothing, so a broken module can still be checked. It is
a function over a folder, and the tests at the end show it each fault on a small made-up tree.
"""

import ast
import textwrap
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "thalweg"

# Packages on one floor may import one another; that they do so without a cycle is checked too.
FLOORS = {
    "base": 0,
    "ir": 1,
    "ops": 2,
    "transforms": 3,
    "passes": 4,
    "loops": 5,
    "backends": 6,
    "engine": 7,
    "array": 8,
    "keras": 9,
    "data": 9,
    "transform": 9,
    "tools": 10,
}
ROOF = 11  # the package's own __init__.py and __main__.py, which see everything

NAMELESS = {"utils", "helpers", "common", "misc"}
GIVEN_NAME = "thalweg/keras/utils/"  # a public name of Keras, which programs import
DOOR = "door.py"  # the file through which a backend reaches its third-party library


class Import(NamedTuple):
    """One import of a module of the package by another."""

    target: str
    line: int
    is_hidden: bool  # inside a function
    is_typing_only: bool  # under `if TYPE_CHECKING:`


# ---- the checker ---------------------------------------------------------------------------------


def faults(package: Path) -> list[str]:
    """Every breach of the house rules in the tree under `package`, one line each."""
    sources = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    folders = {module_name(path.parent, package) for path in sources.values()}
    imports = {
        name: list(imports_of(path, name, package.name, sources.keys() | folders))
        for name, path in sources.items()
    }
    found = []
    for name, path in sources.items():
        place = path.relative_to(package.parent).as_posix()
        found += name_faults(place)
        if floor_of(name) is None:
            found.append(f"{place}: {name} stands on no floor; add its package to FLOORS")
        for item in imports[name]:
            found += floor_faults(place, name, item)
        found += hidden_faults(path, place)
    found += cycle_faults(imports)
    return found


def module_name(path: Path, package: Path) -> str:
    """The dotted name of a file or folder: `.../thalweg/ir/__init__.py` is `thalweg.ir`."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(name: str) -> int | None:
    """The floor of a module, or None for a package that the table does not know."""
    _, *inner = name.split(".")
    return ROOF if not inner or inner == ["__main__"] else FLOORS.get(inner[0])


def import_statements(
    node: ast.AST, is_hidden: bool = False, is_typing_only: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """Every import statement below `node`: the statement, is it hidden, is it for types only."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, is_hidden, is_typing_only
    is_hidden = is_hidden or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    guarded = node.body if isinstance(node, ast.If) and is_type_checking(node.test) else []
    for child in ast.iter_child_nodes(node):
        yield from import_statements(child, is_hidden, is_typing_only or child in guarded)


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING` or `typing.TYPE_CHECKING`."""
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def imports_of(path: Path, name: str, root: str, known: set[str]) -> Iterator[Import]:
    """What the module `name` imports from the package `root`; other packages are left out.

    `from a.b import c` names the module `a.b.c` where there is one and `a.b` otherwise. That
    importing `a.b.c` also runs `a` and `a.b` is not counted, or every module would import the root.
    """
    home = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for statement, is_hidden, is_typing_only in import_statements(ast.parse(path.read_bytes())):
        if isinstance(statement, ast.Import):
            targets = [alias.name for alias in statement.names]
        else:
            above = home[: len(home) - statement.level + 1] if statement.level else []
            base = ".".join([*above, *filter(None, [statement.module])])
            inner = [f"{base}.{alias.name}" for alias in statement.names]
            targets = [target if target in known else base for target in inner]
        for target in dict.fromkeys(targets):
            if target.split(".")[0] == root:
                yield Import(target, statement.lineno, is_hidden, is_typing_only)


def name_faults(place: str) -> Iterator[str]:
    for part in place.removeprefix(GIVEN_NAME).removesuffix(".py").split("/"):
        if part in NAMELESS:
            yield f"{place}: '{part}' names nothing; call it after what lives there"


def floor_faults(place: str, name: str, item: Import) -> Iterator[str]:
    here, there = floor_of(name), floor_of(item.target)
    if there is None:
        yield f"{place}:{item.line}: {item.target} stands on no floor"
    elif here is not None and there > here:
        yield (
            f"{place}:{item.line}: a step upward, from {name} (floor {here})"
            f" to {item.target} (floor {there})"
        )


def hidden_faults(path: Path, place: str) -> Iterator[str]:
    """Imports of any library inside a function; only a door may have them."""
    if path.name == DOOR:
        return
    for statement, is_hidden, _ in import_statements(ast.parse(path.read_bytes())):
        if is_hidden:
            yield f"{place}:{statement.lineno}: an import hidden inside a function"


def cycle_faults(imports: dict[str, list[Import]]) -> Iterator[str]:
    """The first cycle among the modules, if there is one."""
    graph = {
        name: {item.target for item in items if not item.is_typing_only}
        for name, items in imports.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = error.args[1][:0:-1]  # each imports the next; the repeated one is dropped
        first = cycle.index(min(cycle))
        ring = [*cycle[first:], *cycle[: first + 1]]
        yield f"a cycle of imports: {' -> '.join(ring)}"


# ---- the house -----------------------------------------------------------------------------------


def test_the_house_stands():
    assert list(PACKAGE.rglob("*.py")), f"no modules under {PACKAGE.name}: nothing was checked"
    found = faults(PACKAGE)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


# ---- the checker itself, on made-up houses -------------------------------------------------------

SOUND = {
    "__init__.py": "from thalweg.ir.node import Node\nfrom thalweg import keras",
    "base/text.py": "import os",
    "ir/__init__.py": "from .node import Node\nfrom thalweg.ir import walk",
    "ir/node.py": "from thalweg.base.text import show",
    "ir/walk.py": "from . import node\nfrom ..base import text",
    "backends/llvm/door.py": "def reach():\n    import llvmlite\n    return llvmlite",
    "data/pipeline.py": "from thalweg.ir import Node",
    "keras/__init__.py": "import thalweg.data.pipeline",
    "keras/utils/__init__.py": "",
}


def build(folder: Path, files: dict[str, str]) -> Path:
    """Write `files` (path: source) as a package named thalweg and return its folder."""
    package = folder / "thalweg"
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source) + "\n", encoding="utf-8")
    return package


def test_a_sound_house_has_no_faults(tmp_path):
    assert faults(build(tmp_path, SOUND)) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"ir/node.py": "import numpy\nfrom thalweg.ops import sort", "ops/sort.py": ""},
            "thalweg/ir/node.py:2: a step upward, from thalweg.ir.node (floor 1)"
            " to thalweg.ops.sort (floor 2)",
            id="upward",
        ),
        pytest.param(
            {"base/text.py": "from ..ir.node import Node"},
            "thalweg/base/text.py:1: a step upward, from thalweg.base.text (floor 0)"
            " to thalweg.ir.node (floor 1)",
            id="upward, relative",
        ),
        pytest.param(
            {"ir/__init__.py": "from .. import keras", "keras/__init__.py": ""},
            "thalweg/ir/__init__.py:1: a step upward, from thalweg.ir (floor 1)"
            " to thalweg.keras (floor 9)",
            id="upward, relative, from a package",
        ),
        pytest.param(
            {"tools/see.py": "import thalweg as tw"},
            "thalweg/tools/see.py:1: a step upward, from thalweg.tools.see (floor 10)"
            " to thalweg (floor 11)",
            id="upward, to the roof",
        ),
        pytest.param(
            {
                "ir/node.py": """\
                    from typing import TYPE_CHECKING

                    if TYPE_CHECKING:
                        import thalweg.engine.tensor
                    """
            },
            "thalweg/ir/node.py:4: a step upward, from thalweg.ir.node (floor 1)"
            " to thalweg.engine.tensor (floor 7)",
            id="upward, for types only",
        ),
        pytest.param(
            {"ops/sort.py": "from . import index", "ops/index.py": "from .sort import sort"},
            "a cycle of imports: thalweg.ops.index -> thalweg.ops.sort -> thalweg.ops.index",
            id="cycle",
        ),
        pytest.param(
            {"ops/__init__.py": "from .sort import sort", "ops/sort.py": "from . import OPS"},
            "a cycle of imports: thalweg.ops -> thalweg.ops.sort -> thalweg.ops",
            id="cycle, through the package",
        ),
        pytest.param(
            {
                "data/read.py": "import thalweg.keras",
                "keras/__init__.py": "import thalweg.data.read",
            },
            "a cycle of imports: thalweg.data.read -> thalweg.keras -> thalweg.data.read",
            id="cycle, between packages on one floor",
        ),
        pytest.param(
            {"ir/node.py": "def show():\n    import json"},
            "thalweg/ir/node.py:2: an import hidden inside a function",
            id="hidden",
        ),
        pytest.param(
            {"ir/node.py": "class Node:\n    async def show(self):\n        from os import path"},
            "thalweg/ir/node.py:3: an import hidden inside a function",
            id="hidden, in a method",
        ),
        pytest.param(
            {"backends/llvm/door.py": "def reach():\n    from thalweg.engine import tensor"},
            "thalweg/backends/llvm/door.py:2: a step upward, from thalweg.backends.llvm.door"
            " (floor 6) to thalweg.engine (floor 7)",
            id="upward, through a door",
        ),
        pytest.param(
            {"engine/helpers.py": ""},
            "thalweg/engine/helpers.py: 'helpers' names nothing; call it after what lives there",
            id="name of a file",
        ),
        pytest.param(
            {"ir/common/node.py": ""},
            "thalweg/ir/common/node.py: 'common' names nothing; call it after what lives there",
            id="name of a folder",
        ),
        pytest.param(
            {"keras/utils/misc.py": ""},
            "thalweg/keras/utils/misc.py: 'misc' names nothing; call it after what lives there",
            id="name of a file in keras.utils",
        ),
        pytest.param(
            {"cellar/wine.py": ""},
            "thalweg/cellar/wine.py: thalweg.cellar.wine stands on no floor;"
            " add its package to FLOORS",
            id="no floor",
        ),
        pytest.param(
            {"ir/node.py": "import thalweg.cellar"},
            "thalweg/ir/node.py:1: thalweg.cellar stands on no floor",
            id="no floor, imported",
        ),
    ],
)
def test_a_fault_is_caught(tmp_path, files, expected):
    assert faults(build(tmp_path, files)) == [expected]


def test_an_import_for_types_makes_no_cycle(tmp_path):
    files = {
        "ops/sort.py": "from . import index",
        "ops/index.py": """\
            import typing

            if typing.TYPE_CHECKING:
                from .sort import sort
            else:
                sort = None
            """,
    }
    assert faults(build(tmp_path, files)) == []

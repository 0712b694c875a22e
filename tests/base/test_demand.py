"""Names on demand, on made-up packages: what a block notes, and when modules are imported."""

import builtins
import importlib
import sys
import textwrap
import threading

import pytest

from thalweg.base.demand import places_in, value_of

SOURCES = {
    "__init__": """
        from thalweg.base.demand import on_demand

        with on_demand(__name__) as later:
            from PACKAGE import inner
            from PACKAGE.shapes import Circle, area
            from PACKAGE.shapes import Circle as Disc
            from PACKAGE.solids import Sphere

        version = "1"

        def unit():
            return later.area(1)
        """,
    "shapes": """
        class Circle:
            pass

        def area(radius):
            return 3 * radius**2
        """,
    "solids": "from PACKAGE.shapes import Circle\n\nclass Sphere(Circle):\n    pass\n",
    "inner/__init__": "x = 1\n",
    "unlisted": "y = 2\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package(sources)` writes a package of a new name and imports it."""
    made = []

    def make(changes=None):
        name = f"demand_{len(made)}_{tmp_path.name}".replace("-", "_")
        for path, text in (SOURCES | (changes or {})).items():
            file = tmp_path / name / f"{path}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text).replace("PACKAGE", name))
        made.append(name)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    monkeypatch.syspath_prepend(tmp_path)
    yield make
    for name in [each for each in sys.modules if each.split(".")[0] in made]:
        del sys.modules[name]


def loaded(package):
    return {
        name.removeprefix(f"{package.__name__}.")
        for name in sys.modules
        if name.startswith(f"{package.__name__}.")
    }


def test_a_module_is_imported_when_one_of_its_names_is_first_asked_for(package):
    p = package()
    assert loaded(p) == set()
    circle = p.Circle
    assert loaded(p) == {"shapes"} and circle is sys.modules[f"{p.__name__}.shapes"].Circle
    assert vars(p)["Circle"] is circle  # kept: the next time nobody is asked
    assert p.Disc is circle and p.area(2) == 12
    assert p.inner.x == 1 and loaded(p) == {"shapes", "inner"}
    assert issubclass(p.Sphere, circle)


def test_functions_of_the_package_ask_what_the_block_gave(package):
    p = package()
    assert p.unit() == 3 and p.later.version == "1"


def test_all_names_are_known_before_any_is_imported(package):
    p = package()
    names = ["inner", "Circle", "area", "Disc", "Sphere"]
    assert p.__all__ == names and set(names) < set(dir(p))
    assert places_in(p.__name__)["Disc"] == (f"{p.__name__}.shapes", "Circle")
    assert loaded(p) == set()
    assert places_in("no.such.package") == {}


def test_star_takes_every_name(package):
    found = {}
    exec(f"from {package().__name__} import *", found)
    assert {"inner", "Circle", "area", "Disc", "Sphere"} < set(found) and "later" not in found


def test_a_list_of_its_own_stays(package):
    first = '__all__ = ["area"]\n' + textwrap.dedent(SOURCES["__init__"])
    assert package({"__init__": first}).__all__ == ["area"]


def test_reloading_notes_the_names_again(package):
    p = package()
    circle = p.Circle
    again = importlib.reload(p)
    assert "Circle" not in vars(again) and again.Circle is circle


def test_modules_that_no_block_names_are_found_too(package):
    p = package()
    assert p.unlisted.y == 2
    assert value_of((p.__name__, "unlisted")) is p.unlisted


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Circel", "Did you mean Circle?"),
        ("sphere", "Did you mean Sphere?"),
        ("AREA", "Did you mean area?"),
        ("quaternion", ""),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_nearest(package, name, advice):
    p = package()
    with pytest.raises(AttributeError) as caught:
        getattr(p, name)
    lines = [f"[{p.__name__}] wants a name that it has.", f"Received {name}.", advice]
    assert str(caught.value) == "\n".join(filter(None, lines))
    assert caught.value.name == name and loaded(p) == set()


def test_private_names_are_refused_in_short(package):
    p = package()
    with pytest.raises(AttributeError, match=r"^module '\w+' has no attribute '_Circel'$"):
        p._Circel  # noqa: B018


def test_errors_of_a_module_are_not_taken_for_a_missing_name(package):
    p = package({"shapes": "import no_such_library\n", "unlisted": "import no_such_library\n"})
    for name in ("Circle", "unlisted"):
        with pytest.raises(ModuleNotFoundError, match="no_such_library"):
            getattr(p, name)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("import math", "wants from module import name"),
        ("from math import *", "wants from module import name"),
        ("from . import shapes", "wants from module import name"),
        ("raise RuntimeError('in the block')", "in the block"),
    ],
)
def test_a_block_holds_plain_imports_only(package, statement, error):
    before = builtins.__import__
    first = (
        f"from thalweg.base.demand import on_demand\nwith on_demand(__name__):\n    {statement}\n"
    )
    with pytest.raises((ImportError, RuntimeError), match=error):
        package({"__init__": first})
    assert builtins.__import__ is before


def test_a_name_may_not_be_that_of_its_module(package):
    first = """
        from thalweg.base.demand import on_demand

        with on_demand(__name__):
            from PACKAGE.area import area
        """
    with pytest.raises(ImportError, match="Give the module another name"):
        package({"__init__": first, "area": "def area():\n    pass\n"})


def test_other_threads_import_while_a_block_runs(package, tmp_path):
    """A block that waits in its middle: imports of others get modules, not stand-ins."""
    (tmp_path / "bystander.py").write_text("value = 5\n")
    first = """
        import sys
        from thalweg.base.demand import on_demand

        with on_demand(__name__):
            from PACKAGE.shapes import Circle
            sys.wait_a_moment()
            from PACKAGE.shapes import area
        """
    entered, found = threading.Event(), []

    def other():
        entered.wait()
        import bystander  # noqa: PLC0415

        found.append(bystander.value)

    thread = threading.Thread(target=other)
    sys.wait_a_moment = lambda: (entered.set(), thread.join())
    thread.start()
    try:
        p = package({"__init__": first})
    finally:
        del sys.wait_a_moment
        sys.modules.pop("bystander", None)
    assert found == [5] and p.__all__ == ["Circle", "area"]


def test_threads_that_ask_at_once_get_the_same(package):
    p = package({"shapes": "import time\ntime.sleep(0.02)\nclass Circle:\n    pass\narea = len\n"})
    gate, found = threading.Barrier(8), []

    def ask(name):
        gate.wait()
        found.append((name, getattr(p, name)))

    names = ["Circle", "Disc", "Sphere", "area"] * 2
    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(value is getattr(p, name) for name, value in found)

"""What every test may use: golden texts (`golden`, `--update-golden`), and Hypothesis untimed."""

import difflib
import re
from collections.abc import Callable

import pytest
from hypothesis import settings

# A deadline is a timer in a test: it fails on a busy machine and says nothing about the code.
settings.register_profile("thalweg", deadline=None)
settings.load_profile("thalweg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the golden texts from what the tests now produce",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(name, text)` compares `text` with `golden/<name>.txt` beside the test's file.

    A file ends with one newline, whatever number `text` ends with. With `--update-golden` the
    file is written instead; without it, a missing or different file fails with the diff.
    """
    folder = request.path.parent / "golden"

    def compare(name: str, text: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise ValueError(f"golden wants a plain file name. Received: {name!r}.")
        path = folder / f"{name}.txt"
        shown = path.relative_to(request.config.rootpath).as_posix()
        received = text.rstrip("\n") + "\n"
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(received, encoding="utf-8", newline="\n")
            return
        advice = "If the new text is right, run pytest --update-golden."
        if not path.exists():
            pytest.fail(f"There is no {shown}. Received:\n\n{received}\n{advice}", pytrace=False)
        wanted = path.read_text(encoding="utf-8")
        if received != wanted:
            lines = difflib.unified_diff(
                wanted.splitlines(), received.splitlines(), shown, "received", lineterm=""
            )
            diff = "\n".join(lines)
            pytest.fail(f"The text differs from {shown}:\n\n{diff}\n\n{advice}", pytrace=False)

    return compare

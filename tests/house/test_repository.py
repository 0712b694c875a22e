"""The repository says the same thing everywhere: README, pyproject, Makefile and package."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def assigned(source: str, name: str) -> object:
    """The literal that a module assigns to `name`, found without importing the module."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return ast.literal_eval(value)
    raise LookupError(f"nothing assigns {name}")


def test_readme_opens_with_the_two_commands():
    opening = [line for line in read("README.md").splitlines() if line][:6]
    heading, sentence, fence, demo, test, close = opening
    assert heading == "# Thalweg"
    assert sentence.startswith("Thalweg is ")
    assert fence.startswith("```")
    assert demo.split()[:2] == ["make", "demo"]
    assert test.split()[:2] == ["make", "test"]
    assert close == "```"


def test_makefile_has_every_target_that_readme_names():
    named = set(re.findall(r"\bmake ([a-z]+)", read("README.md")))
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_version_is_the_same_in_pyproject_and_package():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert assigned(read("src/thalweg/__init__.py"), "__version__") == version

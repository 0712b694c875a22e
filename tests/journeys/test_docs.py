"""What the documents show is what happens: docs, README, and docstrings of public modules."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw

ROOT = Path(__file__).parents[2]

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

PACKAGES = ("thalweg.base", "thalweg.ir", "thalweg.ops", "thalweg.transforms", "thalweg.passes",
            "thalweg.engine", "thalweg.array", "thalweg.data", "thalweg.tools")  # fmt: skip
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
]


def examples_of(path):
    """The examples of a document, as one session with line numbers of the document."""
    text = path.read_text(encoding="utf-8")
    return doctest.DocTestParser().get_doctest(text, {}, path.name, str(path), 0)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_shows_what_happens(path):
    session = examples_of(path)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(session, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_without_prompts_run(path):
    """Blocks of one document are one program, in order; those with prompts are doctests."""
    scope: dict = {"__name__": "document"}
    for number, block in enumerate(BLOCK.findall(path.read_text(encoding="utf-8"))):
        if not block.lstrip().startswith(">>>"):
            exec(compile(block, f"{path.name}[{number}]", "exec"), scope)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_show_what_happens(name):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for each in finder.find(module, name, module=module):
        each.globs |= {"tw": tw, "np": np}
        runner.run(each, out=report.append)
    assert not report, "".join(report)


def test_the_journey_names_the_files_it_passes_and_they_exist():
    text = (ROOT / "docs" / "journey.md").read_text(encoding="utf-8")
    stops = re.findall(r"^## \d+\. .*`(.+)`$", text, flags=re.MULTILINE)
    assert len(stops) == 8
    assert all((ROOT / "src" / "thalweg" / stop).exists() for stop in stops)
    named = set(re.findall(r"`((?:array|ops|ir|engine|transforms|passes)/\w+\.py)`", text))
    assert all((ROOT / "src" / "thalweg" / name).exists() for name in named)


def test_the_documents_have_examples():
    assert len(examples_of(ROOT / "docs" / "journey.md").examples) > 15
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(
        "thalweg.engine.trace"))  # fmt: skip
    assert any(each.examples for each in found)

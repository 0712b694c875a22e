"""Ops in files: class names, modules, and which arguments are data and which settings."""

import importlib
import inspect

import pytest
from tests.keras.oracle import keras as real

from thalweg.keras.ops import core, einops, linalg, math

NO_CLASS = {"convert_to_numpy", "custom_gradient", "dtype", "is_tensor", "shape"}
"""Public functions of these chapters that are no operations, in real Keras either."""

CHAPTERS = {"core": core, "math": math, "linalg": linalg, "einops": einops}


def public(chapter: str) -> list[str]:
    """The public functions that real Keras has in a chapter."""
    where = f"keras.src.ops.{chapter}"
    found = vars(importlib.import_module(where))
    return [
        name
        for name, value in found.items()
        if inspect.isfunction(value)
        and value.__module__ == where
        and getattr(real.ops, name, None) is value
    ]


OPS = [(chapter, name) for chapter in CHAPTERS for name in public(chapter) if name not in NO_CLASS]


def names(function) -> list[str]:
    found = inspect.signature(function).parameters
    return [name for name in found if name not in ("self", "name", "args", "kwargs")]


def test_all_ops_are_here():
    assert len(OPS) >= 55
    for chapter, module in CHAPTERS.items():
        assert [name for name in public(chapter) if not hasattr(module, name)] == []


@pytest.mark.parametrize(("chapter", "name"), OPS)
def test_definition(chapter, name):
    definition = getattr(CHAPTERS[chapter], name).definition
    module, class_name = definition.operation._serialized_as
    assert module == f"keras.src.ops.{chapter}"
    theirs = getattr(importlib.import_module(module), class_name)
    wanted = inspect.signature(getattr(real.ops, name))
    assert list(definition.signature.parameters) == list(wanted.parameters)
    defaults = [each.default for each in wanted.parameters.values()]
    assert [each.default for each in definition.signature.parameters.values()] == defaults
    assert definition.data == names(theirs.call)
    constructor = theirs.__mro__[1] if name.startswith("segment_") else theirs
    settings = names(constructor.__init__)
    assert settings == [
        each for each in definition.signature.parameters if each not in names(theirs.call)
    ]

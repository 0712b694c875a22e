"""Loads a backend when it is first chosen, so that importing the package stays instant."""

import functools
from types import ModuleType


@functools.cache
def native() -> ModuleType:
    """The native backend's programs: `Program`."""
    from thalweg.backends.llvm import program

    return program

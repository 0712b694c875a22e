"""The one place where llvmlite is imported, and only when something is compiled."""

import functools
from types import ModuleType


@functools.cache
def llvm() -> ModuleType:
    """llvmlite's binding to LLVM."""
    import llvmlite.binding

    return llvmlite.binding

"""Loads a backend when it is first chosen, so that importing the package stays instant."""

import functools
from types import ModuleType
from typing import Any


@functools.cache
def native() -> ModuleType:
    """The native backend's programs: `Program`."""
    from thalweg.backends.llvm import program

    return program


def target(name: str) -> Any:
    """What the native backend compiles for, by its name: "host" is this machine."""
    from thalweg.backends.llvm import targets

    return targets.target(name)


def threads() -> int:
    """How many threads run a kernel that is large enough for them."""
    from thalweg.backends.llvm.threads import count

    return count()


def ceilings() -> Any:
    """What this machine can do at best: `flops` and `bytes` per second, by `threads` threads."""
    from thalweg.backends.llvm.ceilings import ceilings as measured

    return measured()

"""Settings of the engine: one frozen record, filled from the environment once at import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from thalweg.base.errors import ArgumentError, explain

BACKENDS = ("auto", "reference", "native")


@dataclass(frozen=True, slots=True)
class Options:
    """`seed` of the default generator; `show` stages to print; `dump` folder; `check` level 0 to 2.

    `backend` runs traced functions: "reference", each op's NumPy definition; "native", machine code
    for what has it and the definition for the rest; "auto", the former until a function has been
    run so often, or is so much work, that compiling it is worth its time. `exact_only` keeps
    rewriting to rules that hold bit for bit; `provenance` records the user's line for each new node
    (about a third of a microsecond each). `stop_at_nonfinite` interprets, and stops at the first
    NaN or infinity that an operation makes.
    """

    backend: str = "auto"
    seed: int | None = None
    show: tuple[str, ...] = ()
    dump: str = ""
    check: int = 0
    exact_only: bool = True
    provenance: bool = True
    stop_at_nonfinite: bool = False

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            known = ", ".join(BACKENDS)
            raise ArgumentError(explain("backend", f"one of {known}", repr(self.backend)))
        if self.check not in (0, 1, 2):
            raise ArgumentError(explain("options", "a check level of 0, 1 or 2", repr(self.check)))
        if not isinstance(self.show, tuple):
            do = f"Write show=({self.show!r},)." if isinstance(self.show, str) else ""
            raise ArgumentError(explain("options", "a tuple of stages", repr(self.show), do))

    def changed(self, **fields: Any) -> "Options":
        """A copy with some fields changed. Raises ArgumentError for a field that there is not."""
        known = self.__dataclass_fields__
        for name in fields:
            if name not in known:
                close = get_close_matches(name, known, 1)
                do = f"Did you mean {close[0]}?" if close else ""
                raise ArgumentError(explain("options", f"one of {', '.join(known)}", name, do))
        return replace(self, **fields)


def from_environment(environment: Mapping[str, str] | None = None) -> Options:
    """Read `THALWEG_BACKEND`, `THALWEG_SEED`, `THALWEG_SHOW`, `THALWEG_DUMP` and `THALWEG_CHECK`.

    Raises ArgumentError for a number that cannot be read.
    """
    read = (os.environ if environment is None else environment).get

    def number(name: str) -> int | None:
        text = (read(name) or "").strip()
        try:
            return int(text) if text else None
        except ValueError:
            raise ArgumentError(explain(name, "an integer", repr(text))) from None

    return Options(
        backend=read("THALWEG_BACKEND") or "auto",
        seed=number("THALWEG_SEED"),
        show=tuple(name.strip() for name in read("THALWEG_SHOW", "").split(",") if name.strip()),
        dump=read("THALWEG_DUMP", ""),
        check=number("THALWEG_CHECK") or 0,
    )


_current = from_environment()


def options() -> Options:
    """The options in force."""
    return _current


def set_options(**fields: Any) -> Options:
    """Change some options for the whole process; returns the former record."""
    global _current
    former = _current
    _current = _current.changed(**fields)
    return former

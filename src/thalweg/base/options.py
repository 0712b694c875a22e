"""Settings of the engine: one frozen record, filled from the environment once at import."""

import os
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """`seed` of the default generator; `show` stages to print; `dump` folder; `check` level 0 to 2.

    `exact_only` keeps rewriting to rules that hold bit for bit; `provenance` records the user's
    line for each new node (about a third of a microsecond each). `stop_at_nonfinite` makes the
    interpreter stop at the first NaN or infinity that an operation makes.
    """

    seed: int | None = None
    show: tuple[str, ...] = ()
    dump: str = ""
    check: int = 0
    exact_only: bool = True
    provenance: bool = True
    stop_at_nonfinite: bool = False

    def changed(self, **fields: Any) -> "Options":
        """A copy with some fields changed."""
        return replace(self, **fields)


def from_environment(environment: dict[str, str] | None = None) -> Options:
    """Read `THALWEG_SEED`, `THALWEG_SHOW`, `THALWEG_DUMP` and `THALWEG_CHECK`."""
    read = (os.environ if environment is None else environment).get
    seed = read("THALWEG_SEED")
    return Options(
        seed=int(seed) if seed else None,
        show=tuple(name.strip() for name in read("THALWEG_SHOW", "").split(",") if name.strip()),
        dump=read("THALWEG_DUMP", ""),
        check=int(read("THALWEG_CHECK") or 0),
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

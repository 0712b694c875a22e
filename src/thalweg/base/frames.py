"""Where the user stands: the innermost frame outside the package.

A frame is kept as `(code, instruction)`, which costs no string work while a graph is built; the
line number is computed when somebody asks.
"""

import contextlib
import functools
import os
import sys
from functools import lru_cache
from types import CodeType, FrameType

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

# What only passes a call on: a `with` over a generator of ours, a wrapped or partial function.
TRANSPARENT = (contextlib.__file__, functools.__file__)

Place = tuple[CodeType, int]

_inside: dict[CodeType, bool] = {}


def is_inside(frame: FrameType) -> bool:
    """True for a frame that runs Thalweg's own code, or only passes a call on to it."""
    code = frame.f_code
    known = _inside.get(code)
    if known is None:
        filename = code.co_filename
        known = filename.startswith(PACKAGE) or filename in TRANSPARENT
        if filename == "<string>":
            # The methods that a dataclass generates run in the module of their class.
            known = str(frame.f_globals.get("__name__")).split(".")[0] == "thalweg"
        if len(_inside) > 100_000:
            _inside.clear()
        _inside[code] = known
    return known


def place(depth: int = 1) -> Place | None:
    """The user's place: the code and instruction of the innermost frame outside the package."""
    try:
        frame: FrameType | None = sys._getframe(depth)
    except ValueError:
        return None
    inside = _inside
    while frame is not None:
        code = frame.f_code
        known = inside.get(code)
        if not known and (known is False or not is_inside(frame)):
            return code, frame.f_lasti
        frame = frame.f_back
    return None


def describe(where: Place) -> str:
    """`file:line` of a place, the file as short as it can be said from the working directory."""
    code, _ = where
    return f"{short_path(code.co_filename)}:{line_number(where)}"


@lru_cache(maxsize=4096)
def line_number(where: Place) -> int:
    """The line of a place in its file."""
    code, instruction = where
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def short_path(filename: str) -> str:
    """A path relative to the working directory when it lies below it, else as it is."""
    if filename.startswith("<"):
        return filename
    try:
        return _relative(filename, os.getcwd())
    except (ValueError, OSError):
        return filename


@lru_cache(maxsize=4096)
def _relative(filename: str, folder: str) -> str:
    relative = os.path.relpath(filename, folder)
    return filename if relative.startswith("..") else relative


def location() -> str:
    """`file:line` of the user's place, or an empty string when all frames are inside."""
    where = place(2)
    return describe(where) if where is not None else ""


def outer_level() -> int:
    """The `stacklevel` with which a warning of the caller points at the user's line."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inside(frame):
        frame = frame.f_back
        level += 1
    return max(level - 1, 1) if frame is None else level

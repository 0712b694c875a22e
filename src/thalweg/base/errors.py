"""The one voice of errors: what was wanted, what came, what to do, and the user's own line.

Every error that Thalweg raises on purpose is a `ThalwegError`; each also inherits the built-in
exception that a caller would expect, so `except ValueError` keeps working.
"""

import sys
import types

from thalweg.base.frames import is_inside, location


def explain(where: str, wanted: str, received: str, do: str = "") -> str:
    """Compose a message: `[where] wants ...`, `Received ...`, and the line to write instead."""
    lines = [f"[{where}] wants {wanted}.", f"Received {received}."]
    if do:
        lines.append(do)
    return "\n".join(lines)


class ThalwegError(Exception):
    """The root of all errors raised on purpose; `location` is the user's `file:line`, if any."""

    def __init__(self, message: str, where: str | None = None):
        self.location = where if where is not None else location()
        self.message = message
        super().__init__(f"{message}   at {self.location}" if self.location else message)

    def __reduce__(self):
        return type(self), (self.message, self.location)


class ShapeError(ThalwegError, ValueError):
    """Shapes, axes or sizes that do not fit together."""


class DTypeError(ThalwegError, TypeError):
    """Element types that do not fit together, or that an operation does not have."""


class ArgumentError(ThalwegError, ValueError):
    """An argument or attribute whose value cannot be used."""


class ArgumentTypeError(ThalwegError, TypeError):
    """An argument or attribute of the wrong Python type."""


class ProtocolError(ArgumentTypeError, AttributeError):
    """An object without the methods of a protocol, such as DLPack's."""


class ExchangeError(ArgumentError, BufferError):
    """Memory that cannot be exchanged with another library."""


class OutOfRangeError(ThalwegError, IndexError):
    """An index outside of its axis."""


class OutOfMemoryError(ThalwegError, MemoryError):
    """Memory that the system does not give."""


class TraceError(ThalwegError, RuntimeError):
    """Something was asked of a tensor that has no value while a function is being traced.

    Not a TypeError: NumPy catches those when it looks for an integer, and would hide the message.
    """


class GradientError(ThalwegError, ValueError):
    """A derivative that does not exist or that the program cuts."""


class TextError(ThalwegError, ValueError):
    """Text of a function that cannot be read back."""


class VerifyError(ThalwegError, AssertionError):
    """A graph that breaks an invariant: a defect in a pass, never in the user's program."""


class CheckError(ThalwegError, AssertionError):
    """An assertion about values, made by the user's program, that did not hold."""


class RewriteError(ThalwegError, RuntimeError):
    """Rewriting did not come to an end, or a rule broke its own equation."""


def hide_inner_frames(error: BaseException) -> None:
    """Drop the frames inside Thalweg from the traceback of one of its own errors, in place."""
    kept = [entry for entry in _entries(error.__traceback__) if not is_inside(entry.tb_frame)]
    tail = None
    for entry in reversed(kept):
        tail = types.TracebackType(tail, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    if tail is not None:
        error.__traceback__ = tail
    for inner in (error.__cause__, error.__context__):
        if isinstance(inner, ThalwegError):
            hide_inner_frames(inner)


def install_traceback_filter() -> None:
    """Make uncaught errors of Thalweg show only the user's frames; other errors stay as they are.

    `sys.excepthook` is chained, not replaced: whatever hook was there prints the traceback.
    """
    previous = sys.excepthook

    def show_user_frames(kind, error, traceback):
        if isinstance(error, ThalwegError):
            hide_inner_frames(error)
            traceback = error.__traceback__
        previous(kind, error, traceback)

    sys.excepthook = show_user_frames


def _entries(traceback: types.TracebackType | None):
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next

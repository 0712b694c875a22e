"""Recorders: who still needs the graph behind a tensor after its value has been computed.

A computed tensor normally lets go of its graph, so a loop that runs for days stays small. While a
recorder (a gradient tape, or `grad` around a function) is active, the tensors made under it keep
their graph until it has finished.
"""

import threading
import weakref
from typing import Any


class Recorder:
    """Keeps the graphs of tensors that are made while it is active, until `finish`."""

    def __init__(self) -> None:
        self.is_finished = False
        self._kept: weakref.WeakSet = weakref.WeakSet()
        self._outer: Recorder | None = None

    def keep(self, cell: Any) -> None:
        """Note a computed cell that still holds its graph."""
        self._kept.add(cell)

    def read(self, variable: Any, tensor: Any) -> None:
        """Note that a variable was read while active; tapes watch it."""

    def finish(self) -> None:
        """Let the computed cells drop their graphs."""
        self.is_finished = True
        for cell in list(self._kept):
            cell.cut()
        self._kept.clear()

    def start(self) -> None:
        """Become the innermost active recorder of this thread."""
        self._outer = _local.recorder
        _local.recorder = self

    def stop(self) -> None:
        """Cease to be active; the graphs stay until `finish`."""
        _local.recorder = self._outer
        self._outer = None

    def __enter__(self) -> "Recorder":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


class _Local(threading.local):
    recorder: Recorder | None = None


_local = _Local()


def active_recorder() -> Recorder | None:
    """The innermost active recorder of this thread."""
    return _local.recorder


def pause() -> Recorder | None:
    """Stop recording in this thread; give the result to `resume`."""
    recorder = _local.recorder
    _local.recorder = None
    return recorder


def resume(recorder: Recorder | None) -> None:
    """Go on recording after `pause`."""
    _local.recorder = recorder

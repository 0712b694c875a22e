"""Recorders: who still needs the graph behind a tensor after its value has been computed.

A computed tensor normally lets go of its graph, so a loop that runs for days stays small. While a
recorder (a gradient tape, or `grad` around a function) is active, the tensors made under it keep
their graph until it has finished. A tape also knows when it started: what was made before counts
as given, whether or not it happens to have been computed by then.
"""

import threading
import weakref
from typing import Any

from thalweg.engine.context import Trace, current_trace
from thalweg.ir.leaves import next_serial


class Recorder:
    """Keeps the graphs of tensors that are made while it is active, until `finish`.

    `has_left` says that a value was taken out of the graph, as a Python number or an array.
    """

    stops_gradients = False

    def __init__(self) -> None:
        self.is_finished = False
        self.has_left = False
        self.parent: Recorder | None = None
        self.trace: Trace | None = None
        self.serial = 0
        self._kept: weakref.WeakSet = weakref.WeakSet()

    def keep(self, cell: Any) -> None:
        """Note a computed cell that still holds its graph."""
        self._kept.add(cell)

    def read(self, variable: Any) -> None:
        """Note that a variable was read while active, also in a loop's body: tapes watch it."""

    def seen(self, cell: Any, trace: Trace | None) -> Any:
        """The node that stands for a tensor where this recorder is the innermost one."""
        return cell.node if self.parent is None else self.parent.seen(cell, trace)

    def in_charge(self) -> "Recorder | None":
        """This recorder, or the nearest around it that has not finished."""
        recorder: Recorder | None = self
        while recorder is not None and recorder.is_finished:
            recorder = recorder.parent
        return recorder

    def finish(self) -> None:
        """Let the computed cells drop their graphs, or hand them to the recorder around this."""
        self.is_finished = True
        heir = self.in_charge()
        for cell in list(self._kept):
            if heir is None:
                cell.cut()
            else:
                heir.keep(cell)
        self._kept.clear()

    def start(self) -> None:
        """Become the innermost active recorder of this thread."""
        self.trace = current_trace()
        self.serial = next_serial()
        self.parent = _local.recorder
        _local.recorder = self

    def stop(self) -> None:
        """Cease to be active; the graphs stay until `finish`."""
        _local.recorder = self.parent

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


class Pause(Recorder):
    """A stretch in which nothing is recorded; with `stops_gradients` what is made is constant."""

    def __init__(self, stops_gradients: bool = False) -> None:
        super().__init__()
        self.stops_gradients = stops_gradients
        self.is_finished = True

    def in_charge(self) -> Recorder | None:
        return None


def pause() -> Recorder | None:
    """Stop recording in this thread; give the result to `resume`."""
    recorder = _local.recorder
    _local.recorder = None
    return recorder


def resume(recorder: Recorder | None) -> None:
    """Go on recording after `pause`."""
    _local.recorder = recorder

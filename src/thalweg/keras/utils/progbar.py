"""Progbar: the progress of a loop on standard output.

    a terminal or notebook     one line, redrawn in place: 12/50 ━━━━━━━━━━ 3s 80ms/step - loss: 0.3
    a file or pipe             one plain line at the end of the loop, without control characters
    interactive logging off    that same line, through the log

In a file `interval=0` asks for a line at every update.
"""

import datetime
import math
import os
import shutil
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import settings
from thalweg.keras.utils.messages import LOGGER, write

BAR = "━"
BOLD, GREEN, WHITE, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


class Progbar:
    """Shows how far a loop has come, its speed, and the values of its metrics.

    `target` is the number of units, None when unknown. `verbose` is 0 for nothing, 1 for a bar, 2
    for one line at the end. At most every `interval` seconds the line is drawn again.

    A metric is shown as the mean over the units so far, or as it is when it averages itself: give
    the names that do as `stateful_metrics`, or those that do not as `stateless_metrics`. The last
    update shows all values as they are.

    Errors: ArgumentError when both lists are given.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ArgumentError(
                explain(
                    "Progbar",
                    "Only one of `stateful_metrics` and `stateless_metrics`",
                    f"{list(stateful_metrics)} and {list(stateless_metrics)}",
                )
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._sums: dict[str, tuple[Any, int]] = {}
        self._seen = 0
        self._start = time.perf_counter()
        self._first: tuple[float, int] | None = None  # the time of the first update, units done
        self._last_shown = -math.inf
        self._drawn_width = 0

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Note that `current` units are done, with pairs of metric name and value of the last ones.

        `finalize` ends the line; by default it does so when `current` reaches the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        self._collect(current, values or (), finalize)
        now = time.perf_counter()
        if self._first is None and current > 0:
            self._first = now, current
        if not self.verbose:
            return
        is_due = finalize or now - self._last_shown >= self.interval
        if not is_due or (self.verbose != 1 and not finalize):
            return
        if not settings.is_interactive_logging_enabled():
            if finalize:
                LOGGER.info(self._plain_line(current, now, finalize))
        elif self.verbose == 1 and is_redrawable():
            self._draw(current, now, finalize)
        elif finalize or self.interval == 0:
            write(f"{self._plain_line(current, now, finalize)}\n")
        self._last_shown = now

    def is_due(self) -> bool:
        """True when an update now would be shown, so that values need not be fetched before."""
        return time.perf_counter() - self._last_shown >= self.interval

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Note that `n` more units are done."""
        self.update(self._seen + n, values)

    # ---- values ----

    def _collect(self, current: int, values: Iterable[tuple[str, Any]], finalize: bool) -> None:
        weight = max(current - self._seen, 1)
        for name, value in values:
            if finalize or not self._is_averaged(name):
                self._sums[name] = (value, 1)
            else:
                total, count = self._sums.get(name, (0, 0))
                self._sums[name] = (total + _number(value) * weight, count + weight)
        self._seen = current

    def _is_averaged(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in self.stateful_metrics

    def _metrics(self) -> str:
        return "".join(
            f" - {name}: {_format_value(_number(total) / max(count, 1))}"
            for name, (total, count) in self._sums.items()
        )

    # ---- time ----

    def _seconds_per_unit(self, current: int, now: float) -> float:
        """The mean time of a unit, where possible without the first update: it compiles."""
        if current == 0:
            return 0.0
        time_then, done_then = self._first or (self._start, 0)
        if done_then >= current:
            time_then, done_then = self._start, 0
        return (now - time_then) / (current - done_then)

    def _times(self, current: int, now: float, finalize: bool) -> tuple[str, str]:
        """The time taken or left, and the speed."""
        each = self._seconds_per_unit(current, now)
        if finalize or not self.target:
            duration = now - self._start
        else:
            duration = each * (self.target - current)
        return _format_duration(duration), _format_speed(each, self.unit_name)

    # ---- lines ----

    def _plain_line(self, current: int, now: float, finalize: bool) -> str:
        duration, speed = self._times(current, now, finalize)
        count = f"{current}/{self.target}" if self.target else f"{current}/Unknown"
        return f"{count} - {duration} - {speed}{self._metrics()}"

    def _draw(self, current: int, now: float, finalize: bool) -> None:
        """Write the line over the one before."""
        duration, speed = self._times(current, now, finalize)
        if self.target:
            count = f"{current:>{len(str(self.target))}}/{self.target}"
            width = self.width
            filled = min(width, int(width * current / self.target))
        else:
            count, width, filled = f"{current:>7}/Unknown", 0, 0
        tail = f" {speed}{self._metrics()}"
        room = math.inf if is_notebook() else shutil.get_terminal_size().columns - 1
        if not finalize and len(count) + 2 + width + len(duration) + len(tail) > room:
            # A line that wraps cannot be drawn over. The bar goes first, then the end of the line.
            filled, width = 0, 0
            tail = tail[: max(0, int(room) - len(count) - 1 - len(duration))]
        bar = f"{GREEN}{BAR * filled}{PLAIN}{WHITE}{BAR * (width - filled)}{PLAIN} " * bool(width)
        line = f"{BOLD}{count}{PLAIN} {bar}{BOLD}{duration}{PLAIN}{tail}"
        shown = len(count) + 1 + (width + 1) * bool(width) + len(duration) + len(tail)
        blanks = " " * (self._drawn_width - shown)
        self._drawn_width = shown
        write(f"\r{line}{blanks}" + "\n" * finalize)


def is_notebook() -> bool:
    """Whether standard output goes to a notebook's cell, which has no width and wraps nothing."""
    return type(sys.stdout).__module__.startswith(("ipykernel", "google.colab"))


def is_redrawable() -> bool:
    """Whether standard output is a terminal or a notebook, where a line can be written over."""
    if is_notebook() or "PYCHARM_HOSTED" in os.environ:
        return True
    if os.environ.get("TERM") == "dumb":
        return False
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


def _number(value: Any) -> float:
    return float(np.mean(value))


def _format_value(value: float) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def _format_duration(seconds: float) -> str:
    """`7s`, `1:07` or `2:01:07`."""
    if seconds >= 3600:
        return str(datetime.timedelta(seconds=int(seconds)))
    if seconds >= 60:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    return f"{seconds:.0f}s"


def _format_speed(seconds: float, unit: str) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/{unit}"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/{unit}"
    return f"{seconds * 1e6:.0f}us/{unit}"

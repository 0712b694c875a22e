"""MonitorCallback: what watches one metric and knows which way is better."""

from typing import Any, ClassVar

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras import ops
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.utils.messages import warn

MODES = ("auto", "min", "max")
WAYS = {"up": "max", "down": "min"}


class MonitorCallback(Callback):
    """Compares a metric with the best value so far.

    `mode` says whether "min" or "max" is better; "auto" asks the model's metric, when the first
    value comes. A change below `min_delta` is none.
    """

    state_attributes: ClassVar[tuple[str, ...]] = ("best",)

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        if mode not in MODES:
            warn(
                f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode. "
                f"There are {', '.join(MODES)}."
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best: Any = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Any = None

    def _set_monitor_op(self) -> None:
        mode = self.mode if self.mode != "auto" else self._better()
        self.monitor_op = ops.greater if mode == "max" else ops.less
        self.min_delta = abs(self.min_delta) * (1 if mode == "max" else -1)

    def _better(self) -> str:
        """Which way is better for the metric, "min" or "max"."""
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return "min"
        metrics = list(_leaves(getattr(self.model, "metrics", ())))
        own = [metric for metric in metrics if metric.name == name]
        # Of several outputs each has its metrics under its own name: `digit_accuracy`.
        own = own or [metric for metric in metrics if name.endswith(f"_{metric.name}")]
        for metric in own:
            way = WAYS.get(getattr(metric, "_direction", None) or "")
            if way is not None:
                return way
        raise ArgumentError(
            explain(
                type(self).__name__,
                "to know which values are better; which way that is for this metric cannot be told",
                f"monitor={self.monitor!r}; Received monitor={self.monitor}",
                "Pass mode='max' if higher is better, or mode='min'.",
            )
        )

    def _is_improvement(self, value: Any, best: Any) -> bool:
        if best is None:
            return True
        return bool(self.monitor_op(value - self.min_delta, best))

    def get_monitor_value(self, logs: Any) -> Any:
        """The metric's value in the logs; None, with a warning, where it is not."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn(
                f"{self._what} conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs or {})}"
            )
        return value

    _what = "Watching is"


def _leaves(metrics: Any) -> Any:
    """The metrics, those that were compiled each by itself."""
    for metric in metrics:
        within = getattr(metric, "metrics", None)
        if within:
            yield from _leaves(within)
        else:
            yield metric

"""What callbacks that save have in common: when it is time, and whether the model is worth it."""

from typing import Any, ClassVar

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.callbacks.monitor import MonitorCallback
from thalweg.keras.utils.messages import print_message, warn


class SavesAtTimes:
    """Counts batches and tells when `save_freq` of them have passed."""

    save_freq: Any
    _last_batch_seen: int | None = None
    _batches_since_saving = 0

    def _set_frequency(self, save_freq: Any) -> None:
        """Take "epoch" or a number of batches. Raises ArgumentError for others."""
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ArgumentError(
                explain(
                    type(self).__name__,
                    "save_freq to be 'epoch' or a number of batches",
                    "Invalid value for argument `save_freq`. Unrecognized save_freq: "
                    f"{save_freq!r}",
                )
            )
        self.save_freq = save_freq

    def _should_save_on_batch(self, batch: int) -> bool:
        last = self._last_batch_seen
        # After the last batch of an epoch the numbers begin again.
        self._batches_since_saving += batch + 1 if last is None or batch <= last else batch - last
        self._last_batch_seen = batch
        if self.save_freq == "epoch" or not self.save_freq:
            return False
        if self._batches_since_saving < self.save_freq:
            return False
        self._batches_since_saving = 0
        return True


class Checkpoint(SavesAtTimes, MonitorCallback):
    """Saves the model at times, or when a metric is better than ever; a subclass says where to."""

    state_attributes: ClassVar[tuple[str, ...]] = (
        "best",
        "_batches_since_saving",
        "_last_batch_seen",
    )

    def __init__(
        self,
        monitor: str,
        verbose: int,
        save_best_only: bool,
        save_weights_only: bool,
        mode: str,
        save_freq: str | int,
        initial_value_threshold: float | None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self._set_frequency(save_freq)
        self._epoch = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._should_save_on_batch(batch):
            self._save(self._epoch, batch, logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_best_only and self.monitor_op is None:
            self._set_monitor_op()
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: Any) -> None:
        path = self._place(epoch, batch, logs)
        news = f"saving model to {path}"
        current = self._monitored(logs) if self.save_best_only else None
        if current is not None:
            if self.monitor_op is None:
                self._set_monitor_op()
            before = "None" if self.best is None else f"{self.best:.5f}"
            if not self._is_improvement(current, self.best):
                self._tell(epoch, f"{self.monitor} did not improve from {before}")
                return
            news = f"{self.monitor} improved from {before} to {current:.5f}, {news}"
            self.best = current
        self._tell(epoch, news)
        self._write(path)

    def _monitored(self, logs: Any) -> Any:
        """The value of the metric; None, with a warning, where there is no number."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            names = ", ".join(logs or {}) or "no metrics"
            warn(
                f"Can save best model only with {self.monitor} available, and there are {names}: "
                "saving anyway."
            )
        elif getattr(value, "ndim", 0):
            warn(
                f"Can save best model only when `monitor` is a number, and {self.monitor} has "
                f"shape {tuple(value.shape)}: saving anyway."
            )
            value = None
        return value

    def _tell(self, epoch: int, news: str) -> None:
        if self.verbose > 0:
            print_message(f"\nEpoch {epoch + 1}: {news}")

    def _place(self, epoch: int, batch: int | None, logs: Any) -> str:
        """The path to save to now."""
        raise NotImplementedError

    def _write(self, path: str) -> None:
        """Save to a path."""
        raise NotImplementedError

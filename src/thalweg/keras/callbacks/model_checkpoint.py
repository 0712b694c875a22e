"""ModelCheckpoint: save the model, or its weights, while it trains."""

import os
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.callbacks.monitor import MonitorCallback
from thalweg.keras.callbacks.saving_callback import SavesAtTimes, file_name, unknown_frequency
from thalweg.keras.utils.messages import print_message, warn


class ModelCheckpoint(SavesAtTimes, MonitorCallback):
    """Saves the model at the end of each epoch, or every `save_freq` batches.

    `filepath` ends in `.keras`, or with `save_weights_only` in `.weights.h5`; it may hold `{epoch}`
    and `{batch}`, from 1 on, and metrics: `best-{epoch:02d}-{val_loss:.2f}.keras`. With
    `save_best_only` it saves when `monitor` is better than ever, or than `initial_value_threshold`,
    by `mode` "min", "max" or "auto". A file is there whole or not at all, whenever the process
    ends. Raises ArgumentError for other endings and frequencies.
    """

    state_attributes = ("best", "_batches_since_saving", "_last_batch_seen")

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose = verbose
        self.filepath = os.fspath(filepath)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._epoch = 0
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise unknown_frequency("ModelCheckpoint", save_freq)
        self._check_ending()

    def _check_ending(self) -> None:
        if self.save_weights_only and not self.filepath.endswith(".weights.h5"):
            wanted = (
                "a file of weights. When using `save_weights_only=True` in `ModelCheckpoint`, the "
                "filepath provided must end in `.weights.h5`"
            )
        elif not self.save_weights_only and not self.filepath.endswith((".keras", ".h5")):
            wanted = "a file of a model. The filepath provided must end in `.keras`"
        else:
            return
        raise ArgumentError(explain("ModelCheckpoint", wanted, f"filepath={self.filepath}"))

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
        path = file_name(self.filepath, epoch, batch, logs)
        folder = os.path.dirname(path)
        if self.save_best_only and not self._is_best(epoch, path, logs):
            return
        if not self.save_best_only:
            self._tell(f"\nEpoch {epoch + 1}: saving model to {path}")
        if folder:
            os.makedirs(folder, exist_ok=True)
        try:
            if self.save_weights_only:
                self.model.save_weights(path, overwrite=True)
            else:
                self.model.save(path, overwrite=True)
        except IsADirectoryError:
            raise ArgumentError(
                explain(
                    "ModelCheckpoint",
                    "a path at which it can write a file",
                    f"filepath={path}, which is a directory",
                )
            ) from None

    def _is_best(self, epoch: int, path: str, logs: Any) -> bool:
        current = (logs or {}).get(self.monitor)
        if current is None:
            warn(
                f"Can save best model only with {self.monitor} available; it is not among "
                f"{', '.join(logs or {}) or 'no metrics'}. Saving anyway."
            )
            return True
        if getattr(current, "ndim", 0):
            warn(
                f"Can save best model only when `monitor` is a number; {self.monitor} has shape "
                f"{tuple(current.shape)}. Saving anyway."
            )
            return True
        if self.monitor_op is None:
            self._set_monitor_op()
        if not self._is_improvement(current, self.best):
            self._tell(
                f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}"
            )
            return False
        before = "None" if self.best is None else f"{self.best:.5f}"
        self._tell(
            f"\nEpoch {epoch + 1}: {self.monitor} improved from {before} to {current:.5f}, saving "
            f"model to {path}"
        )
        self.best = current
        return True

    def _tell(self, message: str) -> None:
        if self.verbose > 0:
            print_message(message)

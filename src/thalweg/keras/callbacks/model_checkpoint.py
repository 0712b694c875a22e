"""ModelCheckpoint: save the model, or its weights, while it trains."""

import os
from typing import Any

from thalweg.base.errors import ArgumentError, ThalwegError, explain
from thalweg.keras.callbacks.logs import plain
from thalweg.keras.callbacks.saving_callback import Checkpoint


class MissingMetricError(ThalwegError, KeyError):
    """A file name asks for a metric that there is not."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ModelCheckpoint(Checkpoint):
    """Saves the model at the end of each epoch, or every `save_freq` batches.

    `filepath` ends in `.keras`, or with `save_weights_only` in `.weights.h5`; it may hold `{epoch}`
    and `{batch}`, from 1 on, and metrics: `best-{epoch:02d}-{val_loss:.2f}.keras`. With
    `save_best_only` it saves when `monitor` is better than ever, or than `initial_value_threshold`,
    by `mode` "min", "max" or "auto". A file is there whole or not at all, whenever the process
    ends. Raises ArgumentError for other endings and frequencies, and KeyError for a name in
    `filepath` that is no metric.
    """

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
        super().__init__(
            monitor,
            verbose,
            save_best_only,
            save_weights_only,
            mode,
            save_freq,
            initial_value_threshold,
        )
        self.filepath = os.fspath(filepath)
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            wanted = (
                "a file of weights. When using `save_weights_only=True` in `ModelCheckpoint`, the "
                "filepath provided must end in `.weights.h5`"
            )
        elif not save_weights_only and not self.filepath.endswith((".keras", ".h5")):
            wanted = "a file of a model. The filepath provided must end in `.keras`"
        else:
            return
        raise ArgumentError(explain("ModelCheckpoint", wanted, f"filepath={self.filepath}"))

    def _place(self, epoch: int, batch: int | None, logs: Any) -> str:
        values = {name: plain(value) for name, value in (logs or {}).items()}
        values["epoch"] = epoch + 1
        if batch is not None:
            values["batch"] = batch + 1
        try:
            return self.filepath.format(**values)
        except KeyError as error:
            is_validated = any(name.startswith("val_") for name in values)
            raise MissingMetricError(
                explain(
                    "ModelCheckpoint",
                    f"names among {', '.join(sorted(values))}",
                    f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}',
                    ""
                    if is_validated or "val_" not in str(error)
                    else "Give fit() validation data, and save at the end of epochs.",
                )
            ) from None

    def _write(self, path: str) -> None:
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path):
            raise ArgumentError(
                explain(
                    "ModelCheckpoint",
                    "a path at which it can write a file",
                    f"filepath={path}, which is a directory",
                )
            )
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

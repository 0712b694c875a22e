"""OrbaxCheckpoint: the last few checkpoints of a model, in a folder."""

import io
import os
from typing import Any

from thalweg.keras.callbacks.saving_callback import Checkpoint
from thalweg.keras.saving.archive import save_model
from thalweg.keras.saving.checkpoints import MODEL, WEIGHTS, Checkpointer, steps_in
from thalweg.keras.saving.hdf5 import H5Writer
from thalweg.keras.saving.walk import save_state


class OrbaxCheckpoint(Checkpoint):
    """Saves the model into `directory/{step}` and keeps the last `max_to_keep` steps.

    `keras.saving.load_model(directory)` and `model.load_weights(directory)` read the last one. The
    arguments are those of Keras; what is written are `.keras` and `.weights.h5` files, and neither
    JAX nor its library Orbax is needed, whose own folders are not read. With `save_on_background`
    training goes on while the disk is waited for: the state that is saved is that of the call.
    Steps count epochs, or batches with a number as `save_freq`, on from those in the folder.
    """

    state_attributes = (*Checkpoint.state_attributes, "_batches")

    def __init__(
        self,
        directory: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
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
        self.directory = os.fspath(directory)
        self.max_to_keep = max_to_keep
        self.save_on_background = save_on_background
        self.checkpointer = Checkpointer(self.directory, max_to_keep, save_on_background)
        self._batches = 0

    def on_train_begin(self, logs: Any = None) -> None:
        os.makedirs(self.directory, exist_ok=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        last = self._last_batch_seen
        self._batches += batch + 1 if last is None or batch <= last else batch - last
        super().on_train_batch_end(batch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        self.wait_until_finished()

    def wait_until_finished(self) -> None:
        """Return when every checkpoint is on the disk."""
        self.checkpointer.wait()

    def _place(self, epoch: int, batch: int | None, logs: Any) -> str:
        self.checkpointer.wait()
        step = epoch if batch is None else self._batches
        steps = steps_in(self.directory)
        if steps:
            step = max(step, steps[-1] + 1)
        return os.path.join(self.directory, str(step))

    def _write(self, path: str) -> None:
        self._save_checkpoint(int(os.path.basename(path)))

    def _save_checkpoint(self, step: int) -> None:
        content = io.BytesIO()
        if self.save_weights_only:
            writer = H5Writer(content)
            save_state(self.model, writer)
            writer.close()
        else:
            save_model(self.model, content)
        name = WEIGHTS if self.save_weights_only else MODEL
        self.checkpointer.save(step, content, name)

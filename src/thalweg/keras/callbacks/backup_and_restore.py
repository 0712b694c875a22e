"""BackupAndRestore: a run of `fit` that was interrupted goes on where it stopped."""

import contextlib
import glob
import json
import os
from collections.abc import Sequence
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.saving_callback import SavesAtTimes
from thalweg.keras.callbacks.training_state import load_training_state, save_training_state
from thalweg.keras.saving.files import FileError, new_file
from thalweg.keras.utils.messages import warn

WEIGHTS = "latest.weights.h5"
METADATA = "training_metadata.json"


class BackupAndRestore(SavesAtTimes, Callback):
    """Saves the run at the end of each epoch, or every `save_freq` batches, and goes on from there.

    Start the same program again, with the same `backup_dir`, and `fit` loads the backup and ends
    with the weights, bit for bit, that it would have had without the interruption. A backup has the
    weights, the optimizer, the random generators, the order of the data, the place in it, and what
    other callbacks have counted; put this one last, so that it sees what they do at the end of an
    epoch. Whenever the process is killed, the last complete backup is there.

    Data that are not mixed by `fit` itself must come in the same order again; a Python generator
    starts where the program makes it start. When training ends the backup is deleted, unless
    `delete_checkpoint=False`. `double_checkpoint` keeps the one before, too, which is taken if the
    last one is damaged. Errors: ArgumentError for an empty folder name or another frequency.

    Called again in its own process, `fit` begins the epoch anew, as in Keras.
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise ArgumentError(
                explain(
                    "BackupAndRestore",
                    "the name of a folder. Empty `backup_dir` argument passed",
                    f"backup_dir={backup_dir!r}",
                )
            )
        self._set_frequency(save_freq)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.backup_dir = os.fspath(backup_dir)
        self._weights_path = os.path.join(self.backup_dir, WEIGHTS)
        self._training_metadata_path = os.path.join(self.backup_dir, METADATA)
        self._prev_weights_path = f"{self._weights_path}.bkp"
        self._prev_training_metadata_path = f"{self._training_metadata_path}.bkp"
        self._current_epoch = 0
        self._has_run = False
        self._others: Sequence[Any] = ()
        self._states: Any = None

    # Going on -------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        self._states = None
        state = self._load()
        has_run, self._has_run = self._has_run, True
        if state is None:
            return
        self._current_epoch = epoch = state["epoch"]
        batch = state["batch"] + 1 if state["batch"] is not None and not has_run else 0
        self._last_batch_seen = None if has_run else state["batch"]
        self._states = state.get("callbacks")
        under_way = getattr(self.model, "_under_way", None)
        if under_way is None:
            return
        if not has_run and under_way.iterator.seed is not None:
            under_way.iterator.seed = state.get("seed", under_way.iterator.seed)
        if state.get("is_stopped"):
            epoch, batch = max(epoch, self.params["epochs"]), 0
        under_way.begin_at(epoch, batch)

    def _load(self) -> dict[str, Any] | None:
        """The state in the backup, which the model has taken; None where there is no backup."""
        places = (
            (self._weights_path, self._training_metadata_path),
            (self._prev_weights_path, self._prev_training_metadata_path),
        )
        pairs = [pair for pair in places if os.path.exists(pair[0])]
        for number, (weights, metadata) in enumerate(pairs):
            try:
                state = load_training_state(self.model, weights)
                return state or {"epoch": _epoch_of(metadata), "batch": None}
            except FileError as error:
                if number == len(pairs) - 1:
                    raise
                warn(f"{error}\nThe backup before that is taken, {pairs[number + 1][0]}.")
        return None

    def _meet(self, callbacks: Sequence[Any]) -> None:
        self._others = [each for each in callbacks if each is not self and _state_attributes(each)]
        states, self._states = self._states, None
        if states is None:
            return
        if [name for name, _ in states] != [type(each).__name__ for each in self._others]:
            warn(
                "The callbacks are not those of the run that was interrupted "
                f"({', '.join(name for name, _ in states)}): they begin anew."
            )
            return
        for callback, (_, values) in zip(self._others, states, strict=True):
            for name, value in values.items():
                setattr(callback, name, value)

    # Saving ---------------------------------------------------------------------------------------

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._should_save_on_batch(batch):
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch + 1
        self._last_batch_seen = None
        if self.save_freq == "epoch":
            self._save()

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        under_way = getattr(self.model, "_under_way", None)
        state = {
            "epoch": self._current_epoch,
            "batch": self._last_batch_seen,
            "seed": None if under_way is None else under_way.iterator.seed,
            "is_stopped": bool(getattr(self.model, "stop_training", False)),
            "callbacks": [
                [
                    type(callback).__name__,
                    {name: getattr(callback, name) for name in _state_attributes(callback)},
                ]
                for callback in self._others
            ],
        }
        keep = self._prev_weights_path if self.double_checkpoint else ""
        if keep and os.path.exists(self._training_metadata_path):
            os.replace(self._training_metadata_path, self._prev_training_metadata_path)
        save_training_state(self.model, self._weights_path, state, keep)
        # For people, and for Keras. What counts is in the file of weights.
        place = {"epoch": self._current_epoch, "batch": self._last_batch_seen or 0}
        with new_file(self._training_metadata_path) as file:
            file.write(json.dumps(place).encode())

    def on_train_end(self, logs: Any = None) -> None:
        if not self.delete_checkpoint:
            return
        paths = (
            self._weights_path,
            self._training_metadata_path,
            self._prev_weights_path,
            self._prev_training_metadata_path,
        )
        for path in (*paths, *_unfinished(self.backup_dir)):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        # A folder with files of others in it stays.
        with contextlib.suppress(OSError):
            os.rmdir(self.backup_dir)


def _unfinished(folder: str) -> list[str]:
    """What processes left that were killed while a backup got its name."""
    names = (f".{name}." for name in (WEIGHTS, METADATA))
    return [path for name in names for path in glob.glob(f"{glob.escape(folder)}/{name}*.part")]


def _state_attributes(callback: Any) -> Sequence[str]:
    return getattr(callback, "state_attributes", ())


def _epoch_of(path: str) -> int:
    """The epoch from the small file beside weights that Keras has written."""
    try:
        with open(path, encoding="utf-8") as file:
            return int(json.load(file)["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FileError(
            explain(
                "BackupAndRestore",
                "to know the epoch of the backup",
                f"weights without a readable {path}",
                "Delete the backup to begin anew.",
            )
        ) from None

"""Folders of checkpoints: the last few states of a model that is being trained.

    {folder}/{step}/model.keras          or, of weights alone, {folder}/{step}/model.weights.h5

A step's folder is there with its whole file or not at all: it is written under another name, and
renamed when the file is on the disk.
"""

import io
import os
import shutil
import threading
from typing import Any

from thalweg.base.errors import ArgumentError, explain
from thalweg.keras.saving.files import new_file

MODEL, WEIGHTS = "model.keras", "model.weights.h5"
UNDER_WAY = ".part-"


def steps_in(folder: Any) -> list[int]:
    """The steps that a folder has checkpoints of, in rising order."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(name) for name in names if name.isdigit() and _file_of(folder, int(name)))


def latest_file(path: str, needs_model: bool = False) -> str:
    """The file of the last step where `path` is a folder of checkpoints, else `path` itself.

    Raises ArgumentError where a model is needed and the checkpoint has weights alone.
    """
    steps = steps_in(path)
    if not steps:
        return path
    found = _file_of(path, steps[-1])
    if needs_model and not found.endswith(MODEL):
        raise ArgumentError(
            explain(
                f"load {path}",
                "checkpoints of whole models",
                f"{found}, which has weights alone",
                "Make the model and write model.load_weights(path), or save checkpoints with "
                "save_weights_only=False.",
            )
        )
    return found


def _file_of(folder: Any, step: int) -> str:
    paths = [os.path.join(folder, str(step), name) for name in (MODEL, WEIGHTS)]
    return next((path for path in paths if os.path.isfile(path)), "")


class Checkpointer:
    """Writes checkpoints into a folder and keeps the last `max_to_keep`, or all for None.

    With `in_background` a thread waits for the disk; what it meets is raised by the next call.
    """

    def __init__(self, folder: Any, max_to_keep: int | None, in_background: bool):
        self.folder = os.fspath(folder)
        self.max_to_keep = max_to_keep
        self.in_background = in_background
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, step: int, content: io.BytesIO, name: str) -> None:
        """Write a file, given as a whole, as the checkpoint of a step."""
        self.wait()
        if not self.in_background:
            self._write(step, content, name)
            return
        self._thread = threading.Thread(target=self._try, args=(step, content, name))
        self._thread.start()

    def wait(self) -> None:
        """Return when everything is on the disk."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """The same as `wait`: nothing stays open."""
        self.wait()

    def _try(self, step: int, content: io.BytesIO, name: str) -> None:
        try:
            self._write(step, content, name)
        except BaseException as error:
            self._error = error

    def _write(self, step: int, content: io.BytesIO, name: str) -> None:
        under_way = os.path.join(self.folder, f"{UNDER_WAY}{step}")
        shutil.rmtree(under_way, ignore_errors=True)
        os.makedirs(under_way)
        with new_file(os.path.join(under_way, name)) as file:
            file.write(content.getbuffer())
        target = os.path.join(self.folder, str(step))
        shutil.rmtree(target, ignore_errors=True)
        os.rename(under_way, target)
        self._forget()

    def _forget(self) -> None:
        """Delete the oldest checkpoints that are too many, and what a killed process left."""
        if self.max_to_keep is not None:
            steps = steps_in(self.folder)
            for step in steps[: max(len(steps) - self.max_to_keep, 0)]:
                shutil.rmtree(os.path.join(self.folder, str(step)), ignore_errors=True)
        for name in os.listdir(self.folder):
            if name.startswith(UNDER_WAY):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

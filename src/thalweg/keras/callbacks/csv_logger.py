"""CSVLogger: the metrics of each epoch as lines of a table."""

import csv
import os
from collections.abc import Iterable
from typing import Any

from thalweg.keras.callbacks.callback import Callback
from thalweg.keras.callbacks.logs import plain

MISSING = "NA"


class CSVLogger(Callback):
    """Writes a line for each epoch to a CSV file, at once, so that an abort loses none.

    Columns are the epoch and the metrics, in order of their names; those of validation are there
    from the beginning, `NA` where an epoch has none. `append` goes on in a file that exists, in its
    columns.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.sep = separator
        self.filename = os.fspath(filename)
        self.append = append
        self.keys: list[str] | None = None
        self._has_header = False

    def on_train_begin(self, logs: Any = None) -> None:
        self.keys = self._columns_of_file() if self.append else None
        self._has_header = self.keys is not None
        if not self.append:
            with open(self.filename, "w"):
                pass

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = dict(logs or {})
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
        # Opened for each line: whatever ends the run, the file is complete and closed.
        with open(self.filename, "a", newline="") as file:
            writer = csv.writer(file, delimiter=self.sep)
            if not self._has_header:
                writer.writerow(["epoch", *self.keys])
                self._has_header = True
            writer.writerow([epoch, *(_cell(logs.get(key, MISSING)) for key in self.keys)])

    def _columns_of_file(self) -> list[str] | None:
        """The metrics that the file has columns for, None where it is not there or empty."""
        try:
            with open(self.filename, newline="") as file:
                head = next(csv.reader(file, delimiter=self.sep), None)
        except FileNotFoundError:
            return None
        return head[1:] if head else None


def _cell(value: Any) -> Any:
    """A number or a text; an array or a list as text, `[1, 2]`."""
    value = plain(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f'"[{", ".join(map(str, value))}]"'
    return value

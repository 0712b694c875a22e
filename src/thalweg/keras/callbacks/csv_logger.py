"""CSVLogger: the metrics of each epoch as lines of a table."""

import csv
import os
from collections.abc import Iterable
from typing import IO, Any

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
        self.append_header = True
        self.keys: list[str] | None = None
        self.writer: Any = None
        self.csv_file: IO[str] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        if self.append:
            former = self._columns_of_file()
            self.append_header = former is None
            self.keys = former
        else:
            self.append_header = True
        self.writer = None
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        assert self.csv_file is not None
        logs = dict(logs or {})
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
        if self.writer is None:
            columns = ["epoch", *self.keys]
            self.writer = csv.DictWriter(self.csv_file, columns, delimiter=self.sep)
            if self.append_header:
                self.writer.writeheader()
        line = {"epoch": epoch, **{key: _cell(logs.get(key, MISSING)) for key in self.keys}}
        self.writer.writerow(line)
        self.csv_file.flush()

    def on_train_end(self, logs: Any = None) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = self.writer = None
        if not self.append:
            self.keys = None

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
